//! `onecopy dev`, as a person runs it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onecopy::dev::{ClusterFile, ClusterNode};
use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, executable, free_ports_in_a_row, wait};

/// A running `onecopy dev`. It ends when it is dropped, and its nodes with it.
#[derive(Debug)]
pub struct Dev {
    /// Its `--data`.
    pub directory: PathBuf,
    /// Its first Redis port.
    pub port: u16,
    /// Its first HTTP port.
    pub http_port: u16,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// Removed when all has ended.
    temporary: Option<tempfile::TempDir>,
}

impl Dev {
    /// Starts one on free ports in a new directory, with further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let temporary =
            tempfile::Builder::new().prefix("onecopy-test-").tempdir().expect("a temporary directory");
        let directory = temporary.path().join("cluster");
        let (port, http_port) = (free_ports_in_a_row(8), free_ports_in_a_row(8));
        let mut dev = Self::start_in(directory, port, http_port, arguments);
        dev.temporary = Some(temporary);
        dev
    }

    /// Starts one in this directory and on these ports.
    pub fn start_in(directory: PathBuf, port: u16, http_port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new(executable());
        command.arg("dev").arg("--data").arg(&directory).args(arguments);
        command.args(["--port", &port.to_string(), "--http-port", &http_port.to_string()]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program can be started");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (output, collected) = (child.stdout.take().expect("it is piped"), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                collected.lock().expect("nobody panics with this lock").push(line);
            }
        });
        Self { directory, port, http_port, child, lines, temporary: None }
    }

    /// Everything that it has printed.
    pub fn output(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics with this lock").clone()
    }

    /// How many lines it has printed; for [`Self::wait_for_line_after`].
    pub fn mark(&self) -> usize {
        self.output().len()
    }

    /// Waits until it prints a line that contains this text; returns the line.
    pub fn wait_for_line(&self, text: &str) -> String {
        self.wait_for_line_after(0, text)
    }

    /// The same, among the lines after the first `mark` ones.
    pub fn wait_for_line_after(&self, mark: usize, text: &str) -> String {
        wait(&format!("a line with {text:?}"), PATIENCE, || {
            self.output().into_iter().skip(mark).find(|line| line.contains(text))
        })
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("dev reads its stdin");
    }

    /// What runs where.
    pub fn file(&self) -> ClusterFile {
        wait("cluster.json", PATIENCE, || ClusterFile::read(&self.directory).ok())
    }

    /// One node of it.
    pub fn node(&self, id: u32) -> ClusterNode {
        self.file().nodes.into_iter().find(|node| node.id == id).unwrap_or_else(|| panic!("no node {id}"))
    }

    /// Connects to a node.
    pub fn client(&self, id: u32) -> redis::Connection {
        let address = self.node(id).redis.expect("the node takes clients");
        let client = redis::Client::open(format!("redis://{address}/")).expect("an address");
        let connection = wait(&format!("a connection to node {id}"), PATIENCE, || {
            client.get_connection_with_timeout(Duration::from_secs(2)).ok()
        });
        connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        connection
    }

    /// Sends a signal to the `dev` itself.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).expect("dev runs");
    }

    /// Waits until the `dev` has ended.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait("the end of dev", PATIENCE, || child.try_wait().expect("a child"))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what dev has printed ---\n{}", self.output().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The nodes notice that nobody holds their stdin; their files must not vanish before.
        let nodes = ClusterFile::read(&self.directory).map(|file| file.nodes).unwrap_or_default();
        for pid in nodes.iter().filter_map(|node| node.pid) {
            for _ in 0..200 {
                if !is_running(pid) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Whether a process runs, that is, exists and is no zombie.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
