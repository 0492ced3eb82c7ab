//! Members that formulas name and that are not there.

#[path = "support/shop.rs"]
mod shop;

use calc::Revision;
use calc::missing::{MissingMember, MissingState, missing_members};
use cube::change::{MemberWrite, MembersWrite};
use cube::model::{
    AttributeDef, CalendarDef, CubeKind, DimensionDef, HierarchyDef, HierarchyKind, LevelDef,
    ModelChange,
};
use cube::value::KeyType;
use cube::{Change, DimensionId, HierarchyId, LevelId, MemberId, ValueType};

fn flat(name: &str) -> DimensionDef {
    shop::dimension(name, KeyType::Text, None)
}

/// Scenarios, products in groups, owners with a status, a calendar of 2024; a plan and deals. Only
/// what `members` brings is loaded.
fn world(members: &[Change]) -> Revision {
    let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
    let status = AttributeDef {
        member_of: Some("status".into()),
        ..AttributeDef::new("status", ValueType::Text)
    };
    let calendar = CalendarDef {
        start: "2024-01-01".into(),
        end: "2024-12-31".into(),
        fiscal_start_month: None,
    };
    let dimensions = [
        flat("scenario"),
        DimensionDef {
            levels: vec![level("group"), level("product")],
            hierarchies: vec![HierarchyDef {
                name: "group".into(),
                kind: HierarchyKind::Levels,
                levels: vec!["group".into(), "product".into()],
                weight: None,
                same_as: None,
            }],
            ..flat("product")
        },
        flat("status"),
        DimensionDef { attributes: vec![status], ..flat("owner") },
        DimensionDef { key_type: KeyType::Date, calendar: Some(calendar), ..flat("date") },
    ];
    let cubes = [
        shop::cube("plan", CubeKind::Cells, &["scenario", "product", "date"], &["units", "result"]),
        shop::cube("deals", CubeKind::Records, &["owner", "status", "date"], &["value", "result"]),
    ];
    let dimensions = dimensions.map(ModelChange::AddDimension).map(Change::Model);
    let cubes = cubes.map(ModelChange::AddCube).map(Change::Model);
    let changes: Vec<Change> =
        dimensions.into_iter().chain(cubes).chain(members.iter().cloned()).collect();
    Revision::default().apply(&changes).expect("the model is right").0
}

fn members(dimension: u32, members: Vec<MemberWrite>) -> Change {
    Change::Members(MembersWrite {
        dimension: DimensionId(dimension),
        first_new: MemberId(0),
        members,
    })
}

fn plain(key: &str) -> MemberWrite {
    MemberWrite { key: key.into(), ..MemberWrite::default() }
}

fn named(key: &str, name: &str) -> MemberWrite {
    MemberWrite { name: Some(name.into()), ..plain(key) }
}

fn loaded() -> Revision {
    let product = |key: &str, name: &str| MemberWrite {
        parents: vec![(HierarchyId(0), Some("bikes".into()))],
        ..named(key, name)
    };
    world(&[
        members(0, vec![plain("Actual"), plain("Budget")]),
        members(
            1,
            vec![
                MemberWrite { level: Some(LevelId(0)), ..plain("bikes") },
                product("p1", "Road Bike"),
                product("p2", "Twin"),
                product("p3", "Twin"),
            ],
        ),
        members(2, vec![plain("Won"), plain("Lost")]),
    ])
}

fn found(world: &Revision, target: &str, text: &str) -> Vec<MissingMember> {
    let formula = Change::Model(ModelChange::SetFormula(shop::formula(target, text)));
    let revision = world.apply(&[formula]).unwrap_or_else(|error| panic!("{text}: {error}")).0;
    missing_members(&revision.version, &revision.plan)
}

/// What is said of a formula, with what the place in the text holds.
fn check(world: &Revision, target: &str, text: &str, expected: &[(&str, &str)]) {
    let found = found(world, target, text);
    let said: Vec<(String, &str)> = found
        .iter()
        .map(|missing| (missing.to_string(), &missing.text[missing.span.start..missing.span.end]))
        .collect();
    let said: Vec<(&str, &str)> =
        said.iter().map(|(said, place)| (said.as_str(), *place)).collect();
    assert_eq!(said, expected, "{text}");
    assert!(found.iter().all(|missing| missing.target == target), "{found:?}");
}

#[test]
fn members_that_are_there_are_not_missing() {
    let world = loaded();
    for text in [
        "units[SELECT: scenario = \"Budget\"][ADD CONSTANT: scenario]",
        "IF(product = \"Road Bike\", units, 0)",
        "units / units[SELECT: product = \"bikes\"]",
        "IF(ISDESCENDANT(product, \"bikes\") AND scenario IN (\"Actual\", \"Budget\"), units, 0)",
        "IF(date = '2024-02-29', units, LOOKUP(units, date: \"2024-12-31\"))",
    ] {
        check(&world, "plan.result", text, &[]);
    }
    check(&world, "plan.result[scenario: \"Budget\"]", "units", &[]);
    check(&world, "deals.result", "IF(status = \"Won\", value, 0)", &[]);
}

#[test]
fn a_misspelt_member_is_found_wherever_it_stands() {
    let world = loaded();
    let budget = "scenario has no member \"Budgett\" (did you mean \"Budget\"?)";
    let place = "\"Budgett\"";
    for text in [
        "units[SELECT: scenario = \"Budgett\"][ADD CONSTANT: scenario]",
        "IF(scenario = \"Budgett\", units, 0)",
        "IF(scenario <> scenario.\"Budgett\", units, 0)",
        "IF(scenario IN (\"Actual\", \"Budgett\"), units, 0)",
        "SWITCH(scenario, \"Actual\", units, \"Budgett\", 2 * units)",
        "units - LOOKUP(units, scenario: \"Budgett\")",
        "PREVIOUS(units[FILTER: scenario = \"Budgett\"])",
        "units / units[FILTER: scenario = \"Budgett\"][REMOVE SUM: product]",
    ] {
        check(&world, "plan.result", text, &[(budget, place)]);
    }
    check(&world, "plan.result", "IF(scenario = 'Budgett', units, 0)", &[(budget, "'Budgett'")]);
    let won = "status has no member \"Wonn\" (did you mean \"Won\"?)";
    check(&world, "deals.result", "IF(status = \"Wonn\", value, 0)", &[(won, "\"Wonn\"")]);
    check(&world, "deals.result", "IF(owner.status = 'Wonn', value, 0)", &[(won, "'Wonn'")]);
    check(
        &world,
        "plan.result",
        "units[SELECT: product = \"bikess\"][ADD CONSTANT: product]",
        &[("product has no member \"bikess\" (did you mean \"bikes\"?)", "\"bikess\"")],
    );
    check(&world, "plan.result[scenario: \"Budgett\"]", "units", &[(budget, "Budgett")]);
}

#[test]
fn each_member_is_said_once_for_each_place() {
    let said = |member: &str| format!("status has no member {member:?}");
    check(
        &loaded(),
        "deals.result",
        "IF(status = \"x\", value, 0) + IF(status = \"y\", value, 0) + IF(status = \"x\", value, 0)",
        &[(&said("x"), "\"x\""), (&said("y"), "\"y\""), (&said("x"), "\"x\"")],
    );
}

#[test]
fn a_name_of_two_members_is_no_name() {
    check(
        &loaded(),
        "plan.result",
        "IF(product = \"Twin\", units, 0)",
        &[("product has no member \"Twin\" (2 members have that name; say the key)", "\"Twin\"")],
    );
}

#[test]
fn a_day_outside_says_what_the_calendar_holds() {
    let world = loaded();
    for (day, expected) in [
        ("2025-01-01", "the calendar ends on 2024-12-31; it begins on 2024-01-01"),
        ("2023-12-31", "the calendar begins on 2024-01-01 and ends on 2024-12-31"),
        ("2025-02", "its days are from 2024-01-01 to 2024-12-31"),
    ] {
        let (said, place) =
            (format!("date has no member {day:?} ({expected})"), format!("\"{day}\""));
        let text = format!("units / LOOKUP(units, date: {place})");
        check(&world, "plan.result", &text, &[(&said, &place)]);
    }
}

#[test]
fn what_is_not_loaded_is_pending_until_it_is() {
    let text = "IF(scenario = \"Budget\" AND product = \"bikes\", units, 0)";
    let empty = world(&[]);
    let waiting = found(&empty, "plan.result", text);
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().all(|missing| missing.state == MissingState::Pending), "{waiting:?}");
    assert_eq!(waiting[0].to_string(), "scenario \"Budget\" is not loaded yet");
    let some = world(&[members(0, vec![plain("Actual")])]);
    let states: Vec<MissingState> =
        found(&some, "plan.result", text).into_iter().map(|missing| missing.state).collect();
    assert_eq!(states, [MissingState::Unknown, MissingState::Pending]);
    assert!(found(&loaded(), "plan.result", text).is_empty());
}

#[test]
fn a_level_without_members_is_pending() {
    // groups come before products
    let groups =
        world(&[members(1, vec![MemberWrite { level: Some(LevelId(0)), ..plain("bikes") }])]);
    let waiting = found(&groups, "plan.result", "units / LOOKUP(units, product: \"p1\")");
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].state, MissingState::Pending);
}
