//! However slow the links are, the view service has a leader that gets something done. (Raft paper, section
//! 5.6, asks for links much faster than the election timeout; rule `PatientElections` does without.)

use onecopy_raft::Role;

use crate::clock::{SECOND, Time};
use crate::node::Node;
use crate::trace::violated;

const CHECKER: &str = "led";

/// How long it may take to find one, at 700 ms from node to node.
const ELECTION_MAX: Time = 14 * SECOND;

/// The view nodes that run have been a majority, and have heard each other, for so long.
pub fn check(nodes: &[Node], quiet: Time) {
    if quiet < ELECTION_MAX {
        return;
    }
    let rafts = nodes.iter().filter_map(|node| node.process.as_ref()?.raft());
    // Its first entry is committed: others have acknowledged it.
    let leads = |raft: &&onecopy_raft::Raft| {
        let of_term = |index| raft.log().epoch_at(index) == Some(raft.term().into());
        raft.role() == Role::Leader && of_term(raft.commit())
    };
    if !rafts.into_iter().any(|raft| leads(&raft)) {
        violated(
            CHECKER,
            format!("nobody leads the view service, {} s after the last fault", quiet / SECOND),
        );
    }
}
