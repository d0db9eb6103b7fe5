//! What clients ask for, as coordinators encode it: segments of commands, and among them transactions
//! (`onecopy_keyspace::request`).
//!
//! A command by itself is an update of its own; a transaction is one update, whatever it does. `WATCH` is
//! local: what it remembers of a key is its digest, which names every dot that the key holds, so that any
//! change of it changes the digest, whoever made it. A watch that is not known guards nothing, and its
//! transaction is not executed: so watches may be forgotten at any time, and are when there is no room.

use std::collections::BTreeMap;

use onecopy_core::Timestamp;
use onecopy_core::segments::{Malformed, NOT_EXECUTED};
use onecopy_keyspace::command::lookup;
use onecopy_keyspace::options::database_number;
use onecopy_keyspace::request::{Args, Segment, WatchId, segments};
use onecopy_keyspace::{CommandError, RESPONSE_BYTES_WANTED, TRANSACTION_COMMANDS_MAX};
use onecopy_resp::Writer;

use crate::command;
use crate::delta::Delta;
use crate::replica::{Call, Replica};
use crate::store::Key;
use crate::transaction::Transaction;

/// All watches together remember keys of so many bytes: 16 MiB.
const WATCHED_BYTES_MAX: usize = 16 << 20;
/// And a single one of so many.
const WATCH_BYTES_MAX: usize = 1 << 20;
/// What a watched key takes beside its name.
const WATCHED_COST: usize = 96;

/// What a transaction is told that may need more memory than there is. All of it, or nothing.
const NO_ROOM: &str =
    "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.";

/// What is known of those who ask.
#[derive(Debug, Default)]
pub struct Requests {
    /// What each watch saw.
    watches: BTreeMap<WatchId, BTreeMap<Key, u64>>,
    bytes: usize,
}

fn cost(key: &Key) -> usize {
    key.name().len() + WATCHED_COST
}

impl Requests {
    /// Executes the segments of a body, and appends a response with a reply for each. The deltas must be
    /// logged before anybody hears of the response. `chance` gives fresh random bits.
    pub fn answer(
        &mut self,
        replica: &mut Replica,
        (now, chance): (Timestamp, &mut dyn FnMut() -> u64),
        body: &[u8],
        response: &mut Vec<u8>,
        deltas: &mut Vec<Delta>,
    ) {
        for segment in segments(body) {
            let Ok(segment) = segment else { return };
            if response.len() >= RESPONSE_BYTES_WANTED {
                response.extend_from_slice(&NOT_EXECUTED.to_le_bytes());
                continue;
            }
            let header = response.len();
            response.extend_from_slice(&[0; 4]);
            let mut call = || Call { now, db: segment.db, seed: chance(), version: segment.version };
            let made = match segment.is_transaction {
                true => self.transact(replica, call(), &segment, response, deltas),
                false => self.execute(replica, &mut call, &segment, response, deltas),
            };
            if let Err(malformed) = made {
                Writer::new(response, segment.version).error(&CommandError::from(malformed).to_string());
            }
            let length = u32::try_from(response.len() - header - 4).expect("a reply of more than 4 GiB");
            response[header..header + 4].copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Commands one by one.
    fn execute(
        &mut self,
        replica: &mut Replica,
        call: &mut dyn FnMut() -> Call,
        segment: &Segment<'_>,
        response: &mut Vec<u8>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let (mut commands, mut args) = (segment.commands(), Args::new());
        while commands.next_into(&mut args)? {
            let call = call();
            match segment.watch {
                Some(id) if args[0].eq_ignore_ascii_case(b"watch") => {
                    let outcome = self.watch(replica, call, id, &args[1..], deltas);
                    let mut reply = Writer::new(response, call.version);
                    match outcome {
                        Ok(()) => reply.ok(),
                        Err(error) => reply.error(&error.to_string()),
                    }
                }
                Some(id) if args[0].eq_ignore_ascii_case(b"unwatch") => {
                    self.end(id);
                    Writer::new(response, call.version).ok();
                }
                _ => deltas.extend(replica.execute(call, &args, response)),
            }
        }
        Ok(())
    }

    /// A transaction: all of it, as one update, or nothing.
    fn transact(
        &mut self,
        replica: &mut Replica,
        call: Call,
        segment: &Segment<'_>,
        response: &mut Vec<u8>,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let (mut commands, mut args, mut count, mut grows) = (segment.commands(), Args::new(), 0, false);
        while commands.next_into(&mut args)? {
            count += 1;
            grows |= lookup(args[0]).is_some_and(|spec| spec.grows);
        }
        if count > TRANSACTION_COMMANDS_MAX as usize {
            return Err(Malformed { left: 0 });
        }
        let watched = segment.watch.map(|id| self.end(id));
        let is_full = grows && replica.is_full();
        let mut transaction = Transaction::begin(replica, call);
        let reply = &mut Writer::new(response, call.version);
        if is_full {
            reply.error(NO_ROOM);
            return Ok(());
        }
        if watched.is_some_and(|watched| !stands(&mut transaction, watched)) {
            reply.null_array();
            // What was due is gone in any case.
            deltas.extend(transaction.finish());
            return Ok(());
        }
        reply.array(count);
        let mut commands = segment.commands();
        while commands.next_into(&mut args)? {
            if args[0].is_empty() {
                reply.simple("");
            } else if args.len() == 2 && args[0].eq_ignore_ascii_case(b"select") {
                match database_number(args[1]) {
                    Ok(number) => {
                        transaction.call.db = number;
                        reply.ok();
                    }
                    Err(error) => reply.error(&error.to_string()),
                }
            } else {
                command::execute(&mut transaction, &args, reply);
            }
        }
        deltas.extend(transaction.finish());
        Ok(())
    }

    fn watch(
        &mut self,
        replica: &mut Replica,
        call: Call,
        id: WatchId,
        names: &[&[u8]],
        deltas: &mut Vec<Delta>,
    ) -> Result<(), CommandError> {
        let keys: Vec<Key> = names.iter().map(|name| Key::new(call.db, name)).collect();
        let own: usize = self.watches.get(&id).map_or(0, |watch| watch.keys().map(cost).sum());
        let added: usize = keys.iter().map(cost).sum();
        if own + added > WATCH_BYTES_MAX {
            return Err(CommandError::Other(
                "ERR too many keys are watched by this connection; EXEC, DISCARD or UNWATCH first",
            ));
        }
        while self.bytes + added > WATCHED_BYTES_MAX {
            // Those who began first have either ended, or are slow: they try again.
            let Some(oldest) = self.watches.keys().find(|other| **other != id).copied() else { break };
            self.end(oldest);
        }
        let mut transaction = Transaction::begin(replica, call);
        for key in keys {
            transaction.expire_key(&key);
            let digest = transaction.store().get(&key).map_or(0, |object| object.digest());
            let cost = cost(&key);
            let watch = self.watches.entry(id).or_default();
            // What is watched already stays as it was seen first.
            if let std::collections::btree_map::Entry::Vacant(vacant) = watch.entry(key) {
                vacant.insert(digest);
                self.bytes += cost;
            }
        }
        deltas.extend(transaction.finish());
        Ok(())
    }

    /// Ends a watch; what it saw, or nothing if it is not known.
    fn end(&mut self, id: WatchId) -> Option<BTreeMap<Key, u64>> {
        let watch = self.watches.remove(&id)?;
        self.bytes -= watch.keys().map(cost).sum::<usize>();
        Some(watch)
    }
}

/// Whether everything is as a watch saw it.
fn stands(transaction: &mut Transaction<'_>, watched: Option<BTreeMap<Key, u64>>) -> bool {
    let Some(watched) = watched else { return false };
    watched.into_iter().all(|(key, digest)| {
        transaction.expire_key(&key);
        transaction.store().get(&key).map_or(0, |object| object.digest()) == digest
    })
}
