//! `onecopy status`: shows the nodes and groups of a cluster.

pub mod ask;
pub mod report;
mod show;

use anyhow::bail;
use clap::Args;

use crate::DONE;
use crate::addressees::{Addressees, nobody};

use ask::Answer;
pub use report::Report;
pub(crate) use show::{ids, roles};

/// The exit code for a cluster that answers, but lacks copies of its data.
pub const EXIT_DEGRADED: u8 = 2;

/// Show the nodes and groups of a cluster.
///
/// Any node that answers is enough: it names the others, which are then asked too. The exit code is 0 if
/// every group has all its copies, 2 if one has not, and 1 if no node answers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  onecopy status\n  onecopy status --http 10.0.0.1:8080 --json\n  \
    onecopy status --dev /tmp/cluster.")]
pub struct Arguments {
    #[command(flatten)]
    addressees: Addressees,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What the nodes of a cluster say.
///
/// # Errors
/// No node answers.
pub(crate) fn of_cluster(addressees: &Addressees) -> anyhow::Result<Report> {
    let answers = ask::cluster(&addressees.addresses()?, addressees.authorization()?.as_deref());
    if answers.iter().all(|answer| answer.status.is_err()) {
        let reason = |answer: &Answer| Some(format!("{}: {}", answer.http, answer.status.as_ref().err()?));
        let reasons: Vec<String> = answers.iter().filter_map(reason).collect();
        bail!(nobody(&reasons));
    }
    Ok(Report::of(&answers))
}

/// Runs the command.
///
/// # Errors
/// No node answers.
pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let report = of_cluster(&arguments.addressees)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        show::lines(&report).iter().for_each(|line| println!("{line}"));
    }
    Ok(if report.complete { DONE } else { EXIT_DEGRADED })
}
