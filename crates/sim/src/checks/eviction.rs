//! What goes to make room: only where an entry says that something may, the same at every copy, and what is
//! there is the last that was written. The first copy that executes an entry says what has gone, and every
//! other must say the same. So a copy that lets go of something by itself is found out at once, and a read
//! that finds nothing where nothing has gone is not linearizable. No copy is damaged in these runs
//! ([`Profile::limit_memory`](crate::profile::Profile::limit_memory)): what it holds beside the others would
//! count as memory, and decide what goes.

use onecopy_core::{Entry, NodeId, QueryContext, StateMachine, payload};

use crate::checks::ledger::Ledger;
use crate::client::{Action, CACHED_BYTES, Family};
use crate::model::{NIL, State, answer};
use crate::trace::violated;

const CHECKER: &str = "eviction";

/// What one command adds at most, and what an entry without commands finds to let go of at once.
const EXCESS: u64 = 2 * CACHED_BYTES as u64;

/// A copy has executed an entry: the first one, if `is_news`.
pub fn check(ledger: &mut Ledger, node: NodeId, entry: &Entry, is_news: bool, machine: &impl StateMachine) {
    let Ok((header, _)) = payload::decode(&entry.payload) else { return };
    if !header.policy.evicts() {
        return;
    }
    let index = entry.id.index.0;
    let mut held = 0;
    for key in ledger.keys_of(Family::Cache) {
        let mut reply = Vec::new();
        let read = Action::Recall.segment(key, 0, 0, false);
        machine.query(&QueryContext::at(entry.time), &read, &mut reply);
        let reply = reply.get(4..).unwrap_or_default();
        let state = ledger.state_at(Family::Cache, key, index);
        let expected = answer(Action::Recall, (key, 0), state, entry.time, 0);
        held += u64::from(reply != NIL);
        if reply == expected {
            continue;
        }
        if reply == NIL && is_news && header.memory_max > 0 {
            ledger.gone(Family::Cache, key, index);
            continue;
        }
        let found = if reply == NIL { "nothing" } else { "something" };
        violated(CHECKER, format!("{node} holds {found} under cache{key} after {}, others do not", entry.id));
    }
    if held > 1 && header.memory_max > 0 && machine.memory() > header.memory_max + EXCESS {
        violated(CHECKER, format!("{node} holds {} bytes, of {}", machine.memory(), header.memory_max));
    }
}

impl Ledger {
    /// Something has gone to make room, in the entry at `index`, and was not written again there.
    fn gone(&mut self, family: Family, key: u64, index: u64) {
        self.evicted += 1;
        self.put_version(family, key, (index, State::default()));
    }
}
