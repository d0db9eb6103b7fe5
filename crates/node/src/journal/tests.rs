use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, GroupId, Index, Recovered, Ticket, Timestamp, Write};
use onecopy_host::Job;
use onecopy_storage::{Log, LogOptions, RealFileSystem};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{DIRECT_BYTES_MAX, Journal, JournalEvent};
use crate::config::Durability;

const GROUP: GroupId = GroupId(1);

struct Rig {
    journal: Journal,
    thread: std::thread::JoinHandle<()>,
    events: UnboundedReceiver<JournalEvent>,
    next: u64,
}

fn open(directory: &Path) -> (Log<RealFileSystem>, BTreeMap<GroupId, Recovered>) {
    let options = LogOptions { segment_bytes: 4 << 20, zero_ahead_bytes: 0, ..LogOptions::default() };
    Log::open(RealFileSystem, directory, options).expect("the log opens")
}

impl Rig {
    fn start(directory: &Path, durability: Durability) -> Self {
        let (sender, events) = unbounded_channel();
        let (log, _) = open(directory);
        let (journal, _, thread) = Journal::start(log, durability, sender).expect("the thread starts");
        Self { journal, thread, events, next: 1 }
    }

    fn entry(&mut self, bytes: usize) -> Write {
        let index = self.next;
        self.next += 1;
        let payload = Bytes::from(vec![index as u8; bytes]);
        let entry = Entry { id: EntryId::new(index, 1), time: Timestamp(index), seed: 0, payload };
        Write::Append { entries: vec![entry], commit: Index(0) }
    }

    /// Hands in a job of one write each; which tickets are durable at once.
    fn submit(&self, jobs: Vec<(u64, Write)>) -> Vec<u64> {
        let mut durable = Vec::new();
        let job = |(ticket, write)| Job { group: GROUP, ticket: Ticket(ticket), writes: vec![write] };
        self.journal.submit(jobs.into_iter().map(job), &mut durable);
        durable.into_iter().map(|(_, ticket)| ticket.0).collect()
    }

    /// Waits until the log thread says that a ticket is durable.
    fn wait(&mut self, ticket: u64) {
        loop {
            match self.events.blocking_recv() {
                Some(JournalEvent::Persisted { ticket: Ticket(done), .. }) if done >= ticket => return,
                Some(_) => {}
                None => panic!("ticket {ticket} never became durable"),
            }
        }
    }

    /// Ends the journal in good order; what a start finds.
    fn end(self, directory: &Path) -> Recovered {
        drop(self.journal);
        self.thread.join().expect("the thread ends");
        open(directory).1.remove(&GROUP).unwrap_or_default()
    }
}

#[test]
fn in_memory_an_entry_is_durable_at_once_and_on_disk_it_is_not() {
    for (durability, at_once) in [(Durability::Memory, vec![1, 2]), (Durability::Disk, vec![])] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut rig = Rig::start(directory.path(), durability);
        let jobs = vec![(1, rig.entry(100)), (2, rig.entry(100))];
        assert_eq!(rig.submit(jobs), at_once);
        // A killed process leaves what the operating system has: it is found without an end in good order.
        if durability == Durability::Memory {
            assert_eq!(open(directory.path()).1[&GROUP].entries.len(), 2);
        } else {
            rig.wait(2);
        }
        assert_eq!(rig.end(directory.path()).entries.len(), 2);
    }
}

#[test]
fn what_must_be_synced_is_not_durable_at_once_and_nothing_overtakes_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut rig = Rig::start(directory.path(), Durability::Memory);
    let (first, second) = (rig.entry(10), rig.entry(10));
    let jobs = vec![(1, first), (2, Write::State(Bytes::from_static(b"promise"))), (3, second)];
    assert_eq!(rig.submit(jobs), [1]);
    rig.wait(3);
    let recovered = rig.end(directory.path());
    assert_eq!((recovered.entries.len(), recovered.state), (2, Some(Bytes::from_static(b"promise"))));
}

#[test]
fn large_entries_and_new_segments_are_left_to_the_log_thread_in_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut rig = Rig::start(directory.path(), Durability::Memory);
    let mut ticket = 0;
    let mut left = 0;
    let large = [100, DIRECT_BYTES_MAX + 1, 100, 3 << 20, 100];
    for bytes in large.into_iter().chain([100_000; 12]) {
        ticket += 1;
        let entry = rig.entry(bytes);
        let durable = rig.submit(vec![(ticket, entry)]);
        assert!(bytes <= DIRECT_BYTES_MAX || durable.is_empty(), "{bytes} bytes at once");
        left += usize::from(durable.is_empty());
    }
    assert!(left >= 3, "two are large, and one at least begins a segment");
    // Whatever was left: this is synced after it.
    rig.submit(vec![(ticket + 1, Write::State(Bytes::new()))]);
    rig.wait(ticket + 1);
    let recovered = rig.end(directory.path());
    let files = std::fs::read_dir(directory.path().join("log")).expect("it is there");
    assert!(files.count() >= 3, "two segments and the note of the end");
    let indexes: Vec<u64> = recovered.entries.iter().map(|entry| entry.id.index.0).collect();
    assert_eq!(indexes, (1..=17).collect::<Vec<u64>>());
}

#[test]
fn once_the_log_thread_has_caught_up_entries_are_durable_at_once_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut rig = Rig::start(directory.path(), Durability::Memory);
    rig.submit(vec![(1, Write::State(Bytes::new()))]);
    rig.wait(1);
    let again = (2..100).any(|ticket| {
        let entry = rig.entry(10);
        let is_at_once = !rig.submit(vec![(ticket, entry)]).is_empty();
        if !is_at_once {
            rig.wait(ticket);
        }
        is_at_once
    });
    assert!(again, "everything goes through the log thread for ever");
    rig.end(directory.path());
}
