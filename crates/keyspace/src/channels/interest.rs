//! Who listens to which names.

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::Incarnation;

use super::{Message, no_room};
use crate::error::Outcome;
use crate::glob;
use crate::share;
use crate::steps::KEY;

/// All subscriptions together occupy at most so many bytes, and at most a quarter of what the whole state
/// may.
const BYTES_MAX: u64 = 64 << 20;
/// What a listener costs, and each of its names beyond two copies of itself.
const LISTENER_COST: u64 = 160;
const NAME_COST: u64 = 224;

/// What a name is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// A channel.
    Channel,
    /// A pattern of names of channels.
    Pattern,
    /// A shard channel: a world of its own, without patterns.
    Shard,
}

impl Sort {
    /// All of them, by their numbers.
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::Shard];
}

/// The name of a listener: the coordinator that speaks for its connection, and a number that this gives it.
/// No number is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerId {
    /// Which start of which coordinator.
    pub coordinator: Incarnation,
    /// Which of its listeners.
    pub number: u64,
}

type Name = Box<[u8]>;
/// How many listeners a name has, by their coordinators.
type Counts = BTreeMap<Incarnation, u64>;

/// Who listens to which names.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    listeners: BTreeMap<ListenerId, BTreeSet<(Sort, Name)>>,
    /// By the sort, and the name. Follows from the listeners, as what they occupy.
    names: [BTreeMap<Name, Counts>; 3],
    memory: u64,
}

fn cost(name: &[u8]) -> u64 {
    NAME_COST + 2 * name.len() as u64
}

impl Interest {
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// A listener listens to these names as well: to all of them, or to none if there is no room.
    pub(super) fn add(
        &mut self,
        (listener, sort): (ListenerId, Sort),
        names: &[&[u8]],
        memory_max: u64,
    ) -> Outcome {
        let bytes_max = share::of(memory_max, BYTES_MAX);
        let known = self.listeners.get(&listener);
        let is_new = |name: &&&[u8]| known.is_none_or(|known| !known.contains(&(sort, Name::from(**name))));
        let added: u64 = names.iter().filter(is_new).map(|name| cost(name)).sum();
        if added > 0 && self.memory + added + LISTENER_COST > bytes_max {
            return no_room();
        }
        for name in names {
            self.insert(listener, sort, (*name).into());
        }
        Ok(())
    }

    /// A listener listens to a name. Whether it did not before.
    pub(crate) fn insert(&mut self, listener: ListenerId, sort: Sort, name: Name) -> bool {
        let names = self.listeners.entry(listener).or_insert_with(|| {
            self.memory += LISTENER_COST;
            BTreeSet::new()
        });
        if !names.insert((sort, name.clone())) {
            return false;
        }
        self.memory += cost(&name);
        *self.names[sort as usize].entry(name).or_default().entry(listener.coordinator).or_default() += 1;
        true
    }

    pub(super) fn remove(&mut self, listener: ListenerId, sort: Sort, name: &[u8]) {
        let Some(names) = self.listeners.get_mut(&listener) else { return };
        let of = (sort, Name::from(name));
        if !names.remove(&of) {
            return;
        }
        if names.is_empty() {
            self.listeners.remove(&listener);
            self.memory -= LISTENER_COST;
        }
        self.forget(listener.coordinator, sort, &of.1);
    }

    /// A name has one listener less.
    fn forget(&mut self, coordinator: Incarnation, sort: Sort, name: &[u8]) {
        self.memory -= cost(name);
        let names = &mut self.names[sort as usize];
        let Some(counts) = names.get_mut(name) else { return };
        if let Some(count) = counts.get_mut(&coordinator) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&coordinator);
            }
        }
        if counts.is_empty() {
            names.remove(name);
        }
    }

    /// A listener listens to nothing of a sort any more.
    pub(super) fn remove_sort(&mut self, listener: ListenerId, sort: Sort) {
        let names = self.listeners.get(&listener).into_iter().flatten();
        let names: Vec<Name> = names.filter(|(of, _)| *of == sort).map(|(_, name)| name.clone()).collect();
        names.iter().for_each(|name| self.remove(listener, sort, name));
    }

    /// A coordinator has no listeners any more.
    pub(super) fn end(&mut self, coordinator: Incarnation) {
        let of = |number: u64| ListenerId { coordinator, number };
        let listeners: Vec<ListenerId> =
            self.listeners.range(of(0)..=of(u64::MAX)).map(|(listener, _)| *listener).collect();
        for listener in listeners {
            let names = self.listeners.remove(&listener).unwrap_or_default();
            self.memory -= LISTENER_COST;
            names.iter().for_each(|(sort, name)| self.forget(coordinator, *sort, name));
        }
    }

    /// Whose listeners a message is for: once for the channel, and for each pattern. `pay` hears of the steps
    /// that it takes.
    pub(super) fn heard_by(&self, message: &Message, pay: &mut impl FnMut(usize)) -> Vec<Incarnation> {
        let mut heard = Vec::new();
        self.each_that_hears(message, pay, |counts| heard.extend(counts.keys()));
        heard
    }

    /// How many listeners a message has; one counts for its channel, and for each of its patterns.
    pub(crate) fn receivers(&self, message: &Message, pay: &mut impl FnMut(usize)) -> u64 {
        let mut receivers = 0;
        self.each_that_hears(message, pay, |counts| receivers += counts.values().sum::<u64>());
        receivers
    }

    fn each_that_hears<'a>(
        &'a self,
        Message { sort, channel, .. }: &Message,
        pay: &mut impl FnMut(usize),
        mut visit: impl FnMut(&'a Counts),
    ) {
        pay(KEY);
        self.names[*sort as usize].get(channel.as_ref()).into_iter().for_each(&mut visit);
        if *sort != Sort::Channel {
            return;
        }
        for (pattern, counts) in &self.names[Sort::Pattern as usize] {
            let matches = glob::matches_within(pattern, channel, |steps| {
                pay(steps);
                true
            });
            if matches == Some(true) {
                visit(counts);
            }
        }
    }

    /// How many listeners a name has.
    pub(crate) fn count(&self, sort: Sort, name: &[u8]) -> u64 {
        self.names[sort as usize].get(name).into_iter().flat_map(|counts| counts.values()).sum()
    }

    /// All names of a sort that somebody listens to.
    pub(crate) fn names(&self, sort: Sort) -> impl ExactSizeIterator<Item = &[u8]> {
        self.names[sort as usize].keys().map(AsRef::as_ref)
    }

    /// All listeners, with what they listen to.
    pub(crate) fn listeners(&self) -> impl ExactSizeIterator<Item = (ListenerId, &BTreeSet<(Sort, Name)>)> {
        self.listeners.iter().map(|(listener, names)| (*listener, names))
    }
}
