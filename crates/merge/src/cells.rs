//! The cells of a key, in order of their places.
//!
//! Most keys have one cell or a few: those lie side by side in one allocation. More are a tree.

use std::collections::{BTreeMap, btree_map};
use std::ops::Range;
use std::slice;

use crate::cell::Cell;
use crate::place::Place;

/// So many cells lie side by side at most.
const FEW_MAX: usize = 12;

/// A map from places to cells.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    Few(Vec<(Place, Cell)>),
    Many(BTreeMap<Place, Cell>),
}

impl Default for Cells {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Cells {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&Cell> {
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by(|(other, _)| other.cmp(place)).ok()?;
                Some(&few[at].1)
            }
            Self::Many(many) => many.get(place),
        }
    }

    /// The cell at a place, an empty one if there was none.
    pub(crate) fn entry(&mut self, place: &Place) -> &mut Cell {
        if let Self::Few(few) = self
            && few.len() == FEW_MAX
            && few.binary_search_by(|(other, _)| other.cmp(place)).is_err()
        {
            *self = Self::Many(std::mem::take(few).into_iter().collect());
        }
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by(|(other, _)| other.cmp(place)).unwrap_or_else(|at| {
                    few.reserve_exact(1);
                    few.insert(at, (place.clone(), Cell::default()));
                    at
                });
                &mut few[at].1
            }
            Self::Many(many) => many.entry(place.clone()).or_default(),
        }
    }

    pub(crate) fn remove(&mut self, place: &Place) {
        match self {
            Self::Few(few) => {
                if let Ok(at) = few.binary_search_by(|(other, _)| other.cmp(place)) {
                    few.remove(at);
                }
            }
            Self::Many(many) => drop(many.remove(place)),
        }
    }

    /// The cells within a range of places, in order.
    pub(crate) fn range(&self, range: Range<Place>) -> CellsIter<'_> {
        match self {
            Self::Few(few) => {
                let before = |bound: &Place| few.partition_point(|(place, _)| place < bound);
                CellsIter::Few(few[before(&range.start)..before(&range.end)].iter())
            }
            Self::Many(many) => CellsIter::Many(many.range(range)),
        }
    }

    /// All cells, in order.
    pub(crate) fn iter(&self) -> CellsIter<'_> {
        self.range(Place::Expiry..Place::End)
    }

    /// The places of all cells, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.iter().map(|(place, _)| place)
    }
}

/// Cells in order, from both ends.
#[derive(Clone, Debug)]
pub(crate) enum CellsIter<'a> {
    Few(slice::Iter<'a, (Place, Cell)>),
    Many(btree_map::Range<'a, Place, Cell>),
}

impl<'a> Iterator for CellsIter<'a> {
    type Item = (&'a Place, &'a Cell);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(few) => few.next().map(|(place, cell)| (place, cell)),
            Self::Many(many) => many.next(),
        }
    }
}

impl DoubleEndedIterator for CellsIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Few(few) => few.next_back().map(|(place, cell)| (place, cell)),
            Self::Many(many) => many.next_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn member(number: u32) -> Place {
        Place::Member(Bytes::from(format!("{number:04}")))
    }

    #[test]
    fn few_and_many_are_the_same_map() {
        let (mut cells, mut names) = (Cells::default(), std::collections::BTreeSet::new());
        for round in 0..400_u32 {
            let place = member(round * 7 % 31);
            if round % 3 == 0 {
                cells.remove(&place);
                names.remove(&place);
            } else {
                assert!(cells.entry(&place).is_empty());
                names.insert(place);
            }
            assert!(cells.places().eq(names.iter()));
            assert!(cells.iter().rev().map(|(place, _)| place).eq(names.iter().rev()));
            let (low, high) = (member(5), member(20));
            assert!(
                cells.range(low.clone()..high.clone()).map(|(place, _)| place).eq(names.range(low..high))
            );
            assert!(names.iter().all(|place| cells.get(place).is_some()) && cells.get(&member(99)).is_none());
        }
        assert!(matches!(cells, Cells::Many(_)));
    }
}
