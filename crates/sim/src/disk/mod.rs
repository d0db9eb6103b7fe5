//! The disk of one machine: what is written becomes durable together, after a while, and a crash keeps what
//! was durable plus, perhaps, the beginning of what was on its way.

mod rot;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use onecopy_core::{Entry, EntryId, GroupId, Recovered, Ticket, Timestamp, View, Write};
use onecopy_host::group::is_raft;
use onecopy_host::{GENESIS_GROUP, Job, VIEW_GROUP};
use onecopy_views::Membership;

use crate::dice::Dice;
use crate::trace::violated;
pub use rot::Health;

/// Whether a group holds a database.
#[must_use]
pub fn is_of_data(group: GroupId) -> bool {
    group != GENESIS_GROUP && group != VIEW_GROUP
}

/// A snapshot in a file.
#[derive(Debug)]
pub struct Image {
    /// The time of the last entry that it covers.
    pub time: Timestamp,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What survives a crash, and what is on its way to there.
#[derive(Debug, Default)]
pub struct Disk {
    /// How often the process was started: every start is durable before anything else happens.
    pub boot: u64,
    groups: BTreeMap<GroupId, Recovered>,
    images: BTreeMap<(GroupId, EntryId), Rc<Image>>,
    /// The numbers of the last durable promises of the groups that hold data.
    promised: BTreeMap<GroupId, u64>,
    /// Being synced.
    flight: Vec<Job>,
    /// To be synced next.
    queue: VecDeque<Job>,
    /// How many bytes of entries are in both.
    waiting: BTreeMap<GroupId, usize>,
    /// The health of the device.
    pub health: Health,
}

impl Disk {
    /// The view service was founded long ago.
    pub fn found(&mut self, membership: &Membership) {
        self.write(GENESIS_GROUP, Write::State(membership.encode()));
    }

    /// Whether it holds the membership of the view service.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.groups.contains_key(&GENESIS_GROUP)
    }

    /// Takes writes. Returns whether a sync must be started for them.
    pub fn submit(&mut self, job: Job) -> bool {
        *self.waiting.entry(job.group).or_default() += size(&job);
        if self.flight.is_empty() {
            self.flight.push(job);
            return true;
        }
        self.queue.push_back(job);
        false
    }

    /// The sync is done: what it covered is durable. Returns the tickets, and whether the next one must be
    /// started. After a failure nothing is ever durable again, as the log thread of a node has it.
    pub fn synced(&mut self) -> (Vec<(GroupId, Ticket)>, bool) {
        if self.health.is_full && !self.health.log_fails {
            (self.health.log_fails, self.health.wants_room) = (true, true);
        }
        if self.health.log_fails {
            return (Vec::new(), false);
        }
        let jobs = std::mem::take(&mut self.flight);
        let mut done: Vec<(GroupId, Ticket)> = Vec::new();
        for job in jobs {
            *self.waiting.entry(job.group).or_default() -= size(&job);
            for write in job.writes {
                self.write(job.group, write);
            }
            match done.iter_mut().find(|(group, _)| *group == job.group) {
                Some((_, ticket)) => *ticket = job.ticket,
                None => done.push((job.group, job.ticket)),
            }
        }
        self.flight.extend(self.queue.drain(..));
        (done, !self.flight.is_empty())
    }

    /// How many bytes of a group's entries are waiting.
    #[must_use]
    pub fn waiting(&self, group: GroupId) -> usize {
        self.waiting.get(&group).copied().unwrap_or_default()
    }

    /// The groups that hold databases, of which it has something.
    pub fn data_groups(&self) -> impl Iterator<Item = GroupId> {
        self.groups.keys().copied().filter(|group| is_of_data(*group))
    }

    /// How many bytes the largest snapshot of a group has.
    #[must_use]
    pub fn largest_image(&self, group: GroupId) -> usize {
        let images = self.images.iter().filter(|((of, _), _)| *of == group);
        images.map(|(_, image)| image.bytes.len()).max().unwrap_or_default()
    }

    /// The process dies: of what was on its way, some beginning has reached the disk. The record after it may
    /// be torn: recovery cuts it off (`crates/storage/src/recovery.rs`), so that it is as good as not
    /// written. Returns whether one was.
    pub fn crash(&mut self, dice: &mut Dice) -> bool {
        self.waiting.clear();
        (self.health.log_fails, self.health.wants_room) = (false, false);
        let jobs: Vec<Job> = self.flight.drain(..).chain(self.queue.drain(..)).collect();
        let mut writes: Vec<(GroupId, Write)> = jobs
            .into_iter()
            .flat_map(|job| job.writes.into_iter().map(move |write| (job.group, write)))
            .collect();
        let kept = match dice.below(4) {
            0 => 0,
            1 => writes.len(),
            _ => dice.between(0, writes.len() as u64) as usize,
        };
        let is_torn = kept < writes.len() && dice.chance(300);
        for (group, write) in writes.drain(..kept) {
            self.write(group, write);
        }
        is_torn
    }

    /// Everything of the databases is gone.
    pub fn forget_data(&mut self) {
        self.groups.retain(|group, _| !is_of_data(*group));
        self.images.retain(|(group, _), _| !is_of_data(*group));
        self.forget_rot();
        self.promised.clear();
    }

    /// Everything is gone.
    pub fn forget_all(&mut self) {
        *self = Self::default();
    }

    fn write(&mut self, group: GroupId, write: Write) {
        let log = self.groups.entry(group).or_default();
        let last = log.entries.last().map_or(log.base, |entry| entry.id);
        match write {
            Write::State(state) => {
                if is_of_data(group)
                    && !is_raft(Some(&state))
                    && let Ok(view) = postcard::from_bytes::<View>(&state)
                {
                    self.promised.insert(group, view.number.0);
                }
                log.state = Some(state);
            }
            Write::Append { entries, commit } => {
                if let Some(first) = entries.first()
                    && first.id.index != last.index.next()
                {
                    violated("disk", format!("{group}: {} is written after {last}", first.id));
                }
                log.entries.extend(entries);
                let last = log.entries.last().map_or(log.base, |entry| entry.id);
                log.commit = log.commit.max(commit.min(last.index));
            }
            Write::Cut { from } => {
                if from <= log.base.index {
                    violated(
                        "disk",
                        format!("{group}: a cut at {from}, although a snapshot covers {}", log.base),
                    );
                }
                log.entries.retain(|entry| entry.id.index < from);
                log.commit = log.commit.min(from.previous());
            }
            Write::Compact { through } if through.index > last.index => {
                violated(
                    "disk",
                    format!("{group}: compacted through {through}, but the log ends with {last}"),
                );
            }
            Write::Compact { through } if through.index > log.base.index => {
                log.entries.retain(|entry| entry.id.index > through.index);
                log.base = through;
                log.commit = log.commit.max(through.index);
            }
            Write::Compact { .. } => {}
            Write::Install { snapshot } => {
                log.entries.clear();
                log.base = snapshot;
                log.commit = snapshot.index;
            }
            Write::Forget => {
                self.groups.remove(&group);
                self.promised.remove(&group);
            }
        }
    }

    /// What a start finds of a group. Whatever the log's base names must be there as a snapshot.
    #[must_use]
    pub fn recover(&self, group: GroupId) -> (Recovered, Option<Rc<Image>>) {
        let recovered = self.groups.get(&group).cloned().unwrap_or_default();
        if recovered.base == EntryId::ZERO {
            return (recovered, None);
        }
        match self.images.get(&(group, recovered.base)) {
            Some(image) => (recovered, Some(image.clone())),
            None => violated(
                "disk",
                format!("{group}: the log begins after {}, and there is no such snapshot", recovered.base),
            ),
        }
    }

    /// The number of the view that a group has durably promised.
    #[must_use]
    pub fn promised(&self, group: GroupId) -> u64 {
        self.promised.get(&group).copied().unwrap_or_default()
    }

    /// Whether an entry of a group is durable, in the log or in the snapshot that it begins with.
    #[must_use]
    pub fn holds(&self, group: GroupId, id: EntryId) -> bool {
        let Some(log) = self.groups.get(&group) else { return false };
        if id.index <= log.base.index {
            return true;
        }
        let position = (id.index.0 - log.base.index.0 - 1) as usize;
        log.entries.get(position).is_some_and(|entry| entry.id == id)
    }

    /// Durable entries of a group from this one on, as many as fit into so many bytes, but at least that one;
    /// none if it is not there, or cannot be read.
    #[must_use]
    pub fn entries(&self, group: GroupId, first: EntryId, bytes_max: usize) -> Vec<Entry> {
        let Some(log) = self.groups.get(&group).filter(|_| !self.health.log_is_rotten) else {
            return Vec::new();
        };
        let position = first.index.0.checked_sub(log.base.index.0 + 1).map(|position| position as usize);
        let behind = position.and_then(|position| log.entries.get(position..)).unwrap_or_default();
        let Some(found) = behind.first().filter(|entry| entry.id == first) else { return Vec::new() };
        let mut bytes = found.size();
        let fits = behind[1..].iter().take_while(|entry| {
            bytes += entry.size();
            bytes <= bytes_max
        });
        std::iter::once(found).chain(fits).cloned().collect()
    }

    /// The last durable index of a group.
    #[cfg(test)]
    fn last(&self, group: GroupId) -> onecopy_core::Index {
        self.groups
            .get(&group)
            .map_or(onecopy_core::Index(0), |log| log.entries.last().map_or(log.base, |entry| entry.id).index)
    }

    // ---- snapshots ----------------------------------------------------------------------------------------

    /// Makes a snapshot durable. Returns whether it could be written.
    pub fn keep_image(&mut self, group: GroupId, id: EntryId, image: Image) -> bool {
        if self.health.log_fails || self.health.is_full || std::mem::take(&mut self.health.image_fails) {
            return false;
        }
        self.images.insert((group, id), Rc::new(image));
        true
    }

    /// A snapshot, if it is there and can be read.
    #[must_use]
    pub fn image(&self, group: GroupId, id: EntryId) -> Option<Rc<Image>> {
        let is_rotten = self.health.rotten_images.contains(&(group, id));
        self.images.get(&(group, id)).filter(|_| !is_rotten).cloned()
    }

    /// Removes all snapshots of a group that are older than this one.
    pub fn remove_older_images(&mut self, group: GroupId, than: EntryId) {
        self.images.retain(|(of, id), _| *of != group || id.index >= than.index);
        self.forget_rot();
    }

    /// Whether there is anything of a group.
    #[must_use]
    pub fn has_something_of(&self, group: GroupId) -> bool {
        self.groups.contains_key(&group) || self.images.keys().any(|(of, _)| *of == group)
    }

    /// A process that died while it forgot a dropped database may have left images of it. The next one
    /// removes them, as in production.
    pub fn remove_orphans(&mut self) {
        self.images.retain(|(of, _), _| *of == VIEW_GROUP || self.groups.contains_key(of));
        self.forget_rot();
    }

    /// Removes the images of a group.
    pub fn remove_images(&mut self, group: GroupId) {
        self.images.retain(|(of, _), _| *of != group);
        self.forget_rot();
    }
}

fn size(job: &Job) -> usize {
    let of = |write: &Write| match write {
        Write::Append { entries, .. } => entries.iter().map(onecopy_core::Entry::size).sum(),
        _ => 0,
    };
    job.writes.iter().map(of).sum()
}

#[cfg(test)]
mod tests;
