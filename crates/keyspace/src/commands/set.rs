//! `SET` and the commands that are a `SET` or a `GET` with an expiry.

use onecopy_core::Timestamp;
use onecopy_resp::Writer;

use super::strings::reply_text;
use crate::context::Context;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word};
use crate::slot::New;
use crate::value::Text;

/// The unit and the origin of an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
    SecondsSinceEpoch,
    MillisecondsSinceEpoch,
}

impl Unit {
    fn of(option: &[u8]) -> Option<Self> {
        let units = [
            ("EX", Self::Seconds),
            ("PX", Self::Milliseconds),
            ("EXAT", Self::SecondsSinceEpoch),
            ("PXAT", Self::MillisecondsSinceEpoch),
        ];
        units.into_iter().find(|(word, _)| is_word(option, word)).map(|(_, unit)| unit)
    }

    /// The time that an argument means.
    fn resolve(self, arg: &[u8], clock: Timestamp, name: &'static str) -> Result<Timestamp, CommandError> {
        let invalid = CommandError::InvalidExpire(name);
        let number = integer(arg)?;
        if number <= 0 {
            return Err(invalid);
        }
        let milliseconds = match self {
            Self::Seconds | Self::SecondsSinceEpoch => number.checked_mul(1000),
            Self::Milliseconds | Self::MillisecondsSinceEpoch => Some(number),
        };
        let origin = match self {
            Self::Seconds | Self::Milliseconds => i64::try_from(clock.0).unwrap_or(i64::MAX),
            Self::SecondsSinceEpoch | Self::MillisecondsSinceEpoch => 0,
        };
        let time = milliseconds.and_then(|milliseconds| milliseconds.checked_add(origin));
        time.and_then(|time| u64::try_from(time).ok()).map(Timestamp).ok_or(invalid)
    }
}

/// When a key must exist, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Absent,
    Present,
}

/// What `SET` does to the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expiry<'a> {
    #[default]
    None,
    Keep,
    At(Unit, &'a [u8]),
}

/// The options of `SET`.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    condition: Option<Condition>,
    get: bool,
    expiry: Expiry<'a>,
}

fn parse_options<'a>(args: &[&'a [u8]]) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        if is_word(option, "NX") && options.condition != Some(Condition::Present) {
            options.condition = Some(Condition::Absent);
        } else if is_word(option, "XX") && options.condition != Some(Condition::Absent) {
            options.condition = Some(Condition::Present);
        } else if is_word(option, "GET") {
            options.get = true;
        } else if is_word(option, "KEEPTTL") && matches!(options.expiry, Expiry::None | Expiry::Keep) {
            options.expiry = Expiry::Keep;
        } else if let (Some(unit), Expiry::None) = (Unit::of(option), options.expiry) {
            options.expiry = Expiry::At(unit, rest.next().ok_or(CommandError::Syntax)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(options)
}

pub(crate) fn set(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, value) = (args[1], args[2]);
    if args.len() == 3 {
        context.store_text(key, Text::new(value));
        reply.ok();
        return Ok(());
    }
    let options = parse_options(&args[3..])?;
    let expires = match options.expiry {
        Expiry::At(unit, arg) => Some(unit.resolve(arg, context.clock(), "set")?),
        Expiry::None | Expiry::Keep => None,
    };
    let spot = context.locate(key);
    if options.get {
        reply_text(context.text_at(spot)?, reply);
    }
    let object = context.at(spot);
    let met = match options.condition {
        None => true,
        Some(Condition::Absent) => object.is_none(),
        Some(Condition::Present) => object.is_some(),
    };
    if met {
        let kept = object.and_then(|object| object.expires).filter(|_| options.expiry == Expiry::Keep);
        context.put(spot, key, New::Text(Text::new(value)), expires.or(kept));
    }
    match (options.get, met) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

pub(crate) fn setnx(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let spot = context.locate(args[1]);
    let free = context.at(spot).is_none();
    if free {
        context.put(spot, args[1], New::Text(Text::new(args[2])), None);
    }
    reply.integer(free.into());
    Ok(())
}

fn set_expiring(
    context: &mut Context<'_>,
    args: &[&[u8]],
    unit: Unit,
    name: &'static str,
    reply: &mut Writer<'_>,
) -> Outcome {
    let expires = unit.resolve(args[2], context.clock(), name)?;
    let spot = context.locate(args[1]);
    context.put(spot, args[1], New::Text(Text::new(args[3])), Some(expires));
    reply.ok();
    Ok(())
}

pub(crate) fn setex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_expiring(context, args, Unit::Seconds, "setex", reply)
}

pub(crate) fn psetex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    set_expiring(context, args, Unit::Milliseconds, "psetex", reply)
}

/// What `GETEX` does to the expiry.
enum Change<'a> {
    None,
    Persist,
    At(Unit, &'a [u8]),
}

pub(crate) fn getex(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let change = match &args[2..] {
        [] => Change::None,
        [option] if is_word(option, "PERSIST") => Change::Persist,
        [option, arg] => Change::At(Unit::of(option).ok_or(CommandError::Syntax)?, arg),
        // Options that contradict each other, or that are repeated.
        _ => return Err(CommandError::Syntax),
    };
    let spot = context.locate(key);
    let text = context.text_at(spot)?;
    let change = match change {
        _ if text.is_none() => None,
        Change::None => None,
        Change::Persist => Some(None),
        Change::At(unit, arg) => Some(Some(unit.resolve(arg, context.clock(), "getex")?)),
    };
    reply_text(text, reply);
    let has_expiry = context.at(spot).is_some_and(|object| object.expires.is_some());
    if let Some(expires) = change.filter(|expires| has_expiry || expires.is_some()) {
        context.set_expiry(spot, key, expires);
    }
    Ok(())
}
