//! A backup sends its snapshot to a replica, because the primary asks it to.

use onecopy_core::chunks::{CHUNK, WINDOW};

use super::*;

const SNAPSHOT: EntryId = EntryId { index: Index(5), epoch: onecopy_core::Epoch(1) };

fn serve(transfer: u64, base: u64) -> Message {
    Message::ServeSnapshot { view: ViewNumber(2), to: N3, transfer, base: Index(base) }
}

fn serves(transfer: u64, snapshot: Option<EntryId>) -> Message {
    let sends = snapshot.map(|snapshot| (snapshot, 0));
    Message::ServesSnapshot { view: ViewNumber(2), to: N3, transfer, sends }
}

fn reads(offset: u64) -> Effect {
    Effect::ReadSnapshot { to: N3, snapshot: SNAPSHOT, offset: offset * CHUNK as u64 }
}

fn window() -> impl Iterator<Item = Effect> {
    (0..WINDOW).map(reads)
}

fn ack(transfer: u64, wanted: u64) -> Message {
    let wanted = wanted * CHUNK as u64;
    Message::SnapshotAck { view: ViewNumber(2), transfer, snapshot: SNAPSHOT, wanted }
}

/// What is left without the heartbeats and complaints of every tick.
fn about_snapshots(effects: Vec<Effect>) -> Vec<Effect> {
    let is_other = |effect: &Effect| {
        is_suspicion(effect) || matches!(effect, Effect::Send { message: Message::Prepare { .. }, .. })
    };
    effects.into_iter().filter(|effect| !is_other(effect)).collect()
}

mod the_primary {
    use super::*;

    /// The primary of view 2, with a snapshot at #5@1 and the entries #6@1 and #7@2, which the backup n2 has;
    /// the learner n3 has nothing, and has just said so.
    fn asked() -> (Subject, Vec<Effect>) {
        let kept = Recovered { base: SNAPSHOT, entries: vec![entry(6, 1)], commit: Index(6), state: None };
        let (mut subject, _) = Subject::start(config(), kept);
        subject.announce(&view(2, N1, &[N1, N2], &[N3]));
        subject.persisted(2);
        subject.receive(N2, ok(2, 7));
        let effects = subject.receive(N3, reject(2, 1, 0, EntryId::ZERO));
        (subject, effects)
    }

    /// Time passes, and everybody goes on acknowledging.
    fn pass(subject: &mut Subject, milliseconds: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        for _ in 0..milliseconds / INTERVAL {
            effects.extend(subject.elapse(INTERVAL));
            subject.receive(N2, ok(2, 7));
            subject.receive(N3, ok(2, 0));
        }
        about_snapshots(effects)
    }

    #[test]
    fn asks_a_backup_first() {
        let (mut subject, effects) = asked();
        assert_eq!(effects, [sends(N2, serve(1, 5))]);
        assert_eq!(subject.receive(N2, serves(1, Some(id(6, 1)))), []);
        // The learner has it: the log goes on from there.
        let view = view(2, N1, &[N1, N2], &[N3]);
        let rest = sends(N3, prepare(&view, 2, id(6, 1), vec![entry(7, 2)], 7));
        assert_eq!(subject.receive(N3, ok(2, 6)), [rest]);
    }

    #[test]
    fn does_not_ask_a_backup_that_is_silent() {
        let kept = Recovered { base: SNAPSHOT, entries: vec![entry(6, 1)], commit: Index(6), state: None };
        let (mut subject, _) = Subject::start(config(), kept);
        subject.announce(&view(2, N1, &[N1, N2], &[N3]));
        subject.persisted(2);
        let effects = subject.receive(N3, reject(2, 1, 0, EntryId::ZERO));
        assert_eq!(effects, window().collect::<Vec<_>>(), "n2 has not acknowledged anything yet");
    }

    #[test]
    fn serves_itself_if_the_backup_cannot() {
        let (mut subject, _) = asked();
        assert_eq!(subject.receive(N2, serves(1, None)), window().collect::<Vec<_>>());
        assert_eq!(subject.receive(N2, serves(1, None)), [], "it came twice");
        assert_eq!(subject.receive(N2, serves(1, Some(SNAPSHOT))), [], "too late");
    }

    #[test]
    fn takes_over_from_a_backup_that_is_not_heard_of() {
        let (mut subject, _) = asked();
        subject.receive(N2, serves(1, Some(SNAPSHOT)));
        assert_eq!(pass(&mut subject, 1_000), []);
        subject.receive(N2, serves(1, Some(SNAPSHOT)));
        assert_eq!(pass(&mut subject, 1_450), [], "it has just said how far it is");
        assert_eq!(pass(&mut subject, INTERVAL), window().collect::<Vec<_>>());
    }

    #[test]
    fn believes_only_whom_it_has_asked() {
        let (mut subject, _) = asked();
        assert_eq!(subject.receive(N3, serves(1, None)), []);
        assert_eq!(subject.receive(N2, serves(2, None)), []);
    }

    #[test]
    fn counts_no_opinion_at_second_hand() {
        // P10: what the learner holds is what the backup holds.
        let (mut subject, _) = asked();
        subject.receive(N2, serves(1, Some(SNAPSHOT)));
        let accuses = |began| Message::Diverged { view: ViewNumber(2), began: ViewNumber(began) };
        assert_eq!(subject.receive(N2, accuses(0)), []);
        assert_eq!(subject.receive(N3, accuses(1)), []);
        // The next time the learner gets everything from the primary, and then it counts.
        let third = view(3, N1, &[N1, N2], &[]);
        subject.announce(&third);
        let fourth = view(4, N1, &[N1, N2], &[N3]);
        subject.announce(&fourth);
        subject.persisted(6);
        subject.receive(N2, ok(4, 9));
        let effects = subject.receive(N3, reject(4, 1, 0, EntryId::ZERO));
        assert_eq!(effects, window().collect::<Vec<_>>());
        let again = Message::Diverged { view: ViewNumber(4), began: ViewNumber(3) };
        assert_eq!(subject.receive(N3, again), [Effect::Damaged]);
    }
}

mod the_backup {
    use super::*;

    /// A backup of view 2 with a snapshot at #5@1.
    fn backup() -> Subject {
        let kept = Recovered { base: SNAPSHOT, entries: vec![entry(6, 1)], commit: Index(6), state: None };
        let (mut subject, _) = Subject::start(config(), kept);
        subject.announce(&view(2, N2, &[N1, N2], &[N3]));
        subject.persisted(1);
        subject
    }

    /// One that has been asked for its snapshot.
    fn serving() -> Subject {
        let mut subject = backup();
        let mut expected = vec![sends(N2, serves(1, Some(SNAPSHOT)))];
        expected.extend(window());
        assert_eq!(subject.receive(N2, serve(1, 5)), expected);
        subject
    }

    #[test]
    fn sends_pieces_and_tells_the_primary_how_it_gets_on() {
        let mut subject = serving();
        let piece = chunk(SNAPSHOT, 0, CHUNK, false);
        let found = Input::SnapshotRead { to: N3, snapshot: SNAPSHOT, chunk: Some(piece.clone()) };
        let sent = Message::SnapshotChunk { view: ViewNumber(2), transfer: 1, chunk: piece };
        assert_eq!(subject.step(found), [sends(N3, sent)]);
        let sends_some = Some((SNAPSHOT, CHUNK as u64));
        let moved = Message::ServesSnapshot { view: ViewNumber(2), to: N3, transfer: 1, sends: sends_some };
        let moved = [sends(N2, moved), reads(4)];
        assert_eq!(subject.receive(N3, ack(1, 1)), moved);
        assert_eq!(subject.receive(N3, ack(1, 1)), [], "nothing has moved");
        assert_eq!(subject.receive(N3, ack(2, 2)), [], "another transfer");
        assert_eq!(subject.receive(N2, serve(1, 5)), [], "it came twice");
    }

    #[test]
    fn says_so_if_it_has_nothing_that_the_log_goes_on_from() {
        let mut subject = backup();
        assert_eq!(subject.receive(N2, serve(1, 6)), [sends(N2, serves(1, None))]);
        let mut fresh = Subject::told(config(), &view(2, N2, &[N1, N2], &[N3]), &[1], 1);
        assert_eq!(fresh.receive(N2, serve(1, 0)), [sends(N2, serves(1, None))]);
    }

    #[test]
    fn obeys_the_primary_alone() {
        let mut subject = backup();
        assert_eq!(subject.receive(N3, serve(1, 5)), []);
        let mut learner = Subject::told(config(), &view(2, N2, &[N2], &[N1, N3]), &[1], 1);
        assert_eq!(learner.receive(N2, serve(1, 0)), [sends(N2, serves(1, None))]);
    }

    #[test]
    fn gives_up_when_sending_again_does_not_help() {
        let mut subject = serving();
        assert_eq!(about_snapshots(subject.elapse(500)), window().collect::<Vec<_>>());
        assert_eq!(about_snapshots(subject.elapse(500)), [sends(N2, serves(1, None))]);
        assert_eq!(about_snapshots(subject.elapse(500)), []);
        // The primary may ask again.
        assert_eq!(subject.receive(N2, serve(3, 5)).len(), 1 + WINDOW as usize);
    }

    #[test]
    fn goes_on_when_sending_again_helps() {
        let mut subject = serving();
        subject.elapse(500);
        subject.receive(N3, ack(1, 1));
        assert_eq!(about_snapshots(subject.elapse(500)), (1..=WINDOW).map(reads).collect::<Vec<_>>());
    }

    #[test]
    fn sends_the_newer_one_if_there_is_one_by_now() {
        let mut subject = serving();
        subject.step(taken(id(6, 1)));
        let gone = Input::SnapshotRead { to: N3, snapshot: SNAPSHOT, chunk: None };
        let effects = subject.step(gone);
        assert_eq!(effects[0], sends(N2, serves(1, Some(id(6, 1)))));
        assert_eq!(effects[1], Effect::ReadSnapshot { to: N3, snapshot: id(6, 1), offset: 0 });
    }

    #[test]
    fn stops_with_the_view() {
        let mut subject = serving();
        subject.announce(&view(3, N2, &[N1, N2], &[N3]));
        let piece = Some(chunk(SNAPSHOT, 0, CHUNK, false));
        assert_eq!(subject.step(Input::SnapshotRead { to: N3, snapshot: SNAPSHOT, chunk: piece }), []);
    }
}

mod the_receiver {
    use super::*;

    fn piece(transfer: u64, chunk: &Chunk) -> Message {
        Message::SnapshotChunk { view: ViewNumber(2), transfer, chunk: chunk.clone() }
    }

    fn learner() -> Subject {
        Subject::told(config(), &view(2, N2, &[N2, N3], &[N1]), &[], 0)
    }

    #[test]
    fn takes_pieces_from_any_member_and_answers_there() {
        let mut subject = learner();
        let first = chunk(SNAPSHOT, 0, 10, false);
        assert_eq!(subject.receive(N3, piece(1, &first)), [Effect::WriteSnapshot { chunk: first.clone() }]);
        let wants = Message::SnapshotAck { view: ViewNumber(2), transfer: 1, snapshot: SNAPSHOT, wanted: 10 };
        let written = Input::SnapshotWritten { snapshot: SNAPSHOT, wanted: 10 };
        assert_eq!(subject.step(written), [sends(N3, wants)]);
        assert_eq!(subject.receive(N4, piece(2, &first)), [], "no member");
    }

    #[test]
    fn never_mixes_two_transfers() {
        // The same snapshot from two replicas: the images may differ, byte by byte.
        let mut subject = learner();
        let (first, second) = (chunk(SNAPSHOT, 0, 10, false), chunk(SNAPSHOT, 10, 10, true));
        subject.receive(N3, piece(1, &first));
        let wants = Message::SnapshotAck { view: ViewNumber(2), transfer: 2, snapshot: SNAPSHOT, wanted: 0 };
        assert_eq!(subject.receive(N2, piece(2, &second)), [sends(N2, wants)]);
        assert_eq!(subject.receive(N3, piece(1, &second)), [], "that transfer is over");
        let writes = Effect::WriteSnapshot { chunk: first.clone() };
        assert_eq!(subject.receive(N2, piece(2, &first)), [writes]);
    }
}
