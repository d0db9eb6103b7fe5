//! What people see of an import.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Keys that cannot be taken are listed here, in the directory of the work.
const REFUSED: &str = "not-taken.txt";
/// So many of them are said at once.
const SHOWN: u64 = 20;

/// Counts, and says how far it is.
#[derive(Debug)]
pub(super) struct Report {
    list: PathBuf,
    file: Option<File>,
    begun: Instant,
    said: Option<Instant>,
    /// A terminal shows one line that changes, anything else a line now and then.
    is_terminal: bool,
    keys: u64,
    commands: u64,
    refused: u64,
}

impl Report {
    pub(super) fn new(work: &Path) -> Self {
        Self {
            list: work.join(REFUSED),
            file: None,
            begun: Instant::now(),
            said: None,
            is_terminal: std::io::stderr().is_terminal(),
            keys: 0,
            commands: 0,
            refused: 0,
        }
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// So many more keys have been taken from a dump.
    pub(super) fn add_keys(&mut self, keys: u64) {
        self.keys += keys;
    }

    /// So many more commands have been executed as the source did.
    pub(super) fn add_commands(&mut self, commands: u64) {
        self.commands += commands;
    }

    /// Something cannot be taken.
    pub(super) fn refuse(&mut self, what: &str, reason: &str) -> anyhow::Result<()> {
        self.refused += 1;
        if self.refused <= SHOWN {
            self.say(&format!("not taken: {what}: {reason}"));
        }
        let list = &self.list;
        let failed = || format!("{} cannot be written", list.display());
        if self.file.is_none() {
            let file = File::options().create(true).append(true).open(list).with_context(failed)?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        writeln!(file, "{what}: {reason}").with_context(failed)
    }

    /// Says how far it is, if it is time to.
    pub(super) fn progress(&mut self, how_far: &str) {
        let interval = Duration::from_millis(if self.is_terminal { 200 } else { 10_000 });
        if self.said.is_some_and(|said| said.elapsed() < interval) {
            return;
        }
        self.said = Some(Instant::now());
        let line = format!("{how_far}; {}", self.counts());
        if self.is_terminal {
            eprint!("\r\x1b[K{line}");
        } else {
            eprintln!("{line}");
        }
    }

    /// Says something that stays.
    pub(super) fn say(&self, line: &str) {
        eprintln!("{}{line}", if self.is_terminal { "\r\x1b[K" } else { "" });
    }

    fn counts(&self) -> String {
        format!("{} keys, {} commands, {} not taken", self.keys, self.commands, self.refused)
    }

    /// Says what came of it.
    pub(super) fn end(&self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.say("");
        println!("imported in {seconds:.1} s: {}", self.counts());
        if self.refused > 0 {
            println!("what was not taken is listed in {}", self.list.display());
        }
    }
}
