//! The keyspace as a state machine: determinism, images, and hostile input.

#[path = "../support/mod.rs"]
mod support;

mod determinism;
mod footprints;
mod hostile;
mod images;
mod model;
mod scripts;
mod slices;
mod undo;

#[test]
fn a_keyspace_may_move_to_another_thread() {
    fn check<T: Send + 'static>() {}
    check::<onecopy_keyspace::Keyspace>();
}
