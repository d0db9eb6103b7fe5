//! Who watches what scripts do, as `MONITOR` does.

use std::fmt;

use onecopy_core::Incarnation;

/// Is shown the commands that scripts call, by the copies that it was given to. It changes nothing: other copies
/// need not have one.
pub trait Spectator: fmt::Debug + Send + Sync {
    /// Whether somebody looks.
    fn looks(&self) -> bool;

    /// A script has called a command, in this database of the machine. Of a script within an entry it is known
    /// who has sent it.
    fn called(&self, from: Option<Incarnation>, db: u8, args: &[&[u8]]);
}
