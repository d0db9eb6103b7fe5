//! A random history of a few replicas: commands everywhere, deltas that come late, twice, through others or
//! not at all, partitions, repairs in many small steps, replicas that lose their data or come back from a
//! backup, and clocks that are wrong by years. Then everything heals, and all must agree.

use onecopy_core::Timestamp;
use onecopy_merge::repair::{Ask, Next, Pull};
use onecopy_merge::{Clock, Delta, Received, Replica, ReplicaId, Rules, Waiting, foldable};

use crate::deeds::choose;
use crate::oracle::Oracle;
use crate::support::{Dice, NOW, assert_same, pull, run_at};

const YEAR_MS: u64 = 31_536_000_000;
/// So many bytes of deltas may wait: few, so that some are dropped.
const WAITING_BYTES: usize = 6_000;

/// What has happened, for those who want to know whether it happens at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub commands: usize,
    pub shown: usize,
    pub seen_again: usize,
    pub waited: usize,
    pub dropped: usize,
    pub lost: usize,
    pub repairs: usize,
    pub lives: usize,
    pub backups: usize,
    pub folds: usize,
    pub checks: usize,
}

struct Node {
    replica: Replica,
    /// What its clock shows beyond the true time.
    skew_ms: i64,
    inbox: Vec<Delta>,
    pull: Option<(usize, Pull, Ask)>,
    backup: Option<Replica>,
    /// The last deltas that it has made or shown, for those who missed them.
    log: Vec<Delta>,
}

/// So many deltas are kept for those who missed them.
const LOGGED: usize = 150;

/// A history.
pub struct Walk {
    dice: Dice,
    rules: Rules,
    nodes: Vec<Node>,
    oracle: Oracle,
    now: u64,
    /// Which half each node is in: nodes of different halves do not see each other.
    halves: Vec<bool>,
    lives: u64,
    /// Replicas that are over.
    over: Vec<ReplicaId>,
    elements: u64,
    pub counts: Counts,
}

impl Walk {
    pub fn new(seed: u64, rules: Rules) -> Self {
        let mut dice = Dice(seed);
        let count = 3 + dice.below(3);
        let skews = [0, 0, 1_500, -40_000, YEAR_MS as i64, -(YEAR_MS as i64)];
        let nodes = (1..=count as u64).map(|id| Node {
            replica: Replica::new(ReplicaId(id), rules).with_waiting(Waiting::bounded(WAITING_BYTES)),
            skew_ms: *dice.one_of(&skews),
            inbox: Vec::new(),
            pull: None,
            backup: None,
            log: Vec::new(),
        });
        let nodes: Vec<Node> = nodes.collect();
        Self {
            rules,
            halves: vec![false; nodes.len()],
            lives: nodes.len() as u64,
            nodes,
            oracle: Oracle::default(),
            now: NOW.0,
            over: Vec::new(),
            elements: 0,
            counts: Counts::default(),
            dice,
        }
    }

    /// What a node's clock shows.
    fn time(&self, at: usize) -> Timestamp {
        Timestamp(self.now.saturating_add_signed(self.nodes[at].skew_ms))
    }

    fn sees(&self, a: usize, b: usize) -> bool {
        self.halves[a] == self.halves[b]
    }

    pub fn run(&mut self, steps: usize) {
        for step in 0..steps {
            self.now += self.dice.below(40) as u64;
            let at = self.dice.below(self.nodes.len());
            match self.dice.below(1_000) {
                0..220 => self.command(at),
                220..770 => self.deliver(at),
                770..790 => self.advance(at),
                790..840 => self.catch_up(at),
                840..930 => self.repair(at),
                930..936 => self.halves.iter_mut().for_each(|half| *half = self.dice.below(4) == 0),
                936..942 => self.halves.iter_mut().for_each(|half| *half = false),
                942..945 => self.nodes[at].backup = Some(self.nodes[at].replica.clone()),
                945..948 => self.die(at),
                948..970 => self.fold(at),
                _ if step % 7 == 0 => self.check(at),
                _ => {}
            }
        }
        self.heal();
    }

    fn check(&mut self, at: usize) {
        self.counts.checks += 1;
        self.oracle.check(&self.nodes[at].replica);
    }

    /// A delta was made or shown: it is sent to those who are seen, if it is not lost.
    fn publish(&mut self, from: usize, delta: &Delta) {
        self.log(from, delta);
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            if !self.sees(from, to) || self.dice.below(20) == 0 {
                self.counts.lost += 1;
                continue;
            }
            for _ in 0..1 + usize::from(self.dice.below(6) == 0) {
                self.nodes[to].inbox.push(delta.clone());
            }
        }
    }

    fn log(&mut self, at: usize, delta: &Delta) {
        let log = &mut self.nodes[at].log;
        log.push(delta.clone());
        if log.len() > LOGGED {
            log.remove(0);
        }
    }

    /// A node gets what it has missed, as far as the log of another one reaches.
    fn catch_up(&mut self, at: usize) {
        let from = self.dice.below(self.nodes.len());
        if from != at && self.sees(at, from) {
            let clock = self.nodes[at].replica.clock().clone();
            let missed = self.nodes[from].log.iter().filter(|delta| !clock.contains(delta.dot)).cloned();
            let missed: Vec<Delta> = missed.take(60).collect();
            self.nodes[at].inbox.splice(..0, missed);
        }
    }

    fn command(&mut self, at: usize) {
        let now = self.time(at);
        let replica = &mut self.nodes[at].replica;
        let context = replica.clock().clone();
        let (key, line, deeds) = choose(&mut self.dice, replica, &self.oracle, &mut self.elements);
        let (_, delta) = run_at(replica, now, &line);
        self.counts.commands += 1;
        if let Some(delta) = delta {
            self.oracle.record(&key, delta.dot, &context, delta.stamp, deeds);
            self.publish(at, &delta);
        }
    }

    fn deliver(&mut self, at: usize) {
        if self.nodes[at].inbox.is_empty() {
            return;
        }
        // Mostly in order.
        let place = if self.dice.below(8) == 0 { self.dice.below(self.nodes[at].inbox.len()) } else { 0 };
        let delta = self.nodes[at].inbox.remove(place);
        let now = self.time(at);
        match self.nodes[at].replica.receive(now, delta.clone()) {
            Received::Shown(dots) => {
                self.counts.shown += dots.len();
                // Through others.
                if self.dice.below(4) == 0 {
                    self.publish(at, &delta);
                } else {
                    self.log(at, &delta);
                }
            }
            Received::Seen => self.counts.seen_again += 1,
            Received::Waits => self.counts.waited += 1,
            Received::Dropped => self.counts.dropped += 1,
        }
    }

    fn advance(&mut self, at: usize) {
        let (now, context) = (self.time(at), self.nodes[at].replica.clock().clone());
        if let Some(delta) = self.nodes[at].replica.advance(now, 3) {
            self.oracle.record("x", delta.dot, &context, delta.stamp, Vec::new());
            self.publish(at, &delta);
        }
    }

    /// One step of a repair, or its beginning.
    fn repair(&mut self, at: usize) {
        let now = self.time(at);
        let Some((from, mut pull, ask)) = self.nodes[at].pull.take() else {
            let from = self.dice.below(self.nodes.len());
            if from != at && self.sees(at, from) {
                let (pull, ask) = self.nodes[at].replica.pull();
                self.nodes[at].pull = Some((from, pull, ask));
            }
            return;
        };
        if !self.sees(at, from) {
            self.nodes[at].replica.pull_abandon(now);
            return;
        }
        let answer = self.nodes[from].replica.serve(&ask);
        match self.nodes[at].replica.pull_step(now, &mut pull, answer) {
            Ok(Next::Ask(ask)) => self.nodes[at].pull = Some((from, pull, ask)),
            Ok(Next::Done(_, close)) => {
                self.nodes[from].replica.serve(&close);
                self.counts.repairs += 1;
                self.check(at);
            }
            Err(_) => {
                self.nodes[at].replica.pull_abandon(now);
            }
        }
    }

    /// A node loses its data, and comes back without, or from its backup, as another replica.
    fn die(&mut self, at: usize) {
        let old = self.nodes[at].replica.id();
        self.lives += 1;
        self.counts.lives += 1;
        self.over.push(old);
        let backup = self.nodes[at].backup.take().filter(|_| self.dice.below(2) == 0);
        // A backup is bytes.
        let restored = |backup: Replica| Replica::restore(&backup.image(), self.rules).expect("an image");
        let backup = backup.map(restored);
        self.counts.backups += usize::from(backup.is_some());
        let state = backup.unwrap_or_else(|| Replica::new(old, self.rules));
        let state = state.in_life(ReplicaId(self.lives)).with_waiting(Waiting::bounded(WAITING_BYTES));
        self.nodes[at].replica = state;
        self.nodes[at].pull = None;
        self.nodes[at].inbox.clear();
        self.nodes[at].log.clear();
        // Who was being served by it begins anew.
        for other in 0..self.nodes.len() {
            if self.nodes[other].pull.as_ref().is_some_and(|(from, ..)| *from == at) {
                let now = self.time(other);
                self.nodes[other].pull = None;
                self.nodes[other].replica.pull_abandon(now);
            }
        }
    }

    /// Replicas that are over are folded, once nobody has, or will ever get, more of them than all that live.
    fn fold(&mut self, at: usize) {
        let living: Vec<(ReplicaId, &Clock)> =
            self.nodes.iter().map(|node| (node.replica.id(), node.replica.clock())).collect();
        let Some(floor) = foldable(&living) else { return };
        let seen = |replica: ReplicaId| living[0].1.seen_of(replica);
        let over: Vec<ReplicaId> = self.over.iter().copied().filter(|replica| *replica < floor).collect();
        let is_known = |replica: &ReplicaId| {
            let on_the_way =
                self.nodes.iter().flat_map(|node| node.inbox.iter().chain(&node.log)).map(|delta| delta.dot);
            let kept = self.nodes.iter().filter_map(|node| node.backup.as_ref());
            let waiting = self.nodes.iter().flat_map(|node| node.replica.waiting().dots());
            on_the_way
                .chain(waiting)
                .filter(|dot| dot.replica == *replica)
                .all(|dot| dot.counter <= seen(*replica))
                && kept
                    .map(|backup| backup.clock().seen_of(*replica))
                    .all(|counter| counter <= seen(*replica))
        };
        if !over.iter().all(is_known) {
            return;
        }
        let ends: Vec<(ReplicaId, u64)> = over.iter().map(|replica| (*replica, seen(*replica))).collect();
        let ids: Vec<ReplicaId> = living.iter().map(|(id, _)| *id).filter(|id| *id < floor).collect();
        ends.into_iter().for_each(|(replica, counter)| self.oracle.end(replica, counter));
        let (now, context) = (self.time(at), self.nodes[at].replica.clock().clone());
        if let Some(delta) = self.nodes[at].replica.fold(now, floor, &ids) {
            self.counts.folds += 1;
            self.oracle.record("x", delta.dot, &context, delta.stamp, Vec::new());
            self.publish(at, &delta);
        }
    }

    /// Everybody repairs from everybody, until all agree.
    fn heal_once(&mut self) {
        for to in 0..self.nodes.len() {
            let now = self.time(to);
            for from in (0..self.nodes.len()).filter(|from| *from != to) {
                let (low, high) = self.nodes.split_at_mut(to.max(from));
                let (a, b) = (&mut low[to.min(from)].replica, &mut high[0].replica);
                let (to, from) = if to < from { (a, b) } else { (b, a) };
                let same = to.digest() == from.digest();
                let cost = pull(to, from, now);
                assert!(!same || cost.fetched == 0, "O9: what is the same is not sent");
            }
        }
    }

    fn heal(&mut self) {
        self.halves.iter_mut().for_each(|half| *half = false);
        for at in 0..self.nodes.len() {
            let now = self.time(at);
            self.nodes[at].pull = None;
            self.nodes[at].replica.pull_abandon(now);
            while !self.nodes[at].inbox.is_empty() {
                self.deliver(at);
            }
        }
        self.agree();
        for at in 0..self.nodes.len() {
            self.check(at);
        }
        self.end();
    }

    /// No more commands: after a few rounds all have seen and hold the same.
    fn agree(&mut self) {
        for _ in 0..12 {
            let mut quiet = true;
            for at in 0..self.nodes.len() {
                let now = self.time(at);
                let context = self.nodes[at].replica.clock().clone();
                if let Some(delta) = self.nodes[at].replica.advance(now, 1_000) {
                    self.oracle.record("x", delta.dot, &context, delta.stamp, Vec::new());
                    quiet = false;
                }
            }
            let first = &self.nodes[0].replica;
            if quiet && self.nodes.iter().all(|node| node.replica.clock() == first.clock()) {
                break;
            }
            self.heal_once();
        }
        let replicas: Vec<Replica> = self.nodes.iter().map(|node| node.replica.clone()).collect();
        assert_same(&replicas);
    }

    /// Everything is deleted and everybody is folded that is over: nothing is left (rule O8).
    fn end(&mut self) {
        let now = self.time(0);
        let context = self.nodes[0].replica.clock().clone();
        if let (_, Some(delta)) = run_at(&mut self.nodes[0].replica, now, "FLUSHALL") {
            self.oracle.record("x", delta.dot, &context, delta.stamp, Vec::new());
        }
        let ids: Vec<ReplicaId> = self.nodes.iter().map(|node| node.replica.id()).collect();
        let floor = ReplicaId(self.lives + 1);
        for replica in self.over.clone() {
            let counter = self.nodes[0].replica.clock().seen_of(replica);
            self.oracle.end(replica, counter);
        }
        let context = self.nodes[0].replica.clock().clone();
        if let Some(delta) = self.nodes[0].replica.fold(now, floor, &ids) {
            self.oracle.record("x", delta.dot, &context, delta.stamp, Vec::new());
        }
        self.now += YEAR_MS * 3;
        self.agree();
        for node in &self.nodes {
            let store = node.replica.store();
            assert_eq!(
                store.objects().count(),
                0,
                "O8: nothing is left of what was deleted: {:#?} {:?}",
                left(&node.replica),
                node.replica.clock()
            );
            assert_eq!((store.beside(), node.replica.digest()), (0, 0), "O8: nothing is kept beside no data");
            assert_eq!(node.replica.clock().len(), self.nodes.len(), "O8: a clock has the living alone");
        }
    }
}

/// What is left of a replica, for messages.
fn left(replica: &Replica) -> Vec<String> {
    let cells =
        replica.store().objects().flat_map(|(key, object)| object.cells().map(move |cell| (key, cell)));
    cells.map(|(key, (place, cell))| format!("{:?} {place:?}: {cell:?}", key.name())).collect()
}
