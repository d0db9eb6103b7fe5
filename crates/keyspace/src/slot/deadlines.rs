//! Which of many groups of keys has the next expiry, and which have keys that have expired.
//!
//! The next expiries are the leaves of a tournament: a tree in which each node is the lesser of its children,
//! so that its root is the least of all, and a change costs one way up.

use smallvec::{SmallVec, smallvec};

/// No expiry.
pub(crate) const NEVER: u64 = u64::MAX;

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: SmallVec<[u64; 1]>,
}

impl Bits {
    /// Whether the set has a number from now on.
    pub(crate) fn put(&mut self, number: usize, is_in: bool) {
        let word = number / 64;
        if word >= self.words.len() {
            if !is_in {
                return;
            }
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        if is_in { self.words[word] |= bit } else { self.words[word] &= !bit }
    }

    /// The first number from `from` on that is in the set.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let word = *self.words.get(from / 64)? & u64::MAX << (from % 64);
        if word != 0 {
            return Some(from / 64 * 64 + word.trailing_zeros() as usize);
        }
        let next = from / 64 + 1 + self.words[from / 64 + 1..].iter().position(|word| *word != 0)?;
        Some(next * 64 + self.words[next].trailing_zeros() as usize)
    }
}

/// The groups.
#[derive(Clone, Debug)]
pub(crate) struct Deadlines {
    /// The root is at 1, the children of `n` at `2n` and `2n + 1`, the leaves in the second half.
    nodes: SmallVec<[u64; 2]>,
    /// The groups that have keys that have expired.
    leftovers: Bits,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { nodes: smallvec![NEVER; 2], leftovers: Bits::default() }
    }
}

impl Deadlines {
    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    /// The earliest expiry of all groups that is still to come.
    pub(crate) fn next(&self) -> u64 {
        self.nodes[1]
    }

    /// The next expiry of one group, and whether it has expired keys.
    pub(crate) fn put(&mut self, group: usize, next: u64, has_expired: bool) {
        self.leftovers.put(group, has_expired);
        if group >= self.leaves() {
            if next == NEVER {
                return;
            }
            self.grow(group + 1);
        }
        let mut node = self.leaves() + group;
        self.nodes[node] = next;
        while node > 1 {
            let least = self.nodes[node].min(self.nodes[node ^ 1]);
            node /= 2;
            if self.nodes[node] == least {
                break;
            }
            self.nodes[node] = least;
        }
    }

    /// Makes room for so many groups.
    fn grow(&mut self, groups: usize) {
        let leaves = groups.next_power_of_two();
        let mut nodes: SmallVec<[u64; 2]> = smallvec![NEVER; 2 * leaves];
        nodes[leaves..leaves + self.leaves()].copy_from_slice(&self.nodes[self.leaves()..]);
        for node in (1..leaves).rev() {
            nodes[node] = nodes[2 * node].min(nodes[2 * node + 1]);
        }
        self.nodes = nodes;
    }

    /// A group whose next expiry has come.
    pub(crate) fn due(&self, clock: u64) -> Option<usize> {
        if self.nodes[1] == NEVER || self.nodes[1] > clock {
            return None;
        }
        let mut node = 1;
        while node < self.leaves() {
            node *= 2;
            if self.nodes[node] > clock {
                node += 1;
            }
        }
        Some(node - self.leaves())
    }

    /// The first group from `from` on in which something is still to expire.
    pub(crate) fn expiring(&self, from: usize) -> Option<usize> {
        let leaves = self.nodes[self.leaves()..].get(from..)?;
        leaves.iter().position(|next| *next != NEVER).map(|found| from + found)
    }

    /// The first group that has expired keys.
    pub(crate) fn leftover(&self) -> Option<usize> {
        self.leftovers.next(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_root_is_the_least(changes in prop::collection::vec((0usize..300, 0u64..50, any::<bool>()), 0..200)) {
            let mut deadlines = Deadlines::default();
            let mut model = std::collections::BTreeMap::new();
            for (group, next, expired) in changes {
                let next = if next > 40 { NEVER } else { next };
                deadlines.put(group, next, expired);
                model.insert(group, (next, expired));
                let least = model.values().map(|(next, _)| *next).min().unwrap_or(NEVER);
                prop_assert_eq!(deadlines.next(), least);
                let expiring = |from: usize| model.range(from..).find(|(_, (next, _))| *next != NEVER);
                for from in [0, group, 299] {
                    prop_assert_eq!(deadlines.expiring(from), expiring(from).map(|(group, _)| *group));
                }
                let leftover = model.iter().find(|(_, (_, expired))| *expired).map(|(group, _)| *group);
                prop_assert_eq!(deadlines.leftover(), leftover);
                for clock in [0, 20, 40, NEVER - 1] {
                    let due = model.iter().find(|(_, (next, _))| *next != NEVER && *next <= clock);
                    prop_assert_eq!(deadlines.due(clock), due.map(|(group, _)| *group));
                }
            }
        }
    }
}
