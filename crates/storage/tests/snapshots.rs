//! Snapshots: what is read is what was written, or an error.

use std::path::{Path, PathBuf};

use onecopy_core::{EntryId, GroupId, Timestamp};
use onecopy_storage::{
    Crash, File, FileSystem, MemoryFileSystem, SnapshotError, SnapshotName, SnapshotReader, Snapshots,
};
use proptest::prelude::*;

const GROUP: GroupId = GroupId(3);
const ID: EntryId = EntryId { index: onecopy_core::Index(70), epoch: onecopy_core::Epoch(2) };

fn data() -> &'static Path {
    Path::new("/data")
}

fn path() -> PathBuf {
    data().join("snapshots/3-70-2.snapshot")
}

fn open(fs: &MemoryFileSystem) -> Snapshots<MemoryFileSystem> {
    Snapshots::open(fs.clone(), data()).expect("the snapshots open")
}

fn image(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position % 251) as u8).collect()
}

fn write(snapshots: &Snapshots<MemoryFileSystem>, id: EntryId, image: &[u8], piece: usize) {
    let mut writer = snapshots.create(GROUP, id, Timestamp(9)).expect("it is created");
    for chunk in image.chunks(piece) {
        writer.write(chunk).expect("it is written");
    }
    assert_eq!(writer.written(), image.len() as u64);
    assert_eq!(writer.finish().expect("it is finished"), image.len() as u64);
}

fn read_all(reader: &SnapshotReader<MemoryFileSystem>, piece: usize) -> Result<Vec<u8>, SnapshotError> {
    let mut image = Vec::new();
    loop {
        let bytes = reader.read_at(image.len() as u64, piece)?;
        if bytes.is_empty() {
            return Ok(image);
        }
        image.extend_from_slice(&bytes);
    }
}

#[test]
fn images_of_any_size_come_back() {
    for length in [0, 1, 65_535, 65_536, 65_537, 300_000] {
        let fs = MemoryFileSystem::new();
        let snapshots = open(&fs);
        let image = image(length);
        write(&snapshots, ID, &image, 7_777);
        fs.crash(Crash::LoseUnsynced, 0);
        let reader = open(&fs).read(GROUP, ID).expect("it opens");
        assert_eq!((reader.image_len(), reader.time()), (length as u64, Timestamp(9)));
        reader.verify().expect("it is intact");
        for piece in [10_000, 65_536, 1 << 20] {
            assert!(read_all(&reader, piece).expect("it can be read") == image);
        }
        assert!(reader.read_at(length as u64, 10).expect("it can be read").is_empty());
        assert!(reader.read_at(u64::MAX, usize::MAX).expect("it can be read").is_empty());
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let fs = MemoryFileSystem::new();
    write(&open(&fs), ID, &image(70_000), 4096);
    let content = fs.read(&path()).expect("it is there");
    for offset in (0..content.len()).step_by(97).chain(0..64).chain(content.len() - 40..content.len()) {
        fs.plant(&path(), &content);
        fs.flip_bit(&path(), offset as u64, (offset % 8) as u8).expect("the byte is there");
        let result = open(&fs).read(GROUP, ID).and_then(|reader| read_all(&reader, 256 << 10));
        match result {
            Err(SnapshotError::Damaged { file, .. }) => assert_eq!(file, path()),
            other => panic!("a flipped bit at {offset} gave {:?}", other.map(|image| image.len())),
        }
    }
}

#[test]
fn a_snapshot_cut_short_or_under_a_wrong_name_is_refused() {
    let fs = MemoryFileSystem::new();
    let snapshots = open(&fs);
    write(&snapshots, ID, &image(70_000), 4096);
    let content = fs.read(&path()).expect("it is there");
    fs.plant(&data().join("snapshots/3-71-2.snapshot"), &content);
    let error = snapshots.read(GROUP, EntryId::new(71, 2)).expect_err("it is another one");
    assert!(error.to_string().contains("3-71-2.snapshot is damaged at byte 0"), "{error}");
    for length in [0, 50, 200, content.len() - 1] {
        fs.open(&path()).expect("it is there").set_size(length as u64).expect("it is cut");
        assert!(matches!(snapshots.read(GROUP, ID), Err(SnapshotError::Damaged { .. })));
    }
}

#[test]
fn an_unfinished_snapshot_does_not_count() {
    let fs = MemoryFileSystem::new();
    let snapshots = open(&fs);
    let mut writer = snapshots.create(GROUP, ID, Timestamp(9)).expect("it is created");
    writer.write(&image(200_000)).expect("it is written");
    drop(writer);
    assert!(snapshots.list().expect("it can be listed").is_empty());
    assert_eq!(fs.files().len(), 1);
    let snapshots = open(&fs);
    assert!(fs.files().is_empty());

    let writer = snapshots.create(GROUP, ID, Timestamp(9)).expect("it is created");
    writer.abandon().expect("it is removed");
    assert!(fs.files().is_empty());
}

#[test]
fn a_crash_leaves_the_old_snapshot_or_the_new_one() {
    for seed in 0..200 {
        for crash in Crash::ALL {
            let fs = MemoryFileSystem::new();
            let snapshots = open(&fs);
            write(&snapshots, ID, &image(100), 100);
            fs.fail_sync(seed % 4);
            let newer = EntryId::new(90, 2);
            let mut writer = snapshots.create(GROUP, newer, Timestamp(9)).expect("it is created");
            writer.write(&image(5_000)).expect("it is written");
            let finished = writer.finish().is_ok();
            fs.crash(crash, seed);
            let snapshots = open(&fs);
            let names = snapshots.list().expect("it can be listed");
            assert!(names.contains(&SnapshotName { group: GROUP, id: ID }));
            assert!(!finished || names.contains(&SnapshotName { group: GROUP, id: newer }));
            for name in names {
                snapshots.read(name.group, name.id).expect("it opens").verify().expect("it is intact");
            }
        }
    }
}

#[test]
fn old_snapshots_are_removed() {
    let fs = MemoryFileSystem::new();
    let snapshots = open(&fs);
    for index in [10, 20, 30] {
        write(&snapshots, EntryId::new(index, 1), b"image", 5);
    }
    let mut other = snapshots.create(GroupId(4), ID, Timestamp(1)).expect("it is created");
    other.write(b"x").expect("it is written");
    other.finish().expect("it is finished");
    snapshots.remove_older(GROUP, EntryId::new(20, 1)).expect("they are removed");
    fs.crash(Crash::LoseUnsynced, 0);
    let kept = [(GROUP, EntryId::new(20, 1)), (GROUP, EntryId::new(30, 1)), (GroupId(4), ID)];
    let kept = kept.map(|(group, id)| SnapshotName { group, id });
    assert_eq!(open(&fs).list().expect("it can be listed"), kept);
    open(&fs).remove_group(GROUP).expect("they are removed");
    assert_eq!(open(&fs).list().expect("it can be listed"), kept[2..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_in_place_of_a_snapshot_are_an_error(
        keep in 0..300_usize,
        bytes in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let fs = MemoryFileSystem::new();
        write(&open(&fs), ID, &image(100), 100);
        let mut content = fs.read(&path()).expect("it is there");
        content.truncate(keep);
        content.extend_from_slice(&bytes);
        fs.plant(&path(), &content);
        prop_assert!(open(&fs).read(GROUP, ID).and_then(|reader| reader.verify()).is_err());
    }
}
