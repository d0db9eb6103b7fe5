//! `MIGRATE`: moves keys to another server, a Redis or a Onecopy.
//!
//! Redis stands still while it does that. Here others go on to write, so the keys are *watched*: they are
//! dumped in one transaction, sent, and deleted in another one, only if nobody has changed them meanwhile. If
//! somebody has, all of it is done again, with what is there now. So no write is lost: a key is deleted here
//! only once the other server has said that it has the very value that is there.
//!
//! If the answer of the other server is lost, its keys stay here, and may be there as well.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::BytesMut;
use onecopy_host::Kind;
use onecopy_keyspace::request::{SegmentBuilder, WatchId};
use onecopy_resp::{Version, replies_length};
use onecopy_views::Kind as Replication;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Connection;

/// So many times keys are sent again that somebody has changed meanwhile.
const ATTEMPTS_MAX: u32 = 10;
/// What an answer of the other server may have: a line, for each of its commands.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// So many bytes are handed to the operating system at once.
const WRITTEN_BYTES: usize = 64 << 10;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Migration<'a> {
    address: (&'a [u8], &'a [u8]),
    db: i64,
    patience: Duration,
    copies: bool,
    replaces: bool,
    /// User and password, or a password alone.
    login: Option<(Option<&'a [u8]>, &'a [u8])>,
    keys: Vec<&'a [u8]>,
}

/// What one attempt has come to.
enum Attempt {
    /// This is the answer.
    Over(Result<&'static str, String>),
    /// Somebody has changed a key meanwhile. These are at the other server, in an older state.
    Again(BTreeSet<Vec<u8>>),
}

const SYNTAX: &str = "ERR syntax error";

fn number(arg: &[u8]) -> Result<i64, String> {
    let number = std::str::from_utf8(arg).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| "ERR value is not an integer or out of range".to_owned())
}

impl<'a> Migration<'a> {
    /// Understands `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password]
    /// [AUTH2 user password] [KEYS key …]`.
    fn parse(args: &[&'a [u8]]) -> Result<Self, String> {
        let [host, port, key, db, patience, options @ ..] = args else { return Err(SYNTAX.to_owned()) };
        let mut migration = Self { address: (host, port), keys: vec![key], ..Self::default() };
        let mut rest = options;
        while let [option, tail @ ..] = rest {
            let is = |word: &str| option.eq_ignore_ascii_case(word.as_bytes());
            rest = match tail {
                _ if is("COPY") => {
                    migration.copies = true;
                    tail
                }
                _ if is("REPLACE") => {
                    migration.replaces = true;
                    tail
                }
                [password, tail @ ..] if is("AUTH") => {
                    migration.login = Some((None, password));
                    tail
                }
                [user, password, tail @ ..] if is("AUTH2") => {
                    migration.login = Some((Some(user), password));
                    tail
                }
                keys if is("KEYS") => {
                    if !key.is_empty() {
                        let error = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
                        return Err(error.to_owned());
                    }
                    migration.keys = keys.to_vec();
                    &[]
                }
                _ => return Err(SYNTAX.to_owned()),
            };
        }
        let milliseconds = number(patience)?;
        migration.db = number(db)?;
        let milliseconds = u64::try_from(milliseconds).ok().filter(|milliseconds| *milliseconds > 0);
        migration.patience = Duration::from_millis(milliseconds.unwrap_or(1_000));
        Ok(migration)
    }
}

/// Appends a command, as clients send it.
fn push(args: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Takes one reply off the front.
fn take<'a>(replies: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (reply, rest) = replies.split_at_checked(replies_length(replies, 1)?)?;
    *replies = rest;
    Some(reply)
}

/// The text of a simple string, an error or a number.
pub(super) fn line(reply: &[u8]) -> String {
    let end = reply.iter().position(|byte| *byte == b'\r').unwrap_or(reply.len());
    String::from_utf8_lossy(reply.get(1..end).unwrap_or_default()).into_owned()
}

/// A key as it is to be sent.
pub(super) struct Dumped<'a> {
    key: &'a [u8],
    /// How many milliseconds it still lives, or when it ends if that was asked for; 0: never.
    pub(super) lives: u64,
    pub(super) payload: &'a [u8],
}

/// The keys that are there, of the reply to `DUMP` and `PTTL` (or `PEXPIRETIME`) of each.
pub(super) fn dumped<'a>(keys: &[&'a [u8]], reply: &'a [u8]) -> Option<Vec<Dumped<'a>>> {
    let mut found = Vec::new();
    // The array has as many lines before its elements as its own length has.
    let mut rest = &reply[reply.windows(2).position(|pair| pair == b"\r\n")? + 2..];
    for key in keys {
        let (payload, lives) = (take(&mut rest)?, take(&mut rest)?);
        if payload.first() != Some(&b'$') || payload.starts_with(b"$-1") {
            continue;
        }
        let begin = payload.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let lives: i64 = line(lives).parse().ok()?;
        let payload = payload.get(begin..payload.len() - 2)?;
        // What has less than a millisecond left lives for one.
        let lives = if lives < 0 { 0 } else { lives.unsigned_abs().max(1) };
        found.push(Dumped { key, lives, payload });
    }
    Some(found)
}

impl Connection<'_> {
    /// `MIGRATE`. What was asked for before is answered.
    pub(super) async fn migrate(&mut self, args: &[&[u8]]) -> std::io::Result<Result<&'static str, String>> {
        let migration = match Migration::parse(args) {
            Ok(migration) => migration,
            Err(error) => return Ok(Err(error)),
        };
        let group = self.session.selected.group;
        if self.clients.knowledge.table().kind(group) == Replication::Optimistic {
            return Ok(Err(
                "ERR MIGRATE is not for optimistic databases: others may write what is deleted here"
                    .to_owned(),
            ));
        }
        if migration.keys.is_empty() {
            return Ok(Ok("NOKEY"));
        }
        let mut sent = BTreeSet::new();
        for _ in 0..ATTEMPTS_MAX {
            let watch = self.clients.lives.watch(group);
            let attempt = self.migrate_once(&migration, watch, &sent).await;
            self.forget_watch(group, watch);
            match attempt? {
                Attempt::Over(outcome) => return Ok(outcome),
                Attempt::Again(keys) => sent.extend(keys),
            }
        }
        Ok(Err(format!(
            "TRYAGAIN somebody has changed the keys {ATTEMPTS_MAX} times while they were sent: they are here, and at the \
             target in an older state"
        )))
    }

    /// Sends the keys as they are, and deletes them if they still are so. `sent`: what is at the other server
    /// already, by this command.
    async fn migrate_once(
        &mut self,
        migration: &Migration<'_>,
        watch: WatchId,
        sent: &BTreeSet<Vec<u8>>,
    ) -> std::io::Result<Attempt> {
        let over = |outcome| Ok(Attempt::Over(outcome));
        let (group, local) = (self.session.selected.group, self.session.selected.local);
        let keys = &migration.keys;
        if !migration.copies {
            let mut builder = SegmentBuilder::new(local, Version::Two).watched(watch);
            builder.push([b"WATCH".as_slice()].into_iter().chain(keys.iter().copied()));
            match self.hand_to(group, builder, Kind::Write).await? {
                Ok(reply) if reply.first() == Some(&b'-') => return over(Err(line(&reply))),
                Ok(_) => {}
                Err(error) => return over(Err(error)),
            }
        }
        let mut builder = SegmentBuilder::new(local, Version::Two).transaction();
        for key in keys {
            builder.push([b"DUMP".as_slice(), key]);
            builder.push([b"PTTL".as_slice(), key]);
        }
        let reply = match self.hand_to(group, builder, Kind::Read).await? {
            Ok(reply) if reply.first() == Some(&b'*') => reply,
            Ok(refused) => return over(Err(line(&refused))),
            Err(error) => return over(Err(error)),
        };
        let Some(dumped) = dumped(keys, &reply) else {
            return over(Err("ERR a key could not be dumped".to_owned()));
        };
        // What was sent, and is not here any more, must not be there either.
        let is_here = |key: &&Vec<u8>| dumped.iter().any(|dumped| dumped.key == key.as_slice());
        let gone: Vec<&[u8]> = sent.iter().filter(|key| !is_here(key)).map(Vec::as_slice).collect();
        if dumped.is_empty() && gone.is_empty() {
            return over(Ok("NOKEY"));
        }
        let (taken, failure) = match send(migration, &dumped, sent, &gone).await {
            Ok(answers) => {
                let taken: Vec<&[u8]> = dumped
                    .iter()
                    .zip(&answers)
                    .filter(|(_, it)| it.is_none())
                    .map(|(it, _)| it.key)
                    .collect();
                (taken, answers.into_iter().flatten().next())
            }
            Err(error) => return over(Err(error)),
        };
        let done = if dumped.is_empty() { "NOKEY" } else { "OK" };
        let outcome =
            failure.map_or(Ok(done), |error| Err(format!("ERR Target instance replied with error: {error}")));
        if migration.copies || taken.is_empty() {
            return over(outcome);
        }
        let mut builder = SegmentBuilder::new(local, Version::Two).transaction().watched(watch);
        builder.push([b"DEL".as_slice()].into_iter().chain(taken.iter().copied()));
        match self.hand_to(group, builder, Kind::Write).await? {
            Ok(reply) if reply.starts_with(b"*1\r\n:") => over(outcome),
            // Somebody was faster.
            Ok(reply) if reply.first() == Some(&b'*') => {
                Ok(Attempt::Again(taken.into_iter().map(<[u8]>::to_vec).collect()))
            }
            Ok(refused) => over(Err(line(&refused))),
            Err(error) => over(Err(format!("{error}; the keys are at the target, and may be here as well"))),
        }
    }
}

/// Sends keys to the other server, and has those deleted there that are gone; for each that was sent, what it
/// has against it.
async fn send(
    migration: &Migration<'_>,
    keys: &[Dumped<'_>],
    sent: &BTreeSet<Vec<u8>>,
    gone: &[&[u8]],
) -> Result<Vec<Option<String>>, String> {
    let failed = |doing: &str| format!("IOERR error or timeout {doing} to target instance");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let address = format!("{}:{}", text(migration.address.0), text(migration.address.1));
    let connected = timeout(migration.patience, TcpStream::connect(&address)).await;
    let mut stream = match connected {
        Ok(Ok(stream)) => stream,
        _ => return Err("IOERR error or timeout connecting to the client".to_owned()),
    };
    let (mut commands, mut before) = (Vec::new(), 1);
    if let Some((user, password)) = migration.login {
        let login: Vec<&[u8]> = [b"AUTH".as_slice()].into_iter().chain(user).chain([password]).collect();
        push(&login, &mut commands);
        before += 1;
    }
    push(&[b"SELECT", migration.db.to_string().as_bytes()], &mut commands);
    if !gone.is_empty() {
        let delete: Vec<&[u8]> = [b"DEL".as_slice()].into_iter().chain(gone.iter().copied()).collect();
        push(&delete, &mut commands);
        before += 1;
    }
    for Dumped { key, lives, payload } in keys {
        let lives = lives.to_string();
        let replaces = migration.replaces || sent.contains(*key);
        let restore = [b"RESTORE".as_slice(), key, lives.as_bytes(), payload];
        let restore: Vec<&[u8]> = restore.into_iter().chain(replaces.then_some(&b"REPLACE"[..])).collect();
        push(&restore, &mut commands);
    }
    for piece in commands.chunks(WRITTEN_BYTES) {
        let written = timeout(migration.patience, stream.write_all(piece)).await;
        written.ok().and_then(Result::ok).ok_or_else(|| failed("writing"))?;
    }
    let mut answer = BytesMut::new();
    while replies_length(&answer, before + keys.len()).is_none() {
        let read = timeout(migration.patience, stream.read_buf(&mut answer)).await;
        let count = read.ok().and_then(Result::ok).unwrap_or(0);
        if count == 0 || answer.len() > ANSWER_BYTES_MAX {
            return Err(failed("reading"));
        }
    }
    let mut rest = &answer[..];
    let mut refusal = || {
        let reply = take(&mut rest).unwrap_or(b"-ERR no answer\r\n");
        (reply.first() == Some(&b'-')).then(|| line(reply))
    };
    for _ in 0..before {
        if let Some(error) = refusal() {
            return Err(format!("ERR Target instance replied with error: {error}"));
        }
    }
    Ok(keys.iter().map(|_| refusal()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &'static str) -> Result<Migration<'static>, String> {
        let words: Vec<&[u8]> =
            line.split(' ').map(|word| if word == "''" { &b""[..] } else { word.as_bytes() }).collect();
        Migration::parse(&words)
    }

    #[test]
    fn options_are_those_of_redis() {
        let simple = parse("host 1 key 3 500").expect("it is right");
        assert_eq!((simple.keys, simple.db, simple.patience.as_millis()), (vec![&b"key"[..]], 3, 500));
        let all = parse("host 1 '' 0 0 copy REPLACE AUTH2 ann secret KEYS a b AUTH").expect("it is right");
        assert_eq!(all.keys, [&b"a"[..], b"b", b"AUTH"]);
        assert_eq!((all.copies, all.replaces, all.patience.as_millis()), (true, true, 1_000));
        assert_eq!(all.login, Some((Some(&b"ann"[..]), &b"secret"[..])));
        assert!(parse("host 1 key 0 500 KEYS a").unwrap_err().contains("must be set to the empty string"));
        for wrong in ["host 1 key 0 500 AUTH", "host 1 key 0 500 AUTH2 ann", "host 1 key 0 500 NONSENSE"] {
            assert_eq!(parse(wrong), Err(SYNTAX.to_owned()), "{wrong}");
        }
        assert!(parse("host 1 key x 500").unwrap_err().contains("not an integer"));
    }

    #[test]
    fn what_is_there_is_found_in_the_reply() {
        let reply = b"*6\r\n$3\r\na\r\n\r\n:-1\r\n$-1\r\n:-2\r\n$1\r\nb\r\n:0\r\n";
        let found = dumped(&[b"x", b"y", b"z"], reply).expect("it makes sense");
        let found: Vec<_> = found.iter().map(|it| (it.key, it.lives, it.payload)).collect();
        assert_eq!(found, [(&b"x"[..], 0, &b"a\r\n"[..]), (b"z", 1, b"b")]);
        assert!(dumped(&[b"x", b"y"], b"*4\r\n$1\r\na\r\n:-1\r\n").is_none());
    }
}
