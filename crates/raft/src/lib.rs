//! Raft, sans-IO: a log that a majority of the members holds, in one order, whatever fails.
//!
//! A group of `2f + 1` members survives the loss of any `f`. One of them leads: it alone orders entries and
//! sends them to the others, and an entry that a majority holds durably is *committed*: every later leader
//! has it, and every member applies it at the same index. Onecopy keeps its view table this way, and later
//! databases with `replication = "raft"`. The sources are the paper (Ongaro and Ousterhout, "In Search of an
//! Understandable Consensus Algorithm", extended version) and Ongaro's thesis; comments name their sections.
//!
//! # The protocol in one page
//!
//! - **Terms** count the reigns. Every message carries one; who sees a later term follows it, who is spoken
//!   to in an earlier one refuses (paper, 5.1).
//! - **Election** (5.2): a follower that hears no leader for a random time first asks whether it *could* win
//!   ([`Message::PreVote`]), and only then starts a term of its own and asks for votes. A member votes once
//!   per term, for nobody whose log is less up to date (5.4.1), and for nobody at all while it hears a
//!   leader. So a member that was cut off, or a restarted one, does not disturb a group that works.
//! - **Replication** (5.3): the leader names the entry before the new ones; a follower that lacks it answers
//!   with a hint that skips whole terms. Tails that disagree are cut. Appends are pipelined within a window,
//!   and what was lost is found out by the next heartbeat, whose answer says how far entries have arrived and
//!   how far they are durable.
//! - **Commit** (5.4.2): the leader counts durable copies, its own only when its own disk has confirmed, and
//!   only entries of its own term. Each reign therefore begins with an entry without commands.
//! - **Reads** (thesis, 6.4): ReadIndex. One round of heartbeats serves all reads that arrived while the last
//!   was on its way. A follower asks the leader how much a read must see, and answers it itself.
//! - **Check-quorum** (thesis, 6.2): a leader that hears no majority for an election timeout steps down.
//! - **Slow links**: a candidate waits for votes, and a leader for its followers, for at least two round
//!   trips as they
//!   are measured; so a leader is found where they take longer than the election timeout.
//! - **Snapshots** (7): the driver takes them when asked, the log forgets what they cover, and a follower
//!   that needs more than the log holds gets one in pieces, with flow control. The configuration goes with
//!   it.
//! - **Learners** (thesis, 4.2.1): members that get the log and count for nothing.
//! - **Changes** (6): joint consensus. The configuration is an entry; the last one in the log counts,
//!   committed or not. Between two sets of voters stands a joint one, which takes a majority of each. The
//!   leader completes the change by itself, also one that it finds in its log; one that is out steps down at
//!   the end.
//! - **Transfer** (thesis, 3.10): the leader brings a voter up to date and has it campaign at once.
//! - **Lease reads** (thesis, 6.4.1), if the configuration says so: while a majority cannot elect another
//!   leader, reads take no round.
//!
//! # Who does what
//!
//! [`Raft`] decides and the driver acts; see [`onecopy_core::Protocol`] for the contract between them. What a
//! message promises must be durable before it leaves, and [`Effect::Send`] says so as data. In short:
//!
//! | message | waits for |
//! | --- | --- |
//! | append, heartbeat, piece of a snapshot, hand-over, index | nothing: a leader's term is durable already |
//! | pre-vote, and its being granted | nothing: it promises nothing |
//! | request for a vote, vote | term and vote |
//! | acknowledgement | term, and the entries that it acknowledges |
//! | every other answer | term |
//!
//! The leader writes its entries while it sends them; its own copy counts once it is durable, like any other.
//! A disk that fails must stop the member: a driver that cannot carry out [`Effect::Persist`] never steps it
//! again.
//!
//! # Caveats
//!
//! - Raft trusts its members not to lie. Messages of strangers, and those that no correct member could have
//!   sent, are ignored where that is cheap to see. A message that proves that the group has contradicted
//!   itself (two leaders in one term, or a leader without a committed entry) stops the member with a panic
//!   that names the property: going on would show clients two histories.
//! - A member is a node in one life of its disk. One that loses its disk has forgotten votes and entries; the
//!   node comes back as another [`Member`](onecopy_core::Member), which can be made a learner and then take
//!   the place of the old one in a single change. The driver says of every message which life sent it.
//! - Strangers are listened to if they lead or ask for a vote: the configuration known here may be old.
//!   Whether a node belongs to the cluster at all is for the transport to know.
//! - A change that takes away so many voters that the others are no majority is made as it was asked for.
//! - Lease reads need clocks whose *rates* differ by no more than [`ClockDrift`] says, and steps whose time
//!   is not older than the read; a member that was restarted refuses votes for an election timeout. Nothing
//!   else rests on clocks.
//! - An entry of a leader that lost its leadership may be committed later, or never. Clients that retry need
//!   the session ids of [`onecopy_core::payload`] to count once.
//! - Followers learn the commit index from the next append or heartbeat; an idle group applies up to a
//!   heartbeat later there.
//! - The leader takes proposals without limit while no majority answers. Who proposes must bound what is
//!   unanswered.
//!
//! # Where to find what
//!
//! | file | what |
//! | --- | --- |
//! | `node` | a member as a whole, the dispatch of inputs and messages |
//! | `core` | what outlives the roles, and the step |
//! | `role` | the roles, each with what it owns |
//! | `invariants` | what holds between any two steps |
//! | `election` | terms, votes, and how one role follows another |
//! | `patience` | how long a candidate and a leader wait, on slow links too |
//! | `leader`, `replication`, `progress` | the leader: check-quorum, its side of the log, flow control |
//! | `follower`, `append` | the follower, and its side of the log |
//! | `read`, `lease`, `asking` | linearizable reads, with a round and without; at followers |
//! | `configuration`, `content` | who belongs to a group; what an entry carries |
//! | `membership`, `change` | the configurations in the log; how they change |
//! | `transfer` | handing over the leadership |
//! | `snapshot`, `sending`, `receiving` | taking snapshots and compacting, sending and installing them |
//! | `disk`, `durable` | what is durable, and who waits for it; what is found after a restart |
//! | `quorum` | counting |
//! | `message`, `effect`, `config`, `status` | what goes in and out |

mod append;
mod asking;
mod change;
mod config;
mod configuration;
mod content;
mod core;
mod disk;
mod durable;
mod effect;
mod election;
mod follower;
mod invariants;
mod leader;
mod lease;
mod membership;
mod message;
mod node;
mod patience;
mod progress;
mod quorum;
mod read;
mod receiving;
mod replication;
mod role;
mod sending;
mod snapshot;
mod status;
mod transfer;

#[cfg(test)]
mod tests;

pub use change::ChangeRefusal;
pub use config::{Base, ClockDrift, Config};
pub use configuration::{Change, Configuration, ImpossibleChange, MalformedConfiguration};
pub use durable::{CorruptState, promise_of};
pub use effect::{Effect, Input};
pub use message::{Beat, Message};
pub use node::Raft;
pub use role::Role;
pub use status::{FollowerStatus, Phase};
pub use transfer::TransferRefusal;
