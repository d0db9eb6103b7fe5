//! Hashes.

use super::table::Table;
use crate::seed::Seed;

/// What a field costs beyond the bytes of its name and its value.
const FIELD_COST: u64 = 72;
/// Redis keeps a hash as a listpack while it has no more fields, and none that is longer.
const LISTPACK_FIELDS_MAX: usize = 128;
const LISTPACK_BYTES_MAX: usize = 64;

/// A hash value. The fields are in order of insertion, but a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(crate) struct Hash {
    fields: Table<Box<[u8]>, Box<[u8]>>,
    bytes: u64,
}

impl Hash {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { fields: Table::new(seed), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.bytes + self.fields.len() as u64 * FIELD_COST
    }

    pub(crate) fn encoding(&self) -> &'static str {
        let short = |bytes: &[u8]| bytes.len() <= LISTPACK_BYTES_MAX;
        let compact = self.fields.len() <= LISTPACK_FIELDS_MAX
            && self.fields.iter().all(|(field, value)| short(field) && short(value));
        if compact { "listpack" } else { "hashtable" }
    }

    /// Sets a field; whether it is new.
    pub(crate) fn insert(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.bytes += value.len() as u64;
        if let Some((_, old)) = self.fields.get_mut(field) {
            self.bytes -= old.len() as u64;
            *old = value.into();
            return false;
        }
        self.bytes += field.len() as u64;
        self.fields.insert_new(field.into(), value.into());
        true
    }

    /// Sets a field that must not exist; whether it did not.
    pub(crate) fn insert_new(&mut self, field: &[u8], value: &[u8]) -> bool {
        let is_new = !self.fields.contains(field) && self.fields.insert_new(field.into(), value.into());
        self.bytes += if is_new { (field.len() + value.len()) as u64 } else { 0 };
        is_new
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.fields.get(field).map(|(_, value)| value.as_ref())
    }

    /// Removes a field; whether it was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let Some((field, value)) = self.fields.remove(field) else { return false };
        self.bytes -= (field.len() + value.len()) as u64;
        true
    }

    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], &[u8])> {
        self.fields.at(position).map(|(field, value)| (field.as_ref(), value.as_ref()))
    }

    /// The bytes of all fields and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops up to `count` fields of a hash that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        self.fields.shed(count)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(field, value)| (field.as_ref(), value.as_ref()))
    }
}
