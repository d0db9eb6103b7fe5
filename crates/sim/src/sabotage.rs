//! Rules that can be switched off, and the names under which others have met their absence.

use onecopy_core::Rule;

/// A bug that other systems had, which one of our rules excludes.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// What it is called here.
    pub name: &'static str,
    /// The rule whose absence it is.
    pub rule: Rule,
    /// Where it was seen.
    pub seen: &'static str,
}

/// All of them.
pub const ALIASES: [Alias; 8] = [
    Alias {
        name: "uninitialized-backup-promoted",
        rule: Rule::HeirsOnly,
        seen: "MIT 6.824, lab 2: a server that has not yet got the state is made the primary",
    },
    Alias {
        name: "view-waits-for-its-primary",
        rule: Rule::LeaveUnacknowledgedViews,
        seen: "MIT 6.824, lab 2, by design: a view whose primary dies before it has acknowledged it is never left",
    },
    Alias {
        name: "member-before-it-counts",
        rule: Rule::CountBeforeTheyCount,
        seen: "primary-backup systems that ask for a membership and count the new member only when they hear of it",
    },
    Alias {
        name: "empty-disk-taken-for-the-old-one",
        rule: Rule::OneLife,
        seen: "Kafka, KIP-966: the last replica standing returns without its log and leads",
    },
    Alias {
        name: "isr-shrunk-with-a-write-in-flight",
        rule: Rule::DropOnlyWhatIsDropped,
        seen: "Kafka 0.8, in Jepsen's report of 2013: the leader goes on alone before anybody knows that it may",
    },
    Alias {
        name: "commit-without-a-quorum",
        rule: Rule::MajorityCommits,
        seen: "systems whose leader calls an entry committed that only it has",
    },
    Alias {
        name: "rejoining-primary-keeps-its-tail",
        rule: Rule::TailsYield,
        seen: "Kafka, KIP-101: two logs differ for good after a change of leaders",
    },
    Alias {
        name: "restarted-primary-goes-on",
        rule: Rule::NewLifeNewView,
        seen: "primaries that keep their lease or their term over a restart, and reuse positions that they had given out",
    },
];

/// The rules that a simulator notices the absence of.
pub fn everything() -> impl Iterator<Item = Rule> {
    Rule::ALL.into_iter().chain(Rule::OPTIMISTIC)
}

/// The rules of a name: of one rule, of an alias, or of `all`. None if there is no such name.
#[must_use]
pub fn named(name: &str) -> Vec<Rule> {
    let alias = ALIASES.iter().find(|alias| alias.name == name).map(|alias| alias.rule);
    let is_meant = |rule: &Rule| name == "all" || name == rule.to_string() || alias == Some(*rule);
    everything().filter(is_meant).collect()
}

/// Everything that can be switched off.
pub fn names() -> impl Iterator<Item = String> {
    let aliases = ALIASES.iter().map(|alias| alias.name.to_owned());
    everything().map(|rule| rule.to_string()).chain(aliases)
}

/// The other names of a rule's absence.
#[must_use]
pub fn aliases(rule: Rule) -> String {
    let of_rule = ALIASES.iter().filter(|alias| alias.rule == rule);
    of_rule.map(|alias| alias.name).collect::<Vec<_>>().join(", ")
}

/// A sabotage that was found out.
#[cfg(feature = "sabotage")]
#[derive(Clone, Debug)]
pub struct Caught {
    /// How many seeds were tried.
    pub seeds: u64,
    /// What was found.
    pub violation: crate::trace::Violation,
    /// How much time was simulated until then.
    pub sim_time: crate::clock::Time,
    /// The run that did it.
    pub outcome: crate::run::Outcome,
}

/// Tries seeds, with a rule switched off by the options, until something is found.
#[cfg(feature = "sabotage")]
#[must_use]
pub fn run(first: u64, seeds: u64, jobs: u16, options: &crate::run::Options) -> Option<Caught> {
    use std::ops::ControlFlow;

    let (mut sim_time, mut caught) = (0, None);
    crate::batch::batch(first, seeds, jobs, options, |outcome| {
        sim_time += outcome.time;
        let Some(violation) = outcome.violation.clone() else { return ControlFlow::Continue(()) };
        caught = Some(Caught { seeds: outcome.seed - first + 1, violation, sim_time, outcome });
        ControlFlow::Break(())
    });
    caught
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_something() {
        assert!(names().all(|name| named(&name).len() == 1));
        assert_eq!(named("all"), everything().collect::<Vec<_>>());
        assert!(named("Nothing").is_empty());
        assert_eq!(aliases(Rule::TailsYield), "rejoining-primary-keeps-its-tail");
    }
}
