//! The process of one node.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use super::cluster_file::ClusterNode;
use super::plan::PlannedNode;

/// A node and its process, if it has one.
#[derive(Debug)]
pub(super) struct NodeProcess {
    pub(super) node: PlannedNode,
    child: Option<Child>,
    /// How the last process ended, if none runs.
    end: String,
    /// Whether to start it again once it has ended.
    pub(super) restart: bool,
    log_level: String,
}

impl NodeProcess {
    pub(super) fn new(node: PlannedNode, log_level: &str) -> Self {
        Self {
            node,
            child: None,
            end: "not started".to_owned(),
            restart: false,
            log_level: log_level.to_owned(),
        }
    }

    /// Starts the node. It must not run.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        assert!(self.child.is_none(), "a node that runs is not started again");
        let log_file = self.node.log_file();
        let log = File::options().create(true).append(true).open(&log_file);
        let log = log.with_context(|| format!("cannot open {}", log_file.display()))?;
        let mut command = Command::new(executable());
        command.arg0("onecopy").arg("server").arg("--exit-with-stdin");
        command.arg("--config").arg(self.node.config_file()).arg("--log").arg(&self.log_level);
        // The settings are those of the file, whatever the environment of `dev` says.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ONECOPY_") {
                command.env_remove(name);
            }
        }
        // A group of its own: Ctrl-C on the terminal reaches `dev` alone, which stops the nodes in order. And
        // if `dev` dies while a node is paused, the kernel ends the node: it hangs up on stopped groups that
        // nobody watches.
        command.process_group(0);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.with_context(|| format!("cannot start node {}", self.node.id()))?);
        self.restart = false;
        Ok(())
    }

    /// The process, if it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How the last process ended.
    pub(super) fn end(&self) -> &str {
        &self.end
    }

    /// Notices the end of the process. Returns true if it has just ended.
    pub(super) fn reap(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        let Ok(Some(status)) = child.try_wait() else { return false };
        self.end = self.describe(status);
        self.child = None;
        true
    }

    /// Whether the process is paused by SIGSTOP.
    pub(super) fn is_paused(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses and may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
    }

    /// Sends a signal to the process. Returns false if there is none.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        // A process that has ended and is not reaped takes signals as well: nobody else can have its number.
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// What `cluster.json` says of it.
    pub(super) fn entry(&self) -> ClusterNode {
        let config = &self.node.config;
        ClusterNode {
            id: self.node.id(),
            pid: self.pid(),
            redis: self.node.takes_clients().then_some(config.redis),
            http: config.http,
            peer: config.peer,
            data: config.data.clone(),
            config: self.node.config_file(),
            log: self.node.log_file(),
        }
    }

    fn describe(&self, status: ExitStatus) -> String {
        match (status.signal(), status.code()) {
            (Some(signal), _) => format!("killed by {}", signal_name(signal)),
            (None, Some(0)) => "stopped cleanly".to_owned(),
            (None, code) => {
                let log = self.node.log_file();
                format!("exit code {}: {} ({})", code.unwrap_or(-1), last_line(&log), log.display())
            }
        }
    }
}

/// This program. If the file was replaced since it was started (by a new build), the kernel still has the old
/// one.
fn executable() -> PathBuf {
    let path = std::env::current_exe().ok().filter(|path| path.exists());
    path.unwrap_or_else(|| "/proc/self/exe".into())
}

fn signal_name(signal: i32) -> String {
    const KNOWN: [(Signal, &str); 9] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::BUS, "SIGBUS"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
    ];
    let known = KNOWN.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

fn last_line(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it logged nothing").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(15), "SIGTERM");
        assert_eq!(signal_name(200), "signal 200");
    }
}
