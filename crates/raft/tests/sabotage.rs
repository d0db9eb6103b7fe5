//! A check that cannot fail proves nothing: with any one rule switched off, the random walk must find a
//! violation. `cargo test --release -p onecopy-raft --features sabotage --test sabotage`.
#![cfg(feature = "sabotage")]

mod cluster;

use cluster::walk::walk;
use onecopy_core::{Rule, Rules};

/// How many histories a violation may take to be found.
const HISTORIES: u64 = 20_000;

/// Walks until something is wrong, and returns the seed and what was said. `start` only saves time: it lies
/// shortly before a seed that was found once. A group that only stands still is not enough: that is the
/// lesser evil.
fn first_violation(rule: Rule, start: u64) -> Option<(u64, String)> {
    (start..start + HISTORIES).find_map(|seed| {
        let outcome = std::panic::catch_unwind(|| walk(seed, Rules::without(rule), None));
        let panic = outcome.err()?;
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        (!said.starts_with("liveness")).then_some((seed, said))
    })
}

fn is_caught(rule: Rule, start: u64, properties: &[&str]) {
    let Some((seed, said)) = first_violation(rule, start) else {
        panic!("{rule} switched off, and nobody noticed")
    };
    println!("{rule}: seed {seed}: {said}");
    let named = properties.iter().any(|property| said.contains(property));
    assert!(named, "{rule} switched off violates none of {properties:?}, but: {said}");
}

const SAFETY: [&str; 5] =
    ["election safety", "leader append-only", "log matching", "leader completeness", "state machine safety"];

#[test]
fn a_second_vote_in_a_term_is_caught() {
    is_caught(Rule::OneVotePerTerm, 0, &SAFETY);
}

#[test]
fn an_answer_before_the_disk_is_caught() {
    is_caught(Rule::PersistBeforeAnswer, 0, &SAFETY);
}

#[test]
fn counting_copies_of_old_terms_is_caught() {
    is_caught(Rule::OwnTermByCounting, 12_800, &SAFETY);
}

#[test]
fn a_vote_for_an_outdated_candidate_is_caught() {
    is_caught(Rule::UpToDateCandidate, 0, &SAFETY);
}

#[test]
fn a_commit_without_a_majority_is_caught() {
    is_caught(Rule::MajorityCommits, 0, &SAFETY);
}

#[test]
fn a_read_that_nobody_confirmed_is_caught() {
    is_caught(Rule::ConfirmReads, 2_300, &["linearizable reads"]);
}

#[test]
fn a_read_before_the_first_own_entry_is_caught() {
    is_caught(Rule::OwnEntryFirst, 0, &["linearizable reads"]);
}

/// The properties of a sound configuration, and what follows where one is not.
const CONFIGURATIONS: [&str; 7] = [
    "election safety",
    "leader append-only",
    "log matching",
    "leader completeness",
    "state machine safety",
    "one change at a time",
    "no two disjoint majorities",
];

#[test]
fn a_learner_that_counts_is_caught() {
    is_caught(Rule::VotersOnly, 3_800, &CONFIGURATIONS);
}

#[test]
fn counting_only_the_new_half_is_caught() {
    is_caught(Rule::JointMajorities, 3_700, &SAFETY);
}

#[test]
fn a_change_during_another_is_caught() {
    is_caught(Rule::OneChangeAtATime, 0, &CONFIGURATIONS);
}

#[test]
fn a_lease_that_outlives_a_transfer_is_caught() {
    is_caught(Rule::TransferEndsLeases, 1_700, &["linearizable reads"]);
}
