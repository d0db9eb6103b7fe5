//! What copies compare with each other beside their answers is a bounded part of the state, in bytes for each
//! entry and for each second: comparing must not cost more than the work itself, however large values are.
//! Counted here from what machines say that they have looked at, apart from what the protocols ask for. (Rule
//! P10; Gray, "Why Do Computers Stop", 1985, on what it costs to be suspicious.)

use onecopy_core::Timestamp;

use crate::trace::violated;

const CHECKER: &str = "looks";

/// So much may be looked at with each entry.
const ENTRY_BYTES: u64 = 256;
/// And so much for each millisecond.
const BYTES_PER_MS: u64 = 2 << 10;
/// So much at once, after a long rest, and as much at the beginning: nobody knows how long the rest was.
const BURST: u64 = 1 << 20;
/// A look ends with what it is at: a block of a large value, and the names before it.
const BLOCK: u64 = (4 << 10) + 512;

/// What was looked at in a machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks {
    began: Option<Timestamp>,
    time: Timestamp,
    entries: u64,
    bytes: u64,
}

impl Looks {
    /// An entry of this time is executed.
    pub fn entry(&mut self, time: Timestamp) {
        self.began.get_or_insert(time);
        self.time = time;
        self.entries += 1;
    }

    /// With it the machine was asked to look at so many bytes, and has looked at so many.
    pub fn looked(&mut self, asked: usize, seen: usize) {
        let (asked, seen) = (asked as u64, seen as u64);
        if asked > BURST || seen > asked + BLOCK {
            violated(CHECKER, format!("with one entry, {seen} bytes are looked at instead of {asked}"));
        }
        self.bytes += seen;
        let elapsed = self.time.0 - self.began.unwrap_or(self.time).0;
        let most = BURST + self.entries * (ENTRY_BYTES + BLOCK) + elapsed * BYTES_PER_MS;
        if self.bytes > most {
            violated(
                CHECKER,
                format!("{} bytes were looked at with {} entries in {elapsed} ms", self.bytes, self.entries),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_look_at_too_much_is_caught() {
        let of_one = |asked, seen| {
            let mut looks = Looks::default();
            looks.entry(Timestamp(7));
            caught(|| looks.looked(asked, seen))
        };
        assert_eq!((of_one(256, 4096), of_one(1 << 20, 1 << 20)), (None, None));
        assert_eq!((of_one(256, 10_000), of_one(2 << 20, 0)), (Some(CHECKER), Some(CHECKER)));
    }

    #[test]
    fn looks_that_are_too_many_are_caught() {
        let after = |milliseconds: u64| {
            let mut looks = Looks::default();
            (0..400).find_map(|entry| {
                looks.entry(Timestamp(entry * milliseconds));
                caught(|| looks.looked(1 << 14, 1 << 14))
            })
        };
        assert_eq!((after(8), after(1)), (None, Some(CHECKER)));
    }
}
