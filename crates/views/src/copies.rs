//! The copies of optimistic databases: how they come, and how they go.
//!
//! Nobody leads, and every member takes requests by itself. So a copy cannot just be struck off: it may have
//! acknowledged what no other has. And a new one must not count before it has what the others have.
//!
//! ```text
//!  a new copy:   learner ──▶ it has what the members have, and says so ──▶ member
//!  one to go:    member  ──▶ leaving: it takes nothing more ──▶ all that stay have everything of it,
//!                            and it says so ──▶ gone, and with it its data
//! ```
//!
//! Who is to go is decided once there are enough members that stay. A copy that is silent is not replaced: it
//! may serve clients that nobody else sees. That it is gone for good is for an operator to say
//! ([`Command::GiveUpNode`]), and with it what only that copy had.

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{BootNumber, GroupId, Instant, Member, NodeId, View, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::change;
use crate::command::{Command, Reason, Rejection};
use crate::database::Kind;
use crate::monitor::{Monitor, REPLACED_AFTER};
use crate::placement;
use crate::table::{Group, Table};

/// What the table knows of the copies of an optimistic database, beside their view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Copies {
    /// The version of the table with which a copy was recruited, of those that were.
    since: BTreeMap<NodeId, u64>,
    /// Members that are to go.
    leaving: BTreeSet<NodeId>,
    /// How many copies have a write before it is answered, if somebody has said it.
    before_ok: Option<u32>,
}

impl Table {
    /// The number of the copy of a node: under it the copy names its updates. No two copies have the same,
    /// whenever and wherever they are, and a later one of a node has a higher (rule O5). It is the version of
    /// the table with which the life of the node was registered, or the copy recruited.
    #[must_use]
    pub fn copy_number(&self, group: GroupId, node: NodeId) -> Option<u64> {
        let since = self.copies.get(&group).and_then(|copies| copies.since.get(&node));
        self.life_since(node).map(|life| life.max(since.copied().unwrap_or(0)))
    }

    /// Whether a copy of an optimistic database is to go, and takes nothing more.
    #[must_use]
    pub fn is_leaving(&self, group: GroupId, node: NodeId) -> bool {
        self.copies.get(&group).is_some_and(|copies| copies.leaving.contains(&node))
    }

    /// How many copies of an optimistic database have a write before it is answered.
    #[must_use]
    pub fn copies_before_ok(&self, group: GroupId) -> u32 {
        self.copies.get(&group).and_then(|copies| copies.before_ok).unwrap_or(1)
    }

    pub(crate) fn set_copies_before_ok(&mut self, group: GroupId, copies: u32) -> Result<(), Rejection> {
        let known = self.groups.get(&group).ok_or(Rejection::NoSuchGroup(group))?;
        if self.kind(group) != Kind::Optimistic {
            return Err(Rejection::NotAllowed(
                "copies_before_ok is of optimistic databases: in others a write is answered when it cannot be lost",
            ));
        }
        if !(1..=known.copies).contains(&copies) {
            return Err(Rejection::NotAllowed(
                "copies_before_ok is at least 1, and at most the number of copies",
            ));
        }
        if self.copies_before_ok(group) == copies {
            return Err(Rejection::NoChange);
        }
        self.copies.entry(group).or_default().before_ok = Some(copies).filter(|copies| *copies > 1);
        Ok(())
    }

    /// A copy is to be filled.
    pub(crate) fn recruit_copy(
        &mut self,
        group: GroupId,
        expected: ViewNumber,
        learner: Member,
    ) -> Result<(), Rejection> {
        let number = self.version() + 1;
        self.install(group, expected, |view| change::add_learner(view, learner))?;
        self.copies.entry(group).or_default().since.insert(learner.node, number);
        Ok(())
    }

    /// A member is to go, or may stay after all.
    pub(crate) fn retire_copy(
        &mut self,
        group: GroupId,
        expected: ViewNumber,
        (node, leaves): (NodeId, bool),
    ) -> Result<(), Rejection> {
        self.must_be_optimistic(group)?;
        let known = self.copies.get(&group).cloned().unwrap_or_default();
        if known.leaving.contains(&node) == leaves {
            return Err(Rejection::NoChange);
        }
        let stays = |member: &&Member| member.node != node && !known.leaving.contains(&member.node);
        let members = self.groups.get(&group).map(|group| &group.view.members);
        let heir = members.and_then(|members| members.iter().find(stays).copied());
        let boot = heir.and_then(|heir| self.nodes().get(&heir.node)).map(|known| known.boot);
        self.install(group, expected, |view| {
            if view.member(node).is_none() {
                return Err(Rejection::NotAllowed("only a member can go, or stay"));
            }
            let heir = heir.zip(boot).ok_or(Rejection::NotAllowed("one copy stays in any case"));
            if leaves && view.primary == node {
                let (heir, boot) = heir?;
                (view.primary, view.boot) = (heir.node, boot);
            }
            Ok(())
        })?;
        let leaving = &mut self.copies.entry(group).or_default().leaving;
        if leaves {
            leaving.insert(node)
        } else {
            leaving.remove(&node)
        };
        Ok(())
    }

    /// A copy that is to go has said, in this start of its process, that all that stay have everything of it.
    /// A later start may have taken something again.
    pub(crate) fn let_copy_go(
        &mut self,
        group: GroupId,
        expected: ViewNumber,
        (node, boot): (NodeId, BootNumber),
    ) -> Result<(), Rejection> {
        if !self.is_leaving(group, node) {
            return Err(Rejection::NotAllowed("the copy is not to go"));
        }
        if self.nodes().get(&node).is_none_or(|known| known.boot != boot) {
            return Err(Rejection::NotAllowed("the node was started again meanwhile"));
        }
        self.install(group, expected, |view| change::remove_member(view, node))?;
        self.forget_copy(group, node);
        Ok(())
    }

    /// A node is gone for good, and so is what only its copies of optimistic databases had.
    pub(crate) fn give_up(&mut self, node: NodeId) -> Result<(), Rejection> {
        let mut table = self.clone();
        let of = |view: &View| view.replicas().any(|replica| replica.node == node);
        let held =
            table.groups.iter().filter(|(id, group)| table.kind(**id) == Kind::Optimistic && of(&group.view));
        let held: Vec<(GroupId, ViewNumber)> = held.map(|(id, group)| (*id, group.view.number)).collect();
        for (group, number) in held {
            let view = &table.groups[&group].view;
            if view.member(node).is_none() {
                table.install(group, number, |view| change::remove_learner(view, node))?;
            } else {
                let others = view.members.iter().filter(|member| member.node != node);
                // Those that are to go have data, too.
                let heir = others.min_by_key(|member| table.is_leaving(group, member.node)).copied();
                let heir = heir.ok_or(Rejection::NotAllowed(
                    "the node has the only copy of an optimistic database: drop that first",
                ))?;
                let boot = table.nodes().get(&heir.node).map_or(view.boot, |known| known.boot);
                table.install(group, number, |view| {
                    (view.primary, view.boot) = (heir.node, boot);
                    change::remove_member(view, node)
                })?;
                let is_last = !table.groups[&group]
                    .view
                    .members
                    .iter()
                    .any(|member| !table.is_leaving(group, member.node));
                if is_last {
                    table.copies.entry(group).or_default().leaving.remove(&heir.node);
                }
            }
            table.forget_copy(group, node);
        }
        table.forget(node)?;
        *self = table;
        Ok(())
    }

    /// A node has no copy any more. Its number is not given again: the next one is higher.
    pub(crate) fn forget_copy(&mut self, group: GroupId, node: NodeId) {
        if let Some(copies) = self.copies.get_mut(&group) {
            copies.since.remove(&node);
            copies.leaving.remove(&node);
            if *copies == Copies::default() {
                self.copies.remove(&group);
            }
        }
    }

    fn must_be_optimistic(&self, group: GroupId) -> Result<(), Rejection> {
        match self.kind(group) {
            Kind::Optimistic => Ok(()),
            _ => Err(Rejection::NotAllowed("only copies of optimistic databases come and go like that")),
        }
    }
}

impl Monitor {
    /// What is next for the copies of an optimistic database.
    pub(crate) fn decide_copies(
        &self,
        now: Instant,
        table: &Table,
        id: GroupId,
        group: &Group,
    ) -> Option<Command> {
        let (view, expected) = (&group.view, group.view.number);
        let (goes, copies) = (|node: NodeId| table.is_leaving(id, node), group.copies as usize);
        let stays = |member: &&Member| !goes(member.node) && !table.avoids(id, member.node);
        let staying: Vec<NodeId> = view.members.iter().filter(stays).map(|member| member.node).collect();
        let enough = staying.len() >= copies;
        let failed = |learner: &Member| {
            let reason = self.learner_ailment(now, table, id, learner);
            Some((learner.node, reason.or(enough.then_some(Reason::Surplus))?))
        };
        if let Some((node, reason)) = view.learners.iter().find_map(failed) {
            return Some(Command::RemoveLearner { group: id, expected, node, reason });
        }
        // One that was to go is better than one that has nothing yet, and than one that does not answer.
        let silent = |node: &&NodeId| self.silence(now, **node) >= REPLACED_AFTER;
        let is_silent = staying.iter().any(|node| silent(&node));
        let returns =
            |member: &&Member| goes(member.node) && !table.avoids(id, member.node) && !silent(&&member.node);
        if let Some(member) = view.members.iter().find(returns).filter(|_| !enough || is_silent) {
            return Some(Command::KeepCopy { group: id, expected, node: member.node });
        }
        if !enough {
            let taken: Vec<NodeId> = view.replicas().map(|replica| replica.node).collect();
            let fits = |node| !table.avoids(id, node) && !self.flapping.must_wait(now, node);
            let learner = view.learners.is_empty().then(|| self.next_copy(now, table, &taken, fits))??;
            return Some(Command::AddLearner { group: id, expected, learner });
        }
        let avoided = view.members.iter().map(|member| member.node);
        let avoided = avoided.filter(|node| table.avoids(id, *node)).find(|node| !goes(*node));
        let (node, reason) = match avoided {
            Some(node) => (node, Reason::Drained),
            None if staying.len() > copies && !is_silent => {
                (placement::spare(staying.iter().copied(), &staying, table)?, Reason::Surplus)
            }
            None => return None,
        };
        Some(Command::RetireCopy { group: id, expected, node, reason })
    }

    /// What is wrong with a copy that is being filled.
    fn learner_ailment(&self, now: Instant, table: &Table, id: GroupId, learner: &Member) -> Option<Reason> {
        let Member { node, incarnation } = *learner;
        match table.nodes().get(&node) {
            Some(known) if known.incarnation == incarnation => {}
            _ => return Some(Reason::LostItsData),
        }
        if table.avoids(id, node) {
            return Some(Reason::Drained);
        }
        (self.silence(now, node) >= REPLACED_AFTER).then_some(Reason::Silent)
    }

    /// A copy says that it has what the members have.
    pub(crate) fn filled(
        &mut self,
        now: Instant,
        table: &Table,
        from: NodeId,
        (id, view): (GroupId, ViewNumber),
        learner: Member,
    ) -> Option<Command> {
        let current = &table.groups().get(&id)?.view;
        let is_news = current.number == view && !self.is_proposed(now, id, view);
        if !is_news || learner.node != from || !current.is_learner(&learner) {
            return None;
        }
        self.proposed.insert(id, (view, now));
        Some(Command::AddMember { group: id, expected: view, learner })
    }

    /// A copy that is to go says that all that stay have everything of it.
    pub fn handed_on(
        &mut self,
        now: Instant,
        table: &Table,
        from: NodeId,
        (id, view): (GroupId, ViewNumber),
        boot: BootNumber,
    ) -> Option<Command> {
        let current = &table.groups().get(&id)?.view;
        if current.number != view || !table.is_leaving(id, from) || self.is_proposed(now, id, view) {
            return None;
        }
        self.proposed.insert(id, (view, now));
        Some(Command::LetCopyGo { group: id, expected: view, node: from, boot })
    }
}
