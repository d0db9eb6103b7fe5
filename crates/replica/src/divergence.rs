//! Same order, same result (rule P10): replicas that executed the same entries compare what came of it.
//!
//! The primary sends with every Prepare the digest of its state after the last entry that it has executed. A backup that has
//! executed that entry compares. If they differ, one of the two machines computes or remembers wrongly, and nobody can say
//! which; the primary, whose answers clients have, is believed once. The backup stops being of use at once: it answers
//! nothing any more, says so to the view service, which drops it, and begins anew from nothing when it is no member any more.
//!
//! When a second backup, or the same one built anew from the primary's own log, comes to another result too, it is the
//! primary that is wrong. It stops leading, and its process has to be started again: its disk still has what is right.

use std::collections::{BTreeSet, VecDeque};

use onecopy_core::{Digest, EntryId, Index, Instant, NodeId, Rule, Timestamp, View, ViewNumber};

use crate::effect::Effect;
use crate::message::Message;
use crate::replica::{Replica, Role};

/// How many entries back a digest is remembered. What a backup executed longer ago is not compared any more.
const REMEMBERED: usize = 4_096;

/// So many disagree before a primary takes itself for the one that is wrong.
const ACCUSERS_MAX: usize = 2;

/// What a replica remembers of its own digests, and what it has to compare.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Digests {
    /// Its own, in order.
    own: VecDeque<Digest>,
    /// One of the primary, until this replica has executed as much.
    expected: Option<Digest>,
    /// The last entry after which both agreed.
    agreed: Index,
    /// They differed. The state is of no use, unless it was the primary that was wrong.
    has_diverged: bool,
    /// This replica led, and was wrong. Only a new start helps.
    is_damaged: bool,
    /// The view in which this replica last began anew; 0 if it has what its disk kept.
    began: ViewNumber,
    /// Who came to another result than this replica while it led.
    accusers: Vec<Accusation>,
    /// Replicas that got their snapshot from a backup while this replica led. What they hold is what that backup holds, and their
    /// result is no opinion of their own.
    pub(crate) second_hand: BTreeSet<NodeId>,
}

/// One accusation. One and the same state is counted once, in however many views it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Accusation {
    by: NodeId,
    /// The view in which it last began anew.
    began: ViewNumber,
    is_second_hand: bool,
}

impl Digests {
    /// The digest after the last entry that was executed here.
    pub(crate) fn last(&self) -> Option<Digest> {
        self.own.back().copied()
    }

    pub(crate) fn agreed(&self) -> Index {
        self.agreed
    }

    pub(crate) fn has_diverged(&self) -> bool {
        self.has_diverged || self.is_damaged
    }

    /// Whether this replica came to another result than the primary that this one is.
    pub(crate) fn has_accused(&self, node: NodeId) -> bool {
        self.accusers.iter().any(|accusation| accusation.by == node)
    }

    /// Compares, if there is something to compare; what differs.
    fn compare(&mut self) -> Option<(Digest, Digest)> {
        let expected = self
            .expected
            .take_if(|expected| self.own.back().is_some_and(|last| last.after >= expected.after))?;
        let own = self.own.iter().rev().find(|own| own.after == expected.after)?;
        if own.value == expected.value {
            self.agreed = self.agreed.max(expected.after);
            return None;
        }
        Some((*own, expected))
    }
}

impl Replica {
    /// Entries have been executed here.
    pub(crate) fn on_executed(&mut self, digests: &[Digest], effects: &mut Vec<Effect>) {
        let own = &mut self.digests.own;
        own.extend(digests);
        own.drain(..own.len().saturating_sub(REMEMBERED));
        self.compare_digests(effects);
    }

    /// The primary tells what it holds.
    pub(crate) fn on_digest(&mut self, digest: Option<Digest>, effects: &mut Vec<Effect>) {
        // One after the other: the next one waits until this one has been compared. Once they differ, they differ.
        if self.digests.expected.is_none() && !self.digests.has_diverged() {
            self.digests.expected = digest;
            self.compare_digests(effects);
        }
    }

    fn compare_digests(&mut self, effects: &mut Vec<Effect>) {
        let Role::Follower(follower) = &mut self.role else { return };
        let Some((own, primarys)) = self.digests.compare() else { return };
        if !self.config.rules.hold(Rule::SameResult) {
            return;
        }
        self.digests.has_diverged = true;
        follower.refuse_reads(effects);
        effects.push(Effect::Diverged { after: own.after, own: own.value, primarys: primarys.value });
        self.accuse(effects);
    }

    /// Tells the primary that it may be wrong itself. Repeated, for it may be lost.
    pub(crate) fn accuse(&self, effects: &mut Vec<Effect>) {
        let Role::Follower(follower) = &self.role else { return };
        if self.digests.has_diverged {
            let message = Message::Diverged { view: self.view_number(), began: self.digests.began };
            self.send(follower.primary, message, effects);
        }
    }

    /// A follower came to another result.
    pub(crate) fn on_accused(&mut self, from: NodeId, began: ViewNumber, effects: &mut Vec<Effect>) {
        let is_second_hand = self.digests.second_hand.contains(&from);
        let accusation = Accusation { by: from, began, is_second_hand };
        let Role::Primary(primary) = &mut self.role else { return };
        if primary.peer(from).is_none() || self.digests.accusers.contains(&accusation) {
            return;
        }
        self.digests.accusers.push(accusation);
        let opinions = self.digests.accusers.iter().filter(|accusation| !accusation.is_second_hand);
        if opinions.count() >= ACCUSERS_MAX {
            primary.refuse_reads(effects);
            self.digests.is_damaged = true;
            self.role = Role::Retired;
            effects.push(Effect::Damaged);
        }
    }

    /// A view was entered. A diverged replica that is not a member any more forgets everything: as a learner it begins anew.
    pub(crate) fn maybe_rebuild(&mut self, before: Option<&View>, now: Instant, effects: &mut Vec<Effect>) {
        self.digests.expected = None;
        let Some(view) = &self.view else { return };
        if view.primary != self.config.me.node {
            self.digests.accusers.clear();
            self.digests.second_hand.clear();
        }
        let is_member = view.is_member(&self.config.me);
        if self.digests.has_diverged && view.primary == self.config.me.node {
            // Its log is right, whatever it made of it: a new process executes it anew, and leads.
            self.digests.is_damaged = true;
            effects.push(Effect::Damaged);
        } else if is_member && before.is_some_and(|before| before.primary != view.primary) {
            // It differed from a primary that leads no more: what is right is what this one says.
            self.digests.has_diverged = false;
        }
        if self.digests.has_diverged() && !is_member {
            self.digests = Digests { began: view.number, ..Digests::default() };
            self.snapshots.forget_all();
            self.replace_log(now, EntryId::ZERO, Timestamp(0), effects);
            effects.push(Effect::Rebuild);
        }
    }
}
