//! Nodes that answer, but hold up writes.

use super::*;

#[test]
fn a_slow_backup_is_dropped_even_if_it_is_the_last() {
    for nodes in [[N1, N2, N3].as_slice(), &[N1, N2]] {
        let mut scene = Scene::new(u32::try_from(nodes.len()).unwrap(), nodes, nodes);
        scene.suspect_slow(N1, N2, TIMEOUT - 1);
        assert_eq!(scene.decide(), []);
        scene.suspect_slow(N1, N2, TIMEOUT);
        assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Slow)]);
    }
}

#[test]
fn another_one_takes_its_place() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.suspect_slow(N1, N2, TIMEOUT);
    let drop = scene.decide();
    scene.execute(drop[0].clone());
    assert_eq!(scene.decide(), [add_learner(2, N3)]);
}

#[test]
fn a_slow_learner_stays_unless_there_is_another() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.apply(&add_learner(1, N2));
    scene.suspect_slow(N1, N2, 10 * TIMEOUT);
    assert_eq!(scene.decide(), []);
    scene.apply(&register(N3));
    scene.ping(N3);
    assert_eq!(scene.decide(), [remove_learner(2, N2, Reason::Slow)]);
}

#[test]
fn it_is_said_what_it_was_dropped_for() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.suspect_slow(N1, N2, TIMEOUT + 20);
    let decided = scene.decide();
    scene.execute(decided[0].clone());
    let words = "g1 drops n2, reported as slow by the primary: v2 primary n1 (decided by n1: n2 pinged 0 ms ago, \
                 n1 reports that n2 has not acknowledged for 520 ms)";
    assert_eq!(scene.table.events().back().unwrap().to_string(), words);
}
