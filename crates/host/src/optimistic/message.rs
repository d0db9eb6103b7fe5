//! What the copies of an optimistic database say to each other.

use bytes::Bytes;
use onecopy_merge::{Clock, ReplicaId};
use serde::{Deserialize, Serialize};

/// A message from one copy to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Where the sender stands. Said every heartbeat, and as an acknowledgement.
    Status(Standing),
    /// Updates, each as the bytes of a delta, of the sender itself or of third ones.
    Deltas(Vec<Bytes>),
    /// The sender repairs itself from the receiver's state, and asks this: an encoded
    /// [`Ask`](onecopy_merge::repair::Ask).
    Ask {
        /// Which question of the sender it is.
        number: u64,
        /// The question.
        ask: Bytes,
    },
    /// The answer to such a question: an encoded [`Answer`](onecopy_merge::repair::Answer).
    Answer {
        /// Which question it answers.
        number: u64,
        /// The answer.
        answer: Bytes,
    },
}

/// Where a copy stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The number of its life; 0 as long as it has none.
    pub life: ReplicaId,
    /// What it has seen and has durably.
    pub clock: Clock,
    /// The digest of its state, if that is the state as of the clock.
    pub digest: Option<u64>,
    /// Whether it still has, one by one, all updates that it knows the receiver to lack. Otherwise the
    /// receiver has to repair itself from the state.
    pub reaches: bool,
    /// Whether it has had what others had: whoever has the same is filled.
    pub is_whole: bool,
}
