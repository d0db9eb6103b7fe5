//! A copy of an optimistic database: the room beside that of the groups with a log in common.
//!
//! There is no primary, no view that anybody must agree to, and no entry that all copies execute in the same
//! order. A copy executes what its node's clients ask for at once, on [what it has seen](onecopy_merge),
//! makes an update of it, writes that down, answers, and tells the others. What it hears from them it shows
//! as soon as everything is there that the maker of an update had seen. So it serves also if it sees nobody
//! else, and copies that have heard of the same updates are the same.
//!
//! # Turns
//!
//! As everywhere in this crate: what has happened is handed in ([`OptimisticCopy::offer`],
//! [`OptimisticCopy::received`] and the others), and [`OptimisticCopy::end_turn`] does what follows. All that
//! a turn changes, in the order in which it changed, is one entry of the log.
//!
//! # What waits for the disk
//!
//! - Answers to clients, also to those who have only read (rule O3).
//! - Own updates, before anybody else hears of them, by whatever way (rule O5): an update that is lost and
//!   was heard of would have its name given to another one after the restart.
//! - What a copy says that it has seen: others may forget it.
//!
//! # Lives
//!
//! A copy names its updates by the number of its life, which the view table gives out: the version of the
//! table with which the life of the node was registered. It makes updates only once it has seen that the
//! table knows of *this start* of the node. Then its data directory is no old image, and no update that it
//! has forgotten is known to others under a name that it would give again.
//!
//! | module | what |
//! | --- | --- |
//! | [`message`], `record`, `logging` | what copies say to each other, and what they write down |
//! | `serving`, `sessions`, `waits` | the requests of clients, what is remembered of them, and who waits |
//! | `streaming`, `window`, `peer` | updates on their way to others |
//! | `repairing` | what was missed for longer than anybody remembers |
//! | `imaging` | images of the state |
//! | `enough` | answers that wait until other copies have what was done |
//! | `places` | how a copy comes, and how it goes |
//! | `news` | what people may want to know |

mod enough;
mod imaging;
mod logging;
pub mod message;
mod news;
mod peer;
mod places;
mod record;
mod repairing;
mod serving;
mod sessions;
mod settings;
mod streaming;
#[cfg(test)]
mod tests;
mod waits;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    EntryId, Epoch, GroupId, Index, Instant, NodeId, Rules, Ticket, Timestamp, ViewNumber, Write,
};
use onecopy_merge::{Clock, Replica, ReplicaId, Requests, foldable};
use onecopy_views::Table;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::disk::Out;
use crate::group::GroupEffect;
use crate::journal::Journal;
use crate::message::GroupMessage;
use enough::Enough;
use imaging::Taking;
use logging::{Writing, replay};
pub use news::{News, Other};
use peer::Peer;
pub use places::Place;
use places::Standpoint;
pub use record::{CorruptCopy, is_optimistic};
use record::{Record, decode_state, encode_state};
use repairing::Repair;
pub use repairing::Repairs;
use serving::Serving;
pub use serving::witnessed;
use sessions::Sessions;
pub use settings::{Restored, Settings};
use waits::Wait;
use window::Window;

/// All entries have this epoch: nobody else writes to the log.
const EPOCH: Epoch = Epoch(1);
/// A disk that has not finished a write for so long stands still.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// So many keys that are due are removed in one turn.
const EXPIRED_TOGETHER: usize = 256;

/// One copy of an optimistic database, with all that it needs.
#[derive(Debug)]
pub struct OptimisticCopy {
    settings: Settings,
    rules: Rules,
    replica: Replica,
    /// The view table knows of this start of the node.
    is_confirmed: bool,
    /// What the table says of it.
    standpoint: Standpoint,
    /// It has had everything that some other copy had, or there was none to ask.
    has_caught_up: bool,
    started: Instant,
    /// When the turn began, and what the node takes for the time.
    now: Instant,
    clock: Timestamp,
    chance: ChaCha8Rng,
    peers: BTreeMap<NodeId, Peer>,
    /// Updates of others that have arrived in this turn.
    arrived: Vec<(NodeId, Bytes)>,
    requests: Requests,
    serving: Serving,
    waits: Vec<Wait>,
    enough: Enough,
    sessions: Sessions,
    window: Window,
    // ---- what is written down
    journal: Journal<(NodeId, GroupMessage)>,
    /// The disk knows that this is a copy of an optimistic database.
    is_marked: bool,
    /// What this turn has changed, in this order.
    unwritten: Vec<Record>,
    last: Index,
    ticket: Ticket,
    /// What is on its way to the disk.
    writing: VecDeque<Writing>,
    unsynced: usize,
    /// What has been seen durably, and with which write.
    durable: Clock,
    synced: Ticket,
    // ---- images
    base: EntryId,
    wants_image: bool,
    taking: Option<Taking>,
    image_bytes: u64,
    // ---- repair
    repair: Option<Repair>,
    question: u64,
    next_repair: Instant,
    next_digest_repair: Instant,
    repairs: Repairs,
    next_heartbeat: Instant,
    news: VecDeque<News>,
}

impl OptimisticCopy {
    /// Starts a copy with what its disk kept.
    ///
    /// # Errors
    /// When what the disk kept cannot be understood.
    pub fn start(settings: Settings, restored: Restored, now: Instant) -> Result<Self, CorruptCopy> {
        let Restored { recovered, image } = restored;
        let rules = settings.rules;
        let mut replica = match (&image, recovered.base) {
            (Some(image), _) => Replica::restore(image, rules)?,
            (None, EntryId::ZERO) => Replica::new(ReplicaId(0), rules),
            (None, _) => return Err(CorruptCopy::NoImage),
        };
        let life = recovered.state.as_deref().map(decode_state).transpose()?;
        if let Some(life) = life.filter(|life| *life != replica.id()) {
            replica = replica.in_life(life);
        }
        let mut window = Window::bounded(settings.window_bytes_max);
        replay(&mut replica, &recovered.entries, &mut window, now)?;
        let last = recovered.entries.last().map_or(recovered.base.index, |entry| entry.id.index);
        let clock = recovered.entries.last().map_or(Timestamp(0), |entry| entry.time);
        Ok(Self {
            rules,
            is_confirmed: false,
            standpoint: Standpoint::default(),
            has_caught_up: life.is_some_and(|life| life != ReplicaId(0)),
            started: now,
            now,
            clock,
            chance: ChaCha8Rng::from_seed(settings.seed),
            peers: BTreeMap::new(),
            arrived: Vec::new(),
            requests: Requests::default(),
            serving: Serving::default(),
            waits: Vec::new(),
            enough: Enough::default(),
            sessions: Sessions::default(),
            window,
            journal: Journal::of(settings.group),
            is_marked: life.is_some(),
            unwritten: Vec::new(),
            last,
            ticket: Ticket::default(),
            writing: VecDeque::new(),
            unsynced: 0,
            durable: replica.clock().clone(),
            synced: Ticket::default(),
            base: recovered.base,
            wants_image: false,
            taking: None,
            image_bytes: image.map_or(0, |image| image.len() as u64),
            repair: None,
            question: 0,
            next_repair: now,
            next_digest_repair: now,
            repairs: Repairs::default(),
            next_heartbeat: now,
            news: VecDeque::new(),
            replica,
            settings,
        })
    }

    /// Which group it is.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.settings.group
    }

    /// Its state.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The number of its life; 0 as long as it has none.
    #[must_use]
    pub fn life(&self) -> ReplicaId {
        self.replica.id()
    }

    /// What it has seen and has durably.
    #[must_use]
    pub fn durable(&self) -> &Clock {
        &self.durable
    }

    /// Whether it takes requests. While its disk stands still it takes none: other copies do.
    #[must_use]
    pub fn serves(&self) -> bool {
        let is_stalled = |writing: &Writing| self.now.since(writing.since) >= DISK_PATIENCE;
        self.lives() && !self.writing.front().is_some_and(is_stalled)
    }

    /// Whether it has a number, has had what others had, and is to have more.
    fn lives(&self) -> bool {
        self.is_confirmed && self.has_caught_up && self.standpoint.is_open()
    }

    /// What the node took for the time when the last turn ended.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// From whose state it repairs itself, if it does.
    #[must_use]
    pub fn repairs_from(&self) -> Option<NodeId> {
        self.repair.as_ref().map(Repair::from)
    }

    /// What repairs have done since the start.
    #[must_use]
    pub fn repairs(&self) -> Repairs {
        self.repairs
    }

    /// About how many bytes of memory its state takes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.replica.store().memory()
    }

    /// All groups of the node together may have so many bytes, if that is set for the cluster, and the others
    /// have so many. What others have done is shown in any case, and nothing goes to make room: a copy would
    /// take away what others have use for.
    pub fn set_memory(&mut self, set: Option<u64>, beside: u64) {
        let max = match set.unwrap_or(self.settings.memory_max) {
            0 => 0,
            max => max.saturating_sub(beside).max(1),
        };
        self.replica.set_memory_max(max);
    }

    /// Bytes of the last image.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        self.image_bytes
    }

    // ---- what happens -------------------------------------------------------------------------------------

    /// The node has learnt a view table.
    pub fn announced(&mut self, now: Instant, table: &Table, out: &mut Out<GroupEffect>) {
        let (group, me) = (self.settings.group, self.settings.me);
        let Some(view) = table.groups().get(&group).map(|group| &group.view) else { return };
        let life = |node: NodeId| table.copy_number(group, node).map(ReplicaId);
        let registered = table.nodes().get(&me).map(onecopy_views::Registration::start);
        let knows_me = registered == Some(self.settings.start);
        let place = Place::of(me, group, view, table);
        if place == Place::Nowhere {
            // An older table may know nothing of a copy yet. And where a copy was let go the view has changed:
            // in a first one, which a view service that was founded anew may have made, it is not named for
            // another reason, and what it holds may be all that is left.
            if knows_me && self.is_marked && view.number > ViewNumber(1) {
                self.go(now, out);
            }
            self.standpoint.learn(place, view.number);
            return self.peers.clear();
        }
        self.peers.retain(|node, _| view.replicas().any(|replica| replica.node == *node));
        for replica in view.replicas().filter(|replica| replica.node != me) {
            let peer = self.peers.entry(replica.node).or_default();
            peer.life = life(replica.node).unwrap_or_default();
            peer.place = Place::of(replica.node, group, view, table);
        }
        self.standpoint.learn(place, view.number);
        self.enough.set(table.copies_before_ok(group));
        if let Some(life) = life(me).filter(|_| knows_me) {
            self.live(now, life, out);
        }
    }

    /// The view table knows of this start of the node, in this life.
    fn live(&mut self, now: Instant, life: ReplicaId, out: &mut Out<GroupEffect>) {
        if self.is_confirmed && self.life() == life {
            return;
        }
        if self.life() != life {
            self.give_up_repair(now);
            let replica = std::mem::replace(&mut self.replica, Replica::new(life, self.rules));
            self.replica = replica.in_life(life);
            self.peers.values_mut().for_each(|peer| peer.lost(life));
            self.write_down(out);
            self.is_marked = true;
            self.persist(vec![Write::State(encode_state(life))], out);
        }
        self.is_confirmed = true;
        self.started = now;
        self.has_caught_up |= self.peers.is_empty() && self.standpoint.place == Place::Member;
        self.news(News::Lives(life));
    }

    /// The connection to a node broke: what was on its way is lost.
    pub fn lost(&mut self, node: NodeId) {
        let me = self.life();
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.lost(me);
        }
        self.lost_answer(node);
    }

    /// All writes up to `ticket` are durable.
    pub fn persisted(&mut self, now: Instant, ticket: Ticket, out: &mut Out<GroupEffect>) {
        while let Some(writing) = self.writing.pop_front_if(|writing| writing.ticket <= ticket) {
            self.durable = writing.clock;
            self.unsynced -= writing.bytes;
        }
        self.synced = self.synced.max(ticket);
        self.forgotten(out);
        self.journal.persisted(ticket, out);
        while let Some((to, message)) = self.journal.next() {
            out.effects.push(GroupEffect::Send { group: self.settings.group, to, message });
        }
        self.answer_durable(self.synced, out);
        self.stream(now, out);
        if self.owes_standing() {
            self.say_standing(now, out);
        }
    }

    // ---- what follows from it -----------------------------------------------------------------------------

    /// The turn is over. `steady` is what the node takes for the time; it may be set back.
    pub fn end_turn(&mut self, now: Instant, steady: Timestamp, out: &mut Out<GroupEffect>) {
        (self.now, self.clock) = (now, steady);
        self.take_arrivals();
        if self.lives() {
            let due = self.replica.advance(steady, EXPIRED_TOGETHER);
            self.record(due);
            self.fold();
        } else if self.is_confirmed && now.since(self.started) >= self.settings.failure_timeout * 2 {
            // Nobody is there whom it could ask, or who knows more.
            self.has_caught_up |= self.repair.is_none() && self.standpoint.place == Place::Member;
        }
        self.execute(out);
        self.serve_waits(now, out);
        self.answer_enough(now, out);
        self.go_on_repairing(now, out);
        self.serving.tidy(now);
        self.write_down(out);
        self.begin_image();
        self.continue_image(out);
        self.stream(now, out);
        self.ask_for_place(now, out);
        if now >= self.next_heartbeat || self.owes_standing() {
            self.say_standing(now, out);
        }
    }

    /// When the copy next wants a turn.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Instant {
        let has_work = self.serving.has_arrivals()
            || !self.arrived.is_empty()
            || self.wants_image && !self.is_forgetting()
            || self.taking.as_ref().is_some_and(Taking::has_room);
        if has_work {
            return now;
        }
        [self.repair_due(), self.waits_due(), self.enough.due()]
            .into_iter()
            .flatten()
            .fold(self.next_heartbeat, Instant::min)
    }

    /// Replicas that are over are folded into one number, once all that live have seen the same of them (rule
    /// O8). The first of the members says so.
    fn fold(&mut self) {
        let me = self.life();
        let is_known = |peer: &Peer| peer.life != ReplicaId(0) && peer.standing.life == peer.life;
        let mut members = self.peers.iter().filter(|(_, peer)| peer.place == Place::Member);
        if self.place() != Place::Member
            || !self.peers.values().all(is_known)
            || members.any(|(node, _)| *node < self.settings.me)
        {
            return;
        }
        let others = self.peers.values().map(|peer| (peer.life, &peer.standing.clock));
        let living: Vec<(ReplicaId, &Clock)> = others.chain([(me, self.replica.clock())]).collect();
        let Some(floor) = foldable(&living) else { return };
        let living: Vec<ReplicaId> = living.into_iter().map(|(life, _)| life).collect();
        let folded = self.replica.fold(self.clock, floor, &living);
        self.record(folded);
    }
}
