//! How masters, replicas and Sentinels are described: fields as Sentinel has them. What nobody counts here
//! is 0.

use onecopy_resp::Writer;

use super::Master;
use crate::topology::Place;

/// What is the same in all descriptions of a node.
pub(super) struct Surroundings {
    /// How long a node may be silent.
    pub(super) failure_ms: u64,
    /// How long a request waits for a primary.
    pub(super) request_ms: u64,
    /// How many view nodes have to agree.
    pub(super) quorum: usize,
    /// How many other nodes speak Sentinel's protocol.
    pub(super) others: usize,
    /// How far the group is.
    pub(super) offset: u64,
}

type Fields = Vec<(&'static str, String)>;

pub(super) fn write(fields: &Fields, reply: &mut Writer<'_>) {
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

/// What every instance is described by.
fn instance(
    name: &str,
    (host, port): (&str, u16),
    run: &str,
    kind: &str,
    is_down: bool,
    failure_ms: u64,
) -> Fields {
    let flags = match (is_down, kind) {
        (false, _) => kind.to_owned(),
        (true, "master") => "s_down,o_down,master,disconnected".to_owned(),
        (true, _) => format!("s_down,{kind},disconnected"),
    };
    let mut fields = vec![
        ("name", name.to_owned()),
        ("ip", host.to_owned()),
        ("port", port.to_string()),
        ("runid", run.to_owned()),
        ("flags", flags),
        ("link-pending-commands", "0".to_owned()),
        ("link-refcount", "1".to_owned()),
        ("last-ping-sent", "0".to_owned()),
        ("last-ok-ping-reply", "0".to_owned()),
        ("last-ping-reply", "0".to_owned()),
    ];
    if is_down {
        fields.push(("s-down-time", "0".to_owned()));
    }
    if is_down && kind == "master" {
        fields.push(("o-down-time", "0".to_owned()));
    }
    fields.push(("down-after-milliseconds", failure_ms.to_string()));
    fields
}

fn role(kind: &str) -> Fields {
    vec![
        ("info-refresh", "0".to_owned()),
        ("role-reported", kind.to_owned()),
        ("role-reported-time", "0".to_owned()),
    ]
}

pub(super) fn master(master: &Master, primary: &Place, around: &Surroundings) -> Fields {
    let at = (primary.host.as_str(), primary.port);
    let is_down = !primary.is_reached;
    let mut fields = instance(&master.name, at, &primary.run, "master", is_down, around.failure_ms);
    fields.extend(role("master"));
    fields.extend([
        ("config-epoch", master.shard.epoch.to_string()),
        ("num-slaves", master.shard.replicas.len().to_string()),
        ("num-other-sentinels", around.others.to_string()),
        ("quorum", around.quorum.to_string()),
        ("failover-timeout", around.request_ms.to_string()),
        ("parallel-syncs", "1".to_owned()),
    ]);
    fields
}

pub(super) fn replica(replica: &Place, primary: &Place, around: &Surroundings) -> Fields {
    let (host, port) = (replica.host.as_str(), replica.port);
    let name = format!("{host}:{port}");
    let is_down = !replica.is_reached;
    let mut fields = instance(&name, (host, port), &replica.run, "slave", is_down, around.failure_ms);
    fields.extend(role("slave"));
    let link = if is_down { "err" } else { "ok" };
    fields.extend([
        ("master-link-down-time", "0".to_owned()),
        ("master-link-status", link.to_owned()),
        ("master-host", primary.host.clone()),
        ("master-port", primary.port.to_string()),
        ("slave-priority", "100".to_owned()),
        ("slave-repl-offset", around.offset.to_string()),
        ("replica-announced", "1".to_owned()),
    ]);
    fields
}

pub(super) fn sentinel(
    name: &str,
    (host, port): (&str, u16),
    is_down: bool,
    around: &Surroundings,
) -> Fields {
    let mut fields = instance(name, (host, port), name, "sentinel", is_down, around.failure_ms);
    fields.extend([
        ("last-hello-message", "0".to_owned()),
        ("voted-leader", "?".to_owned()),
        ("voted-leader-epoch", "0".to_owned()),
    ]);
    fields
}
