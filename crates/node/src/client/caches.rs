//! Clients' caches: what the clients of this node have cached, and how changes get to them.
//!
//! The node follows the changes of each group that a client which caches has selected, with a feed of its own
//! (`onecopy_keyspace::tracking`). The [table](Table) says whom a change is to be told; it goes into the
//! [mailbox](super::mailbox) of that connection, or of the one that it has named. A reply to a client that
//! caches waits until everything that it reflects was given out.
//!
//! A feed may be followed no more without anybody noticing: nothing is said where nothing changes. So the
//! node asks once a second where the feed stands ([`confirm`]). If it hears nothing for [`DOUBT_AFTER`],
//! everything that was cached counts as changed.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{GroupId, Rules};
use onecopy_host::{Kind, Reply, Share};
use onecopy_keyspace::channels::ListenerId;
use onecopy_keyspace::feeds::{Following, marked};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_keyspace::tracking::Change;
use onecopy_keyspace::tracking::table::{Counts, Invalidation, Position, Table, Told, Wants};
use onecopy_resp::{Version, replies_length};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, warn};

use super::Clients;
use super::mailbox::{HELD_BYTES_MAX, Letterbox, Mail, Mailbox};
use crate::lock::lock;

/// What is known of clients' caches occupies at most so many bytes; then keys are given up.
const TABLE_BYTES_MAX: u64 = 256 << 20;
/// How many changes are given out between two looks at how much is held.
const GIVEN_TOGETHER: usize = 256;
/// What could not be fetched, or ended, is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// So often the node asks where a feed stands.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);
/// What was cached counts as changed when nobody has said for so long whether it has.
const DOUBT_AFTER: Duration = Duration::from_secs(5);

/// What is said when a connection ends because of all that it is sent.
const TOO_MUCH: &str = "all clients together do not read what they are sent as fast as that comes";

/// What the clients of a node have cached, over all data threads.
#[derive(Debug)]
pub(crate) struct Caches {
    inner: Mutex<Inner>,
    /// Counts what is worth looking at again for those who wait.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    table: Table,
    clients: BTreeMap<u64, Cache>,
    /// The groups that are followed, and which time it is that they are.
    followed: BTreeMap<GroupId, u64>,
    begun: u64,
    /// How often it was doubtful whether a feed is followed.
    doubts: BTreeMap<GroupId, u64>,
}

/// Where a client is told what has changed.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) mailbox: Arc<Mailbox>,
    /// Another connection, and where it takes what is for it.
    pub(super) redirect: Option<(u64, Arc<Letterbox>)>,
}

impl Default for Caches {
    fn default() -> Self {
        let inner = Inner {
            table: Table::new(Rules::default()),
            clients: BTreeMap::new(),
            followed: BTreeMap::new(),
            begun: 0,
            doubts: BTreeMap::new(),
        };
        Self { inner: Mutex::new(inner), news: watch::Sender::new(0) }
    }
}

impl Caches {
    /// How much is cached.
    pub(super) fn counts(&self) -> Counts {
        lock(&self.inner).table.counts()
    }

    /// A client caches from now on. What it changes under the number `own` it need not be told of.
    pub(super) fn enter(&self, client: u64, (wants, own): (Wants, Option<u64>), cache: Cache) {
        let mut inner = lock(&self.inner);
        inner.table.enter(client, wants, own);
        inner.clients.insert(client, cache);
    }

    /// It caches nothing any more. With the last one all feeds end.
    pub(super) fn leave(&self, client: u64) {
        let mut inner = lock(&self.inner);
        inner.table.leave(client);
        inner.clients.remove(&client);
        if inner.clients.is_empty() {
            inner.followed.clear();
            inner.table = Table::new(Rules::default());
        }
        drop(inner);
        self.tell();
    }

    /// Follows a group, if nobody does yet; returns once its feed is known, or after the `patience`. Whether
    /// it is.
    pub(super) async fn follow(&self, clients: &Rc<Clients>, group: GroupId, patience: Duration) -> bool {
        let is_known = {
            let mut inner = lock(&self.inner);
            if !inner.followed.contains_key(&group) {
                inner.begun += 1;
                let begun = inner.begun;
                inner.followed.insert(group, begun);
                tokio::task::spawn_local(follow(clients.clone(), group, begun));
                tokio::task::spawn_local(confirm(clients.clone(), group, begun));
            }
            inner.table.position(group).0 > 0
        };
        let known = self.until(|inner| inner.table.position(group).0 > 0);
        is_known || tokio::time::timeout(patience, known).await.is_ok()
    }

    /// A client asks for keys. Where the feed stands.
    pub(super) fn ask(&self, client: u64, request: (GroupId, bool), keys: &[Bytes]) -> Position {
        lock(&self.inner).table.ask(client, request, keys.iter().map(AsRef::as_ref))
    }

    /// It is not answered.
    pub(super) fn gave_up(&self, client: u64) {
        lock(&self.inner).table.gave_up(client);
    }

    /// It is answered, with this mark; `read` are keys that scripts have read, none if nobody knows. At most
    /// `keys_max` keys are known then (0: any number).
    pub(super) fn answered(&self, client: u64, mark: Position, read: Option<&[Bytes]>, keys_max: usize) {
        let mut inner = lock(&self.inner);
        let told = inner.table.answered(client, mark, read);
        inner.deliver(told);
        let evicted = inner.table.evict(keys_max, TABLE_BYTES_MAX);
        inner.deliver(evicted);
    }

    /// A client is not to keep what it knows of a key, or of anything.
    pub(super) fn invalidate(&self, client: u64, key: Option<Bytes>) {
        let what = Invalidation { key, at: None, is_doubtful: false };
        lock(&self.inner).deliver(vec![Told { client, what }]);
    }

    /// How often it was doubtful whether the feed of a group is followed.
    pub(super) fn doubts(&self, group: GroupId) -> u64 {
        lock(&self.inner).doubts.get(&group).copied().unwrap_or(0)
    }

    /// An answer has come to a client, with this mark, and is not given yet.
    pub(super) fn answer_came(&self, client: u64, mark: Position) {
        let mut inner = lock(&self.inner);
        let told = inner.table.answer_came(client, mark);
        inner.deliver(told);
    }

    /// Completes once everything up to there was given out; or once that is so doubtful that everything
    /// counts as changed, since it was doubtful so often.
    pub(super) async fn reaches(&self, group: GroupId, mark: Position, doubts: u64) {
        let is_doubtful = |inner: &Inner| inner.doubts.get(&group).is_some_and(|count| *count > doubts);
        self.until(|inner| inner.table.may_answer(group, mark) || is_doubtful(inner)).await;
    }

    async fn until(&self, is_so: impl Fn(&Inner) -> bool) {
        let mut news = self.news.subscribe();
        // The sender is a part of this.
        let _ = news.wait_for(|_| is_so(&lock(&self.inner))).await;
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whether a group is still followed, for the same time.
    fn is_followed(&self, group: GroupId, begun: u64) -> bool {
        lock(&self.inner).followed.get(&group) == Some(&begun)
    }

    /// The feed of a group is another one.
    fn begins_anew(&self, group: GroupId, epoch: u64) {
        let mut inner = lock(&self.inner);
        let told = inner.table.begins_anew(group, epoch);
        inner.deliver(told);
        drop(inner);
        self.tell();
    }

    /// Gives out what was fetched, some at a time.
    async fn give_out(&self, group: GroupId, following: Following, changes: Vec<Change>) {
        let mut number = following.count - changes.len() as u64;
        for some in changes.chunks(GIVEN_TOGETHER) {
            {
                let mut inner = lock(&self.inner);
                for change in some {
                    number += 1;
                    let told = inner.table.changed(group, (following.epoch, number), change);
                    inner.deliver(told);
                }
            }
            self.tell();
            tokio::task::yield_now().await;
        }
    }

    /// Nobody knows whether the feed of a group is followed.
    fn doubt(&self, group: GroupId) {
        let mut inner = lock(&self.inner);
        let told = inner.table.doubt(group);
        inner.deliver(told);
        *inner.doubts.entry(group).or_default() += 1;
        drop(inner);
        self.tell();
    }
}

impl Inner {
    fn deliver(&mut self, told: Vec<Told>) {
        for Told { client, what } in told {
            let Some(cache) = self.clients.get(&client) else { continue };
            match &cache.redirect {
                None => cache.mailbox.put(Mail::Invalid(what)),
                Some((id, letterbox)) => match letterbox.open() {
                    Some(mailbox) => mailbox.put(Mail::Redirected(what)),
                    None => cache.mailbox.put(Mail::Undeliverable(*id)),
                },
            }
            if cache.mailbox.held() > HELD_BYTES_MAX {
                self.break_fullest();
            }
        }
    }

    fn break_fullest(&self) {
        let mailboxes = self.clients.values().flat_map(|cache| {
            let other = cache.redirect.as_ref().and_then(|(_, letterbox)| letterbox.get());
            [Some(cache.mailbox.clone()), other].into_iter().flatten()
        });
        if let Some(fullest) = mailboxes.max_by_key(|mailbox| mailbox.bytes()) {
            fullest.break_off(TOO_MUCH);
        }
    }
}

/// What is said about the replies to a client that caches, behind them.
pub(super) struct Marked {
    pub(super) replies: Bytes,
    pub(super) mark: Position,
    /// The keys that scripts have read; none if nobody knows.
    pub(super) read: Option<Vec<Bytes>>,
}

impl Marked {
    /// Takes the replies to so many commands apart from what is behind them. None if that makes no sense.
    pub(super) fn take(mut reply: Bytes, count: usize) -> Option<Self> {
        let replies = reply.split_to(replies_length(&reply, count)?);
        let length = replies_length(&reply, 1)?;
        let mark = marked(&reply.split_to(length))?;
        Some(Self { replies, mark, read: keys(&reply)? })
    }
}

/// The keys in an array; none within if it is nil.
#[expect(clippy::option_option, reason = "what makes no sense, and what is not known")]
fn keys(array: &Bytes) -> Option<Option<Vec<Bytes>>> {
    let end = array.windows(2).position(|pair| pair == b"\r\n")?;
    let count = std::str::from_utf8(&array[..end]).ok()?.strip_prefix('*')?.parse::<i64>().ok()?;
    let Ok(count) = usize::try_from(count) else { return Some(None) };
    let mut rest = array.slice(end + 2..);
    let mut keys = Vec::new();
    for _ in 0..count {
        let item = rest.split_to(replies_length(&rest, 1)?);
        let begin = item.windows(2).position(|pair| pair == b"\r\n")? + 2;
        keys.push(item.slice(begin..item.len().checked_sub(2)?));
    }
    Some(Some(keys))
}

/// Follows the changes of a group for as long as some client caches.
async fn follow(clients: Rc<Clients>, group: GroupId, begun: u64) {
    let mut following = Following::default();
    let caches = &clients.caches;
    while caches.is_followed(group, begun) {
        let segment = SegmentBuilder::follow(clients.lives.waiter(group), following).freeze();
        let answered = clients.hand_in(group, Kind::Wait, segment);
        let over = caches.until(|inner| inner.followed.get(&group) != Some(&begun));
        let outcome = tokio::select! {
            outcome = answered => outcome,
            () = over => break,
        };
        match outcome {
            // The node is stopping.
            Err(_) => return,
            Ok(Reply::Done { reply, .. }) => match following.take(reply.clone()) {
                Some(followed) => {
                    if followed.is_another {
                        caches.begins_anew(group, following.epoch);
                    }
                    caches.give_out(group, following, followed.items).await;
                }
                None => {
                    let begins = reply.slice(..reply.len().min(200)).escape_ascii().to_string();
                    error!(reply = begins, "the feed of keys that change makes no sense: it begins anew");
                    following = Following::default();
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            },
            // Whether it was executed or not, nothing is gone before it was heard.
            Ok(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
    // Nobody wants to hear of changes any more: they are not to be kept.
    loop {
        let segment = SegmentBuilder::unfollow().freeze();
        match clients.hand_in(group, Kind::Write, segment).await {
            Ok(Reply::Done { .. }) | Err(_) => return,
            Ok(_) => tokio::time::sleep(CONFIRM_INTERVAL).await,
        }
    }
}

/// Asks from time to time where the feed of a group stands, and whether everything up to there was given out.
async fn confirm(clients: Rc<Clients>, group: GroupId, begun: u64) {
    let caches = &clients.caches;
    let mut confirmed = Instant::now();
    while caches.is_followed(group, begun) {
        tokio::time::sleep(CONFIRM_INTERVAL).await;
        let asked = Instant::now();
        let standing = async {
            let mark = ask_mark(&clients, group).await?;
            let doubts = caches.doubts(group);
            caches.reaches(group, mark, doubts).await;
            Some(())
        };
        let until = confirmed + DOUBT_AFTER;
        if let Ok(Some(())) = tokio::time::timeout_at(until, standing).await {
            confirmed = asked;
        } else if Instant::now() >= until && caches.is_followed(group, begun) {
            warn!(%group, "nobody says whether what clients have cached has changed: it counts as changed");
            caches.doubt(group);
            confirmed = Instant::now();
        }
    }
}

/// Where the feed of a group stands now.
pub(super) async fn ask_mark(clients: &Clients, group: GroupId) -> Option<Position> {
    let coordinator = coordinator(clients, group);
    let client = ListenerId { coordinator, number: 0 };
    let segment = SegmentBuilder::new(0, Version::Two).caching(client).finish().freeze();
    match clients.hand_in(group, Kind::Read, segment).await {
        Ok(Reply::Done { reply, .. }) => Marked::take(reply, 0).map(|marked| marked.mark),
        _ => None,
    }
}

/// Which coordinator of this node speaks for its clients to a group.
fn coordinator(clients: &Clients, group: GroupId) -> onecopy_core::Incarnation {
    clients.lives.of(Share::holder(group, clients.mailboxes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_replies_is_taken_apart() {
        let take = |text: &'static str, count| Marked::take(Bytes::from_static(text.as_bytes()), count);
        let marked = take("+OK\r\n$1\r\nx\r\n*2\r\n:3\r\n:40\r\n*2\r\n$1\r\na\r\n$0\r\n\r\n", 2).unwrap();
        assert_eq!((marked.replies.as_ref(), marked.mark), (b"+OK\r\n$1\r\nx\r\n".as_slice(), (3, 40)));
        assert_eq!(marked.read, Some(vec![Bytes::from_static(b"a"), Bytes::new()]));
        assert_eq!(take("*2\r\n:0\r\n:0\r\n*-1\r\n", 0).unwrap().read, None);
        for wrong in ["", "+OK\r\n", "*2\r\n:0\r\n:0\r\n", "*2\r\n:0\r\n:0\r\n*1\r\n", "*0\r\n*0\r\n"] {
            assert!(take(wrong, 0).is_none(), "{wrong}");
        }
    }
}
