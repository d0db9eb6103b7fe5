//! Values, built of their elements. Nothing is believed.

use std::collections::BTreeMap;

use onecopy_core::Budget;
use onecopy_rdb::{Corrupt, Element, EntriesRead, StreamId};

use super::{BAD, pay};
use crate::error::CommandError;
use crate::seed::Seed;
use crate::steps::{ORDERED, Steps};
use crate::value::stream::{Group, Id, Pending};
use crate::value::{Hash, List, Set, Stream, TEXT_BYTES_MAX, Typed, Value, Zset};

/// Why a value is not built.
pub(super) enum Failure {
    Corrupt,
    Command(CommandError),
}

impl From<Corrupt> for Failure {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Corrupt => BAD,
            Failure::Command(error) => error,
        }
    }
}

/// A value of which there are some elements.
pub(super) struct Building {
    seed: Seed,
    value: Option<Value>,
    group: Option<Unfinished>,
}

/// The group that is being built.
struct Unfinished {
    name: Vec<u8>,
    group: Group,
    /// What is pending, and what is not known yet to be anybody's.
    pending: BTreeMap<Id, (u64, u64)>,
    /// The consumer that came last.
    consumer: Option<u32>,
}

fn id((ms, seq): StreamId) -> Id {
    Id { ms, seq }
}

/// Whether it makes sense.
fn sound(is_sound: bool) -> Result<(), Failure> {
    if is_sound { Ok(()) } else { Err(Failure::Corrupt) }
}

impl Building {
    pub(super) fn new(seed: Seed) -> Self {
        Self { seed, value: None, group: None }
    }

    /// The collection that is being built: an empty one at first.
    fn collection<T: Typed>(&mut self) -> Result<&mut T, Failure> {
        T::of_mut(self.value.get_or_insert_with(|| T::empty().into_value())).ok_or(Failure::Corrupt)
    }

    /// Adds the next element.
    pub(super) fn add(&mut self, element: Element<'_>, steps: &mut Steps<'_>) -> Result<(), Failure> {
        let seed = self.seed;
        match element {
            Element::Text(text) => {
                pay(steps, text.len())?;
                sound(text.len() <= TEXT_BYTES_MAX)?;
                self.value = Some(Value::of_bytes(text.to_vec()));
                Ok(())
            }
            Element::Item(item) => {
                pay(steps, item.len())?;
                self.collection::<List>()?.push_back(item);
                Ok(())
            }
            Element::Member(member) => {
                pay(steps, member.len())?;
                sound(self.collection::<Set>()?.insert(seed, member))
            }
            Element::Field(field, value) => {
                pay(steps, field.len() + value.len())?;
                sound(self.collection::<Hash>()?.insert(seed, field, value))
            }
            Element::Scored(member, score) => {
                pay(steps, member.len())?;
                steps.take(ORDERED)?;
                sound(self.collection::<Zset>()?.insert(seed, member, score).is_none())
            }
            Element::Entry(at, pairs) => {
                pay(steps, pairs.iter().map(|part| part.len()).sum::<usize>() + pairs.len())?;
                sound(id(at) > Id::ZERO)?;
                // It is paid for.
                self.collection::<Stream>()?.append(id(at), pairs, Budget::ENDLESS);
                Ok(())
            }
            Element::Stream { last, deleted, added } => {
                let stream = self.collection::<Stream>()?;
                stream.set_progress(id(last), Some(added.cast_signed()), Some(id(deleted)));
                Ok(())
            }
            Element::Group { name, last, read } => {
                pay(steps, name.len())?;
                self.end_group()?;
                let stream = self.collection::<Stream>()?;
                sound(stream.group(name).is_none())?;
                let read = match read {
                    EntriesRead::Count(read) => Some(read),
                    EntriesRead::Unknown => None,
                    EntriesRead::NotCounted => stream.progress().read_up_to(id(last)),
                };
                let group = Group::new(id(last), read);
                let (name, pending) = (name.to_vec(), BTreeMap::new());
                self.group = Some(Unfinished { name, group, pending, consumer: None });
                Ok(())
            }
            Element::Pending { .. } | Element::Consumer { .. } | Element::Owned(_) => {
                self.group.as_mut().ok_or(Failure::Corrupt)?.add(element, steps)
            }
        }
    }

    /// The group that is being built is complete.
    fn end_group(&mut self) -> Result<(), Failure> {
        let Some(Unfinished { name, group, pending, .. }) = self.group.take() else { return Ok(()) };
        sound(pending.is_empty())?;
        self.collection::<Stream>()?.add_group(&name, group);
        Ok(())
    }

    /// The value, if it is one.
    pub(super) fn finish(mut self) -> Result<Value, CommandError> {
        self.end_group()?;
        self.value.filter(|value| !value.content().is_gone()).ok_or(BAD)
    }
}

impl Unfinished {
    fn add(&mut self, element: Element<'_>, steps: &mut Steps<'_>) -> Result<(), Failure> {
        steps.take(ORDERED)?;
        match element {
            Element::Pending { id: at, delivered, deliveries } => {
                sound(self.pending.insert(id(at), (delivered, deliveries)).is_none())
            }
            Element::Consumer { name, seen, active } => {
                pay(steps, name.len())?;
                sound(self.group.add_consumer(name, seen))?;
                self.consumer = self.group.find(name);
                if let (Some(place), Some(active)) = (self.consumer, active) {
                    self.group.serve(place, active);
                }
                Ok(())
            }
            Element::Owned(at) => {
                let (delivered, deliveries) = self.pending.remove(&id(at)).ok_or(Failure::Corrupt)?;
                let consumer = self.consumer.ok_or(Failure::Corrupt)?;
                self.group.assign(Pending { id: id(at), consumer, delivered, deliveries });
                Ok(())
            }
            _ => Err(Failure::Corrupt),
        }
    }
}
