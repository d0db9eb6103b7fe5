//! What scripts run in: how they execute commands, what they may do, and how they are undone.
//!
//! A script is one command of an entry, or one read. It is executed as a whole; if it is stopped
//! ([`onecopy_script::Stop`]), what it has changed is put back ([`undo`](crate::undo)). Whether it is stopped
//! depends on the script and the state alone: what counts are the instructions that it executes, and the
//! steps that its commands are charged.

use onecopy_core::{ApplyContext, Pause, Rule, Slices};
use onecopy_resp::{Version, Writer};
use onecopy_script::{Call, Engine, Flags, Host, Stop};

use crate::command::{self, Kind, Run, Spec, catalogue};
use crate::context::{Context, View};
use crate::error::CommandError;
use crate::machine::{DATABASES, REPLY_BYTES_MAX};
use crate::moves::Moves;
use crate::number::parse_integer;
use crate::rights::{Request, User};
use crate::steps::{COMMAND, copying};

/// So many steps may a script take, with its commands: some seconds.
pub const SCRIPT_STEPS_MAX: u64 = 1 << 25;
/// What its commands do is spent after so many steps.
const SLICE: u64 = 256;
/// A reply costs a step for so many bytes: about two elements.
const REPLY_BYTES_PER_STEP: usize = 8;

/// Commands that a script may not call, beside those of scripts: about connections, or about the server.
const REFUSED: &[&str] = &[
    "acl",
    "auth",
    "asking",
    "bgrewriteaof",
    "bgsave",
    "client",
    "cluster",
    "command",
    "config",
    "debug",
    "discard",
    "exec",
    "failover",
    "hello",
    "info",
    "latency",
    "migrate",
    "module",
    "monitor",
    "multi",
    "once",
    "psubscribe",
    "psync",
    "punsubscribe",
    "quit",
    "readonly",
    "readwrite",
    "reset",
    "role",
    "save",
    "shutdown",
    "slowlog",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "sync",
    "unsubscribe",
    "unwatch",
    "wait",
    "waitaof",
    "watch",
];

const NOT_ALLOWED: &str = "ERR This Redis command is not allowed from script";
const UNKNOWN: &str = "ERR Unknown Redis command called from script";
const WRONG_ARGS: &str = "ERR Wrong number of args calling Redis command from script";
const NOT_PERMITTED: &str = "ERR The user executing the script can't run this command or subcommand";
const READ_ONLY: &str = "ERR Write commands are not allowed from read-only scripts.";

/// The data that a script works on.
enum Data<'x, 'k> {
    /// To write to, within an entry.
    Entry(&'x mut Context<'k>),
    /// To read from.
    Read(View<'k>),
}

/// Executes the commands of one script.
struct Running<'x, 'k> {
    data: Data<'x, 'k>,
    /// The database that it has selected.
    db: u8,
    flags: Flags,
    /// There was no memory when it began, and it has written nothing since.
    is_full: bool,
    used: u64,
    seed: u64,
    /// What it may do no more than, if it may not do everything.
    user: Option<User>,
}

impl Running<'_, '_> {
    /// Executes a command that the table has.
    fn execute(
        &mut self,
        command: &'static command::Command,
        args: &[&[u8]],
        reply: &mut Writer<'_>,
    ) -> Result<(), Call> {
        self.show(args);
        let mut charged = COMMAND as u64;
        charged += copying(args.iter().map(|arg| arg.len()).sum()) as u64;
        self.note_reads(command, args);
        let start = reply.position();
        let db = self.db;
        let outcome = match &mut self.data {
            Data::Entry(context) => {
                let outer = context.apply.budget;
                let pause = |_: Pause| {
                    outer.spend(SLICE as usize);
                    SLICE
                };
                let slices = Slices::new(SLICE, &pause);
                let budget = slices.budget();
                let apply = ApplyContext { budget, own_body: None, ..*context.apply };
                let (keyspace, random_ordinal) = (&mut *context.keyspace, &mut *context.random_ordinal);
                let outcome = match command.run {
                    Run::Read(run) | Run::ReadOrWait(run, _) => {
                        let now = keyspace.clock;
                        let view =
                            View { keyspace, db, hashed: None, now, budget, rights: None, is_read: true };
                        run(&view, args, reply)
                    }
                    Run::Write(run) => {
                        let (watch, listener) = (context.watch, None);
                        let (hashed, apply, wait, rights) = (None, &apply, None, None);
                        let keyspace = &mut *keyspace;
                        let context = &mut Context {
                            keyspace,
                            db,
                            hashed,
                            watch,
                            listener,
                            apply,
                            random_ordinal,
                            wait,
                            rights,
                        };
                        let outcome = run(context, args, reply);
                        keyspace.notify(apply, &command.spec, args);
                        outcome
                    }
                };
                charged += slices.charged();
                outcome
            }
            Data::Read(view) => {
                let outer = view.budget;
                let pause = |_: Pause| {
                    outer.spend(SLICE as usize);
                    SLICE
                };
                let slices = Slices::new(SLICE, &pause);
                let view = View { db, hashed: None, budget: slices.budget(), ..*view };
                let outcome = match command.run {
                    Run::Read(run) | Run::ReadOrWait(run, _) => run(&view, args, reply),
                    Run::Write(_) => Err(CommandError::NotARead(command.spec.name)),
                };
                charged += slices.charged();
                outcome
            }
        };
        charged += ((reply.position() - start) / REPLY_BYTES_PER_STEP) as u64;
        let outcome = if reply.overflowed() { Err(CommandError::ReplyTooLarge) } else { outcome };
        self.used += charged;
        if let Data::Entry(context) = &self.data
            && context.keyspace.journal.as_ref().is_some_and(|journal| journal.is_over())
        {
            return Err(Stop::Undo.into());
        }
        self.check()?;
        outcome.map_err(|error| Call::Error(error.to_string()))
    }

    /// Whoever watches is shown what the script calls.
    fn show(&self, args: &[&[u8]]) {
        let (keyspace, from) = match &self.data {
            Data::Entry(context) => (&*context.keyspace, context.apply.batch.map(|batch| batch.coordinator)),
            Data::Read(view) => (view.keyspace, None),
        };
        if let Some(spectator) = keyspace.spectator.as_deref().filter(|spectator| spectator.looks()) {
            spectator.called(from, self.db, args);
        }
    }

    /// Notes what is read for a client that caches.
    fn note_reads(&self, command: &'static command::Command, args: &[&[u8]]) {
        let tracking = match &self.data {
            Data::Entry(context) => &context.keyspace.tracking,
            Data::Read(view) => &view.keyspace.tracking,
        };
        if command.spec.kind == Kind::Read && tracking.wants_reads() {
            let positions = command::key_positions(&command.spec, args);
            tracking.reads(positions.into_iter().map(|position| args[position]));
        }
    }

    fn moves(&self) -> &Moves {
        match &self.data {
            Data::Entry(context) => &context.keyspace.moves,
            Data::Read(view) => &view.keyspace.moves,
        }
    }

    /// Whether the script may call a command.
    fn admit(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), CommandError> {
        if !self.may(args) {
            return Err(CommandError::Other(NOT_PERMITTED));
        }
        if spec.group == "scripting" || REFUSED.contains(&spec.name) {
            return Err(CommandError::Other(NOT_ALLOWED));
        }
        // What it publishes is heard elsewhere.
        let writes = spec.kind == Kind::Write || matches!(spec.name, "publish" | "spublish");
        if writes && (self.flags.no_writes || matches!(self.data, Data::Read(_))) {
            return Err(CommandError::Other(READ_ONLY));
        }
        let has_written = match &self.data {
            Data::Entry(context) => {
                context.keyspace.journal.as_ref().is_some_and(|journal| !journal.is_empty())
            }
            Data::Read(_) => false,
        };
        if spec.grows && self.is_full && !self.flags.allow_oom && !has_written {
            return Err(CommandError::OutOfMemory);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Stop> {
        match &self.data {
            // A single copy executes it, and nothing would be left of it: it may stop anywhere.
            Data::Read(view) if view.budget.is_stopped() => Err(Stop::Killed),
            _ if self.used > SCRIPT_STEPS_MAX => Err(Stop::Work),
            _ => Ok(()),
        }
    }

    /// Commands that a connection answers, and that make sense in a script too.
    fn answer(&mut self, args: &[&[u8]], reply: &mut Writer<'_>) -> Option<Result<(), CommandError>> {
        let is = |name: &str| args[0].eq_ignore_ascii_case(name.as_bytes());
        match args {
            [_] if is("ping") => reply.simple("PONG"),
            [_, text] if is("ping") || is("echo") => reply.bulk(text),
            [_, number] if is("select") => {
                let Some(number) = parse_integer(number) else {
                    return Some(Err(CommandError::NotInteger));
                };
                match u8::try_from(number).ok().filter(|number| *number < DATABASES) {
                    Some(number) => self.db = number,
                    None => return Some(Err(CommandError::DatabaseOutOfRange)),
                }
                reply.ok();
            }
            [_] if is("time") && matches!(self.data, Data::Read(_)) => {
                let milliseconds = self.time_ms();
                reply.array(2);
                reply.bulk((milliseconds / 1000).to_string().as_bytes());
                reply.bulk((milliseconds % 1000 * 1000).to_string().as_bytes());
            }
            _ => return None,
        }
        Some(Ok(()))
    }
}

impl Host for Running<'_, '_> {
    fn call(&mut self, args: &[&[u8]], version: Version, reply: &mut Vec<u8>) -> Result<(), Call> {
        let mut reply = Writer::with_limit(reply, version, REPLY_BYTES_MAX);
        if self.may(args)
            && let Some(answered) = self.answer(args, &mut reply)
        {
            self.show(args);
            self.work(COMMAND)?;
            return answered.map_err(|error| Call::Error(error.to_string()));
        }
        let error = |text: &str| Err(Call::Error(text.into()));
        let Some(command) = command::find(args[0]) else {
            let name = args[0].to_ascii_lowercase();
            let is_refused = REFUSED.iter().any(|refused| refused.as_bytes() == name);
            self.work(COMMAND)?;
            return error(if is_refused { NOT_ALLOWED } else { UNKNOWN });
        };
        if command.spec.check_arity(args.len()).is_err() {
            self.work(COMMAND)?;
            return error(WRONG_ARGS);
        }
        if let Some(wrong) = wrong_subcommand(command.spec.name, args) {
            self.work(COMMAND)?;
            return error(wrong);
        }
        if self.moves().bar(self.db, args) {
            self.work(COMMAND)?;
            return error("TRYAGAIN the key is being moved to another database");
        }
        if let Err(refused) = self.admit(&command.spec, args) {
            self.work(COMMAND)?;
            return error(&refused.to_string());
        }
        self.execute(command, args, &mut reply)
    }

    fn work(&mut self, steps: usize) -> Result<(), Stop> {
        match &self.data {
            Data::Entry(context) => context.apply.budget.spend(steps),
            Data::Read(view) => view.budget.spend(steps),
        }
        self.used += steps as u64;
        self.check()
    }

    fn is_command(&self, name: &[u8]) -> bool {
        let name = name.to_ascii_lowercase();
        let is_outside = || {
            [b"ping".as_slice(), b"echo", b"select"].contains(&name.as_slice())
                || REFUSED.iter().any(|refused| refused.as_bytes() == name)
        };
        command::find(&name).is_some() || is_outside()
    }

    fn may(&self, args: &[&[u8]]) -> bool {
        self.user.as_ref().is_none_or(|user| user.check(Request { args }).is_ok())
    }

    fn time_ms(&self) -> u64 {
        match &self.data {
            Data::Entry(context) => context.keyspace.clock.0,
            Data::Read(view) => view.now.0,
        }
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

/// What is wrong with a subcommand, if the command has some: there is none such, or it takes other arguments.
fn wrong_subcommand(name: &str, args: &[&[u8]]) -> Option<&'static str> {
    if catalogue::subcommands(name).is_empty() {
        return None;
    }
    let subcommand = catalogue::asked(args).and_then(|(_, subcommand)| subcommand);
    let Some(place) = subcommand else { return Some(UNKNOWN) };
    (!catalogue::all()[place].takes(args.len())).then_some(WRONG_ARGS)
}

/// The user whose rights a request carries. What makes no sense allows nothing.
fn user(rights: Option<&[u8]>) -> Option<User> {
    rights.map(|text| User::restore(text).unwrap_or_else(|| User::new(false)))
}

/// Runs a script within an entry. If it is stopped, its changes are undone.
pub(crate) fn write<R>(
    context: &mut Context<'_>,
    flags: Flags,
    run: impl FnOnce(&mut Engine, &mut dyn Host) -> Result<R, Stop>,
) -> Result<R, CommandError> {
    let is_full = context.admit_growth().is_err();
    if is_full && flags.are_declared && !flags.allow_oom && !flags.no_writes {
        return Err(CommandError::Other(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        ));
    }
    let mut engine = context.keyspace.engine.get_mut().take().unwrap_or_default();
    context.keyspace.journal = Some(Box::default());
    let seed = context.random().below(usize::MAX) as u64;
    let (db, user) = (context.db, user(context.rights));
    context.apply.budget.spend(copying(context.rights.map_or(0, <[u8]>::len)));
    let data = Data::Entry(&mut *context);
    let outcome = run(&mut engine, &mut Running { data, db, flags, is_full, used: 0, seed, user });
    let journal = context.keyspace.journal.take().unwrap_or_default();
    match outcome {
        Ok(done) => {
            journal.keep(context.keyspace, context.apply.budget);
            *context.keyspace.engine.get_mut() = Some(engine);
            Ok(done)
        }
        Err(stop) => {
            if context.keyspace.rules.hold(Rule::StoppedScripts) {
                journal.undo(context.keyspace, context.apply.budget);
            } else {
                journal.keep(context.keyspace, context.apply.budget);
            }
            Err(CommandError::Stopped(stop))
        }
    }
}

/// Runs a script that only reads.
pub(crate) fn read<R>(
    view: &View<'_>,
    flags: Flags,
    run: impl FnOnce(&mut Engine, &mut dyn Host) -> Result<R, Stop>,
) -> Result<R, CommandError> {
    let mut engine = view.keyspace.engine.take().unwrap_or_default();
    let seed = view.now.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (data, db, user) = (Data::Read(*view), view.db, user(view.rights));
    view.budget.spend(copying(view.rights.map_or(0, <[u8]>::len)));
    let mut running = Running { data, db, flags, is_full: false, used: 0, seed, user };
    match run(&mut engine, &mut running) {
        Ok(done) => {
            view.keyspace.engine.replace(Some(engine));
            Ok(done)
        }
        Err(stop) => Err(CommandError::Stopped(stop)),
    }
}
