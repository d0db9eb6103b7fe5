//! Lists: mostly changed at their ends.

use std::ops::Range;

use super::{Edit, STEP_COST};
use crate::value::{List, Typed, Value};

/// What takes the changes of a list back.
#[derive(Debug)]
pub(crate) struct ListUndo {
    /// The latest last.
    steps: Vec<Step>,
    bytes: u64,
}

#[derive(Debug)]
enum Step {
    Ends(Ends),
    /// The element at a position was another one.
    Set {
        position: usize,
        before: Box<[u8]>,
    },
    /// The element at a position was not there.
    Inserted {
        position: usize,
    },
    /// These elements were there, at these positions, in order.
    Removed(Vec<(usize, Box<[u8]>)>),
}

/// What has become of a list, if only its ends have changed: some new elements, some of the old ones, and new
/// ones again. So pushes and pops without end note no more than what was there.
#[derive(Debug, Default)]
struct Ends {
    new_in_front: usize,
    /// How many of the old elements are left.
    old: usize,
    new_behind: usize,
    /// The old elements that went from the front, and from the back, in order.
    gone_in_front: List,
    gone_behind: List,
}

impl Ends {
    fn push(&mut self, front: bool) {
        *(if front { &mut self.new_in_front } else { &mut self.new_behind }) += 1;
    }

    /// Elements go from one end, in order. Those that are noted have so many bytes.
    fn cut(&mut self, mut gone: List, front: bool) -> u64 {
        let (near, far) = if front {
            (&mut self.new_in_front, &mut self.new_behind)
        } else {
            (&mut self.new_behind, &mut self.new_in_front)
        };
        let count = gone.len();
        let new = count.min(*near);
        let old = (count - new).min(self.old);
        *near -= new;
        *far -= count - new - old;
        self.old -= old;
        gone.cut(front, new, |_| {});
        gone.cut(!front, count - new - old, |_| {});
        let bytes = gone.memory();
        if front {
            self.gone_in_front.append(gone)
        } else {
            self.gone_behind.prepend(gone)
        }
        bytes
    }
}

impl ListUndo {
    pub(super) fn of(list: &List) -> Self {
        Self { steps: vec![Step::Ends(Ends { old: list.len(), ..Ends::default() })], bytes: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn push(&mut self, step: Step, bytes: u64) {
        self.steps.push(step);
        self.bytes += STEP_COST + bytes;
    }

    /// What has become of the ends of a list that has so many elements, since anything else has changed.
    fn ends(&mut self, length: usize) -> &mut Ends {
        if !matches!(self.steps.last(), Some(Step::Ends(_))) {
            self.push(Step::Ends(Ends { old: length, ..Ends::default() }), 0);
        }
        match self.steps.last_mut() {
            Some(Step::Ends(ends)) => ends,
            _ => unreachable!("it was pushed"),
        }
    }

    pub(super) fn undo(self, list: &mut List, step: &mut dyn FnMut(usize)) {
        for change in self.steps.into_iter().rev() {
            step(1);
            match change {
                Step::Ends(ends) => {
                    list.cut(true, ends.new_in_front, &mut *step);
                    list.cut(false, ends.new_behind, &mut *step);
                    list.prepend(ends.gone_in_front);
                    list.append(ends.gone_behind);
                }
                Step::Set { position, before } => list.set_at(position, &before),
                Step::Inserted { position } => list.remove_all(&[position], step),
                Step::Removed(elements) => list.insert_all(elements, step),
            }
        }
    }

    pub(super) fn keep(self, discard: &mut dyn FnMut(Value)) {
        for step in self.steps {
            if let Step::Ends(ends) = step {
                discard(ends.gone_in_front.into_value());
                discard(ends.gone_behind.into_value());
            }
        }
    }
}

impl Edit<'_, List> {
    /// See [`List::expect`].
    pub(crate) fn expect(&mut self, elements: usize, bytes: usize) {
        self.value.expect(elements, bytes);
    }

    fn push(&mut self, element: &[u8], front: bool) {
        if let Some(undo) = &mut self.undo {
            undo.ends(self.value.len()).push(front);
        }
        if front { self.value.push_front(element) } else { self.value.push_back(element) }
    }

    pub(crate) fn push_front(&mut self, element: &[u8]) {
        self.push(element, true);
    }

    pub(crate) fn push_back(&mut self, element: &[u8]) {
        self.push(element, false);
    }

    fn pop(&mut self, front: bool) -> Option<Box<[u8]>> {
        let length = self.value.len();
        let popped = if front { self.value.pop_front() } else { self.value.pop_back() };
        if let (Some(undo), Some(element)) = (&mut self.undo, &popped) {
            let mut gone = List::new();
            gone.push_back(element);
            undo.bytes += undo.ends(length).cut(gone, front);
        }
        popped
    }

    pub(crate) fn pop_front(&mut self) -> Option<Box<[u8]>> {
        self.pop(true)
    }

    pub(crate) fn pop_back(&mut self) -> Option<Box<[u8]>> {
        self.pop(false)
    }

    /// See [`List::set`].
    pub(crate) fn set(&mut self, position: i64, element: &[u8]) -> bool {
        let Some(position) = self.value.resolve(position) else { return false };
        if let (Some(undo), Some(before)) = (&mut self.undo, self.value.at(position)) {
            undo.push(Step::Set { position, before: before.into() }, before.len() as u64);
        }
        self.value.set_at(position, element);
        true
    }

    /// Inserts before or after the first element equal to `pivot`; whether there is one. `step` is called for
    /// each element that is compared.
    pub(crate) fn insert(&mut self, pivot: &[u8], after: bool, element: &[u8], step: impl FnMut()) -> bool {
        let Some(position) = self.value.position(pivot, step) else { return false };
        let position = position + usize::from(after);
        if let Some(undo) = &mut self.undo {
            undo.push(Step::Inserted { position }, 0);
        }
        self.value.insert_at(position, element);
        true
    }

    /// Removes the first `count` elements equal to `element`, from the back if asked to; how many there were.
    /// `step` hears of the steps of each element that is looked at, or moved.
    pub(crate) fn remove(
        &mut self,
        element: &[u8],
        count: usize,
        from_back: bool,
        mut step: impl FnMut(usize),
    ) -> usize {
        let positions = self.value.positions(element, count, from_back, || step(1));
        if let (Some(undo), false) = (&mut self.undo, positions.is_empty()) {
            /// What the position of an element costs, and its place.
            const REMOVED: u64 = 24;
            let removed = positions.iter().map(|position| (*position, element.into())).collect();
            undo.push(Step::Removed(removed), positions.len() as u64 * (REMOVED + element.len() as u64));
        }
        self.value.remove_all(&positions, &mut step);
        positions.len()
    }

    /// Keeps only the elements at these positions, which must exist. Takes time for those that go, not for
    /// those that stay: capping a long list is cheap. `step` is told of how many go together. Returns what
    /// may be discarded.
    pub(crate) fn trim(&mut self, kept: Range<usize>, mut step: impl FnMut(usize)) -> List {
        let behind = self.value.len() - kept.end;
        let mut discarded = List::new();
        for (front, count) in [(false, behind), (true, kept.start)] {
            let length = self.value.len();
            let gone = self.value.cut(front, count, &mut step);
            match &mut self.undo {
                Some(undo) => undo.bytes += undo.ends(length).cut(gone, front),
                None => discarded.append(gone),
            }
        }
        discarded
    }
}
