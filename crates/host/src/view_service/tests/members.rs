//! View nodes come and go, and take the place of those that lost their disks.

use std::collections::BTreeSet;

use onecopy_core::EntryId;

use super::*;
use crate::message::{MemberChange, RaftLetter};

/// A node that is to find the cluster through node 1.
fn newcomer(node: u32, life: u128) -> ViewSettings {
    ViewSettings { view_nodes: vec![NodeId(1)], ..settings(node, life) }
}

fn nodes(nodes: &[u32]) -> Vec<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}

fn life(node: u32) -> u128 {
    10 + u128::from(node)
}

impl Cluster {
    /// Node 1 is the view service; the others wait.
    fn of_one(others: &[u32]) -> Self {
        let mut cluster =
            Self { now: 0, nodes: BTreeMap::new(), told: BTreeMap::new(), operated: Vec::new() };
        for node in [1].iter().chain(others) {
            cluster.start_node(newcomer(*node, life(*node)), Kept::default());
        }
        cluster.run(1_000, &[1]);
        cluster
    }

    /// An operator asks all view nodes, as a node does.
    fn ask(&mut self, request: u64, change: &MemberChange) {
        for (service, out) in self.nodes.values_mut() {
            service.change_members(at(self.now), (NodeId(9), request), change, &mut (), out);
        }
        self.settle();
    }

    fn voters(&self, node: u32) -> Vec<(u32, u128)> {
        let raft = self.service(node).raft().expect("it is founded");
        raft.configuration().voters.iter().map(|member| (member.node.0, member.incarnation.0)).collect()
    }

    /// What became of the last request.
    fn outcome(&mut self) -> Result<(), String> {
        let (to, _, outcome) = self.operated.pop().expect("an answer");
        assert_eq!(to, NodeId(9));
        outcome
    }

    fn lose_disk(&mut self, node: u32, life: u128) {
        self.nodes.remove(&NodeId(node));
        self.run(100, &[1, 2, 3]);
        self.start_node(settings(node, life), Kept::default());
    }
}

#[test]
fn the_view_service_grows_from_one_to_three_to_five() {
    let mut cluster = Cluster::of_one(&[2, 3, 4, 5]);
    assert_eq!(cluster.leader(), Some(NodeId(1)));
    assert_eq!(cluster.service(1).table().view_nodes(), &BTreeSet::from([NodeId(1)]));
    for (request, new) in [(1, [2, 3]), (2, [4, 5])] {
        assert!(!cluster.service(new[0]).is_member());
        cluster.ask(request, &MemberChange::Add(nodes(&new)));
        cluster.run(500, &[1]);
        assert_eq!(cluster.operated.pop(), Some((NodeId(9), request, Ok(()))));
        // The answer was lost, and the question comes again.
        cluster.ask(request, &MemberChange::Add(nodes(&new)));
        assert_eq!(cluster.outcome(), Ok(()));
    }
    let all: Vec<(u32, u128)> = (1..=5).map(|node| (node, life(node))).collect();
    for node in 1..=5 {
        assert_eq!(cluster.voters(node), all, "{node}");
        assert_eq!(cluster.service(node).table(), cluster.service(1).table());
    }
    assert_eq!(cluster.service(5).table().view_nodes().len(), 5);
    // Two may fail now.
    cluster.nodes.remove(&NodeId(1));
    cluster.nodes.remove(&NodeId(2));
    cluster.run(1_500, &[3, 4, 5]);
    assert!(cluster.leader().is_some());
}

#[test]
fn a_leader_that_is_removed_answers_and_another_leads() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    cluster.ask(1, &MemberChange::Remove(vec![leader]));
    cluster.run(20, &[1, 2, 3]);
    assert_eq!(cluster.outcome(), Ok(()));
    assert!(cluster.leader().is_some_and(|next| next != leader), "at once, without an election timeout");
    cluster.run(500, &[1, 2, 3]);
    assert!(!cluster.service(leader.0).is_member());
    // Whoever still turns to it learns where the view nodes are.
    let (service, out) = cluster.nodes.get_mut(&leader).expect("it is there");
    assert!(service.table().view_nodes().contains(&leader), "its own table is old");
    service.pinged(at(cluster.now), NodeId(8), ping(8, 0), out);
    let [ViewEffect::Announce { table, .. }] = &out.effects[..] else { panic!("{:?}", out.effects) };
    assert!(!table.view_nodes().contains(&leader));
    // It may come back as it is.
    out.effects.clear();
    cluster.run(500, &[1, 2, 3]);
    cluster.ask(2, &MemberChange::Add(vec![leader]));
    cluster.run(500, &[1, 2, 3]);
    assert_eq!(cluster.outcome(), Ok(()));
    assert!(cluster.service(leader.0).is_member());
}

#[test]
fn a_view_node_that_lost_its_disk_is_replaced_by_its_next_life() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader").0;
    let lost = if leader == 3 { 2 } else { 3 };
    cluster.lose_disk(lost, 99);
    cluster.run(2_000, &[1, 2, 3]);
    assert!(matches!(cluster.service(lost).standing(), GenesisStanding::Joining(_)));
    assert!(!cluster.service(lost).is_member(), "too early to tell");
    cluster.run(2_500, &[1, 2, 3]);
    let expected: Vec<(u32, u128)> =
        (1..=3).map(|node| (node, if node == lost { 99 } else { life(node) })).collect();
    assert_eq!(cluster.voters(leader), expected);
    assert_eq!(cluster.voters(lost), expected);
    assert_eq!(cluster.service(lost).table(), cluster.service(leader).table());
}

#[test]
fn a_view_node_that_is_only_away_is_not_replaced() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let before = cluster.voters(1);
    // Another process under its name says hello, but the member is heard.
    for _ in 0..50 {
        let membership = cluster.service(1).genesis.membership().cloned();
        let hello = Hello { incarnation: Incarnation(99), membership };
        for (service, out) in cluster.nodes.values_mut() {
            service.greeted(at(cluster.now), NodeId(3), hello.clone(), out);
        }
        cluster.run(100, &[1, 2, 3]);
    }
    assert_eq!(cluster.voters(1), before);
    // And a silent one that does not come back under another life stays what it is.
    cluster.nodes.remove(&NodeId(2));
    cluster.run(6_000, &[1, 3]);
    assert_eq!(cluster.voters(1), before);
}

#[test]
fn a_learner_that_falls_silent_is_dropped() {
    let mut cluster = Cluster::of_one(&[2]);
    cluster.nodes.remove(&NodeId(2));
    cluster.ask(1, &MemberChange::Add(nodes(&[2])));
    cluster.run(1_000, &[1]);
    assert_eq!(cluster.operated, [], "it may come back");
    cluster.ask(2, &MemberChange::Add(nodes(&[2])));
    assert_eq!(cluster.outcome(), Err("another change of the view nodes is under way".to_owned()));
    cluster.run(2_500, &[1]);
    let why = "n2 fell silent before it had caught up, and was dropped".to_owned();
    assert_eq!(cluster.outcome(), Err(why));
    assert_eq!(cluster.voters(1), [(1, 11)]);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let refused = |cluster: &mut Cluster, change: MemberChange| {
        cluster.ask(1, &change);
        cluster.outcome().expect_err("it is refused")
    };
    let add = |node| MemberChange::Add(nodes(&[node]));
    assert_eq!(refused(&mut cluster, add(2)), "n2 is a view node already");
    assert!(refused(&mut cluster, add(4)).starts_with("n4 does not ask to be a view node"));
    assert_eq!(refused(&mut cluster, MemberChange::Remove(nodes(&[4]))), "n4 is no view node");
    let all = MemberChange::Remove(nodes(&[1, 2, 3]));
    assert_eq!(refused(&mut cluster, all), "no voter would be left");
    assert_eq!(refused(&mut cluster, MemberChange::Add(vec![])), "the configuration would stay as it is");
    // Of the two that would be left, one is dead.
    let leader = cluster.leader().expect("there is a leader");
    let others: Vec<NodeId> = nodes(&[1, 2, 3]).into_iter().filter(|node| *node != leader).collect();
    cluster.nodes.remove(&others[0]);
    cluster.run(1_000, &[1, 2, 3]);
    let why = "most of the view nodes that would be left are not heard";
    assert_eq!(refused(&mut cluster, MemberChange::Remove(vec![others[1]])), why);
}

#[test]
fn a_letter_for_another_life_is_answered_with_a_hello_and_one_of_another_cluster_with_nothing() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let term = cluster.service(2).raft().expect("it is founded").term();
    let message = Message::Outdated { term: onecopy_core::Term(term.0 + 5) };
    let letter = RaftLetter { cluster: Incarnation(11), from: Incarnation(11), to: Incarnation(12), message };
    let (service, out) = cluster.nodes.get_mut(&NodeId(2)).expect("it is there");
    let old = RaftLetter { to: Incarnation(7), ..letter.clone() };
    service.received(at(cluster.now), NodeId(1), old, &mut (), out);
    assert!(
        matches!(&out.effects[..], [ViewEffect::Hello { to: NodeId(1), hello }] if hello.incarnation.0 == 12)
    );
    out.effects.clear();
    let foreign = RaftLetter { cluster: Incarnation(5), ..letter.clone() };
    service.received(at(cluster.now), NodeId(1), foreign, &mut (), out);
    assert!(out.effects.is_empty());
    assert_eq!(service.raft().map(Raft::term), Some(term));
    service.received(at(cluster.now), NodeId(1), letter, &mut (), out);
    assert_eq!(service.raft().map(Raft::term).map(|term| term.0), Some(term.0 + 5));
}

#[test]
fn a_restart_from_a_snapshot_knows_the_members_of_today() {
    let mut cluster = Cluster::of_one(&[2, 3]);
    cluster.ask(1, &MemberChange::Add(nodes(&[2, 3])));
    cluster.run(500, &[1]);
    let (service, out) = cluster.nodes.get_mut(&NodeId(1)).expect("it is there");
    service.snapshot_wanted(out);
    let ArchiveJob::Write { name, data, .. } = &out.archive[0] else { panic!("{:?}", out.archive) };
    let (base, image) = (name.id, ViewImage::decode(data).expect("an image"));
    let (membership, raft) = (service.genesis.membership().cloned(), service.raft().expect("founded"));
    assert!(base != EntryId::ZERO);
    let entries = raft.log().after(base.index, usize::MAX);
    let state = Some(raft_state(raft));
    let raft = Recovered { state, base, entries, commit: base.index };
    let kept = Kept { membership, raft, image, base_time: Timestamp(0) };
    cluster.start_node(newcomer(1, 11), kept);
    let members: Vec<u32> = cluster.voters(1).iter().map(|(node, _)| *node).collect();
    assert_eq!(members, [1, 2, 3]);
}

/// Term and vote as Raft writes them (`crates/raft/src/durable.rs`).
fn raft_state(raft: &Raft) -> bytes::Bytes {
    let mut state = vec![2];
    state.extend_from_slice(&raft.term().0.to_le_bytes());
    state.extend_from_slice(&[0; 1 + 4 + 16]);
    state.into()
}

#[test]
fn a_leader_that_stops_hands_over_first() {
    let mut cluster = Cluster::start();
    cluster.run(2_000, &[1, 2, 3]);
    let leader = cluster.leader().expect("there is a leader");
    for (node, (service, out)) in &mut cluster.nodes {
        assert_eq!(service.hand_over(at(cluster.now), &mut (), out), *node == leader);
    }
    cluster.settle();
    assert!(cluster.leader().is_some_and(|next| next != leader), "without any time passing");
    let mut alone = Cluster::of_one(&[]);
    let (service, out) = alone.nodes.get_mut(&NodeId(1)).expect("it is there");
    assert!(!service.hand_over(at(alone.now), &mut (), out), "to whom?");
}
