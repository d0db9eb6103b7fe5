//! The logs of a group, of whichever kind (Raft paper, Figure 3). *Leader append-only*: a leader never
//! overwrites or deletes entries of its log. *Log matching*: if two logs contain an entry with the same index
//! and epoch (term, or view), they are identical up to it. By induction it is enough that every entry that
//! was ever seen has one content and one predecessor. And a snapshot takes nothing away that follows it: a
//! member that has acknowledged those entries may be needed for them (section 7: "if the follower receives a
//! snapshot that describes a prefix of its log, entries following the snapshot are still valid and must be
//! retained").

use std::collections::BTreeMap;

use onecopy_core::log::Log;
use onecopy_core::{Entry, EntryId, NodeId, Term};

use crate::trace::violated;

const CHECKER: &str = "logs";

/// What was seen of all logs of a group.
#[derive(Debug, Default)]
pub struct Logs {
    /// Every entry, and the one before it.
    entries: BTreeMap<EntryId, (Entry, EntryId)>,
    /// How far the log of each member has been looked at, and in which process.
    looked: BTreeMap<NodeId, (u64, EntryId)>,
    /// In which term of which process a member leads, and the last entry that it had then.
    leads: BTreeMap<NodeId, (u64, Term, EntryId)>,
}

impl Logs {
    /// Looks at the log of a member, after every turn of it. `process` tells apart the processes of a
    /// machine, and `leads` is its term if it is the leader.
    pub fn look(&mut self, me: NodeId, process: u64, leads: Option<Term>, log: &Log) {
        self.append_only(me, process, leads, log);
        let (in_process, looked) =
            self.looked.insert(me, (process, log.last())).unwrap_or((process, EntryId::ZERO));
        if looked != log.last() {
            // A process that dies may lose what was not durable.
            if in_process == process {
                self.retained(me, looked, log);
            }
            self.matching(me, looked, log);
        }
    }

    /// What followed the base is still there if nothing has come in its place. A leader that cuts a log
    /// appends in the same turn; a snapshot leaves nothing behind it.
    fn retained(&self, me: NodeId, looked: EntryId, log: &Log) {
        let base = log.base();
        // A copy without a snapshot has begun anew: it counts nowhere.
        if log.last() != base || base == EntryId::ZERO || looked.index <= base.index {
            return;
        }
        let mut id = looked;
        while id.index > base.index {
            let Some((_, before)) = self.entries.get(&id) else { return };
            id = *before;
        }
        if id == base {
            violated(CHECKER, format!("{me} gave up {looked}, which follows its snapshot at {base}"));
        }
    }

    /// A member has turned into one of the other kind: what followed the seal counts for nothing.
    pub fn turned(&mut self, me: NodeId) {
        self.looked.remove(&me);
        self.leads.remove(&me);
    }

    fn append_only(&mut self, me: NodeId, process: u64, leads: Option<Term>, log: &Log) {
        let Some(term) = leads else {
            self.leads.remove(&me);
            return;
        };
        if let Some((_, _, last)) = self.leads.insert(me, (process, term, log.last())).filter(|before| {
            let (same_process, same_term, last) = before;
            (*same_process, *same_term) == (process, term) && last.index >= log.base().index
        }) && !log.contains(last)
        {
            violated(CHECKER, format!("leader append-only: {me} leads {term} and has no {last} any more"));
        }
    }

    fn matching(&mut self, me: NodeId, looked: EntryId, log: &Log) {
        let mut index = log.last().index;
        while index > log.base().index {
            let (Some(entry), Some(epoch)) = (log.get(index), log.epoch_at(index.previous())) else { return };
            let before = EntryId { index: index.previous(), epoch };
            let (known, known_before) =
                self.entries.entry(entry.id).or_insert_with(|| (entry.clone(), before));
            if *known_before != before {
                violated(
                    CHECKER,
                    format!(
                        "log matching: {} follows {before} at {me}, and {known_before} elsewhere",
                        entry.id
                    ),
                );
            }
            if known != entry {
                violated(CHECKER, format!("log matching: {} has two contents, one at {me}", entry.id));
            }
            if before == looked {
                return;
            }
            index = index.previous();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::Timestamp;

    use super::*;
    use crate::checks::caught;

    fn log(epochs: &[u64]) -> Log {
        let mut log = Log::new(EntryId::ZERO);
        for (index, epoch) in (1..).zip(epochs) {
            let id = EntryId::new(index, *epoch);
            log.append(Entry { id, time: Timestamp(0), seed: 0, payload: Bytes::new() });
        }
        log
    }

    #[test]
    fn logs_that_differ_before_an_equal_entry_are_caught() {
        let mut logs = Logs::default();
        logs.look(NodeId(1), 1, None, &log(&[1, 1, 3]));
        logs.look(NodeId(2), 1, None, &log(&[1, 2]));
        assert_eq!(caught(|| logs.look(NodeId(2), 1, None, &log(&[1, 2, 3]))), Some(CHECKER));
    }

    #[test]
    fn a_snapshot_in_place_of_a_log_that_covers_it_is_caught() {
        let mut logs = Logs::default();
        logs.look(NodeId(1), 1, None, &log(&[1, 1, 3]));
        logs.look(NodeId(2), 1, None, &log(&[1, 2]));
        let snapshot = Log::new(EntryId::new(2, 1));
        logs.look(NodeId(2), 1, None, &snapshot);
        assert_eq!(caught(|| logs.look(NodeId(1), 1, None, &snapshot)), Some(CHECKER));
    }

    #[test]
    fn a_leader_that_cuts_its_log_is_caught() {
        let mut logs = Logs::default();
        let leads = Some(Term(2));
        logs.look(NodeId(1), 1, leads, &log(&[1, 2]));
        logs.look(NodeId(1), 1, leads, &log(&[1, 2, 2]));
        assert_eq!(caught(|| logs.look(NodeId(1), 1, leads, &log(&[1, 2]))), Some(CHECKER));
        logs.look(NodeId(1), 1, leads, &log(&[1, 2, 2]));
        logs.look(NodeId(1), 2, None, &log(&[1]));
    }
}
