//! The data thread, put together.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use onecopy_core::Instant;
use onecopy_host::{Coordinator, DataPlane, Fresh, GroupSettings, Out, Restored, SLICE_STEPS};
use onecopy_keyspace::Keyspace;
use onecopy_replica::Config as ReplicaConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{DATA_GROUP, others, runtime};
use crate::archive::Archive;
use crate::client::budget::Budget;
use crate::client::guesses::Guesses;
use crate::client::{Clients, listener};
use crate::clock::Clock;
use crate::config::{Config, NodeRole, Reads};
use crate::control::FromData;
use crate::control::operators::Operators;
use crate::data;
use crate::data::inbox::{Event, Inbox};
use crate::data::observer::Telling;
use crate::data::plane::Plane;
use crate::identity::Me;
use crate::journal::Journal;
use crate::knowledge::Knowledge;
use crate::peer::link::{Caller, LinkEvent, Links};
use crate::peer::{Lane, PeerEvent};

/// How long an idle primary waits before it makes an entry for the replicas to compare themselves by.
const SCRUB_INTERVAL: Duration = Duration::from_secs(1);

/// What the data thread starts with.
pub(super) struct DataThread {
    pub(super) config: Config,
    pub(super) me: Me,
    pub(super) clock: Clock,
    pub(super) group: Restored<Keyspace>,
    pub(super) journal: Journal,
    pub(super) archive: Archive,
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) clients: Option<std::net::TcpListener>,
    pub(super) to_control: mpsc::UnboundedSender<FromData>,
    pub(super) operators: Operators,
    pub(super) channels: data::Channels,
}

impl DataThread {
    pub(super) fn run(self) -> std::io::Result<()> {
        runtime()?.block_on(self.serve())
    }

    async fn serve(self) -> std::io::Result<()> {
        let inbox = Rc::new(Inbox::default());
        let caller = Caller { cluster: self.config.cluster.clone(), node: self.me.node, lane: Lane::Data };
        let lost_inbox = inbox.clone();
        let heard = move |event| match event {
            LinkEvent::Lost(node) => lost_inbox.push(Event::Peer(PeerEvent::Lost { node })),
            LinkEvent::Connected(_) => lost_inbox.push(Event::Met),
            // The control lane hears of it too, and knows what it means.
            LinkEvent::Refused(_) => {}
        };
        let links = Links::start(caller, others(&self.config), heard);
        let request_timeout = self.config.timeouts.request();
        // Of this start of the process: it counts its batches from the beginning.
        let life = onecopy_core::Incarnation(rand::random());
        let coordinator = Coordinator::new(DATA_GROUP, life, request_timeout);
        let config = Rc::new(self.config);
        let mut plane = Plane {
            clock: self.clock,
            data: DataPlane::new(self.me.node, coordinator),
            out: Out::default(),
            journal: self.journal,
            durable: Vec::new(),
            archive: self.archive,
            links,
            inbox: inbox.clone(),
            telling: Telling { control: self.to_control.clone(), status: self.knowledge.data.clone() },
            control: self.to_control,
            status: self.knowledge.data.clone(),
            status_due: Instant::ZERO,
            status_is_old: false,
            callers: Rc::default(),
            peer: config.peer.to_string(),
            unready: None,
        };
        if config.has(NodeRole::Data) {
            start_group(&mut plane, &config, self.me, self.group)?;
        }
        if let Some(socket) = self.clients {
            let clients = Clients {
                config: config.clone(),
                inbox: inbox.clone(),
                knowledge: self.knowledge.clone(),
                operators: self.operators,
                budget: Budget::new(config.limits.pipeline_bytes),
                replies: Budget::new(config.limits.pipeline_bytes),
                guesses: Guesses::default(),
                next_id: std::cell::Cell::new(1),
                connected: std::cell::RefCell::default(),
            };
            tokio::task::spawn_local(listener::listen(TcpListener::from_std(socket)?, Rc::new(clients)));
        }
        // A task like the others, so that it has its turn after those that have something for it.
        tokio::task::spawn_local(data::run(plane, inbox, self.channels)).await.map_err(std::io::Error::other)
    }
}

fn start_group(
    plane: &mut Plane,
    config: &Config,
    me: Me,
    restored: Restored<Keyspace>,
) -> std::io::Result<()> {
    let member = onecopy_core::Member { node: me.node, incarnation: me.incarnation };
    let default = ReplicaConfig::new(DATA_GROUP, member, me.boot);
    let replica = ReplicaConfig {
        heartbeat_interval: config.timeouts.heartbeat(),
        failure_timeout: config.timeouts.failure(),
        log_bytes_max: config.log_bytes,
        log_memory_bytes_max: config.log_bytes.min(default.log_memory_bytes_max),
        lease: (config.reads == Reads::Lease).then(|| config.timeouts.lease()),
        drift_ppm: config.clock_drift_ppm,
        ..default
    };
    let settings = GroupSettings {
        replica,
        memory_max: config.maxmemory,
        min_copies: config.min_copies,
        scrub_interval: Some(SCRUB_INTERVAL),
        slice_steps: SLICE_STEPS,
        seed: rand::random(),
    };
    let (fresh, now) = (Fresh::new(Keyspace::new), plane.clock.now());
    let started = plane.data.start_group(settings, restored, fresh, now, &mut plane.telling, &mut plane.out);
    plane.submit_jobs();
    started.map_err(std::io::Error::other)
}
