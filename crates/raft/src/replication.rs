//! The leader's side of log replication (Raft paper, sections 5.3 and 5.4).

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, Index, Instant, Member, Rule, Timestamp};

use crate::content;
use crate::effect::Effect;
use crate::message::{Beat, Message};
use crate::node::{Raft, State};
use crate::patience::RoundTrip;
use crate::progress::{Pace, Progress, last_shared};
use crate::read::Reads;
use crate::snapshot::Sending;
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
    /// Some voter was told to campaign at once, and may do so at any time: the others will not wait for the end of any
    /// lease.
    pub leases_over: bool,
}

impl Leader {
    /// A new leader, whose first entry will be `first`. It has just heard from a majority; `round_trip` is
    /// how long that took.
    pub fn new(followers: &[Member], first: Index, now: Instant, round_trip: RoundTrip) -> Self {
        let followers = followers.iter().map(|node| (*node, Progress::new(first, now, round_trip))).collect();
        let reads = Reads::default();
        Self { followers, first, heartbeat_due: now, reads, transfer: None, leases_over: false }
    }

    /// The configuration is another: these get the log now. `next` is a guess at what the new ones lack.
    pub fn follow_configuration(
        &mut self,
        replicas: &[Member],
        next: Index,
        now: Instant,
        round_trip: RoundTrip,
    ) {
        self.followers.retain(|member, _| replicas.contains(member));
        for member in replicas {
            self.followers.entry(*member).or_insert_with(|| Progress::new(next, now, round_trip));
        }
    }
}

impl Raft {
    pub(crate) fn on_propose(
        &mut self,
        payload: Bytes,
        time: Timestamp,
        seed: u64,
        effects: &mut Vec<Effect>,
    ) {
        match &self.state {
            State::Leader(leader) if leader.transfer.is_some() => {
                // There is no leader to turn to until the transfer has ended.
                return effects.push(Effect::Refused { leader: None });
            }
            State::Leader(_) => {}
            _ => return effects.push(Effect::Refused { leader: self.leader }),
        }
        let id = self.append_own(content::of_command(&payload), time, seed);
        effects.push(Effect::Proposed { id });
        self.replicate(effects);
        self.advance_commit(effects);
    }

    /// Appends an entry of the own term; a leader never changes its log in any other way (leader
    /// append-only).
    pub(crate) fn append_own(&mut self, payload: Bytes, time: Timestamp, seed: u64) -> EntryId {
        let id = EntryId::new(self.log.last().index.next(), self.term());
        let entry = Entry { id, time: time.max(self.last_time()), seed, payload };
        self.log.append(entry.clone());
        self.note_appended(&entry);
        self.disk.append(vec![entry], self.commit);
        id
    }

    /// Sends every follower what it lacks, as far as its window allows.
    pub(crate) fn replicate(&mut self, effects: &mut Vec<Effect>) {
        for member in self.replicas() {
            self.replicate_to(member, effects);
        }
    }

    pub(crate) fn replicate_to(&mut self, to: Member, effects: &mut Vec<Effect>) {
        let (term, commit, base) = (self.term(), self.commit, self.log.base().index);
        let State::Leader(leader) = &mut self.state else { return };
        let Some(progress) = leader.followers.get_mut(&to) else { return };
        let compacted = progress.next.previous() < base;
        if compacted && !matches!(progress.pace, Pace::Snapshot(_)) {
            progress.pace = Pace::Snapshot(Sending::new(to, self.snapshot, self.now));
        }
        while let Some((previous, entries)) = progress.take(&self.log, &self.config) {
            // Waits for no disk: the leader writes its own copy at the same time (thesis, section 10.2.1).
            let message = Message::Append { term, previous, entries, commit };
            effects.push(Effect::Send { to, message, after: None });
        }
        if matches!(progress.pace, Pace::Snapshot(_)) {
            self.read_snapshot_for(to, effects);
        }
    }

    /// What is known of a follower that has just answered. `None` if this member does not lead.
    pub(crate) fn follower(&mut self, node: Member) -> Option<&mut Progress> {
        let State::Leader(leader) = &mut self.state else { return None };
        let progress = leader.followers.get_mut(&node)?;
        progress.heard = self.now;
        Some(progress)
    }

    pub(crate) fn on_appended(&mut self, from: Member, through: Index, effects: &mut Vec<Effect>) {
        let (base, last) = (self.log.base().index, self.log.last().index);
        let Some(progress) = self.follower(from) else { return };
        // Nobody can have more than there is: such a peer is mad, and is not believed.
        if through > last {
            return;
        }
        progress.acknowledge(through, base);
        self.advance_commit(effects);
        self.replicate_to(from, effects);
        self.hand_over_if_ready(effects);
    }

    pub(crate) fn on_conflict(&mut self, from: Member, at: Index, hint: EntryId, effects: &mut Vec<Effect>) {
        let base = self.log.base().index;
        let Some(progress) = self.follower(from) else { return };
        let expected = match progress.pace {
            // Whoever lacks what it has acknowledged is mad. It is asked again with the next heartbeat, and not at once: neither would
            // ever get any further.
            Pace::Probe { .. } => at == progress.next.previous() && at > progress.matched,
            Pace::Replicate { .. } => at > progress.matched && at < progress.next,
            Pace::Snapshot(_) => false,
        };
        // An old answer, or one that leads nowhere.
        if !expected || hint.index >= at {
            return;
        }
        let shared = match hint.index > base {
            true => last_shared(&self.log, hint.index, hint.epoch, base),
            // It lies in the snapshot.
            false => hint.index,
        };
        if let Some(progress) = self.follower(from) {
            progress.probe_after(shared);
        }
        self.replicate_to(from, effects);
    }

    pub(crate) fn broadcast_heartbeat(&mut self, effects: &mut Vec<Effect>) {
        let due = self.now + self.config.heartbeat_interval;
        let State::Leader(leader) = &mut self.state else { return };
        leader.heartbeat_due = due;
        self.heartbeat_to(|_| true, effects);
    }

    /// Sends a heartbeat to those who are meant.
    pub(crate) fn heartbeat_to(&self, meant: impl Fn(Member) -> bool, effects: &mut Vec<Effect>) {
        let (term, commit) = (self.term(), self.commit);
        let State::Leader(leader) = &self.state else { return };
        let beat = Beat { round: leader.reads.round(), at: self.now };
        for (to, progress) in leader.followers.iter().filter(|(member, _)| meant(**member)) {
            let message = Message::Heartbeat { term, beat, commit, sent: progress.sent() };
            effects.push(Effect::Send { to: *to, message, after: None });
        }
    }

    pub(crate) fn on_heartbeat_reply(
        &mut self,
        from: Member,
        beat: Beat,
        sent: Index,
        received: Index,
        durable: Index,
        effects: &mut Vec<Effect>,
    ) {
        let (base, last, now) = (self.log.base().index, self.log.last().index, self.now);
        let Some(progress) = self.follower(from) else { return };
        progress.round = progress.round.max(beat.round);
        progress.followed = progress.followed.max(Some(beat.at.min(now)));
        progress.round_trip.measured(now.since(beat.at));
        // Nobody can have more than there is: such a peer is mad, and is not believed.
        if received.max(durable) > last {
            return;
        }
        // Entries that are only slow are sent twice then, which costs bytes; lost ones would cost an
        // election.
        let lost = received < sent && sent <= progress.sent();
        match lost {
            true => progress.probe_after(received),
            false => progress.probe_again(received),
        }
        progress.acknowledge(durable, base);
        self.advance_commit(effects);
        self.rewind_stalled_snapshot(from);
        self.replicate_to(from, effects);
        self.confirm_reads(effects);
        self.hand_over_if_ready(effects);
    }

    /// Commits what a majority has, if that includes an entry of the own term (section 5.4.2): counting
    /// copies of older entries proves nothing, as Figure 8 shows.
    pub(crate) fn advance_commit(&mut self, effects: &mut Vec<Effect>) {
        let State::Leader(leader) = &self.state else { return };
        let own = self.durable();
        let matched = |node| leader.followers.get(&node).map_or(own, |progress: &Progress| progress.matched);
        let reached = match self.holds(Rule::MajorityCommits) {
            true => self.quorum.reached(matched),
            false => self.quorum.voters().map(matched).max().unwrap_or(own),
        };
        let own_term = self.log.epoch_at(reached) == Some(self.term().into());
        if reached > self.commit && (own_term || !self.holds(Rule::OwnTermByCounting)) {
            self.commit_through(reached, effects);
            self.start_read_round(effects);
        }
    }

    /// Everything through `index` is committed.
    pub(crate) fn commit_through(&mut self, index: Index, effects: &mut Vec<Effect>) {
        assert!(
            index <= self.log.last().index,
            "raft: leader completeness: {index} is committed, the log ends with {}",
            self.log.last()
        );
        let configured = self.membership.latest().0;
        let settles = self.commit < configured && configured <= index;
        self.commit = self.commit.max(index);
        if settles {
            self.say_farewell(effects);
            self.count_anew();
        }
        self.apply_committed(effects);
    }

    /// Hands out what is committed, once. Not while a snapshot replaces the state that it would be applied
    /// to.
    pub(crate) fn apply_committed(&mut self, effects: &mut Vec<Effect>) {
        if self.applied == self.commit || self.is_installing() {
            return;
        }
        let entries = self.log.between(self.applied, self.commit);
        self.applied = self.commit;
        let entries = entries.into_iter().map(content::for_state_machine).collect();
        effects.push(Effect::Apply { entries });
        self.serve_confirmed_reads(effects);
    }
}
