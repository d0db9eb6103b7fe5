//! The commands, one file per family.
//!
//! Each function parses and checks its arguments, then executes, then replies. The number of arguments has
//! been checked against the table before.

pub(crate) mod bitfield;
pub(crate) mod bitop;
pub(crate) mod bits;
pub(crate) mod blocking;
pub(crate) mod channels;
pub(crate) mod cluster;
pub(crate) mod counters;
pub(crate) mod databases;
pub(crate) mod debug;
pub(crate) mod dump;
pub(crate) mod expiry;
pub(crate) mod functions;
pub(crate) mod geo;
pub(crate) mod geo_search;
pub(crate) mod hashes;
pub(crate) mod hyperloglog;
pub(crate) mod keys;
pub(crate) mod lcs;
pub(crate) mod lists;
pub(crate) mod object;
pub(crate) mod once;
pub(crate) mod random;
pub(crate) mod scan;
pub(crate) mod scripting;
pub(crate) mod set;
pub(crate) mod set_algebra;
pub(crate) mod sets;
pub(crate) mod sort;
pub(crate) mod stream_claim;
pub(crate) mod stream_groups;
mod stream_ids;
pub(crate) mod stream_info;
pub(crate) mod stream_pending;
pub(crate) mod stream_range;
pub(crate) mod stream_read;
pub(crate) mod streams;
pub(crate) mod strings;
pub(crate) mod watching;
pub(crate) mod zset_algebra;
pub(crate) mod zset_range;
pub(crate) mod zsets;
