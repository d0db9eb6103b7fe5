//! `CLIENT`: what a client says of itself, and who is connected.

use onecopy_resp::Writer;

use super::{SYNTAX, parse, unknown_subcommand};
use crate::client::Clients;
use crate::client::session::{Peer, Session};

const HELP: [&str; 17] = [
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "LIST",
    "    Return information about client connections.",
    "SETINFO <option> <value>",
    "    Set client meta attr.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "NO-EVICT|NO-TOUCH (ON|OFF)",
    "    Accepted, without effect.",
];

/// `CLIENT subcommand …`
pub(super) fn client(
    clients: &Clients,
    session: &Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let peer = |read: fn(&Peer) -> String| {
        clients.register.with(clients.thread, session.id, |peer| read(peer)).unwrap_or_default()
    };
    let word = args.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (word.as_slice(), &args[1..]) {
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
        // There is nothing to evict clients for, and nothing that touching a key changes.
        (b"no-evict" | b"no-touch", [word])
            if word.eq_ignore_ascii_case(b"on") || word.eq_ignore_ascii_case(b"off") =>
        {
            reply.ok();
        }
        (b"help", []) => {
            reply.array(HELP.len());
            HELP.iter().for_each(|line| reply.simple(line));
        }
        _ => return Err(unknown_subcommand("CLIENT", args)),
    }
    Ok(())
}

/// Whom `CLIENT LIST` is about.
enum Listed {
    All,
    /// Those that listen to nothing.
    Normal,
    /// Those that listen to something.
    Listening,
    None,
    Ids(Vec<u64>),
}

impl Listed {
    /// `[TYPE normal|master|replica|pubsub] [ID id …]`
    fn parse(options: &[&[u8]]) -> Result<Self, String> {
        let Some((word, values)) = options.split_first() else { return Ok(Self::All) };
        match (word.to_ascii_lowercase().as_slice(), values) {
            (b"type", [kind]) => match kind.to_ascii_lowercase().as_slice() {
                b"normal" => Ok(Self::Normal),
                b"pubsub" => Ok(Self::Listening),
                b"master" | b"replica" | b"slave" => Ok(Self::None),
                _ => Err(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(kind))),
            },
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
            Self::Normal => !peer.listens(),
            Self::Listening => peer.listens(),
            Self::None => false,
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
