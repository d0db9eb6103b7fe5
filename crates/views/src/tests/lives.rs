//! Old images of disks, and what operators may go on with when nothing better is left.

use super::*;

fn start(node: NodeId, incarnation: u128, boot: u64, run: u64) -> Command {
    let boot = BootNumber(boot);
    let registration =
        Registration { incarnation: Incarnation(incarnation), boot, run, ..registration(node) };
    Command::RegisterNode { node, registration }
}

fn is_taken(table: &mut Table, command: &Command) -> bool {
    table.apply(command, Rules::default()).is_ok()
}

#[test]
fn a_start_that_is_over_is_not_registered() {
    let mut table = table(&[start(N1, 1, 5, 50)]);
    assert!(!is_taken(&mut table, &start(N1, 1, 4, 40)), "an older start");
    assert!(!is_taken(&mut table, &start(N1, 1, 5, 51)), "another process from the same image");
    assert!(is_taken(&mut table, &start(N1, 1, 6, 60)));
    assert!(is_taken(&mut table, &start(N2, 2, 1, 10)), "another node");
}

#[test]
fn a_life_that_was_followed_by_another_has_ended_for_ever() {
    let mut table = table(&[start(N1, 1, 5, 50), start(N1, 9, 1, 10)]);
    assert!(!is_taken(&mut table, &start(N1, 1, 6, 60)));
    assert!(!is_taken(&mut table, &start(N3, 1, 6, 60)), "under whatever name");
    assert!(is_taken(&mut table, &start(N1, 10, 1, 10)));
    assert!(!is_taken(&mut table, &start(N1, 9, 2, 20)));
}

#[test]
fn another_life_has_to_know_the_one_that_it_follows() {
    let mut table = Table::default();
    assert!(is_taken(&mut table, &start(N1, 1, 1, 1)));
    let says = |table| Ping { incarnation: Incarnation(2), table, ..ping(N1) };
    assert!(table.may_be_delayed(N1, &says(0)), "it may have lived before the registered one");
    assert!(!table.may_be_delayed(N1, &says(1)));
    assert!(!table.may_be_delayed(N1, &Ping { incarnation: Incarnation(1), ..ping(N1) }));
    assert!(!table.may_be_delayed(N2, &says(0)), "nobody was there before");
    let addresses = Addresses { peer: "another:1".to_owned(), ..Addresses::default() };
    assert!(table.may_be_delayed(N1, &Ping { addresses, ..says(0) }), "wherever it is");
    // Later starts in the same life change nothing about that.
    assert!(is_taken(&mut table, &start(N1, 1, 2, 2)));
    assert!(!table.may_be_delayed(N1, &says(1)));
}

#[test]
fn what_is_over_is_not_proposed_again() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    // A later start of n2 is registered, by a leader that had heard of it; this one has not yet.
    scene.apply(&start(N2, 2, 2, 20));
    assert_eq!(scene.decide(), []);
}

#[test]
fn what_was_heard_of_the_life_before_the_registered_one_counts_for_nothing() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    // n3 has another disk now. It led the view service for a moment, and registered itself; this view node
    // has heard the life before a moment ago, and nothing of this one.
    scene.apply(&start(N3, 30, 1, 1));
    assert_eq!(scene.decide(), []);
    let later = Ping { incarnation: Incarnation(30), boot: BootNumber(1), run: 1, ..ping(N3) };
    assert_eq!(scene.monitor.refuses_newcomer(scene.now, &scene.table, N3, &later), None);
    let third = Ping { incarnation: Incarnation(31), ..later };
    assert!(scene.monitor.refuses_newcomer(scene.now, &scene.table, N3, &third).is_some());
}

fn recover(expected: u64, node: NodeId) -> Command {
    let (group, boot) = (G1, BootNumber(1));
    Command::Recover { group, expected: ViewNumber(expected), sole: member(node), boot }
}

fn may_recover(scene: &Scene, node: NodeId) -> Result<(), String> {
    scene.monitor.may_recover(scene.now, &scene.table, &recover(1, node))
}

#[test]
fn a_group_goes_on_only_with_somebody_who_has_something_and_if_nobody_has_more() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3, N4]);
    let holds = |node, durable| reporting(node, report(1, ReplicaRole::Outside, durable));
    scene.hear(N3, holds(N3, 7));
    let refusal = may_recover(&scene, N3).unwrap_err();
    assert!(refusal.contains("node 1 is alive"), "{refusal}");
    scene.wait(TIMEOUT);
    let refusal = may_recover(&scene, N3).unwrap_err();
    assert!(refusal.contains("node 3 is not heard"), "{refusal}");
    scene.hear(N3, holds(N3, 7));
    scene.hear(N4, holds(N4, 0));
    // Both members have returned without their data.
    scene.hear(N1, Ping { incarnation: Incarnation(99), ..ping(N1) });
    let refusal = may_recover(&scene, N4).unwrap_err();
    assert!(refusal.contains("node 4 has nothing"), "{refusal}");
    assert_eq!(may_recover(&scene, N3), Ok(()));
    scene.hear(N3, Ping { boot: BootNumber(2), ..holds(N3, 7) });
    let refusal = may_recover(&scene, N3).unwrap_err();
    assert!(refusal.contains("started again just now"), "{refusal}");
}

#[test]
fn a_second_process_is_not_heard_while_the_first_one_is() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    let first = Ping { boot: BootNumber(1), run: 1, ..ping(N2) };
    let empty = Ping { incarnation: Incarnation(99), run: 2, table: u64::MAX, ..ping(N2) };
    let copy = Ping { boot: BootNumber(2), run: 3, ..ping(N2) };
    let refuses = |scene: &Scene, ping: &Ping| {
        scene.monitor.refuses_newcomer(scene.now, &scene.table, N2, ping).is_some()
    };
    assert!(refuses(&scene, &empty) && refuses(&scene, &copy) && !refuses(&scene, &first));
    let told = scene.monitor.refuses_newcomer(scene.now, &scene.table, N2, &empty).map(|refusal| refusal.run);
    assert_eq!(told, Some(2), "it is told");
    // A later start of the same life is waited for by others; another life is in no hurry.
    scene.hear(N2, first.clone());
    scene.wait(TIMEOUT - 1);
    assert!(refuses(&scene, &copy));
    scene.wait(1);
    assert!(!refuses(&scene, &copy) && refuses(&scene, &empty));
    scene.wait(3_000 - TIMEOUT);
    assert!(!refuses(&scene, &empty));
    // Whoever comes first then is the one.
    scene.hear(N2, empty.clone());
    assert!(refuses(&scene, &first) && !refuses(&scene, &empty));
    // Nobody is there before.
    assert!(scene.monitor.refuses_newcomer(scene.now, &scene.table, N3, &ping(N3)).is_none());
}

#[test]
fn a_view_node_that_was_just_started_does_not_know_who_is_alive() {
    let mut scene = Scene::empty(2);
    scene.apply(&start(N2, 2, 5, 50));
    let restarted = Ping { boot: BootNumber(6), run: 60, ..ping(N2) };
    let refuses =
        |scene: &Scene| scene.monitor.refuses_newcomer(scene.now, &scene.table, N2, &restarted).is_some();
    assert!(refuses(&scene));
    // A process that lives would have pinged several times: the next one is heard before the node is judged.
    scene.wait(TIMEOUT / 2 - 1);
    assert!(refuses(&scene));
    scene.wait(1);
    assert!(!refuses(&scene) && !scene.monitor.is_silent(scene.now, N2));
}

/// A backup that was started again within the failure timeout was dropped when that was over, while it waited
/// to be heard.
#[test]
fn a_node_is_not_silent_while_a_later_process_of_it_waits_to_be_heard() {
    for (waits, expected) in [(4, Some(Reason::Silent)), (6, None)] {
        let mut scene = Scene::empty(2);
        let process = |boot| Ping { boot: BootNumber(boot), run: boot, ..ping(N2) };
        scene.hear(N2, process(5));
        scene.wait(TIMEOUT - 1);
        scene.monitor.knocked(scene.now, N2, &process(waits));
        scene.wait(1);
        let ailment = |scene: &Scene| scene.monitor.ailment(scene.now, N2, ping(N2).incarnation);
        assert!(scene.monitor.is_silent(scene.now, N2));
        assert_eq!(ailment(&scene), expected);
        scene.wait(TIMEOUT);
        assert_eq!(ailment(&scene), Some(Reason::Silent), "it has gone, too");
    }
}

#[test]
fn a_process_that_is_gone_is_followed_once_somebody_has_tried_it() {
    let mut scene = Scene::empty(2);
    scene.apply(&start(N2, 2, 5, 50));
    scene.hear(N2, Ping { boot: BootNumber(5), run: 50, ..ping(N2) });
    let restarted = Ping { boot: BootNumber(6), run: 60, ..ping(N2) };
    let refuses =
        |scene: &Scene| scene.monitor.refuses_newcomer(scene.now, &scene.table, N2, &restarted).is_some();
    scene.wait(REFUSED);
    assert!(refuses(&scene));
    scene.monitor.refused(scene.now, N2);
    assert!(!refuses(&scene));
}
