//! What a command replied, as scripts see it: Redis' conversions, of both protocols.

use mlua::{Lua, Table, Value};

/// Turns the first reply into a value; what comes after it. None: it is no reply.
pub(crate) fn value<'r>(lua: &Lua, reply: &'r [u8]) -> Option<mlua::Result<(Value, &'r [u8])>> {
    let end = reply.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, line) = reply[..end].split_first()?;
    let rest = &reply[end + 2..];
    Some(match kind {
        b'+' => field(lua, "ok", line).map(|value| (value, rest)),
        b'-' => field(lua, "err", line).map(|value| (value, rest)),
        b':' => Ok((Value::Number(text(line)?.parse().ok()?), rest)),
        b'_' => Ok((Value::Nil, rest)),
        b'#' => Ok((Value::Boolean(line == b"t"), rest)),
        b',' => double(lua, text(line)?.parse().ok()?).map(|value| (value, rest)),
        b'(' => field(lua, "big_number", line).map(|value| (value, rest)),
        b'$' | b'*' if line == b"-1" => Ok((Value::Boolean(false), rest)),
        b'$' => {
            let length: usize = text(line)?.parse().ok()?;
            let (bytes, rest) = (rest.get(..length)?, rest.get(length + 2..)?);
            lua.create_string(bytes).map(|string| (Value::String(string), rest))
        }
        b'=' => {
            let length: usize = text(line)?.parse().ok()?;
            let (bytes, rest) = (rest.get(..length)?, rest.get(length + 2..)?);
            verbatim(lua, bytes.get(..3)?, bytes.get(4..)?).map(|value| (value, rest))
        }
        b'*' | b'>' => return array(lua, text(line)?.parse().ok()?, rest),
        b'%' => return map(lua, text(line)?.parse().ok()?, rest),
        b'~' => return set(lua, text(line)?.parse().ok()?, rest),
        _ => return None,
    })
}

/// Passes on what went wrong.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Some(Err(error)),
        }
    };
}

fn text(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()
}

fn field(lua: &Lua, name: &str, bytes: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, lua.create_string(bytes)?)?;
    Ok(Value::Table(table))
}

fn double(lua: &Lua, number: f64) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set("double", number)?;
    Ok(Value::Table(table))
}

fn verbatim(lua: &Lua, format: &[u8], bytes: &[u8]) -> mlua::Result<Value> {
    let inner = lua.create_table_with_capacity(0, 2)?;
    inner.raw_set("string", lua.create_string(bytes)?)?;
    inner.raw_set("format", lua.create_string(format)?)?;
    within(lua, "verbatim_string", inner)
}

fn within(lua: &Lua, name: &str, inner: Table) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, inner)?;
    Ok(Value::Table(table))
}

fn array<'r>(lua: &Lua, count: usize, mut rest: &'r [u8]) -> Option<mlua::Result<(Value, &'r [u8])>> {
    // No element is shorter than three bytes.
    let table = attempt!(lua.create_table_with_capacity(count.min(rest.len() / 3), 0));
    for position in 1..=count {
        let (element, after) = attempt!(value(lua, rest)?);
        attempt!(table.raw_seti(position, element));
        rest = after;
    }
    Some(Ok((Value::Table(table), rest)))
}

fn map<'r>(lua: &Lua, count: usize, mut rest: &'r [u8]) -> Option<mlua::Result<(Value, &'r [u8])>> {
    let inner = attempt!(lua.create_table_with_capacity(0, count.min(rest.len() / 6)));
    for _ in 0..count {
        let (key, after) = attempt!(value(lua, rest)?);
        let (element, after) = attempt!(value(lua, after)?);
        attempt!(inner.raw_set(key, element));
        rest = after;
    }
    Some(within(lua, "map", inner).map(|value| (value, rest)))
}

fn set<'r>(lua: &Lua, count: usize, mut rest: &'r [u8]) -> Option<mlua::Result<(Value, &'r [u8])>> {
    let inner = attempt!(lua.create_table_with_capacity(0, count.min(rest.len() / 3)));
    for _ in 0..count {
        let (element, after) = attempt!(value(lua, rest)?);
        attempt!(inner.raw_set(element, true));
        rest = after;
    }
    Some(within(lua, "set", inner).map(|value| (value, rest)))
}
