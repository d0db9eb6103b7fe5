//! Long strings are copied in pieces, with pauses between ([`Budget`]).

use onecopy_core::Budget;

use crate::steps::{PIECE, copying};

/// A copy of bytes, made piece by piece.
pub(crate) fn copy(bytes: &[u8], budget: Budget<'_>) -> Vec<u8> {
    let mut copy = Vec::new();
    extend(&mut copy, bytes, budget);
    copy
}

/// Appends bytes piece by piece; what is there already is moved piece by piece, too, if it has to be.
pub(crate) fn extend(bytes: &mut Vec<u8>, suffix: &[u8], budget: Budget<'_>) {
    make_room(bytes, suffix.len(), budget);
    for piece in suffix.chunks(PIECE) {
        bytes.extend_from_slice(piece);
        budget.spend(copying(piece.len()));
    }
}

/// Appends zeroes piece by piece, until there are so many bytes.
pub(crate) fn lengthen(bytes: &mut Vec<u8>, length: usize, budget: Budget<'_>) {
    make_room(bytes, length.saturating_sub(bytes.len()), budget);
    while bytes.len() < length {
        let piece = (length - bytes.len()).min(PIECE);
        bytes.resize(bytes.len() + piece, 0);
        budget.spend(copying(piece));
    }
}

/// Makes room for so many bytes more. As a vector does by itself, there is some to spare if there was too
/// little.
fn make_room(bytes: &mut Vec<u8>, more: usize, budget: Budget<'_>) {
    let needed = bytes.len().saturating_add(more);
    if needed <= bytes.capacity() || bytes.len() <= PIECE {
        return bytes.reserve(more);
    }
    let mut moved = Vec::with_capacity(needed.max(bytes.capacity().saturating_mul(2)));
    for piece in bytes.chunks(PIECE) {
        moved.extend_from_slice(piece);
        budget.spend(copying(piece.len()));
    }
    *bytes = moved;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use onecopy_core::Slices;

    use super::*;

    #[test]
    fn bytes_are_the_same_in_pieces_and_there_are_pauses() {
        let pauses = Cell::new(0);
        let pause = |_| {
            pauses.set(pauses.get() + 1);
            1
        };
        let slices = Slices::new(1, &pause);
        let bytes: Vec<u8> = (0..3 * PIECE + 7).map(|at| at as u8).collect();
        let mut copied = copy(&bytes, slices.budget());
        assert!(copied == bytes && pauses.get() >= 3);
        extend(&mut copied, &bytes, slices.budget());
        assert!(copied[..bytes.len()] == bytes && copied[bytes.len()..] == bytes);
        lengthen(&mut copied, 7 * PIECE, slices.budget());
        assert!(copied.len() == 7 * PIECE && copied[2 * bytes.len()..].iter().all(|byte| *byte == 0));
        lengthen(&mut copied, 3, slices.budget());
        assert_eq!(copied.len(), 7 * PIECE, "never shorter");
    }
}
