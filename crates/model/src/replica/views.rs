//! The view service as an adversary: one reliable table, and every change that it allows, at any time.

use std::collections::BTreeSet;

use onecopy_core::{BootNumber, Member, NodeId, Rules, View, ViewNumber};
use onecopy_views::{Command, Reason, Table};

use super::node::{GROUP, Node};
use super::settings::Third;
use crate::shared::Shared;

/// The table, and what it was.
#[derive(Clone, Debug, Hash)]
pub struct Views {
    table: Table,
    /// All views, the current one last. Announcements may be late: any of them may still arrive.
    pub all: Vec<View>,
    /// The memberships that primaries have asked for (rule P5).
    asked: BTreeSet<(ViewNumber, Member)>,
}

impl Views {
    /// The first view: n1 is the primary, n2 a backup.
    pub fn found(nodes: &[Shared<Node>], third: Third, rules: Rules) -> Self {
        let members = if third == Third::Member { 3 } else { 2 };
        let create = Command::CreateGroup {
            group: GROUP,
            copies: members,
            members: nodes.iter().take(members as usize).map(|node| node.me).collect(),
            primary: nodes[0].me.node,
            boot: nodes[0].boot,
        };
        let mut table = Table::default();
        table.apply(&create, rules).expect("the first view is valid");
        if third == Third::Learner {
            let (expected, learner) = (ViewNumber(1), nodes[2].me);
            table
                .apply(&Command::AddLearner { group: GROUP, expected, learner }, rules)
                .expect("n3 is in no view");
        }
        let first = table.groups()[&GROUP].view.clone();
        Self { table, all: vec![first], asked: BTreeSet::new() }
    }

    /// The view that is in force.
    pub fn current(&self) -> &View {
        &self.table.groups()[&GROUP].view
    }

    /// The view with this number.
    pub fn get(&self, number: ViewNumber) -> Option<&View> {
        self.all.iter().find(|view| view.number == number)
    }

    /// Whether it is known that a primary has asked for this.
    pub fn is_asked(&self, view: ViewNumber, learner: Member) -> bool {
        self.asked.contains(&(view, learner))
    }

    /// A primary asks for a learner's membership. The question may arrive whenever, or never.
    pub fn ask(&mut self, view: ViewNumber, learner: Member) {
        self.asked.insert((view, learner));
    }

    /// Every change that anybody could propose now. The table refuses what is not legal.
    pub fn proposals(&self, nodes: &[Shared<Node>]) -> Vec<Command> {
        let view = self.current();
        let (group, expected) = (GROUP, view.number);
        let boot_of = |node: NodeId| {
            nodes.iter().find(|other| other.me.node == node).map_or(BootNumber(0), |node| node.boot)
        };
        let mut commands = Vec::new();
        for heir in view.replicas() {
            let others: Vec<NodeId> =
                view.members.iter().map(|member| member.node).filter(|node| *node != heir.node).collect();
            for dropped in subsets(&others) {
                commands.push(Command::PromoteMember {
                    group,
                    expected,
                    primary: heir.node,
                    boot: boot_of(heir.node),
                    dropped,
                    reason: Reason::Silent,
                });
            }
        }
        for backup in view.backups() {
            let reason = Reason::Silent;
            commands.push(Command::RemoveMember { group, expected, node: backup.node, reason });
        }
        for learner in &view.learners {
            let reason = Reason::Silent;
            commands.push(Command::RemoveLearner { group, expected, node: learner.node, reason });
            if self.is_asked(expected, *learner) {
                commands.push(Command::AddMember { group, expected, learner: *learner });
            }
        }
        let absent = nodes.iter().filter(|node| view.replicas().all(|replica| replica.node != node.me.node));
        for node in absent {
            commands.push(Command::AddLearner { group, expected, learner: node.me });
        }
        commands
    }

    /// Executes a change. Returns the view before, and `None` if the table refuses.
    pub fn change(&mut self, command: &Command, rules: Rules) -> Option<View> {
        let before = self.current().clone();
        self.table.apply(command, rules).ok()?;
        self.all.push(self.current().clone());
        Some(before)
    }
}

/// All choices among some nodes, nothing and all of them included.
fn subsets(nodes: &[NodeId]) -> Vec<Vec<NodeId>> {
    let chosen = |choice: &u32| {
        let is_in = |at: &usize| choice & (1 << at) != 0;
        (0..nodes.len()).filter(is_in).map(|at| nodes[at]).collect()
    };
    (0..1u32 << nodes.len()).map(|choice| chosen(&choice)).collect()
}
