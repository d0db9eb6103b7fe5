//! Linearizability, by search (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993, with the
//! memory of Lowe, "Testing for Linearizability", 2017). It looks at nothing but what the clients saw, so it
//! also checks the witness. Only the beginning of the history of each object: the search is exponential.

use std::collections::BTreeSet;

use bytes::Bytes;
use onecopy_core::Timestamp;

use crate::checks::ledger::{End, Ledger, Op};
use crate::client::{Action, Family, OpId};
use crate::message::Kind;
use crate::model::{State, after, answer, fits};
use crate::trace::violated;

/// How many operations are searched at most.
const OPS_MAX: usize = 28;

/// An operation, as its client saw it.
#[derive(Clone, Debug)]
struct Call {
    id: OpId,
    action: Action,
    key: u64,
    invoked: u64,
    /// `u64::MAX` if it was never answered: it may take effect at any time, or never.
    returned: u64,
    /// What it was answered.
    got: Option<Bytes>,
}

/// Searches an order for every object.
pub fn check(ledger: &Ledger, keys: u64) {
    for family in Family::ALL {
        for key in 0..family.objects(keys) {
            let calls = calls(ledger, family, key);
            if !linearizable(&calls, ledger.value_bytes) {
                violated("search", format!("the history of {} has no order: {calls:?}", family.key(key)));
            }
        }
    }
}

fn calls(ledger: &Ledger, family: Family, key: u64) -> Vec<Call> {
    let of_object = |op: &&Op| op.action.family() == family && op.key == key && op.end != End::Refused;
    // Operations are numbered in the order of time. Reads without an answer say nothing.
    let ops = ledger.ops.iter().filter(|(_, op)| of_object(op));
    let first: Vec<(OpId, &Op)> = ops.take(OPS_MAX).collect();
    let end = first.last().map_or(0, |(_, op)| op.invoked);
    let calls = first.into_iter().filter_map(|(id, op)| {
        // What is answered after the last of them was asked for may have seen later writes.
        let answered = op.end == End::Done && op.returned.is_some_and(|returned| returned <= end);
        if op.action.kind() == Kind::Read && !answered {
            return None;
        }
        let returned = op.returned.filter(|_| answered).unwrap_or(u64::MAX);
        let got = op.got.clone().filter(|_| answered);
        Some(Call { id, action: op.action, key, invoked: op.invoked, returned, got })
    });
    calls.collect()
}

/// What an object may be after a call that found it `before`. Clients do not see the time of entries: a lease
/// may have ended at any time since it was given, so its end is left out of its state, and it may be over
/// whenever it is looked at.
fn outcomes(call: &Call, before: State, value_bytes: usize) -> impl Iterator<Item = State> {
    let family = call.action.family();
    let over = (family == Family::Lease && before != State::default()).then(State::default);
    let fit = move |before: &State| {
        let Some(got) = &call.got else { return true };
        match call.action {
            Action::Look => match before.first() {
                0 => got.starts_with(b"$-1\r\n"),
                written => {
                    let number = (written - 1).to_string();
                    got.starts_with(format!("${}\r\n{number}\r\n", number.len()).as_bytes())
                }
            },
            action => fits(action, got, &answer(action, (call.key, call.id), *before, NEVER, value_bytes)),
        }
    };
    [Some(before), over].into_iter().flatten().filter(fit).map(move |before| {
        let state = after(call.action, call.id, before, NEVER);
        if family == Family::Lease && state != State::default() { forever(state) } else { state }
    })
}

/// The time of all calls on a lease: none ends by itself.
const NEVER: Timestamp = Timestamp(0);

fn forever(lease: State) -> State {
    State([lease.first(), i64::MAX, 0, 0])
}

fn linearizable(calls: &[Call], value_bytes: usize) -> bool {
    let all = (1u64 << calls.len()) - 1;
    let answered = |done: u64| {
        calls.iter().enumerate().all(|(at, call)| done >> at & 1 == 1 || call.returned == u64::MAX)
    };
    let mut seen = BTreeSet::new();
    let mut stack = vec![(0u64, State::default())];
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
            stack.extend(outcomes(call, state, value_bytes).map(|state| (done | 1 << at, state)));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: OpId, action: Action, invoked: u64, returned: u64, got: &str) -> Call {
        let got = (returned != u64::MAX).then(|| Bytes::copy_from_slice(got.as_bytes()));
        Call { id, action, key: 0, invoked, returned, got }
    }

    fn has_order(calls: &[Call]) -> bool {
        linearizable(calls, 0)
    }

    const NIL: &str = "$-1\r\n";
    const FIRST: &str = "$2\r\n0:\r\n";

    #[test]
    fn a_read_of_an_old_value_has_no_order() {
        let write = call(0, Action::Set, 0, 10, "+OK\r\n");
        assert!(has_order(&[write.clone(), call(1, Action::Get, 20, 30, FIRST)]));
        assert!(!has_order(&[write.clone(), call(1, Action::Get, 20, 30, NIL)]));
        assert!(has_order(&[write, call(1, Action::Get, 5, 30, NIL)]), "both at once: either order");
    }

    #[test]
    fn an_unanswered_write_may_happen_late_or_never() {
        let write = call(0, Action::Set, 0, u64::MAX, "");
        let (nil, seen) = (call(1, Action::Get, 5, 6, NIL), call(2, Action::Get, 20, 30, FIRST));
        assert!(has_order(&[write.clone(), nil.clone(), seen]));
        assert!(has_order(&[write.clone(), nil]));
        let back = [call(1, Action::Get, 5, 6, FIRST), call(2, Action::Get, 20, 30, NIL)];
        assert!(!has_order(&[write, back[0].clone(), back[1].clone()]), "once seen, it stays");
    }

    #[test]
    fn counters_and_sets_count_every_call_once() {
        let first = call(0, Action::Incr, 0, 10, ":1\r\n");
        assert!(has_order(&[first.clone(), call(1, Action::Incr, 5, 15, ":2\r\n")]));
        assert!(!has_order(&[first.clone(), call(1, Action::Incr, 5, 15, ":1\r\n")]), "counted twice");
        assert!(!has_order(&[first, call(1, Action::Incr, 20, 25, ":3\r\n")]), "counted without a call");
        let add = call(0, Action::Add, 0, 10, ":1\r\n");
        assert!(!has_order(&[add, call(1, Action::Size, 20, 25, ":0\r\n")]), "an element is lost");
    }

    #[test]
    fn an_audit_between_the_halves_of_a_transfer_has_no_order() {
        let transfer = call(0, Action::Transfer { from: 0, to: 1, amount: 7 }, 0, 10, ":-7\r\n:7\r\n");
        let audit = |got: &str| call(1, Action::Audit, 5, 9, got);
        assert!(has_order(&[transfer.clone(), audit("$2\r\n-7\r\n$1\r\n7\r\n$-1\r\n$-1\r\n")]));
        assert!(has_order(&[transfer.clone(), audit("$-1\r\n$-1\r\n$-1\r\n$-1\r\n")]));
        assert!(!has_order(&[transfer, audit("$2\r\n-7\r\n$-1\r\n$-1\r\n$-1\r\n")]));
    }

    #[test]
    fn a_lease_that_ended_does_not_come_back() {
        let lease = call(0, Action::Lease { ms: 50 }, 0, 10, "+OK\r\n");
        let there = |id, at| call(id, Action::Look, at, at + 1, "$1\r\n0\r\n:1\r\n:9\r\n:9\r\n");
        let gone = |id, at| call(id, Action::Look, at, at + 1, "$-1\r\n:0\r\n:-2\r\n:-2\r\n");
        assert!(has_order(&[lease.clone(), there(1, 20), gone(2, 30)]));
        assert!(!has_order(&[lease.clone(), gone(1, 20), there(2, 30)]));
        let renewed = call(2, Action::Renew { ms: 50 }, 25, 26, ":1\r\n");
        assert!(!has_order(&[lease, gone(1, 20), renewed]), "what is gone cannot be renewed");
    }
}
