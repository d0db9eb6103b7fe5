//! Memory that is damaged, in real processes (rule P10): a bit of a value flips where no command touches it.
//! A backup is found out, dropped and rebuilt; a primary stops, and its log puts it right.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use onecopy_harness::{Cluster, Memory, Options, PATIENCE, wait};

/// The exit status of a process that takes its memory for damaged.
const DAMAGED: i32 = 70;

/// A key with a value that stands nowhere else in any memory.
struct Treasure {
    key: String,
    value: String,
}

impl Treasure {
    fn bury(cluster: &Cluster) -> Self {
        let random = || format!("{:032x}", rand::random::<u128>());
        let treasure = Self { key: random(), value: [random(), random()].concat() };
        let mut client = cluster.client(cluster.primary());
        let _: () =
            redis::cmd("SET").arg(&treasure.key).arg(&treasure.value).query(&mut client).expect("SET");
        // A member that answers a read has executed what was written before.
        for id in cluster.data_ids() {
            assert!(treasure.is_right(cluster, id));
        }
        treasure
    }

    /// Whether a node answers what was written.
    fn is_right(&self, cluster: &Cluster, id: u32) -> bool {
        let value: Option<String> =
            redis::cmd("GET").arg(&self.key).query(&mut cluster.client(id)).expect("GET");
        value.as_ref() == Some(&self.value)
    }

    /// Flips a bit of the value in the state of a node. False if this system does not let us.
    fn damage(&self, cluster: &Cluster, id: u32) -> bool {
        let pid = cluster.pid(id).expect("the node runs");
        let memory = match Memory::of(pid) {
            Ok(memory) => memory,
            Err(error) => {
                eprintln!("SKIPPED: the memory of process {pid} cannot be written to: {error}");
                return false;
            }
        };
        // In the state the value follows its key. In commands, as they stand in the log and in buffers, its
        // length is between the two.
        let is_state = |before: &[u8]| before.ends_with(self.key.as_bytes());
        let flipped =
            memory.flip(self.value.as_bytes(), is_state).expect("the memory can be read and written");
        println!("a bit was flipped at {flipped} places of node {id}");
        assert!(flipped > 0, "the value is not where it was looked for");
        true
    }
}

#[test]
fn a_damaged_backup_is_found_out_and_rebuilt() {
    let mut cluster = Cluster::start(Options::default());
    let treasure = Treasure::bury(&cluster);
    let backup = cluster.report().groups[0].backups[0];
    if !treasure.damage(&cluster, backup) {
        return;
    }
    let (flipped, mut wrong) = (Instant::now(), 0);
    let dropped = format!("drops n{backup}, it holds something else than the primary");
    wait("the backup to be dropped", PATIENCE, || {
        wrong += u32::from(!treasure.is_right(&cluster, backup));
        cluster.must_operate(&["events"]).contains(&dropped).then_some(())
    });
    let found = flipped.elapsed();
    // From here on nothing wrong is served, by whichever node.
    cluster.wait_until_complete();
    println!(
        "found out and dropped after {} ms, {wrong} wrong answers until then; two copies again after {} ms",
        found.as_millis(),
        flipped.elapsed().as_millis()
    );
    assert!(found < Duration::from_secs(5), "{found:?}");
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        for id in cluster.data_ids() {
            assert!(treasure.is_right(&cluster, id), "node {id} answers something else");
        }
    }
    assert!(cluster.is_running(backup), "it is rebuilt in its process");
    let log = cluster.log(backup);
    assert!(log.contains("the state here is not what the primary's is"), "the log does not tell");
    assert!(log.contains("the replica begins anew, with nothing"), "it was not rebuilt");
    // Once rebuilt it is as good as any other: it takes over.
    let other = cluster.data_ids().into_iter().find(|id| ![backup, cluster.primary()].contains(id));
    cluster.must_operate(&["node", "drain", &other.expect("a third node").to_string(), "--wait", "15"]);
    cluster.must_operate(&["group", "handover", "--to", &backup.to_string()]);
    assert!(treasure.is_right(&cluster, backup));
}

#[test]
fn a_damaged_primary_stops_and_its_log_puts_it_right() {
    let mut cluster = Cluster::start(Options::default());
    let treasure = Treasure::bury(&cluster);
    let primary = cluster.primary();
    if !treasure.damage(&cluster, primary) {
        return;
    }
    let flipped = Instant::now();
    // A backup differs and is believed to be wrong; the one that is built in its place differs too.
    let status: ExitStatus = cluster.wait_for_end(primary);
    println!("the damaged primary stopped after {} ms", flipped.elapsed().as_millis());
    assert_eq!(status.code(), Some(DAMAGED));
    assert!(cluster.log(primary).contains("its memory may be damaged"), "the log does not tell");
    // Whoever looks after it starts it again.
    cluster.start_node(primary);
    cluster.wait_until_serving(primary);
    cluster.wait_until_complete();
    for id in cluster.data_ids() {
        assert!(treasure.is_right(&cluster, id), "node {id} answers something else");
    }
}
