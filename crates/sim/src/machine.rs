//! The machine of a replica: the keyspace, or what somebody brought along; and what it was asked for, as far
//! as somebody wants to know.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use onecopy_core::machine::RestoreError;
use onecopy_core::{
    ApplyContext, Eviction, Footprint, Incarnation, Need, Output, Place, QueryContext, Seen, StateMachine,
    Timestamp,
};
use onecopy_keyspace::Keyspace;

use crate::checks::looks::Looks;
use crate::client::{Action, OpId, costly_read};
use crate::node::NEWER;
use crate::subject::OwnMachine;

/// A batch with this in it sets something.
const SET: &[u8] = b"SET";
/// The key of the [mark](Machine::leave_mark). The clients of a run use far fewer.
const MARK: u64 = 778;

/// The machine of a replica.
#[derive(Debug)]
pub struct Machine {
    /// Which one.
    pub kind: Kind,
    /// What was seen of its state.
    looks: Cell<Looks>,
    /// The reads that were executed, and that cost whoever does it more than anybody can bear.
    costly: RefCell<Vec<OpId>>,
}

/// One of them.
#[derive(Debug)]
pub enum Kind {
    /// The machine of Onecopy.
    Keyspace(Box<Keyspace>),
    /// That of a [`Subject`](crate::subject::Subject).
    Own(Box<dyn OwnMachine>),
}

macro_rules! delegate {
    ($self:ident, $machine:ident => $call:expr) => {
        match &$self.kind {
            Kind::Keyspace($machine) => $call,
            Kind::Own($machine) => $call,
        }
    };
}

macro_rules! delegate_mut {
    ($self:ident, $machine:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Keyspace($machine) => $call,
            Kind::Own($machine) => $call,
        }
    };
}

impl Machine {
    /// A machine that was asked for nothing.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, looks: Cell::default(), costly: RefCell::default() }
    }

    /// What a newer version does with a `SET` beside everything else: it leaves a mark. Nobody asks for it,
    /// but it is a part of the state, and so of digests and images. (Not with all that comes: who caches
    /// hears of it, and asks for more, which would never end.)
    fn leave_mark(&mut self, context: &ApplyContext<'_>) {
        let Kind::Keyspace(machine) = &mut self.kind else { return };
        let value = context.index.0 as usize;
        machine.apply(context, &Action::Set.segment(MARK, value, 4, false), &mut Vec::new());
    }

    /// The costly reads that were executed since somebody asked last.
    pub fn costly(&self) -> Vec<OpId> {
        self.costly.take()
    }
}

impl StateMachine for Machine {
    fn advance(&mut self, context: &ApplyContext<'_>) {
        self.looks.get_mut().entry(context.time);
        delegate_mut!(self, machine => machine.advance(context));
    }

    fn coordinators_end(&mut self, is_known: &dyn Fn(Incarnation) -> bool) {
        delegate_mut!(self, machine => machine.coordinators_end(is_known));
    }

    fn absent(&mut self, is_absent: &dyn Fn(Incarnation) -> bool) {
        delegate_mut!(self, machine => machine.absent(is_absent));
    }

    fn present(&mut self, context: &ApplyContext<'_>, coordinator: Incarnation) {
        delegate_mut!(self, machine => machine.present(context, coordinator));
    }

    fn outputs(&mut self) -> Vec<Output> {
        delegate_mut!(self, machine => machine.outputs())
    }

    fn apply(&mut self, context: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        delegate_mut!(self, machine => machine.apply(context, body, response));
        if context.level >= NEWER && body.windows(SET.len()).any(|word| word == SET) {
            self.leave_mark(context);
        }
    }

    fn query(&self, context: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        self.costly.borrow_mut().extend(costly_read(body));
        delegate!(self, machine => machine.query(context, body, response));
    }

    fn changes(&self, body: &[u8], footprint: &mut Footprint) {
        delegate!(self, machine => machine.changes(body, footprint));
    }

    fn looks_at(&self, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
        delegate!(self, machine => machine.looks_at(body, footprint))
    }

    fn observe(&mut self, eviction: Eviction, now: Timestamp) {
        delegate_mut!(self, machine => machine.observe(eviction, now));
    }

    fn victims(&mut self, need: Need) -> Bytes {
        delegate_mut!(self, machine => machine.victims(need))
    }

    fn due(&self) -> Option<Timestamp> {
        delegate!(self, machine => machine.due())
    }

    fn memory(&self) -> u64 {
        delegate!(self, machine => machine.memory())
    }

    fn digest(&self) -> u64 {
        delegate!(self, machine => machine.digest())
    }

    fn has_leftovers(&self) -> bool {
        delegate!(self, machine => machine.has_leftovers())
    }

    fn tidy(&mut self) -> bool {
        delegate_mut!(self, machine => machine.tidy())
    }

    fn discard(&mut self) {
        delegate_mut!(self, machine => machine.discard());
    }

    fn scrub(&self, from: Place, bytes: usize) -> Seen {
        let seen = delegate!(self, machine => machine.scrub(from, bytes));
        let mut looks = self.looks.get();
        looks.looked(bytes, seen.bytes);
        self.looks.set(looks);
        seen
    }

    fn snapshot_begin(&mut self) {
        delegate_mut!(self, machine => machine.snapshot_begin());
    }

    fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
        delegate_mut!(self, machine => machine.snapshot_read(bytes_max, chunk))
    }

    fn snapshot_abandon(&mut self) {
        delegate_mut!(self, machine => machine.snapshot_abandon());
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        delegate_mut!(self, machine => machine.restore(chunk))
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        delegate_mut!(self, machine => machine.restore_finish())
    }
}
