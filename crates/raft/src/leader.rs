//! A leader: whom it leads, how it stays in touch with them, and when it must stop (check-quorum; Raft
//! thesis, section 6.2).

use std::collections::BTreeMap;

use onecopy_core::{Index, Instant, Member};

use crate::core::{Core, Step};
use crate::message::{Beat, Message};
use crate::progress::Progress;
use crate::read::Reads;
use crate::transfer::Transfer;

/// What only a leader remembers. All of it is lost with the leadership.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Leader {
    /// Whoever gets the log: all members but the leader itself, and some who leave.
    pub followers: BTreeMap<Member, Progress>,
    /// The first entry of the reign: until it is committed, the leader does not know what is.
    pub first: Index,
    /// When to send heartbeats.
    pub heartbeat_due: Instant,
    /// The reads that wait.
    pub reads: Reads,
    /// To whom the leadership is being handed over.
    pub transfer: Option<Transfer>,
    /// Some voter was told to campaign at once, and may do so at any time: the others will not wait for the
    /// end of any lease.
    pub leases_over: bool,
}

impl Leader {
    /// A new leader, whose first entry will be the next. It has just heard from a majority.
    pub fn new(core: &Core, now: Instant) -> Self {
        let mut leader = Self {
            followers: BTreeMap::new(),
            first: core.log.last().index.next(),
            heartbeat_due: now,
            reads: Reads::default(),
            transfer: None,
            leases_over: false,
        };
        leader.follow_configuration(core, now);
        leader
    }

    /// Others get the log from now on. The first guess is that they lack nothing, and that their links take
    /// as long as the pre-votes took.
    pub fn follow_configuration(&mut self, core: &Core, now: Instant) {
        let (replicas, next) = (core.replicas(), core.log.last().index.next());
        self.followers.retain(|member, _| replicas.contains(member));
        for member in replicas {
            let new = || Progress::new(next, now, core.candidacies.round_trip);
            self.followers.entry(member).or_insert_with(new);
        }
    }

    /// What is known of a follower that has just answered.
    pub fn follower(&mut self, now: Instant, node: Member) -> Option<&mut Progress> {
        let progress = self.followers.get_mut(&node)?;
        progress.heard = now;
        Some(progress)
    }

    /// When the leader will have heard too little from its followers to go on (check-quorum).
    fn quorum_lapses(&self, core: &Core, now: Instant) -> Instant {
        let timeout = core.config.election_timeout;
        core.quorum.reached(|node| match self.followers.get(&node) {
            Some(follower) => follower.heard + core.patience(follower.round_trip, timeout),
            None => now + timeout,
        })
    }

    /// Whether others may have elected somebody else.
    pub fn has_lost_quorum(&self, core: &Core, now: Instant) -> bool {
        !self.followers.is_empty() && now >= self.quorum_lapses(core, now)
    }

    /// When the leader next wants to hear that time has passed. One without followers has nobody to wait for.
    pub fn deadline(&self, core: &Core, now: Instant) -> Option<Instant> {
        if self.followers.is_empty() {
            return None;
        }
        let soonest = self.heartbeat_due.min(self.quorum_lapses(core, now));
        Some(self.transfer_ends().map_or(soonest, |end| soonest.min(end)))
    }

    pub fn on_elapsed(&mut self, core: &Core, step: &mut Step<'_>) {
        if self.followers.is_empty() {
            return;
        }
        if step.now >= self.heartbeat_due {
            self.broadcast_heartbeat(core, step);
        }
        self.abort_overdue_transfer(step);
    }

    pub fn broadcast_heartbeat(&mut self, core: &Core, step: &mut Step<'_>) {
        self.heartbeat_due = step.now + core.config.heartbeat_interval;
        self.heartbeat_to(core, step, |_| true);
    }

    /// Sends a heartbeat to those who are meant.
    fn heartbeat_to(&self, core: &Core, step: &mut Step<'_>, meant: impl Fn(Member) -> bool) {
        let (term, commit) = (core.term(), core.commit);
        let beat = Beat { round: self.reads.round(), at: step.now };
        for (to, progress) in self.followers.iter().filter(|(member, _)| meant(**member)) {
            step.send(*to, Message::Heartbeat { term, beat, commit, sent: progress.sent() });
        }
    }

    /// The last configuration is committed: those who are not in it are told so, and get nothing more.
    /// Otherwise they would go on asking for elections.
    pub fn say_farewell(&self, core: &Core, step: &mut Step<'_>) {
        let members = core.configuration().members();
        self.heartbeat_to(core, step, |member| !members.contains(&member));
    }
}
