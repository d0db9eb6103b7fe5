//! Those who publish and subscribe: one *ear* for each node, which does what a node does for its clients. It
//! fetches the feed of its node, with the production code that follows one, and has listeners, which
//! subscribe to channels and patterns, hear, and leave.
//!
//! Ears have dice of their own, and only some runs have ears: all others are what they were.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use onecopy_core::{Incarnation, NodeId};
use onecopy_host::Submission;
use onecopy_keyspace::channels::{Message, Sort};
use onecopy_keyspace::feeds::{Following, marked};
use onecopy_keyspace::request::{SegmentBuilder, WaiterId};
use onecopy_resp::Version;
use onecopy_views::MAIN;

use crate::checks::channels::Listener;
use crate::client::{self, Action, OpId, Reply};
use crate::clock::{MS, Time};
use crate::dice::Dice;
use crate::ending::Phase;
use crate::env::Event;
use crate::node::Happened;
use crate::trace::violated;
use crate::world::World;

/// How many channels there are.
pub const CHANNELS: u64 = 3;
/// How many listeners an ear has at most.
const LISTENERS_MAX: usize = 4;
/// A name of this number is the pattern that all channels match.
const PATTERN: u64 = CHANNELS;

/// What is asked of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Publish the number of the operation.
    Publish,
    /// Listen to a channel, or to the pattern of all, as well.
    Subscribe {
        /// Which listener of the coordinator.
        listener: u64,
    },
    /// Listen to nothing any more.
    Leave {
        /// See there.
        listener: u64,
    },
    /// Fetch what was published, from here on.
    Listen {
        /// Which feed.
        epoch: u64,
        /// How many of its messages were heard.
        count: u64,
    },
    /// Fetch which keys have changed, from here on ([`crate::caches`]).
    Follow {
        /// Which feed.
        epoch: u64,
        /// How many of its changes were heard.
        count: u64,
    },
}

/// The name of a channel, or of the pattern.
fn name(key: u64) -> Vec<u8> {
    if key == PATTERN { b"chan*".to_vec() } else { format!("channel{key}").into_bytes() }
}

/// Whether what is published on a channel is for those who listen to this.
#[must_use]
pub fn matches(listened: u64, channel: u64) -> bool {
    listened == channel || listened == PATTERN
}

impl Step {
    /// Whether it waits until there is something.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::Listen { .. } | Self::Follow { .. })
    }

    /// The commands, as the state machine gets them.
    #[must_use]
    pub fn segment(self, key: u64, op: OpId) -> BytesMut {
        let segment = SegmentBuilder::new(0, Version::Two);
        let (name, text) = (name(key), op.to_string());
        let mut segment = match self {
            Self::Publish => segment,
            Self::Subscribe { listener } | Self::Leave { listener } => segment.listening(listener),
            Self::Listen { epoch, count } => {
                let waiter = WaiterId { process: Incarnation(op as u128), number: 0 };
                return SegmentBuilder::listen(waiter, Following { epoch, count });
            }
            Self::Follow { epoch, count } => {
                let waiter = WaiterId { process: Incarnation(op as u128), number: 0 };
                return SegmentBuilder::follow(waiter, Following { epoch, count });
            }
        };
        match self {
            Self::Publish => segment.push([b"PUBLISH".as_slice(), &name, text.as_bytes()]),
            Self::Subscribe { .. } if key == PATTERN => segment.push([b"PSUBSCRIBE".as_slice(), &name]),
            Self::Subscribe { .. } => segment.push([b"SUBSCRIBE".as_slice(), &name]),
            _ => {
                segment.push([b"UNSUBSCRIBE".as_slice()]);
                segment.push([b"PUNSUBSCRIBE".as_slice()]);
            }
        }
        segment.finish()
    }
}

/// What a listener knows of what it listens to: where in the feed that begins.
type Begins = BTreeMap<u64, (u64, u64)>;

/// One node's part in publishing and subscribing.
#[derive(Debug)]
pub struct Ear {
    home: NodeId,
    dice: Dice,
    /// The process that it speaks for.
    life: Incarnation,
    following: Following,
    fetches: Option<OpId>,
    /// What else it waits for, and since when.
    asked: Option<(OpId, Time)>,
    listeners: BTreeMap<u64, Begins>,
    /// What was fetched, and where in the feed it was.
    unheard: Vec<((u64, u64), Message)>,
    next: u64,
}

impl Ear {
    /// The ears of a run with these nodes, if it has some: `chance` in a thousand have.
    #[must_use]
    pub fn all(seed: u64, chance: u64, nodes: &[NodeId]) -> Vec<Self> {
        let mut dice = Dice::new(seed, 27);
        if !dice.chance(chance) {
            return Vec::new();
        }
        let ear = |home: &NodeId| Self {
            home: *home,
            dice: Dice::new(seed, 1_000 + u64::from(home.0)),
            life: Incarnation::default(),
            following: Following::default(),
            fetches: None,
            asked: None,
            listeners: BTreeMap::new(),
            unheard: Vec::new(),
            next: 1,
        };
        nodes.iter().map(ear).collect()
    }

    /// Everything is over for this process: what it had asked for is heard by nobody.
    fn begin_anew(&mut self, life: Incarnation) -> Vec<OpId> {
        let asked = self.fetches.take().into_iter().chain(self.asked.take().map(|(op, _)| op)).collect();
        (self.life, self.following, self.next) = (life, Following::default(), 1);
        self.listeners.clear();
        self.unheard.clear();
        asked
    }
}

impl World {
    /// It is time for an ear to go on.
    pub(crate) fn ear(&mut self, number: usize) {
        let now = self.env.time;
        let pause = 5 * MS + self.ears[number].dice.below(60) * MS;
        let next = now + self.phase.stretches(pause);
        self.env.schedule(next, Event::Ear(number));
        if self.env.subject.is_some() || self.phase == Phase::Over {
            return;
        }
        let home = self.ears[number].home;
        let life = self.node(home).process.as_ref().map(|process| process.life());
        let ear = &mut self.ears[number];
        if life != Some(ear.life) {
            let lost = ear.begin_anew(life.unwrap_or_default());
            let ledger = &mut self.env.checks.group(MAIN).ledger;
            lost.into_iter().for_each(|op| ledger.answered(op, &Reply::Unknown, now));
        }
        if life.is_none() {
            return;
        }
        if self.ears[number].fetches.is_none() {
            let Following { epoch, count } = self.ears[number].following;
            let op = self.ask_channels(number, Step::Listen { epoch, count }, 0);
            self.ears[number].fetches = Some(op);
        }
        let ear = &mut self.ears[number];
        if let Some((op, since)) = ear.asked {
            if now >= since + client::PATIENCE {
                ear.asked = None;
                let ledger = &mut self.env.checks.group(MAIN).ledger;
                ledger.answered(op, &Reply::Unknown, now);
                if let Action::Channels(Step::Subscribe { listener }) = ledger.ops[op].action {
                    ear.listeners.remove(&listener);
                }
                self.env.note(home, || format!("an ear waits no more for operation {op}"));
                self.hand_on(number);
            }
            return;
        }
        if matches!(self.phase, Phase::Settling(..)) {
            return;
        }
        let listeners: Vec<u64> = ear.listeners.keys().copied().collect();
        let (step, key) = match ear.dice.below(20) {
            0 | 1 if listeners.len() < LISTENERS_MAX => {
                ear.next += 1;
                ear.listeners.insert(ear.next, Begins::new());
                (Step::Subscribe { listener: ear.next }, ear.dice.below(CHANNELS + 1))
            }
            2 if !listeners.is_empty() => {
                (Step::Subscribe { listener: *ear.dice.pick(&listeners) }, ear.dice.below(CHANNELS + 1))
            }
            3 if !listeners.is_empty() => {
                let listener = *ear.dice.pick(&listeners);
                ear.listeners.remove(&listener);
                (Step::Leave { listener }, 0)
            }
            4..14 => (Step::Publish, ear.dice.below(CHANNELS)),
            _ => return,
        };
        let op = self.ask_channels(number, step, key);
        self.ears[number].asked = Some((op, now));
    }

    fn ask_channels(&mut self, number: usize, step: Step, key: u64) -> OpId {
        let (now, home) = (self.env.time, self.ears[number].home);
        let action = Action::Channels(step);
        let op = self.env.checks.group(MAIN).ledger.invoke(action, key, now);
        self.env.note(home, || format!("an ear: operation {op}, {step:?} {key}"));
        let segment = step.segment(key, op).freeze();
        let submission = Submission { kind: action.kind(), segment, client: op };
        self.nodes[home.0 as usize - 1].happened(&mut self.env, Happened::Submitted(submission));
        op
    }

    /// A node has an answer: whether it is for an ear.
    pub(crate) fn ear_hears(&mut self, node: NodeId, op: OpId, reply: &Reply) -> bool {
        let is_asked = |ear: &Ear| ear.asked.is_some_and(|(asked, _)| asked == op);
        let waits = |ear: &Ear| ear.home == node && (ear.fetches == Some(op) || is_asked(ear));
        let Some(number) = self.ears.iter().position(waits) else { return false };
        let now = self.env.time;
        self.env.note(node, || format!("an ear: operation {op} ends: {reply:?}"));
        let ledger = &mut self.env.checks.group(MAIN).ledger;
        ledger.answered(op, reply, now);
        let (Action::Channels(step), key) = (ledger.ops[op].action, ledger.ops[op].key) else { return true };
        match (step, reply) {
            (Step::Listen { .. }, _) => {
                self.ears[number].fetches = None;
                if let Reply::Done(bytes, _) = reply {
                    self.follow(number, bytes.clone());
                }
            }
            (Step::Subscribe { listener }, Reply::Done(bytes, _)) => {
                let Some((epoch, count)) = marked(bytes) else {
                    violated("channels", format!("operation {op} is answered {bytes:?}"));
                };
                let ear = &mut self.ears[number];
                ear.asked = None;
                // As a node does: it knows a later feed, or this listener is of an earlier one.
                let begins = ear.listeners.get_mut(&listener);
                let is_over = epoch < ear.following.epoch;
                match begins {
                    Some(begins) if !is_over && begins.values().all(|(of, _)| *of == epoch) => {
                        begins.entry(key).or_insert((epoch, count));
                    }
                    _ => drop(ear.listeners.remove(&listener)),
                }
            }
            (Step::Subscribe { listener }, _) => {
                // Nobody can say whether it listens: its connection ends.
                self.ears[number].asked = None;
                self.ears[number].listeners.remove(&listener);
            }
            _ => self.ears[number].asked = None,
        }
        self.hand_on(number);
        true
    }

    /// An ear has fetched something.
    fn follow(&mut self, number: usize, reply: Bytes) {
        let ear = &mut self.ears[number];
        let Some(followed) = ear.following.take::<Message>(reply.clone()) else {
            violated("channels", format!("the feed of {} has a gap, or makes no sense: {reply:?}", ear.home));
        };
        let epoch = ear.following.epoch;
        if followed.is_another {
            ear.listeners.retain(|_, begins| begins.values().all(|(of, _)| *of == epoch));
        }
        let first = ear.following.count - followed.items.len() as u64 + 1;
        let numbered = followed.items.into_iter().zip(first..);
        ear.unheard.extend(numbered.map(|(message, count)| ((epoch, count), message)));
        self.hand_on(number);
    }

    /// What was fetched goes to the listeners; while one subscribes, nobody knows yet where that begins.
    fn hand_on(&mut self, number: usize) {
        let ear = &mut self.ears[number];
        let ledger = &mut self.env.checks.group(MAIN).ledger;
        let subscribes = |op: OpId| matches!(ledger.ops[op].action, Action::Channels(Step::Subscribe { .. }));
        if ear.asked.is_some_and(|(op, _)| subscribes(op)) {
            return;
        }
        for (position, message) in std::mem::take(&mut ear.unheard) {
            let channel = message.channel.last().map_or(0, |digit| u64::from(digit - b'0'));
            let text = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
            let (Sort::Channel, Some(op)) = (message.sort, text) else {
                violated("channels", format!("nobody has published {message:?}"));
            };
            for (listener, begins) in &ear.listeners {
                let hears =
                    |(listened, begin): (&u64, &(u64, u64))| matches(*listened, channel) && *begin < position;
                if begins.iter().any(hears) {
                    ledger.channels.heard(Listener { coordinator: ear.life, number: *listener }, op);
                }
            }
        }
    }

    /// All is quiet: everybody has heard everything.
    pub(crate) fn ears_have_heard_all(&mut self) {
        for ear in &self.ears {
            let process = self.nodes[ear.home.0 as usize - 1].process.as_ref();
            if process.is_none_or(|process| process.life() != ear.life) {
                continue;
            }
            let checks = &self.env.checks.groups[&MAIN].ledger.channels;
            for listener in ear.listeners.iter().filter(|(_, begins)| !begins.is_empty()).map(|(it, _)| *it) {
                checks.has_heard_all(Listener { coordinator: ear.life, number: listener });
            }
        }
    }
}
