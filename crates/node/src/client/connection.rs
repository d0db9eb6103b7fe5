//! One client connection.

mod beyond;
mod blocking;
mod busy;
mod cluster;
mod exchange;
mod gates;
mod later;
mod mail;
mod migrate;
mod notifications;
mod segment;
mod sentinel;
mod subscriptions;
mod tracking;
mod transactions;

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use onecopy_keyspace::command::{self, Spec};
use onecopy_resp::{Limits, Parser, ProtocolError, Request, Version, Writer};
use onecopy_views::{MAIN, Table};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::warn;

use super::budget::Share;
use super::databases::{Databases, Selected, names_databases};
use super::ending::Ending;
use super::front::Front;
use super::mailbox::Letterbox;
use super::output::Output;
use super::queue::Queue;
use super::sentinel::Listening;
use super::session::{Hearing, Peer, Session};
use super::subscriptions::Subscriptions;
use super::watched::Watched;
use super::{Clients, accounting, commands};
use crate::status::ClientCounters;
use blocking::Waiting;
use cluster::Slots;
use segment::Segment;
pub(super) use segment::push_args_bit_by_bit;
use subscriptions::{is_about_channels, is_about_subscriptions};

/// How many bytes are taken from a connection at once.
const READ_BYTES: usize = 16 * 1024;
const READ_BYTES_MAX: usize = 1024 * 1024;
/// A segment is closed when it has grown to this many bytes.
pub(crate) const SEGMENT_BYTES_MAX: usize = 1024 * 1024;
/// How many commands a segment takes at first, and at most. In between it follows the size of the replies,
/// which nobody knows before: a pipeline of large reads must not fill the memory.
const SEGMENT_COMMANDS_FIRST: u32 = 16;
const SEGMENT_COMMANDS_MAX: u32 = 8192;
/// Segments grow while their replies are smaller than this, and shrink when they are larger than four times
/// as much.
const REPLY_BYTES_WANTED: usize = 256 * 1024;
/// A client that must say who it is has this long to do so.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(30);
/// Replies that a node makes by itself are passed on once there are so many bytes of them.
const OWN_REPLY_BYTES_MAX: usize = 256 * 1024;
/// So many arguments may a command have, as in Redis. How many it has room for depends on its bytes.
const ARGS_MAX: usize = i32::MAX as usize;
/// What a browser sends first if a web page has it talk to this port.
const HTTP_WORDS: [&[u8]; 2] = [b"post", b"host:"];

/// Takes a client's call: it counts as connected from now on, and not only once it has its first turn: of a
/// crowd that comes at once, no more are let in than there may be. The thread with this number serves it.
pub(crate) fn admit(stream: &TcpStream, address: SocketAddr, thread: usize, clients: &Clients) -> u64 {
    let local = stream.local_addr().unwrap_or(address);
    if let Some(keepalive) = clients.policy().parameters.keepalive {
        let probes = socket2::TcpKeepalive::new().with_time(keepalive);
        // Without it, a peer that is gone is noticed later.
        let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&probes);
    }
    let descriptor = stream.as_raw_fd();
    clients.register.add(thread, |id| Peer::new(id, address, local, descriptor))
}

/// Serves a client that was [admitted](admit) to this thread until it leaves.
pub(crate) fn spawn(
    stream: std::net::TcpStream,
    call: (SocketAddr, Arc<Front>),
    id: u64,
    clients: Rc<Clients>,
) {
    tokio::task::spawn_local(async move {
        let counter = &clients.knowledge.data.thread(clients.thread).clients;
        ClientCounters::add(counter, 1);
        if let Ok(stream) = TcpStream::from_std(stream) {
            // Why a client left is nobody's business; what it did wrong it has been told.
            let mut connection = Connection::new(stream, call, id, &clients);
            let _ = connection.run().await;
            connection.leave_subscriptions();
            connection.end_monitoring();
            connection.end_tracking();
            connection.end_events();
            connection.letterbox.close();
        }
        counter.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        clients.register.remove(clients.thread, id);
    });
}

struct Connection<'a> {
    stream: TcpStream,
    clients: &'a Rc<Clients>,
    session: Session,
    share: Share<'a>,
    /// Replies on their way to the client.
    output: Output<'a>,
    segment: Segment,
    segment_commands_max: u32,
    /// The transaction that is being queued.
    queue: Option<Box<Queue>>,
    /// What is watched.
    watched: Option<Watched>,
    /// A command that may wait, and that is handed in next.
    waiting: Option<Waiting>,
    /// What it listens to.
    subscriptions: Option<Box<Subscriptions>>,
    /// Of a client of Sentinel: of which events it hears.
    listening: Option<Box<Listening>>,
    /// Of a client of Redis Cluster: where the keys of its transaction are.
    queued_slots: Slots,
    /// Whether others have ended it.
    ending: Arc<Ending>,
    /// Which of what is set for the whole cluster it has seen.
    policy_number: u64,
    knows_policy: bool,
    /// What it did not ask for, once it may be sent something.
    letterbox: Arc<Letterbox>,
    peer: SocketAddr,
}

impl<'a> Connection<'a> {
    fn new(
        stream: TcpStream,
        (address, front): (SocketAddr, Arc<Front>),
        id: u64,
        clients: &'a Rc<Clients>,
    ) -> Self {
        // Replies are written whole: waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let (who, authenticated) = commands::default_user(clients);
        let session = Session {
            no_touch: false,
            id,
            address: address.ip(),
            selected: Selected::MAIN,
            front,
            reads_only: false,
            version: Version::Two,
            authenticated,
            has_said_who: false,
            wrong_passwords: 0,
            notified: String::new(),
            leaving: false,
            who,
            hearing: Hearing::All,
            tracking: None,
            in_transaction: false,
        };
        let ending =
            clients.register.with(clients.thread, id, |peer| peer.ending.clone()).unwrap_or_default();
        let letterbox =
            clients.register.with(clients.thread, id, |peer| peer.letterbox.clone()).unwrap_or_default();
        let segment = Segment::new(&session);
        let stall = Duration::from_secs(clients.config.limits.output_stall_seconds);
        Self {
            stream,
            clients,
            session,
            share: clients.budget.share(),
            output: Output::new(&clients.replies, stall),
            segment,
            segment_commands_max: SEGMENT_COMMANDS_FIRST,
            queue: None,
            watched: None,
            waiting: None,
            subscriptions: None,
            listening: None,
            queued_slots: Slots::default(),
            ending,
            policy_number: clients.policy().number,
            knows_policy: clients.policy().is_known,
            letterbox,
            peer: address,
        }
    }

    async fn run(&mut self) -> std::io::Result<()> {
        if let Err(error) = self.find_database().await {
            self.output.writer(self.session.version).error(error);
            return self.part().await;
        }
        let mut parser = Parser::new(self.limits());
        let mut input = BytesMut::new();
        let patience_ends = Instant::now() + AUTHENTICATE_WITHIN;
        loop {
            if let Err(error) = self.take_requests(&mut parser, &mut input).await? {
                self.output.writer(self.session.version).error(&format!("ERR {error}"));
                self.session.leaving = true;
            }
            if self.session.leaving {
                return self.part().await;
            }
            if self.ending.is_told() {
                return Ok(());
            }
            let queued = self.queue.as_ref().map_or(0, |queue| queue.bytes());
            self.share.resize(input.len() + parser.memory() + queued);
            if !self.share.room().await {
                return self
                    .refuse("too many bytes of unfinished commands are held for all clients together")
                    .await;
            }
            let (put_out, is_unknown) = (self.share.put_out(), !self.session.authenticated);
            let (ending, idle) = (self.ending.clone(), self.clients.policy().parameters.idle_max);
            let count = tokio::select! {
                () = ending.told() => return Ok(()),
                () = tokio::time::sleep(idle.unwrap_or_default()), if idle.is_some() => return Ok(()),
                count = self.exchange(&mut input, parser.announced()) => count?,
                () = put_out => {
                    return self.refuse("others needed the memory that this unfinished command held").await;
                }
                () = tokio::time::sleep_until(patience_ends), if is_unknown => {
                    return self.refuse("nobody has authenticated here for too long").await;
                }
            };
            if count == 0 {
                return Ok(());
            }
            self.clients.knowledge.data.clients.read(count);
            if input.len() >= READ_BYTES_MAX {
                // Of a large command there may be more at once, and others have their turn between.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Selects what the client finds where it called. A node that was just started may have to hear of it.
    async fn find_database(&mut self) -> Result<(), &'static str> {
        let (front, knowledge) = (&self.session.front, &self.clients.knowledge);
        if front.shows_one_database() {
            let is_there = |table: &Table| table.databases().any(|(_, known)| known.name == front.database);
            knowledge.table_shows(is_there).await;
        }
        self.session.selected = Selected::first(&Databases::behind(front, knowledge))?;
        Ok(())
    }

    /// What the client may ask for now.
    fn limits(&self) -> Limits {
        if !self.session.authenticated {
            return Limits::unauthenticated();
        }
        let policy = self.clients.policy();
        Limits {
            bulk_bytes_max: policy.parameters.bulk_bytes_max,
            request_bytes_max: policy.parameters.request_bytes_max,
            args_max: ARGS_MAX,
            ..Limits::default()
        }
    }

    /// The last replies, and the end.
    async fn part(&mut self) -> std::io::Result<()> {
        self.output.drain(&self.stream, true).await?;
        self.stream.shutdown().await
    }

    async fn refuse(&mut self, reason: &str) -> std::io::Result<()> {
        self.output.writer(self.session.version).error(&format!("ERR {reason}"));
        self.part().await
    }

    /// Takes every complete request that has arrived, and submits what is for the data.
    async fn take_requests(
        &mut self,
        parser: &mut Parser,
        input: &mut BytesMut,
    ) -> std::io::Result<Result<(), ProtocolError>> {
        let mut count = 0;
        self.look_at_policy();
        parser.set_limits(self.limits());
        let bytes = input.len();
        self.clients.register.with(self.clients.thread, self.session.id, |peer| {
            (peer.active, peer.input_bytes) = (std::time::Instant::now(), bytes);
        });
        let outcome = loop {
            match parser.next(input) {
                Ok(Some(request)) => {
                    count += 1;
                    let was_authenticated = self.session.authenticated;
                    self.take_request(&request).await?;
                    self.forget_caching(&request);
                    self.hear().await?;
                    if let Some(waiting) = self.waiting.take() {
                        self.wait(waiting, input).await?;
                    }
                    if self.session.authenticated != was_authenticated {
                        parser.set_limits(self.limits());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.session.leaving {
                break Ok(());
            }
            let segment = &self.segment.builder;
            if segment.size() >= SEGMENT_BYTES_MAX || segment.count() >= self.segment_commands_max {
                self.submit().await?;
                self.relieve().await?;
            }
        };
        ClientCounters::add(&self.clients.knowledge.data.clients.commands, count);
        self.submit().await?;
        Ok(outcome)
    }

    async fn take_request(&mut self, request: &Request<'_>) -> std::io::Result<()> {
        let Some(name) = request.get(0) else { return Ok(()) };
        if !self.await_policy(name).await {
            self.submit().await?;
            self.complain("TRYAGAIN this node knows nothing of its cluster yet; nothing was executed");
            return Ok(());
        }
        if self.is_denied(request).await? {
            return Ok(());
        }
        if self.session.front.is_sentinel() {
            return self.take_from_sentinel(name, request).await;
        }
        self.wait_out_pause(name, request).await?;
        if self.answer_while_busy(name, request).await? {
            return Ok(());
        }
        if self.clients.monitors.watch() && self.session.authenticated {
            self.clients.monitors.show((self.session.selected.number, &self.peer), request.iter());
        }
        if let Some(error) = self.is_misplaced(name, request) {
            self.submit().await?;
            match self.queue.is_some() {
                true => self.refuse_queue(&error),
                false => self.complain(&error),
            }
            return self.pass_on_replies().await;
        }
        if self.queue.is_some() {
            return self.take_inside(name, request).await;
        }
        if let Some(refusal) = self.refused_while_listening(request) {
            self.submit().await?;
            return self.fail(&refusal);
        }
        match command::lookup(name).filter(|spec| is_for_data(spec, request, &self.session.front)) {
            Some(spec) if self.session.authenticated && spec.check_arity(request.len()).is_ok() => {
                match spec.name {
                    name if names_databases(name, request) => self.add_localised(spec, request).await,
                    "flushall" => self.flush_all(spec, request).await,
                    _ if is_about_subscriptions(spec) => {
                        self.submit().await?;
                        self.change_subscriptions(spec, request).await
                    }
                    _ if is_about_channels(spec) && self.session.selected.group != MAIN => {
                        self.submit().await?;
                        self.ask_channels(spec, request).await
                    }
                    "watch" | "unwatch" => {
                        self.submit().await?;
                        self.watch(spec, request).await
                    }
                    _ if waits(spec, request) => {
                        self.submit().await?;
                        self.begin_waiting(spec, request).await;
                        Ok(())
                    }
                    _ if request.size() > SEGMENT_BYTES_MAX => {
                        self.keep_apart(spec).await?;
                        self.add_large(spec, request).await;
                        Ok(())
                    }
                    _ => {
                        self.keep_apart(spec).await?;
                        self.add_to_segment(spec, request.iter());
                        Ok(())
                    }
                }
            }
            _ => {
                // Replies come in the order of the requests: what went before is answered first.
                self.submit().await?;
                if self.session.authenticated && self.take_outside(name, request.len()) {
                    return Ok(());
                }
                if self.session.authenticated && self.asks_about_copies(name) {
                    return self.ask_about_copies(request).await;
                }
                if self.hangs_up_on_http(name) {
                    return Ok(());
                }
                if let Err(error) = self.await_turn(name, request).await {
                    self.complain(error);
                    self.session.leaving = true;
                    return Ok(());
                }
                if name.eq_ignore_ascii_case(b"reset") && request.len() == 1 {
                    self.leave_transaction();
                    self.give_up_subscriptions().await?;
                    self.end_monitoring();
                    self.end_tracking();
                }
                if name.eq_ignore_ascii_case(b"monitor") && self.session.authenticated && request.len() == 1 {
                    self.begin_monitoring();
                    return Ok(());
                }
                if name.eq_ignore_ascii_case(b"ping") && request.len() < 3 && self.answers_as_message() {
                    let mut writer = self.output.writer(self.session.version);
                    writer.array(2);
                    writer.bulk(b"pong");
                    writer.bulk(request.get(1).unwrap_or_default());
                    return Ok(());
                }
                self.answer(&request.iter().collect::<Vec<_>>()).await
            }
        }
    }

    /// Whether the client is a browser that somebody uses against the node: it is hung up on.
    fn hangs_up_on_http(&mut self, name: &[u8]) -> bool {
        let is_http = HTTP_WORDS.iter().any(|word| name.eq_ignore_ascii_case(word));
        if is_http {
            warn!(address = %self.session.address, "a client speaks HTTP to the port of Redis: hung up");
            self.session.leaving = true;
        }
        is_http
    }

    fn writer(&mut self) -> Writer<'_> {
        self.output.writer(self.session.version)
    }

    /// Notes a command that the connection has answered by itself.
    fn note_own(&self, took: Duration, args: &[&[u8]]) {
        if let Some(name) = commands::counted_as(args) {
            accounting::answered(self.clients, &self.session, name, took, args);
        }
    }

    fn complain(&mut self, error: &str) {
        self.writer().error(error);
        commands::told(self.clients, error);
    }

    /// Answers what concerns the connection or the node.
    async fn answer(&mut self, args: &[&[u8]]) -> std::io::Result<()> {
        if commands::wants_replies(args) {
            self.output.set_heard(true);
        }
        let may_take_long = self.session.authenticated && self.answer_later(args).await?;
        if !may_take_long {
            let mut writer = self.output.writer(self.session.version);
            commands::answer(self.clients, &mut self.session, args, &mut writer);
        }
        // SELECT and HELLO change what the next segment is.
        self.segment = Segment::new(&self.session);
        self.pass_on_replies().await
    }

    /// Waits for the client if there are many bytes of replies that the node has made by itself.
    async fn pass_on_replies(&mut self) -> std::io::Result<()> {
        if self.output.len() > OWN_REPLY_BYTES_MAX {
            self.relieve().await?;
            // Others have their turn: such replies cost more to make than to ask for.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// Whether a command that the state machine has is for it: some are in part.
fn is_for_data(spec: &Spec, request: &Request<'_>, front: &Front) -> bool {
    let words: &[&str] = match spec.name {
        "cluster" if front.is_cluster() => &["countkeysinslot", "getkeysinslot"],
        "cluster" => &[],
        "memory" => &["usage"],
        "debug" => &["digest", "digest-value", "reload", "loadaof"],
        _ => return true,
    };
    let subcommand = request.get(1).unwrap_or_default();
    words.iter().any(|word| subcommand.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a command waits if it finds nothing.
fn waits(spec: &'static Spec, request: &Request<'_>) -> bool {
    let may_be = command::is_blocking(spec) || spec.name == "once";
    may_be && command::may_wait(spec, &request.iter().collect::<Vec<_>>())
}
