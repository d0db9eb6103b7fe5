//! Whatever is proposed, by whomever: the guarantees of the table.

use proptest::prelude::*;

use super::*;

fn node() -> impl Strategy<Value = NodeId> {
    (1..=4_u32).prop_map(NodeId)
}

/// Mostly the first life, sometimes the second.
fn replica() -> impl Strategy<Value = Member> {
    let life = prop_oneof![3 => Just(0), 1 => Just(100)];
    (node(), life)
        .prop_map(|(node, later)| Member { node, incarnation: Incarnation(u128::from(node.0) + later) })
}

fn boot() -> impl Strategy<Value = BootNumber> {
    (1..=3_u64).prop_map(BootNumber)
}

/// A command, whose expectation is how far it lies behind the current view.
fn command() -> impl Strategy<Value = (Command, u64)> {
    let group = prop_oneof![4 => Just(G1), 1 => Just(G2)];
    let kind = (group, node(), replica(), boot(), prop::collection::vec(node(), 0..3));
    let creation = (0..4_u32, prop::collection::vec(replica(), 0..4));
    let late = prop_oneof![5 => Just(0), 1 => Just(1), 1 => Just(u64::MAX)];
    let command = (0..18_u8, kind, creation).prop_map(
        |(which, (group, node, learner, boot, dropped), (copies, members))| {
            let (expected, reason) = (ViewNumber(0), Reason::Silent);
            match which {
                0 => Command::CreateGroup { group, copies, members, primary: node, boot },
                1 => Command::RemoveMember { group, expected, node, reason },
                2 => Command::PromoteMember { group, expected, primary: node, boot, dropped, reason },
                3 => Command::AddLearner { group, expected, learner },
                4 => Command::RemoveLearner { group, expected, node, reason },
                5 => Command::AddMember { group, expected, learner },
                6 => Command::Handover { group, expected, heir: node, boot },
                7 => Command::SetCopies { group, copies },
                8 => Command::SetDrained { node, drained: copies % 2 == 0 },
                9 => Command::ForgetNode { node },
                10 => Command::SetParameters { values: [(copies.to_string(), node.to_string())].into() },
                11 => Command::ChangeUsers {
                    expected: 0,
                    changes: [(vec![copies as u8], (copies % 2 == 0).then(|| vec![node.0 as u8]))].into(),
                },
                12 => Command::ChangeRoster { group, expected: 0, members },
                13 => Command::RosterReached { group, number: copies.into() },
                14 => Command::RaiseLevel { level: Level(copies) },
                15 => Command::HoldLevel { is_held: copies % 3 == 0 },
                16 => Command::RegisterWithLevel {
                    node,
                    registration: Registration { boot, ..registration(node) },
                    level: Level(copies),
                },
                _ => {
                    Command::RegisterNode { node, registration: Registration { boot, ..registration(node) } }
                }
            }
        },
    );
    (command, late)
}

/// Makes the command expect the current view of its group, or one that lies `late` behind.
fn expect(mut command: Command, late: u64, table: &Table) -> Command {
    let current = command.group().and_then(|group| table.groups().get(&group));
    let current = current.map_or(ViewNumber(1), |group| group.view.number);
    match &mut command {
        Command::RemoveMember { expected, .. }
        | Command::PromoteMember { expected, .. }
        | Command::Handover { expected, .. }
        | Command::Recover { expected, .. }
        | Command::AddLearner { expected, .. }
        | Command::RemoveLearner { expected, .. }
        | Command::RetireCopy { expected, .. }
        | Command::KeepCopy { expected, .. }
        | Command::LetCopyGo { expected, .. }
        | Command::AddMember { expected, .. } => *expected = ViewNumber(current.0.wrapping_sub(late)),
        Command::ChangeUsers { expected, .. } => *expected = table.users().revision().wrapping_sub(late),
        Command::RegisterNode { .. }
        | Command::RegisterWithLevel { .. }
        | Command::RaiseLevel { .. }
        | Command::HoldLevel { .. }
        | Command::SetParameters { .. }
        | Command::CreateGroup { .. }
        | Command::CreateDatabase { .. }
        | Command::SetCopies { .. }
        | Command::SetDrained { .. }
        | Command::SetViewNodes { .. }
        | Command::ForgetNode { .. }
        | Command::GiveUpNode { .. }
        | Command::SetCopiesBeforeOk { .. }
        | Command::ChangeRoster { .. }
        | Command::RosterReached { .. }
        | Command::DropDatabase { .. }
        | Command::SetOptions { .. }
        | Command::SwitchKind { .. }
        | Command::CompleteSwitch { .. }
        | Command::NoteClock { .. } => {}
    }
    command
}

fn follows(before: &View, after: &View) {
    assert!(after.valid(), "{after:?}");
    assert_eq!(after.number, before.number.next(), "numbers grow by one");
    let primary = after.member(after.primary).expect("the primary is a member");
    assert!(before.is_member(primary), "P4 heirs only: {before} → {after}");
    for member in &after.members {
        assert!(before.is_member(member) || before.is_learner(member), "{before} → {after}");
    }
    let promoted = after.members.iter().filter(|member| before.is_learner(member)).count();
    assert!(promoted <= 1, "at most one learner becomes a member: {before} → {after}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_command_makes_a_view_that_the_protocol_forbids(
        commands in prop::collection::vec(command(), 1..60)
    ) {
        let mut table = table(&[create(G1, 3, &[N1, N2])]);
        for (command, late) in commands {
            let command = expect(command, late, &table);
            let before = table.clone();
            match table.apply(&command, Rules::default()) {
                Err(_) => assert_eq!(table, before, "a refused command changes nothing"),
                Ok(()) => {
                    assert_eq!(table.version(), before.version() + 1);
                    for (id, group) in before.groups() {
                        let after = &table.groups()[id].view;
                        let changes = !matches!(command, Command::SetCopies { .. });
                        match changes && command.group() == Some(*id) {
                            true => follows(&group.view, after),
                            false => assert_eq!(after, &group.view),
                        }
                    }
                }
            }
            assert!(before.level() <= table.level(), "E4: the level in force never goes down");
            let knows = |node: &NodeId| table.level_of(*node) >= table.level();
            assert!(table.nodes().keys().all(knows), "E4: all nodes know the level in force");
            for group in table.groups().values() {
                assert!(group.view.valid());
            }
            assert_eq!(Table::decode(&table.encode()).as_ref(), Ok(&table));
        }
    }

    #[test]
    fn bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Proposal::decode(&bytes);
        if let Ok(table) = Table::decode(&bytes) {
            assert!(table.groups().values().all(|group| group.view.valid()));
        }
        let _ = crate::Membership::decode(&bytes);
    }
}
