//! A random walk: one history of a cluster in which everything goes wrong, from a seed. First safety under
//! faults, then liveness after healing.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::chunks::CHUNK;
use onecopy_core::{Member, Protocol, Rules, Timestamp};
use onecopy_raft::{Change, ClockDrift, Input, Raft, Role};

use super::checks::Checks;
use super::{Answer, Cluster, Setup};

/// How many things happen in the first phase.
const STEPS: u32 = 2_500;
/// How long a healed cluster may take to serve again.
const PATIENCE: Duration = Duration::from_secs(5);

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        match choices.len() {
            0 => None,
            count => Some(choices[self.below(count as u64) as usize]),
        }
    }
}

/// How bad a history is.
#[derive(Clone, Copy)]
struct Weather {
    /// So many happenings, beside about a thousand others, are faults that last.
    faults: u64,
    /// So many are changes of the configuration, and a quarter as many transfers of the leadership.
    changes: u64,
    /// How far time moves at once, at most.
    stride: Duration,
}

struct Walk<'a> {
    tell: Option<Tell<'a>>,
    dice: Dice,
    cluster: Cluster,
    checks: Checks,
    tokens: u64,
    /// How many reads were answered in the very step, by members of a group that has others.
    leases: u64,
    weather: Weather,
    /// A member whose process is stopped: it notices nothing, but for what clients ask when it wakes.
    asleep: Option<Member>,
}

/// What a history amounted to, so that a walk that tests nothing is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub committed: u64,
    pub terms: u64,
    pub snapshots: u64,
    pub installs: u64,
    pub changes: u64,
    pub transfers: u64,
    pub leases: u64,
}

/// Gets every line of a history.
pub type Tell<'a> = &'a mut dyn FnMut(String);

/// Walks through the history of `seed`. Panics with the property that was violated.
pub fn walk(seed: u64, rules: Rules, tell: Option<Tell<'_>>) -> Summary {
    let mut dice = Dice(seed);
    let drift = ClockDrift { ppm: 50_000 };
    let setup = Setup {
        members: dice.one_of(&[3, 3, 3, 5, 5, 4, 2, 1]).unwrap_or(3),
        spares: dice.one_of(&[0, 1, 2, 3]).unwrap_or(0) as u32,
        leases: dice.one_of(&[None, Some(drift)]).unwrap_or(None),
        append_bytes_max: dice.one_of(&[1, 150, 1000]).unwrap_or(1),
        inflight_max: dice.one_of(&[1, 2, 8]).unwrap_or(1),
        log_bytes_max: dice.one_of(&[300, 1000, 100_000]).unwrap_or(300),
        padding: dice.one_of(&[0, 0, 0, CHUNK, 2 * CHUNK]).unwrap_or(0),
        seed,
        rules,
    };
    let weather = Weather {
        faults: dice.one_of(&[2, 5, 10, 20, 40]).unwrap_or(1),
        changes: dice.one_of(&[0, 20, 60, 120]).unwrap_or(0),
        stride: Duration::from_millis(dice.one_of(&[4, 10, 20, 40]).unwrap_or(12)),
    };
    let mut cluster = Cluster::new(setup);
    for site in cluster.members.values_mut() {
        site.skew = dice.below(2 * u64::from(drift.ppm) + 1) as i64 - i64::from(drift.ppm);
    }
    cluster.trace = tell.is_some().then(Vec::new);
    let mut walk =
        Walk { tell, dice, cluster, checks: Checks::default(), tokens: 0, leases: 0, weather, asleep: None };
    for id in walk.cluster.ids() {
        walk.restart(id);
    }
    for _ in 0..STEPS {
        walk.something_happens();
        walk.tell_trace();
    }
    walk.heals();
    let rafts: Vec<_> = walk.cluster.running().map(|(_, process)| &process.protocol).collect();
    Summary {
        installs: walk.cluster.installs,
        changes: walk.checks.changes(),
        transfers: walk.checks.transfers,
        leases: walk.leases,
        committed: walk.checks.last_committed().0,
        terms: rafts.iter().map(|raft| raft.term().0).max().unwrap_or(0),
        snapshots: rafts.iter().map(|raft| u64::from(raft.log().base().index.0 > 0)).sum(),
    }
}

/// Whether a majority of the voters is left. Nobody needs an empty half.
fn can_work(voters: &BTreeSet<Member>, left: &dyn Fn(Member) -> bool) -> bool {
    voters.is_empty() || voters.iter().filter(|voter| left(**voter)).count() > voters.len() / 2
}

impl Walk<'_> {
    fn something_happens(&mut self) {
        let ids = self.cluster.ids();
        let id = self.dice.one_of(&ids).expect("a member");
        let weather = self.weather;
        let repairs = 10 + weather.faults;
        let changes = weather.changes + weather.changes / 4;
        match self.dice.below(960 + weather.faults + repairs + changes) {
            0..450 => self.deliver_any(),
            450..650 => self.persist(id),
            650..730 => self.work(id),
            730..830 => self.time_passes(),
            830..890 => self.propose(id),
            890..930 => self.read(id),
            930..960 => self.lose_or_double(),
            other if other < 960 + weather.faults => self.fault(id),
            other if other < 960 + weather.faults + weather.changes => self.change(id),
            other if other < 960 + weather.faults + changes => self.transfer(id),
            _ => self.repair(id),
        }
    }

    /// Something that lasts.
    fn fault(&mut self, id: Member) {
        // Leaders are where it hurts.
        let leaders = self.leaders();
        let id = self.dice.one_of(&leaders).filter(|_| self.dice.below(3) > 0).unwrap_or(id);
        match self.dice.below(3) {
            0 => self.crash(id),
            1 => self.cut(id),
            _ => self.asleep = Some(id),
        }
    }

    fn repair(&mut self, id: Member) {
        match self.dice.below(9) {
            0..2 => self.cluster.cut.clear(),
            2..4 => self.asleep = None,
            4 if self.weather.changes > 0 => self.wipe(id),
            _ => self.restart(id),
        }
    }

    /// A leader, if there is one, more often than not.
    fn probably_leader(&mut self, id: Member) -> Member {
        let leaders = self.leaders();
        self.dice.one_of(&leaders).filter(|_| self.dice.below(4) > 0).unwrap_or(id)
    }

    /// Members come, are promoted and go, one or several at a time. Operators do not ask for a group that
    /// cannot work: those whose disks are lost stay a minority.
    fn change(&mut self, id: Member) {
        let id = self.probably_leader(id);
        let Some(raft) = self.cluster.raft(id) else { return };
        let configuration = raft.configuration().clone();
        let ids = self.cluster.ids();
        let known: Vec<Member> = configuration.members().into_iter().collect();
        let (lost, present): (Vec<Member>, Vec<Member>) =
            known.iter().partition(|member| !ids.contains(member));
        let others: Vec<Member> = ids.iter().copied().filter(|id| !present.contains(id)).collect();
        let learners: Vec<Member> = configuration.learners.iter().copied().collect();
        let mut changes = Vec::new();
        for _ in 0..1 + self.dice.below(5) / 3 {
            let change = match self.dice.below(8) {
                0..3 => self.dice.one_of(&others).map(Change::AddLearner),
                3..6 => self.dice.one_of(&learners).map(Change::Promote),
                6 => self.dice.one_of(&present).map(Change::Remove),
                _ => self.dice.one_of(&lost).map(Change::Remove),
            };
            changes.extend(change);
        }
        let mut voters = configuration.voters;
        for change in &changes {
            match change {
                Change::Promote(member) => drop(voters.insert(*member)),
                Change::Remove(member) => drop(voters.remove(member)),
                Change::AddLearner(_) => {}
            }
        }
        if can_work(&voters, &|member| ids.contains(&member)) {
            self.cluster.step(id, Input::Change { changes });
            self.check(id);
        }
    }

    fn transfer(&mut self, id: Member) {
        let id = self.probably_leader(id);
        let Some(raft) = self.cluster.raft(id) else { return };
        let mut candidates = raft.configuration().members();
        candidates.remove(&id);
        let candidates: Vec<Member> = candidates.into_iter().collect();
        let Some(to) = self.dice.one_of(&candidates) else { return };
        self.cluster.step(id, Input::Transfer { to });
        self.check(id);
    }

    /// A crashed member loses its disk, unless too many have, by any configuration that was ever seen.
    fn wipe(&mut self, id: Member) {
        let ids = self.cluster.ids();
        let left = |member| member != id && ids.contains(&member);
        let bearable = self.checks.configurations().all(|configuration| {
            can_work(&configuration.voters, &left) && can_work(&configuration.old_voters, &left)
        });
        if self.cluster.raft(id).is_none() && bearable {
            let next = self.cluster.wipe(id);
            self.checks.is_lost(id);
            self.restart(next);
        }
    }

    fn check(&mut self, id: Member) {
        self.checks.after_step(&mut self.cluster, id);
    }

    fn tell_trace(&mut self) {
        if let (Some(trace), Some(tell)) = (&mut self.cluster.trace, &mut self.tell) {
            let now = self.cluster.now;
            trace.drain(..).for_each(|line| tell(format!("{now} {line}")));
        }
    }

    /// Any message, in any order.
    fn deliver_any(&mut self) {
        let count = self.cluster.wire.len() as u64;
        if count > 0 {
            // Mostly the oldest ones: otherwise hardly anything gets done.
            let position = self.dice.below(count).min(self.dice.below(count)).min(self.dice.below(count));
            if Some(self.cluster.wire[position as usize].to) == self.asleep {
                return;
            }
            let envelope = self.cluster.wire.remove(position as usize);
            let to = envelope.to;
            self.cluster.deliver(envelope);
            self.check(to);
        }
    }

    fn persist(&mut self, id: Member) {
        if Some(id) == self.asleep {
            return;
        }
        self.cluster.persist(id);
        self.check(id);
    }

    fn work(&mut self, id: Member) {
        if Some(id) == self.asleep {
            return;
        }
        self.cluster.work(id);
        self.check(id);
    }

    fn time_passes(&mut self) {
        self.cluster.now =
            self.cluster.now + Duration::from_micros(self.dice.below(self.weather.stride.as_micros() as u64));
        let awake = |id: &Member| Some(*id) != self.asleep;
        let due: Vec<Member> = self.cluster.due().into_iter().filter(awake).collect();
        if let Some(id) = self.dice.one_of(&due) {
            self.cluster.step(id, Input::Elapsed);
            self.check(id);
        }
    }

    fn propose(&mut self, id: Member) {
        // Clients find the leader more often than not, or too little would happen.
        let leaders: Vec<Member> = self.leaders();
        let id = self.dice.one_of(&leaders).filter(|_| self.dice.below(4) > 0).unwrap_or(id);
        let payload = Bytes::from(vec![b'x'; self.dice.below(60) as usize]);
        // Clocks of members differ.
        let time = Timestamp(self.cluster.now.0 / 1_000_000 + self.dice.below(20));
        let seed = self.dice.below(u64::MAX);
        self.cluster.step(id, Input::Propose { payload, time, seed });
        self.check(id);
    }

    fn leaders(&self) -> Vec<Member> {
        let running = self.cluster.running();
        running.filter(|(_, process)| process.protocol.role() == Role::Leader).map(|(id, _)| id).collect()
    }

    fn read(&mut self, id: Member) {
        let leaders = self.leaders();
        let id = self.dice.one_of(&leaders).filter(|_| self.dice.below(4) > 0).unwrap_or(id);
        if self.cluster.raft(id).is_some() {
            self.tokens += 1;
            self.checks.read_begins(self.tokens);
            self.cluster.step(id, Input::Read { token: self.tokens });
            let at_once = |(_, answer): &(Member, Answer)| matches!(answer, Answer::ReadReady(..));
            let alone = self.cluster.raft(id).is_none_or(|raft| raft.followers().is_empty());
            self.leases += u64::from(!alone && self.cluster.answers.iter().any(at_once));
            self.check(id);
        }
    }

    fn lose_or_double(&mut self) {
        let count = self.cluster.wire.len() as u64;
        if count > 0 {
            let position = self.dice.below(count) as usize;
            match self.dice.below(3) {
                0 => self.cluster.wire.push(self.cluster.wire[position].clone()),
                _ => drop(self.cluster.wire.remove(position)),
            }
        }
    }

    /// Links break in one direction or in both, one by one or around one member.
    fn cut(&mut self, id: Member) {
        let ids = self.cluster.ids();
        match self.dice.one_of(&ids).filter(|_| self.dice.below(3) == 0) {
            Some(other) => self.cluster.cut.extend([(id, other)]),
            None => self.cluster.cut.extend(ids.iter().flat_map(|other| [(*other, id), (id, *other)])),
        }
    }

    fn crash(&mut self, id: Member) {
        let Some(process) = &self.cluster.members[&id].process else { return };
        let survive = self.dice.below(process.queue.len() as u64 + 1) as usize;
        self.cluster.crash(id, survive);
        self.check(id);
    }

    fn restart(&mut self, id: Member) {
        if self.cluster.raft(id).is_none() {
            self.cluster.start(id);
            self.check(id);
        }
    }

    /// All faults end: an entry that is proposed now must be applied everywhere, and a read answered.
    fn heals(&mut self) {
        self.cluster.cut.clear();
        self.asleep = None;
        for id in self.cluster.ids() {
            self.restart(id);
        }
        let end = self.cluster.now + PATIENCE;
        while !self.serves() {
            assert!(self.cluster.now < end, "liveness: a healed cluster does not serve");
            self.runs_well();
        }
        self.all_agree();
    }

    /// One millisecond without faults.
    fn runs_well(&mut self) {
        self.cluster.now = self.cluster.now + Duration::from_millis(1);
        for id in self.cluster.due() {
            self.cluster.step(id, Input::Elapsed);
            self.check(id);
        }
        for envelope in std::mem::take(&mut self.cluster.wire) {
            let to = envelope.to;
            self.cluster.deliver(envelope);
            self.check(to);
        }
        for id in self.cluster.ids() {
            self.persist(id);
            self.work(id);
        }
        self.tell_trace();
    }

    /// Whether a proposal and a read go through.
    fn serves(&mut self) -> bool {
        let [leader] = self.leaders()[..] else { return false };
        let input = Input::Propose { payload: Bytes::from_static(b"end"), time: Timestamp(0), seed: 0 };
        self.cluster.step(leader, input);
        let Some((_, Answer::Proposed(entry))) = self.cluster.answers.pop() else { return false };
        self.tokens += 1;
        self.checks.read_begins(self.tokens);
        self.cluster.step(leader, Input::Read { token: self.tokens });
        for _ in 0..100 {
            self.check(leader);
            self.runs_well();
        }
        let Some(raft) = self.cluster.raft(leader).filter(|raft| raft.role() == Role::Leader) else {
            return false;
        };
        let settled = raft.is_configuration_committed() && !raft.configuration().is_joint();
        // A change may have been completed meanwhile.
        let last = raft.log().last().index.max(entry.index);
        let everywhere = self.members().all(|raft| raft.applied() >= last);
        self.checks.was_ready(self.tokens) && settled && everywhere
    }

    /// The members of the group that are left, by the configuration of its leader.
    fn members(&self) -> impl Iterator<Item = &Raft> {
        let leader = self.leaders().first().and_then(|leader| self.cluster.raft(*leader));
        let members = leader.map(|raft| raft.configuration().members()).unwrap_or_default();
        members
            .into_iter()
            .filter_map(|member| self.cluster.members.get(&member)?.process.as_ref())
            .map(|process| &process.protocol)
    }

    fn all_agree(&self) {
        let mut logs = self.members().map(|raft| raft.log().last());
        let first = logs.next();
        assert!(logs.all(|last| Some(last) == first), "liveness: the logs of a healed cluster differ");
        for (_, process) in self.cluster.running() {
            process.protocol.check_invariants();
        }
    }
}
