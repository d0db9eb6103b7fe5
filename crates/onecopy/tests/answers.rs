//! What a group remembers of its answers, for requests that come again, is in its snapshots: these can be
//! read back, however large the answers were.

use onecopy_harness::{Cluster, Options, PATIENCE, wait};
use redis::Commands;

/// A set with one member of 60 bytes, asked for so many times: an answer of 67 MB.
const MEMBERS: i64 = -1_000_000;
/// As many writes as make several snapshots.
const WRITES: u32 = 300;

fn value(number: u32) -> Vec<u8> {
    vec![b'a' + (number % 26) as u8; 30_000]
}

#[test]
fn a_cluster_that_gave_large_answers_starts_again() {
    let settings = vec![("log-bytes", "1048576".to_owned())];
    let mut cluster = Cluster::start(Options { durability: "memory", settings, ..Options::default() });
    let () = cluster.client(1).sadd("one", "m".repeat(60)).expect("SADD");
    // The two nodes ask for nothing more: what they were answered is remembered until they do.
    for node in [1, 2] {
        let mut client = cluster.client(node);
        let members: Vec<redis::Value> =
            redis::cmd("SRANDMEMBER").arg("one").arg(MEMBERS).query(&mut client).expect("SRANDMEMBER");
        assert_eq!(members.len() as i64, -MEMBERS);
    }
    let mut client = cluster.client(3);
    for number in 0..WRITES {
        let () = client.set(format!("key{number}"), value(number)).expect("SET");
    }
    let primary = cluster.primary();
    let snapshots = cluster.data_directory(primary).join("snapshots");
    wait("a snapshot", PATIENCE, || {
        std::fs::read_dir(&snapshots).is_ok_and(|files| files.count() > 0).then_some(())
    });

    for node in cluster.ids() {
        assert_eq!(cluster.terminate(node).code(), Some(0));
    }
    cluster.start_all();
    cluster.wait_until_complete();
    for node in cluster.ids() {
        let mut client = cluster.client(node);
        for number in 0..WRITES {
            let kept: Vec<u8> = client.get(format!("key{number}")).expect("GET");
            assert_eq!(kept, value(number));
        }
    }
}
