//! Images: of one point in time, complete, and checked.

use onecopy_core::StateMachine;
use onecopy_keyspace::Keyspace;
use proptest::prelude::*;

use crate::support::Machine;
use crate::support::maker::Maker;

fn restore(image: &[u8], piece: usize) -> Keyspace {
    let mut keyspace = Keyspace::new([9, 9]);
    for chunk in image.chunks(piece.max(1)) {
        keyspace.restore(chunk).expect("a piece of an image");
    }
    keyspace.restore_finish().expect("a complete image");
    keyspace
}

fn random_machine(seed: u64, count: usize) -> (Machine, Maker) {
    let mut maker = Maker::new(seed);
    let mut machine = Machine::default();
    for step in 0..count {
        machine.db = if step % 5 == 0 { 3 } else { 0 };
        machine.run(&maker.any_or_once());
        if step % 7 == 0 {
            machine.watching(step as u64 % 50, &maker.fill("WATCH K K"));
        }
    }
    (machine, maker)
}

#[test]
fn an_image_holds_everything() {
    let (mut machine, _) = random_machine(1, 5000);
    machine.run("SET left-over v PX 1");
    machine.context.time.0 += 5;
    let image = machine.image();
    let restored = restore(&image, usize::MAX);
    assert_eq!(restored.digest(), machine.keyspace.digest());
    assert_eq!(restored.memory(), machine.keyspace.memory());
    assert_eq!(restored.due(), machine.keyspace.due());
    assert_eq!(restored.clock(), machine.keyspace.clock());
    assert!(restored.database_sizes().eq(machine.keyspace.database_sizes()));
}

#[test]
fn an_image_of_nothing_is_an_image() {
    let mut machine = Machine::default();
    let image = machine.image();
    assert_eq!(restore(&image, 1).digest(), machine.keyspace.digest());
    let mut chunk = Vec::new();
    assert!(!machine.keyspace.snapshot_read(10, &mut chunk));
    assert!(chunk.is_empty(), "there is no image any more");
}

#[test]
fn an_image_knows_what_has_changed_since_it_was_watched() {
    let mut machine = Machine::default();
    machine.expect("SET gone 1 => OK");
    for (number, keys) in [(1, "a b"), (2, "b"), (3, "gone"), (4, "a gone")] {
        machine.watching(number, &format!("WATCH {keys}"));
    }
    machine.expect("SET a 1 => OK");
    let mut copy = Machine { keyspace: restore(&machine.image(), 7), ..Machine::default() };
    for machine in [&mut machine, &mut copy] {
        machine.expect("DEL gone => :1");
        let replies = [1, 2, 3, 4].map(|number| machine.transact(Some(number), &["PING"]).text());
        assert_eq!(replies.map(|reply| reply == "nil"), [true, false, true, true]);
    }
    assert_eq!(copy.keyspace.memory(), machine.keyspace.memory());
}

#[test]
fn the_cut_does_not_matter() {
    let (mut machine, _) = random_machine(2, 300);
    let image = machine.image();
    for piece in 1..image.len().min(200) {
        assert_eq!(restore(&image, piece).digest(), machine.keyspace.digest());
    }
}

#[test]
fn a_second_image_replaces_the_first() {
    let (mut machine, mut maker) = random_machine(3, 500);
    machine.keyspace.snapshot_begin();
    machine.keyspace.snapshot_read(10, &mut Vec::new());
    for _ in 0..50 {
        machine.run(&maker.any_or_once());
    }
    let image = machine.image();
    assert_eq!(restore(&image, 100).digest(), machine.keyspace.digest());
    machine.keyspace.snapshot_begin();
    machine.keyspace.snapshot_abandon();
    assert!(!machine.keyspace.snapshot_read(10, &mut Vec::new()));
}

#[test]
fn what_was_cut_off_or_changed_is_an_error() {
    let (mut machine, _) = random_machine(4, 200);
    let image = machine.image();
    for length in 0..image.len() {
        let mut keyspace = Keyspace::new([9, 9]);
        assert!(keyspace.restore(&image[..length]).is_ok());
        assert!(keyspace.restore_finish().is_err(), "cut at {length}");
    }
    for at in 0..image.len() {
        for bit in [0, 3, 7] {
            let mut wrong = image.clone();
            wrong[at] ^= 1 << bit;
            let mut keyspace = Keyspace::new([9, 9]);
            let restored = keyspace.restore(&wrong).and_then(|()| keyspace.restore_finish());
            assert!(restored.is_err(), "bit {bit} of byte {at}");
        }
    }
    let mut longer = image.clone();
    longer.push(0);
    assert!(Keyspace::new([9, 9]).restore(&longer).is_err());
    assert!(Keyspace::new([9, 9]).restore(b"1COPYKS\x63 something of a later version").is_err());
}

/// With a checksum that is right: as if the bytes had been damaged before they were summed, or what was built
/// of them.
#[test]
fn what_is_built_is_compared_with_what_was_serialized() {
    let mut machine = Machine::default();
    machine.expect("SET key value => OK\nSET counter 77 => OK\nONCE t DEL x => :0");
    machine.watching(1, "WATCH key other");
    machine.expect("SET other 1 => OK");
    let image = machine.image();
    let end = image.len() - 17;
    let mut errors = 0;
    for at in 8..end {
        for bit in 0..8 {
            let mut wrong = image.clone();
            wrong[at] ^= 1 << bit;
            let checksum = xxhash_rust::xxh3::xxh3_64(&wrong[..end + 9]);
            wrong[end + 9..].copy_from_slice(&checksum.to_le_bytes());
            let mut keyspace = Keyspace::new([9, 9]);
            let outcome = keyspace.restore(&wrong).and_then(|()| keyspace.restore_finish());
            let error = outcome.expect_err("no state has this image");
            errors += usize::from(error.reason.contains("the digest of what was built"));
        }
    }
    assert!(errors > 100, "{errors}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn later_writes_do_not_show(seed: u64, bytes_max in 1usize..3000) {
        let (mut machine, mut maker) = random_machine(seed, 600);
        let digest = machine.keyspace.digest();
        let memory = machine.keyspace.memory();
        machine.keyspace.snapshot_begin();
        let mut image = Vec::new();
        let mut step: u64 = 0;
        while machine.keyspace.snapshot_read(bytes_max, &mut image) {
            for _ in 0..maker.below(20) {
                machine.db = if maker.below(5) == 0 { 3 } else { 0 };
                machine.run(&maker.any_or_once());
            }
            machine.watching(step % 50, if step.is_multiple_of(2) { "WATCH later" } else { "UNWATCH" });
            match step % 8 {
                // Tokens are forgotten before the image has them.
                7 => machine.sleep(600_000),
                3 => { machine.run("FLUSHALL"); }
                4 => { machine.run("SWAPDB 0 3"); }
                5 => { machine.run("FLUSHDB"); }
                _ => machine.sleep(10_000),
            }
            step += 1;
        }
        let restored = restore(&image, 777);
        prop_assert_eq!(restored.digest(), digest);
        prop_assert_eq!(restored.memory(), memory);
    }

    /// Values that come in parts, and that change, move and go while they do.
    #[test]
    fn later_writes_do_not_show_in_large_values(seed: u64, bytes_max in 1_000usize..200_000) {
        let mut machine = Machine::default();
        let mut maker = Maker::new(seed);
        let kinds = ["RPUSH list", "SADD set", "HSET hash", "ZADD zset", "XADD stream"];
        machine.run("XGROUP CREATE stream group 0 MKSTREAM");
        for number in 0..3_000 {
            let long = "x".repeat(maker.below(if number % 500 == 0 { 100_000 } else { 60 }));
            for kind in kinds {
                let arguments = match kind {
                    "HSET hash" => format!("{number} v{long}"),
                    "ZADD zset" => format!("{} m{number}{long}", maker.below(1_000)),
                    "XADD stream" => format!("{}-0 field{} v{long}", number + 1, maker.below(2)),
                    _ => format!("{number}{long}"),
                };
                machine.run(&format!("{kind} {arguments}"));
            }
        }
        machine.run("XREADGROUP GROUP group one COUNT 1000 STREAMS stream >");
        machine.run("XREADGROUP GROUP group other COUNT 1000 STREAMS stream >");
        machine.run("XDEL stream 17-0 1700-0");
        machine.run(&format!("SET string {}", "y".repeat(1_000_000)));
        machine.run("SET {string}small 1");
        let digest = machine.keyspace.digest();
        let memory = machine.keyspace.memory();
        machine.keyspace.snapshot_begin();
        let mut image = Vec::new();
        while machine.keyspace.snapshot_read(bytes_max, &mut image) {
            let name = ["list", "set", "hash", "zset", "string", "stream"][maker.below(6)];
            match maker.below(16) {
                0 => machine.run(&format!("DEL {name}")),
                1 => machine.run(&format!("RENAME {name} {{{name}}}other")),
                2 => machine.run(&format!("COPY {name} other REPLACE")),
                3 => machine.run(&format!("PEXPIRE {name} 100000")),
                4 => machine.run("FLUSHDB"),
                5 => machine.run("LTRIM list 100 -100"),
                6 => machine.run("APPEND string z"),
                7 => machine.run("SPOP set 50"),
                8 => machine.run("ZPOPMIN zset 50"),
                9 => machine.run("HDEL hash 1 2 3 4 5"),
                10 => machine.run("LSET list 1500 v"),
                11 => machine.run("XADD stream MAXLEN 2000 * field value"),
                12 => machine.run("XREADGROUP GROUP group one COUNT 5 STREAMS stream >"),
                13 => machine.run("XACK stream group 1-0 2-0 1000-0"),
                14 => machine.run("XGROUP DELCONSUMER stream group other"),
                _ => machine.run("SET list v"),
            };
        }
        let restored = restore(&image, 7_777);
        prop_assert_eq!(restored.digest(), digest);
        prop_assert_eq!(restored.memory(), memory);
    }

    #[test]
    fn a_flipped_bit_is_an_error(seed: u64, at: prop::sample::Index, bit in 0u8..8) {
        let (mut machine, _) = random_machine(seed, 300);
        let mut image = machine.image();
        let at = at.index(image.len());
        image[at] ^= 1 << bit;
        let mut keyspace = Keyspace::new([9, 9]);
        prop_assert!(keyspace.restore(&image).and_then(|()| keyspace.restore_finish()).is_err());
    }

    #[test]
    fn random_bytes_are_no_image(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..9) {
        let mut keyspace = Keyspace::new([9, 9]);
        let _ = keyspace.restore(&bytes);
        // Behind a good header, and as the contents of a record.
        let mut image = b"1COPYKS\x05".to_vec();
        image.extend_from_slice(&[0; 32]);
        image.push(match kind {
            8 => 5,
            7 => 3,
            _ => 1,
        });
        image.push(0);
        let entry = match kind {
            8 => [&[7; 32], [1, 0, 0, 0].as_slice(), bytes.as_slice()].concat(),
            7 => [&[1, 0, 0, 0], bytes.as_slice()].concat(),
            // A block of the slot of "k", with one key.
            _ => [&[0xcd, 0x1d, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'k', kind], bytes.as_slice()].concat(),
        };
        image.extend_from_slice(&(entry.len() as u64).to_le_bytes());
        image.extend_from_slice(&entry);
        let mut keyspace = Keyspace::new([9, 9]);
        let _ = keyspace.restore(&image);
        prop_assert!(keyspace.restore_finish().is_err());
    }
}
