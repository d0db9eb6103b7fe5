//! Leases: the right to read on one's own word, for a while (rules L1 to L6; Gray and Cheriton, "Leases",
//! SOSP 1989).
//!
//! Every answer to a Prepare promises the primary: "for this long I shall not act as a primary of a later
//! view". A primary that holds such a promise of every other member knows that nobody else commits anything,
//! and reads from its own state. With every Prepare it lends each backup a share of that knowledge, never for
//! longer than it has it itself: so a backup reads from its own state too.
//!
//! ```text
//! primary's clock   10 ─Prepare{sent 10}─▶       17 ◀─PrepareOk{earned 10, lasts 200, sent 52}─┐
//!                                                   reads until 10 + 200⁻                      │
//! backup's clock                           52 promises until 52 + 200⁺ ────────────────────────┘
//! ```
//!
//! The holder counts from the moment at which it *sent* what earned the lease, and shortens it (⁻) by the
//! drift bound; the grantor counts from the moment at which it answered, and lengthens it (⁺). So the
//! grantor's promise outlasts the lease as long as no clock runs faster or slower than the bound says. No two
//! clocks are ever compared, and nobody sets them.

use std::time::Duration;

use onecopy_core::{Instant, Member, NodeId, Rule, View, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// What is said about leases with every Prepare and every answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// The sender's clock: an answer that earns it a lease repeats it.
    pub sent: Instant,
    /// A lease for the receiver.
    pub lease: Option<Loan>,
    /// The sender answers reads, or has some that wait: it wants to hear at once what is committed.
    pub reads: bool,
}

/// A lease, as its holder is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Loan {
    /// When the holder, by its own clock, sent what earned the lease.
    pub earned: Instant,
    /// How long it lasts from then on.
    pub lasts: Duration,
}

/// A lease, as its grantor tells its heir of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Granted {
    /// Who holds it.
    pub holder: Member,
    /// For how long it may still be held.
    pub lasts: Duration,
}

/// What a replica has promised and granted. It outlives views: who becomes the primary must keep what it
/// promised as a backup.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Leases {
    /// Until when each primary may read because of what was promised to it.
    promised: Vec<(NodeId, Instant)>,
    /// Until when each backup may read because of what was granted to it.
    granted: Vec<(Member, Instant)>,
    /// Before the last start anything may have been promised and granted, until then (rule L6).
    forgotten_until: Instant,
    /// The primary of this view will not read under its leases any more: it has handed over to this replica.
    given_up: Option<(ViewNumber, NodeId)>,
}

impl Leases {
    /// `forgotten` is how long anything may last that was promised before the start.
    pub(crate) fn new(now: Instant, forgotten: Duration, config: &Config) -> Self {
        let remembers = config.rules.hold(Rule::ForgottenPromises) && !forgotten.is_zero();
        let forgotten_until = if remembers { now + config.lengthened(forgotten) } else { Instant::ZERO };
        Self { promised: Vec::new(), granted: Vec::new(), forgotten_until, given_up: None }
    }

    /// Promises `primary` not to act as the primary of a later view for the whole length of a lease.
    pub(crate) fn promise(&mut self, now: Instant, primary: NodeId, lasts: Duration, config: &Config) {
        let until = now + config.lengthened(lasts);
        self.promised.retain(|(_, kept)| *kept > now);
        match self.promised.iter_mut().find(|(node, _)| *node == primary) {
            Some((_, kept)) => *kept = until.max(*kept),
            None => self.promised.push((primary, until)),
        }
    }

    /// Remembers that a backup was granted a lease (rule P6).
    pub(crate) fn grant(&mut self, now: Instant, granted: Granted, config: &Config) {
        let Granted { holder, lasts } = granted;
        let until = now + config.lengthened(lasts);
        self.granted.retain(|(_, kept)| *kept > now);
        match self.granted.iter_mut().find(|(member, _)| *member == holder) {
            Some((_, kept)) => *kept = until.max(*kept),
            None => self.granted.push((holder, until)),
        }
    }

    /// All that is granted and may still be held.
    pub(crate) fn granted(&self, now: Instant) -> Vec<Granted> {
        let held = self.granted.iter().filter(|(_, until)| *until > now);
        held.map(|(holder, until)| Granted { holder: *holder, lasts: until.since(now) }).collect()
    }

    /// The primary of `view` hands over to this replica.
    pub(crate) fn given_up(&mut self, view: ViewNumber, primary: NodeId) {
        self.given_up = Some((view, primary));
    }

    /// A view was entered. What was given up was given up for exactly the next one (rule L3).
    pub(crate) fn entered(&mut self, view: ViewNumber) {
        if let Some((before, primary)) = self.given_up.take()
            && view == before.next()
        {
            self.release(primary);
        }
    }

    /// This node will not read under its leases any more. What was promised to it need not be kept.
    pub(crate) fn release(&mut self, primary: NodeId) {
        self.promised.retain(|(node, _)| *node != primary);
    }

    /// When the primary of `view` may commit and read: when what it has promised to others has run out (rules
    /// L3 and L6), and no replica outside of the view may still read under a lease that was granted to it
    /// (rule P6).
    pub(crate) fn opens(&self, view: &View, config: &Config) -> Instant {
        let me = config.me.node;
        let waits = config.rules.hold(Rule::HeirWaits);
        let promised = self.promised.iter().filter(|(node, _)| waits && *node != me).map(|(_, until)| *until);
        let outlasts = config.rules.hold(Rule::OutlastReadLeases);
        let dropped = self.granted.iter().filter(|(member, _)| outlasts && !view.is_member(member));
        promised.chain(dropped.map(|(_, until)| *until)).fold(self.forgotten_until, Instant::max)
    }
}

impl Config {
    /// How long a lease may be held: no longer than it was granted for, even if the clock here is too slow.
    pub(crate) fn shortened(&self, lasts: Duration) -> Duration {
        lasts.saturating_sub(self.drift_of(lasts))
    }

    /// How long a promise must be kept: no shorter than it was made for, even if the clock here is too fast.
    pub(crate) fn lengthened(&self, lasts: Duration) -> Duration {
        lasts.saturating_add(self.drift_of(lasts))
    }

    fn drift_of(&self, lasts: Duration) -> Duration {
        let nanos = lasts.as_nanos().saturating_mul(u128::from(self.drift_ppm)).div_ceil(1_000_000);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Until when a lease may be held that arrives now (rule L2). Nobody earned it later than now.
    pub(crate) fn held_until(&self, now: Instant, loan: Loan) -> Instant {
        match self.rules.hold(Rule::LeaseEndsEarly) {
            true => loan.earned.min(now) + self.shortened(loan.lasts),
            false => now + loan.lasts,
        }
    }
}
