//! A file, part by part.

use std::io::Read;

use super::source::Source;
use super::walk::Foreign;
use super::{FileError, MAGIC, opcode};
use crate::{Corrupt, Kind, RDB_VERSION, seal};

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The keys that follow belong to this database.
    Database(u64),
    /// The source of a library of functions.
    Library(Vec<u8>),
    /// A key.
    Key(Key),
}

/// A key of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: Vec<u8>,
    /// When it expires, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// What it holds.
    pub value: Value,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A payload that `RESTORE` takes.
    Payload(Vec<u8>),
    /// Nothing that could be had, and why.
    Foreign(&'static str),
}

/// Reads a file from front to back.
pub struct Reader<R> {
    source: Source<R>,
    version: u32,
    has_ended: bool,
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("version", &self.version).finish_non_exhaustive()
    }
}

impl<R: Read> Reader<R> {
    /// Begins a file. The bytes are taken a few at a time: there had better be a buffer.
    ///
    /// # Errors
    /// It is no RDB file, or cannot be read.
    pub fn new(reader: R) -> Result<Self, FileError> {
        let mut source = Source::new(reader);
        let header: [u8; 9] = source.fixed()?;
        let version =
            header.strip_prefix(MAGIC).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let version =
            version.ok_or(FileError::Corrupt { position: 0, what: Corrupt("it is no RDB file") })?;
        Ok(Self { source, version, has_ended: false })
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// What is behind the file, if it has been read to its end.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.source.into_inner()
    }

    /// The next part; nothing at the end, where the checksum is compared.
    ///
    /// # Errors
    /// The file is damaged, is of a version that nobody knows yet, or cannot be read.
    pub fn read(&mut self) -> Result<Option<Item>, FileError> {
        let mut expires = None;
        while !self.has_ended {
            match self.source.byte()? {
                opcode::NOTE => {
                    self.source.skip_string()?;
                    self.source.skip_string()?;
                }
                opcode::DATABASE => return self.source.length().map(Item::Database).map(Some),
                opcode::SIZES => {
                    self.source.length()?;
                    self.source.length()?;
                }
                opcode::SLOT => {
                    self.source.length()?;
                    self.source.length()?;
                    self.source.length()?;
                }
                opcode::LIBRARY => return self.source.string().map(Item::Library).map(Some),
                opcode::MODULE => {
                    // Which module; then when it wants to hear of it, a number as every other.
                    self.source.length()?;
                    self.source.skip_module()?;
                }
                opcode::EXPIRES_MILLIS => expires = Some(u64::from_le_bytes(self.source.fixed()?)),
                opcode::EXPIRES_SECONDS => {
                    expires = Some(u64::from(u32::from_le_bytes(self.source.fixed()?)) * 1000);
                }
                opcode::IDLE => {
                    self.source.length()?;
                }
                opcode::FREQUENCY => {
                    self.source.byte()?;
                }
                opcode::END => self.end()?,
                kind => return self.key(kind, expires).map(Item::Key).map(Some),
            }
        }
        Ok(None)
    }

    fn key(&mut self, byte: u8, expires: Option<u64>) -> Result<Key, FileError> {
        if let Some(foreign) = Foreign::of_byte(byte) {
            let name = self.source.string()?;
            self.source.skip_foreign(foreign)?;
            return Ok(Key { name, expires, value: Value::Foreign(foreign.reason()) });
        }
        let kind = Kind::of_byte(byte).map_err(|what| self.source.corrupt(what))?;
        let name = self.source.string()?;
        self.source.keep(&[byte]);
        self.source.skip_value(kind)?;
        let value = match self.source.kept() {
            Some(mut value) => {
                seal(&mut value, RDB_VERSION, &mut |_| {});
                Value::Payload(value)
            }
            None => Value::Foreign("it has more than 512 MiB"),
        };
        Ok(Key { name, expires, value })
    }

    fn end(&mut self) -> Result<(), FileError> {
        self.has_ended = true;
        if self.version < 5 {
            return Ok(());
        }
        let computed = self.source.checksum();
        match u64::from_le_bytes(self.source.fixed()?) {
            // Whoever wrote it was told not to.
            0 => Ok(()),
            claimed if claimed == computed => Ok(()),
            _ => Err(self.source.corrupt(Corrupt("the checksum is wrong"))),
        }
    }
}
