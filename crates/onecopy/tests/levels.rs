//! A rolling upgrade with real processes.
