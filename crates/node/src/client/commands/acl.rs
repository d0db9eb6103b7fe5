//! `ACL`: users, and what they may do.
//!
//! Users belong to the whole cluster: the view service keeps them. A change is made of what this node knows,
//! and refused if somebody else was faster; then it is made again.

use std::sync::Arc;

use onecopy_keyspace::command::catalogue;
use onecopy_keyspace::rights::{CATEGORIES, Request, Selector, User, merge_selectors};
use onecopy_resp::Writer;
use onecopy_views::{Command, USER_NAME_BYTES_MAX, UserChanges};

use super::table::{find, is_there};
use super::{help, lower, misfit, parse};
use crate::client::Clients;
use crate::client::session::Session;
use crate::operation::OperationOutcome;
use crate::policy::{DEFAULT_USER, Policy};
use crate::records::time_of_day;

/// How often a change is made again because somebody else was faster.
const ATTEMPTS: usize = 10;
/// So many entries of the log are shown unless somebody says.
const SHOWN: usize = 10;
/// How many bits a password has that is made, unless somebody says, and at most.
const PASSWORD_BITS: usize = 256;
const PASSWORD_BITS_MAX: usize = 4096;

/// What `ACL` answers at once. `SETUSER` and `DELUSER` take their time.
pub(super) fn acl(
    clients: &Clients,
    session: &Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let policy = clients.policy();
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"cat", []) => {
            reply.array(CATEGORIES.len());
            CATEGORIES.iter().for_each(|category| reply.bulk(category.as_bytes()));
        }
        (b"cat", [category]) => list_category(category, reply)?,
        (b"whoami", []) => reply.bulk(&session.who.name),
        (b"users", []) => {
            reply.array(policy.users().len());
            policy.users().keys().for_each(|name| reply.bulk(name));
        }
        (b"list", []) => {
            reply.array(policy.users().len());
            for (name, user) in policy.users() {
                reply.bulk(&[b"user ", name.as_slice(), b" ", &user.describe()].concat());
            }
        }
        (b"getuser", [name]) => match policy.user(name) {
            Some(user) => show_user(user, reply),
            None => reply.null(),
        },
        (b"genpass", options @ ([] | [_])) => {
            let bits = options.first().map_or(Some(PASSWORD_BITS as i64), |bits| parse(bits));
            let bits = usize::try_from(bits.ok_or(super::NOT_INTEGER)?).ok().filter(|bits| (1..=PASSWORD_BITS_MAX).contains(bits)).ok_or_else(|| {
                format!("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to {PASSWORD_BITS_MAX}")
            })?;
            reply.bulk(password(bits).as_bytes());
        }
        (b"dryrun", [name, asked @ ..]) => dry_run(&policy, name, asked, reply)?,
        (b"log", options @ ([] | [_])) => log(clients, options.first().copied(), reply)?,
        // Users are kept already, and no file of a node says anything else.
        (b"save" | b"load", []) => reply.ok(),
        (b"help", []) => help::reply(help::ACL, reply),
        _ => return misfit("ACL", args),
    }
    Ok(())
}

fn list_category(category: &[u8], reply: &mut Writer<'_>) -> Result<(), String> {
    let name = String::from_utf8_lossy(category).to_lowercase();
    if !CATEGORIES.contains(&name.as_str()) {
        return Err(format!("ERR Unknown category '{}'", String::from_utf8_lossy(category)));
    }
    let all = catalogue::all().iter().copied();
    let members: Vec<_> = all.filter(|listing| listing.belongs_to(&name) && is_there(listing)).collect();
    reply.array(members.len());
    members.iter().for_each(|listing| reply.bulk(listing.name.as_bytes()));
    Ok(())
}

fn show_user(user: &User, reply: &mut Writer<'_>) {
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(user.passwords().len());
    user.passwords().for_each(|hash| reply.bulk(hash.as_bytes()));
    show_selector(user.root(), reply);
    reply.bulk(b"selectors");
    reply.array(user.selectors().len());
    for selector in user.selectors() {
        reply.map(3);
        show_selector(selector, reply);
    }
}

fn show_selector(selector: &Selector, reply: &mut Writer<'_>) {
    reply.bulk(b"commands");
    reply.bulk(selector.describe_commands().as_bytes());
    reply.bulk(b"keys");
    reply.bulk(&selector.describe_keys());
    reply.bulk(b"channels");
    reply.bulk(&selector.describe_channels());
}

/// Random bits, in hexadecimal.
fn password(bits: usize) -> String {
    let digits = bits.div_ceil(4);
    (0..digits).map(|_| char::from_digit(u32::from(rand::random::<u8>() & 0xf), 16).unwrap_or('0')).collect()
}

fn dry_run(policy: &Policy, name: &[u8], asked: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let user = policy.user(name).ok_or_else(|| format!("ERR User '{}' not found", text(name)))?;
    let command = asked.first().copied().unwrap_or_default();
    let spec = find(command).ok_or_else(|| format!("ERR Command '{}' not found", text(command)))?;
    spec.check_arity(asked.len()).map_err(|error| error.to_string())?;
    match user.check(Request { args: asked }) {
        Ok(()) => reply.ok(),
        Err(denial) => reply.bulk(denial.say(name, true).as_bytes()),
    }
    Ok(())
}

fn log(clients: &Clients, option: Option<&[u8]>, reply: &mut Writer<'_>) -> Result<(), String> {
    let mut denials = clients.knowledge.records.denials();
    if option.is_some_and(|word| word.eq_ignore_ascii_case(b"reset")) {
        denials.clear();
        reply.ok();
        return Ok(());
    }
    let count = match option {
        None => SHOWN,
        Some(count) => usize::try_from(parse::<i64>(count).ok_or(super::NOT_INTEGER)?).unwrap_or(0),
    };
    let (entries, now) = (denials.latest(count), time_of_day());
    reply.array(entries.len());
    for denied in entries {
        let context = if denied.in_transaction { "multi" } else { "toplevel" };
        let age = now.saturating_sub(denied.last);
        let word = |reply: &mut Writer<'_>, name: &str, value: &[u8]| {
            reply.bulk(name.as_bytes());
            reply.bulk(value);
        };
        let number = |reply: &mut Writer<'_>, name: &str, value: u128| {
            reply.bulk(name.as_bytes());
            reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
        };
        reply.map(10);
        number(reply, "count", denied.count.into());
        word(reply, "reason", denied.reason.name().as_bytes());
        word(reply, "context", context.as_bytes());
        word(reply, "object", &denied.object);
        word(reply, "username", &denied.user);
        reply.bulk(b"age-seconds");
        reply.double(age.as_millis() as f64 / 1_000.0);
        word(reply, "client-info", denied.client.as_bytes());
        number(reply, "entry-id", denied.id.into());
        number(reply, "timestamp-created", denied.first.as_millis());
        number(reply, "timestamp-last-updated", denied.last.as_millis());
    }
    Ok(())
}

/// `ACL SETUSER name rule …`
pub(in crate::client) async fn set_user(
    clients: &Clients,
    name: &[u8],
    rules: &[&[u8]],
) -> Result<(), String> {
    if name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        return Err("ERR Usernames can't contain spaces or null characters".to_owned());
    }
    if name.len() > USER_NAME_BYTES_MAX {
        return Err(format!("ERR a user's name has at most {USER_NAME_BYTES_MAX} bytes"));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rules = merge_selectors(rules).map_err(|begin| {
        format!("ERR Unmatched parenthesis in acl selector starting at '{}'.", text(&begin))
    })?;
    change_users(clients, |policy| {
        let channels_too = policy.parameters.channels_too;
        let mut user = policy.user(name).map_or_else(|| User::new(channels_too), |user| User::clone(user));
        for rule in &rules {
            user.follow(rule, channels_too)
                .map_err(|error| format!("ERR Error in ACL SETUSER modifier '{}': {error}", text(rule)))?;
        }
        Ok(UserChanges::from([(name.to_vec(), Some(user.describe()))]))
    })
    .await
}

/// `ACL DELUSER name …`: returns how many of them there were.
pub(in crate::client) async fn remove_users(clients: &Clients, names: &[&[u8]]) -> Result<usize, String> {
    if names.contains(&DEFAULT_USER) {
        return Err("ERR The 'default' user cannot be removed".to_owned());
    }
    let mut count = 0;
    change_users(clients, |policy| {
        let known = names.iter().filter(|name| policy.user(name).is_some());
        let changes: UserChanges = known.map(|name| (name.to_vec(), None)).collect();
        count = changes.len();
        Ok(changes)
    })
    .await?;
    Ok(count)
}

/// Changes users, as `change` says of those that there are.
pub(in crate::client) async fn change_users(
    clients: &Clients,
    mut change: impl FnMut(&Policy) -> Result<UserChanges, String>,
) -> Result<(), String> {
    let mut error = String::new();
    for _ in 0..ATTEMPTS {
        let policy: Arc<Policy> = clients.policy();
        let (expected, changes) = (policy.revision, change(&policy)?);
        let table = clients.knowledge.table();
        if table.users().revision() == expected && table.users().include(&changes) {
            return Ok(());
        }
        match propose(clients, Command::ChangeUsers { expected, changes: changes.clone() }).await {
            Ok(()) => {
                clients.knowledge.table_shows(|table| table.users().revision() > expected).await;
                return Ok(());
            }
            Err(reason) => error = reason,
        }
        // Somebody else was faster, or something is wrong that will be so again.
        if !clients.knowledge.table_shows(|table| table.users().revision() > expected).await {
            break;
        }
    }
    Err(error)
}

/// Has the view service execute a command.
pub(super) async fn propose(clients: &Clients, command: Command) -> Result<(), String> {
    let operated = clients.operators.propose(command).await;
    match operated.outcome {
        OperationOutcome::Done => Ok(()),
        OperationOutcome::Refused => Err(format!("ERR {}", operated.message)),
        OperationOutcome::Unknown => Err(format!("UNKNOWN {}", operated.message)),
    }
}
