//! The bytes of a file.

use std::io::{self, Read};

use crc::{Digest, Table};

use super::{FileError, VALUE_BYTES_MAX};
use crate::input::Length;
use crate::payload::CRC;
use crate::{CUT, Corrupt, Input};

/// So many bytes are taken at once of what is long.
const CHUNK: usize = 64 << 10;

/// Bytes that are read from front to back, counted, and summed up. What is read can be kept.
pub(super) struct Source<R> {
    reader: R,
    position: u64,
    checksum: Digest<'static, u64, Table<16>>,
    /// What was read since somebody wished it kept, and whether it was too much.
    kept: Vec<u8>,
    keeping: Keeping,
    chunk: Box<[u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Nothing,
    All,
    /// It was too much.
    NoLonger,
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            position: 0,
            checksum: CRC.digest(),
            kept: Vec::new(),
            keeping: Keeping::Nothing,
            chunk: vec![0; CHUNK].into(),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn into_inner(self) -> R {
        self.reader
    }

    /// The checksum of everything so far.
    pub(super) fn checksum(&self) -> u64 {
        self.checksum.clone().finalize()
    }

    /// Says what is wrong here.
    pub(super) fn corrupt(&self, what: Corrupt) -> FileError {
        FileError::Corrupt { position: self.position, what }
    }

    /// Keeps what is read from here on.
    pub(super) fn keep(&mut self, beginning: &[u8]) {
        self.kept.clear();
        self.kept.extend_from_slice(beginning);
        self.keeping = Keeping::All;
    }

    /// What was read since, unless it is more than a value may have.
    pub(super) fn kept(&mut self) -> Option<Vec<u8>> {
        let kept = std::mem::take(&mut self.kept);
        (std::mem::replace(&mut self.keeping, Keeping::Nothing) == Keeping::All).then_some(kept)
    }

    fn take_chunk(&mut self, bytes: usize) -> Result<(), FileError> {
        let chunk = &mut self.chunk[..bytes];
        self.reader.read_exact(chunk).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => FileError::Corrupt { position: self.position, what: CUT },
            _ => FileError::Io(error),
        })?;
        self.position += bytes as u64;
        self.checksum.update(chunk);
        if self.keeping == Keeping::All {
            if self.kept.len() + bytes > VALUE_BYTES_MAX {
                (self.kept, self.keeping) = (Vec::new(), Keeping::NoLonger);
            } else {
                self.kept.extend_from_slice(chunk);
            }
        }
        Ok(())
    }

    /// Passes over so many bytes.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), FileError> {
        let mut left = bytes;
        while left > 0 {
            let now = left.min(CHUNK as u64);
            self.take_chunk(now as usize)?;
            left -= now;
        }
        Ok(())
    }

    /// Passes over so many bytes, and does not keep them.
    pub(super) fn leave_out(&mut self, bytes: u64) -> Result<(), FileError> {
        let keeping = std::mem::replace(&mut self.keeping, Keeping::Nothing);
        let skipped = self.skip(bytes);
        self.keeping = keeping;
        skipped
    }

    /// The next `N` bytes, which are a few.
    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], FileError> {
        self.take_chunk(N)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.chunk[..N]);
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FileError> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    fn any_length(&mut self) -> Result<Length, FileError> {
        let mut bytes = [0; 9];
        bytes[0] = self.byte()?;
        let more = match bytes[0] {
            0x40..0x80 => 1,
            0x80 => 4,
            0x81 => 8,
            _ => 0,
        };
        self.take_chunk(more)?;
        bytes[1..=more].copy_from_slice(&self.chunk[..more]);
        Input::new(&bytes[..=more]).any_length().map_err(|what| self.corrupt(what))
    }

    /// A length, or another number.
    pub(super) fn length(&mut self) -> Result<u64, FileError> {
        match self.any_length()? {
            Length::Plain(length) => Ok(length),
            Length::Special(_) => Err(self.corrupt(Corrupt("a length that makes no sense"))),
        }
    }

    /// Passes over a string.
    pub(super) fn skip_string(&mut self) -> Result<(), FileError> {
        match self.any_length()? {
            Length::Plain(length) => self.skip(length),
            Length::Special(encoding @ 0..=2) => self.skip(1 << encoding),
            Length::Special(3) => {
                let (packed, _unpacked) = (self.length()?, self.length()?);
                self.skip(packed)
            }
            Length::Special(_) => Err(self.corrupt(Corrupt("a string in an unknown encoding"))),
        }
    }

    /// A string that must not be too long.
    pub(super) fn string(&mut self) -> Result<Vec<u8>, FileError> {
        self.keep(&[]);
        self.skip_string()?;
        let raw = self.kept().ok_or_else(|| self.corrupt(Corrupt("a name of more than 512 MiB")))?;
        let text = Input::new(&raw).string().map(std::borrow::Cow::into_owned);
        text.map_err(|what| self.corrupt(what))
    }
}
