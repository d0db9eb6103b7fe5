//! Keys that are drawn, of all databases.

use onecopy_core::{Policy, Timestamp};

use crate::database::{Database, Place};

/// So many times it is tried to draw something that has not expired.
const TRIES: usize = 4;

/// A key that was drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) db: u8,
    pub(crate) place: Place,
    pub(crate) expires: Option<Timestamp>,
}

/// Draws a key that may go under a policy. `below` gives numbers below a bound.
pub(super) fn draw(
    databases: &[Option<Box<Database>>],
    policy: Policy,
    clock: Timestamp,
    below: &mut dyn FnMut(usize) -> usize,
) -> Option<Drawn> {
    let sizes = || databases.iter().zip(0u8..).filter_map(|(database, db)| Some((database.as_deref()?, db)));
    let total: usize = sizes().map(|(database, _)| database.pool(policy)).sum();
    if total == 0 {
        return None;
    }
    for _ in 0..TRIES {
        let mut number = below(total);
        let (database, db) = sizes().find(|(database, _)| {
            let is_here = number < database.pool(policy);
            number = if is_here { number } else { number - database.pool(policy) };
            is_here
        })?;
        let place = match policy.is_volatile() {
            true => database.draw_expiring(clock, below),
            false => database.place_of(number),
        };
        if let Some(place) = place
            && let Some(object) = database.at(place)
        {
            return Some(Drawn { db, place, expires: object.expires });
        }
    }
    None
}
