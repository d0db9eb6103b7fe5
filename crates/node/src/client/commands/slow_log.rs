//! `SLOWLOG`: which commands took long.

use onecopy_resp::Writer;

use super::{help, lower, misfit, parse};
use crate::client::Clients;

/// So many are shown unless somebody says.
const SHOWN: usize = 10;

/// `SLOWLOG GET|LEN|RESET|HELP`
pub(super) fn slow_log(clients: &Clients, args: &[&[u8]], reply: &mut Writer<'_>) -> Result<(), String> {
    let mut log = clients.knowledge.records.slow();
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"get", options @ ([] | [_])) => {
            let count = match options.first() {
                None => SHOWN,
                Some(count) => match parse::<i64>(count) {
                    Some(-1) => usize::MAX,
                    Some(count @ 0..) => usize::try_from(count).unwrap_or(usize::MAX),
                    _ => return Err("ERR count should be greater than or equal to -1".to_owned()),
                },
            };
            let entries = log.newest(count);
            reply.array(entries.len());
            for slow in entries {
                reply.array(6);
                let numbers = [slow.id, slow.time, u64::try_from(slow.took.as_micros()).unwrap_or(u64::MAX)];
                numbers.iter().for_each(|number| reply.integer(i64::try_from(*number).unwrap_or(i64::MAX)));
                reply.array(slow.args.len());
                slow.args.iter().for_each(|arg| reply.bulk(arg));
                reply.bulk(slow.address.as_bytes());
                reply.bulk(slow.client.as_bytes());
            }
        }
        (b"len", []) => reply.length(log.len()),
        (b"reset", []) => {
            log.clear();
            reply.ok();
        }
        (b"help", []) => help::reply(help::SLOWLOG, reply),
        _ => return misfit("SLOWLOG", args),
    }
    Ok(())
}
