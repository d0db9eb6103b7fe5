//! What the nodes say, and waiting until they say something else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use onecopy::credentials::basic;
use onecopy::status::Report;
use onecopy::status::ask::{self, Answer};
use onecopy_node::NodeStatus;

use super::Cluster;
use crate::{PATIENCE, wait};

impl Cluster {
    /// What a node says about itself, if it answers within a second.
    pub fn status(&self, id: u32) -> Option<NodeStatus> {
        ask::node(&self.node(id).http.to_string(), self.authorization().as_deref()).ok()
    }

    /// What nodes are told over HTTP of who asks, if a password is needed.
    fn authorization(&self) -> Option<String> {
        self.password.as_ref().map(|password| basic("default", password))
    }

    /// From now on nodes have this password.
    pub fn set_password(&mut self, password: &str) {
        self.password = Some(password.to_owned());
    }

    /// A metric of a node, summed over its labels, if it answers.
    pub fn metric(&self, id: u32, name: &str) -> Option<u64> {
        let (_, answer) = self.http(id, "/metrics")?;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let labelled = rest.strip_prefix('{').and_then(|labels| Some(labels.split_once('}')?.1));
            labelled.unwrap_or(rest).strip_prefix(' ')?.trim().parse::<u64>().ok()
        };
        answer.lines().filter_map(value).reduce(|sum, value| sum + value)
    }

    /// What a node answers over HTTP: the status, and the body.
    pub fn http(&self, id: u32, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.http_address(id)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let says =
            self.authorization().map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n{says}\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// What all nodes say, put together as `onecopy status` does.
    pub fn report(&self) -> Report {
        let authorization = &self.authorization();
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let ask = |id: u32| {
                let http = self.node(id).http.to_string();
                let ask = move || {
                    let status = ask::node(&http, authorization.as_deref());
                    Answer { status, expected: Some(id), http }
                };
                scope.spawn(ask)
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
            // Operators may have created more databases than the settings name.
            let has_all = report.complete && report.groups.len() > self.options.databases.len();
            (has_all && report.groups.iter().all(|group| group.learners.is_empty())).then_some(())
        });
    }

    /// Waits until every node has heard of all nodes for data. The copies may be complete before a spare is
    /// known, and a node that is not known cannot be drained, for example.
    pub fn wait_until_all_are_known(&self) {
        let data = self.data_ids();
        for id in self.ids() {
            wait(&format!("node {id} to know all nodes"), PATIENCE, || {
                let known: Vec<u32> = self.status(id)?.nodes.iter().map(|node| node.node).collect();
                data.iter().all(|node| known.contains(node)).then_some(())
            });
        }
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
}
