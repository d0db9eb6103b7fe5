//! Who watches a group.

use onecopy_core::machine::RestoreError;
use onecopy_core::{Entry, EntryId, Index, View};
use onecopy_raft::Configuration;
use onecopy_replica::{HandoverError, Standing};

use super::Group;

/// Hears what happens in a group, at the moment when it has happened: a node logs it, a simulator checks it.
/// Nothing that an observer does has an effect on the group. Every method does nothing unless it is written.
pub trait GroupObserver<M> {
    /// An entry is known to be committed here. It is executed in this turn, or in a later one.
    fn committed(&mut self, _group: &Group<M>, _entry: &Entry) {}

    /// The machine has executed an entry; `before` is the last one that it reflected until then.
    fn applied(&mut self, _group: &Group<M>, _before: Index, _entry: &Entry) {}

    /// The replica has entered a view. If it was the primary before and is no more, the outcome of `unknown`
    /// batches is unknown.
    fn view_changed(&mut self, _group: &Group<M>, _view: &View, _standing: Standing, _unknown: usize) {}

    /// The leader of a Raft group leads no more: the outcome of `unknown` batches is unknown.
    fn stepped_down(&mut self, _group: &Group<M>, _unknown: usize) {}

    /// The last configuration in the log of a copy of a Raft group is another, or is committed now.
    fn configured(&mut self, _: &Group<M>, _at: Index, _configuration: &Configuration, _committed: bool) {}

    /// A handover did not happen.
    fn handover_failed(&mut self, _group: &Group<M>, _error: HandoverError) {}

    /// The state is not what the primary's is (rule P10). The replica is of no use until it has been rebuilt.
    fn diverged(&mut self, _group: &Group<M>, _after: Index, _own: u64, _primarys: u64) {}

    /// The replica led, and was wrong: its process has to be started again.
    fn damaged(&mut self, _group: &Group<M>) {}

    /// The replica has begun anew, with a state that has executed nothing.
    fn rebuilt(&mut self, _group: &Group<M>) {}

    /// The copy is one of the other kind from now on, with what it held or with nothing.
    fn turned(&mut self, _group: &Group<M>) {}

    /// A snapshot of the state as of this entry is being taken.
    fn snapshot_begun(&mut self, _group: &Group<M>, _at: EntryId) {}

    /// It is durable.
    fn snapshot_taken(&mut self, _group: &Group<M>, _at: EntryId) {}

    /// The first piece of a snapshot has come from another replica.
    fn snapshot_arrives(&mut self, _group: &Group<M>, _at: EntryId) {}

    /// What has come makes no sense, or is incomplete.
    fn snapshot_spoiled(&mut self, _group: &Group<M>, _at: EntryId, _error: &RestoreError) {}

    /// The machine is the one that another replica had after this entry.
    fn snapshot_installed(&mut self, _group: &Group<M>, _at: EntryId) {}
}

impl<M> GroupObserver<M> for () {}
