//! `LCS`: the longest common subsequence of two strings.
//!
//! By the table of R. A. Wagner and M. J. Fischer, *The string-to-string correction problem* (1974): how long
//! the longest one is of each two beginnings. Only a row of it is kept, and one bit of each cell, which says
//! where the way back goes: an eighth of a byte for what Redis keeps four bytes of.

use onecopy_resp::Writer;

use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word};
use crate::steps::Steps;
use crate::value::{Content, Text};

/// So many cells of the table are computed in one step.
const CELLS_PER_STEP: usize = 16;

struct Options {
    length: bool,
    ranges: bool,
    with_lengths: bool,
    /// Shorter ranges are left out.
    length_min: usize,
}

impl Options {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Self { length: false, ranges: false, with_lengths: false, length_min: 0 };
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            if is_word(option, "IDX") {
                options.ranges = true;
            } else if is_word(option, "LEN") {
                options.length = true;
            } else if is_word(option, "WITHMATCHLEN") {
                options.with_lengths = true;
            } else if is_word(option, "MINMATCHLEN")
                && let Some(length) = rest.next()
            {
                options.length_min = usize::try_from(integer(length)?.max(0)).unwrap_or(usize::MAX);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.ranges && options.length {
            return Err(CommandError::Other(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// The table, as far as it is needed.
struct Table<'a> {
    one: &'a [u8],
    other: &'a [u8],
    /// For each cell, row by row, whether the way back leaves out a byte of `one`.
    upwards: Vec<u64>,
    length: usize,
}

/// A part that both strings have: where it begins in each, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    one: usize,
    other: usize,
    length: usize,
}

impl<'a> Table<'a> {
    fn new(one: &'a [u8], other: &'a [u8], steps: &mut Steps<'_>) -> Result<Self, CommandError> {
        let width = other.len();
        let cost = width / CELLS_PER_STEP + 1;
        steps.reserve(one.len().saturating_mul(cost))?;
        let mut upwards = vec![0; (one.len() * width).div_ceil(64)];
        let mut row = vec![0u32; width + 1];
        for (number, byte) in one.iter().enumerate() {
            steps.spend(cost);
            let mut diagonal = 0;
            for (column, candidate) in other.iter().enumerate() {
                let (above, left) = (row[column + 1], row[column]);
                row[column + 1] = if byte == candidate { diagonal + 1 } else { above.max(left) };
                if above > left {
                    let cell = number * width + column;
                    upwards[cell / 64] |= 1 << (cell % 64);
                }
                diagonal = above;
            }
        }
        Ok(Self { one, other, upwards, length: row[width] as usize })
    }

    /// The parts of the longest common subsequence, from the last to the first.
    fn matches(&self, steps: &mut Steps<'_>) -> Result<Vec<Match>, CommandError> {
        let (mut row, mut column) = (self.one.len(), self.other.len());
        steps.reserve(row + column)?;
        let mut matches: Vec<Match> = Vec::new();
        let mut is_open = false;
        while row > 0 && column > 0 {
            steps.spend(1);
            if self.one[row - 1] == self.other[column - 1] {
                (row, column) = (row - 1, column - 1);
                match matches.last_mut().filter(|_| is_open) {
                    Some(last) => *last = Match { one: row, other: column, length: last.length + 1 },
                    None => matches.push(Match { one: row, other: column, length: 1 }),
                }
                is_open = true;
            } else {
                let cell = (row - 1) * self.other.len() + column - 1;
                if self.upwards[cell / 64] >> (cell % 64) & 1 == 1 {
                    row -= 1
                } else {
                    column -= 1
                }
                is_open = false;
            }
        }
        Ok(matches)
    }
}

/// The string at a key, an empty one if there is none.
fn text<'a>(view: &View<'a>, key: &[u8]) -> Result<Text<'a>, CommandError> {
    match view.object(key).map(|object| object.value) {
        None => Ok(Text::Raw(b"")),
        Some(Content::Text(text)) => Ok(text),
        Some(_) => Err(CommandError::Other("ERR The specified keys must contain string values")),
    }
}

pub(crate) fn lcs(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (one, other) = (text(view, args[1])?, text(view, args[2])?);
    let options = Options::parse(&args[3..])?;
    one.with(|one| other.with(|other| answer(view, one, other, &options, reply)))
}

fn answer(view: &View<'_>, one: &[u8], other: &[u8], options: &Options, reply: &mut Writer<'_>) -> Outcome {
    let mut steps = Steps::new(view.budget);
    let table = Table::new(one, other, &mut steps)?;
    if options.length {
        reply.length(table.length);
        return Ok(());
    }
    let matches = table.matches(&mut steps)?;
    if !options.ranges {
        let parts = matches.iter().rev().map(|found| &one[found.one..found.one + found.length]);
        reply.bulk(&parts.collect::<Vec<_>>().concat());
        return Ok(());
    }
    let matches: Vec<_> = matches.into_iter().filter(|found| found.length >= options.length_min).collect();
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.len());
    for found in matches {
        view.budget.spend(1);
        reply.array(if options.with_lengths { 3 } else { 2 });
        for start in [found.one, found.other] {
            reply.array(2);
            reply.length(start);
            reply.length(start + found.length - 1);
        }
        if options.with_lengths {
            reply.length(found.length);
        }
    }
    reply.bulk(b"len");
    reply.length(table.length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use onecopy_core::Budget;

    use super::*;

    #[test]
    fn the_way_back_finds_what_is_common() {
        let mut steps = Steps::new(Budget::ENDLESS);
        let table = Table::new(b"ohmytext", b"mynewtext", &mut steps).unwrap();
        let matches = table.matches(&mut steps).unwrap();
        let (late, early) = (Match { one: 4, other: 5, length: 4 }, Match { one: 2, other: 0, length: 2 });
        assert_eq!((table.length, matches), (6, vec![late, early]));
    }
}
