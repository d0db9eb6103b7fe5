//! Feeds: what the nodes are to hear of what entries do, and have not fetched yet.
//!
//! There is a feed for each coordinator that wants to hear of something: of what is published
//! ([`channels`](crate::channels)), or of keys that change ([`tracking`](crate::tracking)). A node fetches
//! its feed with a command that is parked while there is nothing, and that says how much was heard; only that
//! is gone then. So whatever becomes of an answer, and whoever is primary, nothing is lost and nothing
//! doubled.
//!
//! A feed that cannot be kept begins anew, in a later *epoch*: whoever fetches it hears that something is
//! missing (rule `NoSilentGap`).

mod fetched;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use onecopy_core::segments::NOT_EXECUTED;
use onecopy_core::{Incarnation, Output, Rule, Rules, Timestamp};

pub use fetched::{Followed, Following, marked};

use crate::share;
use crate::waiters::{ABSENT_MS, Address};

/// What a feed is made of.
pub trait Item: Sized {
    /// About how many bytes it occupies.
    fn memory(&self) -> u64;

    /// Appends it to an answer, or an image.
    fn put(&self, out: &mut impl BufMut);

    /// Takes one off the front.
    fn take(bytes: &mut Bytes) -> Option<Self>;
}

/// What is in all feeds together occupies at most so many bytes, and at most a quarter of what the whole
/// state may; and one message more.
const BYTES_MAX: u64 = 64 << 20;
/// So many bytes are fetched at once; at least one message.
const FETCHED_TOGETHER: u64 = 1 << 20;
/// What a feed costs.
const FEED_COST: u64 = 256;

/// Where a feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which feed of its coordinator it is.
    pub(crate) epoch: u64,
    /// How many items have been put into it.
    pub(crate) count: u64,
}

/// What is for one coordinator.
#[derive(Clone, Debug)]
pub(crate) struct Feed<T> {
    pub(crate) epoch: u64,
    /// How many items have ever been put into it. That is the number of the last one.
    pub(crate) count: u64,
    /// Those that may not have been heard yet: what is fetched stays until the next fetch says that it was.
    pub(crate) queue: VecDeque<Arc<T>>,
    /// Who fetches, and in which epoch it knows the feed.
    pub(crate) waiting: Option<(Address, u64)>,
    /// Since when nobody knows whether the coordinator is there.
    pub(crate) absent: Option<Timestamp>,
    /// What the queue occupies. Follows from it.
    bytes: u64,
}

/// All feeds of one kind.
#[derive(Debug)]
pub(crate) struct Feeds<T> {
    feeds: BTreeMap<Incarnation, Feed<T>>,
    /// How many feeds have begun.
    epochs: u64,
    /// What all of it occupies.
    memory: u64,
    /// Those that may have something to give. Empty between the steps of an entry.
    ready: BTreeSet<Incarnation>,
    /// Those for which there is no room any more. Empty between commands.
    broken: BTreeSet<Incarnation>,
    /// What was given, and not collected. Empty between the steps of an entry.
    outputs: Vec<Output>,
}

impl<T> Default for Feeds<T> {
    fn default() -> Self {
        Self {
            feeds: BTreeMap::new(),
            epochs: 0,
            memory: 0,
            ready: BTreeSet::new(),
            broken: BTreeSet::new(),
            outputs: Vec::new(),
        }
    }
}

impl<T: Item> Feeds<T> {
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Whether nobody wants to hear of anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    /// Where the feed of a coordinator stands, if there is one.
    pub(crate) fn known(&self, coordinator: Incarnation) -> Option<Mark> {
        self.feeds.get(&coordinator).map(|feed| Mark { epoch: feed.epoch, count: feed.count })
    }

    /// Those that have one.
    pub(crate) fn coordinators(&self) -> Vec<Incarnation> {
        self.feeds.keys().copied().collect()
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        let absent = self.feeds.values().filter_map(|feed| feed.absent).min();
        absent.map(|since| Timestamp(since.0.saturating_add(ABSENT_MS)))
    }

    /// The feed of a coordinator, which begins if there is none.
    fn feed(&mut self, coordinator: Incarnation) -> &mut Feed<T> {
        self.feeds.entry(coordinator).or_insert_with(|| {
            self.epochs += 1;
            self.memory += FEED_COST;
            let (queue, waiting, absent) = (VecDeque::new(), None, None);
            Feed { epoch: self.epochs, count: 0, queue, waiting, absent, bytes: 0 }
        })
    }

    /// Where the feed of a coordinator stands.
    pub(crate) fn mark(&mut self, coordinator: Incarnation) -> Mark {
        let feed = self.feed(coordinator);
        Mark { epoch: feed.epoch, count: feed.count }
    }

    /// Puts a message into a feed. If there is no room, the fullest feed breaks.
    pub(crate) fn put(&mut self, coordinator: Incarnation, message: Arc<T>, memory_max: u64) {
        let bytes_max = share::of(memory_max, BYTES_MAX);
        let held: u64 = self.feeds.values().map(|feed| feed.bytes).sum();
        if held >= bytes_max {
            let fullest = self.feeds.iter().max_by_key(|(coordinator, feed)| (feed.bytes, **coordinator));
            self.broken.extend(fullest.map(|(coordinator, _)| *coordinator));
        }
        let bytes = message.memory();
        let feed = self.feed(coordinator);
        feed.count += 1;
        feed.bytes += bytes;
        feed.queue.push_back(message);
        self.memory += bytes;
        self.ready.insert(coordinator);
    }

    /// Has the feeds begin anew for which there was no room.
    pub(crate) fn take_broken(&mut self, rules: Rules) -> Vec<Incarnation> {
        let broken: Vec<Incarnation> = std::mem::take(&mut self.broken).into_iter().collect();
        broken.into_iter().filter(|coordinator| self.begin_anew(*coordinator, rules)).collect()
    }

    /// Nobody can say what was lost: the listeners of a feed end, and their node hears of it. Whether they
    /// do.
    fn begin_anew(&mut self, coordinator: Incarnation, rules: Rules) -> bool {
        let Some(feed) = self.feeds.get_mut(&coordinator) else { return false };
        self.memory -= std::mem::take(&mut feed.bytes);
        let lost = std::mem::take(&mut feed.queue).len() as u64;
        self.ready.insert(coordinator);
        if !rules.hold(Rule::NoSilentGap) {
            // As if it had never been published.
            feed.count -= lost;
            return false;
        }
        self.epochs += 1;
        (feed.epoch, feed.count) = (self.epochs, 0);
        true
    }

    /// A coordinator fetches its feed, of which it has heard so much. If it was fetching already, that is
    /// answered without anything. If it has not heard everything that is gone from the feed, that is of no
    /// use to it, and breaks.
    pub(crate) fn listen(&mut self, address: Address, heard: Mark) {
        let coordinator = address.batch.coordinator;
        let feed = self.feed(coordinator);
        if let Some((before, _)) = feed.waiting.replace((address, heard.epoch)) {
            let nothing = fetched::response::<T>(feed.epoch, feed.gone() + 1, []).into();
            self.outputs.push(Output { to: before.batch, response: nothing });
        }
        self.ready.insert(coordinator);
        let feed = self.feed(coordinator);
        let of_this = if heard.epoch == feed.epoch { heard.count } else { 0 };
        if !(feed.gone()..=feed.count).contains(&of_this) {
            self.broken.insert(coordinator);
            return;
        }
        let more = of_this - feed.gone();
        let bytes: u64 = feed.queue.drain(..more as usize).map(|message| message.memory()).sum();
        feed.bytes -= bytes;
        self.memory -= bytes;
    }

    /// Gives those who fetch what there is for them.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        for coordinator in std::mem::take(&mut self.ready) {
            let Some(feed) = self.feeds.get_mut(&coordinator) else { continue };
            let is_news = |known: u64| known != feed.epoch || !feed.queue.is_empty();
            if feed.absent.is_some() {
                continue;
            }
            let Some((address, known)) = feed.waiting.take_if(|(_, known)| is_news(*known)) else { continue };
            // Whoever knows another feed has to hear first that this is one.
            let given = if known == feed.epoch { feed.first_together() } else { Vec::new() };
            let response = fetched::response(feed.epoch, feed.gone() + 1, given).into();
            self.outputs.push(Output { to: address.batch, response });
        }
        std::mem::take(&mut self.outputs)
    }

    pub(crate) fn absent(&mut self, clock: Timestamp, is_absent: &dyn Fn(Incarnation) -> bool) {
        for (_, feed) in self.feeds.iter_mut().filter(|(coordinator, _)| is_absent(**coordinator)) {
            feed.absent.get_or_insert(clock);
        }
    }

    pub(crate) fn present(&mut self, coordinator: Incarnation) {
        if let Some(feed) = self.feeds.get_mut(&coordinator)
            && feed.absent.take().is_some()
        {
            self.ready.insert(coordinator);
        }
    }

    /// Ends the feeds of those who have been absent for too long. Whose listeners end.
    pub(crate) fn end_absent(&mut self, rules: Rules, clock: Timestamp) -> Vec<Incarnation> {
        let is_over =
            |feed: &Feed<T>| feed.absent.is_some_and(|since| since.0.saturating_add(ABSENT_MS) <= clock.0);
        let over = self.feeds.iter().filter(|(_, feed)| is_over(feed)).map(|(coordinator, _)| *coordinator);
        let over: Vec<Incarnation> = over.collect();
        if rules.hold(Rule::NoSilentGap) {
            over.iter().for_each(|coordinator| self.end(*coordinator));
            return over;
        }
        for coordinator in over {
            self.begin_anew(coordinator, rules);
            self.present(coordinator);
        }
        Vec::new()
    }

    /// Ends the feeds of coordinators that are gone for good. Whose listeners end.
    pub(crate) fn retain(&mut self, is_known: &dyn Fn(Incarnation) -> bool) -> Vec<Incarnation> {
        let gone: Vec<Incarnation> =
            self.feeds.keys().copied().filter(|coordinator| !is_known(*coordinator)).collect();
        gone.iter().for_each(|coordinator| self.end(*coordinator));
        gone
    }

    /// Ends a feed. Whoever fetches it, should there be somebody after all, is to try again.
    fn end(&mut self, coordinator: Incarnation) {
        let Some(feed) = self.feeds.remove(&coordinator) else { return };
        self.memory -= feed.bytes + FEED_COST;
        if let Some((address, _)) = feed.waiting {
            let response = NOT_EXECUTED.to_le_bytes().to_vec().into();
            self.outputs.push(Output { to: address.batch, response });
        }
    }

    /// A coordinator does not want to hear of anything any more. Whoever fetches it, should there be somebody
    /// after all, hears of an epoch that no feed has.
    pub(crate) fn leave(&mut self, coordinator: Incarnation) {
        let Some(feed) = self.feeds.remove(&coordinator) else { return };
        self.memory -= feed.bytes + FEED_COST;
        if let Some((address, _)) = feed.waiting {
            let response = fetched::response::<T>(0, 1, []).into();
            self.outputs.push(Output { to: address.batch, response });
        }
    }

    /// How many feeds have begun.
    pub(crate) fn epochs(&self) -> u64 {
        self.epochs
    }

    /// All feeds, by their coordinators.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (Incarnation, &Feed<T>)> {
        self.feeds.iter().map(|(coordinator, feed)| (*coordinator, feed))
    }

    /// So many feeds had begun, in an image that is restored.
    pub(crate) fn restore_epochs(&mut self, epochs: u64) {
        self.epochs = epochs;
    }

    /// Puts a feed of an image in its place. Whether it may be there.
    pub(crate) fn restore(&mut self, coordinator: Incarnation, feed: Feed<T>) -> bool {
        let bytes = feed.queue.iter().map(|message| message.memory()).sum();
        let is_known = feed.epoch <= self.epochs && feed.queue.len() as u64 <= feed.count;
        self.memory += FEED_COST + bytes;
        is_known && self.feeds.insert(coordinator, Feed { bytes, ..feed }).is_none()
    }
}

impl<T: Item> Feed<T> {
    /// The first messages, as many as are fetched together.
    fn first_together(&self) -> Vec<&T> {
        let mut bytes = 0;
        let messages = self.queue.iter().map(AsRef::as_ref);
        let is_enough = |message: &&T| {
            let has_room = bytes < FETCHED_TOGETHER;
            bytes += message.memory();
            has_room
        };
        messages.take_while(is_enough).collect()
    }

    /// How many of its messages are gone: those were heard.
    fn gone(&self) -> u64 {
        self.count - self.queue.len() as u64
    }

    /// A feed of an image.
    pub(crate) fn restored(
        (epoch, count): (u64, u64),
        queue: VecDeque<Arc<T>>,
        waiting: Option<(Address, u64)>,
        absent: Option<Timestamp>,
    ) -> Self {
        Self { epoch, count, queue, waiting, absent, bytes: 0 }
    }
}
