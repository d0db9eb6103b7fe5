//! The first line of a library: the engine that runs it, and its name.
//!
//! It is read by other rules than that of a script ([`Header`](crate::Header)): words may be quoted, the
//! engine is named in letters of any case, and there are no flags, since each function has its own.

use std::fmt;

use crate::environment::is_name;

/// What a library says of itself in its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryHeader {
    /// What it is called.
    pub name: Vec<u8>,
    /// How many bytes the line has, without its end. The rest is Lua.
    pub length: usize,
}

/// A first line that no library has. Displayed as Redis says it, without what is said of errors in general.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibraryError {
    /// It is none: it does not begin with `#!`.
    Missing,
    /// It does not end, or its quotes do not match.
    Malformed,
    /// It says its name twice.
    NamedTwice,
    /// It says what no library says.
    Unknown(String),
    /// It does not say its name.
    Nameless,
    /// Its name has characters that no name has.
    Name,
    /// There is no such engine.
    Engine(String),
}

/// What is said of a name, of a library and of a function alike.
pub(crate) const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be \
                                   at least one character long";

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing library metadata"),
            Self::Malformed => f.write_str("Invalid library metadata"),
            Self::NamedTwice => f.write_str("Invalid metadata value, name argument was given multiple times"),
            Self::Unknown(word) => write!(f, "Invalid metadata value given: {word}"),
            Self::Nameless => f.write_str("Library name was not given"),
            Self::Name => f.write_str(BAD_NAME),
            Self::Engine(engine) => write!(f, "Engine '{engine}' not found"),
        }
    }
}

impl LibraryHeader {
    /// Takes the first line of a library apart.
    ///
    /// # Errors
    /// When it is not that of a library.
    pub fn of(library: &[u8]) -> Result<Self, LibraryError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = library.strip_prefix(b"#!").ok_or(LibraryError::Missing)?;
        let end = line.iter().position(|byte| *byte == b'\n').ok_or(LibraryError::Malformed)?;
        // A space before the engine is a word without letters, as in Redis.
        let spaced = line.first().is_some_and(u8::is_ascii_whitespace);
        let words = onecopy_resp::words(&line[..end]).ok_or(LibraryError::Malformed)?;
        let mut words = words.iter().map(Vec::as_slice);
        let engine = if spaced { &[][..] } else { words.next().unwrap_or_default() };
        let mut name = None;
        for word in words {
            match word.strip_prefix(b"name=") {
                Some(_) if name.is_some() => return Err(LibraryError::NamedTwice),
                Some(given) => name = Some(given.to_vec()),
                None => return Err(LibraryError::Unknown(text(word))),
            }
        }
        let name = name.ok_or(LibraryError::Nameless)?;
        if !is_name(&name) {
            return Err(LibraryError::Name);
        }
        if !engine.eq_ignore_ascii_case(b"lua") {
            return Err(LibraryError::Engine(text(engine)));
        }
        Ok(Self { name, length: "#!".len() + end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str) -> Result<String, String> {
        let header = LibraryHeader::of(format!("{line}\nreturn").as_bytes());
        header.map(|header| String::from_utf8(header.name).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_library_says_its_engine_and_its_name() {
        for line in ["#!lua name=x", "#!LUA name=x", "#!lua \"name=x\"", "#!lua  'name=x' "] {
            assert_eq!(name(line).as_deref(), Ok("x"), "{line}");
        }
        assert_eq!(LibraryHeader::of(b"#!lua name=x\nreturn").unwrap().length, 12);
    }

    #[test]
    fn a_first_line_that_no_library_has_is_an_error() {
        for (line, error) in [
            ("name=x", "Missing library metadata"),
            ("#!lua name=\"x", "Invalid library metadata"),
            ("#!lua name=x name=y", "Invalid metadata value, name argument was given multiple times"),
            ("#!lua name=x flags=y", "Invalid metadata value given: flags=y"),
            ("#!lua", "Library name was not given"),
            ("#!lua name=x-y", BAD_NAME),
            ("#!lua name=", BAD_NAME),
            ("#!js name=x", "Engine 'js' not found"),
            ("#! name=x", "Engine '' not found"),
        ] {
            assert_eq!(name(line), Err(error.into()), "{line}");
        }
        assert_eq!(LibraryHeader::of(b"#!lua name=x"), Err(LibraryError::Malformed));
    }
}
