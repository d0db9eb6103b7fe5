//! What is around a place: `GEOSEARCH`, and the commands that it replaced.

use onecopy_core::Budget;
use onecopy_resp::Writer;

use super::geo::{place, place_of, reply_distance, reply_place, unit_m};
use crate::context::{Context, View};
use crate::error::{CommandError, Outcome};
use crate::geo::{Form, Point, Shape, truncated};
use crate::machine::check_reply;
use crate::number::{integer, is_word, parse_float};
use crate::steps::{Comparisons, DISTANCE, ORDERED, Steps, sorting};
use crate::value::Zset;

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `GEORADIUS`, which may store.
    Radius {
        stores: bool,
    },
    /// `GEORADIUSBYMEMBER`, which may store.
    ByMember {
        stores: bool,
    },
    Search,
    SearchStore,
}

impl Kind {
    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }

    /// Whether `STORE` and `STOREDIST` name a destination.
    fn may_store(self) -> bool {
        matches!(self, Self::Radius { stores: true } | Self::ByMember { stores: true })
    }
}

/// What the center is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Center {
    Place(Point),
    /// A member's place; `None` if there is no sorted set.
    Member(Option<Point>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// A command, parsed.
struct Query<'a, 'b> {
    zset: Option<&'a Zset>,
    center: Option<Center>,
    form: Option<Form>,
    /// What distances are divided by.
    unit_m: f64,
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    destination: Option<&'b [u8]>,
    /// The scores that are stored are distances.
    stores_distances: bool,
}

/// A number that must not be negative.
fn size(arg: &[u8], no_number: &'static str, negative: &'static str) -> Result<f64, CommandError> {
    let size = parse_float(arg).ok_or(CommandError::Other(no_number))?;
    if size < 0.0 { Err(CommandError::Other(negative)) } else { Ok(size) }
}

impl<'a, 'b> Query<'a, 'b> {
    fn parse(view: &View<'a>, args: &[&'b [u8]], kind: Kind) -> Result<Self, CommandError> {
        let source = if kind == Kind::SearchStore { 2 } else { 1 };
        let mut query = Query {
            zset: view.read::<Zset>(args[source])?,
            center: None,
            form: None,
            unit_m: 1.0,
            with_distance: false,
            with_hash: false,
            with_place: false,
            order: None,
            count: None,
            any: false,
            destination: (kind == Kind::SearchStore).then_some(args[1]),
            stores_distances: false,
        };
        let options = match kind {
            Kind::Radius { .. } => {
                query.center = Some(Center::Place(place(args[2], args[3])?));
                query.set_circle(args[4], args[5])?;
                &args[6..]
            }
            Kind::ByMember { .. } => {
                // Redis: a radius around nothing may be anything.
                if query.zset.is_some() {
                    query.set_member(args[2])?;
                    query.set_circle(args[3], args[4])?;
                }
                &args[5..]
            }
            Kind::Search | Kind::SearchStore => &args[source + 1..],
        };
        query.parse_options(options, kind)?;
        query.check(args[0], kind)?;
        Ok(query)
    }

    fn set_circle(&mut self, radius: &[u8], unit: &[u8]) -> Outcome {
        let radius = size(radius, "ERR need numeric radius", "ERR radius cannot be negative")?;
        self.unit_m = unit_m(unit)?;
        self.form = Some(Form::Circle { radius_m: radius * self.unit_m });
        Ok(())
    }

    fn set_rectangle(&mut self, width: &[u8], height: &[u8], unit: &[u8]) -> Outcome {
        let number = |arg: &[u8], error| parse_float(arg).ok_or(CommandError::Other(error));
        let width = number(width, "ERR need numeric width")?;
        let height = number(height, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::Other("ERR height or width cannot be negative"));
        }
        self.unit_m = unit_m(unit)?;
        self.form = Some(Form::Rectangle { width_m: width * self.unit_m, height_m: height * self.unit_m });
        Ok(())
    }

    fn set_member(&mut self, member: &[u8]) -> Outcome {
        let undecoded = CommandError::Other("ERR could not decode requested zset member");
        let place = self.zset.map(|zset| place_of(zset, member).ok_or(undecoded)).transpose()?;
        self.center = Some(Center::Member(place));
        Ok(())
    }

    fn parse_options(&mut self, options: &[&'b [u8]], kind: Kind) -> Outcome {
        let mut rest = options;
        while let [option, tail @ ..] = rest {
            let is = |word: &str| is_word(option, word);
            rest = tail;
            match tail {
                _ if is("WITHDIST") => self.with_distance = true,
                _ if is("WITHHASH") => self.with_hash = true,
                _ if is("WITHCOORD") => self.with_place = true,
                _ if is("ANY") => self.any = true,
                _ if is("ASC") => self.order = Some(Order::Ascending),
                _ if is("DESC") => self.order = Some(Order::Descending),
                [count, after @ ..] if is("COUNT") => {
                    let count = usize::try_from(integer(count)?).ok().filter(|count| *count > 0);
                    self.count = Some(count.ok_or(CommandError::Other("ERR COUNT must be > 0"))?);
                    rest = after;
                }
                [key, after @ ..] if kind.may_store() && (is("STORE") || is("STOREDIST")) => {
                    (self.destination, self.stores_distances) = (Some(*key), is("STOREDIST"));
                    rest = after;
                }
                _ if kind == Kind::SearchStore && is("STOREDIST") => self.stores_distances = true,
                tail if kind.is_search() => rest = self.parse_area(option, tail)?,
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(())
    }

    /// The options that say which area is searched; what comes behind the first of them.
    fn parse_area<'c>(
        &mut self,
        option: &[u8],
        tail: &'c [&'b [u8]],
    ) -> Result<&'c [&'b [u8]], CommandError> {
        let is = |word: &str| is_word(option, word);
        match tail {
            [member, rest @ ..] if is("FROMMEMBER") && !matches!(self.center, Some(Center::Place(_))) => {
                self.set_member(member)?;
                Ok(rest)
            }
            [longitude, latitude, rest @ ..]
                if is("FROMLONLAT") && !matches!(self.center, Some(Center::Member(_))) =>
            {
                self.center = Some(Center::Place(place(longitude, latitude)?));
                Ok(rest)
            }
            [radius, unit, rest @ ..]
                if is("BYRADIUS") && !matches!(self.form, Some(Form::Rectangle { .. })) =>
            {
                self.set_circle(radius, unit)?;
                Ok(rest)
            }
            [width, height, unit, rest @ ..]
                if is("BYBOX") && !matches!(self.form, Some(Form::Circle { .. })) =>
            {
                self.set_rectangle(width, height, unit)?;
                Ok(rest)
            }
            _ => Err(CommandError::Syntax),
        }
    }

    /// Whether the options make sense together.
    fn check(&self, command: &[u8], kind: Kind) -> Outcome {
        if self.destination.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            return Err(CommandError::Other(if kind == Kind::SearchStore {
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }));
        }
        let not_one = |options| {
            let command = String::from_utf8_lossy(command).into_owned();
            Err(CommandError::NotExactlyOne { options, command })
        };
        if kind.is_search() && self.center.is_none() {
            return not_one("FROMMEMBER or FROMLONLAT");
        }
        if kind.is_search() && self.form.is_none() {
            return not_one("BYRADIUS and BYBOX");
        }
        if self.any && self.count.is_none() {
            return Err(CommandError::Other("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The members in the area, as many as are wanted, and in the order that is wanted.
    fn run(&self, budget: Budget<'_>) -> Result<Vec<Found<'a>>, CommandError> {
        let center = match self.center {
            Some(Center::Place(place) | Center::Member(Some(place))) => place,
            Some(Center::Member(None)) | None => return Ok(Vec::new()),
        };
        let (Some(zset), Some(form)) = (self.zset, self.form) else { return Ok(Vec::new()) };
        let mut steps = Steps::new(budget);
        let count_max = self.count.unwrap_or(usize::MAX);
        let enough = if self.any { count_max } else { usize::MAX };
        let mut found = search(zset, &Shape { center, form }, enough, &mut steps)?;
        // Not just any, but the nearest.
        let nearest = (self.count.is_some() && !self.any).then_some(Order::Ascending);
        if let Some(order) = self.order.or(nearest) {
            steps.reserve(sorting(found.len()))?;
            let mut comparisons = Comparisons::new(budget);
            found.sort_by(|one, other| {
                comparisons.spend(0);
                let ascending = one.distance.total_cmp(&other.distance);
                if order == Order::Ascending { ascending } else { ascending.reverse() }
            });
        }
        found.truncate(count_max);
        let each = if self.destination.is_some() { 2 * ORDERED } else { 1 };
        steps.reserve(found.len().saturating_mul(each))?;
        Ok(found)
    }

    fn reply(&self, found: &[Found<'_>], reply: &mut Writer<'_>) -> Outcome {
        /// The longest texts of a distance, a hash, and two coordinates.
        const NUMBERS: u64 = 80;
        let members = found.iter().map(|found| found.member.len() as u64 + NUMBERS);
        check_reply(found.len().saturating_mul(7), members.sum())?;
        let parts = [self.with_distance, self.with_hash, self.with_place];
        let parts = parts.into_iter().filter(|wanted| *wanted).count();
        reply.array(found.len());
        for found in found {
            if parts > 0 {
                reply.array(1 + parts);
            }
            reply.bulk(found.member);
            if self.with_distance {
                reply_distance(found.distance / self.unit_m, reply);
            }
            if self.with_hash {
                reply.integer(truncated(found.score));
            }
            if self.with_place {
                reply_place(found.place, reply);
            }
        }
        Ok(())
    }

    /// What is found, as the sorted set that is stored.
    fn stored(&self, view: &View<'_>, found: &[Found<'_>]) -> Zset {
        let mut stored = Zset::new();
        for found in found {
            view.budget.spend(2 * ORDERED);
            let score = if self.stores_distances { found.distance / self.unit_m } else { found.score };
            stored.insert(view.keyspace.seed, found.member, score);
        }
        stored
    }
}

/// A member in the area.
struct Found<'a> {
    member: &'a [u8],
    score: f64,
    place: Point,
    /// From the center, in meters.
    distance: f64,
}

/// The members in an area, until there are enough: cell by cell, and by their scores in each.
fn search<'a>(
    zset: &'a Zset,
    shape: &Shape,
    enough: usize,
    steps: &mut Steps<'_>,
) -> Result<Vec<Found<'a>>, CommandError> {
    let mut found = Vec::new();
    for scores in shape.cells() {
        steps.take(2 * ORDERED)?;
        let ranks = zset.below(scores.start, b"")..zset.below(scores.end, b"");
        for (member, score) in zset.range(ranks) {
            if found.len() >= enough {
                return Ok(found);
            }
            steps.take(DISTANCE)?;
            let place = Point::of_score(score);
            if let Some(distance) = shape.distance_within(place) {
                found.push(Found { member, score, place, distance });
            }
        }
    }
    Ok(found)
}

fn read(view: &View<'_>, args: &[&[u8]], kind: Kind, reply: &mut Writer<'_>) -> Outcome {
    let query = Query::parse(view, args, kind)?;
    query.reply(&query.run(view.budget)?, reply)
}

fn write(context: &mut Context<'_>, args: &[&[u8]], kind: Kind, reply: &mut Writer<'_>) -> Outcome {
    let view = context.view();
    let query = Query::parse(&view, args, kind)?;
    let found = query.run(view.budget)?;
    let Some(destination) = query.destination else { return query.reply(&found, reply) };
    let stored = query.stored(&view, &found);
    reply.length(stored.len());
    context.store(destination, stored);
    Ok(())
}

pub(crate) fn geosearch(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    read(view, args, Kind::Search, reply)
}

pub(crate) fn geosearchstore(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    write(context, args, Kind::SearchStore, reply)
}

pub(crate) fn georadius(context: &mut Context<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    write(context, args, Kind::Radius { stores: true }, reply)
}

pub(crate) fn georadius_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    read(view, args, Kind::Radius { stores: false }, reply)
}

pub(crate) fn georadiusbymember(
    context: &mut Context<'_>,
    args: &[&[u8]],
    reply: &mut Writer<'_>,
) -> Outcome {
    write(context, args, Kind::ByMember { stores: true }, reply)
}

pub(crate) fn georadiusbymember_ro(view: &View<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    read(view, args, Kind::ByMember { stores: false }, reply)
}
