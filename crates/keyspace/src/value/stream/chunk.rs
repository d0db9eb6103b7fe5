//! Some entries of a stream in one allocation.
//!
//! The entries of a stream mostly have the same fields, and their ids follow each other closely. So a chunk
//! says the names of the fields of its first entry once, and of the ids how far they are from the first.
//! Values that read as integers are kept as such, which takes less than half:
//!
//! ```text
//! chunk  := count:number name*                    the fields of the entry that began it
//! entry  := flags:u8 [ms:number] [seq:number] length:number (value* | count:number (name value)*)
//! name   := length:number byte*
//! value  := head:number byte*                     head: twice the length, and one more for an integer
//! number := seven bits a byte, the lowest first; all bytes but the last have the highest bit
//! ```
//!
//! A copy of a stream has the same chunks, until one of them changes: an image of a stream that is written to
//! costs little.
//!
//! What is looked for in a chunk is looked for from its beginning: its entries are few, or one.

use std::ops::Range;
use std::sync::Arc;

use onecopy_core::Budget;

use super::id::Id;
use crate::pieces::extend;
use crate::value::Text;
use crate::value::pack::item_size;

/// A chunk has room for so many entries, those that are gone again included, as in Redis by default.
const ENTRIES_MAX: u16 = 100;
/// And takes so many bytes, unless it has but one entry.
const BYTES_MAX: usize = 4096;

/// The entry has fields of its own: they stand before their values.
const OWN_FIELDS: u8 = 1;
/// It is later than the first by some milliseconds.
const LATER: u8 = 2;
/// The number of its id is not that of the first, or not zero if it is later.
const NUMBERED: u8 = 4;

/// The longest text of an integer, which takes less in a chunk.
const INTEGER_TEXT_MAX: usize = 20;

const SOUND: &str = "a chunk is well-formed";

#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// The id of the entry that began it, which may be gone.
    pub(super) base: Id,
    pub(super) bytes: Arc<Vec<u8>>,
    /// How many bytes there are before the entries.
    head: u32,
    /// How many entries there are, and how many have been.
    pub(super) count: u16,
    pub(super) ever: u16,
}

/// An entry, lent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: Id,
    fields: usize,
    /// The fields' names, if they do not stand before their values.
    names: Option<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Entry<'a> {
    /// How many fields it has.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// About how many bytes all fields and values have together: never less.
    pub(crate) fn size(&self) -> u64 {
        (self.body.len() + self.names.map_or(0, <[u8]>::len) + self.fields * INTEGER_TEXT_MAX) as u64
    }

    /// The fields and their values.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'a [u8], Text<'a>)> + use<'a> {
        let (mut names, mut values) = (self.names, self.body);
        (0..self.fields).map(move |_| {
            let name = take_item(names.as_mut().unwrap_or(&mut values)).expect(SOUND);
            (name, take_value(&mut values).expect(SOUND))
        })
    }
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front, if there is one.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (digit, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift == 63 && *digit > 1 {
            return None;
        }
        number |= u64::from(digit & 0x7f) << shift;
        if digit & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_item<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (item, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(item)
}

/// The bytes of an integer, and how many of them say all of it.
fn integer_bytes(integer: i64) -> ([u8; 8], usize) {
    // One bit says the sign.
    let bits = 65 - (integer ^ integer >> 63).leading_zeros();
    (integer.to_le_bytes(), bits.div_ceil(8) as usize)
}

/// How many bytes a value takes.
fn value_size(value: &[u8]) -> usize {
    match Text::new(value) {
        Text::Integer(integer) => 1 + integer_bytes(integer).1,
        Text::Raw(bytes) => number_size(2 * bytes.len()) + bytes.len(),
    }
}

fn put_value(value: &[u8], out: &mut Vec<u8>, budget: Budget<'_>) {
    match Text::new(value) {
        Text::Integer(integer) => {
            let (bytes, length) = integer_bytes(integer);
            put_number(2 * length as u64 + 1, out);
            out.extend_from_slice(&bytes[..length]);
        }
        Text::Raw(bytes) => {
            put_number(2 * bytes.len() as u64, out);
            extend(out, bytes, budget);
        }
    }
}

fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<Text<'a>> {
    let head = take_number(bytes)?;
    let (value, rest) = bytes.split_at_checked(usize::try_from(head / 2).ok()?)?;
    *bytes = rest;
    if head.is_multiple_of(2) {
        return Some(Text::Raw(value));
    }
    // What is missing repeats the sign.
    let sign = if value.last()? & 0x80 == 0 { 0 } else { 0xff };
    let mut integer = [sign; 8];
    integer.get_mut(..value.len())?.copy_from_slice(value);
    Some(Text::Integer(i64::from_le_bytes(integer)))
}

/// How many bytes a number takes.
fn number_size(number: usize) -> usize {
    item_size(number) - number
}

impl Chunk {
    /// A chunk that begins with an entry, which has fields and values in turn.
    pub(super) fn new(id: Id, pairs: &[&[u8]], budget: Budget<'_>) -> Self {
        let mut bytes = Vec::new();
        let names = pairs.iter().step_by(2);
        let head =
            number_size(pairs.len() / 2) + names.clone().map(|name| item_size(name.len())).sum::<usize>();
        bytes.reserve_exact(head + Self::size_of(id, pairs, false, id));
        put_number((pairs.len() / 2) as u64, &mut bytes);
        for name in names {
            put_number(name.len() as u64, &mut bytes);
            extend(&mut bytes, name, budget);
        }
        // A request with more bytes than that is none.
        let head = u32::try_from(head).expect("names of less than 4 GiB");
        let mut chunk = Self { base: id, bytes: Arc::new(bytes), head, count: 0, ever: 0 };
        chunk.append(id, pairs, budget);
        chunk
    }

    /// How many bytes an entry takes in a chunk that begins with `base`.
    fn size_of(base: Id, pairs: &[&[u8]], own: bool, id: Id) -> usize {
        let body = Self::body_size(pairs, own);
        let (_, later, number) = Self::flags(base, id, own);
        let size_of = |number: u64| (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize;
        1 + later.map_or(0, size_of) + number.map_or(0, size_of) + number_size(body) + body
    }

    fn body_size(pairs: &[&[u8]], own: bool) -> usize {
        let values: usize = pairs.iter().skip(1).step_by(2).map(|value| value_size(value)).sum();
        let names = || pairs.iter().step_by(2).map(|name| item_size(name.len())).sum::<usize>();
        if own { number_size(pairs.len() / 2) + names() + values } else { values }
    }

    /// What is said of an id: the flags, and what they announce.
    fn flags(base: Id, id: Id, own: bool) -> (u8, Option<u64>, Option<u64>) {
        let later = id.ms - base.ms;
        let number = if later == 0 { id.seq - base.seq } else { id.seq };
        let (later, number) = (Some(later).filter(|ms| *ms > 0), Some(number).filter(|seq| *seq > 0));
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(OWN_FIELDS, own) | flag(LATER, later.is_some()) | flag(NUMBERED, number.is_some());
        (flags, later, number)
    }

    /// How many fields the entry that began it had, and their names.
    fn names(&self) -> (usize, &[u8]) {
        let mut names = &self.bytes[..self.head as usize];
        // They are in memory.
        (take_number(&mut names).expect(SOUND) as usize, names)
    }

    /// Whether an entry has fields of its own here.
    fn has_own_fields(&self, pairs: &[&[u8]]) -> bool {
        let (count, mut names) = self.names();
        count != pairs.len() / 2
            || pairs.iter().step_by(2).any(|name| take_item(&mut names).expect(SOUND) != *name)
    }

    /// Whether there is room for an entry behind all others.
    pub(super) fn has_room(&self, id: Id, pairs: &[&[u8]]) -> bool {
        self.ever < ENTRIES_MAX
            && self.bytes.len() < BYTES_MAX
            && self.bytes.len() + Self::size_of(self.base, pairs, self.has_own_fields(pairs), id) <= BYTES_MAX
    }

    /// Adds an entry behind all others.
    pub(super) fn append(&mut self, id: Id, pairs: &[&[u8]], budget: Budget<'_>) {
        let own = self.has_own_fields(pairs);
        let needed = self.bytes.len() + Self::size_of(self.base, pairs, own, id);
        let bytes = Arc::make_mut(&mut self.bytes);
        if needed > bytes.capacity() {
            // About as much as allocators have blocks for.
            let step = (needed.next_power_of_two() / 8).max(16);
            bytes.reserve_exact(needed.next_multiple_of(step) - bytes.len());
        }
        let (flags, later, number) = Self::flags(self.base, id, own);
        bytes.push(flags);
        for part in [later, number].into_iter().flatten() {
            put_number(part, bytes);
        }
        put_number(Self::body_size(pairs, own) as u64, bytes);
        if own {
            put_number((pairs.len() / 2) as u64, bytes);
        }
        for [name, value] in pairs.as_chunks::<2>().0 {
            budget.spend(2);
            if own {
                put_number(name.len() as u64, bytes);
                extend(bytes, name, budget);
            }
            put_value(value, bytes, budget);
        }
        self.count += 1;
        self.ever += 1;
    }

    /// No entry comes any more.
    pub(super) fn close(&mut self) {
        if let Some(bytes) = Arc::get_mut(&mut self.bytes) {
            bytes.shrink_to_fit();
        }
    }

    pub(super) fn entries(&self) -> Entries<'_> {
        let (fields, names) = self.names();
        let rest = &self.bytes[self.head as usize..];
        Entries { base: self.base, fields, names, rest, left: self.count.into() }
    }

    /// Where an entry lies, if it is there.
    pub(super) fn find(&self, id: Id) -> Option<Range<usize>> {
        let mut entries = self.entries();
        loop {
            let before = entries.rest.len();
            match entries.next() {
                Some(entry) if entry.id < id => {}
                Some(entry) if entry.id == id => {
                    return Some(self.bytes.len() - before..self.bytes.len() - entries.rest.len());
                }
                _ => return None,
            }
        }
    }

    /// Removes the first entries while they should go; how many there were.
    pub(super) fn remove_while(&mut self, mut goes: impl FnMut(&Entry<'_>) -> bool) -> u16 {
        let (mut entries, mut removed) = (self.entries(), 0);
        let mut rest = entries.rest.len();
        while entries.next().is_some_and(|entry| goes(&entry)) {
            (removed, rest) = (removed + 1, entries.rest.len());
        }
        self.cut(self.head as usize..self.bytes.len() - rest, removed);
        removed
    }

    /// Removes so many entries, which lie there.
    pub(super) fn cut(&mut self, range: Range<usize>, entries: u16) {
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes.drain(range);
        self.count -= entries;
        if bytes.capacity() > 64 && bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to(bytes.len() + bytes.len() / 8);
        }
    }

    /// A chunk of these bytes, if they make sense.
    pub(super) fn of_bytes(base: Id, ever: u16, bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let fields = usize::try_from(take_number(&mut rest)?).ok()?;
        if fields == 0 {
            return None;
        }
        for _ in 0..fields {
            take_item(&mut rest)?;
        }
        let head = u32::try_from(bytes.len() - rest.len()).ok()?;
        let names = bytes.get(number_size(fields)..head as usize)?;
        let (mut count, mut last) = (0u16, None);
        while !rest.is_empty() {
            let entry = take_entry(base, fields, names, &mut rest)?;
            let mut body = entry.body;
            for _ in 0..entry.fields {
                if entry.names.is_none() {
                    take_item(&mut body)?;
                }
                let before = body.len();
                let value = take_value(&mut body)?;
                if value.with(value_size) != before - body.len() {
                    return None;
                }
            }
            if !body.is_empty() || entry.fields == 0 || last.is_some_and(|last| last >= entry.id) {
                return None;
            }
            (count, last) = (count.checked_add(1)?, Some(entry.id));
        }
        let is_sound = count > 0 && count <= ever && ever <= ENTRIES_MAX;
        is_sound.then(|| Self { base, bytes: Arc::new(bytes.to_vec()), head, count, ever })
    }
}

/// Takes an entry off the front, if there is one. What it holds is not looked at.
fn take_entry<'a>(base: Id, fields: usize, names: &'a [u8], rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (flags, mut after) = rest.split_first().map(|(flags, after)| (*flags, after))?;
    if flags & !(OWN_FIELDS | LATER | NUMBERED) != 0 {
        return None;
    }
    let mut number_if = |flag| if flags & flag == 0 { Some(0) } else { take_number(&mut after) };
    let (later, number) = (number_if(LATER)?, number_if(NUMBERED)?);
    let seq = if later == 0 { base.seq.checked_add(number)? } else { number };
    let id = Id { ms: base.ms.checked_add(later)?, seq };
    let mut body = take_item(&mut after)?;
    let (fields, names) = match flags & OWN_FIELDS {
        0 => (fields, Some(names)),
        _ => (usize::try_from(take_number(&mut body)?).ok()?, None),
    };
    *rest = after;
    Some(Entry { id, fields, names, body })
}

/// The entries of a chunk, in order.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    base: Id,
    fields: usize,
    names: &'a [u8],
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(take_entry(self.base, self.fields, self.names, &mut self.rest).expect(SOUND))
    }
}
