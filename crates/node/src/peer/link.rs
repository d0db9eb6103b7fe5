//! The outgoing connections of a lane.

use std::cell::{Ref, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::NodeId;
use onecopy_host::Whereabouts;
use onecopy_views::Table;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::wire::{self, Line, Outgoing, PIECE, Parcel};
use super::{Greeting, Lane, PROTOCOL_VERSION};

/// How many bytes may wait for one peer. More are dropped.
const QUEUE_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// A buffer that grew beyond this is given back to the allocator.
const BUFFER_BYTES_KEPT: usize = 4 * 1024 * 1024;
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The links of one lane to all other nodes. Belongs to one thread.
///
/// The configuration names some nodes; others are learnt from the view table: a node that joins later is in
/// nobody's configuration but its own, and one that has moved is not where the configuration says
/// ([`Whereabouts`]).
pub(crate) struct Links {
    caller: Caller,
    heard: Rc<dyn Fn(LinkEvent)>,
    whereabouts: Rc<RefCell<Whereabouts>>,
    links: HashMap<NodeId, Kept>,
}

/// A link, and who keeps it connected.
struct Kept {
    link: Rc<Link>,
    keeper: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// What a link tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// A connection stands.
    Connected(NodeId),
    /// A connection broke: what was on its way is lost.
    Lost(NodeId),
    /// Nobody listens there, or whoever did was gone before it said anything.
    Refused(NodeId),
}

/// Nothing was sent: there is no connection, or its queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undeliverable;

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.links.keys()).finish()
    }
}

#[derive(Debug, Default)]
struct Link {
    queue: RefCell<Queue>,
    filled: Notify,
}

/// What waits for a peer.
#[derive(Debug, Default)]
struct Queue {
    connected: bool,
    /// Frames that may overtake the others.
    urgent: Vec<u8>,
    /// The others, in their order.
    ordered: VecDeque<Ordered>,
    /// Long messages that may overtake those.
    aside: VecDeque<Outgoing>,
    /// Whether something of those went last.
    was_aside: bool,
    bytes: usize,
}

#[derive(Debug)]
enum Ordered {
    /// Frames of short messages.
    Short(Vec<u8>),
    Long(Outgoing),
}

impl Queue {
    fn push(&mut self, message: Outgoing, may_overtake: bool) {
        self.bytes += message.left();
        let is_short = message.is_short();
        if is_short && may_overtake {
            message.append_to(&mut self.urgent);
        } else if may_overtake {
            self.aside.push_back(message);
        } else if !is_short {
            self.ordered.push_back(Ordered::Long(message));
        } else if let Some(Ordered::Short(frames)) = self.ordered.back_mut()
            && frames.len() < PIECE
        {
            message.append_to(frames);
        } else {
            let mut frames = Vec::new();
            message.append_to(&mut frames);
            self.ordered.push_back(Ordered::Short(frames));
        }
    }

    /// Takes what is written next: everything that is urgent, and some of the rest. Long messages of the two
    /// lines take turns.
    fn take(&mut self, frames: &mut Vec<u8>, parts: &mut Vec<Bytes>) {
        std::mem::swap(frames, &mut self.urgent);
        if let Some(Ordered::Short(short)) = self.ordered.front_mut() {
            match frames.is_empty() {
                true => std::mem::swap(frames, short),
                false => frames.extend_from_slice(short),
            }
            self.ordered.pop_front();
            self.was_aside = false;
        }
        match (self.ordered.front_mut(), self.aside.front_mut()) {
            (Some(Ordered::Long(message)), aside) if aside.is_none() || self.was_aside => {
                message.take_piece(Line::First, frames, parts);
                if message.left() == 0 {
                    self.ordered.pop_front();
                }
                self.was_aside = false;
            }
            (_, Some(message)) => {
                message.take_piece(Line::Second, frames, parts);
                if message.left() == 0 {
                    self.aside.pop_front();
                }
                self.was_aside = true;
            }
            _ => {}
        }
        if self.is_empty() {
            self.bytes = 0;
        } else {
            let taken = frames.len() + parts.iter().map(Bytes::len).sum::<usize>();
            self.bytes = self.bytes.saturating_sub(taken);
        }
    }

    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.ordered.is_empty() && self.aside.is_empty()
    }
}

/// Who talks to whom about what.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) cluster: String,
    pub(crate) node: NodeId,
    pub(crate) lane: Lane,
    /// Which thread calls, of how many.
    pub(crate) thread: (u32, u32),
    /// Counts the messages of all callers of the node.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Links {
    /// Starts to connect to all configured `peers`, on the current thread's local set.
    pub(crate) fn start(
        caller: Caller,
        peers: impl Iterator<Item = (NodeId, String)>,
        heard: impl Fn(LinkEvent) + 'static,
    ) -> Self {
        let mut links =
            Self { caller, heard: Rc::new(heard), whereabouts: Rc::default(), links: HashMap::new() };
        for (node, address) in peers {
            links.whereabouts.borrow_mut().configure(node, address);
            links.connect(node);
        }
        links
    }

    /// Connects to the nodes that the view table names, wherever they say that they are, and lets those go
    /// that nobody names any more.
    pub(crate) fn follow(&mut self, table: &Table) {
        for node in self.whereabouts.borrow_mut().forget_others(table) {
            self.links.remove(&node);
        }
        for (node, registration) in table.nodes() {
            self.look_for(*node, &registration.addresses.peer);
        }
    }

    /// A node says that it takes other nodes there.
    pub(crate) fn look_for(&mut self, node: NodeId, address: &str) {
        if node == self.caller.node || !is_reachable(address) {
            return;
        }
        let is_news = self.whereabouts.borrow_mut().tell(node, address);
        if is_news || !self.links.contains_key(&node) {
            self.connect(node);
        }
    }

    /// Begins to keep a connection to a node; another one is given up.
    fn connect(&mut self, node: NodeId) {
        let link = Rc::new(Link::default());
        let whereabouts = self.whereabouts.clone();
        let keeper = keep_connected(self.caller.clone(), node, whereabouts, link.clone(), self.heard.clone());
        let keeper = tokio::task::spawn_local(keeper);
        self.links.insert(node, Kept { link, keeper });
    }

    /// Whether there are other nodes.
    pub(crate) fn has_others(&self) -> bool {
        !self.links.is_empty()
    }

    /// Where the other nodes are looked for.
    pub(crate) fn whereabouts(&self) -> Ref<'_, Whereabouts> {
        self.whereabouts.borrow()
    }

    /// Where a node is looked for, and whether it was found there.
    pub(crate) fn reaches(&self, node: NodeId) -> (bool, String) {
        let connected = self.links.get(&node).is_some_and(|kept| kept.link.queue.borrow().connected);
        (connected, self.whereabouts.borrow().address(node).unwrap_or("nowhere").to_owned())
    }

    /// Says one thing to whoever takes other nodes there, and says that it is this node.
    pub(crate) fn tell_stranger<M: Parcel>(&self, node: NodeId, address: String, message: M) {
        let mut frame = Vec::new();
        if !is_reachable(&address) || wire::encode(message, &mut frame).is_err() {
            return;
        }
        let caller = self.caller.clone();
        tokio::task::spawn_local(async move {
            // It is told again as long as it speaks.
            if let Ok(mut stream) = connect(&caller, node, &address).await {
                let _ = stream.write_all(&frame).await;
                let _ = stream.shutdown().await;
            }
        });
    }

    /// Queues a message; it leaves when the current turn of the event loop is over.
    ///
    /// # Errors
    /// When there is no connection just now, or too much is waiting for it already.
    pub(crate) fn send<M: Parcel>(&self, to: NodeId, message: M) -> Result<(), Undeliverable> {
        let link = &self.links.get(&to).ok_or(Undeliverable)?.link;
        let mut queue = link.queue.borrow_mut();
        if !queue.connected || queue.bytes > QUEUE_BYTES_MAX {
            return Err(Undeliverable);
        }
        let may_overtake = message.may_overtake();
        match Outgoing::new(message) {
            Ok(message) => queue.push(message, may_overtake),
            Err(error) => {
                warn!(%to, %error, "a message cannot be sent");
                return Err(Undeliverable);
            }
        }
        self.caller.sent.fetch_add(1, Ordering::Relaxed);
        link.filled.notify_one();
        Ok(())
    }
}

async fn keep_connected(
    caller: Caller,
    node: NodeId,
    whereabouts: Rc<RefCell<Whereabouts>>,
    link: Rc<Link>,
    heard: Rc<dyn Fn(LinkEvent)>,
) {
    let mut backoff = BACKOFF_MIN;
    let mut complained = false;
    loop {
        let address = whereabouts.borrow().address(node).unwrap_or_default().to_owned();
        match connect(&caller, node, &address).await {
            Ok(stream) => {
                debug!(%node, lane = ?caller.lane, "connected");
                (backoff, complained) = (BACKOFF_MIN, false);
                whereabouts.borrow_mut().reached(node);
                link.queue.borrow_mut().connected = true;
                heard(LinkEvent::Connected(node));
                let error = write_frames(stream, &link).await;
                *link.queue.borrow_mut() = Queue::default();
                debug!(%node, lane = ?caller.lane, %error, "connection lost");
                heard(LinkEvent::Lost(node));
            }
            Err(error) => {
                whereabouts.borrow_mut().failed(node);
                if is_refusal(&error) {
                    heard(LinkEvent::Refused(node));
                }
                if !std::mem::replace(&mut complained, true) {
                    info!(%node, %address, lane = ?caller.lane, %error, "cannot connect, trying again");
                }
            }
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Whether nobody listens: the operating system refuses, or hangs up on who waits in the queue of a process
/// that ends.
fn is_refusal(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    let refusals = [
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
    ];
    refusals.contains(&error.kind())
}

/// A node that listens on all addresses of its machine says so, which nobody can connect to.
fn is_reachable(address: &str) -> bool {
    address.parse::<SocketAddr>().is_ok_and(|address| !address.ip().is_unspecified() && address.port() != 0)
}

async fn connect(caller: &Caller, node: NodeId, address: &str) -> std::io::Result<TcpStream> {
    let timed_out = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
    let mut stream = connecting.await.map_err(|_| timed_out())??;
    stream.set_nodelay(true)?;
    let greeting = Greeting {
        version: PROTOCOL_VERSION,
        cluster: caller.cluster.clone(),
        from: caller.node,
        to: node,
        lane: caller.lane,
        thread: caller.thread,
    };
    let mut frame = Vec::new();
    wire::encode(greeting, &mut frame).map_err(std::io::Error::other)?;
    stream.write_all(&frame).await?;
    // The other side answers one byte if it takes the call, and hangs up if not.
    let mut answer = [0];
    tokio::time::timeout(CONNECT_TIMEOUT, stream.read_exact(&mut answer))
        .await
        .map_err(|_| timed_out())??;
    Ok(stream)
}

/// Writes what is queued until the connection breaks; returns why it did.
async fn write_frames(stream: TcpStream, link: &Link) -> std::io::Error {
    let (mut from_peer, mut to_peer) = stream.into_split();
    let (mut frames, mut parts) = (Vec::new(), Vec::new());
    let mut unexpected = [0];
    loop {
        while link.queue.borrow().is_empty() {
            tokio::select! {
                () = link.filled.notified() => {}
                // Nothing is ever said in this direction: this tells that the other side is gone.
                read = from_peer.read(&mut unexpected) => {
                    return read.err().unwrap_or_else(|| std::io::ErrorKind::ConnectionReset.into());
                }
            }
        }
        link.queue.borrow_mut().take(&mut frames, &mut parts);
        if let Err(error) = write_all(&mut to_peer, &frames, &parts).await {
            return error;
        }
        if !parts.is_empty() {
            // A long message: others have their turn before the next piece.
            tokio::task::yield_now().await;
        }
        parts.clear();
        frames.clear();
        frames.shrink_to(BUFFER_BYTES_KEPT);
    }
}

/// Writes all of `frames` and `parts`, with as few system calls as the socket allows.
async fn write_all(stream: &mut OwnedWriteHalf, frames: &[u8], parts: &[Bytes]) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(1 + parts.len());
    slices.push(IoSlice::new(frames));
    slices.extend(parts.iter().map(|part| IoSlice::new(part)));
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        let written = stream.write_vectored(left).await?;
        if written == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}
