//! Opening a ledger after any end: telling a torn tail from damage, and making the tail sound
//! again.
//!
//! What the medium may do. Before a sync returns, each 512-byte sector of a write holds either what
//! it held before or what was written, whole, in any combination. Once a sync returned, the sectors
//! keep what was written. A failed sync says nothing about any sector, and later syncs may not
//! bring the rest.
//!
//! What follows. Records are written over durable zeros, so one that was torn lacks at least one
//! sector: there are zeros from its start, or from a sector boundary, to the end of that sector or
//! of the record. And a batch is written only when all before it are durable, so an intact record
//! says which ones were: all before its batch. Hence, where the last segment goes on with something
//! that is not an intact record, it is a *torn tail* if
//!
//! 1. no intact record header behind it belongs to a later batch, and
//! 2. the record there lacks a sector.
//!
//! Anything else was once acknowledged, and is *damage*: an error that changes nothing. In a
//! segment that has a successor there are no torn tails.
//!
//! Invariant: opening never removes a record that the medium, within the model above, had
//! acknowledged.

use super::reader::LedgerReader;
use super::record::{
    ALIGNMENT_BYTES, FIXED_HEADER_BYTES, Lengths, MAGIC, Place, Record, RecordId, Sequence, field,
    is_header_intact, place,
};
use super::segment::{LedgerId, Window, remove_unfinished};
use crate::device::{Device, SECTOR_BYTES, sector_pieces};
use crate::error::{Damage, Result};
use crate::limits::READ_AHEAD_BYTES;
use std::ops::Range;
use std::sync::Arc;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The ledger this is.
    pub ledger_id: LedgerId,
    /// How many segment files it has.
    pub segment_count: usize,
    /// The last record, if there is any.
    pub last: Option<RecordId>,
    /// The torn tail that was cut, if there was one.
    pub torn_tail: Option<TornTail>,
}

/// The remains of records that were being written when the power went, and were never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// File name of the segment.
    pub segment: String,
    /// Where in it the remains begin.
    pub offset_bytes: u64,
    /// The first record that is not there; it will be given to the next one appended.
    pub sequence: Sequence,
}

/// A place in the last segment with something that is not an intact record.
pub(crate) struct Doubt {
    pub offset_bytes: u64,
    pub expected: Sequence,
    pub damage: Damage,
}

pub(crate) enum Verdict {
    Torn,
    Damaged(Damage),
}

/// Reads and verifies everything, passing each record to `visit`, then makes the tail sound and
/// durable. Returns the reader at its end. When this fails because of damage, nothing was changed.
pub(crate) fn recover(
    device: Arc<dyn Device>,
    visit: &mut dyn FnMut(Record),
) -> Result<(LedgerReader, Recovered)> {
    let mut reader = LedgerReader::open(device.clone())?;
    let mut last = None;
    for record in &mut reader {
        let record = record?;
        last = Some(record.id);
        visit(record);
    }
    remove_unfinished(&*device)?;
    // What was read may come from a cache whose writes were never synced, or failed to be. It is
    // built upon from now on, so it is written and synced again, torn or not.
    reader.position().restore_tail()?;
    device.sync_folder()?;
    let torn_tail = reader.torn_tail().cloned();
    let recovered = Recovered {
        ledger_id: reader.ledger_id(),
        segment_count: reader.segment_count(),
        last,
        torn_tail,
    };
    Ok((reader, recovered))
}

/// Tells a torn tail from damage, by the two conditions above.
pub(crate) fn judge(window: &mut Window, doubt: Doubt) -> Result<Verdict> {
    if let Some(later) = find_later_batch(window, &doubt)? {
        return Ok(Verdict::Damaged(Damage::LostRecord { later }));
    }
    let is_torn = lacks_sector(window, doubt.offset_bytes)?;
    Ok(if is_torn { Verdict::Torn } else { Verdict::Damaged(doubt.damage) })
}

/// Looks for an intact record header that proves the doubtful record to have been durable.
fn find_later_batch(window: &mut Window, doubt: &Doubt) -> Result<Option<Sequence>> {
    let mut offset = doubt.offset_bytes;
    while let Some(candidate) = find_magic(window, offset)? {
        offset = candidate + ALIGNMENT_BYTES;
        if let Some((place, record_bytes)) = read_intact_header(window, candidate)? {
            let batch_start = place.sequence.0.saturating_sub(place.batch_position.into());
            if batch_start > doubt.expected.0 {
                return Ok(Some(place.sequence));
            }
            // Its payload is opaque and may contain anything, even records.
            offset = candidate + record_bytes;
        }
    }
    Ok(None)
}

fn find_magic(window: &mut Window, offset_bytes: u64) -> Result<Option<u64>> {
    let mut offset = offset_bytes;
    while offset < window.length_bytes() {
        let bytes = window.bytes_up_to(offset, READ_AHEAD_BYTES)?;
        if let Some(found) =
            bytes.chunks(ALIGNMENT_BYTES as usize).position(|word| word.starts_with(&MAGIC))
        {
            return Ok(Some(offset + found as u64 * ALIGNMENT_BYTES));
        }
        offset += bytes.len() as u64;
    }
    Ok(None)
}

fn read_intact_header(window: &mut Window, offset_bytes: u64) -> Result<Option<(Place, u64)>> {
    let Some((fixed, lengths)) = read_lengths(window, offset_bytes)? else { return Ok(None) };
    let header = window.bytes(offset_bytes, lengths.header_bytes())?.to_owned();
    let hash = window.bytes(offset_bytes + lengths.hash_offset_bytes(), 32)?;
    Ok(is_header_intact(&header, hash).then(|| (place(&fixed), lengths.record_bytes())))
}

type FixedHeader = [u8; FIXED_HEADER_BYTES as usize];

fn read_lengths(window: &mut Window, offset_bytes: u64) -> Result<Option<(FixedHeader, Lengths)>> {
    let available_bytes = window.length_bytes() - offset_bytes;
    if available_bytes < FIXED_HEADER_BYTES {
        return Ok(None);
    }
    let fixed = field(window.bytes(offset_bytes, FIXED_HEADER_BYTES)?, 0);
    Ok(Lengths::read(&fixed, available_bytes).ok().map(|lengths| (fixed, lengths)))
}

/// Whether the write of the record that begins here was torn: one of its sectors holds zeros only.
fn lacks_sector(window: &mut Window, offset_bytes: u64) -> Result<bool> {
    let header_end = (offset_bytes + FIXED_HEADER_BYTES).min(window.length_bytes());
    if has_zero_sector(window, offset_bytes..header_end)? {
        return Ok(true);
    }
    // The fixed header is there as a whole, so it says how far the record goes.
    match read_lengths(window, offset_bytes)? {
        Some((_, lengths)) => {
            has_zero_sector(window, offset_bytes..offset_bytes + lengths.record_bytes())
        }
        None => Ok(false),
    }
}

fn has_zero_sector(window: &mut Window, range: Range<u64>) -> Result<bool> {
    for piece in sector_pieces(range) {
        assert!(piece.end - piece.start <= SECTOR_BYTES);
        let bytes = window.bytes(piece.start, piece.end - piece.start)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
