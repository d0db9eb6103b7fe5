//! Random histories. From which seed, and how many, can be set by `ONECOPY_MERGE_SEED` and
//! `ONECOPY_MERGE_SEEDS`.

use onecopy_merge::Rules;

use crate::walk::{Counts, Walk};

#[test]
fn random_histories_end_in_agreement() {
    let mut total = Counts::default();
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let first = number("ONECOPY_MERGE_SEED", 0);
    for seed in first..first + number("ONECOPY_MERGE_SEEDS", 150) {
        let mut walk = Walk::new(seed, Rules::default());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk.run(2_500)));
        if let Err(panic) = outcome {
            println!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
        let counts = walk.counts;
        total.commands += counts.commands;
        total.shown += counts.shown;
        total.seen_again += counts.seen_again;
        total.waited += counts.waited;
        total.dropped += counts.dropped;
        total.lost += counts.lost;
        total.repairs += counts.repairs;
        total.lives += counts.lives;
        total.backups += counts.backups;
        total.folds += counts.folds;
        total.checks += counts.checks;
    }
    println!("{total:?}");
    let all = [total.seen_again, total.waited, total.dropped, total.lost, total.repairs, total.lives];
    assert!(
        all.iter().chain(&[total.backups, total.folds]).all(|count| *count > 10),
        "everything happens: {total:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let end = |seed| {
        let mut walk = Walk::new(seed, Rules::default());
        walk.run(800);
        format!("{:?}", walk.counts)
    };
    assert_eq!(end(7), end(7));
}
