//! `MULTI`, `EXEC`, `DISCARD`, `WATCH` and `UNWATCH`.
//!
//! A transaction is queued here, and handed in as one segment. What is checked when a command is queued, and
//! what only when it is executed, is as in Redis.

use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::command::{self, Spec};
use onecopy_keyspace::request::{SegmentBuilder, WatchId};
use onecopy_keyspace::{CommandError, TRANSACTION_COMMANDS_MAX};
use onecopy_resp::Request;
use onecopy_views::{Kind as Replication, MAIN};

use super::cluster::Slots;
use super::segment::{Segment, push_bit_by_bit};
use super::subscriptions::{is_about_channels, is_about_subscriptions};
use super::{Connection, OWN_REPLY_BYTES_MAX, is_for_data};
use crate::client::Clients;
use crate::client::accounting::{self, Tally};
use crate::client::cluster::CROSS_SLOT;
use crate::client::commands;
use crate::client::databases::{Databases, OUT_OF_RANGE, Selected, localised, spans};
use crate::client::failure::explain;
use crate::client::info::data_bytes;
use crate::client::queue::{Filling, Finished, Own, Queue, is_executed};
use crate::client::tracking::OPTIMISTIC;
use crate::client::watched::Watched;

const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";
const NOT_HERE: &str = "ERR Command not allowed inside a transaction";

/// Whether this node believes that nothing has room that needs some. The primary settles that when it
/// executes a transaction; what is queued is refused by what is believed, as in Redis.
fn lacks_room(clients: &Clients) -> bool {
    let memory_max = clients.policy().parameters.maxmemory;
    let evicts = || {
        let eviction = clients.knowledge.table().settings().eviction();
        eviction.is_some_and(|eviction| eviction.policy.evicts())
    };
    memory_max > 0 && data_bytes(clients) >= memory_max && !evicts()
}

impl Connection<'_> {
    /// A command of a transaction, outside of one: whether it is one. What was asked for before is answered.
    pub(super) fn take_outside(&mut self, name: &[u8], count: usize) -> bool {
        let Some(spec) = commands::lookup(name).filter(|spec| spec.check_arity(count).is_ok()) else {
            return false;
        };
        let error = match spec.name {
            "multi" => {
                let (selected, version) = (self.session.selected, self.session.version);
                let client = self.session.tracking.as_ref().map(|it| it.client(selected.group));
                let queue = Queue::new((selected, version), self.watched.as_ref(), client);
                self.queue = Some(Box::new(queue));
                self.queued_slots = Slots::default();
                self.show_queue(spec);
                self.output.writer(version).ok();
                accounting::counted(self.clients, spec.name);
                return true;
            }
            "exec" => "ERR EXEC without MULTI",
            "discard" => "ERR DISCARD without MULTI",
            _ => return false,
        };
        self.complain(error);
        true
    }

    /// A command between `MULTI` and `EXEC`.
    pub(super) async fn take_inside(&mut self, name: &[u8], request: &Request<'_>) -> std::io::Result<()> {
        let Some(spec) = commands::lookup(name).or_else(|| command::lookup(name)) else {
            let args: Vec<&[u8]> = request.iter().collect();
            self.refuse_queue(&commands::unknown(&args));
            return Ok(());
        };
        let args: Vec<&[u8]> = request.iter().take(2).collect();
        let is_right = spec.check_arity(request.len()).map_err(|error| error.to_string());
        if let Err(error) = is_right.and_then(|()| commands::check_subcommand_of(spec, &args, request.len()))
        {
            if spec.name == "exec" {
                self.leave_transaction();
                let reason = error.strip_prefix("ERR ").unwrap_or(&error);
                self.complain(&format!("EXECABORT Transaction discarded because of: {reason}"));
            } else {
                self.refuse_queue(&error);
            }
            return Ok(());
        }
        match spec.name {
            "multi" => self.complain("ERR MULTI calls can not be nested"),
            "watch" => self.complain("ERR WATCH inside MULTI is not allowed"),
            "exec" => {
                accounting::counted(self.clients, spec.name);
                if self.spans_slots() {
                    self.leave_transaction();
                    self.complain(CROSS_SLOT);
                    return Ok(());
                }
                return self.execute().await;
            }
            "discard" => {
                self.leave_transaction();
                accounting::counted(self.clients, spec.name);
                self.output.writer(self.session.version).ok();
            }
            "quit" | "reset" => {
                self.leave_transaction();
                if spec.name == "reset" {
                    self.give_up_subscriptions().await?;
                    self.end_monitoring();
                    self.end_tracking();
                }
                return self.answer(&request.iter().collect::<Vec<_>>()).await;
            }
            // What is said in one protocol, or to one client, stays so until its end.
            "hello" | "auth" | "failover" | "migrate" | "monitor" | "shutdown" => self.refuse_queue(NOT_HERE),
            // Each has as many replies as it has names.
            _ if is_about_subscriptions(spec) => self.refuse_queue(NOT_HERE),
            _ => match self.enqueue(spec, request).await {
                Ok(()) => {
                    self.show_queue(spec);
                    self.output.writer(self.session.version).simple("QUEUED");
                }
                Err(error) => self.refuse_queue(&error),
            },
        }
        if self.output.len() > OWN_REPLY_BYTES_MAX {
            self.relieve().await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Puts a command into the queue.
    async fn enqueue(&mut self, spec: &'static Spec, request: &Request<'_>) -> Result<(), String> {
        let bytes_max = self.clients.config.limits.command_bytes;
        let Some(queue) = &mut self.queue else { return Ok(()) };
        if queue.is_refused() {
            return Ok(());
        }
        if queue.bytes() + request.size() > bytes_max {
            return Err(format!("ERR a transaction may have {bytes_max} bytes (limits.command_bytes)"));
        }
        if queue.count() >= TRANSACTION_COMMANDS_MAX {
            return Err(format!("ERR a transaction has at most {TRANSACTION_COMMANDS_MAX} commands"));
        }
        let databases = Databases::behind(&self.session.front, &self.clients.knowledge);
        match spec.name {
            "select" if self.session.tracking.is_some() => {
                let number = request.get(1).unwrap_or_default();
                let found = Selected::find(number, &databases);
                if found.is_ok_and(|it| databases.table.kind(it.group) == Replication::Optimistic) {
                    return Err(OPTIMISTIC.to_owned());
                }
                queue.select(number, &databases);
            }
            "select" => queue.select(request.get(1).unwrap_or_default(), &databases),
            "client" if request.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"caching")) => {
                // It is for what is queued behind it; what is wrong with it is said when it is answered.
                if let Some(tracking) = &mut self.session.tracking {
                    let _ = tracking.caching(request.get(2).unwrap_or_default());
                }
                queue.own(request.iter().map(<[u8]>::to_vec).collect());
            }
            name if !command::lookup(name.as_bytes())
                .is_some_and(|spec| is_for_data(spec, request, &self.session.front)) =>
            {
                queue.own(request.iter().map(<[u8]>::to_vec).collect());
            }
            _ if is_about_channels(spec) && queue.selected().group != MAIN => {
                return Err(format!(
                    "ERR messages go through the log of the database with the number 0: {} is no part of \
                     transactions of databases beside it",
                    spec.name.to_uppercase()
                ));
            }
            "flushall" if databases.shows_several() => {
                return Err("ERR FLUSHALL cannot span databases within a transaction; FLUSHDB can be in one"
                    .to_owned());
            }
            "once" if request.get(2).is_some_and(|name| name.eq_ignore_ascii_case(b"exec")) => {
                return Err(
                    "ERR ONCE is put in front of each command of a transaction, and not of EXEC".to_owned()
                );
            }
            _ if spec.grows && lacks_room(self.clients) => {
                return Err(CommandError::OutOfMemory.to_string());
            }
            name => {
                let args = match localised(name, request, queue.selected(), &databases) {
                    Err(error) if error != OUT_OF_RANGE => return Err(error),
                    args => args.unwrap_or_default(),
                };
                if let Some(tracking) = &self.session.tracking {
                    queue.note_cached(tracking, spec, &request.iter().collect::<Vec<_>>());
                }
                let builder = queue.data(spec, &databases.table)?;
                match args {
                    Some(args) => builder.push(args.iter().map(Vec::as_slice)),
                    None => push_bit_by_bit(builder, request).await,
                }
            }
        }
        Ok(())
    }

    /// `EXEC`
    async fn execute(&mut self) -> std::io::Result<()> {
        let Some(queue) = self.queue.take() else { return Ok(()) };
        let is_uncertain = self.watched.is_some_and(|watched| watched.is_uncertain);
        if queue.is_refused() || is_uncertain {
            self.leave_transaction();
            match queue.is_refused() {
                true => self.complain(ABORTED),
                false => self.output.writer(self.session.version).null_array(),
            }
            return Ok(());
        }
        let finished = queue.finish(self.session.who.rights.as_ref());
        let Finished { group, kind, builder, tally, own, cached } = finished;
        let outcome = self.ask(group, Segment { builder, kind, tally, cached }).await?;
        if matches!(outcome, Reply::Done { .. }) {
            // It has ended with the transaction.
            self.watched = None;
        }
        self.leave_transaction();
        match outcome {
            Reply::Done { reply, .. } if is_executed(&reply) => {
                let (header, mut filling) = Filling::begin(reply);
                self.output.push(header);
                for (place, own) in own {
                    match own {
                        Own::Select(selected) => commands::selects(self.clients, &mut self.session, selected),
                        Own::Answer(args) => {
                            let before = filling.through(place).ok_or(std::io::ErrorKind::InvalidData)?;
                            self.output.push(before);
                            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                            self.session.in_transaction = true;
                            self.answer(&args).await?;
                            self.session.in_transaction = false;
                        }
                    }
                }
                self.output.push(filling.rest());
                // Another database may be selected now.
                self.segment = Segment::new(&self.session);
            }
            Reply::Done { reply, .. } => self.output.push(reply),
            failure => self.complain(&explain(&failure)),
        }
        Ok(())
    }

    /// `WATCH key …` and `UNWATCH`, outside of a transaction. What was asked for before is answered.
    pub(super) async fn watch(&mut self, spec: &'static Spec, request: &Request<'_>) -> std::io::Result<()> {
        self.count_command(spec);
        self.segment = Segment::new(&self.session);
        if spec.name == "unwatch" {
            self.end_watch();
            self.output.writer(self.session.version).ok();
            return Ok(());
        }
        let selected = self.session.selected;
        let is_first = self.watched.is_none();
        let new = || Watched { id: self.clients.lives.watch(selected.group), selected, is_uncertain: false };
        let mut watched = self.watched.unwrap_or_else(new);
        if watched.selected.group != selected.group {
            let table = self.clients.knowledge.table();
            let error = spans("watch", selected.number, watched.selected, selected.group, &table);
            self.complain(&error);
            return Ok(());
        }
        let mut builder = SegmentBuilder::new(selected.local, self.session.version).watched(watched.id);
        builder.push(request.iter());
        match self.ask(selected.group, Segment::plain(builder, Kind::Write, Tally::default())).await? {
            Reply::Done { reply, .. } => {
                if !is_first || reply.first() != Some(&b'-') {
                    self.watched = Some(watched);
                }
                self.output.push(reply);
            }
            failure => {
                // If it was not executed, its keys are not watched, as the client is told.
                if matches!(failure, Reply::Unknown | Reply::Forgotten | Reply::Broken) {
                    watched.is_uncertain = true;
                    self.watched = Some(watched);
                }
                self.complain(&explain(&failure));
            }
        }
        Ok(())
    }

    /// Neither queues any more nor watches.
    pub(super) fn leave_transaction(&mut self) {
        self.queue = None;
        self.end_watch();
        self.clients.register.with(self.clients.thread, self.session.id, |peer| {
            (peer.queued, peer.queued_bytes) = (None, 0);
        });
    }

    /// Nothing is watched any more, and the copies are told. Nobody waits for that: no other watch has its
    /// name.
    pub(super) fn end_watch(&mut self) {
        if let Some(watched) = self.watched.take() {
            self.forget_watch(watched.selected.group, watched.id);
        }
    }

    /// This watch is of no use any more.
    pub(super) fn forget_watch(&self, group: GroupId, watch: WatchId) {
        let mut builder = SegmentBuilder::new(0, self.session.version).watched(watch);
        builder.push([b"UNWATCH".as_slice()]);
        drop(self.clients.hand_in(group, Kind::Write, builder.finish().freeze()));
    }

    pub(super) fn refuse_queue(&mut self, error: &str) {
        if let Some(queue) = &mut self.queue {
            queue.refuse();
        }
        self.complain(error);
    }

    /// Shows in `CLIENT LIST` how much is queued.
    fn show_queue(&self, spec: &'static Spec) {
        let queued = self.queue.as_ref().map(|queue| queue.count());
        let bytes = self.queue.as_ref().map_or(0, |queue| queue.bytes());
        self.clients.register.with(self.clients.thread, self.session.id, |peer| {
            peer.last_command = spec.name;
            peer.commands += 1;
            (peer.queued, peer.queued_bytes) = (queued, bytes);
        });
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.end_watch();
    }
}
