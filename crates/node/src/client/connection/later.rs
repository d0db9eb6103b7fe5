//! Commands that a connection answers by itself, once something has happened elsewhere: at the view service,
//! at the primary, or just later.

use std::time::Duration;

use onecopy_host::{Kind, Reply};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::replies_length;

use super::Connection;
use super::segment::Segment;
use crate::client::cluster::fail_over;
use crate::client::commands;
use crate::client::databases::Databases;
use crate::client::failover::failover;
use crate::client::failure::explain;
use crate::client::info::{has_copy, info, tells_of};

/// Of so many databases of which a node has no copy, `INFO` asks how many keys there are.
const ASKED_TOGETHER: usize = 256;
/// And waits so long for the answers: of those that cannot be reached it says nothing.
const PATIENCE: Duration = Duration::from_millis(300);

impl Connection<'_> {
    /// Answers a command that takes its time, if this is one. What was asked for before is answered.
    pub(super) async fn answer_later(&mut self, args: &[&[u8]]) -> std::io::Result<bool> {
        let is =
            |at: usize, word: &str| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        let Some(spec) = args.first().and_then(|name| commands::lookup(name)) else { return Ok(false) };
        let is_right = spec.check_arity(args.len()).is_ok() && commands::check_subcommand(spec, args).is_ok();
        if !is_right {
            return Ok(false);
        }
        let began = std::time::Instant::now();
        if spec.name == "info" && self.inform_of_all(&args[1..]).await {
            self.note_own(began.elapsed(), args);
            return Ok(true);
        }
        if spec.name == "config" && self.configure_notifications(&args[1..]).await? {
            self.note_own(began.elapsed(), args);
            return Ok(true);
        }
        let outcome = match spec.name {
            "failover" => self.fail_over(&args[1..]).await,
            "shutdown" => match self.clients.shutdown.ask(&args[1..]) {
                // The end of the connection is the answer, as in Redis.
                Ok(()) => {
                    self.write()?;
                    self.ending.clone().told().await;
                    return Ok(true);
                }
                Err(error) => Err(error),
            },
            "cluster" if is(1, "failover") => fail_over(self.clients, &self.session, &args[2..]).await,
            "config" if is(1, "set") => commands::set_parameters(self.clients, &args[2..]).await,
            "database" if is(1, "create") || is(1, "set") || is(1, "drop") || is(1, "move") => {
                commands::change_databases(self.clients, &args[1..]).await
            }
            "acl" if is(1, "setuser") => commands::set_user(self.clients, args[2], &args[3..]).await,
            "acl" if is(1, "deluser") => match commands::remove_users(self.clients, &args[2..]).await {
                Ok(count) => {
                    self.writer().length(count);
                    self.note_own(began.elapsed(), args);
                    return Ok(true);
                }
                Err(error) => Err(error),
            },
            "client" if is(1, "tracking") => self.set_tracking(&args[2..]).await,
            "migrate" => match self.migrate(&args[1..]).await? {
                Ok(text) => {
                    self.writer().simple(text);
                    self.note_own(began.elapsed(), args);
                    return Ok(true);
                }
                Err(error) => Err(error),
            },
            "client" if is(1, "unblock") => {
                self.unblock(&args[2..]).await?;
                self.note_own(began.elapsed(), args);
                return Ok(true);
            }
            "debug" if is(1, "object") && args.len() == 3 => match self.describe_object(args[2]).await? {
                Ok(text) => {
                    self.writer().simple(&text);
                    self.note_own(began.elapsed(), args);
                    return Ok(true);
                }
                Err(error) => Err(error),
            },
            "debug" => match commands::sleep_time(args) {
                Some(time) => {
                    let ending = self.ending.clone();
                    tokio::select! {
                        () = tokio::time::sleep(time) => {}
                        () = ending.told() => {}
                    }
                    Ok(())
                }
                None => return Ok(false),
            },
            _ => return Ok(false),
        };
        match outcome {
            Ok(()) => self.writer().ok(),
            Err(error) => self.complain(&error),
        }
        self.note_own(began.elapsed(), args);
        Ok(true)
    }

    /// `DEBUG OBJECT`: what the state machine tells of a value, in the words of Redis.
    async fn describe_object(&mut self, key: &[u8]) -> std::io::Result<Result<String, String>> {
        let mut segment = Segment::new(&self.session);
        segment.builder.push([b"OBJECT".as_slice(), b"ENCODING", key]);
        segment.builder.push([b"DUMP".as_slice(), key]);
        let replies = match self.ask(self.session.selected.group, segment).await? {
            Reply::Done { reply, .. } => reply,
            failure => return Ok(Err(explain(&failure).into_owned())),
        };
        let encoding = replies_length(&replies, 1).map_or(&[][..], |length| &replies[..length]);
        let payload = &replies[encoding.len()..];
        let word = |reply: &[u8]| {
            let text = String::from_utf8_lossy(reply).into_owned();
            text.split("\r\n").nth(1).map(str::to_owned)
        };
        // Of a payload, ten bytes are its version and its checksum.
        let header = payload.windows(2).position(|pair| pair == b"\r\n").unwrap_or(0);
        let bytes = payload.get(1..header).and_then(commands::parse::<usize>);
        match (encoding.first(), word(encoding).filter(|word| !word.is_empty()), bytes) {
            (Some(b'$'), Some(encoding), Some(bytes)) => Ok(Ok(format!(
                "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{} lru:0 lru_seconds_idle:0",
                bytes.saturating_sub(10)
            ))),
            (Some(b'-'), _, _) => Ok(Err(String::from_utf8_lossy(&encoding[1..]).trim_end().to_owned())),
            _ => Ok(Err("ERR no such key".to_owned())),
        }
    }

    /// `INFO`, if it tells of databases of which this node has no copy: those who have one are asked how many
    /// keys there are, and not waited for long. Returns whether it was answered.
    async fn inform_of_all(&mut self, sections: &[&[u8]]) -> bool {
        if !tells_of("keyspace", sections) {
            return false;
        }
        let databases = Databases::behind(&self.session.front, &self.clients.knowledge);
        let others = databases.table.databases().filter(|(group, _)| !has_copy(self.clients, *group));
        let numbers = others.flat_map(|(group, database)| {
            let number = |local| Some((group, local, databases.number(group, local)?));
            (0..database.count).filter_map(number).collect::<Vec<_>>()
        });
        let mut asked = Vec::new();
        for (group, local, number) in numbers.take(ASKED_TOGETHER) {
            let mut builder = SegmentBuilder::new(local, self.session.version);
            builder.push([b"DBSIZE".as_slice()]);
            let answered = self.clients.hand_in(group, Kind::Read, builder.finish().freeze());
            asked.push((number, answered));
        }
        if asked.is_empty() {
            return false;
        }
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut elsewhere = Vec::new();
        for (number, answered) in asked {
            let answer = tokio::time::timeout_at(until, answered).await;
            let Ok(Ok(Reply::Done { reply, .. })) = answer else { continue };
            let keys = reply.strip_prefix(b":").and_then(|keys| keys.strip_suffix(b"\r\n"));
            let keys = keys.and_then(commands::parse::<u64>).unwrap_or(0);
            elsewhere.extend((keys > 0).then_some((number, keys)));
        }
        let text = info(self.clients, &self.session, sections, &elsewhere);
        self.writer().verbatim(text.as_bytes());
        true
    }

    async fn fail_over(&mut self, args: &[&[u8]]) -> Result<(), String> {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
        failover(self.clients, self.session.selected.group, &args).await
    }
}
