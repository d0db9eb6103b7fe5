//! Stopping: a node that leads makes way first, and one that follows says goodbye, so that nobody has to
//! notice that it is gone.

use std::time::Duration;

use onecopy_core::Instant;
use onecopy_views::Group;

use super::{ControlEffect, ControlObserver, ControlPlane};
use crate::disk::Out;
use crate::view_service::ViewService;

/// How long making way may take. What is acknowledged is safe without.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the node stays after it has made way: to tell the others of the new view, and to pass on what
/// still arrives.
const LINGERING: Duration = Duration::from_millis(50);

/// How far a node that is to stop is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaving {
    /// It leads a group, and makes way until then at most.
    MakesWay { until: Instant },
    /// It follows, and still holds leases, until then.
    Settles { until: Instant },
    /// It says goodbye, and is in a view until then at most: whoever has to do without it would wait for it
    /// in vain.
    SaysGoodbye { until: Instant },
    /// It leads the view service, and hands over until then at most. After the groups: they need a leader of
    /// the view service to make way.
    HandsOver { until: Instant },
    /// It stops then.
    Lingers { until: Instant },
}

impl Leaving {
    /// When it goes on, at the latest.
    pub(super) fn until(self) -> Instant {
        match self {
            Self::MakesWay { until }
            | Self::Settles { until }
            | Self::SaysGoodbye { until }
            | Self::HandsOver { until }
            | Self::Lingers { until } => until,
        }
    }
}

impl ControlPlane {
    /// The node is to stop. It may when it is told to [end](ControlEffect::End).
    pub fn leave(&mut self, now: Instant, observer: &mut impl ControlObserver, out: &mut Out<ControlEffect>) {
        if self.is_leaving() {
            return;
        }
        out.effects.push(ControlEffect::LeaveGroups);
        self.leaving = Some(match self.leads_with_others() {
            true => {
                observer.makes_way();
                Leaving::MakesWay { until: now + PATIENCE }
            }
            false => self.settle(now, observer, out),
        });
    }

    /// Whether the node is to stop.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether the pings say that this node is about to stop. No sooner than the leases have run out that it
    /// held (rule P6).
    pub(super) fn says_goodbye(&self) -> bool {
        !matches!(self.leaving, None | Some(Leaving::MakesWay { .. } | Leaving::Settles { .. }))
    }

    /// A node that is to stop goes on with it.
    pub(super) fn go_on_leaving(
        &mut self,
        now: Instant,
        observer: &mut impl ControlObserver,
        out: &mut Out<ControlEffect>,
    ) {
        let Some(leaving) = self.leaving else { return };
        let is_over = now >= leaving.until();
        let next = match leaving {
            Leaving::MakesWay { .. } if !self.leads_with_others() => {
                observer.made_way();
                self.settle(now, observer, out)
            }
            Leaving::MakesWay { .. } if is_over => {
                observer.made_no_way();
                return out.effects.push(ControlEffect::End);
            }
            Leaving::Settles { .. } if is_over => {
                self.next_ping = now;
                Leaving::SaysGoodbye { until: now + PATIENCE }
            }
            Leaving::SaysGoodbye { .. } if is_over || !self.follows_with_others() => {
                self.make_way_in_the_view_service(now, observer, out)
            }
            Leaving::HandsOver { .. } if is_over || !self.hands_over_views() => {
                Leaving::Lingers { until: now + LINGERING }
            }
            Leaving::Lingers { .. } if is_over => return out.effects.push(ControlEffect::End),
            waits => waits,
        };
        self.leaving = Some(next);
    }

    /// Waits for the end of the leases that are held here, if others would have to wait for it.
    fn settle(
        &mut self,
        now: Instant,
        observer: &mut impl ControlObserver,
        out: &mut Out<ControlEffect>,
    ) -> Leaving {
        match self.follows_with_others() {
            // Twice: no clock is as wrong as that.
            true => Leaving::Settles { until: now + 2 * self.settings.lease },
            false => self.make_way_in_the_view_service(now, observer, out),
        }
    }

    /// Another view node is to lead the view service, if it is led here.
    fn make_way_in_the_view_service(
        &mut self,
        now: Instant,
        observer: &mut impl ControlObserver,
        out: &mut Out<ControlEffect>,
    ) -> Leaving {
        match self.hand_over_views(now, observer, out) {
            true => Leaving::HandsOver { until: now + PATIENCE },
            false => Leaving::Lingers { until: now + LINGERING },
        }
    }

    fn hands_over_views(&self) -> bool {
        let raft = self.view_service().and_then(ViewService::raft);
        raft.is_some_and(|raft| raft.transfer().is_some())
    }

    /// Whether a group is led here that another node could lead.
    fn leads_with_others(&self) -> bool {
        let leads = |group: &Group| group.view.primary == self.settings.node && group.view.members.len() > 1;
        self.leads_raft || self.groups_of_views().any(leads)
    }

    /// Whether there is a copy here, and another member that can do without it. In a Raft group nobody waits
    /// for a follower.
    fn follows_with_others(&self) -> bool {
        let me = self.settings.node;
        let follows = |group: &Group| {
            group.view.primary != me && group.view.replicas().any(|replica| replica.node == me)
        };
        self.groups_of_views().any(follows)
    }

    /// The groups of which the view table says who leads.
    fn groups_of_views(&self) -> impl Iterator<Item = &Group> {
        let groups = self.table().groups().iter();
        groups
            .filter(|(id, _)| self.table().kind(**id).is_decided_by_the_view_service())
            .map(|(_, group)| group)
    }
}
