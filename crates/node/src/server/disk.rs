//! What a node finds in its data directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use onecopy_core::{GroupId, NodeId, Recovered, Replicated, Rules, Timestamp};
use onecopy_host::optimistic::{self, is_optimistic};
use onecopy_host::view_service::Kept;
use onecopy_host::{GENESIS_GROUP, Restored, Restoring, VIEW_GROUP, ViewImage};
use onecopy_keyspace::Keyspace;
use onecopy_raft::Configuration;
use onecopy_replica::Base;
use onecopy_storage::{DataDirectory, DirectoryError, LogOptions, Owner, RealFileSystem, Snapshots};
use onecopy_views::Membership;
use tracing::info;

use super::StartError;
use crate::config::{Config, Durability, NodeRole};
use crate::data::starting::machine;
use crate::identity::Me;
use crate::levels::levels;

/// How many bytes of a snapshot are read at once.
const RESTORE_BYTES: usize = 1024 * 1024;

/// Everything that the data directory held.
pub(super) struct Disk {
    pub(super) me: Me,
    pub(super) log: onecopy_storage::Log<RealFileSystem>,
    pub(super) snapshots: Snapshots<RealFileSystem>,
    pub(super) groups: BTreeMap<GroupId, Restored<Keyspace>>,
    pub(super) copies: BTreeMap<GroupId, optimistic::Restored>,
    pub(super) kept: Kept,
}

impl Disk {
    pub(super) fn open(config: &Config) -> Result<Self, StartError> {
        let owner = Owner {
            node: NodeId(config.node),
            cluster: config.cluster.clone(),
            durability_is_memory: config.durability == Durability::Memory,
            machine_boot: machine_boot(),
            random: [rand::random(), rand::random()],
        };
        let mut options = LogOptions { salt: rand::random(), ..LogOptions::default() };
        if owner.durability_is_memory {
            // There is a sync a second, so it matters little what one costs.
            options.zero_ahead_bytes = 0;
        }
        let directory = DataDirectory::open(RealFileSystem, &config.data, owner, options)?;
        let DataDirectory { mut identity, mut log, mut recovered, snapshots, lock } = directory;
        // Held until the process ends.
        std::mem::forget(lock);
        if identity.discard_data {
            info!("the machine was restarted: the copies of data on this node begin a new life (rule P9)");
            let groups: Vec<GroupId> = recovered.keys().copied().filter(is_of_data).collect();
            groups.iter().try_for_each(|group| log.forget(*group))?;
            log.sync()?;
            for group in groups {
                recovered.remove(&group);
                snapshots.remove_group(group)?;
            }
        }
        if identity.discard_views {
            info!("the data directory begins a new life: this node is no view node that was there before");
            log.forget(VIEW_GROUP)?;
            log.sync()?;
            recovered.remove(&VIEW_GROUP);
            snapshots.remove_group(VIEW_GROUP)?;
        }
        if identity.discard_data || identity.discard_views {
            identity.discarded(&RealFileSystem, &config.data).map_err(DirectoryError::from)?;
        }
        let me = Me {
            node: NodeId(config.node),
            incarnation: identity.incarnation,
            view_member: identity.view_member,
            boot: identity.boot,
            run: rand::random(),
            holds_data: config.has(NodeRole::Data),
        };
        let genesis = recovered.remove(&GENESIS_GROUP).and_then(|genesis| genesis.state);
        let membership = genesis.map(|state| decode_membership(&state)).transpose()?;
        let raft = recovered.remove(&VIEW_GROUP).unwrap_or_default();
        let (image, base_time) = restore_table(&snapshots, &raft)?;
        let kept = Kept { membership, raft, image, base_time };
        forget_orphans(&snapshots, &recovered)?;
        // What is left is of data.
        let (mut groups, mut copies) = (BTreeMap::new(), BTreeMap::new());
        for (group, recovered) in recovered {
            if is_optimistic(recovered.state.as_deref()) {
                copies.insert(group, restore_copy(&snapshots, group, recovered)?);
                continue;
            }
            groups.insert(group, restore_group(&snapshots, group, recovered)?);
        }
        Ok(Self { me, log, snapshots, groups, copies, kept })
    }
}

/// Has what a data directory holds begin a new life; of which node it is. The node must not run.
///
/// # Errors
/// The directory is in use, or none.
pub fn begin_new_life(directory: &Path) -> Result<u32, StartError> {
    let random = [rand::random(), rand::random()];
    Ok(DataDirectory::begin_new_life(&RealFileSystem, directory, random)?.node.0)
}

/// A process that died while it forgot a database that was dropped may have left snapshots of it: the log
/// knows nothing of their group.
fn forget_orphans(
    snapshots: &Snapshots<RealFileSystem>,
    recovered: &BTreeMap<GroupId, Recovered>,
) -> Result<(), StartError> {
    let of = snapshots.list()?.into_iter().map(|name| name.group).filter(is_of_data);
    let orphans: BTreeSet<GroupId> = of.filter(|group| !recovered.contains_key(group)).collect();
    for group in orphans {
        info!(%group, "the log knows nothing of this group: its snapshots are removed");
        snapshots.remove_group(group)?;
    }
    Ok(())
}

/// What tells one run of the machine from the next.
fn machine_boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.trim().is_empty() { "unknown".to_owned() } else { id.trim().to_owned() }
}

fn decode_membership(state: &[u8]) -> Result<Membership, StartError> {
    Membership::decode(state).ok_or_else(|| StartError::Nonsense {
        what: "the membership of the view service",
        reason: "it is in another encoding".to_owned(),
    })
}

/// Whether a group of the log holds data, and not what belongs to the view service.
fn is_of_data(group: &GroupId) -> bool {
    ![VIEW_GROUP, GENESIS_GROUP].contains(group)
}

fn restore_group(
    snapshots: &Snapshots<RealFileSystem>,
    group: GroupId,
    recovered: Recovered,
) -> Result<Restored<Keyspace>, StartError> {
    let state = Replicated::new(machine(group, rand::random()), Rules::default()).knowing(levels());
    let (base, configuration) = (Base::default(), Configuration::default());
    if recovered.base.index.0 == 0 {
        return Ok(Restored { recovered, state, base, configuration });
    }
    let mut restoring = Restoring::new(state);
    let nonsense = |error: onecopy_core::machine::RestoreError| StartError::Nonsense {
        what: "a snapshot",
        reason: error.to_string(),
    };
    let reader = snapshots.read(group, recovered.base)?;
    let base = Base { time: reader.time(), bytes: reader.image_len() };
    let mut offset = 0;
    while offset < reader.image_len() {
        let piece = reader.read_at(offset, RESTORE_BYTES)?;
        restoring.restore(&piece).map_err(nonsense)?;
        offset += piece.len() as u64;
    }
    let (state, configuration) = restoring.finish().map_err(nonsense)?;
    info!(%group, snapshot = %recovered.base, bytes = reader.image_len(), "restored a snapshot");
    Ok(Restored { recovered, state, base, configuration })
}

fn restore_copy(
    snapshots: &Snapshots<RealFileSystem>,
    group: GroupId,
    recovered: Recovered,
) -> Result<optimistic::Restored, StartError> {
    if recovered.base.index.0 == 0 {
        return Ok(optimistic::Restored { recovered, image: None });
    }
    let reader = snapshots.read(group, recovered.base)?;
    let mut image = Vec::new();
    while (image.len() as u64) < reader.image_len() {
        image.extend_from_slice(&reader.read_at(image.len() as u64, RESTORE_BYTES)?);
    }
    info!(%group, snapshot = %recovered.base, bytes = image.len(), "read an image");
    Ok(optimistic::Restored { recovered, image: Some(image.into()) })
}

fn restore_table(
    snapshots: &Snapshots<RealFileSystem>,
    raft: &Recovered,
) -> Result<(ViewImage, Timestamp), StartError> {
    if raft.base.index.0 == 0 {
        return Ok((ViewImage::default(), Timestamp(0)));
    }
    let reader = snapshots.read(VIEW_GROUP, raft.base)?;
    let image = reader.read_at(0, usize::try_from(reader.image_len()).unwrap_or(usize::MAX))?;
    let image = ViewImage::decode(&image).map_err(|error| StartError::Nonsense {
        what: "the snapshot of the view table",
        reason: error.reason,
    })?;
    Ok((image, reader.time()))
}
