//! The log on disk does not grow for ever: snapshots let old segments go, also those that an idle group keeps
//! alive.

use onecopy_harness::{Cluster, Options, PATIENCE, wait};

#[test]
fn old_segments_go_once_snapshots_cover_them() {
    let settings = vec![("log-bytes", "20000000".to_owned())];
    let cluster = Cluster::start(Options { durability: "memory", settings, ..Options::default() });
    let primary = cluster.primary();
    let mut client = cluster.client(primary);
    let value = vec![b'x'; 1_000_000];
    // Half a gigabyte through the log, one megabyte of data.
    for _ in 0..500 {
        let _: () = redis::cmd("SET").arg("key").arg(&value).query(&mut client).expect("SET");
    }
    // The view table has not changed since the beginning: its entries lie in the oldest segment.
    let left = wait("old segments to go", PATIENCE, || {
        let left = cluster.segments(primary).len();
        let _: () = redis::cmd("SET").arg("key").arg(&value).query(&mut client).expect("SET");
        (left <= 5).then_some(left)
    });
    println!("{left} segments left of half a gigabyte");
    let snapshots =
        std::fs::read_dir(cluster.data_directory(primary).join("snapshots")).expect("snapshots").count();
    assert!(snapshots <= 4, "{snapshots} snapshot files are left");
}
