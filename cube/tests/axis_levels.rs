//! Cubes that use a dimension at a level above its leaves: months of a calendar of days.

#[path = "support/tenant.rs"]
mod tenant;

use cube::change::{MemberWrite, RowsAction};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeDef, DimensionDef, FormulaDef, ModelChange,
    TimeDef, TimeSummary,
};
use cube::rollup::{Axis, Grain, Output};
use cube::value::{KeyPart, KeyType};
use cube::{AttributeId, HierarchyId, MemberId, Scalar, ValueType};
use tenant::{AMOUNT, Tenant, amounts, dimension, levelled, measure, parent_child};

const CALENDAR: HierarchyId = HierarchyId(0);
const FISCAL: HierarchyId = HierarchyId(1);

fn calendar() -> DimensionDef {
    let calendar = CalendarDef {
        start: "2011-01-01".into(),
        end: "2012-12-31".into(),
        fiscal_start_month: Some(7),
    };
    DimensionDef { key_type: KeyType::Date, calendar: Some(calendar), ..dimension("date") }
}

/// Plans by month, quotas by fiscal quarter, sales by day.
fn tenant() -> Tenant {
    let cubes = vec![
        amounts("plan", &["date.month"], None),
        amounts("quota", &["date.fiscal_quarter"], None),
        amounts("sales", &["date"], Some(KeyType::Integer)),
        amounts("orders", &["date.month"], Some(KeyType::Integer)),
    ];
    Tenant::new(vec![calendar()], cubes)
}

/// The first measure by the ancestors at a level: names and totals.
#[track_caller]
fn check_groups(
    tenant: &Tenant,
    cube: &str,
    (hierarchy, level): (HierarchyId, usize),
    expected: &[(&str, i128)],
) {
    let date = tenant.dimension("date");
    let ancestors = &date.shape(hierarchy).ancestors[level];
    let none = MemberId::from_idx(date.member_count()).0;
    let code = |&member: &MemberId| if member == MemberId::NONE { none } else { member.0 };
    let axis = Axis {
        position: 0,
        codes: std::sync::Arc::new(ancestors.iter().map(code).collect()),
        cardinality: none + 1,
        grain: Grain::Level(hierarchy, level),
    };
    let output = Output::Consolidated(AMOUNT);
    let rollup =
        tenant.roll_up(&tenant.view(), cube, vec![axis], Vec::new(), output).expect("a rollup");
    let name = |group: usize| date.name(MemberId(rollup.codes[0][group])).to_string();
    let found: Vec<(String, i128)> = (0..rollup.group_count)
        .map(|group| (name(group), rollup.columns[0].values[group].expect("a value")))
        .collect();
    let expected: Vec<(String, i128)> =
        expected.iter().map(|&(name, value)| (name.into(), value)).collect();
    assert_eq!(found, expected);
}

#[test]
fn facts_are_of_the_level_and_of_no_other() {
    let mut tenant = tenant();
    tenant.cell("plan", &["2011-08"], Some(5)).expect("a month");
    tenant.cell("quota", &["FY2012-Q1"], Some(7)).expect("a fiscal quarter");
    tenant
        .write(&tenant.rows_write(
            "orders",
            RowsAction::Set,
            &[(KeyPart::Integer(1), vec!["2011-08"], Some(3))],
        ))
        .expect("a month of a record");
    for (cube, keys) in [
        ("plan", ["2011-08-15", "2011-Q3", "2011", "FY2012-Q1"]),
        ("quota", ["2011-08-15", "2011-Q3", "2011-08", "FY2012"]),
    ] {
        for key in keys {
            let error = tenant.cell(cube, &[key], Some(1)).expect_err(key).to_string();
            assert!(error.contains("holds no facts"), "{error}");
        }
    }
    let version = &tenant.version;
    let [plan, sales] = ["plan", "sales"].map(|cube| version.model.cube(cube).expect("a cube"));
    let date = tenant.dimension("date");
    let [day, month] = ["2011-08-15", "2011-08"].map(|key| date.find(key).expect("a member"));
    assert!(version.holds_facts(plan, 0, month) && !version.holds_facts(plan, 0, day));
    assert!(version.holds_facts(sales, 0, day) && !version.holds_facts(sales, 0, month));
    assert!(!version.holds_facts(plan, 0, MemberId::NONE));
}

#[test]
fn totals_are_of_the_levels_above() {
    let mut tenant = tenant();
    for (month, value) in [("2011-06", 1), ("2011-07", 20), ("2011-08", 300), ("2012-01", 4000)] {
        tenant.cell("plan", &[month], Some(value)).expect(month);
    }
    let view = tenant.view();
    assert_eq!(tenant.total(&view, "plan").expect("a total"), Some(4321));
    check_groups(&tenant, "plan", (CALENDAR, 0), &[("2011", 321), ("2012", 4000)]);
    check_groups(
        &tenant,
        "plan",
        (CALENDAR, 1),
        &[("2011-Q2", 1), ("2011-Q3", 320), ("2012-Q1", 4000)],
    );
    check_groups(&tenant, "plan", (FISCAL, 0), &[("2011", 1), ("2012", 4320)]);
    check_groups(
        &tenant,
        "plan",
        (CALENDAR, 2),
        &[("2011-06", 1), ("2011-07", 20), ("2011-08", 300), ("2012-01", 4000)],
    );
}

#[test]
fn columns_are_of_the_level_and_those_above() {
    let tenant = tenant();
    let date = tenant.dimension("date");
    let names = |cube: &str| -> Vec<String> {
        let id = tenant.version.model.cube(cube).expect("a cube");
        let level = tenant.version.model.cube_def(id).levels[0];
        date.level_columns_at(level).iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(names("plan"), ["year", "quarter", "month", "fiscal_year", "fiscal_quarter"]);
    assert_eq!(names("quota"), ["fiscal_year", "fiscal_quarter"]);
    assert_eq!(names("sales").len(), 6);
}

#[test]
fn a_level_shared_by_hierarchies_is_read_through_one_that_has_both() {
    let mut def =
        levelled("product", &[&["group", "line", "product"], &["group", "brand", "product"]]);
    def.hierarchies[1].name = "by_brand".into();
    let tenant = Tenant::new(vec![def], vec![amounts("plan", &["product.brand"], None)]);
    let product = tenant.dimension("product");
    let brand = product.def.level("brand").expect("a level");
    let columns = product.level_columns_at(Some(brand));
    let found: Vec<_> =
        columns.iter().map(|c| (c.name.as_str(), c.hierarchy, c.position)).collect();
    assert_eq!(found, [("group", HierarchyId(1), 0), ("brand", HierarchyId(1), 1)]);
    assert_eq!(product.def.default_hierarchy(Some(brand)), Some(HierarchyId(1)));
}

#[test]
fn weights_run_from_the_level_up() {
    let sign = AttributeDef::new("sign", ValueType::Integer);
    let mut def = levelled("account", &[&["statement", "group", "account"]]);
    def.attributes.push(sign);
    def.hierarchies[0].weight = Some("sign".into());
    let mut tenant = Tenant::new(vec![def], vec![amounts("plan", &["account.group"], None)]);
    tenant.level_members("account", "statement", 0, &[("net", None)]).expect("a root");
    let group = |key: &str, sign: i64| MemberWrite {
        key: key.into(),
        level: Some(cube::LevelId(1)),
        parents: vec![(HierarchyId(0), Some("net".into()))],
        attributes: vec![(AttributeId(0), Some(Scalar::Stored(sign)))],
        ..MemberWrite::default()
    };
    let groups = vec![group("income", 1), group("costs", -1)];
    tenant.write_members("account", groups).expect("groups");
    tenant.cell("plan", &["income"], Some(100)).expect("a group");
    tenant.cell("plan", &["costs"], Some(30)).expect("a group");
    assert_eq!(tenant.total(&tenant.view(), "plan").expect("a total"), Some(70));
}

#[test]
fn a_stock_takes_its_last_month() {
    let mut cube = amounts("balance", &["date.month"], None);
    cube.measures[0].time = Some(TimeDef {
        dimension: "date".into(),
        by: None,
        default: TimeSummary::Last,
        rules: Default::default(),
    });
    let mut tenant = Tenant::new(vec![calendar()], vec![cube]);
    for (month, value) in [("2012-02", 5), ("2011-08", 3), ("2011-11", 4)] {
        tenant.cell("balance", &[month], Some(value)).expect(month);
    }
    check_groups(&tenant, "balance", (CALENDAR, 0), &[("2011", 4), ("2012", 5)]);
}

#[test]
fn the_leaf_level_named_is_the_leaves() {
    let named = Tenant::new(vec![calendar()], vec![amounts("sales", &["date.day"], None)]);
    assert_eq!(named.version.model.cubes[0].levels, [None]);
    let mut named = named;
    named.cell("sales", &["2011-08-15"], Some(1)).expect("a day");
    let plain = Tenant::new(vec![calendar()], vec![amounts("sales", &["date"], None)]);
    assert_ne!(named.hash(), plain.hash(), "the state holds what the definition says");
}

#[test]
fn axes_that_cannot_be_are_refused() {
    let check = |cube: CubeDef, part: &str| {
        let dimensions = vec![calendar(), parent_child("account", ValueType::Text)];
        let mut tenant = Tenant::new(dimensions, Vec::new());
        let error = tenant.model(ModelChange::AddCube(cube)).expect_err(part);
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(text.contains(part), "{text}");
    };
    check(amounts("plan", &["date.months"], None), "did you mean month?");
    check(amounts("plan", &["dates.month"], None), "did you mean date?");
    check(amounts("plan", &["date.month.x"], None), "level \"month.x\" does not exist");
    check(amounts("plan", &["account.l1"], None), "dimension account has no named levels");
    check(amounts("plan", &["date", "date.month"], None), "column \"date\" exists already");
    let mut clash = amounts("plan", &["date.month"], None);
    clash.measures.push(measure("date_year", ValueType::Integer, Consolidation::Sum));
    check(clash, "is the column of a level");
    let mut free = amounts("plan", &["date.month"], None);
    free.measures.push(measure("date_day", ValueType::Integer, Consolidation::Sum));
    Tenant::new(vec![calendar()], vec![free]);
}

#[test]
fn a_ratio_begins_at_a_level_that_the_cube_has() {
    let check = |cube: &str, level: &str, expected: bool| {
        let change = ModelChange::SetFormula(FormulaDef {
            target: format!("{cube}.amount"),
            text: "1".into(),
            description: String::new(),
            at_or_above: [("date".to_string(), level.to_string())].into(),
        });
        assert_eq!(tenant().model(change).is_ok(), expected, "{cube} {level}");
    };
    for level in ["year", "quarter", "month", "fiscal_year"] {
        check("plan", level, true);
    }
    check("plan", "day", false);
    check("sales", "day", true);
    check("quota", "fiscal_year", true);
    check("quota", "quarter", false);
}

#[test]
fn keys_and_ancestors_of_a_level_are_found() {
    let tenant = tenant();
    let date = tenant.dimension("date");
    let [month, quarter] = ["month", "fiscal_quarter"].map(|l| date.def.level(l).expect("a level"));
    let [day, august, fiscal] =
        ["2011-08-15", "2011-08", "FY2012-Q1"].map(|key| date.find(key).expect("a member"));
    assert_eq!(date.ancestor_at(month, day), Some(august));
    assert_eq!(date.ancestor_at(quarter, day), Some(fiscal));
    assert_eq!(date.ancestor_at(quarter, august), Some(fiscal));
    assert_eq!(date.ancestor_at(month, fiscal), None);
    assert_eq!(date.resolve_at(Some(month), "2011-08").expect("a month"), august);
    assert_eq!(date.key_type_at(Some(month)), KeyType::Text);
    assert_eq!(date.key_type_at(None), KeyType::Date);
    let error = date.resolve_at(Some(month), "2011-08-15").expect_err("a day").to_string();
    assert!(error.contains("it is on level day, and the cube is at month"), "{error}");
    let error = date.resolve_at(Some(month), "2011-13").expect_err("no month");
    assert!(error.hint().expect("near keys").contains("2011-1"), "{error}");
}
