//! Databases that are dropped.

use onecopy_core::{BootNumber, Incarnation, Member, Rules};
use onecopy_views::{Command, Database, MAIN};

use super::tests::*;
use super::*;
use crate::disk::{ArchiveJob, Job};
use crate::message::Kind;

const OTHER: GroupId = GroupId(2);

fn table(is_dropped: bool) -> Table {
    let (copies, primary, boot) = (1, NodeId(1), BootNumber(1));
    let members = vec![Member { node: NodeId(1), incarnation: Incarnation(1) }];
    let mut commands =
        vec![Command::CreateGroup { group: MAIN, copies, members: members.clone(), primary, boot }];
    let database: Database = "carts:16".parse().expect("it is one");
    commands.push(Command::CreateDatabase { group: OTHER, database, copies, members, primary, boot });
    if is_dropped {
        commands.push(Command::DropDatabase { group: OTHER, name: "carts".to_owned() });
    }
    let mut table = Table::default();
    commands.iter().for_each(|command| table.apply(command, Rules::default()).expect("it fits"));
    table
}

#[test]
fn a_dropped_database_goes_with_all_it_has_and_whoever_waits_is_told() {
    let mut node = Node::holding(&[MAIN, OTHER]);
    node.plane.announced(NOW, &table(false), &mut (), &mut node.out);
    node.turn();
    node.submit_to(OTHER, Kind::Write, "a");
    node.submit_to(MAIN, Kind::Write, "b");
    node.plane.announced(NOW, &table(true), &mut (), &mut node.out);
    assert!(node.plane.group(OTHER).is_none() && node.plane.group(MAIN).is_some());
    let forgets = |job: &Job| job.group == OTHER && job.writes == [onecopy_core::Write::Forget];
    let at = node.out.writes.iter().position(forgets).expect("its log goes");
    let job = node.out.writes.remove(at);
    assert!(node.out.archive.is_empty(), "snapshots go when the log has forgotten them");
    node.plane.persisted(NOW, OTHER, job.ticket, &mut (), &mut node.out);
    assert_eq!(node.out.archive, [ArchiveJob::Forget { group: OTHER }]);
    node.out.archive.clear();
    node.turn();
    let replies: Vec<_> = node.plane.replies().collect();
    assert!(replies.contains(&("a", Reply::NoDatabase)), "{replies:?}");
    // And who comes later is told at once.
    node.submit_to(OTHER, Kind::Read, "c");
    assert_eq!(node.plane.replies().collect::<Vec<_>>(), [("c", Reply::NoDatabase)]);
    assert!(node.plane.coordinator(OTHER).is_none());
    // What still comes of it, or for it, is for nobody.
    node.plane.persisted(NOW, OTHER, job.ticket, &mut (), &mut node.out);
    node.plane.snapshot_wanted(OTHER, u64::MAX, &mut ());
    assert!(node.turn().is_empty());
    assert!(node.plane.occupied() < 1 << 20);
}

#[test]
fn who_was_away_drops_what_is_gone_when_it_hears_of_it() {
    let mut node = Node::holding(&[MAIN, OTHER]);
    assert!(node.plane.group(OTHER).is_some());
    node.plane.announced(NOW, &table(true), &mut (), &mut node.out);
    assert!(node.plane.group(OTHER).is_none());
}
