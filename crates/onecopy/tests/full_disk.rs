//! Full disks that have room again, with real processes on real file systems: nobody starts them, and
//! everything is as it was. Needs the right to mount small file systems in memory; without it, the test says
//! so and proves nothing.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use onecopy_harness::{Cluster, Options, PATIENCE, wait};

/// A file system of some megabytes, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&at);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Until nothing fits any more.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        let block = [7; 4096];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..1]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("the filler goes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while somebody still uses it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount_all(cluster: &Cluster) -> Option<Vec<SmallDisk>> {
    let mount = |id: u32| SmallDisk::mount(cluster.data_directory(id));
    let disks: Option<Vec<SmallDisk>> = cluster.ids().into_iter().map(mount).collect();
    if disks.is_none() {
        eprintln!("SKIPPED: no file system can be mounted here");
    }
    disks
}

fn set(cluster: &Cluster, through: u32, key: &str, value: &str) -> redis::RedisResult<()> {
    redis::cmd("SET").arg(key).arg(value).query(&mut cluster.client(through))
}

fn get(cluster: &Cluster, through: u32, key: &str) -> Option<String> {
    redis::cmd("GET").arg(key).query(&mut cluster.client(through)).expect("GET")
}

#[test]
fn members_whose_disks_were_full_go_on_by_themselves_once_there_is_room() {
    full_and_empty_again(Options::default(), 1 << 20);
}

/// Then it is the data thread that finds no room.
#[test]
fn with_durability_in_memory_too() {
    full_and_empty_again(Options { durability: "memory", ..Options::default() }, 100_000);
}

fn full_and_empty_again(options: Options, bytes: usize) {
    let mut cluster = Cluster::prepare(options);
    let Some(disks) = mount_all(&cluster) else { return };
    cluster.start_all();
    cluster.wait_until_complete();
    set(&cluster, 1, "key", "before").expect("SET");
    let pids: Vec<Option<u32>> = cluster.ids().into_iter().map(|id| cluster.pid(id)).collect();

    // All of them: no spare can help, and the view service can decide nothing.
    disks.iter().for_each(SmallDisk::fill);
    let large = "x".repeat(bytes);
    let primary = cluster.primary();
    let error = set(&cluster, primary, "large", &large).expect_err("there is no room for it");
    println!("without room: {error}");
    let (status, said) = wait("the primary to say what it waits for", PATIENCE, || {
        cluster.http(primary, "/healthz").filter(|(status, _)| *status == 503)
    });
    assert!(
        status == 503 && said.contains("the disk is full; the process waits until there is room"),
        "{said}"
    );
    let free = cluster.metric(primary, "onecopy_disk_free_bytes");
    assert!(free.is_some_and(|free| free < 1 << 20), "{free:?}");

    disks.iter().for_each(SmallDisk::empty);
    wait("writes to go on", PATIENCE, || set(&cluster, primary, "key", "after").ok());
    cluster.wait_until_complete();
    for id in cluster.data_ids() {
        cluster.wait_until_serving(id);
        assert_eq!(get(&cluster, id, "key").as_deref(), Some("after"));
        // One whose log had nothing to write found out last.
        let is_well = || cluster.http(id, "/healthz").filter(|(status, _)| *status == 200);
        wait(&format!("node {id} to be well"), PATIENCE, is_well);
    }
    // Nobody has started them.
    assert_eq!(cluster.ids().into_iter().map(|id| cluster.pid(id)).collect::<Vec<_>>(), pids);
    for id in cluster.ids() {
        assert!(cluster.is_running(id), "node {id}");
        assert!(!cluster.data_directory(id).join("room.partial").exists());
    }
    assert!(cluster.log(primary).contains("there is room on the disk again"), "it is told");
}
