//! Damage in the memory of a replica: an object that is there although nobody ever put it there. Nobody asks
//! for it, so only a look at the state can find it (rule P10).

use onecopy_core::{ApplyContext, Index, QueryContext, StateMachine};

use crate::client::Action;
use crate::machine::{Kind, Machine};

/// The key of the object. The clients of a run use far fewer.
const KEY: u64 = 777;

/// Whether damage would be seen in the state alone: nobody is told that a key has changed.
#[must_use]
pub fn can_be_put(machine: &Machine) -> bool {
    !matches!(&machine.kind, Kind::Keyspace(machine) if machine.is_followed())
}

/// Damages a state. Nobody knows how to harm a machine of somebody's own, which stays as it is.
pub fn put(machine: &mut Machine) {
    let Kind::Keyspace(machine) = &mut machine.kind else { return };
    let context = ApplyContext::new(Index(0), machine.clock(), 0);
    machine.apply(&context, &Action::Set.segment(KEY, 0, 4, false), &mut Vec::new());
}

/// Whether a state is damaged.
#[must_use]
pub fn is_in(machine: &Machine) -> bool {
    let Kind::Keyspace(machine) = &machine.kind else { return false };
    let mut reply = Vec::new();
    machine.query(&QueryContext::at(machine.clock()), &Action::Get.segment(KEY, 0, 0, false), &mut reply);
    // A segment's reply after its length: nothing, or the value.
    !reply.ends_with(b"$-1\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scar_can_be_seen() {
        let mut machine = crate::subject::machine(None, [1, 2], onecopy_core::Rules::default());
        assert!(!is_in(&machine));
        assert!(can_be_put(&machine));
        put(&mut machine);
        assert!(is_in(&machine));
    }
}
