//! The sections of `INFO` about commands.

use std::fmt::Write as _;

use crate::client::Clients;
use crate::client::session::Session;

/// `INFO commandstats`
pub(super) fn commands(clients: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    for (name, command) in clients.knowledge.records.statistics().commands() {
        let microseconds = command.took.as_micros();
        let each = if command.calls == 0 { 0.0 } else { microseconds as f64 / command.calls as f64 };
        write!(
            text,
            "cmdstat_{name}:calls={},usec={microseconds},usec_per_call={each:.2},rejected_calls={},failed_calls={}\r\n",
            command.calls, command.rejected, command.failed
        )?;
    }
    Ok(())
}

/// `INFO errorstats`
pub(super) fn errors(clients: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    for (code, count) in clients.knowledge.records.statistics().errors() {
        write!(text, "errorstat_{code}:count={count}\r\n")?;
    }
    Ok(())
}

/// `INFO latencystats`
pub(super) fn latency(clients: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    let policy = clients.policy();
    for (name, command) in clients.knowledge.records.statistics().commands() {
        if command.histogram.total() == 0 {
            continue;
        }
        let percentile = |percent: &f64| format!("p{percent}={}.000", command.histogram.percentile(*percent));
        let all: Vec<String> = policy.parameters.percentiles.iter().map(percentile).collect();
        write!(text, "latency_percentiles_usec_{name}:{}\r\n", all.join(","))?;
    }
    Ok(())
}
