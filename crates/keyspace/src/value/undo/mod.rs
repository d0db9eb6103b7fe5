//! How changes of a large value are taken back: not by a copy of it, but one by one.
//!
//! Who changes a collection has it as an [`Edit`]. If its changes may have to be undone, an `Edit` notes what
//! takes each of them back before it passes it on: an element that was removed, and where it was; a score
//! that was another one. So a push to a list of a million elements is noted as one, whoever does it.
//!
//! What is noted is *exact*. Where elements have positions, they have the same ones afterwards: scans walk
//! over them, and random choices pick them.

mod hash;
mod list;
mod set;
mod text;
mod zset;

use std::ops::Deref;

use super::stream::StreamUndo;
use super::{Content, Typed, Value};
use crate::seed::Seed;

pub(crate) use hash::HashUndo;
pub(crate) use list::ListUndo;
pub(crate) use set::SetUndo;
pub(crate) use text::TextUndo;
pub(crate) use zset::ZsetUndo;

/// To note one change costs so many bytes, beside those of what it notes.
pub(super) const STEP_COST: u64 = 48;

/// A collection that is being changed.
#[derive(Debug)]
pub(crate) struct Edit<'a, T: Typed> {
    pub(super) value: &'a mut T,
    /// What takes the changes back, if that may be wanted.
    pub(super) undo: Option<&'a mut T::Undo>,
}

impl<'a, T: Typed> Edit<'a, T> {
    pub(crate) fn new(value: &'a mut T, undo: Option<&'a mut T::Undo>) -> Self {
        Self { value, undo }
    }
}

impl<T: Typed> Deref for Edit<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

/// What takes the changes of a value back.
#[derive(Debug)]
pub(crate) enum Undo {
    Text(TextUndo),
    List(ListUndo),
    Hash(HashUndo),
    Set(SetUndo),
    Zset(ZsetUndo),
    Stream(StreamUndo),
}

impl Undo {
    /// For a value that is as it is now: nothing.
    pub(crate) fn of(content: Content<'_>) -> Self {
        match content {
            Content::Text(text) => Self::Text(TextUndo::of(text.len())),
            Content::List(list) => Self::List(ListUndo::of(list)),
            Content::Hash(_) => Self::Hash(HashUndo::default()),
            Content::Set(_) => Self::Set(SetUndo::default()),
            Content::Zset(_) => Self::Zset(ZsetUndo::default()),
            Content::Stream(stream) => Self::Stream(StreamUndo::of(stream)),
        }
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Text(undo) => undo.bytes(),
            Self::List(undo) => undo.bytes(),
            Self::Hash(undo) => undo.bytes(),
            Self::Set(undo) => undo.bytes(),
            Self::Zset(undo) => undo.bytes(),
            Self::Stream(undo) => undo.bytes(),
        }
    }

    /// Takes all changes back. `step` hears of the steps of each.
    pub(crate) fn undo(self, value: &mut Value, seed: Seed, step: &mut dyn FnMut(usize)) {
        match (self, value) {
            (Self::Text(undo), value) => undo.undo(value),
            (Self::List(undo), Value::List(list)) => undo.undo(list, step),
            (Self::Hash(undo), Value::Hash(hash)) => undo.undo(hash, seed, step),
            (Self::Set(undo), Value::Set(set)) => undo.undo(set, seed, step),
            (Self::Zset(undo), Value::Zset(zset)) => undo.undo(zset, seed, step),
            (Self::Stream(undo), Value::Stream(stream)) => undo.undo(stream, step),
            (undo, value) => unreachable!("{value:?} was never changed by {undo:?}"),
        }
    }

    /// All changes stay. What is noted is let go: `discard` takes what may be much.
    pub(crate) fn keep(self, discard: &mut dyn FnMut(Value)) {
        match self {
            Self::List(undo) => undo.keep(discard),
            Self::Stream(undo) => undo.keep(discard),
            Self::Text(_) | Self::Hash(_) | Self::Set(_) | Self::Zset(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
