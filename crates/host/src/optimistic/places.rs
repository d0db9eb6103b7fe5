//! How a copy comes, and how it goes.
//!
//! The view table says which nodes have copies ([`onecopy_views`], `copies.rs`). A *learner* hears everything
//! that members hear, repairs itself from their state, and takes no requests. Once it has what they have, it
//! asks to become a member (rule O10).
//!
//! A member that is *leaving* takes nothing more as soon as all that stay are there to take it instead. What
//! it has goes to them like everything else. Once each of them has it durably, the copy asks to be let go
//! (rule O11), and if the table does not name it any more, it gives back what it held. What it has heard of
//! others since then is no concern of its own: whoever has sent it has it.
//!
//! What has been said in one start of the process is no word of the next one, which may have taken something
//! again: so the view service is told which start it is.

use onecopy_core::{GroupId, Instant, Member, NodeId, Petition, Plea, Rule, Ticket, View, ViewNumber, Write};
use onecopy_merge::{Replica, ReplicaId};
use onecopy_views::Table;

use super::enough::Enough;
use super::peer::Peer;
use super::serving::Serving;
use super::window::Window;
use super::{News, OptimisticCopy};
use crate::disk::{ArchiveJob, Out};
use crate::group::GroupEffect;

/// What the table says of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// It is not named, or nothing was heard.
    #[default]
    Nowhere,
    /// It is to be filled.
    Learner,
    /// It takes requests.
    Member,
    /// It is to go.
    Leaving,
}

impl Place {
    pub(super) fn of(node: NodeId, group: GroupId, view: &View, table: &Table) -> Self {
        match (view.member(node), view.learner(node)) {
            (Some(_), _) if table.is_leaving(group, node) => Self::Leaving,
            (Some(_), _) => Self::Member,
            (None, Some(_)) => Self::Learner,
            (None, None) => Self::Nowhere,
        }
    }

    /// Whether a copy there is one of those that hold what was acknowledged.
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Member | Self::Leaving)
    }

    /// Its name, for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "spare",
            Self::Learner => "learner",
            Self::Member => "member",
            Self::Leaving => "leaving",
        }
    }
}

/// Where this copy stands in the table, and what it makes of that.
#[derive(Debug, Default)]
pub(super) struct Standpoint {
    pub(super) place: Place,
    view: ViewNumber,
    /// It is to go, and takes nothing more.
    is_closed: bool,
    /// When it asks again.
    asks_at: Instant,
    /// The write with which the disk forgets what the copy held, if that is not over.
    forgetting: Option<Ticket>,
}

impl Standpoint {
    pub(super) fn learn(&mut self, place: Place, view: ViewNumber) {
        (self.place, self.view) = (place, view);
        self.is_closed &= place == Place::Leaving;
    }

    /// Whether the copy may take requests.
    pub(super) fn is_open(&self) -> bool {
        self.place.counts() && !self.is_closed
    }
}

impl OptimisticCopy {
    /// What the table says of it.
    #[must_use]
    pub fn place(&self) -> Place {
        self.standpoint.place
    }

    /// Of a copy that is to go: for whom it waits, and how many of the updates that it has they lack.
    pub fn hands_on_to(&self) -> impl Iterator<Item = (NodeId, u64)> {
        let is_leaving = self.place() == Place::Leaving;
        let staying = self.peers.iter().filter(move |(_, peer)| is_leaving && peer.place == Place::Member);
        let lacks = |(node, peer): (&NodeId, &Peer)| {
            let lacks =
                if self.has(peer) { 0 } else { peer.standing.clock.behind(self.replica.clock()).max(1) };
            (*node, lacks)
        };
        staying.map(lacks).filter(|(_, lacks)| *lacks > 0)
    }

    /// Whether another copy has said, in the life that it is in, that it has everything of this one.
    fn has(&self, peer: &Peer) -> bool {
        peer.standing.life == peer.life && peer.standing.clock.covers(self.replica.clock())
    }

    /// Asks the view service for what is next, now and then until it is done.
    pub(super) fn ask_for_place(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        let asks = self.is_confirmed
            && match self.place() {
                Place::Learner => self.is_filled(now) || !self.rules.hold(Rule::FilledBeforeItCounts),
                Place::Leaving => {
                    self.close(now);
                    self.has_handed_on() || !self.rules.hold(Rule::HandedOnBeforeItGoes)
                }
                Place::Nowhere | Place::Member => false,
            };
        if !asks || now < self.standpoint.asks_at {
            return;
        }
        self.standpoint.asks_at = now + self.settings.heartbeat_interval * 2;
        let start = self.settings.start;
        let plea = match self.place() {
            Place::Learner => {
                let learner = Member { node: self.settings.me, incarnation: start.incarnation };
                Plea::AddMember { learner }
            }
            _ => Plea::HandedOn { boot: start.boot },
        };
        let (group, view) = (self.settings.group, self.standpoint.view);
        out.effects.push(GroupEffect::Petition(Petition { group, view, plea }));
    }

    /// Whether a learner has what the members have that are there, one at least.
    fn is_filled(&self, now: Instant) -> bool {
        let timeout = self.settings.failure_timeout;
        let counts = |peer: &&Peer| {
            peer.place.counts()
                && peer.is_there(now, timeout)
                && peer.standing.life == peer.life
                && peer.standing.is_whole
        };
        let mut members = self.peers.values().filter(counts).peekable();
        self.has_caught_up
            && self.repair.is_none()
            && members.peek().is_some()
            && members.all(|peer| self.durable.covers(&peer.standing.clock))
    }

    /// A copy that is to go takes nothing more once all that stay are there.
    fn close(&mut self, now: Instant) {
        let timeout = self.settings.failure_timeout;
        let mut staying = self.peers.values().filter(|peer| peer.place == Place::Member).peekable();
        let are_there = staying.peek().is_some() && staying.all(|peer| peer.is_there(now, timeout));
        self.standpoint.is_closed |= are_there;
    }

    /// Whether all that stay have everything that this copy has acknowledged, and it takes nothing more.
    fn has_handed_on(&self) -> bool {
        let is_busy = self.serving.is_busy() || !self.enough.is_empty() || !self.unwritten.is_empty();
        let is_quiet = self.standpoint.is_closed && !is_busy;
        let mut staying = self.peers.values().filter(|peer| peer.place == Place::Member).peekable();
        is_quiet && staying.peek().is_some() && staying.all(|peer| self.has(peer))
    }

    /// The table does not name the copy any more: what it held is given back.
    pub(super) fn go(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        self.end_waits(now, out);
        self.news(News::Gone);
        self.replica = Replica::new(ReplicaId(0), self.rules);
        self.window = Window::bounded(self.settings.window_bytes_max);
        self.peers.clear();
        self.arrived.clear();
        // What was taken and is not answered is answered by nobody: the connection to it ends like that to a
        // process that has died.
        (self.serving, self.enough) = (Serving::default(), Enough::default());
        self.unwritten.clear();
        self.writing.clear();
        (self.repair, self.taking, self.wants_image) = (None, None, false);
        (self.is_confirmed, self.has_caught_up, self.is_marked) = (false, false, false);
        (self.last, self.base, self.image_bytes, self.unsynced) = Default::default();
        self.durable = self.replica.clock().clone();
        self.standpoint.forgetting = Some(self.ticket_of(vec![Write::Forget], out));
    }

    /// Whether the disk has not yet forgotten what the copy held.
    pub(super) fn is_forgetting(&self) -> bool {
        self.standpoint.forgetting.is_some()
    }

    /// The log has forgotten it, and so do the images: a start that finds an image without a log finds what
    /// nobody needs.
    pub(super) fn forgotten(&mut self, out: &mut Out<GroupEffect>) {
        if self.standpoint.forgetting.take_if(|ticket| *ticket <= self.synced).is_some() {
            out.archive.push(ArchiveJob::Forget { group: self.settings.group });
        }
    }
}
