//! One point of a curve: systems are started, filled, and loaded in turn.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Effort;
use super::sweep::{Contender, Load, Setting, Sweep};
use super::table::Row;
use crate::load::{self, Clients, End, Order, Plan, Target, Test};
use crate::median::median;
use crate::system::System;

/// Who only wants to write much does it with so many clients, in pipelines of about so many bytes.
const WRITING_CLIENTS: usize = 4;
const WRITING_BYTES: u64 = 64 << 10;
const WRITING_PIPELINE_MAX: u64 = 1_000;
/// Even the smallest data are overwritten until the log has had so many bytes at each copy: Onecopy takes a
/// snapshot each 128 MiB at most.
const LOG_BYTES_MIN: u64 = 256 << 20;
/// How long it may take until the log is long enough. After that it is measured as it is.
const OVERWRITING_MAX: Duration = Duration::from_secs(10);
const OVERWRITING_SLICE: Duration = Duration::from_millis(500);

/// A system at a point.
struct Loaded {
    contender: Contender,
    system: System,
    targets: Vec<Target>,
    setting: Setting,
}

/// What came of a load in one round.
struct Round {
    per_second: f64,
    p99_ms: f64,
    /// Microseconds of processor time of all processes of the system, for each command.
    processor_micros: f64,
    errors: u64,
}

/// Measures some systems at a point, all loads, and returns a row for each system and load.
pub(super) fn measure(
    sweep: &Sweep,
    x: u64,
    contenders: &[Contender],
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let setting = (sweep.setting)(x);
    let systems: Vec<Loaded> =
        contenders.iter().map(|contender| Loaded::start(*contender, setting)).collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for load in &sweep.loads {
        let loaded: Vec<&Loaded> = systems.iter().filter(|it| it.contender.is_asked(load.test)).collect();
        let mut rounds: Vec<Vec<Round>> = loaded.iter().map(|_| Vec::new()).collect();
        for _ in 0..effort.rounds {
            for (system, rounds) in loaded.iter().zip(&mut rounds) {
                rounds.push(system.round(*load, effort.each)?);
            }
        }
        let measured = loaded.iter().zip(&rounds);
        rows.extend(measured.map(|(system, rounds)| row(sweep.over, x, system, *load, rounds)));
    }
    if sweep.written {
        for system in &systems {
            let written = system.written_per_log_byte()?;
            let its_rows = rows.iter_mut().filter(|row| row.contender == system.contender);
            its_rows.for_each(|row| row.written_per_log_byte = written);
        }
    }
    Ok(rows)
}

fn row(over: &'static str, x: u64, system: &Loaded, load: Load, rounds: &[Round]) -> Row {
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    Row {
        over,
        x,
        contender: system.contender,
        load,
        setting: system.setting,
        per_second: of(|round| round.per_second),
        p99_ms: of(|round| round.p99_ms),
        processor_micros: of(|round| round.processor_micros),
        errors: rounds.iter().map(|round| round.errors).sum(),
        written_per_log_byte: None,
    }
}

impl Loaded {
    /// Starts a system, and writes every key once.
    fn start(contender: Contender, setting: Setting) -> anyhow::Result<Self> {
        let system = contender.start(setting.size())?;
        let targets = system.targets()?;
        let loaded = Self { contender, system, targets, setting };
        for target in &loaded.targets {
            let filling = load::execute(&Plan {
                targets: vec![target.clone()],
                end: End::Requests(loaded.keys_of_each()),
                order: Order::Ascending,
                ..loaded.writing()
            })?;
            ensure!(filling.errors() == 0, "{} keys could not be written", filling.errors());
        }
        loaded.system.wait_until_complete();
        Ok(loaded)
    }

    /// Loads it for a while.
    fn round(&self, load: Load, lasts: Duration) -> anyhow::Result<Round> {
        self.system.rest()?;
        let pipeline = load.pipeline;
        let plan = Plan { pipeline, end: End::After(lasts), ..self.plan(load.test) };
        let clients = Clients::connect(&plan)?;
        // Nobody pays for what another one has left to be written to the disk.
        rustix::fs::sync();
        let before = self.system.processor_seconds()?;
        let outcome = clients.run()?;
        let processor_seconds = self.system.processor_seconds()? - before;
        Ok(Round {
            per_second: outcome.succeeded_per_second(),
            p99_ms: outcome.milliseconds(0.99),
            processor_micros: processor_seconds * 1e6 / outcome.requests().max(1) as f64,
            errors: outcome.errors(),
        })
    }

    /// What has been written to the disk for each byte of log since it was started: while all keys came in,
    /// and while they were overwritten for about as long. `None` if it has no log.
    fn written_per_log_byte(&self) -> anyhow::Result<Option<f64>> {
        let Some(log) = self.system.log_bytes()? else { return Ok(None) };
        let enough = (2 * log).max(LOG_BYTES_MIN * self.setting.copies);
        let deadline = Instant::now() + OVERWRITING_MAX;
        while self.system.log_bytes()? < Some(enough) && Instant::now() < deadline {
            load::execute(&Plan { end: End::After(OVERWRITING_SLICE), ..self.writing() })?;
        }
        self.system.rest()?;
        let written = self.system.written_bytes()? as f64;
        Ok(self.system.log_bytes()?.map(|log| written / log.max(1) as f64))
    }

    /// What clients of this setting send: commands for random keys of all databases.
    fn plan(&self, test: Test) -> Plan {
        Plan {
            targets: self.targets.clone(),
            test,
            clients: self.setting.clients as usize,
            pipeline: 1,
            end: End::Requests(0),
            bytes: self.setting.bytes as usize,
            keys: self.keys_of_each(),
            order: Order::Random,
        }
    }

    /// As many writes as possible.
    fn writing(&self) -> Plan {
        let pipeline = (WRITING_BYTES / self.setting.bytes).clamp(1, WRITING_PIPELINE_MAX) as usize;
        Plan { clients: WRITING_CLIENTS, pipeline, ..self.plan(Test::Set) }
    }

    /// Keys of each database.
    fn keys_of_each(&self) -> u64 {
        (self.setting.keys / self.setting.groups).max(1)
    }
}
