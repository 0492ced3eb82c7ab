//! Formulas and what they give: one data case a block in `golden/formula/*.case`.
//!
//! A case is what is given, a formula after `>`, and the result or the error with the place it
//! points at. `GOLDEN_UPDATE=1 cargo test -p calc --test golden` writes what the engine says.
//! Text in backquotes in a hint is put into the formula, which then must be accepted.

#[path = "support/shop.rs"]
mod shop;

use std::path::{Path, PathBuf};

use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, MeasureDef,
    ModelChange,
};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType};
use cube::{AttributeId, Change, CubeId, DimensionId, MeasureId, MemberId, Scalar, ValueType};

const INPUTS: [&str; 3] = ["a", "b", "c"];
const PLAN: CubeId = CubeId(0);
const ORDERS: CubeId = CubeId(1);
/// Marks a case whose formula has an error behind the one that its hint is about.
const TWO_ERRORS: &str = "# two errors";
const HOME: AttributeId = AttributeId(2);

/// What a case sets: names and texts, in order.
type Given<'a> = Vec<(&'a str, &'a str)>;

fn given<'a>(given: &Given<'a>, name: &str) -> Option<&'a str> {
    given
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
        .filter(|text| *text != "blank")
}

fn stored(text: Option<&str>) -> Option<i64> {
    text.map(|text| ValueType::Decimal { precision: 18, scale: 4 }.parse(text).expect("a decimal"))
}

/// One item with attributes, a cells cube over it, and orders of it by region.
fn definitions(case: &Given<'_>) -> Vec<Change> {
    let typed = |name: &str, value_type| MeasureDef {
        value_type,
        ..shop::measure(name, Consolidation::None)
    };
    let mut item = shop::dimension("item", KeyType::Text, Some("rate"));
    item.attributes.push(AttributeDef::new("label", ValueType::Text));
    let mut plan = shop::cube("plan", CubeKind::Cells, &["item"], &INPUTS);
    plan.measures.extend([
        typed("due", ValueType::Date),
        typed("done", ValueType::Boolean),
        result(case),
    ]);
    plan.measures.push(shop::measure("ratio", Consolidation::Formula));
    item.attributes.push(AttributeDef {
        member_of: Some("region".into()),
        ..AttributeDef::new("home", ValueType::Text)
    });
    let mut changes = vec![
        ModelChange::AddDimension(item),
        ModelChange::AddDimension(shop::dimension("region", KeyType::Text, None)),
        ModelChange::AddCube(plan),
        ModelChange::AddCube(shop::cube(
            "orders",
            CubeKind::Records,
            &["item", "region"],
            &["amount", "double"],
        )),
    ];
    changes.extend(calendar());
    changes.into_iter().map(Change::Model).collect()
}

/// A year, cubes by its months and days, and visits to regions.
fn calendar() -> Vec<ModelChange> {
    let year = CalendarDef {
        start: "2024-01-01".into(),
        end: "2024-12-31".into(),
        fiscal_start_month: None,
    };
    let date = shop::dimension("date", KeyType::Date, None);
    let typed = |name: &str, value_type| MeasureDef {
        value_type,
        ..shop::measure(name, Consolidation::None)
    };
    let cells = |name: &str, dimensions: &[&str], measures: &[&str]| {
        shop::cube(name, CubeKind::Cells, dimensions, measures)
    };
    let mut visits = shop::cube("visits", CubeKind::Records, &["item", "date"], &["cost", "net"]);
    visits.measures.extend([typed("paid_on", ValueType::Date), typed("won", ValueType::Boolean)]);
    let mut calls = shop::cube("calls", CubeKind::Records, &["item"], &["minutes"]);
    calls.measures.push(typed("called_on", ValueType::Date));
    let add = |cube: CubeDef| ModelChange::AddCube(cube);
    vec![
        ModelChange::AddDimension(DimensionDef { calendar: Some(year), ..date }),
        add(cells("monthly", &["item", "date.month"], &["planned", "target"])),
        add(cells("daily", &["item", "date"], &["sold", "got"])),
        add(cells("areas", &["region", "date.month"], &["shops", "visited"])),
        add(cells("yearly", &["date.year"], &["growth", "spent"])),
        add(visits),
        add(calls),
    ]
}

fn result(case: &Given<'_>) -> MeasureDef {
    let (name, is_half_up) = match given(case, "type").unwrap_or("decimal(18;4)").split_once(' ') {
        Some((name, "half_up")) => (name.to_string(), true),
        Some((_, other)) => panic!("{other} is no rounding"),
        None => (given(case, "type").unwrap_or("decimal(18;4)").to_string(), false),
    };
    MeasureDef {
        value_type: ValueType::try_from(name.replace(';', ",")).expect("a type"),
        rounding: if is_half_up { Rounding::HalfUp } else { Rounding::HalfEven },
        ..shop::measure("result", Consolidation::Sum)
    }
}

fn inputs(case: &Given<'_>) -> Vec<Change> {
    let member = |dimension, key: &str, rate| {
        Change::Members(MembersWrite {
            dimension: DimensionId(dimension),
            first_new: MemberId(0),
            members: vec![MemberWrite {
                key: key.into(),
                attributes: match dimension {
                    0 => vec![(AttributeId(0), rate), (HOME, Some(Scalar::Text("north".into())))],
                    _ => Vec::new(),
                },
                ..MemberWrite::default()
            }],
        })
    };
    let rate = stored(given(case, "rate")).map(Scalar::Stored);
    let cell = Change::Rows(RowsWrite {
        cube: PLAN,
        action: RowsAction::Set,
        measures: (0..INPUTS.len()).map(MeasureId::from_idx).collect(),
        keys: Vec::new(),
        coordinates: vec![MemberId(0)],
        values: INPUTS.iter().map(|name| stored(given(case, name))).collect(),
    });
    let order = given(case, "orders").map(|amount| {
        Change::Rows(RowsWrite {
            cube: ORDERS,
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: vec![KeyPart::Text("o1".into())],
            coordinates: vec![MemberId(0), MemberId(0)],
            values: vec![stored(Some(amount))].into(),
        })
    });
    [member(0, "lamp", rate), member(1, "north", None), cell].into_iter().chain(order).collect()
}

/// What is planned of the item in the first month.
fn monthly(revision: &Revision, planned: &str) -> Change {
    let model = &revision.version.model;
    let cube = model.cube("monthly").expect("it exists");
    let date = model.dimension("date").expect("it exists");
    let month = revision.version.dimension(date).find("2024-01").expect("a month");
    Change::Rows(RowsWrite {
        cube,
        action: RowsAction::Set,
        measures: vec![MeasureId(0)],
        keys: Vec::new(),
        coordinates: vec![MemberId(0), month],
        values: vec![stored(Some(planned))].into(),
    })
}

/// The case with a formula.
fn applied(case: &Given<'_>, text: &str) -> Result<Revision, CalcError> {
    let target = given(case, "target").unwrap_or("plan.result");
    let mut changes = definitions(case);
    changes.extend(inputs(case));
    let (mut revision, _) = Revision::default().apply(&changes).expect("the case is valid");
    if let Some(planned) = given(case, "planned") {
        let planned = monthly(&revision, planned);
        (revision, _) = revision.apply(&[planned]).expect("the case is valid");
    }
    let formula = Change::Model(ModelChange::SetFormula(shop::formula(target, text)));
    revision.apply(&[formula]).map(|(revision, _)| revision)
}

/// What a formula gives for the one item there is.
fn outcome(case: &Given<'_>, text: &str) -> String {
    match applied(case, text) {
        Ok(revision) => value(&revision),
        Err(error) => described(&error),
    }
}

fn value(revision: &Revision) -> String {
    let cube = revision.version.model.cube_def(PLAN);
    let measure = cube.measure("result").expect("it exists");
    let rows = revision.version.rows(PLAN).all(revision.version.empty_rows(PLAN));
    let stored = rows.values[measure.idx()].iter().next().flatten();
    stored.map_or("blank".into(), |value| cube.measure_def(measure).value_type.format(value))
}

fn described(error: &CalcError) -> String {
    let detail = error
        .detail()
        .into_iter()
        .flat_map(|detail| detail.lines().map(String::from).collect::<Vec<_>>());
    let detail = detail.map(|line| format!("| {line}"));
    let hint = error.hint().map(|hint| format!("hint: {hint}"));
    let first = format!("error {}: {error}", error.sqlstate());
    std::iter::once(first).chain(detail).chain(hint).collect::<Vec<_>>().join("\n")
}

/// What a block sets, and its formula; none of a block without one.
fn read(block: &str) -> Option<(Given<'_>, &str)> {
    let (input, _) = split(block);
    let at = input.iter().position(|line| line.starts_with('>'))?;
    let text = input[at].trim_start_matches('>').trim_start();
    let settings =
        input[..at].iter().filter(|line| !line.starts_with('#')).flat_map(|line| line.split(','));
    let case = settings.map(|setting| {
        let (name, text) =
            setting.split_once('=').unwrap_or_else(|| panic!("{setting:?} sets nothing"));
        (name.trim(), text.trim())
    });
    Some((case.collect(), text))
}

/// The block as the engine would write it.
fn checked(block: &str) -> String {
    let (input, _) = split(block);
    read(block).map_or_else(
        || block.to_string(),
        |(case, text)| format!("{}\n{}", input.join("\n"), outcome(&case, text)),
    )
}

/// A formula with what a hint says to write: in the place of what the error points at, or behind it
/// where only the hint begins with a bracket.
fn with_hint(error: &CalcError, fragment: &str) -> String {
    let CalcError::Formula { text, span, .. } = error else {
        panic!("{error} is no error of a formula");
    };
    let is_behind = fragment.starts_with('[') && !text[span.start..].starts_with('[');
    let start = if is_behind { span.end } else { span.start };
    format!("{}{fragment}{}", &text[..start], &text[span.end..])
}

/// How many texts the hint of a block says to write; each is accepted.
fn pasted(block: &str) -> usize {
    let Some((case, text)) = read(block) else { return 0 };
    let Err(error) = applied(&case, text) else { return 0 };
    let Some(hint) = error.hint() else { return 0 };
    let (quoted, plain): (Vec<_>, Vec<_>) =
        hint.split('`').enumerate().partition(|(at, _)| at % 2 == 1);
    for (_, words) in plain {
        let has_modifier = ["[BY", "[ADD", "[REMOVE", "[KEEP", "[SELECT", "[FILTER"];
        let is_text = has_modifier.iter().any(|modifier| words.contains(modifier));
        assert!(!is_text, "{text}: a modifier stands in backquotes: {hint}");
    }
    for (_, fragment) in &quoted {
        let written = with_hint(&error, fragment);
        match applied(&case, &written) {
            Ok(_) => assert!(!block.starts_with(TWO_ERRORS), "{text}: there is one error"),
            Err(CalcError::Formula { span, .. })
                if block.starts_with(TWO_ERRORS) && written[..span.start].contains(fragment) => {}
            Err(error) => panic!("{text}: {written} is refused\n{}", described(&error)),
        }
    }
    quoted.len()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests"))
        .join("tests/golden/formula");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "the cases are there");
    paths
}

/// The lines up to the formula, and those after it.
fn split(block: &str) -> (Vec<&str>, Vec<&str>) {
    let lines: Vec<&str> = block.lines().collect();
    let end = lines.iter().position(|line| line.starts_with('>')).map_or(lines.len(), |at| at + 1);
    (lines[..end].to_vec(), lines[end..].to_vec())
}

fn check(path: &Path) {
    let text = std::fs::read_to_string(path).expect("it was listed");
    let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
    let found: Vec<String> = blocks.iter().map(|block| checked(block)).collect();
    if std::env::var_os("GOLDEN_UPDATE").is_some() {
        std::fs::write(path, format!("{}\n", found.join("\n\n"))).expect("it can be written");
        return;
    }
    for (block, found) in blocks.iter().zip(&found) {
        assert_eq!(found, block, "{}", path.display());
    }
}

#[test]
fn formulas_give_what_their_cases_say() {
    cases().iter().for_each(|path| check(path));
}

#[test]
fn what_a_hint_says_to_write_is_accepted() {
    let texts = cases().into_iter().map(|path| std::fs::read_to_string(path).expect("it is there"));
    let counts = texts.map(|text| text.trim_end().split("\n\n").map(pasted).sum::<usize>());
    let count: usize = counts.sum();
    assert!(count >= 20, "{count} hints hold text to write");
}
