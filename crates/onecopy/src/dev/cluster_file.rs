//! `cluster.json`: what runs where, for programs. It is written anew on each change.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

const NAME: &str = "cluster.json";

/// What an `onecopy dev` runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFile {
    /// The name of the cluster.
    pub cluster: String,
    /// The process of the `onecopy dev`.
    pub pid: u32,
    /// Its nodes, by id.
    pub nodes: Vec<ClusterNode>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterNode {
    /// Its id.
    pub id: u32,
    /// Its process; null if it is dead.
    pub pid: Option<u32>,
    /// Where it takes Redis clients; null for nodes of the view service only.
    pub redis: Option<SocketAddr>,
    /// Where it answers HTTP.
    pub http: SocketAddr,
    /// Where it takes other nodes.
    pub peer: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
    /// Its settings.
    pub config: PathBuf,
    /// The file that it logs to.
    pub log: PathBuf,
}

impl ClusterFile {
    /// Reads the file of a directory.
    ///
    /// # Errors
    /// It is not there, or is not such a file.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join(NAME);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "cannot read {}: is {} the --data of an `onecopy dev`?",
                file.display(),
                directory.display()
            )
        })?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} was not written by `onecopy dev`", file.display()))
    }

    /// Writes the file, as a whole: whoever reads it at the same time sees the old or the new one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, directory: &Path) -> anyhow::Result<()> {
        let (file, partial) = (directory.join(NAME), directory.join(format!("{NAME}.partial")));
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, &file))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}
