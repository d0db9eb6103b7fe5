//! View nodes that say hello because they are no members.

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::{Incarnation, Instant, Member, NodeId};

/// A node that has not said hello for so long does not wait any more.
const LATELY: Duration = Duration::from_millis(1_500);

/// Who waits to be a member, as far as this view node has heard.
#[derive(Debug, Default)]
pub(super) struct Applicants {
    heard: BTreeMap<NodeId, Applicant>,
}

#[derive(Debug)]
struct Applicant {
    incarnation: Incarnation,
    /// Without a break, and without another life between.
    since: Instant,
    last: Instant,
}

impl Applicants {
    /// A node says hello.
    pub fn hello(&mut self, now: Instant, member: Member) {
        let new = Applicant { incarnation: member.incarnation, since: now, last: now };
        let applicant = self.heard.entry(member.node).or_insert(new);
        let is_steady = applicant.incarnation == member.incarnation && now.since(applicant.last) < LATELY;
        *applicant = Applicant {
            incarnation: member.incarnation,
            since: if is_steady { applicant.since } else { now },
            last: now,
        };
    }

    /// In which life a node waits, if it does, and has done so for at least this long.
    pub fn waits(&self, now: Instant, node: NodeId, at_least: Duration) -> Option<Member> {
        let applicant = self.heard.get(&node)?;
        let waits = now.since(applicant.last) < LATELY && now.since(applicant.since) >= at_least;
        waits.then_some(Member { node, incarnation: applicant.incarnation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_falls_silent_or_begins_another_life_waits_anew() {
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        let life = |life| Member { node: NodeId(4), incarnation: Incarnation(life) };
        let long = Duration::from_secs(1);
        let mut applicants = Applicants::default();
        let waits = |applicants: &Applicants, now| applicants.waits(at(now), NodeId(4), long);
        assert_eq!(waits(&applicants, 0), None);
        applicants.hello(at(0), life(1));
        applicants.hello(at(900), life(1));
        assert_eq!((waits(&applicants, 999), waits(&applicants, 1_000)), (None, Some(life(1))));
        assert_eq!(waits(&applicants, 2_400), None, "silent");
        applicants.hello(at(2_500), life(1));
        assert_eq!(waits(&applicants, 2_500), None, "there was a break");
        applicants.hello(at(3_500), life(2));
        assert_eq!(waits(&applicants, 3_600), None, "another life");
        applicants.hello(at(4_500), life(2));
        assert_eq!(waits(&applicants, 4_500), Some(life(2)));
    }
}
