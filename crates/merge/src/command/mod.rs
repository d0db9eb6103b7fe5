//! The commands of Redis on mergeable data.
//!
//! Each is carried out on what its replica has seen, and answers what Redis would answer there. What it
//! leaves behind for others is the delta that its [transaction](crate::transaction) makes of it. Which
//! command merges how is said by [`table`].

mod counters;
mod dump;
mod expiry;
mod hashes;
mod keys;
mod lists;
mod lists_inside;
mod random;
mod scan;
mod set;
mod set_algebra;
mod sets;
mod strings;
pub(crate) mod table;
mod zset_algebra;
mod zset_range;
mod zsets;

use onecopy_keyspace::command::{key_positions, lookup, unknown_command};
use onecopy_keyspace::{CommandError, REPLY_BYTES_MAX};
use onecopy_resp::Writer;

use crate::transaction::Transaction;
use table::{Class, Run};

/// The result of a command, beyond what it wrote into the reply.
pub(crate) type Outcome = Result<(), CommandError>;

/// So many keys that are due are removed with a command that looks at all keys.
const EXPIRED_WITH_ALL: usize = usize::MAX;

/// Executes a command, and writes its reply.
pub(crate) fn execute(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) {
    let start = reply.position();
    reply.allow(REPLY_BYTES_MAX);
    if let Err(error) = run(transaction, args, reply) {
        reply.truncate(start);
        reply.error(&error.to_string());
    }
}

/// Why a command was not executed: Redis' own reasons, or ours.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("NOTMERGEABLE '{name}' {why}; use a database with replication = \"primary-backup\" or \"raft\"")]
    NotMergeable { name: &'static str, why: &'static str },
    #[error(
        "ERR this replica is over: the others do not wait for it any more; it must return under a new number"
    )]
    Over,
}

fn run(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), Refusal> {
    let spec = args.first().and_then(|name| lookup(name));
    let row = spec.and_then(|spec| table::find(spec.name));
    let (Some(spec), Some(row)) = (spec, row) else {
        return Err(CommandError::Unknown(unknown_command(args)).into());
    };
    spec.check_arity(args.len())?;
    let Run::As(run) = row.run else {
        let Class::Refused(why) = row.class else { unreachable!("a command without a function is refused") };
        return Err(Refusal::NotMergeable { name: spec.name, why });
    };
    if transaction.is_over() {
        return Err(Refusal::Over);
    }
    let positions = key_positions(spec, args);
    let keys: Vec<_> = positions.iter().map(|position| transaction.key(args[*position])).collect();
    keys.iter().for_each(|key| transaction.expire_key(key));
    if keys.is_empty() {
        transaction.expire(EXPIRED_WITH_ALL);
    }
    if row.class == Class::Reads {
        run(transaction, args, reply)?;
        return if reply.overflowed() { Err(CommandError::ReplyTooLarge.into()) } else { Ok(()) };
    }
    if spec.grows && transaction.replica.is_full() {
        return Err(CommandError::OutOfMemory.into());
    }
    transaction.afford_write(args, keys.iter())?;
    // What a write answers must reach its client: it has been done.
    reply.allow(usize::MAX);
    Ok(run(transaction, args, reply)?)
}
