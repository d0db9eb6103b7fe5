//! A process that was started under the id of a node that is alive ends itself, with the reason. Nothing is
//! changed: its data directory may be all that is left of something else.

use std::time::Duration;

use onecopy_core::Instant;
use onecopy_views::Refusal;
use tracing::{error, warn};

use super::Control;
use super::old_image::NOT_STARTED;

/// How long it is tried: the process before this one may have ended just now, and count as alive for some
/// tenths of a second.
const PATIENCE: Duration = Duration::from_secs(2);
/// The view service says so more often than this, or not any more.
const BREAK: Duration = Duration::from_millis(1_500);

/// The view service says that another process is this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unwanted {
    since: Instant,
    last: Instant,
}

impl Control {
    /// The view service says that it hears another process with this id.
    pub(super) fn is_unwanted(&mut self, refusal: &Refusal) {
        // What was meant for another process is no business of this one.
        if refusal.run != self.me.run {
            return;
        }
        let now = self.clock.now();
        let known = self.unwanted.filter(|unwanted| now.since(unwanted.last) < BREAK);
        let since = known.map_or(now, |unwanted| unwanted.since);
        self.unwanted = Some(Unwanted { since, last: now });
        if known.is_none() {
            warn!("{refusal}: this process is not heard while it is");
        }
        if now.since(since) < PATIENCE {
            return;
        }
        let reason = format!(
            "{refusal}. This process, with the data directory {}, is not taken for node {}, and stops; nothing has been changed. Two \
             processes with one id are a mistake: give this one an id of its own, or stop the other one first if this one is to take its place",
            self.directory.display(),
            self.me.node.0
        );
        error!("{reason}");
        eprintln!("onecopy: {reason}");
        std::process::exit(NOT_STARTED);
    }
}
