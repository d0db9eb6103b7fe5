//! One line that is renewed, for whoever waits in front of a terminal. Programs that read what a run says see
//! none of it.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use crate::clock::SECOND;
use crate::env::Stats;

/// How often the line is renewed.
const INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    started: Instant,
    shown: Instant,
    is_wanted: bool,
}

impl Progress {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, shown: started, is_wanted: stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, total: &Stats, violations: u64) {
        if self.is_wanted && self.shown.elapsed() >= INTERVAL {
            self.shown = Instant::now();
            let wall = self.started.elapsed().as_secs_f64();
            let (seeds, simulated) = (total.seeds, total.time / SECOND);
            eprint!(
                "\r{seeds} seeds, {simulated} s simulated in {wall:.0} s, {violations} violations \x1b[K"
            );
        }
    }

    /// Makes room for what is said.
    pub(super) fn clear(&self) {
        if self.is_wanted {
            eprint!("\r\x1b[K");
        }
    }
}
