//! The Redis serialization protocol: requests from bytes, replies to bytes.
//!
//! Requests are parsed by [`Parser`], a small parser of our own that knows only what clients send: arrays of
//! bulk strings, and inline commands. It hands out the arguments as slices of the input, without an
//! allocation per request or per argument. A general parser of all of RESP3 builds a tree of frames first,
//! which measured four times as slow for a `SET`; it is the oracle of this crate's tests instead.
//!
//! Replies are appended to a `Vec<u8>` by [`Writer`], which knows how RESP2 spells what only RESP3 has a type
//! for. A reply that is kept for later is written in a form from which both can be had ([`write_neutral`]).
//!
//! What is not here: parsing of replies (nobody in the server reads any; where one ends is said by
//! [`replies_length`]), streamed strings and aggregates (no client sends them).

mod inline;
mod neutral;
mod number;
mod parser;
mod skip;
mod writer;

pub use inline::words;
pub use neutral::write_neutral;
pub use number::format_double;
pub use parser::{Limits, Parser, ProtocolError, Request};
pub use skip::replies_length;
pub use writer::{Version, Writer};
