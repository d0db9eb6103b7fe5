//! `CLUSTER COUNTKEYSINSLOT` and `GETKEYSINSLOT`: what is in a slot. All else that `CLUSTER` tells is known
//! to nodes, and not to the data.

use onecopy_resp::Writer;

use super::object::unknown;
use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::number::{is_word, parse_integer};
use crate::slot::{Object, SlotView};
use crate::slots::SLOTS;
use crate::steps::KEY;

const NO_NUMBER: CommandError = CommandError::Other("ERR value is not an integer or out of range");

pub(crate) fn cluster(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    match &args[1..] {
        [word, slot] if is_word(word, "COUNTKEYSINSLOT") => {
            let slot = slot_of(view, slot, CommandError::Other("ERR Invalid slot"))?;
            reply.length(slot.map_or(0, |slot| keys(view, slot).count()));
        }
        [word, slot, count] if is_word(word, "GETKEYSINSLOT") => {
            let invalid = || CommandError::Other("ERR Invalid slot or number of keys");
            let count = parse_integer(count).ok_or(NO_NUMBER)?;
            let slot = slot_of(view, slot, invalid())?;
            let count = usize::try_from(count).map_err(|_| invalid())?;
            let keys: Vec<Object<'_>> =
                slot.map_or_else(Vec::new, |slot| keys(view, slot).take(count).collect());
            reply.array(keys.len());
            keys.iter().for_each(|object| reply.bulk(object.key));
        }
        [word, ..] if is_word(word, "COUNTKEYSINSLOT") => {
            return Err(CommandError::Arity("cluster|countkeysinslot"));
        }
        [word, ..] if is_word(word, "GETKEYSINSLOT") => {
            return Err(CommandError::Arity("cluster|getkeysinslot"));
        }
        _ => return Err(unknown("CLUSTER", args[1])),
    }
    Ok(())
}

/// The slot with this number; `None` if it has no keys.
fn slot_of<'a>(
    view: &View<'a>,
    number: &[u8],
    invalid: CommandError,
) -> Result<Option<SlotView<'a>>, CommandError> {
    let number = parse_integer(number).ok_or(NO_NUMBER)?;
    let number = usize::try_from(number).ok().filter(|number| *number < SLOTS).ok_or(invalid)?;
    Ok(view.database().and_then(|database| database.slot(number)))
}

/// The keys that have not expired. Each that is looked at is paid for.
fn keys<'a>(view: &View<'a>, slot: SlotView<'a>) -> impl Iterator<Item = Object<'a>> {
    let (budget, now) = (view.budget, view.now);
    let objects = (0..slot.len()).filter_map(move |position| {
        budget.spend(KEY);
        slot.at(position)
    });
    objects.filter(move |object| !object.is_expired(now))
}
