//! The models that formulas are tried in: a calendar, a levelled dimension, a tree with operators, two
//! flat dimensions; one records cube and six cells cubes, by day and by month.

use std::sync::Arc;

use calc::Revision;
use cube::change::{MemberWrite, MembersWrite};
use cube::model::{
    AttributeDef, CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, HierarchyDef,
    HierarchyKind, KeyDef, LevelDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::KeyType;
use cube::{AttributeId, Change, DimensionId, HierarchyId, LevelId, MemberId, Scalar, ValueType};

pub const DATE: DimensionId = DimensionId(0);
pub const REP: DimensionId = DimensionId(1);
pub const PRODUCT: DimensionId = DimensionId(2);
pub const SCENARIO: DimensionId = DimensionId(3);
pub const STEP: DimensionId = DimensionId(4);

/// The records cube; the cells cubes follow.
pub const DEALS: usize = 0;
pub const DAILY: usize = 1;
pub const PLAN: usize = 2;
pub const PRICE: usize = 3;
pub const BUDGET: usize = 4;
pub const RATES: usize = 5;
pub const FX: usize = 6;

pub const DECIMAL: ValueType = ValueType::Decimal { precision: 18, scale: 4 };
const SHORT: ValueType = ValueType::Decimal { precision: 6, scale: 2 };

/// The texts that random rows name by position.
pub const TEXTS: [&str; 6] = ["Won", "Lost", "", "b", "open, late", "é"];

/// The table of texts that stands before the rows of a command.
pub fn texts() -> Change {
    Change::Texts(TEXTS.iter().map(|text| Arc::from(*text)).collect())
}

/// What a random model is made of, a bit each.
#[derive(Clone, Copy, Debug)]
pub struct Choice(pub u8);

impl Choice {
    pub fn plan_has_rep(self) -> bool {
        self.0 & 1 != 0
    }

    pub fn plan_has_scenario(self) -> bool {
        self.0 & 2 != 0
    }

    pub fn price_has_month(self) -> bool {
        self.0 & 4 != 0
    }

    pub fn rates_by_product(self) -> bool {
        self.0 & 8 != 0
    }

    pub fn daily_has_rep(self) -> bool {
        self.0 & 16 != 0
    }
}

fn dimension(name: &str, key_type: KeyType, attributes: Vec<AttributeDef>) -> DimensionDef {
    DimensionDef {
        name: name.into(),
        description: String::new(),
        key_type,
        attributes,
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    }
}

fn hierarchy(name: &str, levels: &[&str], weight: Option<&str>) -> HierarchyDef {
    let is_tree = levels.is_empty();
    HierarchyDef {
        name: name.into(),
        kind: if is_tree { HierarchyKind::ParentChild } else { HierarchyKind::Levels },
        levels: levels.iter().map(|level| String::from(*level)).collect(),
        weight: weight.map(String::from),
        same_as: None,
    }
}

fn dimensions() -> [DimensionDef; 5] {
    let calendar = CalendarDef {
        start: "2023-11-20".into(),
        end: "2024-04-10".into(),
        fiscal_start_month: None,
    };
    let owner = AttributeDef {
        member_of: Some("rep".into()),
        ..AttributeDef::new("owner", ValueType::Text)
    };
    let level = |name: &str| LevelDef { name: name.into(), key_type: KeyType::Text };
    let rep =
        vec![AttributeDef::new("operator", ValueType::Text), AttributeDef::new("rate", SHORT)];
    let product = vec![
        AttributeDef::new("size", SHORT),
        AttributeDef::new("code", ValueType::Text),
        owner,
        AttributeDef::new("since", ValueType::Date),
    ];
    [
        DimensionDef { calendar: Some(calendar), ..dimension("date", KeyType::Date, Vec::new()) },
        DimensionDef {
            hierarchies: vec![hierarchy("org", &[], Some("operator"))],
            ..dimension("rep", KeyType::Text, rep)
        },
        DimensionDef {
            levels: vec![level("category"), level("product")],
            hierarchies: vec![hierarchy("line", &["category", "product"], None)],
            ..dimension("product", KeyType::Text, product)
        },
        dimension("scenario", KeyType::Text, Vec::new()),
        dimension("step", KeyType::Text, Vec::new()),
    ]
}

fn measure(name: &str, value_type: ValueType) -> MeasureDef {
    MeasureDef {
        name: name.into(),
        value_type,
        consolidation: if value_type.is_number() {
            Consolidation::Sum
        } else {
            Consolidation::None
        },
        rounding: if name == "q" { Rounding::HalfUp } else { Rounding::HalfEven },
        description: String::new(),
        time: None,
    }
}

fn cube(
    name: &str,
    dimensions: &[&str],
    decimals: &[&str],
    others: &[(&str, ValueType)],
) -> CubeDef {
    let decimals = decimals.iter().map(|name| measure(name, DECIMAL));
    let others = others.iter().map(|(name, value_type)| measure(name, *value_type));
    CubeDef {
        name: name.into(),
        kind: CubeKind::Cells,
        description: String::new(),
        dimensions: dimensions.iter().map(|name| String::from(*name)).collect(),
        key: Vec::new(),
        measures: decimals.chain(others).collect(),
    }
}

fn cubes(choice: Choice) -> [CubeDef; 7] {
    let with = |all: &[(&'static str, bool)]| -> Vec<&'static str> {
        all.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect()
    };
    let deals = CubeDef {
        kind: CubeKind::Records,
        key: vec![KeyDef { name: "id".into(), key_type: KeyType::Text }],
        ..cube(
            "deals",
            &["product", "rep", "date"],
            &["value", "fee", "share", "mix"],
            &[
                ("units", ValueType::Integer),
                ("due", ValueType::Date),
                ("won", ValueType::Boolean),
                ("late", ValueType::Boolean),
                ("status", ValueType::Text),
                ("label", ValueType::Text),
            ],
        )
    };
    let daily = with(&[("product", true), ("rep", choice.daily_has_rep()), ("date", true)]);
    let plan = with(&[
        ("product", true),
        ("rep", choice.plan_has_rep()),
        ("date.month", true),
        ("scenario", choice.plan_has_scenario()),
    ]);
    let price = with(&[("product", true), ("date.month", choice.price_has_month())]);
    let rates = with(&[("product", choice.rates_by_product()), ("step", true)]);
    let others = [
        ("c", ValueType::Integer),
        ("q", ValueType::Integer),
        ("flag", ValueType::Boolean),
        ("hit", ValueType::Boolean),
        ("day", ValueType::Date),
        ("note", ValueType::Text),
        ("tag", ValueType::Text),
    ];
    let plan_decimals = ["a", "b", "mix", "p1", "p2", "p3", "opening", "closing"];
    [
        deals,
        cube("daily", &daily, &["amount", "d1", "d2"], &[]),
        cube("plan", &plan, &plan_decimals, &others),
        cube("price", &price, &["p", "x1"], &[]),
        cube("budget", &["date.month"], &["total", "y1"], &[]),
        cube("rates", &rates, &["threshold", "rate"], &[]),
        cube("fx", &["rep", "date.month"], &["rate"], &[]),
    ]
}

/// A member of a write, with what tests give it.
pub fn member(key: &str, parent: Option<&str>, level: Option<u16>) -> MemberWrite {
    MemberWrite {
        key: key.into(),
        level: level.map(|level| LevelId::from_idx(usize::from(level))),
        parents: parent.map(|parent| (HierarchyId(0), Some(parent.into()))).into_iter().collect(),
        ..MemberWrite::default()
    }
}

pub fn members(dimension: DimensionId, first_new: usize, members: Vec<MemberWrite>) -> Change {
    Change::Members(MembersWrite { dimension, first_new: MemberId::from_idx(first_new), members })
}

fn text(attribute: u16, value: &str) -> (AttributeId, Option<Scalar>) {
    (AttributeId::from_idx(usize::from(attribute)), Some(Scalar::Text(value.into())))
}

fn stored(attribute: u16, value: i64) -> (AttributeId, Option<Scalar>) {
    (AttributeId::from_idx(usize::from(attribute)), Some(Scalar::Stored(value)))
}

/// The members that are there before the first random step.
pub fn first_members() -> Vec<Change> {
    let with = |write: MemberWrite, attributes| MemberWrite { attributes, ..write };
    vec![
        members(
            REP,
            0,
            vec![
                member("r0", None, None),
                with(member("r1", Some("r0"), None), vec![stored(1, 150)]),
                with(member("r2", Some("r0"), None), vec![text(0, "-"), stored(1, 50)]),
                member("r3", Some("r1"), None),
            ],
        ),
        members(
            PRODUCT,
            0,
            vec![
                member("c0", None, Some(0)),
                member("c1", None, Some(0)),
                with(
                    member("p0", Some("c0"), Some(1)),
                    vec![stored(0, 150), text(1, "a-1"), text(2, "r1")],
                ),
                with(member("p1", Some("c0"), Some(1)), vec![stored(0, -200), text(2, "r2")]),
                with(member("p2", Some("c1"), Some(1)), vec![text(1, "b"), text(2, "r1")]),
            ],
        ),
        members(SCENARIO, 0, vec![member("actual", None, None), member("budget", None, None)]),
        members(
            STEP,
            0,
            vec![member("s0", None, None), member("s1", None, None), member("s2", None, None)],
        ),
    ]
}

/// The definitions, without members but the calendar's.
pub fn definitions(choice: Choice) -> Revision {
    let dimensions = dimensions().into_iter().map(ModelChange::AddDimension);
    let cubes = cubes(choice).into_iter().map(ModelChange::AddCube);
    let changes: Vec<Change> = dimensions.chain(cubes).map(Change::Model).collect();
    Revision::default().apply(&changes).expect("the definitions are right").0
}
