//! The founding, driven: hellos until everybody knows the membership, the membership made durable, then Raft.

use std::time::Duration;

use onecopy_core::{Incarnation, Instant, Member, NodeId, Write};
use onecopy_raft::{Base, Config, Configuration, Input, Message, Raft};
use onecopy_views::{Founding, GenesisStanding, Hello, Membership};

use super::{GENESIS_GROUP, ViewObserver, ViewService, ViewWish};
use crate::disk::{Job, Out};

/// How often a view node of a new cluster says hello.
const HELLO_INTERVAL: Duration = Duration::from_millis(100);
/// How many appends may be on their way to one member.
const INFLIGHT_MAX: usize = 64;

impl ViewService {
    /// The first thing that happens: founds what can be founded alone, or goes on where the disk left off.
    pub(super) fn begin(&mut self, now: Instant, observer: &mut impl ViewObserver, out: &mut Out<ViewWish>) {
        let founding = self.genesis.started();
        self.found(founding, observer, out);
        self.start_raft_if_founded(now, observer, out);
        if let GenesisStanding::Stranger(_) = self.genesis.standing() {
            observer.stays_out();
        }
    }

    /// Says hello to the others, as long as it is not known who they are.
    pub(super) fn greet(&mut self, now: Instant, out: &mut Out<ViewWish>) {
        if self.raft.is_none() && now >= self.next_hello {
            self.next_hello = now + HELLO_INTERVAL;
            self.say_hello_to_all(out);
        }
    }

    /// Another view node says hello.
    pub fn greeted(
        &mut self,
        from: NodeId,
        hello: Hello,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewWish>,
    ) {
        let asks = hello.membership.is_none();
        let founding = self.genesis.received(from, hello);
        self.found(founding, observer, out);
        if asks && !matches!(self.genesis.standing(), GenesisStanding::Fresh(_)) {
            self.say_hello(from, out);
        }
    }

    /// A message of the Raft group arrived, from a view node with this life.
    pub fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        incarnation: Incarnation,
        message: Message,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewWish>,
    ) {
        let known = match self.genesis.standing() {
            GenesisStanding::Member(membership) => membership.includes(from, incarnation),
            _ => false,
        };
        if known {
            let from = Member { node: from, incarnation };
            self.step(now, Input::Received { from, message }, observer, out);
        } else {
            // It may not know yet who the view nodes are, or that it is none any more.
            observer.unknown_member(from, incarnation);
            self.say_hello(from, out);
        }
    }

    fn say_hello(&self, to: NodeId, out: &mut Out<ViewWish>) {
        out.wishes.push(ViewWish::Hello { to, hello: self.genesis.hello() });
    }

    fn say_hello_to_all(&self, out: &mut Out<ViewWish>) {
        self.genesis.others().iter().for_each(|other| self.say_hello(*other, out));
    }

    fn found(&mut self, founding: Founding, observer: &mut impl ViewObserver, out: &mut Out<ViewWish>) {
        match founding {
            Founding::Nothing => {}
            Founding::Persist(membership) if self.founding.is_none() => {
                let writes = vec![Write::State(membership.encode())];
                self.founding = Some(membership);
                let ticket = self.genesis_ticket.take();
                out.writes.push(Job { group: GENESIS_GROUP, ticket, writes });
            }
            Founding::Persist(_) => {}
            Founding::StayOut => observer.stays_out(),
        }
    }

    /// The membership is durable: this node is a view node now, and tells the others at once.
    pub(super) fn founded(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewWish>,
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
        out: &mut Out<ViewWish>,
    ) {
        let GenesisStanding::Member(membership) = self.genesis.standing() else { return };
        if self.raft.is_some() {
            return;
        }
        let config = Config {
            id: Member { node: self.settings.node, incarnation: self.settings.incarnation },
            election_timeout: self.settings.election_timeout,
            heartbeat_interval: self.settings.election_timeout / 6,
            append_bytes_max: self.settings.append_bytes_max,
            inflight_max: INFLIGHT_MAX,
            log_bytes_max: self.settings.log_bytes_max,
            promotion_lag_max: 0,
            leases: None,
            seed: self.settings.seed,
            rules: self.settings.rules,
        };
        let base = Base { time: self.base_time, configuration: configuration(membership) };
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

/// The view nodes as Raft knows them: all of them vote.
pub(super) fn configuration(membership: &Membership) -> Configuration {
    let members = membership.members.iter();
    Configuration::of(members.map(|(node, incarnation)| Member { node: *node, incarnation: *incarnation }))
}
