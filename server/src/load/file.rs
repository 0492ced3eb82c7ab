//! A file that is loaded: opened once, read where it is needed, never whole.
//!
//! What is recorded of it, its SHA-256, must be that of what was read. So a file that changes
//! meanwhile is refused; an upload has no name by which anybody could change it.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};
use storage::Hash;

use crate::limits::LOAD_FILE_BYTES_MAX;

/// A file with the name its user knows it by. Copies are the same open file.
#[derive(Debug, Clone)]
pub struct LoadFile {
    /// The file's name.
    pub name: String,
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    file: File,
    bytes: u64,
    modified: Option<SystemTime>,
    digest: OnceLock<Hash>,
}

impl LoadFile {
    /// Opens a file.
    ///
    /// # Errors
    /// Files that cannot be opened or are too large, in words.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let mut file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            file = copied(file).map_err(unreadable)?;
        }
        Self::received(name.to_string_lossy().into_owned(), file)
    }

    /// Takes a file that was received and is complete.
    ///
    /// # Errors
    /// Files that cannot be read or are too large, in words.
    pub fn received(name: String, file: File) -> Result<Self, String> {
        let metadata = file.metadata().map_err(unreadable)?;
        Self::new(name, file, &metadata)
    }

    /// A file for tests.
    #[cfg(test)]
    pub(crate) fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, bytes).expect("it takes bytes");
        Self::received(name.into(), file).expect("a file")
    }

    fn new(name: String, file: File, metadata: &Metadata) -> Result<Self, String> {
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        if bytes > LOAD_FILE_BYTES_MAX {
            return Err(format!("the file has more than {LOAD_FILE_BYTES_MAX} bytes"));
        }
        let opened = Opened { file, bytes, modified, digest: OnceLock::new() };
        Ok(Self { name, opened: Arc::new(opened) })
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.opened.bytes
    }

    /// The bytes at a place, as many as asked for.
    pub(super) fn read_at(&self, at: u64, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; length];
        self.opened.file.read_exact_at(&mut bytes, at).map_err(unreadable)?;
        Ok(bytes)
    }

    /// Reads it from the front.
    pub fn reader(&self) -> Reader {
        Reader { file: self.clone(), at: 0 }
    }

    /// SHA-256 of what is in it, if that is still what was opened.
    pub(super) fn digest(&self) -> Result<Hash, String> {
        let digest = match self.opened.digest.get() {
            Some(digest) => *digest,
            None => {
                let digest = Hash::of_reader(self.reader());
                *self.opened.digest.get_or_init(|| digest.unwrap_or(Hash::ZERO))
            }
        };
        let metadata = self.opened.file.metadata().map_err(unreadable)?;
        let is_same =
            (metadata.len(), metadata.modified().ok()) == (self.opened.bytes, self.opened.modified);
        if !is_same || digest == Hash::ZERO {
            return Err("the file changed while it was read; load it again".into());
        }
        Ok(digest)
    }
}

/// What comes out of a pipe, as a file that can be read at any place.
fn copied(pipe: File) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    std::io::copy(&mut pipe.take(LOAD_FILE_BYTES_MAX + 1), &mut file)?;
    Ok(file)
}

fn unreadable(error: std::io::Error) -> String {
    format!("the file cannot be read: {error}")
}

/// Reads a file from a place on, whatever others read.
#[derive(Debug)]
pub struct Reader {
    file: LoadFile,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.opened.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for LoadFile {
    fn len(&self) -> u64 {
        self.opened.bytes
    }
}

impl ChunkReader for LoadFile {
    type T = std::io::BufReader<Reader>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(std::io::BufReader::new(Reader { file: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let is_within = start.checked_add(length as u64).is_some_and(|end| end <= self.bytes());
        if !is_within {
            return Err(parquet::errors::ParquetError::EOF(format!(
                "bytes {start} and {length} more are not in a file of {} bytes",
                self.bytes()
            )));
        }
        let bytes = self.read_at(start, length).map_err(parquet::errors::ParquetError::General)?;
        Ok(Bytes::from(bytes))
    }
}
