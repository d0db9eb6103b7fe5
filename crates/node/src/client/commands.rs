//! Commands that concern the connection or the node, not the data: they are answered at once, by whichever
//! node the client is connected to.

mod acl;
mod client;
mod config;
mod database;
mod debug;
mod describe;
mod elsewhere;
mod hello;
mod help;
mod latency;
mod lolwut;
mod memory;
#[cfg(test)]
mod page;
mod slow_log;
mod table;
mod waiting;

use std::time::Instant;

use onecopy_keyspace::command::catalogue;
use onecopy_keyspace::rights::{Denial, Request};
use onecopy_resp::Writer;
use onecopy_views::Kind as Replication;

use super::databases::{Databases, Selected};
use super::session::Session;
use super::tracking::OPTIMISTIC;
use super::{Clients, accounting, info};
use crate::records::{Reason, time_of_day};
use crate::status::ClientCounters;

pub(in crate::client) use acl::{remove_users, set_user};
pub(in crate::client) use config::set_parameters;
pub(in crate::client) use database::change_databases;
pub(in crate::client) use debug::sleep_time;
pub(in crate::client) use elsewhere::unknown;
pub(super) use hello::default_user;
pub(super) use help::{CLUSTER as CLUSTER_HELP, SENTINEL as SENTINEL_HELP, reply as help_reply};
pub(super) use table::{check_subcommand, check_subcommand_of, lookup};

const NO_AUTH: &str = "NOAUTH Authentication required.";
pub(super) const SYNTAX: &str = "ERR syntax error";
const NOT_INTEGER: &str = "ERR value is not an integer or out of range";

/// Answers a request that is not for the data, or that is wrong.
pub(crate) fn answer(clients: &Clients, session: &mut Session, args: &[&[u8]], reply: &mut Writer<'_>) {
    let start = reply.position();
    let began = Instant::now();
    let outcome = try_answer(clients, session, args, reply);
    let name = counted_as(args);
    if let Some(name) = name {
        accounting::answered(clients, session, name, began.elapsed(), args);
    }
    if let Err(error) = outcome {
        reply.truncate(start);
        reply.error(&error);
        told(clients, &error);
        if let Some(name) = name {
            clients.knowledge.records.statistics().failed(name);
        }
    }
}

/// As what a request is counted: as the subcommand, if it names one.
pub(in crate::client) fn counted_as(args: &[&[u8]]) -> Option<&'static str> {
    let spec = table::find(args.first()?)?;
    let asked = catalogue::asked(args);
    Some(
        asked.map_or(spec.name, |(command, subcommand)| catalogue::all()[subcommand.unwrap_or(command)].name),
    )
}

/// Whether a command brings replies back that the client did not want to hear, and its own is heard.
pub(super) fn wants_replies(args: &[&[u8]]) -> bool {
    let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
    match args {
        [name, word, mode] => is(name, "client") && is(word, "reply") && is(mode, "on"),
        [name] => is(name, "reset"),
        _ => false,
    }
}

/// A client was told of an error.
pub(super) fn told(clients: &Clients, error: &str) {
    ClientCounters::add(&clients.knowledge.data.clients.errors, 1);
    clients.knowledge.records.statistics().told(error);
}

/// Whether a client may not do this, and what it is told then.
pub(super) fn denied(clients: &Clients, session: &Session, args: &[&[u8]]) -> Option<String> {
    let denial = session.who.user.check(Request { args }).err()?;
    let (reason, object): (Reason, &[u8]) = match &denial {
        Denial::Command(name) => (Reason::Command, name.as_bytes()),
        Denial::Key(key) => (Reason::Key, key),
        Denial::Channel(channel) => (Reason::Channel, channel),
    };
    note_denial(clients, session, reason, object, &session.who.name);
    if let Some(name) = counted_as(args) {
        clients.knowledge.records.statistics().rejected(name);
    }
    Some(format!("NOPERM {}", denial.say(&session.who.name, false)))
}

/// Notes for `ACL LOG` what was denied.
fn note_denial(clients: &Clients, session: &Session, reason: Reason, object: &[u8], user: &[u8]) {
    let line = clients.register.with(clients.thread, session.id, |peer| peer.line()).unwrap_or_default();
    let entries_max = clients.policy().parameters.denials_max;
    let mut denials = clients.knowledge.records.denials();
    denials.add((reason, session.in_transaction), object, user, line, entries_max);
}

fn try_answer(
    clients: &Clients,
    session: &mut Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let name = args.first().copied().unwrap_or_default();
    let Some(spec) = table::find(name) else {
        return Err(match session.authenticated {
            true => unknown(args),
            false => NO_AUTH.to_owned(),
        });
    };
    if !session.authenticated && !matches!(spec.name, "auth" | "hello" | "quit" | "reset") {
        return Err(NO_AUTH.to_owned());
    }
    let is_right = spec.check_arity(args.len()).map_err(|error| match error.to_string() {
        error if spec.name == "exec" => {
            let reason = error.strip_prefix("ERR ").unwrap_or(&error);
            format!("EXECABORT Transaction discarded because of: {reason}")
        }
        error => error,
    });
    if let Err(error) = is_right.and_then(|()| table::check_subcommand(spec, args)) {
        clients.knowledge.records.statistics().rejected(spec.name);
        return Err(error);
    }
    let name = counted_as(args).unwrap_or(spec.name);
    clients.register.with(clients.thread, session.id, |peer| {
        peer.last_command = name;
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
        "acl" => acl::acl(clients, session, &args[1..], reply)?,
        "client" => client::client(clients, session, &args[1..], reply)?,
        "command" => describe::command(&args[1..], reply)?,
        "config" => config::config(clients, session, &args[1..], reply)?,
        "causal" => {
            return Err("ERR CAUSAL is for optimistic databases: here every read sees every write".to_owned());
        }
        "database" => database::database(clients, &args[1..], reply)?,
        "debug" => debug::debug(&args[1..], reply)?,
        "latency" => latency::latency(clients, &args[1..], reply)?,
        "lolwut" => lolwut::lolwut(clients, session.selected.group, reply),
        "memory" => memory::memory(clients, session.selected.group, &args[1..], reply)?,
        "module" => match args.get(1) {
            Some(word) if word.eq_ignore_ascii_case(b"list") => reply.array(0),
            _ => help::reply(help::MODULE, reply),
        },
        "slowlog" => slow_log::slow_log(clients, &args[1..], reply)?,
        "info" => {
            let text = info::info(clients, session, &args[1..], &[]);
            reply.verbatim(text.as_bytes());
        }
        "role" => info::role(clients, session, reply),
        "wait" => waiting::wait(clients, session.selected.group, &args[1..], reply)?,
        "waitaof" => waiting::waitaof(clients, session.selected.group, &args[1..], reply)?,
        // Every node takes reads and writes, unless it sends clients to the primary.
        "readonly" | "readwrite" => {
            session.reads_only = spec.name == "readonly";
            reply.ok();
        }
        "asking" if session.front.is_cluster() => reply.ok(),
        "asking" => return Err(super::cluster::DISABLED.to_owned()),
        "cluster" => super::cluster::cluster(clients, session, &args[1..], reply)?,
        // What is acknowledged is on every member, in its log; snapshots are taken as they are needed.
        "save" => reply.ok(),
        "bgsave" => match &args[1..] {
            [] => reply.simple("Background saving started"),
            [word] if word.eq_ignore_ascii_case(b"schedule") => reply.simple("Background saving started"),
            _ => return Err(SYNTAX.to_owned()),
        },
        "bgrewriteaof" => reply.simple("Background append only file rewriting started"),
        "lastsave" => reply.integer(i64::try_from(time_of_day().as_secs()).unwrap_or(i64::MAX)),
        other => return Err(format!("ERR '{other}' cannot be answered here")),
    }
    Ok(())
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
    let databases = Databases::behind(&session.front, &clients.knowledge);
    let selected = Selected::find(index, &databases)?;
    if session.tracking.is_some() && databases.table.kind(selected.group) == Replication::Optimistic {
        return Err(OPTIMISTIC.to_owned());
    }
    selects(clients, session, selected);
    reply.ok();
    Ok(())
}

/// A client has selected a database.
pub(super) fn selects(clients: &Clients, session: &mut Session, selected: Selected) {
    session.selected = selected;
    update_peer(clients, session);
}

/// Shows a change of the session in `CLIENT LIST`.
fn update_peer(clients: &Clients, session: &Session) {
    clients.register.with(clients.thread, session.id, |peer| {
        peer.db = session.selected.number;
        peer.version = session.version;
        peer.user = session.who.name.clone();
    });
}

/// A subcommand, in small letters.
fn lower(word: Option<&&[u8]>) -> Vec<u8> {
    word.map(|word| word.to_ascii_lowercase()).unwrap_or_default()
}

/// The arguments do not fit, although there are as many as there may be.
fn misfit<T>(command: &str, args: &[&[u8]]) -> Result<T, String> {
    let word = String::from_utf8_lossy(args.first().copied().unwrap_or_default()).into_owned();
    Err(format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try {command} HELP."))
}

pub(super) fn parse<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
