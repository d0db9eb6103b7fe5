//! `onecopy-model`: looks at every state of small groups, and says what it found.

mod arguments;

use std::process::ExitCode;

use arguments::{Arguments, Which};
use clap::Parser;
use onecopy_model::report::Outcome;
use onecopy_model::settings::{self, Setting};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = match arguments.bounds() {
        Ok(chosen) => chosen,
        Err(complaint) => return complain(&complaint),
    };
    if let Some(name) = &arguments.sabotage {
        return sabotage(name, chosen, &arguments);
    }
    let settings = chosen.map_or_else(|| defaults(arguments.model), |setting| vec![setting]);
    let mut clean = true;
    for setting in settings {
        let outcome = setting.check(arguments.limits());
        println!("{setting}");
        print(&outcome);
        clean &= outcome.is_clean();
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn defaults(which: Which) -> Vec<Setting> {
    match which {
        Which::Replica => settings::of_replica(),
        Which::Raft => settings::of_raft(),
        Which::All => [settings::of_replica(), settings::of_raft()].concat(),
    }
}

fn print(outcome: &Outcome) {
    println!(
        "  {} states, {} different, depth {}, {:.1} s{}",
        outcome.states,
        outcome.unique,
        outcome.depth,
        outcome.wall.as_secs_f64(),
        if outcome.complete { "" } else { ", NOT COMPLETE" }
    );
    println!("  never violated: {}", outcome.kept.join("; "));
    for (property, happened) in &outcome.reached {
        println!("  {}: {property}", if *happened { "happened" } else { "NEVER HAPPENED" });
    }
    show(outcome);
}

/// The way to a violation, step by step.
fn show(outcome: &Outcome) {
    let Some((violation, steps)) = &outcome.violation else { return };
    println!("  VIOLATED: {}: {}", violation.property, violation.what);
    println!("    to begin with: {}", outcome.beginning);
    for (number, step) in steps.iter().enumerate() {
        println!("    {:>2}. {}", number + 1, step.what);
        step.consequences.iter().for_each(|consequence| println!("          {consequence}"));
    }
}

fn complain(complaint: &str) -> ExitCode {
    eprintln!("{complaint}");
    ExitCode::from(2)
}

#[cfg(not(feature = "sabotage"))]
fn sabotage(_: &str, _: Option<Setting>, _: &Arguments) -> ExitCode {
    complain("this build has all rules in force: build with --features sabotage")
}

/// Switches rules off: each must be missed.
#[cfg(feature = "sabotage")]
fn sabotage(name: &str, chosen: Option<Setting>, arguments: &Arguments) -> ExitCode {
    use onecopy_core::{Rule, Rules};
    let rules: Vec<Rule> =
        Rule::ALL.into_iter().filter(|rule| name == "all" || name == rule.to_string()).collect();
    if rules.is_empty() {
        let names: Vec<String> = Rule::ALL.iter().map(ToString::to_string).collect();
        return complain(&format!("there is no rule {name}; there are: {}", names.join(", ")));
    }
    let mut table = Vec::new();
    let mut all_caught = true;
    for rule in rules {
        let tried = match chosen {
            Some(setting) => vec![setting.with(Rules::without(rule))],
            None => settings::without(rule),
        };
        for setting in tried.into_iter().filter(|setting| arguments.wants(setting)) {
            // One thread, so that the first way to a violation is a shortest one.
            let outcome = setting.check(onecopy_model::report::Limits {
                threads: std::num::NonZeroUsize::MIN,
                ..arguments.limits()
            });
            println!("without {rule}: {setting}");
            println!("  {} states, {} different", outcome.states, outcome.unique);
            show(&outcome);
            all_caught &= outcome.violation.is_some();
            table.push((rule, setting, outcome));
        }
    }
    println!("\n| rule | setting | states | different | steps | wall | property violated |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (rule, setting, outcome) in &table {
        let (steps, property) = match &outcome.violation {
            Some((violation, steps)) => (steps.len().to_string(), violation.property),
            None => (String::new(), "**not caught**"),
        };
        let (states, unique, wall) = (outcome.states, outcome.unique, outcome.wall.as_secs_f64());
        println!("| {rule} | {setting} | {states} | {unique} | {steps} | {wall:.1} s | {property} |");
    }
    if all_caught && !table.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
