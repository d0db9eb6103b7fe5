//! Segments: the files of the log. Their names, their headers, and reading them record by record.

use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};

use crate::error::OpenError;
use crate::fs::File;
use crate::record::{self, Header};

/// Bytes before the first record.
pub(crate) const HEADER: usize = 64;
/// The version of the format of segments and of records.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"1copylog";
const SUFFIX: &str = ".segment";
/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Counts the segments of the log, from 1.
    pub(crate) number: u64,
    /// The number of its first record.
    pub(crate) first_lsn: u64,
    /// Goes into the checksums of its records, so that nobody can write a value that looks like a record.
    pub(crate) salt: u64,
}

impl SegmentHeader {
    /// The value that the checksums of this segment's records begin with.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.salt.to_le_bytes()), &self.number.to_le_bytes())
    }

    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_lsn.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], file: &Path) -> Result<Self, OpenError> {
        let damaged = |reason: &str| {
            Err(OpenError::Damaged { file: file.to_owned(), offset: 0, reason: reason.to_owned() })
        };
        let Some(mut rest) = bytes.get(..HEADER) else {
            return damaged("the segment is shorter than its header");
        };
        // A header counts only once it was synced under its final name, so no crash explains a wrong one.
        if crc32c::crc32c(&rest[..60]).to_le_bytes() != rest[60..64] {
            return match rest[0..8] == MAGIC {
                true => damaged("the checksum of the segment's header is wrong"),
                false => Err(OpenError::NotASegment { file: file.to_owned() }),
            };
        }
        if rest[0..8] != MAGIC {
            return Err(OpenError::NotASegment { file: file.to_owned() });
        }
        rest.advance(8);
        let found = rest.get_u32_le();
        if found != VERSION {
            return Err(OpenError::NewerFormat { file: file.to_owned(), found, supported: VERSION });
        }
        rest.advance(4);
        Ok(Self { number: rest.get_u64_le(), first_lsn: rest.get_u64_le(), salt: rest.get_u64_le() })
    }
}

/// The name of the segment with this number: sorted by name is sorted by age.
pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}{SUFFIX}"))
}

/// The number of the segment with this name, if it is the name of one.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (digits.len() == 16 && format!("{number:016x}") == digits).then_some(number)
}

/// Reads a segment from front to back.
pub(crate) struct Reader<'a, F> {
    file: &'a F,
    path: &'a Path,
    size: u64,
    /// A piece of the file, and where it begins.
    window: Vec<u8>,
    window_start: u64,
}

impl<'a, F: File> Reader<'a, F> {
    pub(crate) fn new(file: &'a F, path: &'a Path) -> Result<Self, OpenError> {
        let size = file.size().map_err(OpenError::io("ask for the size of", path))?;
        Ok(Self { file, path, size, window: Vec::new(), window_start: 0 })
    }

    /// The size of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The header of the segment.
    pub(crate) fn segment_header(&mut self) -> Result<SegmentHeader, OpenError> {
        let path = self.path;
        SegmentHeader::decode(self.bytes(0, HEADER)?, path)
    }

    /// The header of the record at `offset`, if there is one.
    pub(crate) fn header(&mut self, offset: u64, seed: u32) -> Result<Option<Header>, OpenError> {
        Ok(Header::decode(self.bytes(offset, record::HEADER)?, seed))
    }

    /// The payload of the record at `offset`, if it is what its header says.
    pub(crate) fn payload(&mut self, offset: u64, header: &Header) -> Result<Option<Bytes>, OpenError> {
        let start = offset + record::HEADER as u64;
        let length = header.length as usize;
        if length as u64 > self.size.saturating_sub(start) {
            return Ok(None);
        }
        let payload = match length <= WINDOW {
            true => Bytes::copy_from_slice(self.bytes(start, length)?),
            false => {
                let mut payload = vec![0; length];
                let count = self.read(&mut payload, start)?;
                payload.truncate(count);
                Bytes::from(payload)
            }
        };
        let intact = payload.len() == length && crc32c::crc32c(&payload) == header.payload_checksum;
        Ok(intact.then_some(payload))
    }

    /// The first header of a record of this segment at or after `offset` that `wanted` accepts.
    pub(crate) fn search(
        &mut self,
        mut offset: u64,
        seed: u32,
        wanted: impl Fn(&Header) -> bool,
    ) -> Result<Option<(u64, Header)>, OpenError> {
        while offset + record::HEADER as u64 <= self.size {
            let bytes = self.bytes(offset, WINDOW)?;
            let mut places = bytes.chunks(record::ALIGNMENT).enumerate();
            match places.find(|(_, place)| record::plausible(place)) {
                None => offset += bytes.len() as u64,
                Some((position, _)) => {
                    offset += (position * record::ALIGNMENT) as u64;
                    if let Some(header) = self.header(offset, seed)?.filter(&wanted) {
                        return Ok(Some((offset, header)));
                    }
                    offset += record::ALIGNMENT as u64;
                }
            }
        }
        Ok(None)
    }

    /// Whether there is nothing but zeros from `offset` on.
    pub(crate) fn is_zero_from(&mut self, mut offset: u64) -> Result<bool, OpenError> {
        while offset < self.size {
            let bytes = self.bytes(offset, WINDOW)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset += bytes.len() as u64;
        }
        Ok(true)
    }

    /// Up to `length` bytes (at most [`WINDOW`]) from `offset` on: fewer only at the end of the file. Never
    /// empty before the end.
    fn bytes(&mut self, offset: u64, length: usize) -> Result<&[u8], OpenError> {
        let available = self.size.saturating_sub(offset).min(length as u64) as usize;
        let held = offset >= self.window_start
            && offset + available as u64 <= self.window_start + self.window.len() as u64;
        if !held {
            let mut window = std::mem::take(&mut self.window);
            window.resize(self.size.saturating_sub(offset).min(WINDOW as u64) as usize, 0);
            let count = self.read(&mut window, offset)?;
            if count < window.len() {
                let error = std::io::Error::other("the file became shorter while it was read");
                return Err(OpenError::io("read", self.path)(error));
            }
            self.window = window;
            self.window_start = offset;
        }
        if available == 0 {
            return Ok(&[]);
        }
        let start = (offset - self.window_start) as usize;
        Ok(&self.window[start..start + available])
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, OpenError> {
        self.file.read_at(buffer, offset).map_err(OpenError::io("read", self.path))
    }
}
