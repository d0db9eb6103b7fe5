//! How a body is executed: segment by segment, and within one command by command, whether it is in an entry
//! or read.

use onecopy_core::segments::{NOT_EXECUTED, PARKED};
use onecopy_core::{ApplyContext, Budget, Rule, Timestamp};
use onecopy_resp::{Version, Writer};

use crate::ahead::Ahead;
use crate::channels::ListenerId;
use crate::command::{self, Command, Kind, Run};
use crate::commands::blocking::WAITS_ALREADY;
use crate::context::{Context, View};
use crate::error::CommandError;
use crate::feeds::Mark;
use crate::machine::{DATABASES, Keyspace, REPLY_BYTES_MAX, RESPONSE_BYTES_WANTED};
use crate::moves::{self, LEAVING};
use crate::number::parse_integer;
use crate::request::{self, Args, Segment};
use crate::steps::{COMMAND, copying};
use crate::transaction;
use crate::waiters::{Address, Waits};

/// Where there is no room for a reply, one that is so short, as an error would be, is made nevertheless.
const SHORT_REPLY: usize = 64;

/// Executes commands of a body.
pub(crate) trait Executor<'a> {
    /// Executes one command, which may have a reply of so many bytes, and is `admitted` already or is not.
    fn command(&mut self, segment: &Segment<'a>, args: &Args<'a>, admitted: bool, reply: &mut Room<'_, '_>);

    /// Whether a transaction may begin, of which some command `grows` the data or none does. False: what it
    /// watches has changed. Its watch ends.
    fn begin(&mut self, segment: &Segment<'a>, grows: bool) -> Result<bool, CommandError>;

    /// A segment is executed, perhaps for a client that caches.
    fn caches(&mut self, client: Option<ListenerId>);

    /// Appends what is to be known about the replies to a client that caches.
    fn mark(&self, client: ListenerId, reply: &mut Writer<'_>);

    /// Whether transactions are what they should be.
    fn are_atomic(&self) -> bool;

    /// A command, or a whole transaction, has been executed: those who wait get what there is for them.
    fn settle(&mut self);

    /// Whether the command was executed and waits, instead of having a reply.
    fn is_parked(&self) -> bool;
}

/// Where a command writes its reply, and how long that may be. 0: it is executed, and its reply left out.
pub(crate) struct Room<'w, 'o> {
    pub(crate) reply: &'w mut Writer<'o>,
    pub(crate) bytes: usize,
}

/// Executes the commands of an entry.
pub(crate) struct Entry<'k, 'a, 'c> {
    keyspace: &'k mut Keyspace,
    context: &'c ApplyContext<'c>,
    ahead: Ahead<'a>,
    random_ordinal: u64,
    /// If the one command of this body may wait: where its answer goes then.
    address: Option<Address>,
    is_parked: bool,
}

impl<'k, 'a, 'c> Entry<'k, 'a, 'c> {
    pub(crate) fn new(keyspace: &'k mut Keyspace, context: &'c ApplyContext<'c>, body: &'a [u8]) -> Self {
        let address = address(context, body);
        Self { keyspace, context, ahead: Ahead::of(body), random_ordinal: 0, address, is_parked: false }
    }

    /// A command waits, and is answered later.
    fn park(&mut self, address: Address, db: u8, waits: Waits) -> Result<(), CommandError> {
        let (clock, keyspace) = (self.keyspace.clock, &mut *self.keyspace);
        match waits {
            Waits::For(wanted) => {
                keyspace.waiters.register(address, (db, clock), wanted, self.context.memory_max)?;
            }
            Waits::InsteadOf(place) if !keyspace.take_over(place, address) => return Err(WAITS_ALREADY),
            Waits::InsteadOf(_) => {}
        }
        self.is_parked = true;
        Ok(())
    }
}

/// Where a command is answered that waits: one that its connection has named, and that is alone in its batch.
fn address(context: &ApplyContext<'_>, body: &[u8]) -> Option<Address> {
    let batch = context.batch?;
    let mut segments = request::segments(body);
    let segment = segments.next()?.ok()?;
    let id = segment.waiter.filter(|_| segment.count == 1 && !segment.is_transaction)?;
    segments.next().is_none().then_some(Address { id, batch, version: segment.version })
}

impl<'a> Executor<'a> for Entry<'_, 'a, '_> {
    fn command(&mut self, segment: &Segment<'a>, args: &Args<'a>, admitted: bool, reply: &mut Room<'_, '_>) {
        let hashed = self.ahead.command(&self.keyspace.databases);
        let (db, watch, listener) = (segment.db, segment.watch, segment.listener);
        let (rights, apply) = (segment.rights, self.context);
        if let [b"", b"NOTIFY", rest @ ..] = args.as_slice() {
            let set = rest.first().map_or(Ok(()), |text| self.keyspace.set_notifications(text));
            return match set {
                Ok(()) => reply.reply.bulk(self.keyspace.notifications.flags.text().as_bytes()),
                Err(error) => reply.reply.error(&error.to_string()),
            };
        }
        if let (Some(address), [b"", b"LISTEN", epoch, count]) = (self.address, args.as_slice()) {
            // What makes no sense is a feed that nobody knows.
            let [epoch, count] = [*epoch, *count].map(|arg| parse_integer(arg).map_or(0, i64::cast_unsigned));
            self.keyspace.channels.listen(self.keyspace.rules, address, Mark { epoch, count });
            self.is_parked = true;
            return;
        }
        if let (Some(address), [b"", b"FOLLOW", epoch, count]) = (self.address, args.as_slice()) {
            let [epoch, count] = [*epoch, *count].map(|arg| parse_integer(arg).map_or(0, i64::cast_unsigned));
            self.keyspace.tracking.follow(self.keyspace.rules, address, Mark { epoch, count });
            self.is_parked = true;
            return;
        }
        if let [b"", b"UNFOLLOW"] = args.as_slice() {
            if let Some(batch) = apply.batch {
                self.keyspace.tracking.leave(batch.coordinator);
            }
            return reply.reply.ok();
        }
        if let (Some(id), [b"", reason, ..]) = (segment.waiter, args.as_slice()) {
            let was_there = self.keyspace.unblock(id, reason, apply.memory_max);
            return reply.reply.integer(was_there.into());
        }
        let address = self.address;
        let (keyspace, random_ordinal) = (&mut *self.keyspace, &mut self.random_ordinal);
        if args[0].is_empty() {
            let (hashed, wait) = (None, None);
            let mut context =
                Context { keyspace, db, hashed, watch, listener, apply, random_ordinal, wait, rights };
            return match moves::commands::execute(&mut context, args, reply.reply) {
                Some(Ok(())) => {}
                Some(Err(error)) => reply.reply.error(&error.to_string()),
                None => reply.reply.error(&CommandError::Malformed.to_string()),
            };
        }
        if !admitted && keyspace.moves.bar(db, args) {
            return reply.reply.error(&LEAVING.to_string());
        }
        if apply.policy.evicts() && !admitted {
            keyspace.make_room(apply);
        }
        let mut waits = None;
        let is_blind = segment.is_untouching;
        dispatch(apply.budget, args, reply, |command, args, reply| match command.run {
            Run::Read(run) => {
                let (now, budget) = (keyspace.clock, apply.budget);
                let view = View { keyspace, db, hashed, now, budget, rights, is_read: true };
                view.begin(&command.spec, is_blind);
                run(&view, args, reply)
            }
            Run::Write(run) | Run::ReadOrWait(_, run) => {
                keyspace.observer.begin(!is_blind);
                let wait = address.is_some().then_some(&mut waits);
                let mut context =
                    Context { keyspace, db, hashed, watch, listener, apply, random_ordinal, wait, rights };
                if !admitted {
                    context.admit(&command.spec)?;
                }
                let outcome = run(&mut context, args, reply);
                keyspace.notify(apply, &command.spec, args);
                outcome
            }
        });
        if let (Some(address), Some(waits)) = (address, waits)
            && let Err(error) = self.park(address, db, waits)
        {
            reply.reply.error(&error.to_string());
        }
    }

    fn settle(&mut self) {
        self.keyspace.settle(self.context, &mut self.random_ordinal);
    }

    fn caches(&mut self, client: Option<ListenerId>) {
        self.keyspace.tracking.begin(client);
    }

    fn mark(&self, client: ListenerId, reply: &mut Writer<'_>) {
        mark(self.keyspace, client, reply);
    }

    fn is_parked(&self) -> bool {
        self.is_parked
    }

    fn begin(&mut self, segment: &Segment<'a>, grows: bool) -> Result<bool, CommandError> {
        if self.keyspace.moves.bar_segment(segment) {
            return Err(LEAVING);
        }
        let is_unchanged = segment.watch.is_none_or(|watch| self.keyspace.end_watch(watch));
        if grows && self.are_atomic() {
            self.keyspace.make_room(self.context);
        }
        if grows && self.are_atomic() && self.keyspace.lacks_room(self.context) {
            return Err(CommandError::Other(
                "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
            ));
        }
        Ok(is_unchanged)
    }

    fn are_atomic(&self) -> bool {
        self.keyspace.rules.hold(Rule::AtomicTransactions)
    }
}

/// Executes the commands of a read.
pub(crate) struct Query<'k, 'a> {
    keyspace: &'k Keyspace,
    now: Timestamp,
    budget: Budget<'k>,
    ahead: Ahead<'a>,
}

impl<'k, 'a> Query<'k, 'a> {
    pub(crate) fn new(keyspace: &'k Keyspace, now: Timestamp, budget: Budget<'k>, body: &'a [u8]) -> Self {
        Self { keyspace, now, budget, ahead: Ahead::of(body) }
    }
}

impl<'a> Executor<'a> for Query<'_, 'a> {
    fn command(&mut self, segment: &Segment<'a>, args: &Args<'a>, _: bool, reply: &mut Room<'_, '_>) {
        let Self { keyspace, now, budget, .. } = *self;
        let hashed = self.ahead.command(&keyspace.databases);
        if let [b"", b"NOTIFY"] = args.as_slice() {
            return reply.reply.bulk(keyspace.notifications.flags.text().as_bytes());
        }
        let view =
            View { keyspace, db: segment.db, hashed, now, budget, rights: segment.rights, is_read: true };
        let moved = if args[0].is_empty() { moves::commands::query(&view, args, reply.reply) } else { None };
        match moved {
            Some(Ok(())) => return,
            Some(Err(error)) => return reply.reply.error(&error.to_string()),
            None if keyspace.moves.bar(segment.db, args) => return reply.reply.error(&LEAVING.to_string()),
            None => {}
        }
        dispatch(budget, args, reply, |command, args, reply| match (command.spec.kind, &command.run) {
            (Kind::Read, Run::Read(run) | Run::ReadOrWait(run, _)) => {
                view.begin(&command.spec, segment.is_untouching);
                run(&view, args, reply)
            }
            _ => Err(CommandError::NotARead(command.spec.name)),
        });
    }

    fn begin(&mut self, segment: &Segment<'a>, _: bool) -> Result<bool, CommandError> {
        if self.keyspace.moves.bar_segment(segment) {
            return Err(LEAVING);
        }
        // To end the watch is a change.
        if segment.watch.is_some() { Err(CommandError::NotARead("exec")) } else { Ok(true) }
    }

    fn are_atomic(&self) -> bool {
        true
    }

    fn caches(&mut self, client: Option<ListenerId>) {
        self.keyspace.tracking.begin_read(client);
    }

    fn mark(&self, client: ListenerId, reply: &mut Writer<'_>) {
        mark(self.keyspace, client, reply);
    }

    /// A read changes nothing.
    fn settle(&mut self) {}

    fn is_parked(&self) -> bool {
        false
    }
}

/// Where the feed of a client's coordinator stands, and what scripts have read for it.
fn mark(keyspace: &Keyspace, client: ListenerId, reply: &mut Writer<'_>) {
    keyspace.tracking.mark(client.coordinator).write(reply);
    match keyspace.tracking.take_reads() {
        Some(keys) => {
            reply.array(keys.len());
            keys.iter().for_each(|key| reply.bulk(key));
        }
        None => reply.null_array(),
    }
}

/// Finds the command, checks that it may be executed, and executes it.
pub(crate) fn dispatch<'a>(
    budget: Budget<'_>,
    args: &[&'a [u8]],
    Room { reply, bytes }: &mut Room<'_, '_>,
    execute: impl FnOnce(&'static Command, &[&'a [u8]], &mut Writer<'_>) -> Result<(), CommandError>,
) {
    let start = reply.position();
    reply.allow(*bytes);
    let outcome = match command::find(args[0]) {
        None => Err(CommandError::Unknown(command::unknown_command(args))),
        Some(command) => {
            budget.begin(command.spec.name);
            budget.spend(COMMAND);
            command.spec.check_arity(args.len()).and_then(|()| execute(command, args, reply))
        }
    };
    let is_out_of_room = *bytes == 0 && reply.position() - start > SHORT_REPLY;
    let outcome = match reply.overflowed() {
        _ if is_out_of_room => Err(CommandError::RepliesTooLarge),
        true if *bytes == 0 => Err(CommandError::RepliesTooLarge),
        true => Err(CommandError::ReplyTooLarge),
        false => outcome,
    };
    if let Err(error) = outcome {
        reply.truncate(start);
        reply.error(&error.to_string());
    }
}

/// Answers each segment of a body.
pub(crate) fn respond<'a>(
    budget: Budget<'_>,
    body: &'a [u8],
    response: &mut Vec<u8>,
    executor: &mut impl Executor<'a>,
) {
    let begin = response.len();
    let spend = |bytes: usize| budget.spend(1 + copying(bytes));
    for segment in request::segments(body) {
        let header = response.len();
        // A transaction is not cut: it begins where there is room for half of what is wanted at least.
        let is_transaction = segment.as_ref().is_ok_and(|segment| segment.is_transaction);
        let room_needed = if is_transaction { RESPONSE_BYTES_WANTED / 2 } else { 1 };
        if header - begin + room_needed > RESPONSE_BYTES_WANTED {
            // Not because of what this client asked for: its segment comes again.
            response.extend_from_slice(&NOT_EXECUTED.to_le_bytes());
            continue;
        }
        response.extend_from_slice(&[0; 4]);
        let version = segment.as_ref().map_or(Version::Two, |segment| segment.version);
        let client = segment.as_ref().map_or(None, |segment| segment.client);
        executor.caches(client);
        let mut reply = Writer::new(response, version).paced(&spend);
        match segment {
            Err(malformed) => reply.error(&CommandError::from(malformed).to_string()),
            Ok(segment) if segment.db >= DATABASES => {
                reply.error(&CommandError::DatabaseOutOfRange.to_string());
            }
            Ok(segment) if segment.is_transaction => {
                transaction::answer(segment, begin, executor, &mut reply);
                executor.settle();
            }
            Ok(segment) => answer(&segment, begin, executor, &mut reply),
        }
        if executor.is_parked() {
            response.truncate(header);
            return response.extend_from_slice(&PARKED.to_le_bytes());
        }
        if let Some(client) = client {
            executor.mark(client, &mut Writer::new(response, Version::Two));
        }
        // Each command beyond what is wanted adds a few dozen bytes; a body that has enough of them for 4 GiB
        // is larger than any batch.
        let length = u32::try_from(response.len() - header - 4).unwrap_or(u32::MAX);
        response[header..header + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Answers the commands of a segment one by one, in a response that began there.
fn answer<'a>(segment: &Segment<'a>, begin: usize, executor: &mut impl Executor<'a>, reply: &mut Writer<'_>) {
    let mut commands = segment.commands();
    let mut args = Args::new();
    loop {
        match commands.next_into(&mut args) {
            Ok(false) => break,
            Ok(true) if reply.position() - begin >= RESPONSE_BYTES_WANTED => {
                reply.error(&CommandError::ResponseFull.to_string());
            }
            Ok(true) => {
                executor.command(segment, &args, false, &mut Room { reply, bytes: REPLY_BYTES_MAX });
                executor.settle();
            }
            Err(malformed) => reply.error(&CommandError::from(malformed).to_string()),
        }
    }
}
