//! What has happened to a group is dealt with in that turn of its node: no request waits for a clock while
//! there is something to do. (A group that is forgotten has its next turn with its next heartbeat, so that
//! everything still ends, only later.)

use onecopy_core::{GroupId, NodeId};

use crate::trace::violated;

/// A node has had a turn, and requests to this group still wait to be taken or refused.
pub fn left(node: NodeId, group: GroupId) {
    violated("turns", format!("{node} has had its turn, and requests to {group} wait as before it"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_group_that_is_left_out_is_caught() {
        assert_eq!(caught(|| left(NodeId(1), GroupId(2))), Some("turns"));
    }
}
