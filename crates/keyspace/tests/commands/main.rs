//! What each command answers, as tables of `command => reply`.

#[path = "../support/mod.rs"]
mod support;

mod keys;
mod strings;
