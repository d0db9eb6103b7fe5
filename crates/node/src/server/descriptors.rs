//! File descriptors: what the log, the snapshots, the peers and the control of the node need is kept for
//! them, and clients get the rest. A log that cannot open its next segment is the end of a copy; a client
//! that is refused tries again.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use super::StartError;
use crate::config::Config;
use crate::control::http::CONNECTIONS_MAX as HTTP_MAX;
use crate::peer::accept::GREETING_CALLERS_MAX;

/// Log, snapshots, listeners, event loops, standard streams; and some to spare.
const OWN: usize = 40;
/// The control lane, in two directions; and as many for each data thread.
const PER_PEER_AND_LANE: usize = 2;
/// The event loop of a data thread.
const PER_THREAD: usize = 4;
/// With room for fewer clients a node had better not start.
const CLIENTS_MIN: usize = 8;

/// Has the system grant as many descriptors as it may, and lowers the limit of clients to what is left for
/// them.
///
/// # Errors
/// [`StartError::Descriptors`] if that would be next to nothing.
pub(super) fn reserve(config: &mut Config) -> Result<(), StartError> {
    let Some(granted) = raise() else { return Ok(()) };
    let reserved = reserved(config);
    let clients = granted.saturating_sub(reserved);
    if clients < CLIENTS_MIN {
        return Err(StartError::Descriptors { granted, needed: reserved + CLIENTS_MIN });
    }
    if clients < config.limits.clients {
        warn!(
            granted,
            reserved,
            "limits.clients is {clients} instead of {}: the system grants this process no more open files \
             (ulimit -n, LimitNOFILE)",
            config.limits.clients
        );
        config.limits.clients = clients;
    }
    Ok(())
}

fn reserved(config: &Config) -> usize {
    // Nodes that join later are not configured: as many again.
    let per_peer = PER_PEER_AND_LANE * (1 + config.data_threads());
    let listeners = config.listeners.len() + usize::from(config.sentinel.is_some());
    OWN + listeners
        + config.data_threads() * PER_THREAD
        + HTTP_MAX
        + GREETING_CALLERS_MAX
        + per_peer * 2 * config.nodes.len().max(1)
}

/// How many descriptors this process may have, after it has asked for as many as it may; `None` for any
/// number.
fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let granted = match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            info!(%error, "the limit of open files stays as it is");
            current
        }
    };
    granted.map(|granted| usize::try_from(granted).unwrap_or(usize::MAX))
}
