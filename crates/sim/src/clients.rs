//! What clients do: they ask for one thing at a time, hear the answer, or give up and go to another node.
//! Some of their writes have tokens (`ONCE`): those they send again, through other nodes, until they are
//! answered.

use bytes::Bytes;
use onecopy_core::{GroupId, NodeId};
use onecopy_host::Submission;
use onecopy_views::MAIN;

use crate::checks::waits::TAKEN_OVER;
use crate::client::{self, Action, Client, OpId, Reply, group_of};
use crate::clock::MS;
use crate::ending::Phase;
use crate::env::Event;
use crate::message::Kind;
use crate::node::Happened;
use crate::subject::Request;
use crate::world::World;

impl World {
    /// A node has an answer for one of its clients. What comes from a node that the client has left is heard
    /// by nobody.
    pub(crate) fn answer(&mut self, node: NodeId, op: OpId, reply: &Reply) {
        let is_for_others = self.ear_hears(node, op, reply) || self.shelf_hears(node, op, reply);
        if is_for_others || self.porter_hears(node, op, reply) {
            return;
        }
        let waits =
            |client: &Client| client.home == node && client.waiting.is_some_and(|(waiting, _)| waiting == op);
        let Some(number) = self.clients.iter().position(waits) else { return };
        let now = self.env.time;
        self.env.note(node, || format!("client {number}: operation {op} ends: {reply:?}"));
        // Another attempt took its place: the client is on this connection again, or a node was slow.
        let is_taken_over = matches!(reply, Reply::Done(bytes, _) if bytes.starts_with(TAKEN_OVER));
        // A refusal says that this attempt was not executed, and nothing about those before it.
        let is_open = match reply {
            Reply::Done(..) => is_taken_over,
            Reply::Unknown => true,
            Reply::Refused => self.clients[number].attempts > 1,
        };
        if is_open {
            return self.leave(number);
        }
        let checks = &mut self.env.checks;
        let checks = checks.group(group_of(op));
        checks.ledger.answered(op, reply, now);
        if let (Reply::Done(_, index), Kind::Write) = (reply, checks.ledger.ops[op].action.kind()) {
            checks.enough.acknowledged(op, *index, self.env.profile.min_copies);
        }
        let watching = checks.ledger.watching(op, group_of(op));
        let client = &mut self.clients[number];
        client.waiting = None;
        if watching.is_some() && matches!(reply, Reply::Done(..)) {
            client.watching = watching;
        }
        if matches!(reply, Reply::Done(..)) {
            client.served += 1;
            checks.served += 1;
        }
        client.wakes = now + self.env.dice.below(self.env.profile.think);
        self.env.schedule(client.wakes, Event::Client(number));
    }

    /// A client does not know what became of its operation. With a token it will send it again, through
    /// another node.
    fn leave(&mut self, number: usize) {
        let now = self.env.time;
        let client = &mut self.clients[number];
        client.watching = None;
        let Some((op, _)) = client.waiting.take() else { return };
        client.wakes = now + 20 * MS;
        self.env.schedule(client.wakes, Event::Client(number));
        let ledger = &mut self.env.checks.group(group_of(op)).ledger;
        if ledger.ops[op].once && client.attempts < client::ATTEMPTS_MAX {
            client.again = Some(op);
            self.move_client(number);
        } else {
            ledger.answered(op, &Reply::Unknown, now);
        }
    }

    /// It is time for a client to look whether it was answered, and to ask for something.
    pub(crate) fn client(&mut self, number: usize) {
        let now = self.env.time;
        let client = &mut self.clients[number];
        if let Some((_, since)) = client.waiting {
            if now < since + client::PATIENCE {
                return;
            }
            // The node does not answer at all.
            self.leave(number);
            return self.move_client(number);
        }
        if now < client.wakes {
            return;
        }
        if matches!(self.phase, Phase::Settling(..) | Phase::Over) {
            if let Some(op) = client.again.take() {
                self.env.checks.group(group_of(op)).ledger.answered(op, &Reply::Unknown, now);
            }
            return;
        }
        if self.node(self.clients[number].home).process.is_none() || self.env.dice.chance(10) {
            self.move_client(number);
            self.clients[number].wakes = now + 50 * MS;
            return self.env.schedule(now + 50 * MS, Event::Client(number));
        }
        let (op, kind, segment) = match self.clients[number].again.take() {
            Some(op) => self.ask_again(number, op),
            None => self.ask(number),
        };
        let client = &mut self.clients[number];
        client.waiting = Some((op, now));
        let home = client.home;
        self.env.schedule(now + client::PATIENCE, Event::Client(number));
        let submission = Submission { kind, segment, client: op };
        let env = &mut self.env;
        self.nodes[home.0 as usize - 1].happened(env, Happened::Submitted(submission));
    }

    /// What a client asks for next, written into the ledger: its number, and how it is asked for.
    fn ask(&mut self, number: usize) -> (OpId, Kind, Bytes) {
        let home = self.clients[number].home;
        self.clients[number].attempts = 1;
        let life = self.node(home).process.as_ref().map(|process| process.life()).unwrap_or_default();
        let env = &mut self.env;
        let databases = u64::from(env.profile.databases);
        let mut group = GroupId(MAIN.0 + if databases > 1 { env.dice.below(databases) as u32 } else { 0 });
        let watching = self.clients[number].watching.take_if(|_| env.dice.chance(600));
        if let Some((_, _, of)) = watching {
            group = of;
        }
        let checks = env.checks.group(group);
        let (ledger, trace, now) = (&mut checks.ledger, &mut env.trace, env.time);
        let Some(subject) = &env.subject else {
            let (mut action, key) = match watching {
                Some((step, key, _)) => (Action::Several(step), key),
                None => env.profile.workload.choose(&mut env.dice),
            };
            action = action.through(life);
            if std::mem::take(&mut self.asks_costly) {
                action = Action::Costly;
            }
            let op = ledger.invoke(action, key, now);
            let may = action.kind() != Kind::Read && action.may_have_tokens();
            let once = may && env.dice.chance(env.profile.workload.tokens);
            ledger.ops[op].once = once;
            let token = if once { ", once" } else { "" };
            trace.note(now, &home, || {
                let database = if group == MAIN { String::new() } else { format!(" of {group}") };
                format!("client {number}: operation {op}, {action:?} {key}{database}{token}")
            });
            return (op, action.kind(), action.attempt(key, op, env.profile.value_bytes, once, 1).freeze());
        };
        let Request { kind, command, segment } = subject.ask(&mut env.dice);
        let op = ledger.invoke(if kind == Kind::Read { Action::Ask } else { Action::Tell }, 0, now);
        trace.note(now, &home, || format!("client {number}: operation {op}, {}", command.escape_ascii()));
        if let Some(twice) = checks.twice.as_ref().filter(|_| kind == Kind::Read) {
            twice.read(ledger.time_at(ledger.len()), &segment);
        }
        if let Some(own) = &mut ledger.own {
            own.asked(command);
        }
        (op, kind, segment)
    }

    /// The same line again, under the same token.
    fn ask_again(&mut self, number: usize, op: OpId) -> (OpId, Kind, Bytes) {
        let client = &mut self.clients[number];
        client.attempts += 1;
        let (attempt, home) = (client.attempts, client.home);
        self.env.note(home, || format!("client {number}: operation {op} again, attempt {attempt}"));
        let asked = &self.env.checks.group(group_of(op)).ledger.ops[op];
        let segment = asked.action.attempt(asked.key, op, self.env.profile.value_bytes, true, attempt);
        (op, asked.action.kind(), segment.freeze())
    }

    fn move_client(&mut self, number: usize) {
        let nodes = self.nodes.len() as u64;
        self.clients[number].home = NodeId(1 + self.env.dice.below(nodes) as u32);
        self.clients[number].watching = None;
    }

    /// The clients of a node that died hear nothing any more.
    pub(crate) fn hang_up(&mut self, home: NodeId) {
        for number in 0..self.clients.len() {
            if self.clients[number].home == home {
                self.leave(number);
            }
        }
    }
}
