//! `DEBUG`: the harmless parts that test suites use.

use std::time::Duration;

use onecopy_resp::{Version, Writer};
use tracing::info;

use super::{help, lower, misfit, parse};

/// So many bytes of a text are logged.
const LOGGED_MAX: usize = 1024;
/// Nobody sleeps for longer.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// What tests say to Redis about its own parts. There are none such here, so it changes nothing.
const WITHOUT_EFFECT: &[&str] = &[
    "change-repl-id",
    "dict-resizing",
    "quicklist-packed-threshold",
    "replybuffer",
    "set-active-expire",
    "set-disable-deny-scripts",
];

/// What `DEBUG` does at the node; the rest is about data, or takes its time.
pub(super) fn debug(args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let word = lower(args.first());
    match (word.as_slice(), &args[1..]) {
        (word, _) if WITHOUT_EFFECT.iter().any(|known| known.as_bytes() == word) => reply.ok(),
        (b"help", []) => help::reply(help::DEBUG, reply),
        (b"error", [text]) => return Err(String::from_utf8_lossy(text).into_owned()),
        (b"log", [text]) => {
            info!(text = %text[..text.len().min(LOGGED_MAX)].escape_ascii(), "DEBUG LOG");
            reply.ok();
        }
        (b"protocol", [kind]) => protocol(kind, reply)?,
        // All else would look into the parts of another server, or break this one.
        _ => return misfit("DEBUG", args),
    }
    Ok(())
}

/// A reply of each kind, for those who test how clients read them.
#[expect(clippy::approx_constant, reason = "the number that Redis gives")]
fn protocol(kind: &[u8], reply: &mut Writer<'_>) -> Result<(), String> {
    let is_new = reply.version() == Version::Three;
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double(3.141),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            if is_new {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if is_new => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"push" => return Err("ERR RESP2 is not supported by this command".to_owned()),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"verbatim" => reply.verbatim(b"This is a verbatim\nstring"),
        _ => {
            return Err("ERR Wrong protocol type name. Please use one of the following: \
                        string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
                .to_owned());
        }
    }
    Ok(())
}

/// How long the connection sleeps that has asked for this, if it is `DEBUG SLEEP`.
pub(in crate::client) fn sleep_time(args: &[&[u8]]) -> Option<Duration> {
    let [name, word, seconds] = args else { return None };
    let sleeps = name.eq_ignore_ascii_case(b"debug") && word.eq_ignore_ascii_case(b"sleep");
    // What is no number is no time, as in Redis.
    let seconds = parse::<f64>(seconds).unwrap_or_default();
    sleeps.then(|| Duration::try_from_secs_f64(seconds).unwrap_or_default().min(SLEEP_MAX))
}
