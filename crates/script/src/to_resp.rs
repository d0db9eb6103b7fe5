//! What a script returns, as a reply: Redis' conversions.

use mlua::{Table, Value};
use onecopy_resp::{Version, Writer};

/// Values may be so deep within each other. Redis has such a limit too; ours keeps the stack small.
const DEPTH_MAX: usize = 100;
/// To find out what a table stands for costs so many steps.
const TABLE: usize = 40;

/// Writes a value, for a script that speaks this protocol with its commands. Each element is paid for: a
/// table may stand in many places.
pub(crate) fn write(
    value: &Value,
    version: Version,
    reply: &mut Writer<'_>,
    pay: &dyn Fn(usize) -> mlua::Result<()>,
) -> mlua::Result<()> {
    Writing { version, reply, pay, depth: 0 }.value(value)
}

struct Writing<'w, 'o> {
    version: Version,
    reply: &'w mut Writer<'o>,
    pay: &'w dyn Fn(usize) -> mlua::Result<()>,
    depth: usize,
}

impl Writing<'_, '_> {
    fn value(&mut self, value: &Value) -> mlua::Result<()> {
        (self.pay)(if value.is_table() { TABLE } else { 1 })?;
        match value {
            Value::String(string) => self.reply.bulk(&string.as_bytes()),
            Value::Integer(number) => self.reply.integer(*number),
            Value::Number(number) => self.reply.integer(integer(*number)),
            Value::Boolean(boolean) if self.version == Version::Three => self.reply.boolean(*boolean),
            Value::Boolean(true) => self.reply.integer(1),
            Value::Table(_) if self.depth >= DEPTH_MAX => self.reply.error("ERR reached lua stack limit"),
            Value::Table(table) => {
                self.depth += 1;
                self.table(table)?;
                self.depth -= 1;
            }
            _ => self.reply.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> mlua::Result<()> {
        if let Value::String(text) = table.raw_get("err")? {
            self.reply.error(&line(&text.as_bytes()));
        } else if let Value::String(text) = table.raw_get("ok")? {
            self.reply.simple(&line(&text.as_bytes()));
        } else if let Some(number) = number(&table.raw_get("double")?) {
            self.reply.double(number);
        } else if let Value::Table(map) = table.raw_get("map")? {
            self.reply.map(count(&map)?);
            return map.for_each(|key: Value, element: Value| {
                self.value(&key)?;
                self.value(&element)
            });
        } else if let Value::Table(set) = table.raw_get("set")? {
            self.reply.set(count(&set)?);
            return set.for_each(|element: Value, _: Value| self.value(&element));
        } else if let Value::String(digits) = table.raw_get("big_number")? {
            self.reply.big_number(&line(&digits.as_bytes()));
        } else if let Some(text) = verbatim(&table.raw_get("verbatim_string")?)? {
            self.reply.verbatim(&text.as_bytes());
        } else {
            return self.array(table);
        }
        Ok(())
    }

    /// Up to the first nil.
    fn array(&mut self, table: &Table) -> mlua::Result<()> {
        let mut length = 0;
        while !table.raw_get::<Value>(length + 1)?.is_nil() {
            length += 1;
        }
        self.reply.array(length);
        for position in 1..=length {
            self.value(&table.raw_get(position)?)?;
        }
        Ok(())
    }
}

/// What fits into no integer becomes what it does in Lua.
fn integer(number: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // in range
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

fn number(value: &Value) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // it was a double
    match value {
        Value::Number(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

fn count(table: &Table) -> mlua::Result<usize> {
    let mut count = 0;
    table.for_each(|_: Value, _: Value| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

fn verbatim(value: &Value) -> mlua::Result<Option<mlua::LuaString>> {
    let Value::Table(table) = value else { return Ok(None) };
    match (table.raw_get("format")?, table.raw_get("string")?) {
        (Value::String(_), Value::String(text)) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// On one line.
pub(crate) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}
