//! What the clients of a node have cached, and whom a change is to be told.
//!
//! A client that reads a key *asks* for it; from then on, and not only once it is answered, changes of the
//! key are told to it, for nobody knows yet whether the reply reflects them. The reply comes with a mark, and
//! what was told up to there was needless, unless the client has cached the key before. A change ends what it
//! is told of, as in Redis: the client has to read the key again to be told of the next one. But a key that
//! is being asked for stays (rule `TrackedWhileAsked`).
//!
//! A client may also be told of all keys that begin with some prefix, whatever it has read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::{GroupId, Rule, Rules};

use super::Change;

/// Where something stands in the feed of a group: the epoch, and the number within it.
pub type Position = (u64, u64);

/// What a key costs beyond two copies of itself, and each client that has it.
const KEY_COST: u64 = 128;
const ITEM_COST: u64 = 112;

/// A key of a group.
type Key = (GroupId, Arc<[u8]>);

/// What a client is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// The keys that it reads.
    Keys,
    /// All keys that begin with one of these.
    Prefixes(Vec<Bytes>),
}

/// Something that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub client: u64,
    /// What.
    pub what: Invalidation,
}

/// What a client must not rely on any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Which key; none: all of them.
    pub key: Option<Bytes>,
    /// Where the change was; none: there was none, but nobody would hear of one.
    pub at: Option<(GroupId, Position)>,
    /// The client has not cached it, but asks for it: if the reply reflects the change, it need not be told.
    pub is_doubtful: bool,
}

impl Invalidation {
    /// Whether it comes behind a reply of this group, with this mark. In front of one without a feed comes
    /// everything that has been told.
    #[must_use]
    pub fn is_behind(&self, group: GroupId, mark: Position) -> bool {
        let has_feed = mark.0 > 0;
        has_feed && self.at.is_some_and(|(of, at)| of == group && at > mark)
    }

    /// Whether a client need not be told of it, because the reply reflects it that it is given: to what it
    /// has asked for when the feed stood at `begin`. What was told to it before that was about another
    /// request.
    #[must_use]
    pub fn is_needless(&self, group: GroupId, (begin, mark): (Position, Position)) -> bool {
        self.is_doubtful && self.at.is_some_and(|(of, at)| of == group && begin < at && at <= mark)
    }
}

/// How much is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients that cache.
    pub clients: usize,
    /// Keys that somebody has cached.
    pub keys: usize,
    /// How often.
    pub items: usize,
    /// Prefixes.
    pub prefixes: usize,
    /// About how many bytes it occupies.
    pub bytes: u64,
}

/// A request that is on its way.
#[derive(Clone, Debug)]
struct Asked {
    group: GroupId,
    /// Where the feed stood when it was sent.
    begin: Position,
    /// It may change what it reads: then its reply need not reflect all that is before its mark.
    writes: bool,
    keys: Vec<Arc<[u8]>>,
}

/// A client that caches.
#[derive(Debug)]
struct Client {
    wants: Wants,
    /// What it has in the table.
    keys: BTreeSet<Key>,
    asked: Option<Asked>,
    /// The number under which it makes changes that it does not want to be told of.
    own: Option<u64>,
}

/// What is known of a key of a client.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    /// What it has cached reflects everything up to here; none if it has cached nothing.
    since: Option<Position>,
    is_asked: bool,
    /// While it was asked for: the last change that was told.
    told: Option<Position>,
}

/// What the clients of a node have cached.
#[derive(Debug, Default)]
pub struct Table {
    rules: Rules,
    clients: BTreeMap<u64, Client>,
    items: BTreeMap<Key, BTreeMap<u64, Item>>,
    /// How far the feed of each group was followed.
    positions: BTreeMap<GroupId, Position>,
    counts: Counts,
    /// Where it was last made smaller.
    evicted: Option<Key>,
}

impl Table {
    /// An empty one, under these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// How much is in it.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let prefixes = self.clients.values().flat_map(|client| match &client.wants {
            Wants::Keys => [].as_slice(),
            Wants::Prefixes(prefixes) => prefixes,
        });
        let prefixes = prefixes.collect::<BTreeSet<_>>().len();
        Counts { clients: self.clients.len(), keys: self.items.len(), prefixes, ..self.counts }
    }

    /// A client caches from now on, or in another way. What it changes under the number `own` it need not be
    /// told of.
    pub fn enter(&mut self, client: u64, wants: Wants, own: Option<u64>) {
        let known = self.clients.entry(client).or_insert_with(|| Client {
            wants: Wants::Keys,
            keys: BTreeSet::new(),
            asked: None,
            own: None,
        });
        (known.wants, known.own) = (wants, own);
    }

    /// It caches nothing any more.
    pub fn leave(&mut self, client: u64) {
        let Some(gone) = self.clients.remove(&client) else { return };
        gone.keys.iter().for_each(|key| self.remove(key, client));
    }

    /// Takes a client off a key.
    fn remove(&mut self, of: &Key, client: u64) {
        let Some(items) = self.items.get_mut(of) else { return };
        if items.remove(&client).is_some() {
            self.counts.items -= 1;
            self.counts.bytes -= ITEM_COST;
        }
        if items.is_empty() {
            self.items.remove(of);
            self.counts.bytes -= KEY_COST + 2 * of.1.len() as u64;
        }
    }

    /// The same, and the key off the client.
    fn forget(&mut self, of: &Key, client: u64) {
        self.remove(of, client);
        if let Some(client) = self.clients.get_mut(&client) {
            client.keys.remove(of);
        }
    }

    /// A client asks a group for these keys, in a request that `writes` or does not. It has asked for nothing
    /// else. Where the feed stands.
    pub fn ask<'a>(
        &mut self,
        client: u64,
        (group, writes): (GroupId, bool),
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Position {
        let begin = self.position(group);
        let Some(known) = self.clients.get_mut(&client) else { return begin };
        let mut asked = Asked { group, begin, writes, keys: Vec::new() };
        for key in keys {
            let of = (group, Arc::<[u8]>::from(key));
            let items = self.items.entry(of.clone()).or_insert_with(|| {
                self.counts.bytes += KEY_COST + 2 * key.len() as u64;
                BTreeMap::new()
            });
            let item = items.entry(client).or_insert_with(|| {
                self.counts.items += 1;
                self.counts.bytes += ITEM_COST;
                Item::default()
            });
            (item.is_asked, item.told) = (true, None);
            known.keys.insert(of.clone());
            asked.keys.push(of.1);
        }
        known.asked = Some(asked);
        begin
    }

    /// Whether a reply of a group may be given that has this mark: everything that it reflects must have been
    /// heard.
    #[must_use]
    pub fn may_answer(&self, group: GroupId, mark: Position) -> bool {
        self.position(group) >= mark || !self.rules.hold(Rule::InvalidatedFirst)
    }

    /// An answer has come to a client, with this mark, and is not given yet. What the client is told in front
    /// of it: a group that keeps no feed for this node has changes in its answers of which nobody has heard.
    #[must_use]
    pub fn answer_came(&self, client: u64, mark: Position) -> Vec<Told> {
        let has_feed = mark.0 > 0;
        if has_feed || !self.rules.hold(Rule::InvalidatedFirst) {
            return Vec::new();
        }
        vec![Told { client, what: Invalidation { key: None, at: None, is_doubtful: false } }]
    }

    /// What a client has asked for is answered, with this mark; `read` are keys that scripts have read, none
    /// if nobody knows. What the client is told behind the reply.
    #[must_use]
    pub fn answered(&mut self, client: u64, mark: Position, read: Option<&[Bytes]>) -> Vec<Told> {
        let Some(asked) = self.clients.get_mut(&client).and_then(|known| known.asked.take()) else {
            return Vec::new();
        };
        let since = if asked.writes { asked.begin } else { mark };
        for key in asked.keys {
            self.settle(client, (asked.group, key), since);
        }
        let everything = Told { client, what: Invalidation { key: None, at: None, is_doubtful: false } };
        let has_feed = mark.0 > 0;
        let Some(read) = read.filter(|_| has_feed) else { return vec![everything] };
        let is_known = self.position(asked.group) <= since;
        let mut told = Vec::new();
        for key in read {
            if is_known {
                let _ = self.ask(client, (asked.group, asked.writes), [key.as_ref()]);
                self.clients.get_mut(&client).and_then(|known| known.asked.take());
                self.settle(client, (asked.group, key.as_ref().into()), since);
            } else {
                // It may have changed since, and nobody has looked whether it did.
                let what = Invalidation { key: Some(key.clone()), at: None, is_doubtful: false };
                told.push(Told { client, what });
            }
        }
        told
    }

    /// A key is not asked for any more, and what was answered reflects everything up to here.
    fn settle(&mut self, client: u64, of: Key, since: Position) {
        let item = self.items.get_mut(&of).and_then(|items| items.get_mut(&client));
        let Some(item) = item else { return };
        item.is_asked = false;
        // What it had cached before is as old as it was.
        item.since = item.since.or(Some(since));
        if item.told.take().is_some_and(|told| told > since) {
            self.forget(&of, client);
        }
    }

    /// What a client has asked for is not answered.
    pub fn gave_up(&mut self, client: u64) {
        let Some(asked) = self.clients.get_mut(&client).and_then(|known| known.asked.take()) else { return };
        for key in asked.keys {
            let of = (asked.group, key);
            let item = self.items.get_mut(&of).and_then(|items| items.get_mut(&client));
            let Some(item) = item else { continue };
            (item.is_asked, item.told) = (false, None);
            if item.since.is_none() {
                self.forget(&of, client);
            }
        }
    }

    /// How far the feed of a group was followed.
    #[must_use]
    pub fn position(&self, group: GroupId) -> Position {
        self.positions.get(&group).copied().unwrap_or((0, 0))
    }

    /// The feed of a group is another one: nobody knows what has changed.
    #[must_use]
    pub fn begins_anew(&mut self, group: GroupId, epoch: u64) -> Vec<Told> {
        let position = (epoch, 0);
        if self.positions.insert(group, position).is_none() {
            // Before the first one nobody has kept anything.
            return Vec::new();
        }
        // What changed since the former feed was followed last is in neither, and a reply may reflect it that
        // is on its way. What that reply brings may have changed as well: its client is told again behind it.
        let mut told = self.everything(group, position, None);
        let asks = |client: &Client| client.asked.as_ref().is_some_and(|asked| asked.group == group);
        let asking = self.clients.iter().filter(|(_, client)| asks(client)).map(|(client, _)| *client);
        let what = Invalidation { key: None, at: Some((group, position)), is_doubtful: false };
        told.extend(asking.map(|client| Told { client, what: what.clone() }));
        told
    }

    /// Nobody knows what has changed in a group, for its feed cannot be followed.
    #[must_use]
    pub fn doubt(&mut self, group: GroupId) -> Vec<Told> {
        let position = self.position(group);
        self.everything(group, position, Some(position))
    }

    /// A change was in the feed of a group, at this position. Whom it is told.
    #[must_use]
    pub fn changed(&mut self, group: GroupId, position: Position, change: &Change) -> Vec<Told> {
        self.positions.insert(group, position);
        match change {
            Change::Everything => self.everything(group, position, Some(position)),
            Change::Key { key, by } => self.key(group, position, key, *by),
        }
    }

    /// Everything in a group may have changed, as of this position. Told with `at`, it comes behind the
    /// replies that reflect less; told without, before all of them.
    fn everything(&mut self, group: GroupId, position: Position, at: Option<Position>) -> Vec<Told> {
        let from = (group, Arc::<[u8]>::from(b"".as_slice()));
        let of_group = self.items.range(from..).take_while(|((of, _), _)| *of == group);
        let of_group: Vec<Key> = of_group.map(|(of, _)| of.clone()).collect();
        for of in of_group {
            self.tell(&of, position, None);
        }
        let what = Invalidation { key: None, at: at.map(|at| (group, at)), is_doubtful: false };
        self.clients.keys().map(|client| Told { client: *client, what: what.clone() }).collect()
    }

    fn key(&mut self, group: GroupId, position: Position, key: &Bytes, by: Option<u64>) -> Vec<Told> {
        let mut told = self.tell(&(group, key.as_ref().into()), position, by);
        for (client, Client { wants, own, .. }) in &self.clients {
            let Wants::Prefixes(prefixes) = wants else { continue };
            let is_own = by.is_some() && *own == by;
            if !is_own && prefixes.iter().any(|prefix| key.starts_with(prefix)) {
                told.push((*client, false));
            }
        }
        let what =
            |is_doubtful| Invalidation { key: Some(key.clone()), at: Some((group, position)), is_doubtful };
        told.into_iter().map(|(client, is_doubtful)| Told { client, what: what(is_doubtful) }).collect()
    }

    /// A key has changed: who has it, and does not any more; and whether it has only asked for it.
    fn tell(&mut self, of: &Key, position: Position, by: Option<u64>) -> Vec<(u64, bool)> {
        let Some(items) = self.items.get_mut(of) else { return Vec::new() };
        let (mut told, mut over) = (Vec::new(), Vec::new());
        for (client, item) in items {
            if item.since.is_some_and(|since| position <= since) {
                continue;
            }
            let is_doubtful = item.since.is_none();
            let own = self.clients.get(client).and_then(|client| client.own);
            if by.is_none() || own != by {
                told.push((*client, is_doubtful));
            }
            (item.since, item.told) = (None, Some(position));
            if !item.is_asked || !self.rules.hold(Rule::TrackedWhileAsked) {
                over.push(*client);
            }
        }
        over.into_iter().for_each(|client| self.forget(of, client));
        told
    }

    /// Makes the table smaller until it has at most so many keys (0: any number) and so many bytes. Whoever
    /// has a key that goes is told that it has changed.
    #[must_use]
    pub fn evict(&mut self, keys_max: usize, bytes_max: u64) -> Vec<Told> {
        let mut evicted = Vec::new();
        let mut left = self.items.len();
        while left > 0 && (keys_max > 0 && self.items.len() > keys_max || self.counts.bytes > bytes_max) {
            left -= 1;
            let behind = self.evicted.take().map(|last| self.items.range(last..).nth(1));
            let next = behind.flatten().or_else(|| self.items.iter().next()).map(|(of, _)| of.clone());
            let Some(of) = next else { break };
            let what =
                Invalidation { key: Some(Bytes::copy_from_slice(&of.1)), at: None, is_doubtful: false };
            // Who is asking for it keeps it.
            let items = self.items.get(&of).into_iter().flatten();
            let gone: Vec<u64> =
                items.filter(|(_, item)| !item.is_asked).map(|(client, _)| *client).collect();
            for client in gone {
                self.forget(&of, client);
                evicted.push(Told { client, what: what.clone() });
            }
            self.evicted = Some(of);
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: GroupId = GroupId(1);
    const ME: u64 = 1;
    const ANN: u64 = 2;

    fn table(rules: Rules) -> Table {
        let mut table = Table::new(rules);
        assert!(table.begins_anew(G, 1).is_empty());
        table.enter(ME, Wants::Keys, None);
        table.enter(ANN, Wants::Keys, Some(70));
        table
    }

    /// A client reads keys and is answered, with this mark.
    fn read(table: &mut Table, client: u64, keys: &[&str], mark: u64) {
        table.ask(client, (G, false), keys.iter().map(|key| key.as_bytes()));
        assert!(table.answered(client, (1, mark), Some(&[])).is_empty());
    }

    /// A key changes: who is told, and whether that is for certain.
    fn change(table: &mut Table, at: u64, key: &str) -> Vec<(u64, bool)> {
        change_by(table, at, key, None)
    }

    fn change_by(table: &mut Table, at: u64, key: &str, by: Option<u64>) -> Vec<(u64, bool)> {
        let change = Change::Key { key: Bytes::copy_from_slice(key.as_bytes()), by };
        let told = table.changed(G, (1, at), &change);
        assert!(told.iter().all(|told| told.what.at == Some((G, (1, at)))));
        told.into_iter().map(|told| (told.client, !told.what.is_doubtful)).collect()
    }

    #[test]
    fn who_has_read_a_key_is_told_of_the_next_change_and_once() {
        let mut table = table(Rules::default());
        read(&mut table, ME, &["a", "b"], 0);
        read(&mut table, ANN, &["a"], 0);
        assert_eq!((table.counts().keys, table.counts().items), (2, 3));
        assert_eq!(change(&mut table, 1, "x"), []);
        assert_eq!(change(&mut table, 2, "a"), [(ME, true), (ANN, true)]);
        assert_eq!(change(&mut table, 3, "a"), []);
        read(&mut table, ME, &["a"], 3);
        assert_eq!(change(&mut table, 4, "a"), [(ME, true)]);
        table.leave(ME);
        assert_eq!(table.counts(), Counts { clients: 1, ..Counts::default() });
    }

    #[test]
    fn what_a_reply_reflects_is_not_told_again() {
        let mut table = table(Rules::default());
        // The feed is behind: the reply reflects a change that comes later.
        read(&mut table, ME, &["a"], 1);
        assert_eq!(change(&mut table, 1, "a"), []);
        assert_eq!(change(&mut table, 2, "a"), [(ME, true)]);
        // What was cached before it was read again is as old as it was.
        read(&mut table, ME, &["a"], 2);
        read(&mut table, ME, &["a"], 3);
        assert_eq!(change(&mut table, 3, "a"), [(ME, true)]);
    }

    #[test]
    fn a_key_that_changes_while_it_is_asked_for_stays() {
        let mut table = table(Rules::default());
        table.ask(ME, (G, false), [b"a".as_slice()]);
        assert_eq!(change(&mut table, 1, "a"), [(ME, false)]);
        // The reply reflects the first change, and not the second one.
        assert_eq!(change(&mut table, 2, "a"), [(ME, false)]);
        assert!(table.answered(ME, (1, 1), Some(&[])).is_empty());
        assert_eq!(change(&mut table, 3, "a"), [], "it was told behind the reply");
        table.ask(ME, (G, false), [b"a".as_slice()]);
        assert_eq!(change(&mut table, 4, "a"), [(ME, false)]);
        assert!(table.answered(ME, (1, 4), Some(&[])).is_empty());
        assert_eq!(change(&mut table, 5, "a"), [(ME, true)]);
    }

    #[test]
    fn only_what_was_told_since_a_request_was_sent_may_be_needless_to_it() {
        let mut table = table(Rules::default());
        table.ask(ME, (G, false), [b"a".as_slice()]);
        let change = Change::Key { key: "a".into(), by: None };
        let told = table.changed(G, (1, 1), &change);
        assert!(told[0].what.is_needless(G, ((1, 0), (1, 1))) && !told[0].what.is_behind(G, (1, 1)));
        assert!(!told[0].what.is_needless(G, ((1, 0), (1, 0))) && told[0].what.is_behind(G, (1, 0)));
        // The reply to that does not reflect the change, and the client asks for something else then.
        assert!(table.answered(ME, (1, 0), Some(&[])).is_empty());
        let begin = table.ask(ME, (G, false), [b"b".as_slice()]);
        assert!(!told[0].what.is_needless(G, (begin, (1, 5))));
    }

    #[test]
    fn a_request_that_writes_may_have_read_before_it_wrote() {
        let mut table = table(Rules::default());
        assert_eq!(change(&mut table, 3, "x"), []);
        table.ask(ME, (G, true), [b"a".as_slice()]);
        assert!(!table.may_answer(G, (1, 5)));
        assert_eq!(change(&mut table, 5, "b"), []);
        assert!(table.may_answer(G, (1, 5)));
        let read = [Bytes::from_static(b"r")];
        let told = table.answered(ME, (1, 5), Some(&read));
        assert_eq!(told.len(), 1, "a script may have changed what it had read");
        assert_eq!(told[0].what.key.as_ref(), Some(&read[0]));
        // Between the beginning of the request and its mark it would be told; behind it, too.
        assert_eq!(change(&mut table, 6, "a"), [(ME, true)]);
        table.ask(ME, (G, false), []);
        assert!(table.answered(ME, (1, 6), Some(&read)).is_empty());
        assert_eq!(change(&mut table, 7, "r"), [(ME, true)]);
        table.ask(ME, (G, false), []);
        assert_eq!(table.answered(ME, (1, 7), None).len(), 1, "nobody knows what scripts have read");
    }

    #[test]
    fn nobody_keeps_what_no_feed_speaks_of() {
        let mut table = table(Rules::default());
        table.ask(ME, (G, false), [b"a".as_slice()]);
        // What it has kept may be older than the answer.
        let first = table.answer_came(ME, (0, 0));
        assert!(first.iter().all(|told| told.what.key.is_none() && !told.what.is_behind(G, (0, 0))));
        assert_eq!((first.len(), table.answer_came(ME, (1, 7)).len()), (1, 0));
        let before = Invalidation { key: None, at: Some((G, (1, 7))), is_doubtful: false };
        assert!(!before.is_behind(G, (0, 0)), "or it would hold up what was told after it");
        let told = table.answered(ME, (0, 0), Some(&[]));
        assert!(told.len() == 1 && told[0].what.key.is_none());
        read(&mut table, ME, &["a"], 0);
        read(&mut table, ANN, &["b"], 0);
        table.ask(ANN, (G, false), [b"c".as_slice()]);
        let told = table.begins_anew(G, 2);
        assert_eq!(told.iter().map(|told| told.client).collect::<Vec<_>>(), [ME, ANN, ANN]);
        // A reply of the epoch before may reflect what nobody is told of: all is told before it, and again
        // behind it.
        let behind = told.iter().map(|told| told.what.is_behind(G, (1, 9)));
        assert_eq!(behind.collect::<Vec<_>>(), [false, false, true]);
        assert!(table.answered(ANN, (1, 9), Some(&[])).is_empty());
        assert_eq!(table.counts().keys, 0);
        read(&mut table, ME, &["a"], 5);
        assert_eq!(table.doubt(G).len(), 2);
    }

    #[test]
    fn who_asked_in_vain_has_cached_nothing() {
        let mut table = table(Rules::default());
        read(&mut table, ME, &["a"], 0);
        table.ask(ME, (G, false), [b"a".as_slice(), b"b"]);
        table.gave_up(ME);
        assert_eq!(table.counts().keys, 1);
        assert_eq!(change(&mut table, 1, "b"), []);
        assert_eq!(change(&mut table, 2, "a"), [(ME, true)]);
        assert_eq!(table.counts().bytes, 0);
    }

    #[test]
    fn own_changes_are_not_told_to_those_who_do_not_want_to_hear_them() {
        let mut table = table(Rules::default());
        [ME, ANN].into_iter().for_each(|client| read(&mut table, client, &["a"], 0));
        assert_eq!(change_by(&mut table, 1, "a", Some(70)), [(ME, true)]);
        read(&mut table, ANN, &["a"], 1);
        assert_eq!(change_by(&mut table, 2, "a", Some(71)), [(ANN, true)]);
    }

    #[test]
    fn prefixes_are_told_of_everything_that_begins_so() {
        let mut table = table(Rules::default());
        table.enter(ME, Wants::Prefixes(vec!["us".into(), "it".into()]), Some(71));
        assert_eq!(table.counts().prefixes, 2);
        assert_eq!(change(&mut table, 1, "user"), [(ME, true)]);
        assert_eq!(change(&mut table, 2, "user"), [(ME, true)]);
        assert_eq!(change(&mut table, 3, "u"), []);
        assert_eq!(change_by(&mut table, 4, "item", Some(71)), []);
        table.enter(ME, Wants::Prefixes(vec![Bytes::new()]), None);
        assert_eq!(change(&mut table, 5, "u"), [(ME, true)]);
    }

    #[test]
    fn a_table_that_is_full_gives_up_keys_and_says_so() {
        let mut table = table(Rules::default());
        let keys: Vec<String> = (0..100).map(|number| format!("key{number:02}")).collect();
        keys.iter().for_each(|key| read(&mut table, ME, &[key], 0));
        table.ask(ANN, (G, false), [b"key00".as_slice()]);
        let evicted = table.evict(10, u64::MAX);
        assert_eq!((evicted.len(), table.counts().keys), (91, 10));
        assert!(evicted.iter().all(|told| told.client == ME && told.what.key.is_some()));
        assert_eq!(change(&mut table, 1, "key00"), [(ANN, false)], "it is being asked for");
        assert!(table.evict(0, u64::MAX).is_empty(), "any number");
        let _ = table.answered(ANN, (1, 1), Some(&[]));
        assert_eq!(table.evict(0, 0).len(), 10);
        assert_eq!((table.counts().bytes, table.counts().items), (0, 0));
    }
}
