//! Points as numbers of 52 bits: the scores of a sorted set.
//!
//! Longitude and latitude are halved 26 times each. Whether a half is the upper one is a bit, and the bits of
//! both are interleaved, longitude first: points in one cell of the grid have numbers that begin with the
//! same bits, and lie side by side in a sorted set. Sources: G. M. Morton, *A computer oriented geodetic data
//! base and a new technique in file sequencing* (1966); G. Niemeyer's geohash (2008), for the text. Redis'
//! latitudes end at 85.05112878°, as those of maps in EPSG:3857 do, and its scores depend on that. Its
//! operations are done here in the same order, so that every bit of a score is Redis'.

use std::ops::Range;

/// Longitudes are at most so large, in degrees, west and east.
pub(crate) const LONGITUDE_MAX: f64 = 180.0;
/// Latitudes are at most so large, in degrees, south and north.
pub(crate) const LATITUDE_MAX: f64 = 85.051_128_78;
/// Latitudes of a geohash that is a text are at most so large.
const TEXT_LATITUDE_MAX: f64 = 90.0;
/// How often a score halves each side.
pub(super) const STEP_MAX: u32 = 26;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// East is positive.
    pub(crate) longitude: f64,
    /// North is positive.
    pub(crate) latitude: f64,
}

impl Point {
    /// The place that a score stands for: the middle of its cell. Any score stands for one.
    pub(crate) fn of_score(score: f64) -> Self {
        // To an unsigned number, as x86-64 does it: the highest bit is apart.
        let half = 2f64.powi(63);
        let bits = if score < half { truncated(score) } else { truncated(score - half) ^ i64::MIN };
        let cell = Cell::of_bits(bits.cast_unsigned());
        let (longitudes, latitudes) = (cell.longitudes(), cell.latitudes());
        let middle = |range: Range<f64>, max: f64| ((range.start + range.end) / 2.0).min(max).max(-max);
        Self { longitude: middle(longitudes, LONGITUDE_MAX), latitude: middle(latitudes, LATITUDE_MAX) }
    }

    /// The score of a place, which must be within the limits.
    pub(crate) fn score(self) -> f64 {
        Cell::at(self, STEP_MAX).scores().start
    }

    /// The geohash as a text of 11 characters, as geohash.org writes it. The last one is always `0`, as in
    /// Redis: ten characters have all of the bits but two.
    pub(crate) fn text(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = Cell::within(self, STEP_MAX, TEXT_LATITUDE_MAX).bits();
        let mut text = [ALPHABET[0]; 11];
        for (character, place) in text[..10].iter_mut().zip(1..) {
            *character = ALPHABET[(bits >> (2 * STEP_MAX - place * 5)) as usize & 0x1f];
        }
        text
    }
}

/// The integer part of a score. C leaves open what it is of one that is too large, or too small. Here it is
/// what x86-64 makes of it, so that Redis says the same there.
pub(crate) fn truncated(score: f64) -> i64 {
    let half = 2f64.powi(63);
    if (-half..half).contains(&score) { score as i64 } else { i64::MIN }
}

/// A cell of the grid that halving each side `step` times makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Counted from the west. At 180° east it is one more than there are.
    column: u32,
    /// Counted from the south, and likewise.
    row: u32,
    step: u32,
}

impl Cell {
    /// The cell in which a place is.
    pub(super) fn at(point: Point, step: u32) -> Self {
        Self::within(point, step, LATITUDE_MAX)
    }

    fn within(point: Point, step: u32, latitude_max: f64) -> Self {
        let cells = f64::from(1u32 << step);
        let number = |degrees: f64, max: f64| ((degrees + max) / (max + max) * cells) as u32;
        Self {
            column: number(point.longitude, LONGITUDE_MAX),
            row: number(point.latitude, latitude_max),
            step,
        }
    }

    fn of_bits(bits: u64) -> Self {
        Self { column: odd_bits(bits >> 1), row: odd_bits(bits), step: STEP_MAX }
    }

    fn bits(self) -> u64 {
        spread(self.row) | spread(self.column) << 1
    }

    /// The scores of the places in it.
    pub(super) fn scores(self) -> Range<f64> {
        let shift = 2 * (STEP_MAX - self.step);
        // At most 54 bits, of which the last is zero if there are so many: exact.
        ((self.bits() << shift) as f64)..(((self.bits() + 1) << shift) as f64)
    }

    pub(super) fn step(self) -> u32 {
        self.step
    }

    /// The longitudes of its sides.
    pub(super) fn longitudes(self) -> Range<f64> {
        sides(self.column, self.step, LONGITUDE_MAX)
    }

    /// The latitudes of its sides.
    pub(super) fn latitudes(self) -> Range<f64> {
        sides(self.row, self.step, LATITUDE_MAX)
    }

    /// The cell so many columns to the east, and so many rows to the north. The grid goes round the earth in
    /// both directions.
    pub(super) fn neighbor(self, east: i32, north: i32) -> Self {
        let moved = |number: u32, by: i32| match by {
            0 => number,
            by => number.wrapping_add_signed(by) & ((1 << self.step) - 1),
        };
        Self { column: moved(self.column, east), row: moved(self.row, north), step: self.step }
    }
}

fn sides(number: u32, step: u32, max: f64) -> Range<f64> {
    let cells = f64::from(1u32 << step);
    let side = |number: u32| -max + f64::from(number) / cells * (max + max);
    side(number)..side(number.wrapping_add(1))
}

/// Puts a zero before each bit.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Every other bit, the lowest first: what [`spread`] was given.
fn odd_bits(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_texts_are_those_of_the_documentation() {
        let palermo = Point { longitude: 13.361389, latitude: 38.115556 };
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(&Point::of_score(palermo.score()).text(), b"sqc8b49rny0");
    }

    #[test]
    fn interleaving_can_be_undone() {
        for number in [0, 1, 2, 0x0123_4567, 0x89ab_cdef, u32::MAX] {
            assert_eq!((odd_bits(spread(number)), odd_bits(spread(number) >> 1)), (number, 0));
        }
    }

    #[test]
    fn the_grid_goes_round_the_earth() {
        let corner = Cell { column: 0, row: 0, step: 3 };
        assert_eq!(corner.neighbor(-1, -1), Cell { column: 7, row: 7, step: 3 });
        assert_eq!(corner.neighbor(-1, -1).neighbor(1, 1), corner);
    }

    #[test]
    fn any_score_is_a_place() {
        for score in [0.0, -1.5, 1e300, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_992.0] {
            let point = Point::of_score(score);
            assert!(point.longitude.abs() <= LONGITUDE_MAX && point.latitude.abs() <= LATITUDE_MAX);
        }
        let corner = Point { longitude: LONGITUDE_MAX, latitude: LATITUDE_MAX };
        assert!(corner.score() < 2f64.powi(54));
    }
}
