//! Ids of streams among the arguments and in replies.

use onecopy_resp::Writer;

use crate::error::CommandError;
use crate::value::stream::Id;

const INVALID: CommandError =
    CommandError::Other("ERR Invalid stream ID specified as stream command argument");

/// The longest text that may be an id.
const TEXT_MAX: usize = 127;

/// An id for a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`
    Any,
    /// `ms-*`
    At(u64),
    Exactly(Id),
}

impl NewId {
    pub(super) fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg.strip_suffix(b"-*") {
            _ if arg == b"*" => Ok(Self::Any),
            Some(ms) if arg.len() <= TEXT_MAX => number(ms).map(Self::At).ok_or(INVALID),
            _ => id(arg, 0).map(Self::Exactly),
        }
    }
}

/// What Redis takes for a number without a sign: as `strtoull` does, so blanks and a plus may stand before
/// it.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let all = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
}

/// An id, in full or only its time; then it has the number `missing`.
pub(super) fn id(arg: &[u8], missing: u64) -> Result<Id, CommandError> {
    let (ms, seq) = match arg.iter().position(|byte| *byte == b'-') {
        Some(at) => (number(&arg[..at]), number(&arg[at + 1..])),
        None => (number(arg), Some(missing)),
    };
    let id = ms.zip(seq).map(|(ms, seq)| Id { ms, seq });
    id.filter(|_| arg.len() <= TEXT_MAX).ok_or(INVALID)
}

/// The same; `-` and `+` stand for the first and the last of all.
pub(super) fn id_or_end(arg: &[u8], missing: u64) -> Result<Id, CommandError> {
    match arg {
        b"-" => Ok(Id::ZERO),
        b"+" => Ok(Id::MAX),
        _ => id(arg, missing),
    }
}

/// Where an interval begins. What stands behind `(` is not part of it.
pub(super) fn start(arg: &[u8]) -> Result<Id, CommandError> {
    match arg {
        [b'(', arg @ ..] if !arg.is_empty() => {
            id(arg, 0)?.next().ok_or(CommandError::Other("ERR invalid start ID for the interval"))
        }
        _ => id_or_end(arg, 0),
    }
}

/// Where an interval ends.
pub(super) fn end(arg: &[u8]) -> Result<Id, CommandError> {
    match arg {
        [b'(', arg @ ..] if !arg.is_empty() => {
            id(arg, u64::MAX)?.previous().ok_or(CommandError::Other("ERR invalid end ID for the interval"))
        }
        _ => id_or_end(arg, u64::MAX),
    }
}

pub(super) fn reply_id(id: Id, reply: &mut Writer<'_>) {
    id.with_text(|text| reply.bulk(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let at = |ms, seq| Ok(Id { ms, seq });
        for (text, expected) in [
            ("5", at(5, 9)),
            ("5-3", at(5, 3)),
            ("007-+3", at(7, 3)),
            (" 1- 2", at(1, 2)),
            ("18446744073709551615-18446744073709551615", at(u64::MAX, u64::MAX)),
            ("18446744073709551616", Err(INVALID)),
            ("-", Err(INVALID)),
            ("+", Err(INVALID)),
            ("1-", Err(INVALID)),
            ("-1", Err(INVALID)),
            ("1-2-3", Err(INVALID)),
            ("1-*", Err(INVALID)),
            ("", Err(INVALID)),
        ] {
            assert_eq!(id(text.as_bytes(), 9), expected, "{text}");
        }
        assert_eq!(id(&[b'0'; 128], 0), Err(INVALID));
        assert_eq!(NewId::parse(b"1-*"), Ok(NewId::At(1)));
        assert_eq!(NewId::parse(b"*"), Ok(NewId::Any));
        assert_eq!(NewId::parse(b"-*"), Err(INVALID));
        assert_eq!(start(b"(5-18446744073709551615"), at(6, 0));
        assert_eq!(end(b"(5"), at(5, u64::MAX - 1));
        assert!(start(b"(").is_err() && end(b"(0-0").is_err() && start(b"(-").is_err());
    }
}
