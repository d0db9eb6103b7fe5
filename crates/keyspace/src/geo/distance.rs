//! The distance between two points on a sphere, by the haversine formula (R. W. Sinnott, *Virtues of the
//! haversine*, Sky and Telescope 68, 1984).

use std::f64::consts::PI;

use libm::{asin, sin};

use super::hash::Point;

/// The mean radius of the earth (WGS 84) that Redis takes.
pub(super) const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// A degree, in radians.
const DEGREE: f64 = PI / 180.0;

pub(super) fn radians(degrees: f64) -> f64 {
    degrees * DEGREE
}

pub(super) fn degrees(radians: f64) -> f64 {
    radians / DEGREE
}

/// The distance between two points on one meridian, in meters.
pub(super) fn along_meridian(one: f64, other: f64) -> f64 {
    EARTH_RADIUS_M * (radians(other) - radians(one)).abs()
}

/// The distance between two points, in meters.
pub(crate) fn distance(one: Point, other: Point) -> f64 {
    let across = sin((radians(other.longitude) - radians(one.longitude)) / 2.0);
    if across == 0.0 {
        return along_meridian(one.latitude, other.latitude);
    }
    let (one, other) = (radians(one.latitude), radians(other.latitude));
    let along = sin((other - one) / 2.0);
    let square = along * along + libm::cos(one) * libm::cos(other) * across * across;
    // Rounding must not lead beyond what has an arcsine.
    2.0 * EARTH_RADIUS_M * asin(square.sqrt().min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_documentation() {
        // As they were added, to the precision of a score.
        let palermo = Point::of_score(Point { longitude: 13.361389, latitude: 38.115556 }.score());
        let catania = Point::of_score(Point { longitude: 15.087269, latitude: 37.502669 }.score());
        assert_eq!(format!("{:.4}", distance(palermo, catania)), "166274.1516");
        assert_eq!(distance(palermo, palermo), 0.0);
    }

    #[test]
    fn the_far_side_of_the_earth_has_a_distance() {
        for latitude in [0.0, 1e-9, 12.345_678, 45.0, 85.0] {
            let here = Point { longitude: -90.0, latitude };
            let there = Point { longitude: 90.0, latitude: -latitude };
            assert!((distance(here, there) - PI * EARTH_RADIUS_M).abs() < 1.0, "{latitude}");
        }
    }
}
