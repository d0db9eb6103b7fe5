//! `onecopy view`

use anyhow::bail;
use clap::{Args, Subcommand};
use onecopy_node::{NodeStatus, Operation};

use super::Asking;
use crate::addressees::nobody;
use crate::status::ids;
use crate::table::{aligned, row};
use crate::{DONE, FAILED};

/// Grow or shrink the view service of a running cluster, or show it.
///
/// The exit code of `add` and `remove` is 0 if it was done, 1 if it was refused, and 2 if nobody said in
/// time: then it may be done yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  onecopy view status --http 10.0.0.1:8080\n  \
    onecopy view add 2 3 --http 10.0.0.1:8080\n  onecopy view remove 1 --http 10.0.0.2:8080")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give nodes a vote in the view service, all at once. They run, with the role `view`. (A view node that
    /// lost its disk needs no command: it is replaced by itself.)
    Add {
        /// Which ones.
        #[arg(required = true)]
        nodes: Vec<u32>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Take the votes of nodes in the view service away, all at once. They may be dead.
    Remove {
        /// Which ones.
        #[arg(required = true)]
        nodes: Vec<u32>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Show the view nodes, and how many may fail.
    Status {
        #[command(flatten)]
        asking: Asking,
    },
}

/// Runs the command.
///
/// # Errors
/// No node answers, or the command makes no sense.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Add { nodes, asking } => asking.operate(Operation::AddViewNodes { nodes: nodes.clone() }),
        Command::Remove { nodes, asking } => {
            asking.operate(Operation::RemoveViewNodes { nodes: nodes.clone() })
        }
        Command::Status { asking } => status(asking),
    }
}

fn status(asking: &Asking) -> anyhow::Result<u8> {
    let answers = asking.ask_all()?;
    let nodes: Vec<NodeStatus> = answers.iter().filter_map(|answer| answer.status.clone().ok()).collect();
    if nodes.is_empty() {
        let reasons = answers
            .iter()
            .filter_map(|answer| Some(format!("{}: {}", answer.http, answer.status.as_ref().err()?)));
        bail!(nobody(&reasons.collect::<Vec<_>>()));
    }
    let parts: Vec<_> =
        nodes.iter().filter_map(|node| Some((node.node, node.view_service.clone()?))).collect();
    if asking.json {
        println!("{}", serde_json::to_string_pretty(&parts)?);
    } else {
        let mut rows = vec![row(["node", "role", "term", "leader"])];
        rows.extend(parts.iter().map(|(node, part)| {
            let leader = part.leader.map_or_else(|| "-".to_owned(), |leader| leader.to_string());
            vec![node.to_string(), part.role.clone(), part.term.to_string(), leader]
        }));
        aligned(&rows).iter().for_each(|line| println!("{line}"));
    }
    let leads = parts.iter().filter(|(_, part)| part.role == "leader").max_by_key(|(_, part)| part.term);
    let Some((_, leader)) = leads else {
        eprintln!("onecopy: no view node that answers leads: is a majority of them up?");
        return Ok(FAILED);
    };
    if !asking.json {
        let spare = (leader.voters.len().max(1) - 1) / 2;
        println!(
            "voters {}, learners {}: {spare} of them may fail",
            ids(&leader.voters),
            ids(&leader.learners)
        );
    }
    Ok(DONE)
}
