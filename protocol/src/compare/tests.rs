//! Comparisons of small states, and of random ones with a comparison that looks at every cell.

use std::collections::{BTreeMap, BTreeSet};

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{CubeDef, DimensionDef, FormulaDef, ModelChange};
use cube::value::KeyPart;
use cube::{Change, DimensionId, MemberId, View};

use super::*;
use crate::branches::Lineage;

fn measure(name: &str, value_type: &str) -> cube::model::MeasureDef {
    let consolidation = if matches!(value_type, "date" | "text") { "none" } else { "sum" };
    let json =
        serde_json::json!({ "name": name, "type": value_type, "consolidation": consolidation });
    serde_json::from_value(json).unwrap()
}

fn model() -> Vec<Change> {
    let dimension: DimensionDef =
        serde_json::from_value(serde_json::json!({ "name": "rep", "key_type": "text" })).unwrap();
    let cube = |name: &str, kind, key: &[(&str, &str)]| CubeDef {
        name: name.into(),
        kind,
        description: String::new(),
        dimensions: vec!["rep".into()],
        key: (key.iter())
            .map(|(name, key_type)| {
                let json = serde_json::json!({ "name": name, "type": key_type });
                serde_json::from_value(json).unwrap()
            })
            .collect(),
        measures: vec![
            measure("amount", "decimal(12,2)"),
            measure("count", "integer"),
            measure("double", "decimal(14,3)"),
            measure("on", "date"),
            measure("note", "text"),
        ],
    };
    let formula = FormulaDef {
        target: "quota.double".into(),
        text: "amount * 2".into(),
        description: String::new(),
        at_or_above: BTreeMap::new(),
    };
    let changes = [
        ModelChange::AddDimension(dimension),
        ModelChange::AddCube(cube("quota", CubeKind::Cells, &[])),
        ModelChange::AddCube(cube("deals", CubeKind::Records, &[("deal", "integer")])),
        ModelChange::SetFormula(formula),
    ];
    let changes = changes.into_iter().map(Change::Model);
    changes.chain([members(0, &["ana", "bob", "eva", "max", "zoe"])]).collect()
}

fn members(first_new: u32, keys: &[&str]) -> Change {
    let member = |key: &&str| MemberWrite { key: (*key).into(), ..MemberWrite::default() };
    Change::Members(MembersWrite {
        dimension: DimensionId(0),
        first_new: MemberId(first_new),
        members: keys.iter().map(member).collect(),
    })
}

fn cell(member: u32, measure: u32, value: Option<i64>) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: vec![MeasureId(measure)],
        keys: Vec::new(),
        coordinates: vec![MemberId(member)],
        values: vec![value].into(),
    })
}

fn deal(key: i64, member: u32, value: Option<i64>) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(1),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: vec![KeyPart::Integer(key)],
        coordinates: vec![MemberId(member)],
        values: vec![value].into(),
    })
}

fn no_deal(key: i64) -> Change {
    Change::Rows(RowsWrite {
        cube: CubeId(1),
        action: RowsAction::Remove,
        measures: Vec::new(),
        keys: vec![KeyPart::Integer(key)],
        coordinates: Vec::new(),
        values: cube::ValueList::new(),
    })
}

fn base() -> Revision {
    let (revision, _) = Revision::default().apply(&model()).unwrap();
    let cells = [
        cell(0, 0, Some(10_000)),
        cell(1, 0, Some(20_000)),
        cell(2, 0, Some(0)),
        cell(1, 1, Some(7)),
        deal(1, 0, Some(500)),
        deal(2, 1, Some(600)),
        deal(3, 2, None),
    ];
    revision.apply(&cells).unwrap().0
}

fn after(revision: &Revision, changes: &[Change]) -> Revision {
    revision.apply(changes).unwrap().0
}

fn snapshot(revision: &Revision) -> Snapshot {
    let view = View::unrestricted(Arc::clone(&revision.version));
    Snapshot {
        view,
        plan: Arc::clone(&revision.plan),
        lineage: Lineage::default(),
        branches: Arc::default(),
    }
}

fn compared(from: &Revision, to: &Revision, options: &CompareOptions) -> Comparison {
    compare(("main", &snapshot(from)), ("whatif", &snapshot(to)), options).unwrap()
}

fn cells(comparison: &CubeComparison) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or("-".into());
    let line = |cell: &CellDifference| {
        let (from, to, difference) = (text(&cell.from), text(&cell.to), text(&cell.difference));
        format!("{} {} {from} {to} {difference}", cell.key.join(","), cell.column)
    };
    comparison.cells.iter().map(line).collect()
}

fn totals(comparison: &CubeComparison) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or("-".into());
    let line = |total: &TotalComparison| {
        let (from, to) = (text(&total.from), text(&total.to));
        format!("{} {from} {to} {}", total.measure, text(&total.difference))
    };
    comparison.totals.iter().map(line).collect()
}

/// A total of a cube may differ though no cell of it does: its ratio reads another cube.
#[test]
fn totals_of_a_ratio_differ_with_the_cube_that_it_reads() {
    let of = |name: &str, measures: Vec<cube::model::MeasureDef>| CubeDef {
        name: name.into(),
        kind: CubeKind::Cells,
        description: String::new(),
        dimensions: vec!["rep".into()],
        key: Vec::new(),
        measures,
    };
    let ratio = cube::model::MeasureDef {
        consolidation: cube::model::Consolidation::Formula,
        ..measure("share", "decimal(9,4)")
    };
    let share = FormulaDef {
        target: "share.share".into(),
        text: "quota.amount / amount".into(),
        description: String::new(),
        at_or_above: BTreeMap::new(),
    };
    let changes = [
        ModelChange::AddCube(of("share", vec![measure("amount", "decimal(12,2)"), ratio])),
        ModelChange::SetFormula(share),
    ];
    let amount = Change::Rows(RowsWrite {
        cube: CubeId(2),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: Vec::new(),
        coordinates: vec![MemberId(4)],
        values: vec![Some(60_000)].into(),
    });
    let from = after(&base(), &changes.map(Change::Model));
    let from = after(&from, &[amount]);
    let to = after(&from, &[cell(3, 0, Some(30_000))]);
    let (from, mut to) = (snapshot(&from), snapshot(&to));
    // one reader, so that what both sides share is not counted twice
    to.view.rights = Arc::clone(&from.view.rights);
    let found = compare(("main", &from), ("whatif", &to), &CompareOptions::default()).unwrap();
    let shares = found.cubes.iter().find(|cube| cube.cube == "share").unwrap();
    assert_eq!(cells(shares), [""; 0]);
    let total = shares.totals.iter().find(|total| total.measure == "share").unwrap();
    // 300 by 600, then 600 by 600
    assert_eq!((total.from.as_deref(), total.to.as_deref()), (Some("0.5000"), Some("1.0000")));
}

#[test]
fn what_is_equal_is_equal() {
    let base = base();
    let comparison = compared(&base, &base, &CompareOptions::default());
    assert!(comparison.is_equal());
    assert_eq!(totals(&comparison.cubes[0])[0], "amount 300.00 300.00 0.00");
    // the same state by another way: nothing is shared
    let again = compared(&base, &self::base(), &CompareOptions::default());
    assert!(again.is_equal(), "{again:?}");
}

#[test]
fn cells_that_differ_are_listed_largest_first() {
    let base = base();
    let changes =
        [cell(0, 0, Some(10_050)), cell(1, 0, None), cell(2, 0, None), cell(3, 1, Some(0))];
    let comparison = compared(&base, &after(&base, &changes), &CompareOptions::default());
    let [quota, deals] = &comparison.cubes[..] else { panic!("{comparison:?}") };
    let expected = [
        "bob double 400.000 - -400.000",
        "bob amount 200.00 - -200.00",
        "ana double 200.000 201.000 1.000",
        "ana amount 100.00 100.50 0.50",
        // blank is not zero
        "eva amount 0.00 - 0.00",
        "eva double 0.000 - 0.000",
        "max count - 0 0",
    ];
    assert_eq!(cells(quota), expected);
    let expected =
        ["amount 300.00 100.50 -199.50", "count 7 7 0", "double 600.000 201.000 -399.000"];
    assert_eq!(totals(quota), expected);
    let counts = (quota.rows_only_in_from, quota.rows_only_in_to, quota.rows_changed);
    assert_eq!((counts, quota.cells_differing), ((1, 1, 2), 7));
    assert!(deals.is_equal() && deals.cells.is_empty());
}

#[test]
fn a_tolerance_hides_what_is_within_and_a_limit_says_how_many_there_are() {
    let base = base();
    let changes = [cell(0, 0, Some(10_050)), cell(1, 0, Some(20_001)), cell(3, 3, Some(100))];
    let to = after(&base, &changes);
    let listed = |tolerance: &str, limit: usize, measure: Option<&str>| {
        let tolerance = Number::parse(tolerance).unwrap();
        let (cube, measure) = (Some("quota".into()), measure.map(String::from));
        let options = CompareOptions { cube, measure, tolerance, limit };
        let quota = compared(&base, &to, &options).cubes.remove(0);
        (quota.cells_differing, quota.cells_beyond_tolerance, cells(&quota))
    };
    let ana = "ana amount 100.00 100.50 0.50".to_owned();
    // dates are no numbers: they differ or not
    let max = "max on - 1970-04-11 -".to_owned();
    assert_eq!(listed("0", 0, None), (5, 5, vec![]));
    assert_eq!(listed("0", 1, Some("amount")), (2, 2, vec![ana.clone()]));
    assert_eq!(listed("0.01", 9, Some("amount")), (2, 1, vec![ana.clone()]));
    assert_eq!(listed("0.5", 9, Some("amount")), (2, 0, vec![]));
    assert_eq!(listed("0.4999999999999999999999", 9, Some("amount")), (2, 1, vec![ana]));
    assert_eq!(listed("1e30", 9, None), (5, 1, vec![max]));
}

#[test]
fn rows_come_go_move_and_change() {
    let base = base();
    let changes = [no_deal(1), deal(2, 0, Some(650)), deal(3, 2, Some(1)), deal(4, 4, None)];
    let comparison = compared(&base, &after(&base, &changes), &CompareOptions::default());
    let deals = &comparison.cubes[1];
    let expected = [
        "1 amount 5.00 - -5.00",
        "2 amount 6.00 6.50 0.50",
        "3 amount - 0.01 0.01",
        "2 rep bob ana -",
    ];
    assert_eq!(cells(deals), expected);
    let counts = (deals.rows_only_in_from, deals.rows_only_in_to, deals.rows_changed);
    assert_eq!((counts, deals.key_columns.clone()), ((1, 1, 2), vec!["deal".to_owned()]));
}

/// The note of a cell; the text lies behind others, so that its position says nothing.
fn noted(member: u32, text: Option<&str>) -> Vec<Change> {
    let table = ["unused".into()].into_iter().chain(text.map(Into::into)).collect();
    vec![Change::Texts(table), cell(member, 4, text.map(|_| 1))]
}

#[test]
fn texts_are_compared_by_what_they_say() {
    let base = after(&base(), &noted(0, Some("as planned")));
    // each side meets the texts in another order, so that its codes for them are others
    let ours = after(&after(&base, &noted(1, Some("late"))), &noted(2, Some("open")));
    let theirs = after(&after(&base, &noted(2, Some("open"))), &noted(1, Some("late")));
    assert!(compared(&ours, &theirs, &CompareOptions::default()).is_equal());
    let theirs = after(&theirs, &noted(0, Some("late")));
    let theirs = after(&after(&theirs, &noted(1, None)), &noted(3, Some("")));
    let tolerance = Number::parse("1000").unwrap();
    let options = CompareOptions { tolerance, ..CompareOptions::default() };
    let comparison = compared(&ours, &theirs, &options);
    let expected = ["ana note as planned late -", "bob note late - -", "max note -  -"];
    assert_eq!(cells(&comparison.cubes[0]), expected);
    assert_eq!(comparison.cubes[0].totals.len(), 3);
}

#[test]
fn members_that_only_one_side_has_are_told_apart_by_key() {
    let base = base();
    let ours =
        after(&base, &[members(5, &["kim", "lee"]), cell(5, 0, Some(1)), cell(6, 0, Some(2))]);
    let theirs =
        after(&base, &[members(5, &["lee", "pat"]), cell(5, 0, Some(2)), cell(6, 0, Some(3))]);
    let options = CompareOptions { measure: Some("amount".into()), ..CompareOptions::default() };
    let comparison = compared(&ours, &theirs, &options);
    assert_eq!(cells(&comparison.cubes[0]), ["pat amount - 0.03 0.03", "kim amount 0.01 - -0.01"]);
}

#[test]
fn definitions_that_differ_are_named() {
    let base = base();
    let formula = |text: &str| {
        Change::Model(ModelChange::SetFormula(FormulaDef {
            target: "quota.double".into(),
            text: text.into(),
            description: String::new(),
            at_or_above: BTreeMap::new(),
        }))
    };
    let measure =
        ModelChange::AddMeasure { cube: "deals".into(), measure: measure("x", "integer") };
    let (cube, name, unit) = ("quota".into(), "amount".into(), "EUR".into());
    let unit = ModelChange::SetUnit { cube, measure: name, unit };
    let changes = [formula("amount * 3"), Change::Model(measure), Change::Model(unit)];
    let to = after(&base, &changes);
    let comparison = compared(&base, &to, &CompareOptions::default());
    let expected = [
        "measure deals.x only in whatif",
        "unit of quota.amount: main: no unit; whatif: EUR",
        "rule quota.double: main: amount * 2; whatif: amount * 3",
    ];
    assert_eq!(comparison.model, expected);
    let quota = &comparison.cubes[0];
    assert_eq!(totals(quota)[2], "double 600.000 900.000 300.000");
    assert_eq!(cells(quota)[0], "bob double 400.000 600.000 200.000");
}

#[test]
fn what_cannot_be_compared_says_why() {
    let base = base();
    let of = |cube: Option<&str>, measure: Option<&str>, tolerance: &str| {
        let (cube, measure) = (cube.map(String::from), measure.map(String::from));
        let tolerance = Number::parse(tolerance).unwrap();
        let options = CompareOptions { cube, measure, tolerance, limit: 1 };
        let base = snapshot(&base);
        compare(("main", &base), ("main", &base), &options).unwrap_err().sqlstate
    };
    assert_eq!(of(Some("quote"), None, "0"), "42704");
    assert_eq!(of(Some("quota"), Some("amont"), "0"), "42704");
    assert_eq!(of(None, Some("amont"), "0"), "42704");
    assert_eq!(of(None, None, "-1"), "22023");
}

/// A small generator of random numbers: the same ones at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }

    fn change(&mut self) -> Change {
        let value = (self.below(4) > 0).then(|| i64::from(self.below(5)));
        match self.below(4) {
            0 => no_deal(i64::from(self.below(30))),
            1 => cell(self.below(5), self.below(2), value),
            _ => deal(i64::from(self.below(30)), self.below(5), value),
        }
    }
}

/// Every deal: key to representative and amount.
fn all_deals(revision: &Revision) -> BTreeMap<String, (u32, Option<i64>)> {
    let version = &revision.version;
    let rows = version.rows(CubeId(1)).all(version.empty_rows(CubeId(1)));
    let deal = |row: usize| {
        let KeyPart::Integer(key) = rows.keys[0][row] else { panic!("a number") };
        (key.to_string(), (rows.coordinates[0][row].0, rows.values[0].get(row)))
    };
    (0..rows.len()).map(deal).collect()
}

#[test]
fn sharing_hides_nothing() {
    let mut random = Random(7);
    for _ in 0..60 {
        let mut fork = base();
        for _ in 0..random.below(40) {
            fork = after(&fork, &[random.change()]);
        }
        let [mut ours, mut theirs] = [fork.clone(), fork];
        for _ in 0..random.below(12) {
            ours = after(&ours, &[random.change()]);
            theirs = after(&theirs, &[random.change()]);
        }
        let options = CompareOptions { cube: Some("deals".into()), ..CompareOptions::default() };
        let comparison = compared(&ours, &theirs, &options);
        let found: BTreeSet<String> =
            comparison.cubes[0].cells.iter().map(|cell| cell.key[0].clone()).collect();
        let (left, right) = (all_deals(&ours), all_deals(&theirs));
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        let is_blank = |deal: Option<&(u32, Option<i64>)>| deal.is_none_or(|deal| deal.1.is_none());
        let differ = keys.into_iter().filter(|key| {
            let (a, b) = (left.get(*key), right.get(*key));
            // a row without values that only one has is counted and has no cell to list
            a != b && !(a.is_none() != b.is_none() && is_blank(a) && is_blank(b))
        });
        assert_eq!(found, differ.cloned().collect());
        let naive = |deals: &BTreeMap<String, (u32, Option<i64>)>| {
            let sum: i64 = deals.values().filter_map(|deal| deal.1).sum();
            let some = deals.values().any(|deal| deal.1.is_some());
            some.then(|| format_scaled(i128::from(sum), 2))
        };
        let total = &comparison.cubes[0].totals[0];
        assert_eq!((&total.from, &total.to), (&naive(&left), &naive(&right)));
    }
}
