//! The options of `COPY`, and the numbers of databases.

use crate::error::CommandError;
use crate::machine::DATABASES;
use crate::number::{integer, is_word};

/// The options of `COPY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `DB`: the database of the copy, if it is not that of the original.
    pub db: Option<u8>,
    /// `REPLACE`: whatever is there makes room for the copy.
    pub replace: bool,
}

impl CopyOptions {
    /// Parses what follows both keys.
    ///
    /// # Errors
    /// If an option is unknown, or there is no such database.
    pub fn parse(args: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            if is_word(option, "REPLACE") {
                options.replace = true;
            } else if is_word(option, "DB")
                && let Some(number) = rest.next()
            {
                options.db = Some(database_number(number)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// The number of a database.
///
/// # Errors
/// If it is none.
pub fn database_number(arg: &[u8]) -> Result<u8, CommandError> {
    let number = i32::try_from(integer(arg)?).map_err(|_| {
        CommandError::Other("ERR value is out of range, value must between -2147483648 and 2147483647")
    })?;
    let number = u8::try_from(number).ok().filter(|number| *number < DATABASES);
    number.ok_or(CommandError::DatabaseOutOfRange)
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;

    #[test]
    fn options_come_in_any_order() {
        let parse = |text| CopyOptions::parse(&split(text));
        assert_eq!(parse(""), Ok(CopyOptions::default()));
        assert_eq!(parse("replace DB 3"), Ok(CopyOptions { db: Some(3), replace: true }));
        assert_eq!(parse("db 3 DB 4"), Ok(CopyOptions { db: Some(4), replace: false }));
        for text in ["DB", "REPLACE 1", "TO 3"] {
            assert_eq!(parse(text), Err(CommandError::Syntax), "{text}");
        }
    }

    #[test]
    fn databases_are_few() {
        assert_eq!(database_number(b"15"), Ok(15));
        for text in ["16", "-1", "2147483647"] {
            assert_eq!(database_number(text.as_bytes()), Err(CommandError::DatabaseOutOfRange), "{text}");
        }
        assert!(matches!(database_number(b"2147483648"), Err(CommandError::Other(_))));
        assert_eq!(database_number(b"x"), Err(CommandError::NotInteger));
    }
}
