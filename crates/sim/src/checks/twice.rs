//! Determinism of somebody's own machine: everything that is committed is executed twice more, by two
//! machines that have nothing in common but the log. They have different seeds for their tables, they lie
//! elsewhere in memory, they run at another moment, and one of them goes on from an image of itself now and
//! then. Answers, digests, and what the machine says of itself must be equal: an order that comes from a hash
//! table, a clock or an address shows here (Schneider, 1990, section 2; rule P10).

use std::sync::Arc;

use onecopy_core::{Budget, Entry, Index, QueryContext, Replicated, Rules, StateMachine, Timestamp};

use crate::machine::Machine;
use crate::subject::{Subject, machine};
use crate::trace::violated;

const CHECKER: &str = "twice";
/// How often, in entries, one of the machines goes on from an image of itself.
const IMAGE_INTERVAL: u64 = 16;
/// In pieces of so many bytes: nobody may rely on where an image is cut.
const PIECE_BYTES: usize = 61;

/// Both machines.
#[derive(Debug)]
pub struct Twice {
    subject: Arc<dyn Subject>,
    first: Replicated<Machine>,
    second: Replicated<Machine>,
}

impl Twice {
    /// Two machines that have executed nothing.
    #[must_use]
    pub fn new(subject: Arc<dyn Subject>) -> Self {
        let fresh =
            |seed| Replicated::new(machine(Some(&*subject), seed, Rules::default()), Rules::default());
        let (first, second) = (fresh([1, 2]), fresh([u64::MAX, 0x9e37_79b9_7f4a_7c15]));
        Self { subject, first, second }
    }

    /// The state of both.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        self.first.machine()
    }

    /// The next entry was committed.
    pub fn committed(&mut self, entry: &Entry) {
        if entry.id.index.0.is_multiple_of(IMAGE_INTERVAL) {
            self.rebuild(entry.id.index);
        }
        let run = |machine: &mut Replicated<Machine>| {
            let mut responses = Vec::new();
            machine
                .execute(entry, Budget::ENDLESS, |_, response| responses.push(response))
                .map(|()| responses)
        };
        let (Ok(first), Ok(second)) = (run(&mut self.first), run(&mut self.second)) else {
            violated(CHECKER, format!("{} cannot be decoded", entry.id));
        };
        let at = entry.id.index;
        for (first, second) in first.iter().zip(&second) {
            same("answers to a write", at, first, second);
        }
        let of = |machine: &Replicated<Machine>| {
            let state = machine.machine();
            (state.digest(), state.memory(), state.due(), machine.digest())
        };
        same("digest, memory, next date, and looks", at, of(&self.first), of(&self.second));
    }

    /// Somebody reads: both must answer the same.
    pub fn read(&self, now: Timestamp, body: &[u8]) {
        let answer = |machine: &Replicated<Machine>| {
            let mut response = Vec::new();
            machine.machine().query(&QueryContext::at(now), body, &mut response);
            response
        };
        same("answers to a read", Index(0), answer(&self.first), answer(&self.second));
    }

    /// Lets the second go on from an image of itself.
    fn rebuild(&mut self, at: Index) {
        let mut image = Vec::new();
        self.second.snapshot_begin();
        while self.second.snapshot_read(PIECE_BYTES, &mut image) {}
        let mut fresh =
            Replicated::new(machine(Some(&*self.subject), [at.0, !at.0], Rules::default()), Rules::default());
        let restored = image.chunks(PIECE_BYTES).try_for_each(|piece| fresh.restore(piece));
        if let Err(error) = restored.and_then(|()| fresh.restore_finish()) {
            violated(CHECKER, format!("before {at}: {error}"));
        }
        self.second = fresh;
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, at: Index, first: T, second: T) {
    if first != second {
        let at = if at.0 == 0 { String::new() } else { format!(" at {at}") };
        violated(
            CHECKER,
            format!("two machines with one log differ in their {what}{at}: {first:?} and {second:?}"),
        );
    }
}
