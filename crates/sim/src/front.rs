//! The front door for those who have a state machine of their own.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::batch::batch;
use crate::env::Stats;
use crate::run::{Options, run};
use crate::subject::Subject;
use crate::trace::Violation;

/// How many of the last events a failure shows.
const TRACE: usize = 40;

/// A seed that violates something.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed: it does so whenever it is run.
    pub seed: u64,
    /// What is wrong.
    pub violation: Violation,
    /// The last events.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        write!(f, "seed {}: {}", self.seed, self.violation)
    }
}

impl std::error::Error for Failure {}

/// Runs somebody's own machine on whole clusters, one per seed, on all cores, under everything that can go
/// wrong. Checks that every answer is that of a single copy, if there is a specification; that everything is
/// executed exactly once; that copies are equal; that the machine is deterministic; and all that is checked
/// of the protocols.
///
/// # Errors
/// The first seed that violates something.
pub fn check(subject: impl Subject + 'static, seeds: Range<u64>) -> Result<Stats, Box<Failure>> {
    let options = Options { subject: Some(Arc::new(subject)), ..Options::default() };
    let jobs = available_parallelism().map_or(1, |jobs| u16::try_from(jobs.get()).unwrap_or(u16::MAX));
    let (mut total, mut failed) = (Stats::default(), None);
    batch(seeds.start, seeds.end.saturating_sub(seeds.start), jobs, &options, |outcome| {
        total.add(&outcome.stats);
        failed = outcome.violation.map(|violation| (outcome.seed, violation));
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let Some((seed, violation)) = failed else { return Ok(total) };
    // Once more, for its last events. A machine that is not deterministic may do something else: what counts
    // is the first time.
    let trace = run(seed, &Options { trace: TRACE, ..options }).trace;
    Err(Box::new(Failure { seed, violation, trace }))
}
