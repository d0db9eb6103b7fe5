//! Those who cache: one *shelf* for each node, which does what a node does for its clients. It follows the
//! keys that change, with the production code that does so, and the table of a node says whom a change is to
//! be told (`onecopy_keyspace::tracking::table`). Its clients read registers of their own, keep what they
//! read, and forget what they are told to; each asks for one thing at a time.
//!
//! Whenever a client is answered, everything that it has kept must be as that answer's state has it. At last,
//! when all is quiet, it must be as it is then.
//!
//! Shelves have dice of their own, and only some runs have shelves: all others are what they were.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use onecopy_core::{Incarnation, Index, NodeId, Rules};
use onecopy_host::Submission;
use onecopy_keyspace::channels::ListenerId;
use onecopy_keyspace::feeds::{Following, marked};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_keyspace::tracking::Change;
use onecopy_keyspace::tracking::table::{Invalidation, Position, Table, Told, Wants};
use onecopy_resp::{Version, replies_length};
use onecopy_views::MAIN;

use crate::channels::Step;
use crate::client::{self, Action, Family, OpId, Reply};
use crate::clock::{MS, Time};
use crate::dice::Dice;
use crate::ending::Phase;
use crate::env::Event;
use crate::message::Kind;
use crate::model;
use crate::node::Happened;
use crate::trace::violated;
use crate::world::World;

const CHECKER: &str = "caches";

/// The first of the registers that are cached: no other client knows them.
const FIRST_KEY: u64 = 1_000;
/// How many there are.
const KEYS: u64 = 3;
/// How many clients a shelf has.
const CLIENTS: u64 = 2;

/// One client that caches.
#[derive(Debug, Default)]
struct Keeper {
    /// What it waits for, and since when.
    asked: Option<(OpId, Time)>,
    /// Where the feed stood when it asked.
    begin: Position,
    /// An answer whose turn has not come: its mark, the replies, and what its state reflected.
    held: Option<(Position, Bytes, Index)>,
    /// What it is told, and has not heard.
    mail: VecDeque<Invalidation>,
    /// What it has kept, by the key.
    kept: BTreeMap<u64, Bytes>,
}

impl Keeper {
    /// It hears what it is told, as long as that `is_wanted`.
    fn hear(&mut self, is_wanted: impl Fn(&Invalidation) -> bool) {
        while let Some(what) = self.mail.pop_front_if(|what| is_wanted(what)) {
            match &what.key {
                None => self.kept.clear(),
                Some(name) => self.kept.retain(|key, _| Family::Register.key(*key).as_bytes() != name),
            }
        }
    }
}

/// One node's part in caching.
#[derive(Debug)]
pub struct Shelf {
    home: NodeId,
    dice: Dice,
    rules: Rules,
    /// The process that it speaks for.
    life: Incarnation,
    following: Following,
    fetches: Option<OpId>,
    table: Table,
    keepers: BTreeMap<u64, Keeper>,
}

impl Shelf {
    /// The shelves of a run with these nodes, if it has some: `chance` in a thousand have.
    #[must_use]
    pub fn all(seed: u64, chance: u64, nodes: &[NodeId], rules: Rules) -> Vec<Self> {
        let mut dice = Dice::new(seed, 28);
        if !dice.chance(chance) {
            return Vec::new();
        }
        let shelf = |home: &NodeId| Self {
            home: *home,
            dice: Dice::new(seed, 2_000 + u64::from(home.0)),
            rules,
            life: Incarnation::default(),
            following: Following::default(),
            fetches: None,
            table: Table::new(rules),
            keepers: BTreeMap::new(),
        };
        nodes.iter().map(shelf).collect()
    }

    /// Everything is over for this process: what it had asked for is heard by nobody.
    fn begin_anew(&mut self, life: Incarnation) -> Vec<OpId> {
        let fetches = self.fetches.take().into_iter();
        let asked: Vec<OpId> = self.keepers.values().filter_map(|keeper| Some(keeper.asked?.0)).collect();
        (self.life, self.following, self.table) = (life, Following::default(), Table::new(self.rules));
        self.keepers = (1..=CLIENTS).map(|client| (client, Keeper::default())).collect();
        (1..=CLIENTS).for_each(|client| self.table.enter(client, Wants::Keys, None));
        fetches.chain(asked).collect()
    }

    fn tell(&mut self, told: Vec<Told>) {
        for Told { client, what } in told {
            if let Some(keeper) = self.keepers.get_mut(&client) {
                keeper.mail.push_back(what);
            }
        }
    }
}

impl World {
    /// It is time for a shelf to go on.
    pub(crate) fn shelf(&mut self, number: usize) {
        let now = self.env.time;
        let pause = 2 * MS + self.shelves[number].dice.below(30) * MS;
        let next = now + self.phase.stretches(pause);
        self.env.schedule(next, Event::Shelf(number));
        if self.env.subject.is_some() || self.phase == Phase::Over {
            return;
        }
        let home = self.shelves[number].home;
        let life = self.node(home).process.as_ref().map(|process| process.life());
        let shelf = &mut self.shelves[number];
        if life != Some(shelf.life) {
            let lost = shelf.begin_anew(life.unwrap_or_default());
            let ledger = &mut self.env.checks.group(MAIN).ledger;
            lost.into_iter().for_each(|op| ledger.answered(op, &Reply::Unknown, now));
        }
        if life.is_none() {
            return;
        }
        if self.shelves[number].fetches.is_none() {
            let Following { epoch, count } = self.shelves[number].following;
            let action = Action::Channels(Step::Follow { epoch, count });
            let op = self.env.checks.group(MAIN).ledger.invoke(action, 0, now);
            self.env.note(home, || format!("a shelf: operation {op}, {action:?}"));
            let Action::Channels(step) = action else { return };
            let segment = step.segment(0, op).freeze();
            self.shelves[number].fetches = Some(op);
            self.hand_in(home, Submission { kind: action.kind(), segment, client: op });
        }
        for client in 1..=CLIENTS {
            self.keep(number, client);
        }
    }

    fn hand_in(&mut self, home: NodeId, submission: Submission<OpId>) {
        self.nodes[home.0 as usize - 1].happened(&mut self.env, Happened::Submitted(submission));
    }

    /// It is time for a client that caches to go on.
    fn keep(&mut self, number: usize, client: u64) {
        let now = self.env.time;
        let shelf = &mut self.shelves[number];
        let home = shelf.home;
        let Some(keeper) = shelf.keepers.get_mut(&client) else { return };
        if let Some((op, since)) = keeper.asked {
            if now >= since + client::PATIENCE {
                (keeper.asked, keeper.held) = (None, None);
                shelf.table.gave_up(client);
                self.env.checks.group(MAIN).ledger.answered(op, &Reply::Unknown, now);
            }
            return;
        }
        if shelf.dice.chance(500) {
            // It hears what it is told whenever it looks.
            keeper.hear(|_| true);
        }
        // With so many who ask at once, a learner on a slow disk would never catch up.
        let rests = match self.phase {
            Phase::Settling(..) => true,
            Phase::Recovery(..) => shelf.dice.chance(950),
            Phase::Faults | Phase::Over => shelf.dice.chance(400),
        };
        if rests || shelf.following.epoch == 0 {
            return;
        }
        let action = if shelf.dice.chance(700) { Action::Get } else { Action::Set };
        let key = FIRST_KEY + shelf.dice.below(KEYS);
        let value_bytes = self.env.profile.value_bytes;
        let op = self.env.checks.group(MAIN).ledger.invoke(action, key, now);
        self.env.note(home, || format!("client {client} of a shelf: operation {op}, {action:?} {key}"));
        let (name, shelf) = (Family::Register.key(key), &mut self.shelves[number]);
        let is_read = action.kind() == Kind::Read;
        let asked = is_read.then_some(name.as_bytes());
        let begin = shelf.table.ask(client, (MAIN, !is_read), asked);
        if let Some(keeper) = shelf.keepers.get_mut(&client) {
            (keeper.asked, keeper.begin) = (Some((op, now)), begin);
        }
        let of = ListenerId { coordinator: shelf.life, number: 0 };
        let mut segment = SegmentBuilder::new(0, Version::Two).caching(of);
        match is_read {
            true => segment.push([b"GET".as_slice(), name.as_bytes()]),
            false => segment.push([b"SET".as_slice(), name.as_bytes(), &client::value(op, value_bytes)]),
        }
        let segment = segment.finish().freeze();
        self.hand_in(home, Submission { kind: action.kind(), segment, client: op });
    }

    /// A node has an answer: whether it is for a shelf.
    pub(crate) fn shelf_hears(&mut self, node: NodeId, op: OpId, reply: &Reply) -> bool {
        let asks = |keeper: &Keeper| keeper.asked.is_some_and(|(asked, _)| asked == op);
        let waits = |shelf: &Shelf| {
            shelf.home == node && (shelf.fetches == Some(op) || shelf.keepers.values().any(asks))
        };
        let Some(number) = self.shelves.iter().position(waits) else { return false };
        let now = self.env.time;
        self.env.note(node, || format!("a shelf: operation {op} ends: {reply:?}"));
        let shelf = &mut self.shelves[number];
        if shelf.fetches == Some(op) {
            shelf.fetches = None;
            self.env.checks.group(MAIN).ledger.answered(op, reply, now);
            if let Reply::Done(bytes, _) = reply {
                self.follow_changes(number, bytes.clone());
            }
            return true;
        }
        let keepers = shelf.keepers.iter_mut();
        let Some((client, keeper)) = keepers.into_iter().find(|(_, keeper)| asks(keeper)) else {
            return true;
        };
        let client = *client;
        match reply {
            Reply::Done(bytes, index) => {
                let Some((mark, replies)) = marked_apart(bytes.clone()) else {
                    violated(CHECKER, format!("operation {op} is answered {bytes:?}"));
                };
                keeper.held = Some((mark, replies, *index));
                let told = shelf.table.answer_came(client, mark);
                shelf.tell(told);
                self.give(number, client);
            }
            other => {
                keeper.asked = None;
                shelf.table.gave_up(client);
                self.env.checks.group(MAIN).ledger.answered(op, other, now);
            }
        }
        true
    }

    /// A shelf has fetched something.
    fn follow_changes(&mut self, number: usize, reply: Bytes) {
        let shelf = &mut self.shelves[number];
        let Some(followed) = shelf.following.take::<Change>(reply.clone()) else {
            violated(CHECKER, format!("the feed of {} has a gap, or makes no sense: {reply:?}", shelf.home));
        };
        let Following { epoch, count } = shelf.following;
        if followed.is_another {
            let told = shelf.table.begins_anew(MAIN, epoch);
            shelf.tell(told);
        }
        let first = count - followed.items.len() as u64 + 1;
        for (change, at) in followed.items.iter().zip(first..) {
            let told = shelf.table.changed(MAIN, (epoch, at), change);
            shelf.tell(told);
        }
        (1..=CLIENTS).for_each(|client| self.give(number, client));
    }

    /// Gives a client its answer, if its turn has come.
    fn give(&mut self, number: usize, client: u64) {
        let now = self.env.time;
        let shelf = &mut self.shelves[number];
        let Some(keeper) = shelf.keepers.get_mut(&client) else { return };
        let may_answer = |(mark, ..): &mut (Position, Bytes, Index)| shelf.table.may_answer(MAIN, *mark);
        let Some((mark, replies, index)) = keeper.held.take_if(may_answer) else { return };
        let Some((op, _)) = keeper.asked.take() else { return };
        let ledger = &mut self.env.checks.group(MAIN).ledger;
        ledger.answered(op, &Reply::Done(replies.clone(), index), now);
        let (action, key) = (ledger.ops[op].action, ledger.ops[op].key);
        if action == Action::Get {
            // As a node does.
            keeper.mail.retain(|what| !what.is_needless(MAIN, (keeper.begin, mark)));
            keeper.hear(|what| !what.is_behind(MAIN, mark));
            for (kept, value) in &keeper.kept {
                let state = ledger.state_at(Family::Register, *kept, index.0);
                let is = model::answer(
                    Action::Get,
                    (*kept, op),
                    state,
                    ledger.time_at(index.0),
                    ledger.value_bytes,
                );
                if *value != is {
                    let [value, is] =
                        [value, &is[..]].map(|text| text[..text.len().min(60)].escape_ascii().to_string());
                    violated(
                        CHECKER,
                        format!(
                            "operation {op} of {} is answered as of {index}, where register {kept} is {is:?}, but \
                             client {client} has still kept {value:?}",
                            shelf.home
                        ),
                    );
                }
            }
            keeper.kept.insert(key, replies);
        }
        let told = shelf.table.answered(client, mark, Some(&[]));
        shelf.tell(told);
    }

    /// All is quiet: nobody has kept what is not so any more.
    pub(crate) fn shelves_are_current(&mut self) {
        let ledger = &self.env.checks.groups[&MAIN].ledger;
        let last = ledger.len();
        for shelf in &mut self.shelves {
            let process = self.nodes[shelf.home.0 as usize - 1].process.as_ref();
            if process.is_none_or(|process| process.life() != shelf.life) {
                continue;
            }
            for (client, keeper) in &mut shelf.keepers {
                keeper.hear(|_| true);
                for (key, value) in &keeper.kept {
                    let state = ledger.state_at(Family::Register, *key, last);
                    let time = ledger.time_at(last);
                    let is = model::answer(Action::Get, (*key, 0), state, time, ledger.value_bytes);
                    if *value != is {
                        let what = format!(
                            "client {client} of {} has never heard that register {key} has changed",
                            shelf.home
                        );
                        violated(CHECKER, what);
                    }
                }
            }
        }
    }
}

/// The mark behind one reply, and that reply.
fn marked_apart(mut bytes: Bytes) -> Option<(Position, Bytes)> {
    let reply = bytes.split_to(replies_length(&bytes, 1)?);
    let length = replies_length(&bytes, 1)?;
    Some((marked(&bytes.split_to(length))?, reply))
}
