//! What a member takes for durable is on its disk: whoever counts its copy relies on that. Looked at after
//! every turn, whether anybody counts it or not. (Raft paper, section 5: "updated on stable storage before
//! responding to RPCs"; rule P1.)

use std::collections::BTreeMap;

use onecopy_core::log::Log;
use onecopy_core::{EntryId, GroupId, Index, NodeId};

use crate::disk::Disk;
use crate::trace::violated;

const CHECKER: &str = "durable";

/// What was looked at.
#[derive(Debug, Default)]
pub struct Durable {
    /// The last entry that each member took for durable, and the process that did.
    looked: BTreeMap<(NodeId, GroupId), (u64, EntryId)>,
}

impl Durable {
    /// A member of a group, in a process, takes its log for durable through an index.
    pub fn look(
        &mut self,
        (me, process): (NodeId, u64),
        group: GroupId,
        (log, durable): (&Log, Index),
        disk: &Disk,
    ) {
        // What a snapshot covers is in the snapshot.
        let epoch = log.epoch_at(durable).filter(|_| durable > log.base().index);
        let Some(id) = epoch.map(|epoch| EntryId { index: durable, epoch }) else { return };
        if self.looked.insert((me, group), (process, id)) != Some((process, id)) && !disk.holds(group, id) {
            violated(
                CHECKER,
                format!("{me} takes {id} of {group} for durable, and its disk has no such entry"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{Entry, Ticket, Timestamp, Write};
    use onecopy_host::{Job, VIEW_GROUP};

    use super::*;
    use crate::checks::caught;

    #[test]
    fn what_was_not_written_is_not_durable() {
        let entry =
            |index| Entry { id: EntryId::new(index, 1), time: Timestamp(0), seed: 0, payload: Bytes::new() };
        let (mut log, mut disk, mut durable) = (Log::new(EntryId::ZERO), Disk::default(), Durable::default());
        log.append(entry(1));
        log.append(entry(2));
        let writes = vec![Write::Append { entries: vec![entry(1)], commit: Index(0) }];
        disk.submit(Job { group: VIEW_GROUP, ticket: Ticket::default(), writes });
        let mut look = |process, index, disk: &Disk| {
            caught(|| durable.look((NodeId(1), process), VIEW_GROUP, (&log, Index(index)), disk))
        };
        assert_eq!((look(1, 0, &disk), look(1, 1, &disk)), (None, Some(CHECKER)));
        disk.synced();
        assert_eq!((look(2, 1, &disk), look(2, 2, &disk)), (None, Some(CHECKER)));
    }
}
