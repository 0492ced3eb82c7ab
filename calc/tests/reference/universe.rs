//! The models that tests draw from: four dimensions of every kind, a cells cube and a records cube.

use cube::model::{Consolidation, TimeSummary};
use cube::value::KeyType;

/// A typed property or measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Decimal(u8, u8),
    Integer,
    Text,
}

impl Kind {
    pub fn scale(self) -> u32 {
        match self {
            Self::Decimal(_, scale) => u32::from(scale),
            _ => 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct HierarchySpec {
    pub name: &'static str,
    /// Top down; empty: parent-child.
    pub levels: &'static [&'static str],
    pub weight: Option<&'static str>,
    /// The hierarchy whose parents it shares.
    pub shares: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct DimensionSpec {
    pub name: &'static str,
    pub key_type: KeyType,
    pub attributes: &'static [(&'static str, Kind)],
    pub hierarchies: Vec<HierarchySpec>,
    /// First month of the fiscal year of a calendar.
    pub fiscal_month: Option<u32>,
}

impl DimensionSpec {
    pub fn leaf_level(&self) -> Option<&'static str> {
        self.hierarchies.iter().find_map(|hierarchy| hierarchy.levels.last().copied())
    }

    /// Whose parents a hierarchy uses.
    pub fn parents_of(&self, hierarchy: usize) -> usize {
        self.hierarchies[hierarchy].shares.unwrap_or(hierarchy)
    }

    pub fn attribute(&self, name: &str) -> (usize, Kind) {
        let idx = self.attributes.iter().position(|(other, _)| *other == name);
        let idx = idx.unwrap_or_else(|| panic!("{} has no {name}", self.name));
        (idx, self.attributes[idx].1)
    }
}

/// A semi-additive rule; positions are those of dimensions in the cube.
#[derive(Clone, Debug)]
pub struct TimeSpec {
    pub position: usize,
    pub by: Option<(usize, &'static str)>,
    pub default: TimeSummary,
    pub rules: Vec<(&'static str, TimeSummary)>,
}

#[derive(Clone, Debug)]
pub struct MeasureSpec {
    pub name: &'static str,
    pub kind: Kind,
    pub rule: Consolidation,
    pub half_up: bool,
    pub time: Option<TimeSpec>,
}

#[derive(Clone, Debug)]
pub struct CubeSpec {
    pub name: &'static str,
    pub is_records: bool,
    /// Indices into [`Universe::dimensions`].
    pub dimensions: Vec<usize>,
    pub measures: Vec<MeasureSpec>,
}

impl CubeSpec {
    pub fn measure(&self, name: &str) -> usize {
        let idx = self.measures.iter().position(|measure| measure.name == name);
        idx.unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }
}

/// A model without members.
#[derive(Clone, Debug)]
pub struct Universe {
    pub dimensions: Vec<DimensionSpec>,
    /// The cells cube `plan` and the records cube `sales`, which has all dimensions.
    pub cubes: [CubeSpec; 2],
}

pub const PLAN: usize = 0;
pub const SALES: usize = 1;

/// Measures that may have a formula.
pub const TARGETS: [(usize, &str); 9] = [
    (PLAN, "leaf_a"),
    (PLAN, "leaf_b"),
    (PLAN, "leaf_c"),
    (PLAN, "actual"),
    (PLAN, "ratio_a"),
    (PLAN, "ratio_b"),
    (SALES, "margin"),
    (SALES, "fee"),
    (SALES, "share"),
];

/// What a random model is made of.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Bit by bit, which of the four dimensions there are.
    pub dimensions: u8,
    /// Bit by bit, which of them the cells cube has.
    pub plan: u8,
    pub fiscal_month: u32,
    /// Which time rule the cells cube's stock measures have.
    pub time: u8,
    pub half_up: bool,
}

impl Universe {
    pub fn new(choice: &Choice) -> Self {
        let all = all_dimensions(choice.fiscal_month);
        let chosen = |bits: u8, count: usize| -> Vec<usize> {
            let chosen: Vec<usize> = (0..count).filter(|idx| bits >> idx & 1 == 1).collect();
            if chosen.is_empty() { vec![0] } else { chosen }
        };
        let dimensions: Vec<DimensionSpec> =
            chosen(choice.dimensions, all.len()).into_iter().map(|idx| all[idx].clone()).collect();
        let plan = chosen(choice.plan, dimensions.len());
        let plan_cube = plan_cube(choice, &dimensions, plan);
        let sales = (0..dimensions.len()).collect();
        Self { cubes: [plan_cube, sales_cube(choice, sales)], dimensions }
    }

    /// The dimension at a position of a cube.
    pub fn dimension(&self, cube: usize, position: usize) -> &DimensionSpec {
        &self.dimensions[self.cubes[cube].dimensions[position]]
    }
}

fn all_dimensions(fiscal_month: u32) -> [DimensionSpec; 4] {
    let levelled = |name, levels, weight| HierarchySpec { name, levels, weight, shares: None };
    let free = |name, weight, shares| HierarchySpec { name, levels: &[], weight, shares };
    [
        DimensionSpec {
            name: "product",
            key_type: KeyType::Integer,
            attributes: &[
                ("list_price", Kind::Decimal(18, 4)),
                ("share", Kind::Decimal(6, 2)),
                ("style", Kind::Text),
            ],
            hierarchies: vec![
                levelled("category", &["category", "subcategory", "product"], None),
                levelled("brand", &["brand", "product"], Some("share")),
            ],
            fiscal_month: None,
        },
        DimensionSpec {
            name: "account",
            key_type: KeyType::Text,
            attributes: &[
                ("operator", Kind::Text),
                ("ownership", Kind::Decimal(6, 3)),
                ("account_type", Kind::Text),
            ],
            hierarchies: vec![
                free("account", Some("operator"), None),
                free("ownership", Some("ownership"), Some(0)),
                free("statutory", None, None),
            ],
            fiscal_month: None,
        },
        DimensionSpec {
            name: "date",
            key_type: KeyType::Date,
            attributes: &[],
            hierarchies: vec![
                levelled("calendar", &["year", "quarter", "month", "day"], None),
                levelled("fiscal", &["fiscal_year", "fiscal_quarter", "month", "day"], None),
            ],
            fiscal_month: Some(fiscal_month),
        },
        DimensionSpec {
            name: "region",
            key_type: KeyType::Text,
            attributes: &[("factor", Kind::Integer), ("bonus", Kind::Decimal(5, 2))],
            hierarchies: Vec::new(),
            fiscal_month: None,
        },
    ]
}

fn measure(name: &'static str, kind: Kind, rule: Consolidation) -> MeasureSpec {
    MeasureSpec { name, kind, rule, half_up: false, time: None }
}

fn plan_cube(choice: &Choice, all: &[DimensionSpec], dimensions: Vec<usize>) -> CubeSpec {
    use Consolidation::{Average, Count, Formula, Max, Min, None, Sum};
    let time = time_rule(choice, all, &dimensions);
    let measures = vec![
        MeasureSpec { time: time.clone(), ..measure("amount", Kind::Decimal(18, 4), Sum) },
        measure("quantity", Kind::Integer, Sum),
        measure("low", Kind::Decimal(12, 2), Min),
        measure("high", Kind::Integer, Max),
        measure("mean", Kind::Decimal(10, 3), Average),
        measure("entries", Kind::Integer, Count),
        measure("note", Kind::Decimal(8, 1), None),
        measure("leaf_a", Kind::Decimal(18, 4), Sum),
        MeasureSpec {
            half_up: choice.half_up,
            time,
            ..measure("leaf_b", Kind::Decimal(16, 2), Sum)
        },
        measure("leaf_c", Kind::Integer, Average),
        measure("actual", Kind::Decimal(18, 4), Sum),
        measure("ratio_a", Kind::Decimal(18, 6), Formula),
        MeasureSpec { half_up: true, ..measure("ratio_b", Kind::Decimal(18, 2), Formula) },
    ];
    CubeSpec { name: "plan", is_records: false, dimensions, measures }
}

fn sales_cube(choice: &Choice, dimensions: Vec<usize>) -> CubeSpec {
    use Consolidation::{Formula, Max, Sum};
    let measures = vec![
        measure("amount", Kind::Decimal(18, 4), Sum),
        measure("cost", Kind::Decimal(18, 2), Sum),
        measure("units", Kind::Integer, Sum),
        measure("best", Kind::Integer, Max),
        measure("margin", Kind::Decimal(18, 4), Sum),
        MeasureSpec { half_up: choice.half_up, ..measure("fee", Kind::Decimal(14, 2), Sum) },
        measure("share", Kind::Decimal(18, 6), Formula),
    ];
    CubeSpec { name: "sales", is_records: true, dimensions, measures }
}

fn time_rule(choice: &Choice, all: &[DimensionSpec], dimensions: &[usize]) -> Option<TimeSpec> {
    let find = |name: &str| dimensions.iter().position(|&idx| all[idx].name == name);
    let position = find("date")?;
    let default = match choice.time % 4 {
        0 => return None,
        1 => TimeSummary::Last,
        2 => TimeSummary::First,
        _ => TimeSummary::Sum,
    };
    let rules = vec![("Assets", TimeSummary::Last), ("Opening", TimeSummary::First)];
    let by = find("account").filter(|_| choice.time >= 4).map(|account| (account, "account_type"));
    Some(TimeSpec { position, by, default, rules: if by.is_some() { rules } else { Vec::new() } })
}
