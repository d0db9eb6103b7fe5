//! An element is given to one waiter, or stays; and the order of service is that of the log. A queue of its
//! own follows the log beside the copies: who registered at a key, what was put there, who had waited for
//! long enough, and of whose coordinator nobody knew whether it was there. Every answer must be the one that
//! this queue gives, wherever it is heard, and however often it had to be asked for. (`docs/guarantees.md`,
//! blocking commands; rules `KeepWhatIsGiven`, `ServeThePresent`, `FairQueues`.)

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use onecopy_core::payload::Absent;
use onecopy_core::{Incarnation, QueryContext, StateMachine, Timestamp};

use crate::client::{Action, Family, OpId};
use crate::model::{bulk, integer};
use crate::trace::violated;

const CHECKER: &str = "waits";
/// How long the waiters of a coordinator that is absent keep their places, in milliseconds.
const ABSENT_MS: u64 = 10_000;

/// What is said to whoever waits on a connection that was lost meanwhile.
pub const TAKEN_OVER: &[u8] = b"-ERR it was sent again under its token";

/// One who waits.
#[derive(Debug)]
struct Waiter {
    op: OpId,
    coordinator: Incarnation,
    until: Timestamp,
}

/// The queues of a group.
#[derive(Debug, Default)]
pub struct Waits {
    /// What lies at each key, as the numbers of those who put it there.
    elements: BTreeMap<u64, VecDeque<OpId>>,
    waiting: BTreeMap<u64, Vec<Waiter>>,
    absent: BTreeMap<Incarnation, Timestamp>,
    /// What was answered, also to those who put something there, and at which index.
    given: BTreeMap<OpId, (Vec<u8>, u64)>,
    clock: Timestamp,
}

impl Waits {
    /// An entry begins: time passes. Returns who waits no more, and is to be registered again.
    pub fn begin(&mut self, absent: &Absent, (index, time): (u64, Timestamp)) -> Vec<OpId> {
        let coordinators: BTreeSet<Incarnation> =
            self.waiting.values().flatten().map(|waiter| waiter.coordinator).collect();
        let is_absent = |coordinator: &Incarnation| match absent {
            Absent::Nobody => false,
            Absent::Everybody => true,
            Absent::These(these) => these.contains(coordinator),
        };
        for coordinator in coordinators.into_iter().filter(is_absent) {
            self.absent.entry(coordinator).or_insert(self.clock);
        }
        self.clock = time;
        for waiting in self.waiting.values_mut() {
            for waiter in waiting.extract_if(.., |waiter| waiter.until <= time) {
                self.given.insert(waiter.op, (b"*-1\r\n".to_vec(), index));
            }
        }
        self.forget_absent();
        let is_gone = |since: &Timestamp| since.0 + ABSENT_MS <= time.0;
        let gone: BTreeSet<Incarnation> =
            self.absent.iter().filter(|(_, since)| is_gone(since)).map(|(it, _)| *it).collect();
        let waiting = self.waiting.values_mut();
        let sent_away =
            waiting.flat_map(|waiting| waiting.extract_if(.., |it| gone.contains(&it.coordinator)));
        let sent_away = sent_away.map(|waiter| waiter.op).collect();
        self.forget_absent();
        sent_away
    }

    /// Who has nobody waiting is not absent.
    fn forget_absent(&mut self) {
        let waiting: BTreeSet<Incarnation> =
            self.waiting.values().flatten().map(|waiter| waiter.coordinator).collect();
        self.absent.retain(|coordinator, _| waiting.contains(coordinator));
    }

    /// A batch of this coordinator is in an entry.
    pub fn present(&mut self, coordinator: Incarnation, index: u64) {
        if self.absent.remove(&coordinator).is_some() {
            let keys: Vec<u64> = self.waiting.keys().copied().collect();
            keys.into_iter().for_each(|key| self.serve(key, index));
        }
    }

    /// A client puts something at a key, or waits for it, under a token or not. Whether it is new.
    pub fn execute(
        &mut self,
        (op, action, key): (OpId, Action, u64),
        once: bool,
        coordinator: Incarnation,
        index: u64,
    ) -> bool {
        let waiting = self.waiting.entry(key).or_default();
        let known = waiting.iter_mut().find(|waiter| waiter.op == op);
        if self.given.contains_key(&op) || known.is_some() {
            if !once {
                violated(CHECKER, format!("operation {op} is executed twice, the second time at {index}"));
            }
            // It was sent again, and is answered on the connection that it was sent on last.
            if let Some(waiter) = known {
                waiter.coordinator = coordinator;
                self.forget_absent();
                // The one before may have been absent, and something have come meanwhile.
                self.serve(key, index);
            }
            return false;
        }
        match action {
            Action::Put => {
                let elements = self.elements.entry(key).or_default();
                elements.push_back(op);
                self.given.insert(op, (integer(elements.len() as i64), index));
            }
            Action::Take { ms } => {
                waiting.push(Waiter { op, coordinator, until: Timestamp(self.clock.0 + ms) });
            }
            _ => {}
        }
        self.serve(key, index);
        true
    }

    fn serve(&mut self, key: u64, index: u64) {
        let (elements, absent) = (self.elements.entry(key).or_default(), &self.absent);
        let waiting = self.waiting.entry(key).or_default();
        while !elements.is_empty()
            && let Some(place) = waiting.iter().position(|waiter| !absent.contains_key(&waiter.coordinator))
            && let Some(element) = elements.pop_front()
        {
            let waiter = waiting.remove(place);
            let key = Family::Waits.key(key);
            let answer =
                [b"*2\r\n".to_vec(), bulk(key.as_bytes()), bulk(element.to_string().as_bytes())].concat();
            self.given.insert(waiter.op, (answer, index));
        }
        self.forget_absent();
    }

    /// What an operation was given, and at which index.
    pub fn given(&self, op: OpId) -> Option<(&[u8], u64)> {
        self.given.get(&op).map(|(answer, index)| (answer.as_slice(), *index))
    }

    /// Looks at the state of one member, which reflects the whole ledger: what nobody was given is there.
    pub fn check(&self, machine: &impl StateMachine, keys: u64, now: Timestamp) {
        for key in 0..keys {
            let mut reply = Vec::new();
            machine.query(&QueryContext::at(now), &Action::Queue.segment(key, 0, 0, false), &mut reply);
            let elements: Vec<OpId> = self.elements.get(&key).into_iter().flatten().copied().collect();
            let all = elements.iter().flat_map(|element| bulk(element.to_string().as_bytes()));
            let expected: Vec<u8> =
                format!("*{}\r\n", elements.len()).into_bytes().into_iter().chain(all).collect();
            if reply.get(4..) != Some(expected.as_slice()) {
                let found = String::from_utf8_lossy(reply.get(4..).unwrap_or_default()).into_owned();
                violated(
                    CHECKER,
                    format!("{} should hold {elements:?}, and holds {found:?}", Family::Waits.key(key)),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);

    fn take(waits: &mut Waits, op: OpId, coordinator: Incarnation, ms: u64) {
        assert!(waits.execute((op, Action::Take { ms }, 0), false, coordinator, 1));
    }

    fn put(waits: &mut Waits, op: OpId) {
        assert!(waits.execute((op, Action::Put, 0), false, A, 2));
    }

    fn element(waits: &Waits, op: OpId) -> Option<String> {
        let (answer, _) = waits.given(op)?;
        Some(String::from_utf8_lossy(answer).split("\r\n").nth(4).unwrap_or("nil").to_owned())
    }

    #[test]
    fn the_first_is_served_first_unless_it_is_absent() {
        let mut waits = Waits::default();
        take(&mut waits, 1, A, 60_000);
        take(&mut waits, 2, B, 60_000);
        take(&mut waits, 3, A, 60_000);
        waits.begin(&Absent::Everybody, (2, Timestamp(5)));
        put(&mut waits, 10);
        assert_eq!(waits.given(1), None);
        waits.present(B, 3);
        assert_eq!(element(&waits, 2).as_deref(), Some("10"));
        put(&mut waits, 11);
        waits.present(A, 4);
        assert_eq!((element(&waits, 1).as_deref(), waits.given(3)), (Some("11"), None));
        waits.begin(&Absent::These(vec![A]), (5, Timestamp(6)));
        assert_eq!(waits.begin(&Absent::Nobody, (6, Timestamp(5 + ABSENT_MS))), [3]);
    }

    #[test]
    fn who_has_waited_for_long_enough_is_told() {
        let mut waits = Waits::default();
        take(&mut waits, 1, A, 10);
        waits.begin(&Absent::Nobody, (2, Timestamp(9)));
        assert_eq!(waits.given(1), None);
        waits.begin(&Absent::Nobody, (3, Timestamp(10)));
        assert_eq!(waits.given(1), Some((b"*-1\r\n".as_slice(), 3)));
    }

    #[test]
    fn what_is_executed_twice_or_is_not_there_is_caught() {
        let mut waits = Waits::default();
        put(&mut waits, 10);
        let again = || {
            waits.execute((10, Action::Put, 0), false, A, 3);
        };
        assert_eq!(crate::checks::caught(std::panic::AssertUnwindSafe(again)), Some(CHECKER));
        let empty = onecopy_keyspace::Keyspace::new([1, 2]);
        assert_eq!(crate::checks::caught(|| waits.check(&empty, 1, Timestamp(1))), Some(CHECKER));
        Waits::default().check(&empty, 1, Timestamp(1));
    }
}
