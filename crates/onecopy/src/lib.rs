//! The command line of Onecopy.
//!
//! | command | what it does | where |
//! | --- | --- | --- |
//! | `onecopy dev` | runs a whole cluster on this machine | [`dev`] |
//! | `onecopy server` | runs one node | [`server`] |
//! | `onecopy status` | shows the nodes and groups of a cluster | [`status`] |
//! | `onecopy events` | shows what the view service has decided, and why | [`events`] |
//! | `onecopy group`, `onecopy level`, `onecopy node`, `onecopy view` | what operators do to a running cluster | [`operate`] |
//! | `onecopy export` | writes what a cluster holds to an RDB file | [`export`] |
//! | `onecopy import` | brings in the data of a Redis or Valkey, from a file or live | [`import`] |
//! | `onecopy config` | explains and checks settings | [`config`] |
//! | `onecopy sim` | runs the protocols in the deterministic simulator | [`onecopy_sim::cli`] |
//!
//! All settings of a node are listed once, in [`settings`]; their flags, environment variables, the example
//! file and what `config check` says are made from that list.
//!
//! # Exit codes
//!
//! 0 means done. 1 means that it could not be done, with the reason on stderr. 2 is used by wrong arguments,
//! by `onecopy status` for a cluster that lacks copies, and by operators' commands of which nobody said what
//! became of them. [`server::EXIT_BROKEN`] means that a node went on no further because one of its threads
//! had died, or because its memory seems to be damaged.

mod addressees;
mod client;
mod clock;
pub mod config;
pub mod credentials;
pub mod dev;
pub mod events;
pub mod export;
pub mod import;
pub mod operate;
pub mod server;
pub mod settings;
pub mod status;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What went well.
pub(crate) const DONE: u8 = 0;
/// What could not be done.
pub(crate) const FAILED: u8 = 1;
/// What may have been done, or may be yet.
pub(crate) const UNKNOWN: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  onecopy dev                          a cluster of three nodes on this machine, until Ctrl-C
  redis-cli -p 7001 set greeting hi    use it: any node takes any command
  onecopy status                       what its nodes are doing
  onecopy events                       what was decided, and why
  onecopy group handover               another node orders requests from now on
  onecopy node drain 3                 empty a node before its machine is mended
  onecopy import redis://10.0.0.7      take over the data of a Redis while it runs
  onecopy config example > node.toml   begin a node of a real cluster
  onecopy config check --config node.toml
  onecopy server --config node.toml
  onecopy sim --seeds 100              whole clusters in memory, under faults, checked";

/// A Redis-compatible, strongly replicated data store that behaves like one copy.
#[derive(Debug, Parser)]
#[command(name = "onecopy", version, about, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Arguments),
    Server(server::Arguments),
    Status(status::Arguments),
    Events(events::Arguments),
    Database(operate::DatabaseArguments),
    Group(operate::GroupArguments),
    Level(operate::LevelArguments),
    Node(operate::NodeArguments),
    View(operate::ViewArguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Config(config::Arguments),
    Sim(onecopy_sim::cli::Arguments),
}

/// Runs the command that the arguments of the process name.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Server(arguments) => server::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::Database(arguments) => operate::run_database(&arguments),
        Command::Group(arguments) => operate::run_group(&arguments),
        Command::Level(arguments) => operate::run_level(&arguments),
        Command::Node(arguments) => operate::run_node(&arguments),
        Command::View(arguments) => operate::run_view(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Sim(arguments) => simulate(&arguments),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("onecopy: {}", explanation(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// An error with its causes, but for those that it repeats word for word.
fn explanation(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| {
        if text.is_empty() {
            cause
        } else if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

fn simulate(arguments: &onecopy_sim::cli::Arguments) -> anyhow::Result<u8> {
    match onecopy_sim::cli::run(arguments, &mut std::io::stdout()) {
        // Whoever read along has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(DONE),
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Cli::command().debug_assert();
    }
}
