//! Where to find the view service: the configuration names the view nodes of the founding, the view table
//! those of today, and a file in the data directory those of yesterday, so that a node that was away while
//! they changed still finds them. ([`KnownNodes`] says what is in the file.)

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use onecopy_core::NodeId;
use onecopy_host::known_nodes::KnownNodes;
use onecopy_views::Table;
use tracing::warn;

/// The name of the file.
const FILE: &str = "known-nodes";

/// The nodes to turn to.
#[derive(Debug)]
pub(crate) struct Contacts {
    configured: BTreeSet<NodeId>,
    /// As the file has it.
    remembered: KnownNodes,
    directory: PathBuf,
}

impl Contacts {
    /// What the configuration says, and what is remembered in the data directory.
    pub(crate) fn open(configured: &[u32], directory: &Path) -> Self {
        let text = std::fs::read_to_string(directory.join(FILE)).unwrap_or_default();
        let configured = configured.iter().map(|node| NodeId(*node)).collect();
        Self { configured, remembered: KnownNodes::read(&text), directory: directory.to_owned() }
    }

    /// What is remembered of the other nodes.
    pub(crate) fn remembered(&self) -> &KnownNodes {
        &self.remembered
    }

    /// Whom to tell what is for all view nodes. Also those that may be none any more: they know who is.
    pub(crate) fn view_nodes(&self, table: &Table) -> BTreeSet<NodeId> {
        let known = self.configured.iter().chain(self.remembered.view_nodes()).chain(table.view_nodes());
        known.copied().collect()
    }

    /// The table says who the nodes are.
    pub(crate) fn follow(&mut self, table: &Table) {
        if !self.remembered.follow(table) {
            return;
        }
        if let Err(error) = self.write() {
            warn!(%error, "cannot remember where the other nodes are");
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let (path, partial) = (self.directory.join(FILE), self.directory.join(format!("{FILE}.partial")));
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(self.remembered.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(partial, path)
    }
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
        assert_eq!(
            open().remembered().to_string(),
            "version 3\n2 10.0.0.2:7379 view\n3 10.0.0.3:7379 view\n"
        );
    }

    #[test]
    fn an_older_table_says_nothing_of_places() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut contacts = Contacts::open(&[1], directory.path());
        contacts.follow(&table(&[1, 2, 3]));
        let known = contacts.remembered().clone();
        let mut contacts = Contacts::open(&[1], directory.path());
        let older = table(&[1, 4]);
        assert!(contacts.remembered().is_newer_than(&older));
        contacts.follow(&older);
        assert_eq!(
            (contacts.remembered(), Contacts::open(&[1], directory.path()).remembered()),
            (&known, &known)
        );
    }

    #[test]
    fn those_that_are_no_view_nodes_are_remembered_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut table = table(&[1, 2]);
        table.apply(&Command::SetViewNodes { nodes: [NodeId(1)].into() }, Rules::default()).expect("news");
        Contacts::open(&[1], directory.path()).follow(&table);
        let known = Contacts::open(&[1], directory.path());
        assert_eq!(known.remembered().to_string(), "version 4\n1 10.0.0.1:7379 view\n2 10.0.0.2:7379\n");
        assert_eq!(known.view_nodes(&Table::default()), [NodeId(1)].into(), "nobody else is asked to lead");
    }
}
