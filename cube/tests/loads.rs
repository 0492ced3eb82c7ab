//! Many new rows at once are what they are in small writes, whatever their order; where something is wrong with
//! them, the write is refused as any other.

#[path = "support/tenant.rs"]
mod tenant;

use std::sync::Arc;

use cube::change::{RowsAction, RowsWrite};
use cube::limits::SEGMENT_ROWS_MAX;
use cube::model::{Consolidation, CubeDef};
use cube::value::{KeyPart, KeyType};
use cube::{CubeId, MeasureId, MemberId, ValueType, Version};
use tenant::{Tenant, amounts, dimension, measure};

const SHOPS: usize = 400;
const DAYS: usize = 500;
const ROWS: usize = SEGMENT_ROWS_MAX + 9_000;
const TEXTS: [&str; 3] = ["new", "won", "lost"];

fn tenant(key: Option<KeyType>) -> Tenant {
    let decimal = ValueType::Decimal { precision: 6, scale: 2 };
    let mut cube = amounts("sales", &["shop", "day"], key);
    cube.measures.push(measure("price", decimal, Consolidation::Sum));
    cube.measures.push(measure("state", ValueType::Text, Consolidation::None));
    cube.measures.push(measure("unused", ValueType::Integer, Consolidation::Sum));
    let cubes: Vec<CubeDef> = vec![cube];
    let mut tenant = Tenant::new(vec![dimension("shop"), dimension("day")], cubes);
    for (name, count) in [("shop", SHOPS), ("day", DAYS)] {
        let keys: Vec<String> = (0..count).map(|n| format!("{name} {n}")).collect();
        let members: Vec<_> = keys.iter().map(|key| (key.as_str(), None)).collect();
        tenant.members(name, &members).expect("members");
    }
    tenant
}

fn texts() -> Vec<Arc<str>> {
    TEXTS.map(Arc::from).to_vec()
}

/// Some rows by their numbers; every seventh has blanks.
fn rows(key: Option<KeyType>, numbers: impl Iterator<Item = usize> + Clone) -> RowsWrite {
    let part = |n: usize| match key? {
        KeyType::Text => Some(KeyPart::Text(format!("k{n:07}").into())),
        _ => Some(KeyPart::Integer(n as i64 * 3 - 1_000)),
    };
    let value = |n: usize| {
        let blank = |value: i64| Some(value).filter(|_| !n.is_multiple_of(7));
        let noise = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        [Some(noise as i64 - 9_999), blank(noise as i64 % 999_999), blank(n as i64 % 3)]
    };
    let coordinate = |n: usize| [MemberId((n / DAYS) as u32), MemberId((n % DAYS) as u32)];
    RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: (0..3).map(MeasureId).collect(),
        keys: numbers.clone().filter_map(part).collect(),
        coordinates: numbers.clone().flat_map(coordinate).collect(),
        values: numbers.flat_map(value).collect(),
    }
}

fn prepared(version: &Version, write: &RowsWrite) -> cube::Result<Version> {
    Ok(version.with_update(&version.prepare(write, &texts())?))
}

/// Rows as words, and the hash.
fn state(version: &Version) -> (Vec<String>, String) {
    let rows = version.rows(CubeId(0)).all(version.empty_rows(CubeId(0))).sorted();
    let line = |row: usize| {
        let text = rows.values[2].get(row).map(|code| version.texts.text(code).clone());
        let values = [0, 1, 3].map(|measure| rows.values[measure].get(row));
        let place = version.describe_row(CubeId(0), &rows, row);
        format!("{place} {:?} {values:?} {text:?}", rows.coordinate(row))
    };
    ((0..rows.len()).map(line).collect(), version.state_hash().to_string())
}

#[test]
fn a_load_is_what_small_writes_are() {
    for key in [None, Some(KeyType::Bigint), Some(KeyType::Text)] {
        let empty = tenant(key).version;
        let mut expected = empty.clone();
        for first in (0..ROWS).step_by(10_000) {
            let write = rows(key, first..ROWS.min(first + 10_000));
            expected = prepared(&expected, &write).expect("is written");
        }
        let expected = state(&expected);
        let shuffled = || (0..ROWS).map(|n| n * 7_919 % ROWS);
        let writes = [rows(key, 0..ROWS), rows(key, (0..ROWS).rev()), rows(key, shuffled())];
        for write in writes {
            let loaded = empty.with_new_rows(&write, &texts()).expect("all are new");
            assert!(state(&loaded) == expected, "{key:?}");
            let segments: Vec<usize> =
                loaded.rows(CubeId(0)).segments().iter().map(|view| view.live_count()).collect();
            assert_eq!(segments, [SEGMENT_ROWS_MAX, ROWS - SEGMENT_ROWS_MAX]);
            assert!(state(&prepared(&empty, &write).expect("is written")) == expected, "{key:?}");
        }
        // rows between those that are there
        let (even, odd) = (rows(key, (0..2 * ROWS).step_by(2)), (1..2 * ROWS).step_by(2));
        let half = empty.with_new_rows(&even, &texts()).expect("all are new");
        let both = half.with_new_rows(&rows(key, odd), &texts()).expect("all are new");
        let once = empty.with_new_rows(&rows(key, 0..2 * ROWS), &texts()).expect("all are new");
        assert!(state(&both) == state(&once), "{key:?}");
        assert!(half.with_new_rows(&rows(key, 0..ROWS), &texts()).is_none(), "some are there");
    }
}

#[test]
fn what_is_wrong_is_refused_as_in_any_write() {
    let wrong = |change: &dyn Fn(&mut RowsWrite)| {
        for key in [None, Some(KeyType::Bigint)] {
            let version = tenant(key).version;
            let mut write = rows(key, 0..ROWS);
            change(&mut write);
            assert!(version.with_new_rows(&write, &texts()).is_none());
            assert!(prepared(&version, &write).is_err());
        }
    };
    wrong(&|write| write.values.set(3 * 70_000 + 1, Some(1_000_000)));
    wrong(&|write| write.values.set(3 * 70_000 + 2, Some(3)));
    wrong(&|write| write.coordinates[2 * 70_000] = MemberId(9_999));
    wrong(&|write| {
        let (keys, width) = (write.keys.len() / ROWS, 2);
        if keys > 0 {
            write.keys[70_000] = write.keys[69_999].clone();
        }
        let before: Vec<MemberId> = write.coordinates[width * 69_999..width * 70_000].to_vec();
        write.coordinates[width * 70_000..width * 70_001].copy_from_slice(&before);
    });
    wrong(&|write| write.measures[0] = MeasureId(77));
    wrong(&|write| {
        write.coordinates.pop();
    });
    // cells without any value are left out, and so are not made this way
    let version = tenant(None).version;
    let mut write = rows(None, 0..ROWS);
    (0..3).for_each(|at| write.values.set(3 * 1_000 + at, None));
    assert!(version.with_new_rows(&write, &texts()).is_none());
    let written = prepared(&version, &write).expect("is written");
    assert_eq!(written.rows(CubeId(0)).row_count(), ROWS - 1);
}
