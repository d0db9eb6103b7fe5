//! What one selector allows.

use crate::command::catalogue;
use crate::glob;

/// How many words of bits a set of commands has.
const WORDS: usize = 8;

/// A pattern of keys, and what may happen to keys that match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As of `KEYS`.
    pub glob: Vec<u8>,
    /// They may be looked at.
    pub reads: bool,
    /// They may be changed.
    pub writes: bool,
}

impl Pattern {
    /// As a rule says it.
    pub(super) fn describe(&self, into: &mut Vec<u8>) {
        let prefix: &[u8] = match (self.reads, self.writes) {
            (true, true) => b"~",
            (true, false) => b"%R~",
            (false, _) => b"%W~",
        };
        into.extend_from_slice(prefix);
        into.extend_from_slice(&self.glob);
    }
}

/// What a selector allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Every command, also those of later versions.
    all_commands: bool,
    /// By the places in the catalogue.
    commands: [u64; WORDS],
    /// Commands without subcommands that are allowed with certain first arguments.
    first_args: Vec<(usize, Vec<u8>)>,
    /// The rules about commands, as they were given: allowed or not, and what.
    rules: Vec<(bool, String)>,
    pub(super) all_keys: bool,
    pub(super) keys: Vec<Pattern>,
    pub(super) all_channels: bool,
    pub(super) channels: Vec<Vec<u8>>,
}

impl Selector {
    /// Whether it allows everything.
    pub(super) fn is_unlimited(&self) -> bool {
        self.all_commands && self.all_keys && self.all_channels
    }

    /// Allows every command, or none.
    pub(super) fn set_all_commands(&mut self, allowed: bool) {
        self.all_commands = allowed;
        self.commands = [if allowed { u64::MAX } else { 0 }; WORDS];
        self.first_args.clear();
        self.rules = if allowed { vec![(true, "@all".to_owned())] } else { Vec::new() };
    }

    /// Allows a command, or forbids it, with all its subcommands.
    pub(super) fn set_command(&mut self, place: usize, allowed: bool) {
        let name = catalogue::all()[place].name;
        self.set(place, allowed);
        for subcommand in catalogue::subcommands(name) {
            if let Some(place) = catalogue::place(subcommand.name) {
                self.set(place, allowed);
            }
        }
        self.remember(allowed, name.to_owned());
    }

    /// Allows a command with this first argument.
    pub(super) fn allow_first_arg(&mut self, place: usize, arg: &str) {
        let first = (place, arg.as_bytes().to_vec());
        if !self.first_args.contains(&first) {
            self.first_args.push(first);
        }
        self.remember(true, format!("{}|{arg}", catalogue::all()[place].name));
    }

    /// Allows the commands of a category, or forbids them.
    pub(super) fn set_category(&mut self, category: &str, allowed: bool) {
        for (place, listing) in catalogue::all().iter().enumerate() {
            if listing.belongs_to(category) {
                self.set(place, allowed);
            }
        }
        self.remember(allowed, format!("@{category}"));
    }

    /// A rule that this version does not understand is kept for those that do.
    pub(super) fn keep_unknown(&mut self, allowed: bool, what: &str) {
        self.remember(allowed, what.to_owned());
        self.all_commands &= allowed;
    }

    fn set(&mut self, place: usize, allowed: bool) {
        let (word, bit) = (place / 64, 1 << (place % 64));
        if allowed {
            self.commands[word] |= bit;
        } else {
            self.commands[word] &= !bit;
            self.first_args.retain(|(command, _)| *command != place);
            self.all_commands = false;
        }
    }

    /// A later rule about the same replaces what was said of it, and of its subcommands.
    fn remember(&mut self, allowed: bool, what: String) {
        let is_about = |rule: &str| {
            rule.strip_prefix(what.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        };
        self.rules.retain(|(_, rule)| !is_about(rule));
        self.rules.push((allowed, what));
    }

    /// Whether a command may be called, with this first argument.
    pub(super) fn allows_command(&self, place: usize, first_arg: Option<&[u8]>) -> bool {
        if self.all_commands || self.commands[place / 64] & 1 << (place % 64) != 0 {
            return true;
        }
        let matches = |(command, arg): &(usize, Vec<u8>)| {
            *command == place && first_arg.is_some_and(|first| first.eq_ignore_ascii_case(arg))
        };
        self.first_args.iter().any(matches)
    }

    /// Whether this may happen to a key.
    pub(super) fn allows_key(&self, key: &[u8], reads: bool, writes: bool) -> bool {
        let allows = |pattern: &Pattern| {
            (pattern.reads || !reads) && (pattern.writes || !writes) && glob::matches(&pattern.glob, key)
        };
        self.all_keys || self.keys.iter().any(allows)
    }

    /// Whether a channel may be used; a pattern of channels must be allowed to the letter.
    pub(super) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        let allows = |allowed: &Vec<u8>| match is_pattern {
            true => allowed == channel,
            false => glob::matches(allowed, channel),
        };
        self.all_channels || self.channels.iter().any(allows)
    }

    /// Which commands, as rules.
    #[must_use]
    pub fn describe_commands(&self) -> String {
        let is_all = self.rules.first().is_some_and(|rule| *rule == (true, "@all".to_owned()));
        let first = if is_all { "" } else { "-@all " };
        let rules: Vec<String> = self
            .rules
            .iter()
            .map(|(allowed, what)| format!("{}{what}", if *allowed { '+' } else { '-' }))
            .collect();
        format!("{first}{}", rules.join(" ")).trim_end().to_owned()
    }

    /// Which keys, as rules.
    #[must_use]
    pub fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let mut text = Vec::new();
        for pattern in &self.keys {
            pattern.describe(&mut text);
            text.push(b' ');
        }
        text.pop();
        text
    }

    /// Which channels, as rules.
    #[must_use]
    pub fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let patterns: Vec<Vec<u8>> =
            self.channels.iter().map(|glob| [b"&", glob.as_slice()].concat()).collect();
        patterns.join(&b' ')
    }

    /// All of it, as rules.
    pub(super) fn describe(&self, into: &mut Vec<u8>) {
        let keys = self.describe_keys();
        into.extend_from_slice(&keys);
        into.extend_from_slice(if keys.is_empty() { b"" } else { b" " });
        if !self.all_channels {
            into.extend_from_slice(b"resetchannels ");
        }
        let channels = self.describe_channels();
        into.extend_from_slice(&channels);
        into.extend_from_slice(if channels.is_empty() { b"" } else { b" " });
        into.extend_from_slice(self.describe_commands().as_bytes());
    }
}

const _: () = assert!(WORDS * 64 >= 500, "the catalogue has some 370 commands");
