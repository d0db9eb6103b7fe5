//! `DATABASE`: the databases of the cluster, for operators who have a client of Redis at hand. `onecopy
//! database` is the same.

use onecopy_core::GroupId;
use onecopy_resp::Writer;
use onecopy_views::{Database, Table};

use super::{SYNTAX, help, lower, misfit, parse};
use crate::client::Clients;
use crate::client::failover::outcome;
use crate::operation::Operation;

/// `DATABASE LIST|SHOW|HELP`. `CREATE`, `SET` and `DROP` take their time.
pub(super) fn database(clients: &Clients, args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let table = clients.knowledge.table();
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"list", []) => {
            let databases: Vec<_> = table.databases().collect();
            reply.array(databases.len());
            databases.iter().for_each(|(id, database)| show(*id, database, &table, reply));
        }
        (b"show", [name]) => {
            let found = table.databases().find(|(_, database)| database.name.as_bytes() == *name);
            let (id, database) = found
                .ok_or_else(|| format!("ERR there is no database '{}'", String::from_utf8_lossy(name)))?;
            show(id, &database, &table, reply);
        }
        (b"help", []) => help::reply(help::DATABASE, reply),
        _ => return misfit("DATABASE", args),
    }
    Ok(())
}

fn show(id: GroupId, database: &Database, table: &Table, reply: &mut Writer<'_>) {
    let (first, last) = database.numbers().into_inner();
    let numbers = if first == last { first.to_string() } else { format!("{first}-{last}") };
    let options = table.options(id);
    let reads = if options.confirms_reads { "confirm" } else { "lease" };
    let texts = [
        ("name", database.name.clone()),
        ("numbers", numbers),
        ("replication", database.kind.to_string()),
        ("reads", reads.to_owned()),
    ];
    let group = table.groups().get(&id);
    // Where they are to be: who leads a Raft group decides when they are there.
    let members = table.roster(id).map(|roster| roster.members);
    let members = members.or_else(|| group.map(|group| group.view.members.clone()));
    let members = members.map(|members| members.iter().map(|member| member.node.0).collect::<Vec<_>>());
    reply.map(texts.len() + 5);
    for (name, text) in texts {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    reply.bulk(b"group");
    reply.integer(id.0.into());
    reply.bulk(b"copies");
    reply.integer(group.map_or(0, |group| group.copies.into()));
    reply.bulk(b"min-copies");
    reply.integer(options.min_copies.map_or(0, Into::into));
    reply.bulk(b"copies-before-ok");
    // In the others it has no meaning: a write is answered when all, or a majority, have it.
    let is_optimistic = database.kind == onecopy_views::Kind::Optimistic;
    reply.integer(if is_optimistic { table.copies_before_ok(id).into() } else { 0 });
    reply.bulk(b"members");
    let members = members.unwrap_or_default();
    reply.array(members.len());
    members.into_iter().for_each(|node| reply.integer(node.into()));
}

/// `DATABASE CREATE name numbers [REPLICATION kind] [COPIES n]`, `DATABASE SET name [COPIES n] [MIN-COPIES n]
/// [READS lease|confirm]`, `DATABASE SET name REPLICATION kind`, `DATABASE SET name COPIES-BEFORE-OK n`,
/// `DATABASE DROP name name`:
/// answered when it has happened.
pub(in crate::client) async fn change_databases(clients: &Clients, args: &[&[u8]]) -> Result<(), String> {
    outcome(clients.operators.ask(change(args)?).await)
}

fn change(args: &[&[u8]]) -> Result<Operation, String> {
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let copies = |word: &[u8]| parse::<u32>(word).ok_or("ERR the number of copies is no number");
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"create", [name, numbers, options @ ..]) => {
            let (mut replication, mut wanted) = (None, None);
            for pair in options.chunks(2) {
                match (lower(pair.first()).as_slice(), pair.get(1)) {
                    (b"replication", Some(kind)) => replication = Some(text(kind).to_lowercase()),
                    (b"copies", Some(number)) => wanted = Some(copies(number)?),
                    _ => return Err(SYNTAX.to_owned()),
                }
            }
            let (name, numbers) = (text(name), text(numbers));
            Ok(Operation::CreateDatabase { name, numbers, replication, copies: wanted })
        }
        (b"drop", [name, again]) => Ok(Operation::DropDatabase { name: text(name), again: text(again) }),
        (b"move", [name, nodes @ ..]) if !nodes.is_empty() => {
            let node = |word: &&[u8]| parse::<u32>(word).ok_or("ERR the number of a node is no number");
            // `DATABASE MOVE carts ANY`: wherever there is room.
            let nodes = match nodes {
                [any] if any.eq_ignore_ascii_case(b"any") => Vec::new(),
                nodes => nodes.iter().map(node).collect::<Result<_, _>>()?,
            };
            let (copies, min_copies, reads) = (None, None, None);
            Ok(Operation::SetDatabase { name: text(name), copies, min_copies, reads, nodes: Some(nodes) })
        }
        (b"set", [name, what, kind]) if what.eq_ignore_ascii_case(b"replication") => {
            let replication = text(kind).to_lowercase();
            Ok(Operation::SwitchDatabase { name: text(name), replication })
        }
        (b"set", [name, what, number]) if what.eq_ignore_ascii_case(b"copies-before-ok") => {
            Ok(Operation::SetCopiesBeforeOk { name: text(name), copies: copies(number)? })
        }
        (b"set", [name, options @ ..]) if !options.is_empty() => {
            let (mut wanted, mut min_copies, mut reads) = (None, None, None);
            for pair in options.chunks(2) {
                match (lower(pair.first()).as_slice(), pair.get(1)) {
                    (b"copies", Some(number)) => wanted = Some(copies(number)?),
                    (b"min-copies", Some(number)) => min_copies = Some(copies(number)?),
                    (b"reads", Some(how)) => reads = Some(text(how).to_lowercase()),
                    _ => return Err(SYNTAX.to_owned()),
                }
            }
            Ok(Operation::SetDatabase { name: text(name), copies: wanted, min_copies, reads, nodes: None })
        }
        _ => Err(SYNTAX.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<Operation, String> {
        change(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_to_change_is_said_in_words() {
        let (name, numbers) = ("carts".to_owned(), "16-19".to_owned());
        let created = Operation::CreateDatabase {
            name: name.clone(),
            numbers,
            replication: Some("raft".to_owned()),
            copies: Some(3),
        };
        assert_eq!(said("Create carts 16-19 copies 3 REPLICATION Raft"), Ok(created));
        let (copies, min_copies, reads) = (Some(2), None, None);
        let set = Operation::SetDatabase { name: name.clone(), copies, min_copies, reads, nodes: None };
        assert_eq!(said("SET carts copies 2"), Ok(set));
        let (copies, min_copies, reads) = (None, Some(2), Some("confirm".to_owned()));
        let set = Operation::SetDatabase { name: name.clone(), copies, min_copies, reads, nodes: None };
        assert_eq!(said("SET carts READS confirm MIN-COPIES 2"), Ok(set));
        for (line, nodes) in [("MOVE carts 1 4", vec![1, 4]), ("move carts any", vec![])] {
            let (name, nodes) = (name.clone(), Some(nodes));
            let moved = Operation::SetDatabase { name, copies: None, min_copies: None, reads: None, nodes };
            assert_eq!(said(line), Ok(moved));
        }
        let switched = Operation::SwitchDatabase { name: name.clone(), replication: "raft".to_owned() };
        assert_eq!(said("SET carts replication Raft"), Ok(switched));
        let (name, again) = ("carts".to_owned(), "cart".to_owned());
        assert_eq!(said("drop carts cart"), Ok(Operation::DropDatabase { name, again }));
        let (name, copies) = ("carts".to_owned(), 2);
        assert_eq!(said("SET carts copies-before-ok 2"), Ok(Operation::SetCopiesBeforeOk { name, copies }));
        for line in [
            "SET carts COPIES-BEFORE-OK x",
            "DROP carts",
            "CREATE carts",
            "CREATE carts 16 COPIES",
            "CREATE carts 16 SHARDS 3",
            "SET carts 3",
            "SET a COPIES x",
        ] {
            assert!(said(line).is_err(), "{line}");
        }
    }
}
