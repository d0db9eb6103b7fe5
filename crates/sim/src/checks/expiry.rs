//! What is due goes away without anybody's help: when nobody asks for anything any more, a lease that has ended by the
//! clock of the primary has ended by an entry too (`docs/protocols.md`, determinism; Redis calls it active expiry). That no lease is read after its
//! end, or is gone before, is [`super::linearizable`]'s business.

use onecopy_core::{NodeId, Timestamp};

use crate::checks::ledger::Ledger;
use crate::client::Family;
use crate::trace::violated;

/// How long after the end of a lease its entry may be missing, in milliseconds: some heartbeats of the primary.
const GRACE: u64 = 1_000;

/// Looks at all leases; the wall clock of the primary shows `wall`.
pub fn check(ledger: &Ledger, keys: u64, primary: NodeId, wall: Timestamp) {
    let clock = ledger.time_at(ledger.len());
    for key in 0..keys {
        let state = ledger.state_at(Family::Lease, key, u64::MAX);
        if let Some(due) = state.due(Family::Lease)
            && due > clock
            && due.0 + GRACE <= wall.0
        {
            let name = Family::Lease.key(key);
            violated(
                "expiry",
                format!("{name} was due at {due}; at {primary} it is {wall}, and it is there"),
            );
        }
    }
}
