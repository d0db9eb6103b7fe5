//! Strings. One that reads as an integer is kept as one: it needs no allocation, and counting is cheap.

use std::ops::Deref;

use crate::number::parse_integer;

/// The longest string that may exist (Redis' `proto-max-bulk-len`).
pub(crate) const TEXT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The longest string that Redis embeds into the object.
const EMBEDDED_MAX: usize = 44;

/// A string value.
///
/// Always in its canonical form: `Raw` never holds what `Integer` could. Two equal strings are thus equal in
/// every observable way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Integer(i64),
    Raw(Vec<u8>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Raw(Vec::new())
    }
}

/// The bytes of a string, written out on the stack if it is kept as an integer.
pub(crate) enum TextBytes<'a> {
    Integer(itoa::Buffer, i64),
    Raw(&'a [u8]),
}

impl TextBytes<'_> {
    /// Lends the bytes.
    pub(crate) fn with<R>(mut self, f: impl FnOnce(&[u8]) -> R) -> R {
        match &mut self {
            Self::Integer(buffer, number) => f(buffer.format(*number).as_bytes()),
            Self::Raw(bytes) => f(bytes.deref()),
        }
    }
}

impl Text {
    /// A string of these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match parse_integer(bytes) {
            Some(number) => Self::Integer(number),
            None => Self::Raw(bytes.to_vec()),
        }
    }

    /// A string of these bytes, without copying them.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        match parse_integer(&bytes) {
            Some(number) => Self::Integer(number),
            None => Self::Raw(bytes),
        }
    }

    /// Lends the bytes.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        let bytes = match self {
            Self::Integer(number) => TextBytes::Integer(itoa::Buffer::new(), *number),
            Self::Raw(bytes) => TextBytes::Raw(bytes),
        };
        bytes.with(f)
    }

    /// The bytes.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Raw(bytes) => bytes.len(),
            Self::Integer(_) => self.with(<[u8]>::len),
        }
    }

    /// Lets `change` have the bytes as a vector, and brings the result back into canonical form.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = match std::mem::take(self) {
            Self::Raw(bytes) => bytes,
            number @ Self::Integer(_) => number.to_vec(),
        };
        change(&mut bytes);
        *self = Self::from_vec(bytes);
    }

    pub(crate) fn memory(&self) -> u64 {
        match self {
            Self::Integer(_) => 0,
            Self::Raw(bytes) => bytes.len() as u64,
        }
    }

    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int",
            Self::Raw(bytes) if bytes.len() <= EMBEDDED_MAX => "embstr",
            Self::Raw(_) => "raw",
        }
    }
}
