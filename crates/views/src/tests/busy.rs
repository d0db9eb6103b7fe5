//! Nodes that execute something long: they are not heard of, and are not dead.

use super::*;

impl Scene {
    fn busy(&mut self, node: NodeId, report: GroupReport, milliseconds: u64) {
        self.hear(node, Ping { busy_for: Some(ms(milliseconds)), ..reporting(node, report) });
    }
}

#[test]
fn who_says_that_it_executes_something_is_not_taken_for_silent() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.busy(N1, report(1, ReplicaRole::Primary, 9), 300);
    scene.suspect(N2, N1, 10 * TIMEOUT);
    assert_eq!(scene.decide(), [], "a primary");
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.busy(N2, report(1, ReplicaRole::Backup, 9), 300);
    scene.suspect(N1, N2, 10 * TIMEOUT);
    scene.suspect_slow(N1, N2, 10 * TIMEOUT);
    assert_eq!(scene.decide(), [], "a backup");
}

#[test]
fn what_was_said_of_it_meanwhile_is_over_for_a_while_and_not_for_good() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.busy(N2, report(1, ReplicaRole::Backup, 9), 900);
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Backup, 9)));
    scene.suspect(N1, N2, 2 * TIMEOUT);
    assert_eq!(scene.decide(), [], "it has just come round");
    scene.wait(TIMEOUT);
    [N1, N2, N3].into_iter().for_each(|node| scene.ping(node));
    scene.suspect(N1, N2, 2 * TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)]);
}

#[test]
fn whoever_is_busy_for_minutes_never_comes_round() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.busy(N2, report(1, ReplicaRole::Backup, 9), 60_000);
    scene.suspect(N1, N2, 2 * TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)]);
}

#[test]
fn a_busy_node_that_does_not_ping_is_silent() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.busy(N2, report(1, ReplicaRole::Backup, 9), 300);
    scene.wait(TIMEOUT);
    [N1, N3].into_iter().for_each(|node| scene.ping(node));
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Silent)]);
}
