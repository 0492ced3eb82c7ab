//! The view: rights, interruption and memory hold for every rollup.

#[path = "support/tenant.rs"]
mod tenant;

use std::sync::Arc;

use cube::rollup::{Filter, Grain, Output};
use cube::view::{MemoryReservation, Rights};
use cube::{CubeError, View};
use tenant::{AMOUNT, Tenant, amounts, dimension, levelled};

/// Cities by products; the amount of (city i, product j) is 10^(2 i + j).
fn tenant() -> Tenant {
    let dimensions = vec![dimension("city"), dimension("product")];
    let mut tenant = Tenant::new(dimensions, vec![amounts("sales", &["city", "product"], None)]);
    tenant.members("city", &[("basel", None), ("bern", None), ("genf", None)]).expect("members");
    tenant.members("product", &[("bike", None), ("bell", None)]).expect("members");
    let mut amount = 1;
    for city in ["basel", "bern", "genf"] {
        for product in ["bike", "bell"] {
            tenant.cell("sales", &[city, product], Some(amount)).expect("a cell");
            amount *= 10;
        }
    }
    tenant
}

fn restricted(tenant: &Tenant, dimension: &str, keys: &[&str]) -> View {
    let id = tenant.version.model.dimension(dimension).expect("it exists");
    let allowed = keys.iter().map(|key| tenant.id(id, key).0).collect();
    let mut view = tenant.view();
    view.rights = Arc::new(Rights { allowed: [(id, allowed)].into() });
    view
}

#[test]
fn a_restricted_total_is_the_total_of_what_is_seen() {
    let tenant = tenant();
    assert_eq!(tenant.total(&tenant.view(), "sales"), Ok(Some(111_111)));
    assert_eq!(
        tenant.total(&restricted(&tenant, "city", &["bern", "genf"]), "sales"),
        Ok(Some(111_100))
    );
    assert_eq!(
        tenant.total(&restricted(&tenant, "product", &["bell"]), "sales"),
        Ok(Some(101_010))
    );
    assert_eq!(tenant.total(&restricted(&tenant, "city", &[]), "sales"), Ok(None));
}

#[test]
fn groups_that_are_not_seen_do_not_exist() {
    let tenant = tenant();
    let view = restricted(&tenant, "city", &["bern"]);
    let axes = vec![tenant.leaves("sales", 0)];
    let rollup =
        tenant.roll_up(&view, "sales", axes, Vec::new(), Output::CountRows).expect("it fits");
    assert_eq!(rollup.codes, vec![vec![1]]);
    assert_eq!(rollup.columns[0].values, vec![Some(2)]);
}

#[test]
fn a_filter_cannot_reach_beyond_the_rights() {
    let tenant = tenant();
    let view = restricted(&tenant, "city", &["bern"]);
    let filter = Filter {
        position: 0,
        members: [0, 1].into_iter().collect(),
        grain: Grain::Leaf,
        level: None,
    };
    let rollup = tenant
        .roll_up(&view, "sales", Vec::new(), vec![filter], Output::Sum(AMOUNT))
        .expect("it fits");
    assert_eq!(rollup.columns[0].values, vec![Some(1_100)]);
    let other =
        Filter { position: 0, members: [2].into_iter().collect(), grain: Grain::Leaf, level: None };
    let rollup = tenant
        .roll_up(&view, "sales", Vec::new(), vec![other], Output::Sum(AMOUNT))
        .expect("it fits");
    assert_eq!(rollup.columns[0].values, vec![None]);
}

/// As many members are allowed as there are leaves, one of them a region among the cities.
#[test]
fn a_denied_leaf_is_not_made_up_for_by_an_allowed_member_above() {
    let region = levelled("city", &[&["region", "city"]]);
    let mut tenant = Tenant::new(vec![region], vec![amounts("sales", &["city"], None)]);
    tenant.level_members("city", "city", 0, &[("basel", None)]).expect("a leaf");
    tenant.level_members("city", "region", 0, &[("west", None)]).expect("a region");
    tenant.level_members("city", "city", 0, &[("bern", None), ("genf", None)]).expect("leaves");
    for (city, amount) in [("basel", 1), ("bern", 10), ("genf", 100)] {
        tenant.cell("sales", &[city], Some(amount)).expect("a cell");
    }
    let view = restricted(&tenant, "city", &["basel", "west", "genf"]);
    assert_eq!(tenant.total(&view, "sales"), Ok(Some(101)));
}

#[test]
fn rights_meet_across_dimensions_and_skip_others() {
    let tenant = tenant();
    let mut view = restricted(&tenant, "city", &["bern", "genf"]);
    let product = tenant.version.model.dimension("product").expect("it exists");
    let mut rights = Rights::clone(&view.rights);
    rights.allowed.insert(product, [0].into_iter().collect());
    // a dimension that the cube does not have restricts nothing
    rights.allowed.insert(cube::DimensionId(9), Default::default());
    view.rights = Arc::new(rights);
    assert_eq!(tenant.total(&view, "sales"), Ok(Some(10_100)));
}

#[test]
fn a_raised_interrupt_stops_a_read_until_it_is_reset() {
    let tenant = tenant();
    let view = tenant.view();
    view.interrupt.raise();
    assert_eq!(tenant.total(&view, "sales"), Err(CubeError::Interrupted));
    assert_eq!(CubeError::Interrupted.sqlstate(), "57014");
    view.interrupt.reset();
    assert_eq!(tenant.total(&view, "sales"), Ok(Some(111_111)));
}

#[test]
fn a_read_beyond_its_memory_is_an_error_and_gives_all_back() {
    let tenant = tenant();
    let mut view = tenant.view();
    view.memory = MemoryReservation::new(100);
    let by_all = || vec![tenant.leaves("sales", 0), tenant.leaves("sales", 1)];
    let result = tenant.roll_up(&view, "sales", by_all(), Vec::new(), Output::Sum(AMOUNT));
    let error = result.expect_err("six groups need more than 100 bytes");
    assert_eq!(error.sqlstate(), "53200");
    assert!(error.hint().is_some());
    assert_eq!(tenant.total(&view, "sales"), Ok(Some(111_111)));
    assert!(view.memory.reserve(100).is_ok(), "the whole budget is there again");
    assert!(view.memory.reserve(101).is_err());
}
