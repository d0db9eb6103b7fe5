//! One founding: all view nodes that are founded are founded with the same membership, and a node is in it as
//! it is. A cluster with two memberships is two clusters.

use onecopy_core::NodeId;
use onecopy_views::Membership;

use crate::trace::violated;

/// What was founded.
#[derive(Debug, Default)]
pub struct Founding {
    first: Option<(NodeId, Membership)>,
}

impl Founding {
    /// The membership is durable on a node.
    pub fn founded(&mut self, node: NodeId, membership: &Membership) {
        let (first, known) = self.first.get_or_insert_with(|| (node, membership.clone()));
        if known != membership {
            violated(
                "founding",
                format!("{node} is founded with {membership:?}, but {first} with {known:?}"),
            );
        }
    }
}
