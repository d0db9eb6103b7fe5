//! The names of the protocol's rules.
//!
//! A check that cannot fail proves nothing. Each rule can therefore be switched off, by name, in builds with
//! the feature `sabotage`; a simulator must then find a violation. Without the feature [`Rules::hold`] is a
//! constant `true` and costs nothing.

use std::fmt;

/// A rule of the replication protocols. `docs/protocols.md` has their full text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// P1, all backups first: a write is answered only when every member has it durably.
    AllBackupsFirst,
    /// P2, only the primary: any other replica refuses a coordinator's request.
    OnlyThePrimary,
    /// P3, no old primaries: messages of a view older than the promised one are refused.
    NoOldPrimaries,
    /// P3, durable promise: the promise of a view is durable before it is acted on.
    DurablePromise,
    /// P4, heirs only: the next primary is a member of the view before, in the same life.
    HeirsOnly,
    /// P5, count them before they count: a joining learner is waited for before membership is asked for.
    CountBeforeTheyCount,
    /// P5, certification: membership is asked for only when the learner has everything committed.
    CertifyBeforeMembership,
    /// P6, drop only what is dropped: an unresponsive backup is waited for until a view without it is
    /// installed.
    DropOnlyWhatIsDropped,
    /// P7, its own entry first: nothing is committed or read before the no-op of the own view is committed.
    OwnEntryFirst,
    /// P8, tails yield: a tail that disagrees with the primary's is cut.
    TailsYield,
    /// P9, one life per data directory: a replica that lost its data is not the replica that it was.
    OneLife,
    /// P11, a new life, a new view: a restarted primary never goes on in the same view.
    NewLifeNewView,
    /// P6, outlast read leases: nothing is committed without a backup while it may hold a lease.
    OutlastReadLeases,
    /// L1, reads need a lease: a primary reads on its own word only under a lease from every other member.
    ReadsNeedLease,
    /// L2, a lease ends early: it counts from when its holder sent what earned it.
    LeaseEndsEarly,
    /// L3, the heir waits: a new primary keeps what it promised to the one before.
    HeirWaits,
    /// L4, backups' leases nest: none outlasts the primary's own.
    LeasesNest,
    /// L5, clean reads: a backup answers a read once it has applied what its log held when the read arrived.
    CleanReads,
    /// Execution is behind the log: a read is answered once everything that it must see is executed.
    ExecuteBeforeReading,
    /// L5, whole footprints: everything that an entry touches is waited for by those who read it.
    WholeFootprints,
    /// L5, backups need leases: a backup without one answers no read.
    BackupsNeedLease,
    /// L6, forgotten promises: a replica that restarted keeps promises that it may have made.
    ForgottenPromises,
    /// Reads are answered only after every member has confirmed the view.
    ConfirmReads,
    /// Exactly once: a batch that comes again is not executed again.
    ExactlyOnce,
    /// `ONCE`: a command that comes again under its token is not executed again.
    OnceTokens,
    /// `MOVE` to another group: the target takes a key once, and remembers whether it did.
    MovedOnce,
    /// A transaction is executed as a whole or not at all, and nobody sees half of it.
    AtomicTransactions,
    /// A script that is stopped leaves nothing: what it had written is undone.
    StoppedScripts,
    /// Eviction: what goes to make room is what the entry names, or what its own random numbers draw.
    EvictWhatIsNamed,
    /// `WATCH`: a transaction is executed only if no key that it watches has changed.
    WatchedKeys,
    /// What a parked command was given is remembered until its coordinator has heard it.
    KeepWhatIsGiven,
    /// Nothing is given to a parked command of whose coordinator nobody knows whether it is there.
    ServeThePresent,
    /// Who has waited longest at a key is served first.
    FairQueues,
    /// What is published is put into the feed of a coordinator once, for however many of its listeners.
    OncePerSubscriber,
    /// Whoever has missed something that was published hears that the feed is another one.
    NoSilentGap,
    /// A reply to a client that caches comes behind the changes that it reflects.
    InvalidatedFirst,
    /// A key that changes while a client asks for it is invalidated behind the reply as well.
    TrackedWhileAsked,
    /// E3: what is remembered of answers is bounded, so that whatever a replica writes down it can read
    /// again.
    BoundedAnswers,
    /// P10, same order, same result: a backup whose digest differs from the primary's stops being one.
    SameResult,
    /// A view can be left before its primary has entered it: otherwise the death of that primary would be the
    /// end.
    LeaveUnacknowledgedViews,
    /// A backup that answers, but holds up writes, is reported like a silent one.
    ReportTheSlow,
    /// E1, busy is not dead: a node that executes something long is not taken for silent.
    BusyIsNotDead,
    /// E1, acknowledged while busy: a replica that executes something long receives and acknowledges entries
    /// meanwhile.
    AcknowledgedWhileBusy,
    /// E4, one meaning: an entry is executed by the rules of the level that it carries, not by the newest
    /// that a node knows.
    OneMeaning,
    /// E4, known to all: the level in force is never above what all nodes know.
    KnownToAll,
    /// A group that is sealed, to be replicated in another way, executes nothing more and answers no read.
    SealedIsOver,
    /// `min_copies`: no write is taken, or answered, while the view has fewer members.
    EnoughCopies,
    /// The time of entries follows no wall clock that has jumped just now, or that differs from most others.
    SteadyTime,
    /// A process that is alive is not followed by another one with its id.
    LivingLife,
    /// A leader of the view service decides nothing before it knows everything that was decided.
    DecideInOwnTerm,
    /// Raft: at most one vote per term.
    OneVotePerTerm,
    /// Raft: term, vote and entries are durable before they are answered.
    PersistBeforeAnswer,
    /// Raft: only entries of the leader's own term are committed by counting.
    OwnTermByCounting,
    /// Raft: a vote goes only to a candidate whose log is at least as up to date.
    UpToDateCandidate,
    /// Raft: an entry is committed only once a majority has it.
    MajorityCommits,
    /// Raft: only voters count, never learners.
    VotersOnly,
    /// Raft: while the configuration is joint, a majority of each half is needed.
    JointMajorities,
    /// Raft: whoever comes after the founding begins with nothing, and without a vote.
    LearnBeforeVoting,
    /// Raft: one change of the configuration at a time.
    OneChangeAtATime,
    /// Raft: candidates and leaders wait for at least two round trips, however slow the links are.
    PatientElections,
    /// Raft: a follower asks the leader how much a read must see, before it answers it.
    FollowersAsk,
    /// Raft: leases end when the leadership is handed over.
    TransferEndsLeases,
    /// O1: two replicas that have seen the same dots hold the same state and digest.
    SameSeenSameState,
    /// O2: a removal removes exactly what its replica had seen.
    NothingUnseenRemoved,
    /// O3: an acknowledged update shows everywhere in the end, unless one that had seen it superseded it.
    NoUpdateLost,
    /// O4: who shows an update shows everything that its replica had seen when it was made.
    CausalOrder,
    /// O5: a replica that lost its data returns under a new name, and its old dots are never given again.
    OwnLife,
    /// O6: what all have removed never comes back.
    NoResurrection,
    /// O7: a wall clock that is wrong loses no update and blocks nobody.
    ClocksAreHints,
    /// O8: what is kept beside the data is proportional to live elements and replicas.
    BoundedMetadata,
    /// O9: digests become equal, and what repair sends is proportional to the difference.
    Converges,
    /// O10: a new copy has what the members have before it counts.
    FilledBeforeItCounts,
    /// O11: a copy that is to go has handed on everything that it has acknowledged.
    HandedOnBeforeItGoes,
    /// O12: `copies_before_ok`: a write is answered once so many copies have it.
    EnoughCopiesBeforeOk,
}

impl Rule {
    /// The rules that a cluster lives by, in the order of the documentation.
    pub const ALL: [Self; 60] = [
        Self::AllBackupsFirst,
        Self::OnlyThePrimary,
        Self::NoOldPrimaries,
        Self::DurablePromise,
        Self::HeirsOnly,
        Self::CountBeforeTheyCount,
        Self::CertifyBeforeMembership,
        Self::DropOnlyWhatIsDropped,
        Self::OwnEntryFirst,
        Self::TailsYield,
        Self::OneLife,
        Self::NewLifeNewView,
        Self::OutlastReadLeases,
        Self::ReadsNeedLease,
        Self::LeaseEndsEarly,
        Self::HeirWaits,
        Self::LeasesNest,
        Self::CleanReads,
        Self::ExecuteBeforeReading,
        Self::WholeFootprints,
        Self::BackupsNeedLease,
        Self::ForgottenPromises,
        Self::ConfirmReads,
        Self::ExactlyOnce,
        Self::OnceTokens,
        Self::MovedOnce,
        Self::AtomicTransactions,
        Self::StoppedScripts,
        Self::EvictWhatIsNamed,
        Self::WatchedKeys,
        Self::KeepWhatIsGiven,
        Self::ServeThePresent,
        Self::FairQueues,
        Self::OncePerSubscriber,
        Self::NoSilentGap,
        Self::InvalidatedFirst,
        Self::TrackedWhileAsked,
        Self::BoundedAnswers,
        Self::SameResult,
        Self::LeaveUnacknowledgedViews,
        Self::ReportTheSlow,
        Self::BusyIsNotDead,
        Self::AcknowledgedWhileBusy,
        Self::OneMeaning,
        Self::KnownToAll,
        Self::SealedIsOver,
        Self::EnoughCopies,
        Self::SteadyTime,
        Self::LivingLife,
        Self::DecideInOwnTerm,
        Self::OneVotePerTerm,
        Self::PersistBeforeAnswer,
        Self::OwnTermByCounting,
        Self::UpToDateCandidate,
        Self::MajorityCommits,
        Self::VotersOnly,
        Self::JointMajorities,
        Self::LearnBeforeVoting,
        Self::FollowersAsk,
        Self::PatientElections,
    ];

    /// The rules of optimistic databases, in the order of their documentation (`docs/optimistic.md`).
    pub const OPTIMISTIC: [Self; 12] = [
        Self::SameSeenSameState,
        Self::NothingUnseenRemoved,
        Self::NoUpdateLost,
        Self::CausalOrder,
        Self::OwnLife,
        Self::NoResurrection,
        Self::ClocksAreHints,
        Self::BoundedMetadata,
        Self::Converges,
        Self::FilledBeforeItCounts,
        Self::HandedOnBeforeItGoes,
        Self::EnoughCopiesBeforeOk,
    ];

    /// The rules whose absence only the tests of the Raft crate itself notice: leaders hardly ever begin a
    /// change while another is under way, or hand over just when they have ceased to hear the others.
    pub const OF_RAFT_ALONE: [Self; 2] = [Self::OneChangeAtATime, Self::TransferEndsLeases];
}

impl Rule {
    /// Whether it is a rule of Raft groups.
    #[must_use]
    pub fn is_of_raft(self) -> bool {
        matches!(
            self,
            Self::OneVotePerTerm
                | Self::PersistBeforeAnswer
                | Self::OwnTermByCounting
                | Self::UpToDateCandidate
                | Self::MajorityCommits
                | Self::VotersOnly
                | Self::JointMajorities
                | Self::LearnBeforeVoting
                | Self::FollowersAsk
                | Self::OneChangeAtATime
                | Self::PatientElections
                | Self::TransferEndsLeases
        )
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which rules are in force: all of them, unless a simulator has switched one off.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Rules {
    #[cfg(feature = "sabotage")]
    broken: Option<Rule>,
}

impl Rules {
    /// All rules but one.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub fn without(rule: Rule) -> Self {
        Self { broken: Some(rule) }
    }

    /// Whether `rule` is in force.
    #[must_use]
    #[cfg_attr(not(feature = "sabotage"), allow(clippy::unused_self))]
    pub fn hold(self, rule: Rule) -> bool {
        #[cfg(feature = "sabotage")]
        return self.broken != Some(rule);
        #[cfg(not(feature = "sabotage"))]
        {
            let _ = rule;
            true
        }
    }
}
