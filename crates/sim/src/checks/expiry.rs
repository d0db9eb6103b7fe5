//! What is due goes away without anybody's help: when nobody asks for anything any more, a lease that has
//! ended by the true time has ended by an entry too (`docs/protocols.md`, determinism; Redis calls it active
//! expiry). That no lease is read after its end, or is gone before, is [`super::linearizable`]'s business.

use onecopy_core::Timestamp;

use crate::checks::ledger::Ledger;
use crate::client::Family;
use crate::clock::{SECOND, Time};
use crate::trace::violated;

/// How long after the end of a lease its entry may be missing, in milliseconds: some heartbeats of the
/// primary, and what its clock may be behind.
const GRACE: u64 = 2_500;
/// The same where clocks were so wrong that a wrong one may have been believed: as long as it takes to
/// believe another one.
const LONG_GRACE: u64 = 13_000;
/// For how long a process that has just been started may not believe a clock that is right.
pub const MISTRUST: Time = 11 * SECOND;

/// Looks at all leases.
pub fn check(ledger: &Ledger, keys: u64, truth: Timestamp, was_misled: bool) {
    let grace = if was_misled { LONG_GRACE } else { GRACE };
    let clock = ledger.time_at(ledger.len());
    for key in 0..keys {
        let state = ledger.state_at(Family::Lease, key, u64::MAX);
        if let Some(due) = state.due(Family::Lease)
            && due > clock
            && due.0 + grace <= truth.0
        {
            let name = Family::Lease.key(key);
            violated("expiry", format!("{name} was due at {due}; it is {truth}, and it is there"));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{BatchId, Entry, EntryId, Incarnation, Index, NodeId, payload};

    use super::*;
    use crate::checks::caught;
    use crate::client::Action;

    #[test]
    fn a_lease_that_never_ends_is_caught() {
        let mut ledger = Ledger::default();
        let op = ledger.invoke(Action::Lease { ms: 50 }, 0, 0);
        let id = BatchId { coordinator: Incarnation(1), sequence: 1 };
        ledger.batch(id.coordinator, id.sequence, &[op]);
        let mut builder = payload::Builder::new(payload::Header::default());
        builder.push(&payload::Batch {
            id,
            done_below: 0,
            part: None,
            heard: Vec::new(),
            body: Bytes::new(),
        });
        let mut entry =
            Entry { id: EntryId::new(1, 1), time: Timestamp(100), seed: 0, payload: builder.finish() };
        ledger.applied(NodeId(1), Index(0), &entry);
        let look = |ledger: &Ledger, truth| caught(|| check(ledger, 1, Timestamp(truth), false));
        assert_eq!(look(&ledger, 150 + GRACE - 1), None);
        assert_eq!(look(&ledger, 150 + GRACE), Some("expiry"));
        (entry.id, entry.time, entry.payload) = (EntryId::new(2, 1), Timestamp(150), Bytes::new());
        ledger.applied(NodeId(1), Index(1), &entry);
        assert_eq!(look(&ledger, 150 + GRACE), None);
    }
}
