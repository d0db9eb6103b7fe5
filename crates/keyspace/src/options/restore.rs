//! The options of `RESTORE`.

use onecopy_core::Timestamp;

use crate::error::CommandError;
use crate::number::{integer, is_word};

/// How a value is put in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// `REPLACE`: whatever is there makes room.
    pub replace: bool,
    /// `ABSTTL`: the time is one since the epoch.
    absolute: bool,
}

impl RestoreOptions {
    /// Parses what follows the payload. `IDLETIME` and `FREQ` are checked, and say nothing here.
    ///
    /// # Errors
    /// If an option is unknown, or its number makes no sense.
    pub fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let (mut options, mut rest) = (Self::default(), args);
        let (mut idle, mut used) = (false, false);
        while let [option, tail @ ..] = rest {
            rest = match tail {
                _ if is_word(option, "REPLACE") => {
                    options.replace = true;
                    tail
                }
                _ if is_word(option, "ABSTTL") => {
                    options.absolute = true;
                    tail
                }
                [seconds, tail @ ..] if is_word(option, "IDLETIME") && !used => {
                    if integer(seconds)? < 0 {
                        return Err(CommandError::Other("ERR Invalid IDLETIME value, must be >= 0"));
                    }
                    idle = true;
                    tail
                }
                [frequency, tail @ ..] if is_word(option, "FREQ") && !idle => {
                    if !(0..=255).contains(&integer(frequency)?) {
                        return Err(CommandError::Other("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                    }
                    used = true;
                    tail
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(options)
    }

    /// When the value expires, if ever.
    ///
    /// # Errors
    /// If the time is none.
    pub fn expires(self, ttl: &[u8], now: Timestamp) -> Result<Option<Timestamp>, CommandError> {
        let ttl = u64::try_from(integer(ttl)?);
        let ttl = ttl.map_err(|_| CommandError::Other("ERR Invalid TTL value, must be >= 0"))?;
        let time = if self.absolute { ttl } else { now.0.saturating_add(ttl) };
        Ok((ttl > 0).then_some(Timestamp(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    #[test]
    fn options_come_in_any_order_and_their_numbers_are_checked() {
        let parse = |text| RestoreOptions::parse(&split(text));
        assert_eq!(parse(""), Ok(RestoreOptions::default()));
        let both = RestoreOptions { replace: true, absolute: true };
        assert_eq!(parse("absttl REPLACE IDLETIME 5"), Ok(both));
        assert_eq!(parse("FREQ 255"), Ok(RestoreOptions::default()));
        for text in ["IDLETIME", "FREQ", "IDLETIME 1 FREQ 1", "FREQ 1 IDLETIME 1", "REPLACED"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
        assert!(matches!(parse("FREQ 256"), Err(CommandError::Other(_))));
        assert!(matches!(parse("IDLETIME -1"), Err(CommandError::Other(_))));
        assert_eq!(parse("IDLETIME x"), Err(CommandError::NotInteger));
    }

    #[test]
    fn a_time_counts_from_now_or_from_the_epoch() {
        let now = Timestamp(1_000);
        let (relative, absolute) = (RestoreOptions::default(), RestoreOptions::parse(&[b"ABSTTL"]).unwrap());
        assert_eq!(relative.expires(b"5", now), Ok(Some(Timestamp(1_005))));
        assert_eq!(absolute.expires(b"5", now), Ok(Some(Timestamp(5))));
        assert_eq!((relative.expires(b"0", now), absolute.expires(b"0", now)), (Ok(None), Ok(None)));
        assert!(relative.expires(b"-1", now).is_err() && relative.expires(b"", now).is_err());
    }
}
