//! The control plane of a node.

mod message;

pub use message::ControlMessage;
