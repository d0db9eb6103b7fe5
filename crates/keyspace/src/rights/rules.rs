//! The language of `ACL SETUSER`, rule by rule.

use super::selector::{Pattern, Selector};
use super::user::{CATEGORIES, User, hash, parse_hash};
use crate::command::catalogue;

/// Why a rule cannot be followed. Displayed as Redis says it, behind `Error in ACL SETUSER modifier '…': `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It is no rule.
    #[error("Syntax error")]
    Syntax,
    /// There is no such command, subcommand or category.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// It follows a pattern that stands for all keys.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
         effect. Try 'resetkeys' to start with an empty list of patterns"
    )]
    AfterAllKeys,
    /// It follows a pattern that stands for all channels.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
         effect. Try 'resetchannels' to start with an empty list of channels"
    )]
    AfterAllChannels,
    /// The password to be removed is none.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// The hash of a password is none.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    NoHash,
    /// A subcommand has no first arguments.
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgOfSubcommand,
}

/// Whether rules come from somebody who should be told what is unknown, or from another node, which may know
/// more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Somebody,
    Node,
}

/// Joins arguments that are one selector together: `(+get ~a)` may come as two.
///
/// # Errors
/// Where a selector begins that does not end.
pub fn merge_selectors(args: &[&[u8]]) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut merged = Vec::new();
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    for arg in args {
        let (begin, text) = match open.take() {
            Some((begin, text)) => (begin, [text.as_slice(), b" ", arg].concat()),
            None if arg.first() == Some(&b'(') => (arg.to_vec(), arg.to_vec()),
            None => {
                merged.push(arg.to_vec());
                continue;
            }
        };
        match text.last() == Some(&b')') {
            true => merged.push(text),
            false => open = Some((begin, text)),
        }
    }
    open.map_or(Ok(merged), |(begin, _)| Err(begin))
}

impl User {
    /// Follows one rule. `channels_too`: whether a user that is reset may use all channels.
    ///
    /// # Errors
    /// Why it cannot; the user is as it was.
    pub fn follow(&mut self, rule: &[u8], channels_too: bool) -> Result<(), RuleError> {
        self.follow_from(rule, channels_too, Origin::Somebody)
    }

    pub(super) fn follow_from(
        &mut self,
        rule: &[u8],
        channels_too: bool,
        origin: Origin,
    ) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"on" => self.is_enabled = true,
            b"off" => self.is_enabled = false,
            b"nopass" => {
                self.needs_no_password = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.needs_no_password = false;
                self.passwords.clear();
            }
            b"sanitize-payload" => self.sanitizes = true,
            b"skip-sanitize-payload" => self.sanitizes = false,
            b"reset" => *self = Self::new(channels_too),
            b"clearselectors" => self.selectors.clear(),
            _ => return self.follow_other(rule, origin),
        }
        Ok(())
    }

    fn follow_other(&mut self, rule: &[u8], origin: Origin) -> Result<(), RuleError> {
        let (first, rest) = rule.split_first().ok_or(RuleError::Syntax)?;
        match first {
            b'>' => {
                self.needs_no_password = false;
                self.passwords.insert(hash(rest));
            }
            b'#' => {
                self.needs_no_password = false;
                self.passwords.insert(parse_hash(rest).ok_or(RuleError::NoHash)?);
            }
            b'<' if !self.passwords.remove(&hash(rest)) => return Err(RuleError::NoSuchPassword),
            b'!' => {
                let wanted = parse_hash(rest).ok_or(RuleError::NoHash)?;
                if !self.passwords.remove(&wanted) {
                    return Err(RuleError::NoSuchPassword);
                }
            }
            b'<' => {}
            b'(' => {
                let inside = rest.strip_suffix(b")").ok_or(RuleError::Syntax)?;
                let mut selector = Selector::default();
                for rule in inside.split(|byte| *byte == b' ') {
                    selector.follow(rule, origin)?;
                }
                self.selectors.push(selector);
            }
            _ => return self.root.follow(rule, origin),
        }
        Ok(())
    }
}

impl Selector {
    /// Follows one rule about commands, keys or channels.
    pub(super) fn follow(&mut self, rule: &[u8], origin: Origin) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => {}
            b"allkeys" | b"~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            b"resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            b"allchannels" | b"&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            b"resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            b"allcommands" | b"+@all" => self.set_all_commands(true),
            b"nocommands" | b"-@all" => self.set_all_commands(false),
            lower => match rule[0] {
                b'~' => self.add_keys(&rule[1..], true, true)?,
                b'%' => {
                    let tilde = rule.iter().position(|byte| *byte == b'~').ok_or(RuleError::Syntax)?;
                    let access = &lower[1..tilde];
                    let has = |letter: u8| access.contains(&letter);
                    if access.is_empty() || access.iter().any(|letter| !b"rw".contains(letter)) {
                        return Err(RuleError::Syntax);
                    }
                    self.add_keys(&rule[tilde + 1..], has(b'r'), has(b'w'))?;
                }
                b'&' => self.add_channels(&rule[1..])?,
                sign @ (b'+' | b'-') => {
                    let what = std::str::from_utf8(&lower[1..]).map_err(|_| RuleError::Unknown)?;
                    match self.set_commands(what, sign == b'+') {
                        Err(RuleError::Unknown) if origin == Origin::Node => {
                            self.keep_unknown(sign == b'+', what);
                        }
                        outcome => outcome?,
                    }
                }
                _ => return Err(RuleError::Syntax),
            },
        }
        Ok(())
    }

    fn add_keys(&mut self, glob: &[u8], reads: bool, writes: bool) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        if has_spaces(glob) {
            return Err(RuleError::Syntax);
        }
        if glob == b"*" && reads && writes {
            self.all_keys = true;
            self.keys.clear();
            return Ok(());
        }
        match self.keys.iter_mut().find(|known| known.glob == glob) {
            Some(known) => {
                known.reads |= reads;
                known.writes |= writes;
            }
            None => self.keys.push(Pattern { glob: glob.to_vec(), reads, writes }),
        }
        Ok(())
    }

    fn add_channels(&mut self, glob: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AfterAllChannels);
        }
        if has_spaces(glob) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known == glob) {
            self.channels.push(glob.to_vec());
        }
        Ok(())
    }

    /// `@category`, `command`, `command|subcommand` or `command|first-argument`.
    fn set_commands(&mut self, what: &str, allowed: bool) -> Result<(), RuleError> {
        if let Some(category) = what.strip_prefix('@') {
            if !CATEGORIES.contains(&category) {
                return Err(RuleError::Unknown);
            }
            self.set_category(category, allowed);
            return Ok(());
        }
        if let Some(place) = catalogue::place(what) {
            self.set_command(place, allowed);
            return Ok(());
        }
        let (command, first) = what.split_once('|').ok_or(RuleError::Unknown)?;
        if first.contains('|') {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        let place = catalogue::place(command).ok_or(RuleError::Unknown)?;
        // Forbidden are whole commands and subcommands only.
        if !allowed || first.is_empty() || !catalogue::subcommands(command).is_empty() {
            return Err(RuleError::Unknown);
        }
        self.allow_first_arg(place, first);
        Ok(())
    }
}

fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0)
}
