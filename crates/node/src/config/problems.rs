//! What can be wrong with settings.

use super::{Config, Listener, NodeRole, Reads, Timeouts};

/// More drift than this is no clock any more.
const DRIFT_PPM_MAX: u32 = 100_000;
/// What `limits.command_bytes` may be: an entry with such a command must fit into a frame and a record.
pub(crate) const COMMAND_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The longest name of a zone.
const ZONE_BYTES_MAX: usize = 64;
/// No time that is set is longer, in milliseconds: an hour.
const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// A log in memory of fewer bytes would ask for snapshots all the time, and could not hold one large value.
const LOG_BYTES_MIN: usize = 64 * 1024;
/// More data threads than this no machine keeps busy.
const THREADS_MAX: u32 = 64;
/// More places than these nobody needs to call at.
const LISTENERS_MAX: usize = 32;
/// More clients than this have no descriptors anywhere.
const CLIENTS_MAX: usize = 10_000_000;
/// No machine has more memory; sums of such sizes cannot overflow.
const BYTES_MAX: u64 = 1 << 50;

impl Config {
    /// Everything that is wrong with the settings, each with what to do about it. Empty if a node can start.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        let is_view_node = self.view_nodes.contains(&self.node);
        must(self.node >= 1, "node = 0: ids of nodes begin with 1".to_owned());
        must(
            is_name(&self.cluster, 1..=64),
            "cluster: give the cluster a printable name of 1 to 64 bytes, the same on all its nodes"
                .to_owned(),
        );
        must(!self.data.as_os_str().is_empty(), "data: name a directory".to_owned());
        let mut distinct = self.view_nodes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        must(
            distinct.len() == self.view_nodes.len(),
            format!("view_nodes = {:?} names a node twice: it would count as one", self.view_nodes),
        );
        let mut roles = self.roles.clone();
        roles.sort_unstable();
        roles.dedup();
        must(roles.len() == self.roles.len(), "roles names a role twice".to_owned());
        must(
            !self.nodes.contains_key(&0),
            "[nodes] has an address for node 0: ids of nodes begin with 1".to_owned(),
        );
        must(
            matches!(self.view_nodes.len(), 1 | 3 | 5),
            format!(
                "view_nodes names {} nodes: the view service needs 1, 3 or 5 of them (3 survive the failure of one, \
                 5 that of two; an even number survives no more than one less)",
                self.view_nodes.len()
            ),
        );
        // The other way round is right: such a node waits to be added to the view service.
        must(
            !is_view_node || self.has(NodeRole::View),
            format!("view_nodes names node {}, but its roles lack \"view\"", self.node),
        );
        for id in &self.view_nodes {
            must(
                *id == self.node || self.nodes.contains_key(id),
                format!("view_nodes names node {id}, but [nodes] has no address for it"),
            );
        }
        for (at, database) in self.databases.iter().enumerate() {
            let problem = database.problem();
            must(problem.is_none(), format!("databases: {database}: {}", problem.unwrap_or_default()));
            let other = self.databases[..at].iter().find(|other| other.database.collides(&database.database));
            must(
                other.is_none(),
                format!(
                    "databases: {database} has the name of {}, or one of its numbers",
                    other.map(ToString::to_string).unwrap_or_default()
                ),
            );
        }
        must(
            self.listeners.len() <= LISTENERS_MAX,
            format!("listeners: a node has at most {LISTENERS_MAX} of them beside redis"),
        );
        for (at, listener) in self.listeners.iter().enumerate() {
            let same =
                |other: &Listener| (&other.database, other.mode) == (&listener.database, listener.mode);
            must(
                !self.listeners[..at].iter().any(same),
                format!("listeners: {listener} is for the same clients as another one"),
            );
            must(is_name(&listener.database, 1..=64), format!("listeners: {listener} names no database"));
        }
        must(
            is_name(&self.sentinel_alias, 0..=64) && !self.sentinel_alias.contains(' '),
            "sentinel_alias: give main a printable name of at most 64 bytes, without blanks".to_owned(),
        );
        must(!self.roles.is_empty(), "roles is empty: a node needs at least one".to_owned());
        must(self.copies >= 1, "copies = 0: at least one copy is needed to hold data".to_owned());
        must(self.min_copies >= 1, "min_copies = 0: no write can be taken without a copy".to_owned());
        must(
            self.min_copies <= self.copies,
            format!(
                "min_copies = {} is more than copies = {}: no write would ever be taken",
                self.min_copies, self.copies
            ),
        );
        must(
            is_name(&self.zone, 0..=ZONE_BYTES_MAX),
            format!("zone: give it a printable name of at most {ZONE_BYTES_MAX} bytes"),
        );
        must(
            self.log_bytes >= LOG_BYTES_MIN && self.log_bytes as u64 <= BYTES_MAX,
            format!("log_bytes = {} is not between {LOG_BYTES_MIN} and {BYTES_MAX}", self.log_bytes),
        );
        must(
            (1..=THREADS_MAX).contains(&self.threads),
            format!(
                "threads = {}: 1 to {THREADS_MAX} threads can serve the data; more than cores, or than databases, are of no use",
                self.threads
            ),
        );
        must(
            self.maxmemory <= BYTES_MAX,
            format!("maxmemory = {} is more than any machine has", self.maxmemory),
        );
        must(
            self.requirepass.len() <= 512,
            "requirepass has more than 512 bytes: clients that have not said who they are may send no more"
                .to_owned(),
        );
        must(
            self.reads == Reads::Confirm || self.clock_drift_ppm <= DRIFT_PPM_MAX,
            format!(
                "clock_drift_ppm = {} is more than {DRIFT_PPM_MAX} (a tenth): with such clocks use reads = \"confirm\"",
                self.clock_drift_ppm
            ),
        );
        must(
            (1024..=COMMAND_BYTES_MAX).contains(&self.limits.command_bytes),
            format!("limits.command_bytes must be between 1024 and {COMMAND_BYTES_MAX}"),
        );
        must(
            (1..=CLIENTS_MAX).contains(&self.limits.clients),
            format!("limits.clients must be between 1 and {CLIENTS_MAX}"),
        );
        must(
            (1..=TIMEOUT_MS_MAX / 1_000).contains(&self.limits.output_stall_seconds),
            "limits.output_stall_seconds must be between 1 and 3600".to_owned(),
        );
        must(
            self.limits.pipeline_bytes >= self.limits.command_bytes
                && self.limits.pipeline_bytes as u64 <= BYTES_MAX,
            format!("limits.pipeline_bytes must be at least limits.command_bytes, and at most {BYTES_MAX}"),
        );
        problems.extend(self.problems_of_addresses());
        problems.extend(self.timeouts.problems(self.reads));
        problems
    }
}

/// Whether it is a word or some that a person can read, of so many bytes.
fn is_name(name: &str, bytes: std::ops::RangeInclusive<usize>) -> bool {
    bytes.contains(&name.len()) && name.chars().all(|letter| !letter.is_control()) && name.trim() == name
}

impl Timeouts {
    /// What does not fit together.
    fn problems(&self, reads: Reads) -> Vec<String> {
        let Self { ping_ms, heartbeat_ms, failure_ms, refused_ms, lease_ms, request_ms, election_ms } = *self;
        let all = [ping_ms, heartbeat_ms, failure_ms, refused_ms, lease_ms, request_ms, election_ms];
        if all.iter().any(|ms| *ms > TIMEOUT_MS_MAX) {
            // What follows would compare nonsense.
            return vec![format!("timeouts: none may be longer than {TIMEOUT_MS_MAX} ms, an hour")];
        }
        let leases = reads == Reads::Lease;
        let rules = [
            (
                ping_ms >= 1 && heartbeat_ms >= 1 && election_ms >= 30,
                "timeouts: ping_ms and heartbeat_ms must be at least 1, election_ms at least 30".to_owned(),
            ),
            (
                failure_ms >= 3 * ping_ms.max(heartbeat_ms),
                format!(
                    "timeouts.failure_ms = {failure_ms} is less than three pings ({ping_ms} ms) or heartbeats \
                     ({heartbeat_ms} ms): one lost message would count as a failure"
                ),
            ),
            (
                refused_ms >= 2 * ping_ms,
                format!(
                    "timeouts.refused_ms = {refused_ms} is less than two pings ({ping_ms} ms): one broken connection \
                     would count as a failure"
                ),
            ),
            (
                refused_ms <= failure_ms,
                format!(
                    "timeouts.refused_ms = {refused_ms} is more than timeouts.failure_ms = {failure_ms}: a node that \
                     refuses connections is no better than a silent one"
                ),
            ),
            (
                !leases || lease_ms >= 2 * heartbeat_ms,
                format!(
                    "timeouts.lease_ms = {lease_ms} is less than two heartbeats ({heartbeat_ms} ms): leases of an idle \
                     group would run out between them"
                ),
            ),
            (
                !leases || lease_ms < failure_ms,
                format!(
                    "timeouts.lease_ms = {lease_ms} is not less than timeouts.failure_ms = {failure_ms}: an heir waits \
                     for the lease that it promised, and every failover would be longer by it"
                ),
            ),
            (
                request_ms >= 2 * failure_ms,
                format!(
                    "timeouts.request_ms = {request_ms} is less than twice timeouts.failure_ms = {failure_ms}: requests \
                     would fail at every failover that they could wait for"
                ),
            ),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem).collect()
    }
}
