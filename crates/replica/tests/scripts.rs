//! Golden scripts: small clusters driven step by step. Each file in `tests/scripts` is a sentence about the
//! protocol. `UPDATE_GOLDENFILES=1 cargo test --release -p onecopy-replica --test scripts` writes the traces
//! anew, to be reviewed.

mod cluster;

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use cluster::{Cluster, Envelope, Setup, show, wall};
use goldenscript::{Argument, Command, Context};
use onecopy_core::chunks::CHUNK;
use onecopy_core::{BootNumber, Index, NodeId, View, ViewNumber};
use onecopy_replica::Input;

/// What a script can do. Nothing happens by itself: messages and writes wait until the script lets them
/// through.
struct Script {
    cluster: Cluster,
}

type Outcome = Result<String, Box<dyn Error>>;

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome {
        self.cluster.trace.clear();
        let keys = |key: &str| command.consume_args().take_key(key).map(str::to_owned);
        let positional: Vec<String> = command
            .consume_args()
            .filter_map(|arg| match arg {
                Argument::Positional(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        let nodes: Vec<NodeId> = positional.iter().filter_map(|name| node(name).ok()).collect();
        let number = || positional.first().ok_or("which number?").map(|number| number.parse::<u64>());
        match command.name.as_str() {
            "cluster" => self.create(&keys)?,
            "view" => self.announce(number()??, &keys)?,
            "propose" => self.propose(one(&nodes)?),
            "read" => {
                let token = keys("token").ok_or("which token?")?.parse()?;
                self.cluster.step(one(&nodes)?, Input::Read { token, at_least: Index(0), touched: None });
            }
            "hand_over" => {
                let to = node(&keys("to").ok_or("to whom?")?)?;
                self.cluster.step(one(&nodes)?, Input::HandOver { to });
            }
            "admit" => return self.admit(one(&nodes)?, &keys),
            "deliver" => self.deliver(&keys)?,
            "drop" => self.lose(&keys)?,
            "persist" => self.for_each(&nodes, |cluster, id| while cluster.persist(id) {}),
            "work" => self.for_each(&nodes, |cluster, id| while cluster.work(id) {}),
            "advance" => self.cluster.advance(Duration::from_millis(number()??)),
            "settle" => self.cluster.settle(),
            "start" => self.for_each(&nodes, Cluster::start),
            "crash" => {
                let survive = keys("survive").map_or(Ok(0), |count| count.parse())?;
                self.cluster.crash(one(&nodes)?, survive);
            }
            "lose_data" => self.for_each(&nodes, Cluster::lose_data),
            "status" => return Ok(self.status()),
            other => return Err(format!("unknown command {other}").into()),
        }
        self.cluster.check_states();
        Ok(std::mem::take(&mut self.cluster.trace).join("\n"))
    }
}

fn node(name: &str) -> Result<NodeId, Box<dyn Error>> {
    Ok(NodeId(name.strip_prefix('n').ok_or("a node is named n1, n2, …")?.parse()?))
}

fn one(nodes: &[NodeId]) -> Result<NodeId, Box<dyn Error>> {
    nodes.first().copied().ok_or_else(|| "which node?".into())
}

fn list(names: Option<String>) -> Result<Vec<NodeId>, Box<dyn Error>> {
    names.unwrap_or_default().split_whitespace().map(node).collect()
}

impl Script {
    /// `cluster nodes=3 [log_bytes=…] [log_memory_bytes=…] [window=…] [prepare_bytes=…] [lag=…] [chunks=…]
    /// [lease=…]`: leases are in milliseconds
    fn create(&mut self, keys: &dyn Fn(&str) -> Option<String>) -> Result<(), Box<dyn Error>> {
        let number = |key: &str, default: usize| keys(key).map_or(Ok(default), |value| value.parse());
        let default = Setup::default();
        let setup = Setup {
            nodes: number("nodes", 3)? as u32,
            window_bytes_max: number("window", default.window_bytes_max)?,
            prepare_bytes_max: number("prepare_bytes", default.prepare_bytes_max)?,
            log_bytes_max: number("log_bytes", default.log_bytes_max)?,
            log_memory_bytes_max: number("log_memory_bytes", default.log_memory_bytes_max)?,
            join_lag_max: number("lag", default.join_lag_max as usize)? as u64,
            lease: keys("lease").map(|ms| ms.parse().map(Duration::from_millis)).transpose()?,
            padding: (number("chunks", 1)? - 1) * CHUNK,
        };
        self.cluster = Cluster::new(setup);
        self.cluster.ids().into_iter().for_each(|id| self.cluster.start(id));
        Ok(())
    }

    /// `view 2 members="n1 n2" [learners="n3"] [boot=…] [to="n1 n2"]`: the first member is the primary, in
    /// its present boot.
    fn announce(&mut self, number: u64, keys: &dyn Fn(&str) -> Option<String>) -> Result<(), Box<dyn Error>> {
        let (members, learners) = (list(keys("members"))?, list(keys("learners"))?);
        let primary = one(&members)?;
        let boot = keys("boot").map_or(Ok(self.cluster.nodes[&primary].boot), |boot| boot.parse())?;
        let replicas = |nodes: Vec<NodeId>| nodes.iter().map(|node| self.cluster.member(*node)).collect();
        let view = View {
            number: ViewNumber(number),
            primary,
            boot: BootNumber(boot),
            members: replicas(members),
            learners: replicas(learners),
        };
        let to = if keys("to").is_some() { list(keys("to"))? } else { self.cluster.ids() };
        to.into_iter().for_each(|id| self.cluster.announce(id, view.clone()));
        Ok(())
    }

    fn propose(&mut self, id: NodeId) {
        let (payload, time) = (Bytes::from_static(b"0123456789"), wall(self.cluster.now));
        self.cluster.step(id, Input::Propose { payload, time, seed: 0 });
    }

    /// `admit n1 view=2`: may a coordinator that knows this view hand in requests?
    fn admit(&self, id: NodeId, keys: &dyn Fn(&str) -> Option<String>) -> Outcome {
        let known = keys("view").ok_or("which view?")?.parse()?;
        let replica = self.cluster.replica(id).ok_or("it is down")?;
        Ok(match replica.admit(ViewNumber(known)) {
            Ok(()) => "yes".to_owned(),
            Err(refusal) => format!("no: {refusal}"),
        })
    }

    /// Some nodes, or all if none is named.
    fn for_each(&mut self, nodes: &[NodeId], act: impl Fn(&mut Cluster, NodeId)) {
        let nodes = if nodes.is_empty() { self.cluster.ids() } else { nodes.to_vec() };
        nodes.into_iter().for_each(|id| act(&mut self.cluster, id));
    }

    /// The messages on their way that match `from=` and `to=`, the first `count=` of them; what they cause
    /// stays on its way.
    fn take(&mut self, keys: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Envelope>, Box<dyn Error>> {
        let (from, to) = (keys("from"), keys("to"));
        let (from, to) = (from.as_deref().map(node).transpose()?, to.as_deref().map(node).transpose()?);
        let mut count = keys("count").map_or(Ok(usize::MAX), |count| count.parse())?;
        let wire = std::mem::take(&mut self.cluster.wire);
        let (taken, left) = wire.into_iter().partition(|envelope| {
            let matches =
                from.is_none_or(|from| envelope.from == from) && to.is_none_or(|to| envelope.to == to);
            let takes = matches && count > 0;
            count -= usize::from(takes);
            takes
        });
        self.cluster.wire = left;
        Ok(taken)
    }

    fn deliver(&mut self, keys: &dyn Fn(&str) -> Option<String>) -> Result<(), Box<dyn Error>> {
        for envelope in self.take(keys)? {
            self.cluster.deliver(envelope);
        }
        Ok(())
    }

    fn lose(&mut self, keys: &dyn Fn(&str) -> Option<String>) -> Result<(), Box<dyn Error>> {
        for Envelope { from, to, message } in self.take(keys)? {
            self.cluster.note(format!("lost: {from} → {to} {}", show::message(&message)));
        }
        Ok(())
    }

    fn status(&self) -> String {
        let lines = self.cluster.ids().into_iter().map(|id| show::status(&self.cluster, id));
        lines.collect::<Vec<String>>().join("\n")
    }
}

/// Every file of `tests/scripts` by itself, so that one that fails does not hide the others.
#[test]
fn every_script_gives_the_trace_that_was_reviewed() {
    let mut failed = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir("tests/scripts")
        .expect("the scripts")
        .map(|file| file.expect("a script").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no scripts");
    for file in files {
        let run = || goldenscript::run(&mut Script { cluster: Cluster::new(Setup::default()) }, &file);
        match std::panic::catch_unwind(run) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(format!("{}: {error}", file.display())),
            Err(_) => failed.push(format!("{}: see above", file.display())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
