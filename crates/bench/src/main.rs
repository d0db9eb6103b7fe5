//! Measures Onecopy, and servers that it is compared with. `docs/benchmarks.md` says what each measurement
//! means, and what came of it.
//!
//! | command | what it measures | on |
//! | --- | --- | --- |
//! | `load` | throughput and latency | any Redis-compatible server that runs |
//! | `throughput` | throughput and its cost, beside Redis, in turn | clusters of its own, and redis-server |
//! | `curves` | throughput, p99, cost over keys, values, clients, copies, groups, beside Redis | the same |
//! | `cost` | what a command costs each thread in system calls, switches, entries, beside Redis | the same |
//! | `failover` | the time without a successful write when something fails | the same |
//! | `counting` | whether a million increments count once, while nodes are killed | the same |
//! | `reads` | what a second member adds, and the latency at a backup | the same |
//! | `outage` | whether clients notice that the view service is gone | the same |
//! | `groups` | what several groups give, and what idle ones cost | the same |
//! | `learner` | what clients and members notice of a copy that is being made | the same |
//! | `hostile` | what hostile input costs everybody else | the same |
//! | `busy` | what others notice of a command that takes long, beside Redis | the same, and redis-server |
//! | `beside` | what sets that are there cost what is done beside them | the same, and redis-server |
//! | `publish` | what many subscribers hear, and how soon, beside Redis | the same, and redis-server |
//! | `replay` | how long a node takes to start after a time of load, beside Redis | the same |
//! | `far` | the view service with a dead node and one behind a slow link | clusters of its own |
//! | `memory` | the memory of a node with data, beside Redis | the same |
//! | `stalls` | how long others wait for what is large, beside Redis | the same |
//! | `exactly-once` | what it costs to remember answers | the state machine alone |
//!
//! Clusters are those of `crates/harness`: real processes on this machine, with the program that lies beside
//! this one.

mod beside;
mod busy;
mod counting;
mod curves;
mod databases;
mod exactly_once;
mod failover;
mod far;
mod filling;
mod groups;
mod hostile;
mod learner;
mod load;
mod median;
mod memory;
mod open_files;
mod outage;
mod process;
mod publish;
mod reads;
mod replay;
mod reply;
mod stalls;
mod steady;
mod system;
mod throughput;
mod tokens;

use clap::Parser;

/// Measures Onecopy.
#[derive(Debug, Parser)]
#[command(name = "onecopy-bench", version)]
enum Command {
    Load(load::Arguments),
    Throughput(throughput::Arguments),
    Cost(throughput::cost::Arguments),
    Failover(failover::Arguments),
    Groups(groups::Arguments),
    Counting(counting::Arguments),
    Reads(reads::Arguments),
    Outage(outage::Arguments),
    Learner(learner::Arguments),
    Memory(memory::Arguments),
    ExactlyOnce(exactly_once::Arguments),
    Hostile(hostile::Arguments),
    Stalls(stalls::Arguments),
    Busy(busy::Arguments),
    Beside(beside::Arguments),
    Publish(publish::Arguments),
    Replay(replay::Arguments),
    Far(far::Arguments),
    Curves(curves::Arguments),
    Tokens(tokens::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Load(arguments) => load::run(&arguments),
        Command::Throughput(arguments) => throughput::run(&arguments),
        Command::Cost(arguments) => throughput::cost::run(&arguments),
        Command::Failover(arguments) => failover::run(&arguments),
        Command::Groups(arguments) => groups::run(&arguments),
        Command::Counting(arguments) => counting::run(&arguments),
        Command::Reads(arguments) => reads::run(&arguments),
        Command::Outage(arguments) => outage::run(&arguments),
        Command::Learner(arguments) => learner::run(&arguments),
        Command::Memory(arguments) => memory::run(&arguments),
        Command::ExactlyOnce(arguments) => exactly_once::run(&arguments),
        Command::Hostile(arguments) => hostile::run(&arguments),
        Command::Stalls(arguments) => stalls::run(&arguments),
        Command::Busy(arguments) => busy::run(&arguments),
        Command::Beside(arguments) => beside::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Far(arguments) => far::run(&arguments),
        Command::Curves(arguments) => curves::run(&arguments),
        Command::Tokens(arguments) => tokens::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Command::command().debug_assert();
    }
}
