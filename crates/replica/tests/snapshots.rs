//! Snapshots between replicas: what a receiver must keep, and what a sender must send again. Each test is a
//! history that the simulator, or reasoning about one, has found.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::chunks::Chunk;
use onecopy_core::{
    BootNumber, Entry, EntryId, GroupId, Incarnation, Index, Instant, Member, NodeId, Petition, Plea,
    Protocol, Recovered, Timestamp, View, ViewNumber,
};
use onecopy_replica::{Base, Config, Effect, Input, Message, Replica};

const PRIMARY: NodeId = NodeId(1);
const BACKUP: NodeId = NodeId(2);

fn member(node: NodeId) -> Member {
    Member { node, incarnation: Incarnation(u128::from(node.0)) }
}

fn view(number: u64, members: &[NodeId], learners: &[NodeId]) -> View {
    let all = |nodes: &[NodeId]| nodes.iter().copied().map(member).collect();
    View {
        number: ViewNumber(number),
        primary: PRIMARY,
        boot: BootNumber(1),
        members: all(members),
        learners: all(learners),
    }
}

fn entry(index: u64, epoch: u64) -> Entry {
    Entry { id: EntryId::new(index, epoch), time: Timestamp(0), seed: 0, payload: Bytes::new() }
}

/// A backup whose disk holds these entries, the first `commit` of which it knows to be committed.
fn backup(entries: Vec<Entry>, commit: u64) -> Replica {
    let recovered = Recovered { state: None, base: EntryId::ZERO, entries, commit: Index(commit) };
    let config = Config::new(GroupId(1), member(BACKUP), BootNumber(1));
    Replica::new(config, recovered, Base::default(), Instant::ZERO, &mut Vec::new()).expect("it starts")
}

fn step(replica: &mut Replica, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    replica.step(Instant::ZERO, input, &mut effects);
    replica.check_invariants();
    effects
}

fn hear(replica: &mut Replica, message: Message) -> Vec<Effect> {
    step(replica, Input::Received { from: PRIMARY, message })
}

fn chunk(snapshot: EntryId, view: u64, offset: u64, last: bool) -> Message {
    let data = Bytes::from_static(b"image");
    let chunk = Chunk { snapshot, time: Timestamp(0), offset, data, last };
    Message::SnapshotChunk { view: ViewNumber(view), transfer: 1, chunk }
}

/// A member holds everything that is committed, also what it does not know to be: entries after the snapshot
/// too.
#[test]
fn a_member_does_not_trade_its_log_for_a_snapshot() {
    let mut replica = backup((1..=5).map(|index| entry(index, 1)).collect(), 2);
    step(&mut replica, Input::Announced { view: view(2, &[PRIMARY, BACKUP], &[]) });
    let effects = hear(&mut replica, chunk(EntryId::new(4, 1), 2, 0, true));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::WriteSnapshot { .. })), "{effects:?}");
    assert_eq!(replica.commit(), Index(4));
    assert_eq!(replica.log().last(), EntryId::new(5, 1));
}

/// The images of two primaries hold the same state, but not as the same bytes.
#[test]
fn a_new_view_begins_a_new_image() {
    let mut replica = backup(Vec::new(), 0);
    step(&mut replica, Input::Announced { view: view(2, &[PRIMARY], &[BACKUP]) });
    let snapshot = EntryId::new(9, 1);
    let effects = hear(&mut replica, chunk(snapshot, 2, 0, false));
    assert!(matches!(effects[..], [Effect::WriteSnapshot { .. }]), "{effects:?}");
    step(&mut replica, Input::Announced { view: view(3, &[PRIMARY], &[BACKUP]) });
    let effects = hear(&mut replica, chunk(snapshot, 3, 5, true));
    let wanted = |effect: &Effect| match effect {
        Effect::Send { message: Message::SnapshotAck { wanted, .. }, .. } => Some(*wanted),
        _ => None,
    };
    assert_eq!(effects.iter().find_map(wanted), Some(0), "{effects:?}");
}

/// A learner that needs a snapshot first would hold up every write until it has it (rule P5 makes it count).
#[test]
fn a_learner_joins_only_when_the_log_is_all_that_it_lacks() {
    let recovered =
        Recovered { state: None, base: EntryId::new(10, 1), entries: vec![entry(11, 1)], commit: Index(10) };
    let config = Config::new(GroupId(1), member(PRIMARY), BootNumber(1));
    let mut effects = Vec::new();
    let mut replica =
        Replica::new(config, recovered, Base::default(), Instant::ZERO, &mut effects).expect("it starts");
    let mut effects = step(&mut replica, Input::Announced { view: view(2, &[PRIMARY], &[BACKUP]) });
    let tickets = |effects: &[Effect]| {
        effects.iter().rev().find_map(|effect| match effect {
            Effect::Persist { ticket, .. } => Some(*ticket),
            _ => None,
        })
    };
    while let Some(ticket) = tickets(&effects) {
        effects = step(&mut replica, Input::Persisted { ticket });
    }
    assert_eq!(replica.commit(), Index(12), "the learner does not count yet");
    let message =
        Message::PrepareOk { view: ViewNumber(2), durable: Index(12), checked: Index(0), terms: None };
    let effects = step(&mut replica, Input::Received { from: BACKUP, message });
    let asks =
        |effect: &Effect| matches!(effect, Effect::Petition(Petition { plea: Plea::AddMember { .. }, .. }));
    assert!(effects.iter().any(asks), "{effects:?}");
    assert!(replica.status(Instant::ZERO + Duration::from_secs(1)).oldest_prepare.is_none());
}
