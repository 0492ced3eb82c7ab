//! An error is an error of the cells whose own value needs it, and of no other. The table says for each formula
//! what a hand finds at three cells; the cells are written before the formula and after it, alone and together.

#[path = "support/shop.rs"]
mod shop;

use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{CubeKind, ModelChange};
use cube::value::KeyType;
use cube::{Change, CubeId, DimensionId, MeasureId, MemberId};

/// What is found at a cell, in stored digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Is(i64),
    Blank,
    Error,
}

use Found::{Blank, Error, Is};

/// The cells: `a` and `b` of each.
const CELLS: [(&str, Option<i64>, Option<i64>); 3] = [
    ("both", Some(40_000), Some(20_000)),
    ("only_a", Some(40_000), None),
    ("only_b", None, Some(20_000)),
];

/// A root of `a` is an error where `a` has a value.
const TABLE: &[(&str, [Found; 3])] = &[
    ("(a ^ 0.5) * b", [Error, Blank, Blank]),
    ("b / (a ^ 0.5)", [Error, Blank, Blank]),
    ("(a ^ 0.5) + b", [Error, Error, Is(20_000)]),
    ("MIN(a ^ 0.5, b)", [Error, Error, Is(20_000)]),
    ("IF(b > 1, b, a ^ 0.5)", [Is(20_000), Error, Is(20_000)]),
    ("IF(b > 1, a ^ 0.5, b)", [Error, Blank, Blank]),
    ("IF(a ^ 0.5 > 1, a, b)", [Error, Error, Is(20_000)]),
    ("SWITCH(b, 2, b, a ^ 0.5, b, a)", [Is(20_000), Error, Is(20_000)]),
    ("b ?? (a ^ 0.5)", [Is(20_000), Error, Is(20_000)]),
    ("(a ^ 0.5) ?? b", [Error, Error, Is(20_000)]),
    ("(a ^ 0.5)[FILTER: b > 1]", [Error, Blank, Blank]),
    ("(a ^ 0.5)[EXCLUDE: b > 1]", [Blank, Error, Blank]),
    ("b[FILTER: a ^ 0.5 > 1]", [Error, Blank, Blank]),
    ("IF(b > 5 AND a ^ 0.5 > 1, 1, b)", [Is(20_000), Error, Is(20_000)]),
    ("IF(b > 1 OR a ^ 0.5 > 1, 1, 0)", [Is(10_000), Error, Is(10_000)]),
    ("IF(b IN (2, a ^ 0.5), 1, 0)", [Is(10_000), Error, Is(10_000)]),
    ("IF(a ^ 0.5 < b, 1, 0)", [Error, Is(0), Is(0)]),
    ("IF(a ^ 0.5 = b, 1, 0)", [Error, Error, Is(0)]),
    ("SAFEDIV(b, a ^ 0.5)", [Error, Blank, Is(0)]),
    ("SAFEDIV(b, 2, a ^ 0.5)", [Is(10_000), Blank, Is(10_000)]),
    ("SAFEDIV(b, 0, a ^ 0.5)", [Error, Blank, Blank]),
    ("CAP(b, a ^ 0.5)", [Error, Blank, Is(20_000)]),
    ("FILL(b, a ^ 0.5)", [Is(20_000), Error, Is(20_000)]),
    ("FILL(a ^ 0.5, b)", [Error, Error, Is(0)]),
    ("a * 100000000000000", [Error, Error, Blank]),
    ("IF(b > 1, b, a * 100000000000000)", [Is(20_000), Error, Is(20_000)]),
    // what is elsewhere: a root at another member, or at all of them
    ("(a ^ 0.5)[REMOVE SUM: item] * 0 + b", [Error, Blank, Error]),
    ("(a ^ 0.5)[SELECT: item = \"only_b\"] + b", [Is(20_000), Blank, Is(20_000)]),
    ("CUMULATE(a ^ 0.5, item)", [Error, Error, Error]),
    ("FILLFORWARD(b[FILTER: a ^ 0.5 > 1] ?? 3 * b, item)", [Error, Error, Is(60_000)]),
];

fn model() -> Revision {
    let item = shop::dimension("item", KeyType::Text, None);
    let items =
        CELLS.iter().map(|(key, ..)| MemberWrite { key: (*key).into(), ..MemberWrite::default() });
    let members = MembersWrite {
        dimension: DimensionId(0),
        first_new: MemberId(0),
        members: items.collect(),
    };
    let changes = [
        Change::Model(ModelChange::AddDimension(item)),
        Change::Model(ModelChange::AddCube(shop::cube(
            "plan",
            CubeKind::Cells,
            &["item"],
            &["a", "b", "x"],
        ))),
        Change::Members(members),
    ];
    Revision::default().apply(&changes).expect("the model is right").0
}

fn write(cells: &[usize]) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: vec![MeasureId(0), MeasureId(1)],
        keys: Vec::new(),
        coordinates: cells.iter().map(|&cell| MemberId(cell as u32)).collect(),
        values: cells.iter().flat_map(|&cell| [CELLS[cell].1, CELLS[cell].2]).collect(),
    })
}

fn set(text: &str) -> Change {
    Change::Model(ModelChange::SetFormula(shop::formula("plan.x", text)))
}

/// The values of `x` by cell, or the cell of the error.
fn results(changes: &[Change]) -> Result<[Found; 3], String> {
    let mut revision = model();
    for change in changes {
        match revision.apply(std::slice::from_ref(change)) {
            Ok((next, _)) => revision = next,
            Err(CalcError::Cell { target, place, .. }) => {
                assert_eq!(target, "plan.x");
                return Err(place);
            }
            Err(other) => panic!("{other}"),
        }
    }
    let version = &revision.version;
    let rows = version.rows(CubeId(0)).all(version.empty_rows(CubeId(0)));
    let mut found = [Blank; 3];
    for row in 0..rows.len() {
        let cell = rows.coordinate(row)[0].idx();
        found[cell] = rows.values[2].get(row).map_or(Blank, Is);
    }
    Ok(found)
}

#[test]
fn errors_are_those_of_the_cells_that_need_them() {
    for (text, expected) in TABLE {
        let failing = (0..3).find(|&cell| expected[cell] == Error);
        let all = match failing {
            None => Ok(*expected),
            Some(cell) => Err(format!("(item={})", CELLS[cell].0)),
        };
        let cell_of = |found: Result<[Found; 3], String>| {
            found.map_err(|place| place.split(", from ").next().unwrap_or_default().to_string())
        };
        let ways = [
            vec![write(&[0, 1, 2]), set(text)],
            vec![write(&[2, 1, 0]), set(text)],
            vec![set(text), write(&[0, 1, 2])],
            vec![set(text), write(&[2, 0, 1])],
        ];
        for way in ways {
            assert_eq!(cell_of(results(&way)), all, "{text}");
        }
    }
}

#[test]
fn an_error_elsewhere_names_the_cell_and_where_it_comes_from() {
    let error = results(&[write(&[0, 1, 2]), set("a * 0 + PREVIOUS(a ^ 0.5, item)")]);
    assert_eq!(error, Err("(item=only_a), from (item=both)".into()));
    // the first of all that count, whatever the order in which they were written
    for cells in [[0, 1], [1, 0]] {
        let error = results(&[write(&cells), set("b * (a ^ 0.5)[REMOVE SUM: item]")]);
        assert_eq!(error, Err("(item=both), from (item=both)".into()));
    }
}

#[test]
fn a_change_is_judged_by_what_it_leaves() {
    let text = "a ^ b";
    let change = |measure: u32, value: i64| {
        Change::Rows(RowsWrite {
            cube: CubeId(0),
            action: RowsAction::Set,
            measures: vec![MeasureId(measure)],
            keys: Vec::new(),
            coordinates: vec![MemberId(0)],
            values: vec![Some(value)].into(),
        })
    };
    let base = model().apply(&[set(text), write(&[0])]).expect("4 squared").0;
    assert!(base.apply(&[change(1, 5_000)]).is_err(), "a root");
    let (both, _) = base
        .apply(&[change(1, 5_000), change(0, 90_000), change(1, 30_000)])
        .expect("9 to the third");
    let rows = both.version.rows(CubeId(0)).all(both.version.empty_rows(CubeId(0)));
    assert_eq!(rows.values[2].get(0), Some(7_290_000));
}

#[test]
fn what_leads_elsewhere_cannot_fail() {
    let base = model().apply(&[write(&[0, 1, 2])]).expect("inputs").0;
    let text = "LOOKUP(a, item: IF(b ^ 0.5 > 1, item)) + b";
    let error = base.apply(&[set(text)]).expect_err("a root may fail");
    assert!(error.to_string().contains("must always have an answer"), "{error}");
    assert_eq!(
        error.hint().as_deref(),
        Some("put it into a measure of its own and name that here")
    );
}
