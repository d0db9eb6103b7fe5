use onecopy_core::{BootNumber, Incarnation, Member, Rules, ViewNumber};
use onecopy_views::{Command, Reason};

use super::tests::{ME, Node, at, pings, table};
use super::*;

const GROUP: GroupId = GroupId(1);
const OTHER: NodeId = NodeId(1);

/// The table of a group that is led here, and another node is a backup; and what becomes of it.
fn led_here(then: &[Command]) -> ControlMessage {
    let mut led = (*table(&[OTHER.0, ME.0])).clone();
    let members = [OTHER, ME].map(|node| Member { node, incarnation: Incarnation(u128::from(node.0)) });
    let create = Command::CreateGroup {
        group: GROUP,
        copies: 2,
        members: members.into(),
        primary: ME,
        boot: 1.into(),
    };
    for command in [&create].into_iter().chain(then) {
        led.apply(command, Rules::default()).expect("the command fits");
    }
    ControlMessage::Table(Arc::new(led))
}

/// The other node takes over.
fn handover() -> Command {
    Command::Handover { group: GROUP, expected: ViewNumber(1), heir: OTHER, boot: BootNumber(1) }
}

/// The other node does without this one.
fn removal() -> Command {
    Command::RemoveMember { group: GROUP, expected: ViewNumber(2), node: ME, reason: Reason::Leaving }
}

/// A node that knows this, and has just been told to stop.
fn stopped(knows: ControlMessage) -> Node {
    let mut node = Node::start("");
    node.hears(OTHER.0, knows);
    node.plane.leave(at(0), &mut (), &mut node.out);
    assert!(matches!(node.out.effects[..], [ControlEffect::LeaveGroups]));
    node.out.effects.clear();
    node
}

fn ends(effects: &[ControlEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, ControlEffect::End))
}

/// Whether a turn in which there is a ping says that the node is about to stop.
fn goodbye(effects: &[ControlEffect]) -> Option<bool> {
    pings(effects).first().map(|(_, ping)| ping.leaving)
}

#[test]
fn a_primary_makes_way_and_says_goodbye_when_the_leases_it_held_have_run_out() {
    let mut node = stopped(led_here(&[]));
    assert_eq!(goodbye(&node.turn(0)), Some(false), "it leads");
    node.hears(OTHER.0, led_here(&[handover()]));
    assert_eq!(goodbye(&node.turn(100)), Some(false), "it has leases until 500");
    assert_eq!(goodbye(&node.turn(490)), Some(false));
    assert_eq!(node.plane.deadline(), at(500));
    assert_eq!(goodbye(&node.turn(500)), Some(true), "at once");
    node.hears(OTHER.0, led_here(&[handover(), removal()]));
    assert!(!ends(&node.turn(550)), "others may not know yet");
    assert!(!ends(&node.turn(599)));
    assert!(ends(&node.turn(600)));
}

#[test]
fn who_is_not_released_stops_in_the_end() {
    let mut node = stopped(led_here(&[handover()]));
    assert_eq!(goodbye(&node.turn(400)), Some(true));
    assert!(!ends(&node.turn(1_400)));
    assert!(ends(&node.turn(1_450)));
}

#[test]
fn a_primary_that_nobody_succeeds_stops_as_if_it_failed() {
    let mut node = stopped(led_here(&[]));
    let before = node.turn(999);
    assert!(!ends(&before) && goodbye(&before) == Some(false));
    assert!(ends(&node.turn(1_000)));
}

#[test]
fn who_has_nothing_that_others_wait_for_stops_soon() {
    let mut node = stopped(ControlMessage::Table(table(&[OTHER.0, ME.0])));
    assert_eq!(goodbye(&node.turn(0)), Some(true));
    assert!(ends(&node.turn(50)));
}
