//! What a connection remembers of its client.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_keyspace::request::WaiterId;
use onecopy_keyspace::rights::User;
use onecopy_resp::Version;

use super::databases::Selected;
use super::ending::Ending;
use super::front::Front;
use super::mailbox::Letterbox;
use super::tracking::Tracking;

/// Which replies a client wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// All.
    All,
    /// None.
    Nothing,
    /// None of this command and the next one.
    SkipsNext,
    /// None of this command.
    Skips,
}

/// The state of a connection, changed by its own commands.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) address: IpAddr,
    /// What it finds where it called.
    pub(crate) front: Arc<Front>,
    pub(crate) selected: Selected,
    /// Of a client of Redis Cluster: reads are served here although another node is the primary.
    pub(crate) reads_only: bool,
    pub(crate) version: Version,
    pub(crate) authenticated: bool,
    /// It has said who it is; if not, it is whoever everybody is.
    pub(crate) has_said_who: bool,
    /// How many wrong passwords it has given.
    pub(crate) wrong_passwords: u8,
    /// Which events were published about keys, when it asked last.
    pub(crate) notified: String,
    /// The client wants to leave: the connection ends once everything is answered.
    pub(crate) leaving: bool,
    /// Who the client is, once it is authenticated.
    pub(crate) who: Who,
    pub(crate) hearing: Hearing,
    /// How it caches, if it does.
    pub(crate) tracking: Option<Box<Tracking>>,
    /// What it asks for is no use of the keys.
    pub(crate) no_touch: bool,
    /// It is between `MULTI` and `EXEC`, or in the middle of the latter.
    pub(crate) in_transaction: bool,
}

/// A user of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: Arc<[u8]>,
    pub(crate) user: Arc<User>,
    /// What it may do, as requests carry it for their scripts; `None` if it may do everything.
    pub(crate) rights: Option<Bytes>,
}

impl Who {
    pub(crate) fn new(name: &[u8], user: Arc<User>) -> Self {
        let rights = (!user.is_unlimited()).then(|| {
            let mut text = Vec::new();
            user.describe_rights(&mut text);
            Bytes::from(text)
        });
        Self { name: name.into(), user, rights }
    }
}

/// To how many channels, patterns and shard channels a connection listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscribed {
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    pub(crate) shards: usize,
}

/// How a connection caches, as `CLIENT LIST` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracks {
    pub(crate) broadcasts: bool,
    /// Whom it wants to be told; 0: itself.
    pub(crate) redirect: u64,
    /// That one is gone.
    pub(crate) is_broken: bool,
}

/// A connection as `CLIENT LIST` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: u64,
    pub(crate) address: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) descriptor: i32,
    pub(crate) since: Instant,
    /// When it last asked for something.
    pub(crate) active: Instant,
    pub(crate) name: String,
    pub(crate) library: String,
    pub(crate) library_version: String,
    pub(crate) db: u16,
    pub(crate) version: Version,
    /// Who it is.
    pub(crate) user: Arc<[u8]>,
    /// How many commands of a transaction are queued, if one is.
    pub(crate) queued: Option<u32>,
    /// How many bytes those have.
    pub(crate) queued_bytes: usize,
    /// How many bytes of commands it has sent that are not answered.
    pub(crate) input_bytes: usize,
    /// Who waits for it in the replicated state, if it waits for something.
    pub(crate) blocked: Option<(GroupId, WaiterId)>,
    /// Whether it is shown what others send.
    pub(crate) monitors: bool,
    /// What it listens to.
    pub(crate) subscribed: Subscribed,
    /// How it caches, if it does.
    pub(crate) tracks: Option<Tracks>,
    /// Where others find its mailbox.
    pub(crate) letterbox: Arc<Letterbox>,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    pub(crate) last_command: &'static str,
    pub(crate) commands: u64,
    pub(crate) ending: Arc<Ending>,
}

impl Peer {
    /// Whether it listens to something.
    pub(crate) fn listens(&self) -> bool {
        self.subscribed != Subscribed::default()
    }

    /// One that has just called.
    pub(crate) fn new(id: u64, address: SocketAddr, local: SocketAddr, descriptor: i32) -> Self {
        Self {
            id,
            address,
            local,
            descriptor,
            since: Instant::now(),
            active: Instant::now(),
            name: String::new(),
            library: String::new(),
            library_version: String::new(),
            db: 0,
            version: Version::Two,
            user: crate::policy::DEFAULT_USER.into(),
            queued: None,
            queued_bytes: 0,
            input_bytes: 0,
            blocked: None,
            monitors: false,
            subscribed: Subscribed::default(),
            tracks: None,
            letterbox: Arc::default(),
            no_evict: false,
            no_touch: false,
            last_command: "",
            commands: 0,
            ending: Arc::default(),
        }
    }

    fn flags(&self) -> String {
        let flags = [
            (self.monitors, 'O'),
            (self.listens(), 'P'),
            (self.queued.is_some(), 'x'),
            (self.blocked.is_some(), 'b'),
            (self.tracks.is_some(), 't'),
            (self.tracks.is_some_and(|tracks| tracks.is_broken), 'R'),
            (self.tracks.is_some_and(|tracks| tracks.broadcasts), 'B'),
            (self.ending.is_told(), 'A'),
            (self.no_evict, 'e'),
            (self.no_touch, 'T'),
        ];
        let set: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect();
        if set.is_empty() { "N".to_owned() } else { set }
    }

    /// The line of `CLIENT LIST` and `CLIENT INFO`. What nobody counts is zero.
    pub(crate) fn line(&self) -> String {
        let Self { id, address, local, descriptor, name, db, input_bytes, queued_bytes, .. } = self;
        let (age, idle) = (self.since.elapsed().as_secs(), self.active.elapsed().as_secs());
        let (flags, multi) = (self.flags(), self.queued.map_or(-1, i64::from));
        let total = input_bytes + queued_bytes;
        let command = if self.last_command.is_empty() { "NULL" } else { self.last_command };
        let user = String::from_utf8_lossy(&self.user);
        let version = if self.version == Version::Three { 3 } else { 2 };
        let (library, library_version, commands) = (&self.library, &self.library_version, self.commands);
        let redirect = self.tracks.map_or_else(|| "-1".to_owned(), |tracks| tracks.redirect.to_string());
        format!(
            "id={id} addr={address} laddr={local} fd={descriptor} name={name} age={age} idle={idle} flags={flags} \
             db={db} sub={} psub={} ssub={} multi={multi} qbuf={input_bytes} qbuf-free=0 argv-mem=0 \
             multi-mem={queued_bytes} rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem={total} events=r cmd={command} \
             user={user} redir={redirect} resp={version} lib-name={library} lib-ver={library_version} tot-cmds={commands}",
            self.subscribed.channels, self.subscribed.patterns, self.subscribed.shards,
        )
    }
}
