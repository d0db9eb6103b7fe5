//! Stopping: a node that leads makes way first, so that nobody has to notice that it is gone.

use std::time::Duration;

use onecopy_core::Instant;
use tracing::{info, warn};

use super::Control;
use super::view_node::ViewNode;
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
    /// It leads the view service, and hands over until then at most. After the groups: they need a leader of the view
    /// service to make way.
    HandsOver { until: Instant },
    /// It stops then.
    Lingers { until: Instant },
}

impl Control {
    /// The node is to stop.
    pub(super) fn leave(&mut self, now: Instant) {
        self.leaving = Some(match self.leads_with_others() {
            true => {
                info!("making way before the node stops");
                let _ = self.data.send(FromControl::Leave);
                Leaving::MakesWay { until: now + PATIENCE }
            }
            false => self.hand_over_views(now),
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
                    self.leaving = Some(self.hand_over_views(now));
                }
                false
            }
            Some(Leaving::HandsOver { until }) => {
                if now >= until || !self.view_node.as_ref().is_some_and(ViewNode::is_handing_over) {
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
            Leaving::MakesWay { until } | Leaving::HandsOver { until } | Leaving::Lingers { until } => until,
        })
    }

    /// Another view node is to lead the view service, if it is led here.
    fn hand_over_views(&mut self, now: Instant) -> Leaving {
        let mut begun = false;
        self.with_view_node(|node| begun = node.hand_over());
        match begun {
            true => Leaving::HandsOver { until: now + PATIENCE },
            false => Leaving::Lingers { until: now + LINGERING },
        }
    }

    /// Whether a group is led here that another node could lead.
    fn leads_with_others(&self) -> bool {
        let table = self.knowledge.table();
        let mut groups = table.groups().values();
        groups.any(|group| group.view.primary == self.me.node && group.view.members.len() > 1)
    }
}
