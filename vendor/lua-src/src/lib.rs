//! The Lua that scripts run on, in the place of the crate `lua-src`, from which `mlua` builds its own.
//! What it is, and what was changed: see the README.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The versions that there are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Lua 5.1.5, as Redis has it.
    Lua51,
}
pub use self::Version::Lua51;

/// How to build it, from a build script.
#[derive(Debug, Default)]
pub struct Build(());

/// What was built, and where it is.
#[derive(Debug)]
pub struct Artifacts(PathBuf);

const LIBRARY: &str = "lua5.1";

impl Build {
    /// As it should be.
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds a static library.
    ///
    /// # Panics
    /// If it cannot.
    pub fn build(&self, Version::Lua51: Version) -> Artifacts {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("a build script")).join("lib");
        let files = fs::read_dir(&sources).expect("the sources of Lua").flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.extension() == Some("c".as_ref())).collect();
        files.sort();
        cc::Build::new()
            .warnings(false)
            .cargo_metadata(false)
            // A product and a sum are two roundings, on every processor.
            .flag("-ffp-contract=off")
            .flag_if_supported("-fno-common")
            .include(&sources)
            .files(files)
            .out_dir(&out)
            .compile(LIBRARY);
        println!("cargo:rerun-if-changed={}", sources.display());
        Artifacts(out)
    }
}

impl Artifacts {
    /// Tells Cargo where the library is.
    pub fn print_cargo_metadata(&self) {
        println!("cargo:rustc-link-search=native={}", self.0.display());
        println!("cargo:rustc-link-lib=static={LIBRARY}");
    }
}
