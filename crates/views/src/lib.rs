//! The view service's knowledge and judgement, sans-IO. It knows no Raft: whoever drives it replicates the
//! commands, in whatever way gives all view nodes the same commands in the same order.
//!
//! # Two halves
//!
//! [`Table`] is replicated: a deterministic state machine that holds the registered nodes and the current
//! view of every group. Its [commands](Command) are typed and compare-and-set on the view number: the first
//! valid one wins, a late one is refused. Whatever is proposed, by whomever, the table only ever holds views
//! that the protocol allows (rule P4: heirs only).
//!
//! [`Monitor`] is not replicated: every view node keeps one, from the pings and suspicions that every node
//! sends to every view node, so that a new leader has evidence at once and needs no second timeout. Only the
//! leader's monitor [decides](Monitor::decide), and only by proposing commands.
//!
//! Before either, [`Genesis`] has the view nodes of a new cluster agree on who they are, so that a view node
//! that lost its disk is never taken for the one that voted.
//!
//! # What evidence counts
//!
//! | evidence | against | consequence |
//! | --- | --- | --- |
//! | no ping for `failure_timeout` | anyone | removed; a primary is succeeded |
//! | pings under another incarnation (P9) | a member | removed: its data is gone |
//! | pings from a start, or in a life, that is over (P9) | anyone | as if silent: its disk is an old image |
//! | pings from another start, while this one is heard | nobody | not heard, and told so |
//! | pings with another boot number (P11), or it cannot lead | the primary | a new view, perhaps with it |
//! | a disk write unfinished for `failure_timeout` | anyone | as if silent: a gray failure is a failure |
//! | a refused connection, and no ping for `refused_timeout` | anyone | as if silent: nobody listens there |
//! | its wall clock shows something else than most | anyone | noted, so that it is not believed |
//! | all nodes have known a higher level for a while (E4) | nobody | it is in force |
//! | says that it is about to stop | a backup, a learner | removed, if another member stays |
//! | the primary reports silence | a backup, a learner | removed |
//! | the primary reports that it does not acknowledge | a backup | removed |
//! | the same | a learner | removed if there is another spare; it holds up nobody |
//! | a digest that differs from the primary's (P10) | a backup, a learner | removed, built anew, recruited |
//! | a backup reports silence for twice `failure_timeout` | a primary that does not report it | succeeded |

mod change;
mod clocks;
mod command;
mod copies;
mod database;
mod decide;
mod dropped;
mod endpoint;
mod events;
mod evidence;
mod flapping;
mod genesis;
mod levels;
mod lives;
mod monitor;
mod new_database;
mod options;
mod ping;
mod placement;
mod roster;
mod settings;
mod switch;
mod table;
mod users;
mod view_nodes;

pub use clocks::{ClockError, ClockReading};
pub use command::{Command, Reason, Rejection};
pub use database::{Database, Kind, MAIN, MAIN_NAME, NUMBER_MAX, NUMBERS_MAX, NoDatabase, NoKind};
pub use endpoint::{Addresses, Endpoint, NoEndpoint};
pub use events::{Event, Evidence, Proposal};
pub use genesis::{Founding, Genesis, Hello, Membership, Standing as GenesisStanding};
pub use lives::{Refusal, Start};
pub use monitor::{Monitor, MonitorConfig};
pub use new_database::{NewDatabase, NoNewDatabase};
pub use options::{OptionChanges, Options};
pub use ping::{GroupReport, Moment, Ping, ReplicaRole};
pub use roster::Roster;
pub use settings::Settings;
pub use switch::{Switch, Switched};
pub use table::{CorruptTable, Group, Registration, Table};
pub use users::{USER_NAME_BYTES_MAX, USER_RULES_BYTES_MAX, USERS_BYTES_MAX, UserChanges, Users};

#[cfg(test)]
mod tests;
