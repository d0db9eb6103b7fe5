//! Several databases in one cluster, each in a group of its own, with real processes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use onecopy::status::report::GroupReport;
use onecopy_harness::load::Counting;
use onecopy_harness::{Cluster, Options, PATIENCE, run, try_run, wait};

fn cluster(options: Options) -> Cluster {
    let databases = ["carts:16", "stock:17-20"].map(str::to_owned).to_vec();
    Cluster::start(Options { databases, ..options })
}

fn groups(cluster: &Cluster) -> BTreeMap<String, GroupReport> {
    let groups = cluster.report().groups.into_iter();
    groups.map(|group| (group.database.split(':').next().unwrap_or_default().to_owned(), group)).collect()
}

fn refusal(client: &mut redis::Connection, line: &str) -> String {
    try_run::<redis::Value>(client, line).expect_err(line).to_string()
}

#[test]
fn each_database_has_keys_of_its_own() {
    let cluster = cluster(Options::default());
    for (at, number) in [0, 5, 16, 17, 20].into_iter().enumerate() {
        // Through any node.
        let mut client = cluster.client_in(at as u32 % 3 + 1, number);
        assert_eq!(run::<u64>(&mut client, "DBSIZE"), 0);
        run::<()>(&mut client, &format!("SET key {number}"));
        run::<()>(&mut client, &format!("SET own{number} x"));
    }
    for number in [0, 5, 16, 17, 20] {
        let mut client = cluster.client_in(1, number);
        assert_eq!(run::<u16>(&mut client, "GET key"), number);
        let (_, mut keys): (u64, Vec<String>) = run(&mut client, "SCAN 0");
        keys.sort();
        assert_eq!(keys, ["key".to_owned(), format!("own{number}")]);
    }
    let mut stock = cluster.client_in(2, 17);
    assert!(refusal(&mut stock, "SELECT 21").contains("DB index is out of range"));
    // Within a group, keys move; across, they are copied.
    assert!(run::<bool>(&mut stock, "MOVE own17 20"));
    assert!(!run::<bool>(&mut stock, "MOVE key 0"), "there is another one");
    assert!(refusal(&mut stock, "ONCE token COPY key other DB 16").contains("belongs to the database stock"));
    run::<()>(&mut stock, "SWAPDB 17 18");
    assert_eq!(run::<Option<u16>>(&mut stock, "GET key"), None);
    let mut other = cluster.client_in(3, 18);
    assert_eq!(run::<u16>(&mut other, "GET key"), 17);
    // A node knows the sizes of what it holds itself.
    let stock_primary = groups(&cluster)["stock"].primary;
    wait("the numbers of the databases in INFO", PATIENCE, || {
        let info: String = run(&mut cluster.client(stock_primary), "INFO keyspace");
        (info.contains("db18:keys=1,") && info.contains("db20:keys=3,")).then_some(())
    });
    // And asks for those of the others.
    for id in cluster.data_ids() {
        wait("the databases of all nodes in INFO", PATIENCE, || {
            let info: String = run(&mut cluster.client(id), "INFO");
            let all = ["db0:keys=2,", "db5:keys=2,", "db16:keys=2,", "db18:keys=1,", "db20:keys=3,"];
            all.iter().all(|database| info.contains(database)).then_some(())
        });
    }
    run::<()>(&mut other, "FLUSHDB");
    assert_eq!(run::<u16>(&mut cluster.client_in(1, 20), "GET key"), 20);
    run::<()>(&mut cluster.client_in(1, 16), "FLUSHALL");
    for number in [0, 5, 16, 17, 20] {
        assert_eq!(run::<u64>(&mut cluster.client_in(2, number), "DBSIZE"), 0, "{number}");
    }
}

/// Commands that make one key of each type, and how each is read.
const VALUES: [(&str, &str, &str); 6] = [
    ("text", "SET text value", "GET"),
    ("number", "SET number -17", "GET"),
    ("list", "RPUSH list a b a", "LRANGE list 0 -1"),
    ("set", "SADD set member", "SMEMBERS"),
    ("hash", "HSET hash f 1 g h", "HGETALL"),
    ("zset", "ZADD zset 1.5 a -inf b", "ZRANGE zset 0 -1 WITHSCORES"),
];

#[test]
fn values_are_copied_between_databases_of_all_kinds() {
    let kinds = ["ledger:17-20:raft:3", "carts:16:optimistic:3"].map(str::to_owned).to_vec();
    let cluster = Cluster::start(Options { databases: kinds, ..Options::default() });
    let groups = groups(&cluster);
    for name in ["ledger", "carts"] {
        assert!(groups.contains_key(name), "{name}");
    }
    for (from, to) in [(0_u16, 18_u16), (0, 16), (18, 0), (18, 16), (16, 5), (16, 20)] {
        let (mut source, mut target) = (cluster.client_in(1, from), cluster.client_in(2, to));
        for (key, write, read) in VALUES {
            run::<()>(&mut source, write);
            run::<()>(&mut source, &format!("EXPIRE {key} 1000"));
            assert!(
                run::<bool>(&mut source, &format!("COPY {key} copy DB {to}")),
                "{key} from {from} to {to}"
            );
            let read = if read.contains(' ') { read.to_owned() } else { format!("{read} {key}") };
            // An optimistic database is read where it was written to.
            let reader = if to == 16 { &mut cluster.client_in(1, to) } else { &mut target };
            let original: redis::Value = run(&mut source, &read);
            let copied: redis::Value = run(reader, &read.replacen(key, "copy", 1));
            assert_eq!(copied, original, "{key} from {from} to {to}");
            let lives: i64 = run(reader, "TTL copy");
            assert!((900..=1000).contains(&lives), "{lives}");
            assert!(!run::<bool>(&mut source, &format!("COPY {key} copy DB {to}")), "something is there");
            assert!(run::<bool>(&mut source, &format!("COPY {key} copy REPLACE DB {to}")));
            assert!(!run::<bool>(&mut source, &format!("COPY nothing copy REPLACE DB {to}")));
            run::<()>(reader, "FLUSHDB");
        }
        run::<()>(&mut source, "FLUSHDB");
    }
    let mut main = cluster.client(3);
    run::<()>(&mut main, "XADD stream * f v");
    assert!(run::<bool>(&mut main, "COPY stream stream DB 17"));
    let refused = refusal(&mut main, "COPY stream stream DB 16");
    assert!(refused.contains("NOTMERGEABLE") || refused.contains("the value is a stream"), "{refused}");
    assert!(refused.contains("carts"), "{refused}");
    assert!(refusal(&mut main, "COPY stream stream DB 17 NOW").contains("syntax"));
    // What the client sends behind it finds the copy.
    let mut pipe = redis::pipe();
    pipe.cmd("SET").arg("a").arg(1).cmd("COPY").arg("a").arg("b").arg("DB").arg(17).cmd("SELECT").arg(17);
    pipe.cmd("GET").arg("b");
    let (_, copied, _, found): (String, bool, String, u32) = pipe.query(&mut main).expect("it is executed");
    assert_eq!((copied, found), (true, 1));
}

/// Where a key is, of two databases that are asked through a node; `None` as long as it is on its way.
fn places(cluster: &Cluster, through: u32, key: &str) -> Option<Vec<(u16, String)>> {
    let mut found = Vec::new();
    for number in [0, 17] {
        let value: Option<String> =
            try_run(&mut cluster.client_in(through, number), &format!("GET {key}")).ok()?;
        found.extend(value.map(|value| (number, value)));
    }
    Some(found)
}

#[test]
fn keys_move_between_groups_and_are_in_one_of_them_whoever_dies() {
    let kinds = ["ledger:17-20:raft:3", "carts:16:optimistic:3"].map(str::to_owned).to_vec();
    let mut cluster = Cluster::start(Options { databases: kinds, ..Options::default() });
    let (mut main, mut ledger) = (cluster.client_in(1, 0), cluster.client_in(2, 18));
    run::<()>(&mut main, "SET a 1 PX 100000");
    assert!(run::<bool>(&mut main, "MOVE a 18"));
    assert_eq!((run::<Option<u32>>(&mut main, "GET a"), run::<u32>(&mut ledger, "GET a")), (None, 1));
    assert!((90_000..=100_000).contains(&run::<u64>(&mut ledger, "PTTL a")));
    run::<()>(&mut main, "SET a 2");
    assert!(!run::<bool>(&mut main, "MOVE a 18"), "there is another one");
    assert!(!run::<bool>(&mut main, "MOVE nothing 18"));
    assert_eq!((run::<u32>(&mut main, "GET a"), run::<u32>(&mut ledger, "GET a")), (2, 1));
    for line in ["MOVE a 16", "ONCE token MOVE a 18"] {
        assert!(refusal(&mut main, line).contains("cannot span databases"), "{line}");
    }
    let refused = redis::pipe().atomic().cmd("MOVE").arg("a").arg(18).query::<redis::Value>(&mut main);
    let refused = refused.expect_err("it is refused").to_string();
    assert!(refused.contains("cannot span") || refused.contains("discarded"), "{refused}");
    // Keys are moved back and forth through a node that dies in the middle.
    let keys: Vec<String> = (0..8).map(|number| format!("key{number}")).collect();
    for key in &keys {
        run::<()>(&mut main, &format!("SET {key} {key}"));
    }
    let mut moved = 0;
    for victim in cluster.data_ids() {
        let moves: Vec<_> = keys
            .iter()
            .map(|key| {
                let mut clients = [0, 17].map(|number| cluster.client_in(victim, number));
                let lines = [format!("MOVE {key} 17"), format!("MOVE {key} 0")];
                std::thread::spawn(move || {
                    let mut moved = 0;
                    for at in (0..2).cycle() {
                        match try_run::<bool>(&mut clients[at], &lines[at]) {
                            Ok(was_there) => moved += u32::from(was_there),
                            // The node is gone.
                            Err(_) => return moved,
                        }
                    }
                    unreachable!("it goes on for ever")
                })
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(400));
        cluster.kill(victim);
        moved += moves.into_iter().map(|one| one.join().expect("it has ended")).sum::<u32>();
        let through = cluster.data_ids().into_iter().find(|id| *id != victim).expect("another");
        for key in &keys {
            let found = wait(&format!("{key} to have arrived"), PATIENCE, || places(&cluster, through, key));
            assert!(matches!(found.as_slice(), [(_, value)] if value == key), "{key}: {found:?}");
        }
        cluster.start_node(victim);
        cluster.wait_until_serving(victim);
        cluster.wait_until_complete();
    }
    println!("{moved} moves were answered, and every key is in one database");
    assert!(moved > 0, "nothing was moved: the test proves nothing");
}

/// Counts in all databases at once.
fn counting(addresses: &[SocketAddr]) -> Vec<Counting> {
    Counting::start_in_each(&[0, 16, 19], 3, addresses)
}

#[test]
fn every_group_survives_the_death_of_its_primary() {
    let mut cluster = cluster(Options::default());
    for name in ["carts", "main", "stock"] {
        let primary = groups(&cluster)[name].primary;
        let survivors: Vec<SocketAddr> = cluster
            .data_ids()
            .into_iter()
            .filter(|id| *id != primary)
            .map(|id| cluster.redis_address(id))
            .collect();
        let through = cluster.data_ids().into_iter().find(|id| *id != primary).expect("another");
        run::<()>(&mut cluster.client(through), "FLUSHALL");
        let counting = counting(&survivors);
        std::thread::sleep(std::time::Duration::from_millis(300));
        cluster.kill(primary);
        wait("other primaries", PATIENCE, || {
            groups(&cluster).values().all(|group| group.primary != primary).then_some(())
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        counting.into_iter().for_each(|one| one.stop_exact(survivors[0]));
        cluster.start_node(primary);
        cluster.wait_until_serving(primary);
        cluster.wait_until_complete();
    }
}

#[test]
fn all_groups_come_back_from_the_disk() {
    // So small that there are snapshots.
    let settings = vec![("log-bytes", "65536".to_owned())];
    let mut cluster = cluster(Options { settings, ..Options::default() });
    let value = "x".repeat(1_000);
    for number in [0_u16, 16, 17, 20] {
        let mut client = cluster.client_in(1, number);
        for key in 0..300 {
            run::<()>(&mut client, &format!("SET {key} {value}{number}"));
        }
    }
    cluster.kill_all(&cluster.ids());
    cluster.start_all();
    cluster.wait_until_complete();
    for (at, number) in [0_u16, 16, 17, 20].into_iter().enumerate() {
        let id = at as u32 % 3 + 1;
        cluster.wait_until_serving(id);
        let mut client = cluster.client_in(id, number);
        assert_eq!(run::<u64>(&mut client, "DBSIZE"), 300);
        assert_eq!(run::<String>(&mut client, "GET 299"), format!("{value}{number}"));
    }
}

#[test]
fn operators_name_the_group() {
    let mut cluster = cluster(Options::default());
    let before = groups(&cluster);
    let addresses: Vec<SocketAddr> = cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect();
    let counting = counting(&addresses);
    let said = cluster.must_operate(&["group", "handover", "--group", &before["carts"].group.to_string()]);
    assert!(said.contains(&format!("from node {} to node ", before["carts"].primary)), "{said}");
    let after = groups(&cluster);
    assert_ne!(after["carts"].primary, before["carts"].primary);
    assert_eq!((after["main"].view, after["stock"].view), (before["main"].view, before["stock"].view));
    let said = cluster.must_operate(&["group", "copies", "3", "--group", &before["stock"].group.to_string()]);
    assert!(said.contains("shall have 3 copies"), "{said}");
    wait("a third copy of stock", PATIENCE, || (groups(&cluster)["stock"].copies_have == 3).then_some(()));
    assert_eq!(groups(&cluster)["main"].copies_wanted, 2);
    let output = cluster.operate(&["group", "handover", "--group", "9"]);
    assert!(!output.status.success(), "there is no such group");
    counting.into_iter().for_each(|one| one.stop_exact(addresses[0]));
}

#[test]
fn operators_create_databases_while_clients_are_served() {
    let mut cluster = Cluster::start(Options::default());
    let addresses: Vec<SocketAddr> = cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect();
    assert!(refusal(&mut cluster.client(1), "SELECT 16").contains("DB index is out of range"));
    let counting = Counting::start_in_each(&[0], 3, &addresses);
    let said = cluster.must_operate(&["database", "create", "carts", "--numbers", "16"]);
    assert!(said.contains("carts:16 is there"), "{said}");
    cluster.must_operate(&["database", "create", "stock", "--numbers", "17-20", "--copies", "3"]);
    let refused = cluster.operate(&["database", "create", "other", "--number", "18"]);
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && reason.contains("stock:17-20"), "{reason}");
    for id in cluster.data_ids() {
        for number in [16, 17, 20] {
            let mut client = wait("the database at every node", PATIENCE, || {
                let mut client = cluster.client(id);
                try_run::<()>(&mut client, &format!("SELECT {number}")).ok().map(|()| client)
            });
            run::<()>(&mut client, &format!("SET key{id} {number}"));
            assert_eq!(run::<u64>(&mut client, "DBSIZE"), u64::from(id));
        }
    }
    counting.into_iter().for_each(|one| one.stop_exact(addresses[0]));
    cluster.must_operate(&["database", "set", "carts", "--copies", "3"]);
    wait("a third copy of carts", PATIENCE, || (groups(&cluster)["carts"].copies_have == 3).then_some(()));
    let listed = cluster.must_operate(&["database", "list", "--json"]);
    for expected in ["\"main\"", "\"carts\"", "\"stock\"", "\"17-20\""] {
        assert!(listed.contains(expected), "{listed}");
    }
    let shown = cluster.must_operate(&["database", "show", "stock"]);
    assert!(shown.contains("primary-backup") && shown.contains("3 of 3"), "{shown}");
    assert!(!cluster.operate(&["database", "show", "nothing"]).status.success());
    // It is in the view table, and nobody's settings say so.
    cluster.kill_all(&cluster.ids());
    cluster.start_all();
    cluster.wait_until_complete();
    cluster.wait_until_serving(2);
    assert_eq!(run::<u16>(&mut cluster.client_in(2, 20), "GET key3"), 20);
}

#[test]
fn databases_are_created_and_changed_by_clients_of_redis_too() {
    let cluster = Cluster::start(Options::default());
    let mut client = cluster.client(3);
    run::<()>(&mut client, "DATABASE CREATE locks 21 REPLICATION raft COPIES 3");
    run::<()>(&mut client, "DATABASE CREATE carts 16-17 COPIES 1");
    run::<()>(&mut client, "DATABASE SET carts COPIES 2");
    let listed: Vec<BTreeMap<String, redis::Value>> = run(&mut client, "DATABASE LIST");
    let texts = |field: &str| -> Vec<String> {
        listed.iter().map(|database| redis::from_redis_value_ref(&database[field]).expect("a text")).collect()
    };
    assert_eq!(texts("name"), ["main", "locks", "carts"]);
    assert_eq!(texts("numbers"), ["0-15", "21", "16-17"]);
    assert_eq!(texts("replication"), ["primary-backup", "raft", "primary-backup"]);
    assert_eq!(texts("copies"), ["2", "3", "2"]);
    let shown: BTreeMap<String, redis::Value> = run(&mut client, "DATABASE SHOW locks");
    let members: Vec<u32> = redis::from_redis_value_ref(&shown["members"]).expect("nodes");
    assert_eq!(members.len(), 3);
    for (line, reason) in [
        ("DATABASE CREATE other 17", "carts:16-17"),
        ("DATABASE CREATE other 30 REPLICATION raft COPIES 2", "1, 3 or 5"),
        ("DATABASE CREATE other 30 REPLICATION gossip", "no kind of replication"),
        ("DATABASE SET nothing COPIES 2", "nothing"),
        ("DATABASE SHOW nothing", "no database 'nothing'"),
        ("DATABASE DROP carts", "wrong number of arguments"),
        ("DATABASE DROP carts cart", "twice"),
        ("DATABASE MOVE carts 77", "hold data"),
        ("DATABASE MERGE carts", "unknown subcommand"),
    ] {
        let said = refusal(&mut client, line);
        assert!(said.contains(reason), "{line}: {said}");
    }
}

#[test]
fn a_dropped_database_is_gone_everywhere_also_on_a_node_that_was_away() {
    let mut cluster = cluster(Options { copies: 3, ..Options::default() });
    let carts = groups(&cluster)["carts"].group;
    let mut client = cluster.client_in(1, 16);
    (0..200).for_each(|key| run::<()>(&mut client, &format!("SET key{key} {}", "x".repeat(1_000))));
    let mistyped = cluster.operate(&["database", "drop", "carts", "cart"]);
    let said =
        String::from_utf8_lossy(&mistyped.stderr).into_owned() + &String::from_utf8_lossy(&mistyped.stdout);
    assert!(!mistyped.status.success() && said.contains("twice"), "{said}");
    let main = cluster.operate(&["database", "drop", "main", "main"]);
    assert!(!main.status.success(), "main is there for ever");
    cluster.kill(3);
    let said = cluster.must_operate(&["database", "drop", "carts", "carts"]);
    assert!(said.contains("is gone"), "{said}");
    let of_carts = |cluster: &Cluster, id: u32| {
        let status = cluster.status(id)?;
        Some(status.replicas.iter().any(|replica| replica.group == carts))
    };
    for id in [1, 2] {
        wait("a node without the database", PATIENCE, || {
            (of_carts(&cluster, id) == Some(false)).then_some(())
        });
    }
    // Who has it selected is told, at once.
    assert!(refusal(&mut client, "GET key1").contains("was dropped"));
    assert!(refusal(&mut client, "SELECT 16").contains("out of range"));
    // The number is free; the number of the group is not used again.
    cluster.must_operate(&["database", "create", "others", "--numbers", "16", "--copies", "2"]);
    let others = wait("the new database", PATIENCE, || groups(&cluster).remove("others"));
    assert!(others.group > carts);
    assert_eq!(run::<u64>(&mut cluster.client_in(2, 16), "DBSIZE"), 0);
    cluster.start_node(3);
    cluster.wait_until_up(3);
    wait("the node that was away", PATIENCE, || (of_carts(&cluster, 3) == Some(false)).then_some(()));
    assert_eq!(run::<u64>(&mut cluster.client_in(3, 16), "DBSIZE"), 0);
    // Not on the disk either: a node that is started again finds nothing of it.
    for id in [2, 3] {
        cluster.kill(id);
        cluster.start_node(id);
        cluster.wait_until_up(id);
        assert_eq!(of_carts(&cluster, id), Some(false), "node {id}");
    }
}

#[test]
fn a_database_has_bounds_and_reads_of_its_own() {
    let mut cluster = cluster(Options { copies: 3, ..Options::default() });
    cluster.must_operate(&["database", "set", "carts", "--min-copies", "3", "--reads", "confirm"]);
    let refused = cluster.operate(&["database", "set", "carts", "--copies", "2"]);
    assert!(!refused.status.success(), "no write would be taken any more");
    let shown: Vec<redis::Value> = run(&mut cluster.client(1), "DATABASE SHOW carts");
    assert!(format!("{shown:?}").contains("confirm"), "{shown:?}");
    // At a backup, reads of the one are forwarded, and those of the other are not.
    let reads = |cluster: &Cluster, name: &str, number: u16| {
        let group = groups(cluster).remove(name).expect("it is there");
        let backup = group.backups[0];
        let counted = |cluster: &Cluster| {
            let status = cluster.status(backup).expect("it answers");
            let replica = status.replicas.into_iter().find(|replica| replica.group == group.group);
            replica.expect("it has a copy").reads_as_backup
        };
        let mut client = cluster.client_in(backup, number);
        run::<()>(&mut client, "SET key value");
        let before = counted(cluster);
        (0..50).for_each(|_| assert_eq!(run::<String>(&mut client, "GET key"), "value"));
        wait("the status of the backup", PATIENCE, || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            Some(counted(cluster) - before)
        })
    };
    assert_eq!(reads(&cluster, "carts", 16), 0, "each read is confirmed");
    assert!(reads(&cluster, "stock", 17) > 0, "under leases as before");
    // With a node down, the one takes no writes, and the other does.
    cluster.kill(3);
    let mut carts = cluster.client_in(1, 16);
    wait("a refusal", PATIENCE, || {
        let refused = try_run::<redis::Value>(&mut carts, "SET key again").err()?;
        refused
            .to_string()
            .contains("needs 3")
            .then_some(())
            .or_else(|| refused.to_string().contains("need 3").then_some(()))
    });
    wait("a write", PATIENCE, || try_run::<()>(&mut cluster.client_in(1, 17), "SET key again").ok());
    cluster.must_operate(&["database", "set", "carts", "--min-copies", "1", "--reads", "lease"]);
    wait("a write", PATIENCE, || try_run::<()>(&mut carts, "SET key again").ok());
}

#[test]
fn a_database_is_moved_to_the_nodes_that_are_named_under_load() {
    let databases = ["carts:16", "locks:21:raft:3"].map(str::to_owned).to_vec();
    let mut cluster = Cluster::start(Options { nodes: 5, databases, ..Options::default() });
    let everywhere: Vec<SocketAddr> =
        cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect();
    for (name, number, copies) in [("carts", 16, 2), ("locks", 21, 3)] {
        let members = |cluster: &Cluster| -> Vec<u32> {
            let group = groups(cluster).remove(name).expect("it is there");
            let mut members: Vec<u32> = group.backups.into_iter().chain([group.primary]).collect();
            members.sort_unstable();
            if group.learners.is_empty() { members } else { Vec::new() }
        };
        let before =
            wait("all copies", PATIENCE, || Some(members(&cluster)).filter(|all| all.len() == copies));
        // All but one of them go, the primary among them perhaps.
        let mut nodes: Vec<u32> = cluster.data_ids().into_iter().filter(|id| !before.contains(id)).collect();
        nodes.extend(before.first());
        nodes.truncate(copies);
        nodes.sort_unstable();
        let counting = Counting::start_in(number, 4, &everywhere);
        let list: Vec<String> = nodes.iter().map(u32::to_string).collect();
        cluster.must_operate(&["database", "move", name, "--nodes", &list.join(",")]);
        wait("the copies where they are to be", PATIENCE, || (members(&cluster) == nodes).then_some(()));
        println!("{name}: {before:?} became {nodes:?}, the longest pause {:?}", counting.take_longest_gap());
        counting.stop_exact(everywhere[0]);
    }
    let few = cluster.operate(&["database", "move", "locks", "--nodes", "1,2"]);
    assert!(!few.status.success(), "three copies on two nodes");
    cluster.must_operate(&["database", "move", "locks", "--anywhere"]);
}
