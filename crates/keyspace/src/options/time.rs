//! Times in arguments.

use onecopy_core::Timestamp;

use crate::error::CommandError;
use crate::number::{integer, is_word};

/// The unit and the origin of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds from now on.
    Seconds,
    /// Milliseconds from now on.
    Milliseconds,
    /// Seconds since the epoch.
    SecondsSinceEpoch,
    /// Milliseconds since the epoch.
    MillisecondsSinceEpoch,
}

impl Unit {
    /// The unit that an option of `SET` or `GETEX` names, if it is one of these.
    pub fn of(option: &[u8]) -> Option<Self> {
        let units = [
            ("EX", Self::Seconds),
            ("PX", Self::Milliseconds),
            ("EXAT", Self::SecondsSinceEpoch),
            ("PXAT", Self::MillisecondsSinceEpoch),
        ];
        units.into_iter().find(|(word, _)| is_word(option, word)).map(|(_, unit)| unit)
    }

    /// The time that an argument of the command `name` means, in milliseconds since the epoch. It may lie
    /// before the epoch.
    ///
    /// # Errors
    /// If it is no integer, or too far away.
    pub fn time(self, arg: &[u8], now: Timestamp, name: &'static str) -> Result<i64, CommandError> {
        let number = integer(arg)?;
        let milliseconds = match self {
            Self::Seconds | Self::SecondsSinceEpoch => number.checked_mul(1000),
            Self::Milliseconds | Self::MillisecondsSinceEpoch => Some(number),
        };
        let origin = match self {
            Self::Seconds | Self::Milliseconds => i64::try_from(now.0).unwrap_or(i64::MAX),
            Self::SecondsSinceEpoch | Self::MillisecondsSinceEpoch => 0,
        };
        let time = milliseconds.and_then(|milliseconds| milliseconds.checked_add(origin));
        time.ok_or(CommandError::InvalidExpire(name))
    }

    /// The same for commands that take positive numbers only.
    ///
    /// # Errors
    /// If it is no integer, not positive, or too far away.
    pub fn deadline(self, arg: &[u8], now: Timestamp, name: &'static str) -> Result<Timestamp, CommandError> {
        let invalid = CommandError::InvalidExpire(name);
        if integer(arg)? <= 0 {
            return Err(invalid);
        }
        u64::try_from(self.time(arg, now, name)?).map(Timestamp).map_err(|_| invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(10_000);

    #[test]
    fn units_have_scales_and_origins() {
        for (option, time) in [("ex", 12_000), ("PX", 10_002), ("Exat", 2_000), ("pxAT", 2)] {
            let unit = Unit::of(option.as_bytes()).unwrap();
            assert_eq!(unit.time(b"2", NOW, "set"), Ok(time), "{option}");
            assert_eq!(unit.deadline(b"2", NOW, "set"), Ok(Timestamp(time.unsigned_abs())), "{option}");
        }
        assert_eq!(Unit::of(b"KEEPTTL"), None);
        assert_eq!(Unit::of(b"E"), None);
    }

    #[test]
    fn only_some_commands_take_what_is_past() {
        assert_eq!(Unit::Seconds.time(b"-20", NOW, "expire"), Ok(-10_000));
        assert_eq!(Unit::MillisecondsSinceEpoch.time(b"-1", NOW, "pexpireat"), Ok(-1));
        for past in ["0", "-1"] {
            let deadline = Unit::Seconds.deadline(past.as_bytes(), NOW, "setex");
            assert_eq!(deadline, Err(CommandError::InvalidExpire("setex")), "{past}");
        }
    }

    #[test]
    fn times_that_overflow_are_invalid() {
        let invalid = CommandError::InvalidExpire("set");
        let largest = i64::MAX.to_string();
        for unit in [Unit::Seconds, Unit::SecondsSinceEpoch, Unit::Milliseconds] {
            assert_eq!(unit.time(largest.as_bytes(), NOW, "set"), Err(invalid.clone()), "{unit:?}");
            assert_eq!(unit.deadline(largest.as_bytes(), NOW, "set"), Err(invalid.clone()), "{unit:?}");
        }
        assert_eq!(Unit::MillisecondsSinceEpoch.time(largest.as_bytes(), NOW, "set"), Ok(i64::MAX));
        assert_eq!(Unit::Seconds.time(b"-9223372036854775808", NOW, "set"), Err(invalid));
        assert_eq!(Unit::Seconds.time(b"soon", NOW, "set"), Err(CommandError::NotInteger));
        assert_eq!(Unit::Seconds.deadline(b"soon", NOW, "set"), Err(CommandError::NotInteger));
    }
}
