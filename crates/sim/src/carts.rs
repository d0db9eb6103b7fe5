//! Clients of an optimistic database: each asks any node for one thing at a time.

use bytes::Bytes;
use onecopy_core::NodeId;
use onecopy_host::Submission;
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::Version;

use crate::checks::merged::What;
use crate::client::{self, OpId, Reply, first_op};
use crate::clock::{MS, Time};
use crate::ending::Phase;
use crate::env::Event;
use crate::message::Kind;
use crate::node::Happened;
use crate::world::World;

/// How many sets there are.
const SETS: u64 = 4;
/// The longest pause of a client.
const THINK: Time = 40 * MS;

/// A client of the optimistic database.
#[derive(Clone, Debug, Default)]
pub struct Cart {
    /// What it waits for, and where it has asked for it.
    waiting: Option<(usize, NodeId)>,
    /// When it next goes on: what was planned before is over.
    next: Option<Time>,
}

fn segment(op: usize, what: What) -> Bytes {
    let segment = || SegmentBuilder::new(0, Version::Two);
    let line = |line: &str| {
        let mut segment = segment();
        segment.push(line.split(' ').map(str::as_bytes));
        segment.finish().freeze()
    };
    match what {
        What::Add(key) => line(&format!("SADD set:{key} m{op}")),
        What::Remove(key, member) => line(&format!("SREM set:{key} m{member}")),
        What::Write(key) => line(&format!("SET register:{key} m{op}")),
        What::Count => line("INCR counter"),
        What::Visit => line("INCR visits"),
        What::Reset => line("DEL visits"),
        What::Take(key) => {
            let (mut segment, key) = (segment().transaction(), format!("set:{key}"));
            segment.push([b"SMEMBERS".as_slice(), key.as_bytes()]);
            segment.push([b"DEL".as_slice(), key.as_bytes()]);
            segment.finish().freeze()
        }
    }
}

impl World {
    /// A client of the optimistic database wants something, or gives up.
    pub(crate) fn cart(&mut self, number: usize) {
        let now = self.env.time;
        if matches!(self.phase, Phase::Settling(..) | Phase::Over) {
            return;
        }
        if self.carts[number].next.is_some_and(|next| next != now) {
            return;
        }
        if let Some((op, _)) = self.carts[number].waiting {
            // The node does not answer at all.
            self.cart_hears(number, op, &Reply::Unknown);
        }
        let Some(merged) = &mut self.env.checks.merged else { return };
        let dice = &mut self.env.dice;
        let node = NodeId(dice.between(1, u64::from(self.env.profile.nodes)) as u32);
        let key = dice.below(SETS);
        let what = match dice.below(100) {
            0..35 => What::Add(key),
            35..45 => What::Write(key),
            45..50 => What::Take(key),
            50..65 => {
                let add = merged.some_add(dice.number());
                add.map_or(What::Add(key), |(key, member)| What::Remove(key, member))
            }
            65..85 => What::Count,
            85..97 => What::Visit,
            _ => What::Reset,
        };
        let op = merged.asks(what);
        let submission =
            Submission { kind: Kind::Write, segment: segment(op, what), client: first_op(merged.group) + op };
        if self.nodes[node.0 as usize - 1].process.is_none() {
            merged.answered(op, &Reply::Refused);
            return self.plan_cart(number, now + 50 * MS);
        }
        self.carts[number].waiting = Some((op, node));
        self.plan_cart(number, now + client::PATIENCE);
        self.nodes[node.0 as usize - 1].happened(&mut self.env, Happened::Submitted(submission));
    }

    /// A node has an answer for a client of the optimistic database.
    pub(crate) fn cart_answer(&mut self, node: NodeId, op: OpId, reply: &Reply) {
        let Some(merged) = &self.env.checks.merged else { return };
        let op = op - first_op(merged.group);
        let waits = |cart: &Cart| cart.waiting.is_some_and(|waiting| waiting == (op, node));
        let Some(number) = self.carts.iter().position(waits) else { return };
        self.env.note(node, || format!("cart {number}: operation {op} ends: {reply:?}"));
        self.cart_hears(number, op, reply);
        let pause = self.env.dice.below(THINK);
        self.plan_cart(number, self.env.time + pause);
    }

    fn plan_cart(&mut self, number: usize, next: Time) {
        self.carts[number].next = Some(next);
        self.env.schedule(next, Event::Cart(number));
    }

    fn cart_hears(&mut self, number: usize, op: usize, reply: &Reply) {
        self.carts[number].waiting = None;
        if let Some(merged) = &mut self.env.checks.merged {
            merged.answered(op, reply);
        }
    }
}
