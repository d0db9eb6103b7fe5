//! What must be true of the cluster as a whole: one property per file, and where it comes from.
//!
//! - [`images`]: every snapshot can be restored, and is of one moment; what is remembered of answers keeps
//!   its bounds – rule `BoundedAnswers` (E3)
//! - [`ledger`]: one history: what is committed never changes, and is executed once – Raft paper, Figure 3,
//!   state machine safety; rules P6, P8
//! - [`digests`]: equal copies: equal digests at equal indexes – Schneider, 1990; rule P10
//! - [`linearizable`]: every answer is that of one copy, in real-time order (witness: the log) – Herlihy and
//!   Wing, 1990; rules P2, P7, `ConfirmReads`
//! - [`own`]: the same, of somebody's own machine against their specification – [`crate::subject`]
//! - [`twice`]: somebody's own machine is deterministic – Schneider, 1990; rule P10
//! - [`search`]: the same, without looking into the cluster, on small histories – Wing and Gong, 1993; Lowe,
//!   2017
//! - [`accounts`]: transfers are executed as a whole, and seen as a whole – Gray, 1981; the bank test of
//!   Jepsen
//! - [`expiry`]: what is due goes away by itself – `docs/protocols.md`, determinism
//! - [`eviction`]: what goes to make room is the same at every copy, and only where an entry says so – rule
//!   `EvictWhatIsNamed`
//! - [`clocks`]: no entry is later than the true time, whatever a few clocks show – rule `SteadyTime`
//! - [`lost`]: no acknowledged write is lost, no refused one is there – `docs/guarantees.md`; the set test of
//!   Jepsen
//! - [`seals`]: behind a seal nothing is executed, and a group goes on right behind it – rule `SealedIsOver`
//! - [`waits`]: an element is given to one waiter, or stays; queues are fair – rules `KeepWhatIsGiven`,
//!   `ServeThePresent`, `FairQueues`
//! - [`channels`]: what is published is heard once by all who listen, in one order – rules
//!   `OncePerSubscriber`, `NoSilentGap`
//! - [`caches`](crate::caches): what clients have cached is as the state of each answer has it, and at last
//!   as it is – rules `InvalidatedFirst`, `TrackedWhileAsked`, `NoSilentGap`
//! - [`copies`]: what a primary commits is durable at every member; every member holds all – PacificA, 2008;
//!   rules P1, P4, P5, P6, P9
//! - [`leases`]: whoever reads on its own word knows all that is committed – Gray and Cheriton, 1989; rules
//!   L1 to L6, P6
//! - [`agreed`]: a follower commits and acknowledges only what its leader has named to it – Raft paper,
//!   section 5.3; rules P3, P8
//! - [`handover`]: who makes way has committed what it took – `docs/protocols.md`, handover
//! - [`enough`]: what is acknowledged has as many copies as it must have – rule `EnoughCopies`
//! - [`looks`]: what copies compare is bounded, in bytes per entry and second – Gray, 1985; rule P10
//! - [`costly`]: a read is not taken from one lost primary to the next for ever – rule E2
//! - [`promise`]: what is said in a view is said under a durable promise of it – rule P3
//! - [`views`]: views grow by one, heirs only, one primary per view – rules P4, P5, P9, P11
//! - [`durable`]: what a member takes for durable is on its disk – Raft paper, section 5; rule P1
//! - [`petitions`]: what replicas ask the view service for is done in the view in which they ask, if they
//!   still do – `onecopy_core::Petition`
//! - [`levels`]: an entry does the same on nodes of different versions – rules `OneMeaning`,
//!   `KnownToAll` (E4)
//! - [`lives`]: a life of data that was followed by another never counts again – rule P9
//! - [`second`]: a second process with the id of a living one is not taken for it – rule `LivingLife`
//! - [`evidence`]: what view nodes know of others never goes back – Lamport, 1978; `onecopy_views::Moment`
//! - [`informed`]: whoever leads the view service decides with everything that was committed before – rule
//!   `DecideInOwnTerm`
//! - [`founding`]: one membership of the view service – `onecopy_views::Genesis`
//! - [`members`]: one configuration of that group at one index; no snapshot carries a later one; at last, no
//!   member is a life that is over – Raft paper, section 6
//! - [`merged`]: copies of optimistic databases that have seen the same are the same, lose nothing that was
//!   acknowledged, and bring nothing back – rules O1 to O8
//! - [`quorums`]: what is committed is durable at a majority, of each half if there are two – Raft paper,
//!   sections 5.3 and 6
//! - [`raft`]: election safety, leader completeness, state machine safety – Raft paper, Figure 3
//! - [`logs`]: leader append-only, log matching – Raft paper, Figure 3
//! - [`kept`]: where nodes are only busy, nobody loses their place – rule `BusyIsNotDead`
//! - [`led`]: on slow links, too, somebody leads – Raft paper, section 5.6; rule `PatientElections`
//! - [`bounded`]: logs and queues keep their bounds – the settings of `crates/replica`
//! - [`tail`]: where nodes are only slow, no write waits for long – Gray Failure, 2017
//! - [`liveness`]: after the faults, writes are served, redundancy is restored, copies are equal – Alpern and
//!   Schneider, 1985

pub mod accounts;
pub mod agreed;
pub mod bounded;
pub mod channels;
pub mod clocks;
pub mod copies;
pub mod costly;
pub mod digests;
pub mod durable;
pub mod enough;
pub mod eviction;
pub mod evidence;
pub mod expiry;
pub mod founding;
pub mod handover;
pub mod images;
pub mod informed;
pub mod kept;
pub mod leases;
pub mod led;
pub mod ledger;
pub mod levels;
pub mod linearizable;
pub mod liveness;
pub mod lives;
pub mod logs;
pub mod looks;
pub mod lost;
pub mod members;
pub mod merged;
pub mod own;
pub mod petitions;
pub mod promise;
pub mod quorums;
pub mod raft;
pub mod seals;
pub mod search;
pub mod second;
pub mod tail;
pub mod turns;
pub mod twice;
pub mod views;
pub mod waits;

use std::collections::BTreeMap;

use onecopy_core::{Entry, EntryId, GroupId, Index, NodeId, StateMachine, Term, View, ViewNumber};
use onecopy_host::Replication;
use onecopy_raft::{Configuration, Raft};
use onecopy_replica::Standing;
use onecopy_views::{Kind, MAIN, Roster, Table};

use crate::client::{OpId, Reply};
use crate::node::Node;

/// What the checks remember of one group: each database has a history of its own.
#[derive(Debug)]
pub struct GroupChecks {
    /// The one history.
    pub ledger: ledger::Ledger,
    /// The states that replicas had.
    pub digests: digests::Digests,
    /// Two more copies, if the machine is somebody's own.
    pub twice: Option<twice::Twice>,
    /// The views.
    pub views: views::Views,
    /// What backups and learners were told in their views.
    pub agreed: agreed::Agreed,
    /// In which views replicas began anew, because they held something else than their primary.
    pub began: BTreeMap<NodeId, ViewNumber>,
    /// What snapshots are of.
    pub images: images::Images,
    /// What is not committed yet.
    pub tail: tail::Tail,
    /// How many copies there were of what was committed.
    pub enough: enough::Enough,
    /// The logs of its copies, unless it is a Raft group.
    pub logs: logs::Logs,
    /// If it is a Raft group: its reigns and logs.
    pub raft: Option<RaftGroup>,
    /// How many operations have been answered since the faults ended.
    pub served: u64,
    /// How many entries and views there were at the last look.
    pub seen: (u64, u64),
    /// When it was sealed and opened.
    pub seals: seals::Seals,
    /// Its database was dropped.
    pub is_gone: bool,
    /// Whether its copies have been seen to be equal, now that nothing is asked for any more.
    pub is_settled: bool,
}

/// What the checks remember of a Raft group that holds data, beside what they remember of all.
#[derive(Debug, Default)]
pub struct RaftGroup {
    /// Copies in an earlier term belong to the group as it was before it was switched.
    pub since: Term,
    /// Who led, and what was committed.
    pub reigns: raft::RaftChecks,
    /// The logs.
    pub logs: logs::Logs,
    /// Who belongs to it.
    pub members: members::Members,
    /// Where its copies are to be, as the newest view table says.
    pub roster: Roster,
}

impl RaftGroup {
    /// A view node has executed a command.
    fn learnt(&mut self, founders: &View, roster: Roster) {
        if self.members.committed().is_none() {
            self.members.founded(Configuration::of(founders.members.iter().copied()));
        }
        if (roster.number, roster.reached) > (self.roster.number, self.roster.reached) {
            self.members.goes_to(&roster);
            self.roster = roster;
        }
    }
}

impl GroupChecks {
    fn new(group: GroupId, value_bytes: usize, is_raft: bool) -> Self {
        Self {
            ledger: ledger::Ledger::of(group, value_bytes),
            digests: digests::Digests::default(),
            twice: None,
            views: views::Views::of(group),
            agreed: agreed::Agreed::default(),
            began: BTreeMap::new(),
            images: images::Images::default(),
            tail: tail::Tail::default(),
            enough: enough::Enough::default(),
            logs: logs::Logs::default(),
            raft: is_raft.then(RaftGroup::default),
            seals: seals::Seals::default(),
            served: 0,
            seen: (0, 0),
            is_gone: false,
            is_settled: false,
        }
    }

    /// A view node has executed a command.
    pub fn learnt(&mut self, group: GroupId, table: &Table) {
        self.views.learnt(table);
        self.is_gone |= group <= table.last_group() && !table.groups().contains_key(&group);
        if let Some(switched) = table.switched(group).filter(|switched| self.seals.switched(switched)) {
            let since = Term(switched.view.number.0);
            self.raft = (switched.kind == Kind::Raft).then(|| RaftGroup { since, ..RaftGroup::default() });
        }
        let known = table.groups().get(&group).zip(table.roster(group));
        if let (Some(raft), Some((known, roster))) = (&mut self.raft, known) {
            raft.learnt(&known.view, roster);
        }
    }

    /// A replica has executed an entry; `before` is what it had executed before.
    pub fn applied(&mut self, node: NodeId, before: Index, entry: &Entry, machine: &impl StateMachine) {
        let is_news = entry.id.index.0 > self.ledger.len();
        self.ledger.applied(node, before, entry);
        eviction::check(&mut self.ledger, node, entry, is_news, machine);
        if let Some(twice) = self.twice.as_mut().filter(|_| is_news) {
            twice.committed(entry);
            self.digests.applied(NodeId(0), entry.id.index, twice.machine());
        }
        self.digests.applied(node, entry.id.index, machine);
    }

    /// What the checks remember of the Raft group that this copy belongs to, if it is none of an earlier one.
    pub fn raft_of(&mut self, raft: &Raft) -> Option<&mut RaftGroup> {
        self.raft.as_mut().filter(|of| raft.term() >= of.since)
    }

    /// The view that the group is in: as the view table says, or the leader with the highest term.
    #[must_use]
    pub fn view(&self, group: GroupId, nodes: &[Node]) -> Option<View> {
        if self.raft.is_none() {
            return self.views.newest().cloned();
        }
        let replicas = nodes.iter().filter_map(|node| Some(node.process.as_ref()?.group(group)?.replica()));
        let leaders = replicas.filter(|replica| replica.standing() == Standing::Primary);
        leaders.filter_map(Replication::view).max_by_key(|view| view.number).cloned()
    }

    /// The group has been opened again after a seal.
    pub fn opened(&mut self) {
        if let Some(raft) = &mut self.raft {
            raft.reigns.forget(|id| self.seals.is_void(id));
        }
    }

    /// A copy has turned into one of the other kind.
    pub fn turned(&mut self, node: NodeId) {
        self.logs.turned(node);
        if let Some(raft) = &mut self.raft {
            raft.logs.turned(node);
        }
    }

    /// A replica has installed a snapshot.
    pub fn installed(&mut self, node: NodeId, applied: Index, machine: &impl StateMachine) {
        self.digests.compare(node, applied, machine);
    }
}

/// Everything that the checks remember of a run.
#[derive(Debug, Default)]
pub struct Checks {
    /// What there is to know of each group that holds a database.
    pub groups: BTreeMap<GroupId, GroupChecks>,
    /// What there is to know of the optimistic database, if there is one.
    pub merged: Option<merged::Merged>,
    /// The founding of the view service.
    pub founding: founding::Founding,
    /// The members of the view service's Raft group.
    pub members: members::Members,
    /// The view service's Raft group.
    pub raft: raft::RaftChecks,
    /// Its logs.
    pub raft_logs: logs::Logs,
    /// What view nodes were told in their terms.
    pub raft_agreed: agreed::Agreed,
    /// What view nodes know of the others.
    pub evidence: evidence::Evidence,
    /// What members take for durable.
    pub durable: durable::Durable,
    /// What replicas have asked of them.
    pub petitions: petitions::Petitions,
    /// The lives of data that were registered.
    pub lives: lives::Lives,
    /// The levels that processes know, and by which entries are executed.
    pub levels: levels::LevelChecks,
    /// How far its leaders are.
    pub informed: informed::Informed,
    /// The time of entries.
    pub clocks: clocks::Clocks,
    /// Whom costly reads have cost their place.
    pub costly: costly::Costly,
    /// Who was heard under which id.
    pub second: second::Second,
    /// Answers on their way from nodes to their clients.
    pub answers: Vec<(NodeId, OpId, Reply)>,
    /// What primaries have committed since the last look.
    pub commits: Vec<(GroupId, NodeId, EntryId)>,
    /// What leaders of Raft groups have committed since the last look, and under which configuration.
    pub raft_commits: Vec<(GroupId, NodeId, EntryId, Configuration)>,
    /// Who said something in which view since the last look.
    pub sends: Vec<(GroupId, NodeId, u64)>,
}

impl Checks {
    /// Of a run with so many databases.
    #[must_use]
    pub fn of(databases: u32, has_raft: bool, value_bytes: usize) -> Self {
        let groups = (MAIN.0..).take(databases as usize).map(GroupId);
        // That of Raft is the last one.
        let is_raft = |group: GroupId| has_raft && group.0 + 1 == MAIN.0 + databases;
        let groups =
            groups.map(|group| (group, GroupChecks::new(group, value_bytes, is_raft(group)))).collect();
        Self { groups, ..Self::default() }
    }

    /// What there is to know of a group.
    ///
    /// # Panics
    /// If the run has no such group: the protocols have made one up.
    #[must_use]
    pub fn group(&mut self, group: GroupId) -> &mut GroupChecks {
        self.groups.get_mut(&group).unwrap_or_else(|| panic!("there is no {group}"))
    }

    /// Whether a database was dropped: nobody need hold anything of it any more.
    #[must_use]
    pub fn is_gone(&self, group: GroupId) -> bool {
        self.groups.get(&group).is_some_and(|group| group.is_gone)
    }

    /// How often views and rosters were changed, of all groups.
    #[must_use]
    pub fn view_changes(&self) -> u64 {
        let rosters = self.groups.values().filter_map(|group| group.raft.as_ref());
        let rosters: u64 = rosters.map(|raft| raft.roster.number).sum();
        self.groups.values().map(|group| group.views.changes()).sum::<u64>() + rosters
    }

    /// A process has died: what it did last needs no look any more.
    pub fn crashed(&mut self, node: NodeId) {
        self.commits.retain(|(_, of, _)| *of != node);
        self.raft_commits.retain(|(_, of, ..)| *of != node);
        self.sends.retain(|(_, of, _)| *of != node);
        self.groups.values_mut().for_each(|group| group.agreed.crashed(node));
        self.raft_agreed.crashed(node);
    }
}

/// Which check a violation is of, if `look` finds one.
#[cfg(test)]
pub(crate) fn caught(look: impl FnOnce()) -> Option<&'static str> {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).err()?;
    payload.downcast_ref::<crate::trace::Violation>().map(|violation| violation.checker)
}
