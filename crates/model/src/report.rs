//! Runs the checker on a model, and says what it found.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries};

use crate::verdict::{Told, Violation};

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many threads look at states.
    pub threads: NonZeroUsize,
    /// After how long to give up.
    pub timeout: Duration,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many states were computed, again and again included.
    pub states: usize,
    /// How many different states there are.
    pub unique: usize,
    /// The length of the longest of the shortest ways to a state, in steps.
    pub depth: usize,
    /// How long it took.
    pub wall: Duration,
    /// Whether every state within the bounds was looked at.
    pub complete: bool,
    /// What must never be, with the way to it.
    pub violation: Option<(Violation, Vec<Step>)>,
    /// Where it began.
    pub beginning: String,
    /// What has to be possible, and whether it happened.
    pub reached: Vec<(&'static str, bool)>,
    /// The properties that no state violates.
    pub kept: Vec<&'static str>,
}

/// One step on the way to a violation.
#[derive(Clone, Debug)]
pub struct Step {
    /// Who did what.
    pub what: String,
    /// What followed from it at once.
    pub consequences: Vec<String>,
}

impl Outcome {
    /// Whether everything was looked at, nothing was violated, and everything happened that had to.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.complete && self.violation.is_none() && self.reached.iter().all(|(_, happened)| *happened)
    }
}

/// Looks at all states of a model, breadth first, until something is violated.
pub fn check<M>(model: M, limits: Limits) -> Outcome
where
    M: Told + Clone + Send + Sync + 'static,
    M::State: Clone + PartialEq + std::hash::Hash + Send + Sync + 'static,
    M::Action: Clone + PartialEq,
{
    let started = Instant::now();
    let teller = model.clone();
    let checker = model
        .checker()
        .threads(limits.threads.get())
        .timeout(limits.timeout)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let wall = started.elapsed();
    let mut outcome = Outcome {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        // The checker counts states, the first one included.
        depth: checker.max_depth().saturating_sub(1),
        wall,
        complete: wall < limits.timeout,
        violation: None,
        beginning: teller.beginning(),
        reached: Vec::new(),
        kept: Vec::new(),
    };
    let mut discoveries = checker.discoveries();
    for property in teller.properties() {
        let path = discoveries.remove(property.name).map(|path| path.into_vec());
        match (property.expectation, path) {
            (Expectation::Sometimes, path) => {
                outcome.reached.push((property.name, path.is_some()));
            }
            (_, Some(path)) => outcome.violation = Some(explain(&teller, path)),
            (_, None) => outcome.kept.push(property.name),
        }
    }
    if outcome.violation.is_some() {
        outcome.complete = false;
    }
    outcome
}

/// Puts a way to a violation into words.
fn explain<M: Told>(model: &M, path: Vec<(M::State, Option<M::Action>)>) -> (Violation, Vec<Step>) {
    let mut steps = Vec::new();
    let mut violation = Violation { property: "", what: String::new() };
    for (state, action) in &path {
        if let Some(found) = M::verdict(state) {
            violation = Violation::clone(found);
        }
        if let Some(action) = action {
            let (what, consequences) = model.tell(state, action);
            steps.push(Step { what, consequences });
        }
    }
    (violation, steps)
}
