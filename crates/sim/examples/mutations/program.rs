//! One program that has all mutations ("mutant schemata": Untch, Offutt and Harrold, "Mutation Analysis Using
//! Mutant Schemata", ISSTA 1993). The workspace is copied to a directory under `target`; in the copy every
//! place of a mutation becomes a choice between what it says and what the mutation says, which an environment
//! variable makes at run time. It is built once, and production code knows nothing of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::list::{Mutation, workspace};

/// Which mutation is active: its place in the list.
pub const VARIABLE: &str = "ONECOPY_MUTATION";

/// The module that is added to the crate at the bottom, and that makes the choice.
const CHOICE: &str = r#"
#[doc(hidden)]
pub mod mutation {
    use std::sync::LazyLock;
    static ACTIVE: LazyLock<Option<u32>> = LazyLock::new(|| std::env::var("ONECOPY_MUTATION").ok()?.parse().ok());
    pub fn is_active(number: u32) -> bool {
        *ACTIVE == Some(number)
    }
}
"#;

/// Makes the program. Returns where it is.
///
/// # Errors
/// A mutation does not fit the code, or the program cannot be built.
pub fn build(mutations: &[Mutation]) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(workspace().join("target"), PathBuf::from);
    let target = fs::create_dir_all(&target).and_then(|()| target.canonicalize())?;
    let copy = target.join("mutations");
    for folder in ["crates", "vendor"] {
        copy_folder(&workspace().join(folder), &copy.join(folder))?;
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(workspace().join(file), copy.join(file))?;
    }
    let mut changed: BTreeMap<&Path, Vec<(usize, u32, &Mutation)>> = BTreeMap::new();
    for (number, mutation) in (0..).zip(mutations) {
        let text = fs::read_to_string(workspace().join("crates").join(&mutation.file))
            .with_context(|| mutation.file.display().to_string())?;
        changed.entry(&mutation.file).or_default().push((mutation.position(&text)?, number, mutation));
    }
    for (file, mut places) in changed {
        let mut text = fs::read_to_string(workspace().join("crates").join(file))?;
        // From the end, so that the places before stay where they are.
        places.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        let mut end = usize::MAX;
        for (at, number, mutation) in places {
            let after = at + mutation.original.len();
            ensure!(after <= end, "{} overlaps with another mutation", mutation.name);
            let root = if file.starts_with("core") { "crate" } else { "onecopy_core" };
            text.replace_range(
                at..after,
                &mutation.choice(&format!("{root}::mutation::is_active({number})")),
            );
            end = at;
        }
        write_if_new(&copy.join("crates").join(file), text.as_bytes())?;
    }
    let core = copy.join("crates/core/src/lib.rs");
    let text = fs::read_to_string(workspace().join("crates/core/src/lib.rs"))? + CHOICE;
    write_if_new(&core, text.as_bytes())?;
    // It runs hundreds of thousands of seeds: that pays for the slowest way to build. A choice makes warnings
    // of its own kind.
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "-p", "onecopy-sim", "--bin", "onecopy-sim"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .env("RUSTFLAGS", "--cap-lints allow")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .status()?;
    ensure!(status.success(), "the program with the mutations cannot be built");
    Ok(copy.join("target/release/onecopy-sim"))
}

/// Copies what is new, so that what is not need not be built again.
fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => write_if_new(&target, &fs::read(entry.path())?)?,
        }
    }
    Ok(())
}

fn write_if_new(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).with_context(|| to.display().to_string())
}
