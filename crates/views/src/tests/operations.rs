//! What operators ask for: handover, draining, copies, zones; and why something happened.

use super::*;

fn handover(expected: u64, heir: NodeId) -> Command {
    Command::Handover { group: G1, expected: ViewNumber(expected), heir, boot: BootNumber(1) }
}

fn drain(node: NodeId) -> Command {
    Command::SetDrained { node, drained: true }
}

fn copies(copies: u32) -> Command {
    Command::SetCopies { group: G1, copies }
}

fn refused(table: &mut Table, command: &Command) -> Rejection {
    table.apply(command, Rules::default()).expect_err("it is refused")
}

impl Scene {
    /// Proposes, replicates and executes a command.
    pub(super) fn execute(&mut self, command: Command) {
        let proposal = self.monitor.propose(self.now, (N1, Timestamp(7)), &self.table, command);
        self.table.execute(&proposal, Rules::default()).unwrap();
    }

    fn asks_handover(&mut self, from: NodeId, view: u64, heir: NodeId) -> Option<Command> {
        self.monitor.handover(self.now, &self.table, from, (G1, ViewNumber(view)), heir)
    }
}

#[test]
fn a_handover_changes_the_primary_and_nobody_else() {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    let command = scene.asks_handover(N1, 1, N2);
    assert_eq!(command, Some(handover(1, N2)));
    scene.execute(command.unwrap());
    let view = view(&scene.table);
    assert_eq!((view.number, view.primary), (ViewNumber(2), N2));
    assert_eq!(view.members, members(&[N1, N2, N3]));
}

#[test]
fn only_the_primary_hands_over_and_only_to_a_member_that_is_well() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    assert_eq!(scene.asks_handover(N2, 1, N2), None);
    assert_eq!(scene.asks_handover(N1, 2, N2), None);
    assert_eq!(scene.asks_handover(N1, 1, N3), None);
    scene.wait(TIMEOUT);
    scene.ping(N1);
    assert_eq!(scene.asks_handover(N1, 1, N2), None, "n2 is silent");
    assert!(matches!(refused(&mut scene.table, &handover(1, N3)), Rejection::NotAllowed(_)), "P4");
}

#[test]
fn a_drained_node_is_replaced_before_it_is_dropped() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.apply(&drain(N2));
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
    scene.apply(&add_learner(1, N3));
    assert_eq!(scene.decide(), []);
    scene.apply(&add_member(2, N3));
    assert_eq!(scene.decide(), [remove_member(3, N2, Reason::Drained)]);
    scene.apply(&remove_member(3, N2, Reason::Drained));
    assert_eq!(scene.decide(), [], "it is not recruited again");
}

#[test]
fn a_drained_node_keeps_its_copy_as_long_as_nobody_can_replace_it() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.apply(&drain(N2));
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_drained_primary_makes_way_by_itself_first() {
    let mut scene = Scene::new(1, &[N1, N2], &[N1, N2]);
    scene.apply(&drain(N1));
    assert_eq!(scene.decide(), [], "n2 is the only copy that stays");
    scene.apply(&handover(1, N2));
    assert_eq!(scene.decide(), [remove_member(2, N1, Reason::Drained)]);
}

#[test]
fn an_heir_that_stays_is_preferred() {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    scene.apply(&drain(N2));
    scene.wait(TIMEOUT);
    scene.ping(N2);
    scene.ping(N3);
    assert_eq!(scene.decide(), [promote(1, N3, &[N1], Reason::Silent)]);
}

#[test]
fn copies_are_changed_online() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.apply(&copies(3));
    assert_eq!(scene.decide(), [add_learner(1, N3)]);
    scene.apply(&add_learner(1, N3));
    scene.apply(&add_member(2, N3));
    scene.apply(&copies(1));
    assert_eq!(scene.decide(), [remove_member(3, N3, Reason::Surplus)]);
    scene.apply(&remove_member(3, N3, Reason::Surplus));
    assert_eq!(scene.decide(), [remove_member(4, N2, Reason::Surplus)]);
    scene.apply(&remove_member(4, N2, Reason::Surplus));
    assert_eq!(scene.decide(), []);
    assert!(matches!(refused(&mut scene.table, &copies(0)), Rejection::NotAllowed(_)));
    assert_eq!(refused(&mut scene.table, &copies(1)), Rejection::NoChange);
}

fn in_zone(node: NodeId, zone: &str) -> Command {
    Command::RegisterNode { node, registration: Registration { zone: zone.to_owned(), ..registration(node) } }
}

/// Nodes 1 to 4 in these zones, all alive; n1 leads group 1, and the others of `members` are in it.
fn zoned(copies: u32, zones: [&str; 4], members: &[NodeId]) -> Scene {
    let mut scene = Scene::empty(copies);
    for (node, zone) in [N1, N2, N3, N4].into_iter().zip(zones) {
        scene.apply(&in_zone(node, zone));
        scene.hear(node, Ping { zone: zone.to_owned(), ..ping(node) });
    }
    scene.apply(&create(G1, copies, members));
    scene
}

#[test]
fn copies_are_spread_over_zones() {
    let mut scene = zoned(2, ["east", "east", "west", "west"], &[N1]);
    assert_eq!(scene.decide(), [add_learner(1, N3)], "n2 would come first, but shares the zone");
    let mut scene = zoned(2, ["east", "east", "east", "east"], &[N1]);
    assert_eq!(scene.decide(), [add_learner(1, N2)], "better the same zone than no copy");
    let mut scene = zoned(2, ["", "", "west", ""], &[N1]);
    assert_eq!(scene.decide(), [add_learner(1, N2)], "no zone is no zone in common");
}

#[test]
fn a_new_group_is_spread_over_zones() {
    let mut scene = zoned(3, ["east", "east", "west", "north"], &[N1]);
    let created = scene.monitor.decide_creation(scene.now, &scene.table, G2);
    // n1 leads a group already.
    assert_eq!(created, Some(create(G2, 3, &[N2, N3, N4])));
}

#[test]
fn the_copy_that_shares_a_zone_can_be_spared_first() {
    let mut scene = zoned(3, ["east", "west", "east", "north"], &[N1, N2, N3]);
    scene.apply(&copies(2));
    assert_eq!(scene.decide(), [remove_member(1, N3, Reason::Surplus)]);
}

#[test]
fn a_node_is_forgotten_only_when_nothing_is_on_it() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    assert!(matches!(refused(&mut scene.table, &Command::ForgetNode { node: N2 }), Rejection::NotAllowed(_)));
    scene.apply(&Command::ForgetNode { node: N3 });
    assert!(!scene.table.nodes().contains_key(&N3));
    assert_eq!(refused(&mut scene.table, &Command::ForgetNode { node: N3 }), Rejection::NoSuchNode(N3));
    assert_eq!(refused(&mut scene.table, &drain(N3)), Rejection::NoSuchNode(N3));
}

#[test]
fn a_node_that_is_forgotten_comes_back_with_its_next_ping_only() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    assert_eq!(scene.decide(), []);
    scene.execute(Command::ForgetNode { node: N3 });
    assert_eq!(scene.decide(), [], "what it said before is forgotten, too");
    scene.ping(N3);
    assert_eq!(scene.decide(), [register(N3)]);
}

// ---- looking sooner, and not too often --------------------------------------------------------------------

#[test]
fn who_refuses_connections_is_looked_at_sooner() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.wait(REFUSED);
    scene.ping(N2);
    assert_eq!(scene.decide(), [], "late, no more");
    scene.monitor.refused(scene.now, N1);
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::Silent)]);
}

#[test]
fn a_refused_connection_is_no_proof() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.wait(REFUSED / 2);
    scene.monitor.refused(scene.now, N1);
    assert_eq!(scene.decide(), [], "it pinged just now");
    scene.wait(1);
    scene.ping(N1);
    scene.wait(REFUSED);
    scene.ping(N2);
    assert_eq!(scene.decide(), [], "it has pinged since then");
}

#[test]
fn a_node_that_comes_and_goes_waits_longer_each_time() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    let mut waits = Vec::new();
    assert_eq!(scene.decide(), []);
    for _ in 0..8 {
        let number = view(&scene.table).number.0;
        scene.execute(remove_member(number, N2, Reason::Silent));
        let since = scene.now;
        while scene.decide().is_empty() {
            scene.wait(50);
            scene.ping(N1);
            scene.ping(N2);
        }
        waits.push(scene.now.since(since).as_millis());
        scene.execute(add_learner(number + 1, N2));
        scene.execute(add_member(number + 2, N2));
    }
    assert_eq!(waits, [0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
    scene.wait(60_000);
    scene.ping(N1);
    scene.ping(N2);
    scene.execute(remove_member(25, N2, Reason::Silent));
    assert_eq!(scene.decide(), [add_learner(26, N2)], "a minute without trouble makes it good");
}

#[test]
fn a_diverged_backup_is_dropped_and_recruited_again() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Diverged, 9)));
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Diverged)]);
    scene.apply(&remove_member(1, N2, Reason::Diverged));
    scene.hear(N2, reporting(N2, report(2, ReplicaRole::Outside, 0)));
    assert_eq!(scene.decide(), [add_learner(2, N2)]);
}

#[test]
fn a_diverged_backup_is_no_heir() {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    scene.wait(TIMEOUT);
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Diverged, 9)));
    scene.hear(N3, reporting(N3, report(1, ReplicaRole::Backup, 8)));
    assert_eq!(scene.decide(), [promote(1, N3, &[N1], Reason::Silent)]);
}

#[test]
fn an_heir_that_has_diverged_is_better_than_none() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.wait(TIMEOUT);
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Diverged, 9)));
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::Silent)]);
}

#[test]
fn when_the_primary_is_wrong_whoever_differs_from_it_is_right() {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    scene.hear(N1, reporting(N1, report(1, ReplicaRole::Diverged, 9)));
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Diverged, 9)));
    scene.hear(N3, reporting(N3, report(1, ReplicaRole::Diverged, 9)));
    assert_eq!(scene.decide(), [promote(1, N2, &[], Reason::Diverged)]);
}

// ---- why --------------------------------------------------------------------------------------------------

#[test]
fn the_table_remembers_what_changed_and_why() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    scene.wait(TIMEOUT);
    scene.ping(N1);
    scene.suspect(N1, N2, TIMEOUT + 20);
    scene.monitor.refused(scene.now, N2);
    let decided = scene.decide();
    scene.execute(decided[0].clone());
    let event = scene.table.events().back().unwrap();
    assert_eq!(event.view.as_ref(), Some(view(&scene.table)));
    let expected = [
        Evidence::LastPing { node: N2, ago: ms(TIMEOUT) },
        Evidence::Refused { node: N2 },
        Evidence::Accused { node: N2, by: N1, grounds: Grounds::Silent(ms(TIMEOUT + 20)) },
    ];
    assert_eq!(event.proposal.evidence, expected);
    let words = "g1 drops n2, no ping: v2 primary n1 (decided by n1: n2 pinged 500 ms ago, n2 refuses connections, \
                 n1 reports that n2 has been silent for 520 ms)";
    assert_eq!(event.to_string(), words);
}

#[test]
fn the_table_does_not_remember_everything_for_ever() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2]);
    for round in 0..1_000 {
        scene.execute(copies(round % 2 + 3));
    }
    assert_eq!(scene.table.events().len(), 256);
    assert_eq!(scene.table.events().back().unwrap().version, scene.table.version());
}

#[test]
fn an_operator_can_go_on_with_what_is_left() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    scene.apply(&add_learner(1, N3));
    let recover = |expected: u64, node| Command::Recover {
        group: G1,
        expected: ViewNumber(expected),
        sole: member(node),
        boot: BootNumber(4),
    };
    assert!(matches!(refused(&mut scene.table, &recover(1, N3)), Rejection::ViewChanged { .. }));
    assert!(matches!(refused(&mut scene.table, &recover(2, N4)), Rejection::NotAllowed(_)), "a stranger");
    scene.apply(&recover(2, N3));
    let view = view(&scene.table);
    assert_eq!((view.primary, view.boot, &view.members[..]), (N3, BootNumber(4), &members(&[N3])[..]));
    assert!(view.learners.is_empty());
}
