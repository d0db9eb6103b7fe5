//! How the copies of a group agree: one room per kind of replication. What is the same for all kinds is in
//! the group around it.
//!
//! | | what it is | who decides who leads |
//! | --- | --- | --- |
//! | [`primary_backup`] | [`onecopy_replica`] | the view service |
//! | [`raft`] | [`onecopy_raft`] | the copies themselves; where they are, the view service ([`roster`]) |
//!
//! # The seam
//!
//! A group tells its replication what has happened in the words of primary-backup ([`Input`]), which are the
//! widest: what does not concern a kind, that kind ignores. What a kind wants done it has in words of its
//! own, and its room says what they mean for the group: what is to be persisted, sent, executed, read. So
//! sessions, digests, snapshots, held messages and execution behind the log exist once.
//!
//! Whoever leads says so as a [`View`], of whichever kind the group is: that is what coordinators route by,
//! and what refusals name. In a Raft group its number is [that of the term](raft::view_number), and its
//! members are the voters.

mod primary_backup;
mod raft;
pub(super) mod raft_record;
mod roster;
mod stalled;

use bytes::Bytes;
use onecopy_core::{
    EntryId, GroupId, Index, Instant, Log, Member, NodeId, Petition, Plea, Protocol, Rule, Rules,
    StateMachine, Timestamp, UnknownLevel, View, ViewNumber,
};
use onecopy_raft::{Configuration, CorruptState, Raft};
use onecopy_replica::{CorruptPromise, Input, Refusal, Replica, Standing, Status, Still};

use onecopy_views::{Roster, Table};

use super::{Group, GroupEffect, GroupObserver, GroupSettings, Recovered};
use crate::disk::Out;
use crate::message::GroupMessage;
pub(super) use primary_backup::PrimaryBackup;
pub(super) use raft::RaftCopy;
pub use raft::view_number;
pub use raft_record::{CorruptRecord, is_raft};

/// What a group is, as the view table says. What the disk kept of it says it better.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// The view service makes its views.
    #[default]
    PrimaryBackup,
    /// Raft decides who leads it.
    Raft {
        /// Its first members: those whom the view table names.
        founders: Vec<Member>,
    },
}

impl Placement {
    /// What the table says of a group. Whom a later roster names has founded nothing: it would count votes
    /// of others who know of nothing either (rule `LearnBeforeVoting`).
    #[must_use]
    pub fn of(table: &Table, group: GroupId, rules: Rules) -> Self {
        match (table.roster(group), table.groups().get(&group)) {
            (Some(roster), _) if !rules.hold(Rule::LearnBeforeVoting) => {
                Self::Raft { founders: roster.members }
            }
            // Who has nothing of a group that was switched was not there when it was.
            (Some(_), _) if table.switched(group).is_some() => Self::Raft { founders: Vec::new() },
            (Some(_), Some(known)) => Self::Raft { founders: known.view.members.clone() },
            _ => Self::PrimaryBackup,
        }
    }
}

/// What the disk kept of a group cannot be understood. The checksums of the log were right, so it was written
/// by something else: the copy must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The promise of a replica.
    #[error(transparent)]
    Promise(#[from] CorruptPromise),
    /// What a copy of a Raft group keeps beside its log.
    #[error(transparent)]
    Record(#[from] CorruptRecord),
    /// Term, vote or log of one.
    #[error(transparent)]
    State(#[from] CorruptState),
    /// It was written by another version, and is of a level that this one does not know (rule E4).
    #[error(transparent)]
    Level(#[from] UnknownLevel),
}

/// One copy of a group, of whichever kind.
#[derive(Debug)]
pub enum Replication {
    /// See [`onecopy_replica`].
    PrimaryBackup(Box<PrimaryBackup>),
    /// See [`onecopy_raft`].
    Raft(Box<RaftCopy>),
}

use Replication as R;

impl Replication {
    /// Starts a copy with what its disk kept.
    pub(super) fn start(
        settings: &GroupSettings,
        recovered: Recovered,
        (base, configuration): (onecopy_replica::Base, Configuration),
        now: Instant,
    ) -> Result<Self, Corrupt> {
        if is_raft(recovered.state.as_deref()) || matches!(settings.placement, Placement::Raft { .. }) {
            let copy = RaftCopy::start(settings, recovered, (base, configuration), now)?;
            return Ok(R::Raft(Box::new(copy)));
        }
        let copy = PrimaryBackup::start(settings.replica.clone(), recovered, base, now)?;
        Ok(R::PrimaryBackup(Box::new(copy)))
    }

    /// The replica of primary-backup, if it is one.
    #[must_use]
    pub fn primary_backup(&self) -> Option<&Replica> {
        match self {
            R::PrimaryBackup(copy) => Some(&copy.replica),
            R::Raft(_) => None,
        }
    }

    pub(super) fn primary_backup_mut(&mut self) -> Option<&mut Replica> {
        match self {
            R::PrimaryBackup(copy) => Some(&mut copy.replica),
            R::Raft(_) => None,
        }
    }

    /// The member of a Raft group, if it is one.
    #[must_use]
    pub fn raft(&self) -> Option<&Raft> {
        match self {
            R::PrimaryBackup(_) => None,
            R::Raft(copy) => Some(copy.raft()),
        }
    }

    // ---- what has happened --------------------------------------------------------------------------------

    pub(super) fn step(&mut self, now: Instant, input: Input) {
        match self {
            R::PrimaryBackup(copy) => copy.step(now, input),
            R::Raft(copy) => copy.step(now, input),
        }
    }

    /// Another copy has said something. What it says of another kind of group is for nobody.
    pub(super) fn hear(&mut self, now: Instant, from: NodeId, message: GroupMessage) {
        match (self, message) {
            (R::PrimaryBackup(copy), GroupMessage::PrimaryBackup(message)) => {
                copy.step(now, Input::Received { from, message });
            }
            (R::Raft(copy), GroupMessage::Raft(letter)) => copy.hear(now, from, letter),
            (R::PrimaryBackup(_), GroupMessage::Raft(_) | GroupMessage::Optimistic(_))
            | (R::Raft(_), GroupMessage::PrimaryBackup(_) | GroupMessage::Optimistic(_)) => {}
        }
    }

    /// Puts a payload into the log; under which name, if it was taken.
    pub(super) fn propose(
        &mut self,
        now: Instant,
        payload: Bytes,
        time: Timestamp,
        seed: u64,
    ) -> Option<EntryId> {
        self.step(now, Input::Propose { payload, time, seed });
        match self {
            R::PrimaryBackup(copy) => copy.proposed(),
            R::Raft(copy) => copy.proposed(),
        }
    }

    /// A received snapshot is the state now, and this is what came with it.
    pub(super) fn snapshot_came_with(&mut self, time: Timestamp, configuration: Configuration) {
        if let R::Raft(copy) = self {
            copy.snapshot_came_with(time, configuration);
        }
    }

    /// Whether each read is confirmed by the others, whatever leases there are.
    pub(super) fn confirm_all_reads(&mut self, all: bool) {
        match self {
            R::PrimaryBackup(copy) => copy.replica.confirm_all_reads(all),
            R::Raft(copy) => copy.confirm_all_reads(all),
        }
    }

    /// See [`Replica::hold_back`].
    pub(super) fn hold_back(&mut self, is_full: bool) {
        match self {
            R::PrimaryBackup(copy) => copy.replica.hold_back(is_full),
            R::Raft(copy) => copy.hold_back(is_full),
        }
    }

    // ---- where it stands ----------------------------------------------------------------------------------

    /// The view that it is in, as far as it knows.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        match self {
            R::PrimaryBackup(copy) => copy.replica.view(),
            R::Raft(copy) => copy.view(),
        }
    }

    /// The number of that view; 0 if it knows none.
    #[must_use]
    pub fn view_number(&self) -> ViewNumber {
        self.view().map_or(ViewNumber(0), |view| view.number)
    }

    /// What it is in that view.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            R::PrimaryBackup(copy) => copy.replica.standing(),
            R::Raft(copy) => copy.standing(),
        }
    }

    /// The highest index known to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        match self {
            R::PrimaryBackup(copy) => copy.replica.commit(),
            R::Raft(copy) => copy.raft().commit(),
        }
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log {
        match self {
            R::PrimaryBackup(copy) => copy.replica.log(),
            R::Raft(copy) => copy.raft().log(),
        }
    }

    /// Whether a coordinator that knows this view may hand in requests here, now (rule P2).
    ///
    /// # Errors
    /// Says why not. Nothing has been executed then.
    pub fn admit(&self, known: ViewNumber) -> Result<(), Refusal> {
        match self {
            R::PrimaryBackup(copy) => copy.replica.admit(known),
            R::Raft(copy) => copy.admit(known),
        }
    }

    /// Where it stands, for pings and people.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        match self {
            R::PrimaryBackup(copy) => copy.replica.status(now),
            R::Raft(copy) => copy.status(now),
        }
    }

    /// How far every other copy is, as whoever leads knows it.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<(NodeId, Index)> {
        match self {
            R::PrimaryBackup(copy) => copy.replica.acknowledged(),
            R::Raft(copy) => copy.acknowledged(),
        }
    }

    /// When it next wants [`Input::Elapsed`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            R::PrimaryBackup(copy) => copy.replica.deadline(),
            R::Raft(copy) => {
                [copy.raft().deadline(), copy.moves_at(), copy.yields_at()].into_iter().flatten().min()
            }
        }
    }

    /// The newest durable snapshot here.
    #[must_use]
    pub fn newest_snapshot(&self) -> EntryId {
        match self {
            R::PrimaryBackup(copy) => copy.replica.newest_snapshot(),
            R::Raft(copy) => copy.raft().snapshot(),
        }
    }

    /// How many bytes it has; 0 if there is none.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        match self {
            R::PrimaryBackup(copy) => copy.replica.snapshot_bytes(),
            R::Raft(copy) => copy.snapshot_bytes(),
        }
    }

    /// Who belongs to a Raft group as of an entry that has been executed: that goes with a snapshot of the
    /// state then. `None` in other groups, whose snapshots say nothing of it.
    pub(super) fn configuration_at(&self, index: Index) -> Option<&Configuration> {
        self.raft().map(|raft| raft.configuration_at(index))
    }

    /// Whether this copy answers reads although it does not lead: under a lease (rule L5); in a Raft group
    /// once the leader has said how much they must see (rule `FollowersAsk`).
    #[must_use]
    pub fn reads_as_backup(&self, now: Instant) -> bool {
        match self {
            R::PrimaryBackup(copy) => copy.replica.reads_as_backup(now),
            R::Raft(copy) => copy.raft().reads_as_follower(now),
        }
    }

    // ---- shared heartbeats, which Raft groups do without --------------------------------------------------

    /// See [`Replica::is_quiescent`].
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.primary_backup().is_some_and(Replica::is_quiescent)
    }

    /// See [`Replica::stands_still`].
    #[must_use]
    pub fn stands_still(&self) -> Option<Still> {
        self.primary_backup()?.stands_still()
    }

    /// See [`Replica::may_be_quiescent`].
    #[must_use]
    pub fn may_be_quiescent(&self, now: Instant) -> Option<Still> {
        self.primary_backup()?.may_be_quiescent(now)
    }

    /// See [`Replica::followers`].
    pub fn followers(&self) -> impl Iterator<Item = NodeId> {
        self.primary_backup().into_iter().flat_map(Replica::followers)
    }
}

impl<M: StateMachine> Group<M> {
    /// The view service says where the copies of a Raft group are to be. Returns whether that is news.
    pub fn learn_roster(&mut self, now: Instant, roster: Roster) -> bool {
        match &mut self.replication {
            R::Raft(copy) => copy.learn_roster(now, roster),
            R::PrimaryBackup(_) => false,
        }
    }

    /// A leader of a Raft group whose disk hangs lets another lead.
    pub(super) fn yield_to_another(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        if let R::Raft(copy) = &mut self.replication {
            copy.yield_to_another(now);
            self.carry_out(now, observer, out);
        }
    }

    /// Whoever leads a Raft group brings it to where the view service wants it.
    pub(super) fn go_on_moving(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let R::Raft(copy) = &mut self.replication else { return };
        if copy.moves_at().is_none_or(|at| now < at) {
            return;
        }
        if let Some(number) = copy.go_on_moving(now) {
            let (group, view) = (self.id, self.replication.view_number());
            let plea = Plea::RosterReached { number };
            out.effects.push(GroupEffect::Petition(Petition { group, view, plea }));
        }
        self.carry_out(now, observer, out);
    }

    /// Carries out what the replication wants.
    pub(super) fn carry_out_once(
        &mut self,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        match &mut self.replication {
            R::PrimaryBackup(copy) => {
                let mut effects = std::mem::take(&mut copy.effects);
                effects.drain(..).for_each(|effect| self.replica_wants(effect, observer, out));
                if let R::PrimaryBackup(copy) = &mut self.replication {
                    copy.effects = effects;
                }
            }
            R::Raft(copy) => {
                let mut effects = std::mem::take(&mut copy.effects);
                effects.drain(..).for_each(|effect| self.raft_wants(effect, observer, out));
                if let R::Raft(copy) = &mut self.replication {
                    copy.effects = effects;
                }
            }
        }
    }
}
