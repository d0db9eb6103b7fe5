//! Places: members of a sorted set whose scores are geohashes.

use onecopy_resp::{Version, Writer};

use super::zsets::add;
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::geo::{LATITUDE_MAX, LONGITUDE_MAX, Point, distance};
use crate::number::{float, is_word};
use crate::options::ZaddOptions;
use crate::steps::{DISTANCE, ELEMENT};
use crate::value::Zset;

/// How many meters a unit has.
pub(super) fn unit_m(arg: &[u8]) -> Result<f64, CommandError> {
    match arg {
        _ if is_word(arg, "M") => Ok(1.0),
        _ if is_word(arg, "KM") => Ok(1000.0),
        _ if is_word(arg, "FT") => Ok(0.3048),
        _ if is_word(arg, "MI") => Ok(1609.34),
        _ => Err(CommandError::Other("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A place in two arguments: longitude and latitude.
pub(super) fn place(longitude: &[u8], latitude: &[u8]) -> Result<Point, CommandError> {
    let (longitude, latitude) = (float(longitude)?, float(latitude)?);
    if longitude.abs() > LONGITUDE_MAX || latitude.abs() > LATITUDE_MAX {
        return Err(CommandError::InvalidPlace(format!("{longitude:.6},{latitude:.6}")));
    }
    Ok(Point { longitude, latitude })
}

/// Where a member is.
pub(super) fn place_of(zset: &Zset, member: &[u8]) -> Option<Point> {
    zset.score(member).map(Point::of_score)
}

/// A distance, with four digits behind the point, as a string in both protocols.
pub(super) fn reply_distance(distance: f64, reply: &mut Writer<'_>) {
    // Rounded as a double, as Redis 7.2 does. No distance is longer than half the way round the earth.
    let scaled = (distance * 1e4).round_ties_even() as u64;
    reply.bulk(format!("{}.{:04}", scaled / 10_000, scaled % 10_000).as_bytes());
}

/// Longitude and latitude.
pub(super) fn reply_place(place: Point, reply: &mut Writer<'_>) {
    reply.array(2);
    for degrees in [place.longitude, place.latitude] {
        // 17 digits behind the point, and no zeros at the end: not the shortest text that reads as the
        // number.
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        match reply.version() {
            Version::Two => reply.bulk(text.as_bytes()),
            Version::Three => reply.raw(format!(",{text}\r\n").as_bytes()),
        }
    }
}

pub(crate) fn geoadd(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let mut options = ZaddOptions::default();
    let mut rest = &args[2..];
    while let [option, tail @ ..] = rest {
        match option {
            _ if is_word(option, "NX") => options.only_new = true,
            _ if is_word(option, "XX") => options.only_existing = true,
            _ if is_word(option, "CH") => options.count_changed = true,
            _ => break,
        }
        rest = tail;
    }
    let (places, []) = rest.as_chunks::<3>() else { return Err(CommandError::Syntax) };
    if options.only_new && options.only_existing || places.is_empty() {
        return Err(CommandError::Syntax);
    }
    let pairs = places.iter().map(|[longitude, latitude, member]| {
        context.budget().spend(1);
        Ok((place(longitude, latitude)?.score(), *member))
    });
    let pairs = pairs.collect::<Result<Vec<_>, CommandError>>()?;
    let added = add(context, args[1], options, &pairs)?;
    reply.length(added.new + if options.count_changed { added.changed } else { 0 });
    Ok(())
}

/// Answers with something about each member.
fn reply_each(
    view: &View<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
    write: fn(Option<Point>, &mut Writer<'_>),
) -> Outcome {
    let zset = view.read::<Zset>(args[1])?;
    reply.array(args.len() - 2);
    for member in &args[2..] {
        view.budget.spend(ELEMENT);
        write(zset.and_then(|zset| place_of(zset, member)), reply);
    }
    Ok(())
}

pub(crate) fn geopos(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_each(view, args, reply, |place, reply| match place {
        Some(place) => reply_place(place, reply),
        None => reply.null_array(),
    })
}

pub(crate) fn geohash(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    reply_each(view, args, reply, |place, reply| match place {
        Some(place) => reply.bulk(&place.text()),
        None => reply.null(),
    })
}

pub(crate) fn geodist(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let unit_m = match &args[4..] {
        [] => 1.0,
        [unit] => unit_m(unit)?,
        _ => return Err(CommandError::Syntax),
    };
    let zset = view.read::<Zset>(args[1])?;
    view.budget.spend(2 * ELEMENT + DISTANCE);
    match zset.and_then(|zset| Some((place_of(zset, args[2])?, place_of(zset, args[3])?))) {
        Some((one, other)) => reply_distance(distance(one, other) / unit_m, reply),
        None => reply.null(),
    }
    Ok(())
}
