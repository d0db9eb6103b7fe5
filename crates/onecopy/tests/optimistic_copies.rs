//! Copies of an optimistic database that come and go while clients write, and writes that wait for copies,
//! with real processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use onecopy_node::CopyStatus;

const NUMBER: u16 = 16;

fn cluster(nodes: u32, copies: u32, options: Options) -> Cluster {
    let databases = vec![format!("carts:{NUMBER}:optimistic:{copies}")];
    let cluster = Cluster::start(Options { nodes, databases, ..options });
    wait_for_copies(&cluster, copies as usize);
    cluster
}

/// What a node says of its copy, if it has one.
fn copy(cluster: &Cluster, id: u32) -> Option<CopyStatus> {
    let copy = cluster.status(id)?.replicas.into_iter().find_map(|replica| replica.optimistic)?;
    (copy.place != "spare").then_some(copy)
}

/// The nodes that have copies.
fn holders(cluster: &Cluster) -> Vec<u32> {
    cluster.data_ids().into_iter().filter(|id| copy(cluster, *id).is_some()).collect()
}

/// Waits until there are so many copies, all of which serve and are the same.
fn wait_for_copies(cluster: &Cluster, count: usize) {
    wait(&format!("{count} copies that are the same"), PATIENCE, || {
        let copies: Vec<CopyStatus> = cluster.data_ids().iter().filter_map(|id| copy(cluster, *id)).collect();
        let same = |copy: &CopyStatus| copy.serves && copy.lacks == 0 && copy.digest == copies[0].digest;
        (copies.len() == count && copies.iter().all(same)).then_some(())
    });
}

/// What a writer was told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: i64,
    errors: Vec<String>,
}

/// Ends the writers, also if something goes wrong beside them.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A writer at each node, while `meanwhile` happens. They pause now and then: a copy that is to go must have
/// handed on all that it has heard, and where there is always more, that takes long.
fn under_load(cluster: &mut Cluster, meanwhile: impl FnOnce(&mut Cluster)) -> Vec<Told> {
    let stop = AtomicBool::new(false);
    let clients: Vec<_> = cluster.data_ids().iter().map(|id| cluster.client_in(*id, NUMBER)).collect();
    std::thread::scope(|scope| {
        let stop = &stop;
        let write = |mut client: redis::Connection| {
            move || {
                let mut told = Told::default();
                while !stop.load(Ordering::Relaxed) {
                    match redis::cmd("INCR").arg("counter").query::<i64>(&mut client) {
                        Ok(_) => told.acknowledged += 1,
                        Err(error) => told.errors.push(error.to_string()),
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                told
            }
        };
        let writers: Vec<_> = clients.into_iter().map(|client| scope.spawn(write(client))).collect();
        let stops = Stop(stop);
        meanwhile(cluster);
        drop(stops);
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).collect()
    })
}

fn counter(cluster: &Cluster, id: u32) -> i64 {
    redis::cmd("GET").arg("counter").query(&mut cluster.client_in(id, NUMBER)).expect("a number")
}

#[test]
fn copies_leave_a_drained_node_and_grow_and_shrink_under_load() {
    let mut cluster = cluster(4, 2, Options::default());
    let drained = holders(&cluster)[0];
    let told = under_load(&mut cluster, |cluster| {
        std::thread::sleep(Duration::from_millis(300));
        let number = drained.to_string();
        cluster.must_operate(&["node", "drain", &number, "--wait", "60"]);
        wait("a node without a copy", PATIENCE, || copy(cluster, drained).is_none().then_some(()));
        cluster.must_operate(&["node", "undrain", &number]);
        for copies in [4, 1, 3] {
            cluster.must_operate(&["database", "set", "carts", "--copies", &copies.to_string()]);
            wait("so many copies", PATIENCE, || (holders(cluster).len() == copies).then_some(()));
        }
    });
    wait_for_copies(&cluster, 3);
    let errors: Vec<&String> = told.iter().flat_map(|told| &told.errors).collect();
    let acknowledged: i64 = told.iter().map(|told| told.acknowledged).sum();
    println!("{acknowledged} increments, errors: {errors:?}");
    assert!(errors.is_empty(), "{errors:?}");
    assert!(told.iter().all(|told| told.acknowledged > 50), "{told:?}");
    for id in cluster.data_ids() {
        assert_eq!(counter(&cluster, id), acknowledged, "node {id}");
    }
}

#[test]
fn a_copy_that_is_cut_off_is_waited_for_before_it_goes() {
    let mut cluster = cluster(3, 2, Options { proxied: true, ..Options::default() });
    let leaving = holders(&cluster)[0];
    let stays = holders(&cluster)[1];
    // It still hears the view service, and no other copy hears of what it takes.
    cluster.cut_both(leaving, stays);
    let mut client = cluster.client_in(leaving, NUMBER);
    redis::cmd("SET").arg("mine").arg("1").query::<()>(&mut client).expect("it is taken");
    let number = leaving.to_string();
    let drained = cluster.operate(&["node", "drain", &number, "--wait", "4"]);
    assert_eq!(drained.status.code(), Some(2), "{drained:?}");
    let said = String::from_utf8_lossy(&drained.stderr).into_owned();
    assert!(said.contains("still holds a copy"), "{said}");
    cluster.heal_all();
    cluster.must_operate(&["node", "drain", &number, "--wait", "60"]);
    wait_for_copies(&cluster, 2);
    for id in cluster.data_ids() {
        let value: String =
            redis::cmd("GET").arg("mine").query(&mut cluster.client_in(id, NUMBER)).expect("an answer");
        assert_eq!(value, "1", "node {id}");
    }
}

#[test]
fn a_dead_node_is_given_up_by_an_operator_alone() {
    let mut cluster = cluster(4, 3, Options { view_nodes: 1, ..Options::default() });
    let dead = holders(&cluster).into_iter().find(|id| *id != 1).expect("there are three");
    cluster.kill(dead);
    let number = dead.to_string();
    let refused = cluster.operate(&["node", "remove", &number]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("carts"), "{refused:?}");
    // Its copies of main go by themselves, once others have everything.
    wait("a node that can be given up", PATIENCE, || {
        let done = cluster.operate(&["node", "remove", &number, "--accept-data-loss"]);
        done.status.success().then_some(())
    });
    wait("a copy elsewhere", PATIENCE, || {
        let held: Vec<u32> = cluster
            .data_ids()
            .into_iter()
            .filter(|id| *id != dead && copy(&cluster, *id).is_some())
            .collect();
        (held.len() == 3).then_some(())
    });
}

#[test]
fn a_write_waits_for_as_many_copies_as_its_database_says() {
    let options = Options {
        proxied: true,
        settings: vec![("timeouts-request-ms", "2000".to_owned())],
        ..Options::default()
    };
    let mut cluster = cluster(3, 3, options);
    cluster.must_operate(&["database", "set", "carts", "--copies-before-ok", "2"]);
    let shown = cluster.cli(&["database", "show", "carts", "--http", &cluster.http_address(1).to_string()]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("copies_before_ok 2"), "{shown:?}");
    let too_many = cluster.operate(&["database", "set", "carts", "--copies-before-ok", "4"]);
    assert!(!too_many.status.success(), "{too_many:?}");
    let set = |cluster: &Cluster, id: u32| {
        redis::cmd("SET").arg("k").arg(id).query::<()>(&mut cluster.client_in(id, NUMBER))
    };
    wait("a node that has heard of it", PATIENCE, || set(&cluster, 1).ok());
    cluster.isolate(1);
    let refused = wait("a refusal", PATIENCE, || set(&cluster, 1).err());
    // What was on its way when the links broke may be here, and nobody else may have it.
    let refused = match refused.code() {
        Some("UNKNOWN") => wait("a refusal", PATIENCE, || set(&cluster, 1).err()),
        _ => refused,
    };
    assert_eq!(refused.code(), Some("NOREPLICAS"), "{refused}");
    set(&cluster, 2).expect("two of three are there");
    let read: Option<u32> =
        redis::cmd("GET").arg("k").query(&mut cluster.client_in(1, NUMBER)).expect("it reads");
    assert!(read.is_some());
    cluster.heal_all();
    wait("a node that is one of three again", PATIENCE, || set(&cluster, 1).ok());
}
