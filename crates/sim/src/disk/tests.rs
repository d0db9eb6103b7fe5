//! What a disk keeps, and what it refuses.

use std::collections::BTreeSet;

use bytes::Bytes;
use onecopy_core::{Entry, Index};
use onecopy_views::MAIN;

use super::*;
use crate::checks::caught;

fn append(indexes: std::ops::RangeInclusive<u64>) -> Write {
    let entries = indexes.map(|index| {
        let id = EntryId::new(index, 1);
        Entry { id, time: Timestamp(0), seed: 0, payload: Bytes::new() }
    });
    Write::Append { entries: entries.collect(), commit: Index(0) }
}

fn job(ticket: u64, writes: Vec<Write>) -> Job {
    Job { group: MAIN, ticket: Ticket(ticket), writes }
}

fn holding(last: u64) -> Disk {
    let mut disk = Disk::default();
    assert!(disk.submit(job(1, vec![append(1..=last)])));
    disk.synced();
    disk
}

#[test]
fn a_crash_keeps_what_was_durable_and_some_beginning_of_the_rest() {
    let mut kept = BTreeSet::new();
    for seed in 0..50 {
        let mut disk = holding(2);
        disk.submit(job(2, vec![append(3..=3), append(4..=4)]));
        assert!(!disk.submit(job(3, vec![append(5..=5)])), "one sync at a time");
        disk.crash(&mut Dice::new(seed, 0));
        assert_eq!(disk.waiting(MAIN), 0);
        kept.insert(disk.last(MAIN).0);
    }
    assert_eq!(kept, BTreeSet::from([2, 3, 4, 5]));
}

#[test]
fn a_disk_that_refuses_writes_keeps_what_it_had() {
    let mut disk = holding(2);
    disk.health.log_fails = true;
    disk.submit(job(2, vec![append(3..=3)]));
    assert_eq!(disk.synced(), (Vec::new(), false));
    assert!(!disk.keep_image(MAIN, EntryId::new(2, 1), image()));
    assert_eq!(disk.last(MAIN), Index(2));
    disk.crash(&mut Dice::new(0, 0));
    disk.submit(job(3, vec![Write::Cut { from: Index(2) }]));
    assert_eq!(disk.synced().0, [(MAIN, Ticket(3))], "somebody has mended it");
}

fn image() -> Image {
    Image { time: Timestamp(0), bytes: vec![1] }
}

#[test]
fn a_rotten_snapshot_cannot_be_read_and_stops_a_start_that_needs_it() {
    let (mut disk, id) = (holding(2), EntryId::new(2, 1));
    assert!(disk.keep_image(MAIN, id, image()));
    disk.rot(Some(MAIN));
    assert!(disk.image(MAIN, id).is_none() && disk.is_rotten());
    assert!(!disk.is_damaged(), "the log goes back to its beginning");
    disk.submit(job(2, vec![Write::Compact { through: id }]));
    disk.synced();
    assert!(disk.is_damaged());
    assert!(disk.keep_image(MAIN, EntryId::new(3, 1), image()));
    disk.remove_older_images(MAIN, EntryId::new(3, 1));
    assert!(!disk.is_rotten(), "what is not there any more is not rotten");
}

#[test]
fn a_rotten_log_stops_every_start() {
    let mut disk = holding(2);
    disk.rot(Some(MAIN));
    assert!(disk.is_damaged(), "there is no snapshot: it is the log");
    disk.forget_all();
    assert!(!disk.is_damaged());
}

#[test]
fn a_log_with_a_gap_is_caught() {
    let mut disk = holding(2);
    disk.submit(job(2, vec![append(4..=4)]));
    assert_eq!(caught(|| drop(disk.synced())), Some("disk"));
}
