//! What is noted of commands that were executed: how often, how long they took, and which were slow.
//!
//! A node sees how long it took until a run of commands that it handed in was answered: the way to the
//! primary, the log and the execution together. What pipelined commands took together is shared among them.

use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use onecopy_keyspace::command::Spec;
use onecopy_keyspace::request::{self, Args};
use onecopy_resp::replies_length;

use super::Clients;
use super::session::Session;

/// Of one run, so many commands go into the slow log at most.
const SLOW_TOGETHER_MAX: usize = 16;

/// Which commands a run has, and how many of each.
#[derive(Debug, Default)]
pub(crate) struct Tally(Vec<(&'static str, u32)>);

impl Tally {
    /// There is one.
    pub(crate) fn of(spec: &'static Spec) -> Self {
        Self(vec![(spec.name, 1)])
    }

    /// There is another one.
    pub(crate) fn count(&mut self, spec: &'static Spec) {
        match self.0.iter_mut().find(|(name, _)| *name == spec.name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((spec.name, 1)),
        }
    }

    fn total(&self) -> u32 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

/// A run of commands was answered after so long. `body` is what was handed in.
pub(crate) fn executed(
    clients: &Clients,
    session: &Session,
    tally: &Tally,
    took: Duration,
    body: &Bytes,
    reply: Option<&Bytes>,
) {
    let total = tally.total();
    if total == 0 {
        return;
    }
    let policy = clients.policy();
    let (parameters, records) = (&policy.parameters, &clients.knowledge.records);
    let each = took / total;
    let mut statistics = records.statistics();
    for (name, count) in &tally.0 {
        statistics.called(name, u64::from(*count), each, parameters.tracks_latency);
    }
    if let Some(reply) = reply.filter(|reply| may_have_errors(reply)) {
        for error in errors(reply) {
            statistics.told(&String::from_utf8_lossy(error));
            if let [(name, _)] = tally.0.as_slice() {
                statistics.failed(name);
            }
        }
    }
    drop(statistics);
    note_latency(clients, "command", each);
    if parameters.slow_after.is_some_and(|after| each >= after) {
        let mut args = Args::new();
        for segment in request::segments(body).flatten() {
            let mut commands = segment.commands();
            for _ in 0..SLOW_TOGETHER_MAX {
                match commands.next_into(&mut args) {
                    // What stands for a command of the connection has no name.
                    Ok(true) if args[0].is_empty() => {}
                    Ok(true) => note_slow(clients, session, each, &args),
                    Ok(false) | Err(_) => break,
                }
            }
        }
    }
}

/// A command that the node has answered by itself.
pub(crate) fn answered(
    clients: &Clients,
    session: &Session,
    name: &'static str,
    took: Duration,
    args: &[&[u8]],
) {
    let policy = clients.policy();
    let parameters = &policy.parameters;
    clients.knowledge.records.statistics().called(name, 1, took, parameters.tracks_latency);
    note_latency(clients, "command", took);
    if parameters.slow_after.is_some_and(|after| took >= after) {
        note_slow(clients, session, took, args);
    }
}

/// A command that only says what becomes of others was answered.
pub(crate) fn counted(clients: &Clients, name: &'static str) {
    let tracks_latency = clients.policy().parameters.tracks_latency;
    clients.knowledge.records.statistics().called(name, 1, Duration::ZERO, tracks_latency);
}

fn note_latency(clients: &Clients, event: &'static str, took: Duration) {
    let threshold = clients.policy().parameters.latency_threshold;
    if !threshold.is_zero() && took >= threshold {
        clients.knowledge.records.latency().add(event, took);
    }
}

fn note_slow(clients: &Clients, session: &Session, took: Duration, args: &[&[u8]]) {
    // Passwords are not for others to read.
    let is_secret = |name: &[u8]| {
        [b"auth".as_slice(), b"hello", b"acl"].iter().any(|secret| name.eq_ignore_ascii_case(secret))
    };
    if args.first().is_some_and(|name| is_secret(name)) {
        return;
    }
    let about = clients
        .register
        .with(clients.thread, session.id, |peer| (peer.address.to_string(), peer.name.clone()));
    let (address, name) = about.unwrap_or_default();
    let entries_max = clients.policy().parameters.slow_entries_max;
    clients.knowledge.records.slow().add(took, args, (&address, &name), entries_max);
}

/// Whether there may be errors among replies: looked for quickly.
fn may_have_errors(replies: &[u8]) -> bool {
    replies.first() == Some(&b'-') || memmem::find(replies, b"\r\n-").is_some()
}

/// The errors among replies, each as a line.
fn errors(replies: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = replies;
    let each = std::iter::from_fn(move || {
        let length = replies_length(rest, 1).filter(|length| *length > 0)?;
        let (reply, after) = rest.split_at(length);
        rest = after;
        Some(reply)
    });
    each.filter_map(|reply| reply.strip_prefix(b"-")?.strip_suffix(b"\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_among_replies_and_not_in_values() {
        let found = |replies: &[u8]| -> Vec<String> {
            errors(replies).map(|error| String::from_utf8_lossy(error).into_owned()).collect()
        };
        assert_eq!(found(b"+OK\r\n-ERR no\r\n:1\r\n-WRONGTYPE x\r\n"), ["ERR no", "WRONGTYPE x"]);
        assert!(found(b"$6\r\nab\r\n-c\r\n").is_empty());
        assert!(may_have_errors(b"-ERR\r\n") && may_have_errors(b"+OK\r\n-ERR\r\n"));
        assert!(!may_have_errors(b"+OK\r\n:-1\r\n"));
    }
}
