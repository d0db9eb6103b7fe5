//! A check that cannot fail proves nothing: with any one rule switched off, a violation must be found.
//! `cargo test --release -p onecopy-sim --features sabotage --test sabotage`.
#![cfg(feature = "sabotage")]

use onecopy_core::Rule;
use onecopy_sim::{Options, sabotage};

/// How many seeds may be needed.
const SEEDS: u64 = 4_000;

#[test]
fn every_sabotage_is_caught() {
    let missed: Vec<Rule> = sabotage::everything()
        .filter(|rule| {
            let options = Options { sabotaged: Some(*rule), ..Options::default() };
            let caught = sabotage::run(0, SEEDS, 1, &options);
            if let Some(caught) = &caught {
                println!("{rule}: seed {}: {}", caught.outcome.seed, caught.violation);
            }
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "switched off, and nobody noticed: {missed:?}");
}
