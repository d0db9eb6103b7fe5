//! The changes of a view. Each takes the view that there is and makes it the next one, or says why that
//! cannot be.

use onecopy_core::{BootNumber, Member, NodeId, Rule, Rules, View};

use crate::command::Rejection;

pub(crate) fn remove_member(view: &mut View, node: NodeId) -> Result<(), Rejection> {
    if node == view.primary {
        return Err(Rejection::NotAllowed("the primary is not removed, it is succeeded"));
    }
    if view.member(node).is_none() {
        return Err(Rejection::NotAllowed("only a member can be removed"));
    }
    view.members.retain(|member| member.node != node);
    Ok(())
}

pub(crate) fn promote(
    view: &mut View,
    primary: NodeId,
    boot: BootNumber,
    dropped: &[NodeId],
    rules: Rules,
) -> Result<(), Rejection> {
    // P4: only a member holds everything that was committed.
    if view.member(primary).is_none() {
        let learner = view.learner(primary).copied();
        match learner.filter(|_| !rules.hold(Rule::HeirsOnly)) {
            None => return Err(Rejection::NotAllowed("P4 heirs only: the next primary must be a member")),
            Some(learner) => {
                view.learners.retain(|other| *other != learner);
                view.members.push(learner);
            }
        }
    }
    if dropped.contains(&primary) {
        return Err(Rejection::NotAllowed("the next primary cannot be dropped"));
    }
    view.members.retain(|member| !dropped.contains(&member.node));
    view.primary = primary;
    view.boot = boot;
    Ok(())
}

pub(crate) fn add_learner(view: &mut View, learner: Member) -> Result<(), Rejection> {
    if view.member(learner.node).is_some() || view.learner(learner.node).is_some() {
        return Err(Rejection::NotAllowed("the node is in the view already"));
    }
    view.learners.push(learner);
    Ok(())
}

pub(crate) fn remove_learner(view: &mut View, node: NodeId) -> Result<(), Rejection> {
    if view.learner(node).is_none() {
        return Err(Rejection::NotAllowed("only a learner can be removed"));
    }
    view.learners.retain(|learner| learner.node != node);
    Ok(())
}

pub(crate) fn add_member(view: &mut View, learner: Member) -> Result<(), Rejection> {
    // P4 and P9: exactly the learner that was certified, in the same life.
    if !view.is_learner(&learner) {
        return Err(Rejection::NotAllowed("P4 heirs only: the new member must be a learner of the view"));
    }
    view.learners.retain(|other| *other != learner);
    view.members.push(learner);
    Ok(())
}

/// Not by the rules: an operator said so. Whoever is to go on may have been in no view for long, or in
/// another life: what it has is for the operator to judge, and that it has anything for the leader that
/// proposes this.
pub(crate) fn recover(
    view: &mut View,
    sole: Member,
    boot: BootNumber,
    is_registered: bool,
) -> Result<(), Rejection> {
    if !is_registered {
        return Err(Rejection::NotAllowed("nobody knows that node in that life"));
    }
    view.members = vec![sole];
    view.learners.retain(|learner| learner.node != sole.node);
    view.primary = sole.node;
    view.boot = boot;
    Ok(())
}
