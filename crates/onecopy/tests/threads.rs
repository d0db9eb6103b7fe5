//! Several data threads in each node, with real processes: groups belong to threads, clients are anywhere.

use std::net::SocketAddr;

use onecopy_harness::load::Counting;
use onecopy_harness::{Cluster, Options, PATIENCE, run, wait};

/// The numbers of the databases: `main`, and two others.
const NUMBERS: [u16; 3] = [0, 16, 17];

fn threads(count: u32) -> Vec<(&'static str, String)> {
    vec![("threads", count.to_string())]
}

/// A cluster of three databases, the groups 1 to 3.
fn cluster(settings: Vec<(&'static str, String)>, durability: &'static str) -> Cluster {
    let databases = ["carts:16", "stock:17"].map(str::to_owned).to_vec();
    Cluster::start(Options { databases, settings, durability, ..Options::default() })
}

fn primaries(cluster: &Cluster) -> Vec<u32> {
    cluster.report().groups.iter().map(|group| group.primary).collect()
}

/// A number that a node says of one of its data threads.
fn of_thread(cluster: &Cluster, id: u32, name: &str, thread: u32) -> Option<u64> {
    cluster.metric(id, &format!("{name}{{thread=\"{thread}\"}}"))
}

/// Four clients of each database at each of these nodes: they are spread over its threads.
fn count_everywhere(addresses: &[SocketAddr]) -> Vec<Counting> {
    Counting::start_in_each(&NUMBERS, 4 * addresses.len(), addresses)
}

fn addresses_but(cluster: &Cluster, node: u32) -> Vec<SocketAddr> {
    let others = cluster.data_ids().into_iter().filter(|id| *id != node);
    others.map(|id| cluster.redis_address(id)).collect()
}

#[test]
fn every_thread_has_clients_and_replicas() {
    let cluster = cluster(threads(2), "disk");
    let mut clients: Vec<_> = (0..8).map(|_| cluster.client(1)).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        run::<()>(client, &format!("CLIENT SETNAME client{at}"));
    }
    // All see all, wherever they are.
    for client in &mut clients {
        let list: String = run(client, "CLIENT LIST");
        let named = (0..8).filter(|at| list.contains(&format!(" name=client{at} "))).count();
        assert_eq!(named, 8, "{list}");
        let info: String = run(client, "INFO clients");
        assert!(info.contains("connected_clients:8\r\n"), "{info}");
        let own: String = run(client, "CLIENT INFO");
        let id: u64 = run(client, "CLIENT ID");
        assert!(own.starts_with(&format!("id={id} ")), "{own}");
    }
    // What a thread says of itself, it says a moment later.
    let both = |name| [0, 1].map(|thread| of_thread(&cluster, 1, name, thread));
    wait("four clients on each thread", PATIENCE, || (both("onecopy_clients") == [Some(4); 2]).then_some(()));
    // Group 2 is alone.
    wait("all replicas", PATIENCE, || (both("onecopy_replicas") == [Some(1), Some(2)]).then_some(()));
    wait("the groups of each thread", PATIENCE, || {
        let status = cluster.status(1)?;
        let by_group: Vec<(u32, u32)> = status.replicas.iter().map(|of| (of.group, of.thread)).collect();
        (by_group == [(1, 1), (2, 0), (3, 1)]).then_some(())
    });
}

#[test]
fn no_more_clients_are_let_in_than_there_may_be() {
    let mut settings = threads(2);
    settings.push(("limits-clients", "5".to_owned()));
    let cluster = cluster(settings, "disk");
    let mut clients: Vec<_> = (0..5).map(|_| cluster.client(1)).collect();
    assert!(cluster.try_client(1).is_err(), "there are five already");
    for client in &mut clients {
        run::<()>(client, "PING");
    }
    drop(clients.remove(1));
    wait("a place", PATIENCE, || cluster.try_client(1).ok());
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let cluster = cluster(threads(2), "memory");
    let mut clients: Vec<_> = (0..4).map(|at| cluster.client(at % 3 + 1)).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        let mut pipe = redis::pipe();
        for round in 0..50_i64 {
            for number in NUMBERS {
                pipe.cmd("SELECT").arg(number).ignore();
                pipe.cmd("INCRBY").arg(format!("key{at}")).arg(i64::from(number));
                pipe.cmd("ECHO").arg(round);
                pipe.cmd("GET").arg(format!("key{at}"));
            }
        }
        let replies: Vec<i64> = pipe.query(client).expect("replies");
        let expected = (0..50).flat_map(|round| {
            NUMBERS.into_iter().flat_map(move |number| {
                let sum = (round + 1) * i64::from(number);
                [sum, round, sum]
            })
        });
        assert_eq!(replies, expected.collect::<Vec<_>>());
    }
    run::<()>(&mut clients[0], "FLUSHALL");
    for number in NUMBERS {
        assert_eq!(run::<u64>(&mut cluster.client_in(2, number), "DBSIZE"), 0, "{number}");
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_primaries_die() {
    for durability in ["disk", "memory"] {
        let mut cluster = cluster(threads(2), durability);
        for group in 0..NUMBERS.len() {
            let primary = primaries(&cluster)[group];
            let survivors = addresses_but(&cluster, primary);
            run::<()>(&mut cluster.client((primary % 3) + 1), "FLUSHALL");
            let counting = count_everywhere(&survivors);
            std::thread::sleep(std::time::Duration::from_millis(300));
            cluster.kill(primary);
            wait("other primaries", PATIENCE, || (!primaries(&cluster).contains(&primary)).then_some(()));
            std::thread::sleep(std::time::Duration::from_millis(300));
            counting.into_iter().for_each(|one| one.stop_exact(survivors[0]));
            cluster.start_node(primary);
            cluster.wait_until_serving(primary);
            cluster.wait_until_complete();
        }
    }
}

#[test]
fn any_number_of_threads_finds_what_another_left() {
    let mut settings = threads(2);
    // So small that there are snapshots.
    settings.push(("log-bytes", "65536".to_owned()));
    let mut cluster = cluster(settings, "disk");
    let value = "x".repeat(1_000);
    for number in NUMBERS {
        let mut client = cluster.client_in(1, number);
        (0..200).for_each(|key| run::<()>(&mut client, &format!("SET {key} {value}{number}")));
    }
    for count in [3, 1, 2] {
        cluster.kill_all(&cluster.ids());
        cluster.options.settings[0].1 = count.to_string();
        cluster.start_all();
        cluster.wait_until_complete();
        for id in cluster.data_ids() {
            cluster.wait_until_serving(id);
            for number in NUMBERS {
                let mut client = cluster.client_in(id, number);
                assert_eq!(run::<u64>(&mut client, "DBSIZE"), 200, "{count} threads, node {id}, {number}");
                assert_eq!(run::<String>(&mut client, "GET 199"), format!("{value}{number}"));
                // Also to be found by the next number of threads.
                run::<()>(&mut client, &format!("SET 0 {count}"));
            }
        }
    }
}

#[test]
fn nodes_with_different_numbers_of_threads_understand_each_other() {
    let mut cluster = cluster(threads(1), "memory");
    for (id, count) in [(1, 3), (2, 2), (3, 4), (1, 1)] {
        let others = addresses_but(&cluster, id);
        run::<()>(&mut cluster.client(id % 3 + 1), "FLUSHALL");
        let counting = count_everywhere(&others);
        cluster.options.settings = threads(count);
        cluster.kill(id);
        cluster.start_node(id);
        cluster.wait_until_serving(id);
        cluster.wait_until_complete();
        // Through the node that has another number of threads now, too.
        let through_it = count_everywhere(&[cluster.redis_address(id)]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        for ((number, before), after) in NUMBERS.into_iter().zip(counting).zip(through_it) {
            let (counted_after, _) = after.stop(others[0]);
            let (counted, sum) = before.stop(others[0]);
            assert!(counted > 0 && counted_after > 0, "nothing was counted in {number}");
            assert_eq!(counted + counted_after, sum, "in {number}");
        }
    }
}

#[test]
fn the_threads_share_the_memory() {
    let mut settings = threads(2);
    settings.push(("maxmemory", "8mb".to_owned()));
    let databases = vec!["carts:16".to_owned()];
    // On one node, since a node shares its memory with nobody.
    let cluster = Cluster::start(Options {
        nodes: 1,
        copies: 1,
        view_nodes: 1,
        databases,
        settings,
        ..Options::default()
    });
    let value = "x".repeat(1_000_000);
    let mut carts = cluster.client_in(1, 16);
    let set =
        |client: &mut redis::Connection, key: u32| redis::cmd("SET").arg(key).arg(&value).query::<()>(client);
    let refused = (0..20).find(|key| set(&mut carts, *key).is_err()).expect("there is no room for 20 MB");
    assert!(refused >= 4, "{refused} MB are not half of what there is");
    // Nor is there for another database, at another thread.
    let mut main = cluster.client_in(1, 0);
    wait("main is refused, too", PATIENCE, || {
        let refusal = set(&mut main, 0).err()?;
        (refusal.code() == Some("OOM")).then_some(())
    });
    run::<()>(&mut carts, "FLUSHDB");
    wait("there is room again", PATIENCE, || set(&mut main, 0).ok());
}
