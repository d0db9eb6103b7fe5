//! `COMMAND`: which commands there are.

use onecopy_keyspace::command::catalogue::{self, Listing};
use onecopy_keyspace::command::{reply_docs, reply_getkeys, reply_info};
use onecopy_keyspace::rights::CATEGORIES;
use onecopy_resp::Writer;

use super::table::is_there;
use super::{SYNTAX, help, lower, table};
use crate::text::glob;

/// `COMMAND`, and its subcommands.
pub(super) fn command(args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    match (lower(args.first()).as_slice(), args.get(1..).unwrap_or_default()) {
        (b"", _) | (b"info", []) => reply_info(commands().into_iter().map(Some), &is_there, reply),
        (b"count", _) => reply.length(commands().len()),
        (b"list", options) => list(options, reply)?,
        (b"info", names) => reply_info(names.iter().map(|name| find(name)), &is_there, reply),
        (b"docs", names) => {
            let named: Vec<&'static Listing> = match names {
                [] => commands(),
                names => names.iter().filter_map(|name| find(name)).collect(),
            };
            let describe = |listing: &'static Listing| table::find(listing.name.as_bytes());
            reply_docs(named.into_iter(), &is_there, &describe, reply);
        }
        (word @ (b"getkeys" | b"getkeysandflags"), asked) => {
            let with_flags = word == b"getkeysandflags";
            let found = asked.first().and_then(|name| find(name));
            let named = catalogue::asked(asked).and_then(|(_, subcommand)| subcommand);
            let listing = found.map(|found| named.map_or(found, |named| catalogue::all()[named]));
            reply_getkeys(listing, asked, with_flags, reply).map_err(|error| error.to_string())?;
        }
        _ => help::reply(help::COMMAND, reply),
    }
    Ok(())
}

/// All commands that are there, by name.
fn commands() -> Vec<&'static Listing> {
    let commands = catalogue::all().iter().copied();
    commands.filter(|listing| !listing.is_subcommand() && is_there(listing)).collect()
}

/// The command or subcommand with this name, in letters of any case.
fn find(name: &[u8]) -> Option<&'static Listing> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    catalogue::find(&name).filter(|listing| is_there(listing))
}

/// `COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]`
fn list(options: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let (by, wanted) = match options {
        [] => (Vec::new(), b"".as_slice()),
        [word, by, wanted] if word.eq_ignore_ascii_case(b"filterby") => (by.to_ascii_lowercase(), *wanted),
        _ => return Err(SYNTAX.to_owned()),
    };
    let category = String::from_utf8_lossy(wanted).to_lowercase();
    let includes = |listing: &Listing| match by.as_slice() {
        b"aclcat" => CATEGORIES.contains(&category.as_str()) && listing.belongs_to(&category),
        b"pattern" => glob(wanted, listing.name.as_bytes()),
        // There are no modules.
        b"module" => false,
        _ => true,
    };
    if !matches!(by.as_slice(), b"" | b"aclcat" | b"pattern" | b"module") {
        return Err(SYNTAX.to_owned());
    }
    let all = catalogue::all().iter().copied();
    let listed: Vec<&'static Listing> =
        all.filter(|listing| is_there(listing) && includes(listing)).collect();
    reply.array(listed.len());
    listed.iter().for_each(|listing| reply.bulk(listing.name.as_bytes()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_there_is_listed() {
        let names: Vec<&str> = commands().iter().map(|listing| listing.name).collect();
        for spec in onecopy_keyspace::command::all() {
            assert!(names.contains(&spec.name), "{}", spec.name);
        }
        assert!(!names.contains(&"psync") && !names.contains(&"config|get"));
    }
}
