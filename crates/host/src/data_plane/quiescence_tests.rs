use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{BootNumber, Incarnation, Member, Petition, Plea, View, ViewNumber};
use onecopy_replica::{Config, Loan, Terms};

use super::tests::{start_group, view};
use super::*;
use crate::heartbeat::{HeartbeatAnswer, ListName};
use crate::memory::Memory;

/// The failure timeout, in milliseconds.
const FAILURE: u64 = 500;

/// What travels.
#[derive(Debug)]
enum Parcel {
    Replica(GroupId, GroupMessage),
    Heartbeat(SharedHeartbeat),
}

/// The nodes 1, 2, … with all of their data planes, on one clock. What is sent arrives at once.
struct Cluster {
    now: Instant,
    nodes: Vec<Vec<Plane>>,
    on_their_way: VecDeque<(u32, u32, Parcel)>,
    /// From whom nothing gets to whom; only between replicas, or nothing at all.
    cut: BTreeSet<(u32, u32)>,
    replicas_cut: BTreeSet<(u32, u32)>,
    /// Shared heartbeats, and messages of each group.
    shared: usize,
    own: BTreeMap<GroupId, usize>,
    petitions: Vec<(u32, Petition)>,
    /// The list that a node has said last.
    list: BTreeMap<u32, ListName>,
}

struct Plane {
    data: DataPlane<Memory, &'static str>,
    out: Out<DataEffect>,
}

impl Cluster {
    /// Of nodes with so many data planes each. Groups 1, 2, … are led by node 1, and all nodes are members.
    fn start(planes: &[usize], groups: u32) -> Self {
        let nodes: Vec<u32> = (1..).take(planes.len()).collect();
        let mut cluster = Self {
            now: Instant::ZERO,
            nodes: Vec::new(),
            on_their_way: VecDeque::new(),
            cut: BTreeSet::new(),
            replicas_cut: BTreeSet::new(),
            shared: 0,
            own: BTreeMap::new(),
            petitions: Vec::new(),
            list: BTreeMap::new(),
        };
        for (node, planes) in nodes.iter().zip(planes) {
            cluster.nodes.push((0..*planes).map(|plane| start(*node, plane, *planes, groups)).collect());
        }
        for node in nodes.clone() {
            (1..=groups).for_each(|group| cluster.learn(node, GroupId(group), view(1, &nodes)));
        }
        cluster
    }

    fn plane(&mut self, node: u32, group: GroupId) -> &mut Plane {
        let planes = &mut self.nodes[node as usize - 1];
        let holder = Share::holder(group, planes.len());
        &mut planes[holder]
    }

    fn learn(&mut self, node: u32, group: GroupId, view: View) {
        let now = self.now;
        let Plane { data, out } = self.plane(node, group);
        data.router.learn(group, &view);
        data.with(group, out, |group, asked| group.step(now, Input::Announced { view }, &mut (), asked));
    }

    fn write(&mut self, group: GroupId) {
        let submission = Submission { kind: Kind::Write, segment: Bytes::from_static(b"x"), client: "a" };
        self.plane(1, group).data.submit(group, submission);
    }

    /// For so long, node 1 hears nothing but that node 2 has got this list, and lends for all on it.
    fn hear_answers(&mut self, millis: u64, list: ListName) {
        for _ in 0..millis {
            self.run(1);
            let now = self.now;
            let lease = Some(Loan { earned: now, lasts: Duration::from_millis(120) });
            let terms = Some(Terms { sent: now, lease, reads: false });
            let answer = HeartbeatAnswer { to: 0, plane: (0, 1), list, except: Some(Vec::new()), terms };
            let Plane { data, out } = &mut self.nodes[0][0];
            data.heartbeat(now, NodeId(2), SharedHeartbeat::Answered(answer), out);
        }
    }

    /// Everything that is due is done.
    fn turn(&mut self) {
        loop {
            let mut nothing = true;
            for node in 1..=self.nodes.len() as u32 {
                for plane in 0..self.nodes[node as usize - 1].len() {
                    nothing &= !self.turn_of(node, plane);
                }
            }
            while let Some((from, to, parcel)) = self.on_their_way.pop_front() {
                nothing = false;
                self.arrive(from, to, parcel);
            }
            if nothing {
                return;
            }
        }
    }

    fn turn_of(&mut self, node: u32, plane: usize) -> bool {
        let now = self.now;
        let Plane { data, out } = &mut self.nodes[node as usize - 1][plane];
        if data.deadline(now).is_none_or(|deadline| deadline > now) && out.effects.is_empty() {
            return false;
        }
        data.route(now, out);
        data.end_turn(now, Timestamp(1_000_000), &mut (), out);
        while !out.writes.is_empty() {
            for job in std::mem::take(&mut out.writes) {
                data.persisted(now, job.group, job.ticket, &mut (), out);
            }
            data.end_turn(now, Timestamp(1_000_000), &mut (), out);
        }
        data.replies().for_each(drop);
        for effect in std::mem::take(&mut out.effects) {
            match effect {
                DataEffect::Replica { to, group, message } => {
                    *self.own.entry(group).or_default() += 1;
                    if !self.replicas_cut.contains(&(node, to.0)) {
                        self.on_their_way.push_back((node, to.0, Parcel::Replica(group, message)));
                    }
                }
                DataEffect::Heartbeat { to, message } => {
                    self.shared += 1;
                    if let SharedHeartbeat::Sent(heartbeat) = &message {
                        self.list.insert(node, heartbeat.list);
                    }
                    self.on_their_way.push_back((node, to.0, Parcel::Heartbeat(message)));
                }
                DataEffect::Petition(petition) => self.petitions.push((node, petition)),
                DataEffect::UnknownLevel(unknown) => panic!("{unknown}"),
                DataEffect::Forward { .. } | DataEffect::Answer { .. } => panic!("all clients are at node 1"),
            }
        }
        true
    }

    fn arrive(&mut self, from: u32, to: u32, parcel: Parcel) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let (now, from) = (self.now, NodeId(from));
        match parcel {
            Parcel::Replica(group, message) => {
                let Plane { data, out } = self.plane(to, group);
                data.received(now, from, group, message, &mut (), out);
            }
            Parcel::Heartbeat(message) => {
                let planes = &mut self.nodes[to as usize - 1];
                let plane = message.plane(planes.len());
                let Plane { data, out } = &mut planes[plane];
                data.heartbeat(now, from, message, out);
            }
        }
    }

    /// So many milliseconds pass.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now = self.now + Duration::from_millis(1);
            self.turn();
        }
    }

    /// Until all groups are quiescent. Counts from zero then.
    fn settle(&mut self) {
        self.run(2_500);
        (self.shared, self.own) = (0, BTreeMap::new());
    }

    fn replica(&self, node: u32, group: u32) -> &onecopy_replica::Replica {
        let planes = &self.nodes[node as usize - 1];
        let holder = Share::holder(GroupId(group), planes.len());
        planes[holder]
            .data
            .group(GroupId(group))
            .expect("it has the group")
            .replica()
            .primary_backup()
            .expect("it is a replica")
    }

    fn reads(&self, node: u32, group: u32) -> bool {
        let replica = self.replica(node, group);
        replica.reads_as_primary(self.now) || replica.reads_as_backup(self.now)
    }

    /// When anybody first suspected somebody, in each group.
    fn suspicions(&self, by: u32) -> BTreeSet<GroupId> {
        let suspects = |petition: &Petition| matches!(petition.plea, Plea::Suspect { .. });
        let all = self.petitions.iter().filter(|(node, petition)| *node == by && suspects(petition));
        all.map(|(_, petition)| petition.group).collect()
    }
}

fn start(node: u32, plane: usize, planes: usize, groups: u32) -> Plane {
    let (share, life) = (Share::new(plane, planes), Incarnation(u128::from(node) * 100 + plane as u128));
    let config = CoordinatorConfig::new(Duration::from_secs(5));
    let mut data = DataPlane::new(NodeId(node), life, config).with_share(share);
    let mut out = Out::default();
    for group in (1..=groups).map(GroupId).filter(|group| share.has(*group)) {
        let me = Member { node: NodeId(node), incarnation: Incarnation(u128::from(node)) };
        let lease = Some(Duration::from_millis(120));
        let failure_timeout = Duration::from_millis(FAILURE);
        let replica = Config { lease, failure_timeout, ..Config::new(group, me, BootNumber(1)) };
        start_group(&mut data, replica, Instant::ZERO, &mut out);
    }
    Plane { data, out }
}

fn groups(count: u32) -> BTreeSet<GroupId> {
    (1..=count).map(GroupId).collect()
}

#[test]
fn where_nothing_happens_one_heartbeat_is_said_for_all_groups() {
    let mut cluster = Cluster::start(&[1, 1, 1], 40);
    cluster.settle();
    for _ in 0..1_000 {
        cluster.run(1);
        for (node, group) in (1..=3).flat_map(|node| (1..=40).map(move |group| (node, group))) {
            assert!(cluster.reads(node, group), "node {node} has no lease of group {group}");
        }
    }
    // 20 heartbeats a second to each of two nodes, and their answers.
    assert_eq!((cluster.shared, cluster.own.len()), (80, 0), "{:?}", cluster.own);
    assert!(cluster.petitions.is_empty(), "{:?}", cluster.petitions);
}

#[test]
fn a_write_wakes_its_own_group_and_no_other() {
    let mut cluster = Cluster::start(&[1, 1], 10);
    cluster.settle();
    cluster.write(GroupId(7));
    cluster.run(1);
    let commits = [1, 2].map(|node| cluster.replica(node, 7).commit().0);
    assert_eq!(commits[0], 2, "it is committed as if it had not been quiescent");
    assert!(!cluster.replica(1, 7).is_quiescent() && !cluster.replica(2, 7).is_quiescent());
    cluster.run(2_000);
    assert_eq!(cluster.own.keys().copied().collect::<Vec<_>>(), [GroupId(7)]);
    assert!(cluster.replica(1, 7).is_quiescent() && cluster.replica(2, 7).is_quiescent());
    assert_eq!(cluster.replica(2, 7).commit().0, 2);
}

/// What is promised to the primary of one view must not be promised to it in the next (rules P3 and L3).
#[test]
fn a_backup_that_has_promised_a_later_view_does_not_answer_for_that_group() {
    let mut cluster = Cluster::start(&[1, 1], 3);
    cluster.settle();
    // Nobody tells node 1 of it.
    cluster.replicas_cut = [(1, 2), (2, 1)].into();
    let next = View { number: ViewNumber(2), ..view(2, &[1, 2]) };
    cluster.learn(2, GroupId(2), next);
    cluster.turn();
    cluster.run(125);
    assert!(!cluster.reads(1, 2), "it reads in a view that is over");
    for group in [1, 3] {
        assert!(cluster.reads(1, group) && cluster.reads(2, group), "of group {group}");
    }
}

/// The other way round: what a primary lends in one view it must not go on to lend when it is in the next.
#[test]
fn a_primary_that_has_promised_a_later_view_lends_nothing_in_the_one_before() {
    let mut cluster = Cluster::start(&[1, 1, 1], 3);
    cluster.settle();
    cluster.replicas_cut = (1..=3).flat_map(|from| (1..=3).map(move |to| (from, to))).collect();
    let next = View { number: ViewNumber(2), ..view(3, &[1, 3]) };
    cluster.learn(1, GroupId(2), next);
    cluster.turn();
    cluster.run(125);
    assert!(!cluster.reads(2, 2), "it reads under a lease of a primary that is none any more");
    assert!(cluster.reads(2, 1) && cluster.reads(2, 3));
}

#[test]
fn silence_is_found_out_as_soon_as_ever() {
    for (from, to) in [(1, 2), (2, 1)] {
        let mut cluster = Cluster::start(&[1, 1], 5);
        cluster.settle();
        cluster.cut = [(from, to)].into();
        // Its last word came less than a heartbeat interval ago.
        cluster.run(FAILURE - 51);
        assert!(cluster.suspicions(to).is_empty(), "{:?}", cluster.petitions);
        cluster.run(102);
        assert_eq!(cluster.suspicions(to), groups(5), "node {to} hears nothing of node {from}");
        // Who is heard again is not suspected any more, and says less before long.
        cluster.cut.clear();
        cluster.run(2_500);
        (cluster.shared, cluster.own, cluster.petitions) = (0, BTreeMap::new(), Vec::new());
        cluster.run(1_000);
        assert_eq!((cluster.shared, cluster.own.len(), cluster.petitions.len()), (40, 0, 0));
    }
}

#[test]
fn answers_to_an_earlier_life_count_for_nothing() {
    let mut cluster = Cluster::start(&[1, 1], 2);
    cluster.settle();
    // Node 2 speaks to the process before: it has the same lists, under other names.
    cluster.cut = [(2, 1)].into();
    cluster.hear_answers(130, ListName { life: Incarnation(99), version: u64::MAX });
    assert!(!cluster.reads(1, 1) && !cluster.reads(1, 2));
}

#[test]
fn an_answer_counts_for_the_groups_that_were_asked_about() {
    // After a write to the second group the list names the first one alone, and after a while both again.
    let settled = || {
        let mut cluster = Cluster::start(&[1, 1], 2);
        cluster.settle();
        cluster.write(GroupId(2));
        cluster.run(60);
        let list = cluster.list[&1];
        (cluster, list)
    };
    let (mut cluster, one) = settled();
    let rests = (0..).find(|_| {
        cluster.run(1);
        cluster.list[&1] != one
    });
    let (mut cluster, one) = settled();
    cluster.run(rests.expect("it comes to rest"));
    cluster.cut = [(2, 1)].into();
    cluster.hear_answers(130, one);
    assert_ne!(cluster.list[&1], one);
    assert!(cluster.reads(1, 1) && !cluster.reads(1, 2));
}

#[test]
fn nodes_with_different_numbers_of_data_planes_find_the_right_ones() {
    let mut cluster = Cluster::start(&[2, 3], 12);
    cluster.run(3_000);
    cluster.settle();
    cluster.run(1_000);
    assert_eq!(cluster.own.len(), 0, "{:?}", cluster.own);
    // Each of two planes speaks to each of three.
    assert_eq!(cluster.shared, 2 * 3 * 40);
    for (node, group) in (1..=2).flat_map(|node| (1..=12).map(move |group| (node, group))) {
        assert!(cluster.reads(node, group) && cluster.replica(node, group).is_quiescent());
    }
}
