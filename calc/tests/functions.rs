//! The examples of the reference of functions run, and `docs/functions.md` is what they make.
//!
//! `GOLDEN_UPDATE=1 cargo test -p calc --test functions` writes the page.

#[path = "support/shop.rs"]
mod shop;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use calc::branches::Branches;
use calc::functions::{Entry, FUNCTIONS};
use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, HierarchyDef,
    HierarchyKind, LevelDef, MeasureDef, ModelChange,
};
use cube::value::{KeyPart, KeyType};
use cube::{
    AttributeId, Change, CubeId, DimensionId, HierarchyId, LevelId, MemberId, Number, Scalar,
    ValueType,
};

/// What is written, what it does, an example and what it gives.
struct Form(&'static str, &'static str, &'static str, &'static str);

const OPERATORS: &[Form] = &[
    Form("-x", "the opposite", "-units", "-12"),
    Form("x ^ y", "power with a whole exponent; blank where one is blank", "units ^ 2", "144"),
    Form("x * y", "product; blank where one is blank", "units * price", "300.00"),
    Form("x / y", "quotient; blank where one is blank or y is 0", "price / 4", "6.25"),
    Form(
        "x + y",
        "sum; a blank counts as nothing, and there is no sum of blanks alone",
        "units + bonus",
        "12",
    ),
    Form("x - y", "difference; the same", "units - 2", "10"),
    Form("x & y", "texts joined", "LEN(product.code & '!') * units", "60"),
    Form("x ?? y", "x, or y where x is blank", "bonus ?? price", "25.00"),
    Form("x = y", "equal; a blank equals a blank", "IF(bonus = BLANK, units, 0)", "12"),
    Form("x <> y", "not equal", "IF(units <> 12, 1, 0)", "0"),
    Form("x < y, x <= y", "before; blank where one is blank", "IF(units <= 12, 1, 0)", "1"),
    Form("x > y, x >= y", "after; blank where one is blank", "IF(bonus > 0, 1, units)", "12"),
    Form("x IN (y, z)", "equal to one of them", "IF(units IN (10, 12), 1, 0)", "1"),
    Form("NOT x", "true where x is false", "IF(NOT units > 12, 1, 0)", "1"),
    Form("x AND y", "true where both are", "IF(units > 10 AND price > 30, 1, 0)", "0"),
    Form("x OR y", "true where one is", "IF(units > 10 OR price > 30, 1, 0)", "1"),
];

const MODIFIERS: &[Form] = &[
    Form(
        "x[BY SUM: axis, ...]",
        "aggregated to a coarser axis; a cells cube keeps its other axes",
        "units / units[BY SUM: product.group]",
        "0.8",
    ),
    Form(
        "x[BY SUM: axis, ...]",
        "rows of a records cube by dimensions, levels and attributes that are members",
        "orders.amount[BY SUM: product, date.month]",
        "100",
    ),
    Form(
        "x[REMOVE SUM: axis]",
        "aggregated over an axis, which goes away",
        "units / units[REMOVE SUM: product]",
        "0.8",
    ),
    Form(
        "x[KEEP SUM: axis]",
        "aggregated over all other axes",
        "budget.amount / units[KEEP SUM: date] + units",
        "18.6667",
    ),
    Form(
        "x[SELECT: axis - n]",
        "so many members earlier, or later with +",
        "units[SELECT: date - 1]",
        "10",
    ),
    Form(
        "x[SELECT: axis = \"member\"]",
        "at one member, the axis goes away",
        "units / units[SELECT: product = \"car\"]",
        "4",
    ),
    Form(
        "x[SELECT: axis = \"member\"]",
        "of a member with others below it, their total",
        "units / units[SELECT: product = \"vehicles\"]",
        "0.8",
    ),
    Form("x[FILTER: condition]", "where the condition is true", "units[FILTER: price > 20]", "12"),
    Form(
        "x[EXCLUDE: condition]",
        "where the condition is not true",
        "orders.amount[EXCLUDE: orders.amount > 50][BY SUM: product, date.month]",
        "40",
    ),
    Form(
        "x[ADD CONSTANT: axis]",
        "the same at every member of an axis that x has not",
        "budget.amount[ADD CONSTANT: product]",
        "100",
    ),
    Form("x[ADD SPLIT: axis]", "in equal parts", "budget.amount[ADD SPLIT: product]", "50"),
    Form(
        "x[ADD SPLIT: axis BY basis]",
        "in parts in proportion to a basis",
        "budget.amount[ADD SPLIT: product BY units]",
        "80",
    ),
    Form(
        "x[ADD WEIGHT: axis BY weight]",
        "times a weight",
        "budget.amount[ADD WEIGHT: product BY product.size]",
        "150",
    ),
    Form(
        "x[ON branch]",
        "what x is on another branch, at the members of the same keys",
        "units[ON whatif] - units",
        "3",
    ),
];

const AGGREGATORS: &[Form] = &[
    Form(
        "SUM",
        "sum of the values; the one meant where none is named",
        "orders.amount[BY SUM: product, date.month]",
        "100",
    ),
    Form("AVG", "sum by number of values", "orders.amount[BY AVG: product, date.month]", "50"),
    Form(
        "WAVG",
        "sum of value times weight by sum of weights",
        "orders.amount[BY WAVG: product, date.month, weight: orders.pieces]",
        "55",
    ),
    Form("MIN", "smallest", "orders.amount[BY MIN: product, date.month]", "40"),
    Form("MAX", "largest", "orders.amount[BY MAX: product, date.month]", "60"),
    Form("COUNT", "number of values", "orders.amount[BY COUNT: product, date.month]", "2"),
    Form(
        "COUNTUNIQUE",
        "number of different values",
        "(orders.amount * 0)[BY COUNTUNIQUE: product, date.month]",
        "1",
    ),
    Form(
        "FIRST",
        "value of the first row, by date and key, blank or not",
        "orders.amount[BY FIRST: product, date.month]",
        "40",
    ),
    Form(
        "LAST",
        "value of the last row, blank or not",
        "orders.amount[BY LAST: product, date.month]",
        "60",
    ),
    Form(
        "FIRSTNONBLANK",
        "first value",
        "orders.amount[BY FIRSTNONBLANK: product, date.month]",
        "40",
    ),
    Form("LASTNONBLANK", "last value", "orders.amount[BY LASTNONBLANK: product, date.month]", "60"),
    Form("ANY", "whether one is true", "IF(orders.paid[BY ANY: product, date.month], 1, 0)", "1"),
    Form("ALL", "whether all are true", "IF(orders.paid[BY ALL: product, date.month], 1, 0)", "0"),
    Form(
        "TEXTLIST",
        "the texts in the order of FIRST and LAST, `, ` between them, repeats included",
        "IF(orders.status[BY TEXTLIST: product, date.month] = 'sent, open', 1, 0)",
        "1",
    ),
];

const CUBES: &str = "\
| product | key | name | group | code | size | currency |
|---|---|---|---|---|---|---|
| a bicycle | bike | Road Bike | vehicles | 7-42 | 1.5 | EUR |
| a car | car | Car | vehicles | 8-1 | 2 | USD |

| `sales(product, date.month)` | 2023-03 | 2023-12 | 2024-01 | 2024-02 | **2024-03** | 2024-04 |
|---|---|---|---|---|---|---|
| bike units | 6 | 8 | 7 | 10 | **12** | 8 |
| bike price | | | | 24.00 | **25.00** | |
| bike bonus | | | 5 | | | |
| car units | | | | | 3 | |
| car price | | | | | 90.00 | |

| cube | what it holds |
|---|---|
| `rates(step)` | threshold 0 with rate 0.1, threshold 10 with rate 0.2 |
| `budget(date.month)` | amount 100 in 2024-03 |
| `fx(currency, date.month)` | rate of EUR, what one is worth in USD: 1.0 in 2024-02, 1.1 in 2024-03 |
| `orders(product, date)`, rows | o1: bike, 2024-03-05, amount 40, pieces 1, paid, status sent; o2: bike, 2024-03-20, amount 60, pieces 3, not paid, status open |

On the branch `whatif` the bicycle's units of 2024-03 are 15; the rest is the same.
";

const SCALE: ValueType = ValueType::Decimal { precision: 18, scale: 4 };

fn dimension(name: &str, attributes: Vec<AttributeDef>) -> DimensionDef {
    DimensionDef { attributes, ..shop::dimension(name, KeyType::Text, None) }
}

fn dimensions() -> [DimensionDef; 4] {
    let calendar = CalendarDef {
        start: "2023-01-01".into(),
        end: "2024-12-31".into(),
        fiscal_start_month: None,
    };
    let currency = AttributeDef {
        member_of: Some("currency".into()),
        ..AttributeDef::new("currency", ValueType::Text)
    };
    let attributes = vec![
        AttributeDef::new("code", ValueType::Text),
        AttributeDef::new("size", SCALE),
        currency,
    ];
    let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
    [
        DimensionDef {
            levels: vec![level("group"), level("product")],
            hierarchies: vec![HierarchyDef {
                name: "group".into(),
                kind: HierarchyKind::Levels,
                levels: vec!["group".into(), "product".into()],
                weight: None,
                same_as: None,
            }],
            ..dimension("product", attributes)
        },
        DimensionDef {
            key_type: KeyType::Date,
            calendar: Some(calendar),
            ..dimension("date", Vec::new())
        },
        dimension("currency", Vec::new()),
        dimension("step", Vec::new()),
    ]
}

fn cubes() -> [CubeDef; 5] {
    let cells = |name, dimensions: &[&str], measures: &[&str]| {
        shop::cube(name, CubeKind::Cells, dimensions, measures)
    };
    let mut orders =
        shop::cube("orders", CubeKind::Records, &["product", "date"], &["amount", "pieces"]);
    orders.measures.push(MeasureDef {
        value_type: ValueType::Boolean,
        ..shop::measure("paid", Consolidation::None)
    });
    orders.measures.push(MeasureDef {
        value_type: ValueType::Text,
        ..shop::measure("status", Consolidation::None)
    });
    [
        cells("sales", &["product", "date.month"], &["units", "price", "bonus", "result"]),
        cells("rates", &["step"], &["threshold", "rate"]),
        cells("budget", &["date.month"], &["amount"]),
        cells("fx", &["currency", "date.month"], &["rate"]),
        orders,
    ]
}

fn members() -> Vec<Change> {
    let write = |id: u32, members: Vec<MemberWrite>| {
        Change::Members(MembersWrite {
            dimension: DimensionId(id),
            first_new: MemberId(0),
            members,
        })
    };
    let plain = |key: &str| MemberWrite { key: key.into(), ..MemberWrite::default() };
    let product = |key: &str, name: &str, code: &str, size: i64, currency: &str| MemberWrite {
        name: Some(name.into()),
        parents: vec![(HierarchyId(0), Some("vehicles".into()))],
        attributes: vec![
            (AttributeId(0), Some(Scalar::Text(code.into()))),
            (AttributeId(1), Some(Scalar::Stored(size))),
            (AttributeId(2), Some(Scalar::Text(currency.into()))),
        ],
        ..plain(key)
    };
    vec![
        write(2, vec![plain("EUR"), plain("USD")]),
        write(3, vec![plain("s1"), plain("s2")]),
        write(
            0,
            vec![
                MemberWrite { level: Some(LevelId(0)), ..plain("vehicles") },
                product("bike", "Road Bike", "7-42", 15_000, "EUR"),
                product("car", "Car", "8-1", 20_000, "USD"),
            ],
        ),
    ]
}

/// Cells, by keys, measure and stored value.
const CELLS: &[(&str, &[&str], &str, i64)] = &[
    ("sales", &["bike", "2023-03"], "units", 60_000),
    ("sales", &["bike", "2023-12"], "units", 80_000),
    ("sales", &["bike", "2024-01"], "units", 70_000),
    ("sales", &["bike", "2024-02"], "units", 100_000),
    ("sales", &["bike", "2024-03"], "units", 120_000),
    ("sales", &["bike", "2024-04"], "units", 80_000),
    ("sales", &["bike", "2024-02"], "price", 240_000),
    ("sales", &["bike", "2024-03"], "price", 250_000),
    ("sales", &["bike", "2024-01"], "bonus", 50_000),
    ("sales", &["car", "2024-03"], "units", 30_000),
    ("sales", &["car", "2024-03"], "price", 900_000),
    ("rates", &["s1"], "threshold", 0),
    ("rates", &["s1"], "rate", 1_000),
    ("rates", &["s2"], "threshold", 100_000),
    ("rates", &["s2"], "rate", 2_000),
    ("budget", &["2024-03"], "amount", 1_000_000),
    ("fx", &["EUR", "2024-02"], "rate", 10_000),
    ("fx", &["EUR", "2024-03"], "rate", 11_000),
];

const ORDERS: &[(&str, &str, [i64; 3], &str)] = &[
    ("o1", "2024-03-05", [400_000, 10_000, 1], "sent"),
    ("o2", "2024-03-20", [600_000, 30_000, 0], "open"),
];

fn write(
    revision: &Revision,
    cube: &str,
    key: Option<&str>,
    keys: &[&str],
    values: &[(&str, i64)],
) -> Change {
    let version = &revision.version;
    let id = version.model.cube(cube).expect("the cube is there");
    let def = version.model.cube_def(id);
    let find = |(dimension, key): (&DimensionId, &&str)| {
        version.dimension(*dimension).find(key).expect("the member is there")
    };
    Change::Rows(RowsWrite {
        cube: id,
        action: RowsAction::Set,
        measures: values.iter().map(|(name, _)| def.measure(name).expect("it is there")).collect(),
        keys: key.map(|key| KeyPart::Text(key.into())).into_iter().collect(),
        coordinates: def.dimensions.iter().zip(keys).map(find).collect(),
        values: values.iter().map(|(_, value)| Some(*value)).collect(),
    })
}

fn example() -> Revision {
    let dimensions = dimensions().into_iter().map(ModelChange::AddDimension);
    let cubes = cubes().into_iter().map(ModelChange::AddCube);
    let mut changes: Vec<Change> = dimensions.chain(cubes).map(Change::Model).collect();
    changes.extend(members());
    let mut revision = Revision::default().apply(&changes).expect("the model is right").0;
    for (cube, keys, measure, value) in CELLS {
        let change = write(&revision, cube, None, keys, &[(measure, *value)]);
        revision = revision.apply(&[change]).expect("the cell is right").0;
    }
    for (key, day, [amount, pieces, paid], status) in ORDERS {
        let values = [("amount", *amount), ("pieces", *pieces), ("paid", *paid), ("status", 0)];
        let texts = Change::Texts(vec![(*status).into()]);
        let change = write(&revision, "orders", Some(key), &["bike", day], &values);
        revision = revision.apply(&[texts, change]).expect("the order is right").0;
    }
    revision
}

/// The branch `whatif` as `main` sees it.
struct WhatIf(Revision);

impl Branches for WhatIf {
    fn own(&self) -> &'static str {
        "main"
    }

    fn find(&self, name: &str) -> Option<(Arc<str>, Revision)> {
        (name == "whatif").then(|| (name.into(), self.0.clone()))
    }

    fn names(&self) -> Vec<Arc<str>> {
        vec!["main".into(), "whatif".into()]
    }
}

impl WhatIf {
    fn of(revision: &Revision) -> Self {
        let units = write(revision, "sales", None, &["bike", "2024-03"], &[("units", 150_000)]);
        Self(revision.apply(&[units]).expect("the cell is right").0)
    }
}

/// What a formula gives at the bicycle in March.
fn outcome(revision: &Revision, text: &str) -> Result<Option<Number>, CalcError> {
    let change = Change::Model(ModelChange::SetFormula(shop::formula("sales.result", text)));
    let version = revision.apply_among(&[change], &WhatIf::of(revision))?.0.version;
    let cube = CubeId(0);
    let measure = version.model.cube_def(cube).measure("result").expect("it is there");
    let member = |id: u32, key| version.dimension(DimensionId(id)).find(key).expect("it is there");
    let location = version.rows(cube).find_at(&[member(0, "bike"), member(1, "2024-03")]);
    let stored = location.and_then(|at| version.rows(cube).value(at, measure.idx()));
    Ok(stored.map(|stored| Number::new(i128::from(stored), 4)))
}

/// All examples of the page: where they stand, the formula and the result.
fn examples() -> Vec<(&'static str, &'static str, &'static str)> {
    let functions = FUNCTIONS.iter().map(|entry| (entry.name, entry.example.0, entry.example.1));
    let forms = OPERATORS.iter().chain(MODIFIERS).chain(AGGREGATORS);
    functions.chain(forms.map(|Form(form, _, text, gives)| (*form, *text, *gives))).collect()
}

#[test]
fn every_example_gives_what_it_says() {
    let revision = example();
    let mut wrong = String::new();
    for (name, text, gives) in examples() {
        let expected = Number::parse(gives.trim_start_matches('-')).map(|number| {
            match gives.starts_with('-') {
                true => number.negate().expect("it is small"),
                false => number,
            }
        });
        match outcome(&revision, text) {
            Ok(found) if found == expected => {}
            Ok(found) => {
                let found = found.map_or("blank".into(), |number| number.normalized().to_string());
                writeln!(wrong, "{name}: {text} gives {found}, not {gives}").expect("a text");
            }
            Err(error) => {
                let detail = error.detail().unwrap_or_default();
                writeln!(wrong, "{name}: {error}\n{detail}").expect("a text");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn names_are_there_once() {
    let names: std::collections::BTreeSet<&str> =
        FUNCTIONS.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), FUNCTIONS.len());
    for entry in FUNCTIONS {
        assert!(entry.form.starts_with(entry.name), "{}", entry.form);
        assert!(entry.example.0.contains(&format!("{}(", entry.name)), "{}", entry.name);
    }
}

/// A text in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn function(page: &mut String, entry: &Entry) {
    let Entry { name, form, meaning, dimensions, blanks, example: (text, gives), .. } = entry;
    write!(
        page,
        "### {name}\n`{form}` gives {meaning}.\n- Dimensions: {dimensions}.\n- Blanks: {blanks}.\n- Units: {units}.\n- Example: `{text}` = {gives}\n\n",
        units = entry.units().words()
    )
    .expect("a text");
}

fn table(page: &mut String, title: &str, before: &str, forms: &[Form]) {
    write!(
        page,
        "## {title}\n{before}\n\n| form | meaning | example | gives |\n|---|---|---|---|\n"
    )
    .expect("a text");
    for Form(form, meaning, text, gives) in forms {
        let (form, text) = (cell(form), cell(text));
        writeln!(page, "| `{form}` | {meaning} | `{text}` | {gives} |").expect("a text");
    }
    page.push('\n');
}

fn page() -> String {
    let mut page = String::from(
        "# Functions, operators, modifiers and aggregators\nMade of the function table in `calc/src/functions.rs` and run by \
         `calc/tests/functions.rs`; edit those, not this page.\n`docs/formulas.md` explains the language.\n\n\
         ## The example cube\nEvery example is a formula of `sales.result` and says what it gives for the product `bike` in the month `2024-03`.\n\n",
    );
    page.push_str(CUBES);
    page.push_str("\n## Functions\nAn argument in brackets may be left out. *The same* dimensions are those of the argument.\n\n");
    FUNCTIONS.iter().for_each(|entry| function(&mut page, entry));
    table(
        &mut page,
        "Operators",
        "From the tightest to the loosest: `-x`, `^`, `* /`, `+ -`, `&`, `??`, comparisons and `IN`, `NOT`, `AND`, `OR`.",
        OPERATORS,
    );
    table(&mut page, "Modifiers", "Behind a measure, or an expression in brackets.", MODIFIERS);
    table(
        &mut page,
        "Aggregators",
        "In `BY`, `REMOVE` and `KEEP`. Blanks are left out unless the meaning says otherwise.",
        AGGREGATORS,
    );
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests"))
        .join("../docs/functions.md");
    if std::env::var_os("GOLDEN_UPDATE").is_some() {
        std::fs::write(&path, page()).expect("it can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/functions.md is not what GOLDEN_UPDATE=1 cargo test -p calc --test functions writes"
    );
}
