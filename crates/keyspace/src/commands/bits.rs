//! Single bits of strings: to set and to read one, to count them, and to find the first.
//!
//! Bit 0 is the highest bit of the first byte. Behind its end, a string reads as zeroes.

use std::ops::Range;
use std::slice;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word, parse_integer, signed};
use crate::steps::{PIECE, afford, copying};
use crate::value::TEXT_BYTES_MAX;

pub(super) const BAD_OFFSET: CommandError =
    CommandError::Other("ERR bit offset is not an integer or out of range");

/// Whether a string may have a bit at this offset.
pub(super) fn check_offset(offset: i64) -> Result<usize, CommandError> {
    let offset = usize::try_from(offset).map_err(|_| BAD_OFFSET)?;
    if offset / 8 < TEXT_BYTES_MAX { Ok(offset) } else { Err(BAD_OFFSET) }
}

/// The byte that has the bit at an offset, and the bit within it.
fn place(arg: &[u8]) -> Result<(usize, u8), CommandError> {
    let offset = check_offset(parse_integer(arg).ok_or(BAD_OFFSET)?)?;
    Ok((offset / 8, 0x80 >> (offset % 8)))
}

pub(crate) fn setbit(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let (at, mask) = place(args[2])?;
    let bit = match parse_integer(args[3]) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(CommandError::Other("ERR bit is not an integer or out of range")),
    };
    let spot = context.locate(key);
    let before = context.text_at(spot)?.and_then(|text| text.with(|bytes| bytes.get(at).copied()));
    let was_set = before.is_some_and(|byte| byte & mask != 0);
    // A bit that is right already is not written: a string that is shared would be copied for nothing.
    if before.is_none() || was_set != bit {
        context.edit_lengthened(spot, key, at + 1, slice::from_ref(&(at..at + 1)), |bytes| {
            bytes[at] = if bit { bytes[at] | mask } else { bytes[at] & !mask };
            true
        });
    }
    reply.integer(was_set.into());
    Ok(())
}

pub(crate) fn getbit(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (at, mask) = place(args[2])?;
    let byte = view.text(args[1])?.and_then(|text| text.with(|bytes| bytes.get(at).copied()));
    reply.integer(byte.is_some_and(|byte| byte & mask != 0).into());
    Ok(())
}

/// How many bits one position of a range stands for.
fn unit(arg: &[u8]) -> Result<i64, CommandError> {
    match arg {
        _ if is_word(arg, "BIT") => Ok(1),
        _ if is_word(arg, "BYTE") => Ok(8),
        _ => Err(CommandError::Syntax),
    }
}

/// The bits from a position to another one, both included, in a string of `length` bytes.
///
/// A position that is negative counts from the end. One before the beginning means the beginning, at either
/// end of the range: that is what tells it from the ranges of other commands.
fn bits_of(start: i64, end: i64, unit: i64, length: usize) -> Range<usize> {
    let count = signed(length) * 8 / unit;
    let from_front =
        |position: i64| if position < 0 { position.saturating_add(count).max(0) } else { position };
    let (start, end) = (from_front(start), from_front(end).min(count - 1));
    if start > end {
        return 0..0;
    }
    // Both lie within the string.
    usize::try_from(start * unit).unwrap_or(0)..usize::try_from((end + 1) * unit).unwrap_or(0)
}

/// The bytes that have these bits.
fn bytes_of(bits: &Range<usize>) -> Range<usize> {
    bits.start / 8..bits.end.div_ceil(8)
}

/// Those bits of the last byte that lie behind the end of a range.
fn behind(bits: &Range<usize>) -> u8 {
    let count = bits.end.next_multiple_of(8) - bits.end;
    (1 << count) - 1
}

fn ones(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: usize = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones() as usize).sum();
    in_words + rest.iter().map(|byte| byte.count_ones() as usize).sum::<usize>()
}

/// How many of these bits are set.
fn count(bytes: &[u8], bits: &Range<usize>, budget: Budget<'_>) -> usize {
    let touched = &bytes[bytes_of(bits)];
    let (Some(first), Some(last)) = (touched.first(), touched.last()) else { return 0 };
    let mut all = 0;
    for piece in touched.chunks(PIECE) {
        all += ones(piece);
        budget.spend(copying(piece.len()));
    }
    let before = (u32::from(*first) >> (8 - bits.start % 8)).count_ones();
    all - (before + (last & behind(bits)).count_ones()) as usize
}

pub(crate) fn bitcount(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    // Redis 7.2 looks at the options only if there is a string to count in.
    let Some(text) = view.text(args[1])? else {
        reply.integer(0);
        return Ok(());
    };
    let length = text.len();
    let bits = match &args[2..] {
        [] => 0..length * 8,
        [start, end, rest @ ..] if rest.len() <= 1 => {
            let (start, end) = (integer(start)?, integer(end)?);
            if start < 0 && end < 0 && start > end {
                reply.integer(0);
                return Ok(());
            }
            bits_of(start, end, rest.first().map_or(Ok(8), |arg| unit(arg))?, length)
        }
        _ => return Err(CommandError::Syntax),
    };
    afford(view.budget, copying(bytes_of(&bits).len()))?;
    reply.length(text.with(|bytes| count(bytes, &bits, view.budget)));
    Ok(())
}

/// The first of these bits that has a value.
fn find(bytes: &[u8], bits: &Range<usize>, bit: bool, budget: Budget<'_>) -> Option<usize> {
    let Range { start: first, end } = bytes_of(bits);
    let last = end.checked_sub(1).filter(|last| *last >= first)?;
    // Whatever has none of the bits that are looked for.
    let skipped: u8 = if bit { 0 } else { 0xff };
    let within = |at: usize| {
        let mut candidates = bytes[at] ^ skipped;
        if at == first {
            candidates &= 0xff >> (bits.start % 8);
        }
        if at == last {
            candidates &= !behind(bits);
        }
        (candidates != 0).then(|| at * 8 + candidates.leading_zeros() as usize)
    };
    if let Some(found) = within(first) {
        return Some(found);
    }
    let mut at = first + 1;
    for piece in bytes.get(at..last).unwrap_or_default().chunks(PIECE) {
        let words = piece.as_chunks::<8>().0.iter().take_while(|word| **word == [skipped; 8]);
        let passed = words.count() * 8;
        if let Some(more) = piece[passed..].iter().position(|byte| *byte != skipped) {
            return within(at + passed + more);
        }
        at += piece.len();
        budget.spend(copying(piece.len()));
    }
    within(last)
}

pub(crate) fn bitpos(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let bit = match integer(args[2])? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::Other("ERR The bit argument must be 1 or 0.")),
    };
    // Here as well, the other options are looked at only if there is a string.
    let Some(text) = view.text(args[1])? else {
        reply.integer(if bit { -1 } else { 0 });
        return Ok(());
    };
    let length = text.len();
    let (bits, is_open) = match &args[3..] {
        [] => (0..length * 8, true),
        [start] => (bits_of(integer(start)?, -1, 8, length), true),
        [start, end, rest @ ..] if rest.len() <= 1 => {
            let start = integer(start)?;
            let unit = rest.first().map_or(Ok(8), |arg| unit(arg))?;
            (bits_of(start, integer(end)?, unit, length), false)
        }
        _ => return Err(CommandError::Syntax),
    };
    afford(view.budget, copying(bytes_of(&bits).len()))?;
    match text.with(|bytes| find(bytes, &bits, bit, view.budget)) {
        Some(found) => reply.length(found),
        // Without an end, the zeroes behind the string count as well.
        None if !bit && is_open && !bits.is_empty() => reply.length(bits.end),
        None => reply.integer(-1),
    }
    Ok(())
}
