//! A log that found no room on its disk. It has failed for good: what became of its last write, nobody knows,
//! and it is never tried again on the same file. What is durable is known after a start, and only then. So
//! the process waits until there is room, and then begins anew, exactly as if it had crashed: with the next
//! boot number, hence in a new view (rule P11), with what recovery finds in the log, and in the same life.
//! Nobody has to start it, which matters most when the disks of all members were full.

use std::time::Duration;

use onecopy_core::Instant;

/// How often it is looked whether there is room.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Waits for room on a disk.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    next_look: Instant,
}

impl Room {
    /// The log has found none.
    #[must_use]
    pub fn wanted(now: Instant) -> Self {
        Self { next_look: now + LOOK_INTERVAL }
    }

    /// When to look next.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next_look
    }

    /// Whether the process is to begin anew. `has_room` finds out whether something can be written, and made
    /// durable.
    pub fn look(&mut self, now: Instant, has_room: impl FnOnce() -> bool) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK_INTERVAL;
        has_room()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_now_and_then_until_there_is_room() {
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        let mut room = Room::wanted(at(0));
        assert!(!room.look(at(999), || panic!("not yet")));
        assert!(!room.look(at(1_000), || false));
        assert!(!room.look(at(1_500), || panic!("it was just looked")));
        assert!(room.look(room.deadline(), || true));
    }
}
