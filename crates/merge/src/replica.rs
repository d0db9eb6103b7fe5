//! A replica of an optimistic database.

use onecopy_core::Timestamp;
use onecopy_resp::{Version, Writer};

use crate::clock::Clock;
use crate::command;
use crate::delta::{Change, Delta};
use crate::dot::{Dot, ReplicaId};
use crate::object::By;
use crate::stamp::HybridClock;
use crate::store::{Key, Store};
use crate::transaction::Transaction;
use crate::waiting::Waiting;
use onecopy_core::{Rule, Rules};

/// What a client sends, and what its replica knows beyond its own state.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The reading of the wall clock.
    pub now: Timestamp,
    /// The database that the connection has selected.
    pub db: u8,
    /// Random bits, other ones for each call: for `SPOP` and its relatives.
    pub seed: u64,
    /// The protocol that the replies are written in.
    pub version: Version,
}

/// What has become of a delta that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It shows, and so do these, in this order: it, and what had waited for it.
    Shown(Vec<Dot>),
    /// It had been seen.
    Seen,
    /// It waits for what its maker had seen.
    Waits,
    /// It would have to wait, and there is no room: it must come again, or be repaired.
    Dropped,
}

/// A stamp that was too far ahead to be taken over: somebody's wall clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Whose clock.
    pub replica: ReplicaId,
    /// How far ahead of the own one it was, in milliseconds.
    pub by_ms: u64,
}

/// A replica: the state of its keys, what it has seen, and what waits.
///
/// ```
/// use onecopy_core::Timestamp;
/// use onecopy_merge::{Call, Replica, ReplicaId, Rules};
/// use onecopy_resp::Version;
///
/// let call = Call { now: Timestamp(1_000), db: 0, seed: 0, version: Version::Two };
/// let [mut a, mut b] = [1, 2].map(|id| Replica::new(ReplicaId(id), Rules::default()));
/// let (mut reply, mut deltas) = (Vec::new(), Vec::new());
/// deltas.extend(a.execute(call, &[b"INCR", b"views"], &mut reply));
/// deltas.extend(b.execute(call, &[b"INCRBY", b"views", b"2"], &mut reply));
/// for delta in deltas {
///     a.receive(call.now, delta.clone());
///     b.receive(call.now, delta);
/// }
/// reply.clear();
/// a.execute(call, &[b"GET", b"views"], &mut reply);
/// assert_eq!(reply, b"$1\r\n3\r\n");
/// assert_eq!(a.digest(), b.digest());
/// ```
#[derive(Clone, Debug)]
pub struct Replica {
    pub(crate) id: ReplicaId,
    pub(crate) clock: Clock,
    pub(crate) hybrid: HybridClock,
    pub(crate) store: Store,
    pub(crate) waiting: Waiting,
    /// What a repair that is under way will bring: it is not taken from elsewhere meanwhile.
    pub(crate) repairing: Option<Clock>,
    pub(crate) rules: Rules,
    /// Commands that may need more memory are refused while there is more than this; 0: there is no limit.
    memory_max: u64,
    ahead: Option<Ahead>,
}

impl Replica {
    /// A replica that has seen nothing. The number must never have been given to another (rule O5).
    #[must_use]
    pub fn new(id: ReplicaId, rules: Rules) -> Self {
        Self {
            id,
            clock: Clock::new(),
            hybrid: HybridClock::default(),
            store: Store::default(),
            waiting: Waiting::default(),
            repairing: None,
            rules,
            memory_max: 0,
            ahead: None,
        }
    }

    /// The same state in another life: of a backup, or of a copy of somebody else's state. The number must
    /// never have been given to another (rule O5): what the life before did after this state was kept is
    /// known to others by its dots, and they must not be given to anything else.
    #[must_use]
    pub fn in_life(self, id: ReplicaId) -> Self {
        let id = if self.rules.hold(Rule::OwnLife) { id } else { self.id };
        Self { id, repairing: None, ..self }
    }

    /// The same, with room for so many bytes of deltas that wait.
    #[must_use]
    pub fn with_waiting(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// What it has seen.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What it holds.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What waits for something that is missing.
    #[must_use]
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// The digest of all keys: the same where the same dots were seen (rule O1).
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.store.digest()
    }

    /// The last stamp that was too far ahead, once.
    pub fn take_ahead(&mut self) -> Option<Ahead> {
        self.ahead.take()
    }

    /// From now on, commands that may need more memory are refused while the keys take more than this; 0:
    /// there is no limit. What others have done is taken in any case.
    pub fn set_memory_max(&mut self, bytes: u64) {
        self.memory_max = bytes;
    }

    /// Whether there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.memory_max > 0 && self.store.memory() > self.memory_max
    }

    /// Executes a command, and appends the reply. The delta, if it changed something, must be logged, and
    /// sent to all others.
    pub fn execute(&mut self, call: Call, args: &[&[u8]], reply: &mut Vec<u8>) -> Option<Delta> {
        self.transact(call, &[args], reply)
    }

    /// Executes commands as one update, and appends a reply for each.
    pub fn transact(&mut self, call: Call, commands: &[&[&[u8]]], reply: &mut Vec<u8>) -> Option<Delta> {
        let mut transaction = Transaction::begin(self, call);
        for args in commands {
            command::execute(&mut transaction, args, &mut Writer::new(reply, call.version));
        }
        transaction.finish()
    }

    /// Does what time demands: removes what is due, at most `count_max` keys, and ends the own series that
    /// others have removed. To be called again as long as it gives a delta.
    pub fn advance(&mut self, now: Timestamp, count_max: usize) -> Option<Delta> {
        let call = Call { now, db: 0, seed: 0, version: Version::Two };
        let mut transaction = Transaction::begin(self, call);
        if transaction.is_over() {
            return None;
        }
        transaction.expire(count_max);
        transaction.end_dead(count_max);
        transaction.finish()
    }

    /// Says that the replicas below `floor` are over, but for those that are `living`. Only after all that
    /// live have seen the same of each of them: what somebody has seen beyond is lost. See [`foldable`].
    pub fn fold(&mut self, now: Timestamp, floor: ReplicaId, living: &[ReplicaId]) -> Option<Delta> {
        let call = Call { now, db: 0, seed: 0, version: Version::Two };
        let mut transaction = Transaction::begin(self, call);
        if transaction.is_over() {
            return None;
        }
        transaction.fold(floor, living);
        transaction.finish()
    }

    /// Takes a delta from another replica, of its own or of a third one. In any order, and as often as it
    /// comes.
    pub fn receive(&mut self, now: Timestamp, delta: Delta) -> Received {
        self.receive_showing(now, delta, &mut Vec::new())
    }

    /// The same, and hands out the deltas that show now, in their order: they must be logged.
    pub fn receive_showing(&mut self, now: Timestamp, delta: Delta, shown: &mut Vec<Delta>) -> Received {
        if self.clock.contains(delta.dot) {
            return Received::Seen;
        }
        let is_repaired = self.repairing.as_ref().is_some_and(|clock| clock.contains(delta.dot));
        let is_ready = self.clock.covers(&delta.context) || !self.rules.hold(Rule::CausalOrder);
        if is_repaired || !is_ready {
            return if self.waiting.push(delta) { Received::Waits } else { Received::Dropped };
        }
        let before = shown.len();
        self.show(now, &delta);
        shown.push(delta);
        shown.extend(self.show_waiting(now));
        Received::Shown(shown[before..].iter().map(|delta| delta.dot).collect())
    }

    /// Shows everything that waits for nothing any more.
    pub(crate) fn show_waiting(&mut self, now: Timestamp) -> Vec<Delta> {
        let mut shown = Vec::new();
        while let Some(delta) = self.waiting.next(&self.clock) {
            if self.repairing.as_ref().is_some_and(|clock| clock.contains(delta.dot)) {
                self.waiting.push(delta);
                break;
            }
            self.show(now, &delta);
            shown.push(delta);
        }
        shown
    }

    fn show(&mut self, now: Timestamp, delta: &Delta) {
        if let Some(by_ms) = self.hybrid.observe(now, delta.stamp, self.rules) {
            self.ahead = Some(Ahead { replica: delta.dot.replica, by_ms });
        }
        for change in &delta.changes {
            self.apply(change, delta.dot, delta);
        }
        self.clock.add(delta.dot);
    }

    fn apply(&mut self, change: &Change, dot: Dot, delta: &Delta) {
        let (context, stamp) = (&delta.context, delta.stamp);
        let by = By { dot, stamp, context, clock: &self.clock, rules: self.rules };
        match change {
            Change::Key { db, name, ops } => {
                let key = Key::of(*db, name.clone());
                self.store.edit(&key, |object| ops.iter().for_each(|op| object.apply(op, by)));
            }
            Change::Flush(db) => self.store.flush(*db, by),
            Change::Fold { floor, living } => {
                self.clock.fold(*floor, living);
                self.store.fold(&self.clock);
                self.waiting.forget_seen(&self.clock);
            }
        }
    }
}

/// Below which replica all are over, given those that live, with what each of them has seen: `None` if they
/// have not seen the same of those that are over. Then some must catch up first.
#[must_use]
pub fn foldable(living: &[(ReplicaId, &Clock)]) -> Option<ReplicaId> {
    let is_living = |replica: ReplicaId| living.iter().any(|(other, _)| *other == replica);
    let (_, first) = living.first()?;
    let over = living.iter().flat_map(|(_, clock)| clock.iter().map(|(replica, _)| replica));
    let over: Vec<ReplicaId> = over.filter(|replica| !is_living(*replica)).collect();
    let agreed = |replica: &ReplicaId| {
        living
            .iter()
            .all(|(_, clock)| clock.seen_of(*replica) == first.seen_of(*replica) || clock.is_folded(*replica))
    };
    let floor = over.iter().max()?;
    over.iter().all(agreed).then_some(ReplicaId(floor.0 + 1))
}
