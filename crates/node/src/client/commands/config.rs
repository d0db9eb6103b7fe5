//! `CONFIG`: what clients and tools ask about the server.

use onecopy_resp::Writer;

use super::unknown_subcommand;
use crate::client::Clients;
use crate::client::session::Session;
use crate::config::Durability;
use crate::text::glob;

/// `CONFIG GET pattern …`, `CONFIG RESETSTAT`
pub(super) fn config(
    clients: &Clients,
    session: &Session,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Result<(), String> {
    let word = args.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (word.as_slice(), &args[1..]) {
        (b"get", patterns @ [_, ..]) => {
            let wanted = |name: &str| patterns.iter().any(|pattern| glob(pattern, name.as_bytes()));
            let settings: Vec<(&str, String)> =
                settings(clients, session).into_iter().filter(|(name, _)| wanted(name)).collect();
            reply.map(settings.len());
            for (name, value) in settings {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
        }
        (b"resetstat", []) => reply.ok(),
        (b"set" | b"rewrite", _) => {
            return Err(
                "ERR settings are changed in the configuration file of the node, or by its flags, and take \
                        effect when it is restarted: 'onecopy config check' explains them"
                    .to_owned(),
            );
        }
        _ => return Err(unknown_subcommand("CONFIG", args)),
    }
    Ok(())
}

/// The settings under the names that Redis gives them, and our own under theirs.
fn settings(clients: &Clients, session: &Session) -> Vec<(&'static str, String)> {
    let config = &clients.config;
    let synced = config.durability == Durability::Disk;
    let table = clients.knowledge.table();
    let databases =
        table.databases().map(|(_, database)| *database.numbers().end() + 1).max().unwrap_or_default();
    let own_name = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    vec![
        ("appendfsync", if synced { "always" } else { "everysec" }.to_owned()),
        ("appendonly", own_name(true)),
        ("bind", config.redis.ip().to_string()),
        ("cluster-enabled", own_name(false)),
        ("copies", config.copies.to_string()),
        ("databases", databases.to_string()),
        ("dir", config.data.display().to_string()),
        ("durability", if synced { "disk" } else { "memory" }.to_owned()),
        ("maxclients", config.limits.clients.to_string()),
        ("maxmemory", config.maxmemory.to_string()),
        ("maxmemory-policy", "noeviction".to_owned()),
        ("notify-keyspace-events", session.notified.clone()),
        ("port", config.redis.port().to_string()),
        ("proto-max-bulk-len", config.limits.command_bytes.to_string()),
        ("reads", config.reads.name().to_owned()),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
    ]
}
