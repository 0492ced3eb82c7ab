//! Units of formulas: one data case a block in `golden/unit/*.case`.
//!
//! A case declares the unit of `plan.result`, or another target, and a formula after `>`. It fits; or
//! it would fit any unit, because nothing says its own; or it is an error with the place it points at.
//! `GOLDEN_UPDATE=1 cargo test -p calc --test units` writes what the engine says. Text in backquotes in a
//! hint is put into the formula, which then must be accepted.

#[path = "support/shop.rs"]
mod shop;

use std::path::Path;

use calc::functions::FUNCTIONS;
use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeKind, DimensionDef, HierarchyDef, HierarchyKind,
    LevelDef, MeasureDef, ModelChange,
};
use cube::value::KeyType;
use cube::{Change, DimensionId, MemberId, ValueType};

/// Measures of the world and their units.
const UNITS: &[(&str, &str, &str)] = &[
    ("plan", "units", "piece"),
    ("plan", "price", "EUR/piece"),
    ("plan", "revenue", "EUR"),
    ("plan", "cost", "EUR"),
    ("plan", "dollars", "USD"),
    ("plan", "local", "organization.currency"),
    ("plan", "listed", "product.currency"),
    ("plan", "quote", "product.currency/piece"),
    ("plan", "labelled", "product.label"),
    ("plan", "hours", "hour"),
    ("plan", "minutes", "minute"),
    ("plan", "minutes_an_hour", "minute/hour"),
    ("plan", "share", "1"),
    ("plan", "eur", "EUR"),
    ("plan", "free", ""),
    ("fx", "usd", "USD/currency"),
    ("fx", "eur", "EUR/currency"),
    ("fx", "free", ""),
    ("balance", "amount", "currency"),
    ("channels", "amount", "channel"),
    ("worth", "worth", "EUR/product"),
    ("steps", "threshold", "EUR"),
    ("steps", "rate", "1"),
    ("bonus", "threshold", "1"),
    ("bonus", "rate", "EUR"),
    ("orders", "amount", "organization.currency"),
    ("orders", "value", "EUR"),
    ("orders", "pieces", "piece"),
];

fn dimensions() -> Vec<DimensionDef> {
    let currency = || AttributeDef {
        member_of: Some("currency".into()),
        ..AttributeDef::new("currency", ValueType::Text)
    };
    let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
    let hierarchy = |name: &str, kind, levels: &[&str]| HierarchyDef {
        name: name.into(),
        kind,
        levels: levels.iter().map(|level| String::from(*level)).collect(),
        weight: None,
        same_as: None,
    };
    let flat = |name: &str| shop::dimension(name, KeyType::Text, None);
    let calendar = CalendarDef {
        start: "2024-01-01".into(),
        end: "2024-12-31".into(),
        fiscal_start_month: None,
    };
    vec![
        flat("currency"),
        DimensionDef {
            levels: vec![level("channel")],
            hierarchies: vec![hierarchy("channel", HierarchyKind::Levels, &["channel"])],
            ..flat("channel")
        },
        flat("step"),
        DimensionDef {
            attributes: vec![
                currency(),
                AttributeDef::new("label", ValueType::Text),
                AttributeDef::new("size", ValueType::Integer),
            ],
            levels: vec![level("group"), level("product")],
            hierarchies: vec![hierarchy("group", HierarchyKind::Levels, &["group", "product"])],
            ..flat("product")
        },
        DimensionDef {
            attributes: vec![currency()],
            hierarchies: vec![hierarchy("organization", HierarchyKind::ParentChild, &[])],
            ..flat("organization")
        },
        DimensionDef { key_type: KeyType::Date, calendar: Some(calendar), ..flat("date") },
    ]
}

/// The world: cubes with the measures of [`UNITS`], and results without a unit.
fn world() -> Revision {
    let measures = |of: &str| -> Vec<&str> {
        UNITS.iter().filter(|(cube, ..)| *cube == of).map(|(_, measure, _)| *measure).collect()
    };
    let cube = |name: &str, kind, axes: &[&str], more: &[&str]| {
        let measures = [measures(name), more.to_vec()].concat();
        shop::cube(name, kind, axes, &measures)
    };
    let typed = |name: &str, value_type| MeasureDef {
        value_type,
        ..shop::measure(name, Consolidation::None)
    };
    let axes = ["product", "organization", "date.month"];
    let mut plan = cube("plan", CubeKind::Cells, &axes, &["result"]);
    plan.measures.push(typed("due", ValueType::Date));
    plan.measures.push(typed("done", ValueType::Boolean));
    let rows = ["product", "organization", "date"];
    let cubes = [
        plan,
        cube("fx", CubeKind::Cells, &["currency", "date.month"], &[]),
        cube("balance", CubeKind::Cells, &["currency", "date.month"], &["result"]),
        cube("channels", CubeKind::Cells, &["channel", "date.month"], &[]),
        cube("worth", CubeKind::Cells, &["product", "date.month"], &[]),
        cube("steps", CubeKind::Cells, &["step"], &[]),
        cube("bonus", CubeKind::Cells, &["step"], &[]),
        cube("orders", CubeKind::Records, &rows, &["result"]),
    ];
    let dimensions = dimensions().into_iter().map(ModelChange::AddDimension);
    let changes = dimensions.chain(cubes.into_iter().map(ModelChange::AddCube));
    let units = UNITS.iter().map(|(cube, measure, text)| unit(cube, measure, text));
    let currency = |key: &str| MemberWrite { key: key.into(), ..MemberWrite::default() };
    let currencies = Change::Members(MembersWrite {
        dimension: DimensionId(0),
        first_new: MemberId(0),
        members: vec![currency("EUR"), currency("USD")],
    });
    let changes: Vec<Change> =
        changes.map(Change::Model).chain(units).chain([currencies]).collect();
    Revision::default().apply(&changes).expect("the world is right").0
}

fn unit(cube: &str, measure: &str, unit: &str) -> Change {
    Change::Model(ModelChange::SetUnit {
        cube: cube.into(),
        measure: measure.into(),
        unit: unit.into(),
    })
}

/// Whether a formula fits a target of a unit.
fn fits(world: &Revision, target: &str, declared: &str, text: &str) -> Result<(), CalcError> {
    let path = target.split('[').next().unwrap_or(target);
    let (cube, measure) = path.split_once('.').expect("a target is cube.measure");
    let formula = Change::Model(ModelChange::SetFormula(shop::formula(target, text)));
    world.apply(&[unit(cube, measure, declared), formula]).map(drop)
}

fn outcome(world: &Revision, target: &str, declared: &str, text: &str) -> String {
    match fits(world, target, declared, text) {
        Ok(()) if fits(world, target, "furlong", text).is_ok() => "fits any unit".into(),
        Ok(()) => "fits".into(),
        Err(error) => described(&error),
    }
}

fn described(error: &CalcError) -> String {
    let detail = error.detail().unwrap_or_default();
    let detail = detail.lines().map(|line| format!("| {line}"));
    let hint = error.hint().map(|hint| format!("hint: {hint}"));
    let first = format!("error {}: {error}", error.sqlstate());
    std::iter::once(first).chain(detail).chain(hint).collect::<Vec<_>>().join("\n")
}

/// The target of a block, its unit and the formula; none of a block without one.
fn read(block: &str) -> Option<(&str, &str, &str)> {
    let lines: Vec<&str> = block.lines().collect();
    let at = lines.iter().position(|line| line.starts_with('>'))?;
    let text = lines[at].trim_start_matches('>').trim_start();
    let (mut target, mut declared) = ("plan.result", "");
    for line in lines[..at].iter().filter(|line| !line.starts_with('#')) {
        match line.split_once(" = ").expect("a case sets a unit or a target") {
            ("unit", unit) => declared = unit,
            ("target", other) => target = other,
            (other, _) => panic!("{other} is nothing that a case sets"),
        }
    }
    Some((target, declared, text))
}

/// The block as the engine would write it.
fn checked(world: &Revision, block: &str) -> String {
    let Some((target, declared, text)) = read(block) else { return block.to_string() };
    let until: Vec<&str> = block.lines().take_while(|line| !line.starts_with('>')).collect();
    let given: String = until.iter().map(|line| format!("{line}\n")).collect();
    format!("{given}> {text}\n{}", outcome(world, target, declared, text))
}

/// How many texts the hint of a block says to write; each is accepted.
fn pasted(world: &Revision, block: &str) -> usize {
    let Some((target, declared, text)) = read(block) else { return 0 };
    let Err(CalcError::Formula { span, hint: Some(hint), .. }) =
        fits(world, target, declared, text)
    else {
        return 0;
    };
    let fragments: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
    for fragment in &fragments {
        let is_behind = fragment.starts_with('[') && !text[span.start..].starts_with('[');
        let start = if is_behind { span.end } else { span.start };
        let written = format!("{}{fragment}{}", &text[..start], &text[span.end..]);
        if let Err(error) = fits(world, target, declared, &written) {
            panic!("{text}: {written} is refused\n{}", described(&error));
        }
    }
    fragments.len()
}

fn case_files() -> Vec<(std::path::PathBuf, String)> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests"))
        .join("tests/golden/unit");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it was listed");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn formulas_have_the_units_that_their_cases_say() {
    let world = world();
    for (path, text) in case_files() {
        let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
        let found: Vec<String> = blocks.iter().map(|block| checked(&world, block)).collect();
        if std::env::var_os("GOLDEN_UPDATE").is_some() {
            std::fs::write(&path, format!("{}\n", found.join("\n\n"))).expect("it can be written");
            continue;
        }
        for (block, found) in blocks.iter().zip(&found) {
            assert_eq!(found, block, "{}", path.display());
        }
    }
}

#[test]
fn what_a_hint_says_to_write_is_accepted() {
    let world = world();
    let files = case_files();
    let blocks = files.iter().flat_map(|(_, text)| text.trim_end().split("\n\n"));
    let count: usize = blocks.map(|block| pasted(&world, block)).sum();
    assert!(count >= 15, "{count} hints hold text to write");
}

#[test]
fn every_function_has_a_case() {
    let files = case_files();
    let formulas: Vec<String> = files
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter(|line| line.starts_with('>'))
        .map(str::to_uppercase)
        .collect();
    let mut names: Vec<String> = FUNCTIONS.iter().map(|entry| format!("{}(", entry.name)).collect();
    let modifiers = ["BY", "REMOVE", "KEEP", "SELECT", "FILTER", "EXCLUDE", "ADD"];
    names.extend(modifiers.map(|name| format!("[{name}")));
    let missing: Vec<&String> =
        names.iter().filter(|name| !formulas.iter().any(|text| text.contains(*name))).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

#[test]
fn a_unit_and_its_formulas_change_together_or_not_at_all() {
    let formula =
        |text: &str| Change::Model(ModelChange::SetFormula(shop::formula("plan.result", text)));
    let world = world().apply(&[unit("plan", "result", "EUR"), formula("revenue - cost")]);
    let world = world.expect("the units fit").0;
    let alone = world.apply(&[unit("plan", "revenue", "USD")]).expect_err("they do not fit");
    assert!(alone.to_string().contains("they cannot be subtracted"), "{alone}");
    let dollars = ["revenue", "cost", "result"].map(|measure| unit("plan", measure, "USD"));
    let (changed, ran) = world.apply(&dollars).expect("together they fit");
    assert!(ran.0.is_empty(), "a unit changes no value");
    let hash = |revision: &Revision| revision.version.state_hash();
    assert_ne!(hash(&changed), hash(&world));
    let back = ["revenue", "cost", "result"].map(|measure| unit("plan", measure, "EUR"));
    assert_eq!(hash(&changed.apply(&back).expect("they fit").0), hash(&world));
    let none = ["revenue", "cost", "result"].map(|measure| unit("plan", measure, ""));
    world.apply(&none).expect("without units nothing is checked");
}

#[test]
fn a_unit_names_what_its_cube_has() {
    let world = world();
    for (cube, measure, text, expected) in [
        ("plan", "units", "currency", None),
        ("plan", "units", "organisation.currency", Some("did you mean organization?")),
        ("plan", "units", "organization.curency", Some("did you mean currency?")),
        (
            "plan",
            "units",
            "currency.code",
            Some("dimension of the cube \"currency\" does not exist"),
        ),
        ("plan", "units", "product.size", Some("is no text and no member")),
        ("plan", "due", "day", Some("a unit goes with a number, not with a date")),
        ("plan", "unit", "piece", Some("did you mean units?")),
        ("plan", "units", "EUR/", Some("a name is missing")),
    ] {
        match (world.apply(&[unit(cube, measure, text)]), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let hint = error.hint().unwrap_or_default();
                assert!(format!("{error} {hint}").contains(expected), "{text}: {error} {hint}");
            }
            (found, _) => panic!("{text}: {:?}", found.map(drop)),
        }
    }
}

#[test]
fn a_measure_that_is_added_keeps_the_units_of_the_others() {
    let world = world();
    let measure = shop::measure("further", Consolidation::Sum);
    let add = Change::Model(ModelChange::AddMeasure { cube: "plan".into(), measure });
    let further = world.apply(&[add]).expect("it can be added").0;
    assert!(fits(&further, "plan.further", "EUR", "revenue + dollars").is_err());
    assert!(fits(&further, "plan.further", "EUR", "revenue + cost").is_ok());
}
