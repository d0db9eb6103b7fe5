//! Optimistic databases: what their copies tell each other and hold – rules O1 to O8 of `docs/optimistic.md`;
//! Shapiro et al., 2011; Almeida, Shoker and Baquero, 2018.
//!
//! - *O1*: two copies that have seen the same have the same digest, whenever that is.
//! - *O2, O3, O6*: at last every member that was added and acknowledged is there, unless somebody has removed
//!   it, who says which ones that were; and none that was removed. What had only one durable copy, and that
//!   was lost, is not owed.
//! - *O4*: who shows an update has seen everything that its maker had seen.
//! - *O5*: no two updates that anybody is told of have the same name, and nobody is told of one that is not
//!   durable where it was made.
//! - *O7*: nobody stamps an update with a time that lies far ahead of everything that its own clock has
//!   shown.
//! - *O8*: at last nothing is kept beside what lives.
//! - *O9*: a repair fetches no more keys than the updates have changed that either side lacked.
//! - *O10*: a copy that asks to count has what all members had when it was recruited.
//! - *O12*: whoever was answered has a write on as many copies as the database says.
//! - *O11*: when a copy asks to go, all that stay have durably what it has, and it takes nothing more.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use onecopy_core::{GroupId, Index, NodeId, Plea, Timestamp};
use onecopy_host::OptimisticCopy;
use onecopy_host::optimistic::{Place, witnessed};
use onecopy_merge::{AHEAD_MAX_MS, Call, Change, Clock, Delta, Dot, Op as Edit, Replica, ReplicaId};
use onecopy_resp::Version;

use crate::client::Reply;
use crate::message::Copies;
use crate::trace::violated;

const CHECKER: &str = "merged";

/// What a client has asked for. Each member of a set is added once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Add the member with the number of the operation to a set.
    Add(u64),
    /// Empty a set, and say what was in it, as one transaction.
    Take(u64),
    /// Remove from a set what another operation has added.
    Remove(u64, usize),
    /// Write a register. No two write the same.
    Write(u64),
    /// Count up.
    Count,
    /// Count up something that is also reset.
    Visit,
    /// Reset it.
    Reset,
}

/// An operation, and what has become of it.
#[derive(Clone, Debug)]
struct Op {
    what: What,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// It may or may not have been executed.
    Open,
    /// It was not.
    Refused,
    /// It was, by this life, whose updates up to this one were durable then; and this was the reply.
    Done(Dot, Bytes),
}

/// What was written to a register.
#[derive(Debug, Default)]
struct Written {
    /// By operations that may have been executed.
    may: BTreeSet<usize>,
    /// Something must be there.
    is_owed: bool,
}

/// A copy.
#[derive(Clone, Debug)]
struct Known {
    life: ReplicaId,
    durable: Clock,
    place: Place,
    /// Among the operations asked for since then, each has to wait for so many copies.
    enough: (u32, usize),
}

/// An update that somebody was told of.
#[derive(Clone, Debug)]
struct Told {
    hash: u64,
    context: Clock,
    /// How many keys, or places of keys, it has changed at most; `None` if nobody can say.
    changes: Option<usize>,
}

impl Told {
    fn of(hash: u64, delta: &Delta) -> Self {
        let of = |change: &Change| match change {
            Change::Key { ops, .. } => {
                let is_whole = |op: &Edit| matches!(op, Edit::ClearKey | Edit::ClearValue);
                (!ops.iter().any(is_whole)).then_some(ops.len())
            }
            Change::Flush(_) | Change::Fold { .. } => None,
        };
        Self { hash, context: delta.context.clone(), changes: delta.changes.iter().map(of).sum() }
    }
}

/// What the checks remember of an optimistic database.
#[derive(Debug)]
pub struct Merged {
    /// Its group.
    pub group: GroupId,
    ops: Vec<Op>,
    /// The updates that somebody was told of: what they are, and what their makers had seen.
    told: BTreeMap<Dot, Told>,
    /// What copies held when they had seen this.
    states: BTreeMap<Clock, u64>,
    /// Each node's copy as it was looked at last.
    copies: BTreeMap<NodeId, Known>,
    /// What all members had when a copy was recruited.
    recruited: BTreeMap<NodeId, Clock>,
    /// What copies had that have asked to go.
    going: BTreeMap<NodeId, Clock>,
    /// What copies had that are not there any more.
    lost: Vec<Clock>,
    /// The latest time that the clock of each node has shown.
    latest: BTreeMap<NodeId, u64>,
    /// What both sides of a repair had when it began.
    repairs: BTreeMap<NodeId, (NodeId, Clock, Clock)>,
    /// How many copies have come, and how many have gone.
    pub moves: [u64; 2],
    /// Of lives whose disks were lost: how many of their updates others had durably.
    survives: BTreeMap<ReplicaId, u64>,
    /// How many operations were answered.
    pub answered: u64,
    /// Packets may come twice, and find a process that does not remember the first.
    pub comes_twice: bool,
}

impl Merged {
    /// Of the database that this group holds.
    #[must_use]
    pub fn of(group: GroupId, comes_twice: bool) -> Self {
        Self {
            group,
            ops: Vec::new(),
            told: BTreeMap::new(),
            states: BTreeMap::new(),
            copies: BTreeMap::new(),
            recruited: BTreeMap::new(),
            going: BTreeMap::new(),
            lost: Vec::new(),
            latest: BTreeMap::new(),
            repairs: BTreeMap::new(),
            moves: [0; 2],
            survives: BTreeMap::new(),
            answered: 0,
            comes_twice,
        }
    }

    /// Somebody asks for something; under which number.
    pub fn asks(&mut self, what: What) -> usize {
        self.ops.push(Op { what, end: End::Open });
        self.ops.len() - 1
    }

    /// An operation that has added to a set, if there is one.
    #[must_use]
    pub fn some_add(&self, draw: u64) -> Option<(u64, usize)> {
        let at = (draw as usize).checked_rem(self.ops.len())?;
        let adds = self.ops.iter().enumerate().skip(at);
        adds.filter_map(|(op, of)| if let What::Add(key) = of.what { Some((key, op)) } else { None }).next()
    }

    /// An operation is answered.
    pub fn answered(&mut self, op: usize, reply: &Reply) {
        self.ops[op].end = match reply {
            Reply::Refused => End::Refused,
            Reply::Unknown => End::Open,
            Reply::Done(reply, as_of) => {
                self.answered += 1;
                let dot = witnessed(*as_of);
                // Others may have changed nothing.
                let changes =
                    matches!(self.ops[op].what, What::Add(_) | What::Write(_) | What::Count | What::Visit);
                if changes {
                    self.check_enough(op, dot);
                }
                End::Done(dot, reply.clone())
            }
        };
    }

    /// Whether as many copies have what was done as there were to be before it was answered.
    fn check_enough(&self, op: usize, dot: Dot) {
        let Some(maker) = self.copies.values().find(|of| of.life == dot.replica) else { return };
        let (needs, since) = maker.enough;
        // Whether a copy counts, others may have heard before itself.
        let has = |durable: &Clock| durable.contains(dot);
        let here = self.copies.values().filter(|of| has(&of.durable)).count();
        let copies = here + self.lost.iter().filter(|durable| has(durable)).count();
        if op >= since && copies < needs as usize {
            violated(CHECKER, format!("O12: {dot} was answered with {copies} copies of {needs}"));
        }
    }

    /// A copy says something.
    pub fn says(&mut self, me: NodeId, copy: &OptimisticCopy, message: &Copies) {
        match message {
            Copies::Deltas(deltas) => {
                for bytes in deltas {
                    let delta = Delta::decode(bytes).expect("a copy sends updates that can be read");
                    self.tells(me, copy, &delta, bytes);
                }
            }
            Copies::Status(standing) if !copy.durable().covers(&standing.clock) => {
                violated(
                    CHECKER,
                    format!("O3: {me} says that it has {:?}, which is not durable", standing.clock),
                );
            }
            Copies::Status(_) | Copies::Ask { .. } | Copies::Answer { .. } => {}
        }
    }

    fn tells(&mut self, me: NodeId, copy: &OptimisticCopy, delta: &Delta, bytes: &Bytes) {
        if delta.dot.replica == copy.life() && !copy.durable().contains(delta.dot) {
            violated(CHECKER, format!("O5: {me} tells of {}, which is not durable", delta.dot));
        }
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        let latest = self.latest.entry(me).or_default();
        *latest = (*latest).max(copy.clock().0);
        if delta.dot.replica == copy.life() && delta.stamp.wall_ms > *latest + AHEAD_MAX_MS {
            let (stamp, latest) = (delta.stamp.wall_ms, *latest);
            violated(
                CHECKER,
                format!(
                    "O7: {me} stamps {} with {stamp}, and its clock has never shown more than {latest}",
                    delta.dot
                ),
            );
        }
        let known = self.told.entry(delta.dot).or_insert_with(|| Told::of(hash, delta));
        if known.hash != hash {
            violated(CHECKER, format!("O5: {} names two updates", delta.dot));
        }
    }

    /// A node has taken a turn.
    pub fn look(&mut self, me: NodeId, copy: &OptimisticCopy) {
        let (clock, digest) = (copy.replica().clock(), copy.replica().digest());
        let latest = self.latest.entry(me).or_default();
        *latest = (*latest).max(copy.clock().0);
        self.look_at_repair(me, copy);
        let place = copy.place();
        // After a start it does not know yet where it stands, and after it has gone there is nothing left.
        if place == Place::Nowhere {
            if copy.life() == ReplicaId(0) && copy.written().0 == Index(0) {
                self.gone(me);
            }
        } else if self.copies.get(&me).is_none_or(|of| {
            (&of.durable, of.place, of.enough.0) != (copy.durable(), place, copy.copies_before_ok())
        }) {
            let before = self.copies.get(&me).map(|of| of.enough);
            let enough = before.filter(|(copies, _)| *copies == copy.copies_before_ok());
            let enough = enough.unwrap_or((copy.copies_before_ok(), self.ops.len()));
            let known = Known { life: copy.life(), durable: copy.durable().clone(), place, enough };
            let before = self.copies.insert(me, known);
            if place == Place::Learner && before.is_none_or(|before| before.place != Place::Learner) {
                self.moves[0] += 1;
                self.recruited.insert(me, self.common());
            }
        }
        for (maker, counter) in clock.iter() {
            let context = self.told.get(&Dot::new(maker, counter)).map(|told| &told.context);
            if context.is_some_and(|context| !clock.covers(context)) {
                violated(
                    CHECKER,
                    format!("O4: {me} shows {maker}:{counter} without what it had seen: {clock:?}"),
                );
            }
        }
        // What is not durable may be forgotten, and its name be given again: nobody has been told.
        if copy.durable() != clock {
            return;
        }
        match self.states.get(clock) {
            Some(known) if *known != digest => {
                violated(
                    CHECKER,
                    format!("O1: {me} has seen {clock:?} like another copy, and holds something else"),
                );
            }
            Some(_) => {}
            None => drop(self.states.insert(clock.clone(), digest)),
        }
    }

    /// A copy has begun a repair, or has ended it.
    fn look_at_repair(&mut self, me: NodeId, copy: &OptimisticCopy) {
        let Some(from) = copy.repairs_from() else { return drop(self.repairs.remove(&me)) };
        if self.repairs.get(&me).is_none_or(|(known, ..)| *known != from) {
            let other = self.copies.get(&from).map(|of| of.durable.clone()).unwrap_or_default();
            self.repairs.insert(me, (from, copy.replica().clock().clone(), other));
        }
    }

    /// A copy has been repaired: of what differed, no more was fetched than the updates have changed that one
    /// of both sides lacked.
    pub fn repaired(&mut self, me: NodeId, copy: &OptimisticCopy, differing: u64) {
        /// More are not counted one by one.
        const MANY: u64 = 200;
        let Some((from, own, other)) = self.repairs.remove(&me) else { return };
        let mut changes = 0;
        for (maker, last) in copy.replica().clock().iter() {
            let first = own.seen_of(maker).min(other.seen_of(maker));
            if last.saturating_sub(first) > MANY {
                return;
            }
            for counter in first.saturating_add(1)..=last {
                let told = self.told.get(&Dot::new(maker, counter)).and_then(|told| told.changes);
                // Own updates may not have been told to anybody yet.
                let Some(of_update) = told else { return };
                changes += of_update as u64;
            }
        }
        if differing > changes {
            violated(
                CHECKER,
                format!("O9: {me} has fetched {differing} keys of {from}, and {changes} may have differed"),
            );
        }
    }

    /// The disk of a node is lost: of what it has acknowledged, what others had durably is still owed.
    pub fn lost(&mut self, node: NodeId) {
        // Those that are being filled may not find what they were to get.
        self.recruited.values_mut().for_each(|clock| *clock = Clock::new());
        self.forget(node);
    }

    /// A copy is not there any more.
    fn forget(&mut self, node: NodeId) -> Option<Known> {
        self.recruited.remove(&node);
        let known = self.copies.remove(&node)?;
        self.lost.push(known.durable.clone());
        self.survives.insert(known.life, u64::MAX);
        for (life, survives) in &mut self.survives {
            let most = self.copies.values().map(|of| of.durable.seen_of(*life)).max();
            *survives = (*survives).min(most.unwrap_or(0));
        }
        Some(known)
    }

    /// A copy has given back what it held.
    fn gone(&mut self, node: NodeId) {
        let Some(known) = self.forget(node) else { return };
        self.moves[1] += 1;
        let had = known.durable.seen_of(known.life);
        let handed_on = self.going.remove(&node).map_or(0, |clock| clock.seen_of(known.life));
        if known.place == Place::Leaving && had > handed_on {
            violated(
                CHECKER,
                format!("O11: {node} has gone with {had} updates, and has handed on {handed_on}"),
            );
        }
    }

    /// What all members have durably.
    fn common(&self) -> Clock {
        let members: Vec<&Known> = self.copies.values().filter(|of| of.place == Place::Member).collect();
        let mut common = Clock::new();
        for (maker, most) in members.first().iter().flat_map(|first| first.durable.iter()) {
            let least = members.iter().map(|of| of.durable.seen_of(maker)).min().unwrap_or(0).min(most);
            common.add(Dot::new(maker, least));
        }
        common
    }

    /// A copy asks the view service for a place, or to be let go.
    pub fn asks_for(&mut self, me: NodeId, copy: &OptimisticCopy, plea: &Plea, staying: &[NodeId]) {
        match plea {
            Plea::AddMember { .. } => {
                let lacks = self.recruited.get(&me).filter(|had| !copy.durable().covers(had));
                if let Some(had) = lacks {
                    let has = copy.durable();
                    violated(CHECKER, format!("O10: {me} asks to count with {has:?}, and all had {had:?}"));
                }
            }
            Plea::HandedOn { .. } => {
                let clock = copy.replica().clock();
                // Whoever has lost its disk since is none of this copy's making.
                let known = staying.iter().filter_map(|node| Some((node, self.copies.get(node)?)));
                if let Some((node, _)) = known.into_iter().find(|(_, of)| !of.durable.covers(clock)) {
                    violated(
                        CHECKER,
                        format!("O11: {me} asks to go, and {node} lacks something of {clock:?}"),
                    );
                }
                self.going.insert(me, clock.clone());
            }
            _ => {}
        }
    }

    /// Whether what this update stands for must be there.
    fn is_owed(&self, dot: Dot) -> bool {
        self.survives.get(&dot.replica).is_none_or(|survives| dot.counter <= *survives)
    }

    /// Nothing is asked for any more. Whether all copies are the same, and keep nothing beside their data:
    /// the last of them may have caught up just now, and have said so to nobody yet. Then, whether everything
    /// is there.
    #[must_use]
    pub fn settled(&self, copies: &[(NodeId, &OptimisticCopy)], expected: usize, is_last_look: bool) -> bool {
        let Some((_, first)) = copies.first() else { return false };
        let same = |copy: &OptimisticCopy| {
            copy.serves()
                && copy.replica().clock() == first.replica().clock()
                && copy.replica().digest() == first.replica().digest()
        };
        if copies.len() != expected || !copies.iter().all(|(_, copy)| same(copy)) {
            return false;
        }
        let lives: BTreeSet<ReplicaId> = copies.iter().map(|(_, copy)| copy.life()).collect();
        for (node, copy) in copies {
            let (clock, store) = (copy.replica().clock(), copy.replica().store());
            if copy.replica().digest() != store.recount() {
                violated(CHECKER, format!("O1: the digest of {node} is not that of what it holds"));
            }
            // Every copy names its updates by one life, and no other is remembered.
            if store.beside() > 0 || clock.iter().any(|(life, _)| !lives.contains(&life)) {
                if !is_last_look {
                    return false;
                }
                let beside = store.beside();
                violated(CHECKER, format!("O8: {node} keeps {beside} things beside its data, and {clock:?}"));
            }
        }
        self.check_contents(first.replica());
        true
    }

    /// What the copies still lack, for people.
    #[must_use]
    pub fn missing(copies: &[(NodeId, &OptimisticCopy)]) -> String {
        let of = |(node, copy): &(NodeId, &OptimisticCopy)| {
            let (clock, serves) = (copy.replica().clock(), copy.serves());
            format!("{node} {:016x} serves: {serves} {clock:?}", copy.replica().digest())
        };
        copies.iter().map(of).collect::<Vec<_>>().join("; ")
    }

    fn check_contents(&self, replica: &Replica) {
        let (mut counted, mut uncertain, mut acknowledged) = (0, 0, 0);
        let mut members: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for (op, of) in self.ops.iter().enumerate() {
            match (of.what, &of.end) {
                (What::Count, End::Done(dot, _)) if self.is_owed(*dot) => {
                    (counted, acknowledged) = (counted + 1, acknowledged + 1)
                }
                (What::Count, End::Done(..)) => acknowledged += 1,
                (What::Count, End::Open) => uncertain += 1,
                (What::Add(key), end) => {
                    let here = members.entry(key).or_insert_with(|| self.members(replica, key));
                    self.check_member(key, op, end, here.contains(&op));
                }
                _ => {}
            }
        }
        for (key, written) in self.written() {
            let shows = ask(replica, &["GET", &format!("register:{key}")]);
            let shown = listed(&shows);
            let is_possible = shown.iter().all(|op| written.may.contains(op));
            if !is_possible || shown.is_empty() && written.is_owed {
                let (shows, may) = (String::from_utf8_lossy(&shows).into_owned(), &written.may);
                violated(CHECKER, format!("O3: register {key} shows {shows:?}, and {may:?} were written"));
            }
        }
        let count = number(&ask(replica, &["GET", "counter"]));
        if count < counted || count > acknowledged + uncertain && !self.comes_twice {
            violated(
                CHECKER,
                format!(
                    "O3: the counter is {count}, and {acknowledged} increments were acknowledged, {counted} of which are \
                     owed, and {uncertain} may have been executed"
                ),
            );
        }
    }

    /// What was written to each register.
    fn written(&self) -> BTreeMap<u64, Written> {
        let mut registers: BTreeMap<u64, Written> = BTreeMap::new();
        for (op, of) in self.ops.iter().enumerate() {
            let What::Write(key) = of.what else { continue };
            let register = registers.entry(key).or_default();
            if of.end != End::Refused || self.comes_twice {
                register.may.insert(op);
            }
            register.is_owed |= matches!(&of.end, End::Done(dot, _) if self.is_owed(*dot));
        }
        registers
    }

    fn members(&self, replica: &Replica, key: u64) -> BTreeSet<usize> {
        listed(&ask(replica, &["SMEMBERS", &format!("set:{key}")]))
    }

    fn check_member(&self, key: u64, member: usize, end: &End, is_there: bool) {
        let is_refused = *end == End::Refused;
        let is_owed = matches!(end, End::Done(dot, _) if self.is_owed(*dot));
        let (mut is_removed, mut may_be_removed) = (false, false);
        for op in &self.ops {
            let concerns = match op.what {
                What::Take(of) => of == key,
                What::Remove(_, of) => of == member,
                _ => false,
            };
            if !concerns {
                continue;
            }
            match (&op.end, op.what) {
                (End::Open, _) => may_be_removed = true,
                (End::Done(dot, reply), what) => {
                    let removes = match what {
                        What::Take(_) => listed(reply).contains(&member),
                        _ => reply.starts_with(b":1"),
                    };
                    is_removed |= removes && self.is_owed(*dot);
                    may_be_removed |= removes;
                }
                (End::Refused, _) => {}
            }
        }
        if is_there && is_refused && !self.comes_twice {
            violated(CHECKER, format!("O3: member {member} of set {key} is there, and was refused"));
        }
        if is_there && is_removed {
            violated(CHECKER, format!("O6: member {member} of set {key} is there, and was removed"));
        }
        if !is_there && is_owed && !may_be_removed {
            violated(
                CHECKER,
                format!(
                    "O3: member {member} of set {key} was acknowledged, removed by nobody, and is not there"
                ),
            );
        }
    }
}

/// Asks a copy of a replica.
fn ask(replica: &Replica, words: &[&str]) -> Bytes {
    let call = Call { now: Timestamp(u64::MAX >> 20), db: 0, seed: 0, version: Version::Two };
    let mut reply = Vec::new();
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    replica.clone().execute(call, &words, &mut reply);
    reply.into()
}

/// The numbers among the members in a reply.
fn listed(reply: &[u8]) -> BTreeSet<usize> {
    let text = String::from_utf8_lossy(reply);
    text.lines().filter_map(|line| line.strip_prefix("m")?.parse().ok()).collect()
}

/// The number that a string is; 0 without one.
fn number(reply: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(reply);
    text.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}
