//! What is done for a client that caches: which keys it asks for is noted before, and its replies come in
//! their place among the changes that it is told of ([`caches`](crate::client::caches)).
//!
//! A reply to a read comes behind the changes that it reflects, and before all others. Whoever writes is told
//! what it has changed itself behind the reply, as in Redis. What only reads and what writes is handed in
//! apart: of a read it is known exactly which changes it reflects.

use std::io::ErrorKind;

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::command::{Kind as CommandKind, Spec};
use onecopy_keyspace::tracking::table::{Invalidation, Position};
use onecopy_resp::{Request, Version, Writer};
use onecopy_views::Kind as Replication;
use tracing::error;

use super::Connection;
use crate::client::caches::{Cache, Marked, ask_mark};
use crate::client::mailbox::{Mail, Mailbox};
use crate::client::session::Tracks;
use crate::client::tracking::{Cached, OPTIMISTIC, Tracking, parse_tracking};

/// Where clients that speak RESP2 are told what has changed.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// A request of a client that caches, which is on its way.
pub(super) struct AskedFor {
    group: GroupId,
    kind: Kind,
    /// How many replies there will be.
    replies: usize,
    /// What its scripts have read is cached.
    scripts: bool,
    /// Where the feed stood when it was sent.
    begin: Position,
    /// How often it was doubtful before whether the feed is followed.
    doubts: u64,
}

impl Connection<'_> {
    /// `CLIENT TRACKING`
    pub(super) async fn set_tracking(&mut self, args: &[&[u8]]) -> Result<(), String> {
        let register = &self.clients.register;
        let is_there = |id| register.letterbox(id).is_some();
        let options = parse_tracking(self.session.tracking.as_deref(), args, is_there)?;
        let Some(options) = options else {
            self.end_tracking();
            return Ok(());
        };
        let group = self.session.selected.group;
        if self.clients.knowledge.table().kind(group) == Replication::Optimistic {
            return Err(OPTIMISTIC.to_owned());
        }
        let clients = self.clients;
        let make = || clients.hub.mailbox(clients.policy().parameters.output.pubsub);
        let redirect = register.letterbox(options.redirect).map(|letterbox| {
            letterbox.get_or_hang(make);
            (options.redirect, letterbox)
        });
        let tracking = Tracking::new(options, &clients.lives);
        let cache = Cache { mailbox: self.mailbox(), redirect };
        clients.caches.enter(self.session.id, (tracking.wants(), tracking.own()), cache);
        let is_new = self.session.tracking.is_none();
        if !clients.caches.follow(clients, group, clients.config.timeouts.request()).await {
            if is_new {
                clients.caches.leave(self.session.id);
            }
            return Err(
                "TRYAGAIN this node does not hear what changes; nothing is tracked that was not".to_owned()
            );
        }
        let options = &tracking.options;
        let tracks = Tracks { broadcasts: options.broadcasts, redirect: options.redirect, is_broken: false };
        clients.register.with(clients.thread, self.session.id, |peer| peer.tracks = Some(tracks));
        self.session.tracking = Some(Box::new(tracking));
        Ok(())
    }

    /// Caches nothing any more.
    pub(super) fn end_tracking(&mut self) {
        if self.session.tracking.take().is_some() {
            self.clients.caches.leave(self.session.id);
            self.clients.register.with(self.clients.thread, self.session.id, |peer| peer.tracks = None);
        }
    }

    /// Whom it wants to be told what has changed is not there any more.
    pub(super) fn redirect_is_broken(&self) {
        self.clients.register.with(self.clients.thread, self.session.id, |peer| {
            peer.tracks.iter_mut().for_each(|tracks| tracks.is_broken = true);
        });
    }

    /// A command was executed: what `CLIENT CACHING` said was for that alone, or for a whole transaction.
    pub(super) fn forget_caching(&mut self, request: &Request<'_>) {
        let Some(tracking) = self.session.tracking.as_mut().filter(|tracking| tracking.caching_given) else {
            return;
        };
        let is_client = request.get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"client"));
        if !is_client && self.queue.is_none() {
            tracking.caching_given = false;
        }
    }

    /// What reads and what writes is handed in apart, if the client caches.
    pub(super) async fn keep_apart(&mut self, spec: &Spec) -> std::io::Result<()> {
        let reads = spec.kind == CommandKind::Read;
        if self.session.tracking.is_some() && reads != (self.segment.kind == Kind::Read) {
            self.submit().await?;
        }
        Ok(())
    }

    /// Notes what the client will have cached because of a command.
    pub(super) fn note_cached(&mut self, spec: &Spec, args: &[&[u8]]) {
        if let (Some(tracking), Some(cached)) = (&self.session.tracking, &mut self.segment.cached) {
            tracking.note(spec, args, cached);
        }
    }

    /// A request of a client that caches is about to be handed in.
    pub(super) async fn begin_asking(
        &mut self,
        (group, kind): (GroupId, Kind),
        cached: &Cached,
        replies: usize,
    ) -> AskedFor {
        let caches = &self.clients.caches;
        // If it is not heard what changes, the reply says so.
        caches.follow(self.clients, group, self.clients.config.timeouts.request()).await;
        let doubts = caches.doubts(group);
        let begin = caches.ask(self.session.id, (group, kind != Kind::Read), &cached.keys);
        AskedFor { group, kind, replies, scripts: cached.scripts, begin, doubts }
    }

    /// It is answered, or not: the replies, once their turn among the changes has come.
    pub(super) async fn end_asking(&mut self, asked: AskedFor, answer: Reply) -> std::io::Result<Reply> {
        let (caches, id) = (&self.clients.caches, self.session.id);
        let Reply::Done { reply, as_of } = answer else {
            caches.gave_up(id);
            return Ok(answer);
        };
        let Some(Marked { replies, mark, read }) = Marked::take(reply, asked.replies) else {
            error!(address = %self.session.address, "the replies to a client that caches make no sense");
            return Err(ErrorKind::InvalidData.into());
        };
        caches.answer_came(id, mark);
        caches.reaches(asked.group, mark, asked.doubts).await;
        if asked.kind == Kind::Read {
            self.take_mail_while(usize::MAX, |mailbox| {
                take_reflected(mailbox, asked.group, (asked.begin, mark))
            })?;
        }
        let read = if asked.scripts { read } else { Some(Vec::new()) };
        let keys_max = self.clients.policy().parameters.tracked_keys_max;
        self.clients.caches.answered(id, mark, read.as_deref(), keys_max);
        Ok(Reply::Done { reply: replies, as_of })
    }

    /// A command that may have waited is answered: the client hears what it has changed, and what it has read
    /// is not kept.
    pub(super) async fn end_waiting(&mut self, group: GroupId, keys: Vec<Bytes>) {
        if self.session.tracking.is_none() {
            return;
        }
        let caches = &self.clients.caches;
        let doubts = caches.doubts(group);
        match ask_mark(self.clients, group).await {
            Some(mark) => {
                caches.answer_came(self.session.id, mark);
                caches.reaches(group, mark, doubts).await;
            }
            None => caches.invalidate(self.session.id, None),
        }
        keys.into_iter().for_each(|key| caches.invalidate(self.session.id, Some(key)));
    }
}

/// Takes what is to be told before a reply with this mark, to what was asked for when the feed stood at
/// `begin`. What the client has only asked for, and the reply reflects, it need not be told.
fn take_reflected(mailbox: &Mailbox, group: GroupId, (begin, mark): (Position, Position)) -> Option<Mail> {
    loop {
        match mailbox.take_through(group, mark)? {
            Mail::Invalid(what) if what.is_needless(group, (begin, mark)) => {}
            other => return Some(other),
        }
    }
}

fn write_keys(what: &Invalidation, writer: &mut Writer<'_>) {
    match &what.key {
        Some(key) => {
            writer.array(1);
            writer.bulk(key);
        }
        None => writer.null(),
    }
}

/// Tells a client that something which it has cached has changed. In RESP2 there is no way to.
pub(super) fn write_invalid(what: &Invalidation, writer: &mut Writer<'_>) {
    if writer.version() == Version::Three {
        writer.push(2);
        writer.bulk(b"invalidate");
        write_keys(what, writer);
    }
}

/// Tells it on behalf of another client. In RESP2 it must be listening to something.
pub(super) fn write_redirected(what: &Invalidation, listens: bool, writer: &mut Writer<'_>) {
    if writer.version() == Version::Two && listens {
        writer.push(3);
        writer.bulk(b"message");
        writer.bulk(CHANNEL);
        write_keys(what, writer);
    } else {
        write_invalid(what, writer);
    }
}

/// Tells a client that another one is gone which should have been told.
pub(super) fn write_broken(id: u64, writer: &mut Writer<'_>) {
    if writer.version() == Version::Three {
        writer.push(2);
        writer.bulk(b"tracking-redir-broken");
        writer.integer(i64::try_from(id).unwrap_or(i64::MAX));
    }
}
