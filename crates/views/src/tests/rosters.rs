//! Where the copies of Raft groups are to be; databases that are dropped, and what is set for one alone.

use crate::{OptionChanges, Options};

use super::*;

const N5: NodeId = NodeId(5);
/// As [`crate::monitor::REPLACED_AFTER`], in milliseconds.
const LONG: u64 = 3_000;

/// A Raft group of three on n1, n2 and n3, and spares.
fn scene(registered: &[NodeId]) -> Scene {
    let mut scene = Scene::empty(2);
    registered.iter().for_each(|node| scene.apply(&register(*node)));
    scene.apply(&create(G1, 1, &[N1]));
    let database = Database { kind: Kind::Raft, ..create_database_of("locks:16") };
    let (members, boot) = (members(&[N3, N1, N2]), BootNumber(1));
    scene.apply(&Command::CreateDatabase { group: G2, database, copies: 3, members, primary: N3, boot });
    registered.iter().for_each(|node| scene.ping(*node));
    scene
}

fn create_database_of(text: &str) -> Database {
    text.parse().expect("it is one")
}

fn to(expected: u64, nodes: &[NodeId]) -> Command {
    Command::ChangeRoster { group: G2, expected, members: members(nodes) }
}

fn reached(number: u64) -> Command {
    Command::RosterReached { group: G2, number }
}

impl Scene {
    /// All of these ping, and so much time passes.
    fn go_on(&mut self, nodes: &[NodeId], milliseconds: u64) {
        for _ in 0..milliseconds / 100 {
            nodes.iter().for_each(|node| self.ping(*node));
            self.wait(100);
        }
        nodes.iter().for_each(|node| self.ping(*node));
    }

    fn roster(&self) -> crate::Roster {
        self.table.roster(G2).expect("it is a Raft group")
    }
}

#[test]
fn a_group_that_is_as_it_should_be_stays_where_it_was_founded() {
    let mut scene = scene(&[N1, N2, N3, N4]);
    assert_eq!(scene.decide(), []);
    let founding = scene.roster();
    assert_eq!((founding.number, founding.members, founding.reached), (0, members(&[N1, N2, N3]), true));
    assert_eq!(scene.table.roster(G1), None, "of primary-backup");
}

#[test]
fn a_member_that_came_back_without_its_data_is_replaced_and_its_node_will_do() {
    let mut scene = scene(&[N1, N2, N3]);
    let reborn = Incarnation(77);
    scene.apply(&Command::RegisterNode {
        node: N2,
        registration: Registration { incarnation: reborn, ..registration(N2) },
    });
    scene.hear(N2, Ping { incarnation: reborn, ..ping(N2) });
    let newcomer = Member { node: N2, incarnation: reborn };
    let next = vec![member(N1), newcomer, member(N3)];
    assert_eq!(scene.decide(), [Command::ChangeRoster { group: G2, expected: 0, members: next }]);
    // It is on its way.
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_silent_member_is_replaced_after_a_while_if_there_is_a_place() {
    let mut scene = scene(&[N1, N2, N3, N4]);
    scene.go_on(&[N1, N3, N4], LONG - 100);
    assert_eq!(scene.decide(), []);
    scene.go_on(&[N1, N3, N4], 200);
    assert_eq!(scene.decide(), [to(0, &[N1, N3, N4])]);
    let mut alone = self::scene(&[N1, N2, N3]);
    alone.go_on(&[N1, N3], LONG + 200);
    assert_eq!(alone.decide(), [], "it may come back");
}

#[test]
fn a_drained_node_is_left_and_forgotten_when_the_group_is_elsewhere() {
    let mut scene = scene(&[N1, N2, N3, N4]);
    scene.apply(&Command::SetDrained { node: N3, drained: true });
    assert_eq!(scene.decide(), [to(0, &[N1, N2, N4])]);
    scene.apply(&to(0, &[N1, N2, N4]));
    assert_eq!(scene.roster().leaving, [member(N3)]);
    let forget = Command::ForgetNode { node: N3 };
    let refused = scene.table.apply(&forget, Rules::default());
    assert!(matches!(refused, Err(Rejection::NotAllowed(_))), "it may still count: {refused:?}");
    let now = scene.now;
    assert_eq!(scene.monitor.reached(now, &scene.table, G2, 0), None, "an old roster");
    assert_eq!(scene.monitor.reached(now, &scene.table, G2, 1), Some(reached(1)));
    scene.apply(&reached(1));
    assert_eq!(scene.table.apply(&reached(1), Rules::default()), Err(Rejection::NoChange));
    scene.apply(&forget);
}

#[test]
fn who_may_still_belong_to_the_group_is_remembered_over_several_rosters() {
    let mut scene = scene(&[N1, N2, N3, N4, N5]);
    scene.apply(&to(0, &[N1, N2, N4]));
    scene.apply(&to(1, &[N1, N2, N5]));
    assert_eq!(scene.roster().leaving, members(&[N3, N4]));
    scene.apply(&to(2, &[N1, N2, N4]));
    assert_eq!(scene.roster().leaving, members(&[N3, N5]));
    let late = scene.table.apply(&to(1, &[N1, N2, N3]), Rules::default());
    let (expected, current) = (1, 3);
    assert_eq!(late, Err(Rejection::RosterChanged { expected, current }));
}

#[test]
fn copies_grow_by_two_and_shrink() {
    let mut scene = scene(&[N1, N2, N3, N4]);
    scene.apply(&Command::SetCopies { group: G2, copies: 5 });
    assert_eq!(scene.decide(), [], "four survive no more failures than three");
    scene.apply(&register(N5));
    scene.ping(N5);
    assert_eq!(scene.decide(), [to(0, &[N1, N2, N3, N4, N5])]);
    scene.apply(&to(0, &[N1, N2, N3, N4, N5]));
    scene.apply(&Command::SetCopies { group: G2, copies: 1 });
    let decided = scene.decide();
    assert!(
        matches!(&decided[..], [Command::ChangeRoster { members, .. }] if members.len() == 1),
        "{decided:?}"
    );
    let even = scene.table.apply(&Command::SetCopies { group: G2, copies: 2 }, Rules::default());
    assert!(matches!(even, Err(Rejection::NotAllowed(_))), "{even:?}");
}

#[test]
fn a_roster_names_each_node_once_and_groups_of_views_have_none() {
    let mut scene = scene(&[N1, N2, N3]);
    for (command, what) in [
        (to(0, &[]), "nobody"),
        (to(0, &[N2, N1]), "out of order"),
        (to(0, &[N1, N1]), "twice"),
        (Command::ChangeRoster { group: G1, expected: 0, members: members(&[N1]) }, "of views"),
        (Command::RosterReached { group: GroupId(9), number: 0 }, "of nothing"),
    ] {
        assert!(scene.table.apply(&command, Rules::default()).is_err(), "{what}");
    }
    scene.apply(&to(0, &[N1, N2]));
    assert_eq!(Table::decode(&scene.table.encode()), Ok(scene.table));
}

#[test]
fn a_dropped_database_leaves_a_number_that_nobody_gets() {
    let mut scene = scene(&[N1, N2, N3]);
    let dropped = |group, name: &str| Command::DropDatabase { group, name: name.to_owned() };
    for (command, what) in [
        (dropped(G1, "main"), "main"),
        (dropped(G2, "lock"), "another name"),
        (dropped(GroupId(3), "locks"), "another group"),
    ] {
        let refused = scene.table.apply(&command, Rules::default());
        assert!(matches!(refused, Err(Rejection::NotAllowed(_))), "{what}: {refused:?}");
    }
    scene.apply(&Command::SetDrained { node: N3, drained: true });
    scene.apply(&dropped(G2, "locks"));
    assert_eq!((scene.table.groups().len(), scene.table.roster(G2), scene.table.last_group()), (1, None, G2));
    assert_eq!(scene.table.locate(16), None);
    // Nothing is on its node any more.
    scene.apply(&Command::ForgetNode { node: N3 });
    assert_eq!(Table::decode(&scene.table.encode()).as_ref(), Ok(&scene.table));
    // Settings that still name it do not bring it back, but operators may.
    let wanted = ["locks:16", "more:17"].map(|text| text.parse().expect("it is one"));
    let created = scene.monitor.decide_databases(scene.now, &scene.table, &wanted);
    assert!(
        matches!(&created[..], [Command::CreateDatabase { group: GroupId(3), database, .. }] if database.name == "more"),
        "{created:?}"
    );
    let late = scene.table.apply(&create_database(G2, "locks:16"), Rules::default());
    assert!(matches!(late, Err(Rejection::NotAllowed(_))), "an old number: {late:?}");
    scene.apply(&create_database(GroupId(3), "locks:16"));
    assert_eq!(scene.table.locate(16), Some((GroupId(3), 0)));
    let created = scene.monitor.decide_databases(scene.now, &scene.table, &wanted[..1]);
    assert_eq!(created, [], "it is there");
}

#[test]
fn a_database_has_options_of_its_own_and_all_changes_come_together() {
    let mut scene = scene(&[N1, N2, N3]);
    let set = |group, changes| Command::SetOptions { group, changes };
    let nothing = OptionChanges::default;
    let least = |least| OptionChanges { min_copies: Some(least), ..nothing() };
    scene.apply(&set(G2, OptionChanges { confirms_reads: Some(true), ..least(2) }));
    let options = scene.table.options(G2);
    assert_eq!((options.min_copies, options.confirms_reads), (Some(2), true));
    assert_eq!(scene.table.options(G1), Options::default(), "the others are as they were");
    for (changes, what) in [
        (least(2), "nothing new"),
        (least(4), "more than there are"),
        (least(0), "none"),
        (OptionChanges { copies: Some(1), ..nothing() }, "fewer than writes need"),
        (OptionChanges { copies: Some(2), ..least(1) }, "an even number"),
    ] {
        let before = scene.table.clone();
        assert!(scene.table.apply(&set(G2, changes), Rules::default()).is_err(), "{what}");
        assert_eq!(scene.table, before, "{what}");
    }
    scene.apply(&set(G2, OptionChanges { copies: Some(1), ..least(1) }));
    assert_eq!((scene.table.groups()[&G2].copies, scene.table.options(G2).min_copies), (1, Some(1)));
    assert_eq!(Table::decode(&scene.table.encode()).as_ref(), Ok(&scene.table));
}

fn move_to(group: GroupId, nodes: &[NodeId]) -> Command {
    let nodes = Some(nodes.iter().copied().collect());
    Command::SetOptions { group, changes: OptionChanges { nodes, ..OptionChanges::default() } }
}

#[test]
fn a_raft_group_is_moved_to_the_nodes_that_an_operator_names() {
    let mut scene = scene(&[N1, N2, N3, N4, N5]);
    scene.apply(&move_to(G2, &[N1, N4, N5]));
    assert_eq!(scene.decide(), [to(0, &[N1, N4, N5])]);
    scene.apply(&to(0, &[N1, N4, N5]));
    // It stays there: a place is no place if it is elsewhere.
    scene.go_on(&[N1, N2, N3, N4], LONG + 200);
    assert_eq!(scene.decide(), []);
    scene.apply(&move_to(G2, &[]));
    assert_eq!(scene.decide(), [to(1, &[N1, N2, N4])]);
    for (nodes, what) in [(&[N1, N2][..], "fewer than copies"), (&[N1, N2, NodeId(9)], "a stranger")] {
        assert!(scene.table.apply(&move_to(G2, nodes), Rules::default()).is_err(), "{what}");
    }
}

#[test]
fn a_group_of_views_is_moved_copy_by_copy() {
    let mut scene = Scene::new(2, &[N1, N2], &[N1, N2, N3, N4]);
    scene.apply(&move_to(G1, &[N1, N4]));
    assert_eq!(scene.decide(), [add_learner(1, N4)], "not the spare n3");
    scene.apply(&add_learner(1, N4));
    scene.apply(&add_member(2, N4));
    assert_eq!(scene.decide(), [remove_member(3, N2, Reason::Drained)]);
}
