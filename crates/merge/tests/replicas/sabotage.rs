//! A check that cannot fail proves nothing: with any one rule switched off the random histories must find a
//! violation. `cargo test --release -p onecopy-merge --features sabotage --test replicas sabotage`.
#![cfg(feature = "sabotage")]

use onecopy_merge::{Rule, Rules};

use crate::walk::Walk;

/// How many histories a violation may take to be found.
const HISTORIES: u64 = 200;

/// Walks until something is wrong; the seed, and what was said.
fn first_violation(rule: Rule) -> Option<(u64, String)> {
    (0..HISTORIES).find_map(|seed| {
        let outcome = std::panic::catch_unwind(|| Walk::new(seed, Rules::without(rule)).run(1_500));
        let panic = outcome.err()?;
        let said = panic.downcast_ref::<String>().cloned();
        Some((
            seed,
            said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default(),
        ))
    })
}

/// What is said must name one of the rules: a rule that is broken often breaks its neighbours first.
fn is_caught(rule: Rule, names: &[&str]) {
    let Some((seed, said)) = first_violation(rule) else { panic!("{rule} switched off, and nobody noticed") };
    println!("{rule}: seed {seed}: {}", said.lines().next().unwrap_or_default());
    assert!(
        names.iter().any(|name| said.contains(name)),
        "{rule} switched off violates none of {names:?}, but: {said}"
    );
}

#[test]
fn keeping_only_what_came_last_is_caught() {
    is_caught(Rule::SameSeenSameState, &["O1", "O3"]);
}

#[test]
fn removing_what_was_not_seen_is_caught() {
    is_caught(Rule::NothingUnseenRemoved, &["O1", "O2"]);
}

#[test]
fn a_reset_that_forgets_what_others_count_is_caught() {
    is_caught(Rule::NoUpdateLost, &["O1", "O3"]);
}

#[test]
fn showing_updates_before_what_they_had_seen_is_caught() {
    is_caught(Rule::CausalOrder, &["O4", "O1", "O2"]);
}

#[test]
fn giving_dots_twice_is_caught() {
    is_caught(Rule::OwnLife, &["O5", "O1", "O9"]);
}

#[test]
fn bringing_back_what_was_removed_is_caught() {
    is_caught(Rule::NoResurrection, &["O6", "O1"]);
}

#[test]
fn letting_the_greatest_stamp_win_over_those_who_have_seen_it_is_caught() {
    is_caught(Rule::ClocksAreHints, &["O1", "O2", "O3"]);
}

#[test]
fn keeping_what_is_removed_for_ever_is_caught() {
    is_caught(Rule::BoundedMetadata, &["O8"]);
}

#[test]
fn a_repair_that_ships_everything_is_caught() {
    is_caught(Rule::Converges, &["O9"]);
}
