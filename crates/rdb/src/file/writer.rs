//! A file that is written.

use std::io::{self, Write};

use crc::{Digest, Table};

use super::source::Source;
use super::{MAGIC, opcode};
use crate::payload::CRC;
use crate::stream::Version;
use crate::{Kind, Output, RDB_VERSION, open};

/// Which Redis is to load a file: a later one does, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Redis 7.0. It does not know when consumers of streams were given something last.
    Seven,
    /// Redis 7.2.
    SevenTwo,
}

/// Writes a file from front to back.
pub struct Writer<W> {
    writer: W,
    format: Format,
    checksum: Digest<'static, u64, Table<16>>,
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(writer: W, format: Format) -> io::Result<Self> {
        let mut this = Self { writer, format, checksum: CRC.digest() };
        this.put(MAGIC)?;
        let version = match format {
            Format::Seven => 10,
            Format::SevenTwo => RDB_VERSION,
        };
        this.put(format!("{version:04}").as_bytes())?;
        Ok(this)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.writer.write_all(bytes)
    }

    fn put_strings(&mut self, opcode: u8, strings: &[&[u8]]) -> io::Result<()> {
        let mut out = Output::default();
        strings.iter().for_each(|string| out.string(string));
        self.put(&[opcode])?;
        self.put(&out.into_bytes())
    }

    /// A note for whoever reads it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.put_strings(opcode::NOTE, &[name.as_bytes(), value.as_bytes()])
    }

    /// A library of functions.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn library(&mut self, source: &[u8]) -> io::Result<()> {
        self.put_strings(opcode::LIBRARY, &[source])
    }

    /// The keys from here on belong to this database.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn database(&mut self, number: u64) -> io::Result<()> {
        let mut out = Output::default();
        out.length(number);
        self.put(&[opcode::DATABASE])?;
        self.put(&out.into_bytes())
    }

    /// A key, with what `DUMP` answered for it.
    ///
    /// # Errors
    /// It cannot be written, or the payload is not whole.
    pub fn key(&mut self, name: &[u8], expires: Option<u64>, payload: &[u8]) -> io::Result<()> {
        let value = open(payload, &mut |_| {}).map_err(|error| io::Error::other(error.to_string()))?;
        let (kind, value) = value.split_first().ok_or_else(|| io::Error::other("an empty payload"))?;
        if let Some(expires) = expires {
            self.put(&[opcode::EXPIRES_MILLIS])?;
            self.put(&expires.to_le_bytes())?;
        }
        if self.format == Format::Seven && *kind == Kind::Stream as u8 {
            self.put_strings(Kind::Stream7 as u8, &[name])?;
            return self.put(&older_stream(value)?);
        }
        self.put_strings(*kind, &[name])?;
        self.put(value)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&[opcode::END])?;
        let checksum = self.checksum.clone().finalize();
        self.writer.write_all(&checksum.to_le_bytes())?;
        self.writer.flush()?;
        Ok(self.writer)
    }
}

/// A stream as Redis 7.0 has it.
fn older_stream(value: &[u8]) -> io::Result<Vec<u8>> {
    let mut source = Source::new(value);
    source.keep(&[]);
    source.skip_stream(Version::SevenTwo, Version::Seven).map_err(io::Error::other)?;
    source.kept().ok_or_else(|| io::Error::other("a stream of more than 512 MiB"))
}
