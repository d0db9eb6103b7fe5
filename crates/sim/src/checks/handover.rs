//! A primary that makes way has committed everything that it took: what it asks of the view service comes
//! after that. Then no request is lost by it, and its clients see nothing. (`docs/protocols.md`, handover.)

use onecopy_core::{EntryId, Index, NodeId};

use crate::trace::violated;

/// A primary asks to be succeeded, with this commit index and this last entry.
pub fn asked(primary: NodeId, commit: Index, last: EntryId) {
    if commit < last.index {
        violated("handover", format!("{primary} makes way, and has committed {commit} of {last}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_handover_with_something_open_is_caught() {
        let asks = |commit| caught(|| asked(NodeId(1), Index(commit), EntryId::new(5, 2)));
        assert_eq!((asks(5), asks(4)), (None, Some("handover")));
    }
}
