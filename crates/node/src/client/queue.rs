//! What a connection has queued between `MULTI` and `EXEC`.
//!
//! Data commands are put into a segment as they come. What the connection answers by itself is left out
//! there, and its place kept: it is answered once the transaction has been executed, and its reply put among
//! the others.

use bytes::{Buf, Bytes};
use onecopy_core::GroupId;
use onecopy_host::Kind;
use onecopy_keyspace::channels::ListenerId;
use onecopy_keyspace::command::{self, Spec};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::{Version, replies_length};
use onecopy_views::Table;

use super::accounting::Tally;
use super::databases::{Databases, Selected, spans};
use super::tracking::{Cached, Tracking};
use super::watched::Watched;

/// What stands in the place of a reply that the connection makes.
const PLACE: &[u8] = b"+\r\n";

/// A transaction that is being queued.
#[derive(Debug)]
pub(crate) struct Queue {
    builder: SegmentBuilder,
    kind: Kind,
    /// The database that the next command is for.
    selected: Selected,
    /// The database of the first command about data, or of what is watched: all others must belong to its
    /// group.
    bound: Option<Selected>,
    /// What is for the connection, by its place.
    own: Vec<(u32, Own)>,
    own_bytes: usize,
    /// Which commands it has.
    tally: Tally,
    /// If its client caches: what it will have cached.
    cached: Option<Cached>,
    /// Whether what the client may do matters while it is executed.
    carries_rights: bool,
    /// Something could not be queued, so nothing will be executed.
    is_refused: bool,
}

/// A transaction that is complete.
pub(crate) struct Finished {
    /// Whose it is.
    pub(crate) group: GroupId,
    pub(crate) kind: Kind,
    pub(crate) builder: SegmentBuilder,
    pub(crate) tally: Tally,
    /// What is for the connection, by its place.
    pub(crate) own: Vec<(u32, Own)>,
    /// If its client caches: what it will have cached.
    pub(crate) cached: Option<Cached>,
}

/// What is for the connection, once the transaction is executed.
#[derive(Debug)]
pub(crate) enum Own {
    /// Another database is selected. The state machine has answered it.
    Select(Selected),
    /// A command that it answers.
    Answer(Vec<Vec<u8>>),
}

impl Queue {
    /// An empty one, of a client that has selected this database and speaks this protocol, watches something
    /// or nothing, and caches or does not.
    pub(crate) fn new(
        (selected, version): (Selected, Version),
        watched: Option<&Watched>,
        client: Option<ListenerId>,
    ) -> Self {
        let builder = SegmentBuilder::new(selected.local, version).transaction();
        // To end the watch is a write.
        let (builder, kind) = match watched {
            Some(watched) => (builder.watched(watched.id), Kind::Write),
            None => (builder, Kind::Read),
        };
        let builder = match client {
            Some(client) => builder.caching(client),
            None => builder,
        };
        let cached = client.map(|_| Cached::default());
        let bound = watched.map(|watched| watched.selected);
        let (own, tally) = (Vec::new(), Tally::default());
        let (own_bytes, carries_rights, is_refused) = (0, false, false);
        Self { builder, kind, selected, bound, own, own_bytes, tally, cached, carries_rights, is_refused }
    }

    /// How many commands it has.
    pub(crate) fn count(&self) -> u32 {
        self.builder.count()
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.builder.size() + self.own_bytes
    }

    /// Whether something of it may change data.
    pub(crate) fn writes(&self) -> bool {
        self.kind != Kind::Read
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Nothing of it will be executed, so nothing is kept.
    pub(crate) fn refuse(&mut self) {
        self.is_refused = true;
        self.builder = SegmentBuilder::new(0, Version::Two);
        (self.own, self.own_bytes) = (Vec::new(), 0);
    }

    /// Notes what the client will have cached because of a command.
    pub(crate) fn note_cached(&mut self, tracking: &Tracking, spec: &Spec, args: &[&[u8]]) {
        if let Some(cached) = &mut self.cached {
            tracking.note(spec, args, cached);
        }
    }

    /// The database that the next command is for.
    pub(crate) fn selected(&self) -> Selected {
        self.selected
    }

    /// Where the next command about data goes.
    ///
    /// # Errors
    /// It would be for another group than those before it.
    pub(crate) fn data(&mut self, spec: &'static Spec, table: &Table) -> Result<&mut SegmentBuilder, String> {
        let bound = *self.bound.get_or_insert(self.selected);
        if bound.group != self.selected.group {
            return Err(spans("exec", self.selected.number, bound, self.selected.group, table));
        }
        if spec.kind != command::Kind::Read {
            self.kind = Kind::Write;
        }
        self.tally.count(spec);
        self.carries_rights |= spec.carries_rights();
        Ok(&mut self.builder)
    }

    /// Queues a `SELECT`. What selects nothing is for the state machine to complain about.
    pub(crate) fn select(&mut self, number: &[u8], databases: &Databases) {
        match Selected::find(number, databases) {
            Ok(selected) => {
                self.own.push((self.count(), Own::Select(selected)));
                self.selected = selected;
                self.builder.push([b"SELECT".as_slice(), selected.local.to_string().as_bytes()]);
            }
            Err(_) => self.builder.push([b"SELECT".as_slice(), number]),
        }
    }

    /// Queues a command that the connection answers.
    pub(crate) fn own(&mut self, args: Vec<Vec<u8>>) {
        self.own_bytes += args.iter().map(Vec::len).sum::<usize>();
        self.own.push((self.count(), Own::Answer(args)));
        self.builder.push([b"".as_slice()]);
    }

    /// What is to be handed in, of a client with these rights, and what is for the connection then.
    pub(crate) fn finish(mut self, rights: Option<&Bytes>) -> Finished {
        if let Some(rights) = rights.filter(|_| self.carries_rights) {
            self.builder.carry_rights(rights.clone());
        }
        let group = self.bound.unwrap_or(self.selected).group;
        let Self { kind, builder, tally, own, cached, .. } = self;
        Finished { group, kind, builder, tally, own, cached }
    }
}

/// Whether a transaction was executed that has this reply.
pub(crate) fn is_executed(reply: &[u8]) -> bool {
    reply.first() == Some(&b'*') && !reply.starts_with(b"*-")
}

/// The reply to a transaction that was executed, of which some places are still free.
pub(crate) struct Filling {
    rest: Bytes,
    /// The place of the command whose reply comes next.
    at: u32,
}

impl Filling {
    /// Takes the beginning of a reply: it says how many follow.
    pub(crate) fn begin(mut reply: Bytes) -> (Bytes, Self) {
        let header = reply.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
        (reply.split_to(header), Self { rest: reply, at: 0 })
    }

    /// Takes the replies before a place, and the place itself. None if they are not what they should be.
    pub(crate) fn through(&mut self, place: u32) -> Option<Bytes> {
        let length = replies_length(&self.rest, (place - self.at) as usize)?;
        let before = self.rest.split_to(length);
        self.at = place + 1;
        let is_place = self.rest.starts_with(PLACE);
        self.rest.advance(if is_place { PLACE.len() } else { 0 });
        is_place.then_some(before)
    }

    /// Takes what is left.
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_the_connection_come_among_the_others() {
        let reply = Bytes::from_static(b"*5\r\n+\r\n$3\r\n+\r\n\r\n+\r\n*1\r\n+\r\n+\r\n");
        let (header, mut filling) = Filling::begin(reply);
        assert_eq!(header, "*5\r\n");
        assert_eq!(filling.through(0).as_deref(), Some(b"".as_slice()));
        assert_eq!(filling.through(2).as_deref(), Some(b"$3\r\n+\r\n\r\n".as_slice()));
        assert_eq!(filling.through(4).as_deref(), Some(b"*1\r\n+\r\n".as_slice()));
        assert!(filling.rest().is_empty());
    }

    #[test]
    fn a_place_that_is_none_is_noticed() {
        let (_, mut filling) = Filling::begin(Bytes::from_static(b"*1\r\n+OK\r\n"));
        assert_eq!(filling.through(0), None);
        assert!(is_executed(b"*0\r\n") && !is_executed(b"*-1\r\n") && !is_executed(b"_\r\n"));
    }

    #[test]
    fn reads_alone_need_no_log_and_a_watch_does() {
        let selected = Selected::MAIN;
        let kind = |names: &[&str], watched: Option<&Watched>| {
            let mut queue = Queue::new((selected, Version::Two), watched, None);
            for name in names {
                let spec = command::lookup(name.as_bytes()).expect("it is one");
                let builder = queue.data(spec, &Table::default()).expect("one group");
                builder.push([name.as_bytes(), b"key"]);
            }
            queue.finish(None).kind
        };
        let id = onecopy_keyspace::request::WatchId { process: onecopy_core::Incarnation(1), number: 1 };
        let watched = Watched { id, selected, is_uncertain: false };
        assert_eq!(kind(&["GET", "TTL"], None), Kind::Read);
        assert_eq!(kind(&["GET", "DEL", "GET"], None), Kind::Write);
        assert_eq!(kind(&["TIME"], None), Kind::Write);
        assert_eq!(kind(&["GET"], Some(&watched)), Kind::Write);
    }
}
