//! Random formulas, from templates that together use every kind of node.

use crate::dice::Dice;
use crate::model::{BUDGET, Choice, DAILY, DEALS, PLAN, PRICE};

/// Formulas of one cube, written with some dice.
pub struct Recipe<'a, 'b> {
    pub choice: Choice,
    pub cube: usize,
    pub dice: &'a mut Dice<'b>,
    pub kind: Formulas,
}

/// Which formulas are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formulas {
    /// Such as have values.
    Plain,
    /// Such as fail here and there: a rate is missing, a number does not fit.
    Failing,
}

const NUMBERS: [&str; 7] = ["2", "1", "0.5", "3", "10", "-4", "0"];
const AGGREGATORS: [&str; 12] = [
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "COUNT",
    "COUNTUNIQUE",
    "SUM",
    "SUM",
    "FIRSTNONBLANK",
    "LASTNONBLANK",
    "SUM",
    "SUM",
];

const TEXT_AGGREGATORS: [&str; 8] =
    ["TEXTLIST", "TEXTLIST", "FIRST", "LAST", "FIRSTNONBLANK", "LASTNONBLANK", "MIN", "MAX"];

/// Targets: cube, measure with its region, and what the formula gives.
pub const TARGETS: [(usize, &str, Gives); 30] = [
    (DEALS, "deals.mix[product: \"c0\"]", Gives::Number),
    (DEALS, "deals.mix[rep: \"r1\", product: \"p0\"]", Gives::Number),
    (PLAN, "plan.p1", Gives::Number),
    (PLAN, "plan.p2", Gives::Number),
    (PLAN, "plan.p3", Gives::Number),
    (PLAN, "plan.q", Gives::Number),
    (PLAN, "plan.p1", Gives::Number),
    (PLAN, "plan.p2", Gives::Number),
    (PLAN, "plan.hit", Gives::Condition),
    (PLAN, "plan.day", Gives::Date),
    (PLAN, "plan.opening", Gives::Opening),
    (PLAN, "plan.closing", Gives::Closing),
    (PLAN, "plan.mix[product: \"c0\"]", Gives::Number),
    (PLAN, "plan.mix[product: \"p0\"]", Gives::Number),
    (PLAN, "plan.mix[scenario: \"forecast\"]", Gives::Number),
    (PLAN, "plan.mix[rep: \"r1\"]", Gives::Number),
    (PLAN, "plan.mix[product: \"c1\", date: \"2024-Q1\"]", Gives::Number),
    (PLAN, "plan.mix", Gives::Number),
    (DAILY, "daily.d1", Gives::Number),
    (DAILY, "daily.d2", Gives::Number),
    (DEALS, "deals.fee", Gives::Number),
    (DEALS, "deals.share", Gives::Number),
    (DEALS, "deals.late", Gives::Condition),
    (PRICE, "price.x1", Gives::Number),
    (BUDGET, "budget.y1", Gives::Number),
    (BUDGET, "budget.y1", Gives::Number),
    (DAILY, "daily.d1", Gives::Number),
    (PLAN, "plan.tag", Gives::Text),
    (PLAN, "plan.tag", Gives::Text),
    (DEALS, "deals.label", Gives::Text),
];

/// What a target wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Number,
    Condition,
    Date,
    Text,
    Opening,
    Closing,
}

/// A target and a text for it.
pub fn formula(choice: Choice, kind: Formulas, dice: &mut Dice<'_>) -> (&'static str, String) {
    let (cube, target, gives) = dice.pick(&TARGETS);
    let mut recipe = Recipe { choice, cube, dice, kind };
    let text = match gives {
        Gives::Number => recipe.number(3),
        Gives::Condition => recipe.condition(2),
        Gives::Date => recipe.date(),
        Gives::Text => recipe.text(2),
        Gives::Opening => recipe
            .dice
            .pick(&["PREVIOUS(closing)", "closing[SELECT: date - 1]", "OPENING(closing, month)"])
            .into(),
        Gives::Closing => {
            let flow = recipe.number(1);
            format!("opening + {flow}")
        }
    };
    (target, text)
}

impl Recipe<'_, '_> {
    /// A number at the points of the cube.
    fn number(&mut self, depth: usize) -> String {
        if self.kind == Formulas::Failing && self.dice.roll(3) == 0 {
            return self.failing(depth);
        }
        if depth == 0 {
            return self.own();
        }
        let kinds = if matches!(self.cube, PLAN | DAILY) { 12 } else { 8 };
        match self.dice.roll(kinds) {
            0 => self.own(),
            1 | 2 => self.elsewhere(),
            3 | 4 => self.arithmetic(depth),
            5 => self.function(depth),
            6 => self.choice_of(depth),
            7 => self.same_cube_total(depth),
            8 | 9 => self.in_time(depth),
            10 => self.modified(depth),
            _ => self.special(depth),
        }
    }

    /// What has no value at some points, and is an error there.
    fn failing(&mut self, depth: usize) -> String {
        let x = if depth == 0 { self.own() } else { self.number(depth - 1) };
        let currency = match self.cube {
            PLAN if self.choice.plan_has_rep() => self.dice.pick(&["rep", "product.owner"]),
            DEALS => self.dice.pick(&["rep", "product.owner", "product.owner ON date"]),
            BUDGET => "\"r1\"",
            _ => "product.owner",
        };
        let has_rates =
            !(self.cube == BUDGET || self.cube == PRICE) || self.choice.price_has_month();
        match self.dice.roll(9) {
            0..=2 if has_rates && self.cube != BUDGET => {
                let to = self.dice.pick(&["r1", "r2"]);
                format!("CONVERT({x}, from: {currency}, to: \"{to}\", rate: fx.rate)")
            }
            3 => format!("({x} * 10000000000000)"),
            4 => format!("({x} ^ 3 * 100000000)"),
            5 => format!("(({x}) ^ 60)"),
            6 => format!("(2 ^ ({x}))"),
            7 => format!("IF({} > 0, {x}, {x} * 100000000000000)", self.own()),
            _ => format!("({x} ^ 0.5)"),
        }
    }

    fn own(&mut self) -> String {
        let names: &[&str] = match self.cube {
            PLAN => &["a", "b", "c", "a", "mix", "p1", "p2", "p3", "q", "closing", "opening"],
            DAILY => &["amount", "amount", "d1", "d2"],
            DEALS => &["value", "units", "fee", "share"],
            PRICE => &["p", "p", "x1"],
            _ => &["total", "total", "y1"],
        };
        self.dice.pick(names).into()
    }

    fn literal(&mut self) -> String {
        self.dice.pick(&NUMBERS).into()
    }

    /// What has fewer dimensions or none: literals, attributes, other cubes at the same members.
    fn broadcast(&mut self) -> String {
        let price =
            if self.choice.price_has_month() || self.cube != BUDGET { "price.p" } else { "2" };
        let all: &[&str] = match self.cube {
            PLAN | PRICE => &["2", "product.size", "price.p", "product.size", "0.5"],
            DAILY => {
                &["2", "product.size", "price.p", "budget.total", "product.size ON date", "0.25"]
            }
            DEALS => &[
                "2",
                "product.size",
                "rep.rate",
                price,
                "product.size ON date",
                "product.size ON due",
                "budget.total",
                "DAYSINPERIOD()",
            ],
            _ => &["2", "0.5", "10", "DAYSINPERIOD()"],
        };
        self.dice.pick(all).into()
    }

    /// The cube's dimensions as arguments of BY.
    fn axes(&self) -> Vec<&'static str> {
        let mut axes = Vec::new();
        if self.cube != BUDGET {
            axes.push("product");
        }
        let has_rep = match self.cube {
            PLAN => self.choice.plan_has_rep(),
            DAILY => self.choice.daily_has_rep(),
            DEALS => true,
            _ => false,
        };
        if has_rep {
            axes.push("rep");
        }
        match self.cube {
            DAILY | DEALS => axes.push("date"),
            PRICE if !self.choice.price_has_month() => {}
            _ => axes.push("date.month"),
        }
        if self.cube == PLAN && self.choice.plan_has_scenario() {
            axes.push("scenario");
        }
        axes
    }

    /// What is read of another cube through an aggregation.
    fn elsewhere(&mut self) -> String {
        let axes = self.axes();
        let shared: Vec<&str> = axes.iter().copied().filter(|axis| *axis != "scenario").collect();
        match self.dice.roll(6) {
            0 => self.broadcast(),
            1 if self.cube == BUDGET || self.cube == PRICE => {
                let from = self.dice.pick(&["plan.a", "plan.p1", "plan.b", "(plan.a * price.p)"]);
                let aggregator = self.dice.pick(&AGGREGATORS);
                format!(
                    "{from}[KEEP {aggregator}: {}]",
                    if self.cube == BUDGET { "date" } else { "product" }
                )
            }
            1 if self.cube == PLAN => {
                let from =
                    self.dice.pick(&["daily.amount", "daily.d1", "(daily.amount * product.size)"]);
                let aggregator = self.dice.pick(&AGGREGATORS);
                let taken = match self.choice.daily_has_rep() && !self.choice.plan_has_rep() {
                    true => "[REMOVE SUM: rep]",
                    false => "",
                };
                format!("{from}{taken}[BY {aggregator}: date.month]")
            }
            1 if self.cube == DAILY => {
                let removed = match (self.choice.plan_has_rep(), self.choice.plan_has_scenario()) {
                    (false, false) => "",
                    (true, false) => "[REMOVE SUM: rep]",
                    (false, true) => "[REMOVE SUM: scenario]",
                    (true, true) => "[REMOVE SUM: rep, scenario]",
                };
                format!("{}{removed}", self.dice.pick(&["plan.a", "plan.p1", "plan.closing"]))
            }
            2 if shared.len() > 1 => {
                let fewer = self.dice.roll(shared.len());
                let kept: Vec<&str> = shared
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at != fewer)
                    .map(|(_, axis)| *axis)
                    .collect();
                let aggregator = self.dice.pick(&AGGREGATORS);
                format!("deals.value[BY {aggregator}: {}]", kept.join(", "))
            }
            _ => self.deals(&shared),
        }
    }

    /// Deals by the axes of the cube, some of them by way of attributes and dates.
    fn deals(&mut self, axes: &[&str]) -> String {
        let mut by = Vec::new();
        for axis in axes {
            by.push(match *axis {
                "rep" => self.dice.pick(&[
                    "rep",
                    "product.owner",
                    "product.owner ON date",
                    "product.owner ON deals.due",
                ]),
                "date.month" => self.dice.pick(&["date.month", "MONTH(date)"]),
                other => other,
            });
        }
        // an attribute of a product does not stand for the product itself
        let filter = match self.dice.roll(6) {
            0 => "[FILTER: deals.won]",
            1 => "[EXCLUDE: deals.units > 3]",
            2 => "[FILTER: product.code = 'b' OR deals.value > 0]",
            3 => "[FILTER: deals.status IN ('Won', 'b') OR deals.label = '']",
            _ => "",
        };
        let from = self.dice.pick(&[
            "deals.value",
            "deals.units",
            "deals.fee",
            "deals.share",
            "(deals.value * rep.rate)",
            "(deals.units + 1)",
        ]);
        if self.dice.roll(8) == 7 {
            let from = self.dice.pick(&["deals.status", "deals.label"]);
            let aggregator = self.dice.pick(&["COUNT", "COUNTUNIQUE"]);
            return format!("{from}{filter}[BY {aggregator}: {}]", by.join(", "));
        }
        let aggregator = self.dice.pick(&AGGREGATORS);
        if self.dice.roll(8) == 7 {
            return format!("{from}{filter}[BY WAVG: {}, weight: deals.units]", by.join(", "));
        }
        format!("{from}{filter}[BY {aggregator}: {}]", by.join(", "))
    }

    fn arithmetic(&mut self, depth: usize) -> String {
        let a = self.number(depth - 1);
        let b = if self.dice.roll(3) == 0 { self.broadcast() } else { self.number(depth - 1) };
        match self.dice.roll(8) {
            0 | 1 => format!("({a} + {b})"),
            2 => format!("({a} - {b})"),
            3 => format!("({a} * {b})"),
            4 => format!("({a} / {b})"),
            5 => format!("({b} + {a})"),
            6 => format!("({a} ?? {b})"),
            _ => format!("((-({a})) ^ 2)"),
        }
    }

    fn function(&mut self, depth: usize) -> String {
        let a = self.number(depth - 1);
        let b = if self.dice.roll(2) == 0 { self.broadcast() } else { self.number(depth - 1) };
        match self.dice.roll(11) {
            0 => format!("ROUND({a}, 1)"),
            1 => format!("SAFEDIV({a}, {b})"),
            2 => format!("SAFEDIV({a}, {b}, -1)"),
            3 => format!("MIN({a}, {b})"),
            4 => format!("MAX({a}, {b}, 3)"),
            5 => format!("CAP({a}, {b})"),
            6 => format!("FLOOR({a}, {b})"),
            7 => format!("ABS({a})"),
            8 => format!("MOD({a}, 7)"),
            9 => format!("CLAWBACK({a}, {b})"),
            _ => format!("(SIGN({a}) * ROUNDUP({b}, 0))"),
        }
    }

    fn choice_of(&mut self, depth: usize) -> String {
        let (a, b) = (self.number(depth - 1), self.broadcast());
        match self.dice.roll(5) {
            0 => format!("IF({}, {a}, {b})", self.condition(1)),
            1 => format!("IF({}, {a})", self.condition(1)),
            2 => format!("SWITCH({a}, 1, {b}, 2, 5, {a})"),
            3 => format!("SWITCH({}, TRUE, {a}, 0)", self.condition(1)),
            _ => format!("IF({}, {b}, {a})", self.condition(1)),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        let a = self.own();
        let of_product = self.cube != BUDGET;
        match self.dice.roll(if depth > 0 { 15 } else { 8 }) {
            0 => format!("{a} > {}", self.literal()),
            1 => format!("{a} = {}", self.own()),
            2 => format!("ISBLANK({a})"),
            3 => format!("{a} <= {}", self.broadcast()),
            4 if of_product => self
                .dice
                .pick(&[
                    "product.code = 'a-1'",
                    "LEFT(product.code, 1) = 'b'",
                    "product.code & 'x' <> 'bx'",
                ])
                .into(),
            5 if of_product => self
                .dice
                .pick(&[
                    "product.owner = \"r1\"",
                    "ISDESCENDANT(product, \"c0\")",
                    "PARENT(product) = \"c1\"",
                    "product = \"p1\"",
                ])
                .into(),
            6 => format!("{a} IN (1, 2, {})", self.literal()),
            7 => match self.cube {
                PLAN => self.dice.pick(&["flag", "note = 'Won'", "tag > 'M'"]).into(),
                DEALS => self
                    .dice
                    .pick(&["won", "due < date", "late", "status = 'Won'", "label <> status"])
                    .into(),
                _ => format!("{a} <> 0"),
            },
            8 | 9 => format!("({} AND {})", self.condition(depth - 1), self.condition(depth - 1)),
            10 => format!("({} OR {})", self.condition(depth - 1), self.condition(depth - 1)),
            11 => format!("NOT {}", self.condition(depth - 1)),
            12 if of_product => self
                .dice
                .pick(&[
                    "NAME(product) = 'new'",
                    "KEY(product) = 'p0'",
                    "product.since < '2024-01-15'",
                    "product.owner ON date = \"r2\"",
                    "PARENT(product) = \"c2\"",
                    "product = \"later\"",
                ])
                .into(),
            13 if self.cube != PRICE => self
                .dice
                .pick(&[
                    "date > '2024-01-15'",
                    "QUARTER(date) = \"2024-Q1\"",
                    "date = '2024-01-01'",
                ])
                .into(),
            14 => format!("{} >= {}", self.number(1), self.number(1)),
            _ => format!("{a} < {}", self.literal()),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.own_text().into();
        }
        let x = self.text(depth - 1);
        match self.dice.roll(if self.cube == PLAN { 14 } else { 7 }) {
            0 => format!("({x} & '-' & {})", self.own_text()),
            1 => format!("IF({}, {x}, 'large')", self.condition(1)),
            2 => format!("SWITCH({x}, 'Won', product.code, 'Lost', 'no', {})", self.own_text()),
            3 => format!("UPPER(LEFT({x}, 2))"),
            4 => format!("({x} ?? KEY(product))"),
            5 => format!("({x} & TEXT({}))", self.own()),
            6 => format!("IF({}, product)", self.condition(1)),
            7 => format!("PREVIOUS({x})"),
            8 => format!("FILLFORWARD({x})"),
            9 => format!("({x})[SELECT: product = \"{}\"]", self.dice.pick(&["p0", "c1", "new"])),
            10 => format!("({x})[BY TEXTLIST: product.category]"),
            _ => {
                let axes = self.axes();
                let axes: Vec<&str> = axes.into_iter().filter(|axis| *axis != "scenario").collect();
                let aggregator = self.dice.pick(&TEXT_AGGREGATORS);
                let filter = self.dice.pick(&["", "", "[FILTER: deals.value > 0]"]);
                let from = self.dice.pick(&["deals.status", "deals.label"]);
                format!("{from}{filter}[BY {aggregator}: {}]", axes.join(", "))
            }
        }
    }

    fn own_text(&mut self) -> &'static str {
        let names: &[&str] = if self.cube == PLAN { &["note", "note", "tag"] } else { &["status"] };
        self.dice.pick(names)
    }

    fn date(&mut self) -> String {
        self.dice
            .pick(&[
                "IF(a > 0, date, product.since)",
                "IF(flag, product.since, day[SELECT: date - 1])",
                "deals.due[BY MAX: product, date.month]",
                "EDATE(IF(a <> 0, date), 1) + 3",
                "IF(ISBLANK(a), product.since, DATE(2024, 2, 30) ?? EOMONTH(date, 0))",
            ])
            .into()
    }

    /// The same cube aggregated, sliced or shifted.
    fn same_cube_total(&mut self, depth: usize) -> String {
        let inner = if self.dice.roll(3) == 0 { self.number(depth - 1) } else { self.own() };
        let axes = self.axes();
        let axis = self.dice.pick(&axes);
        let name = axis.split('.').next().unwrap_or(axis);
        let aggregator = self.dice.pick(&AGGREGATORS);
        if self.cube == DEALS {
            return format!("({inner})[BY {aggregator}: {axis}]");
        }
        match self.dice.roll(7) {
            0 => format!("({inner})[REMOVE {aggregator}: {name}]"),
            1 => format!("({inner})[KEEP {aggregator}: {name}]"),
            2 if self.cube != BUDGET => format!("({inner})[BY {aggregator}: product.category]"),
            3 if self.cube != PRICE => format!(
                "({inner})[BY {aggregator}: {}]",
                self.dice.pick(&["date.quarter", "date.year"])
            ),
            4 if name == "date" => {
                format!("({inner})[SELECT: date {} 1]", self.dice.pick(&["-", "+"]))
            }
            4 | 5 => {
                let member = match name {
                    "product" => self.dice.pick(&["c0", "p1", "c1", "c2", "later"]),
                    "rep" => self.dice.pick(&["r0", "r1", "r3"]),
                    "scenario" => self.dice.pick(&["budget", "actual", "forecast"]),
                    _ => self.dice.pick(&["2024-Q1", "2024-01", "2024"]),
                };
                format!("({inner})[SELECT: {name} = \"{member}\"]")
            }
            _ => format!("({inner})[BY {aggregator}: {axis}]"),
        }
    }

    fn in_time(&mut self, depth: usize) -> String {
        let x = self.number(depth - 1);
        let period = self.dice.pick(&["month", "quarter", "year"]);
        match self.dice.roll(16) {
            0 => format!("PREVIOUS({x})"),
            1 => format!("NEXT({x})"),
            2 => format!("LAG({x}, 2)"),
            3 => format!("LEAD({x}, 1)"),
            4 => format!("CUMULATE({x})"),
            5 => format!("DECUMULATE({x})"),
            6 => format!("YTD({x})"),
            7 => format!("QTD({x})"),
            8 => format!("MTD({x})"),
            9 => format!("MOVINGSUM({x}, 3)"),
            10 => format!("MOVINGAVG({x}, 2)"),
            11 => format!("PARALLEL({x}, {}, {period})", self.dice.pick(&["1", "-1", "2"])),
            12 => format!("OPENING({x}, {period})"),
            13 => format!("CLOSING({x}, {period})"),
            14 => format!("FILLFORWARD({x})"),
            _ => format!("CUMULATE({x}, product)"),
        }
    }

    fn modified(&mut self, depth: usize) -> String {
        let x = self.number(depth - 1);
        let month = if self.cube == DAILY { "date" } else { "date.month" };
        match self.dice.roll(8) {
            0 => format!("({x})[FILTER: {}]", self.condition(1)),
            1 => format!("({x})[EXCLUDE: {}]", self.condition(1)),
            2 => {
                let axis = if self.choice.price_has_month() { "scenario" } else { "date" };
                format!("price.p[ADD CONSTANT: {axis}] * {x}")
            }
            3 => "budget.total[ADD CONSTANT: product]".into(),
            4 => format!(
                "budget.total[ADD SPLIT: product BY {}]",
                self.dice.pick(&["product.size", "1", "price.p"])
            ),
            5 => "budget.total[ADD SPLIT: product]".into(),
            6 => "budget.total[ADD WEIGHT: product BY product.size]".into(),
            _ => format!("(price.p * product.size)[REMOVE SUM: product] + {x}[BY SUM: {month}]"),
        }
    }

    fn special(&mut self, depth: usize) -> String {
        let x = self.number(depth - 1);
        match self.dice.roll(12) {
            0 => format!("RANK({x}, product)"),
            1 => format!("RANK({x}, product, order: ascending)"),
            2 => format!("TIER({x}, rates)"),
            3 => format!("TIER({x}, rates, mode: whole)"),
            4 => format!("TIER({x}, rates, mode: interpolated)"),
            5 => format!("ALLOCATE(budget.total, {x})"),
            6 => format!("ALLOCATE(price.p, {})", self.own()),
            7 => format!(
                "CONVERT({x}, from: product.owner, to: \"r1\", rate: fx.rate, missing: last)"
            ),
            8 => format!("CONVERT({x}, from: product.owner, to: \"r2\", rate: fx.rate)"),
            9 => format!(
                "LOOKUP({x}, product: {})",
                self.dice.pick(&["\"p1\"", "product.\"p0\"", "\"new\""])
            ),
            10 => format!("FILL({x}, {})", self.number(depth - 1)),
            _ => {
                let other = self
                    .dice
                    .pick(&["fx.rate, rep: product.owner", "budget.total, date: product.since"]);
                format!("LOOKUP({other}) * {x}")
            }
        }
    }
}
