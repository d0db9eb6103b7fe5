//! How commands edit strings in their place.

use std::ops::Range;

use super::Context;
use crate::database::Spot;
use crate::pieces::{copy, lengthen};
use crate::slot::{INLINE_MAX, New};
use crate::value::{Text, Undo, Value};

impl Context<'_> {
    /// Lets `edit` have the bytes of the string at a spot, none if there is none, to add to them, and to
    /// overwrite those in these ranges; how many there are then.
    pub(crate) fn edit_text(
        &mut self,
        spot: Spot,
        key: &[u8],
        overwritten: &[Range<usize>],
        edit: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let object = self.at(spot);
        let expires = object.and_then(|object| object.expires);
        let text = object.and_then(|object| object.value.text());
        if text.is_some_and(|text| text.len() > INLINE_MAX) {
            // No edit makes a string shorter, so this one stays where it is.
            self.touch(key);
            let budget = self.budget();
            let edited = self.change(spot, key, |value, noted| {
                if let Value::Shared(shared) = value {
                    *value = Value::Raw(copy(shared, budget));
                }
                let Value::Raw(bytes) = value else { unreachable!("{value:?} is no long string") };
                if let Some(Undo::Text(noted)) = noted {
                    overwritten.iter().for_each(|range| noted.note(bytes, range));
                }
                edit(bytes);
                bytes.len()
            });
            return edited.unwrap_or(0);
        }
        let mut bytes = text.map_or_else(Vec::new, Text::to_vec);
        edit(&mut bytes);
        let length = bytes.len();
        self.put(spot, key, New::Value(Value::of_bytes(bytes)), expires);
        length
    }

    /// The same, but zeroes are appended before, until there are at least `length` bytes; `edit` says whether
    /// that counts as a change, with what it has done.
    pub(crate) fn edit_lengthened(
        &mut self,
        spot: Spot,
        key: &[u8],
        length: usize,
        overwritten: &[Range<usize>],
        edit: impl FnOnce(&mut [u8]) -> bool,
    ) -> usize {
        let budget = self.budget();
        let before = self.at(spot).and_then(|object| object.value.text()).map_or(0, Text::len);
        let watchers = self.keyspace.watches.registered_with(self.db, key);
        let named = self.keyspace.tracking.named();
        let mut is_changed = false;
        let after = if before > 0 {
            self.edit_text(spot, key, overwritten, |bytes| {
                lengthen(bytes, length, budget);
                is_changed = edit(bytes);
            })
        } else {
            // Zeroed memory that nobody has written to costs next to nothing.
            let mut bytes = vec![0; length];
            is_changed = edit(&mut bytes);
            self.edit_text(spot, key, &[], |empty| *empty = bytes)
        };
        if !is_changed {
            self.keyspace.notifications.forget_last();
            self.keyspace.tracking.forget_since(named);
            self.keyspace.watches.register_again(self.db, key, watchers);
        }
        after
    }
}
