//! Term and vote on disk, and what may be wrong with a member's data after a restart.
//!
//! ```text
//! state := 1:u8 term:u64 voted:u8 vote:u32        little-endian; vote is 0 unless voted is 1
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use onecopy_core::{EntryId, Index, Log, NodeId, Recovered, Term};

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 8 + 1 + 4;

/// A member's data does not make sense. It must not take part: it might break a promise that it no longer
/// knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorruptState {
    /// Term and vote have the wrong length.
    #[error("term and vote occupy {found} bytes on disk instead of {LENGTH}")]
    Length {
        /// How many bytes there are.
        found: usize,
    },
    /// Term and vote are in an unknown format.
    #[error("term and vote on disk have format {found}, this version knows only {VERSION}")]
    Version {
        /// The format that is claimed.
        found: u8,
    },
    /// Whether there was a vote is neither yes nor no.
    #[error("the mark of the vote on disk is {found}, neither 0 nor 1")]
    VoteMark {
        /// The mark.
        found: u8,
    },
    /// An entry does not follow the one before.
    #[error("entry {found} on disk does not follow {last}, in index, term or time")]
    Broken {
        /// The last entry that makes sense.
        last: EntryId,
        /// The first that does not.
        found: EntryId,
    },
    /// The log holds an entry of a later term than the one on disk: the term was lost, and with it a vote.
    #[error("the log on disk ends with {last}, but the term on disk is only {term}")]
    TermLost {
        /// The term on disk.
        term: Term,
        /// The last entry.
        last: EntryId,
    },
    /// More is committed than there is, or less than the snapshot covers.
    #[error("the commit index on disk is {commit}, but the log reaches from {base} to {last}")]
    Commit {
        /// The commit index.
        commit: Index,
        /// The last entry that the snapshot covers.
        base: EntryId,
        /// The last entry.
        last: EntryId,
    },
}

/// What a member has promised: to follow no term before `term`, and to vote for nobody else in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Promise {
    pub term: Term,
    pub vote: Option<NodeId>,
}

impl Promise {
    pub fn encode(self) -> Bytes {
        let mut buffer = BytesMut::with_capacity(LENGTH);
        buffer.put_u8(VERSION);
        buffer.put_u64_le(self.term.0);
        buffer.put_u8(u8::from(self.vote.is_some()));
        buffer.put_u32_le(self.vote.map_or(0, |node| node.0));
        buffer.freeze()
    }

    pub fn decode(mut bytes: Bytes) -> Result<Self, CorruptState> {
        if bytes.len() != LENGTH {
            return Err(CorruptState::Length { found: bytes.len() });
        }
        let version = bytes.get_u8();
        if version != VERSION {
            return Err(CorruptState::Version { found: version });
        }
        let term = Term(bytes.get_u64_le());
        let mark = bytes.get_u8();
        let node = NodeId(bytes.get_u32_le());
        match mark {
            0 => Ok(Self { term, vote: None }),
            1 => Ok(Self { term, vote: Some(node) }),
            found => Err(CorruptState::VoteMark { found }),
        }
    }
}

/// Checks what was found on disk, and makes the promise and the log of it.
pub(crate) fn recover(recovered: Recovered) -> Result<(Promise, Log, Index), CorruptState> {
    let mut promise = recovered.state.map_or(Ok(Promise::default()), Promise::decode)?;
    let snapshot_term = Term(recovered.base.epoch.0);
    if snapshot_term > promise.term {
        // A snapshot becomes durable apart from the log, and may overtake the write of the term. No vote of
        // that term was ever answered then.
        promise = Promise { term: snapshot_term, vote: None };
    }
    let mut log = Log::new(recovered.base);
    for entry in recovered.entries {
        let last = log.last();
        let in_time = log.get(last.index).is_none_or(|before| before.time <= entry.time);
        let follows = Some(entry.id.index.0) == last.index.0.checked_add(1) && entry.id.epoch >= last.epoch;
        if !follows || !in_time {
            return Err(CorruptState::Broken { last, found: entry.id });
        }
        log.append(entry);
    }
    let (base, last, commit) = (log.base(), log.last(), recovered.commit);
    if last.epoch > promise.term.into() {
        return Err(CorruptState::TermLost { term: promise.term, last });
    }
    if commit < base.index || commit > last.index {
        return Err(CorruptState::Commit { commit, base, last });
    }
    Ok((promise, log, commit))
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Entry, Timestamp};

    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { id: EntryId::new(index, term), time: Timestamp(index), seed: 0, payload: Bytes::new() }
    }

    fn found(term: u64, entries: Vec<Entry>, commit: u64) -> Recovered {
        let state = Some(Promise { term: Term(term), vote: None }.encode());
        Recovered { state, base: EntryId::ZERO, entries, commit: Index(commit) }
    }

    #[test]
    fn a_promise_survives_the_disk() {
        for vote in [None, Some(NodeId(0)), Some(NodeId(7))] {
            let promise = Promise { term: Term(u64::MAX), vote };
            assert_eq!(Promise::decode(promise.encode()), Ok(promise));
        }
    }

    #[test]
    fn a_damaged_promise_is_an_error() {
        let bytes = Promise { term: Term(3), vote: Some(NodeId(1)) }.encode();
        let length = CorruptState::Length { found: LENGTH - 1 };
        assert_eq!(Promise::decode(bytes.slice(1..)), Err(length));
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = byte;
            Promise::decode(Bytes::from(bytes))
        };
        assert_eq!(with(0, 2), Err(CorruptState::Version { found: 2 }));
        assert_eq!(with(9, 7), Err(CorruptState::VoteMark { found: 7 }));
    }

    #[test]
    fn a_fresh_member_has_nothing() {
        let (promise, log, commit) = recover(Recovered::default()).unwrap();
        assert_eq!(promise, Promise::default());
        assert_eq!((log.last(), commit), (EntryId::ZERO, Index(0)));
    }

    #[test]
    fn a_snapshot_may_overtake_the_term() {
        let vote = Some(NodeId(2));
        let state = Some(Promise { term: Term(1), vote }.encode());
        let base = EntryId::new(5, 3);
        let found = Recovered { state, base, entries: vec![], commit: Index(5) };
        let (promise, log, _) = recover(found).unwrap();
        assert_eq!(promise, Promise { term: Term(3), vote: None });
        assert_eq!(log.last(), base);
    }

    #[test]
    fn a_log_that_makes_no_sense_is_an_error() {
        let gap = recover(found(1, vec![entry(1, 1), entry(3, 1)], 0)).unwrap_err();
        assert_eq!(gap, CorruptState::Broken { last: EntryId::new(1, 1), found: EntryId::new(3, 1) });
        let back = recover(found(2, vec![entry(1, 2), entry(2, 1)], 0)).unwrap_err();
        assert_eq!(back, CorruptState::Broken { last: EntryId::new(1, 2), found: EntryId::new(2, 1) });
        let lost = recover(found(1, vec![entry(1, 2)], 0)).unwrap_err();
        assert_eq!(lost, CorruptState::TermLost { term: Term(1), last: EntryId::new(1, 2) });
        let commit = recover(found(1, vec![entry(1, 1)], 2)).unwrap_err();
        assert!(matches!(commit, CorruptState::Commit { commit: Index(2), .. }));
    }
}
