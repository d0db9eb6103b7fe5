//! How long a member waits for the others: as long as the links take, and not only as long as the
//! configuration says.
//!
//! Raft elects nobody where a round trip takes longer than the election timeout: a candidate asks again
//! before the votes have come, and a leader that has just won steps down before anybody can have answered
//! (Raft paper, section 5.6: the broadcast time must be much below the election timeout). Both therefore wait
//! for at least two round trips, as pre-votes and heartbeats measure them, and a candidacy that fails makes
//! the next one longer.
//!
//! Safety rests on none of this. Leases are the only thing that rests on time, and they take the election
//! timeout of the configuration, which is the same at all members ([`crate::lease`]).

use std::time::Duration;

/// A measured round trip counts for no more than this: whatever takes longer is as good as cut off.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(2_500);
/// Candidacies that fail make the next one wait for up to this long.
const CANDIDACY_MAX: Duration = Duration::from_millis(2_500);

/// How long a message and its answer take, as far as was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RoundTrip(Duration);

impl RoundTrip {
    /// An answer came after this time. A longer one counts at once, a shorter one little by little: links
    /// that are slow now and then are slow.
    pub fn measured(&mut self, sample: Duration) {
        self.0 = sample.min(ROUND_TRIP_MAX).max(self.0 - self.0 / 8);
    }

    /// For how long silence proves nothing.
    pub fn patience(self, timeout: Duration) -> Duration {
        timeout.max(2 * self.0)
    }
}

/// What a member has learnt from its own attempts to be elected.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Candidacies {
    /// How long pre-votes took.
    pub round_trip: RoundTrip,
    /// How many candidacies in a row came to nothing.
    failed: u32,
}

impl Candidacies {
    /// How long the next candidate waits for votes, at the least.
    pub fn patience(self, timeout: Duration) -> Duration {
        let longer = timeout.saturating_mul(1 << self.failed.min(16)).min(CANDIDACY_MAX);
        self.round_trip.patience(timeout.max(longer))
    }

    /// Nobody was elected in time.
    pub fn fail(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// There is a leader.
    pub fn succeed(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn fast_links_change_nothing() {
        let mut round_trip = RoundTrip::default();
        round_trip.measured(ms(50));
        assert_eq!(round_trip.patience(TIMEOUT), TIMEOUT);
        assert_eq!(Candidacies::default().patience(TIMEOUT), TIMEOUT);
    }

    #[test]
    fn a_slow_link_counts_at_once_and_is_forgotten_slowly() {
        let mut round_trip = RoundTrip::default();
        round_trip.measured(ms(1_400));
        assert_eq!(round_trip.patience(TIMEOUT), ms(2_800));
        round_trip.measured(ms(1));
        assert_eq!(round_trip.patience(TIMEOUT), ms(2_450));
        (0..50).for_each(|_| round_trip.measured(ms(1)));
        assert_eq!(round_trip.patience(TIMEOUT), TIMEOUT);
        round_trip.measured(ms(3_600_000));
        assert_eq!(round_trip.patience(TIMEOUT), 2 * ROUND_TRIP_MAX);
    }

    #[test]
    fn failed_candidacies_make_the_next_one_longer_up_to_a_bound() {
        let mut candidacies = Candidacies::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            candidacies.fail();
            waits.push(candidacies.patience(TIMEOUT));
        }
        assert_eq!(waits[..3], [ms(200), ms(400), ms(800)]);
        assert_eq!(waits[39], CANDIDACY_MAX);
        candidacies.succeed();
        assert_eq!(candidacies.patience(TIMEOUT), TIMEOUT);
        let long = ms(10_000);
        candidacies.fail();
        assert_eq!(candidacies.patience(long), long, "never shorter than what is configured");
    }
}
