//! Hashes: fields come behind all others, and the last one takes the place of one that is removed.

use super::{Edit, STEP_COST};
use crate::seed::Seed;
use crate::value::Hash;

/// What takes the changes of a hash back.
#[derive(Debug, Default)]
pub(crate) struct HashUndo {
    /// The latest last.
    steps: Vec<Step>,
    bytes: u64,
}

#[derive(Debug)]
enum Step {
    /// So many fields are new: the last ones.
    Added(usize),
    /// The field at a position had another value.
    Set { position: usize, before: Box<[u8]> },
    /// A field was there.
    Removed { position: usize, field: Box<[u8]>, value: Box<[u8]> },
}

impl HashUndo {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn push(&mut self, step: Step, bytes: usize) {
        self.steps.push(step);
        self.bytes += STEP_COST + bytes as u64;
    }

    pub(super) fn undo(self, hash: &mut Hash, seed: Seed, step: &mut dyn FnMut(usize)) {
        for change in self.steps.into_iter().rev() {
            match change {
                Step::Added(count) => {
                    for _ in 0..count {
                        step(1);
                        hash.remove_at(hash.len() - 1);
                    }
                }
                Step::Set { position, before } => {
                    step(1);
                    let field = hash.at(position).map(|(field, _)| field.to_vec());
                    hash.insert(seed, &field.expect("a field that was set is there"), &before);
                }
                Step::Removed { position, field, value } => {
                    step(1);
                    hash.insert(seed, &field, &value);
                    hash.swap_with_last(position);
                }
            }
        }
    }
}

impl Edit<'_, Hash> {
    /// See [`Hash::expect`].
    pub(crate) fn expect(&mut self, fields: usize, bytes: usize) {
        self.value.expect(fields, bytes);
    }

    /// Sets a field; whether it is new. A hash that grows out of its short form needs a seed.
    pub(crate) fn insert(&mut self, seed: Seed, field: &[u8], value: &[u8]) -> bool {
        if let Some(undo) = &mut self.undo {
            let position = self.value.position(field);
            match (undo.steps.last_mut(), position) {
                (Some(Step::Added(count)), None) => *count += 1,
                (_, None) => undo.push(Step::Added(1), 0),
                // Somebody counts: what it was before is noted already.
                (Some(Step::Set { position: last, .. }), Some(position)) if *last == position => {}
                (_, Some(position)) => {
                    let before = self.value.at(position).map_or(&b""[..], |(_, before)| before);
                    undo.push(Step::Set { position, before: before.into() }, before.len());
                }
            }
        }
        self.value.insert(seed, field, value)
    }

    /// Sets a field that must not exist; whether it did not.
    pub(crate) fn insert_new(&mut self, seed: Seed, field: &[u8], value: &[u8]) -> bool {
        self.value.position(field).is_none() && self.insert(seed, field, value)
    }

    /// Removes a field; whether it was there.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(position) = self.value.position(field) else { return false };
        if let (Some(undo), Some((_, value))) = (&mut self.undo, self.value.at(position)) {
            let bytes = field.len() + value.len();
            undo.push(Step::Removed { position, field: field.into(), value: value.into() }, bytes);
        }
        self.value.remove_at(position);
        true
    }
}
