//! `MONITOR`: clients that are shown what the others of this node send.
//!
//! A command is shown when its node takes it; of a transaction each command, when it is queued; what a script
//! calls, when a copy on this node executes it. What has a password in it, and what administers, is not shown. A monitor that does not keep up is cut off, like a
//! subscriber ([`mailbox`](super::mailbox)).

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use onecopy_core::{GroupId, Incarnation};
use onecopy_keyspace::Spectator;

use super::mailbox::{Mail, Mailbox};
use super::watched::Lives;
use crate::knowledge::Knowledge;
use crate::lock::lock;

/// What is never shown: it says who somebody is, or is about the server itself.
const HIDDEN: &[&str] =
    &["auth", "hello", "monitor", "config", "failover", "exec", "acl", "debug", "shutdown"];
/// So many bytes of a command are shown; the rest is cut.
const SHOWN_MAX: usize = 64 * 1024;

/// The monitors of a node, over all data threads.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    mailboxes: Mutex<BTreeMap<u64, Arc<Mailbox>>>,
    count: AtomicUsize,
}

impl Monitors {
    /// Whether there is one.
    pub(super) fn watch(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// A client is shown what the others send.
    pub(super) fn add(&self, client: u64, mailbox: Arc<Mailbox>) {
        let mut mailboxes = lock(&self.mailboxes);
        mailboxes.insert(client, mailbox);
        self.count.store(mailboxes.len(), Ordering::Relaxed);
    }

    /// It is shown nothing any more.
    pub(super) fn remove(&self, client: u64) {
        let mut mailboxes = lock(&self.mailboxes);
        mailboxes.remove(&client);
        self.count.store(mailboxes.len(), Ordering::Relaxed);
    }

    /// A client of this node, with this database selected, has sent a command.
    pub(super) fn show<'a>(
        &self,
        (db, from): (u16, &dyn fmt::Display),
        args: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        let name = args.clone().next().unwrap_or_default();
        if HIDDEN.iter().any(|hidden| name.eq_ignore_ascii_case(hidden.as_bytes())) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = format!("{}.{:06} [{db} {from}]", now.as_secs(), now.subsec_micros());
        for arg in args {
            line.push(' ');
            quote(&arg[..arg.len().min(SHOWN_MAX)], &mut line);
            if line.len() > SHOWN_MAX {
                line.push_str(" ...");
                break;
            }
        }
        let line: Arc<str> = line.into();
        for mailbox in lock(&self.mailboxes).values() {
            mailbox.put(Mail::Line(line.clone()));
        }
    }
}

/// Has monitors shown what scripts do in one group: those that clients of this node have sent, and those that only
/// read, which one copy executes for whoever asks.
#[derive(Debug)]
pub(crate) struct ScriptsWatched {
    pub(crate) monitors: Arc<Monitors>,
    pub(crate) lives: Arc<Lives>,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) group: GroupId,
}

impl Spectator for ScriptsWatched {
    fn looks(&self) -> bool {
        self.monitors.watch()
    }

    fn called(&self, from: Option<Incarnation>, db: u8, args: &[&[u8]]) {
        if from.is_none_or(|from| self.lives.include(from)) {
            let table = self.knowledge.table();
            let number = table.database(self.group).map_or(db.into(), |database| database.global(db));
            self.monitors.show((number, &"lua"), args.iter().copied());
        }
    }
}

/// Writes an argument as Redis quotes it.
fn quote(arg: &[u8], line: &mut String) {
    line.push('"');
    for byte in arg {
        match byte {
            b'\\' | b'"' => line.extend(['\\', char::from(*byte)]),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            7 => line.push_str("\\a"),
            8 => line.push_str("\\b"),
            b' '..=b'~' => line.push(char::from(*byte)),
            // Writing to a string does not fail.
            other => drop(write!(line, "\\x{other:02x}")),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::OutputLimits;

    #[test]
    fn commands_are_quoted_and_secrets_are_not_shown() {
        let (monitors, mailbox) =
            (Monitors::default(), Arc::new(Mailbox::new(Arc::default(), OutputLimits::default().pubsub)));
        monitors.add(7, mailbox.clone());
        let show = |args: &[&[u8]]| monitors.show((3, &"127.0.0.1:99"), args.iter().copied());
        show(&[b"AUTH", b"secret"]);
        show(&[b"set", b"a\"b\\", b"\x00\n\xffz"]);
        let Some(Mail::Line(line)) = mailbox.take() else { panic!("a line") };
        let (_, shown) = line.split_once(' ').expect("a time");
        assert_eq!(shown, "[3 127.0.0.1:99] \"set\" \"a\\\"b\\\\\" \"\\x00\\n\\xffz\"");
        assert!(mailbox.take().is_none());
        show(&[b"set", b"k", &[b'x'; 1 << 20]]);
        let Some(Mail::Line(line)) = mailbox.take() else { panic!("a line") };
        assert!(line.len() < 2 * SHOWN_MAX && line.ends_with("..."));
        monitors.remove(7);
        assert!(!monitors.watch());
    }
}
