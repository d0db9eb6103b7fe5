//! A database as people ask for it: with its kind of replication, and how many copies it gets.

use std::fmt;
use std::str::FromStr;

use crate::database::{Database, Kind, NoKind};

/// A database that is to be created.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewDatabase {
    /// What it is.
    pub database: Database,
    /// How many copies it gets; [as many as suit its kind](Kind::copies) if nobody says.
    pub copies: Option<u32>,
}

/// Text is no database that can be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNewDatabase {
    /// It does not look like one.
    #[error(
        "{0:?} is not a database: write name:number or name:first-last, and after that, if you like, :kind or :kind:copies, such \
         as carts:16, stock:17-20:raft or locks:21:raft:5"
    )]
    Text(String),
    /// Nothing is replicated like that.
    #[error(transparent)]
    Kind(#[from] NoKind),
}

impl NewDatabase {
    /// What is wrong with it, if it stands beside `main`.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let kind = self.database.kind;
        self.database.problem().or_else(|| kind.problem_with(self.copies?))
    }
}

impl fmt::Display for NewDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, copies } = self;
        write!(f, "{database}")?;
        match copies {
            Some(copies) => write!(f, ":{}:{copies}", database.kind),
            None if database.kind == Kind::default() => Ok(()),
            None => write!(f, ":{}", database.kind),
        }
    }
}

impl FromStr for NewDatabase {
    type Err = NoNewDatabase;

    fn from_str(text: &str) -> Result<Self, NoNewDatabase> {
        let nonsense = || NoNewDatabase::Text(text.to_owned());
        let mut parts = text.trim().split(':');
        let (name, numbers) = parts.next().zip(parts.next()).ok_or_else(nonsense)?;
        let database: Database = format!("{name}:{numbers}").parse().map_err(|_| nonsense())?;
        let kind = parts.next().map_or(Ok(Kind::default()), str::parse)?;
        let copies = parts.next().map(|copies| copies.trim().parse().map_err(|_| nonsense()));
        match (copies.transpose()?, parts.next()) {
            (copies, None) => Ok(Self { database: Database { kind, ..database }, copies }),
            (_, Some(_)) => Err(nonsense()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_is_written() {
        for text in
            ["carts:16", "stock:17-20:raft", "locks:21:raft:5", "a:22:primary-backup:3", "b:23:optimistic"]
        {
            let database: NewDatabase = text.parse().expect("it is one");
            assert_eq!((database.to_string().as_str(), database.problem()), (text, None));
        }
        for text in ["carts", "carts:16:raft:x", "carts:16:raft:3:4", "carts:x:raft"] {
            assert_eq!(text.parse::<NewDatabase>(), Err(NoNewDatabase::Text(text.to_owned())));
        }
    }

    #[test]
    fn kinds_that_there_are_not_are_refused_with_a_reason() {
        for text in ["carts:16:paxos", "carts:16::3"] {
            let refused = text.parse::<NewDatabase>();
            assert!(matches!(refused, Err(NoNewDatabase::Kind(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_raft_group_has_an_odd_number_of_copies() {
        let problem =
            |copies| format!("carts:16:raft:{copies}").parse::<NewDatabase>().expect("one").problem();
        let right: Vec<u32> = (0..=7).filter(|copies| problem(*copies).is_none()).collect();
        assert_eq!(right, [1, 3, 5]);
    }
}
