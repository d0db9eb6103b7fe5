//! Many seeds, on several threads. Every run is single-threaded; what comes out is handed over in the order
//! of the seeds, so that nothing depends on how many threads there are.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::run::{Options, Outcome, run};

/// How many outcomes may wait for an earlier one, per thread.
const AHEAD: usize = 64;

/// Runs `seeds` seeds from `first` on, and hands each outcome to `each`, in order, until that has seen
/// enough.
pub fn batch(
    first: u64,
    seeds: u64,
    jobs: u16,
    options: &Options,
    mut each: impl FnMut(Outcome) -> ControlFlow<()>,
) {
    if jobs <= 1 || seeds == 1 {
        let _ = (first..first + seeds).try_for_each(|seed| each(run(seed, options)));
        return;
    }
    let (next, enough) = (AtomicU64::new(first), AtomicBool::new(false));
    let work = || {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        (seed < first + seeds && !enough.load(Ordering::Relaxed)).then(|| run(seed, options))
    };
    thread::scope(|scope| {
        let (done, outcomes) = sync_channel(AHEAD * usize::from(jobs));
        for _ in 0..jobs {
            let done = done.clone();
            scope.spawn(move || {
                while let Some(outcome) = work() {
                    // Whoever has seen enough does not listen any more.
                    if done.send(outcome).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let (mut waiting, mut due) = (BTreeMap::new(), first);
        for outcome in outcomes {
            waiting.insert(outcome.seed, outcome);
            while let Some(outcome) = waiting.remove(&due) {
                due += 1;
                if each(outcome).is_break() {
                    enough.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    });
}
