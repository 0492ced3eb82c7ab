//! What survives crashes, faults and damage: simulated lives from seeds, and the cases one wants to
//! see by name.

use proptest::prelude::*;
use std::ops::RangeInclusive;
use std::sync::Arc;
use storage::device::memory::Event;
use storage::simulation::run_seed;
use storage::{
    Device, FileDevice, FolderLock, KeyId, LedgerId, LedgerOptions, LedgerReader, LedgerWriter,
    MemoryDevice, NewRecord, RecordId, Sequence, ledger_exists, verify,
};

const ID: LedgerId = LedgerId([7; 16]);

fn options() -> LedgerOptions {
    LedgerOptions::default().with_segment_bytes(4096)
}

fn record(text: &str) -> NewRecord {
    NewRecord {
        time_us: 1_700_000_000_000_000,
        branch: 0,
        kind: 1,
        key_id: KeyId::NONE,
        semantics_version: 1,
        author: "ana".to_owned(),
        origin: "test".to_owned(),
        payload: text.as_bytes().to_owned(),
    }
}

/// A payload without zeros, so that a torn write of it is told from damage without doubt.
fn long(length: usize) -> NewRecord {
    record(&"x".repeat(length))
}

fn shared(device: &MemoryDevice) -> Arc<dyn Device> {
    Arc::new(device.clone())
}

fn create(device: &MemoryDevice) -> LedgerWriter {
    LedgerWriter::create(shared(device), ID, options()).unwrap()
}

/// A ledger of these batches; the ids of all records.
fn ledger_of(batches: &[&[NewRecord]]) -> (MemoryDevice, Vec<RecordId>) {
    let device = MemoryDevice::new(1);
    let mut writer = create(&device);
    let ids = batches.iter().flat_map(|batch| writer.append_batch(batch).unwrap()).collect();
    (device, ids)
}

fn check_seeds(seeds: RangeInclusive<u64>) {
    let failures: Vec<_> = seeds.filter_map(|seed| run_seed(seed).err()).collect();
    assert!(
        failures.is_empty(),
        "{} failures, {:#?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
}

#[test]
fn simulated_lives_first_thousand() {
    check_seeds(1..=1500);
}

#[test]
fn simulated_lives_second_thousand() {
    check_seeds(1501..=3000);
}

#[test]
fn an_acknowledgement_comes_after_one_sync_of_all_writes() {
    let device = MemoryDevice::new(1);
    let mut writer = create(&device);
    for batch in [vec![record("a")], vec![record("b"), long(600), record("c")]] {
        let (sync_count, event_count) = (device.sync_count(), device.events().len());
        writer.append_batch(&batch).unwrap();
        assert_eq!(device.sync_count(), sync_count + 1, "a batch costs one sync");
        let events = device.events().split_off(event_count);
        assert!(matches!(events.as_slice(), [Event::Write { .. }, Event::Sync(_)]), "{events:?}");
        assert_eq!(device.unsynced_count(), 0);
    }
}

#[test]
fn a_failed_sync_poisons_the_writer_until_it_is_opened_again() {
    for seed in 0..100 {
        let device = MemoryDevice::new(seed);
        let mut writer = create(&device);
        let first = writer.append_batch(&[record("kept")]).unwrap();
        device.fail_nth_sync(1);
        assert_eq!(writer.append_batch(&[long(2000)]).unwrap_err().code(), "storage_io");
        let refused = writer.append_batch(&[record("refused")]).unwrap_err();
        assert_eq!(refused.code(), "ledger_poisoned");
        drop(writer);
        let (mut writer, recovered) = LedgerWriter::open(shared(&device), options()).unwrap();
        let survivors = recovered.last.unwrap().sequence.0;
        assert!((1..=2).contains(&survivors));
        writer.append_batch(&[record("later")]).unwrap();
        // What is built upon was made durable, even where an earlier sync of it had failed.
        let summary = verify(shared(&device.crash(seed))).unwrap();
        assert_eq!((summary.record_count, summary.torn_tail), (survivors + 1, None));
        let found: Vec<_> =
            LedgerReader::open(shared(&device)).unwrap().map(Result::unwrap).collect();
        assert_eq!(found[0].id, first[0]);
    }
}

#[test]
fn no_space_for_a_new_segment_leaves_the_writer_usable() {
    let device = MemoryDevice::new(1);
    let mut writer = create(&device);
    writer.append_batch(&[long(3000)]).unwrap();
    for free_bytes in [0, 1, 100, 4095] {
        device.fill_after(free_bytes);
        let refused = writer.append_batch(&[long(1000), record("b")]).unwrap_err();
        assert_eq!((refused.code(), refused.sqlstate()), ("storage_disk_full", "53100"));
        assert_eq!(device.list().unwrap(), ["ledger-00000001.seg"], "the space is given back");
    }
    device.heal();
    let ids = writer.append_batch(&[long(1000), record("b")]).unwrap();
    assert_eq!(ids[1].sequence, Sequence(3));
    assert_eq!(verify(shared(&device)).unwrap().segment_count, 2);
}

#[test]
fn a_full_disk_in_the_middle_of_a_record_poisons_and_is_cut() {
    let device = MemoryDevice::new(1);
    let mut writer = create(&device);
    writer.append_batch(&[record("kept")]).unwrap();
    device.fill_after(512 - 128 - 192 + 512);
    assert_eq!(writer.append_batch(&[long(2000)]).unwrap_err().code(), "storage_disk_full");
    assert_eq!(writer.append_batch(&[record("b")]).unwrap_err().code(), "ledger_poisoned");
    device.heal();
    let (_, recovered) = LedgerWriter::open(shared(&device), options()).unwrap();
    assert_eq!(recovered.last.unwrap().sequence, Sequence(1));
    let torn_tail = recovered.torn_tail.unwrap();
    assert_eq!(
        (torn_tail.segment.as_str(), torn_tail.sequence),
        ("ledger-00000001.seg", Sequence(2))
    );
    assert_eq!(verify(shared(&device)).unwrap().torn_tail, None);
}

#[test]
fn a_batch_torn_at_its_start_is_cut_even_if_its_end_survived() {
    let (device, _) = ledger_of(&[&[record("kept")]]);
    let (mut writer, _) = LedgerWriter::open(shared(&device), options()).unwrap();
    device.lose_power_after(1);
    assert!(writer.append_batch(&[long(1500), record("b"), record("c")]).is_err());
    let mut seen = [false; 5];
    for seed in 0..300 {
        let disk = device.crash(seed);
        let torn = verify(shared(&disk)).unwrap();
        seen[torn.record_count as usize] = true;
        let (mut writer, recovered) = LedgerWriter::open(shared(&disk), options()).unwrap();
        assert_eq!(recovered.torn_tail, torn.torn_tail);
        writer.append_batch(&[record("next")]).unwrap();
        assert_eq!(verify(shared(&disk)).unwrap().record_count, torn.record_count + 1);
    }
    assert!(seen[1] && seen[4], "nothing or all of the batch survived in some crash: {seen:?}");
}

#[test]
fn every_flipped_byte_of_a_small_ledger_is_noticed() {
    let (device, ids) = ledger_of(&[
        &[record("one"), record("two")],
        &[long(1500)],
        &[long(3000), record("five")],
        &[record("six")],
    ]);
    let used_bytes = [("ledger-00000001.seg", 4096), ("ledger-00000002.seg", 3700)];
    for (name, end) in used_bytes {
        for offset in 0..end {
            for mask in [0x01, 0x80, 0xff] {
                device.flip(name, offset, mask);
                let error =
                    verify(shared(&device)).map(|summary| summary.record_count).unwrap_err();
                assert_eq!(error.code(), "ledger_corrupt", "byte {offset} of {name}: {error}");
                let opened = LedgerWriter::open(shared(&device), options());
                assert_eq!(opened.map(drop).unwrap_err().code(), "ledger_corrupt");
                device.flip(name, offset, mask);
            }
        }
    }
    let summary = verify(shared(&device)).unwrap();
    assert_eq!((summary.record_count, summary.last), (6, ids.last().copied()));
}

#[test]
fn damage_is_named_by_segment_offset_and_sequence() {
    let (device, _) = ledger_of(&[&[record("one")], &[record("two")], &[record("three")]]);
    device.flip("ledger-00000001.seg", 128 + 168 + 130, 1);
    let error = verify(shared(&device)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ledger segment ledger-00000001.seg is damaged at byte 296, where record 2 was expected: \
         it is not intact, and record 3 behind it proves that it was durable"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("The records before 2 are intact")));
}

#[test]
fn a_zeroed_record_in_the_middle_is_damage() {
    let (device, _) = ledger_of(&[&[record("one")], &[long(1000)], &[record("three")]]);
    let file = device.open("ledger-00000001.seg").unwrap();
    file.write_at(128 + 168, &[0; 1160]).unwrap();
    file.sync().unwrap();
    assert_eq!(verify(shared(&device)).unwrap_err().code(), "ledger_corrupt");
}

#[test]
fn missing_and_foreign_segments_are_refused() {
    let (device, _) = ledger_of(&[&[long(3000)], &[long(3000)], &[long(3000)]]);
    let whole = device.crash(0);
    device.remove("ledger-00000002.seg").unwrap();
    let error = verify(shared(&device)).unwrap_err();
    assert!(error.to_string().contains("ledger-00000002.seg"), "{error}");
    whole.remove("ledger-00000001.seg").unwrap();
    assert_eq!(verify(shared(&whole)).unwrap_err().code(), "ledger_corrupt");

    let other = MemoryDevice::new(1);
    let mut writer = LedgerWriter::create(shared(&other), LedgerId([8; 16]), options()).unwrap();
    writer.append_batch(&[long(3000)]).unwrap();
    writer.append_batch(&[long(3000)]).unwrap();
    let (device, _) = ledger_of(&[&[long(3000)], &[long(3000)]]);
    device.replace("ledger-00000002.seg", &other.read("ledger-00000002.seg").unwrap()).unwrap();
    assert_eq!(verify(shared(&device)).unwrap_err().code(), "ledger_foreign_segment");
}

/// Everything in the spliced pieces is intact by itself; only the chain tells.
#[test]
fn pieces_of_another_history_are_refused() {
    let history = |first: &str| ledger_of(&[&[record(first)], &[record("b")], &[long(3500)]]).0;
    let (device, other) = (history("1"), history("2"));
    let names = ["ledger-00000001.seg", "ledger-00000002.seg"];
    let [one, two] = names.map(|name| other.read(name).unwrap());

    let with_segment = device.crash(0);
    with_segment.replace(names[1], &two).unwrap();
    let error = verify(shared(&with_segment)).unwrap_err().to_string();
    assert!(error.contains("begins with record 3 and does not continue the chain"), "{error}");

    device.open(names[0]).unwrap().write_at(288, &one[288..448]).unwrap();
    let error = verify(shared(&device)).unwrap_err().to_string();
    assert!(error.contains("record 2 was expected: the record does not continue"), "{error}");

    let repeated = history("1");
    let file = repeated.open(names[0]).unwrap();
    file.write_at(448, &repeated.read(names[0]).unwrap()[288..448]).unwrap();
    let error = verify(shared(&repeated)).unwrap_err().to_string();
    assert!(error.contains("record 2 is in its place"), "{error}");
}

#[test]
fn bytes_behind_the_last_record_of_a_completed_segment_are_damage() {
    let (device, _) = ledger_of(&[&[record("one")], &[long(3800)]]);
    device.flip("ledger-00000001.seg", 2000, 1);
    let error = verify(shared(&device)).unwrap_err().to_string();
    assert!(error.contains("bytes behind the last record"), "{error}");
}

#[test]
fn a_flip_in_unused_space_costs_no_record() {
    let (device, ids) = ledger_of(&[&[record("one")]]);
    device.flip("ledger-00000001.seg", 2000, 1);
    let (_, recovered) = LedgerWriter::open(shared(&device), options()).unwrap();
    assert_eq!((recovered.last, recovered.torn_tail.is_some()), (ids.last().copied(), true));
    assert_eq!(verify(shared(&device)).unwrap().torn_tail, None);
}

#[test]
fn creating_and_opening_are_not_confused() {
    let device = MemoryDevice::new(1);
    assert!(!ledger_exists(&device).unwrap());
    let missing = LedgerWriter::open(shared(&device), options()).map(drop).unwrap_err();
    assert_eq!(missing.code(), "ledger_missing");
    drop(create(&device));
    assert!(ledger_exists(&device).unwrap());
    let exists = LedgerWriter::create(shared(&device), ID, options()).map(drop).unwrap_err();
    assert_eq!(exists.code(), "ledger_exists");
    let (writer, recovered) = LedgerWriter::open(shared(&device), options()).unwrap();
    assert_eq!(
        (writer.ledger_id(), recovered.last, writer.next_sequence()),
        (ID, None, Sequence(1))
    );
}

#[test]
fn a_batch_larger_than_a_segment_gets_a_larger_one() {
    let (device, _) = ledger_of(&[&[record("small")], &[long(100_000), record("b")]]);
    assert!(device.read("ledger-00000002.seg").unwrap().len() > 100_000);
    assert_eq!(verify(shared(&device)).unwrap().record_count, 3);
}

#[test]
fn what_is_beyond_a_limit_is_refused_and_the_writer_stays_usable() {
    let device = MemoryDevice::new(1);
    let mut writer = create(&device);
    let author = "a".repeat(256);
    let refused = writer.append_batch(&[record("fine"), NewRecord { author, ..record("") }]);
    assert_eq!(refused.unwrap_err().code(), "ledger_record_too_large");
    let refused = writer.append_batch(&vec![record(""); 65_537]).unwrap_err();
    assert_eq!(refused.to_string(), "the batch has 65537 records, the limit is 65536");
    assert_eq!(writer.append_batch(&[]).unwrap(), []);
    assert_eq!(writer.append_batch(&vec![record(""); 65_536]).unwrap().len(), 65_536);
    assert_eq!(writer.append_batch(&[record("x")]).unwrap()[0].sequence, Sequence(65_537));
    assert_eq!(verify(shared(&device)).unwrap().record_count, 65_537);
}

#[test]
fn a_payload_that_contains_a_ledger_does_not_pass_for_one() {
    let (inner, _) = ledger_of(&[&[record("1")], &[record("2")], &[record("3")], &[record("4")]]);
    let payload = inner.read("ledger-00000001.seg").unwrap();
    let (device, _) = ledger_of(&[&[NewRecord { payload, ..record("") }]]);
    let (mut writer, _) = LedgerWriter::open(shared(&device), options()).unwrap();
    let payload = inner.read("ledger-00000001.seg").unwrap();
    writer.append_batch(&[NewRecord { payload, ..record("") }, record("after")]).unwrap();
    assert_eq!(verify(shared(&device)).unwrap().record_count, 3);
}

#[test]
fn a_ledger_in_a_real_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _lock = FolderLock::acquire(folder.path()).unwrap();
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(folder.path()).unwrap());
    let mut writer = LedgerWriter::create(device.clone(), ID, LedgerOptions::default()).unwrap();
    let mut ids = writer.append_batch(&[record("one"), long(5000)]).unwrap();
    drop(writer);
    let (mut writer, recovered) =
        LedgerWriter::open(device.clone(), LedgerOptions::default()).unwrap();
    assert_eq!((recovered.last, recovered.torn_tail), (ids.last().copied(), None));
    ids.extend(writer.append_batch(&[record("three")]).unwrap());
    assert_eq!(writer.last_hash(), ids[2].hash);
    let found: Vec<_> =
        LedgerReader::open(device).unwrap().map(|record| record.unwrap().id).collect();
    assert_eq!(found, ids);
}

proptest! {
    /// Whatever is in the files, reading ends with records or an error, and never with a panic.
    #[test]
    fn arbitrary_contents_never_panic(
        edits in prop::collection::vec((0_u64..8192, any::<[u8; 24]>()), 1..6),
    ) {
        let (device, _) = ledger_of(&[&[record("one")], &[long(3500)], &[long(700), record("x")]]);
        for (offset, bytes) in edits {
            let name = ["ledger-00000001.seg", "ledger-00000002.seg"][(offset / 4096) as usize];
            device.open(name).unwrap().write_at(offset % 4096, &bytes).unwrap();
        }
        let verified = verify(shared(&device)).map(|summary| summary.record_count);
        let opened = LedgerWriter::open(shared(&device), options());
        let opened = opened.map(|(_, recovered)| recovered.last.map_or(0, |last| last.sequence.0));
        let verified = verified.map_err(|error| error.code());
        prop_assert_eq!(verified, opened.map_err(|error| error.code()));
    }
}
