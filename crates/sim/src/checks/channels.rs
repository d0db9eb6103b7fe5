//! Nothing that was published is lost, or doubled, for those who listen, and all hear it in one order: that
//! of the log. What a listener hears next is known from its subscriptions and from what was published since.

use std::collections::BTreeMap;

use onecopy_core::Incarnation;

use crate::channels::{Step, matches};
use crate::client::OpId;
use crate::trace::violated;

const CHECKER: &str = "channels";

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Through which coordinator.
    pub coordinator: Incarnation,
    /// Which of its listeners.
    pub number: u64,
}

/// What a single copy knows of channels.
#[derive(Debug, Default)]
pub struct Channels {
    /// What was published, and on which channel, in the order of the log.
    published: Vec<(OpId, u64)>,
    /// What each listener listens to, and how much had been published before.
    listening: BTreeMap<Listener, BTreeMap<u64, usize>>,
    /// How much of what was published each has got past.
    heard: BTreeMap<Listener, usize>,
    /// How many messages were heard.
    pub count: u64,
}

impl Channels {
    /// An operation is executed.
    pub fn execute(&mut self, (op, step, key): (OpId, Step, u64), coordinator: Incarnation) {
        match step {
            Step::Publish => self.published.push((op, key)),
            Step::Subscribe { listener } => {
                let listener = Listener { coordinator, number: listener };
                let begin = self.published.len();
                self.listening.entry(listener).or_default().entry(key).or_insert(begin);
            }
            Step::Leave { listener } => {
                self.listening.remove(&Listener { coordinator, number: listener });
            }
            Step::Listen { .. } | Step::Follow { .. } => {}
        }
    }

    /// The place of what a listener hears next.
    fn next(&self, listener: Listener) -> Option<usize> {
        let listening = self.listening.get(&listener)?;
        let from = self.heard.get(&listener).copied().unwrap_or(0);
        let is_for = |place: &usize| {
            let channel = self.published[*place].1;
            listening.iter().any(|(listened, begin)| matches(*listened, channel) && begin <= place)
        };
        (from..self.published.len()).find(is_for)
    }

    /// A listener hears something.
    pub fn heard(&mut self, listener: Listener, op: OpId) {
        match self.next(listener) {
            Some(place) if self.published[place].0 == op => {
                self.heard.insert(listener, place + 1);
                self.count += 1;
            }
            Some(place) => {
                let due = self.published[place].0;
                violated(CHECKER, format!("{listener:?} hears {op}, and {due} was next"));
            }
            // It has left meanwhile, and hears what was before that.
            None if !self.listening.contains_key(&listener) => {}
            None => violated(CHECKER, format!("{listener:?} hears {op}, and nothing more was published")),
        }
    }

    /// Whether a listener has heard everything.
    pub fn has_heard_all(&self, listener: Listener) {
        if let Some(place) = self.next(listener) {
            let missing = self.published[place].0;
            violated(CHECKER, format!("{listener:?} has never heard {missing}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::CHANNELS;
    use crate::checks::caught;

    const EAR: Listener = Listener { coordinator: Incarnation(1), number: 1 };

    fn listening(to: u64) -> Channels {
        let mut channels = Channels::default();
        channels.execute((1, Step::Publish, to % CHANNELS), EAR.coordinator);
        channels.execute((2, Step::Subscribe { listener: 1 }, to), EAR.coordinator);
        channels.execute((3, Step::Publish, to % CHANNELS), EAR.coordinator);
        channels.execute((4, Step::Publish, (to + 1) % CHANNELS), EAR.coordinator);
        channels.execute((5, Step::Publish, to % CHANNELS), EAR.coordinator);
        channels
    }

    #[test]
    fn what_is_lost_doubled_or_in_another_order_is_caught() {
        let mut right = listening(0);
        [3, 5].iter().for_each(|op| right.heard(EAR, *op));
        right.has_heard_all(EAR);
        for wrong in [[5, 3].as_slice(), &[3, 3], &[3, 5, 5], &[1], &[4], &[3, 4]] {
            let hear = || {
                let mut channels = listening(0);
                wrong.iter().for_each(|op| channels.heard(EAR, *op));
            };
            assert_eq!(caught(hear), Some(CHECKER), "{wrong:?}");
        }
        assert_eq!(caught(|| listening(0).has_heard_all(EAR)), Some(CHECKER));
        let mut all = listening(CHANNELS);
        [3, 4, 5].iter().for_each(|op| all.heard(EAR, *op));
        all.has_heard_all(EAR);
    }
}
