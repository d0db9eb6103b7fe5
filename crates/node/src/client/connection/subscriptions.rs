//! `SUBSCRIBE` and its relatives, and the messages that come of them.
//!
//! A subscription is registered with the group that messages go through, and answered then. The reply says
//! where the feed of this node stood: messages behind that are for the client. Before it is asked for, the
//! [hub](crate::client::hub) is told, so that none of them passes by; what comes too early is left out. The
//! end of a subscription is answered once everything that was before it has been written.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::channels::Sort;
use onecopy_keyspace::command::{self, Spec, catalogue};
use onecopy_keyspace::feeds::marked;
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::{Request, Version};
use onecopy_views::MAIN;

use super::Connection;
use super::segment::Segment;
use crate::client::accounting::Tally;
use crate::client::commands;
use crate::client::failure::explain;
use crate::client::hub;
use crate::client::mailbox::Position;
use crate::client::subscriptions::{Subscriptions, said};
use crate::client::{Clients, session::Subscribed};

/// The end of a connection's subscriptions is asked for so often until it is executed.
const END_INTERVAL: Duration = Duration::from_secs(1);

/// What a command does with subscriptions, if it does.
fn meaning(name: &str) -> Option<(Sort, bool)> {
    Some(match name {
        "subscribe" => (Sort::Channel, true),
        "psubscribe" => (Sort::Pattern, true),
        "ssubscribe" => (Sort::Shard, true),
        "unsubscribe" => (Sort::Channel, false),
        "punsubscribe" => (Sort::Pattern, false),
        "sunsubscribe" => (Sort::Shard, false),
        _ => return None,
    })
}

/// Whether a command is about the subscriptions of its connection.
pub(super) fn is_about_subscriptions(spec: &Spec) -> bool {
    meaning(spec.name).is_some()
}

/// Whether a `PUBSUB` asks for something that there is.
fn is_right_question(request: &Request<'_>) -> bool {
    let is = |word: &str| request.get(1).is_some_and(|sub| sub.eq_ignore_ascii_case(word.as_bytes()));
    match request.len() {
        2 if is("NUMPAT") || is("HELP") => true,
        _ => ["CHANNELS", "NUMSUB", "SHARDCHANNELS", "SHARDNUMSUB"].into_iter().any(is),
    }
}

/// Whether a command goes to the group that messages go through, whatever database is selected.
pub(super) fn is_about_channels(spec: &Spec) -> bool {
    spec.group == "pubsub"
}

impl Connection<'_> {
    /// In RESP2, a client that listens can say nothing else. What it is told if it does.
    pub(super) fn refused_while_listening(&self, request: &Request<'_>) -> Option<String> {
        let allowed = [
            "subscribe",
            "psubscribe",
            "ssubscribe",
            "unsubscribe",
            "punsubscribe",
            "sunsubscribe",
            "ping",
            "quit",
            "reset",
        ];
        let name = request.get(0).unwrap_or_default();
        if !self.answers_as_message()
            || allowed.iter().any(|allowed| name.eq_ignore_ascii_case(allowed.as_bytes()))
        {
            return None;
        }
        // What is wrong with it is said first.
        let spec = commands::lookup(name).or_else(|| command::lookup(name))?;
        spec.check_arity(request.len()).ok()?;
        let name = match request.get(1).filter(|_| !catalogue::subcommands(spec.name).is_empty()) {
            Some(word) => format!(
                "{}|{}",
                spec.name,
                String::from_utf8_lossy(&word[..word.len().min(128)]).to_lowercase()
            ),
            None => spec.name.to_owned(),
        };
        if spec.name == "pubsub" && !is_right_question(request) {
            return None;
        }
        Some(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
             allowed in this context"
        ))
    }

    /// Whether replies have the form that they have for a client that listens.
    pub(super) fn answers_as_message(&self) -> bool {
        self.session.version == Version::Two
            && self.subscriptions.as_ref().is_some_and(|subscriptions| !subscriptions.is_empty())
    }

    /// A command about subscriptions. What was asked for before is answered.
    pub(super) async fn change_subscriptions(
        &mut self,
        spec: &'static Spec,
        request: &Request<'_>,
    ) -> std::io::Result<()> {
        self.count_command(spec);
        self.segment = Segment::new(&self.session);
        let Some((sort, begins)) = meaning(spec.name) else { return Ok(()) };
        let mut names: Vec<Bytes> = request.iter().skip(1).map(Bytes::copy_from_slice).collect();
        if begins {
            self.begin_subscriptions(spec, sort, &names).await?;
        } else {
            if names.is_empty() {
                let all = self.subscriptions.iter().flat_map(|all| all.names[sort as usize].keys());
                names = all.cloned().collect();
            }
            self.end_subscriptions(spec, sort, names).await?;
        }
        self.show_subscriptions();
        Ok(())
    }

    async fn begin_subscriptions(
        &mut self,
        spec: &'static Spec,
        sort: Sort,
        names: &[Bytes],
    ) -> std::io::Result<()> {
        let clients = self.clients;
        let mailbox = self.mailbox();
        let subscriptions = self.subscriptions.get_or_insert_with(|| {
            let number = clients.lives.listener();
            clients.hub.open(number, mailbox, clients);
            Box::new(Subscriptions { number, names: Default::default() })
        });
        let number = subscriptions.number;
        clients.hub.listen(number, sort, names);
        match self.register(number, spec, names).await? {
            Ok((epoch, count)) if clients.hub.registered(number, epoch) => {
                let Some(subscriptions) = &mut self.subscriptions else { return Ok(()) };
                let mut writer = self.output.messages(self.session.version);
                for name in names {
                    subscriptions.names[sort as usize].entry(name.clone()).or_insert((epoch, count));
                    said(spec, Some(name), subscriptions.counted(sort), &mut writer);
                }
            }
            Ok(_) => {
                hub::complain(self.session.address, "the feed of what is published has begun anew");
                self.session.leaving = true;
            }
            Err(failure) => {
                if let Some(subscriptions) = &self.subscriptions {
                    let known = &subscriptions.names[sort as usize];
                    let new = names.iter().filter(|name| !known.contains_key(*name));
                    clients.hub.unlisten(number, sort, new);
                }
                // What nobody can say, the client must not rely on; its subscriptions end with it.
                self.session.leaving |= failure.is_uncertain;
                self.fail(&failure.error)?;
            }
        }
        Ok(())
    }

    async fn end_subscriptions(
        &mut self,
        spec: &'static Spec,
        sort: Sort,
        names: Vec<Bytes>,
    ) -> std::io::Result<()> {
        let version = self.session.version;
        let Some(subscriptions) = &self.subscriptions else {
            let mut writer = self.output.messages(version);
            match names.as_slice() {
                [] => said(spec, None, 0, &mut writer),
                names => names.iter().for_each(|name| said(spec, Some(name), 0, &mut writer)),
            }
            return Ok(());
        };
        let known: Vec<Bytes> = {
            let all = &subscriptions.names[sort as usize];
            names.iter().filter(|name| all.contains_key(*name)).cloned().collect()
        };
        let number = subscriptions.number;
        if !known.is_empty() {
            match self.register(number, spec, &known).await? {
                // What was published before this is heard before this.
                Ok(position) => {
                    self.clients.hub.reaches(position).await;
                    self.take_mail(usize::MAX)?;
                }
                Err(failure) => {
                    self.session.leaving |= failure.is_uncertain;
                    return self.fail(&failure.error);
                }
            }
        }
        self.clients.hub.unlisten(number, sort, &known);
        let Some(subscriptions) = &mut self.subscriptions else { return Ok(()) };
        let mut writer = self.output.messages(version);
        if names.is_empty() {
            said(spec, None, subscriptions.counted(sort), &mut writer);
        }
        for name in &names {
            subscriptions.names[sort as usize].remove(name);
            said(spec, Some(name), subscriptions.counted(sort), &mut writer);
        }
        Ok(())
    }

    /// Has subscriptions registered, or ended. Where the feed stood then.
    async fn register(
        &mut self,
        number: u64,
        spec: &'static Spec,
        names: &[Bytes],
    ) -> std::io::Result<Result<Position, Failure>> {
        let mut builder = SegmentBuilder::new(0, Version::Two).listening(number);
        builder.push(std::iter::once(spec.name.as_bytes()).chain(names.iter().map(AsRef::as_ref)));
        Ok(match self.ask(MAIN, Segment::plain(builder, Kind::Write, Tally::of(spec))).await? {
            Reply::Done { reply, .. } => marked(&reply).ok_or_else(|| {
                let error = String::from_utf8_lossy(&reply);
                Failure { error: error.trim_start_matches('-').trim_end().to_owned(), is_uncertain: false }
            }),
            failure => {
                let is_uncertain = matches!(failure, Reply::Unknown | Reply::Forgotten | Reply::Broken);
                Err(Failure { error: explain(&failure).into_owned(), is_uncertain })
            }
        })
    }

    /// A command about channels, of a client that has selected a database which another group holds.
    pub(super) async fn ask_channels(
        &mut self,
        spec: &'static Spec,
        request: &Request<'_>,
    ) -> std::io::Result<()> {
        self.count_command(spec);
        self.segment = Segment::new(&self.session);
        let mut builder = SegmentBuilder::new(0, self.session.version);
        builder.push(request.iter());
        let kind = if spec.name == "pubsub" { Kind::Read } else { Kind::Write };
        match self.ask(MAIN, Segment::plain(builder, kind, Tally::of(spec))).await? {
            Reply::Done { reply, .. } => self.output.push(reply),
            failure => self.fail(&explain(&failure))?,
        }
        Ok(())
    }

    /// Ends all subscriptions, and hears before what was published before that.
    pub(super) async fn give_up_subscriptions(&mut self) -> std::io::Result<()> {
        let Some(number) = self.subscriptions.as_ref().map(|subscriptions| subscriptions.number) else {
            return Ok(());
        };
        let segment = Segment::plain(endings(number), Kind::Write, Tally::default());
        if let Reply::Done { reply, .. } = self.ask(MAIN, segment).await?
            && let Some(position) = marked(&reply)
        {
            self.clients.hub.reaches(position).await;
            self.take_mail(usize::MAX)?;
        }
        self.leave_subscriptions();
        Ok(())
    }

    /// Listens to nothing any more, and nobody waits for that.
    pub(super) fn leave_subscriptions(&mut self) {
        let Some(subscriptions) = self.subscriptions.take() else { return };
        for sort in Sort::ALL {
            self.clients.hub.unlisten(subscriptions.number, sort, subscriptions.names[sort as usize].keys());
        }
        self.clients.hub.close(subscriptions.number);
        end(self.clients, subscriptions.number);
        self.show_subscriptions();
    }

    /// Shows in `CLIENT LIST` how much is listened to.
    fn show_subscriptions(&self) {
        let count = |sort| self.subscriptions.as_ref().map_or(0, |subscriptions| subscriptions.count(sort));
        let [channels, patterns, shards] = Sort::ALL.map(count);
        let subscribed = Subscribed { channels, patterns, shards };
        self.clients.register.with(self.clients.thread, self.session.id, |peer| peer.subscribed = subscribed);
    }
}

/// Why something was not registered.
struct Failure {
    error: String,
    /// Perhaps it was.
    is_uncertain: bool,
}

/// What ends all subscriptions of a listener.
fn endings(number: u64) -> SegmentBuilder {
    let mut builder = SegmentBuilder::new(0, Version::Two).listening(number);
    ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"].iter().for_each(|name| builder.push([name.as_bytes()]));
    builder
}

/// Ends all subscriptions of a listener, however long it takes: a message for nobody would be counted.
fn end(clients: &Rc<Clients>, number: u64) {
    let segment = endings(number).finish().freeze();
    let clients = clients.clone();
    tokio::task::spawn_local(async move {
        loop {
            match clients.hand_in(MAIN, Kind::Write, segment.clone()).await {
                Ok(Reply::Done { .. }) | Err(_) => return,
                Ok(_) => tokio::time::sleep(END_INTERVAL).await,
            }
        }
    });
}
