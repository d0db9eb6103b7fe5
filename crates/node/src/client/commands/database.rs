//! `DATABASE`: the databases of the cluster, for operators who have a client of Redis at hand. `onecopy
//! database` is the same.

use onecopy_core::GroupId;
use onecopy_resp::Writer;
use onecopy_views::{Database, Group};

use super::{SYNTAX, help, lower, misfit, parse};
use crate::client::Clients;
use crate::client::failover::outcome;
use crate::operation::Operation;

/// `DATABASE LIST|SHOW|HELP`. `CREATE` and `SET` take their time.
pub(super) fn database(clients: &Clients, args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let table = clients.knowledge.table();
    let known = |id: GroupId| table.groups().get(&id);
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"list", []) => {
            let databases: Vec<_> = table.databases().collect();
            reply.array(databases.len());
            databases.iter().for_each(|(id, database)| show(*id, database, known(*id), reply));
        }
        (b"show", [name]) => {
            let found = table.databases().find(|(_, database)| database.name.as_bytes() == *name);
            let (id, database) = found
                .ok_or_else(|| format!("ERR there is no database '{}'", String::from_utf8_lossy(name)))?;
            show(id, &database, known(id), reply);
        }
        (b"help", []) => help::reply(help::DATABASE, reply),
        _ => return misfit("DATABASE", args),
    }
    Ok(())
}

fn show(id: GroupId, database: &Database, group: Option<&Group>, reply: &mut Writer<'_>) {
    let (first, last) = database.numbers().into_inner();
    let numbers = if first == last { first.to_string() } else { format!("{first}-{last}") };
    let texts =
        [("name", database.name.clone()), ("numbers", numbers), ("replication", database.kind.to_string())];
    let view = group.map(|group| &group.view);
    let members = view.map(|view| view.members.iter().map(|member| member.node.0).collect::<Vec<_>>());
    reply.map(texts.len() + 3);
    for (name, text) in texts {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    reply.bulk(b"group");
    reply.integer(id.0.into());
    reply.bulk(b"copies");
    reply.integer(group.map_or(0, |group| group.copies.into()));
    reply.bulk(b"members");
    let members = members.unwrap_or_default();
    reply.array(members.len());
    members.into_iter().for_each(|node| reply.integer(node.into()));
}

/// `DATABASE CREATE name numbers [REPLICATION kind] [COPIES n]`, `DATABASE SET name COPIES n`: answered when
/// it has happened.
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
        (b"set", [name, word, number]) if word.eq_ignore_ascii_case(b"copies") => {
            Ok(Operation::SetDatabase { name: text(name), copies: copies(number)? })
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
        assert_eq!(said("SET carts copies 2"), Ok(Operation::SetDatabase { name, copies: 2 }));
        for line in [
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
