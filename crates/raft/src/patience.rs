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

use std::hash::{Hash, Hasher};
use std::time::Duration;

use onecopy_core::{Instant, Rule};

use crate::core::Core;

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

/// The source of random election timeouts: splitmix64, seeded by the driver.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

/// What has not been drawn yet tells no two members apart: it decides about nothing but when a timeout comes,
/// and whoever compares members by their hash (a model checker) lets it come at any time.
impl Hash for Jitter {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// At least so long, and less than twice as long: split votes are rare and resolve themselves.
    pub fn stretch(&mut self, timeout: Duration) -> Duration {
        timeout + Duration::from_nanos(self.below(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// A number in `[0, bound)`; 0 if `bound` is 0. The bias of the remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

impl Core {
    /// When a member that hears nothing from now on asks for an election.
    pub fn draw_election(&mut self, now: Instant) -> Instant {
        now + self.jitter.stretch(self.config.election_timeout)
    }

    /// When a candidate without enough votes asks for the next election.
    pub fn draw_next_candidacy(&mut self, now: Instant) -> Instant {
        let timeout = self.config.election_timeout;
        let patient = self.holds(Rule::PatientElections);
        let wait = if patient { self.candidacies.patience(timeout) } else { timeout };
        now + self.jitter.stretch(wait)
    }

    /// For how long silence proves nothing, where links take as long as was measured.
    pub fn patience(&self, measured: RoundTrip, timeout: Duration) -> Duration {
        if self.holds(Rule::PatientElections) { measured.patience(timeout) } else { timeout }
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
