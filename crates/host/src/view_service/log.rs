//! The Raft group of the view table, driven: messages that wait for the disk, commands executed, snapshots of
//! the table.

use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, GroupId, Instant, Member, Protocol, Ticket, Timestamp};
use onecopy_raft::{Configuration, Effect, Input, Message, Role};
use onecopy_views::{Membership, Proposal, Table};

use super::{GENESIS_GROUP, VIEW_GROUP, ViewEffect, ViewImage, ViewObserver, ViewService};
use crate::disk::{ArchiveEvent, ArchiveJob, Out, SnapshotName};
use crate::message::RaftLetter;

impl ViewService {
    /// Steps Raft and carries out what it wants.
    pub(super) fn step(
        &mut self,
        now: Instant,
        input: Input,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let Some(raft) = self.raft.as_mut() else { return };
        let before = raft.commit();
        raft.step(now, input, &mut self.effects);
        raft.check_invariants();
        if raft.role() == Role::Leader && raft.commit() > before {
            observer.committed(raft);
        }
        self.carry_out(observer, out);
    }

    /// Carries out what Raft has pushed.
    pub(super) fn carry_out(&mut self, observer: &mut impl ViewObserver, out: &mut Out<ViewEffect>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Persist { ticket, writes } => self.journal.persist(ticket, writes, out),
                Effect::Send { to, message, after } => {
                    if let Some((to, message)) = self.journal.hold(after, (to, message)) {
                        self.send(to, message, out);
                    }
                }
                Effect::Apply { entries } => self.apply(&entries, observer, out),
                Effect::RoleChanged { role, term, leader } => {
                    if let Some(raft) = &self.raft {
                        observer.role_changed(role, term, leader.map(|leader| leader.node), raft);
                    }
                    if role != Role::Leader {
                        // What becomes of them is decided elsewhere.
                        self.operations.clear();
                    }
                    if role == Role::Leader {
                        self.has_news = true;
                        // Whoever missed the last announcement of the leader before gets this one.
                        self.announce(out);
                    }
                }
                Effect::TakeSnapshot { at, time, configuration } => {
                    self.take_snapshot(at, time, configuration, out);
                }
                Effect::ReadSnapshot { to, snapshot: id, offset } => {
                    self.reading.push_back(to);
                    out.archive.push(ArchiveJob::Read { group: VIEW_GROUP, to: to.node, id, offset });
                }
                Effect::WriteSnapshot { chunk } => {
                    let name = SnapshotName { group: VIEW_GROUP, id: chunk.snapshot, time: chunk.time };
                    if chunk.offset == 0 {
                        self.receiving = Some((name, Vec::new()));
                    }
                    if let Some((_, image)) = &mut self.receiving {
                        image.extend_from_slice(&chunk.data);
                    }
                    out.archive.push(ArchiveJob::Write { name, offset: chunk.offset, data: chunk.data });
                }
                Effect::InstallSnapshot { .. } => {
                    if let Some((name, _)) = &self.receiving {
                        out.archive.push(ArchiveJob::Finish { name: *name });
                    }
                }
                Effect::ConfigurationChanged { index, configuration, committed } => {
                    observer.configured(index, &configuration, committed);
                }
                Effect::ChangeRefused { reason } => self.refusal = Some(reason),
                // What has begun shows in the configuration; a leadership that was handed over, in the role.
                Effect::ChangeBegun { .. }
                | Effect::TransferBegun { .. }
                | Effect::TransferRefused { .. }
                | Effect::TransferAborted { .. } => {}
                // A lost proposal is decided anew; nobody reads through Raft: tables are announced.
                Effect::Proposed { .. }
                | Effect::Refused { .. }
                | Effect::ReadReady { .. }
                | Effect::ReadRefused { .. } => {}
            }
        }
        self.effects = effects;
        self.answer_request(out);
    }

    fn send(&self, to: Member, message: Message, out: &mut Out<ViewEffect>) {
        let Some(cluster) = self.genesis.membership().map(Membership::cluster) else { return };
        let letter = RaftLetter { cluster, from: self.settings.incarnation, to: to.incarnation, message };
        out.effects.push(ViewEffect::Raft { to: to.node, letter });
    }

    fn apply(&mut self, entries: &[Entry], observer: &mut impl ViewObserver, out: &mut Out<ViewEffect>) {
        let before = self.table.version();
        let term = self.raft.as_ref().map(|raft| raft.term()).unwrap_or_default();
        let mut operated = Vec::new();
        for entry in entries {
            if !entry.payload.is_empty() {
                operated.extend(self.execute(entry, observer));
            }
            observer.applied(entry, &self.table, term);
        }
        // Also if the table is as it was: whoever leads may have waited for an entry of its own term.
        self.has_news = true;
        if self.table.version() > before && self.leads() {
            self.announce(out);
        }
        // Behind the table: a node that is told that something is done can show it.
        out.effects.append(&mut operated);
    }

    /// Executes an entry. What is said to whoever wanted it.
    fn execute(&mut self, entry: &Entry, observer: &mut impl ViewObserver) -> Option<ViewEffect> {
        let proposal = match Proposal::decode(&entry.payload) {
            Ok(proposal) => proposal,
            // Going on would make this table differ from the others: stopping loudly is all that is left.
            Err(error) => panic!("the view service cannot execute its entry {}: {error}", entry.id),
        };
        let outcome = Arc::make_mut(&mut self.table).execute(&proposal, self.settings.rules);
        observer.executed(entry, &proposal.command, &outcome, &self.table);
        let (to, request) = self.operations.remove(&entry.id.index)?;
        let outcome = outcome.map_err(|rejection| rejection.to_string());
        Some(ViewEffect::Operated { to, request, outcome })
    }

    /// A table is small: its snapshot is one piece.
    fn take_snapshot(
        &mut self,
        at: EntryId,
        time: Timestamp,
        configuration: Configuration,
        out: &mut Out<ViewEffect>,
    ) {
        let image = ViewImage { table: Table::clone(&self.table), configuration };
        let name = SnapshotName { group: VIEW_GROUP, id: at, time };
        self.taking = Some(name);
        out.archive.push(ArchiveJob::Write { name, offset: 0, data: image.encode() });
        out.archive.push(ArchiveJob::Finish { name });
    }

    // ---- the disk -----------------------------------------------------------------------------------------

    /// All writes of one of the groups up to `ticket` are durable.
    pub fn persisted(
        &mut self,
        now: Instant,
        group: GroupId,
        ticket: Ticket,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        if group == GENESIS_GROUP {
            return self.founded(now, observer, out);
        }
        self.journal.persisted(ticket, out);
        while let Some((to, message)) = self.journal.next() {
            self.send(to, message, out);
        }
        self.step(now, Input::Persisted { ticket }, observer, out);
    }

    /// The log would let old segments go if there was a snapshot of the table.
    pub fn snapshot_wanted(&mut self, out: &mut Out<ViewEffect>) {
        let Some(raft) = self.raft.as_ref().filter(|_| self.taking.is_none()) else { return };
        let Some(last) = raft.log().get(raft.applied()) else { return };
        let (id, time, configuration) = (last.id, last.time, raft.applied_configuration().clone());
        self.take_snapshot(id, time, configuration, out);
    }

    /// The archive has done something.
    pub fn archived(
        &mut self,
        now: Instant,
        event: ArchiveEvent,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        let taking = |name: SnapshotName| self.taking == Some(name);
        let input = match event {
            ArchiveEvent::Read { to, id, chunk, .. } => {
                // Jobs are done in order.
                let position = self.reading.iter().position(|member| member.node == to);
                let to = position.and_then(|position| self.reading.remove(position));
                to.map(|to| Input::SnapshotRead { to, snapshot: id, chunk })
            }
            // Raft has all of its log in memory.
            ArchiveEvent::EntriesRead { .. } => None,
            ArchiveEvent::Written { name, .. } if taking(name) => None,
            ArchiveEvent::Written { name, written } => {
                Some(Input::SnapshotWritten { snapshot: name.id, offset: written })
            }
            ArchiveEvent::Finished { name } if taking(name) => {
                self.taking = None;
                Some(Input::SnapshotTaken { snapshot: name.id })
            }
            ArchiveEvent::Failed { name } if taking(name) => {
                self.taking = None;
                Some(Input::SnapshotFailed)
            }
            ArchiveEvent::Finished { name } => Some(self.install(name, observer)),
            ArchiveEvent::Failed { name } => Some(Input::SnapshotUnusable { snapshot: name.id }),
        };
        if let Some(input) = input {
            self.step(now, input, observer, out);
        }
    }

    /// Puts the received table in the place of the old one.
    fn install(&mut self, name: SnapshotName, observer: &mut impl ViewObserver) -> Input {
        let received = self.receiving.take_if(|(receiving, _)| *receiving == name);
        match received.map(|(_, image)| ViewImage::decode(&Bytes::from(image))) {
            Some(Ok(ViewImage { table, configuration })) => {
                self.table = Arc::new(table);
                observer.installed(name.id, &self.table);
                Input::SnapshotInstalled { snapshot: name.id, time: name.time, configuration }
            }
            _ => Input::SnapshotUnusable { snapshot: name.id },
        }
    }
}
