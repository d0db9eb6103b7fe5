//! Starting, watching and stopping the nodes.

use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::cluster_file::ClusterFile;
use super::command::{Action, Command, HELP, Target};
use super::plan::{Plan, PlannedNode};
use super::process::NodeProcess;
use super::screen::{Input, Screen};
use super::watch::Watch;
use crate::status::ask::Answer;
use crate::status::report::{NodeReport, Report};
use crate::status::{ids, roles};
use crate::table::{aligned, row};

/// How often the processes are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long nodes may take to stop before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the cluster until somebody stops it.
pub(super) async fn run(plan: Plan, log_level: &str) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (screen, mut inputs) = Screen::open();
    let mut supervisor = Supervisor::new(plan, screen, log_level);
    supervisor.start()?;
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => break,
            _ = ticks.tick() => supervisor.look()?,
            Some(input) = inputs.recv() => match input {
                Input::Typing(typed) => supervisor.screen.typing(typed),
                Input::Line(line) if supervisor.obey(&line) => break,
                Input::Line(_) => {}
                Input::Quit => break,
            },
        }
    }
    supervisor.stop().await
}

/// What a node is doing, as far as `dev` can see.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The process runs, and has not answered yet.
    Starting,
    /// It answers.
    Up,
    /// It has stopped acknowledging writes, for this reason.
    Failed(String),
    /// It is paused by SIGSTOP.
    Paused,
    /// It runs, and has answered before, but does not now.
    Silent,
    /// No process runs; how it ended.
    Dead(String),
}

struct Supervisor {
    directory: std::path::PathBuf,
    cluster: String,
    nodes: Vec<NodeProcess>,
    /// The states that were last shown.
    states: Vec<State>,
    /// The processes that have answered.
    answered: Vec<Option<u32>>,
    watch: Watch,
    screen: Screen,
    /// The line on the groups that was last shown.
    groups: String,
    written: Option<ClusterFile>,
}

impl Supervisor {
    fn new(plan: Plan, screen: Screen, log_level: &str) -> Self {
        let watch = Watch::start(plan.nodes.iter().map(|node| (node.id(), node.config.http.to_string())));
        let count = plan.nodes.len();
        Self {
            directory: plan.directory,
            cluster: plan.cluster,
            nodes: plan.nodes.into_iter().map(|node| NodeProcess::new(node, log_level)).collect(),
            states: vec![State::Starting; count],
            answered: vec![None; count],
            watch,
            screen,
            groups: String::new(),
            written: None,
        }
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let config = &self.nodes[0].node.config;
        let durability = format!("{:?}", config.durability).to_lowercase();
        self.screen.say(&format!(
            "cluster {}: {} nodes, {} copies, durability {durability}, data in {}",
            self.cluster,
            self.nodes.len(),
            config.copies,
            self.directory.display()
        ));
        for node in &mut self.nodes {
            // Those that were started already end with their stdin.
            node.start()?;
        }
        self.write_file()?;
        for node in &self.nodes {
            self.screen.say(&where_it_listens(&node.node, node.pid()));
        }
        self.screen.say(
            "type `help` to see how to kill, pause and restart nodes, `quit` or Ctrl-C to stop everything",
        );
        Ok(())
    }

    /// Looks at the processes and at what they say, and shows what has changed.
    fn look(&mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            if node.reap() && node.restart {
                node.start()?;
            }
        }
        self.write_file()?;
        let answers = self.current_answers();
        let report = Report::of(&answers);
        for (position, answer) in answers.iter().enumerate() {
            let state = self.state(position, answer);
            if state != self.states[position] {
                let line = self.change(position, &state);
                self.screen.say(&line);
                self.states[position] = state;
            }
        }
        let groups = describe_groups(&report);
        if groups != self.groups {
            if !groups.is_empty() {
                self.screen.say(&groups);
            }
            self.groups = groups;
        }
        if self.screen.shows_table() {
            let table = self.table(&report);
            self.screen.show(table);
        }
        Ok(())
    }

    /// The latest answers. What an earlier process of a node, or a stranger on its port, has said does not
    /// count.
    fn current_answers(&self) -> Vec<Answer> {
        let mut answers = self.watch.answers();
        for (node, answer) in self.nodes.iter().zip(&mut answers) {
            if answer.status.as_ref().is_ok_and(|status| Some(status.pid) != node.pid()) {
                answer.status = Err("an earlier process answered".to_owned());
            }
        }
        answers
    }

    fn state(&mut self, position: usize, answer: &Answer) -> State {
        let node = &self.nodes[position];
        let Some(pid) = node.pid() else { return State::Dead(node.end().to_owned()) };
        if node.is_paused() {
            return State::Paused;
        }
        match &answer.status {
            Ok(status) => {
                self.answered[position] = Some(pid);
                status.failure.clone().map_or(State::Up, State::Failed)
            }
            Err(_) if self.answered[position] == Some(pid) => State::Silent,
            Err(_) => State::Starting,
        }
    }

    /// A line that says what has happened to a node.
    fn change(&self, position: usize, state: &State) -> String {
        let node = &self.nodes[position];
        let (id, pid) = (node.node.id(), node.pid().unwrap_or(0));
        match state {
            State::Starting => format!("node {id}: starting (pid {pid})"),
            State::Up => format!("node {id}: up (pid {pid})"),
            State::Failed(reason) => format!("node {id}: failed: {reason}"),
            State::Paused => format!("node {id}: paused; `cont {id}` lets it go on"),
            State::Silent => format!("node {id}: runs, but does not answer"),
            State::Dead(how) => format!("node {id}: dead, {how}; `restart {id}` starts it again"),
        }
    }

    fn table(&self, report: &Report) -> Vec<String> {
        let mut rows = vec![row([
            "node",
            "state",
            "pid",
            "role",
            "view service",
            "redis",
            "http",
            "durable",
            "commit",
            "lag",
        ])];
        for (node, state) in self.nodes.iter().zip(&self.states) {
            let said = report.nodes.iter().find(|said| said.node == node.node.id());
            rows.push(table_row(node, state, said));
        }
        let mut lines = aligned(&rows);
        lines.push(if self.groups.is_empty() {
            "no view is known yet".to_owned()
        } else {
            self.groups.clone()
        });
        lines
    }

    /// Does what a line says. Returns true if it says that all is to end.
    fn obey(&mut self, line: &str) -> bool {
        if self.screen.shows_table() {
            self.screen.typing(String::new());
        }
        let said = match Command::parse(line) {
            Ok(None) => return false,
            Ok(Some(Command::Quit)) => return true,
            Ok(Some(Command::Help)) => HELP.join("\n"),
            Ok(Some(Command::Status)) => self.table(&Report::of(&self.current_answers())).join("\n"),
            Ok(Some(Command::Node(action, target))) => {
                self.act(action, target).unwrap_or_else(|mistake| mistake)
            }
            Err(mistake) => mistake,
        };
        self.screen.say(&said);
        false
    }

    fn act(&mut self, action: Action, target: Target) -> Result<String, String> {
        let id = match target {
            Target::Node(id) => id,
            Target::Primary => {
                let report = Report::of(&self.current_answers());
                report.groups.first().map(|group| group.primary).ok_or("no node says who is primary")?
            }
        };
        let all = self.nodes.len();
        let node = self.nodes.iter_mut().find(|node| node.node.id() == id);
        let node = node.ok_or_else(|| format!("there is no node {id}: they are 1 to {all}"))?;
        let dead = || format!("node {id} is dead; `start {id}` starts it again");
        let send = |signal, name: &str| match node.signal(signal) {
            true => Ok(format!("sent {name} to node {id}")),
            false => Err(dead()),
        };
        match action {
            Action::Kill => send(Signal::KILL, "SIGKILL"),
            Action::Stop => send(Signal::STOP, "SIGSTOP"),
            Action::Continue => send(Signal::CONT, "SIGCONT"),
            Action::Start if node.pid().is_some() => Err(format!("node {id} runs already")),
            Action::Restart if node.pid().is_some() => {
                node.restart = true;
                node.signal(Signal::TERM);
                node.signal(Signal::CONT);
                Ok(format!("restarting node {id}"))
            }
            Action::Start | Action::Restart => {
                node.start().map_err(|error| format!("{error:#}"))?;
                Ok(format!("started node {id}"))
            }
        }
    }

    fn write_file(&mut self) -> anyhow::Result<()> {
        let file = ClusterFile {
            cluster: self.cluster.clone(),
            pid: std::process::id(),
            nodes: self.nodes.iter().map(NodeProcess::entry).collect(),
        };
        if self.written.as_ref() != Some(&file) {
            file.write(&self.directory)?;
            self.written = Some(file);
        }
        Ok(())
    }

    /// Stops all nodes: cleanly if they can, and anyway.
    async fn stop(&mut self) -> anyhow::Result<()> {
        self.screen.say("stopping all nodes");
        for node in &mut self.nodes {
            node.restart = false;
            node.signal(Signal::TERM);
            // A paused process takes its signals only when it goes on.
            node.signal(Signal::CONT);
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        let mut killed = false;
        loop {
            for node in &mut self.nodes {
                node.reap();
            }
            if self.nodes.iter().all(|node| node.pid().is_none()) {
                return self.write_file();
            }
            if Instant::now() >= deadline && !killed {
                killed = true;
                for node in &self.nodes {
                    if node.signal(Signal::KILL) {
                        self.screen.say(&format!("node {} did not stop in time: killed", node.node.id()));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn where_it_listens(node: &PlannedNode, pid: Option<u32>) -> String {
    let (id, pid) = (node.id(), pid.unwrap_or(0));
    let http = node.config.http;
    if node.takes_clients() {
        format!("node {id}: redis-cli -p {}   http://{http}/status   pid {pid}", node.config.redis.port())
    } else {
        format!("node {id}: view service only   http://{http}/status   pid {pid}")
    }
}

fn describe_groups(report: &Report) -> String {
    let line = |group: &crate::status::report::GroupReport| {
        if let Some(copies) = group.equal_copies() {
            let (number, database) = (group.group, &group.database);
            let (have, wanted) = (group.copies_have, group.copies_wanted);
            return format!(
                "group {number} ({database}): optimistic, on {}, {have} of {wanted} copies",
                ids(&copies)
            );
        }
        format!(
            "group {} ({}): view {}, primary {}, backups {}, learners {}, {} of {} copies",
            group.group,
            group.database,
            group.view,
            group.primary,
            ids(&group.backups),
            ids(&group.learners),
            group.copies_have,
            group.copies_wanted
        )
    };
    report.groups.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn table_row(node: &NodeProcess, state: &State, said: Option<&NodeReport>) -> Vec<String> {
    let state = match state {
        State::Starting => "starting".to_owned(),
        State::Up => "up".to_owned(),
        State::Failed(_) => "failed".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Silent => "silent".to_owned(),
        State::Dead(how) => format!("dead ({})", how.split(':').next().unwrap_or_default()),
    };
    let dash = || "-".to_owned();
    let replicas = said.map(|said| said.replicas.as_slice()).unwrap_or_default();
    let replica = replicas.first().filter(|_| replicas.len() == 1);
    let number = |number: Option<u64>| number.map_or_else(dash, |number| number.to_string());
    let config = &node.node.config;
    vec![
        node.node.id().to_string(),
        state,
        number(node.pid().map(u64::from)),
        roles(replicas),
        said.and_then(|said| said.view_service.clone()).unwrap_or_else(dash),
        if node.node.takes_clients() { config.redis.to_string() } else { dash() },
        config.http.to_string(),
        number(replica.map(|replica| replica.durable)),
        number(replica.map(|replica| replica.commit)),
        number(replicas.iter().filter_map(|replica| replica.lag).max()),
    ]
}
