//! The durable promise of a view (rule P3): the last [`Write::State`](onecopy_core::Write::State) of a
//! replica.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::View;
use serde::{Deserialize, Serialize};

/// The promise on disk cannot be understood. The checksums of the log were right, so it was written by
/// something else: the replica must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the promised view on disk cannot be understood: {reason}")]
pub struct CorruptPromise {
    /// What is wrong with it.
    pub reason: String,
}

/// What a replica keeps on its disk that has promised a view, and no lease: for a group that becomes one of
/// primary-backup.
#[must_use]
pub fn promise_of(view: &View) -> Bytes {
    Promise { view: view.clone(), lease: Duration::ZERO }.encode()
}

/// What a replica has promised, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    /// Messages of older views are refused.
    pub(crate) view: View,
    /// No promise or lease that the replica gives lasts longer (rule L6).
    pub(crate) lease: Duration,
}

impl Promise {
    /// Encodes the promise.
    pub(crate) fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a promise always has an encoding"))
    }

    /// Decodes the promise.
    pub(crate) fn decode(state: &[u8]) -> Result<Self, CorruptPromise> {
        let promise: Self =
            postcard::from_bytes(state).map_err(|error| CorruptPromise { reason: error.to_string() })?;
        match promise.view.valid() {
            true => Ok(promise),
            false => Err(CorruptPromise { reason: format!("{:?} is not a valid view", promise.view) }),
        }
    }
}
