//! The view table: numbers grow by one, and only heirs inherit (rules P4, P5, P9); in each view at most one replica,
//! in one process, is the primary (rules P2, P11).

use std::collections::BTreeMap;

use onecopy_core::{BootNumber, Incarnation, Member, NodeId, View};
use onecopy_replica::Standing;
use onecopy_views::{Command, Table};

use crate::disk::DATA_GROUP;
use crate::trace::violated;

const CHECKER: &str = "views";

/// Every view that there ever was.
#[derive(Debug, Default)]
pub struct Views {
    views: BTreeMap<u64, View>,
    primaries: BTreeMap<u64, (Member, BootNumber)>,
}

impl Views {
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
        let Some(group) = table.groups().get(&DATA_GROUP) else { return };
        let view = &group.view;
        let newest = self.newest().map_or(0, |newest| newest.number.0);
        match self.views.get(&view.number.0) {
            Some(known) if known == view => return,
            Some(known) => violated(CHECKER, format!("two views with one number: {known:?} and {view:?}")),
            None => {}
        }
        if view.number.0 != newest + 1 {
            violated(CHECKER, format!("{view} follows v{newest}"));
        }
        if let Some(before) = self.newest() {
            heirs_only(before, view);
        }
        self.views.insert(view.number.0, view.clone());
    }

    /// The leader of the view service proposes a command, and has `heard` of these lives. It must not drop the last
    /// member that has not lost its data.
    pub fn proposed(&self, command: &Command, heard: impl Fn(NodeId) -> Option<Incarnation>) {
        let (expected, dropped) = match command {
            Command::RemoveMember { expected, node, .. } => (expected, vec![*node]),
            Command::PromoteMember { expected, dropped, .. } => (expected, dropped.clone()),
            _ => return,
        };
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
