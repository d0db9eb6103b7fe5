//! What stands at one place of a key, and how two states of it are joined.
//!
//! A cell holds *atoms*, each under the dot of the update that put it there. An atom never changes, but for
//! the increments of a score. That an atom is not there says that it was removed, if its dot has been seen:
//! there are no tombstones (Bieniusa et al., *An Optimized Conflict-free Replicated Set*, 2012; for whole
//! stores Gonçalves et al., DAIS 2015, section 4).

use bytes::Bytes;
use onecopy_keyspace::{decimal, number};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::amount::Amount;
use crate::clock::Clock;
use crate::dot::{Dot, ReplicaId};
use crate::place::Place;
use crate::series::Series;
use crate::stamp::Stamp;

/// What a replica has added to a score, and its last update that did. The entry of the replica that made the
/// atom is the score that it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Whose it is.
    pub replica: ReplicaId,
    /// Its last update.
    pub counter: u64,
    /// The sum.
    pub score: f64,
}

/// What was put somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Atom {
    /// A string, a field's value or an element of a list. Of several the one with the greatest stamp shows.
    Text {
        /// When it was put.
        stamp: Stamp,
        /// What it is.
        value: Bytes,
    },
    /// A member of a set.
    Member,
    /// The score of a member of a sorted set. Of several the one with the greatest stamp shows.
    Score {
        /// When `ZADD` gave it.
        stamp: Stamp,
        /// What it is made of, in order of the replicas.
        parts: Vec<Part>,
    },
    /// When the key expires.
    Deadline {
        /// When `EXPIRE` or `PERSIST` said so.
        stamp: Stamp,
        /// The time, in milliseconds since the Unix epoch; `None` for never.
        at_ms: Option<u64>,
        /// What expires then: what its maker had seen.
        covers: Clock,
    },
}

impl Atom {
    /// What decides between two that did not know of each other.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Text { stamp, .. } | Self::Score { stamp, .. } | Self::Deadline { stamp, .. } => *stamp,
            Self::Member => Stamp::default(),
        }
    }

    /// Joins two states of the atom that `maker` put.
    fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Score { parts, .. }, Self::Score { parts: others, .. }) => {
                for part in others {
                    raise(parts, part);
                }
            }
            // The same update put both. Where they differ, memory or a disk has failed: all choose the same.
            (own, other) if encoded(own) < encoded(other) => *self = other.clone(),
            _ => {}
        }
    }
}

/// Takes over a part, unless a later one of its replica is there.
fn raise(parts: &mut Vec<Part>, part: &Part) {
    match parts.binary_search_by_key(&part.replica, |part| part.replica) {
        Ok(at) if parts[at].counter < part.counter => parts[at] = part.clone(),
        Ok(_) => {}
        Err(at) => parts.insert(at, part.clone()),
    }
}

/// The bytes of something, by which it is compared and summed.
fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("memory takes every value")
}

/// A hash of the bytes of something. Most things are small, and take no allocation.
fn hashed<T: Serialize>(value: &T, seed: u64) -> u64 {
    let mut buffer = [0; 256];
    match postcard::to_slice(value, &mut buffer) {
        Ok(bytes) => xxh3_64_with_seed(bytes, seed),
        Err(_) => xxh3_64_with_seed(&encoded(value), seed),
    }
}

/// What stands at a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// In order of their dots.
    atoms: Vec<(Dot, Atom)>,
    /// What counters count, in order of their names.
    series: Vec<Series>,
}

impl Cell {
    /// Whether nothing is kept of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty() && self.series.is_empty()
    }

    /// Whether it shows.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !self.atoms.is_empty() || self.series.iter().any(|series| !series.is_dead())
    }

    /// Its atoms, in order of their dots.
    pub fn atoms(&self) -> &[(Dot, Atom)] {
        &self.atoms
    }

    /// Its series, dead ones too.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The names of what shows.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        let series = self.series.iter().filter(|series| !series.is_dead()).map(|series| series.start);
        self.atoms.iter().map(|(dot, _)| *dot).chain(series)
    }

    /// The atom that shows.
    #[must_use]
    pub fn winner(&self) -> Option<(Dot, &Atom)> {
        self.atoms.iter().max_by_key(|(dot, atom)| (atom.stamp(), *dot)).map(|(dot, atom)| (*dot, atom))
    }

    /// What shows of a string, a field or an element: the atom with the greatest stamp, and everything that
    /// was counted on top of it. A text that is no number hides what was counted.
    #[must_use]
    pub fn text(&self) -> Option<Bytes> {
        let text = match self.winner() {
            Some((_, Atom::Text { value, .. })) => Some(value.clone()),
            _ => None,
        };
        let live = self.series.iter().filter(|series| !series.is_dead());
        let Some(sum) = live.map(Series::amount).reduce(|a, b| a.plus(&b)) else { return text };
        let base = text.unwrap_or_else(|| Bytes::from_static(b"0"));
        match (number::parse_integer(&base), sum.decimal) {
            (Some(number), None) => Some(shown(i128::from(number).saturating_add(sum.whole))),
            (_, decimal) => {
                let counted = [Some(sum.whole.to_string().into_bytes()), decimal.map(|text| text.to_vec())];
                let mut total = decimal::add(&base, b"0");
                for part in counted.into_iter().flatten() {
                    total = total.and_then(|total| decimal::add(&total, &part));
                }
                Some(total.map_or(base, Bytes::from))
            }
        }
    }

    /// The sum of a counter that is an integer, before it is brought into the range of one.
    #[must_use]
    pub fn total(&self) -> Option<i128> {
        let base = match self.winner() {
            Some((_, Atom::Text { value, .. })) => number::parse_integer(value)?,
            _ => 0,
        };
        let live = self.series.iter().filter(|series| !series.is_dead()).map(Series::amount);
        live.map(|amount| amount.decimal.is_none().then_some(amount.whole))
            .try_fold(i128::from(base), |sum, whole| Some(sum.saturating_add(whole?)))
    }

    /// The score of a member, and the atom that it comes from.
    #[must_use]
    pub fn score(&self) -> Option<(Dot, f64)> {
        let (dot, Atom::Score { parts, .. }) = self.winner()? else { return None };
        let given = parts.iter().find(|part| part.replica == dot.replica).map_or(0.0, |part| part.score);
        let added = parts.iter().filter(|part| part.replica != dot.replica);
        Some((dot, added.fold(given, |sum, part| sum_of(sum, part.score))))
    }

    /// What a replica has added to a score; for the one that gave the score, with that.
    #[must_use]
    pub fn part_of(&self, base: Dot, replica: ReplicaId) -> Option<f64> {
        let (_, atom) = self.atoms.iter().find(|(dot, _)| *dot == base)?;
        let Atom::Score { parts, .. } = atom else { return None };
        parts.iter().find(|part| part.replica == replica).map(|part| part.score)
    }

    /// Removes the atoms that a removal had seen.
    pub fn clear(&mut self, seen: impl Fn(Dot) -> bool) {
        self.atoms.retain(|(dot, _)| !seen(*dot));
    }

    /// Puts an atom.
    pub fn put(&mut self, dot: Dot, atom: Atom) {
        match self.atoms.binary_search_by_key(&dot, |(dot, _)| *dot) {
            // Put twice by one update: the later one counts.
            Ok(at) => self.atoms[at].1 = atom,
            Err(at) => {
                // Most cells never have another one.
                self.atoms.reserve_exact(1);
                self.atoms.insert(at, (dot, atom));
            }
        }
    }

    /// Lets a series go on, or begin.
    pub fn series_mut(&mut self, start: Dot) -> &mut Series {
        let at = match self.series.binary_search_by_key(&start, |series| series.start) {
            Ok(at) => at,
            Err(at) => {
                self.series.reserve_exact(1);
                self.series.insert(at, Series::begin(start));
                at
            }
        };
        &mut self.series[at]
    }

    /// Whether it has a series.
    #[must_use]
    pub fn has_series(&self, start: Dot) -> bool {
        self.series.binary_search_by_key(&start, |series| series.start).is_ok()
    }

    /// Forgets series.
    pub fn forget(&mut self, forgotten: impl Fn(&Series) -> bool) {
        self.series.retain(|series| !forgotten(series));
    }

    /// Takes over what a replica has added to a score, if that score is still there.
    pub fn raise(&mut self, base: Dot, part: &Part) {
        if let Ok(at) = self.atoms.binary_search_by_key(&base, |(dot, _)| *dot)
            && let (_, Atom::Score { parts, .. }) = &mut self.atoms[at]
        {
            raise(parts, part);
        }
    }

    /// Joins the state of a cell elsewhere: what only one of both has stays if the other has not seen it, and
    /// was removed there if it has (rule O6). `keeps_all` is the sabotage of that rule.
    pub fn join(&mut self, other: &Self, own_clock: &Clock, other_clock: &Clock, keeps_all: bool) {
        let stays = |dot: Dot, clock: &Clock| keeps_all || !clock.contains(dot);
        let theirs = |dot: Dot| other.atoms.iter().any(|(other, _)| *other == dot);
        self.atoms.retain(|(dot, _)| theirs(*dot) || stays(*dot, other_clock));
        for (dot, atom) in &other.atoms {
            match self.atoms.binary_search_by_key(dot, |(dot, _)| *dot) {
                Ok(at) => self.atoms[at].1.join(atom),
                Err(at) if stays(*dot, own_clock) => self.atoms.insert(at, (*dot, atom.clone())),
                Err(_) => {}
            }
        }
        self.series.retain(|series| other.has_series(series.start) || stays(series.last(), other_clock));
        for series in &other.series {
            if self.has_series(series.start) || stays(series.last(), own_clock) {
                self.series_mut(series.start).join(series);
            }
        }
        let is_folded = |replica| own_clock.is_folded(replica) || other_clock.is_folded(replica);
        self.forget(|series| series.is_dead() && is_folded(series.replica()));
    }

    /// A digest: the sum over its atoms and series, so that neither order nor history shows.
    #[must_use]
    pub fn digest(&self, seed: u64, place: &Place) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let seed = hashed(place, seed);
        let atoms = self.atoms.iter().map(|atom| hashed(atom, seed));
        let series = self.series.iter().map(|series| hashed(series, seed));
        atoms.chain(series).fold(0, u64::wrapping_add)
    }

    /// About how many bytes it takes to say it.
    #[must_use]
    pub fn size(&self) -> usize {
        let atoms = self.atoms.iter().map(|(_, atom)| match atom {
            Atom::Text { value, .. } => 24 + value.len(),
            Atom::Member => 8,
            Atom::Score { parts, .. } => 24 + 20 * parts.len(),
            Atom::Deadline { covers, .. } => 32 + 10 * covers.len(),
        });
        let of = |amount: &Amount| 24 + amount.decimal.as_ref().map_or(0, Bytes::len);
        let series =
            self.series.iter().map(|series| 8 + of(&series.latest.amount) + of(&series.floor.amount));
        atoms.chain(series).sum()
    }

    /// About how many bytes of memory it takes, with its place.
    pub(crate) fn memory(&self, place: &Place) -> usize {
        /// Beside what it says: where it lies among others, and the allocation of what it has.
        const BESIDE: usize = size_of::<(Place, Cell)>() + 64;
        if self.is_empty() { 0 } else { BESIDE + place.size() + self.size() }
    }

    /// Whether it makes sense: what comes from elsewhere may not.
    pub(crate) fn is_valid(&self) -> bool {
        let amounts = self.series.iter().flat_map(|series| [&series.latest.amount, &series.floor.amount]);
        self.atoms.is_sorted_by_key(|(dot, _)| *dot)
            && self.series.is_sorted_by_key(|series| series.start)
            && amounts.into_iter().all(Amount::is_valid)
            && self.atoms.iter().all(|(_, atom)| match atom {
                Atom::Score { parts, .. } => {
                    parts.is_sorted_by_key(|part| part.replica)
                        && parts.iter().all(|part| !part.score.is_nan())
                }
                _ => true,
            })
    }
}

/// An integer as Redis can have it: what lies beyond shows as the least or the greatest.
fn shown(sum: i128) -> Bytes {
    let sum = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
    Bytes::copy_from_slice(itoa::Buffer::new().format(sum).as_bytes())
}

/// The sum of two scores. Infinities of both signs, added concurrently, cancel out, and no zero is negative.
pub(crate) fn sum_of(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_nan() { 0.0 } else { sum + 0.0 }
}
