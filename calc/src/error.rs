//! The crate's error: what is wrong with a formula or its evaluation.

use cube::CubeError;
use thiserror::Error;

use crate::syntax::Span;

/// Result of this crate.
pub type Result<T, E = CalcError> = std::result::Result<T, E>;

/// What can be wrong with a formula, a change or a query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CalcError {
    /// A formula that cannot be read or checked.
    #[error("formula of {target}: {message}")]
    Formula {
        /// `cube.measure`.
        target: String,
        /// The formula's text.
        text: String,
        /// Where in the text.
        span: Span,
        /// What is wrong and what was expected.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A formula whose result cannot be stored.
    #[error("{target} at {place}: {source}")]
    Cell {
        /// `cube.measure`.
        target: String,
        /// The cell or row.
        place: String,
        /// What went wrong.
        source: CubeError,
    },
    /// What another branch's formulas make of a change.
    #[error("on branch {branch}, whose formulas read this one: {source}")]
    OnBranch {
        /// The other branch.
        branch: String,
        /// What went wrong there.
        source: Box<CalcError>,
    },
    /// A formula that would fill more cells than a formula may.
    #[error("{target} would fill {count} cells, more than {max}")]
    TooManyCells {
        /// `cube.measure`.
        target: String,
        /// How many it would fill.
        count: usize,
        /// How many it may.
        max: usize,
    },
    /// An error of the cube itself.
    #[error(transparent)]
    Cube(#[from] CubeError),
}

impl CalcError {
    /// The SQLSTATE of the error where it surfaces in SQL.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Formula { .. } => "42601",
            Self::TooManyCells { .. } => "53200",
            Self::Cell { source, .. } | Self::Cube(source) => source.sqlstate(),
            Self::OnBranch { source, .. } => source.sqlstate(),
        }
    }

    /// Whether the texts of all cells would be more than there may be.
    pub fn is_of_too_many_texts(&self) -> bool {
        match self {
            Self::Formula { .. } | Self::TooManyCells { .. } => false,
            Self::OnBranch { source, .. } => source.is_of_too_many_texts(),
            Self::Cell { source, .. } | Self::Cube(source) => {
                matches!(source, CubeError::TooManyTexts(_))
            }
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Formula { hint, .. } => hint.clone(),
            Self::TooManyCells { .. } => Some(
                "make it narrower: multiply by a measure that has values only where they are wanted, filter with [FILTER: ...], or compute a region or a coarser level".into(),
            ),
            Self::Cell { source, .. } | Self::Cube(source) => source.hint(),
            Self::OnBranch { source, .. } => source.hint(),
        }
    }

    /// Where in the formula's text, shown under the text itself.
    pub fn detail(&self) -> Option<String> {
        let (text, span) = match self {
            Self::Formula { text, span, .. } => (text, span),
            Self::OnBranch { source, .. } => return source.detail(),
            _ => return None,
        };
        let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..span.start].chars().count();
        let rest = text.get(span.start..span.end).unwrap_or_default();
        let width = rest.lines().next().unwrap_or_default().chars().count().max(1);
        Some(format!("{line}\n{}{}", " ".repeat(column), "^".repeat(width)))
    }
}
