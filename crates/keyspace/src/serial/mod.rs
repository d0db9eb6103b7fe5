//! Values as Redis serializes them: what `DUMP` answers, and `RESTORE` takes.

mod build;
mod write;

use onecopy_core::Budget;
use onecopy_rdb::{Input, Kind, RDB_VERSION, open, read_value, seal};

use crate::error::{CommandError, Outcome};
use crate::seed::Seed;
use crate::steps::{ELEMENT, Steps, copying};
use crate::value::{Content, Value};

/// What a value is as a payload.
///
/// # Errors
/// To write it would take too many steps.
pub(crate) fn payload(value: Content<'_>, budget: Budget<'_>) -> Result<Vec<u8>, CommandError> {
    let bytes = usize::try_from(value.memory()).unwrap_or(usize::MAX);
    let mut steps = Steps::new(budget);
    steps.reserve(elements(value).saturating_mul(ELEMENT))?;
    // Written, and looked at for the checksum.
    steps.reserve_copy(bytes.saturating_mul(2))?;
    let mut payload = write::value(value, budget);
    seal(&mut payload, RDB_VERSION, &mut |bytes| budget.spend(copying(bytes)));
    Ok(payload)
}

/// How many elements are written one by one.
fn elements(value: Content<'_>) -> usize {
    match value {
        Content::Stream(stream) => stream.len() + stream.log().len(),
        other => other.len(),
    }
}

/// Whether a payload is whole.
///
/// # Errors
/// It is not, or to look at it would take too many steps.
pub(crate) fn check<'a>(payload: &'a [u8], budget: Budget<'_>) -> Result<&'a [u8], CommandError> {
    Steps::new(budget).reserve_copy(payload.len())?;
    let opened = open(payload, &mut |bytes| budget.spend(copying(bytes)));
    opened.map_err(|_| CommandError::Other("ERR DUMP payload version or checksum are wrong"))
}

/// The value of a payload that is whole.
///
/// # Errors
/// It makes no sense, or to build it would take too many steps.
pub(crate) fn build(value: &[u8], seed: Seed, budget: Budget<'_>) -> Result<Value, CommandError> {
    let (kind, rest) = value.split_first().ok_or(BAD)?;
    let mut input = Input::new(rest);
    let (mut building, mut steps) = (build::Building::new(seed), Steps::new(budget));
    read_value::<build::Failure>(Kind::of_byte(*kind).map_err(|_| BAD)?, &mut input, &mut |element| {
        building.add(element, &mut steps)
    })?;
    if input.is_empty() { building.finish() } else { Err(BAD) }
}

const BAD: CommandError = CommandError::Other("ERR Bad data format");

/// Takes the steps of an element of so many bytes.
fn pay(steps: &mut Steps<'_>, bytes: usize) -> Outcome {
    steps.take(ELEMENT + copying(bytes))
}
