//! A small Raft group: the real [`onecopy_raft::Raft`] on three members.
//!
//! # What may happen
//!
//! Any message may arrive next, any disk may finish its next write. A [`Budget`] says how often a client
//! writes or reads, a timeout fires (a follower asks for an election, a leader steps down for want of a
//! quorum), a member crashes and restarts (and keeps what was durable and any beginning of what was on its
//! way), a message arrives twice.
//!
//! # What is left out, and why nothing is lost by it
//!
//! - **losing a message**: whatever others do after a loss they can do while it lies in the network
//! - **a delivery that changes nothing**: the state after it has one message less, and so fewer successors
//! - **answers of a term before the receiver's durable one**: the receiver ignores them in every later life
//! - **time**: every step is at the end of time (`node::NOW`): timeouts fire when the checker wants
//! - **slow disks, once no crash is left**: they are no different from a slow network then; `slow_disks`
//!   brings them back
//! - **the dice of the election timeouts**: they decide only about times
//!
//! Since time stands still, a follower that heard a leader goes on hearing it until its own timeout fires: a
//! second election takes two timeouts, that of the candidate and that of one voter. Heartbeats are sent by
//! reads alone.

mod history;
mod node;
mod settings;
mod words;

use bytes::Bytes;
use onecopy_core::{NodeId, Rule, Timestamp};
use onecopy_raft::{Effect, Input, Message, Role};
use stateright::{Model, Property};

use crate::guard;
use crate::network::{Network, Packet};
use crate::shared::Shared;
use crate::verdict::{Notes, Told, Verdict, violated};
use history::{
    APPEND_ONLY, ASSERTIONS, COMPLETENESS, ELECTION_SAFETY, History, LOG_MATCHING, READS, STATE_MACHINE,
    check_append_only, check_log_matching,
};
use node::{MEMBERS, Node, member};
pub use settings::{Budget, Settings, Start};

/// A group within bounds.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The bounds.
    pub settings: Settings,
}

/// Everything about the group at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    nodes: [Shared<Node>; 3],
    network: Network<Message>,
    history: Shared<History>,
    left: Budget,
    verdict: Verdict,
}

/// Something that can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message arrives.
    Deliver(Shared<Packet<Message>>),
    /// A message arrives, and will once more.
    Duplicate(Shared<Packet<Message>>),
    /// The next ticket of a disk becomes durable.
    Persist(NodeId),
    /// A timeout fires.
    Timeout(NodeId),
    /// A client writes.
    Write(NodeId),
    /// A client reads.
    Read(NodeId),
    /// A process dies, with so many tickets written of which it had not been told, and starts again.
    Crash(NodeId, usize),
}

impl Group {
    fn begin(&self) -> State {
        match self.settings.start {
            Start::Settled => {
                let calm = Self { settings: Settings { slow_disks: true, ..self.settings } };
                calm.settle()
            }
            Start::Cold | Start::Figure8 => self.restarted(),
        }
    }

    /// n1 leads, and the entry that opens its term is committed.
    fn settle(&self) -> State {
        let enough = Budget { timeouts: 1, ..Budget::NOTHING };
        let mut state = State { left: enough, ..self.restarted() };
        let quiet = |state: &State, action| self.take(state, &action, &mut Notes::default());
        let mut next = quiet(&state, Action::Timeout(NodeId(1)));
        while let Some(state_after) = next {
            state = state_after;
            let deliveries = state.network.distinct().cloned().map(Action::Deliver);
            let busy = state.nodes.iter().rev().filter(|node| node.disk.pending() > 0);
            let writes = busy.map(|node| Action::Persist(node.raft.id().node));
            next = deliveries.chain(writes).find_map(|action| quiet(&state, action));
        }
        let intact = Rule::ALL.into_iter().all(|rule| self.settings.rules.hold(rule));
        assert!(!intact || state.verdict.is_none(), "the group cannot even begin: {:?}", state.verdict);
        State { left: self.settings.budget, verdict: None, ..state }
    }

    /// All members have just been started.
    fn restarted(&self) -> State {
        let Settings { start, budget, order, rules, .. } = self.settings;
        let mut history = History::default();
        let mut verdict = None;
        let nodes = MEMBERS.map(|id| {
            let mut node = Node::new(id, start, rules);
            for entry in
                node.disk.durable().entries.iter().filter(|entry| entry.id.index <= node.raft.commit())
            {
                let mut before = node.clone();
                before.applied = entry.id.index.previous();
                history.executes(&before, entry, &mut verdict);
            }
            node.applied = node.raft.applied();
            Shared::new(node)
        });
        let network = Network::new(order);
        State { nodes, network, history: Shared::new(history), left: budget, verdict }
    }

    /// The state after an action; `None` if it would lead nowhere new.
    fn take(&self, state: &State, action: &Action, notes: &mut Notes) -> Option<State> {
        let mut next = state.clone();
        match guard::run(|| self.act(&mut next, action, notes)) {
            Ok(true) => Some(next),
            Ok(false) => None,
            Err(panic) => {
                // What was half done when it panicked is of no interest.
                next = state.clone();
                violated(&mut next.verdict, ASSERTIONS, panic);
                Some(next)
            }
        }
    }

    /// Carries an action out. Returns whether it did anything.
    fn act(&self, state: &mut State, action: &Action, notes: &mut Notes) -> bool {
        match action {
            Action::Deliver(packet) => {
                state.network.take(packet);
                return self.deliver(state, packet, notes);
            }
            Action::Duplicate(packet) => {
                state.left.duplicates -= 1;
                return self.deliver(state, packet, notes);
            }
            Action::Persist(id) => self.step(state, *id, notes, Node::persist),
            Action::Timeout(id) => {
                state.left.timeouts -= 1;
                self.step(state, *id, notes, |node| node.step(Input::Elapsed));
            }
            Action::Write(id) => {
                state.left.writes -= 1;
                let name = format!("w{}", self.settings.budget.writes - state.left.writes);
                let input = Input::Propose { payload: Bytes::from(name), time: Timestamp(0), seed: 0 };
                self.step(state, *id, notes, |node| node.step(input));
            }
            Action::Read(id) => {
                let token = u64::from(state.left.reads);
                state.left.reads -= 1;
                let mut history = History::clone(&state.history);
                history.asks(token);
                state.history = Shared::new(history);
                self.step(state, *id, notes, |node| node.step(Input::Read { token }));
            }
            Action::Crash(id, kept) => {
                state.left.crashes -= 1;
                let rules = self.settings.rules;
                self.replace(state, *id, notes, |node| node.restart(*kept, rules));
            }
        }
        true
    }

    /// Returns whether the message had any effect. One that has none may as well stay on its way.
    fn deliver(&self, state: &mut State, packet: &Packet<Message>, notes: &mut Notes) -> bool {
        let input = Input::Received { from: member(packet.from), message: packet.message.clone() };
        let before = (state.nodes[position(packet.to)].fingerprint(), state.network.len());
        self.step(state, packet.to, notes, |node| node.step(input));
        before != (state.nodes[position(packet.to)].fingerprint(), state.network.len())
    }

    /// Changes one member, and carries out what it wants.
    fn step(
        &self,
        state: &mut State,
        id: NodeId,
        notes: &mut Notes,
        step: impl FnOnce(&mut Node) -> Vec<Effect>,
    ) {
        self.replace(state, id, notes, |node| {
            let mut node = node.clone();
            let effects = step(&mut node);
            (node, effects)
        });
    }

    /// Puts another member in the place of one, carries out what it wants, and looks at what came out.
    fn replace(
        &self,
        state: &mut State,
        id: NodeId,
        notes: &mut Notes,
        replace: impl FnOnce(&Node) -> (Node, Vec<Effect>),
    ) {
        let before = state.nodes[position(id)].clone();
        let (mut node, mut effects) = replace(&before);
        if state.left.crashes == 0 && !self.settings.slow_disks {
            while node.disk.pending() > 0 {
                effects.extend(node.persist());
            }
        }
        for effect in effects {
            self.carry_out(state, &mut node, effect, notes);
        }
        let node = Shared::new(node);
        state.nodes[position(id)] = node.clone();
        check_append_only(&before, &node, &mut state.verdict);
        for other in state.nodes.iter().filter(|other| other.raft.id().node != id) {
            check_log_matching(&node, other, &mut state.verdict);
        }
        if state.history.is_news(&node.raft) {
            let mut history = History::clone(&state.history);
            history.leads(&node.raft, &mut state.verdict);
            state.history = Shared::new(history);
        }
        state.history.check_completeness(&state.nodes, &mut state.verdict);
        forget_dead_messages(&mut state.network, &node);
    }

    fn carry_out(&self, state: &mut State, node: &mut Node, effect: Effect, notes: &mut Notes) {
        let who = node.raft.id().node;
        match effect {
            Effect::Send { to, message, .. } => {
                let to = to.node;
                notes.tell(|| format!("{who} sends {to} {}", words::message(&message)));
                state.network.send(Packet { from: who, to, message });
            }
            Effect::Apply { entries } => {
                let mut history = History::clone(&state.history);
                for entry in &entries {
                    history.executes(node, entry, &mut state.verdict);
                    node.applied = entry.id.index;
                    notes.tell(|| format!("{who} executes {}", words::entry(entry)));
                }
                state.history = Shared::new(history);
            }
            Effect::ReadReady { token, index } => {
                let mut history = History::clone(&state.history);
                history.answers(who, token, index, &mut state.verdict);
                notes.tell(|| format!("{who} answers the read from its state after {index}"));
                state.history = Shared::new(history);
            }
            Effect::ReadRefused { token, .. } => {
                let mut history = History::clone(&state.history);
                history.ends(token);
                notes.tell(|| format!("{who} refuses the read"));
                state.history = Shared::new(history);
            }
            Effect::RoleChanged { role, term, .. } => notes.tell(|| format!("{who} is {role} in {term}")),
            Effect::Proposed { id } => notes.tell(|| format!("{who} puts it into its log as {id}")),
            Effect::Refused { .. } => notes.tell(|| format!("{who} refuses it")),
            Effect::Persist { .. } => unreachable!("seen to by the node"),
            Effect::ChangeBegun { .. }
            | Effect::ChangeRefused { .. }
            | Effect::ConfigurationChanged { .. }
            | Effect::TransferBegun { .. }
            | Effect::TransferRefused { .. }
            | Effect::TransferAborted { .. } => panic!("nobody asks for a change: {effect:?}"),
            Effect::TakeSnapshot { .. }
            | Effect::ReadSnapshot { .. }
            | Effect::WriteSnapshot { .. }
            | Effect::InstallSnapshot { .. } => panic!("the log is too short for snapshots: {effect:?}"),
        }
    }
}

/// Drops the messages that `node` will ignore in this life and in all later ones.
fn forget_dead_messages(network: &mut Network<Message>, node: &Node) {
    let promised = node.disk.promised();
    network.forget(|packet| {
        let term = packet.message.term().0;
        let over = |same_reign: bool| term < promised || (term == promised && !same_reign);
        let useless = match packet.message {
            // If it says yes, then about a term that has begun; else all it tells is a term that is known.
            Message::PreVoteReply { .. } | Message::Outdated { .. } => term <= promised,
            // A candidacy or a reign that has ended never comes back in the same term.
            Message::VoteReply { .. } => over(node.raft.role() == Role::Candidate),
            Message::Appended { .. } | Message::Conflict { .. } | Message::HeartbeatReply { .. } => {
                over(matches!(node.raft.role(), Role::Candidate | Role::Leader))
            }
            _ => false,
        };
        packet.to == node.raft.id().node && useless
    });
}

fn position(id: NodeId) -> usize {
    id.0 as usize - 1
}

impl Model for Group {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.verdict.is_some() {
            return;
        }
        let left = &state.left;
        for node in &state.nodes {
            let (id, leads) = (node.raft.id().node, node.raft.role() == Role::Leader);
            if node.disk.pending() > 0 {
                actions.push(Action::Persist(id));
            }
            if left.timeouts > 0 && (leads || node.raft.term().0 < self.settings.terms) {
                actions.push(Action::Timeout(id));
            }
            if left.writes > 0 && leads {
                actions.push(Action::Write(id));
            }
            if left.reads > 0 && leads {
                actions.push(Action::Read(id));
            }
            if left.crashes > 0 {
                actions.extend((0..=node.disk.pending()).map(|kept| Action::Crash(id, kept)));
            }
        }
        actions.extend(state.network.distinct().cloned().map(Action::Deliver));
        if left.duplicates > 0 {
            actions.extend(state.network.distinct().cloned().map(Action::Duplicate));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.take(state, &action, &mut Notes::default())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(state: &State, property: &str) -> bool {
            state.verdict.as_ref().is_none_or(|violation| violation.property != property)
        }
        let mut properties = vec![
            Property::<Self>::always(ELECTION_SAFETY, |_, state| holds(state, ELECTION_SAFETY)),
            Property::<Self>::always(APPEND_ONLY, |_, state| holds(state, APPEND_ONLY)),
            Property::<Self>::always(LOG_MATCHING, |_, state| holds(state, LOG_MATCHING)),
            Property::<Self>::always(COMPLETENESS, |_, state| holds(state, COMPLETENESS)),
            Property::<Self>::always(STATE_MACHINE, |_, state| holds(state, STATE_MACHINE)),
            Property::<Self>::always(READS, |_, state| holds(state, READS)),
            Property::<Self>::always(ASSERTIONS, |_, state| holds(state, ASSERTIONS)),
        ];
        let Settings { start, budget, .. } = self.settings;
        if budget.timeouts > 1 && start != Start::Cold {
            properties.push(Property::<Self>::sometimes("a second leader commits", |_, state| {
                let terms = state.history.executed.iter().map(|(entry, _)| entry.id.epoch);
                let terms: std::collections::BTreeSet<_> = terms.collect();
                terms.len() > 1
            }));
        }
        if budget.writes > 0 {
            properties.push(Property::<Self>::sometimes("a write is committed", |_, state| {
                state.history.executed.iter().any(|(entry, _)| !entry.payload.is_empty())
            }));
        }
        if budget.reads > 0 {
            properties.push(Property::<Self>::sometimes("a read is answered", |_, state| {
                state.history.answered > 0
            }));
        }
        properties
    }
}

impl Told for Group {
    fn tell(&self, state: &State, action: &Action) -> (String, Vec<String>) {
        let what = match action {
            Action::Deliver(packet) => format!("arrives: {}", words::packet(packet)),
            Action::Duplicate(packet) => format!("arrives, and will again: {}", words::packet(packet)),
            Action::Persist(id) => format!("{id}: its disk finishes the next write"),
            Action::Timeout(id) => format!("{id}: its timeout fires"),
            Action::Write(id) => format!("a client writes at {id}"),
            Action::Read(id) => format!("a client reads at {id}"),
            Action::Crash(id, 0) => {
                format!("{id} crashes, loses what its disk had not finished, and restarts")
            }
            Action::Crash(id, kept) => {
                format!("{id} crashes when its disk has finished {kept} more writes, and restarts")
            }
        };
        let mut notes = Notes::listening();
        let _ = self.take(state, action, &mut notes);
        (what, notes.told())
    }

    fn beginning(&self) -> String {
        match self.settings.start {
            Start::Settled => "n1 leads t1, and #1 is committed on all members".to_owned(),
            Start::Cold => "three members with empty disks".to_owned(),
            Start::Figure8 => "three members in t3, all with #1@1; n1 has #2@2, n2 has #2@3".to_owned(),
        }
    }

    fn verdict(state: &State) -> &Verdict {
        &state.verdict
    }
}
