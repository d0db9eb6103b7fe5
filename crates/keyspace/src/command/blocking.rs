//! Which commands may wait.

use super::{Spec, lookup};
use crate::number::is_word;

/// Whether a command is one that may wait, with the right arguments.
#[must_use]
pub fn is_blocking(spec: &Spec) -> bool {
    always_waits(spec) || matches!(spec.name, "xread" | "xreadgroup")
}

fn always_waits(spec: &Spec) -> bool {
    matches!(
        spec.name,
        "blpop" | "brpop" | "blmove" | "brpoplpush" | "blmpop" | "bzpopmin" | "bzpopmax" | "bzmpop"
    )
}

/// Whether a command with these arguments, of which the first is its name, waits if it finds nothing.
#[must_use]
pub fn may_wait(spec: &Spec, args: &[&[u8]]) -> bool {
    match (spec.name, args) {
        ("once", [_, _, name, ..]) => {
            let inner = lookup(name).filter(|inner| inner.name != "once");
            inner.is_some_and(|inner| may_wait(inner, &args[2..]))
        }
        ("xread" | "xreadgroup", _) => {
            let mut options = args.iter().take_while(|arg| !is_word(arg, "STREAMS"));
            options.any(|arg| is_word(arg, "BLOCK"))
        }
        _ => always_waits(spec),
    }
}
