//! What is wrong with a text file a person wrote, and where; shown the way compilers do.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What is wrong with a file, and where. Line and column count from 1; 0 means the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProblem {
    /// The file, as the user knows it.
    pub file: String,
    /// The line, from 1; 0 where the problem is no line's.
    pub line: usize,
    /// The column in characters, from 1; 0 where the problem is no line's.
    pub column: usize,
    /// The line's text.
    pub snippet: String,
    /// How many characters of the line are marked.
    pub width: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl FileProblem {
    /// A problem of a whole file.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            snippet: String::new(),
            width: 0,
            message: message.into(),
            hint: None,
        }
    }

    /// A problem at a range of bytes of a file's text.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let marked = text[start..end].lines().next().unwrap_or_default();
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            snippet: line.to_string(),
            width: marked.chars().count().max(1),
            ..Self::of_file(file, message)
        }
    }

    /// The problem with what to do about it.
    pub fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(if self.line == 0 { 1 } else { number.len() });
        if self.line == 0 {
            write!(f, "\n{margin}--> {}", self.file)?;
        } else {
            // tabs stay tabs, so that the marks stand where the text does
            let before = self.snippet.chars().take(self.column - 1);
            let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            let marks = "^".repeat(self.width);
            write!(f, "\n{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
            write!(f, "\n{margin} |\n{number} | {}", self.snippet)?;
            write!(f, "\n{margin} | {indent}{marks}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{margin} = help: {hint}")?;
        }
        Ok(())
    }
}
