//! `onecopy import`: data from a Redis or Valkey, out of a file or live.
//!
//! | step | where |
//! | --- | --- |
//! | what a file holds, or what the source sends first | `dump` |
//! | what the source executes from then on, received by a thread and kept in files | `source`, `spool` |
//! | the same, executed here | `stream` |
//! | the moment at which clients can change over | `cut_over` |
//! | how commands reach the cluster, once, whatever dies meanwhile | `crate::client` |
//! | what another run goes on from | `work` |

mod cut_over;
mod databases;
mod dump;
mod report;
mod source;
mod spool;
mod stream;
mod work;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use crate::client::Client;
use crate::{DONE, FAILED};
use databases::Databases;
use report::Report;
use work::Work;

/// Bring in the data of a Redis or Valkey: out of an RDB file, or from a running server, as its replica.
///
/// Keys that cannot be taken are listed, with the reason; the exit code is 1 then. A run that ends early is
/// gone on with by the same command: nothing is executed twice. What it needs for that is in the directory
/// given with --work, which is removed at the end.
///
/// From a running server, it follows until it is told to stop, or, with --cut-over, until it has everything:
/// then the source refuses writes, and clients can change over to the cluster.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  onecopy import dump.rdb\n  onecopy import redis://10.0.0.7:6379 --cut-over\n  \
    onecopy import redis://:secret@10.0.0.7 --to 10.0.0.1:6379 --to 10.0.0.2:6379 --database 0:3"
)]
pub struct Arguments {
    /// An RDB file, or redis://[[USER]:PASSWORD@]HOST[:PORT] of a running server.
    from: String,
    /// Where a node of the cluster takes Redis clients; may be given several times: when one dies, the next
    /// is used. Without it, the first three nodes of `onecopy dev`.
    #[arg(long, value_name = "HOST:PORT")]
    to: Vec<String>,
    /// The user of the cluster, if it is not `default`.
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Its password.
    #[arg(long, env = "ONECOPY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Take only this database of the source, and put it into that of the cluster; may be given several
    /// times. Without it, each goes to that of the same number.
    #[arg(long, value_name = "FROM[:TO]")]
    database: Vec<String>,
    /// Overwrite keys that the cluster has already. Without it, they stay, and are listed.
    #[arg(long)]
    replace: bool,
    /// Where it keeps what another run needs, and what has been received and not executed yet.
    #[arg(long, value_name = "DIRECTORY", default_value = "onecopy-import")]
    work: PathBuf,
    /// Once everything has been taken, have the source refuse writes, take the rest, and end.
    #[arg(long)]
    cut_over: bool,
    /// The source refuses writes for so long from then on: until clients have changed over.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "cut_over")]
    pause: u64,
}

/// Runs the command.
///
/// # Errors
/// The source cannot be read, the cluster does not take what it must, or nobody answers.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let databases = Databases::parse(&arguments.database)?;
    let mut cluster = Client::new(&arguments.to, arguments.user.clone(), arguments.password.clone())?;
    let is_live = arguments.from.starts_with("redis://");
    ensure!(
        is_live || !arguments.cut_over,
        "--cut-over is for a running server: {} is a file",
        arguments.from
    );
    let mut work = Work::open(&arguments.work, &arguments.from)?;
    let mut report = Report::new(&arguments.work);
    if is_live {
        let cut_over = arguments.cut_over.then_some(cut_over::Pause(arguments.pause));
        stream::import(
            &arguments.from,
            &databases,
            arguments.replace,
            cut_over,
            &mut cluster,
            &mut work,
            &mut report,
        )?;
    } else {
        let file = std::path::Path::new(&arguments.from);
        dump::import(file, &databases, arguments.replace, &mut cluster, &mut work, &mut report)?;
    }
    work.remove(report.refused() > 0)?;
    report.end();
    Ok(if report.refused() == 0 { DONE } else { FAILED })
}
