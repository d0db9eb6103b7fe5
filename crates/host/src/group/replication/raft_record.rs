//! What a copy of a Raft group keeps on its disk beside its log: term and vote, as Raft writes them, and who
//! founded the group.
//!
//! ```text
//! record := 0:u8 1:u8 length:u32 founders term-and-vote      little-endian; founders: length bytes, as Raft
//! encodes a configuration
//! ```
//!
//! The promise of a replica of primary-backup begins with the number of its view, which is never 0: so the
//! disk tells what a group is, before any view table is known.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use onecopy_raft::Configuration;

use crate::optimistic::is_optimistic;

/// No view has this number.
const MARK: u8 = 0;
const VERSION: u8 = 1;
const HEADER: usize = 1 + 1 + 4;

/// What a copy of a Raft group kept beside its log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the log kept of a Raft group cannot be understood: {0}")]
pub struct CorruptRecord(&'static str);

/// Whether the last state that a group wrote is that of a Raft group.
#[must_use]
pub fn is_raft(state: Option<&[u8]>) -> bool {
    state.and_then(<[u8]>::first) == Some(&MARK) && !is_optimistic(state)
}

pub(in crate::group) fn encode(founders: &Configuration, promise: &Bytes) -> Bytes {
    let founders = founders.encode();
    let mut bytes = BytesMut::with_capacity(HEADER + founders.len() + promise.len());
    bytes.put_u8(MARK);
    bytes.put_u8(VERSION);
    bytes.put_u32_le(u32::try_from(founders.len()).expect("founders of more than 4 GiB"));
    bytes.put_slice(&founders);
    bytes.put_slice(promise);
    bytes.freeze()
}

/// The founders, and what Raft wrote.
pub(super) fn decode(state: &Bytes) -> Result<(Configuration, Bytes), CorruptRecord> {
    let mut rest = state.clone();
    if rest.len() < HEADER {
        return Err(CorruptRecord("it is too short"));
    }
    if (rest.get_u8(), rest.get_u8()) != (MARK, VERSION) {
        return Err(CorruptRecord("it has a format that this version does not know"));
    }
    let length = rest.get_u32_le() as usize;
    if rest.len() < length {
        return Err(CorruptRecord("it is too short"));
    }
    match Configuration::decode(&rest.split_to(length)) {
        Ok(founders) => Ok((founders, rest)),
        Err(_) => Err(CorruptRecord("its founders make no sense")),
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Incarnation, Member, NodeId};

    use super::*;

    #[test]
    fn a_record_survives_the_disk_and_damage_is_an_error() {
        let founders = Configuration::of([Member { node: NodeId(3), incarnation: Incarnation(7) }]);
        let promise = Bytes::from_static(b"term and vote");
        let record = encode(&founders, &promise);
        assert!(is_raft(Some(&record)));
        assert_eq!(decode(&record), Ok((founders, promise.clone())));
        for length in 0..record.len() - promise.len() {
            assert!(decode(&record.slice(..length)).is_err(), "{length}");
        }
        let mut newer = record.to_vec();
        newer[1] = VERSION + 1;
        assert!(decode(&newer.into()).is_err());
    }

    #[test]
    fn the_promise_of_a_replica_is_told_apart() {
        assert!(!is_raft(None) && !is_raft(Some(&[])) && !is_raft(Some(&[1, 2])));
    }
}
