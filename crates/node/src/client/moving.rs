//! Keys that go to databases of other groups: a step of a move is carried out, and moves are ended whose
//! mover is gone.
//!
//! What is under way is in the state of the group that the key leaves, and counted in what its primary says
//! of itself. There somebody looks, now and then, for what takes too long: its client's node may have died.
//! If it has not, both drive the move, and hear the same.

use std::rc::Rc;
use std::time::Duration;

use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::moves::{Ask, Ended, Heard, Mover};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::Version;
use tracing::{info, warn};

use super::Clients;
use super::connection::push_args_bit_by_bit;

/// So often somebody looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// What has been under way for longer is gone on with.
const AGE: Duration = Duration::from_secs(3);

/// A step, as it is handed in.
pub(super) async fn segment(ask: &Ask) -> SegmentBuilder {
    let mut builder = SegmentBuilder::new(ask.db, Version::Two);
    push_args_bit_by_bit(&mut builder, &ask.args.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
    builder
}

/// What became of it.
pub(super) fn heard(reply: &Reply) -> Heard<'_> {
    match reply {
        Reply::Done { reply, .. } => Heard::Reply(reply),
        Reply::NoDatabase => Heard::NoDatabase,
        Reply::Refused | Reply::TooFewCopies { .. } => Heard::Refused,
        Reply::Unknown | Reply::Forgotten | Reply::Dangerous | Reply::Broken => Heard::Unknown,
    }
}

/// Ends moves that have been under way for long, of the groups that this thread leads.
pub(crate) async fn go_on(clients: Rc<Clients>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let leads = clients.knowledge.data.of_replicas(|replica| {
            let is_meant = replica.thread as usize == clients.thread && replica.role == "primary";
            (is_meant && replica.departures > 0).then_some(GroupId(replica.group))
        });
        for group in leads {
            let look = Mover::look(group, AGE.as_millis() as u64);
            // Without an answer the node is stopping.
            let Some(reply) = carry_out(&clients, &look).await else { return };
            let Heard::Reply(found) = heard(&reply) else { continue };
            for number in Mover::found(found) {
                let mut mover = Mover::resume(group, number);
                let ended = loop {
                    let Some(reply) = carry_out(&clients, &mover.ask()).await else { return };
                    if let Some(ended) = mover.hear(heard(&reply)) {
                        break ended;
                    }
                };
                match ended {
                    Ended::UnderWay => {
                        warn!(%group, number, "a key that is moved to another database is still on its way");
                    }
                    ended => info!(%group, number, ?ended, "a move whose node was gone has ended"),
                }
            }
        }
    }
}

async fn carry_out(clients: &Clients, ask: &Ask) -> Option<Reply> {
    let kind = if ask.writes { Kind::Write } else { Kind::Read };
    let segment = segment(ask).await.finish().freeze();
    clients.hand_in(ask.group, kind, segment).await.ok()
}
