use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::{Batch, Builder, Header};
use onecopy_core::{
    BatchId, BootNumber, Entry, EntryId, Eviction, Incarnation, Index, Member, Replicated, Rules, View,
    ViewNumber,
};
use onecopy_replica::{Config, Message};

use super::*;
use crate::Placement;
use crate::group::SLICE_STEPS;
use crate::memory::Memory;
use crate::message::Kind;

pub(super) const GROUP: GroupId = GroupId(1);
const MEMBER: Member = Member { node: NodeId(1), incarnation: Incarnation(1) };
pub(super) const NOW: Instant = Instant::ZERO;
const WALL: Timestamp = Timestamp(1_000);

pub(super) fn view(primary: u32, members: &[u32]) -> View {
    let member = |node: &u32| Member { node: NodeId(*node), incarnation: Incarnation(u128::from(*node)) };
    View {
        number: ViewNumber(1),
        primary: NodeId(primary),
        boot: BootNumber(1),
        members: members.iter().map(member).collect(),
        learners: Vec::new(),
    }
}

/// Adds a replica that holds nothing yet.
pub(super) fn start_group(
    plane: &mut DataPlane<Memory, &'static str>,
    replica: Config,
    now: Instant,
    out: &mut Out<DataEffect>,
) {
    let settings = GroupSettings {
        replica,
        placement: Placement::default(),
        election_timeout: Duration::from_millis(300),
        memory_max: 0,
        eviction: Eviction::default(),
        min_copies: 1,
        scrub_interval: None,
        levels: onecopy_core::Levels::default(),
        slice_steps: SLICE_STEPS,
        seed: [0; 32],
    };
    let state = Replicated::new(Memory::default(), Rules::default());
    let (recovered, base, configuration) = Default::default();
    let restored = Restored { recovered, state, base, configuration };
    let fresh = Fresh::new(|_| Memory::default());
    plane.start_group(settings, restored, fresh, now, &mut (), out).expect("it starts");
}

/// Node 1, with a replica of the group or without.
pub(super) struct Node {
    pub(super) plane: DataPlane<Memory, &'static str>,
    pub(super) out: Out<DataEffect>,
}

impl Node {
    pub(super) fn start(holds_data: bool) -> Self {
        Self::holding(if holds_data { &[GROUP] } else { &[] })
    }

    /// With replicas of these groups.
    pub(super) fn holding(groups: &[GroupId]) -> Self {
        let mut plane =
            DataPlane::new(NodeId(1), Incarnation(7), CoordinatorConfig::new(Duration::from_secs(5)));
        let mut out = Out::default();
        for group in groups {
            let lease = Some(Duration::from_millis(100));
            let replica = Config { lease, ..Config::new(*group, MEMBER, BootNumber(1)) };
            start_group(&mut plane, replica, NOW, &mut out);
        }
        Self { plane, out }
    }

    /// The view service announces this view.
    pub(super) fn learn(&mut self, view: View) {
        self.learn_of(GROUP, view);
    }

    fn learn_of(&mut self, group: GroupId, view: View) {
        self.plane.router.learn(group, &view);
        self.plane.with(group, &mut self.out, |group, asked| {
            group.step(NOW, Input::Announced { view }, &mut (), asked);
        });
    }

    fn submit(&mut self, kind: Kind, client: &'static str) {
        self.submit_to(GROUP, kind, client);
    }

    pub(super) fn submit_to(&mut self, group: GroupId, kind: Kind, client: &'static str) {
        let segment = Bytes::from_static(client.as_bytes());
        self.plane.submit(group, Submission { kind, segment, client });
    }

    /// Turns until the disk has nothing to do.
    pub(super) fn turn(&mut self) -> Vec<DataEffect> {
        loop {
            self.plane.route(NOW, &mut self.out);
            self.plane.end_turn(NOW, WALL, &mut (), &mut self.out);
            self.plane.go_on(NOW, &mut (), &mut self.out);
            if self.out.writes.is_empty() {
                return std::mem::take(&mut self.out.effects);
            }
            for job in std::mem::take(&mut self.out.writes) {
                self.plane.persisted(NOW, job.group, job.ticket, &mut (), &mut self.out);
            }
        }
    }

    fn replies(&mut self) -> Vec<&'static str> {
        self.plane.replies().map(|(client, _)| client).collect()
    }
}

fn forward(sequence: u64) -> Forward {
    Forward {
        group: GROUP,
        view: ViewNumber(1),
        coordinator: Incarnation(8),
        sequence,
        done_below: 1,
        kind: Kind::Write,
        part: None,
        heard: Vec::new(),
        body: Bytes::from_static(b"x"),
    }
}

#[test]
fn a_request_at_the_node_of_the_primary_never_leaves_it() {
    let mut node = Node::start(true);
    node.learn(view(1, &[1]));
    node.turn();
    node.submit(Kind::Write, "a");
    let effect = node.turn();
    assert!(effect.is_empty(), "{effect:?}");
    assert_eq!(node.replies(), ["a"]);
    assert_eq!(node.plane.group(GROUP).map(|group| group.counters().batches), Some(1));
}

#[test]
fn a_request_elsewhere_goes_to_the_primary() {
    let mut node = Node::start(false);
    node.learn(view(2, &[2]));
    node.submit(Kind::Write, "a");
    let effect = node.turn();
    let [DataEffect::Forward { to: NodeId(2), forward }] = &effect[..] else { panic!("{effect:?}") };
    assert_eq!((forward.sequence, forward.view), (1, ViewNumber(1)));
    assert_eq!(node.plane.coordinator(GROUP).map(|coordinator| coordinator.outstanding().count()), Some(1));
    // It could not be sent: nothing was executed, so it is tried again.
    node.plane.undelivered(GROUP, 1);
    assert!(node.replies().is_empty());
    assert!(node.plane.deadline(NOW) < Some(NOW + Duration::from_secs(1)));
}

#[test]
fn batches_of_others_are_answered_to_them() {
    let mut node = Node::start(true);
    node.learn(view(1, &[1]));
    node.turn();
    node.plane.forwarded(NodeId(3), forward(5), &mut node.out);
    let effect = node.turn();
    let [DataEffect::Answer { to: NodeId(3), answer }] = &effect[..] else { panic!("{effect:?}") };
    assert_eq!((answer.coordinator, answer.sequence), (Incarnation(8), 5));
    assert!(matches!(answer.outcome, Outcome::Done { .. }));
}

#[test]
fn a_node_without_data_says_so() {
    let mut node = Node::start(false);
    node.plane.forwarded(NodeId(3), forward(5), &mut node.out);
    let effect = node.turn();
    let [DataEffect::Answer { to: NodeId(3), answer }] = &effect[..] else { panic!("{effect:?}") };
    assert_eq!(answer.outcome, Outcome::NotPrimary(None));
}

/// Node 1 as a backup of node 2, with a lease until 100 ms. It holds these entries, and does not know that
/// they are committed.
fn backup(entries: Vec<Entry>) -> Node {
    let mut node = Node::start(true);
    let view = view(2, &[1, 2]);
    node.learn(view.clone());
    let loan = onecopy_replica::Loan { earned: NOW, lasts: Duration::from_millis(100) };
    let prepare = Message::Prepare {
        view,
        sequence: 1,
        previous: EntryId::ZERO,
        entries,
        commit: Index(0),
        digest: None,
        terms: Some(onecopy_replica::Terms { sent: NOW, lease: Some(loan), reads: false }),
    };
    let prepare = GroupMessage::PrimaryBackup(prepare);
    node.plane.received(NOW, NodeId(2), GROUP, prepare, &mut (), &mut node.out);
    node.turn();
    node
}

/// An entry that writes the key `x`.
fn entry() -> Entry {
    let mut builder = Builder::new(Header::default());
    let id = BatchId { coordinator: Incarnation(8), sequence: 1 };
    builder.push(&Batch { id, done_below: 1, part: None, heard: Vec::new(), body: Bytes::from_static(b"x") });
    Entry { id: EntryId::new(1, 1), time: WALL, seed: 0, payload: builder.finish() }
}

#[test]
fn reads_stay_on_the_node_of_a_backup_with_a_lease() {
    let mut node = backup(Vec::new());
    node.submit(Kind::Read, "a");
    node.submit(Kind::Write, "b");
    let effect = node.turn();
    let [DataEffect::Forward { to: NodeId(2), forward }] = &effect[..] else { panic!("{effect:?}") };
    assert_eq!(forward.kind, Kind::Write);
    assert_eq!(node.replies(), ["a"]);
}

#[test]
fn a_read_at_a_backup_does_not_wait_for_the_write_that_another_waits_for() {
    let mut node = backup(vec![entry()]);
    for client in ["x", "a"] {
        node.submit(Kind::Read, client);
    }
    node.turn();
    assert_eq!(node.replies(), ["a"]);
}

#[test]
fn reads_go_to_the_primary_when_the_lease_has_run_out() {
    let mut node = backup(Vec::new());
    node.submit(Kind::Read, "a");
    let later = NOW + Duration::from_millis(100);
    node.plane.route(later, &mut node.out);
    let effect = std::mem::take(&mut node.out.effects);
    assert!(matches!(&effect[..], [DataEffect::Forward { to: NodeId(2), .. }]), "{effect:?}");
}

#[test]
fn a_primary_without_backups_asks_for_no_handover() {
    let mut node = Node::start(true);
    node.learn(view(1, &[1]));
    node.turn();
    // Nobody is there to hand over to.
    node.plane.hand_over(NOW, GROUP, None, &mut (), &mut node.out);
    assert!(node.turn().is_empty());
}

const OTHER: GroupId = GroupId(2);

#[test]
fn the_clock_of_a_node_is_older_than_its_first_group() {
    let mut node = Node::start(false);
    node.turn();
    start_group(&mut node.plane, Config::new(GROUP, MEMBER, BootNumber(1)), NOW, &mut node.out);
    let later = NOW + Duration::from_secs(1);
    node.plane.end_turn(later, Timestamp(WALL.0 + 3_600_000), &mut (), &mut node.out);
    assert!(node.plane.clock().jump().is_some(), "a wall clock that was set meanwhile is not believed");
}

#[test]
fn groups_have_logs_and_primaries_of_their_own() {
    let mut node = Node::holding(&[GROUP, OTHER]);
    node.learn(view(1, &[1]));
    node.learn_of(OTHER, view(2, &[1, 2]));
    node.turn();
    node.submit(Kind::Write, "a");
    node.submit_to(OTHER, Kind::Write, "b");
    let effect = node.turn();
    let forwards = effect.iter().filter_map(|effect| match effect {
        DataEffect::Forward { to, forward } => Some((*to, forward.group, forward.sequence)),
        _ => None,
    });
    // Each group counts the batches of a coordinator from the beginning.
    assert_eq!(forwards.collect::<Vec<_>>(), [(NodeId(2), OTHER, 1)]);
    assert_eq!(node.replies(), ["a"]);
    let batches = |group| node.plane.group(group).map(|group: &Group<Memory>| group.counters().batches);
    assert_eq!((batches(GROUP), batches(OTHER)), (Some(1), Some(0)));
}

#[test]
fn a_group_without_a_primary_keeps_no_other_waiting() {
    let mut node = Node::holding(&[GROUP, OTHER]);
    node.learn(view(1, &[1]));
    node.submit_to(OTHER, Kind::Write, "b");
    node.submit(Kind::Write, "a");
    node.turn();
    assert_eq!(node.replies(), ["a"]);
    assert_eq!(node.plane.coordinator(OTHER).map(|waits| waits.outstanding().count()), Some(1));
    node.learn_of(OTHER, view(1, &[1]));
    node.turn();
    assert_eq!(node.replies(), ["b"]);
}

#[test]
fn an_answer_is_for_the_group_that_was_asked() {
    let mut node = Node::start(false);
    node.learn(view(2, &[2]));
    node.learn_of(OTHER, view(2, &[2]));
    node.submit(Kind::Write, "a");
    node.submit_to(OTHER, Kind::Write, "b");
    node.turn();
    let outcome = Outcome::Forgotten;
    node.plane
        .answered(NodeId(2), Answer { group: OTHER, coordinator: Incarnation(7), sequence: 1, outcome });
    assert_eq!(node.replies(), ["b"]);
}

#[test]
fn a_group_at_rest_has_no_turns() {
    let mut node = Node::holding(&[GROUP, OTHER]);
    node.learn(view(1, &[1]));
    node.turn();
    // It is in no view, and waits for nothing.
    assert!(!node.plane.agenda.touched().any(|group| group == OTHER));
    node.submit(Kind::Write, "a");
    node.plane.route(NOW, &mut node.out);
    assert_eq!(node.plane.agenda.touched().collect::<Vec<_>>(), [GROUP]);
}
