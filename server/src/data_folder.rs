//! The data folder: `tenants/NAME/{LOCK, ledger-*.seg, users.json, tenant.json}`.
//!
//! A tenant appears and disappears by one renaming of its folder, so after a crash it is there
//! completely or not at all. Everything belongs to the owner of the process alone.
//!
//! Invariant: a data folder is used by one process at a time; its lock sees to it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::{
    Device, DeviceFile, FileDevice, FolderLock, LedgerId, LedgerOptions, LedgerWriter, StorageError,
};

use crate::auth::{Users, random_bytes};
use crate::error::{Result, ServerError};
use crate::limits::TENANT_NAME_BYTES_MAX;

const TENANTS: &str = "tenants";
const LOCK: &str = "LOCK";
const USERS: &str = "users.json";
const TENANT: &str = "tenant.json";
/// Begins the names of folders that are being made or removed; no tenant's name does.
const UNFINISHED: &str = ".";

/// What happens where there is no data folder yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made.
    Create,
    /// It is an error.
    Refuse,
}

/// A data folder that this process uses, and no other.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    _lock: FolderLock,
}

/// A tenant's folder in use.
#[derive(Debug)]
pub struct TenantFolder {
    /// The tenant's name.
    pub name: String,
    /// Its files.
    pub device: Arc<dyn Device>,
    _lock: FolderLock,
}

/// What `tenant.json` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantFile {
    format: u32,
    name: String,
}

impl DataFolder {
    /// Takes a data folder into use.
    pub fn open(root: &Path, missing: Missing) -> Result<Self> {
        let tenants = root.join(TENANTS);
        if !tenants.is_dir() {
            if missing == Missing::Refuse {
                return Err(ServerError::NoDataFolder { folder: root.to_owned() });
            }
            make_private_folder(root)?;
            make_private_folder(&tenants)?;
        }
        let lock = lock(root).map_err(|error| match error {
            ServerError::Storage(StorageError::FolderLocked { .. }) => {
                ServerError::FolderInUse { folder: root.to_owned() }
            }
            other => other,
        })?;
        let folder = Self { root: root.to_owned(), _lock: lock };
        folder.remove_unfinished()?;
        Ok(folder)
    }

    /// The names of all tenants, sorted.
    pub fn tenant_names(&self) -> Result<Vec<String>> {
        let mut names = self.folder_names()?;
        names.retain(|name| !name.starts_with(UNFINISHED));
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a tenant with an empty ledger and no users.
    pub fn create_tenant(&self, name: &str) -> Result<()> {
        check_tenant_name(name)?;
        if self.tenant_path(name).exists() {
            return Err(ServerError::TenantExists { name: name.to_owned() });
        }
        let unfinished = self.tenant_path(&format!("{UNFINISHED}{name}.new"));
        make_private_folder(&unfinished)?;
        let device: Arc<dyn Device> = Arc::new(PrivateDevice::open(&unfinished)?);
        let file = TenantFile { format: 1, name: name.to_owned() };
        let file = serde_json::to_vec_pretty(&file).expect("a tenant's file is plain data");
        device.replace(TENANT, &file)?;
        device.replace(USERS, &Users::default().to_json())?;
        LedgerWriter::create(device, LedgerId(random_bytes()), LedgerOptions::default())?;
        self.rename(&unfinished, &self.tenant_path(name))
    }

    /// Removes a tenant with all that it has.
    pub fn drop_tenant(&self, name: &str) -> Result<()> {
        let tenant = self.open_tenant(name)?;
        let removed = self.tenant_path(&format!("{UNFINISHED}{name}.removed"));
        self.rename(&self.tenant_path(name), &removed)?;
        drop(tenant);
        fs::remove_dir_all(&removed).map_err(ServerError::io("remove", removed))
    }

    /// Takes a tenant's folder into use.
    pub fn open_tenant(&self, name: &str) -> Result<TenantFolder> {
        let path = self.tenant_path(name);
        if check_tenant_name(name).is_err() || !path.is_dir() {
            return Err(ServerError::UnknownTenant { name: name.to_owned() });
        }
        let lock = lock(&path)?;
        let device = PrivateDevice::open(&path)?;
        let malformed = |reason: String| ServerError::Malformed { name: TENANT.into(), reason };
        let file: TenantFile = serde_json::from_slice(&device.read(TENANT)?)
            .map_err(|error| malformed(error.to_string()))?;
        if (file.format, file.name.as_str()) != (1, name) {
            let (format, found) = (file.format, file.name);
            return Err(malformed(format!("format {format} of tenant {found:?}")));
        }
        Ok(TenantFolder { name: name.to_owned(), device: Arc::new(device), _lock: lock })
    }

    /// A file on the folder's disk that stands in no folder: it is gone when it is closed, or when the
    /// process ends.
    pub fn unnamed_file(&self) -> Result<fs::File> {
        tempfile::tempfile_in(&self.root).map_err(ServerError::io("make a file in", &self.root))
    }

    fn tenant_path(&self, name: &str) -> PathBuf {
        self.root.join(TENANTS).join(name)
    }

    fn folder_names(&self) -> Result<Vec<String>> {
        let path = self.root.join(TENANTS);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(ServerError::io("list", &path))? {
            let entry = entry.map_err(ServerError::io("list", &path))?;
            // A name that is not UTF-8 was not given by us.
            if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Finishes what a crash interrupted.
    fn remove_unfinished(&self) -> Result<()> {
        for name in self.folder_names()? {
            if name.starts_with(UNFINISHED) {
                let path = self.tenant_path(&name);
                fs::remove_dir_all(&path).map_err(ServerError::io("remove", path))?;
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(ServerError::io("rename", from))?;
        let tenants = self.root.join(TENANTS);
        let synced = fs::File::open(&tenants).and_then(|folder| folder.sync_all());
        synced.map_err(ServerError::io("sync", tenants))
    }
}

impl TenantFolder {
    /// The tenant's users.
    pub fn users(&self) -> Result<Users> {
        Users::parse(&self.device.read(USERS)?)
    }

    /// Puts other users in place of all there were.
    pub fn replace_users(&self, users: &Users) -> Result<()> {
        Ok(self.device.replace(USERS, &users.to_json())?)
    }
}

/// The rule for names that are folders, databases and parts of URLs.
fn check_tenant_name(name: &str) -> Result<()> {
    let fits = name.len() <= TENANT_NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        return Ok(());
    }
    let rule = "1 to 63 lower-case letters, digits and underscores, beginning with a letter";
    Err(ServerError::InvalidName { kind: "tenant", name: name.to_owned(), rule })
}

fn make_private_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(ServerError::io("create", path))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let synced = fs::File::open(parent).and_then(|folder| folder.sync_all());
    synced.map_err(ServerError::io("sync", parent))
}

/// Takes a folder's lock, whose file belongs to the owner alone.
fn lock(folder: &Path) -> Result<FolderLock> {
    let path = folder.join(LOCK);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(&path).map_err(ServerError::io("create", path))?;
    Ok(FolderLock::acquire(folder)?)
}

/// A folder whose files are readable and writable for their owner only.
#[derive(Debug)]
struct PrivateDevice {
    root: PathBuf,
    inner: FileDevice,
}

impl PrivateDevice {
    fn open(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned(), inner: FileDevice::open(root)? })
    }
}

impl Device for PrivateDevice {
    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn open(&self, name: &str) -> Result<Box<dyn DeviceFile>, StorageError> {
        self.inner.open(name)
    }

    fn create_empty(&self, name: &str) -> Result<Box<dyn DeviceFile>, StorageError> {
        let file = self.inner.create_empty(name)?;
        // Still empty, so nobody can have read anything.
        fs::set_permissions(self.root.join(name), fs::Permissions::from_mode(0o600)).map_err(
            |source| StorageError::Io { operation: "protect", name: name.to_owned(), source },
        )?;
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn sync_folder(&self) -> Result<(), StorageError> {
        self.inner.sync_folder()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn tenants_come_and_go_and_belong_to_their_owner() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        assert!(DataFolder::open(&path, Missing::Refuse).is_err());
        let data = DataFolder::open(&path, Missing::Create).unwrap();
        data.create_tenant("acme").unwrap();
        data.create_tenant("bolt").unwrap();
        assert_eq!(data.create_tenant("acme").unwrap_err().code(), "tenant_exists");
        assert_eq!(data.tenant_names().unwrap(), ["acme", "bolt"]);
        for file in fs::read_dir(path.join("tenants/acme")).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
        assert_eq!(mode(&path.join("tenants/acme")), 0o700);
        data.drop_tenant("bolt").unwrap();
        assert_eq!(data.drop_tenant("bolt").unwrap_err().code(), "unknown_tenant");
        assert_eq!(data.tenant_names().unwrap(), ["acme"]);
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::open(root.path(), Missing::Create).unwrap();
        for name in ["", "..", "a/b", "A", "1a", ".a", "a-b", "é", &"a".repeat(64)] {
            assert_eq!(data.create_tenant(name).unwrap_err().code(), "invalid_name", "{name}");
            assert_eq!(data.open_tenant(name).unwrap_err().code(), "unknown_tenant", "{name}");
        }
    }

    #[test]
    fn a_folder_is_used_once_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::open(root.path(), Missing::Create).unwrap();
        let second = DataFolder::open(root.path(), Missing::Create).unwrap_err();
        assert_eq!(second.code(), "folder_in_use");
        assert!(second.hint().is_some_and(|hint| hint.contains("--server")));
        drop(data);
        DataFolder::open(root.path(), Missing::Create).unwrap();
    }

    #[test]
    fn users_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let data = DataFolder::open(root.path(), Missing::Create).unwrap();
        data.create_tenant("acme").unwrap();
        let tenant = data.open_tenant("acme").unwrap();
        let users = tenant.users().unwrap().with("ana", Role::Reader, "12345678").unwrap();
        tenant.replace_users(&users).unwrap();
        assert_eq!(tenant.users().unwrap(), users);
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        drop(DataFolder::open(root.path(), Missing::Create).unwrap());
        fs::create_dir(root.path().join("tenants/.acme.new")).unwrap();
        let data = DataFolder::open(root.path(), Missing::Create).unwrap();
        assert!(data.tenant_names().unwrap().is_empty());
        assert!(!root.path().join("tenants/.acme.new").exists());
    }
}
