//! A check that cannot fail proves nothing: with any one rule switched off, the checker must find a
//! violation. `cargo test --release -p onecopy-model --features sabotage`.
#![cfg(feature = "sabotage")]

use std::num::NonZeroUsize;
use std::time::Duration;

use onecopy_core::Rule;
use onecopy_model::report::Limits;
use onecopy_model::settings;

fn is_missed(rule: Rule) {
    let limits = Limits { threads: NonZeroUsize::MIN, timeout: Duration::from_secs(120) };
    for setting in settings::without(rule) {
        let outcome = setting.check(limits);
        let Some((violation, steps)) = outcome.violation else {
            panic!("{rule} switched off in {setting}, and nobody noticed")
        };
        assert!(!steps.is_empty(), "{rule}: violated before anything happened");
        println!("{rule}: {} steps, {}: {}", steps.len(), violation.property, violation.what);
    }
}

#[test]
fn every_rule_of_primary_backup_is_missed() {
    let of_raft = [
        Rule::OneVotePerTerm,
        Rule::PersistBeforeAnswer,
        Rule::OwnTermByCounting,
        Rule::UpToDateCandidate,
        Rule::MajorityCommits,
    ];
    Rule::ALL.into_iter().filter(|rule| !of_raft.contains(rule)).for_each(is_missed);
}

#[test]
fn a_second_vote_in_a_term_is_found() {
    is_missed(Rule::OneVotePerTerm);
}

#[test]
fn an_answer_before_the_disk_is_found() {
    is_missed(Rule::PersistBeforeAnswer);
}

#[test]
fn counting_copies_of_old_terms_is_found() {
    is_missed(Rule::OwnTermByCounting);
}

#[test]
fn a_vote_for_an_outdated_candidate_is_found() {
    is_missed(Rule::UpToDateCandidate);
}

#[test]
fn a_commit_without_a_majority_is_found() {
    is_missed(Rule::MajorityCommits);
}
