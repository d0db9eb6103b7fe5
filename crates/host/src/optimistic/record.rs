//! What a copy of an optimistic database keeps in the log.
//!
//! ```text
//! entry := 1:u8 records                  a list of records, as postcard has it
//! state := 0:u8 'o':u8 1:u8 life:u64     little-endian
//! ```
//!
//! An entry has the updates that were shown in one turn, of whichever copy, in their order: executing the log
//! shows them again in the same order. What a repair has joined is a record as well, in pieces if it is
//! large. The state names the life of the copy: its updates are named by it (rule O5).

use bytes::Bytes;
use onecopy_merge::ReplicaId;
use onecopy_merge::repair::JoinedError;
use onecopy_merge::{DeltaError, ImageError};
use serde::{Deserialize, Serialize};

/// Other kinds of groups begin with something else.
const MARK: [u8; 3] = [0, b'o', 1];
const FORMAT: u8 = 1;
/// What a repair has joined is logged in pieces of so many bytes.
pub(super) const PIECE: usize = 4 << 20;

/// What is in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// An update.
    Delta(Bytes),
    /// A piece of what a repair has joined, and more follow.
    Joining(Bytes),
    /// The last piece.
    Joined(Bytes),
}

impl Record {
    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        let (Self::Delta(bytes) | Self::Joining(bytes) | Self::Joined(bytes)) = self;
        bytes.len() + 8
    }
}

/// What the disk kept of a copy cannot be understood. The checksums of the log were right, so it was written
/// by something else: the copy must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorruptCopy {
    /// An image is missing, or is none.
    #[error("the image of a copy of an optimistic database: {0}")]
    Image(#[from] ImageError),
    /// There is none where the log begins.
    #[error("the log of a copy of an optimistic database begins after an image that is not there")]
    NoImage,
    /// An update.
    #[error("an update in the log of an optimistic database: {0}")]
    Delta(#[from] DeltaError),
    /// What a repair had brought.
    #[error("a repair in the log of an optimistic database: {0}")]
    Joined(#[from] JoinedError),
    /// Something else.
    #[error("the log of an optimistic database cannot be understood: {0}")]
    Encoding(&'static str),
    /// An update that is not preceded by what its maker had seen.
    #[error("the log of an optimistic database lacks what was before {0}")]
    Gap(onecopy_merge::Dot),
}

/// Whether the last state that a group wrote is that of an optimistic database.
#[must_use]
pub fn is_optimistic(state: Option<&[u8]>) -> bool {
    state.is_some_and(|state| state.starts_with(&MARK[..2]))
}

pub(super) fn encode_state(life: ReplicaId) -> Bytes {
    [&MARK[..], &life.0.to_le_bytes()].concat().into()
}

pub(super) fn decode_state(state: &[u8]) -> Result<ReplicaId, CorruptCopy> {
    let wrong = CorruptCopy::Encoding("its state has a format that this version does not know");
    let life = state.strip_prefix(&MARK[..]).ok_or(wrong.clone())?;
    Ok(ReplicaId(u64::from_le_bytes(life.try_into().map_err(|_| wrong)?)))
}

pub(super) fn encode(records: &[Record]) -> Bytes {
    postcard::to_extend(records, vec![FORMAT]).expect("memory takes every entry").into()
}

pub(super) fn decode(payload: &Bytes) -> Result<Vec<Record>, CorruptCopy> {
    match payload.split_first() {
        Some((&FORMAT, records)) => {
            postcard::from_bytes(records).map_err(|_| CorruptCopy::Encoding("an entry is malformed"))
        }
        _ => Err(CorruptCopy::Encoding("an entry has a format that this version does not know")),
    }
}

/// What a repair has joined, in pieces.
pub(super) fn pieces(joined: &Bytes) -> impl Iterator<Item = Record> {
    let last = joined.len().saturating_sub(1) / PIECE;
    (0..=last).map(move |at| {
        let piece = joined.slice(at * PIECE..joined.len().min((at + 1) * PIECE));
        if at == last { Record::Joined(piece) } else { Record::Joining(piece) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let records = vec![Record::Delta(Bytes::from_static(b"d")), Record::Joined(Bytes::new())];
        let payload = encode(&records);
        assert_eq!(decode(&payload), Ok(records));
        assert!(decode(&payload.slice(..payload.len() - 1)).is_err() && decode(&Bytes::new()).is_err());
        let state = encode_state(ReplicaId(1 << 40));
        assert_eq!(decode_state(&state), Ok(ReplicaId(1 << 40)));
        assert!(is_optimistic(Some(&state)) && !is_optimistic(Some(&[0, 1])) && !is_optimistic(None));
        assert!(decode_state(&state[..5]).is_err());
    }

    #[test]
    fn large_repairs_come_in_pieces() {
        for (length, count) in [(0, 1), (1, 1), (PIECE, 1), (PIECE + 1, 2), (3 * PIECE, 3)] {
            let joined = Bytes::from(vec![7; length]);
            let pieces: Vec<Record> = pieces(&joined).collect();
            assert_eq!(pieces.len(), count);
            let bytes: usize = pieces.iter().map(|piece| piece.size() - 8).sum();
            assert!(bytes == length && matches!(pieces.last(), Some(Record::Joined(_))));
        }
    }
}
