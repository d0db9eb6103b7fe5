//! The values that a key can hold, one file per type.
//!
//! Each collection counts its own bytes as it changes, so that what a key occupies is known without walking
//! over it. The costs are *logical*: the bytes of the data plus a constant per element, chosen near what the
//! allocator really needs, but the same on every replica, whatever its allocator, its growth history and its
//! platform.

mod dict;
mod hash;
mod list;
mod pack;
mod ranked;
mod set;
pub(crate) mod stream;
mod text;
mod undo;
mod zset;

use bytes::Bytes;
use onecopy_core::{Budget, Encodings};

use crate::pieces::copy;
pub(crate) use dict::Dict;
pub(crate) use hash::Hash;
pub(crate) use list::List;
pub(crate) use set::Set;
pub(crate) use stream::Stream;
pub use text::TEXT_BYTES_MAX;
pub(crate) use text::Text;
pub(crate) use undo::{Edit, Undo};
pub(crate) use zset::Zset;

/// What a key costs beyond its name and its value: its place, its tag, and its share of its slot.
pub(crate) const KEY_COST: u64 = 18;
/// What an expiry costs.
pub(crate) const EXPIRY_COST: u64 = 14;
/// What a value costs that lies beside its key.
pub(crate) const BESIDE_COST: u64 = 34;

/// Collections of at most so many elements, none of which is longer than that, have a short form: one
/// allocation. The form depends on the elements alone, and not on how
/// they came there.
const PACKED_MAX: usize = 128;
const PACKED_BYTES_MAX: usize = 64;
/// What an element of a large collection costs beyond its bytes.
const ELEMENT_COST: u64 = 24;
/// What a large collection costs beyond its elements.
const DICT_COST: u64 = 512;

/// What an allocation of so many bytes costs, on average.
fn allocated(bytes: u64) -> u64 {
    bytes + bytes / 5
}

/// What a key holds, owned.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A string that reads as an integer.
    Integer(i64),
    /// Any other string.
    Raw(Vec<u8>),
    /// A long string that does not read as an integer, as it came: it was not copied.
    Shared(Bytes),
    List(List),
    Hash(Hash),
    Set(Set),
    Zset(Zset),
    Stream(Stream),
}

/// What a key holds, lent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    Text(Text<'a>),
    List(&'a List),
    Hash(&'a Hash),
    Set(&'a Set),
    Zset(&'a Zset),
    Stream(&'a Stream),
}

impl Value {
    /// A string of these bytes, without copying them.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        match Text::new(&bytes) {
            Text::Integer(number) => Self::Integer(number),
            Text::Raw(_) => Self::Raw(bytes),
        }
    }

    /// What it is.
    pub(crate) fn content(&self) -> Content<'_> {
        match self {
            Self::Integer(number) => Content::Text(Text::Integer(*number)),
            Self::Raw(bytes) => Content::Text(Text::Raw(bytes)),
            Self::Shared(bytes) => Content::Text(Text::Raw(bytes)),
            Self::List(list) => Content::List(list),
            Self::Hash(hash) => Content::Hash(hash),
            Self::Set(set) => Content::Set(set),
            Self::Zset(zset) => Content::Zset(zset),
            Self::Stream(stream) => Content::Stream(stream),
        }
    }

    /// Drops up to `count` elements of a value that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        match self {
            Self::Integer(_) | Self::Raw(_) | Self::Shared(_) => 0,
            Self::List(list) => list.shed(count),
            Self::Hash(hash) => hash.shed(count),
            Self::Set(set) => set.shed(count),
            Self::Zset(zset) => zset.shed(count),
            Self::Stream(stream) => stream.shed(count),
        }
    }
}

impl<'a> Content<'a> {
    /// The bytes that it occupies, in the sense of the module.
    pub(crate) fn memory(self) -> u64 {
        match self {
            Self::Text(text) => text.memory(),
            Self::List(list) => BESIDE_COST + list.memory(),
            Self::Hash(hash) => BESIDE_COST + hash.memory(),
            Self::Set(set) => BESIDE_COST + set.memory(),
            Self::Zset(zset) => BESIDE_COST + zset.memory(),
            Self::Stream(stream) => BESIDE_COST + stream.memory(),
        }
    }

    /// A collection without elements does not exist: its key is removed. A stream does.
    pub(crate) fn is_gone(self) -> bool {
        !matches!(self, Self::Stream(_)) && self.len() == 0
    }

    /// How many elements it has; a string is one. Of a stream, how many items say all of it.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::List(list) => list.len(),
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// The string, if it is one.
    pub(crate) fn text(self) -> Option<Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same again, in pieces, with pauses between.
    pub(crate) fn copy(self, budget: Budget<'_>) -> Value {
        let step = &mut |steps| budget.spend(steps);
        match self {
            Self::Text(Text::Integer(number)) => Value::Integer(number),
            Self::Text(Text::Raw(bytes)) => Value::Raw(copy(bytes, budget)),
            Self::List(list) => Value::List(list.copy(step)),
            Self::Hash(hash) => Value::Hash(hash.copy(step)),
            Self::Set(set) => Value::Set(set.copy(step)),
            Self::Zset(zset) => Value::Zset(zset.copy(step)),
            Self::Stream(stream) => Value::Stream(stream.copy(step)),
        }
    }

    /// A copy that is only read.
    pub(crate) fn copy_to_read(self) -> Value {
        match self {
            Self::List(list) => Value::List(list.copy_to_read()),
            other => other.copy(Budget::ENDLESS),
        }
    }

    /// What `TYPE` answers.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    /// What `OBJECT ENCODING` answers: how Redis would keep such a value within these limits. A function of
    /// the content alone; where Redis keeps a larger encoding after the value has shrunk, this does not.
    pub(crate) fn encoding(self, limits: &Encodings) -> &'static str {
        match self {
            Self::Text(text) => text.encoding(),
            Self::List(list) => list.encoding(limits.list_size),
            Self::Hash(hash) => hash.encoding(limits),
            Self::Set(set) => set.encoding(limits),
            Self::Zset(zset) => zset.encoding(limits),
            Self::Stream(_) => "stream",
        }
    }

    /// How many elements have to be looked at for that.
    pub(crate) fn encoding_steps(self, limits: &Encodings) -> usize {
        let most = match self {
            Self::Text(_) | Self::Stream(_) => 0,
            // Some KiB at most, or so many elements.
            Self::List(_) => u32::MAX,
            Self::Hash(_) => limits.hash_entries,
            Self::Set(_) => limits.set_entries.max(limits.intset_entries),
            Self::Zset(_) => limits.zset_entries,
        };
        // Of those that have more, none is looked at.
        Some(self.len()).filter(|length| *length <= most as usize).unwrap_or(0)
    }
}

/// A type of collection, for code that expects one.
pub(crate) trait Typed: Sized {
    /// What takes its changes back.
    type Undo;

    /// An empty one.
    fn empty() -> Self;
    /// The collection, if the content is of this type.
    fn of(content: Content<'_>) -> Option<&Self>;
    /// The collection, if the value is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn into_value(self) -> Value;
    /// What takes the changes of such a collection back, if that is what it is.
    fn undo_of(undo: &mut Undo) -> Option<&mut Self::Undo>;
}

macro_rules! typed {
    ($type:ident, $undo:ty) => {
        impl Typed for $type {
            type Undo = $undo;

            fn empty() -> Self {
                $type::new()
            }

            fn of(content: Content<'_>) -> Option<&Self> {
                match content {
                    Content::$type(inner) => Some(inner),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$type(inner) => Some(inner),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$type(self)
            }

            fn undo_of(undo: &mut Undo) -> Option<&mut Self::Undo> {
                match undo {
                    Undo::$type(inner) => Some(inner),
                    _ => None,
                }
            }
        }
    };
}

typed!(List, undo::ListUndo);
typed!(Hash, undo::HashUndo);
typed!(Set, undo::SetUndo);
typed!(Zset, undo::ZsetUndo);
typed!(Stream, stream::StreamUndo);

#[cfg(test)]
mod tests;
