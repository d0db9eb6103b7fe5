//! One history. The first replica that executes an entry writes it into the ledger; every other must execute the
//! very same one at that index, and come to the same state (state machine safety: Raft paper, Figure 3; rule P10).
//! The ledger also knows which operation stands where, and what a single copy would answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_core::payload;
use onecopy_core::{Entry, EntryId, Incarnation, Index, NodeId, StateMachine};

use crate::client::{Action, Family, OpId, value};
use crate::clock::Time;
use crate::trace::violated;

const CHECKER: &str = "ledger";
/// How often states are compared: after every so many entries.
const DIGEST_INTERVAL: u64 = 32;

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
    /// Where it stands in the ledger, and what a single copy answers. Only of writes.
    pub executed: Option<(u64, i64)>,
    /// The answer that the client got, as a number.
    pub got: Option<Bytes>,
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

/// The history of all operations, and of everything committed.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    digests: BTreeMap<u64, u64>,
    /// All operations.
    pub ops: Vec<Op>,
    batches: BTreeMap<(Incarnation, u64), Vec<OpId>>,
    /// The states of each object, from which index on.
    versions: BTreeMap<(Family, u64), Vec<(u64, i64)>>,
    /// The highest index that an answered operation has seen or made.
    pub floor: u64,
    /// How many bytes a value has.
    pub value_bytes: usize,
}

impl Ledger {
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
        });
        self.ops.len() - 1
    }

    /// A coordinator has made a batch.
    pub fn batch(&mut self, coordinator: Incarnation, sequence: u64, ops: &[OpId]) {
        self.batches.insert((coordinator, sequence), ops.to_vec());
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

    /// A replica has executed an entry; `before` is what it had executed before.
    pub fn applied(&mut self, node: NodeId, before: Index, entry: &Entry, machine: &impl StateMachine) {
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
            None if entry.id.index.0 != self.len() + 1 => {
                violated(
                    CHECKER,
                    format!("{node} executes {}, but nobody executed what is before", entry.id),
                );
            }
            None => {
                self.entries.push(entry.clone());
                self.execute(entry);
            }
        }
        if entry.id.index.0.is_multiple_of(DIGEST_INTERVAL) {
            self.same_state(node, entry.id.index, machine);
        }
    }

    /// A replica whose state reflects everything through `index` has the state that the others had there (P10).
    pub fn same_state(&mut self, node: NodeId, index: Index, machine: &impl StateMachine) {
        let digest = machine.digest();
        let first = *self.digests.entry(index.0).or_insert(digest);
        if first != digest {
            violated(CHECKER, format!("P10: {node} has another state at {index} than the replica before"));
        }
    }

    /// What a single copy would do.
    fn execute(&mut self, entry: &Entry) {
        let Ok((_, batches)) = payload::decode(&entry.payload) else { return };
        for batch in batches.flatten() {
            let key = (batch.id.coordinator, batch.id.sequence);
            let Some(ops) = self.batches.get(&key).cloned() else {
                violated(CHECKER, format!("{} holds a batch that nobody made: {key:?}", entry.id));
            };
            for op in ops {
                self.execute_op(op, entry.id.index.0);
            }
        }
    }

    fn execute_op(&mut self, id: OpId, index: u64) {
        let op = &mut self.ops[id];
        if let Some((first, _)) = op.executed {
            violated(CHECKER, format!("operation {id} is executed twice, at {first} and at {index}"));
        }
        if op.end == End::Refused {
            violated(CHECKER, format!("operation {id} was said not to be executed, but is at {index}"));
        }
        let versions = self.versions.entry((op.action.family(), op.key)).or_default();
        let before = versions.last().map_or(0, |(_, state)| *state);
        let state = match op.action {
            Action::Set => id as i64 + 1,
            _ => before + 1,
        };
        op.executed = Some((index, state));
        versions.push((index, state));
    }

    /// The state of an object when everything through `index` has been executed.
    #[must_use]
    pub fn state_at(&self, family: Family, key: u64, index: u64) -> i64 {
        let Some(versions) = self.versions.get(&(family, key)) else { return 0 };
        let after = versions.partition_point(|(at, _)| *at <= index);
        after.checked_sub(1).map_or(0, |last| versions[last].1)
    }

    /// What a single copy answers to an operation: for a write its own outcome, for a read the state as of `index`.
    #[must_use]
    pub fn expected(&self, op: &Op, index: u64) -> Vec<u8> {
        match (op.action, op.executed) {
            (Action::Set, _) => b"+OK\r\n".to_vec(),
            (Action::Incr, executed) => {
                format!(":{}\r\n", executed.map_or(0, |(_, state)| state)).into_bytes()
            }
            (Action::Add, _) => b":1\r\n".to_vec(),
            (action, _) => {
                read_reply(action.family(), self.state_at(action.family(), op.key, index), self.value_bytes)
            }
        }
    }
}

/// How a read of an object in this state is answered.
#[must_use]
pub fn read_reply(family: Family, state: i64, value_bytes: usize) -> Vec<u8> {
    match (family, state) {
        (Family::Set, size) => format!(":{size}\r\n").into_bytes(),
        (_, 0) => b"$-1\r\n".to_vec(),
        (Family::Counter, count) => format!("${}\r\n{count}\r\n", count.to_string().len()).into_bytes(),
        (Family::Register, state) => {
            let value = value((state - 1) as OpId, value_bytes);
            let mut reply = format!("${}\r\n", value.len()).into_bytes();
            reply.extend_from_slice(&value);
            reply.extend_from_slice(b"\r\n");
            reply
        }
    }
}
