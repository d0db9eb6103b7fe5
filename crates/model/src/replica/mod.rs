//! A small primary-backup group: the real [`onecopy_replica::Replica`] on three nodes, and the real
//! [`onecopy_views::Table`] as one reliable table.
//!
//! # What may happen
//!
//! Any message may arrive next, any disk may finish its next write, any view that there ever was may be
//! announced to a node that knows an older one. Beyond that, a [`Budget`] says how often a client writes or
//! reads, the view service makes any change that its table allows, a node crashes (and keeps what was durable
//! and any beginning of what was on its way), loses its disk, a primary sends a heartbeat, a message arrives
//! twice, time passes.
//!
//! # What is left out, and why nothing is lost by it
//!
//! - **losing a message**: whatever others do after a loss they can do while it lies in the network
//! - **a delivery that changes nothing**: the state after it has one message less, and so fewer successors
//! - **messages of views older than the receiver's durable promise**: the receiver refuses them in every
//!   later life (P3)
//! - **answers of a durably promised view to a replica that does not lead it**: it never will: a new life
//!   needs a new view (P11)
//! - **`NewerView`**: it adopts a view exactly as an announcement does, and announcements are always possible
//! - **announcements of views that a node is not in**: it would do nothing, which it may do anyway
//! - **crashes of a node that has no view**: it has nothing to lose
//! - **a promise that waits, first in the queue of the disk**: all that its node says waits for it, and a
//!   crash before it is the same as one before the view was heard of (not with P3's durable promise switched
//!   off)
//! - **slow disks, once no crash is left**: they are no different from a slow network then; `slow_disks`
//!   brings them back
//! - **suspicions**: the view service is an adversary, it needs no reason
//! - **a view service that falls back on an older boot number**: such a change is the same as one made before
//!   the crash
//! - **time**: heartbeats are due whenever the checker likes; nothing else in the core waits for time
//!
//! The group starts *settled*: its first view is adopted by all, and the no-op that opens it is committed and
//! durable everywhere. How a view comes about is explored with the changes of views.

mod history;
mod node;
mod settings;
mod views;
mod words;

use bytes::Bytes;
use onecopy_core::{Entry, Epoch, Index, Instant, NodeId, Petition, Plea, Rule, Timestamp, View, ViewNumber};
use onecopy_replica::{Effect, Input, Message, Standing};
use onecopy_views::Command;
use stateright::{Model, Property};

use crate::guard;
use crate::network::{Network, Packet};
use crate::shared::Shared;
use crate::verdict::{Notes, Told, Verdict, violated};
use history::{
    AGREEMENT, ASSERTIONS, EVERY_MEMBER, History, ONE_PRIMARY, PROMISE, READS, VIEW_TABLE, enters, follows,
    says,
};
use node::{FAILURE_TIMEOUT, Node};
pub use settings::{Budget, Settings, Third};
use views::Views;

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
    views: Shared<Views>,
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
    /// A node hears of a view.
    Announce(NodeId, ViewNumber),
    /// A client writes.
    Write(NodeId),
    /// A client reads.
    Read(NodeId),
    /// The view service changes the view.
    Change(Command),
    /// A heartbeat interval of a primary is over.
    Heartbeat(NodeId),
    /// A process dies, with so many tickets written of which it had not been told, and starts again.
    Crash(NodeId, usize),
    /// The same, and its disk is lost.
    Wipe(NodeId),
    /// More than the failure timeout passes.
    Silence,
}

impl Group {
    fn now(&self, state: &State) -> Instant {
        let passed = u32::from(self.settings.budget.silences - state.left.silences);
        Instant::ZERO + FAILURE_TIMEOUT * 2 * passed
    }

    /// Everybody is in the first view, and its no-op is committed: in an order in which no rule is needed for
    /// that.
    fn settled(&self) -> State {
        let calm = Self { settings: Settings { slow_disks: true, ..self.settings } };
        calm.settle()
    }

    fn settle(&self) -> State {
        let rules = self.settings.rules;
        let nodes = [1, 2, 3].map(|id| Shared::new(Node::new(NodeId(id), rules)));
        let views = Views::found(&nodes, self.settings.third, rules);
        let first = views.current().number;
        let mut state = State {
            nodes,
            network: Network::new(self.settings.order),
            views: Shared::new(views),
            history: Shared::new(History::default()),
            left: self.settings.budget,
            verdict: None,
        };
        for id in [3, 2, 1].map(NodeId) {
            state = self.take(&state, &Action::Announce(id, first), &mut Notes::default()).unwrap_or(state);
        }
        while let Some(next) = self.calm_step(&state) {
            state = next;
        }
        let intact = Rule::ALL.into_iter().all(|rule| self.settings.rules.hold(rule));
        assert!(!intact || state.verdict.is_none(), "the group cannot even begin: {:?}", state.verdict);
        State { verdict: None, ..state }
    }

    /// Something that would happen anyway: a delivery, or else a write to a disk, the primary's last.
    fn calm_step(&self, state: &State) -> Option<State> {
        let deliveries = state.network.distinct().cloned().map(Action::Deliver);
        let busy = state.nodes.iter().rev().filter(|node| node.disk.pending() > 0);
        let writes = busy.map(|node| Action::Persist(node.me.node));
        deliveries.chain(writes).find_map(|action| self.take(state, &action, &mut Notes::default()))
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
        let now = self.now(state);
        let rules = self.settings.rules;
        match action {
            Action::Deliver(packet) => {
                state.network.take(packet);
                return self.deliver(state, packet, notes);
            }
            Action::Duplicate(packet) => {
                state.left.duplicates -= 1;
                return self.deliver(state, packet, notes);
            }
            Action::Persist(id) => self.step(state, *id, notes, |node| node.persist(now)),
            Action::Announce(id, number) => {
                let Some(view) = state.views.get(*number).cloned() else { return false };
                self.step(state, *id, notes, |node| node.step(now, Input::Announced { view }));
            }
            Action::Write(id) => {
                state.left.writes -= 1;
                let name = format!("w{}", self.settings.budget.writes - state.left.writes);
                let input = Input::Propose { payload: Bytes::from(name), time: Timestamp(0), seed: 0 };
                self.step(state, *id, notes, |node| node.step(now, input));
            }
            Action::Read(id) => {
                let token = u64::from(state.left.reads);
                state.left.reads -= 1;
                let mut history = History::clone(&state.history);
                history.asks(token);
                state.history = Shared::new(history);
                let input = Input::Read { token, at_least: Index(0), touched: None };
                self.step(state, *id, notes, |node| node.step(now, input));
            }
            Action::Change(command) => {
                state.left.changes -= 1;
                return self.change(state, command, notes);
            }
            Action::Heartbeat(id) => {
                state.left.heartbeats -= 1;
                self.step(state, *id, notes, |node| node.step(now, Input::Elapsed));
            }
            Action::Crash(id, kept) => {
                state.left.crashes -= 1;
                self.replace(state, *id, notes, |node| node.restart(*kept, rules, now));
            }
            Action::Wipe(id) => {
                state.left.wipes -= 1;
                self.replace(state, *id, notes, |node| node.wiped(rules, now));
            }
            Action::Silence => state.left.silences -= 1,
        }
        true
    }

    /// Returns whether the message had any effect. One that has none may as well stay on its way.
    fn deliver(&self, state: &mut State, packet: &Packet<Message>, notes: &mut Notes) -> bool {
        let now = self.now(state);
        let input = Input::Received { from: packet.from, message: packet.message.clone() };
        let before = (state.nodes[position(packet.to)].fingerprint(), state.network.len());
        self.step(state, packet.to, notes, |node| node.step(now, input));
        before != (state.nodes[position(packet.to)].fingerprint(), state.network.len())
    }

    fn change(&self, state: &mut State, command: &Command, notes: &mut Notes) -> bool {
        let rules = self.settings.rules;
        let mut views = Views::clone(&state.views);
        let Some(before) = views.change(command, rules) else { return false };
        let after = views.current();
        notes.tell(|| format!("the view is {after}"));
        if rules.hold(Rule::HeirsOnly) {
            let certified = |member: &_| state.views.is_asked(before.number, *member);
            follows(&before, after, certified, &mut state.verdict);
        }
        state.views = Shared::new(views);
        true
    }

    /// Changes one node, and carries out what it wants.
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

    /// Puts another node in the place of one, and carries out what it wants.
    fn replace(
        &self,
        state: &mut State,
        id: NodeId,
        notes: &mut Notes,
        replace: impl FnOnce(&Node) -> (Node, Vec<Effect>),
    ) {
        let restarted = |before: &Node, after: &Node| before.boot != after.boot;
        let before = state.nodes[position(id)].clone();
        let (mut node, mut effects) = replace(&before);
        let recovering = restarted(&before, &node);
        while self.is_disk_fast(state, &node) {
            effects.extend(node.persist(self.now(state)));
        }
        let mut applied = false;
        for effect in effects {
            applied |= matches!(effect, Effect::Apply { .. });
            self.carry_out(state, &mut node, effect, notes);
        }
        state.nodes[position(id)] = Shared::new(node);
        let node = state.nodes[position(id)].clone();
        if applied && !recovering && node.replica.standing() == Standing::Primary {
            state.history.committed(&state.nodes, &node, &mut state.verdict);
        }
        self.forget_dead_messages(&mut state.network, &node);
    }

    /// Drops the messages that `node` will ignore in this life and in all later ones.
    fn forget_dead_messages(&self, network: &mut Network<Message>, node: &Node) {
        let rules = self.settings.rules;
        let promised = ViewNumber(node.disk.promised());
        let leads = node.replica.standing() == Standing::Primary;
        network.forget(|packet| {
            let Some(view) = packet.message.view().filter(|_| packet.to == node.me.node) else {
                return false;
            };
            let refused = view < promised && rules.hold(Rule::NoOldPrimaries);
            // P11: it will not lead this view again.
            let useless = view <= promised && !leads && rules.hold(Rule::NewLifeNewView);
            refused || (useless && words::is_answer(&packet.message))
        });
    }

    /// Whether the next write becomes durable at once, because nobody could tell if it took longer.
    fn is_disk_fast(&self, state: &State, node: &Node) -> bool {
        let nothing_to_lose = state.left.crashes == 0 && state.left.wipes == 0 && !self.settings.slow_disks;
        let promise_first = self.settings.rules.hold(Rule::DurablePromise) && node.disk.begins_with_promise();
        node.disk.pending() > 0 && (nothing_to_lose || promise_first)
    }

    fn carry_out(&self, state: &mut State, node: &mut Node, effect: Effect, notes: &mut Notes) {
        let who = node.me.node;
        match effect {
            Effect::Send { message: Message::NewerView { .. }, .. } => {}
            Effect::Send { to, message, .. } => {
                let view = message.view().map_or(0, |view| view.0);
                says(node, to, view, &mut state.verdict);
                notes.tell(|| format!("{who} sends {to} {}", words::message(&message)));
                state.network.send(Packet { from: who, to, message });
            }
            Effect::Apply { entries } => {
                let mut history = History::clone(&state.history);
                for entry in &entries {
                    let acknowledges = entry.id.index > history.acknowledged();
                    history.executes(node, entry, &mut state.verdict);
                    node.applied = entry.id.index;
                    notes.tell(|| match acknowledges {
                        true => format!("{who} executes and acknowledges {}", words::entry(entry)),
                        false => format!("{who} executes {}", words::entry(entry)),
                    });
                }
                state.history = Shared::new(history);
            }
            Effect::ReadReady { token, through } => {
                // Here everything is executed as soon as it is committed.
                assert!(through <= node.applied, "{who}: a read waits for {through}, which was not named");
                let mut history = History::clone(&state.history);
                history.answers(node, token, &mut state.verdict);
                notes.tell(|| format!("{who} answers the read from its state after {}", node.applied));
                state.history = Shared::new(history);
            }
            Effect::ReadRefused { token } => {
                let mut history = History::clone(&state.history);
                history.ends(token);
                notes.tell(|| format!("{who} refuses the read"));
                state.history = Shared::new(history);
            }
            Effect::ViewChanged { view, standing } => {
                notes.tell(|| format!("{who} is {standing:?} in {view}"));
                let known = state.views.get(view.number) == Some(&view);
                enters(node, &view, standing, known, self.settings.rules, &mut state.verdict);
            }
            Effect::Petition(Petition { view, plea: Plea::AddMember { learner }, .. }) => {
                if !state.views.is_asked(view, learner) {
                    let mut views = Views::clone(&state.views);
                    views.ask(view, learner);
                    notes.tell(|| format!("{who} asks to make {} a member, in {view}", learner.node));
                    state.views = Shared::new(views);
                }
            }
            Effect::Proposed { id } => notes.tell(|| format!("{who} puts it into its log as {id}")),
            Effect::Refused => notes.tell(|| format!("{who} refuses it")),
            Effect::Petition(Petition { plea: Plea::Suspect { .. }, .. }) => {}
            Effect::Persist { .. } => unreachable!("seen to by the node"),
            Effect::Petition(Petition {
                plea:
                    Plea::HandOver { .. }
                    | Plea::RosterReached { .. }
                    | Plea::HandedOn { .. }
                    | Plea::Sealed { .. },
                ..
            })
            | Effect::HandoverFailed { .. }
            | Effect::Diverged { .. }
            | Effect::Damaged
            | Effect::Rebuild => panic!("nobody asked for {effect:?}"),
            Effect::TakeSnapshot { .. }
            | Effect::ReadEntries { .. }
            | Effect::ReadSnapshot { .. }
            | Effect::WriteSnapshot { .. }
            | Effect::InstallSnapshot { .. } => panic!("the log is too short for snapshots: {effect:?}"),
        }
    }
}

fn position(id: NodeId) -> usize {
    id.0 as usize - 1
}

/// The entries of views after the first that are acknowledged.
fn committed_later(state: &State) -> impl Iterator<Item = &Entry> {
    let first = Epoch::from(state.views.all[0].number);
    state.history.executed.iter().map(|(entry, _)| entry).filter(move |entry| entry.id.epoch > first)
}

impl Model for Group {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.settled()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.verdict.is_some() {
            return;
        }
        let left = &state.left;
        for node in &state.nodes {
            let id = node.me.node;
            let (known, leads) = (node.replica.view_number(), node.replica.standing() == Standing::Primary);
            if node.disk.pending() > 0 {
                actions.push(Action::Persist(id));
            }
            let concerns = |view: &&View| view.replicas().any(|replica| replica.node == id);
            let newer = state.views.all.iter().filter(|view| view.number > known).filter(concerns);
            actions.extend(newer.map(|view| Action::Announce(id, view.number)));
            // P2: its coordinator knows the view that the node knows.
            let admitted = node.replica.admit(known).is_ok();
            if left.writes > 0 && admitted {
                actions.push(Action::Write(id));
            }
            if left.reads > 0 && admitted {
                actions.push(Action::Read(id));
            }
            if left.heartbeats > 0 && leads {
                actions.push(Action::Heartbeat(id));
            }
            if left.crashes > 0 && node.replica.view().is_some() {
                actions.extend((0..=node.disk.pending()).map(|kept| Action::Crash(id, kept)));
            }
            if left.wipes > 0 {
                actions.push(Action::Wipe(id));
            }
        }
        actions.extend(state.network.distinct().cloned().map(Action::Deliver));
        if left.duplicates > 0 {
            actions.extend(state.network.distinct().cloned().map(Action::Duplicate));
        }
        if left.changes > 0 {
            actions.extend(state.views.proposals(&state.nodes).into_iter().map(Action::Change));
        }
        if left.silences > 0 {
            actions.push(Action::Silence);
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
            Property::<Self>::always(AGREEMENT, |_, state| holds(state, AGREEMENT)),
            Property::<Self>::always(EVERY_MEMBER, |_, state| holds(state, EVERY_MEMBER)),
            Property::<Self>::always(READS, |_, state| holds(state, READS)),
            Property::<Self>::always(VIEW_TABLE, |_, state| holds(state, VIEW_TABLE)),
            Property::<Self>::always(ONE_PRIMARY, |_, state| holds(state, ONE_PRIMARY)),
            Property::<Self>::always(PROMISE, |_, state| holds(state, PROMISE)),
            Property::<Self>::always(ASSERTIONS, |_, state| holds(state, ASSERTIONS)),
        ];
        let budget = &self.settings.budget;
        if budget.changes > 0 {
            properties.push(Property::<Self>::sometimes("a later view commits", |_, state| {
                committed_later(state).next().is_some()
            }));
        }
        if budget.writes > 0 && budget.changes > 0 {
            properties.push(Property::<Self>::sometimes("a write commits in a later view", |_, state| {
                committed_later(state).any(|entry| !entry.payload.is_empty())
            }));
        }
        if budget.changes > 0 && self.settings.third == Third::Learner {
            properties.push(Property::<Self>::sometimes("a learner becomes a member", |_, state| {
                state.views.current().member(NodeId(3)).is_some()
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
            Action::Announce(id, view) => format!("{id} hears of {view}"),
            Action::Write(id) => format!("a client writes at {id}"),
            Action::Read(id) => format!("a client reads at {id}"),
            Action::Change(command) => format!("the view service {}", words::command(command)),
            Action::Heartbeat(id) => format!("{id}: a heartbeat is due"),
            Action::Crash(id, 0) => {
                format!("{id} crashes, loses what its disk had not finished, and restarts")
            }
            Action::Crash(id, kept) => {
                format!("{id} crashes when its disk has finished {kept} more writes, and restarts")
            }
            Action::Wipe(id) => format!("{id} crashes, and restarts with an empty disk"),
            Action::Silence => "all are silent for longer than the failure timeout".to_owned(),
        };
        let mut notes = Notes::listening();
        let _ = self.take(state, action, &mut notes);
        (what, notes.told())
    }

    fn beginning(&self) -> String {
        let state = self.settled();
        format!("{}; {} is committed on all members", state.views.current(), state.history.acknowledged())
    }

    fn verdict(state: &State) -> &Verdict {
        &state.verdict
    }
}
