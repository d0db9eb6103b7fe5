//! The view table: numbers grow by one, and only heirs inherit (rules P4, P5, P9); in each view at most one
//! replica, in one process, is the primary (rules P2, P11).

use std::collections::BTreeMap;

use onecopy_core::{BootNumber, GroupId, Incarnation, Member, NodeId, View};
use onecopy_replica::Standing;
use onecopy_views::{Command, Table};

use crate::trace::violated;

const CHECKER: &str = "views";

/// Every view that a group ever had.
#[derive(Debug)]
pub struct Views {
    group: GroupId,
    views: BTreeMap<u64, View>,
    primaries: BTreeMap<u64, (Member, BootNumber)>,
}

impl Views {
    /// Those of a group that had none yet.
    #[must_use]
    pub fn of(group: GroupId) -> Self {
        Self { group, views: BTreeMap::new(), primaries: BTreeMap::new() }
    }

    /// The newest view.
    #[must_use]
    pub fn newest(&self) -> Option<&View> {
        self.views.values().next_back()
    }

    /// How often the view was changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.views.len() as u64
    }

    /// A view node has executed a command.
    pub fn learnt(&mut self, table: &Table) {
        if let Some(group) = table.groups().get(&self.group) {
            let switched = table.switched(self.group);
            let is_first = switched.is_some_and(|switched| switched.view == group.view);
            self.follows(&group.view, is_first);
        }
    }

    /// The first view after a switch follows the reigns of a Raft group, if there were any.
    fn follows(&mut self, view: &View, is_first: bool) {
        let newest = self.newest().map_or(0, |newest| newest.number.0);
        match self.views.get(&view.number.0) {
            Some(known) if known == view => return,
            Some(known) => violated(CHECKER, format!("two views with one number: {known:?} and {view:?}")),
            None => {}
        }
        if view.number.0 != newest + 1 && !(is_first && view.number.0 > newest) {
            violated(CHECKER, format!("{view} follows v{newest}"));
        }
        if let Some(before) = self.newest().filter(|_| !is_first) {
            heirs_only(before, view);
        }
        self.views.insert(view.number.0, view.clone());
    }

    /// The leader of the view service proposes a command, and has `heard` of these lives. It must not drop
    /// the last member that has not lost its data.
    pub fn proposed(&self, command: &Command, heard: impl Fn(NodeId) -> Option<Incarnation>) {
        let (expected, dropped) = match command {
            Command::RemoveMember { expected, node, .. } => (expected, vec![*node]),
            Command::PromoteMember { expected, dropped, .. } => (expected, dropped.clone()),
            _ => return,
        };
        if command.group() != Some(self.group) {
            return;
        }
        let Some(view) = self.views.get(&expected.0) else { return };
        let has_data = |member: &&Member| heard(member.node).is_none_or(|life| life == member.incarnation);
        let left = view.members.iter().filter(|member| !dropped.contains(&member.node)).any(|m| has_data(&m));
        if !left && view.members.iter().any(|member| has_data(&member)) {
            violated(CHECKER, format!("{command:?} drops the last copy of {view:?}"));
        }
    }

    /// A replica has entered a view.
    pub fn entered(&mut self, (me, boot): (Member, BootNumber), view: &View, standing: Standing) {
        if self.views.get(&view.number.0) != Some(view) {
            violated(CHECKER, format!("{me:?} enters {view}, which the view service never made"));
        }
        if standing == Standing::Primary {
            let first = *self.primaries.entry(view.number.0).or_insert((me, boot));
            if first != (me, boot) {
                violated(
                    CHECKER,
                    format!(
                        "P11: {me:?} {boot} is the primary of {}, after {:?} {} was",
                        view.number, first.0, first.1
                    ),
                );
            }
        }
    }
}

fn heirs_only(before: &View, after: &View) {
    let primary = after.member(after.primary);
    if !primary.is_some_and(|primary| before.is_member(primary)) {
        violated(CHECKER, format!("P4 heirs only: {after:?} follows {before:?}"));
    }
    let stranger =
        after.members.iter().find(|member| !before.is_member(member) && !before.is_learner(member));
    if let Some(stranger) = stranger {
        violated(
            CHECKER,
            format!("P4: {stranger:?} is a member of {}, but was not even a learner", after.number),
        );
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::ViewNumber;
    use onecopy_views::{MAIN, Reason};

    use super::*;
    use crate::checks::caught;

    fn member(node: u32) -> Member {
        Member { node: NodeId(node), incarnation: Incarnation(u128::from(node)) }
    }

    fn view(number: u64, members: &[u32]) -> View {
        let members: Vec<Member> = members.iter().map(|node| member(*node)).collect();
        let primary = members[0].node;
        View { number: ViewNumber(number), primary, boot: BootNumber(1), members, learners: Vec::new() }
    }

    fn seen(views: &[View]) -> Views {
        let mut seen = Views::of(MAIN);
        views.iter().for_each(|view| seen.follows(view, false));
        seen
    }

    #[test]
    fn gaps_and_second_views_of_one_number_are_caught() {
        let mut views = seen(&[view(1, &[1, 2]), view(2, &[2, 1])]);
        views.follows(&view(2, &[2, 1]), false);
        assert_eq!(caught(|| views.follows(&view(2, &[1, 2]), false)), Some(CHECKER));
        assert_eq!(caught(|| views.follows(&view(4, &[1, 2]), false)), Some(CHECKER));
    }

    #[test]
    fn strangers_do_not_inherit() {
        let mut views = seen(&[view(1, &[1, 2])]);
        assert_eq!(caught(|| views.follows(&view(2, &[3, 1]), false)), Some(CHECKER), "the primary");
        assert_eq!(caught(|| views.follows(&view(2, &[1, 3]), false)), Some(CHECKER), "a member");
        views.follows(&view(2, &[2]), false);
    }

    #[test]
    fn one_process_leads_a_view() {
        let (first, mut views) = (view(1, &[1, 2]), seen(&[view(1, &[1, 2])]));
        views.entered((member(1), BootNumber(1)), &first, Standing::Primary);
        views.entered((member(2), BootNumber(1)), &first, Standing::Backup);
        let restarted = caught(|| views.entered((member(1), BootNumber(2)), &first, Standing::Primary));
        assert_eq!(restarted, Some(CHECKER), "P11");
        let unknown = caught(|| views.entered((member(1), BootNumber(1)), &view(2, &[1]), Standing::Primary));
        assert_eq!(unknown, Some(CHECKER));
    }

    #[test]
    fn the_last_copy_is_not_dropped() {
        let views = seen(&[view(1, &[1, 2])]);
        let (group, expected, reason) = (MAIN, ViewNumber(1), Reason::Silent);
        let command = Command::RemoveMember { group, expected, node: NodeId(2), reason };
        views.proposed(&command, |node| Some(member(node.0).incarnation));
        let lost = |node: NodeId| Some(Incarnation(if node == NodeId(1) { 9 } else { 2 }));
        assert_eq!(caught(|| views.proposed(&command, lost)), Some(CHECKER));
        let mut others = Views::of(MAIN.next());
        others.follows(&view(1, &[1, 2]), false);
        assert_eq!(caught(|| others.proposed(&command, lost)), None, "it is about another group");
    }
}
