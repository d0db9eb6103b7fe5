//! Transactions: the commands between `MULTI` and `EXEC`, executed as one.
//!
//! They come as one segment with a mark, and have one reply: an array of the replies. Either all of them are
//! executed, one after the other with nothing in between, or none is:
//!
//! - *None*, if the bytes make no sense, if what the transaction watches has changed (the reply is nil), or
//!   if one of them may need memory and there is none: that is settled before the first, for all of them.
//! - *All* otherwise. A command that fails has an error for its reply, and those behind it are executed, as
//!   in Redis. When the replies have grown to what a response should have, the commands behind are executed
//!   and their replies left out: an error stands in the place of each.
//!
//! A transaction may pause, between its commands and within one, like anything that takes long. The machine
//! is away until it is done, so nobody sees half of it.
//!
//! Two kinds of commands are none of the table's: `SELECT`, with the number that the database has here, is
//! for those behind it; and a command without a name, which is answered by the connection. Its reply is an
//! empty text that the connection replaces.

use onecopy_resp::Writer;

use crate::command::{self, Kind};
use crate::error::CommandError;
use crate::execution::{Executor, Room};
use crate::machine::{REPLY_BYTES_MAX, RESPONSE_BYTES_WANTED};
use crate::options::database_number;
use crate::request::{Args, Malformed, Segment};

/// What is to be known of a transaction before it begins.
#[derive(Default)]
struct Outline {
    commands: usize,
    /// Whether one of them may need memory.
    grows: bool,
}

impl Outline {
    fn of(segment: &Segment<'_>) -> Result<Self, Malformed> {
        let (mut commands, mut args, mut outline) = (segment.commands(), Args::new(), Self::default());
        while commands.next_into(&mut args)? {
            outline.commands += 1;
            outline.grows |= grows(&args);
        }
        Ok(outline)
    }
}

fn grows(args: &[&[u8]]) -> bool {
    match command::lookup(args[0]) {
        Some(spec) if spec.name == "once" => {
            args.get(2..).is_some_and(|inner| !inner.is_empty() && grows(inner))
        }
        Some(spec) => spec.grows && spec.kind == Kind::Write,
        None => false,
    }
}

/// So many commands may a transaction have.
pub const TRANSACTION_COMMANDS_MAX: u32 = 1 << 17;

/// Executes a transaction, or answers why it is not, in a response that began there.
pub(crate) fn answer<'a>(
    mut segment: Segment<'a>,
    begin: usize,
    executor: &mut impl Executor<'a>,
    reply: &mut Writer<'_>,
) {
    let outline = match Outline::of(&segment) {
        Ok(outline) => outline,
        Err(malformed) => return reply.error(&CommandError::from(malformed).to_string()),
    };
    match executor.begin(&segment, outline.grows) {
        Ok(true) => {}
        Ok(false) => return reply.null_array(),
        Err(error) => return reply.error(&error.to_string()),
    }
    reply.array(outline.commands);
    let (mut commands, mut args) = (segment.commands(), Args::new());
    while let Ok(true) = commands.next_into(&mut args) {
        if args[0].is_empty() {
            reply.simple("");
        } else if let Some(number) = selected(&args) {
            match number {
                Ok(number) => {
                    segment.db = number;
                    reply.ok();
                }
                Err(error) => reply.error(&error.to_string()),
            }
        } else {
            let has_room = reply.position() - begin < RESPONSE_BYTES_WANTED;
            let bytes = if has_room { REPLY_BYTES_MAX } else { 0 };
            executor.command(&segment, &args, executor.are_atomic(), &mut Room { reply, bytes });
        }
    }
}

/// The database that a command selects, if it is one that does.
pub(crate) fn selected(args: &[&[u8]]) -> Option<Result<u8, CommandError>> {
    let selects = args.len() == 2 && args[0].eq_ignore_ascii_case(b"select");
    selects.then(|| database_number(args[1]))
}
