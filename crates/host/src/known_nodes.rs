//! What a node remembers of the others from one start to the next: who they were and where, and who were the
//! view nodes. A hint: what is old in it is told better by whoever is found with it. Those that are no view
//! nodes count too: when all view nodes have moved, one of the others has heard where they are.
//!
//! ```text
//! known-nodes := (id " " address [" view"] "\n")*
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use onecopy_core::NodeId;
use onecopy_views::Table;

/// The mark of a view node.
const VIEW: &str = "view";

/// Nodes, and where they were last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownNodes {
    places: BTreeMap<NodeId, String>,
    view_nodes: BTreeSet<NodeId>,
}

impl KnownNodes {
    /// The nodes of a table; none, unless it names view nodes: without any, nobody is worth to be remembered.
    #[must_use]
    pub fn of(table: &Table) -> Self {
        if table.view_nodes().is_empty() {
            return Self::default();
        }
        let place =
            |(node, known): (&NodeId, &onecopy_views::Registration)| (*node, known.addresses.peer.clone());
        let view_nodes = table.view_nodes().iter().copied().filter(|node| table.nodes().contains_key(node));
        Self { places: table.nodes().iter().map(place).collect(), view_nodes: view_nodes.collect() }
    }

    /// Reads what was [written](Display). Lines that make no sense are left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut known = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(Ok(node)), Some(address)) = (words.next().map(str::parse), words.next()) else {
                continue;
            };
            known.places.insert(NodeId(node), address.to_owned());
            if words.next() == Some(VIEW) {
                known.view_nodes.insert(NodeId(node));
            }
        }
        known
    }

    /// Whether it knows nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Where they all were.
    pub fn places(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.places.iter().map(|(node, address)| (*node, address.as_str()))
    }

    /// Who were the view nodes.
    #[must_use]
    pub fn view_nodes(&self) -> &BTreeSet<NodeId> {
        &self.view_nodes
    }
}

impl Display for KnownNodes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (node, address) in &self.places {
            let mark = if self.view_nodes.contains(node) { format!(" {VIEW}") } else { String::new() };
            writeln!(f, "{} {address}{mark}", node.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = "1 10.0.0.1:7379 view\n2 10.0.0.2:7379\n";
        let known = KnownNodes::read(text);
        assert_eq!(known.to_string(), text);
        assert_eq!(known.places().map(|(node, _)| node.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(*known.view_nodes(), BTreeSet::from([NodeId(1)]));
    }

    #[test]
    fn a_damaged_file_is_only_a_worse_hint() {
        let known = KnownNodes::read("x\n4 10.0.0.4:7379 view\n5\nsix y\n");
        assert_eq!(known.to_string(), "4 10.0.0.4:7379 view\n");
        assert!(KnownNodes::read("").is_empty());
    }
}
