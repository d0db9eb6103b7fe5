//! A node whose version does not know the level in force ends itself, with the reason, before it executes
//! anything (rule E4). Nothing is changed: another version goes on with its data directory.

use onecopy_core::UnknownLevel;
use tracing::error;

use super::Control;
use super::old_image::NOT_STARTED;

impl Control {
    /// The view table, an entry or a snapshot is of a level that this version does not know.
    pub(super) fn is_too_old(&self, unknown: UnknownLevel) {
        let reason =
            format!("node {} stops, and has changed nothing in {}", self.me.node.0, self.directory.display());
        error!("{unknown}. {reason}");
        eprintln!("onecopy: {unknown}. {reason}");
        std::process::exit(NOT_STARTED);
    }
}
