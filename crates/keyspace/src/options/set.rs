//! The options of `SET` and `GETEX`.

use onecopy_core::Timestamp;

use super::Unit;
use crate::error::CommandError;
use crate::number::is_word;

/// When `SET` is to change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// `NX`: unless the key is absent.
    Absent,
    /// `XX`: unless the key is present.
    Present,
}

/// What a command does to the expiry of the key that it writes or reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The key keeps the expiry that it has.
    Keep,
    /// The key expires no more.
    Never,
    /// The key expires at this time.
    At(Timestamp),
}

impl Expiry {
    /// When a key expires from now on, if until now it would have expired at `current`.
    pub fn after(self, current: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Keep => current,
            Self::Never => None,
            Self::At(time) => Some(time),
        }
    }
}

/// The options of `SET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetOptions {
    condition: Option<Condition>,
    /// `GET`: the answer is what the key held before.
    pub get: bool,
    /// What becomes of the expiry.
    pub expiry: Expiry,
}

impl SetOptions {
    /// Parses what follows key and value.
    ///
    /// # Errors
    /// If an option is unknown or contradicts another one, or if the time of an expiry is invalid. The
    /// spelling comes first: a wrong time is noticed only if there is nothing else to complain of.
    pub fn parse(args: &[&[u8]], now: Timestamp) -> Result<Self, CommandError> {
        // Of an option that is repeated, the last one counts.
        let is_same = |unit, time: Option<(Unit, _)>| time.is_none_or(|(before, _)| before == unit);
        let (mut condition, mut get, mut keeps, mut time) = (None, false, false, None);
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            if is_word(option, "NX") && condition != Some(Condition::Present) {
                condition = Some(Condition::Absent);
            } else if is_word(option, "XX") && condition != Some(Condition::Absent) {
                condition = Some(Condition::Present);
            } else if is_word(option, "GET") {
                get = true;
            } else if is_word(option, "KEEPTTL") && time.is_none() {
                keeps = true;
            } else if let Some(unit) = Unit::of(option).filter(|unit| !keeps && is_same(*unit, time)) {
                time = Some((unit, rest.next().ok_or(CommandError::Syntax)?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let expiry = match time {
            Some((unit, arg)) => Expiry::At(unit.deadline(arg, now, "set")?),
            None if keeps => Expiry::Keep,
            None => Expiry::Never,
        };
        Ok(Self { condition, get, expiry })
    }

    /// Whether a key may be set that is present or not.
    pub fn allow(self, is_present: bool) -> bool {
        match self.condition {
            None => true,
            Some(Condition::Absent) => !is_present,
            Some(Condition::Present) => is_present,
        }
    }
}

/// The options of `GETEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetexOptions<'a> {
    /// The expiry stays.
    Keep,
    /// `PERSIST`: the expiry goes.
    Persist,
    /// The expiry is set to a time, which nobody has looked at yet.
    At(Unit, &'a [u8]),
}

impl<'a> GetexOptions<'a> {
    /// Parses what follows the key.
    ///
    /// # Errors
    /// If an option is unknown, or contradicts another one.
    pub fn parse(args: &[&'a [u8]]) -> Result<Self, CommandError> {
        let (mut options, mut rest) = (Self::Keep, args.iter());
        while let Some(option) = rest.next() {
            options = match (options, Unit::of(option)) {
                (Self::Keep | Self::Persist, _) if is_word(option, "PERSIST") => Self::Persist,
                (Self::Keep, Some(unit)) => Self::At(unit, rest.next().ok_or(CommandError::Syntax)?),
                // Of an option that is repeated, the last one counts.
                (Self::At(before, _), Some(unit)) if before == unit => {
                    Self::At(unit, rest.next().ok_or(CommandError::Syntax)?)
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(options)
    }

    /// What becomes of the expiry. Asked for only once there is a string that may expire: where there is
    /// none, an invalid time is no error.
    ///
    /// # Errors
    /// If the time is invalid.
    pub fn expiry(self, now: Timestamp) -> Result<Expiry, CommandError> {
        Ok(match self {
            Self::Keep => Expiry::Keep,
            Self::Persist => Expiry::Never,
            Self::At(unit, arg) => Expiry::At(unit.deadline(arg, now, "getex")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    const NOW: Timestamp = Timestamp(10_000);

    fn parse(text: &str) -> Result<SetOptions, CommandError> {
        SetOptions::parse(&split(text), NOW)
    }

    #[test]
    fn conditions_look_at_whether_the_key_is_present() {
        for (text, if_absent, if_present) in
            [("", true, true), ("nx", true, false), ("XX get", false, true), ("NX NX", true, false)]
        {
            let options = parse(text).unwrap();
            assert_eq!((options.allow(false), options.allow(true)), (if_absent, if_present), "{text}");
        }
        assert!(parse("xx GET").unwrap().get);
        assert!(!parse("xx").unwrap().get);
    }

    #[test]
    fn an_expiry_is_kept_removed_or_replaced() {
        let current = Some(Timestamp(77));
        for (text, after) in [
            ("", None),
            ("KEEPTTL", current),
            ("keepttl KEEPTTL", current),
            ("EX 5", Some(Timestamp(15_000))),
            ("PXAT 5 NX", Some(Timestamp(5))),
        ] {
            assert_eq!(parse(text).unwrap().expiry.after(current), after, "{text}");
        }
        assert_eq!(parse("KEEPTTL").unwrap().expiry.after(None), None);
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        assert_eq!(parse("EX 1 EX 5").unwrap().expiry, Expiry::At(Timestamp(15_000)));
        for text in ["NX XX", "XX NX", "EX 1 PX 1", "EX 1 EX", "EX 1 KEEPTTL", "KEEPTTL EX 1", "EX", "TTL"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
    }

    #[test]
    fn a_wrong_time_is_noticed_last() {
        assert_eq!(parse("EX 0"), Err(CommandError::InvalidExpire("set")));
        assert_eq!(parse("EX soon"), Err(CommandError::NotInteger));
        assert_eq!(parse("EX soon what"), Err(CommandError::Syntax));
    }

    #[test]
    fn getex_takes_one_option_perhaps_several_times() {
        let parse = |text| GetexOptions::parse(&split(text)).map(|options| options.expiry(NOW));
        assert_eq!(parse(""), Ok(Ok(Expiry::Keep)));
        assert_eq!(parse("persist"), Ok(Ok(Expiry::Never)));
        assert_eq!(parse("EX 1"), Ok(Ok(Expiry::At(Timestamp(11_000)))));
        assert_eq!(parse("EX 0"), Ok(Err(CommandError::InvalidExpire("getex"))));
        assert_eq!(parse("EX 1 EX 2"), Ok(Ok(Expiry::At(Timestamp(12_000)))));
        assert_eq!(parse("PERSIST persist"), Ok(Ok(Expiry::Never)));
        for text in ["EX", "PERSIST EX 1", "EX 1 PERSIST", "EX 1 PX 1", "KEEPTTL 1"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
    }
}
