//! How many files and connections this process may have open.

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beside the connections: programs, pipes, event loops.
const OTHERS: u64 = 200;

/// Has the system allow as many as it may to this process, and to those that it starts.
///
/// # Errors
/// If these are not enough for so many clients, and their server.
pub(crate) fn allow(clients: u64) -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let granted = maximum.unwrap_or(u64::MAX);
    let needed = clients + OTHERS;
    ensure!(
        granted >= needed,
        "{clients} clients need {needed} open files, and the system grants {granted}: raise `ulimit -Hn`"
    );
    Ok(())
}
