//! The life of a ledger on a simulated disk, from a seed: batches, lost power, killed processes,
//! failing syncs, full disks and failing media, at any point, recovery included.
//!
//! What is checked after every step: an acknowledgement comes after the sync; what was acknowledged
//! is there, byte for byte; beyond it there is at most the start of the batch that was being
//! written; the chain verifies; writing goes on; damage is never passed over in silence.
//!
//! Invariant: a seed always plays the same life, so a failure is replayed by its seed.

use crate::device::Device;
use crate::device::memory::MemoryDevice;
use crate::error::StorageError;
use crate::generator::Generator;
use crate::ledger::{
    KeyId, LedgerId, LedgerOptions, LedgerReader, LedgerWriter, NewRecord, Record, RecordId,
    Sequence, ledger_exists, verify,
};
use std::sync::Arc;

type Outcome<T = ()> = std::result::Result<T, String>;

/// Plays the life that belongs to this seed. An error says what went wrong, and the seed.
pub fn run_seed(seed: u64) -> Result<(), String> {
    Simulation::new(seed).run().map_err(|problem| format!("seed {seed}: {problem}"))
}

struct Simulation {
    generator: Generator,
    device: MemoryDevice,
    options: LedgerOptions,
    acknowledged: Vec<(NewRecord, RecordId)>,
    /// The batch whose fate is not known, because its append failed.
    in_flight: Vec<NewRecord>,
    /// How many records were acknowledged before the last batch.
    settled_count: usize,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let device = MemoryDevice::new(generator.next());
        let segment_bytes = 1024 << generator.up_to(4);
        let options = LedgerOptions::default().with_segment_bytes(segment_bytes);
        let (acknowledged, in_flight, settled_count) = (Vec::new(), Vec::new(), 0);
        Self { generator, device, options, acknowledged, in_flight, settled_count }
    }

    fn run(mut self) -> Outcome {
        let mut writer = self.create()?;
        for _ in 0..=self.generator.up_to(4) {
            self.live(writer)?;
            self.end_abruptly();
            writer = self.reopen()?;
        }
        self.device.heal();
        let batch = self.batch();
        let ids = writer.append_batch(&batch).map_err(|error| format!("last append: {error}"))?;
        self.acknowledge(batch, ids)?;
        self.damage()
    }

    fn create(&mut self) -> Outcome<LedgerWriter> {
        if self.generator.once_in(2) {
            self.device.lose_power_after(self.generator.up_to(8));
        }
        loop {
            match LedgerWriter::create(self.device(), LedgerId([7; 16]), self.options) {
                Ok(writer) => return Ok(writer),
                Err(error) if !self.device.is_without_power() => {
                    return Err(format!("create: {error}"));
                }
                Err(_) => self.end_abruptly(),
            }
            if ledger_exists(&self.device).map_err(|error| error.to_string())? {
                return self.reopen();
            }
        }
    }

    /// Appends until enough is done or something fails.
    fn live(&mut self, mut writer: LedgerWriter) -> Outcome {
        match self.generator.up_to(4) {
            0 => self.device.lose_power_after(self.generator.up_to(25)),
            1 => self.device.fail_nth_sync(1 + self.generator.up_to(8)),
            2 => self.device.fill_after(self.generator.up_to(30_000)),
            _ => {}
        }
        for _ in 0..self.generator.up_to(8) {
            let batch = self.batch();
            let failure = match writer.append_batch(&batch) {
                Ok(ids) => {
                    self.acknowledge(batch, ids)?;
                    continue;
                }
                Err(failure) => failure,
            };
            let is_full = matches!(failure, StorageError::DiskFull { .. });
            if is_full {
                self.device.heal();
            }
            match writer.append_batch(&batch) {
                Err(StorageError::Poisoned) => {
                    self.in_flight = batch;
                    return Ok(());
                }
                Ok(ids) if is_full => self.acknowledge(batch, ids)?,
                outcome => return Err(format!("after {failure}, an append gave {outcome:?}")),
            }
        }
        Ok(())
    }

    /// Either the power goes, or only the process does and the caches stay.
    fn end_abruptly(&mut self) {
        if self.device.is_without_power() || self.generator.once_in(2) {
            self.device = self.device.crash(self.generator.next());
        }
        self.device.heal();
    }

    fn reopen(&mut self) -> Outcome<LedgerWriter> {
        for _ in 0..self.generator.up_to(3) {
            match self.generator.up_to(2) {
                0 => self.device.lose_power_after(self.generator.up_to(6)),
                1 => self.device.fail_nth_sync(1 + self.generator.up_to(1)),
                _ => {}
            }
            match LedgerWriter::open(self.device(), self.options) {
                // The rest of the life goes on with it, or it is killed before its first append.
                Ok(_) => self.end_abruptly(),
                Err(error) if error.code() == "storage_io" => self.end_abruptly(),
                Err(error) => return Err(format!("open with faults: {error}")),
            }
        }
        let mut found = Vec::new();
        let opened = LedgerWriter::open_visiting(self.device(), self.options, &mut |record| {
            found.push(record);
        });
        let (writer, recovered) = opened.map_err(|error| format!("open: {error}"))?;
        self.check_recovered(found)?;
        let last = self.acknowledged.last().map(|(_, id)| *id);
        if recovered.last != last || writer.next_sequence().0 != self.acknowledged.len() as u64 + 1
        {
            return Err(format!("recovered up to {:?} instead of {last:?}", recovered.last));
        }
        self.check_durable()?;
        self.check_reading()?;
        Ok(writer)
    }

    /// Compares what was recovered with what was acknowledged; what there is beyond it counts as
    /// acknowledged from now on.
    fn check_recovered(&mut self, found: Vec<Record>) -> Outcome {
        let least = self.acknowledged.len();
        if found.len() < least || found.len() > least + self.in_flight.len() {
            return Err(format!("{least} records were acknowledged, {} recovered", found.len()));
        }
        let in_flight = std::mem::take(&mut self.in_flight);
        if found.len() > least {
            self.settled_count = least;
        }
        for (record, expected) in found[least..].iter().zip(in_flight) {
            self.acknowledged.push((expected, record.id));
        }
        self.check_records(&found, &self.acknowledged)
    }

    fn check_records(&self, found: &[Record], expected: &[(NewRecord, RecordId)]) -> Outcome {
        if found.len() != expected.len() {
            return Err(format!("{} records instead of {}", found.len(), expected.len()));
        }
        let differing = found
            .iter()
            .zip(expected)
            .find(|(record, (content, id))| record.id != *id || record.content != *content);
        differing
            .map_or(Ok(()), |(record, _)| Err(format!("record {} differs", record.id.sequence)))
    }

    /// Any part of the ledger can be read by itself.
    fn check_reading(&mut self) -> Outcome {
        let count = self.acknowledged.len() as u64;
        let (start, end) = (1 + self.generator.up_to(count), self.generator.up_to(count));
        let read = || -> crate::error::Result<Vec<Record>> {
            let reader = LedgerReader::open(self.device())?;
            reader.starting_at(Sequence(start))?.ending_at(Sequence(end)).collect()
        };
        let found = read().map_err(|error| format!("read {start} to {end}: {error}"))?;
        let expected = self.acknowledged.get(start as usize - 1..end as usize).unwrap_or_default();
        self.check_records(&found, expected)
    }

    fn acknowledge(&mut self, batch: Vec<NewRecord>, ids: Vec<RecordId>) -> Outcome {
        self.check_durable()?;
        if ids.len() != batch.len() {
            return Err("a record was not acknowledged".to_owned());
        }
        self.settled_count = self.acknowledged.len();
        self.acknowledged.extend(batch.into_iter().zip(ids));
        Ok(())
    }

    fn check_durable(&self) -> Outcome {
        match self.device.unsynced_count() {
            0 => Ok(()),
            count => Err(format!("acknowledged with {count} changes unsynced")),
        }
    }

    /// Flips bits in one byte anywhere. It must be noticed, unless no record is there. Only the
    /// last batch may pass for torn, where a payload has a sector of zeros anyway.
    fn damage(&mut self) -> Outcome {
        let names = self.device.list().map_err(|error| error.to_string())?;
        let name = &names[self.generator.index(names.len())];
        let contents = self.device.read(name).map_err(|error| error.to_string())?;
        let offset = self.generator.index(contents.len()) as u64;
        self.device.flip(name, offset, 1 + self.generator.up_to(254) as u8);
        let summary = match verify(self.device()) {
            Ok(summary) => summary,
            Err(StorageError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(format!("damage gave {error}")),
        };
        let is_accounted_for = summary.torn_tail.is_some() || name != names.last().unwrap_or(name);
        let found = summary.record_count as usize;
        let was_expected = self.settled_count..=self.acknowledged.len();
        if was_expected.contains(&found) && is_accounted_for {
            return Ok(());
        }
        Err(format!("a flip at byte {offset} of {name} left {found} records unnoticed"))
    }

    fn batch(&mut self) -> Vec<NewRecord> {
        (0..=self.generator.up_to(4)).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> NewRecord {
        let generator = &mut self.generator;
        let length = generator.up_to([20, 200, 3000][generator.clone().index(3)]) as usize;
        let payload = match generator.up_to(3) {
            0 => vec![0; length],
            _ => generator.bytes(length),
        };
        NewRecord {
            time_us: generator.next() as i64,
            branch: generator.next() as u32,
            kind: generator.next() as u16,
            key_id: KeyId(generator.next() as u32),
            semantics_version: generator.next() as u16,
            author: "a".repeat(generator.up_to(255) as usize),
            origin: "o".repeat(generator.up_to(30) as usize),
            payload,
        }
    }

    fn device(&self) -> Arc<dyn Device> {
        Arc::new(self.device.clone())
    }
}
