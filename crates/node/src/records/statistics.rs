//! What `INFO commandstats`, `latencystats` and `errorstats` say.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::Histogram;

/// So many kinds of errors are counted apart; scripts can make up more.
const ERRORS_MAX: usize = 128;
/// The longest code of an error.
const CODE_BYTES_MAX: usize = 32;

/// What is known of a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    pub(crate) calls: u64,
    pub(crate) took: Duration,
    /// Not executed: its arguments were wrong, or it was not allowed.
    pub(crate) rejected: u64,
    /// Answered with an error.
    pub(crate) failed: u64,
    pub(crate) histogram: Histogram,
}

/// Of all commands, by name.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    commands: BTreeMap<&'static str, Command>,
    errors: BTreeMap<String, u64>,
}

impl Statistics {
    /// A command was executed so many times, each time for so long.
    pub(crate) fn called(&mut self, name: &'static str, times: u64, took: Duration, tracks_latency: bool) {
        let command = self.commands.entry(name).or_default();
        command.calls += times;
        command.took += took * u32::try_from(times).unwrap_or(u32::MAX);
        if tracks_latency {
            command.histogram.add(took, times);
        }
    }

    /// A command was not executed.
    pub(crate) fn rejected(&mut self, name: &'static str) {
        self.commands.entry(name).or_default().rejected += 1;
    }

    /// A command was executed and failed.
    pub(crate) fn failed(&mut self, name: &'static str) {
        self.commands.entry(name).or_default().failed += 1;
    }

    /// A client was told of an error; the text begins with its code.
    pub(crate) fn told(&mut self, error: &str) {
        let code = error.split([' ', '\r', '\n']).next().unwrap_or_default();
        let code = if code.len() > CODE_BYTES_MAX || code.is_empty() { "ERR" } else { code };
        if self.errors.len() < ERRORS_MAX || self.errors.contains_key(code) {
            *self.errors.entry(code.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn commands(&self) -> &BTreeMap<&'static str, Command> {
        &self.commands
    }

    pub(crate) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// `CONFIG RESETSTAT`
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_codes_and_bounded() {
        let mut statistics = Statistics::default();
        statistics.told("WRONGTYPE Operation against a key");
        statistics.told("ERR");
        for code in 0..1_000 {
            statistics.told(&format!("CODE{code} text"));
        }
        assert_eq!(statistics.errors()["WRONGTYPE"], 1);
        assert_eq!(statistics.errors().len(), ERRORS_MAX);
        statistics.told("WRONGTYPE again");
        assert_eq!(statistics.errors()["WRONGTYPE"], 2);
    }

    #[test]
    fn commands_are_counted_with_their_time() {
        let mut statistics = Statistics::default();
        statistics.called("get", 3, Duration::from_micros(5), true);
        statistics.failed("get");
        let get = &statistics.commands()["get"];
        assert_eq!((get.calls, get.took.as_micros(), get.failed, get.histogram.total()), (3, 15, 1, 3));
        statistics.reset();
        assert!(statistics.commands().is_empty());
    }
}
