//! `BITOP`: strings, bit by bit with each other.

use std::borrow::Cow;

use onecopy_core::Budget;
use onecopy_resp::Writer;

use crate::context::Context;
use crate::error::{CommandError, Outcome};
use crate::number::is_word;
use crate::slot::New;
use crate::steps::{KEY, PIECE, Steps, copying};
use crate::value::{Text, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(arg: &[u8]) -> Result<Self, CommandError> {
        let operations = [("AND", Self::And), ("OR", Self::Or), ("XOR", Self::Xor), ("NOT", Self::Not)];
        let found = operations.into_iter().find(|(word, _)| is_word(arg, word));
        found.map(|(_, operation)| operation).ok_or(CommandError::Syntax)
    }

    /// Adds a piece of another string to the piece of the result at the same place, which may be longer.
    fn apply(self, result: &mut [u8], source: &[u8]) {
        let (within, behind) = result.split_at_mut(source.len());
        let pairs = within.iter_mut().zip(source);
        match self {
            Self::And => {
                pairs.for_each(|(result, byte)| *result &= byte);
                behind.fill(0);
            }
            Self::Or => pairs.for_each(|(result, byte)| *result |= byte),
            Self::Xor => pairs.for_each(|(result, byte)| *result ^= byte),
            Self::Not => pairs.for_each(|(result, byte)| *result = !byte),
        }
    }

    /// The result for these strings, as long as the longest of them: the others end in zeroes.
    fn of(self, sources: &[Cow<'_, [u8]>], budget: Budget<'_>) -> Vec<u8> {
        let length = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let mut result = vec![0; length];
        // All strings piece by piece, rather than one string after the other: a piece stays in the cache.
        for (piece, number) in result.chunks_mut(PIECE).zip(0..) {
            for (source, nth) in sources.iter().zip(0..) {
                let rest = source.get(number * PIECE..).unwrap_or_default();
                let source = &rest[..rest.len().min(piece.len())];
                match self {
                    // The first one stands for itself: there is nothing to combine it with.
                    Self::And | Self::Or | Self::Xor if nth == 0 => {
                        piece[..source.len()].copy_from_slice(source);
                    }
                    _ => self.apply(piece, source),
                }
                budget.spend(copying(source.len()));
            }
        }
        result
    }
}

pub(crate) fn bitop(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (operation, target, keys) = (Operation::parse(args[1])?, args[2], &args[3..]);
    if operation == Operation::Not && keys.len() != 1 {
        return Err(CommandError::Other("ERR BITOP NOT must be called with a single source key."));
    }
    let budget = context.budget();
    let mut steps = Steps::new(budget);
    let view = context.view();
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        budget.spend(KEY);
        let source = match view.text(key)? {
            None => Cow::Borrowed(&[][..]),
            Some(Text::Raw(bytes)) => Cow::Borrowed(bytes),
            Some(number) => Cow::Owned(number.to_vec()),
        };
        steps.reserve_copy(source.len())?;
        sources.push(source);
    }
    let result = operation.of(&sources, budget);
    reply.length(result.len());
    if result.is_empty() {
        context.delete(target);
    } else {
        let spot = context.locate(target);
        context.put(spot, target, New::Value(Value::of_bytes(result)), None);
    }
    Ok(())
}
