//! Wall clocks that are out of step.

use super::*;

const HOUR: i64 = 3_600_000;

fn scene() -> Scene {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    rounds(&mut scene, 8, &[]);
    scene
}

/// All three nodes ping; the clocks of some are wrong. Returns what is decided after the last round.
fn rounds(scene: &mut Scene, count: u32, wrong: &[(NodeId, i64)]) -> Vec<Command> {
    let mut commands = Vec::new();
    for _ in 0..count {
        scene.wait(50);
        for node in [N1, N2, N3] {
            let error = wrong.iter().find(|(of, _)| *of == node).map_or(0, |(_, error)| *error);
            let wall = Timestamp((DAWN + scene.now.0 / 1_000_000).saturating_add_signed(error));
            let clock = ClockReading { wall, at: scene.now };
            scene.monitor.heard(scene.now, node, Ping { clock, ..healthy(node) });
        }
        commands = scene.decide();
    }
    commands
}

fn healthy(node: NodeId) -> Ping {
    let role = if node == N1 { ReplicaRole::Primary } else { ReplicaRole::Backup };
    match node {
        N3 => ping(node),
        _ => reporting(node, report(1, role, 0)),
    }
}

fn note(node: NodeId, ahead_ms: i64) -> Command {
    let error = ClockError { set_ms: DAWN.cast_signed() + ahead_ms, ahead_ms };
    Command::NoteClock { node, error: Some(error) }
}

#[test]
fn a_clock_that_is_out_of_step_is_noted_once_and_until_it_is_right() {
    for error in [HOUR, -HOUR, 30_000, -3_000] {
        let mut scene = scene();
        // One that seems to be behind may have been delayed.
        let needed = if error > 0 { 1 } else { 8 };
        assert_eq!(rounds(&mut scene, needed - 1, &[(N2, error)]), []);
        let found = rounds(&mut scene, 1, &[(N2, error)]);
        assert_eq!(found, [note(N2, error)]);
        scene.apply(&found[0]);
        assert_eq!(rounds(&mut scene, 20, &[(N2, error)]), []);
        assert_eq!(
            scene.table.clocks()[&N2].to_string().split_once(" s ").map(|(_, side)| side),
            Some(match error {
                ..0 => "behind the others",
                _ => "ahead of the others",
            })
        );
        let over = Command::NoteClock { node: N2, error: None };
        assert!((0..8).any(|_| rounds(&mut scene, 1, &[]) == [over.clone()]));
    }
}

#[test]
fn nobody_can_tell_without_a_majority() {
    let mut scene = scene();
    assert_eq!(rounds(&mut scene, 20, &[(N2, HOUR), (N3, -HOUR)]), []);
}

#[test]
fn a_view_node_whose_own_clock_is_wrong_is_out_of_step_itself() {
    let mut scene = scene();
    assert_eq!(rounds(&mut scene, 1, &[(N1, HOUR)]), [note(N1, HOUR)]);
}

#[test]
fn what_was_delayed_is_no_wrong_clock() {
    let mut scene = scene();
    for delay in [300, 2_000, 900, 1_500] {
        assert_eq!(rounds(&mut scene, 7, &[(N3, -delay)]), []);
        assert_eq!(rounds(&mut scene, 1, &[]), []);
    }
}
