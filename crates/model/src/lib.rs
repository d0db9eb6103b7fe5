//! The protocol cores under a model checker: small settings, and in them every interleaving.
//!
//! The simulator runs whole clusters through long random histories. This crate does the opposite: three
//! nodes, one or two writes, a crash, a change of views or an election, and *every* history that these allow.
//! What runs is the code of production, [`onecopy_replica::Replica`], [`onecopy_views::Table`] and
//! [`onecopy_raft::Raft`]; only what is around them is modelled, as values that can be cloned and hashed:
//!
//! | around a core | here |
//! | --- | --- |
//! | the network | a bag of messages; any may be next, or never come ([`network`]) |
//! | a disk | what is durable, and a queue of tickets that finish one by one (`disk`) |
//! | a process | starts again with what its disk kept |
//! | the view service | the real table, and an adversary that makes any change that it allows |
//! | clients | write and read at whoever would take it |
//!
//! `stateright` walks through the states, breadth first: the first way to a violation that it finds is a
//! shortest one. Which reductions keep the number of states down, and why they hide nothing, is said in
//! [`replica`] and [`raft`].
//!
//! A check that cannot fail proves nothing. With the feature `sabotage` any one rule of the protocols can be
//! switched off, and the checker must find what it was there for; and in every run some things must have
//! happened at least once.

mod disk;
mod guard;
pub mod network;
pub mod raft;
pub mod replica;
pub mod report;
pub mod settings;
pub mod shared;
pub mod verdict;
