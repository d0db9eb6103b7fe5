//! What a connection remembers of its client.

use std::net::{IpAddr, SocketAddr};

use onecopy_core::GroupId;
use onecopy_keyspace::request::WaiterId;
use onecopy_resp::Version;

use super::databases::Selected;

/// The state of a connection, changed by its own commands.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) address: IpAddr,
    pub(crate) selected: Selected,
    pub(crate) version: Version,
    pub(crate) authenticated: bool,
    /// How many wrong passwords it has given.
    pub(crate) wrong_passwords: u8,
    /// Which events were published about keys, when it asked last.
    pub(crate) notified: String,
    /// The client wants to leave: the connection ends once everything is answered.
    pub(crate) leaving: bool,
}

/// To how many channels, patterns and shard channels a connection listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscribed {
    pub(crate) channels: usize,
    pub(crate) patterns: usize,
    pub(crate) shards: usize,
}

/// A connection as `CLIENT LIST` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: u64,
    pub(crate) address: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) since: std::time::Instant,
    pub(crate) name: String,
    pub(crate) library: String,
    pub(crate) library_version: String,
    pub(crate) db: u16,
    pub(crate) version: Version,
    /// How many commands of a transaction are queued, if one is.
    pub(crate) queued: Option<u32>,
    /// Who waits for it in the replicated state, if it waits for something.
    pub(crate) blocked: Option<(GroupId, WaiterId)>,
    /// Whether it is shown what others send.
    pub(crate) monitors: bool,
    /// What it listens to.
    pub(crate) subscribed: Subscribed,
    pub(crate) last_command: &'static str,
    pub(crate) commands: u64,
}

impl Peer {
    /// Whether it listens to something.
    pub(crate) fn listens(&self) -> bool {
        self.subscribed != Subscribed::default()
    }

    fn flags(&self) -> String {
        let flags = [
            (self.monitors, 'O'),
            (self.listens(), 'P'),
            (self.queued.is_some(), 'x'),
            (self.blocked.is_some(), 'b'),
        ];
        let flags: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect();
        if flags.is_empty() { "N".to_owned() } else { flags }
    }

    /// The line of `CLIENT LIST` and `CLIENT INFO`.
    pub(crate) fn line(&self) -> String {
        format!(
            "id={} addr={} laddr={} name={} age={} flags={} db={} sub={} psub={} ssub={} multi={} cmd={} user=default lib-name={} lib-ver={} resp={} tot-cmds={}",
            self.id,
            self.address,
            self.local,
            self.name,
            self.since.elapsed().as_secs(),
            self.flags(),
            self.db,
            self.subscribed.channels,
            self.subscribed.patterns,
            self.subscribed.shards,
            self.queued.map_or(-1, i64::from),
            if self.last_command.is_empty() { "NULL" } else { self.last_command },
            self.library,
            self.library_version,
            match self.version {
                Version::Two => 2,
                Version::Three => 3,
            },
            self.commands,
        )
    }
}
