//! What the family of `EXPIRE` says: when, and under which conditions.

use onecopy_core::Timestamp;

use super::Unit;
use crate::error::CommandError;
use crate::number::is_word;

/// When `EXPIRE` is to change nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Conditions {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for option in args {
            let flag = match option {
                _ if is_word(option, "NX") => &mut conditions.only_without,
                _ if is_word(option, "XX") => &mut conditions.only_with,
                _ if is_word(option, "GT") => &mut conditions.only_later,
                _ if is_word(option, "LT") => &mut conditions.only_earlier,
                _ => {
                    return Err(CommandError::UnsupportedOption(
                        String::from_utf8_lossy(option).into_owned(),
                    ));
                }
            };
            *flag = true;
        }
        let others = conditions.only_with || conditions.only_later || conditions.only_earlier;
        if conditions.only_without && others {
            return Err(CommandError::Other(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.only_later && conditions.only_earlier {
            return Err(CommandError::Other("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether an expiry may be replaced by one at `when`, which may lie before the epoch.
    fn allow(self, current: Option<Timestamp>, when: i64) -> bool {
        let current = current.map(|expires| i64::try_from(expires.0).unwrap_or(i64::MAX));
        !(self.only_without && current.is_some()
            || self.only_with && current.is_none()
            // No expiry counts as one that never comes.
            || self.only_later && current.is_none_or(|current| when <= current)
            || self.only_earlier && current.is_some_and(|current| when >= current))
    }
}

/// A command of the family, parsed.
#[derive(Clone, Copy, Debug)]
pub struct Expire {
    conditions: Conditions,
    /// In milliseconds since the epoch, or before it.
    when: i64,
}

impl Expire {
    /// Parses what follows the key: a time in `unit`, and conditions. `name` is that of the command.
    ///
    /// # Errors
    /// If an option is unknown or contradicts another one, or if the time is none.
    ///
    /// # Panics
    /// If there is no argument.
    pub fn parse(
        args: &[&[u8]],
        unit: Unit,
        now: Timestamp,
        name: &'static str,
    ) -> Result<Self, CommandError> {
        let conditions = Conditions::parse(&args[1..])?;
        Ok(Self { conditions, when: unit.time(args[0], now, name)? })
    }

    /// The expiry that a key gets which has `current`; `None` if the conditions leave it as it is.
    pub fn resolve(self, current: Option<Timestamp>) -> Option<Timestamp> {
        // Before the epoch is as past as the epoch.
        let new = Timestamp(u64::try_from(self.when).unwrap_or(0));
        self.conditions.allow(current, self.when).then_some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    fn parse(text: &str) -> Result<Expire, CommandError> {
        Expire::parse(&split(text), Unit::MillisecondsSinceEpoch, Timestamp(10_000), "pexpireat")
    }

    #[test]
    fn conditions_compare_with_the_expiry_that_there_is() {
        // Whether a key gets the expiry 50 that has none, 40, 50 or 60.
        for (options, allowed) in [
            ("", [true, true, true, true]),
            ("nx", [true, false, false, false]),
            ("XX", [false, true, true, true]),
            ("GT", [false, true, false, false]),
            ("LT", [true, false, false, true]),
            ("XX LT", [false, false, false, true]),
            ("GT XX GT", [false, true, false, false]),
        ] {
            let expire = parse(&format!("50 {options}")).unwrap();
            let current = [None, Some(40), Some(50), Some(60)].map(|time| time.map(Timestamp));
            let expected = allowed.map(|allowed| allowed.then_some(Timestamp(50)));
            assert_eq!(current.map(|current| expire.resolve(current)), expected, "{options}");
        }
    }

    #[test]
    fn before_the_epoch_is_earlier_than_the_epoch() {
        let epoch = Some(Timestamp(0));
        assert_eq!(parse("-5").unwrap().resolve(None), epoch);
        assert_eq!(parse("-5 LT").unwrap().resolve(epoch), epoch);
        assert_eq!(parse("0 LT").unwrap().resolve(epoch), None);
    }

    #[test]
    fn conditions_that_contradict_each_other_are_refused() {
        for options in ["NX XX", "GT NX", "NX LT"] {
            let error = "ERR NX and XX, GT or LT options at the same time are not compatible";
            assert_eq!(parse(&format!("1 {options}")).unwrap_err(), CommandError::Other(error), "{options}");
        }
        let error = "ERR GT and LT options at the same time are not compatible";
        assert_eq!(parse("1 GT LT").unwrap_err(), CommandError::Other(error));
        assert_eq!(parse("1 EQ").unwrap_err(), CommandError::UnsupportedOption("EQ".to_owned()));
        assert_eq!(parse("soon EQ").unwrap_err(), CommandError::UnsupportedOption("EQ".to_owned()));
        assert_eq!(parse("soon").unwrap_err(), CommandError::NotInteger);
    }
}
