//! All types of values, in all of their encodings.

use crate::element::Element;
use crate::input::Input;
use crate::listpack::{Entry, Listpack};
use crate::stream::Version;
use crate::ziplist::Ziplist;
use crate::zipmap::Zipmap;
use crate::{CUT, Corrupt, intset, number, stream};

/// A type and its encoding, as the byte before a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A string.
    String = 0,
    /// A list of strings.
    List = 1,
    /// A set of strings.
    Set = 2,
    /// A sorted set with scores as texts, until Redis 4.
    ZsetOfTexts = 3,
    /// A hash of strings.
    Hash = 4,
    /// A sorted set.
    Zset = 5,
    /// A hash as a zipmap.
    HashZipmap = 9,
    /// A list as a ziplist.
    ListZiplist = 10,
    /// A set as an intset.
    SetIntset = 11,
    /// A sorted set as a ziplist.
    ZsetZiplist = 12,
    /// A hash as a ziplist.
    HashZiplist = 13,
    /// A list as a row of ziplists.
    ListQuicklist = 14,
    /// A stream, until Redis 6.
    Stream5 = 15,
    /// A hash as a listpack.
    HashListpack = 16,
    /// A sorted set as a listpack.
    ZsetListpack = 17,
    /// A list as a row of listpacks and strings.
    ListQuicklist2 = 18,
    /// A stream, of Redis 7.0.
    Stream7 = 19,
    /// A set as a listpack.
    SetListpack = 20,
    /// A stream.
    Stream = 21,
}

impl Kind {
    const ALL: [Self; 19] = [
        Self::String,
        Self::List,
        Self::Set,
        Self::ZsetOfTexts,
        Self::Hash,
        Self::Zset,
        Self::HashZipmap,
        Self::ListZiplist,
        Self::SetIntset,
        Self::ZsetZiplist,
        Self::HashZiplist,
        Self::ListQuicklist,
        Self::Stream5,
        Self::HashListpack,
        Self::ZsetListpack,
        Self::ListQuicklist2,
        Self::Stream7,
        Self::SetListpack,
        Self::Stream,
    ];

    /// What a byte stands for.
    ///
    /// # Errors
    /// No value: a module's, for example, which nobody but the module can read.
    pub fn of_byte(byte: u8) -> Result<Self, Corrupt> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or(Corrupt("a value of an unknown type"))
    }
}

/// Reads a value of this kind: `take` gets its elements one by one.
///
/// # Errors
/// The value is corrupt, or `take` does not take an element.
pub fn read_value<E: From<Corrupt>>(
    kind: Kind,
    input: &mut Input<'_>,
    take: &mut dyn FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    match kind {
        Kind::String => take(Element::Text(&input.string()?)),
        Kind::List => each(input, |input| take(Element::Item(&input.string()?))),
        Kind::Set => each(input, |input| take(Element::Member(&input.string()?))),
        Kind::Hash => each(input, |input| take(Element::Field(&input.string()?, &input.string()?))),
        Kind::Zset => each(input, |input| {
            let member = input.string()?;
            take(Element::Scored(&member, a_number(f64::from_le_bytes(input.fixed()?))?))
        }),
        Kind::ZsetOfTexts => each(input, |input| {
            let member = input.string()?;
            take(Element::Scored(&member, text_score(input)?))
        }),
        Kind::SetIntset => {
            let bytes = input.string()?;
            intset::members(&bytes)?.try_for_each(|member| take(Element::Member(&number::to_text(member))))
        }
        Kind::HashZipmap => {
            let bytes = input.string()?;
            let mut zipmap = Zipmap::new(&bytes)?;
            while let Some((field, value)) = zipmap.next()? {
                take(Element::Field(field, value))?;
            }
            Ok(())
        }
        Kind::ListZiplist => items(&mut Ziplist::new(&input.string()?)?, take),
        Kind::ListQuicklist => each(input, |input| items(&mut Ziplist::new(&input.string()?)?, take)),
        Kind::ListQuicklist2 => each(input, |input| match (input.length()?, input.string()?) {
            (PLAIN, item) => take(Element::Item(&item)),
            (PACKED, bytes) => items(&mut Listpack::new(&bytes)?, take),
            _ => Err(Corrupt("a part of a list in an unknown encoding").into()),
        }),
        Kind::HashZiplist => fields(&mut Ziplist::new(&input.string()?)?, take),
        Kind::HashListpack => fields(&mut Listpack::new(&input.string()?)?, take),
        Kind::ZsetZiplist => scores(&mut Ziplist::new(&input.string()?)?, take),
        Kind::ZsetListpack => scores(&mut Listpack::new(&input.string()?)?, take),
        Kind::SetListpack => {
            let bytes = input.string()?;
            let mut members = Listpack::new(&bytes)?;
            while let Some(member) = members.next()? {
                take(Element::Member(&member.text()))?;
            }
            Ok(())
        }
        Kind::Stream5 => stream::read(Version::Five, input, take),
        Kind::Stream7 => stream::read(Version::Seven, input, take),
        Kind::Stream => stream::read(Version::SevenTwo, input, take),
    }
}

/// A part of a list that is one element, and one that is a listpack.
const PLAIN: u64 = 1;
const PACKED: u64 = 2;

fn each<E: From<Corrupt>>(
    input: &mut Input<'_>,
    mut read: impl FnMut(&mut Input<'_>) -> Result<(), E>,
) -> Result<(), E> {
    (0..input.count()?).try_for_each(|_| read(input))
}

/// A row of texts and integers.
trait Entries<'a> {
    fn next(&mut self) -> Result<Option<Entry<'a>>, Corrupt>;
}

impl<'a> Entries<'a> for Listpack<'a> {
    fn next(&mut self) -> Result<Option<Entry<'a>>, Corrupt> {
        self.next()
    }
}

impl<'a> Entries<'a> for Ziplist<'a> {
    fn next(&mut self) -> Result<Option<Entry<'a>>, Corrupt> {
        self.next()
    }
}

type Take<'t, E> = &'t mut dyn FnMut(Element<'_>) -> Result<(), E>;

fn items<'a, E: From<Corrupt>>(entries: &mut impl Entries<'a>, take: Take<'_, E>) -> Result<(), E> {
    while let Some(item) = entries.next()? {
        take(Element::Item(&item.text()))?;
    }
    Ok(())
}

fn fields<'a, E: From<Corrupt>>(entries: &mut impl Entries<'a>, take: Take<'_, E>) -> Result<(), E> {
    while let Some(field) = entries.next()? {
        let value = entries.next()?.ok_or(CUT)?;
        take(Element::Field(&field.text(), &value.text()))?;
    }
    Ok(())
}

fn scores<'a, E: From<Corrupt>>(entries: &mut impl Entries<'a>, take: Take<'_, E>) -> Result<(), E> {
    while let Some(member) = entries.next()? {
        let score = match entries.next()?.ok_or(CUT)? {
            Entry::Integer(score) => score as f64,
            Entry::Text(text) => score_of_text(text)?,
        };
        take(Element::Scored(&member.text(), score))?;
    }
    Ok(())
}

fn a_number(score: f64) -> Result<f64, Corrupt> {
    if score.is_nan() { Err(Corrupt("a score that is no number")) } else { Ok(score) }
}

fn score_of_text(text: &[u8]) -> Result<f64, Corrupt> {
    let score = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    a_number(score.ok_or(Corrupt("a score that is no number"))?)
}

/// A score as a text with a byte before it: how long it is, or what it is if it is not finite.
fn text_score(input: &mut Input<'_>) -> Result<f64, Corrupt> {
    match input.byte()? {
        255 => Ok(f64::NEG_INFINITY),
        254 => Ok(f64::INFINITY),
        253 => a_number(f64::NAN),
        length => score_of_text(input.take(length.into())?),
    }
}

#[cfg(test)]
mod tests;
