//! A file as a table: a header, then blocks of rows, whether it is CSV or Parquet.
//!
//! Blocks are read and worked on side by side, a few at a time, and what comes of them is taken in
//! the file's order: memory holds some blocks and not the file.

use std::sync::Arc;

use rayon::prelude::*;

use super::block::{Block, Selected};
use super::csv::{Chunk, CsvReader};
use super::file::LoadFile;
use super::parquet::{ParquetReader, Rows};
use super::progress::{Progress, Stage};
use crate::limits::{LOAD_BYTES_A_THREAD, LOAD_COLUMNS_MAX};

/// Rows are not all of one length: so many-th more of them may come than the first ones promise.
const EXPECTED_SLACK: u128 = 32;

/// A file that is not a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableError {
    pub message: String,
    pub hint: Option<String>,
}

impl TableError {
    /// An error in words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The error with what to do about it.
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What a column holds, as far as it decides what may be read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts, or what has one exact text.
    Exact,
    /// Floats, of which the texts are only near what they stand for. With the type's name.
    Float(String),
    /// What is no value of a row. With the type's name.
    NoValue(String),
}

/// The columns of a file.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub names: Vec<String>,
    pub kinds: Vec<Kind>,
}

impl Header {
    /// What may be wrong where a column is not found: another separator than a comma.
    pub fn separator_hint(&self) -> Option<String> {
        let [only] = self.names.as_slice() else { return None };
        let separator = [';', '\t', '|'].into_iter().find(|&separator| only.contains(separator))?;
        Some(format!("the columns seem to be separated by {separator:?}; a comma is expected"))
    }
}

/// Reads a file block by block.
#[derive(Debug)]
pub(super) struct Table {
    pub header: Header,
    selected: Arc<Selected>,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Csv(CsvReader),
    Parquet(ParquetReader),
}

/// Rows as they stand in the file.
enum Unread {
    Csv(Chunk),
    Parquet(Rows),
}

impl Unread {
    /// Memory, in bytes.
    fn size_bytes(&self) -> usize {
        match self {
            Self::Csv(chunk) => chunk.size_bytes(),
            Self::Parquet(rows) => rows.size_bytes(),
        }
    }

    fn read(self, selected: &Arc<Selected>) -> Result<Block, TableError> {
        match self {
            Self::Csv(chunk) => chunk.read(selected),
            Self::Parquet(rows) => rows.read(selected),
        }
    }
}

impl Table {
    /// Reads the header.
    pub fn open(file: &LoadFile) -> Result<Self, TableError> {
        let (reader, header) = if ParquetReader::reads(file)? {
            let (reader, header) = ParquetReader::open(file.clone())?;
            (Reader::Parquet(reader), header)
        } else {
            let (reader, names) = CsvReader::open(file.clone())?;
            let kinds = vec![Kind::Exact; names.len()];
            (Reader::Csv(reader), Header { names, kinds })
        };
        if header.names.len() > LOAD_COLUMNS_MAX {
            let message = format!("the file has more than {LOAD_COLUMNS_MAX} columns");
            return Err(TableError::new(message));
        }
        let selected = Arc::new(Selected::new(header.names.len(), []));
        Ok(Self { header, selected, reader })
    }

    /// Says which columns are read; until then none is.
    pub fn select(&mut self, used: impl IntoIterator<Item = usize>) -> Result<(), TableError> {
        self.selected = Arc::new(Selected::new(self.header.names.len(), used));
        match &mut self.reader {
            Reader::Csv(_) => Ok(()),
            Reader::Parquet(reader) => reader.select(&self.selected),
        }
    }

    /// Reads all rows: `work` on blocks side by side, `take` of what comes of them in order, with the
    /// number of rows that the file seems to have.
    pub fn read<T: Send>(
        &mut self,
        progress: &dyn Progress,
        work: impl Fn(&Block) -> T + Sync,
        mut take: impl FnMut(Block, T, usize) -> Result<(), TableError> + Send,
    ) -> Result<(), TableError> {
        let selected = Arc::clone(&self.selected);
        let read = |unread: Result<Unread, TableError>| -> Result<(Block, T), TableError> {
            let block = unread?.read(&selected)?;
            let worked = work(&block);
            Ok((block, worked))
        };
        progress.begins(Stage::Reading);
        let mut take = |worked: Vec<Result<(Block, T), TableError>>, expected| {
            worked.into_iter().try_for_each(|worked| {
                let (block, worked) = worked?;
                take(block, worked, expected)
            })
        };
        let (mut window, mut row_count, mut last) = (self.window(), 0, (Vec::new(), 0));
        while !window.is_empty() {
            let (done, all) = self.done();
            let work = || window.into_par_iter().map(&read).collect::<Vec<_>>();
            // while these are worked on, those before are taken and the next ones read
            let ((taken, next), worked) =
                rayon::join(|| (take(last.0, last.1), self.window()), work);
            taken?;
            let in_window = worked.iter().flatten().map(|(block, _)| block.row_count());
            row_count += in_window.sum::<usize>();
            let expected = row_count as u128 * u128::from(all) / u128::from(done.max(1));
            last = (worked, (expected + expected / EXPECTED_SLACK) as usize);
            progress.is_at(done, all);
            progress.has_rows(row_count);
            window = next;
        }
        take(last.0, last.1)
    }

    /// How much was read, and how much there is.
    fn done(&self) -> (u64, u64) {
        match &self.reader {
            Reader::Csv(reader) => reader.bytes_read(),
            Reader::Parquet(reader) => reader.rows_read(),
        }
    }

    /// The next blocks, or where they end in an error.
    fn window(&mut self) -> Vec<Result<Unread, TableError>> {
        let threads = rayon::current_num_threads();
        let (mut window, mut bytes) = (Vec::new(), 0);
        // each thread has something to do
        while window.len() < threads || bytes < threads * LOAD_BYTES_A_THREAD {
            let Some(next) = self.next().transpose() else { break };
            let size_bytes = next.as_ref().ok().map(Unread::size_bytes);
            window.push(next);
            match size_bytes {
                Some(more) => bytes += more,
                None => break,
            }
        }
        window
    }

    fn next(&mut self) -> Result<Option<Unread>, TableError> {
        match &mut self.reader {
            Reader::Csv(reader) => Ok(reader.next()?.map(Unread::Csv)),
            Reader::Parquet(reader) => Ok(reader.next()?.map(Unread::Parquet)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::LoadFile;
    use super::super::progress::Unwatched;
    use super::{Table, TableError};

    /// Rows as they are shown: number and fields, or how many fields there are where that is wrong.
    fn rows(bytes: &[u8]) -> Result<Vec<String>, TableError> {
        let mut table = Table::open(&LoadFile::of_bytes("file.csv", bytes))?;
        let count = table.header.names.len();
        table.select(0..count)?;
        let mut shown = vec![format!("{:?}", table.header.names)];
        let reading = table.read(
            &Unwatched,
            |block| {
                let fields = |row| (0..count).map(move |column| block.field(row, column));
                let rows = (0..block.row_count()).map(|row| {
                    format!("{} {:?}", block.number(row), fields(row).collect::<Vec<_>>())
                });
                rows.collect::<Vec<String>>()
            },
            |block, rows, _| {
                shown.extend(rows);
                shown
                    .extend(block.ragged.iter().map(|(row, fields)| format!("{row} has {fields}")));
                Ok(())
            },
        );
        if let Err(error) = reading {
            shown.push(error.message);
        }
        Ok(shown)
    }

    fn check(text: &str, expected: &str) {
        let shown = rows(text.as_bytes()).unwrap_or_else(|error| vec![error.message]);
        assert_eq!(shown.join("\n"), expected, "{text:?}");
    }

    #[test]
    fn rows_are_read_as_rfc_4180_says() {
        check("a,b\n1,2\n", "[\"a\", \"b\"]\n2 [\"1\", \"2\"]");
        check("a,b\r\n1,\r\n,2", "[\"a\", \"b\"]\n2 [\"1\", \"\"]\n3 [\"\", \"2\"]");
        check("\u{feff}a\n\"x, \"\"y\"\"\nz\"\n", "[\"a\"]\n2 [\"x, \\\"y\\\"\\nz\"]");
        check("\u{feff}\"a\n\"\"b\"\"\"\n1\n", "[\"a\\n\\\"b\\\"\"]\n2 [\"1\"]");
        check("a,b\n\n1,2\n\n", "[\"a\", \"b\"]\n3 [\"1\", \"2\"]");
        check("a,b\n\"\",\"\"\n", "[\"a\", \"b\"]\n2 [\"\", \"\"]");
        check("a,b\n5\" pipe,2", "[\"a\", \"b\"]\n2 [\"5\\\" pipe\", \"2\"]");
        check("\"a\",\"b\"\r\n\"1\",\"2\"\r\n", "[\"a\", \"b\"]\n2 [\"1\", \"2\"]");
        check("a,b\n1,2,3\n1\n1,2\n", "[\"a\", \"b\"]\n4 [\"1\", \"2\"]\n2 has 3\n3 has 1");
        check("a,b", "[\"a\", \"b\"]");
    }

    #[test]
    fn a_text_that_is_no_table_is_an_error() {
        check("", "the file is empty; the first row names the columns");
        check("\n\n", "the file is empty; the first row names the columns");
        check("\u{feff}", "the file is empty; the first row names the columns");
        check(
            "a,b\n1,\"2\n3,4\n",
            "[\"a\", \"b\"]\nrow 2: a quoted field is not closed; the file may be cut off",
        );
        check("\"a,b\n1", "row 1: a quoted field is not closed; the file may be cut off");
        check("a\n\"x\"y\n", "[\"a\"]\nrow 2: text follows a closed quote");
        let found = rows(b"a\n\n1\n\xff\n2\n").expect("a header");
        assert_eq!(
            found.last().expect("an error"),
            "the file is not UTF-8: row 4 holds other bytes"
        );
    }

    /// Rows lie across chunks in every way, quotes and ends of lines too.
    #[test]
    fn chunks_end_where_rows_do() {
        for (quoted, length) in [(true, 911), (false, 911), (true, 70_001), (true, 1_500_000)] {
            let mut text = String::from("id,text\r\n");
            let mut expected = Vec::new();
            for (row, id) in (2..).zip(0..4_000_000 / length) {
                let (field, shown) = match quoted {
                    true => ("\"\r\n,\"\"", "\r\n,\""),
                    false => ("", ""),
                };
                let filling = "x".repeat(length + id % 13);
                let end = if quoted { "\"" } else { "" };
                text += &format!("{id},{field}{filling}{end}\r\n");
                expected
                    .push(format!("{row} {:?}", [&id.to_string(), &format!("{shown}{filling}")]));
            }
            let found = rows(text.as_bytes()).expect("a table");
            assert!(found[1..] == expected, "{quoted} {length}");
        }
    }
}
