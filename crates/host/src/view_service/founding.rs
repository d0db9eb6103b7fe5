//! The founding, driven: hellos until everybody knows the membership, the membership made durable, then Raft;
//! and hellos of those who come later, until they are members.

use std::collections::BTreeSet;
use std::time::Duration;

use onecopy_core::{EntryId, Instant, Member, NodeId, Write};
use onecopy_raft::{Base, Config, Configuration, Input, Raft};
use onecopy_views::{Founding, GenesisStanding, Hello, Membership};

use super::{GENESIS_GROUP, ViewEffect, ViewObserver, ViewService};
use crate::disk::{Job, Out};
use crate::message::RaftLetter;

/// How often a view node says hello that does not know of a cluster.
const HELLO_INTERVAL: Duration = Duration::from_millis(100);
/// And one that knows of it, and waits to be a member.
const WAITING_INTERVAL: Duration = Duration::from_millis(300);
/// How many entries a learner may lack when it is promoted: what is on its way, more or less.
const PROMOTION_LAG_MAX: u64 = 16;
/// How many appends may be on their way to one member.
const INFLIGHT_MAX: usize = 64;

impl ViewService {
    /// The first thing that happens: founds what can be founded alone, or goes on where the disk left off.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let founding = self.genesis.started();
        self.found(founding, out);
        self.start_raft_if_founded(now, observer, out);
    }

    /// Says hello to the others, as long as this node is no member.
    pub(super) fn greet(&mut self, now: Instant, out: &mut Out<ViewEffect>) {
        if now >= self.next_hello && !self.is_member() {
            self.next_hello = now + if self.raft.is_none() { HELLO_INTERVAL } else { WAITING_INTERVAL };
            self.say_hello_to_all(out);
        }
    }

    /// Another view node says hello.
    pub fn greeted(&mut self, now: Instant, from: NodeId, hello: Hello, out: &mut Out<ViewEffect>) {
        let asks = hello.membership.is_none();
        if !asks && hello.membership.as_ref() == self.genesis.membership() {
            self.applicants.hello(now, Member { node: from, incarnation: hello.incarnation });
        }
        let founding = self.genesis.received(from, hello);
        self.found(founding, out);
        if asks && self.genesis.membership().is_some() {
            self.say_hello(from, out);
        }
    }

    /// A message of the Raft group arrived. Whether the sender is a member is for Raft to judge: its
    /// configuration may be newer than the one that is known here.
    pub fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        letter: RaftLetter,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let cluster = self.genesis.membership().map(Membership::cluster);
        if cluster.is_some_and(|cluster| cluster != letter.cluster) {
            observer.foreign_member(from, letter.from);
        } else if cluster.is_none() || letter.to != self.settings.incarnation {
            // This node does not know yet of the cluster; or the letter is for a life of its disk that is
            // over.
            self.say_hello(from, out);
        } else {
            let from = Member { node: from, incarnation: letter.from };
            self.step(now, Input::Received { from, message: letter.message }, observer, out);
        }
    }

    fn say_hello(&self, to: NodeId, out: &mut Out<ViewEffect>) {
        out.effects.push(ViewEffect::Hello { to, hello: self.genesis.hello() });
    }

    fn say_hello_to_all(&self, out: &mut Out<ViewEffect>) {
        let mut others: BTreeSet<NodeId> = self.genesis.others().iter().copied().collect();
        others.extend(self.known.view_nodes().iter().filter(|node| **node != self.settings.node));
        others.into_iter().for_each(|other| self.say_hello(other, out));
    }

    fn found(&mut self, founding: Founding, out: &mut Out<ViewEffect>) {
        match founding {
            Founding::Nothing => {}
            Founding::Persist(membership) if self.founding.is_none() => {
                let writes = vec![Write::State(membership.encode())];
                self.founding = Some(membership);
                let ticket = self.genesis_ticket.take();
                out.writes.push(Job { group: GENESIS_GROUP, ticket, writes });
            }
            Founding::Persist(_) => {}
        }
    }

    /// The membership is durable: this node belongs to the cluster now, and tells the others at once.
    pub(super) fn founded(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let Some(membership) = self.founding.take() else { return };
        observer.founded(&membership);
        self.genesis.durable(membership);
        self.say_hello_to_all(out);
        self.start_raft_if_founded(now, observer, out);
    }

    fn start_raft_if_founded(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let founders = match self.genesis.standing() {
            GenesisStanding::Fresh(_) => return,
            GenesisStanding::Member(membership) => configuration(membership),
            GenesisStanding::Joining(_) => {
                observer.waits();
                // It waits for a leader to turn to it.
                Configuration::default()
            }
        };
        let is_snapshot = self.kept.base != EntryId::ZERO;
        let configuration = if is_snapshot { std::mem::take(&mut self.base_configuration) } else { founders };
        let config = Config {
            id: Member { node: self.settings.node, incarnation: self.settings.incarnation },
            election_timeout: self.settings.election_timeout,
            heartbeat_interval: self.settings.election_timeout / 6,
            append_bytes_max: self.settings.append_bytes_max,
            inflight_max: INFLIGHT_MAX,
            log_bytes_max: self.settings.log_bytes_max,
            promotion_lag_max: PROMOTION_LAG_MAX,
            leases: None,
            seed: self.settings.seed,
            rules: self.settings.rules,
        };
        let base = Base { time: self.base_time, configuration };
        match Raft::new(config, std::mem::take(&mut self.kept), base, now) {
            Ok((raft, effects)) => {
                self.raft = Some(raft);
                self.effects = effects;
                self.carry_out(observer, out);
            }
            Err(error) => observer.cannot_start(&error),
        }
    }
}

/// The founders as Raft knows them: all of them vote.
fn configuration(membership: &Membership) -> Configuration {
    let members = membership.members.iter();
    Configuration::of(members.map(|(node, incarnation)| Member { node: *node, incarnation: *incarnation }))
}
