//! What can go wrong.

use std::str::FromStr;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process dies and is started again. Its disk keeps what was durable, and perhaps a little more.
    Crash,
    /// Several at once.
    CrashSeveral,
    /// A node stands still, while its clock goes on.
    Pause,
    /// Only the data thread stands still: the node goes on pinging.
    DataStall,
    /// The nodes fall apart into two parts.
    Partition,
    /// One node hears nobody, or is heard by nobody.
    Deaf,
    /// Two nodes cannot talk to each other; both reach the others.
    Broken,
    /// Many messages are lost.
    Storm,
    /// A disk takes long for everything.
    SlowDisk,
    /// A disk does nothing for a while.
    DiskStall,
    /// A node takes long for everything.
    SlowNode,
    /// The group's messages from one node to another pile up: they come later and later, but there is never
    /// silence. Everything else is as fast as before.
    SlowPath,
    /// The view nodes do not hear each other.
    ViewOutage,
    /// The data of a node is gone; it returns under a new incarnation.
    LoseData,
    /// The whole disk is gone. A view node that lost its disk is replaced by its next life.
    LoseDisk,
    /// A disk refuses writes: of the log, and then nothing becomes durable until the process is started
    /// again; or of one snapshot, for which there was no room.
    WriteError,
    /// A bit flips in what is at rest, in the log or in a snapshot. Whoever reads it notices: a start that
    /// finds it is refused, and after a while the data directory is moved away.
    Rot,
    /// Somebody sets a wall clock.
    SetClock,
    /// A bit flips in the memory of a replica that is not the primary, in something that no command touches.
    Flip,
    /// An operator wants another member to be the primary.
    Handover,
    /// An operator wants a node to be empty; after a while it may be used again.
    Drain,
    /// An operator adds view nodes, or removes some.
    Members,
    /// An operator stops the leader of the view service politely: it hands over first.
    HandOverViews,
    /// An operator starts a machine that is new in the cluster.
    AddNode,
    /// An operator has a node emptied, stops it, and has it forgotten. After a while it is there again,
    /// perhaps as another machine.
    RemoveNode,
    /// An operator stops a process politely: it makes way, says goodbye, and is started again after a while.
    /// It may be killed before it has come so far.
    Stop,
    /// A node executes something long: it says so, and does everything else meanwhile.
    LongCommand,
    /// Links carry no more than a healthy one must: values of some megabytes take longer than a node may be
    /// silent.
    LargeValues,
    /// A node executes something long that does not pause: it pings and says so, and does nothing else.
    LongTurn,
    /// So many view nodes die that all others are needed, and those are far from each other: every message
    /// takes most of a second. Not drawn like the others, but alone, in runs of its own.
    FarApart,
    /// A wall clock is wrong, by up to hours, for some seconds. Perhaps its process has just been started.
    WrongClock,
    /// Somebody starts a second process under the id of a node that runs.
    SecondProcess,
    /// A process dies, and is started again elsewhere: what is sent to where it was gets nowhere.
    Moved,
    /// A disk is full for a while. Nobody looks after the process.
    FullDisk,
    /// A client asks for something that whoever executes it does not survive, or stands still for: a read
    /// that takes more memory than there is.
    CostlyRead,
    /// The leader of the view service dies right after its election. Not drawn like the others, but at
    /// elections.
    Regicide,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|fault| format!("{fault:?}").eq_ignore_ascii_case(name));
        named.ok_or_else(|| format!("there is no fault {name}; there are: {:?}", Self::ALL))
    }
}

impl Fault {
    /// Those that were thought of later, and are drawn last, so that older seeds are what they were.
    pub(crate) const LATER: [Self; 4] = [Self::AddNode, Self::RemoveNode, Self::SlowPath, Self::Stop];

    /// And those that came after them.
    pub(crate) const LAST: [Self; 7] = [
        Self::WrongClock,
        Self::SecondProcess,
        Self::Moved,
        Self::FullDisk,
        Self::LongTurn,
        Self::LongCommand,
        Self::LargeValues,
    ];

    /// And those that came after these.
    pub(crate) const NEWEST: [Self; 1] = [Self::CostlyRead];

    /// Whether it does not come with the others: it is drawn later, or has a cause of its own.
    pub(crate) fn is_drawn_apart(self) -> bool {
        let apart = matches!(self, Self::Regicide | Self::FarApart);
        let later = [Self::LATER.as_slice(), &Self::LAST, &Self::NEWEST];
        apart || later.iter().any(|faults| faults.contains(&self))
    }

    /// All of them.
    pub const ALL: [Self; 36] = [
        Self::Crash,
        Self::CrashSeveral,
        Self::Pause,
        Self::DataStall,
        Self::Partition,
        Self::Deaf,
        Self::Broken,
        Self::Storm,
        Self::SlowDisk,
        Self::DiskStall,
        Self::SlowNode,
        Self::SlowPath,
        Self::ViewOutage,
        Self::LoseData,
        Self::LoseDisk,
        Self::WriteError,
        Self::Rot,
        Self::SetClock,
        Self::Flip,
        Self::Handover,
        Self::Drain,
        Self::Members,
        Self::HandOverViews,
        Self::AddNode,
        Self::RemoveNode,
        Self::Stop,
        Self::LongCommand,
        Self::LargeValues,
        Self::LongTurn,
        Self::FarApart,
        Self::WrongClock,
        Self::SecondProcess,
        Self::Moved,
        Self::FullDisk,
        Self::CostlyRead,
        Self::Regicide,
    ];
}
