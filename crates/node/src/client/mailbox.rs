//! What is for a connection that did not ask for it.
//!
//! It lies here until the client has read what was before it. A client that does not keep up is cut off, as
//! in Redis, once there is too much, or much for too long: it holds up nobody else, and it is not left with
//! a gap.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onecopy_keyspace::channels::Message;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;

/// What may be held for one client, as Redis has it for those who subscribe: so many bytes, or so many for
/// so long (`client-output-buffer-limit pubsub 32mb 8mb 60`).
const HARD_MAX: u64 = 32 << 20;
const SOFT_MAX: u64 = 8 << 20;
const SOFT_FOR: Duration = Duration::from_secs(60);

/// Where something stands in the feed of the node: the epoch, and the number of the message.
pub(crate) type Position = (u64, u64);

/// What is for one connection.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    filled: Notify,
    /// What all mailboxes of the node hold.
    held: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Mail {
    messages: VecDeque<(Position, Arc<Message>)>,
    bytes: u64,
    /// Since when there is much.
    much_since: Option<Instant>,
    /// Why the connection has to end.
    broken: Option<&'static str>,
}

impl Mailbox {
    /// An empty one, of those that hold so much together.
    pub(super) fn new(held: Arc<AtomicU64>) -> Self {
        Self { mail: Mutex::default(), filled: Notify::new(), held }
    }

    /// Adds a message.
    pub(super) fn put(&self, position: Position, message: &Arc<Message>) {
        let mut mail = lock(&self.mail);
        if mail.broken.is_some() {
            return;
        }
        mail.messages.push_back((position, message.clone()));
        mail.bytes += message.memory();
        self.held.fetch_add(message.memory(), Ordering::Relaxed);
        if mail.bytes > SOFT_MAX {
            mail.much_since.get_or_insert_with(Instant::now);
        }
        let is_long = mail.much_since.is_some_and(|since| since.elapsed() >= SOFT_FOR);
        if mail.bytes > HARD_MAX || is_long {
            self.empty(&mut mail, "it does not read what was published as fast as that comes");
        }
        self.filled.notify_one();
    }

    /// The connection has to end.
    pub(super) fn break_off(&self, why: &'static str) {
        self.empty(&mut lock(&self.mail), why);
        self.filled.notify_one();
    }

    fn empty(&self, mail: &mut Mail, why: &'static str) {
        self.held.fetch_sub(mail.bytes, Ordering::Relaxed);
        let broken = mail.broken.or(Some(why));
        *mail = Mail { broken, ..Mail::default() };
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> u64 {
        lock(&self.mail).bytes
    }

    /// Why the connection has to end, if it has to.
    pub(super) fn broken(&self) -> Option<&'static str> {
        lock(&self.mail).broken
    }

    /// Takes the first message.
    pub(super) fn take(&self) -> Option<(Position, Arc<Message>)> {
        let mut mail = lock(&self.mail);
        let (position, message) = mail.messages.pop_front()?;
        mail.bytes -= message.memory();
        self.held.fetch_sub(message.memory(), Ordering::Relaxed);
        if mail.bytes <= SOFT_MAX {
            mail.much_since = None;
        }
        Some((position, message))
    }

    /// Completes when there may be something new.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use onecopy_keyspace::channels::Sort;

    use super::*;

    fn message(bytes: usize) -> Arc<Message> {
        Arc::new(Message { sort: Sort::Channel, channel: "c".into(), payload: vec![b'x'; bytes].into() })
    }

    #[tokio::test]
    async fn messages_come_in_their_order_and_are_announced() {
        let mailbox = Mailbox::new(Arc::default());
        mailbox.put((1, 1), &message(1));
        mailbox.put((1, 2), &message(2));
        mailbox.filled().await;
        let taken = || mailbox.take().map(|(position, message)| (position.1, message.payload.len()));
        assert_eq!([taken(), taken(), taken()], [Some((1, 1)), Some((2, 2)), None]);
        assert_eq!(mailbox.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off_at_once_or_after_a_while() {
        let hard = Mailbox::new(Arc::default());
        let large = message(1 << 20);
        (0..31).for_each(|number| hard.put((1, number), &large));
        assert!(hard.take().is_some());
        (0..2).for_each(|number| hard.put((1, number), &large));
        assert!(hard.broken().is_some() && hard.take().is_none());
        hard.put((1, 99), &large);
        assert_eq!((hard.bytes(), hard.held.load(Ordering::Relaxed)), (0, 0));
        let soft = Mailbox::new(Arc::default());
        (0..9).for_each(|number| soft.put((1, number), &large));
        tokio::time::advance(SOFT_FOR).await;
        assert!(soft.take().is_some(), "there is less now");
        (0..2).for_each(|number| soft.put((1, number), &large));
        tokio::time::advance(SOFT_FOR).await;
        soft.put((1, 10), &message(1));
        assert!(soft.broken().is_some());
    }
}
