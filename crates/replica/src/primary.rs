//! The primary: it orders requests, has every backup hold them, and decides what is committed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    Entry, EntryId, Epoch, Index, Instant, Member, NodeId, Rule, Timestamp, View, ViewNumber,
};

use crate::config::Config;
use crate::effect::Effect;
use crate::handover::Handover;
use crate::lease::{Granted, Loan, Terms};
use crate::message::Message;
use crate::pace::{Pace, Uncommitted};
use crate::reads::Reads;
use crate::replica::{Replica, Role};
use crate::transfer::Transfer;

/// How many Prepares may be on their way after one was rejected. Enough for the usual pauses of a network, and few enough
/// that sending them again costs little.
const IN_FLIGHT_AFTER_REJECTION: usize = 32;

/// How many bytes may be on their way to a learner, at most. It answers what it has on disk, and executes before it answers the next:
/// in large bites it would be silent for longer than a replica may be that is alive, and clients would wait for what it takes the
/// primary to send them. It is also what a learner may lack when writes begin to wait for it (rule P5).
pub(crate) const LEARNER_WINDOW_MAX: usize = 4 << 20;

/// What a primary knows in its view. Nothing of it survives the view: acknowledgements of an older view
/// may be about a tail that has been cut since.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Primary {
    view: ViewNumber,
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
    /// The last tick.
    pub(crate) ticked: Instant,
    /// It did not stand still since then.
    pub(crate) awake: Instant,
}

/// What the primary knows of another replica.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    pub(crate) is_member: bool,
    /// Everything up to here agrees and is durable there.
    pub(crate) matched: Index,
    /// After this entry it held what this primary holds (rule P10).
    checked: Index,
    /// The next entry to send.
    next: Index,
    /// The last sequence number used.
    sequence: u64,
    /// Rejections of Prepares up to this one have been dealt with.
    rewound_at: u64,
    /// Prepares on their way: their last index and their size.
    in_flight: VecDeque<(Index, usize)>,
    in_flight_bytes: usize,
    /// How many Prepares may be on their way. A rejection lowers it, and every acknowledgement doubles it: a network that
    /// loses or reorders would otherwise have the whole window sent again for every Prepare that comes out of turn.
    in_flight_max: usize,
    /// The snapshot that is being sent, while the log does not reach back far enough.
    pub(crate) transfer: Option<Transfer>,
    /// How many there have been.
    pub(crate) transfers: u64,
    /// How many bytes of a snapshot it got in the last one.
    pub(crate) got: u64,
    /// When it last said anything.
    pub(crate) heard: Instant,
    /// How fast it acknowledges.
    pub(crate) pace: Pace,
    /// When it was last sent anything.
    sent: Instant,
    /// Until when its promise lets this primary read.
    promised_until: Instant,
    /// Its clock when it sent its last answer: that is what a lease for it counts from. And the clock here when it came.
    answered: Option<(Instant, Instant)>,
    /// It wants to hear at once what is committed.
    reads: bool,
    /// The commit index that it was last told.
    told: Index,
}

impl Primary {
    pub(crate) fn new(view: &View, me: NodeId, now: Instant) -> Self {
        let peers = view.replicas().filter(|replica| replica.node != me).map(|replica| Peer {
            node: replica.node,
            is_member: view.is_member(replica),
            matched: Index(0),
            checked: Index(0),
            next: Index(0),
            sequence: 0,
            rewound_at: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            in_flight_max: usize::MAX,
            transfer: None,
            transfers: 0,
            got: 0,
            heard: now,
            pace: Pace::new(now),
            sent: now,
            promised_until: Instant::ZERO,
            answered: None,
            reads: false,
            told: Index(0),
        });
        Self {
            view: view.number,
            noop: Index(0),
            peers: peers.collect(),
            joining: None,
            has_asked: false,
            reads: Reads::default(),
            uncommitted: VecDeque::new(),
            awaited: Index(0),
            uncommitted_bytes: 0,
            handover: Handover::default(),
            opens: None,
            ticked: now,
            awake: now,
        }
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    pub(crate) fn peer(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.node == node)
    }

    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.uncommitted.front().map(|entry| entry.since)
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

    fn record_uncommitted(&mut self, entry: &Entry, now: Instant) {
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

impl Peer {
    fn acknowledge(&mut self, durable: Index) {
        self.matched = self.matched.max(durable);
        let before = self.in_flight.len();
        while let Some((last, size)) = self.in_flight.front().copied() {
            if last > self.matched {
                break;
            }
            self.in_flight.pop_front();
            self.in_flight_bytes -= size;
        }
        if self.in_flight.len() < before {
            self.in_flight_max = self.in_flight_max.saturating_mul(2);
        }
    }

    /// Whether it can send a snapshot to another replica: it is a member that has said something lately, and lacks none itself.
    pub(crate) fn can_serve(&self, now: Instant, lately: Duration) -> bool {
        self.is_member && self.transfer.is_none() && self.matched > Index(0) && now.since(self.heard) < lately
    }

    fn take_terms(&mut self, now: Instant, terms: Terms, config: &Config) {
        self.reads = terms.reads;
        if self.answered.is_none_or(|(sent, _)| sent < terms.sent) {
            self.answered = Some((terms.sent, now));
        }
        if let Some(promise) = terms.lease {
            self.promised_until = self.promised_until.max(config.held_until(now, promise));
        }
    }

    fn rewind(&mut self, next: Index) {
        self.next = next;
        self.rewound_at = self.sequence;
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.in_flight_max = IN_FLIGHT_AFTER_REJECTION;
    }
}

impl Replica {
    /// Becomes the active primary of the view that was just entered (rule P7).
    pub(crate) fn activate(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let after = self.log.last().index;
        let noop = self.new_entry(Bytes::new(), Timestamp(0), 0);
        let Role::Primary(primary) = &mut self.role else { return };
        primary.noop = noop.id.index;
        for entry in self.log.after(self.commit, usize::MAX) {
            primary.record_uncommitted(&entry, now);
        }
        for peer in &mut primary.peers {
            peer.next = after.next();
        }
        self.order(now, noop, effects);
    }

    /// A batch of requests arrived.
    pub(crate) fn on_propose(
        &mut self,
        now: Instant,
        payload: Bytes,
        time: Timestamp,
        seed: u64,
        effects: &mut Vec<Effect>,
    ) {
        let takes = matches!(&self.role, Role::Primary(primary) if !primary.handover.is_drained());
        if !takes {
            effects.push(Effect::Refused);
            return;
        }
        let entry = self.new_entry(payload, time, seed);
        effects.push(Effect::Proposed { id: entry.id });
        self.order(now, entry, effects);
    }

    fn new_entry(&self, payload: Bytes, time: Timestamp, seed: u64) -> Entry {
        let id = EntryId::new(self.log.last().index.next(), Epoch::from(self.view_number()));
        // The wall clock may have been set back, here or by a change of primaries: an entry's time never is.
        Entry { id, time: time.max(self.last_time()), seed, payload }
    }

    fn order(&mut self, now: Instant, entry: Entry, effects: &mut Vec<Effect>) {
        if let Role::Primary(primary) = &mut self.role {
            primary.record_uncommitted(&entry, now);
            primary.peers.iter_mut().for_each(|peer| peer.pace.owes(now, entry.id.index));
        }
        self.append(now, vec![entry], effects);
        self.send_to_all(now, effects);
    }

    fn send_to_all(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &self.role else { return };
        let nodes: Vec<NodeId> = primary.peers.iter().map(|peer| peer.node).collect();
        for node in nodes {
            self.send_entries(now, node, effects);
        }
    }

    /// Sends a replica what it lacks, as far as the window allows.
    pub(crate) fn send_entries(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let last = self.log.last().index;
        loop {
            let base = self.log.base().index;
            let Role::Primary(primary) = &mut self.role else { return };
            let Some(peer) = primary.peer(to) else { return };
            let bite = if peer.is_member { usize::MAX } else { LEARNER_WINDOW_MAX };
            let window_max = self.config.window_bytes_max.min(bite);
            let prepare_max = self.config.prepare_bytes_max.min(bite / 8);
            if peer.in_flight.len() >= peer.in_flight_max {
                return;
            }
            if peer.transfer.is_some() || peer.next > last || peer.in_flight_bytes >= window_max {
                return;
            }
            if peer.next <= base {
                return self.begin_transfer(now, to, effects);
            }
            let next = peer.next;
            let entries = self.log.after(next.previous(), prepare_max);
            self.send_prepare(now, to, next.previous(), entries, effects);
        }
    }

    /// Sends one Prepare with the entries after `previous`, or a heartbeat.
    fn send_prepare(
        &mut self,
        now: Instant,
        to: NodeId,
        previous: Index,
        entries: Vec<Entry>,
        effects: &mut Vec<Effect>,
    ) {
        let commit = self.commit;
        let terms = self.offer(now, to);
        let Some(view) = self.view.clone() else { return };
        let previous =
            self.log.epoch_at(previous).map_or(EntryId::ZERO, |epoch| EntryId::new(previous, epoch));
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        peer.sequence += 1;
        peer.sent = now;
        peer.told = commit;
        let sequence = peer.sequence;
        if let Some(last) = entries.last() {
            let size = entries.iter().map(Entry::size).sum();
            peer.next = last.id.index.next();
            peer.in_flight.push_back((last.id.index, size));
            peer.in_flight_bytes += size;
        }
        let digest = self.digests.last();
        self.send(to, Message::Prepare { view, sequence, previous, entries, commit, digest, terms }, effects);
    }

    pub(crate) fn on_prepare_ok(
        &mut self,
        now: Instant,
        from: NodeId,
        durable: Index,
        checked: Index,
        terms: Option<Terms>,
        effects: &mut Vec<Effect>,
    ) {
        let last = self.log.last().index;
        let config = &self.config;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(from) else { return };
        if durable > last {
            // Only a replica that is not what it seems to be says this. Believing it would commit nothing false
            // here, but it must not count for anything either.
            return;
        }
        peer.heard = now;
        if let Some(terms) = terms {
            peer.take_terms(now, terms, config);
        }
        peer.checked = peer.checked.max(checked);
        let before = peer.matched;
        peer.acknowledge(durable);
        peer.pace.acknowledged(now, before, peer.matched, last);
        peer.next = peer.next.max(peer.matched.next());
        let sent = peer.transfer.as_ref().and_then(Transfer::snapshot);
        if sent.is_some_and(|snapshot| durable >= snapshot.index) {
            peer.end_transfer();
        }
        self.try_commit(now, effects);
        self.try_join(now, effects);
        self.send_entries(now, from, effects);
        self.tell_readers(now, effects);
        self.maybe_compact(now, effects);
    }

    pub(crate) fn on_prepare_reject(
        &mut self,
        now: Instant,
        from: NodeId,
        sequence: u64,
        agreed: Index,
        last: EntryId,
        effects: &mut Vec<Effect>,
    ) {
        // Both logs agree up to an entry that both hold: an entry's name determines all before it.
        let agreed = if self.log.contains(last) { last.index } else { agreed };
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(from) else { return };
        peer.heard = now;
        if sequence <= peer.rewound_at || peer.transfer.is_some() || agreed >= peer.next {
            return; // dealt with already
        }
        peer.rewind(agreed.next().max(peer.matched.next()));
        self.send_entries(now, from, effects);
    }

    /// Raises the commit index to what every required replica has durably (rules P1, P5, P6, P7).
    pub(crate) fn try_commit(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        let mut index = self.disk.durable;
        primary.note_awaited(&self.config, now, index);
        if self.config.rules.hold(Rule::AllBackupsFirst) {
            index = primary.required(&self.config, now).map(|peer| peer.matched).fold(index, Index::min);
        }
        if index < primary.noop && self.config.rules.hold(Rule::OwnEntryFirst) {
            return;
        }
        if !self.promise_is_durable() || !self.is_open(now) {
            return;
        }
        self.commit_through(index, effects);
        if let Role::Primary(primary) = &mut self.role {
            primary.record_commit(index);
        }
        self.answer_reads(now, effects);
        self.continue_handover(now, effects);
    }

    /// Whether the primary may commit and read, as far as earlier promises and leases go (rules L3, L6 and P6). If
    /// not, it comes back when it may.
    pub(crate) fn is_open(&mut self, now: Instant) -> bool {
        let Some(view) = &self.view else { return false };
        let opens = self.leases.opens(view, &self.config);
        let Role::Primary(primary) = &mut self.role else { return false };
        primary.opens = (opens > now).then_some(opens);
        primary.opens.is_none()
    }

    /// What a Prepare for `to` says about leases: a backup gets one if this primary has some time left itself.
    fn offer(&mut self, now: Instant, to: NodeId) -> Option<Terms> {
        let length = self.config.lease.filter(|_| !self.declines)?;
        let opened = self.is_open(now);
        let member = self.view.as_ref().and_then(|view| view.member(to)).copied();
        let Role::Primary(primary) = &mut self.role else { return None };
        let settled = self.commit >= primary.noop || !self.config.rules.hold(Rule::OwnEntryFirst);
        let ends = primary.lease_ends(&self.config, now);
        let answered = primary.peer(to).and_then(|peer| peer.answered);
        // A primary without a lease has none to lend (rule L4).
        let ends = if self.config.rules.hold(Rule::LeasesNest) { Some(ends) } else { None };
        let may_lend = opened && settled && ends != Some(None);
        let loan = answered.filter(|_| may_lend).zip(member).map(|((earned, heard), holder)| {
            // The backup counts from when it sent its answer, which was before it was heard here. Counted from now, the loan would lose
            // all the time since then: a backup of a group at rest would hold none for most of each heartbeat interval.
            let left = ends.flatten().map_or(length, |end| end.since(heard));
            let lasts = length.min(left);
            self.leases.grant(heard, Granted { holder, lasts }, &self.config);
            Loan { earned, lasts }
        });
        Some(Terms { sent: now, lease: loan, reads: false })
    }

    /// Backups that answer reads are told at once what is committed: their readers wait for it (rule L5).
    fn tell_readers(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &self.role else { return };
        let waiting = primary.peers.iter().filter(|peer| peer.reads && peer.told < self.commit);
        let nodes: Vec<NodeId> = waiting.map(|peer| peer.node).collect();
        for node in nodes {
            self.heartbeat(now, node, effects);
        }
    }

    /// Something became durable here.
    pub(crate) fn primary_durable(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.try_commit(now, effects);
        self.try_join(now, effects);
        self.tell_readers(now, effects);
    }

    /// Makes a learner that has nearly everything required (rule P5), and once it has everything that is
    /// committed, asks the view service to make it a member.
    fn try_join(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let last = self.log.last().index;
        let Some(view) = &self.view else { return };
        let Role::Primary(primary) = &mut self.role else { return };
        if primary.joining.is_none() && self.commit >= primary.noop {
            let config = &self.config;
            // Few entries may be many bytes.
            let bytes_max = primary.uncommitted_bytes + config.window_bytes_max.min(LEARNER_WINDOW_MAX);
            // One that has acknowledged nothing yet may be slow, or dead, and one that needs a snapshot first would hold
            // up every write until it has it.
            let base = self.log.base().index;
            let keeps_up = |peer: &&Peer| {
                let answers = peer.matched > Index(0) && peer.matched >= base && peer.transfer.is_none();
                let is_near = || {
                    let lacks_few = peer.matched.plus(config.join_lag_max) >= last;
                    lacks_few && self.log.bytes_after(peer.matched) <= bytes_max
                };
                !peer.is_member && answers && is_near() && peer.pace.keeps_up(now, config)
            };
            primary.joining =
                primary.peers.iter().find(keeps_up).and_then(|peer| view.learner(peer.node).copied());
            if primary.joining.is_some() {
                self.ask_membership(effects);
            }
        }
    }

    fn ask_membership(&mut self, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(learner) = primary.joining else { return };
        // It has everything, and what it made of it is the same (P10), as far as somebody compares.
        let compares = self.digests.last().is_some();
        let certified = primary.peers.iter().any(|peer| {
            let has_all = peer.matched >= self.commit && peer.matched >= primary.noop;
            peer.node == learner.node && has_all && (!compares || peer.checked >= primary.noop)
        });
        if certified || !self.config.rules.hold(Rule::CertifyBeforeMembership) {
            primary.has_asked = true;
            effects.push(Effect::AskMembership { view: primary.view, learner });
        }
    }

    /// One heartbeat interval has passed.
    pub(crate) fn primary_tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(view) = self.view.as_ref().map(|view| view.number) else { return };
        let (config, interval) = (&self.config, self.config.heartbeat_interval);
        let Role::Primary(primary) = &mut self.role else { return };
        primary.note_tick(config, now);
        primary.reconsider_joining(config, now);
        let look = |peer: &Peer| (peer.node, primary.grounds(config, now, peer), now.since(peer.sent));
        let peers: Vec<_> = primary.peers.iter().map(look).collect();
        for (node, grounds, quiet_for) in peers {
            effects.extend(grounds.map(|grounds| Effect::Suspect { view, node, grounds }));
            self.nudge_transfer(now, node, effects);
            self.send_entries(now, node, effects);
            // Also when entries went out lately: the heartbeat is what brings a lost one to light.
            if quiet_for >= interval / 2 {
                self.heartbeat(now, node, effects);
            }
        }
        self.try_learners(now, effects);
        self.try_join(now, effects);
        self.ask_membership(effects);
        self.ask_again(now, effects);
        // P6, sabotaged: silence alone may have made an entry committable.
        self.try_commit(now, effects);
        self.handover_tick(now, effects);
    }

    /// A learner that was slow is tried with an entry of its own, where nobody writes: it holds up nobody yet.
    fn try_learners(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let last = self.log.last().index;
        let Role::Primary(primary) = &self.role else { return };
        let is_idle = self.commit == last && !primary.handover.is_under_way();
        if is_idle && primary.wants_to_try(&self.config, now, last) {
            let entry = self.new_entry(Bytes::new(), Timestamp(0), 0);
            self.order(now, entry, effects);
        }
    }

    /// What held up commits may have run out.
    pub(crate) fn primary_opens(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        if primary.opens.is_some_and(|opens| opens <= now) {
            primary.opens = None;
            self.try_commit(now, effects);
            self.try_join(now, effects);
        }
    }

    fn heartbeat(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        // While a snapshot is on its way nothing of the log can be claimed to be there.
        let previous = if peer.transfer.is_some() { Index(0) } else { peer.next.previous() };
        self.send_prepare(now, to, previous, Vec::new(), effects);
    }

    /// A replica said something that is no answer to a Prepare.
    pub(crate) fn heard_from(&mut self, now: Instant, node: NodeId) {
        if let Role::Primary(primary) = &mut self.role
            && let Some(peer) = primary.peer(node)
        {
            peer.heard = now;
        }
    }
}
