//! The side that answers.

use super::range::{places_of, sum, within};
use super::{Answer, Ask, Fetched, Found, Range, Scope};
use crate::frozen::Frozen;
use crate::object::Object;
use crate::replica::Replica;
use crate::store::{Key, Store};

/// Of so few things all digests are told at once.
const ITEMS_MAX: usize = 8;
/// A key of more bytes, in so many places at least, is compared place by place.
const WHOLE_BYTES_MAX: usize = 2 << 10;
const PLACES_MIN: usize = 16;

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
        Scope::Keys => {
            let at = |coordinate: &u64| frozen.range(store, *coordinate..=*coordinate);
            let keys =
                |coordinate| at(coordinate).into_iter().map(|(key, object)| whole(key, object)).collect();
            Answer::Keys(coordinates.iter().map(keys).collect())
        }
        Scope::Places { db, name } => {
            let Some(object) = frozen.get(store, &Key::of(*db, name.clone())) else {
                return Answer::Places(coordinates.iter().map(|_| Vec::new()).collect());
            };
            let places = places_of(object);
            let at = |wanted: &u64| {
                let begin = places.partition_point(|(coordinate, ..)| coordinate < wanted);
                let same = places[begin..].iter().take_while(move |(coordinate, ..)| coordinate == wanted);
                let cells =
                    same.filter_map(|(_, place, _)| Some(((*place).clone(), object.cell(place)?.clone())));
                cells.collect()
            };
            Answer::Places(coordinates.iter().map(at).collect())
        }
    }
}
