//! Porters carry keys between databases (`MOVE`), with the production code that drives a move; they give one
//! up when its node does not answer, and go on with what others have begun. Meanwhile elements are pushed to
//! the keys, wherever these are. At the end each key is in one database, with everything that was
//! acknowledged (rule `MovedOnce`; `docs/guarantees.md`, keys that go to another database).
//!
//! Porters have dice of their own, and only some runs have porters: all others are what they were.

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{GroupId, NodeId, QueryContext, StateMachine, Timestamp};
use onecopy_host::{Kind, Submission};
use onecopy_keyspace::moves::{Ask, Ended, Heard, Mover};
use onecopy_keyspace::request::{BodyBuilder, SegmentBuilder, split_response};
use onecopy_resp::Version;
use onecopy_views::MAIN;

use crate::client::{self, OpId, Reply, first_op};
use crate::clock::{MS, Time};
use crate::dice::Dice;
use crate::ending::Phase;
use crate::env::Event;
use crate::machine::{self, Machine};
use crate::node::Happened;
use crate::profile::Profile;
use crate::trace::violated;
use crate::world::World;

const CHECKER: &str = "moves";
/// How many porters there are, and how many keys.
const PORTERS: usize = 3;
const KEYS: usize = 3;
/// Of a thousand runs with several databases, so many have porters.
const CHANCE: u64 = 400;
/// The operations of porters have numbers from here on: clients use far fewer.
const FIRST: OpId = 900_000;
/// For so long a move is left to whoever has begun it, in milliseconds.
const AGE_MS: u64 = 200;
/// Of a thousand questions, so many are given up before anybody could have answered.
const HASTY: u64 = 250;

/// What was pushed to a key.
#[derive(Debug, Default)]
struct Pushed {
    acknowledged: BTreeSet<OpId>,
    /// Nobody knows what became of these.
    unknown: BTreeSet<OpId>,
}

/// What a porter waits for.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// A step of its move.
    Step,
    /// A new key.
    Create(usize),
    /// An element that is pushed to a key.
    Push(usize),
    /// Which moves are under way.
    Look(GroupId),
}

/// One porter.
#[derive(Debug)]
struct Porter {
    mover: Option<Mover>,
    /// Which operation, where, and until when it waits.
    asked: Option<(OpId, NodeId, Time, Want)>,
}

/// All porters of a run, and what they carry.
#[derive(Debug)]
pub(crate) struct Porters {
    dice: Dice,
    all: Vec<Porter>,
    /// The keys that there are; whoever does not know whether it has made one makes another.
    keys: BTreeMap<usize, Pushed>,
    next: OpId,
}

/// Whether it is an operation of a porter.
#[must_use]
pub(crate) fn asks(op: OpId) -> bool {
    op % first_op(GroupId(MAIN.0 + 1)) >= FIRST
}

fn name(key: usize) -> Vec<u8> {
    format!("carried{key}").into_bytes()
}

impl Porters {
    /// Those of a run, if it has some.
    pub(crate) fn of(seed: u64, profile: &Profile) -> Self {
        let mut dice = Dice::new(seed, 41);
        let may = profile.databases > 1 && profile.dropped.is_none() && profile.memory_max == 0;
        let count = if may && dice.chance(CHANCE) { PORTERS } else { 0 };
        let all = (0..count).map(|_| Porter { mover: None, asked: None }).collect();
        Self { dice, all, keys: BTreeMap::new(), next: FIRST }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    fn group(&mut self, databases: u32) -> GroupId {
        GroupId(MAIN.0 + self.dice.below(databases.into()) as u32)
    }
}

impl World {
    /// It is time for a porter to go on.
    pub(crate) fn porter(&mut self, number: usize) {
        let now = self.env.time;
        let pause = self.porters.dice.between(5, 120) * MS;
        self.env.schedule(now + pause, Event::Porter(number));
        if self.env.subject.is_some() || matches!(self.phase, Phase::Settling(..) | Phase::Over) {
            return;
        }
        if let Some((op, node, until, _)) = self.porters.all[number].asked {
            let is_there = self.nodes[node.0 as usize - 1].process.is_some();
            if is_there && now < until {
                return;
            }
            // The node does not answer, or not soon enough.
            self.porter_hears(node, op, &Reply::Unknown);
        }
        let (databases, is_faulty) = (self.env.profile.databases, self.is_faulty());
        let porters = &mut self.porters;
        let group = porters.group(databases);
        let keys: Vec<usize> = porters.keys.keys().copied().collect();
        let ask = |words: &[&[u8]]| {
            let args = words.iter().map(|word| word.to_vec()).collect();
            Ask { group, db: 0, writes: true, args }
        };
        let (want, ask) = match &porters.all[number].mover {
            Some(mover) => (Want::Step, mover.ask()),
            None if !is_faulty || porters.dice.chance(200) => (Want::Look(group), Mover::look(group, AGE_MS)),
            None if keys.len() < KEYS => {
                let key = porters.next;
                (Want::Create(key), ask(&[b"RPUSH", &name(key), key.to_string().as_bytes()]))
            }
            None => {
                let key = *porters.dice.pick(&keys);
                if porters.dice.chance(500) {
                    let element = porters.next.to_string();
                    (Want::Push(key), ask(&[b"RPUSHX", &name(key), element.as_bytes()]))
                } else {
                    let further = porters.dice.between(1, u64::from(databases) - 1) as u32;
                    let to = GroupId(MAIN.0 + (group.0 - MAIN.0 + further) % databases);
                    let mover = Mover::begin(group, (0, &name(key)), (to, 0));
                    let ask = mover.ask();
                    porters.all[number].mover = Some(mover);
                    (Want::Step, ask)
                }
            }
        };
        self.porter_asks(number, want, &ask);
    }

    fn porter_asks(&mut self, number: usize, want: Want, ask: &Ask) {
        let now = self.env.time;
        let nodes = self.nodes.len() as u64;
        let porters = &mut self.porters;
        let node = NodeId(1 + porters.dice.below(nodes) as u32);
        let op = first_op(ask.group) + porters.next;
        porters.next += 1;
        let is_hasty = porters.dice.chance(HASTY);
        let patience = if is_hasty { porters.dice.below(100) * MS } else { client::PATIENCE };
        porters.all[number].asked = Some((op, node, now + patience, want));
        if self.nodes[node.0 as usize - 1].process.is_none() {
            self.porter_hears(node, op, &Reply::Refused);
            return;
        }
        let mut segment = SegmentBuilder::new(ask.db, Version::Two);
        segment.push(ask.args.iter().map(Vec::as_slice));
        let kind = if ask.writes { Kind::Write } else { Kind::Read };
        let submission = Submission { kind, segment: segment.finish().freeze(), client: op };
        self.env.note(node, || {
            let words: Vec<String> = ask.args.iter().map(|word| word.escape_ascii().to_string()).collect();
            format!("porter {number}: operation {op}, {}", words.join(" "))
        });
        self.nodes[node.0 as usize - 1].happened(&mut self.env, Happened::Submitted(submission));
    }

    /// A node has an answer; whether it is for a porter.
    pub(crate) fn porter_hears(&mut self, node: NodeId, op: OpId, reply: &Reply) -> bool {
        let waits =
            |porter: &Porter| porter.asked.is_some_and(|(waiting, at, ..)| (waiting, at) == (op, node));
        let Some(number) = self.porters.all.iter().position(waits) else { return false };
        let Some((_, _, _, want)) = self.porters.all[number].asked.take() else { return false };
        let porters = &mut self.porters;
        let element = op % first_op(GroupId(MAIN.0 + 1));
        let number_of = |bytes: &[u8]| bytes.starts_with(b":").then(|| bytes != b":0\r\n");
        match (want, reply) {
            (Want::Step, reply) => {
                let heard = match reply {
                    Reply::Done(bytes, _) => Heard::Reply(bytes),
                    Reply::Unknown => Heard::Unknown,
                    Reply::Refused => Heard::Refused,
                };
                let porter = &mut porters.all[number];
                if let Some(ended) = porter.mover.as_mut().and_then(|mover| mover.hear(heard)) {
                    porter.mover = None;
                    self.env.stats.moved += u64::from(ended == Ended::Moved(true));
                    self.env.note(node, || format!("porter {number}: operation {op} ends a move: {ended:?}"));
                }
            }
            (Want::Create(key), Reply::Done(bytes, _)) if number_of(bytes) == Some(true) => {
                porters.keys.entry(key).or_default().acknowledged.insert(element);
            }
            (Want::Push(key), Reply::Done(bytes, _)) if number_of(bytes) == Some(true) => {
                porters.keys.entry(key).or_default().acknowledged.insert(element);
            }
            (Want::Push(key), Reply::Unknown) => {
                porters.keys.entry(key).or_default().unknown.insert(element);
            }
            (Want::Look(group), Reply::Done(bytes, _)) => {
                let found = Mover::found(bytes);
                let some = (!found.is_empty()).then(|| *porters.dice.pick(&found));
                porters.all[number].mover = some.map(|number| Mover::resume(group, number));
            }
            _ => {}
        }
        true
    }

    /// The machine of whoever leads a group.
    fn leading(&self, group: GroupId) -> Option<&Machine> {
        let view = self.env.checks.groups.get(&group)?.view(group, &self.nodes)?;
        self.nodes[view.primary.0 as usize - 1].process.as_ref()?.group(group)?.machine()
    }

    /// What is still on its way, if something is.
    pub(crate) fn still_carries(&self) -> Option<String> {
        if self.porters.all.is_empty() {
            return None;
        }
        if self.porters.all.iter().any(|porter| porter.mover.is_some() || porter.asked.is_some()) {
            return Some("a porter has not ended what it does".to_owned());
        }
        let groups = (0..self.env.profile.databases).map(|number| GroupId(MAIN.0 + number));
        let under_way = groups.filter(|group| match self.leading(*group).map(|machine| &machine.kind) {
            Some(machine::Kind::Keyspace(keyspace)) => keyspace.departures() > 0,
            _ => true,
        });
        under_way.map(|group| format!("keys of {group} are on their way")).next()
    }

    /// At the end: each key is in one database, and has everything that was pushed to it.
    pub(crate) fn everything_is_carried(&self) {
        for (key, pushed) in &self.porters.keys {
            let groups = (0..self.env.profile.databases).map(|number| GroupId(MAIN.0 + number));
            let held: Vec<Vec<OpId>> = groups.filter_map(|group| list(self.leading(group)?, *key)).collect();
            let [held] = held.as_slice() else {
                violated(CHECKER, format!("key {key} is in {} databases: {held:?}", held.len()));
            };
            let all: BTreeSet<OpId> = held.iter().copied().collect();
            let may =
                |element: &OpId| pushed.acknowledged.contains(element) || pushed.unknown.contains(element);
            if !pushed.acknowledged.is_subset(&all) || all.len() != held.len() || !all.iter().all(may) {
                violated(CHECKER, format!("key {key} holds {held:?}, and should hold {pushed:?}"));
            }
        }
    }
}

/// The elements of a key, if it is there.
fn list(machine: &Machine, key: usize) -> Option<Vec<OpId>> {
    let mut segment = SegmentBuilder::new(0, Version::Two);
    segment.push([b"LRANGE".as_slice(), &name(key), b"0", b"-1"]);
    let (mut body, mut response) = (BodyBuilder::new(), Vec::new());
    body.push(&segment.finish());
    machine.query(&QueryContext::at(Timestamp(0)), &body.finish(), &mut response);
    let reply = split_response(&response.into()).next()?.ok()??;
    let elements = std::str::from_utf8(&reply).ok()?.split("\r\n").skip(2).step_by(2);
    let elements: Vec<OpId> = elements.filter_map(|element| element.parse().ok()).collect();
    (!elements.is_empty()).then_some(elements)
}
