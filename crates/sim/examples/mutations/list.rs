//! The list of mutations: `crates/sim/mutations/*.toml`, one file for each crate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// A small mistake that somebody could make, and what it is made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// A name of its own.
    pub name: String,
    /// The file, from `crates/` on.
    pub file: PathBuf,
    /// What the mistake is, in a sentence.
    pub what: String,
    /// What stands before the original, if that alone stands at several places. It stays as it is.
    #[serde(default)]
    pub before: String,
    /// What the file says, at exactly one place: an expression, or statements if it ends with a semicolon.
    pub original: String,
    /// What is executed in its place.
    pub mutated: String,
    /// Why the simulator does not see it, if it is known not to.
    pub survives: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutation: Vec<Mutation>,
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All mutations, in the order of the files and within them.
///
/// # Errors
/// A file cannot be read or makes no sense, or two mutations have one name.
pub fn read() -> anyhow::Result<Vec<Mutation>> {
    let folder = workspace().join("crates/sim/mutations");
    let files = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let list: File = toml::from_str(&text).with_context(|| file.display().to_string())?;
        all.extend(list.mutation);
    }
    let names: BTreeSet<&str> = all.iter().map(|mutation| mutation.name.as_str()).collect();
    ensure!(names.len() == all.len(), "two mutations have one name");
    Ok(all)
}

impl Mutation {
    /// Where the original begins in the text of its file.
    ///
    /// # Errors
    /// It is not there, or more than once.
    pub fn position(&self, text: &str) -> anyhow::Result<usize> {
        let sought = [self.before.as_str(), &self.original].concat();
        let mut places = text.match_indices(&sought);
        match (places.next(), places.next()) {
            (Some((at, _)), None) => Ok(at + self.before.len()),
            (None, _) => bail!("{}: {} does not say {sought:?}", self.name, self.file.display()),
            _ => bail!("{}: {} says {:?} more than once", self.name, self.file.display(), self.original),
        }
    }

    /// What stands in place of the original in the program that has all mutations: `is_active` tells whether
    /// it is this one.
    #[must_use]
    pub fn choice(&self, is_active: &str) -> String {
        let Self { original, mutated, .. } = self;
        let choice = format!("if {is_active} {{ {mutated} }} else {{ {original} }}");
        let is_statement = original.ends_with([';', '}']);
        if is_statement { choice } else { format!("({choice})") }
    }
}
