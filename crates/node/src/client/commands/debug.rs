//! `DEBUG`: the harmless parts that test suites use.

use std::time::Duration;

use onecopy_resp::Writer;

use super::{help, lower, parse};

/// Nobody sleeps for longer.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

/// `DEBUG SET-ACTIVE-EXPIRE|HELP`; all else but `SLEEP` is refused.
pub(super) fn debug(args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"set-active-expire", [word]) if parse::<i64>(word).is_some() => reply.ok(),
        (b"help", []) => help::reply(help::DEBUG, reply),
        _ => {
            let word = String::from_utf8_lossy(args.first().copied().unwrap_or_default()).into_owned();
            return Err(format!(
                "ERR DEBUG {word} is not supported: it would look into the parts of another server, or break this one. Try \
                 DEBUG HELP."
            ));
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
