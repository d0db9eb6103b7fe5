//! Reading the values of keys, those that are not large.

use onecopy_core::Timestamp;

use super::super::large::{NO_STREAM, is_large};
use super::super::{EXPIRES, kind};
use super::Reader;
use crate::slot::New;
use crate::value::stream::Building;
use crate::value::{Hash, List, Set, Text, Typed, Value, Zset};

impl<'a> Reader<'a> {
    /// What kind of value follows, and when it expires.
    pub(super) fn kind(&mut self) -> Result<(u8, Option<Timestamp>), &'static str> {
        let [tag] = self.fixed()?;
        let expires = match tag & EXPIRES {
            0 => None,
            _ => Some(Timestamp(u64::from_le_bytes(self.fixed()?))),
        };
        if expires == Some(Timestamp(u64::MAX)) {
            return Err("an expiry that never comes");
        }
        Ok((tag & !EXPIRES, expires))
    }

    pub(super) fn value(&mut self, kind: u8) -> Result<New<'a>, &'static str> {
        let collection = match kind {
            kind::INTEGER => {
                return Ok(New::Text(Text::Integer(i64::from_le_bytes(self.fixed()?))));
            }
            kind::RAW => return Ok(New::Text(self.raw()?)),
            kind::LIST => self.list()?,
            kind::HASH => self.hash()?,
            kind::SET => self.set()?,
            kind::ZSET => self.zset()?,
            kind::STREAM => self.stream()?,
            _ => return Err("a value of an unknown kind"),
        };
        if collection.content().is_gone() {
            return Err("a collection without elements");
        }
        if is_large(collection.content()) {
            return Err("a large value in one part");
        }
        Ok(New::Value(collection))
    }

    fn raw(&mut self) -> Result<Text<'a>, &'static str> {
        match Text::new(self.bytes()?) {
            Text::Integer(_) => Err("an integer in the form of a string"),
            raw @ Text::Raw(_) => Ok(raw),
        }
    }

    fn list(&mut self) -> Result<Value, &'static str> {
        let mut list = List::default();
        for _ in 0..self.u32()? {
            list.push_back(self.bytes()?);
        }
        Ok(list.into_value())
    }

    fn hash(&mut self) -> Result<Value, &'static str> {
        let mut hash = Hash::new();
        for _ in 0..self.u32()? {
            let field = self.bytes()?;
            if !hash.insert(self.seed, field, self.bytes()?) {
                return Err("a field comes twice");
            }
        }
        Ok(hash.into_value())
    }

    fn set(&mut self) -> Result<Value, &'static str> {
        let mut set = Set::new();
        for _ in 0..self.u32()? {
            if !set.insert(self.seed, self.bytes()?) {
                return Err("a member comes twice");
            }
        }
        Ok(set.into_value())
    }

    fn zset(&mut self) -> Result<Value, &'static str> {
        let count = self.u32()? as usize;
        let mut pairs = Vec::new();
        for _ in 0..count {
            let member = self.bytes()?;
            let score = f64::from_le_bytes(self.fixed()?);
            if score.is_nan() {
                return Err("a score that is no number");
            }
            pairs.push((member, score));
        }
        let zset = Zset::of(self.seed, &pairs).ok_or("a member comes twice")?;
        Ok(zset.into_value())
    }

    fn stream(&mut self) -> Result<Value, &'static str> {
        let mut building = Building::new();
        for _ in 0..self.u32()? {
            building.add(self.bytes()?).ok_or(NO_STREAM)?;
        }
        Ok(building.finish().ok_or(NO_STREAM)?.into_value())
    }
}
