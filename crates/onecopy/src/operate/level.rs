//! `onecopy level`

use clap::{Args, Subcommand};
use onecopy_node::Operation;

use super::Asking;

/// Hold the level in force where it is during an upgrade, or let it rise.
///
/// The level says by which version's rules commands are executed. It rises by itself once all nodes run a
/// version that knows a higher one; from then on no older version can be started. Hold it before an upgrade
/// if you may want to go back. `onecopy status` shows it. The exit code is 0 if it was done, 1 if it was
/// refused, and 2 if nobody said in time: then it may be done yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  onecopy level hold --http 10.0.0.1:8080\n  \
    onecopy level release --http 10.0.0.1:8080")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The level stays where it is, whatever versions the nodes run.
    Hold {
        #[command(flatten)]
        asking: Asking,
    },
    /// The level may rise.
    Release {
        #[command(flatten)]
        asking: Asking,
    },
}

/// Runs the command.
///
/// # Errors
/// No node answers.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Hold { asking } => asking.operate(Operation::HoldLevel { held: true }),
        Command::Release { asking } => asking.operate(Operation::HoldLevel { held: false }),
    }
}
