//! Functions: `FCALL`, its form that only reads, and `FUNCTION`.

use std::sync::Arc;

use onecopy_resp::Writer;
use onecopy_script::{Described, Flags, LibraryHeader, Stop};

use super::scripting::{NOT_READ_ONLY, Words, split};
use crate::command::catalogue;
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::glob;
use crate::number::is_word;
use crate::scripting;
use crate::scripts::{Library, Scripts};

const NO_FUNCTION: CommandError = CommandError::Other("ERR Function not found");
const NO_LIBRARY: CommandError = CommandError::Other("ERR Library not found");

/// The beginning of what `DUMP` answers: it is ours, and no RDB.
const DUMPED: &[u8] = b"1COPYFN\x01";

fn find(scripts: &Scripts, name: &[u8]) -> Result<(Arc<[u8]>, Flags), CommandError> {
    let (library, function) = scripts.function(name).ok_or(NO_FUNCTION)?;
    Ok((Arc::clone(&library.text), function.flags))
}

/// The keys and the other arguments. What is no number is said in other words than for scripts.
fn split_call<'a, 'b>(args: &'b [&'a [u8]]) -> Result<(Words<'a, 'b>, Words<'a, 'b>), CommandError> {
    split(args).map_err(|error| match error {
        CommandError::NotInteger => CommandError::Other("ERR Bad number of keys provided"),
        error => error,
    })
}

pub(crate) fn fcall(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (text, flags) = find(&context.keyspace.scripts, args[1])?;
    let (keys, arguments) = split_call(args)?;
    scripting::write(context, flags, |engine, host| {
        engine.fcall((args[1], &text), keys, arguments, host, reply).map(|_| ())
    })
}

pub(crate) fn fcall_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (text, flags) = find(&view.keyspace.scripts, args[1])?;
    let (keys, arguments) = split_call(args)?;
    if !flags.no_writes {
        return Err(NOT_READ_ONLY);
    }
    scripting::read(view, flags, |engine, host| {
        engine.fcall((args[1], &text), keys, arguments, host, reply).map(|_| ())
    })
}

pub(crate) fn function(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let Some((sub, rest)) = args[1..].split_first() else { return Err(CommandError::Arity("function")) };
    match rest {
        [text] if is_word(sub, "LOAD") => load(context, text, false, reply),
        [option, text] if is_word(sub, "LOAD") && is_word(option, "REPLACE") => {
            load(context, text, true, reply)
        }
        [option, _, ..] if is_word(sub, "LOAD") => {
            let option = String::from_utf8_lossy(option).into_owned();
            Err(CommandError::Said(format!("ERR Unknown option given: {option}")))
        }
        [name] if is_word(sub, "DELETE") => {
            if !context.keyspace.scripts.delete(name) {
                return Err(NO_LIBRARY);
            }
            reply.ok();
            Ok(())
        }
        [] if is_word(sub, "FLUSH") => flush(context, reply),
        [how] if is_word(sub, "FLUSH") => {
            if !is_word(how, "SYNC") && !is_word(how, "ASYNC") {
                let text = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option";
                return Err(CommandError::Other(text));
            }
            flush(context, reply)
        }
        options if is_word(sub, "LIST") => list(&context.keyspace.scripts, options, reply),
        [] if is_word(sub, "STATS") => {
            stats(context.keyspace.function_counts(), reply);
            Ok(())
        }
        [] if is_word(sub, "DUMP") => {
            reply.bulk(&dump(&context.keyspace.scripts));
            Ok(())
        }
        [payload] if is_word(sub, "RESTORE") => restore(context, payload, b"APPEND", reply),
        [payload, policy] if is_word(sub, "RESTORE") => restore(context, payload, policy, reply),
        [] if is_word(sub, "KILL") => Err(CommandError::Other("NOTBUSY No scripts in execution right now.")),
        [] if is_word(sub, "HELP") => {
            help(reply);
            Ok(())
        }
        _ => {
            let known =
                catalogue::asked(args).and_then(|(_, place)| place).map(|place| &catalogue::all()[place]);
            if let Some(known) = known.filter(|known| !known.takes(args.len())) {
                return Err(CommandError::Arity(known.name));
            }
            let subcommand = String::from_utf8_lossy(&sub[..sub.len().min(128)]).into_owned();
            Err(if known.is_some() {
                CommandError::UnknownForm { command: "FUNCTION", subcommand }
            } else {
                CommandError::UnknownSubcommand { command: "FUNCTION", subcommand }
            })
        }
    }
}

/// The name that a library gives itself.
fn named(text: &[u8]) -> Result<Box<[u8]>, CommandError> {
    let header = LibraryHeader::of(text).map_err(|error| CommandError::Said(format!("ERR {error}")))?;
    Ok(header.name.into())
}

/// Loads a library only to see which functions it has.
fn described(context: &mut Context<'_>, text: &[u8]) -> Result<Vec<Described>, CommandError> {
    let flags = Flags { no_writes: true, ..Flags::default() };
    match scripting::write(context, flags, |engine, host| engine.library(text, host)) {
        Ok(functions) => functions.map_err(|message| CommandError::Said(message.replace(['\r', '\n'], " "))),
        Err(CommandError::Stopped(Stop::Work)) => {
            Err(CommandError::Other("ERR Error registering functions: FUNCTION LOAD timeout"))
        }
        Err(error) => Err(error),
    }
}

fn load(context: &mut Context<'_>, text: &[u8], replaces: bool, reply: &mut Writer<'_>) -> Outcome {
    context.admit_growth()?;
    let name = named(text)?;
    if !replaces && context.keyspace.scripts.libraries().any(|library| library.name == name) {
        let name = String::from_utf8_lossy(&name).into_owned();
        return Err(CommandError::Said(format!("ERR Library '{name}' already exists")));
    }
    let functions = described(context, text)?;
    let library = Library { name: name.clone(), text: text.into(), functions };
    context.keyspace.scripts.load(library, replaces)?;
    reply.bulk(&name);
    Ok(())
}

fn flush(context: &mut Context<'_>, reply: &mut Writer<'_>) -> Outcome {
    context.keyspace.scripts.delete_all();
    reply.ok();
    Ok(())
}

fn list(scripts: &Scripts, options: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (mut pattern, mut with_code, mut rest) = (None, false, options);
    while let [option, others @ ..] = rest {
        rest = others;
        if is_word(option, "WITHCODE") && !with_code {
            with_code = true;
        } else if is_word(option, "LIBRARYNAME") && pattern.is_none() {
            let [name, others @ ..] = rest else {
                return Err(CommandError::Other("ERR library name argument was not given"));
            };
            (pattern, rest) = (Some(*name), others);
        } else {
            let option = String::from_utf8_lossy(option).into_owned();
            return Err(CommandError::Said(format!("ERR Unknown argument {option}")));
        }
    }
    let chosen = |library: &&Library| pattern.is_none_or(|pattern| glob::matches(pattern, &library.name));
    let libraries: Vec<&Library> = scripts.libraries().filter(chosen).collect();
    reply.array(libraries.len());
    for library in libraries {
        reply.map(if with_code { 4 } else { 3 });
        reply.bulk(b"library_name");
        reply.bulk(&library.name);
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        for function in &library.functions {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&function.name);
            reply.bulk(b"description");
            match &function.description {
                Some(description) => reply.bulk(description),
                None => reply.null(),
            }
            reply.bulk(b"flags");
            let flags = function.flags.names();
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.text);
        }
    }
    Ok(())
}

fn stats([libraries, functions]: [usize; 2], reply: &mut Writer<'_>) {
    reply.map(2);
    reply.bulk(b"running_script");
    reply.null();
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.length(libraries);
    reply.bulk(b"functions_count");
    reply.length(functions);
}

/// All libraries, one behind the other.
fn dump(scripts: &Scripts) -> Vec<u8> {
    let mut payload = DUMPED.to_vec();
    for library in scripts.libraries() {
        payload.extend_from_slice(&(library.text.len() as u64).to_le_bytes());
        payload.extend_from_slice(&library.text);
    }
    payload.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(&payload).to_le_bytes());
    payload
}

/// The texts of what was dumped.
fn dumped(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let (covered, checksum) = payload.split_last_chunk::<8>()?;
    if xxhash_rust::xxh3::xxh3_64(covered) != u64::from_le_bytes(*checksum) {
        return None;
    }
    let (mut rest, mut texts) = (covered.strip_prefix(DUMPED)?, Vec::new());
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (text, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        texts.push(text);
        rest = after;
    }
    Some(texts)
}

fn restore(context: &mut Context<'_>, payload: &[u8], policy: &[u8], reply: &mut Writer<'_>) -> Outcome {
    context.admit_growth()?;
    let (flushes, replaces) = match policy {
        policy if is_word(policy, "FLUSH") => (true, false),
        policy if is_word(policy, "APPEND") => (false, false),
        policy if is_word(policy, "REPLACE") => (false, true),
        _ => {
            let text = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.";
            return Err(CommandError::Other(text));
        }
    };
    let texts =
        dumped(payload).ok_or(CommandError::Other("ERR DUMP payload version or checksum are wrong"))?;
    // All of them or none: they are put into a copy first.
    let mut scripts = context.keyspace.scripts.clone();
    if flushes {
        scripts.delete_all();
    }
    for text in texts {
        let functions = described(context, text)?;
        scripts.load(Library { name: named(text)?, text: text.into(), functions }, replaces)?;
    }
    context.keyspace.scripts = scripts;
    reply.ok();
    Ok(())
}

fn help(reply: &mut Writer<'_>) {
    let lines = [
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DELETE <LIBRARY NAME>",
        "    Delete a library.",
        "DUMP",
        "    Return all libraries in one payload, for FUNCTION RESTORE.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all libraries.",
        "KILL",
        "    No function is ever found running: those that run too long are stopped, and undone.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return which libraries there are, and their functions.",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Add a library.",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Add the libraries of a payload.",
        "STATS",
        "    Return how many libraries and functions there are.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}
