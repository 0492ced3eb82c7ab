//! A formula on a member is, at every grain, the formula over totals: a price is net sales by units of
//! the year, not the sum of the months' prices.

#[path = "support/shop.rs"]
mod shop;

use calc::explain::{CellRef, Options, Place, explain};
use calc::{Measured, Query, Revision, run};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{CubeKind, HierarchyDef, HierarchyKind, ModelChange};
use cube::rollup::{Axis, Filter, Grain};
use cube::value::KeyType;
use cube::{
    AttributeId, Change, CubeId, DimensionId, HierarchyId, MeasureId, MemberId, Scalar, View,
};
use cube::{ValueType, model};

const GROSS: MemberId = MemberId(1);
const DISCOUNT: MemberId = MemberId(2);
const UNITS: MemberId = MemberId(3);
const PRICE: MemberId = MemberId(4);

/// net = gross - discount; price = net / units. Two regions.
fn ledger() -> Revision {
    ledger_of(&[
        (GROSS, 0, 1000),
        (DISCOUNT, 0, 100),
        (UNITS, 0, 9),
        (GROSS, 1, 600),
        (DISCOUNT, 1, 0),
        (UNITS, 1, 1),
    ])
}

/// The same of some values: account, region, value.
fn ledger_of(values: &[(MemberId, u32, i64)]) -> Revision {
    let mut account = shop::dimension("account", KeyType::Text, None);
    account.attributes.push(model::AttributeDef::new("operator", ValueType::Text));
    account.hierarchies.push(HierarchyDef {
        name: "account".into(),
        kind: HierarchyKind::ParentChild,
        levels: Vec::new(),
        weight: Some("operator".into()),
        same_as: None,
    });
    let region = shop::dimension("region", KeyType::Text, None);
    let ledger = shop::cube("ledger", CubeKind::Cells, &["account", "region"], &["amount"]);
    let member = |key: &str, parent: Option<&str>, operator: &str| MemberWrite {
        key: key.into(),
        parents: vec![(HierarchyId(0), parent.map(String::from))],
        attributes: vec![(AttributeId(0), Some(Scalar::Text(operator.into())))],
        ..MemberWrite::default()
    };
    let accounts = vec![
        member("net", None, "+"),
        member("gross", Some("net"), "+"),
        member("discount", Some("net"), "-"),
        member("units", None, "~"),
        member("price", None, "~"),
    ];
    let regions =
        ["north", "south"].map(|key| MemberWrite { key: key.into(), ..MemberWrite::default() });
    let members = |dimension: u32, members: Vec<MemberWrite>| {
        Change::Members(MembersWrite {
            dimension: DimensionId(dimension),
            first_new: MemberId(0),
            members,
        })
    };
    let mut price =
        shop::formula("ledger.amount[account: \"price\"]", "account.\"net\" / account.\"units\"");
    price.at_or_above.insert("region".into(), "region".into());
    let mut region_with_level = region;
    region_with_level
        .levels
        .push(model::LevelDef { name: "region".into(), key_type: KeyType::Text });
    region_with_level.hierarchies.push(HierarchyDef {
        name: "region".into(),
        kind: HierarchyKind::Levels,
        levels: vec!["region".into()],
        weight: None,
        same_as: None,
    });
    let rows = RowsWrite {
        cube: CubeId(0),
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: Vec::new(),
        coordinates: values
            .iter()
            .flat_map(|(account, region, _)| [*account, MemberId(*region)])
            .collect(),
        values: values.iter().map(|(_, _, value)| Some(value * 10_000)).collect(),
    };
    let changes = [
        Change::Model(ModelChange::AddDimension(account)),
        Change::Model(ModelChange::AddDimension(region_with_level)),
        Change::Model(ModelChange::AddCube(ledger)),
        members(0, accounts),
        members(1, regions.to_vec()),
        Change::Model(ModelChange::SetFormula(price)),
        Change::Rows(rows),
    ];
    Revision::default().apply(&changes).expect("the model is right").0
}

fn view(revision: &Revision) -> View {
    View::unrestricted(std::sync::Arc::clone(&revision.version))
}

fn amounts(revision: &Revision, axes: Vec<Axis>, filters: Vec<Filter>) -> Vec<Option<i128>> {
    let outputs = vec![Measured::Consolidated(MeasureId(0))];
    let query = Query { axes, filters, outputs, ..Query::of(CubeId(0)) };
    run(&view(revision), &revision.plan, &query).expect("runs").columns.remove(0).values
}

/// Accounts of some regions, each with its amount of all of them.
fn by_account(revision: &Revision, regions: &[u32]) -> Vec<(u32, Option<i128>)> {
    let filter = Filter {
        position: 1,
        members: regions.iter().copied().collect(),
        grain: Grain::Leaf,
        level: None,
    };
    let axis = Axis {
        position: 0,
        codes: std::sync::Arc::new(vec![0, 1, 2, 3, 4]),
        cardinality: 5,
        grain: Grain::Leaf,
    };
    let outputs = vec![Measured::Consolidated(MeasureId(0))];
    let filters = vec![filter];
    let query = Query { axes: vec![axis], filters, outputs, ..Query::of(CubeId(0)) };
    let found = run(&view(revision), &revision.plan, &query).expect("runs");
    found.codes[0].iter().copied().zip(found.columns[0].values.iter().copied()).collect()
}

/// Every choice of values for net and units of two regions: the accounts that are listed, and their totals, are
/// those that one finds by adding up.
#[test]
fn a_price_is_listed_where_the_totals_have_one() {
    let choices = [None, Some(0), Some(600)];
    for at in 0..81 {
        let value = |place: u32| choices[at / 3usize.pow(place) % 3];
        let values: Vec<(MemberId, u32, i64)> = [(GROSS, 0), (GROSS, 1), (UNITS, 0), (UNITS, 1)]
            .iter()
            .zip(0..)
            .filter_map(|(&(account, region), place)| Some((account, region, value(place)?)))
            .collect();
        if values.is_empty() {
            continue;
        }
        let revision = ledger_of(&values);
        for regions in [vec![0u32, 1], vec![0], vec![1]] {
            let total = |account: MemberId| {
                let of = values
                    .iter()
                    .filter(|(of, region, _)| *of == account && regions.contains(region));
                of.map(|(.., value)| *value).reduce(|a, b| a + b)
            };
            let (net, units) = (total(GROSS), total(UNITS));
            let price = match (net, units) {
                (Some(net), Some(units)) if units != 0 => Some(net * 10_000 / units),
                _ => None,
            };
            let stored = |value: i64| i128::from(value * 10_000);
            let expected: Vec<(u32, Option<i128>)> = [
                (GROSS.0, net.map(stored)),
                (UNITS.0, units.map(stored)),
                (PRICE.0, price.map(i128::from)),
            ]
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .collect();
            let mut found = by_account(&revision, &regions);
            // a cell that became blank may be listed without a value
            found.retain(|(_, value)| value.is_some());
            assert_eq!(found, expected, "{values:?} in {regions:?}");
        }
    }
}

fn account(member: MemberId) -> Filter {
    Filter {
        position: 0,
        members: std::iter::once(member.0).collect(),
        grain: Grain::Leaf,
        level: None,
    }
}

#[test]
fn the_price_of_all_regions_is_net_by_units_of_all() {
    let revision = ledger();
    // (1000 - 100 + 600) / 10, not 100 + 600
    assert_eq!(amounts(&revision, Vec::new(), vec![account(PRICE)]), [Some(1_500_000)]);
    let regions = Axis {
        position: 1,
        codes: std::sync::Arc::new(vec![0, 1]),
        cardinality: 2,
        grain: Grain::Leaf,
    };
    let by_region = amounts(&revision, vec![regions], vec![account(PRICE)]);
    assert_eq!(by_region, [Some(1_000_000), Some(6_000_000)]);
    let accounts = Axis {
        position: 0,
        codes: std::sync::Arc::new(vec![0, 1, 2, 3, 4]),
        cardinality: 5,
        grain: Grain::Leaf,
    };
    let by_account = amounts(&revision, vec![accounts], Vec::new());
    assert_eq!(
        by_account,
        [Some(16_000_000), Some(1_000_000), Some(100_000), Some(1_500_000)],
        "gross, discount, units, price"
    );
}

#[test]
fn a_price_takes_no_input_and_units_do() {
    let revision = ledger();
    let write = |account: MemberId| {
        Change::Rows(RowsWrite {
            cube: CubeId(0),
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: Vec::new(),
            coordinates: vec![account, MemberId(0)],
            values: vec![Some(180_000)].into(),
        })
    };
    let error = revision.apply(&[write(PRICE)]).expect_err("computed").to_string();
    assert!(error.contains("computed by a formula"), "{error}");
    let (next, ran) = revision.apply(&[write(UNITS)]).expect("an input");
    assert_eq!(
        ran.0.into_iter().collect::<Vec<_>>(),
        [("ledger.amount[account: \"price\"]".to_string(), 1)]
    );
    assert_eq!(amounts(&next, Vec::new(), vec![account(PRICE)]), [Some(789_474)]);
}

#[test]
fn the_explanation_of_a_price_of_totals_ends_at_inputs() {
    let revision = ledger();
    let cell = CellRef {
        cube: CubeId(0),
        measure: MeasureId(0),
        place: Place::Cell(vec![Some(PRICE), None]),
    };
    let tree =
        explain(&view(&revision), &revision.plan, &cell, Options::default()).expect("explains");
    assert_eq!(tree.value.as_deref(), Some("150.0000"));
    let values: Vec<_> = tree.children.iter().map(|child| child.value.as_deref()).collect();
    assert_eq!(values, [Some("1500.0000"), Some("10.0000")]);
    let inputs: Vec<_> = tree.children[0].children.iter().map(|leaf| leaf.kind.as_str()).collect();
    assert_eq!(inputs, ["input", "input", "input", "input"]);
}
