//! Each handler by itself: the state after it, and the list of its effects.
