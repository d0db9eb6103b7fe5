use onecopy_core::chunks::Chunk;
use onecopy_core::payload::{Builder, Header};
use onecopy_core::{BootNumber, Entry, EntryId, Eviction, Incarnation, Member, Recovered, ViewNumber};
use onecopy_raft::Configuration;
use onecopy_replica::{Base, Config, Message};

use super::requests::ENTRY_BYTES_MAX;
use super::*;
use crate::disk::{ArchiveJob, SnapshotName};
use crate::memory::Memory;
use crate::message::GroupMessage::PrimaryBackup;
use crate::message::{Forward, Kind};

mod long;
mod raft;

const GROUP: GroupId = GroupId(1);
const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const NOW: Instant = Instant::ZERO;
const WALL: Timestamp = Timestamp(1_000);

fn member(node: NodeId) -> Member {
    Member { node, incarnation: Incarnation(u128::from(node.0)) }
}

fn settings(replica: Config) -> GroupSettings {
    GroupSettings {
        replica,
        placement: Placement::default(),
        election_timeout: Duration::from_millis(300),
        memory_max: 0,
        eviction: Eviction::default(),
        min_copies: 1,
        scrub_interval: None,
        levels: Levels::default(),
        slice_steps: SLICE_STEPS,
        seed: [0; 32],
    }
}

fn view(number: u64, primary: NodeId, members: &[NodeId]) -> View {
    let members = members.iter().copied().map(member).collect();
    View { number: ViewNumber(number), primary, boot: BootNumber(1), members, learners: Vec::new() }
}

/// A group with a disk that can be made to wait.
struct Rig {
    group: Group<Memory>,
    log_bytes_max: usize,
    out: Out<GroupEffect>,
}

impl Rig {
    fn start(recovered: Recovered, machine: Memory) -> Self {
        Self::start_with(1, recovered, machine)
    }

    fn start_with(min_copies: u32, recovered: Recovered, machine: Memory) -> Self {
        Self::start_sliced(SLICE_STEPS, min_copies, recovered, machine)
    }

    fn start_sliced(slice_steps: u64, min_copies: u32, recovered: Recovered, machine: Memory) -> Self {
        let replica = Config::new(GROUP, member(ME), BootNumber(1));
        let log_bytes_max = replica.log_bytes_max;
        let settings = GroupSettings { min_copies, slice_steps, ..settings(replica) };
        let state = Replicated::new(machine, Rules::default());
        let configuration = Configuration::default();
        let restored = Restored { recovered, state, base: Base::default(), configuration };
        let mut out = Out::default();
        let fresh = Fresh::new(|_| Memory::default());
        let group = Group::start(settings, restored, fresh, NOW, &mut (), &mut out).expect("it starts");
        Self { group, log_bytes_max, out }
    }

    /// The primary of view 1.
    fn primary_of(members: &[NodeId]) -> Self {
        Self::start(Recovered::default(), Memory::default()).lead(members)
    }

    /// Makes it the primary of view 1.
    fn lead(mut self, members: &[NodeId]) -> Self {
        self.step(Input::Announced { view: view(1, ME, members) });
        self.sync();
        self.effects();
        self
    }

    /// The other member has everything durably.
    fn other_acknowledges(&mut self) {
        let (view, durable) = (ViewNumber(1), self.group.replica().log().last().index);
        let message = Message::PrepareOk { view, durable, checked: Index(0), terms: None };
        self.step(Input::Received { from: OTHER, message });
    }

    fn machine(&self) -> &Memory {
        self.group.machine().expect("it is in the middle of nothing")
    }

    fn step(&mut self, input: Input) {
        self.group.step(NOW, input, &mut (), &mut self.out);
    }

    fn offer(&mut self, sequence: u64, kind: Kind, body: &[u8], known: u64) {
        let body = Bytes::copy_from_slice(body);
        let (coordinator, view) = (Incarnation(9), ViewNumber(known));
        let forward = Forward {
            group: GROUP,
            view,
            coordinator,
            sequence,
            done_below: 1,
            kind,
            part: None,
            heard: Vec::new(),
            body,
        };
        self.group.offer(Origin::Local { sequence }, forward, &mut self.out);
    }

    fn end_turn(&mut self) {
        self.group.end_turn(NOW, WALL, &mut (), &mut self.out);
        if self.group.executes_long() {
            self.group.go_on(NOW, &mut (), &mut self.out);
        }
    }

    /// Everything that was handed in becomes durable, and what follows from it too.
    fn sync(&mut self) {
        while !self.out.writes.is_empty() {
            for job in std::mem::take(&mut self.out.writes) {
                self.group.persisted(NOW, job.ticket, &mut (), &mut self.out);
            }
        }
    }

    fn effects(&mut self) -> Vec<GroupEffect> {
        std::mem::take(&mut self.out.effects)
    }

    /// The batches that have been answered, and how.
    fn answers(&mut self) -> Vec<(u64, String)> {
        let answers = self.effects().into_iter().filter_map(|effect| match effect {
            GroupEffect::Answer { origin: Origin::Local { sequence }, outcome, .. } => {
                Some((sequence, outcome))
            }
            _ => None,
        });
        let short = |outcome| match outcome {
            Outcome::Done { response, as_of } => {
                format!("{} as of {as_of}", String::from_utf8_lossy(&response))
            }
            Outcome::NotPrimary(view) => format!("the primary is {:?}", view.map(|view| view.primary)),
            outcome => format!("{outcome:?}"),
        };
        answers.map(|(sequence, outcome)| (sequence, short(outcome))).collect()
    }

    fn archive(&mut self) -> Vec<ArchiveJob> {
        std::mem::take(&mut self.out.archive)
    }
}

fn name(index: u64, time: u64) -> SnapshotName {
    SnapshotName { group: GROUP, id: EntryId::new(index, 1), time: Timestamp(time) }
}

/// The image of a state whose machine has these bytes.
fn image(bytes: &[u8]) -> Bytes {
    let mut state = Replicated::new(Memory::default(), Rules::default());
    state.damage(|machine| machine.bytes = bytes.to_vec());
    state.snapshot_begin();
    let mut image = Vec::new();
    while state.snapshot_read(1_000, &mut image) {}
    image.into()
}

fn chunk(offset: u64, data: Bytes, last: bool) -> Input {
    let name = name(7, 70);
    let chunk = Chunk { snapshot: name.id, time: name.time, offset, data, last };
    Input::Received {
        from: OTHER,
        message: Message::SnapshotChunk { view: ViewNumber(1), transfer: 1, chunk },
    }
}

fn answer(sequence: u64, text: &str) -> (u64, String) {
    (sequence, text.to_owned())
}

#[test]
fn a_turn_makes_one_entry_and_each_batch_is_answered_once() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.offer(1, Kind::Write, b"ab", 1);
    rig.offer(2, Kind::Write, b"c", 1);
    rig.end_turn();
    assert_eq!(rig.answers(), [], "nothing is answered before it is durable");
    rig.sync();
    assert_eq!(rig.answers(), [answer(1, "a as of #2"), answer(2, "c as of #2")]);
    assert_eq!((rig.group.applied(), &rig.machine().bytes[..]), (Index(2), &b"abc"[..]));
    let counters = Counters { entries: 2, batches: 2, reads: 0, reads_as_backup: 0, view_changes: 1 };
    assert_eq!(rig.group.counters(), counters);
    rig.end_turn();
    rig.sync();
    assert_eq!(rig.answers(), []);
}

#[test]
fn an_entry_is_closed_when_it_is_large() {
    let mut rig = Rig::primary_of(&[ME]);
    for sequence in 1..=3 {
        rig.offer(sequence, Kind::Write, &vec![b'x'; ENTRY_BYTES_MAX * 2 / 3], 1);
    }
    rig.end_turn();
    rig.sync();
    while rig.group.behind() > 0 {
        rig.end_turn();
    }
    let expected = [answer(1, "x as of #2"), answer(2, "x as of #2"), answer(3, "x as of #3")];
    assert_eq!(rig.answers(), expected);
}

#[test]
fn only_the_primary_of_the_known_view_takes_batches() {
    let mut rig = Rig::start(Recovered::default(), Memory::default());
    rig.step(Input::Announced { view: view(2, OTHER, &[ME, OTHER]) });
    rig.sync();
    rig.effects();
    rig.offer(1, Kind::Write, b"a", 2);
    rig.offer(2, Kind::Read, b"a", 1);
    rig.offer(3, Kind::Write, b"a", 3);
    let elsewhere = "the primary is Some(n2)";
    assert_eq!(rig.answers(), [answer(1, elsewhere), answer(2, elsewhere), answer(3, "Busy")]);
}

#[test]
fn reads_of_a_turn_wait_for_one_confirmation() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.offer(1, Kind::Write, b"abc", 1);
    rig.end_turn();
    rig.sync();
    rig.effects();
    rig.offer(2, Kind::Read, b"x", 1);
    rig.offer(3, Kind::Read, b"y", 1);
    rig.end_turn();
    assert_eq!(rig.answers(), [answer(2, "x\u{3} as of #2"), answer(3, "y\u{3} as of #2")]);
}

#[test]
fn a_primary_that_is_succeeded_does_not_know_the_outcome() {
    let mut rig = Rig::primary_of(&[ME, OTHER]);
    rig.other_acknowledges();
    rig.offer(1, Kind::Write, b"a", 1);
    rig.offer(2, Kind::Read, b"b", 1);
    rig.end_turn();
    rig.sync();
    assert_eq!(rig.answers(), [], "the other member has said nothing");
    rig.step(Input::Announced { view: view(2, OTHER, &[ME, OTHER]) });
    let answers = rig.answers();
    assert!(answers.contains(&answer(1, "Unknown")), "{answers:?}");
    assert!(answers.contains(&answer(2, "the primary is Some(n2)")), "{answers:?}");
    assert_eq!(answers.len(), 2);
}

#[test]
fn messages_wait_for_their_ticket() {
    let mut rig = Rig::start(Recovered::default(), Memory::default());
    let prepare = Message::Prepare {
        view: view(1, OTHER, &[ME, OTHER]),
        sequence: 1,
        previous: EntryId::ZERO,
        entries: vec![Entry { id: EntryId::new(1, 1), time: Timestamp(1), seed: 0, payload: Bytes::new() }],
        commit: Index(0),
        digest: None,
        terms: None,
    };
    rig.step(Input::Received { from: OTHER, message: prepare });
    let sent = |effects: &[GroupEffect]| {
        effects.iter().filter(|effect| matches!(effect, GroupEffect::Send { .. })).count()
    };
    assert_eq!(sent(&rig.effects()), 0, "neither the promise nor the entry is durable");
    rig.sync();
    let acknowledged = |effect: &GroupEffect| {
        let GroupEffect::Send { to, message: PrimaryBackup(Message::PrepareOk { durable, .. }), .. } = effect
        else {
            return false;
        };
        (*to, *durable) == (OTHER, Index(1))
    };
    assert!(rig.effects().iter().any(acknowledged));
}

#[test]
fn what_the_log_kept_is_executed_and_tells_nobody() {
    let entry =
        |index| Entry { id: EntryId::new(index, 1), time: Timestamp(index), seed: 0, payload: Bytes::new() };
    let recovered = Recovered { entries: vec![entry(1), entry(2)], commit: Index(1), ..Recovered::default() };
    let mut rig = Rig::start(recovered, Memory::default());
    assert_eq!(rig.group.applied(), Index(1));
    assert!(rig.effects().is_empty());
}

#[test]
fn time_alone_makes_an_entry_but_one_at_a_time() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.group.damage(|machine| machine.due = Some(Timestamp(900)));
    rig.group.clock = Timestamp(850);
    assert_eq!(rig.group.deadline(NOW), Some(NOW + Duration::from_millis(50)));
    rig.end_turn();
    rig.end_turn();
    assert_eq!(rig.group.replica().log().last().index, Index(2));
    rig.sync();
    assert_eq!((rig.group.applied(), rig.machine().due), (Index(2), None));
}

#[test]
fn what_is_left_to_remove_makes_entries_at_a_bounded_pace() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.group.damage(|machine| machine.leftovers = 1_000);
    let begin = rig.group.replica().log().last().index.0;
    for ms in 0..100 {
        let now = NOW + Duration::from_millis(ms);
        rig.group.end_turn(now, WALL, &mut (), &mut rig.out);
        rig.sync();
    }
    let entries = rig.group.replica().log().last().index.0 - begin;
    assert_eq!(entries, 10, "in 100 ms, however fast the disk is");
    let deadline = rig.group.deadline(NOW + Duration::from_millis(99));
    assert_eq!(deadline, Some(NOW + Duration::from_millis(100)));
}

#[test]
fn a_read_does_not_wait_for_the_pace_of_time() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.group.damage(|machine| machine.due = Some(Timestamp(900)));
    rig.end_turn();
    rig.sync();
    rig.group.damage(|machine| machine.due = Some(Timestamp(901)));
    let at = rig.group.applied();
    rig.end_turn();
    assert_eq!(rig.group.replica().log().last().index, at, "too soon after the last");
    rig.offer(7, Kind::Read, b"k", 1);
    rig.end_turn();
    assert_eq!(rig.group.replica().log().last().index, at.next());
}

#[test]
fn an_entry_carries_the_memory_limit_of_its_primary() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.group.memory_max = 77;
    for (sequence, set, limit) in [(1, None, 77), (2, Some(5), 5), (3, Some(0), 0), (4, None, 77)] {
        rig.group.set_memory_max(set);
        rig.offer(sequence, Kind::Write, b"a", 1);
        rig.end_turn();
        let log = rig.group.replica().log();
        let payload = &log.get(log.last().index).expect("an entry").payload;
        let (header, _) = onecopy_core::payload::decode(payload).expect("it makes sense");
        assert_eq!(header.memory_max, limit, "{set:?}");
    }
}

#[test]
fn a_repetition_whose_answer_was_too_large_hears_that_it_was_executed() {
    let mut rig = Rig::primary_of(&[ME]);
    let bounds = onecopy_core::AnswerBounds { one_max: 0, all_max: 0 };
    rig.group.bounds = bounds;
    let state = rig.group.fresh_state();
    rig.group.state.replace(state);
    for _ in 0..2 {
        rig.offer(1, Kind::Write, b"a", 1);
        rig.end_turn();
        rig.sync();
    }
    assert_eq!(rig.answers(), [answer(1, "a as of #2"), answer(1, "Forgotten")]);
    assert_eq!(rig.machine().bytes, b"a");
}

#[test]
fn what_is_of_a_level_that_is_not_known_stops_the_group_and_changes_nothing() {
    let mut node = Rig::primary_of(&[ME, OTHER]);
    node.offer(1, Kind::Write, b"a", 1);
    node.end_turn();
    node.sync();
    node.other_acknowledges();
    let (applied, before) = (node.group.applied(), node.machine().digest());
    // As a newer version would have made it: the table of this process says so, and nobody has stopped it.
    node.group.set_level(Level(2));
    node.effects();
    for sequence in 2..4 {
        node.offer(sequence, Kind::Write, b"b", 1);
        node.end_turn();
    }
    node.sync();
    node.other_acknowledges();
    let effects = node.effects();
    let stops = |effect: &&GroupEffect| matches!(effect, GroupEffect::UnknownLevel(unknown) if unknown.level == Level(2));
    assert_eq!(effects.iter().filter(stops).count(), 1, "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, GroupEffect::Answer { .. })), "{effects:?}");
    node.end_turn();
    assert_eq!((node.group.applied(), node.machine().digest()), (applied, before));
}

#[test]
fn a_log_that_holds_a_level_that_is_not_known_does_not_start() {
    let header = Header { level: Level(2), ..Header::default() };
    let payload = Builder::new(header).finish();
    let entry = Entry { id: EntryId::new(1, 1), time: Timestamp(1), seed: 0, payload };
    let recovered = Recovered { entries: vec![entry], commit: Index(1), ..Recovered::default() };
    let start = |levels| {
        let replica = Config::new(GROUP, member(ME), BootNumber(1));
        let settings = GroupSettings { levels, ..settings(replica) };
        let state = Replicated::new(Memory::default(), Rules::default());
        let (recovered, base) = (recovered.clone(), Base::default());
        let restored = Restored { recovered, state, base, configuration: Configuration::default() };
        let fresh = Fresh::new(|_| Memory::default());
        Group::start(settings, restored, fresh, NOW, &mut (), &mut Out::default())
            .map(|group| group.applied())
    };
    assert_eq!(start(Levels::through(Level(2))).ok(), Some(Index(1)));
    assert!(matches!(start(Levels::default()), Err(Corrupt::Level(unknown)) if unknown.level == Level(2)));
}

#[test]
fn a_snapshot_is_taken_when_the_log_wants_one() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.group.snapshot_wanted(&mut ());
    rig.group.snapshot_wanted(&mut ());
    assert_eq!(rig.group.deadline(NOW), Some(NOW), "it goes on at once");
    rig.end_turn();
    let snapshot = SnapshotName { group: GROUP, id: EntryId::new(1, 1), time: Timestamp(0) };
    let jobs = rig.archive();
    assert!(
        matches!(&jobs[..], [ArchiveJob::Write { name, offset: 0, .. }, ArchiveJob::Finish { name: finished }]
            if (*name, *finished) == (snapshot, snapshot)),
        "{jobs:?}"
    );
    rig.group.archived(NOW, ArchiveEvent::Finished { name: snapshot }, &mut (), &mut rig.out);
    // Older ones go when the log says that it begins here, and not before.
    assert_eq!(rig.archive(), []);
    rig.sync();
    assert_eq!(rig.archive(), [ArchiveJob::Keep { group: GROUP, id: snapshot.id }]);
    // There is one of this state already.
    rig.group.snapshot_wanted(&mut ());
    rig.end_turn();
    assert_eq!(rig.archive(), []);
}

#[test]
fn a_snapshot_that_arrives_replaces_the_state() {
    let mut rig = Rig::start(Recovered::default(), Memory::default());
    let mut learning = view(1, OTHER, &[OTHER]);
    learning.learners.push(member(ME));
    rig.step(Input::Announced { view: learning });
    let image = image(b"abc");
    let (cut, length) = (image.len() - 1, image.len() as u64);
    rig.step(chunk(0, image.slice(..cut), false));
    let written = |written| ArchiveEvent::Written { name: name(7, 70), written };
    rig.group.archived(NOW, written(length - 1), &mut (), &mut rig.out);
    rig.step(chunk(length - 1, image.slice(cut..), true));
    rig.group.archived(NOW, written(length), &mut (), &mut rig.out);
    assert!(rig.archive().contains(&ArchiveJob::Finish { name: name(7, 70) }));
    assert_eq!(rig.group.applied(), Index(0), "it is not durable yet");
    rig.group.archived(NOW, ArchiveEvent::Finished { name: name(7, 70) }, &mut (), &mut rig.out);
    assert_eq!((rig.group.applied(), &rig.machine().bytes[..]), (Index(7), &b"abc"[..]));
    assert_eq!(rig.group.replica().log().base(), EntryId::new(7, 1));
}

#[test]
fn a_snapshot_that_makes_no_sense_changes_nothing() {
    let mut rig = Rig::start(Recovered::default(), Memory::default());
    let mut learning = view(1, OTHER, &[OTHER]);
    learning.learners.push(member(ME));
    rig.step(Input::Announced { view: learning });
    let image = image(b"a!");
    let written = ArchiveEvent::Written { name: name(7, 70), written: image.len() as u64 };
    rig.step(chunk(0, image, true));
    rig.group.archived(NOW, written, &mut (), &mut rig.out);
    rig.group.archived(NOW, ArchiveEvent::Finished { name: name(7, 70) }, &mut (), &mut rig.out);
    assert_eq!((rig.group.applied(), rig.machine().bytes.len()), (Index(0), 0));
}

#[test]
fn a_batch_that_comes_again_is_answered_again_and_executed_once() {
    let mut rig = Rig::primary_of(&[ME]);
    for _ in 0..2 {
        rig.offer(1, Kind::Write, b"a", 1);
        rig.end_turn();
        rig.sync();
    }
    assert_eq!(rig.answers(), [answer(1, "a as of #2"), answer(1, "a as of #3")]);
    assert_eq!(rig.machine().bytes, b"a");
    // Twice in one entry, too.
    rig.offer(2, Kind::Write, b"b", 1);
    rig.offer(2, Kind::Write, b"b", 1);
    rig.end_turn();
    rig.sync();
    assert_eq!(rig.answers(), [answer(2, "b as of #4"), answer(2, "b as of #4")]);
    assert_eq!(rig.machine().bytes, b"ab");
}

#[test]
fn an_idle_primary_makes_an_entry_to_compare_by() {
    let mut rig = Rig::primary_of(&[ME]);
    rig.group.scrub_interval = Some(Duration::from_secs(1));
    let last = |rig: &Rig| rig.group.replica().log().last().index;
    rig.end_turn();
    assert_eq!(last(&rig), Index(2), "there has been none yet");
    rig.sync();
    rig.end_turn();
    assert_eq!(last(&rig), Index(2));
    assert_eq!(rig.group.deadline(NOW), Some(NOW + Duration::from_millis(50)), "a heartbeat");
    let later = NOW + Duration::from_secs(1);
    rig.group.end_turn(later, WALL, &mut (), &mut rig.out);
    assert_eq!(last(&rig), Index(3));
}

/// Watches what becomes of a replica that has diverged.
#[derive(Default)]
struct Watch(Vec<&'static str>);

impl GroupObserver<Memory> for Watch {
    fn diverged(&mut self, _: &Group<Memory>, _: Index, _: u64, _: u64) {
        self.0.push("diverged");
    }

    fn rebuilt(&mut self, group: &Group<Memory>) {
        assert_eq!((group.applied(), group.machine().expect("it is here").bytes.len()), (Index(0), 0));
        self.0.push("rebuilt");
    }
}

#[test]
fn a_replica_that_diverged_is_rebuilt() {
    let mut rig = Rig::start(Recovered::default(), Memory::default());
    let mut watch = Watch::default();
    let first = view(1, OTHER, &[ME, OTHER]);
    let entry = Entry { id: EntryId::new(1, 1), time: Timestamp(1), seed: 0, payload: Bytes::new() };
    let prepare = Message::Prepare {
        view: first.clone(),
        sequence: 1,
        previous: EntryId::ZERO,
        entries: vec![entry],
        commit: Index(1),
        digest: Some(Digest { after: Index(1), value: 1 }),
        terms: None,
    };
    for input in [
        Input::Announced { view: first },
        Input::Received { from: OTHER, message: prepare },
        Input::Announced { view: view(2, OTHER, &[OTHER]) },
    ] {
        rig.group.step(NOW, input, &mut watch, &mut rig.out);
        rig.sync();
    }
    assert_eq!(watch.0, ["diverged", "rebuilt"]);
}

#[test]
fn no_write_is_taken_or_answered_while_copies_are_lacking() {
    let mut rig = Rig::start_with(2, Recovered::default(), Memory::default()).lead(&[ME, OTHER]);
    rig.offer(1, Kind::Write, b"a", 1);
    rig.end_turn();
    rig.sync();
    rig.other_acknowledges();
    rig.offer(2, Kind::Write, b"b", 1);
    rig.end_turn();
    rig.sync();
    assert_eq!(rig.answers(), [answer(1, "a as of #2")], "the other member lacks the second");
    // It is dropped. The second is committed without it, and its coordinator does not hear so.
    rig.step(Input::Announced { view: view(2, ME, &[ME]) });
    rig.sync();
    assert_eq!(rig.machine().bytes, b"ab");
    rig.offer(3, Kind::Write, b"c", 2);
    rig.offer(4, Kind::Read, b"d", 2);
    rig.end_turn();
    let lacks = "TooFewCopies { has: 1, needs: 2 }";
    let answers = rig.answers();
    assert_eq!(answers[..2], [answer(2, "Unknown"), answer(3, lacks)]);
    assert!(answers[2].1.starts_with("d"), "{answers:?}");
    assert_eq!(rig.machine().bytes, b"ab", "the third was not executed");
}
