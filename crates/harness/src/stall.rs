//! A disk that hangs: no error, no answer; and a wall clock that is wrong.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What does it, inside the node.
const SOURCE: &str = include_str!("stall.c");

/// The disk of one node.
#[derive(Debug)]
pub struct Stall {
    library: PathBuf,
    /// While it exists, the disk hangs.
    switch: PathBuf,
}

impl Stall {
    /// Builds what is needed in `directory`, with the C compiler of the machine.
    pub(crate) fn for_each(nodes: impl Iterator<Item = u32>, directory: &Path) -> BTreeMap<u32, Self> {
        let (source, library) = (directory.join("stall.c"), directory.join("stall.so"));
        std::fs::write(&source, SOURCE).expect("a file for the source");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success(), "{} does not compile", source.display());
        let stall = |id| Self { library: library.clone(), switch: directory.join(format!("stall-{id}")) };
        nodes.map(|id| (id, stall(id))).collect()
    }

    /// Prepares the command that starts the node.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("STALL_FILE", &self.switch);
    }

    /// From now on whoever writes or syncs waits.
    pub fn hang(&self) {
        File::create(&self.switch).expect("a file that says so");
    }

    /// The disk works again.
    pub fn recover(&self) {
        std::fs::remove_file(&self.switch).expect("the disk hangs");
    }
}
