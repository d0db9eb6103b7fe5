use onecopy_core::{BootNumber, Petition, Plea, Rules};
use onecopy_replica::Message;
use onecopy_views::{Addresses, Command, Registration};

use super::tests::{GROUP, NOW, Node, view};
use super::*;

/// Node 1 leads nodes 2 and 3; all have everything that is in its log.
fn leader() -> Node {
    let mut node = Node::start(true);
    let view = view(1, &[1, 2, 3]);
    node.learn(view.clone());
    node.turn();
    let durable = node.plane.group(GROUP).expect("a group").replica().log().last().index;
    for from in [NodeId(2), NodeId(3)] {
        let checked = onecopy_core::Index(0);
        let ok = Message::PrepareOk { view: view.number, durable, checked, terms: None };
        let ok = GroupMessage::PrimaryBackup(ok);
        node.plane.received(NOW, from, GROUP, ok, &mut (), &mut node.out);
    }
    node.turn();
    node
}

/// The table of a view service in which these nodes are drained.
fn table(drained: &[u32]) -> Table {
    let mut table = Table::default();
    let registration = Registration {
        incarnation: onecopy_core::Incarnation(1),
        boot: BootNumber(1),
        holds_data: true,
        zone: String::new(),
        pid: 1,
        run: 1,
        addresses: Addresses::default(),
    };
    for node in drained.iter().copied().map(NodeId) {
        let register = Command::RegisterNode { node, registration: registration.clone() };
        let drain = Command::SetDrained { node, drained: true };
        for command in [register, drain] {
            table.apply(&command, Rules::default()).expect("the command fits");
        }
    }
    table
}

fn heirs_asked_for(effect: &[DataEffect]) -> Vec<NodeId> {
    let asked = effect.iter().filter_map(|effect| match effect {
        DataEffect::Petition(Petition { plea: Plea::HandOver { to }, .. }) => Some(*to),
        _ => None,
    });
    asked.collect()
}

fn after_learning(table: &Table) -> Vec<NodeId> {
    let mut node = leader();
    node.plane.announced(NOW, table, &mut (), &mut node.out);
    heirs_asked_for(&node.turn())
}

#[test]
fn a_primary_on_a_drained_node_hands_over_to_a_member_that_stays() {
    assert_eq!(after_learning(&table(&[1])), [NodeId(2)]);
    assert_eq!(after_learning(&table(&[1, 2])), [NodeId(3)]);
}

#[test]
fn a_primary_goes_on_if_it_stays_or_nobody_else_does() {
    assert_eq!(after_learning(&table(&[2])), []);
    assert_eq!(after_learning(&table(&[1, 2, 3])), []);
}

#[test]
fn a_node_that_is_about_to_stop_hands_over() {
    let mut node = leader();
    node.plane.leave();
    assert_eq!(heirs_asked_for(&node.turn()), [NodeId(2)]);
    // It waits for what comes of it.
    assert_eq!(node.plane.heir(GROUP), None);
    assert_eq!(heirs_asked_for(&node.turn()), []);
}

#[test]
fn an_operator_need_not_name_the_heir() {
    let mut node = leader();
    node.plane.announced(NOW, &table(&[2]), &mut (), &mut node.out);
    node.plane.hand_over(NOW, GROUP, None, &mut (), &mut node.out);
    assert_eq!(heirs_asked_for(&node.turn()), [NodeId(3)]);
}
