//! Sets.

use onecopy_core::Encodings;

use super::dict::Dict;
use super::pack::Pack;
use super::{DICT_COST, ELEMENT_COST, PACKED_BYTES_MAX, PACKED_MAX, allocated};
use crate::number::parse_integer;
use crate::seed::Seed;
use crate::slot::record::Payload;

/// A set value. The members are in order of insertion, but a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(crate) enum Set {
    /// Few members, all of them short.
    Few(Pack),
    Many(Box<Many>),
}

/// A set that has more members, or a long one.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    members: Dict,
    /// How many of the members are long.
    long: usize,
}

/// Nothing belongs to a member.
const NOTHING: Payload<'_> = Payload::Bytes(b"");

impl Many {
    /// The short form of it, if it has one.
    fn packed(&self) -> Option<Pack> {
        (self.members.len() <= PACKED_MAX && self.long == 0).then(|| {
            let mut pack = Pack::default();
            self.members.iter().for_each(|(member, _)| pack.push(member));
            pack
        })
    }
}

impl Set {
    pub(crate) fn new() -> Self {
        Self::Few(Pack::default())
    }

    /// The same again, in pieces. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        match self {
            Self::Few(pack) => Self::Few(pack.clone()),
            Self::Many(many) => {
                Self::Many(Box::new(Many { members: many.members.copy(step), long: many.long }))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(pack) => pack.len(),
            Self::Many(many) => many.members.len(),
        }
    }

    pub(crate) fn memory(&self) -> u64 {
        match self {
            Self::Few(pack) => allocated(pack.size() as u64),
            Self::Many(many) => DICT_COST + many.members.names() + many.members.len() as u64 * ELEMENT_COST,
        }
    }

    pub(crate) fn encoding(&self, limits: &Encodings) -> &'static str {
        let (integers, members) = (limits.intset_entries as usize, limits.set_entries as usize);
        let fits = |member: &[u8]| member.len() <= limits.set_value as usize;
        match self.len() {
            length if length <= integers && self.iter().all(|it| parse_integer(it).is_some()) => "intset",
            length if length <= members && self.iter().all(fits) => "listpack",
            _ => "hashtable",
        }
    }

    /// Adds a member; whether it is new. A set that grows out of its short form needs a seed.
    pub(crate) fn insert(&mut self, seed: Seed, member: &[u8]) -> bool {
        let is_long = member.len() > PACKED_BYTES_MAX;
        if let Self::Few(pack) = self {
            if pack.iter().any(|other| other == member) {
                return false;
            }
            if pack.len() < PACKED_MAX && !is_long {
                pack.push(member);
                return true;
            }
            let mut members = Dict::new(seed);
            for member in pack.iter() {
                members.insert_new(member, NOTHING);
            }
            *self = Self::Many(Box::new(Many { members, long: 0 }));
        }
        let Self::Many(many) = self else { unreachable!("it has been made one of many") };
        let is_new = many.members.insert_new(member, NOTHING).is_none();
        many.long += usize::from(is_new && is_long);
        is_new
    }

    /// So many members, of so many bytes, are about to come.
    pub(crate) fn expect(&mut self, members: usize, bytes: usize) {
        if let Self::Few(pack) = self {
            pack.expect(members, bytes);
        }
    }

    /// The position of a member.
    pub(super) fn position(&self, member: &[u8]) -> Option<usize> {
        match self {
            Self::Few(pack) => pack.iter().position(|other| other == member),
            Self::Many(many) => many.members.position(member),
        }
    }

    /// Removes a member; whether it was there.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        self.position(member).is_some_and(|position| self.remove_at(position).is_some())
    }

    /// Removes the member at a position; the last one takes its place.
    pub(super) fn remove_at(&mut self, position: usize) -> Option<Box<[u8]>> {
        let member: Box<[u8]> = self.at(position)?.into();
        match self {
            Self::Few(pack) => pack.swap_remove(position, 1),
            Self::Many(many) => {
                many.members.remove_at(position);
                many.long -= usize::from(member.len() > PACKED_BYTES_MAX);
                if let Some(pack) = many.packed() {
                    *self = Self::Few(pack);
                }
            }
        }
        Some(member)
    }

    /// Lets the member at a position and the last one change places.
    pub(super) fn swap_with_last(&mut self, position: usize) {
        match self {
            Self::Few(pack) => pack.swap_with_last(position, 1),
            Self::Many(many) => many.members.swap_with_last(position),
        }
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        match self {
            Self::Few(pack) => pack.iter().any(|other| other == member),
            Self::Many(many) => many.members.position(member).is_some(),
        }
    }

    pub(crate) fn at(&self, position: usize) -> Option<&[u8]> {
        match self {
            Self::Few(pack) => pack.get(position),
            Self::Many(many) => many.members.at(position).map(|(member, _)| member),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.iter_from(0)
    }

    /// The members from a position on.
    pub(crate) fn iter_from(&self, position: usize) -> impl Iterator<Item = &[u8]> {
        let (few, many) = match self {
            Self::Few(pack) => (Some(pack.iter_from(position)), None),
            Self::Many(many) => (None, Some(many.members.iter_from(position))),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten().map(|(member, _)| member))
    }

    /// The bytes of all members.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Few(pack) => pack.iter().map(|member| member.len() as u64).sum(),
            Self::Many(many) => many.members.names(),
        }
    }

    /// Drops up to `count` members of a set that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        match self {
            Self::Few(pack) => std::mem::take(pack).len(),
            Self::Many(many) => many.members.shed(count),
        }
    }
}
