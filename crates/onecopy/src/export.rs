//! `onecopy export`: what a cluster holds, as an RDB file.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use onecopy_rdb::file::{Format, Writer};
use redis::{FromRedisValue, Value};

use crate::DONE;
use crate::client::{Client, readable};

/// Write what a cluster holds to an RDB file, which a Redis loads, and `onecopy import`.
///
/// Every key that is there all the while is in the file, with a value that it had meanwhile. So if nobody
/// writes, the file is exact; else keys may be of different moments.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  onecopy export dump.rdb\n  onecopy export dump.rdb --from 10.0.0.1:6379 --database 0"
)]
pub struct Arguments {
    /// The file. One that is there is replaced once the new one is complete.
    file: PathBuf,
    /// Where a node of the cluster takes Redis clients; may be given several times: when one dies, the next
    /// is used. Without it, the first three nodes of `onecopy dev`.
    #[arg(long, value_name = "HOST:PORT")]
    from: Vec<String>,
    /// The user of the cluster, if it is not `default`.
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Its password.
    #[arg(long, env = "ONECOPY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Only this database; may be given several times. Without it, all that have keys.
    #[arg(long, value_name = "NUMBER")]
    database: Vec<u64>,
    /// The oldest Redis that loads the file. One of 7.0 does not say when consumers of streams were given
    /// something last.
    #[arg(long, value_name = "VERSION", default_value = "7.2")]
    redis: Redis,
}

/// A version of Redis.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Redis {
    /// Redis 7.0
    #[value(name = "7.0")]
    Seven,
    /// Redis 7.2
    #[value(name = "7.2")]
    SevenTwo,
}

impl Redis {
    fn format(self) -> Format {
        match self {
            Self::Seven => Format::Seven,
            Self::SevenTwo => Format::SevenTwo,
        }
    }
}

/// So many keys are asked for at once: their values are in memory together.
const COUNT: usize = 64;
/// The low bits of a cursor say in which of so many slots it is, the others where within that slot.
const SLOTS: u64 = 1 << 14;

/// Runs the command.
///
/// # Errors
/// Nobody answers, or the file cannot be written.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let mut cluster = Client::new(&arguments.from, arguments.user.clone(), arguments.password.clone())?;
    let file = &arguments.file;
    let beside = beside(file)?;
    let keys = match export(&mut cluster, &arguments.database, arguments.redis.format(), &beside) {
        Ok(keys) => keys,
        Err(error) => {
            // What is there of it is of no use.
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
    };
    fs::rename(&beside, file).with_context(|| format!("{} cannot be written", file.display()))?;
    println!("exported {keys} keys to {}", file.display());
    Ok(DONE)
}

/// The name under which a file is written until it is complete.
fn beside(file: &Path) -> anyhow::Result<PathBuf> {
    let name = file.file_name().with_context(|| format!("{} is no name of a file", file.display()))?;
    let mut name = name.to_owned();
    name.push(".partial");
    Ok(file.with_file_name(name))
}

fn export(cluster: &mut Client, databases: &[u64], format: Format, path: &Path) -> anyhow::Result<u64> {
    let failed = || format!("{} cannot be written", path.display());
    let file = File::create(path).with_context(failed)?;
    let mut writer = Writer::new(BufWriter::new(file), format).with_context(failed)?;
    writer.note("onecopy-ver", env!("CARGO_PKG_VERSION")).with_context(failed)?;
    for source in libraries(cluster)? {
        writer.library(&source).with_context(failed)?;
    }
    let databases = if databases.is_empty() { with_keys(cluster)? } else { databases.to_vec() };
    let mut keys = 0;
    for database in databases {
        writer.database(database).with_context(failed)?;
        let mut scan = Scan::default();
        while let Some(names) = scan.next(cluster, database)? {
            let values = values(cluster, database, &names)?;
            for (name, value) in names.iter().zip(values) {
                // It may have gone since.
                let Some(Held { payload, expires }) = value else { continue };
                writer.key(name, expires, &payload).with_context(failed)?;
                keys += 1;
            }
        }
    }
    let file = writer.finish().with_context(failed)?.into_inner().map_err(|error| error.into_error());
    file.and_then(|file| file.sync_all()).with_context(failed)?;
    Ok(keys)
}

/// The databases that have keys. `INFO` would name only those of which a node has a copy.
fn with_keys(cluster: &mut Client) -> anyhow::Result<Vec<u64>> {
    let answer = cluster.question(0, &["CONFIG", "GET", "databases"])?;
    let settings = BTreeMap::<String, u64>::from_redis_value(answer)?;
    let end = settings.get("databases").context("the cluster does not say which databases it has")?;
    let mut databases = Vec::new();
    for database in 0..*end {
        if cluster.has(database)? && u64::from_redis_value(cluster.question(database, &["DBSIZE"])?)? > 0 {
            databases.push(database);
        }
    }
    Ok(databases)
}

/// The sources of the libraries of functions.
fn libraries(cluster: &mut Client) -> anyhow::Result<Vec<Vec<u8>>> {
    let Value::Array(libraries) = cluster.question(0, &["FUNCTION", "LIST", "WITHCODE"])? else {
        bail!("the cluster does not list its libraries of functions");
    };
    libraries
        .into_iter()
        .map(|library| {
            let Value::Array(about) = library else { bail!("a library of functions without a source") };
            let is_name = |value: &Value| matches!(value, Value::BulkString(name) if name == b"library_code");
            let position = about.iter().position(is_name).map(|name| name + 1);
            match position.and_then(|position| about.into_iter().nth(position)) {
                Some(Value::BulkString(source)) => Ok(source),
                _ => bail!("a library of functions without a source"),
            }
        })
        .collect()
}

/// What a key holds, and when it expires.
struct Held {
    payload: Vec<u8>,
    expires: Option<u64>,
}

/// What `DUMP` and `PEXPIRETIME` say of keys.
fn values(cluster: &mut Client, database: u64, names: &[Vec<u8>]) -> anyhow::Result<Vec<Option<Held>>> {
    let ask = |command: &str, name: &[u8]| {
        let mut asked = redis::cmd(command);
        asked.arg(name);
        asked
    };
    let questions: Vec<redis::Cmd> =
        names.iter().flat_map(|name| [ask("DUMP", name), ask("PEXPIRETIME", name)]).collect();
    let answers = cluster.questions(database, &questions)?;
    ensure!(answers.len() == questions.len(), "the cluster has not answered everything");
    let of = |name: &Vec<u8>, answers: &[Value]| match answers {
        [Value::Nil, _] => Ok(None),
        // It has gone between the two, or will not.
        [Value::BulkString(payload), Value::Int(expires)] => {
            Ok(Some(Held { payload: payload.clone(), expires: u64::try_from(*expires).ok() }))
        }
        [Value::ServerError(error), _] | [_, Value::ServerError(error)] => {
            bail!("key {} of database {database} cannot be read: {error:?}", readable(name))
        }
        other => bail!("key {} of database {database}: {other:?} is no value", readable(name)),
    };
    names.iter().zip(answers.chunks(2)).map(|(name, answers)| of(name, answers)).collect()
}

/// A walk over the keys of a database, which names each once.
///
/// `SCAN` goes through one slot after the other, and may name a key twice only while it is in its slot.
#[derive(Debug, Default)]
struct Scan {
    cursor: u64,
    has_begun: bool,
    /// What has been named since the slot was entered in which it is.
    named: HashSet<Vec<u8>>,
}

impl Scan {
    /// The next keys, unless there are none.
    fn next(&mut self, cluster: &mut Client, database: u64) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        if self.has_begun && self.cursor == 0 {
            return Ok(None);
        }
        let words = ["SCAN", &self.cursor.to_string(), "COUNT", &COUNT.to_string()];
        let answer = cluster.question(database, &words)?;
        let (cursor, names) = <(u64, Vec<Vec<u8>>)>::from_redis_value(answer)
            .with_context(|| format!("database {database} cannot be walked through"))?;
        Ok(Some(self.take(cursor, names)))
    }

    fn take(&mut self, cursor: u64, names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let new: Vec<Vec<u8>> = names.into_iter().filter(|name| !self.named.contains(name)).collect();
        let is_same_slot = cursor % SLOTS == self.cursor % SLOTS;
        if !is_same_slot || cursor < SLOTS {
            self.named.clear();
        }
        if cursor >= SLOTS {
            self.named.extend(new.iter().cloned());
        }
        (self.cursor, self.has_begun) = (cursor, true);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_scan_names_twice_is_taken_once() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
        let mut scan = Scan::default();
        assert_eq!(scan.take(5 + 7 * SLOTS, names(&["a", "b"])), names(&["a", "b"]));
        // "b" has moved to a lower position, as others were removed.
        assert_eq!(scan.take(5 + 3 * SLOTS, names(&["b", "c"])), names(&["c"]));
        assert_eq!(scan.take(6, names(&["a", "d"])), names(&["d"]));
        assert!(scan.named.is_empty());
        assert_eq!(scan.take(0, names(&["e"])), names(&["e"]));
    }
}
