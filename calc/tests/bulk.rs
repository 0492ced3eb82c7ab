//! A load of several full segments, in one batch and in many, with one thread and with eight: the
//! formulas of every row and the sums of every cell are those of a plain loop.

#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeMap;

use calc::Revision;
use cube::change::{RowsAction, RowsWrite};
use cube::limits::SEGMENT_ROWS_MAX;
use cube::value::KeyPart;
use cube::{Change, CubeId, MeasureId, MemberId};
use shop::{QUOTA, SALES, Shop, listed};

const AMOUNT: MeasureId = MeasureId(0);
const COMMISSION: usize = 4;
const EMPLOYEES: [(&str, Option<i64>); 3] =
    [("ann", Some(500)), ("bob", Some(1_000)), ("eve", None)];
const DAYS: [&str; 4] = ["2012-02-29", "2012-03-01", "2012-03-31", "2012-12-31"];

/// Employee, day and amount of a row.
fn row(idx: usize) -> (usize, usize, i64) {
    (idx % 3, idx / 7 % 4, (idx as i64 * 7_919) % 100_003 - 50_000)
}

fn write(shop: &Shop, rows: impl Iterator<Item = usize> + Clone) -> Change {
    let version = &shop.revision.version;
    let cube = version.model.cube(SALES).expect("it exists");
    let dimensions = &version.model.cube_def(cube).dimensions;
    let find = |position: usize, key: &str| {
        version.dimension(dimensions[position]).find(key).expect("it exists")
    };
    let employees: Vec<MemberId> = EMPLOYEES.iter().map(|(key, _)| find(0, key)).collect();
    let days: Vec<MemberId> = DAYS.iter().map(|day| find(1, day)).collect();
    let product = find(2, "bike");
    let coordinate = |idx| [employees[row(idx).0], days[row(idx).1], product];
    Change::Rows(RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: vec![AMOUNT],
        keys: rows.clone().map(|idx| KeyPart::Text(format!("s{idx:07}").into())).collect(),
        coordinates: rows.clone().flat_map(coordinate).collect(),
        values: rows.map(|idx| Some(row(idx).2)).collect(),
    })
}

/// `value * rate` at scale 4, rounded half-even.
fn commission(amount: i64, rate: i64) -> i64 {
    let (product, unit) = (i128::from(amount) * i128::from(rate), 10_000);
    let (floor, rest) = (product.div_euclid(unit), product.rem_euclid(unit));
    let up = rest * 2 > unit || (rest * 2 == unit && floor % 2 != 0);
    i64::try_from(floor + i128::from(up)).expect("it fits")
}

fn check_rows(revision: &Revision, cube: CubeId, count: usize) {
    let version = &revision.version;
    let rows = version.rows(cube).all(version.empty_rows(cube));
    assert_eq!(rows.len(), count);
    for at in 0..count {
        let KeyPart::Text(key) = &rows.keys[0][at] else { panic!("keys are texts") };
        let (employee, _, amount) = row(key[1..].parse().expect("a number"));
        let expected = EMPLOYEES[employee].1.map(|rate| commission(amount, rate));
        assert_eq!(rows.values[COMMISSION].get(at), expected, "{key}");
    }
}

#[test]
fn a_bulk_load_computes_every_row_and_cell() {
    let count = 2 * SEGMENT_ROWS_MAX + 5_000;
    let mut sums: BTreeMap<(usize, usize), i64> = BTreeMap::new();
    for (employee, day, amount) in (0..count).map(row) {
        *sums.entry((employee, day)).or_default() += amount;
    }
    let mut hashes = Vec::new();
    for (threads, batches) in [(1, 1), (8, 1), (2, 9)] {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        let mut shop = Shop::new();
        for batch in 0..batches {
            let change = write(&shop, (0..count).rev().filter(|idx| idx % batches == batch));
            let (revision, ran) = pool.install(|| shop.revision.apply(&[change])).expect("it fits");
            shop.revision = revision;
            let cells = listed(ran).into_iter().find(|(target, _)| target == "quota.actual_sales");
            assert!(cells.expect("it ran").1 <= 12, "each cell runs once a batch");
        }
        for (&(employee, day), &sum) in &sums {
            let keys = [EMPLOYEES[employee].0, DAYS[day]];
            assert_eq!(shop.value(QUOTA, &keys, "actual_sales"), Some(sum), "{keys:?}");
        }
        check_rows(
            &shop.revision,
            shop.revision.version.model.cube(SALES).expect("it exists"),
            count,
        );
        hashes.push(shop.revision.version.state_hash().to_string());
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}
