//! Each handler by itself: the state after it, and the list of its effects.

mod changes;

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::chunks::Chunk;
use onecopy_core::{
    Entry, EntryId, Incarnation, Index, Instant, Member, NodeId, Protocol, Recovered, Rules, Term, Ticket,
    Timestamp, Write,
};

use crate::durable::Promise;
use crate::{Base, Beat, Config, Configuration, Effect, Input, Message, Raft, Role};

const fn node(node: u32) -> Member {
    Member { node: NodeId(node), incarnation: Incarnation(1) }
}

const N1: Member = node(1);
const N2: Member = node(2);
const N3: Member = node(3);

fn config() -> Config {
    Config {
        id: N1,
        election_timeout: Duration::from_millis(100),
        heartbeat_interval: Duration::from_millis(20),
        append_bytes_max: 1000,
        inflight_max: 2,
        log_bytes_max: 10_000,
        promotion_lag_max: 2,
        leases: None,
        seed: 7,
        rules: Rules::default(),
    }
}

fn base(members: u32) -> Base {
    Base { time: Timestamp(0), configuration: Configuration::of((1..=members).map(node)) }
}

fn entry(index: u64, term: u64) -> Entry {
    Entry { id: EntryId::new(index, term), time: Timestamp(0), seed: 0, payload: Bytes::new() }
}

fn entries(terms: &[u64]) -> Vec<Entry> {
    terms.iter().enumerate().map(|(position, term)| entry(position as u64 + 1, *term)).collect()
}

fn state(term: u64, vote: Option<Member>) -> Bytes {
    Promise { term: Term(term), vote }.encode()
}

/// What a disk has kept: this term, without a vote, and this log.
fn recovered(term: u64, terms: &[u64]) -> Recovered {
    Recovered {
        state: Some(state(term, None)),
        base: EntryId::ZERO,
        entries: entries(terms),
        commit: Index(0),
    }
}

/// A member of three that was restarted with this log, in this term.
fn member(term: u64, terms: &[u64]) -> Raft {
    let (raft, effects) = Raft::new(config(), recovered(term, terms), base(3), Instant::ZERO).unwrap();
    assert_eq!(effects, []);
    raft
}

fn step(raft: &mut Raft, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    raft.step(raft.now, input, &mut effects);
    raft.check_invariants();
    effects
}

fn receive(raft: &mut Raft, from: Member, message: Message) -> Vec<Effect> {
    step(raft, Input::Received { from, message })
}

fn time_out(raft: &mut Raft) -> Vec<Effect> {
    let mut effects = Vec::new();
    let deadline = raft.deadline().unwrap();
    raft.step(deadline, Input::Elapsed, &mut effects);
    effects
}

fn persisted(raft: &mut Raft, ticket: u64) -> Vec<Effect> {
    step(raft, Input::Persisted { ticket: Ticket(ticket) })
}

/// A member that has just won the next term with the vote of n2; its first entry is not durable yet.
fn leader(term: u64, terms: &[u64]) -> Raft {
    let mut raft = member(term, terms);
    time_out(&mut raft);
    let term = Term(term + 1);
    receive(&mut raft, N2, Message::PreVoteReply { term, granted: true, at: Instant::ZERO });
    persisted(&mut raft, 1);
    receive(&mut raft, N2, Message::VoteReply { term, granted: true });
    assert_eq!(raft.role(), Role::Leader);
    raft
}

fn sends(to: Member, message: Message) -> Effect {
    Effect::Send { to, message, after: None }
}

fn holds(to: Member, message: Message, ticket: u64) -> Effect {
    Effect::Send { to, message, after: Some(Ticket(ticket)) }
}

fn persists(ticket: u64, writes: Vec<Write>) -> Effect {
    Effect::Persist { ticket: Ticket(ticket), writes }
}

fn becomes(role: Role, term: u64, leader: Option<Member>) -> Effect {
    Effect::RoleChanged { role, term: Term(term), leader }
}

fn append(term: u64, previous: EntryId, entries: Vec<Entry>, commit: u64) -> Message {
    Message::Append { term: Term(term), previous, entries, commit: Index(commit) }
}

fn appended(term: u64, through: u64) -> Message {
    Message::Appended { term: Term(term), through: Index(through) }
}

#[test]
fn a_timeout_begins_with_a_pre_vote_that_changes_nothing() {
    let mut raft = member(3, &[1, 2]);
    let at = raft.deadline().unwrap();
    let message = Message::PreVote { term: Term(4), last: EntryId::new(2, 2), at };
    let expected = [sends(N2, message.clone()), sends(N3, message), becomes(Role::PreCandidate, 3, None)];
    assert_eq!(time_out(&mut raft), expected);
    assert_eq!((raft.term(), raft.vote()), (Term(3), None));
}

#[test]
fn the_timeouts_lie_between_one_and_two() {
    for seed in 0..100 {
        let config = Config { seed, ..config() };
        let (raft, _) = Raft::new(config, Recovered::default(), base(3), Instant(5)).unwrap();
        let wait = raft.deadline().unwrap().since(Instant(5)).as_millis();
        assert!((100..200).contains(&wait), "{wait} ms");
    }
}

#[test]
fn a_campaign_waits_for_its_own_vote() {
    let mut raft = member(3, &[1, 2]);
    time_out(&mut raft);
    let last = EntryId::new(2, 2);
    let vote = Message::Vote { term: Term(4), last, transfer: false };
    let expected = [
        persists(1, vec![Write::State(state(4, Some(N1)))]),
        holds(N2, vote.clone(), 1),
        holds(N3, vote, 1),
        becomes(Role::Candidate, 4, None),
    ];
    assert_eq!(
        receive(&mut raft, N2, Message::PreVoteReply { term: Term(4), granted: true, at: Instant::ZERO }),
        expected
    );
}

#[test]
fn a_pre_vote_of_another_campaign_does_not_count() {
    let mut raft = member(3, &[]);
    time_out(&mut raft);
    assert_eq!(
        receive(&mut raft, N2, Message::PreVoteReply { term: Term(5), granted: true, at: Instant::ZERO }),
        []
    );
    assert_eq!(raft.role(), Role::PreCandidate);
}

#[test]
fn who_agrees_to_a_campaign_does_not_start_one_meanwhile() {
    let asks = || Input::Received {
        from: N2,
        message: Message::PreVote { term: Term(4), last: EntryId::ZERO, at: Instant::ZERO },
    };
    let mut raft = member(3, &[]);
    let due = raft.deadline().unwrap();
    assert_eq!(
        step(&mut raft, asks()),
        [sends(N2, Message::PreVoteReply { term: Term(4), granted: true, at: Instant::ZERO })]
    );
    assert_eq!(raft.deadline(), Some(due), "it would have waited for longer anyway");
    let just_before = Instant(due.0 - 1);
    raft.step(just_before, asks(), &mut Vec::new());
    assert_eq!(raft.deadline(), Some(just_before + config().heartbeat_interval), "no longer: n2 may be deaf");
}

#[test]
fn of_two_that_ask_at_once_one_gives_way() {
    let asks = |from, last| Input::Received {
        from,
        message: Message::PreVote { term: Term(4), last, at: Instant::ZERO },
    };
    let granted = |to| sends(to, Message::PreVoteReply { term: Term(4), granted: true, at: Instant::ZERO });
    let asked = || {
        let own = Config { id: N2, ..config() };
        let mut raft = Raft::new(own, recovered(3, &[1]), base(3), Instant::ZERO).unwrap().0;
        time_out(&mut raft);
        raft
    };
    let may_win = |raft: &mut Raft, round_trip: Duration| {
        let at = Instant(raft.now.0 - u64::try_from(round_trip.as_nanos()).unwrap());
        receive(raft, N1, Message::PreVoteReply { term: Term(4), granted: true, at });
        raft.role() == Role::Candidate
    };
    let (own, better) = (EntryId::new(1, 1), EntryId::new(2, 1));

    let mut raft = asked();
    assert_eq!(step(&mut raft, asks(N1, own)), [granted(N1)]);
    assert!(may_win(&mut raft, Duration::ZERO), "n1 is lower: it gives way, and n2 goes on");

    for (other, last) in [(N3, own), (N1, better)] {
        let mut raft = asked();
        assert_eq!(step(&mut raft, asks(other, last)), [granted(other)]);
        assert!(!may_win(&mut raft, Duration::ZERO), "n3 is higher; n1 would not vote for n2");
        // It asks again, and others again ask it: it does not give way for good.
        time_out(&mut raft);
        step(&mut raft, asks(other, last));
        assert!(may_win(&mut raft, Duration::ZERO));
    }

    // Where messages take long, so does the request of the one that goes on.
    let mut raft = asked();
    step(&mut raft, asks(N3, own));
    let round_trip = Duration::from_millis(80);
    raft.now = raft.now + Duration::from_millis(150);
    assert!(!may_win(&mut raft, round_trip));
    raft.now = raft.now + Duration::from_millis(20);
    assert!(may_win(&mut raft, round_trip));
}

#[test]
fn a_vote_goes_to_the_first_whose_log_is_up_to_date() {
    let mut raft = member(3, &[1, 2]);
    let refused =
        receive(&mut raft, N2, Message::Vote { term: Term(4), last: EntryId::new(9, 1), transfer: false });
    let expected = [
        persists(1, vec![Write::State(state(4, None))]),
        holds(N2, Message::VoteReply { term: Term(4), granted: false }, 1),
        becomes(Role::Follower, 4, None),
    ];
    assert_eq!(refused, expected);
    let last = EntryId::new(2, 2);
    let expected = [
        persists(2, vec![Write::State(state(4, Some(N3)))]),
        holds(N3, Message::VoteReply { term: Term(4), granted: true }, 2),
    ];
    assert_eq!(receive(&mut raft, N3, Message::Vote { term: Term(4), last, transfer: false }), expected);
    // The same candidate may ask again, another may not.
    persisted(&mut raft, 2);
    let again = receive(&mut raft, N3, Message::Vote { term: Term(4), last, transfer: false });
    assert_eq!(again, [sends(N3, Message::VoteReply { term: Term(4), granted: true })]);
    let other = receive(&mut raft, N2, Message::Vote { term: Term(4), last, transfer: false });
    assert_eq!(other, [sends(N2, Message::VoteReply { term: Term(4), granted: false })]);
}

#[test]
fn who_hears_a_leader_does_not_even_consider_a_vote() {
    let mut raft = member(3, &[]);
    receive(&mut raft, N2, append(3, EntryId::ZERO, vec![], 0));
    let last = EntryId::new(9, 9);
    assert_eq!(receive(&mut raft, N3, Message::PreVote { term: Term(4), last, at: Instant::ZERO }), []);
    assert_eq!(receive(&mut raft, N3, Message::Vote { term: Term(4), last, transfer: false }), []);
    assert_eq!(raft.term(), Term(3));
}

#[test]
fn an_outdated_sender_is_told() {
    let mut raft = member(3, &[]);
    let outdated = Message::Outdated { term: Term(3) };
    assert_eq!(receive(&mut raft, N2, append(2, EntryId::ZERO, vec![], 0)), [sends(N2, outdated.clone())]);
    let vote = Message::Vote { term: Term(2), last: EntryId::ZERO, transfer: false };
    assert_eq!(receive(&mut raft, N2, vote), [sends(N2, outdated)]);
    assert_eq!(receive(&mut raft, N2, appended(2, 1)), []);
}

#[test]
fn strangers_and_nonsense_are_ignored() {
    let mut raft = member(3, &[1]);
    let last = EntryId::new(9, 9);
    let answer = Message::VoteReply { term: Term(4), granted: false };
    assert_eq!(receive(&mut raft, node(9), answer), []);
    assert_eq!(receive(&mut raft, N1, Message::Vote { term: Term(4), last, transfer: false }), []);
    assert_eq!(receive(&mut raft, N2, Message::Vote { term: Term(u64::MAX), last, transfer: false }), []);
    assert_eq!(raft.term(), Term(3));
    receive(&mut raft, N2, append(3, EntryId::ZERO, vec![], 0));
    let far = EntryId::new(u64::MAX, 3);
    for entries in [
        vec![entry(2, 1), entry(4, 1)],
        vec![entry(2, 2), entry(3, 1)],
        vec![entry(2, 4)],
        vec![Entry { time: Timestamp(5), ..entry(2, 1) }, entry(3, 1)],
    ] {
        assert_eq!(receive(&mut raft, N2, append(3, EntryId::new(1, 1), entries, 9)), []);
    }
    assert_eq!(receive(&mut raft, N2, append(3, far, vec![entry(1, 3)], 9)), []);
    let mut leader = leader(3, &[1]);
    let huge = Index(u64::MAX);
    let beat = Beat { round: 0, at: Instant::ZERO };
    let reply = Message::HeartbeatReply { term: Term(4), beat, sent: huge, received: huge, durable: huge };
    assert_eq!(receive(&mut leader, N2, appended(4, u64::MAX)), []);
    assert_eq!(receive(&mut leader, N2, reply), []);
    let conflict = Message::Conflict { term: Term(4), at: Index(1), hint: EntryId::new(u64::MAX, 9) };
    assert_eq!(receive(&mut leader, N2, conflict), []);
}

#[test]
fn who_lacks_what_it_has_acknowledged_is_not_asked_again_at_once() {
    let mut leader = leader(3, &[1]);
    receive(&mut leader, N2, appended(4, 2));
    let beat = Beat { round: 0, at: Instant::ZERO };
    let has = |received, sent| Message::HeartbeatReply {
        term: Term(4),
        beat,
        sent: Index(sent),
        received: Index(received),
        durable: Index(received),
    };
    // It has lost its log, which no disk does that keeps what it has synced. Neither gets any further, and
    // both would talk of nothing else.
    let repeated = sends(N2, append(4, EntryId::new(2, 4), vec![], 0));
    assert_eq!(receive(&mut leader, N2, has(0, 2)), std::slice::from_ref(&repeated));
    let conflict = || Message::Conflict { term: Term(4), at: Index(2), hint: EntryId::ZERO };
    assert_eq!(receive(&mut leader, N2, conflict()), []);
    assert_eq!(receive(&mut leader, N2, has(0, 0)), [repeated], "with the next heartbeat");
}

#[test]
fn entries_are_acknowledged_once_they_are_durable() {
    let mut raft = member(3, &[1]);
    let effects = receive(&mut raft, N2, append(3, EntryId::new(1, 1), vec![entry(2, 3)], 1));
    let expected = [
        persists(1, vec![Write::Append { entries: vec![entry(2, 3)], commit: Index(1) }]),
        Effect::Apply { entries: vec![entry(1, 1)] },
        holds(N2, appended(3, 2), 1),
        becomes(Role::Follower, 3, Some(N2)),
    ];
    assert_eq!(effects, expected);
    // The same once more: nothing is written, and the acknowledgement still waits for the first write.
    let again = receive(&mut raft, N2, append(3, EntryId::new(1, 1), vec![entry(2, 3)], 1));
    assert_eq!(again, [holds(N2, appended(3, 2), 1)]);
    persisted(&mut raft, 1);
    let durable = receive(&mut raft, N2, append(3, EntryId::new(1, 1), vec![entry(2, 3)], 1));
    assert_eq!(durable, [sends(N2, appended(3, 2))]);
}

#[test]
fn a_tail_that_differs_is_cut() {
    let mut raft = member(4, &[1, 2, 2]);
    let effects = receive(&mut raft, N2, append(4, EntryId::new(1, 1), vec![entry(2, 4)], 0));
    let writes =
        vec![Write::Cut { from: Index(2) }, Write::Append { entries: vec![entry(2, 4)], commit: Index(0) }];
    assert_eq!(effects[..2], [persists(1, writes), holds(N2, appended(4, 2), 1)]);
    assert_eq!(raft.log().last(), EntryId::new(2, 4));
}

#[test]
fn a_late_append_does_not_undo_a_later_one() {
    let mut raft = member(4, &[1]);
    receive(&mut raft, N2, append(4, EntryId::new(1, 1), vec![entry(2, 4), entry(3, 4)], 0));
    let late = receive(&mut raft, N2, append(4, EntryId::new(1, 1), vec![entry(2, 4)], 0));
    assert_eq!(late, [holds(N2, appended(4, 2), 1)]);
    assert_eq!(raft.log().last(), EntryId::new(3, 4));
}

#[test]
fn a_gap_is_answered_with_the_last_entry_that_may_be_shared() {
    let mut raft = member(6, &[1, 1, 4, 4]);
    let conflict = |at, hint| sends(N2, Message::Conflict { term: Term(6), at: Index(at), hint });
    let effects = receive(&mut raft, N2, append(6, EntryId::new(9, 6), vec![], 0));
    assert_eq!(effects[0], conflict(9, EntryId::new(4, 4)));
    let effects = receive(&mut raft, N2, append(6, EntryId::new(4, 3), vec![], 0));
    assert_eq!(effects[0], conflict(4, EntryId::new(2, 1)));
}

#[test]
fn an_uncommitted_entry_of_a_later_time_does_not_hide_the_leader() {
    // Found by the random walk: the times of an entry about to be cut were held against the leader's.
    let mut raft = member(4, &[]);
    let ahead = Entry { time: Timestamp(50), ..entry(1, 4) };
    receive(&mut raft, N2, append(4, EntryId::ZERO, vec![ahead], 0));
    let effects = receive(&mut raft, N3, append(5, EntryId::new(1, 3), vec![entry(2, 5)], 0));
    let conflict = Message::Conflict { term: Term(5), at: Index(1), hint: EntryId::ZERO };
    assert!(effects.contains(&holds(N3, conflict, 2)), "{effects:?}");
}

#[test]
#[should_panic(expected = "leader completeness")]
fn a_leader_without_a_committed_entry_stops_the_member() {
    let mut raft = member(3, &[1, 1]);
    receive(&mut raft, N2, append(3, EntryId::new(2, 1), vec![], 2));
    receive(&mut raft, N3, append(4, EntryId::new(1, 1), vec![entry(2, 4)], 2));
}

#[test]
#[should_panic(expected = "election safety")]
fn two_leaders_of_a_term_stop_the_member() {
    let mut raft = member(3, &[]);
    receive(&mut raft, N2, append(3, EntryId::ZERO, vec![], 0));
    receive(&mut raft, N3, append(3, EntryId::ZERO, vec![], 0));
}

#[test]
fn a_new_leader_begins_with_an_entry_of_its_own() {
    let mut raft = member(3, &[1]);
    time_out(&mut raft);
    receive(&mut raft, N2, Message::PreVoteReply { term: Term(4), granted: true, at: Instant::ZERO });
    persisted(&mut raft, 1);
    let effects = receive(&mut raft, N2, Message::VoteReply { term: Term(4), granted: true });
    let first = append(4, EntryId::new(1, 1), vec![entry(2, 4)], 0);
    let expected = [
        persists(2, vec![Write::Append { entries: vec![entry(2, 4)], commit: Index(0) }]),
        sends(N2, first.clone()),
        sends(N3, first),
        becomes(Role::Leader, 4, Some(N1)),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn the_leaders_own_copy_counts_once_it_is_durable() {
    let mut raft = leader(3, &[1]);
    assert_eq!(receive(&mut raft, N2, appended(4, 2)), []);
    assert_eq!(raft.commit(), Index(0));
    assert_eq!(persisted(&mut raft, 2), [Effect::Apply { entries: vec![entry(1, 1), entry(2, 4)] }]);
    assert_eq!(raft.commit(), Index(2));
}

#[test]
fn a_proposal_is_refused_by_a_follower_and_settled_by_a_leader() {
    let proposal = Input::Propose { payload: Bytes::from_static(b"x"), time: Timestamp(9), seed: 5 };
    assert_eq!(step(&mut member(3, &[]), proposal.clone()), [Effect::Refused { leader: None }]);
    let mut raft = leader(3, &[]);
    let id = EntryId::new(2, 4);
    let new = Entry { id, time: Timestamp(9), seed: 5, payload: Bytes::from_static(b"\0x") };
    // Nobody is known to agree yet: nothing but the probes is on its way.
    let expected = [
        persists(3, vec![Write::Append { entries: vec![new.clone()], commit: Index(0) }]),
        Effect::Proposed { id },
    ];
    assert_eq!(step(&mut raft, proposal), expected);
    let effects = receive(&mut raft, N2, appended(4, 1));
    assert_eq!(effects, [sends(N2, append(4, EntryId::new(1, 4), vec![new], 0))]);
}

#[test]
fn time_never_goes_back_along_the_log() {
    let mut raft = leader(3, &[]);
    for (offered, settled) in [(9, 9), (4, 9), (10, 10)] {
        step(&mut raft, Input::Propose { payload: Bytes::new(), time: Timestamp(offered), seed: 0 });
        let last = raft.log().last().index;
        assert_eq!(raft.log().get(last).unwrap().time, Timestamp(settled));
    }
}

#[test]
fn reads_are_refused_when_the_leader_steps_down() {
    let mut raft = leader(3, &[]);
    assert_eq!(step(&mut raft, Input::Read { token: 1 }), []);
    let effects = receive(&mut raft, N3, Message::Outdated { term: Term(9) });
    let expected = [
        persists(3, vec![Write::State(state(9, None))]),
        Effect::ReadRefused { token: 1, leader: None },
        becomes(Role::Follower, 9, None),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn a_follower_asks_how_much_its_reads_must_see() {
    let mut raft = member(1, &[]);
    // Before it has heard a leader, there is nobody to ask.
    let refused = Effect::ReadRefused { token: 1, leader: None };
    assert_eq!(step(&mut raft, Input::Read { token: 1 }), [refused]);
    let beat = Beat { round: 0, at: Instant::ZERO };
    let heartbeat = || Message::Heartbeat { term: Term(1), beat, commit: Index(0), sent: Index(0) };
    receive(&mut raft, N2, heartbeat());
    let question = |effects: &[Effect]| -> Vec<u64> {
        let asked = effects.iter().filter_map(|effect| match effect {
            Effect::Send { to: N2, message: Message::AskIndex { round, .. }, after: None } => Some(*round),
            _ => None,
        });
        asked.collect()
    };
    let effects = step(&mut raft, Input::Read { token: 2 });
    let [first] = question(&effects)[..] else { panic!("it asks once: {effects:?}") };
    // What arrives meanwhile waits for the next question; what was lost is asked again.
    assert_eq!(step(&mut raft, Input::Read { token: 3 }), []);
    assert_eq!(question(&receive(&mut raft, N2, heartbeat())), []);
    raft.now = raft.now + config().heartbeat_interval;
    assert_eq!(question(&receive(&mut raft, N2, heartbeat())), [first]);
    let index = |round, index| Message::ReadIndex { term: Term(1), round, index: Index(index) };
    assert_eq!(receive(&mut raft, N2, index(first.wrapping_sub(1), 0)), [], "another question");
    let effects = receive(&mut raft, N2, index(first, 1));
    let [second] = question(&effects)[..] else { panic!("it asks for the other one: {effects:?}") };
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadReady { .. })), "it is not there yet");
    // It is ready once what it must see has been applied.
    let entry = Entry { id: EntryId::new(1, 1), time: Timestamp(1), seed: 0, payload: Bytes::new() };
    let (term, previous, entries, commit) = (Term(1), EntryId::ZERO, vec![entry], Index(1));
    let effects = receive(&mut raft, N2, Message::Append { term, previous, entries, commit });
    assert!(effects.contains(&Effect::ReadReady { token: 2, index: Index(1) }), "{effects:?}");
    // A new leader knows nothing of what the old one was asked.
    let effects = receive(&mut raft, N3, Message::Outdated { term: Term(2) });
    assert!(effects.contains(&Effect::ReadRefused { token: 3, leader: None }), "{effects:?}");
    assert!(
        !receive(&mut raft, N2, index(second, 1)).iter().any(|of| matches!(of, Effect::ReadReady { .. }))
    );
}

#[test]
fn a_large_log_asks_for_a_snapshot_and_is_compacted() {
    let recovered = Recovered { commit: Index(0), ..Recovered::default() };
    let config = Config { log_bytes_max: 150, ..config() };
    let (mut raft, _) = Raft::new(config, recovered, base(1), Instant::ZERO).unwrap();
    persisted(&mut raft, 1);
    persisted(&mut raft, 2);
    let proposal = Input::Propose { payload: Bytes::from(vec![0; 60]), time: Timestamp(3), seed: 0 };
    assert_eq!(step(&mut raft, proposal.clone()).len(), 2);
    persisted(&mut raft, 3);
    // What has been applied by then can be in the snapshot; it is asked for once.
    let at = EntryId::new(2, 1);
    assert_eq!(
        step(&mut raft, proposal.clone())[2..],
        [Effect::TakeSnapshot { at, time: Timestamp(3), configuration: Configuration::of([N1]) }]
    );
    assert_eq!(step(&mut raft, proposal).len(), 2);
    let effects = step(&mut raft, Input::SnapshotTaken { snapshot: at });
    assert_eq!(effects, [persists(6, vec![Write::Compact { through: at }])]);
    assert_eq!((raft.log().base(), raft.log().len()), (at, 2));
    // The time of what was compacted is not forgotten.
    assert_eq!(raft.core.base_time, Timestamp(3));
}

#[test]
fn a_snapshot_is_written_installed_and_acknowledged() {
    let mut raft = member(3, &[1]);
    let snapshot = EntryId::new(9, 2);
    let chunk = |offset: u64, length: usize, last| Chunk {
        snapshot,
        time: Timestamp(8),
        offset,
        data: Bytes::from(vec![0; length]),
        last,
    };
    let message = |chunk: &Chunk| Message::Snapshot { term: Term(3), chunk: chunk.clone() };
    let reply = |wanted| sends(N2, Message::SnapshotReply { term: Term(3), snapshot, wanted });
    let (first, last) = (chunk(0, 10, false), chunk(10, 5, true));
    // Too early: the beginning is wanted.
    assert_eq!(receive(&mut raft, N2, message(&last))[..1], [reply(0)]);
    assert_eq!(receive(&mut raft, N2, message(&first)), [Effect::WriteSnapshot { chunk: first.clone() }]);
    assert_eq!(step(&mut raft, Input::SnapshotWritten { snapshot, offset: 10 }), [reply(10)]);
    assert_eq!(receive(&mut raft, N2, message(&last)), [Effect::WriteSnapshot { chunk: last.clone() }]);
    let written = step(&mut raft, Input::SnapshotWritten { snapshot, offset: 15 });
    assert_eq!(written, [Effect::InstallSnapshot { snapshot }, reply(15)]);
    // Nothing is applied meanwhile.
    let commit = append(3, EntryId::new(1, 1), vec![], 1);
    assert_eq!(receive(&mut raft, N2, commit), [sends(N2, appended(3, 1))]);
    assert_eq!((raft.commit(), raft.applied()), (Index(1), Index(0)));
    let configuration = Configuration::of([N2, N3]);
    let expected = configuration.clone();
    let installed = step(&mut raft, Input::SnapshotInstalled { snapshot, time: Timestamp(8), configuration });
    let changed = Effect::ConfigurationChanged { index: Index(9), configuration: expected, committed: true };
    let install = persists(1, vec![Write::Install { snapshot }]);
    assert_eq!(installed, [install, holds(N2, appended(3, 9), 1), changed]);
    assert_eq!((raft.log().base(), raft.applied()), (snapshot, Index(9)));
}

#[test]
fn a_log_that_has_overtaken_the_snapshot_is_kept() {
    let mut raft = member(3, &[1]);
    let snapshot = EntryId::new(9, 2);
    let chunk = Chunk { snapshot, time: Timestamp(8), offset: 0, data: Bytes::from_static(b"x"), last: true };
    receive(&mut raft, N2, Message::Snapshot { term: Term(3), chunk });
    step(&mut raft, Input::SnapshotWritten { snapshot, offset: 1 });
    // While it is being made durable, another leader sends the log that it covers, and more.
    let sent: Vec<Entry> = (2..=10).map(|index| entry(index, 2)).collect();
    receive(&mut raft, N3, append(4, EntryId::new(1, 1), sent, 1));
    persisted(&mut raft, 1);
    let configuration = Configuration::of([N1, N2, N3]);
    let installed = step(&mut raft, Input::SnapshotInstalled { snapshot, time: Timestamp(8), configuration });
    assert!(installed.contains(&persists(2, vec![Write::Compact { through: snapshot }])), "{installed:?}");
    assert_eq!((raft.log().last(), raft.durable()), (EntryId::new(10, 2), Index(10)));
}

#[test]
fn a_damaged_snapshot_is_fetched_again() {
    let mut raft = member(3, &[]);
    let snapshot = EntryId::new(9, 2);
    let chunk = Chunk { snapshot, time: Timestamp(8), offset: 0, data: Bytes::from_static(b"x"), last: true };
    let message = Message::Snapshot { term: Term(3), chunk: chunk.clone() };
    receive(&mut raft, N2, message.clone());
    step(&mut raft, Input::SnapshotWritten { snapshot, offset: 1 });
    assert_eq!(step(&mut raft, Input::SnapshotUnusable { snapshot }), []);
    assert_eq!(receive(&mut raft, N2, message), [Effect::WriteSnapshot { chunk }]);
}

#[test]
fn what_was_committed_before_a_restart_is_applied_at_the_start() {
    let state = Some(state(2, None));
    let recovered = Recovered { state, base: EntryId::ZERO, entries: entries(&[1, 1, 2]), commit: Index(2) };
    let (raft, effects) = Raft::new(config(), recovered, base(3), Instant::ZERO).unwrap();
    assert_eq!(effects, [Effect::Apply { entries: entries(&[1, 1]) }]);
    assert_eq!((raft.applied(), raft.durable()), (Index(2), Index(3)));
}
