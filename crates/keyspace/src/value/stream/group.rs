//! Consumer groups: what has been delivered to whom, and is not acknowledged.

mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::id::Id;
use super::progress::Progress;
use super::sorted::{Keyed, Sorted};
pub(crate) use undo::{GroupEdit, GroupUndo};

/// What a group costs beyond its name.
const GROUP_COST: u64 = 240;
/// What a consumer costs beyond its name, and what the place of one costs that is gone.
const CONSUMER_COST: u64 = 160;
const FREE_COST: u64 = 48;
/// What an entry costs that is pending: it stands in the group, and with its consumer.
const PENDING_COST: u64 = 64;

/// An entry that was delivered and is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) id: Id,
    /// The place of the consumer that has it.
    pub(crate) consumer: u32,
    /// When it was delivered last, and how often.
    pub(crate) delivered: u64,
    pub(crate) deliveries: u64,
}

impl Keyed for Pending {
    fn id(&self) -> Id {
        self.id
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) name: Arc<[u8]>,
    /// When it was heard of last.
    pub(crate) seen: u64,
    /// When it was given something last, if ever.
    pub(crate) active: Option<u64>,
    /// What it has not acknowledged.
    pub(crate) pending: Sorted<Id>,
}

/// A group. Consumers have places, which what is pending names; the first free one goes to a new consumer.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The last entry that was delivered.
    pub(crate) last: Id,
    /// How many entries that have ever been were delivered, or passed over, if that is known.
    pub(crate) read: Option<i64>,
    pending: Sorted<Pending>,
    places: Vec<Option<Consumer>>,
    free: BTreeSet<u32>,
    names: BTreeMap<Arc<[u8]>, u32>,
    /// The bytes of all names.
    name_bytes: u64,
}

impl Group {
    pub(crate) fn new(last: Id, read: Option<i64>) -> Self {
        let (pending, names) = (Sorted::default(), BTreeMap::new());
        Self { last, read, pending, places: Vec::new(), free: BTreeSet::new(), names, name_bytes: 0 }
    }

    /// The same again, in pieces. `step` hears of the steps of each.
    pub(super) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let mut copy = Self::new(self.last, self.read);
        copy.pending = self.pending.copy(step);
        for consumer in &self.places {
            step(4);
            copy.restore_consumer(consumer.as_ref().map(|consumer| Consumer {
                name: consumer.name.clone(),
                pending: consumer.pending.copy(step),
                ..*consumer
            }));
        }
        copy
    }

    pub(super) fn memory(&self) -> u64 {
        let (consumers, free) = (self.names.len() as u64, self.free.len() as u64);
        let pending = self.pending.len() as u64;
        GROUP_COST
            + 2 * self.name_bytes
            + consumers * CONSUMER_COST
            + free * FREE_COST
            + pending * PENDING_COST
    }

    /// How many items there are to say all of it.
    pub(super) fn items(&self) -> usize {
        2 + 2 * self.places.len() + self.pending.len()
    }

    /// What is pending, in order of ids.
    pub(crate) fn pending(&self) -> &Sorted<Pending> {
        &self.pending
    }

    /// How many consumers there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The consumers, in order of their names.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.names.values().map(|place| self.consumer(*place))
    }

    pub(super) fn places(&self) -> &[Option<Consumer>] {
        &self.places
    }

    /// Where a consumer is.
    pub(crate) fn find(&self, name: &[u8]) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// The consumer at a place, which must be there.
    pub(crate) fn consumer(&self, place: u32) -> &Consumer {
        self.places[place as usize].as_ref().expect("there is a consumer")
    }

    fn consumer_mut(&mut self, place: u32) -> &mut Consumer {
        self.places[place as usize].as_mut().expect("there is a consumer")
    }

    /// The place of the next consumer.
    fn next_place(&self) -> u32 {
        self.free.first().copied().unwrap_or(self.places.len() as u32)
    }

    /// Adds a consumer, if there is none with this name; whether there was none.
    pub(crate) fn add_consumer(&mut self, name: &[u8], now: u64) -> bool {
        if self.names.contains_key(name) {
            return false;
        }
        let consumer = Consumer { name: name.into(), seen: now, active: None, pending: Sorted::default() };
        match self.free.pop_first() {
            Some(place) => self.put(place, consumer),
            None => {
                self.restore_consumer(Some(consumer));
            }
        }
        true
    }

    /// The next place, with a consumer or free; whether no other consumer has its name.
    pub(super) fn restore_consumer(&mut self, consumer: Option<Consumer>) -> bool {
        // So many consumers fit into no memory.
        let place = u32::try_from(self.places.len()).expect("fewer than 2^32 consumers");
        self.places.push(None);
        match consumer {
            Some(consumer) => {
                let is_new = !self.names.contains_key(&consumer.name);
                self.put(place, consumer);
                is_new
            }
            None => self.free.insert(place),
        }
    }

    fn put(&mut self, place: u32, consumer: Consumer) {
        self.name_bytes += consumer.name.len() as u64;
        self.names.insert(consumer.name.clone(), place);
        self.places[place as usize] = Some(consumer);
    }

    /// A consumer was heard of; where it is. It need not have been there.
    pub(crate) fn hear_of(&mut self, name: &[u8], now: u64) -> u32 {
        self.add_consumer(name, now);
        let place = self.find(name).expect("it was added");
        self.consumer_mut(place).seen = now;
        place
    }

    /// A consumer was given something.
    pub(crate) fn serve(&mut self, place: u32, now: u64) {
        self.consumer_mut(place).active = Some(now);
    }

    /// Removes a consumer, and what it has not acknowledged: how much that was. `step` hears of each.
    pub(crate) fn remove_consumer(&mut self, name: &[u8], mut step: impl FnMut()) -> Option<usize> {
        let place = self.names.remove(name)?;
        self.name_bytes -= name.len() as u64;
        let consumer = self.places[place as usize].take()?;
        for id in consumer.pending.since_position(0) {
            step();
            self.pending.remove(*id);
        }
        self.free.insert(place);
        self.settle_places();
        Some(consumer.pending.len())
    }

    /// There is no place behind the last consumer.
    fn settle_places(&mut self) {
        while matches!(self.places.last(), Some(None)) {
            self.places.pop();
            // It is the last of those that are free.
            self.free.pop_last();
        }
    }

    /// Makes an entry pending, whether it was or not.
    pub(crate) fn assign(&mut self, pending: Pending) {
        let Pending { id, consumer, .. } = pending;
        let before = self.pending.get_mut(id).map(|before| std::mem::replace(before, pending).consumer);
        if before.is_none() {
            self.pending.insert(pending);
        }
        if before != Some(consumer) {
            before.map(|before| self.consumer_mut(before).pending.remove(id));
            self.consumer_mut(consumer).pending.insert(id);
        }
    }

    /// One more that is pending, behind all others; whether it makes sense.
    pub(super) fn restore_pending(&mut self, pending: Pending) -> bool {
        let has_consumer = matches!(self.places.get(pending.consumer as usize), Some(Some(_)));
        let is_next = self.pending.last().is_none_or(|last| last.id < pending.id);
        if has_consumer && is_next {
            self.assign(pending);
        }
        has_consumer && is_next
    }

    /// An entry is acknowledged, or gone; whether it was pending.
    pub(crate) fn forget(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(id) else { return false };
        self.consumer_mut(pending.consumer).pending.remove(id);
        true
    }

    /// An entry is delivered that the group has perhaps not come to before.
    pub(crate) fn come_to(&mut self, id: Id, progress: &Progress) {
        if id <= self.last {
            return;
        }
        match self.read {
            Some(read) if !progress.has_gaps_from(id) => self.read = Some(read.saturating_add(1)),
            _ if progress.added != 0 => self.read = progress.read_up_to(id),
            _ => {}
        }
        self.last = id;
    }

    /// How many entries it has yet to be given, if that is known.
    pub(crate) fn lag(&self, progress: &Progress) -> Option<i64> {
        if progress.added == 0 {
            return Some(0);
        }
        let read = self.read.filter(|_| !progress.has_gaps_from(self.last));
        let read = read.or_else(|| progress.read_up_to(self.last))?;
        Some(progress.added.wrapping_sub(read))
    }

    /// Drops about `count` parts of a group that nobody uses any more; how many.
    pub(super) fn shed(&mut self, count: usize) -> usize {
        let mut shed = self.pending.shed(count);
        while shed < count
            && let Some(place) = self.places.last_mut()
        {
            shed += place.as_mut().map_or(0, |consumer| consumer.pending.shed(count - shed));
            if place.as_ref().is_none_or(|consumer| consumer.pending.len() == 0) {
                let name = self.places.pop().flatten().map(|consumer| consumer.name);
                name.map(|name| self.names.remove(&name));
                shed += 1;
            }
        }
        shed
    }
}
