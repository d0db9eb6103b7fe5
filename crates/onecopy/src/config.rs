//! `onecopy config`: explains and checks the settings of a node.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::settings::{Mistakes, Overrides, SETTINGS, load};
use crate::table::{aligned, row};
use crate::{DONE, FAILED};

/// Explain and check the settings of a node.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check settings: print all as they count, with their origin and meaning, or every mistake in them.
    ///
    /// Takes the same flags and environment variables as `onecopy server`. The exit code is 0 if a node can
    /// start with the settings, and 1 if it cannot.
    #[command(after_help = "Example:\n  onecopy config check --config node.toml --durability memory")]
    Check {
        /// The configuration file.
        #[arg(long, short, env = "ONECOPY_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Print a configuration file with comments, to begin with.
    Example,
}

/// Runs the command.
///
/// # Errors
/// None at present.
pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Check { config, overrides } => match load(config.as_deref(), overrides) {
            Ok(loaded) => {
                println!("ok");
                let mut rows = vec![row(["setting", "value", "from", "meaning"])];
                rows.extend(loaded.effective.iter().map(|effective| {
                    let setting = effective.setting;
                    row([setting.key, &effective.value, &effective.origin.to_string(), setting.meaning])
                }));
                aligned(&rows).iter().for_each(|line| println!("{line}"));
                Ok(DONE)
            }
            Err(Mistakes(mistakes)) => {
                mistakes.iter().for_each(|mistake| println!("{mistake}"));
                Ok(FAILED)
            }
        },
        Command::Example => {
            print!("{}", example());
            Ok(DONE)
        }
    }
}

/// A configuration file with comments. Settings that have a default are commented out, with their default.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# The settings of one Onecopy node. Check them with `onecopy config check --config FILE`.\n\
         # What is commented out is the default.\n",
    );
    let mut table = None;
    for setting in SETTINGS {
        let (its_table, name) = setting.place();
        if its_table != table {
            table = its_table;
            let _ = writeln!(text, "\n[{}]", table.unwrap_or_default());
        }
        let comment = if setting.required { "" } else { "#" };
        let _ = writeln!(
            text,
            "\n# {} (--{}, {})\n{comment}{name} = {}",
            setting.meaning,
            setting.flag(),
            setting.variable(),
            setting.example
        );
    }
    text
}
