//! Ranges of the entries of a stream, and how entries are written.

use onecopy_resp::Writer;

use super::stream_ids::{end, reply_id, start};
use super::streams::count;
use crate::context::View;
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::is_word;
use crate::steps::Steps;
use crate::value::Stream;
use crate::value::stream::{Entry, Id};

/// What is about to be replied, counted before it is written.
#[derive(Debug, Default)]
pub(super) struct Size {
    elements: usize,
    bytes: u64,
}

/// The text of an id, and what is around an entry.
pub(super) const ID_BYTES: u64 = 40;

impl Size {
    /// So many elements more, of so many bytes together.
    ///
    /// # Errors
    /// When the reply would be too large.
    pub(super) fn add(&mut self, elements: usize, bytes: u64) -> Outcome {
        self.elements = self.elements.saturating_add(elements);
        self.bytes = self.bytes.saturating_add(bytes);
        check_reply(self.elements, self.bytes)
    }

    /// An entry more. Looking at it is paid here, and writing it is reserved.
    ///
    /// # Errors
    /// When the reply would be too large, or the command would take too long.
    pub(super) fn add_entry(&mut self, entry: &Entry<'_>, steps: &mut Steps<'_>) -> Outcome {
        steps.take(1)?;
        steps.reserve(2 * entry.fields())?;
        self.add(3 + 2 * entry.fields(), ID_BYTES + entry.size())
    }
}

pub(super) fn reply_entry(entry: &Entry<'_>, reply: &mut Writer<'_>) {
    reply.array(2);
    reply_id(entry.id, reply);
    reply.array(2 * entry.fields());
    for (name, value) in entry.pairs() {
        reply.bulk(name);
        value.with(|value| reply.bulk(value));
    }
}

/// Writes entries that were counted before.
pub(super) fn reply_entries(entries: &[Entry<'_>], reply: &mut Writer<'_>) {
    reply.array(entries.len());
    entries.iter().for_each(|entry| reply_entry(entry, reply));
}

/// Takes entries, and counts them.
pub(super) fn take<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    size: &mut Size,
    steps: &mut Steps<'_>,
) -> Result<Vec<Entry<'a>>, CommandError> {
    entries.map(|entry| size.add_entry(&entry, steps).map(|()| entry)).collect()
}

fn range(
    view: &View<'_>,
    key: &[u8],
    (start, end): (Id, Id),
    options: &[&[u8]],
    reversed: bool,
    reply: &mut Writer<'_>,
) -> Outcome {
    let mut count_max = usize::MAX;
    let mut rest = options;
    while let [option, value, tail @ ..] = rest {
        if !is_word(option, "COUNT") {
            return Err(CommandError::Syntax);
        }
        count_max = count(value)?;
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(CommandError::Syntax);
    }
    let Some(stream) = view.read::<Stream>(key)? else {
        reply.array(0);
        return Ok(());
    };
    if count_max == 0 {
        reply.null_array();
        return Ok(());
    }
    let (mut size, mut steps) = (Size::default(), Steps::new(view.budget));
    let entries = if reversed {
        take(stream.log().range_reversed(start, end).take(count_max), &mut size, &mut steps)?
    } else {
        take(stream.log().range(start, end).take(count_max), &mut size, &mut steps)?
    };
    reply_entries(&entries, reply);
    Ok(())
}

pub(crate) fn xrange(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let ids = (start(args[2])?, end(args[3])?);
    range(view, args[1], ids, &args[4..], false, reply)
}

pub(crate) fn xrevrange(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let ids = (start(args[3])?, end(args[2])?);
    range(view, args[1], ids, &args[4..], true, reply)
}
