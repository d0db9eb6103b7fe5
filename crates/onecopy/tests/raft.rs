//! Raft groups with real processes: leaders are killed, paused and stopped under load, also while no view
//! service is there; disks are lost, and copies go elsewhere; and nothing that was acknowledged is lost,
//! counted twice or read too old.
//!
//! `ONECOPY_ROUNDS` sets how often the kill loop kills (3 by default).

use std::net::SocketAddr;
use std::time::Duration;

use onecopy::status::report::GroupReport;
use onecopy_harness::load::{Fate, Load};
use onecopy_harness::{Cluster, Options, PATIENCE, wait};

const NUMBER: u16 = 16;

fn cluster(options: Options) -> Cluster {
    Cluster::start(Options { databases: vec![format!("locks:{NUMBER}:raft:3")], ..options })
}

/// The Raft group, as the newest of the nodes know it.
fn locks(cluster: &Cluster) -> Option<GroupReport> {
    cluster.report().groups.into_iter().find(|group| group.database.starts_with("locks:"))
}

/// Who leads it, once somebody has been elected: another one than `old`.
fn leader(cluster: &Cluster, old: Option<u32>) -> u32 {
    wait("a leader of the Raft group", PATIENCE, || {
        let group = locks(cluster)?;
        let role =
            |replica: &onecopy_node::ReplicaStatus| replica.group == group.group && replica.role == "primary";
        let leads = cluster.status(group.primary)?.replicas.iter().any(role);
        (leads && Some(group.primary) != old).then_some(group.primary)
    })
}

fn others(cluster: &Cluster, left_out: u32) -> Vec<SocketAddr> {
    let ids = cluster.data_ids().into_iter().filter(|id| *id != left_out);
    ids.map(|id| cluster.redis_address(id)).collect()
}

fn rounds() -> usize {
    std::env::var("ONECOPY_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// Checks a load against the data, through every node, and says what happened.
fn conclude(what: &str, cluster: &Cluster, load: Load) {
    let history = load.conclude();
    for id in cluster.data_ids() {
        history.verify(&mut cluster.client_in(id, NUMBER));
    }
    let (acknowledged, unknown) = (history.count(Fate::Acknowledged), history.count(Fate::Unknown));
    println!(
        "{what}: {acknowledged} writes acknowledged and none lost, {unknown} unknown, {} reads",
        history.reads
    );
}

#[test]
fn a_killed_leader_loses_nothing_and_another_is_elected_again_and_again() {
    let mut cluster = cluster(Options::default());
    for round in 1..=rounds() {
        let leads = leader(&cluster, None);
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client_in(leads, NUMBER)).expect("FLUSHALL");
        let addresses = others(&cluster, leads);
        let load = Load::start_in(NUMBER, 4, &addresses, &addresses);
        load.wait_for_success(PATIENCE);
        std::thread::sleep(Duration::from_millis(300));
        load.take_longest_gap();
        cluster.kill(leads);
        load.wait_for_success(PATIENCE);
        leader(&cluster, Some(leads));
        std::thread::sleep(Duration::from_millis(500));
        let gap = load.take_longest_gap();
        cluster.start_node(leads);
        cluster.wait_until_up(leads);
        load.wait_for_success(PATIENCE);
        std::thread::sleep(Duration::from_millis(500));
        conclude(&format!("round {round}, a pause of {gap:?}"), &cluster, load);
    }
}

#[test]
fn a_leader_is_succeeded_while_the_view_service_is_down() {
    let mut cluster = cluster(Options { separate: true, ..Options::default() });
    let leads = leader(&cluster, None);
    let addresses = others(&cluster, leads);
    let load = Load::start_in(NUMBER, 4, &addresses, &addresses);
    load.wait_for_success(PATIENCE);
    let view_nodes = cluster.view_ids();
    cluster.kill_all(&view_nodes);
    cluster.kill(leads);
    load.wait_for_success(PATIENCE);
    let next = leader(&cluster, Some(leads));
    assert_ne!(next, leads);
    cluster.start_node(leads);
    std::thread::sleep(Duration::from_millis(500));
    view_nodes.iter().for_each(|id| cluster.start_node(*id));
    wait("all nodes serving", PATIENCE, || {
        let serves = |id: &u32| {
            let mut client = cluster.try_client(*id).ok()?;
            redis::cmd("SELECT").arg(NUMBER).query::<()>(&mut client).ok()?;
            redis::cmd("DBSIZE").query::<u64>(&mut client).ok()
        };
        cluster.data_ids().iter().all(|id| serves(id).is_some()).then_some(())
    });
    conclude("without the view service", &cluster, load);
}

#[test]
fn a_stopped_follower_holds_up_nobody_and_a_stopped_leader_makes_way() {
    let mut cluster = cluster(Options::default());
    let leads = leader(&cluster, None);
    let follower = cluster.data_ids().into_iter().find(|id| *id != leads).expect("there are three");
    let address = [cluster.redis_address(leads)];
    let load = Load::start_in(NUMBER, 2, &address, &address);
    load.wait_for_success(PATIENCE);
    load.take_longest_gap();
    cluster.pause(follower);
    let before = load.acknowledged();
    std::thread::sleep(Duration::from_secs(2));
    // It belongs to the group all the time: whoever waited for it would wait to the end.
    wait("writes beside a stopped follower", PATIENCE, || (load.acknowledged() > before + 100).then_some(()));
    let (during, gap) = (load.acknowledged() - before, load.take_longest_gap());
    cluster.resume(follower);
    println!("{during} writes beside a stopped follower, the longest pause {gap:?}");
    conclude("beside a stopped follower", &cluster, load);
    // Told to stop, a leader has another one elected first.
    let load_at = others(&cluster, leads);
    let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client_in(leads, NUMBER)).expect("FLUSHALL");
    let load = Load::start_in(NUMBER, 2, &load_at, &load_at);
    load.wait_for_success(PATIENCE);
    assert!(cluster.terminate(leads).success());
    load.wait_for_success(PATIENCE);
    leader(&cluster, Some(leads));
    cluster.start_node(leads);
    cluster.wait_until_up(leads);
    conclude("beside a leader that was told to stop", &cluster, load);
}

#[test]
fn operators_create_raft_groups_see_who_leads_and_hand_over() {
    let mut cluster = cluster(Options::default());
    let first = leader(&cluster, None);
    let shown = locks(&cluster).expect("it is there");
    assert_eq!((shown.kind.as_str(), shown.copies_wanted, shown.copies_have), ("raft", 3, 3));
    let said = cluster.must_operate(&["group", "handover", "--group", &shown.group.to_string()]);
    assert!(said.contains("handed over"), "{said}");
    assert_ne!(leader(&cluster, Some(first)), first);
    cluster.must_operate(&["database", "create", "more", "--numbers", "20", "--replication", "raft"]);
    let more = wait("the new database", PATIENCE, || {
        cluster.report().groups.into_iter().find(|group| group.database == "more:20")
    });
    assert_eq!((more.kind.as_str(), more.copies_wanted), ("raft", 3), "the next odd number after two");
    wait("a write in it", PATIENCE, || {
        redis::cmd("SET").arg("k").arg("v").query::<()>(&mut cluster.client_in(1, 20)).ok()
    });
    for (copies, replication, why) in
        [("2", "raft", "1, 3 or 5 copies"), ("3", "paxos", "is no kind of replication")]
    {
        let refused = cluster.operate(&[
            "database",
            "create",
            "x",
            "--numbers",
            "30",
            "--replication",
            replication,
            "--copies",
            copies,
        ]);
        let said =
            String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
        assert!(!refused.status.success() && said.contains(why), "{said}");
    }
}

/// The nodes that have a copy, as soon as there are as many as there should be, and nobody is on the way.
fn settled(cluster: &Cluster, copies: usize) -> Vec<u32> {
    wait(&format!("{copies} copies"), PATIENCE, || {
        let group = locks(cluster)?;
        let mut members = group.backups.clone();
        members.push(group.primary);
        members.sort_unstable();
        let is_there = |id: &u32| {
            let role = |replica: &onecopy_node::ReplicaStatus| {
                replica.group == group.group && ["primary", "backup"].contains(&replica.role.as_str())
            };
            cluster.status(*id).is_some_and(|status| status.replicas.iter().any(role))
        };
        let all_there = members.len() == copies && members.iter().all(is_there);
        (all_there && group.learners.is_empty()).then_some(members)
    })
}

#[test]
fn a_node_that_lost_its_disk_gets_its_copy_again_under_load() {
    let mut cluster = cluster(Options::default());
    assert_eq!(settled(&cluster, 3), [1, 2, 3]);
    for lost_leads in [false, true] {
        let leads = leader(&cluster, None);
        let lost =
            cluster.data_ids().into_iter().find(|id| (*id == leads) == lost_leads).expect("one of three");
        let addresses = others(&cluster, lost);
        let stays = cluster.data_ids().into_iter().find(|id| *id != lost).expect("one of three");
        let _: () = redis::cmd("FLUSHALL").query(&mut cluster.client_in(stays, NUMBER)).expect("FLUSHALL");
        let load = Load::start_in(NUMBER, 4, &addresses, &addresses);
        load.wait_for_success(PATIENCE);
        cluster.kill(lost);
        std::fs::remove_dir_all(cluster.data_directory(lost)).expect("the disk is lost");
        load.wait_for_success(PATIENCE);
        load.take_longest_gap();
        cluster.start_node(lost);
        cluster.wait_until_up(lost);
        assert_eq!(settled(&cluster, 3), [1, 2, 3]);
        wait("the log of who came again", PATIENCE, || {
            cluster.log(lost).contains("the members of the group have changed").then_some(())
        });
        std::thread::sleep(Duration::from_millis(300));
        let gap = load.take_longest_gap();
        conclude(&format!("node {lost} has its copy again, the longest pause was {gap:?}"), &cluster, load);
        // It counts: with another node down, it makes the majority.
        let down = cluster.data_ids().into_iter().find(|id| *id != lost).expect("one of three");
        cluster.kill(down);
        wait("a write that needs the new copy", PATIENCE, || {
            let mut client = cluster.try_client(lost).ok()?;
            redis::cmd("SELECT").arg(NUMBER).query::<()>(&mut client).ok()?;
            redis::cmd("SET").arg("needs").arg(lost).query::<()>(&mut client).ok()
        });
        cluster.start_node(down);
        cluster.wait_until_up(down);
        settled(&cluster, 3);
    }
}

#[test]
fn copies_leave_a_drained_node_and_grow_and_shrink_under_load() {
    let mut cluster = cluster(Options { nodes: 5, ..Options::default() });
    let before = settled(&cluster, 3);
    let everywhere: Vec<SocketAddr> =
        cluster.data_ids().iter().map(|id| cluster.redis_address(*id)).collect();
    let load = Load::start_in(NUMBER, 4, &everywhere, &everywhere);
    load.wait_for_success(PATIENCE);
    // The leader, which has to hand over before it goes.
    let drained = leader(&cluster, None);
    assert!(before.contains(&drained));
    load.take_longest_gap();
    cluster.must_operate(&["node", "drain", &drained.to_string(), "--wait", "30"]);
    let after = settled(&cluster, 3);
    assert!(!after.contains(&drained), "{after:?} still has {drained}");
    println!(
        "node {drained} drained: {before:?} became {after:?}, the longest pause {:?}",
        load.take_longest_gap()
    );
    cluster.must_operate(&["node", "undrain", &drained.to_string()]);
    for copies in [5, 1, 3] {
        cluster.must_operate(&["database", "set", "locks", "--copies", &copies.to_string()]);
        let members = settled(&cluster, copies);
        println!("{copies} copies: {members:?}, the longest pause {:?}", load.take_longest_gap());
    }
    let refused = cluster.operate(&["database", "set", "locks", "--copies", "2"]);
    assert!(!refused.status.success(), "an even number of copies");
    conclude("while copies went elsewhere", &cluster, load);
    // A node that is gone for good is replaced, and can be forgotten.
    let members = settled(&cluster, 3);
    let leads = leader(&cluster, None);
    let gone = members.iter().copied().find(|id| *id != leads).expect("a follower");
    cluster.kill(gone);
    let after = settled(&cluster, 3);
    assert!(!after.contains(&gone), "{after:?} still has {gone}");
}

#[test]
fn followers_answer_reads_that_see_everything() {
    let mut cluster = cluster(Options::default());
    let leads = leader(&cluster, None);
    let group = locks(&cluster).expect("it is there").group;
    let follower = cluster.data_ids().into_iter().find(|id| *id != leads).expect("there are three");
    let counted = |cluster: &Cluster| {
        let status = cluster.status(follower)?;
        status.replicas.iter().find(|replica| replica.group == group).map(|replica| replica.reads_as_backup)
    };
    // Written through the leader, and read through the follower: at once, and never too old.
    let (mut writer, mut reader) = (cluster.client_in(leads, NUMBER), cluster.client_in(follower, NUMBER));
    let before = counted(&cluster).expect("it answers");
    for value in 0..500_u32 {
        let _: () = redis::cmd("SET").arg("k").arg(value).query(&mut writer).expect("SET");
        let read: u32 = redis::cmd("GET").arg("k").query(&mut reader).expect("GET");
        assert_eq!(read, value, "an old value");
    }
    let read_here = wait("reads that the follower has answered", PATIENCE, || {
        counted(&cluster).map(|now| now - before).filter(|reads| *reads >= 400)
    });
    println!("{read_here} of 500 reads were answered by the follower");
    // Under load, with leaders that change.
    let _: () = redis::cmd("FLUSHALL").query(&mut writer).expect("FLUSHALL");
    let address = [cluster.redis_address(follower)];
    let load = Load::start_in(NUMBER, 3, &address, &address);
    load.wait_for_success(PATIENCE);
    for _ in 0..rounds() {
        // On a machine that is busy, a handover may be given up: it is tried again then.
        wait("a handover", PATIENCE, || {
            let said = cluster.operate(&["group", "handover", "--group", &group.to_string()]);
            said.status.success().then_some(())
        });
        std::thread::sleep(Duration::from_millis(200));
    }
    conclude("with reads at followers", &cluster, load);
}
