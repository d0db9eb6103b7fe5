//! What lies around a place: a circle or a rectangle, and the cells that cover it.
//!
//! Cells are chosen about as large as the area, so that it is covered by the one with the center and those
//! around it, nine at most. Each is one range of scores, so a query looks at what is near, and at nothing
//! else. The rules by which cells are chosen are those of Redis 7.2: without `ASC` and `DESC` they are the
//! order of a reply.

use std::ops::Range;

use super::distance::{EARTH_RADIUS_M, along_meridian, degrees, distance, radians};
use super::hash::{Cell, Point, STEP_MAX};

/// Half the way round the earth on a map, in meters: an area is never wider.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// What kind of area, and how large, in meters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Circle { radius_m: f64 },
    Rectangle { width_m: f64, height_m: f64 },
}

/// An area around a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) center: Point,
    pub(crate) form: Form,
}

/// The sides of a rectangle, in degrees, that has all of an area.
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Shape {
    /// How far a point is from the center, in meters, if it lies within the area.
    pub(crate) fn distance_within(&self, point: Point) -> Option<f64> {
        match self.form {
            Form::Circle { radius_m } => {
                Some(distance(self.center, point)).filter(|distance| *distance <= radius_m)
            }
            Form::Rectangle { width_m, height_m } => {
                let beside = Point { longitude: self.center.longitude, latitude: point.latitude };
                let is_within = along_meridian(point.latitude, self.center.latitude) <= height_m / 2.0
                    && distance(point, beside) <= width_m / 2.0;
                is_within.then(|| distance(self.center, point))
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let (width_m, height_m) = match self.form {
            Form::Circle { radius_m } => (radius_m, radius_m),
            Form::Rectangle { width_m, height_m } => (width_m / 2.0, height_m / 2.0),
        };
        let Point { longitude, latitude } = self.center;
        let up = degrees(height_m / EARTH_RADIUS_M);
        // Meridians are nearest to each other at the side that is nearer to a pole.
        let side = if latitude < 0.0 { latitude - up } else { latitude + up };
        let aside = degrees(width_m / EARTH_RADIUS_M / libm::cos(radians(side)));
        Bounds {
            west: longitude - aside,
            south: latitude - up,
            east: longitude + aside,
            north: latitude + up,
        }
    }

    /// How often the earth is halved for cells about as large as the area.
    fn step(&self) -> u32 {
        let radius_m = match self.form {
            Form::Circle { radius_m } => radius_m,
            Form::Rectangle { width_m, height_m } => {
                let (half_width, half_height) = (width_m / 2.0, height_m / 2.0);
                (half_width * half_width + half_height * half_height).sqrt()
            }
        };
        if radius_m == 0.0 {
            return STEP_MAX;
        }
        let (mut doubled, mut step) = (radius_m, 1u32);
        while doubled < MERCATOR_MAX_M {
            doubled *= 2.0;
            step += 1;
        }
        // Near the poles, cells are narrow.
        let latitude = self.center.latitude.abs();
        let wider = 2 + u32::from(latitude > 66.0) + u32::from(latitude > 80.0);
        step.saturating_sub(wider).clamp(1, STEP_MAX)
    }

    /// The scores of the cells that cover the area, in the order in which they are searched.
    pub(crate) fn cells(&self) -> Vec<Range<f64>> {
        let bounds = self.bounds();
        let mut center = Cell::at(self.center, self.step());
        let reaches_beyond = center.neighbor(0, 1).latitudes().end < bounds.north
            || center.neighbor(0, -1).latitudes().start > bounds.south
            || center.neighbor(1, 0).longitudes().end < bounds.east
            || center.neighbor(-1, 0).longitudes().start > bounds.west;
        if reaches_beyond && center.step() > 1 {
            center = Cell::at(self.center, center.step() - 1);
        }
        // A neighbor on a side that the area does not reach is left out.
        let (longitudes, latitudes) = (center.longitudes(), center.latitudes());
        let is_needed = |east: i32, north: i32| {
            center.step() < 2
                || !(north < 0 && latitudes.start < bounds.south
                    || north > 0 && latitudes.end > bounds.north
                    || east < 0 && longitudes.start < bounds.west
                    || east > 0 && longitudes.end > bounds.east)
        };
        let around = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let around = around.into_iter().filter(|(east, north)| is_needed(*east, *north));
        let mut cells = vec![center];
        cells.extend(around.map(|(east, north)| center.neighbor(east, north)));
        // Where there are but two columns, the neighbors on both sides are the same.
        cells.dedup();
        cells.into_iter().map(Cell::scores).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(longitude: f64, latitude: f64, radius_m: f64) -> Shape {
        Shape { center: Point { longitude, latitude }, form: Form::Circle { radius_m } }
    }

    #[test]
    fn a_small_area_is_a_small_part_of_all_scores() {
        let cells = circle(15.0, 37.0, 100.0).cells();
        let share: f64 = cells.iter().map(|scores| scores.end - scores.start).sum::<f64>() / 2f64.powi(52);
        assert!(share < 1e-8, "{share}");
    }

    #[test]
    fn what_is_within_an_area_is_in_one_of_its_cells() {
        for (longitude, latitude) in [(0.0, 0.0), (15.0, 37.0), (-120.0, -70.0), (100.0, 60.0)] {
            for radius_m in [1.0, 1_000.0, 50_000.0, 900_000.0] {
                let shape = circle(longitude, latitude, radius_m);
                let cells = shape.cells();
                for at in 0..400 {
                    // A grid around the center.
                    let step = degrees(radius_m / EARTH_RADIUS_M) / 10.0;
                    let point = Point {
                        longitude: longitude + f64::from(at % 20 - 10) * step,
                        latitude: latitude + f64::from(at / 20 - 10) * step,
                    };
                    let score = point.score();
                    let is_covered = cells.iter().any(|scores| scores.contains(&score));
                    assert!(is_covered || shape.distance_within(point).is_none(), "{shape:?} {point:?}");
                }
            }
        }
    }

    #[test]
    fn any_size_has_cells() {
        for radius_m in [0.0, f64::MIN_POSITIVE, 2e7, 1e300, f64::INFINITY] {
            for (longitude, latitude) in [(180.0, 85.05112878), (-180.0, -85.05112878), (0.0, 0.0)] {
                let count = circle(longitude, latitude, radius_m).cells().len();
                assert!((1..=9).contains(&count));
            }
        }
    }
}
