//! The keyspace as a state machine: determinism, images, and hostile input.

#[path = "../support/mod.rs"]
mod support;

mod determinism;
mod hostile;
mod images;
mod model;
