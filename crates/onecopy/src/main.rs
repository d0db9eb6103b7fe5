//! The program `onecopy`. What it does is in the library part of this crate.

/// Replies, entries and values are many small allocations on two threads: this allocator takes them faster
/// than the system's one, and gives memory back sooner.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    onecopy::run()
}
