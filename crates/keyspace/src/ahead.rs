//! Looks at the keys of the next commands together, before they are executed one after the other.
//!
//! Where there are many keys, to find one is to wait for memory: for its slot, its tags, its place and its
//! record, each of which says where to find the next. A processor can wait for the same part of many keys at
//! once, but commands do not: each ends before the next begins. So the first key of each of the next commands
//! is looked up part by part, for all of them together, and nothing is done with what is found but to have
//! it in the cache. What is there by the time of the command decides what the command does.

use std::hint::black_box;

use smallvec::SmallVec;

use crate::database::Database;
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
    /// So many were looked at, and not executed.
    ready: usize,
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
        Self { segments: segments(body), database: 0, commands: None, args: Args::new(), ready: 0 }
    }

    /// The next command is about to be executed.
    pub(crate) fn command(&mut self, databases: &[Option<Box<Database>>]) {
        if self.ready == 0 {
            self.look(databases);
        }
        self.ready = self.ready.saturating_sub(1);
    }

    fn look(&mut self, databases: &[Option<Box<Database>>]) {
        let mut sought: SmallVec<[Sought<'_>; TOGETHER]> = SmallVec::new();
        let mut last: &[u8] = &[];
        while self.ready < TOGETHER && self.advance() {
            self.ready += 1;
            let database = databases.get(usize::from(self.database)).and_then(Option::as_deref);
            if let (Some(database), Some(&key)) = (database, self.args.get(1))
                && std::mem::replace(&mut last, key) != key
            {
                sought.extend(database.run_of(key).map(|(run, slot, hash)| Sought { run, slot, hash }));
            }
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
