//! Where a value ends, which nothing says but the value.

use std::io::Read;

use super::FileError;
use super::source::Source;
use crate::stream::Version;
use crate::{Corrupt, Kind};

/// Values that are there to be passed over: nobody but their module, or a later Redis, takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// A module's, which says what its parts are.
    Module,
    /// A hash whose fields expire, of Redis 7.4 and later.
    ExpiringHash,
    /// The same, as a listpack.
    ExpiringHashListpack,
}

impl Foreign {
    pub(super) fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            7 => Some(Self::Module),
            24 => Some(Self::ExpiringHash),
            25 => Some(Self::ExpiringHashListpack),
            _ => None,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Module => "it is a module's",
            Self::ExpiringHash | Self::ExpiringHashListpack => "it is a hash whose fields expire",
        }
    }
}

type Walked = Result<(), FileError>;

impl<R: Read> Source<R> {
    /// Passes over a value of this kind.
    pub(super) fn skip_value(&mut self, kind: Kind) -> Walked {
        match kind {
            Kind::List | Kind::Set | Kind::ListQuicklist => self.each(Self::skip_string),
            Kind::Hash => self.each(|source| {
                source.skip_string()?;
                source.skip_string()
            }),
            Kind::Zset => self.each(|source| {
                source.skip_string()?;
                source.skip(8)
            }),
            Kind::ZsetOfTexts => self.each(|source| {
                source.skip_string()?;
                match source.byte()? {
                    253.. => Ok(()),
                    length => source.skip(length.into()),
                }
            }),
            Kind::ListQuicklist2 => self.each(|source| {
                source.length()?;
                source.skip_string()
            }),
            Kind::String
            | Kind::SetIntset
            | Kind::HashZipmap
            | Kind::ListZiplist
            | Kind::HashZiplist
            | Kind::HashListpack
            | Kind::ZsetZiplist
            | Kind::ZsetListpack
            | Kind::SetListpack => self.skip_string(),
            Kind::Stream5 => self.skip_stream(Version::Five, Version::Five),
            Kind::Stream7 => self.skip_stream(Version::Seven, Version::Seven),
            Kind::Stream => self.skip_stream(Version::SevenTwo, Version::SevenTwo),
        }
    }

    /// Passes over a value that nobody takes.
    pub(super) fn skip_foreign(&mut self, foreign: Foreign) -> Walked {
        match foreign {
            Foreign::Module => {
                self.length()?;
                self.skip_module()
            }
            Foreign::ExpiringHash => {
                // When the first of them expires; then each field with its time.
                self.skip(8)?;
                self.each(|source| {
                    source.length()?;
                    source.skip_string()?;
                    source.skip_string()
                })
            }
            Foreign::ExpiringHashListpack => {
                self.skip(8)?;
                self.skip_string()
            }
        }
    }

    /// Passes over what a module has written: numbers and strings, each with its type before it.
    pub(super) fn skip_module(&mut self) -> Walked {
        loop {
            match self.length()? {
                0 => return Ok(()),
                // A number, with a sign or without.
                1 | 2 => {
                    self.length()?;
                }
                // A float, and a double.
                3 => self.skip(4)?,
                4 => self.skip(8)?,
                5 => self.skip_string()?,
                _ => return Err(self.corrupt(Corrupt("a module's value that makes no sense"))),
            }
        }
    }

    /// Passes over a stream, and keeps what one of an older version has of it.
    pub(super) fn skip_stream(&mut self, version: Version, kept: Version) -> Walked {
        self.each(|source| {
            source.skip_string()?;
            source.skip_string()
        })?;
        // How many entries, and the last id; then the first id, the latest that was deleted, and how many
        // were added.
        self.skip_lengths(if version >= Version::Seven { 8 } else { 3 })?;
        self.each(|source| {
            source.skip_string()?;
            source.skip_lengths(if version >= Version::Seven { 3 } else { 2 })?;
            source.each(|source| {
                source.skip(16 + 8)?;
                source.skip_lengths(1)
            })?;
            source.each(|source| {
                source.skip_string()?;
                // When it was seen; and when it was given something, which came later.
                source.skip(8)?;
                match (version >= Version::SevenTwo, kept >= Version::SevenTwo) {
                    (true, true) => source.skip(8)?,
                    (true, false) => source.leave_out(8)?,
                    (false, _) => {}
                }
                source.each(|source| source.skip(16))
            })
        })
    }

    fn skip_lengths(&mut self, count: usize) -> Walked {
        (0..count).try_for_each(|_| self.length().map(|_| ()))
    }

    fn each(&mut self, mut skip: impl FnMut(&mut Self) -> Walked) -> Walked {
        let count = self.length()?;
        (0..count).try_for_each(|_| skip(self))
    }
}
