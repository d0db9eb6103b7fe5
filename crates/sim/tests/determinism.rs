//! The same seed gives the same history, event for event: in one process, and in two.

use std::process::Command;

use onecopy_sim::{Options, run};

#[test]
fn the_same_seed_gives_the_same_trace() {
    let options = Options { trace: usize::MAX, ..Options::default() };
    for seed in 0..10 {
        let (first, second) = (run(seed, &options), run(seed, &options));
        let difference = first.trace.iter().zip(&second.trace).find(|(first, second)| first != second);
        assert_eq!(difference, None, "seed {seed}");
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
        assert!(first.trace.len() > 1_000, "seed {seed}: nothing happened");
    }
}

#[test]
fn another_process_gives_the_same_trace() {
    let trace = || {
        let arguments = ["--seed", "17", "--trace"];
        let output = Command::new(env!("CARGO_BIN_EXE_onecopy-sim")).args(arguments).output();
        let output = String::from_utf8(output.expect("it runs").stdout).expect("it prints text");
        // The closing lines tell how long it took.
        output.lines().filter(|line| line.contains(" ms  ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (first, second) = (trace(), trace());
    assert!(first.len() > 1_000, "nothing happened");
    assert!(first == second, "two processes disagree");
}

#[test]
fn a_trace_changes_nothing() {
    let traced = Options { trace: 10, ..Options::default() };
    for seed in 0..5 {
        let (with, without) = (run(seed, &traced), run(seed, &Options::default()));
        assert_eq!((with.time, with.stats.events), (without.time, without.stats.events), "seed {seed}");
    }
}
