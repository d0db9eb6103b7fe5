//! The data thread, put together.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use onecopy_core::{GroupId, Instant};
use onecopy_host::{CoordinatorConfig, DataPlane, Out, Restored};
use onecopy_keyspace::Keyspace;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{others, runtime};
use crate::archive::Archive;
use crate::client::budget::Budget;
use crate::client::guesses::Guesses;
use crate::client::{Clients, listener};
use crate::clock::Clock;
use crate::config::{Config, NodeRole};
use crate::control::FromData;
use crate::control::operators::Operators;
use crate::data;
use crate::data::inbox::{Event, Inbox};
use crate::data::observer::Telling;
use crate::data::plane::Plane;
use crate::data::starting::Starting;
use crate::identity::Me;
use crate::journal::Journal;
use crate::knowledge::Knowledge;
use crate::peer::link::{Caller, LinkEvent, Links};
use crate::peer::{Lane, PeerEvent};

/// What the data thread starts with.
pub(super) struct DataThread {
    pub(super) config: Config,
    pub(super) me: Me,
    pub(super) clock: Clock,
    pub(super) groups: BTreeMap<GroupId, Restored<Keyspace>>,
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
        let config = Rc::new(self.config);
        let mut plane = Plane {
            clock: self.clock,
            data: DataPlane::new(self.me.node, life, CoordinatorConfig::new(request_timeout)),
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
            starting: config.has(NodeRole::Data).then(|| Starting { config: config.clone(), me: self.me }),
        };
        for (group, restored) in self.groups {
            plane.start_group(group, restored)?;
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
