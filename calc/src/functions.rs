//! The function table: every function of the language stands here once, with its arguments, what it
//! does with dimensions and blanks, and an example. The checker resolves names and types by it,
//! `docs/functions.md` is made of it, and a test runs every example.

/// A function of values at the same point, operators included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `-x`
    Negate,
    /// `NOT x`
    Not,
    /// `x + y`
    Add,
    /// `x - y`
    Subtract,
    /// `x * y`
    Multiply,
    /// `x / y`
    Divide,
    /// `x ^ y`
    Power,
    /// `x & y`
    Join,
    /// `x = y`
    Equal,
    /// `x <> y`
    NotEqual,
    /// `x < y`
    Less,
    /// `x <= y`
    LessOrEqual,
    /// `x > y`
    Greater,
    /// `x >= y`
    GreaterOrEqual,
    /// `x AND y`
    And,
    /// `x OR y`
    Or,
    /// `x ?? y`
    Coalesce,
    /// `x IN (y, z)`
    In,
    /// IF
    If,
    /// SWITCH
    Switch,
    /// ISBLANK
    IsBlank,
    /// ROUND
    Round,
    /// ROUNDUP
    RoundUp,
    /// ROUNDDOWN
    RoundDown,
    /// SAFEDIV
    SafeDiv,
    /// ABS
    Abs,
    /// SIGN
    Sign,
    /// MOD
    Mod,
    /// MIN
    Min,
    /// MAX
    Max,
    /// CAP
    Cap,
    /// FLOOR
    Floor,
    /// CLAWBACK
    Clawback,
    /// LEFT
    Left,
    /// RIGHT
    Right,
    /// MID
    Mid,
    /// FIND
    Find,
    /// LEN
    Len,
    /// UPPER
    Upper,
    /// LOWER
    Lower,
    /// TEXT
    Text,
    /// VALUE
    Value,
    /// DATE
    Date,
    /// YEAR of a date
    Year,
    /// QUARTER of a date
    Quarter,
    /// MONTH of a date
    Month,
    /// DAY of a date
    Day,
    /// DAYS
    Days,
    /// EDATE
    Edate,
    /// EOMONTH
    EoMonth,
    /// The share of a period inside an interval: period start, period end, start, end.
    Prorata,
    /// A quota times that share: quota, period start, period end, start, end.
    QuotaProrate,
    /// Whether the first member is the second or below it.
    IsDescendant,
    /// A converted amount: amount, whether it is in the target currency already, rate.
    Convert,
    /// The first where the second is true.
    Filter,
    /// The first where the second is not true.
    Exclude,
}

/// How the supports of the arguments make the support of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Where all have a value.
    All,
    /// Where one of those that vary most has a value; what is broadcast adds nothing.
    Any,
    /// Where the first has a value.
    First,
}

/// What a function wants of its arguments' units, and the unit of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitRule {
    /// All have one unit, which is the result's.
    Alike,
    /// All have one unit, the result has none.
    Compared,
    /// The result's is that of the first; any others are pure numbers.
    First,
    /// All but the first have one unit, which is the result's.
    Branches,
    /// Value and cases have one unit, the results one, which is the result's.
    Cases,
    /// The units multiplied.
    Product,
    /// The units divided; what stands in for the quotient has that unit.
    Quotient,
    /// The first's to the power of the second, a pure number.
    Power,
    /// The arguments' do not matter; the result is a pure number.
    PureNumber,
    /// Arguments are pure numbers; the result has no unit.
    PureArguments,
    /// The arguments' do not matter; any unit fits the result.
    AnyResult,
    /// The arguments' do not matter; the result has none.
    NoUnit,
    /// That of the value, which is the thresholds' too, times the rates'.
    Rated,
    /// The currency converted from becomes the one converted to.
    Converted,
}

impl UnitRule {
    /// The rule in words, as the reference says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Alike => "the same for all arguments; so has the result",
            Self::Compared => "the same for all arguments",
            Self::First => "the result has that of the first argument; other numbers are pure",
            Self::Branches => "the same for all but the condition; so has the result",
            Self::Cases => {
                "the same for the value and its cases, and for all results; the result has the latter"
            }
            Self::Product => "the arguments' multiplied",
            Self::Quotient => {
                "the arguments' divided; what stands in for the quotient has the same"
            }
            Self::Power => "the first's to that power; the exponent is a pure number",
            Self::PureNumber => "the result is a pure number",
            Self::PureArguments => "the numbers are pure; the result has none",
            Self::AnyResult => "the result fits any",
            Self::NoUnit => "the result has none",
            Self::Rated => {
                "the same for x and the thresholds; the result has it times that of the rates"
            }
            Self::Converted => {
                "x has the currency converted from, the result the one converted to; a rate that has a unit is in the second by the first"
            }
        }
    }
}

/// The type an argument must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// A number.
    Number,
    /// A text (a member gives its key).
    Text,
    /// A day (a member of a calendar gives its first day).
    Date,
    /// True or false.
    Boolean,
    /// Any type, the same for all that say so.
    Same,
}

/// What a function makes of its arguments.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Values at the same point: parameters that must be there, the type of any number of further
    /// ones, how many of them at most, and the result.
    Point {
        /// The function.
        function: Function,
        /// Arguments that must be there.
        required: &'static [Param],
        /// Arguments that may follow, the last one any number of times where `repeats`.
        optional: &'static [Param],
        /// Whether the last optional one repeats.
        repeats: bool,
        /// The result's type; `Same` is that of the arguments that say so.
        result: Param,
        /// Its support.
        support: Support,
    },
    /// Its own rules, in `check/calls.rs`.
    Special(Special),
}

/// Functions that look at other points or at the structure of dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// PREVIOUS, NEXT: by one; LAG, LEAD: by a number; the sign says which way.
    Shift(i32),
    /// PARALLEL
    Parallel,
    /// CUMULATE
    Cumulate,
    /// DECUMULATE
    Decumulate,
    /// YTD, QTD, MTD by the name of the level.
    ToDate(&'static str),
    /// MOVINGSUM
    MovingSum,
    /// MOVINGAVG
    MovingAvg,
    /// OPENING
    Opening,
    /// CLOSING
    Closing,
    /// FILLFORWARD
    FillForward,
    /// PRORATA
    Prorata,
    /// QUOTAPRORATE
    QuotaProrate,
    /// DAYSINPERIOD
    DaysInPeriod,
    /// LOOKUP
    Lookup,
    /// PARENT
    Parent,
    /// ANCESTOR
    Ancestor,
    /// ISDESCENDANT
    IsDescendant,
    /// ATTR
    Attr,
    /// NAME, KEY
    MemberText(super::node::MemberText),
    /// YEAR, QUARTER, MONTH: the level of a calendar's member, or a part of a date.
    CalendarPart(Function, &'static str),
    /// TIER
    Tier,
    /// RANK
    Rank,
    /// ALLOCATE
    Allocate,
    /// CONVERT
    Convert,
    /// FILL
    Fill,
    /// OVERRIDE
    Override,
}

/// One function.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// What it gives.
    pub meaning: &'static str,
    /// What it does with dimensions.
    pub dimensions: &'static str,
    /// What it does with blanks.
    pub blanks: &'static str,
    /// A formula over the example cube of `docs/functions.md` and what it gives there.
    pub example: (&'static str, &'static str),
    /// For the checker.
    pub shape: Shape,
}

const SAME_POINT: &str = "values at the same point";
const ALL: &str = "blank where an argument is blank";
const FIRST: &str = "blank where the first argument is blank";

macro_rules! point {
    ($name:literal, $function:ident, $form:literal, $meaning:literal, $blanks:expr, [$($required:ident),*], [$($optional:ident),*], $repeats:literal, $result:ident, $support:ident, $example:literal => $gives:literal) => {
        Entry {
            name: $name,
            form: $form,
            meaning: $meaning,
            dimensions: SAME_POINT,
            blanks: $blanks,
            example: ($example, $gives),
            shape: Shape::Point {
                function: Function::$function,
                required: &[$(Param::$required),*],
                optional: &[$(Param::$optional),*],
                repeats: $repeats,
                result: Param::$result,
                support: Support::$support,
            },
        }
    };
}

macro_rules! special {
    ($name:literal, $special:expr, $form:literal, $meaning:literal, $dimensions:literal, $blanks:literal, $example:literal => $gives:literal) => {
        Entry {
            name: $name,
            form: $form,
            meaning: $meaning,
            dimensions: $dimensions,
            blanks: $blanks,
            example: ($example, $gives),
            shape: Shape::Special($special),
        }
    };
}

/// All functions, in the order of the reference. The examples run in the example cube
/// `sales(product, date.month)` at product `bike`, month `2024-03`; its measures have there and around
/// the values that `docs/functions.md` shows.
pub const FUNCTIONS: &[Entry] = &[
    point!("IF", If, "IF(condition, then [, else])", "then where the condition is true, else otherwise",
        "where any argument has a value; a blank condition takes else", [Boolean, Same], [Same], false, Same, Any,
        "IF(units > 10, price, 0)" => "25.00"),
    point!("SWITCH", Switch, "SWITCH(value, case, result, ..., [else])", "the result of the first case that equals the value",
        "where any argument has a value", [Same, Same, Same], [Same], true, Same, Any,
        "SWITCH(units, 10, 1, 12, 2, 3)" => "2"),
    point!("ISBLANK", IsBlank, "ISBLANK(x)", "whether there is no value",
        "true where x is blank, in cells that something else makes", [Same], [], false, Boolean, Any,
        "IF(ISBLANK(bonus), price, 0)" => "25.00"),
    point!("IFBLANK", Coalesce, "IFBLANK(x, y)", "x, or y where x is blank; the same as x ?? y",
        "where one has a value", [Same, Same], [], false, Same, Any, "IFBLANK(bonus, price)" => "25.00"),
    point!("ROUND", Round, "ROUND(x, digits [, mode])", "x to so many digits after the point; ties to the even digit, or away from zero where the mode is 'half_up'",
        ALL, [Number, Number], [Text], false, Number, All, "ROUND(price / 7, 2)" => "3.57"),
    point!("ROUNDUP", RoundUp, "ROUNDUP(x, digits)", "x to so many digits, away from zero", ALL,
        [Number, Number], [], false, Number, All, "ROUNDUP(price / 7, 2)" => "3.58"),
    point!("ROUNDDOWN", RoundDown, "ROUNDDOWN(x, digits)", "x to so many digits, towards zero", ALL,
        [Number, Number], [], false, Number, All, "ROUNDDOWN(price / 7, 2)" => "3.57"),
    point!("SAFEDIV", SafeDiv, "SAFEDIV(x, y [, else])", "x / y, or else (0 where it is not given) where y is zero or blank",
        FIRST, [Number, Number], [Number], false, Number, First, "SAFEDIV(price, units - 12, -1)" => "-1"),
    point!("ABS", Abs, "ABS(x)", "x without its sign", ALL, [Number], [], false, Number, All, "ABS(0 - price)" => "25.00"),
    point!("SIGN", Sign, "SIGN(x)", "-1, 0 or 1", ALL, [Number], [], false, Number, All, "SIGN(0 - price)" => "-1"),
    point!("MOD", Mod, "MOD(x, y)", "what is left of x after whole y, with the sign of y", ALL,
        [Number, Number], [], false, Number, All, "MOD(units, 5)" => "2"),
    point!("MIN", Min, "MIN(x, y, ...)", "the smallest; blanks are left out",
        "where one of those that vary most has a value", [Number], [Number], true, Number, Any, "MIN(price, units)" => "12"),
    point!("MAX", Max, "MAX(x, y, ...)", "the largest; blanks are left out",
        "where one of those that vary most has a value", [Number], [Number], true, Number, Any, "MAX(price, units)" => "25.00"),
    point!("CAP", Cap, "CAP(x, limit)", "x, but not more than the limit; a blank limit is none", FIRST,
        [Number, Number], [], false, Number, First, "CAP(price, 20)" => "20"),
    point!("FLOOR", Floor, "FLOOR(x, limit)", "x, but not less than the limit; a blank limit is none", FIRST,
        [Number, Number], [], false, Number, First, "FLOOR(price, 30)" => "30"),
    point!("CLAWBACK", Clawback, "CLAWBACK(paid, lost)", "what is taken back: the smaller of the two, never more than was paid",
        ALL, [Number, Number], [], false, Number, All, "CLAWBACK(price, 40)" => "25.00"),
    point!("LEFT", Left, "LEFT(text, n)", "the first n characters", ALL, [Text, Number], [], false, Text, All,
        "VALUE(LEFT(product.code, 1)) * units" => "84"),
    point!("RIGHT", Right, "RIGHT(text, n)", "the last n characters", ALL, [Text, Number], [], false, Text, All,
        "VALUE(RIGHT(product.code, 2)) + units" => "54"),
    point!("MID", Mid, "MID(text, start, n)", "n characters from the start-th on, the first being 1", ALL,
        [Text, Number, Number], [], false, Text, All, "VALUE(MID(product.code, 3, 1)) * units" => "48"),
    point!("FIND", Find, "FIND(wanted, text)", "the place of the first occurrence, counted from 1; blank where there is none", ALL,
        [Text, Text], [], false, Number, All, "FIND('-', product.code) * units" => "24"),
    point!("LEN", Len, "LEN(text)", "the number of characters", ALL, [Text], [], false, Number, All, "LEN(product.code) * units" => "48"),
    point!("UPPER", Upper, "UPPER(text)", "in upper case", ALL, [Text], [], false, Text, All,
        "IF(UPPER('a') = 'A', units, 0)" => "12"),
    point!("LOWER", Lower, "LOWER(text)", "in lower case", ALL, [Text], [], false, Text, All,
        "IF(LOWER('A') = 'a', units, 0)" => "12"),
    point!("TEXT", Text, "TEXT(x)", "a number as text", ALL, [Number], [], false, Text, All, "LEN(TEXT(units))" => "2"),
    point!("VALUE", Value, "VALUE(text)", "the number that a text, or a member's key, writes out; blank where it is none, as 'Won' is", ALL, [Text], [], false, Number, All,
        "VALUE('1.5') * units" => "18.0"),
    point!("DATE", Date, "DATE(year, month, day)", "a day; blank where there is no such day", ALL,
        [Number, Number, Number], [], false, Date, All, "DAYS(DATE(2024, 3, 1), DATE(2024, 2, 1)) + units" => "41"),
    point!("DAY", Day, "DAY(date)", "the day of the month", ALL, [Date], [], false, Number, All,
        "DAY(EOMONTH(DATE(2024, 2, 1), 0)) + units" => "41"),
    point!("DAYS", Days, "DAYS(end, start)", "the days from start to end", ALL, [Date, Date], [], false, Number, All,
        "DAYS(DATE(2024, 12, 31), DATE(2024, 1, 1)) + units" => "377"),
    point!("EDATE", Edate, "EDATE(date, n)", "the same day n months later, or the last one of that month", ALL,
        [Date, Number], [], false, Date, All, "DAY(EDATE(DATE(2024, 1, 31), 1)) + units" => "41"),
    point!("EOMONTH", EoMonth, "EOMONTH(date, n)", "the last day of the month that is n months later", ALL,
        [Date, Number], [], false, Date, All, "DAY(EOMONTH(DATE(2024, 1, 15), 3)) + units" => "42"),
    special!("YEAR", Special::CalendarPart(Function::Year, "year"), "YEAR(x)", "of a date the year as number; of a member of a calendar its year",
        "values at the same point; in BY a coarser axis", "blank where x is blank", "YEAR(DATE(2024, 3, 1)) + units" => "2036"),
    special!("QUARTER", Special::CalendarPart(Function::Quarter, "quarter"), "QUARTER(x)", "of a date 1 to 4; of a member of a calendar its quarter",
        "values at the same point; in BY a coarser axis", "blank where x is blank", "QUARTER(DATE(2024, 3, 1)) + units" => "13"),
    special!("MONTH", Special::CalendarPart(Function::Month, "month"), "MONTH(x)", "of a date 1 to 12; of a member of a calendar its month",
        "values at the same point; in BY a coarser axis", "blank where x is blank", "MONTH(DATE(2024, 3, 1)) + units" => "15"),
    special!("PREVIOUS", Special::Shift(-1), "PREVIOUS(x [, axis])", "x one member earlier along an ordered axis",
        "the same; along the calendar's axis where none is named", "blank for the first member", "PREVIOUS(units)" => "10"),
    special!("NEXT", Special::Shift(1), "NEXT(x [, axis])", "x one member later",
        "the same", "blank for the last member", "NEXT(units)" => "8"),
    special!("LAG", Special::Shift(-1), "LAG(x, n [, axis])", "x n members earlier", "the same", "blank before the first member", "LAG(units, 2)" => "7"),
    special!("LEAD", Special::Shift(1), "LEAD(x, n [, axis])", "x n members later", "the same", "blank after the last member", "LEAD(units, 1)" => "8"),
    special!("PARALLEL", Special::Parallel, "PARALLEL(x, n, period)", "x at the same place n periods (year, quarter, month) earlier; a negative n looks ahead",
        "the same", "blank where that period has no such place", "PARALLEL(units, 1, year)" => "6"),
    special!("CUMULATE", Special::Cumulate, "CUMULATE(x [, axis])", "the sum of x from the first member on",
        "the same", "where a value came before", "CUMULATE(units)" => "43"),
    special!("DECUMULATE", Special::Decumulate, "DECUMULATE(x [, axis])", "x less x one member earlier: the inverse of CUMULATE",
        "the same", "where either has a value; a blank counts as 0", "DECUMULATE(units)" => "2"),
    special!("YTD", Special::ToDate("year"), "YTD(x)", "the sum of x from the start of the year", "the same", "where a value came before in the year", "YTD(units)" => "29"),
    special!("QTD", Special::ToDate("quarter"), "QTD(x)", "the sum of x from the start of the quarter", "the same", "where a value came before in the quarter", "QTD(units)" => "29"),
    special!("MTD", Special::ToDate("month"), "MTD(x)", "the sum of x from the start of the month", "the same", "where a value came before in the month", "MTD(units)" => "12"),
    special!("MOVINGSUM", Special::MovingSum, "MOVINGSUM(x, n [, axis])", "the sum of x over the last n periods, filled or not",
        "the same", "where one of the n has a value", "MOVINGSUM(units, 2)" => "22"),
    special!("MOVINGAVG", Special::MovingAvg, "MOVINGAVG(x, n [, axis])", "the average of the values of x in the last n periods",
        "the same", "where one of the n has a value", "MOVINGAVG(units, 2)" => "11"),
    special!("OPENING", Special::Opening, "OPENING(x, period)", "the last value of x in the period before (year, quarter, month)",
        "the same", "where that period has a value", "OPENING(units, year)" => "8"),
    special!("CLOSING", Special::Closing, "CLOSING(x, period)", "the last value of x in the period (year, quarter, month)",
        "the same", "where the period has a value", "CLOSING(units, quarter)" => "12"),
    special!("FILLFORWARD", Special::FillForward, "FILLFORWARD(x [, axis])", "the last value of x up to here",
        "the same", "where a value came before", "FILLFORWARD(bonus)" => "5"),
    special!("PRORATA", Special::Prorata, "PRORATA(start, end)", "the share of the cell's period that lies from start up to, not including, end: 0 to 1",
        "needs an axis of a calendar", "blank where start or end is", "ROUND(PRORATA(DATE(2024, 3, 17), DATE(2025, 1, 1)) * units, 4)" => "5.8065"),
    special!("QUOTAPRORATE", Special::QuotaProrate, "QUOTAPRORATE(quota, start, end)", "the quota times the share of the cell's period from start up to, not including, end",
        "needs an axis of a calendar", "a blank start or end has no limit", "ROUND(QUOTAPRORATE(units, DATE(2024, 3, 17), BLANK), 4)" => "5.8065"),
    special!("DAYSINPERIOD", Special::DaysInPeriod, "DAYSINPERIOD()", "the days of the cell's period", "needs an axis of a calendar", "never blank", "DAYSINPERIOD() * units" => "372"),
    special!("LOOKUP", Special::Lookup, "LOOKUP(x, axis: member, ...)", "x at other members: those named, the cell's own for the other axes",
        "axes that are named need not be axes of the cell", "blank where x is", "units / LOOKUP(units, product: \"car\")" => "4"),
    special!("PARENT", Special::Parent, "PARENT(dimension [, hierarchy])", "the parent of the cell's member", "a member", "blank for a root", "IF(PARENT(product) = \"vehicles\", units, 0)" => "12"),
    special!("ANCESTOR", Special::Ancestor, "ANCESTOR(dimension, level)", "the ancestor at a level", "a member; in BY a coarser axis", "blank where there is none", "IF(ANCESTOR(product, \"group\") = \"vehicles\", units, 0)" => "12"),
    special!("ISDESCENDANT", Special::IsDescendant, "ISDESCENDANT(dimension, member)", "whether the cell's member is the member or below it", "values at the same point", "false where it is not", "IF(ISDESCENDANT(product, \"vehicles\"), units, 0)" => "12"),
    special!("ATTR", Special::Attr, "ATTR(dimension, attribute)", "an attribute; the same as dimension.attribute", "values at the same point", "blank where it is", "ATTR(product, \"size\") * units" => "18.0"),
    special!("KEY", Special::MemberText(super::node::MemberText::Key), "KEY(dimension)", "the key of the cell's member", "values at the same point", "never blank", "IF(KEY(product) = 'bike', units, 0)" => "12"),
    special!("NAME", Special::MemberText(super::node::MemberText::Name), "NAME(dimension)", "the name of the cell's member", "values at the same point", "never blank", "IF(NAME(product) = 'Road Bike', units, 0)" => "12"),
    special!("TIER", Special::Tier, "TIER(x, table [, mode: marginal | whole | interpolated])", "a rate table applied to x: each slice times its own rate (marginal, the default), x times the rate of its slice (whole), or times the rate between two thresholds (interpolated); lower bounds are inclusive, below the first nothing is paid",
        "axes that the table shares with the cell choose the table, the others are its steps", "blank where x is, or the table is empty", "TIER(units, rates, mode: marginal)" => "1.4"),
    special!("RANK", Special::Rank, "RANK(x [, axis] [, order: ascending])", "the place of the value among those of the axis, the largest being 1; equal values share a place",
        "the same", "blank where x is", "RANK(units, product)" => "1"),
    special!("ALLOCATE", Special::Allocate, "ALLOCATE(amount, basis)", "the amount in proportion to the basis, cut to the target's digits, the remainder going to the largest fractions, so that the parts sum to the amount",
        "those of the basis; the amount has fewer", "where the basis has a value", "ALLOCATE(budget.amount, units)" => "80.00"),
    special!("CONVERT", Special::Convert, "CONVERT(x, from: currency, to: currency, rate: cube.measure [, missing: error | last])", "x times the rate of its currency on the cell's date; rates say what one unit is worth in the currency converted to",
        "the rate is read at the cell's members", "blank where x is; a missing rate is an error, or the last known", "CONVERT(price, from: product.currency, to: \"USD\", rate: fx.rate)" => "27.50"),
    special!("FILL", Special::Fill, "FILL(x, scope)", "x, or 0 where the scope has a value and x is blank", "those of the scope", "where x or the scope has a value", "FILL(bonus, units)" => "0"),
    special!("OVERRIDE", Special::Override, "OVERRIDE(input, x)", "the input where there is one, else x. It is the whole formula: what is written to the target goes to the measure `input`, and a blank there gives x again",
        "input is another measure of the target's cube, of its type", "where the input or x has a value; what is broadcast adds nothing", "OVERRIDE(bonus, units * 2)" => "24"),
];

/// The function of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// How an operator's or function's support follows from its arguments'.
pub fn support_of(function: Function) -> Support {
    use Function as F;
    match function {
        F::Add
        | F::Subtract
        | F::Equal
        | F::NotEqual
        | F::Less
        | F::LessOrEqual
        | F::Greater
        | F::GreaterOrEqual
        | F::And
        | F::Or
        | F::Not
        | F::Coalesce
        | F::In
        | F::Join
        | F::If
        | F::Switch
        | F::IsBlank
        | F::Min
        | F::Max => Support::Any,
        F::SafeDiv | F::Cap | F::Floor | F::QuotaProrate | F::Convert | F::Filter | F::Exclude => {
            Support::First
        }
        _ => Support::All,
    }
}

impl Entry {
    /// What it wants of units.
    pub fn units(&self) -> UnitRule {
        match self.shape {
            Shape::Point { function, .. } => units_of(function),
            Shape::Special(special) => special.units(),
        }
    }
}

impl Special {
    fn units(self) -> UnitRule {
        match self {
            Self::Shift(_)
            | Self::Parallel
            | Self::Cumulate
            | Self::Decumulate
            | Self::ToDate(_)
            | Self::MovingSum
            | Self::MovingAvg
            | Self::Opening
            | Self::Closing
            | Self::FillForward
            | Self::QuotaProrate
            | Self::Lookup
            | Self::Allocate
            | Self::Fill => UnitRule::First,
            Self::Override => UnitRule::Alike,
            Self::Prorata | Self::Rank | Self::CalendarPart(..) => UnitRule::PureNumber,
            Self::DaysInPeriod | Self::Attr => UnitRule::AnyResult,
            Self::Parent | Self::Ancestor | Self::IsDescendant | Self::MemberText(_) => {
                UnitRule::NoUnit
            }
            Self::Tier => UnitRule::Rated,
            Self::Convert => UnitRule::Converted,
        }
    }
}

/// What an operator or a function of values at one point wants of units.
pub fn units_of(function: Function) -> UnitRule {
    use Function as F;
    match function {
        F::Add
        | F::Subtract
        | F::Coalesce
        | F::Mod
        | F::Min
        | F::Max
        | F::Cap
        | F::Floor
        | F::Clawback => UnitRule::Alike,
        F::Equal
        | F::NotEqual
        | F::Less
        | F::LessOrEqual
        | F::Greater
        | F::GreaterOrEqual
        | F::In => UnitRule::Compared,
        F::Negate
        | F::Round
        | F::RoundUp
        | F::RoundDown
        | F::Abs
        | F::QuotaProrate
        | F::Filter
        | F::Exclude => UnitRule::First,
        F::If => UnitRule::Branches,
        F::Switch => UnitRule::Cases,
        F::Multiply => UnitRule::Product,
        F::Divide | F::SafeDiv => UnitRule::Quotient,
        F::Power => UnitRule::Power,
        F::Sign | F::Find | F::Len | F::Year | F::Quarter | F::Month | F::Day | F::Prorata => {
            UnitRule::PureNumber
        }
        F::Left | F::Right | F::Mid | F::Date | F::Edate | F::EoMonth => UnitRule::PureArguments,
        F::Days | F::Value => UnitRule::AnyResult,
        F::Not
        | F::And
        | F::Or
        | F::Join
        | F::IsBlank
        | F::Upper
        | F::Lower
        | F::Text
        | F::IsDescendant => UnitRule::NoUnit,
        F::Convert => UnitRule::Converted,
    }
}
