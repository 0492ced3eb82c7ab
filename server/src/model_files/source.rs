//! One model file as a tree in which every value knows where it stands.
//!
//! Definitions are read from the tree, and problems found later are mapped back to the text.

use std::ops::Range;

use calc::syntax::Span;
use cube::CubeError;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::problem::FileProblem;

/// A model file's text and tree.
pub(super) struct Source<'a> {
    pub path: &'a str,
    text: &'a str,
    tree: Spanned<DeTable<'a>>,
}

/// One step of the way from the root of a tree to a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Source<'a> {
    /// Reads a file's tree.
    pub fn parse(path: &'a str, text: &'a str) -> Result<Self, FileProblem> {
        let mut tree = DeTable::parse(text).map_err(|error| toml_problem(path, text, &error))?;
        dates_as_text(tree.get_mut());
        Ok(Self { path, text, tree })
    }

    /// Reads the definition that the file holds.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, FileProblem> {
        T::deserialize(Deserializer::from(self.tree.clone()))
            .map_err(|error| toml_problem(self.path, self.text, &error))
    }

    /// A problem at a value, or at the nearest thing above it that is in the file.
    pub fn problem(&self, steps: &[Step<'_>], message: impl Into<String>) -> FileProblem {
        FileProblem::at(self.path, self.text, self.span(steps), message)
    }

    /// A problem that the cube found in the item at `steps`, at what its message names.
    pub fn cube_problem(&self, steps: &[Step<'_>], error: &CubeError) -> FileProblem {
        let span = self.named_in(steps, error).unwrap_or_else(|| self.span(steps));
        FileProblem::at(self.path, self.text, span, error.to_string()).with_hint(error.hint())
    }

    /// A problem at a range of the text that the string at `steps` stands for.
    pub fn problem_inside(
        &self,
        steps: &[Step<'_>],
        span: Span,
        message: impl Into<String>,
    ) -> FileProblem {
        let range = self.span(steps);
        let raw = &self.text[range.clone()];
        let decoded = self.value(steps).and_then(|value| value.get_ref().as_str());
        let span = match decoded {
            Some(decoded) => {
                let start = range.start + source_offset(raw, decoded, span.start);
                let end = range.start + source_offset(raw, decoded, span.end);
                start..end
            }
            None => range,
        };
        FileProblem::at(self.path, self.text, span, message)
    }

    /// Whether the file says something at a place.
    pub fn holds(&self, steps: &[Step<'_>]) -> bool {
        self.value(steps).is_some()
    }

    fn value(&self, steps: &[Step<'_>]) -> Option<&Spanned<DeValue<'a>>> {
        let (Step::Key(first), rest) = steps.split_first()? else { return None };
        let mut value = self.tree.get_ref().get(*first)?;
        for step in rest {
            value = match step {
                Step::Key(key) => value.get_ref().get(*key)?,
                Step::Index(index) => value.get_ref().get(*index)?,
            };
        }
        Some(value)
    }

    /// Where a value stands; a table stands where its `name` or `target` does.
    fn span(&self, steps: &[Step<'_>]) -> Range<usize> {
        for length in (1..=steps.len()).rev() {
            let Some(value) = self.value(&steps[..length]) else { continue };
            if value.get_ref().is_table() {
                for title in ["name", "target"] {
                    if let Some(title) = value.get_ref().get(title) {
                        return title.span();
                    }
                }
            }
            return value.span();
        }
        self.tree.get_ref().get("name").map_or(0..0, Spanned::span)
    }

    /// Where the item at `steps` (or the file) says what an error's message names.
    fn named_in(&self, steps: &[Step<'_>], error: &CubeError) -> Option<Range<usize>> {
        let mut strings = Vec::new();
        match self.value(steps) {
            Some(value) => collect_strings(value, &mut strings),
            None => table_strings(self.tree.get_ref(), &mut strings),
        }
        let equal = |wanted: &str| {
            strings.iter().rfind(|(text, _)| text == wanted).map(|(_, span)| span.clone())
        };
        let own = self.value(&[Step::Key("name")]).and_then(|name| name.get_ref().as_str());
        match error {
            CubeError::Unknown { name, .. } => equal(name).or_else(|| {
                let holds = |text: &str| text.split('.').any(|part| part == name);
                strings.iter().find(|(text, _)| holds(text)).map(|(_, span)| span.clone())
            }),
            CubeError::Exists { name, .. } if own != Some(name) => equal(name),
            CubeError::Definition(message) => {
                // messages begin with the definition's own name and end with what is wrong in it
                let mut quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
                if own.is_some() && quoted.first().copied() == own {
                    quoted.remove(0);
                }
                quoted.reverse();
                quoted.into_iter().find_map(equal)
            }
            _ => None,
        }
    }
}

/// TOML knows dates; definitions hold them as text.
fn dates_as_text(table: &mut DeTable<'_>) {
    for (_, value) in table.iter_mut() {
        let text = match value.get_mut() {
            DeValue::Table(table) => {
                dates_as_text(table);
                continue;
            }
            DeValue::Datetime(date) => date.to_string(),
            _ => continue,
        };
        *value.get_mut() = DeValue::String(DeString::from(text));
    }
}

fn collect_strings(value: &Spanned<DeValue<'_>>, strings: &mut Vec<(String, Range<usize>)>) {
    match value.get_ref() {
        DeValue::String(text) => strings.push((text.to_string(), value.span())),
        DeValue::Array(values) => {
            values.iter().for_each(|value| collect_strings(value, strings));
        }
        DeValue::Table(table) => table_strings(table, strings),
        _ => {}
    }
}

fn table_strings(table: &DeTable<'_>, strings: &mut Vec<(String, Range<usize>)>) {
    for (key, value) in table.iter() {
        strings.push((key.get_ref().to_string(), key.span()));
        collect_strings(value, strings);
    }
}

/// A problem that the TOML reader found.
pub(crate) fn toml_problem(path: &str, text: &str, error: &toml::de::Error) -> FileProblem {
    let message = error.message().trim_end().to_string();
    match error.span() {
        Some(span) => FileProblem::at(path, text, span, message),
        None => FileProblem::of_file(path, message),
    }
}

/// Where a byte of a decoded string stands in the literal that was decoded, quotes included.
fn source_offset(raw: &str, decoded: &str, target: usize) -> usize {
    let is_basic = raw.starts_with('"');
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
    let mut at = quotes;
    if quotes == 3 {
        // a line break right after the opening quotes is not part of the text
        at += ["\r\n", "\n"].iter().find(|end| raw[at..].starts_with(**end)).map_or(0, |e| e.len());
    }
    let mut characters = decoded.char_indices().peekable();
    loop {
        if is_basic && let Some(skipped) = line_continuation(&raw[at..]) {
            at += skipped;
            continue;
        }
        let Some((position, character)) = characters.next() else { return at };
        if position >= target {
            return at;
        }
        at += match raw[at..].chars().next() {
            Some('\\') if is_basic => escape_length(&raw[at..]),
            Some('\r') if character == '\n' => "\r\n".len(),
            Some(other) => other.len_utf8(),
            None => return at,
        };
    }
}

/// Length of a backslash at the end of a line with the white space it swallows.
fn line_continuation(raw: &str) -> Option<usize> {
    let rest = raw.strip_prefix('\\')?;
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[spaces..].starts_with(['\n', '\r']).then(|| raw.len() - rest.trim_start().len())
}

fn escape_length(raw: &str) -> usize {
    match raw.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::source_offset;

    fn check(raw: &str, decoded: &str, wanted: &str) {
        let table: toml::Table = format!("text = {raw}").parse().expect(raw);
        assert_eq!(table["text"].as_str(), Some(decoded));
        let target = decoded.find(wanted).expect(wanted);
        let found = source_offset(raw, decoded, target);
        assert!(raw[found..].starts_with(wanted), "{raw}: at {found} {:?}", &raw[found..]);
    }

    #[test]
    fn offsets_of_decoded_text_are_found_in_every_kind_of_literal() {
        check(r#""a + b""#, "a + b", "b");
        check(r"'a + b'", "a + b", "b");
        check("\"\"\"\na +\nb\"\"\"", "a +\nb", "b");
        check("'''\r\na +\r\nb'''", "a +\r\nb", "b");
        check("\"\"\"a + \\\n    b\"\"\"", "a + b", "b");
        check(r#""\u00e9\t\"q\" + b""#, "é\t\"q\" + b", "b");
        check("\"é + b\"", "é + b", "b");
    }
}
