//! The control thread, put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use onecopy_core::NodeId;
use onecopy_host::view_service::Kept;
use onecopy_host::{ArchiveEvent, ControlMessage, ControlPlane, ControlSettings, Out, ViewSettings};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::{Ending, others, runtime};
use crate::archive::Archive;
use crate::client::guesses::Guesses;
use crate::clock::Clock;
use crate::config::{Config, NodeRole, SharedSettings};
use crate::control::observer::Telling;
use crate::control::operators::{Operators, PendingOperations, Request};
use crate::control::{self, Control, EventLog, FromData, known_nodes};
use crate::data::inbox::FromControl;
use crate::identity::Me;
use crate::journal::{Journal, JournalEvent};
use crate::knowledge::Knowledge;
use crate::levels::levels;
use crate::peer::accept::{self, Callee};
use crate::peer::link::{Caller, LinkEvent, Links};
use crate::peer::{Lane, PeerEvent};

/// What the control thread starts with.
pub(super) struct ControlThread {
    pub(super) config: Config,
    pub(super) me: Me,
    pub(super) clock: Clock,
    pub(super) kept: Kept,
    pub(super) journal: Journal,
    pub(super) archive: Archive,
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) peers: std::net::TcpListener,
    pub(super) http: std::net::TcpListener,
    /// To each data thread.
    pub(super) to_data: Vec<mpsc::UnboundedSender<FromControl>>,
    pub(super) journal_events: mpsc::UnboundedReceiver<JournalEvent>,
    pub(super) archive_events: mpsc::UnboundedReceiver<ArchiveEvent>,
    pub(super) from_data: mpsc::UnboundedReceiver<FromData>,
    pub(super) guesses: Arc<Guesses>,
    pub(super) operators: Operators,
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
    /// Where it is told that the process is to end.
    pub(super) endings: mpsc::UnboundedSender<Ending>,
    /// Completes when the node is to stop.
    pub(super) stopped: oneshot::Receiver<()>,
}

impl ControlThread {
    pub(super) fn run(self) -> std::io::Result<()> {
        runtime()?.block_on(self.serve())
    }

    async fn serve(self) -> std::io::Result<()> {
        let config = &self.config;
        let (peer_events, peers) = mpsc::unbounded_channel();
        let caller = Caller {
            cluster: config.cluster.clone(),
            node: self.me.node,
            lane: Lane::Control,
            thread: (0, 1),
            sent: self.knowledge.data.messages.clone(),
        };
        let (refusals, refused) = mpsc::unbounded_channel();
        let knowledge = self.knowledge.clone();
        let heard = move |event| match event {
            // The pings say everything again.
            LinkEvent::Connected(node) => knowledge.set_reached(node, true),
            LinkEvent::Lost(node) => knowledge.set_reached(node, false),
            LinkEvent::Refused(node) => {
                knowledge.set_reached(node, false);
                let _ = refusals.send(node);
            }
        };
        let known = known_nodes::read(&config.data);
        let mut links = Links::start(caller, others(config), heard);
        // What is configured is tried first.
        known.places().for_each(|(node, address)| links.look_for(node, address));
        let callee = Callee { cluster: config.cluster.clone(), node: self.me.node };
        let (own, to_data) = (peer_events.clone(), self.to_data.clone());
        let accepted = move |call: accept::Accepted| match call.lane {
            Lane::Data => {
                let _ = to_data[call.thread.0 as usize % to_data.len()].send(FromControl::Call(call));
            }
            Lane::Control => {
                let events = peer_events.clone();
                let event = move |event: PeerEvent<ControlMessage>| {
                    let _ = events.send(event);
                };
                tokio::task::spawn_local(accept::read_messages(call, event));
            }
        };
        tokio::task::spawn_local(accept::accept(TcpListener::from_std(self.peers)?, callee, accepted));
        let http = control::http::serve(
            TcpListener::from_std(self.http)?,
            control::http::Doorman { knowledge: self.knowledge.clone(), guesses: self.guesses },
            self.operators,
            SharedSettings::of(config),
            control::http::OwnNames::of(config),
        );
        let http = tokio::task::spawn_local(http);

        let view_node = config.has(NodeRole::View).then(|| {
            const MIB: usize = 1024 * 1024;
            let settings = ViewSettings {
                node: self.me.node,
                incarnation: self.me.view_member,
                view_nodes: config.view_nodes.iter().map(|node| NodeId(*node)).collect(),
                databases: config.databases.clone(),
                copies: config.copies,
                failure_timeout: config.timeouts.failure(),
                refused_timeout: config.timeouts.refused(),
                election_timeout: config.timeouts.election(),
                append_bytes_max: MIB,
                log_bytes_max: MIB,
                seed: rand::random(),
                rules: onecopy_core::Rules::default(),
            };
            (settings, self.kept)
        });
        let addresses = config.addresses();
        let settings = ControlSettings {
            node: self.me.node,
            start: self.me.start(),
            holds_data: self.me.holds_data,
            zone: config.zone.clone(),
            pid: std::process::id(),
            addresses,
            view_nodes: config.view_nodes.iter().map(|node| NodeId(*node)).collect(),
            levels: levels(),
            ping_interval: config.timeouts.ping(),
            lease: config.timeouts.lease(),
        };
        let time = (self.clock.now(), self.clock.wall());
        let (mut telling, mut out) = (Telling { node: self.me.node }, Out::default());
        let plane = ControlPlane::start(settings, known, view_node, time, &mut telling, &mut out);
        let control = Control {
            me: self.me,
            clock: self.clock,
            directory: config.data.clone(),
            plane,
            out,
            own,
            telling,
            journal: self.journal,
            archive: self.archive,
            links,
            knowledge: self.knowledge,
            data: self.to_data,
            // Random, so that an answer to an earlier process is none to this one.
            operators: PendingOperations::new(config.min_copies, rand::random()),
            handing_over: BTreeMap::new(),
            event_log: EventLog::default(),
            unwanted: None,
            room: None,
            endings: self.endings,
        };
        let channels = control::Channels {
            peers,
            refused,
            operators: self.requests,
            data: self.from_data,
            journal: self.journal_events,
            archive: self.archive_events,
        };
        tokio::select! {
            () = control.run(channels, self.stopped) => Ok(()),
            outcome = http => outcome.map_err(std::io::Error::other),
        }
    }
}
