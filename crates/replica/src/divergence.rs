//! Same order, same result (rule P10): replicas that executed the same entries compare what came of it.
//!
//! The primary sends with every Prepare the digest of its state after the last entry that it has executed. A
//! backup that has executed that entry compares. If they differ, one of the two machines computes or
//! remembers wrongly, and nobody can say which; the primary, whose answers clients have, is believed once.
//! The backup stops being of use at once: it answers nothing any more, says so to the view service, which
//! drops it, and begins anew from nothing when it is no member any more.
//!
//! When a second backup, or the same one built anew from the primary's own log, comes to another result too,
//! it is the primary that is wrong. It stops leading, and its process has to be started again: its disk still
//! has what is right.

use std::collections::{BTreeSet, VecDeque};

use onecopy_core::{Digest, EntryId, Index, NodeId, Rule, Timestamp, View, ViewNumber};

use crate::backup::Follower;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::message::Message;
use crate::primary::Primary;

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
    /// Replicas that got their snapshot from a backup while this replica led. What they hold is what that
    /// backup holds, and their result is no opinion of their own.
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

impl Core {
    /// Entries have been executed here.
    pub(crate) fn executed(&mut self, digests: &[Digest]) {
        let own = &mut self.digests.own;
        own.extend(digests);
        own.drain(..own.len().saturating_sub(REMEMBERED));
    }

    /// A view was entered. A diverged replica that is not a member any more forgets everything: as a learner
    /// it begins anew.
    pub(crate) fn maybe_rebuild(&mut self, step: &mut Step<'_>, before: Option<&View>) {
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
            step.push(Effect::Damaged);
        } else if is_member && before.is_some_and(|before| before.primary != view.primary) {
            // It differed from a primary that leads no more: what is right is what this one says.
            self.digests.has_diverged = false;
        }
        if self.digests.has_diverged() && !is_member {
            self.digests = Digests { began: view.number, ..Digests::default() };
            self.snapshots.forget_all();
            self.replace_log(step, EntryId::ZERO, Timestamp(0));
            step.push(Effect::Rebuild);
        }
    }
}

impl Follower {
    /// The primary tells what it holds.
    pub(crate) fn on_digest(&mut self, core: &mut Core, step: &mut Step<'_>, digest: Option<Digest>) {
        // One after the other: the next one waits until this one has been compared. Once they differ, they
        // differ.
        if core.digests.expected.is_none() && !core.digests.has_diverged() {
            core.digests.expected = digest;
            self.compare_digests(core, step);
        }
    }

    /// Compares what it was told with what it has executed, once it has.
    pub(crate) fn compare_digests(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let Some((own, primarys)) = core.digests.compare() else { return };
        if !core.config.rules.hold(Rule::SameResult) {
            return;
        }
        core.digests.has_diverged = true;
        self.refuse_reads(step);
        step.push(Effect::Diverged { after: own.after, own: own.value, primarys: primarys.value });
        self.accuse(core, step);
    }

    /// Tells the primary that it may be wrong itself. Repeated, for it may be lost.
    pub(crate) fn accuse(&self, core: &Core, step: &mut Step<'_>) {
        if core.digests.has_diverged {
            let message = Message::Diverged { view: core.view_number(), began: core.digests.began };
            core.send(step, self.primary, message);
        }
    }
}

impl Primary {
    /// A follower came to another result. Returns whether that is one too many: then this primary leads no
    /// more.
    #[must_use]
    pub(crate) fn on_accused(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: NodeId,
        began: ViewNumber,
    ) -> bool {
        let is_second_hand = core.digests.second_hand.contains(&from);
        let accusation = Accusation { by: from, began, is_second_hand };
        if self.peer(from).is_none() || core.digests.accusers.contains(&accusation) {
            return false;
        }
        core.digests.accusers.push(accusation);
        let opinions = core.digests.accusers.iter().filter(|accusation| !accusation.is_second_hand);
        if opinions.count() < ACCUSERS_MAX {
            return false;
        }
        self.refuse_reads(step);
        core.digests.is_damaged = true;
        step.push(Effect::Damaged);
        true
    }
}
