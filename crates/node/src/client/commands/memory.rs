//! `MEMORY`, but for `USAGE`, which the state machine answers.

use onecopy_core::GroupId;
use onecopy_resp::Writer;

use super::{help, lower, misfit};
use crate::client::Clients;
use crate::client::info::{data_bytes, log_bytes, resident};

/// `MEMORY STATS|DOCTOR|PURGE|MALLOC-STATS|HELP`
pub(super) fn memory(
    clients: &Clients,
    group: GroupId,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    match (lower(args.first()).as_slice(), &args[1..]) {
        (b"stats", []) => stats(clients, group, reply),
        (b"doctor", []) => reply.verbatim(doctor(clients).as_bytes()),
        (b"purge", []) => reply.ok(),
        (b"malloc-stats", []) => reply.verbatim(b"The allocator (mimalloc) keeps no statistics here.\n"),
        (b"help", []) => help::reply(help::MEMORY, reply),
        _ => return misfit("MEMORY", args),
    }
    Ok(())
}

fn stats(clients: &Clients, group: GroupId, reply: &mut Writer<'_>) {
    let (data, log, resident) = (data_bytes(clients), log_bytes(clients), resident());
    let status = clients.knowledge.data.replica(group);
    let keys: u64 = status.iter().flat_map(|replica| &replica.databases).map(|(_, keys, _)| *keys).sum();
    let clients_bytes = (clients.budget.used() + clients.replies.used()) as u64;
    let numbers = [
        ("total.allocated", data + log),
        ("startup.allocated", 0),
        ("replication.backlog", log),
        ("clients.slaves", 0),
        ("clients.normal", clients_bytes),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("keys.count", keys),
        ("keys.bytes-per-key", data.checked_div(keys).unwrap_or(0)),
        ("dataset.bytes", data),
        ("allocator.resident", resident),
    ];
    let ratio = if data + log == 0 { 0.0 } else { resident as f64 / (data + log) as f64 };
    reply.map(numbers.len() + 1);
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
    }
    reply.bulk(b"fragmentation");
    reply.double(ratio);
}

fn doctor(clients: &Clients) -> String {
    let (data, log, resident) = (data_bytes(clients), log_bytes(clients), resident());
    let maximum = clients.policy().parameters.maxmemory;
    let limit = match maximum {
        0 => "there is no limit (maxmemory)".to_owned(),
        maximum => format!("{} % of maxmemory", data.saturating_mul(100) / maximum),
    };
    format!(
        "The data of this node has {data} bytes, {limit}; its log has {log} bytes in memory, and the process occupies \
         {resident} bytes.\n"
    )
}
