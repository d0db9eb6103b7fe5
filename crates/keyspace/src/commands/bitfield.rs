//! `BITFIELD`: integers of any number of bits, at any bit of a string.

use std::ops::Range;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::commands::bits::{BAD_OFFSET, check_offset};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word, parse_integer};
use crate::steps::afford;
use crate::value::{TEXT_BYTES_MAX, Text};

/// A field of 64 bits touches so many bytes at most.
const WINDOW: usize = 9;

/// Where an integer lies, and how it is written: the highest bit first.
#[derive(Clone, Copy, Debug)]
struct Field {
    offset: usize,
    /// 1 to 64, and to 63 without a sign.
    bits: usize,
    is_signed: bool,
}

impl Field {
    fn parse(kind: &[u8], offset: &[u8]) -> Result<Self, CommandError> {
        let invalid = CommandError::Other(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        let (is_signed, bits, bits_max) = match kind {
            [b'i', bits @ ..] => (true, bits, 64),
            [b'u', bits @ ..] => (false, bits, 63),
            _ => return Err(invalid),
        };
        let bits = parse_integer(bits).filter(|bits| (1..=bits_max).contains(bits)).ok_or(invalid)?;
        let offset = match offset {
            // Counted in fields of this size.
            [b'#', number @ ..] => parse_integer(number).and_then(|number| number.checked_mul(bits)),
            _ => parse_integer(offset),
        };
        let offset = check_offset(offset.ok_or(BAD_OFFSET)?)?;
        Ok(Self { offset, bits: bits as usize, is_signed })
    }

    /// How long a string is that ends with this field.
    fn end(self) -> usize {
        (self.offset + self.bits).div_ceil(8)
    }

    fn mask(self) -> u128 {
        (1 << self.bits) - 1
    }

    /// How many bits of the window lie behind the field.
    fn shift(self) -> usize {
        WINDOW * 8 - self.offset % 8 - self.bits
    }

    /// The bytes that the field may touch, as a number.
    fn window(self, bytes: &[u8]) -> u128 {
        let rest = bytes.get(self.offset / 8..).unwrap_or_default();
        (0..WINDOW).fold(0, |window, at| window << 8 | u128::from(rest.get(at).copied().unwrap_or(0)))
    }

    /// Where the bytes are that are written with it.
    fn bytes(self) -> Range<usize> {
        self.offset / 8..self.offset / 8 + WINDOW
    }

    /// The number that these bits mean.
    fn number(self, bits: u128) -> i128 {
        let number = (bits & self.mask()) as i128;
        let is_negative = self.is_signed && number >> (self.bits - 1) != 0;
        if is_negative { number - (1 << self.bits) } else { number }
    }

    fn read(self, bytes: &[u8]) -> i128 {
        self.number(self.window(bytes) >> self.shift())
    }

    /// Writes a number to a string that is long enough. Only its lowest bits count.
    fn write(self, bytes: &mut [u8], number: i128) {
        let (shift, mask) = (self.shift(), self.mask());
        let window = self.window(bytes) & !(mask << shift) | (number as u128 & mask) << shift;
        for (byte, at) in bytes[self.offset / 8..].iter_mut().take(WINDOW).zip(1..) {
            *byte = (window >> ((WINDOW - at) * 8)) as u8;
        }
    }

    /// What becomes of a number that may be too large or too small for the field; none if it is refused.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let (min, max) = if self.is_signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        };
        match overflow {
            _ if (min..=max).contains(&number) => Some(number),
            Overflow::Wrap => Some(self.number(number as u128)),
            Overflow::Saturate => Some(number.clamp(min, max)),
            Overflow::Fail => None,
        }
    }
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

impl Overflow {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        match arg {
            _ if is_word(arg, "WRAP") => Ok(Self::Wrap),
            _ if is_word(arg, "SAT") => Ok(Self::Saturate),
            _ if is_word(arg, "FAIL") => Ok(Self::Fail),
            _ => Err(CommandError::Other("ERR Invalid OVERFLOW type specified")),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

impl Action {
    /// The number that a field with `old` shall have, and the one that is answered; none if it is refused.
    fn of(self, field: Field, old: i128) -> Option<(i128, i128)> {
        match self {
            Self::Get => Some((old, old)),
            Self::Set(number, overflow) => {
                // Without a sign, Redis takes a negative number for one that is far too large.
                let number =
                    if field.is_signed { i128::from(number) } else { i128::from(number.cast_unsigned()) };
                field.fit(number, overflow).map(|new| (new, old))
            }
            Self::Increment(number, overflow) => {
                field.fit(old + i128::from(number), overflow).map(|new| (new, new))
            }
        }
    }
}

fn parse(args: &[&[u8]]) -> Result<Vec<(Field, Action)>, CommandError> {
    let (mut operations, mut overflow, mut rest) = (Vec::new(), Overflow::Wrap, args);
    while !rest.is_empty() {
        let (operation, behind) = match rest {
            [word, kind, offset, behind @ ..] if is_word(word, "GET") => {
                ((Field::parse(kind, offset)?, Action::Get), behind)
            }
            [word, kind, offset, number, behind @ ..] if is_word(word, "SET") => {
                ((Field::parse(kind, offset)?, Action::Set(integer(number)?, overflow)), behind)
            }
            [word, kind, offset, number, behind @ ..] if is_word(word, "INCRBY") => {
                ((Field::parse(kind, offset)?, Action::Increment(integer(number)?, overflow)), behind)
            }
            [word, kind, behind @ ..] if is_word(word, "OVERFLOW") => {
                overflow = Overflow::parse(kind)?;
                rest = behind;
                continue;
            }
            _ => return Err(CommandError::Syntax),
        };
        operations.push(operation);
        rest = behind;
    }
    Ok(operations)
}

/// The length of the shortest string that has all fields that are written; none if they are only read.
fn written(operations: &[(Field, Action)]) -> Option<usize> {
    let writes = operations.iter().filter(|(_, action)| !matches!(action, Action::Get));
    writes.map(|(field, _)| field.end()).max()
}

/// Answers with fields that are only read.
fn reply_fields(
    text: Option<Text<'_>>,
    operations: &[(Field, Action)],
    budget: Budget<'_>,
    reply: &mut Writer<'_>,
) {
    let answer = |bytes: &[u8]| {
        reply.array(operations.len());
        for (field, _) in operations {
            budget.spend(1);
            reply_number(Some(field.read(bytes)), reply);
        }
    };
    text.unwrap_or(Text::Raw(&[])).with(answer);
}

fn reply_number(number: Option<i128>, reply: &mut Writer<'_>) {
    // No field holds more than 64 bits.
    match number.and_then(|number| i64::try_from(number).ok()) {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

pub(crate) fn bitfield(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, operations) = (args[1], parse(&args[2..])?);
    afford(context.budget(), operations.len())?;
    let (spot, budget) = (context.locate(key), context.budget());
    let text = context.text_at(spot)?;
    let Some(length) = written(&operations) else {
        reply_fields(text, &operations, budget, reply);
        return Ok(());
    };
    // Redis lets the last field of the longest string reach a few bytes beyond its limit.
    if length > TEXT_BYTES_MAX {
        return Err(CommandError::StringTooLong);
    }
    let grows = text.map_or(0, |text| text.len()) < length;
    let mut answers = Vec::with_capacity(operations.len());
    // The string grows even if every number is refused, as in Redis.
    let overwritten: Vec<_> = operations.iter().map(|(field, _)| field.bytes()).collect();
    context.edit_lengthened(spot, key, length, &overwritten, |bytes| {
        let mut is_changed = false;
        for (field, action) in &operations {
            budget.spend(1);
            let outcome = action.of(*field, field.read(bytes));
            if let (Some((new, _)), false) = (outcome, matches!(action, Action::Get)) {
                is_changed |= grows || field.read(bytes) != new;
                field.write(bytes, new);
            }
            answers.push(outcome.map(|(_, answer)| answer));
        }
        is_changed
    });
    reply.array(answers.len());
    answers.into_iter().for_each(|answer| reply_number(answer, reply));
    Ok(())
}

pub(crate) fn bitfield_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let operations = parse(&args[2..])?;
    if written(&operations).is_some() {
        return Err(CommandError::Other("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    afford(view.budget, operations.len())?;
    reply_fields(view.text(args[1])?, &operations, view.budget, reply);
    Ok(())
}
