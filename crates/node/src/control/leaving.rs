//! Stopping: a node that leads makes way first, and one that follows says goodbye, so that nobody has to notice that it is gone.

use std::time::Duration;

use onecopy_core::Instant;
use tracing::{info, warn};

use super::Control;
use crate::data::inbox::FromControl;

/// How long making way may take. What is acknowledged is safe without.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the node stays after it has made way: to tell the others of the new view, and to pass on what still arrives.
const LINGERING: Duration = Duration::from_millis(50);

/// How far a node that is to stop is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leaving {
    /// It leads a group, and makes way until then at most.
    MakesWay { until: Instant },
    /// It follows, and still holds leases, until then.
    Settles { until: Instant },
    /// It says goodbye, and is in a view until then at most: whoever has to do without it would wait for it in vain.
    SaysGoodbye { until: Instant },
    /// It leads the view service, and hands over until then at most. After the groups: they need a leader of the view
    /// service to make way.
    HandsOver { until: Instant },
    /// It stops then.
    Lingers { until: Instant },
}

impl Control {
    /// The node is to stop.
    pub(super) fn leave(&mut self, now: Instant) {
        for thread in &self.data {
            let _ = thread.send(FromControl::Leave);
        }
        self.leaving = Some(match self.leads_with_others() {
            true => {
                info!("making way before the node stops");
                Leaving::MakesWay { until: now + PATIENCE }
            }
            false => self.settle(now),
        });
    }

    /// Whether the node may stop now.
    pub(super) fn has_left(&mut self, now: Instant) -> bool {
        match self.leaving {
            None => false,
            Some(Leaving::MakesWay { until }) if now >= until => {
                warn!("nobody has taken over in time: the node stops as if it failed");
                true
            }
            Some(Leaving::MakesWay { .. }) => {
                if !self.leads_with_others() {
                    info!("another node leads, this one stops");
                    self.leaving = Some(self.settle(now));
                }
                false
            }
            Some(Leaving::Settles { until }) => {
                if now >= until {
                    self.leaving = Some(Leaving::SaysGoodbye { until: now + PATIENCE });
                    self.plane.ping_now(now);
                }
                false
            }
            Some(Leaving::SaysGoodbye { until }) => {
                if now >= until || !self.follows_with_others() {
                    self.leaving = Some(self.hand_over_views(now));
                }
                false
            }
            Some(Leaving::HandsOver { until }) => {
                if now >= until || !self.plane.hands_over_views() {
                    self.leaving = Some(Leaving::Lingers { until: now + LINGERING });
                }
                false
            }
            Some(Leaving::Lingers { until }) => now >= until,
        }
    }

    /// When the node may stop, at the latest.
    pub(super) fn leaves_at(&self) -> Option<Instant> {
        self.leaving.map(|leaving| match leaving {
            Leaving::MakesWay { until }
            | Leaving::Settles { until }
            | Leaving::SaysGoodbye { until }
            | Leaving::HandsOver { until }
            | Leaving::Lingers { until } => until,
        })
    }

    /// Whether the pings say that this node is about to stop. No sooner than the leases have run out that it held (rule P6).
    pub(super) fn says_goodbye(&self) -> bool {
        !matches!(self.leaving, None | Some(Leaving::MakesWay { .. } | Leaving::Settles { .. }))
    }

    /// Waits for the end of the leases that are held here, if others would have to wait for it.
    fn settle(&mut self, now: Instant) -> Leaving {
        match self.follows_with_others() {
            // Twice: no clock is as wrong as that.
            true => Leaving::Settles { until: now + 2 * self.lease },
            false => self.hand_over_views(now),
        }
    }

    /// Whether there is a copy here, and another member that can do without it.
    fn follows_with_others(&self) -> bool {
        let table = self.plane.table();
        let me = self.me.node;
        let mut groups = table.groups().values();
        groups
            .any(|group| group.view.primary != me && group.view.replicas().any(|replica| replica.node == me))
    }

    /// Another view node is to lead the view service, if it is led here.
    fn hand_over_views(&mut self, now: Instant) -> Leaving {
        match self.plane.hand_over_views(now, &mut self.telling, &mut self.out) {
            true => Leaving::HandsOver { until: now + PATIENCE },
            false => Leaving::Lingers { until: now + LINGERING },
        }
    }

    /// Whether a group is led here that another node could lead.
    fn leads_with_others(&self) -> bool {
        let table = self.plane.table();
        let mut groups = table.groups().values();
        groups.any(|group| group.view.primary == self.me.node && group.view.members.len() > 1)
    }
}
