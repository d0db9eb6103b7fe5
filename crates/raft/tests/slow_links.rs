//! Links whose round trip takes longer than the election timeout: there is a leader all the same, and it
//! stays.

mod cluster;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use cluster::{Cluster, Envelope, Setup, member};
use onecopy_core::{Instant, Member, Timestamp};
use onecopy_raft::{Input, Role};

const N1: Member = member(1, 1);
const N2: Member = member(2, 1);
const N3: Member = member(3, 1);

/// A cluster, and messages that take their time.
struct SlowCluster {
    cluster: Cluster,
    one_way: Duration,
    /// In the order in which they arrive: all links are equally slow.
    underway: VecDeque<(Instant, Envelope)>,
}

impl SlowCluster {
    fn new(seed: u64, one_way: Duration) -> Self {
        let cluster = Cluster::new(Setup { seed, ..Setup::default() });
        Self { cluster, one_way, underway: VecDeque::new() }
    }

    /// Lives for a while, one millisecond after the other. Disks are fast.
    fn run(&mut self, duration: Duration) {
        let end = self.cluster.now + duration;
        while self.cluster.now < end {
            self.cluster.advance(Duration::from_millis(1));
            while let Some((_, envelope)) = self.underway.pop_front_if(|(at, _)| *at <= self.cluster.now) {
                self.cluster.deliver(envelope);
            }
            for id in self.cluster.ids() {
                while self.cluster.persist(id) || self.cluster.work(id) {}
            }
            let arrives = self.cluster.now + self.one_way;
            self.underway.extend(self.cluster.wire.drain(..).map(|envelope| (arrives, envelope)));
        }
    }

    fn leader(&self) -> Option<Member> {
        let leads = self.cluster.running().filter(|(_, process)| process.protocol.role() == Role::Leader);
        leads.max_by_key(|(_, process)| process.protocol.term()).map(|(id, _)| id)
    }

    /// A leader that has committed an entry of its own, with its term.
    fn working_leader(&self) -> Option<(Member, u64)> {
        let leader = self.leader()?;
        let raft = self.cluster.raft(leader)?;
        let works = raft.commit() == raft.log().last().index && raft.commit().0 > 0;
        works.then_some((leader, raft.term().0))
    }

    fn assert_led(&mut self, seed: u64, within: Duration) {
        let one_way = self.one_way;
        self.run(within);
        let led = self.working_leader();
        assert!(led.is_some(), "seed {seed}, {one_way:?} one way: nobody leads after {within:?}");
        self.run(Duration::from_secs(20));
        assert_eq!(self.working_leader(), led, "seed {seed}, {one_way:?} one way: the leader did not stay");
        let (leader, _) = led.expect("there is a leader");
        let before = self.cluster.raft(leader).expect("it runs").commit();
        self.cluster.step(leader, Input::Propose { payload: Bytes::new(), time: Timestamp(0), seed: 0 });
        self.run(4 * one_way + Duration::from_millis(200));
        let after = self.cluster.raft(leader).expect("it runs").commit();
        assert_eq!(after, before.next(), "seed {seed}, {one_way:?} one way: an entry is committed");
    }
}

#[test]
fn a_leader_is_elected_and_stays_however_slow_the_links_are() {
    // The election timeout is 100 ms. One of three is dead, so both others are needed.
    for one_way in [0, 20, 60, 150, 700, 1_200] {
        for seed in 0..40 {
            let mut slow = SlowCluster::new(seed, Duration::from_millis(one_way));
            slow.cluster.start(N1);
            slow.cluster.start(N2);
            slow.assert_led(seed, Duration::from_secs(15));
        }
    }
}

#[test]
fn a_leader_that_dies_is_succeeded_on_slow_links() {
    for seed in 0..40 {
        let mut slow = SlowCluster::new(seed, Duration::from_millis(700));
        [N1, N2, N3].into_iter().for_each(|id| slow.cluster.start(id));
        slow.assert_led(seed, Duration::from_secs(15));
        let leader = slow.leader().expect("there is one");
        slow.cluster.crash(leader, 0);
        slow.assert_led(seed, Duration::from_secs(15));
    }
}

#[test]
fn links_that_become_fast_again_are_waited_for_no_longer() {
    for seed in 0..20 {
        let mut slow = SlowCluster::new(seed, Duration::from_millis(700));
        [N1, N2, N3].into_iter().for_each(|id| slow.cluster.start(id));
        slow.assert_led(seed, Duration::from_secs(15));
        slow.one_way = Duration::from_millis(1);
        slow.run(Duration::from_secs(3));
        let leader = slow.leader().expect("there is one");
        slow.cluster.crash(leader, 0);
        // Two election timeouts, and some messages.
        slow.run(Duration::from_millis(450));
        assert!(slow.working_leader().is_some(), "seed {seed}: nobody leads");
    }
}
