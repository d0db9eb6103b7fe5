//! Who the view nodes are, in the table.

use std::collections::BTreeSet;

use super::*;

fn set(nodes: &[NodeId]) -> Command {
    Command::SetViewNodes { nodes: nodes.iter().copied().collect() }
}

#[test]
fn the_table_says_who_the_view_nodes_are() {
    let mut table = Table::default();
    assert!(table.view_nodes().is_empty());
    table.apply(&set(&[N1, N2, N3]), Rules::default()).unwrap();
    assert_eq!(table.view_nodes(), &BTreeSet::from([N1, N2, N3]));
    let refused = |table: &mut Table, command: &Command| table.apply(command, Rules::default()).unwrap_err();
    assert_eq!(refused(&mut table, &set(&[N1, N2, N3])), Rejection::NoChange);
    assert!(matches!(refused(&mut table, &set(&[])), Rejection::NotAllowed(_)));
    table.apply(&register(N3), Rules::default()).unwrap();
    let forget = Command::ForgetNode { node: N3 };
    assert!(matches!(refused(&mut table, &forget), Rejection::NotAllowed(_)));
    table.apply(&set(&[N1, N2]), Rules::default()).unwrap();
    table.apply(&forget, Rules::default()).unwrap();
    assert_eq!(Table::decode(&table.encode()), Ok(table));
    assert_eq!(set(&[N1, N2]).to_string(), "the view nodes are n1, n2");
}

#[test]
fn a_leader_proposes_the_view_nodes_until_the_table_has_them() {
    let config = MonitorConfig {
        failure_timeout: ms(TIMEOUT),
        refused_timeout: ms(REFUSED),
        copies: 2,
        rules: Rules::default(),
    };
    let at = |millis| Instant::ZERO + ms(millis);
    let (mut monitor, mut table) = (Monitor::new(config, at(0)), Table::default());
    let nodes = BTreeSet::from([N1, N2]);
    assert_eq!(monitor.decide_view_nodes(at(0), &table, &nodes), Some(set(&[N1, N2])));
    assert_eq!(monitor.decide_view_nodes(at(100), &table, &nodes), None, "it is on its way");
    assert_eq!(monitor.decide_view_nodes(at(200), &table, &nodes), Some(set(&[N1, N2])));
    table.apply(&set(&[N1, N2]), Rules::default()).unwrap();
    assert_eq!(monitor.decide_view_nodes(at(900), &table, &nodes), None);
}
