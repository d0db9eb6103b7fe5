//! Changes of the configuration, transfers and leases, by their exact effects.

use super::*;
use crate::{Beat, Change, ChangeRefusal, ClockDrift, ImpossibleChange, TransferRefusal, content};

const N4: Member = node(4);

/// A leader of three in its fourth term whose first entry is committed everywhere.
fn settled(leases: Option<ClockDrift>) -> Raft {
    let mut raft = leader(3, &[]);
    raft.core.config.leases = leases;
    persisted(&mut raft, 2);
    receive(&mut raft, N2, appended(4, 1));
    receive(&mut raft, N3, appended(4, 1));
    assert_eq!(raft.commit(), Index(1));
    raft
}

fn change(raft: &mut Raft, changes: &[Change]) -> Vec<Effect> {
    step(raft, Input::Change { changes: changes.to_vec() })
}

fn refused(reason: impl Into<ChangeRefusal>) -> [Effect; 1] {
    [Effect::ChangeRefused { reason: reason.into() }]
}

/// A settled leader with n4 as a committed learner, which has acknowledged `through`.
fn with_learner(through: u64) -> Raft {
    let mut raft = settled(None);
    change(&mut raft, &[Change::AddLearner(N4)]);
    persisted(&mut raft, 3);
    receive(&mut raft, N2, appended(4, 2));
    receive(&mut raft, N3, appended(4, 2));
    receive(&mut raft, N4, appended(4, through));
    raft
}

fn pass(raft: &mut Raft, milliseconds: u64) {
    raft.now = raft.now + Duration::from_millis(milliseconds);
}

#[test]
fn a_learner_is_added_by_one_entry_and_counts_for_nothing() {
    let mut raft = settled(None);
    let next = Configuration { learners: [N4].into(), ..Configuration::of([N1, N2, N3]) };
    let new = Entry { payload: content::of_configuration(&next), ..entry(2, 4) };
    let entries = append(4, EntryId::new(1, 4), vec![new.clone()], 1);
    let expected = [
        persists(3, vec![Write::Append { entries: vec![new.clone()], commit: Index(1) }]),
        Effect::ChangeBegun { id: new.id },
        sends(N2, entries.clone()),
        sends(N3, entries),
        sends(N4, append(4, new.id, vec![], 1)),
        Effect::ConfigurationChanged { index: Index(2), configuration: next.clone(), committed: false },
    ];
    assert_eq!(change(&mut raft, &[Change::AddLearner(N4)]), expected);
    persisted(&mut raft, 3);
    receive(&mut raft, N4, appended(4, 2));
    assert_eq!(raft.commit(), Index(1));
    let expected = [
        Effect::Apply { entries: vec![entry(2, 4)] },
        Effect::ConfigurationChanged { index: Index(2), configuration: next, committed: true },
    ];
    assert_eq!(receive(&mut raft, N2, appended(4, 2)), expected);
}

#[test]
fn a_change_is_refused_with_its_reason() {
    let add = [Change::AddLearner(N4)];
    let mut follower = member(3, &[]);
    assert_eq!(change(&mut follower, &add), refused(ChangeRefusal::NotLeader { leader: None }));
    assert_eq!(change(&mut leader(3, &[]), &add), refused(ChangeRefusal::NewLeader));
    let mut raft = settled(None);
    let here = ImpossibleChange::AlreadyMember(N2);
    assert_eq!(change(&mut raft, &[Change::AddLearner(N2)]), refused(here));
    change(&mut raft, &add);
    assert_eq!(change(&mut raft, &add), refused(ChangeRefusal::UnderWay));
}

#[test]
fn a_promotion_waits_for_the_learner() {
    let promote = [Change::Promote(N4)];
    let mut raft = with_learner(0);
    for _ in 0..2 {
        step(&mut raft, Input::Propose { payload: Bytes::new(), time: Timestamp(0), seed: 0 });
    }
    assert_eq!(change(&mut raft, &promote), refused(ChangeRefusal::Lagging { member: N4, lag: 4 }));
    receive(&mut raft, N4, appended(4, 2));
    let begun = change(&mut raft, &promote);
    assert!(begun.contains(&Effect::ChangeBegun { id: EntryId::new(5, 4) }), "{begun:?}");
    // One that was never heard may be dead, however short the log is.
    let mut raft = with_learner(0);
    assert_eq!(change(&mut raft, &promote), refused(ChangeRefusal::Silent { member: N4 }));
    let mut raft = with_learner(2);
    pass(&mut raft, 100);
    assert_eq!(change(&mut raft, &promote), refused(ChangeRefusal::Silent { member: N4 }));
}

#[test]
fn a_cut_tail_takes_its_configuration_along() {
    let mut raft = member(3, &[1]);
    let two = Configuration::of([N1, N2]);
    let with = Entry { payload: content::of_configuration(&two), ..entry(2, 3) };
    receive(&mut raft, N2, append(3, EntryId::new(1, 1), vec![with], 0));
    assert_eq!(raft.configuration(), &two);
    let effects = receive(&mut raft, N3, append(4, EntryId::new(1, 1), vec![entry(2, 4)], 0));
    let three = Configuration::of([N1, N2, N3]);
    let changed = Effect::ConfigurationChanged { index: Index(0), configuration: three, committed: true };
    assert_eq!(effects.last(), Some(&changed));
}

#[test]
fn who_is_no_voter_never_campaigns_but_votes() {
    let (mut raft, _) = Raft::new(config(), Recovered::default(), Base::default(), Instant::ZERO).unwrap();
    assert_eq!(raft.deadline(), None);
    pass(&mut raft, 1_000);
    assert_eq!(step(&mut raft, Input::Elapsed), []);
    assert_eq!(receive(&mut raft, N2, Message::TimeoutNow { term: Term(0) })[..0], []);
    assert_ne!(raft.role(), Role::Candidate);
    let mut raft = Raft::new(config(), Recovered::default(), Base::default(), Instant::ZERO).unwrap().0;
    let effects =
        receive(&mut raft, N2, Message::Vote { term: Term(1), last: EntryId::ZERO, transfer: false });
    assert!(
        effects.contains(&holds(N2, Message::VoteReply { term: Term(1), granted: true }, 1)),
        "{effects:?}"
    );
}

#[test]
fn who_heard_a_leader_stays_loyal_when_the_term_changes() {
    let mut raft = member(3, &[]);
    receive(&mut raft, N2, append(3, EntryId::ZERO, vec![], 0));
    receive(&mut raft, N3, Message::Outdated { term: Term(5) });
    let last = EntryId::ZERO;
    let vote = |term, transfer| Message::Vote { term: Term(term), last, transfer };
    assert_eq!(receive(&mut raft, N3, vote(5, false)), []);
    assert_eq!(receive(&mut raft, N3, vote(6, false)), []);
    pass(&mut raft, 100);
    let effects = receive(&mut raft, N3, vote(6, false));
    assert!(
        effects.contains(&holds(N3, Message::VoteReply { term: Term(6), granted: true }, 2)),
        "{effects:?}"
    );
}

#[test]
fn a_transfer_asks_for_votes_in_the_leaders_name() {
    let mut raft = member(3, &[]);
    receive(&mut raft, N2, append(3, EntryId::ZERO, vec![], 0));
    let effects = receive(&mut raft, N2, Message::TimeoutNow { term: Term(3) });
    let vote = Message::Vote { term: Term(4), last: EntryId::ZERO, transfer: true };
    let expected = [
        persists(1, vec![Write::State(state(4, Some(N1)))]),
        holds(N2, vote.clone(), 1),
        holds(N3, vote.clone(), 1),
        becomes(Role::Candidate, 4, None),
    ];
    assert_eq!(effects, expected);
    // Another one that hears the same leader.
    let mut raft = member(3, &[]);
    receive(&mut raft, N2, append(3, EntryId::ZERO, vec![], 0));
    let effects = receive(&mut raft, N3, vote);
    assert!(
        effects.contains(&holds(N3, Message::VoteReply { term: Term(4), granted: true }, 1)),
        "{effects:?}"
    );
}

#[test]
fn a_transfer_goes_to_a_voter_that_is_up_to_date() {
    let mut raft = settled(None);
    let transfer = |raft: &mut Raft, to| step(raft, Input::Transfer { to });
    let not = |reason| [Effect::TransferRefused { reason }];
    assert_eq!(transfer(&mut raft, N1), not(TransferRefusal::LeadsAlready));
    assert_eq!(transfer(&mut raft, N4), not(TransferRefusal::NotAVoter(N4)));
    let now = sends(N2, Message::TimeoutNow { term: Term(4) });
    assert_eq!(transfer(&mut raft, N2), [Effect::TransferBegun { to: N2 }, now]);
    assert_eq!(transfer(&mut raft, N3), not(TransferRefusal::UnderWay));
    assert_eq!(raft.transfer(), Some(N2));
}

#[test]
fn a_lease_runs_from_the_sending_of_what_was_answered() {
    let mut raft = settled(Some(ClockDrift { ppm: 100_000 }));
    let sent = raft.now;
    pass(&mut raft, 50);
    assert_eq!(step(&mut raft, Input::Read { token: 1 }).len(), 2, "a round begins");
    let answer = |at| Message::HeartbeatReply {
        term: Term(4),
        beat: Beat { round: 0, at },
        sent: Index(1),
        received: Index(1),
        durable: Index(1),
    };
    receive(&mut raft, N3, answer(sent));
    let ready = |token| [Effect::ReadReady { token, index: Index(1) }];
    assert_eq!(step(&mut raft, Input::Read { token: 2 }), ready(2));
    // 100 ms, shortened to 9/11 of it.
    pass(&mut raft, 31);
    assert_eq!(step(&mut raft, Input::Read { token: 3 }), ready(3));
    pass(&mut raft, 1);
    assert_eq!(step(&mut raft, Input::Read { token: 4 }), []);
    // An answer to a heartbeat that was never sent begins no lease in the future.
    receive(&mut raft, N3, answer(Instant(u64::MAX)));
    pass(&mut raft, 82);
    assert_eq!(step(&mut raft, Input::Read { token: 5 }), []);
}
