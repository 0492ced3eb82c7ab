//! Hierarchies: what cannot be one, and what members count for on the way up.

#[path = "support/tenant.rs"]
mod tenant;

use cube::change::MemberWrite;
use cube::limits::HIERARCHY_DEPTH_MAX;
use cube::model::HierarchyDef;
use cube::{CubeError, HierarchyId, Scalar, ValueType};
use tenant::{Tenant, amounts, levelled, parent_child};

fn accounts(weight: ValueType) -> Tenant {
    Tenant::new(vec![parent_child("account", weight)], vec![amounts("ledger", &["account"], None)])
}

#[track_caller]
fn check_cycle(result: cube::Result<()>, on_it: &[&str]) {
    match result {
        Err(CubeError::HierarchyCycle { member, .. }) => {
            assert!(on_it.contains(&member.as_str()), "{member} is not on the cycle {on_it:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_definition(result: cube::Result<()>, part: &str) {
    match result {
        Err(CubeError::Definition(message)) => assert!(message.contains(part), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cycle_is_refused_and_leaves_the_version() {
    let mut tenant = accounts(ValueType::Text);
    tenant.members("account", &[("a", None), ("b", Some("a")), ("c", Some("b"))]).expect("a chain");
    let before = tenant.hash();
    check_cycle(tenant.members("account", &[("a", Some("c"))]), &["a", "b", "c"]);
    check_cycle(tenant.members("account", &[("b", Some("b"))]), &["b"]);
    assert_eq!(tenant.hash(), before);
    assert_eq!(
        tenant
            .dimension("account")
            .parent(HierarchyId(0), tenant.dimension("account").find("a").expect("a")),
        None
    );
}

#[test]
fn the_error_names_a_member_of_the_cycle() {
    let mut tenant = accounts(ValueType::Text);
    // `below` comes first and hangs from the cycle without being on it
    tenant.members("account", &[("below", None), ("b", None), ("c", Some("b"))]).expect("a forest");
    let knot = [("below", Some("c")), ("b", Some("c"))];
    check_cycle(tenant.members("account", &knot), &["b", "c"]);
}

#[test]
fn a_chain_is_as_deep_as_the_limit_and_no_deeper() {
    let key = |depth: usize| format!("m{depth:03}");
    let chain = |length: usize| -> Vec<(String, Option<String>)> {
        (0..length).rev().map(|depth| (key(depth), depth.checked_sub(1).map(key))).collect()
    };
    let write = |length: usize| {
        let chain = chain(length);
        let members: Vec<_> =
            chain.iter().map(|(key, parent)| (key.as_str(), parent.as_deref())).collect();
        accounts(ValueType::Text).members("account", &members)
    };
    assert_eq!(write(HIERARCHY_DEPTH_MAX), Ok(()));
    check_definition(write(HIERARCHY_DEPTH_MAX + 1), "deeper than 64 levels");
    check_definition(write(HIERARCHY_DEPTH_MAX * 3), "deeper than 64 levels");
}

#[test]
fn parents_are_on_a_level_above() {
    let def = levelled("product", &[&["category", "group", "product"], &["brand", "product"]]);
    let mut tenant = Tenant::new(vec![def], Vec::new());
    tenant.level_members("product", "category", 0, &[("c1", None)]).expect("a root");
    tenant.level_members("product", "brand", 1, &[("b1", None)]).expect("a root");
    tenant
        .level_members("product", "group", 0, &[("g1", Some("c1")), ("g2", None)])
        .expect("below");
    tenant
        .level_members("product", "product", 0, &[("p1", Some("g1")), ("p2", Some("c1"))])
        .expect("ragged is fine");
    let mut check = |level: &str, hierarchy, key: &str, parent: &str| {
        let before = tenant.hash();
        check_definition(
            tenant.level_members("product", level, hierarchy, &[(key, Some(parent))]),
            "not on a level above",
        );
        assert_eq!(tenant.hash(), before);
    };
    check("group", 0, "g1", "g2");
    check("group", 0, "g1", "p1");
    check("category", 0, "c1", "g1");
    check("product", 0, "p1", "b1");
    check("product", 1, "p1", "c1");
    check("group", 1, "g1", "b1");
    check("product", 0, "p1", "p1");
}

#[test]
fn a_member_stays_on_its_level() {
    let mut tenant =
        Tenant::new(vec![levelled("product", &[&["category", "product"]])], Vec::new());
    tenant.level_members("product", "category", 0, &[("c1", None)]).expect("a root");
    check_definition(
        tenant.level_members("product", "product", 0, &[("c1", None)]),
        "another level",
    );
}

#[test]
fn an_unknown_parent_is_refused_with_the_nearest_names() {
    let mut tenant = accounts(ValueType::Text);
    tenant.members("account", &[("income", None)]).expect("a root");
    let error = tenant.members("account", &[("sales", Some("incone"))]).expect_err("there is none");
    assert_eq!(error.hint().as_deref(), Some("did you mean income?"));
    assert_eq!(error.sqlstate(), "23503");
}

#[test]
fn operators_count_on_the_way_up() {
    let mut tenant = accounts(ValueType::Text);
    let members = [
        ("net", None),
        ("income", Some("net")),
        ("cost", Some("net")),
        ("refund", Some("cost")),
        ("memo", Some("net")),
    ];
    tenant.members("account", &members).expect("a tree");
    for (key, operator) in [("cost", "-"), ("refund", "-"), ("memo", "~")] {
        tenant.attribute("account", key, Some(Scalar::Text(operator.into()))).expect("an operator");
    }
    for (key, value) in
        [("net", 1), ("income", 1_000), ("cost", 100), ("refund", 10), ("memo", 5_000)]
    {
        tenant.cell("ledger", &[key], Some(value)).expect("a parent's own facts sit on it too");
    }
    assert_eq!(tenant.total(&tenant.view(), "ledger"), Ok(Some(1 + 1_000 - 100 + 10)));
    let error = tenant
        .attribute("account", "memo", Some(Scalar::Text("x".into())))
        .expect_err("no operator");
    assert_eq!(error.to_string(), "\"x\" is not a valid operator: expected +, - or ~");
}

#[test]
fn weights_multiply_exactly_or_overflow() {
    let mut tenant = accounts(ValueType::Decimal { precision: 6, scale: 3 });
    tenant.members("account", &[("a", None), ("b", Some("a")), ("c", Some("b"))]).expect("a chain");
    tenant.attribute("account", "b", Some(Scalar::Stored(125))).expect("an eighth");
    tenant.attribute("account", "c", Some(Scalar::Stored(-500))).expect("minus a half");
    tenant.cell("ledger", &["c"], Some(16)).expect("a leaf");
    tenant.cell("ledger", &["b"], Some(16)).expect("a leaf");
    let total = tenant.total(&tenant.view(), "ledger").expect("it fits").expect("not blank");
    assert_eq!(total, 10_000, "0.125 * 16 - 0.0625 * 16 at scale 4");

    let mut members = vec![("w0".to_string(), None)];
    members.extend((1..10).map(|n| (format!("w{n}"), Some(format!("w{}", n - 1)))));
    let writes = members.iter().map(|(key, parent)| MemberWrite {
        key: key.clone(),
        parents: vec![(HierarchyId(0), parent.clone())],
        attributes: vec![(cube::AttributeId(0), Some(Scalar::Stored(999)))],
        ..MemberWrite::default()
    });
    let before = tenant.hash();
    let error =
        tenant.write_members("account", writes.collect()).expect_err("0.999^9 has 27 digits");
    assert!(matches!(error, CubeError::Overflow(_)), "{error}");
    assert_eq!(tenant.hash(), before);
}

#[test]
fn definitions_that_cannot_be_are_refused() {
    let check = |change: &dyn Fn(&mut HierarchyDef), part: &str| {
        let mut def = levelled("product", &[&["category", "product"], &["brand", "product"]]);
        change(&mut def.hierarchies[1]);
        let result = Tenant::default().model(cube::model::ModelChange::AddDimension(def));
        let message = result.expect_err("it cannot be").to_string();
        assert!(message.contains(part), "{message}");
    };
    check(&|hierarchy| hierarchy.levels.clear(), "names no levels");
    check(&|hierarchy| hierarchy.levels.reverse(), "ends at the same level");
    check(
        &|hierarchy| hierarchy.levels.insert(0, "shelf".into()),
        "level \"shelf\" does not exist",
    );
    check(
        &|hierarchy| hierarchy.levels.insert(0, "product".into()),
        "level \"product\" exists already",
    );
    check(
        &|hierarchy| hierarchy.weight = Some("factor".into()),
        "attribute \"factor\" does not exist",
    );
    check(
        &|hierarchy| hierarchy.same_as = Some("by_shelf".into()),
        "hierarchy \"by_shelf\" does not exist",
    );
    check(&|hierarchy| hierarchy.same_as = Some("by_brand".into()), "parents of its own");
    check(&|hierarchy| hierarchy.name = "by_category".into(), "exists already");
}
