//! The list of mutations fits the code: each original stands at exactly one place. (What becomes of them is
//! measured by the example `mutations`; this only keeps the list from rotting.)

#[path = "../examples/mutations/list.rs"]
mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// How many there must be, over all the crates that decide something.
const COUNT_MIN: usize = 60;
const CRATES: [&str; 6] = ["core", "host", "keyspace", "raft", "replica", "views"];

#[test]
fn every_original_is_there_once() {
    let mut wrong = Vec::new();
    let mut places = BTreeMap::<_, Vec<(usize, usize, String)>>::new();
    for mutation in list::read().expect("the list can be read") {
        let file = list::workspace().join("crates").join(&mutation.file);
        let text = fs::read_to_string(file).unwrap_or_default();
        match mutation.position(&text) {
            Ok(at) => {
                let end = at + mutation.original.len();
                places.entry(mutation.file.clone()).or_default().push((at, end, mutation.name));
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    for places in places.values_mut() {
        places.sort();
        let overlap = places.windows(2).filter(|pair| pair[0].1 > pair[1].0);
        wrong.extend(overlap.map(|pair| format!("{} overlaps with {}", pair[0].2, pair[1].2)));
    }
    assert!(wrong.is_empty(), "the code has changed, and the list has to follow: {wrong:#?}");
}

#[test]
fn every_mutation_changes_something_and_says_what() {
    let all = list::read().expect("the list can be read");
    for mutation in &all {
        assert_ne!(mutation.original, mutation.mutated, "{}", mutation.name);
        // It becomes a branch of a choice: what it binds would be bound there alone, and half of an `if` or
        // an arm of a `match` is none.
        let original = mutation.original.trim();
        let is_branch = !original.starts_with("let ")
            && !original.ends_with(',')
            && (original.contains('}') || !original.starts_with("if "));
        assert!(is_branch, "{} can be no branch of a choice", mutation.name);
        assert!(mutation.what.ends_with('.'), "{}: what is it?", mutation.name);
        assert!(mutation.survives.as_ref().is_none_or(|reason| reason.len() > 30), "{}: why?", mutation.name);
        assert!(mutation.choice("chosen").contains(&mutation.mutated), "{}", mutation.name);
    }
    let of = |mutation: &list::Mutation| mutation.file.iter().next().map(|part| part.display().to_string());
    let crates: BTreeSet<String> = all.iter().filter_map(of).collect();
    assert!(all.len() >= COUNT_MIN && CRATES.iter().all(|name| crates.contains(*name)), "{crates:?}");
}
