//! A look at the state, bit by bit, to find out whether memory still holds what was put there (rule P10).
//!
//! Copies look at the same places at the same entries. Where a key stands in its slot, and an element in its
//! collection, is part of the state, so a place is a pair of positions, and what is there is hashed in their
//! order. The state changes between two looks: a place may be gone then, and the look goes on behind it, on
//! every copy alike.
//!
//! Watches are not looked at: they are gone within moments, and one that is damaged shows in what its
//! transaction answers.
//!
//! A look is bounded in bytes. A large collection takes several looks, and so does a large string.

use onecopy_core::{Place, Seen};
use xxhash_rust::xxh3::Xxh3;

use crate::database::Database;
use crate::slot::Object;
use crate::slots::SLOTS;
use crate::tokens::{Executed, Tokens};
use crate::value::{Content, Text};

/// A string is looked at in blocks of so many bytes, or several of them.
const BLOCK: usize = 4096;
/// So many bits of a place say which block, those above them which element. The longest string has fewer
/// blocks.
const BLOCK_BITS: u32 = 24;
/// What it costs to look at an object or an element, beyond its bytes: it may lie anywhere in memory.
const VISIT_COST: usize = 64;
/// So many bits of a place say which key of a slot, those above them which slot.
const KEY_BITS: u32 = 32;

/// A look that has so many bytes left.
struct Look {
    left: usize,
    spent: usize,
    hash: Xxh3,
}

impl Look {
    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.spent += bytes;
    }

    /// It ends; the next one begins here.
    fn end(self, next: Place) -> Seen {
        Seen { digest: self.hash.digest(), next, bytes: self.spent }
    }

    fn number(&mut self, number: u64) {
        self.hash.update(&number.to_le_bytes());
    }

    fn name(&mut self, name: &[u8]) {
        self.number(name.len() as u64);
        self.hash.update(name);
        self.spend(VISIT_COST + name.len());
    }

    /// Looks at `bytes` from a block on, at one block at least. The next block, if it did not come to the
    /// end.
    fn blocks(&mut self, bytes: &[u8], block: usize) -> Option<usize> {
        let start = block.saturating_mul(BLOCK).min(bytes.len());
        let wanted = (self.left / BLOCK).max(1) * BLOCK;
        let end = bytes.len().min(start + wanted);
        self.hash.update(&bytes[start..end]);
        self.spend(VISIT_COST + end - start);
        (end < bytes.len()).then_some(end / BLOCK)
    }

    /// Looks at elements from `within` on, of which `from` gives all behind a position. Where to go on, if it
    /// did not come to the end.
    fn elements<B: AsRef<[u8]>, I: Iterator<Item = (B, u64)>>(
        &mut self,
        within: u64,
        from: impl FnOnce(usize) -> I,
    ) -> Option<u64> {
        let mut element = (within >> BLOCK_BITS) as usize;
        let mut block = (within & ((1 << BLOCK_BITS) - 1)) as usize;
        for (bytes, number) in from(element) {
            if self.left == 0 {
                return Some((element as u64) << BLOCK_BITS | block as u64);
            }
            if let Some(next) = self.blocks(bytes.as_ref(), block) {
                return Some((element as u64) << BLOCK_BITS | next as u64);
            }
            self.number(number);
            (element, block) = (element + 1, 0);
        }
        None
    }

    fn object(&mut self, within: u64, object: Object<'_>) -> Option<u64> {
        if within == 0 {
            self.name(object.key);
            self.number(object.expires.map_or(u64::MAX, |expires| expires.0));
            self.name(object.value.type_name().as_bytes());
            self.number(object.value.len() as u64);
        }
        match object.value {
            Content::Text(Text::Integer(number)) => self.elements(within, |start| {
                std::iter::once((b"".as_slice(), number.cast_unsigned())).skip(start)
            }),
            Content::Text(Text::Raw(bytes)) => {
                self.elements(within, |start| std::iter::once((bytes, 0)).skip(start))
            }
            Content::List(list) => self.elements(within, |start| {
                list.range(start.min(list.len())..list.len()).map(|element| (element, 0))
            }),
            Content::Set(set) => {
                self.elements(within, |start| set.iter_from(start).map(|member| (member, 0)))
            }
            // Fields and values in turn.
            Content::Hash(hash) => self.elements(within, |start| {
                let halves = hash.iter_from(start / 2).flat_map(|(field, value)| [(field, 0), (value, 0)]);
                halves.skip(start % 2)
            }),
            // By position, and then in order.
            Content::Zset(zset) => self.elements(within, |start| {
                let length = zset.len();
                let ranks = start.saturating_sub(length).min(length)..length;
                let pairs = zset.iter_from(start.min(length)).chain(zset.range(ranks));
                pairs.map(|(member, score)| (member, score.to_bits()))
            }),
            Content::Stream(stream) => {
                self.elements(within, |start| stream.items_from(start).map(|item| (item, 0)))
            }
        }
    }

    fn token(&mut self, within: u64, number: u64, executed: &Executed) -> Option<u64> {
        if within == 0 {
            self.number(number);
            self.name(&executed.token);
            self.number(executed.expires.0);
            self.number(executed.command);
            self.number(executed.answer.is_some().into());
        }
        self.elements(within, |start| executed.answer.iter().map(|answer| (answer.as_ref(), 0)).skip(start))
    }
}

/// The digest of the state from `from` on, about as much of it as occupies `bytes`, and where the next part
/// begins. Shards are counted through all databases, whether they exist or not: an empty database and one
/// that was never used are the same. Behind them come the tokens.
pub(crate) fn part(databases: &[Option<Box<Database>>], tokens: &Tokens, from: Place, bytes: usize) -> Seen {
    let slots = databases.len() * SLOTS;
    let mut look = Look { left: bytes, spent: 0, hash: Xxh3::new() };
    let (mut slot, mut key) =
        ((from.object >> KEY_BITS) as usize, (from.object & u64::from(u32::MAX)) as usize);
    let mut within = from.within;
    let place = |slot: usize, key: usize, within: u64| Place {
        object: (slot as u64) << KEY_BITS | key as u64,
        within,
    };
    while slot < slots {
        let occupied = occupied(databases, slot).unwrap_or(slots);
        if occupied != slot {
            (slot, key, within) = (occupied, 0, 0);
            continue;
        }
        let table = databases[slot / SLOTS].as_ref().and_then(|database| database.slot(slot % SLOTS));
        while let Some(object) = table.and_then(|table| table.at(key)) {
            if look.left == 0 {
                return look.end(place(slot, key, within));
            }
            look.number((slot / SLOTS) as u64);
            match look.object(within, object) {
                Some(next) => return look.end(place(slot, key, next)),
                None => (key, within) = (key + 1, 0),
            }
        }
        (slot, key, within) = (slot + 1, 0, 0);
    }
    while let Some((number, executed)) =
        (key < tokens.len()).then(|| tokens.range(key..key + 1).next()).flatten()
    {
        if look.left == 0 {
            return look.end(place(slot, key, within));
        }
        match look.token(within, number, executed) {
            Some(next) => return look.end(place(slot, key, next)),
            None => (key, within) = (key + 1, 0),
        }
    }
    look.end(Place::BEGINNING)
}

/// The first slot from `from` on that has a key, counted through all databases.
fn occupied(databases: &[Option<Box<Database>>], from: usize) -> Option<usize> {
    let (number, slot) = (from / SLOTS, from % SLOTS);
    databases.iter().enumerate().skip(number).find_map(|(later, database)| {
        let first = if later == number { slot } else { 0 };
        Some(later * SLOTS + database.as_ref()?.occupied_slot(first)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use onecopy_core::Timestamp;

    use crate::seed::Seed;
    use crate::slot::New;
    use crate::value::stream::Id;
    use crate::value::{List, Set, Stream, Typed, Value, Zset};

    fn databases(value: Value) -> Vec<Option<Box<Database>>> {
        let mut database = Database::new(Seed([1, 2]), Timestamp(0));
        for (key, value) in [(b"large", value), (b"small", Value::Integer(7))] {
            database.put(database.locate(key), key, New::Value(value), None);
        }
        vec![None, Some(database.into())]
    }

    /// All parts of a state, of about so many bytes each.
    fn parts(databases: &[Option<Box<Database>>], bytes: usize) -> Vec<u64> {
        let tokens = Tokens::beginning(Seed([1, 2]), 0);
        let (mut parts, mut from) = (Vec::new(), Place::BEGINNING);
        loop {
            let seen = part(databases, &tokens, from, bytes);
            assert!(seen.bytes <= bytes + BLOCK + 3 * VISIT_COST, "{} bytes are not {bytes}", seen.bytes);
            parts.push(seen.digest);
            from = seen.next;
            if from == Place::BEGINNING {
                return parts;
            }
        }
    }

    fn text(bytes: &[u8]) -> Value {
        Value::of_bytes(bytes.to_vec())
    }

    #[test]
    fn a_large_value_is_looked_at_in_pieces() {
        let mut list = List::default();
        let mut set = Set::empty();
        let mut zset = Zset::empty();
        let mut stream = Stream::empty();
        for number in 0..10_000u32 {
            let id = Id { ms: u64::from(number) + 1, seq: 0 };
            stream.append(id, &[b"field", &[b'x'; 60]], onecopy_core::Budget::ENDLESS);
            list.push_back(&number.to_le_bytes());
            set.insert(Seed([1, 2]), &number.to_le_bytes());
            zset.insert(Seed([1, 2]), &number.to_le_bytes(), f64::from(number));
        }
        list.push_back(&vec![b'x'; 1 << 20]);
        let collections = [list.into_value(), set.into_value(), zset.into_value(), stream.into_value()];
        for value in std::iter::once(text(&vec![b'x'; 4 << 20])).chain(collections) {
            let name = value.content().type_name();
            let databases = databases(value);
            let (few, many) = (parts(&databases, 1 << 30), parts(&databases, 16 << 10));
            assert_eq!(few.len(), 1, "{name}");
            assert!(many.len() > 30, "{name}: {} looks", many.len());
        }
    }

    #[test]
    fn a_bit_anywhere_shows() {
        let sound = vec![b'x'; 100_000];
        let expected = parts(&databases(text(&sound)), 8 << 10);
        for at in (0..sound.len()).step_by(997) {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert_ne!(parts(&databases(text(&damaged)), 8 << 10), expected, "byte {at}");
        }
    }

    #[test]
    fn a_place_that_is_gone_is_passed_over() {
        let databases = databases(text(b"now short"));
        let tokens = Tokens::beginning(Seed([1, 2]), 0);
        for object in [0, u64::MAX, 1 << 40, (SLOTS as u64) << KEY_BITS | 9] {
            for within in [0, 7 << BLOCK_BITS | 9, u64::MAX] {
                part(&databases, &tokens, Place { object, within }, 100);
            }
        }
    }
}
