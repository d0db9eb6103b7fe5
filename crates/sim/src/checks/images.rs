//! Whatever a replica writes down, it can read again (rule E3): every snapshot of the data is restored the
//! moment it is finished, into a machine that has nothing in common with the one that it was made of, and
//! what is remembered beside the machine keeps its bounds. A snapshot that cannot be restored is noticed long
//! before somebody needs it, when the log behind it is gone.

use onecopy_core::{AnswerBounds, Replicated, Rule, Rules};
use onecopy_host::SnapshotName;

use crate::dice::Dice;
use crate::machine::Machine;
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

/// A snapshot of the data is complete.
pub fn finished(name: SnapshotName, image: &[u8], subject: Option<&dyn Subject>, bounds: AnswerBounds) {
    let fresh = machine(subject, [name.id.index.0, !name.time.0], Rules::default());
    let mut state: Replicated<Machine> = Replicated::new(fresh, Rules::default()).bounded(bounds);
    let restored = image.chunks(PIECE_BYTES).try_for_each(|piece| state.restore(piece));
    if let Err(error) = restored.and_then(|()| state.restore_finish()) {
        violated(CHECKER, format!("E3: the snapshot at {} cannot be restored: {error}", name.id));
    }
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
        assert_eq!(caught(|| finished(NAME, &image(large), None, large)), None);
        assert_eq!(caught(|| finished(NAME, &image(small), None, small)), None);
        assert_eq!(caught(|| finished(NAME, &image(large)[1..], None, large)), Some(CHECKER));
        assert_eq!(caught(|| finished(NAME, &image(large), None, small)), Some(CHECKER), "without a bound");
    }
}
