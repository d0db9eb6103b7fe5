//! The sparse form of the registers: runs of equal ones, the first register first.
//!
//! ```text
//! 00nnnnnn             n + 1 registers of 0
//! 01nnnnnn nnnnnnnn    as many, with 14 bits
//! 1vvvvvnn             n + 1 registers of v + 1
//! ```
//!
//! Which runs there are depends on the order in which registers were raised, and on when neighbours were put
//! together. To have the bytes that Redis has, all of it is done as Redis does it.

use smallvec::SmallVec;

use super::{HEADER, REGISTERS, SPARSE_BYTES_MAX};

/// A run of all registers, each of them 0.
pub(super) const ALL_ZERO: [u8; 2] = [0x7f, 0xff];
/// The largest value that has a sparse form.
const VALUE_MAX: u8 = 32;
/// The longest run of another value than 0.
const RUN_MAX: usize = 4;
/// The longest run of 0 in one byte.
const SHORT_ZEROES_MAX: usize = 64;
/// After a change, neighbours are put together among so many runs.
const PUT_TOGETHER: usize = 5;

#[derive(Clone, Copy, Debug)]
struct Run {
    value: u8,
    /// How many registers.
    count: usize,
    /// How many bytes.
    size: usize,
}

impl Run {
    /// The first run; none at the end, or if its second byte is missing.
    fn first(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [first, ..] if first & 0x80 != 0 => {
                Some(Self { value: (first >> 2 & 0x1f) + 1, count: usize::from(first & 3) + 1, size: 1 })
            }
            [first, ..] if first & 0x40 == 0 => {
                Some(Self { value: 0, count: usize::from(first) + 1, size: 1 })
            }
            [first, second, ..] => {
                let count = usize::from(u16::from_be_bytes([first & 0x3f, second])) + 1;
                Some(Self { value: 0, count, size: 2 })
            }
            _ => None,
        }
    }
}

/// The runs, up to the first that is cut off.
fn runs(registers: &[u8]) -> impl Iterator<Item = Run> {
    let mut rest = registers;
    std::iter::from_fn(move || {
        let run = Run::first(rest)?;
        rest = &rest[run.size..];
        Some(run)
    })
}

/// Whether there are runs of all registers, and nothing else.
pub(super) fn is_complete(registers: &[u8]) -> bool {
    let (mut at, mut covered) = (0, 0);
    // However long the string is, no more runs are looked at than there are registers.
    for run in runs(registers) {
        (at, covered) = (at + run.size, covered + run.count);
        if covered >= REGISTERS {
            break;
        }
    }
    at == registers.len() && covered == REGISTERS
}

/// Calls `each` with every run: the value, and how many registers.
pub(super) fn each_run(registers: &[u8], mut each: impl FnMut(u8, usize)) {
    runs(registers).for_each(|run| each(run.value, run.count));
}

/// What `PFDEBUG DECODE` answers.
pub(super) fn description(registers: &[u8]) -> String {
    let parts = runs(registers).map(|Run { value, count, size }| match (value, size) {
        (0, 1) => format!("z:{count}"),
        (0, _) => format!("Z:{count}"),
        _ => format!("v:{value},{count}"),
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// Writes a run of some registers, if there are any. There are at most [`RUN_MAX`] of another value than 0.
fn push(out: &mut SmallVec<[u8; 8]>, value: u8, count: usize) {
    let Some(more) = count.checked_sub(1) else { return };
    match value {
        0 if count <= SHORT_ZEROES_MAX => out.push(more as u8),
        0 => out.extend([0x40 | (more >> 8) as u8, more as u8]),
        _ => out.push(0x80 | (value - 1) << 2 | more as u8),
    }
}

/// Raises a register to a value, if it is lower; whether it was. None if there is no sparse form of it: then
/// nothing has been changed.
pub(super) fn raise(bytes: &mut Vec<u8>, register: usize, value: u8) -> Option<bool> {
    if value > VALUE_MAX {
        return None;
    }
    // The run that has the register, and the one before it.
    let (mut at, mut before, mut first) = (HEADER, HEADER, 0);
    let run = loop {
        let run = Run::first(&bytes[at..])?;
        if register < first + run.count {
            break run;
        }
        (before, at, first) = (at, at + run.size, first + run.count);
    };
    if run.value >= value {
        return Some(false);
    }
    let left = register - first;
    let mut split = SmallVec::new();
    push(&mut split, run.value, left);
    push(&mut split, value, 1);
    push(&mut split, run.value, run.count - left - 1);
    if split.len() > run.size && bytes.len() + split.len() - run.size > SPARSE_BYTES_MAX {
        return None;
    }
    bytes.splice(at..at + run.size, split);
    put_together(bytes, before);
    Some(true)
}

/// Makes one run of two neighbours with the same value, among the next few runs.
fn put_together(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..PUT_TOGETHER {
        let Some(run) = Run::first(&bytes[at..]) else { return };
        let next = Run::first(&bytes[at + run.size..]);
        match next.filter(|next| run.value > 0 && next.value == run.value) {
            Some(next) if run.count + next.count <= RUN_MAX => {
                let mut together = SmallVec::new();
                push(&mut together, run.value, run.count + next.count);
                bytes.splice(at..at + run.size + next.size, together);
            }
            _ => at += run.size,
        }
    }
}
