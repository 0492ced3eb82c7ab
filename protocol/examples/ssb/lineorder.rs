//! The cube `lineorder`: its definitions, its members, and the blocks of rows as changes.

use std::collections::BTreeSet;

use calc::Revision;
use cube::ValueList;
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    CalendarDef, Consolidation, CubeDef, CubeKind, DimensionDef, HierarchyDef, HierarchyKind,
    KeyDef, LevelDef, MeasureDef, ModelChange,
};
use cube::number::Rounding;
use cube::value::{KeyPart, KeyType, format_date, parse_date};
use cube::{
    Change, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId, ValueType, Version,
};

use crate::data::{self, Block, CALENDAR, DAYS, Dimensions, Levels, Random};

const LINEORDER: CubeId = CubeId(0);
const MEASURES: [&str; 6] =
    ["lo_quantity", "lo_discount", "lo_tax", "lo_extendedprice", "lo_revenue", "lo_supplycost"];

/// The cube with all rows.
pub fn load(dimensions: &Dimensions) -> calc::Result<Revision> {
    let places = data::places();
    let mut changes = vec![
        dimension("date", KeyType::Date, &[]),
        dimension("customer", KeyType::Integer, &["region", "nation", "city", "customer"]),
        dimension("supplier", KeyType::Integer, &["region", "nation", "city", "supplier"]),
        dimension("part", KeyType::Integer, &["mfgr", "category", "brand", "part"]),
        Change::Model(ModelChange::AddCube(definition())),
    ];
    changes.push(members(DimensionId(1), &places, &dimensions.customer_city));
    changes.push(members(DimensionId(2), &places, &dimensions.supplier_city));
    changes.push(members(DimensionId(3), &data::products(), &dimensions.part_brand));
    let (mut revision, _) = Revision::default().apply(&changes)?;
    let number_one = |id| revision.version.dimension(DimensionId(id)).resolve_leaf("1");
    let first = [number_one(1)?, number_one(2)?, number_one(3)?];
    let first_day = parse_date(CALENDAR.0).unwrap_or_default();
    let date = revision.version.dimension(DimensionId(0));
    let days = (0..DAYS as i32).map(|day| date.resolve_leaf(&format_date(first_day + day)));
    let days = days.collect::<cube::Result<Vec<MemberId>>>()?;
    for block in dimensions.blocks() {
        let write = rows(&block, &days, first);
        drop(block);
        (revision, _) = revision.apply(&[write])?;
    }
    Ok(revision)
}

fn dimension(name: &str, key_type: KeyType, levels: &[&str]) -> Change {
    let level = |(idx, name): (usize, &&str)| LevelDef {
        name: String::from(*name),
        key_type: if idx + 1 == levels.len() { key_type } else { KeyType::Text },
    };
    let hierarchy = HierarchyDef {
        name: name.into(),
        kind: HierarchyKind::Levels,
        levels: levels.iter().map(|level| String::from(*level)).collect(),
        weight: None,
        same_as: None,
    };
    let (start, end) = CALENDAR;
    let calendar = CalendarDef { start: start.into(), end: end.into(), fiscal_start_month: None };
    Change::Model(ModelChange::AddDimension(DimensionDef {
        name: name.into(),
        description: String::new(),
        key_type,
        attributes: Vec::new(),
        levels: levels.iter().enumerate().map(level).collect(),
        hierarchies: if levels.is_empty() { Vec::new() } else { vec![hierarchy] },
        calendar: levels.is_empty().then_some(calendar),
    }))
}

fn definition() -> CubeDef {
    let key = |name: &str, key_type| KeyDef { name: name.into(), key_type };
    let measure = |name: &str| MeasureDef {
        name: name.into(),
        value_type: ValueType::Integer,
        consolidation: Consolidation::Sum,
        rounding: Rounding::HalfEven,
        description: String::new(),
        time: None,
    };
    CubeDef {
        name: "lineorder".into(),
        kind: CubeKind::Records,
        description: String::new(),
        dimensions: ["date", "customer", "supplier", "part"].map(String::from).into(),
        key: vec![key("lo_orderkey", KeyType::Bigint), key("lo_linenumber", KeyType::Smallint)],
        measures: MEASURES.map(measure).into(),
    }
}

/// The members of all levels, the leaves last: numbered from 1, each under one of the lowest level.
fn members(dimension: DimensionId, levels: &Levels, parents: &[u32]) -> Change {
    let mut members = Vec::new();
    let parent = |name: Option<&String>| (HierarchyId(0), name.cloned());
    for (level, names) in levels.names.iter().enumerate() {
        for (at, name) in names.iter().enumerate() {
            let upper = level
                .checked_sub(1)
                .map(|upper| &levels.names[upper][at / levels.fan_out[upper] as usize]);
            members.push(MemberWrite {
                key: name.clone(),
                level: Some(LevelId(level as u32)),
                parents: upper.map(|upper| parent(Some(upper))).into_iter().collect(),
                ..MemberWrite::default()
            });
        }
    }
    let lowest = &levels.names[levels.names.len() - 1];
    members.extend((1..).zip(parents).map(|(number, &upper): (u32, _)| MemberWrite {
        key: number.to_string(),
        parents: vec![parent(lowest.get(upper as usize))],
        ..MemberWrite::default()
    }));
    Change::Members(MembersWrite { dimension, first_new: MemberId(0), members })
}

/// A block as a change: `days` are the calendar's members, `first` the first customer, supplier, part.
fn rows(block: &Block, days: &[MemberId], first: [MemberId; 3]) -> Change {
    let count = block.line.len();
    let mut write = RowsWrite {
        cube: LINEORDER,
        action: RowsAction::Set,
        measures: (0..MEASURES.len()).map(MeasureId::from_idx).collect(),
        keys: Vec::with_capacity(2 * count),
        coordinates: Vec::with_capacity(4 * count),
        values: ValueList::with_capacity(MEASURES.len() * count),
    };
    for row in 0..count {
        write.keys.push(KeyPart::Integer(block.order[row]));
        write.keys.push(KeyPart::Integer(block.line[row].into()));
        write.coordinates.extend([
            days[usize::from(block.day[row])],
            MemberId(first[0].0 + block.customer[row]),
            MemberId(first[1].0 + block.supplier[row]),
            MemberId(first[2].0 + block.part[row]),
        ]);
        let small = [block.quantity[row], block.discount[row], block.tax[row]];
        let prices = [block.extended_price[row], block.revenue[row], block.supply_cost[row]];
        let values = small.map(i64::from).into_iter().chain(prices.map(i64::from));
        write.values.extend(values.map(Some));
    }
    Change::Rows(write)
}

/// A change that adds one to the revenue of rows all over the cube.
pub fn scattered(version: &Version, count: usize, seed: u64) -> Change {
    let revenue = MeasureId(4);
    let segments = version.rows(LINEORDER).segments();
    let mut found = version.empty_rows(LINEORDER);
    let mut random = Random(seed);
    let mut taken = BTreeSet::new();
    while taken.len() < count {
        let segment = random.below(segments.len() as u32) as usize;
        let view = &segments[segment];
        let row = random.below(view.segment.row_count() as u32);
        if !view.dead.contains(row) && taken.insert((segment, row)) {
            view.segment.copy_row(row as usize, &mut found);
        }
    }
    let each = |of: &dyn Fn(usize) -> Vec<KeyPart>| (0..count).flat_map(of).collect();
    Change::Rows(RowsWrite {
        cube: LINEORDER,
        action: RowsAction::Set,
        measures: vec![revenue],
        keys: each(&|row| found.keys.iter().map(|column| column[row].clone()).collect()),
        coordinates: (0..count).flat_map(|row| found.coordinate(row)).collect(),
        values: found.values[revenue.idx()].iter().map(|value| value.map(|v| v + 1)).collect(),
    })
}
