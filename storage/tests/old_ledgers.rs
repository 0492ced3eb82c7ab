//! Ledgers written by earlier releases are checked in, and still open. They are never rewritten: a
//! new format version gets a new folder beside them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use storage::{
    Device, FileDevice, KeyId, LedgerId, LedgerOptions, LedgerReader, LedgerWriter, MemoryDevice,
    NewRecord, Record, Sequence, verify,
};

const LAST_HASH: &str = "82eac32f6bb1aac6ae4afa5f228ac08f39caea19aeb3bd68f14ac9f02a37ea95";

fn folder() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests"))
        .join("tests/data/ledger-v1")
}

fn options() -> LedgerOptions {
    LedgerOptions::default().with_segment_bytes(2048)
}

/// The batches that the ledger was made of.
fn batches() -> Vec<Vec<NewRecord>> {
    let record = |number: u16, payload: Vec<u8>| NewRecord {
        time_us: 1_763_856_000_000_000 + i64::from(number),
        branch: u32::from(number % 2),
        kind: number,
        key_id: KeyId(u32::from(number / 5)),
        semantics_version: 1,
        author: "amélie".to_owned(),
        origin: format!("sql:{number}"),
        payload,
    };
    vec![
        vec![record(1, Vec::new())],
        vec![record(2, b"two".to_vec()), record(3, vec![0; 700]), record(4, b"four".to_vec())],
        vec![record(5, vec![0xa5; 1000])],
        vec![record(6, (0..=255).collect()), record(7, b"seven".to_vec())],
        vec![record(8, b"the last one".to_vec())],
    ]
}

/// A copy that may be written to.
fn copy() -> Arc<dyn Device> {
    let device = MemoryDevice::new(1);
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        device.replace(name, &fs::read(&path).unwrap()).unwrap();
    }
    Arc::new(device)
}

#[test]
fn version_1_is_read_as_it_was_written() {
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(&folder()).unwrap());
    let summary = verify(device.clone()).unwrap();
    assert_eq!((summary.segment_count, summary.record_count), (3, 8));
    assert_eq!((summary.ledger_id, summary.torn_tail), (LedgerId(*b"ledger version 1"), None));
    assert_eq!(summary.last.unwrap().hash.to_string(), LAST_HASH);
    let found: Vec<Record> = LedgerReader::open(device).unwrap().map(Result::unwrap).collect();
    let contents: Vec<_> = found.into_iter().map(|record| record.content).collect();
    assert_eq!(contents, batches().concat());
}

#[test]
fn version_1_is_appended_to() {
    let device = copy();
    let (mut writer, recovered) = LedgerWriter::open(device.clone(), options()).unwrap();
    assert_eq!(recovered.last.unwrap().hash.to_string(), LAST_HASH);
    let ids = writer.append_batch(&batches()[1]).unwrap();
    assert_eq!(ids[2].sequence, Sequence(11));
    assert_eq!(verify(device).unwrap().record_count, 11);
}

/// While version 1 is what is written, the same records give the same bytes.
#[test]
fn version_1_is_still_written_byte_for_byte() {
    let device = Arc::new(MemoryDevice::new(1));
    let id = LedgerId(*b"ledger version 1");
    let mut writer = LedgerWriter::create(device.clone(), id, options()).unwrap();
    for batch in batches() {
        writer.append_batch(&batch).unwrap();
    }
    let expected = copy();
    assert_eq!(device.list().unwrap(), expected.list().unwrap());
    for name in device.list().unwrap() {
        assert!(device.read(&name).unwrap() == expected.read(&name).unwrap(), "{name} differs");
    }
}
