//! Databases against a simple model: with slots of a few keys and one of thousands, whatever is done to them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::channels::Channels;
use crate::image::{self, BesideMut, Part, Restore, encode};
use crate::moves::Moves;
use crate::notifications::Flags;
use crate::scripts::Scripts;
use crate::tokens::Tokens;
use crate::tracking::Tracking;
use crate::value::{List, Text, Typed};
use crate::waiters::Waiters;
use crate::watches::Watches;

/// What a key holds: a string, or a list of one element if it begins with `[`.
type Held = (Vec<u8>, Option<u64>);

/// The keys of each slot in their order.
#[derive(Clone, Debug, Default)]
struct Model {
    slots: BTreeMap<usize, Vec<Vec<u8>>>,
    held: BTreeMap<Vec<u8>, Held>,
    clock: u64,
}

impl Model {
    fn put(&mut self, key: &[u8], held: Held) {
        if self.held.insert(key.to_vec(), held).is_none() {
            self.slots.entry(slot_of(key)).or_default().push(key.to_vec());
        }
    }

    fn remove(&mut self, key: &[u8]) -> Option<Held> {
        let keys = self.slots.get_mut(&slot_of(key))?;
        let position = keys.iter().position(|other| other == key)?;
        keys.swap_remove(position);
        self.held.remove(key)
    }

    fn in_order(&self) -> impl Iterator<Item = (&[u8], &Held)> {
        self.slots.values().flatten().map(|key| (key.as_slice(), &self.held[key]))
    }
}

fn new_of(value: &[u8]) -> New<'_> {
    if value.first() == Some(&b'[') {
        let mut list = List::default();
        list.push_back(value);
        return New::Value(list.into_value());
    }
    New::Text(Text::new(value))
}

fn bytes_of(object: Object<'_>) -> Vec<u8> {
    match object.value {
        Content::Text(text) => text.to_vec(),
        Content::List(list) => list.iter().next().expect("an element").to_vec(),
        other => panic!("{other:?}"),
    }
}

fn same(database: &Database, model: &Model) {
    let keys = database
        .objects()
        .map(|object| (object.key.to_vec(), (bytes_of(object), object.expires.map(|expires| expires.0))));
    assert!(keys.eq(model.in_order().map(|(key, held)| (key.to_vec(), held.clone()))), "keys in order");
    let expiries = || model.held.values().filter_map(|(_, expires)| *expires);
    assert_eq!(database.len(), model.held.len());
    assert_eq!(database.expiring(), expiries().count());
    assert_eq!(database.expired(), expiries().filter(|expires| *expires <= model.clock).count());
    assert_eq!(database.due().map(|due| due.0), expiries().filter(|expires| *expires > model.clock).min());
    let memory: u64 = database.objects().map(|object| object.memory()).sum();
    assert_eq!(database.memory(), memory);
    for number in [0, model.held.len() / 2, model.held.len().saturating_sub(1), model.held.len()] {
        let expected = model.in_order().nth(number).map(|(key, _)| key);
        assert_eq!(database.nth(number).map(|object| object.key), expected);
    }
}

/// Makes what a state of the machine has of an image, and restores it.
fn restored(image: &Part, clock: u64) -> Database {
    let mut databases = vec![None, None];
    let seed = Seed([5, 6]);
    let header = encode::header(seed, Timestamp(clock), 0);
    let mut restore = Restore::new();
    let mut tokens = Tokens::beginning(seed, 0);
    let (mut watches, mut waiters, mut scripts) =
        (Watches::default(), Waiters::default(), Scripts::default());
    let (mut channels, mut tracking) = (Channels::default(), Tracking::default());
    let mut moves = Moves::default();
    for bytes in [&header.bytes, &image.bytes] {
        let (watches, waiters, scripts) = (&mut watches, &mut waiters, &mut scripts);
        let (channels, tracking, notified) = (&mut channels, &mut tracking, &mut Flags::default());
        let moves = &mut moves;
        let mut beside = BesideMut { watches, waiters, scripts, channels, tracking, moves, notified };
        restore.take(bytes, &mut databases, &mut tokens, &mut beside).expect("an image");
    }
    databases.pop().flatten().map_or_else(|| Database::new(seed, Timestamp(clock)), |database| *database)
}

/// Does `count` things with a database and a model.
struct Player {
    random: u64,
    database: Database,
    model: Model,
    /// How many keys there may be in the crowded slot, and elsewhere.
    keys: (u64, u64),
}

impl Player {
    fn new(seed: u64, keys: (u64, u64)) -> Self {
        let database = Database::new(Seed([seed, 2]), Timestamp(0));
        Self { random: seed, database, model: Model::default(), keys }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    fn key(&mut self) -> Vec<u8> {
        let (crowded, spread) = self.keys;
        let number = self.below(crowded + spread);
        let long = if number.is_multiple_of(97) { "x".repeat(number as usize * 3) } else { String::new() };
        if number < crowded { format!("{{t}}{number}{long}") } else { format!("{number}{long}") }.into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.below(20) {
            0 => vec![b'v'; 900 + self.below(400) as usize],
            1 => [b"[".as_slice(), &vec![b'v'; self.below(3) as usize]].concat(),
            2 if self.below(5) == 0 => vec![b'v'; 10_000 + self.below(200_000) as usize],
            2..8 => self.below(100_000).to_string().into_bytes(),
            _ => vec![b'v'; self.below(40) as usize],
        }
    }

    fn expiry(&mut self) -> Option<u64> {
        let clock = self.model.clock;
        (self.below(3) == 0).then(|| clock + 1 + self.below(200))
    }

    /// `growth`: of sixteen changes, so many add keys.
    fn step(&mut self, growth: u64) {
        let key = self.key();
        let spot = self.database.locate(&key);
        match self.below(16) {
            what if what < growth => {
                let held = (self.value(), self.expiry());
                self.database.put(spot, &key, new_of(&held.0), held.1.map(Timestamp));
                self.model.put(&key, held);
            }
            14 => {
                let expires = self.expiry();
                self.database.set_expiry(spot, expires.map(Timestamp));
                if let Some(held) = self.model.held.get_mut(&key) {
                    held.1 = expires;
                }
            }
            15 if self.below(4) == 0 => {
                self.model.clock += self.below(20);
                self.database.advance(Timestamp(self.model.clock), Budget::ENDLESS);
            }
            15 if self.below(20) == 0 => {
                let count_max = self.below(20) as usize;
                let before: Vec<Vec<u8>> =
                    self.database.objects().map(|object| object.key.to_vec()).collect();
                let removed = self.database.remove_expired(count_max, |_| ());
                assert_eq!(removed, count_max.min(self.model.expired()));
                for key in before.iter().filter(|key| self.database.get(key).is_none()) {
                    let (_, expires) = self.model.remove(key).expect("it was there");
                    assert!(expires.is_some_and(|expires| expires <= self.model.clock));
                }
                // Which of them take whose positions is not the model's business.
                for keys in self.model.slots.values_mut() {
                    let slot = keys.first().and_then(|key| self.database.slot(slot_of(key)));
                    let in_order =
                        slot.into_iter().flat_map(|slot| (0..slot.len()).map(move |at| slot.at(at)));
                    *keys = in_order.flatten().map(|object| object.key.to_vec()).collect();
                }
            }
            what if what % 2 == 0 => {
                let taken = self.database.take(spot).map(|(value, expires)| {
                    let object = Object { key: b"", value: value.content(), expires };
                    (bytes_of(object), expires.map(|expires| expires.0))
                });
                assert_eq!(taken, self.model.remove(&key));
            }
            _ => assert_eq!(self.database.remove(spot), self.model.remove(&key).is_some()),
        }
    }
}

impl Model {
    fn expired(&self) -> usize {
        self.held.values().filter(|(_, expires)| expires.is_some_and(|expires| expires <= self.clock)).count()
    }
}

#[test]
fn it_does_what_a_simple_model_does() {
    for (seed, keys) in [(1, (0, 300)), (2, (60, 60)), (3, (4_000, 50)), (4, (1_500, 0)), (5, (12_000, 0))] {
        let mut player = Player::new(seed, keys);
        for growth in [14, 8, 12, 3, 1] {
            for step in 0..(keys.0 + keys.1) * 3 / 2 + 400 {
                player.step(growth);
                if step % 997 == 0 {
                    same(&player.database, &player.model);
                }
            }
            same(&player.database, &player.model);
        }
        for key in player.model.held.clone().into_keys() {
            assert!(player.database.remove(player.database.locate(&key)));
        }
        assert_eq!((player.database.memory(), player.database.len(), player.database.expiring()), (0, 0, 0));
        assert!(player.database.runs.iter().all(Option::is_none), "nothing is held for nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Also where a slot has several blocks, and keys move from one to the other.
    #[test]
    fn an_image_is_of_one_moment(seed: u64, crowd in 0u64..5_000, growth in 2u64..14) {
        let mut player = Player::new(seed, (crowd, 40));
        (0..crowd + 200).for_each(|_| player.step(14));
        let then = player.model.clone();
        player.database.begin_imaging(1);
        let mut image = Part::default();
        while player.database.image_next(&mut image) {
            for _ in 0..player.below(600) {
                player.step(growth);
            }
        }
        let restored = restored(&image, then.clock);
        same(&restored, &then);
        same(&player.database, &player.model);
        // Of the same state, another image in another history is the same to the bit.
        let mut again = Part::default();
        image::write_database(1, &restored, &mut again, |_| {});
        prop_assert_eq!((again.bytes, again.digest), (image.bytes, image.digest));
    }
}

/// A list of 200,000 elements, of which the 1,000th has a mebibyte.
fn large_list() -> Value {
    let mut list = List::default();
    for number in 0..200_000u32 {
        list.push_back(&number.to_le_bytes());
        if number == 1_000 {
            list.push_back(&vec![b'x'; 1 << 20]);
        }
    }
    list.into_value()
}

#[test]
fn a_large_value_comes_in_small_parts() {
    let mut database = Database::new(Seed([1, 2]), Timestamp(0));
    for (key, value) in [("a", large_list()), ("b", Value::Raw(vec![b'x'; 5 << 20]))] {
        database.put(database.locate(key.as_bytes()), key.as_bytes(), New::Value(value), None);
    }
    database.begin_imaging(1);
    let (mut image, mut steps, mut longest) = (Part::default(), 0, 0);
    loop {
        let before = image.bytes.len();
        if !database.image_next(&mut image) {
            break;
        }
        (steps, longest) = (steps + 1, longest.max(image.bytes.len() - before));
        // In the middle of it, it changes, and goes.
        match steps {
            20 => drop(database.change(database.locate(b"a"), |value| value.shed(100_000))),
            21 => assert!(database.remove(database.locate(b"a"))),
            50 => assert!(database.remove(database.locate(b"b"))),
            _ => {}
        }
    }
    assert!(longest < 70_000 && steps > 100, "{steps} steps, of {longest} bytes at most");
    let restored = restored(&image, 0);
    let list = large_list();
    let (Content::List(expected), Some(found)) = (list.content(), restored.get(b"a")) else {
        panic!("a list")
    };
    let Content::List(found) = found.value else { panic!("{found:?} should be a list") };
    assert!(found.iter().eq(expected.iter()));
    let text = restored.get(b"b").and_then(|object| object.value.text()).expect("a string");
    assert_eq!(text.len(), 5 << 20);
}

#[test]
fn a_database_is_dismantled_bit_by_bit() {
    let mut player = Player::new(9, (3_000, 3_000));
    (0..20_000).for_each(|_| player.step(15));
    let mut database = player.database;
    let mut steps = 0;
    while database.dismantle(20) {
        steps += 1;
    }
    assert!(steps > 20, "{steps} steps");
    assert!(database.runs.is_empty() && !database.has_trash());
}
