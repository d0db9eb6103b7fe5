//! What is for a connection that did not ask for it.
//!
//! It lies here until the client has read what was before it. A client that does not keep up is cut off, as
//! in Redis, once there is too much, or much for too long: it holds up nobody else, and it is not left with
//! a gap.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use onecopy_core::GroupId;
use onecopy_keyspace::channels::Message;
use onecopy_keyspace::feeds::Item;
use onecopy_keyspace::tracking::table::Invalidation;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::sentinel::Event;
use crate::lock::lock;
use crate::parameters::OutputLimit;

/// All mailboxes together hold at most so many bytes, where one message counts for each of them; then the
/// fullest one goes.
pub(super) const HELD_BYTES_MAX: u64 = 256 << 20;

/// Where something stands in the feed of the node: the epoch, and the number of the message.
pub(crate) type Position = (u64, u64);

/// What is for one connection.
#[derive(Debug)]
pub(crate) struct Mailbox {
    content: Mutex<Content>,
    filled: Notify,
    /// What all mailboxes of the node hold.
    held: Arc<AtomicU64>,
    /// What it may hold: as it was set when the client first asked for something to be sent
    /// (`client-output-buffer-limit pubsub`).
    limit: OutputLimit,
}

/// Something that a connection did not ask for.
#[derive(Clone, Debug)]
pub(crate) enum Mail {
    /// A message of the feed.
    Message(Position, Arc<Message>),
    /// What a monitor is shown.
    Line(Arc<str>),
    /// Something that the client has cached has changed.
    Invalid(Invalidation),
    /// Something has changed that another client has cached, which wants this one to be told.
    Redirected(Invalidation),
    /// Something has happened to a master.
    Event(Arc<Event>),
    /// The client with this id was to be told what has changed, and is not there any more.
    Undeliverable(u64),
}

impl Mail {
    fn bytes(&self) -> u64 {
        /// What a line costs beyond its bytes.
        const LINE: u64 = 48;
        match self {
            Self::Message(_, message) => message.memory(),
            Self::Line(line) => LINE + line.len() as u64,
            Self::Event(event) => LINE + event.payload.len() as u64,
            Self::Invalid(what) | Self::Redirected(what) => {
                LINE + what.key.as_ref().map_or(0, |key| key.len() as u64)
            }
            Self::Undeliverable(_) => LINE,
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    all: VecDeque<Mail>,
    bytes: u64,
    /// Since when there is much.
    much_since: Option<Instant>,
    /// Why the connection has to end.
    broken: Option<&'static str>,
}

impl Mailbox {
    /// An empty one, of those that hold so much together.
    pub(super) fn new(held: Arc<AtomicU64>, limit: OutputLimit) -> Self {
        Self { content: Mutex::default(), filled: Notify::new(), held, limit }
    }

    /// Whether it holds more than this, if that is a limit.
    fn is_over(content: &Content, bytes: u64) -> bool {
        bytes > 0 && content.bytes > bytes
    }

    /// Adds something.
    pub(super) fn put(&self, mail: Mail) {
        let mut content = lock(&self.content);
        if content.broken.is_some() {
            return;
        }
        let bytes = mail.bytes();
        content.all.push_back(mail);
        content.bytes += bytes;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        if Self::is_over(&content, self.limit.soft_bytes) {
            content.much_since.get_or_insert_with(Instant::now);
        }
        let is_long = content.much_since.is_some_and(|since| since.elapsed() >= self.limit.soft_time);
        if Self::is_over(&content, self.limit.hard_bytes) || is_long {
            self.empty(&mut content, "it does not read what it is sent as fast as that comes");
        }
        self.filled.notify_one();
    }

    /// The connection has to end.
    pub(super) fn break_off(&self, why: &'static str) {
        self.empty(&mut lock(&self.content), why);
        self.filled.notify_one();
    }

    fn empty(&self, content: &mut Content, why: &'static str) {
        self.held.fetch_sub(content.bytes, Ordering::Relaxed);
        let broken = content.broken.or(Some(why));
        *content = Content { broken, ..Content::default() };
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> u64 {
        lock(&self.content).bytes
    }

    /// How many bytes all mailboxes of the node hold.
    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Why the connection has to end, if it has to.
    pub(super) fn broken(&self) -> Option<&'static str> {
        lock(&self.content).broken
    }

    /// Takes what came first.
    pub(super) fn take(&self) -> Option<Mail> {
        self.take_if(|_| true)
    }

    /// Takes what came first, unless that is a change of this group behind a position.
    pub(super) fn take_through(&self, group: GroupId, position: Position) -> Option<Mail> {
        self.take_if(|mail| !matches!(mail, Mail::Invalid(what) if what.is_behind(group, position)))
    }

    fn take_if(&self, is_wanted: impl Fn(&Mail) -> bool) -> Option<Mail> {
        let mut content = lock(&self.content);
        let mail = content.all.pop_front_if(|mail| is_wanted(mail))?;
        content.bytes -= mail.bytes();
        self.held.fetch_sub(mail.bytes(), Ordering::Relaxed);
        if !Self::is_over(&content, self.limit.soft_bytes) {
            content.much_since = None;
        }
        Some(mail)
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

/// Where others find the mailbox of a connection. It has one once somebody wants to send it something.
#[derive(Debug, Default)]
pub(crate) struct Letterbox {
    mailbox: OnceLock<Arc<Mailbox>>,
    hung: Notify,
    is_closed: AtomicBool,
}

impl Letterbox {
    /// The mailbox, if there is one.
    pub(super) fn get(&self) -> Option<Arc<Mailbox>> {
        self.mailbox.get().cloned()
    }

    /// The mailbox, which is made if there is none.
    pub(super) fn get_or_hang(&self, make: impl FnOnce() -> Arc<Mailbox>) -> Arc<Mailbox> {
        let mailbox = self.mailbox.get_or_init(make).clone();
        self.hung.notify_one();
        mailbox
    }

    /// The mailbox, unless the connection is over.
    pub(super) fn open(&self) -> Option<Arc<Mailbox>> {
        self.mailbox.get().filter(|_| !self.is_closed.load(Ordering::Relaxed)).cloned()
    }

    /// The connection is over.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Completes when there may be something new.
    pub(super) async fn filled(&self) {
        match self.mailbox.get() {
            Some(mailbox) => mailbox.filled().await,
            None => self.hung.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_keyspace::channels::Sort;

    use super::*;
    use crate::parameters::OutputLimits;

    fn message(number: u64, bytes: usize) -> Mail {
        let message = Message { sort: Sort::Channel, channel: "c".into(), payload: vec![b'x'; bytes].into() };
        Mail::Message((1, number), Arc::new(message))
    }

    #[tokio::test]
    async fn messages_come_in_their_order_and_are_announced() {
        let mailbox = Mailbox::new(Arc::default(), OutputLimits::default().pubsub);
        mailbox.put(message(1, 1));
        mailbox.put(message(2, 2));
        mailbox.put(Mail::Line("shown".into()));
        mailbox.filled().await;
        let taken = || match mailbox.take() {
            Some(Mail::Message(position, message)) => format!("{} {}", position.1, message.payload.len()),
            Some(Mail::Line(line)) => line.to_string(),
            _ => String::new(),
        };
        assert_eq!([taken(), taken(), taken(), taken()], ["1 1", "2 2", "shown", ""]);
        assert_eq!(mailbox.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off_at_once_or_after_a_while() {
        let hard = Mailbox::new(Arc::default(), OutputLimits::default().pubsub);
        (0..31).for_each(|number| hard.put(message(number, 1 << 20)));
        assert!(hard.take().is_some());
        (0..2).for_each(|number| hard.put(message(number, 1 << 20)));
        assert!(hard.broken().is_some() && hard.take().is_none());
        hard.put(message(99, 1 << 20));
        assert_eq!((hard.bytes(), hard.held.load(Ordering::Relaxed)), (0, 0));
        let soft = Mailbox::new(Arc::default(), OutputLimits::default().pubsub);
        (0..9).for_each(|number| soft.put(message(number, 1 << 20)));
        tokio::time::advance(soft.limit.soft_time).await;
        assert!((0..2).all(|_| soft.take().is_some()), "there is less now");
        (0..2).for_each(|number| soft.put(message(number, 1 << 20)));
        tokio::time::advance(soft.limit.soft_time).await;
        soft.put(message(10, 1));
        assert!(soft.broken().is_some());
    }
}
