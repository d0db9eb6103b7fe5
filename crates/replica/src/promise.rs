//! The durable promise of a view (rule P3): the last [`Write::State`](onecopy_core::Write::State) of a replica.

use bytes::Bytes;
use onecopy_core::View;

/// The promise on disk cannot be understood. The checksums of the log were right, so it was written by
/// something else: the replica must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the promised view on disk cannot be understood: {reason}")]
pub struct CorruptPromise {
    /// What is wrong with it.
    pub reason: String,
}

/// Encodes the promise.
pub(crate) fn encode(view: &View) -> Bytes {
    Bytes::from(postcard::to_stdvec(view).expect("a view always has an encoding"))
}

/// Decodes the promise.
pub(crate) fn decode(state: &[u8]) -> Result<View, CorruptPromise> {
    let view: View =
        postcard::from_bytes(state).map_err(|error| CorruptPromise { reason: error.to_string() })?;
    match view.valid() {
        true => Ok(view),
        false => Err(CorruptPromise { reason: format!("{view:?} is not a valid view") }),
    }
}
