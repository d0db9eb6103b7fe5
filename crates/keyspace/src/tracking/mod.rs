//! Clients' caches (`CLIENT TRACKING`): which keys have changed, for the nodes whose clients cache.
//!
//! What a client caches, its node knows ([`table`]); no copy of the data does. A node whose clients cache has
//! a [feed](crate::feeds) of its own, and every key that an entry changes is put into it. A read, or a write,
//! of a client that caches is answered with the place where the feed stood (a *mark*). So the node knows
//! which changes the reply reflects: those up to the mark have to be heard before it, those behind it after
//! it.
//!
//! Nothing is put into feeds where there is none: databases whose clients do not cache pay with the test of a
//! flag.

mod change;
pub mod table;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::{Incarnation, Output, Rules, Timestamp};

pub use change::Change;

use crate::channels::ListenerId;
use crate::feeds::{Feeds, Mark};
use crate::waiters::Address;

/// Of what one command or transaction changes, keys of so many bytes are named. If there are more, it counts
/// as a change of everything.
const NAMED_BYTES_MAX: usize = 1 << 20;
/// The keys that scripts of one request have read are named up to so many bytes.
const READ_BYTES_MAX: usize = 1 << 20;
/// What a named key costs beyond its bytes.
const NAME_COST: usize = 64;
/// So many keys back it is looked whether one is named already: most commands say more than once that they
/// change theirs.
const LOOKED_BACK: usize = 4;

/// Which keys change, and who is to hear of it.
#[derive(Debug, Default)]
pub(crate) struct Tracking {
    pub(crate) feeds: Feeds<Change>,
    /// What was changed, and is in no feed yet. Empty between commands.
    changed: Changed,
    /// Whose request is executed, if that does not want to hear of what it changes itself.
    pub(crate) by: Option<ListenerId>,
    /// What scripts of the request that is executed have read, if somebody wants to know.
    read: RefCell<Option<Read>>,
}

#[derive(Debug, Default)]
struct Changed {
    /// Each with the client that changed it, if that does not want to hear of its own changes.
    keys: Vec<(Bytes, Option<ListenerId>)>,
    bytes: usize,
    is_everything: bool,
}

/// The keys that scripts have read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    keys: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Tracking {
    /// Whether nobody's clients cache anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.feeds.memory()
    }

    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.feeds.due()
    }

    /// A request is executed for a client that caches, or for another one.
    pub(crate) fn begin(&mut self, client: Option<ListenerId>) {
        self.by = client.filter(|client| client.number > 0);
        *self.read.get_mut() = client.map(|_| Read::default());
    }

    /// The same, of a read.
    pub(crate) fn begin_read(&self, client: Option<ListenerId>) {
        self.read.replace(client.map(|_| Read::default()));
    }

    /// A script reads keys.
    pub(crate) fn reads<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        if let Some(read) = self.read.borrow_mut().as_mut() {
            for key in keys {
                read.add(key);
            }
        }
    }

    /// Whether it has to be told what scripts read.
    pub(crate) fn wants_reads(&self) -> bool {
        self.read.borrow().is_some()
    }

    /// What scripts have read; none if that were too many keys to be named.
    pub(crate) fn take_reads(&self) -> Option<Vec<Box<[u8]>>> {
        let read = self.read.take().unwrap_or_default();
        (read.bytes <= READ_BYTES_MAX).then_some(read.keys)
    }

    /// A command changes a key, on behalf of the client whose request it is.
    pub(crate) fn change_by_client(&mut self, key: &[u8]) {
        self.note(key, self.by);
    }

    /// A key changes because of nobody: it has expired, or is evicted.
    pub(crate) fn change(&mut self, key: &[u8]) {
        self.note(key, None);
    }

    fn note(&mut self, key: &[u8], by: Option<ListenerId>) {
        if self.is_empty() {
            return;
        }
        let Changed { keys, bytes, is_everything } = &mut self.changed;
        // What nobody has changed is told to everybody.
        let is_named =
            |(named, of): &(Bytes, Option<ListenerId>)| named == key && (of.is_none() || *of == by);
        if *is_everything || keys.iter().rev().take(LOOKED_BACK).any(is_named) {
            return;
        }
        *bytes += key.len() + NAME_COST;
        if *bytes > NAMED_BYTES_MAX {
            return self.change_everything();
        }
        keys.push((Bytes::copy_from_slice(key), by));
    }

    /// All keys may change.
    pub(crate) fn change_everything(&mut self) {
        if !self.is_empty() {
            self.changed = Changed { is_everything: true, ..Changed::default() };
        }
    }

    /// How many keys are named that have changed.
    pub(crate) fn named(&self) -> usize {
        self.changed.keys.len()
    }

    /// Keys that were named since there were so many have not changed.
    pub(crate) fn forget_since(&mut self, named: usize) {
        self.changed.keys.truncate(named);
    }

    /// Puts what has changed into the feeds. Where the whole state is to occupy at most `memory_max` bytes
    /// (0: no limit), they take a quarter of it.
    pub(crate) fn settle(&mut self, rules: Rules, memory_max: u64) {
        if self.changed.keys.is_empty() && !self.changed.is_everything {
            return;
        }
        let Changed { keys, is_everything, .. } = std::mem::take(&mut self.changed);
        let coordinators = self.feeds.coordinators();
        let mut put = |coordinator: Incarnation, change: &Arc<Change>| {
            self.feeds.put(coordinator, change.clone(), memory_max);
            // Who has not fetched for too long is not told what has changed, but that it begins anew.
            self.feeds.take_broken(rules);
        };
        if is_everything {
            let change = Arc::new(Change::Everything);
            return coordinators.into_iter().for_each(|coordinator| put(coordinator, &change));
        }
        for (key, by) in keys {
            let change = Arc::new(Change::Key { key: key.clone(), by: None });
            for coordinator in &coordinators {
                // The number of a client means nothing to other nodes.
                match by.filter(|by| by.coordinator == *coordinator).map(|by| by.number) {
                    None => put(*coordinator, &change),
                    by => put(*coordinator, &Arc::new(Change::Key { key: key.clone(), by })),
                }
            }
        }
    }

    /// A coordinator fetches its feed, of which it has heard so much. It begins if there is none.
    pub(crate) fn follow(&mut self, rules: Rules, address: Address, heard: Mark) {
        self.feeds.listen(address, heard);
        self.feeds.take_broken(rules);
    }

    /// No client of a coordinator caches anything any more.
    pub(crate) fn leave(&mut self, coordinator: Incarnation) {
        self.feeds.leave(coordinator);
    }

    /// Where the feed of a coordinator stands; if it has none, in an epoch that is none.
    pub(crate) fn mark(&self, coordinator: Incarnation) -> Mark {
        self.feeds.known(coordinator).unwrap_or(Mark { epoch: 0, count: 0 })
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        self.feeds.outputs()
    }

    pub(crate) fn absent(&mut self, clock: Timestamp, is_absent: &dyn Fn(Incarnation) -> bool) {
        self.feeds.absent(clock, is_absent);
    }

    pub(crate) fn present(&mut self, coordinator: Incarnation) {
        self.feeds.present(coordinator);
    }

    /// Ends the feeds of those who have been absent for too long.
    pub(crate) fn end_absent(&mut self, rules: Rules, clock: Timestamp) {
        self.feeds.end_absent(rules, clock);
    }

    /// Ends the feeds of coordinators that are gone for good.
    pub(crate) fn retain(&mut self, is_known: &dyn Fn(Incarnation) -> bool) {
        self.feeds.retain(is_known);
    }
}

impl Read {
    fn add(&mut self, key: &[u8]) {
        if self.keys.iter().rev().take(LOOKED_BACK).any(|named| named.as_ref() == key) {
            return;
        }
        self.bytes += key.len() + NAME_COST;
        if self.bytes <= READ_BYTES_MAX {
            self.keys.push(key.into());
        }
    }
}
