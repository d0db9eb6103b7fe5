//! Replies to `COMMAND` and its subcommands.
//!
//! Which commands there are, the node knows that answers them: it hands in those that it talks about, and a
//! function that says of a subcommand whether it is there.

use onecopy_resp::Writer;

use super::catalogue::{Begin, Find, KeySpec, Listing, subcommands};
use super::{Spec, key_accesses, lookup};
use crate::error::CommandError;

/// Whether a subcommand is there, by its name in the catalogue.
pub type IsThere<'a> = &'a dyn Fn(&'static Listing) -> bool;

/// `COMMAND`, and `COMMAND INFO` with names: one element per description, a null for a `None`.
pub fn reply_info(
    listings: impl ExactSizeIterator<Item = Option<&'static Listing>>,
    is_there: IsThere<'_>,
    reply: &mut Writer<'_>,
) {
    reply.array(listings.len());
    for listing in listings {
        match listing {
            Some(listing) => info(listing, is_there, reply),
            None => reply.null_array(),
        }
    }
}

/// `COMMAND DOCS`: a map from name to documentation.
pub fn reply_docs<'a>(
    listings: impl ExactSizeIterator<Item = &'static Listing>,
    is_there: IsThere<'_>,
    describe: &dyn Fn(&'static Listing) -> Option<&'a Spec>,
    reply: &mut Writer<'_>,
) {
    reply.map(listings.len());
    for listing in listings {
        reply.bulk(listing.name.as_bytes());
        let known = subcommands(listing.name).iter().copied().filter(|one| is_there(one));
        let known: Vec<&'static Listing> = known.collect();
        let mut fields = Vec::new();
        if let Some(spec) = describe(listing) {
            fields.push(("summary", spec.summary));
        }
        fields.extend([("since", listing.since), ("group", listing.group)]);
        if let Some(spec) = describe(listing) {
            fields.push(("complexity", spec.complexity));
        }
        reply.map(fields.len() + usize::from(!known.is_empty()));
        for (field, value) in fields {
            reply.bulk(field.as_bytes());
            reply.bulk(value.as_bytes());
        }
        if !known.is_empty() {
            reply.bulk(b"subcommands");
            reply_docs(known.into_iter(), is_there, describe, reply);
        }
    }
}

/// `COMMAND GETKEYS`, and `COMMAND GETKEYSANDFLAGS` (`with_flags`): the keys among the arguments of a
/// command, whose name is the first of them.
///
/// # Errors
/// When there is no such command, the number of arguments is wrong, or no argument is a key.
pub fn reply_getkeys(
    listing: Option<&'static Listing>,
    args: &[&[u8]],
    with_flags: bool,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let listing = listing.ok_or(CommandError::Other("ERR Invalid command specified"))?;
    let command = listing.name.split('|').next().unwrap_or_default();
    let spec = lookup(command.as_bytes()).filter(|_| !listing.key_specs().is_empty());
    let spec = spec.ok_or(CommandError::Other("ERR The command has no key arguments"))?;
    if !listing.takes(args.len()) {
        return Err(CommandError::Other("ERR Invalid number of arguments specified for command"));
    }
    let keys = key_accesses(spec, args);
    if keys.is_empty() {
        if listing.has("no_mandatory_keys") {
            reply.array(0);
            return Ok(());
        }
        return Err(CommandError::Other("ERR Invalid arguments specified for command"));
    }
    reply.array(keys.len());
    for key in keys {
        if with_flags {
            reply.array(2);
        }
        reply.bulk(args.get(key.position).copied().unwrap_or_default());
        if with_flags {
            reply.set(key.flags.len());
            key.flags.iter().for_each(|flag| reply.simple(flag));
        }
    }
    Ok(())
}

fn words(text: &'static str) -> Vec<&'static str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

fn info(listing: &'static Listing, is_there: IsThere<'_>, reply: &mut Writer<'_>) {
    reply.array(10);
    reply.bulk(listing.name.as_bytes());
    reply.integer(listing.arity.into());
    let flags = words(listing.flags);
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    listing.key_range.iter().for_each(|number| reply.integer((*number).into()));
    let categories = words(listing.categories);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(&format!("@{category}")));
    let tips = words(listing.tips);
    reply.array(tips.len());
    tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    let specs = listing.key_specs();
    reply.array(specs.len());
    specs.iter().for_each(|spec| key_specification(spec, reply));
    let known = subcommands(listing.name).iter().copied().filter(|one| is_there(one));
    let known: Vec<&'static Listing> = known.collect();
    reply.array(known.len());
    known.into_iter().for_each(|subcommand| info(subcommand, is_there, reply));
}

fn key_specification(spec: &KeySpec, reply: &mut Writer<'_>) {
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(spec.flags.len());
    spec.flags.iter().for_each(|flag| reply.simple(flag));
    reply.bulk(b"begin_search");
    let kind = |reply: &mut Writer<'_>, name: &str, fields: usize| {
        reply.map(2);
        reply.bulk(b"type");
        reply.bulk(name.as_bytes());
        reply.bulk(b"spec");
        reply.map(fields);
    };
    let number = |reply: &mut Writer<'_>, name: &str, value: i32| {
        reply.bulk(name.as_bytes());
        reply.integer(value.into());
    };
    match spec.begin {
        Begin::Index(at) => {
            kind(reply, "index", 1);
            number(reply, "index", at);
        }
        Begin::Keyword(word, from) => {
            kind(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            number(reply, "startfrom", from);
        }
        Begin::Unknown => kind(reply, "unknown", 0),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range(last, step, limit) => {
            kind(reply, "range", 3);
            [("lastkey", last), ("keystep", step), ("limit", limit)]
                .into_iter()
                .for_each(|(name, value)| number(reply, name, value));
        }
        Find::Number(at, first, step) => {
            kind(reply, "keynum", 3);
            [("keynumidx", at), ("firstkey", first), ("keystep", step)]
                .into_iter()
                .for_each(|(name, value)| number(reply, name, value));
        }
        Find::Unknown => kind(reply, "unknown", 0),
    }
}
