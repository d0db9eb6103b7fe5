//! A state of Lua, in which one script runs after the other.

use std::fmt;

use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};
use onecopy_resp::Writer;

use crate::environment::{self, Environment, Registered};
use crate::header::{Flags, Header};
use crate::library::LibraryHeader;
use crate::number;
use crate::run::{Host, Outcome, Stop};
use crate::to_resp;

/// So many bytes may a script hold. They are counted when garbage is collected, so for a moment there may be
/// three times as many.
pub const MEMORY_MAX: usize = 64 << 20;
/// Work is paid after so many instructions of Lua.
const TICK: u32 = 2000;
/// They take so many steps, of a tenth of a microsecond each.
pub(crate) const TICK_STEPS: usize = 200;
/// Nobody comes near it: it only has Lua expect that memory may be missing.
const ALLOCATED_MAX: usize = 1 << 40;

const PRELUDE: &str = include_str!("prelude.lua");
/// The version that scripts are told. It is that of Redis whose scripts run here.
const VERSION: (&str, u32) = ("7.2.5", 0x0007_0205);

/// A state of Lua that is ready for a script.
pub struct Engine {
    lua: Lua,
    hosted: Table,
    begin: Function,
    script: Function,
    load: Function,
    fcall: Function,
    over: Function,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// A function of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What it is called by.
    pub name: Vec<u8>,
    /// What it says that it is.
    pub description: Option<Vec<u8>>,
    /// What it may do.
    pub flags: Flags,
}

impl Engine {
    /// A state in which nothing has run yet.
    ///
    /// # Panics
    /// If there is no memory for it.
    #[must_use]
    pub fn new() -> Self {
        Self::build().expect("a state of Lua")
    }

    fn build() -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.set_memory_limit(ALLOCATED_MAX)?;
        let globals = lua.globals();
        let (begin, baseline): (Function, Function) = (globals.get("begin")?, globals.get("baseline")?);
        let hosted = lua.create_table()?;
        // The fields are there from the beginning, so that to lend them takes no memory.
        for name in ["tick", "call", "pcall", "setresp", "clock", "acl_check_cmd", "register_function"] {
            hosted.raw_set(name, false)?;
        }
        number::install(&lua)?;
        environment::install(&lua, &hosted)?;
        let levels = named(&lua, &[("DEBUG", 0), ("VERBOSE", 1), ("NOTICE", 2), ("WARNING", 3)], "LOG_")?;
        let flags = [("NONE", 0), ("AOF", 1), ("SLAVE", 2), ("REPLICA", 2), ("ALL", 3)];
        let replication = named(&lua, &flags, "REPL_")?;
        let prelude = lua.load(PRELUDE).set_name("@prelude");
        let run: Table = prelude.call((&hosted, levels, replication, VERSION.0, VERSION.1))?;
        let tick = hosted.clone();
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(TICK), move |_, _| {
            tick.raw_get::<Function>("tick")?.call::<()>(())?;
            Ok(VmState::Continue)
        })?;
        let function = |name| run.raw_get::<Function>(name);
        let (script, load) = (function("script")?, function("load")?);
        let (fcall, over) = (function("fcall")?, function("over")?);
        drop(run);
        baseline.call::<()>(())?;
        Ok(Self { lua, hosted, begin, script, load, fcall, over })
    }

    /// Runs a script, whose name is this, and writes the reply.
    ///
    /// # Errors
    /// When it was stopped. What it has written is to be undone, and the engine of no more use.
    pub fn run(
        &mut self,
        (name, text): (&str, &[u8]),
        keys: &[&[u8]],
        args: &[&[u8]],
        host: &mut dyn Host,
        reply: &mut Writer<'_>,
    ) -> Result<Outcome, Stop> {
        self.within(host, |environment| {
            let compiled = self.compile_script(text)?;
            let script = match compiled {
                Ok(script) => script,
                Err(message) => {
                    reply.error(&format!("ERR Error compiling script (new function): {message}"));
                    return Ok(Outcome::Malformed);
                }
            };
            let (keys, args) = (self.texts(keys)?, self.texts(args)?);
            let (is_ok, value) = self.script.call::<(bool, Value)>((script, keys, args))?;
            self.answer(name, is_ok, &value, environment, reply)?;
            Ok(Outcome::Ended)
        })
    }

    /// Whether a text is Lua; if not, why.
    ///
    /// # Errors
    /// When that took too much. The engine is of no more use.
    pub fn check(&mut self, text: &[u8], host: &mut dyn Host) -> Result<Result<(), String>, Stop> {
        self.within(host, |_| Ok(self.compile_script(text)?.map(|_| ())))
    }

    /// Loads a library, only to find out which functions it has; or why it cannot be loaded.
    ///
    /// # Errors
    /// When it was stopped. The engine is of no more use.
    pub fn library(
        &mut self,
        text: &[u8],
        host: &mut dyn Host,
    ) -> Result<Result<Vec<Described>, String>, Stop> {
        self.within(host, |environment| {
            let functions = self.register(text, environment)?;
            Ok(functions.map(|functions| functions.into_iter().map(Described::of).collect()))
        })
    }

    /// Loads a library, and calls one of its functions.
    ///
    /// # Errors
    /// When it was stopped. What it has written is to be undone, and the engine of no more use.
    pub fn fcall(
        &mut self,
        (name, library): (&[u8], &[u8]),
        keys: &[&[u8]],
        args: &[&[u8]],
        host: &mut dyn Host,
        reply: &mut Writer<'_>,
    ) -> Result<Outcome, Stop> {
        self.within(host, |environment| {
            let functions = match self.register(library, environment)? {
                Ok(functions) => functions,
                Err(message) => {
                    reply.error(&message);
                    return Ok(Outcome::Malformed);
                }
            };
            let Some(function) =
                functions.into_iter().find(|function| function.name.eq_ignore_ascii_case(name))
            else {
                reply.error("ERR Function not found");
                return Ok(Outcome::Malformed);
            };
            let (keys, args) = (self.texts(keys)?, self.texts(args)?);
            let called = self.fcall.call::<(bool, Value)>((function.callback, keys, args));
            let (is_ok, value) = called?;
            self.answer(&String::from_utf8_lossy(name), is_ok, &value, environment, reply)?;
            Ok(Outcome::Ended)
        })
    }

    /// Runs something that counts.
    fn within<R>(
        &self,
        host: &mut dyn Host,
        run: impl FnOnce(&Environment<'_>) -> mlua::Result<R>,
    ) -> Result<R, Stop> {
        let environment = Environment::new(host);
        // As many bits as a double has.
        #[allow(clippy::cast_precision_loss)]
        let seed = (environment.seed() >> 11) as f64;
        let outcome = environment.lend(&self.lua, &self.hosted, || {
            self.begin.call::<()>((MEMORY_MAX, seed))?;
            let outcome = run(&environment)?;
            self.over.call::<()>(())?;
            self.begin.call::<()>((0, 0))?;
            Ok(outcome)
        });
        // Nothing but a lack of memory is left, where nobody has stopped it.
        outcome.map_err(|_| environment.stopped().unwrap_or(Stop::Memory))
    }

    /// Compiles a script, whose first line may be a header. That is not Lua, and its line counts.
    fn compile_script(&self, text: &[u8]) -> mlua::Result<Result<Function, String>> {
        match Header::of(text) {
            Ok(header) => self.compile(&text[header.length..], "@user_script"),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn compile(&self, code: &[u8], name: &str) -> mlua::Result<Result<Function, String>> {
        match self.lua.load(code).set_name(name).set_mode(ChunkMode::Text).into_function() {
            Ok(function) => Ok(Ok(function)),
            Err(mlua::Error::SyntaxError { message, .. }) => Ok(Err(message)),
            Err(error) => Err(error),
        }
    }

    fn register(
        &self,
        text: &[u8],
        environment: &Environment<'_>,
    ) -> mlua::Result<Result<Vec<Registered>, String>> {
        let header = match LibraryHeader::of(text) {
            Ok(header) => header,
            Err(error) => return Ok(Err(format!("ERR {error}"))),
        };
        let library = match self.compile(&text[header.length..], "@user_function")? {
            Ok(library) => library,
            Err(message) => return Ok(Err(format!("ERR Error compiling function: {message}"))),
        };
        *environment.registered.borrow_mut() = Some(Vec::new());
        let (is_ok, error) = self.load.call::<(bool, Value)>(library)?;
        let registered = environment.registered.borrow_mut().take().unwrap_or_default();
        if !is_ok {
            let text = text_of(&error)?.unwrap_or_default();
            return Ok(Err(format!("ERR Error registering functions: {text}")));
        }
        if registered.is_empty() {
            return Ok(Err("ERR No functions registered".into()));
        }
        Ok(Ok(registered))
    }

    fn texts(&self, texts: &[&[u8]]) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(texts.len(), 0)?;
        for (text, position) in texts.iter().zip(1..) {
            table.raw_seti(position, self.lua.create_string(text)?)?;
        }
        Ok(table)
    }

    /// Writes what a script returned, or the error that it raised.
    fn answer(
        &self,
        name: &str,
        is_ok: bool,
        value: &Value,
        environment: &Environment<'_>,
        reply: &mut Writer<'_>,
    ) -> mlua::Result<()> {
        if is_ok {
            let pay = |steps| environment.pay(steps);
            return to_resp::write(value, environment.version(), reply, &pay);
        }
        let text = text_of(value)?.unwrap_or_else(|| "ERR unknown error".into());
        let place = |value: &Value| -> mlua::Result<Option<String>> {
            let Value::Table(table) = value else { return Ok(None) };
            let source = table.raw_get::<Option<String>>("source")?;
            let line = table.raw_get::<Option<i64>>("line")?;
            Ok(source.zip(line).map(|(source, line)| format!("{source}:{line}")))
        };
        match place(value)? {
            Some(place) => reply.error(&format!("{text} script: {name}, on {place}.")),
            None => reply.error(&text),
        }
        Ok(())
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Described {
    fn of(registered: Registered) -> Self {
        let Registered { name, description, flags, .. } = registered;
        Self { name, description, flags }
    }
}

/// The text of an error.
fn text_of(error: &Value) -> mlua::Result<Option<String>> {
    let Value::Table(table) = error else { return Ok(None) };
    match table.raw_get("err")? {
        Value::String(text) => Ok(Some(to_resp::line(&text.as_bytes()))),
        Value::Integer(number) => Ok(Some(number.to_string())),
        _ => Ok(None),
    }
}

fn named(lua: &Lua, values: &[(&str, u32)], prefix: &str) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in values {
        table.raw_set(format!("{prefix}{name}"), *value)?;
    }
    Ok(table)
}
