//! The moment at which clients can change over: the source refuses writes, and everything that it has
//! executed has been executed here.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use redis::Connection;

use super::report::Report;
use super::source::Source;

/// The source refuses writes for so many seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause(pub(super) u64);

/// The cut-over of an import.
pub(super) struct CutOver {
    source: Source,
    pause: Pause,
    begun: Option<Begun>,
}

/// The source refuses writes.
struct Begun {
    at: Instant,
    /// Up to where it has executed something.
    end: u64,
    connection: Connection,
}

impl CutOver {
    pub(super) fn new(source: Source, pause: Pause) -> Self {
        Self { source, pause, begun: None }
    }

    /// Whether everything has been executed. Begins once everything has that was received.
    pub(super) fn is_done(&mut self, executed: u64, received: u64, report: &Report) -> anyhow::Result<bool> {
        if self.begun.is_none() && executed == received {
            report.say(&format!("the source refuses writes for {} s from now on", self.pause.0));
            self.begun = Some(self.begin()?);
        }
        let Some(begun) = &mut self.begun else { return Ok(false) };
        let patience = Duration::from_secs(self.pause.0);
        if executed >= begun.end {
            let pause = begun.at.elapsed();
            report.say(&format!(
                "everything has been taken, {} ms after the source began to refuse writes. Clients can use the cluster \
                 now: let them change over, and stop the source, within {} s",
                pause.as_millis(),
                patience.saturating_sub(pause).as_secs()
            ));
            return Ok(true);
        }
        if begun.at.elapsed() > patience {
            let undone = redis::cmd("CLIENT").arg("UNPAUSE").exec(&mut begun.connection);
            undone.context("the source does not take writes again")?;
            bail!(
                "{} bytes were not taken in {} s: the source takes writes again. The same command goes on",
                begun.end - executed,
                self.pause.0
            );
        }
        Ok(false)
    }

    fn begin(&self) -> anyhow::Result<Begun> {
        let mut connection = self.source.client()?;
        let at = Instant::now();
        let millis = self.pause.0.saturating_mul(1000);
        let paused = redis::cmd("CLIENT").arg("PAUSE").arg(millis).arg("WRITE").exec(&mut connection);
        paused.context("the source cannot be told to refuse writes (Redis 6.2 or later can)")?;
        let info: String = redis::cmd("INFO").arg("replication").query(&mut connection)?;
        let end = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")?.trim().parse().ok());
        let end = end.context("the source does not say how far it is")?;
        Ok(Begun { at, end, connection })
    }
}
