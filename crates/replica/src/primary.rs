//! The primary: it orders requests, has every backup hold them, and decides what is committed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Entry, Index, Instant, Member, NodeId, Plea, Rule, Timestamp, View};

use crate::awake::Awake;
use crate::config::Config;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::handover::Handover;
use crate::lease::{Granted, Loan, Terms};
use crate::pace::{Uncommitted, time_for};
use crate::peer::Peer;
use crate::reads::Reads;

/// What a primary knows in its view. Nothing of it survives the view: acknowledgements of an older view
/// may be about a tail that has been cut since.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Primary {
    /// The entry that opens the view (rule P7). Nothing is committed or read before it is.
    pub(crate) noop: Index,
    peers: Vec<Peer>,
    /// The learner that is waited for like a member (rule P5).
    pub(crate) joining: Option<Member>,
    /// Its membership was asked for: there is no way back.
    pub(crate) has_asked: bool,
    pub(crate) reads: Reads,
    /// Uncommitted entries, without gaps.
    pub(crate) uncommitted: VecDeque<Uncommitted>,
    /// Entries up to this one are, or were, held by all but one.
    pub(crate) awaited: Index,
    uncommitted_bytes: usize,
    pub(crate) handover: Handover,
    /// When something that holds up commits runs out (rules L3, L6 and P6).
    opens: Option<Instant>,
    /// Whether it stood still.
    pub(crate) awake: Awake,
}

impl Primary {
    pub(crate) fn new(view: &View, me: NodeId, now: Instant) -> Self {
        let others = view.replicas().filter(|replica| replica.node != me);
        let peers = others.map(|replica| Peer::new(replica.node, view.is_member(replica), now)).collect();
        Self {
            noop: Index(0),
            peers,
            joining: None,
            has_asked: false,
            reads: Reads::default(),
            uncommitted: VecDeque::new(),
            awaited: Index(0),
            uncommitted_bytes: 0,
            handover: Handover::default(),
            opens: None,
            awake: Awake::new(now),
        }
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    pub(crate) fn peer(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.node == node)
    }

    /// For how long the oldest uncommitted entry has been waiting, beyond what its bytes may take.
    pub(crate) fn waits(&self, config: &Config, now: Instant) -> Option<Duration> {
        let entry = self.uncommitted.front()?;
        Some(now.since(entry.since).saturating_sub(time_for(config, entry.behind)))
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes
    }

    /// Who must acknowledge a commit, and confirm a read: the other members, and the joining learner.
    pub(crate) fn required(&self, config: &Config, now: Instant) -> impl Iterator<Item = &Peer> {
        let joining = self.joining.map(|member| member.node);
        let count_joining = config.rules.hold(Rule::CountBeforeTheyCount);
        // P6: silence alone never shortens the list. (Sabotaged, it does.)
        let drop_silent = !config.rules.hold(Rule::DropOnlyWhatIsDropped);
        let timeout = config.failure_timeout;
        self.peers.iter().filter(move |peer| {
            let counts = peer.is_member || (count_joining && joining == Some(peer.node));
            counts && !(drop_silent && now.since(peer.heard) > timeout)
        })
    }

    /// Until when nobody else can act as a primary (rule L1); `None` if that is not known of everybody.
    pub(crate) fn lease_ends(&self, config: &Config, now: Instant) -> Option<Instant> {
        config.lease?;
        if self.handover.has_given_up() {
            return None;
        }
        let promises = self.required(config, now).map(|peer| peer.promised_until);
        Some(promises.fold(Instant(u64::MAX), Instant::min)).filter(|end| *end > now)
    }

    /// When a wait for promises or leases is over, if there is one.
    pub(crate) fn opens(&self) -> Option<Instant> {
        self.opens
    }

    pub(crate) fn check(&self, config: &Config, commit: Index, last: Index, durable: Index) {
        assert!(self.peers.iter().all(|peer| peer.matched <= last), "a peer acknowledged more than there is");
        let intact = [Rule::AllBackupsFirst, Rule::DropOnlyWhatIsDropped, Rule::OwnEntryFirst];
        if commit >= self.noop && intact.iter().all(|rule| config.rules.hold(*rule)) {
            assert!(durable >= commit, "P1 all backups first: {commit} is not durable at the primary");
            for peer in self.peers.iter().filter(|peer| peer.is_member) {
                assert!(peer.matched >= commit, "P1 all backups first: {commit} is not at {}", peer.node);
            }
        }
    }

    pub(crate) fn record_uncommitted(&mut self, entry: &Entry, now: Instant) {
        let (index, size) = (entry.id.index, entry.size());
        self.uncommitted_bytes += size;
        let behind = self.uncommitted_bytes;
        self.uncommitted.push_back(Uncommitted { index, size, since: now, behind, awaited: None });
    }

    fn record_commit(&mut self, commit: Index) {
        while let Some(entry) = self.uncommitted.pop_front_if(|entry| entry.index <= commit) {
            self.uncommitted_bytes -= entry.size;
        }
    }
}

impl Primary {
    /// Becomes the active primary of the view that was just entered (rule P7).
    pub(crate) fn activate(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let after = core.log.last().index;
        let noop = core.new_entry(Bytes::new(), Timestamp(0), 0);
        self.noop = noop.id.index;
        for entry in core.log.after(core.commit, usize::MAX) {
            self.record_uncommitted(&entry, step.now);
        }
        for peer in &mut self.peers {
            peer.next = after.next();
        }
        self.order(core, step, noop);
    }

    /// A batch of requests arrived.
    pub(crate) fn on_propose(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        payload: Bytes,
        time: Timestamp,
        seed: u64,
    ) {
        if self.handover.is_drained() {
            return step.push(Effect::Refused);
        }
        let entry = core.new_entry(payload, time, seed);
        step.push(Effect::Proposed { id: entry.id });
        self.order(core, step, entry);
    }

    pub(crate) fn order(&mut self, core: &mut Core, step: &mut Step<'_>, entry: Entry) {
        self.record_uncommitted(&entry, step.now);
        self.peers.iter_mut().for_each(|peer| peer.pace.owes(step.now, entry.id.index));
        core.append(step, vec![entry]);
        self.send_to_all(core, step);
    }

    /// Raises the commit index to what every required replica has durably (rules P1, P5, P6, P7).
    pub(crate) fn try_commit(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let mut index = core.disk.durable;
        self.note_awaited(&core.config, step.now, index);
        if core.config.rules.hold(Rule::AllBackupsFirst) {
            index = self.required(&core.config, step.now).map(|peer| peer.matched).fold(index, Index::min);
        }
        if index < self.noop && core.config.rules.hold(Rule::OwnEntryFirst) {
            return;
        }
        if !core.promise_is_durable() || !self.is_open(core, step.now) {
            return;
        }
        core.commit_through(step, index, self.demand());
        self.record_commit(index);
        self.answer_reads(core, step);
        self.continue_handover(core, step);
    }

    /// Whether the primary may commit and read, as far as earlier promises and leases go (rules L3, L6 and
    /// P6). If not, it comes back when it may.
    pub(crate) fn is_open(&mut self, core: &Core, now: Instant) -> bool {
        let Some(view) = &core.view else { return false };
        let opens = core.leases.opens(view, &core.config);
        self.opens = (opens > now).then_some(opens);
        self.opens.is_none()
    }

    /// What a Prepare for `to` says about leases: a backup gets one if this primary has some time left
    /// itself.
    pub(crate) fn offer(&mut self, core: &mut Core, now: Instant, to: NodeId) -> Option<Terms> {
        let length = core.lease()?;
        let opened = self.is_open(core, now);
        let member = core.view.as_ref().and_then(|view| view.member(to)).copied();
        let settled = core.commit >= self.noop || !core.config.rules.hold(Rule::OwnEntryFirst);
        let ends = self.lease_ends(&core.config, now);
        let answered = self.peer(to).and_then(|peer| peer.answered);
        // A primary without a lease has none to lend (rule L4).
        let ends = if core.config.rules.hold(Rule::LeasesNest) { Some(ends) } else { None };
        let may_lend = opened && settled && ends != Some(None);
        let loan = answered.filter(|_| may_lend).zip(member).map(|((earned, heard), holder)| {
            // The backup counts from when it sent its answer, which was before it was heard here. Counted
            // from now, the loan would lose all the time since then: a backup of a group at rest would hold
            // none for most of each heartbeat interval.
            let left = ends.flatten().map_or(length, |end| end.since(heard));
            let lasts = length.min(left);
            core.leases.grant(heard, Granted { holder, lasts }, &core.config);
            Loan { earned, lasts }
        });
        Some(Terms { sent: now, lease: loan, reads: false })
    }

    /// Something became durable here.
    pub(crate) fn became_durable(&mut self, core: &mut Core, step: &mut Step<'_>) {
        self.try_commit(core, step);
        self.try_join(core, step);
        self.tell_readers(core, step);
    }

    /// One heartbeat interval has passed.
    pub(crate) fn tick(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let (now, interval) = (step.now, core.config.heartbeat_interval);
        self.awake.tick(&core.config, now);
        self.reconsider_joining(&core.config, now);
        let look = |peer: &Peer| (peer.node, self.grounds(&core.config, now, peer), now.since(peer.sent));
        let peers: Vec<_> = self.peers.iter().map(look).collect();
        for (node, grounds, quiet_for) in peers {
            if let Some(grounds) = grounds {
                core.petition(step, Plea::Suspect { node, grounds });
            }
            self.nudge_transfer(core, step, node);
            self.send_entries(core, step, node);
            // Also when entries went out lately: the heartbeat is what brings a lost one to light.
            if quiet_for >= interval / 2 {
                self.heartbeat(core, step, node);
            }
        }
        self.try_learners(core, step);
        self.try_join(core, step);
        self.ask_membership(core, step);
        self.ask_again(core, step);
        // P6, sabotaged: silence alone may have made an entry committable.
        self.try_commit(core, step);
        self.handover_tick(core, step);
    }

    /// What held up commits may have run out.
    pub(crate) fn may_open(&mut self, core: &mut Core, step: &mut Step<'_>) {
        if self.opens.is_some_and(|opens| opens <= step.now) {
            self.opens = None;
            self.try_commit(core, step);
            self.try_join(core, step);
        }
    }
}
