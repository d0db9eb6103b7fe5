//! The table of evidence in the crate's documentation, row by row. Recruiting is in `recruit`.

use super::*;

/// Group 1 with the primary n1 and the backups n2 and n3.
fn three() -> Scene {
    Scene::new(3, &[N1, N2, N3], &[N1, N2, N3])
}

#[test]
fn nothing_is_decided_while_all_is_well() {
    assert_eq!(three().decide(), []);
}

#[test]
fn a_silent_backup_is_removed() {
    let mut scene = three();
    scene.wait(TIMEOUT - 1);
    assert_eq!(scene.decide(), []);
    scene.ping(N1);
    scene.ping(N2);
    scene.wait(1);
    assert_eq!(scene.decide(), [remove_member(1, N3, Reason::Silent)]);
}

#[test]
fn a_silent_primary_is_succeeded_by_the_member_with_the_longest_durable_log() {
    let mut scene = three();
    scene.wait(TIMEOUT);
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Backup, 7)));
    scene.hear(N3, reporting(N3, report(1, ReplicaRole::Backup, 9)));
    assert_eq!(scene.decide(), [promote(1, N3, &[N1], Reason::Silent)]);
}

#[test]
fn of_equal_heirs_the_one_with_the_lowest_id_succeeds() {
    let mut scene = three();
    scene.wait(TIMEOUT);
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Backup, 9)));
    scene.hear(N3, reporting(N3, report(1, ReplicaRole::Backup, 9)));
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::Silent)]);
}

#[test]
fn a_learner_never_succeeds() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.apply(&add_learner(1, N2));
    scene.wait(TIMEOUT);
    scene.hear(N2, reporting(N2, report(2, ReplicaRole::Learner, 99)));
    assert_eq!(scene.decide(), []);
}

#[test]
fn all_that_failed_with_the_primary_are_dropped_by_the_same_change() {
    let mut scene = three();
    scene.wait(TIMEOUT);
    scene.ping(N3);
    assert_eq!(scene.decide(), [promote(1, N3, &[N1, N2], Reason::Silent)]);
}

#[test]
fn without_an_heir_the_group_waits() {
    let mut scene = three();
    scene.wait(TIMEOUT);
    assert_eq!(scene.decide(), []);
    scene.wait(100 * TIMEOUT);
    assert_eq!(scene.decide(), []);
    // The first that returns may be the only one.
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Backup, 7)));
    assert_eq!(scene.decide(), [promote(1, N2, &[N1, N3], Reason::Silent)]);
}

#[test]
fn a_learner_that_failed_stays_as_long_as_the_group_waits_for_a_primary() {
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.apply(&add_learner(1, N2));
    scene.wait(TIMEOUT);
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_new_leader_gives_everybody_the_timeout_first() {
    let table = three().table;
    let mut scene = Scene { table, ..Scene::empty(3) };
    scene.wait(TIMEOUT - 1);
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_member_that_was_never_heard_does_not_succeed() {
    let mut scene = Scene { table: three().table, ..Scene::empty(3) };
    // The primary has lost its data; nobody else has said anything to this leader yet.
    scene.hear(N1, Ping { incarnation: Incarnation(99), ..ping(N1) });
    let decided = scene.decide();
    assert!(decided.iter().all(|command| matches!(command, Command::RegisterNode { .. })), "{decided:?}");
}

#[test]
fn a_restarted_primary_gets_a_new_view() {
    // P11: here it has the longest log itself.
    let mut scene = three();
    let restarted = Ping { boot: BootNumber(2), ..reporting(N1, report(1, ReplicaRole::CannotLead, 9)) };
    scene.hear(N1, restarted.clone());
    let again = Command::PromoteMember {
        group: G1,
        expected: ViewNumber(1),
        primary: N1,
        boot: BootNumber(2),
        dropped: vec![],
        reason: Reason::Restarted,
    };
    let decided = scene.decide();
    assert_eq!(decided.last(), Some(&again));
    // Here somebody else has more: the restarted one becomes a backup.
    let mut scene = three();
    scene.hear(N1, restarted);
    scene.hear(N3, reporting(N3, report(1, ReplicaRole::Backup, 10)));
    let decided = scene.decide();
    assert_eq!(decided.last(), Some(&promote(1, N3, &[], Reason::Restarted)));
}

#[test]
fn a_restarted_backup_goes_on_in_its_view() {
    let mut scene = three();
    scene.hear(N2, Ping { boot: BootNumber(2), ..ping(N2) });
    let decided = scene.decide();
    assert!(matches!(decided[..], [Command::RegisterNode { node: N2, .. }]), "{decided:?}");
}

#[test]
fn a_primary_that_cannot_lead_is_succeeded() {
    let mut scene = three();
    scene.hear(N1, reporting(N1, report(1, ReplicaRole::CannotLead, 0)));
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Backup, 1)));
    assert_eq!(scene.decide(), [promote(1, N2, &[], Reason::CannotLead)]);
    // What it said of another view does not count.
    let mut scene = three();
    scene.hear(N1, reporting(N1, report(0, ReplicaRole::CannotLead, 0)));
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_member_that_lost_its_data_is_removed_although_it_pings() {
    // P9
    let lost = |node| Ping { incarnation: Incarnation(99), table: u64::MAX, ..ping(node) };
    let mut scene = three();
    scene.hear(N2, lost(N2));
    assert_eq!(scene.decide().last(), Some(&remove_member(1, N2, Reason::LostItsData)));
    let mut scene = three();
    scene.hear(N1, lost(N1));
    assert_eq!(scene.decide().last(), Some(&promote(1, N2, &[N1], Reason::LostItsData)));
    // The last member: there is nobody to go on with.
    let mut scene = Scene::new(2, &[N1], &[N1, N2]);
    scene.hear(N1, lost(N1));
    let decided = scene.decide();
    assert!(matches!(decided[..], [Command::RegisterNode { node: N1, .. }]), "{decided:?}");
}

#[test]
fn a_stalled_disk_is_as_good_as_silence() {
    let stalled = |node, role, waiting| {
        reporting(node, GroupReport { oldest_write: Some(ms(waiting)), ..report(1, role, 9) })
    };
    let mut scene = three();
    scene.hear(N2, stalled(N2, ReplicaRole::Backup, TIMEOUT - 1));
    assert_eq!(scene.decide(), []);
    scene.hear(N2, stalled(N2, ReplicaRole::Backup, TIMEOUT));
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::DiskStalled)]);
    let mut scene = three();
    scene.hear(N1, stalled(N1, ReplicaRole::Primary, TIMEOUT));
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::DiskStalled)]);
    // The groups of a node share its disk.
    let mut scene = three();
    let other =
        GroupReport { group: G2, oldest_write: Some(ms(TIMEOUT)), ..report(1, ReplicaRole::Backup, 0) };
    scene.hear(N3, reporting(N3, other));
    assert_eq!(scene.decide(), [remove_member(1, N3, Reason::DiskStalled)]);
}

#[test]
fn the_primary_is_believed_about_its_backups() {
    let mut scene = three();
    scene.suspect(N1, N2, TIMEOUT - 1);
    assert_eq!(scene.decide(), []);
    scene.suspect(N1, N2, TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)]);
}

#[test]
fn backups_are_not_believed_about_each_other() {
    let mut scene = three();
    scene.suspect(N2, N3, 10 * TIMEOUT);
    scene.suspect(N4, N3, 10 * TIMEOUT);
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_backup_is_believed_about_the_primary_after_twice_the_timeout() {
    let mut scene = three();
    scene.suspect(N2, N1, 2 * TIMEOUT - 1);
    assert_eq!(scene.decide(), []);
    scene.suspect(N2, N1, 2 * TIMEOUT);
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::Suspected)]);
}

#[test]
fn when_both_accuse_the_primary_is_believed() {
    let mut scene = three();
    scene.suspect(N2, N1, 4 * TIMEOUT);
    scene.suspect(N1, N2, TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)]);
    // Unless another backup, which the primary does not accuse, says so too.
    let mut scene = three();
    scene.suspect(N2, N1, 4 * TIMEOUT);
    scene.suspect(N1, N2, TIMEOUT);
    scene.suspect(N3, N1, 2 * TIMEOUT);
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::Suspected)]);
}

#[test]
fn an_accuser_that_is_ill_itself_is_not_believed() {
    let mut scene = three();
    scene.suspect(N2, N1, 2 * TIMEOUT);
    let stalled = GroupReport { oldest_write: Some(ms(TIMEOUT)), ..report(1, ReplicaRole::Backup, 9) };
    scene.hear(N2, reporting(N2, stalled));
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::DiskStalled)]);
}

#[test]
fn accusations_of_other_views_and_of_long_ago_do_not_count() {
    let mut scene = three();
    scene.suspect_in(ViewNumber(0), N1, N2, 4 * TIMEOUT);
    scene.suspect_in(ViewNumber(2), N2, N1, 4 * TIMEOUT);
    assert_eq!(scene.decide(), []);
    let mut scene = three();
    scene.suspect(N1, N2, 4 * TIMEOUT);
    scene.wait(TIMEOUT);
    [N1, N2, N3].into_iter().for_each(|node| scene.ping(node));
    assert_eq!(scene.decide(), []);
}

#[test]
fn a_learner_is_judged_like_a_backup() {
    let learning = || {
        let mut scene = Scene::new(2, &[N1], &[N1, N2]);
        scene.apply(&add_learner(1, N2));
        scene
    };
    let mut scene = learning();
    scene.wait(TIMEOUT);
    scene.ping(N1);
    assert_eq!(scene.decide(), [remove_learner(2, N2, Reason::Silent)]);
    let mut scene = learning();
    scene.suspect(N1, N2, TIMEOUT);
    assert_eq!(scene.decide(), [remove_learner(2, N2, Reason::Suspected)]);
    // What a learner says of the primary does not count.
    let mut scene = learning();
    scene.suspect(N2, N1, 4 * TIMEOUT);
    assert_eq!(scene.decide(), []);
}

#[test]
fn the_primary_comes_first_and_one_change_is_made_at_a_time() {
    let mut scene = three();
    scene.hear(N1, reporting(N1, report(1, ReplicaRole::CannotLead, 0)));
    scene.hear(N2, reporting(N2, report(1, ReplicaRole::Backup, 1)));
    scene.suspect(N1, N3, TIMEOUT);
    assert_eq!(scene.decide(), [promote(1, N2, &[], Reason::CannotLead)]);
    let mut scene = three();
    scene.suspect(N1, N2, TIMEOUT);
    scene.suspect(N1, N3, TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(1, N2, Reason::Suspected)]);
}

#[test]
fn a_proposal_is_given_time_before_it_is_made_again() {
    let mut scene = three();
    let lost = |scene: &mut Scene| {
        scene.ping(N1);
        scene.ping(N2);
        scene.suspect(N1, N3, TIMEOUT);
    };
    lost(&mut scene);
    let removal = remove_member(1, N3, Reason::Suspected);
    assert_eq!(scene.decide(), std::slice::from_ref(&removal));
    scene.wait(199);
    lost(&mut scene);
    assert_eq!(scene.decide(), []);
    scene.wait(1);
    lost(&mut scene);
    assert_eq!(scene.decide(), std::slice::from_ref(&removal));
    // The next view is another question.
    scene.apply(&removal);
    scene.suspect(N1, N2, TIMEOUT);
    assert_eq!(scene.decide(), [remove_member(2, N2, Reason::Suspected)]);
}

#[test]
fn groups_are_judged_by_themselves() {
    let mut scene = three();
    scene.apply(&create(G2, 2, &[N2, N1]));
    scene.wait(TIMEOUT);
    scene.ping(N2);
    scene.ping(N3);
    let removal =
        Command::RemoveMember { group: G2, expected: ViewNumber(1), node: N1, reason: Reason::Silent };
    assert_eq!(scene.decide(), [promote(1, N2, &[N1], Reason::Silent), removal]);
}
