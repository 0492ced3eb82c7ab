//! A planning model: 8 dimensions, 20 formulas, 8 measures in each of millions of rows, half of them computed.
//! Values are drawn by their place (`draw`), so that a peer makes the same ones.

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, FormulaDef, HierarchyDef,
    HierarchyKind, LevelDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::KeyType;
use cube::{Change, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId, ValueType};

pub const SCENARIOS: u64 = 3;
pub const MONTHS: u64 = 24;
pub const PRODUCTS: u64 = 2_000;
pub const ENTITIES: u64 = 60;
const CURRENCIES: u64 = 12;
/// Rows of one combination of entity, department, product, channel and segment.
pub const ROWS_EACH: u64 = SCENARIOS * MONTHS;

pub const FX: CubeId = CubeId(0);
pub const BUDGET: CubeId = CubeId(1);
pub const SUMMARY: CubeId = CubeId(2);
pub const ENTITY: CubeId = CubeId(3);
pub const DEPARTMENT: CubeId = CubeId(4);
pub const COMPANY: CubeId = CubeId(5);

/// Dimensions with their lowest level, the number of members, and an upper level with its own.
const DIMENSIONS: [(&str, u64, &str, u64); 7] = [
    ("scenario", SCENARIOS, "", 0),
    ("entity", ENTITIES, "region", 5),
    ("department", 40, "division", 8),
    ("product", PRODUCTS, "category", 20),
    ("channel", 8, "", 0),
    ("segment", 10, "", 0),
    ("currency", CURRENCIES, "", 0),
];
const MONTH: DimensionId = DimensionId(7);

/// A number below `n` that depends on a kind and a place alone.
pub fn draw(kind: u64, place: u64, n: u64) -> u64 {
    let mut x = (kind << 40) + place + 1;
    x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (((x ^ (x >> 31)) >> 33) * n) >> 31
}

/// The members of a combination, in the order of the cube's dimensions after scenario and month.
pub fn combination(at: u64) -> [u64; 6] {
    let product = at % PRODUCTS;
    // 7 has no factor in common with 60: no combination comes twice
    let entity = (at / PRODUCTS * 7 + product) % ENTITIES;
    [entity, draw(1, at, 40), product, draw(2, at, 8), draw(3, at, 10), entity % CURRENCIES]
}

/// Units, price, unit cost and discount rate of a row.
pub fn values(row: u64) -> [i64; 4] {
    let each = [(4, 500, 1), (5, 9_500, 500), (6, 300, 100), (7, 2_500, 0)];
    each.map(|(kind, n, least)| (draw(kind, row, n) + least) as i64)
}

/// The inputs.
pub fn load(combinations: u64) -> calc::Result<Revision> {
    let mut changes: Vec<Change> = DIMENSIONS.iter().map(dimension).collect();
    changes.push(months());
    changes.extend(cubes());
    changes.extend((0..).zip(DIMENSIONS).map(members));
    let (mut revision, _) = Revision::default().apply(&changes)?;
    let months = month_members(&revision);
    let mut small = [(FX, Vec::new(), Vec::new()), (COMPANY, Vec::new(), Vec::new())];
    for at in 0..MONTHS {
        for currency in 0..CURRENCIES {
            let member = level_first(6) + currency;
            small[0].1.extend([MemberId(member as u32), months[at as usize]]);
            small[0]
                .2
                .push(Some((500_000 + draw(8, at * CURRENCIES + currency, 1_000_000)) as i64));
        }
        for scenario in 0..SCENARIOS {
            small[1].1.extend([MemberId(scenario as u32), months[at as usize]]);
            small[1]
                .2
                .push(Some((1_000_000 + draw(9, at * SCENARIOS + scenario, 9_000_000)) as i64));
        }
    }
    for (cube, coordinates, values) in small {
        let write = RowsWrite {
            cube,
            action: RowsAction::Set,
            measures: vec![MeasureId(0)],
            keys: Vec::new(),
            coordinates,
            values: values.into(),
        };
        (revision, _) = revision.apply(&[Change::Rows(write)])?;
    }
    // as a file is loaded: block by block
    const BLOCK: u64 = 4_096;
    for first in (0..combinations).step_by(BLOCK as usize) {
        let block = first..combinations.min(first + BLOCK);
        (revision, _) = revision.apply(&[rows(block, &months)])?;
    }
    Ok(revision)
}

/// The members of the months.
pub fn month_members(revision: &Revision) -> Vec<MemberId> {
    let date = revision.version.dimension(MONTH);
    let key = |at: u64| format!("{}-{:02}", 2026 + at / 12, at % 12 + 1);
    (0..MONTHS).filter_map(|at| date.find(&key(at))).collect()
}

/// The first leaf of a dimension: behind the members of its upper level.
fn level_first(dimension: usize) -> u64 {
    DIMENSIONS[dimension].3
}

/// The cell of a row as the cube's coordinates.
pub fn coordinates(combination: [u64; 6], scenario: u64, month: MemberId) -> [MemberId; 8] {
    let [entity, department, product, channel, segment, currency] = combination;
    let leaf = |dimension, at| MemberId((level_first(dimension) + at) as u32);
    [
        leaf(0, scenario),
        month,
        leaf(1, entity),
        leaf(2, department),
        leaf(3, product),
        leaf(4, channel),
        leaf(5, segment),
        leaf(6, currency),
    ]
}

fn rows(combinations: std::ops::Range<u64>, months: &[MemberId]) -> Change {
    let (mut places, mut inputs) = (Vec::new(), Vec::new());
    for at in combinations {
        for scenario in 0..SCENARIOS {
            for (month, &member) in (0..).zip(months) {
                places.extend(coordinates(combination(at), scenario, member));
                inputs.extend(values(at * ROWS_EACH + scenario * MONTHS + month).map(Some));
            }
        }
    }
    Change::Rows(RowsWrite {
        cube: BUDGET,
        action: RowsAction::Set,
        measures: (0..4).map(MeasureId).collect(),
        keys: Vec::new(),
        coordinates: places,
        values: inputs.into(),
    })
}

/// The formulas, from the rows up to the company's cash.
pub fn formulas() -> Vec<Change> {
    const ALL: [(&str, &str); 20] = [
        ("budget.gross", "units * price"),
        ("budget.discount", "gross * discount_rate"),
        ("budget.net", "gross - discount"),
        ("budget.margin", "net - units * unit_cost"),
        (
            "summary.units",
            "budget.units[REMOVE SUM: department, channel, segment][BY SUM: product.category]",
        ),
        (
            "summary.net",
            "budget.net[REMOVE SUM: department, channel, segment][BY SUM: product.category]",
        ),
        (
            "summary.margin",
            "budget.margin[REMOVE SUM: department, channel, segment][BY SUM: product.category]",
        ),
        ("summary.net_eur", "net * fx.rate"),
        ("summary.margin_eur", "margin * fx.rate"),
        ("entity_pl.sales", "summary.net_eur[REMOVE SUM: product, currency]"),
        ("entity_pl.margin", "summary.margin_eur[REMOVE SUM: product, currency]"),
        ("entity_pl.overhead", "company.overhead[ADD SPLIT: entity BY sales]"),
        ("entity_pl.ebit", "margin - overhead"),
        ("entity_pl.tax", "IF(ebit > 0, ebit * 0.25, 0)"),
        ("entity_pl.net_income", "ebit - tax"),
        ("entity_pl.to_date", "CUMULATE(net_income)"),
        ("department_pl.sales", "budget.net[KEEP SUM: scenario, date.month, department]"),
        ("company.income", "entity_pl.net_income[REMOVE SUM: entity]"),
        ("company.opening_cash", "PREVIOUS(closing_cash)"),
        ("company.closing_cash", "opening_cash + income"),
    ];
    let formula = |(target, text): (&str, &str)| {
        Change::Model(ModelChange::SetFormula(FormulaDef {
            target: target.into(),
            text: text.into(),
            description: String::new(),
            at_or_above: Default::default(),
        }))
    };
    ALL.map(formula).into()
}

fn dimension(&(name, _, upper, _): &(&str, u64, &str, u64)) -> Change {
    let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
    let levels: Vec<LevelDef> =
        [upper, name].into_iter().filter(|name| !name.is_empty()).map(level).collect();
    let hierarchy = HierarchyDef {
        name: name.into(),
        kind: HierarchyKind::Levels,
        levels: levels.iter().map(|level| level.name.clone()).collect(),
        weight: None,
        same_as: None,
    };
    let is_flat = upper.is_empty();
    Change::Model(ModelChange::AddDimension(DimensionDef {
        name: name.into(),
        description: String::new(),
        key_type: KeyType::Text,
        attributes: Vec::new(),
        levels: if is_flat { Vec::new() } else { levels },
        hierarchies: if is_flat { Vec::new() } else { vec![hierarchy] },
        calendar: None,
    }))
}

fn months() -> Change {
    Change::Model(ModelChange::AddDimension(DimensionDef {
        name: "date".into(),
        description: String::new(),
        key_type: KeyType::Date,
        attributes: Vec::new(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: Some(CalendarDef {
            start: "2026-01-01".into(),
            end: "2027-12-31".into(),
            fiscal_start_month: None,
        }),
    }))
}

fn members((dimension, (name, count, upper, groups)): (u32, (&str, u64, &str, u64))) -> Change {
    let mut members = Vec::new();
    for group in 0..groups {
        members.push(MemberWrite {
            key: format!("{upper} {group}"),
            level: Some(LevelId(0)),
            ..MemberWrite::default()
        });
    }
    members.extend((0..count).map(|at| {
        MemberWrite {
            key: format!("{name} {at}"),
            parents: at
                .checked_rem(groups)
                .map(|group| (HierarchyId(0), Some(format!("{upper} {group}"))))
                .into_iter()
                .collect(),
            ..MemberWrite::default()
        }
    }));
    let dimension = DimensionId(dimension);
    Change::Members(MembersWrite { dimension, first_new: MemberId(0), members })
}

fn cubes() -> Vec<Change> {
    let measure = |(name, scale): &(&str, u8)| MeasureDef {
        name: String::from(*name),
        value_type: ValueType::Decimal { precision: 18, scale: *scale },
        consolidation: Consolidation::Sum,
        rounding: Rounding::HalfEven,
        description: String::new(),
        time: None,
    };
    let cube = |name: &str, dimensions: &[&str], measures: &[(&str, u8)]| {
        Change::Model(ModelChange::AddCube(CubeDef {
            name: name.into(),
            kind: CubeKind::Cells,
            description: String::new(),
            dimensions: dimensions.iter().map(|name| String::from(*name)).collect(),
            key: Vec::new(),
            measures: measures.iter().map(measure).collect(),
        }))
    };
    vec![
        cube("fx", &["currency", "date.month"], &[("rate", 6)]),
        cube(
            "budget",
            &[
                "scenario",
                "date.month",
                "entity",
                "department",
                "product",
                "channel",
                "segment",
                "currency",
            ],
            &[
                ("units", 0),
                ("price", 2),
                ("unit_cost", 2),
                ("discount_rate", 4),
                ("gross", 2),
                ("discount", 2),
                ("net", 2),
                ("margin", 2),
            ],
        ),
        cube(
            "summary",
            &["scenario", "date.month", "entity", "product.category", "currency"],
            &[("units", 0), ("net", 2), ("margin", 2), ("net_eur", 2), ("margin_eur", 2)],
        ),
        cube(
            "entity_pl",
            &["scenario", "date.month", "entity"],
            &[
                ("sales", 2),
                ("margin", 2),
                ("overhead", 2),
                ("ebit", 2),
                ("tax", 2),
                ("net_income", 2),
                ("to_date", 2),
            ],
        ),
        cube("department_pl", &["scenario", "date.month", "department"], &[("sales", 2)]),
        cube(
            "company",
            &["scenario", "date.month"],
            &[("overhead", 2), ("income", 2), ("opening_cash", 2), ("closing_cash", 2)],
        ),
    ]
}
