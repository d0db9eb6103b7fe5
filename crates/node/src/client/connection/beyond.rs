//! `COPY` into a database that another group holds, of whatever kind, and `MOVE`.
//!
//! Groups have no moment in common, so it is two steps: the value is read where it is, with the time at which
//! it ends, and written where it is to be, as `DUMP` and `RESTORE` have it. Each step is what such a command
//! is by itself: the read sees everything that was acknowledged before, the write is executed once. What
//! others write to the original between the two is not in the copy.
//!
//! To move is three steps, so that the key is in exactly one place whatever dies in between
//! ([`Mover`](onecopy_keyspace::moves::Mover)).

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply};
use onecopy_keyspace::command::Spec;
use onecopy_keyspace::moves::{Ended, Mover};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::{Request, Version};
use onecopy_views::{Kind as Replication, Table};

use super::Connection;
use super::migrate::{dumped, line};
use super::segment::{Segment, push_args_bit_by_bit};
use crate::client::accounting::Tally;
use crate::client::databases::{Selected, spans};
use crate::client::failure::explain;
use crate::client::moving;

/// What is said of a move whose end nobody knows yet.
const UNDER_WAY: &str = "UNKNOWN the key may be on its way: it is moved, or stays, once both databases can be reached. \
                         Until then it answers -TRYAGAIN";

/// What stands behind the keys of a `COPY`: whether it replaces what is there.
fn replaces<'a>(mut options: impl Iterator<Item = &'a [u8]>) -> Result<bool, &'static str> {
    let mut replaces = false;
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"replace") {
            replaces = true;
        } else if !option.eq_ignore_ascii_case(b"db") || options.next().is_none() {
            return Err("ERR syntax error");
        }
    }
    Ok(replaces)
}

impl Connection<'_> {
    /// A command that names a database of another group, which is the `target`.
    pub(super) async fn reach_beyond(
        &mut self,
        spec: &'static Spec,
        request: &Request<'_>,
        target: Selected,
        table: &Table,
    ) -> std::io::Result<()> {
        // Replies come in the order of the requests.
        self.submit().await?;
        let selected = self.session.selected;
        let began = std::time::Instant::now();
        let is_optimistic = |group| table.kind(group) == Replication::Optimistic;
        let outcome = match replaces(request.iter().skip(3)) {
            _ if spec.name == "move" && (is_optimistic(selected.group) || is_optimistic(target.group)) => {
                let error = spans(spec.name, target.number, selected, target.group, table);
                Err(format!(
                    "{error}, and copies of an optimistic one do not agree on where a key is; COPY it, and \
                             delete it then"
                ))
            }
            _ if spec.name == "move" => self.move_beyond(request.get(1).unwrap_or_default(), target).await?,
            Ok(replaces) => self.copy_beyond(request, target, replaces, table).await?,
            Err(error) => Err(error.to_owned()),
        };
        match outcome {
            Ok(done) => self.writer().integer(done.into()),
            Err(error) => self.complain(&error),
        }
        self.note_own(began.elapsed(), &request.iter().collect::<Vec<_>>());
        Ok(())
    }

    /// `COPY`; whether there was something to copy, and room for it.
    async fn copy_beyond(
        &mut self,
        request: &Request<'_>,
        target: Selected,
        replaces: bool,
        table: &Table,
    ) -> std::io::Result<Result<bool, String>> {
        let (source, copy) = (request.get(1).unwrap_or_default(), request.get(2).unwrap_or_default());
        let selected = self.session.selected;
        let mut builder = SegmentBuilder::new(selected.local, Version::Two).transaction();
        builder.push([b"DUMP".as_slice(), source]);
        builder.push([b"PEXPIRETIME".as_slice(), source]);
        let read = match self.hand_to(selected.group, builder, Kind::Read).await? {
            Ok(reply) if reply.first() == Some(&b'*') => reply,
            Ok(refused) => return Ok(Err(line(&refused))),
            Err(error) => return Ok(Err(error)),
        };
        let Some(found) = dumped(&[source], &read) else {
            return Ok(Err("ERR the key could not be dumped; nothing was copied".to_owned()));
        };
        let [found] = found.as_slice() else { return Ok(Ok(false)) };
        let ends = found.lives.to_string();
        let mut args = vec![b"RESTORE".as_slice(), copy, ends.as_bytes(), found.payload, b"ABSTTL"];
        args.extend(replaces.then_some(b"REPLACE".as_slice()));
        let mut builder = SegmentBuilder::new(target.local, Version::Two);
        push_args_bit_by_bit(&mut builder, &args).await;
        let error = match self.hand_to(target.group, builder, Kind::Write).await? {
            Ok(reply) if reply.first() == Some(&b'+') => return Ok(Ok(true)),
            Ok(refused) if refused.starts_with(b"-BUSYKEY") => return Ok(Ok(false)),
            Ok(refused) => line(&refused),
            Err(error) => error,
        };
        let name = table.database(target.group).map(|database| database.name).unwrap_or_default();
        Ok(Err(format!("{error}; this is said of the database {name}")))
    }

    /// `MOVE`; whether there was something to move, and the name is free there.
    async fn move_beyond(&mut self, key: &[u8], target: Selected) -> std::io::Result<Result<bool, String>> {
        let selected = self.session.selected;
        let mut mover = Mover::begin(selected.group, (selected.local, key), (target.group, target.local));
        loop {
            let ask = mover.ask();
            let kind = if ask.writes { Kind::Write } else { Kind::Read };
            let builder = moving::segment(&ask).await;
            let reply = self.ask(ask.group, Segment::plain(builder, kind, Tally::default())).await?;
            match mover.hear(moving::heard(&reply)) {
                None => {}
                Some(Ended::Moved(moved)) => return Ok(Ok(moved)),
                Some(Ended::Stays(reason)) => return Ok(Err(reason)),
                Some(Ended::Refused) => return Ok(Err(explain(&reply).into_owned())),
                Some(Ended::UnderWay) => return Ok(Err(UNDER_WAY.to_owned())),
            }
        }
    }

    /// Hands a segment of its own to a group; the reply, or why there is none.
    pub(super) async fn hand_to(
        &mut self,
        group: GroupId,
        builder: SegmentBuilder,
        kind: Kind,
    ) -> std::io::Result<Result<Bytes, String>> {
        let segment = Segment::plain(builder, kind, Tally::default());
        Ok(match self.ask(group, segment).await? {
            Reply::Done { reply, .. } => Ok(reply),
            failure => Err(explain(&failure).into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_redis() {
        let parse = |text: &'static str| replaces(text.split_whitespace().map(str::as_bytes));
        assert_eq!(
            (parse("DB 3"), parse("db 3 REPLACE"), parse("DB 3 DB 4")),
            (Ok(false), Ok(true), Ok(false))
        );
        for wrong in ["DB", "DB 3 REPLACED", "DB 3 DB"] {
            assert_eq!(parse(wrong), Err("ERR syntax error"), "{wrong}");
        }
    }
}
