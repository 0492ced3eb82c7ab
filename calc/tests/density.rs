//! Formulas that would fill far more cells than there is room for: each is refused before it takes memory, by
//! name, with the number of cells, and with what to do.

#[path = "support/shop.rs"]
mod shop;

use std::time::{Duration, Instant};

use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{CubeKind, ModelChange};
use cube::value::KeyType;
use cube::{AttributeId, Change, CubeId, DimensionId, MeasureId, MemberId, Scalar};

/// Members of each dimension: three of them span 27 milliards of cells.
const MEMBERS: u32 = 3_000;
const ALL: usize = 27_000_000_000;
const DIMENSIONS: [&str; 3] = ["store", "item", "day"];

/// A value for every member of each dimension, and few in a cube of all three.
fn model() -> Revision {
    let mut changes = Vec::new();
    for name in DIMENSIONS {
        let dimension = shop::dimension(name, KeyType::Text, Some("size"));
        changes.push(Change::Model(ModelChange::AddDimension(dimension)));
    }
    for (at, name) in DIMENSIONS.iter().enumerate() {
        let cube = shop::cube(&format!("by_{name}"), CubeKind::Cells, &[name], &["a"]);
        changes.push(Change::Model(ModelChange::AddCube(cube)));
        let member = |idx: u32| MemberWrite {
            key: format!("{name}{idx}"),
            attributes: vec![(AttributeId(0), Some(Scalar::Stored(10_000)))],
            ..MemberWrite::default()
        };
        changes.push(Change::Members(MembersWrite {
            dimension: DimensionId(at as u32),
            first_new: MemberId(0),
            members: (0..MEMBERS).map(member).collect(),
        }));
    }
    let target = shop::cube("target", CubeKind::Cells, &DIMENSIONS, &["b", "x", "y"]);
    changes.push(Change::Model(ModelChange::AddCube(target)));
    for cube in 0..3 {
        changes.push(Change::Rows(RowsWrite {
            cube: CubeId(cube),
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: Vec::new(),
            coordinates: (0..MEMBERS).map(MemberId).collect(),
            values: vec![Some(10_000); MEMBERS as usize].into(),
        }));
    }
    let diagonal = (0..MEMBERS).flat_map(|at| [MemberId(at), MemberId(at), MemberId(at)]);
    changes.push(Change::Rows(RowsWrite {
        cube: CubeId(3),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: Vec::new(),
        coordinates: diagonal.collect(),
        values: vec![Some(10_000); MEMBERS as usize].into(),
    }));
    Revision::default().apply(&changes).expect("the model is right").0
}

fn set(revision: &Revision, text: &str) -> Result<Revision, CalcError> {
    let formula = shop::formula("target.x", text);
    Ok(revision.apply(&[Change::Model(ModelChange::SetFormula(formula))])?.0)
}

/// Formulas, and how many cells each would fill where that is one number.
const HOSTILE: &[(&str, Option<usize>)] = &[
    ("by_store.a[ADD CONSTANT: item, day]", Some(ALL)),
    ("by_store.a[ADD CONSTANT: item][ADD CONSTANT: day]", Some(ALL)),
    ("by_store.a[ADD SPLIT: item, day]", Some(ALL)),
    ("by_store.a[ADD SPLIT: item, day BY by_item.a * by_day.a]", Some(ALL)),
    ("by_store.a[ADD WEIGHT: item, day BY item.size]", Some(ALL)),
    ("by_store.a * by_item.a * by_day.a", Some(ALL)),
    ("ALLOCATE(by_store.a, by_store.a * by_item.a * by_day.a)", None),
    ("FILL(b, by_store.a[ADD CONSTANT: item, day])", Some(ALL)),
    ("b + by_store.a[ADD CONSTANT: item, day]", Some(ALL)),
    ("IF(b > 0, b, by_store.a[ADD CONSTANT: item, day])", Some(ALL)),
    ("by_store.a[ADD CONSTANT: item, day][REMOVE SUM: day][ADD CONSTANT: day]", Some(ALL)),
    ("b[REMOVE SUM: item, day][ADD CONSTANT: item, day]", Some(ALL)),
    ("(by_store.a * by_item.a)[ADD CONSTANT: day]", Some(ALL)),
    (
        "CUMULATE(CUMULATE(b, item), day)[SELECT: store + 1] * CUMULATE(by_store.a[ADD CONSTANT: item, day], day)",
        None,
    ),
    ("CUMULATE(CUMULATE(CUMULATE(b, store), item), day)", None),
    ("FILLFORWARD(FILLFORWARD(b, day), item)", None),
    ("MOVINGSUM(MOVINGSUM(b, 2999, day), 2999, item)", None),
    ("PREVIOUS(by_store.a[ADD CONSTANT: item, day], day)", Some(ALL)),
    ("RANK(by_store.a * by_item.a * by_day.a, day)", Some(ALL)),
];

#[test]
fn what_would_fill_too_much_is_refused_at_once() {
    let revision = model();
    for (text, count) in HOSTILE {
        let start = Instant::now();
        match set(&revision, text) {
            Err(error @ CalcError::TooManyCells { .. }) => {
                let CalcError::TooManyCells { target, count: found, .. } = &error else { continue };
                assert_eq!(target, "target.x");
                assert!(count.is_none_or(|count| count == *found), "{text}: {error}");
                assert!(error.hint().is_some_and(|hint| hint.contains("narrower")));
                println!("{text}: {error} after {:?}", start.elapsed());
            }
            Err(error) => panic!("{text}: {error}"),
            Ok(_) => panic!("{text} fills nothing"),
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{text}: {:?}", start.elapsed());
    }
}

/// What ranges have in common is counted once: a running sum over a line of values fills the line.
#[test]
fn a_running_sum_fills_its_lines() {
    let mut revision = model();
    // 4 stores with a value on each day of one item: 4 times 3000 * 3000 / 2 ranges, 12000 cells
    let coordinates = (0..4).flat_map(|store| {
        (0..MEMBERS).flat_map(move |day| [MemberId(store), MemberId(0), MemberId(day)])
    });
    let write = RowsWrite {
        cube: CubeId(3),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: Vec::new(),
        coordinates: coordinates.collect(),
        values: vec![Some(10_000); 4 * MEMBERS as usize].into(),
    };
    revision = revision.apply(&[Change::Rows(write)]).expect("inputs").0;
    let filled = set(&revision, "CUMULATE(b[FILTER: item = \"item0\"], day)").expect("few cells");
    let rows = filled.version.rows(CubeId(3)).all(filled.version.empty_rows(CubeId(3)));
    let sums = (0..rows.len()).filter_map(|row| {
        let value = rows.values[1].get(row)?;
        assert_eq!(rows.coordinate(row)[1], MemberId(0));
        Some((rows.coordinate(row)[2].0, value))
    });
    let mut count = 0;
    for (day, sum) in sums {
        assert_eq!(sum, i64::from(day + 1) * 10_000);
        count += 1;
    }
    assert_eq!(count, 4 * MEMBERS);
}
