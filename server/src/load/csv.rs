//! CSV: UTF-8, RFC 4180, a header first; read in chunks of whole rows.
//!
//! Rows are counted as a spreadsheet shows them: the header is row 1, blank lines count and hold
//! nothing. Finding where rows end is quick and done in order; what is in them is read side by side.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use super::block::{Block, Selected, Span};
use super::file::LoadFile;
use super::separators;
use super::table::TableError;
use crate::limits::{LOAD_CHUNK_BYTES, LOAD_ROW_BYTES_MAX};

const BYTE_ORDER_MARK: &str = "\u{feff}";
/// Bytes of a field with its separator, about.
const FIELD_BYTES: usize = 6;

/// Reads a file from the front to the end.
#[derive(Debug)]
pub(super) struct CsvReader {
    file: LoadFile,
    /// Where the next bytes are read.
    at: u64,
    /// What was read and is not given out yet: the beginning of a row.
    rest: Vec<u8>,
    /// The number of the first row in it.
    row: usize,
}

/// Whole rows, not yet looked at.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    first_row: usize,
}

/// One field: where its text is and what follows.
struct Field {
    start: usize,
    end: usize,
    /// Whether doubled quotes stand for quotes in it.
    has_quotes: bool,
    /// Where the next one begins.
    next: usize,
    /// Whether the row goes on.
    goes_on: bool,
}

/// Why there is no field.
enum Fault {
    NotClosed,
    TextAfterQuote,
}

impl Fault {
    fn in_row(&self, row: usize) -> TableError {
        match self {
            Self::NotClosed => TableError::new(format!(
                "row {row}: a quoted field is not closed; the file may be cut off"
            )),
            Self::TextAfterQuote => {
                TableError::new(format!("row {row}: text follows a closed quote"))
                    .with_hint("a quote within a quoted field is written twice")
            }
        }
    }
}

impl CsvReader {
    /// Reads the header.
    pub fn open(file: LoadFile) -> Result<(Self, Vec<String>), TableError> {
        let mark = file.read_at(0, BYTE_ORDER_MARK.len().min(file.bytes() as usize));
        let has_mark = mark.map_err(TableError::new)? == BYTE_ORDER_MARK.as_bytes();
        let at = if has_mark { BYTE_ORDER_MARK.len() as u64 } else { 0 };
        let mut reader = Self { file, at, rest: Vec::new(), row: 1 };
        let mut chunk = reader.next()?.unwrap_or(Chunk { bytes: Vec::new(), first_row: 1 });
        let (mut at, mut row) = (0, chunk.first_row);
        while let Some(length) = blank_line(&chunk.bytes[at..]) {
            (at, row) = (at + length, row + 1);
        }
        if at == chunk.bytes.len() {
            let message = "the file is empty; the first row names the columns";
            return Err(TableError::new(message));
        }
        let mut names = Vec::new();
        loop {
            let field = field(&chunk.bytes, at).map_err(|fault| fault.in_row(row))?;
            let name = std::str::from_utf8(&chunk.bytes[field.start..field.end]);
            let name = name.map_err(|_| not_utf8(row))?;
            names.push(if field.has_quotes { name.replace("\"\"", "\"") } else { name.into() });
            at = field.next;
            if !field.goes_on {
                break;
            }
        }
        // what follows the header is read again with the rows behind it
        chunk.bytes.drain(..at);
        chunk.bytes.append(&mut reader.rest);
        (reader.rest, reader.row) = (chunk.bytes, row + 1);
        Ok((reader, names))
    }

    /// How many bytes of the file were read, and how many there are.
    pub fn bytes_read(&self) -> (u64, u64) {
        (self.at, self.file.bytes())
    }

    /// The next whole rows; none at the end.
    pub fn next(&mut self) -> Result<Option<Chunk>, TableError> {
        let mut bytes = std::mem::take(&mut self.rest);
        loop {
            let left = self.file.bytes() - self.at;
            // twice as much where no row has ended yet: what is there is looked at again
            let length = left.min(LOAD_CHUNK_BYTES.max(bytes.len()) as u64) as usize;
            bytes.append(&mut self.file.read_at(self.at, length).map_err(TableError::new)?);
            self.at += length as u64;
            let is_last = length as u64 == left;
            let (end, count) = whole_rows(&bytes);
            if is_last || end > 0 {
                let end = if is_last { bytes.len() } else { end };
                let chunk = Chunk { first_row: self.row, bytes };
                return Ok(self.split(chunk, end, count));
            }
            if bytes.len() > LOAD_ROW_BYTES_MAX {
                return Err(TableError::new(format!(
                    "row {}: it has more than {LOAD_ROW_BYTES_MAX} bytes; a quoted field may not be closed",
                    self.row
                )));
            }
        }
    }

    fn split(&mut self, mut chunk: Chunk, end: usize, count: usize) -> Option<Chunk> {
        self.rest = chunk.bytes.split_off(end);
        self.row += count;
        (!chunk.bytes.is_empty()).then_some(chunk)
    }
}

impl Chunk {
    /// Memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The rows.
    pub fn read(self, selected: &Arc<Selected>) -> Result<Block, TableError> {
        let text = String::from_utf8(self.bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            not_utf8(self.first_row + whole_rows(valid).1)
        })?;
        let bytes = text.as_bytes();
        let mut block = Block::of_rows(Arc::clone(selected), Vec::new());
        if memchr(b'"', bytes).is_none() {
            plain_rows(bytes, self.first_row, selected, &mut block);
            return Ok(block.with_text(text));
        }
        let (mut at, mut row) = (0, self.first_row);
        // fields with quotes in them, behind the text of the others
        let mut unquoted = String::new();
        let mut fields = Vec::with_capacity(selected.column_count());
        while at < bytes.len() {
            if let Some(length) = blank_line(&bytes[at..]) {
                (at, row) = (at + length, row + 1);
                continue;
            }
            fields.clear();
            loop {
                let field = field(bytes, at).map_err(|fault| fault.in_row(row))?;
                let (start, length) = if field.has_quotes {
                    let start = text.len() + unquoted.len();
                    let before = unquoted.len();
                    unquoted += &text[field.start..field.end].replace("\"\"", "\"");
                    (start, unquoted.len() - before)
                } else {
                    (field.start, field.end - field.start)
                };
                fields.push(Span { start: start as u32, length: length as u32 });
                at = field.next;
                if !field.goes_on {
                    break;
                }
            }
            block.push(row, &fields);
            row += 1;
        }
        Ok(block.with_text(text + &unquoted))
    }
}

/// Reads rows without quotes: where fields end is found in many bytes at once.
fn plain_rows(bytes: &[u8], first_row: usize, selected: &Selected, block: &mut Block) {
    let mut ends = Vec::with_capacity(bytes.len() / FIELD_BYTES);
    separators::append(bytes, &mut ends);
    if !bytes.ends_with(b"\n") {
        ends.push(bytes.len() as u32);
    }
    let columns: Vec<usize> = selected.positions().collect();
    let ends_row = |end: u32| bytes.get(end as usize).is_none_or(|&byte| byte == b'\n');
    let (mut rest, mut start) = (ends.as_slice(), 0);
    for row in first_row.. {
        let Some(last) = rest.iter().position(|&end| ends_row(end)) else { break };
        let (fields, later) = rest.split_at(last + 1);
        let row_end = fields[last];
        rest = later;
        let row_start = std::mem::replace(&mut start, row_end + 1);
        if blank_line(&bytes[row_start as usize..]).is_some() {
            continue;
        }
        if fields.len() != selected.column_count() {
            block.push_ragged(row, fields.len());
            continue;
        }
        let has_return = bytes[row_start as usize..row_end as usize].ends_with(b"\r");
        block.push_selected(
            row,
            columns.iter().map(|&column| {
                let start = column.checked_sub(1).map_or(row_start, |before| fields[before] + 1);
                let end = fields[column] - u32::from(has_return && column == last);
                Span { start, length: end - start }
            }),
        );
    }
}

fn not_utf8(row: usize) -> TableError {
    TableError::new(format!("the file is not UTF-8: row {row} holds other bytes"))
        .with_hint("save it as UTF-8")
}

/// The length of a blank line at the beginning.
fn blank_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// Where the last whole row ends, and how many rows and blank lines there are up to there.
fn whole_rows(bytes: &[u8]) -> (usize, usize) {
    if memchr(b'"', bytes).is_none() {
        let end = memrchr(b'\n', bytes).map_or(0, |last| last + 1);
        return (end, memchr_iter(b'\n', &bytes[..end]).count());
    }
    let (mut at, mut end, mut count) = (0, 0, 0);
    while at < bytes.len() {
        match blank_line(&bytes[at..]) {
            Some(length) => at += length,
            None => loop {
                match field(bytes, at) {
                    Ok(field) if field.goes_on => at = field.next,
                    Ok(field) => {
                        at = field.next;
                        break;
                    }
                    Err(Fault::NotClosed) => return (end, count),
                    // whoever reads the row says so
                    Err(Fault::TextAfterQuote) => return (bytes.len(), count),
                }
            },
        }
        if bytes[at - 1] != b'\n' {
            break;
        }
        (end, count) = (at, count + 1);
    }
    (end, count)
}

/// The field that begins at a place.
fn field(bytes: &[u8], at: usize) -> Result<Field, Fault> {
    if bytes.get(at) == Some(&b'"') {
        return quoted(bytes, at);
    }
    let ends = |&byte: &u8| byte == b',' || byte == b'\n';
    let mut end = bytes[at..].iter().position(ends).map_or(bytes.len(), |length| at + length);
    let (next, goes_on) = match bytes.get(end) {
        Some(b',') => (end + 1, true),
        Some(_) => (end + 1, false),
        None => (end, false),
    };
    if !goes_on && bytes[at..end].ends_with(b"\r") {
        end -= 1;
    }
    Ok(Field { start: at, end, has_quotes: false, next, goes_on })
}

/// A field in quotes, in which a doubled quote stands for one.
fn quoted(bytes: &[u8], at: usize) -> Result<Field, Fault> {
    let start = at + 1;
    let (mut from, mut has_quotes) = (start, false);
    loop {
        let end = from + memchr(b'"', &bytes[from..]).ok_or(Fault::NotClosed)?;
        let after = end + 1;
        let (next, goes_on) = match &bytes[after..] {
            [b'"', ..] => {
                (from, has_quotes) = (after + 1, true);
                continue;
            }
            [b',', ..] => (after + 1, true),
            [b'\n', ..] => (after + 1, false),
            [b'\r', b'\n', ..] => (after + 2, false),
            // more may follow in the file
            [b'\r'] | [] => (bytes.len(), false),
            _ => return Err(Fault::TextAfterQuote),
        };
        return Ok(Field { start, end, has_quotes, next, goes_on });
    }
}
