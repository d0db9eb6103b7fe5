//! RDB files: what a Redis saves, and what it sends to a replica first.
//!
//! ```text
//! file     := "REDIS" version:4 digits part* 0xff checksum:u64      the checksum since version 5, 0 for none
//! part     := 0xfa name:string value:string         a note: which version wrote it, when, …
//!           | 0xfe database:length                  the keys from here on belong to this database
//!           | 0xfb keys:length expiring:length      how many there will be: a hint
//!           | 0xf4 slot:length keys:length expiring:length            a hint of clusters
//!           | 0xf5 library:string                   a library of functions
//!           | 0xf7 module:length value              what a module has to say
//!           | about* kind:u8 key:string value
//! about    := 0xfc expires:u64 ms | 0xfd expires:u32 s | 0xf8 idle:length | 0xf9 frequency:u8
//! ```
//!
//! A [`Reader`] hands out the values as payloads that `RESTORE` takes, without looking into them: so they may
//! be large, and a value that nobody but a module can read is passed over. A [`Writer`] takes payloads.

mod reader;
mod source;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

use std::io;

use crate::Corrupt;

pub use reader::{Item, Key, Reader, Value};
pub use writer::{Format, Writer};

/// A value of more bytes is passed over: `RESTORE` does not take it, nor does Redis.
pub const VALUE_BYTES_MAX: usize = 512 << 20;

const MAGIC: &[u8; 5] = b"REDIS";

/// What stands before a part that is no value.
mod opcode {
    pub(super) const SLOT: u8 = 0xf4;
    pub(super) const LIBRARY: u8 = 0xf5;
    pub(super) const MODULE: u8 = 0xf7;
    pub(super) const IDLE: u8 = 0xf8;
    pub(super) const FREQUENCY: u8 = 0xf9;
    pub(super) const NOTE: u8 = 0xfa;
    pub(super) const SIZES: u8 = 0xfb;
    pub(super) const EXPIRES_MILLIS: u8 = 0xfc;
    pub(super) const EXPIRES_SECONDS: u8 = 0xfd;
    pub(super) const DATABASE: u8 = 0xfe;
    pub(super) const END: u8 = 0xff;
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system, or the network, has failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no RDB file, or it is damaged.
    #[error("{what}, at byte {position}")]
    Corrupt {
        /// Where.
        position: u64,
        /// In which way.
        what: Corrupt,
    },
}
