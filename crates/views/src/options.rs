//! What is set for one database alone. All else is as the settings of the nodes say.

use std::collections::BTreeSet;

use onecopy_core::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use crate::command::Rejection;
use crate::database::Kind;
use crate::table::Table;

/// What a database has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// Writes are refused while there are fewer copies than this; as the settings say, if nobody has said it
    /// of this database.
    pub min_copies: Option<u32>,
    /// Whether each read is confirmed by the other copies, whatever leases there are: for those who trust no
    /// clock.
    pub confirms_reads: bool,
    /// The only nodes on which copies are to be; empty: whichever.
    pub nodes: BTreeSet<NodeId>,
}

/// What of them changes; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OptionChanges {
    /// How many copies the database is to have.
    pub copies: Option<u32>,
    /// Without how many writes are refused.
    pub min_copies: Option<u32>,
    /// Whether reads are confirmed.
    pub confirms_reads: Option<bool>,
    /// The only nodes on which copies are to be; empty: whichever.
    pub nodes: Option<BTreeSet<NodeId>>,
}

impl Table {
    /// What is set for a database alone.
    #[must_use]
    pub fn options(&self, group: GroupId) -> Options {
        self.options.get(&group).cloned().unwrap_or_default()
    }

    /// Whether a group is to have no copy on a node: the node is to be empty, or the database elsewhere.
    #[must_use]
    pub fn avoids(&self, group: GroupId, node: NodeId) -> bool {
        let is_elsewhere = |options: &Options| !options.nodes.is_empty() && !options.nodes.contains(&node);
        self.drained().contains(&node) || self.options.get(&group).is_some_and(is_elsewhere)
    }

    /// A node is gone for good. A database that was to be there, and has no room any more where it is to be,
    /// is wherever there is room.
    pub(crate) fn forget_place(&mut self, node: NodeId) {
        for (group, options) in &mut self.options {
            let copies = self.groups.get(group).map_or(0, |known| known.copies as usize);
            if options.nodes.remove(&node) && options.nodes.len() < copies {
                options.nodes.clear();
            }
        }
    }

    /// All of the changes, or none.
    pub(crate) fn set_options(&mut self, group: GroupId, changes: &OptionChanges) -> Result<(), Rejection> {
        let known = self.groups().get(&group).ok_or(Rejection::NoSuchGroup(group))?;
        let OptionChanges { copies, min_copies, confirms_reads, nodes } = changes.clone();
        let of_order = min_copies.is_some() || confirms_reads.is_some();
        if of_order && self.kind(group) == Kind::Optimistic {
            return Err(Rejection::NotAllowed(
                "in an optimistic database every copy answers by itself: it has no min_copies, and confirms no reads",
            ));
        }
        let before = self.options(group);
        let options = Options {
            min_copies: min_copies.or(before.min_copies),
            confirms_reads: confirms_reads.unwrap_or(before.confirms_reads),
            nodes: nodes.unwrap_or_else(|| before.nodes.clone()),
        };
        let holds_data = |node: &NodeId| self.nodes().get(node).is_some_and(|of| of.holds_data);
        if !options.nodes.iter().all(holds_data) {
            return Err(Rejection::NotAllowed("copies can only be on nodes that are known and hold data"));
        }
        let room = if options.nodes.is_empty() { usize::MAX } else { options.nodes.len() };
        if room < copies.unwrap_or(known.copies) as usize {
            return Err(Rejection::NotAllowed("there are more copies than nodes on which they are to be"));
        }
        if min_copies.is_some_and(|least| !(1..=copies.unwrap_or(known.copies)).contains(&least)) {
            return Err(Rejection::NotAllowed("min_copies is at least 1, and at most the number of copies"));
        }
        let has_copies = copies.is_none_or(|copies| known.copies == copies);
        if has_copies && options == before {
            return Err(Rejection::NoChange);
        }
        // Fewer copies and a lower bound may come together.
        self.options.insert(group, options);
        let outcome = match copies.filter(|_| !has_copies) {
            Some(copies) => self.set_copies(group, copies),
            None => Ok(()),
        };
        if outcome.is_err() {
            self.options.insert(group, before);
        }
        if self.options(group) == Options::default() {
            self.options.remove(&group);
        }
        outcome
    }
}
