//! Copies that talk, are cut from each other, die and come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    BootNumber, EntryId, GroupId, Incarnation, Instant, Member, NodeId, Petition, Plea, Recovered, Rules,
    Timestamp, ViewNumber, Write,
};
use onecopy_keyspace::request::{SegmentBuilder, split_response};
use onecopy_resp::Version;
use onecopy_views::{Addresses, Command, Database, Kind as Replication, Reason, Registration, Start, Table};

use super::message::Message;
use super::{News, OptimisticCopy, Place, Restored, Settings};
use crate::disk::{ArchiveEvent, ArchiveJob, Out};
use crate::group::{GroupEffect, Origin};
use crate::message::{Forward, GroupMessage, Kind, Outcome};

const GROUP: GroupId = GroupId(2);
const STEP: Duration = Duration::from_millis(10);

/// What is on the disk of a node.
#[derive(Clone, Default)]
struct Disk {
    incarnation: u128,
    boot: u64,
    run: u64,
    kept: Recovered,
    images: BTreeMap<EntryId, Bytes>,
}

impl Disk {
    fn write(&mut self, write: Write) {
        match write {
            Write::State(state) => self.kept.state = Some(state),
            Write::Append { entries, commit } => {
                self.kept.entries.extend(entries);
                self.kept.commit = commit;
            }
            Write::Compact { through } => {
                self.kept.entries.retain(|entry| entry.id.index > through.index);
                self.kept.base = through;
            }
            Write::Forget => self.kept = Recovered::default(),
            Write::Cut { .. } | Write::Install { .. } => panic!("a copy only appends"),
        }
    }
}

struct Rig {
    now: Instant,
    table: Table,
    disks: BTreeMap<NodeId, Disk>,
    copies: BTreeMap<NodeId, OptimisticCopy>,
    packets: VecDeque<(NodeId, NodeId, Message)>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Nothing becomes durable on these.
    stalled: BTreeSet<NodeId>,
    pending: BTreeMap<NodeId, VecDeque<crate::disk::Job>>,
    answers: BTreeMap<(NodeId, u64), Outcome>,
    sequence: u64,
    news: Vec<(NodeId, News)>,
    sent: usize,
    /// What copies ask of the view service.
    pleas: BTreeMap<NodeId, Petition>,
    /// How far ahead the wall clock of a node is, in milliseconds.
    ahead: BTreeMap<NodeId, u64>,
    window: usize,
}

fn settings(me: NodeId, disk: &Disk, window: usize) -> Settings {
    let start =
        Start { incarnation: Incarnation(disk.incarnation), boot: BootNumber(disk.boot), run: disk.run };
    Settings { window_bytes_max: window, ..Settings::new(GROUP, me, start, [me.0 as u8; 32]) }
}

impl Rig {
    fn new(count: u32) -> Self {
        let mut rig = Self {
            now: Instant(1_000_000_000),
            table: Table::default(),
            disks: BTreeMap::new(),
            copies: BTreeMap::new(),
            packets: VecDeque::new(),
            cut: BTreeSet::new(),
            stalled: BTreeSet::new(),
            pending: BTreeMap::new(),
            answers: BTreeMap::new(),
            sequence: 0,
            news: Vec::new(),
            sent: 0,
            pleas: BTreeMap::new(),
            ahead: BTreeMap::new(),
            window: 1 << 20,
        };
        let nodes: Vec<NodeId> = (1..=count).map(NodeId).collect();
        for node in &nodes {
            rig.disks.insert(*node, Disk { incarnation: u128::from(node.0), ..Disk::default() });
            rig.register(*node);
        }
        let member = |node: &NodeId| Member { node: *node, incarnation: Incarnation(u128::from(node.0)) };
        let members: Vec<Member> = nodes.iter().map(member).collect();
        let kind = Replication::Optimistic;
        let database = Database { name: "carts".to_owned(), first: 16, count: 1, kind };
        let (copies, primary, boot) = (count, NodeId(1), BootNumber(1));
        let create = Command::CreateDatabase { group: GROUP, database, copies, members, primary, boot };
        rig.table.apply(&create, Rules::default()).expect("it fits");
        nodes.iter().for_each(|node| rig.start(*node));
        rig.run(Duration::from_secs(3));
        rig
    }

    /// The view table hears of the next start of a node.
    fn register(&mut self, node: NodeId) {
        let disk = self.disks.get_mut(&node).expect("it is there");
        disk.boot += 1;
        let registration = Registration {
            incarnation: Incarnation(disk.incarnation),
            boot: BootNumber(disk.boot),
            holds_data: true,
            zone: String::new(),
            pid: 1,
            run: disk.run,
            addresses: Addresses::default(),
        };
        let _ = self.table.apply(&Command::RegisterNode { node, registration }, Rules::default());
    }

    fn start(&mut self, node: NodeId) {
        let disk = &self.disks[&node];
        let image = disk.images.get(&disk.kept.base).cloned();
        let restored = Restored { recovered: disk.kept.clone(), image };
        let copy = OptimisticCopy::start(settings(node, disk, self.window), restored, self.now).expect("one");
        self.copies.insert(node, copy);
        self.announce(node);
    }

    fn announce(&mut self, node: NodeId) {
        let (table, now) = (self.table.clone(), self.now);
        self.with(node, |copy, out| copy.announced(now, &table, out));
    }

    fn crash(&mut self, node: NodeId) {
        self.copies.remove(&node);
        self.pending.remove(&node);
        self.packets.retain(|(from, to, _)| *from != node && *to != node);
        self.copies.values_mut().for_each(|copy| copy.lost(node));
    }

    fn restart(&mut self, node: NodeId) {
        self.crash(node);
        self.register(node);
        self.start(node);
        let others: Vec<NodeId> = self.copies.keys().copied().collect();
        others.into_iter().for_each(|other| self.announce(other));
    }

    fn with(&mut self, node: NodeId, act: impl FnOnce(&mut OptimisticCopy, &mut Out<GroupEffect>)) {
        let mut out = Out::default();
        let Some(copy) = self.copies.get_mut(&node) else { return };
        act(copy, &mut out);
        self.news.extend(copy.take_news().map(|news| (node, news)));
        self.take(node, out);
    }

    fn take(&mut self, node: NodeId, out: Out<GroupEffect>) {
        self.pending.entry(node).or_default().extend(out.writes);
        for job in out.archive {
            match job {
                ArchiveJob::Write { name, offset, data } => {
                    let disk = self.disks.get_mut(&node).expect("it is there");
                    let image = disk.images.entry(name.id).or_default();
                    let begin = image.slice(..offset as usize);
                    *image = [begin, data].concat().into();
                    let written = image.len() as u64;
                    self.with(node, |copy, out| copy.archived(ArchiveEvent::Written { name, written }, out));
                }
                ArchiveJob::Finish { name } => {
                    self.with(node, |copy, out| copy.archived(ArchiveEvent::Finished { name }, out));
                }
                ArchiveJob::Forget { .. } => self.disks.get_mut(&node).expect("it is there").images.clear(),
                other => assert!(matches!(other, ArchiveJob::Keep { .. }), "{other:?}"),
            }
        }
        for effect in out.effects {
            match effect {
                GroupEffect::Send { to, message: GroupMessage::Optimistic(message), .. } => {
                    self.packets.push_back((node, to, message));
                }
                GroupEffect::Answer { origin: Origin::Local { sequence }, outcome, .. } => {
                    self.answers.insert((node, sequence), outcome);
                }
                GroupEffect::Petition(petition) => drop(self.pleas.insert(node, petition)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = self.now + STEP;
            for (from, to, message) in std::mem::take(&mut self.packets) {
                if !self.cut.contains(&(from, to)) {
                    self.sent += format!("{message:?}").len();
                    let now = self.now;
                    self.with(to, |copy, out| copy.received(now, from, message, out));
                }
            }
            for node in self.copies.keys().copied().collect::<Vec<_>>() {
                if !self.stalled.contains(&node) {
                    self.sync(node);
                }
                let ahead = self.ahead.get(&node).copied().unwrap_or_default();
                let (now, wall) = (self.now, Timestamp(self.now.0 / 1_000_000 + ahead));
                self.with(node, |copy, out| copy.end_turn(now, wall, out));
            }
        }
    }

    fn sync(&mut self, node: NodeId) {
        while let Some(job) = self.pending.get_mut(&node).and_then(VecDeque::pop_front) {
            let disk = self.disks.get_mut(&node).expect("it is there");
            job.writes.into_iter().for_each(|write| disk.write(write));
            let now = self.now;
            self.with(node, |copy, out| copy.persisted(now, job.ticket, out));
        }
    }

    /// Hands in a command; under which number.
    fn submit(&mut self, node: u32, line: &str) -> u64 {
        let waits = line.starts_with("WAIT") || line.starts_with("CAUSAL");
        let kind = if waits { Kind::Wait } else { Kind::Write };
        self.sequence += 1;
        let sequence = self.sequence;
        let mut segment = SegmentBuilder::new(0, Version::Two);
        segment.push(line.split(' ').map(str::as_bytes));
        let forward = Forward {
            group: GROUP,
            view: ViewNumber(1),
            coordinator: Incarnation(u128::from(node) << 8),
            sequence,
            done_below: 1,
            kind,
            part: None,
            heard: Vec::new(),
            body: segment.finish().freeze(),
        };
        self.with(NodeId(node), |copy, out| copy.offer(Origin::Local { sequence }, forward, out));
        sequence
    }

    /// The answer to a command, which comes within a moment.
    fn ask(&mut self, node: u32, line: &str) -> String {
        let sequence = self.submit(node, line);
        self.run(STEP * 2);
        self.answer(node, sequence)
    }

    fn answer(&mut self, node: u32, sequence: u64) -> String {
        match self.answers.remove(&(NodeId(node), sequence)) {
            Some(Outcome::Done { response, .. }) => {
                let reply = split_response(&response).next().expect("one").expect("whole").expect("executed");
                String::from_utf8_lossy(&reply).into_owned()
            }
            other => format!("{other:?}"),
        }
    }

    fn cut(&mut self, one: u32, other: u32) {
        self.cut.extend([(NodeId(one), NodeId(other)), (NodeId(other), NodeId(one))]);
    }

    fn assert_same(&self) {
        let digests: BTreeSet<u64> = self.copies.values().map(|copy| copy.replica().digest()).collect();
        let clocks: Vec<_> = self.copies.values().map(|copy| copy.replica().clock()).collect();
        assert_eq!(digests.len(), 1, "O9: {clocks:?}");
    }
}

#[test]
fn every_copy_takes_writes_and_all_come_to_the_same() {
    let mut rig = Rig::new(3);
    assert_eq!(rig.ask(1, "INCR n"), ":1\r\n");
    rig.run(Duration::from_millis(50));
    assert_eq!(rig.ask(2, "INCR n"), ":2\r\n");
    [(1, 2), (1, 3), (2, 3)].into_iter().for_each(|(one, other)| rig.cut(one, other));
    for node in 1..=3 {
        assert_eq!(rig.ask(node, "INCR alone"), ":1\r\n");
    }
    rig.cut.clear();
    rig.run(Duration::from_secs(2));
    rig.assert_same();
    assert_eq!(rig.ask(3, "GET alone"), "$1\r\n3\r\n");
    assert!(rig.copies.values().all(|copy| copy.repairs().count == 0), "the windows have everything");
}

#[test]
fn two_that_do_not_see_each_other_hear_of_each_other() {
    let mut rig = Rig::new(3);
    rig.cut(1, 3);
    rig.ask(1, "SET a 1");
    rig.ask(3, "SET b 1");
    rig.run(Duration::from_secs(1));
    rig.assert_same();
    assert_eq!(rig.ask(3, "GET a"), "$1\r\n1\r\n");
}

#[test]
fn nothing_is_answered_or_told_before_it_is_durable() {
    let mut rig = Rig::new(2);
    rig.stalled.insert(NodeId(1));
    let sequence = rig.submit(1, "SET a 1");
    rig.run(Duration::from_millis(500));
    assert!(!rig.answers.contains_key(&(NodeId(1), sequence)), "O3");
    assert_eq!(rig.ask(2, "GET a"), "$-1\r\n", "O5");
    rig.run(Duration::from_secs(1));
    let sequence = rig.submit(1, "SET b 1");
    assert_eq!(rig.answers.remove(&(NodeId(1), sequence)), Some(Outcome::Busy), "others serve");
    // What it has not written is gone, and its name is given again.
    rig.stalled.clear();
    rig.restart(NodeId(1));
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.ask(1, "GET a"), "$-1\r\n");
    assert_eq!(rig.ask(1, "SET c 1"), "+OK\r\n");
    rig.run(Duration::from_secs(1));
    rig.assert_same();
}

#[test]
fn a_copy_goes_on_where_it_was_after_a_restart_from_its_log_and_from_an_image() {
    let mut rig = Rig::new(3);
    for round in 0..4 {
        for node in 1..=3 {
            assert_eq!(rig.ask(node, "INCR n"), format!(":{}\r\n", round * 3 + node));
            rig.run(Duration::from_millis(100));
        }
        if round == 1 {
            (1..=3).for_each(|node| rig.with(NodeId(node), |copy, _| copy.snapshot_wanted()));
            rig.run(Duration::from_millis(100));
        }
        rig.restart(NodeId(round % 3 + 1));
        rig.run(Duration::from_millis(500));
    }
    rig.assert_same();
    let bases: Vec<u64> = rig.copies.values().map(|copy| copy.base().0).collect();
    assert!(bases.iter().all(|base| *base > 0), "{bases:?}");
    assert!(rig.copies.values().all(|copy| copy.repairs().count == 0));
}

#[test]
fn who_was_away_for_longer_than_the_windows_reach_is_repaired_and_keeps_it() {
    let mut rig = Rig::new(3);
    rig.window = 4_000;
    (1..=3).for_each(|node| rig.restart(NodeId(node)));
    rig.run(Duration::from_secs(1));
    for key in 0..300 {
        rig.ask(1, &format!("SET key:{key} {key}"));
    }
    rig.run(Duration::from_secs(1));
    rig.assert_same();
    rig.cut(1, 3);
    rig.cut(2, 3);
    for key in 0..100 {
        rig.ask(1, &format!("SET key:{key} new"));
    }
    rig.ask(2, "DEL key:200");
    rig.ask(3, "SET own 1");
    rig.cut.clear();
    rig.run(Duration::from_secs(3));
    rig.assert_same();
    let repairs = rig.copies[&NodeId(3)].repairs();
    assert!(repairs.count >= 1 && (101..=120).contains(&repairs.differing), "O9: {repairs:?}");
    assert_eq!(
        (rig.ask(3, "GET key:7"), rig.ask(3, "EXISTS key:200")),
        ("$3\r\nnew\r\n".into(), ":0\r\n".into())
    );
    assert_eq!(rig.ask(2, "GET own"), "$1\r\n1\r\n");
    rig.restart(NodeId(3));
    rig.cut(1, 3);
    rig.cut(2, 3);
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.ask(3, "GET key:7"), "$3\r\nnew\r\n", "what a repair brought is durable");
}

/// Who repairs itself serves nobody meanwhile, or less than it could: it does not wait for what is lost.
#[test]
fn a_repair_whose_connection_breaks_begins_anew_at_once() {
    let mut rig = Rig::new(2);
    rig.window = 400;
    (1..=2).for_each(|node| rig.restart(NodeId(node)));
    rig.run(Duration::from_secs(1));
    rig.cut(1, 2);
    for key in 0..100 {
        rig.ask(1, &format!("SET key:{key} new"));
    }
    rig.cut.clear();
    let asks = |rig: &Rig| rig.packets.iter().any(|(.., message)| matches!(message, Message::Ask { .. }));
    while !asks(&rig) {
        rig.run(STEP);
    }
    rig.packets.clear();
    rig.copies.get_mut(&NodeId(2)).expect("it lives").lost(NodeId(1));
    rig.run(Duration::from_secs(1));
    rig.assert_same();
    let repairs = rig.copies[&NodeId(2)].repairs();
    assert_eq!((repairs.count, repairs.failed), (1, 1), "{repairs:?}");
}

#[test]
fn a_copy_without_its_data_returns_as_another_one_and_an_old_image_makes_no_updates() {
    let mut rig = Rig::new(3);
    rig.ask(3, "SET a 1");
    rig.run(Duration::from_millis(200));
    let image = rig.disks[&NodeId(3)].clone();
    rig.ask(3, "SET b 1");
    rig.ask(3, "SADD gone x");
    rig.run(Duration::from_millis(200));
    rig.ask(1, "DEL gone a");
    rig.run(Duration::from_millis(500));
    let before = rig.copies[&NodeId(3)].life();
    // It starts from the old image, and the table does not know of this start.
    rig.crash(NodeId(3));
    rig.disks.insert(NodeId(3), Disk { run: 1, ..image.clone() });
    rig.start(NodeId(3));
    rig.run(Duration::from_secs(1));
    assert!(!rig.copies[&NodeId(3)].serves(), "O5");
    // With another life it may.
    rig.crash(NodeId(3));
    rig.disks.insert(NodeId(3), Disk { incarnation: 77, boot: 0, ..image });
    rig.restart(NodeId(3));
    rig.run(Duration::from_secs(3));
    rig.assert_same();
    let copy = &rig.copies[&NodeId(3)];
    assert!(copy.life() > before && copy.serves());
    assert_eq!(rig.ask(3, "EXISTS a gone b"), ":1\r\n", "O6");
    assert_eq!(rig.ask(3, "SET c 1"), "+OK\r\n");
    // The life that is over takes no room once all have seen the same of it.
    rig.run(Duration::from_secs(1));
    rig.assert_same();
    assert!(rig.copies.values().all(|copy| copy.replica().clock().seen_of(before) == u64::MAX), "O8");
}

/// Found by the simulator: a start took the log of such a copy for that of another kind of group.
#[test]
fn a_copy_without_a_number_that_has_heard_of_updates_is_known_as_one_at_its_next_start() {
    let mut rig = Rig::new(3);
    rig.crash(NodeId(3));
    let disk = Disk { incarnation: 77, boot: 1, run: 1, ..Disk::default() };
    rig.disks.insert(NodeId(3), disk);
    rig.start(NodeId(3));
    rig.ask(1, "SET a 1");
    rig.run(Duration::from_secs(1));
    let kept = &rig.disks[&NodeId(3)].kept;
    assert!(!kept.entries.is_empty() && super::is_optimistic(kept.state.as_deref()));
    rig.restart(NodeId(3));
    rig.run(Duration::from_secs(1));
    rig.assert_same();
    assert_eq!(rig.ask(3, "GET a"), "$1\r\n1\r\n");
}

#[test]
fn a_clock_that_is_ten_years_ahead_blocks_nobody() {
    let mut rig = Rig::new(3);
    rig.ahead.insert(NodeId(2), 10 * 31_536_000_000);
    assert_eq!(rig.ask(2, "SET a wrong"), "+OK\r\n");
    rig.run(Duration::from_millis(300));
    assert_eq!(rig.ask(1, "SET a right"), "+OK\r\n");
    rig.run(Duration::from_millis(300));
    rig.assert_same();
    assert_eq!(rig.ask(3, "GET a"), "$5\r\nright\r\n");
    assert!(
        rig.news.iter().any(|(node, news)| *node == NodeId(1) && matches!(news, News::ClockAhead { .. }))
    );
}

#[test]
fn tokens_and_waits_say_what_other_copies_have_seen() {
    let mut rig = Rig::new(3);
    assert_eq!(rig.ask(1, "SET a 1"), "+OK\r\n");
    let token = rig.ask(1, "CAUSAL");
    let token = token.lines().nth(1).expect("a bulk string").to_owned();
    rig.run(Duration::from_millis(100));
    assert_eq!(rig.ask(2, &format!("CAUSAL {token}")), "+OK\r\n");
    assert_eq!(rig.ask(1, "WAIT 2 100"), ":2\r\n");
    rig.cut(1, 3);
    rig.cut(2, 3);
    rig.ask(1, "SET a 2");
    let token = rig.ask(1, "CAUSAL").lines().nth(1).expect("a bulk string").to_owned();
    let (behind, some) = (rig.submit(3, &format!("CAUSAL {token} 700")), rig.submit(1, "WAIT 2 700"));
    rig.run(Duration::from_millis(650));
    // Who waits for longer than half a second is told that the answer will come.
    for (node, sequence) in [(3, behind), (1, some)] {
        assert_eq!(rig.answers.get(&(NodeId(node), sequence)), Some(&Outcome::Executing));
    }
    rig.run(Duration::from_millis(100));
    assert!(rig.answer(3, behind).starts_with("-BEHIND"));
    assert_eq!(rig.answer(1, some), ":1\r\n");
    let soon = rig.submit(3, &format!("CAUSAL {token} 3000"));
    rig.run(Duration::from_millis(100));
    rig.cut.clear();
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.answer(3, soon), "+OK\r\n");
    assert_eq!(rig.ask(3, "GET a"), "$1\r\n2\r\n");
    assert!(rig.ask(3, "CAUSAL nonsense").starts_with("-ERR this is no token"));
}

// ---- copies that come and go ------------------------------------------------------------------------------

impl Rig {
    /// The view service decides something, and all nodes learn of it.
    fn decide(&mut self, command: impl Fn(ViewNumber) -> Command) -> Result<(), onecopy_views::Rejection> {
        let number = self.table.groups()[&GROUP].view.number;
        self.table.apply(&command(number), Rules::default())?;
        self.pleas.clear();
        self.copies.keys().copied().collect::<Vec<_>>().into_iter().for_each(|node| self.announce(node));
        Ok(())
    }

    fn recruit(&mut self, node: u32) {
        let node = NodeId(node);
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.disks.entry(node) {
            vacant.insert(Disk { incarnation: u128::from(node.0), ..Disk::default() });
            self.register(node);
            self.start(node);
        }
        let learner = Member { node, incarnation: Incarnation(self.disks[&node].incarnation) };
        self.decide(|expected| Command::AddLearner { group: GROUP, expected, learner }).expect("a spare");
    }

    fn retire(&mut self, node: u32) {
        let (node, reason) = (NodeId(node), Reason::Surplus);
        self.decide(|expected| Command::RetireCopy { group: GROUP, expected, node, reason }).expect("one");
    }

    /// What a copy has asked for is done.
    fn grant(&mut self, node: u32) -> Result<(), onecopy_views::Rejection> {
        let node = NodeId(node);
        let plea = self.pleas.get(&node).expect("it asks for something").plea;
        self.decide(|expected| match plea {
            Plea::AddMember { learner } => Command::AddMember { group: GROUP, expected, learner },
            Plea::HandedOn { boot } => Command::LetCopyGo { group: GROUP, expected, node, boot },
            other => panic!("{other:?}"),
        })
    }

    fn asks(&self, node: u32) -> bool {
        self.pleas.contains_key(&NodeId(node))
    }
}

#[test]
fn a_new_copy_counts_and_serves_once_it_has_what_the_others_have() {
    let mut rig = Rig::new(2);
    for at in 0..50 {
        rig.ask(1, &format!("SET k{at} {at}"));
    }
    rig.cut.extend([(NodeId(1), NodeId(3)), (NodeId(2), NodeId(3))]);
    rig.recruit(3);
    rig.run(Duration::from_secs(10));
    assert_eq!((rig.asks(3), rig.copies[&NodeId(3)].place()), (false, Place::Learner), "it hears nobody");
    rig.cut.clear();
    rig.run(Duration::from_secs(3));
    assert!(!rig.copies[&NodeId(3)].serves());
    rig.grant(3).expect("it is filled");
    assert_eq!(rig.ask(3, "GET k49"), "$2\r\n49\r\n");
    let digests: BTreeSet<u64> = rig.copies.values().map(|copy| copy.replica().digest()).collect();
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_copy_goes_once_all_that_stay_have_everything_and_gives_back_what_it_held() {
    let mut rig = Rig::new(3);
    rig.cut.extend([(NodeId(3), NodeId(2)), (NodeId(3), NodeId(1))]);
    assert_eq!(rig.ask(3, "SET mine 1"), "+OK\r\n");
    rig.retire(3);
    assert_eq!(rig.ask(3, "SET mine 2"), "+OK\r\n", "those that stay are there for all it knows");
    rig.run(Duration::from_secs(3));
    assert!(!rig.asks(3), "nobody has what it has acknowledged");
    assert_eq!(rig.copies[&NodeId(3)].hands_on_to().count(), 2);
    rig.cut.remove(&(NodeId(3), NodeId(1)));
    rig.stalled.insert(NodeId(2));
    rig.run(Duration::from_secs(3));
    assert!(!rig.asks(3), "n2 has it in memory alone");
    assert!(!rig.copies[&NodeId(3)].serves());
    rig.stalled.clear();
    rig.cut.clear();
    rig.run(Duration::from_secs(3));
    rig.grant(3).expect("all have it");
    rig.run(Duration::from_secs(1));
    let disk = &rig.disks[&NodeId(3)];
    assert!(disk.kept.entries.is_empty() && disk.kept.state.is_none() && disk.images.is_empty());
    assert_eq!(rig.copies[&NodeId(3)].place(), Place::Nowhere);
    assert_eq!(rig.ask(1, "GET mine"), "$1\r\n2\r\n");
    rig.run(Duration::from_secs(2));
    let clock = rig.copies[&NodeId(1)].replica().clock();
    assert!(clock.iter().all(|(life, _)| life.0 < 3), "O8: it is folded: {clock:?}");
}

#[test]
fn a_copy_that_returns_to_its_node_names_its_updates_anew() {
    let mut rig = Rig::new(2);
    assert_eq!(rig.ask(2, "INCR n"), ":1\r\n");
    let first = rig.copies[&NodeId(2)].life();
    rig.run(Duration::from_secs(1));
    rig.retire(2);
    rig.run(Duration::from_secs(1));
    rig.grant(2).expect("n1 has all of it");
    rig.recruit(2);
    rig.run(Duration::from_secs(3));
    rig.grant(2).expect("it is filled");
    assert_eq!(rig.ask(2, "INCR n"), ":2\r\n");
    assert!(rig.copies[&NodeId(2)].life() > first);
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.ask(1, "INCR n"), ":3\r\n");
    // And it finds on its disk what it has written since.
    rig.restart(NodeId(2));
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.ask(2, "GET n"), "$1\r\n3\r\n");
}

#[test]
fn what_was_handed_on_before_a_restart_lets_nobody_go_after_it() {
    let mut rig = Rig::new(2);
    rig.run(Duration::from_secs(1));
    rig.retire(2);
    rig.run(Duration::from_secs(1));
    assert!(rig.asks(2));
    let plea = rig.pleas[&NodeId(2)];
    rig.restart(NodeId(2));
    rig.pleas.insert(NodeId(2), plea);
    assert!(rig.grant(2).is_err());
    rig.run(Duration::from_secs(2));
    rig.grant(2).expect("it has said so again");
}

#[test]
fn a_write_is_answered_once_enough_copies_have_it() {
    let mut rig = Rig::new(3);
    rig.decide(|_| Command::SetCopiesBeforeOk { group: GROUP, copies: 2 }).expect("there are three");
    assert_eq!(rig.ask(1, "GET k"), "$-1\r\n", "who only reads waits for nobody");
    // The others are there for all that n1 knows, and take what they hear into memory alone.
    rig.stalled.extend([NodeId(2), NodeId(3)]);
    let sequence = rig.submit(1, "SET k 1");
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.answers.get(&(NodeId(1), sequence)), Some(&Outcome::Executing), "it is waited for");
    rig.stalled.remove(&NodeId(3));
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.answer(1, sequence), "+OK\r\n");
    rig.stalled.insert(NodeId(3));
    let sequence = rig.submit(1, "SET k 2");
    rig.run(Duration::from_secs(6));
    assert_eq!(rig.answers.get(&(NodeId(1), sequence)), Some(&Outcome::Unknown), "nobody can say");
    rig.stalled.clear();
    rig.cut.extend([2, 3].into_iter().flat_map(|of| [(NodeId(of), NodeId(1)), (NodeId(1), NodeId(of))]));
    rig.run(Duration::from_secs(2));
    let sequence = rig.submit(1, "SET k 3");
    let refused = rig.answers.get(&(NodeId(1), sequence));
    assert_eq!(refused, Some(&Outcome::TooFewCopies { has: 1, needs: 2 }), "nothing is executed");
    assert_eq!(rig.ask(2, "GET k"), "$1\r\n2\r\n");
    let sequence = rig.submit(2, "SET k 4");
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.answer(2, sequence), "+OK\r\n");
}

/// Seed 69 of the simulator: the turn that could not begin the image was wanted again at once.
#[test]
fn a_copy_whose_disk_has_not_forgotten_the_one_before_waits_with_its_image() {
    let mut rig = Rig::new(2);
    assert_eq!(rig.ask(1, "SET k 1"), "+OK\r\n");
    rig.run(Duration::from_secs(1));
    rig.retire(2);
    rig.run(Duration::from_secs(1));
    rig.stalled.insert(NodeId(2));
    rig.grant(2).expect("n1 has all of it");
    rig.recruit(2);
    rig.run(Duration::from_secs(3));
    rig.with(NodeId(2), |copy, _| copy.snapshot_wanted());
    rig.run(STEP);
    assert!(rig.copies[&NodeId(2)].deadline(rig.now) > rig.now);
    assert!(rig.disks[&NodeId(2)].images.is_empty());
    rig.stalled.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.disks[&NodeId(2)].images.len(), 1);
}
