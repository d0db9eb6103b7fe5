//! Who watches a view node.

use std::time::Duration;

use onecopy_core::{Entry, EntryId, Incarnation, Index, Instant, NodeId, Term};
use onecopy_raft::{Configuration, CorruptState, Raft, Role};
use onecopy_views::{Command, Membership, Monitor, Rejection, Table};

/// Hears what happens on a view node, at the moment when it has happened: a node logs it, a simulator checks
/// it. Nothing that an observer does has an effect on the view service. Every method does nothing unless it
/// is written.
pub trait ViewObserver {
    /// The founding membership of the view service is durable here.
    fn founded(&mut self, _membership: &Membership) {}

    /// The cluster was founded without this node, or with another disk of it: it waits to be made a member. A
    /// view node that lost its disk must not vote, because it may have voted before.
    fn waits(&mut self) {}

    /// What the disk kept of the Raft group makes no sense: it stays out.
    fn cannot_start(&mut self, _error: &CorruptState) {}

    /// The view node was not run for so long: what it did not hear meanwhile proves nothing.
    fn slept(&mut self, _length: Duration) {}

    /// A view node of another cluster sent a message of the Raft group.
    fn foreign_member(&mut self, _from: NodeId, _incarnation: Incarnation) {}

    /// The Raft role of this node, its term or its leader has changed.
    fn role_changed(&mut self, _role: Role, _term: Term, _leader: Option<NodeId>, _raft: &Raft) {}

    /// The last configuration in the log, at this index, is another, or is known to be committed now.
    fn configured(&mut self, _index: Index, _configuration: &Configuration, _committed: bool) {}

    /// The leader proposes a command, from this evidence.
    fn proposes(&mut self, _now: Instant, _command: &Command, _monitor: &Monitor) {}

    /// The leader has raised its commit index.
    fn committed(&mut self, _raft: &Raft) {}

    /// The table has executed a committed command.
    fn executed(
        &mut self,
        _entry: &Entry,
        _command: &Command,
        _outcome: &Result<(), Rejection>,
        _table: &Table,
    ) {
    }

    /// The table is as of this entry, which may have held no command.
    fn applied(&mut self, _entry: &Entry, _table: &Table, _term: Term) {}

    /// The table is the one that another view node had after this entry.
    fn installed(&mut self, _at: EntryId, _table: &Table) {}
}

impl ViewObserver for () {}
