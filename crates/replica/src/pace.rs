//! Backups that answer, but are slow: a gray failure. Every write waits for every member (rule P1), so that
//! one of them holds up all clients.
//!
//! # What a primary reports
//!
//! The question is what a backup *costs*. Two things are held against it:
//!
//! 1. **A write waits for it alone**, for the failure timeout: the primary and all others have the entry
//!    durably. That time counts, and not the age of the entry. Where the primary's own disk is slow, or the
//!    network of all, nobody is alone with it, and nobody is dropped: it would help nobody. A primary whose
//!    disk stalls is found out by its pings.
//! 2. **It has acknowledged nothing** for twice as long, although it was sent something: it is stuck, whoever
//!    else is.
//!
//! And, of every replica, whether it is silent. Bytes take time, also on a healthy link and a healthy disk
//! ([`Config::bytes_per_ms`]): an entry is given what was on its way when it was made, silence what the next
//! message to be answered takes, and a disk what it was given. And who stood still itself begins to count
//! anew ([`Awake`](crate::awake::Awake)).
//!
//! # What keeps a slow node from coming and going
//!
//! A learner holds up nobody. It is made to join only once it keeps up: it acknowledged the last entry that
//! was tried within half the failure timeout. Where nobody writes, the primary makes an entry to try it with.
//! So a node that is slow for good is dropped once, and remains a learner until it is better, or the view
//! service finds another one.

use std::collections::VecDeque;
use std::time::Duration;

use onecopy_core::Grounds;
use onecopy_core::{Index, Instant, Member, NodeId, Rule};

use crate::awake::Awake;
use crate::config::Config;
use crate::peer::Peer;
use crate::primary::Primary;

/// An entry that is not committed yet.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Uncommitted {
    pub(crate) index: Index,
    pub(crate) size: usize,
    /// When it was made.
    pub(crate) since: Instant,
    /// How many bytes were uncommitted then, its own included.
    pub(crate) behind: usize,
    /// Since when all but one have had it durably.
    pub(crate) awaited: Option<Instant>,
}

/// How fast another replica acknowledges.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Pace {
    /// When it last acknowledged something new.
    moved: Instant,
    /// An entry that it is timed with, and since when. There is one as long as it owes anything.
    timed: Option<(Index, Instant)>,
    /// How long the last one took.
    took: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self { moved: now, timed: None, took: None }
    }

    /// It is owed everything through `last`.
    pub(crate) fn owes(&mut self, now: Instant, last: Index) {
        self.timed.get_or_insert((last, now));
    }

    /// It has acknowledged everything through `matched`; `last` is the end of the log.
    pub(crate) fn acknowledged(&mut self, now: Instant, before: Index, matched: Index, last: Index) {
        if matched > before {
            self.moved = now;
        }
        if let Some((_, since)) = self.timed.take_if(|(index, _)| *index <= matched) {
            self.took = Some(now.since(since));
            if matched < last {
                self.owes(now, last);
            }
        }
    }

    /// Whether it would not hold up writes if they waited for it.
    pub(crate) fn keeps_up(&self, now: Instant, config: &Config) -> bool {
        let enough = |took: Duration| took < config.failure_timeout / 2;
        let waits = self.timed.is_none_or(|(_, since)| enough(now.since(since)));
        !config.rules.hold(Rule::ReportTheSlow) || (waits && self.took.is_some_and(enough))
    }

    /// When it last acknowledged something new.
    pub(crate) fn moved(&self) -> Instant {
        self.moved
    }

    /// Whether nothing is left that it could show itself with.
    fn is_idle(&self) -> bool {
        self.timed.is_none()
    }

    /// For how long it has acknowledged nothing of what it owes.
    fn stuck_for(&self, now: Instant, awake: Awake) -> Duration {
        self.timed.map_or(Duration::ZERO, |(_, since)| now.since(awake.at_least(since.max(self.moved))))
    }
}

/// How long may pass, with so many bytes on their way.
fn patience(config: &Config, bytes: usize) -> Duration {
    config.failure_timeout + time_for(config, bytes)
}

/// How long so many bytes may take.
pub(crate) fn time_for(config: &Config, bytes: usize) -> Duration {
    Duration::from_millis((bytes / config.bytes_per_ms.max(1)) as u64)
}

impl Primary {
    /// What is to be reported of another replica, if anything.
    pub(crate) fn grounds(&self, config: &Config, now: Instant, peer: &Peer) -> Option<Grounds> {
        // It cannot answer before it has what comes next, which may be large.
        let silent_for = now.since(self.awake.at_least(peer.heard));
        if silent_for >= patience(config, peer.next_bytes()) {
            return Some(Grounds::Silent(silent_for));
        }
        if !config.rules.hold(Rule::ReportTheSlow) {
            return None;
        }
        let waits = self.waits_for(config, now).filter(|(node, ..)| *node == peer.node);
        let waits = waits.filter(|(_, waits, bytes)| *waits >= patience(config, *bytes));
        // What comes as a snapshot has a pace of its own.
        let stuck = peer.transfer.is_none().then(|| peer.pace.stuck_for(now, self.awake));
        let stuck = stuck.filter(|stuck| *stuck >= 2 * patience(config, self.uncommitted_bytes()));
        waits.map(|(_, waits, _)| waits).or(stuck).map(Grounds::Behind)
    }

    /// For whom alone the oldest uncommitted entry has been waiting, for how long, and how much was on its
    /// way before it.
    fn waits_for(&self, config: &Config, now: Instant) -> Option<(NodeId, Duration, usize)> {
        let entry = self.uncommitted.front()?;
        let since = self.awake.at_least(entry.awaited?);
        let mut lacking = self.required(config, now).filter(|peer| peer.matched < entry.index);
        match (lacking.next(), lacking.next()) {
            (Some(peer), None) => Some((peer.node, now.since(since), entry.behind)),
            _ => None,
        }
    }

    /// Notes which entries lack one acknowledgement only; `durable` is the primary's own.
    pub(crate) fn note_awaited(&mut self, config: &Config, now: Instant, durable: Index) {
        let (mut lowest, mut second) = (durable, None);
        for matched in self.required(config, now).map(|peer| peer.matched) {
            let higher = lowest.max(matched);
            lowest = lowest.min(matched);
            second = Some(second.map_or(higher, |second: Index| second.min(higher)));
        }
        let Some(second) = second.filter(|second| *second > self.awaited) else { return };
        let from = self.awaited.next();
        self.awaited = second;
        within(&mut self.uncommitted, from, second, |entry| entry.awaited = Some(now));
    }

    /// A joining learner that turns out to be slow becomes an ordinary one again, unless membership was asked
    /// for: what the view service may have installed must go on to count (rule P5).
    pub(crate) fn reconsider_joining(&mut self, config: &Config, now: Instant) {
        let is_slow = |member: &Member| {
            let peer = self.peers().find(|peer| peer.node == member.node);
            peer.is_some_and(|peer| self.grounds(config, now, peer).is_some())
        };
        if !self.has_asked && self.joining.as_ref().is_some_and(is_slow) {
            self.joining = None;
        }
    }

    /// Whether a learner has everything, but was slow with it, and nothing is on its way that would show
    /// whether it still is.
    pub(crate) fn wants_to_try(&self, config: &Config, now: Instant, last: Index) -> bool {
        let slow =
            |peer: &Peer| peer.matched == last && peer.pace.is_idle() && !peer.pace.keeps_up(now, config);
        self.joining.is_none() && self.peers().any(|peer| !peer.is_member && slow(peer))
    }
}

/// Does something to the entries of these indexes, both included.
fn within(entries: &mut VecDeque<Uncommitted>, from: Index, to: Index, change: impl FnMut(&mut Uncommitted)) {
    let Some(first) = entries.front().map(|entry| entry.index) else { return };
    let position = |index: Index| (index.0.saturating_sub(first.0) as usize).min(entries.len());
    let (start, end) = (position(from), position(to.next()));
    entries.range_mut(start..end.max(start)).for_each(change);
}
