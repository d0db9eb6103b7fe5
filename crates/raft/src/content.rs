//! What an entry carries: commands of the state machine, or a configuration of the group.
//!
//! ```text
//! payload := ε                          nothing: opens a leader's reign
//!          | 0:u8 command               for the state machine
//!          | 1:u8 configuration         for Raft
//! ```
//!
//! The mark is Raft's own. A driver proposes commands and applies commands; for everything else it is handed
//! entries without any.

use bytes::{BufMut, Bytes, BytesMut};
use onecopy_core::Entry;

use crate::configuration::Configuration;

const COMMAND: u8 = 0;
const CONFIGURATION: u8 = 1;

/// The payload of an entry is not one that a leader makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedPayload;

/// The payload that carries a command. An empty command is no command.
pub(crate) fn of_command(command: &Bytes) -> Bytes {
    if command.is_empty() {
        return Bytes::new();
    }
    let mut payload = BytesMut::with_capacity(1 + command.len());
    payload.put_u8(COMMAND);
    payload.put_slice(command);
    payload.freeze()
}

/// The payload that carries a configuration.
pub(crate) fn of_configuration(configuration: &Configuration) -> Bytes {
    let mut payload = BytesMut::new();
    payload.put_u8(CONFIGURATION);
    configuration.encode_into(&mut payload);
    payload.freeze()
}

/// The configuration that an entry carries, if it does.
pub(crate) fn configuration(entry: &Entry) -> Result<Option<Configuration>, MalformedPayload> {
    match entry.payload.first() {
        None | Some(&COMMAND) => Ok(None),
        Some(&CONFIGURATION) => match Configuration::decode(&entry.payload.slice(1..)) {
            Ok(found) if !found.voters.is_empty() => Ok(Some(found)),
            _ => Err(MalformedPayload),
        },
        Some(_) => Err(MalformedPayload),
    }
}

/// The entry as the state machine sees it: with its command, or with nothing.
pub(crate) fn for_state_machine(entry: Entry) -> Entry {
    let payload = match entry.payload.first() {
        Some(&COMMAND) => entry.payload.slice(1..),
        _ => Bytes::new(),
    };
    Entry { payload, ..entry }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{EntryId, Incarnation, Member, NodeId, Timestamp};

    use super::*;

    fn entry(payload: Bytes) -> Entry {
        Entry { id: EntryId::new(1, 1), time: Timestamp(0), seed: 0, payload }
    }

    #[test]
    fn the_state_machine_sees_commands_only() {
        let voters = Configuration::of([Member { node: NodeId(1), incarnation: Incarnation(1) }]);
        for (payload, expected, seen) in [
            (Bytes::new(), None, &b""[..]),
            (of_command(&Bytes::from_static(b"x")), None, b"x"),
            (of_configuration(&voters), Some(voters), b""),
        ] {
            assert_eq!(configuration(&entry(payload.clone())), Ok(expected));
            assert_eq!(for_state_machine(entry(payload)).payload, seen);
        }
    }

    #[test]
    fn a_payload_that_no_leader_makes_is_an_error() {
        let nobody = of_configuration(&Configuration::default());
        for payload in [Bytes::from_static(b"\x02"), Bytes::from_static(b"\x01\x01"), nobody] {
            assert_eq!(configuration(&entry(payload)), Err(MalformedPayload));
        }
    }
}
