//! Which entries of the log a read at a backup has to wait for (rule L5, by keys).
//!
//! # Why a read need not wait for the others
//!
//! Let a read of the key k arrive at a backup that holds a read lease, has executed its log through a, and
//! holds it through l. Everything that is committed is in the log: the commit index is between a and l. If no
//! entry after a touches k, then k has the same value after a, after l, and after every entry between: also
//! at the commit index, whatever that is. So the value that the state holds now is that of the one copy at
//! the moment when the read arrived, and the read is answered at once. A tail that is cut later was never
//! committed, and did not touch k either.
//!
//! The same holds for a read of several keys, since all its entries are looked for at once: all values are
//! those at the end of the log when it arrived. A later read, here or elsewhere, that sees a newer value of
//! another key is later in that order too, because it arrived later; one that was answered before this one
//! arrived saw nothing that is not in this log.
//!
//! Time is a change as well: an entry that touches nothing lets keys expire. A read waits for the entries
//! that are later than the first moment at which time alone would change what it reads. An entry that touches
//! its keys may bring that moment nearer, so that a read for which there is one waits for everything that the
//! log holds.
//!
//! # What it costs
//!
//! Nothing where nobody reads at this backup. Where somebody does, each entry that has not been executed yet
//! is taken apart once, by the first read that finds it. What is remembered goes with the entry, and is
//! smaller than it.

use std::collections::VecDeque;

use onecopy_core::payload::Batch;
use onecopy_core::{Entry, EntryId, Footprint, Index, Log, Rule, Rules, StateMachine, Timestamp, payload};

/// What is known of the entries after the last executed one.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    entries: VecDeque<(EntryId, Timestamp, Footprint)>,
}

impl Dirty {
    /// The last entry that a read has to wait for; 0 if there is none.
    pub(super) fn last_touching(
        &mut self,
        log: &Log,
        applied: Index,
        rules: Rules,
        machine: &impl StateMachine,
        (wall, body): (Timestamp, &[u8]),
    ) -> Index {
        self.follow(log, applied, rules, machine);
        if self.entries.is_empty() {
            return Index(0);
        }
        let mut reads = Footprint::default();
        let lapses = machine.looks_at(body, &mut reads);
        let reads = reads.finish();
        // Whatever touches a key may also say when it expires, and every entry after that lets time pass.
        let is_touched = self.entries.iter().any(|(.., footprint)| footprint.meets(&reads));
        let waits = |(_, time, _): &&(EntryId, Timestamp, Footprint)| {
            // What has expired by the clock must not show either: the entry that says so is at the end of the
            // log.
            is_touched || lapses.is_some_and(|lapses| lapses <= wall.max(*time))
        };
        self.entries.iter().rev().find(waits).map_or(Index(0), |(id, ..)| id.index)
    }

    /// Brings this up to date with the log. An entry's name determines all before it, so that the last one
    /// tells whether a tail has been cut.
    fn follow(&mut self, log: &Log, applied: Index, rules: Rules, machine: &impl StateMachine) {
        while self.entries.pop_front_if(|(id, ..)| id.index <= applied).is_some() {}
        while self.entries.pop_back_if(|(id, ..)| !log.contains(*id)).is_some() {}
        let mut next = self.entries.back().map_or(applied, |(id, ..)| id.index).next();
        assert!(
            self.entries.back().is_none_or(|(id, ..)| log.contains(*id)),
            "L5 what is remembered of a tail that was cut is no part of the log"
        );
        let released = log.window_base();
        if next <= released.index {
            // What is not in memory any more may touch anything.
            let mut footprint = Footprint::default();
            footprint.everything();
            self.entries.push_back((released, Timestamp(0), footprint.finish()));
            next = released.index.next();
        }
        while let Some(entry) = log.get(next) {
            let mut footprint = of(entry, machine);
            if self.entries.back().is_some_and(|(.., before)| before.spreads()) {
                footprint.everything();
                footprint.spread();
            }
            if !rules.hold(Rule::WholeFootprints) {
                footprint.spoil();
            }
            self.entries.push_back((entry.id, entry.time, footprint));
            next = next.next();
        }
    }
}

/// What an entry touches.
fn of(entry: &Entry, machine: &impl StateMachine) -> Footprint {
    let mut footprint = Footprint::default();
    match payload::decode(&entry.payload) {
        // What goes to make room may be any key.
        Ok((header, _)) if header.policy.evicts() => footprint.everything(),
        // Behind a seal, somebody else may have executed more than is here.
        Ok((header, _)) if header.seal.is_some() => footprint.everything(),
        Ok((_, batches)) => batches.for_each(|batch| match batch {
            Ok(Batch { part: None, body, .. }) => machine.changes(&body, &mut footprint),
            // Only with the last part anything is executed, and that is about what the others say, too.
            Ok(Batch { part: Some(part), body, .. }) if !part.is_last(body.len()) => {}
            Ok(_) | Err(_) => footprint.everything(),
        }),
        Err(_) => footprint.everything(),
    }
    footprint.finish()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::payload::{Builder, Header, Part};
    use onecopy_core::{ApplyContext, BatchId, Incarnation};
    use onecopy_keyspace::Keyspace;
    use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder};
    use onecopy_resp::Version;

    use super::*;

    fn body(db: u8, commands: &[&str]) -> Bytes {
        let mut segment = SegmentBuilder::new(db, Version::Two);
        commands.iter().for_each(|command| segment.push(command.split(' ').map(str::as_bytes)));
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        body.finish()
    }

    /// An entry with one batch; without commands, a no-op.
    fn entry(index: u64, epoch: u64, time: u64, commands: &[&str]) -> Entry {
        let mut builder = Builder::new(Header::default());
        let id = BatchId { coordinator: Incarnation(7), sequence: index };
        if !commands.is_empty() {
            builder.push(&Batch {
                id,
                done_below: 0,
                part: None,
                heard: Vec::new(),
                body: body(0, commands),
            });
        }
        Entry { id: EntryId::new(index, epoch), time: Timestamp(time), seed: 0, payload: builder.finish() }
    }

    struct Scene {
        dirty: Dirty,
        log: Log,
        machine: Keyspace,
    }

    impl Scene {
        /// The entries after the first, which has been executed: it makes k, which expires at 1,000.
        fn new(entries: Vec<Entry>) -> Self {
            let mut log = Log::new(EntryId::new(1, 1));
            entries.into_iter().for_each(|entry| log.append(entry));
            let mut machine = Keyspace::new([1, 2]);
            let context = ApplyContext::new(Index(1), Timestamp(1), 0);
            machine.apply(&context, &body(0, &["SET k v PXAT 1000", "SET other v"]), &mut Vec::new());
            Self { dirty: Dirty::default(), log, machine }
        }

        fn awaits(&mut self, applied: u64, command: &str) -> u64 {
            let body = body(0, &[command]);
            let read = (Timestamp(0), body.as_ref());
            self.dirty.last_touching(&self.log, Index(applied), Rules::default(), &self.machine, read).0
        }
    }

    #[test]
    fn a_read_waits_if_an_entry_touches_its_keys() {
        let mut scene = Scene::new(vec![
            entry(2, 1, 2, &["SET a 1", "MSET b 1 c 1"]),
            entry(3, 1, 3, &["DEL c"]),
            entry(4, 1, 4, &["RENAME d e"]),
        ]);
        let expected = [("a", 4), ("b", 4), ("c", 4), ("d", 4), ("e", 4), ("f", 0), ("k", 0)];
        for (key, index) in expected {
            assert_eq!(scene.awaits(1, &format!("GET {key}")), index, "{key}");
        }
        assert_eq!(scene.awaits(1, "MGET f b a"), 4);
        assert_eq!(scene.awaits(1, "MGET a c d"), 4);
        assert_eq!(scene.awaits(2, "GET a"), 0);
        assert_eq!(scene.awaits(4, "DBSIZE"), 0);
    }

    #[test]
    fn what_is_about_all_keys_waits_for_all_and_is_waited_for_by_all() {
        let mut scene = Scene::new(vec![entry(2, 1, 2, &["FLUSHALL"]), entry(3, 1, 3, &["SET a 1"])]);
        assert_eq!(scene.awaits(1, "GET b"), 3);
        for command in ["DBSIZE", "KEYS *", "SCAN 0", "NONSENSE"] {
            assert_eq!(scene.awaits(1, command), 3, "{command}");
        }
    }

    #[test]
    fn nobody_waits_for_entries_that_touch_nothing() {
        let mut scene = Scene::new(vec![entry(2, 1, 2, &[]), entry(3, 1, 3, &["GET a", "TIME"])]);
        assert_eq!(scene.awaits(1, "GET a"), 0);
        assert_eq!(scene.awaits(1, "DBSIZE"), 0);
    }

    #[test]
    fn time_touches_what_expires() {
        let mut scene =
            Scene::new(vec![entry(2, 1, 999, &[]), entry(3, 1, 1_000, &[]), entry(4, 1, 1_001, &[])]);
        assert_eq!(scene.awaits(1, "GET k"), 4);
        assert_eq!(scene.awaits(1, "MGET other k"), 4);
        assert_eq!(scene.awaits(1, "DBSIZE"), 4);
        assert_eq!(scene.awaits(1, "GET other"), 0);
    }

    #[test]
    fn an_entry_that_says_when_a_key_expires_is_not_the_last_to_wait_for() {
        let mut scene =
            Scene::new(vec![entry(2, 1, 2, &["PEXPIREAT other 100"]), entry(3, 1, 200, &["SET a 1"])]);
        assert_eq!(scene.awaits(1, "GET other"), 3, "by then it has expired");
    }

    #[test]
    fn what_has_expired_by_the_clock_waits_for_all() {
        let mut scene = Scene::new(vec![entry(2, 1, 2, &["SET a 1"])]);
        let body = body(0, &["GET k"]);
        let mut awaits = |wall| {
            let (log, machine) = (&scene.log, &scene.machine);
            scene.dirty.last_touching(log, Index(1), Rules::default(), machine, (Timestamp(wall), &body)).0
        };
        assert_eq!((awaits(999), awaits(1_000)), (0, 2));
    }

    #[test]
    fn what_is_not_in_memory_any_more_may_touch_anything() {
        let entries = [(2, "SET a 1"), (3, "SET b 1"), (4, "SET c 1")];
        let mut scene = Scene::new(entries.map(|(index, command)| entry(index, 1, index, &[command])).into());
        scene.log.release(Index(3), 0);
        assert_eq!(scene.awaits(1, "GET d"), 4, "2 and 3 are committed, and not executed");
        assert_eq!(scene.awaits(2, "GET d"), 4);
        assert_eq!(scene.awaits(3, "GET d"), 0);
        assert_eq!(scene.awaits(3, "GET c"), 4);
    }

    #[test]
    fn nobody_waits_for_a_part_but_for_the_last_one() {
        let part = |index, at, body: &'static str| {
            let id = BatchId { coordinator: Incarnation(7), sequence: 1 };
            let part = Some(Part { at, of: 6 });
            let mut builder = Builder::new(Header::default());
            builder.push(&Batch {
                id,
                done_below: 0,
                part,
                heard: Vec::new(),
                body: Bytes::from_static(body.as_bytes()),
            });
            Entry { payload: builder.finish(), ..entry(index, 1, index, &[]) }
        };
        let mut scene = Scene::new(vec![part(2, 0, "two"), part(3, 3, "one"), entry(4, 1, 4, &[])]);
        assert_eq!(scene.awaits(1, "GET k"), 4, "it may be about any key, and its expiry");
        scene.log.cut(Index(3));
        assert_eq!(scene.awaits(1, "GET k"), 0);
    }

    #[test]
    fn a_tail_that_was_cut_is_forgotten() {
        let mut scene = Scene::new(vec![entry(2, 1, 2, &["SET a 1"]), entry(3, 1, 3, &["SET b 1"])]);
        assert_eq!(scene.awaits(1, "GET b"), 3);
        scene.log.cut(Index(3));
        assert_eq!(scene.awaits(1, "GET b"), 0);
        scene.log.append(entry(3, 2, 3, &["SET c 1"]));
        assert_eq!((scene.awaits(1, "GET b"), scene.awaits(1, "GET c")), (0, 3));
        assert_eq!(scene.dirty.entries.len(), 2);
        scene.awaits(3, "GET a");
        assert!(scene.dirty.entries.is_empty());
    }

    #[test]
    fn what_comes_in_the_place_of_a_tail_is_looked_at() {
        let mut scene = Scene::new(vec![entry(2, 1, 2, &["SET a 1"]), entry(3, 1, 3, &["SET b 1"])]);
        assert_eq!(scene.awaits(1, "GET a"), 3);
        // Nobody reads in between.
        scene.log.cut(Index(2));
        for (index, command) in [(2, "SET c 1"), (3, "SET d 1")] {
            scene.log.append(entry(index, 2, index, &[command]));
        }
        let awaited = ["a", "b", "c", "d"].map(|key| scene.awaits(1, &format!("GET {key}")));
        assert_eq!(awaited, [0, 0, 3, 3]);
    }
}
