//! `onecopy node`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use onecopy_node::Operation;

use super::{Asking, add};
use crate::status::Report;
use crate::{DONE, UNKNOWN};

/// Add a node to a running cluster, empty it, use it again, forget it, or start it from an old image of its
/// disk.
///
/// The exit code is 0 if it was done, 1 if it was refused, and 2 if nobody said in time: then it may be done
/// yet.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  onecopy node add --from 10.0.0.1:8080 --id 4 --host 10.0.0.4 > node4.toml\n  \
    onecopy node drain 3 --wait 600\n  onecopy node undrain 3\n  onecopy node remove 3"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Arguments),
    /// Empty a node: it hands over what it leads, and its copies move to other nodes, as far as there are
    /// some.
    Drain {
        /// Which one.
        node: u32,
        /// Wait up to so many seconds until it holds nothing. (With as many nodes as copies, it never will.)
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Let a drained node hold copies again.
    Undrain {
        /// Which one.
        node: u32,
        #[command(flatten)]
        asking: Asking,
    },
    /// Have an old image of a data directory begin a new life. LOSES DATA if anything newer is left.
    ///
    /// A node that was restored from an old image of its disk refuses to run: it has forgotten what it has
    /// acknowledged since. This command makes it a node that nobody knows, with what the image holds. That
    /// counts for nothing, and is overwritten if the node is recruited, unless `onecopy group recover` makes
    /// it the only copy. The node must be stopped.
    NewLife {
        /// Its data directory, on this machine.
        #[arg(long, value_name = "DIRECTORY")]
        data: PathBuf,
    },
    /// Forget a node that is gone for good. It must be stopped, and hold no copy.
    Remove {
        /// Which one.
        node: u32,
        /// Also if it has copies of optimistic databases: what only they had is lost.
        #[arg(long)]
        accept_data_loss: bool,
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
        Command::Add(arguments) => add::run(arguments),
        Command::Drain { node, wait, asking } => {
            let code = asking.operate(Operation::Drain { node: *node })?;
            match wait {
                Some(seconds) if code == DONE => {
                    wait_until_empty(*node, Duration::from_secs(*seconds), asking)
                }
                _ => Ok(code),
            }
        }
        Command::NewLife { data } => {
            let node = onecopy_node::begin_new_life(data)?;
            println!("the data directory of node {node} begins a new life: start the node");
            Ok(DONE)
        }
        Command::Undrain { node, asking } => asking.operate(Operation::Undrain { node: *node }),
        Command::Remove { node, accept_data_loss, asking } => {
            // A node that runs registers again with its next ping.
            let report = report(asking)?;
            let runs = report.nodes.iter().any(|known| known.node == *node && known.state != "unreachable");
            ensure!(!runs, "node {node} runs: it would come back by itself. Stop it first");
            asking.operate(Operation::Remove { node: *node, accept_data_loss: *accept_data_loss })
        }
    }
}

fn report(asking: &Asking) -> anyhow::Result<Report> {
    let answers = asking.ask_all()?;
    if answers.iter().all(|answer| answer.status.is_err()) {
        bail!("no node answers: give the HTTP address of a running node with --http HOST:PORT");
    }
    Ok(Report::of(&answers))
}

fn wait_until_empty(node: u32, patience: Duration, asking: &Asking) -> anyhow::Result<u8> {
    let begun = Instant::now();
    loop {
        let report = report(asking)?;
        let holds = |group: &crate::status::report::GroupReport| {
            group.primary == node || group.backups.contains(&node) || group.learners.contains(&node)
        };
        if !report.groups.iter().any(holds) {
            eprintln!("node {node} holds nothing any more: it can be stopped");
            return Ok(DONE);
        }
        if begun.elapsed() >= patience {
            eprintln!(
                "onecopy: node {node} still holds a copy after {} s: others must have everything first, is there another \
                 node that can?",
                patience.as_secs()
            );
            hands_on(node, &report).iter().for_each(|line| eprintln!("onecopy: {line}"));
            return Ok(UNKNOWN);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// For whom copies of optimistic databases wait that are to go.
fn hands_on(node: u32, report: &Report) -> Vec<String> {
    let known = report.nodes.iter().find(|known| known.node == node);
    let replicas = known.into_iter().flat_map(|known| &known.replicas);
    let waits = replicas.flat_map(|replica| replica.hands_on_to.iter().map(move |to| (replica.group, to)));
    let line = |(group, (to, lacks)): (u32, &(u32, u64))| {
        let database = report.groups.iter().find(|known| known.group == group);
        let name = database.map_or("?", |known| known.database.as_str());
        format!("the copy of {name} waits for node {to}, which lacks {lacks} of its updates")
    };
    waits.map(line).collect()
}
