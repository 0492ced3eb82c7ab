//! A dimension that comes while a cube has rows.

#[path = "support/tenant.rs"]
mod tenant;

use cube::model::ModelChange;
use cube::rollup::Output;
use cube::value::{KeyPart, KeyType};
use cube::{CubeError, change::RowsAction};
use tenant::{AMOUNT, Tenant, amounts, dimension};

/// A plan by product and the sales of products, with the dimension `scenario` beside them.
fn shop(dimensions: &[&str]) -> Tenant {
    let cubes = vec![
        amounts("plan", dimensions, None),
        amounts("sales", dimensions, Some(KeyType::Integer)),
    ];
    let mut tenant = Tenant::new(vec![dimension("product"), dimension("scenario")], cubes);
    tenant.members("product", &[("road", None), ("city", None), ("bell", None)]).expect("products");
    tenant.members("scenario", &[("budget", None), ("actual", None)]).expect("scenarios");
    tenant
}

/// Cells and rows: products, and what else there is.
fn fill(tenant: &mut Tenant, scenario: &[&str]) {
    for (at, product) in ["road", "city", "bell"].into_iter().enumerate() {
        let keys = [&[product], scenario].concat();
        tenant.cell("plan", &keys, Some(10 + at as i64)).expect("a cell");
        let key = KeyPart::Integer(at as i64);
        let row = tenant.rows_write("sales", RowsAction::Set, &[(key, keys, Some(at as i64))]);
        tenant.write(&row).expect("a row");
    }
}

fn more(cube: &str, dimension: &str, member: Option<&str>) -> ModelChange {
    let member = member.map(String::from);
    ModelChange::AddCubeDimension { cube: cube.into(), dimension: dimension.into(), member }
}

fn widened() -> Tenant {
    let mut tenant = shop(&["product"]);
    fill(&mut tenant, &[]);
    for cube in ["plan", "sales"] {
        tenant.model(more(cube, "scenario", Some("actual"))).expect("one more");
    }
    tenant
}

/// Totals of a cube by the leaves of a dimension, in the order of members.
fn by(tenant: &Tenant, cube: &str, position: usize) -> Vec<(u32, i128)> {
    let axes = vec![tenant.leaves(cube, position)];
    let found = tenant.roll_up(&tenant.view(), cube, axes, Vec::new(), Output::Sum(AMOUNT));
    let found = found.expect("totals");
    let values = found.columns[0].values.iter().map(|value| value.unwrap_or(0));
    found.codes[0].iter().copied().zip(values).collect()
}

#[test]
fn rows_are_of_the_member_that_is_said() {
    let tenant = widened();
    let mut born = shop(&["product", "scenario"]);
    fill(&mut born, &["actual"]);
    for cube in ["plan", "sales"] {
        assert_eq!(tenant.values(cube), born.values(cube));
        for position in [0, 1] {
            assert_eq!(by(&tenant, cube, position), by(&born, cube, position), "{cube} {position}");
        }
    }
    assert_eq!(by(&tenant, "plan", 1), [(1, 33)]);
}

#[test]
fn cells_of_other_members_come_beside_them() {
    let before = shop(&["product"]);
    let mut tenant = widened();
    let hash = tenant.hash();
    for (product, scenario) in [("road", "budget"), ("bell", "actual"), ("city", "budget")] {
        tenant.cell("plan", &[product, scenario], Some(100)).expect("a cell");
    }
    assert_eq!(by(&tenant, "plan", 1), [(0, 200), (1, 121)]);
    assert_eq!(by(&tenant, "plan", 0), [(0, 110), (1, 111), (2, 100)]);
    // a row moves to another member
    let row = (KeyPart::Integer(2), vec!["bell", "budget"], Some(7));
    tenant.write(&tenant.rows_write("sales", RowsAction::Set, &[row])).expect("a row");
    assert_eq!(by(&tenant, "sales", 1), [(0, 7), (1, 1)]);
    assert_ne!(tenant.hash(), hash);
    // and back: the same state, whatever the way
    for (product, scenario) in [("road", "budget"), ("city", "budget")] {
        tenant.cell("plan", &[product, scenario], None).expect("a cell");
    }
    tenant.cell("plan", &["bell", "actual"], Some(12)).expect("a cell");
    let row = (KeyPart::Integer(2), vec!["bell", "actual"], Some(2));
    tenant.write(&tenant.rows_write("sales", RowsAction::Set, &[row])).expect("a row");
    assert_eq!(tenant.hash(), hash);
    assert_eq!(before.version.model.cubes[0].dimensions.len(), 1);
}

#[test]
fn the_hash_tells_which_member_it_was() {
    let of = |member: &str| {
        let mut tenant = shop(&["product"]);
        fill(&mut tenant, &[]);
        tenant.model(more("plan", "scenario", Some(member))).expect("one more");
        tenant.hash()
    };
    assert_ne!(of("actual"), of("budget"));
    assert_eq!(of("actual"), of("actual"));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut tenant = shop(&["product"]);
    // no rows, nothing to say
    tenant.model(more("sales", "scenario", None)).expect("it is empty");
    fill_plan(&mut tenant);
    let refused = |change: ModelChange| tenant.version.with_model(&change).expect_err("no");
    let error = refused(more("plan", "scenario", None));
    assert_eq!(
        error.to_string(),
        "cube \"plan\" has rows: it must be said which member of scenario they are of"
    );
    let error = refused(more("plan", "scenario", Some("actuals")));
    assert!(matches!(error, CubeError::Unknown { .. }), "{error}");
    assert_eq!(error.hint().as_deref(), Some("did you mean actual?"));
    let error = refused(more("plan", "product", Some("road")));
    assert!(matches!(error, CubeError::Exists { .. }), "{error}");
    let error = refused(more("plan", "scenarios", Some("actual")));
    assert_eq!(error.hint().as_deref(), Some("did you mean scenario?"));
}

fn fill_plan(tenant: &mut Tenant) {
    tenant.cell("plan", &["road"], Some(1)).expect("a cell");
}
