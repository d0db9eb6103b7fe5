//! Starting replicas: at the start of the process those that the disk has something of, and later, empty,
//! those of the other groups that the view table names.
//!
//! A node that holds data has a replica of every group, in its view or not. One that is in no view costs
//! nothing, and a node that is recruited begins to learn with the first word that it hears.

use std::rc::Rc;
use std::sync::Arc;

use onecopy_core::{Eviction, GroupId, Member, Recovered, Replicated, Rules};
use onecopy_host::optimistic;
use onecopy_host::{Fresh, GroupSettings, Placement, Restored, SLICE_STEPS};
use onecopy_keyspace::Keyspace;
use onecopy_raft::Configuration;
use onecopy_replica::{Base, Config as ReplicaConfig};
use onecopy_views::{Kind, MAIN, Table};

use super::plane::Plane;
use crate::client::monitors::{Monitors, ScriptsWatched};
use crate::client::watched::Lives;
use crate::config::{Config, Reads};
use crate::identity::Me;
use crate::knowledge::Knowledge;
use crate::levels::levels;

/// How long an idle primary waits before it makes an entry for the replicas to compare themselves by.
const SCRUB_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// Starts the replicas of a node that holds data.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) config: Rc<Config>,
    pub(crate) me: Me,
    pub(crate) monitors: Arc<Monitors>,
    pub(crate) lives: Arc<Lives>,
    pub(crate) knowledge: Arc<Knowledge>,
}

impl Starting {
    fn settings(&self, group: GroupId, placement: Placement) -> GroupSettings {
        let config = &self.config;
        let member = Member { node: self.me.node, incarnation: self.me.incarnation };
        let default = ReplicaConfig::new(group, member, self.me.boot);
        let replica = ReplicaConfig {
            heartbeat_interval: config.timeouts.heartbeat(),
            failure_timeout: config.timeouts.failure(),
            log_bytes_max: config.log_bytes,
            log_memory_bytes_max: config.log_bytes.min(default.log_memory_bytes_max),
            lease: (config.reads == Reads::Lease).then(|| config.timeouts.lease()),
            drift_ppm: config.clock_drift_ppm,
            ..default
        };
        GroupSettings {
            replica,
            placement,
            election_timeout: config.timeouts.election(),
            memory_max: config.maxmemory,
            eviction: Eviction::default(),
            min_copies: config.min_copies,
            scrub_interval: Some(SCRUB_INTERVAL),
            levels: levels(),
            slice_steps: SLICE_STEPS,
            seed: rand::random(),
        }
    }

    /// Who is shown what scripts do in a group.
    fn spectator(&self, group: GroupId) -> Arc<ScriptsWatched> {
        let (monitors, lives) = (self.monitors.clone(), self.lives.clone());
        Arc::new(ScriptsWatched { monitors, lives, knowledge: self.knowledge.clone(), group })
    }

    fn settings_of_copy(&self, group: GroupId) -> optimistic::Settings {
        let timeouts = &self.config.timeouts;
        optimistic::Settings {
            heartbeat_interval: timeouts.heartbeat(),
            failure_timeout: timeouts.failure(),
            memory_max: self.config.maxmemory,
            ..optimistic::Settings::new(group, self.me.node, self.me.start(), rand::random())
        }
    }
}

impl Plane {
    /// Starts a replica with what the disk had.
    ///
    /// # Errors
    /// What the log kept of its promises makes no sense.
    pub(crate) fn start_group(
        &mut self,
        group: GroupId,
        placement: Placement,
        restored: Restored<Keyspace>,
    ) -> std::io::Result<()> {
        let Some(starting) = self.starting.as_ref() else { return Ok(()) };
        let (settings, spectator) = (starting.settings(group, placement), starting.spectator(group));
        let state = restored.state.around(|machine| machine.shown_to(spectator.clone()));
        let restored = Restored { state, ..restored };
        let fresh = Fresh::new(move |seed| machine(group, seed).shown_to(spectator.clone()));
        let now = self.clock.now();
        let (data, telling, out) = (&mut self.data, &mut self.telling, &mut self.out);
        let started = data.start_group(settings, restored, fresh, now, telling, out);
        self.submit_jobs();
        started.map_err(std::io::Error::other)
    }

    /// Starts a copy of an optimistic database with what the disk had.
    ///
    /// # Errors
    /// What the disk kept makes no sense.
    pub(crate) fn start_copy(
        &mut self,
        group: GroupId,
        restored: optimistic::Restored,
    ) -> std::io::Result<()> {
        let settings = self.starting.as_ref().map(|starting| starting.settings_of_copy(group));
        let Some(settings) = settings else { return Ok(()) };
        self.data.start_copy(settings, restored, self.clock.now()).map_err(std::io::Error::other)
    }

    /// Starts replicas of the groups in the table that there is none of, once it knows this process.
    pub(super) fn start_new_groups(&mut self, table: &Table) {
        let me = self.starting.as_ref().map(|starting| starting.me);
        if !me.is_some_and(|me| table.knows_start(me.node, me.boot)) {
            return;
        }
        for (group, known) in table.groups() {
            if table.kind(*group) == Kind::Optimistic {
                let is_due = known.view.replicas().any(|replica| replica.node == self.data.me())
                    && self.data.copy(*group).is_none();
                if is_due && self.starting.is_some() && self.threads.owns(*group) {
                    self.start_copy(*group, optimistic::Restored::default())
                        .expect("a copy with nothing makes sense");
                }
                continue;
            }
            if self.starting.is_some() && self.threads.owns(*group) && self.data.group(*group).is_none() {
                let placement = Placement::of(table, *group, Rules::default());
                self.start_group(*group, placement, empty(*group))
                    .expect("a replica with nothing has made no promise");
            }
        }
    }
}

/// A machine of a group, which has executed nothing. Messages go through one group alone.
pub(crate) fn machine(group: GroupId, seed: [u64; 2]) -> Keyspace {
    if group == MAIN { Keyspace::new(seed) } else { Keyspace::new(seed).without_channels() }
}

/// What a replica starts from of which the disk has nothing.
fn empty(group: GroupId) -> Restored<Keyspace> {
    let state = Replicated::new(machine(group, rand::random()), Rules::default());
    let (recovered, base, configuration) = (Recovered::default(), Base::default(), Configuration::default());
    Restored { recovered, state, base, configuration }
}
