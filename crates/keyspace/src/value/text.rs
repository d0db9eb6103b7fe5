//! Strings. One that reads as an integer is kept as one: counting is cheap.

use super::BESIDE_COST;
use crate::number::parse_integer;
use crate::slot::INLINE_MAX;

/// The longest string that may exist (Redis' `proto-max-bulk-len`).
pub const TEXT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The longest string that Redis embeds into the object.
const EMBEDDED_MAX: usize = 44;

/// A string, lent from wherever its bytes are.
///
/// Always in its canonical form: `Raw` never holds what `Integer` could. Two equal strings are thus equal in
/// every observable way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    Integer(i64),
    Raw(&'a [u8]),
}

impl<'a> Text<'a> {
    /// A string of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        match parse_integer(bytes) {
            Some(number) => Self::Integer(number),
            None => Self::Raw(bytes),
        }
    }

    /// Lends the bytes, written out on the stack if it is kept as an integer.
    pub(crate) fn with<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Integer(number) => f(itoa::Buffer::new().format(number).as_bytes()),
            Self::Raw(bytes) => f(bytes),
        }
    }

    /// The bytes.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// How many bytes.
    pub(crate) fn len(self) -> usize {
        self.with(<[u8]>::len)
    }

    pub(crate) fn memory(self) -> u64 {
        match self {
            Self::Integer(_) => 8,
            Self::Raw(bytes) if bytes.len() > INLINE_MAX => {
                BESIDE_COST + bytes.len() as u64 + bytes.len() as u64 / 8
            }
            Self::Raw(bytes) => bytes.len() as u64,
        }
    }

    pub(crate) fn encoding(self) -> &'static str {
        match self {
            Self::Integer(_) => "int",
            Self::Raw(bytes) if bytes.len() <= EMBEDDED_MAX => "embstr",
            Self::Raw(_) => "raw",
        }
    }
}
