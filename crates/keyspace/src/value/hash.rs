//! Hashes.

use onecopy_core::Encodings;

use super::dict::Dict;
use super::pack::Pack;
use super::{DICT_COST, ELEMENT_COST, PACKED_BYTES_MAX, PACKED_MAX, allocated};
use crate::seed::Seed;
use crate::slot::record::Payload;

/// A hash value. The fields are in order of insertion, but a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(crate) enum Hash {
    /// Few fields, all of them short: names and values in turn.
    Few(Pack),
    Many(Box<Many>),
}

/// A hash that has more fields, or a long one.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    fields: Dict,
    /// The bytes of all values.
    values: u64,
    /// How many of the fields are long.
    long: usize,
}

/// Whether a field is too long for the short form.
fn is_long(field: &[u8], value: &[u8]) -> bool {
    field.len() > PACKED_BYTES_MAX || value.len() > PACKED_BYTES_MAX
}

fn bytes_of(payload: Payload<'_>) -> &[u8] {
    match payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Integer(_) | Payload::Beside(_) => unreachable!("a field has bytes"),
    }
}

impl Many {
    /// The short form of it, if it has one.
    fn packed(&self) -> Option<Pack> {
        (self.fields.len() <= PACKED_MAX && self.long == 0).then(|| {
            let mut pack = Pack::default();
            for (field, value) in self.fields.iter() {
                pack.push(field);
                pack.push(bytes_of(value));
            }
            pack
        })
    }

    fn count(&mut self, field: &[u8], value: &[u8]) {
        self.values += value.len() as u64;
        self.long += usize::from(is_long(field, value));
    }

    /// The value of a field is about to go.
    fn uncount(&mut self, position: usize) {
        if let Some((field, value)) = self.fields.at(position) {
            let value = bytes_of(value);
            let (bytes, long) = (value.len() as u64, usize::from(is_long(field, value)));
            self.values -= bytes;
            self.long -= long;
        }
    }
}

impl Hash {
    pub(crate) fn new() -> Self {
        Self::Few(Pack::default())
    }

    /// The same again, in pieces. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        match self {
            Self::Few(pack) => Self::Few(pack.clone()),
            Self::Many(many) => {
                let Many { values, long, .. } = **many;
                Self::Many(Box::new(Many { fields: many.fields.copy(step), values, long }))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(pack) => pack.len() / 2,
            Self::Many(many) => many.fields.len(),
        }
    }

    pub(crate) fn memory(&self) -> u64 {
        match self {
            Self::Few(pack) => allocated(pack.size() as u64),
            Self::Many(many) => {
                let bytes = many.fields.names() + many.values;
                DICT_COST + bytes + many.fields.len() as u64 * ELEMENT_COST
            }
        }
    }

    /// Few and short fields are a listpack in Redis.
    pub(crate) fn encoding(&self, limits: &Encodings) -> &'static str {
        let fits = |text: &[u8]| text.len() <= limits.hash_value as usize;
        let is_short = self.len() <= limits.hash_entries as usize
            && self.iter().all(|(field, value)| fits(field) && fits(value));
        if is_short { "listpack" } else { "hashtable" }
    }

    /// The position of a field.
    pub(super) fn position(&self, field: &[u8]) -> Option<usize> {
        match self {
            Self::Few(pack) => pack.iter().step_by(2).position(|other| other == field),
            Self::Many(many) => many.fields.position(field),
        }
    }

    /// Sets a field; whether it is new. A hash that grows out of its short form needs a seed.
    pub(crate) fn insert(&mut self, seed: Seed, field: &[u8], value: &[u8]) -> bool {
        let position = self.position(field);
        let is_new = position.is_none();
        match (&mut *self, position) {
            (Self::Few(pack), None) if pack.len() / 2 < PACKED_MAX && !is_long(field, value) => {
                pack.push(field);
                pack.push(value);
            }
            (Self::Few(pack), Some(position)) if !is_long(field, value) => {
                pack.splice(2 * position + 1..2 * position + 2, &[value]);
            }
            (Self::Few(_), _) => {
                self.become_many(seed);
                return self.insert(seed, field, value);
            }
            (Self::Many(many), None) => {
                many.fields.insert_new(field, Payload::Bytes(value));
                many.count(field, value);
            }
            (Self::Many(many), Some(position)) => {
                many.uncount(position);
                many.fields.set(position, Payload::Bytes(value));
                many.count(field, value);
                self.shrink();
            }
        }
        is_new
    }

    /// So many fields, of so many bytes, are about to come.
    pub(crate) fn expect(&mut self, fields: usize, bytes: usize) {
        if let Self::Few(pack) = self {
            pack.expect(2 * fields, bytes);
        }
    }

    fn become_many(&mut self, seed: Seed) {
        let mut many = Many { fields: Dict::new(seed), values: 0, long: 0 };
        for (field, value) in self.iter() {
            many.fields.insert_new(field, Payload::Bytes(value));
            many.count(field, value);
        }
        *self = Self::Many(Box::new(many));
    }

    fn shrink(&mut self) {
        if let Self::Many(many) = self
            && let Some(pack) = many.packed()
        {
            *self = Self::Few(pack);
        }
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Few(_) => self.iter().find(|(other, _)| *other == field).map(|(_, value)| value),
            Self::Many(many) => many.fields.get(field).map(bytes_of),
        }
    }

    /// Removes a field; whether it was there.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let position = self.position(field);
        position.into_iter().for_each(|position| self.remove_at(position));
        position.is_some()
    }

    /// Removes the field at a position that exists; the last one takes its place.
    pub(super) fn remove_at(&mut self, position: usize) {
        match self {
            Self::Few(pack) => pack.swap_remove(position, 2),
            Self::Many(many) => {
                many.uncount(position);
                many.fields.remove_at(position);
            }
        }
        self.shrink();
    }

    /// Lets the field at a position and the last one change places.
    pub(super) fn swap_with_last(&mut self, position: usize) {
        match self {
            Self::Few(pack) => pack.swap_with_last(position, 2),
            Self::Many(many) => many.fields.swap_with_last(position),
        }
    }

    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Few(pack) => {
                let mut items = pack.iter_from(2 * position);
                Some((items.next()?, items.next()?))
            }
            Self::Many(many) => many.fields.at(position).map(|(field, value)| (field, bytes_of(value))),
        }
    }

    /// The bytes of all fields and values.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Few(pack) => pack.iter().map(|item| item.len() as u64).sum(),
            Self::Many(many) => many.fields.names() + many.values,
        }
    }

    /// Drops up to `count` fields of a hash that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        match self {
            Self::Few(pack) => std::mem::take(pack).len() / 2,
            Self::Many(many) => many.fields.shed(count),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter_from(0)
    }

    /// The fields from a position on.
    pub(crate) fn iter_from(&self, position: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (few, many) = match self {
            Self::Few(pack) => (Some(pack.iter_from(2 * position)), None),
            Self::Many(many) => (None, Some(many.fields.iter_from(position))),
        };
        let pairs = few
            .into_iter()
            .flat_map(|mut items| std::iter::from_fn(move || Some((items.next()?, items.next()?))));
        pairs.chain(many.into_iter().flatten().map(|(field, value)| (field, bytes_of(value))))
    }
}
