//! The data thread, put together.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use onecopy_core::Instant;
use onecopy_replica::{Config as ReplicaConfig, Replica};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::disk::RestoredGroup;
use super::{DATA_GROUP, others, runtime};
use crate::archive::Archive;
use crate::client::budget::Budget;
use crate::client::{Clients, listener};
use crate::clock::Clock;
use crate::config::{Config, Role};
use crate::data;
use crate::data::coordinator::Coordinator;
use crate::data::group::Group;
use crate::data::inbox::{Event, Inbox};
use crate::data::plane::Plane;
use crate::identity::Me;
use crate::journal::Journal;
use crate::knowledge::Knowledge;
use crate::peer::link::{Caller, Links};
use crate::peer::message::ControlMessage;
use crate::peer::{Lane, PeerEvent};

/// What the data thread starts with.
pub(super) struct DataThread {
    pub(super) config: Config,
    pub(super) me: Me,
    pub(super) clock: Clock,
    pub(super) group: RestoredGroup,
    pub(super) journal: Journal,
    pub(super) archive: Archive,
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) clients: Option<std::net::TcpListener>,
    pub(super) to_control: mpsc::UnboundedSender<ControlMessage>,
    pub(super) ears: data::Ears,
}

impl DataThread {
    pub(super) fn run(self) -> std::io::Result<()> {
        let runtime = runtime()?;
        LocalSet::new().block_on(&runtime, self.serve())
    }

    async fn serve(self) -> std::io::Result<()> {
        let inbox = Rc::new(Inbox::default());
        let caller = Caller { cluster: self.config.cluster.clone(), node: self.me.node, lane: Lane::Data };
        let lost_inbox = inbox.clone();
        let lost = move |node| lost_inbox.push(Event::Peer(PeerEvent::Lost { node }));
        let links = Links::start(&caller, others(&self.config), lost);
        let request_timeout = self.config.timeouts.request();
        // Of this start of the process: it counts its batches from the beginning.
        let life = onecopy_core::Incarnation(rand::random());
        let coordinator = Coordinator::new(DATA_GROUP, life, request_timeout);
        let config = Rc::new(self.config);
        let mut groups = BTreeMap::new();
        if config.has(Role::Data) {
            let group =
                start_group(&config, self.me, self.clock.now(), self.group, self.journal, self.archive)?;
            groups.insert(DATA_GROUP, group);
        }
        if let Some(socket) = self.clients {
            let clients = Clients {
                config: config.clone(),
                inbox: inbox.clone(),
                knowledge: self.knowledge.clone(),
                budget: Budget::new(config.limits.pipeline_bytes),
                replies: Budget::new(config.limits.pipeline_bytes),
                next_id: std::cell::Cell::new(1),
                connected: std::cell::RefCell::default(),
            };
            tokio::task::spawn_local(listener::listen(TcpListener::from_std(socket)?, Rc::new(clients)));
        }
        let plane = Plane {
            me: self.me.node,
            clock: self.clock,
            groups,
            coordinator,
            links,
            inbox: inbox.clone(),
            control: self.to_control,
            status: self.knowledge.data.clone(),
            status_due: Instant::ZERO,
            status_is_old: false,
        };
        data::run(plane, &inbox, self.ears).await;
        Ok(())
    }
}

fn start_group(
    config: &Config,
    me: Me,
    now: Instant,
    restored: RestoredGroup,
    journal: Journal,
    archive: Archive,
) -> std::io::Result<Group> {
    let member = onecopy_core::Member { node: me.node, incarnation: me.incarnation };
    let replica_config = ReplicaConfig {
        heartbeat_interval: config.timeouts.heartbeat(),
        failure_timeout: config.timeouts.failure(),
        log_bytes_max: config.log_bytes,
        ..ReplicaConfig::new(DATA_GROUP, member, me.boot)
    };
    let mut effects = Vec::new();
    let RestoredGroup { recovered, machine, base_time } = restored;
    let replica = Replica::new(replica_config, recovered, base_time, now, &mut effects)
        .map_err(std::io::Error::other)?;
    Ok(Group::start(DATA_GROUP, replica, machine, (journal, archive), config.maxmemory, effects))
}
