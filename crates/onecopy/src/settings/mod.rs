//! Every setting of a node, listed once.
//!
//! A setting is given by a flag, an environment variable or the configuration file; where more than one gives
//! it, the first of these counts. [`Overrides`] takes the flags and variables, [`load()`] puts everything
//! together.

mod kind;
mod list;
mod load;
mod overrides;

pub use kind::Kind;
pub use list::{SETTINGS, Setting};
pub use load::{Effective, Loaded, Origin, apply, load};
pub use overrides::{CommonOverrides, Overrides};

/// Everything that is wrong with the settings, each with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong:{}", .0.iter().map(|mistake| format!("\n  - {mistake}")).collect::<String>())]
pub struct Mistakes(pub Vec<String>);
