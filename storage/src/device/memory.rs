//! A simulated disk: deterministic, able to lose power, to refuse a sync and to run full.
//!
//! It keeps what programs see (`cached`) apart from what would survive (`durable`), with the
//! unsynced writes between them. The model is that of a page cache over a disk with 512-byte
//! sectors: a sector holds what it held before, or any later state of it, whole; sectors reach the
//! disk in any order; folder changes reach it in order, as with a journal, independent of the
//! contents of files; after a failed sync the unsynced writes are still seen but may never reach
//! the disk.
//!
//! Invariant: everything follows from the seeds and the sequence of calls.

use super::{Device, DeviceFile, SECTOR_BYTES, assert_plain, sector_pieces};
use crate::error::{Result, StorageError};
use crate::generator::Generator;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A simulated folder. Clones share the same disk.
#[derive(Debug, Clone)]
pub struct MemoryDevice {
    disk: Arc<Mutex<Disk>>,
}

/// What happened on a device, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A file was made or emptied.
    Create(String),
    /// Bytes were written.
    Write {
        /// The file.
        name: String,
        /// Where.
        offset_bytes: u64,
        /// How many.
        length_bytes: u64,
    },
    /// The writes to a file became durable.
    Sync(String),
    /// A file got another name.
    Rename {
        /// The name before.
        from: String,
        /// The name since.
        to: String,
    },
    /// A file was removed.
    Remove(String),
    /// The names became durable.
    SyncFolder,
    /// An operation was refused by an injected fault.
    Fault(&'static str),
}

#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<u64, Contents>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    events: Vec<Event>,
    sync_count: u64,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Contents {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Debug)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum NameChange {
    Insert(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Default)]
struct Faults {
    failing_sync: Option<u64>,
    bytes_until_full: Option<u64>,
    operations_until_power_loss: Option<u64>,
    seed: u64,
}

#[derive(Debug)]
struct MemoryFile {
    name: String,
    file: u64,
    disk: Arc<Mutex<Disk>>,
}

impl MemoryDevice {
    /// An empty folder. The seed decides what a failed sync leaves behind.
    pub fn new(seed: u64) -> Self {
        let disk = Disk { faults: Faults { seed, ..Faults::default() }, ..Disk::default() };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// What the disk may hold after power was lost now: all that was synced, and of the rest what
    /// the seed says. The new device has no faults set; this one is not changed.
    pub fn crash(&self, seed: u64) -> Self {
        let disk = self.lock();
        let mut generator = Generator::new(seed);
        let after = Self::new(generator.next());
        let mut names = disk.durable_names.clone();
        let surviving_count = pick_prefix(&mut generator, disk.unsynced_names.len());
        disk.unsynced_names[..surviving_count].iter().for_each(|change| change.apply(&mut names));
        let files = names.values().filter_map(|file| Some((*file, disk.files.get(file)?)));
        let files = files
            .map(|(file, contents)| (file, Contents::settled(contents.survivors(&mut generator))));
        {
            let mut settled = after.lock();
            settled.files = files.collect();
            settled.durable_names = names.clone();
            settled.names = names;
        }
        after
    }

    /// Makes the nth sync from now (1 is the next one) fail, of a file or of the folder. What was
    /// unsynced stays visible, but only a part of it reaches the disk, and no later sync brings the
    /// rest.
    pub fn fail_nth_sync(&self, nth: u64) {
        let mut disk = self.lock();
        disk.faults.failing_sync = Some(disk.sync_count + nth);
    }

    /// Makes writes fail with a full disk once this many more bytes have been written.
    pub fn fill_after(&self, length_bytes: u64) {
        self.lock().faults.bytes_until_full = Some(length_bytes);
    }

    /// Makes every operation fail after this many more creations, writes, renamings, removals and
    /// syncs.
    pub fn lose_power_after(&self, operation_count: u64) {
        self.lock().faults.operations_until_power_loss = Some(operation_count);
    }

    /// Takes back all faults that were set.
    pub fn heal(&self) {
        let mut disk = self.lock();
        disk.faults = Faults { seed: disk.faults.seed, ..Faults::default() };
    }

    /// Whether the power that [`Self::lose_power_after`] measures out is gone.
    pub fn is_without_power(&self) -> bool {
        self.lock().faults.operations_until_power_loss == Some(0)
    }

    /// How many syncs were asked for so far, of files and of the folder.
    pub fn sync_count(&self) -> u64 {
        self.lock().sync_count
    }

    /// How many writes and folder changes no sync has made durable yet.
    pub fn unsynced_count(&self) -> usize {
        let disk = self.lock();
        let reachable = disk.names.values().filter_map(|file| disk.files.get(file));
        reachable.map(|contents| contents.unsynced.len()).sum::<usize>() + disk.unsynced_names.len()
    }

    /// What happened so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Damages a file as a failing medium would: the bits of `mask` are flipped in one byte,
    /// durably and unnoticed.
    pub fn flip(&self, name: &str, offset_bytes: u64, mask: u8) {
        let mut disk = self.lock();
        let file = disk.names.get(name).copied();
        if let Some(contents) = file.and_then(|file| disk.files.get_mut(&file)) {
            for image in [&mut contents.cached, &mut contents.durable] {
                if let Some(byte) = image.get_mut(offset_bytes as usize) {
                    *byte ^= mask;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_file(&self, name: &str, file: u64) -> Box<dyn DeviceFile> {
        Box::new(MemoryFile { name: name.to_owned(), file, disk: self.disk.clone() })
    }
}

impl Device for MemoryDevice {
    fn list(&self) -> Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn DeviceFile>> {
        assert_plain(name);
        let file = self.lock().find("open", name)?;
        Ok(self.open_file(name, file))
    }

    fn create_empty(&self, name: &str) -> Result<Box<dyn DeviceFile>> {
        assert_plain(name);
        let mut disk = self.lock();
        disk.spend_power("create", name)?;
        // Emptying a file is modelled as a new one under the same name, which is the harsher of the
        // two: the old contents may come back.
        let file = disk.files.last_key_value().map_or(0, |(newest, _)| newest + 1);
        disk.files.insert(file, Contents::default());
        disk.change_names(NameChange::Insert(name.to_owned(), file));
        disk.events.push(Event::Create(name.to_owned()));
        Ok(self.open_file(name, file))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        assert_plain(to);
        let mut disk = self.lock();
        disk.spend_power("rename", from)?;
        disk.find("rename", from)?;
        disk.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        disk.events.push(Event::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut disk = self.lock();
        disk.spend_power("remove", name)?;
        disk.find("remove", name)?;
        disk.change_names(NameChange::Remove(name.to_owned()));
        disk.events.push(Event::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> Result<()> {
        let mut disk = self.lock();
        disk.spend_power("sync", "the folder")?;
        disk.count_sync("the folder")?;
        disk.durable_names = disk.names.clone();
        disk.unsynced_names.clear();
        disk.events.push(Event::SyncFolder);
        Ok(())
    }
}

impl DeviceFile for MemoryFile {
    fn length_bytes(&self) -> Result<u64> {
        self.with("measure", |contents| Ok(contents.cached.len() as u64))
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        self.with("read", |contents| {
            let start = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
            let found =
                start.checked_add(buffer.len()).and_then(|end| contents.cached.get(start..end));
            let found = found.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
            buffer.copy_from_slice(found);
            Ok(())
        })
    }

    fn write_at(&self, offset_bytes: u64, bytes: &[u8]) -> Result<()> {
        let allowed_bytes = {
            let mut disk = self.lock();
            disk.spend_power("write", &self.name)?;
            disk.spend_space(offset_bytes, bytes.len())
        };
        self.with("write", |contents| {
            contents.write(offset_bytes as usize, &bytes[..allowed_bytes]);
            Ok(())
        })?;
        let mut disk = self.lock();
        let length_bytes = allowed_bytes as u64;
        disk.events.push(Event::Write { name: self.name.clone(), offset_bytes, length_bytes });
        if allowed_bytes < bytes.len() {
            disk.events.push(Event::Fault("disk full"));
            return Err(StorageError::io("write", &self.name, io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.lock();
        disk.spend_power("sync", &self.name)?;
        let outcome = disk.count_sync(&self.name);
        let mut generator = Generator::new(disk.faults.seed ^ disk.sync_count);
        if let Some(contents) = disk.files.get_mut(&self.file) {
            match outcome {
                Ok(()) => contents.settle(),
                Err(_) => contents.fail_to_settle(&mut generator),
            }
        }
        if outcome.is_ok() {
            disk.events.push(Event::Sync(self.name.clone()));
        }
        outcome
    }
}

impl MemoryFile {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Contents) -> io::Result<T>,
    ) -> Result<T> {
        let mut disk = self.lock();
        let contents =
            disk.files.get_mut(&self.file).ok_or(io::Error::from(io::ErrorKind::NotFound));
        contents.and_then(work).map_err(|error| StorageError::io(operation, &self.name, error))
    }
}

impl Disk {
    fn find(&self, operation: &'static str, name: &str) -> Result<u64> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| StorageError::io(operation, name, io::ErrorKind::NotFound.into()))
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn spend_power(&mut self, operation: &'static str, name: &str) -> Result<()> {
        match &mut self.faults.operations_until_power_loss {
            None => Ok(()),
            Some(0) => {
                self.events.push(Event::Fault("power lost"));
                Err(StorageError::io(operation, name, io::Error::other("power lost")))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    /// How many of these bytes still fit; space is given out in whole sectors.
    fn spend_space(&mut self, offset_bytes: u64, length_bytes: usize) -> usize {
        match &mut self.faults.bytes_until_full {
            None => length_bytes,
            Some(left) => {
                let wanted_end = offset_bytes + length_bytes as u64;
                let mut end = wanted_end.min(offset_bytes.saturating_add(*left));
                if end < wanted_end {
                    end = (end - end % SECTOR_BYTES).max(offset_bytes);
                }
                *left -= end - offset_bytes;
                (end - offset_bytes) as usize
            }
        }
    }

    fn count_sync(&mut self, name: &str) -> Result<()> {
        self.sync_count += 1;
        if self.faults.failing_sync == Some(self.sync_count) {
            self.events.push(Event::Fault("sync failed"));
            return Err(StorageError::io("sync", name, io::Error::other("injected fault")));
        }
        Ok(())
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Insert(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Contents {
    fn settled(bytes: Vec<u8>) -> Self {
        Self { cached: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        overwrite(&mut self.cached, offset, bytes);
        self.unsynced.push(Write { offset, bytes: bytes.to_owned() });
    }

    fn settle(&mut self) {
        for write in self.unsynced.drain(..) {
            overwrite(&mut self.durable, write.offset, &write.bytes);
        }
    }

    /// A sync failed: a part reached the disk, the rest is forgotten by the kernel. It may still be
    /// in the cache, or be read from the disk again.
    fn fail_to_settle(&mut self, generator: &mut Generator) {
        self.durable = self.survivors(generator);
        self.unsynced.clear();
        if generator.once_in(2) {
            let length = self.cached.len();
            self.cached.clone_from(&self.durable);
            self.cached.resize(length, 0);
        }
    }

    /// What the disk may hold if power is lost now.
    fn survivors(&self, generator: &mut Generator) -> Vec<u8> {
        let pieces: Vec<_> = self.unsynced.iter().flat_map(Write::sectors).collect();
        let mut survivors = self.durable.clone();
        if generator.once_in(2) {
            let surviving_count = pick_prefix(generator, pieces.len());
            for (_, offset, bytes) in &pieces[..surviving_count] {
                overwrite(&mut survivors, *offset, bytes);
            }
            return survivors;
        }
        let mut states: BTreeMap<usize, u64> = BTreeMap::new();
        pieces.iter().for_each(|(sector, _, _)| *states.entry(*sector).or_default() += 1);
        for state_count in states.values_mut() {
            *state_count = generator.up_to(*state_count);
        }
        for (sector, offset, bytes) in pieces {
            if let Some(left) = states.get_mut(&sector).filter(|left| **left > 0) {
                *left -= 1;
                overwrite(&mut survivors, offset, bytes);
            }
        }
        survivors
    }
}

impl Write {
    /// The write cut at sector boundaries: sector, offset in the file, bytes.
    fn sectors(&self) -> impl Iterator<Item = (usize, usize, &[u8])> {
        let range = self.offset as u64..(self.offset + self.bytes.len()) as u64;
        sector_pieces(range).map(|piece| {
            let (start, end) = (piece.start as usize, piece.end as usize);
            (
                start / SECTOR_BYTES as usize,
                start,
                &self.bytes[start - self.offset..end - self.offset],
            )
        })
    }
}

/// How many of these, in order, made it: none and all are the common cases.
fn pick_prefix(generator: &mut Generator, count: usize) -> usize {
    match generator.up_to(3) {
        0 => 0,
        1 => count,
        _ => generator.up_to(count as u64) as usize,
    }
}

fn overwrite(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn synced_writes_survive_every_crash() {
        let device = MemoryDevice::new(1);
        let file = device.create("a", b"head", 2048).unwrap();
        file.write_at(700, b"synced").unwrap();
        file.sync().unwrap();
        assert_eq!(device.unsynced_count(), 0);
        file.write_at(100, &[7; 1500]).unwrap();
        for seed in 0..200 {
            let contents = device.crash(seed).read("a").unwrap();
            assert_eq!(&contents[..4], b"head");
            assert!(&contents[700..706] == b"synced" || contents[700..706] == [7; 6]);
        }
    }

    #[test]
    fn unsynced_writes_survive_by_whole_sectors_in_any_combination() {
        let device = MemoryDevice::new(1);
        let file = device.create("a", b"", 2048).unwrap();
        file.write_at(100, &[7; 1500]).unwrap();
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let contents = device.crash(seed).read("a").unwrap();
            let pieces: Vec<_> = sector_pieces(100..1600)
                .map(|piece| {
                    let piece = &contents[piece.start as usize..piece.end as usize];
                    assert!(piece.iter().all(|byte| *byte == piece[0]), "a sector was torn");
                    piece[0] == 7
                })
                .collect();
            seen.insert(pieces);
        }
        assert_eq!(seen.len(), 16, "all combinations of four sectors");
    }

    #[test]
    fn a_name_is_volatile_until_the_folder_is_synced() {
        let device = MemoryDevice::new(1);
        device.create_empty("a").unwrap().sync().unwrap();
        assert!((0..50).any(|seed| !device.crash(seed).contains("a").unwrap()));
        device.sync_folder().unwrap();
        assert!((0..50).all(|seed| device.crash(seed).contains("a").unwrap()));
        device.remove("a").unwrap();
        assert!((0..50).any(|seed| device.crash(seed).contains("a").unwrap()));
    }

    #[test]
    fn replacing_survives_as_old_or_new() {
        let device = MemoryDevice::new(1);
        device.replace("a", b"old contents").unwrap();
        for operations in 0..6 {
            let disk = device.crash(0);
            disk.lose_power_after(operations);
            let outcome = disk.replace("a", b"new");
            for seed in 0..50 {
                let contents = disk.crash(seed).read("a").unwrap();
                assert!(contents == b"new" || (outcome.is_err() && contents == b"old contents"));
            }
        }
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let lost = (0..50).filter(|seed| {
            let device = MemoryDevice::new(*seed);
            let file = device.create("a", b"", 1024).unwrap();
            device.fail_nth_sync(1);
            file.write_at(0, &[7; 1024]).unwrap();
            assert_eq!(file.sync().unwrap_err().code(), "storage_io");
            file.sync().unwrap();
            device.crash(0).read("a").unwrap() != [7; 1024]
        });
        assert!(lost.count() > 0);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let device = MemoryDevice::new(1);
        let file = device.create("a", b"", 64).unwrap();
        device.fill_after(1000);
        assert_eq!(file.write_at(500, &[7; 1024]).unwrap_err().code(), "storage_disk_full");
        let contents = device.read("a").unwrap();
        assert_eq!((contents.len(), &contents[498..502]), (1024, &[0, 0, 7, 7][..]));
        device.heal();
        file.write_at(0, &[7; 16]).unwrap();
    }

    #[test]
    fn the_same_seed_gives_the_same_disk() {
        let device = MemoryDevice::new(1);
        device.create("a", b"", 4096).unwrap().write_at(3, &[9; 3000]).unwrap();
        for seed in 0..20 {
            assert_eq!(
                device.crash(seed).read("a").unwrap(),
                device.crash(seed).read("a").unwrap()
            );
        }
    }
}
