//! The leader's side of log replication (Raft paper, sections 5.3 and 5.4).

use bytes::Bytes;
use onecopy_core::{EntryId, Index, Member, Rule, Timestamp};

use crate::content;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::message::{Beat, Message};
use crate::progress::{Pace, Progress, last_shared};
use crate::sending::Sending;

impl Leader {
    /// The entry without commands lets everything before it be committed (section 5.4.2), and tells what is
    /// committed (section 8).
    pub fn open_reign(&mut self, core: &mut Core, step: &mut Step<'_>) {
        core.append_own(Bytes::new(), core.last_time(), 0);
        self.replicate(core, step);
        self.advance_commit(core, step);
    }

    pub fn on_propose(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        payload: &Bytes,
        time: Timestamp,
        seed: u64,
    ) {
        if self.transfer.is_some() {
            // There is no leader to turn to until the transfer has ended.
            return step.push(Effect::Refused { leader: None });
        }
        let id = core.append_own(content::of_command(payload), time, seed);
        step.push(Effect::Proposed { id });
        self.replicate(core, step);
        self.advance_commit(core, step);
    }

    /// Sends every follower what it lacks, as far as its window allows.
    pub fn replicate(&mut self, core: &Core, step: &mut Step<'_>) {
        for (member, progress) in &mut self.followers {
            progress.replicate(core, step, *member);
        }
    }

    pub fn replicate_to(&mut self, core: &Core, step: &mut Step<'_>, to: Member) {
        if let Some(progress) = self.followers.get_mut(&to) {
            progress.replicate(core, step, to);
        }
    }

    pub fn on_appended(&mut self, core: &mut Core, step: &mut Step<'_>, from: Member, through: Index) {
        let (base, last) = (core.log.base().index, core.log.last().index);
        let Some(progress) = self.follower(step.now, from) else { return };
        // Nobody can have more than there is: such a peer is mad, and is not believed.
        if through > last {
            return;
        }
        progress.acknowledge(through, base);
        self.advance_commit(core, step);
        self.replicate_to(core, step, from);
        self.hand_over_if_ready(core, step);
    }

    pub fn on_conflict(&mut self, core: &Core, step: &mut Step<'_>, from: Member, at: Index, hint: EntryId) {
        let base = core.log.base().index;
        let Some(progress) = self.follower(step.now, from) else { return };
        let expected = match progress.pace {
            // Whoever lacks what it has acknowledged is mad. It is asked again with the next heartbeat, and
            // not at once: neither would ever get any further.
            Pace::Probe { .. } => at == progress.next.previous() && at > progress.matched,
            Pace::Replicate { .. } => at > progress.matched && at < progress.next,
            Pace::Snapshot(_) => false,
        };
        // An old answer, or one that leads nowhere.
        if !expected || hint.index >= at {
            return;
        }
        let shared = match hint.index > base {
            true => last_shared(&core.log, hint.index, hint.epoch, base),
            // It lies in the snapshot.
            false => hint.index,
        };
        progress.probe_after(shared);
        progress.replicate(core, step, from);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub fn on_heartbeat_reply(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: Member,
        beat: Beat,
        sent: Index,
        received: Index,
        durable: Index,
    ) {
        let (base, last, now) = (core.log.base().index, core.log.last().index, step.now);
        let Some(progress) = self.follower(now, from) else { return };
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
        self.advance_commit(core, step);
        self.rewind_stalled_snapshot(core, now, from);
        self.replicate_to(core, step, from);
        self.confirm_reads(core, step);
        self.hand_over_if_ready(core, step);
    }

    /// Commits what a majority has, if that includes an entry of the own term (section 5.4.2): counting
    /// copies of older entries proves nothing, as Figure 8 shows.
    pub fn advance_commit(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let reached = self.reached(core);
        if reached > core.commit && core.counting_proves(reached) {
            self.commit_through(core, step, reached);
            self.start_read_round(core, step);
        }
    }

    /// The last entry that a majority holds durably.
    fn reached(&self, core: &Core) -> Index {
        let own = core.durable();
        let matched = |node| self.followers.get(&node).map_or(own, |progress: &Progress| progress.matched);
        match core.holds(Rule::MajorityCommits) {
            true => core.quorum.reached(matched),
            false => core.quorum.voters().map(matched).max().unwrap_or(own),
        }
    }

    /// Everything through `index` is committed.
    pub fn commit_through(&mut self, core: &mut Core, step: &mut Step<'_>, index: Index) {
        let was_open = !core.is_configuration_committed();
        core.raise_commit(index);
        if was_open && core.is_configuration_committed() {
            self.say_farewell(core, step);
            self.follow_configuration(core, step.now);
        }
        core.apply_committed(step);
        self.serve_confirmed_reads(core, step);
    }
}

impl Core {
    /// Whether the copies of an entry tell that no later leader can lack it.
    fn counting_proves(&self, index: Index) -> bool {
        let own_term = self.log.epoch_at(index) == Some(self.term().into());
        own_term || !self.holds(Rule::OwnTermByCounting)
    }
}

impl Progress {
    /// Sends the follower what it lacks, as far as its window allows.
    fn replicate(&mut self, core: &Core, step: &mut Step<'_>, to: Member) {
        let compacted = self.next.previous() < core.log.base().index;
        if compacted && !matches!(self.pace, Pace::Snapshot(_)) {
            self.pace = Pace::Snapshot(Sending::new(to, core.snapshot, step.now));
        }
        while let Some((previous, entries)) = self.take(&core.log, &core.config) {
            // Waits for no disk: the leader writes its own copy at the same time (thesis, section 10.2.1).
            step.send(to, Message::Append { term: core.term(), previous, entries, commit: core.commit });
        }
        if let Pace::Snapshot(sending) = &mut self.pace {
            sending.read(step);
        }
    }
}
