//! What a command answers when it cannot be executed. The texts are those of Redis, to the letter: clients
//! and their test suites compare them.

/// Why a command was not executed. Displayed as the error reply, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The key holds a value of another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// The options do not make sense.
    #[error("ERR syntax error")]
    Syntax,
    /// An argument or a stored value should be an integer, in some range.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// An argument should be a number, in some range.
    #[error("ERR value is out of range")]
    OutOfRange,
    /// An argument must not be negative.
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    /// An argument or a stored value should be a number.
    #[error("ERR value is not a valid float")]
    NotFloat,
    /// A counter would leave the range of a signed 64-bit integer.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// A counter would become something that is no number.
    #[error("ERR increment would produce NaN or Infinity")]
    NotFinite,
    /// A string would become longer than Redis allows.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// A place does not exist, or is too near to a pole.
    #[error("ERR invalid longitude,latitude pair {0}")]
    InvalidPlace(String),
    /// A query for what is around a place needs one of two options, and only one.
    #[error("ERR exactly one of {options} can be specified for {command}")]
    NotExactlyOne {
        /// Both options.
        options: &'static str,
        /// The command, in the letters of the client.
        command: String,
    },
    /// A command that works on several keys was given none.
    #[error("ERR at least 1 input key is needed for '{0}' command")]
    NoInputKey(&'static str),
    /// The key does not exist.
    #[error("ERR no such key")]
    NoSuchKey,
    /// A database number is not one of those that exist.
    #[error("ERR DB index is out of range")]
    DatabaseOutOfRange,
    /// An expiry lies before the epoch or too far in the future.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// An option that `EXPIRE` does not know.
    #[error("ERR Unsupported option {0}")]
    UnsupportedOption(String),
    /// The number of arguments is not what the command needs.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    /// There is no such command, or no such form of it.
    #[error("{0}")]
    Unknown(String),
    /// There is no such subcommand.
    #[error("ERR unknown subcommand '{subcommand}'. Try {command} HELP.")]
    UnknownSubcommand {
        /// The command, in capital letters.
        command: &'static str,
        /// What was asked of it.
        subcommand: String,
    },
    /// There is no such form of a subcommand.
    #[error("ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try {command} HELP.")]
    UnknownForm {
        /// The command, in capital letters.
        command: &'static str,
        /// What was asked of it.
        subcommand: String,
    },
    /// There is no such consumer group of a stream.
    #[error("NOGROUP {0}")]
    NoGroup(String),
    /// A script was stopped. What it had written was undone.
    #[error("{0}")]
    Stopped(onecopy_script::Stop),
    /// The primary's memory is full, and the command would need more.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// A command that must go through the log was sent as a read.
    #[error("ERR the command '{0}' changes or settles state and cannot be executed as a read")]
    NotARead(&'static str),
    /// `ONCE` was asked to execute something that changes no data, or that the state machine does not know.
    #[error("ERR ONCE executes commands that change data, and '{0}' is not one of them")]
    NotAWrite(String),
    /// The command would take more steps than a command may ([`STEPS_MAX`](crate::steps::STEPS_MAX)).
    #[error("ERR the command would take too long; ask for less at a time")]
    TooLong,
    /// The answers of the commands before it, in the same request, are so large that there is no room for
    /// another one.
    #[error("TRYAGAIN the answers before it are too large together; it was not executed")]
    ResponseFull,
    /// The reply would be larger than a response may be.
    #[error("ERR the reply would be too large; ask for less at a time")]
    ReplyTooLarge,
    /// The replies before it, in the same transaction, are so large that its own is left out.
    #[error("ERR executed, but the replies of the transaction are too large together")]
    RepliesTooLarge,
    /// The bytes are not in the encoding of commands.
    #[error("ERR malformed request")]
    Malformed,
    /// What one command says of something that it was given.
    #[error("{0}")]
    Said(String),
    /// What only one command, or one family of them, can say.
    #[error("{0}")]
    Other(&'static str),
}

/// The result of a command, beyond what it wrote into the reply.
pub(crate) type Outcome = Result<(), CommandError>;
