//! What happens to the keys of a command: whether they are looked at, changed, or both.

use super::catalogue::{self, Begin, Find, KeySpec};
use super::{Spec, key_positions, lookup};
use crate::number::is_word;

/// A key of a command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAccess {
    /// Which of the arguments it is.
    pub position: usize,
    /// What happens to it, in the words of `COMMAND GETKEYSANDFLAGS`.
    pub flags: Vec<&'static str>,
}

impl KeyAccess {
    /// Whether something of its value is told or used.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.flags.contains(&"access")
    }

    /// Whether it may be changed.
    #[must_use]
    pub fn writes(&self) -> bool {
        ["insert", "update", "delete"].iter().any(|flag| self.flags.contains(flag))
    }
}

/// The keys of a command of the machine, in the order of [`key_positions`].
#[must_use]
pub fn key_accesses(spec: &Spec, args: &[&[u8]]) -> Vec<KeyAccess> {
    // ONCE has the keys of the command behind its token.
    if let ("once", Some(inner)) = (spec.name, args.get(2..)) {
        let spec = inner.first().and_then(|name| lookup(name)).filter(|inner| inner.name != "once");
        let keys = spec.map_or_else(Vec::new, |spec| key_accesses(spec, inner));
        return keys.into_iter().map(|key| KeyAccess { position: key.position + 2, ..key }).collect();
    }
    let place = catalogue::asked(args).map(|(command, subcommand)| subcommand.unwrap_or(command));
    let specs = place.map_or_else(Vec::new, |place| catalogue::all()[place].key_specs());
    let flags = |position: usize| match specs.as_slice() {
        // Nothing is known of it: it may be anything.
        [] => vec!["RW", "access", "update"],
        [only] => with_options(spec, only, args),
        // What an option names is described last.
        [.., last] => {
            let covering = specs.iter().find(|spec| covers(spec, position, args.len()));
            covering.unwrap_or(last).flags.clone()
        }
    };
    let positions = key_positions(spec, args).into_iter();
    positions.map(|position| KeyAccess { position, flags: flags(position) }).collect()
}

/// What options say more exactly.
fn with_options(spec: &Spec, keys: &KeySpec, args: &[&[u8]]) -> Vec<&'static str> {
    let has = |from: usize, words: &[&str]| {
        args.iter().skip(from).any(|arg| words.iter().any(|word| is_word(arg, word)))
    };
    match spec.name {
        "set" if !has(3, &["GET"]) => vec!["OW", "update"],
        "set" => vec!["RW", "access", "update"],
        "bitfield" if !has(2, &["SET", "INCRBY"]) => vec!["RO", "access"],
        "bitfield" => vec!["RW", "access", "update"],
        _ => keys.flags.clone(),
    }
}

/// Whether a specification that counts positions covers this one, among so many arguments.
fn covers(spec: &KeySpec, position: usize, argc: usize) -> bool {
    let (Begin::Index(first), Ok(position), Ok(argc)) =
        (spec.begin, i32::try_from(position), i32::try_from(argc))
    else {
        return false;
    };
    match spec.find {
        Find::Range(last, step, _) => {
            let last = if last < 0 { argc + last } else { first + last };
            (first..=last).contains(&position) && (position - first) % step.max(1) == 0
        }
        Find::Number(_, behind, _) => position >= first + behind,
        Find::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accesses(line: &str) -> Vec<(usize, bool, bool)> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let spec = lookup(args[0]).expect("it is one");
        let keys = key_accesses(spec, &args);
        keys.iter().map(|key| (key.position, key.reads(), key.writes())).collect()
    }

    #[test]
    fn keys_are_read_or_written_or_both() {
        for (line, expected) in [
            ("GET k", vec![(1, true, false)]),
            ("SET k v", vec![(1, false, true)]),
            ("SET k v NX GET", vec![(1, true, true)]),
            ("BITFIELD k GET u8 0", vec![(1, true, false)]),
            ("BITFIELD k GET u8 0 INCRBY u8 0 1", vec![(1, true, true)]),
            ("COPY a b", vec![(1, true, false), (2, false, true)]),
            ("ZUNIONSTORE d 2 a b", vec![(1, false, true), (3, true, false), (4, true, false)]),
            ("SORT k BY x STORE d", vec![(1, true, false), (5, false, true)]),
            ("GEORADIUS k 1 2 3 km STORE d", vec![(1, true, false), (7, false, true)]),
            ("EVAL x 1 k", vec![(3, true, true)]),
            ("ONCE t GET k", vec![(3, true, false)]),
            ("DEL a b", vec![(1, false, true), (2, false, true)]),
            ("OBJECT ENCODING k", vec![(2, false, false)]),
            ("XREAD STREAMS a b 0 0", vec![(2, true, false), (3, true, false)]),
            ("EXISTS a", vec![(1, false, false)]),
        ] {
            assert_eq!(accesses(line), expected, "{line}");
        }
    }
}
