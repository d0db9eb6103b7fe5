//! Taking things away from a history that fails, until people can follow it.

use std::collections::BTreeSet;

use crate::faults::Fault;

/// Takes things away from what a profile draws: to make a history that fails smaller, so that people can
/// follow it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// These faults do not happen.
    pub without: BTreeSet<Fault>,
    /// No message is lost, late or doubled, but for faults.
    pub calm: bool,
    /// At most so many clients.
    pub clients: Option<usize>,
    /// At most so many faults happen.
    pub faults_max: Option<u64>,
    /// Things go wrong for at most so many seconds.
    pub seconds: Option<u64>,
}

impl Limits {
    /// The flags that say the same.
    #[must_use]
    pub fn flags(&self) -> String {
        let mut flags = String::new();
        if !self.without.is_empty() {
            let names: Vec<String> = self.without.iter().map(|fault| format!("{fault:?}")).collect();
            flags += &format!(" --without {}", names.join(","));
        }
        if self.calm {
            flags += " --calm";
        }
        let numbers = [
            ("clients", self.clients.map(|clients| clients as u64)),
            ("faults-max", self.faults_max),
            ("seconds", self.seconds),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                flags += &format!(" --{name} {number}");
            }
        }
        flags
    }
}
