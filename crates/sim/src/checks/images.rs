//! Whatever a replica writes down, it can read again (rule E3): every snapshot of the data is restored the
//! moment it is finished, into a machine that has nothing in common with the one that it was made of. It has
//! to be of one moment, the one at which it was begun, however much has changed while it was made; and what
//! is remembered beside the machine keeps its bounds. A snapshot that is of no use is noticed long before
//! somebody needs it, when the log behind it is gone.

use std::collections::BTreeMap;

use onecopy_core::{AnswerBounds, EntryId, Levels, NodeId, Replicated, Rule, Rules, StateMachine};
use onecopy_host::{Restoring, SnapshotName};

use crate::dice::Dice;
use crate::node::NEWER;
use crate::subject::{Subject, machine};
use crate::trace::violated;

const CHECKER: &str = "images";
/// Images come in pieces of so many bytes: nobody may rely on where they are cut.
const PIECE_BYTES: usize = 1_009;
/// Of a thousand runs, in how many the answers to clients are large for what is remembered of them.
const LARGE_ANSWERS: u64 = 300;

/// How much of what was answered the replicas of a run remember. In some runs the answers to a single client
/// are too large; in all of them, if that is what somebody wants to see the absence of.
#[must_use]
pub fn draw_bounds(dice: &mut Dice, sabotaged: Option<Rule>) -> AnswerBounds {
    if !dice.chance(LARGE_ANSWERS) && sabotaged != Some(Rule::BoundedAnswers) {
        return AnswerBounds::default();
    }
    AnswerBounds { one_max: dice.between(4, 40) as usize, all_max: dice.between(4, 200) }
}

/// The last snapshot that each node began of one group.
#[derive(Debug, Default)]
pub struct Images {
    begun: BTreeMap<NodeId, (EntryId, u64)>,
}

impl Images {
    /// A node begins one of this state.
    pub fn begun(&mut self, node: NodeId, at: EntryId, machine: &impl StateMachine) {
        self.begun.insert(node, (at, machine.digest()));
    }

    /// What a node has begun may come to anything, since its memory is damaged; or an image of the same
    /// moment comes from another.
    pub fn forget(&mut self, node: NodeId) {
        self.begun.remove(&node);
    }

    /// A node has finished one, which restores to this state.
    fn finished(&self, node: NodeId, id: EntryId, machine: &impl StateMachine) {
        let begun = self.begun.get(&node).filter(|(at, _)| *at == id);
        if begun.is_some_and(|(_, digest)| *digest != machine.digest()) {
            violated(
                CHECKER,
                format!("the snapshot at {id} of {node} is not of the state that it is said to be of"),
            );
        }
    }
}

/// A node has completed a snapshot of the data.
pub fn finished(
    (images, node): (&Images, NodeId),
    name: SnapshotName,
    image: &[u8],
    subject: Option<&dyn Subject>,
    bounds: AnswerBounds,
) {
    let fresh = machine(subject, [name.id.index.0, !name.time.0], Rules::default());
    let state = Replicated::new(fresh, Rules::default()).bounded(bounds).knowing(Levels::through(NEWER));
    let mut restoring = Restoring::new(state);
    let restored = image.chunks(PIECE_BYTES).try_for_each(|piece| restoring.restore(piece));
    let state = match restored.and_then(|()| restoring.finish()) {
        Ok((state, _)) => state,
        Err(error) => {
            violated(CHECKER, format!("E3: the snapshot at {} cannot be restored: {error}", name.id))
        }
    };
    images.finished(node, name.id, state.machine());
    let (bytes, most) = (state.sessions().answer_bytes(), bounds.all_max);
    if bytes > most {
        violated(
            CHECKER,
            format!("E3: the snapshot at {} has {bytes} bytes of answers, more than {most}", name.id),
        );
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::payload::{Batch, Builder, Header};
    use onecopy_core::{BatchId, Budget, Entry, EntryId, GroupId, Incarnation, Timestamp};

    use super::*;
    use crate::checks::caught;
    use crate::client::Action;

    const NAME: SnapshotName = SnapshotName { group: GroupId(1), id: EntryId::ZERO, time: Timestamp(0) };

    fn image(bounds: AnswerBounds) -> Vec<u8> {
        let mut state =
            Replicated::new(machine(None, [1, 2], Rules::default()), Rules::default()).bounded(bounds);
        let mut builder = Builder::new(Header::default());
        let id = BatchId { coordinator: Incarnation(1), sequence: 1 };
        builder.push(&Batch {
            id,
            done_below: 1,
            part: None,
            heard: Vec::new(),
            body: Action::Set.segment(0, 0, 4, false).freeze(),
        });
        let payload = builder.finish();
        let entry = Entry { id: EntryId::new(1, 1), time: Timestamp(1), seed: 0, payload };
        state.execute(&entry, Budget::ENDLESS, |_, _| {}).unwrap();
        state.snapshot_begin();
        let mut image = Vec::new();
        while state.snapshot_read(100, &mut image) {}
        image
    }

    #[test]
    fn what_cannot_be_read_again_is_caught() {
        let (large, small) = (AnswerBounds::default(), AnswerBounds { one_max: 4, all_max: 4 });
        let finished = |image: &[u8], bounds| {
            let (images, node) = (Images::default(), NodeId(1));
            caught(|| super::finished((&images, node), NAME, image, None, bounds))
        };
        assert_eq!(finished(&image(large), large), None);
        assert_eq!(finished(&image(small), small), None);
        assert_eq!(finished(&image(large)[1..], large), Some(CHECKER));
        assert_eq!(finished(&image(large), small), Some(CHECKER), "without a bound");
    }

    #[test]
    fn a_snapshot_of_another_state_is_caught() {
        let (mut images, node, bounds) = (Images::default(), NodeId(1), AnswerBounds::default());
        let empty = machine(None, [1, 2], Rules::default());
        images.begun(node, NAME.id, &empty);
        let finished = |images: &Images, node| {
            caught(|| super::finished((images, node), NAME, &image(bounds), None, bounds))
        };
        assert_eq!(finished(&images, node), Some(CHECKER));
        assert_eq!(finished(&images, NodeId(2)), None, "nobody knows what it has begun");
        images.forget(node);
        assert_eq!(finished(&images, node), None);
    }
}
