//! Databases: what clients call by numbers, and which group holds it.
//!
//! A database has a name, numbers (`SELECT n`), and a kind of replication. It is held by one group, whose
//! state machine counts its databases from 0. [`MAIN`] is the first group: it holds the database `main`, with
//! the numbers 0 to 15, and is there from the beginning.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use onecopy_core::GroupId;
use serde::{Deserialize, Serialize};

/// The group of the database `main`.
pub const MAIN: GroupId = GroupId(1);
/// No database has a higher number.
pub const NUMBER_MAX: u16 = 16_383;
/// How many numbers a database may have: as many as a state machine has databases.
pub const NUMBERS_MAX: u8 = 16;
/// No Raft group has more copies.
const RAFT_COPIES_MAX: u32 = 5;
/// The longest name of a database, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// The name of the database that is there from the beginning.
pub const MAIN_NAME: &str = "main";

/// How a database is replicated. That is settled when it is created, and can be [switched](crate::Switch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// In views: one copy orders the requests, all copies have what is acknowledged.
    #[default]
    PrimaryBackup,
    /// With Raft: the copies elect one that orders the requests, a majority has what is acknowledged.
    Raft,
    /// Optimistically: each copy takes requests by itself, and copies that have heard of each other's updates
    /// are the same.
    Optimistic,
}

/// No database is replicated like that: nobody knows such a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of replication: choose primary-backup, raft or optimistic")]
pub struct NoKind(pub String);

impl Kind {
    /// How many copies a database of this kind gets where `usual` ones are usual: with Raft, the next odd
    /// number.
    #[must_use]
    pub fn copies(self, usual: u32) -> u32 {
        match self {
            Self::PrimaryBackup | Self::Optimistic => usual,
            Self::Raft => (usual | 1).min(RAFT_COPIES_MAX),
        }
    }

    /// Whether the view service changes the views of its groups. Those of others keep their first view, which
    /// says who has a copy.
    #[must_use]
    pub fn is_decided_by_the_view_service(self) -> bool {
        self == Self::PrimaryBackup
    }

    /// What is wrong with a database of this kind that has so many copies.
    #[must_use]
    pub fn problem_with(self, copies: u32) -> Option<&'static str> {
        match self {
            _ if copies == 0 => Some("a database has at least one copy"),
            Self::Raft if copies.is_multiple_of(2) || copies > RAFT_COPIES_MAX => Some(
                "a Raft group has 1, 3 or 5 copies: an even number survives no more failures than one less",
            ),
            Self::PrimaryBackup | Self::Raft | Self::Optimistic => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrimaryBackup => "primary-backup",
            Self::Raft => "raft",
            Self::Optimistic => "optimistic",
        })
    }
}

impl FromStr for Kind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, NoKind> {
        match text.trim() {
            "primary-backup" => Ok(Self::PrimaryBackup),
            "raft" => Ok(Self::Raft),
            "optimistic" => Ok(Self::Optimistic),
            other => Err(NoKind(other.to_owned())),
        }
    }
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Database {
    /// What people call it.
    pub name: String,
    /// The lowest of its numbers.
    pub first: u16,
    /// How many numbers it has, in a row.
    pub count: u8,
    /// How it is replicated.
    pub kind: Kind,
}

/// Text is no database: what it should look like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a database: write name:number or name:first-last, such as carts:16 or stock:17-20")]
pub struct NoDatabase(pub String);

impl Database {
    /// The one that is there from the beginning.
    #[must_use]
    pub fn main() -> Self {
        Self { name: MAIN_NAME.to_owned(), first: 0, count: NUMBERS_MAX, kind: Kind::default() }
    }

    /// Its numbers.
    #[must_use]
    pub fn numbers(&self) -> RangeInclusive<u16> {
        self.first..=self.first.saturating_add(u16::from(self.count).saturating_sub(1))
    }

    /// Which of the databases of its state machine a number is; `None` if it is not one of its numbers.
    #[must_use]
    pub fn local(&self, number: u16) -> Option<u8> {
        let local = number.checked_sub(self.first)?;
        u8::try_from(local).ok().filter(|local| *local < self.count)
    }

    /// The number by which clients call the `local` database of its state machine.
    #[must_use]
    pub fn global(&self, local: u8) -> u16 {
        self.first.saturating_add(u16::from(local))
    }

    /// What is wrong with it, if it stands beside `main`.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let is_letter =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let name = self.name.as_bytes();
        match () {
            () if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.iter().copied().all(is_letter) => {
                Some("a name has 1 to 64 small letters, digits, - and _")
            }
            () if self.name == MAIN_NAME => Some("main is there from the beginning"),
            () if self.first < u16::from(NUMBERS_MAX) => Some("the numbers 0 to 15 belong to main"),
            () if self.count == 0 || self.count > NUMBERS_MAX => Some("a database has 1 to 16 numbers"),
            () if *self.numbers().end() > NUMBER_MAX => Some("numbers go up to 16383"),
            () => None,
        }
    }

    /// Whether both cannot stand in one cluster.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        let (one, other_one) = (self.numbers(), other.numbers());
        self.name == other.name || one.start() <= other_one.end() && other_one.start() <= one.end()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{}:{}", self.name, self.first),
            _ => write!(f, "{}:{}-{}", self.name, self.first, self.numbers().end()),
        }
    }
}

impl FromStr for Database {
    type Err = NoDatabase;

    fn from_str(text: &str) -> Result<Self, NoDatabase> {
        let parse = || {
            let (name, numbers) = text.trim().split_once(':')?;
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            let count = u8::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?;
            Some(Self { name: name.to_owned(), first, count, kind: Kind::default() })
        };
        parse().ok_or_else(|| NoDatabase(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(text: &str) -> Database {
        text.parse().expect("it is one")
    }

    #[test]
    fn text_is_read_as_it_is_written() {
        for text in ["carts:16", "stock:17-20", "a-b_3:16383"] {
            let database = database(text);
            assert_eq!((database.to_string().as_str(), database.problem()), (text, None));
        }
        for text in ["carts", "carts:", "carts:x", "carts:20-17", "carts:1-70000", "carts:0-4000"] {
            assert!(text.parse::<Database>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_stand_beside_main_has_a_problem() {
        for text in ["main:16", "carts:15", "carts:0-20", "carts:16-40", "carts:16384", ":16", "Carts:16"] {
            assert!(database(text).problem().is_some(), "{text}");
        }
    }

    #[test]
    fn numbers_are_counted_from_zero_in_the_state_machine() {
        let stock = database("stock:17-20");
        assert_eq!([16, 17, 20, 21].map(|number| stock.local(number)), [None, Some(0), Some(3), None]);
        assert_eq!(stock.global(3), 20);
        assert_eq!(Database::main().local(15), Some(15));
    }

    #[test]
    fn names_and_numbers_belong_to_one_database() {
        let stock = database("stock:17-20");
        assert!(stock.collides(&database("stock:30")) && stock.collides(&database("carts:20-22")));
        assert!(!stock.collides(&database("carts:16")) && !stock.collides(&database("carts:21")));
    }
}
