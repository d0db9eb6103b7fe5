//! How a run is set up, and how much goes wrong: drawn anew for every run, so that each run stresses
//! something else (swarm testing: Groce et al., "Swarm Testing", ISSTA 2012).

mod special;

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::{AnswerBounds, GroupId, Policy, Rule};
use onecopy_host::group::SLICE_STEPS;
use onecopy_views::Kind;

use crate::checks::images;
use crate::client::Family;
use crate::clock::{MS, SECOND, Time};
use crate::dice::Dice;
use crate::faults::Fault;
use crate::limits::Limits;
use crate::races::Race;
use crate::workload::Workload;

/// Of a thousand runs, in how many nodes are only slow.
const GRAY: u64 = 30;
/// In how many view nodes are far from each other, and nothing else goes wrong.
const FAR: u64 = 20;
/// In how many nodes only execute long commands.
const BUSY: u64 = 20;
/// In how many values are large for the links, and nothing else goes wrong.
const LARGE: u64 = 20;
/// In how many no write is taken while a copy is missing.
const STRICT: u64 = 100;
/// How many are bent towards a narrow window.
const RACES: u64 = 300;
/// Of a thousand runs, in how many there is a database that is replicated with Raft.
const RAFT: u64 = 300;
/// Of a thousand runs, in how many there are several databases.
const SEVERAL: u64 = 300;
/// In how many batches of a few dozen bytes travel in parts.
const PARTS: u64 = 250;
/// Of those, in how many clients do so little that groups are quiescent.
const QUIET: u64 = 400;
/// About how many bytes an entry has beside a value.
const OVERHEAD: usize = 150;
/// Commands pause in the middle, after a few steps.
const SLICED: u64 = 600;

/// How one run is set up. Times are true times, chances are per mille.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How many nodes there are, all with all roles.
    pub nodes: u32,
    /// How many copies the group should have.
    pub copies: u32,
    /// Without how many members writes are refused.
    pub min_copies: u32,
    /// How many databases there are, each with a group of its own. `main` is one of them.
    pub databases: u32,
    /// How many copies the last of them has, if that is replicated with Raft.
    pub raft_copies: Option<u32>,
    /// When a database is dropped, and which group that is.
    pub dropped: Option<(Time, GroupId)>,
    /// When the copies of a database are to be elsewhere, and which group that is.
    pub moved: Option<(Time, GroupId)>,
    /// When processes begin to be exchanged by those of a newer version, one at a time.
    pub rolls: Option<Time>,
    /// When databases are to be replicated in another way, and how.
    pub switched: Vec<(Time, GroupId, Kind)>,
    /// Of a thousand runs, how many have ears: those who publish and subscribe.
    pub ears: u64,
    /// Of a thousand runs, how many have shelves: those who cache.
    pub shelves: u64,
    /// What the copies of an optimistic database may have in memory for others, if there is one.
    pub optimistic: Option<usize>,
    /// How many copies it has at first.
    pub merged_copies: u32,
    /// Whether the wall clocks are hours and years apart.
    pub years_apart: bool,
    /// How many of them have a write before it is answered.
    pub before_ok: u32,
    /// When it is to have more of them or fewer, and how many.
    pub resized: Vec<(Time, u32)>,
    /// How much memory there may be; 0: no limit.
    pub memory_max: u64,
    /// What goes where there is no room.
    pub policy: Policy,
    /// How many clients there are.
    pub clients: usize,
    /// What they ask for.
    pub workload: Workload,
    /// How many bytes a value is padded to.
    pub value_bytes: usize,
    /// How many times smaller everything is that bytes are counted in: values, links, and what counts as
    /// slow.
    pub scale: usize,
    /// The longest pause of a client between two operations.
    pub think: Time,
    /// How long things go wrong.
    pub fault_time: Time,
    /// The mean time between two faults.
    pub fault_interval: Time,
    /// How likely each fault is, relative to the others.
    pub weights: BTreeMap<Fault, u64>,
    /// How long a fault lasts at most.
    pub fault_length: Time,
    /// Messages that are lost.
    pub loss: u64,
    /// Messages that arrive twice.
    pub double: u64,
    /// Messages that are late.
    pub late: u64,
    /// Words of control that go astray, and come when nobody expects them any more
    /// ([`Packet::is_of_control`]).
    ///
    /// [`Packet::is_of_control`]: crate::message::Packet::is_of_control
    pub strays: u64,
    /// How long they take at most.
    pub straying: Time,
    /// Whether what was on its way when the network fell apart still arrives.
    pub leaks: bool,
    /// How long a message usually takes at most.
    pub latency: Time,
    /// How long a late one takes at most.
    pub lateness: Time,
    /// How long a sync takes at most, usually.
    pub sync: Time,
    /// Drift of the clocks, at most, in parts per million.
    pub drift_ppm: i64,
    /// Settings of the replicas.
    pub log_bytes_max: usize,
    /// See there.
    pub log_memory_bytes_max: usize,
    /// See there.
    pub prepare_bytes_max: usize,
    /// See there.
    pub window_bytes_max: usize,
    /// See there.
    pub uncommitted_bytes_max: usize,
    /// See there.
    pub join_lag_max: u64,
    /// How long leases last; without, reads are confirmed.
    pub lease: Option<Duration>,
    /// How long an idle primary waits before it makes an entry.
    pub scrub_interval: Option<Duration>,
    /// For how long nothing must have happened in a group before nodes say its heartbeats with those of
    /// others.
    pub quiescent_after: Duration,
    /// How many steps of commands a turn executes.
    pub slice_steps: u64,
    /// How long they take.
    pub slice_takes: Duration,
    /// The log bound of the view table's Raft group.
    pub raft_log_bytes_max: usize,
    /// How many bytes of entries one append of that group carries at most.
    pub raft_append_bytes_max: usize,
    /// Elections after which the new leader dies before long.
    pub regicide: u64,
    /// Nothing goes wrong but this, and there is a check for it.
    pub alone: Option<Fault>,
    /// How much of what was answered replicas remember.
    pub answers: AnswerBounds,
    /// The narrow window that it is bent towards.
    pub race: Option<Race>,
    /// Batches with more bytes travel in parts of so many; without, those do that are as large as in
    /// production.
    pub parts: Option<usize>,
    /// How many faults happen at most.
    pub faults_max: u64,
    /// Registrations that change nothing but fill the log of the view table, per second at the leader.
    pub churn: u64,
}

impl Profile {
    /// Draws the setup of a run. A rule that is switched off biases it towards what the rule protects from.
    #[must_use]
    pub fn draw(dice: &mut Dice, nodes: Option<u32>, sabotaged: Option<Rule>) -> Self {
        let nodes = nodes.unwrap_or_else(|| if dice.chance(150) { 5 } else { 3 });
        let mut weights = BTreeMap::new();
        for fault in Fault::ALL {
            if !fault.is_drawn_apart() && dice.chance(400) {
                weights.insert(fault, dice.between(1, 10));
            }
        }
        let big = dice.chance(40);
        let value_bytes =
            if big { dice.between(100_000, 250_000) as usize } else { dice.between(1, 200) as usize };
        let entry = value_bytes + OVERHEAD;
        let small_log = dice.chance(700);
        let mut profile = Self {
            nodes,
            copies: if dice.chance(500) { 3 } else { 2 },
            min_copies: 1,
            databases: 1,
            raft_copies: None,
            dropped: None,
            moved: None,
            rolls: None,
            switched: Vec::new(),
            ears: 250,
            shelves: 250,
            optimistic: None,
            merged_copies: nodes,
            years_apart: false,
            before_ok: 1,
            resized: Vec::new(),
            memory_max: 0,
            policy: Policy::NoEviction,
            clients: dice.between(1, 6) as usize,
            workload: Workload::draw(dice),
            value_bytes,
            scale: 1,
            think: if big { SECOND } else { dice.between(1, 200) * MS },
            fault_time: dice.between(8, 30) * SECOND,
            fault_interval: dice.between(200, 4_000) * MS,
            weights,
            fault_length: dice.between(300, 5_000) * MS,
            loss: if dice.chance(500) { dice.between(0, 50) } else { 0 },
            double: if dice.chance(500) { dice.between(0, 50) } else { 0 },
            late: if dice.chance(500) { dice.between(0, 50) } else { 0 },
            latency: dice.between(200, 5_000) * 1_000,
            lateness: dice.between(20, 2_000) * MS,
            sync: dice.between(100, 8_000) * 1_000,
            drift_ppm: dice.between(0, 500) as i64,
            log_bytes_max: if small_log { dice.between(15, 60) as usize * entry } else { 1 << 27 },
            log_memory_bytes_max: if dice.chance(600) {
                dice.between(0, 20) as usize * entry
            } else {
                1 << 23
            },
            prepare_bytes_max: if dice.chance(500) { dice.between(1, 8) as usize * entry } else { 1 << 22 },
            window_bytes_max: if dice.chance(500) { dice.between(1, 16) as usize * entry } else { 1 << 25 },
            uncommitted_bytes_max: if dice.chance(200) {
                dice.between(2, 20) as usize * entry
            } else {
                1 << 26
            },
            lease: dice.chance(700).then(|| Duration::from_millis(dice.between(100, 600))),
            scrub_interval: dice.chance(700).then(|| Duration::from_millis(dice.between(100, 2_000))),
            quiescent_after: Duration::from_millis(500),
            slice_steps: SLICE_STEPS,
            slice_takes: Duration::ZERO,
            join_lag_max: if dice.chance(500) { dice.between(0, 10) } else { 1_000 },
            raft_log_bytes_max: if dice.chance(500) { 2_000 } else { 1 << 20 },
            raft_append_bytes_max: 1 << 20,
            regicide: 0,
            alone: None,
            answers: AnswerBounds::default(),
            race: None,
            strays: 0,
            straying: 0,
            leaks: false,
            parts: None,
            faults_max: u64::MAX,
            churn: 0,
        };
        if dice.chance(100) {
            profile.churn = dice.between(5, 100);
            profile.raft_append_bytes_max = if dice.chance(500) { 1 } else { 1 << 20 };
            profile.regicide = dice.below(600);
        }
        for fault in Fault::LATER {
            if dice.chance(300) {
                profile.weights.insert(fault, dice.between(1, 10));
            }
        }
        if let Some(rule) = sabotaged {
            profile.bias(rule, dice);
        }
        // What a bias draws need not keep the bound: leases that outlast everything, for example.
        let is_gray = dice.chance(GRAY);
        let is_strict = dice.chance(STRICT);
        if sabotaged.map_or(is_gray, |rule| rule == Rule::ReportTheSlow) {
            profile.turn_gray(dice);
        } else if sabotaged.map_or(is_strict, |rule| rule == Rule::EnoughCopies) {
            profile.min_copies = profile.copies;
        }
        for fault in Fault::LAST {
            if dice.chance(150) && profile.alone.is_none() {
                profile.weights.insert(fault, dice.between(1, 10));
            }
        }
        let is_far = dice.chance(FAR) && profile.alone.is_none();
        let is_busy = dice.chance(BUSY) && profile.alone.is_none() && !is_far;
        let is_executing = dice.chance(BUSY) && profile.alone.is_none() && !is_far && !is_busy;
        if sabotaged.map_or(is_far, |rule| rule == Rule::PatientElections) {
            profile.turn_far(dice);
        } else if sabotaged.map_or(is_busy, |rule| rule == Rule::BusyIsNotDead) {
            profile.turn_busy(Fault::LongTurn, dice);
        } else if sabotaged.map_or(is_executing, |rule| rule == Rule::AcknowledgedWhileBusy) {
            profile.turn_busy(Fault::LongCommand, dice);
        }
        let is_large = sabotaged.is_none() && dice.chance(LARGE) && profile.alone.is_none() && !is_far;
        if is_large {
            profile.turn_large(dice);
        }
        profile.answers = images::draw_bounds(dice, sabotaged);
        profile.workload.draw_later(dice);
        let is_plain = !is_gray && !is_strict && !is_far && !is_busy && !is_executing && !is_large;
        if sabotaged.is_none() && is_plain && dice.chance(RACES) {
            let race = Race::draw(dice);
            profile.race = Some(race);
            race.bend(&mut profile, dice);
        }
        if dice.chance(SLICED) && !is_large {
            profile.slice_steps = dice.between(1, 300);
            profile.slice_takes = Duration::from_micros(dice.between(50, 1_000));
        }
        for fault in Fault::NEWEST {
            if dice.chance(150) && profile.alone.is_none() && !is_far {
                profile.weights.insert(fault, dice.between(1, 10));
            }
        }
        let moves_keys = sabotaged == Some(Rule::MovedOnce);
        if (sabotaged.is_none() || moves_keys) && !is_large && (moves_keys || dice.chance(SEVERAL)) {
            profile.databases = dice.between(2, 3) as u32;
            if profile.alone.is_none() && dice.chance(QUIET) {
                profile.turn_quiet(dice);
            }
        }
        if dice.chance(PARTS) && profile.alone.is_none() && !is_far {
            // Not too many: each is a commit.
            profile.parts = Some(dice.between(8, 100) as usize + profile.value_bytes / 4);
        }
        let is_of_raft = sabotaged.is_some_and(Rule::is_of_raft);
        let must_have = sabotaged == Some(Rule::LearnBeforeVoting);
        let has_raft = dice.chance(RAFT) && (sabotaged.is_none() || is_of_raft) || must_have;
        if has_raft && profile.alone.is_none() && !is_far && !is_large {
            profile.add_raft(dice);
        }
        profile
    }

    /// One more database, replicated with Raft. Where there are as many nodes as copies, none comes or goes.
    fn add_raft(&mut self, dice: &mut Dice) {
        self.databases += 1;
        self.raft_copies = Some(if self.nodes >= 5 && dice.chance(300) { 5 } else { 3 });
        if self.nodes < 5 {
            for fault in [Fault::AddNode, Fault::RemoveNode] {
                self.weights.remove(&fault);
            }
        }
    }

    /// About how many bytes an entry has.
    pub(crate) fn entry_bytes(&self) -> usize {
        self.value_bytes + OVERHEAD
    }

    /// Lets words of control go astray: so many of a thousand, for so many milliseconds at most.
    pub(crate) fn stray(&mut self, dice: &mut Dice, per_mille: u64, ms: u64) {
        (self.strays, self.straying) = (dice.between(0, per_mille), dice.between(100, ms) * MS);
    }

    /// Takes away what the limits say.
    pub fn limit(&mut self, limits: &Limits) {
        self.weights.retain(|fault, _| !limits.without.contains(fault));
        if limits.calm {
            (self.loss, self.late, self.double, self.strays) = (0, 0, 0, 0);
        }
        self.clients = self.clients.min(limits.clients.unwrap_or(usize::MAX));
        if limits.without.contains(&Fault::Regicide) {
            self.regicide = 0;
        }
        self.faults_max = limits.faults_max.unwrap_or(u64::MAX);
        self.fault_time = self.fault_time.min(limits.seconds.map_or(u64::MAX, |seconds| seconds * SECOND));
    }

    /// Leases that outlast the detection of failures, many reads everywhere, and clusters that fall apart.
    fn bias_towards_leases(&mut self, rule: Rule, dice: &mut Dice) {
        self.weights = [(Fault::Partition, 40), (Fault::Deaf, 10), (Fault::Broken, 10)].into();
        (self.nodes, self.copies, self.clients) = (5, 3, 6);
        self.lease = Some(Duration::from_millis(dice.between(600, 3_000)));
        self.workload.reads = 600;
        self.workload.keys = 1;
        self.value_bytes = 10;
        self.log_bytes_max = 1 << 27;
        self.think = 20 * MS;
        (self.loss, self.late) = (0, 0);
        self.latency = dice.between(200, 2_000) * 1_000;
        self.fault_interval = dice.between(300, 2_000) * MS;
        self.fault_length = dice.between(1_000, 5_000) * MS;
        match rule {
            // An heir that dies for a moment while its primary is cut off.
            Rule::ForgottenPromises => {
                self.weights = [(Fault::Partition, 20), (Fault::Crash, 60)].into();
                (self.nodes, self.copies) = (3, 2);
                self.lease = Some(Duration::from_millis(dice.between(3_000, 5_000)));
                self.fault_interval = dice.between(200, 800) * MS;
                self.fault_length = dice.between(3_000, 6_000) * MS;
            }
            // What a primary lends a backup is long on its way, and both are cut off together.
            Rule::LeaseEndsEarly => {
                self.weights = [(Fault::Partition, 1)].into();
                self.workload.reads = 800;
                self.workload.keys = 3;
                self.think = 40 * MS;
                self.lease = Some(Duration::from_millis(dice.between(500, 800)));
                (self.late, self.lateness) = (100, dice.between(300, 1_500) * MS);
                self.fault_interval = dice.between(1_000, 3_000) * MS;
                self.fault_length = dice.between(2_000, 5_000) * MS;
            }
            // A primary and a backup that are cut off together, where nobody writes: a read waits for what
            // its log holds.
            Rule::LeasesNest => {
                self.weights = [(Fault::Partition, 1)].into();
                self.workload.reads = 950;
                self.think = 150 * MS;
                self.fault_length = dice.between(3_000, 8_000) * MS;
            }
            _ => {}
        }
    }

    /// More of what makes the absence of this rule show. Half of the runs stay as they were drawn.
    fn bias(&mut self, rule: Rule, dice: &mut Dice) {
        if dice.chance(300) {
            return;
        }
        let mut weigh = |faults: &[(Fault, u64)]| self.weights.extend(faults.iter().copied());
        match rule {
            Rule::CountBeforeTheyCount | Rule::CertifyBeforeMembership => {
                weigh(&[
                    (Fault::Deaf, 10),
                    (Fault::Partition, 20),
                    (Fault::Crash, 10),
                    (Fault::LoseData, 10),
                ]);
                self.copies = 2;
                self.think = 5 * MS;
                self.workload.reads = 200;
            }
            Rule::OneLife | Rule::LeaveUnacknowledgedViews => {
                weigh(&[(Fault::LoseData, 30), (Fault::CrashSeveral, 20), (Fault::Crash, 20)])
            }
            Rule::OutlastReadLeases
            | Rule::ReadsNeedLease
            | Rule::HeirWaits
            | Rule::LeasesNest
            | Rule::CleanReads
            | Rule::WholeFootprints
            | Rule::BackupsNeedLease
            | Rule::ForgottenPromises => self.bias_towards_leases(rule, dice),
            Rule::ExecuteBeforeReading => {
                self.bias_towards_leases(rule, dice);
                self.weights = [(Fault::LongCommand, 30), (Fault::Handover, 5), (Fault::Crash, 5)].into();
            }
            Rule::SameResult => {
                weigh(&[(Fault::Flip, 30)]);
                self.scrub_interval = Some(Duration::from_millis(300));
            }
            Rule::ExactlyOnce => {
                weigh(&[(Fault::Crash, 20), (Fault::Handover, 20), (Fault::Partition, 10)]);
                self.workload.reads = 200;
                self.think = 5 * MS;
            }
            Rule::LivingLife => weigh(&[(Fault::SecondProcess, 30)]),
            Rule::SteadyTime => weigh(&[(Fault::WrongClock, 30)]),
            Rule::AtomicTransactions => {
                self.bias_towards_leases(rule, dice);
                self.workload.weights = [(Family::Transactions, 1)].into();
            }
            Rule::StoppedScripts => {
                self.workload.weights = [(Family::Transactions, 1)].into();
                self.think = 5 * MS;
            }
            Rule::WatchedKeys => {
                self.workload.weights.insert(Family::Transactions, 10);
                self.workload.reads = 200;
                self.think = 5 * MS;
            }
            Rule::KeepWhatIsGiven | Rule::ServeThePresent | Rule::FairQueues => {
                weigh(&[(Fault::Crash, 30), (Fault::Handover, 10), (Fault::Partition, 10)]);
                self.workload.weights = [(Family::Waits, 1)].into();
                self.think = 20 * MS;
            }
            // Whoever loses two of its places at once gets two that know of nothing.
            Rule::LearnBeforeVoting => {
                weigh(&[
                    (Fault::Drain, 60),
                    (Fault::LoseData, 20),
                    (Fault::Crash, 20),
                    (Fault::Partition, 10),
                ]);
                self.nodes = 5;
                self.fault_interval = dice.between(100, 700) * MS;
                self.fault_length = dice.between(2_000, 6_000) * MS;
            }
            Rule::OncePerSubscriber | Rule::NoSilentGap => {
                weigh(&[(Fault::Crash, 10), (Fault::Partition, 30), (Fault::Pause, 20)]);
                self.ears = 1_000;
                // Whoever is away for ten seconds has lost something.
                self.fault_length = dice.between(8_000, 14_000) * MS;
            }
            Rule::InvalidatedFirst | Rule::TrackedWhileAsked => {
                weigh(&[(Fault::Crash, 10), (Fault::Partition, 10), (Fault::Pause, 10)]);
                self.shelves = 1_000;
            }
            Rule::OnceTokens => {
                weigh(&[(Fault::Crash, 30)]);
                self.workload.reads = 200;
                self.workload.tokens = 800;
                self.think = 5 * MS;
            }
            Rule::NewLifeNewView | Rule::DurablePromise => {
                weigh(&[(Fault::Crash, 30)]);
                self.think = 2 * MS;
            }
            Rule::OneVotePerTerm
            | Rule::PersistBeforeAnswer
            | Rule::OwnTermByCounting
            | Rule::UpToDateCandidate
            | Rule::MajorityCommits
            | Rule::VotersOnly
            | Rule::JointMajorities => {
                weigh(&[
                    (Fault::Crash, 20),
                    (Fault::CrashSeveral, 20),
                    (Fault::Partition, 30),
                    (Fault::Broken, 10),
                    (Fault::DiskStall, 5),
                ]);
                self.nodes = if dice.chance(700) { 5 } else { 3 };
                self.churn = dice.between(10, 200);
                self.fault_interval = dice.between(100, 700) * MS;
                self.fault_length = dice.between(200, 1_500) * MS;
                self.clients = 1;
                self.think = SECOND;
                if matches!(rule, Rule::VotersOnly | Rule::JointMajorities) {
                    self.weights.extend([(Fault::Members, 60), (Fault::HandOverViews, 20)]);
                    // A table that changes as fast as this fills queues that were measured for the data.
                    self.log_bytes_max = 1 << 27;
                    self.nodes = 5;
                    self.churn = dice.between(5, 40);
                }
                if rule == Rule::OwnTermByCounting {
                    // The paper's Figure 8: short reigns, long tails, and entries that arrive one by one.
                    self.raft_append_bytes_max = 1;
                    self.raft_log_bytes_max = 1 << 20;
                    self.fault_interval = dice.between(30, 250) * MS;
                    self.fault_length = dice.between(150, 900) * MS;
                    self.latency = dice.between(2, 30) * MS;
                    self.loss = dice.between(50, 400);
                    self.regicide = 800;
                    self.churn = dice.between(20, 60);
                }
            }
            _ => {
                weigh(&[(Fault::Crash, 10), (Fault::Partition, 20), (Fault::Deaf, 10), (Fault::Broken, 5)]);
                self.workload.reads = dice.between(300, 700);
                self.think = 10 * MS;
            }
        }
    }
}
