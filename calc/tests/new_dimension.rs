//! Formulas of a cube that gets a dimension while it has rows, and of those that read it: as if the dimension had
//! always been there.

#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeMap;

use calc::Revision;
use cube::change::{RowsAction, RowsWrite};
use cube::model::{CubeKind, ModelChange};
use cube::value::KeyType;
use cube::{Change, CubeId, MeasureId, MemberId};
use shop::{cube, dimension, formula};

const PRODUCTS: [&str; 3] = ["road", "city", "bell"];
const PLAN: CubeId = CubeId(0);

fn members(dimension: u32, keys: &[&str]) -> Change {
    let member =
        |key: &&str| cube::change::MemberWrite { key: String::from(*key), ..Default::default() };
    Change::Members(cube::change::MembersWrite {
        dimension: cube::DimensionId(dimension),
        first_new: MemberId(0),
        members: keys.iter().map(member).collect(),
    })
}

/// Products and scenarios, a plan of amounts and costs with formulas, and prices and totals beside it.
fn shop(plan: &[&str], rules: &[(&str, &str)]) -> Revision {
    let definitions = [
        ModelChange::AddDimension(dimension("product", KeyType::Text, None)),
        ModelChange::AddDimension(dimension("scenario", KeyType::Text, None)),
        ModelChange::AddCube(cube(
            "plan",
            CubeKind::Cells,
            plan,
            &["amount", "profit", "share", "revenue"],
        )),
        ModelChange::AddCube(cube("price", CubeKind::Cells, &["product"], &["value"])),
        ModelChange::AddCube(cube("total", CubeKind::Cells, &["product"], &["amount", "double"])),
    ];
    let formulas =
        rules.iter().map(|(target, text)| ModelChange::SetFormula(formula(target, text)));
    let mut changes: Vec<Change> =
        definitions.into_iter().chain(formulas).map(Change::Model).collect();
    changes.push(members(0, &PRODUCTS));
    changes.push(members(1, &["budget", "actual"]));
    changes.push(cells(CubeId(1), &[&[0], &[1], &[2]], &[20_000, 30_000, 50_000]));
    Revision::default().apply(&changes).expect("it is valid").0
}

fn cells(cube: CubeId, at: &[&[u32]], values: &[i64]) -> Change {
    Change::Rows(RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: Vec::new(),
        coordinates: at.iter().flat_map(|row| row.iter().copied().map(MemberId)).collect(),
        values: values.iter().copied().map(Some).collect(),
    })
}

const RULES: [(&str, &str); 5] = [
    ("plan.profit", "amount - 1"),
    ("plan.share", "amount / amount[REMOVE SUM: product]"),
    ("plan.revenue", "amount * price.value"),
    ("total.amount", "plan.amount"),
    ("total.double", "amount * 2"),
];
/// What the totals are of when the plan has scenarios.
const OF_ALL_SCENARIOS: (&str, &str) = ("total.amount", "plan.amount[REMOVE SUM: scenario]");

/// All values of all cubes, by cube, measure and coordinate.
fn values(revision: &Revision) -> BTreeMap<(usize, usize, Vec<u32>), i64> {
    let mut values = BTreeMap::new();
    for at in 0..revision.version.cubes.len() {
        let id = CubeId::from_idx(at);
        let rows = revision.version.rows(id).all(revision.version.empty_rows(id));
        for row in 0..rows.len() {
            let coordinate: Vec<u32> = rows.coordinate(row).iter().map(|member| member.0).collect();
            for (measure, column) in rows.values.iter().enumerate() {
                if let Some(value) = column.get(row) {
                    values.insert((at, measure, coordinate.clone()), value);
                }
            }
        }
    }
    values
}

fn more(member: &str) -> ModelChange {
    ModelChange::AddCubeDimension {
        cube: "plan".into(),
        dimension: "scenario".into(),
        member: Some(member.into()),
    }
}

fn apply(revision: &Revision, changes: &[Change]) -> Revision {
    revision.apply(changes).unwrap_or_else(|error| panic!("{error}")).0
}

#[test]
fn formulas_are_as_if_the_dimension_had_always_been_there() {
    let amounts = [10_000, 20_000, 70_000];
    let old = shop(&["product"], &RULES);
    let old = apply(&old, &[cells(PLAN, &[&[0], &[1], &[2]], &amounts)]);
    let kept = values(&old);
    let (target, text) = OF_ALL_SCENARIOS;
    let both = [more("actual"), ModelChange::SetFormula(formula(target, text))];
    let mut widened = apply(&old, &both.map(Change::Model));
    let mut rules = RULES;
    rules[3] = OF_ALL_SCENARIOS;
    let mut born = shop(&["product", "scenario"], &rules);
    born = apply(&born, &[cells(PLAN, &[&[0, 1], &[1, 1], &[2, 1]], &amounts)]);
    assert_eq!(values(&widened), values(&born));
    // then both go on alike
    for write in [
        cells(PLAN, &[&[0, 0], &[1, 0]], &[40_000, 60_000]),
        cells(PLAN, &[&[2, 1]], &[80_000]),
        cells(CubeId(1), &[&[0]], &[25_000]),
    ] {
        widened = apply(&widened, std::slice::from_ref(&write));
        born = apply(&born, &[write]);
        assert_eq!(values(&widened), values(&born));
    }
    // who reads the state before goes on to
    assert_eq!(values(&old), kept);
}

#[test]
fn a_formula_that_does_not_fit_any_more_is_named_unless_it_changes_too() {
    let rules = [("total.amount", "plan.amount"), ("total.double", "amount * 2")];
    let old = shop(&["product"], &rules);
    let old = apply(&old, &[cells(PLAN, &[&[0]], &[10_000])]);
    let error = old.apply(&[Change::Model(more("actual"))]).expect_err("scenario is left over");
    assert!(error.to_string().contains("scenario"), "{error}");
    let fitting = formula(OF_ALL_SCENARIOS.0, OF_ALL_SCENARIOS.1);
    // in whichever order
    let both = [ModelChange::SetFormula(fitting), more("actual")].map(Change::Model);
    let widened = apply(&old, &both);
    assert_eq!(values(&widened)[&(2, 1, vec![0])], 20_000);
}
