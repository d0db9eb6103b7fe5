//! Nodes that say that they are about to stop.

use super::*;

impl Scene {
    fn leaves(&mut self, node: NodeId) {
        self.hear(node, Ping { leaving: true, ..ping(node) });
    }
}

#[test]
fn a_backup_that_leaves_is_dropped_at_once_and_replaced() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.leaves(N2);
    let command = remove_member(1, N2, Reason::Leaving);
    assert_eq!(scene.decide(), std::slice::from_ref(&command));
    assert!(command.to_string().ends_with("it is leaving"));
    scene.apply(&command);
    assert_eq!(scene.decide(), [add_learner(2, N3)]);
    scene.apply(&add_learner(2, N3));
    scene.leaves(N3);
    assert_eq!(scene.decide(), [remove_learner(3, N3, Reason::Leaving)]);
}

#[test]
fn a_node_that_leaves_is_no_spare() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.leaves(N2);
    assert_eq!(scene.decide(), []);
    scene.ping(N2);
    assert_eq!(scene.decide(), [add_learner(1, N2)]);
}

#[test]
fn nobody_is_dropped_for_leaving_if_nobody_stays() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.leaves(N1);
    scene.leaves(N2);
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_node_that_leaves_is_no_heir_if_there_is_another() {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    scene.leaves(N2);
    let handover = |scene: &mut Scene, heir| {
        scene.monitor.handover(scene.now, &scene.table, N1, (G1, ViewNumber(1)), heir).is_some()
    };
    assert!(!handover(&mut scene, N2));
    assert!(handover(&mut scene, N3));
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    scene.wait(TIMEOUT);
    scene.hear(N2, Ping { leaving: true, ..reporting(N2, report(1, ReplicaRole::Backup, 9)) });
    scene.hear(N3, reporting(N3, report(1, ReplicaRole::Backup, 5)));
    assert_eq!(scene.decide(), [promote(1, N3, &[N1], Reason::Silent)]);
}

#[test]
fn leaving_is_not_held_against_anybody() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    for round in 0..4 {
        let view = 1 + 3 * round;
        scene.leaves(N2);
        assert_eq!(scene.decide(), [remove_member(view, N2, Reason::Leaving)]);
        let proposal = scene.monitor.propose(
            scene.now,
            (N1, Timestamp(7)),
            &scene.table,
            remove_member(view, N2, Reason::Leaving),
        );
        scene.table.execute(&proposal, Rules::default()).unwrap();
        scene.ping(N2);
        assert_eq!(scene.decide(), [add_learner(view + 1, N2)], "at once, however often");
        scene.apply(&add_learner(view + 1, N2));
        scene.apply(&add_member(view + 2, N2));
    }
}
