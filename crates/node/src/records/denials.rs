//! `ACL LOG`: what was denied to whom.

use std::collections::VecDeque;
use std::time::Duration;

use super::time_of_day;

/// What is denied again within this time counts as the same.
const TOGETHER: Duration = Duration::from_secs(60);
/// So much of a name is kept.
const BYTES_MAX: usize = 256;
/// All entries together are at most so many.
const ENTRIES_MAX: usize = 10_000;

/// Why something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Auth,
    Command,
    Key,
    Channel,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Key => "key",
            Self::Channel => "channel",
        }
    }
}

/// What was denied to somebody, once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) reason: Reason,
    /// Whether it was in a transaction.
    pub(crate) in_transaction: bool,
    /// The command, the key or the channel.
    pub(crate) object: Vec<u8>,
    pub(crate) user: Vec<u8>,
    /// The line of the last client in `CLIENT LIST`.
    pub(crate) client: String,
    /// Since 1970.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

/// What was denied, the latest first.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    entries: VecDeque<Denied>,
    next: u64,
    wrong_passwords: u64,
}

impl Denials {
    /// Something was denied. At most `entries_max` are kept.
    pub(crate) fn add(
        &mut self,
        (reason, in_transaction): (Reason, bool),
        object: &[u8],
        user: &[u8],
        client: String,
        entries_max: usize,
    ) {
        self.wrong_passwords += u64::from(reason == Reason::Auth);
        let short = |bytes: &[u8]| bytes[..bytes.len().min(BYTES_MAX)].to_vec();
        let (object, user, now) = (short(object), short(user), time_of_day());
        let is_same = |known: &Denied| {
            known.reason == reason
                && known.in_transaction == in_transaction
                && known.object == object
                && known.user == user
                && now.saturating_sub(known.last) <= TOGETHER
        };
        if let Some(at) = self.entries.iter().position(is_same)
            && let Some(mut known) = self.entries.remove(at)
        {
            (known.count, known.client, known.last) = (known.count + 1, client, now);
            self.entries.push_front(known);
        } else {
            let (id, count) = (self.next, 1);
            self.next += 1;
            let (first, last) = (now, now);
            self.entries.push_front(Denied {
                id,
                count,
                reason,
                in_transaction,
                object,
                user,
                client,
                first,
                last,
            });
        }
        self.entries.truncate(entries_max.min(ENTRIES_MAX));
    }

    /// The latest ones.
    pub(crate) fn latest(&self, count: usize) -> impl ExactSizeIterator<Item = &Denied> {
        self.entries.iter().take(count)
    }

    /// How often somebody was not let in.
    pub(crate) fn wrong_passwords(&self) -> u64 {
        self.wrong_passwords
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_counted() {
        let mut denials = Denials::default();
        let mut deny = |reason, object: &[u8]| {
            denials.add((reason, false), object, b"ann", "id=1".to_owned(), 2);
        };
        deny(Reason::Key, b"k");
        deny(Reason::Command, b"get");
        deny(Reason::Key, b"k");
        let latest: Vec<(u64, u64)> = denials.latest(9).map(|denied| (denied.id, denied.count)).collect();
        assert_eq!(latest, [(0, 2), (1, 1)]);
        denials.add((Reason::Auth, false), b"AUTH", b"bob", String::new(), 2);
        assert_eq!(denials.latest(9).map(|denied| denied.id).collect::<Vec<_>>(), [2, 0]);
        denials.clear();
        assert_eq!(denials.latest(9).len(), 0);
    }
}
