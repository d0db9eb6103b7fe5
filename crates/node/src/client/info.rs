//! `INFO` and `ROLE`.

mod statistics;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use onecopy_core::GroupId;
use onecopy_resp::Writer;
use onecopy_views::MAIN;

use super::Clients;
use super::databases::Databases;
use super::role::{self, Role};
use super::session::Session;
use crate::records::time_of_day;
use crate::status::{KeyCounts, ReplicaStatus};

/// The version of Redis whose commands and replies are followed. Clients choose their commands by it.
pub(crate) const REDIS_VERSION: &str = "7.2.0";

type Section = (&'static str, fn(&Clients, &Session, &mut String) -> std::fmt::Result);

const SECTIONS: [Section; 13] = [
    ("server", server),
    ("clients", clients_section),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cpu", cpu),
    ("modules", |_, _, _| Ok(())),
    ("commandstats", statistics::commands),
    ("errorstats", statistics::errors),
    ("latencystats", statistics::latency),
    ("cluster", cluster),
    ("keyspace", keyspace),
];
/// What is shown only to those who ask for it, or for `all`.
const ON_REQUEST: [&str; 2] = ["commandstats", "latencystats"];
/// What a copy is that has everything, or nearly so.
const HELD: [&str; 3] = ["primary", "backup", "copy"];

/// Whether `INFO [section …]` tells of this one.
pub(crate) fn tells_of(name: &str, sections: &[&[u8]]) -> bool {
    let asks = |name: &str| sections.iter().any(|section| section.eq_ignore_ascii_case(name.as_bytes()));
    let is_default = (sections.is_empty() || asks("default")) && !ON_REQUEST.contains(&name);
    is_default || asks("all") || asks("everything") || asks(name)
}

/// `INFO [section …]`. `elsewhere` has how many keys there are by the numbers of databases of which this
/// node has no copy.
pub(crate) fn info(
    clients: &Clients,
    session: &Session,
    sections: &[&[u8]],
    elsewhere: &[(u16, u64)],
) -> String {
    let mut text = String::new();
    for (name, write) in SECTIONS.into_iter().filter(|(name, _)| tells_of(name, sections)) {
        let separator = if text.is_empty() { "" } else { "\r\n" };
        let title = if name == "cpu" { "CPU".to_owned() } else { capitalised(name) };
        text.push_str(&format!("{separator}# {title}\r\n"));
        write(clients, session, &mut text).expect("a string takes everything");
        for (number, keys) in elsewhere.iter().filter(|_| name == "keyspace") {
            text.push_str(&format!("db{number}:keys={keys},expires=0,avg_ttl=0\r\n"));
        }
    }
    text
}

/// Whether this node has a copy of a group that it can tell the numbers of.
pub(crate) fn has_copy(clients: &Clients, group: GroupId) -> bool {
    replica(clients, group).is_some_and(|replica| HELD.contains(&replica.role.as_str()))
}

fn capitalised(name: &str) -> String {
    let mut title = name.to_owned();
    title[..1].make_ascii_uppercase();
    title
}

/// `ROLE`
pub(crate) fn role(clients: &Clients, session: &Session, reply: &mut Writer<'_>) {
    let offset = offset(clients, session.selected.group);
    let committed = i64::try_from(offset).unwrap_or(i64::MAX);
    match role::role(clients, session) {
        Role::Master(backups) => {
            reply.array(3);
            reply.bulk(b"master");
            reply.integer(committed);
            reply.array(backups.len());
            for (host, port) in backups {
                reply.array(3);
                reply.bulk(host.as_bytes());
                reply.bulk(port.to_string().as_bytes());
                reply.bulk(offset.to_string().as_bytes());
            }
        }
        Role::Slave(host, port) => {
            reply.array(5);
            reply.bulk(b"slave");
            reply.bulk(host.as_bytes());
            reply.integer(port.into());
            reply.bulk(b"connected");
            reply.integer(committed);
        }
    }
}

/// How many copies of a group there are beside the primary's: what `WAIT` answers, and `ROLE` and `INFO` too.
pub(crate) fn backups(clients: &Clients, group: GroupId) -> i64 {
    let count = clients.knowledge.view(group).map_or(0, |view| view.backups().count());
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How far a group is: what every member has.
fn offset(clients: &Clients, group: GroupId) -> u64 {
    replica(clients, group).map_or(0, |replica| replica.commit)
}

fn replica(clients: &Clients, group: GroupId) -> Option<ReplicaStatus> {
    clients.knowledge.data.replica(group)
}

fn server(clients: &Clients, session: &Session, text: &mut String) -> std::fmt::Result {
    let uptime = clients.knowledge.uptime_seconds();
    let executable = std::env::current_exe().unwrap_or_default();
    write!(
        text,
        "redis_version:{REDIS_VERSION}\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:0\r\n\
         onecopy_version:{}\r\nredis_mode:{}\r\nos:{} {}\r\narch_bits:64\r\nmultiplexing_api:epoll\r\n\
         process_id:{}\r\nprocess_supervised:no\r\nrun_id:{:040x}\r\ntcp_port:{}\r\nserver_time_usec:{}\r\n\
         uptime_in_seconds:{uptime}\r\nuptime_in_days:{}\r\nhz:10\r\nconfigured_hz:10\r\nlru_clock:{}\r\n\
         executable:{}\r\nconfig_file:\r\nio_threads_active:0\r\nonecopy_node:{}\r\nonecopy_cluster:{}\r\n",
        env!("CARGO_PKG_VERSION"),
        session.front.mode(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        std::process::id(),
        clients.knowledge.incarnation().0,
        session.front.address.port(),
        time_of_day().as_micros(),
        uptime / 86_400,
        // Seconds in 24 bits, as Redis counts them.
        time_of_day().as_secs() & 0xff_ffff,
        executable.display(),
        clients.config.node,
        clients.config.cluster,
    )
}

fn clients_section(clients: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    write!(
        text,
        "connected_clients:{}\r\ncluster_connections:0\r\nmaxclients:{}\r\nclient_recent_max_input_buffer:0\r\n\
         client_recent_max_output_buffer:0\r\nblocked_clients:{}\r\ntracking_clients:{}\r\n\
         clients_in_timeout_table:0\r\nonecopy_pipeline_bytes:{}\r\n",
        clients.register.count(),
        clients.policy().parameters.clients_max,
        clients.register.blocked_count(),
        clients.caches.counts().clients,
        clients.budget.used(),
    )
}

/// Bytes of memory that the process occupies; 0 where the operating system does not say.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Bytes of memory that the machine has; 0 where the operating system does not say.
fn installed() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Bytes of the states of all groups on this node.
pub(crate) fn data_bytes(clients: &Clients) -> u64 {
    clients.knowledge.data.replicas().iter().map(|replica| replica.memory_bytes).sum()
}

/// What has become of keys at all copies on this node.
pub(crate) fn key_counts(clients: &Clients) -> KeyCounts {
    let replicas = clients.knowledge.data.replicas();
    replicas.iter().fold(KeyCounts::default(), |sum, replica| sum.combined(replica.counts, |a, b| a + b))
}

/// How many removed values wait to be freed.
fn freed_later(clients: &Clients) -> u64 {
    clients.knowledge.data.replicas().iter().map(|replica| replica.freed_later).sum()
}

/// Bytes of their logs in memory.
pub(crate) fn log_bytes(clients: &Clients) -> u64 {
    clients.knowledge.data.replicas().iter().map(|replica| replica.log_bytes).sum()
}

/// As people read it.
fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T"];
    let power = (bytes.max(1).ilog2() / 10).min(4);
    match power {
        0 => format!("{bytes}B"),
        power => {
            format!("{:.2}{}", bytes as f64 / f64::from(1 << 10).powi(power as i32), units[power as usize])
        }
    }
}

fn memory(clients: &Clients, session: &Session, text: &mut String) -> std::fmt::Result {
    let replica = replica(clients, session.selected.group).unwrap_or_default();
    let (data, log, resident, installed) = (data_bytes(clients), log_bytes(clients), resident(), installed());
    let (used, maximum) = (data + log, clients.policy().parameters.maxmemory);
    let scripts = replica.script_bytes;
    let freed = clients.knowledge.records.counts(key_counts(clients)).freed;
    let ratio = if used == 0 { 0.0 } else { resident as f64 / used as f64 };
    let peak = clients.knowledge.records.peak(used);
    let policy = clients.knowledge.table().settings().eviction().unwrap_or_default().policy.name();
    let sizes = [
        ("used_memory", used),
        ("used_memory_rss", resident),
        ("used_memory_peak", peak),
        ("total_system_memory", installed),
        ("maxmemory", maximum),
    ];
    for (name, bytes) in sizes {
        write!(text, "{name}:{bytes}\r\n{name}_human:{}\r\n", human(bytes))?;
    }
    write!(
        text,
        "used_memory_peak_perc:{:.2}%\r\nused_memory_overhead:{log}\r\nused_memory_startup:0\r\n\
         used_memory_dataset:{data}\r\nused_memory_dataset_perc:{:.2}%\r\nused_memory_lua:0\r\n\
         used_memory_scripts:{scripts}\r\nused_memory_scripts_human:{}\r\nnumber_of_cached_scripts:{}\r\nnumber_of_functions:{}\r\n\
         number_of_libraries:{}\r\nmaxmemory_policy:{policy}\r\nmem_fragmentation_ratio:{ratio:.2}\r\n\
         mem_fragmentation_bytes:{}\r\nmem_not_counted_for_evict:0\r\nmem_replication_backlog:{log}\r\n\
         mem_total_replication_buffers:{log}\r\nmem_clients_slaves:0\r\nmem_clients_normal:{}\r\nmem_aof_buffer:0\r\nmem_allocator:mimalloc\r\n\
         active_defrag_running:0\r\nlazyfree_pending_objects:{}\r\nlazyfreed_objects:{freed}\r\nonecopy_log_bytes:{log}\r\n",
        percent(used, peak),
        percent(data, used),
        human(scripts),
        replica.scripts,
        replica.functions[1],
        replica.functions[0],
        resident.saturating_sub(used),
        clients.budget.used() + clients.replies.used(),
        freed_later(clients),
    )
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn persistence(clients: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    let stats = clients.knowledge.journal.stats();
    let failure = clients.knowledge.journal.failure();
    let status = if failure.is_none() { "ok" } else { "err" };
    write!(
        text,
        "loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:0\r\n\
         rdb_last_save_time:{}\r\nrdb_last_bgsave_status:{status}\r\nrdb_last_bgsave_time_sec:-1\r\n\
         rdb_current_bgsave_time_sec:-1\r\nrdb_saves:0\r\naof_enabled:1\r\naof_rewrite_in_progress:0\r\n\
         aof_rewrite_scheduled:0\r\naof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n\
         aof_last_bgrewrite_status:{status}\r\naof_last_write_status:{status}\r\naof_current_size:{}\r\n\
         aof_base_size:0\r\naof_pending_rewrite:0\r\naof_buffer_length:0\r\naof_pending_bio_fsync:0\r\n\
         aof_delayed_fsync:0\r\nonecopy_log_segments:{}\r\nonecopy_log_disk_bytes:{}\r\nonecopy_log_syncs:{}\r\n",
        time_of_day().as_secs(),
        stats.bytes,
        stats.segments,
        stats.bytes,
        stats.syncs,
    )
}

fn stats(clients: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    let counters = &clients.knowledge.data.clients;
    let KeyCounts { hits, misses, expired, evicted, .. } =
        clients.knowledge.records.counts(key_counts(clients));
    // Those that this node's clients listen to: what all nodes' clients do is known to `PUBSUB`.
    let [channels, patterns, shards] = clients.hub.names();
    let cached = clients.caches.counts();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (commands, bytes_in, bytes_out) =
        (count(&counters.commands), count(&counters.bytes_in), count(&counters.bytes_out));
    let [per_second, in_rate, out_rate] = clients.knowledge.records.rates([commands, bytes_in, bytes_out]);
    let kilobytes = |bytes: u64| bytes as f64 / 1024.0;
    write!(
        text,
        "total_connections_received:{}\r\ntotal_commands_processed:{commands}\r\ninstantaneous_ops_per_sec:{per_second}\r\n\
         total_net_input_bytes:{bytes_in}\r\ntotal_net_output_bytes:{bytes_out}\r\n\
         instantaneous_input_kbps:{:.2}\r\ninstantaneous_output_kbps:{:.2}\r\nrejected_connections:{}\r\n\
         total_error_replies:{}\r\nexpired_keys:{expired}\r\nevicted_keys:{evicted}\r\nevicted_clients:0\r\n\
         keyspace_hits:{hits}\r\nkeyspace_misses:{misses}\r\npubsub_channels:{channels}\r\npubsub_patterns:{patterns}\r\npubsubshard_channels:{shards}\r\n\
         sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\nlatest_fork_usec:0\r\ntotal_forks:0\r\n\
         migrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\nactive_defrag_hits:0\r\n\
         active_defrag_misses:0\r\nactive_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\n\
         total_active_defrag_time:0\r\ncurrent_active_defrag_time:0\r\n\
         tracking_total_keys:{}\r\ntracking_total_items:{}\r\ntracking_total_prefixes:{}\r\n\
         unexpected_error_replies:0\r\ntotal_reads_processed:{}\r\ntotal_writes_processed:{}\r\n\
         io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\nacl_access_denied_auth:{}\r\n",
        count(&counters.accepted),
        kilobytes(in_rate),
        kilobytes(out_rate),
        count(&counters.rejected),
        count(&counters.errors),
        cached.keys,
        cached.items,
        cached.prefixes,
        count(&counters.reads),
        count(&counters.writes),
        clients.knowledge.records.denials().wrong_passwords(),
    )
}

fn replication(clients: &Clients, session: &Session, text: &mut String) -> std::fmt::Result {
    let group = session.selected.group;
    let offset = offset(clients, group);
    // What the node is to the others stands in the fields of our own.
    let backups = match role::role(clients, session) {
        Role::Master(backups) => {
            text.write_str("role:master\r\n")?;
            backups
        }
        Role::Slave(host, port) => {
            let reads_only = u8::from(session.front.is_cluster() && clients.config.redirect);
            write!(
                text,
                "role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:up\r\n\
                 master_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\nslave_read_repl_offset:{offset}\r\n\
                 slave_repl_offset:{offset}\r\nslave_priority:100\r\nslave_read_only:{reads_only}\r\n\
                 replica_announced:1\r\n"
            )?;
            Vec::new()
        }
    };
    write!(text, "connected_slaves:{}\r\n", backups.len())?;
    for (number, (host, port)) in backups.into_iter().enumerate() {
        write!(text, "slave{number}:ip={host},port={port},state=online,offset={offset},lag=0\r\n")?;
    }
    write!(
        text,
        "master_failover_state:no-failover\r\nmaster_replid:{:040x}\r\nmaster_replid2:{:040}\r\n\
         master_repl_offset:{offset}\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:1\r\n\
         repl_backlog_size:{}\r\nrepl_backlog_histlen:{}\r\n",
        group.0,
        0,
        clients.config.log_bytes,
        replica(clients, group).map_or(0, |replica| replica.replay_bytes),
    )?;
    replication_of_main(clients, text)?;
    let table = clients.knowledge.table();
    for (group, database) in table.databases().skip(1) {
        if let Some(copy) = replica(clients, group).and_then(|replica| replica.optimistic) {
            let role = if copy.serves { "copy" } else { "catching-up" };
            write!(
                text,
                "onecopy_group_{}:database={database},role={role},life={},updates={},digest={},lacks={},lacks_ms={}\r\n",
                group.0, copy.life, copy.updates, copy.digest, copy.lacks, copy.lacks_ms
            )?;
            for other in copy.others {
                let silent = other.silent_ms.map_or_else(|| "never".to_owned(), |silent| silent.to_string());
                write!(
                    text,
                    "onecopy_group_{}_node_{}:ahead={},behind={},silent_ms={silent}\r\n",
                    group.0, other.node, other.ahead, other.behind
                )?;
            }
            continue;
        }
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

fn cpu(_: &Clients, _: &Session, text: &mut String) -> std::fmt::Result {
    // User and system time, in hundredths of a second: fields 14 and 15, of which the second may have spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let seconds =
        |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    write!(
        text,
        "used_cpu_sys:{:.6}\r\nused_cpu_user:{:.6}\r\nused_cpu_sys_children:0.000000\r\n\
         used_cpu_user_children:0.000000\r\n",
        seconds(12),
        seconds(11)
    )
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
                "onecopy_role:{}\r\nonecopy_view_changes:{}\r\n\
                 onecopy_executed:{}\r\nonecopy_busy_command:{command}\r\nonecopy_busy_ms:{busy_ms}\r\n",
                replica.role, replica.view_changes, replica.executed
            )
        }
        None => write!(text, "onecopy_role:coordinator\r\n"),
    }
}

fn cluster(_: &Clients, session: &Session, text: &mut String) -> std::fmt::Result {
    write!(text, "cluster_enabled:{}\r\n", u8::from(session.front.is_cluster()))
}

fn keyspace(clients: &Clients, session: &Session, text: &mut String) -> std::fmt::Result {
    let databases = Databases::behind(&session.front, &clients.knowledge);
    let replicas = clients.knowledge.data.replicas().into_iter();
    for replica in replicas.filter(|replica| HELD.contains(&replica.role.as_str())) {
        for (local, keys, expires) in replica.databases {
            let Some(number) = databases.number(GroupId(replica.group), local) else { continue };
            write!(text, "db{number}:keys={keys},expires={expires},avg_ttl=0\r\n")?;
        }
    }
    Ok(())
}
