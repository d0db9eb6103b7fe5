//! What stands in an RDB file, into the cluster.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, bail};
use onecopy_rdb::file::{Item, Key, Reader, Value};

use crate::client::{Client, Once, readable};

use super::databases::Databases;
use super::report::Report;
use super::work::Work;

/// So many keys, or bytes, are sent at once.
const KEYS: usize = 256;
const BYTES: usize = 1 << 20;

/// Imports a file, from where an earlier run has come to.
pub(super) fn import(
    path: &Path,
    databases: &Databases,
    replace: bool,
    cluster: &mut Client,
    work: &mut Work,
    report: &mut Report,
) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
    let size = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let mut reader = Reader::new(BufReader::with_capacity(BYTES, file)).with_context(|| name.clone())?;
    let mut load = Load {
        replace,
        cluster,
        work,
        report,
        database: databases.of(0),
        batch: Vec::new(),
        bytes: 0,
        parts: 0,
    };
    if load.work.state.parts > 0 {
        load.report.say(&format!("going on behind {} parts", load.work.state.parts));
    }
    while let Some(item) = reader.read().with_context(|| name.clone())? {
        match item {
            Item::Database(from) => {
                load.flush()?;
                load.database = databases.of(from);
            }
            Item::Library(source) => load.library(source)?,
            Item::Key(key) => load.key(key)?,
        }
        let percent = reader.position() * 100 / size.max(1);
        load.report.progress(&format!("{percent} % of {name}"));
    }
    load.flush()
}

struct Load<'a> {
    replace: bool,
    cluster: &'a mut Client,
    work: &'a mut Work,
    report: &'a mut Report,
    /// Where keys go, if they are taken.
    database: Option<u64>,
    batch: Vec<(String, Once)>,
    bytes: usize,
    /// How many parts of the file have been looked at.
    parts: u64,
}

impl Load<'_> {
    /// Whether a part is wanted: it is not if an earlier run has taken it.
    fn wants(&mut self) -> bool {
        self.parts += 1;
        self.parts > self.work.state.parts
    }

    fn key(&mut self, key: Key) -> anyhow::Result<()> {
        if !self.wants() || self.database.is_none() {
            return Ok(());
        }
        let what = format!("key {} of database {}", readable(&key.name), self.database.unwrap_or_default());
        match key.value {
            Value::Foreign(reason) => self.report.refuse(&what, reason),
            Value::Payload(payload) => {
                let expires = key.expires.unwrap_or_default().to_string().into_bytes();
                let mut words = vec![b"RESTORE".to_vec(), key.name, expires, payload, b"ABSTTL".to_vec()];
                if self.replace {
                    words.push(b"REPLACE".to_vec());
                }
                self.add(what, words)
            }
        }
    }

    fn library(&mut self, source: Vec<u8>) -> anyhow::Result<()> {
        if !self.wants() {
            return Ok(());
        }
        let first_line: &[u8] = source.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let what = format!("library {}", readable(first_line));
        let mut words = vec![b"FUNCTION".to_vec(), b"LOAD".to_vec()];
        if self.replace {
            words.push(b"REPLACE".to_vec());
        }
        words.push(source);
        self.add(what, words)
    }

    fn add(&mut self, what: String, words: Vec<Vec<u8>>) -> anyhow::Result<()> {
        self.bytes += words.iter().map(Vec::len).sum::<usize>();
        let token = format!("import:{}:{}", self.work.state.id, self.parts);
        self.batch.push((what, Once { token, words }));
        if self.batch.len() >= KEYS || self.bytes >= BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        let (names, commands): (Vec<String>, Vec<Once>) = std::mem::take(&mut self.batch).into_iter().unzip();
        if let (Some(database), false) = (self.database, commands.is_empty()) {
            let answers = self.cluster.each(database, &commands)?;
            for (name, answer) in names.iter().zip(answers) {
                match answer {
                    Ok(()) => self.report.add_keys(1),
                    Err(reason) if reason.starts_with("OOM") => {
                        bail!("the cluster's memory is full: {reason}")
                    }
                    Err(reason) => self.report.refuse(name, &reason)?,
                }
            }
        }
        if self.parts > self.work.state.parts {
            self.work.state.parts = self.parts;
            self.work.save_now_and_then()?;
        }
        Ok(())
    }
}
