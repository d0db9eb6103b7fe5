//! What the clients of this node listen to, and how what is published gets to them.
//!
//! The node fetches its feed (`onecopy_keyspace::channels`) once for all connections, with a command that is
//! parked while there is nothing, and that says how far the feed was heard. The messages go into the
//! [mailboxes](super::mailbox) of those who may want them; each connection looks whether it does, for it
//! knows where in the feed its subscriptions began.
//!
//! A feed that is another one than before has lost something: the connections that had subscribed before end.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::channels::{Message, Sort};
use onecopy_keyspace::feeds::Following;
use onecopy_keyspace::glob;
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_views::MAIN;
use tokio::sync::watch;
use tracing::{error, warn};

use super::Clients;
use super::mailbox::{HELD_BYTES_MAX, Mail, Mailbox, Position};
use crate::lock::lock;
use crate::parameters::OutputLimit;

/// How many messages are given out between two looks at how much is held.
const GIVEN_TOGETHER: usize = 256;
/// A feed that could not be fetched is fetched again after so long.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What is said when a feed has lost something.
const GAP: &str = "something that was published has not been kept for this node";
const TOO_MUCH: &str = "all clients together do not read what was published as fast as that comes";

/// Who listens at this node, over all data threads.
#[derive(Debug)]
pub(crate) struct Hub {
    listeners: Mutex<Listeners>,
    /// How far the feed was given out.
    position: watch::Sender<Position>,
    /// What all mailboxes hold.
    held: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Listeners {
    by_number: BTreeMap<u64, Listener>,
    by_name: [BTreeMap<Bytes, BTreeSet<u64>>; 3],
    is_fetched: bool,
}

#[derive(Debug)]
struct Listener {
    mailbox: Arc<Mailbox>,
    /// The feed in which it has subscribed; none before the first subscription is registered.
    epoch: Option<u64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { listeners: Mutex::default(), position: watch::Sender::new((0, 0)), held: Arc::default() }
    }
}

impl Hub {
    /// A connection begins to listen. Whoever is first has the feed fetched.
    pub(super) fn open(&self, number: u64, mailbox: Arc<Mailbox>, clients: &Rc<Clients>) {
        let mut listeners = lock(&self.listeners);
        if !std::mem::replace(&mut listeners.is_fetched, true) {
            tokio::task::spawn_local(fetch(clients.clone()));
        }
        listeners.by_number.insert(number, Listener { mailbox, epoch: None });
    }

    /// A mailbox for a connection: it counts among those of the node.
    pub(super) fn mailbox(&self, limit: OutputLimit) -> Arc<Mailbox> {
        Arc::new(Mailbox::new(self.held.clone(), limit))
    }

    /// What comes under these names goes to this listener as well.
    pub(super) fn listen(&self, number: u64, sort: Sort, names: &[Bytes]) {
        let names_of = &mut lock(&self.listeners).by_name[sort as usize];
        for name in names {
            names_of.entry(name.clone()).or_default().insert(number);
        }
    }

    /// It does not any more.
    pub(super) fn unlisten<'n>(&self, number: u64, sort: Sort, names: impl IntoIterator<Item = &'n Bytes>) {
        let names_of = &mut lock(&self.listeners).by_name[sort as usize];
        for name in names {
            if let Some(numbers) = names_of.get_mut(name) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    names_of.remove(name);
                }
            }
        }
    }

    /// A subscription was registered, in this epoch of the feed. Whether the listener may go on: not if it
    /// has another one of an earlier epoch, or if this epoch is over.
    pub(super) fn registered(&self, number: u64, epoch: u64) -> bool {
        let mut listeners = lock(&self.listeners);
        let is_over = epoch < self.position.borrow().0;
        let Some(listener) = listeners.by_number.get_mut(&number) else { return false };
        *listener.epoch.get_or_insert(epoch) == epoch && !is_over
    }

    /// How many channels, patterns and shard channels somebody listens to.
    pub(super) fn names(&self) -> [usize; 3] {
        lock(&self.listeners).by_name.each_ref().map(BTreeMap::len)
    }

    /// A connection listens no more; nothing goes to it under any name.
    pub(super) fn close(&self, number: u64) {
        lock(&self.listeners).by_number.remove(&number);
    }

    /// Completes once everything up to there was given out.
    pub(super) async fn reaches(&self, position: Position) {
        // The sender is a part of this.
        let _ = self.position.subscribe().wait_for(|reached| *reached >= position).await;
    }

    /// Gives out what was fetched, some at a time.
    async fn give_out(&self, following: Following, messages: Vec<Message>) {
        let mut number = following.count - messages.len() as u64;
        let messages: Vec<Arc<Message>> = messages.into_iter().map(Arc::new).collect();
        for some in messages.chunks(GIVEN_TOGETHER) {
            number = self.give_some((following.epoch, number), some);
            tokio::task::yield_now().await;
        }
    }

    /// Gives out messages that come behind this position. Returns the number of the last one.
    fn give_some(&self, (epoch, mut number): Position, messages: &[Arc<Message>]) -> u64 {
        let listeners = lock(&self.listeners);
        for message in messages {
            number += 1;
            listeners.give((epoch, number), message);
        }
        if self.held.load(Ordering::Relaxed) > HELD_BYTES_MAX {
            listeners.break_fullest();
        }
        self.position.send_replace((epoch, number));
        number
    }

    /// The feed is another one.
    fn begin_anew(&self, epoch: u64) {
        let listeners = lock(&self.listeners);
        self.position.send_replace((epoch, 0));
        let of_before = listeners.by_number.values().filter(|it| it.epoch.is_some_and(|of| of < epoch));
        of_before.for_each(|listener| listener.mailbox.break_off(GAP));
    }
}

impl Listeners {
    fn give(&self, position: Position, message: &Arc<Message>) {
        for number in self.hearing(message) {
            if let Some(listener) = self.by_number.get(&number) {
                listener.mailbox.put(Mail::Message(position, message.clone()));
            }
        }
    }

    fn break_fullest(&self) {
        if let Some(fullest) = self.by_number.values().max_by_key(|listener| listener.mailbox.bytes()) {
            fullest.mailbox.break_off(TOO_MUCH);
        }
    }

    /// Who may want a message, each once.
    fn hearing(&self, message: &Message) -> Vec<u64> {
        let of_channel = self.by_name[message.sort as usize].get(&message.channel);
        let mut hearing: Vec<u64> = of_channel.into_iter().flatten().copied().collect();
        if message.sort == Sort::Channel {
            let patterns = self.by_name[Sort::Pattern as usize].iter();
            let matching = patterns.filter(|(pattern, _)| glob::matches(pattern, &message.channel));
            hearing.extend(matching.flat_map(|(_, numbers)| numbers));
            hearing.sort_unstable();
            hearing.dedup();
        }
        hearing
    }
}

/// Fetches the feed for as long as the node lives.
async fn fetch(clients: Rc<Clients>) {
    let mut following = Following::default();
    loop {
        let waiter = clients.lives.waiter(MAIN);
        let segment = SegmentBuilder::listen(waiter, following).freeze();
        let answered = clients.hand_in(MAIN, Kind::Wait, segment);
        match answered.await {
            // The node is stopping.
            Err(_) => return,
            Ok(Reply::Done { reply, .. }) => match following.take(reply.clone()) {
                Some(followed) => {
                    if followed.is_another {
                        clients.hub.begin_anew(following.epoch);
                    }
                    clients.hub.give_out(following, followed.items).await;
                }
                None => {
                    let begins = reply.slice(..reply.len().min(200)).escape_ascii().to_string();
                    error!(reply = begins, "the feed of what is published makes no sense: it begins anew");
                    following = Following::default();
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            },
            // Whether it was executed or not, nothing is gone before it was heard.
            Ok(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

/// Says why a connection ends that is sent what it did not ask for.
pub(super) fn complain(address: std::net::IpAddr, why: &str) {
    warn!(%address, "the connection of a client that subscribes, or monitors, was closed: {why}");
}
