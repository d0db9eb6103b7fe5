//! Values as Redis serializes them: in the payloads of `DUMP` and `RESTORE`, and in [RDB files](mod@file).
//! Pure: bytes in, [elements](Element) out, and back.
//!
//! Redis has about twenty encodings of its six types, because it writes what it has in memory: lists of small
//! values are *listpacks* today and were *ziplists* until Redis 7, sets of integers are *intsets*. All of
//! them are [read](read_value), whatever version wrote them. What is [written](Output) uses the plainest
//! encoding of each type, which every version reads; streams have but one, and it is a row of listpacks.
//!
//! Nothing that is read is believed: lengths, counts and order are checked, and what has been unpacked is
//! bounded in bytes ([`UNPACKED_MAX`]).
//!
//! Source: the format has no document of its own but Redis' `rdb.h`, and "Redis RDB File Format" by Sripathi
//! Krishnan.

mod element;
pub mod file;
mod input;
mod intset;
mod listpack;
mod lzf;
mod number;
mod output;
mod payload;
mod stream;
mod value;
mod ziplist;
mod zipmap;

pub use element::{Element, EntriesRead, StreamId};
pub use input::{Input, UNPACKED_MAX};
pub use output::{Node, Output};
pub use payload::{RDB_VERSION, open, seal};
pub use value::{Kind, read_value};

/// Bytes that are no value, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Corrupt(pub &'static str);

/// There are fewer bytes than were announced.
pub(crate) const CUT: Corrupt = Corrupt("it ends too early");
