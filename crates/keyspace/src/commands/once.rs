//! `ONCE token command …`: a command under a token that its client chose, so that the client may send it
//! again, through another node if its own is gone, without its being executed again.
//!
//! A token belongs to one command in one database: the same token for another one is an error. What the
//! command answered, an error too, is what every repetition answers. What was refused before it was executed
//! (for want of memory, or because it makes no sense) is not remembered: it may be tried again under its
//! token.

use onecopy_core::Rule;
use onecopy_resp::{Writer, write_neutral};
use xxhash_rust::xxh3::Xxh3;

use super::blocking::WAITS_ALREADY;
use crate::command::{self, Kind, Run, Spec};
use crate::context::Context;
use crate::error::{CommandError, Outcome};
use crate::machine::REPLY_BYTES_MAX;
use crate::steps::copying;
use crate::tokens::TOKEN_BYTES_MAX;
use crate::waiters::Waits;

/// How much of a name is repeated in an error.
const NAME_BYTES_MAX: usize = 128;

pub(crate) fn once(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (token, args) = (args[1], &args[2..]);
    if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) {
        return Err(CommandError::Other("ERR a token has 1 to 64 bytes"));
    }
    let name = args[0];
    let Some((spec, Run::Write(run))) = command::find(name).map(|found| (&found.spec, found.run)) else {
        return Err(not_a_write(name));
    };
    if spec.name == "once" {
        return Err(CommandError::Other("ERR ONCE calls can not be nested"));
    }
    if spec.kind != Kind::Write {
        return Err(not_a_write(name));
    }
    spec.check_arity(args.len())?;
    let (clock, command) = (context.clock(), hash(context.db, spec, args));
    if let Some(executed) = context.keyspace.tokens.get(token, clock)
        && context.keyspace.rules.hold(Rule::OnceTokens)
    {
        return match &executed.answer {
            _ if executed.command != command => {
                Err(CommandError::Other("ERR the token was used before, for another command"))
            }
            None => Err(CommandError::Other("ERR executed before, but its reply was too large to be kept")),
            Some(answer) => {
                write_neutral(answer, reply);
                Ok(())
            }
        };
    }
    if let Some((place, waiting)) = context.keyspace.waiters.by_token(token) {
        return match &mut context.wait {
            _ if waiting != command => {
                Err(CommandError::Other("ERR the token was used before, for another command"))
            }
            Some(wait) => {
                **wait = Some(Waits::InsteadOf(place));
                Ok(())
            }
            None => Err(WAITS_ALREADY),
        };
    }
    context.admit(spec)?;
    let (mut answer, budget) = (Vec::new(), context.budget());
    let pace = |bytes: usize| budget.spend(1 + copying(bytes));
    let mut neutral = Writer::neutral(&mut answer, REPLY_BYTES_MAX).paced(&pace);
    let outcome = run(context, args, &mut neutral);
    if let Some(Some(Waits::For(wanted))) = &mut context.wait {
        wanted.token = Some((token.into(), command));
        return Ok(());
    }
    let is_kept = !neutral.overflowed();
    if let Err(error) = &outcome {
        neutral.truncate(0);
        neutral.error(&error.to_string());
    }
    let kept = is_kept.then_some(answer.as_slice());
    context.keyspace.tokens.remember((token, clock), command, kept, context.apply.memory_max);
    if !is_kept {
        return Err(CommandError::ReplyTooLarge);
    }
    write_neutral(&answer, reply);
    Ok(())
}

fn not_a_write(name: &[u8]) -> CommandError {
    let name = &name[..name.len().min(NAME_BYTES_MAX)];
    CommandError::NotAWrite(String::from_utf8_lossy(name).into_owned())
}

/// Tells commands apart, in whatever letters their names are written.
fn hash(db: u8, spec: &Spec, args: &[&[u8]]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&[db]);
    hash.update(spec.name.as_bytes());
    for arg in &args[1..] {
        hash.update(&(arg.len() as u64).to_le_bytes());
        hash.update(arg);
    }
    hash.digest()
}
