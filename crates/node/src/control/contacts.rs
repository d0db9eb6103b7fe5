//! Where to find the view service: the configuration names the view nodes of the founding, the view table those of today,
//! and a file in the data directory those of yesterday, so that a node that was away while they changed still finds them.
//!
//! ```text
//! view-nodes := (id " " address "\n")*          one line per view node
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use onecopy_core::NodeId;
use onecopy_views::Table;
use tracing::warn;

/// The name of the file.
const FILE: &str = "view-nodes";

/// The view nodes to turn to.
#[derive(Debug)]
pub(crate) struct Contacts {
    configured: BTreeSet<NodeId>,
    /// As the file has it.
    remembered: BTreeMap<NodeId, String>,
    directory: PathBuf,
}

impl Contacts {
    /// What the configuration says, and what is remembered in the data directory.
    pub(crate) fn open(configured: &[u32], directory: &Path) -> Self {
        let text = std::fs::read_to_string(directory.join(FILE)).unwrap_or_default();
        let configured = configured.iter().map(|node| NodeId(*node)).collect();
        Self { configured, remembered: parse(&text), directory: directory.to_owned() }
    }

    /// Where those who are remembered take other nodes.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (NodeId, String)> {
        self.remembered.iter().map(|(node, address)| (*node, address.clone()))
    }

    /// Whom to tell what is for all view nodes. Also those that may be none any more: they know who is.
    pub(crate) fn view_nodes(&self, table: &Table) -> BTreeSet<NodeId> {
        let known = self.configured.iter().chain(self.remembered.keys()).chain(table.view_nodes());
        known.copied().collect()
    }

    /// The table says who the view nodes are.
    pub(crate) fn follow(&mut self, table: &Table) {
        let address = |node: &NodeId| Some((*node, table.nodes().get(node)?.addresses.peer.clone()));
        let now: BTreeMap<NodeId, String> = table.view_nodes().iter().filter_map(address).collect();
        if now.is_empty() || now == self.remembered {
            return;
        }
        if let Err(error) = self.write(&now) {
            warn!(%error, "cannot remember who the view nodes are");
        }
        self.remembered = now;
    }

    fn write(&self, nodes: &BTreeMap<NodeId, String>) -> std::io::Result<()> {
        let lines: String = nodes.iter().map(|(node, address)| format!("{} {address}\n", node.0)).collect();
        let (path, partial) = (self.directory.join(FILE), self.directory.join(format!("{FILE}.partial")));
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(partial, path)
    }
}

/// Lines that make no sense are left out: the file is a hint.
fn parse(text: &str) -> BTreeMap<NodeId, String> {
    let line = |line: &str| {
        let (node, address) = line.split_once(' ')?;
        Some((NodeId(node.parse().ok()?), address.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use onecopy_core::{BootNumber, Incarnation, Rules};
    use onecopy_views::{Addresses, Command, Registration};

    use super::*;

    fn table(nodes: &[u32]) -> Table {
        let mut table = Table::default();
        for node in nodes {
            let addresses = Addresses { peer: format!("10.0.0.{node}:7379"), ..Addresses::default() };
            let registration = Registration {
                incarnation: Incarnation(1),
                boot: BootNumber(1),
                holds_data: false,
                zone: String::new(),
                pid: 1,
                run: 1,
                addresses,
            };
            let command = Command::RegisterNode { node: NodeId(*node), registration };
            table.apply(&command, Rules::default()).expect("it is news");
        }
        let nodes = nodes.iter().copied().map(NodeId).collect();
        table.apply(&Command::SetViewNodes { nodes }, Rules::default()).expect("it is news");
        table
    }

    #[test]
    fn a_node_remembers_where_the_view_service_was_last() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || Contacts::open(&[1], directory.path());
        let ids = |contacts: &Contacts, table: &Table| -> Vec<u32> {
            contacts.view_nodes(table).into_iter().map(|node| node.0).collect()
        };
        let mut contacts = open();
        assert_eq!(ids(&contacts, &Table::default()), [1]);
        contacts.follow(&table(&[2, 3]));
        contacts.follow(&Table::default());
        assert_eq!(ids(&open(), &Table::default()), [1, 2, 3]);
        assert_eq!(ids(&open(), &table(&[4])), [1, 2, 3, 4]);
        let addresses: Vec<_> = open().remembered().map(|(_, address)| address).collect();
        assert_eq!(addresses, ["10.0.0.2:7379", "10.0.0.3:7379"]);
    }

    #[test]
    fn a_damaged_file_is_only_a_worse_hint() {
        let known: Vec<u32> = parse("x\n4 10.0.0.4:7379\n5\nsix y\n").keys().map(|node| node.0).collect();
        assert_eq!(known, [4]);
    }
}
