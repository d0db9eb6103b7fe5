//! By the rules of which levels this version executes (rule E4).

use onecopy_core::Levels;

/// The levels of this version; of a test build, those of the version that it stands for.
#[must_use]
pub(crate) fn levels() -> Levels {
    #[cfg(feature = "test-level")]
    if let Some(newest) = std::env::var("ONECOPY_TEST_LEVEL").ok().and_then(|text| text.parse().ok()) {
        return Levels::through(onecopy_core::Level(newest));
    }
    onecopy_keyspace::LEVELS
}
