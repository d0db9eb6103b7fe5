//! The first line of a script, if it begins with `#!`: the engine, and flags.

use std::fmt;

/// What a script says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// It says something at all. If not, it may write, and commands that need memory are refused one by one.
    pub are_declared: bool,
    /// It does not write (`no-writes`).
    pub no_writes: bool,
    /// It may be executed while memory is full (`allow-oom`).
    pub allow_oom: bool,
    /// It may read while data is stale (`allow-stale`). No data is stale here.
    pub allow_stale: bool,
    /// It is not for clusters (`no-cluster`).
    pub no_cluster: bool,
    /// It may use keys of several slots (`allow-cross-slot-keys`).
    pub allow_cross_slot_keys: bool,
}

impl Flags {
    /// The flag with this name.
    pub fn named(&mut self, name: &[u8]) -> Option<&mut bool> {
        match name {
            b"no-writes" => Some(&mut self.no_writes),
            b"allow-oom" => Some(&mut self.allow_oom),
            b"allow-stale" => Some(&mut self.allow_stale),
            b"no-cluster" => Some(&mut self.no_cluster),
            b"allow-cross-slot-keys" => Some(&mut self.allow_cross_slot_keys),
            _ => None,
        }
    }

    /// All of them in a byte, for those who keep them.
    #[must_use]
    pub fn bits(self) -> u8 {
        let flags = [
            self.are_declared,
            self.no_writes,
            self.allow_oom,
            self.allow_stale,
            self.no_cluster,
            self.allow_cross_slot_keys,
        ];
        flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag))
    }

    /// The same from a byte, if all that are set in it are known.
    #[must_use]
    pub fn of_bits(bits: u8) -> Option<Self> {
        let is_set = |bit: u32| bits >> bit & 1 == 1;
        let flags = Self {
            are_declared: is_set(0),
            no_writes: is_set(1),
            allow_oom: is_set(2),
            allow_stale: is_set(3),
            no_cluster: is_set(4),
            allow_cross_slot_keys: is_set(5),
        };
        (flags.bits() == bits).then_some(flags)
    }

    /// The names of those that are set.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (self.no_writes, "no-writes"),
            (self.allow_oom, "allow-oom"),
            (self.allow_stale, "allow-stale"),
            (self.no_cluster, "no-cluster"),
            (self.allow_cross_slot_keys, "allow-cross-slot-keys"),
        ];
        all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name).collect()
    }
}

/// The first line, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// What it says with `flags=`.
    pub flags: Flags,
    /// How many bytes it has, without the end of the line. The rest is Lua.
    pub length: usize,
}

/// A first line that makes no sense. Displayed as Redis says it, without what is said of errors in general.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// It does not end.
    Endless,
    /// There is no such engine.
    Engine(String),
    /// There is no such option.
    Option(String),
    /// There is no such flag.
    Flag(String),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endless => f.write_str("Invalid script shebang"),
            Self::Engine(engine) => write!(f, "Unexpected engine in script shebang: {engine}"),
            Self::Option(option) => write!(f, "Unknown lua shebang option: {option}"),
            Self::Flag(flag) => write!(f, "Unexpected flag in script shebang: {flag}"),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Header {
    /// Takes the first line of a text apart.
    ///
    /// # Errors
    /// When it begins as such a line, and makes no sense.
    pub fn of(script: &[u8]) -> Result<Self, HeaderError> {
        if !script.starts_with(b"#!") {
            return Ok(Self::default());
        }
        let length = script.iter().position(|byte| *byte == b'\n').ok_or(HeaderError::Endless)?;
        let mut words = script[..length].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let engine = words.next().unwrap_or_default();
        if engine != b"#!lua" {
            return Err(HeaderError::Engine(text(engine)));
        }
        let flags = Flags { are_declared: true, ..Flags::default() };
        let mut header = Self { flags, length };
        for word in words {
            if let Some(flags) = word.strip_prefix(b"flags=") {
                for flag in flags.split(|byte| *byte == b',').filter(|flag| !flag.is_empty()) {
                    let known = header.flags.named(flag).ok_or_else(|| HeaderError::Flag(text(flag)))?;
                    *known = true;
                }
            } else {
                return Err(HeaderError::Option(text(word)));
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_says_flags() {
        let header = Header::of(b"#!lua flags=no-writes,allow-oom\nreturn 1").unwrap();
        assert!(header.flags.no_writes && header.flags.allow_oom && header.flags.are_declared);
        assert_eq!(header.length, 31);
        assert_eq!(header.flags.names(), ["no-writes", "allow-oom"]);
        assert_eq!(Header::of(b"return 1"), Ok(Header::default()));
    }

    #[test]
    fn a_first_line_without_sense_is_an_error() {
        let error = |script: &str| Header::of(script.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("#!lua"), "Invalid script shebang");
        assert_eq!(error("#!luaa\n"), "Unexpected engine in script shebang: #!luaa");
        assert_eq!(error("#!lua x=1\n"), "Unknown lua shebang option: x=1");
        assert_eq!(error("#!lua flags=foo\n"), "Unexpected flag in script shebang: foo");
    }
}
