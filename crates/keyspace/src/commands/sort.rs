//! `SORT`: the elements of a list, a set or a sorted set in order, or what other keys hold about them.
//!
//! Texts are compared by their bytes, as Redis does in the locale C: no copy may depend on its locale.
//! Elements that compare equal stay in the order in which they were.

use std::cmp::Ordering;
use std::ops::Range;

use onecopy_resp::Writer;

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::machine::check_reply;
use crate::number::{integer, is_word, parse_float};
use crate::steps::{Comparisons, ELEMENT, KEY, Steps, copying, rounds, sorting};
use crate::value::{Content, List, Text};

/// What stands for the element in a pattern.
const PLACE: u8 = b'*';
/// What stands between a key and the field of a hash in a pattern.
const ARROW: &[u8] = b"->";

/// A pattern of `BY` or `GET`.
#[derive(Clone, Copy, Debug)]
enum Pattern<'a> {
    /// `#`: the element.
    Element,
    /// It has no place for the element, so it names nothing.
    Nothing,
    /// A key with the element in its name, perhaps of a hash with such a field.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(pattern: &'a [u8]) -> Self {
        if pattern == b"#" {
            return Self::Element;
        }
        let Some(at) = pattern.iter().position(|byte| *byte == PLACE) else { return Self::Nothing };
        let (before, after) = (&pattern[..at], &pattern[at + 1..]);
        match after.windows(ARROW.len()).position(|window| window == ARROW) {
            Some(arrow) if arrow + ARROW.len() < after.len() => {
                Self::Key { before, after: &after[..arrow], field: Some(&after[arrow + ARROW.len()..]) }
            }
            _ => Self::Key { before, after, field: None },
        }
    }

    /// What it names for an element.
    fn resolve<'v>(
        self,
        view: &View<'v>,
        element: &'v [u8],
        steps: &mut Steps<'_>,
    ) -> Result<Option<Text<'v>>, CommandError> {
        let (before, after, field) = match self {
            Self::Element => return Ok(Some(Text::new(element))),
            Self::Nothing => return Ok(None),
            Self::Key { before, after, field } => (before, after, field),
        };
        steps.take(KEY + copying(before.len() + element.len() + after.len()))?;
        let key = [before, element, after].concat();
        let content = view.object(&key).map(|object| object.value);
        Ok(match (content, field) {
            (Some(Content::Text(text)), None) => Some(text),
            (Some(Content::Hash(hash)), Some(field)) => hash.get(field).map(Text::new),
            _ => None,
        })
    }
}

/// What an element is compared by.
#[derive(Clone, Copy, Debug)]
enum Weight<'a> {
    Number(f64),
    /// `None` if the key does not exist: before all others.
    Text(Option<Text<'a>>),
}

impl<'a> Weight<'a> {
    fn number(text: Option<Text<'a>>) -> Result<Self, CommandError> {
        let number = match text {
            None => Some(0.0),
            Some(Text::Integer(number)) => Some(number as f64),
            Some(Text::Raw(bytes)) => parse_weight(bytes),
        };
        number
            .map(Self::Number)
            .ok_or(CommandError::Other("ERR One or more scores can't be converted into double"))
    }

    /// How many bytes a comparison looks at, at most.
    fn len(self) -> usize {
        match self {
            Self::Number(_) | Self::Text(None) => 0,
            Self::Text(Some(text)) => text.len(),
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            // No weight is NaN, and both zeros are equal.
            (Self::Number(one), Self::Number(other)) => one.partial_cmp(&other).unwrap_or(Ordering::Equal),
            (Self::Text(Some(one)), Self::Text(Some(other))) => {
                one.with(|one| other.with(|other| one.cmp(other)))
            }
            (Self::Text(one), Self::Text(other)) => one.is_some().cmp(&other.is_some()),
            (Self::Number(_), Self::Text(_)) | (Self::Text(_), Self::Number(_)) => Ordering::Equal,
        }
    }
}

/// A number as `strtod` reads it from a string that ends with a zero byte: white space before it is skipped,
/// and nothing at all is zero.
fn parse_weight(bytes: &[u8]) -> Option<f64> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    if bytes.is_empty() {
        return Some(0.0);
    }
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    parse_float(&bytes[start..])
}

/// A command, parsed.
struct Query<'b> {
    by: Option<Pattern<'b>>,
    get: Vec<Pattern<'b>>,
    offset: i64,
    /// No limit when negative.
    count: i64,
    alpha: bool,
    descending: bool,
    destination: Option<&'b [u8]>,
}

impl<'b> Query<'b> {
    fn parse(args: &[&'b [u8]], may_store: bool) -> Result<Self, CommandError> {
        let mut query = Query {
            by: None,
            get: Vec::new(),
            offset: 0,
            count: -1,
            alpha: false,
            descending: false,
            destination: None,
        };
        let mut rest = &args[2..];
        while let [option, tail @ ..] = rest {
            let is = |word: &str| is_word(option, word);
            rest = match tail {
                _ if is("ASC") || is("DESC") => {
                    query.descending = is("DESC");
                    tail
                }
                _ if is("ALPHA") => {
                    query.alpha = true;
                    tail
                }
                [offset, count, after @ ..] if is("LIMIT") => {
                    (query.offset, query.count) = (integer(offset)?, integer(count)?);
                    after
                }
                [key, after @ ..] if is("STORE") && may_store => {
                    query.destination = Some(key);
                    after
                }
                [pattern, after @ ..] if is("BY") => {
                    query.by = Some(Pattern::parse(pattern));
                    after
                }
                [pattern, after @ ..] if is("GET") => {
                    query.get.push(Pattern::parse(pattern));
                    after
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(query)
    }

    /// The elements that are wanted, in the order that is wanted.
    fn run<'v>(
        &self,
        view: &View<'v>,
        key: &[u8],
        steps: &mut Steps<'_>,
    ) -> Result<Vec<&'v [u8]>, CommandError> {
        let content = view.object(key).map(|object| object.value);
        let length = match content {
            None => 0,
            Some(content @ (Content::List(_) | Content::Set(_) | Content::Zset(_))) => content.len(),
            Some(_) => return Err(CommandError::WrongType),
        };
        let start = usize::try_from(self.offset.max(0)).unwrap_or(usize::MAX).min(length);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX).min(length - start);
        let wanted = start..start + count;
        let is_unsorted = matches!(self.by, Some(Pattern::Element | Pattern::Nothing));
        // The walk of a set is an accident, and should not be stored.
        let is_set = matches!(content, Some(Content::Set(_)));
        let (by, alpha) = match self.by {
            Some(_) if is_unsorted && is_set && self.destination.is_some() => (None, true),
            Some(_) if is_unsorted => return elements(content, wanted, self.descending, steps),
            by => (by, self.alpha),
        };
        let elements = elements(content, 0..length, false, steps)?;
        let mut sorted = sort(view, elements, by, (alpha, self.descending), steps)?;
        sorted.truncate(wanted.end);
        sorted.drain(..wanted.start);
        Ok(sorted)
    }

    /// Calls `each` with everything that the answer has: the elements, or what the patterns of `GET` name.
    fn each<'v>(
        &self,
        view: &View<'v>,
        elements: &[&'v [u8]],
        steps: &mut Steps<'_>,
        mut each: impl FnMut(Option<Text<'v>>, &mut Steps<'_>) -> Outcome,
    ) -> Outcome {
        for element in elements {
            if self.get.is_empty() {
                each(Some(Text::Raw(element)), steps)?;
            }
            for pattern in &self.get {
                let text = pattern.resolve(view, element, steps)?;
                each(text, steps)?;
            }
        }
        Ok(())
    }

    fn reply(
        &self,
        view: &View<'_>,
        elements: &[&[u8]],
        steps: &mut Steps<'_>,
        reply: &mut Writer<'_>,
    ) -> Outcome {
        let count = elements.len().saturating_mul(self.get.len().max(1));
        steps.reserve(count)?;
        check_reply(count, 0)?;
        reply.array(count);
        self.each(view, elements, steps, |text, _| {
            match text {
                Some(text) => text.with(|bytes| reply.bulk(bytes)),
                None => reply.null(),
            }
            // Nobody needs the rest of a reply that is too large.
            if reply.overflowed() { Err(CommandError::ReplyTooLarge) } else { Ok(()) }
        })
    }

    /// The answer as the list that is stored. What does not exist is an empty string.
    fn stored(
        &self,
        view: &View<'_>,
        elements: &[&[u8]],
        steps: &mut Steps<'_>,
    ) -> Result<List, CommandError> {
        let mut list = List::new();
        self.each(view, elements, steps, |text, steps| {
            let text = text.unwrap_or(Text::Raw(b""));
            steps.take(ELEMENT + copying(text.len()))?;
            text.with(|bytes| list.push_back(bytes));
            Ok(())
        })?;
        Ok(list)
    }
}

/// Some elements of a collection, in the order that it has, or the reverse. A set has none, and is walked
/// as it is.
fn elements<'v>(
    content: Option<Content<'v>>,
    wanted: Range<usize>,
    descending: bool,
    steps: &mut Steps<'_>,
) -> Result<Vec<&'v [u8]>, CommandError> {
    let (Some(content), count) = (content, wanted.len()) else { return Ok(Vec::new()) };
    let mut taken = Vec::with_capacity(count);
    let mut take = |element: &'v [u8]| -> Outcome {
        steps.take(1)?;
        taken.push(element);
        Ok(())
    };
    let reversed = |length: usize| length - wanted.end..length - wanted.start;
    match content {
        Content::List(list) if descending => {
            let range = reversed(list.len());
            list.iter_reversed().skip(wanted.start).take(range.len()).try_for_each(&mut take)?;
        }
        Content::List(list) => list.range(wanted).try_for_each(&mut take)?,
        Content::Zset(zset) if descending => {
            zset.range_reversed(reversed(zset.len())).try_for_each(|(member, _)| take(member))?;
        }
        Content::Zset(zset) => zset.range(wanted).try_for_each(|(member, _)| take(member))?,
        Content::Set(set) => set.iter_from(wanted.start).take(count).try_for_each(&mut take)?,
        Content::Text(_) | Content::Hash(_) | Content::Stream(_) => {}
    }
    Ok(taken)
}

fn sort<'v>(
    view: &View<'v>,
    elements: Vec<&'v [u8]>,
    by: Option<Pattern<'_>>,
    (alpha, descending): (bool, bool),
    steps: &mut Steps<'_>,
) -> Result<Vec<&'v [u8]>, CommandError> {
    let mut weighed = Vec::with_capacity(elements.len());
    let mut bytes = 0usize;
    for element in elements {
        let text = match by {
            Some(by) => by.resolve(view, element, steps)?,
            None if alpha => Some(Text::Raw(element)),
            None => Some(Text::new(element)),
        };
        let weight = if alpha { Weight::Text(text) } else { Weight::number(text)? };
        // Numbers that are equal are told apart by their elements.
        bytes = bytes.saturating_add(if alpha { weight.len() } else { element.len() });
        weighed.push((weight, element));
    }
    steps.reserve(sorting(weighed.len()))?;
    // In each round, every element is as long as what it is compared with, or longer.
    steps.reserve(rounds(weighed.len()).saturating_mul(copying(bytes)))?;
    let mut comparisons = Comparisons::new(view.budget);
    weighed.sort_by(|(one, one_element), (other, other_element)| {
        comparisons.spend(one.len().min(other.len()));
        let ascending = match one.compare(*other) {
            Ordering::Equal if !alpha => one_element.cmp(other_element),
            ordering => ordering,
        };
        if descending { ascending.reverse() } else { ascending }
    });
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

pub(crate) fn sort_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let query = Query::parse(args, false)?;
    let mut steps = Steps::new(view.budget);
    let elements = query.run(view, args[1], &mut steps)?;
    query.reply(view, &elements, &mut steps, reply)
}

pub(crate) fn sort_and_store(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let query = Query::parse(args, true)?;
    let view = context.view();
    let mut steps = Steps::new(view.budget);
    let elements = query.run(&view, args[1], &mut steps)?;
    let Some(destination) = query.destination else {
        return query.reply(&view, &elements, &mut steps, reply);
    };
    let stored = query.stored(&view, &elements, &mut steps)?;
    reply.length(stored.len());
    context.store(destination, stored);
    Ok(())
}
