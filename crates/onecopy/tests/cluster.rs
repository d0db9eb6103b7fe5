//! Faults of real processes and links: each kind that the support module offers, once.

mod support;

use std::time::Duration;

use redis::Commands;

use support::{Cluster, Options, PATIENCE, wait};

#[test]
fn the_death_of_the_primary_loses_nothing() {
    let mut cluster = Cluster::start(Options::default());
    let _: () = cluster.client(1).set("key", "value").unwrap();
    let primary = cluster.primary();
    cluster.kill(primary);
    cluster.wait_for_other_primary(primary);
    cluster.wait_until_complete();
    cluster.start_node(primary);
    cluster.wait_until_up(primary);
    for id in cluster.data_ids() {
        let value: String = cluster.client(id).get("key").unwrap();
        assert_eq!(value, "value", "read through node {id}");
    }
}

#[test]
fn a_paused_primary_is_replaced_and_comes_back_as_another() {
    let cluster = Cluster::start(Options::default());
    let primary = cluster.primary();
    let witness = cluster.data_ids().into_iter().find(|id| *id != primary).unwrap();
    let _: () = cluster.client(witness).set("key", "old").unwrap();
    cluster.pause(primary);
    cluster.wait_for_other_primary(primary);
    let _: () = cluster.client(witness).set("key", "new").unwrap();
    cluster.resume(primary);
    let value: String = cluster.client(primary).get("key").unwrap();
    assert_eq!(value, "new", "the old primary must not answer from its own copy");
    wait("another role for the old primary", PATIENCE, || {
        cluster.role(primary).filter(|role| role != "primary")
    });
}

#[test]
fn a_primary_that_is_cut_off_answers_nothing() {
    let cluster = Cluster::start(Options {
        proxied: true,
        settings: vec![("timeouts-request-ms", "1500".to_owned())],
        ..Options::default()
    });
    let primary = cluster.primary();
    let witness = cluster.data_ids().into_iter().find(|id| *id != primary).unwrap();
    let _: () = cluster.client(witness).set("key", "old").unwrap();
    let mut cut_off = cluster.client(primary);
    cut_off.set_read_timeout(Some(Duration::from_millis(2500))).unwrap();
    cluster.isolate(primary);
    let read: redis::RedisResult<String> = cut_off.get("key");
    assert!(read.is_err(), "a read of a primary that cannot ask anybody: {read:?}");
    cluster.wait_for_other_primary(primary);
    let _: () = cluster.client(witness).set("key", "new").unwrap();
    cluster.heal_all();
    let value = wait("an answer after the links are healed", PATIENCE, || {
        cluster.client(primary).get::<_, String>("key").ok()
    });
    assert_eq!(value, "new");
}

#[test]
fn a_link_that_is_cut_one_way_does_not_stop_the_cluster() {
    let cluster = Cluster::start(Options { proxied: true, ..Options::default() });
    let (primary, backup) = {
        let group = &cluster.report().groups[0];
        (group.primary, group.backups[0])
    };
    let spare = cluster.data_ids().into_iter().find(|id| ![primary, backup].contains(id)).unwrap();
    cluster.cut(primary, backup);
    wait("a write although the primary cannot reach its backup", PATIENCE, || {
        cluster.client(spare).set::<_, _, ()>("key", "value").ok()
    });
    cluster.heal_all();
    cluster.wait_until_complete();
    let value: String = cluster.client(backup).get("key").unwrap();
    assert_eq!(value, "value");
}
