//! One run, by its seed, and what comes out of it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use onecopy_core::{Rule, Rules};

use crate::clock::Time;
use crate::dice::Dice;
use crate::env::Stats;
use crate::limits::Limits;
use crate::profile::Profile;
use crate::subject::Subject;
use crate::trace::{Trace, Violation};
use crate::world::World;

/// How a run is set up, apart from its seed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many nodes there are; drawn if not said.
    pub nodes: Option<u32>,
    /// Which rule is switched off. Only has an effect with the feature `sabotage`.
    pub sabotaged: Option<Rule>,
    /// How many lines of the trace are kept.
    pub trace: usize,
    /// Whether there is an optimistic database beside all others.
    pub optimistic: bool,
    /// What is taken away from what the seed draws.
    pub limits: Limits,
    /// Somebody's own machine; the keyspace if there is none.
    pub subject: Option<Arc<dyn Subject>>,
}

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How it was set up.
    pub profile: Profile,
    /// What was found, if anything.
    pub violation: Option<Violation>,
    /// How long it lasted, in true time.
    pub time: Time,
    /// What happened, in numbers. Of a run that was stopped, only some.
    pub stats: Stats,
    /// The last events.
    pub trace: Vec<String>,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Outcome {
    quiet();
    let mut profile = Profile::draw(&mut Dice::new(seed, 0), options.nodes, options.sabotaged);
    let of_copies = options.sabotaged.is_some_and(|rule| Rule::OPTIMISTIC.contains(&rule));
    if (options.optimistic || of_copies) && options.subject.is_none() {
        profile.add_optimistic(&mut Dice::new(seed, 2));
        profile.resize_optimistic(&mut Dice::new(seed, 8), options.sabotaged);
        profile.wait_for_copies(&mut Dice::new(seed, 9), options.sabotaged);
        profile.set_clocks_apart(&mut Dice::new(seed, 10), options.sabotaged);
    }
    if options.subject.is_none() && profile.optimistic.is_none() {
        profile.limit_memory(&mut Dice::new(seed, 3), options.sabotaged);
    }
    if options.sabotaged.is_none() {
        profile.draw_changes(&mut Dice::new(seed, 5));
    }
    if options.subject.is_none() {
        profile.draw_versions(&mut Dice::new(seed, 6), options.sabotaged);
    }
    profile.draw_switches(&mut Dice::new(seed, 7), options.sabotaged);
    profile.limit(&options.limits);
    if options.subject.is_some() {
        // Its clients know nothing of databases.
        (profile.databases, profile.raft_copies, profile.dropped) = (1, None, None);
        profile.moved = None;
        profile.switched.retain(|(_, group, _)| *group == onecopy_views::MAIN);
    }
    let mut world = World::new(seed, profile.clone(), rules(options.sabotaged), Trace::new(options.trace));
    if let Some(subject) = &options.subject {
        world.env.bring(subject.clone());
    }
    IS_RUNNING.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    IS_RUNNING.set(false);
    let time = world.env.time;
    let trace = std::mem::take(&mut world.env.trace).into_lines();
    let (stats, violation) = match result {
        Ok(stats) => (stats, None),
        Err(payload) => (std::mem::take(&mut world.env.stats), Some(understand(payload.as_ref()))),
    };
    Outcome { seed, profile, violation, time, stats, trace }
}

fn rules(sabotaged: Option<Rule>) -> Rules {
    match sabotaged {
        #[cfg(feature = "sabotage")]
        Some(rule) => Rules::without(rule),
        _ => Rules::default(),
    }
}

/// Makes a violation of what a run was stopped by: one of our checks, or an assertion of the protocols.
fn understand(payload: &(dyn std::any::Any + Send)) -> Violation {
    if let Some(violation) = payload.downcast_ref::<Violation>() {
        return violation.clone();
    }
    let text = payload.downcast_ref::<String>().cloned();
    let what = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
    Violation { checker: "core", what }
}

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Assertions of the protocols in a run are reported with their seed, and not by the usual hook as well.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_RUNNING.get() {
                usual(info);
            }
        }));
    });
}
