//! HyperLogLogs: how many different elements there were, to within about one percent, in 12 KiB.
//!
//! Each element is [hashed](element). One part of the hash picks one of 2^14 registers; a register remembers
//! the longest run of zeroes that the other part of a hash began with. From the registers alone the number of
//! different elements can be [estimated](estimate). The idea is that of Flajolet, Fusy, Gandouet and Meunier
//! (*HyperLogLog*, 2007).
//!
//! A HyperLogLog is a string, which users may read, copy and write, and its bytes are those that Redis would
//! have. So a string from a Redis goes on to work here, and the other way round:
//!
//! ```text
//! header  := "HYLL" encoding:u8 0 0 0 cardinality:u64    little-endian; invalid if its highest bit is set
//! string  := header registers
//! ```
//!
//! The registers are [dense] or [sparse]. A new one is sparse, and becomes dense for good when it
//! outgrows [`SPARSE_BYTES_MAX`] or has a register that has no sparse form.
//!
//! Whatever a user wrote may be corrupt. What has no header of ours is no HyperLogLog; that the sparse form
//! covers all registers is [checked](check) before they are looked at.

mod dense;
pub(crate) mod element;
pub(crate) mod estimate;
mod sparse;

use crate::error::CommandError;

/// How many registers there are.
pub(crate) const REGISTERS: usize = 1 << 14;
/// How many bits of a hash do not pick the register.
const REST_BITS: u32 = u64::BITS - REGISTERS.ilog2();
/// One more than the largest value of a register: it has six bits.
pub(crate) const VALUES: usize = 64;
/// A longer string is not kept in the sparse form (Redis' `hll-sparse-max-bytes`).
pub(crate) const SPARSE_BYTES_MAX: usize = 3000;

const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const CARDINALITY_AT: usize = 8;
const HEADER: usize = 16;

pub(crate) const NO_HYPERLOGLOG: CommandError =
    CommandError::Other("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: CommandError = CommandError::Other("INVALIDOBJ Corrupted HLL object detected");

/// How the registers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Each in six bits.
    Dense,
    /// As runs of equal values.
    Sparse,
}

/// How a string has its registers, if it has the header of a HyperLogLog.
///
/// # Errors
/// When it is none.
pub(crate) fn encoding(bytes: &[u8]) -> Result<Encoding, CommandError> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return Err(NO_HYPERLOGLOG);
    }
    match bytes[ENCODING_AT] {
        0 if bytes.len() == HEADER + dense::BYTES => Ok(Encoding::Dense),
        1 => Ok(Encoding::Sparse),
        _ => Err(NO_HYPERLOGLOG),
    }
}

/// Whether the registers of a HyperLogLog are all there, and no others.
///
/// # Errors
/// When they are not. That is found out before much more is read than they would have.
pub(crate) fn check(bytes: &[u8]) -> Result<(), CommandError> {
    match encoding(bytes)? {
        Encoding::Dense => Ok(()),
        Encoding::Sparse if sparse::is_complete(&bytes[HEADER..]) => Ok(()),
        Encoding::Sparse => Err(CORRUPT),
    }
}

/// One in which no element has been counted.
pub(crate) fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING_AT] = 1;
    bytes.extend_from_slice(&sparse::ALL_ZERO);
    bytes
}

/// The cardinality that whoever wrote the string has put there, if nothing was changed since.
pub(crate) fn cached_cardinality(bytes: &[u8]) -> Option<i64> {
    let cached = bytes.get(CARDINALITY_AT..HEADER)?.try_into().ok()?;
    // The highest bit is the sign: no valid one is negative.
    Some(i64::from_le_bytes(cached)).filter(|cardinality| *cardinality >= 0)
}

/// The cached cardinality counts no longer.
pub(crate) fn forget_cardinality(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= 0x80;
}

/// Calls `each` with the runs of equal registers of a HyperLogLog that was [checked](check), in order: the
/// value, and how many.
pub(crate) fn each_run(bytes: &[u8], each: impl FnMut(u8, usize)) {
    let registers = &bytes[HEADER..];
    if bytes[ENCODING_AT] == 1 { sparse::each_run(registers, each) } else { dense::each_run(registers, each) }
}

/// What `PFDEBUG DECODE` answers about a sparse HyperLogLog that was [checked](check).
pub(crate) fn description(bytes: &[u8]) -> String {
    sparse::description(&bytes[HEADER..])
}

/// What a register has in a dense HyperLogLog.
pub(crate) fn dense_value(bytes: &[u8], register: usize) -> u8 {
    dense::get(&bytes[HEADER..], register)
}

/// Raises a register of a HyperLogLog that was [checked](check) to a value, if it is lower; whether it was.
/// May make it dense.
pub(crate) fn raise(bytes: &mut Vec<u8>, register: usize, value: u8) -> bool {
    if bytes[ENCODING_AT] == 1 {
        match sparse::raise(bytes, register, value) {
            Some(raised) => return raised,
            None => make_dense(bytes),
        }
    }
    dense::raise(&mut bytes[HEADER..], register, value)
}

/// Makes a HyperLogLog dense that was [checked](check). The header stays, the cached cardinality with it.
pub(crate) fn make_dense(bytes: &mut Vec<u8>) {
    if bytes[ENCODING_AT] == 0 {
        return;
    }
    let mut dense = vec![0; HEADER + dense::BYTES];
    dense[..HEADER].copy_from_slice(&bytes[..HEADER]);
    dense[ENCODING_AT] = 0;
    let mut register = 0;
    each_run(bytes, |value, count| {
        if value > 0 {
            (register..register + count).for_each(|at| dense::set(&mut dense[HEADER..], at, value));
        }
        register += count;
    });
    *bytes = dense;
}

#[cfg(test)]
mod tests;
