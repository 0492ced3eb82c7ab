//! Every limit of this crate, in one place. Beyond a limit there is an error that names it, never a
//! truncation.
//!
//! Limits on what is written may change freely: a reader is bounded by the length of the segment
//! only. The lengths of author and origin are part of the file format and may only grow together
//! with its version.

/// Length of a new ledger segment. A larger one is made when one batch needs it.
pub const SEGMENT_BYTES_DEFAULT: u64 = 8 * 1024 * 1024;

/// Shortest segment that options may ask for; shorter wishes are rounded up to it.
pub const SEGMENT_BYTES_MIN: u64 = 1024;

/// Longest payload of one record.
pub const RECORD_PAYLOAD_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Longest author of a record, in bytes of UTF-8.
pub const AUTHOR_BYTES_MAX: u64 = 255;

/// Longest origin of a record, in bytes of UTF-8.
pub const ORIGIN_BYTES_MAX: u64 = 1024;

/// Most records acknowledged by one sync: their position in the batch is a 16-bit number.
pub const BATCH_RECORDS_MAX: u64 = 65_536;

/// Longest batch on disk; it is encoded in memory before it is written.
pub const BATCH_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How much a reader takes from the device at once, unless one record needs more.
pub const READ_AHEAD_BYTES: u64 = 256 * 1024;

/// How much is written at once when a file is filled with zeros.
pub const ZERO_FILL_BYTES: u64 = 1024 * 1024;
