//! What a process starts from: its settings, and what the disk kept.

use std::time::Duration;

use onecopy_core::{
    BootNumber, Eviction, GroupId, Level, Levels, Member, Replicated, Timestamp, UnknownLevel,
};
use onecopy_host::optimistic;
use onecopy_host::view_service::Kept;
use onecopy_host::{
    ControlSettings, CoordinatorConfig, Fresh, GENESIS_GROUP, GroupSettings, Placement, Restored, Restoring,
    VIEW_GROUP, ViewImage, ViewSettings,
};
use onecopy_raft::Configuration;
use onecopy_replica::{Base, Config};
use onecopy_views::{Addresses, Database, Kind, Membership, NUMBERS_MAX, NewDatabase, Start};

use super::Node;
use crate::disk::Disk;
use crate::env::Env;
use crate::machine::Machine;
use crate::profile::Profile;
use crate::scar;
use crate::subject::machine;

/// How long a request is tried.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(5_000);
const PING_INTERVAL: Duration = Duration::from_millis(100);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(50);
/// How long a follower of the view service waits for a leader.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(300);
/// After how much silence a node counts as failed.
const FAILURE_TIMEOUT: Duration = Duration::from_millis(500);

/// The same for a node that refuses connections.
const REFUSED_TIMEOUT: Duration = Duration::from_millis(150);

/// How requests are tried.
pub(super) fn coordinators(profile: &Profile) -> CoordinatorConfig {
    let (default, scale) = (CoordinatorConfig::new(REQUEST_TIMEOUT), profile.scale);
    CoordinatorConfig {
        batch_bytes_max: default.batch_bytes_max / scale,
        large_bytes: profile.parts.map_or(default.large_bytes / scale, |bytes| bytes + 1),
        part_bytes: profile.parts.unwrap_or(default.part_bytes / scale),
        bytes_per_ms: default.bytes_per_ms / scale,
        ..default
    }
}

/// The databases of a run beside `main`: each has numbers of its own, and is held by a group of its own.
fn databases(profile: &Profile) -> Vec<NewDatabase> {
    let others = 1..profile.databases as u16;
    let database = |number| {
        // That of Raft is the last one.
        let copies = profile.raft_copies.filter(|_| u32::from(number) + 1 == profile.databases);
        let database = Database {
            name: format!("database-{number}"),
            first: u16::from(NUMBERS_MAX) * number,
            count: NUMBERS_MAX,
            kind: if copies.is_some() { Kind::Raft } else { Kind::PrimaryBackup },
        };
        NewDatabase { database, copies }
    };
    // The optimistic one is behind all others. Where it has as many copies as there are nodes, it is not
    // created before the others can be.
    let optimistic = profile.optimistic.map(|_| {
        let first = u16::from(NUMBERS_MAX) * profile.databases as u16;
        let (name, kind) = ("merged".to_owned(), Kind::Optimistic);
        let database = Database { name, first, count: NUMBERS_MAX, kind };
        NewDatabase { database, copies: Some(profile.merged_copies.min(profile.nodes)) }
    });
    others.map(database).chain(optimistic).collect()
}

/// What the copy of the optimistic database starts from.
pub(super) fn copy(
    node: &Node,
    group: GroupId,
    env: &mut Env,
) -> (optimistic::Settings, optimistic::Restored) {
    let (recovered, image) = node.disk.recover(group);
    let image = image.map(|image| image.bytes.clone().into());
    let boot = BootNumber(node.disk.boot);
    let start = Start { incarnation: node.incarnation, boot, run: boot.0 };
    let mut seed = [0; 32];
    seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&env.dice.number().to_le_bytes()));
    let settings = optimistic::Settings {
        heartbeat_interval: HEARTBEAT_INTERVAL,
        failure_timeout: FAILURE_TIMEOUT,
        window_bytes_max: env.profile.optimistic.unwrap_or(1 << 20),
        message_bytes_max: 1_000,
        unacknowledged_bytes_max: 4_000,
        rules: env.rules,
        ..optimistic::Settings::new(group, node.id, start, seed)
    };
    (settings, optimistic::Restored { recovered, image })
}

/// What the replica of a group starts from.
pub(super) fn group(
    disk: &Disk,
    (group, placement): (GroupId, Placement),
    (me, boot): (Member, BootNumber),
    knows: Level,
    env: &mut Env,
) -> Result<(GroupSettings, Restored<Machine>, Fresh<Machine>), UnknownLevel> {
    let (recovered, image) = disk.recover(group);
    let subject = env.subject.clone();
    let rules = env.rules;
    let fresh = Fresh::new(move |seed| machine(subject.as_deref(), seed, rules));
    let seed = [env.dice.number(), env.dice.number()];
    let levels = Levels::through(knows);
    let state = Replicated::new(fresh.machine(seed), env.rules).bounded(env.profile.answers);
    let mut state = state.knowing(levels);
    let (mut base, mut configuration) = (Base::default(), Configuration::default());
    if let Some(image) = image {
        let mut restoring = Restoring::new(state);
        if let Err(error) = restoring.restore(&image.bytes) {
            restoring.knows_its_level()?;
            panic!("a snapshot on a simulated disk makes sense: {error}");
        }
        (state, configuration) = restoring.finish().expect("a snapshot on a simulated disk is complete");
        base = Base { time: image.time, bytes: image.bytes.len() as u64 };
    }
    // A snapshot of what was damaged is damaged, and a replica that begins anew may die before its disk has
    // heard of it.
    env.checks.group(group).digests.restored(me.node, scar::is_in(state.machine()));
    let default = Config::new(group, me, boot);
    let replica = Config {
        bytes_per_ms: default.bytes_per_ms / env.profile.scale,
        heartbeat_interval: HEARTBEAT_INTERVAL,
        quiescent_after: Some(env.profile.quiescent_after),
        failure_timeout: FAILURE_TIMEOUT,
        prepare_bytes_max: env.profile.prepare_bytes_max,
        window_bytes_max: env.profile.window_bytes_max,
        uncommitted_bytes_max: env.profile.uncommitted_bytes_max,
        log_bytes_max: env.profile.log_bytes_max,
        log_memory_bytes_max: env.profile.log_memory_bytes_max,
        join_lag_max: env.profile.join_lag_max,
        lease: env.profile.lease,
        drift_ppm: env.profile.drift_ppm as u32,
        rules: env.rules,
        ..default
    };
    let mut seed = [0; 32];
    seed.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&env.dice.number().to_le_bytes()));
    let (min_copies, scrub_interval) = (env.profile.min_copies, env.profile.scrub_interval);
    let slice_steps = env.profile.slice_steps;
    let settings = GroupSettings {
        replica,
        placement,
        election_timeout: ELECTION_TIMEOUT,
        memory_max: env.profile.memory_max,
        eviction: Eviction { policy: env.profile.policy, ..Eviction::default() },
        min_copies,
        scrub_interval,
        levels,
        slice_steps,
        seed,
    };
    Ok((settings, Restored { recovered, state, base, configuration }, fresh))
}

/// What the control side is told.
pub(super) fn control(node: &Node, env: &Env) -> ControlSettings {
    let boot = BootNumber(node.disk.boot);
    ControlSettings {
        node: node.id,
        start: Start { incarnation: node.incarnation, boot, run: boot.0 },
        holds_data: true,
        zone: String::new(),
        pid: 1,
        addresses: Addresses { peer: env.network.address(node.id), ..Addresses::default() },
        view_nodes: node.view_nodes.keys().copied().collect(),
        levels: Levels::through(node.knows),
        ping_interval: PING_INTERVAL,
        lease: env.profile.lease.unwrap_or_default(),
    }
}

/// What the view service starts from.
pub(super) fn view_service(node: &Node, env: &mut Env) -> (ViewSettings, Kept) {
    let settings = ViewSettings {
        node: node.id,
        incarnation: node.view_member,
        view_nodes: node.view_nodes.keys().copied().collect(),
        databases: databases(&env.profile),
        copies: env.profile.copies,
        failure_timeout: FAILURE_TIMEOUT,
        refused_timeout: REFUSED_TIMEOUT,
        election_timeout: ELECTION_TIMEOUT,
        append_bytes_max: env.profile.raft_append_bytes_max,
        log_bytes_max: env.profile.raft_log_bytes_max,
        seed: env.dice.number(),
        rules: env.rules,
    };
    let genesis = node.disk.recover(GENESIS_GROUP).0.state;
    let membership = genesis.map(|state| Membership::decode(&state).expect("it is a membership"));
    let (raft, image) = node.disk.recover(VIEW_GROUP);
    let (image, base_time) = match image {
        None => (ViewImage::default(), Timestamp(0)),
        Some(image) => {
            let bytes = image.bytes.clone().into();
            (ViewImage::decode(&bytes).expect("a snapshot on a simulated disk makes sense"), image.time)
        }
    };
    (settings, Kept { membership, raft, image, base_time })
}
