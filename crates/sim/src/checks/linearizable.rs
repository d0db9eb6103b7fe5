//! Linearizability, by witness (Herlihy and Wing, "Linearizability", 1990). The log is an order of all
//! writes, and the index that a read reflected places it in that order. It remains to check that every
//! operation comes, in this order, after all that were answered before it was asked for, and that every
//! answer is the one that a single copy gives there ([`crate::model`]). Since the order is one for all keys,
//! this is strict serializability.
//!
//! A read at a backup does not wait for entries that touch other keys (rule L5), and may be answered from a
//! state that is older than what was answered before. It takes its place after all that: its answer must be
//! the one that a single copy gives *there*.
//!
//! Expiry is a part of it: a lease is over from the first entry on whose time is its end, and not before.

use bytes::Bytes;

use crate::checks::accounts;
use crate::checks::ledger::{End, Ledger};
use crate::client::{Action, OpId, Reply};
use crate::clock::Time;
use crate::message::Kind;
use crate::model::fits;
use crate::trace::violated;

const CHECKER: &str = "linearizable";

impl Ledger {
    /// A client has its answer.
    pub fn answered(&mut self, id: OpId, reply: &Reply, now: Time) {
        self.ops[id].returned = Some(now);
        match reply {
            Reply::Unknown => self.ops[id].end = End::Unknown,
            Reply::Refused => {
                if let Some((index, _)) = self.ops[id].executed {
                    violated(
                        CHECKER,
                        format!("operation {id} is said not to be executed, but is at {index}"),
                    );
                }
                self.ops[id].end = End::Refused;
            }
            Reply::Done(bytes, witness) => {
                let op = &self.ops[id];
                if let Action::Channels(_) = op.action {
                    return self.answered_of_channels(id, bytes);
                }
                let given = self.waits.given(id);
                let index = match (op.action.kind(), op.executed) {
                    (Kind::Read, _) => witness.0.max(op.floor),
                    (Kind::Wait, _) => match given {
                        Some((_, index)) => index,
                        None => violated(CHECKER, format!("operation {id} is answered, but waits")),
                    },
                    (Kind::Write, Some((index, _))) => index,
                    (Kind::Write, None) => {
                        violated(CHECKER, format!("operation {id} is acknowledged, but is not committed"))
                    }
                };
                if op.action.kind() != Kind::Read && index <= op.floor {
                    violated(
                        CHECKER,
                        format!(
                            "operation {id} ({:?}) is as of {index}, but {} had been answered before it was \
                                 asked for",
                            op.action, op.floor
                        ),
                    );
                }
                if op.action == Action::Audit {
                    accounts::check(id, bytes);
                }
                let expected = match given {
                    Some((answer, _)) => answer.to_vec(),
                    None => self.expected(id, index),
                };
                if let Some(own) = &self.own {
                    own.check(id, index, self.time_at(index), bytes);
                } else if !fits(op.action, bytes, &expected) {
                    let show =
                        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
                    violated(
                        CHECKER,
                        format!(
                            "operation {id} ({:?} of {}) as of {index} is answered {:?}, a single copy answers {:?}",
                            op.action,
                            op.key,
                            show(bytes),
                            show(&expected)
                        ),
                    );
                }
                self.floor = self.floor.max(index);
                let op = &mut self.ops[id];
                op.end = End::Done;
                op.got = Some(bytes.clone());
            }
        }
    }

    /// What channels answer is for those who listen ([`crate::checks::channels`]); that it was executed, and
    /// not before it was asked for, is as with everything else.
    fn answered_of_channels(&mut self, id: OpId, bytes: &Bytes) {
        let op = &self.ops[id];
        match op.executed {
            Some((index, _)) if index > op.floor => {}
            Some((index, _)) => violated(
                CHECKER,
                format!(
                    "operation {id} is at {index}, but {} had been answered before it was asked for",
                    op.floor
                ),
            ),
            None => violated(CHECKER, format!("operation {id} is acknowledged, but is not committed")),
        }
        let (action, index) = (op.action, op.executed.map_or(0, |(index, _)| index));
        if action.kind() == Kind::Write {
            self.floor = self.floor.max(index);
        }
        let op = &mut self.ops[id];
        op.end = End::Done;
        op.got = Some(bytes.clone());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{Entry, EntryId, Incarnation, Index, NodeId, Timestamp, payload};

    use super::*;
    use crate::checks::caught;

    /// Executes these operations in one entry of this time.
    fn execute(ledger: &mut Ledger, time: u64, ops: &[OpId]) -> Index {
        let (before, life) = (ledger.len(), Incarnation(1));
        ledger.batch(life, before, ops);
        let mut builder = payload::Builder::new(payload::Header::default());
        let id = onecopy_core::BatchId { coordinator: life, sequence: before };
        builder.push(&payload::Batch {
            id,
            done_below: 0,
            part: None,
            heard: Vec::new(),
            body: Bytes::new(),
        });
        let id = EntryId::new(before + 1, 1);
        let entry = Entry { id, time: Timestamp(time), seed: 0, payload: builder.finish() };
        ledger.applied(NodeId(1), Index(before), &entry);
        id.index
    }

    fn says(ledger: &mut Ledger, op: OpId, answer: &'static [u8], index: Index) -> Option<&'static str> {
        caught(|| ledger.answered(op, &Reply::Done(Bytes::from_static(answer), index), 9))
    }

    #[test]
    fn a_stale_read_is_caught() {
        let mut ledger = Ledger::default();
        let incr = ledger.invoke(Action::Incr, 0, 1);
        let index = execute(&mut ledger, 1, &[incr]);
        assert_eq!(says(&mut ledger, incr, b":1\r\n", index), None);
        let (good, stale, wrong) = (
            ledger.invoke(Action::Count, 0, 2),
            ledger.invoke(Action::Count, 0, 2),
            ledger.invoke(Action::Count, 0, 2),
        );
        assert_eq!(says(&mut ledger, good, b"$1\r\n1\r\n", index), None);
        assert_eq!(says(&mut ledger, stale, b"$-1\r\n", Index(0)), Some(CHECKER));
        assert_eq!(says(&mut ledger, wrong, b"$1\r\n2\r\n", index), Some(CHECKER));
    }

    #[test]
    fn an_older_state_will_do_where_nothing_has_touched_the_key() {
        let mut ledger = Ledger::default();
        let (incr, other) = (ledger.invoke(Action::Incr, 0, 1), ledger.invoke(Action::Incr, 1, 1));
        let (first, second) = (execute(&mut ledger, 1, &[incr]), execute(&mut ledger, 1, &[other]));
        assert_eq!(says(&mut ledger, other, b":1\r\n", second), None);
        let (same, stale) = (ledger.invoke(Action::Count, 0, 2), ledger.invoke(Action::Count, 1, 2));
        assert_eq!(says(&mut ledger, same, b"$1\r\n1\r\n", first), None);
        assert_eq!(says(&mut ledger, stale, b"$-1\r\n", first), Some(CHECKER));
    }

    #[test]
    fn an_acknowledged_write_must_be_committed_and_a_refused_one_must_not() {
        let mut ledger = Ledger::default();
        let (lost, refused) = (ledger.invoke(Action::Set, 0, 1), ledger.invoke(Action::Set, 0, 1));
        assert_eq!(says(&mut ledger, lost, b"+OK\r\n", Index(1)), Some(CHECKER));
        execute(&mut ledger, 1, &[refused]);
        assert_eq!(caught(|| ledger.answered(refused, &Reply::Refused, 9)), Some(CHECKER));
    }

    #[test]
    fn a_lease_is_neither_read_after_its_end_nor_gone_before() {
        let mut ledger = Ledger::default();
        let lease = ledger.invoke(Action::Lease { ms: 50 }, 0, 1);
        let (before, other) = (execute(&mut ledger, 100, &[lease]), ledger.invoke(Action::Incr, 0, 1));
        let after = execute(&mut ledger, 150, &[other]);
        let (there, gone) = (b"$1\r\n0\r\n:1\r\n:150\r\n:50\r\n", b"$-1\r\n:0\r\n:-2\r\n:-2\r\n");
        let mut look = |answer, index| {
            let op = ledger.invoke(Action::Look, 0, 2);
            ledger.ops[op].floor = 0;
            says(&mut ledger, op, answer, index)
        };
        assert_eq!((look(there, before), look(gone, after)), (None, None));
        assert_eq!((look(gone, before), look(there, after)), (Some(CHECKER), Some(CHECKER)));
    }
}
