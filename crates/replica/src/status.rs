//! What a replica tells about itself.

use std::time::Duration;

use onecopy_core::{Index, ViewNumber};
use serde::{Deserialize, Serialize};

/// What a replica is in its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It orders requests.
    Primary,
    /// It is a member, but not the primary.
    Backup,
    /// It is catching up.
    Learner,
    /// It holds something else than the primary (rule P10), and waits to be dropped and rebuilt.
    Diverged,
    /// It is named as the primary but cannot be: its process was restarted since the view was made (rule
    /// P11), or its state is being replaced by a snapshot. It waits for a new view.
    Retired,
    /// It is not in the view that it knows, or knows none.
    Outside,
}

/// Where a replica stands, as it reports with every ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The promised view; 0 if there is none.
    pub view: ViewNumber,
    /// What the replica is in it.
    pub standing: Standing,
    /// The highest index in the log.
    pub last: Index,
    /// The highest index that is durable here.
    pub durable: Index,
    /// The highest index known to be committed.
    pub commit: Index,
    /// How long the oldest unfinished disk write has been waiting, beyond what its bytes may take.
    pub oldest_write: Option<Duration>,
    /// How long the oldest uncommitted entry of a primary has been waiting, beyond what its bytes may take.
    pub oldest_prepare: Option<Duration>,
}
