//! A Raft group: its copies decide by themselves who leads, and a majority holds what is acknowledged.
//!
//! The view service has said who the copies are when it created the group; that is all that Raft wants of
//! it. A copy speaks as a [`Member`]: a node in one life of its data, so that one that lost its data is
//! another member, without a vote.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use onecopy_core::{
    BootNumber, EntryId, Incarnation, Index, Instant, Member, NodeId, Protocol, Recovered, StateMachine,
    Term, Ticket, Timestamp, View, ViewNumber, Write,
};
use onecopy_raft::TransferRefusal;
use onecopy_raft::{Base, ClockDrift, Config, Configuration, Effect, Input, Message, Raft, Role};
use onecopy_replica::{HandoverError, Refusal, Standing, Status};
use onecopy_views::Roster;

use super::{Corrupt, Placement, raft_record};
use crate::disk::{ArchiveJob, Out};
use crate::group::{Group, GroupEffect, GroupObserver, GroupSettings};
use crate::message::{GroupMessage, Letter};

/// How many appends may be on their way to one follower.
const INFLIGHT_MAX: usize = 64;

/// The number of the view in which the leader of this term orders requests. Views of the view service, by
/// which nobody is led, have lower ones.
#[must_use]
pub fn view_number(term: Term) -> ViewNumber {
    ViewNumber(term.0 + 1)
}

/// A copy of a Raft group, and what it wants done.
#[derive(Debug)]
pub struct RaftCopy {
    raft: Raft,
    founders: Configuration,
    uncommitted_bytes_max: usize,
    /// The last leader that it has heard of.
    view: Option<View>,
    /// What is committed waits for execution, and there is no room for more.
    is_full: bool,
    /// Reads by their token that must see an entry which is not committed yet.
    at_least: BTreeMap<u64, Index>,
    /// Those of them that wait for nothing else.
    late: Vec<u64>,
    /// Who waits for pieces of a snapshot that are being read, in the order in which they were asked for.
    reading: VecDeque<Member>,
    /// What came with the snapshot that is the state now, until Raft has heard of it.
    came_with: Option<(Timestamp, Configuration)>,
    snapshot_bytes: u64,
    /// What is being written, and since when.
    pub(super) writing: VecDeque<(Ticket, Instant)>,
    /// When a leader whose disk hangs may look again for somebody to lead.
    pub(super) next_yield: Instant,
    /// Where the copies are to be, once the view service has said so; and when a leader next looks.
    pub(super) roster: Option<Roster>,
    pub(super) next_move: Instant,
    pub(super) election_timeout: Duration,
    /// Empty between steps; kept for its memory.
    pub(super) effects: Vec<Effect>,
}

impl RaftCopy {
    pub(super) fn start(
        settings: &GroupSettings,
        recovered: Recovered,
        (base, configuration): (onecopy_replica::Base, Configuration),
        now: Instant,
    ) -> Result<Self, Corrupt> {
        let (founders, promise) = match &recovered.state {
            Some(state) => {
                let (founders, promise) = raft_record::decode(state)?;
                (founders, Some(promise))
            }
            None => (founders(settings), None),
        };
        let has_snapshot = recovered.base != EntryId::ZERO;
        // The snapshot of a group that became one of Raft names nobody, if it was made before that.
        let is_named = has_snapshot && configuration != Configuration::default();
        let configuration = if is_named { configuration } else { founders.clone() };
        let replica = &settings.replica;
        let config = Config {
            id: replica.me,
            election_timeout: settings.election_timeout,
            heartbeat_interval: settings.election_timeout / 6,
            append_bytes_max: replica.prepare_bytes_max,
            inflight_max: INFLIGHT_MAX,
            log_bytes_max: replica.log_bytes_max,
            promotion_lag_max: replica.join_lag_max,
            leases: replica.lease.map(|_| ClockDrift { ppm: replica.drift_ppm }),
            seed: u64::from_le_bytes(settings.seed[..8].try_into().expect("eight bytes")),
            rules: replica.rules,
        };
        let raft_base = Base { time: base.time, configuration };
        let (raft, effects) = Raft::new(config, Recovered { state: promise, ..recovered }, raft_base, now)?;
        Ok(Self {
            raft,
            founders,
            uncommitted_bytes_max: replica.uncommitted_bytes_max,
            view: None,
            is_full: false,
            at_least: BTreeMap::new(),
            late: Vec::new(),
            reading: VecDeque::new(),
            came_with: None,
            snapshot_bytes: base.bytes,
            writing: VecDeque::new(),
            next_yield: now,
            roster: None,
            next_move: now,
            election_timeout: settings.election_timeout,
            effects,
        })
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(super) fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    pub(super) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes
    }

    pub(super) fn confirm_all_reads(&mut self, all: bool) {
        self.raft.confirm_all_reads(all);
    }

    pub(super) fn hold_back(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    pub(super) fn snapshot_came_with(&mut self, time: Timestamp, configuration: Configuration) {
        self.came_with = Some((time, configuration));
    }

    pub(super) fn standing(&self) -> Standing {
        let (configuration, me) = (self.raft.configuration(), self.raft.id());
        match self.raft.role() {
            Role::Leader => Standing::Primary,
            _ if configuration.is_voter(me) => Standing::Backup,
            _ if configuration.learners.contains(&me) => Standing::Learner,
            _ => Standing::Outside,
        }
    }

    pub(super) fn admit(&self, known: ViewNumber) -> Result<(), Refusal> {
        let own = self.view.as_ref().map_or(ViewNumber(0), |view| view.number);
        if known > own {
            return Err(Refusal::Behind(known));
        }
        if self.raft.role() != Role::Leader || known < own {
            return Err(Refusal::NotPrimary(self.view.clone()));
        }
        if self.raft.transfer().is_some() {
            return Err(Refusal::HandingOver);
        }
        match self.raft.log().bytes_after(self.raft.commit()) > self.uncommitted_bytes_max {
            true => Err(Refusal::Busy),
            false => Ok(()),
        }
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        Status {
            view: view_number(self.raft.term()),
            standing: self.standing(),
            last: self.raft.log().last().index,
            durable: self.raft.durable(),
            commit: self.raft.commit(),
            oldest_write: self.writing.front().map(|(_, since)| now.since(*since)),
            // A majority goes on without whoever is slow.
            oldest_prepare: None,
        }
    }

    pub(super) fn acknowledged(&self) -> Vec<(NodeId, Index)> {
        let followers = self.raft.followers().into_iter();
        followers.map(|follower| (follower.member.node, follower.matched)).collect()
    }

    // ---- what has happened --------------------------------------------------------------------------------

    pub(super) fn step(&mut self, now: Instant, input: onecopy_replica::Input) {
        if let Some(input) = self.understand(input) {
            self.step_raft(now, input);
        }
    }

    /// Another member has said something.
    pub(super) fn hear(&mut self, now: Instant, from: NodeId, letter: Letter) {
        let is_for_me = letter.to == self.raft.id().incarnation;
        // What there is no room for is lost, as on any network: the next heartbeat finds out.
        let is_too_much =
            self.is_full && matches!(&letter.message, Message::Append { entries, .. } if !entries.is_empty());
        if is_for_me && !is_too_much {
            let from = Member { node: from, incarnation: letter.from };
            self.step_raft(now, Input::Received { from, message: letter.message });
        }
    }

    pub(super) fn step_raft(&mut self, now: Instant, input: Input) {
        let before = self.effects.len();
        self.raft.step(now, input, &mut self.effects);
        self.raft.check_invariants();
        if let Some(Effect::Persist { ticket, .. }) = self.effects.get(before) {
            self.writing.push_back((*ticket, now));
        }
    }

    /// What an event is for Raft.
    fn understand(&mut self, input: onecopy_replica::Input) -> Option<Input> {
        use onecopy_replica::Input as Event;
        Some(match input {
            // Of other kinds of groups; and Raft has all of its log in memory.
            Event::Announced { .. }
            | Event::Received { .. }
            | Event::Arriving { .. }
            | Event::EntriesRead { .. }
            | Event::Executed { .. } => return None,
            Event::Propose { payload, time, seed } => Input::Propose { payload, time, seed },
            Event::Read { token, at_least, .. } => {
                if at_least > self.raft.commit() {
                    self.at_least.insert(token, at_least);
                }
                Input::Read { token }
            }
            Event::HandOver { to } => Input::Transfer { to: self.voter(to) },
            Event::Committed { through } => Input::Committed { through },
            Event::Persisted { ticket } => {
                while self.writing.pop_front_if(|(written, _)| *written <= ticket).is_some() {}
                Input::Persisted { ticket }
            }
            Event::Elapsed => Input::Elapsed,
            Event::SnapshotTaken { snapshot, bytes, .. } => {
                self.snapshot_bytes = bytes;
                Input::SnapshotTaken { snapshot }
            }
            Event::SnapshotFailed => Input::SnapshotFailed,
            Event::SnapshotRead { to, snapshot, chunk } => {
                // Jobs are done in order.
                let position = self.reading.iter().position(|member| member.node == to)?;
                Input::SnapshotRead { to: self.reading.remove(position)?, snapshot, chunk }
            }
            Event::SnapshotWritten { snapshot, wanted: offset } => {
                Input::SnapshotWritten { snapshot, offset }
            }
            Event::SnapshotInstalled { snapshot } => match self.came_with.take() {
                Some((time, configuration)) => Input::SnapshotInstalled { snapshot, time, configuration },
                None => Input::SnapshotUnusable { snapshot },
            },
            Event::SnapshotSpoiled { snapshot } => Input::SnapshotUnusable { snapshot },
        })
    }

    /// The voter on a node; if there is none, somebody whom Raft refuses as such.
    fn voter(&self, node: NodeId) -> Member {
        let voters = &self.raft.configuration().voters;
        let nobody = Member { node, incarnation: Incarnation(0) };
        voters.iter().copied().find(|voter| voter.node == node).unwrap_or(nobody)
    }

    /// Under which name the payload of the last step stands in the log, if it was taken.
    pub(super) fn proposed(&self) -> Option<EntryId> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Proposed { id } => Some(*id),
            _ => None,
        })
    }

    // ---- who leads ----------------------------------------------------------------------------------------

    /// The view in which `leader` orders requests.
    fn view_of(&self, leader: Member, term: Term) -> View {
        let configuration = self.raft.configuration();
        let mut members: Vec<Member> =
            configuration.voters.iter().copied().filter(|voter| voter.node != leader.node).collect();
        members.push(leader);
        members.sort_unstable();
        let is_new = |learner: &&Member| members.iter().all(|member| member.node != learner.node);
        let learners = configuration.learners.iter().filter(is_new).copied().collect();
        // Whoever is elected again, after a restart or not, takes nothing over from its last reign.
        let boot = BootNumber(term.0);
        View { number: view_number(term), primary: leader.node, boot, members, learners }
    }

    /// Takes note of who leads now, if that is news.
    fn learn_leader(&mut self, leader: Member, term: Term) -> Option<View> {
        let view = self.view_of(leader, term);
        let is_news = self.view.as_ref() != Some(&view);
        self.view = Some(view.clone());
        is_news.then_some(view)
    }

    /// Of reads that wait for nothing but an entry's commit: those whose entry is committed now.
    fn ready_reads(&mut self) -> Vec<(u64, Index)> {
        let commit = self.raft.commit();
        let mut ready = Vec::new();
        self.late.retain(|token| {
            let at_least = self.at_least.get(token).copied().unwrap_or_default();
            let waits = at_least > commit;
            if !waits {
                self.at_least.remove(token);
                ready.push((*token, at_least));
            }
            waits
        });
        ready
    }
}

/// Who founds a group of which the disk has nothing: this node is one of them, or waits to be told.
fn founders(settings: &GroupSettings) -> Configuration {
    match &settings.placement {
        Placement::Raft { founders } if founders.contains(&settings.replica.me) => {
            Configuration::of(founders.iter().copied())
        }
        Placement::Raft { .. } | Placement::PrimaryBackup => Configuration::default(),
    }
}

fn handover_error(reason: TransferRefusal) -> HandoverError {
    match reason {
        TransferRefusal::NotLeader { .. } => HandoverError::NotPrimary,
        TransferRefusal::LeadsAlready | TransferRefusal::NotAVoter(_) => HandoverError::NotAMember,
        TransferRefusal::UnderWay => HandoverError::UnderWay,
    }
}

impl<M: StateMachine> Group<M> {
    pub(super) fn raft_wants(
        &mut self,
        effect: Effect,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let group = self.id;
        match effect {
            Effect::Persist { ticket, writes } => {
                let writes = writes.into_iter().map(|write| self.with_founders(write)).collect();
                self.journal.persist(ticket, writes, out);
            }
            Effect::Send { to, message, after } => {
                let from = self.raft_copy().raft.id().incarnation;
                let letter = Letter { from, to: to.incarnation, message };
                self.send((to.node, GroupMessage::Raft(letter)), after, out);
            }
            Effect::Apply { entries } => {
                self.committed_now(entries, observer);
                for (token, through) in self.raft_copy().ready_reads() {
                    self.read_ready(token, through, out);
                }
            }
            // Seen to by whoever proposed.
            Effect::Proposed { .. } | Effect::Refused { .. } => {}
            Effect::ReadReady { token, index } => self.leader_may_read(token, index, out),
            Effect::ReadRefused { token, .. } => {
                self.raft_copy().at_least.remove(&token);
                self.refuse_reads(token, out);
            }
            Effect::RoleChanged { role, term, leader } => {
                self.role_changed(role, term, leader, observer, out);
            }
            Effect::TransferRefused { reason } => observer.handover_failed(self, handover_error(reason)),
            Effect::TransferAborted { .. } => observer.handover_failed(self, HandoverError::TimedOut),
            // It shows in the role.
            Effect::TransferBegun { .. } => {}
            Effect::TakeSnapshot { at, time, .. } => {
                self.execution.want_snapshot(at, time);
                self.begin_wanted_snapshot(observer);
            }
            Effect::ReadSnapshot { to, snapshot: id, offset } => {
                self.raft_copy().reading.push_back(to);
                out.archive.push(ArchiveJob::Read { group, to: to.node, id, offset });
            }
            Effect::WriteSnapshot { chunk } => self.receive_chunk(chunk, observer, out),
            Effect::InstallSnapshot { snapshot } => {
                let time = self.snapshots.time_of_received().unwrap_or_default();
                self.finish_receiving(snapshot, time, out);
            }
            Effect::ConfigurationChanged { index, configuration, committed } => {
                observer.configured(self, index, &configuration, committed);
                self.configuration_changed(out);
            }
            // What has begun shows in the configuration; what was refused is tried again.
            Effect::ChangeBegun { .. } | Effect::ChangeRefused { .. } => {}
        }
    }

    fn raft_copy(&mut self) -> &mut RaftCopy {
        match &mut self.replication {
            super::Replication::Raft(copy) => copy,
            super::Replication::PrimaryBackup(_) => unreachable!("only a copy of a Raft group wants this"),
        }
    }

    /// Others belong to the group from now on, under whoever leads it.
    fn configuration_changed(&mut self, out: &mut Out<GroupEffect>) {
        let group = self.id;
        let copy = self.raft_copy();
        copy.next_move = Instant::ZERO;
        let leader = copy.raft.leader();
        let news = leader.and_then(|leader| copy.learn_leader(leader, copy.raft.term()));
        out.effects.extend(news.map(|view| GroupEffect::Learnt { group, view }));
    }

    fn with_founders(&mut self, write: Write) -> Write {
        match write {
            Write::State(promise) => Write::State(raft_record::encode(&self.raft_copy().founders, &promise)),
            write => write,
        }
    }

    /// Raft lets the leader answer a read. What has expired by the clock must not show, so it may have to
    /// see an entry that is not committed yet.
    fn leader_may_read(&mut self, token: u64, index: Index, out: &mut Out<GroupEffect>) {
        let copy = self.raft_copy();
        match copy.at_least.get(&token).copied() {
            Some(at_least) if at_least > copy.raft.commit() => copy.late.push(token),
            at_least => {
                copy.at_least.remove(&token);
                self.read_ready(token, index.max(at_least.unwrap_or_default()), out);
            }
        }
    }

    fn role_changed(
        &mut self,
        role: Role,
        term: Term,
        leader: Option<Member>,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        if role != Role::Leader {
            let copy = self.raft_copy();
            copy.at_least.clear();
            let late = std::mem::take(&mut copy.late);
            late.into_iter().for_each(|token| self.refuse_reads(token, out));
            let committed = self.committed().0;
            let unknown = self.disown_proposals(committed, out);
            if unknown > 0 {
                observer.stepped_down(self, unknown);
            }
        }
        let news = leader.and_then(|leader| self.raft_copy().learn_leader(leader, term));
        if let Some(view) = news {
            let standing = self.replication.standing();
            self.view_changed(view, standing, observer, out);
        }
    }
}
