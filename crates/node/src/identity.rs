//! Who this node is.

use onecopy_core::{BootNumber, Incarnation, NodeId};
use onecopy_views::Start;

/// This node, in this life, in this run of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Me {
    pub(crate) node: NodeId,
    /// The life of its copies of data.
    pub(crate) incarnation: Incarnation,
    /// The life of its part of the view service.
    pub(crate) view_member: Incarnation,
    /// The run of its process.
    pub(crate) boot: BootNumber,
    /// A random number of it.
    pub(crate) run: u64,
    pub(crate) holds_data: bool,
}

impl Me {
    /// Which start of the node this is.
    pub(crate) fn start(&self) -> Start {
        Start { incarnation: self.incarnation, boot: self.boot, run: self.run }
    }
}
