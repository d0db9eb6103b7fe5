//! Functions of numbers, computed alike everywhere: C libraries do not agree about their last bits.

use mlua::{Function, Lua, Table};

/// A function of one number.
type OfOne = fn(f64) -> f64;

/// Puts the functions into the table `math` of a state.
pub(crate) fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    let (math, numeric): (Table, Function) = (globals.get("math")?, globals.get("numeric")?);
    let one: [(&str, OfOne); 12] = [
        ("sin", libm::sin),
        ("cos", libm::cos),
        ("tan", libm::tan),
        ("asin", libm::asin),
        ("acos", libm::acos),
        ("atan", libm::atan),
        ("sinh", libm::sinh),
        ("cosh", libm::cosh),
        ("tanh", libm::tanh),
        ("exp", libm::exp),
        ("log", libm::log),
        ("log10", libm::log10),
    ];
    for (name, function) in one {
        let function = lua.create_function(move |_, x: f64| Ok(function(x)))?;
        math.set(name, numeric.call::<Function>((function, 1))?)?;
    }
    let atan2 = lua.create_function(|_, (y, x): (f64, f64)| Ok(libm::atan2(y, x)))?;
    math.set("atan2", numeric.call::<Function>((atan2, 2))?)
}
