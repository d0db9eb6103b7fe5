//! Copies of a Raft group, among themselves.

use std::collections::BTreeSet;

use onecopy_core::{Petition, Plea};
use onecopy_views::Roster;

use super::*;
use crate::message::{GroupMessage, Letter};

const NODES: u32 = 3;
const TICK: Duration = Duration::from_millis(10);

/// Nodes 1, 2, 3 with a copy each, on one clock. What is sent arrives at once, and every disk is as fast.
struct Cluster {
    now: Instant,
    copies: Vec<(Group<Memory>, Out<GroupEffect>)>,
    /// Nothing gets to these, or comes from them.
    cut: BTreeSet<u32>,
    /// Nothing that these write is ever durable.
    hung: BTreeSet<u32>,
    /// The rosters that leaders say are reached.
    told: Vec<u64>,
}

fn settings(node: u32, founders: &[u32], log_bytes_max: usize) -> GroupSettings {
    let replica = Config::new(GROUP, member(NodeId(node)), BootNumber(1));
    let founders = founders.iter().map(|founder| member(NodeId(*founder))).collect();
    let mut seed = [0; 32];
    seed[0] = node as u8;
    GroupSettings {
        replica: Config { log_bytes_max, ..replica },
        placement: Placement::Raft { founders },
        election_timeout: Duration::from_millis(300),
        memory_max: 0,
        eviction: Eviction::default(),
        min_copies: 1,
        scrub_interval: None,
        levels: onecopy_core::Levels::default(),
        slice_steps: SLICE_STEPS,
        seed,
    }
}

fn start(settings: GroupSettings) -> (Group<Memory>, Out<GroupEffect>) {
    let state = Replicated::new(Memory::default(), Rules::default());
    let (recovered, base, configuration) = Default::default();
    let restored = Restored { recovered, state, base, configuration };
    let (fresh, mut out) = (Fresh::new(|_| Memory::default()), Out::default());
    let group = Group::start(settings, restored, fresh, NOW, &mut (), &mut out).expect("it starts");
    (group, out)
}

impl Cluster {
    fn new(log_bytes_max: usize) -> Self {
        let copies = (1..=NODES).map(|node| start(settings(node, &[1, 2, 3], log_bytes_max))).collect();
        Self { now: NOW, copies, cut: BTreeSet::new(), hung: BTreeSet::new(), told: Vec::new() }
    }

    fn group(&mut self, node: u32) -> &mut Group<Memory> {
        &mut self.copies[node as usize - 1].0
    }

    /// Lets time pass; what has been answered meanwhile, by whom.
    fn run(&mut self, ticks: usize) -> Vec<(u32, u64, Outcome)> {
        let mut answers = Vec::new();
        for _ in 0..ticks {
            self.now = self.now + TICK;
            for node in (1..=NODES).filter(|node| !self.cut.contains(node)).collect::<Vec<_>>() {
                self.turn(node, &mut answers);
            }
        }
        answers
    }

    fn turn(&mut self, node: u32, answers: &mut Vec<(u32, u64, Outcome)>) {
        let now = self.now;
        let (group, out) = &mut self.copies[node as usize - 1];
        group.end_turn(now, WALL, &mut (), out);
        while !(out.writes.is_empty() && out.archive.is_empty()) {
            for job in std::mem::take(&mut out.writes).into_iter().filter(|_| !self.hung.contains(&node)) {
                group.persisted(now, job.ticket, &mut (), out);
            }
            for job in std::mem::take(&mut out.archive) {
                let event = match job {
                    ArchiveJob::Write { name, offset, data } => {
                        ArchiveEvent::Written { name, written: offset + data.len() as u64 }
                    }
                    ArchiveJob::Finish { name } => ArchiveEvent::Finished { name },
                    ArchiveJob::Read { to, id, .. } => {
                        let image = raft_image(&group.machine().expect("it is here").bytes);
                        let chunk = Chunk {
                            snapshot: id,
                            time: Timestamp(WALL.0),
                            offset: 0,
                            data: image,
                            last: true,
                        };
                        ArchiveEvent::Read { group: GROUP, to, id, chunk: Some(chunk) }
                    }
                    ArchiveJob::ReadEntries { .. } | ArchiveJob::Keep { .. } | ArchiveJob::Forget { .. } => {
                        continue;
                    }
                };
                group.archived(now, event, &mut (), out);
            }
        }
        for effect in std::mem::take(&mut out.effects) {
            match effect {
                GroupEffect::Send { to, message, .. } if !self.cut.contains(&to.0) => {
                    let (group, out) = &mut self.copies[to.0 as usize - 1];
                    group.received(now, NodeId(node), message, &mut (), out);
                }
                GroupEffect::Answer { origin: Origin::Local { sequence }, outcome, .. } => {
                    answers.push((node, sequence, outcome));
                }
                GroupEffect::Petition(Petition { plea: Plea::RosterReached { number }, .. }) => {
                    self.told.push(number);
                }
                _ => {}
            }
        }
    }

    /// Who leads, of those that are not cut off.
    fn leader(&self) -> Option<u32> {
        let leads = |node: &u32| self.copies[*node as usize - 1].0.replica().standing() == Standing::Primary;
        (1..=NODES).filter(|node| !self.cut.contains(node)).find(leads)
    }

    fn elect(&mut self) -> (u32, View) {
        self.run(200);
        let leader = self.leader().expect("somebody leads");
        (leader, self.group(leader).replica().view().expect("it leads a view").clone())
    }

    fn offer(&mut self, node: u32, sequence: u64, body: &'static [u8], known: ViewNumber) {
        let forward = Forward {
            group: GROUP,
            view: known,
            coordinator: Incarnation(9),
            sequence,
            done_below: 1,
            kind: Kind::Write,
            part: None,
            heard: Vec::new(),
            body: Bytes::from_static(body),
        };
        let (group, out) = &mut self.copies[node as usize - 1];
        group.offer(Origin::Local { sequence }, forward, out);
    }
}

/// The image of a state whose machine has these bytes, in a group of all three.
fn raft_image(bytes: &[u8]) -> Bytes {
    let configuration = Configuration::of((1..=NODES).map(|node| member(NodeId(node))));
    Bytes::from([&super::super::image::preamble(Some(&configuration))[..], &image(bytes)].concat())
}

fn done(answers: &[(u32, u64, Outcome)], node: u32, sequence: u64) -> Option<Bytes> {
    answers.iter().find_map(|(by, of, outcome)| match outcome {
        Outcome::Done { response, .. } if (*by, *of) == (node, sequence) => Some(response.clone()),
        _ => None,
    })
}

#[test]
fn the_copies_elect_a_leader_and_its_reign_is_a_view() {
    let mut cluster = Cluster::new(1 << 20);
    let (leader, view) = cluster.elect();
    assert_eq!((view.primary, view.members.len()), (NodeId(leader), 3));
    let term = cluster.group(leader).replica().raft().expect("it is one").term();
    assert_eq!(view.number, view_number(term));
    for node in 1..=NODES {
        assert_eq!(cluster.group(node).replica().view(), Some(&view), "all have heard of it");
    }
}

#[test]
fn a_write_survives_its_leader_and_is_executed_once() {
    let mut cluster = Cluster::new(1 << 20);
    let (first, view) = cluster.elect();
    cluster.offer(first, 1, b"a", view.number);
    let answers = cluster.run(20);
    assert_eq!(done(&answers, first, 1), Some(Bytes::from_static(b"a")));
    cluster.cut.insert(first);
    let (second, later) = cluster.elect();
    assert!(second != first && later.number > view.number);
    cluster.offer(second, 1, b"a", later.number);
    let answers = cluster.run(20);
    assert_eq!(done(&answers, second, 1), Some(Bytes::from_static(b"a")), "answered as before");
    assert_eq!(cluster.group(second).machine().expect("it is here").bytes, b"a", "executed once");
    // Whoever was cut off learns of all that.
    cluster.cut.clear();
    cluster.run(100);
    assert_eq!(cluster.group(first).replica().view(), Some(&later));
    assert_eq!(cluster.group(first).machine().expect("it is here").bytes, b"a");
}

#[test]
fn a_leader_whose_disk_hangs_lets_another_lead() {
    let mut cluster = Cluster::new(1 << 20);
    let (first, view) = cluster.elect();
    cluster.hung.insert(first);
    cluster.offer(first, 1, b"a", view.number);
    let answers = cluster.run(10);
    assert_eq!(done(&answers, first, 1), Some(Bytes::from_static(b"a")), "the others have it");
    let (second, later) = cluster.elect();
    assert!(second != first && later.number > view.number, "without a timeout of anybody");
    cluster.offer(second, 2, b"b", later.number);
    let answers = cluster.run(20);
    assert_eq!(done(&answers, second, 2), Some(Bytes::from_static(b"b")));
    // A disk that hangs everywhere is no reason to go anywhere: nobody is better off.
    cluster.hung.extend(1..=NODES);
    cluster.offer(second, 3, b"c", later.number);
    assert!(cluster.run(300).is_empty(), "nothing is committed");
    assert_eq!(cluster.leader(), Some(second));
}

#[test]
fn a_request_is_taken_in_the_reign_that_it_names_alone() {
    let mut cluster = Cluster::new(1 << 20);
    let (leader, view) = cluster.elect();
    let follower = (1..=NODES).find(|node| *node != leader).expect("there are three");
    cluster.offer(leader, 1, b"a", ViewNumber(view.number.0 - 1));
    cluster.offer(leader, 2, b"b", view.number.next());
    cluster.offer(follower, 3, b"c", view.number);
    let outcomes = |answers: Vec<(u32, u64, Outcome)>| -> Vec<(u64, Outcome)> {
        let mut outcomes: Vec<_> = answers.into_iter().map(|(_, of, outcome)| (of, outcome)).collect();
        outcomes.sort_by_key(|(of, _)| *of);
        outcomes
    };
    let refused = Outcome::NotPrimary(Some(view));
    let expected = vec![(1, refused.clone()), (2, Outcome::Busy), (3, refused)];
    assert_eq!(outcomes(cluster.run(1)), expected);
}

#[test]
fn a_leader_without_a_majority_does_not_know_the_outcome() {
    let mut cluster = Cluster::new(1 << 20);
    let (leader, view) = cluster.elect();
    let others: Vec<u32> = (1..=NODES).filter(|node| *node != leader).collect();
    cluster.cut.extend(&others);
    cluster.offer(leader, 1, b"a", view.number);
    let answers = cluster.run(200);
    assert_eq!(answers, [(leader, 1, Outcome::Unknown)]);
    assert_eq!(cluster.leader(), None, "it hears no majority");
}

#[test]
fn a_copy_that_was_away_for_longer_than_the_log_reaches_gets_a_snapshot() {
    let mut cluster = Cluster::new(2_000);
    let (leader, view) = cluster.elect();
    let away = (1..=NODES).find(|node| *node != leader).expect("there are three");
    cluster.cut.insert(away);
    for sequence in 1..=100 {
        cluster.offer(leader, sequence, b"x", view.number);
        cluster.run(2);
    }
    let base = cluster.group(leader).replica().log().base().index;
    assert!(base > Index(1), "the log was compacted");
    cluster.cut.clear();
    cluster.run(300);
    let (has, applied) =
        (cluster.group(away).machine().expect("it is here").bytes.len(), cluster.group(away).applied());
    assert!(has >= 100 && applied >= base, "{has} bytes after {applied}");
    let raft = cluster.group(away).replica().raft().expect("it is one");
    assert_eq!(raft.configuration().voters.len(), 3, "it came with the snapshot");
}

#[test]
fn a_letter_to_another_life_is_not_read() {
    let mut cluster = Cluster::new(1 << 20);
    let (leader, view) = cluster.elect();
    let message = onecopy_raft::Message::Outdated { term: onecopy_core::Term(99) };
    let (from, now) = (member(NodeId(2)).incarnation, cluster.now);
    for (to, term) in [(Incarnation(77), view.number), (Incarnation(u128::from(leader)), ViewNumber(100))] {
        let letter = GroupMessage::Raft(Letter { from, to, message: message.clone() });
        let (group, out) = &mut cluster.copies[leader as usize - 1];
        group.received(now, NodeId(2), letter, &mut (), out);
        assert_eq!(group.replica().status(now).view, term);
    }
}

#[test]
fn a_node_that_founded_nothing_waits_to_be_told() {
    let (mut group, mut out) = start(settings(4, &[1, 2, 3], 1 << 20));
    for tick in 1..200 {
        group.end_turn(NOW + TICK * tick, WALL, &mut (), &mut out);
    }
    assert_eq!((group.replica().standing(), group.replica().view()), (Standing::Outside, None));
    assert!(out.effects.is_empty() && out.writes.is_empty());
}

impl Cluster {
    /// All copies hear where they are to be.
    fn go_to(&mut self, number: u64, nodes: &[u32]) {
        let members = nodes.iter().map(|node| member(NodeId(*node))).collect();
        let roster = Roster { number, members, leaving: Vec::new(), reached: false };
        let now = self.now;
        for (group, _) in &mut self.copies {
            assert!(group.learn_roster(now, roster.clone()), "it is news");
        }
    }

    fn voters(&mut self, node: u32) -> Vec<u32> {
        let raft = self.group(node).replica().raft().expect("it is one");
        assert!(raft.is_configuration_committed() && !raft.configuration().is_joint());
        raft.configuration().voters.iter().map(|member| member.node.0).collect()
    }
}

#[test]
fn a_group_goes_where_the_view_service_wants_it_and_says_so() {
    let mut cluster = Cluster::new(1 << 20);
    let (first, view) = cluster.elect();
    cluster.offer(first, 1, b"a", view.number);
    cluster.run(20);
    // Without its leader, which hands over before it goes.
    let stay: Vec<u32> = (1..=NODES).filter(|node| *node != first).collect();
    cluster.go_to(1, &stay);
    cluster.run(100);
    let second = cluster.leader().expect("somebody leads");
    assert_ne!(second, first);
    assert_eq!(cluster.voters(second), stay);
    assert!(cluster.told.contains(&1), "{:?}", cluster.told);
    // Who was away votes again, once it has what was written meanwhile.
    let view = cluster.group(second).replica().view().expect("it leads").clone();
    cluster.offer(second, 2, b"b", view.number);
    cluster.run(20);
    cluster.go_to(2, &[1, 2, 3]);
    cluster.run(100);
    assert_eq!(cluster.voters(second), [1, 2, 3]);
    assert_eq!(cluster.group(first).machine().expect("it is here").bytes, b"ab");
    assert!(cluster.told.contains(&2), "{:?}", cluster.told);
}

#[test]
fn nobody_votes_before_it_has_caught_up() {
    let mut cluster = Cluster::new(1 << 20);
    let (leader, _) = cluster.elect();
    let stay: Vec<u32> = (1..=NODES).filter(|node| *node != leader).take(1).chain([leader]).collect();
    let away = (1..=NODES).find(|node| !stay.contains(node)).expect("there are three");
    let mut members = stay.clone();
    members.sort_unstable();
    cluster.go_to(1, &members);
    cluster.run(100);
    assert_eq!(cluster.voters(leader), members);
    cluster.cut.insert(away);
    cluster.go_to(2, &[1, 2, 3]);
    cluster.run(300);
    assert_eq!(cluster.voters(leader), members, "it is not heard");
    assert!(!cluster.told.contains(&2));
    cluster.cut.clear();
    cluster.run(100);
    assert_eq!(cluster.voters(leader), [1, 2, 3]);
}

#[test]
fn a_follower_answers_reads_once_it_has_what_the_leader_says() {
    let mut cluster = Cluster::new(1 << 20);
    let (leader, view) = cluster.elect();
    let follower = (1..=NODES).find(|node| *node != leader).expect("there are three");
    assert!(cluster.copies[follower as usize - 1].0.replica().reads_as_backup(cluster.now));
    cluster.offer(leader, 1, b"a", view.number);
    let (group, out) = &mut cluster.copies[follower as usize - 1];
    group.offer_read(Origin::Local { sequence: 7 }, Bytes::from_static(b"?"), out);
    let answers = cluster.run(20);
    assert!(done(&answers, follower, 7).is_some(), "{answers:?}");
    assert_eq!(cluster.group(follower).counters().reads_as_backup, 1);
    // Who hears nobody answers none: it cannot know what has been committed meanwhile.
    cluster.cut.insert(leader);
    let (group, out) = &mut cluster.copies[follower as usize - 1];
    group.offer_read(Origin::Local { sequence: 8 }, Bytes::from_static(b"?"), out);
    let answers = cluster.run(100);
    let refused = answers
        .iter()
        .any(|(by, of, outcome)| (*by, *of) == (follower, 8) && matches!(outcome, Outcome::NotPrimary(_)));
    assert!(refused, "{answers:?}");
}
