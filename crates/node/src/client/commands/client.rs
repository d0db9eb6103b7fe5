//! `CLIENT`: what a client says of itself, and who is connected.

use std::time::Duration;

use onecopy_resp::Writer;

use super::{SYNTAX, help, lower, misfit, parse};
use crate::client::Clients;
use crate::client::session::{Hearing, Peer, Session};
use crate::client::tracking::{self, NOT_TRACKED};

/// `CLIENT subcommand …`
pub(super) fn client(
    clients: &Clients,
    session: &mut Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let peer = |read: fn(&Peer) -> String| {
        clients.register.with(clients.thread, session.id, |peer| read(peer)).unwrap_or_default()
    };
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"id", []) => reply.integer(i64::try_from(session.id).unwrap_or(i64::MAX)),
        (b"getname", []) => match peer(|peer| peer.name.clone()) {
            name if name.is_empty() => reply.null(),
            name => reply.bulk(name.as_bytes()),
        },
        (b"setname", [name]) => {
            set_name(clients, session, checked_name(name)?);
            reply.ok();
        }
        (b"setinfo", [attribute, value]) => {
            set_info(clients, session, attribute, value)?;
            reply.ok();
        }
        (b"info", []) => reply.verbatim(format!("{}\n", peer(Peer::line)).as_bytes()),
        (b"list", options) => {
            let wanted = Listed::parse(options)?;
            let connected = clients.register.all();
            let lines: String = connected
                .values()
                .filter(|peer| wanted.includes(peer))
                .map(|peer| peer.line() + "\n")
                .collect();
            reply.verbatim(lines.as_bytes());
        }
        (b"kill", options) => kill(clients, session, options, reply)?,
        (b"caching", [mode]) => {
            session.tracking.as_mut().ok_or(NOT_TRACKED)?.caching(mode)?;
            reply.ok();
        }
        (b"getredir", []) => reply.integer(tracking::redirect(session.tracking.as_deref())),
        (b"trackinginfo", []) => {
            let tracks = clients.register.with(clients.thread, session.id, |peer| peer.tracks).flatten();
            let is_broken = tracks.is_some_and(|tracks| tracks.is_broken);
            tracking::describe(session.tracking.as_deref(), is_broken, reply);
        }
        (b"pause", [timeout, options @ ..]) => {
            let length = parse::<i64>(timeout).ok_or("ERR timeout is not an integer or out of range")?;
            let length = u64::try_from(length).map_err(|_| "ERR timeout is negative")?;
            let writes_only = match options {
                [] => false,
                [mode] if mode.eq_ignore_ascii_case(b"all") => false,
                [mode] if mode.eq_ignore_ascii_case(b"write") => true,
                [_] => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".to_owned()),
                _ => return misfit("CLIENT", args),
            };
            clients.register.pause.begin(Duration::from_millis(length), writes_only);
            reply.ok();
        }
        (b"unpause", []) => {
            clients.register.pause.end();
            reply.ok();
        }
        (b"reply", [mode]) => match mode.to_ascii_lowercase().as_slice() {
            b"on" => {
                session.hearing = Hearing::All;
                reply.ok();
            }
            b"off" => session.hearing = Hearing::Nothing,
            b"skip" if session.hearing == Hearing::Nothing => {}
            b"skip" => session.hearing = Hearing::SkipsNext,
            _ => return Err(SYNTAX.to_owned()),
        },
        // There is nothing to evict clients for.
        (word @ (b"no-evict" | b"no-touch"), [mode]) => {
            let is_on = match mode.to_ascii_lowercase().as_slice() {
                b"on" => true,
                b"off" => false,
                _ => return Err(SYNTAX.to_owned()),
            };
            if word == b"no-touch" {
                session.no_touch = is_on;
            }
            clients.register.with(clients.thread, session.id, |peer| match word {
                b"no-evict" => peer.no_evict = is_on,
                _ => peer.no_touch = is_on,
            });
            reply.ok();
        }
        (b"help", []) => help::reply(help::CLIENT, reply),
        _ => return misfit("CLIENT", args),
    }
    Ok(())
}

/// `CLIENT KILL address`, or with options: ends connections to this node.
fn kill(
    clients: &Clients,
    session: &mut Session,
    options: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let (meant, is_old_form) = match options {
        [address] => (Meant { address: Some(address), skips_me: false, ..Meant::default() }, true),
        options => (Meant::parse(options, clients)?, false),
    };
    let me = session.id;
    let count = clients.register.end(|peer| meant.includes(peer, me) && peer.id != me);
    // Whoever ends itself hears how that went.
    let ends_me = clients.register.with(clients.thread, me, |peer| meant.includes(peer, me)) == Some(true);
    session.leaving |= ends_me;
    let count = count + usize::from(ends_me);
    match (is_old_form, count) {
        (true, 0) => return Err("ERR No such client".to_owned()),
        (true, _) => reply.ok(),
        (false, count) => reply.length(count),
    }
    Ok(())
}

/// Whose connections are to end: whoever fits all that is given.
struct Meant<'a> {
    id: Option<u64>,
    address: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    type_of: Option<Type>,
    skips_me: bool,
}

impl Default for Meant<'_> {
    fn default() -> Self {
        Self { id: None, address: None, local: None, user: None, type_of: None, skips_me: true }
    }
}

impl<'a> Meant<'a> {
    fn parse(options: &[&'a [u8]], clients: &Clients) -> Result<Self, String> {
        let mut meant = Self::default();
        for pair in options.chunks(2) {
            let [word, value] = *pair else { return Err(SYNTAX.to_owned()) };
            match word.to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = parse::<u64>(value).filter(|id| *id > 0);
                    meant.id = Some(id.ok_or("ERR client-id should be greater than 0")?);
                }
                b"addr" => meant.address = Some(value),
                b"laddr" => meant.local = Some(value),
                b"user" => {
                    if clients.policy().user(value).is_none() {
                        return Err(format!("ERR No such user '{}'", String::from_utf8_lossy(value)));
                    }
                    meant.user = Some(value);
                }
                b"type" => meant.type_of = Some(Type::parse(value)?),
                b"skipme" => {
                    meant.skips_me = match value.to_ascii_lowercase().as_slice() {
                        b"yes" => true,
                        b"no" => false,
                        _ => return Err(SYNTAX.to_owned()),
                    }
                }
                _ => return Err(SYNTAX.to_owned()),
            }
        }
        Ok(meant)
    }

    fn includes(&self, peer: &Peer, me: u64) -> bool {
        let is = |wanted: Option<&[u8]>, known: &[u8]| wanted.is_none_or(|wanted| wanted == known);
        !(self.skips_me && peer.id == me)
            && self.type_of.is_none_or(|type_of| type_of.includes(peer))
            && self.id.is_none_or(|id| id == peer.id)
            && is(self.address, peer.address.to_string().as_bytes())
            && is(self.local, peer.local.to_string().as_bytes())
            && is(self.user, &peer.user)
    }
}

/// A type of clients.
#[derive(Clone, Copy)]
enum Type {
    /// Those that listen to nothing.
    Normal,
    /// Those that listen to something.
    Listening,
    /// Masters and replicas: nodes have connections of another kind to each other.
    Replicating,
}

impl Type {
    fn parse(word: &[u8]) -> Result<Self, String> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::Listening),
            b"master" | b"replica" | b"slave" => Ok(Self::Replicating),
            _ => Err(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(word))),
        }
    }

    fn includes(self, peer: &Peer) -> bool {
        match self {
            Self::Normal => !peer.listens(),
            Self::Listening => peer.listens(),
            Self::Replicating => false,
        }
    }
}

/// Whom `CLIENT LIST` is about.
enum Listed {
    All,
    Type(Type),
    Ids(Vec<u64>),
}

impl Listed {
    /// `[TYPE normal|master|replica|pubsub] [ID id …]`
    fn parse(options: &[&[u8]]) -> Result<Self, String> {
        let Some((word, values)) = options.split_first() else { return Ok(Self::All) };
        match (word.to_ascii_lowercase().as_slice(), values) {
            (b"type", [word]) => Type::parse(word).map(Self::Type),
            (b"id", [_, ..]) => {
                let ids = values.iter().map(|id| parse::<u64>(id).filter(|id| *id > 0));
                ids.collect::<Option<_>>().map(Self::Ids).ok_or_else(|| "ERR Invalid client ID".to_owned())
            }
            _ => Err(SYNTAX.to_owned()),
        }
    }

    fn includes(&self, peer: &Peer) -> bool {
        match self {
            Self::All => true,
            Self::Type(type_of) => type_of.includes(peer),
            Self::Ids(ids) => ids.contains(&peer.id),
        }
    }
}

/// A name that does not break the lines of `CLIENT LIST`.
pub(super) fn checked_name(name: &[u8]) -> Result<String, String> {
    let error = "ERR Client names cannot contain spaces, newlines or special characters.";
    printable(name).ok_or_else(|| error.to_owned())
}

pub(super) fn set_name(clients: &Clients, session: &Session, name: String) {
    clients.register.with(clients.thread, session.id, |peer| peer.name = name);
}

fn set_info(clients: &Clients, session: &Session, attribute: &[u8], value: &[u8]) -> Result<(), String> {
    let attribute = attribute.to_ascii_lowercase();
    let value = printable(value).ok_or_else(|| {
        let attribute = String::from_utf8_lossy(&attribute).into_owned();
        format!("ERR {attribute} cannot contain spaces, newlines or special characters.")
    })?;
    let set = |peer: &mut Peer| match attribute.as_slice() {
        b"lib-name" => {
            peer.library = value;
            Ok(())
        }
        b"lib-ver" => {
            peer.library_version = value;
            Ok(())
        }
        _ => {
            let attribute = String::from_utf8_lossy(&attribute).into_owned();
            Err(format!("ERR Unrecognized option '{attribute}'"))
        }
    };
    clients.register.with(clients.thread, session.id, set).unwrap_or(Ok(()))
}

fn printable(word: &[u8]) -> Option<String> {
    let fine = word.len() <= 1024 && word.iter().all(|byte| (b'!'..=b'~').contains(byte));
    fine.then(|| String::from_utf8_lossy(word).into_owned())
}
