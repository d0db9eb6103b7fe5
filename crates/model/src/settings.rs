//! The settings that are looked at when nobody says otherwise: together they take less than a minute on two
//! cores.

use onecopy_core::Rules;

use crate::network::Order;
use crate::report::{Limits, Outcome, check};
use crate::{raft, replica};

/// A model within bounds.
#[derive(Clone, Copy, Debug)]
pub enum Setting {
    /// Primary-backup, and the view table.
    Replica(replica::Settings),
    /// Raft.
    Raft(raft::Settings),
}

impl Setting {
    /// Looks at all its states.
    #[must_use]
    pub fn check(self, limits: Limits) -> Outcome {
        match self {
            Self::Replica(settings) => check(replica::Group { settings }, limits),
            Self::Raft(settings) => check(raft::Group { settings }, limits),
        }
    }

    /// The same with disks that may take their time even when no crash is left.
    #[must_use]
    pub fn with_slow_disks(self) -> Self {
        match self {
            Self::Replica(settings) => Self::Replica(replica::Settings { slow_disks: true, ..settings }),
            Self::Raft(settings) => Self::Raft(raft::Settings { slow_disks: true, ..settings }),
        }
    }

    /// The same with other rules.
    #[must_use]
    pub fn with(self, rules: Rules) -> Self {
        match self {
            Self::Replica(settings) => Self::Replica(replica::Settings { rules, ..settings }),
            Self::Raft(settings) => Self::Raft(raft::Settings { rules, ..settings }),
        }
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let order = |order| match order {
            Order::Any => "any order",
            Order::Kept => "order kept",
        };
        let mut list = |begin: String, counts: &[(u8, &str, &str)], end: &[&str]| {
            f.write_str(&begin)?;
            for (count, one, many) in counts.iter().filter(|(count, ..)| *count > 0) {
                write!(f, ", {count} {}", if *count == 1 { one } else { many })?;
            }
            end.iter().try_for_each(|what| write!(f, ", {what}"))
        };
        match self {
            Self::Replica(settings) => {
                let budget = settings.budget;
                let counts = [
                    (budget.writes, "write", "writes"),
                    (budget.reads, "read", "reads"),
                    (budget.changes, "view change", "view changes"),
                    (budget.crashes, "crash", "crashes"),
                    (budget.wipes, "lost disk", "lost disks"),
                    (budget.heartbeats, "heartbeat", "heartbeats"),
                    (budget.duplicates, "duplicate", "duplicates"),
                    (budget.silences, "silence", "silences"),
                ];
                let third = format!("{:?}", settings.third).to_lowercase();
                list(format!("replica, n3 a {third}"), &counts, &[order(settings.order)])
            }
            Self::Raft(settings) => {
                let budget = settings.budget;
                let counts = [
                    (budget.writes, "write", "writes"),
                    (budget.reads, "read", "reads"),
                    (budget.timeouts, "timeout", "timeouts"),
                    (budget.crashes, "crash", "crashes"),
                    (budget.duplicates, "duplicate", "duplicates"),
                ];
                let start = format!("{:?}", settings.start).to_lowercase();
                let terms = format!("terms through {}", settings.terms);
                list(format!("raft, {start}"), &counts, &[&terms, order(settings.order)])
            }
        }
    }
}

fn group(third: replica::Third, order: Order, budget: replica::Budget) -> Setting {
    let rules = Rules::default();
    Setting::Replica(replica::Settings { third, budget, order, slow_disks: false, rules })
}

fn members(start: raft::Start, terms: u64, order: Order, budget: raft::Budget) -> Setting {
    let rules = Rules::default();
    Setting::Raft(raft::Settings { start, budget, terms, order, slow_disks: false, rules })
}

/// The settings of the primary-backup group.
#[must_use]
pub fn of_replica() -> Vec<Setting> {
    use replica::Budget;
    use replica::Third::{Learner, Member, Spare};
    let nothing = Budget::NOTHING;
    vec![
        // Two writes and a read meet a change of views.
        group(Spare, Order::Kept, Budget { writes: 2, reads: 1, changes: 1, ..nothing }),
        // The same with a crash.
        group(Spare, Order::Kept, Budget { writes: 1, reads: 1, changes: 1, crashes: 1, ..nothing }),
        // A crash between two changes of views.
        group(Spare, Order::Kept, Budget { changes: 2, crashes: 1, ..nothing }),
        // A node returns without its data.
        group(Spare, Order::Kept, Budget { writes: 1, changes: 1, wipes: 1, ..nothing }),
        // A learner becomes a member, and is promoted.
        group(Learner, Order::Kept, Budget { writes: 1, changes: 2, ..nothing }),
        // A heartbeat brings to light what was lost.
        group(Learner, Order::Kept, Budget { writes: 1, changes: 1, heartbeats: 1, ..nothing }),
        // Three members, one of which crashes.
        group(Member, Order::Kept, Budget { writes: 1, changes: 1, crashes: 1, ..nothing }),
        // Messages overtake each other, and come twice.
        group(Learner, Order::Any, Budget { writes: 1, reads: 1, changes: 1, ..nothing }),
        group(Learner, Order::Any, Budget { writes: 1, changes: 1, duplicates: 1, ..nothing }),
    ]
}

/// The settings of the Raft group.
#[must_use]
pub fn of_raft() -> Vec<Setting> {
    use raft::Budget;
    use raft::Start::{Cold, Figure8, Settled};
    let nothing = Budget::NOTHING;
    vec![
        // The second election while a write is on its way, and a crash.
        members(Settled, 2, Order::Kept, Budget { writes: 1, timeouts: 2, crashes: 1, ..nothing }),
        // A write and a read meet an election.
        members(Settled, 2, Order::Kept, Budget { writes: 1, reads: 1, timeouts: 2, ..nothing }),
        // Messages overtake each other.
        members(Settled, 2, Order::Any, Budget { writes: 1, timeouts: 2, ..nothing }),
        // Two members ask for the first election, and compete.
        members(Cold, 2, Order::Kept, Budget { writes: 1, timeouts: 2, ..nothing }),
        // Old entries that a majority lacks, and two more elections.
        members(Figure8, 5, Order::Kept, Budget { timeouts: 3, ..nothing }),
    ]
}

/// The smallest settings that let something of everything happen, for tests: a few seconds.
#[must_use]
pub fn small() -> Vec<Setting> {
    use replica::Third::{Learner, Member, Spare};
    let (no_requests, quiet) = (replica::Budget::NOTHING, raft::Budget::NOTHING);
    vec![
        group(Learner, Order::Any, replica::Budget { writes: 1, changes: 1, ..no_requests }),
        group(Learner, Order::Kept, replica::Budget { writes: 1, reads: 1, changes: 1, ..no_requests }),
        group(Spare, Order::Kept, replica::Budget { writes: 1, changes: 1, crashes: 1, ..no_requests }),
        group(Member, Order::Kept, replica::Budget { reads: 1, changes: 1, crashes: 1, ..no_requests }),
        members(raft::Start::Settled, 2, Order::Any, raft::Budget { writes: 1, timeouts: 2, ..quiet }),
        members(
            raft::Start::Cold,
            1,
            Order::Any,
            raft::Budget { writes: 1, timeouts: 1, crashes: 1, ..quiet },
        ),
        members(raft::Start::Figure8, 4, Order::Kept, raft::Budget { timeouts: 2, ..quiet }),
    ]
}

/// The settings in which a rule is missed soonest, each with that rule switched off; none for rules that
/// these models cannot miss.
#[cfg(feature = "sabotage")]
#[must_use]
pub fn without(rule: onecopy_core::Rule) -> Vec<Setting> {
    use onecopy_core::Rule;
    use raft::Start::{Cold, Figure8, Settled};
    use replica::Third::{Learner, Member, Spare};
    let (nothing, quiet) = (replica::Budget::NOTHING, raft::Budget::NOTHING);
    let kept = Order::Kept;
    let settings = match rule {
        Rule::AllBackupsFirst => vec![group(Spare, kept, replica::Budget { writes: 1, ..nothing })],
        Rule::OnlyThePrimary => vec![group(Spare, kept, replica::Budget { writes: 1, reads: 1, ..nothing })],
        Rule::NoOldPrimaries => {
            vec![group(Member, kept, replica::Budget { writes: 1, changes: 1, ..nothing })]
        }
        Rule::DurablePromise => {
            vec![group(Spare, kept, replica::Budget { changes: 1, crashes: 1, ..nothing })]
        }
        Rule::HeirsOnly => vec![group(Spare, kept, replica::Budget { changes: 2, ..nothing })],
        Rule::CountBeforeTheyCount => {
            vec![group(Learner, kept, replica::Budget { writes: 1, changes: 2, ..nothing })]
        }
        Rule::CertifyBeforeMembership => {
            vec![group(Learner, kept, replica::Budget { writes: 1, changes: 3, ..nothing })]
        }
        Rule::DropOnlyWhatIsDropped => {
            vec![group(Spare, kept, replica::Budget { writes: 1, heartbeats: 1, silences: 1, ..nothing })]
        }
        Rule::OwnEntryFirst => vec![
            group(Member, kept, replica::Budget { writes: 1, reads: 1, changes: 1, ..nothing }),
            members(Settled, 2, kept, raft::Budget { writes: 1, reads: 1, timeouts: 2, ..quiet }),
        ],
        Rule::TailsYield => vec![group(Member, kept, replica::Budget { writes: 2, changes: 1, ..nothing })],
        Rule::OneLife => vec![group(Spare, kept, replica::Budget { changes: 1, wipes: 1, ..nothing })],
        Rule::NewLifeNewView => {
            vec![group(Spare, kept, replica::Budget { writes: 1, crashes: 1, ..nothing })]
        }
        Rule::ConfirmReads => vec![
            group(Spare, kept, replica::Budget { writes: 1, reads: 1, changes: 1, ..nothing }),
            members(Settled, 2, kept, raft::Budget { reads: 1, timeouts: 2, ..quiet }),
        ],
        Rule::OneVotePerTerm => vec![members(Cold, 1, kept, raft::Budget { timeouts: 2, ..quiet })],
        Rule::PersistBeforeAnswer => {
            vec![members(Cold, 1, kept, raft::Budget { timeouts: 2, crashes: 1, ..quiet })]
        }
        Rule::OwnTermByCounting => vec![members(Figure8, 5, kept, raft::Budget { timeouts: 3, ..quiet })],
        Rule::UpToDateCandidate => {
            vec![members(Settled, 2, kept, raft::Budget { writes: 1, timeouts: 2, ..quiet })]
        }
        Rule::MajorityCommits => {
            vec![members(Settled, 2, kept, raft::Budget { writes: 1, timeouts: 2, ..quiet })]
        }
        // About what these models do not have: that something happens in the end, time that passes, clients
        // that try again, view nodes that come and go.
        _ => Vec::new(),
    };
    settings.into_iter().map(|setting| setting.with(Rules::without(rule))).collect()
}
