//! CSV text as rows of fields: UTF-8, RFC 4180, a header first.
//!
//! Rows are counted as a spreadsheet shows them: the header is row 1, blank lines count and hold
//! nothing. A field is borrowed from the text wherever it stands there as it is.

use std::borrow::Cow;

use crate::limits::LOAD_COLUMNS_MAX;

/// A text that is not a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableError {
    pub message: String,
    pub hint: Option<String>,
}

/// One row's fields.
pub(super) type Fields<'a> = Vec<Cow<'a, str>>;

/// Reads a text row by row.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// Names of the columns.
    pub header: Vec<String>,
    text: &'a str,
    at: usize,
    row: usize,
}

fn error(message: String) -> TableError {
    TableError { message, hint: None }
}

impl<'a> Table<'a> {
    /// Reads the header.
    pub fn open(text: &'a str) -> Result<Self, TableError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut table = Self { header: Vec::new(), text, at: 0, row: 0 };
        let mut fields = Vec::new();
        if table.read(&mut fields)?.is_none() {
            return Err(error("the file is empty; the first row names the columns".into()));
        }
        if fields.len() > LOAD_COLUMNS_MAX {
            return Err(error(format!("the file has more than {LOAD_COLUMNS_MAX} columns")));
        }
        table.header = fields.into_iter().map(Cow::into_owned).collect();
        Ok(table)
    }

    /// What may be wrong where a column is not found: another separator than a comma.
    pub fn separator_hint(&self) -> Option<String> {
        let [only] = self.header.as_slice() else { return None };
        let separator = [';', '\t', '|'].into_iter().find(|&separator| only.contains(separator))?;
        Some(format!("the columns seem to be separated by {separator:?}; a comma is expected"))
    }

    /// Reads the next row that is not blank into `fields`; its number, or none at the end.
    pub fn read(&mut self, fields: &mut Fields<'a>) -> Result<Option<usize>, TableError> {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            self.row += 1;
            let rest = &bytes[self.at..];
            let blank = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest[0] == b'\n') };
            if blank > 0 {
                self.at += blank;
                continue;
            }
            fields.clear();
            while self.field(fields)? {}
            return Ok(Some(self.row));
        }
        Ok(None)
    }

    /// Reads one field; whether another one follows in the row.
    fn field(&mut self, fields: &mut Fields<'a>) -> Result<bool, TableError> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'"') {
            let field = self.quoted()?;
            fields.push(field);
        } else {
            let start = self.at;
            let mut end = start;
            while end < bytes.len() {
                let byte = bytes[end];
                if byte == b',' || byte == b'\n' {
                    break;
                }
                end += 1;
            }
            self.at = end;
            let ends_line = end == bytes.len() || bytes[end] == b'\n';
            let has_return = ends_line && end > start && bytes[end - 1] == b'\r';
            fields.push(Cow::Borrowed(&self.text[start..end - usize::from(has_return)]));
        }
        Ok(self.separator())
    }

    /// Steps over what ends a field; whether it was a comma.
    fn separator(&mut self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let (length, is_comma) = match rest {
            [b',', ..] => (1, true),
            [b'\r', b'\n', ..] => (2, false),
            [b'\n', ..] => (1, false),
            _ => (0, false),
        };
        self.at += length;
        is_comma
    }

    /// Reads a field in quotes, in which a doubled quote stands for one.
    fn quoted(&mut self) -> Result<Cow<'a, str>, TableError> {
        let mut start = self.at + 1;
        let mut field = Cow::Borrowed("");
        loop {
            let Some(length) = self.text[start..].find('"') else {
                return Err(error(format!(
                    "row {}: a quoted field is not closed; the file may be cut off",
                    self.row
                )));
            };
            field += &self.text[start..start + length];
            let after = start + length + 1;
            if self.text[after..].starts_with('"') {
                field += "\"";
                start = after + 1;
                continue;
            }
            self.at = after;
            let rest = &self.text[after..];
            if rest.is_empty() || rest.starts_with([',', '\n']) || rest.starts_with("\r\n") {
                return Ok(field);
            }
            return Err(TableError {
                message: format!("row {}: text follows a closed quote", self.row),
                hint: Some("a quote within a quoted field is written twice".into()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    fn check(text: &str, expected: &str) {
        let mut shown = Vec::new();
        let result = Table::open(text).and_then(|mut table| {
            shown.push(format!("{:?}", table.header));
            let mut fields = Vec::new();
            while let Some(row) = table.read(&mut fields)? {
                shown.push(format!("{row} {fields:?}"));
            }
            Ok(())
        });
        if let Err(error) = result {
            shown.push(error.message);
        }
        assert_eq!(shown.join("\n"), expected, "{text:?}");
    }

    #[test]
    fn rows_are_read_as_rfc_4180_says() {
        check("a,b\n1,2\n", "[\"a\", \"b\"]\n2 [\"1\", \"2\"]");
        check("a,b\r\n1,\r\n,2", "[\"a\", \"b\"]\n2 [\"1\", \"\"]\n3 [\"\", \"2\"]");
        check("\u{feff}a\n\"x, \"\"y\"\"\nz\"\n", "[\"a\"]\n2 [\"x, \\\"y\\\"\\nz\"]");
        check("a,b\n\n1,2\n\n", "[\"a\", \"b\"]\n3 [\"1\", \"2\"]");
        check("a,b\n\"\",\"\"\n", "[\"a\", \"b\"]\n2 [\"\", \"\"]");
        check("a,b\n5\" pipe,2", "[\"a\", \"b\"]\n2 [\"5\\\" pipe\", \"2\"]");
        check("\"a\",\"b\"\r\n\"1\",\"2\"\r\n", "[\"a\", \"b\"]\n2 [\"1\", \"2\"]");
    }

    #[test]
    fn a_text_that_is_no_table_is_an_error() {
        check("", "the file is empty; the first row names the columns");
        check("\n\n", "the file is empty; the first row names the columns");
        check(
            "a,b\n1,\"2\n3,4\n",
            "[\"a\", \"b\"]\nrow 2: a quoted field is not closed; the file may be cut off",
        );
        check("a\n\"x\"y\n", "[\"a\"]\nrow 2: text follows a closed quote");
    }
}
