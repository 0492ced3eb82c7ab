//! Everything that can go wrong in storage, each with a stable code, a SQLSTATE and, where one
//! helps, a hint.
//!
//! Invariant: a code never changes its meaning, and damage found on disk always names file, offset
//! and sequence.

use crate::ledger::{LedgerId, Sequence};
use std::io;

/// The result of every fallible operation of this crate.
pub type Result<T> = std::result::Result<T, StorageError>;

/// An error of the storage layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The device refused an operation.
    #[error("cannot {operation} {name}: {source}")]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file or folder it was tried on.
        name: String,
        /// Why the device refused.
        source: io::Error,
    },

    /// There is no space left for what had to be written.
    #[error("cannot {operation} {name}: no space left on the device")]
    DiskFull {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file it was tried on.
        name: String,
    },

    /// What is on disk is not what was written.
    #[error(
        "ledger segment {segment} is damaged at byte {offset_bytes}, where record {sequence} was \
         expected: {damage}"
    )]
    Corrupt {
        /// File name of the segment.
        segment: String,
        /// Where in the segment the damage begins to show.
        offset_bytes: u64,
        /// The first record that cannot be trusted; all before it were verified.
        sequence: Sequence,
        /// What is wrong there.
        damage: Damage,
    },

    /// A segment was written by a newer release.
    #[error(
        "ledger segment {segment} has format version {found}, this release reads up to {supported}"
    )]
    UnsupportedFormat {
        /// File name of the segment.
        segment: String,
        /// The version it declares.
        found: u16,
        /// The newest version this release reads.
        supported: u16,
    },

    /// A ledger was to be opened where there is none.
    #[error("there is no ledger in this folder")]
    LedgerMissing,

    /// A ledger was to be created where there is one already.
    #[error("there is a ledger in this folder already")]
    LedgerExists,

    /// A segment of another ledger lies among the segments of this one.
    #[error("ledger segment {segment} belongs to ledger {found}, not to {expected}")]
    ForeignSegment {
        /// File name of the segment.
        segment: String,
        /// The ledger the first segment belongs to.
        expected: LedgerId,
        /// The ledger this segment belongs to.
        found: LedgerId,
    },

    /// An earlier write or sync failed, so what is on disk is unknown until the ledger is opened
    /// again.
    #[error("the ledger takes no more records: an earlier write to it failed")]
    Poisoned,

    /// A part of a new record or batch is beyond its limit.
    #[error("the {part} has {found} {unit}, the limit is {limit}")]
    TooLarge {
        /// Which part.
        part: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },

    /// Another process serves or works on this folder.
    #[error("the folder {folder} is in use by another process")]
    FolderLocked {
        /// The folder.
        folder: String,
    },
}

/// What is wrong at a damaged place of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A segment is absent although a later one is there.
    #[error("the segment is missing")]
    SegmentMissing,
    /// The segment header is not intact.
    #[error("the segment header is not intact")]
    SegmentHeader,
    /// The header is intact but belongs to a segment with another number.
    #[error("the segment header is that of segment {found}")]
    SegmentIndex {
        /// The number in the header.
        found: u32,
    },
    /// The file is shorter or longer than it was made.
    #[error("the file has {found} bytes instead of {expected}")]
    SegmentLength {
        /// Its length.
        found: u64,
        /// Its length when it was made.
        expected: u64,
    },
    /// The segment does not continue the one before it, so records are missing between them.
    #[error("the segment begins with record {first} and does not continue the chain")]
    SegmentChain {
        /// The first record the segment was made for.
        first: Sequence,
    },
    /// The record does not begin with the magic bytes.
    #[error("no record begins here")]
    Magic,
    /// The record's format version is not that of its segment.
    #[error("the record's format version is not that of its segment")]
    FormatVersion,
    /// The lengths in the record header do not fit.
    #[error("the lengths in the record header do not fit")]
    Lengths,
    /// The record header does not have the hash it was written with.
    #[error("the record header does not match its hash")]
    RecordHash,
    /// The payload does not have the hash that the header commits to.
    #[error("the payload does not match its hash")]
    PayloadHash,
    /// Bytes that must be zero are not.
    #[error("reserved bytes are not zero")]
    Reserved,
    /// Author or origin is not UTF-8.
    #[error("author or origin is not text")]
    Text,
    /// An intact record with another sequence.
    #[error("record {found} is in its place")]
    Sequence {
        /// The sequence found.
        found: Sequence,
    },
    /// An intact record that follows another record than the one before it.
    #[error("the record does not continue the chain")]
    PreviousHash,
    /// An intact record whose position in its batch does not follow.
    #[error("the record's position in its batch does not follow")]
    BatchPosition,
    /// A later record proves that the damaged one was durable.
    #[error("it is not intact, and record {later} behind it proves that it was durable")]
    LostRecord {
        /// The later record.
        later: Sequence,
    },
    /// Something lies behind the last record of a completed segment.
    #[error("there are bytes behind the last record of a completed segment")]
    BehindEnd,
}

impl StorageError {
    /// Wraps what the device said; a full disk or quota becomes [`StorageError::DiskFull`].
    pub(crate) fn io(operation: &'static str, name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { operation, name }
            }
            _ => Self::Io { operation, name, source },
        }
    }

    /// The stable code of this error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "storage_io",
            Self::DiskFull { .. } => "storage_disk_full",
            Self::Corrupt { .. } => "ledger_corrupt",
            Self::UnsupportedFormat { .. } => "ledger_format_unsupported",
            Self::LedgerMissing => "ledger_missing",
            Self::LedgerExists => "ledger_exists",
            Self::ForeignSegment { .. } => "ledger_foreign_segment",
            Self::Poisoned => "ledger_poisoned",
            Self::TooLarge { .. } => "ledger_record_too_large",
            Self::FolderLocked { .. } => "folder_locked",
        }
    }

    /// The SQLSTATE under which a SQL client sees this error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Poisoned => "58030",
            Self::DiskFull { .. } => "53100",
            Self::Corrupt { .. } | Self::ForeignSegment { .. } => "XX001",
            Self::UnsupportedFormat { .. } => "0A000",
            Self::LedgerMissing => "58P01",
            Self::LedgerExists => "58P02",
            Self::TooLarge { .. } => "54000",
            Self::FolderLocked { .. } => "55006",
        }
    }

    /// What the reader of this error can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::DiskFull { .. } => {
                Some("Free some space on the device, then try again.".to_owned())
            }
            Self::Corrupt { segment, sequence, .. } => Some(format!(
                "Nothing was changed. The records before {sequence} are intact. Keep a copy of \
                 {segment}, check the disk, and restore the folder from a backup."
            )),
            Self::UnsupportedFormat { .. } => {
                Some("Open this folder with a newer release.".to_owned())
            }
            Self::LedgerMissing => {
                Some("Check the path of the data folder, or restore it from a backup.".to_owned())
            }
            Self::LedgerExists => Some("Choose an empty folder.".to_owned()),
            Self::ForeignSegment { segment, .. } => {
                Some(format!("Restore the right {segment} from a backup."))
            }
            Self::Poisoned => Some(
                "Open the ledger again; records that were not acknowledged may be missing then."
                    .to_owned(),
            ),
            Self::TooLarge { .. } => Some("Split the command into smaller ones.".to_owned()),
            Self::FolderLocked { folder } => Some(format!(
                "Stop the server or command that uses {folder}, or send the command to the \
                 server instead."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: StorageError, code: &str, sqlstate: &str) {
        assert_eq!(error.code(), code);
        assert_eq!(error.sqlstate(), sqlstate);
    }

    #[test]
    fn errors_carry_codes_and_sqlstates() {
        check(
            StorageError::io("write", "a", io::ErrorKind::StorageFull.into()),
            "storage_disk_full",
            "53100",
        );
        check(
            StorageError::io("write", "a", io::ErrorKind::QuotaExceeded.into()),
            "storage_disk_full",
            "53100",
        );
        check(
            StorageError::io("write", "a", io::ErrorKind::TimedOut.into()),
            "storage_io",
            "58030",
        );
        check(StorageError::Poisoned, "ledger_poisoned", "58030");
        check(StorageError::FolderLocked { folder: "data".to_owned() }, "folder_locked", "55006");
    }

    #[test]
    fn damage_says_where_it_is_and_what_to_do() {
        let error = StorageError::Corrupt {
            segment: "ledger-00000002.seg".to_owned(),
            offset_bytes: 4096,
            sequence: Sequence(17),
            damage: Damage::PayloadHash,
        };
        assert_eq!(
            error.to_string(),
            "ledger segment ledger-00000002.seg is damaged at byte 4096, where record 17 was \
             expected: the payload does not match its hash"
        );
        assert!(
            error.hint().is_some_and(
                |hint| hint.contains("before 17 are intact") && hint.contains("backup")
            )
        );
        assert_eq!(error.sqlstate(), "XX001");
    }
}
