//! What is set for the whole cluster: parameters by their names, as texts. What they mean is no business of
//! the view service; it keeps them, and tells every node.

use std::collections::BTreeMap;

use onecopy_core::{Encodings, Eviction, Policy};
use serde::{Deserialize, Serialize};

use crate::command::Rejection;

/// The longest name of a parameter, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The longest value, in bytes.
const VALUE_BYTES_MAX: usize = 4096;
/// So many parameters may be set.
const SETTINGS_MAX: usize = 512;

/// A parameter that groups look at themselves, as they do at those of eviction: entries say how much memory
/// there may be, and what goes where there is none.
const MAXMEMORY: &str = "maxmemory";

/// The parameters that somebody has set. All others have the value that each node starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What a parameter is set to.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The bytes of data beyond which commands that need more are refused, on each node, if they are set; 0:
    /// there is no limit.
    #[must_use]
    pub fn memory_max(&self) -> Option<u64> {
        self.get(MAXMEMORY)?.parse().ok()
    }

    /// What goes where there is no room, and how that is found out, if any of it is set.
    #[must_use]
    pub fn eviction(&self) -> Option<Eviction> {
        let number = |name, default| self.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let default = Eviction::default();
        let names = ["maxmemory-policy", "maxmemory-samples", "lfu-log-factor", "lfu-decay-time"];
        names.iter().any(|name| self.get(name).is_some()).then(|| Eviction {
            policy: self.get("maxmemory-policy").and_then(Policy::named).unwrap_or_default(),
            samples: number("maxmemory-samples", default.samples),
            lfu_log_factor: number("lfu-log-factor", default.lfu_log_factor),
            lfu_decay_minutes: number("lfu-decay-time", default.lfu_decay_minutes),
        })
    }

    /// Up to which sizes values are said to have compact encodings.
    #[must_use]
    pub fn encodings(&self) -> Encodings {
        let number = |name, default: u32| {
            let set = self.get(name).and_then(|text| text.parse::<u64>().ok());
            set.map_or(default, |number| u32::try_from(number).unwrap_or(u32::MAX))
        };
        let default = Encodings::default();
        let list_size = self.get("list-max-listpack-size").and_then(|text| text.parse().ok());
        Encodings {
            hash_entries: number("hash-max-listpack-entries", default.hash_entries),
            hash_value: number("hash-max-listpack-value", default.hash_value),
            list_size: list_size.unwrap_or(default.list_size),
            intset_entries: number("set-max-intset-entries", default.intset_entries),
            set_entries: number("set-max-listpack-entries", default.set_entries),
            set_value: number("set-max-listpack-value", default.set_value),
            zset_entries: number("zset-max-listpack-entries", default.zset_entries),
            zset_value: number("zset-max-listpack-value", default.zset_value),
        }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether all of these are set so.
    #[must_use]
    pub fn include(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(name, value)| self.0.get(name) == Some(value))
    }

    /// Sets some, all of them or none.
    pub(crate) fn set(&mut self, wanted: &BTreeMap<String, String>) -> Result<(), Rejection> {
        let is_too_long =
            |(name, value): (&String, &String)| name.len() > NAME_BYTES_MAX || value.len() > VALUE_BYTES_MAX;
        if wanted.iter().any(is_too_long) {
            return Err(Rejection::NotAllowed("the name or the value of a parameter is too long"));
        }
        if self.include(wanted) {
            return Err(Rejection::NoChange);
        }
        let new = wanted.keys().filter(|name| !self.0.contains_key(*name)).count();
        if self.0.len() + new > SETTINGS_MAX {
            return Err(Rejection::NotAllowed("too many parameters are set"));
        }
        self.0.extend(wanted.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn all_are_set_or_none() {
        let mut settings = Settings::default();
        assert_eq!(settings.set(&wanted(&[("a", "1"), ("b", "2")])), Ok(()));
        assert_eq!(settings.set(&wanted(&[("b", "2")])), Err(Rejection::NoChange));
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        assert!(settings.set(&wanted(&[("a", "3"), ("c", &long)])).is_err());
        assert_eq!(settings.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut settings = Settings::default();
        for number in 0..SETTINGS_MAX {
            settings.set(&wanted(&[(&number.to_string(), "")])).expect("there is room");
        }
        assert!(settings.set(&wanted(&[("one more", "")])).is_err());
        assert_eq!(settings.set(&wanted(&[("0", "changed")])), Ok(()));
    }
}
