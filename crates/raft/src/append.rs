//! The follower's side of log replication (Raft paper, section 5.3).

use onecopy_core::{Entry, EntryId, Index, Member};

use crate::content;
use crate::core::{Core, Step};
use crate::follower::Follower;
use crate::message::Message;
use crate::progress::last_shared;

impl Follower {
    pub fn on_append(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: Member,
        previous: EntryId,
        entries: Vec<Entry>,
        commit: Index,
    ) {
        if !core.makes_sense(previous, &entries) {
            return;
        }
        core.check_committed_prefix(previous, &entries);
        // What is committed agrees with every later leader's log, also where it has been compacted.
        if previous.index > core.commit && !core.log.contains(previous) {
            return core.refuse_append(step, from, previous);
        }
        let through = entries.last().map_or(previous.index, |last| last.id.index);
        let new = self.cut_where_different(core, entries);
        self.received.agreed = self.received.agreed.max(through);
        let known = commit.min(self.received.agreed);
        core.append(new, known.max(core.commit));
        core.commit_through(step, known);
        core.acknowledge(step, from, through);
    }

    /// Drops the tail from the first entry that differs from the leader's, and returns what is missing then.
    /// Entries that are there already stay: a late append must not undo a later one.
    fn cut_where_different(&mut self, core: &mut Core, mut entries: Vec<Entry>) -> Vec<Entry> {
        let known = |entry: &Entry| entry.id.index <= core.commit || core.log.contains(entry.id);
        let held = entries.iter().take_while(|entry| known(entry)).count();
        let new = entries.split_off(held);
        if let Some(first) = new.first().map(|entry| entry.id.index)
            && first <= core.log.last().index
        {
            core.cut(first);
            self.received.agreed = self.received.agreed.min(core.log.last().index);
        }
        new
    }
}

impl Core {
    /// Whether a correct leader could have sent this: without gaps, with terms and times that never
    /// decrease, and with contents that are known.
    fn makes_sense(&self, previous: EntryId, entries: &[Entry]) -> bool {
        let mut last = previous;
        // Only of the very same entry: one that is about to be cut says nothing about the leader's times.
        let own = self.log.get(previous.index).filter(|entry| entry.id == previous);
        let mut time = own.map(|entry| entry.time).unwrap_or_default();
        for entry in entries {
            let follows = last.index.0.checked_add(1) == Some(entry.id.index.0);
            let strange = content::configuration(entry).is_err();
            if !follows || entry.id.epoch < last.epoch || entry.time < time || strange {
                return false;
            }
            (last, time) = (entry.id, entry.time);
        }
        last.epoch <= self.term().into()
    }

    /// A leader that disagrees with what is committed here was elected against the rules. Going on would show
    /// two histories: stop instead (state machine safety).
    fn check_committed_prefix(&self, previous: EntryId, entries: &[Entry]) {
        let names = std::iter::once(previous).chain(entries.iter().map(|entry| entry.id));
        for id in names.take_while(|id| id.index <= self.commit) {
            let own = self.log.epoch_at(id.index);
            assert!(
                own.is_none_or(|epoch| epoch == id.epoch),
                "raft: leader completeness: {id} of {}'s leader contradicts the committed entry of {own:?}",
                self.term()
            );
        }
    }

    /// Names the last own entry that the leader may have too: one round trip per conflicting term at most.
    fn refuse_append(&self, step: &mut Step<'_>, from: Member, previous: EntryId) {
        // At `previous` itself the logs are known to differ.
        let index = last_shared(&self.log, previous.index.previous(), previous.epoch, self.commit);
        let epoch = self.log.epoch_at(index).expect("raft: what follows the commit index is in the log");
        let hint = EntryId { index, epoch };
        self.answer(step, from, Message::Conflict { term: self.term(), at: previous.index, hint });
    }

    /// Drops the tail of the log, from `first` on.
    fn cut(&mut self, first: Index) {
        assert!(first > self.commit, "raft: state machine safety: the committed {first} would be cut");
        self.log.cut(first);
        self.disk.cut(first);
        self.membership.cut(first);
        self.count_anew();
    }
}
