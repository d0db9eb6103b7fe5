//! Long strings: which of their bytes were other ones, and how many there were.

use std::ops::Range;

use super::STEP_COST;
use crate::value::Value;

/// What takes the changes of a string back. No change makes it shorter.
#[derive(Debug)]
pub(crate) struct TextUndo {
    /// How many bytes there were.
    length: usize,
    /// What was overwritten, and where, the latest last.
    overwritten: Vec<(usize, Box<[u8]>)>,
    bytes: u64,
}

impl TextUndo {
    pub(super) fn of(length: usize) -> Self {
        Self { length, overwritten: Vec::new(), bytes: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Some bytes are about to be overwritten. Those behind the end were not there.
    pub(crate) fn note(&mut self, text: &[u8], range: &Range<usize>) {
        let end = range.end.min(self.length);
        if let Some(before) = text.get(range.start..end).filter(|before| !before.is_empty()) {
            self.overwritten.push((range.start, before.into()));
            self.bytes += STEP_COST + before.len() as u64;
        }
    }

    pub(super) fn undo(self, value: &mut Value) {
        match value {
            Value::Raw(text) => {
                for (at, before) in self.overwritten.into_iter().rev() {
                    text[at..at + before.len()].copy_from_slice(&before);
                }
                text.truncate(self.length);
            }
            Value::Shared(_) if self.overwritten.is_empty() => {}
            other => unreachable!("{other:?} was not edited as a long string"),
        }
    }
}
