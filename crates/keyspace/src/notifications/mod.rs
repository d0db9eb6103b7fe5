//! Keyspace notifications: what happens to keys is published, in the order of the log, by every copy alike.
//!
//! Whoever changes a key, or removes it, says so where watches and waiters hear of it too
//! (`context.rs`). What that was, is named by the command, once it is executed ([`names`]). Which classes of
//! events are published is state, and changed by an entry; where none is, a change costs the test of a flag.

mod names;

use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::ApplyContext;

use crate::channels::{Message, Sort};
use crate::command::Spec;
use crate::error::CommandError;
use crate::machine::Keyspace;

/// Whose letter is at which place.
const LETTERS: &[u8] = b"KEg$lshzxetdnm";
/// `A` stands for these.
const ALL: &[u8] = b"g$lshzxetd";

/// What an event is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Generic = 2,
    String,
    List,
    Set,
    Hash,
    Zset,
    Expired,
    Evicted,
    Stream = 10,
    New = 12,
}

/// Which events are published, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    const KEYSPACE: u16 = 1;
    const KEYEVENT: u16 = 1 << 1;

    /// Understands what `notify-keyspace-events` is set to.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut bits = 0;
        for letter in text {
            let letters = if *letter == b'A' { ALL } else { std::slice::from_ref(letter) };
            for letter in letters {
                bits |= 1 << LETTERS.iter().position(|known| known == letter)?;
            }
        }
        Some(Self(bits))
    }

    /// How Redis writes it.
    pub(crate) fn text(self) -> String {
        let has = |letter: &u8| {
            LETTERS.iter().position(|known| known == letter).is_some_and(|at| self.0 >> at & 1 == 1)
        };
        let is_all = ALL.iter().all(&has);
        let order = b"g$lshzxetdKEmn";
        let written = order.iter().filter(|letter| has(letter) && !(is_all && ALL.contains(letter)));
        let written: String = written.map(|letter| char::from(*letter)).collect();
        if is_all { format!("A{written}") } else { written }
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn of_bits(bits: u16) -> Option<Self> {
        (bits >> LETTERS.len() == 0).then_some(Self(bits))
    }

    /// Whether anything is published.
    pub(crate) fn is_on(self) -> bool {
        self.0 & (Self::KEYSPACE | Self::KEYEVENT) != 0 && self.0 > (Self::KEYSPACE | Self::KEYEVENT)
    }

    fn includes(self, class: Class) -> bool {
        self.0 >> class as u16 & 1 == 1
    }
}

/// What a command has done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Changed it, or made it.
    Changed,
    /// Removed it.
    Removed,
    /// It had expired, and was still there.
    Expired,
    /// Something in it that is no part of its value, or a second thing.
    Said(&'static str),
}

/// A key that a command has done something to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) db: u8,
    pub(crate) key: Box<[u8]>,
    pub(crate) done: Done,
    /// Whether it was there just before.
    pub(crate) was_there: bool,
}

/// What is published about keys.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    pub(crate) flags: Flags,
    /// What the command that is executed has done. Empty between commands.
    notes: Vec<Note>,
}

impl Notifications {
    /// A command does something to a key.
    pub(crate) fn note(&mut self, db: u8, key: &[u8], done: Done, was_there: bool) {
        let is_known = |note: &Note| note.db == db && note.done == done && note.key.as_ref() == key;
        if !self.notes.iter().rev().take(4).any(is_known) {
            self.notes.push(Note { db, key: key.into(), done, was_there });
        }
    }

    /// What was noted last was no change.
    pub(crate) fn forget_last(&mut self) {
        self.notes.pop();
    }
}

impl Keyspace {
    /// Whether somebody wants to know what happens to keys.
    pub(crate) fn notifies(&self) -> bool {
        self.notifications.flags.is_on()
    }

    /// Sets which events are published.
    pub(crate) fn set_notifications(&mut self, text: &[u8]) -> Result<(), CommandError> {
        let flags = Flags::parse(text).ok_or(CommandError::Other(
            "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class \
             character. Use 'Ag$lshzxeKEtmdn'.",
        ))?;
        self.notifications.flags = flags;
        Ok(())
    }

    /// A command was executed: what it has done to keys is published.
    pub(crate) fn notify(&mut self, apply: &ApplyContext<'_>, spec: &Spec, args: &[&[u8]]) {
        if self.notifications.notes.is_empty() {
            return;
        }
        let notes = std::mem::take(&mut self.notifications.notes);
        for (class, event, db, key) in names::events(self, &notes, spec, args) {
            self.publish_event(apply, class, event, (db, key));
        }
    }

    /// A key had expired, and was removed.
    pub(crate) fn notify_expired(&mut self, apply: &ApplyContext<'_>, db: u8, key: &[u8]) {
        self.publish_event(apply, Class::Expired, "expired", (db, key));
    }

    /// A key was there, and has gone to make room.
    pub(crate) fn notify_evicted(&mut self, apply: &ApplyContext<'_>, db: u8, key: &[u8]) {
        self.publish_event(apply, Class::Evicted, "evicted", (db, key));
    }

    fn publish_event(&mut self, apply: &ApplyContext<'_>, class: Class, event: &str, (db, key): (u8, &[u8])) {
        let flags = self.notifications.flags;
        if !flags.includes(class) || !self.has_channels {
            return;
        }
        let text = |head: String, tail: &[u8]| Bytes::from([head.as_bytes(), tail].concat());
        if flags.0 & Flags::KEYSPACE != 0 {
            let channel = text(format!("__keyspace@{db}__:"), key);
            self.publish(apply, Message { sort: Sort::Channel, channel, payload: event.to_owned().into() });
        }
        if flags.0 & Flags::KEYEVENT != 0 {
            let channel = text(format!("__keyevent@{db}__:"), event.as_bytes());
            self.publish(
                apply,
                Message { sort: Sort::Channel, channel, payload: Bytes::copy_from_slice(key) },
            );
        }
    }

    /// Publishes a message, unless a script runs: then once that has ended.
    pub(crate) fn publish(&mut self, apply: &ApplyContext<'_>, message: Message) -> u64 {
        let mut pay = |steps| apply.budget.spend(steps);
        let receivers = self.channels.interest.receivers(&message, &mut pay);
        if receivers > 0 {
            let message = Arc::new(message);
            match &mut self.journal {
                // If the script is stopped, nobody has heard anything.
                Some(journal) => journal.published(message, apply.memory_max),
                None => self.channels.publish(self.rules, &message, apply.memory_max, pay),
            }
        }
        receivers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_as_redis_writes_them() {
        for (said, written) in [
            ("", ""),
            ("KEA", "AKE"),
            ("Egx", "gxE"),
            ("AKEmn", "AKEmn"),
            ("g$lshzxetdK", "AK"),
            ("Kn", "Kn"),
        ] {
            let flags = Flags::parse(said.as_bytes()).expect(said);
            assert_eq!(flags.text(), written);
            assert_eq!(Flags::of_bits(flags.bits()), Some(flags));
        }
        assert_eq!(Flags::parse(b"q"), None);
        assert_eq!(Flags::of_bits(1 << 15), None);
        let on = |text: &str| Flags::parse(text.as_bytes()).is_some_and(Flags::is_on);
        assert_eq!(["", "K", "KE", "g", "Kg", "En"].map(on), [false, false, false, false, true, true]);
    }
}
