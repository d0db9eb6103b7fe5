//! Where other nodes can be reached: where the settings say, and where they say themselves.
//!
//! Settings are right when they are written. A node that has moved since tells the view service where it is,
//! with every ping, and everybody else learns it from the view table, as they do of nodes that join later.
//! Neither is always right: a node may know itself by an address that means something else elsewhere. So
//! whoever cannot be reached at one is looked for at the other, in turn, and what works is kept. A node that
//! says something new is looked for there first.

use std::collections::BTreeMap;

use onecopy_core::NodeId;
use onecopy_views::Table;

/// Of how many nodes that it cannot find one speaks at once.
const SOUGHT_MAX: usize = 16;

/// The addresses of other nodes.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts {
    places: BTreeMap<NodeId, Place>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    configured: Option<String>,
    /// As it says itself.
    told: Option<String>,
    /// Whether it is looked for where it says, and not where the settings say.
    is_believed: bool,
    /// Whether it was looked for, and has not been found since.
    is_sought: bool,
}

impl Place {
    fn address(&self) -> Option<&String> {
        match (&self.configured, &self.told) {
            (Some(configured), Some(told)) => Some(if self.is_believed { told } else { configured }),
            (configured, told) => configured.as_ref().or(told.as_ref()),
        }
    }
}

impl Whereabouts {
    /// The settings name a node.
    pub fn configure(&mut self, node: NodeId, address: String) {
        self.places.entry(node).or_default().configured = Some(address);
    }

    /// A node says where it is. Returns whether it is to be looked for elsewhere than before.
    pub fn tell(&mut self, node: NodeId, address: &str) -> bool {
        let place = self.places.entry(node).or_default();
        if place.told.as_deref() == Some(address) {
            return false;
        }
        let before = place.address().cloned();
        // The first time says nothing new: it has been there all along.
        place.is_believed = place.told.replace(address.to_owned()).is_some();
        place.address() != before.as_ref()
    }

    /// The view table names all nodes: nobody speaks of the others any more. Returns whom to look for no
    /// longer.
    pub fn forget_others(&mut self, table: &Table) -> Vec<NodeId> {
        let others: Vec<NodeId> = self.nodes().filter(|node| !table.nodes().contains_key(node)).collect();
        others.into_iter().filter(|node| self.forget(*node)).collect()
    }

    /// Nobody speaks of a node any more. Returns whether it is to be looked for no longer.
    fn forget(&mut self, node: NodeId) -> bool {
        let Some(place) = self.places.get_mut(&node) else { return false };
        place.told = None;
        let is_gone = place.configured.is_none();
        if is_gone {
            self.places.remove(&node);
        }
        is_gone
    }

    /// The node could not be reached where it was looked for.
    pub fn failed(&mut self, node: NodeId) {
        if let Some(place) = self.places.get_mut(&node) {
            place.is_believed = !place.is_believed;
            place.is_sought = true;
        }
    }

    /// The node has been reached where it was looked for.
    pub fn reached(&mut self, node: NodeId) {
        if let Some(place) = self.places.get_mut(&node) {
            place.is_sought = false;
        }
    }

    /// Nodes that were looked for in vain, 16 of them at most.
    #[must_use]
    pub fn sought(&self) -> Vec<NodeId> {
        let sought = self.places.iter().filter(|(_, place)| place.is_sought);
        sought.map(|(node, _)| *node).take(SOUGHT_MAX).collect()
    }

    /// Where a node says that it is, if it has been heard of.
    #[must_use]
    pub fn told(&self, node: NodeId) -> Option<&str> {
        self.places.get(&node)?.told.as_deref()
    }

    /// Where to look for a node.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<&str> {
        self.places.get(&node)?.address().map(String::as_str)
    }

    /// All nodes that can be looked for.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.places.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(3);

    #[test]
    fn who_is_not_where_the_settings_say_is_looked_for_where_it_says() {
        let mut whereabouts = Whereabouts::default();
        whereabouts.configure(NODE, "old:1".to_owned());
        assert!(!whereabouts.tell(NODE, "new:1"), "the settings may be right");
        assert_eq!(whereabouts.address(NODE), Some("old:1"));
        whereabouts.failed(NODE);
        assert_eq!(whereabouts.address(NODE), Some("new:1"));
        whereabouts.failed(NODE);
        assert_eq!(whereabouts.address(NODE), Some("old:1"));
    }

    #[test]
    fn who_moves_is_looked_for_there_first() {
        let mut whereabouts = Whereabouts::default();
        whereabouts.configure(NODE, "old:1".to_owned());
        assert!(!whereabouts.tell(NODE, "old:1"));
        assert!(whereabouts.tell(NODE, "new:1"));
        assert_eq!(whereabouts.address(NODE), Some("new:1"));
        assert!(!whereabouts.tell(NODE, "new:1"));
        whereabouts.failed(NODE);
        assert_eq!(whereabouts.address(NODE), Some("old:1"));
    }

    #[test]
    fn who_cannot_be_found_is_asked_for_until_it_is() {
        let mut whereabouts = Whereabouts::default();
        whereabouts.configure(NODE, "old:1".to_owned());
        assert!(whereabouts.sought().is_empty());
        whereabouts.failed(NODE);
        assert_eq!((whereabouts.sought(), whereabouts.told(NODE)), (vec![NODE], None));
        whereabouts.tell(NODE, "new:1");
        whereabouts.reached(NODE);
        assert_eq!((whereabouts.sought(), whereabouts.told(NODE)), (vec![], Some("new:1")));
    }

    #[test]
    fn who_is_in_no_settings_is_known_as_long_as_somebody_speaks_of_it() {
        let mut whereabouts = Whereabouts::default();
        assert!(whereabouts.tell(NODE, "a:1"));
        assert!(whereabouts.tell(NODE, "b:1"));
        whereabouts.failed(NODE);
        assert_eq!(whereabouts.address(NODE), Some("b:1"));
        assert!(whereabouts.forget(NODE));
        assert_eq!(whereabouts.address(NODE), None);
        whereabouts.configure(NODE, "a:1".to_owned());
        whereabouts.tell(NODE, "b:1");
        assert!(!whereabouts.forget(NODE));
        assert_eq!(whereabouts.address(NODE), Some("a:1"));
    }
}
