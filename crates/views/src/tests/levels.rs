use super::*;

/// A node that knows this level, and says so.
fn knowing(node: NodeId, level: u32) -> Ping {
    Ping { level: Level(level), ..ping(node) }
}

fn register(node: NodeId, level: u32) -> Command {
    Command::RegisterWithLevel { node, registration: registration(node), level: Level(level) }
}

/// What the leader decides after so long, in which these nodes go on to ping.
fn decides_after(scene: &mut Scene, milliseconds: u64, pings: &[Ping], nodes: &[NodeId]) -> Vec<Command> {
    let mut decided = Vec::new();
    for _ in 0..milliseconds / 100 {
        scene.wait(100);
        for (node, ping) in nodes.iter().zip(pings) {
            scene.hear(*node, ping.clone());
        }
        let commands: Vec<Command> = scene.decide();
        let is_of_levels = |command: &Command| matches!(command, Command::RaiseLevel { .. });
        decided.extend(commands.into_iter().filter(is_of_levels));
    }
    decided
}

fn registered(levels: [u32; 3]) -> Scene {
    let mut scene = Scene::empty(3);
    for (node, level) in [N1, N2, N3].into_iter().zip(levels) {
        let _ = scene.table.apply(&register(node, level), Rules::default());
    }
    scene
}

#[test]
fn the_level_rises_once_all_nodes_have_known_it_for_a_while() {
    let nodes = [N1, N2, N3];
    let mut scene = registered([2, 1, 3]);
    let says = |levels: [u32; 3]| [0, 1, 2].map(|at| knowing(nodes[at], levels[at]));
    assert_eq!(decides_after(&mut scene, 20_000, &says([2, 1, 3]), &nodes), []);
    scene.apply(&register(N2, 2));
    assert_eq!(decides_after(&mut scene, 4_900, &says([2, 2, 3]), &nodes), []);
    let decided = decides_after(&mut scene, 200, &says([2, 2, 3]), &nodes);
    assert_eq!(decided, [Command::RaiseLevel { level: Level(2) }]);
    scene.apply(&decided[0]);
    assert_eq!(scene.table.level(), Level(2));
    assert_eq!(decides_after(&mut scene, 20_000, &says([2, 2, 3]), &nodes), []);
}

#[test]
fn whoever_goes_back_before_it_rises_is_waited_for_anew() {
    let nodes = [N1, N2, N3];
    let mut scene = registered([2, 2, 2]);
    let new = nodes.map(|node| knowing(node, 2));
    assert_eq!(decides_after(&mut scene, 4_000, &new, &nodes), []);
    scene.apply(&register(N3, 1));
    assert_eq!(decides_after(&mut scene, 4_000, &[new[0].clone(), new[1].clone(), ping(N3)], &nodes), []);
    scene.apply(&register(N3, 2));
    assert_eq!(decides_after(&mut scene, 4_000, &new, &nodes), []);
}

#[test]
fn an_operator_holds_the_level_and_lets_it_go() {
    let nodes = [N1, N2, N3];
    let mut scene = registered([2, 2, 2]);
    let new = nodes.map(|node| knowing(node, 2));
    scene.apply(&Command::HoldLevel { is_held: true });
    assert_eq!(decides_after(&mut scene, 20_000, &new, &nodes), []);
    let raise = Command::RaiseLevel { level: Level(2) };
    assert!(scene.table.apply(&raise, Rules::default()).is_err(), "it was proposed before");
    scene.apply(&Command::HoldLevel { is_held: false });
    assert_eq!(decides_after(&mut scene, 5_200, &new, &nodes), [raise]);
}

#[test]
fn what_not_all_know_is_not_in_force_and_whoever_does_not_know_it_is_not_registered() {
    let mut scene = registered([2, 2, 1]);
    let mut apply = |command: Command| scene.table.apply(&command, Rules::default());
    let raise = Command::RaiseLevel { level: Level(2) };
    assert!(matches!(apply(raise.clone()), Err(Rejection::NotAllowed(_))), "node 3 does not know it");
    assert_eq!(apply(register(N3, 2)), Ok(()));
    assert_eq!(apply(raise.clone()), Ok(()));
    assert_eq!(apply(raise), Err(Rejection::NoChange));
    assert!(matches!(apply(register(N3, 1)), Err(Rejection::NotAllowed(_))));
    let first = Command::RegisterNode { node: N3, registration: registration(N3) };
    assert!(matches!(apply(first), Err(Rejection::NotAllowed(_))), "it says nothing of levels");
    assert_eq!(scene.table.level_of(N3), Level(2));
}

#[test]
fn a_node_that_knows_another_level_is_registered_anew() {
    let mut scene = registered([2, 2, 2]);
    scene.hear(N1, knowing(N1, 3));
    assert_eq!(scene.decide(), [register(N1, 3)]);
}
