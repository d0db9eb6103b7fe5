//! The five properties of the paper's Figure 3, and what Onecopy adds about reads.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use onecopy_core::{Entry, EntryId, Index, Member, Term};
use onecopy_raft::{Configuration, Raft, Role};

use super::show;
use super::{Answer, Cluster};
use onecopy_testkit::{Machine, chain};

/// What was seen so far in one history.
#[derive(Default)]
pub struct Checks {
    /// Who led a term.
    leaders: BTreeMap<Term, Member>,
    /// How far the log of a leader reached when it was last seen.
    led: BTreeMap<Member, (Term, EntryId)>,
    /// The entry before, and the content, of every entry that was ever in a log.
    entries: BTreeMap<EntryId, (EntryId, u64)>,
    /// The committed entries, and the term in which they became so.
    committed: BTreeMap<Index, (EntryId, Term)>,
    /// The digest of the state after each index.
    states: BTreeMap<Index, u64>,
    /// What each unanswered read must see.
    reads: BTreeMap<u64, Index>,
    /// The last read that could be answered.
    ready: u64,
    /// Every configuration that was ever in a log; the founding one at 0.
    configurations: BTreeMap<EntryId, Configuration>,
    /// Pairs of configurations, one after the other in some log, whose majorities are known to meet.
    adjacent: BTreeSet<(EntryId, EntryId)>,
    /// How many transfers ended with the one in office that was meant.
    pub transfers: u64,
    /// To whom members want to hand over.
    wanted: BTreeMap<Member, Member>,
}

/// Whether any majority of one configuration has a member in common with any of the other.
fn majorities_meet(one: &Configuration, other: &Configuration) -> bool {
    let all: Vec<Member> = one.members().union(&other.members()).copied().collect();
    let decides = |configuration: &Configuration, part: u32, within: bool| {
        let chosen = |member: &&Member| {
            let position = all.iter().position(|known| known == *member).expect("a member");
            (part >> position & 1 == 1) == within
        };
        let half = |voters: &BTreeSet<Member>| {
            voters.is_empty() || voters.iter().filter(chosen).count() > voters.len() / 2
        };
        half(&configuration.voters) && half(&configuration.old_voters)
    };
    (0..1u32 << all.len()).all(|part| !(decides(one, part, true) && decides(other, part, false)))
}

impl Checks {
    /// Looks at the cluster after each step of `id`.
    pub fn after_step(&mut self, cluster: &mut Cluster, id: Member) {
        if !cluster.members.contains_key(&id) {
            return;
        }
        for (_, entry) in std::mem::take(&mut cluster.applied) {
            self.state_machine_safety(&entry);
        }
        if let Some(process) = &cluster.members[&id].process {
            let raft = &process.protocol;
            self.election_safety(raft);
            self.leader_append_only(raft);
            self.log_matching(raft);
            self.note_commits(raft);
            self.one_change_at_a_time(raft, &cluster.members[&id].founding);
            self.note_transfer(raft);
            self.one_state(&process.machine);
        } else {
            self.led.remove(&id);
        }
        for (_, process) in cluster.running() {
            self.leader_completeness(&process.protocol);
        }
        for (_, answer) in std::mem::take(&mut cluster.answers) {
            self.reads_see_what_was_committed(&answer);
        }
    }

    /// The disk of this member is lost.
    pub fn is_lost(&mut self, id: Member) {
        self.led.remove(&id);
    }

    /// Every configuration that was ever in a log.
    pub fn configurations(&self) -> impl Iterator<Item = &Configuration> {
        self.configurations.values()
    }

    /// How many configurations were committed after the founding one.
    pub fn changes(&self) -> u64 {
        self.configurations.keys().skip(1).filter(|id| self.is_committed(**id)).count() as u64
    }

    fn is_committed(&self, id: EntryId) -> bool {
        id == EntryId::ZERO || self.committed.get(&id.index).is_some_and(|(known, _)| *known == id)
    }

    /// Only the last configuration of a log may be uncommitted; and each has a member in common with any
    /// majority of the one before, whatever majority of its own decides.
    fn one_change_at_a_time(&mut self, raft: &Raft, founding: &Configuration) {
        if !founding.voters.is_empty() {
            self.configurations.entry(EntryId::ZERO).or_insert_with(|| founding.clone());
        }
        let base = raft.log().base();
        let committed =
            self.configurations.keys().filter(|id| id.index <= base.index && self.is_committed(**id));
        let mut before = committed.max().copied().unwrap_or_default();
        for entry in raft.log().after(base.index, usize::MAX) {
            let Some((1, bytes)) = entry.payload.split_first() else { continue };
            let found = Configuration::decode(&Bytes::copy_from_slice(bytes)).expect("a configuration");
            assert!(
                self.is_committed(before),
                "one change at a time: {} follows {before}, which is not committed",
                entry.id
            );
            if self.adjacent.insert((before, entry.id)) {
                let meet = majorities_meet(&self.configurations[&before], &found);
                assert!(meet, "no two disjoint majorities: {before} and {} have some", entry.id);
            }
            self.configurations.insert(entry.id, found);
            before = entry.id;
        }
    }

    fn note_transfer(&mut self, raft: &Raft) {
        match raft.transfer() {
            Some(to) => drop(self.wanted.insert(raft.id(), to)),
            None if raft.leader().is_some() => {
                let to = self.wanted.remove(&raft.id());
                self.transfers += u64::from(to.is_some() && to == raft.leader());
            }
            None => {}
        }
    }

    /// A read has arrived: it must see all that is committed by now.
    pub fn read_begins(&mut self, token: u64) {
        self.reads.insert(token, self.last_committed());
    }

    /// Whether this read is the last that could be answered.
    pub fn was_ready(&self, token: u64) -> bool {
        self.ready == token
    }

    pub fn last_committed(&self) -> Index {
        self.committed.keys().next_back().copied().unwrap_or_default()
    }

    /// At most one leader can be elected in a given term.
    fn election_safety(&mut self, raft: &Raft) {
        if raft.role() == Role::Leader {
            let first = self.leaders.entry(raft.term()).or_insert(raft.id());
            assert_eq!(*first, raft.id(), "election safety: two leaders in {}", raft.term());
        }
    }

    /// A leader never overwrites or deletes entries in its log; it only appends new entries.
    fn leader_append_only(&mut self, raft: &Raft) {
        if raft.role() != Role::Leader {
            self.led.remove(&raft.id());
            return;
        }
        let last = raft.log().last();
        if let Some((term, before)) = self.led.insert(raft.id(), (raft.term(), last))
            && term == raft.term()
        {
            let kept = raft.log().contains(before) || raft.log().base().index >= before.index;
            assert!(kept, "leader append-only: {:?} lost {before}", raft.id());
        }
    }

    /// If two logs contain an entry with the same index and term, then the logs are identical in all entries
    /// up through the given index.
    fn log_matching(&mut self, raft: &Raft) {
        let mut before = raft.log().base();
        for entry in raft.log().after(before.index, usize::MAX) {
            let seen = self.entries.entry(entry.id).or_insert((before, chain(0, &entry)));
            assert_eq!(seen.0, before, "log matching: {} follows two entries", entry.id);
            assert_eq!(seen.1, chain(0, &entry), "log matching: {} is two entries", entry.id);
            before = entry.id;
        }
    }

    fn note_commits(&mut self, raft: &Raft) {
        let log = raft.log();
        for index in (log.base().index.0..=raft.commit().0).map(Index).filter(|index| index.0 > 0) {
            let epoch = log.epoch_at(index).expect("what is committed is in the log");
            let id = EntryId { index, epoch };
            let (first, _) = self.committed.entry(index).or_insert((id, raft.term()));
            assert_eq!(*first, id, "state machine safety: two entries are committed at {index}");
        }
    }

    /// If a log entry is committed in a given term, then that entry will be present in the logs of the
    /// leaders for all higher-numbered terms.
    fn leader_completeness(&self, raft: &Raft) {
        if raft.role() != Role::Leader {
            return;
        }
        for (id, term) in self.committed.values().filter(|(_, term)| *term < raft.term()) {
            let has = raft.log().contains(*id) || raft.log().base().index > id.index;
            let who = show::name(raft.id());
            assert!(
                has,
                "leader completeness: {who} leads {} without {id}, committed in {term}",
                raft.term()
            );
        }
    }

    /// If a server has applied a log entry at a given index to its state machine, no other server will ever
    /// apply a different log entry for the same index.
    fn state_machine_safety(&mut self, entry: &Entry) {
        let before = self.states.get(&entry.id.index.previous()).copied().unwrap_or_default();
        let after = chain(before, entry);
        let seen = *self.states.entry(entry.id.index).or_insert(after);
        assert_eq!(seen, after, "state machine safety: two entries are applied at {}", entry.id.index);
    }

    /// The same, for a state that came out of a snapshot.
    fn one_state(&self, machine: &Machine) {
        let expected = self.states.get(&machine.applied.index).copied().unwrap_or_default();
        assert_eq!(machine.digest, expected, "state machine safety: two states at {}", machine.applied);
    }

    /// A read sees everything that was committed when it arrived.
    fn reads_see_what_was_committed(&mut self, answer: &Answer) {
        match answer {
            Answer::ReadReady(token, index) => {
                self.ready = *token;
                let least = self.reads.remove(token).expect("each read is answered once");
                assert!(
                    *index >= least,
                    "linearizable reads: read {token} sees {index}, {least} was committed"
                );
            }
            Answer::ReadRefused(token) => {
                self.reads.remove(token).expect("each read is answered once");
            }
            _ => {}
        }
    }
}
