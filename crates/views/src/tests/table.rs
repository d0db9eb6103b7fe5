//! Every command: what it does, and when it is refused.

use super::*;

fn refused(table: &Table, command: &Command) -> Rejection {
    let mut changed = table.clone();
    let rejection = changed.apply(command, Rules::default()).unwrap_err();
    assert_eq!(&changed, table, "a refused command changes nothing: {command:?}");
    rejection
}

fn is_not_allowed(table: &Table, command: &Command) {
    let rejection = refused(table, command);
    assert!(matches!(rejection, Rejection::NotAllowed(_)), "{command:?}: {rejection}");
}

/// View 2 of group 1: primary n1, backup n2, learner n3.
fn three() -> Table {
    table(&[create(G1, 3, &[N1, N2]), add_learner(1, N3)])
}

fn next(mut table: Table, command: &Command) -> View {
    table.apply(command, Rules::default()).unwrap();
    view(&table).clone()
}

fn expected(number: u64, primary: NodeId, replicas: (&[NodeId], &[NodeId])) -> View {
    View {
        number: ViewNumber(number),
        primary,
        boot: BootNumber(1),
        members: members(replicas.0),
        learners: members(replicas.1),
    }
}

#[test]
fn a_registration_takes_the_place_of_the_one_before() {
    let mut table = table(&[register(N1)]);
    assert_eq!(refused(&table, &register(N1)), Rejection::NoChange);
    let moved = Registration { boot: BootNumber(2), ..registration(N1) };
    let command = Command::RegisterNode { node: N1, registration: moved.clone() };
    table.apply(&command, Rules::default()).unwrap();
    assert_eq!(table.nodes()[&N1], moved);
    assert_eq!(table.version(), 2);
}

#[test]
fn a_group_begins_with_view_one() {
    let table = table(&[create(G1, 2, &[N1, N2])]);
    assert_eq!(view(&table), &expected(1, N1, (&[N1, N2], &[])));
    assert_eq!(table.groups()[&G1].copies, 2);
    assert_eq!(refused(&table, &create(G1, 2, &[N2])), Rejection::GroupExists(G1));
}

#[test]
fn a_group_that_could_not_work_is_not_created() {
    let table = Table::default();
    is_not_allowed(&table, &create(G1, 0, &[N1]));
    is_not_allowed(&table, &create(G1, 2, &[N1, N1]));
    let boot = BootNumber(1);
    let elsewhere = Command::CreateGroup { group: G1, copies: 1, members: members(&[N1]), primary: N2, boot };
    is_not_allowed(&table, &elsewhere);
    let nobody = Command::CreateGroup { group: G1, copies: 1, members: vec![], primary: N1, boot };
    is_not_allowed(&table, &nobody);
}

#[test]
fn a_backup_is_removed() {
    let removed = next(three(), &remove_member(2, N2, Reason::Silent));
    assert_eq!(removed, expected(3, N1, (&[N1], &[N3])));
    is_not_allowed(&three(), &remove_member(2, N1, Reason::Silent));
    is_not_allowed(&three(), &remove_member(2, N3, Reason::Silent));
    is_not_allowed(&three(), &remove_member(2, N4, Reason::Silent));
}

#[test]
fn a_member_succeeds_the_primary() {
    let dropped = next(three(), &promote(2, N2, &[N1], Reason::Silent));
    assert_eq!(dropped, expected(3, N2, (&[N2], &[N3])));
    let kept = next(three(), &promote(2, N2, &[], Reason::CannotLead));
    assert_eq!(kept, expected(3, N2, (&[N1, N2], &[N3])));
}

#[test]
fn only_a_member_succeeds_the_primary() {
    // P4
    is_not_allowed(&three(), &promote(2, N3, &[N1], Reason::Silent));
    is_not_allowed(&three(), &promote(2, N4, &[N1], Reason::Silent));
    is_not_allowed(&three(), &promote(2, N2, &[N1, N2], Reason::Silent));
}

#[test]
fn a_primary_may_succeed_itself_in_a_new_boot() {
    let command = Command::PromoteMember {
        group: G1,
        expected: ViewNumber(2),
        primary: N1,
        boot: BootNumber(2),
        dropped: vec![N2],
        reason: Reason::Restarted,
    };
    let view = next(three(), &command);
    assert_eq!(view, View { boot: BootNumber(2), ..expected(3, N1, (&[N1], &[N3])) });
}

#[test]
fn the_incarnation_of_an_heir_is_that_of_the_view_before() {
    // P4 and P9: the command names a node, the view says which life of it.
    let heir = Member { node: N2, incarnation: Incarnation(77) };
    let boot = BootNumber(1);
    let creation =
        Command::CreateGroup { group: G1, copies: 2, members: vec![member(N1), heir], primary: N1, boot };
    let view = next(table(&[creation]), &promote(1, N2, &[N1], Reason::Silent));
    assert_eq!(view.members, [heir]);
}

#[test]
fn a_learner_is_added_and_removed() {
    let table = table(&[create(G1, 3, &[N1, N2])]);
    assert_eq!(next(table.clone(), &add_learner(1, N3)), expected(2, N1, (&[N1, N2], &[N3])));
    is_not_allowed(&table, &add_learner(1, N2));
    is_not_allowed(&three(), &add_learner(2, N3));
    // Nor in another life.
    let learner = Member { node: N2, incarnation: Incarnation(99) };
    is_not_allowed(&table, &Command::AddLearner { group: G1, expected: ViewNumber(1), learner });
    let removed = next(three(), &remove_learner(2, N3, Reason::Silent));
    assert_eq!(removed, expected(3, N1, (&[N1, N2], &[])));
    is_not_allowed(&three(), &remove_learner(2, N2, Reason::Silent));
    is_not_allowed(&three(), &remove_learner(2, N4, Reason::Silent));
}

#[test]
fn only_the_certified_learner_becomes_a_member() {
    assert_eq!(next(three(), &add_member(2, N3)), expected(3, N1, (&[N1, N2, N3], &[])));
    is_not_allowed(&three(), &add_member(2, N2));
    is_not_allowed(&three(), &add_member(2, N4));
    // P9: the life that was certified, not the node.
    let learner = Member { node: N3, incarnation: Incarnation(99) };
    is_not_allowed(&three(), &Command::AddMember { group: G1, expected: ViewNumber(2), learner });
}

#[test]
fn a_change_that_was_decided_on_another_view_is_refused() {
    for expected in [0, 1, 3] {
        let changes = [
            remove_member(expected, N2, Reason::Silent),
            promote(expected, N2, &[], Reason::Silent),
            add_learner(expected, N4),
            remove_learner(expected, N3, Reason::Silent),
            add_member(expected, N3),
        ];
        for change in changes {
            let expected = Rejection::ViewChanged { expected: ViewNumber(expected), current: ViewNumber(2) };
            assert_eq!(refused(&three(), &change), expected);
        }
    }
    assert_eq!(refused(&Table::default(), &add_learner(1, N3)), Rejection::NoSuchGroup(G1));
}

#[test]
fn of_two_changes_of_one_view_the_first_wins() {
    let mut table = three();
    table.apply(&promote(2, N2, &[N1], Reason::Silent), Rules::default()).unwrap();
    let late = refused(&table, &add_member(2, N3));
    assert_eq!(late, Rejection::ViewChanged { expected: ViewNumber(2), current: ViewNumber(3) });
}

#[test]
fn tables_and_commands_survive_encoding() {
    let mut table = three();
    table.apply(&register(N1), Rules::default()).unwrap();
    assert_eq!(Table::decode(&table.encode()), Ok(table));
    let commands = [
        register(N1),
        create(G1, 3, &[N1, N2]),
        remove_member(1, N2, Reason::DiskStalled),
        promote(1, N2, &[N1], Reason::LostItsData),
        add_learner(1, N3),
        remove_learner(1, N3, Reason::Suspected),
        add_member(1, N3),
        Command::SetCopies { group: G1, copies: 2 },
        Command::SetDrained { node: N1, drained: true },
        Command::ForgetNode { node: N1 },
    ];
    for command in commands {
        let proposal = proposal(command);
        assert_eq!(Proposal::decode(&proposal.encode()), Ok(proposal));
    }
}

#[test]
fn corrupt_bytes_are_an_error() {
    let (table, proposal) = (three().encode(), proposal(promote(1, N2, &[N1], Reason::Silent)).encode());
    for end in 0..table.len() {
        assert!(Table::decode(&table[..end]).is_err());
    }
    for end in 0..proposal.len() {
        assert!(Proposal::decode(&proposal[..end]).is_err());
    }
    assert!(Proposal::decode(&[0xff; 20]).is_err());
}

#[test]
fn a_table_with_a_view_that_is_none_is_corrupt() {
    // No command makes it: n1 both a member and a learner. It has the shape of a table, and decodes as one.
    let wrong = View { learners: members(&[N1]), ..expected(1, N1, (&[N1], &[])) };
    let group = crate::Group { view: wrong, copies: 1 };
    let groups = std::collections::BTreeMap::from([(G1, group)]);
    let nodes = std::collections::BTreeMap::<NodeId, Registration>::new();
    let (nobody, events) = (std::collections::BTreeSet::<NodeId>::new(), Vec::<crate::Event>::new());
    let lives = std::collections::BTreeSet::<Incarnation>::new();
    let since = std::collections::BTreeMap::<NodeId, u64>::new();
    let clocks = std::collections::BTreeMap::<NodeId, ClockError>::new();
    let databases = std::collections::BTreeMap::<GroupId, crate::Database>::new();
    let (settings, users) = (crate::Settings::default(), crate::Users::default());
    let rosters = std::collections::BTreeMap::<GroupId, crate::Roster>::new();
    let (dropped, options) =
        (crate::dropped::Dropped::default(), std::collections::BTreeMap::<GroupId, crate::Options>::new());
    // A tuple has at most twelve parts that can be written: the last ones are one that looks the same.
    let switches = std::collections::BTreeMap::<GroupId, crate::Switch>::new();
    let switched = std::collections::BTreeMap::<GroupId, crate::Switched>::new();
    let levels = crate::levels::TableLevels::default();
    let copies = std::collections::BTreeMap::<GroupId, crate::copies::Copies>::new();
    let set = (settings, users, rosters, dropped, options, switches, switched, (levels, copies));
    let table = (1_u64, nodes, lives, since, &nobody, &nobody, groups, events, clocks, databases, set);
    let bytes = postcard::to_stdvec(&table).unwrap();
    let error = Table::decode(&bytes).unwrap_err();
    assert!(error.reason.contains("is not a valid view"), "{error}");
}

#[test]
fn every_command_but_a_registration_names_its_group() {
    assert_eq!(register(N1).group(), None);
    assert_eq!(create(G2, 1, &[N1]).group(), Some(G2));
    let others = [
        remove_member(1, N2, Reason::Silent),
        promote(1, N2, &[], Reason::Silent),
        add_learner(1, N3),
        remove_learner(1, N3, Reason::Silent),
        add_member(1, N3),
    ];
    assert!(others.iter().all(|command| command.group() == Some(G1)));
}

#[test]
fn a_database_is_found_by_its_numbers() {
    let table = table(&[create(G1, 2, &[N1, N2]), create_database(G2, "stock:17-20")]);
    assert_eq!(table.locate(15), Some((G1, 15)));
    assert_eq!(
        [16, 17, 20, 21].map(|number| table.locate(number)),
        [None, Some((G2, 0)), Some((G2, 3)), None]
    );
    let names: Vec<String> = table.databases().map(|(_, database)| database.name).collect();
    assert_eq!(names, ["main", "stock"]);
    assert_eq!(table.groups()[&G2].view, expected(1, N1, (&[N1], &[])));
}

#[test]
fn a_number_belongs_to_one_database() {
    let table = table(&[create(G1, 2, &[N1, N2]), create_database(G2, "stock:17-20")]);
    for text in ["carts:20", "stock:30"] {
        let rejection = refused(&table, &create_database(GroupId(3), text));
        assert!(matches!(rejection, Rejection::DatabaseExists { .. }), "{rejection:?}");
    }
    is_not_allowed(&table, &create_database(GroupId(3), "carts:3"));
    assert_eq!(refused(&table, &create_database(G2, "carts:21")), Rejection::GroupExists(G2));
}

#[test]
fn a_raft_group_keeps_its_founders_and_an_odd_number_of_copies() {
    let (group, number) = (GroupId(2), ViewNumber(1));
    let database = "locks:21".parse::<Database>().expect("a database");
    let create = |copies: u32, nodes: u32| Command::CreateDatabase {
        group,
        database: Database { kind: Kind::Raft, ..database.clone() },
        copies,
        members: (1..=nodes).map(|node| member(NodeId(node))).collect(),
        primary: N1,
        boot: BootNumber(1),
    };
    let mut table = Table::default();
    for (copies, nodes) in [(0, 1), (2, 2), (4, 4), (3, 2)] {
        is_not_allowed(&table, &create(copies, nodes));
    }
    table.apply(&create(3, 3), Rules::default()).expect("three of three");
    is_not_allowed(&table, &Command::SetCopies { group, copies: 4 });
    let removal = Command::RemoveMember { group, expected: number, node: N2, reason: Reason::Silent };
    is_not_allowed(&table, &removal);
    is_not_allowed(&table, &Command::Handover { group, expected: number, heir: N2, boot: BootNumber(1) });
    // Others say who leads it.
    let led = View { number: ViewNumber(7), primary: N3, ..table.groups()[&group].view.clone() };
    let shown = table.with_leaders(|_| Some(led.clone()));
    assert_eq!((shown.groups()[&group].view.primary, table.kind(group)), (N3, Kind::Raft));
}

#[test]
fn events_tell_neither_secrets_nor_what_users_may_do() {
    let mut table = Table::default();
    let text = |text: &str| text.to_owned();
    let values = [(text("masterauth"), text("hidden")), (text("timeout"), text("7"))].into();
    let changes = [(b"ann".to_vec(), Some(b"on #hash +@all".to_vec()))].into();
    for command in [Command::SetParameters { values }, Command::ChangeUsers { expected: 0, changes }] {
        let proposal = Proposal { by: N1, at: onecopy_core::Timestamp(1), evidence: Vec::new(), command };
        table.execute(&proposal, Rules::default()).expect("it fits");
    }
    assert_eq!(table.settings().get("masterauth"), Some("hidden"));
    assert_eq!(table.users().get(b"ann"), Some(b"on #hash +@all".as_slice()));
    let told: Vec<String> = table.events().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("masterauth = \"(hidden)\", timeout = \"7\""), "{told:?}");
    assert!(told[1].contains("users are changed: ann") && !told[1].contains("hash"), "{told:?}");
}
