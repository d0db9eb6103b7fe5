//! A follower: it takes entries and snapshots from the leader of its term, or waits for one.

use onecopy_core::{Index, Instant, Member};

use crate::core::{Core, Step};
use crate::message::{Beat, Message};
use crate::receiving::Receiving;

/// What a follower knows.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Follower {
    /// Whom it follows, once the leader of the term has been heard.
    pub leader: Option<Member>,
    pub received: Received,
    /// When it asks for an election if it hears nothing.
    pub election_due: Instant,
}

/// What has come from the leader of the term. It is lost with the term, and not before: a leader that fell
/// silent may be heard again.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Received {
    /// The log is known to agree with the leader's through here. What is committed always does.
    pub agreed: Index,
    /// The snapshot of which pieces have come. Images of the same state may differ from member to member, so
    /// pieces of two leaders are never mixed.
    pub snapshot: Option<Receiving>,
}

impl Follower {
    pub fn on_heartbeat(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: Member,
        beat: Beat,
        commit: Index,
        sent: Index,
    ) {
        let agreed = self.received.agreed;
        core.commit_through(step, commit.min(agreed));
        let durable = agreed.min(core.durable());
        let message = Message::HeartbeatReply { term: core.term(), beat, sent, received: agreed, durable };
        core.answer(step, from, message);
        core.repeat_question(step, from);
    }
}

impl Received {
    /// Nothing has come in the term. What is committed agrees with the log of every later leader (leader
    /// completeness).
    pub fn nothing(commit: Index) -> Self {
        Self { agreed: commit, snapshot: None }
    }
}
