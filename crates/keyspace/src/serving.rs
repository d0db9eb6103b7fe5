//! How those who wait are given what they wait for.
//!
//! After each command, or a whole transaction, the keys that were signalled are looked at in the order in
//! which they were. The waiters at a key are tried in the order in which they came: their command is executed
//! again. Whoever finds something is answered, and waits no more; that may signal other keys, whose turn
//! comes behind. Each attempt but the last at a key of a list or a sorted set takes a waiter away, so there
//! is an end to it.

use onecopy_core::{ApplyContext, Rule, Timestamp};
use onecopy_resp::{Writer, write_neutral};

use crate::command::Run;
use crate::context::Context;
use crate::execution::{Room, dispatch};
use crate::machine::{Keyspace, REPLY_BYTES_MAX};
use crate::steps::{COMMAND, KEY, copying};
use crate::value::Content;
use crate::waiters::{Address, Waiter, WaiterId, Waits, Wanted, Wants};

/// So many are told in one entry that they have waited for long enough.
const EXPIRED_PER_ENTRY_MAX: usize = 1_000;

/// Why a waiter is taken away although there is nothing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// It has waited for long enough.
    Timeout,
    /// Somebody wants it to fail.
    Error,
    /// Its client is gone, and hears nothing.
    Gone,
}

impl Keyspace {
    /// Gives those who wait what there is for them.
    pub(crate) fn serve(&mut self, apply: &ApplyContext<'_>, random_ordinal: &mut u64) {
        let is_fair = self.rules.hold(Rule::FairQueues);
        while let Some((db, key)) = self.waiters.next_signalled() {
            for wants in Wants::ALL {
                let mut behind = None;
                while let Some(place) = self.waiters.next_at((db, &key), wants, behind, is_fair) {
                    apply.budget.spend(KEY);
                    if !self.has(db, &key, wants) {
                        break;
                    }
                    behind = Some(place);
                    if !self.waiters.is_absent(place) {
                        self.attempt(place, apply, random_ordinal);
                    }
                }
            }
        }
    }

    /// Whether a key may have something for those who want this.
    fn has(&self, db: u8, key: &[u8], wants: Wants) -> bool {
        let object = self.database(db).and_then(|database| database.get(key));
        let value = object.filter(|object| !object.is_expired(self.clock)).map(|object| object.value);
        match wants {
            Wants::List => matches!(value, Some(Content::List(_))),
            Wants::Zset => matches!(value, Some(Content::Zset(_))),
            Wants::Stream => matches!(value, Some(Content::Stream(_))),
            // Nothing is an error to them, which is something.
            Wants::Group => true,
        }
    }

    /// Executes the command of a waiter again. If it has an answer now, it waits no more.
    fn attempt(&mut self, place: u64, apply: &ApplyContext<'_>, random_ordinal: &mut u64) {
        let Some(Waiter { address, db, wanted, .. }) = self.waiters.get(place).cloned() else { return };
        let args: Vec<&[u8]> = wanted.args.iter().map(AsRef::as_ref).collect();
        let pace = |bytes: usize| apply.budget.spend(1 + copying(bytes));
        let mut again = None;
        let mut answer = Vec::new();
        let mut writer = match &wanted.token {
            Some(_) => Writer::neutral(&mut answer, REPLY_BYTES_MAX).paced(&pace),
            None => Writer::new(&mut answer, address.version).paced(&pace),
        };
        let room = &mut Room { reply: &mut writer, bytes: REPLY_BYTES_MAX };
        dispatch(apply.budget, &args, room, |command, args, reply| {
            let (hashed, watch, listener, keyspace) = (None, None, None, &mut *self);
            let wait = Some(&mut again);
            // No script waits.
            let rights = None;
            let mut context =
                Context { keyspace, db, hashed, watch, listener, apply, random_ordinal, wait, rights };
            match command.run {
                Run::Write(run) | Run::ReadOrWait(_, run) => {
                    let outcome = run(&mut context, args, reply);
                    self.notify(apply, &command.spec, args);
                    outcome
                }
                // No such command waits.
                Run::Read(_) => Ok(()),
            }
        });
        if again.is_none() {
            self.waiters.remove(place);
            self.finish(address, &wanted, answer, apply.memory_max);
        }
    }

    /// Tells those who have waited for long enough, and sends those away whose coordinator is gone.
    pub(crate) fn end_waiting(&mut self, apply: &ApplyContext<'_>) {
        let mut left = EXPIRED_PER_ENTRY_MAX;
        while left > 0
            && let Some(place) = self.waiters.next_expired(self.clock)
        {
            apply.budget.spend(COMMAND);
            self.release(place, Reason::Timeout, apply.memory_max);
            left -= 1;
        }
        self.waiters.remove_absent(self.clock, left);
    }

    /// Takes a waiter away, if it is there: for a reason that a segment about it gives. Whether it was.
    pub(crate) fn unblock(&mut self, id: WaiterId, reason: &[u8], memory_max: u64) -> bool {
        let reason = match reason {
            b"ERROR" => Reason::Error,
            b"TIMEOUT" => Reason::Timeout,
            _ => Reason::Gone,
        };
        let place = self.waiters.by_id(id);
        place.is_some_and(|place| self.release(place, reason, memory_max))
    }

    fn release(&mut self, place: u64, reason: Reason, memory_max: u64) -> bool {
        let Some(waiter) = self.waiters.remove(place) else { return false };
        let (address, wanted) = (waiter.address, waiter.wanted);
        let mut answer = Vec::new();
        let mut writer = match &wanted.token {
            Some(_) => Writer::neutral(&mut answer, REPLY_BYTES_MAX),
            None => Writer::new(&mut answer, address.version),
        };
        match reason {
            Reason::Timeout | Reason::Gone => writer.null_array(),
            Reason::Error => writer.error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        }
        match reason {
            // Nothing was executed: under its token it may be asked for again.
            Reason::Gone => self.waiters.answer(address, framed(&answer)),
            Reason::Timeout | Reason::Error => self.finish(address, &wanted, answer, memory_max),
        }
        true
    }

    /// Answers a waiter that was taken away. What is under a token is remembered.
    fn finish(&mut self, address: Address, wanted: &Wanted, answer: Vec<u8>, memory_max: u64) {
        let Some((token, command)) = &wanted.token else {
            return self.waiters.answer(address, framed(&answer));
        };
        self.tokens.remember((token, self.clock), *command, Some(&answer), memory_max);
        let mut reply = Vec::new();
        write_neutral(&answer, &mut Writer::new(&mut reply, address.version));
        self.waiters.answer(address, framed(&reply));
    }

    /// Another batch takes the place of a waiter: its command was sent again, under its token.
    pub(crate) fn take_over(&mut self, place: u64, address: Address) -> bool {
        let Some(before) = self.waiters.take_over(place, address) else { return false };
        let mut reply = Vec::new();
        let mut writer = Writer::new(&mut reply, before.version);
        writer.error("ERR it was sent again under its token, and waits on another connection");
        self.waiters.answer(before, framed(&reply));
        true
    }
}

/// The response of a segment: its reply, with its length.
fn framed(reply: &[u8]) -> Vec<u8> {
    let length = u32::try_from(reply.len()).expect("a reply of more than 4 GiB");
    [&length.to_le_bytes(), reply].concat()
}

/// How long a command waits that says so in seconds: in milliseconds, 0 for ever.
pub(crate) fn timeout(arg: &[u8], clock: Timestamp) -> Result<u64, crate::CommandError> {
    use crate::CommandError::Other;
    let not_a_float = Other("ERR timeout is not a float or out of range");
    let seconds = crate::number::parse_float(arg).filter(|seconds| seconds.is_finite()).ok_or(not_a_float)?;
    let milliseconds = (seconds * 1_000.0).ceil();
    // What is smaller than this is an exact integer, or nearly.
    if milliseconds > i64::MAX as f64 {
        return Err(Other("ERR timeout is out of range"));
    }
    if seconds < 0.0 {
        return Err(Other("ERR timeout is negative"));
    }
    // Rounding has made it a whole number.
    let milliseconds = milliseconds as u64;
    match clock.0.checked_add(milliseconds).filter(|until| *until <= i64::MAX.unsigned_abs()) {
        Some(_) => Ok(milliseconds),
        None => Err(Other("ERR timeout is out of range")),
    }
}

impl Context<'_> {
    /// There is nothing for a command: it waits, if it may. If not, it has to answer that there is nothing.
    pub(crate) fn wait(&mut self, wanted: impl FnOnce() -> Wanted) -> bool {
        let Some(wait) = &mut self.wait else { return false };
        **wait = Some(Waits::For(wanted()));
        true
    }
}

/// Copies of arguments.
pub(crate) fn owned(args: &[&[u8]]) -> Vec<Box<[u8]>> {
    args.iter().map(|arg| Box::from(*arg)).collect()
}
