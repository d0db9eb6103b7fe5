//! The side that answers.

use super::range::{places_of, sum, within};
use super::{Answer, Ask, Fetched, Found, Range, Scope};
use crate::cell::Cell;
use crate::frozen::Frozen;
use crate::object::Object;
use crate::place::Place;
use crate::replica::Replica;
use crate::store::{Key, Store};

/// Of so few things all digests are told at once.
const ITEMS_MAX: usize = 8;
/// A key of more bytes, in so many places at least, is compared place by place.
const WHOLE_BYTES_MAX: usize = 2 << 10;
const PLACES_MIN: usize = 16;
/// Once an answer has so many bytes, what else was asked for is left out, and asked for again.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What is asked for, one after the other, until the answer is large enough; the first in any case.
fn until_large<T>(coordinates: &[u64], mut get: impl FnMut(u64) -> (T, usize)) -> Vec<T> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for coordinate in coordinates {
        if bytes > ANSWER_BYTES_MAX {
            break;
        }
        let (one, size) = get(*coordinate);
        found.push(one);
        bytes += size;
    }
    found
}

impl Replica {
    /// Answers another replica that pulls from this one.
    pub fn serve(&mut self, ask: &Ask) -> Answer {
        let (session, answer) = match ask {
            Ask::Open => {
                let session = self.store.freeze();
                let (clock, digest) = (self.clock.clone(), sum(self.digest()));
                return Answer::Opened { session, clock, digest };
            }
            Ask::Close { session } => {
                self.store.thaw(*session);
                return Answer::Gone;
            }
            Ask::Compare { session, scope, ranges } => {
                let is_valid = ranges.iter().all(|range| range.is_valid());
                let frozen = self.store.frozen(*session).filter(|_| is_valid);
                (session, frozen.map(|frozen| compare(frozen, &self.store, scope, ranges)))
            }
            Ask::Fetch { session, scope, coordinates } => {
                let frozen = self.store.frozen(*session);
                (session, frozen.map(|frozen| fetch(frozen, &self.store, scope, coordinates)))
            }
        };
        answer.unwrap_or_else(|| {
            self.store.thaw(*session);
            Answer::Gone
        })
    }
}

fn compare(frozen: &Frozen, store: &Store, scope: &Scope, ranges: &[Range]) -> Answer {
    let found = match scope {
        Scope::Keys => ranges.iter().map(|range| keys_in(frozen, store, *range)).collect(),
        Scope::Places { db, name } => {
            let object = frozen.get(store, &Key::of(*db, name.clone()));
            let places = object.map(places_of).unwrap_or_default();
            ranges.iter().map(|range| found_in(&places, *range)).collect()
        }
    };
    Answer::Compared(found)
}

/// What is in a range of places.
fn found_in<T>(places: &[(u64, T, u64)], range: Range) -> Found {
    let all = within(places, range, |(coordinate, ..)| *coordinate);
    match range.parts() {
        Some(parts) if all.len() > ITEMS_MAX => {
            let part = |range| within(all, range, |(coordinate, ..)| *coordinate);
            let sum_of = |items: &[(u64, T, u64)]| items.iter().map(|item| item.2).fold(0, u64::wrapping_add);
            Found::Parts(parts.map(|range| sum(sum_of(part(range)))).collect())
        }
        _ => Found::Items(all.iter().map(|(coordinate, _, digest)| (*coordinate, sum(*digest))).collect()),
    }
}

/// What is in a range of keys.
fn keys_in(frozen: &Frozen, store: &Store, range: Range) -> Found {
    let objects = |range: Range| -> Vec<&Object> {
        frozen.range(store, range.coordinates()).into_iter().map(|(_, object)| object).collect()
    };
    let is_much = frozen.has_more_than(store, range.coordinates(), ITEMS_MAX);
    match range.parts() {
        Some(parts) if is_much => {
            Found::Parts(parts.map(|range| sum(range.sum_of_keys(frozen.slots(), objects))).collect())
        }
        _ => {
            let all = frozen.range(store, range.coordinates());
            Found::Items(all.iter().map(|(key, object)| (key.coordinate(), sum(object.digest()))).collect())
        }
    }
}

fn fetch(frozen: &Frozen, store: &Store, scope: &Scope, coordinates: &[u64]) -> Answer {
    let whole = |key: &Key, object: &Object| {
        let is_large = object.cells().nth(PLACES_MIN).is_some() && object.size() > WHOLE_BYTES_MAX;
        let cells = || object.cells().map(|(place, cell)| (place.clone(), cell.clone())).collect();
        Fetched { db: key.db(), name: key.name().clone(), cells: (!is_large).then(cells) }
    };
    match scope {
        Scope::Keys => Answer::Keys(until_large(coordinates, |coordinate| {
            let all = frozen.range(store, coordinate..=coordinate);
            let keys: Vec<Fetched> = all.into_iter().map(|(key, object)| whole(key, object)).collect();
            let cells = keys.iter().flat_map(|key| key.cells.iter().flatten());
            let size = cells.map(|(place, cell)| place.size() + cell.size()).sum();
            (keys, size)
        })),
        Scope::Places { db, name } => {
            let object = frozen.get(store, &Key::of(*db, name.clone()));
            let places = object.map(places_of).unwrap_or_default();
            Answer::Places(until_large(coordinates, |wanted| {
                let begin = places.partition_point(|(coordinate, ..)| *coordinate < wanted);
                let same = places[begin..].iter().take_while(|(coordinate, ..)| *coordinate == wanted);
                let cell = |place: &Place| Some((place.clone(), object?.cell(place)?.clone()));
                let cells: Vec<(Place, Cell)> = same.filter_map(|(_, place, _)| cell(place)).collect();
                let size = cells.iter().map(|(place, cell)| place.size() + cell.size()).sum();
                (cells, size)
            }))
        }
    }
}
