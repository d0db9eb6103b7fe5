//! What a node remembers of what its clients did: slow commands, how long commands take, errors, and what
//! was denied. It is about this process, bounded, and gone with it.

mod denials;
mod histogram;
mod latency;
mod slow_log;
mod statistics;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::lock::lock;
use crate::status::KeyCounts;
pub(crate) use denials::{Denials, Reason};
pub(crate) use latency::Latency;
pub(crate) use slow_log::SlowLog;
pub(crate) use statistics::Statistics;

/// How often something happens is counted over at least so long.
const RATE_INTERVAL: Duration = Duration::from_millis(100);

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Records {
    slow: Mutex<SlowLog>,
    latency: Mutex<Latency>,
    statistics: Mutex<Statistics>,
    denials: Mutex<Denials>,
    /// The most memory that was used whenever somebody asked.
    peak: AtomicU64,
    /// What had become of keys when the counts were reset.
    counts_before: Mutex<KeyCounts>,
    /// How much there had been when somebody last asked, and how much there was in a second then.
    rate: Mutex<Option<Rate>>,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    at: Instant,
    /// Of commands, of bytes from clients, and to them.
    counts: [u64; 3],
    per_second: [u64; 3],
}

impl Records {
    pub(crate) fn slow(&self) -> MutexGuard<'_, SlowLog> {
        lock(&self.slow)
    }

    pub(crate) fn latency(&self) -> MutexGuard<'_, Latency> {
        lock(&self.latency)
    }

    pub(crate) fn statistics(&self) -> MutexGuard<'_, Statistics> {
        lock(&self.statistics)
    }

    /// The most memory that was used, with what is now.
    pub(crate) fn peak(&self, used: u64) -> u64 {
        self.peak.fetch_max(used, Ordering::Relaxed).max(used)
    }

    /// How many commands there were in a second, and bytes from clients and to them, since somebody asked before;
    /// `counts` has how many in all.
    pub(crate) fn rates(&self, counts: [u64; 3]) -> [u64; 3] {
        let mut rate = lock(&self.rate);
        let at = Instant::now();
        let elapsed = rate.map(|before| at - before.at);
        if let Some(before) = rate.filter(|_| elapsed.is_some_and(|elapsed| elapsed < RATE_INTERVAL)) {
            return before.per_second;
        }
        let before = rate.map_or([0; 3], |before| before.counts);
        let seconds = elapsed.map_or(0.0, |elapsed| elapsed.as_secs_f64());
        let per_second = std::array::from_fn(|which| {
            let count = counts[which].saturating_sub(before[which]) as f64;
            if seconds > 0.0 { (count / seconds) as u64 } else { 0 }
        });
        *rate = Some(Rate { at, counts, per_second });
        per_second
    }

    /// What has become of keys since the counts were reset: `counts` in all. A copy that was made anew since
    /// then counts from then on.
    pub(crate) fn counts(&self, counts: KeyCounts) -> KeyCounts {
        counts.combined(*lock(&self.counts_before), |all, before| all.checked_sub(before).unwrap_or(all))
    }

    /// The counts begin anew: `counts` are there.
    pub(crate) fn reset_counts(&self, counts: KeyCounts) {
        *lock(&self.counts_before) = counts;
    }

    pub(crate) fn denials(&self) -> MutexGuard<'_, Denials> {
        lock(&self.denials)
    }
}

/// The time of day, since 1970.
pub(crate) fn time_of_day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
