//! The machine of a replica: the keyspace, or what somebody brought along.

use onecopy_core::machine::RestoreError;
use onecopy_core::{ApplyContext, Footprint, Place, QueryContext, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;

use crate::subject::OwnMachine;

/// One of them.
#[derive(Debug)]
pub enum Machine {
    /// The machine of Onecopy.
    Keyspace(Box<Keyspace>),
    /// That of a [`Subject`](crate::subject::Subject).
    Own(Box<dyn OwnMachine>),
}

macro_rules! delegate {
    ($self:ident, $machine:ident => $call:expr) => {
        match $self {
            Machine::Keyspace($machine) => $call,
            Machine::Own($machine) => $call,
        }
    };
}

impl StateMachine for Machine {
    fn advance(&mut self, context: &ApplyContext<'_>) {
        delegate!(self, machine => machine.advance(context));
    }

    fn apply(&mut self, context: &ApplyContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        delegate!(self, machine => machine.apply(context, body, response));
    }

    fn query(&self, context: &QueryContext<'_>, body: &[u8], response: &mut Vec<u8>) {
        delegate!(self, machine => machine.query(context, body, response));
    }

    fn changes(&self, body: &[u8], footprint: &mut Footprint) {
        delegate!(self, machine => machine.changes(body, footprint));
    }

    fn looks_at(&self, body: &[u8], footprint: &mut Footprint) -> Option<Timestamp> {
        delegate!(self, machine => machine.looks_at(body, footprint))
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
        delegate!(self, machine => machine.tidy())
    }

    fn scrub(&self, from: Place, bytes: usize) -> (u64, Place) {
        delegate!(self, machine => machine.scrub(from, bytes))
    }

    fn snapshot_begin(&mut self) {
        delegate!(self, machine => machine.snapshot_begin());
    }

    fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
        delegate!(self, machine => machine.snapshot_read(bytes_max, chunk))
    }

    fn snapshot_abandon(&mut self) {
        delegate!(self, machine => machine.snapshot_abandon());
    }

    fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        delegate!(self, machine => machine.restore(chunk))
    }

    fn restore_finish(&mut self) -> Result<(), RestoreError> {
        delegate!(self, machine => machine.restore_finish())
    }
}
