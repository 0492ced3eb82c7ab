//! Reading the ledger in order, verifying everything that is yielded.
//!
//! Invariant: a record is yielded only if its bytes, its place in the sequence and its place in the
//! hash chain are right. After the last one the reader has either reached a clean end, or a torn
//! tail that holds nothing which was ever acknowledged, or it has yielded an error.

use super::record::{FIXED_HEADER_BYTES, Hash, Lengths, Record, RecordId, Sequence, decode, field};
use super::recovery::{Doubt, TornTail, Verdict, judge};
use super::segment::{self, HEADER_BYTES, LedgerId, SegmentHeader, Window, segment_name};
use crate::device::{Device, write_zeros};
use crate::error::{Damage, Result, StorageError};
use crate::limits::READ_AHEAD_BYTES;
use std::sync::Arc;

/// Iterates over the records of a ledger.
///
/// On a ledger that is being appended to, set [`LedgerReader::ending_at`] to an acknowledged
/// sequence: what lies behind is being written.
pub struct LedgerReader {
    device: Arc<dyn Device>,
    segments: Vec<u32>,
    ledger_id: LedgerId,
    position: Position,
    ending_at: Option<Sequence>,
    state: State,
}

/// Where reading goes on.
pub(crate) struct Position {
    /// Index into the list of segments.
    segment_idx: usize,
    window: Window,
    /// Where the next record begins, unless the segment ends there.
    pub offset_bytes: u64,
    /// Where the batch of the last record begins, if it is in this segment.
    batch_offset_bytes: u64,
    pub expected: Sequence,
    pub previous_hash: Hash,
    batch_count: u64,
    /// The first record to be yielded; those before it are verified only.
    starting_at: Sequence,
}

enum State {
    Reading,
    Ended(Option<TornTail>),
    Failed,
}

impl LedgerReader {
    /// Starts before the first record.
    pub fn open(device: Arc<dyn Device>) -> Result<Self> {
        let segments = segment::list(&*device)?;
        if segments.is_empty() {
            return Err(StorageError::LedgerMissing);
        }
        if let Some((absent, _)) = (1..).zip(&segments).find(|(index, found)| index != *found) {
            return Err(missing_segment(absent));
        }
        let (header, position) = Position::enter(&*device, &segments, 0, Sequence::FIRST)?;
        position.check_chain(&header, Sequence::FIRST, Hash::ZERO)?;
        let ledger_id = header.ledger_id;
        Ok(Self { device, segments, ledger_id, position, ending_at: None, state: State::Reading })
    }

    /// Yields from this record on. Segments that end before it are not looked at, so their records
    /// are not verified.
    pub fn starting_at(mut self, sequence: Sequence) -> Result<Self> {
        for segment_idx in (1..self.segments.len()).rev() {
            let (header, position) =
                Position::enter(&*self.device, &self.segments, segment_idx, sequence)?;
            self.check_id(&header)?;
            if header.first <= sequence {
                self.position = position;
                break;
            }
        }
        self.position.starting_at = sequence;
        Ok(self)
    }

    /// Yields up to and including this record, and does not look at what is behind it.
    pub fn ending_at(mut self, sequence: Sequence) -> Self {
        self.ending_at = Some(sequence);
        self
    }

    /// The ledger this is.
    pub fn ledger_id(&self) -> LedgerId {
        self.ledger_id
    }

    /// The torn tail behind the last record, once all records were yielded.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        match &self.state {
            State::Ended(torn_tail) => torn_tail.as_ref(),
            State::Reading | State::Failed => None,
        }
    }

    pub(crate) fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    fn advance(&mut self) -> Result<Option<Record>> {
        loop {
            if self.ending_at.is_some_and(|last| self.position.expected > last) {
                self.state = State::Ended(None);
                return Ok(None);
            }
            let is_last = self.position.segment_idx + 1 == self.segments.len();
            match self.position.read_record()? {
                Found::Record(record) if record.id.sequence < self.position.starting_at => {}
                Found::Record(record) => return Ok(Some(*record)),
                Found::End if is_last => {
                    self.state = State::Ended(None);
                    return Ok(None);
                }
                Found::End => self.enter_next()?,
                Found::Damage(damage) if is_last => {
                    let torn_tail = self.position.judge_tail(damage)?;
                    self.state = State::Ended(Some(torn_tail));
                    return Ok(None);
                }
                Found::Damage(damage) => {
                    let damage =
                        if self.is_segment_complete() { Damage::BehindEnd } else { damage };
                    return Err(self.position.corrupt(damage));
                }
            }
        }
    }

    /// Whether the next segment goes on where reading stands in this one.
    fn is_segment_complete(&self) -> bool {
        let Position { segment_idx, expected, .. } = self.position;
        let next = Position::enter(&*self.device, &self.segments, segment_idx + 1, expected);
        next.is_ok_and(|(header, _)| header.first == expected)
    }

    fn enter_next(&mut self) -> Result<()> {
        let before = &self.position;
        let (header, mut position) = Position::enter(
            &*self.device,
            &self.segments,
            before.segment_idx + 1,
            before.expected,
        )?;
        self.check_id(&header)?;
        position.check_chain(&header, before.expected, before.previous_hash)?;
        position.starting_at = before.starting_at;
        self.position = position;
        Ok(())
    }

    fn check_id(&self, header: &SegmentHeader) -> Result<()> {
        let (expected, found) = (self.ledger_id, header.ledger_id);
        if found != expected {
            return Err(StorageError::ForeignSegment {
                segment: segment_name(header.index),
                expected,
                found,
            });
        }
        Ok(())
    }
}

impl Iterator for LedgerReader {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Reading => {}
            State::Ended(_) | State::Failed => return None,
        }
        let advanced = self.advance();
        if advanced.is_err() {
            self.state = State::Failed;
        }
        advanced.transpose()
    }
}

enum Found {
    Record(Box<Record>),
    End,
    /// Not zeros and not an intact record.
    Damage(Damage),
}

impl Position {
    fn enter(
        device: &dyn Device,
        segments: &[u32],
        segment_idx: usize,
        sought: Sequence,
    ) -> Result<(SegmentHeader, Self)> {
        let index = segments[segment_idx];
        let file = device.open(&segment_name(index))?;
        let header = SegmentHeader::read(&*file, index, sought)?;
        let position = Self {
            segment_idx,
            window: Window::new(file, header.length_bytes),
            offset_bytes: HEADER_BYTES,
            batch_offset_bytes: HEADER_BYTES,
            expected: header.first,
            previous_hash: header.previous_hash,
            batch_count: 0,
            starting_at: Sequence::FIRST,
        };
        Ok((header, position))
    }

    fn check_chain(
        &self,
        header: &SegmentHeader,
        expected: Sequence,
        previous_hash: Hash,
    ) -> Result<()> {
        if header.first == expected && header.previous_hash == previous_hash {
            return Ok(());
        }
        Err(StorageError::Corrupt {
            segment: segment_name(header.index),
            offset_bytes: 0,
            sequence: expected,
            damage: Damage::SegmentChain { first: header.first },
        })
    }

    /// Writes once more what the last sync may have failed to make durable: the last batch, and
    /// zeros behind it.
    pub fn restore_tail(&mut self) -> Result<()> {
        let mut offset = self.batch_offset_bytes;
        while offset < self.offset_bytes {
            let bytes = self
                .window
                .bytes(offset, (self.offset_bytes - offset).min(READ_AHEAD_BYTES))?
                .to_owned();
            self.window.file().write_at(offset, &bytes)?;
            offset += bytes.len() as u64;
        }
        write_zeros(self.window.file(), self.offset_bytes, self.window.length_bytes())?;
        self.window.file().sync()
    }

    fn segment_name(&self) -> String {
        // Segments are numbered from 1 without gaps, which opening has checked.
        segment_name(self.segment_idx as u32 + 1)
    }

    fn corrupt(&self, damage: Damage) -> StorageError {
        let (segment, offset_bytes, sequence) =
            (self.segment_name(), self.offset_bytes, self.expected);
        StorageError::Corrupt { segment, offset_bytes, sequence, damage }
    }

    /// Tells a torn tail from damage, where the last segment goes on with something that is not a
    /// record.
    fn judge_tail(&mut self, damage: Damage) -> Result<TornTail> {
        let doubt = Doubt { offset_bytes: self.offset_bytes, expected: self.expected, damage };
        match judge(&mut self.window, doubt)? {
            Verdict::Torn => Ok(TornTail {
                segment: self.segment_name(),
                offset_bytes: self.offset_bytes,
                sequence: self.expected,
            }),
            Verdict::Damaged(damage) => Err(self.corrupt(damage)),
        }
    }

    fn read_record(&mut self) -> Result<Found> {
        if self.window.is_zero_from(self.offset_bytes)? {
            return Ok(Found::End);
        }
        let record = match read_record_at(&mut self.window, self.offset_bytes)? {
            Ok(record) => record,
            Err(damage) => return Ok(Found::Damage(damage)),
        };
        self.check_place(&record).map_err(|damage| self.corrupt(damage))?;
        if record.batch_position == 0 {
            self.batch_offset_bytes = self.offset_bytes;
            self.batch_count = 0;
        }
        self.batch_count += 1;
        self.offset_bytes += record.content.encoded_bytes();
        self.expected = self.expected.next();
        self.previous_hash = record.id.hash;
        Ok(Found::Record(Box::new(record)))
    }

    /// An intact record in the wrong place was not put there by a crash, so this is always damage.
    fn check_place(&self, record: &Record) -> std::result::Result<(), Damage> {
        if record.id.sequence != self.expected {
            return Err(Damage::Sequence { found: record.id.sequence });
        }
        if record.previous_hash != self.previous_hash {
            return Err(Damage::PreviousHash);
        }
        if record.batch_position != 0 && u64::from(record.batch_position) != self.batch_count {
            return Err(Damage::BatchPosition);
        }
        Ok(())
    }
}

/// Reads the record that begins here and verifies what it says about itself.
fn read_record_at(
    window: &mut Window,
    offset_bytes: u64,
) -> Result<std::result::Result<Record, Damage>> {
    let available_bytes = window.length_bytes() - offset_bytes;
    if available_bytes < FIXED_HEADER_BYTES {
        return Ok(Err(Damage::Lengths));
    }
    let fixed = field(window.bytes(offset_bytes, FIXED_HEADER_BYTES)?, 0);
    Ok(match Lengths::read(&fixed, available_bytes) {
        Ok(lengths) => decode(window.bytes(offset_bytes, lengths.record_bytes())?, &lengths),
        Err(damage) => Err(damage),
    })
}

fn missing_segment(index: u32) -> StorageError {
    StorageError::Corrupt {
        segment: segment_name(index),
        offset_bytes: 0,
        sequence: Sequence::FIRST,
        damage: Damage::SegmentMissing,
    }
}

/// What a ledger holds, all of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSummary {
    /// The ledger this is.
    pub ledger_id: LedgerId,
    /// How many segment files it has.
    pub segment_count: usize,
    /// How many records; the last one has this sequence.
    pub record_count: u64,
    /// The last record, if there is any; its hash commits to the whole ledger.
    pub last: Option<RecordId>,
    /// The payloads together.
    pub payload_bytes: u64,
    /// A torn tail that the next opening will cut.
    pub torn_tail: Option<TornTail>,
}

/// Reads the whole ledger and changes nothing. The caller sees to it that nobody appends meanwhile.
pub fn verify(device: Arc<dyn Device>) -> Result<LedgerSummary> {
    let mut reader = LedgerReader::open(device)?;
    let (mut record_count, mut payload_bytes, mut last) = (0, 0, None);
    for record in &mut reader {
        let record = record?;
        record_count += 1;
        payload_bytes += record.content.payload.len() as u64;
        last = Some(record.id);
    }
    Ok(LedgerSummary {
        ledger_id: reader.ledger_id(),
        segment_count: reader.segment_count(),
        record_count,
        last,
        payload_bytes,
        torn_tail: reader.torn_tail().cloned(),
    })
}
