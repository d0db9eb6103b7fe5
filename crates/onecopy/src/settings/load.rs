//! Putting the settings together, and finding all mistakes at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use onecopy_node::Config;
use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::Mistakes;
use super::list::{SETTINGS, Setting};
use super::overrides::{CommonOverrides, Overrides};

/// Settings that a node can start with, and where they come from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// For the node.
    pub config: Config,
    /// For people: all settings, in the order of [`SETTINGS`].
    pub effective: Vec<Effective>,
}

/// One setting as it counts.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Which.
    pub setting: &'static Setting,
    /// Its value, as people read it.
    pub value: String,
    /// Who says so.
    pub origin: Origin,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// This line of the configuration file.
    Line(usize),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(variable) => f.write_str(variable),
            Self::Line(line) => write!(f, "file, line {line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Reads the settings from a file, if there is one, and from flags and variables.
///
/// # Errors
/// All [`Mistakes`] in them.
pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, Mistakes> {
    let mut collected = Collected::default();
    if let Some(file) = file {
        // What else is missing is not worth saying as long as nobody knows what the file says.
        let text = std::fs::read_to_string(file).map_err(|error| {
            Mistakes(vec![format!(
                "cannot read {}: {error}; `onecopy config example` prints a file to begin with",
                file.display()
            )])
        })?;
        collected.add_file(&text).map_err(|mistake| Mistakes(vec![mistake]))?;
    }
    collected.add_overrides(overrides);
    collected.finish()
}

/// Changes settings to what flags and variables say.
///
/// # Errors
/// All [`Mistakes`] in those.
pub fn apply(overrides: &CommonOverrides, config: &Config) -> Result<Config, Mistakes> {
    let mut collected = Collected::default();
    let text = toml::to_string(config).map_err(|error| Mistakes(vec![error.to_string()]))?;
    collected.add_file(&text).map_err(|mistake| Mistakes(vec![mistake]))?;
    collected.add_overrides(&overrides.0);
    match collected.mistakes.is_empty() {
        true => collected.config().map_err(|error| Mistakes(vec![error])),
        false => Err(Mistakes(collected.mistakes)),
    }
}

/// What was found so far.
#[derive(Default)]
struct Collected {
    values: BTreeMap<&'static str, (Value, Origin)>,
    /// Settings that were given wrongly: they are not missing too.
    wrong: Vec<&'static str>,
    mistakes: Vec<String>,
}

impl Collected {
    /// Fails only if the text is no TOML at all.
    fn add_file(&mut self, text: &str) -> Result<(), String> {
        let line_of = |position: usize| text[..position.min(text.len())].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            format!("line {line}: {}", error.message())
        })?;
        // The same text without places, but with the values as a node takes them.
        let values: Table = text.parse().unwrap_or_default();
        let table = table.into_inner();
        let mut names: Vec<_> = table.iter().collect();
        names.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in names {
            let line = line_of(name.span().start);
            let name = name.get_ref().as_ref();
            let tables = SETTINGS.iter().any(|setting| setting.place().0 == Some(name));
            match (tables, value.get_ref()) {
                (false, _) => self.add_value(name, values.get(name), line),
                (true, DeValue::Table(inner)) => self.add_table(name, inner, values.get(name), &line_of),
                (true, _) => self.mistakes.push(format!(
                    "line {line}: {name} is a table: write its settings below a line [{name}]"
                )),
            }
        }
        Ok(())
    }

    fn add_table(
        &mut self,
        table: &str,
        inner: &DeTable<'_>,
        values: Option<&Value>,
        line_of: &impl Fn(usize) -> usize,
    ) {
        let mut names: Vec<_> = inner.keys().collect();
        names.sort_by_key(|name| name.span().start);
        for name in names {
            let key = format!("{table}.{}", name.get_ref());
            let value = values.and_then(|values| values.get(name.get_ref().as_ref()));
            self.add_value(&key, value, line_of(Spanned::span(name).start));
        }
    }

    fn add_value(&mut self, key: &str, value: Option<&Value>, line: usize) {
        let Some(setting) = Setting::named(key) else {
            return self.mistakes.push(format!("line {line}: there is no setting {key}{}", suggestion(key)));
        };
        let Some(value) = value.cloned() else { return };
        match setting.kind.check(value) {
            Ok(value) => {
                self.values.insert(setting.key, (value, Origin::Line(line)));
            }
            Err(reason) => {
                self.wrong.push(setting.key);
                self.mistakes.push(format!("line {line}: {key}: {reason}"));
            }
        }
    }

    fn add_overrides(&mut self, overrides: &Overrides) {
        for given in &overrides.given {
            let setting = given.setting;
            let origin = match given.by_flag {
                true => Origin::Flag(setting.flag()),
                false => Origin::Variable(setting.variable()),
            };
            match setting.kind.parse(&given.text) {
                Ok(value) => {
                    self.values.insert(setting.key, (value, origin));
                }
                Err(reason) => {
                    self.wrong.push(setting.key);
                    self.mistakes.push(format!("{origin}: {reason}"));
                }
            }
        }
    }

    fn finish(mut self) -> Result<Loaded, Mistakes> {
        for setting in SETTINGS {
            let known = self.values.contains_key(setting.key) || self.wrong.contains(&setting.key);
            if setting.required && !known {
                self.mistakes.push(format!(
                    "{} is missing: {}. Write `{} = {}` into the file, or give --{} or {}",
                    setting.key,
                    setting.meaning,
                    setting.key,
                    setting.example,
                    setting.flag(),
                    setting.variable()
                ));
            }
        }
        // A value that is wrong or missing would only make others look wrong.
        let known = SETTINGS.iter().all(|setting| !setting.required || self.values.contains_key(setting.key));
        let config = match known && self.wrong.is_empty() {
            true => Some(self.config().map_err(|error| Mistakes(vec![error]))?),
            false => None,
        };
        self.mistakes.extend(config.as_ref().map(Config::problems).unwrap_or_default());
        let Some(config) = config.filter(|_| self.mistakes.is_empty()) else {
            return Err(Mistakes(self.mistakes));
        };
        let effective = self.effective(&config);
        Ok(Loaded { config, effective })
    }

    fn config(&self) -> Result<Config, String> {
        let mut root = Table::new();
        for setting in SETTINGS {
            let Some((value, _)) = self.values.get(setting.key) else { continue };
            let (table, name) = setting.place();
            let table = match table {
                None => &mut root,
                Some(table) => root
                    .entry(table)
                    .or_insert_with(|| Value::Table(Table::new()))
                    .as_table_mut()
                    .expect("only tables are put under the names of tables"),
            };
            table.insert(name.to_owned(), value.clone());
        }
        Config::deserialize(Value::Table(root)).map_err(|error| error.message().to_owned())
    }

    fn effective(&self, config: &Config) -> Vec<Effective> {
        let values = Value::try_from(config).expect("settings can be written as TOML");
        let effective = |setting: &'static Setting| {
            let (table, name) = setting.place();
            let table = table.map_or(Some(&values), |table| values.get(table));
            let value = table.and_then(|table| table.get(name));
            let origin = self.values.get(setting.key).map_or(Origin::Default, |(_, origin)| origin.clone());
            Effective {
                setting,
                value: value.map_or_else(String::new, |value| setting.kind.show(value)),
                origin,
            }
        };
        SETTINGS.iter().map(effective).collect()
    }
}

/// The known setting that a name was probably meant to be.
fn suggestion(key: &str) -> String {
    let nearest = SETTINGS.iter().map(|setting| (distance(key, setting.key), setting.key)).min();
    match nearest {
        Some((distance, known)) if distance <= 3 && distance < key.len() => {
            format!(": did you mean {known}?")
        }
        _ => "; `onecopy config example` shows all settings".to_owned(),
    }
}

/// How many letters must be put in, left out or replaced to make one word of another.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_a_node_is_listed() {
        let mut collected = Collected::default();
        collected.add_file(&crate::config::example()).unwrap();
        let config = collected.config().expect("the example is right");
        let mut keys = Vec::new();
        for (name, value) in Value::try_from(&config).unwrap().as_table().unwrap() {
            match (name.as_str(), value) {
                ("timeouts" | "limits" | "advertise", Value::Table(inner)) => {
                    keys.extend(inner.keys().map(|inner| format!("{name}.{inner}")));
                }
                _ => keys.push(name.clone()),
            }
        }
        keys.sort();
        let mut listed: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        listed.sort_unstable();
        assert_eq!(keys, listed);
    }

    #[test]
    fn the_examples_of_optional_settings_are_their_defaults() {
        let mut given = Collected::default();
        given.add_file(&crate::config::example()).unwrap();
        let mut uncommented = Collected::default();
        let text: Vec<String> = crate::config::example()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        uncommented.add_file(&text.join("\n")).unwrap();
        assert_eq!(uncommented.values.len(), SETTINGS.len(), "{:?}", uncommented.mistakes);
        assert_eq!(given.finish().unwrap().config, uncommented.finish().unwrap().config);
    }

    #[test]
    fn a_slip_is_recognised() {
        assert_eq!(distance("copis", "copies"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert!(suggestion("durabilty").contains("durability"));
        assert!(!suggestion("quux_is_something").contains("did you mean"));
    }
}
