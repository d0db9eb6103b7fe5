//! The file system in memory loses what a disk may lose, and nothing else.

use std::path::Path;

use onecopy_storage::{Crash, File, FileSystem, MemoryFileSystem};

fn path(name: &str) -> std::path::PathBuf {
    Path::new("/d").join(name)
}

fn disk() -> MemoryFileSystem {
    let fs = MemoryFileSystem::new();
    fs.create_directory(Path::new("/d")).expect("it is created");
    fs
}

fn synced_file(fs: &MemoryFileSystem, name: &str, content: &[u8]) -> <MemoryFileSystem as FileSystem>::File {
    let file = fs.create(&path(name)).expect("it is created");
    file.write_at(content, 0).expect("it is written");
    file.sync_all().expect("it is synced");
    fs.sync_directory(Path::new("/d")).expect("it is synced");
    file
}

#[test]
fn only_what_was_synced_is_certain() {
    let fs = disk();
    let file = synced_file(&fs, "a", &[1; 3000]);
    file.write_at(&[2; 3000], 1000).expect("it is written");
    fs.crash(Crash::Process, 0);
    assert_eq!(fs.read(&path("a")).expect("it is there").len(), 4000);
    assert!(file.size().is_err(), "the process that had it open is gone");
    fs.crash(Crash::LoseUnsynced, 0);
    assert_eq!(fs.read(&path("a")).expect("it is there"), [1; 3000]);
}

#[test]
fn torn_writes_survive_block_by_block_and_out_of_order() {
    let mut out_of_order = 0;
    for seed in 0..100 {
        let fs = disk();
        synced_file(&fs, "a", &[1; 4096]).write_at(&[2; 4096], 0).expect("it is written");
        fs.crash(Crash::Torn, seed);
        let content = fs.read(&path("a")).expect("it is there");
        for block in content.chunks(512) {
            assert!(block == [1; 512] || block == [2; 512]);
        }
        out_of_order += u32::from(content[0] == 1 && content[4095] == 2);
    }
    assert!((10..50).contains(&out_of_order), "{out_of_order} of 100");
}

#[test]
fn names_last_only_after_a_sync_of_the_directory() {
    let fs = disk();
    synced_file(&fs, "a", b"old");
    let file = fs.create(&path("b")).expect("it is created");
    file.write_at(b"new", 0).expect("it is written");
    file.sync_all().expect("it is synced");
    fs.rename(&path("b"), &path("a")).expect("it is renamed");
    assert_eq!(fs.read(&path("a")).expect("it is there"), b"new");
    fs.crash(Crash::LoseUnsynced, 0);
    assert_eq!(fs.read(&path("a")).expect("it is there"), b"old");
    assert_eq!(fs.list(Path::new("/d")).expect("it is there"), ["a"]);
}

#[test]
fn after_a_failed_sync_the_next_one_proves_nothing() {
    let fs = disk();
    let file = synced_file(&fs, "a", &[1; 2048]);
    file.write_at(&[2; 2048], 0).expect("it is written");
    fs.fail_sync(0);
    assert!(file.sync_data().is_err());
    file.sync_data().expect("the error is reported once");
    assert_eq!(fs.read(&path("a")).expect("it is there"), [2; 2048]);
    fs.crash(Crash::LoseUnsynced, 0);
    assert_ne!(fs.read(&path("a")).expect("it is there"), [2; 2048]);
}

#[test]
fn planned_faults_come_when_they_are_due() {
    let fs = disk();
    let file = synced_file(&fs, "a", b"");
    fs.fail_write(1);
    file.write_at(&[1; 10], 0).expect("not yet");
    assert!(file.write_at(&[2; 10], 0).is_err());
    assert_eq!(fs.read(&path("a")).expect("it is there"), [2, 2, 2, 2, 2, 1, 1, 1, 1, 1]);
    file.write_at(&[3; 10], 0).expect("only once");

    fs.limit_space(Some(4));
    file.write_at(&[4; 10], 0).expect("no space is needed");
    let error = file.write_at(&[5; 10], 10).expect_err("the disk is full");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(file.size().expect("it is there"), 14);
    fs.heal();
    file.write_at(&[5; 10], 10).expect("there is space again");
}

#[test]
fn a_cut_lasts_only_after_a_full_sync() {
    for (full, expected) in [(false, 3000), (true, 100)] {
        let fs = disk();
        let file = synced_file(&fs, "a", &[1; 3000]);
        file.set_size(100).expect("it is cut");
        match full {
            true => file.sync_all().expect("it is synced"),
            false => file.sync_data().expect("it is synced"),
        }
        fs.crash(Crash::LoseUnsynced, 0);
        assert_eq!(fs.read(&path("a")).expect("it is there").len(), expected);
    }
}
