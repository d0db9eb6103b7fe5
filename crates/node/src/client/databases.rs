//! Commands that name databases by their numbers. To a state machine they are its own databases, counted from
//! 0. What would reach into another one is refused, unless the connection carries it there
//! (`connection/beyond.rs`).

use std::sync::Arc;

use onecopy_core::GroupId;
use onecopy_keyspace::command;
use onecopy_resp::Request;
use onecopy_views::{Database, MAIN, Table};

use super::commands::parse;
use super::front::Front;
use crate::knowledge::Knowledge;

pub(super) const OUT_OF_RANGE: &str = "ERR DB index is out of range";

/// There may be such a database: a client had better ask again than believe that there is none.
const LOADING: &str = "LOADING this node was just started, and knows no database with that number yet";

/// The databases that there are, as far as this node knows.
#[derive(Debug)]
pub(crate) struct Databases {
    pub(crate) table: Arc<Table>,
    /// The table is not from before the start of this node.
    is_current: bool,
    /// The name of the only one that is seen, if one is. Its numbers count from 0.
    only: Option<String>,
}

impl Databases {
    /// Those that clients see who called there.
    pub(crate) fn behind(front: &Front, knowledge: &Knowledge) -> Self {
        let table = knowledge.table();
        let only = front.shows_one_database().then(|| front.database.clone());
        Self { is_current: knowledge.is_known_in(&table), table, only }
    }

    /// Whether there are several.
    pub(crate) fn shows_several(&self) -> bool {
        self.only.is_none() && self.table.databases().count() > 1
    }

    /// The number by which clients call a database of a group; `None` if they do not see it.
    pub(crate) fn number(&self, group: GroupId, local: u8) -> Option<u16> {
        let database = self.table.database(group)?;
        match &self.only {
            None => Some(database.global(local)),
            Some(name) => (database.name == *name).then(|| local.into()),
        }
    }

    /// Which group holds the database with this number, and as what.
    fn locate(&self, number: u16) -> Result<(GroupId, u8), &'static str> {
        let missing = if self.is_current { OUT_OF_RANGE } else { LOADING };
        let Some(name) = &self.only else { return self.table.locate(number).ok_or(missing) };
        let mut databases = self.table.databases();
        let (group, database) = databases.find(|(_, known)| known.name == *name).ok_or(missing)?;
        let local = u8::try_from(number).ok().filter(|local| *local < database.count);
        local.map(|local| (group, local)).ok_or(OUT_OF_RANGE)
    }
}

/// The database that a client has selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    /// As the client calls it.
    pub(crate) number: u16,
    /// Which group holds it.
    pub(crate) group: GroupId,
    /// As the state machine of that group calls it.
    pub(crate) local: u8,
}

impl Selected {
    /// The first number of `main`.
    pub(crate) const MAIN: Self = Self { number: 0, group: MAIN, local: 0 };

    /// What a client has selected that has selected nothing.
    ///
    /// # Errors
    /// It sees one database alone, which is not there, or not known yet.
    pub(crate) fn first(databases: &Databases) -> Result<Self, &'static str> {
        let (group, local) = databases.locate(0)?;
        Ok(Self { number: 0, group, local })
    }

    /// The database with this number.
    ///
    /// # Errors
    /// There is none, or this node knows of none yet.
    pub(crate) fn find(number: &[u8], databases: &Databases) -> Result<Self, &'static str> {
        let number = parse::<i64>(number).ok_or("ERR value is not an integer or out of range")?;
        let number = u16::try_from(number).map_err(|_| OUT_OF_RANGE)?;
        let (group, local) = databases.locate(number)?;
        Ok(Self { number, group, local })
    }
}

/// A command, with the numbers of databases in it as the state machine of the selected one calls them. `None`
/// if it can go there as it is.
///
/// # Errors
/// It would reach into a database that another group holds.
pub(crate) fn localised(
    name: &str,
    request: &Request<'_>,
    selected: Selected,
    databases: &Databases,
) -> Result<Option<Vec<Vec<u8>>>, String> {
    // What stands behind a token is a command as well.
    let begin = if name == "once" { 2 } else { 0 };
    let Some(inner) = request.get(begin).and_then(command::lookup) else { return Ok(None) };
    let (name, places) = match inner.name {
        "move" => ("move", begin + 2..begin + 3),
        "swapdb" => ("swapdb", begin + 1..begin + 3),
        "copy" => ("copy", begin + 3..request.len()),
        _ => return Ok(None),
    };
    let is_number = |place: usize| name != "copy" || is_word(request.get(place - 1), b"db");
    let mut args: Option<Vec<Vec<u8>>> = None;
    for place in places.filter(|place| is_number(*place)) {
        // What is no number is for the state machine to complain about.
        let Some(number) = request.get(place).and_then(parse::<u16>) else { continue };
        match databases.locate(number)? {
            (MAIN, _) if selected.group == MAIN => {}
            (group, local) if group == selected.group && u16::from(local) != number => {
                let args = args.get_or_insert_with(|| request.iter().map(<[u8]>::to_vec).collect());
                args[place] = local.to_string().into_bytes();
            }
            (group, _) if group == selected.group => {}
            (other, _) => return Err(spans(name, number, selected, other, &databases.table)),
        }
    }
    Ok(args)
}

/// Which database a command names that another group holds than the selected one, if it does.
pub(crate) fn beyond(
    name: &str,
    request: &Request<'_>,
    selected: Selected,
    databases: &Databases,
) -> Option<Selected> {
    let number = match name {
        "move" => request.get(2),
        // As in Redis, the last one counts.
        "copy" => (4..request.len())
            .rev()
            .find(|place| is_word(request.get(place - 1), b"db"))
            .and_then(|place| request.get(place)),
        _ => None,
    };
    let named = Selected::find(number?, databases).ok()?;
    (named.group != selected.group).then_some(named)
}

/// Whether a command may name databases: by itself, or behind a token.
pub(crate) fn names_databases(name: &str, request: &Request<'_>) -> bool {
    let inner =
        if name == "once" { request.get(2).and_then(command::lookup).map(|spec| spec.name) } else { None };
    matches!(inner.unwrap_or(name), "move" | "copy" | "swapdb")
}

/// What is said of something that would reach from the selected database into another one, which has this
/// number.
pub(super) fn spans(name: &str, number: u16, selected: Selected, other: GroupId, table: &Table) -> String {
    let called =
        |group| table.database(group).map_or_else(|| "another".to_owned(), |known: Database| known.name);
    format!(
        "ERR {} cannot span databases: the selected number {} belongs to the database {}, and {number} to {}",
        name.to_uppercase(),
        selected.number,
        called(selected.group),
        called(other)
    )
}

fn is_word(word: Option<&[u8]>, name: &[u8]) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use onecopy_core::{BootNumber, Incarnation, Member, NodeId, Rules};
    use onecopy_resp::{Limits, Parser};
    use onecopy_views::Command;

    use super::*;

    const STOCK: GroupId = GroupId(2);

    /// `main`, and `stock` with the numbers 17 to 20.
    fn databases() -> Databases {
        let (copies, boot, primary) = (1, BootNumber(1), NodeId(1));
        let members = vec![Member { node: primary, incarnation: Incarnation(1) }];
        let main = Command::CreateGroup { group: MAIN, copies, members: members.clone(), primary, boot };
        let database = "stock:17-20".parse().expect("it is one");
        let stock = Command::CreateDatabase { group: STOCK, database, copies, members, primary, boot };
        let mut table = Table::default();
        [main, stock].iter().for_each(|command| table.apply(command, Rules::default()).expect("it fits"));
        Databases { table: Arc::new(table), is_current: true, only: None }
    }

    /// What becomes of a command of a client that has selected this number.
    fn sent(number: &str, line: &str) -> Result<Option<String>, String> {
        let selected = Selected::find(number.as_bytes(), &databases()).expect("it is there");
        let mut input = BytesMut::from(format!("{line}\r\n").as_bytes());
        let mut parser = Parser::new(Limits::default());
        let request = parser.next(&mut input).expect("it is a command").expect("it is whole");
        let name = line.split(' ').next().unwrap_or_default().to_lowercase();
        let args = localised(&name, &request, selected, &databases())?;
        Ok(args.map(|args| String::from_utf8(args.join(&b' ')).expect("text")))
    }

    #[test]
    fn numbers_select_databases_of_groups() {
        let find = |number: &str| Selected::find(number.as_bytes(), &databases());
        assert_eq!(find("15"), Ok(Selected { number: 15, group: MAIN, local: 15 }));
        assert_eq!(find("18"), Ok(Selected { number: 18, group: STOCK, local: 1 }));
        for number in ["16", "21", "-1", "70000"] {
            assert_eq!(find(number), Err(OUT_OF_RANGE));
        }
        let after_start = Databases { is_current: false, ..databases() };
        assert!(Selected::find(b"15", &after_start).is_ok());
        assert_eq!(Selected::find(b"16", &after_start), Err(LOADING));
        let only = Databases { only: Some("stock".to_owned()), ..databases() };
        assert_eq!(Selected::find(b"3", &only), Ok(Selected { number: 3, group: STOCK, local: 3 }));
        assert_eq!(Selected::first(&only), Ok(Selected { number: 0, group: STOCK, local: 0 }));
        assert_eq!(Selected::first(&databases()), Ok(Selected::MAIN));
        let missing = Databases { only: Some("carts".to_owned()), ..databases() };
        assert_eq!(Selected::first(&missing), Err(OUT_OF_RANGE));
        assert_eq!(Selected::find(b"4", &only), Err(OUT_OF_RANGE));
        assert_eq!((only.shows_several(), databases().shows_several()), (false, true));
        assert_eq!([only.number(STOCK, 2), only.number(MAIN, 2)], [Some(2), None]);
        assert_eq!(databases().number(STOCK, 2), Some(19));
        assert!(find("x").is_err_and(|error| error.contains("integer")));
    }

    #[test]
    fn within_a_group_numbers_are_those_of_its_state_machine() {
        assert_eq!(sent("0", "MOVE key 5"), Ok(None));
        assert_eq!(sent("17", "MOVE key 20"), Ok(Some("MOVE key 3".to_owned())));
        assert_eq!(sent("18", "SWAPDB 17 19"), Ok(Some("SWAPDB 0 2".to_owned())));
        assert_eq!(sent("18", "COPY db b REPLACE DB 17"), Ok(Some("COPY db b REPLACE DB 0".to_owned())));
        assert_eq!(sent("18", "COPY 17 20"), Ok(None), "these are keys");
        let sent_once = sent("18", "ONCE 17 COPY a b DB 17");
        assert_eq!(sent_once, Ok(Some("ONCE 17 COPY a b DB 0".to_owned())), "behind a token");
        assert_eq!(sent("0", "MOVE key nowhere"), Ok(None), "the state machine says what is wrong");
    }

    #[test]
    fn what_would_span_groups_is_refused() {
        for (number, line) in [("0", "MOVE key 17"), ("17", "SWAPDB 17 0"), ("20", "COPY a b DB 3")] {
            let error = sent(number, line).expect_err("it is refused");
            assert!(error.contains("cannot span databases") && error.contains("stock"), "{error}");
        }
        assert_eq!(sent("0", "MOVE key 16"), Err(OUT_OF_RANGE.to_owned()));
        let error = sent("0", "ONCE token MOVE key 17").expect_err("it is refused");
        assert!(error.contains("MOVE cannot span databases"), "{error}");
    }

    #[test]
    fn what_reaches_beyond_a_group_is_known() {
        let named = |number: &str, line: &str| {
            let selected = Selected::find(number.as_bytes(), &databases()).expect("it is there");
            let mut input = BytesMut::from(format!("{line}\r\n").as_bytes());
            let mut parser = Parser::new(Limits::default());
            let request = parser.next(&mut input).expect("it is a command").expect("it is whole");
            let name = line.split(' ').next().unwrap_or_default().to_lowercase();
            beyond(&name, &request, selected, &databases()).map(|found| (found.group, found.local))
        };
        assert_eq!(named("0", "MOVE key 18"), Some((STOCK, 1)));
        assert_eq!(named("17", "COPY a b REPLACE DB 3"), Some((MAIN, 3)));
        assert_eq!(named("17", "COPY a b DB 3 DB 18"), None, "the last one counts");
        for (number, line) in
            [("0", "MOVE key 5"), ("0", "MOVE key 16"), ("0", "COPY db 17"), ("0", "SWAPDB 0 17")]
        {
            assert_eq!(named(number, line), None, "{line}");
        }
    }
}
