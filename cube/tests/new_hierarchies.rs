//! Levels and hierarchies that come while members and cells are there.

#[path = "support/tenant.rs"]
mod tenant;

use std::sync::Arc;

use cube::model::{AttributeDef, DimensionDef, HierarchyDef, LevelDef, ModelChange};
use cube::rollup::{Axis, Grain, Output};
use cube::value::KeyType;
use cube::{CubeError, HierarchyId, MemberId, ValueType};
use tenant::{AMOUNT, Tenant, amounts, dimension, levelled, parent_child};

/// What makes a dimension that of a definition.
fn extension(of: &DimensionDef) -> ModelChange {
    ModelChange::SetHierarchies {
        dimension: of.name.clone(),
        levels: of.levels.clone(),
        hierarchies: of.hierarchies.clone(),
    }
}

/// Two categories of products, and a cell of each product.
fn shop() -> Tenant {
    let product = levelled("product", &[&["category", "product"]]);
    let mut tenant = Tenant::new(vec![product], vec![amounts("plan", &["product"], None)]);
    tenant
        .level_members("product", "category", 0, &[("bikes", None), ("parts", None)])
        .expect("categories");
    let products = [("road", Some("bikes")), ("city", Some("bikes")), ("bell", Some("parts"))];
    tenant.level_members("product", "product", 0, &products).expect("products");
    for (product, amount) in [("road", 1), ("city", 10), ("bell", 100)] {
        tenant.cell("plan", &[product], Some(amount)).expect("a cell");
    }
    tenant
}

/// The definition of [`shop`]'s products with families in between and, behind, brands.
fn extended() -> DimensionDef {
    let mut product = levelled("product", &[&["category", "product"]]);
    for name in ["family", "brand"] {
        product.levels.push(LevelDef { name: name.into(), key_type: KeyType::Text });
    }
    product.hierarchies[0].levels.insert(1, "family".into());
    product.hierarchies.push(HierarchyDef {
        name: "brand".into(),
        levels: vec!["brand".into(), "product".into()],
        ..product.hierarchies[0].clone()
    });
    product
}

/// Totals by the members of a level, and of what is below none of them.
fn by_level(tenant: &Tenant, hierarchy: u32, position: usize) -> Vec<(String, i128)> {
    let product = tenant.dimension("product");
    let ancestors = &product.shape(HierarchyId(hierarchy)).ancestors[position];
    // one code more for members without an ancestor there
    let codes: Vec<u32> =
        ancestors.iter().map(|above| above.0.min(ancestors.len() as u32)).collect();
    let axis = Axis {
        position: 0,
        codes: Arc::new(codes),
        cardinality: ancestors.len() as u32 + 1,
        grain: Grain::Level(HierarchyId(hierarchy), position),
    };
    let found = tenant
        .roll_up(&tenant.view(), "plan", vec![axis], Vec::new(), Output::Sum(AMOUNT))
        .expect("totals");
    let name = |code: &u32| match *code as usize {
        member if member < ancestors.len() => product.key(MemberId(*code)).to_string(),
        _ => String::new(),
    };
    let totals = found.codes[0].iter().map(name);
    let values = found.columns[0].values.iter().map(|value| value.unwrap_or(0));
    let mut totals: Vec<(String, i128)> = totals.zip(values).collect();
    totals.sort();
    totals
}

fn named(totals: &[(&str, i128)]) -> Vec<(String, i128)> {
    totals.iter().map(|(name, total)| (String::from(*name), *total)).collect()
}

#[test]
fn a_level_and_a_hierarchy_come_while_cells_are_there() {
    let mut tenant = shop();
    let before = tenant.clone();
    tenant.model(extension(&extended())).expect("it is more");
    assert_ne!(tenant.hash(), before.hash());
    assert_eq!(by_level(&tenant, 0, 0), named(&[("bikes", 11), ("parts", 100)]));
    assert_eq!(by_level(&tenant, 0, 1), named(&[("", 111)]));
    assert_eq!(by_level(&tenant, 1, 0), named(&[("", 111)]));
    // members of the new levels, and old members below them
    tenant.level_members("product", "family", 0, &[("racing", Some("bikes"))]).expect("a family");
    tenant.level_members("product", "product", 0, &[("road", Some("racing"))]).expect("a move");
    tenant.level_members("product", "brand", 1, &[("acme", None)]).expect("a brand");
    let of_brand = [("road", Some("acme")), ("bell", Some("acme"))];
    tenant.level_members("product", "product", 1, &of_brand).expect("parents");
    assert_eq!(by_level(&tenant, 0, 0), named(&[("bikes", 11), ("parts", 100)]));
    assert_eq!(by_level(&tenant, 0, 1), named(&[("", 110), ("racing", 1)]));
    assert_eq!(by_level(&tenant, 1, 0), named(&[("", 10), ("acme", 101)]));
    // who reads the state before goes on to
    assert_eq!(by_level(&before, 0, 0), named(&[("bikes", 11), ("parts", 100)]));
    assert_eq!(before.dimension("product").def.levels.len(), 2);
}

#[test]
fn members_without_levels_hold_facts_when_levels_come() {
    let mut tenant =
        Tenant::new(vec![dimension("product")], vec![amounts("plan", &["product"], None)]);
    tenant.members("product", &[("road", None), ("city", None), ("bell", None)]).expect("flat");
    for (product, amount) in [("road", 1), ("city", 10), ("bell", 100)] {
        tenant.cell("plan", &[product], Some(amount)).expect("a cell");
    }
    tenant.model(extension(&levelled("product", &[&["category", "product"]]))).expect("levels");
    assert_eq!(by_level(&tenant, 0, 0), named(&[("", 111)]));
    tenant.level_members("product", "category", 0, &[("bikes", None)]).expect("a category");
    tenant.level_members("product", "product", 0, &[("city", Some("bikes"))]).expect("a parent");
    assert_eq!(by_level(&tenant, 0, 0), named(&[("", 101), ("bikes", 10)]));
    tenant.cell("plan", &["road"], Some(2)).expect("it holds facts");
    assert!(tenant.cell("plan", &["bikes"], Some(2)).is_err());
}

#[test]
fn what_is_there_stays_as_it_is() {
    let check = |edit: &dyn Fn(&mut DimensionDef), part: &str| {
        let mut tenant = shop();
        let (hash, mut wanted) = (tenant.hash(), extended());
        edit(&mut wanted);
        match tenant.model(extension(&wanted)) {
            Err(CubeError::Definition(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{part}: {other:?}"),
        }
        assert_eq!(tenant.hash(), hash);
    };
    check(&|of| of.levels.swap(0, 2), "levels there are stay");
    check(&|of| of.hierarchies[0].levels.swap(1, 2), "a hierarchy keeps its kind and its levels");
    check(&|of| of.hierarchies.swap(0, 1), "a hierarchy keeps its kind and its levels");
    check(&|of| drop(of.hierarchies.remove(0)), "a hierarchy keeps its kind and its levels");
    check(&|of| of.hierarchies[1].levels = vec!["brand".into()], "ends at the same level");
}

#[test]
fn columns_of_levels_have_names_of_their_own() {
    let refused = |tenant: &mut Tenant, change: ModelChange, part: &str| match tenant.model(change)
    {
        Err(CubeError::Definition(message)) => assert!(message.contains(part), "{message}"),
        other => panic!("{part}: {other:?}"),
    };
    // an attribute after the level, and a level after the attribute
    let mut tenant = shop();
    let attribute = AttributeDef::new("product_category", ValueType::Text);
    let added = ModelChange::AddAttribute { dimension: "product".into(), attribute };
    refused(&mut tenant, added, "\"product_category\" is the column of a level");
    let attribute = AttributeDef::new("product_brand", ValueType::Text);
    let added = ModelChange::AddAttribute { dimension: "product".into(), attribute };
    tenant.model(added).expect("no level is called so");
    refused(&mut tenant, extension(&extended()), "\"product_brand\" is the column of a level");
    // levels called as depths of a hierarchy of parents are
    let mut both = parent_child("account", ValueType::Text);
    both.levels.push(LevelDef { name: "l1".into(), key_type: KeyType::Text });
    both.levels.push(LevelDef { name: "account".into(), key_type: KeyType::Text });
    both.hierarchies.push(HierarchyDef {
        name: "kind".into(),
        levels: vec!["l1".into(), "account".into()],
        ..extended().hierarchies[0].clone()
    });
    let mut tenant = Tenant::new(vec![parent_child("account", ValueType::Text)], Vec::new());
    refused(&mut tenant, extension(&both), "\"account_l1\" is the column of two levels");
}
