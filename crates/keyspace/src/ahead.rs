//! Looks at the keys of the next commands together, before they are executed one after the other.
//!
//! Where there are many keys, to find one is to wait for memory: for its slot, its tags, its place and its
//! record, each of which says where to find the next. A processor can wait for the same part of many keys at
//! once, but commands do not: each ends before the next begins. So the first key of each of the next commands
//! is looked up part by part, for all of them together, and nothing is done with what is found but to have
//! it in the cache. What is there by the time of the command decides what the command does. What was hashed
//! for that is handed to the command, so that no first key is hashed twice.

use std::hint::black_box;

use smallvec::SmallVec;

use crate::database::{Database, Hashed};
use crate::request::{Args, Commands, Segments, segments};
use crate::slot::{RUN, Run};

/// So many keys are looked at together. A processor waits for about a dozen parts of its memory at once.
const TOGETHER: usize = 16;
/// Shorter bodies have hardly more than one command.
const BODY_MIN: usize = 512;

/// The commands of a body that were not looked at.
pub(crate) struct Ahead<'a> {
    segments: Segments<'a>,
    database: u8,
    commands: Option<Commands<'a>>,
    args: Args<'a>,
    /// The first keys of the commands that were looked at together.
    keys: SmallVec<[Option<Hashed<'a>>; TOGETHER]>,
    /// So many of these commands are executed.
    executed: usize,
}

/// A key that is looked for.
struct Sought<'a> {
    run: &'a Run,
    slot: usize,
    hash: u64,
}

impl<'a> Ahead<'a> {
    pub(crate) fn of(body: &'a [u8]) -> Self {
        let body = if body.len() < BODY_MIN { &[] } else { body };
        Self {
            segments: segments(body),
            database: 0,
            commands: None,
            args: Args::new(),
            keys: SmallVec::new(),
            executed: 0,
        }
    }

    /// The next command is about to be executed. Returns its first key, if that was hashed.
    pub(crate) fn command(&mut self, databases: &[Option<Box<Database>>]) -> Option<Hashed<'a>> {
        if self.executed == self.keys.len() {
            self.look(databases);
        }
        let key = self.keys.get(self.executed).copied().flatten();
        self.executed = self.keys.len().min(self.executed + 1);
        key
    }

    fn look(&mut self, databases: &[Option<Box<Database>>]) {
        self.keys.clear();
        self.executed = 0;
        let mut sought: SmallVec<[Sought<'_>; TOGETHER]> = SmallVec::new();
        let mut last: Option<(&[u8], Hashed<'a>)> = None;
        while self.keys.len() < TOGETHER && self.advance() {
            let database = databases.get(usize::from(self.database)).and_then(Option::as_deref);
            let (Some(database), Some(&key)) = (database, self.args.get(1)) else {
                self.keys.push(None);
                continue;
            };
            let hashed = match last {
                Some((before, hashed)) if before == key => hashed.at(key),
                _ => {
                    let hashed = database.hashed(key);
                    let (slot, hash) = (hashed.slot(), hashed.hash());
                    sought.extend(database.run_of(slot).map(|run| Sought { run, slot, hash }));
                    hashed
                }
            };
            last = Some((key, hashed));
            self.keys.push(Some(hashed));
        }
        for key in &sought {
            black_box(key.run.keys(key.slot % RUN));
        }
        sought.iter().for_each(|key| key.run.touch_slot(key.slot % RUN));
        let places = sought.iter().map(|key| key.run.likely_place(key.slot % RUN, key.hash));
        let places: SmallVec<[_; TOGETHER]> = places.collect();
        for (key, place) in sought.iter().zip(places) {
            place.into_iter().for_each(|place| key.run.touch_record(place));
        }
    }

    /// Goes to the next command. Whatever is malformed is the last.
    fn advance(&mut self) -> bool {
        loop {
            if let Some(commands) = &mut self.commands
                && let Ok(true) = commands.next_into(&mut self.args)
            {
                return true;
            }
            let Some(Ok(segment)) = self.segments.next() else { return false };
            (self.database, self.commands) = (segment.db, Some(segment.commands()));
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::Timestamp;
    use onecopy_resp::Version;

    use super::*;
    use crate::request::{BodyBuilder, SegmentBuilder};
    use crate::seed::Seed;

    /// Two segments of `SET`, with each key twice in a row.
    fn body() -> bytes::Bytes {
        let mut body = BodyBuilder::new();
        for segment in 0..2 {
            let mut commands = SegmentBuilder::new(segment, Version::Two);
            for number in 0..3 * TOGETHER {
                let key = format!("key:{segment}:{}", number / 2);
                commands.push([b"SET".as_slice(), key.as_bytes(), b"some value"]);
            }
            body.push(&commands.finish());
        }
        body.finish()
    }

    #[test]
    fn each_command_gets_its_own_key_hashed() {
        let body = body();
        let database = || Some(Box::new(Database::new(Seed([1, 2]), Timestamp(0))));
        // Nobody has used the second one.
        let databases = [database(), None];
        let database = databases[0].as_deref().expect("made above");
        let mut ahead = Ahead::of(&body);
        for segment in segments(&body).map(Result::unwrap) {
            let (mut commands, mut args) = (segment.commands(), Args::new());
            while commands.next_into(&mut args) == Ok(true) {
                let hashed = ahead.command(&databases);
                assert_eq!(hashed.is_some(), segment.db == 0);
                if let Some(hashed) = hashed {
                    assert!(hashed.is_of(args[1]), "not its own key");
                    let again = database.hashed(args[1]);
                    assert_eq!((hashed.slot(), hashed.hash()), (again.slot(), again.hash()));
                }
            }
        }
        assert!(ahead.command(&databases).is_none(), "there are no more");
    }

    #[test]
    fn a_key_elsewhere_is_hashed_anew() {
        let database = Database::new(Seed([1, 2]), Timestamp(0));
        let (text, other) = (b"key key", b"another");
        let hashed = database.hashed(&text[..3]);
        assert!(hashed.is_of(&text[..3]));
        for key in [&text[4..], &text[..2], other] {
            assert!(!hashed.is_of(key));
            let spot = |hashed| format!("{:?}", database.locate_hashed(hashed, key));
            assert_eq!(spot(Some(hashed)), spot(None));
        }
    }
}
