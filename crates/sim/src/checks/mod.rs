//! What must be true of the cluster as a whole: one property per file.
//!
//! | file | property | source |
//! | --- | --- | --- |
//! | [`ledger`] | one history: what is committed never changes, and is executed once | Raft paper, Figure 3, state machine safety; rule P10 |
//! | [`linearizable`] | every answer is that of one copy, in real-time order (witness: the log) | Herlihy and Wing, 1990 |
//! | [`search`] | the same, without looking into the cluster, on small histories | Wing and Gong, 1993; Lowe, 2017 |
//! | [`copies`] | P1: what a primary commits is durable at every member of its view | PacificA, 2008; rule P1 |
//! | [`promise`] | P3: what is said in a view is said under a durable promise of it | rule P3 |
//! | [`views`] | P4: views grow by one, heirs only, one primary per view (P2, P11) | rules P4, P5, P9, P11 |
//! | [`founding`] | one membership of the view service | `onecopy_views::Genesis` |
//! | [`raft`] | election safety, leader completeness, state machine safety | Raft paper, Figure 3 |
//! | [`liveness`] | after the faults, writes are served, redundancy is restored, copies are equal | rule P10, issue of every failover |

pub mod copies;
pub mod founding;
pub mod ledger;
pub mod linearizable;
pub mod liveness;
pub mod promise;
pub mod raft;
pub mod search;
pub mod views;

use onecopy_core::{Entry, EntryId, Index, NodeId, StateMachine};

use crate::client::{OpId, Reply};

/// Everything that the checks remember of a run.
#[derive(Debug, Default)]
pub struct Checks {
    /// The one history.
    pub ledger: ledger::Ledger,
    /// The views.
    pub views: views::Views,
    /// The founding of the view service.
    pub founding: founding::Founding,
    /// The view service's Raft group.
    pub raft: raft::RaftChecks,
    /// Answers on their way to clients.
    pub answers: Vec<(OpId, Reply)>,
    /// What primaries have committed since the last look.
    pub commits: Vec<(NodeId, EntryId)>,
    /// Who said something in which view since the last look.
    pub sends: Vec<(NodeId, u64)>,
}

impl Checks {
    /// A replica has executed an entry; `before` is what it had executed before.
    pub fn applied(&mut self, node: NodeId, before: Index, entry: &Entry, machine: &impl StateMachine) {
        self.ledger.applied(node, before, entry, machine);
    }

    /// A replica has installed a snapshot.
    pub fn installed(&mut self, node: NodeId, applied: Index, machine: &impl StateMachine) {
        self.ledger.same_state(node, applied, machine);
    }

    /// A process has died: what it did last needs no look any more.
    pub fn crashed(&mut self, node: NodeId) {
        self.commits.retain(|(of, _)| *of != node);
        self.sends.retain(|(of, _)| *of != node);
    }
}
