//! A real folder, and the lock that says who works on it.
//!
//! Invariant: a sync returns after the medium has the data, as far as the operating system can
//! tell.

use super::{Device, DeviceFile, assert_plain};
use crate::error::{Result, StorageError};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The name of the file that is locked while a folder is in use.
const LOCK_NAME: &str = "LOCK";

/// A folder of the file system.
#[derive(Debug)]
pub struct FileDevice {
    root: PathBuf,
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    file: File,
}

impl FileDevice {
    /// Uses a folder that is there.
    pub fn open(root: &Path) -> Result<Self> {
        let metadata = fs::metadata(root).map_err(|error| folder_error("open", root, error))?;
        if !metadata.is_dir() {
            return Err(folder_error("open", root, io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Makes the folder, and those above it, where they are missing. Their names are durable when
    /// this returns.
    pub fn create(root: &Path) -> Result<Self> {
        make_folder(root)?;
        Self::open(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        assert_plain(name);
        self.root.join(name)
    }
}

impl Device for FileDevice {
    fn list(&self) -> Result<Vec<String>> {
        let failed = |error| folder_error("list", &self.root, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_file = entry.file_type().map_err(failed)?.is_file();
            // A name that is not UTF-8 was not given by us.
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Box<dyn DeviceFile>> {
        let opened = File::options().read(true).write(true).open(self.path(name)).or_else(
            |error| match error.kind() {
                // A backup on a read-only medium can still be verified; writing to it fails.
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    File::open(self.path(name))
                }
                _ => Err(error),
            },
        );
        OpenFile::boxed(name, "open", opened)
    }

    fn create_empty(&self, name: &str) -> Result<Box<dyn DeviceFile>> {
        let created = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path(name));
        OpenFile::boxed(name, "create", created)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.path(from), self.path(to))
            .map_err(|error| StorageError::io("rename", from, error))
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.path(name)).map_err(|error| StorageError::io("remove", name, error))
    }

    fn sync_folder(&self) -> Result<()> {
        sync_folder(&self.root)
    }
}

impl OpenFile {
    fn boxed(
        name: &str,
        operation: &'static str,
        opened: io::Result<File>,
    ) -> Result<Box<dyn DeviceFile>> {
        let file = opened.map_err(|error| StorageError::io(operation, name, error))?;
        Ok(Box::new(Self { name: name.to_owned(), file }))
    }
}

impl DeviceFile for OpenFile {
    fn length_bytes(&self) -> Result<u64> {
        let metadata =
            self.file.metadata().map_err(|error| StorageError::io("measure", &self.name, error))?;
        Ok(metadata.len())
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(buffer, offset_bytes)
            .map_err(|error| StorageError::io("read", &self.name, error))
    }

    fn write_at(&self, offset_bytes: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, offset_bytes)
            .map_err(|error| StorageError::io("write", &self.name, error))
    }

    fn sync(&self) -> Result<()> {
        // fdatasync: it includes the length, which is all of the metadata that reading back needs.
        self.file.sync_data().map_err(|error| StorageError::io("sync", &self.name, error))
    }
}

/// Held while a folder is served or worked on; given back when dropped, or when the process ends in
/// any way.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a folder, or says at once that another process has it.
    pub fn acquire(folder: &Path) -> Result<Self> {
        let failed = |error| folder_error("lock", folder, error);
        let opened =
            File::options().write(true).create(true).truncate(false).open(folder.join(LOCK_NAME));
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StorageError::FolderLocked { folder: folder.display().to_string() })
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

fn folder_error(operation: &'static str, folder: &Path, error: io::Error) -> StorageError {
    StorageError::io(operation, &folder.display().to_string(), error)
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|open| open.sync_all());
    synced.map_err(|error| folder_error("sync", folder, error))
}

fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent =
        folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(folder_error("create", folder, error))
        }
        _ => sync_folder(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_folder_is_refused_until_it_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::acquire(folder.path()).unwrap();
        let refused = FolderLock::acquire(folder.path()).unwrap_err();
        assert_eq!(refused.code(), "folder_locked");
        let path = folder.path().display().to_string();
        assert!(refused.to_string().contains(&path));
        assert!(
            refused
                .hint()
                .is_some_and(|hint| hint.contains(&path) && hint.contains("Stop the server"))
        );
        drop(lock);
        FolderLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn folders_are_made_where_they_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        let nested = folder.path().join("tenants").join("acme");
        assert_eq!(FileDevice::open(&nested).unwrap_err().code(), "storage_io");
        FileDevice::create(&nested).unwrap();
        let device = FileDevice::create(&nested).unwrap();
        device.replace("a", b"x").unwrap();
        assert!(FileDevice::open(&nested.join("a")).is_err());
        assert_eq!(FileDevice::open(&nested).unwrap().list().unwrap(), ["a"]);
    }
}
