//! `onecopy dev` and `onecopy status`, as people use them.

use std::net::TcpListener;
use std::process::{Command, Output};

use redis::Commands;
use rustix::process::Signal;
use serde_json::Value;

use onecopy_harness::{Dev, PATIENCE, executable, free_ports_in_a_row, is_running, wait};

fn status(dev: &Dev, arguments: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command.args(["status", "--dev"]).arg(&dev.directory).args(arguments).output().unwrap()
}

#[test]
fn a_cluster_is_started_used_looked_at_and_stopped() {
    let mut dev = Dev::start(&[]);
    dev.wait_for_line(&format!("redis-cli -p {}", dev.port + 2));
    dev.wait_for_line("2 of 2 copies");
    for id in 1..=3 {
        let _: () = dev.client(id).set(format!("key{id}"), id).unwrap();
    }
    for id in 1..=3 {
        let values: Vec<u32> = dev.client(id).mget(&["key1", "key2", "key3"]).unwrap();
        assert_eq!(values, [1, 2, 3], "read through node {id}");
    }

    let output = status(&dev, &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["complete"], true);
    assert_eq!(report["groups"][0]["copies_have"], 2);
    let nodes = report["nodes"].as_array().unwrap();
    let mut roles: Vec<&str> =
        nodes.iter().map(|node| node["replicas"][0]["role"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["backup", "primary", "spare"]);
    let pids: Vec<Option<u64>> = nodes.iter().map(|node| node["pid"].as_u64()).collect();
    let written: Vec<Option<u64>> = dev.file().nodes.iter().map(|node| node.pid.map(u64::from)).collect();
    assert_eq!(pids, written);
    let table = String::from_utf8(status(&dev, &[]).stdout).unwrap();
    assert!(table.contains("primary") && table.contains(&format!("127.0.0.1:{}", dev.port)), "{table}");

    dev.signal(Signal::INT);
    assert!(dev.wait_for_end().success());
    assert!(pids.iter().flatten().all(|pid| !is_running(*pid as u32)));
    assert_eq!(status(&dev, &[]).status.code(), Some(1), "nobody answers any more");
}

#[test]
fn a_killed_node_is_shown_and_started_again() {
    let mut dev = Dev::start(&["--durability", "memory"]);
    dev.wait_for_line("2 of 2 copies");
    let _: () = dev.client(1).set("key", "value").unwrap();

    // Killed from outside, as by `kill -9` in another terminal.
    let pid = dev.node(3).pid.unwrap();
    let target = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(target, Signal::KILL).unwrap();
    dev.wait_for_line("node 3: dead, killed by SIGKILL; `restart 3` starts it again");
    assert_eq!(dev.node(3).pid, None);
    let mark = dev.mark();
    dev.say("restart 3");
    dev.wait_for_line_after(mark, "node 3: up");
    assert_ne!(dev.node(3).pid, Some(pid));

    // By command, and the primary.
    let mark = dev.mark();
    dev.say("kill primary");
    dev.wait_for_line_after(mark, "dead, killed by SIGKILL");
    dev.wait_for_line_after(mark, "2 of 2 copies");
    let alive = dev.file().nodes.iter().find(|node| node.pid.is_some()).unwrap().id;
    let value: String = dev.client(alive).get("key").unwrap();
    assert_eq!(value, "value");

    let mark = dev.mark();
    dev.say(&format!("stop {alive}"));
    dev.wait_for_line_after(mark, &format!("node {alive}: paused"));
    dev.say(&format!("cont {alive}"));
    dev.wait_for_line_after(mark, &format!("node {alive}: up"));
    dev.say("kill 9");
    dev.wait_for_line("there is no node 9");
    dev.say("quit");
    assert!(dev.wait_for_end().success());
}

#[test]
fn two_clusters_do_not_meet() {
    let (one, other) = (Dev::start(&["--nodes", "2"]), Dev::start(&["--nodes", "2"]));
    for (dev, value) in [(&one, "one"), (&other, "other")] {
        dev.wait_for_line("2 of 2 copies");
        let _: () = dev.client(1).set("key", value).unwrap();
    }
    for (dev, value) in [(&one, "one"), (&other, "other")] {
        let found: String = dev.client(2).get("key").unwrap();
        assert_eq!(found, value);
    }
    assert_ne!(one.file().cluster, other.file().cluster);
}

#[test]
fn a_taken_port_is_named_and_nothing_is_started() {
    let (port, http_port) = (free_ports_in_a_row(8), free_ports_in_a_row(8));
    for (taken, flag) in [(port + 1, "--port"), (http_port + 2, "--http-port")] {
        let _listener = TcpListener::bind(("127.0.0.1", taken)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(executable());
        command.args(["dev", "--port", &port.to_string(), "--http-port", &http_port.to_string()]);
        let output = command.arg("--data").arg(directory.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&taken.to_string()) && said.contains(flag), "{said}");
        assert!(!directory.path().join("node-1").exists());
    }
}

#[test]
fn every_setting_that_is_not_each_nodes_own_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (home, ports) = (directory.path().join("cluster"), || free_ports_in_a_row(8));
    let flags =
        ["--nodes", "2", "--timeouts-failure-ms", "700", "--limits-clients", "55", "--maxmemory", "1mb"];
    let mut dev = Dev::start_in(home.clone(), ports(), ports(), &flags);
    dev.wait_for_line("2 of 2 copies");
    for id in 1..=2 {
        let text = std::fs::read_to_string(&dev.node(id).config).unwrap();
        for line in ["failure_ms = 700", "clients = 55", "maxmemory = 1048576"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
    dev.say("quit");
    dev.wait_for_end();

    // What was given is kept, and variables count less than flags.
    let mut command = Command::new(executable());
    command
        .env("ONECOPY_LIMITS_CLIENTS", "many")
        .env("ONECOPY_MAXMEMORY", "7")
        .arg("dev")
        .arg("--data")
        .arg(&home);
    command.args(["--port", &ports().to_string(), "--http-port", &ports().to_string(), "--maxmemory", "2mb"]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("ONECOPY_LIMITS_CLIENTS: \"many\" is not a number"), "{said}");
    let dev = Dev::start_in(home, ports(), ports(), &["--maxmemory", "2mb"]);
    dev.wait_for_line("2 of 2 copies");
    let text = std::fs::read_to_string(&dev.node(1).config).unwrap();
    assert!(text.contains("failure_ms = 700") && text.contains("maxmemory = 2097152"), "{text}");
}

#[test]
fn a_directory_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("cluster");
    let mut dev =
        Dev::start_in(home.clone(), free_ports_in_a_row(8), free_ports_in_a_row(8), &["--nodes", "2"]);
    dev.wait_for_line("2 of 2 copies");
    let _: () = dev.client(2).set("key", "kept").unwrap();
    let first = dev.file();

    // Killed: its nodes end by themselves, and the next one waits for that.
    dev.signal(Signal::KILL);
    dev.wait_for_end();
    let dev = Dev::start_in(home, free_ports_in_a_row(8), free_ports_in_a_row(8), &[]);
    dev.wait_for_line("2 of 2 copies");
    let value: String = dev.client(1).get("key").unwrap();
    assert_eq!(value, "kept");
    let second = dev.file();
    assert_eq!(first.cluster, second.cluster);
    let peers =
        |file: &onecopy::dev::ClusterFile| file.nodes.iter().map(|node| node.peer).collect::<Vec<_>>();
    assert_eq!(peers(&first), peers(&second));
    assert!(first.nodes.iter().zip(&second.nodes).all(|(old, new)| old.redis != new.redis));
}

#[test]
fn nodes_end_with_a_dev_that_is_killed() {
    let mut dev = Dev::start(&[]);
    dev.wait_for_line("2 of 2 copies");
    let pids: Vec<u32> = dev.file().nodes.iter().filter_map(|node| node.pid).collect();
    assert_eq!(pids.len(), 3);
    let mark = dev.mark();
    dev.say("stop 2");
    dev.wait_for_line_after(mark, "node 2: paused");
    dev.signal(Signal::KILL);
    dev.wait_for_end();
    wait("the end of all nodes, also of the paused one", PATIENCE, || {
        pids.iter().all(|pid| !is_running(*pid)).then_some(())
    });
}

#[test]
fn the_view_service_may_have_nodes_of_its_own() {
    let mut dev = Dev::start(&["--nodes", "2", "--separate", "--view-nodes", "3"]);
    dev.wait_for_line("2 of 2 copies");
    let nodes = dev.file().nodes;
    assert_eq!(nodes.len(), 5);
    assert!(nodes[1].redis.is_some() && nodes[2].redis.is_none());
    dev.wait_for_line("node 5: view service only");
    let _: () = dev.client(2).set("key", "value").unwrap();
    dev.say("quit");
    assert!(dev.wait_for_end().success());
}
