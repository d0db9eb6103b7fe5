//! What a node remembers of the others from one start to the next: who they were and where, and who were the
//! view nodes. A hint: what is old in it is told better by whoever is found with it. Those that are no view
//! nodes count too: when all view nodes have moved, one of the others has heard where they are.
//!
//! It may be newer than the table with which the node starts: a view node reads its own again, which was
//! the newest when it was last one of the majority. An older table says nothing of places.
//!
//! ```text
//! known-nodes := ["version " number "\n"] (id " " address [" view"] "\n")*
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use onecopy_core::NodeId;
use onecopy_views::Table;

/// The mark of a view node.
const VIEW: &str = "view";

/// What precedes the version of the table.
const VERSION: &str = "version";

/// Nodes, and where they were last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownNodes {
    /// The version of the view table that was the first to say this.
    version: u64,
    places: BTreeMap<NodeId, String>,
    view_nodes: BTreeSet<NodeId>,
}

impl KnownNodes {
    /// The nodes of a table; none, unless it names view nodes: without any, nobody is worth to be remembered.
    fn of(table: &Table) -> Self {
        if table.view_nodes().is_empty() {
            return Self::default();
        }
        let place =
            |(node, known): (&NodeId, &onecopy_views::Registration)| (*node, known.addresses.peer.clone());
        let view_nodes = table.view_nodes().iter().copied().filter(|node| table.nodes().contains_key(node));
        Self {
            version: table.version(),
            places: table.nodes().iter().map(place).collect(),
            view_nodes: view_nodes.collect(),
        }
    }

    /// Whether more is known than what a table says.
    #[must_use]
    pub fn is_newer_than(&self, table: &Table) -> bool {
        self.version > table.version()
    }

    /// A table says who the nodes are, and where. Returns whether that is news.
    pub fn follow(&mut self, table: &Table) -> bool {
        let now = Self::of(table);
        let is_same = now.places == self.places && now.view_nodes == self.view_nodes;
        let is_news = !now.is_empty() && !is_same && !self.is_newer_than(table);
        if is_news {
            *self = now;
        }
        is_news
    }

    /// Reads what was [written](Display). Lines that make no sense are left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut known = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(first), Some(address)) = (words.next(), words.next()) else { continue };
            if first == VERSION {
                known.version = address.parse().unwrap_or_default();
                continue;
            }
            let Ok(node) = first.parse() else { continue };
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
        writeln!(f, "{VERSION} {}", self.version)?;
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
        let text = "version 7\n1 10.0.0.1:7379 view\n2 10.0.0.2:7379\n";
        let known = KnownNodes::read(text);
        assert_eq!(known.to_string(), text);
        assert_eq!(known.places().map(|(node, _)| node.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(*known.view_nodes(), BTreeSet::from([NodeId(1)]));
    }

    #[test]
    fn a_damaged_file_is_only_a_worse_hint() {
        let known = KnownNodes::read("x\nversion y\n4 10.0.0.4:7379 view\n5\nsix y\n");
        assert_eq!(known.to_string(), "version 0\n4 10.0.0.4:7379 view\n");
        assert!(KnownNodes::read("").is_empty());
    }
}
