//! A snapshot of a view node: the table, and who the members of its Raft group are.
//!
//! ```text
//! image := 8:u8 length:u32 configuration table       little-endian; configuration: length bytes, as Raft
//! encodes it
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use onecopy_raft::Configuration;
use onecopy_views::Table;

const VERSION: u8 = 8;
/// In this one no table knew of clocks, nor of databases; in the next one of no databases; in the one after
/// it of no kind of replication but one; in the one after that of nothing that is set for all nodes, and of
/// no users; in the next one of no rosters; in the next one of no levels and no switches; in the last one of
/// no copies of optimistic databases that change.
const WITHOUT_CLOCKS: u8 = 1;
const WITHOUT_DATABASES: u8 = 2;
const WITHOUT_KINDS: u8 = 3;
const WITHOUT_SETTINGS: u8 = 4;
const WITHOUT_ROSTERS: u8 = 5;
const WITHOUT_LEVELS: u8 = 6;
const WITHOUT_COPIES: u8 = 7;
/// What such a table says of levels: the first one is in force, nobody holds it, and nobody knows another
/// one.
const FIRST_LEVEL: [u8; 3] = [1, 0, 0];
const HEADER: usize = 1 + 4;

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewImage {
    /// The view table.
    pub table: Table,
    /// Who belongs to the Raft group as of the same entry.
    pub configuration: Configuration,
}

/// Bytes are not what [`ViewImage::encode`] makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptImage {
    /// What is wrong.
    pub reason: String,
}

impl ViewImage {
    /// The image as it stands in a snapshot.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (configuration, table) = (self.configuration.encode(), self.table.encode());
        let mut bytes = BytesMut::with_capacity(HEADER + configuration.len() + table.len());
        bytes.put_u8(VERSION);
        bytes.put_u32_le(u32::try_from(configuration.len()).expect("a configuration of more than 4 GiB"));
        bytes.put_slice(&configuration);
        bytes.put_slice(&table);
        bytes.freeze()
    }

    /// What [`ViewImage::encode`] made.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn decode(bytes: &Bytes) -> Result<Self, CorruptImage> {
        let corrupt = |reason: &str| CorruptImage { reason: reason.to_owned() };
        let mut rest = bytes.clone();
        if rest.len() < HEADER {
            return Err(corrupt("it is too short"));
        }
        let version = rest.get_u8();
        if !(WITHOUT_CLOCKS..=VERSION).contains(&version) {
            return Err(CorruptImage {
                reason: format!("it has format {version}, this version knows only {VERSION}"),
            });
        }
        let length = rest.get_u32_le() as usize;
        if rest.len() < length {
            return Err(corrupt("it is too short"));
        }
        let configuration = Configuration::decode(&rest.split_to(length))
            .map_err(|error| CorruptImage { reason: error.to_string() })?;
        // The table ends with the clocks, the databases, the settings, the users (never changed, and none),
        // the rosters, what was dropped (after which group, and what), what is set for single databases, and
        // which are switched, or were: none of them.
        let lacks = match version {
            WITHOUT_CLOCKS => 11,
            WITHOUT_DATABASES => 10,
            WITHOUT_KINDS | WITHOUT_SETTINGS => 9,
            WITHOUT_ROSTERS => 6,
            WITHOUT_LEVELS => 2,
            _ => 0,
        };
        let levels = if version <= WITHOUT_LEVELS { &FIRST_LEVEL[..] } else { &[] };
        let copies = if version <= WITHOUT_COPIES { &[0][..] } else { &[] };
        let table = Bytes::from([&rest[..], &[0; 11][..lacks], levels, copies].concat());
        let table = Table::decode(&table).map_err(|error| CorruptImage { reason: error.reason })?;
        Ok(Self { table, configuration })
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Incarnation, Member, NodeId, Rules};
    use onecopy_views::Command;

    use super::*;

    #[test]
    fn an_image_survives_the_disk_and_damage_is_an_error() {
        let member = Member { node: NodeId(3), incarnation: Incarnation(7) };
        let mut image = ViewImage { configuration: Configuration::of([member]), ..ViewImage::default() };
        let command = Command::SetViewNodes { nodes: [NodeId(3)].into() };
        image.table.apply(&command, Rules::default()).expect("it is news");
        let bytes = image.encode();
        assert_eq!(ViewImage::decode(&bytes), Ok(image.clone()));
        for length in 0..bytes.len() {
            assert!(ViewImage::decode(&bytes.slice(..length)).is_err(), "{length}");
        }
        // As the versions before wrote it.
        for (version, lacks) in [
            (WITHOUT_CLOCKS, 11),
            (WITHOUT_DATABASES, 10),
            (WITHOUT_KINDS, 9),
            (WITHOUT_SETTINGS, 9),
            (WITHOUT_ROSTERS, 6),
            (WITHOUT_LEVELS, 2),
        ] {
            let mut older = bytes[..bytes.len() - FIRST_LEVEL.len() - 1 - lacks].to_vec();
            older[0] = version;
            assert_eq!(ViewImage::decode(&older.into()), Ok(image.clone()));
        }
        let mut older = bytes[..bytes.len() - 1].to_vec();
        older[0] = WITHOUT_COPIES;
        assert_eq!(ViewImage::decode(&older.into()), Ok(image.clone()));
        let mut other = bytes.to_vec();
        other[0] = 9;
        assert!(ViewImage::decode(&other.into()).is_err());
    }
}
