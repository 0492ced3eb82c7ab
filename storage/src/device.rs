//! The one door to files: a flat folder of named files, real ([`file::FileDevice`]) or simulated
//! ([`memory::MemoryDevice`]).
//!
//! A device promises little, as disks do. A write is durable only after [`DeviceFile::sync`]
//! returned, in any order before that; a name that was created, renamed or removed is durable only
//! after [`Device::sync_folder`] returned. What is built from these steps ([`Device::create`],
//! [`Device::replace`]) is the same code for both devices, so the simulation tests the real thing.
//!
//! Invariant: no other module of this crate opens a file.

pub mod file;
pub mod memory;

use crate::error::Result;
use crate::limits::ZERO_FILL_BYTES;
use std::fmt::Debug;
use std::ops::Range;

/// The piece of a file that reaches the disk whole or not at all.
pub const SECTOR_BYTES: u64 = 512;

/// What a file has in its name while it is not complete.
pub(crate) const UNFINISHED_SUFFIX: &str = ".new";

/// A folder of files. Names are plain: no separators, not empty, not `.` or `..`.
pub trait Device: Debug + Send + Sync {
    /// The names of all files, sorted.
    fn list(&self) -> Result<Vec<String>>;

    /// Opens a file that is there, for reading and writing.
    fn open(&self, name: &str) -> Result<Box<dyn DeviceFile>>;

    /// Makes an empty file, or empties the one that is there. Volatile until file and folder are
    /// synced.
    fn create_empty(&self, name: &str) -> Result<Box<dyn DeviceFile>>;

    /// Gives a file another name, in place of any file that has it. Volatile until the folder is
    /// synced.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file. Volatile until the folder is synced.
    fn remove(&self, name: &str) -> Result<()>;

    /// Makes every creation, renaming and removal so far durable.
    fn sync_folder(&self) -> Result<()>;

    /// Whether there is a file of this name.
    fn contains(&self, name: &str) -> Result<bool> {
        Ok(self.list()?.iter().any(|found| found == name))
    }

    /// Makes a file that begins with `head` and goes on with zeros up to `length_bytes`. The zeros
    /// are really written, so that a later write allocates nothing. When this returns, file and
    /// name are durable; after a crash the file is there completely or not at all.
    fn create(&self, name: &str, head: &[u8], length_bytes: u64) -> Result<Box<dyn DeviceFile>> {
        let unfinished = format!("{name}{UNFINISHED_SUFFIX}");
        if let Err(error) = fill(self, &unfinished, head, length_bytes) {
            // The space is given back if possible; what stays is overwritten by the next attempt.
            let _ = self.remove(&unfinished);
            return Err(error);
        }
        self.rename(&unfinished, name)?;
        self.sync_folder()?;
        self.open(name)
    }

    /// Puts `contents` in place of the whole file, or makes the file. Durable when this returns;
    /// after a crash there is the old contents or the new one, never a mixture.
    fn replace(&self, name: &str, contents: &[u8]) -> Result<()> {
        self.create(name, contents, contents.len() as u64).map(drop)
    }

    /// The whole contents of a file.
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.open(name)?;
        let mut contents = vec![0; file.length_bytes()? as usize];
        file.read_at(0, &mut contents)?;
        Ok(contents)
    }
}

/// An open file. All methods take `&self`: positions are given, none is kept.
pub trait DeviceFile: Send + Sync {
    /// Its length now.
    fn length_bytes(&self) -> Result<u64>;

    /// Fills the buffer from this offset; an error if the file ends before.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()>;

    /// Writes all bytes at this offset, extending the file if needed. Volatile until synced; after
    /// an error, any part may have been written.
    fn write_at(&self, offset_bytes: u64, bytes: &[u8]) -> Result<()>;

    /// Makes every write so far durable. After an error nothing is known about any of them.
    fn sync(&self) -> Result<()>;
}

/// Writes and syncs a file of `head` and zeros, under a name that nobody relies on yet.
fn fill(device: &(impl Device + ?Sized), name: &str, head: &[u8], length_bytes: u64) -> Result<()> {
    assert!(head.len() as u64 <= length_bytes, "the head of {name} is longer than the file");
    let file = device.create_empty(name)?;
    file.write_at(0, head)?;
    write_zeros(&*file, head.len() as u64, length_bytes)?;
    file.sync()
}

/// Writes zeros from `start_bytes` up to, not including, `end_bytes`.
pub(crate) fn write_zeros(file: &dyn DeviceFile, start_bytes: u64, end_bytes: u64) -> Result<()> {
    let zeros = vec![0; end_bytes.saturating_sub(start_bytes).min(ZERO_FILL_BYTES) as usize];
    let mut offset = start_bytes;
    while offset < end_bytes {
        let piece_bytes = (end_bytes - offset).min(ZERO_FILL_BYTES);
        file.write_at(offset, &zeros[..piece_bytes as usize])?;
        offset += piece_bytes;
    }
    Ok(())
}

/// A range of a file cut at sector boundaries.
pub(crate) fn sector_pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(range.end);
        let piece = (start < end).then_some(start..end);
        start = end;
        piece
    })
}

/// A name with a separator could leave the folder, so a caller that passes one has a bug.
pub(crate) fn assert_plain(name: &str) {
    let is_plain =
        !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
    assert!(is_plain, "{name:?} is not a plain file name");
}

#[cfg(test)]
mod tests {
    use super::file::FileDevice;
    use super::memory::MemoryDevice;
    use super::*;

    /// Both devices must behave alike, so each case runs on both.
    fn on_both(check: impl Fn(&dyn Device)) {
        check(&MemoryDevice::new(1));
        let folder = tempfile::tempdir().unwrap();
        check(&FileDevice::open(folder.path()).unwrap());
    }

    #[test]
    fn a_created_file_has_its_head_and_zeros() {
        on_both(|device| {
            let file = device.create("a", b"head", 3 * 1024 * 1024 + 5).unwrap();
            assert_eq!(file.length_bytes().unwrap(), 3 * 1024 * 1024 + 5);
            let contents = device.read("a").unwrap();
            assert_eq!(&contents[..4], b"head");
            assert!(contents[4..].iter().all(|byte| *byte == 0));
            assert_eq!(device.list().unwrap(), ["a"]);
        });
    }

    #[test]
    fn writes_are_read_back_and_reading_past_the_end_fails() {
        on_both(|device| {
            let file = device.create("a", b"", 16).unwrap();
            file.write_at(4, b"xyz").unwrap();
            file.sync().unwrap();
            let mut buffer = [0; 4];
            file.read_at(3, &mut buffer).unwrap();
            assert_eq!(&buffer, b"\0xyz");
            assert!(file.read_at(13, &mut buffer).is_err());
            assert!(file.read_at(u64::MAX, &mut buffer).is_err());
        });
    }

    #[test]
    fn replacing_swaps_the_whole_contents() {
        on_both(|device| {
            device.replace("settings", b"a long first version").unwrap();
            device.replace("settings", b"second").unwrap();
            assert_eq!(device.read("settings").unwrap(), b"second");
            assert_eq!(device.list().unwrap(), ["settings"]);
            device.remove("settings").unwrap();
            device.sync_folder().unwrap();
            assert!(!device.contains("settings").unwrap());
            assert!(device.open("settings").is_err());
            assert!(device.remove("settings").is_err());
            assert!(device.rename("settings", "b").is_err());
        });
    }

    #[test]
    #[should_panic(expected = "not a plain file name")]
    fn a_name_cannot_leave_the_folder() {
        let _ = MemoryDevice::new(1).open("../secret");
    }
}
