//! Groups: each entry that is pending, and each consumer, is noted once, as it was.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::{Consumer, Group, Id, Pending, Progress, Sorted};

/// To note what was pending costs so many bytes, and to note a consumer, beside its name.
const PENDING_COST: u64 = 96;
const PLACE_COST: u64 = 112;

/// What takes the changes of a group back.
#[derive(Debug)]
pub(crate) struct GroupUndo {
    last: Id,
    read: Option<i64>,
    /// What was pending.
    pending: BTreeMap<Id, Option<Pending>>,
    /// Who was at a place.
    places: BTreeMap<u32, Option<Place>>,
    bytes: u64,
}

/// A consumer, without what it has not acknowledged.
#[derive(Debug)]
struct Place {
    name: Arc<[u8]>,
    seen: u64,
    active: Option<u64>,
}

impl GroupUndo {
    pub(in crate::value::stream) fn of(group: &Group) -> Self {
        let (pending, places) = (BTreeMap::new(), BTreeMap::new());
        Self { last: group.last, read: group.read, pending, places, bytes: 0 }
    }

    pub(in crate::value::stream) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn note_pending(&mut self, group: &Group, id: Id) {
        self.pending.entry(id).or_insert_with(|| {
            self.bytes += PENDING_COST;
            group.pending.get(id).copied()
        });
    }

    fn note_place(&mut self, group: &Group, place: u32) {
        self.places.entry(place).or_insert_with(|| {
            let consumer = group.places.get(place as usize).and_then(Option::as_ref);
            self.bytes += PLACE_COST + consumer.map_or(0, |consumer| consumer.name.len() as u64);
            let Consumer { name, seen, active, .. } = consumer?;
            Some(Place { name: name.clone(), seen: *seen, active: *active })
        });
    }

    pub(in crate::value::stream) fn undo(self, group: &mut Group, step: &mut dyn FnMut(usize)) {
        for id in self.pending.keys() {
            step(1);
            group.forget(*id);
        }
        for (place, before) in self.places {
            step(1);
            group.restore_place(place, before);
        }
        group.settle_places();
        for pending in self.pending.into_values().flatten() {
            step(1);
            group.assign(pending);
        }
        (group.last, group.read) = (self.last, self.read);
    }
}

impl Group {
    /// A place is as it was. Whoever has come there since has nothing that is pending.
    fn restore_place(&mut self, place: u32, before: Option<Place>) {
        while self.places.len() <= place as usize {
            self.restore_consumer(None);
        }
        let current = &mut self.places[place as usize];
        if let (Some(consumer), Some(before)) = (&mut *current, &before)
            && consumer.name == before.name
        {
            (consumer.seen, consumer.active) = (before.seen, before.active);
            return;
        }
        if let Some(consumer) = current.take() {
            assert_eq!(consumer.pending.len(), 0, "what a new consumer was given is taken back first");
            // Another place may have that name again.
            if self.names.get(&consumer.name) == Some(&place) {
                self.names.remove(&consumer.name);
            }
            self.name_bytes -= consumer.name.len() as u64;
            self.free.insert(place);
        }
        if let Some(Place { name, seen, active }) = before {
            self.free.remove(&place);
            self.put(place, Consumer { name, seen, active, pending: Sorted::default() });
        }
    }
}

/// A group that is being changed.
#[derive(Debug)]
pub(crate) struct GroupEdit<'a> {
    group: &'a mut Group,
    undo: Option<&'a mut GroupUndo>,
}

impl Deref for GroupEdit<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl<'a> GroupEdit<'a> {
    pub(in crate::value::stream) fn new(group: &'a mut Group, undo: Option<&'a mut GroupUndo>) -> Self {
        Self { group, undo }
    }

    fn note_pending(&mut self, id: Id) {
        if let Some(undo) = &mut self.undo {
            undo.note_pending(self.group, id);
        }
    }

    fn note_place(&mut self, place: u32) {
        if let Some(undo) = &mut self.undo {
            undo.note_place(self.group, place);
        }
    }

    /// Says which entry was delivered last, and how many were.
    pub(crate) fn set_progress(&mut self, last: Id, read: Option<i64>) {
        (self.group.last, self.group.read) = (last, read);
    }

    /// See [`Group::add_consumer`].
    pub(crate) fn add_consumer(&mut self, name: &[u8], now: u64) -> bool {
        if self.group.find(name).is_none() {
            self.note_place(self.group.next_place());
        }
        self.group.add_consumer(name, now)
    }

    /// See [`Group::hear_of`].
    pub(crate) fn hear_of(&mut self, name: &[u8], now: u64) -> u32 {
        self.note_place(self.group.find(name).unwrap_or_else(|| self.group.next_place()));
        self.group.hear_of(name, now)
    }

    /// See [`Group::serve`].
    pub(crate) fn serve(&mut self, place: u32, now: u64) {
        self.note_place(place);
        self.group.serve(place, now);
    }

    /// See [`Group::remove_consumer`].
    pub(crate) fn remove_consumer(&mut self, name: &[u8], step: impl FnMut()) -> Option<usize> {
        let place = self.group.find(name)?;
        self.note_place(place);
        if let Some(undo) = &mut self.undo {
            let ids = self.group.consumer(place).pending.since_position(0);
            ids.for_each(|id| undo.note_pending(self.group, *id));
        }
        self.group.remove_consumer(name, step)
    }

    /// See [`Group::assign`].
    pub(crate) fn assign(&mut self, pending: Pending) {
        self.note_pending(pending.id);
        self.group.assign(pending);
    }

    /// See [`Group::forget`].
    pub(crate) fn forget(&mut self, id: Id) -> bool {
        self.note_pending(id);
        self.group.forget(id)
    }

    /// See [`Group::come_to`].
    pub(crate) fn come_to(&mut self, id: Id, progress: &Progress) {
        self.group.come_to(id, progress);
    }
}
