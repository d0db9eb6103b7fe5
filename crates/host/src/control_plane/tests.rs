use onecopy_core::{BootNumber, Incarnation, Level, Levels, Petition, Plea, Rules, ViewNumber};
use onecopy_views::{ClockReading, Command, Moment, Registration};

use super::*;

pub(super) const ME: NodeId = NodeId(4);

pub(super) fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn start(run: u64) -> Start {
    Start { incarnation: Incarnation(4), boot: BootNumber(1), run }
}

fn address(node: u32) -> String {
    format!("10.0.0.{node}:7379")
}

fn settings() -> ControlSettings {
    ControlSettings {
        node: ME,
        start: start(1),
        holds_data: true,
        zone: String::new(),
        pid: 7,
        addresses: Addresses { peer: address(ME.0), ..Addresses::default() },
        view_nodes: [NodeId(1)].into(),
        levels: Levels::default(),
        ping_interval: Duration::from_millis(100),
        lease: Duration::from_millis(200),
    }
}

/// The table of a cluster of these nodes; all are view nodes.
pub(super) fn table(nodes: &[u32]) -> Arc<Table> {
    let mut table = Table::default();
    for node in nodes {
        let registration = Registration {
            incarnation: Incarnation(u128::from(*node)),
            boot: BootNumber(1),
            holds_data: true,
            zone: String::new(),
            pid: 1,
            run: 1,
            addresses: Addresses { peer: address(*node), ..Addresses::default() },
        };
        let command = Command::RegisterNode { node: NodeId(*node), registration };
        table.apply(&command, Rules::default()).expect("it is news");
    }
    let nodes = nodes.iter().copied().map(NodeId).collect();
    table.apply(&Command::SetViewNodes { nodes }, Rules::default()).expect("it is news");
    Arc::new(table)
}

/// A control plane of which somebody else is the shell.
pub(super) struct Node {
    pub(super) plane: ControlPlane,
    whereabouts: Whereabouts,
    pub(super) out: Out<ControlEffect>,
}

impl Node {
    /// One that remembers what the disk of another one had.
    pub(super) fn start(known: &str) -> Self {
        let mut out = Out::default();
        let known = KnownNodes::read(known);
        let time = (at(0), Timestamp(0));
        let plane = ControlPlane::start(settings(), known, None, time, &mut (), &mut out);
        Self { plane, whereabouts: Whereabouts::default(), out }
    }

    pub(super) fn hears(&mut self, from: u32, message: ControlMessage) -> Vec<ControlEffect> {
        let (plane, whereabouts, out) = (&mut self.plane, &self.whereabouts, &mut self.out);
        plane.received(at(0), NodeId(from), message, whereabouts, &mut (), out);
        self.plane.grant(&mut self.out);
        self.out.effects.drain(..).collect()
    }

    pub(super) fn turn(&mut self, millis: u64) -> Vec<ControlEffect> {
        let (now, out) = ((at(millis), Timestamp(millis)), &mut self.out);
        self.plane.end_turn(now, &self.whereabouts, Vitals::default, &mut (), out);
        self.out.effects.drain(..).collect()
    }
}

/// Who is told something, and what of it the closure knows.
fn told<T>(effects: &[ControlEffect], what: impl Fn(&ControlMessage) -> Option<T>) -> Vec<(u32, T)> {
    let told = effects.iter().filter_map(|effect| match effect {
        ControlEffect::Send { to, message } => Some((to.0, what(message)?)),
        _ => None,
    });
    told.collect()
}

/// The pings, and to whom they go.
pub(super) fn pings(effects: &[ControlEffect]) -> Vec<(u32, Ping)> {
    told(effects, |message| match message {
        ControlMessage::Ping(ping) => Some(ping.clone()),
        _ => None,
    })
}

/// The same by number.
fn pinged(effects: &[ControlEffect]) -> Vec<(u32, u64)> {
    pings(effects).into_iter().map(|(to, ping)| (to, ping.number)).collect()
}

/// A ping of a node that knows this version of the table, and cannot find these.
fn ping(table: u64, seeks: &[u32]) -> ControlMessage {
    ControlMessage::Ping(Ping {
        incarnation: Incarnation(2),
        boot: BootNumber(1),
        number: 1,
        holds_data: true,
        zone: String::new(),
        pid: 1,
        run: 1,
        addresses: Addresses { peer: address(2), ..Addresses::default() },
        clock: ClockReading { wall: Timestamp(0), at: at(0) },
        leaving: false,
        busy_for: None,
        table,
        seeks: seeks.iter().copied().map(NodeId).collect(),
        groups: Vec::new(),
        level: Level::FIRST,
    })
}

#[test]
fn all_view_nodes_hear_each_ping_and_one_other_node_in_turn() {
    let mut node = Node::start("");
    for other in [1, 2, 3] {
        node.whereabouts.configure(NodeId(other), address(other));
    }
    assert_eq!(pinged(&node.turn(0)), [(1, 1), (2, 1)]);
    assert!(pinged(&node.turn(99)).is_empty(), "it is not due");
    assert_eq!(node.plane.deadline(), at(100));
    assert_eq!(pinged(&node.turn(100)), [(1, 2), (3, 2)]);
    assert_eq!(pinged(&node.turn(200)), [(1, 3), (2, 3)]);
}

#[test]
fn what_a_replica_asks_for_is_put_in_order_by_the_pings_before_it() {
    let mut node = Node::start("");
    node.turn(0);
    let plea = Plea::HandOver { to: NodeId(2) };
    node.plane.petition(Petition { group: GroupId(1), view: ViewNumber(3), plea }, &mut node.out);
    let asked = told(&node.out.effects, |message| match message {
        ControlMessage::Petition(moment, petition) => Some((*moment, petition.plea)),
        _ => None,
    });
    assert_eq!(asked, [(1, (Moment { boot: BootNumber(1), pings: 1 }, plea))]);
}

#[test]
fn who_knows_less_is_told_of_the_table_and_of_those_it_seeks() {
    let mut node = Node::start("");
    node.whereabouts.tell(NodeId(3), &address(3));
    let newest = table(&[1, 2, 3]);
    node.hears(1, ControlMessage::Table(newest.clone()));
    let answers = node.hears(2, ping(newest.version() - 1, &[3, 5]));
    let said = told(&answers, |message| match message {
        ControlMessage::Table(table) => Some(format!("table {}", table.version())),
        ControlMessage::Found { node, address } => Some(format!("{} is at {address}", node.0)),
        _ => None,
    });
    let expected = [(2, "3 is at 10.0.0.3:7379".to_owned()), (2, format!("table {}", newest.version()))];
    assert_eq!(said, expected);
    assert!(node.hears(ME.0, ping(newest.version(), &[3])).is_empty(), "nobody shows itself the way");
}

/// Two nodes told each other for ever where a third had been. It was heard, and the table knew better.
#[test]
fn a_ping_says_where_its_sender_is_whatever_the_table_knows_already() {
    let mut node = Node::start("");
    let newest = table(&[1, 2, 3]);
    node.hears(1, ControlMessage::Table(newest.clone()));
    let effects = node.hears(2, ping(newest.version(), &[]));
    let [ControlEffect::LookFor { node: NodeId(2), address: place }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(*place, address(2));
}

/// A node was once told that its life is over: an earlier one, of which a ping came late, had been elsewhere
/// and was registered.
#[test]
fn another_life_is_shown_the_table_where_it_is_before_it_is_believed() {
    let mut node = Node::start("");
    let newest = table(&[1, 2, 3]);
    node.hears(1, ControlMessage::Table(newest.clone()));
    let ControlMessage::Ping(known) = ping(1, &[]) else { unreachable!() };
    let addresses = Addresses { peer: address(9), ..Addresses::default() };
    let other = Ping { incarnation: Incarnation(22), addresses, ..known };
    let effects = node.hears(2, ControlMessage::Ping(other.clone()));
    let [
        ControlEffect::TellStranger { to: NodeId(2), address: place, message: ControlMessage::Table(shown) },
    ] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((place, shown), (&address(9), &newest));
    let heard = Ping { table: newest.version(), ..other };
    let effects = node.hears(2, ControlMessage::Ping(heard));
    assert!(matches!(&effects[..], [ControlEffect::LookFor { .. }]), "{effects:?}");
}

#[test]
fn a_newer_table_is_followed_remembered_and_told() {
    let mut node = Node::start("");
    let newer = table(&[1, 2, 3]);
    let effects = node.hears(1, ControlMessage::Table(newer.clone()));
    let [ControlEffect::Follow(_), ControlEffect::Remember(known), ControlEffect::Learnt(learnt)] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(known.places().map(|(node, _)| node.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((learnt, node.plane.table()), (&newer, &newer));
    assert!(node.hears(2, ControlMessage::Table(newer)).is_empty(), "it is no news any more");
    assert!(node.hears(2, ControlMessage::Table(table(&[5]))).is_empty(), "it is older");
}

#[test]
fn a_table_that_is_older_than_what_is_remembered_says_nothing_of_places() {
    let mut node = Node::start("version 9\n2 10.0.0.99:7379 view\n");
    let effects = node.hears(1, ControlMessage::Table(table(&[1, 2, 3])));
    assert!(matches!(effects[..], [ControlEffect::Learnt(_)]), "{effects:?}");
}

#[test]
fn view_nodes_are_those_of_the_settings_of_the_disk_and_of_the_table() {
    let mut node = Node::start("version 9\n2 10.0.0.2:7379 view\n3 10.0.0.3:7379\n");
    assert_eq!(pinged(&node.turn(0)), [(1, 1), (2, 1)]);
    node.hears(1, ControlMessage::Table(table(&[5])));
    assert_eq!(pinged(&node.turn(100)), [(1, 2), (2, 2), (5, 2)]);
}

#[test]
fn a_table_that_knows_a_later_life_of_the_node_shows_that_this_one_is_an_old_image() {
    let mut later = (*table(&[4])).clone();
    let mut registration = later.nodes()[&ME].clone();
    registration.incarnation = Incarnation(5);
    later.apply(&Command::RegisterNode { node: ME, registration }, Rules::default()).expect("it is news");
    let effects = Node::start("").hears(1, ControlMessage::Table(Arc::new(later)));
    assert!(matches!(effects[0], ControlEffect::OldImage), "{effects:?}");
}

#[test]
fn a_table_of_a_level_that_is_not_known_ends_the_process_and_is_not_learnt() {
    let mut newer = Table::default();
    let registration = table(&[4]).nodes()[&ME].clone();
    let register = Command::RegisterWithLevel { node: ME, registration, level: Level(2) };
    for command in [register, Command::RaiseLevel { level: Level(2) }] {
        newer.apply(&command, Rules::default()).expect("it is allowed");
    }
    let mut node = Node::start("");
    let effects = node.hears(1, ControlMessage::Table(Arc::new(newer)));
    assert!(matches!(effects[..], [ControlEffect::UnknownLevel(unknown)] if unknown.level == Level(2)));
    assert_eq!(node.plane.table().version(), 0);
}

#[test]
fn a_view_node_is_told_what_it_has_decided_itself() {
    let mut settings = settings();
    settings.view_nodes = [ME].into();
    let view_settings = ViewSettings {
        node: ME,
        incarnation: Incarnation(14),
        view_nodes: vec![ME],
        databases: Vec::new(),
        copies: 1,
        failure_timeout: Duration::from_millis(500),
        refused_timeout: Duration::from_millis(100),
        election_timeout: Duration::from_millis(300),
        append_bytes_max: 1 << 20,
        log_bytes_max: 1 << 20,
        seed: 1,
        rules: Rules::default(),
    };
    let (time, mut out) = ((at(0), Timestamp(0)), Out::default());
    let view_node = Some((view_settings, Kept::default()));
    let plane = ControlPlane::start(settings, KnownNodes::default(), view_node, time, &mut (), &mut out);
    let mut node = Node { plane, whereabouts: Whereabouts::default(), out };
    let mut learnt = 0;
    for millis in (0..3_000).step_by(20) {
        let writes: Vec<_> = node.out.writes.drain(..).collect();
        for job in writes {
            node.plane.persisted(at(millis), job.group, job.ticket, &mut (), &mut node.out);
        }
        for effect in node.turn(millis) {
            match effect {
                ControlEffect::Send { to: ME, message } => {
                    let (plane, out) = (&mut node.plane, &mut node.out);
                    plane.received(at(millis), ME, message, &node.whereabouts, &mut (), out);
                }
                ControlEffect::Learnt(table) => learnt = table.version(),
                ControlEffect::Follow(_) | ControlEffect::Remember(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let service = node.plane.view_service().expect("it is a view node");
    assert!(service.leads() && service.table().nodes().contains_key(&ME));
    assert_eq!((learnt, node.plane.table().version()), (service.table().version(), learnt));
}
