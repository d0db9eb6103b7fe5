//! A group that is sealed, to be replicated in another way, is over until it is opened again: nothing that
//! its log has in between is executed, and whoever goes on begins right behind the seal (rule
//! `SealedIsOver`).
//!
//! Copies that have not heard of it may go on for a while behind the seal, and commit what executes nothing.
//! The group as it is now has other entries in the same places.

use onecopy_core::{EntryId, Sealed};
use onecopy_views::Switched;

use crate::trace::violated;

const CHECKER: &str = "seals";

/// From which entry on a group was sealed, and with which it was opened again.
#[derive(Debug)]
struct Closed {
    seal: EntryId,
    switch: u64,
    opened: Option<EntryId>,
}

/// The seals of a group.
#[derive(Debug, Default)]
pub struct Seals {
    closed: Vec<Closed>,
    /// The last switch that is over, and after which entry.
    switched: u64,
    over: Option<EntryId>,
}

impl Seals {
    /// Somebody has executed an entry, and the state is sealed since then, or not; whether that entry opened
    /// the group for the first time.
    pub fn executed(&mut self, entry: EntryId, sealed: Option<Sealed>, opens: bool) -> bool {
        if let Some(sealed) = sealed.filter(|sealed| sealed.at == entry) {
            if !self.closed.iter().any(|closed| closed.seal == entry) {
                self.closed.push(Closed { seal: entry, switch: sealed.switch, opened: None });
            }
            return false;
        }
        let is_open = |last: &&mut Closed| opens && last.opened.is_none() && entry.index > last.seal.index;
        let last = self.closed.last_mut().filter(is_open);
        last.is_some_and(|last| {
            last.opened = Some(entry);
            true
        })
    }

    /// Whether an entry stands behind a seal, and is none of the group that goes on.
    #[must_use]
    pub fn is_void(&self, entry: EntryId) -> bool {
        let is_behind = |closed: &Closed| match closed.opened {
            _ if entry.index <= closed.seal.index => false,
            None => true,
            Some(opened) => entry.epoch < opened.epoch || entry.index < opened.index,
        };
        self.closed.iter().any(is_behind)
    }

    /// After which entry the group goes on since the last switch that is over: whoever has it in its log
    /// knows from the table that it is committed.
    #[must_use]
    pub fn over(&self) -> Option<EntryId> {
        self.over
    }

    /// The view table says that a switch is over; whether that is news. The group goes on after the entry
    /// that was executed as its seal, and after no other.
    pub fn switched(&mut self, switched: &Switched) -> bool {
        if switched.number <= self.switched {
            return false;
        }
        (self.switched, self.over) = (switched.number, Some(switched.seal));
        let of = self.closed.iter().rev().find(|closed| closed.switch == switched.number);
        if !of.is_some_and(|of| of.seal == switched.seal && of.opened.is_none()) {
            violated(CHECKER, format!("{switched:?} goes on after something else than {of:?}"));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{NodeId, Timestamp, View, ViewNumber};
    use onecopy_views::Kind;

    use super::*;
    use crate::checks::caught;

    fn sealed(at: EntryId) -> Option<Sealed> {
        Some(Sealed { switch: 7, at, time: Timestamp(0) })
    }

    #[test]
    fn what_stands_behind_a_seal_is_void_until_the_group_is_opened() {
        let (mut seals, seal) = (Seals::default(), EntryId::new(4, 2));
        assert!(!seals.executed(seal, sealed(seal), false));
        assert!(!seals.executed(EntryId::new(5, 2), sealed(seal), false));
        assert!(seals.executed(EntryId::new(6, 9), None, true));
        let void = [(4, 2), (5, 2), (7, 8), (5, 9), (6, 9), (7, 9)]
            .map(|(index, epoch)| seals.is_void(EntryId::new(index, epoch)));
        assert_eq!(void, [false, true, true, true, false, false]);
    }

    #[test]
    fn a_group_that_goes_on_after_something_else_is_caught() {
        let (mut seals, seal) = (Seals::default(), EntryId::new(4, 2));
        seals.executed(seal, sealed(seal), false);
        let (number, kind) = (7, Kind::Raft);
        let view = View {
            number: ViewNumber(9),
            primary: NodeId(1),
            boot: 1.into(),
            members: Vec::new(),
            learners: Vec::new(),
        };
        let switched = |seal| Switched { number, kind, seal, view: view.clone() };
        assert_eq!(caught(|| _ = seals.switched(&switched(EntryId::new(5, 2)))), Some(CHECKER));
        let mut seals = Seals::default();
        seals.executed(seal, sealed(seal), false);
        assert!(seals.switched(&switched(seal)) && !seals.switched(&switched(seal)));
    }
}
