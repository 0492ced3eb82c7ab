//! Writes: what is refused leaves the version as it was, and the same state has the same hash.

#[path = "support/tenant.rs"]
mod tenant;

use cube::change::RowsAction;
use cube::model::{
    AttributeDef, Consolidation, CubeKind, DimensionDef, FormulaDef, LevelDef, ModelChange,
};
use cube::value::{KeyPart, KeyType};
use cube::{CubeError, MemberId, Scalar, ValueType};
use tenant::{Tenant, amounts, dimension, levelled, measure, parent_child};

fn key(id: i64) -> KeyPart {
    KeyPart::Integer(id)
}

/// Products in categories, cells and orders of them.
fn tenant() -> Tenant {
    let cubes = vec![
        amounts("plan", &["product"], None),
        amounts("orders", &["product"], Some(KeyType::Integer)),
    ];
    let mut tenant = Tenant::new(vec![levelled("product", &[&["category", "product"]])], cubes);
    tenant.level_members("product", "category", 0, &[("bikes", None)]).expect("a root");
    tenant
        .level_members("product", "product", 0, &[("road", Some("bikes")), ("city", Some("bikes"))])
        .expect("leaves");
    tenant
}

/// A write is refused with a message that has a part, and changes nothing.
#[track_caller]
fn check_refused(tenant: &mut Tenant, write: &cube::change::RowsWrite, part: &str) -> CubeError {
    let (hash, plan, orders) = (tenant.hash(), tenant.values("plan"), tenant.values("orders"));
    let error = tenant.write(write).expect_err(part);
    assert!(error.to_string().contains(part), "{error}");
    assert_eq!(
        (tenant.hash(), tenant.values("plan"), tenant.values("orders")),
        (hash, plan, orders)
    );
    error
}

#[test]
fn a_consolidated_member_takes_no_facts() {
    let mut tenant = tenant();
    for cube in ["plan", "orders"] {
        let write = tenant.rows_write(cube, RowsAction::Set, &[(key(1), vec!["bikes"], Some(1))]);
        check_refused(&mut tenant, &write, "holds no facts");
    }
    let error = tenant.dimension("product").resolve_leaf("bikes").expect_err("consolidated");
    assert!(error.to_string().contains("facts go to its leaves"), "{error}");
    assert!(tenant.dimension("product").resolve_leaf("road").is_ok());
}

#[test]
fn a_row_is_written_once_in_a_command() {
    let mut tenant = tenant();
    let twice = [
        (key(1), vec!["road"], Some(1)),
        (key(2), vec!["city"], Some(2)),
        (key(1), vec!["road"], Some(1)),
    ];
    for action in [RowsAction::Set, RowsAction::Remove] {
        let write = tenant.rows_write("orders", action, &twice);
        check_refused(&mut tenant, &write, "(id=1) is written twice");
        let write = tenant.rows_write("plan", action, &twice);
        check_refused(&mut tenant, &write, "(product=road) is written twice");
    }
}

#[test]
fn a_member_that_is_not_there_is_refused() {
    let mut tenant = tenant();
    let mut write = tenant.rows_write("plan", RowsAction::Set, &[(key(0), vec!["road"], Some(1))]);
    write.coordinates = vec![MemberId(99)];
    check_refused(&mut tenant, &write, "holds no facts");
    write.coordinates = vec![MemberId::NONE];
    check_refused(&mut tenant, &write, "holds no facts");
    write.coordinates = vec![MemberId(1), MemberId(2)];
    check_refused(&mut tenant, &write, "ragged columns");
    write.cube = cube::CubeId(9);
    check_refused(&mut tenant, &write, "no cube");
}

#[test]
fn a_value_that_does_not_fit_is_refused() {
    let decimal = ValueType::Decimal { precision: 4, scale: 2 };
    let mut tenant = tenant();
    let added = measure("share", decimal, Consolidation::Sum);
    tenant
        .model(ModelChange::AddMeasure { cube: "plan".into(), measure: added })
        .expect("a new measure");
    let mut write =
        tenant.rows_write("plan", RowsAction::Set, &[(key(0), vec!["road"], Some(10_000))]);
    write.measures = vec![cube::MeasureId(1)];
    let error = check_refused(&mut tenant, &write, "100.00 does not fit decimal(4,2)");
    assert_eq!(error.sqlstate(), "22003");
    write.values = vec![Some(-9_999)].into();
    assert_eq!(tenant.write(&write), Ok(()));
}

#[test]
fn a_total_beyond_64_bits_is_exact() {
    let mut tenant = tenant();
    let row = |id| (key(id), vec!["road"], Some(i64::MAX));
    let rows: Vec<_> = (0..100).map(row).collect();
    tenant.write(&tenant.rows_write("orders", RowsAction::Set, &rows)).expect("each fits");
    let total = tenant.total(&tenant.view(), "orders");
    assert_eq!(total, Ok(Some(i128::from(i64::MAX) * 100)));
}

#[test]
fn a_total_beyond_128_bits_is_an_error() {
    let integer = ValueType::Integer;
    let dimensions = ["account", "owner"].map(|name| parent_child(name, integer));
    let ledger = amounts("ledger", &["account", "owner"], None);
    let mut tenant = Tenant::new(dimensions.into(), vec![ledger]);
    for dimension in ["account", "owner"] {
        tenant.members(dimension, &[("all", None), ("a", Some("all"))]).expect("a tree");
        tenant.attribute(dimension, "a", Some(Scalar::Stored(i64::MAX))).expect("a weight");
    }
    tenant.cell("ledger", &["a", "a"], Some(i64::MAX)).expect("a cell");
    let error = tenant.total(&tenant.view(), "ledger").expect_err("2^189 does not fit");
    assert_eq!(error.sqlstate(), "22003");
    tenant.cell("ledger", &["a", "a"], Some(1)).expect("a cell");
    assert_eq!(tenant.total(&tenant.view(), "ledger"), Ok(Some(i128::from(i64::MAX).pow(2))));
}

#[test]
fn blank_cells_leave_no_trace_and_blank_rows_do() {
    let mut tenant = tenant();
    let empty = tenant.hash();
    tenant.cell("plan", &["road"], Some(0)).expect("a zero");
    assert_ne!(tenant.hash(), empty, "zero is not blank");
    tenant.cell("plan", &["road"], None).expect("a blank");
    assert_eq!(tenant.hash(), empty);
    assert!(tenant.values("plan").is_empty());
    tenant
        .write(&tenant.rows_write("orders", RowsAction::Set, &[(key(1), vec!["road"], None)]))
        .expect("a row");
    assert_ne!(tenant.hash(), empty);
    assert_eq!(tenant.values("orders").len(), 1);
    tenant
        .write(&tenant.rows_write("orders", RowsAction::Remove, &[(key(1), Vec::new(), None)]))
        .expect("it goes");
    assert_eq!(tenant.hash(), empty);
}

#[test]
fn the_hash_is_the_same_whatever_the_order_and_the_ids() {
    let mut one = tenant();
    one.cell("plan", &["road"], Some(1)).expect("a cell");
    one.cell("plan", &["city"], Some(2)).expect("a cell");

    let cubes = vec![
        amounts("orders", &["product"], Some(KeyType::Integer)),
        amounts("plan", &["product"], None),
    ];
    let mut other = Tenant::new(vec![levelled("product", &[&["category", "product"]])], cubes);
    other
        .level_members("product", "product", 0, &[("city", None), ("road", None)])
        .expect("leaves");
    other.level_members("product", "category", 0, &[("bikes", None)]).expect("a root");
    other
        .level_members("product", "product", 0, &[("city", Some("bikes")), ("road", Some("bikes"))])
        .expect("moved");
    let rows = [(key(0), vec!["city"], Some(2)), (key(0), vec!["road"], Some(1))];
    other.write(&other.rows_write("plan", RowsAction::Set, &rows)).expect("cells");
    assert_eq!(one.hash(), other.hash());
}

/// Model changes of which no two say the same.
fn definitions() -> Vec<ModelChange> {
    let formula = |text: &str, description: &str| {
        ModelChange::SetFormula(FormulaDef {
            target: "plan.amount".into(),
            text: text.into(),
            description: description.into(),
            at_or_above: Default::default(),
        })
    };
    let zone = || AttributeDef::new("zone", ValueType::Text);
    let attributed = DimensionDef { attributes: vec![zone()], ..dimension("shop") };
    let member = AttributeDef { member_of: Some("shop".into()), ..zone() };
    let referring = DimensionDef { attributes: vec![member], ..dimension("shop") };
    let level = LevelDef { name: "zone".into(), key_type: KeyType::Text };
    let with_level = DimensionDef { levels: vec![level], ..dimension("shop") };
    let described = DimensionDef { description: "where".into(), ..dimension("shop") };
    vec![
        formula("1", ""),
        formula("2", ""),
        formula("1", "one"),
        ModelChange::AddDimension(dimension("shop")),
        ModelChange::AddDimension(attributed),
        ModelChange::AddDimension(with_level),
        ModelChange::AddDimension(described),
        ModelChange::AddAttribute { dimension: "product".into(), attribute: zone() },
        ModelChange::AddCube(amounts("shop", &["product"], None)),
        ModelChange::AddDimension(referring),
    ]
}

#[test]
fn the_hash_tells_states_apart() {
    let mut hashes = std::collections::BTreeSet::from([tenant().hash()]);
    let mut check = |what: &str, edit: &dyn Fn(&mut Tenant) -> cube::Result<()>| {
        let mut tenant = tenant();
        edit(&mut tenant).expect(what);
        assert!(hashes.insert(tenant.hash()), "{what} has the hash of another state");
    };
    for change in definitions() {
        check(&format!("{change:?}"), &|tenant| tenant.model(change.clone()));
    }
    for (key, value) in [("road", 1), ("road", -1), ("city", 1)] {
        check(key, &|tenant| tenant.cell("plan", &[key], Some(value)));
    }
    for (id, member) in [(1, "road"), (2, "road"), (1, "city")] {
        let row = [(key(id), vec![member], Some(1))];
        check(member, &|tenant| tenant.write(&tenant.rows_write("orders", RowsAction::Set, &row)));
    }
    check("a member", &|tenant| tenant.level_members("product", "product", 0, &[("third", None)]));
    check("a move", &|tenant| {
        tenant.level_members("product", "category", 0, &[("other", None)])?;
        tenant.level_members("product", "product", 0, &[("road", Some("other"))])
    });
    for (member, zone) in [("road", "a"), ("road", "b"), ("city", "a")] {
        let attribute = definitions().swap_remove(7);
        check(member, &|tenant| {
            tenant.model(attribute.clone())?;
            tenant.attribute("product", member, Some(Scalar::Text(zone.into())))
        });
    }
}

#[test]
fn tables_share_one_name_space() {
    let mut tenant = tenant();
    for name in ["product", "plan", "product_closure", "plan_closure"] {
        let error = tenant.model(ModelChange::AddDimension(dimension(name))).expect_err(name);
        assert_eq!(error.sqlstate(), "42710", "{name}");
    }
    let mut cells_with_key = amounts("other", &["product"], Some(KeyType::Text));
    cells_with_key.kind = CubeKind::Cells;
    assert!(tenant.model(ModelChange::AddCube(cells_with_key)).is_err());
}
