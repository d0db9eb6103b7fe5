//! The table of all curves: a file of comma-separated values, a row for each point, system and load.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use anyhow::Context;

use super::sweep::{Contender, Load, Setting};
use crate::load::Test;

/// The names of the columns.
pub(super) const HEADER: &str = "over,x,system,durability,operation,pipeline,clients,keys,value_bytes,copies,\
     groups,per_second,p99_ms,processor_micros,errors,written_per_log_byte";

/// A point of a curve.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What changes, and its value here.
    pub(super) over: &'static str,
    pub(super) x: u64,
    pub(super) contender: Contender,
    pub(super) load: Load,
    pub(super) setting: Setting,
    /// Commands that succeeded.
    pub(super) per_second: f64,
    /// From the sending of a pipeline to its last reply.
    pub(super) p99_ms: f64,
    /// Processor time of all processes of the system, for each command.
    pub(super) processor_micros: f64,
    /// Commands that failed, in all rounds.
    pub(super) errors: u64,
    /// Bytes written to the disk for each byte of log, where it was measured.
    pub(super) written_per_log_byte: Option<f64>,
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { over, x, contender, load, setting, errors, .. } = self;
        let operation = match load.test {
            Test::Set => "SET",
            Test::Get => "GET",
            Test::SetWait => "SET and WAIT",
        };
        let Setting { keys, bytes, clients, copies, groups } = setting;
        write!(f, "{over},{x},{},{},{operation}", contender.system(), contender.durability())?;
        write!(f, ",{},{clients},{keys},{bytes},{copies},{groups}", load.pipeline)?;
        write!(f, ",{:.0},{:.3},{:.2},{errors},", self.per_second, self.p99_ms, self.processor_micros)?;
        self.written_per_log_byte.map_or(Ok(()), |written| write!(f, "{written:.2}"))
    }
}

/// Puts rows into the file in place of those of the same curves. Those of other curves stay.
pub(super) fn replace(file: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let old = if file.exists() { std::fs::read_to_string(file) } else { Ok(String::new()) };
    let old = old.with_context(|| file.display().to_string())?;
    let table = merged(&old, rows);
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(file, table).with_context(|| file.display().to_string())
}

fn merged(old: &str, rows: &[Row]) -> String {
    let is_measured = |line: &str| rows.iter().any(|row| line.split(',').next() == Some(row.over));
    let kept = old.lines().skip(1).filter(|line| !is_measured(line)).map(str::to_owned);
    let lines = std::iter::once(HEADER.to_owned()).chain(kept).chain(rows.iter().map(Row::to_string));
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_the_place_of_those_of_the_same_curves() {
        let row = Row {
            over: "copies",
            x: 3,
            contender: Contender::OnecopyMemory,
            load: Load { test: Test::Set, pipeline: 16 },
            setting: Setting { keys: 100, bytes: 64, clients: 50, copies: 3, groups: 1 },
            per_second: 1234.5,
            p99_ms: 0.25,
            processor_micros: 10.0,
            errors: 0,
            written_per_log_byte: Some(2.0),
        };
        let kept = "keys,100,redis,none,GET,1,50,100,64,2,1,10,1.000,2.00,0,\n";
        let old = format!("{HEADER}\n{kept}copies,3,redis,none,SET,1,50,100,64,3,1,10,1.000,2.00,0,\n");
        let new = "copies,3,onecopy,memory,SET,16,50,100,64,3,1,1234,0.250,10.00,0,2.00\n";
        assert_eq!(merged(&old, std::slice::from_ref(&row)), format!("{HEADER}\n{kept}{new}"));
        assert_eq!(row.to_string().split(',').count(), HEADER.split(',').count());
    }
}
