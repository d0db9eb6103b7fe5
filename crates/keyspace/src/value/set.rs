//! Sets.

use indexmap::IndexSet;

use crate::number::parse_integer;
use crate::seed::Seed;

/// What a member costs beyond its bytes.
const MEMBER_COST: u64 = 48;
/// Redis keeps a set of integers as an intset while it has no more members.
const INTSET_MEMBERS_MAX: usize = 512;

/// A set value. The members are in order of insertion, but a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    members: IndexSet<Box<[u8]>, Seed>,
    bytes: u64,
}

impl Set {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { members: IndexSet::with_hasher(seed), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.bytes + self.members.len() as u64 * MEMBER_COST
    }

    pub(crate) fn encoding(&self) -> &'static str {
        let compact = self.members.len() <= INTSET_MEMBERS_MAX
            && self.members.iter().all(|member| parse_integer(member).is_some());
        if compact { "intset" } else { "hashtable" }
    }

    /// Adds a member; whether it is new.
    pub(crate) fn insert(&mut self, member: &[u8]) -> bool {
        if self.members.contains(member) {
            return false;
        }
        self.bytes += member.len() as u64;
        self.members.insert(member.into())
    }

    /// Removes a member; whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.members.swap_remove(member);
        if removed {
            self.bytes -= member.len() as u64;
        }
        removed
    }

    /// Removes the member at a position.
    pub(crate) fn remove_at(&mut self, position: usize) -> Option<Box<[u8]>> {
        let member = self.members.swap_remove_index(position)?;
        self.bytes -= member.len() as u64;
        Some(member)
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    pub(crate) fn at(&self, position: usize) -> Option<&[u8]> {
        self.members.get_index(position).map(AsRef::as_ref)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.members.iter().map(AsRef::as_ref)
    }
}
