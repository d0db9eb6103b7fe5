//! A running source: its dump, and then what it executes, as it executes it.
//!
//! Commands are executed in transactions, each of which also notes how far it goes, in a key of its own
//! ([`note`]): so even a run that begins long after an earlier one has ended executes nothing twice.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use onecopy_resp::{Limits, Parser, Request};
use redis::FromRedisValue;

use crate::client::{Client, Once, readable};

use super::cut_over::{CutOver, Pause};
use super::databases::Databases;
use super::dump;
use super::report::Report;
use super::source::Source;
use super::spool::{Received, Spool};
use super::work::{History, Work};

/// So many commands, or bytes, are one transaction, unless the source made a larger one.
const COMMANDS: usize = 256;
const BYTES: usize = 1 << 20;
/// How often people see how far it is while nothing happens.
const INTERVAL: Duration = Duration::from_millis(200);

/// Imports from a running source, for ever or until clients can change over.
pub(super) fn import(
    url: &str,
    databases: &Databases,
    replace: bool,
    pause: Option<Pause>,
    cluster: &mut Client,
    work: &mut Work,
    report: &mut Report,
) -> anyhow::Result<()> {
    let source = Source::parse(url)?;
    if work.state.history.is_none() {
        check_room(&source, databases, replace, cluster)?;
        work.state.parts = 0;
    }
    let history = work.state.history.as_ref().map(|history| (history.id.clone(), history.executed));
    let history = match history {
        Some((id, executed)) => Some((id, noted(cluster, work, executed)?)),
        None => None,
    };
    let spool = Spool::start(source.clone(), work.directory(), history)?;
    if work.state.history.is_none() {
        let (id, executed) = receive_dump(&spool, report)?;
        work.state.history = Some(History { id, executed, database: 0 });
        work.save()?;
    }
    if work.dump().exists() {
        // The cluster was empty, or what it has is to be overwritten: so keys may be sent again.
        dump::import(&work.dump(), databases, true, cluster, work, report)?;
        std::fs::remove_file(work.dump()).context("the dump cannot be removed")?;
    }
    let mut stream = Stream::new(databases, cluster, work, report)?;
    let mut cut_over = pause.map(|pause| CutOver::new(source, pause));
    loop {
        let received = stream.go_on(&spool)?;
        let Some(cut_over) = &mut cut_over else { continue };
        if cut_over.is_done(stream.executed, received.end(), stream.report)? {
            break;
        }
    }
    stream.end()
}

/// Waits for the dump. The history that follows it, and where it begins.
fn receive_dump(spool: &Spool, report: &mut Report) -> anyhow::Result<(String, u64)> {
    loop {
        let received = spool.wait(INTERVAL, |received| received.history.is_some())?;
        if let Some(history) = received.history {
            return Ok(history);
        }
        let (there, bytes) = received.dump;
        report.progress(&format!("receiving the dump: {there} of {bytes} bytes"));
    }
}

/// Refuses to mix the keys of a source with others: its commands would mean something else then.
fn check_room(
    source: &Source,
    databases: &Databases,
    replace: bool,
    cluster: &mut Client,
) -> anyhow::Result<()> {
    let keyspace: String = redis::cmd("INFO").arg("keyspace").query(&mut source.client()?)?;
    for from in keyspace.lines().filter_map(|line| line.strip_prefix("db")?.split(':').next()?.parse().ok()) {
        let Some(to) = databases.of(from) else { continue };
        let keys = u64::from_redis_value(cluster.question(to, &["DBSIZE"])?)
            .with_context(|| format!("the cluster does not say how many keys database {to} has"))?;
        ensure!(
            keys == 0 || replace,
            "database {to} of the cluster has {keys} keys: with --replace they stay where the source has none of that \
             name, or choose another database with --database {from}:TO"
        );
    }
    Ok(())
}

/// The key that says how far a database of the cluster is.
fn note(work: &Work) -> String {
    format!("onecopy-import:{}", work.state.id)
}

/// How far the cluster is: further than the directory of the work says, if the last run died.
fn noted(cluster: &mut Client, work: &mut Work, executed: u64) -> anyhow::Result<u64> {
    let key = note(work);
    let mut furthest = executed;
    for database in work.state.touched.clone() {
        let value = cluster.question(database, &["GET", &key])?;
        let text =
            Option::<String>::from_redis_value(value).context("the note of an earlier run is damaged")?;
        let Some(text) = text else { continue };
        let parsed =
            text.split_once(' ').and_then(|(end, from)| Some((end.parse().ok()?, from.parse().ok()?)));
        let (end, from): (u64, u64) = parsed.context("the note of an earlier run is damaged")?;
        if let (true, Some(history)) = (end > furthest, &mut work.state.history) {
            (furthest, history.executed, history.database) = (end, end, from);
        }
    }
    Ok(furthest)
}

/// What is executed as the source did.
struct Stream<'a> {
    databases: &'a Databases,
    cluster: &'a mut Client,
    work: &'a mut Work,
    report: &'a mut Report,
    parser: Parser,
    input: BytesMut,
    /// Up to where the history was read into `input`.
    read: u64,
    /// Up to where commands were taken out of it.
    taken: u64,
    /// Up to where they have been executed.
    executed: u64,
    /// The database of the source that is selected.
    database: u64,
    /// The source has begun a transaction.
    in_transaction: bool,
    batch: Vec<Once>,
    bytes: usize,
}

impl<'a> Stream<'a> {
    fn new(
        databases: &'a Databases,
        cluster: &'a mut Client,
        work: &'a mut Work,
        report: &'a mut Report,
    ) -> anyhow::Result<Self> {
        let history = work.state.history.clone().context("there is no history to follow")?;
        Ok(Self {
            databases,
            cluster,
            work,
            report,
            parser: Parser::new(Limits::default()),
            input: BytesMut::new(),
            read: history.executed,
            taken: history.executed,
            executed: history.executed,
            database: history.database,
            in_transaction: false,
            batch: Vec::new(),
            bytes: 0,
        })
    }

    /// Executes what has been received, or waits a moment for more.
    fn go_on(&mut self, spool: &Spool) -> anyhow::Result<Received> {
        let read = self.read;
        let received = spool.wait(INTERVAL, |received| received.end() > read)?;
        let mut chunk = vec![0; BYTES];
        let count = spool.read(self.read, &mut chunk)?;
        self.input.extend_from_slice(&chunk[..count]);
        self.read += count as u64;
        self.take()?;
        if !self.in_transaction {
            self.flush()?;
        }
        spool.executed(self.executed);
        if let (Some(history), Some((id, _))) = (&mut self.work.state.history, &received.history) {
            history.id.clone_from(id);
        }
        self.report
            .progress(&format!("{} bytes behind the source", received.end().saturating_sub(self.executed)));
        Ok(received)
    }

    /// Takes the commands out of the input.
    fn take(&mut self) -> anyhow::Result<()> {
        // The parser hands out slices of the input.
        let (mut parser, mut input) = (
            std::mem::replace(&mut self.parser, Parser::new(Limits::default())),
            std::mem::take(&mut self.input),
        );
        while let Some(request) = parser.next(&mut input).context("what the source sends is no command")? {
            self.taken += request.size() as u64;
            self.command(request)?;
            if !self.in_transaction && (self.batch.len() >= COMMANDS || self.bytes >= BYTES) {
                self.flush()?;
            }
        }
        (self.parser, self.input) = (parser, input);
        Ok(())
    }

    fn command(&mut self, request: Request<'_>) -> anyhow::Result<()> {
        let name = request.get(0).unwrap_or_default().to_ascii_uppercase();
        match name.as_slice() {
            // What a source says to its replicas.
            b"PING" | b"REPLCONF" | b"PUBLISH" | b"SPUBLISH" => Ok(()),
            b"SELECT" => {
                self.flush()?;
                let number = request.get(1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
                self.database = number.context("the source selects no database")?;
                Ok(())
            }
            b"MULTI" => {
                self.in_transaction = true;
                Ok(())
            }
            b"EXEC" => {
                self.in_transaction = false;
                Ok(())
            }
            b"FLUSHALL" => self.flush_all(),
            b"SWAPDB" | b"MOVE" => bail!(
                "the source has executed {}: that cannot be followed. Remove {}, empty the databases of the cluster, and \
                 begin anew",
                String::from_utf8_lossy(&name),
                self.work.directory().display()
            ),
            _ => {
                self.add(request.iter().map(<[u8]>::to_vec).collect());
                Ok(())
            }
        }
    }

    fn add(&mut self, words: Vec<Vec<u8>>) {
        if self.databases.of(self.database).is_none() {
            return;
        }
        self.bytes += words.iter().map(Vec::len).sum::<usize>();
        let token = format!("{}:{}", self.work.state.id, self.taken);
        self.batch.push(Once { token, words });
    }

    /// The source has emptied all of its databases: those are emptied that came from there.
    fn flush_all(&mut self) -> anyhow::Result<()> {
        self.flush()?;
        for to in self.work.state.touched.clone() {
            let token = format!("{}:{}:{to}", self.work.state.id, self.taken);
            let words = vec![b"FLUSHDB".to_vec()];
            self.execute(to, vec![Once { token, words }])?;
        }
        Ok(())
    }

    /// Executes what was taken.
    fn flush(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if let (Some(to), false) = (self.databases.of(self.database), batch.is_empty()) {
            self.execute(to, batch)?;
        }
        if self.executed == self.taken {
            return Ok(());
        }
        self.executed = self.taken;
        if let Some(history) = &mut self.work.state.history {
            (history.executed, history.database) = (self.taken, self.database);
        }
        self.work.save_now_and_then()
    }

    fn execute(&mut self, to: u64, mut batch: Vec<Once>) -> anyhow::Result<()> {
        if self.work.state.touched.insert(to) {
            self.work.save()?;
        }
        let commands = batch.len() as u64;
        let words = vec![
            b"SET".to_vec(),
            note(self.work).into_bytes(),
            format!("{} {}", self.taken, self.database).into_bytes(),
        ];
        batch.push(Once { token: format!("{}:{}:note", self.work.state.id, self.taken), words });
        for (command, answer) in batch.iter().zip(self.cluster.together(to, &batch)?) {
            if let Err(reason) = answer {
                ensure!(!reason.starts_with("OOM"), "the cluster's memory is full: {reason}");
                let words: Vec<String> = command.words.iter().take(2).map(|word| readable(word)).collect();
                self.report.refuse(&format!("command {} of database {to}", words.join(" ")), &reason)?;
            }
        }
        self.report.add_commands(commands);
        Ok(())
    }

    /// Nothing follows: the notes are removed.
    fn end(self) -> anyhow::Result<()> {
        let key = note(self.work);
        for database in self.work.state.touched.clone() {
            self.cluster.question(database, &["DEL", &key])?;
        }
        Ok(())
    }
}
