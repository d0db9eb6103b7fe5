//! The directory of an import: what another run goes on from.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

/// How far an import has come. It may have come further: what is done twice is executed once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// What is imported.
    pub(super) from: String,
    /// What the tokens of the import begin with.
    pub(super) id: String,
    /// So many parts of the dump have been taken.
    pub(super) parts: u64,
    /// The history that the source tells, once it has sent its dump.
    pub(super) history: Option<History>,
    /// The databases of the cluster that have been written to since.
    #[serde(default)]
    pub(super) touched: BTreeSet<u64>,
}

/// A history of a source: what it executes, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    /// The name that the source gives it.
    pub(super) id: String,
    /// Everything before this byte has been executed, once the dump has been taken.
    pub(super) executed: u64,
    /// The database of the source that is selected there.
    pub(super) database: u64,
}

/// The directory.
#[derive(Debug)]
pub(super) struct Work {
    directory: PathBuf,
    saved: Instant,
    pub(super) state: State,
}

/// What is done twice costs time, what is written to disk does, too.
const INTERVAL: Duration = Duration::from_millis(500);
const STATE: &str = "import.json";
const DUMP: &str = "dump.rdb";

impl Work {
    /// Goes on with the work of this directory, or begins it.
    pub(super) fn open(directory: &Path, from: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("the directory {} cannot be made", directory.display()))?;
        let path = directory.join(STATE);
        let begins = State {
            from: without_password(from),
            id: format!("{:016x}", rand::random::<u64>()),
            parts: 0,
            history: None,
            touched: BTreeSet::new(),
        };
        let state = match fs::read_to_string(&path) {
            Ok(text) => {
                let state: State = serde_json::from_str(&text)
                    .with_context(|| format!("{} is damaged: remove it to begin anew", path.display()))?;
                ensure!(
                    state.from == begins.from,
                    "{} belongs to an import from {}: give another directory with --work",
                    directory.display(),
                    state.from
                );
                state
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => begins,
            Err(error) => bail!("{} cannot be read: {error}", path.display()),
        };
        let mut work = Self { directory: directory.to_owned(), saved: Instant::now(), state };
        work.save()?;
        Ok(work)
    }

    /// Where what was received is kept.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The dump that a running source has sent.
    pub(super) fn dump(&self) -> PathBuf {
        self.directory.join(DUMP)
    }

    /// Remembers how far it is.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        self.saved = Instant::now();
        save(&self.directory, &self.state)
    }

    /// The same, if it has not been done for a while.
    pub(super) fn save_now_and_then(&mut self) -> anyhow::Result<()> {
        if self.saved.elapsed() < INTERVAL { Ok(()) } else { self.save() }
    }

    /// Removes what nobody needs any more.
    pub(super) fn remove(self, keep_list: bool) -> anyhow::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if name == STATE || name == DUMP || name.starts_with(super::spool::SEGMENT) {
                fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        if !keep_list {
            // A directory with other things in it stays.
            let _ = fs::remove_dir(&self.directory);
        }
        Ok(())
    }
}

/// Writes it beside, and in its place then: whatever dies, one of both is there as a whole.
fn save(directory: &Path, state: &State) -> anyhow::Result<()> {
    let (path, beside) = (directory.join(STATE), directory.join("import.json.new"));
    let text = serde_json::to_string_pretty(state)?;
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// A password is not written to disk.
fn without_password(from: &str) -> String {
    match (from.strip_prefix("redis://"), from.rsplit_once('@')) {
        (Some(_), Some((_, host))) => format!("redis://{host}"),
        _ => from.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_goes_on_where_this_one_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut work = Work::open(directory.path(), "redis://user:secret@host:1").expect("work");
        work.state.parts = 7;
        work.save().expect("saved");
        let id = work.state.id.clone();
        let text = fs::read_to_string(directory.path().join(STATE)).expect("a file");
        assert!(!text.contains("secret"), "{text}");
        let again = Work::open(directory.path(), "redis://user:changed@host:1").expect("work");
        assert_eq!((again.state.parts, again.state.id), (7, id));
        let other = Work::open(directory.path(), "dump.rdb").expect_err("other work").to_string();
        assert!(other.contains("redis://host:1"), "{other}");
    }
}
