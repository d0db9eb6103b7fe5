//! Databases that are replicated in another way from now on.

use onecopy_core::{EntryId, Holders};

use super::*;

fn switch(kind: Kind) -> Command {
    Command::SwitchKind { group: G1, kind }
}

fn seal(index: u64, epoch: u64) -> EntryId {
    EntryId::new(index, epoch)
}

fn first_view(number: u64, primary: NodeId, nodes: &[NodeId]) -> View {
    let (number, members) = (ViewNumber(number), members(nodes));
    View { number, primary, boot: BootNumber(1), members, learners: Vec::new() }
}

fn complete(number: u64, expected: u64, view: View) -> Command {
    Command::CompleteSwitch {
        group: G1,
        number,
        expected: ViewNumber(expected),
        seal: seal(7, expected),
        view,
    }
}

/// `main` is to become a Raft group: on n1, n2 and n3, which all are there.
fn under_way() -> Scene {
    let mut scene = Scene::new(3, &[N1, N2, N3], &[N1, N2, N3]);
    scene.apply(&switch(Kind::Raft));
    scene
}

impl Scene {
    fn number(&self) -> u64 {
        self.table.switch(G1).expect("one is under way").number
    }

    fn try_to(&self, command: &Command) -> Result<(), Rejection> {
        self.table.clone().apply(command, Rules::default())
    }

    fn says_sealed(&mut self, from: NodeId, expected: u64, holders: &[NodeId]) -> Option<Command> {
        let (number, holders) = (self.number(), members(holders).into_iter().collect::<Holders>());
        let of = (G1, ViewNumber(expected));
        self.monitor.sealed(self.now, &self.table, from, of, (number, seal(7, expected), holders))
    }
}

#[test]
fn a_switch_has_the_version_of_the_table_for_its_number_and_can_be_given_up() {
    let mut scene = under_way();
    assert_eq!(scene.number(), scene.table.version());
    assert_eq!(scene.table.switch(G1).expect("it is").kind, Kind::Raft);
    assert_eq!(scene.table.kind(G1), Kind::PrimaryBackup, "it is what it was until it is over");
    assert_eq!(scene.try_to(&switch(Kind::Raft)), Err(Rejection::NoChange));
    let before = scene.number();
    scene.apply(&switch(Kind::PrimaryBackup));
    assert_eq!(scene.table.switch(G1), None);
    assert_eq!(scene.try_to(&switch(Kind::PrimaryBackup)), Err(Rejection::NoChange));
    // What was said of the first one is not believed of the second.
    scene.apply(&switch(Kind::Raft));
    assert!(scene.number() > before);
    let late = complete(before, 1, first_view(2, N1, &[N1, N2, N3]));
    assert!(matches!(scene.try_to(&late), Err(Rejection::NotAllowed(why)) if why.contains("no such switch")));
}

#[test]
fn a_raft_group_gets_an_odd_number_of_copies_if_there_are_nodes_for_them() {
    let refused = |scene: &Scene| match scene.try_to(&switch(Kind::Raft)) {
        Err(Rejection::NotAllowed(why)) => why,
        other => panic!("{other:?}"),
    };
    let two = Scene::new(2, &[N1, N2], &[N1, N2]);
    assert!(refused(&two).contains("fewer nodes"));
    let mut three = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    three.apply(&switch(Kind::Raft));
    assert_eq!(three.table.groups()[&G1].copies, 3);
    // A node that is to be empty is no place for another one.
    let mut drained = Scene::new(2, &[N1, N2], &[N1, N2, N3]);
    drained.apply(&Command::SetDrained { node: N3, drained: true });
    assert!(refused(&drained).contains("fewer nodes"));
    let seven = Scene::new(7, &[N1, N2, N3], &[N1, N2, N3]);
    assert!(refused(&seven).contains("at most 5 copies"));
}

#[test]
fn the_members_of_the_view_that_was_sealed_are_the_founders() {
    let mut scene = under_way();
    let number = scene.number();
    // Of another view, nobody knows who has the seal.
    let smaller = complete(number, 1, first_view(2, N1, &[N1, N2]));
    assert!(matches!(scene.try_to(&smaller), Err(Rejection::ViewChanged { .. })));
    let of_another = complete(number, 2, first_view(3, N1, &[N1, N2, N3]));
    assert!(matches!(scene.try_to(&of_another), Err(Rejection::ViewChanged { .. })));
    // Numbers go on.
    let of_old = complete(number, 1, first_view(1, N1, &[N1, N2, N3]));
    assert!(matches!(scene.try_to(&of_old), Err(Rejection::NotAllowed(why)) if why.contains("not be valid")));
    scene.apply(&complete(number, 1, first_view(2, N1, &[N1, N2, N3])));
    assert_eq!((scene.table.kind(G1), scene.table.switch(G1)), (Kind::Raft, None));
    let switched = scene.table.switched(G1).expect("it is over");
    assert_eq!((switched.number, switched.kind, switched.seal), (number, Kind::Raft, seal(7, 1)));
    assert_eq!(scene.table.roster(G1).expect("it has one").members, members(&[N1, N2, N3]));
    assert!(scene.try_to(&complete(number, 1, first_view(3, N1, &[N1, N2, N3]))).is_err(), "it is over");
}

#[test]
fn on_the_way_back_those_who_have_the_seal_are_the_members_and_views_follow_terms() {
    let mut scene = under_way();
    let number = scene.number();
    scene.apply(&complete(number, 1, first_view(2, N1, &[N1, N2, N3])));
    scene.apply(&switch(Kind::PrimaryBackup));
    let back = scene.number();
    // A member in another life than the registered one has nothing.
    let mut lost = first_view(1 << 21, N2, &[N2, N3]);
    lost.members[1].incarnation = Incarnation(99);
    assert!(scene.try_to(&complete(back, 40, lost)).is_err());
    scene.wait(10_000);
    [N1, N2, N3].into_iter().for_each(|node| scene.ping(node));
    let command = scene.says_sealed(N2, 40, &[N3, N2]).expect("it is believed");
    let Command::CompleteSwitch { view, .. } = &command else { panic!("{command:?}") };
    assert_eq!((view.primary, &view.members), (N2, &members(&[N2, N3])));
    assert!(view.number.0 > 40 + 1_000, "there is room for elections meanwhile: {}", view.number);
    scene.apply(&command);
    assert_eq!(scene.table.kind(G1), Kind::PrimaryBackup);
    assert_eq!(super::view(&scene.table).members, members(&[N2, N3]));
}

#[test]
fn only_who_leads_the_view_is_believed_and_once() {
    let mut scene = under_way();
    assert_eq!(scene.says_sealed(N2, 1, &[]), None, "it does not lead");
    assert_eq!(scene.says_sealed(N1, 2, &[]), None, "that is no view of the table");
    let command = scene.says_sealed(N1, 1, &[]).expect("it leads");
    assert_eq!(command, complete(scene.number(), 1, first_view(2, N1, &[N1, N2, N3])));
    assert_eq!(scene.says_sealed(N1, 1, &[]), None, "it is on its way");
    scene.apply(&command);
    // Nobody asks for a view of a group that is of another kind now.
    assert_eq!(scene.decide(), []);
}
