//! The text that names a cell: `cube.measure[dimension=member, ...]` or `cube.measure[key=value]`.
//!
//! Names are words, or stand in double quotes; so do members and values, which also may stand in
//! single quotes, and are taken up to the next comma or bracket where they have none. A quote within
//! quotes is doubled.

use crate::error::SqlError;

/// A word of the text and where it begins, counted in characters from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Where it begins.
    pub position: usize,
}

/// A cell as its text names it; nothing of it needs to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellText {
    /// The cube.
    pub cube: Word,
    /// The measure.
    pub measure: Word,
    /// Dimensions, level columns or key columns, with what they are.
    pub pairs: Vec<(Word, Word)>,
}

/// Reads the text of a cell.
///
/// # Errors
/// 42601 with the position of what was not expected.
pub fn parse(text: &str) -> Result<CellText, SqlError> {
    let mut reader = Reader { letters: text.chars().collect(), at: 0 };
    let cube = reader.name("a cube")?;
    reader.expect('.')?;
    let measure = reader.name("a measure")?;
    let mut pairs = Vec::new();
    if reader.accept('[') && !reader.accept(']') {
        loop {
            let name = reader.name("a dimension or a key column")?;
            reader.expect('=')?;
            pairs.push((name, reader.value()?));
            if !reader.accept(',') {
                break;
            }
        }
        reader.expect(']')?;
    }
    reader.end()?;
    Ok(CellText { cube, measure, pairs })
}

struct Reader {
    letters: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&mut self) -> Option<char> {
        while self.letters.get(self.at).is_some_and(|letter| letter.is_whitespace()) {
            self.at += 1;
        }
        self.letters.get(self.at).copied()
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), SqlError> {
        if self.accept(wanted) { Ok(()) } else { Err(self.unexpected(&format!("{wanted:?}"))) }
    }

    fn end(&mut self) -> Result<(), SqlError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn unexpected(&mut self, wanted: &str) -> SqlError {
        let found = match self.peek() {
            Some(letter) => format!("{letter:?}"),
            None => "the end".to_owned(),
        };
        SqlError::new(
            "42601",
            format!("{wanted} was expected in the name of the cell, not {found}"),
        )
        .with_hint("a cell is named as cube.measure[dimension=member, ...]")
        .at(self.at + 1)
    }

    fn name(&mut self, what: &str) -> Result<Word, SqlError> {
        if self.peek() == Some('"') {
            return self.quoted('"');
        }
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let word = self.run(is_word);
        if word.text.is_empty() {
            return Err(self.unexpected(what));
        }
        Ok(Word { text: word.text.to_lowercase(), ..word })
    }

    fn value(&mut self) -> Result<Word, SqlError> {
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            return self.quoted(quote);
        }
        let word = self.run(|letter| letter != ',' && letter != ']');
        let text = word.text.trim_end().to_owned();
        if text.is_empty() {
            return Err(self.unexpected("a value"));
        }
        Ok(Word { text, ..word })
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> Word {
        let start = self.at;
        while self.letters.get(self.at).is_some_and(|&letter| belongs(letter)) {
            self.at += 1;
        }
        Word { text: self.letters[start..self.at].iter().collect(), position: start + 1 }
    }

    fn quoted(&mut self, quote: char) -> Result<Word, SqlError> {
        let position = self.at + 1;
        let mut text = String::new();
        self.at += 1;
        loop {
            match self.letters.get(self.at) {
                None => return Err(self.unexpected(&format!("a closing {quote}"))),
                Some(&letter) if letter != quote => text.push(letter),
                Some(_) if self.letters.get(self.at + 1) == Some(&quote) => {
                    self.at += 1;
                    text.push(quote);
                }
                Some(_) => {
                    self.at += 1;
                    return Ok(Word { text, position });
                }
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(cell) => {
                let pairs = cell.pairs.iter();
                let pairs = pairs.map(|(name, value)| {
                    format!(" {}@{}=<{}>@{}", name.text, name.position, value.text, value.position)
                });
                format!("{}.{}{}", cell.cube.text, cell.measure.text, pairs.collect::<String>())
            }
            Err(error) => format!("{} at {}", error.message, error.position.unwrap_or(0)),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn cells_are_named_as_people_write_them() {
        check("finance.amount", "finance.amount");
        check(" Finance . amount [ ]", "finance.amount");
        check(
            "finance.amount[account=Net Income, date = 2011-Q3 ]",
            "finance.amount account@16=<Net Income>@24 date@36=<2011-Q3>@43",
        );
        check("a.b[c=\"x, \"\"y\"\"]\"]", "a.b c@5=<x, \"y\"]>@7");
        check("a.b[c='it''s', \"D\"=é]", "a.b c@5=<it's>@7 D@16=<é>@20");
    }

    #[test]
    fn what_is_no_cell_is_an_error_that_says_where() {
        let wanted = |what: &str| format!("{what} was expected in the name of the cell, not ");
        check("", &(wanted("a cube") + "the end at 1"));
        check("finance", &(wanted("'.'") + "the end at 8"));
        check("finance.[a=b]", &(wanted("a measure") + "'[' at 9"));
        check("a.b[c]", &(wanted("'='") + "']' at 6"));
        check("a.b[c=]", &(wanted("a value") + "']' at 7"));
        check("a.b[c=d", &(wanted("']'") + "the end at 8"));
        check("a.b[c='d]", &(wanted("a closing '") + "the end at 10"));
        check("a.b[c=d] e", &(wanted("the end") + "'e' at 10"));
    }
}
