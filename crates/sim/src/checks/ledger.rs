//! One history. The first replica that executes an entry writes it into the ledger; every other must execute
//! the very same one at that index (state machine safety: Raft paper, Figure 3; rule P8), and each operation
//! once. The ledger also knows which operation stands where, and what a single copy would have made of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use onecopy_core::parts::SILENT_MS;
use onecopy_core::payload::{self, Batch, Seal};
use onecopy_core::{BatchId, Entry, EntryId, GroupId, Incarnation, Index, NodeId, Timestamp};

use crate::checks::channels::Channels;
use crate::checks::own::Own;
use crate::checks::waits::Waits;
use crate::client::{Action, Family, OpId, first_op, group_of};
use crate::clock::Time;
use crate::model::{State, after, answer};
use crate::porters;
use crate::several::Step;
use crate::trace::violated;

const CHECKER: &str = "ledger";

/// One operation of a client.
#[derive(Clone, Debug)]
pub struct Op {
    /// What it was.
    pub action: Action,
    /// About which object.
    pub key: u64,
    /// When it was asked for.
    pub invoked: Time,
    /// The last index that was known to be reflected by an answer then.
    pub floor: u64,
    /// When it was answered.
    pub returned: Option<Time>,
    /// How it ended.
    pub end: End,
    /// Where it stands in the ledger, and what it found there. Only of writes.
    pub executed: Option<(u64, State)>,
    /// The answer that the client got.
    pub got: Option<Bytes>,
    /// Whether its commands have tokens: it may be asked for again.
    pub once: bool,
}

/// How an operation ended, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not at all yet.
    Pending,
    /// With an answer.
    Done,
    /// Nobody can say.
    Unknown,
    /// It was not executed.
    Refused,
}

/// The operations of one group, by their numbers.
#[derive(Debug, Default)]
pub struct Ops {
    first: OpId,
    ops: Vec<Op>,
}

impl Ops {
    /// All of them, in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &Op)> {
        (self.first..).zip(&self.ops)
    }

    fn push(&mut self, op: Op) -> OpId {
        self.ops.push(op);
        self.first + self.ops.len() - 1
    }
}

impl std::ops::Index<OpId> for Ops {
    type Output = Op;

    fn index(&self, id: OpId) -> &Op {
        &self.ops[id - self.first]
    }
}

impl std::ops::IndexMut<OpId> for Ops {
    fn index_mut(&mut self, id: OpId) -> &mut Op {
        &mut self.ops[id - self.first]
    }
}

/// The history of all operations of a group, and of everything committed there.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    /// All operations.
    pub ops: Ops,
    batches: BTreeMap<(Incarnation, u64), Vec<OpId>>,
    /// The batches that came in the log.
    executed: BTreeSet<BatchId>,
    /// How many bytes have come of those that travel in parts, and when the last ones came.
    parts: BTreeMap<BatchId, (usize, Timestamp)>,
    /// How many batches came whole in parts.
    pub in_parts: u64,
    /// How many came again.
    pub repeated: u64,
    /// How many operations came again under their tokens, in other batches.
    pub tokens_repeated: u64,
    /// How often something has gone to make room.
    pub evicted: u64,
    /// Below which number each coordinator has all its answers.
    done_below: BTreeMap<Incarnation, u64>,
    /// The states of each object, from which index on.
    versions: BTreeMap<(Family, u64), Vec<(u64, State)>>,
    /// The highest index that an answered operation has seen or made.
    pub floor: u64,
    /// How many bytes a value has.
    pub value_bytes: usize,
    /// The queues at which clients wait.
    pub waits: Waits,
    /// Those who listen, and what was published.
    pub channels: Channels,
    /// What is asked of somebody's own machine.
    pub own: Option<Own>,
}

impl Ledger {
    /// The ledger of a group in which nothing has happened.
    #[must_use]
    pub fn of(group: GroupId, value_bytes: usize) -> Self {
        let ops = Ops { first: first_op(group), ops: Vec::new() };
        Self { ops, value_bytes, ..Self::default() }
    }

    /// A client asks for something.
    pub fn invoke(&mut self, action: Action, key: u64, now: Time) -> OpId {
        self.ops.push(Op {
            action,
            key,
            invoked: now,
            floor: self.floor,
            returned: None,
            end: End::Pending,
            executed: None,
            got: None,
            once: false,
        })
    }

    /// A coordinator has made a batch. What is asked of one database is asked of no other.
    pub fn batch(&mut self, coordinator: Incarnation, sequence: u64, ops: &[OpId]) {
        let of = group_of(self.ops.first);
        if let Some(op) = ops.iter().find(|op| group_of(**op) != of) {
            violated(CHECKER, format!("operation {op} is for {}, and is asked of {of}", group_of(*op)));
        }
        // What porters ask for is about keys of their own, and looked at by themselves.
        let ops = ops.iter().copied().filter(|op| !porters::asks(*op)).collect();
        self.batches.insert((coordinator, sequence), ops);
    }

    /// How many entries are committed, as far as anybody knows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The last committed entry.
    #[must_use]
    pub fn last(&self) -> Option<EntryId> {
        self.entries.last().map(|entry| entry.id)
    }

    /// Whether nothing has been committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The time of an entry: that is what decides which leases have ended.
    #[must_use]
    pub fn time_at(&self, index: u64) -> Timestamp {
        let entry = index.checked_sub(1).and_then(|before| self.entries.get(before as usize));
        entry.map_or(Timestamp(0), |entry| entry.time)
    }

    /// A replica has executed an entry; `before` is what it had executed before.
    pub fn applied(&mut self, node: NodeId, before: Index, entry: &Entry) {
        if entry.id.index != before.next() {
            violated(CHECKER, format!("{node} executes {} after {before}", entry.id));
        }
        match self.entries.get(before.0 as usize) {
            Some(known) if known == entry => {}
            Some(known) => violated(
                CHECKER,
                format!(
                    "{node} executes {}, but {} is committed there{}",
                    entry.id,
                    known.id,
                    match known.id == entry.id {
                        true => " (with another content)",
                        false => "",
                    }
                ),
            ),
            None if entry.id.index.0 > self.len() + 1 && opens(entry) => {
                // What was between counts for nothing: the group was sealed.
                let (time, epoch) = (self.time_at(self.len()), entry.id.epoch);
                let empty = Entry { id: EntryId::ZERO, time, seed: 0, payload: Bytes::new() };
                for index in self.len() + 1..entry.id.index.0 {
                    let id = EntryId { index: Index(index), epoch };
                    self.entries.push(Entry { id, ..empty.clone() });
                }
                self.entries.push(entry.clone());
                self.execute(entry);
            }
            None if entry.id.index.0 != self.len() + 1 => {
                violated(
                    CHECKER,
                    format!("{node} executes {}, but nobody executed what is before", entry.id),
                );
            }
            None => {
                if entry.time < self.time_at(before.0) {
                    violated(CHECKER, format!("the time of {} is before that of the entry before", entry.id));
                }
                self.entries.push(entry.clone());
                self.execute(entry);
            }
        }
    }

    fn execute(&mut self, entry: &Entry) {
        let Ok((header, batches)) = payload::decode(&entry.payload) else { return };
        let at = (entry.id.index.0, entry.time);
        for op in self.waits.begin(&header.absent, at) {
            self.ops[op].executed = None;
        }
        for batch in batches.flatten() {
            self.waits.present(batch.id.coordinator, at.0);
            let key = (batch.id.coordinator, batch.id.sequence);
            let Some(ops) = self.batches.get(&key).cloned() else {
                violated(CHECKER, format!("{} holds a batch that nobody made: {key:?}", entry.id));
            };
            if !self.is_first(&batch, entry.time) {
                continue;
            }
            for op in ops {
                self.execute_op(op, batch.id.coordinator, at);
            }
        }
        self.parts.retain(|_, (_, grown)| entry.time.0.saturating_sub(grown.0) < SILENT_MS);
    }

    /// Exactly once: a batch may come again, and is executed where it comes first, as a whole; one whose
    /// coordinator has given it up is executed no more.
    fn is_first(&mut self, batch: &Batch, time: Timestamp) -> bool {
        let done_below = self.done_below.entry(batch.id.coordinator).or_default();
        *done_below = batch.done_below.max(*done_below);
        let is_wanted = batch.id.sequence >= *done_below;
        if is_wanted && !self.executed.contains(&batch.id) && !self.is_whole(batch, time) {
            return false;
        }
        let is_first = self.executed.insert(batch.id);
        self.repeated += u64::from(!is_first);
        is_first && is_wanted
    }

    /// Whether all of a batch has come, each part behind the one before.
    fn is_whole(&mut self, batch: &Batch, time: Timestamp) -> bool {
        let Some(part) = batch.part else { return true };
        let (bytes, grown) = self.parts.entry(batch.id).or_insert((0, time));
        if *bytes == part.at as usize {
            (*bytes, *grown) = (*bytes + batch.body.len(), time);
        }
        let is_whole = *bytes >= part.of as usize;
        if is_whole {
            self.parts.remove(&batch.id);
            self.in_parts += 1;
        }
        is_whole
    }

    fn execute_op(&mut self, id: OpId, coordinator: Incarnation, (index, time): (u64, Timestamp)) {
        let op = &mut self.ops[id];
        if op.end == End::Refused {
            violated(CHECKER, format!("operation {id} was said not to be executed, but is at {index}"));
        }
        if let Action::Channels(step) = op.action {
            // Somebody who waits and was sent away, since its coordinator was out of touch for long, comes
            // again. What it is given stays where it is until it says that it was heard.
            if op.executed.is_some() && !step.waits() {
                violated(CHECKER, format!("operation {id} is executed twice, the second time at {index}"));
            }
            op.executed = Some((index, State::default()));
            self.channels.execute((id, step, op.key), coordinator);
            return;
        }
        if op.action.family() == Family::Waits {
            let is_new = self.waits.execute((id, op.action, op.key), op.once, coordinator, index);
            self.tokens_repeated += u64::from(!is_new);
            if op.executed.is_none() {
                op.executed = Some((index, State::default()));
            }
            return;
        }
        // The same operation in another batch. No run is as long as tokens are remembered.
        if op.once && op.executed.is_some() {
            self.tokens_repeated += 1;
            return;
        }
        if let Some((first, _)) = op.executed {
            violated(CHECKER, format!("operation {id} is executed twice, at {first} and at {index}"));
        }
        if let Some(own) = &mut self.own {
            own.executed(id, index, time);
        }
        let versions = self.versions.entry((op.action.family(), op.key)).or_default();
        let before = versions.last().map_or(State::default(), |(_, state)| *state);
        op.executed = Some((index, before));
        versions.push((index, after(op.action, id, before, time)));
    }

    /// What an operation has begun to watch, and what its client does then.
    #[must_use]
    pub fn watching(&self, id: OpId, group: GroupId) -> Option<(Step, u64, GroupId)> {
        let op = &self.ops[id];
        let (Action::Several(step), Some((_, before))) = (op.action, op.executed) else { return None };
        Some((step.followed_by(id, before)?, op.key, group))
    }

    /// The objects of a kind that were ever written.
    pub fn keys_of(&self, family: Family) -> Vec<u64> {
        self.versions.range((family, 0)..=(family, u64::MAX)).map(|((_, key), _)| *key).collect()
    }

    /// An object has another state after everything through an index, although nobody wrote it.
    pub(super) fn put_version(&mut self, family: Family, key: u64, version: (u64, State)) {
        self.versions.entry((family, key)).or_default().push(version);
    }

    /// The state of an object when everything through `index` has been executed.
    #[must_use]
    pub fn state_at(&self, family: Family, key: u64, index: u64) -> State {
        let Some(versions) = self.versions.get(&(family, key)) else { return State::default() };
        let after = versions.partition_point(|(at, _)| *at <= index);
        after.checked_sub(1).map_or(State::default(), |last| versions[last].1)
    }

    /// What a single copy answers to an operation that took effect at `index`.
    #[must_use]
    pub fn expected(&self, id: OpId, index: u64) -> Vec<u8> {
        let op = &self.ops[id];
        let before = match op.executed {
            Some((_, before)) => before,
            None => self.state_at(op.action.family(), op.key, index),
        };
        answer(op.action, (op.key, id), before, self.time_at(index), self.value_bytes)
    }
}

/// Whether an entry opens a group that was sealed.
#[must_use]
pub fn opens(entry: &Entry) -> bool {
    payload::decode(&entry.payload).is_ok_and(|(header, _)| header.seal == Some(Seal::Open))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::checks::caught;

    fn entry(index: u64, epoch: u64, time: u64) -> Entry {
        Entry { id: EntryId::new(index, epoch), time: Timestamp(time), seed: 0, payload: Bytes::new() }
    }

    #[test]
    fn two_entries_at_one_index_are_two_histories() {
        let mut ledger = Ledger::default();
        ledger.applied(NodeId(1), Index(0), &entry(1, 1, 5));
        ledger.applied(NodeId(2), Index(0), &entry(1, 1, 5));
        assert_eq!(caught(|| ledger.applied(NodeId(3), Index(0), &entry(1, 2, 5))), Some(CHECKER));
        assert_eq!(caught(|| ledger.applied(NodeId(1), Index(2), &entry(3, 1, 5))), Some(CHECKER), "a gap");
        assert_eq!(caught(|| ledger.applied(NodeId(1), Index(1), &entry(2, 1, 4))), Some(CHECKER), "back");
    }

    #[test]
    fn what_is_asked_of_one_database_is_asked_of_no_other() {
        let mut ledgers = [1, 2].map(|group| Ledger::of(GroupId(group), 0));
        let ops = ledgers.each_mut().map(|ledger| ledger.invoke(Action::Incr, 0, 0));
        assert_ne!(ops[0], ops[1]);
        let mut batch =
            |ledger: usize, op: usize| caught(|| ledgers[ledger].batch(Incarnation(1), 1, &[ops[op]]));
        assert_eq!([(0, 0), (1, 1)].map(|(ledger, op)| batch(ledger, op)), [None, None]);
        assert_eq!([(0, 1), (1, 0)].map(|(ledger, op)| batch(ledger, op)), [Some(CHECKER), Some(CHECKER)]);
    }

    #[test]
    fn nothing_is_executed_twice_or_after_it_was_refused() {
        let mut ledger = Ledger::default();
        let (first, refused) = (ledger.invoke(Action::Incr, 0, 0), ledger.invoke(Action::Incr, 0, 0));
        ledger.execute_op(first, Incarnation(1), (1, Timestamp(1)));
        assert_eq!(caught(|| ledger.execute_op(first, Incarnation(1), (2, Timestamp(1)))), Some(CHECKER));
        ledger.ops[refused].end = End::Refused;
        assert_eq!(caught(|| ledger.execute_op(refused, Incarnation(1), (3, Timestamp(1)))), Some(CHECKER));
    }
}
