//! Damage in the memory of a process: bits that flip where nothing writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// So much is looked at together; what lies across is found too.
const CHUNK: usize = 1 << 20;

/// The memory of another process. It takes the right to trace it: a parent has it of its children, unless the
/// system forbids that too.
#[derive(Debug)]
pub struct Memory {
    pid: u32,
    file: File,
}

impl Memory {
    /// # Errors
    /// When this process may not write there.
    pub fn of(pid: u32) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
        Ok(Self { pid, file })
    }

    /// Flips the lowest bit of the first byte of `pattern`, wherever it stands in writable private memory and
    /// is `meant`, which gets to see the bytes before it. How many there were.
    pub fn flip(&self, pattern: &[u8], meant: impl Fn(&[u8]) -> bool) -> io::Result<usize> {
        let mut flipped = 0;
        for (start, end) in self.writable()? {
            for address in self.find(pattern, start, end) {
                let mut before = [0; 128];
                let from = address.saturating_sub(128).max(start);
                let before = &mut before[..(address - from) as usize];
                self.file.read_exact_at(before, from)?;
                if meant(before) {
                    self.file.write_all_at(&[pattern[0] ^ 1], address)?;
                    flipped += 1;
                }
            }
        }
        Ok(flipped)
    }

    /// The ranges that only this process writes to.
    fn writable(&self) -> io::Result<Vec<(u64, u64)>> {
        let maps = std::fs::read_to_string(PathBuf::from(format!("/proc/{}/maps", self.pid)))?;
        let range = |line: &str| {
            let mut fields = line.split_whitespace();
            let (range, rights) = (fields.next()?, fields.next()?);
            let (start, end) = range.split_once('-')?;
            let range = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
            rights.starts_with("rw-p").then_some(range)
        };
        Ok(maps.lines().filter_map(range).collect())
    }

    fn find(&self, pattern: &[u8], start: u64, end: u64) -> Vec<u64> {
        let (mut found, mut at, mut chunk) = (Vec::new(), start, vec![0; CHUNK + pattern.len()]);
        while at < end {
            let length = chunk.len().min((end - at) as usize);
            // What was unmapped meanwhile holds nothing.
            let Ok(read) = self.file.read_at(&mut chunk[..length], at) else { break };
            let matches =
                chunk[..read].windows(pattern.len()).enumerate().filter(|(_, bytes)| *bytes == pattern);
            found.extend(
                matches.map(|(offset, _)| at + offset as u64).filter(|address| *address < at + CHUNK as u64),
            );
            at += CHUNK as u64;
        }
        found
    }
}
