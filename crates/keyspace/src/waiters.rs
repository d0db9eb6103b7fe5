//! Who waits for what: the memory of blocking commands, on every copy.
//!
//! A blocking command that finds nothing becomes a *waiter*: it stands in a queue at each of its keys, in the
//! order of the log. Whatever changes such a key *signals* it; after the command, or the whole transaction,
//! those who wait there are tried again, one after the other (see `serving`). A waiter is addressed by its
//! batch, and named by its connection, so that it can be taken away.
//!
//! A coordinator may be [absent](Waiters::absent): then its waiters keep their places, and are given nothing.
//! If it stays away for [`ABSENT_MS`] they go. Should it come back, they are registered anew, at the end.

use std::collections::btree_map::Entry as Vacancy;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use onecopy_core::segments::NOT_EXECUTED;
use onecopy_core::{BatchId, Incarnation, Output, Timestamp};
use onecopy_resp::Version;

use crate::error::{CommandError, Outcome};
use crate::share;
use crate::tokens::Token;

/// So many may wait.
pub const WAITERS_MAX: usize = 50_000;
/// All of them together occupy at most so many bytes, and at most a quarter of what the whole state may.
const BYTES_MAX: u64 = 64 << 20;
/// And a single one so many.
const WAITER_BYTES_MAX: u64 = 1 << 20;
/// What a waiter costs, and each of its keys beyond two copies of itself, and each argument.
const WAITER_COST: u64 = 480;
const KEY_COST: u64 = 160;
const ARG_COST: u64 = 24;
/// How long the waiters of a coordinator that is absent keep their places, in milliseconds of entry time.
pub(crate) const ABSENT_MS: u64 = 10_000;

/// The name of a waiter: a connection gives every blocking command another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId {
    /// The start of the process that the connection belongs to.
    pub process: Incarnation,
    /// Which one of that process. No number is given twice.
    pub number: u64,
}

/// What a waiter waits for at its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wants {
    List,
    Zset,
    Stream,
    /// A stream with a group: it is also told if that goes.
    Group,
}

impl Wants {
    pub(crate) const ALL: [Self; 4] = [Self::List, Self::Zset, Self::Stream, Self::Group];
}

type Key = Box<[u8]>;

/// A command that would wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) wants: Wants,
    /// Its arguments, as they are to be executed again.
    pub(crate) args: Vec<Key>,
    pub(crate) keys: Vec<Key>,
    /// It also changes this key.
    pub(crate) target: Option<Key>,
    /// How long it waits, in milliseconds; 0: for ever.
    pub(crate) timeout: u64,
    /// The token that it is executed under, and the hash of the command.
    pub(crate) token: Option<(Token, u64)>,
}

/// How a command waits.
#[derive(Debug)]
pub(crate) enum Waits {
    /// Behind all others.
    For(Wanted),
    /// It was sent before, under the same token, and waits at this place.
    InsteadOf(u64),
}

/// Where the answer of a waiter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) id: WaiterId,
    pub(crate) batch: BatchId,
    pub(crate) version: Version,
}

/// One who waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) address: Address,
    pub(crate) db: u8,
    /// When it has waited for long enough.
    pub(crate) until: Option<Timestamp>,
    pub(crate) wanted: Arc<Wanted>,
}

impl Waiter {
    fn memory(&self) -> u64 {
        self.wanted.memory()
    }
}

impl Wanted {
    fn memory(&self) -> u64 {
        let args: u64 = self.args.iter().map(|arg| ARG_COST + arg.len() as u64).sum();
        let keys: u64 = self.keys.iter().map(|key| KEY_COST + 2 * key.len() as u64).sum();
        WAITER_COST + args + keys
    }
}

/// Those who wait at a key, in their order, by what they want.
type Queue = BTreeMap<Wants, BTreeSet<u64>>;

/// All waiters. Each has a place: the later it came, the higher.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiters: BTreeMap<u64, Waiter>,
    next: u64,
    by_id: BTreeMap<WaiterId, u64>,
    by_token: BTreeMap<Token, u64>,
    by_deadline: BTreeSet<(Timestamp, u64)>,
    by_coordinator: BTreeMap<Incarnation, BTreeSet<u64>>,
    queues: BTreeMap<u8, BTreeMap<Key, Queue>>,
    /// The coordinators that are absent, and since when.
    absent: BTreeMap<Incarnation, Timestamp>,
    /// How many have a second key that they change.
    with_target: usize,
    memory: u64,
    /// Keys that have changed and where somebody waits, in the order in which they have. Empty between
    /// commands.
    signalled: VecDeque<(u8, Key)>,
    /// What was answered, and not collected. Empty between the steps of an entry.
    outputs: Vec<Output>,
}

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Whether what somebody waits for may change another key than the one that was signalled.
    pub(crate) fn may_spread(&self) -> bool {
        self.with_target > 0
    }

    /// When time alone changes something here.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let deadline = self.by_deadline.first().map(|(until, _)| *until);
        let absent = self.absent.values().min().map(|since| Timestamp(since.0.saturating_add(ABSENT_MS)));
        [deadline, absent].into_iter().flatten().min()
    }

    /// Registers a waiter, behind all others. Where the whole state is to occupy at most `memory_max` bytes
    /// (0: no limit), waiters take a quarter of it.
    pub(crate) fn register(
        &mut self,
        address: Address,
        (db, clock): (u8, Timestamp),
        wanted: Wanted,
        memory_max: u64,
    ) -> Outcome {
        let bytes_max = share::of(memory_max, BYTES_MAX);
        let memory = wanted.memory();
        if memory > WAITER_BYTES_MAX {
            return Err(CommandError::Other("ERR the command is too large to wait; name fewer keys"));
        }
        if self.waiters.len() >= WAITERS_MAX || self.memory + memory > bytes_max {
            return Err(CommandError::Other("ERR too many clients are waiting already; try again later"));
        }
        let until = (wanted.timeout > 0).then(|| Timestamp(clock.0.saturating_add(wanted.timeout)));
        let waiter = Waiter { address, db, until, wanted: Arc::new(wanted) };
        match self.insert(self.next, waiter) {
            true => Ok(()),
            false => Err(CommandError::Other("ERR this connection is waiting already")),
        }
    }

    /// Puts a waiter at its place. Whether it may be there.
    pub(crate) fn insert(&mut self, place: u64, waiter: Waiter) -> bool {
        let wanted = waiter.wanted.clone();
        let token = wanted.token.as_ref().map(|(token, _)| token);
        let is_token_taken = token.is_some_and(|token| self.by_token.contains_key(token));
        if place < self.next || is_token_taken || place == u64::MAX {
            return false;
        }
        match self.by_id.entry(waiter.address.id) {
            Vacancy::Occupied(_) => return false,
            Vacancy::Vacant(vacancy) => vacancy.insert(place),
        };
        self.next = place + 1;
        self.by_token.extend(token.map(|token| (token.clone(), place)));
        self.by_deadline.extend(waiter.until.map(|until| (until, place)));
        self.by_coordinator.entry(waiter.address.batch.coordinator).or_default().insert(place);
        let queues = self.queues.entry(waiter.db).or_default();
        for key in &wanted.keys {
            queues.entry(key.clone()).or_default().entry(wanted.wants).or_default().insert(place);
        }
        self.with_target += usize::from(wanted.target.is_some());
        self.memory += waiter.memory();
        self.waiters.insert(place, waiter);
        true
    }

    /// Takes a waiter away.
    pub(crate) fn remove(&mut self, place: u64) -> Option<Waiter> {
        let waiter = self.waiters.remove(&place)?;
        let wanted = &waiter.wanted;
        self.by_id.remove(&waiter.address.id);
        if let Some((token, _)) = &wanted.token {
            self.by_token.remove(token);
        }
        if let Some(until) = waiter.until {
            self.by_deadline.remove(&(until, place));
        }
        self.leave_coordinator(waiter.address.batch.coordinator, place);
        let queues = self.queues.entry(waiter.db).or_default();
        for key in &wanted.keys {
            let Some(queue) = queues.get_mut(key) else { continue };
            if let Some(places) = queue.get_mut(&wanted.wants) {
                places.remove(&place);
            }
            queue.retain(|_, places| !places.is_empty());
            if queue.is_empty() {
                queues.remove(key);
            }
        }
        if queues.is_empty() {
            self.queues.remove(&waiter.db);
        }
        self.with_target -= usize::from(wanted.target.is_some());
        self.memory -= waiter.memory();
        Some(waiter)
    }

    fn leave_coordinator(&mut self, coordinator: Incarnation, place: u64) {
        let Vacancy::Occupied(mut places) = self.by_coordinator.entry(coordinator) else { return };
        places.get_mut().remove(&place);
        if places.get().is_empty() {
            places.remove();
            self.absent.remove(&coordinator);
        }
    }

    pub(crate) fn get(&self, place: u64) -> Option<&Waiter> {
        self.waiters.get(&place)
    }

    pub(crate) fn by_id(&self, id: WaiterId) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    /// The waiter under a token, and the hash of its command.
    pub(crate) fn by_token(&self, token: &[u8]) -> Option<(u64, u64)> {
        let place = *self.by_token.get(token)?;
        let (_, command) = self.waiters.get(&place)?.wanted.token.as_ref()?;
        Some((place, *command))
    }

    /// Another batch takes the place of a waiter: it was sent again. Whether it may. If its coordinator was
    /// absent until now, something may have come for it meanwhile.
    pub(crate) fn take_over(&mut self, place: u64, address: Address) -> Option<Address> {
        if self.by_id.contains_key(&address.id) {
            return None;
        }
        let waiter = self.waiters.get_mut(&place)?;
        let before = std::mem::replace(&mut waiter.address, address);
        let (db, wanted) = (waiter.db, waiter.wanted.clone());
        self.by_id.remove(&before.id);
        self.by_id.insert(address.id, place);
        self.leave_coordinator(before.batch.coordinator, place);
        self.by_coordinator.entry(address.batch.coordinator).or_default().insert(place);
        // Something may have come while nobody knew whether the one before was there.
        self.signalled.extend(wanted.keys.iter().map(|key| (db, key.clone())));
        Some(before)
    }

    /// A key changes, or goes.
    pub(crate) fn signal(&mut self, db: u8, key: &[u8]) {
        let is_waited_at = self.queues.get(&db).is_some_and(|queues| queues.contains_key(key));
        if is_waited_at && self.signalled.back().is_none_or(|(of, last)| (*of, last.as_ref()) != (db, key)) {
            self.signalled.push_back((db, key.into()));
        }
    }

    /// Any key of a database may have changed.
    pub(crate) fn signal_all(&mut self, db: u8) {
        let keys = self.queues.get(&db).into_iter().flat_map(BTreeMap::keys);
        self.signalled.extend(keys.map(|key| (db, key.clone())));
    }

    /// The next key that was signalled.
    pub(crate) fn next_signalled(&mut self) -> Option<(u8, Key)> {
        self.signalled.pop_front()
    }

    /// The first who wants this at a key, behind a place; the last if `is_fair` is not.
    pub(crate) fn next_at(
        &self,
        (db, key): (u8, &[u8]),
        wants: Wants,
        behind: Option<u64>,
        is_fair: bool,
    ) -> Option<u64> {
        let places = self.queues.get(&db)?.get(key)?.get(&wants)?;
        match is_fair {
            true => places.range(behind.map_or(0, |place| place + 1)..).next().copied(),
            false => places.range(..behind.unwrap_or(u64::MAX)).next_back().copied(),
        }
    }

    /// Whether nobody knows if the coordinator of a waiter is there.
    pub(crate) fn is_absent(&self, place: u64) -> bool {
        let coordinator = self.waiters.get(&place).map(|waiter| waiter.address.batch.coordinator);
        coordinator.is_some_and(|coordinator| self.absent.contains_key(&coordinator))
    }

    /// These coordinators are absent from now on.
    pub(crate) fn absent(&mut self, clock: Timestamp, is_absent: &dyn Fn(Incarnation) -> bool) {
        for coordinator in self.by_coordinator.keys().filter(|coordinator| is_absent(**coordinator)) {
            self.absent.entry(*coordinator).or_insert(clock);
        }
    }

    /// A coordinator is there. If it was absent, something may have come for it meanwhile.
    pub(crate) fn present(&mut self, coordinator: Incarnation) {
        if self.absent.remove(&coordinator).is_none() {
            return;
        }
        let places = self.by_coordinator.get(&coordinator).into_iter().flatten();
        let waiters = places.filter_map(|place| self.waiters.get(place));
        let keys = waiters.flat_map(|waiter| waiter.wanted.keys.iter().map(|key| (waiter.db, key.clone())));
        let mut seen = BTreeSet::new();
        self.signalled.extend(keys.filter(|at| seen.insert(at.clone())));
    }

    /// The next waiter that has waited for long enough at `clock`.
    pub(crate) fn next_expired(&self, clock: Timestamp) -> Option<u64> {
        self.by_deadline.first().filter(|(until, _)| *until <= clock).map(|(_, place)| *place)
    }

    /// Takes those away, at most so many, whose coordinators have been absent for too long. Each batch is to
    /// be sent again, should somebody be there after all. How many there were.
    pub(crate) fn remove_absent(&mut self, clock: Timestamp, count_max: usize) -> usize {
        let gone = self.absent.iter().filter(|(_, since)| since.0.saturating_add(ABSENT_MS) <= clock.0);
        let places = gone.filter_map(|(coordinator, _)| self.by_coordinator.get(coordinator)).flatten();
        let places: Vec<u64> = places.copied().take(count_max).collect();
        places.iter().for_each(|place| self.send_away(*place));
        places.len()
    }

    /// Takes away those of coordinators that are gone for good.
    pub(crate) fn retain(&mut self, is_known: &dyn Fn(Incarnation) -> bool) {
        let gone = self.by_coordinator.iter().filter(|(coordinator, _)| !is_known(**coordinator));
        let gone: Vec<u64> = gone.flat_map(|(_, places)| places).copied().collect();
        gone.into_iter().for_each(|place| self.send_away(place));
    }

    fn send_away(&mut self, place: u64) {
        if let Some(waiter) = self.remove(place) {
            let response = NOT_EXECUTED.to_le_bytes().to_vec().into();
            self.outputs.push(Output { to: waiter.address.batch, response });
        }
    }

    /// Answers a waiter that was taken away, or an address that is none of one any more. `response` is that
    /// of a segment, with its length.
    pub(crate) fn answer(&mut self, to: Address, response: Vec<u8>) {
        self.outputs.push(Output { to: to.batch, response: response.into() });
    }

    /// What was answered since this was last asked.
    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// All waiters, by their places.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &Waiter)> {
        self.waiters.iter().map(|(place, waiter)| (*place, waiter))
    }

    /// The place of the next one, and who is absent since when.
    pub(crate) fn rest(&self) -> (u64, &BTreeMap<Incarnation, Timestamp>) {
        (self.next, &self.absent)
    }

    /// Adds to an image that is restored what the waiters themselves do not tell. Whether that can be.
    pub(crate) fn restore_rest(&mut self, next: u64, absent: BTreeMap<Incarnation, Timestamp>) -> bool {
        let are_known = absent.keys().all(|coordinator| self.by_coordinator.contains_key(coordinator));
        let is_right = are_known && next >= self.next;
        (self.next, self.absent) = (next, absent);
        is_right
    }
}
