//! The contract between a protocol and its driver.

use crate::time::Instant;

/// A replication protocol without I/O.
///
/// The driver promises:
/// 1. `now` never decreases;
/// 2. effects are carried out in the order in which they were pushed, but for what they wait for explicitly;
/// 3. it steps an elapsed-input no later than soon after [`Protocol::deadline`];
/// 4. a failed disk write is never reported as durable.
///
/// The protocol promises that the same inputs at the same times give the same effects.
pub trait Protocol {
    /// What can happen to the protocol.
    type Input;
    /// What the protocol wants done.
    type Effect;

    /// Takes one input and pushes the effects.
    fn step(&mut self, now: Instant, input: Self::Input, effects: &mut Vec<Self::Effect>);

    /// When the protocol next wants to hear that time has passed; `None` if nothing depends on time.
    fn deadline(&self) -> Option<Instant>;

    /// Asserts what must hold between any two steps. Panics with the name of what is violated.
    fn check_invariants(&self);
}
