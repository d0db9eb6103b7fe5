//! Many short histories in which everything goes wrong, each from its seed.
//!
//! `HISTORIES=100000` walks further. `SEED=17 cargo test --release -p onecopy-raft --test random_walk --
//! --nocapture` prints the history of one seed.

mod cluster;

use cluster::walk::{Summary, walk};
use onecopy_core::Rules;

const HISTORIES: u64 = 1_500;

#[test]
fn the_properties_of_figure_3_hold_in_every_history() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        walk(seed, Rules::default(), Some(&mut |line| println!("{line}")));
        return;
    }
    let mut total = Summary::default();
    let histories = std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES);
    for seed in 0..histories {
        let summary = std::panic::catch_unwind(|| walk(seed, Rules::default(), None))
            .unwrap_or_else(|_| panic!("seed {seed} fails; replay it with SEED={seed}"));
        total.committed += summary.committed;
        total.terms += summary.terms;
        total.snapshots += summary.snapshots;
        total.installs += summary.installs;
        total.changes += summary.changes;
        total.transfers += summary.transfers;
        total.leases += summary.leases;
    }
    // A walk in which nothing happens proves nothing.
    println!("{histories} histories: {total:?}");
    assert!(total.committed > 10 * histories, "too little is committed: {total:?}");
    assert!(total.terms > 3 * histories, "too few elections: {total:?}");
    assert!(total.installs > histories / 10, "too few snapshots are sent: {total:?}");
    assert!(total.changes > histories, "too few changes of the configuration: {total:?}");
    assert!(total.transfers > histories / 4, "too few transfers: {total:?}");
    assert!(total.leases > histories, "too few reads from leases: {total:?}");
    assert!(total.snapshots > histories / 2, "too few snapshots: {total:?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| {
        let mut lines = Vec::new();
        walk(seed, Rules::default(), Some(&mut |line| lines.push(line)));
        lines
    };
    for seed in 0..20 {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
}
