//! A group that is replicated in another way from now on, while it serves (rule `SealedIsOver`).
//!
//! Whoever leads it seals it when the view table asks for that, and says so to the view service, again and
//! again, until the table says that the group is one of the other kind. Then each copy *turns* by itself:
//!
//! - One that the table names has the seal in its log. It executes everything up to it, makes a snapshot of
//!   that, and goes on from there, with the state that it has in memory.
//! - Any other begins with nothing, as if the group was new to it.
//!
//! Nothing is forgotten before what takes its place is durable: a copy that dies in the middle finds the log
//! that was sealed, and turns again. The seal is still in the state then. An entry of whoever leads next
//! opens it, once the table knows that the switch is over; and so it does if the switch is given up.

use std::time::Duration;

use onecopy_core::payload::{Builder, Seal};
use onecopy_core::{
    BootNumber, EntryId, Holders, Index, Instant, Member, Petition, Plea, Recovered, Rule, Sealed,
    StateMachine, Term, View, Write,
};
use onecopy_raft::Configuration;
use onecopy_replica::{Base, Input, Standing};
use onecopy_views::{Kind, Roster, Switched, Table};

use super::replication::raft_record;
use super::{Dirty, Group, GroupEffect, GroupObserver, GroupSettings, Parked, Placement, Replication};
use crate::disk::Out;

/// Whoever leads looks so often whether there is something to seal, to say or to open.
const PACE: Duration = Duration::from_millis(50);
/// A leader waits so long for voters that do not have the seal yet: they would have to begin with nothing.
const HOLDERS_PATIENCE: Duration = Duration::from_secs(1);

/// What a copy knows of switches.
#[derive(Debug)]
pub(super) struct Switching {
    settings: GroupSettings,
    /// The newest table that knows this start of the process; 0 if none has come yet.
    version: u64,
    /// The switch that is under way, as that table says, and how many members the group must have for it.
    pending: Option<(u64, usize)>,
    /// Whether the state is sealed.
    sealed: Option<Sealed>,
    /// When a leader next looks, and since when it waits for voters.
    next: Instant,
    sealed_since: Instant,
    turning: Option<Turning>,
}

/// The group is of another kind, and this copy is not yet.
#[derive(Debug)]
struct Turning {
    switched: Switched,
    /// The view that the table has now: the first one of the other kind may be over.
    newest: Option<View>,
    roster: Option<Roster>,
    /// How far its snapshot is.
    image: Image,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Image {
    NotBegun,
    Begun,
    Durable { bytes: u64 },
}

impl Switching {
    pub(super) fn new(settings: GroupSettings, now: Instant) -> Self {
        Self {
            settings,
            version: 0,
            pending: None,
            sealed: None,
            next: now,
            sealed_since: now,
            turning: None,
        }
    }
}

impl<M: StateMachine> Group<M> {
    // ---- sealed -------------------------------------------------------------------------------------------

    /// Whether nothing is executed any more, until the group has switched.
    pub(super) fn is_sealed(&self) -> bool {
        self.switching.sealed.is_some() && self.rules.hold(Rule::SealedIsOver)
    }

    /// If it is: since which entry.
    #[must_use]
    pub fn sealed(&self) -> Option<Sealed> {
        self.switching.sealed
    }

    /// The state may have been sealed or opened. What waits to be read is asked again of whoever leads then.
    pub(super) fn note_seal(&mut self, out: &mut Out<GroupEffect>) {
        let Some(state) = self.state.here() else { return };
        let sealed = state.sealed();
        if sealed == self.switching.sealed {
            return;
        }
        self.switching.sealed = sealed;
        self.switching.sealed_since = self.clock_read;
        self.switching.next = Instant::ZERO;
        if self.is_sealed() {
            self.refuse_waiting_reads(out);
        }
    }

    // ---- whoever leads ------------------------------------------------------------------------------------

    /// What the table says of switches. Returns whether there may be something to do.
    pub fn learn_switch(&mut self, table: &Table) -> bool {
        let Member { node, .. } = self.switching.settings.replica.me;
        let boot: BootNumber = self.switching.settings.replica.boot;
        // An older one may know nothing of a switch that is over.
        if !table.knows_start(node, boot) || table.version() < self.switching.version {
            return false;
        }
        self.switching.version = table.version();
        let copies = table.groups().get(&self.id).map_or(0, |known| known.copies as usize);
        let pending = table.switch(self.id).map(|switch| match switch.kind {
            // Its voters are the members that there are.
            Kind::Raft => (switch.number, copies),
            Kind::PrimaryBackup | Kind::Optimistic => (switch.number, 1),
        });
        let is_news = std::mem::replace(&mut self.switching.pending, pending) != pending;
        self.learn_kind(table) || is_news || self.switching.sealed.is_some()
    }

    /// When a leader next looks at it.
    pub(super) fn switches_at(&self) -> Option<Instant> {
        let has_work = self.switching.pending.is_some() || self.switching.sealed.is_some();
        let leads = self.replication.standing() == Standing::Primary;
        (has_work && leads && self.switching.turning.is_none()).then_some(self.switching.next)
    }

    /// Seals the group, says that it is sealed, or opens it.
    pub(super) fn go_on_switching(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        if self.switches_at().is_none_or(|at| now < at) {
            return;
        }
        self.switching.next = now + PACE;
        let is_idle = !self.execution.is_behind() && self.state.here().is_some();
        match (self.switching.sealed, self.switching.pending) {
            (None, Some((switch, needs))) if is_idle => {
                let has = self.replication.view().map_or(0, |view| view.members.len());
                if has >= needs {
                    self.propose_seal(now, Seal::Close(switch), observer, out);
                }
            }
            (Some(sealed), Some((switch, _))) if sealed.switch == switch => self.say_sealed(now, sealed, out),
            // No seal stands for a switch that the table knows nothing of, unless the table is old.
            (Some(sealed), _) if sealed.switch <= self.switching.version && is_idle && self.is_settled() => {
                self.propose_seal(now, Seal::Open, observer, out);
            }
            _ => {}
        }
    }

    fn propose_seal(
        &mut self,
        now: Instant,
        seal: Seal,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let mut header = self.header(0);
        header.seal = Some(seal);
        let (payload, seed) = (Builder::new(header).finish(), self.seed());
        if let Some(id) = self.replication.propose(now, payload, self.clock, seed) {
            self.entry_time.made(now, self.clock);
            self.proposed.push_back((id.index, Vec::new()));
            self.parked.absent_said();
        }
        self.carry_out(now, observer, out);
    }

    fn say_sealed(&mut self, now: Instant, sealed: Sealed, out: &mut Out<GroupEffect>) {
        let holders: Option<Vec<Member>> = self.replication.raft().map(|raft| {
            let followers = raft.followers().into_iter();
            let have = followers.filter(|follower| follower.matched >= sealed.at.index);
            let mut holders: Vec<Member> = have.map(|follower| follower.member).collect();
            // It may lead those who have what its own disk does not have yet.
            holders.extend((raft.durable() >= sealed.at.index).then_some(raft.id()));
            holders.retain(|member| raft.configuration().is_voter(*member));
            holders
        });
        if let (Some(holders), Some(raft)) = (&holders, self.replication.raft()) {
            let all = raft.configuration().voters.len();
            let is_one = holders.contains(&raft.id());
            if !is_one || holders.len() < all && now.since(self.switching.sealed_since) < HOLDERS_PATIENCE {
                return;
            }
        }
        let plea = Plea::Sealed {
            switch: sealed.switch,
            seal: sealed.at,
            holders: holders.into_iter().flatten().collect::<Holders>(),
        };
        let (group, view) = (self.id, self.replication.view_number());
        out.effects.push(GroupEffect::Petition(Petition { group, view, plea }));
    }

    // ---- every copy ---------------------------------------------------------------------------------------

    fn kind(&self) -> Kind {
        if self.replication.raft().is_some() { Kind::Raft } else { Kind::PrimaryBackup }
    }

    /// Whether the group is of another kind, and this copy is not yet.
    #[must_use]
    pub fn is_turning(&self) -> bool {
        self.switching.turning.is_some()
    }

    /// The table says of which kind the group is. Returns whether this copy has to turn. Who has missed two
    /// switches is of the right kind, and late.
    fn learn_kind(&mut self, table: &Table) -> bool {
        let switched = table.switched(self.id).filter(|switched| switched.kind != self.kind());
        let Some(switched) = switched else {
            self.switching.turning = None;
            return false;
        };
        let newest = table.groups().get(&self.id).map(|group| group.view.clone());
        let (roster, known) = (table.roster(self.id), &mut self.switching.turning);
        let image = known.as_ref().filter(|known| known.switched == *switched).map(|known| known.image);
        let image = image.unwrap_or(Image::NotBegun);
        *known = Some(Turning { switched: switched.clone(), newest, roster, image });
        true
    }

    /// Goes on with turning into a copy of the other kind.
    pub(super) fn go_on_turning(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let Some(Turning { switched, image, .. }) = &self.switching.turning else { return };
        let (seal, number, image) = (switched.seal, switched.number, *image);
        if self.state.here().is_none() {
            return;
        }
        let me = self.switching.settings.replica.me;
        let is_named = switched.view.is_member(&me) && self.replication.standing() != Standing::Diverged;
        match self.switching.sealed {
            _ if !is_named => self.turn(now, None, observer, out),
            Some(sealed) if sealed.switch == number => match image {
                Image::NotBegun => self.begin_last_image(sealed, observer),
                Image::Begun => {}
                Image::Durable { bytes } => self.turn(now, Some((sealed, bytes)), observer, out),
            },
            _ if self.replication.log().contains(seal) && self.committed().0 < seal.index => {
                self.step(now, Input::Committed { through: seal.index }, observer, out);
            }
            _ if self.execution.is_behind() => {}
            _ => {
                // Who is a member of primary-backup is taken for one that has everything.
                let is_lost = self.kind() == Kind::PrimaryBackup;
                assert!(is_lost, "sealed is over: {} is to go on after {seal}, which is not here", self.id);
                self.turn(now, None, observer, out);
            }
        }
    }

    /// Begins the snapshot of what this copy has executed, once there is no other under way.
    fn begin_last_image(&mut self, sealed: Sealed, observer: &mut impl GroupObserver<M>) {
        if self.snapshots.is_under_way() {
            return;
        }
        if let Some(turning) = &mut self.switching.turning {
            turning.image = Image::Begun;
        }
        self.begin_snapshot(sealed.at, sealed.time, observer);
    }

    /// Who belongs to the group as of its snapshot at this entry: if it turns into one of Raft, those whom
    /// the table names.
    pub(super) fn configuration_of_image(&self, at: EntryId) -> Option<Configuration> {
        let turning = self.switching.turning.as_ref().filter(|turning| turning.switched.seal == at);
        match turning {
            Some(turning) if turning.switched.kind == Kind::Raft => {
                Some(Configuration::of(turning.switched.view.members.iter().copied()))
            }
            _ => self.replication.configuration_at(at.index).cloned(),
        }
    }

    /// A snapshot is durable, or was not made: whether it is the one that turning waits for.
    pub(super) fn last_image_ended(&mut self, at: EntryId, bytes: Option<u64>) -> bool {
        let Some(turning) = &mut self.switching.turning else { return false };
        let is_it = turning.image == Image::Begun && turning.switched.seal == at;
        if is_it {
            turning.image = bytes.map_or(Image::NotBegun, |bytes| Image::Durable { bytes });
        }
        is_it
    }

    /// From now on this is a copy of the other kind: with what it holds, or with nothing.
    fn turn(
        &mut self,
        now: Instant,
        holds: Option<(Sealed, u64)>,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let Some(Turning { switched, newest, roster, .. }) = self.switching.turning.take() else { return };
        let members: Vec<Member> = switched.view.members.clone();
        let founders = if holds.is_some() { members } else { Vec::new() };
        let configuration = Configuration::of(founders.iter().copied());
        let (record, placement) = match switched.kind {
            Kind::Raft => {
                let promise = onecopy_raft::promise_of(Term(switched.view.number.0));
                (raft_record::encode(&configuration, &promise), Placement::Raft { founders })
            }
            _ => (onecopy_replica::promise_of(&switched.view), Placement::PrimaryBackup),
        };
        let (base, time, bytes) = holds
            .map_or((EntryId::ZERO, onecopy_core::Timestamp(0), 0), |(sealed, bytes)| {
                (sealed.at, sealed.time, bytes)
            });
        self.give_up_requests(out);
        if holds.is_none() {
            self.rebuild(observer, out);
        }
        (self.applied, self.applied_time, self.replays) = (base.index, time, Index(0));
        let from = if holds.is_some() { Write::Install { snapshot: base } } else { Write::Forget };
        self.journal.begin_anew(vec![from, Write::State(record.clone())], out);
        let mut settings = self.switching.settings.clone();
        settings.placement = placement;
        settings.seed[..8].copy_from_slice(&self.seed().to_le_bytes());
        let state = (switched.kind == Kind::Raft).then_some(record);
        let recovered = Recovered { state, base, entries: Vec::new(), commit: base.index };
        let base = (Base { time, bytes }, configuration);
        self.replication = Replication::start(&settings, recovered, base, now)
            .expect("what a copy begins with is what it has written itself");
        self.switching.next = now;
        self.note_seal(out);
        observer.turned(self);
        if switched.kind == Kind::Raft {
            if let Some(roster) = roster {
                self.learn_roster(now, roster);
            }
            self.carry_out(now, observer, out);
        } else {
            // It had to be a copy of this kind to understand the views that came meanwhile, and nobody says
            // them again.
            let later = newest.filter(|newest| newest.number > switched.view.number);
            for view in std::iter::once(switched.view).chain(later) {
                self.step(now, Input::Announced { view }, observer, out);
            }
        }
    }

    /// Whoever waits for an answer asks again.
    fn give_up_requests(&mut self, out: &mut Out<GroupEffect>) {
        self.give_up_execution(out);
        let confirming = std::mem::take(&mut self.confirming).into_values().flat_map(|asked| asked.reads);
        let waiting: Vec<_> = confirming.chain(std::mem::take(&mut self.reads)).collect();
        waiting.into_iter().for_each(|(origin, _)| self.refuse(origin, out));
        let writes = std::mem::take(&mut self.writes);
        writes.into_iter().for_each(|(origin, _)| self.refuse(origin, out));
        self.executing.clear();
        self.snapshots.forget();
        (self.dirty, self.parked) = (Dirty::default(), Parked::default());
    }
}
