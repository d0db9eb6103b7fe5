//! A cluster of `onecopy server` processes, and faults for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use onecopy::status::Report;
use onecopy::status::ask::{self, Answer};
use onecopy_node::NodeStatus;
use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, Proxy, Stall, executable, free_port, wait};

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes hold data and take clients: nodes 1, 2, …
    pub nodes: u32,
    /// How many copies of the data there are.
    pub copies: u32,
    /// How many nodes form the view service: 1, 3 or 5.
    pub view_nodes: u32,
    /// How many of these found the cluster, if not all: 1, 3 or 5. The others wait to be added.
    pub founders: Option<u32>,
    /// Whether these are nodes of their own, after those with data, rather than the first of them.
    pub separate: bool,
    /// `disk` or `memory`.
    pub durability: &'static str,
    /// Whether the links between nodes go through proxies, so that they can be cut.
    pub proxied: bool,
    /// Whether the disks of nodes can be made to hang.
    pub stallable: bool,
    /// Further settings, as flags of `onecopy server`: `("limits-clients", "100")`.
    pub settings: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 3,
            copies: 2,
            view_nodes: 3,
            founders: None,
            separate: false,
            durability: "disk",
            proxied: false,
            stallable: false,
            settings: Vec::new(),
        }
    }
}

/// A cluster. It ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// What it is made of.
    pub options: Options,
    /// Where everything is: `node-K/data`, `node-K/log`.
    pub directory: tempfile::TempDir,
    name: String,
    nodes: BTreeMap<u32, Node>,
    /// The links, by who connects and to whom.
    proxies: BTreeMap<(u32, u32), Proxy>,
    /// The disks that can hang, by node.
    stalls: BTreeMap<u32, Stall>,
}

/// One node.
#[derive(Debug)]
struct Node {
    redis: SocketAddr,
    http: SocketAddr,
    peer: SocketAddr,
    child: Option<Child>,
}

impl Cluster {
    /// Starts a new cluster, and waits until its data has all copies.
    pub fn start(options: Options) -> Self {
        let mut cluster = Self::prepare(options);
        cluster.start_all();
        cluster.wait_until_complete();
        cluster
    }

    /// Chooses ports and directories, but starts nothing.
    pub fn prepare(options: Options) -> Self {
        let last = options.nodes + if options.separate { options.view_nodes } else { 0 };
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let node = |_| Node { redis: address(), http: address(), peer: address(), child: None };
        let nodes: BTreeMap<u32, Node> = (1..=last).map(|id| (id, node(id))).collect();
        let mut proxies = BTreeMap::new();
        if options.proxied {
            for from in nodes.keys() {
                for (to, target) in nodes.iter().filter(|(to, _)| *to != from) {
                    proxies.insert((*from, *to), Proxy::start(target.peer));
                }
            }
        }
        let directory =
            tempfile::Builder::new().prefix("onecopy-test-").tempdir().expect("a temporary directory");
        let stalls = match options.stallable {
            true => Stall::for_each(nodes.keys().copied(), directory.path()),
            false => BTreeMap::new(),
        };
        let name = format!("test-{:016x}", rand::random::<u64>());
        Self { options, directory, name, nodes, proxies, stalls }
    }

    /// The ids of all nodes.
    pub fn ids(&self) -> Vec<u32> {
        self.nodes.keys().copied().collect()
    }

    /// The ids of the nodes that hold data and take clients.
    pub fn data_ids(&self) -> Vec<u32> {
        (1..=self.options.nodes).collect()
    }

    /// The ids of the nodes that form the view service.
    pub fn view_ids(&self) -> Vec<u32> {
        let first = if self.options.separate { self.options.nodes + 1 } else { 1 };
        (first..first + self.options.view_nodes).collect()
    }

    // --- Processes ---

    /// Starts a node that does not run. Does not wait until it answers.
    pub fn start_node(&mut self, id: u32) {
        let home = self.home(id);
        std::fs::create_dir_all(&home).expect("a directory for the node");
        let log = File::options().create(true).append(true).open(self.log_file(id)).expect("a log file");
        let mut command = self.command(id);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        let node = self.node_mut(id);
        assert!(node.child.is_none(), "node {id} runs already");
        node.child = Some(child.expect("the program can be started"));
    }

    /// The command that starts a node, for tests that look at its output themselves.
    pub fn command(&self, id: u32) -> Command {
        let node = self.node(id);
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
            format!("{to}={}", proxy.unwrap_or(other.peer))
        };
        let mut command = Command::new(executable());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ONECOPY_") {
                command.env_remove(name);
            }
        }
        if let Some(stall) = self.stalls.get(&id) {
            stall.prepare(&mut command);
        }
        let founders = self.options.founders.unwrap_or(self.options.view_nodes) as usize;
        let ids: Vec<String> = views.iter().take(founders).map(u32::to_string).collect();
        command
            .args(["server", "--exit-with-stdin"])
            .args(["--node", &id.to_string(), "--cluster", &self.name])
            .arg("--data")
            .arg(self.data_directory(id))
            .args(["--redis", &node.redis.to_string(), "--http", &node.http.to_string()])
            .args(["--peer", &node.peer.to_string(), "--roles", &roles.join(",")])
            .args(["--view-nodes", &ids.join(",")])
            .args(["--nodes", &self.nodes.iter().map(reach).collect::<Vec<_>>().join(",")])
            .args(["--copies", &self.options.copies.to_string(), "--durability", self.options.durability]);
        for (flag, value) in &self.options.settings {
            command.arg(format!("--{flag}")).arg(value);
        }
        command
    }

    /// Starts a node that no other one is configured for, as `onecopy node add` says.
    pub fn join(&mut self, id: u32) {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let node = Node { redis: address(), http: address(), peer: address(), child: None };
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
        let log = File::options().create(true).append(true).open(self.log_file(id)).expect("a log file");
        let mut command = Command::new(executable());
        command.args(["server", "--exit-with-stdin", "--config"]).arg(file);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        self.nodes.insert(id, Node { child: Some(child.expect("the program can be started")), ..node });
    }

    /// Runs `onecopy` with these arguments.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(executable());
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

    // --- Links (only with `proxied`) ---

    /// Cuts one direction: nothing that `from` sends reaches `to`. The other direction is not touched.
    pub fn cut(&self, from: u32, to: u32) {
        self.set_cut(from, to, true);
    }

    /// Heals one direction.
    pub fn heal(&self, from: u32, to: u32) {
        self.set_cut(from, to, false);
    }

    /// Cuts both directions between two nodes.
    pub fn cut_both(&self, one: u32, other: u32) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Cuts a node off from all others, both ways. Clients still reach it.
    pub fn isolate(&self, id: u32) {
        self.others(id).iter().for_each(|other| self.cut_both(id, *other));
    }

    /// Cuts all links between two sides.
    pub fn partition(&self, one_side: &[u32], other_side: &[u32]) {
        for one in one_side {
            other_side.iter().for_each(|other| self.cut_both(*one, *other));
        }
    }

    /// Heals all links. What was sent meanwhile arrives late.
    pub fn heal_all(&self) {
        for proxy in self.proxies.values() {
            proxy.cut_forward(false);
            proxy.cut_backward(false);
            proxy.delay(Duration::ZERO);
        }
    }

    /// Breaks the connections between two nodes: both notice, and what was under way is lost.
    pub fn reset_connections(&self, one: u32, other: u32) {
        self.proxy(one, other).reset();
        self.proxy(other, one).reset();
    }

    /// Everything between two nodes takes so long each way, until [`Self::heal_all`].
    pub fn slow_down(&self, one: u32, other: u32, delay: Duration) {
        self.proxy(one, other).delay(delay);
        self.proxy(other, one).delay(delay);
    }

    fn set_cut(&self, from: u32, to: u32, cut: bool) {
        // What `from` sends goes forward on the connections that it opened, and back on those that it took.
        self.proxy(from, to).cut_forward(cut);
        self.proxy(to, from).cut_backward(cut);
    }

    /// The link that `from` opens to `to`.
    pub fn proxy(&self, from: u32, to: u32) -> &Proxy {
        let proxy = self.proxies.get(&(from, to));
        proxy.unwrap_or_else(|| panic!("there is no proxy from {from} to {to}: set Options::proxied"))
    }

    fn others(&self, id: u32) -> Vec<u32> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }

    // --- What the nodes say ---

    /// What a node says about itself, if it answers within a second.
    pub fn status(&self, id: u32) -> Option<NodeStatus> {
        ask::node(&self.node(id).http.to_string()).ok()
    }

    /// A metric of a node without labels, if it answers.
    pub fn metric(&self, id: u32, name: &str) -> Option<u64> {
        let mut stream = TcpStream::connect(self.http_address(id)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        answer.lines().find_map(value)
    }

    /// What all nodes say, put together as `onecopy status` does.
    pub fn report(&self) -> Report {
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let ask = |id: u32| {
                let http = self.node(id).http.to_string();
                scope.spawn(move || Answer { status: ask::node(&http), expected: Some(id), http })
            };
            let asked: Vec<_> = self.ids().into_iter().map(ask).collect();
            asked.into_iter().map(|asked| asked.join().expect("asking does not panic")).collect()
        });
        Report::of(&answers)
    }

    /// The primary of the newest view that a node knows.
    pub fn primary(&self) -> u32 {
        wait("a primary", PATIENCE, || self.report().groups.first().map(|group| group.primary))
    }

    /// The node that leads the view service.
    pub fn view_leader(&self) -> u32 {
        wait("a leader of the view service", PATIENCE, || {
            let leads = |service: &Option<String>| service.as_deref() == Some("leader");
            self.report().nodes.iter().find(|node| leads(&node.view_service)).map(|node| node.node)
        })
    }

    /// The number of the newest view that a node knows.
    pub fn view(&self) -> u64 {
        self.report().groups.first().map_or(0, |group| group.view)
    }

    /// What a node is in the data group: `primary`, `backup`, `learner`, `retired` or `spare`.
    pub fn role(&self, id: u32) -> Option<String> {
        self.status(id)?.replicas.first().map(|replica| replica.role.clone())
    }

    /// Waits until the data has all its copies, and nobody is catching up.
    pub fn wait_until_complete(&self) {
        wait("all copies of the data", PATIENCE, || {
            let report = self.report();
            (report.complete && report.groups.iter().all(|group| group.learners.is_empty())).then_some(())
        });
    }

    /// Waits until another node than `old` is primary; returns it.
    pub fn wait_for_other_primary(&self, old: u32) -> u32 {
        wait(&format!("another primary than node {old}"), PATIENCE, || {
            self.report().groups.first().map(|group| group.primary).filter(|primary| *primary != old)
        })
    }

    /// Waits until a node answers over HTTP.
    pub fn wait_until_up(&self, id: u32) {
        wait(&format!("an answer of node {id}"), PATIENCE, || self.status(id));
    }

    /// Waits until a node answers clients: after a start it executes its log again first.
    pub fn wait_until_serving(&self, id: u32) {
        let ask = || redis::cmd("GET").arg("").query::<Option<u64>>(&mut self.try_client(id).ok()?).ok();
        wait(&format!("an answer of node {id} to a client"), PATIENCE, ask);
    }

    // --- Clients ---

    /// Connects to a node. Commands that take longer than 10 s fail.
    pub fn client(&self, id: u32) -> redis::Connection {
        wait(&format!("a connection to node {id}"), PATIENCE, || self.try_client(id).ok())
    }

    /// Connects to a node, once.
    pub fn try_client(&self, id: u32) -> redis::RedisResult<redis::Connection> {
        let client = redis::Client::open(format!("redis://{}/", self.redis_address(id)))?;
        let connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(connection)
    }

    /// Where a node takes Redis clients.
    pub fn redis_address(&self, id: u32) -> SocketAddr {
        self.node(id).redis
    }

    /// Where a node answers HTTP.
    pub fn http_address(&self, id: u32) -> SocketAddr {
        self.node(id).http
    }

    /// Where a node takes other nodes.
    pub fn peer_address(&self, id: u32) -> SocketAddr {
        self.node(id).peer
    }

    // --- Files ---

    /// The data directory of a node.
    pub fn data_directory(&self, id: u32) -> PathBuf {
        self.home(id).join("data")
    }

    /// The segments of a node's durable log, oldest first.
    pub fn segments(&self, id: u32) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data_directory(id).join("log")).expect("a log");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "segment"));
        files.sort();
        files
    }

    /// What a node has logged, over all its starts.
    pub fn log(&self, id: u32) -> String {
        std::fs::read_to_string(self.log_file(id)).unwrap_or_default()
    }

    fn log_file(&self, id: u32) -> PathBuf {
        self.home(id).join("log")
    }

    fn home(&self, id: u32) -> PathBuf {
        self.directory.path().join(format!("node-{id}"))
    }

    fn node(&self, id: u32) -> &Node {
        self.nodes.get(&id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    fn node_mut(&mut self, id: u32) -> &mut Node {
        self.nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no node {id}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for id in self.ids() {
                let log = self.log(id);
                let lines: Vec<&str> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(20)..].join("\n");
                eprintln!("--- the end of the log of node {id} ---\n{end}");
            }
        }
        for node in self.nodes.values_mut() {
            if let Some(mut child) = node.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (work(), begin.elapsed())
}
