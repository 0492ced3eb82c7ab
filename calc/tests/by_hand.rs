//! The core of the language a second time, the slow way: every formula is evaluated at every
//! coordinate there is, value by value and support by support as the model's contract says, and the
//! engine must agree. Nothing here is shared with the engine but the exact numbers.

#[path = "../../cube/tests/support/settings.rs"]
mod settings;
#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeMap;

use calc::{CalcError, Revision};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{CalendarDef, CubeKind, DimensionDef, ModelChange};
use cube::number::Rounding;
use cube::value::KeyType;
use cube::{Change, CubeId, DimensionId, MeasureId, MemberId, Number};
use proptest::prelude::*;
use settings::cases;

const PRODUCTS: [&str; 3] = ["p0", "p1", "p2"];
const MONTHS: [&str; 7] =
    ["2023-11", "2023-12", "2024-01", "2024-02", "2024-03", "2024-04", "2024-05"];
/// Inputs by product and month, then one by product, then one by month.
const INPUTS: [&str; 5] = ["a", "b", "c", "price.p", "budget.t"];

/// A product and a month.
type Point = (usize, usize);

/// What the formulas of these tests are made of.
#[derive(Clone, Debug)]
enum Formula {
    Input(usize),
    Number(i64),
    Binary(char, Box<Formula>, Box<Formula>),
    /// IF(x comparison y, then, else)
    If(usize, [Box<Formula>; 4]),
    Coalesce(Box<Formula>, Box<Formula>),
    /// Months earlier, or later.
    Shift(i64, Box<Formula>),
    Cumulate(Box<Formula>),
    Ytd(Box<Formula>),
    MovingSum(i64, Box<Formula>),
    /// One product.
    Select(usize, Box<Formula>),
    RemoveProduct(Box<Formula>),
    ByQuarter(Box<Formula>),
    Tier(usize, Box<Formula>),
}

const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];
const MODES: [&str; 3] = ["marginal", "whole", "interpolated"];

use Formula as F;

/// Whether a formula varies over products and months.
fn varies(formula: &Formula) -> (bool, bool) {
    let both = |all: &[&Formula]| {
        all.iter().map(|f| varies(f)).fold((false, false), |a, b| (a.0 | b.0, a.1 | b.1))
    };
    match formula {
        F::Input(3) => (true, false),
        F::Input(4) => (false, true),
        F::Input(_) => (true, true),
        F::Number(_) => (false, false),
        F::Binary(_, a, b) | F::Coalesce(a, b) => both(&[a, b]),
        F::If(_, all) => both(&[&all[0], &all[1], &all[2], &all[3]]),
        F::Shift(_, x) | F::Cumulate(x) | F::Ytd(x) | F::MovingSum(_, x) | F::Tier(_, x) => {
            varies(x)
        }
        F::Select(_, x) | F::RemoveProduct(x) => (false, varies(x).1),
        // what is by quarter is the same for every month of it: it says of no month that it is there
        F::ByQuarter(x) => (varies(x).0, false),
    }
}

fn text(formula: &Formula) -> String {
    match formula {
        F::Input(input) => INPUTS[*input].into(),
        F::Number(number) => format!("({number} / 4)"),
        F::Binary(operator, a, b) => format!("({} {operator} {})", text(a), text(b)),
        F::If(comparison, [a, b, then, other]) => {
            format!(
                "IF({} {} {}, {}, {})",
                text(a),
                COMPARISONS[*comparison],
                text(b),
                text(then),
                text(other)
            )
        }
        F::Coalesce(a, b) => format!("({} ?? {})", text(a), text(b)),
        F::Shift(by, x) if *by < 0 => format!("LAG({}, {})", text(x), -by),
        F::Shift(by, x) => format!("({})[SELECT: date + {by}]", text(x)),
        F::Cumulate(x) => format!("CUMULATE({})", text(x)),
        F::Ytd(x) => format!("YTD({})", text(x)),
        F::MovingSum(count, x) => format!("MOVINGSUM({}, {count})", text(x)),
        F::Select(product, x) => {
            format!("({})[SELECT: product = \"{}\"]", text(x), PRODUCTS[*product])
        }
        F::RemoveProduct(x) => format!("({})[REMOVE SUM: product]", text(x)),
        F::ByQuarter(x) => format!("({})[BY SUM: date.quarter]", text(x)),
        F::Tier(mode, x) => format!("TIER({}, rates, mode: {})", text(x), MODES[*mode]),
    }
}

/// Stored values by input and point; what varies over less has the first product or month.
type Inputs = BTreeMap<(usize, Point), i64>;

struct ByHand<'a> {
    inputs: &'a Inputs,
    steps: &'a [(Number, Number)],
}

impl ByHand<'_> {
    /// The value of a formula at a point; an error of a number is one.
    fn value(&self, formula: &Formula, point: Point) -> cube::Result<Option<Number>> {
        let at = |x: &Formula| self.value(x, point);
        Ok(match formula {
            F::Input(input) => {
                let (by_product, by_month) = varies(formula);
                let place =
                    (if by_product { point.0 } else { 0 }, if by_month { point.1 } else { 0 });
                self.inputs.get(&(*input, place)).map(|v| Number::new(i128::from(*v), 4))
            }
            F::Number(number) => {
                Number::new(i128::from(*number), 0).divided_by(Number::new(4, 0))?
            }
            F::Binary('*', a, b) => match (at(a)?, at(b)?) {
                (Some(a), Some(b)) => Some(a.times(b)?),
                _ => None,
            },
            F::Binary('/', a, b) => match (at(a)?, at(b)?) {
                (Some(a), Some(b)) => a.divided_by(b)?,
                _ => None,
            },
            F::Binary(operator, a, b) => {
                if !self.any_of(&[a, b], point)? {
                    return Ok(None);
                }
                let (a, b) = (at(a)?.unwrap_or(Number::ZERO), at(b)?.unwrap_or(Number::ZERO));
                Some(if *operator == '+' { a.plus(b)? } else { a.minus(b)? })
            }
            F::If(comparison, [a, b, then, other]) => {
                let condition = F::Binary('=', a.clone(), b.clone());
                if !self.any_of(&[&condition, then, other], point)? {
                    return Ok(None);
                }
                let (a, b) = (at(a)?, at(b)?);
                let is_true = match (COMPARISONS[*comparison], a, b) {
                    ("=", a, b) => a == b,
                    ("<>", a, b) => a != b,
                    ("<", Some(a), Some(b)) => a < b,
                    ("<=", Some(a), Some(b)) => a <= b,
                    (">", Some(a), Some(b)) => a > b,
                    (">=", Some(a), Some(b)) => a >= b,
                    _ => false,
                };
                if is_true { at(then)? } else { at(other)? }
            }
            F::Coalesce(a, b) => match self.any_of(&[a, b], point)? {
                true => at(a)?.or(at(b)?),
                false => None,
            },
            F::Shift(by, x) => match usize::try_from(point.1 as i64 + by) {
                Ok(month) if month < MONTHS.len() => self.value(x, (point.0, month))?,
                _ => None,
            },
            F::Cumulate(x) => self.sum(x, (0..=point.1).map(|month| (point.0, month)))?,
            F::Ytd(x) => {
                let same_year = |month: &usize| MONTHS[*month][..4] == MONTHS[point.1][..4];
                self.sum(x, (0..=point.1).filter(same_year).map(|month| (point.0, month)))?
            }
            F::MovingSum(count, x) => {
                let first = (point.1 + 1).saturating_sub(*count as usize);
                self.sum(x, (first..=point.1).map(|month| (point.0, month)))?
            }
            F::Select(product, x) => self.value(x, (*product, point.1))?,
            F::RemoveProduct(x) => {
                self.sum(x, (0..PRODUCTS.len()).map(|product| (product, point.1)))?
            }
            F::ByQuarter(x) => {
                let same = |month: &usize| quarter(*month) == quarter(point.1);
                self.sum(x, (0..MONTHS.len()).filter(same).map(|month| (point.0, month)))?
            }
            F::Tier(mode, x) => match at(x)? {
                Some(x) if !self.steps.is_empty() => Some(self.tier(*mode, x)?),
                _ => None,
            },
        })
    }

    /// Whether one of those that vary most has support here: what has fewer dimensions adds none.
    fn any_of(&self, all: &[&Formula], point: Point) -> cube::Result<bool> {
        let widest =
            all.iter().map(|f| varies(f)).fold((false, false), |a, b| (a.0 | b.0, a.1 | b.1));
        // where none varies over all, none is broadcast from fewer dimensions than the others
        let has_wide = all.iter().any(|formula| varies(formula) == widest);
        for formula in all.iter().filter(|formula| !has_wide || varies(formula) == widest) {
            let has = match formula {
                // a comparison has a value everywhere, and support as a sum has it
                F::Binary('=', a, b) => self.any_of(&[a, b], point)?,
                formula => self.value(formula, point)?.is_some(),
            };
            if has {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sum(
        &self,
        x: &Formula,
        points: impl Iterator<Item = Point>,
    ) -> cube::Result<Option<Number>> {
        let mut total: Option<Number> = None;
        for point in points {
            if let Some(value) = self.value(x, point)? {
                total = Some(total.unwrap_or(Number::ZERO).plus(value)?);
            }
        }
        Ok(total)
    }

    fn tier(&self, mode: usize, value: Number) -> cube::Result<Number> {
        let reached: Vec<usize> =
            (0..self.steps.len()).filter(|&step| self.steps[step].0 <= value).collect();
        let Some(&last) = reached.last() else { return Ok(Number::ZERO) };
        let (from, rate) = self.steps[last];
        match MODES[mode] {
            "marginal" => reached.iter().try_fold(Number::ZERO, |total, &step| {
                let top = if step == last { value } else { self.steps[step + 1].0 };
                total.plus(top.minus(self.steps[step].0)?.times(self.steps[step].1)?)
            }),
            "whole" => value.times(rate),
            _ => {
                let Some((to, high)) = self.steps.get(last + 1) else { return value.times(rate) };
                let rise = value.minus(from)?.times(high.minus(rate)?)?;
                let rise = rise.divided_by(to.minus(from)?)?.unwrap_or(Number::ZERO);
                value.times(rate.plus(rise)?)
            }
        }
    }
}

fn quarter(month: usize) -> (&'static str, u32) {
    let number: u32 = MONTHS[month][5..].parse().expect("a month");
    (&MONTHS[month][..4], (number - 1) / 3)
}

/// The model with some values and one formula.
struct Engine(Revision);

impl Engine {
    fn new(inputs: &Inputs, steps: &[(i64, i64)]) -> Self {
        let calendar = CalendarDef {
            start: "2023-11-01".into(),
            end: "2024-05-31".into(),
            fiscal_start_month: None,
        };
        let cells = |name, dimensions: &[&str], measures: &[&str]| {
            ModelChange::AddCube(shop::cube(name, CubeKind::Cells, dimensions, measures))
        };
        let model = [
            ModelChange::AddDimension(shop::dimension("product", KeyType::Text, None)),
            ModelChange::AddDimension(DimensionDef {
                calendar: Some(calendar),
                ..shop::dimension("date", KeyType::Date, None)
            }),
            ModelChange::AddDimension(shop::dimension("step", KeyType::Text, None)),
            cells("plan", &["product", "date.month"], &["a", "b", "c", "result"]),
            cells("price", &["product"], &["p"]),
            cells("budget", &["date.month"], &["t"]),
            cells("rates", &["step"], &["threshold", "rate"]),
        ];
        let members = |id, keys: &[&str]| {
            let member = |key: &&str| MemberWrite { key: (*key).into(), ..MemberWrite::default() };
            let members = keys.iter().map(member).collect();
            Change::Members(MembersWrite {
                dimension: DimensionId(id),
                first_new: MemberId(0),
                members,
            })
        };
        let mut changes: Vec<Change> = model.into_iter().map(Change::Model).collect();
        changes.extend([members(0, &PRODUCTS), members(2, &["s0", "s1", "s2", "s3"])]);
        let mut engine = Self(Revision::default().apply(&changes).expect("the model is right").0);
        for ((input, point), value) in inputs {
            let (cube, measure, coordinate) = match input {
                3 => (1, 0, vec![engine.product(point.0)]),
                4 => (2, 0, vec![engine.month(point.1)]),
                _ => (0, *input, vec![engine.product(point.0), engine.month(point.1)]),
            };
            engine.set(cube, &[measure], coordinate, &[*value]);
        }
        for (idx, (threshold, rate)) in steps.iter().enumerate() {
            engine.set(3, &[0, 1], vec![MemberId::from_idx(idx)], &[*threshold, *rate]);
        }
        engine
    }

    fn product(&self, product: usize) -> MemberId {
        self.0.version.dimension(DimensionId(0)).find(PRODUCTS[product]).expect("it is there")
    }

    fn month(&self, month: usize) -> MemberId {
        self.0.version.dimension(DimensionId(1)).find(MONTHS[month]).expect("it is there")
    }

    fn set(&mut self, cube: u32, measures: &[usize], coordinates: Vec<MemberId>, values: &[i64]) {
        let write = RowsWrite {
            cube: CubeId(cube),
            action: RowsAction::Set,
            measures: measures.iter().map(|&measure| MeasureId::from_idx(measure)).collect(),
            keys: Vec::new(),
            coordinates,
            values: values.iter().map(|value| Some(*value)).collect(),
        };
        self.0 = self.0.apply(&[Change::Rows(write)]).expect("a cell is right").0;
    }

    fn results(&self, text: &str) -> Result<BTreeMap<Point, i64>, CalcError> {
        let set = Change::Model(ModelChange::SetFormula(shop::formula("plan.result", text)));
        let revision = self.0.apply(&[set])?.0;
        let rows = revision.version.rows(CubeId(0));
        let mut results = BTreeMap::new();
        for product in 0..PRODUCTS.len() {
            for month in 0..MONTHS.len() {
                let at = rows.find_at(&[self.product(product), self.month(month)]);
                if let Some(value) = at.and_then(|at| rows.value(at, 3)) {
                    results.insert((product, month), value);
                }
            }
        }
        Ok(results)
    }
}

fn formula() -> impl Strategy<Value = Formula> {
    let leaf = prop_oneof![
        5 => (0usize..5).prop_map(F::Input),
        1 => (-9i64..20).prop_map(F::Number),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let x = || inner.clone().prop_map(Box::new);
        prop_oneof![
            4 => (prop::sample::select(vec!['+', '-', '*', '/']), x(), x()).prop_map(|(o, a, b)| F::Binary(o, a, b)),
            2 => (0usize..6, x(), x(), x(), x()).prop_map(|(o, a, b, c, d)| F::If(o, [a, b, c, d])),
            1 => (x(), x()).prop_map(|(a, b)| F::Coalesce(a, b)),
            1 => (prop::sample::select(vec![-2i64, -1, 1, 3]), x()).prop_map(|(by, x)| F::Shift(by, x)),
            1 => x().prop_map(F::Cumulate),
            1 => x().prop_map(F::Ytd),
            1 => (1i64..4, x()).prop_map(|(n, x)| F::MovingSum(n, x)),
            1 => (0usize..3, x()).prop_map(|(p, x)| F::Select(p, x)),
            1 => x().prop_map(F::RemoveProduct),
            1 => x().prop_map(F::ByQuarter),
            1 => (0usize..3, x()).prop_map(|(mode, x)| F::Tier(mode, x)),
        ]
    })
}

fn inputs() -> impl Strategy<Value = Inputs> {
    let value = (0usize..5, 0usize..3, 0usize..7, -40i64..80);
    prop::collection::vec(value, 0..28).prop_map(|values| {
        let place = |(input, product, month, value): (usize, usize, usize, i64)| {
            let (by_product, by_month) = varies(&F::Input(input));
            let point = (if by_product { product } else { 0 }, if by_month { month } else { 0 });
            ((input, point), value * 2_500)
        };
        values.into_iter().map(place).collect()
    })
}

fn expected(by_hand: &ByHand<'_>, formula: &Formula) -> cube::Result<BTreeMap<Point, i64>> {
    let mut results = BTreeMap::new();
    for point in (0..PRODUCTS.len()).flat_map(|p| (0..MONTHS.len()).map(move |m| (p, m))) {
        if let Some(value) = by_hand.value(formula, point)? {
            let stored = value.rescaled(4, Rounding::HalfEven)?;
            let stored =
                i64::try_from(stored).map_err(|_| cube::CubeError::Overflow("64 bits".into()))?;
            results.insert(point, stored);
        }
    }
    Ok(results)
}

/// Whether a formula is by month, or by quarter, of what it reads.
fn grain(formula: &Formula) -> (bool, bool) {
    let both = |all: &[&Formula]| {
        all.iter().map(|f| grain(f)).fold((false, false), |a, b| (a.0 | b.0, a.1 | b.1))
    };
    match formula {
        F::Input(3) | F::Number(_) => (false, false),
        F::Input(_) => (true, false),
        F::ByQuarter(_) => (false, true),
        F::Binary(_, a, b) | F::Coalesce(a, b) => both(&[a, b]),
        F::If(_, all) => both(&[&all[0], &all[1], &all[2], &all[3]]),
        F::Shift(_, x) | F::Cumulate(x) | F::Ytd(x) | F::MovingSum(_, x) | F::Tier(_, x) => {
            grain(x)
        }
        F::Select(_, x) | F::RemoveProduct(x) => grain(x),
    }
}

/// Whether something runs along quarters, which is not done by hand here.
fn runs_along_quarters(formula: &Formula) -> bool {
    let any = |all: &[&Formula]| all.iter().any(|f| runs_along_quarters(f));
    match formula {
        F::Input(_) | F::Number(_) => false,
        F::Binary(_, a, b) | F::Coalesce(a, b) => any(&[a, b]),
        F::If(_, all) => any(&[&all[0], &all[1], &all[2], &all[3]]),
        F::Select(_, x) | F::RemoveProduct(x) | F::Tier(_, x) => any(&[x]),
        F::Shift(_, x) | F::Cumulate(x) | F::Ytd(x) | F::MovingSum(_, x) | F::ByQuarter(x) => {
            grain(x) == (false, true) || any(&[x])
        }
    }
}

fn check(formula: &Formula, inputs: &Inputs, raw: &BTreeMap<i64, i64>) -> bool {
    let text = text(formula);
    let steps: Vec<(i64, i64)> =
        raw.iter().map(|(from, rate)| (from * 10_000, rate * 500)).collect();
    let numbers: Vec<(Number, Number)> = steps
        .iter()
        .map(|(from, rate)| (Number::new(i128::from(*from), 4), Number::new(i128::from(*rate), 4)))
        .collect();
    let by_hand = ByHand { inputs, steps: &numbers };
    match (Engine::new(inputs, &steps).results(&text), expected(&by_hand, formula)) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
        // what has no support along an axis is refused, not computed
        (Err(CalcError::Formula { .. }), _) => return false,
        (Err(CalcError::Cell { .. }), Err(_)) => {}
        (Err(CalcError::Cell { source: cube::CubeError::Overflow(_), .. }), Ok(_)) => {}
        (found, expected) => {
            panic!("{text}: {:?}, {expected:?}", found.map_err(|error| error.to_string()))
        }
    }
    true
}

proptest! {
    #![proptest_config(cases(600, "tests/by_hand.regressions"))]

    #[test]
    fn engine_and_hand_agree(
        raw in formula(),
        inputs in inputs(),
        steps in prop::collection::btree_map(0i64..20, -4i64..20, 0..4),
    ) {
        prop_assume!(!runs_along_quarters(&raw));
        // what lacks an axis is multiplied by what has both, where the product has support
        if !check(&raw, &inputs, &steps) {
            check(&F::Binary('*', Box::new(F::Input(0)), Box::new(raw)), &inputs, &steps);
        }
    }
}
