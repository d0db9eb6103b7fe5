//! The options of commands: what their arguments say, apart from keys and values, and what that means.
//!
//! Each type parses arguments, and answers what its command has to know: whether a condition holds, which
//! score a member gets, when a key expires from now on, which ranks are selected. None of them knows how the
//! data is kept, so that everything that speaks Redis' commands can use them, and answers alike.
//!
//! | module | what |
//! | --- | --- |
//! | `time` | times in seconds or milliseconds, from now on or since the epoch |
//! | `set` | `SET` and `GETEX` |
//! | `expire` | the family of `EXPIRE` |
//! | `zadd` | `ZADD` |
//! | `search` | `LPOS` |
//! | `pop` | `LMPOP`, `ZMPOP`, and the ends of lists and sorted sets |
//! | `range`, `bounds` | the family of `ZRANGE`, and what its ranges select |
//! | `algebra` | `ZUNION`, `ZINTER`, `ZDIFF` and their relatives |
//! | `cardinality` | `SINTERCARD` |
//! | `draw` | `SRANDMEMBER`, `HRANDFIELD`, `ZRANDMEMBER` |
//! | `scan` | `SCAN` and its relatives |
//! | `copy` | `COPY`, and numbers of databases |
//! | `restore` | `RESTORE` |

mod algebra;
mod bounds;
mod cardinality;
mod copy;
mod draw;
mod expire;
mod pop;
mod range;
mod restore;
mod scan;
mod search;
mod set;
mod time;
mod zadd;

pub use algebra::{Aggregate, AlgebraForm, AlgebraOptions, Operation, split_keys, weighted};
pub use bounds::{Bounds, By, Ranking};
pub use cardinality::Cardinality;
pub use copy::{CopyOptions, database_number};
pub use draw::{Draw, DrawOptions};
pub use expire::Expire;
pub use pop::{ListEnd, PopOptions, ScoreEnd};
pub use range::RangeQuery;
pub use restore::RestoreOptions;
pub use scan::{ScanOptions, parse_cursor};
pub use search::Search;
pub use set::{Expiry, GetexOptions, SetOptions};
pub use time::Unit;
pub use zadd::ZaddOptions;

use crate::error::CommandError;
use crate::number::parse_integer;

/// A number that must not be negative, and where zero means no limit.
fn limit(arg: &[u8], error: &'static str) -> Result<usize, CommandError> {
    let number = parse_integer(arg).and_then(|number| usize::try_from(number).ok());
    let number = number.ok_or(CommandError::Other(error))?;
    Ok(if number == 0 { usize::MAX } else { number })
}

/// A number that must be at least 1.
fn positive(arg: &[u8], error: &'static str) -> Result<usize, CommandError> {
    let number = parse_integer(arg).and_then(|number| usize::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or(CommandError::Other(error))
}

/// Arguments, for tests.
#[cfg(test)]
fn split(text: &str) -> Vec<&[u8]> {
    text.split_whitespace().map(str::as_bytes).collect()
}
