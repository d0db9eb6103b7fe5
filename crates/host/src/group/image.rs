//! What a snapshot of a group holds.
//!
//! ```text
//! image := state                                    primary-backup
//!        | 1:u8 length:u32 configuration state      Raft; little-endian; configuration: length bytes
//! ```
//!
//! The first byte tells which it is: a group that was primary-backup is one of Raft after a switch, and goes
//! on with the snapshots that it has. The state is an image of [`Replicated`]. The configuration of a Raft
//! group goes with it: a copy that gets the state instead of the log must know who belongs to the group as of
//! that entry.

use bytes::{BufMut, Bytes, BytesMut};
use onecopy_core::machine::RestoreError;
use onecopy_core::{Replicated, StateMachine, UnknownLevel};
use onecopy_raft::Configuration;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4;

/// What stands before the state.
pub(super) fn preamble(configuration: Option<&Configuration>) -> Bytes {
    let Some(configuration) = configuration else { return Bytes::new() };
    let configuration = configuration.encode();
    let mut bytes = BytesMut::with_capacity(HEADER + configuration.len());
    bytes.put_u8(VERSION);
    bytes.put_u32_le(u32::try_from(configuration.len()).expect("a configuration of more than 4 GiB"));
    bytes.put_slice(&configuration);
    bytes.freeze()
}

/// An image that is being read, piece by piece.
#[derive(Debug)]
pub struct Restoring<M> {
    state: Replicated<M>,
    /// What has come of the beginning, in a Raft group, until that is complete.
    arriving: Option<Vec<u8>>,
    configuration: Configuration,
}

impl<M: StateMachine> Restoring<M> {
    /// Builds upon a state that has executed nothing.
    #[must_use]
    pub fn new(state: Replicated<M>) -> Self {
        Self { state, arriving: Some(Vec::new()), configuration: Configuration::default() }
    }

    /// Whether this version knows the level of what it builds, as far as that has come.
    ///
    /// # Errors
    /// When it does not: then it cannot be restored.
    pub fn knows_its_level(&self) -> Result<(), UnknownLevel> {
        self.state.knows_its_level()
    }

    /// Takes the next piece, cut anywhere.
    ///
    /// # Errors
    /// When the bytes are no such image; this is then of no further use.
    pub fn restore(&mut self, piece: &[u8]) -> Result<(), RestoreError> {
        let Some(arriving) = &mut self.arriving else { return self.state.restore(piece) };
        let wrong = |reason: &str| RestoreError { reason: reason.to_owned() };
        arriving.extend_from_slice(piece);
        // The state itself begins with a letter. Whether it makes sense, it says itself.
        if arriving.first().is_some_and(|first| *first != VERSION) {
            let state = std::mem::take(arriving);
            self.arriving = None;
            return self.state.restore(&state);
        }
        let Some((header, rest)) = arriving.split_first_chunk::<HEADER>() else { return Ok(()) };
        let length = header.last_chunk().map_or(0, |length| u32::from_le_bytes(*length)) as usize;
        let Some((configuration, rest)) = rest.split_at_checked(length) else { return Ok(()) };
        self.configuration = Configuration::decode(&Bytes::copy_from_slice(configuration))
            .map_err(|error| wrong(&error.to_string()))?;
        let rest = rest.to_vec();
        self.arriving = None;
        self.state.restore(&rest)
    }

    /// The state, and who belongs to the group if it is one of Raft.
    ///
    /// # Errors
    /// When the image is incomplete.
    pub fn finish(mut self) -> Result<(Replicated<M>, Configuration), RestoreError> {
        if self.arriving.is_some() {
            return Err(RestoreError { reason: "it ends before its configuration does".to_owned() });
        }
        self.state.restore_finish()?;
        Ok((self.state, self.configuration))
    }
}
