//! `HELLO`, `AUTH` and `RESET`: who the client is, and which protocol it speaks.

use onecopy_resp::{Version, Writer};

use super::{SYNTAX, note_denial, parse, update_peer};
use crate::client::Clients;
use crate::client::databases::{Databases, Selected};
use crate::client::role::{Role, role};
use crate::client::session::Who;
use crate::client::session::{Hearing, Session};
use crate::policy::DEFAULT_USER;
use crate::records::Reason;
use crate::status::ClientCounters;

/// After so many wrong passwords a connection ends: what a guesser has sent already must not keep its address
/// waiting when it is gone. Libraries give a wrong one twice at most, with `HELLO` and with `AUTH`.
const WRONG_PASSWORDS_MAX: u8 = 3;
const WRONG_PASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// `HELLO [version [AUTH username password] [SETNAME name]]`
pub(super) fn hello(
    clients: &Clients,
    session: &mut Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let version = match args.first() {
        None => session.version,
        Some(word) => match parse::<i64>(word) {
            Some(2) => Version::Two,
            Some(3) => Version::Three,
            Some(_) => return Err("NOPROTO unsupported protocol version".to_owned()),
            None => return Err("ERR Protocol version is not an integer or out of range".to_owned()),
        },
    };
    let mut name = None;
    let mut options = args.get(1..).unwrap_or_default();
    while let Some((word, rest)) = options.split_first() {
        options = match (word.to_ascii_lowercase().as_slice(), rest) {
            (b"auth", [user, password, rest @ ..]) => {
                check(clients, session, user, password)?;
                rest
            }
            (b"setname", [new_name, rest @ ..]) => {
                name = Some(super::client::checked_name(new_name)?);
                rest
            }
            _ => return Err(format!("ERR Syntax error in HELLO option '{}'", String::from_utf8_lossy(word))),
        };
    }
    if !session.authenticated {
        return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
                    <user> <pass> option can be used to authenticate the client and select the RESP protocol version \
                    at the same time"
            .to_owned());
    }
    session.version = version;
    update_peer(clients, session);
    if let Some(name) = name {
        super::client::set_name(clients, session, name);
    }
    greet(clients, session, version, reply);
    Ok(())
}

/// What `HELLO` answers: already in the protocol that it switched to.
fn greet(clients: &Clients, session: &Session, version: Version, reply: &mut Writer<'_>) {
    let mut greeting = Vec::new();
    let mut writer = Writer::new(&mut greeting, version);
    writer.map(7);
    for (field, value) in [("server", "redis"), ("version", crate::client::info::REDIS_VERSION)] {
        writer.bulk(field.as_bytes());
        writer.bulk(value.as_bytes());
    }
    writer.bulk(b"proto");
    writer.integer(if version == Version::Three { 3 } else { 2 });
    writer.bulk(b"id");
    writer.integer(i64::try_from(session.id).unwrap_or(i64::MAX));
    let is_master = session.front.is_sentinel() || matches!(role(clients, session), Role::Master(_));
    let role = if is_master { "master" } else { "replica" };
    for (field, value) in [("mode", session.front.mode()), ("role", role)] {
        writer.bulk(field.as_bytes());
        writer.bulk(value.as_bytes());
    }
    writer.bulk(b"modules");
    writer.array(0);
    reply.raw(&greeting);
}

/// `AUTH [username] password`
pub(super) fn auth(
    clients: &Clients,
    session: &mut Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let (user, password): (&[u8], &[u8]) = match args {
        [_] if clients.policy().lets_everybody_in() => {
            return Err(
                "ERR AUTH <password> called without any password configured for the default user. Are you \
                        sure your configuration is correct?"
                    .to_owned(),
            );
        }
        [password] => (DEFAULT_USER, password),
        [user, password] => (user, password),
        _ => return Err(SYNTAX.to_owned()),
    };
    check(clients, session, user, password)?;
    reply.ok();
    Ok(())
}

/// Lets a client in as a user, or counts that it gave a wrong password.
fn check(clients: &Clients, session: &mut Session, name: &[u8], password: &[u8]) -> Result<(), String> {
    let policy = clients.policy();
    let Some(user) = policy.authenticate(name, password) else {
        ClientCounters::add(&clients.knowledge.data.clients.rejected, 1);
        clients.guesses.failed(session.address);
        session.wrong_passwords += 1;
        session.leaving |= session.wrong_passwords >= WRONG_PASSWORDS_MAX;
        note_denial(clients, session, Reason::Auth, b"AUTH", name);
        return Err(WRONG_PASS.to_owned());
    };
    (session.authenticated, session.has_said_who) = (true, true);
    session.who = Who::new(name, user.clone());
    update_peer(clients, session);
    Ok(())
}

/// Who a connection is that has not said anything else, and whether it need not.
pub(in crate::client) fn default_user(clients: &Clients) -> (Who, bool) {
    let policy = clients.policy();
    let user = policy.user(DEFAULT_USER).cloned();
    let user = user.unwrap_or_else(|| std::sync::Arc::new(onecopy_keyspace::rights::User::new(false)));
    (Who::new(DEFAULT_USER, user), policy.lets_everybody_in())
}

/// `RESET`
pub(super) fn reset(clients: &Clients, session: &mut Session, reply: &mut Writer<'_>) {
    let databases = Databases::behind(&session.front, &clients.knowledge);
    session.selected = Selected::first(&databases).unwrap_or(session.selected);
    session.reads_only = false;
    session.version = Version::Two;
    (session.who, session.authenticated) = default_user(clients);
    session.has_said_who = false;
    session.hearing = Hearing::All;
    session.no_touch = false;
    update_peer(clients, session);
    clients.register.with(clients.thread, session.id, |peer| {
        (peer.no_evict, peer.no_touch, peer.name) = (false, false, String::new());
    });
    reply.simple("RESET");
}
