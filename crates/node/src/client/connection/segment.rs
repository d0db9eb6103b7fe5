//! Data commands on their way to the coordinator, in segments.

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::command::{self, Spec};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::Request;
use onecopy_views::Kind as Replication;

use super::{Connection, READ_BYTES_MAX, REPLY_BYTES_WANTED, SEGMENT_COMMANDS_MAX};
use crate::client::accounting::{self, Tally};
use crate::client::databases::{Databases, beyond, localised};
use crate::client::failure::explain;
use crate::client::session::Session;
use crate::client::tracking::Cached;
use crate::status::ClientCounters;

/// Data commands that have not been submitted yet.
pub(super) struct Segment {
    pub(super) builder: SegmentBuilder,
    pub(super) kind: Kind,
    /// Which commands it has.
    pub(super) tally: Tally,
    /// If its client caches: what it will have cached.
    pub(super) cached: Option<Cached>,
}

impl Segment {
    pub(super) fn new(session: &Session) -> Self {
        let builder = SegmentBuilder::new(session.selected.local, session.version);
        let builder = if session.no_touch { builder.untouching() } else { builder };
        match &session.tracking {
            None => Self::plain(builder, Kind::Read, Tally::default()),
            Some(tracking) => {
                let builder = builder.caching(tracking.client(session.selected.group));
                let cached = Some(Cached::default());
                Self { cached, ..Self::plain(builder, Kind::Read, Tally::default()) }
            }
        }
    }

    /// One from which nothing gets into a cache.
    pub(super) fn plain(builder: SegmentBuilder, kind: Kind, tally: Tally) -> Self {
        Self { builder, kind, tally, cached: None }
    }
}

impl Connection<'_> {
    /// A command that may name other databases: those of the same group it may reach, and `COPY` others.
    pub(super) async fn add_localised(
        &mut self,
        spec: &'static Spec,
        request: &Request<'_>,
    ) -> std::io::Result<()> {
        let databases = Databases::behind(&self.session.front, &self.clients.knowledge);
        if let Some(target) = beyond(spec.name, request, self.session.selected, &databases) {
            return self.reach_beyond(spec, request, target, &databases.table).await;
        }
        match localised(spec.name, request, self.session.selected, &databases) {
            Ok(None) => self.add_to_segment(spec, request.iter()),
            Ok(Some(args)) => self.add_to_segment(spec, args.iter().map(Vec::as_slice)),
            Err(error) => {
                // Replies come in the order of the requests.
                self.submit().await?;
                self.complain(&error);
            }
        }
        Ok(())
    }

    /// `FLUSHALL` is for all databases, one group after the other. One reply says whether all of them did it.
    pub(super) async fn flush_all(
        &mut self,
        spec: &'static Spec,
        request: &Request<'_>,
    ) -> std::io::Result<()> {
        let databases = Databases::behind(&self.session.front, &self.clients.knowledge);
        let table = databases.table.clone();
        if !databases.shows_several() {
            self.add_to_segment(spec, request.iter());
            return Ok(());
        }
        self.submit().await?;
        let mut reply = Bytes::new();
        for (group, _) in table.databases() {
            let builder = SegmentBuilder::new(self.session.selected.local, self.session.version);
            let mut segment = Segment::plain(builder, Kind::Write, Tally::default());
            segment.builder.push(request.iter());
            match self.ask(group, segment).await? {
                Reply::Done { reply: done, .. } => reply = done,
                failure => {
                    let name = table.database(group).map(|database| database.name).unwrap_or_default();
                    let error = format!("{}; this is said of the database {name}", explain(&failure));
                    self.complain(&error);
                    return Ok(());
                }
            }
            if reply.first() == Some(&b'-') {
                break;
            }
        }
        self.end_waiting(self.session.selected.group, Vec::new()).await;
        self.output.push(reply);
        Ok(())
    }

    /// Whether it is `WAIT` or `CAUSAL` in an optimistic database: its copies answer that. Elsewhere there is
    /// nothing to wait for.
    pub(super) fn asks_about_copies(&self, name: &[u8]) -> bool {
        let asks = name.eq_ignore_ascii_case(b"wait") || name.eq_ignore_ascii_case(b"causal");
        asks && self.clients.knowledge.table().kind(self.session.selected.group) == Replication::Optimistic
    }

    /// `WAIT copies milliseconds`, `CAUSAL` and `CAUSAL token [milliseconds]`. What was asked for before is
    /// answered.
    pub(super) async fn ask_about_copies(&mut self, request: &Request<'_>) -> std::io::Result<()> {
        let mut segment = Segment { kind: Kind::Wait, ..Segment::new(&self.session) };
        segment.builder.push(request.iter());
        match self.ask(self.session.selected.group, segment).await? {
            Reply::Done { reply, .. } => self.output.push(reply),
            failure => self.output.writer(self.session.version).error(&explain(&failure)),
        }
        Ok(())
    }

    pub(super) fn add_to_segment<'b>(&mut self, spec: &'static Spec, args: impl Iterator<Item = &'b [u8]>) {
        self.count_command(spec);
        if self.session.tracking.is_none() {
            return self.segment.builder.push(args);
        }
        let args: Vec<&[u8]> = args.collect();
        self.note_cached(spec, &args);
        self.segment.builder.push(args);
    }

    pub(super) async fn add_large(&mut self, spec: &'static Spec, request: &Request<'_>) {
        self.count_command(spec);
        if self.session.tracking.is_some() {
            self.note_cached(spec, &request.iter().collect::<Vec<_>>());
        }
        push_bit_by_bit(&mut self.segment.builder, request).await;
    }

    pub(super) fn count_command(&mut self, spec: &'static Spec) {
        // Reads among writes go through the log with them: the order within a connection is kept.
        if spec.kind != command::Kind::Read {
            self.segment.kind = Kind::Write;
        }
        self.segment.tally.count(spec);
        self.carry_rights(spec);
        self.clients.register.with(self.clients.thread, self.session.id, |peer| {
            peer.last_command = spec.name;
            peer.commands += 1;
        });
    }

    /// A script may do no more than the client: its rights travel with the request.
    fn carry_rights(&mut self, spec: &'static Spec) {
        if let Some(rights) = self.session.who.rights.as_ref().filter(|_| spec.carries_rights()) {
            self.segment.builder.carry_rights(rights.clone());
        }
    }

    /// Submits the segment, if there is something in it, and waits for the replies.
    pub(super) async fn submit(&mut self) -> std::io::Result<()> {
        let count = self.segment.builder.count();
        if count == 0 {
            return Ok(());
        }
        let segment = std::mem::replace(&mut self.segment, Segment::new(&self.session));
        match self.ask(self.session.selected.group, segment).await? {
            Reply::Done { reply, .. } => {
                self.adapt(reply.len());
                self.output.push(reply);
            }
            failure => {
                let error = explain(&failure);
                let mut writer = self.output.writer(self.session.version);
                (0..count).for_each(|_| writer.error(&error));
                ClientCounters::add(&self.clients.knowledge.data.clients.errors, u64::from(count));
            }
        }
        Ok(())
    }

    /// Hands in a segment, and waits for what becomes of it.
    pub(super) async fn ask(&mut self, group: GroupId, segment: Segment) -> std::io::Result<Reply> {
        let Segment { builder, kind, tally, cached } = segment;
        let asked = match cached {
            Some(cached) => Some(self.begin_asking((group, kind), &cached, builder.replies()).await),
            None => None,
        };
        let segment = builder.finish().freeze();
        let (began, body) = (std::time::Instant::now(), segment.clone());
        self.share.resize(segment.len());
        self.relieve().await?;
        let answered = self.clients.hand_in(group, kind, segment);
        // Without an answer the node is stopping.
        let answer =
            answered.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionAborted))?;
        let replies = if let Reply::Done { reply, .. } = &answer { Some(reply) } else { None };
        accounting::executed(self.clients, &self.session, &tally, began.elapsed(), &body, replies);
        match asked {
            Some(asked) => self.end_asking(asked, answer).await,
            None => Ok(answer),
        }
    }

    /// Learns from the size of the replies how many commands the next segment should take.
    pub(super) fn adapt(&mut self, reply_bytes: usize) {
        if reply_bytes > 4 * REPLY_BYTES_WANTED {
            self.segment_commands_max = (self.segment_commands_max / 4).max(1);
        } else if reply_bytes < REPLY_BYTES_WANTED {
            self.segment_commands_max = (self.segment_commands_max * 2).min(SEGMENT_COMMANDS_MAX);
        }
    }
}

/// Adds a command bit by bit, and others have their turn between.
pub(super) async fn push_bit_by_bit(builder: &mut SegmentBuilder, request: &Request<'_>) {
    push_args_bit_by_bit(builder, &request.iter().collect::<Vec<_>>()).await;
}

/// The same with arguments that stand somewhere else.
pub(in crate::client) async fn push_args_bit_by_bit(builder: &mut SegmentBuilder, args: &[&[u8]]) {
    let count = u32::try_from(args.len()).expect("a request has no more arguments than its limit");
    builder.begin_command(count, args.iter().map(|arg| arg.len()).sum());
    for arg in args {
        builder.begin_argument(arg.len());
        for bit in arg.chunks(READ_BYTES_MAX) {
            builder.extend(bit);
            if bit.len() == READ_BYTES_MAX {
                tokio::task::yield_now().await;
            }
        }
    }
}
