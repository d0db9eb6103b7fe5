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
//! | `range`, `bounds` | the family of `ZRANGE`, and what its ranges select |
//! | `algebra` | `ZUNION`, `ZINTER`, `ZDIFF` and their relatives |

mod algebra;
mod bounds;
mod expire;
mod range;
mod search;
mod set;
mod time;
mod zadd;

pub use algebra::{Aggregate, AlgebraForm, AlgebraOptions, Operation, split_keys, weighted};
pub use bounds::{Bounds, By, LexBound, Ranking, ScoreBound};
pub use expire::Expire;
pub use range::RangeQuery;
pub use search::Search;
pub use set::{Condition, Expiry, GetexOptions, SetOptions};
pub use time::Unit;
pub use zadd::ZaddOptions;
