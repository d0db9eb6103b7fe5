//! The scripts that are known by their names, and the libraries of functions.
//!
//! They are part of the state, so that `EVALSHA` and `FCALL` mean the same on every copy, also after a
//! failover. What was only evaluated is forgotten, the oldest first, when there are too many; what was loaded
//! (`SCRIPT LOAD`) stays, and where there is no room for it, it is refused.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use onecopy_script::{Described, name_of};

use crate::error::CommandError;

/// So many bytes may all scripts and libraries have together.
pub const SCRIPTS_BYTES_MAX: u64 = 16 << 20;
/// So many scripts are known that were only evaluated, as in Redis from 7.4 on.
const EVALUATED_MAX: usize = 500;
/// What a script, a library or a function costs beyond its bytes.
const COST: u64 = 256;

/// A script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// It was loaded, and not only evaluated.
    pub(crate) is_loaded: bool,
    pub(crate) text: Arc<[u8]>,
}

/// A library.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub(crate) name: Box<[u8]>,
    pub(crate) text: Arc<[u8]>,
    pub(crate) functions: Vec<Described>,
}

impl Library {
    fn memory(&self) -> u64 {
        let functions = self.functions.iter().map(|function| {
            let described = function.description.as_ref().map_or(0, Vec::len);
            COST + (function.name.len() + described) as u64
        });
        COST + (self.name.len() + self.text.len()) as u64 + functions.sum::<u64>()
    }
}

/// All scripts and libraries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripts {
    texts: BTreeMap<String, Script>,
    /// The names of scripts that were evaluated, the oldest first; and of those that were loaded, as they
    /// came.
    evaluated: VecDeque<String>,
    loaded: Vec<String>,
    libraries: BTreeMap<Box<[u8]>, Library>,
    memory: u64,
}

impl Scripts {
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// How many are known by their names.
    pub(crate) fn count(&self) -> usize {
        self.texts.len()
    }

    /// The text of a script, by its name in letters of any case.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Arc<[u8]>> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.texts.get(&name).map(|script| Arc::clone(&script.text))
    }

    /// All scripts: those that were loaded, then the others, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Script> {
        self.loaded.iter().chain(&self.evaluated).filter_map(|name| self.texts.get(name))
    }

    /// Adds a script. Whether it was not known as such, and there is room.
    pub(crate) fn add(&mut self, text: &[u8], is_loaded: bool) -> bool {
        let name = name_of(text);
        match self.texts.get_mut(&name) {
            Some(script) if script.is_loaded || !is_loaded => return false,
            Some(script) => {
                script.is_loaded = true;
                self.evaluated.retain(|evaluated| *evaluated != name);
                self.loaded.push(name);
                return true;
            }
            None => {}
        }
        let cost = COST + text.len() as u64;
        while self.memory + cost > SCRIPTS_BYTES_MAX || !is_loaded && self.evaluated.len() >= EVALUATED_MAX {
            let Some(oldest) = self.evaluated.pop_front() else { return false };
            self.forget(&oldest);
        }
        self.memory += cost;
        self.texts.insert(name.clone(), Script { is_loaded, text: text.into() });
        if is_loaded {
            self.loaded.push(name)
        } else {
            self.evaluated.push_back(name)
        }
        true
    }

    fn forget(&mut self, name: &str) {
        if let Some(script) = self.texts.remove(name) {
            self.memory -= COST + script.text.len() as u64;
        }
    }

    /// Forgets all scripts.
    pub(crate) fn flush(&mut self) {
        let names: Vec<String> = self.texts.keys().cloned().collect();
        names.iter().for_each(|name| self.forget(name));
        self.evaluated.clear();
        self.loaded.clear();
    }

    /// All libraries, by name.
    pub(crate) fn libraries(&self) -> impl ExactSizeIterator<Item = &Library> {
        self.libraries.values()
    }

    /// The library that has a function, and the function. It is named in letters of any case.
    pub(crate) fn function(&self, name: &[u8]) -> Option<(&Library, &Described)> {
        self.libraries.values().find_map(|library| {
            library
                .functions
                .iter()
                .find(|function| function.name.eq_ignore_ascii_case(name))
                .map(|found| (library, found))
        })
    }

    /// Adds a library, in the place of one with its name if it may replace that.
    pub(crate) fn load(&mut self, library: Library, replaces: bool) -> Result<(), CommandError> {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let before = self.libraries.get(&library.name);
        if before.is_some() && !replaces {
            return Err(CommandError::Said(format!("ERR Library '{}' already exists", text(&library.name))));
        }
        for function in &library.functions {
            if self.function(&function.name).is_some_and(|(other, _)| other.name != library.name) {
                return Err(CommandError::Said(format!(
                    "ERR Function {} already exists",
                    text(&function.name)
                )));
            }
        }
        let freed = before.map_or(0, Library::memory);
        if self.memory - freed + library.memory() > SCRIPTS_BYTES_MAX {
            return Err(CommandError::Other("OOM there is no room for more scripts and libraries"));
        }
        self.memory = self.memory - freed + library.memory();
        self.libraries.insert(library.name.clone(), library);
        Ok(())
    }

    /// Removes a library. Whether it was there.
    pub(crate) fn delete(&mut self, name: &[u8]) -> bool {
        let removed = self.libraries.remove(name);
        self.memory -= removed.as_ref().map_or(0, Library::memory);
        removed.is_some()
    }

    /// Removes all libraries.
    pub(crate) fn delete_all(&mut self) {
        let memory: u64 = std::mem::take(&mut self.libraries).values().map(Library::memory).sum();
        self.memory -= memory;
    }
}
