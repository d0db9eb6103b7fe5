//! Places on the earth: as numbers, as distances, and as what lies around one.
//!
//! Pure code, which knows neither keys nor replies. Whatever it computes may be stored, or decide what is
//! stored (`GEOSEARCHSTORE`), so it has to be the same on every machine: addition, multiplication, division
//! and the square root are, by IEEE 754. Sines and their relatives are not, and come from the crate `libm`,
//! which is the same code everywhere
//! ([decision 21](../../../../docs/decisions/0021-trigonometry-in-rust.md)).

mod area;
mod distance;
mod hash;

pub(crate) use area::{Form, Shape};
pub(crate) use distance::distance;
pub(crate) use hash::{LATITUDE_MAX, LONGITUDE_MAX, Point, truncated};
