//! Term and vote on disk, and what may be wrong with a member's data after a restart.
//!
//! ```text
//! state := 2:u8 term:u64 voted:u8 node:u32 incarnation:u128    little-endian; zeros unless voted is 1
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use onecopy_core::{EntryId, Incarnation, Index, Log, Member, NodeId, Recovered, Term};

use crate::configuration::Configuration;
use crate::content;
use crate::membership::Membership;

const VERSION: u8 = 2;
const LENGTH: usize = 1 + 8 + 1 + 4 + 16;

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
    /// An entry carries neither a command nor a configuration.
    #[error("nobody knows what entry {found} on disk carries")]
    Content {
        /// The entry.
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

/// What a member keeps on its disk that follows no term before this one, and has not voted in it: for a group
/// that becomes one of Raft.
#[must_use]
pub fn promise_of(term: Term) -> Bytes {
    Promise { term, vote: None }.encode()
}

/// What a member has promised: to follow no term before `term`, and to vote for nobody else in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Promise {
    pub term: Term,
    pub vote: Option<Member>,
}

impl Promise {
    pub fn encode(self) -> Bytes {
        let mut buffer = BytesMut::with_capacity(LENGTH);
        buffer.put_u8(VERSION);
        buffer.put_u64_le(self.term.0);
        buffer.put_u8(u8::from(self.vote.is_some()));
        buffer.put_u32_le(self.vote.map_or(0, |member| member.node.0));
        buffer.put_u128_le(self.vote.map_or(0, |member| member.incarnation.0));
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
        let member =
            Member { node: NodeId(bytes.get_u32_le()), incarnation: Incarnation(bytes.get_u128_le()) };
        match mark {
            0 => Ok(Self { term, vote: None }),
            1 => Ok(Self { term, vote: Some(member) }),
            found => Err(CorruptState::VoteMark { found }),
        }
    }
}

/// What was found on disk, once it is known to make sense.
#[derive(Debug)]
pub(crate) struct Found {
    pub promise: Promise,
    pub log: Log,
    pub membership: Membership,
    pub commit: Index,
}

/// Checks what was found on disk. `configuration` is the one at the base of the log.
pub(crate) fn recover(recovered: Recovered, configuration: Configuration) -> Result<Found, CorruptState> {
    let mut promise = recovered.state.map_or(Ok(Promise::default()), Promise::decode)?;
    let snapshot_term = Term(recovered.base.epoch.0);
    if snapshot_term > promise.term {
        // A snapshot becomes durable apart from the log, and may overtake the write of the term. No vote of
        // that term was ever answered then.
        promise = Promise { term: snapshot_term, vote: None };
    }
    let mut log = Log::new(recovered.base);
    let mut membership = Membership::new(recovered.base.index, configuration);
    for entry in recovered.entries {
        let last = log.last();
        let in_time = log.get(last.index).is_none_or(|before| before.time <= entry.time);
        let follows = Some(entry.id.index.0) == last.index.0.checked_add(1) && entry.id.epoch >= last.epoch;
        if !follows || !in_time {
            return Err(CorruptState::Broken { last, found: entry.id });
        }
        match content::configuration(&entry) {
            Ok(Some(configuration)) => membership.append(entry.id.index, configuration),
            Ok(None) => {}
            Err(_) => return Err(CorruptState::Content { found: entry.id }),
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
    Ok(Found { promise, log, membership, commit })
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Entry, Timestamp};

    use crate::configuration::Configuration;

    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { id: EntryId::new(index, term), time: Timestamp(index), seed: 0, payload: Bytes::new() }
    }

    fn found(term: u64, entries: Vec<Entry>, commit: u64) -> Recovered {
        let state = Some(Promise { term: Term(term), vote: None }.encode());
        Recovered { state, base: EntryId::ZERO, entries, commit: Index(commit) }
    }

    fn member(node: u32) -> Member {
        Member { node: NodeId(node), incarnation: Incarnation(u128::MAX) }
    }

    fn recover(recovered: Recovered) -> Result<Found, CorruptState> {
        super::recover(recovered, Configuration::of([member(1)]))
    }

    #[test]
    fn a_promise_survives_the_disk() {
        for vote in [None, Some(member(0)), Some(member(7))] {
            let promise = Promise { term: Term(u64::MAX), vote };
            assert_eq!(Promise::decode(promise.encode()), Ok(promise));
        }
    }

    #[test]
    fn a_damaged_promise_is_an_error() {
        let bytes = Promise { term: Term(3), vote: Some(member(1)) }.encode();
        let length = CorruptState::Length { found: LENGTH - 1 };
        assert_eq!(Promise::decode(bytes.slice(1..)), Err(length));
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = byte;
            Promise::decode(Bytes::from(bytes))
        };
        assert_eq!(with(0, 1), Err(CorruptState::Version { found: 1 }));
        assert_eq!(with(9, 7), Err(CorruptState::VoteMark { found: 7 }));
    }

    #[test]
    fn a_fresh_member_has_nothing() {
        let Found { promise, log, commit, membership } = recover(Recovered::default()).unwrap();
        assert_eq!(membership.latest(), (Index(0), &Configuration::of([member(1)])));
        assert_eq!(promise, Promise::default());
        assert_eq!((log.last(), commit), (EntryId::ZERO, Index(0)));
    }

    #[test]
    fn a_snapshot_may_overtake_the_term() {
        let vote = Some(member(2));
        let state = Some(Promise { term: Term(1), vote }.encode());
        let base = EntryId::new(5, 3);
        let found = Recovered { state, base, entries: vec![], commit: Index(5) };
        let Found { promise, log, .. } = recover(found).unwrap();
        assert_eq!(promise, Promise { term: Term(3), vote: None });
        assert_eq!(log.last(), base);
    }

    #[test]
    fn configurations_are_found_in_the_log() {
        let three = Configuration::of([1, 2, 3].map(member));
        let with = Entry { payload: content::of_configuration(&three), ..entry(2, 1) };
        let membership = recover(found(1, vec![entry(1, 1), with], 0)).unwrap().membership;
        assert_eq!(membership.latest(), (Index(2), &three));
        let strange = Entry { payload: Bytes::from_static(b"?"), ..entry(2, 1) };
        let error = recover(found(1, vec![entry(1, 1), strange], 0)).unwrap_err();
        assert_eq!(error, CorruptState::Content { found: EntryId::new(2, 1) });
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
