//! Which commands there are, and how to find one by its name.

mod access;
mod blocking;
pub mod catalogue;
mod introspect;
mod keys;
mod table;

pub use access::{KeyAccess, key_accesses};
pub use blocking::{is_blocking, may_wait};
pub use introspect::{IsThere, reply_docs, reply_getkeys, reply_info};
pub use keys::key_positions;
pub(crate) use keys::looks_beyond_its_keys;

use onecopy_resp::Writer;
use onecopy_script::Header;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};

/// What a command needs in order to be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changes nothing and depends on nothing but the state: it may be executed as a read.
    Read,
    /// It changes the state, so it goes through the log.
    Write,
    /// It changes no data, but needs the time or the random numbers of an entry, or its place among others,
    /// so it goes through the log.
    Settled,
}

/// The description of a command.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name in small letters, as Redis writes it in replies.
    pub name: &'static str,
    /// How many arguments it takes, its name included; at least so many when negative.
    pub arity: i32,
    /// What it needs in order to be executed.
    pub kind: Kind,
    /// It may need more memory: refused while the memory is full.
    pub grows: bool,
    /// It takes constant or logarithmic time.
    pub fast: bool,
    /// The position of the first key among the arguments; 0 if there is none.
    pub first_key: i32,
    /// The position of the last key, counted from the end when negative.
    pub last_key: i32,
    /// The distance between keys.
    pub key_step: i32,
    /// The position of the argument that says how many keys follow it; 0 if there is none.
    pub key_count_at: usize,
    /// The group that Redis' documentation puts it in.
    pub group: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// The time that it takes.
    pub complexity: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
}

impl Spec {
    /// Whether what a client may do matters while the command is executed, and not only before: it executes
    /// others.
    #[must_use]
    pub fn carries_rights(&self) -> bool {
        self.group == "scripting" || self.name == "once"
    }

    /// Whether so many arguments, the name included, are right.
    ///
    /// # Errors
    /// [`CommandError::Arity`] if not.
    pub fn check_arity(&self, argc: usize) -> Result<(), CommandError> {
        let expected = self.arity.unsigned_abs() as usize;
        let right = if self.arity >= 0 { argc == expected } else { argc >= expected };
        if right { Ok(()) } else { Err(CommandError::Arity(self.name)) }
    }
}

/// Whether a command waits while clients that write are paused: those that write, those that publish, and
/// scripts that do not say that they only read. As in Redis, `PFCOUNT` does too.
#[must_use]
pub fn may_replicate(spec: &Spec, args: &[&[u8]]) -> bool {
    match spec.name {
        "publish" | "spublish" | "pfcount" => true,
        "eval" => args.get(1).is_none_or(|text| !Header::of(text).is_ok_and(|header| header.flags.no_writes)),
        _ => spec.kind == Kind::Write,
    }
}

/// How a command is executed.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    Read(ReadFn),
    Write(WriteFn),
    /// The first as a read, the second within an entry, where it may wait.
    ReadOrWait(ReadFn, WriteFn),
}

type ReadFn = fn(&View<'_>, &[&[u8]], &mut Writer<'_>) -> Outcome;
type WriteFn = fn(&mut Context<'_>, &[&[u8]], &mut Writer<'_>) -> Outcome;

/// A command with its description.
pub(crate) struct Command {
    pub(crate) spec: Spec,
    pub(crate) run: Run,
}

/// The slots of the hash table over the names. A power of two, several times as large as the table.
const SLOTS: usize = 1024;
/// The longest name of a command.
const NAME_MAX: usize = 24;

/// Position in the table plus one, by the hash of the name; 0 is a free slot. Made by the compiler.
static INDEX: [u8; SLOTS] = index();

const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ hash >> 15) as usize % SLOTS
}

const fn index() -> [u8; SLOTS] {
    let mut slots = [0; SLOTS];
    assert!(table::TABLE.len() < u8::MAX as usize, "the index needs wider slots");
    let mut position = 0;
    while position < table::TABLE.len() {
        let name = table::TABLE[position].spec.name.as_bytes();
        assert!(name.len() <= NAME_MAX, "a name is longer than NAME_MAX");
        let mut slot = hash(name);
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = position as u8 + 1;
        position += 1;
    }
    slots
}

/// The command with this name, in letters of any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    if name.len() > NAME_MAX {
        return None;
    }
    let mut slot = hash(name);
    loop {
        let position = usize::from(INDEX[slot]).checked_sub(1)?;
        let command = &table::TABLE[position];
        if command.spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The description of the command with this name, in letters of any case.
#[must_use]
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    find(name).map(|command| &command.spec)
}

/// The descriptions of all commands of the state machine, sorted by name.
pub fn all() -> impl ExactSizeIterator<Item = &'static Spec> + Clone {
    table::TABLE.iter().map(|command| &command.spec)
}

/// What Redis answers to a command that it does not know, without the leading `-`.
#[must_use]
pub fn unknown_command(args: &[&[u8]]) -> String {
    /// How much of the name, and of the arguments together, is repeated.
    const REPEATED_MAX: usize = 128;
    let text =
        |bytes: &[u8], max: usize| String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned();
    let (name, rest) = args.split_first().map_or((&b""[..], args), |(name, rest)| (*name, rest));
    let mut repeated = String::new();
    for arg in rest {
        if repeated.len() >= REPEATED_MAX {
            break;
        }
        let part = text(arg, REPEATED_MAX - repeated.len());
        repeated.push_str(&format!("'{part}' "));
    }
    format!("ERR unknown command '{}', with args beginning with: {repeated}", text(name, REPEATED_MAX))
}

#[cfg(test)]
mod tests;
