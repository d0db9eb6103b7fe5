//! The founding, in whatever order messages arrive and whoever crashes.

use std::collections::BTreeSet;

use crate::{Founding, Genesis, GenesisStanding, Hello, Membership};

use super::*;

const VIEW_NODES: [NodeId; 3] = [N1, N2, N3];

fn life(node: NodeId) -> Incarnation {
    member(node).incarnation
}

fn membership(nodes: &[NodeId]) -> Membership {
    Membership { members: nodes.iter().map(|node| (*node, life(*node))).collect() }
}

fn fresh(node: NodeId) -> Genesis {
    Genesis::new(node, life(node), &VIEW_NODES, None)
}

fn hello(node: NodeId) -> Hello {
    Hello { incarnation: life(node), membership: None }
}

fn knowing(node: NodeId, membership: Membership) -> Hello {
    Hello { incarnation: life(node), membership: Some(membership) }
}

#[test]
fn a_single_view_node_founds_at_once() {
    let mut genesis = Genesis::new(N1, life(N1), &[N1], None);
    assert_eq!(genesis.started(), Founding::Persist(membership(&[N1])));
    genesis.durable(membership(&[N1]));
    assert_eq!(genesis.standing(), &GenesisStanding::Member(membership(&[N1])));
}

#[test]
fn the_lowest_founds_when_it_has_heard_of_all() {
    let mut genesis = fresh(N1);
    assert_eq!(genesis.started(), Founding::Nothing);
    assert_eq!(genesis.received(N3, hello(N3)), Founding::Nothing);
    assert_eq!(genesis.received(N3, hello(N3)), Founding::Nothing);
    assert_eq!(genesis.received(N2, hello(N2)), Founding::Persist(membership(&VIEW_NODES)));
    // Nothing is announced before it is durable.
    assert_eq!(genesis.hello(), hello(N1));
    genesis.durable(membership(&VIEW_NODES));
    assert_eq!(genesis.hello(), knowing(N1, membership(&VIEW_NODES)));
}

#[test]
fn the_others_wait_to_be_told() {
    let mut genesis = fresh(N2);
    assert_eq!(genesis.received(N1, hello(N1)), Founding::Nothing);
    assert_eq!(genesis.received(N3, hello(N3)), Founding::Nothing);
    // From whomever.
    let told = genesis.received(N3, knowing(N3, membership(&VIEW_NODES)));
    assert_eq!(told, Founding::Persist(membership(&VIEW_NODES)));
    assert_eq!(genesis.hello(), hello(N2));
}

#[test]
fn a_node_that_is_not_configured_is_not_counted() {
    let mut genesis = fresh(N1);
    genesis.received(N2, hello(N2));
    assert_eq!(genesis.received(N4, hello(N4)), Founding::Nothing);
}

#[test]
fn the_last_life_that_was_heard_is_founded() {
    let mut genesis = fresh(N1);
    genesis.received(N2, hello(N2));
    let reborn = Hello { incarnation: Incarnation(99), membership: None };
    assert_eq!(genesis.received(N2, reborn), Founding::Nothing);
    let Founding::Persist(founded) = genesis.received(N3, hello(N3)) else { panic!("not founded") };
    assert_eq!(founded.members[&N2], Incarnation(99));
}

#[test]
fn a_node_that_lost_its_disk_joins_the_cluster_that_there_is() {
    let mut genesis = Genesis::new(N2, Incarnation(99), &VIEW_NODES, None);
    let known = membership(&VIEW_NODES);
    assert_eq!(genesis.received(N1, knowing(N1, known.clone())), Founding::Persist(known.clone()));
    assert_eq!(genesis.hello().membership, None, "not before it is durable");
    genesis.durable(known.clone());
    assert_eq!(genesis.standing(), &GenesisStanding::Joining(known.clone()));
    // For good: nobody can talk it into anything else any more.
    assert_eq!(genesis.received(N3, hello(N3)), Founding::Nothing);
    assert_eq!(genesis.received(N1, knowing(N1, membership(&[N1]))), Founding::Nothing);
    // So does one whose disk kept the membership of another life.
    let kept = Genesis::new(N2, Incarnation(99), &VIEW_NODES, Some(known.clone()));
    assert_eq!(kept.standing(), &GenesisStanding::Joining(known));
}

#[test]
fn a_node_that_is_not_to_be_a_founder_never_founds() {
    // It has a lower id than all whom it is told to ask.
    let mut genesis = Genesis::new(N1, life(N1), &[N2, N3], None);
    assert_eq!(genesis.started(), Founding::Nothing);
    assert_eq!(genesis.received(N2, hello(N2)), Founding::Nothing);
    assert_eq!(genesis.received(N3, hello(N3)), Founding::Nothing);
    let founded = membership(&[N2, N3]);
    assert_eq!(genesis.received(N2, knowing(N2, founded.clone())), Founding::Persist(founded.clone()));
    genesis.durable(founded.clone());
    assert_eq!(genesis.membership().map(Membership::cluster), Some(life(N2)));
    assert_eq!(genesis.standing(), &GenesisStanding::Joining(founded));
}

#[test]
fn a_founder_that_lost_its_disk_does_not_found_again() {
    let mut genesis = Genesis::new(N1, Incarnation(99), &VIEW_NODES, None);
    assert_eq!(genesis.received(N3, hello(N3)), Founding::Nothing);
    let known = membership(&VIEW_NODES);
    assert_eq!(genesis.received(N2, knowing(N2, known.clone())), Founding::Persist(known));
}

#[test]
fn a_member_keeps_its_membership() {
    let kept = membership(&VIEW_NODES);
    let mut genesis = Genesis::new(N1, life(N1), &VIEW_NODES, Some(kept.clone()));
    assert_eq!(genesis.started(), Founding::Nothing);
    assert_eq!(genesis.received(N2, hello(N2)), Founding::Nothing);
    assert_eq!(genesis.received(N2, knowing(N2, membership(&[N2, N3]))), Founding::Nothing);
    assert_eq!(genesis.standing(), &GenesisStanding::Member(kept));
    assert_eq!(genesis.others(), [N2, N3]);
}

#[test]
fn a_membership_survives_encoding() {
    let founded = membership(&VIEW_NODES);
    assert_eq!(Membership::decode(&founded.encode()), Some(founded.clone()));
    let bytes = founded.encode();
    assert!((0..bytes.len()).all(|end| Membership::decode(&bytes[..end]).is_none()));
    assert!(founded.includes(N1, life(N1)));
    assert!(!founded.includes(N1, life(N2)));
    assert!(!founded.includes(N4, life(N4)));
}

/// Three view nodes, what their disks kept, and what is on its way between them.
#[derive(Clone)]
struct Cluster {
    kept: [Option<Membership>; 3],
    /// What each is writing.
    writing: [Option<Membership>; 3],
    standing: [(GenesisStanding, Hello); 3],
    wire: Vec<(usize, usize, Hello)>,
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Deliver(usize),
    Persist(usize),
    Restart(usize),
    Greet(usize),
}

impl Cluster {
    fn new() -> Self {
        let standing = VIEW_NODES.map(|node| (fresh(node).standing().clone(), hello(node)));
        Self { kept: [None, None, None], writing: [None, None, None], standing, wire: Vec::new() }
    }

    /// A genesis has no clone: it is made anew from what it stands for.
    fn genesis(&self, at: usize) -> Genesis {
        let node = VIEW_NODES[at];
        let mut genesis = Genesis::new(node, life(node), &VIEW_NODES, self.kept[at].clone());
        if let GenesisStanding::Fresh(heard) = &self.standing[at].0 {
            for (from, incarnation) in heard {
                genesis.received(*from, Hello { incarnation: *incarnation, membership: None });
            }
        }
        genesis
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(position) => {
                let (from, to, said) = self.wire.swap_remove(position);
                let mut genesis = self.genesis(to);
                let founding = genesis.received(VIEW_NODES[from], said);
                match founding {
                    // As the driver does: what is being written is not overtaken.
                    Founding::Persist(membership) => {
                        self.writing[to].get_or_insert(membership);
                    }
                    Founding::Nothing => {}
                }
                self.standing[to] = (genesis.standing().clone(), genesis.hello());
            }
            Event::Persist(at) => {
                let Some(membership) = self.writing[at].take() else { return };
                self.kept[at] = Some(membership.clone());
                let mut genesis = self.genesis(at);
                genesis.durable(membership);
                self.standing[at] = (genesis.standing().clone(), genesis.hello());
                self.greet(at);
            }
            Event::Restart(at) => {
                self.writing[at] = None;
                let node = VIEW_NODES[at];
                let genesis = Genesis::new(node, life(node), &VIEW_NODES, self.kept[at].clone());
                self.standing[at] = (genesis.standing().clone(), genesis.hello());
            }
            Event::Greet(at) => self.greet(at),
        }
        let founded: BTreeSet<_> = self.kept.iter().flatten().map(|kept| &kept.members).collect();
        assert!(founded.len() <= 1, "there is one membership: {founded:?}");
    }

    fn greet(&mut self, at: usize) {
        let said = &self.standing[at].1;
        for to in (0..3).filter(|to| *to != at) {
            let message = (at, to, said.clone());
            // What is on its way already need not be there twice.
            if !self.wire.contains(&message) {
                self.wire.push(message);
            }
        }
    }

    fn is_founded(&self) -> bool {
        self.kept.iter().all(|kept| kept.as_ref() == Some(&membership(&VIEW_NODES)))
    }
}

/// Random numbers good enough to choose among events.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

#[test]
fn three_fresh_nodes_found_one_cluster_in_any_order_of_messages() {
    // Every order of what the first greetings cause, without crashes.
    fn explore(cluster: &Cluster, depth: usize, ends: &mut usize) {
        let writes = (0..3).filter(|at| cluster.writing[*at].is_some()).map(Event::Persist);
        let events: Vec<Event> = (0..cluster.wire.len()).map(Event::Deliver).chain(writes).collect();
        if events.is_empty() || depth == 0 {
            *ends += 1;
            assert!(depth == 0 || cluster.is_founded(), "nothing is left to do, and nothing founded");
            return;
        }
        // An event of the first kind that exists and the last one: enough to have every node first and last.
        for event in [events[0], events[events.len() / 2], events[events.len() - 1]] {
            let mut next = cluster.clone();
            next.happen(event);
            explore(&next, depth - 1, ends);
        }
    }
    let mut cluster = Cluster::new();
    (0..3).for_each(|at| cluster.greet(at));
    let mut ends = 0;
    explore(&cluster, 9, &mut ends);
    assert!(ends > 1_000, "{ends}");
}

#[test]
fn three_fresh_nodes_found_one_cluster_whoever_crashes() {
    for seed in 0..2_000 {
        let (mut cluster, mut dice) = (Cluster::new(), Dice(seed));
        for _ in 0..60 {
            let event = match dice.roll(10) {
                0 => Event::Restart(dice.roll(3)),
                1 | 2 => Event::Persist(dice.roll(3)),
                3 | 4 => Event::Greet(dice.roll(3)),
                _ if cluster.wire.is_empty() => Event::Greet(dice.roll(3)),
                _ => Event::Deliver(dice.roll(cluster.wire.len())),
            };
            cluster.happen(event);
        }
        // Everybody stays up from now on.
        for _ in 0..4 {
            (0..3).for_each(|at| cluster.happen(Event::Greet(at)));
            while !cluster.wire.is_empty() {
                cluster.happen(Event::Deliver(0));
            }
            (0..3).for_each(|at| cluster.happen(Event::Persist(at)));
        }
        assert!(cluster.is_founded(), "seed {seed}");
    }
}
