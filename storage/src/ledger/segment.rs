//! Segment files: their names, their header, and a buffered window for reading them.
//!
//! A segment is named `ledger-00000001.seg` by its number and has a header of 128 bytes, then
//! records, then zeros. All numbers are little endian.
//!
//! | offset | bytes | field |
//! |---:|---:|---|
//! | 0 | 8 | magic, `PfLedger` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | reserved, zero |
//! | 12 | 4 | number of the segment: 1 for the first, without gaps |
//! | 16 | 8 | sequence of the first record in it |
//! | 24 | 16 | ledger id: the same in all segments of a ledger |
//! | 40 | 32 | record hash of the last record before it; zeros for the first |
//! | 72 | 8 | length of the file in bytes |
//! | 80 | 8 | reserved, zero |
//! | 88 | 32 | SHA-256 over the byte 0x02 and the bytes 0 to 87 |
//! | 120 | 8 | reserved, zero |
//!
//! Magic, format version, and hash have these places in every version to come, so that a newer
//! segment is told from a damaged one.
//!
//! Invariant: a file under a segment's name always had a complete header and its full length,
//! because it gets the name only then; and a segment is made only when all before it are durable.

use super::record::{ALIGNMENT_BYTES, FORMAT_VERSION, Hash, Sequence, field};
use crate::device::{Device, DeviceFile, UNFINISHED_SUFFIX};
use crate::error::{Damage, Result, StorageError};
use crate::limits::READ_AHEAD_BYTES;
use std::fmt;

/// The length of a segment header; the first record follows.
pub const HEADER_BYTES: u64 = 128;

const MAGIC: [u8; 8] = *b"PfLedger";
const HEADER_DOMAIN: u8 = 0x02;
const HASHED_BYTES: usize = 88;

/// What tells the ledgers of different tenants apart; chosen by the caller when a ledger is
/// created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId(pub [u8; 16]);

impl fmt::Display for LedgerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub index: u32,
    pub first: Sequence,
    pub ledger_id: LedgerId,
    pub previous_hash: Hash,
    pub length_bytes: u64,
}

impl SegmentHeader {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&self.ledger_id.0);
        bytes.extend_from_slice(&self.previous_hash.0);
        bytes.extend_from_slice(&self.length_bytes.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        let hash = Hash::of_domain(HEADER_DOMAIN, &bytes);
        bytes.extend_from_slice(&hash.0);
        bytes.resize(HEADER_BYTES as usize, 0);
        bytes
    }

    /// Makes the segment, complete and durable, and opens it.
    pub fn create(&self, device: &dyn Device) -> Result<Box<dyn DeviceFile>> {
        device.create(&segment_name(self.index), &self.encode(), self.length_bytes)
    }

    /// Reads and verifies the header of an open segment. `expected` is the record looked for, for
    /// the error.
    pub fn read(file: &dyn DeviceFile, index: u32, expected: Sequence) -> Result<Self> {
        let segment = segment_name(index);
        let corrupt = |damage| StorageError::Corrupt {
            segment: segment.clone(),
            offset_bytes: 0,
            sequence: expected,
            damage,
        };
        let found_bytes = file.length_bytes()?;
        let mut bytes = [0; HEADER_BYTES as usize];
        if found_bytes < HEADER_BYTES {
            return Err(corrupt(Damage::SegmentLength {
                found: found_bytes,
                expected: HEADER_BYTES,
            }));
        }
        file.read_at(0, &mut bytes)?;
        if bytes[..8] != MAGIC
            || Hash::of_domain(HEADER_DOMAIN, &bytes[..HASHED_BYTES]).0 != bytes[HASHED_BYTES..120]
        {
            return Err(corrupt(Damage::SegmentHeader));
        }
        let version = u16::from_le_bytes(field(&bytes, 8));
        if version != FORMAT_VERSION {
            return Err(StorageError::UnsupportedFormat {
                segment,
                found: version,
                supported: FORMAT_VERSION,
            });
        }
        if field::<2>(&bytes, 10) != [0; 2]
            || field::<8>(&bytes, 80) != [0; 8]
            || field::<8>(&bytes, 120) != [0; 8]
        {
            return Err(corrupt(Damage::Reserved));
        }
        let header = Self {
            index: u32::from_le_bytes(field(&bytes, 12)),
            first: Sequence(u64::from_le_bytes(field(&bytes, 16))),
            ledger_id: LedgerId(field(&bytes, 24)),
            previous_hash: Hash(field(&bytes, 40)),
            length_bytes: u64::from_le_bytes(field(&bytes, 72)),
        };
        if header.index != index {
            return Err(corrupt(Damage::SegmentIndex { found: header.index }));
        }
        if header.length_bytes != found_bytes {
            return Err(corrupt(Damage::SegmentLength {
                found: found_bytes,
                expected: header.length_bytes,
            }));
        }
        Ok(header)
    }
}

/// The file name of a segment.
pub(crate) fn segment_name(index: u32) -> String {
    format!("ledger-{index:08}.seg")
}

fn segment_index(name: &str) -> Option<u32> {
    let index = name.strip_prefix("ledger-")?.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(index) == name).then_some(index)
}

/// The numbers of the segments that are there, ascending.
pub(crate) fn list(device: &dyn Device) -> Result<Vec<u32>> {
    let mut indexes: Vec<u32> =
        device.list()?.iter().filter_map(|name| segment_index(name)).collect();
    indexes.sort_unstable();
    Ok(indexes)
}

/// Removes what an interrupted creation of a segment left behind; it never held a record.
pub(crate) fn remove_unfinished(device: &dyn Device) -> Result<()> {
    for name in device.list()? {
        if name.strip_suffix(UNFINISHED_SUFFIX).and_then(segment_index).is_some() {
            device.remove(&name)?;
        }
    }
    Ok(())
}

/// An open segment read through a buffer.
pub(crate) struct Window {
    file: Box<dyn DeviceFile>,
    length_bytes: u64,
    start_bytes: u64,
    buffer: Vec<u8>,
}

impl Window {
    pub fn new(file: Box<dyn DeviceFile>, length_bytes: u64) -> Self {
        Self { file, length_bytes, start_bytes: 0, buffer: Vec::new() }
    }

    pub fn file(&self) -> &dyn DeviceFile {
        &*self.file
    }

    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// The bytes of a range that lies within the segment.
    pub fn bytes(&mut self, offset_bytes: u64, count_bytes: u64) -> Result<&[u8]> {
        assert!(
            offset_bytes + count_bytes <= self.length_bytes,
            "a read beyond the end of the segment"
        );
        let buffered = self.start_bytes..self.start_bytes + self.buffer.len() as u64;
        if offset_bytes < buffered.start || offset_bytes + count_bytes > buffered.end {
            let fill_bytes =
                count_bytes.max(READ_AHEAD_BYTES).min(self.length_bytes - offset_bytes);
            // Emptied first, so that a failed read does not leave bytes that seem to belong
            // elsewhere.
            self.buffer.clear();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(fill_bytes as usize, 0);
            self.file.read_at(offset_bytes, &mut buffer)?;
            self.buffer = buffer;
            self.start_bytes = offset_bytes;
        }
        let start = (offset_bytes - self.start_bytes) as usize;
        Ok(&self.buffer[start..start + count_bytes as usize])
    }

    /// The bytes from here up to a length, or up to the end of the segment.
    pub fn bytes_up_to(&mut self, offset_bytes: u64, most_bytes: u64) -> Result<&[u8]> {
        self.bytes(offset_bytes, most_bytes.min(self.length_bytes - offset_bytes))
    }

    /// Whether there are only zeros from here to the end.
    pub fn is_zero_from(&mut self, offset_bytes: u64) -> Result<bool> {
        let mut offset = offset_bytes;
        // A short look first: nearly always a record begins here.
        let mut step_bytes = ALIGNMENT_BYTES;
        while offset < self.length_bytes {
            let bytes = self.bytes_up_to(offset, step_bytes)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset += bytes.len() as u64;
            step_bytes = READ_AHEAD_BYTES;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::memory::MemoryDevice;

    const HEADER: SegmentHeader = SegmentHeader {
        index: 2,
        first: Sequence(17),
        ledger_id: LedgerId([3; 16]),
        previous_hash: Hash([4; 32]),
        length_bytes: 1024,
    };

    #[test]
    fn a_header_is_read_back_and_every_bit_is_covered() {
        let device = MemoryDevice::new(1);
        let file = HEADER.create(&device).unwrap();
        assert_eq!(SegmentHeader::read(&*file, 2, Sequence(17)).unwrap(), HEADER);
        assert_eq!(
            SegmentHeader::read(&*file, 3, Sequence(17)).unwrap_err().code(),
            "ledger_corrupt"
        );
        for bit in 0..HEADER_BYTES * 8 {
            device.flip("ledger-00000002.seg", bit / 8, 1 << (bit % 8));
            let error = SegmentHeader::read(&*file, 2, Sequence(17)).unwrap_err();
            assert_eq!(error.code(), "ledger_corrupt", "bit {bit}");
            device.flip("ledger-00000002.seg", bit / 8, 1 << (bit % 8));
        }
    }

    #[test]
    fn a_newer_version_is_not_called_damage() {
        let device = MemoryDevice::new(1);
        let mut bytes = HEADER.encode();
        bytes[8] = 2;
        let hash = Hash::of_domain(HEADER_DOMAIN, &bytes[..HASHED_BYTES]);
        bytes[HASHED_BYTES..120].copy_from_slice(&hash.0);
        let file = device.create("ledger-00000002.seg", &bytes, 1024).unwrap();
        let error = SegmentHeader::read(&*file, 2, Sequence(17)).unwrap_err();
        assert_eq!(error.code(), "ledger_format_unsupported");
        assert!(error.hint().is_some_and(|hint| hint.contains("newer release")));
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let device = MemoryDevice::new(1);
        let file = device.create("ledger-00000002.seg", &HEADER.encode(), 1000).unwrap();
        let error = SegmentHeader::read(&*file, 2, Sequence(17)).unwrap_err();
        assert!(error.to_string().contains("1000 bytes instead of 1024"));
        let file = device.create("ledger-00000003.seg", b"", 5).unwrap();
        assert!(SegmentHeader::read(&*file, 3, Sequence(17)).is_err());
    }

    #[test]
    fn only_our_names_are_segments() {
        assert_eq!(segment_index("ledger-00000012.seg"), Some(12));
        assert_eq!(segment_index("ledger-123456789.seg"), Some(123_456_789));
        for other in [
            "ledger-12.seg",
            "ledger-00000012.seg.new",
            "ledger-+0000012.seg",
            "ledger-.seg",
            "LOCK",
        ] {
            assert_eq!(segment_index(other), None, "{other}");
        }
    }
}
