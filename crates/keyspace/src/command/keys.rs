//! Which arguments of a command are keys.

use std::ops::Range;

use super::Spec;
use crate::number::{is_word, parse_integer};

/// The positions of the keys among the arguments, in order; empty if there are none, or if the arguments make
/// no sense.
#[must_use]
pub fn key_positions(spec: &Spec, args: &[&[u8]]) -> Vec<usize> {
    let mut positions = Vec::new();
    let argc = i32::try_from(args.len()).unwrap_or(i32::MAX);
    if spec.first_key > 0 && spec.key_step > 0 {
        let last = if spec.last_key < 0 { argc.saturating_add(spec.last_key) } else { spec.last_key };
        let mut position = spec.first_key;
        while position <= last && position < argc {
            positions.extend(usize::try_from(position));
            position = position.saturating_add(spec.key_step);
        }
    }
    if spec.key_count_at > 0 {
        let count = args.get(spec.key_count_at).and_then(|count| parse_integer(count));
        let first = spec.key_count_at + 1;
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        if count > args.len().saturating_sub(first) {
            return Vec::new();
        }
        positions.extend(first..first + count);
    }
    if let Some(destination) = Destination::of(spec) {
        positions.extend(destination.position(args));
    }
    if reads_streams(spec) {
        positions.extend(streams(args));
    }
    positions
}

/// Whether the keys of a command stand behind `STREAMS`, and before as many ids.
pub(super) fn reads_streams(spec: &Spec) -> bool {
    matches!(spec.name, "xread" | "xreadgroup")
}

/// The keys behind `STREAMS`. Other options, and their values, stand before it.
fn streams(args: &[&[u8]]) -> Range<usize> {
    let mut at = 1;
    while let Some(option) = args.get(at) {
        at += match option {
            _ if is_word(option, "STREAMS") => {
                let streams = args.len() - at - 1;
                return if streams.is_multiple_of(2) { at + 1..at + 1 + streams / 2 } else { 0..0 };
            }
            _ if is_word(option, "BLOCK") || is_word(option, "COUNT") => 2,
            _ if is_word(option, "GROUP") => 3,
            _ if is_word(option, "NOACK") => 1,
            _ => break,
        };
    }
    0..0
}

/// An option of a command that names the key which it stores into.
pub(super) struct Destination {
    pub(super) options: &'static [&'static str],
    /// From which argument on the option may stand.
    pub(super) from: usize,
    /// Other options, and how many arguments each has, which may look like options.
    others: &'static [(&'static str, usize)],
}

impl Destination {
    pub(super) fn of(spec: &Spec) -> Option<Self> {
        let stores = &["STORE", "STOREDIST"];
        match spec.name {
            "georadius" => Some(Self { options: stores, from: 6, others: &[] }),
            "georadiusbymember" => Some(Self { options: stores, from: 5, others: &[] }),
            "sort" => {
                let others = &[("BY", 1), ("GET", 1), ("LIMIT", 2)];
                Some(Self { options: &["STORE"], from: 2, others })
            }
            _ => None,
        }
    }

    /// Where the key is: behind the last such option.
    fn position(&self, args: &[&[u8]]) -> Option<usize> {
        let (mut position, mut at) = (None, self.from);
        while at + 1 < args.len() {
            let others = self.others.iter().find(|(option, _)| is_word(args[at], option));
            if self.options.iter().any(|option| is_word(args[at], option)) {
                position = Some(at + 1);
                at += 2;
            } else {
                at += 1 + others.map_or(0, |(_, count)| *count);
            }
        }
        position
    }
}

/// Whether a command may look at keys that its arguments do not name. Scripts do, and the patterns of `SORT`,
/// if they have a place for an element; no other command that only reads does.
pub(crate) fn looks_beyond_its_keys(spec: &Spec, args: &[&[u8]]) -> bool {
    spec.group == "scripting" || spec.name == "sort_ro" && args.iter().skip(2).any(|arg| arg.contains(&b'*'))
}
