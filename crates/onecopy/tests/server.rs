//! `onecopy server`: starting, stopping, and refusing to start.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use redis::Commands;

use onecopy_harness::{Cluster, Options};

fn one_node() -> Cluster {
    Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() })
}

fn write(cluster: &Cluster, node: u32, count: u32) {
    let mut client = cluster.client(node);
    for number in 0..count {
        let _: () = client.set(format!("key{number}"), format!("{number}").repeat(50)).unwrap();
    }
}

fn assert_all_there(cluster: &Cluster, node: u32, count: u32) {
    let mut client = cluster.client(node);
    for number in 0..count {
        let value: String = client.get(format!("key{number}")).unwrap();
        assert_eq!(value, format!("{number}").repeat(50));
    }
}

/// The newest segment of a node, and how many of its bytes are in use: what follows was only prepared.
fn used(cluster: &Cluster, node: u32) -> (PathBuf, u64) {
    let file = cluster.segments(node).pop().expect("there is a segment");
    let bytes = std::fs::read(&file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("the segment is not empty") + 1;
    (file, used as u64)
}

#[test]
fn a_node_stops_cleanly_and_comes_back() {
    let mut cluster = one_node();
    write(&cluster, 1, 20);
    assert_eq!(cluster.terminate(1).code(), Some(0));
    assert!(cluster.log(1).contains("stopping because of SIGTERM"));
    cluster.start_node(1);
    cluster.wait_until_complete();
    assert_all_there(&cluster, 1, 20);
}

#[test]
fn a_log_that_is_damaged_in_the_middle_is_refused() {
    let mut cluster = one_node();
    write(&cluster, 1, 200);
    cluster.terminate(1);
    let (file, used) = used(&cluster, 1);
    let segment = std::fs::File::options().read(true).write(true).open(&file).unwrap();
    let mut byte = [0];
    segment.read_exact_at(&mut byte, used / 2).unwrap();
    segment.write_all_at(&[byte[0] ^ 1], used / 2).unwrap();

    let output = cluster.command(1).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let place = format!("{} is damaged at byte ", file.display());
    let (_, rest) = said.split_once(&place).unwrap_or_else(|| panic!("{place:?} is not in {said}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let offset: u64 = digits.parse().expect("an offset follows");
    assert!(offset <= used / 2 && used / 2 - offset < 1024, "{offset} is not near {}", used / 2);
}

#[test]
fn a_log_whose_last_record_is_cut_short_is_used() {
    let mut cluster = Cluster::start(Options::default());
    write(&cluster, 1, 100);
    let primary = cluster.primary();
    let backup = cluster.report().groups[0].backups[0];
    cluster.kill(backup);
    let (file, used) = used(&cluster, backup);
    std::fs::File::options().write(true).open(&file).unwrap().set_len(used - 3).unwrap();
    // The spare takes its place: what the lost record held is on two nodes again.
    onecopy_harness::wait("a view without the node", onecopy_harness::PATIENCE, || {
        let group = cluster.report().groups.into_iter().next()?;
        (group.copies_have == 2 && !group.backups.contains(&backup)).then_some(())
    });
    cluster.start_node(backup);
    cluster.wait_until_up(backup);
    assert_all_there(&cluster, backup, 100);
    cluster.kill(primary);
    cluster.wait_for_other_primary(primary);
    cluster.wait_until_complete();
    assert_all_there(&cluster, backup, 100);
}

#[test]
fn a_data_directory_is_used_by_one_process() {
    let cluster = one_node();
    // The same node again, but for its addresses, which would be refused first.
    let output = cluster.second_command(1, &cluster.data_directory(1)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("used by another process"), "{said}");
}
