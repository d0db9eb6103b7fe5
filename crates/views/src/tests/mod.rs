//! The table, the monitor, its judgement, and the founding.

mod busy;
mod clocks;
mod copies;
mod decide;
mod founding;
mod leaving;
mod levels;
mod lives;
mod monitor;
mod operations;
mod properties;
mod recruit;
mod rosters;
mod slow;
mod switching;
mod table;
mod view_nodes;

use std::time::Duration;

use onecopy_core::{
    BootNumber, Grounds, GroupId, Incarnation, Index, Instant, Level, Member, NodeId, Rules, Timestamp, View,
    ViewNumber,
};

use crate::{
    Addresses, ClockError, ClockReading, Command, Database, Evidence, GroupReport, Kind, Moment, Monitor,
    MonitorConfig, Ping, Proposal, Reason, Registration, Rejection, ReplicaRole, Table,
};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const N4: NodeId = NodeId(4);
const G1: GroupId = GroupId(1);
const G2: GroupId = GroupId(2);

/// The failure timeout of these tests, in milliseconds.
const TIMEOUT: u64 = 500;
/// And that of nodes that refuse connections.
const REFUSED: u64 = 100;

/// What wall clocks show when monotonic clocks show 0.
const DAWN: u64 = 1_700_000_000_000;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The first life of a node's data is numbered like the node.
fn member(node: NodeId) -> Member {
    Member { node, incarnation: Incarnation(u128::from(node.0)) }
}

fn members(nodes: &[NodeId]) -> Vec<Member> {
    nodes.iter().copied().map(member).collect()
}

fn registration(node: NodeId) -> Registration {
    Registration {
        incarnation: member(node).incarnation,
        boot: BootNumber(1),
        holds_data: true,
        zone: String::new(),
        pid: 0,
        run: 1,
        addresses: Addresses::default(),
    }
}

fn register(node: NodeId) -> Command {
    Command::RegisterNode { node, registration: registration(node) }
}

/// A new group whose first node is the primary.
fn create(group: GroupId, copies: u32, nodes: &[NodeId]) -> Command {
    let (primary, boot) = (nodes[0], BootNumber(1));
    Command::CreateGroup { group, copies, members: members(nodes), primary, boot }
}

/// A new database, on n1 alone.
fn create_database(group: GroupId, text: &str) -> Command {
    let (database, members) = (text.parse().expect("it is one"), members(&[N1]));
    Command::CreateDatabase { group, database, copies: 1, members, primary: N1, boot: BootNumber(1) }
}

fn add_learner(expected: u64, node: NodeId) -> Command {
    Command::AddLearner { group: G1, expected: ViewNumber(expected), learner: member(node) }
}

fn add_member(expected: u64, node: NodeId) -> Command {
    Command::AddMember { group: G1, expected: ViewNumber(expected), learner: member(node) }
}

fn remove_learner(expected: u64, node: NodeId, reason: Reason) -> Command {
    Command::RemoveLearner { group: G1, expected: ViewNumber(expected), node, reason }
}

fn remove_member(expected: u64, node: NodeId, reason: Reason) -> Command {
    Command::RemoveMember { group: G1, expected: ViewNumber(expected), node, reason }
}

fn promote(expected: u64, primary: NodeId, dropped: &[NodeId], reason: Reason) -> Command {
    Command::PromoteMember {
        group: G1,
        expected: ViewNumber(expected),
        primary,
        boot: BootNumber(1),
        dropped: dropped.to_vec(),
        reason,
    }
}

/// A command as the view node n1 proposes it, without any evidence.
fn proposal(command: Command) -> Proposal {
    Proposal { by: N1, at: Timestamp(0), evidence: Vec::new(), command }
}

/// A table that has executed these commands, all of them valid.
fn table(commands: &[Command]) -> Table {
    let mut table = Table::default();
    for command in commands {
        table.apply(command, Rules::default()).unwrap();
    }
    table
}

fn view(table: &Table) -> &View {
    &table.groups()[&G1].view
}

fn ping(node: NodeId) -> Ping {
    let Registration { incarnation, boot, holds_data, zone, pid, run, addresses } = registration(node);
    Ping {
        incarnation,
        boot,
        holds_data,
        zone,
        pid,
        run,
        addresses,
        clock: ClockReading::default(),
        number: 0,
        leaving: false,
        busy_for: None,
        seeks: Vec::new(),
        table: 0,
        groups: Vec::new(),
        level: Level::FIRST,
    }
}

/// What a healthy replica of group 1 says in this view.
fn report(view: u64, role: ReplicaRole, durable: u64) -> GroupReport {
    GroupReport {
        group: G1,
        view: ViewNumber(view),
        role,
        last: Index(durable),
        durable: Index(durable),
        commit: Index(durable),
        oldest_write: None,
        oldest_prepare: None,
    }
}

fn reporting(node: NodeId, report: GroupReport) -> Ping {
    Ping { groups: vec![report], ..ping(node) }
}

/// A table, the monitor of the leader, and the clock.
struct Scene {
    table: Table,
    monitor: Monitor,
    now: Instant,
}

impl Scene {
    /// Group 1 should have `copies` members, has `nodes`, and all of `registered` have just pinged.
    fn new(copies: u32, nodes: &[NodeId], registered: &[NodeId]) -> Self {
        let mut commands: Vec<Command> = registered.iter().copied().map(register).collect();
        commands.push(create(G1, copies, nodes));
        let mut scene = Self::empty(copies);
        scene.table = table(&commands);
        registered.iter().for_each(|node| scene.ping(*node));
        scene
    }

    fn empty(copies: u32) -> Self {
        let config = MonitorConfig {
            failure_timeout: ms(TIMEOUT),
            refused_timeout: ms(REFUSED),
            copies,
            rules: Rules::default(),
        };
        let now = Instant(1_000_000_000);
        Self { table: Table::default(), monitor: Monitor::new(config, now), now }
    }

    /// All clocks are right.
    fn hear(&mut self, node: NodeId, mut ping: Ping) {
        ping.clock = ClockReading { wall: Timestamp(DAWN + self.now.0 / 1_000_000), at: self.now };
        self.monitor.heard(self.now, node, ping);
    }

    /// A healthy ping.
    fn ping(&mut self, node: NodeId) {
        self.hear(node, ping(node));
    }

    fn suspect(&mut self, from: NodeId, node: NodeId, silent_for: u64) {
        let view = view(&self.table).number;
        self.suspect_in(view, from, node, silent_for);
    }

    /// It answers, but does not acknowledge.
    fn suspect_slow(&mut self, from: NodeId, node: NodeId, behind: u64) {
        let (view, grounds) = (view(&self.table).number, Grounds::Behind(ms(behind)));
        self.accuse(view, from, node, grounds);
    }

    fn suspect_in(&mut self, view: ViewNumber, from: NodeId, node: NodeId, silent_for: u64) {
        self.accuse(view, from, node, Grounds::Silent(ms(silent_for)));
    }

    fn accuse(&mut self, view: ViewNumber, from: NodeId, node: NodeId, grounds: Grounds) {
        let moment = Moment { boot: BootNumber(1), pings: 0 };
        self.monitor.suspected(self.now, (from, moment), (G1, view), node, grounds);
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = self.now + ms(milliseconds);
    }

    fn decide(&mut self) -> Vec<Command> {
        self.monitor.decide(self.now, &self.table)
    }

    fn apply(&mut self, command: &Command) {
        self.table.apply(command, Rules::default()).unwrap();
    }
}
