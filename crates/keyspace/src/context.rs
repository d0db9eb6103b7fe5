//! What commands see of the keyspace: [`View`] to read, [`Context`] to write.
//!
//! Both know the database of the connection, and both treat what has expired as absent. Reads are the same
//! code whether they run in a query or between the writes of an entry.

mod collections;
mod random;
mod texts;

use onecopy_core::{ApplyContext, Budget, Level, StateMachine, Timestamp};

use crate::command::Spec;
use crate::database::{Database, Hashed, Spot};
use crate::error::{CommandError, Outcome};
use crate::machine::Keyspace;
use crate::notifications::Done;
use crate::pieces::copy;
use crate::seed::Seed;
use crate::slot::{New, Object};
use crate::steps::PIECE;
use crate::value::{List, Text, Typed, Undo, Value};
use crate::waiters::Waits;
use crate::watches::WatchId;
pub(crate) use random::Random;

/// The commands that are no use of the keys that they look at, as in Redis.
const NO_USE: &[&str] = &[
    "cluster",
    "debug",
    "exists",
    "expiretime",
    "memory",
    "object",
    "pexpiretime",
    "pttl",
    "randomkey",
    "scan",
    "ttl",
    "type",
];

/// The keyspace, to read from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) keyspace: &'a Keyspace,
    pub(crate) db: u8,
    /// The key of the command that was hashed already.
    pub(crate) hashed: Option<Hashed<'a>>,
    /// The time for answers about remaining time.
    pub(crate) now: Timestamp,
    /// What it does is spent from this.
    pub(crate) budget: Budget<'a>,
    /// What scripts may do, as the request says it; all if it says nothing.
    pub(crate) rights: Option<&'a [u8]>,
    /// It is a command that only reads: it is counted how many keys are there.
    pub(crate) is_read: bool,
}

impl<'a> View<'a> {
    /// A command begins, of a connection whose commands are no use of their keys, or are.
    pub(crate) fn begin(&self, spec: &Spec, is_blind: bool) {
        if self.keyspace.observer.is_on() {
            let is_use = spec.name == "touch" || !is_blind && !NO_USE.contains(&spec.name);
            self.keyspace.observer.begin(is_use);
        }
    }

    /// The time that decides what has expired.
    pub(crate) fn clock(&self) -> Timestamp {
        self.keyspace.clock
    }

    /// The connection's database, if it has ever had a key.
    pub(crate) fn database(&self) -> Option<&'a Database> {
        self.keyspace.database(self.db)
    }

    /// A key's object.
    pub(crate) fn object(&self, key: &[u8]) -> Option<Object<'a>> {
        let found = self.find(key);
        if self.is_read {
            self.keyspace.counts.read(found.is_some());
        }
        found
    }

    fn find(&self, key: &[u8]) -> Option<Object<'a>> {
        let database = self.database()?;
        let spot = database.locate_hashed(self.hashed, key);
        self.keyspace.observer.looked_up(self.db, database, spot, self.now);
        database.object(spot).filter(|object| !object.is_expired(self.clock()))
    }

    /// A key's value, which must be of a type.
    pub(crate) fn read<T: Typed>(&self, key: &[u8]) -> Result<Option<&'a T>, CommandError> {
        match self.object(key) {
            None => Ok(None),
            Some(object) => T::of(object.value).map(Some).ok_or(CommandError::WrongType),
        }
    }

    /// A key's value, which must be a string.
    pub(crate) fn text(&self, key: &[u8]) -> Result<Option<Text<'a>>, CommandError> {
        match self.object(key) {
            None => Ok(None),
            Some(object) => object.value.text().map(Some).ok_or(CommandError::WrongType),
        }
    }
}

/// The keyspace, to write to, within an entry.
pub(crate) struct Context<'a> {
    pub(crate) keyspace: &'a mut Keyspace,
    pub(crate) db: u8,
    /// The key of the command that was hashed already.
    pub(crate) hashed: Option<Hashed<'a>>,
    /// Whose keys are watched by it.
    pub(crate) watch: Option<WatchId>,
    /// Who subscribes by it.
    pub(crate) listener: Option<u64>,
    pub(crate) apply: &'a ApplyContext<'a>,
    /// How many commands of the entry have asked for random numbers.
    pub(crate) random_ordinal: &'a mut u64,
    /// If it may wait: what for.
    pub(crate) wait: Option<&'a mut Option<Waits>>,
    /// What scripts may do, as the request says it; all if it says nothing.
    pub(crate) rights: Option<&'a [u8]>,
}

impl<'a> Context<'a> {
    /// What a command does is spent from this.
    pub(crate) fn budget(&self) -> Budget<'a> {
        self.apply.budget
    }

    /// The same, to read from.
    pub(crate) fn view(&self) -> View<'_> {
        let (db, hashed, now) = (self.db, self.hashed, self.keyspace.clock);
        View {
            keyspace: self.keyspace,
            db,
            hashed,
            now,
            budget: self.budget(),
            rights: self.rights,
            is_read: false,
        }
    }

    /// The time of the entry.
    pub(crate) fn clock(&self) -> Timestamp {
        self.keyspace.clock
    }

    /// Whether there is memory for a command: it may begin while there is less than the limit, whatever it
    /// adds then.
    pub(crate) fn admit(&self, spec: &Spec) -> Outcome {
        if spec.grows { self.admit_growth() } else { Ok(()) }
    }

    /// The same, for a part of a command that may need more memory than the command as such.
    pub(crate) fn admit_growth(&self) -> Outcome {
        let is_full = self.apply.is_full(self.keyspace.memory());
        if is_full && self.keyspace.lacks_room(self.apply) { Err(CommandError::OutOfMemory) } else { Ok(()) }
    }

    /// Lets go of a part of a value that was taken out: if it is large, it is freed bit by bit.
    pub(crate) fn discard(&mut self, value: Value) {
        self.database_mut().discard(value);
    }

    /// By the rules of which level the command is executed (rule E4): what differs between levels asks here.
    pub(crate) fn level(&self) -> Level {
        self.apply.level
    }

    pub(crate) fn seed(&self) -> Seed {
        self.keyspace.seed
    }

    /// Random numbers for one command: the same at every replica.
    pub(crate) fn random(&mut self) -> Random {
        let ordinal = *self.random_ordinal;
        *self.random_ordinal += 1;
        Random(self.apply.rng(ordinal))
    }

    fn database_mut(&mut self) -> &mut Database {
        self.keyspace.database_mut(self.db)
    }

    /// A key's value, which must be of a type.
    pub(crate) fn read<T: Typed>(&self, key: &[u8]) -> Result<Option<&T>, CommandError> {
        self.view().read(key)
    }

    /// Whether a key exists.
    pub(crate) fn exists(&self, key: &[u8]) -> bool {
        self.view().object(key).is_some()
    }

    /// Where a key is, or would be.
    pub(crate) fn locate(&mut self, key: &[u8]) -> Spot {
        let (hashed, db) = (self.hashed, self.db);
        let spot = self.database_mut().locate_hashed(hashed, key);
        if self.keyspace.observer.is_on()
            && let Some(database) = self.keyspace.database(db)
        {
            self.keyspace.observer.looked_up(db, database, spot, self.keyspace.clock);
        }
        spot
    }

    /// What is at a spot, if it has not expired.
    pub(crate) fn at(&self, spot: Spot) -> Option<Object<'_>> {
        self.view().database()?.object(spot).filter(|object| !object.is_expired(self.clock()))
    }

    /// The string at a spot.
    pub(crate) fn text_at(&self, spot: Spot) -> Result<Option<Text<'_>>, CommandError> {
        match self.at(spot) {
            None => Ok(None),
            Some(object) => object.value.text().map(Some).ok_or(CommandError::WrongType),
        }
    }

    /// A key is about to change: if all that happens may have to be undone, it is remembered as it is.
    fn remember(&mut self, spot: Spot, key: &[u8]) {
        if let Some(journal) = &mut self.keyspace.journal
            && let Some(database) = self.keyspace.databases[usize::from(self.db)].as_deref()
        {
            journal.remember((self.db, database), (spot, key), self.apply.budget);
        }
    }

    /// What a key held is there no more. Unless it has to be kept, it is freed, bit by bit if it is large.
    fn let_go(&mut self, key: &[u8], value: Option<Value>) {
        let Some(value) = value else { return };
        let value = match &mut self.keyspace.journal {
            Some(journal) => journal.gone(self.db, key, value),
            None => Some(value),
        };
        value.into_iter().for_each(|value| self.discard(value));
    }

    /// Removes what is at a spot; whether something was, expired or not.
    fn remove(&mut self, spot: Spot, key: &[u8]) -> bool {
        self.remember(spot, key);
        let removed = self.database_mut().take_beside(spot);
        let was_there = removed.is_some();
        self.let_go(key, removed.flatten());
        was_there
    }

    /// Lets `change` have the value at a spot, which lies beside, and what is noted of its changes, if they
    /// may have to be undone. A collection that has no elements afterwards is removed.
    fn change<R>(
        &mut self,
        spot: Spot,
        key: &[u8],
        change: impl FnOnce(&mut Value, Option<&mut Undo>) -> R,
    ) -> Option<R> {
        self.remember(spot, key);
        let (db, seed, budget) = (self.db, self.seed(), self.budget());
        let Keyspace { journal, databases, .. } = &mut *self.keyspace;
        let database = databases[usize::from(db)].as_deref_mut()?;
        let Some(journal) = journal else {
            return database.change(spot, |value| change(value, None));
        };
        let (result, emptied) = database.change(spot, |value| {
            let noted = journal.noted(db, key);
            let noted_before = noted.as_ref().map_or(0, |noted| noted.bytes());
            let result = change(value, noted);
            journal.changed((db, key), noted_before, value.content(), seed, budget);
            let emptied =
                value.content().is_gone().then(|| std::mem::replace(value, List::new().into_value()));
            (result, emptied)
        })?;
        self.let_go(key, emptied);
        Some(result)
    }

    /// A key changes: whoever watches it is to know. What removes a key need not say so: it will be missed.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        if !self.keyspace.watches.is_empty() {
            self.keyspace.touch(self.db, key);
        }
        self.signal(key, Done::Changed);
    }

    /// A key changes, or goes: somebody may wait for that, or want to know.
    pub(crate) fn signal(&mut self, key: &[u8], done: Done) {
        self.signal_waiters(key);
        if self.keyspace.notifies() {
            let was_there = self.keyspace.is_there(self.db, key);
            self.keyspace.notifications.note(self.db, key, done, was_there);
        }
        self.track(key, done);
    }

    /// Somebody may have cached a key that changes, or goes. What is not there cannot go.
    fn track(&mut self, key: &[u8], done: Done) {
        if self.keyspace.tracking.is_empty() {
            return;
        }
        let is_change = match done {
            Done::Removed => self.keyspace.database(self.db).is_some_and(|it| it.get(key).is_some()),
            Done::Changed | Done::Expired => true,
            Done::Said(_) => false,
        };
        if is_change {
            self.keyspace.tracking.change_by_client(key);
        }
    }

    /// Somebody may wait for what has happened to a key.
    pub(crate) fn signal_waiters(&mut self, key: &[u8]) {
        if !self.keyspace.waiters.is_empty() {
            self.keyspace.waiters.signal(self.db, key);
        }
    }

    /// Something has happened in a stream that is no change of its value, or another one as well.
    pub(crate) fn say(&mut self, key: &[u8], event: &'static str) {
        if self.keyspace.notifies() {
            self.keyspace.notifications.note(self.db, key, Done::Said(event), true);
        }
    }

    /// A key is about to change that may have expired: then it was there until now, and somebody may want to
    /// know.
    fn expires_now(&mut self, spot: Spot, key: &[u8]) {
        if self.keyspace.notifies() {
            let clock = self.clock();
            let object = self.keyspace.database(self.db).and_then(|database| database.object(spot));
            if object.is_some_and(|object| object.is_expired(clock)) {
                self.keyspace.notifications.note(self.db, key, Done::Expired, false);
            }
        }
    }

    /// Puts something at a spot, whatever is there. What has expired, and a collection without elements, is
    /// removed instead.
    pub(crate) fn put(&mut self, spot: Spot, key: &[u8], new: New<'_>, expires: Option<Timestamp>) {
        let new = match new {
            New::Text(Text::Raw(bytes)) if bytes.len() > PIECE => {
                let copied = || Value::of_bytes(copy(bytes, self.budget()));
                New::Value(self.apply.share(bytes).map_or_else(copied, Value::Shared))
            }
            new => new,
        };
        self.expires_now(spot, key);
        let is_gone = matches!(&new, New::Value(value) if value.content().is_gone());
        if is_gone || expires.is_some_and(|expires| expires <= self.clock()) {
            self.signal(key, Done::Removed);
            self.remove(spot, key);
        } else {
            self.remember(spot, key);
            self.touch(key);
            let old = self.database_mut().exchange(spot, key, new, expires);
            self.let_go(key, old);
        }
    }

    /// Replaces the string at a spot by another, which expires as the one before did.
    pub(crate) fn put_text(&mut self, spot: Spot, key: &[u8], text: Text<'_>) {
        let expires = self.at(spot).and_then(|object| object.expires);
        self.put(spot, key, New::Text(text), expires);
    }

    /// Replaces a key's value by a string without expiry.
    pub(crate) fn store_text(&mut self, key: &[u8], text: Text<'_>) {
        let spot = self.locate(key);
        self.put(spot, key, New::Text(text), None);
    }

    /// Replaces a key's value by one without expiry.
    pub(crate) fn store<T: Typed>(&mut self, key: &[u8], value: T) {
        let spot = self.locate(key);
        self.put(spot, key, New::Value(value.into_value()), None);
    }

    /// Gives the key at a spot another expiry, or none; removes it if the time has come.
    pub(crate) fn set_expiry(&mut self, spot: Spot, key: &[u8], expires: Option<Timestamp>) {
        if expires.is_some_and(|expires| expires <= self.clock()) {
            self.signal(key, Done::Removed);
            self.remove(spot, key);
        } else {
            self.remember(spot, key);
            self.touch(key);
            self.database_mut().set_expiry(spot, expires);
        }
    }

    /// A key is about to be removed.
    fn begin_removal(&mut self, key: &[u8]) {
        if self.keyspace.notifies() {
            let spot = self.locate(key);
            self.expires_now(spot, key);
        }
        self.signal(key, Done::Removed);
    }

    /// Removes a key for good; whether it existed.
    pub(crate) fn delete(&mut self, key: &[u8]) -> bool {
        self.begin_removal(key);
        if self.keyspace.database(self.db).is_none() {
            return false;
        }
        let spot = self.locate(key);
        let was_there = self.at(spot).is_some();
        self.remove(spot, key);
        was_there
    }

    /// Gives what a key holds, with its expiry, to a key of a database, whatever that holds; whether there
    /// was something.
    pub(crate) fn rename(&mut self, from: &[u8], to_db: u8, to: &[u8]) -> bool {
        let spot = self.locate(from);
        if self.at(spot).is_none() {
            return false;
        }
        self.begin_removal(from);
        let mut target = self.with_database(to_db);
        let to_spot = target.locate(to);
        target.expires_now(to_spot, to);
        target.remove(to_spot, to);
        // What was removed may have stood before it.
        let spot = self.locate(from);
        let Some((value, expires)) = self.database_mut().take(spot) else { return false };
        if let Some(journal) = &mut self.keyspace.journal {
            journal.moved((self.db, from), (to_db, to));
        }
        let mut target = self.with_database(to_db);
        target.touch(to);
        let to_spot = target.locate(to);
        target.database_mut().put(to_spot, to, New::Value(value), expires);
        true
    }

    /// The same keyspace, with another database selected.
    pub(crate) fn with_database(&mut self, db: u8) -> Context<'_> {
        let (hashed, watch, listener, apply) = (self.hashed, self.watch, self.listener, self.apply);
        let (keyspace, random_ordinal) = (&mut *self.keyspace, &mut *self.random_ordinal);
        Context { keyspace, db, hashed, watch, listener, apply, random_ordinal, wait: None, rights: None }
    }
}
