//! Who the view nodes are, and how that changes while they serve (Raft paper, section 6; thesis, chapter 4).
//!
//! Raft makes the change, by joint consensus; here it is decided which. Nothing is remembered for that but
//! the configuration itself, so that a new leader goes on where the one before was: a learner that has caught
//! up is promoted, and takes the place of an earlier life of its node; one that falls silent is dropped.
//! Operators begin a change by adding learners, or by removing members.
//!
//! # A view node that lost its disk is replaced without being asked for
//!
//! Its node says hello under a new life, while the member that it was is silent. No safety rests on the old
//! life being gone: the new one is another member, which begins without a vote and with nothing, and the
//! change takes a majority of the old voters and one of the new like any other. If the old life was alive
//! after all (somebody started a node twice), it is a server that was removed. What is at stake is that
//! nothing changes without need, and for that both the silence and the hellos must have lasted for a while,
//! and more than half of the voters to be must be heard.

use std::time::Duration;

use onecopy_core::{Instant, Member, NodeId};
use onecopy_raft::{Change, Configuration, Input, Raft, Role};

use super::{ViewEffect, ViewObserver, ViewService};
use crate::disk::Out;
use crate::message::MemberChange;

/// After how much silence a member may be replaced by another life of its node, and a learner is dropped; and
/// for how long that other life must have been heard.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an operator waits for.
#[derive(Debug)]
pub(super) struct Request {
    /// Whose operator, and which of its requests.
    asker: (NodeId, u64),
    /// These are to vote.
    coming: Vec<Member>,
    /// These are to be gone.
    leaving: Vec<Member>,
}

impl ViewService {
    /// This node, in this life.
    pub(super) fn me(&self) -> Member {
        Member { node: self.settings.node, incarnation: self.settings.incarnation }
    }

    /// Whether it is a member of the Raft group, with or without a vote, as far as it knows.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.raft.as_ref().is_some_and(|raft| {
            let configuration = raft.configuration();
            configuration.is_voter(self.me()) || configuration.learners.contains(&self.me())
        })
    }

    /// An operator at node `from`, which tells its requests apart by number, wants other view nodes. The
    /// leader answers with [`ViewEffect::Operated`] when the change is done, or why it is not made; nobody
    /// else does, and a leader that fails does not either. One change at a time.
    pub fn change_members(
        &mut self,
        now: Instant,
        (from, request): (NodeId, u64),
        change: &MemberChange,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        // A repetition is answered with the first one.
        let asker = (from, request);
        if !self.leads() || self.request.as_ref().is_some_and(|pending| pending.asker == asker) {
            return;
        }
        if let Some((_, outcome)) = self.answered.clone().filter(|(answered, _)| *answered == asker) {
            return out.effects.push(ViewEffect::Operated { to: from, request, outcome });
        }
        let begun = self.plan(now, change).and_then(|(parts, asked)| {
            self.change(now, parts, observer, out)?;
            Ok(asked)
        });
        match begun {
            Ok((coming, leaving)) => {
                self.request = Some(Request { asker, coming, leaving });
                self.answer_request(out);
            }
            Err(reason) => out.effects.push(ViewEffect::Operated { to: from, request, outcome: Err(reason) }),
        }
    }

    /// What to ask of Raft, and who will come and go.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn plan(
        &self,
        now: Instant,
        change: &MemberChange,
    ) -> Result<(Vec<Change>, (Vec<Member>, Vec<Member>)), String> {
        let Some(raft) = &self.raft else { return Err("this view node has not started".to_owned()) };
        if self.request.is_some() {
            return Err("another change of the view nodes is under way".to_owned());
        }
        let members = raft.configuration().members();
        match change {
            MemberChange::Add(nodes) => {
                let applicant = |node: &NodeId| {
                    let waits = self.applicants.waits(now, *node, Duration::ZERO);
                    match waits.filter(|member| !members.contains(member)) {
                        Some(member) => Ok(member),
                        None if members.iter().any(|member| member.node == *node) => {
                            Err(format!("{node} is a view node already"))
                        }
                        None => Err(format!(
                            "{node} does not ask to be a view node: start it with the role \"view\" first, and \
                             with the view nodes of this cluster in its settings"
                        )),
                    }
                };
                let coming: Vec<Member> = nodes.iter().map(applicant).collect::<Result<_, _>>()?;
                Ok((coming.iter().copied().map(Change::AddLearner).collect(), (coming, Vec::new())))
            }
            MemberChange::Remove(nodes) => {
                if let Some(node) =
                    nodes.iter().find(|node| !members.iter().any(|other| other.node == **node))
                {
                    return Err(format!("{node} is no view node"));
                }
                let leaving: Vec<Member> =
                    members.into_iter().filter(|member| nodes.contains(&member.node)).collect();
                let parts: Vec<Change> = leaving.iter().copied().map(Change::Remove).collect();
                if !self.would_work(now, raft, &parts) {
                    return Err("most of the view nodes that would be left are not heard".to_owned());
                }
                Ok((parts, (Vec::new(), leaving)))
            }
        }
    }

    /// Has Raft begin a change.
    fn change(
        &mut self,
        now: Instant,
        changes: Vec<Change>,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) -> Result<(), String> {
        self.refusal = None;
        self.step(now, Input::Change { changes }, observer, out);
        match self.refusal.take() {
            Some(reason) => Err(reason.to_string()),
            None => Ok(()),
        }
    }

    /// Tells an operator that what it waits for is done, or will not be. A leader that is one no more cannot
    /// know, unless it stepped down because the change was without itself.
    pub(super) fn answer_request(&mut self, out: &mut Out<ViewEffect>) {
        let (Some(raft), Some(request)) = (&self.raft, &self.request) else { return };
        let configuration = raft.configuration();
        let outcome = if !is_settled(raft) {
            None
        } else if let Some(lost) =
            request.coming.iter().find(|member| !configuration.members().contains(member))
        {
            Some(Err(format!("{} fell silent before it had caught up, and was dropped", lost.node)))
        } else {
            let came = request.coming.iter().all(|member| configuration.voters.contains(member));
            let left = request.leaving.iter().all(|member| !configuration.members().contains(member));
            (came && left).then_some(Ok(()))
        };
        let leads = raft.role() == Role::Leader;
        match outcome {
            Some(outcome) => {
                let (to, request) = request.asker;
                self.answered = Some(((to, request), outcome.clone()));
                self.request = None;
                out.effects.push(ViewEffect::Operated { to, request, outcome });
            }
            None if !leads => self.request = None,
            None => {}
        }
    }

    /// The leader goes on with what has been begun, and begins what needs no operator.
    pub(super) fn tend_members(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let Some(raft) = self.raft.as_ref().filter(|raft| is_settled(raft) && raft.transfer().is_none())
        else {
            return;
        };
        let nodes = raft.configuration().members().iter().map(|member| member.node).collect();
        let changes = self.next_change(now, raft);
        if let Some(command) = self.monitor.decide_view_nodes(now, &self.table, &nodes) {
            self.propose(now, command, observer, out);
        }
        if let Some(changes) = changes {
            // A learner that has not caught up is refused, and tried again at the next look.
            let _ = self.change(now, changes, observer, out);
        }
    }

    fn next_change(&self, now: Instant, raft: &Raft) -> Option<Vec<Change>> {
        let configuration = raft.configuration();
        let is_silent = |member: &&Member| silence(now, raft, **member) >= PATIENCE;
        let silent: Vec<Change> =
            configuration.learners.iter().filter(is_silent).copied().map(Change::Remove).collect();
        if !silent.is_empty() {
            return Some(silent);
        }
        if !configuration.learners.is_empty() {
            let changes = promotion(configuration);
            return self.would_work(now, raft, &changes).then_some(changes);
        }
        let silent = configuration.voters.iter().filter(|member| **member != raft.id()).filter(is_silent);
        let mut reborn = silent.filter_map(|member| {
            let waits = self.applicants.waits(now, member.node, PATIENCE)?;
            (waits != *member).then_some(waits)
        });
        Some(vec![Change::AddLearner(reborn.next()?)])
    }

    /// Whether a majority of those who would vote after these changes is heard.
    fn would_work(&self, now: Instant, raft: &Raft, changes: &[Change]) -> bool {
        let mut voters = raft.configuration().voters.clone();
        for change in changes {
            match change {
                Change::Promote(member) => drop(voters.insert(*member)),
                Change::Remove(member) => drop(voters.remove(member)),
                Change::AddLearner(_) => {}
            }
        }
        let is_heard = |member: &&Member| {
            **member == raft.id() || silence(now, raft, **member) < 2 * self.settings.election_timeout
        };
        // Raft says better what is wrong with a configuration without voters.
        voters.is_empty() || voters.iter().filter(is_heard).count() * 2 > voters.len()
    }

    /// This node is about to stop: if it leads, somebody else is to lead before. Returns whether it is worth
    /// waiting for.
    pub fn hand_over(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) -> bool {
        let Some(raft) = self.raft.as_ref().filter(|raft| raft.role() == Role::Leader) else { return false };
        let voters = raft.followers().into_iter().filter(|follower| {
            let is_heard = now.since(follower.heard) < self.settings.election_timeout;
            is_heard && raft.configuration().voters.contains(&follower.member)
        });
        let Some(heir) = voters.max_by_key(|follower| follower.matched) else { return false };
        self.step(now, Input::Transfer { to: heir.member }, observer, out);
        true
    }
}

/// Whether no change is under way.
fn is_settled(raft: &Raft) -> bool {
    raft.is_configuration_committed() && !raft.configuration().is_joint()
}

/// All learners get a vote, and take it from the earlier lives of their nodes: a node never votes in two
/// lives.
fn promotion(configuration: &Configuration) -> Vec<Change> {
    let Configuration { voters, learners, .. } = configuration;
    let earlier = voters.iter().filter(|voter| learners.iter().any(|learner| learner.node == voter.node));
    let promoted = learners.iter().copied().map(Change::Promote);
    promoted.chain(earlier.copied().map(Change::Remove)).collect()
}

/// For how long the leader has not heard a member.
fn silence(now: Instant, raft: &Raft, member: Member) -> Duration {
    let follower = raft.followers().into_iter().find(|follower| follower.member == member);
    follower.map_or(Duration::MAX, |follower| now.since(follower.heard))
}
