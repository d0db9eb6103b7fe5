//! Keys that go to a database of another group: what both groups remember of a `MOVE` between them.
//!
//! Two groups have no log in common, so a move is three entries, and the key is in exactly one place for
//! whoever asks by its name:
//!
//! 1. The *source* lets it depart: the key stays as it is, with a number, and commands that name it are
//!    refused (`-TRYAGAIN`). So whoever drives the move, and however often, reads the same value.
//! 2. The *target* lets it arrive, if the name is free there, and remembers under the number whether it did.
//!    Whoever asks again hears that (rule `MovedOnce`).
//! 3. The source concludes: the key goes, if the target has taken it, or may be used again if not.
//!
//! Whoever drives a move may die between any two of them: the number is in the state of the source, and
//! anybody goes on from there (see [`Mover`]). What the target remembers is forgotten once the source has
//! nothing under way that is as old: with each arrival it says from where on it has.
//!
//! Numbers follow the clock of the source, so that a source that has lost the end of its log (which only an
//! operator can bring about, with `group recover`) gives none again that the target knows.

pub(crate) mod commands;
mod mover;

use std::collections::BTreeMap;

use onecopy_core::Timestamp;

use crate::command::{self, Spec, key_positions};
use crate::error::CommandError;
use crate::request::{Args, Segment};
use crate::transaction::selected;
pub use mover::{Ask, Ended, Heard, Mover};

/// So many keys may be on their way at once.
pub(crate) const DEPARTURES_MAX: usize = 64;
/// The longest name of a key that is moved to another group, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 64 << 10;
/// From so many groups may keys have come.
pub(crate) const SOURCES_MAX: usize = 65_536;
/// So many numbers are there for a millisecond.
const NUMBERS_PER_MS: u64 = 1 << 10;
/// What is remembered of a move costs so many bytes, beside the name of its key.
const MOVE_COST: u64 = 128;

/// What commands are told that name a key on its way.
pub(crate) const LEAVING: CommandError =
    CommandError::Other("TRYAGAIN the key is being moved to another database; nothing was executed");

/// A key that is on its way to another group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) db: u8,
    pub(crate) key: Box<[u8]>,
    /// Where to: the group, and the number of the database there.
    pub(crate) group: u64,
    pub(crate) to: u8,
    pub(crate) since: Timestamp,
}

/// What is remembered of the keys that came from a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// All moves with lower numbers have ended.
    pub(crate) below: u64,
    /// Whether each was taken.
    pub(crate) taken: BTreeMap<u64, bool>,
}

/// What became of a move at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    Taken(bool),
    /// It has ended, and what became of it is forgotten.
    Over,
}

/// The moves that a group has a part in.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// The last number that was given.
    pub(crate) last: u64,
    pub(crate) departures: BTreeMap<u64, Departure>,
    /// By the group that they came from.
    pub(crate) arrivals: BTreeMap<u64, Arrivals>,
}

impl Moves {
    /// Whether nothing is on its way, and nothing has ever been.
    pub(crate) fn is_fresh(&self) -> bool {
        self.last == 0 && self.arrivals.is_empty()
    }

    pub(crate) fn memory(&self) -> u64 {
        let departures = self.departures.values().map(|it| MOVE_COST + it.key.len() as u64);
        let arrivals = self.arrivals.values().map(|it| MOVE_COST * (1 + it.taken.len() as u64));
        departures.sum::<u64>() + arrivals.sum::<u64>()
    }

    /// Whether a key is on its way.
    pub(crate) fn is_leaving(&self, db: u8, key: &[u8]) -> bool {
        self.departures.values().any(|it| it.db == db && *it.key == *key)
    }

    /// Whether a command names a key that is on its way. What takes whole databases away may have it.
    pub(crate) fn bar(&self, db: u8, args: &[&[u8]]) -> bool {
        if self.departures.is_empty() {
            return false;
        }
        let Some(mut spec) = args.first().and_then(|name| command::lookup(name)) else { return false };
        let mut args = args;
        if spec.name == "once" {
            let Some(inner) = args.get(2).and_then(|name| command::lookup(name)) else { return false };
            (spec, args) = (inner, &args[2..]);
        }
        // Afterwards another database would have the number under which the key has departed.
        spec.name == "swapdb" || self.bars(db, spec, args)
    }

    /// Whether one of the commands of a transaction does.
    pub(crate) fn bar_segment(&self, segment: &Segment<'_>) -> bool {
        if self.departures.is_empty() {
            return false;
        }
        let (mut commands, mut args, mut db) = (segment.commands(), Args::new(), segment.db);
        while let Ok(true) = commands.next_into(&mut args) {
            if self.bar(db, &args) {
                return true;
            }
            db = selected(&args).and_then(Result::ok).unwrap_or(db);
        }
        false
    }

    fn bars(&self, db: u8, spec: &Spec, args: &[&[u8]]) -> bool {
        // These may name a key of another database.
        let any_db = matches!(spec.name, "copy" | "move");
        let is_leaving =
            |key: &[u8]| self.departures.values().any(|it| (any_db || it.db == db) && *it.key == *key);
        key_positions(spec, args).into_iter().any(|position| is_leaving(args[position]))
    }

    /// A key departs; under which number.
    pub(crate) fn depart(&mut self, departure: Departure) -> Result<u64, CommandError> {
        if self.is_leaving(departure.db, &departure.key) {
            return Err(LEAVING);
        }
        if self.departures.len() >= DEPARTURES_MAX {
            return Err(CommandError::Other(
                "TRYAGAIN too many keys are being moved to other databases; nothing was executed",
            ));
        }
        self.last = (self.last + 1).max(departure.since.0.saturating_mul(NUMBERS_PER_MS));
        self.departures.insert(self.last, departure);
        Ok(self.last)
    }

    /// From which number on something is under way.
    pub(crate) fn below(&self) -> u64 {
        self.departures.keys().next().copied().unwrap_or(self.last + 1)
    }

    /// What is known here of a move from a group.
    pub(crate) fn arrived(&self, group: u64, number: u64) -> Option<Arrived> {
        let arrivals = self.arrivals.get(&group)?;
        if number < arrivals.below {
            return Some(Arrived::Over);
        }
        arrivals.taken.get(&number).map(|taken| Arrived::Taken(*taken))
    }

    /// A move from a group was taken or not, and none of that group is under way below a number.
    pub(crate) fn remember(&mut self, group: u64, number: u64, below: u64, taken: bool) {
        let arrivals = self.arrivals.entry(group).or_default();
        arrivals.below = arrivals.below.max(below);
        arrivals.taken.insert(number, taken);
        arrivals.taken = arrivals.taken.split_off(&arrivals.below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(key: &str, since: u64) -> Departure {
        Departure { db: 1, key: key.as_bytes().into(), group: 2, to: 0, since: Timestamp(since) }
    }

    #[test]
    fn numbers_grow_with_the_clock_and_are_few_at_once() {
        let mut moves = Moves::default();
        let first = moves.depart(departure("a", 1_000)).expect("there is room");
        assert_eq!(first, 1_000 * NUMBERS_PER_MS);
        // The clock may stand still.
        assert_eq!(moves.depart(departure("b", 1_000)), Ok(first + 1));
        assert_eq!(moves.depart(departure("a", 1_001)), Err(LEAVING), "it is on its way already");
        for number in 2..DEPARTURES_MAX {
            moves.depart(departure(&number.to_string(), 1_000)).expect("there is room");
        }
        assert!(moves.depart(departure("z", 9_000)).is_err());
        assert_eq!(moves.below(), first);
        moves.departures.remove(&first);
        assert_eq!(moves.below(), first + 1);
        moves.departures.clear();
        assert_eq!((moves.below(), moves.memory()), (first + DEPARTURES_MAX as u64, 0));
    }

    #[test]
    fn what_names_a_key_on_its_way_is_barred() {
        let mut moves = Moves::default();
        let bars = |moves: &Moves, db, line: &str| {
            moves.bar(db, &line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
        };
        assert!(!bars(&moves, 1, "GET k"));
        moves.depart(departure("k", 1)).expect("there is room");
        for line in ["GET k", "MSET a 1 k 2", "ONCE token INCR k", "EVAL x 2 a k", "SWAPDB 0 2", "MOVE k 3"] {
            assert!(bars(&moves, 1, line), "{line}");
        }
        for line in ["GET a", "FLUSHDB", "KEYS *", "ONCE token INCR a", "EVAL k 1 a", "PING", "NONSENSE k"] {
            assert!(!bars(&moves, 1, line), "{line}");
        }
        assert!(!bars(&moves, 0, "GET k") && bars(&moves, 0, "COPY a k DB 1"));
    }

    #[test]
    fn what_has_ended_everywhere_is_forgotten() {
        let mut moves = Moves::default();
        moves.remember(7, 10, 10, true);
        moves.remember(7, 11, 10, false);
        assert_eq!(moves.arrived(7, 10), Some(Arrived::Taken(true)));
        assert_eq!(moves.arrived(7, 12), None);
        assert_eq!((moves.arrived(7, 9), moves.arrived(8, 9)), (Some(Arrived::Over), None));
        moves.remember(7, 12, 11, true);
        assert_eq!(moves.arrived(7, 10), Some(Arrived::Over));
        // A late one does not bring back what is over.
        moves.remember(7, 13, 4, true);
        assert_eq!(
            (moves.arrived(7, 10), moves.arrived(7, 11)),
            (Some(Arrived::Over), Some(Arrived::Taken(false)))
        );
    }
}
