//! Who watches a control plane.

use crate::view_service::ViewObserver;

/// Hears what happens in a control plane, as a [`ViewObserver`] does of its view service.
pub trait ControlObserver: ViewObserver {
    /// The node is to stop, and others are to lead what it leads first.
    fn makes_way(&mut self) {}

    /// Others lead now what was led here.
    fn made_way(&mut self) {}

    /// Nobody has taken over in time: the node stops as if it failed.
    fn made_no_way(&mut self) {}
}

impl ControlObserver for () {}
