//! What is heard, and how long it counts.

use super::*;

fn boot(node: NodeId, boot: u64) -> Ping {
    Ping { boot: BootNumber(boot), ..ping(node) }
}

#[test]
fn a_delayed_ping_of_an_older_boot_is_ignored() {
    let mut scene = Scene::empty(2);
    scene.hear(N1, boot(N1, 2));
    scene.wait(10);
    scene.hear(N1, boot(N1, 1));
    let (since, last) = scene.monitor.last_ping(scene.now, N1).unwrap();
    assert_eq!((since, last.boot), (ms(10), BootNumber(2)));
    // Another life counts its boots anew.
    scene.hear(N1, Ping { incarnation: Incarnation(99), ..boot(N1, 1) });
    let (since, last) = scene.monitor.last_ping(scene.now, N1).unwrap();
    assert_eq!((since, last.incarnation), (ms(0), Incarnation(99)));
}

#[test]
fn what_a_delayed_ping_of_the_same_boot_says_is_over() {
    let mut scene = Scene::empty(2);
    let numbered = |number| Ping { number, ..ping(N1) };
    scene.hear(N1, numbered(7));
    scene.wait(10);
    scene.hear(N1, numbered(6));
    let (since, last) = scene.monitor.last_ping(scene.now, N1).unwrap();
    assert_eq!((since, last.number), (ms(10), 7));
}

#[test]
fn silence_begins_with_the_last_ping_or_with_the_monitor() {
    let mut scene = Scene::empty(2);
    scene.wait(100);
    scene.ping(N1);
    scene.wait(30);
    assert_eq!(scene.monitor.silence(scene.now, N1), ms(30));
    assert_eq!(scene.monitor.silence(scene.now, N2), ms(130));
    assert_eq!(scene.monitor.last_ping(scene.now, N2), None);
}

#[test]
fn a_view_node_that_slept_accuses_nobody() {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2]);
    scene.suspect(N1, N2, 10 * TIMEOUT);
    scene.wait(100 * TIMEOUT);
    scene.monitor.slept(scene.now);
    assert_eq!(scene.decide(), []);
    scene.wait(TIMEOUT - 1);
    assert_eq!(scene.decide(), []);
    // From there on silence counts again.
    scene.ping(N1);
    scene.ping(N2);
    scene.wait(1);
    assert_eq!(scene.decide(), [remove_member(1, N3, Reason::Silent)]);
}

#[test]
fn what_was_said_to_a_view_node_while_it_slept_is_over() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.wait(TIMEOUT);
    scene.monitor.slept(scene.now);
    // It had lain there: whoever said so may be gone, and whoever it was said of have come round.
    [N1, N2].into_iter().for_each(|node| scene.ping(node));
    scene.suspect(N2, N1, 3 * TIMEOUT);
    scene.suspect(N1, N2, 3 * TIMEOUT);
    assert_eq!(scene.decide(), []);
    scene.wait(TIMEOUT / 4);
    [N1, N2].into_iter().for_each(|node| scene.ping(node));
    assert_eq!(scene.decide(), []);
    scene.suspect(N1, N2, 3 * TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)], "it goes on");
}

#[test]
fn what_a_delayed_suspicion_says_is_over() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    let number = view(&scene.table).number;
    let grounds = Grounds::Silent(ms(TIMEOUT));
    scene.hear(N1, Ping { number: 7, ..ping(N1) });
    let moment = |pings| Moment { boot: BootNumber(1), pings };
    scene.monitor.suspected(scene.now, (N1, moment(6)), (G1, number), N2, grounds);
    assert_eq!(scene.decide(), [], "it has pinged since then");
    scene.monitor.suspected(scene.now, (N1, moment(7)), (G1, number), N2, grounds);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)]);
}

#[test]
fn a_later_suspicion_takes_the_place_of_the_one_before() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.suspect(N1, N2, TIMEOUT);
    scene.suspect(N1, N2, 0);
    assert_eq!(scene.decide(), []);
}
