use onecopy_core::{BootNumber, GroupId, Incarnation, Member, NodeId, Rules};
use onecopy_views::{Addresses, Command, Registration};

use super::*;
use crate::operation::OperationOutcome;

const GROUP: GroupId = GroupId(1);
const NOW: Instant = Instant::ZERO;

fn member(node: u32) -> Member {
    Member { node: NodeId(node), incarnation: Incarnation(u128::from(node)) }
}

/// Nodes 1 to 3; 1 leads, 2 is its backup.
fn table() -> Table {
    let mut table = Table::default();
    for node in 1..=3 {
        let registration = Registration {
            incarnation: Incarnation(u128::from(node)),
            boot: BootNumber(1),
            holds_data: true,
            zone: String::new(),
            pid: node,
            run: 1,
            addresses: Addresses::default(),
        };
        apply(&mut table, &Command::RegisterNode { node: NodeId(node), registration });
    }
    let (members, primary) = (vec![member(1), member(2)], NodeId(1));
    let boot = BootNumber(1);
    apply(&mut table, &Command::CreateGroup { group: GROUP, copies: 2, members, primary, boot });
    table
}

fn apply(table: &mut Table, command: &Command) {
    table.apply(command, Rules::default()).expect("the command fits");
}

fn handed_over(mut table: Table) -> Table {
    let expected = table.groups()[&GROUP].view.number;
    apply(&mut table, &Command::Handover { group: GROUP, expected, heir: NodeId(2), boot: BootNumber(1) });
    table
}

fn take(operators: &mut PendingOperations, operation: Operation) -> oneshot::Receiver<Operated> {
    let (answer, answered) = oneshot::channel();
    operators.take(NOW, Request { wanted: Wanted::Operation(operation), answer }, &table());
    answered
}

fn operators() -> PendingOperations {
    PendingOperations::new(2, 7)
}

fn outcome(mut answered: oneshot::Receiver<Operated>) -> (OperationOutcome, String) {
    let Operated { outcome, message } = answered.try_recv().expect("an answer");
    (outcome, message)
}

fn refusal(operation: Operation) -> String {
    let (outcome, message) = outcome(take(&mut operators(), operation));
    assert_eq!(outcome, OperationOutcome::Refused);
    message
}

#[test]
fn a_command_is_asked_again_until_it_is_answered() {
    let mut operators = operators();
    let answered = take(&mut operators, Operation::Copies { group: 1, copies: 3 });
    let asked = Question::Command(Command::SetCopies { group: GROUP, copies: 3 });
    assert_eq!(operators.questions(NOW), [(7, asked.clone())]);
    assert_eq!(operators.questions(NOW), []);
    assert_eq!(operators.questions(NOW + REPEAT), [(7, asked)]);
    operators.answered(6, Err("an answer to an earlier process".to_owned()), &table());
    operators.answered(7, Ok(()), &table());
    let (outcome, message) = outcome(answered);
    assert_eq!(outcome, OperationOutcome::Done);
    assert!(message.contains("3 copies"), "{message}");
}

#[test]
fn what_was_done_before_is_done_although_it_is_refused_the_second_time() {
    let mut operators = operators();
    let answered = take(&mut operators, Operation::Copies { group: 1, copies: 2 });
    operators.answered(7, Err("nothing would change".to_owned()), &table());
    assert_eq!(outcome(answered).0, OperationOutcome::Done);
}

#[test]
fn nobody_can_ask_for_fewer_copies_than_writes_need() {
    let message = refusal(Operation::Copies { group: 1, copies: 1 });
    assert!(message.contains("less than min_copies = 2"), "{message}");
}

#[test]
fn a_refusal_is_told() {
    let mut operators = operators();
    let answered = take(&mut operators, Operation::Copies { group: 1, copies: 0 });
    operators.answered(7, Err("a group has at least one copy".to_owned()), &table());
    assert_eq!(outcome(answered), (OperationOutcome::Refused, "a group has at least one copy".to_owned()));
}

#[test]
fn a_handover_is_done_when_the_view_shows_it() {
    let mut operators = operators();
    let answered = take(&mut operators, Operation::Handover { group: 1, to: None });
    operators.learnt(&table());
    assert_eq!(operators.questions(NOW).len(), 1);
    operators.learnt(&handed_over(table()));
    let (outcome, message) = outcome(answered);
    assert_eq!(outcome, OperationOutcome::Done);
    assert!(message.contains("from node 1 to node 2"), "{message}");
}

#[test]
fn a_handover_is_asked_for_again_when_something_else_has_changed_the_view() {
    let mut operators = operators();
    let mut answered = take(&mut operators, Operation::Handover { group: 1, to: Some(2) });
    assert_eq!(operators.questions(NOW).len(), 1);
    let mut table = table();
    let expected = table.groups()[&GROUP].view.number;
    apply(&mut table, &Command::AddLearner { group: GROUP, expected, learner: member(3) });
    operators.learnt(&table);
    assert!(answered.try_recv().is_err(), "nothing is decided");
    assert_eq!(operators.questions(NOW).len(), 1);
    operators.learnt(&handed_over(table));
    assert_eq!(outcome(answered).0, OperationOutcome::Done);
}

#[test]
fn a_handover_to_who_is_no_member_any_more_is_refused() {
    let mut operators = operators();
    let answered = take(&mut operators, Operation::Handover { group: 1, to: Some(2) });
    let mut table = table();
    let (expected, reason) = (table.groups()[&GROUP].view.number, onecopy_views::Reason::Silent);
    apply(&mut table, &Command::RemoveMember { group: GROUP, expected, node: NodeId(2), reason });
    operators.learnt(&table);
    let (outcome, message) = outcome(answered);
    assert_eq!(outcome, OperationOutcome::Refused);
    assert!(message.contains("changed meanwhile"), "{message}");
}

#[test]
fn nobody_waits_for_ever() {
    let mut operators = operators();
    let answered = take(&mut operators, Operation::Drain { node: 3 });
    assert_eq!(operators.questions(NOW + PATIENCE), []);
    let (outcome, message) = outcome(answered);
    assert_eq!(outcome, OperationOutcome::Unknown);
    assert!(message.contains("majority"), "{message}");
    assert_eq!(operators.deadline(), None);
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    assert!(refusal(Operation::Handover { group: 1, to: Some(1) }).contains("the primary already"));
    assert!(refusal(Operation::Handover { group: 1, to: Some(3) }).contains("one of nodes 1, 2"));
    assert!(
        refusal(Operation::Recover { group: 1, node: 1, accept_data_loss: false }).contains("lost for good")
    );
}

fn new_database(name: &str, numbers: &str, copies: Option<u32>) -> Operation {
    Operation::CreateDatabase {
        name: name.to_owned(),
        numbers: numbers.to_owned(),
        replication: None,
        copies,
    }
}

#[test]
fn a_database_that_cannot_be_is_refused_at_once() {
    let cases = [
        ("carts", "x", None, "is not a database"),
        ("carts", "15", None, "belong to main"),
        ("carts", "16-40", None, "1 to 16 numbers"),
        ("Carts", "16", None, "small letters"),
        ("main", "16", None, "from the beginning"),
        ("carts", "16", Some(0), "at least one copy"),
        ("carts", "16", Some(1), "less than min_copies = 2"),
    ];
    for (name, numbers, copies, reason) in cases {
        let message = refusal(new_database(name, numbers, copies));
        assert!(message.contains(reason), "{name} {numbers} {copies:?}: {message}");
    }
    let message = refusal(Operation::SetDatabase {
        name: "carts".to_owned(),
        copies: Some(3),
        min_copies: None,
        reads: None,
        nodes: None,
    });
    assert!(message.contains("there is no database carts"), "{message}");
}

#[test]
fn a_database_that_is_there_is_created_although_the_second_question_is_refused() {
    let mut operators = operators();
    let answered = take(&mut operators, new_database("carts", "16", None));
    let asked = operators.questions(NOW);
    let [(7, Question::Command(Command::CreateDatabase { database, copies: 0, .. }))] = &asked[..] else {
        panic!("{asked:?}")
    };
    let mut table = table();
    let (members, primary, boot) = (vec![member(1), member(2)], NodeId(1), BootNumber(1));
    let (group, database, copies) = (GroupId(2), database.clone(), 2);
    apply(&mut table, &Command::CreateDatabase { group, database, copies, members, primary, boot });
    operators.answered(7, Err("carts:16 has the name of carts:16".to_owned()), &table);
    let (outcome, message) = outcome(answered);
    assert_eq!(outcome, OperationOutcome::Done);
    assert!(message.contains("carts:16 is there"), "{message}");
}
