//! Where nodes only execute something long, nobody is dropped and nothing is handed over: the first view is
//! the last. (Rule `BusyIsNotDead`; Hayashibara et al., "The phi accrual failure detector", SRDS 2004, on
//! what false suspicions cost.)

use onecopy_core::View;

use crate::trace::violated;

const CHECKER: &str = "kept";

/// There have been so many views, the newest of which is this one.
pub fn check(newest: Option<&View>, views: u64, copies: u32) {
    let Some(view) = newest else { return };
    if views > 1 || view.members.len() != copies as usize {
        violated(CHECKER, format!("nodes were only busy, and now there is {view}"));
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{BootNumber, Incarnation, Member, NodeId, ViewNumber};

    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_second_view_is_caught() {
        let member = |node| Member { node: NodeId(node), incarnation: Incarnation(1) };
        let members = vec![member(1), member(2)];
        let (number, primary, boot) = (ViewNumber(1), NodeId(1), BootNumber(1));
        let view = View { number, primary, boot, members, learners: Vec::new() };
        check(None, 0, 2);
        check(Some(&view), 1, 2);
        assert_eq!(caught(|| check(Some(&view), 2, 2)), Some(CHECKER));
        assert_eq!(caught(|| check(Some(&view), 1, 3)), Some(CHECKER));
    }
}
