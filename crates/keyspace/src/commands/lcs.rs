//! `LCS`: the longest common subsequence of two strings.
//!
//! The textbook's table has a number for every pair of positions. Of these numbers, two rows are enough to
//! find the length. The way back through the table needs one bit of each: which of the two strings it leaves
//! a byte of. So the 2^27 numbers that Redis allows take 16 MiB here, and not 512.

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::number::{integer, is_word};
use crate::steps::Steps;
use crate::value::{TEXT_BYTES_MAX, Text};

/// So many numbers of the table are found in one step.
const PER_STEP: usize = 32;
/// So many of them are found between two looks at the budget, or a row of them.
const TOGETHER: usize = 1024;
/// The bytes of a number, where Redis keeps all of them.
const NUMBER_BYTES: usize = 4;

/// The options of `LCS`.
#[derive(Debug, Default)]
struct Options {
    length: bool,
    ranges: bool,
    range_lengths: bool,
    /// Shorter ranges are left out.
    range_min: i64,
}

impl Options {
    fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            if is_word(option, "IDX") {
                options.ranges = true;
            } else if is_word(option, "LEN") {
                options.length = true;
            } else if is_word(option, "WITHMATCHLEN") {
                options.range_lengths = true;
            } else if is_word(option, "MINMATCHLEN") {
                options.range_min = integer(rest.next().ok_or(CommandError::Syntax)?)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.length && options.ranges {
            return Err(CommandError::Other(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// Some bytes that both strings have one after the other.
#[derive(Clone, Copy, Debug)]
struct Common {
    /// Where they begin in the one and in the other.
    starts: [usize; 2],
    length: usize,
}

/// The table for two strings, as much as there is left of it.
struct Table<'a> {
    /// The strings, in the order in which they were named.
    strings: [&'a [u8]; 2],
    /// Rows belong to the bytes of this string, the longer one: a row is short.
    longer: usize,
    /// The length of the longest common subsequence.
    length: usize,
    /// For each pair of positions, row by row: whether the way back leaves a byte of the first string there,
    /// rather than one of the second. Empty if nobody wants the way back.
    leaves_first: Vec<u64>,
}

impl<'a> Table<'a> {
    fn of(strings: [&'a [u8]; 2], with_way_back: bool, budget: Budget<'_>) -> Self {
        let longer = usize::from(strings[1].len() > strings[0].len());
        let (rows, columns) = (strings[longer], strings[1 - longer]);
        let cells = if with_way_back { rows.len() * columns.len() } else { 0 };
        let mut leaves_first = vec![0u64; cells.div_ceil(64)];
        // One number more than there are columns, for the empty beginning.
        let mut row = vec![0u32; columns.len() + 1];
        let (mut cell, mut unpaid) = (0, 0);
        for byte in rows {
            let (mut diagonal, mut left) = (0, 0);
            for (column, above) in columns.iter().zip(&mut row[1..]) {
                let number = if column == byte { diagonal + 1 } else { left.max(*above) };
                if with_way_back {
                    let leaves = if longer == 0 { *above > left } else { left > *above };
                    leaves_first[cell / 64] |= u64::from(leaves) << (cell % 64);
                    cell += 1;
                }
                (diagonal, left) = (*above, number);
                *above = number;
            }
            unpaid += columns.len() + 1;
            if unpaid >= TOGETHER {
                budget.spend(unpaid / PER_STEP);
                unpaid %= PER_STEP;
            }
        }
        let length = row.last().copied().unwrap_or(0) as usize;
        Self { strings, longer, length, leaves_first }
    }

    /// Whether the way back leaves a byte of the first string, where these many bytes of each are left.
    fn leaves_first(&self, left: [usize; 2]) -> bool {
        let columns = self.strings[1 - self.longer].len();
        let cell = (left[self.longer] - 1) * columns + left[1 - self.longer] - 1;
        self.leaves_first[cell / 64] >> (cell % 64) & 1 == 1
    }

    /// What is common, from the end to the beginning.
    fn way_back(&self, budget: Budget<'_>) -> Vec<Common> {
        let [first, second] = self.strings;
        let mut left = [first.len(), second.len()];
        let mut found: Vec<Common> = Vec::new();
        // Whether the last one goes on here.
        let (mut goes_on, mut passed) = (false, 0);
        while left[0] > 0 && left[1] > 0 {
            passed += 1;
            if passed % TOGETHER == 0 {
                budget.spend(TOGETHER / PER_STEP);
            }
            if first[left[0] - 1] == second[left[1] - 1] {
                left = [left[0] - 1, left[1] - 1];
                match found.last_mut().filter(|_| goes_on) {
                    Some(common) => *common = Common { starts: left, length: common.length + 1 },
                    None => found.push(Common { starts: left, length: 1 }),
                }
                goes_on = true;
            } else {
                left[usize::from(!self.leaves_first(left))] -= 1;
                goes_on = false;
            }
        }
        found
    }

    /// The subsequence itself.
    fn subsequence(&self, found: &[Common]) -> Vec<u8> {
        let parts = found.iter().rev();
        parts
            .flat_map(|Common { starts, length }| &self.strings[0][starts[0]..starts[0] + length])
            .copied()
            .collect()
    }
}

fn reply_ranges(found: &[Common], options: &Options, length: usize, reply: &mut Writer<'_>) {
    let is_wanted = |common: &&Common| {
        options.range_min <= 0 || usize::try_from(options.range_min).is_ok_and(|min| common.length >= min)
    };
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(found.iter().filter(is_wanted).count());
    for common in found.iter().filter(is_wanted) {
        reply.array(if options.range_lengths { 3 } else { 2 });
        for start in common.starts {
            reply.array(2);
            reply.length(start);
            reply.length(start + common.length - 1);
        }
        if options.range_lengths {
            reply.length(common.length);
        }
    }
    reply.bulk(b"len");
    reply.length(length);
}

pub(crate) fn lcs(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let text = |key: &[u8]| match view.text(key) {
        Ok(text) => Ok(text.unwrap_or(Text::Raw(&[]))),
        Err(_) => Err(CommandError::Other("ERR The specified keys must contain string values")),
    };
    let (first, second) = (text(args[1])?, text(args[2])?);
    let options = Options::parse(&args[3..])?;
    let (first_length, second_length) = (first.len(), second.len());
    let numbers = (first_length + 1).saturating_mul(second_length + 1);
    // Redis' limit, although there is less to be kept here: what it refuses is refused.
    if numbers.saturating_mul(NUMBER_BYTES) > TEXT_BYTES_MAX {
        return Err(CommandError::Other(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    Steps::new(view.budget).reserve((numbers + first_length + second_length) / PER_STEP)?;
    first.with(|first| {
        second.with(|second| {
            let table = Table::of([first, second], !options.length, view.budget);
            if options.length {
                reply.length(table.length);
                return;
            }
            let found = table.way_back(view.budget);
            if options.ranges {
                reply_ranges(&found, &options, table.length, reply);
            } else {
                reply.bulk(&table.subsequence(&found));
            }
        });
    });
    Ok(())
}
