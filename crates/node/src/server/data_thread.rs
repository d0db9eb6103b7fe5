//! A data thread, put together.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use onecopy_core::{GroupId, Instant};
use onecopy_host::{CoordinatorConfig, DataPlane, Out, Placement, Restored, Share, optimistic};
use onecopy_keyspace::Keyspace;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{others, runtime};
use crate::archive::Archive;
use crate::client::budget::Budget;
use crate::client::caches::Caches;
use crate::client::front::Front;
use crate::client::guesses::Guesses;
use crate::client::hub::Hub;
use crate::client::monitors::Monitors;
use crate::client::register::Register;
use crate::client::shutdown::Shutdown;
use crate::client::watched::Lives;
use crate::client::{Clients, listener, moving};
use crate::clock::Clock;
use crate::config::{Config, NodeRole};
use crate::control::FromData;
use crate::control::operators::Operators;
use crate::data;
use crate::data::inbox::{Event, Inbox};
use crate::data::observer::Telling;
use crate::data::plane::{Callers, Plane};
use crate::data::starting::Starting;
use crate::data::threads::{Mailboxes, Threads};
use crate::identity::Me;
use crate::journal::Journal;
use crate::knowledge::Knowledge;
use crate::peer::link::{Caller, LinkEvent, Links};
use crate::peer::{Lane, PeerEvent};

/// What all data threads start with.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) me: Me,
    pub(super) clock: Clock,
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) to_control: mpsc::UnboundedSender<FromData>,
    pub(super) operators: Operators,
    pub(super) shutdown: Shutdown,
    pub(super) mailboxes: Mailboxes,
    pub(super) callers: Callers,
    pub(super) register: Arc<Register>,
    pub(super) lives: Arc<Lives>,
    pub(super) guesses: Arc<Guesses>,
    pub(super) hub: Arc<Hub>,
    pub(super) caches: Arc<Caches>,
    pub(super) monitors: Arc<Monitors>,
    pub(super) budget: Arc<Budget>,
    pub(super) replies: Arc<Budget>,
}

/// What a data thread starts with.
pub(super) struct DataThread {
    pub(super) shared: Shared,
    /// Which one it is.
    pub(super) thread: usize,
    /// What the disk had of its groups.
    pub(super) groups: BTreeMap<GroupId, Restored<Keyspace>>,
    /// And of the copies of optimistic databases.
    pub(super) copies: BTreeMap<GroupId, optimistic::Restored>,
    pub(super) journal: Journal,
    pub(super) archive: Archive,
    /// Where clients call, on the thread that takes their calls.
    pub(super) clients: Vec<(Arc<Front>, std::net::TcpListener)>,
    pub(super) channels: data::Channels,
}

impl DataThread {
    pub(super) fn run(self) -> std::io::Result<()> {
        runtime()?.block_on(self.serve())
    }

    async fn serve(self) -> std::io::Result<()> {
        let Shared { me, clock, knowledge, to_control, mailboxes, callers, monitors, lives, .. } =
            self.shared.clone();
        let config = Rc::new(self.shared.config);
        let count = mailboxes.len();
        let inbox = Rc::new(Inbox::default());
        let caller = Caller {
            cluster: config.cluster.clone(),
            node: me.node,
            lane: Lane::Data,
            thread: (self.thread as u32, count as u32),
            sent: knowledge.data.messages.clone(),
        };
        let lost_inbox = inbox.clone();
        let heard = move |event| match event {
            LinkEvent::Lost(node) => lost_inbox.push(Event::Peer(PeerEvent::Lost { node })),
            LinkEvent::Connected(_) => lost_inbox.push(Event::Met),
            // The control lane hears of it too, and knows what it means.
            LinkEvent::Refused(_) => {}
        };
        let links = Links::start(caller, others(&config), heard);
        // Of this start of the thread: it counts its batches from the beginning.
        let life = self.shared.lives.of(self.thread);
        let clients = config.has(NodeRole::Coordinator).then(|| {
            Rc::new(Clients {
                config: config.clone(),
                inbox: inbox.clone(),
                knowledge: knowledge.clone(),
                operators: self.shared.operators,
                shutdown: self.shared.shutdown,
                budget: self.shared.budget,
                replies: self.shared.replies,
                lives: self.shared.lives,
                guesses: self.shared.guesses,
                hub: self.shared.hub,
                caches: self.shared.caches,
                monitors: self.shared.monitors,
                thread: self.thread,
                mailboxes: mailboxes.clone(),
                register: self.shared.register,
                policy: RefCell::new(knowledge.policy()),
            })
        });
        let mut plane = Plane {
            clock,
            data: DataPlane::new(me.node, life, CoordinatorConfig::new(config.timeouts.request()))
                .with_share(Share::new(self.thread, count)),
            out: Out::default(),
            journal: self.journal,
            durable: Vec::new(),
            archive: self.archive,
            links,
            inbox: inbox.clone(),
            telling: Telling { control: to_control.clone(), status: knowledge.data.clone() },
            control: to_control,
            status: knowledge.data.clone(),
            status_due: Instant::ZERO,
            status_is_old: false,
            waiting: BTreeSet::new(),
            primaries: BTreeSet::new(),
            callers,
            peer: config.peer_address(),
            unready: None,
            starting: config.has(NodeRole::Data).then(|| Starting {
                config: config.clone(),
                me,
                monitors,
                lives,
                knowledge,
            }),
            clients: clients.clone(),
            threads: Threads::new(self.thread, mailboxes),
        };
        for (group, restored) in self.groups {
            plane.start_group(group, Placement::default(), restored)?;
        }
        for (group, restored) in self.copies {
            plane.start_copy(group, restored)?;
        }
        for (front, socket) in self.clients {
            let Some(clients) = clients.clone() else { break };
            tokio::task::spawn_local(listener::listen(TcpListener::from_std(socket)?, front, clients));
        }
        if let Some(clients) = clients {
            tokio::task::spawn_local(moving::go_on(clients));
        }
        // A task like the others, so that it has its turn after those that have something for it.
        tokio::task::spawn_local(data::run(plane, inbox, self.channels)).await.map_err(std::io::Error::other)
    }
}
