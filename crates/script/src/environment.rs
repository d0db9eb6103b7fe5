//! What scripts ask of their host: the functions of `redis`, as they run.

use std::cell::{Cell, RefCell};

use mlua::{FromLua, Function, Lua, MultiValue, Table, Value};
use onecopy_resp::{Version, format_double};

use crate::engine::TICK_STEPS;
use crate::from_resp;
use crate::header::Flags;
use crate::library::BAD_NAME;
use crate::run::{Call, Host, Stop};
use crate::to_resp::line;

/// What a function of the host returns: an error or not, and the text of the error or a value.
type Said = mlua::Result<(bool, Value)>;

/// A function of a library, as it is registered.
pub(crate) struct Registered {
    pub(crate) name: Vec<u8>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) flags: Flags,
    pub(crate) callback: Function,
}

/// One script, as long as it runs.
pub(crate) struct Environment<'h> {
    host: RefCell<&'h mut dyn Host>,
    version: Cell<Version>,
    stopped: Cell<Option<Stop>>,
    /// The replies of commands.
    reply: RefCell<Vec<u8>>,
    /// The functions of a library, while it is loaded.
    pub(crate) registered: RefCell<Option<Vec<Registered>>>,
}

/// A value that an error is.
fn failed(lua: &Lua, text: impl AsRef<[u8]>) -> Said {
    Ok((true, Value::String(lua.create_string(text)?)))
}

fn said(value: Value) -> Said {
    Ok((false, value))
}

/// A table with one field.
fn field(lua: &Lua, name: &str, text: impl AsRef<[u8]>) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, lua.create_string(text)?)?;
    Ok(Value::Table(table))
}

const NO_ARGUMENT: &str = "ERR Please specify at least one argument for this redis lib call";

/// An argument of a command.
enum Arg {
    Lent(mlua::BorrowedBytes),
    Made(Vec<u8>),
}

impl Arg {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(string) => Some(Self::Lent(string.as_bytes())),
            #[allow(clippy::cast_precision_loss)] // it was a double
            Value::Integer(number) => Some(Self::number(*number as f64)),
            Value::Number(number) => Some(Self::number(*number)),
            _ => None,
        }
    }

    fn number(number: f64) -> Self {
        let mut bytes = Vec::new();
        format_double(number, &mut bytes);
        Self::Made(bytes)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

impl<'h> Environment<'h> {
    pub(crate) fn new(host: &'h mut dyn Host) -> Self {
        Self {
            host: RefCell::new(host),
            version: Cell::new(Version::Two),
            stopped: Cell::new(None),
            reply: RefCell::default(),
            registered: RefCell::new(None),
        }
    }

    /// The protocol of the script's commands.
    pub(crate) fn version(&self) -> Version {
        self.version.get()
    }

    /// Why the script was stopped.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stopped.get()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.host.borrow().seed()
    }

    /// Counts work.
    pub(crate) fn pay(&self, steps: usize) -> mlua::Result<()> {
        self.host.borrow_mut().work(steps).map_err(|stop| self.stop(stop))
    }

    fn stop(&self, stop: Stop) -> mlua::Error {
        self.stopped.set(Some(stop));
        mlua::Error::external(stop)
    }

    /// Lends the functions to a state, as long as `run` takes.
    pub(crate) fn lend<R>(
        &self,
        lua: &Lua,
        hosted: &Table,
        run: impl FnOnce() -> mlua::Result<R>,
    ) -> mlua::Result<R> {
        lua.scope(|scope| {
            hosted.raw_set("tick", scope.create_function(|_, ()| self.pay(TICK_STEPS))?)?;
            hosted.raw_set("call", scope.create_function(|lua, args| self.call(lua, &args, false))?)?;
            hosted.raw_set("pcall", scope.create_function(|lua, args| self.call(lua, &args, true))?)?;
            hosted.raw_set("setresp", scope.create_function(|lua, args| self.setresp(lua, &args))?)?;
            hosted.raw_set("clock", scope.create_function(|_, _: MultiValue| self.clock())?)?;
            let check = scope.create_function(|lua, args| self.acl_check_cmd(lua, &args))?;
            hosted.raw_set("acl_check_cmd", check)?;
            let register = scope.create_function(|lua, args| self.register_function(lua, &args))?;
            hosted.raw_set("register_function", register)?;
            run()
        })
    }

    /// `redis.call` and `redis.pcall`.
    fn call(&self, lua: &Lua, values: &MultiValue, is_caught: bool) -> Said {
        let error = |text: &str| {
            if is_caught { said(field(lua, "err", text)?) } else { failed(lua, text) }
        };
        if values.is_empty() {
            return error(NO_ARGUMENT);
        }
        let args: Option<Vec<Arg>> = values.iter().map(Arg::of).collect();
        let Some(args) = args else {
            return error("ERR Lua redis lib command arguments must be strings or integers");
        };
        let args: Vec<&[u8]> = args.iter().map(Arg::bytes).collect();
        let mut reply = self.reply.borrow_mut();
        reply.clear();
        let outcome = self.host.borrow_mut().call(&args, self.version.get(), &mut reply);
        match outcome {
            Err(Call::Stop(stop)) => Err(self.stop(stop)),
            Err(Call::Error(text)) => error(&text),
            Ok(()) => match reply.split_first() {
                Some((b'-', rest)) if !is_caught => failed(lua, rest.trim_ascii_end()),
                _ => match from_resp::value(lua, &reply) {
                    Some(value) => said(value?.0),
                    None => error("ERR the reply is none"),
                },
            },
        }
    }

    fn setresp(&self, lua: &Lua, values: &MultiValue) -> Said {
        if values.len() != 1 {
            return failed(lua, "ERR redis.setresp() requires one argument.");
        }
        match f64::from_lua(values[0].clone(), lua) {
            Ok(2.0) => self.version.set(Version::Two),
            Ok(3.0) => self.version.set(Version::Three),
            _ => return failed(lua, "ERR RESP version must be 2 or 3."),
        }
        said(Value::Nil)
    }

    /// `os.clock`: the time of the entry, in seconds.
    fn clock(&self) -> Said {
        #[allow(clippy::cast_precision_loss)] // for some hundred thousand years
        said(Value::Number(self.host.borrow().time_ms() as f64 / 1000.0))
    }

    fn acl_check_cmd(&self, lua: &Lua, values: &MultiValue) -> Said {
        let Some(first) = values.front() else { return failed(lua, NO_ARGUMENT) };
        let Some(name) = Arg::of(first) else {
            return failed(lua, "ERR redis.acl_check_cmd() require a command name");
        };
        if self.host.borrow().is_command(name.bytes()) {
            let args: Vec<Arg> = values.iter().filter_map(Arg::of).collect();
            let args: Vec<&[u8]> = args.iter().map(Arg::bytes).collect();
            said(Value::Boolean(self.host.borrow().may(&args)))
        } else {
            failed(lua, "ERR Invalid command passed to redis.acl_check_cmd()")
        }
    }

    fn register_function(&self, lua: &Lua, values: &MultiValue) -> Said {
        let mut registered = self.registered.borrow_mut();
        let Some(registered) = registered.as_mut() else {
            return failed(lua, "ERR redis.register_function can only be called on FUNCTION LOAD command");
        };
        match taken(values)? {
            Ok(function)
                if registered.iter().any(|other| other.name.eq_ignore_ascii_case(&function.name)) =>
            {
                failed(lua, "ERR Function already exists in the library")
            }
            Ok(function) => {
                registered.push(function);
                said(Value::Nil)
            }
            Err(text) => failed(lua, text),
        }
    }
}

/// What `register_function` was called with.
fn taken(values: &MultiValue) -> mlua::Result<Result<Registered, String>> {
    let list: Vec<&Value> = values.iter().collect();
    let (name, callback, flags, description) = match list.as_slice() {
        [Value::Table(table)] => {
            let mut fields = (Value::Nil, Value::Nil, Value::Nil, Value::Nil);
            for pair in table.pairs::<Value, Value>() {
                let (key, value) = pair?;
                let Value::String(key) = key else {
                    return Ok(Err(
                        "ERR named argument key given to redis.register_function is not a string".into(),
                    ));
                };
                match &*key.as_bytes() {
                    b"function_name" => fields.0 = value,
                    b"callback" => fields.1 = value,
                    b"flags" => fields.2 = value,
                    b"description" => fields.3 = value,
                    _ => {
                        return Ok(Err("ERR unknown argument given to redis.register_function".into()));
                    }
                }
            }
            fields
        }
        [name, _] if !matches!(name, Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
            return Ok(Err("ERR first argument to redis.register_function must be a string".into()));
        }
        [_, callback] if !callback.is_function() => {
            return Ok(Err("ERR second argument to redis.register_function must be a function".into()));
        }
        [name, callback] => ((*name).clone(), (*callback).clone(), Value::Nil, Value::Nil),
        [_] => {
            return Ok(Err(
                "ERR calling redis.register_function with a single argument is only applicable to Lua table \
                 (representing named arguments)."
                    .into(),
            ));
        }
        _ => return Ok(Err("ERR wrong number of arguments to redis.register_function".into())),
    };
    Ok(function(&name, callback, &flags, &description))
}

fn function(name: &Value, callback: Value, flags: &Value, description: &Value) -> Result<Registered, String> {
    let name = match name {
        Value::String(name) => name.as_bytes().to_vec(),
        Value::Nil => return Err("ERR redis.register_function must get a function name argument".into()),
        _ => {
            return Err("ERR function_name argument given to redis.register_function must be a string".into());
        }
    };
    if !is_name(&name) {
        return Err(format!("ERR {BAD_NAME}"));
    }
    let callback = match callback {
        Value::Function(callback) => callback,
        Value::Nil => return Err("ERR redis.register_function must get a callback argument".into()),
        _ => {
            return Err("ERR callback argument given to redis.register_function must be a function".into());
        }
    };
    let description = match description {
        Value::Nil => None,
        Value::String(text) => Some(text.as_bytes().to_vec()),
        _ => {
            return Err("ERR description argument given to redis.register_function must be a string".into());
        }
    };
    let mut known = Flags { are_declared: true, ..Flags::default() };
    match flags {
        Value::Nil => {}
        Value::Table(table) => {
            for flag in table.sequence_values::<Value>() {
                let flag = flag.map_err(|error| error.to_string())?;
                let Value::String(flag) = flag else { return Err("ERR unknown flag given".into()) };
                match known.named(&flag.as_bytes()) {
                    Some(known) => *known = true,
                    None => return Err("ERR unknown flag given".into()),
                }
            }
        }
        _ => {
            let text = "ERR flags argument to redis.register_function must be a table representing function \
                        flags";
            return Err(text.into());
        }
    }
    Ok(Registered { name, description, flags: known, callback })
}

/// Whether a library or a function may be called so.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Functions that ask nothing of a host. They stay in a state.
pub(crate) fn install(lua: &Lua, hosted: &Table) -> mlua::Result<()> {
    let nothing = lua.create_function(|_, _: MultiValue| said(Value::Nil))?;
    hosted.raw_set("breakpoint", &nothing)?;
    hosted.raw_set("debug", &nothing)?;
    let yes = lua.create_function(|_, _: MultiValue| said(Value::Boolean(true)))?;
    hosted.raw_set("replicate_commands", yes)?;
    hosted.raw_set("log", lua.create_function(|lua, args| log(lua, &args))?)?;
    hosted.raw_set("set_repl", lua.create_function(|lua, args| set_repl(lua, &args))?)?;
    hosted.raw_set("sha1hex", lua.create_function(|lua, args| sha1hex(lua, &args))?)?;
    hosted.raw_set("error_reply", lua.create_function(|lua, args| error_reply(lua, &args))?)?;
    hosted.raw_set("status_reply", lua.create_function(|lua, args| status_reply(lua, &args))?)
}

/// Every copy would write it: so none does.
fn log(lua: &Lua, values: &MultiValue) -> Said {
    if values.len() < 2 {
        return failed(lua, "ERR redis.log() requires two arguments or more.");
    }
    match f64::from_lua(values[0].clone(), lua) {
        Ok(0.0 | 1.0 | 2.0 | 3.0) => said(Value::Nil),
        Ok(_) => failed(lua, "ERR Invalid debug level."),
        Err(_) => failed(lua, "ERR First argument must be a number (log level)."),
    }
}

/// Whatever a script does is replicated, because it is executed everywhere.
fn set_repl(lua: &Lua, values: &MultiValue) -> Said {
    if values.len() != 1 {
        return failed(lua, "ERR redis.set_repl() requires one argument.");
    }
    match f64::from_lua(values[0].clone(), lua) {
        Ok(0.0 | 1.0 | 2.0 | 3.0) => said(Value::Nil),
        _ => failed(lua, "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
    }
}

fn sha1hex(lua: &Lua, values: &MultiValue) -> Said {
    if values.len() != 1 {
        return failed(lua, "ERR wrong number of arguments");
    }
    let text = match &values[0] {
        // As Lua writes a number.
        Value::Integer(_) | Value::Number(_) => {
            lua.coerce_string(values[0].clone())?.map_or_else(Vec::new, |text| text.as_bytes().to_vec())
        }
        value => Arg::of(value).map_or_else(Vec::new, |arg| arg.bytes().to_vec()),
    };
    said(Value::String(lua.create_string(crate::name_of(&text))?))
}

fn error_reply(lua: &Lua, values: &MultiValue) -> Said {
    let Some(text) = one_text(values) else { return wrong_arguments(lua) };
    let text = line(&text);
    // A code is a word before a space; without one there is a general one.
    let text = match text.strip_prefix('-') {
        Some(text) => text.to_owned(),
        None if text.contains(' ') => text,
        None => format!("ERR {text}"),
    };
    said(field(lua, "err", text)?)
}

fn status_reply(lua: &Lua, values: &MultiValue) -> Said {
    let Some(text) = one_text(values) else { return wrong_arguments(lua) };
    said(field(lua, "ok", text)?)
}

fn one_text(values: &MultiValue) -> Option<Vec<u8>> {
    match values.front() {
        Some(Value::String(text)) if values.len() == 1 => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn wrong_arguments(lua: &Lua) -> Said {
    said(field(lua, "err", "ERR wrong number or type of arguments")?)
}
