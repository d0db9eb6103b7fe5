//! Golden scripts: small clusters driven step by step. Each file in `tests/scripts` is a sentence about the
//! protocol. `UPDATE_GOLDENFILES=1 cargo test --release -p onecopy-raft --test scripts` writes the traces
//! anew, to be reviewed.

mod cluster;

use std::error::Error;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use cluster::{Cluster, Setup, entry, member, show};
use goldenscript::{Command, Context};
use onecopy_core::chunks::CHUNK;
use onecopy_core::{Index, Member, Protocol, Timestamp};
use onecopy_raft::{Change, ClockDrift, Input};

/// What a script can do. Nothing happens by itself: messages and writes wait until the script lets them
/// through.
struct Script {
    cluster: Cluster,
}

type Outcome = Result<String, Box<dyn Error>>;

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome {
        self.cluster.trace = Some(Vec::new());
        let mut args = command.consume_args();
        let keys = |key: &str| command.consume_args().take_key(key).map(str::to_owned);
        let nodes: Vec<Member> = command
            .consume_args()
            .filter_map(|arg| match arg {
                goldenscript::Argument::Positional(name) => node(name).ok(),
                _ => None,
            })
            .collect();
        match command.name.as_str() {
            "cluster" => self.create(&keys)?,
            "log" => self.make_up_log(one(&nodes)?, &keys)?,
            "start" => self.for_each(&nodes, Cluster::start),
            "crash" => self.for_each(&nodes, |cluster, id| cluster.crash(id, 0)),
            "timeout" => self.time_out(one(&nodes)?)?,
            "advance" => {
                self.cluster.advance(Duration::from_millis(args.next_pos().ok_or("how long?")?.parse()?))
            }
            "run" => self.run_well(args.next_pos().ok_or("how long?")?.parse()?),
            "deliver" => self.deliver(&keys)?,
            "drop" => self.lose(&keys)?,
            "persist" => self.for_each(&nodes, |cluster, id| while cluster.persist(id) {}),
            "work" => self.for_each(&nodes, |cluster, id| while cluster.work(id) {}),
            "settle" => self.cluster.settle(),
            "isolate" => self.isolate(one(&nodes)?),
            "heal" => self.cluster.cut.clear(),
            "propose" => self.propose(one(&nodes)?, command.consume_args().nth(1).is_some()),
            "read" => {
                let token = keys("token").ok_or("which token?")?.parse()?;
                self.cluster.step(one(&nodes)?, Input::Read { token });
            }
            "wipe" => drop(self.cluster.wipe(one(&nodes)?)),
            "change" => {
                let input = Input::Change { changes: changes(&keys)? };
                self.cluster.step(one(&nodes)?, input);
            }
            "transfer" => {
                let to = *nodes.get(1).ok_or("to whom?")?;
                self.cluster.step(one(&nodes)?, Input::Transfer { to });
            }
            "members" => return Ok(self.membership(one(&nodes)?)),
            "status" => return Ok(self.status()),
            other => return Err(format!("unknown command {other}").into()),
        }
        Ok(self.cluster.trace.take().unwrap_or_default().join("\n"))
    }
}

fn node(name: &str) -> Result<Member, Box<dyn Error>> {
    let name = name.strip_prefix('n').ok_or("a member is named n1, n2, …, and n1.2 in its second life")?;
    let (node, life) = name.split_once('.').unwrap_or((name, "1"));
    Ok(member(node.parse()?, life.parse()?))
}

/// `learner="n4 …" promote="n4 …" remove="n1 …"`
fn changes(keys: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Change>, Box<dyn Error>> {
    let named = |key: &str| -> Result<Vec<Member>, Box<dyn Error>> {
        keys(key).unwrap_or_default().split_whitespace().map(node).collect()
    };
    let mut changes: Vec<Change> = named("learner")?.into_iter().map(Change::AddLearner).collect();
    changes.extend(named("promote")?.into_iter().map(Change::Promote));
    changes.extend(named("remove")?.into_iter().map(Change::Remove));
    Ok(changes)
}

fn one(nodes: &[Member]) -> Result<Member, Box<dyn Error>> {
    nodes.first().copied().ok_or_else(|| "which member?".into())
}

impl Script {
    /// `cluster members=3 [log_bytes=…] [append_bytes=…] [inflight=…] [chunks=…] [stopped=yes] [spares=…]
    /// [leases=yes]`
    fn create(&mut self, keys: &dyn Fn(&str) -> Option<String>) -> Result<(), Box<dyn Error>> {
        let number = |key: &str, default: usize| keys(key).map_or(Ok(default), |value| value.parse());
        let default = Setup::default();
        let setup = Setup {
            members: number("members", 3)? as u32,
            spares: number("spares", 0)? as u32,
            leases: keys("leases").map(|_| ClockDrift { ppm: 0 }),
            append_bytes_max: number("append_bytes", default.append_bytes_max)?,
            inflight_max: number("inflight", default.inflight_max)?,
            log_bytes_max: number("log_bytes", default.log_bytes_max)?,
            padding: (number("chunks", 1)? - 1) * CHUNK,
            ..default
        };
        self.cluster = Cluster::new(setup);
        if keys("stopped").is_none() {
            for id in self.cluster.ids() {
                self.cluster.start(id);
            }
        }
        Ok(())
    }

    /// `log n1 terms="1 1 2" term=2 [commit=1]`: what the stopped member has on disk.
    fn make_up_log(
        &mut self,
        id: Member,
        keys: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), Box<dyn Error>> {
        let terms = keys("terms").unwrap_or_default();
        let mut entries = Vec::new();
        for (position, term) in terms.split_whitespace().enumerate() {
            entries.push(entry(position as u64 + 1, term.parse()?));
        }
        let mut state = vec![2];
        state.put_u64_le(keys("term").ok_or("which term?")?.parse()?);
        state.extend([0; 21]);
        let commit = keys("commit").map_or(Ok(0), |commit| commit.parse())?;
        let member = self.cluster.members.get_mut(&id).ok_or("which member?")?;
        member.disk.make_up(Bytes::from(state), entries, Index(commit));
        Ok(())
    }

    /// Some members, or all if none is named.
    fn for_each(&mut self, nodes: &[Member], act: impl Fn(&mut Cluster, Member)) {
        let nodes = if nodes.is_empty() { self.cluster.ids() } else { nodes.to_vec() };
        for id in nodes {
            act(&mut self.cluster, id);
        }
    }

    /// The clock moves to the member's deadline, and only this member notices.
    fn time_out(&mut self, id: Member) -> Result<(), Box<dyn Error>> {
        let deadline = self.cluster.raft(id).and_then(Protocol::deadline).ok_or("it waits for nothing")?;
        self.cluster.now = self.cluster.now.max(deadline);
        self.cluster.step(id, Input::Elapsed);
        Ok(())
    }

    /// Time passes, and everything works as it should.
    fn run_well(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.cluster.advance(Duration::from_millis(1));
            self.cluster.settle();
        }
    }

    /// The messages on their way that match `from=` and `to=`, the first `count=` of them; what they cause
    /// stays on its way.
    fn take(
        &mut self,
        keys: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<cluster::Envelope>, Box<dyn Error>> {
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
        for envelope in self.take(keys)? {
            let line = format!(
                "lost: {} → {} {}",
                show::name(envelope.from),
                show::name(envelope.to),
                show::message(&envelope.message)
            );
            self.cluster.trace.get_or_insert_default().push(line);
        }
        Ok(())
    }

    fn isolate(&mut self, id: Member) {
        let others = self.cluster.ids();
        self.cluster.cut.extend(others.into_iter().flat_map(|other| [(id, other), (other, id)]));
    }

    fn propose(&mut self, id: Member, large: bool) {
        let payload = Bytes::from(vec![b'x'; if large { 1000 } else { 10 }]);
        let time = Timestamp(self.cluster.now.0 / 1_000_000);
        self.cluster.step(id, Input::Propose { payload, time, seed: 0 });
    }

    /// What a member knows of the group.
    fn membership(&self, id: Member) -> String {
        let Some(raft) = self.cluster.raft(id) else { return "it is down".into() };
        let followers = raft.followers().into_iter().map(|follower| {
            format!("\n{}: {:?}, has {}", show::name(follower.member), follower.phase, follower.matched)
        });
        std::iter::once(show::configuration(raft.configuration())).chain(followers).collect()
    }

    fn status(&self) -> String {
        let lines: Vec<String> =
            self.cluster.ids().iter().map(|id| show::status(&self.cluster, *id)).collect();
        lines.join("\n")
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
