//! What the view service does because a replica asked for it was asked for in that very view; and whoever
//! hands over still wanted to when the view service heard of it last. What a replica still wants it says
//! again: what it does not say any more is over, however late it arrives. (`onecopy_core::Petition`; rule
//! P5.)

use std::collections::BTreeMap;

use onecopy_core::{EntryId, GroupId, Member, NodeId, Petition, Plea, ViewNumber};
use onecopy_views::{Command, Moment, Reason};

use crate::trace::violated;

const CHECKER: &str = "petitions";

/// What replicas have asked for.
#[derive(Debug, Default)]
pub struct Petitions {
    asked: BTreeMap<(GroupId, ViewNumber, Wish), (NodeId, Moment)>,
}

/// What a command can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    /// That this node goes.
    Leaves(NodeId),
    /// That this learner becomes a member.
    Joins(Member),
    /// That this member becomes the primary.
    Leads(NodeId),
    /// That this roster is reached.
    Reached(u64),
    /// That the copy of this node goes.
    Goes(NodeId),
    /// That this switch is over, after this entry.
    Switches(u64, EntryId),
}

impl Petitions {
    /// A replica asks for something, at this moment of its node's life.
    pub fn asked(&mut self, from: NodeId, moment: Moment, petition: &Petition) {
        let wish = match petition.plea {
            Plea::Suspect { node, .. } => Wish::Leaves(node),
            Plea::AddMember { learner } => Wish::Joins(learner),
            Plea::HandOver { to } => Wish::Leads(to),
            // Of whichever reign: what is committed stays so.
            Plea::RosterReached { number } => {
                let wish = Wish::Reached(number);
                self.asked.insert((petition.group, ViewNumber(0), wish), (from, moment));
                return;
            }
            Plea::HandedOn { .. } => Wish::Goes(from),
            Plea::Sealed { switch, seal, .. } => Wish::Switches(switch, seal),
        };
        self.asked.insert((petition.group, petition.view, wish), (from, moment));
    }

    /// The leader of the view service proposes a command, and has `heard` of each node until that moment.
    pub fn proposed(&self, command: &Command, heard: impl Fn(NodeId) -> Option<Moment>) {
        let (group, view, wishes) = match command {
            Command::AddMember { group, expected, learner } => (group, expected, vec![Wish::Joins(*learner)]),
            Command::Handover { group, expected, heir, .. } => (group, expected, vec![Wish::Leads(*heir)]),
            Command::RemoveMember { group, expected, node, reason }
            | Command::RemoveLearner { group, expected, node, reason }
                if matches!(reason, Reason::Suspected | Reason::Slow) =>
            {
                (group, expected, vec![Wish::Leaves(*node)])
            }
            Command::PromoteMember { group, expected, dropped, reason: Reason::Suspected, .. } => {
                (group, expected, dropped.iter().copied().map(Wish::Leaves).collect())
            }
            Command::LetCopyGo { group, expected, node, .. } => (group, expected, vec![Wish::Goes(*node)]),
            Command::CompleteSwitch { group, number, expected, seal, .. } => {
                (group, expected, vec![Wish::Switches(*number, *seal)])
            }
            Command::RosterReached { group, number } => (group, &ViewNumber(0), vec![Wish::Reached(*number)]),
            _ => return,
        };
        let asked = |wish: &Wish| self.asked.get(&(*group, *view, *wish));
        match wishes.iter().find_map(|wish| Some((wish, asked(wish)?))) {
            None => violated(CHECKER, format!("nobody in {view} asked for {command:?}")),
            Some((Wish::Leads(_), (from, moment))) if heard(*from).is_none_or(|last| last > *moment) => {
                violated(CHECKER, format!("{from} had given up {command:?} when it was heard last"));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onecopy_core::{BootNumber, Grounds, Incarnation};
    use onecopy_views::MAIN;

    use super::*;
    use crate::checks::caught;

    fn moment(pings: u64) -> Moment {
        Moment { boot: BootNumber(1), pings }
    }

    /// Node 1 has asked for this in view 4, after its seventh ping.
    fn after(plea: Plea) -> Petitions {
        let mut petitions = Petitions::default();
        petitions.asked(NodeId(1), moment(7), &Petition { group: MAIN, view: ViewNumber(4), plea });
        petitions
    }

    #[test]
    fn what_was_asked_for_in_another_view_is_caught() {
        let learner = Member { node: NodeId(2), incarnation: Incarnation(2) };
        let petitions = after(Plea::AddMember { learner });
        let adds = |view| Command::AddMember { group: MAIN, expected: ViewNumber(view), learner };
        let look = |view| caught(|| petitions.proposed(&adds(view), |_| None));
        assert_eq!((look(4), look(5)), (None, Some(CHECKER)));

        let grounds = Grounds::Silent(Duration::from_secs(1));
        let petitions = after(Plea::Suspect { node: NodeId(3), grounds });
        let removes = |view, reason| {
            let (expected, node) = (ViewNumber(view), NodeId(3));
            let command = Command::RemoveMember { group: MAIN, expected, node, reason };
            caught(|| petitions.proposed(&command, |_| None))
        };
        assert_eq!(removes(4, Reason::Suspected), None);
        assert_eq!(removes(5, Reason::Suspected), Some(CHECKER));
        assert_eq!(removes(5, Reason::Silent), None, "that rests on nobody's word");
    }

    #[test]
    fn a_handover_that_was_given_up_is_caught() {
        let petitions = after(Plea::HandOver { to: NodeId(2) });
        let (expected, heir, boot) = (ViewNumber(4), NodeId(2), BootNumber(1));
        let command = Command::Handover { group: MAIN, expected, heir, boot };
        let look = |heard| caught(|| petitions.proposed(&command, |_| Some(moment(heard))));
        assert_eq!((look(7), look(8)), (None, Some(CHECKER)));
    }
}
