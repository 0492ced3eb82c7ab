//! The crate's error: what was wrong with a change or a request.

use thiserror::Error;

use crate::limits::TEXT_BYTES_MAX;

/// Result of this crate.
pub type Result<T, E = CubeError> = std::result::Result<T, E>;

/// What can be wrong with a change or a read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CubeError {
    /// A name that is not in the model.
    #[error("{kind} {name:?} does not exist")]
    Unknown {
        /// What kind of thing was named.
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest names that exist.
        suggestions: Vec<String>,
    },
    /// A day or a period that a calendar does not have.
    #[error("{key} is outside the calendar of {calendar}")]
    OutsideCalendar {
        /// The day or period.
        key: String,
        /// Its dimension and its days: `date, which runs from 2026-01-01 to 2026-12-31`.
        calendar: String,
    },
    /// A definition that cannot be.
    #[error("{0}")]
    Definition(String),
    /// Something that exists already.
    #[error("{kind} {name:?} exists already")]
    Exists {
        /// What kind of thing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A value that does not fit its type.
    #[error("{value:?} is not a valid {expected}{}", because(.reason))]
    InvalidValue {
        /// The value as given.
        value: String,
        /// The type that was expected.
        expected: String,
        /// Why it is not, or empty.
        reason: String,
    },
    /// A text that is longer than a measure may hold.
    #[error(
        "a text of {bytes} bytes, which begins with {start:?}, is longer than {TEXT_BYTES_MAX} bytes"
    )]
    TextTooLong {
        /// Its first letters.
        start: String,
        /// Its length.
        bytes: usize,
    },
    /// More different texts than a branch may hold.
    #[error("the texts of all cells together would be more than {0}")]
    TooManyTexts(String),
    /// A number outside its type.
    #[error("numeric overflow: {0}")]
    Overflow(String),
    /// A hierarchy that would not be a forest.
    #[error("member {member:?} would be its own ancestor in hierarchy {hierarchy:?}")]
    HierarchyCycle {
        /// The member's key.
        member: String,
        /// The hierarchy.
        hierarchy: String,
    },
    /// The read was cancelled or ran out of time.
    #[error("canceling statement due to user request")]
    Interrupted,
    /// The read would need more memory than it may use.
    #[error("out of memory: {0}")]
    Memory(String),
    /// The state is not what the change expects: a change and its version do not belong together.
    #[error("inconsistent change: {0}")]
    Inconsistent(String),
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

impl CubeError {
    /// The stable code of the error, as SQLSTATE where it surfaces in SQL.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Unknown { kind: "member", .. } | Self::OutsideCalendar { .. } => "23503",
            Self::Unknown { .. } => "42704",
            Self::Definition(_) => "42P16",
            Self::Exists { .. } => "42710",
            Self::InvalidValue { .. } => "22P02",
            Self::TextTooLong { .. } => "22001",
            Self::TooManyTexts(_) => "54000",
            Self::Overflow(_) => "22003",
            Self::HierarchyCycle { .. } => "23514",
            Self::Interrupted => "57014",
            Self::Memory(_) => "53200",
            Self::Inconsistent(_) => "XX000",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { suggestions, .. } if !suggestions.is_empty() => {
                Some(format!("did you mean {}?", suggestions.join(", ")))
            }
            Self::OutsideCalendar { .. } => Some(
                "correct the date, or let the calendar start earlier or end later in the file of its dimension"
                    .into(),
            ),
            Self::Memory(_) => {
                Some("group by fewer columns, filter more, or raise the limit".into())
            }
            Self::TextTooLong { .. } => {
                Some("shorten it, for example with LEFT, or list fewer texts".into())
            }
            Self::TooManyTexts(_) => Some(
                "keep texts that are different in every row, such as comments, elsewhere".into(),
            ),
            _ => None,
        }
    }

    /// An unknown name, with the nearest of the names that exist.
    pub fn unknown<'a>(
        kind: &'static str,
        name: &str,
        existing: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self::Unknown { kind, name: name.to_string(), suggestions: nearest(name, existing) }
    }
}

/// Up to three of the names that look most like `name`.
pub fn nearest<'a>(name: &str, existing: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> = existing
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name.to_string()).collect()
}
