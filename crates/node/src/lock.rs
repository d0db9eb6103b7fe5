//! What threads share under a lock: each keeps it for a moment, and does nothing there that could panic.

use std::sync::{Mutex, MutexGuard};

/// Takes a lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with this lock")
}
