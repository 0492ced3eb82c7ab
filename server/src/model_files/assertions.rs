//! Assertions that do not hold, at the place in the files where they are written.

use calc::syntax::Span;

use super::definitions::Definitions;
use super::problem::FileProblem;
use super::source::Step;
use super::{ModelFileError, ModelFiles};
use crate::assertions::AssertionResult;

/// The problems of failed assertions, each where its file says it.
pub fn located(files: &ModelFiles, failed: &[&AssertionResult]) -> ModelFileError {
    let problems = match Definitions::read(files) {
        Ok(definitions) => failed.iter().map(|result| problem(&definitions, result)).collect(),
        // files that were applied can be read
        Err(problems) => problems,
    };
    ModelFileError { problems }
}

fn problem(files: &Definitions<'_>, result: &AssertionResult) -> FileProblem {
    let message = result.message();
    let listed = files.assertions.iter().find(|listed| listed.def.name == result.name);
    let Some(listed) = listed else {
        return FileProblem::of_file(&result.file, message).with_hint(result.hint.clone());
    };
    let (file, item) = (files.source(listed.source), Step::Index(listed.index));
    let problem = match result.position {
        None => file.problem(&[Step::Key("assertion"), item], message),
        Some(position) => {
            let steps = [Step::Key("assertion"), item, Step::Key("sql")];
            file.problem_inside(&steps, word_at(&listed.def.sql, position), message)
        }
    };
    problem.with_hint(result.hint.clone())
}

/// The word of a text at a position counted in characters from 1.
fn word_at(text: &str, position: usize) -> Span {
    let start = text.char_indices().nth(position.saturating_sub(1)).map_or(0, |(at, _)| at);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let length = text[start..].find(|c| !is_word(c)).unwrap_or(text.len() - start);
    Span { start, end: start + length }
}
