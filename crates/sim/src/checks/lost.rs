//! No acknowledged write is lost, and nothing that was refused is there. When nobody asks for anything any
//! more, the state of every member is read like a client would, and counted: at least what was acknowledged,
//! at most what was not refused. (The guarantee of `docs/guarantees.md`; the set test of Jepsen.)

use onecopy_core::{QueryContext, StateMachine};

use crate::checks::ledger::{End, Ledger};
use crate::client::Family;
use crate::message::Kind;
use crate::model::{answer, fits};
use crate::trace::violated;

const CHECKER: &str = "lost";

/// Looks at the state of one member, which reflects the whole ledger.
pub fn check(ledger: &Ledger, machine: &impl StateMachine, keys: u64) {
    if ledger.own.is_some() {
        // It has been compared with one that holds the ledger (`digests`, `twice`), and it understands
        // nothing of this.
        return;
    }
    let now = ledger.time_at(ledger.len());
    for family in Family::ALL {
        for key in 0..family.objects(keys) {
            let mut reply = Vec::new();
            machine.query(&QueryContext::at(now), &family.read().segment(key, 0, 0, false), &mut reply);
            let state = ledger.state_at(family, key, u64::MAX);
            let expected = answer(family.read(), (key, 0), state, now, ledger.value_bytes);
            if !reply.get(4..).is_some_and(|reply| fits(family.read(), reply, &expected)) {
                violated(CHECKER, format!("{} holds something else than the ledger", family.key(key)));
            }
            if matches!(family, Family::Counter | Family::Set) {
                count(ledger, family, key, state.first());
            }
        }
    }
}

fn count(ledger: &Ledger, family: Family, key: u64, count: i64) {
    let (mut acknowledged, mut possible) = (0, 0);
    let of_object = |action: crate::client::Action| action.family() == family && action.kind() == Kind::Write;
    for (_, op) in ledger.ops.iter().filter(|(_, op)| of_object(op.action) && op.key == key) {
        acknowledged += i64::from(op.end == End::Done);
        possible += i64::from(op.end != End::Refused);
    }
    if !(acknowledged..=possible).contains(&count) {
        let name = family.key(key);
        violated(
            CHECKER,
            format!("{name} is {count}, with {acknowledged} acknowledged and {possible} possible"),
        );
    }
}

#[cfg(test)]
mod tests {
    use onecopy_keyspace::Keyspace;

    use super::*;
    use crate::checks::caught;
    use crate::client::Action;

    #[test]
    fn an_acknowledged_write_that_is_not_there_is_caught() {
        let mut ledger = Ledger::default();
        let op = ledger.invoke(Action::Incr, 0, 1);
        ledger.ops[op].end = End::Unknown;
        check(&ledger, &Keyspace::new([1, 2]), 1);
        ledger.ops[op].end = End::Done;
        assert_eq!(caught(|| check(&ledger, &Keyspace::new([1, 2]), 1)), Some(CHECKER));
    }
}
