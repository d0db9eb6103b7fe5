//! The values that a key can hold, one file per type.
//!
//! Each collection counts its own bytes as it changes, so that what a key occupies is known without walking
//! over it. The costs are *logical*: the bytes of the data plus a constant per element, chosen near what the
//! allocator really needs, but the same on every replica, whatever its allocator, its growth history and its
//! platform.

mod hash;
mod list;
mod ranked;
mod set;
mod table;
mod text;
mod zset;

pub(crate) use hash::Hash;
pub(crate) use list::List;
pub(crate) use set::Set;
pub(crate) use table::Table;
pub use text::TEXT_BYTES_MAX;
pub(crate) use text::Text;
pub(crate) use zset::{Zset, score_of_parts};

use crate::seed::Seed;

/// What a key costs beyond its name and its value: its slot in the table.
pub(crate) const KEY_COST: u64 = 96;
/// What an expiry costs beyond a copy of the key's name.
pub(crate) const EXPIRY_COST: u64 = 40;

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Text),
    List(Box<List>),
    Hash(Box<Hash>),
    Set(Box<Set>),
    Zset(Box<Zset>),
}

impl Value {
    /// The bytes that it occupies, in the sense of the module.
    pub(crate) fn memory(&self) -> u64 {
        match self {
            Self::Text(text) => text.memory(),
            Self::List(list) => list.memory(),
            Self::Hash(hash) => hash.memory(),
            Self::Set(set) => set.memory(),
            Self::Zset(zset) => zset.memory(),
        }
    }

    /// A collection without elements does not exist: its key is removed.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Zset(zset) => zset.is_empty(),
        }
    }

    /// How many elements it has; a string is one.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::List(list) => list.len(),
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
        }
    }

    /// Drops up to `count` elements of a value that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        match self {
            Self::Text(_) => 0,
            Self::List(list) => list.shed(count),
            Self::Hash(hash) => hash.shed(count),
            Self::Set(set) => set.shed(count),
            Self::Zset(zset) => zset.shed(count),
        }
    }

    /// What `TYPE` answers.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
        }
    }

    /// What `OBJECT ENCODING` answers: how Redis would keep such a value with its default settings. A
    /// function of the content alone; where Redis keeps a larger encoding after the value has shrunk, this
    /// does not.
    pub(crate) fn encoding(&self) -> &'static str {
        match self {
            Self::Text(text) => text.encoding(),
            Self::List(list) => list.encoding(),
            Self::Hash(hash) => hash.encoding(),
            Self::Set(set) => set.encoding(),
            Self::Zset(zset) => zset.encoding(),
        }
    }
}

/// A type of value, for code that expects one.
pub(crate) trait Typed: Sized {
    /// An empty one.
    fn empty(seed: Seed) -> Self;
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The value, if it is of this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn into_value(self) -> Value;
}

macro_rules! typed {
    ($type:ident, $empty:expr) => {
        impl Typed for $type {
            fn empty(seed: Seed) -> Self {
                $empty(seed)
            }

            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$type(inner) => Some(inner),
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
                Value::$type(self.into())
            }
        }
    };
}

typed!(Text, |_| Text::default());
typed!(List, |_| List::default());
typed!(Hash, Hash::new);
typed!(Set, Set::new);
typed!(Zset, Zset::new);

#[cfg(test)]
mod tests;
