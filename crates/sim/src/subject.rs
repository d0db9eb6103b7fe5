//! What is simulated: the machine, what clients ask of it, and what a single copy would answer. The keyspace
//! with its workloads is built in; anybody may bring a machine of their own through [`crate::check`].

use std::fmt::Debug;

use bytes::Bytes;
use onecopy_core::segments::frame;
use onecopy_core::{Rules, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;

use crate::dice::Dice;
use crate::machine::{Kind as MachineKind, Machine};
use crate::message::Kind;

/// A machine of somebody's own, and its clients. Runs of several seeds share one, on several threads.
pub trait Subject: Debug + Send + Sync {
    /// A machine that has executed nothing. The numbers are for hash tables: different at every replica, and
    /// no outcome may depend on them.
    fn machine(&self, seed: [u64; 2]) -> Box<dyn OwnMachine>;

    /// What a client asks for next. All chance must come from the dice.
    fn ask(&self, dice: &mut Dice) -> Request;

    /// A single copy to which nothing has happened, to hold the answers against; without one, no answer is
    /// checked.
    fn specification(&self) -> Option<Box<dyn Model>> {
        None
    }
}

/// A state machine that the simulator can write down.
pub trait OwnMachine: StateMachine + Debug {}

impl<M: StateMachine + Debug> OwnMachine for M {}

/// Something that a client asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whether it goes through the log.
    pub kind: Kind,
    /// What is asked for, as the specification gets it.
    pub command: Bytes,
    /// The same as a segment of the machine's encoding ([`onecopy_core::segments`]).
    pub segment: Bytes,
}

impl Request {
    /// A command of a machine that takes [framed](frame) segments.
    #[must_use]
    pub fn framed(kind: Kind, command: impl Into<Bytes>) -> Self {
        let command = command.into();
        Self { kind, segment: frame(&command), command }
    }
}

/// What a single copy would do: a program for the same task as the machine, as simple as can be. It is cloned
/// with every write, so that reads can be held against what was true at their time.
pub trait Specification: Clone + Debug + 'static {
    /// Executes a command in an entry of this time, or as a read then; what it answers.
    fn execute(&mut self, now: Timestamp, command: &[u8]) -> Vec<u8>;
}

/// A [`Specification`], whichever.
pub trait Model: Debug {
    /// See there.
    fn execute(&mut self, now: Timestamp, command: &[u8]) -> Vec<u8>;
    /// Another one in the same state.
    fn copy(&self) -> Box<dyn Model>;
}

impl<S: Specification> Model for S {
    fn execute(&mut self, now: Timestamp, command: &[u8]) -> Vec<u8> {
        Specification::execute(self, now, command)
    }

    fn copy(&self) -> Box<dyn Model> {
        Box::new(self.clone())
    }
}

/// A machine for a replica of a run, under these rules.
#[must_use]
pub fn machine(subject: Option<&dyn Subject>, seed: [u64; 2], rules: Rules) -> Machine {
    let kind = match subject {
        None => MachineKind::Keyspace(Keyspace::new(seed).under(rules).into()),
        Some(subject) => MachineKind::Own(subject.machine(seed)),
    };
    Machine::new(kind)
}
