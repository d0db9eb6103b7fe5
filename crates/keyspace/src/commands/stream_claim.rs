//! Giving what is pending to another consumer: `XCLAIM` and `XAUTOCLAIM`.

use std::collections::BTreeMap;

use onecopy_resp::Writer;

use super::stream_groups::{no_group, shown};
use super::stream_ids::{id, reply_id, start};
use super::stream_pending::idle;
use super::stream_range::{ID_BYTES, Size, reply_entry};
use super::streams::ENTRY;
use crate::context::Context;
use crate::error::{CommandError, Outcome};
use crate::number::{is_word, parse_integer};
use crate::steps::Steps;
use crate::value::Stream;
use crate::value::stream::{Entry, Group, GroupEdit, Id, Log, Pending};

/// So many times as many are looked at as are wanted.
const LOOKED_AT: usize = 10;

fn number(arg: &[u8], error: &'static str) -> Result<i64, CommandError> {
    parse_integer(arg).ok_or(CommandError::Other(error))
}

/// The options of `XCLAIM`.
#[derive(Debug, Default)]
struct Options {
    /// When the entries count as delivered.
    delivered: Option<i64>,
    deliveries: Option<i64>,
    force: bool,
    only_ids: bool,
    last: Id,
}

impl Options {
    fn parse(args: &[&[u8]], now: u64) -> Result<Self, CommandError> {
        let (mut options, mut rest) = (Self::default(), args);
        while let [option, tail @ ..] = rest {
            rest = match tail {
                _ if is_word(option, "FORCE") => {
                    options.force = true;
                    tail
                }
                _ if is_word(option, "JUSTID") => {
                    options.only_ids = true;
                    tail
                }
                [idle, tail @ ..] if is_word(option, "IDLE") => {
                    let idle = number(idle, "ERR Invalid IDLE option argument for XCLAIM")?;
                    options.delivered = Some(now.cast_signed().wrapping_sub(idle));
                    tail
                }
                [time, tail @ ..] if is_word(option, "TIME") => {
                    options.delivered = Some(number(time, "ERR Invalid TIME option argument for XCLAIM")?);
                    tail
                }
                [count, tail @ ..] if is_word(option, "RETRYCOUNT") => {
                    let count = number(count, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                    options.deliveries = Some(count);
                    tail
                }
                [last, tail @ ..] if is_word(option, "LASTID") => {
                    options.last = id(last, 0)?;
                    tail
                }
                _ => {
                    return Err(CommandError::Unknown(format!(
                        "ERR Unrecognized XCLAIM option '{}'",
                        shown(option)
                    )));
                }
            };
        }
        Ok(options)
    }

    /// When the entries count as delivered: not later than now.
    fn delivered(&self, now: u64) -> u64 {
        let delivered = self.delivered.and_then(|time| u64::try_from(time).ok());
        delivered.filter(|time| *time <= now).unwrap_or(now)
    }
}

/// What becomes of an entry.
enum Claim {
    /// It goes to the consumer; as what.
    Take(Pending),
    /// It does not exist any more, and is pending no more.
    Drop(Id),
}

/// What is written of the entries that are claimed.
fn reply_claimed(log: &Log, claims: &[Claim], only_ids: bool, reply: &mut Writer<'_>) {
    let taken = claims.iter().filter_map(|claim| match claim {
        Claim::Take(pending) => Some(pending.id),
        Claim::Drop(_) => None,
    });
    reply.array(taken.clone().count());
    for id in taken {
        match log.get(id).filter(|_| !only_ids) {
            Some(entry) => reply_entry(&entry, reply),
            None => reply_id(id, reply),
        }
    }
}

/// Carries claims out, for a consumer.
fn claim(group: &mut GroupEdit<'_>, place: u32, claims: &[Claim], now: u64) {
    for claim in claims {
        match claim {
            Claim::Take(pending) => {
                group.assign(Pending { consumer: place, ..*pending });
                group.serve(place, now);
            }
            Claim::Drop(id) => {
                group.forget(*id);
            }
        }
    }
}

/// Pays for an entry that is to be claimed, if it is there, and counts it.
fn count(entry: Option<Entry<'_>>, only_ids: bool, size: &mut Size, steps: &mut Steps<'_>) -> Outcome {
    steps.take(ENTRY)?;
    steps.reserve(ENTRY)?;
    match entry.filter(|_| !only_ids) {
        Some(entry) => size.add_entry(&entry, steps),
        None => size.add(1, ID_BYTES),
    }
}

/// The stream and the group that a command names.
fn find<'a>(context: &'a Context<'_>, args: &[&[u8]]) -> Result<(&'a Stream, &'a Group), CommandError> {
    let stream = context.read::<Stream>(args[1])?;
    let found = stream.and_then(|stream| Some((stream, stream.group(args[2])?)));
    found.ok_or_else(|| no_group(args[1], args[2], ""))
}

pub(crate) fn xclaim(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let now = context.clock().0;
    let (stream, group) = find(context, args)?;
    let idle_min = number(args[4], "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
    // What is no id begins the options.
    let ids: Vec<Id> = args[5..].iter().map_while(|arg| id(arg, 0).ok()).collect();
    let options = Options::parse(&args[5 + ids.len()..], now)?;
    let (mut size, mut steps) = (Size::default(), Steps::new(context.budget()));
    let mut claims: Vec<Claim> = Vec::new();
    // An id may come twice.
    let mut claimed: BTreeMap<Id, Pending> = BTreeMap::new();
    for id in ids {
        let before = claimed.get(&id).or_else(|| group.pending().get(id)).copied();
        let entry = stream.log().get(id);
        count(entry, options.only_ids, &mut size, &mut steps)?;
        if entry.is_none() {
            claims.extend(before.map(|_| Claim::Drop(id)));
            continue;
        }
        if before.is_none() && !options.force {
            continue;
        }
        if idle_min > 0 && before.is_some_and(|before| idle(&before, now) < idle_min) {
            continue;
        }
        let deliveries = before.map_or(1, |before| before.deliveries);
        let deliveries = match options.deliveries {
            Some(count @ 0..) => count.cast_unsigned(),
            _ if options.only_ids => deliveries,
            _ => deliveries.wrapping_add(1),
        };
        let taken = Pending { id, consumer: 0, delivered: options.delivered(now), deliveries };
        claimed.insert(id, taken);
        claims.push(Claim::Take(taken));
    }
    carry_out(context, args, &claims, |group| group.set_progress(group.last.max(options.last), group.read))?;
    let (stream, _) = find(context, args)?;
    reply_claimed(stream.log(), &claims, options.only_ids, reply);
    Ok(())
}

/// The consumer is heard of, and gets what it claims.
fn carry_out(
    context: &mut Context<'_>,
    args: &[&[u8]],
    claims: &[Claim],
    also: impl FnOnce(&mut GroupEdit<'_>),
) -> Outcome {
    let now = context.clock().0;
    let mut is_new = false;
    context.resize::<Stream, _>(args[1], |stream| {
        stream.change_group(args[2], |_, group| {
            is_new = group.find(args[3]).is_none();
            also(group);
            let place = group.hear_of(args[3], now);
            claim(group, place, claims, now);
        });
    })?;
    if is_new {
        context.say(args[1], "xgroup-createconsumer");
    }
    Ok(())
}

pub(crate) fn xautoclaim(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let now = context.clock().0;
    let idle_min = number(args[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
    let from = start(args[5])?;
    let (mut wanted, mut only_ids, mut rest) = (100, false, &args[6..]);
    while let [option, tail @ ..] = rest {
        rest = match tail {
            [most, tail @ ..] if is_word(option, "COUNT") => {
                const MAX: i64 = i64::MAX / 16;
                let most = parse_integer(most).filter(|most| (1..=MAX).contains(most));
                let most = most.and_then(|most| usize::try_from(most).ok());
                wanted = most.ok_or(CommandError::Other("ERR COUNT must be > 0"))?;
                tail
            }
            _ if is_word(option, "JUSTID") => {
                only_ids = true;
                tail
            }
            _ => return Err(CommandError::Syntax),
        };
    }
    let (stream, group) = find(context, args)?;
    let (mut size, mut steps) = (Size::default(), Steps::new(context.budget()));
    let mut claims = Vec::new();
    let mut pending = group.pending().since(from);
    for before in pending.by_ref().take(wanted.saturating_mul(LOOKED_AT)) {
        steps.take(1)?;
        match stream.log().get(before.id) {
            None => claims.push(Claim::Drop(before.id)),
            Some(_) if idle_min > 0 && idle(before, now) < idle_min => continue,
            Some(_) => {
                let deliveries = before.deliveries.wrapping_add(u64::from(!only_ids));
                claims.push(Claim::Take(Pending { delivered: now, deliveries, ..*before }));
            }
        }
        count(stream.log().get(before.id), only_ids, &mut size, &mut steps)?;
        if claims.len() == wanted {
            break;
        }
    }
    let next = pending.next().map_or(Id::ZERO, |next| next.id);
    drop(pending);
    carry_out(context, args, &claims, |_| {})?;
    let (stream, _) = find(context, args)?;
    reply.array(3);
    reply_id(next, reply);
    reply_claimed(stream.log(), &claims, only_ids, reply);
    let dropped = claims.iter().filter_map(|claim| match claim {
        Claim::Drop(id) => Some(*id),
        Claim::Take(_) => None,
    });
    reply.array(dropped.clone().count());
    dropped.for_each(|id| reply_id(id, reply));
    Ok(())
}
