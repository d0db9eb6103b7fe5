//! A register that one writer raises, and everybody reads.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What is known of a register.
///
/// One writer, whose values only rise, makes linearizability easy to decide: a read is right if it returns
/// nothing older than what was acknowledged, or read by anybody, before it was sent, and nothing newer than
/// what was sent before it was answered. (With one writer, that is all that an atomic register promises:
/// Lamport, "On Interprocess Communication".)
#[derive(Debug, Default)]
pub struct Register {
    acknowledged: AtomicU64,
    seen: AtomicU64,
    tried: AtomicU64,
}

impl Register {
    /// The writer is about to send this value.
    pub fn trying(&self, value: u64) {
        self.tried.store(value, SeqCst);
    }

    /// This value was acknowledged.
    pub fn acknowledged(&self, value: u64) {
        self.acknowledged.store(value, SeqCst);
    }

    /// The oldest value that a read may return that is sent now.
    pub fn floor(&self) -> u64 {
        self.acknowledged.load(SeqCst).max(self.seen.load(SeqCst))
    }

    /// A read that was sent when the floor was this has just been answered. Says what is wrong with the
    /// answer.
    pub fn judge(&self, value: u64, floor: u64) -> Result<(), String> {
        let tried = self.tried.load(SeqCst);
        if value < floor {
            return Err(format!("{value} was read after {floor} had been acknowledged or read"));
        }
        if value > tried {
            return Err(format!(
                "{value} was read, and {tried} was the last that anybody had tried to write"
            ));
        }
        self.seen.fetch_max(value, SeqCst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_between_what_was_known_and_what_was_tried_are_right() {
        let register = Register::default();
        register.trying(1);
        register.acknowledged(1);
        register.trying(2);
        let floor = register.floor();
        assert_eq!(floor, 1);
        assert!(register.judge(0, floor).is_err(), "stale");
        assert!(register.judge(3, floor).is_err(), "never written");
        assert!(register.judge(1, floor).is_ok());
        assert!(register.judge(2, floor).is_ok());
        // Both were right at the time, but nobody may go back once somebody has seen the new value.
        assert!(register.judge(1, register.floor()).is_err(), "new and then old");
        assert!(register.judge(1, floor).is_ok(), "sent before that");
    }
}
