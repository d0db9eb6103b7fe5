//! A Raft group, that of the view service and those that hold data, keeps the five properties of the Raft
//! paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, Figure 3):
//! election safety, leader append-only, log matching, leader completeness, and state machine safety. The two
//! about logs are in [`super::logs`].

use std::collections::BTreeMap;

use onecopy_core::{Entry, EntryId, Index, NodeId, Term};
use onecopy_raft::Raft;

use crate::trace::violated;

pub(super) const CHECKER: &str = "raft";

/// What was seen of the group.
#[derive(Debug, Default)]
pub struct RaftChecks {
    leaders: BTreeMap<Term, NodeId>,
    /// What was executed at each index (in a group of data: known to be committed), what was the case after
    /// it (of the view service: the version of the table), and the term of the first member to do so.
    applied: BTreeMap<Index, (Entry, u64, Term)>,
}

impl RaftChecks {
    /// A member has become the leader. Its log must hold everything that any member has executed (leader
    /// completeness), and nobody else may have led in its term (election safety).
    pub fn elected(&mut self, me: NodeId, raft: &Raft) {
        self.leads(me, raft.term());
        let log = raft.log();
        // One that was elected late, in a term that is over, owes nothing to later terms.
        let owed = self.applied.values().rev().filter(|(_, _, term)| *term < raft.term());
        let missing =
            owed.map(|(entry, ..)| entry.id).find(|id| id.index > log.base().index && !log.contains(*id));
        if let Some(missing) = missing {
            violated(CHECKER, format!("leader completeness: {me} leads {} without {missing}", raft.term()));
        }
    }

    fn leads(&mut self, me: NodeId, term: Term) {
        let first = *self.leaders.entry(term).or_insert(me);
        if first != me {
            violated(CHECKER, format!("election safety: {first} and {me} lead in {term}"));
        }
    }

    /// Whether this member was the leader in this term.
    #[must_use]
    pub fn has_led(&self, me: NodeId, term: Term) -> bool {
        self.leaders.get(&term) == Some(&me)
    }

    /// A leader has raised its commit index: only an entry of its own term is committed by counting its
    /// copies, and the others by that (section 5.4.2; the history of Figure 8 would need a long chain of
    /// accidents to show).
    pub fn committed(&self, raft: &Raft) {
        let (commit, term) = (raft.commit(), raft.term());
        if raft.log().epoch_at(commit) != Some(term.into()) {
            violated(
                CHECKER,
                format!(
                    "own term by counting: {} commits {commit} of an older term in {term}",
                    raft.id().node
                ),
            );
        }
    }

    /// A member has executed an entry.
    pub fn applied(&mut self, entry: &Entry, after: u64, term: Term) {
        let (first, ..) = self.applied.entry(entry.id.index).or_insert_with(|| (entry.clone(), after, term));
        if first != entry {
            violated(
                CHECKER,
                format!("state machine safety: both {} and {} are executed", first.id, entry.id),
            );
        }
        let before = self.applied.range(..entry.id.index).next_back();
        if let Some((_, (before, ..))) = before.filter(|(_, (before, ..))| before.time > entry.time) {
            violated(CHECKER, format!("the time of {} is before that of {}", entry.id, before.id));
        }
        let (_, known, _) = &self.applied[&entry.id.index];
        if *known != after {
            violated(CHECKER, format!("state machine safety: two states after {}", entry.id));
        }
    }

    /// What was executed at these places counts for nothing.
    pub fn forget(&mut self, is_void: impl Fn(EntryId) -> bool) {
        self.applied.retain(|_, (entry, ..)| !is_void(entry.id));
    }

    /// A member has installed a snapshot.
    pub fn installed(&self, index: Index, after: u64) {
        if self.applied.get(&index).is_none_or(|(_, known, _)| *known != after) {
            violated(CHECKER, format!("state machine safety: a snapshot at {index} holds another state"));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::Timestamp;

    use super::*;
    use crate::checks::caught;

    #[test]
    fn two_leaders_in_one_term_are_caught() {
        let mut checks = RaftChecks::default();
        checks.leads(NodeId(1), Term(4));
        checks.leads(NodeId(2), Term(5));
        assert_eq!(caught(|| checks.leads(NodeId(2), Term(4))), Some(CHECKER));
    }

    #[test]
    fn two_entries_at_one_index_are_caught_and_so_is_a_snapshot_of_another_table() {
        let entry = |epoch| {
            let id = EntryId::new(1, epoch);
            Entry { id, time: Timestamp(0), seed: 0, payload: Bytes::new() }
        };
        let (mut checks, after) = (RaftChecks::default(), 7);
        checks.applied(&entry(1), after, Term(1));
        checks.applied(&entry(1), after, Term(2));
        checks.installed(Index(1), after);
        assert_eq!(caught(|| checks.applied(&entry(2), after, Term(2))), Some(CHECKER));
        assert_eq!(caught(|| checks.installed(Index(2), after)), Some(CHECKER), "nobody was there");
    }
}
