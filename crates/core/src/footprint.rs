//! Which keys a request touches, so that a read need not wait for what has nothing to do with it (rule L5).

use xxhash_rust::xxh3::xxh3_64;

/// More keys than this are everything: they would take longer to compare than to wait for.
const KEYS_MAX: usize = 4096;

/// The keys that an entry changes, or that a read looks at: perhaps more, never fewer. Keys are known by
/// their hashes; two keys with one hash only make a read wait that need not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    everything: bool,
    /// Whatever comes behind it may touch everything.
    spreads: bool,
    /// Sorted once it is [finished](Footprint::finish).
    keys: Vec<u64>,
}

impl Footprint {
    /// It touches this key.
    pub fn key(&mut self, key: &[u8]) {
        if self.everything {
            return;
        }
        self.keys.push(xxh3_64(key));
        if self.keys.len() > KEYS_MAX {
            self.everything();
        }
    }

    /// It may touch any key, or the whole.
    pub fn everything(&mut self) {
        self.everything = true;
        self.keys = Vec::new();
    }

    /// Whatever is executed behind it may touch everything, as long as it has not been executed itself: it
    /// may wait for something that it passes on.
    pub fn spread(&mut self) {
        self.spreads = true;
    }

    /// Whether what comes behind it may touch everything.
    #[must_use]
    pub fn spreads(&self) -> bool {
        self.spreads
    }

    /// Nothing more is added.
    #[must_use]
    pub fn finish(mut self) -> Self {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.keys.shrink_to_fit();
        self
    }

    /// Whether both touch the same. Both must be finished.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (few, many) = if self.keys.len() < other.keys.len() { (self, other) } else { (other, self) };
        match (few.everything, many.everything) {
            (true, _) => !many.is_empty(),
            (_, true) => !few.is_empty(),
            _ => few.keys.iter().any(|key| many.keys.binary_search(key).is_ok()),
        }
    }

    /// Whether it touches nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.keys.is_empty()
    }

    /// Forgets all but one key. For those who want to see whether it is noticed.
    pub fn spoil(&mut self) {
        self.everything = false;
        self.keys.truncate(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: &[&str]) -> Footprint {
        let mut footprint = Footprint::default();
        keys.iter().for_each(|key| footprint.key(key.as_bytes()));
        footprint.finish()
    }

    #[test]
    fn footprints_meet_where_they_share_a_key() {
        assert!(of(&["a", "b", "c"]).meets(&of(&["x", "c"])));
        assert!(of(&["c"]).meets(&of(&["c", "b", "a"])));
        assert!(!of(&["a", "b"]).meets(&of(&["c", "d", "e"])));
        assert!(!of(&[]).meets(&of(&["c"])));
    }

    #[test]
    fn everything_meets_whatever_there_is() {
        let mut all = of(&["a"]);
        all.everything();
        all.key(b"b");
        assert!(all.meets(&of(&["x"])) && of(&["x"]).meets(&all) && all.meets(&all));
        assert!(!all.meets(&of(&[])) && !of(&[]).meets(&all));
    }

    #[test]
    fn too_many_keys_are_everything() {
        let mut footprint = Footprint::default();
        (0..=KEYS_MAX).for_each(|key| footprint.key(&key.to_le_bytes()));
        assert!(footprint.finish().meets(&of(&["something else"])));
    }
}
