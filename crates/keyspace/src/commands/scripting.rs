//! Scripts: `EVAL`, `EVALSHA`, their forms that only read, and `SCRIPT`.

use onecopy_resp::Writer;
use onecopy_script::{Flags, Header, name_of};

use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::number::{is_word, parse_integer};
use crate::scripting;

const NO_SCRIPT: CommandError = CommandError::Other("NOSCRIPT No matching script. Please use EVAL.");
pub(crate) const NOT_READ_ONLY: CommandError =
    CommandError::Other("ERR Can not execute a script with write flag using *_ro command.");
const NOT_BUSY: CommandError = CommandError::Other("NOTBUSY No scripts in execution right now.");

/// Some arguments.
pub(super) type Words<'a, 'b> = &'b [&'a [u8]];

/// The keys and the other arguments, behind their number.
pub(crate) fn split<'a, 'b>(args: &'b [&'a [u8]]) -> Result<(Words<'a, 'b>, Words<'a, 'b>), CommandError> {
    let count = parse_integer(args[2]).ok_or(CommandError::NotInteger)?;
    if count < 0 {
        return Err(CommandError::Other("ERR Number of keys can't be negative"));
    }
    let rest = &args[3..];
    let count = usize::try_from(count).ok().filter(|count| *count <= rest.len());
    let count =
        count.ok_or(CommandError::Other("ERR Number of keys can't be greater than number of args"))?;
    Ok(rest.split_at(count))
}

fn flags_of(text: &[u8]) -> Result<Flags, CommandError> {
    let header = Header::of(text).map_err(|error| CommandError::Said(format!("ERR {error}")))?;
    Ok(header.flags)
}

pub(crate) fn eval(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    execute(context, args, args[1], reply)?;
    context.keyspace.scripts.add(args[1], false);
    Ok(())
}

pub(crate) fn evalsha(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let text = context.keyspace.scripts.get(args[1]).ok_or(NO_SCRIPT)?;
    execute(context, args, &text, reply)
}

fn execute(context: &mut Context<'_>, args: &[&[u8]], text: &[u8], reply: &mut Writer<'_>) -> Outcome {
    let (keys, arguments) = split(args)?;
    let (flags, name) = (flags_of(text)?, name_of(text));
    scripting::write(context, flags, |engine, host| {
        engine.run((&name, text), keys, arguments, host, reply).map(|_| ())
    })
}

pub(crate) fn eval_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    execute_ro(view, args, args[1], reply)
}

pub(crate) fn evalsha_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let text = view.keyspace.scripts.get(args[1]).ok_or(NO_SCRIPT)?;
    execute_ro(view, args, &text, reply)
}

fn execute_ro(view: &View<'_>, args: &[&[u8]], text: &[u8], reply: &mut Writer<'_>) -> Outcome {
    let (keys, arguments) = split(args)?;
    let (flags, name) = (flags_of(text)?, name_of(text));
    if flags.are_declared && !flags.no_writes {
        return Err(NOT_READ_ONLY);
    }
    scripting::read(view, flags, |engine, host| {
        engine.run((&name, text), keys, arguments, host, reply).map(|_| ())
    })
}

pub(crate) fn script(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    match args {
        [_, sub, text] if is_word(sub, "LOAD") => return load(context, text, reply),
        [_, sub, _, ..] if is_word(sub, "LOAD") => return Err(CommandError::Arity("script|load")),
        [_, sub, names @ ..] if is_word(sub, "EXISTS") && !names.is_empty() => {
            reply.array(names.len());
            for name in names {
                reply.integer(context.keyspace.scripts.get(name).is_some().into());
            }
        }
        [_, sub] if is_word(sub, "EXISTS") => return Err(CommandError::Arity("script|exists")),
        [_, sub] if is_word(sub, "LOAD") => return Err(CommandError::Arity("script|load")),
        [_, sub] if is_word(sub, "FLUSH") => flush(context, reply),
        [_, sub, how] if is_word(sub, "FLUSH") => {
            if !is_word(how, "SYNC") && !is_word(how, "ASYNC") {
                return Err(CommandError::Other("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
            }
            flush(context, reply);
        }
        // One that runs is executed on every copy: nobody can say where all of them stop. Its limits do.
        [_, sub] if is_word(sub, "KILL") => return Err(NOT_BUSY),
        [_, sub, mode] if is_word(sub, "DEBUG") => {
            if !["YES", "SYNC", "NO"].iter().any(|known| is_word(mode, known)) {
                return Err(CommandError::Other("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
            }
            // Without a debugger there is nothing to switch on.
            reply.ok();
        }
        [_, sub] if is_word(sub, "HELP") => help(reply),
        [_, sub, ..] => {
            let subcommand = String::from_utf8_lossy(&sub[..sub.len().min(128)]).into_owned();
            return Err(CommandError::UnknownSubcommand { command: "SCRIPT", subcommand });
        }
        _ => return Err(CommandError::Arity("script")),
    }
    Ok(())
}

fn flush(context: &mut Context<'_>, reply: &mut Writer<'_>) {
    context.keyspace.scripts.flush();
    reply.ok();
}

fn load(context: &mut Context<'_>, text: &[u8], reply: &mut Writer<'_>) -> Outcome {
    let flags = flags_of(text)?;
    let flags = Flags { allow_oom: true, ..flags };
    let checked = scripting::write(context, flags, |engine, host| engine.check(text, host))?;
    if let Err(message) = checked {
        let text = format!("ERR Error compiling script (new function): {message}");
        return Err(CommandError::Said(text.replace(['\r', '\n'], " ")));
    }
    let scripts = &mut context.keyspace.scripts;
    if !scripts.add(text, true) && scripts.get(name_of(text).as_bytes()).is_none() {
        return Err(CommandError::Other("OOM there is no room for more scripts and libraries"));
    }
    reply.bulk(name_of(text).as_bytes());
    Ok(())
}

fn help(reply: &mut Writer<'_>) {
    let lines = [
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    Accepted, without effect: there is no debugger.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return which scripts are known.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all scripts.",
        "KILL",
        "    No script is ever found running: those that run too long are stopped, and undone.",
        "LOAD <script>",
        "    Remember a script without executing it.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}
