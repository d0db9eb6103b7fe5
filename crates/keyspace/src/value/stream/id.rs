//! Ids of the entries of a stream.

/// An id: a time in milliseconds, and a number among those of the same time. Ids are ordered by both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) ms: u64,
    pub(crate) seq: u64,
}

/// The longest text of an id.
const TEXT_MAX: usize = 20 + 1 + 20;

impl Id {
    /// No entry has this one.
    pub(crate) const ZERO: Self = Self { ms: 0, seq: 0 };
    pub(crate) const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The one behind it, unless it is the last.
    pub(crate) fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The one before it, unless it is the first.
    pub(crate) fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Lends its text.
    pub(crate) fn with_text<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        let (mut text, mut length) = ([0; TEXT_MAX], 0);
        let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        for part in [ms.format(self.ms), "-", seq.format(self.seq)] {
            text[length..length + part.len()].copy_from_slice(part.as_bytes());
            length += part.len();
        }
        f(&text[..length])
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        // Each half fits.
        Self { ms: (number >> 64) as u64, seq: number as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_one_another() {
        let id = |ms, seq| Id { ms, seq };
        assert_eq!(id(5, 3).next(), Some(id(5, 4)));
        assert_eq!(id(5, u64::MAX).next(), Some(id(6, 0)));
        assert_eq!(Id::MAX.next(), None);
        assert_eq!(id(6, 0).previous(), Some(id(5, u64::MAX)));
        assert_eq!(Id::ZERO.previous(), None);
        for each in [id(0, 1), id(u64::MAX, 0), id(3, u64::MAX)] {
            assert_eq!(Id::from_bytes(each.to_bytes()), each);
            assert_eq!(each.with_text(<[u8]>::to_vec), format!("{}-{}", each.ms, each.seq).into_bytes());
        }
    }
}
