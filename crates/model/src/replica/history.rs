//! What was promised to clients: everything acknowledged, in order, and the reads that wait. No node knows
//! it; the properties are about it.

use onecopy_core::{Entry, Index, Member, NodeId, Rule, Rules, View, ViewNumber};
use onecopy_replica::Standing;

use super::node::Node;
use crate::shared::Shared;
use crate::verdict::{Verdict, violated};

/// All replicas execute the same entries, each at the same index.
pub const AGREEMENT: &str = "entries agree";
/// What a primary commits, and everything acknowledged before, every member of its view holds durably (P1,
/// P4, P5, P6).
pub const EVERY_MEMBER: &str = "every member holds what is acknowledged";
/// A read sees everything that was acknowledged before it was asked.
pub const READS: &str = "reads are fresh";
/// View numbers grow by one; the primary is an heir; a new member was a learner that the primary had
/// certified (P4, P5).
pub const VIEW_TABLE: &str = "the view table keeps its word";
/// A view has one primary: the member and the process start that it names (P9, P11).
pub const ONE_PRIMARY: &str = "one primary per view";
/// What is said in a view is said after the promise of that view is durable (P3).
pub const PROMISE: &str = "promises are durable";
/// The cores' own assertions hold.
pub const ASSERTIONS: &str = "the cores' assertions hold";

/// What clients know.
#[derive(Clone, Debug, Default, Hash)]
pub struct History {
    /// What was executed at each index by whoever was the first: a primary, which acknowledges it. And in
    /// which view.
    pub executed: Vec<(Entry, ViewNumber)>,
    /// The reads that wait: their token, and how much had been acknowledged when they were asked.
    waiting: Vec<(u64, Index)>,
    /// How many reads were answered.
    pub answered: u8,
}

impl History {
    /// Everything up to here is acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Index {
        Index(self.executed.len() as u64)
    }

    /// A replica executes an entry.
    pub fn executes(&mut self, node: &Node, entry: &Entry, verdict: &mut Verdict) {
        let who = node.me.node;
        if entry.id.index != node.applied.next() {
            return violated(
                verdict,
                AGREEMENT,
                format!("{who} executes {} after {}", entry.id, node.applied),
            );
        }
        match self.executed.get(node.applied.0 as usize) {
            Some((known, _)) if known == entry => {}
            Some((known, _)) if known.id == entry.id => {
                let what = format!("{who} executes {}, with another content than it had elsewhere", entry.id);
                violated(verdict, AGREEMENT, what);
            }
            Some((known, _)) => {
                let what = format!("{who} executes {}, but {} is acknowledged there", entry.id, known.id);
                violated(verdict, AGREEMENT, what);
            }
            None => self.executed.push((entry.clone(), node.replica.view_number())),
        }
    }

    /// A primary has committed: every member of its view must hold durably what it has executed, and
    /// everything that was acknowledged in earlier views.
    pub fn committed(&self, nodes: &[Shared<Node>], primary: &Node, verdict: &mut Verdict) {
        let Some(view) = primary.replica.view() else { return };
        for member in &view.members {
            // A member that lost its disk since is another replica now (P9).
            let Some(node) = nodes.iter().find(|node| node.me == *member) else { continue };
            let mut owed = self.executed.iter().filter(|(entry, acknowledged)| {
                entry.id.index <= primary.applied || *acknowledged < view.number
            });
            if let Some((entry, _)) = owed.find(|(entry, _)| !node.disk.holds(entry)) {
                let what = format!(
                    "{} commits in {}, whose member {} does not hold {} on its disk",
                    primary.me.node, view.number, member.node, entry.id
                );
                violated(verdict, EVERY_MEMBER, what);
            }
        }
    }

    /// Somebody asks for a read.
    pub fn asks(&mut self, token: u64) {
        self.waiting.push((token, self.acknowledged()));
    }

    /// A read may be answered from the state of `node`.
    pub fn answers(&mut self, node: &Node, token: u64, verdict: &mut Verdict) {
        let floor = self.ends(token);
        self.answered += 1;
        if node.applied < floor {
            let what = format!(
                "{} answers a read from its state after {}, but {floor} had been acknowledged when it was asked",
                node.me.node, node.applied
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

/// A view follows another. `certified` says whether the primary had asked for the membership of whoever
/// joins.
pub fn follows(before: &View, after: &View, certified: impl Fn(&Member) -> bool, verdict: &mut Verdict) {
    let heir = after.member(after.primary).is_some_and(|primary| before.is_member(primary));
    let entitled =
        |member: &Member| before.is_member(member) || (before.is_learner(member) && certified(member));
    if after.number != before.number.next() || !after.valid() {
        violated(verdict, VIEW_TABLE, format!("{after} follows {before}"));
    } else if !heir {
        violated(verdict, VIEW_TABLE, format!("P4 heirs only: {after} follows {before}"));
    } else if let Some(stranger) = after.members.iter().find(|member| !entitled(member)) {
        violated(verdict, VIEW_TABLE, format!("P5: nobody certified {stranger:?}, a member of {after}"));
    }
}

/// A replica has entered a view.
pub fn enters(
    node: &Node,
    view: &View,
    standing: Standing,
    known: bool,
    rules: Rules,
    verdict: &mut Verdict,
) {
    let named = (view.primary, view.boot) == (node.me.node, node.boot) && view.is_member(&node.me);
    if !known {
        violated(verdict, VIEW_TABLE, format!("{} enters {view}, which was never made", node.me.node));
    }
    if standing == Standing::Primary && !named && rules.hold(Rule::NewLifeNewView) {
        violated(verdict, ONE_PRIMARY, format!("{:?} {} is the primary of {view}", node.me, node.boot));
    }
}

/// A message leaves that speaks for a view.
pub fn says(node: &Node, to: NodeId, view: u64, verdict: &mut Verdict) {
    if node.disk.promised() < view {
        let what = format!(
            "{} speaks to {to} in v{view}, but its disk has promised only v{}",
            node.me.node,
            node.disk.promised()
        );
        violated(verdict, PROMISE, what);
    }
}
