//! The command line.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use onecopy_core::Rules;
use onecopy_model::network::Order;
use onecopy_model::report::Limits;
use onecopy_model::settings::Setting;
use onecopy_model::{raft, replica};

/// Which cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Primary-backup, and the view table.
    Replica,
    /// Raft.
    Raft,
    /// Both.
    All,
}

/// Looks at every state of small groups that run the real protocol cores. Without bounds, at a list of
/// settings; with bounds, at one setting, in which nothing happens that is not named.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// Which cores.
    #[arg(long, value_enum, default_value_t = Which::All)]
    pub model: Which,
    /// Switch a rule off (or, with `all`, each in turn): it must be missed. Needs the feature `sabotage`.
    #[arg(long, value_name = "RULE")]
    pub sabotage: Option<String>,
    /// Bound: how many writes.
    #[arg(long)]
    writes: Option<u8>,
    /// Bound: how many reads.
    #[arg(long)]
    reads: Option<u8>,
    /// Bound: how many crashes with a restart.
    #[arg(long)]
    crashes: Option<u8>,
    /// Bound: how many messages arrive twice.
    #[arg(long)]
    duplicates: Option<u8>,
    /// Bound, replica: how many changes of the view.
    #[arg(long)]
    changes: Option<u8>,
    /// Bound, replica: how many disks are lost.
    #[arg(long)]
    wipes: Option<u8>,
    /// Bound, replica: how many heartbeats.
    #[arg(long)]
    heartbeats: Option<u8>,
    /// Bound, replica: how often all are silent for longer than the failure timeout.
    #[arg(long)]
    silences: Option<u8>,
    /// Bound, raft: how many timeouts.
    #[arg(long)]
    timeouts: Option<u8>,
    /// Bound, raft: the last term in which an election may be held.
    #[arg(long, default_value_t = 2)]
    terms: u64,
    /// Replica: what the third node is at the beginning.
    #[arg(long, value_enum, default_value_t = replica::Third::Spare)]
    third: replica::Third,
    /// Raft: where the group begins.
    #[arg(long, value_enum, default_value_t = raft::Start::Settled)]
    start: raft::Start,
    /// Which message may be next.
    #[arg(long, value_enum, default_value_t = Order::Kept)]
    order: Order,
    /// Let disks take their time also when no crash is left.
    #[arg(long)]
    slow_disks: bool,
    /// How many threads look at states (with sabotage always one).
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// Give up on a setting after so many seconds.
    #[arg(long, default_value_t = 600)]
    seconds_max: u64,
}

impl Arguments {
    /// How far to go.
    pub fn limits(&self) -> Limits {
        Limits { threads: self.threads, timeout: Duration::from_secs(self.seconds_max) }
    }

    /// Whether this setting is of a model that was asked for.
    #[cfg(feature = "sabotage")]
    pub fn wants(&self, setting: &Setting) -> bool {
        match setting {
            Setting::Replica(_) => self.model != Which::Raft,
            Setting::Raft(_) => self.model != Which::Replica,
        }
    }

    /// The one setting that was asked for, if there are bounds.
    pub fn bounds(&self) -> Result<Option<Setting>, String> {
        let common = [self.writes, self.reads, self.crashes, self.duplicates];
        let of_replica = [self.changes, self.wipes, self.heartbeats, self.silences];
        let mut given = common.iter().chain(&of_replica).chain([&self.timeouts]);
        if given.all(Option::is_none) {
            return Ok(None);
        }
        match self.model {
            Which::All => Err("bounds are of one model: say --model replica or --model raft".to_owned()),
            Which::Replica if self.timeouts.is_some() => {
                Err("--timeouts is a bound of --model raft".to_owned())
            }
            Which::Raft if of_replica.iter().any(Option::is_some) => {
                Err("these are bounds of --model replica".to_owned())
            }
            Which::Replica => Ok(Some(Setting::Replica(self.replica()))),
            Which::Raft => Ok(Some(Setting::Raft(self.raft()))),
        }
    }

    fn replica(&self) -> replica::Settings {
        let budget = replica::Budget {
            writes: self.writes.unwrap_or(0),
            reads: self.reads.unwrap_or(0),
            changes: self.changes.unwrap_or(0),
            crashes: self.crashes.unwrap_or(0),
            wipes: self.wipes.unwrap_or(0),
            heartbeats: self.heartbeats.unwrap_or(0),
            duplicates: self.duplicates.unwrap_or(0),
            silences: self.silences.unwrap_or(0),
        };
        let (third, order, slow_disks) = (self.third, self.order, self.slow_disks);
        replica::Settings { third, budget, order, slow_disks, rules: Rules::default() }
    }

    fn raft(&self) -> raft::Settings {
        let budget = raft::Budget {
            writes: self.writes.unwrap_or(0),
            reads: self.reads.unwrap_or(0),
            timeouts: self.timeouts.unwrap_or(0),
            crashes: self.crashes.unwrap_or(0),
            duplicates: self.duplicates.unwrap_or(0),
        };
        let (start, terms, order, slow_disks) = (self.start, self.terms, self.order, self.slow_disks);
        raft::Settings { start, budget, terms, order, slow_disks, rules: Rules::default() }
    }
}
