//! Quiescent groups: their heartbeats, and the answers, are said once for each other node (decision 20).
//!
//! A primary that has had nothing to say for a while is put on the *list* of each node that has a follower of
//! it. Every heartbeat interval such a node hears one heartbeat for its whole list. It answers for all groups
//! on it that stand where the list says, and names the others. A group is quiescent once all of its followers
//! have answered for it: from then on it has no turns. It leaves the lists when anything happens to it,
//! before the next heartbeat is made, and what a heartbeat says is what its groups say at that moment. A list
//! is sent until the other side knows it, and from then on by its name.
//!
//! A follower that was heard for with a list is quiescent as long as it is on it. What is not answered in
//! time each group says for itself again, and so does a follower that hears nothing in time: a heartbeat
//! interval before the failure timeout, so that silence is found out as if nothing had been shared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onecopy_core::{GroupId, Incarnation, Instant, NodeId, StateMachine};
use onecopy_replica::{Still, Terms};

use super::Share;
use super::agenda::Agenda;
use crate::group::Group;
use crate::heartbeat::{Heartbeat, HeartbeatAnswer, ListName, SharedHeartbeat};

/// A group that stood elsewhere than a list said is not put on one for so many intervals.
const BARRED: u32 = 20;

/// A data plane of another node.
type Other = (NodeId, u32);

/// The groups of the data plane, and when they want a turn.
pub(super) struct Groups<'a, M> {
    pub(super) all: &'a mut BTreeMap<GroupId, Group<M>>,
    pub(super) agenda: &'a mut Agenda,
}

impl<M: StateMachine> Groups<'_, M> {
    /// A group speaks for itself again, at once.
    fn rouse(&mut self, now: Instant, id: GroupId, slept: bool) {
        if let Some(group) = self.all.get_mut(&id) {
            group.rouse(now, slept);
            self.agenda.touch(id);
        }
    }
}

/// The lists of a data plane, and those of others that it has heard of.
#[derive(Debug)]
pub(super) struct Quiescence {
    life: Incarnation,
    share: Share,
    interval: Duration,
    /// After how long without a word groups speak for themselves again.
    patience: Duration,
    /// When it last looked who is silent, and after how long without a look it was not running itself.
    looked: Instant,
    late: Duration,
    /// How many data planes other nodes have; as many as this one, until they say otherwise.
    planes: BTreeMap<NodeId, u32>,
    /// The groups that are led here, and are on lists.
    led: BTreeMap<GroupId, Still>,
    /// Which groups are on no list until when.
    barred: BTreeMap<GroupId, Instant>,
    lists: BTreeMap<Other, List>,
    /// Of the lists, ever: no two have the same version.
    changes: u64,
    heard: BTreeMap<Other, Heard>,
    /// When the next heartbeats are due.
    next: Instant,
}

/// What is said to one data plane of another node.
#[derive(Debug)]
struct List {
    version: u64,
    groups: BTreeMap<GroupId, Line>,
    /// The newest version that the other knows.
    known: Option<u64>,
    /// When it last answered; at first, when it was first asked.
    answered: Instant,
}

/// A group on a list.
#[derive(Clone, Copy, Debug)]
struct Line {
    still: Still,
    /// Since which version it has been on the list.
    since: u64,
    /// The follower has answered for it.
    is_answered: bool,
}

/// The list of a data plane of another node.
#[derive(Debug)]
struct Heard {
    list: ListName,
    groups: Vec<(GroupId, Still)>,
    at: Instant,
}

impl Quiescence {
    pub(super) fn new(life: Incarnation) -> Self {
        Self {
            life,
            share: Share::WHOLE,
            interval: Duration::ZERO,
            patience: Duration::ZERO,
            looked: Instant::ZERO,
            late: Duration::ZERO,
            planes: BTreeMap::new(),
            led: BTreeMap::new(),
            barred: BTreeMap::new(),
            lists: BTreeMap::new(),
            changes: 0,
            heard: BTreeMap::new(),
            next: Instant::ZERO,
        }
    }

    pub(super) fn with_share(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// A group has this heartbeat interval, and this failure timeout: before that has passed, it looks for
    /// itself who is silent.
    pub(super) fn set_pace(&mut self, interval: Duration, failure_timeout: Duration) {
        self.interval = interval;
        self.patience = failure_timeout.saturating_sub(interval).max(2 * interval);
        self.late = interval + failure_timeout / 4;
    }

    /// When something is to be said, or should have been heard.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = (!self.lists.is_empty()).then_some(self.next);
        let answered = self.lists.values().map(|list| list.answered);
        let heard = self.heard.values().map(|heard| heard.at);
        // Often enough to know whether it was running.
        let look = (!self.heard.is_empty()).then_some(self.looked + self.interval);
        let silent = answered.chain(heard).map(|at| at + self.patience);
        next.into_iter().chain(look).chain(silent).min()
    }

    /// Bytes of a long message from there are arriving: it is not silent.
    pub(super) fn arriving(&mut self, now: Instant, from: NodeId) {
        let lists = self.lists.iter_mut().filter(|((node, _), _)| *node == from);
        lists.for_each(|(_, list)| list.answered = now);
        let heard = self.heard.iter_mut().filter(|((node, _), _)| *node == from);
        heard.for_each(|(_, heard)| heard.at = now);
    }

    // ---- primaries ----------------------------------------------------------------------------------------

    /// A group has had a turn: it is put on the lists, or taken off them.
    pub(super) fn follow<M: StateMachine>(&mut self, now: Instant, group: &mut Group<M>) {
        let id = group.id();
        let Some(still) = self.led.get(&id) else { return self.enlist(now, group) };
        if group.replica().stands_still() != Some(*still) {
            self.strike_off(id);
            group.rouse(now, true);
        } else if !group.replica().is_quiescent() && self.all_answer_for(id) {
            group.quiesce();
        }
    }

    fn all_answer_for(&self, id: GroupId) -> bool {
        self.lists.values().filter_map(|list| list.groups.get(&id)).all(|line| line.is_answered)
    }

    fn enlist<M: StateMachine>(&mut self, now: Instant, group: &mut Group<M>) {
        let Some(still) = group.replica().may_be_quiescent(now) else { return };
        let id = group.id();
        if self.barred.get(&id).is_some_and(|until| now < *until) {
            return;
        }
        self.barred.remove(&id);
        self.led.insert(id, still);
        if self.lists.is_empty() {
            self.next = now;
        }
        for node in group.replica().followers() {
            let planes = self.planes.get(&node).map_or(self.share.planes(), |planes| *planes as usize);
            let other = (node, Share::holder(id, planes) as u32);
            let new = || List { version: 0, groups: BTreeMap::new(), known: None, answered: now };
            let list = self.lists.entry(other).or_insert_with(new);
            self.changes += 1;
            list.version = self.changes;
            list.groups.insert(id, Line { still, since: list.version, is_answered: false });
        }
        if self.all_answer_for(id) {
            // It has no followers.
            group.quiesce();
        }
    }

    /// Takes a group off the lists.
    /// The group is gone.
    pub(super) fn forget(&mut self, id: GroupId) {
        self.strike_off(id);
        self.barred.remove(&id);
    }

    fn strike_off(&mut self, id: GroupId) {
        self.led.remove(&id);
        self.lists.retain(|_, list| {
            if list.groups.remove(&id).is_some() {
                self.changes += 1;
                list.version = self.changes;
            }
            !list.groups.is_empty()
        });
    }

    /// What is due is said, and those groups speak for themselves that are not heard for any more.
    pub(super) fn turn<M: StateMachine>(
        &mut self,
        now: Instant,
        groups: &mut Groups<'_, M>,
    ) -> Vec<(NodeId, SharedHeartbeat)> {
        self.give_up(now, groups);
        if self.lists.is_empty() || now < self.next {
            return Vec::new();
        }
        self.next = now + self.interval;
        let (mut terms, mut moved) = (BTreeMap::new(), BTreeSet::new());
        for (other, list) in &self.lists {
            terms.insert(*other, list.speak(now, other.0, groups, &mut moved));
        }
        for id in moved {
            self.strike_off(id);
            groups.rouse(now, id, true);
        }
        let said = self.lists.iter().map(|((node, plane), list)| {
            let lines = || list.groups.iter().map(|(group, line)| (*group, line.still)).collect();
            let heartbeat = Heartbeat {
                to: *plane,
                plane: self.share.plane() as u32,
                list: ListName { life: self.life, version: list.version },
                groups: (list.known != Some(list.version)).then(lines),
                terms: terms.remove(&(*node, *plane)).flatten(),
            };
            (*node, SharedHeartbeat::Sent(heartbeat))
        });
        said.collect()
    }

    /// Whoever was not heard in time is not relied on.
    fn give_up<M: StateMachine>(&mut self, now: Instant, groups: &mut Groups<'_, M>) {
        let before = std::mem::replace(&mut self.looked, now);
        if now.since(before) > self.late {
            // It stood still: that it heard nobody is nobody's fault.
            self.lists.values_mut().for_each(|list| list.answered = now);
            self.heard.values_mut().for_each(|heard| heard.at = now);
        }
        let patience = self.patience;
        let mut silent = Vec::new();
        for list in self.lists.values_mut().filter(|list| list.answered + patience <= now) {
            silent.extend(list.groups.keys().copied());
            (list.known, list.answered) = (None, now);
        }
        silent.iter().for_each(|id| self.strike_off(*id));
        for (_, heard) in self.heard.extract_if(.., |_, heard| heard.at + patience <= now) {
            silent.extend(heard.groups.into_iter().map(|(id, _)| id));
        }
        silent.into_iter().for_each(|id| groups.rouse(now, id, false));
    }

    fn answered<M: StateMachine>(
        &mut self,
        now: Instant,
        from: NodeId,
        answer: HeartbeatAnswer,
        groups: &mut Groups<'_, M>,
    ) {
        let HeartbeatAnswer { plane: (plane, planes), list: name, except, terms, .. } = answer;
        if name.life != self.life {
            return;
        }
        let before = self.planes.insert(from, planes).map_or(self.share.planes(), |planes| planes as usize);
        if before != planes as usize {
            return self.regroup(now, from, groups);
        }
        let Some(list) = self.lists.get_mut(&(from, plane)) else { return };
        let Some(except) = except else {
            list.known = None;
            return;
        };
        list.known = list.known.max(Some(name.version));
        list.answered = now;
        let mut moved = Vec::new();
        // What was put on the list later was not asked about.
        for (id, line) in list.groups.iter_mut().filter(|(_, line)| line.since <= name.version) {
            let Some(group) = groups.all.get_mut(id) else { continue };
            if except.contains(id) || group.hears_answer(now, from, line.still, terms).is_err() {
                moved.push(*id);
            } else if !std::mem::replace(&mut line.is_answered, true) {
                groups.agenda.touch(*id);
            }
        }
        for id in moved {
            self.strike_off(id);
            self.barred.insert(id, now + self.interval * BARRED);
            groups.rouse(now, id, true);
        }
    }

    /// A node has another number of data planes than was believed: its groups belong on other lists.
    fn regroup<M: StateMachine>(&mut self, now: Instant, node: NodeId, groups: &mut Groups<'_, M>) {
        let lists = self.lists.extract_if(.., |(other, _), _| *other == node);
        let listed: BTreeSet<GroupId> = lists.flat_map(|(_, list)| list.groups.into_keys()).collect();
        for id in listed {
            self.strike_off(id);
            groups.rouse(now, id, true);
        }
    }

    // ---- backups ------------------------------------------------------------------------------------------

    /// Another node says something for all of its groups, or has heard what was said for all of those here.
    /// Returns the answer, if there is one.
    pub(super) fn received<M: StateMachine>(
        &mut self,
        now: Instant,
        from: NodeId,
        message: SharedHeartbeat,
        groups: &mut Groups<'_, M>,
    ) -> Option<SharedHeartbeat> {
        match message {
            SharedHeartbeat::Sent(heartbeat) => {
                self.heard(now, from, heartbeat, groups).map(SharedHeartbeat::Answered)
            }
            SharedHeartbeat::Answered(answer) => {
                self.answered(now, from, answer, groups);
                None
            }
        }
    }

    fn heard<M: StateMachine>(
        &mut self,
        now: Instant,
        from: NodeId,
        heartbeat: Heartbeat,
        groups: &mut Groups<'_, M>,
    ) -> Option<HeartbeatAnswer> {
        let Heartbeat { plane, list, groups: lines, terms, .. } = heartbeat;
        let other = (from, plane);
        let answer = |except, terms| {
            let plane = (self.share.plane() as u32, self.share.planes() as u32);
            Some(HeartbeatAnswer { to: other.1, plane, list, except, terms })
        };
        let known = self.heard.get(&other).map(|heard| heard.list);
        if known.is_some_and(|known| known.life == list.life && known.version > list.version) {
            // It was delayed.
            return None;
        }
        let lines = match (lines, self.heard.remove(&other)) {
            (Some(lines), before) => {
                let stays: BTreeSet<GroupId> = lines.iter().map(|(id, _)| *id).collect();
                let before = before.into_iter().flat_map(|heard| heard.groups).map(|(id, _)| id);
                before.filter(|id| !stays.contains(id)).for_each(|id| groups.rouse(now, id, true));
                lines
            }
            (None, Some(heard)) if heard.list == list => heard.groups,
            (None, before) => {
                self.heard.extend(before.map(|heard| (other, heard)));
                return answer(None, None);
            }
        };
        let (mut except, mut promised) = (Vec::new(), None::<Duration>);
        for (id, still) in &lines {
            let group = groups.all.get_mut(id);
            let was_quiescent = group.as_ref().is_some_and(|group| group.replica().is_quiescent());
            match group.map(|group| group.hears_shared(now, from, *still, terms)) {
                Some(Ok(lasts)) => promised = lasts.into_iter().chain(promised).min(),
                Some(Err(_)) | None => except.push(*id),
            }
            if !was_quiescent {
                groups.agenda.touch(*id);
            }
        }
        self.heard.insert(other, Heard { list, groups: lines, at: now });
        answer(Some(except), terms.zip(promised).map(|(terms, lasts)| terms.promise(now, lasts)))
    }
}

impl List {
    /// What the groups on the list say about leases to the node `to`. Those that do not stand there are
    /// `moved`, and what is said does not speak for them.
    fn speak<M: StateMachine>(
        &self,
        now: Instant,
        to: NodeId,
        groups: &mut Groups<'_, M>,
        moved: &mut BTreeSet<GroupId>,
    ) -> Option<Terms> {
        let mut said: Option<Option<Terms>> = None;
        for (id, line) in &self.groups {
            match groups.all.get_mut(id).map(|group| group.lends(now, to, line.still)) {
                Some(Ok(terms)) => {
                    let common = said.map_or(terms, |said| Some(said?.common(terms?)));
                    said = Some(common);
                }
                Some(Err(_)) | None => drop(moved.insert(*id)),
            }
        }
        said.flatten()
    }
}
