//! What a script asks of whoever runs it, and how it comes to an end.

use std::fmt;

use onecopy_resp::Version;

/// Why a script was stopped. It cannot catch that, and what it has written is to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has done too much.
    Work,
    /// It holds too much memory.
    Memory,
    /// What it has written is more than can be undone.
    Undo,
    /// Somebody wants it to stop, and it only reads.
    Killed,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Work => "ERR the script took too long and was stopped; all that it had written was undone",
            Self::Memory => {
                "ERR the script held too much memory and was stopped; all that it had written was undone"
            }
            Self::Undo => {
                "ERR the script wrote more than can be undone and was stopped; all that it had written was \
                 undone"
            }
            Self::Killed => "ERR Script killed by user with SCRIPT KILL.",
        })
    }
}

impl std::error::Error for Stop {}

/// What became of a command of a script, if it has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// It is an error, which begins with its code.
    Error(String),
    /// The script goes no further.
    Stop(Stop),
}

impl From<Stop> for Call {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// What executes the commands of a script.
pub trait Host {
    /// Executes a command, and appends its reply in this protocol.
    ///
    /// # Errors
    /// When it is not executed, or the script is stopped.
    fn call(&mut self, args: &[&[u8]], version: Version, reply: &mut Vec<u8>) -> Result<(), Call>;

    /// So many steps, of a tenth of a microsecond each, have been done. May pause.
    ///
    /// # Errors
    /// When these are too many.
    fn work(&mut self, steps: usize) -> Result<(), Stop>;

    /// Whether there is such a command.
    fn is_command(&self, name: &[u8]) -> bool;

    /// Whether whoever has called the script may execute this.
    fn may(&self, args: &[&[u8]]) -> bool;

    /// The time, in milliseconds. It stands still while a script runs.
    fn time_ms(&self) -> u64;

    /// What random numbers come from.
    fn seed(&self) -> u64;
}

/// What became of a script that was not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has returned, or raised an error. The reply is written.
    Ended,
    /// It is no Lua. The reply is written.
    Malformed,
}
