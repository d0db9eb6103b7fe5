//! Commands that wait, and `CLIENT UNBLOCK`.
//!
//! Such a command is handed in alone. If it waits, it does so in the replicated state, under a name; here the
//! connection waits for the answer, and for the client to leave. What the client sends meanwhile is taken in,
//! up to a bound, and executed afterwards.
//!
//! A client that leaves must take its waiter with it, or that would be given what nobody hears of. That is
//! asked for until the command is answered, for it may come to the primary before the command does.

use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply, Submission};
use onecopy_keyspace::command::Spec;
use onecopy_keyspace::request::{SegmentBuilder, WaiterId};
use onecopy_resp::Request;
use tokio::io::Interest;
use tokio::sync::oneshot;

use super::mail::WRITTEN_TOGETHER;
use super::segment::{Segment, push_bit_by_bit};
use super::{Connection, READ_BYTES};
use crate::client::Clients;
use crate::client::accounting::{self, Tally};
use crate::client::commands::parse;
use crate::client::failure::explain;
use crate::client::tracking::Cached;
use crate::data::inbox::{Event, Inbox};
use crate::data::threads::Client;

/// So much of what a client sends while it waits is taken in. Whoever sends more is listened to again once
/// it is answered, and seen to leave only then.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// A waiter is taken away so often until it is gone.
const RELEASE_INTERVAL: Duration = Duration::from_secs(1);

/// A command that may wait.
pub(super) struct Waiting {
    group: GroupId,
    waiter: WaiterId,
    segment: Bytes,
    tally: Tally,
    /// The keys that its client may have cached by it.
    cached: Vec<Bytes>,
}

impl Connection<'_> {
    /// Makes a segment of a command that may wait. What was asked for before is answered.
    pub(super) async fn begin_waiting(&mut self, spec: &'static Spec, request: &Request<'_>) {
        self.count_command(spec);
        self.segment = Segment::new(&self.session);
        let selected = self.session.selected;
        let waiter = self.clients.lives.waiter(selected.group);
        let mut builder = SegmentBuilder::new(selected.local, self.session.version).waiting(waiter);
        push_bit_by_bit(&mut builder, request).await;
        let segment = builder.finish().freeze();
        let args: Vec<&[u8]> = request.iter().collect();
        let mut cached = Cached::default();
        if let Some(tracking) = &self.session.tracking {
            tracking.note(spec, &args, &mut cached);
        }
        let cached = cached.keys;
        self.waiting =
            Some(Waiting { group: selected.group, waiter, segment, tally: Tally::of(spec), cached });
    }

    /// Waits for the answer. `input` is what the client has sent behind the command.
    pub(super) async fn wait(&mut self, waiting: Waiting, input: &mut BytesMut) -> std::io::Result<()> {
        let Waiting { group, waiter, segment, tally, cached } = waiting;
        self.relieve().await?;
        let mut answered = self.clients.hand_in(group, Kind::Wait, segment.clone());
        self.show_blocked(Some((group, waiter)));
        if input.is_empty() {
            *input = BytesMut::new();
        }
        let ending = self.ending.clone();
        let mut left = None;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut answered => break outcome,
                () = ending.told(), if left.is_none() => left = Some(std::io::ErrorKind::ConnectionAborted.into()),
                lost = self.listen(input), if left.is_none() => left = lost.err(),
                () = tokio::time::sleep(RELEASE_INTERVAL), if left.is_some() => {}
            }
            if left.is_some() {
                release_once(&self.clients.inbox, self.clients.thread, group, waiter);
            }
        };
        self.show_blocked(None);
        // Without an answer the node is stopping.
        match outcome.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionAborted))? {
            Reply::Done { reply, .. } => {
                // To wait is no work.
                accounting::executed(
                    self.clients,
                    &self.session,
                    &tally,
                    Duration::ZERO,
                    &segment,
                    Some(&reply),
                );
                self.output.push(reply);
            }
            failure => {
                if matches!(failure, Reply::Unknown) {
                    release(self.clients, group, waiter);
                }
                self.complain(&explain(&failure));
            }
        }
        if left.is_none() {
            self.end_waiting(group, cached).await;
        }
        left.map_or(Ok(()), Err)
    }

    /// Takes in what a client sends while it waits, and writes what it has not read. Returns when it has
    /// left.
    async fn listen(&mut self, input: &mut BytesMut) -> std::io::Result<()> {
        loop {
            let has_mail = self.take_mail(WRITTEN_TOGETHER)?;
            let is_written = self.write()?;
            if has_mail && is_written {
                tokio::task::yield_now().await;
                continue;
            }
            let mail = self.mail();
            self.share.resize(input.len());
            let may_read = input.len() < INPUT_BYTES_MAX;
            let interest = match (may_read, is_written) {
                (true, true) => Interest::READABLE,
                (true, false) => Interest::READABLE | Interest::WRITABLE,
                (false, false) => Interest::WRITABLE,
                (false, true) => {
                    mail.await;
                    continue;
                }
            };
            let ready = tokio::select! {
                ready = self.stream.ready(interest) => ready?,
                () = mail => continue,
            };
            if !may_read || !ready.is_readable() {
                tokio::task::yield_now().await;
                continue;
            }
            input.reserve(READ_BYTES);
            match self.stream.try_read_buf(&mut (&mut *input).limit(READ_BYTES)) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.clients.knowledge.data.clients.read(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if input.is_empty() {
                        *input = BytesMut::new();
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Shows in `CLIENT LIST` that the client waits, and lets others find its waiter.
    fn show_blocked(&self, blocked: Option<(GroupId, WaiterId)>) {
        self.clients.register.with(self.clients.thread, self.session.id, |peer| peer.blocked = blocked);
    }

    /// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`
    pub(super) async fn unblock(&mut self, args: &[&[u8]]) -> std::io::Result<()> {
        let (id, reason) = match args {
            [id] => (*id, b"TIMEOUT".as_slice()),
            [id, reason] if reason.eq_ignore_ascii_case(b"timeout") => (*id, b"TIMEOUT".as_slice()),
            [id, reason] if reason.eq_ignore_ascii_case(b"error") => (*id, b"ERROR".as_slice()),
            _ => return self.fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        };
        let Some(id) = parse::<i64>(id) else {
            return self.fail("ERR value is not an integer or out of range");
        };
        let blocked = u64::try_from(id).ok().and_then(|id| self.clients.register.blocked(id));
        let Some((group, waiter)) = blocked else {
            self.output.writer(self.session.version).integer(0);
            return Ok(());
        };
        let segment = SegmentBuilder::unblock(waiter, reason).freeze();
        let answered = self.clients.hand_in(group, Kind::Write, segment);
        match answered.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionAborted))? {
            Reply::Done { reply, .. } => self.output.push(reply),
            failure => return self.fail(&explain(&failure)),
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, error: &str) -> std::io::Result<()> {
        self.complain(error);
        Ok(())
    }
}

/// Asks once for a waiter to be taken away.
fn release_once(inbox: &Inbox, thread: usize, group: GroupId, waiter: WaiterId) -> oneshot::Receiver<Reply> {
    let (reply, answered) = oneshot::channel();
    let segment = SegmentBuilder::unblock(waiter, b"GONE").freeze();
    let submission = Submission { kind: Kind::Write, segment, client: Client { thread, reply } };
    inbox.push(Event::Submitted { group, submission });
    answered
}

/// Takes a waiter away of which nobody can say whether it is one: its command was given up. Once this is
/// executed, the command never will be.
fn release(clients: &Clients, group: GroupId, waiter: WaiterId) {
    let (inbox, thread) = (Rc::clone(&clients.inbox), clients.thread);
    tokio::task::spawn_local(async move {
        while let Ok(outcome) = release_once(&inbox, thread, group, waiter).await
            && !matches!(outcome, Reply::Done { .. })
        {
            tokio::time::sleep(RELEASE_INTERVAL).await;
        }
    });
}
