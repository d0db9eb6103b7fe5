//! `CLIENT TRACKING`: how one connection caches.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_host::Share;
use onecopy_keyspace::channels::ListenerId;
use onecopy_keyspace::command::{Kind, Spec, key_accesses, key_positions};
use onecopy_keyspace::tracking::table::Wants;
use onecopy_resp::Writer;

use super::commands::{SYNTAX, parse};
use super::watched::Lives;

/// What is said of databases whose copies do not agree about an order.
pub(super) const OPTIMISTIC: &str = "ERR clients' caches are not tracked in optimistic databases: nobody knows when a change has come everywhere";

/// So many prefixes may a connection have, and so many bytes of them.
const PREFIXES_MAX: usize = 1_024;
const PREFIX_BYTES_MAX: usize = 64 << 10;

/// What was asked for with `CLIENT TRACKING`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(super) broadcasts: bool,
    pub(super) opts_in: bool,
    pub(super) opts_out: bool,
    pub(super) no_loop: bool,
    /// Another connection is told; 0: this one.
    pub(super) redirect: u64,
    pub(super) prefixes: Vec<Bytes>,
}

/// What a request gets into its client's cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(super) keys: Vec<Bytes>,
    /// What its scripts read, too: they say themselves what that was.
    pub(super) scripts: bool,
}

/// How a connection caches.
#[derive(Clone, Debug)]
pub(crate) struct Tracking {
    pub(super) options: Options,
    /// `CLIENT CACHING` was said: what comes next is tracked, or is not.
    pub(super) caching_given: bool,
    /// The number under which it changes keys that it does not want to be told of.
    number: u64,
    lives: Arc<Lives>,
}

impl Tracking {
    pub(super) fn new(options: Options, lives: &Arc<Lives>) -> Self {
        Self { options, caching_given: false, number: lives.listener(), lives: lives.clone() }
    }

    /// The client, as what it asks of a group names it.
    pub(super) fn client(&self, group: GroupId) -> ListenerId {
        let coordinator = self.lives.of(Share::holder(group, self.lives.threads()));
        ListenerId { coordinator, number: self.own().unwrap_or(0) }
    }

    pub(super) fn own(&self) -> Option<u64> {
        self.options.no_loop.then_some(self.number)
    }

    pub(super) fn wants(&self) -> Wants {
        match self.options.broadcasts {
            false => Wants::Keys,
            true => Wants::Prefixes(self.options.prefixes.clone()),
        }
    }

    /// Notes what will be cached because of a command.
    pub(super) fn note(&self, spec: &Spec, args: &[&[u8]], cached: &mut Cached) {
        let Options { broadcasts, opts_in, opts_out, .. } = self.options;
        let is_meant = (!opts_in || self.caching_given) && !(opts_out && self.caching_given);
        if broadcasts || !is_meant {
            return;
        }
        // What is executed once may be a read, or a script.
        let is_once = spec.name == "once";
        cached.scripts |= spec.group == "scripting" || is_once;
        if is_once || spec.kind == Kind::Read && !matches!(spec.group, "pubsub" | "scripting") {
            let positions: Vec<usize> = match is_once {
                true => key_accesses(spec, args).into_iter().map(|key| key.position).collect(),
                false => key_positions(spec, args),
            };
            cached.keys.extend(positions.into_iter().map(|position| Bytes::copy_from_slice(args[position])));
        }
    }

    /// `CLIENT CACHING YES|NO`
    pub(super) fn caching(&mut self, mode: &[u8]) -> Result<(), String> {
        let (is_allowed, error) = match mode.to_ascii_lowercase().as_slice() {
            b"yes" => (
                self.options.opts_in,
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ),
            b"no" => (
                self.options.opts_out,
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ),
            _ => return Err(SYNTAX.to_owned()),
        };
        if !is_allowed {
            return Err(error.to_owned());
        }
        self.caching_given = true;
        Ok(())
    }
}

/// `CLIENT CACHING` of a client that does not track.
pub(super) const NOT_TRACKED: &str = "ERR CLIENT CACHING can be called only when the client is in tracking mode \
                                      with OPTIN or OPTOUT mode enabled";

/// What a `CLIENT TRACKING` asks for: whether to cache, and how. `is_there` says whether a client with this
/// id is.
pub(super) fn parse_tracking(
    known: Option<&Tracking>,
    args: &[&[u8]],
    is_there: impl Fn(u64) -> bool,
) -> Result<Option<Options>, String> {
    let error = |text: &str| Err(format!("ERR {text}"));
    let Some((mode, mut rest)) = args.split_first() else { return Err(SYNTAX.to_owned()) };
    let mut options = Options::default();
    while let Some((word, behind)) = rest.split_first() {
        rest = match (word.to_ascii_lowercase().as_slice(), behind) {
            (b"redirect", [id, behind @ ..]) => {
                if options.redirect != 0 {
                    return error("A client can only redirect to a single other client");
                }
                let id = parse::<i64>(id).ok_or("ERR value is not an integer or out of range")?;
                let there = u64::try_from(id).ok().filter(|id| is_there(*id));
                options.redirect = there.ok_or("ERR The client ID you want redirect to does not exist")?;
                behind
            }
            (b"prefix", [prefix, behind @ ..]) => {
                options.prefixes.push(Bytes::copy_from_slice(prefix));
                behind
            }
            (b"bcast", _) => set(&mut options.broadcasts, behind),
            (b"optin", _) => set(&mut options.opts_in, behind),
            (b"optout", _) => set(&mut options.opts_out, behind),
            (b"noloop", _) => set(&mut options.no_loop, behind),
            _ => return Err(SYNTAX.to_owned()),
        };
    }
    match mode.to_ascii_lowercase().as_slice() {
        b"on" => {}
        b"off" => return Ok(None),
        _ => return Err(SYNTAX.to_owned()),
    }
    let Options { broadcasts, opts_in, opts_out, .. } = options;
    if !broadcasts && !options.prefixes.is_empty() {
        return error("PREFIX option requires BCAST mode to be enabled");
    }
    let before = known.map(|known| &known.options);
    if before.is_some_and(|before| before.broadcasts != broadcasts) {
        return error(
            "You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it \
             with a different mode.",
        );
    }
    if broadcasts && (opts_in || opts_out) {
        return error("OPTIN and OPTOUT are not compatible with BCAST");
    }
    if opts_in && opts_out {
        return error("You can't specify both OPTIN mode and OPTOUT mode");
    }
    if before.is_some_and(|before| opts_in && before.opts_out || opts_out && before.opts_in) {
        return error(
            "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it \
             with a different mode.",
        );
    }
    let known = before.map_or(&[][..], |before| &before.prefixes);
    check_prefixes(known, &options.prefixes)?;
    // Those that it had stay.
    if broadcasts && options.prefixes.is_empty() {
        options.prefixes.push(Bytes::new());
    }
    let prefixes: BTreeSet<Bytes> = options.prefixes.iter().chain(known).cloned().collect();
    options.prefixes = prefixes.into_iter().collect();
    let bytes: usize = options.prefixes.iter().map(Bytes::len).sum();
    if options.prefixes.len() > PREFIXES_MAX || bytes > PREFIX_BYTES_MAX {
        return error("too many prefixes of one connection");
    }
    Ok(Some(options))
}

fn set<'a>(option: &mut bool, behind: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    *option = true;
    behind
}

/// No prefix may be the beginning of another one.
fn check_prefixes(known: &[Bytes], new: &[Bytes]) -> Result<(), String> {
    let overlap = |a: &Bytes, b: &Bytes| a.starts_with(b) || b.starts_with(a);
    let said = |prefix: &Bytes, which: &str, other: &Bytes| {
        let [prefix, other] = [prefix, other].map(|text| String::from_utf8_lossy(text).into_owned());
        Err(format!(
            "ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not overlap."
        ))
    };
    for (at, prefix) in new.iter().enumerate() {
        if let Some(other) = known.iter().find(|known| overlap(known, prefix)) {
            return said(prefix, "an existing", other);
        }
        if let Some(other) = new[at + 1..].iter().find(|other| overlap(other, prefix)) {
            return said(prefix, "another provided", other);
        }
    }
    Ok(())
}

/// `CLIENT TRACKINGINFO`
pub(super) fn describe(known: Option<&Tracking>, is_broken: bool, reply: &mut Writer<'_>) {
    let options = known.map(|known| &known.options);
    let has = |is: fn(&Options) -> bool| options.is_some_and(is);
    let is_given = known.is_some_and(|known| known.caching_given);
    let flags = [
        ("off", options.is_none()),
        ("on", options.is_some()),
        ("bcast", has(|options| options.broadcasts)),
        ("optin", has(|options| options.opts_in)),
        ("caching-yes", has(|options| options.opts_in) && is_given),
        ("optout", has(|options| options.opts_out)),
        ("caching-no", has(|options| options.opts_out) && is_given),
        ("noloop", has(|options| options.no_loop)),
        ("broken_redirect", is_broken),
    ];
    let flags: Vec<&str> = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect();
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirect(known));
    reply.bulk(b"prefixes");
    let prefixes = options.map_or(&[][..], |options| &options.prefixes);
    reply.array(prefixes.len());
    prefixes.iter().for_each(|prefix| reply.bulk(prefix));
}

/// `CLIENT GETREDIR`
pub(super) fn redirect(known: Option<&Tracking>) -> i64 {
    known.map_or(-1, |known| i64::try_from(known.options.redirect).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(known: Option<&Tracking>, line: &str) -> Result<Option<Options>, String> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        parse_tracking(known, &args, |id| id == 7)
    }

    fn tracking(line: &str) -> Tracking {
        Tracking::new(parsed(None, line).unwrap().unwrap(), &Arc::new(Lives::begin(1)))
    }

    #[test]
    fn prefixes_that_overlap_are_refused_and_others_are_added() {
        let known = tracking("on bcast prefix ab");
        assert!(parsed(Some(&known), "on bcast prefix a").unwrap_err().contains("an existing prefix 'ab'"));
        assert!(
            parsed(None, "on bcast prefix x prefix xy").unwrap_err().contains("another provided prefix 'xy'")
        );
        let both = parsed(Some(&known), "on bcast prefix c").unwrap().unwrap();
        assert_eq!(both.prefixes, ["ab", "c"]);
        assert_eq!(parsed(Some(&known), "on bcast").unwrap().unwrap().prefixes, ["", "ab"]);
        assert_eq!(tracking("on bcast").wants(), Wants::Prefixes(vec![Bytes::new()]));
    }

    #[test]
    fn what_is_tracked_depends_on_the_mode() {
        let noted = |tracking: &Tracking, line: &str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let spec = onecopy_keyspace::command::lookup(args[0]).expect("a command");
            let mut cached = Cached::default();
            tracking.note(spec, &args, &mut cached);
            (cached.keys, cached.scripts)
        };
        let nothing = (Vec::<Bytes>::new(), false);
        let mut opts_in = tracking("on optin");
        assert_eq!(noted(&opts_in, "get k"), nothing);
        opts_in.caching(b"yes").unwrap();
        assert_eq!(noted(&opts_in, "mget k l"), (vec!["k".into(), "l".into()], false));
        assert_eq!(noted(&opts_in, "set k v"), nothing);
        assert_eq!(noted(&opts_in, "eval_ro x 1 k"), (Vec::new(), true));
        assert_eq!(noted(&opts_in, "once token get k"), (vec!["k".into()], true));
        assert!(opts_in.caching(b"no").is_err());
        let mut opts_out = tracking("on optout");
        assert_ne!(noted(&opts_out, "get k"), nothing);
        opts_out.caching(b"no").unwrap();
        assert_eq!(noted(&opts_out, "get k"), nothing);
        assert_eq!(noted(&tracking("on bcast"), "get k"), nothing);
        assert_ne!(noted(&tracking("on"), "get k"), nothing);
    }
}
