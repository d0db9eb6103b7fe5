//! `onecopy status`: shows the nodes and groups of a cluster.

pub mod ask;
pub mod report;
mod show;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::DONE;
use crate::dev::ClusterFile;

pub use report::Report;
pub(crate) use show::ids;

/// The exit code for a cluster that answers, but lacks copies of its data.
pub const EXIT_DEGRADED: u8 = 2;
/// Where `onecopy dev` puts its nodes unless it is told otherwise.
const DEFAULT_ADDRESSES: [&str; 3] = ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"];

/// Show the nodes and groups of a cluster.
///
/// Any node that answers is enough: it names the others, which are then asked too. The exit code is 0 if every group has
/// all its copies, 2 if one has not, and 1 if no node answers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  onecopy status\n  onecopy status --http 10.0.0.1:8080 --json\n  \
    onecopy status --dev /tmp/cluster.")]
pub struct Arguments {
    /// The HTTP address of a node; may be given several times. Without it, the first three nodes of `onecopy dev`.
    #[arg(long, value_name = "HOST:PORT")]
    http: Vec<String>,
    /// The data directory of an `onecopy dev`, whose nodes are asked.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "http")]
    dev: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// No node answers.
pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let addresses: Vec<String> = match (&arguments.dev, arguments.http.as_slice()) {
        (Some(directory), _) => {
            ClusterFile::read(directory)?.nodes.iter().map(|node| node.http.to_string()).collect()
        }
        (None, []) => DEFAULT_ADDRESSES.map(str::to_owned).to_vec(),
        (None, given) => given.to_vec(),
    };
    let answers = ask::cluster(&addresses);
    if answers.iter().all(|answer| answer.status.is_err()) {
        let reasons = answers.iter().filter_map(|answer| {
            answer.status.as_ref().err().map(|error| format!("\n  - {}: {error}", answer.http))
        });
        bail!(
            "no node answers:{}\nGive the HTTP address of a running node with --http HOST:PORT, or start a cluster with `onecopy dev`",
            reasons.collect::<String>()
        );
    }
    let report = Report::of(&answers);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        show::lines(&report).iter().for_each(|line| println!("{line}"));
    }
    Ok(if report.complete { DONE } else { EXIT_DEGRADED })
}
