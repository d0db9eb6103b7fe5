//! The machine of a group, and the stack of its own on which it executes.
//!
//! A command that takes long pauses when its slice is used up ([`Budget`]), deep in whatever it does, and
//! goes on in a later turn. So that nothing of it has to be written down meanwhile, it is executed on a
//! second stack: a coroutine. The machine moves onto that stack for each entry and for each batch of reads,
//! and back when it is done; that costs a few dozen nanoseconds. While it is *away* nobody can look into it,
//! and nobody has to say in a lock or a borrow that they must not: it is not there.
//!
//! Whoever has no use for what is being executed drops it: the stack is unwound, as by a panic that nobody
//! hears of, and the machine goes with it.

use std::fmt;
use std::mem;

use bytes::Bytes;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use onecopy_core::{
    Answer, BatchId, Budget, Entry, ExecuteError, Pause, QueryContext, Replicated, STOP, Slices,
    StateMachine, Timestamp,
};

/// The size of the stack. Only what has been touched of it takes memory.
const STACK_BYTES: usize = 1 << 20;

/// To execute a batch of reads costs so many steps, whatever is in it.
const READ_STEPS: usize = 8;

/// What is to be executed.
pub(super) enum Work {
    /// The next entry.
    Entry(Entry),
    /// Batches of reads, as of a time.
    Reads { now: Timestamp, bodies: Vec<Bytes> },
}

/// What has been executed.
pub(super) enum Done {
    /// An entry, with the answers to its batches.
    Entry { entry: Entry, answers: Result<Vec<(BatchId, Answer)>, ExecuteError> },
    /// Batches of reads: the responses.
    Reads(Vec<Bytes>),
}

impl Work {
    fn run<M: StateMachine>(self, state: &mut Replicated<M>, budget: Budget<'_>) -> Done {
        match self {
            Self::Entry(entry) => {
                let mut answers = Vec::new();
                let outcome = state.execute(&entry, budget, |id, answer| answers.push((id, answer)));
                Done::Entry { answers: outcome.map(|()| answers), entry }
            }
            Self::Reads { now, bodies } => {
                let context = QueryContext { now, level: state.level(), budget };
                let read = |body: &Bytes| {
                    budget.spend(READ_STEPS);
                    let mut response = Vec::new();
                    state.machine().query(&context, body, &mut response);
                    Bytes::from(response)
                };
                Done::Reads(bodies.iter().map(read).collect())
            }
        }
    }
}

/// What comes back from the other stack: the machine, what it has done, and how many steps of the slice are
/// left.
struct Back<M> {
    state: Box<Replicated<M>>,
    done: Done,
    left: u64,
}

/// Is given the steps of a slice, and comes back with the command that goes on.
type Run<M> = Coroutine<u64, Pause, Back<M>>;

enum Whereabouts<M> {
    Here(Box<Replicated<M>>),
    Away {
        run: Run<M>,
        pause: Pause,
        /// When time alone changes what reads see, if it is away for reads.
        due: Option<Timestamp>,
    },
    /// Within a step; and after a panic, for ever.
    Nowhere,
}

/// A state that is here, or away.
pub(super) struct Fiber<M> {
    whereabouts: Whereabouts<M>,
    /// What it executes is to stop, if it can.
    is_stopped: bool,
    /// For the next time; kept for its memory.
    stack: Option<DefaultStack>,
}

impl<M: StateMachine> Fiber<M> {
    pub(super) fn new(state: Replicated<M>) -> Self {
        Self { whereabouts: Whereabouts::Here(Box::new(state)), is_stopped: false, stack: None }
    }

    /// The state, unless it is away.
    pub(super) fn here(&self) -> Option<&Replicated<M>> {
        match &self.whereabouts {
            Whereabouts::Here(state) => Some(state),
            Whereabouts::Away { .. } | Whereabouts::Nowhere => None,
        }
    }

    /// The state, unless it is away.
    pub(super) fn here_mut(&mut self) -> Option<&mut Replicated<M>> {
        match &mut self.whereabouts {
            Whereabouts::Here(state) => Some(state),
            Whereabouts::Away { .. } | Whereabouts::Nowhere => None,
        }
    }

    /// Takes the state away for good, unless it is away.
    pub(super) fn take(&mut self) -> Option<Replicated<M>> {
        match mem::replace(&mut self.whereabouts, Whereabouts::Nowhere) {
            Whereabouts::Here(state) => Some(*state),
            Whereabouts::Away { .. } | Whereabouts::Nowhere => None,
        }
    }

    /// The command that is being executed, if it is away.
    pub(super) fn executes(&self) -> Option<&'static str> {
        match &self.whereabouts {
            Whereabouts::Away { pause, .. } => Some(pause.command),
            Whereabouts::Here(_) | Whereabouts::Nowhere => None,
        }
    }

    /// What is being executed is to stop with its next step, if it can.
    pub(super) fn stop(&mut self) {
        self.is_stopped = matches!(self.whereabouts, Whereabouts::Away { .. });
    }

    /// Whether a single command has used up a whole slice, and goes on.
    pub(super) fn executes_long(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::Away { pause: Pause { is_long: true, .. }, .. })
    }

    /// The earliest time at which time alone changes what reads see, as far as that can be told.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.whereabouts {
            Whereabouts::Here(state) => state.machine().due(),
            Whereabouts::Away { due, .. } => *due,
            Whereabouts::Nowhere => None,
        }
    }

    /// Puts another state in the place of this one, and of whatever it is executing.
    pub(super) fn replace(&mut self, state: Replicated<M>) {
        self.whereabouts = Whereabouts::Here(Box::new(state));
    }

    /// Begins to execute something. The state must be here.
    pub(super) fn begin(&mut self, work: Work, slice: &mut u64) -> Option<Done> {
        let Whereabouts::Here(state) = mem::replace(&mut self.whereabouts, Whereabouts::Nowhere) else {
            panic!("the machine begins something while it executes something else");
        };
        // An entry may change it. Then it is committed, and not executed, which everybody asks first.
        let due = if matches!(work, Work::Reads { .. }) { state.machine().due() } else { None };
        let stack = self.stack.take().unwrap_or_else(new_stack);
        let run = Coroutine::with_stack(stack, move |yielder: &Yielder<u64, Pause>, steps| {
            let mut state = state;
            let pause = |pause| yielder.suspend(pause);
            let slices = Slices::new(steps, &pause);
            let done = work.run(&mut state, slices.budget());
            Back { state, done, left: slices.left() }
        });
        self.step(run, due, slice)
    }

    /// Goes on with what is being executed, if something is.
    pub(super) fn go_on(&mut self, slice: &mut u64) -> Option<Done> {
        match mem::replace(&mut self.whereabouts, Whereabouts::Nowhere) {
            Whereabouts::Away { run, due, .. } => self.step(run, due, slice),
            other => {
                self.whereabouts = other;
                None
            }
        }
    }

    /// One slice, of which what is not used is left.
    fn step(&mut self, mut run: Run<M>, due: Option<Timestamp>, slice: &mut u64) -> Option<Done> {
        let steps = mem::take(slice);
        match run.resume(if mem::take(&mut self.is_stopped) { STOP } else { steps }) {
            CoroutineResult::Yield(pause) => {
                self.whereabouts = Whereabouts::Away { run, pause, due };
                None
            }
            CoroutineResult::Return(Back { state, done, left }) => {
                self.whereabouts = Whereabouts::Here(state);
                self.stack = Some(run.into_stack());
                *slice = left;
                Some(done)
            }
        }
    }
}

fn new_stack() -> DefaultStack {
    DefaultStack::new(STACK_BYTES).expect("there is no memory for a stack of 1 MiB")
}

impl<M: fmt::Debug> fmt::Debug for Fiber<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whereabouts {
            Whereabouts::Here(state) => state.fmt(f),
            Whereabouts::Away { pause, .. } => write!(f, "away for {:?}", pause.command),
            Whereabouts::Nowhere => f.write_str("nowhere"),
        }
    }
}
