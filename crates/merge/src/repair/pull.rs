//! The side that asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use onecopy_core::Timestamp;

use super::joined::{Joined, Staged};
use super::range::{places_of, sum, within};
use super::{Answer, Ask, Fetched, Found, Range, Scope, Sum};
use crate::cell::Cell;
use crate::clock::Clock;
use crate::delta::Delta;
use crate::object::Object;
use crate::place::Place;
use crate::replica::Replica;
use crate::store::Key;
use onecopy_core::Rule;

/// So many ranges are asked about together.
const RANGES_TOGETHER: usize = 512;
/// So many keys, or places, are fetched together.
const FETCHED_TOGETHER: usize = 256;

/// A repair that is under way.
#[derive(Clone, Debug, Default)]
pub struct Pull {
    /// The other side's state and clock, once it has said so.
    session: Option<(u64, Clock)>,
    /// What is still to be asked.
    queue: VecDeque<Ask>,
    /// What the last question was.
    asked: Option<Ask>,
    staged: Vec<Staged>,
    /// How many keys and places have been fetched.
    fetched: usize,
}

/// What a pull does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It asks this.
    Ask(Ask),
    /// Everything is joined. The other side should hear the question, whose answer does not matter.
    Done(Done, Ask),
}

/// What has come of a pull. Both must be logged, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What was joined.
    pub joined: Joined,
    /// These deltas, which had waited, show now as well.
    pub shown: Vec<Delta>,
}

/// A pull came to nothing: it must begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// The other side does not keep the state any more.
    #[error("the state that was compared is not kept any more")]
    Gone,
    /// The answer is none to the question.
    #[error("the answer does not fit the question, or makes no sense")]
    Senseless,
}

impl Pull {
    /// How many keys and places were fetched so far, because they differed.
    #[must_use]
    pub fn fetched(&self) -> usize {
        self.fetched
    }

    fn ask(&mut self, ask: Ask) -> Next {
        self.asked = Some(ask.clone());
        Next::Ask(ask)
    }

    /// Asks about ranges, later.
    fn compare(&mut self, scope: &Scope, ranges: &[Range]) {
        let Some((session, _)) = self.session else { return };
        for ranges in ranges.chunks(RANGES_TOGETHER) {
            self.queue.push_back(Ask::Compare { session, scope: scope.clone(), ranges: ranges.to_vec() });
        }
    }

    /// Fetches, later.
    fn fetch(&mut self, scope: &Scope, coordinates: &[u64]) {
        let Some((session, _)) = self.session else { return };
        for coordinates in coordinates.chunks(FETCHED_TOGETHER) {
            let (scope, coordinates) = (scope.clone(), coordinates.to_vec());
            self.queue.push_back(Ask::Fetch { session, scope, coordinates });
        }
    }
}

/// Whether an answer has the first of what was asked for: the rest is asked for again.
fn has_begun(coordinates: &[u64], answered: usize) -> bool {
    (1..=coordinates.len()).contains(&answered)
}

impl Replica {
    /// Begins to take over what another replica has seen. The question goes to that replica, and its answer
    /// to [`Replica::pull_step`]. One pull at a time.
    #[must_use]
    pub fn pull(&self) -> (Pull, Ask) {
        (Pull { asked: Some(Ask::Open), ..Pull::default() }, Ask::Open)
    }

    /// Gives up a pull. What waited for it waits no longer: these deltas show now, and must be logged.
    pub fn pull_abandon(&mut self, now: Timestamp) -> Vec<Delta> {
        self.repairing = None;
        self.show_waiting(now)
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// When the pull came to nothing; it must be [given up](Self::pull_abandon) then.
    pub fn pull_step(
        &mut self,
        now: Timestamp,
        pull: &mut Pull,
        answer: Answer,
    ) -> Result<Next, RepairError> {
        let taken = match (pull.asked.take(), answer) {
            (Some(_), Answer::Gone) => Err(RepairError::Gone),
            (Some(Ask::Open), Answer::Opened { session, clock, digest }) => {
                self.repairing = Some(clock.clone());
                pull.session = Some((session, clock));
                if self.differs(self.digest(), digest) {
                    pull.compare(&Scope::Keys, &[Range::ALL]);
                }
                Ok(())
            }
            (Some(Ask::Compare { scope, ranges, .. }), Answer::Compared(found))
                if found.len() == ranges.len() =>
            {
                self.take_found(pull, &scope, ranges.into_iter().zip(found).collect())
            }
            (Some(Ask::Fetch { scope: Scope::Keys, coordinates, .. }), Answer::Keys(keys))
                if has_begun(&coordinates, keys.len()) =>
            {
                pull.fetch(&Scope::Keys, &coordinates[keys.len()..]);
                self.take_keys(pull, coordinates.into_iter().zip(keys).collect())
            }
            (
                Some(Ask::Fetch { scope: Scope::Places { db, name }, coordinates, .. }),
                Answer::Places(places),
            ) if has_begun(&coordinates, places.len()) => {
                let key = Key::of(db, name.clone());
                pull.fetch(&Scope::Places { db, name }, &coordinates[places.len()..]);
                self.take_places(pull, &key, coordinates.into_iter().zip(places).collect())
            }
            _ => Err(RepairError::Senseless),
        };
        taken?;
        if let Some(ask) = pull.queue.pop_front() {
            return Ok(pull.ask(ask));
        }
        let Some((session, clock)) = pull.session.take() else { return Err(RepairError::Senseless) };
        let joined = Joined { clock, staged: std::mem::take(&mut pull.staged) };
        let shown = self.join(now, &joined);
        Ok(Next::Done(Done { joined, shown }, Ask::Close { session }))
    }

    /// Whether something must be looked at. A repair that ships everything is the sabotage of rule O9.
    fn differs(&self, own: u64, other: Sum) -> bool {
        sum(own) != other || !self.rules.hold(Rule::Converges)
    }

    /// The other side has said what is in ranges that differ.
    fn take_found(
        &self,
        pull: &mut Pull,
        scope: &Scope,
        found: Vec<(Range, Found)>,
    ) -> Result<(), RepairError> {
        let object = match scope {
            Scope::Keys => None,
            Scope::Places { db, name } => self.store.get(&Key::of(*db, name.clone())),
        };
        let places = object.map(places_of).unwrap_or_default();
        let (mut ranges, mut coordinates) = (Vec::new(), Vec::new());
        for (range, found) in found {
            match found {
                Found::Parts(sums) => {
                    let parts: Vec<Range> = range.parts().ok_or(RepairError::Senseless)?.collect();
                    if parts.len() != sums.len() {
                        return Err(RepairError::Senseless);
                    }
                    let own = |part: &Range| match scope {
                        Scope::Keys => part.sum_of_keys(self.store.slots(), |range| self.objects_in(range)),
                        Scope::Places { .. } => {
                            let items = within(&places, *part, |(coordinate, ..)| *coordinate);
                            items.iter().map(|item| item.2).fold(0, u64::wrapping_add)
                        }
                    };
                    let differing =
                        parts.iter().zip(sums).filter(|(part, sum)| self.differs(own(part), *sum));
                    ranges.extend(differing.map(|(part, _)| *part));
                }
                Found::Items(items) => {
                    let own: Vec<(u64, u64)> = match scope {
                        Scope::Keys => {
                            let (first, last) = range.coordinates().into_inner();
                            let keys = self.store.from(first).take_while(|(key, _)| key.coordinate() <= last);
                            keys.map(|(key, object)| (key.coordinate(), object.digest())).collect()
                        }
                        Scope::Places { .. } => {
                            let items = within(&places, range, |(coordinate, ..)| *coordinate);
                            items.iter().map(|(coordinate, _, digest)| (*coordinate, *digest)).collect()
                        }
                    };
                    coordinates.extend(self.differing(&own, &items));
                }
            }
        }
        pull.compare(scope, &ranges);
        pull.fetch(scope, &coordinates);
        Ok(())
    }

    /// The coordinates at which both sides have something else.
    fn differing(&self, own: &[(u64, u64)], others: &[(u64, Sum)]) -> Vec<u64> {
        let mut sums: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for (coordinate, digest) in own {
            let both = sums.entry(*coordinate).or_default();
            both.0 = both.0.wrapping_add(*digest);
        }
        for (coordinate, digest) in others {
            let both = sums.entry(*coordinate).or_default();
            both.1 = both.1.wrapping_add(u64::from_le_bytes(*digest));
        }
        let differing = sums.into_iter().filter(|(_, (own, other))| self.differs(*own, sum(*other)));
        differing.map(|(coordinate, _)| coordinate).collect()
    }

    fn objects_in(&self, range: Range) -> Vec<&Object> {
        let (first, last) = range.coordinates().into_inner();
        let keys = self.store.from(first).take_while(|(key, _)| key.coordinate() <= last);
        keys.map(|(_, object)| object).collect()
    }

    /// The other side has sent keys.
    fn take_keys(&self, pull: &mut Pull, keys: Vec<(u64, Vec<Fetched>)>) -> Result<(), RepairError> {
        for (coordinate, fetched) in keys {
            let mut named = BTreeSet::new();
            for Fetched { db, name, cells } in fetched {
                let key = Key::of(db, name.clone());
                pull.fetched += 1;
                match cells {
                    Some(cells) if cells.iter().all(|(place, cell)| place.is_valid() && cell.is_valid()) => {
                        pull.staged.push(Staged::Key { db, name: name.clone(), cells });
                    }
                    Some(_) => return Err(RepairError::Senseless),
                    None => pull.compare(&Scope::Places { db, name }, &[Range::ALL]),
                }
                named.insert(key);
            }
            let own = self.store.from(coordinate).take_while(|(key, _)| key.coordinate() == coordinate);
            let absent = own.map(|(key, _)| key).filter(|key| !named.contains(*key));
            pull.staged.extend(absent.map(Staged::absent));
        }
        Ok(())
    }

    /// The other side has sent places of a key.
    fn take_places(
        &self,
        pull: &mut Pull,
        key: &Key,
        places: Vec<(u64, Vec<(Place, Cell)>)>,
    ) -> Result<(), RepairError> {
        let own = self.store.get(key).map(places_of).unwrap_or_default();
        for (coordinate, fetched) in places {
            if !fetched.iter().all(|(place, cell)| place.is_valid() && cell.is_valid()) {
                return Err(RepairError::Senseless);
            }
            pull.fetched += 1;
            let here =
                own.iter().filter(|(other, ..)| *other == coordinate).map(|(_, place, _)| (*place).clone());
            let absent = here.filter(|place| !fetched.iter().any(|(other, _)| other == place));
            let absent = absent.map(|place| (place, Cell::default())).collect::<Vec<_>>();
            let all = absent.into_iter().chain(fetched);
            pull.staged.extend(all.map(|(place, cell)| Staged::place(key, place, cell)));
        }
        Ok(())
    }
}
