//! Linearizability, by witness (Herlihy and Wing, "Linearizability", 1990). The log is an order of all writes, and
//! the index that a read reflected places it in that order. It remains to check that every operation comes, in
//! this order, after all that were answered before it was asked for, and that every answer is the one that a
//! single copy gives there. Since the order is one for all keys, this is strict serializability.

use crate::checks::ledger::{End, Ledger};
use crate::client::{OpId, Reply};
use crate::clock::Time;
use crate::message::Kind;
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
                let index = match (op.action.kind(), op.executed) {
                    (Kind::Read, _) => witness.0,
                    (Kind::Write, Some((index, _))) => index,
                    (Kind::Write, None) => {
                        violated(CHECKER, format!("operation {id} is acknowledged, but is not committed"))
                    }
                };
                let late = match op.action.kind() {
                    Kind::Read => index < op.floor,
                    Kind::Write => index <= op.floor,
                };
                if late {
                    violated(
                        CHECKER,
                        format!(
                            "operation {id} ({:?}) is as of {index}, but {} had been answered before it was \
                                 asked for",
                            op.action, op.floor
                        ),
                    );
                }
                let expected = self.expected(op, index);
                if *bytes != expected {
                    let show =
                        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
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
}
