//! Makes a history that fails smaller: fewer faults, fewer clients, a shorter time, as long as the same
//! property is still violated. Taking something away changes all chance that follows, so this is a search,
//! not a subtraction; it is greedy, and good enough to turn a storm of everything into the two or three
//! events that matter.

use crate::clock::SECOND;
use crate::faults::Fault;
use crate::limits::Limits;
use crate::run::{Options, Outcome, run};

/// The smallest limits that were found under which `seed` still violates the same property, and what comes
/// out then. `None` if the seed violates nothing.
#[must_use]
pub fn shrink(seed: u64, options: &Options) -> Option<(Limits, Outcome)> {
    let mut best = run(seed, options);
    let checker = best.violation.as_ref()?.checker;
    let mut limits = options.limits.clone();
    loop {
        let smaller = candidates(&limits, &best).into_iter().find_map(|candidate| {
            let outcome = run(seed, &Options { limits: candidate.clone(), ..options.clone() });
            let same = outcome.violation.as_ref().is_some_and(|violation| violation.checker == checker);
            same.then_some((candidate, outcome))
        });
        match smaller {
            Some(smaller) => (limits, best) = smaller,
            None => return Some((limits, best)),
        }
    }
}

/// What to try next, the largest steps first.
fn candidates(limits: &Limits, outcome: &Outcome) -> Vec<Limits> {
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = limits.clone();
        change(&mut limits);
        limits
    };
    let mut candidates = Vec::new();
    let happened: u64 = outcome.stats.faults.values().sum();
    for faults in [happened / 2, happened.saturating_sub(1)] {
        if faults < happened {
            candidates.push(with(&|limits| limits.faults_max = Some(faults)));
        }
    }
    for fault in Fault::ALL.into_iter().filter(|fault| outcome.stats.faults.contains_key(fault)) {
        candidates.push(with(&|limits| limits.without.extend([fault])));
    }
    if !limits.calm {
        candidates.push(with(&|limits| limits.calm = true));
    }
    if outcome.profile.clients > 1 {
        candidates.push(with(&|limits| limits.clients = Some(outcome.profile.clients / 2)));
    }
    let seconds = outcome.profile.fault_time / SECOND;
    if seconds > 3 {
        candidates.push(with(&|limits| limits.seconds = Some(seconds * 2 / 3)));
    }
    candidates
}
