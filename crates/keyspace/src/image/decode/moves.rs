//! Reading what an image has of keys that go to other groups.

use onecopy_core::Timestamp;

use super::Reader;
use crate::machine::DATABASES;
use crate::moves::{Arrivals, DEPARTURES_MAX, Departure, KEY_BYTES_MAX, Moves, SOURCES_MAX};

impl Reader<'_> {
    pub(super) fn moves(mut self, moves: &mut Moves) -> Result<(), &'static str> {
        if !moves.is_fresh() {
            return Err("what is known of moves comes twice");
        }
        moves.last = self.u64()?;
        for _ in 0..self.u32()? {
            let number = self.u64()?;
            let [db] = self.fixed()?;
            let key: Box<[u8]> = self.bytes()?.into();
            let group = self.u64()?;
            let [to] = self.fixed()?;
            let departure = Departure { db, key, group, to, since: Timestamp(self.u64()?) };
            let is_sound =
                number <= moves.last && db.max(to) < DATABASES && departure.key.len() <= KEY_BYTES_MAX;
            if !is_sound || moves.departures.insert(number, departure).is_some() {
                return Err("a key on its way that makes no sense");
            }
        }
        for _ in 0..self.u32()? {
            let group = self.u64()?;
            let mut arrivals = Arrivals { below: self.u64()?, ..Arrivals::default() };
            for _ in 0..self.u32()? {
                let (number, taken) = (self.u64()?, self.flag()?);
                if number < arrivals.below || arrivals.taken.insert(number, taken).is_some() {
                    return Err("a key that has come makes no sense");
                }
            }
            if moves.arrivals.insert(group, arrivals).is_some() {
                return Err("keys that have come from a group are there twice");
            }
        }
        let is_bounded = moves.departures.len() <= DEPARTURES_MAX && moves.arrivals.len() <= SOURCES_MAX;
        if self.rest.is_empty() && is_bounded { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.fixed().map(u64::from_le_bytes)
    }
}
