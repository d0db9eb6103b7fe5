//! Sets.

use super::table::Table;
use crate::number::parse_integer;
use crate::seed::Seed;

/// What a member costs beyond its bytes.
const MEMBER_COST: u64 = 48;
/// Redis keeps a set of integers as an intset while it has no more members.
const INTSET_MEMBERS_MAX: usize = 512;

/// A set value. The members are in order of insertion, but a removed one is replaced by the last.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    members: Table<Box<[u8]>, ()>,
    bytes: u64,
}

impl Set {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { members: Table::new(seed), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.bytes + self.members.len() as u64 * MEMBER_COST
    }

    pub(crate) fn encoding(&self) -> &'static str {
        let compact = self.members.len() <= INTSET_MEMBERS_MAX
            && self.members.iter().all(|(member, ())| parse_integer(member).is_some());
        if compact { "intset" } else { "hashtable" }
    }

    /// Adds a member; whether it is new.
    pub(crate) fn insert(&mut self, member: &[u8]) -> bool {
        let is_new = !self.members.contains(member) && self.members.insert_new(member.into(), ());
        self.bytes += if is_new { member.len() as u64 } else { 0 };
        is_new
    }

    /// Removes a member; whether it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.members.remove(member).is_some();
        if removed {
            self.bytes -= member.len() as u64;
        }
        removed
    }

    /// Removes the member at a position.
    pub(crate) fn remove_at(&mut self, position: usize) -> Option<Box<[u8]>> {
        let (member, ()) = self.members.remove_at(position)?;
        self.bytes -= member.len() as u64;
        Some(member)
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    pub(crate) fn at(&self, position: usize) -> Option<&[u8]> {
        self.members.at(position).map(|(member, ())| member.as_ref())
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.members.iter().map(|(member, ())| member.as_ref())
    }

    /// The bytes of all members.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops up to `count` members of a set that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        self.members.shed(count)
    }
}
