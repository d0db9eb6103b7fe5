//! The parameters of Redis that can be read and set with `CONFIG`.
//!
//! What is set is set for all nodes: the view service keeps it, and a node obeys it once it knows the view
//! table that says so, also when it is started again. The settings of a node ([`Config`]) are what it starts
//! with; of those only some have a name in Redis.

mod output_limits;
#[cfg(test)]
mod page;
mod shape;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_views::{Settings, Table};

use crate::config::{Config, Durability, Mode};
use crate::text::glob;
pub(crate) use output_limits::{OutputLimit, OutputLimits};
use table::{ALIASES, PARAMETERS, Parameter, Standing};

/// The parameters that this version obeys, as they are now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) maxmemory: u64,
    pub(crate) clients_max: usize,
    /// Whoever says nothing for so long is disconnected.
    pub(crate) idle_max: Option<Duration>,
    /// How often connections are tried that say nothing.
    pub(crate) keepalive: Option<Duration>,
    pub(crate) bulk_bytes_max: usize,
    pub(crate) request_bytes_max: usize,
    pub(crate) output: OutputLimits,
    /// What takes longer goes into the slow log; nothing does if nobody says.
    pub(crate) slow_after: Option<Duration>,
    pub(crate) slow_entries_max: usize,
    /// What takes as long is noted for `LATENCY`; nothing is if it is zero.
    pub(crate) latency_threshold: Duration,
    /// Once a script has run for so long, others are told, if ever.
    pub(crate) busy_after: Option<Duration>,
    /// Whether it is counted how long commands take.
    pub(crate) tracks_latency: bool,
    pub(crate) percentiles: Vec<f64>,
    pub(crate) denials_max: usize,
    /// So many keys may be known that clients have cached; 0: any number.
    pub(crate) tracked_keys_max: usize,
    /// Whether new users may use all channels.
    pub(crate) channels_too: bool,
}

impl Parameters {
    /// As the cluster has set them, on a node with these settings.
    pub(crate) fn of(settings: &Settings, config: &Config) -> Self {
        let text = |name: &str| value(name, settings, config);
        let number = |name: &str| text(name).parse::<i64>().unwrap_or_default();
        let size = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
        let seconds = |name: &str| Duration::from_secs(number(name).unsigned_abs());
        let some = |time: Duration| Some(time).filter(|time| !time.is_zero());
        let slow_after = number("slowlog-log-slower-than");
        Self {
            maxmemory: number("maxmemory").unsigned_abs(),
            clients_max: size("maxclients"),
            idle_max: some(seconds("timeout")),
            keepalive: some(seconds("tcp-keepalive")),
            bulk_bytes_max: size("proto-max-bulk-len").min(config.limits.command_bytes),
            request_bytes_max: size("client-query-buffer-limit").min(config.limits.command_bytes),
            output: OutputLimits::read(&text("client-output-buffer-limit")).unwrap_or_default(),
            slow_after: (slow_after >= 0).then(|| Duration::from_micros(slow_after.unsigned_abs())),
            slow_entries_max: size("slowlog-max-len"),
            latency_threshold: Duration::from_millis(number("latency-monitor-threshold").unsigned_abs()),
            busy_after: some(Duration::from_millis(number("busy-reply-threshold").unsigned_abs())),
            tracks_latency: text("latency-tracking") == "yes",
            percentiles: shape::percentiles(&text("latency-tracking-info-percentiles")).unwrap_or_default(),
            denials_max: size("acllog-max-len"),
            tracked_keys_max: size("tracking-table-max-keys"),
            channels_too: text("acl-pubsub-default") == "allchannels",
        }
    }
}

/// The parameter that is not in the view table: an entry of the log changes it.
pub(crate) const NOTIFICATIONS: &str = "notify-keyspace-events";

/// The parameter with this name, or with this older name.
fn find(name: &str) -> Option<&'static Parameter> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, present)| present);
    PARAMETERS.binary_search_by_key(&name, |parameter| parameter.name).ok().map(|at| &PARAMETERS[at])
}

/// What a parameter is, as `CONFIG GET` shows it.
fn value(name: &str, settings: &Settings, config: &Config) -> String {
    let set = settings.get(name).map(str::to_owned);
    set.or_else(|| of_node(name, config))
        .unwrap_or_else(|| find(name).map(|parameter| parameter.default.to_owned()).unwrap_or_default())
}

/// What the settings of a node make of a parameter.
fn of_node(name: &str, config: &Config) -> Option<String> {
    let is_synced = config.durability == Durability::Disk;
    Some(match name {
        "appendfsync" => if is_synced { "always" } else { "everysec" }.to_owned(),
        "appendonly" => "yes".to_owned(),
        "bind" => config.redis.ip().to_string(),
        "cluster-enabled" => if config.redis_mode == Mode::Cluster { "yes" } else { "no" }.to_owned(),
        "dir" => config.data.display().to_string(),
        "maxclients" => config.limits.clients.to_string(),
        "maxmemory" => config.maxmemory.to_string(),
        "port" => config.redis.port().to_string(),
        "protected-mode" => if config.protected_mode { "yes" } else { "no" }.to_owned(),
        "proto-max-bulk-len" => config.limits.command_bytes.min(512 << 20).to_string(),
        // Nothing is ever saved in that way.
        "save" => String::new(),
        _ => return None,
    })
}

/// Our own settings that `CONFIG GET` shows, under their names.
fn own(config: &Config) -> [(&'static str, String); 3] {
    let durability = if config.durability == Durability::Disk { "disk" } else { "memory" };
    [
        ("copies", config.copies.to_string()),
        ("durability", durability.to_owned()),
        ("reads", config.reads.name().to_owned()),
    ]
}

/// The parameters whose names match one of the patterns, with their values.
pub(crate) fn matching(patterns: &[&[u8]], table: &Table, config: &Config) -> BTreeMap<&'static str, String> {
    let is_wanted = |name: &str| patterns.iter().any(|pattern| glob(pattern, name.as_bytes()));
    let aliases = ALIASES.iter().map(|(alias, present)| (*alias, *present));
    let names = PARAMETERS.iter().map(|parameter| (parameter.name, parameter.name)).chain(aliases);
    let known = names.filter(|(shown, _)| is_wanted(shown)).map(|(shown, name)| {
        let value = match name {
            "databases" => database_count(table).to_string(),
            name => value(name, table.settings(), config),
        };
        (shown, value)
    });
    known.chain(own(config).into_iter().filter(|(name, _)| is_wanted(name))).collect()
}

/// One more than the highest number of a database.
fn database_count(table: &Table) -> u16 {
    table.databases().map(|(_, database)| *database.numbers().end() + 1).max().unwrap_or_default()
}

/// What `CONFIG SET` with these pairs changes, as it is kept.
///
/// # Errors
/// What is wrong with the first pair that is, in the words of Redis.
pub(crate) fn changes(
    pairs: &[&[u8]],
    settings: &Settings,
    config: &Config,
) -> Result<BTreeMap<String, String>, String> {
    let mut wanted: BTreeMap<&'static str, (&'static Parameter, String)> = BTreeMap::new();
    for pair in pairs.chunks(2) {
        let [name, text] = pair else { return Err("ERR syntax error".to_owned()) };
        let written = String::from_utf8_lossy(name).into_owned();
        let parameter = find(&written.to_lowercase()).ok_or_else(|| {
            format!("ERR Unknown option or number of arguments for CONFIG SET - '{written}'")
        })?;
        let fail = |reason: &str| {
            format!("ERR CONFIG SET failed (possibly related to argument '{written}') - {reason}")
        };
        match parameter.standing {
            Standing::Fixed => {
                return Err(fail(&format!("can't set immutable config: {}", parameter.note)));
            }
            Standing::Refused => return Err(fail(parameter.note)),
            Standing::Applies | Standing::Ignored => {}
        }
        if parameter.name == NOTIFICATIONS {
            return Err(fail(
                "it is changed by an entry of the log, and set by itself, outside of transactions",
            ));
        }
        let text = std::str::from_utf8(text).map_err(|_| fail("argument is not valid UTF-8"))?;
        let before = value(parameter.name, settings, config);
        let kept = parameter.shape.read(text, &before).map_err(|reason| fail(&reason))?;
        if wanted.insert(parameter.name, (parameter, kept)).is_some() {
            return Err(fail("duplicate parameter"));
        }
    }
    Ok(wanted.into_iter().map(|(name, (_, kept))| (name.to_owned(), kept)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn set(words: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        changes(&words, &Settings::default(), &config())
    }

    #[test]
    fn the_table_is_in_order_and_every_default_is_a_value() {
        for pair in PARAMETERS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
        for (alias, present) in ALIASES {
            assert!(PARAMETERS.iter().any(|parameter| parameter.name == *present), "{alias}");
        }
        for parameter in PARAMETERS {
            let kept = parameter.shape.read(parameter.default, parameter.default);
            assert_eq!(kept.as_deref(), Ok(parameter.default), "{}", parameter.name);
            assert!(!parameter.note.is_empty());
        }
    }

    #[test]
    fn several_are_set_or_none() {
        let changed = set(&["maxmemory", "100mb", "Slowlog-Max-Len", "5"]).expect("both are right");
        let pairs: Vec<(&str, &str)> = changed.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(pairs, [("maxmemory", "104857600"), ("slowlog-max-len", "5")]);
        let failed = |argument: &str, reason: &str| {
            Err(format!("ERR CONFIG SET failed (possibly related to argument '{argument}') - {reason}"))
        };
        assert_eq!(
            set(&["timeout", "1", "maxmemory", "x"]),
            failed("maxmemory", "argument must be a memory value")
        );
        assert_eq!(set(&["timeout", "1", "timeout", "2"]), failed("timeout", "duplicate parameter"));
        assert!(set(&["port", "1"]).unwrap_err().contains("can't set immutable config"));
        assert!(set(&["maxmemory-policy", "lru"]).unwrap_err().contains("must be one of the following"));
        for policy in table::POLICIES {
            assert_eq!(onecopy_core::Policy::named(policy).map(onecopy_core::Policy::name), Some(*policy));
            assert!(set(&["maxmemory-policy", policy]).is_ok());
        }
        assert!(set(&["nothing", "1"]).unwrap_err().contains("Unknown option"));
        assert_eq!(set(&["timeout"]), Err("ERR syntax error".to_owned()));
    }

    #[test]
    fn older_names_mean_the_same() {
        let changed = set(&["lua-time-limit", "7"]).expect("it is one");
        assert_eq!(changed.get("busy-reply-threshold").map(String::as_str), Some("7"));
    }

    #[test]
    fn what_is_set_counts_and_what_the_node_says_otherwise() {
        let table = Table::default();
        let shown = matching(&[b"maxmem*ry", b"port"], &table, &config());
        assert_eq!(shown, [("maxmemory", "0".to_owned()), ("port", "11".to_owned())].into());
        let parameters = Parameters::of(table.settings(), &config());
        assert_eq!((parameters.slow_entries_max, parameters.clients_max), (128, config().limits.clients));
        assert_eq!(parameters.slow_after, Some(Duration::from_millis(10)));
        assert_eq!(parameters.idle_max, None);
    }
}
