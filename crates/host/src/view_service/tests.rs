mod members;

use std::collections::{BTreeMap, VecDeque};

use onecopy_core::{BootNumber, ViewNumber, Write};
use onecopy_views::{Addresses, ClockReading, GroupReport, Registration, ReplicaRole};

use super::*;
use crate::disk::{ArchiveEvent, ArchiveJob};

const DATA: GroupId = GroupId(1);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn settings(node: u32, life: u128) -> ViewSettings {
    ViewSettings {
        node: NodeId(node),
        incarnation: Incarnation(life),
        view_nodes: [1, 2, 3].map(NodeId).to_vec(),
        databases: Vec::new(),
        copies: 2,
        failure_timeout: Duration::from_millis(500),
        refused_timeout: Duration::from_millis(100),
        election_timeout: Duration::from_millis(300),
        append_bytes_max: 1 << 20,
        log_bytes_max: 1 << 20,
        seed: u64::from(node),
        rules: Rules::default(),
    }
}

/// View nodes whose messages arrive at once, and whose disks are quick.
struct Cluster {
    now: u64,
    nodes: BTreeMap<NodeId, (ViewService, Out<ViewEffect>)>,
    /// What every node was told last.
    told: BTreeMap<NodeId, Arc<Table>>,
    /// What operators were told.
    operated: Vec<(NodeId, u64, Result<(), String>)>,
}

impl Cluster {
    fn start() -> Self {
        let mut cluster =
            Self { now: 0, nodes: BTreeMap::new(), told: BTreeMap::new(), operated: Vec::new() };
        (1..=3).for_each(|node| cluster.start_node(settings(node, 10 + u128::from(node)), Kept::default()));
        cluster
    }

    fn start_node(&mut self, settings: ViewSettings, kept: Kept) {
        let (node, mut out) = (settings.node, Out::default());
        let service = ViewService::start(settings, kept, (at(self.now), Timestamp(0)), &mut (), &mut out);
        self.nodes.insert(node, (service, out));
    }

    fn service(&self, node: u32) -> &ViewService {
        &self.nodes[&NodeId(node)].0
    }

    fn leader(&self) -> Option<NodeId> {
        let leads = self.nodes.iter().find(|(_, (service, _))| service.leads());
        leads.map(|(node, _)| *node)
    }

    /// Time passes, in steps of 10 ms; all of `alive` ping.
    fn run(&mut self, millis: u64, alive: &[u32]) {
        for _ in 0..millis / 10 {
            self.now += 10;
            let now = at(self.now);
            for (service, out) in self.nodes.values_mut() {
                for node in alive {
                    service.pinged(now, NodeId(*node), ping(*node, u64::MAX), out);
                }
                service.look(now, Timestamp(self.now), &mut (), out);
            }
            self.settle();
        }
    }

    /// Does what the nodes want until they want nothing more.
    fn settle(&mut self) {
        let now = at(self.now);
        let mut letters = VecDeque::new();
        loop {
            for (from, (service, out)) in &mut self.nodes {
                while !out.writes.is_empty() || !out.archive.is_empty() {
                    for job in std::mem::take(&mut out.writes) {
                        service.persisted(now, job.group, job.ticket, &mut (), out);
                    }
                    for job in std::mem::take(&mut out.archive) {
                        if let ArchiveJob::Finish { name } = job {
                            service.archived(now, ArchiveEvent::Finished { name }, &mut (), out);
                        }
                    }
                }
                letters.extend(std::mem::take(&mut out.effects).into_iter().map(|effect| (*from, effect)));
            }
            let Some((from, effect)) = letters.pop_front() else { return };
            let (ViewEffect::Hello { to, .. }
            | ViewEffect::Raft { to, .. }
            | ViewEffect::Announce { to, .. }
            | ViewEffect::Refuse { to, .. }
            | ViewEffect::Show { to, .. }
            | ViewEffect::LookFor { node: to, .. }
            | ViewEffect::Operated { to, .. }) = &effect;
            if let ViewEffect::Operated { to, request, outcome } = effect {
                self.operated.push((to, request, outcome));
                continue;
            }
            let Some((service, out)) = self.nodes.get_mut(to) else { continue };
            match effect {
                ViewEffect::Hello { hello, .. } => service.greeted(now, from, hello, out),
                ViewEffect::Raft { letter, .. } => service.received(now, from, letter, &mut (), out),
                ViewEffect::Announce { to, table } | ViewEffect::Show { to, table, .. } => {
                    service.learnt(&table);
                    self.told.insert(to, table);
                }
                ViewEffect::Operated { .. } | ViewEffect::Refuse { .. } | ViewEffect::LookFor { .. } => {}
            }
        }
    }
}

fn ping(node: u32, table: u64) -> Ping {
    Ping {
        incarnation: Incarnation(u128::from(node)),
        boot: BootNumber(1),
        number: 0,
        holds_data: true,
        zone: String::new(),
        pid: 1,
        run: 1,
        addresses: Addresses::default(),
        clock: ClockReading::default(),
        leaving: false,
        busy_for: None,
        seeks: Vec::new(),
        table,
        groups: Vec::new(),
        level: onecopy_core::Level::FIRST,
    }
}

#[test]
fn a_cluster_is_founded_and_gets_its_group() {
    let mut cluster = Cluster::start();
    cluster.run(200, &[1, 2, 3]);
    for node in 1..=3 {
        let GenesisStanding::Member(membership) = cluster.service(node).standing() else { panic!("{node}") };
        assert_eq!(membership.members.values().map(|life| life.0).collect::<Vec<_>>(), [11, 12, 13]);
    }
    cluster.run(2_000, &[1, 2, 3]);
    assert!(cluster.leader().is_some());
    let table = cluster.service(1).table();
    assert_eq!((table.nodes().len(), table.groups()[&DATA].view.number), (3, ViewNumber(1)));
    for node in 1..=3 {
        assert_eq!(cluster.service(node).table(), table, "{node}");
        assert_eq!(cluster.told[&NodeId(node)].version(), table.version(), "{node}");
    }
}

#[test]
fn nobody_votes_before_the_membership_is_durable() {
    let mut out = Out::default();
    let alone = ViewSettings { view_nodes: vec![NodeId(1)], ..settings(1, 11) };
    let start = (at(0), Timestamp(0));
    let mut service = ViewService::start(alone, Kept::default(), start, &mut (), &mut out);
    assert!(service.raft().is_none());
    let job = out.writes.pop().expect("the membership");
    assert_eq!(job.group, GENESIS_GROUP);
    assert!(matches!(job.writes[..], [Write::State(_)]));
    service.persisted(at(1), GENESIS_GROUP, job.ticket, &mut (), &mut out);
    assert!(service.raft().is_some());
}

#[test]
fn a_silent_primary_is_succeeded_and_everybody_hears_of_it() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let first = cluster.service(1).table().groups()[&DATA].view.primary;
    let others: Vec<u32> = (1..=3).filter(|node| *node != first.0).collect();
    cluster.run(2_000, &others);
    let table = cluster.service(others[0]).table();
    assert_ne!(table.groups()[&DATA].view.primary, first);
    assert_eq!(cluster.told[&first].version(), table.version());
}

#[test]
fn a_view_node_that_slept_accuses_nobody() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let version = cluster.service(1).table().version();
    cluster.now += 10_000;
    cluster.run(300, &[]);
    assert_eq!(cluster.service(1).table().version(), version);
}

#[test]
fn a_view_node_that_slept_takes_no_second_process_for_the_first() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    cluster.now += 10_000;
    let now = at(cluster.now);
    let (service, out) = cluster.nodes.get_mut(&NodeId(1)).expect("it is there");
    let second = Ping { incarnation: Incarnation(99), run: 7, ..ping(3, u64::MAX) };
    service.pinged(now, NodeId(3), second, out);
    assert!(matches!(&out.effects[..], [ViewEffect::Refuse { .. }]), "{:?}", out.effects);
    assert!(service.monitor.last_ping(now, NodeId(3)).is_some_and(|(_, ping)| ping.run == 1));
}

#[test]
fn a_leader_that_slept_gives_nobody_up() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    let view = cluster.service(1).table().groups()[&DATA].view.clone();
    let [sole, _] = view.members[..] else { panic!("{view:?}") };
    let has_something = GroupReport {
        group: DATA,
        view: view.number,
        role: ReplicaRole::Backup,
        last: Index(1),
        durable: Index(1),
        commit: Index(1),
        oldest_write: None,
        oldest_prepare: None,
    };
    cluster.now += 10_000;
    let now = at(cluster.now);
    let (service, out) = cluster.nodes.get_mut(&leader).expect("it is there");
    let said = Ping { groups: vec![has_something], number: 99, ..ping(sole.node.0, u64::MAX) };
    service.pinged(now, sole.node, said, out);
    out.effects.clear();
    let recover = Command::Recover { group: DATA, expected: view.number, sole, boot: BootNumber(1) };
    service.operated(now, (NodeId(2), 5), recover, &mut (), out);
    let told = out.effects.iter().find_map(|effect| match effect {
        ViewEffect::Operated { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    let reason = told.expect("it answers").expect_err("the other member may be alive");
    assert!(reason.contains("is alive, a member"), "{reason}");
}

#[test]
fn whoever_knows_an_old_table_is_told_the_new_one_by_anybody() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    let (service, out) = cluster
        .nodes
        .iter_mut()
        .find(|(node, _)| **node != leader)
        .map(|(_, node)| node)
        .expect("a follower");
    let version = service.table().version();
    service.pinged(at(cluster.now), NodeId(2), ping(2, version), out);
    assert!(out.effects.is_empty());
    service.pinged(at(cluster.now), NodeId(2), ping(2, version - 1), out);
    assert!(matches!(&out.effects[..], [ViewEffect::Announce { to: NodeId(2), .. }]));
}

#[test]
fn a_snapshot_of_the_table_is_one_piece() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let (service, out) = cluster.nodes.get_mut(&NodeId(2)).expect("it is there");
    service.snapshot_wanted(out);
    let [ArchiveJob::Write { offset: 0, data, .. }, ArchiveJob::Finish { name }] = &out.archive[..] else {
        panic!("{:?}", out.archive);
    };
    let image = ViewImage::decode(data).expect("it is an image");
    assert_eq!(&image.table, service.table());
    assert_eq!(Some(&image.configuration), service.raft().map(Raft::configuration));
    let name = *name;
    out.archive.clear();
    // While it is on its way no other is begun.
    service.snapshot_wanted(out);
    assert_eq!(out.archive, []);
    service.archived(at(cluster.now), ArchiveEvent::Finished { name }, &mut (), out);
    assert_eq!(service.raft().map(|raft| raft.log().base()), Some(name.id));
}

#[test]
fn only_the_leader_does_what_operators_want() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    let version = cluster.service(1).table().version();
    let registration = Registration {
        incarnation: Incarnation(0),
        boot: BootNumber(0),
        holds_data: false,
        zone: String::new(),
        pid: 7,
        run: 1,
        addresses: Addresses::default(),
    };
    let command = Command::RegisterNode { node: NodeId(9), registration };
    for propose in [false, true] {
        for (node, (service, out)) in &mut cluster.nodes {
            if (*node == leader) == propose {
                service.operated(at(cluster.now), (NodeId(2), 5), command.clone(), &mut (), out);
            }
        }
        cluster.settle();
        cluster.run(200, &[1, 2, 3]);
        assert_eq!(cluster.service(1).table().version() > version, propose);
        assert_eq!(cluster.operated, if propose { vec![(NodeId(2), 5, Ok(()))] } else { vec![] });
    }
}

#[test]
fn an_operator_hears_why_something_is_refused() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    let (service, out) = cluster.nodes.get_mut(&leader).expect("it is there");
    let command = Command::ForgetNode { node: NodeId(1) };
    service.operated(at(cluster.now), (NodeId(3), 1), command, &mut (), out);
    cluster.settle();
    cluster.run(200, &[1, 2, 3]);
    let why = "the node has a copy of a group: drain it first".to_owned();
    assert_eq!(cluster.operated, [(NodeId(3), 1, Err(why))]);
}

#[test]
fn what_happened_is_remembered_with_who_decided_it() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    let events = cluster.service(1).table().events();
    assert!(events.iter().all(|event| event.proposal.by == leader), "{events:?}");
    assert!(
        events.iter().any(|event| event.to_string().starts_with("g1 created with 2 copies")),
        "{events:?}"
    );
}

#[test]
fn a_second_process_is_told_why_it_is_not_heard_and_one_that_comes_after_waits() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let newcomer = Ping { incarnation: Incarnation(99), run: 7, ..ping(3, u64::MAX) };
    let tries = |cluster: &mut Cluster| {
        let now = at(cluster.now);
        let (service, out) = cluster.nodes.get_mut(&NodeId(1)).expect("it is there");
        service.pinged(now, NodeId(3), newcomer.clone(), out);
        let effects = std::mem::take(&mut out.effects);
        let told = effects
            .iter()
            .any(|effect| matches!(effect, ViewEffect::Refuse { refusal, .. } if refusal.run == 7));
        let heard = service.monitor.last_ping(now, NodeId(3)).is_some_and(|(_, ping)| ping.run == 7);
        (told, heard)
    };
    assert_eq!(tries(&mut cluster), (true, false));
    assert_eq!(tries(&mut cluster), (false, false), "not again at once");
    cluster.run(1_000, &[1, 2]);
    assert_eq!(tries(&mut cluster), (false, false), "its disk may have been replaced: it waits");
    cluster.run(2_500, &[1, 2]);
    assert_eq!(tries(&mut cluster), (false, true));
}

#[test]
fn a_leader_decides_nothing_before_it_knows_what_was_decided() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    let (service, _) = &cluster.nodes[&leader];
    // It starts again, as one that has its log, and has executed none of it.
    let membership = match service.standing() {
        GenesisStanding::Member(membership) => membership.clone(),
        other => panic!("{other:?}"),
    };
    let raft = service.raft().expect("it is a member");
    let entries = (1..=raft.log().last().index.0).filter_map(|index| raft.log().get(Index(index)).cloned());
    let recovered = Recovered { entries: entries.collect(), ..Recovered::default() };
    let alone = ViewSettings { view_nodes: vec![leader], ..settings(leader.0, 10 + u128::from(leader.0)) };
    let kept = Kept { membership: Some(membership), raft: recovered, ..Kept::default() };
    let mut out = Out::default();
    let start = (at(cluster.now), Timestamp(0));
    let service = ViewService::start(alone, kept, start, &mut (), &mut out);
    assert!(!service.may_decide() && service.table().nodes().is_empty());
}

#[test]
fn what_is_heard_under_an_older_table_is_remembered_so() {
    let (mut out, start) = (Out::default(), (at(0), Timestamp(0)));
    let mut service = ViewService::start(settings(1, 11), Kept::default(), start, &mut (), &mut out);
    service.pinged(at(1), NodeId(2), ping(2, 7), &mut out);
    let heard = service.monitor().last_ping(at(1), NodeId(2));
    assert_eq!(heard.map(|(_, ping)| ping.table), Some(0), "it knows of no table itself");
}
