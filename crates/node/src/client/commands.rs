//! Commands that concern the connection or the node, not the data: they are answered at once, by whichever
//! node the client is connected to.

mod client;
mod config;
mod hello;
mod table;

use onecopy_keyspace::command::{self, Spec};
use onecopy_resp::Writer;

use super::Clients;
use super::databases::Selected;
use super::info;
use super::session::Session;
use crate::status::ClientCounters;

pub(super) use table::lookup;
pub(crate) use table::specs;

const NO_AUTH: &str = "NOAUTH Authentication required.";
const SYNTAX: &str = "ERR syntax error";

/// Answers a request that is not for the data, or that is wrong.
pub(crate) fn answer(clients: &Clients, session: &mut Session, args: &[&[u8]], reply: &mut Writer<'_>) {
    let start = reply.position();
    if let Err(error) = try_answer(clients, session, args, reply) {
        reply.truncate(start);
        reply.error(&error);
        ClientCounters::add(&clients.knowledge.data.clients.errors, 1);
    }
}

fn try_answer(
    clients: &Clients,
    session: &mut Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let name = args.first().copied().unwrap_or_default();
    let Some(spec) = table::lookup(name).or_else(|| command::lookup(name)) else {
        return Err(match session.authenticated {
            true => command::unknown_command(args),
            false => NO_AUTH.to_owned(),
        });
    };
    if !session.authenticated && !matches!(spec.name, "auth" | "hello" | "quit" | "reset") {
        return Err(NO_AUTH.to_owned());
    }
    spec.check_arity(args.len()).map_err(|error| error.to_string())?;
    clients.register.with(clients.thread, session.id, |peer| {
        peer.last_command = spec.name;
        peer.commands += 1;
    });
    match spec.name {
        "ping" => ping(&args[1..], reply),
        "echo" => reply.bulk(args[1]),
        "quit" => {
            session.leaving = true;
            reply.ok();
        }
        "select" => select(clients, session, args[1], reply)?,
        "auth" => hello::auth(clients, session, &args[1..], reply)?,
        "hello" => hello::hello(clients, session, &args[1..], reply)?,
        "reset" => hello::reset(clients, session, reply),
        "client" => client::client(clients, session, &args[1..], reply)?,
        "command" => describe_commands(&args[1..], reply)?,
        "config" => config::config(clients, session, &args[1..], reply)?,
        "info" => reply.verbatim(info::info(clients, &args[1..]).as_bytes()),
        "role" => info::role(clients, session.selected.group, reply),
        // Every acknowledged write is on every member already: there is nothing to wait for.
        "wait" => {
            check_wait(&args[1..])?;
            reply.integer(info::backups(clients, session.selected.group));
        }
        // Every node takes reads and writes.
        "readonly" | "readwrite" => reply.ok(),
        other => return Err(format!("ERR '{other}' cannot be answered here")),
    }
    Ok(())
}

/// `WAIT numreplicas timeout`: both must make sense, although neither matters.
fn check_wait(args: &[&[u8]]) -> Result<(), String> {
    let [replicas, timeout] = args else { return Err(SYNTAX.to_owned()) };
    parse::<i64>(replicas).ok_or("ERR value is not an integer or out of range")?;
    let timeout = parse::<i64>(timeout).ok_or("ERR timeout is not an integer or out of range")?;
    if timeout < 0 { Err("ERR timeout is negative".to_owned()) } else { Ok(()) }
}

fn ping(args: &[&[u8]], reply: &mut Writer<'_>) {
    match args {
        [] => reply.simple("PONG"),
        [text] => reply.bulk(text),
        _ => reply.error("ERR wrong number of arguments for 'ping' command"),
    }
}

fn select(
    clients: &Clients,
    session: &mut Session,
    index: &[u8],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    selects(clients, session, Selected::find(index, &clients.knowledge.table())?);
    reply.ok();
    Ok(())
}

/// A client has selected a database.
pub(super) fn selects(clients: &Clients, session: &mut Session, selected: Selected) {
    session.selected = selected;
    update_peer(clients, session);
}

fn describe_commands(args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let all: Vec<&'static Spec> = specs().chain(command::all()).collect();
    let find = |name: &[u8]| table::lookup(name).or_else(|| command::lookup(name));
    let subcommand = args.first().map(|word| word.to_ascii_lowercase());
    match subcommand.as_deref() {
        None => command::reply_info(all.into_iter().map(Some), reply),
        Some(b"count") => command::reply_count(all.len(), reply),
        Some(b"list") if args.len() == 1 => command::reply_list(all.into_iter(), reply),
        Some(b"info") if args.len() == 1 => command::reply_info(all.into_iter().map(Some), reply),
        Some(b"info") => command::reply_info(args[1..].iter().map(|name| find(name)), reply),
        Some(b"docs") => {
            let named: Vec<&'static Spec> = match args.len() {
                1 => all,
                _ => args[1..].iter().filter_map(|name| find(name)).collect(),
            };
            command::reply_docs(named.into_iter(), reply);
        }
        Some(b"getkeys") if args.len() > 1 => {
            command::reply_getkeys(find(args[1]), &args[1..], reply).map_err(|error| error.to_string())?;
        }
        Some(_) => return Err(unknown_subcommand("COMMAND", args)),
    }
    Ok(())
}

fn unknown_subcommand(command: &str, args: &[&[u8]]) -> String {
    let word = String::from_utf8_lossy(args.first().copied().unwrap_or_default()).into_owned();
    format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try {command} HELP.")
}

/// Shows a change of the session in `CLIENT LIST`.
fn update_peer(clients: &Clients, session: &Session) {
    clients.register.with(clients.thread, session.id, |peer| {
        peer.db = session.selected.number;
        peer.version = session.version;
    });
}

pub(super) fn parse<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
