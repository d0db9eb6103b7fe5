//! Messages that no replica sends: ignored, whoever receives them.

use onecopy_core::chunks::CHUNK;

use super::*;

fn snapshot_chunk(snapshot: EntryId, offset: u64, length: usize) -> Message {
    Message::SnapshotChunk { view: ViewNumber(1), transfer: 1, chunk: chunk(snapshot, offset, length, false) }
}

fn ack(wanted: u64) -> Message {
    Message::SnapshotAck { view: ViewNumber(1), transfer: 1, snapshot: id(1, 1), wanted }
}

fn timed(index: u64, time: u64) -> Entry {
    Entry { time: Timestamp(time), ..entry(index, 1) }
}

fn ill_formed() -> Vec<Message> {
    let good = view(1, N2, &[N1, N2], &[]);
    let nowhere = View { primary: N4, ..good.clone() };
    let twice = View { learners: vec![member(N1)], ..good.clone() };
    let numberless = View { number: ViewNumber(0), ..good.clone() };
    let prepare = |entries| prepare(&good, 1, EntryId::ZERO, entries, 0);
    vec![
        // Views that are none.
        super::prepare(&nowhere, 1, EntryId::ZERO, vec![], 0),
        Message::NewerView { view: twice },
        Message::NewerView { view: numberless },
        // Entries that do not follow each other, in index, epoch or time.
        prepare(vec![entry(2, 1)]),
        prepare(vec![entry(1, 1), entry(3, 1)]),
        prepare(vec![entry(1, 1), entry(1, 1)]),
        prepare(vec![entry(1, 1), entry(2, 0)]),
        prepare(vec![timed(1, 5), timed(2, 4)]),
        super::prepare(&good, 1, id(1, 2), vec![entry(2, 1)], 0),
        super::prepare(&good, 1, id(u64::MAX, 1), vec![entry(0, 1)], 0),
        // Entries of a view that has not begun.
        prepare(vec![entry(1, 2)]),
        // Pieces that are too large, or lie at the end of the world.
        snapshot_chunk(id(5, 1), 0, CHUNK + 1),
        snapshot_chunk(id(5, 1), u64::MAX - 1, 1),
        ack(u64::MAX),
    ]
}

#[test]
fn what_is_ill_formed_is_ignored_by_everybody() {
    for message in ill_formed() {
        assert!(!message.is_well_formed(), "{message:?}");
        let mut outside = Subject::fresh();
        let mut backup = Subject::told(config(), &view(1, N2, &[N1, N2], &[]), &[1], 0);
        let mut primary = Subject::leading(&view(1, N1, &[N1, N2], &[]));
        for subject in [&mut outside, &mut backup, &mut primary] {
            let before = subject.log();
            assert_eq!(subject.receive(N2, message.clone()), [], "{message:?}");
            assert_eq!(subject.log(), before);
        }
    }
}

#[test]
fn what_replicas_send_is_well_formed() {
    let view = view(3, N2, &[N1, N2], &[]);
    let messages = [
        prepare(&view, 1, EntryId::ZERO, vec![], u64::MAX),
        prepare(&view, 1, EntryId::ZERO, entries(&[1, 1, 2, 3]), 0),
        prepare(&view, 1, id(4, 1), vec![entry(5, 1), entry(6, 3)], 0),
        ok(u64::MAX, u64::MAX),
        reject(3, 1, 0, EntryId::ZERO),
        confirm(1, 1),
        snapshot_chunk(id(5, 1), 1 << 40, CHUNK),
        ack(1 << 40),
    ];
    for message in messages {
        assert!(message.is_well_formed(), "{message:?}");
    }
}

#[test]
fn nobody_acknowledges_more_than_there_is() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.persisted(3);
    assert_eq!(subject.receive(N2, ok(1, 3)), []);
    assert_eq!(subject.receive(N2, ok(1, u64::MAX)), []);
    assert_eq!(subject.replica.commit(), Index(1));
}

#[test]
fn strangers_count_for_nothing() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.persisted(3);
    subject.read(1);
    let messages = [ok(1, 2), reject(1, 9, 0, EntryId::ZERO), confirmed(1, 1), ack(0)];
    for message in messages {
        assert_eq!(subject.receive(N4, message), []);
    }
    // Nor does the primary hear itself.
    assert_eq!(subject.receive(N1, ok(1, 2)), []);
    assert_eq!(subject.receive(N1, confirmed(1, 1)), []);
}

#[test]
fn absurd_rejections_are_ignored() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    assert_eq!(subject.receive(N2, reject(1, u64::MAX, u64::MAX, id(u64::MAX, 1))), []);
    assert_eq!(subject.receive(N2, reject(1, u64::MAX, 9, id(9, 9))), []);
}

#[test]
fn absurd_acknowledgements_of_a_snapshot_are_survived() {
    let kept = Recovered { base: id(1, 1), commit: Index(1), ..Recovered::default() };
    let (mut subject, _) = Subject::start(config(), kept);
    subject.announce(&view(1, N1, &[N1], &[N2]));
    subject.receive(N2, reject(1, 1, 0, EntryId::ZERO));
    for wanted in [u64::MAX, u64::MAX - 1, u64::MAX - CHUNK as u64, u64::MAX / 2 - 1, 1 << 60] {
        subject.receive(N2, ack(wanted));
        subject.elapse(10 * INTERVAL);
    }
}

/// Random numbers good enough to talk nonsense.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// Mostly numbers as they occur, sometimes the ends of the world.
    fn number(&mut self) -> u64 {
        match self.roll(8) {
            0 => [u64::MAX, u64::MAX - 1, u64::MAX / 2, u64::MAX / 2 - 1, 1 << 40][self.roll(5) as usize],
            _ => self.roll(7),
        }
    }

    fn id(&mut self) -> EntryId {
        id(self.number(), self.roll(4))
    }

    fn view(&mut self) -> View {
        let primary = if self.roll(2) == 0 { N1 } else { N2 };
        view(1 + self.roll(3), primary, &[N1, N2], &[N3])
    }

    fn duration(&mut self) -> Duration {
        Duration::from_millis(self.number())
    }

    fn terms(&mut self) -> Option<Terms> {
        let mut instant = || Instant(self.number());
        let (sent, earned) = (instant(), instant());
        let lease = (self.roll(2) == 0).then(|| Loan { earned, lasts: self.duration() });
        (self.roll(2) == 0).then(|| Terms { sent, lease, reads: self.roll(2) == 0 })
    }

    fn message(&mut self) -> Message {
        let number = ViewNumber(1 + self.roll(3));
        match self.roll(11) {
            0 => {
                let (view, previous, time) = (self.view(), self.id(), self.roll(3));
                let epoch = self.roll(4);
                let entry = |offset| Entry {
                    time: Timestamp(time),
                    ..entry(previous.index.0.wrapping_add(offset), epoch)
                };
                let entries = (1..=self.roll(4)).map(entry).collect();
                let (sequence, commit, terms) = (self.number(), Index(self.number()), self.terms());
                Message::Prepare { view, sequence, previous, entries, commit, digest: None, terms }
            }
            1 => Message::PrepareOk {
                view: number,
                durable: Index(self.number()),
                checked: Index(0),
                terms: self.terms(),
            },
            2 => reject(number.0, self.number(), self.number(), self.id()),
            3 => confirm(number.0, self.number()),
            4 => confirmed(number.0, self.number()),
            5 => Message::NewerView { view: self.view() },
            6 => {
                let (snapshot, offset, length) = (self.id(), self.number(), self.roll(3) as usize);
                let chunk = chunk(snapshot, offset, length, self.roll(2) == 0);
                Message::SnapshotChunk { view: number, transfer: self.roll(3), chunk }
            }
            7 => {
                let (transfer, snapshot) = (self.roll(3), self.id());
                Message::SnapshotAck { view: number, transfer, snapshot, wanted: self.number() }
            }
            8 => {
                let (to, transfer) = ([N2, N3][self.roll(2) as usize], self.roll(3));
                Message::ServeSnapshot { view: number, to, transfer, base: Index(self.number()) }
            }
            9 => {
                let (to, transfer) = ([N2, N3][self.roll(2) as usize], self.roll(3));
                let sends = (self.roll(2) == 0).then(|| (self.id(), self.number()));
                Message::ServesSnapshot { view: number, to, transfer, sends }
            }
            _ => {
                let holder = member([N1, N2, N3, N4][self.roll(4) as usize]);
                Message::GiveUp { view: number, granted: vec![Granted { holder, lasts: self.duration() }] }
            }
        }
    }
}

/// A replica of three entries to which n2 and n3 talk nonsense. Returns how it stopped, if it did.
fn nonsense(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let view = dice.view();
    let lease = (dice.roll(2) == 0).then(|| dice.duration());
    let mut subject = Subject::told(Config { lease, ..config() }, &view, &[1, 1, 1], 1);
    let talk = || {
        let mut ticket = 1;
        for _ in 0..60 {
            let from = if dice.roll(4) == 0 { N3 } else { N2 };
            let effects = subject.receive(from, dice.message());
            for effect in effects {
                match effect {
                    Effect::Persist { ticket: issued, .. } => ticket = issued.0,
                    Effect::WriteSnapshot { chunk } => {
                        let wanted = chunk.offset + chunk.data.len() as u64;
                        subject.step(Input::SnapshotWritten { snapshot: chunk.snapshot, wanted });
                    }
                    _ => {}
                }
            }
            subject.persisted(ticket);
            subject.read(1);
            subject.step(Input::HandOver { to: N2 });
            subject.elapse(dice.roll(60));
        }
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(talk)).err();
    match panic {
        None => Ok(()),
        Some(said) => Err(said.downcast_ref::<String>().cloned().unwrap_or_default()),
    }
}

#[test]
fn only_a_proven_contradiction_stops_a_replica() {
    // Entries that contradict what is committed, or each other: going on would make two copies of one.
    const NAMED: [&str; 3] = ["P8 tails yield", "log: time goes back", "log: the epoch of"];
    let mut survived = 0;
    for seed in 0..2_000 {
        match nonsense(seed) {
            Ok(()) => survived += 1,
            Err(said) => assert!(NAMED.iter().any(|name| said.contains(name)), "seed {seed}: {said}"),
        }
    }
    assert!(survived > 100, "nearly all histories end early: {survived}");
}
