//! Formulas and what they give: one data case a block in `golden/formula/*.case`.
//!
//! A case is what is given, a formula after `>`, and the result or the error with the place it
//! points at. `GOLDEN_UPDATE=1 cargo test -p calc --test golden` writes what the engine says.

#[path = "support/shop.rs"]
mod shop;

use std::path::{Path, PathBuf};

use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{AttributeDef, Consolidation, CubeKind, MeasureDef, ModelChange};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType};
use cube::{AttributeId, Change, CubeId, DimensionId, MeasureId, MemberId, Scalar, ValueType};

const INPUTS: [&str; 3] = ["a", "b", "c"];
const PLAN: CubeId = CubeId(0);
const ORDERS: CubeId = CubeId(1);

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
    vec![
        ModelChange::AddDimension(item),
        ModelChange::AddDimension(shop::dimension("region", KeyType::Text, None)),
        ModelChange::AddCube(plan),
        ModelChange::AddCube(shop::cube(
            "orders",
            CubeKind::Records,
            &["item", "region"],
            &["amount", "double"],
        )),
    ]
    .into_iter()
    .map(Change::Model)
    .collect()
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
                attributes: if dimension == 0 { vec![(AttributeId(0), rate)] } else { Vec::new() },
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
            values: vec![stored(Some(amount))],
        })
    });
    [member(0, "lamp", rate), member(1, "north", None), cell].into_iter().chain(order).collect()
}

/// What a formula gives for the one item there is.
fn outcome(case: &Given<'_>, text: &str) -> String {
    let target = given(case, "target").unwrap_or("plan.result");
    let mut changes = definitions(case);
    changes.extend(inputs(case));
    let (revision, _) = Revision::default().apply(&changes).expect("the case is valid");
    let formula = Change::Model(ModelChange::SetFormula(shop::formula(target, text)));
    match revision.apply(&[formula]) {
        Ok((revision, _)) => value(&revision),
        Err(error) => described(&error),
    }
}

fn value(revision: &Revision) -> String {
    let cube = revision.version.model.cube_def(PLAN);
    let measure = cube.measure("result").expect("it exists");
    let rows = revision.version.rows(PLAN).all(revision.version.empty_rows(PLAN));
    let stored = rows.values[measure.idx()].first().copied().flatten();
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

/// The block as the engine would write it.
fn checked(block: &str) -> String {
    let (input, _) = split(block);
    let Some(at) = input.iter().position(|line| line.starts_with('>')) else {
        return block.to_string();
    };
    let text = input[at].trim_start_matches('>').trim_start();
    let settings =
        input[..at].iter().filter(|line| !line.starts_with('#')).flat_map(|line| line.split(','));
    let case = settings.map(|setting| {
        let (name, text) =
            setting.split_once('=').unwrap_or_else(|| panic!("{setting:?} sets nothing"));
        (name.trim(), text.trim())
    });
    format!("{}\n{}", input.join("\n"), outcome(&case.collect(), text))
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formula");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "the cases are there");
    paths.iter().for_each(|path| check(path));
}
