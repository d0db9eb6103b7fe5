//! A node that was started from an old image of its disk does no harm: it stops as soon as it hears of it,
//! for good (rule P9).

use onecopy_storage::{Identity, IdentityError, RealFileSystem};
use tracing::error;

use super::Control;

/// The exit status of a node that could not start; this one should not have.
pub(super) const NOT_STARTED: i32 = 1;

impl Control {
    /// Ends the process: the cluster knows of a later start of this node, or of a later life. The data
    /// directory is marked first: with every start its boot number grows, and would be the highest one day.
    pub(super) fn is_over(&self) {
        if let Err(error) = Identity::disown(&RealFileSystem, &self.directory) {
            error!(%error, "the data directory cannot be marked as an old image");
        }
        let error = IdentityError::OldImage { directory: self.directory.clone() };
        error!(%error, "the node stops");
        eprintln!("onecopy: {error}");
        std::process::exit(NOT_STARTED);
    }
}
