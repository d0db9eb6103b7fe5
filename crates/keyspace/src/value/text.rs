//! Strings. One that reads as an integer is kept as one: it needs no allocation, and counting is cheap.

use smallvec::SmallVec;

use crate::number::parse_integer;

/// The longest string that may exist (Redis' `proto-max-bulk-len`).
pub const TEXT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The longest string that Redis embeds into the object.
const EMBEDDED_MAX: usize = 44;

/// The bytes of a string. Short ones lie within the table of keys itself: one less cache miss for each
/// command.
type Bytes = SmallVec<[u8; 24]>;

/// A string value.
///
/// Always in its canonical form: `Raw` never holds what `Integer` could. Two equal strings are thus equal in
/// every observable way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Integer(i64),
    Raw(Bytes),
}

impl Default for Text {
    fn default() -> Self {
        Self::Raw(Bytes::new())
    }
}

impl Text {
    /// A string of these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match parse_integer(bytes) {
            Some(number) => Self::Integer(number),
            None => Self::Raw(Bytes::from_slice(bytes)),
        }
    }

    /// A string of these bytes, without copying them.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        match parse_integer(&bytes) {
            Some(number) => Self::Integer(number),
            None => Self::Raw(Bytes::from_vec(bytes)),
        }
    }

    /// Lends the bytes, written out on the stack if it is kept as an integer.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Integer(number) => f(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Raw(bytes) => f(bytes),
        }
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
            Self::Raw(bytes) => bytes.into_vec(),
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
