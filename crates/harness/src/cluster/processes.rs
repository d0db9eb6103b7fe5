//! Processes: started, killed, stopped, paused; and what operators do with them.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Cluster, Node};
use crate::{PATIENCE, Stall, executable, wait};

impl Cluster {
    /// Starts a node that does not run. Does not wait until it answers.
    pub fn start_node(&mut self, id: u32) {
        let home = self.home(id);
        std::fs::create_dir_all(&home).expect("a directory for the node");
        assert!(self.node(id).child.is_none(), "node {id} runs already");
        let child = self.spawn(id, self.command(id));
        self.node_mut(id).child = Some(child);
    }

    /// Starts the process of a node, which writes to its log and ends with its stdin.
    fn spawn(&self, id: u32, mut command: Command) -> Child {
        let log = File::options().create(true).append(true).open(self.log_file(id)).expect("a log file");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        child.expect("the program can be started")
    }

    /// The command that starts a node, for tests that look at its output themselves.
    pub fn command(&self, id: u32) -> Command {
        self.command_at(id, self.node(id), &self.data_directory(id))
    }

    /// The command that starts a second process of a node: with other addresses and another directory, and
    /// everything else the same.
    pub fn second_command(&self, id: u32, directory: &Path) -> Command {
        self.command_at(id, &Node::new(), directory)
    }

    /// From its next start on, the node takes other nodes elsewhere. The settings of the others stay as they
    /// are.
    pub fn move_node(&mut self, id: u32) {
        self.node_mut(id).peer = Node::new().peer;
    }

    fn command_at(&self, id: u32, node: &Node, directory: &Path) -> Command {
        let views = self.view_ids();
        let mut roles = Vec::new();
        if views.contains(&id) {
            roles.push("view");
        }
        if id <= self.options.nodes {
            roles.extend(["data", "coordinator"]);
        }
        let reach = |(to, other): (&u32, &Node)| {
            let proxy = self.proxies.get(&(id, *to)).map(|proxy| proxy.address);
            format!("{to}={}", proxy.unwrap_or(other.known_at))
        };
        // Where links are to be cut, nobody may know a way around them: an address that nobody can reach is
        // not learnt.
        let peer = match self.options.proxied {
            true => SocketAddr::from((Ipv4Addr::UNSPECIFIED, node.peer.port())),
            false => node.peer,
        };
        let mut command = Command::new(executable());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ONECOPY_") {
                command.env_remove(name);
            }
        }
        if let Some(level) = self.options.test_levels.get(&id) {
            command.env("ONECOPY_TEST_LEVEL", level.to_string());
        }
        if let Some(stall) = self.stalls.get(&id) {
            stall.prepare(&mut command);
            let ahead = self.options.clocks.get(&id).copied().unwrap_or_default();
            command.env("CLOCK_AHEAD_SECONDS", ahead.to_string());
        }
        let founders = self.options.founders.unwrap_or(self.options.view_nodes) as usize;
        let ids: Vec<String> = views.iter().take(founders).map(u32::to_string).collect();
        command
            .args(["server", "--exit-with-stdin"])
            .args(["--node", &id.to_string(), "--cluster", &self.name])
            .arg("--data")
            .arg(directory)
            .args(["--redis", &node.redis.to_string(), "--http", &node.http.to_string()])
            .args(["--peer", &peer.to_string(), "--roles", &roles.join(",")])
            .args(["--view-nodes", &ids.join(",")])
            .args(["--copies", &self.options.copies.to_string(), "--durability", self.options.durability]);
        let mut others: Vec<String> =
            self.nodes.iter().filter(|(other, _)| **other != id).map(reach).collect();
        if others.is_empty() {
            others.push(format!("{id}={peer}"));
        }
        command.args(["--nodes", &others.join(",")]);
        if !self.options.databases.is_empty() {
            command.args(["--databases", &self.options.databases.join(",")]);
        }
        if self.options.sentinel {
            command.args(["--sentinel", &node.sentinel.to_string()]);
        }
        if !node.listeners.is_empty() {
            let listeners = self.options.listeners.iter().zip(&node.listeners);
            let texts: Vec<String> = listeners.map(|(what, address)| format!("{what}@{address}")).collect();
            command.args(["--listeners", &texts.join(",")]);
        }
        for (flag, value) in &self.options.settings {
            command.arg(format!("--{flag}")).arg(value);
        }
        command
    }

    /// Starts a node that no other one is configured for, as `onecopy node add` says.
    pub fn join(&mut self, id: u32) {
        let node = Node::new();
        let from = self.http_address(1).to_string();
        let port = |address: SocketAddr| address.port().to_string();
        let output = self.cli(&[
            "node",
            "add",
            "--from",
            &from,
            "--id",
            &id.to_string(),
            "--redis-port",
            &port(node.redis),
            "--http-port",
            &port(node.http),
            "--peer-port",
            &port(node.peer),
            "--data",
            &self.data_directory(id).to_string_lossy(),
        ]);
        assert!(output.status.success(), "{output:?}");
        std::fs::create_dir_all(self.home(id)).expect("a directory for the node");
        let file = self.home(id).join("node.toml");
        std::fs::write(&file, output.stdout).expect("a file for the settings");
        let mut command = Command::new(executable());
        command.args(["server", "--exit-with-stdin", "--config"]).arg(file);
        let child = self.spawn(id, command);
        self.nodes.insert(id, Node { child: Some(child), ..node });
    }

    /// Runs `onecopy` with these arguments.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(executable());
        command.envs(self.password.as_ref().map(|password| ("ONECOPY_PASSWORD", password)));
        command.args(arguments).stdin(Stdio::null()).output().expect("the program can be started")
    }

    /// Runs `onecopy` with these arguments, and the addresses of all nodes that run.
    pub fn operate(&mut self, arguments: &[&str]) -> Output {
        let running: Vec<u32> = self.ids().into_iter().filter(|id| self.is_running(*id)).collect();
        let addresses: Vec<String> = running.iter().map(|id| self.http_address(*id).to_string()).collect();
        let named = addresses.iter().flat_map(|address| ["--http", address]);
        self.cli(&arguments.iter().copied().chain(named).collect::<Vec<_>>())
    }

    /// The same for what must be done; returns what was said.
    pub fn must_operate(&mut self, arguments: &[&str]) -> String {
        let output = self.operate(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Starts all nodes that do not run.
    pub fn start_all(&mut self) {
        for id in self.ids() {
            if !self.is_running(id) {
                self.start_node(id);
            }
        }
    }

    /// Whether the process of a node runs (or is paused).
    pub fn is_running(&mut self, id: u32) -> bool {
        let node = self.node_mut(id);
        node.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none()))
    }

    /// The process of a node.
    pub fn pid(&self, id: u32) -> Option<u32> {
        self.node(id).child.as_ref().map(Child::id)
    }

    /// Bytes of memory that the process of a node occupies.
    pub fn resident(&self, id: u32) -> u64 {
        let pid = self.pid(id).expect("a process");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib * 1024
    }

    /// Ends a node as a crash of its process does (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self, id: u32) {
        self.signal(id, Signal::KILL);
        self.wait_for_end(id);
    }

    /// Ends several nodes at once.
    pub fn kill_all(&mut self, ids: &[u32]) {
        ids.iter().for_each(|id| self.signal(*id, Signal::KILL));
        for id in ids {
            self.wait_for_end(*id);
        }
    }

    /// Stops a node cleanly (SIGTERM), and waits until it is gone.
    pub fn terminate(&mut self, id: u32) -> ExitStatus {
        self.signal(id, Signal::TERM);
        self.wait_for_end(id)
    }

    /// Pauses a node (SIGSTOP): it keeps its connections, and believes afterwards that no time has passed.
    pub fn pause(&self, id: u32) {
        self.signal(id, Signal::STOP);
    }

    /// Lets a paused node go on (SIGCONT).
    pub fn resume(&self, id: u32) {
        self.signal(id, Signal::CONT);
    }

    /// Waits until the process of a node has ended.
    pub fn wait_for_end(&mut self, id: u32) -> ExitStatus {
        let node = self.node_mut(id);
        let child = node.child.as_mut().unwrap_or_else(|| panic!("node {id} does not run"));
        let status = wait(&format!("the end of node {id}"), PATIENCE, || child.try_wait().expect("a child"));
        node.child = None;
        status
    }

    fn signal(&self, id: u32, signal: Signal) {
        let pid = self.pid(id).unwrap_or_else(|| panic!("node {id} does not run"));
        let pid = Pid::from_raw(pid.cast_signed()).expect("a process has a number");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal node {id}: {error}"));
    }

    /// The disk of a node, which can be made to hang (only with `stallable`).
    pub fn disk(&self, id: u32) -> &Stall {
        self.stalls.get(&id).unwrap_or_else(|| panic!("the disk of {id} cannot hang: set Options::stallable"))
    }
}
