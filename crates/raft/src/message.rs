//! What the members of a group say to each other.

use onecopy_core::chunks::Chunk;
use onecopy_core::{Entry, EntryId, Index, Instant, Term};
use serde::{Deserialize, Serialize};

/// Names a heartbeat, in its term. The answer repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beat {
    /// Counts the rounds of reads in this term.
    pub round: u64,
    /// When it was sent, on the leader's clock; means nothing to anybody else. A lease begins here (thesis,
    /// section 6.4.1).
    pub at: Instant,
}

/// A message between two members.
///
/// The network may lose, delay, double and reorder messages; it must not change them. Who sent a message is
/// known to the driver and passed beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Would you vote for me in `term`? Changes nothing at the receiver (Raft thesis, section 9.6).
    PreVote {
        /// The term in which the sender would campaign; its own is one lower.
        term: Term,
        /// The last entry of the sender's log.
        last: EntryId,
        /// When it was sent, on the sender's clock; means nothing to anybody else.
        at: Instant,
    },
    /// The answer to [`Message::PreVote`]. It promises nothing.
    PreVoteReply {
        /// If granted, the term that was asked about; else the term of the voter, so that the sender catches
        /// up.
        term: Term,
        /// Whether the voter would vote for the sender.
        granted: bool,
        /// [`Message::PreVote::at`], repeated: tells how long the link takes.
        at: Instant,
    },
    /// Vote for me in `term` (RequestVote; Raft paper, section 5.2).
    Vote {
        /// The term of the election.
        term: Term,
        /// The last entry of the candidate's log (section 5.4.1).
        last: EntryId,
        /// The leader wants it ([`Message::TimeoutNow`]): whoever hears that leader may vote all the same.
        transfer: bool,
    },
    /// The answer to [`Message::Vote`]; leaves only when term and vote are durable.
    VoteReply {
        /// The term of the voter.
        term: Term,
        /// Whether the sender has the vote of this term.
        granted: bool,
    },
    /// Entries of the leader's log (AppendEntries; section 5.3).
    Append {
        /// The term of the leader.
        term: Term,
        /// The entry before the first of `entries`: the receiver must hold it, or answer
        /// [`Message::Conflict`].
        previous: EntryId,
        /// The entries that follow, without gaps. May be empty: then it only asks whether `previous` is
        /// there.
        entries: Vec<Entry>,
        /// The leader's commit index.
        commit: Index,
    },
    /// The log agrees with the leader's, and is durable, through `through`.
    Appended {
        /// The term of the leader.
        term: Term,
        /// The last index that agrees and is durable.
        through: Index,
    },
    /// The receiver does not hold the entry before the appended ones (section 5.3, fast back-up).
    Conflict {
        /// The term of the leader.
        term: Term,
        /// The position that disagreed: that of [`Message::Append::previous`].
        at: Index,
        /// The receiver's last entry before that which the leader may hold as well: all entries of the
        /// conflicting term are skipped at once.
        hint: EntryId,
    },
    /// The leader is there (section 5.2); also the round of a ReadIndex (thesis, section 6.4).
    Heartbeat {
        /// The term of the leader.
        term: Term,
        /// Which heartbeat.
        beat: Beat,
        /// The leader's commit index.
        commit: Index,
        /// The leader has sent this follower everything through here; 0 while it is probing.
        sent: Index,
    },
    /// The answer to [`Message::Heartbeat`]. Doubles as an [`Message::Appended`], in case that was lost.
    HeartbeatReply {
        /// The term of the leader.
        term: Term,
        /// Which heartbeat is answered: the follower still followed the leader when it was sent.
        beat: Beat,
        /// What the heartbeat said had been sent.
        sent: Index,
        /// What has arrived without gaps and agrees. If it is less than `sent`, something was lost.
        received: Index,
        /// What agrees and is durable.
        durable: Index,
    },
    /// A piece of a snapshot, for a follower that needs entries which the leader has compacted
    /// (InstallSnapshot; section 7).
    Snapshot {
        /// The term of the leader.
        term: Term,
        /// The piece.
        chunk: Chunk,
    },
    /// How far a snapshot has arrived.
    SnapshotReply {
        /// The term of the leader.
        term: Term,
        /// The last entry that the snapshot covers.
        snapshot: EntryId,
        /// Everything below this offset has been written. 0 asks for the snapshot from its beginning.
        wanted: u64,
    },
    /// Campaign at once: the leader hands over to the receiver, whose log is complete (thesis, section 3.10).
    TimeoutNow {
        /// The term of the leader.
        term: Term,
    },
    /// A follower has reads: how much must they see (thesis, section 6.4)?
    AskIndex {
        /// The term of the leader.
        term: Term,
        /// Names the question.
        round: u64,
    },
    /// The answer to [`Message::AskIndex`]: everything through here was committed when it was asked.
    ReadIndex {
        /// The term of the leader.
        term: Term,
        /// [`Message::AskIndex::round`], repeated.
        round: u64,
        /// What the reads must see.
        index: Index,
    },
    /// The receiver leads, or asks, in a term that is over (section 5.1).
    Outdated {
        /// The term of the sender.
        term: Term,
    },
}

impl Message {
    /// The term that the message speaks of. For pre-votes it is the term that may come, else that of the
    /// sender.
    #[must_use]
    pub fn term(&self) -> Term {
        match self {
            Self::PreVote { term, .. }
            | Self::PreVoteReply { term, .. }
            | Self::Vote { term, .. }
            | Self::VoteReply { term, .. }
            | Self::Append { term, .. }
            | Self::Appended { term, .. }
            | Self::Conflict { term, .. }
            | Self::Heartbeat { term, .. }
            | Self::HeartbeatReply { term, .. }
            | Self::Snapshot { term, .. }
            | Self::SnapshotReply { term, .. }
            | Self::TimeoutNow { term }
            | Self::AskIndex { term, .. }
            | Self::ReadIndex { term, .. }
            | Self::Outdated { term } => *term,
        }
    }

    /// Whether only the leader of the term sends such a message.
    #[must_use]
    pub fn is_from_leader(&self) -> bool {
        matches!(
            self,
            Self::Append { .. }
                | Self::Heartbeat { .. }
                | Self::Snapshot { .. }
                | Self::TimeoutNow { .. }
                | Self::ReadIndex { .. }
        )
    }

    /// Whether the message is about a term that has not begun, and may never begin.
    pub(crate) fn names_a_term_to_come(&self) -> bool {
        matches!(self, Self::PreVote { .. } | Self::PreVoteReply { granted: true, .. })
    }

    /// Whether only a follower sends such a message, to the leader or candidate that asked.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        !self.is_from_leader() && !matches!(self, Self::PreVote { .. } | Self::Vote { .. })
    }
}
