//! HyperLogLogs, which are strings in a format of their own (see [`hyperloglog`]).

use std::slice;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::database::Spot;
use crate::error::{CommandError, Outcome};
use crate::hyperloglog::estimate::{Histogram, estimate};
use crate::hyperloglog::{self, Encoding, NO_HYPERLOGLOG, REGISTERS, VALUES, element};
use crate::number::is_word;
use crate::steps::{ELEMENT, KEY, Steps};
use crate::value::Text;

/// To look at all registers costs so many.
const ALL_REGISTERS: usize = REGISTERS / 64;
/// So many bytes of a sparse HyperLogLog are passed in one step, on the way to a register.
const PASSED_PER_STEP: usize = 32;

/// How much of an unknown subcommand is repeated in the error.
const NAME_BYTES_MAX: usize = 128;

/// The bytes of a string, if it is a HyperLogLog.
fn stored(text: Option<Text<'_>>) -> Result<Option<(Encoding, &[u8])>, CommandError> {
    match text {
        None => Ok(None),
        Some(Text::Raw(bytes)) => Ok(Some((hyperloglog::encoding(bytes)?, bytes))),
        // No number has the header of one.
        Some(Text::Integer(_)) => Err(NO_HYPERLOGLOG),
    }
}

/// The register of an element, and the value that it must have. The way to it costs as much as there is to be
/// passed.
fn register_of(
    element: &[u8],
    passed: usize,
    steps: &mut Steps<'_>,
    budget: Budget<'_>,
) -> Result<(usize, u8), CommandError> {
    steps.take(ELEMENT + passed / PASSED_PER_STEP)?;
    steps.reserve_copy(element.len())?;
    Ok(element::register_of(element, budget))
}

pub(crate) fn pfadd(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, elements) = (args[1], &args[2..]);
    let (spot, budget) = (context.locate(key), context.budget());
    let mut steps = Steps::new(budget);
    let is_changed = match stored(context.text_at(spot)?)? {
        Some((Encoding::Dense, bytes)) => {
            // Most elements raise nothing, and then nothing is written.
            let mut raised = Vec::new();
            for element in elements {
                let (register, value) = register_of(element, 0, &mut steps, budget)?;
                if hyperloglog::dense_value(bytes, register) < value {
                    raised.push((register, value));
                }
            }
            if !raised.is_empty() {
                let length = bytes.len();
                context.edit_text(spot, key, slice::from_ref(&(0..length)), |bytes| {
                    for (register, value) in &raised {
                        hyperloglog::raise(bytes, *register, *value);
                    }
                    hyperloglog::forget_cardinality(bytes);
                });
            }
            !raised.is_empty()
        }
        Some((Encoding::Sparse, _)) if elements.is_empty() => false,
        sparse => {
            // A copy, which is short: an error on the way changes nothing.
            let (mut bytes, mut is_changed) = match sparse {
                Some((_, bytes)) => (hyperloglog::check(bytes).map(|()| bytes.to_vec())?, false),
                None => (hyperloglog::empty(), true),
            };
            // It may become dense, once.
            steps.reserve(ALL_REGISTERS)?;
            for element in elements {
                let passed = if is_dense(&bytes) { 0 } else { bytes.len() };
                let (register, value) = register_of(element, passed, &mut steps, budget)?;
                is_changed |= hyperloglog::raise(&mut bytes, register, value);
            }
            if is_changed {
                hyperloglog::forget_cardinality(&mut bytes);
                context.put_text(spot, key, Text::Raw(&bytes));
            }
            is_changed
        }
    };
    reply.integer(is_changed.into());
    Ok(())
}

fn is_dense(bytes: &[u8]) -> bool {
    hyperloglog::encoding(bytes) == Ok(Encoding::Dense)
}

/// The registers of several HyperLogLogs together, each the largest of all; and whether one of them is dense.
fn together(view: &View<'_>, keys: &[&[u8]], steps: &mut Steps<'_>) -> Result<(Vec<u8>, bool), CommandError> {
    let (mut registers, mut is_dense) = (vec![0; REGISTERS], false);
    for key in keys {
        view.budget.spend(KEY);
        let Some((encoding, bytes)) = stored(view.text(key)?)? else { continue };
        steps.take(ALL_REGISTERS)?;
        hyperloglog::check(bytes)?;
        is_dense |= encoding == Encoding::Dense;
        let mut rest = registers.as_mut_slice();
        hyperloglog::each_run(bytes, |value, count| {
            let (run, behind) = std::mem::take(&mut rest).split_at_mut(count);
            run.iter_mut().for_each(|register| *register = value.max(*register));
            rest = behind;
        });
    }
    Ok((registers, is_dense))
}

/// `PFCOUNT`. Of one key, the cardinality that its string has cached is answered, if it is valid.
///
/// Redis writes what it has found out into that string. Here it is not written: this is a read, which one
/// copy may execute without the others, and what it wrote would be on that copy alone. So the cache that a
/// string from a Redis came with is used until the first change, and from then on there is none; `GET` shows
/// the difference in the last bytes of the header.
pub(crate) fn pfcount(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut steps = Steps::new(view.budget);
    let mut histogram: Histogram = [0; VALUES];
    let mut count = |value: u8, count: usize| histogram[usize::from(value)] += count as u32;
    if let [key] = &args[1..] {
        let Some((_, bytes)) = stored(view.text(key)?)? else {
            reply.integer(0);
            return Ok(());
        };
        if let Some(cached) = hyperloglog::cached_cardinality(bytes) {
            reply.integer(cached);
            return Ok(());
        }
        steps.take(ALL_REGISTERS)?;
        hyperloglog::check(bytes)?;
        hyperloglog::each_run(bytes, count);
    } else {
        steps.take(ALL_REGISTERS)?;
        let (registers, _) = together(view, &args[1..], &mut steps)?;
        registers.into_iter().for_each(|value| count(value, 1));
    }
    reply.integer(estimate(&histogram));
    Ok(())
}

pub(crate) fn pfmerge(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = args[1];
    let mut steps = Steps::new(context.budget());
    let (registers, is_dense_wanted) = together(&context.view(), &args[1..], &mut steps)?;
    let spot = context.locate(key);
    let mut bytes = match stored(context.text_at(spot)?)? {
        Some((_, bytes)) => bytes.to_vec(),
        None => hyperloglog::empty(),
    };
    steps.take(ALL_REGISTERS)?;
    if is_dense_wanted {
        hyperloglog::make_dense(&mut bytes);
    }
    // One by one, as Redis does: only then a sparse one has the same bytes.
    for (register, value) in registers.into_iter().enumerate().filter(|(_, value)| *value > 0) {
        steps.take(if is_dense(&bytes) { 1 } else { 1 + bytes.len() / PASSED_PER_STEP })?;
        hyperloglog::raise(&mut bytes, register, value);
    }
    hyperloglog::forget_cardinality(&mut bytes);
    context.put_text(spot, key, Text::Raw(&bytes));
    reply.ok();
    Ok(())
}

/// Makes a HyperLogLog dense that was checked.
fn make_dense(context: &mut Context<'_>, spot: Spot, key: &[u8]) {
    let Ok(Some(Text::Raw(bytes))) = context.text_at(spot) else { return };
    if !is_dense(bytes) {
        let mut bytes = bytes.to_vec();
        hyperloglog::make_dense(&mut bytes);
        context.put_text(spot, key, Text::Raw(&bytes));
    }
}

pub(crate) fn pfdebug(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (subcommand, key) = (args[1], args[2]);
    let spot = context.locate(key);
    let mut steps = Steps::new(context.budget());
    let Some((encoding, bytes)) = stored(context.text_at(spot)?)? else {
        return Err(CommandError::Other("ERR The specified key does not exist"));
    };
    match subcommand {
        _ if is_word(subcommand, "GETREG") => {
            steps.take(REGISTERS)?;
            hyperloglog::check(bytes)?;
            reply.array(REGISTERS);
            hyperloglog::each_run(bytes, |value, count| {
                (0..count).for_each(|_| reply.integer(value.into()));
            });
            // Redis makes it dense in order to look at it.
            make_dense(context, spot, key);
        }
        _ if is_word(subcommand, "DECODE") => {
            if encoding == Encoding::Dense {
                return Err(CommandError::Other("ERR HLL encoding is not sparse"));
            }
            steps.take(REGISTERS)?;
            hyperloglog::check(bytes)?;
            reply.bulk(hyperloglog::description(bytes).as_bytes());
        }
        _ if is_word(subcommand, "ENCODING") => {
            reply.simple(if encoding == Encoding::Dense { "dense" } else { "sparse" });
        }
        _ if is_word(subcommand, "TODENSE") => {
            steps.take(ALL_REGISTERS)?;
            hyperloglog::check(bytes)?;
            reply.integer((encoding == Encoding::Sparse).into());
            make_dense(context, spot, key);
        }
        _ => {
            let name = String::from_utf8_lossy(&subcommand[..subcommand.len().min(NAME_BYTES_MAX)]);
            return Err(CommandError::Unknown(format!("ERR Unknown PFDEBUG subcommand '{name}'")));
        }
    }
    Ok(())
}
