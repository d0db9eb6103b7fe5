//! Records: how one write of one group is laid out in a segment. See the crate's documentation for the bytes.

use bytes::{Buf, Bytes};
use onecopy_core::{Entry, EntryId, GroupId, Index, Timestamp, Write};

/// Bytes before the payload.
pub(crate) const HEADER: usize = 40;
/// Records begin at multiples of this, so that a search for them tries few places.
pub(crate) const ALIGNMENT: usize = 8;
/// The largest payload. Bounds what a reader allocates.
pub const PAYLOAD_MAX: usize = 1 << 30;
/// Entries of one [`Write::Append`] are spread over several records of about this size.
pub(crate) const APPEND_BYTES: usize = 4 << 20;

const MAGIC: [u8; 4] = *b"1rec";
const APPEND_FIXED: usize = 8 + 8 + 4;
const ENTRY_FIXED: usize = 8 + 8 + 8 + 4;

/// What a record means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The same as the write of that name.
    Write(Write),
    /// The group is gone with all it had.
    Forget,
    /// The first record of every segment: what is known of every group at this point.
    Checkpoint(Vec<Head>),
    /// Says nothing but what its header says: how far the log was synced.
    Mark,
}

/// What a checkpoint says of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) group: GroupId,
    pub(crate) base: EntryId,
    /// The index of the last entry, or of the base.
    pub(crate) last: Index,
    pub(crate) commit: Index,
    pub(crate) state: Option<Bytes>,
}

/// The numbers by which records are told apart on the disk. They are never reused.
mod kind {
    pub(super) const STATE: u8 = 1;
    pub(super) const APPEND: u8 = 2;
    pub(super) const CUT: u8 = 3;
    pub(super) const COMPACT: u8 = 4;
    pub(super) const INSTALL: u8 = 5;
    pub(super) const FORGET: u8 = 6;
    pub(super) const CHECKPOINT: u8 = 7;
    pub(super) const MARK: u8 = 8;
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) group: GroupId,
    pub(crate) length: u32,
    /// Counts the records of the log, over all segments.
    pub(crate) lsn: u64,
    /// Everything up to this record was known to be synced when this record was written.
    pub(crate) synced: u64,
    pub(crate) payload_checksum: u32,
}

impl Header {
    /// The bytes, sealed with the segment's seed: a record means nothing outside its segment.
    fn encode(&self, seed: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind;
        bytes[8..12].copy_from_slice(&self.group.0.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.synced.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let checksum = crc32c::crc32c_append(seed, &bytes[..36]);
        bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header that these bytes are, if they are one of this segment.
    pub(crate) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let mut rest = bytes.get(..HEADER)?;
        if rest[0..4] != MAGIC || rest[5..8] != [0; 3] {
            return None;
        }
        let checksum = crc32c::crc32c_append(seed, &rest[..36]);
        rest.advance(4);
        let kind = rest.get_u8();
        rest.advance(3);
        let header = Self {
            kind,
            group: GroupId(rest.get_u32_le()),
            length: rest.get_u32_le(),
            lsn: rest.get_u64_le(),
            synced: rest.get_u64_le(),
            payload_checksum: rest.get_u32_le(),
        };
        (rest.get_u32_le() == checksum && header.length as usize <= PAYLOAD_MAX).then_some(header)
    }
}

/// Whether records of this kind hold entries.
pub(crate) fn holds_entries(kind: u8) -> bool {
    kind == kind::APPEND
}

/// How many bytes a record with such a payload occupies.
pub(crate) fn size(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGNMENT)
}

/// Whether bytes could be the beginning of a record: what a search looks for.
pub(crate) fn plausible(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Encoded records. Large payloads of entries are not copied among the other bytes.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// Payloads that stand before the byte of `bytes` with this number.
    payloads: Vec<(usize, Bytes)>,
    payload_bytes: usize,
}

impl Buffer {
    /// How many bytes the records have.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.payload_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the records, in pieces.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces_from(0, 0)
    }

    /// Forgets all records. Memory that was needed for many of them is given back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(APPEND_BYTES);
        self.payloads.clear();
        self.payload_bytes = 0;
    }

    /// From a byte of `bytes` on, with the payloads from this one on.
    fn pieces_from(&self, start: usize, payload: usize) -> impl Iterator<Item = &[u8]> {
        let payloads = &self.payloads[payload..];
        let starts = std::iter::once(start).chain(payloads.iter().map(|(at, _)| *at));
        let ends = payloads.iter().map(|(at, _)| *at).chain(std::iter::once(self.bytes.len()));
        let after = payloads.iter().map(|(_, payload)| &payload[..]).chain(std::iter::once(&[][..]));
        let pieces =
            starts.zip(ends).zip(after).flat_map(|((start, end), after)| [&self.bytes[start..end], after]);
        pieces.filter(|piece| !piece.is_empty())
    }

    fn push_payload(&mut self, payload: &Bytes, copied_max: usize) {
        if payload.len() <= copied_max {
            self.bytes.extend_from_slice(payload);
        } else {
            self.payloads.push((self.bytes.len(), payload.clone()));
            self.payload_bytes += payload.len();
        }
    }
}

/// Appends records to a buffer.
pub(crate) struct Encoder<'a> {
    pub(crate) buffer: &'a mut Buffer,
    /// Payloads of up to so many bytes are copied into the buffer.
    pub(crate) copied_max: usize,
    pub(crate) seed: u32,
    pub(crate) lsn: u64,
    pub(crate) synced: u64,
}

impl Encoder<'_> {
    pub(crate) fn state(&mut self, group: GroupId, state: &Bytes) {
        self.record(kind::STATE, group, |buffer| buffer.bytes.extend_from_slice(state));
    }

    /// The entries must follow each other; see [`append_chunks`].
    pub(crate) fn append(&mut self, group: GroupId, entries: &[Entry], commit: Index) {
        let copied_max = self.copied_max;
        self.record(kind::APPEND, group, |buffer| {
            let bytes = &mut buffer.bytes;
            bytes.extend_from_slice(&commit.0.to_le_bytes());
            let first = entries.first().map_or(0, |entry| entry.id.index.0);
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
            for entry in entries {
                let bytes = &mut buffer.bytes;
                bytes.extend_from_slice(&entry.id.epoch.0.to_le_bytes());
                bytes.extend_from_slice(&entry.time.0.to_le_bytes());
                bytes.extend_from_slice(&entry.seed.to_le_bytes());
                bytes.extend_from_slice(&(entry.payload.len() as u32).to_le_bytes());
                buffer.push_payload(&entry.payload, copied_max);
            }
        });
    }

    pub(crate) fn cut(&mut self, group: GroupId, from: Index) {
        self.record(kind::CUT, group, |buffer| buffer.bytes.extend_from_slice(&from.0.to_le_bytes()));
    }

    pub(crate) fn compact(&mut self, group: GroupId, through: EntryId) {
        self.record(kind::COMPACT, group, |buffer| put_id(&mut buffer.bytes, through));
    }

    pub(crate) fn install(&mut self, group: GroupId, snapshot: EntryId) {
        self.record(kind::INSTALL, group, |buffer| put_id(&mut buffer.bytes, snapshot));
    }

    pub(crate) fn forget(&mut self, group: GroupId) {
        self.record(kind::FORGET, group, |_| {});
    }

    pub(crate) fn mark(&mut self) {
        self.record(kind::MARK, GroupId(0), |_| {});
    }

    pub(crate) fn checkpoint<'a>(
        &mut self,
        heads: impl Iterator<Item = (GroupId, EntryId, Index, Index, Option<&'a Bytes>)>,
    ) {
        self.record(kind::CHECKPOINT, GroupId(0), |buffer| {
            let buffer = &mut buffer.bytes;
            for (group, base, last, commit, state) in heads {
                buffer.extend_from_slice(&group.0.to_le_bytes());
                put_id(buffer, base);
                buffer.extend_from_slice(&last.0.to_le_bytes());
                buffer.extend_from_slice(&commit.0.to_le_bytes());
                buffer.push(u8::from(state.is_some()));
                let state = state.map_or(&[][..], |state| state);
                buffer.extend_from_slice(&(state.len() as u32).to_le_bytes());
                buffer.extend_from_slice(state);
            }
        });
    }

    fn record(&mut self, kind: u8, group: GroupId, body: impl FnOnce(&mut Buffer)) {
        let (start, first, before) = (self.buffer.bytes.len(), self.buffer.payloads.len(), self.buffer.len());
        self.buffer.bytes.extend_from_slice(&[0; HEADER]);
        body(self.buffer);
        let length = self.buffer.len() - before - HEADER;
        assert!(length <= PAYLOAD_MAX, "log: a record of {length} bytes cannot be read back");
        let pieces = self.buffer.pieces_from(start + HEADER, first);
        let header = Header {
            kind,
            group,
            length: length as u32,
            lsn: self.lsn,
            synced: self.synced,
            payload_checksum: pieces.fold(0, crc32c::crc32c_append),
        };
        let bytes = &mut self.buffer.bytes;
        bytes[start..start + HEADER].copy_from_slice(&header.encode(self.seed));
        let padding = size(length) - HEADER - length;
        bytes.resize(bytes.len() + padding, 0);
        self.lsn += 1;
    }
}

/// How many bytes the payload of an append of these entries has.
pub(crate) fn append_size(entries: &[Entry]) -> usize {
    APPEND_FIXED + entries.iter().map(|entry| ENTRY_FIXED + entry.payload.len()).sum::<usize>()
}

/// How many bytes the records of a write occupy, at most.
pub(crate) fn size_of_write(write: &Write) -> usize {
    match write {
        Write::State(state) => size(state.len()),
        Write::Append { entries, .. } => append_chunks(entries).map(|chunk| size(append_size(chunk))).sum(),
        Write::Cut { .. } => size(8),
        Write::Compact { .. } | Write::Install { .. } => size(16),
        Write::Forget => size(0),
    }
}

/// Spreads entries over records of about [`APPEND_BYTES`]. At least one chunk, as the commit index counts
/// too.
pub(crate) fn append_chunks(mut entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    let mut first = true;
    std::iter::from_fn(move || {
        if entries.is_empty() && !std::mem::take(&mut first) {
            return None;
        }
        first = false;
        let mut bytes = 0;
        let fits = entries.iter().take_while(|entry| {
            let empty = bytes == 0;
            bytes += ENTRY_FIXED + entry.payload.len();
            empty || bytes <= APPEND_BYTES
        });
        let (chunk, rest) = entries.split_at(fits.count());
        entries = rest;
        Some(chunk)
    })
}

/// Understands a payload whose checksum is right.
pub(crate) fn decode(kind: u8, mut payload: Bytes) -> Result<Record, String> {
    let record = match kind {
        kind::STATE => Record::Write(Write::State(std::mem::take(&mut payload))),
        kind::APPEND => Record::Write(decode_append(&mut payload)?),
        kind::CUT => Record::Write(Write::Cut { from: Index(get_u64(&mut payload)?) }),
        kind::COMPACT => Record::Write(Write::Compact { through: get_id(&mut payload)? }),
        kind::INSTALL => Record::Write(Write::Install { snapshot: get_id(&mut payload)? }),
        kind::FORGET => Record::Forget,
        kind::CHECKPOINT => decode_checkpoint(&mut payload)?,
        kind::MARK => Record::Mark,
        unknown => return Err(format!("a record of kind {unknown}, which this format does not have")),
    };
    match payload.is_empty() {
        true => Ok(record),
        false => Err(format!("{} bytes too many in a record of kind {kind}", payload.len())),
    }
}

fn decode_append(payload: &mut Bytes) -> Result<Write, String> {
    let commit = Index(get_u64(payload)?);
    let first = get_u64(payload)?;
    let count = get_u32(payload)?;
    // No allocation by the count alone: whoever made the record may have lied.
    let mut entries = Vec::with_capacity((count as usize).min(payload.len() / ENTRY_FIXED));
    for position in 0..u64::from(count) {
        let index = first.checked_add(position).ok_or("an index that is too large")?;
        let epoch = get_u64(payload)?;
        let time = Timestamp(get_u64(payload)?);
        let seed = get_u64(payload)?;
        let body = get_bytes(payload)?;
        entries.push(Entry { id: EntryId::new(index, epoch), time, seed, payload: body });
    }
    Ok(Write::Append { entries, commit })
}

fn decode_checkpoint(payload: &mut Bytes) -> Result<Record, String> {
    let mut heads = Vec::new();
    while !payload.is_empty() {
        let group = GroupId(get_u32(payload)?);
        let base = get_id(payload)?;
        let last = Index(get_u64(payload)?);
        let commit = Index(get_u64(payload)?);
        if payload.is_empty() {
            return Err(SHORT.to_owned());
        }
        let has_state = payload.get_u8() != 0;
        let state = get_bytes(payload)?;
        if last < base.index {
            return Err(format!("a log of {group} that ends at {last}, before its base {base}"));
        }
        heads.push(Head { group, base, last, commit, state: has_state.then_some(state) });
    }
    Ok(Record::Checkpoint(heads))
}

const SHORT: &str = "a record that is shorter than its content";

fn get_u32(payload: &mut Bytes) -> Result<u32, String> {
    payload.try_get_u32_le().map_err(|_| SHORT.to_owned())
}

fn get_u64(payload: &mut Bytes) -> Result<u64, String> {
    payload.try_get_u64_le().map_err(|_| SHORT.to_owned())
}

fn get_id(payload: &mut Bytes) -> Result<EntryId, String> {
    Ok(EntryId::new(get_u64(payload)?, get_u64(payload)?))
}

fn get_bytes(payload: &mut Bytes) -> Result<Bytes, String> {
    let length = get_u32(payload)? as usize;
    match length <= payload.len() {
        true => Ok(payload.split_to(length)),
        false => Err(SHORT.to_owned()),
    }
}

fn put_id(buffer: &mut Vec<u8>, id: EntryId) {
    buffer.extend_from_slice(&id.index.0.to_le_bytes());
    buffer.extend_from_slice(&id.epoch.0.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, length: usize) -> Entry {
        let payload = Bytes::from(vec![7; length]);
        Entry { id: EntryId::new(index, 2), time: Timestamp(3), seed: 4, payload }
    }

    fn encoded(encode: impl Fn(&mut Encoder<'_>)) -> Vec<u8> {
        let [copied, apart] = [usize::MAX, 0].map(|copied_max| {
            let mut buffer = Buffer::default();
            encode(&mut Encoder { buffer: &mut buffer, copied_max, seed: 5, lsn: 6, synced: 4 });
            let bytes: Vec<u8> = buffer.pieces().flatten().copied().collect();
            assert_eq!(bytes.len(), buffer.len());
            bytes
        });
        assert_eq!(copied, apart, "whether a payload is copied makes no difference");
        copied
    }

    fn decoded(bytes: &[u8]) -> Result<Record, String> {
        let header = Header::decode(bytes, 5).expect("the header is right");
        assert_eq!((header.lsn, header.synced), (6, 4));
        let payload = &bytes[HEADER..HEADER + header.length as usize];
        assert_eq!(bytes.len(), size(payload.len()));
        assert_eq!(crc32c::crc32c(payload), header.payload_checksum);
        decode(header.kind, Bytes::copy_from_slice(payload))
    }

    #[test]
    fn every_record_comes_back() {
        let group = GroupId(9);
        let state = Bytes::from_static(b"state");
        let entries = vec![entry(1, 0), entry(2, 13)];
        let id = EntryId::new(8, 3);
        let head = |state| Head { group, base: id, last: Index(11), commit: Index(9), state };
        let append = Write::Append { entries: entries.clone(), commit: Index(1) };
        let nothing = Write::Append { entries: vec![], commit: Index(1) };
        let cases = [
            (encoded(|encoder| encoder.state(group, &state)), Record::Write(Write::State(state.clone()))),
            (encoded(|encoder| encoder.append(group, &entries, Index(1))), Record::Write(append)),
            (encoded(|encoder| encoder.append(group, &[], Index(1))), Record::Write(nothing)),
            (encoded(|encoder| encoder.cut(group, Index(5))), Record::Write(Write::Cut { from: Index(5) })),
            (encoded(|encoder| encoder.compact(group, id)), Record::Write(Write::Compact { through: id })),
            (encoded(|encoder| encoder.install(group, id)), Record::Write(Write::Install { snapshot: id })),
            (encoded(|encoder| encoder.forget(group)), Record::Forget),
            (encoded(|encoder| encoder.mark()), Record::Mark),
            (
                encoded(|encoder| {
                    let states = [None, Some(&state)].into_iter();
                    encoder.checkpoint(states.map(|state| (group, id, Index(11), Index(9), state)));
                }),
                Record::Checkpoint(vec![head(None), head(Some(state.clone()))]),
            ),
        ];
        for (bytes, record) in cases {
            assert_eq!(decoded(&bytes), Ok(record));
        }
        assert_eq!(
            append_size(&entries),
            encoded(|e| e.append(group, &entries, Index(1))).len() - HEADER - 7
        );
    }

    #[test]
    fn every_flipped_bit_in_a_header_is_noticed() {
        let bytes = encoded(|encoder| encoder.cut(GroupId(1), Index(5)));
        assert!(Header::decode(&bytes, 6).is_none(), "the record is of another segment");
        for bit in 0..HEADER * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes, 5).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn entries_are_spread_without_loss() {
        let sizes = [APPEND_BYTES, 10, APPEND_BYTES / 2, APPEND_BYTES / 2, 3 * APPEND_BYTES, 1, 1];
        let entries: Vec<_> = (1..).zip(sizes).map(|(index, length)| entry(index, length)).collect();
        let chunks: Vec<_> = append_chunks(&entries).collect();
        assert_eq!(chunks.concat(), entries);
        assert_eq!(chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [1, 2, 1, 1, 2]);
        assert_eq!(append_chunks(&[]).collect::<Vec<_>>(), [&[] as &[Entry]]);
    }
}
