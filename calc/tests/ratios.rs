//! Ratios that read another cube: at every level the formula over the totals of both cubes, each by its own
//! rules. Values are worked out by hand, or anew from a plain list of cells.

#[path = "support/shop.rs"]
mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use calc::explain::{CellRef, ExplainNode, Options, Place, explain};
use calc::{CalcError, Measured, Query, Revision, run};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, FormulaDef,
    HierarchyDef, HierarchyKind, ModelChange, TimeDef, TimeSummary,
};
use cube::rollup::{Axis, Filter, Grain, Output};
use cube::segment::{RowSet, SegmentView};
use cube::value::{KeyPart, KeyType};
use cube::{AttributeId, Change, CubeId, DimensionId, HierarchyId, MeasureId, MemberId, Scalar};
use cube::{ValueType, View};
use roaring::RoaringBitmap;

const ACCOUNT: DimensionId = DimensionId(0);
const DATE: DimensionId = DimensionId(1);
const PLAN: &str = "plan";
const ACTUALS: &str = "actuals";

/// Income is sales less costs; cash is a stock, and its root does not count.
const ACCOUNTS: [(&str, Option<&str>, &str, &str); 5] = [
    ("income", None, "+", "flow"),
    ("sales", Some("income"), "+", "flow"),
    ("costs", Some("income"), "-", "flow"),
    ("balance", None, "~", "flow"),
    ("cash", Some("balance"), "+", "stock"),
];

fn dimensions() -> Vec<DimensionDef> {
    let mut account = shop::dimension("account", KeyType::Text, None);
    account.attributes =
        ["operator", "kind"].map(|name| AttributeDef::new(name, ValueType::Text)).into();
    account.hierarchies.push(HierarchyDef {
        name: "account".into(),
        kind: HierarchyKind::ParentChild,
        levels: Vec::new(),
        weight: Some("operator".into()),
        same_as: None,
    });
    let calendar = CalendarDef {
        start: "2024-01-01".into(),
        end: "2024-06-30".into(),
        fiscal_start_month: None,
    };
    let date = shop::dimension("date", KeyType::Date, None);
    let region = shop::dimension("region", KeyType::Text, None);
    vec![account, DimensionDef { calendar: Some(calendar), ..date }, region]
}

/// Actuals have the dimensions of the plan in another order, and stocks that close.
fn cubes() -> Vec<CubeDef> {
    let measures = |measures: &[(&str, Consolidation)]| {
        measures.iter().map(|(name, rule)| shop::measure(name, *rule)).collect::<Vec<_>>()
    };
    let cells = |name: &str, axes: &[&str], of| CubeDef {
        measures: measures(of),
        ..shop::cube(name, CubeKind::Cells, axes, &[])
    };
    use Consolidation::{Average, Count, Formula, Sum};
    let ratios = ["pct", "gap", "coarse", "entry", "mixed"].map(|name| (name, Formula));
    let plan = [&[("amount", Sum), ("kept", Sum)], ratios.as_slice()].concat();
    let plan = cells(PLAN, &["account", "date.month"], &plan);
    let mut actuals = cells(
        ACTUALS,
        &["date.month", "account"],
        &[("amount", Sum), ("n", Count), ("mean", Average), ("share", Formula)],
    );
    actuals.measures[0].time = Some(TimeDef {
        dimension: "date".into(),
        by: Some("account.kind".into()),
        default: TimeSummary::Sum,
        rules: [("stock".to_string(), TimeSummary::Last)].into(),
    });
    let bookings = CubeDef {
        measures: measures(&[("value", Sum), ("of_plan", Formula)]),
        ..shop::cube("bookings", CubeKind::Records, &["account", "date.month"], &[])
    };
    vec![
        plan,
        actuals,
        bookings,
        cells("daily", &["account", "date"], &[("amount", Sum), ("of_plan", Formula)]),
        cells("quarterly", &["account", "date.quarter"], &[("amount", Sum)]),
        cells("rates", &["date.month"], &[("rate", Sum)]),
        cells("wide", &["account", "date.month", "region"], &[("amount", Sum)]),
    ]
}

fn formula(target: &str, text: &str) -> Change {
    Change::Model(ModelChange::SetFormula(shop::formula(target, text)))
}

fn of_quarters(target: &str, text: &str) -> Change {
    let at_or_above = [("date".to_string(), "quarter".to_string())].into();
    let formula = FormulaDef { at_or_above, ..shop::formula(target, text) };
    Change::Model(ModelChange::SetFormula(formula))
}

/// The cubes with formulas.
fn model(formulas: &[Change]) -> Result<Revision, CalcError> {
    let text = |text: &str| Some(Scalar::Text(text.into()));
    let members = ACCOUNTS.iter().map(|(key, parent, operator, kind)| MemberWrite {
        key: (*key).into(),
        parents: vec![(HierarchyId(0), parent.map(Into::into))],
        attributes: vec![(AttributeId(0), text(operator)), (AttributeId(1), text(kind))],
        ..MemberWrite::default()
    });
    let members =
        MembersWrite { dimension: ACCOUNT, first_new: MemberId(0), members: members.collect() };
    let changes = dimensions().into_iter().map(ModelChange::AddDimension);
    let changes = changes.chain(cubes().into_iter().map(ModelChange::AddCube)).map(Change::Model);
    let changes: Vec<Change> =
        changes.chain([Change::Members(members)]).chain(formulas.iter().cloned()).collect();
    Ok(Revision::default().apply(&changes)?.0)
}

fn cube_of(revision: &Revision, name: &str) -> CubeId {
    revision.version.model.cube(name).expect("the cube is there")
}

fn measure_of(revision: &Revision, cube: &str, name: &str) -> MeasureId {
    let cube = revision.version.model.cube_def(cube_of(revision, cube));
    cube.measure(name).expect("the measure is there")
}

fn member(revision: &Revision, dimension: DimensionId, key: &str) -> MemberId {
    revision.version.dimension(dimension).find(key).expect("the member is there")
}

/// A cell of whole numbers: `(cube, account, month, measures and values)`.
fn cell(
    revision: &Revision,
    cube: &str,
    [account, date]: [&str; 2],
    values: &[(&str, Option<i64>)],
) -> Change {
    let coordinates = [member(revision, ACCOUNT, account), member(revision, DATE, date)];
    let is_swapped = cube == ACTUALS;
    Change::Rows(RowsWrite {
        cube: cube_of(revision, cube),
        action: RowsAction::Set,
        measures: values.iter().map(|(name, _)| measure_of(revision, cube, name)).collect(),
        keys: Vec::new(),
        coordinates: if is_swapped {
            coordinates.into_iter().rev().collect()
        } else {
            coordinates.to_vec()
        },
        values: values.iter().map(|(_, value)| value.map(|value| value * 10_000)).collect(),
    })
}

fn written(revision: &Revision, cells: &[Change]) -> Revision {
    revision.apply(cells).expect("the cells are written").0
}

fn view(revision: &Revision) -> View {
    View::unrestricted(Arc::clone(&revision.version))
}

/// A grouping of accounts (`leaf`, `root`) or of months (`month`, `quarter`), by labels.
fn axis(revision: &Revision, cube: &str, by: &str) -> (Axis, Vec<String>) {
    let dimension_id = if matches!(by, "leaf" | "root") { ACCOUNT } else { DATE };
    let dimension = revision.version.dimension(dimension_id);
    let (grain, level) = match by {
        "leaf" | "month" => (Grain::Leaf, None),
        "root" => (Grain::Level(HierarchyId(0), 0), Some(0)),
        _ => {
            let columns = dimension.level_columns();
            let column = columns.iter().find(|c| c.name == by).expect("a level");
            (Grain::Level(column.hierarchy, column.position), Some(column.position))
        }
    };
    let mut labels: Vec<String> = Vec::new();
    let mut code = |member: MemberId| {
        let member = match level {
            Some(level) => dimension.shape(HierarchyId(0)).ancestors[level][member.idx()],
            None => member,
        };
        let label = if member == MemberId::NONE { "" } else { dimension.key(member) };
        let known = labels.iter().position(|known| known == label);
        known.unwrap_or_else(|| {
            labels.push(label.into());
            labels.len() - 1
        }) as u32
    };
    let codes: Vec<u32> = dimension.members().map(&mut code).collect();
    let position = position(revision, cube, dimension_id);
    let cardinality = labels.len() as u32;
    (Axis { position, codes: Arc::new(codes), cardinality, grain }, labels)
}

fn position(revision: &Revision, cube: &str, dimension: DimensionId) -> usize {
    let cube = revision.version.model.cube_def(cube_of(revision, cube));
    cube.dimensions.iter().position(|&other| other == dimension).expect("it has the dimension")
}

fn filter(
    revision: &Revision,
    cube: &str,
    of: &[&str],
    dimension: DimensionId,
    grain: Grain,
) -> Filter {
    let members = of.iter().map(|key| member(revision, dimension, key).0).collect();
    Filter { position: position(revision, cube, dimension), members, grain, level: None }
}

/// What a query answers: labels, then values in ten-thousandths.
fn ask(
    revision: &Revision,
    cube: &str,
    by: &[&str],
    filters: Vec<Filter>,
    measures: &[&str],
) -> BTreeMap<Vec<String>, Vec<Option<i128>>> {
    let (axes, labels): (Vec<_>, Vec<_>) = by.iter().map(|by| axis(revision, cube, by)).unzip();
    let outputs: Vec<Measured> = measures
        .iter()
        .map(|name| Measured::Consolidated(measure_of(revision, cube, name)))
        .collect();
    let cube = cube_of(revision, cube);
    let query = Query { axes, filters, outputs, ..Query::of(cube) };
    let found = run(&view(revision), &revision.plan, &query).expect("the query runs");
    let group = |group: usize| {
        let key = labels.iter().zip(&found.codes);
        let key = key.map(|(labels, codes)| labels[codes[group] as usize].clone()).collect();
        (key, found.columns.iter().map(|column| column.values[group]).collect())
    };
    (0..found.group_count).map(group).collect()
}

fn only(revision: &Revision, by: &[&str], at: &[&str], measure: &str) -> Option<i128> {
    let found = ask(revision, PLAN, by, Vec::new(), &[measure]);
    found[&at.iter().map(|key| (*key).to_string()).collect::<Vec<_>>()][0]
}

fn ratios() -> Revision {
    model(&[
        formula("plan.pct", "actuals.amount / amount - 1"),
        formula("plan.gap", "actuals.amount - amount"),
        of_quarters("plan.coarse", "actuals.amount - amount"),
        formula("plan.entry", "actuals.amount / actuals.n"),
        formula("actuals.share", "mean / plan.amount"),
        formula("plan.mixed", "actuals.share * amount + gap"),
    ])
    .expect("the model is right")
}

#[test]
fn a_ratio_of_two_cubes_is_that_of_their_totals() {
    let revision = ratios();
    let cells = [
        cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(100))]),
        cell(&revision, PLAN, ["sales", "2024-02"], &[("amount", Some(300))]),
        cell(&revision, PLAN, ["costs", "2024-01"], &[("amount", Some(40))]),
        cell(&revision, PLAN, ["cash", "2024-01"], &[("amount", Some(10))]),
        cell(&revision, ACTUALS, ["sales", "2024-01"], &[("amount", Some(110))]),
        cell(&revision, ACTUALS, ["costs", "2024-02"], &[("amount", Some(60))]),
        cell(&revision, ACTUALS, ["cash", "2024-01"], &[("amount", Some(70))]),
        cell(&revision, ACTUALS, ["cash", "2024-03"], &[("amount", Some(30))]),
        cell(&revision, ACTUALS, ["sales", "2024-04"], &[("amount", Some(5))]),
    ];
    let revision = written(&revision, &cells);
    // sales 115 by 400; costs 60 by 40; cash closes at 30, by 10
    assert_eq!(only(&revision, &["leaf"], &["sales"], "pct"), Some(-7125));
    assert_eq!(only(&revision, &["leaf"], &["costs"], "pct"), Some(5000));
    assert_eq!(only(&revision, &["leaf"], &["cash"], "pct"), Some(20_000));
    // costs count against sales: (115 - 60) / (400 - 40) - 1
    assert_eq!(only(&revision, &["root"], &["income"], "pct"), Some(-8472));
    assert_eq!(only(&revision, &["root"], &["income"], "gap"), Some((55 - 360) * 10_000));
    // the balance does not count in the total of all
    assert_eq!(only(&revision, &[], &[], "pct"), Some(-8472));
    // only actuals have a second quarter
    assert_eq!(only(&revision, &["quarter"], &["2024-Q2"], "coarse"), Some(50_000));
    assert_eq!(only(&revision, &["quarter"], &["2024-Q2"], "pct"), None);
    // at leaves: 110 / 100 - 1; what one of the cubes lacks is blank
    assert_eq!(only(&revision, &["leaf", "month"], &["sales", "2024-01"], "pct"), Some(1000));
    assert_eq!(only(&revision, &["leaf", "month"], &["costs", "2024-01"], "pct"), None);
    assert_eq!(only(&revision, &["leaf", "month"], &["costs", "2024-02"], "gap"), Some(600_000));
    assert_eq!(only(&revision, &["leaf", "month"], &["costs", "2024-02"], "coarse"), None);
}

#[test]
fn a_group_that_only_the_other_cube_has_is_listed_where_the_ratio_has_a_value() {
    let revision = model(&[
        of_quarters("plan.coarse", "actuals.amount - amount"),
        of_quarters("plan.pct", "actuals.amount / amount"),
        of_quarters("plan.entry", "IF(ISBLANK(amount), actuals.n, BLANK)"),
        of_quarters("plan.mixed", "IF(ISBLANK(amount), 1, 2)"),
    ])
    .unwrap();
    let cells = [
        cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(100))]),
        cell(&revision, ACTUALS, ["costs", "2024-02"], &[("amount", Some(60))]),
        cell(&revision, ACTUALS, ["cash", "2024-02"], &[("mean", Some(1))]),
    ];
    let revision = written(&revision, &cells);
    let listed = |measures: &[&str]| -> Vec<(String, Vec<Option<i128>>)> {
        let found = ask(&revision, PLAN, &["leaf"], Vec::new(), measures);
        found.into_iter().map(|(mut key, values)| (key.remove(0), values)).collect()
    };
    let line = |key: &str, values: &[Option<i128>]| (key.to_string(), values.to_vec());
    assert_eq!(listed(&["amount"]), [line("sales", &[Some(1_000_000)])]);
    assert_eq!(listed(&["pct"]), [line("sales", &[None])]);
    assert_eq!(
        listed(&["mixed", "coarse"]),
        [line("costs", &[None, Some(600_000)]), line("sales", &[Some(20_000), Some(-1_000_000)])]
    );
    assert_eq!(
        listed(&["coarse", "amount"]),
        [
            line("costs", &[Some(600_000), None]),
            line("sales", &[Some(-1_000_000), Some(1_000_000)])
        ]
    );
    // entries are counted in every group in which actuals have cells
    assert_eq!(
        listed(&["entry"]),
        [line("cash", &[Some(0)]), line("costs", &[Some(0)]), line("sales", &[None])]
    );
    // counts of groups without rows are 0, also those of the cube itself
    let (by, _) = axis(&revision, PLAN, "leaf");
    let coarse = Measured::Consolidated(measure_of(&revision, PLAN, "coarse"));
    let outputs = vec![coarse, Measured::Plain(Output::CountRows)];
    let cube = cube_of(&revision, PLAN);
    let query = Query { axes: vec![by], outputs, ..Query::of(cube) };
    let found = run(&view(&revision), &revision.plan, &query).unwrap();
    assert_eq!(found.columns[1].values, [Some(1), Some(0)], "sales, costs");
}

/// Cells by account and month, in whole numbers.
type Cells = BTreeMap<(&'static str, usize), i64>;

const LEAVES: [&str; 3] = ["sales", "costs", "cash"];
const MONTHS: [&str; 6] = ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"];

/// The total of the cells of a group; none where there are no values that count.
fn total(cells: &Cells, has_stocks: bool, weight: &dyn Fn(&str) -> i64) -> Option<i64> {
    let mut parts = Vec::new();
    for account in LEAVES {
        let of = |((a, _), value): (&(&str, usize), &i64)| (*a == account).then_some(*value);
        let values: Vec<i64> = cells.iter().filter_map(of).collect();
        let values = match values.last() {
            Some(&last) if has_stocks && account == "cash" => vec![last],
            _ => values,
        };
        let weight = weight(account);
        parts.extend(values.into_iter().filter(|_| weight != 0).map(|value| value * weight));
    }
    (!parts.is_empty()).then(|| parts.into_iter().sum())
}

/// Half to even.
fn rounded_quotient(a: i128, b: i128) -> i128 {
    let (a, b) = if b < 0 { (-a, -b) } else { (a, b) };
    let (quotient, rest) = (a.div_euclid(b), a.rem_euclid(b));
    quotient + i128::from(2 * rest > b || (2 * rest == b && quotient % 2 != 0))
}

/// Random cells of both cubes: every grouping under every filter is what one finds by adding up.
#[test]
fn every_group_is_what_its_cells_add_up_to() {
    let empty = ratios();
    let mut state = 7u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for _ in 0..12 {
        let mut draw = || -> Cells {
            let all = LEAVES.iter().flat_map(|&account| (0..6).map(move |month| (account, month)));
            // a third of the cells, from -15 to 24
            let drawn: Vec<_> = all.map(|key| (key, next(120) as i64)).collect();
            let drawn = drawn.into_iter().filter(|(_, value)| *value < 40);
            drawn.map(|(key, value)| (key, value - 15)).collect()
        };
        let (plan, actuals) = (draw(), draw());
        let write = |cube: &str, cells: &Cells, names: &[&str]| -> Vec<Change> {
            let write = |(&(account, month), &value): (&(&str, usize), &i64)| {
                let values: Vec<_> = names.iter().map(|name| (*name, Some(value))).collect();
                cell(&empty, cube, [account, MONTHS[month]], &values)
            };
            cells.iter().map(write).collect()
        };
        let cells =
            [write(PLAN, &plan, &["amount"]), write(ACTUALS, &actuals, &["amount", "n", "mean"])];
        let revision = written(&empty, &cells.concat());
        for by in [
            vec![],
            vec!["leaf"],
            vec!["root"],
            vec!["month"],
            vec!["quarter"],
            vec!["root", "quarter"],
            vec!["leaf", "month"],
            vec!["quarter", "leaf"],
        ] {
            for named in ["", "Q1", "costs", "income", "Q1 of income"] {
                check(&revision, &plan, &actuals, &by, named);
            }
        }
    }
}

fn check(revision: &Revision, plan: &Cells, actuals: &Cells, by: &[&str], named: &str) {
    let mut filters = Vec::new();
    if named.contains("Q1") {
        let (quarter, _) = axis(revision, PLAN, "quarter");
        filters.push(filter(revision, PLAN, &MONTHS[..3], DATE, quarter.grain));
    }
    let leaves: &[&str] = match named {
        "costs" => &["costs"],
        "income" | "Q1 of income" => &["sales", "costs", "income"],
        _ => &LEAVES,
    };
    if leaves.len() != LEAVES.len() || named.contains("income") {
        let grain = if named == "costs" { Grain::Leaf } else { Grain::Level(HierarchyId(0), 0) };
        filters.push(filter(revision, PLAN, leaves, ACCOUNT, grain));
    }
    let wanted = |(account, month): &(&str, usize)| {
        leaves.contains(account) && (!named.contains("Q1") || *month < 3)
    };
    let at_leaf = by.contains(&"leaf") || named == "costs";
    let at_root = by.contains(&"root") || named.contains("income");
    let weight = |account: &str| match account {
        _ if at_leaf => 1,
        "costs" => -1,
        "cash" if !at_root => 0,
        _ => 1,
    };
    let key = |(account, month): &(&str, usize)| -> Vec<String> {
        let label = |by: &&str| match *by {
            "leaf" => (*account).to_string(),
            "root" => if *account == "cash" { "balance" } else { "income" }.to_string(),
            "month" => MONTHS[*month].to_string(),
            _ => format!("2024-Q{}", month / 3 + 1),
        };
        by.iter().map(label).collect()
    };
    let group = |cells: &Cells, at: &Vec<String>| -> Cells {
        let within = cells.iter().filter(|(cell, _)| wanted(cell) && key(cell) == *at);
        within.map(|(cell, value)| (*cell, *value)).collect()
    };
    let mut keys: BTreeSet<Vec<String>> =
        plan.keys().chain(actuals.keys()).filter(|cell| wanted(cell)).map(key).collect();
    if by.is_empty() {
        keys.insert(Vec::new());
    }
    let mut expected = BTreeMap::new();
    for at in keys {
        let (planned, actual) = (group(plan, &at), group(actuals, &at));
        let amount = total(&planned, false, &weight);
        let real = total(&actual, true, &weight);
        let pct = match (real, amount) {
            (Some(real), Some(amount)) if amount != 0 => {
                Some(rounded_quotient(i128::from(real - amount) * 10_000, i128::from(amount)))
            }
            _ => None,
        };
        let gap = (real.is_some() || amount.is_some())
            .then(|| i128::from(real.unwrap_or(0) - amount.unwrap_or(0)) * 10_000);
        let coarse = gap.filter(|_| !by.contains(&"month"));
        let n = actual.len() as i128;
        let entry =
            real.filter(|_| n > 0).map(|real| rounded_quotient(i128::from(real) * 10_000, n));
        let values = vec![pct, gap, coarse, entry, amount.map(|v| i128::from(v) * 10_000)];
        if values.iter().any(Option::is_some) {
            expected.insert(at, values);
        }
    }
    let mut found = ask(revision, PLAN, by, filters, &["pct", "gap", "coarse", "entry", "amount"]);
    // a cell may be there without a value
    found.retain(|_, values| values.iter().any(Option::is_some));
    assert_eq!(found, expected, "by {by:?} where {named:?}\n{plan:?}\n{actuals:?}");
}

#[test]
fn ratios_of_ratios_ask_from_cube_to_cube() {
    let revision = ratios();
    let cells = [
        cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(10))]),
        cell(&revision, PLAN, ["sales", "2024-02"], &[("amount", Some(30))]),
        cell(&revision, ACTUALS, ["sales", "2024-01"], &[("amount", Some(8)), ("mean", Some(20))]),
        cell(&revision, ACTUALS, ["sales", "2024-02"], &[("mean", Some(60))]),
    ];
    let revision = written(&revision, &cells);
    // mean (20 + 60) / 2 by 40 planned is 1; times 40, and 8 - 40
    assert_eq!(only(&revision, &["leaf"], &["sales"], "mixed"), Some(80_000));
    // 20 / 10 * 10 + 8 - 10
    assert_eq!(only(&revision, &["leaf", "month"], &["sales", "2024-01"], "mixed"), Some(180_000));
    let total = ask(&revision, ACTUALS, &["leaf"], Vec::new(), &["share"]);
    assert_eq!(total.into_values().collect::<Vec<_>>(), [[Some(10_000)]]);
}

#[test]
fn leaves_follow_both_cubes() {
    let revision = ratios();
    let plan = cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(100))]);
    let revision = written(&revision, &[plan]);
    let at = ["sales", "2024-01"];
    let stored = |revision: &Revision| {
        let rows = revision.version.rows(cube_of(revision, PLAN));
        let members = [member(revision, ACCOUNT, at[0]), member(revision, DATE, at[1])];
        let location = rows.find_at(&members)?;
        rows.value(location, measure_of(revision, PLAN, "pct").idx())
    };
    assert_eq!(stored(&revision), None);
    let actual = |value| cell(&revision, ACTUALS, at, &[("amount", value)]);
    let (revision, ran) = revision.apply(&[actual(Some(125))]).expect("it is written");
    assert_eq!(stored(&revision), Some(2500));
    let ran = shop::listed(ran);
    assert!(ran.contains(&("plan.pct".to_string(), 1)), "{ran:?}");
    let (revision, _) = revision.apply(&[actual(None)]).expect("it is blanked");
    assert_eq!(stored(&revision), None);
}

/// Label, value and kind of a tree, a line each, indented.
fn lines(node: &ExplainNode, depth: usize, into: &mut Vec<String>) {
    let place: Vec<String> = node.place.iter().map(|(name, key)| format!("{name}={key}")).collect();
    let value = node.value.as_deref().unwrap_or("-");
    into.push(format!(
        "{}{}[{}] {value} {}",
        " ".repeat(depth),
        node.label,
        place.join(" "),
        node.kind
    ));
    node.children.iter().for_each(|child| lines(child, depth + 1, into));
}

#[test]
fn an_explanation_goes_down_in_the_other_cube() {
    let revision = ratios();
    let cells = [
        cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(100))]),
        cell(&revision, PLAN, ["costs", "2024-01"], &[("amount", Some(60))]),
        cell(&revision, ACTUALS, ["sales", "2024-02"], &[("amount", Some(50))]),
    ];
    let revision = written(&revision, &cells);
    let told = |account: &str, date: &str| {
        let place = [member(&revision, ACCOUNT, account), member(&revision, DATE, date)];
        let cell = CellRef {
            cube: cube_of(&revision, PLAN),
            measure: measure_of(&revision, PLAN, "pct"),
            place: Place::Cell(place.map(Some).into()),
        };
        let tree = explain(&view(&revision), &revision.plan, &cell, Options::default());
        let mut told = Vec::new();
        lines(&tree.expect("it is explained"), 0, &mut told);
        told
    };
    assert_eq!(
        told("income", "2024-Q1"),
        [
            "plan.pct[account=income date=2024-Q1] 0.2500 formula",
            " plan.amount[account=income date=2024-Q1] 40.0000 consolidation",
            "  plan.amount[account=sales date=2024-01] 100.0000 input",
            "  plan.amount[account=costs date=2024-01] 60.0000 input",
            " actuals.amount[date=2024-Q1 account=income] 50.0000 consolidation",
            "  actuals.amount[date=2024-02 account=sales] 50.0000 input",
        ]
    );
    assert_eq!(
        told("sales", "2024-01"),
        [
            "plan.pct[account=sales date=2024-01] - formula",
            " actuals.amount[date=2024-01 account=sales] - blank",
            " plan.amount[account=sales date=2024-01] 100.0000 input",
        ]
    );
}

#[test]
fn a_reader_sees_what_the_totals_of_both_cubes_are_to_him() {
    let revision = ratios();
    let cells = [
        cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(100))]),
        cell(&revision, ACTUALS, ["sales", "2024-02"], &[("amount", Some(50))]),
        cell(&revision, ACTUALS, ["cash", "2024-02"], &[("amount", Some(7))]),
        cell(&revision, ACTUALS, ["costs", "2024-04"], &[("amount", Some(9))]),
    ];
    let revision = written(&revision, &cells);
    let mut view = view(&revision);
    let mut rights = cube::view::Rights::default();
    let seen: RoaringBitmap =
        ["sales", "cash"].iter().map(|key| member(&revision, ACCOUNT, key).0).collect();
    rights.allowed.insert(ACCOUNT, seen);
    view.rights = Arc::new(rights);
    let (by, labels) = axis(&revision, PLAN, "leaf");
    let outputs = vec![Measured::Consolidated(measure_of(&revision, PLAN, "gap"))];
    let cube = cube_of(&revision, PLAN);
    let query = Query { axes: vec![by], outputs, ..Query::of(cube) };
    let found = run(&view, &revision.plan, &query).unwrap();
    let listed: Vec<(&str, Option<i128>)> = found.codes[0]
        .iter()
        .map(|&code| labels[code as usize].as_str())
        .zip(found.columns[0].values.iter().copied())
        .collect();
    assert_eq!(listed, [("sales", Some(-500_000)), ("cash", Some(70_000))]);
}

/// A ratio of rows reads cells: the total of the rows by that of the cells.
#[test]
fn a_ratio_of_rows_reads_cells() {
    let revision = model(&[formula("bookings.of_plan", "value / plan.amount")]).unwrap();
    let row = |id: &str, account: &str, month: &str, value: i64| {
        Change::Rows(RowsWrite {
            cube: cube_of(&revision, "bookings"),
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: vec![KeyPart::Text(id.into())],
            coordinates: vec![member(&revision, ACCOUNT, account), member(&revision, DATE, month)],
            values: vec![Some(value * 10_000)].into(),
        })
    };
    let changes = [
        row("1", "sales", "2024-01", 10),
        row("2", "sales", "2024-01", 20),
        row("3", "sales", "2024-02", 5),
        cell(&revision, PLAN, ["sales", "2024-01"], &[("amount", Some(100))]),
        cell(&revision, PLAN, ["sales", "2024-03"], &[("amount", Some(75))]),
    ];
    let revision = written(&revision, &changes);
    let months = ask(&revision, "bookings", &["month"], Vec::new(), &["of_plan"]);
    let months: Vec<_> = months.into_values().map(|mut values| values.remove(0)).collect();
    assert_eq!(months, [Some(3000), None]);
    let all = ask(&revision, "bookings", &[], Vec::new(), &["of_plan"]);
    assert_eq!(all[&Vec::new()], [Some(2000)]);
}

#[test]
fn conditions_on_single_rows_are_refused() {
    let revision = ratios();
    let all = |_: &SegmentView, rows: RowSet| -> cube::Result<RowSet> { Ok(rows) };
    let outputs = vec![Measured::Consolidated(measure_of(&revision, PLAN, "pct"))];
    let cube = cube_of(&revision, PLAN);
    let query = Query { selection: Some(&all), outputs, ..Query::of(cube) };
    let error = run(&view(&revision), &revision.plan, &query).expect_err("it is refused");
    assert_eq!(
        error.to_string(),
        "plan.pct reads actuals, of which conditions on single rows say nothing; filter by dimensions, one in each condition"
    );
}

#[test]
fn what_a_ratio_cannot_read_is_refused() {
    let refused = |target: &str, text: &str, marked: &str, message: &str| {
        let error = model(&[formula(target, text)]).expect_err("it is refused");
        let CalcError::Formula { span, message: said, hint, .. } = error else {
            panic!("{error} is no error of a formula");
        };
        assert_eq!(&text[span.start..span.end], marked);
        assert!(said.contains(message), "{said}");
        let (cube, _) = target.split_once('.').unwrap();
        let hint = hint.unwrap_or_default();
        assert!(hint.contains(&format!("a measure of {cube}, and read that one here")), "{hint}");
    };
    let exactly = "reads cubes with exactly its own dimensions and levels";
    refused("plan.pct", "amount * rates.rate", "rates.rate", "rates has no dimension account");
    refused("plan.pct", "amount * rates.rate", "rates.rate", exactly);
    refused("daily.of_plan", "amount / plan.amount", "plan.amount", "plan is by date.month");
    refused("plan.pct", "amount / daily.amount", "daily.amount", "finer than date.month");
    refused("plan.pct", "amount / quarterly.amount", "quarterly.amount", "is by date.quarter");
    refused("plan.pct", "amount / wide.amount", "wide.amount", "this varies over region");
    refused("plan.pct", "bookings.value / amount", "bookings.value", "bookings is a cube of rows");
    let elsewhere = "reads measures at its own members, and numbers, only";
    for (read, marked) in [
        ("bookings.value[BY SUM: account, date.month]", "[BY SUM: account, date.month]"),
        ("wide.amount[REMOVE SUM: region]", "[REMOVE SUM: region]"),
        ("actuals.amount[SELECT: date - 1]", "actuals.amount[SELECT: date - 1]"),
        ("PREVIOUS(amount)", "PREVIOUS(amount)"),
        ("rates.rate[ADD CONSTANT: account]", "rates.rate[ADD CONSTANT: account]"),
        ("actuals.amount[FILTER: actuals.n > 1]", "actuals.amount[FILTER: actuals.n > 1]"),
    ] {
        refused("plan.pct", &format!("amount / {read}"), marked, elsewhere);
    }
    refused("plan.pct", "IF(account = \"sales\", amount)", "account", elsewhere);
    // a ratio that is blank below a level is read by no other cube
    let error = model(&[
        of_quarters("plan.coarse", "amount / kept"),
        formula("actuals.share", "plan.coarse * amount"),
    ]);
    assert!(error.unwrap_err().to_string().contains("is blank below a level"));
    // nor do two ratios read each other
    let circle = model(&[
        formula("plan.pct", "actuals.share * amount"),
        formula("actuals.share", "plan.pct * mean"),
    ]);
    let circle = circle.unwrap_err().to_string();
    assert!(circle.contains("need each other"), "{circle}");
}

#[test]
fn units_of_other_cubes_must_fit() {
    let unit = |cube: &str, measure: &str, unit: &str| {
        Change::Model(ModelChange::SetUnit {
            cube: cube.into(),
            measure: measure.into(),
            unit: unit.into(),
        })
    };
    let units = [unit(PLAN, "amount", "EUR"), unit(ACTUALS, "amount", "USD")];
    let of = |pct: &str, text: &str| {
        model(&[units.as_slice(), &[unit(PLAN, "pct", pct), formula("plan.pct", text)]].concat())
    };
    assert!(of("USD/EUR", "actuals.amount / amount").is_ok());
    assert!(of("1", "actuals.amount / amount").is_err());
    let error = of("EUR", "actuals.amount - amount").unwrap_err().to_string();
    assert!(error.contains("cannot be subtracted"), "{error}");
}
