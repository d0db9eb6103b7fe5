//! Linearizability, by search (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993, with the memory of Lowe,
//! "Testing for Linearizability", 2017). It looks at nothing but what the clients saw, so it also checks the witness.
//! Only the beginning of the history of each register: the search is exponential.

use std::collections::BTreeSet;

use crate::checks::ledger::{End, Ledger, Op};
use crate::client::{Action, OpId, value};
use crate::trace::violated;

/// How many operations are searched at most.
const OPS_MAX: usize = 28;

/// An operation on a register, as its client saw it.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the id is for people who read a violation")]
struct Call {
    id: OpId,
    invoked: u64,
    /// `u64::MAX` if it was never answered: it may take effect at any time, or never.
    returned: u64,
    /// Written or read; 0 for a register that was never written.
    value: i64,
    is_read: bool,
}

/// Searches an order for every register.
pub fn check(ledger: &Ledger, keys: u64) {
    for key in 0..keys {
        let calls = calls(ledger, key);
        if !linearizable(&calls) {
            violated("search", format!("the history of register {key} has no order: {calls:?}"));
        }
    }
}

fn calls(ledger: &Ledger, key: u64) -> Vec<Call> {
    let of_register = |op: &&Op| matches!(op.action, Action::Set | Action::Get) && op.key == key;
    let ops = ledger.ops.iter().enumerate().filter(|(_, op)| of_register(op));
    // Operations are numbered in the order of time. Reads without an answer say nothing.
    let first: Vec<(OpId, &Op)> = ops.filter(|(_, op)| op.end != End::Refused).take(OPS_MAX).collect();
    let end = first.last().map_or(0, |(_, op)| op.invoked);
    let calls = first.into_iter().filter_map(|(id, op)| {
        let is_read = op.action == Action::Get;
        // What is answered after the last of them was asked for may have seen later writes.
        let answered = op.end == End::Done && op.returned.is_some_and(|returned| returned <= end);
        if is_read && !answered {
            return None;
        }
        let value = if is_read { parse(op.got.as_deref()?)? } else { id as i64 + 1 };
        let returned = if answered { op.returned.unwrap_or(u64::MAX) } else { u64::MAX };
        Some(Call { id, invoked: op.invoked, returned, value, is_read })
    });
    calls.collect()
}

/// The number of the write whose value was read.
fn parse(reply: &[u8]) -> Option<i64> {
    if reply == b"$-1\r\n" {
        return Some(0);
    }
    let text = std::str::from_utf8(reply).ok()?;
    let id: OpId = text.split("\r\n").nth(1)?.split(':').next()?.parse().ok()?;
    debug_assert!(value(id, 0).len() <= reply.len());
    Some(id as i64 + 1)
}

fn linearizable(calls: &[Call]) -> bool {
    let all = (1u64 << calls.len()) - 1;
    let answered = |done: u64| {
        calls.iter().enumerate().all(|(at, call)| done >> at & 1 == 1 || call.returned == u64::MAX)
    };
    let mut seen = BTreeSet::new();
    let mut stack = vec![(0u64, 0i64)];
    while let Some((done, state)) = stack.pop() {
        if done == all || answered(done) {
            return true;
        }
        if !seen.insert((done, state)) {
            continue;
        }
        let open = || calls.iter().enumerate().filter(move |(at, _)| done >> at & 1 == 0);
        // Whatever comes next must have been asked for before anything else that is still open was answered.
        let limit = open().map(|(_, call)| call.returned).min().unwrap_or(u64::MAX);
        for (at, call) in open().filter(|(_, call)| call.invoked <= limit) {
            if !call.is_read {
                stack.push((done | 1 << at, call.value));
            } else if call.value == state {
                stack.push((done | 1 << at, state));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: OpId, invoked: u64, returned: u64, value: i64, is_read: bool) -> Call {
        Call { id, invoked, returned, value, is_read }
    }

    #[test]
    fn a_read_of_an_old_value_has_no_order() {
        let write = call(0, 0, 10, 1, false);
        assert!(linearizable(&[write, call(1, 20, 30, 1, true)]));
        assert!(!linearizable(&[write, call(1, 20, 30, 0, true)]));
        assert!(linearizable(&[write, call(1, 5, 30, 0, true)]), "both at once: either order");
    }

    #[test]
    fn an_unanswered_write_may_happen_late_or_never() {
        let write = call(0, 0, u64::MAX, 1, false);
        let reads = [call(1, 5, 6, 0, true), call(2, 20, 30, 1, true)];
        assert!(linearizable(&[write, reads[0], reads[1]]));
        assert!(linearizable(&[write, reads[0]]));
        let back = [call(1, 5, 6, 1, true), call(2, 20, 30, 0, true)];
        assert!(!linearizable(&[write, back[0], back[1]]), "once seen, it stays");
    }
}
