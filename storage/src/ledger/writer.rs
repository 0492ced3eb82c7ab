//! Appending to the ledger: a batch of records, one write, one sync, then the acknowledgement.
//!
//! An ordinary append overwrites zeros that were written when the segment was made, so the sync has
//! no allocation or length to record. A batch lies within one segment: where it does not fit, the
//! next segment is made first, which happens only when all records before are durable.
//!
//! Invariant: [`LedgerWriter::append_batch`] returns record ids only when the records are durable.
//! After a failed write or sync it refuses everything, because what is on disk is unknown until the
//! ledger is opened again.

use super::reader::LedgerReader;
use super::record::{ALIGNMENT_BYTES, Hash, NewRecord, Place, Record, RecordId, Sequence, encode};
use super::recovery::{Recovered, recover};
use super::segment::{
    self, HEADER_BYTES, LedgerId, SegmentHeader, remove_unfinished, segment_name,
};
use crate::device::{Device, DeviceFile, SECTOR_BYTES};
use crate::error::{Result, StorageError};
use crate::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN};
use std::sync::Arc;

/// How new segments are made. Segments of any length can be read whatever the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerOptions {
    segment_bytes: u64,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES_DEFAULT }
    }
}

impl LedgerOptions {
    /// With segments of at least this length, rounded up to whole sectors and to
    /// [`SEGMENT_BYTES_MIN`].
    pub fn with_segment_bytes(self, segment_bytes: u64) -> Self {
        Self { segment_bytes: segment_bytes.max(SEGMENT_BYTES_MIN).next_multiple_of(SECTOR_BYTES) }
    }
}

/// The only way to append to a ledger. There is one per ledger at a time, which the folder's lock
/// sees to.
pub struct LedgerWriter {
    device: Arc<dyn Device>,
    options: LedgerOptions,
    ledger_id: LedgerId,
    segment: OpenSegment,
    next: Sequence,
    previous_hash: Hash,
    health: Health,
}

struct OpenSegment {
    index: u32,
    file: Box<dyn DeviceFile>,
    length_bytes: u64,
    /// Where the next record goes.
    offset_bytes: u64,
}

enum Health {
    Sound,
    Poisoned,
}

impl LedgerWriter {
    /// Makes an empty ledger where there is none.
    pub fn create(
        device: Arc<dyn Device>,
        ledger_id: LedgerId,
        options: LedgerOptions,
    ) -> Result<Self> {
        if !segment::list(&*device)?.is_empty() {
            return Err(StorageError::LedgerExists);
        }
        remove_unfinished(&*device)?;
        let length_bytes = options.segment_bytes;
        let header = SegmentHeader {
            index: 1,
            first: Sequence::FIRST,
            ledger_id,
            previous_hash: Hash::ZERO,
            length_bytes,
        };
        let segment = OpenSegment::create(&*device, &header)?;
        let (next, previous_hash) = (header.first, header.previous_hash);
        Ok(Self { device, options, ledger_id, segment, next, previous_hash, health: Health::Sound })
    }

    /// Opens a ledger that is there: verifies all of it, and cuts a torn tail.
    pub fn open(device: Arc<dyn Device>, options: LedgerOptions) -> Result<(Self, Recovered)> {
        Self::open_visiting(device, options, &mut |_| {})
    }

    /// As [`LedgerWriter::open`], passing each verified record to `visit` on the way, so that a
    /// replay reads only once. What was visited counts only if this succeeds.
    pub fn open_visiting(
        device: Arc<dyn Device>,
        options: LedgerOptions,
        visit: &mut dyn FnMut(Record),
    ) -> Result<(Self, Recovered)> {
        let (reader, recovered) = recover(device.clone(), visit)?;
        let writer = Self::at_end_of(reader, device, options)?;
        Ok((writer, recovered))
    }

    fn at_end_of(
        mut reader: LedgerReader,
        device: Arc<dyn Device>,
        options: LedgerOptions,
    ) -> Result<Self> {
        let (ledger_id, index) = (reader.ledger_id(), reader.segment_count() as u32);
        let position = reader.position();
        let file = device.open(&segment_name(index))?;
        let length_bytes = file.length_bytes()?;
        let segment =
            OpenSegment { index, file, length_bytes, offset_bytes: position.offset_bytes };
        let (next, previous_hash) = (position.expected, position.previous_hash);
        Ok(Self { device, options, ledger_id, segment, next, previous_hash, health: Health::Sound })
    }

    /// Appends these records, in order, and returns when they are durable.
    ///
    /// A record beyond a limit is refused before anything is written. When there is no space for a
    /// new segment, nothing was written either, and the same call may be repeated later. Any other
    /// error poisons the writer: a part of the batch, from its start, may or may not be there when
    /// the ledger is opened again.
    pub fn append_batch(&mut self, records: &[NewRecord]) -> Result<Vec<RecordId>> {
        if let Health::Poisoned = self.health {
            return Err(StorageError::Poisoned);
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let batch_bytes = check_batch(records)?;
        if self.segment.length_bytes - self.segment.offset_bytes < batch_bytes {
            self.start_segment(batch_bytes)?;
        }
        let (bytes, ids) = self.encode_batch(records, batch_bytes);
        self.health = Health::Poisoned;
        self.segment.file.write_at(self.segment.offset_bytes, &bytes)?;
        self.segment.file.sync()?;
        self.health = Health::Sound;
        self.segment.offset_bytes += batch_bytes;
        if let Some(last) = ids.last() {
            self.next = last.sequence.next();
            self.previous_hash = last.hash;
        }
        Ok(ids)
    }

    /// The sequence that the next record will get.
    pub fn next_sequence(&self) -> Sequence {
        self.next
    }

    /// The hash of the last record, which commits to the whole ledger; [`Hash::ZERO`] if there is
    /// none.
    pub fn last_hash(&self) -> Hash {
        self.previous_hash
    }

    /// The ledger this is.
    pub fn ledger_id(&self) -> LedgerId {
        self.ledger_id
    }

    fn start_segment(&mut self, batch_bytes: u64) -> Result<()> {
        let needed_bytes = (HEADER_BYTES + batch_bytes).next_multiple_of(SECTOR_BYTES);
        let header = SegmentHeader {
            index: self.segment.index + 1,
            first: self.next,
            ledger_id: self.ledger_id,
            previous_hash: self.previous_hash,
            length_bytes: self.options.segment_bytes.max(needed_bytes),
        };
        match OpenSegment::create(&*self.device, &header) {
            Ok(segment) => self.segment = segment,
            Err(error @ StorageError::DiskFull { .. }) => return Err(error),
            Err(error) => {
                self.health = Health::Poisoned;
                return Err(error);
            }
        }
        Ok(())
    }

    fn encode_batch(&self, records: &[NewRecord], batch_bytes: u64) -> (Vec<u8>, Vec<RecordId>) {
        let mut bytes = Vec::with_capacity(batch_bytes as usize);
        let mut ids = Vec::with_capacity(records.len());
        let mut place =
            Place { sequence: self.next, previous_hash: self.previous_hash, batch_position: 0 };
        for record in records {
            let hash = encode(record, place, &mut bytes);
            ids.push(RecordId { sequence: place.sequence, hash });
            place = Place {
                sequence: place.sequence.next(),
                previous_hash: hash,
                // The last increment may wrap, and is not used then.
                batch_position: place.batch_position.wrapping_add(1),
            };
        }
        assert_eq!(
            bytes.len() as u64,
            batch_bytes,
            "the length of a batch is known before it is encoded"
        );
        (bytes, ids)
    }
}

impl OpenSegment {
    fn create(device: &dyn Device, header: &SegmentHeader) -> Result<Self> {
        let file = header.create(device)?;
        Ok(Self {
            index: header.index,
            file,
            length_bytes: header.length_bytes,
            offset_bytes: HEADER_BYTES,
        })
    }
}

/// Refuses what is beyond a limit; returns how long the batch will be on disk.
fn check_batch(records: &[NewRecord]) -> Result<u64> {
    let limit_to = |unit, found, limit| {
        if found > limit {
            Err(StorageError::TooLarge { part: "batch", unit, found, limit })
        } else {
            Ok(())
        }
    };
    limit_to("records", records.len() as u64, BATCH_RECORDS_MAX)?;
    records.iter().try_for_each(NewRecord::check)?;
    let batch_bytes = records.iter().map(NewRecord::encoded_bytes).sum();
    limit_to("bytes", batch_bytes, BATCH_BYTES_MAX)?;
    assert!(u64::is_multiple_of(batch_bytes, ALIGNMENT_BYTES), "records are padded");
    Ok(batch_bytes)
}
