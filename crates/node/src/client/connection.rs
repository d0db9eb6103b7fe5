//! One client connection.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use onecopy_host::{Kind, Reply, Submission};
use onecopy_keyspace::command::{self, Spec};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::{Limits, Parser, ProtocolError, Request, Version, Writer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::budget::Share;
use super::failover::failover;
use super::failure::explain;
use super::session::{Peer, Session};
use super::{Clients, commands};
use crate::data::inbox::Event;
use crate::status::ClientCounters;

/// How many bytes are taken from a connection at once.
const READ_BYTES: usize = 16 * 1024;
/// A segment is closed when it has grown to this many bytes.
const SEGMENT_BYTES_MAX: usize = 1024 * 1024;
/// How many commands a segment takes at first, and at most. In between it follows the size of the replies, which nobody
/// knows before: a pipeline of large reads must not fill the memory.
const SEGMENT_COMMANDS_FIRST: u32 = 16;
const SEGMENT_COMMANDS_MAX: u32 = 8192;
/// Segments grow while their replies are smaller than this, and shrink when they are larger than four times as much.
const REPLY_BYTES_WANTED: usize = 256 * 1024;
/// How long a client may leave its replies unread when the memory for them is used up.
const STALL_WHEN_OVERDRAWN: Duration = Duration::from_secs(1);
/// Buffers that grew beyond this are given back to the allocator.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

/// Serves a client until it leaves.
pub(crate) async fn serve(stream: TcpStream, address: SocketAddr, clients: &Clients) {
    let id = clients.next_id.get();
    clients.next_id.set(id + 1);
    let Ok(local) = stream.local_addr() else { return };
    let peer = Peer {
        id,
        address,
        local,
        since: std::time::Instant::now(),
        name: String::new(),
        library: String::new(),
        library_version: String::new(),
        db: 0,
        version: Version::Two,
        last_command: "",
        commands: 0,
    };
    clients.connected.borrow_mut().insert(id, peer);
    let counters = &clients.knowledge.data.clients;
    ClientCounters::add(&counters.connected, 1);
    // Why a client left is nobody's business; what it did wrong it has been told.
    let _ = Connection::new(stream, id, clients).run().await;
    counters.connected.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    clients.connected.borrow_mut().remove(&id);
}

struct Connection<'a> {
    stream: TcpStream,
    clients: &'a Clients,
    session: Session,
    share: Share<'a>,
    /// Replies on their way to the client.
    output: Vec<u8>,
    output_share: Share<'a>,
    segment: Segment,
    segment_commands_max: u32,
}

/// Data commands that have not been submitted yet.
struct Segment {
    builder: SegmentBuilder,
    kind: Kind,
}

impl Segment {
    fn new(session: &Session) -> Self {
        Self { builder: SegmentBuilder::new(session.db, session.version), kind: Kind::Read }
    }
}

impl<'a> Connection<'a> {
    fn new(stream: TcpStream, id: u64, clients: &'a Clients) -> Self {
        // Replies are written whole: waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let session = Session {
            id,
            db: 0,
            version: Version::Two,
            authenticated: clients.config.requirepass.is_empty(),
            leaving: false,
        };
        let segment = Segment::new(&session);
        Self {
            stream,
            clients,
            session,
            share: clients.budget.share(),
            output: Vec::new(),
            output_share: clients.replies.share(),
            segment,
            segment_commands_max: SEGMENT_COMMANDS_FIRST,
        }
    }

    async fn run(mut self) -> std::io::Result<()> {
        let limits = Limits {
            bulk_bytes_max: self.clients.config.limits.command_bytes,
            request_bytes_max: self.clients.config.limits.command_bytes,
            ..Limits::default()
        };
        let mut parser = Parser::new(limits);
        let mut input = BytesMut::new();
        loop {
            if let Err(error) = self.take_requests(&mut parser, &mut input).await? {
                Writer::new(&mut self.output, self.session.version).error(&format!("ERR {error}"));
                self.session.leaving = true;
            }
            self.flush().await?;
            if self.session.leaving {
                return self.stream.shutdown().await;
            }
            self.share.resize(input.len());
            if !self.share.room().await {
                let error = "ERR too many bytes of unfinished commands are held for all clients together";
                Writer::new(&mut self.output, self.session.version).error(error);
                self.flush().await?;
                return self.stream.shutdown().await;
            }
            let count = self.read(&mut input).await?;
            if count == 0 {
                return Ok(());
            }
            ClientCounters::add(&self.clients.knowledge.data.clients.bytes_in, count as u64);
        }
    }

    /// Waits for bytes and takes them. A connection that waits with nothing half received holds no buffer: there may be
    /// many thousands of them.
    async fn read(&mut self, input: &mut BytesMut) -> std::io::Result<usize> {
        if input.is_empty() {
            *input = BytesMut::new();
        }
        loop {
            self.stream.readable().await?;
            input.reserve(READ_BYTES);
            match self.stream.try_read_buf(input) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
        }
    }

    /// Takes every complete request that has arrived, and submits what is for the data.
    async fn take_requests(
        &mut self,
        parser: &mut Parser,
        input: &mut BytesMut,
    ) -> std::io::Result<Result<(), ProtocolError>> {
        let mut count = 0;
        let outcome = loop {
            match parser.next(input) {
                Ok(Some(request)) => {
                    count += 1;
                    self.take_request(&request).await?;
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
                self.flush().await?;
            }
        };
        ClientCounters::add(&self.clients.knowledge.data.clients.commands, count);
        self.submit().await?;
        Ok(outcome)
    }

    async fn take_request(&mut self, request: &Request<'_>) -> std::io::Result<()> {
        let Some(name) = request.get(0) else { return Ok(()) };
        match command::lookup(name) {
            Some(spec) if self.session.authenticated && spec.check_arity(request.len()).is_ok() => {
                self.add_to_segment(spec, request);
                Ok(())
            }
            _ => {
                // Replies come in the order of the requests: what went before is answered first.
                self.submit().await?;
                if self.session.authenticated && name.eq_ignore_ascii_case(b"failover") {
                    self.fail_over(request).await;
                    return Ok(());
                }
                let mut writer = Writer::new(&mut self.output, self.session.version);
                commands::answer(self.clients, &mut self.session, request, &mut writer);
                // SELECT and HELLO change what the next segment is.
                self.segment = Segment::new(&self.session);
                Ok(())
            }
        }
    }

    async fn fail_over(&mut self, request: &Request<'_>) {
        let args: Vec<Vec<u8>> = request.iter().skip(1).map(<[u8]>::to_vec).collect();
        let outcome = failover(self.clients, &args).await;
        let mut writer = Writer::new(&mut self.output, self.session.version);
        match outcome {
            Ok(()) => writer.ok(),
            Err(error) => {
                writer.error(&error);
                ClientCounters::add(&self.clients.knowledge.data.clients.errors, 1);
            }
        }
    }

    fn add_to_segment(&mut self, spec: &'static Spec, request: &Request<'_>) {
        // Reads among writes go through the log with them: the order within a connection is kept.
        if spec.kind != command::Kind::Read {
            self.segment.kind = Kind::Write;
        }
        self.segment.builder.push(request.iter());
        if let Some(peer) = self.clients.connected.borrow_mut().get_mut(&self.session.id) {
            peer.last_command = spec.name;
            peer.commands += 1;
        }
    }

    /// Submits the segment, if there is something in it, and waits for the replies.
    async fn submit(&mut self) -> std::io::Result<()> {
        let count = self.segment.builder.count();
        if count == 0 {
            return Ok(());
        }
        let Segment { builder, kind } = std::mem::replace(&mut self.segment, Segment::new(&self.session));
        let segment = builder.finish().freeze();
        self.share.resize(segment.len());
        // Those who do not read their replies are given up soon when the memory for replies is used up.
        while !self.output_share.room().await {
            self.flush().await?;
        }
        let (client, answered) = oneshot::channel();
        self.clients.inbox.push(Event::Submitted(Submission { kind, segment, client }));
        match answered.await {
            Ok(Reply::Done { reply, .. }) => {
                self.adapt(reply.len());
                self.output.extend_from_slice(&reply);
                self.output_share.resize(self.output.len());
            }
            Ok(failure) => {
                let error = explain(&failure);
                let mut writer = Writer::new(&mut self.output, self.session.version);
                (0..count).for_each(|_| writer.error(&error));
                ClientCounters::add(&self.clients.knowledge.data.clients.errors, u64::from(count));
            }
            // The node is stopping.
            Err(_) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
        Ok(())
    }

    /// Learns from the size of the replies how many commands the next segment should take.
    fn adapt(&mut self, reply_bytes: usize) {
        if reply_bytes > 4 * REPLY_BYTES_WANTED {
            self.segment_commands_max = (self.segment_commands_max / 4).max(1);
        } else if reply_bytes < REPLY_BYTES_WANTED {
            self.segment_commands_max = (self.segment_commands_max * 2).min(SEGMENT_COMMANDS_MAX);
        }
    }

    /// Writes all replies. A client that does not read them for long enough is given up.
    async fn flush(&mut self) -> std::io::Result<()> {
        let stall = Duration::from_secs(self.clients.config.limits.output_stall_seconds);
        let mut rest = self.output.as_slice();
        while !rest.is_empty() {
            let written = match self.stream.try_write(rest) {
                Ok(written) => written,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let overdrawn = self.clients.replies.is_overdrawn();
                    let patience = if overdrawn { stall.min(STALL_WHEN_OVERDRAWN) } else { stall };
                    let writable = tokio::time::timeout(patience, self.stream.writable());
                    writable.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            rest = &rest[written..];
        }
        ClientCounters::add(&self.clients.knowledge.data.clients.bytes_out, self.output.len() as u64);
        self.output.clear();
        self.output.shrink_to(BUFFER_BYTES_KEPT);
        self.output_share.resize(0);
        Ok(())
    }
}
