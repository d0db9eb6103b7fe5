//! What is changed, how far, and what is measured on the way.

use super::Over;
use crate::load::Test;
use crate::system::{Size, System};
use Contender::{OnecopyDisk, OnecopyMemory, RedisEverysec, RedisNone};

/// One thing that changes, from point to point.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    /// What it is called in the table.
    pub(super) over: &'static str,
    pub(super) points: Vec<u64>,
    contenders: Vec<Contender>,
    pub(super) loads: Vec<Load>,
    /// Whether each system runs by itself, because it is not quiet while others are measured.
    apart: bool,
    /// Whether to find out what is written to the disk for each byte of log.
    pub(super) written: bool,
    /// Everything at a point.
    pub(super) setting: fn(u64) -> Setting,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) test: Test,
    /// Commands in a pipeline.
    pub(super) pipeline: usize,
}

/// A system, and what it does before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    /// All copies have it in the operating system.
    OnecopyMemory,
    /// All copies have synced it.
    OnecopyDisk,
    /// The primary has it in memory; there is no log.
    RedisNone,
    /// The same, and a log that is synced once a second.
    RedisEverysec,
}

/// Everything about a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// In all databases together.
    pub(super) keys: u64,
    /// Bytes of a value.
    pub(super) bytes: u64,
    pub(super) clients: u64,
    pub(super) copies: u64,
    /// Of Onecopy; as many databases of Redis.
    pub(super) groups: u64,
}

/// What is not the subject of a sweep is like this.
const USUAL: Setting = Setting { keys: 100_000, bytes: 64, clients: 50, copies: 2, groups: 1 };

/// All values together take no more than this, as long as there are some.
const VALUES_BYTES_MAX: u64 = 256 << 20;
const KEYS_MIN: u64 = 100;
/// The load is the same for any number of groups, and each group has at least one client.
const CLIENTS_OF_GROUPS: u64 = 1_000;

const SET: Load = Load { test: Test::Set, pipeline: 1 };
const GET: Load = Load { test: Test::Get, pipeline: 1 };
const SETS: Load = Load { test: Test::Set, pipeline: 16 };
const GETS: Load = Load { test: Test::Get, pipeline: 16 };

/// What is measured over this.
pub(super) fn over(over: Over) -> Vec<Sweep> {
    match over {
        Over::Keys => vec![keys()],
        Over::Values => vec![values()],
        Over::Clients => vec![clients()],
        Over::Copies => vec![copies()],
        Over::Groups => vec![groups()],
        Over::All => vec![keys(), values(), clients(), copies(), groups()],
    }
}

fn keys() -> Sweep {
    Sweep {
        over: "keys",
        points: vec![10_000, 100_000, 1_000_000, 10_000_000],
        contenders: vec![OnecopyMemory, RedisNone, RedisEverysec],
        loads: vec![SETS, GETS],
        apart: false,
        written: true,
        setting: |keys| Setting { keys, ..USUAL },
    }
}

fn values() -> Sweep {
    Sweep {
        over: "values",
        points: vec![16, 256, 4 << 10, 64 << 10, 1 << 20],
        contenders: vec![OnecopyMemory, OnecopyDisk, RedisNone, RedisEverysec],
        // Pipelines of the largest would be more than a server takes at a time.
        loads: vec![SET, GET],
        apart: false,
        written: false,
        setting: |bytes| {
            let keys = (VALUES_BYTES_MAX / bytes).clamp(KEYS_MIN, USUAL.keys);
            Setting { bytes, keys, ..USUAL }
        },
    }
}

fn clients() -> Sweep {
    Sweep {
        over: "clients",
        points: vec![10, 100, 1_000, 10_000],
        contenders: vec![OnecopyMemory, OnecopyDisk, RedisNone],
        loads: vec![SET, GET],
        apart: false,
        written: false,
        setting: |clients| Setting { clients, ..USUAL },
    }
}

fn copies() -> Sweep {
    Sweep {
        over: "copies",
        points: vec![1, 2, 3, 4, 5],
        contenders: vec![OnecopyMemory, OnecopyDisk, RedisNone],
        // A read at the primary asks no other copy.
        loads: vec![SET, SETS],
        apart: false,
        written: false,
        setting: |copies| Setting { copies, ..USUAL },
    }
}

fn groups() -> Sweep {
    Sweep {
        over: "groups",
        points: vec![1, 10, 100, 1_000],
        contenders: vec![OnecopyMemory, RedisNone],
        loads: vec![SET, SETS],
        // A thousand groups take a fifth of a core while they do nothing.
        apart: true,
        written: false,
        setting: |groups| Setting { groups, clients: CLIENTS_OF_GROUPS, ..USUAL },
    }
}

impl Sweep {
    pub(super) fn without_redis(&mut self) {
        self.contenders.retain(|contender| contender.system() != "redis");
    }

    /// The systems that run side by side, and take turns.
    pub(super) fn together(&self) -> impl Iterator<Item = &[Contender]> {
        self.contenders.chunks(if self.apart { 1 } else { self.contenders.len() })
    }

    /// The most clients of any point.
    pub(super) fn clients_max(&self) -> u64 {
        self.points.iter().map(|x| (self.setting)(*x).clients).max().unwrap_or(0)
    }
}

impl Setting {
    /// How much of everything the systems have.
    pub(super) fn size(&self) -> Size {
        Size { copies: self.copies as u32, databases: self.groups as u32 }
    }
}

impl Contender {
    pub(super) fn system(self) -> &'static str {
        match self {
            Self::OnecopyMemory | Self::OnecopyDisk => "onecopy",
            Self::RedisNone | Self::RedisEverysec => "redis",
        }
    }

    /// What it does before it answers, in the words of its settings.
    pub(super) fn durability(self) -> &'static str {
        match self {
            Self::OnecopyMemory => "memory",
            Self::OnecopyDisk => "disk",
            Self::RedisNone => "none",
            Self::RedisEverysec => "everysec",
        }
    }

    /// Whether it is asked this. Reads do not touch the log, so that they are the same with any durability.
    pub(super) fn is_asked(self, test: Test) -> bool {
        test != Test::Get || matches!(self, OnecopyMemory | RedisNone)
    }

    pub(super) fn start(self, size: Size) -> anyhow::Result<System> {
        match self {
            Self::OnecopyMemory | Self::OnecopyDisk => System::onecopy(self.durability(), size),
            Self::RedisNone | Self::RedisEverysec => System::redis(self == Self::RedisEverysec, size),
        }
    }
}
