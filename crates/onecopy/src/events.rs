//! `onecopy events`: what the view service has decided, and why.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use onecopy_node::Happened;

use crate::addressees::Addressees;
use crate::table::{aligned, row};
use crate::{DONE, clock};

const PATIENCE: Duration = Duration::from_secs(2);
/// How often the node is asked for news.
const INTERVAL: Duration = Duration::from_millis(500);

/// Show what the view service has decided, and on what evidence.
///
/// The view table remembers its last 256 changes; any node that answers is enough. Times are those of the
/// view node that decided, in UTC.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  onecopy events\n  onecopy events --follow\n  onecopy events --json --http 10.0.0.1:8080"
)]
pub struct Arguments {
    #[command(flatten)]
    addressees: Addressees,
    /// Print JSON, for programs: one list, or one event per line with --follow.
    #[arg(long)]
    json: bool,
    /// Go on and show what happens, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

/// Runs the command.
///
/// # Errors
/// No node answers.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let events = ask(arguments)?;
    match (arguments.json, arguments.follow) {
        (true, false) => println!("{}", serde_json::to_string_pretty(&events)?),
        _ => show(arguments, &events)?,
    }
    if arguments.follow {
        follow(arguments, events.last().map_or(0, |event| event.version))?;
    }
    Ok(DONE)
}

fn ask(arguments: &Arguments) -> anyhow::Result<Vec<Happened>> {
    arguments.addressees.get("/events", PATIENCE)
}

/// Shows what happens after the version `shown`, as long as somebody reads it.
fn follow(arguments: &Arguments, mut shown: u64) -> anyhow::Result<()> {
    loop {
        std::thread::sleep(INTERVAL);
        // A node that does not answer now may answer again.
        let Ok(mut events) = ask(arguments) else { continue };
        // Another node may answer, which knows less.
        events.retain(|event| event.version > shown);
        show(arguments, &events)?;
        shown = events.last().map_or(shown, |event| event.version);
    }
}

fn show(arguments: &Arguments, events: &[Happened]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if arguments.json {
        for event in events {
            writeln!(out, "{}", serde_json::to_string(event)?)?;
        }
        return Ok(());
    }
    let heading = row(["version", "time", "by", "what", "view", "evidence"]);
    let rows = events.iter().map(|event| {
        vec![
            event.version.to_string(),
            clock::utc(event.unix_ms),
            event.decided_by.to_string(),
            event.what.clone(),
            event.view.clone().unwrap_or_else(|| "-".to_owned()),
            event.evidence.join(", "),
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    if rows.len() > 1 {
        for line in aligned(&rows) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
