//! Copies are replaced, groups created, learners made members, nodes registered.

use super::*;

fn create_in(group: GroupId, copies: u32, nodes: &[NodeId]) -> Option<Command> {
    Some(create(group, copies, nodes))
}

#[test]
fn a_spare_is_recruited_when_a_copy_is_missing() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    assert_eq!(scene.decide(), [add_learner(1, N2)]);
    let mut enough = Scene::new(1, &[N1], &[N1, N2]);
    assert_eq!(enough.decide(), []);
}

#[test]
fn spares_are_recruited_one_at_a_time() {
    let mut scene = Scene::new(3, &[N1], &[N1, N2, N3]);
    assert_eq!(scene.decide(), [add_learner(1, N2)]);
    scene.apply(&add_learner(1, N2));
    assert_eq!(scene.decide(), []);
    scene.apply(&add_member(2, N2));
    assert_eq!(scene.decide(), [add_learner(3, N3)]);
}

#[test]
fn the_spare_with_the_fewest_groups_comes_first() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2, N3, N4]);
    scene.apply(&create(G2, 1, &[N2]));
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
    // Of those with equally many, the one that leads fewer.
    let mut scene = Scene::new(2, &[N1], &[N1, N2, N3]);
    scene.apply(&create(G2, 2, &[N2, N3]));
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
}

#[test]
fn a_spare_that_is_no_good_is_passed_over() {
    let spares = || Scene::new(2, &[N1], &[N1, N2, N3]);
    // Dead.
    let mut scene = spares();
    scene.wait(TIMEOUT);
    scene.ping(N1);
    scene.ping(N3);
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
    // Stalled.
    let mut scene = spares();
    let stalled = GroupReport { oldest_write: Some(ms(TIMEOUT)), ..report(0, ReplicaRole::Outside, 0) };
    scene.hear(N2, reporting(N2, stalled));
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
    // Accused by the primary, in whatever view, not long ago.
    let mut scene = spares();
    scene.suspect_in(ViewNumber(0), N1, N2, TIMEOUT);
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
    // Another life than the registered one.
    let mut scene = spares();
    scene.hear(N2, Ping { incarnation: Incarnation(99), ..ping(N2) });
    assert_eq!(scene.decide().last(), Some(&add_learner(1, N3)));
    // Holds no data.
    let mut scene = spares();
    let registration = Registration { holds_data: false, ..registration(N2) };
    scene.apply(&Command::RegisterNode { node: N2, registration });
    scene.hear(N2, Ping { holds_data: false, ..ping(N2) });
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
}

#[test]
fn an_accusation_is_forgiven_in_time() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.suspect_in(ViewNumber(0), N1, N2, TIMEOUT);
    scene.wait(4 * TIMEOUT - 1);
    scene.ping(N1);
    scene.ping(N2);
    assert_eq!(scene.decide(), []);
    scene.wait(1);
    assert_eq!(scene.decide(), [add_learner(1, N2)]);
}

#[test]
fn a_node_that_lost_its_data_is_recruited_in_its_new_life() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    let registration = Registration { incarnation: Incarnation(99), ..registration(N2) };
    scene.hear(N2, Ping { incarnation: Incarnation(99), ..ping(N2) });
    scene.apply(&Command::RegisterNode { node: N2, registration });
    let removal = remove_member(1, N2, Reason::LostItsData);
    assert_eq!(scene.decide(), std::slice::from_ref(&removal));
    scene.apply(&removal);
    let learner = Member { node: N2, incarnation: Incarnation(99) };
    let expected = [Command::AddLearner { group: G1, expected: ViewNumber(2), learner }];
    assert_eq!(scene.decide(), expected);
}

#[test]
fn a_learner_that_the_primary_certifies_becomes_a_member() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.apply(&add_learner(1, N2));
    let Scene { table, monitor, now } = &mut scene;
    let mut certified =
        |from, group, view| monitor.certified(*now, table, from, group, ViewNumber(view), member(N2));
    // Not for a view that has passed, nor one that has not come; not by anybody else, nor for another group.
    assert_eq!(certified(N1, G1, 1), None);
    assert_eq!(certified(N1, G1, 3), None);
    assert_eq!(certified(N2, G1, 2), None);
    assert_eq!(certified(N3, G1, 2), None);
    assert_eq!(certified(N1, G2, 2), None);
    assert_eq!(certified(N1, G1, 2), Some(add_member(2, N2)));
    // The primary asks again and again; the proposal is on its way.
    assert_eq!(certified(N1, G1, 2), None);
    scene.wait(200);
    let again = scene.monitor.certified(scene.now, &scene.table, N1, G1, ViewNumber(2), member(N2));
    assert_eq!(again, Some(add_member(2, N2)));
}

#[test]
fn a_proposal_of_one_kind_holds_back_the_other() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.apply(&add_learner(1, N2));
    scene.suspect(N1, N2, TIMEOUT);
    assert_eq!(scene.decide(), [remove_learner(2, N2, Reason::Suspected)]);
    let certified = scene.monitor.certified(scene.now, &scene.table, N1, G1, ViewNumber(2), member(N2));
    assert_eq!(certified, None);
}

#[test]
fn a_group_is_created_when_there_are_enough_nodes() {
    let mut scene = Scene::empty(2);
    let creation = |scene: &mut Scene| scene.monitor.decide_creation(scene.now, &scene.table, G1);
    assert_eq!(creation(&mut scene), None);
    scene.table = table(&[register(N1), register(N2), register(N3)]);
    assert_eq!(creation(&mut scene), None);
    scene.ping(N2);
    assert_eq!(creation(&mut scene), None);
    scene.ping(N3);
    assert_eq!(creation(&mut scene), create_in(G1, 2, &[N2, N3]));
    // The proposal is given time.
    assert_eq!(creation(&mut scene), None);
    scene.wait(200);
    assert_eq!(creation(&mut scene), create_in(G1, 2, &[N2, N3]));
    scene.apply(&create(G1, 2, &[N2, N3]));
    scene.wait(200);
    assert_eq!(creation(&mut scene), None);
    // The next one is led by somebody who leads nothing yet.
    scene.ping(N1);
    let next = scene.monitor.decide_creation(scene.now, &scene.table, G2);
    assert_eq!(next, create_in(G2, 2, &[N1, N3]));
}

#[test]
fn databases_are_created_after_main_and_spread_over_the_nodes() {
    let mut scene = Scene::empty(1);
    scene.table = table(&[register(N1), register(N2), register(N3)]);
    [N1, N2, N3].into_iter().for_each(|node| scene.ping(node));
    // The last one has a number of the first.
    let wanted = ["carts:16", "stock:17-20", "basket:16"].map(|text| text.parse().expect("it is one"));
    let decide = |scene: &mut Scene| scene.monitor.decide_databases(scene.now, &scene.table, &wanted);
    assert_eq!(decide(&mut scene), [], "main is first");
    scene.apply(&create(G1, 1, &[N1]));
    let commands = decide(&mut scene);
    let places: Vec<_> = commands
        .iter()
        .map(|command| match command {
            Command::CreateDatabase { group, database, primary, .. } => (*group, database.first, *primary),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(places, [(G2, 16, N2), (GroupId(3), 17, N3)], "each where there is least");
    assert_eq!(decide(&mut scene), [], "they are on their way");
    commands.iter().for_each(|command| scene.apply(command));
    scene.wait(200);
    [N1, N2, N3].into_iter().for_each(|node| scene.ping(node));
    assert_eq!(decide(&mut scene), [], "nothing is missing that could be created");
}

#[test]
fn what_an_operator_creates_is_placed_by_the_leader() {
    let mut scene = Scene::empty(1);
    scene.table = table(&[register(N1), register(N2), register(N3)]);
    [N1, N2].into_iter().for_each(|node| scene.ping(node));
    let place = |scene: &Scene, text: &str, copies| {
        let database = text.parse().expect("it is one");
        let (group, members, primary, boot) = (GroupId(0), Vec::new(), NodeId(0), BootNumber(0));
        let wanted = Command::CreateDatabase { group, database, copies, members, primary, boot };
        scene.monitor.place(scene.now, &scene.table, wanted)
    };
    let refusal = |scene: &Scene, text, copies| place(scene, text, copies).expect_err("it cannot be");
    assert!(refusal(&scene, "carts:16", 1).contains("no database main yet"));
    scene.apply(&create(G1, 1, &[N1]));
    for (text, copies, primary) in [("carts:16", 0, N2), ("stock:17-20", 2, N1)] {
        let command = place(&scene, text, copies).expect("it can be created");
        scene.apply(&command);
        let Command::CreateDatabase { database, copies: held, primary: leads, .. } = command else {
            panic!("{command:?}")
        };
        assert_eq!((database.to_string().as_str(), held, leads), (text, copies.max(1), primary));
    }
    assert!(refusal(&scene, "other:16", 1).contains("carts:16"));
    assert!(refusal(&scene, "other:15", 1).contains("belong to main"));
    assert!(refusal(&scene, "other:21", 3).contains("there are fewer"), "node 3 is not up");
}

#[test]
fn the_first_view_is_made_for_the_boot_that_pings() {
    let mut scene = Scene::empty(1);
    scene.table = table(&[register(N1)]);
    scene.hear(N1, Ping { boot: BootNumber(7), ..ping(N1) });
    let creation = scene.monitor.decide_creation(scene.now, &scene.table, G1);
    assert!(matches!(creation, Some(Command::CreateGroup { boot: BootNumber(7), .. })), "{creation:?}");
}

#[test]
fn news_of_a_node_is_registered_once() {
    let mut scene = Scene::empty(2);
    scene.ping(N1);
    assert_eq!(scene.decide(), [register(N1)]);
    assert_eq!(scene.decide(), []);
    scene.wait(200);
    assert_eq!(scene.decide(), [register(N1)]);
    scene.apply(&register(N1));
    scene.wait(200);
    assert_eq!(scene.decide(), []);
    // It was restarted.
    scene.hear(N1, Ping { boot: BootNumber(2), ..ping(N1) });
    let registration = Registration { boot: BootNumber(2), ..registration(N1) };
    assert_eq!(scene.decide(), [Command::RegisterNode { node: N1, registration }]);
}

#[test]
fn a_dead_node_is_not_registered() {
    let mut scene = Scene::empty(2);
    scene.ping(N1);
    scene.wait(TIMEOUT);
    assert_eq!(scene.decide(), []);
}
