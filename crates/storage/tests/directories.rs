//! Data directories: whose they are, how often they were started, and when their data may be used.

use std::path::Path;

use onecopy_core::{BootNumber, GroupId, Incarnation, NodeId, Write};
use onecopy_storage::{
    Crash, DataDirectory, DirectoryError, FileSystem, Identity, IdentityError, LogOptions, MemoryFileSystem,
    OpenError, Owner, RealFileSystem,
};

fn data() -> &'static Path {
    Path::new("/data")
}

fn owner() -> Owner {
    Owner {
        node: NodeId(3),
        cluster: "orders".to_owned(),
        durability_is_memory: false,
        machine_boot: "machine-1".to_owned(),
        random: [11, 12],
    }
}

fn open(fs: &MemoryFileSystem, owner: Owner) -> Result<DataDirectory<MemoryFileSystem>, DirectoryError> {
    DataDirectory::open(fs.clone(), data(), owner, LogOptions::default())
}

#[test]
fn every_start_has_a_higher_boot_number() {
    let fs = MemoryFileSystem::new();
    for boot in 1..=5 {
        let directory = open(&fs, Owner { random: [boot.into(), 99], ..owner() }).expect("it opens");
        assert_eq!(directory.identity.boot, BootNumber(boot));
        assert_eq!(directory.identity.incarnation, Incarnation(1));
        assert!(!directory.identity.discard_data);
        fs.crash(Crash::LoseUnsynced, boot);
    }
}

#[test]
fn the_directory_of_another_node_or_cluster_is_refused() {
    let fs = MemoryFileSystem::new();
    drop(open(&fs, owner()).expect("it opens"));
    let error = open(&fs, Owner { node: NodeId(4), ..owner() }).expect_err("it is refused").to_string();
    assert!(error.contains("belongs to node n3, but this node is configured as node n4"), "{error}");
    let error =
        open(&fs, Owner { cluster: "other".to_owned(), ..owner() }).expect_err("it is refused").to_string();
    assert!(error.contains("\"orders\"") && error.contains("\"other\""), "{error}");
    assert_eq!(open(&fs, owner()).expect("it opens").identity.boot, BootNumber(2));
}

#[test]
fn one_process_at_a_time() {
    let fs = MemoryFileSystem::new();
    let first = open(&fs, owner()).expect("it opens");
    assert!(matches!(open(&fs, owner()), Err(DirectoryError::InUse { .. })));
    drop(first);
    assert_eq!(open(&fs, owner()).expect("it opens").identity.boot, BootNumber(2));
}

#[test]
fn memory_durability_begins_a_new_life_when_the_machine_restarts() {
    let fs = MemoryFileSystem::new();
    let memory = |machine: &str, random: u128| Owner {
        durability_is_memory: true,
        machine_boot: machine.to_owned(),
        random: [random, random + 1],
        ..owner()
    };
    let first = open(&fs, memory("machine-1", 10)).expect("it opens").identity;
    let again = open(&fs, memory("machine-1", 20)).expect("it opens").identity;
    assert_eq!((again.incarnation, again.discard_data), (first.incarnation, false));

    let restarted = open(&fs, memory("machine-2", 30)).expect("it opens").identity;
    assert_eq!((restarted.incarnation, restarted.discard_data), (Incarnation(30), true));
    assert_eq!(restarted.view_member, first.view_member);

    // The process dies before it has discarded anything: the next one is told again.
    let mut later = open(&fs, memory("machine-2", 40)).expect("it opens").identity;
    assert_eq!((later.incarnation, later.discard_data), (Incarnation(30), true));
    later.discarded(&fs, data()).expect("it is written");
    fs.crash(Crash::LoseUnsynced, 0);
    assert!(!open(&fs, memory("machine-2", 50)).expect("it opens").identity.discard_data);

    // What counts is how the node ran before the machine was restarted.
    let disk = |machine: &str| Owner { durability_is_memory: false, ..memory(machine, 60) };
    let changed = open(&fs, disk("machine-3")).expect("it opens").identity;
    assert_eq!((changed.incarnation, changed.discard_data), (Incarnation(60), true));
    let kept = open(&fs, memory("machine-4", 70)).expect("it opens").identity;
    assert_eq!(kept.incarnation, Incarnation(60));
}

#[test]
fn an_old_image_is_refused_until_it_begins_a_new_life() {
    let fs = MemoryFileSystem::new();
    let first = open(&fs, owner()).expect("it opens").identity;
    Identity::disown(&fs, data()).expect("it is marked");
    for _ in 0..2 {
        let error = open(&fs, owner()).expect_err("it is over");
        assert!(matches!(error, DirectoryError::Identity(IdentityError::OldImage { .. })), "{error}");
    }
    let begun = DataDirectory::begin_new_life(&fs, data(), [21, 22]).expect("it is told to");
    assert_eq!((begun.incarnation, begun.view_member), (Incarnation(21), Incarnation(22)));
    // What it holds is kept, but for the votes of a life that has ended; until they are discarded every start
    // is told to.
    for _ in 0..2 {
        let identity = open(&fs, owner()).expect("it opens").identity;
        assert_eq!(
            (identity.incarnation, identity.discard_data, identity.discard_views),
            (Incarnation(21), false, true)
        );
        assert!(identity.boot > first.boot);
    }
    let mut last = open(&fs, owner()).expect("it opens").identity;
    last.discarded(&fs, data()).expect("it is written");
    assert!(!open(&fs, owner()).expect("it opens").identity.discard_views);
    let nowhere =
        DataDirectory::begin_new_life(&fs, Path::new("/empty"), [1, 2]).expect_err("there is nothing");
    assert!(matches!(nowhere, DirectoryError::Identity(IdentityError::NoIdentity { .. })), "{nowhere}");
}

#[test]
fn data_without_an_identity_and_an_identity_without_data_are_refused() {
    let fs = MemoryFileSystem::new();
    let mut directory = open(&fs, owner()).expect("it opens");
    directory.log.append(GroupId(1), &Write::State("x".into())).expect("the append succeeds");
    directory.log.close().expect("the log closes");
    drop(directory.lock);
    let identity = fs.read(&data().join("identity")).expect("it is there");
    fs.remove(&data().join("identity")).expect("it is removed");
    let error = open(&fs, owner()).expect_err("it is refused");
    assert!(matches!(error, DirectoryError::Identity(IdentityError::Missing { .. })), "{error}");

    fs.plant(&data().join("identity"), &identity);
    fs.remove(&data().join("log/0000000000000001.segment")).expect("it is removed");
    let error = open(&fs, owner()).expect_err("it is refused");
    assert!(matches!(error, DirectoryError::Log(OpenError::MissingLog { .. })), "{error}");
}

#[test]
fn every_flipped_bit_in_an_identity_is_noticed() {
    let fs = MemoryFileSystem::new();
    drop(open(&fs, owner()).expect("it opens"));
    let file = data().join("identity");
    let content = fs.read(&file).expect("it is there");
    for offset in 0..content.len() as u64 {
        for bit in 0..8 {
            fs.plant(&file, &content);
            fs.flip_bit(&file, offset, bit).expect("the byte is there");
            let error = Identity::load(&fs, data()).expect_err("it is damaged");
            assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn a_start_that_is_interrupted_anywhere_can_be_repeated() {
    for seed in 0..300 {
        for crash in Crash::ALL {
            let fs = MemoryFileSystem::new();
            let mut boot = BootNumber(0);
            for failing in (0..4).map(|start| (seed + start) % 12) {
                match seed % 2 {
                    0 => fs.fail_write(failing),
                    _ => fs.fail_sync(failing),
                }
                if let Ok(directory) = open(&fs, owner()) {
                    assert!(directory.identity.boot > boot, "boot number {boot} was given twice");
                    boot = directory.identity.boot;
                }
                fs.crash(crash, seed);
            }
            assert!(open(&fs, owner()).expect("it opens").identity.boot > boot);
        }
    }
}

#[test]
fn names_that_would_spoil_the_file_are_refused() {
    for name in ["", " a", "a\nnode = 9", "a\u{7}"] {
        let owner = Owner { cluster: name.to_owned(), ..owner() };
        let error = open(&MemoryFileSystem::new(), owner).expect_err("it is refused");
        assert!(matches!(error, DirectoryError::Identity(IdentityError::InvalidName { .. })), "{error}");
    }
    let owner = Owner { cluster: "checksum = 1 = größer".to_owned(), ..owner() };
    let fs = MemoryFileSystem::new();
    drop(open(&fs, owner.clone()).expect("it opens"));
    assert_eq!(open(&fs, owner.clone()).expect("it opens").identity.cluster, owner.cluster);
}

#[test]
fn a_real_directory_opens_twice() {
    let root = tempfile::tempdir().expect("a temporary directory");
    for boot in 1..=2 {
        let directory = DataDirectory::open(RealFileSystem, root.path(), owner(), LogOptions::default());
        assert_eq!(directory.expect("it opens").identity.boot, BootNumber(boot));
    }
}
