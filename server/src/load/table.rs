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
use crate::limits::{LOAD_BLOCKS_A_THREAD, LOAD_COLUMNS_MAX};

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

    /// Reads all rows: `work` on blocks side by side, `take` of what comes of them in order.
    pub fn read<T: Send>(
        &mut self,
        progress: &dyn Progress,
        work: impl Fn(&Block) -> T + Sync,
        mut take: impl FnMut(Block, T) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let selected = Arc::clone(&self.selected);
        let read = |unread: Result<Unread, TableError>| -> Result<(Block, T), TableError> {
            let block = unread?.read(&selected)?;
            let worked = work(&block);
            Ok((block, worked))
        };
        progress.begins(Stage::Reading);
        let (mut window, mut row_count) = (self.window(), 0);
        while !window.is_empty() {
            let (done, all) = self.done();
            let work = || window.into_par_iter().map(&read).collect::<Vec<_>>();
            let (next, worked) = rayon::join(|| self.window(), work);
            for block in worked {
                let (block, worked) = block?;
                row_count += block.row_count();
                take(block, worked)?;
            }
            progress.is_at(done, all);
            progress.has_rows(row_count);
            window = next;
        }
        Ok(())
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
        let count = rayon::current_num_threads() * LOAD_BLOCKS_A_THREAD;
        let mut window = Vec::with_capacity(count);
        while window.len() < count {
            let Some(next) = self.next().transpose() else { break };
            let is_error = next.is_err();
            window.push(next);
            if is_error {
                break;
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
