//! `INFO` and `ROLE`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use onecopy_core::GroupId;
use onecopy_resp::Writer;
use onecopy_views::MAIN;

use super::Clients;
use crate::status::ReplicaStatus;

/// The version of Redis whose commands and replies are followed. Clients choose their commands by it.
pub(crate) const REDIS_VERSION: &str = "7.2.0";

type Section = (&'static str, fn(&Clients, &mut String) -> std::fmt::Result);

const SECTIONS: [Section; 7] = [
    ("server", server),
    ("clients", clients_section),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("keyspace", keyspace),
];

/// `INFO [section …]`
pub(crate) fn info(clients: &Clients, sections: &[&[u8]]) -> String {
    let wanted = |name: &str| {
        let all = [&b"all"[..], b"default", b"everything"];
        sections.is_empty()
            || sections.iter().any(|section| {
                section.eq_ignore_ascii_case(name.as_bytes())
                    || all.iter().any(|all| section.eq_ignore_ascii_case(all))
            })
    };
    let mut text = String::new();
    for (name, write) in SECTIONS.into_iter().filter(|(name, _)| wanted(name)) {
        let separator = if text.is_empty() { "" } else { "\r\n" };
        let mut title = name.to_owned();
        title[..1].make_ascii_uppercase();
        text.push_str(&format!("{separator}# {title}\r\n"));
        write(clients, &mut text).expect("a string takes everything");
    }
    text
}

/// `ROLE`
pub(crate) fn role(clients: &Clients, group: GroupId, reply: &mut Writer<'_>) {
    let committed = replica(clients, group).map_or(0, |replica| replica.commit);
    reply.array(3);
    // Every node takes reads and writes, so to a client every node is a master.
    reply.bulk(b"master");
    reply.integer(i64::try_from(committed).unwrap_or(i64::MAX));
    reply.array(0);
}

/// How many copies of a group there are beside the primary's.
pub(crate) fn backups(clients: &Clients, group: GroupId) -> i64 {
    let view = clients.knowledge.data.cached_view(group);
    view.map_or(0, |view| i64::try_from(view.backups().count()).unwrap_or(i64::MAX))
}

fn replica(clients: &Clients, group: GroupId) -> Option<ReplicaStatus> {
    clients.knowledge.data.replica(group)
}

fn server(clients: &Clients, text: &mut String) -> std::fmt::Result {
    let uptime = clients.knowledge.uptime_seconds();
    write!(
        text,
        "redis_version:{REDIS_VERSION}\r\nonecopy_version:{}\r\nredis_mode:standalone\r\nos:{} {}\r\narch_bits:64\r\n\
         process_id:{}\r\nrun_id:{:040x}\r\ntcp_port:{}\r\nuptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\n\
         onecopy_node:{}\r\nonecopy_cluster:{}\r\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        std::process::id(),
        clients.knowledge.incarnation().0,
        clients.config.redis.port(),
        uptime / 86_400,
        clients.config.node,
        clients.config.cluster,
    )
}

fn clients_section(clients: &Clients, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "connected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:{}\r\nonecopy_pipeline_bytes:{}\r\n",
        clients.register.count(),
        clients.config.limits.clients,
        clients.register.blocked_count(),
        clients.budget.used(),
    )
}

/// Bytes of memory that the process occupies; 0 where the operating system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn memory(clients: &Clients, text: &mut String) -> std::fmt::Result {
    let replicas = clients.knowledge.data.replicas();
    let data: u64 = replicas.iter().map(|replica| replica.memory_bytes).sum();
    let log: u64 = replicas.iter().map(|replica| replica.log_bytes).sum();
    write!(
        text,
        "used_memory:{}\r\nused_memory_dataset:{data}\r\nused_memory_rss:{}\r\nmaxmemory:{}\r\n\
         maxmemory_policy:noeviction\r\nonecopy_log_bytes:{log}\r\n",
        data + log,
        resident(),
        clients.config.maxmemory,
    )
}

fn persistence(clients: &Clients, text: &mut String) -> std::fmt::Result {
    let stats = clients.knowledge.journal.stats();
    let failure = clients.knowledge.journal.failure();
    write!(
        text,
        "loading:0\r\naof_enabled:1\r\naof_last_write_status:{}\r\nonecopy_log_segments:{}\r\n\
         onecopy_log_disk_bytes:{}\r\nonecopy_log_syncs:{}\r\n",
        if failure.is_none() { "ok" } else { "err" },
        stats.segments,
        stats.bytes,
        stats.syncs,
    )
}

fn stats(clients: &Clients, text: &mut String) -> std::fmt::Result {
    let counters = &clients.knowledge.data.clients;
    // Those that this node's clients listen to: what all nodes' clients do is known to `PUBSUB`.
    let [channels, patterns, shards] = clients.hub.names();
    write!(
        text,
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\ntotal_net_input_bytes:{}\r\n\
         total_net_output_bytes:{}\r\nrejected_connections:{}\r\ntotal_error_replies:{}\r\n\
         pubsub_channels:{channels}\r\npubsub_patterns:{patterns}\r\npubsubshard_channels:{shards}\r\n",
        counters.accepted.load(Ordering::Relaxed),
        counters.commands.load(Ordering::Relaxed),
        counters.bytes_in.load(Ordering::Relaxed),
        counters.bytes_out.load(Ordering::Relaxed),
        counters.rejected.load(Ordering::Relaxed),
        counters.errors.load(Ordering::Relaxed),
    )
}

fn replication(clients: &Clients, text: &mut String) -> std::fmt::Result {
    // To a client every node is a master; what it is to the others stands in the fields of our own.
    write!(text, "role:master\r\nconnected_slaves:0\r\n")?;
    replication_of_main(clients, text)?;
    let table = clients.knowledge.table();
    for (group, database) in table.databases().skip(1) {
        let Some(view) = clients.knowledge.data.cached_view(group) else { continue };
        let role = replica(clients, group).map_or("coordinator".to_owned(), |replica| replica.role);
        write!(
            text,
            "onecopy_group_{}:database={database},view={},primary={},role={role}\r\n",
            group.0, view.number.0, view.primary.0
        )?;
    }
    Ok(())
}

fn replication_of_main(clients: &Clients, text: &mut String) -> std::fmt::Result {
    if let Some(view) = clients.knowledge.data.cached_view(MAIN) {
        let backups: Vec<String> = view.backups().map(|member| member.node.0.to_string()).collect();
        let learners: Vec<String> = view.learners.iter().map(|member| member.node.0.to_string()).collect();
        write!(
            text,
            "onecopy_view:{}\r\nonecopy_primary:{}\r\nonecopy_backups:{}\r\nonecopy_learners:{}\r\n",
            view.number.0,
            view.primary.0,
            backups.join(","),
            learners.join(","),
        )?;
    }
    match replica(clients, MAIN) {
        Some(replica) => {
            let (command, busy_ms) =
                replica.busy.map_or_else(Default::default, |it| (it.command, it.busy_ms));
            write!(
                text,
                "onecopy_role:{}\r\nmaster_repl_offset:{}\r\nonecopy_view_changes:{}\r\n\
                 onecopy_executed:{}\r\nonecopy_busy_command:{command}\r\nonecopy_busy_ms:{busy_ms}\r\n",
                replica.role, replica.commit, replica.view_changes, replica.executed
            )
        }
        None => write!(text, "onecopy_role:coordinator\r\n"),
    }
}

fn keyspace(clients: &Clients, text: &mut String) -> std::fmt::Result {
    let table = clients.knowledge.table();
    for replica in clients.knowledge.data.replicas() {
        let Some(database) = table.database(GroupId(replica.group)) else { continue };
        for (local, keys, expires) in replica.databases {
            let number = database.global(local);
            write!(text, "db{number}:keys={keys},expires={expires},avg_ttl=0\r\n")?;
        }
    }
    Ok(())
}
