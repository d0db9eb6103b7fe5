//! Lists.

use std::collections::VecDeque;
use std::ops::Range;

/// What an element costs beyond its bytes.
const ELEMENT_COST: u64 = 32;
/// Lists of at most so many bytes are one listpack in Redis.
const LISTPACK_BYTES_MAX: u64 = 8 * 1024;

/// A list that could hold four times as many elements as it has gives memory back, if they are so many.
const SLACK_MIN: usize = 64;

/// A list value: constant time at both ends and by position, linear in the middle.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    elements: VecDeque<Box<[u8]>>,
    bytes: u64,
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.bytes + self.elements.len() as u64 * ELEMENT_COST
    }

    pub(crate) fn encoding(&self) -> &'static str {
        // Redis adds up to about 11 bytes of framing per element.
        if self.bytes + self.elements.len() as u64 * 3 <= LISTPACK_BYTES_MAX {
            "listpack"
        } else {
            "quicklist"
        }
    }

    pub(crate) fn push_front(&mut self, element: &[u8]) {
        self.bytes += element.len() as u64;
        self.elements.push_front(element.into());
    }

    pub(crate) fn push_back(&mut self, element: &[u8]) {
        self.bytes += element.len() as u64;
        self.elements.push_back(element.into());
    }

    pub(crate) fn pop_front(&mut self) -> Option<Box<[u8]>> {
        let element = self.elements.pop_front()?;
        self.bytes -= element.len() as u64;
        self.give_back();
        Some(element)
    }

    pub(crate) fn pop_back(&mut self) -> Option<Box<[u8]>> {
        let element = self.elements.pop_back()?;
        self.bytes -= element.len() as u64;
        self.give_back();
        Some(element)
    }

    /// The element at a position, counted from the end when negative.
    pub(crate) fn get(&self, position: i64) -> Option<&[u8]> {
        self.resolve(position).map(|position| self.elements[position].as_ref())
    }

    fn resolve(&self, position: i64) -> Option<usize> {
        let length = i64::try_from(self.elements.len()).ok()?;
        let position = if position < 0 { position.checked_add(length)? } else { position };
        usize::try_from(position).ok().filter(|position| *position < self.elements.len())
    }

    /// Replaces an element; whether there is one at that position.
    pub(crate) fn set(&mut self, position: i64, element: &[u8]) -> bool {
        let Some(position) = self.resolve(position) else { return false };
        self.bytes += element.len() as u64;
        self.bytes -= self.elements[position].len() as u64;
        self.elements[position] = element.into();
        true
    }

    /// Inserts before or after the first element equal to `pivot`; whether there is one.
    pub(crate) fn insert(&mut self, pivot: &[u8], after: bool, element: &[u8]) -> bool {
        let Some(position) = self.elements.iter().position(|candidate| candidate.as_ref() == pivot) else {
            return false;
        };
        self.bytes += element.len() as u64;
        self.elements.insert(position + usize::from(after), element.into());
        true
    }

    /// Removes the first `count` elements equal to `element`, from the back if asked to; how many there were.
    pub(crate) fn remove(&mut self, element: &[u8], count: usize, from_back: bool) -> usize {
        let matching = self.elements.iter().filter(|candidate| candidate.as_ref() == element).count();
        let removed = matching.min(count);
        // The matches to keep come last when removing from the front, and first when removing from the back.
        let (first, last) = if from_back { (matching - removed, matching) } else { (0, removed) };
        let mut seen = 0;
        self.elements.retain(|candidate| {
            if candidate.as_ref() != element {
                return true;
            }
            seen += 1;
            !(first < seen && seen <= last)
        });
        self.bytes -= (removed * element.len()) as u64;
        self.give_back();
        removed
    }

    /// Keeps only the elements at these positions, which must exist. Takes time for those that go, not for
    /// those that stay: capping a long list is cheap.
    pub(crate) fn trim(&mut self, kept: Range<usize>) {
        let behind: u64 = self.elements.drain(kept.end..).map(|element| element.len() as u64).sum();
        let before: u64 = self.elements.drain(..kept.start).map(|element| element.len() as u64).sum();
        self.bytes -= behind + before;
        self.give_back();
    }

    /// Lets memory go when the list has become much shorter.
    fn give_back(&mut self) {
        let (length, capacity) = (self.elements.len(), self.elements.capacity());
        if capacity > SLACK_MIN && length < capacity / 4 {
            self.elements.shrink_to(length * 2);
        }
    }

    /// The bytes of all elements.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops up to `count` elements of a list that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        let left = self.elements.len().saturating_sub(count);
        let shed = self.elements.len() - left;
        self.elements.truncate(left);
        shed
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.elements.iter().map(AsRef::as_ref)
    }

    /// The elements at these positions, which must exist.
    pub(crate) fn range(&self, positions: Range<usize>) -> impl ExactSizeIterator<Item = &[u8]> {
        self.elements.range(positions).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn memory_is_given_back() {
        let mut list = List::default();
        (0..10_000u32).for_each(|number| list.push_back(&number.to_le_bytes()));
        (0..9_990).for_each(|_| drop(list.pop_front()));
        assert_eq!(list.len(), 10);
        assert!(list.elements.capacity() <= 64, "{}", list.elements.capacity());
    }
}
