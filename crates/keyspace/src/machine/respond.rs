//! From the body of a request to its response: command after command, in bounded space.

use onecopy_core::Budget;
use onecopy_core::segments::NOT_EXECUTED;
use onecopy_resp::{Version, Writer};

use super::DATABASES;
use crate::command::{self, Command};
use crate::error::{CommandError, Outcome};
use crate::request::{self, Args, Segment};
use crate::steps::{COMMAND, copying};
use crate::value::TEXT_BYTES_MAX;

/// The longest reply to a command: a string of the largest size, and what is around it. A command whose reply
/// would exceed it answers an error instead.
pub const REPLY_BYTES_MAX: usize = TEXT_BYTES_MAX + 1024;
/// Once the answers to a request are so long, the commands behind are not executed. A response is thus never
/// longer than this, one reply, and an error for each of those commands.
pub const RESPONSE_BYTES_WANTED: usize = 192 << 20;

/// Whether a reply of so many elements, with so many bytes together, may be built.
///
/// # Errors
/// When it would be too large.
pub(crate) fn check_reply(elements: usize, bytes: u64) -> Outcome {
    /// The header of an element.
    const HEADER: u64 = 12;
    let total = bytes.saturating_add((elements as u64).saturating_mul(HEADER));
    if total <= REPLY_BYTES_MAX as u64 { Ok(()) } else { Err(CommandError::ReplyTooLarge) }
}

/// Finds the command, checks that it may be executed, and executes it.
pub(super) fn dispatch<'a>(
    budget: Budget<'_>,
    args: &[&'a [u8]],
    reply: &mut Writer<'_>,
    execute: impl FnOnce(&'static Command, &[&'a [u8]], &mut Writer<'_>) -> Result<(), CommandError>,
) {
    let start = reply.position();
    reply.allow(REPLY_BYTES_MAX);
    let outcome = match command::find(args[0]) {
        None => Err(CommandError::Unknown(command::unknown_command(args))),
        Some(command) => {
            budget.begin(command.spec.name);
            budget.spend(COMMAND);
            command.spec.check_arity(args.len()).and_then(|()| execute(command, args, reply))
        }
    };
    let outcome = if reply.overflowed() { Err(CommandError::ReplyTooLarge) } else { outcome };
    if let Err(error) = outcome {
        reply.truncate(start);
        reply.error(&error.to_string());
    }
}

/// Answers each segment of a body with the replies that `run` writes.
pub(super) fn respond(
    budget: Budget<'_>,
    body: &[u8],
    response: &mut Vec<u8>,
    mut run: impl FnMut(&Segment<'_>, &mut Args<'_>, &mut Writer<'_>),
) {
    let begin = response.len();
    let spend = |bytes: usize| budget.spend(1 + copying(bytes));
    for segment in request::segments(body) {
        let header = response.len();
        if header - begin >= RESPONSE_BYTES_WANTED {
            // Not because of what this client asked for: its segment comes again.
            response.extend_from_slice(&NOT_EXECUTED.to_le_bytes());
            continue;
        }
        response.extend_from_slice(&[0; 4]);
        let version = segment.as_ref().map_or(Version::Two, |segment| segment.version);
        let mut reply = Writer::new(response, version).paced(&spend);
        match segment {
            Err(malformed) => reply.error(&CommandError::from(malformed).to_string()),
            Ok(segment) if segment.db >= DATABASES => {
                reply.error(&CommandError::DatabaseOutOfRange.to_string());
            }
            Ok(segment) => {
                let mut commands = segment.commands();
                let mut args = Args::new();
                loop {
                    match commands.next_into(&mut args) {
                        Ok(false) => break,
                        Ok(true) if reply.position() - begin >= RESPONSE_BYTES_WANTED => {
                            reply.error(&CommandError::ResponseFull.to_string());
                        }
                        Ok(true) => run(&segment, &mut args, &mut reply),
                        Err(malformed) => reply.error(&CommandError::from(malformed).to_string()),
                    }
                }
            }
        }
        // Each command beyond what is wanted adds a few dozen bytes; a body that has enough of them for 4 GiB
        // is larger than any batch.
        let length = u32::try_from(response.len() - header - 4).unwrap_or(u32::MAX);
        response[header..header + 4].copy_from_slice(&length.to_le_bytes());
    }
}
