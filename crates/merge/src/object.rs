//! What a key holds: the cells of its places, and what is known of them together.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::cell::{Atom, Cell, Part};
use crate::cells::Cells;
use crate::clock::Clock;
use crate::delta::{Op, Put};
use crate::dot::{Dot, ReplicaId};
use crate::place::{Kind, Place};
use crate::score::Score;
use crate::series::Point;
use crate::stamp::Stamp;
use onecopy_core::{Rule, Rules};

/// The update that is being carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    /// Its name.
    pub(crate) dot: Dot,
    /// When it was made.
    pub(crate) stamp: Stamp,
    /// What its maker had seen.
    pub(crate) context: &'a Clock,
    /// What is seen here: who is folded.
    pub(crate) clock: &'a Clock,
    pub(crate) rules: Rules,
}

impl By<'_> {
    /// Whether the update removes an atom where it removes: only what it had seen (rule O2), which includes
    /// what it has put itself.
    fn removes(&self, dot: Dot, atom: &Atom) -> bool {
        let seen =
            dot == self.dot || self.context.contains(dot) || !self.rules.hold(Rule::NothingUnseenRemoved);
        seen && (self.rules.hold(Rule::ClocksAreHints) || atom.stamp() <= self.stamp)
    }
}

/// What a key holds.
#[derive(Clone, Debug, Default)]
pub struct Object {
    cells: Cells,
    /// How many cells of each type show.
    counts: [usize; Kind::ALL.len()],
    /// The members of the sorted set in order of their scores.
    ranked: BTreeSet<(Score, Bytes)>,
    /// Where there are dead series, and whose.
    dead: BTreeSet<(ReplicaId, Place)>,
    digest: u64,
    /// About how many bytes of memory its cells take.
    bytes: usize,
    /// A hash of the key, so that the same thing under two keys has different digests.
    seed: u64,
}

impl Object {
    /// Holding nothing, for a key with this hash.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Whether nothing is kept of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The type that shows; `None` if nothing does.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| self.counts[*kind as usize] > 0)
    }

    /// How many things of a type show.
    #[must_use]
    pub fn len_of(&self, kind: Kind) -> usize {
        self.counts[kind as usize]
    }

    /// About how many bytes it takes to say it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.cells.iter().map(|(place, cell)| place.size() + cell.size()).sum()
    }

    /// About how many bytes of memory it takes, beside its key.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }

    /// The digest of everything that is kept of it.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The digest of what stands at a place.
    pub(crate) fn digest_of(&self, place: &Place, cell: &Cell) -> u64 {
        cell.digest(self.seed, place)
    }

    /// What stands at a place.
    #[must_use]
    pub fn cell(&self, place: &Place) -> Option<&Cell> {
        self.cells.get(place)
    }

    /// All places at which something is kept.
    pub fn cells(&self) -> impl Iterator<Item = (&Place, &Cell)> {
        self.cells.iter()
    }

    /// The places of a type that show, in order.
    pub fn visible(&self, kind: Kind) -> impl DoubleEndedIterator<Item = (&Place, &Cell)> {
        let (begin, end) = kind.places();
        self.cells.range(begin..end).filter(|(_, cell)| cell.is_visible())
    }

    /// The members of the sorted set in order of their scores.
    pub(crate) fn ranked(&self) -> &BTreeSet<(Score, Bytes)> {
        &self.ranked
    }

    /// The replicas that have dead series here.
    pub(crate) fn dead(&self) -> impl Iterator<Item = ReplicaId> {
        self.dead.iter().map(|(replica, _)| *replica)
    }

    /// Where a replica has dead series.
    pub(crate) fn dead_of(&self, replica: ReplicaId) -> Vec<Place> {
        self.dead
            .range((replica, Place::Expiry)..=(replica, Place::End))
            .map(|(_, place)| place.clone())
            .collect()
    }

    /// Lets `edit` change what stands at a place, and keeps account.
    pub(crate) fn edit(&mut self, place: &Place, edit: impl FnOnce(&mut Cell)) {
        let cell = self.cells.entry(place);
        let before = (cell.digest(self.seed, place), cell.is_visible(), cell.score());
        let dead = |cell: &Cell| -> Vec<ReplicaId> {
            let dead = cell.series().iter().filter(|series| series.is_dead());
            dead.map(|series| series.replica()).collect()
        };
        let (dead_before, bytes_before) = (dead(cell), cell.memory(place));
        edit(cell);
        self.bytes = self.bytes - bytes_before + cell.memory(place);
        let after = (cell.digest(self.seed, place), cell.is_visible(), cell.score());
        let dead_after = dead(cell);
        if cell.is_empty() {
            self.cells.remove(place);
        }
        self.digest = self.digest.wrapping_sub(before.0).wrapping_add(after.0);
        if let Some(kind) = place.kind() {
            let count = &mut self.counts[kind as usize];
            *count = *count + usize::from(after.1) - usize::from(before.1);
        }
        if let Place::Scored(member) = place {
            let ranked = |score: (Dot, f64)| (Score(score.1), member.clone());
            before.2.map(|score| self.ranked.remove(&ranked(score)));
            after.2.map(|score| self.ranked.insert(ranked(score)));
        }
        for replica in dead_before.iter().filter(|replica| !dead_after.contains(replica)) {
            self.dead.remove(&(*replica, place.clone()));
        }
        for replica in dead_after {
            self.dead.insert((replica, place.clone()));
        }
    }

    /// Does one thing that an update does.
    pub(crate) fn apply(&mut self, op: &Op, by: By<'_>) {
        match op {
            Op::Clear(place) => {
                if self.cells.get(place).is_some() {
                    self.clear_where(place, by, |_| true);
                }
            }
            Op::ClearValue | Op::ClearKey => {
                let places =
                    self.cells.places().filter(|place| **place != Place::Expiry || *op == Op::ClearKey);
                for place in places.cloned().collect::<Vec<_>>() {
                    self.clear_where(&place, by, |_| true);
                }
            }
            Op::Floor { place, start, to } => self.floor(place, *start, to, by),
            Op::Put(place, put) => self.put(place, put, by),
            Op::Count { place, start, amount } => {
                let start = Dot::new(by.dot.replica, *start);
                let to = Point { counter: by.dot.counter, amount: amount.clone() };
                self.edit(place, |cell| cell.series_mut(start).count(&to));
            }
            Op::End { place, start } => {
                let start = Dot::new(by.dot.replica, *start);
                if by.rules.hold(Rule::BoundedMetadata) {
                    self.edit(place, |cell| cell.forget(|series| series.start == start && series.is_dead()));
                }
            }
            Op::Raise { place, base, score } => {
                let part = Part { replica: by.dot.replica, counter: by.dot.counter, score: *score };
                self.edit(place, |cell| cell.raise(*base, &part));
            }
            Op::Expire { covers, deadlines } => {
                for place in self.cells.places().cloned().collect::<Vec<_>>() {
                    let is_expiry = place == Place::Expiry;
                    self.clear_where(&place, by, |dot| {
                        if is_expiry { deadlines.contains(&dot) } else { covers.contains(dot) }
                    });
                }
            }
        }
    }

    /// Removes atoms, of those that the update had seen.
    fn clear_where(&mut self, place: &Place, by: By<'_>, which: impl Fn(Dot) -> bool) {
        let removed = |(dot, atom): &(Dot, Atom)| which(*dot) && by.removes(*dot, atom);
        let dots: Vec<Dot> = match self.cells.get(place) {
            Some(cell) => cell.atoms().iter().filter(|atom| removed(atom)).map(|(dot, _)| *dot).collect(),
            None => return,
        };
        if !dots.is_empty() {
            self.edit(place, |cell| cell.clear(|dot| dots.contains(&dot)));
        }
    }

    fn put(&mut self, place: &Place, put: &Put, by: By<'_>) {
        let atom = match put {
            Put::Text(value) => Atom::Text { stamp: by.stamp, value: value.clone() },
            Put::Member => Atom::Member,
            Put::Score(score) => {
                let Dot { replica, counter } = by.dot;
                Atom::Score { stamp: by.stamp, parts: vec![Part { replica, counter, score: *score }] }
            }
            Put::Deadline { at_ms, said } => {
                let mut covers = by.context.clone();
                covers.add(by.dot);
                Atom::Deadline { stamp: said.unwrap_or(by.stamp), at_ms: *at_ms, covers }
            }
        };
        self.edit(place, |cell| {
            if !by.rules.hold(Rule::SameSeenSameState) {
                cell.clear(|_| true);
            }
            cell.put(by.dot, atom);
        });
    }

    /// Takes away what was counted. A series that its own replica removes will not be counted on, nor one of
    /// a replica that is over: it is forgotten at once.
    fn floor(&mut self, place: &Place, start: Dot, to: &Point, by: By<'_>) {
        if !self.cells.get(place).is_some_and(|cell| cell.has_series(start)) {
            return;
        }
        let is_over = start.replica == by.dot.replica || by.clock.is_folded(start.replica);
        let forgets_others = !by.rules.hold(Rule::NoUpdateLost);
        self.edit(place, |cell| {
            cell.series_mut(start).remove(to);
            cell.forget(|series| series.start == start && (series.is_dead() && is_over || forgets_others));
        });
    }

    /// Joins the state of a place elsewhere.
    pub(crate) fn join(&mut self, place: &Place, other: &Cell, clocks: (&Clock, &Clock), rules: Rules) {
        let keeps_all = !rules.hold(Rule::NoResurrection);
        self.edit(place, |cell| cell.join(other, clocks.0, clocks.1, keeps_all));
    }

    /// Forgets the dead series of replicas that are over.
    pub(crate) fn fold(&mut self, clock: &Clock) {
        for (_, place) in self.dead.clone().into_iter().filter(|(replica, _)| clock.is_folded(*replica)) {
            self.edit(&place, |cell| {
                cell.forget(|series| series.is_dead() && clock.is_folded(series.replica()))
            });
        }
    }
}
