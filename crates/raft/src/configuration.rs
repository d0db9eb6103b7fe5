//! Who belongs to a group, and what may become of that (Raft paper, section 6; learners: thesis, section
//! 4.2.1).
//!
//! ```text
//! configuration := 1:u8 voters:members old_voters:members learners:members
//! members       := count:u32 (node:u32 incarnation:u128)*           little-endian, in ascending order
//! ```

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use onecopy_core::{Incarnation, Member, NodeId};

const VERSION: u8 = 1;
const MEMBER: usize = 4 + 16;

/// Who belongs to a group. A member is a node *in one life of its disk*: a node that lost its disk is another
/// member.
///
/// Between two sets of voters there is a *joint* configuration, which has both: whatever takes a majority
/// takes one of each then, so that neither set can decide anything alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration {
    /// The voters. In a joint configuration, those of the new set.
    pub voters: BTreeSet<Member>,
    /// In a joint configuration, the voters of the old set; else empty.
    pub old_voters: BTreeSet<Member>,
    /// Get the log, and count for nothing. None of them is among `voters`.
    pub learners: BTreeSet<Member>,
}

/// One part of a change. All parts of a change take effect together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// A new member gets the log, without a vote.
    AddLearner(Member),
    /// A learner becomes a voter. It must have caught up.
    Promote(Member),
    /// A voter or a learner leaves.
    Remove(Member),
}

/// Bytes are not what [`Configuration::encode`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a configuration is malformed")]
pub struct MalformedConfiguration;

/// Why a change cannot be made of this configuration, whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ImpossibleChange {
    /// Nothing would be different.
    #[error("the configuration would stay as it is")]
    Nothing,
    /// To be added, but there already.
    #[error("{0:?} is a member already")]
    AlreadyMember(Member),
    /// To be removed or promoted, but not there.
    #[error("{0:?} is not a member")]
    NotAMember(Member),
    /// To be promoted, but a voter already.
    #[error("{0:?} is not a learner")]
    NotALearner(Member),
    /// No voter would be left.
    #[error("no voter would be left")]
    NoVoters,
    /// A node would vote in two lives, and be able to in one of them at most.
    #[error("{0} would vote in two lives")]
    TwoLives(NodeId),
}

impl Configuration {
    /// These voters, and nobody else.
    #[must_use]
    pub fn of(voters: impl IntoIterator<Item = Member>) -> Self {
        Self { voters: voters.into_iter().collect(), ..Self::default() }
    }

    /// Whether two sets of voters must agree.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.old_voters.is_empty()
    }

    /// Whether `member` votes, in either half.
    #[must_use]
    pub fn is_voter(&self, member: Member) -> bool {
        self.voters.contains(&member) || self.old_voters.contains(&member)
    }

    /// Voters of both halves, and learners; each once.
    #[must_use]
    pub fn members(&self) -> BTreeSet<Member> {
        self.voters.iter().chain(&self.old_voters).chain(&self.learners).copied().collect()
    }

    /// The configuration to append for these changes: a joint one if they touch voters, else the new one
    /// itself, for then both have the same majorities. `self` must not be joint, unless a simulator breaks
    /// that rule.
    pub(crate) fn begin(&self, changes: &[Change]) -> Result<Self, ImpossibleChange> {
        let mut next = Self { old_voters: BTreeSet::new(), ..self.clone() };
        for change in changes {
            next.make(*change)?;
        }
        next.check_voters()?;
        if next.voters != self.voters {
            next.old_voters.clone_from(&self.voters);
        }
        match next == *self {
            true => Err(ImpossibleChange::Nothing),
            false => Ok(next),
        }
    }

    fn make(&mut self, change: Change) -> Result<(), ImpossibleChange> {
        let is_member = |member| self.voters.contains(&member) || self.learners.contains(&member);
        match change {
            Change::AddLearner(member) if is_member(member) => {
                return Err(ImpossibleChange::AlreadyMember(member));
            }
            Change::Promote(member) | Change::Remove(member) if !is_member(member) => {
                return Err(ImpossibleChange::NotAMember(member));
            }
            Change::AddLearner(member) => drop(self.learners.insert(member)),
            Change::Promote(member) if !self.learners.remove(&member) => {
                return Err(ImpossibleChange::NotALearner(member));
            }
            Change::Promote(member) => drop(self.voters.insert(member)),
            Change::Remove(member) => drop((self.voters.remove(&member), self.learners.remove(&member))),
        }
        Ok(())
    }

    fn check_voters(&self) -> Result<(), ImpossibleChange> {
        // In ascending order, the lives of a node are neighbours.
        let neighbours = self.voters.iter().zip(self.voters.iter().skip(1));
        let twice = neighbours.into_iter().find(|(one, other)| one.node == other.node);
        match twice {
            Some((one, _)) => Err(ImpossibleChange::TwoLives(one.node)),
            None if self.voters.is_empty() => Err(ImpossibleChange::NoVoters),
            None => Ok(()),
        }
    }

    /// What follows a joint configuration: the new half.
    pub(crate) fn completed(&self) -> Self {
        Self { old_voters: BTreeSet::new(), ..self.clone() }
    }

    /// The configuration as it stands in the log, and as a driver keeps it with a snapshot.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut buffer = BytesMut::new();
        self.encode_into(&mut buffer);
        buffer.freeze()
    }

    pub(crate) fn encode_into(&self, buffer: &mut BytesMut) {
        buffer.put_u8(VERSION);
        for members in [&self.voters, &self.old_voters, &self.learners] {
            let count = u32::try_from(members.len()).expect("a group of more than four billion members");
            buffer.put_u32_le(count);
            for member in members {
                buffer.put_u32_le(member.node.0);
                buffer.put_u128_le(member.incarnation.0);
            }
        }
    }

    /// What [`Configuration::encode`] made.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn decode(bytes: &Bytes) -> Result<Self, MalformedConfiguration> {
        let mut rest = bytes.clone();
        if !rest.has_remaining() || rest.get_u8() != VERSION {
            return Err(MalformedConfiguration);
        }
        let (voters, old_voters) = (members(&mut rest)?, members(&mut rest)?);
        let found = Self { voters, old_voters, learners: members(&mut rest)? };
        match rest.is_empty() && found.learners.is_disjoint(&found.voters) {
            true => Ok(found),
            false => Err(MalformedConfiguration),
        }
    }
}

fn members(rest: &mut Bytes) -> Result<BTreeSet<Member>, MalformedConfiguration> {
    let count = if rest.len() < 4 { return Err(MalformedConfiguration) } else { rest.get_u32_le() as usize };
    if rest.len() / MEMBER < count {
        return Err(MalformedConfiguration);
    }
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let member = Member { node: NodeId(rest.get_u32_le()), incarnation: Incarnation(rest.get_u128_le()) };
        if found.last().is_some_and(|last| *last >= member) {
            return Err(MalformedConfiguration);
        }
        found.insert(member);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: u32, life: u128) -> Member {
        Member { node: NodeId(node), incarnation: Incarnation(life) }
    }

    fn three() -> Configuration {
        Configuration::of([1, 2, 3].map(|node| member(node, 1)))
    }

    #[test]
    fn learners_come_and_go_in_one_step() {
        let new = member(4, 1);
        let with = three().begin(&[Change::AddLearner(new)]).unwrap();
        assert_eq!(with, Configuration { learners: BTreeSet::from([new]), ..three() });
        assert_eq!(with.begin(&[Change::Remove(new)]), Ok(three()));
    }

    #[test]
    fn voters_change_by_way_of_a_joint_configuration() {
        let (old, new) = (member(3, 1), member(3, 2));
        let with = three().begin(&[Change::AddLearner(new)]).unwrap();
        let joint = with.begin(&[Change::Remove(old), Change::Promote(new)]).unwrap();
        assert_eq!(joint.old_voters, three().voters);
        assert!(joint.is_joint() && joint.is_voter(old) && joint.is_voter(new));
        assert_eq!(joint.completed(), Configuration::of([member(1, 1), member(2, 1), new]));
    }

    #[test]
    fn an_impossible_change_says_why() {
        let (here, new) = (member(1, 1), member(3, 2));
        let refusal = |changes: &[Change]| three().begin(changes).unwrap_err();
        assert_eq!(refusal(&[]), ImpossibleChange::Nothing);
        assert_eq!(refusal(&[Change::AddLearner(here)]), ImpossibleChange::AlreadyMember(here));
        assert_eq!(refusal(&[Change::Promote(here)]), ImpossibleChange::NotALearner(here));
        assert_eq!(refusal(&[Change::Promote(new)]), ImpossibleChange::NotAMember(new));
        assert_eq!(refusal(&[Change::Remove(new)]), ImpossibleChange::NotAMember(new));
        let all = [1, 2, 3].map(|node| Change::Remove(member(node, 1)));
        assert_eq!(refusal(&all), ImpossibleChange::NoVoters);
        let twice = [Change::AddLearner(new), Change::Promote(new)];
        assert_eq!(refusal(&twice), ImpossibleChange::TwoLives(NodeId(3)));
    }

    #[test]
    fn a_configuration_survives_the_disk_and_damage_is_an_error() {
        let joint = Configuration {
            old_voters: BTreeSet::from([member(9, u128::MAX)]),
            learners: BTreeSet::from([member(7, 0)]),
            ..three()
        };
        let bytes = joint.encode();
        assert_eq!(Configuration::decode(&bytes), Ok(joint));
        for length in 0..bytes.len() {
            assert!(Configuration::decode(&bytes.slice(..length)).is_err());
        }
        let huge = Bytes::from_static(&[1, 255, 255, 255, 255]);
        assert_eq!(Configuration::decode(&huge), Err(MalformedConfiguration));
    }
}
