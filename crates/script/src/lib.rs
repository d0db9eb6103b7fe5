//! Lua scripts that do the same on every copy.
//!
//! A script is executed by every copy, so it may see nothing in which copies differ. It runs on the Lua that
//! Redis has, with changes that close every such source (`vendor/lua-src`), in an [`Engine`]: a state of Lua
//! with what Redis 7.2 lets scripts see. What a script asks for beyond that it asks of a [`Host`], which
//! executes commands, knows the time, and counts what is done.
//!
//! # What is closed
//!
//! - *Addresses.* Objects are numbered as they are made, from the same number on for each script. The number
//!   stands where an address would: in `tostring`, and in the order of tables whose keys are objects.
//! - *Garbage.* It is collected when a script has allocated so much, and not when memory would be scarce; no
//!   table is weak, nothing is finalized, and `collectgarbage` counts nothing.
//! - *What was before.* Nothing that a script can reach outlives it: what it could change is read-only, or
//!   reset for the next.
//! - *Numbers.* Powers, logarithms and the like are computed alike by every processor and C library, and what
//!   is no number has one spelling. Random numbers come from a seed that the host gives, `os.clock` is the
//!   host's time.
//! - *How long.* Work is counted in instructions, and functions of Lua's libraries count theirs. Memory is
//!   counted when garbage is collected. Both have limits, which a script meets at the same instruction
//!   everywhere.
//!
//! # How a script is stopped
//!
//! What stops a script is an error that it cannot catch: `pcall` and coroutines pass on whatever is an error
//! of the host ([`Stop`]), and a lack of memory. Then the state is thrown away, so that nothing of it is
//! left. A host that unwinds (because its stack is not needed any more) passes through in the same way.

mod engine;
mod environment;
mod from_resp;
mod header;
mod library;
mod number;
mod run;
mod to_resp;

pub use engine::{Described, Engine, MEMORY_MAX};
pub use header::{Flags, Header, HeaderError};
pub use library::{LibraryError, LibraryHeader};
pub use run::{Call, Host, Outcome, Stop};

/// The name of a script: the SHA-1 of its text, in hexadecimal.
#[must_use]
pub fn name_of(text: &[u8]) -> String {
    use sha1::Digest;
    let digest = sha1::Sha1::digest(text);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
