//! What was seen of the group: the five properties of the paper's Figure 3, and what clients may rely on.

use std::collections::BTreeMap;

use onecopy_core::{Entry, Index, NodeId, Term};
use onecopy_raft::{Raft, Role};

use super::node::Node;
use crate::shared::Shared;
use crate::verdict::{Verdict, violated};

/// At most one leader can be elected in a given term.
pub const ELECTION_SAFETY: &str = "election safety";
/// A leader never overwrites or deletes entries in its log; it only appends new entries.
pub const APPEND_ONLY: &str = "leader append-only";
/// If two logs contain an entry with the same index and term, then the logs are identical up through that
/// index.
pub const LOG_MATCHING: &str = "log matching";
/// An entry that is committed in a given term is present in the logs of the leaders of all higher terms.
pub const COMPLETENESS: &str = "leader completeness";
/// If a server has applied an entry at an index, no other server ever applies a different one there.
pub const STATE_MACHINE: &str = "state machine safety";
/// A read sees everything that was acknowledged before it was asked.
pub const READS: &str = "reads are fresh";
/// The core's own assertions hold.
pub const ASSERTIONS: &str = "the core's assertions hold";

/// What was seen.
#[derive(Clone, Debug, Default, Hash)]
pub struct History {
    leaders: BTreeMap<Term, NodeId>,
    /// What was executed at each index by whoever was the first, and that one's term.
    pub executed: Vec<(Entry, Term)>,
    /// The reads that wait: their token, and how much had been executed when they were asked.
    waiting: Vec<(u64, Index)>,
    /// How many reads were answered.
    pub answered: u8,
}

impl History {
    /// Everything up to here is committed.
    #[must_use]
    pub fn acknowledged(&self) -> Index {
        Index(self.executed.len() as u64)
    }

    /// Whether `node` leads a term in which no leader was seen yet.
    #[must_use]
    pub fn is_news(&self, raft: &Raft) -> bool {
        raft.role() == Role::Leader && self.leaders.get(&raft.term()) != Some(&raft.id().node)
    }

    /// A member leads.
    pub fn leads(&mut self, raft: &Raft, verdict: &mut Verdict) {
        let first = *self.leaders.entry(raft.term()).or_insert(raft.id().node);
        if first != raft.id().node {
            violated(
                verdict,
                ELECTION_SAFETY,
                format!("{first} and {} lead in {}", raft.id().node, raft.term()),
            );
        }
    }

    /// A member executes an entry.
    pub fn executes(&mut self, node: &Node, entry: &Entry, verdict: &mut Verdict) {
        let who = node.raft.id().node;
        if entry.id.index != node.applied.next() {
            let what = format!("{who} executes {} after {}", entry.id, node.applied);
            return violated(verdict, STATE_MACHINE, what);
        }
        match self.executed.get(node.applied.0 as usize) {
            Some((known, _)) if known == entry => {}
            Some((known, _)) => {
                let what = format!("{who} executes {}, where {} was executed", entry.id, known.id);
                violated(verdict, STATE_MACHINE, what);
            }
            None => self.executed.push((entry.clone(), node.raft.term())),
        }
    }

    /// Every leader holds what was committed in terms before its own.
    pub fn check_completeness(&self, nodes: &[Shared<Node>], verdict: &mut Verdict) {
        for raft in nodes.iter().map(|node| &node.raft).filter(|raft| raft.role() == Role::Leader) {
            let mut owed = self.executed.iter().filter(|(_, term)| *term < raft.term());
            if let Some((entry, term)) = owed.find(|(entry, _)| !raft.log().contains(entry.id)) {
                let (who, id) = (raft.id().node, entry.id);
                let what = format!("{who} leads {} without {id}, which was committed in {term}", raft.term());
                violated(verdict, COMPLETENESS, what);
            }
        }
    }

    /// Somebody asks for a read.
    pub fn asks(&mut self, token: u64) {
        self.waiting.push((token, self.acknowledged()));
    }

    /// A read may be answered from the state after `index`.
    pub fn answers(&mut self, who: NodeId, token: u64, index: Index, verdict: &mut Verdict) {
        let floor = self.ends(token);
        self.answered += 1;
        if index < floor {
            let what = format!(
                "{who} answers a read from its state after {index}, but {floor} had been acknowledged when it was asked"
            );
            violated(verdict, READS, what);
        }
    }

    /// A read is over.
    pub fn ends(&mut self, token: u64) -> Index {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == token);
        at.map_or(Index(0), |at| self.waiting.remove(at).1)
    }
}

/// A leader of the same process and term as before has only appended.
pub fn check_append_only(before: &Node, after: &Node, verdict: &mut Verdict) {
    let leads = |node: &Node| node.raft.role() == Role::Leader;
    let same_reign = before.raft.term() == after.raft.term() && before.starts == after.starts;
    let last = before.raft.log().last();
    if same_reign && leads(before) && leads(after) && !after.raft.log().contains(last) {
        violated(
            verdict,
            APPEND_ONLY,
            format!("{} led {}, and lost {last}", after.raft.id().node, after.raft.term()),
        );
    }
}

/// Two logs agree up to the last entry that both hold.
pub fn check_log_matching(one: &Node, other: &Node, verdict: &mut Verdict) {
    let entries = |node: &Node| node.raft.log().after(Index(0), usize::MAX);
    let (ours, theirs) = (entries(one), entries(other));
    let Some(shared) = ours.iter().zip(&theirs).rposition(|(our, their)| our.id == their.id) else { return };
    if let Some(at) = (0..=shared).find(|at| ours[*at] != theirs[*at]) {
        let what = format!(
            "the logs of {} and {} both hold {}, but differ in {}",
            one.raft.id().node,
            other.raft.id().node,
            ours[shared].id,
            ours[at].id
        );
        violated(verdict, LOG_MATCHING, what);
    }
}
