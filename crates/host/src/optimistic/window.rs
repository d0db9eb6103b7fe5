//! The last updates of each copy, in memory, for those who lack them.
//!
//! Of each maker they are a run without gaps. The oldest go when there is no room; whoever lacks those has to
//! repair itself from the state.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::Instant;
use onecopy_merge::{Clock, Dot, ReplicaId};

/// What an update takes beside its bytes.
const COST: usize = 64;

#[derive(Debug)]
struct Item {
    bytes: Bytes,
    /// Since when it is here.
    since: Instant,
    /// Bytes of all updates of its maker up to and with this one, since the run began.
    end: u64,
}

/// The last updates of one maker.
#[derive(Debug, Default)]
struct Run {
    /// The number of the first one.
    first: u64,
    items: VecDeque<Item>,
}

impl Run {
    fn get(&self, counter: u64) -> Option<&Item> {
        self.items.get(usize::try_from(counter.checked_sub(self.first)?).ok()?)
    }

    /// The number of the next one.
    fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }
}

/// The last updates of all.
#[derive(Debug)]
pub(super) struct Window {
    runs: BTreeMap<ReplicaId, Run>,
    /// Whose came in which order.
    order: VecDeque<ReplicaId>,
    bytes: usize,
    bytes_max: usize,
}

impl Window {
    pub(super) fn bounded(bytes_max: usize) -> Self {
        Self { runs: BTreeMap::new(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// How many bytes are kept.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an update that has been shown.
    pub(super) fn push(&mut self, now: Instant, dot: Dot, bytes: Bytes) {
        let run = self.runs.entry(dot.replica).or_default();
        if run.next() != dot.counter {
            // What lies between came by a repair.
            self.bytes -= run.items.drain(..).map(|item| item.bytes.len() + COST).sum::<usize>();
            let maker = dot.replica;
            self.order.retain(|other| *other != maker);
            run.first = dot.counter;
        }
        self.bytes += bytes.len() + COST;
        let before = run.items.back().map_or(0, |item| item.end);
        let end = before + bytes.len() as u64;
        run.items.push_back(Item { bytes, since: now, end });
        self.order.push_back(dot.replica);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(run) = self.runs.get_mut(&oldest) else { continue };
            if let Some(item) = run.items.pop_front() {
                run.first += 1;
                self.bytes -= item.bytes.len() + COST;
            }
        }
    }

    /// The updates of a maker from a number on, through another one: of about so many bytes, and one at least
    /// if it is there.
    pub(super) fn after(
        &self,
        maker: ReplicaId,
        (first, last): (u64, u64),
        bytes_max: usize,
    ) -> impl Iterator<Item = &Bytes> {
        let mut bytes = 0;
        let items = (first..=last).map_while(move |counter| self.runs.get(&maker)?.get(counter));
        items.map(|item| &item.bytes).take_while(move |item| {
            let is_first = bytes == 0;
            bytes += item.len();
            is_first || bytes <= bytes_max
        })
    }

    /// How many bytes the updates of a maker behind a number have, through another one, as far as they are
    /// here.
    pub(super) fn bytes_between(&self, maker: ReplicaId, after: u64, last: u64) -> u64 {
        let Some(run) = self.runs.get(&maker) else { return 0 };
        let end = |counter: u64| run.get(counter).map(|item| item.end);
        let begin = run.items.front().map_or(0, |item| item.end - item.bytes.len() as u64);
        end(last).unwrap_or(begin).saturating_sub(end(after).unwrap_or(begin))
    }

    /// Whether everything that `own` has and `other` lacks is here.
    pub(super) fn reaches(&self, own: &Clock, other: &Clock) -> bool {
        own.iter().all(|(maker, counter)| {
            let lacks = other.seen_of(maker);
            lacks >= counter
                || self.runs.get(&maker).is_some_and(|run| run.first <= lacks + 1 && run.next() > counter)
        })
    }

    /// The makers of updates that `other` lacks and that have been here for so long, each with the first that
    /// is lacking and the last of that age.
    pub(super) fn lacking(
        &self,
        now: Instant,
        other: &Clock,
        age: Duration,
    ) -> impl Iterator<Item = (ReplicaId, u64, u64)> {
        self.runs.iter().filter_map(move |(maker, run)| {
            let first = other.seen_of(*maker).checked_add(1)?;
            run.get(first).filter(|item| now.since(item.since) >= age)?;
            let old = run.items.partition_point(|item| now.since(item.since) >= age) as u64;
            Some((*maker, first, run.first + old - 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ReplicaId = ReplicaId(1);
    const B: ReplicaId = ReplicaId(2);

    fn clock(pairs: &[(ReplicaId, u64)]) -> Clock {
        let mut clock = Clock::new();
        pairs.iter().for_each(|(replica, counter)| clock.add(Dot::new(*replica, *counter)));
        clock
    }

    fn push(window: &mut Window, maker: ReplicaId, counters: std::ops::RangeInclusive<u64>) {
        for counter in counters {
            let bytes = Bytes::from(vec![counter as u8; 36]);
            window.push(Instant(counter), Dot::new(maker, counter), bytes);
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut window = Window::bounded(500);
        push(&mut window, A, 1..=3);
        push(&mut window, B, 1..=4);
        assert_eq!(window.bytes(), 500);
        let has = |maker, first| window.after(maker, (first, 9), usize::MAX).count();
        assert_eq!((has(A, 1), has(A, 3), has(B, 1)), (0, 1, 4));
        let own = clock(&[(A, 3), (B, 4)]);
        assert!(window.reaches(&own, &clock(&[(A, 2)])) && !window.reaches(&own, &clock(&[(A, 1)])));
        assert_eq!(window.bytes_between(B, 1, 3), 72);
        assert_eq!(window.after(B, (2, 4), 50).count(), 1);
        assert_eq!(window.after(B, (2, 3), 1_000).count(), 2);
    }

    #[test]
    fn what_came_by_a_repair_ends_a_run() {
        let mut window = Window::bounded(5_000);
        push(&mut window, A, 1..=3);
        push(&mut window, A, 9..=9);
        assert_eq!(window.bytes(), 100);
        assert!(!window.reaches(&clock(&[(A, 9)]), &clock(&[(A, 3)])));
        assert!(window.reaches(&clock(&[(A, 9)]), &clock(&[(A, 8)])));
    }

    #[test]
    fn only_what_is_old_enough_is_passed_on() {
        let mut window = Window::bounded(5_000);
        push(&mut window, A, 1..=3);
        let lacking = |now: u64, has| {
            let age = Duration::from_nanos(10);
            window.lacking(Instant(now), &clock(&[(A, has)]), age).collect::<Vec<_>>()
        };
        assert_eq!(lacking(12, 0), [(A, 1, 2)]);
        assert_eq!(lacking(12, 2), []);
        assert_eq!(lacking(20, 1), [(A, 2, 3)]);
        assert_eq!(lacking(20, 3), []);
    }
}
