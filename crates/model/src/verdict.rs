//! What a model tells beside the states themselves: violations, and the words for a step.

use std::sync::Arc;

use stateright::Model;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Violation {
    /// The property.
    pub property: &'static str,
    /// Who did what.
    pub what: String,
}

/// The first violation on the way to a state. Nothing follows it.
pub type Verdict = Option<Arc<Violation>>;

/// Notes a violation, unless there is one already.
pub fn violated(verdict: &mut Verdict, property: &'static str, what: String) {
    verdict.get_or_insert_with(|| Arc::new(Violation { property, what }));
}

/// What happened in a step, in words. Nobody listens while states are counted, and nothing is put into words
/// then.
#[derive(Debug, Default)]
pub struct Notes(Option<Vec<String>>);

impl Notes {
    /// Somebody listens.
    #[must_use]
    pub fn listening() -> Self {
        Self(Some(Vec::new()))
    }

    /// Something happened.
    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.0 {
            notes.push(words());
        }
    }

    /// All that happened.
    #[must_use]
    pub fn told(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}

/// A model that can say in words what happens in it.
pub trait Told: Model {
    /// What an action is, who does it, and what follows from it.
    fn tell(&self, state: &Self::State, action: &Self::Action) -> (String, Vec<String>);

    /// Where everything begins.
    fn beginning(&self) -> String;

    /// What is wrong with a state.
    fn verdict(state: &Self::State) -> &Verdict;
}
