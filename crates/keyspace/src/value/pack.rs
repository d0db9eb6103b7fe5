//! A few short items in one allocation, one behind the other: the compact form of all small collections.
//!
//! Each item has its length before it. What is looked for is looked for from end to end, which for a hundred
//! short items takes no longer than two cache misses.

use std::ops::Range;

/// The number of items comes first.
const HEADER: usize = 2;
/// No room is made for more bytes at once: they will hardly stay in one pack.
const EXPECTED_MAX: usize = 1000;

/// The items. Without any, it has no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pack {
    bytes: Vec<u8>,
}

/// The length of an item and the bytes that say it, at the beginning of `bytes`.
fn length(bytes: &[u8]) -> (usize, usize) {
    match bytes[0] {
        short @ 0..=0x7f => (usize::from(short), 1),
        first => {
            let mut length = usize::from(first & 0x7f);
            let mut digits = 1;
            loop {
                let byte = bytes[digits];
                length |= usize::from(byte & 0x7f) << (7 * digits);
                digits += 1;
                if byte & 0x80 == 0 {
                    return (length, digits);
                }
            }
        }
    }
}

/// How many bytes an item of so many takes.
pub(crate) fn item_size(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize + length
}

impl Pack {
    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.first_chunk::<HEADER>().map_or(0, |count| usize::from(u16::from_le_bytes(*count)))
    }

    /// How many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    fn set_len(&mut self, count: usize) {
        let count = u16::try_from(count).expect("a pack of fewer than 2^16 items");
        self.bytes[..HEADER].copy_from_slice(&count.to_le_bytes());
    }

    /// Where an item begins, or the end if there are not as many.
    fn offset(&self, index: usize) -> usize {
        let mut offset = HEADER.min(self.bytes.len());
        for _ in 0..index {
            if offset == self.bytes.len() {
                break;
            }
            let (length, digits) = length(&self.bytes[offset..]);
            offset += digits + length;
        }
        offset
    }

    /// The items in order.
    pub(crate) fn iter(&self) -> Items<'_> {
        Items { rest: self.bytes.get(HEADER..).unwrap_or_default(), left: self.len() }
    }

    /// The items from one on.
    pub(crate) fn iter_from(&self, index: usize) -> Items<'_> {
        Items { rest: &self.bytes[self.offset(index)..], left: self.len().saturating_sub(index) }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        self.iter_from(index).next()
    }

    /// Makes room so that there are so many bytes, or lets it go; about as much as allocators have blocks
    /// for.
    fn fit(&mut self, needed: usize) {
        if needed > self.bytes.capacity() {
            let step = (needed.next_power_of_two() / 8).max(8);
            self.bytes.reserve_exact(needed.next_multiple_of(step) - self.bytes.len());
        } else if self.bytes.capacity() > 32 && needed < self.bytes.capacity() / 2 {
            self.bytes.shrink_to(needed + needed / 8);
        }
    }

    /// Makes room for the first items, of so many bytes, unless they are too many for a pack. Later ones may
    /// be there already.
    pub(crate) fn expect(&mut self, items: usize, bytes: usize) {
        if self.bytes.is_empty() && bytes <= EXPECTED_MAX {
            self.fit(HEADER + items + bytes);
        }
    }

    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: &[u8]) {
        let count = self.len();
        self.fit(self.bytes.len().max(HEADER) + item_size(item.len()));
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0; HEADER]);
        }
        put_length(item.len(), &mut self.bytes);
        self.bytes.extend_from_slice(item);
        self.set_len(count + 1);
    }

    /// Adds all items of another one at the end.
    pub(crate) fn extend(&mut self, other: &Self) {
        let count = self.len() + other.len();
        let from = if self.bytes.is_empty() { 0 } else { HEADER };
        self.bytes.extend_from_slice(other.bytes.get(from..).unwrap_or_default());
        if count > 0 {
            self.set_len(count);
        }
    }

    /// Puts items in the place of those with these indices.
    pub(crate) fn splice(&mut self, indices: Range<usize>, items: &[&[u8]]) {
        let count = self.len() - indices.len() + items.len();
        if count == 0 {
            self.bytes = Vec::new();
            return;
        }
        let (start, end) = (self.offset(indices.start), self.offset(indices.end));
        let mut new = Vec::with_capacity(items.iter().map(|item| item_size(item.len())).sum());
        for item in items {
            put_length(item.len(), &mut new);
            new.extend_from_slice(item);
        }
        if self.bytes.is_empty() {
            self.fit(HEADER + new.len());
            self.bytes.extend_from_slice(&[0; HEADER]);
            self.bytes.extend_from_slice(&new);
        } else {
            let size = self.bytes.len() - (end - start) + new.len();
            if size > self.bytes.capacity() {
                self.fit(size);
            }
            self.bytes.splice(start..end, new);
            self.fit(size);
        }
        self.set_len(count);
    }

    /// Lets an element of `width` items and the last one change places.
    pub(crate) fn swap_with_last(&mut self, element: usize, width: usize) {
        let last = self.len() / width - 1;
        if element == last {
            return;
        }
        let items = |element: usize| self.iter_from(element * width).take(width).map(<[u8]>::to_vec);
        let (first, second): (Vec<_>, Vec<_>) = (items(element).collect(), items(last).collect());
        let first: Vec<&[u8]> = first.iter().map(Vec::as_slice).collect();
        let second: Vec<&[u8]> = second.iter().map(Vec::as_slice).collect();
        self.splice(last * width..(last + 1) * width, &first);
        self.splice(element * width..(element + 1) * width, &second);
    }

    /// Removes an element of `width` items; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, element: usize, width: usize) {
        let last = self.len() / width - 1;
        if element != last {
            let items: Vec<Vec<u8>> = self.iter_from(last * width).map(<[u8]>::to_vec).collect();
            let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
            self.splice(element * width..(element + 1) * width, &items);
        }
        self.splice(last * width..(last + 1) * width, &[]);
    }
}

fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Items in order.
#[derive(Clone, Debug)]
pub(crate) struct Items<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (length, digits) = length(self.rest);
        let (item, rest) = self.rest[digits..].split_at(length);
        self.rest = rest;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_a_vector_does(steps in prop::collection::vec((0u8..6, any::<u16>(), 0usize..300), 0..80)) {
            let (mut pack, mut model) = (Pack::default(), Vec::<Vec<u8>>::new());
            for (step, number, length) in steps {
                let item = vec![number as u8; if number % 5 == 0 { length } else { length % 20 }];
                let at = usize::from(number) % (model.len() + 1);
                let end = (at + length % 3).min(model.len());
                match step {
                    0 | 1 => {
                        pack.push(&item);
                        model.push(item);
                    }
                    2 | 3 => {
                        let items = [item.as_slice(), b"x"];
                        let count = usize::from(number) % 3;
                        pack.splice(at..end, &items[..count]);
                        model.splice(at..end, items[..count].iter().map(|item| item.to_vec()));
                    }
                    4 if at < model.len() => {
                        pack.swap_remove(at, 1);
                        model.swap_remove(at);
                    }
                    _ if at < model.len() / 2 => {
                        let even = model.len() / 2 * 2;
                        pack.splice(even..model.len(), &[]);
                        model.truncate(even);
                        pack.swap_remove(at, 2);
                        let last = model.split_off(even - 2);
                        if at * 2 < model.len() {
                            model.splice(at * 2..at * 2 + 2, last);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(pack.len(), model.len());
                prop_assert!(pack.iter().eq(model.iter().map(Vec::as_slice)));
                prop_assert_eq!(pack.get(at), model.get(at).map(Vec::as_slice));
                prop_assert!(pack.iter_from(at).eq(model[at..].iter().map(Vec::as_slice)));
                let size: usize = model.iter().map(|item| item_size(item.len())).sum();
                prop_assert_eq!(pack.size(), if model.is_empty() { 0 } else { HEADER + size });
                prop_assert!(pack.bytes.capacity() <= 2 * pack.size().max(32) + 8);
            }
        }
    }
}
