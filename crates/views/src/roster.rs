//! Where the copies of a Raft group are to be.
//!
//! A Raft group decides by itself who leads it, and who belongs to it: no majority can be counted from
//! outside. What it cannot know is which nodes there are. So the view service says where the copies are to
//! be, in a *roster*; whoever leads the group brings its configuration there, by joint consensus (Raft paper,
//! section 6), and says so when that is committed. A failover needs no roster, and no view service.
//!
//! Nobody counts until the group itself has made it a voter. In particular, who is in a roster that is not
//! the first is no founder: it begins with nothing, and without a vote (rule `LearnBeforeVoting`).

use onecopy_core::{GroupId, Instant, Member, NodeId};
use serde::{Deserialize, Serialize};

use crate::command::{Command, Rejection};
use crate::database::Kind;
use crate::decide::PROPOSAL_PATIENCE;
use crate::monitor::{Monitor, REPLACED_AFTER};
use crate::placement;
use crate::table::{Group, Table};

/// Where the copies of a Raft group are to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Roster {
    /// Counts the rosters of the group. That of the founders has number 0.
    pub number: u64,
    /// The members to be, in order.
    pub members: Vec<Member>,
    /// Who may still belong to the group, although it is not to: the members of earlier rosters, back to the
    /// last one that was reached.
    pub leaving: Vec<Member>,
    /// Whether the group has said that these are its members, and no others.
    pub reached: bool,
}

impl Roster {
    /// That of the founders.
    #[must_use]
    pub(crate) fn of_founders(founders: &[Member]) -> Self {
        let mut members = founders.to_vec();
        members.sort_unstable();
        Self { number: 0, members, leaving: Vec::new(), reached: true }
    }

    /// Whether a node has a copy, or may still have one that counts.
    #[must_use]
    pub fn names(&self, node: NodeId) -> bool {
        self.members.iter().chain(&self.leaving).any(|member| member.node == node)
    }

    /// The next one.
    fn followed_by(&self, members: &[Member]) -> Self {
        let mut leaving = self.leaving.clone();
        leaving.extend(&self.members);
        leaving.retain(|member| !members.contains(member));
        leaving.sort_unstable();
        leaving.dedup();
        Self { number: self.number + 1, members: members.to_vec(), leaving, reached: false }
    }
}

impl Table {
    /// Where the copies of a Raft group are to be; `None` for groups of other kinds.
    #[must_use]
    pub fn roster(&self, group: GroupId) -> Option<Roster> {
        let founders = self.groups().get(&group).filter(|_| self.kind(group) == Kind::Raft)?;
        let kept = self.rosters.get(&group).cloned();
        Some(kept.unwrap_or_else(|| Roster::of_founders(&founders.view.members)))
    }

    /// Whether a node has a copy of a group, or may still have one that counts.
    pub(crate) fn is_held_by(&self, group: GroupId, known: &Group, node: NodeId) -> bool {
        match self.roster(group) {
            Some(roster) => roster.names(node),
            None => known.view.replicas().any(|replica| replica.node == node),
        }
    }

    /// Whether a node has a copy of any group, or may still have one that counts.
    #[must_use]
    pub fn is_used(&self, node: NodeId) -> bool {
        self.groups().iter().any(|(id, group)| self.is_held_by(*id, group, node))
    }

    pub(crate) fn change_roster(
        &mut self,
        group: GroupId,
        expected: u64,
        members: &[Member],
    ) -> Result<(), Rejection> {
        let roster = self.roster_of(group)?;
        if roster.number != expected {
            return Err(Rejection::RosterChanged { expected, current: roster.number });
        }
        let nodes: Vec<NodeId> = members.iter().map(|member| member.node).collect();
        // In order, so that each node is there once.
        if nodes.is_empty() || !nodes.is_sorted_by(|one, next| one < next) {
            return Err(Rejection::NotAllowed("a roster names one node or more, each once"));
        }
        if roster.members == members {
            return Err(Rejection::NoChange);
        }
        self.rosters.insert(group, roster.followed_by(members));
        Ok(())
    }

    pub(crate) fn reach_roster(&mut self, group: GroupId, number: u64) -> Result<(), Rejection> {
        let roster = self.roster_of(group)?;
        if roster.number != number {
            return Err(Rejection::RosterChanged { expected: number, current: roster.number });
        }
        if roster.reached {
            return Err(Rejection::NoChange);
        }
        self.rosters.insert(group, Roster { leaving: Vec::new(), reached: true, ..roster });
        Ok(())
    }

    fn roster_of(&self, group: GroupId) -> Result<Roster, Rejection> {
        match self.groups().contains_key(&group) {
            true => self.roster(group).ok_or(Rejection::NotAllowed("only Raft groups have rosters")),
            false => Err(Rejection::NoSuchGroup(group)),
        }
    }
}

impl Monitor {
    /// The leader of a Raft group says that its members are those of a roster. Whoever says it: what is
    /// committed stays so.
    pub fn reached(&mut self, now: Instant, table: &Table, group: GroupId, number: u64) -> Option<Command> {
        let roster = table.roster(group)?;
        if roster.number != number || roster.reached || self.is_roster_proposed(now, group, number) {
            return None;
        }
        self.rostering.insert(group, (number, now));
        Some(Command::RosterReached { group, number })
    }

    /// The next roster of a Raft group, if it needs one: for copies that are gone, or on nodes that are to be
    /// empty, and if there are to be more or fewer.
    pub(crate) fn decide_roster(
        &mut self,
        now: Instant,
        table: &Table,
        id: GroupId,
        group: &Group,
    ) -> Option<Command> {
        // There may be many groups, and nearly all are where they should be.
        let known = table.rosters.get(&id).map_or(&group.view.members, |roster| &roster.members);
        let is_full = known.len() == group.copies as usize;
        if is_full && known.iter().all(|member| self.is_sound(now, table, (id, *member))) {
            return None;
        }
        let roster = table.roster(id)?;
        if self.is_roster_proposed(now, id, roster.number) {
            return None;
        }
        let members = self.next_roster(now, table, (id, &roster), group.copies as usize);
        if members == roster.members {
            return None;
        }
        self.rostering.insert(id, (roster.number, now));
        Some(Command::ChangeRoster { group: id, expected: roster.number, members })
    }

    fn is_roster_proposed(&self, now: Instant, group: GroupId, number: u64) -> bool {
        self.rostering
            .get(&group)
            .is_some_and(|(proposed, at)| *proposed == number && now.since(*at) < PROPOSAL_PATIENCE)
    }

    /// As many copies as there should be. One that is gone, or is to go, stays if there is no place for
    /// another: it may come back, and it does no harm.
    fn next_roster(
        &self,
        now: Instant,
        table: &Table,
        (id, roster): (GroupId, &Roster),
        copies: usize,
    ) -> Vec<Member> {
        let (mut members, rest): (Vec<Member>, Vec<Member>) =
            roster.members.iter().partition(|member| self.is_sound(now, table, (id, **member)));
        while members.len() > copies {
            let nodes: Vec<NodeId> = members.iter().map(|member| member.node).collect();
            let Some(spare) = placement::spare(nodes.iter().copied(), &nodes, table) else { break };
            members.retain(|member| member.node != spare);
        }
        let kept = members.len();
        let fits = |node| !table.avoids(id, node) && !self.flapping.must_wait(now, node);
        while members.len() < copies {
            let taken: Vec<NodeId> = members.iter().map(|member| member.node).collect();
            let Some(next) = self.next_copy(now, table, &taken, fits) else { break };
            members.push(next);
        }
        for member in rest {
            let is_there = members.iter().any(|other| other.node == member.node);
            if members.len() < copies && !is_there {
                members.push(member);
            }
        }
        // An even number survives no more failures than one less.
        if members.len() < copies && members.len().is_multiple_of(2) && members.len() > kept.max(1) {
            members.pop();
        }
        members.sort_unstable();
        members
    }

    /// Whether a member is to stay where it is.
    fn is_sound(&self, now: Instant, table: &Table, (id, member): (GroupId, Member)) -> bool {
        let Member { node, incarnation } = member;
        let is_registered =
            table.nodes().get(&node).is_some_and(|registration| registration.incarnation == incarnation);
        // It holds up nobody, and copying everything elsewhere is dear: so it is given a while.
        let is_gone = self.silence(now, node) >= REPLACED_AFTER
            || self.disk_waits(node).is_some_and(|waiting| waiting >= REPLACED_AFTER);
        is_registered && !is_gone && !table.avoids(id, node)
    }
}
