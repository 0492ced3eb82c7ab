//! Random steps: numbers that shrink, read modulo what a world has, so that most of them are valid.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::formula::Expression;
use crate::naive::{Action, Formula, MemberEdit, Property, RowEdit, World};
use crate::question::{Asked, Fineness, Grouping, Question, Wanted, label};
use crate::universe::{Choice, Kind, PLAN, SALES, TARGETS};

/// A change that is not yet tied to a world.
#[derive(Clone, Debug)]
pub enum Step {
    AddMember { dimension: u8, seed: u32 },
    EditMember { dimension: u8, member: u8, what: u8, seed: u32 },
    Set { cube: u8, measures: u32, rows: Vec<RawRow> },
    Remove { cube: u8, rows: Vec<RawRow> },
    SetFormula { target: u8, raw: Raw, level: u8 },
    RemoveFormula { target: u8 },
}

#[derive(Clone, Debug)]
pub struct RawRow {
    key: u8,
    members: [u8; 4],
    values: Vec<Option<i32>>,
}

/// A formula that is not yet tied to a target.
#[derive(Clone, Debug)]
pub enum Raw {
    Number(u32, u8),
    Measure(u8),
    Attribute(u8),
    Sum(u8),
    Negate(Box<Raw>),
    Binary(char, Box<Raw>, Box<Raw>),
}

/// A query that is not yet tied to a world.
#[derive(Clone, Debug)]
pub struct RawQuestion {
    cube: u8,
    axes: Vec<(u8, u8)>,
    filters: Vec<(u8, u8, u64)>,
    rights: Option<(u8, u64)>,
    scale: u8,
}

pub fn choice() -> impl Strategy<Value = Choice> {
    let fiscal_month = prop_oneof![Just(1u32), Just(2), Just(7), Just(10), Just(12)];
    (1u8..16, any::<u8>(), fiscal_month, 0u8..8, any::<bool>()).prop_map(
        |(dimensions, plan, fiscal_month, time, half_up)| Choice {
            dimensions,
            plan,
            fiscal_month,
            time,
            half_up,
        },
    )
}

pub fn step() -> impl Strategy<Value = Step> {
    let add = (any::<u8>(), any::<u32>())
        .prop_map(|(dimension, seed)| Step::AddMember { dimension, seed });
    let edit = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u32>()).prop_map(
        |(dimension, member, what, seed)| Step::EditMember { dimension, member, what, seed },
    );
    let set = (0u8..2, any::<u32>(), prop::collection::vec(row(), 1..7))
        .prop_map(|(cube, measures, rows)| Step::Set { cube, measures, rows });
    let remove = (0u8..2, prop::collection::vec(row(), 1..4))
        .prop_map(|(cube, rows)| Step::Remove { cube, rows });
    let formula = (any::<u8>(), raw(), any::<u8>())
        .prop_map(|(target, raw, level)| Step::SetFormula { target, raw, level });
    let drop = any::<u8>().prop_map(|target| Step::RemoveFormula { target });
    prop_oneof![2 => add, 4 => edit, 8 => set, 2 => remove, 4 => formula, 1 => drop]
}

fn row() -> impl Strategy<Value = RawRow> {
    let value = prop_oneof![1 => Just(None), 6 => (-2_000i32..2_000).prop_map(Some), 1 => any::<i32>().prop_map(Some)];
    (any::<u8>(), any::<[u8; 4]>(), prop::collection::vec(value, 13))
        .prop_map(|(key, members, values)| RawRow { key, members, values })
}

fn raw() -> impl Strategy<Value = Raw> {
    let leaf = prop_oneof![
        1 => (0u32..1_000, 0u8..4).prop_map(|(mantissa, scale)| Raw::Number(mantissa, scale)),
        5 => any::<u8>().prop_map(Raw::Measure),
        2 => any::<u8>().prop_map(Raw::Attribute),
        2 => any::<u8>().prop_map(Raw::Sum),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let operator = prop_oneof![Just('+'), Just('-'), Just('*'), Just('/')];
        prop_oneof![
            1 => inner.clone().prop_map(|inner| Raw::Negate(Box::new(inner))),
            5 => (operator, inner.clone(), inner)
                .prop_map(|(operator, a, b)| Raw::Binary(operator, Box::new(a), Box::new(b))),
        ]
    })
}

pub fn question() -> impl Strategy<Value = RawQuestion> {
    let axes = prop::collection::vec((any::<u8>(), any::<u8>()), 0..4);
    let filters = prop::collection::vec((any::<u8>(), any::<u8>(), any::<u64>()), 0..3);
    let rights = prop::option::weighted(0.3, (any::<u8>(), any::<u64>()));
    (0u8..2, axes, filters, rights, 0u8..9).prop_map(|(cube, axes, filters, rights, scale)| {
        RawQuestion { cube, axes, filters, rights, scale }
    })
}

fn pick<T: Clone>(items: &[T], at: impl Into<u32>) -> Option<T> {
    (!items.is_empty()).then(|| items[at.into() as usize % items.len()].clone())
}

/// The members a universe begins with, so that writes have where to go.
pub fn first_members(world: &World) -> Vec<Action> {
    let member = |key: &str,
                  level: &str,
                  parents: &[(usize, &str)],
                  properties: &[(&str, Property)]| MemberEdit {
        key: key.into(),
        level: (!level.is_empty()).then(|| level.into()),
        parents: parents.iter().map(|(h, parent)| (*h, Some(String::from(*parent)))).collect(),
        properties: properties
            .iter()
            .map(|(name, value)| (String::from(*name), Some(value.clone())))
            .collect(),
        ..MemberEdit::default()
    };
    let text = |text: &str| Property::Text(text.into());
    let number = Property::Number;
    let products = || {
        vec![
            member("category:1", "category", &[], &[]),
            member("category:2", "category", &[], &[]),
            member("sub:1", "subcategory", &[(0, "category:1")], &[]),
            member("sub:2", "subcategory", &[(0, "category:2")], &[]),
            member("brand:1", "brand", &[], &[]),
            member(
                "1",
                "product",
                &[(0, "sub:1"), (1, "brand:1")],
                &[("share", number(50)), ("list_price", number(199_900))],
            ),
            member("2", "product", &[(0, "sub:1"), (1, "brand:1")], &[("style", text("road"))]),
            member(
                "3",
                "product",
                &[(0, "category:2")],
                &[("share", number(-125)), ("style", text("road"))],
            ),
            member("4", "product", &[(0, "sub:2")], &[("list_price", number(12_345))]),
        ]
    };
    let accounts = || {
        vec![
            member("net", "", &[], &[]),
            member(
                "income",
                "",
                &[(0, "net"), (2, "income")],
                &[("operator", text("+")), ("account_type", text("Flow"))],
            ),
            member(
                "cost",
                "",
                &[(0, "net")],
                &[("operator", text("-")), ("ownership", number(800))],
            ),
            member(
                "tax",
                "",
                &[(0, "cost")],
                &[
                    ("operator", text("-")),
                    ("ownership", number(500)),
                    ("account_type", text("Opening")),
                ],
            ),
            member(
                "memo",
                "",
                &[(0, "net")],
                &[("operator", text("~")), ("account_type", text("Assets"))],
            ),
            member("units", "", &[], &[("ownership", number(0)), ("account_type", text("Assets"))]),
        ]
    };
    let regions = || {
        vec![
            member("north", "", &[], &[("factor", number(2)), ("bonus", number(125))]),
            member("south", "", &[], &[("factor", number(-1))]),
            member("east", "", &[], &[]),
        ]
    };
    let edits = world.universe.dimensions.iter().map(|spec| match spec.name {
        "product" => products(),
        "account" => accounts()
            .into_iter()
            .map(|mut edit| {
                edit.parents.retain(|(h, _)| *h != 2);
                edit
            })
            .collect(),
        "region" => regions(),
        _ => Vec::new(),
    });
    edits.enumerate().map(|(dimension, edits)| Action::Members { dimension, edits }).collect()
}

impl Step {
    /// The change in a world; none where there is nothing to change.
    pub fn action(&self, world: &World) -> Option<Action> {
        match self {
            Self::AddMember { dimension, seed } => add_member(world, *dimension, *seed),
            Self::EditMember { dimension, member, what, seed } => {
                edit_member(world, *dimension, *member, *what, *seed)
            }
            Self::Set { cube, measures, rows } => set(world, usize::from(*cube), *measures, rows),
            Self::Remove { cube, rows } => {
                let cube = usize::from(*cube);
                let rows = rows.iter().filter_map(|row| row_edit(world, cube, row, &[])).collect();
                Some(Action::Remove { cube, rows })
            }
            Self::SetFormula { target, raw, level } => set_formula(world, *target, raw, *level),
            Self::RemoveFormula { target } => {
                let (cube, name) = pick(&TARGETS, *target)?;
                Some(Action::RemoveFormula {
                    cube,
                    measure: world.universe.cubes[cube].measure(name),
                })
            }
        }
    }
}

fn dimension_of(world: &World, dimension: u8) -> usize {
    usize::from(dimension) % world.universe.dimensions.len()
}

fn add_member(world: &World, dimension: u8, seed: u32) -> Option<Action> {
    let dimension = dimension_of(world, dimension);
    let spec = &world.universe.dimensions[dimension];
    let count = world.members[dimension].len();
    let (key, level) = match spec.name {
        "date" => return None,
        "product" => {
            let level =
                pick(&["product", "product", "subcategory", "brand", "category"], seed >> 8)?;
            (
                if level == "product" {
                    format!("{}", 100 + count)
                } else {
                    format!("{level}:{count}")
                },
                Some(level.into()),
            )
        }
        _ => (format!("{}-{count}", spec.name), None),
    };
    let edit = MemberEdit {
        key,
        level,
        parents: parents(world, dimension, seed),
        ..MemberEdit::default()
    };
    Some(Action::Members { dimension, edits: vec![edit] })
}

/// A parent in one hierarchy, mostly one that is allowed.
fn parents(world: &World, dimension: usize, seed: u32) -> Vec<(usize, Option<String>)> {
    let hierarchies = &world.universe.dimensions[dimension].hierarchies;
    if hierarchies.is_empty() || seed.is_multiple_of(7) {
        return Vec::new();
    }
    let hierarchy = (seed >> 3) as usize % hierarchies.len();
    let upper = hierarchies[hierarchy].levels.split_last().map_or(&[][..], |(_, upper)| upper);
    let may_be = |key: &&String| {
        let level = world.members[dimension][*key].level.as_deref();
        upper.is_empty()
            || seed.is_multiple_of(11)
            || level.is_some_and(|level| upper.contains(&level))
    };
    let keys: Vec<String> = world.arrival[dimension].iter().filter(may_be).cloned().collect();
    vec![(hierarchy, pick(&keys, seed >> 5).filter(|_| !seed.is_multiple_of(5)))]
}

fn edit_member(world: &World, dimension: u8, member: u8, what: u8, seed: u32) -> Option<Action> {
    let dimension = dimension_of(world, dimension);
    let spec = &world.universe.dimensions[dimension];
    let key = pick(&world.arrival[dimension], member)?;
    let mut edit = MemberEdit { key, ..MemberEdit::default() };
    match what % 4 {
        0 => edit.name = Some(format!("name {}", seed % 5)),
        1 if spec.fiscal_month.is_none() => edit.parents = parents(world, dimension, seed),
        _ => edit.properties = vec![property(pick(spec.attributes, u32::from(what) >> 2)?, seed)],
    }
    Some(Action::Members { dimension, edits: vec![edit] })
}

fn property((name, kind): (&str, Kind), seed: u32) -> (String, Option<Property>) {
    let texts: &[&str] = match name {
        "operator" => &["+", "-", "~"],
        "account_type" => &["Assets", "Flow", "Opening"],
        _ => &["road", "touring"],
    };
    let numbers: &[i64] = match name {
        "share" => &[100, 50, 25, -100, 0, 150],
        "ownership" => &[1_000, 500, 250, -1_000, 0, 1_250],
        "factor" => &[-3, 0, 1, 7],
        "bonus" => &[-150, 0, 33, 99_999],
        _ => &[1, 9_999, 123_456_789, -10_000, 0],
    };
    let value = match kind {
        Kind::Text => pick(texts, seed >> 3).map(|text| Property::Text(text.into())),
        _ => pick(numbers, seed >> 3).map(Property::Number),
    };
    (name.into(), value.filter(|_| !seed.is_multiple_of(6)))
}

/// Few enough coordinates and keys that writes meet.
fn row_edit(world: &World, cube: usize, row: &RawRow, measures: &[usize]) -> Option<RowEdit> {
    let spec = &world.universe.cubes[cube];
    let member = |(position, &dimension): (usize, &usize)| {
        let leaves = world.leaves(dimension);
        let at = row.members[position];
        // once in a while any member, consolidated ones too
        if at == 255 && row.key.is_multiple_of(8) {
            return pick(&world.arrival[dimension], row.key);
        }
        let sparse: Vec<&String> = leaves.iter().copied().step_by(leaves.len() / 8 + 1).collect();
        pick(&sparse, at % 6).cloned()
    };
    let value = |&measure: &usize| {
        let value = row.values[measure]?;
        // a number too long for any decimal now and then
        let is_long = value.unsigned_abs() > 1 << 30 && value % 16 == 0;
        Some(if is_long { i64::from(value) << 30 } else { i64::from(value) })
    };
    Some(RowEdit {
        key: (format!("o{}", row.key % 8), i64::from(row.key / 8 % 2)),
        coordinate: spec.dimensions.iter().enumerate().map(member).collect::<Option<_>>()?,
        values: measures.iter().map(value).collect(),
    })
}

fn set(world: &World, cube: usize, bits: u32, rows: &[RawRow]) -> Option<Action> {
    let spec = &world.universe.cubes[cube];
    let is_target = |measure: usize| TARGETS.contains(&(cube, spec.measures[measure].name));
    // inputs of targets and writes to formulas are rare, so that formulas can be set
    let is_chosen = |measure: &usize| match is_target(*measure) {
        true => bits.is_multiple_of(97) && bits >> measure & 1 == 1,
        false => bits >> measure & 1 == 1,
    };
    let measures: Vec<usize> = (0..spec.measures.len()).filter(is_chosen).collect();
    let rows = rows.iter().filter_map(|row| row_edit(world, cube, row, &measures)).collect();
    Some(Action::Set { cube, measures, rows })
}

fn set_formula(world: &World, target: u8, raw: &Raw, level: u8) -> Option<Action> {
    let (cube, name) = pick(&TARGETS, target)?;
    let spec = &world.universe.cubes[cube];
    let measure = spec.measure(name);
    let is_ratio = spec.measures[measure].rule == cube::model::Consolidation::Formula;
    let expression = expression(world, cube, measure, is_ratio, raw)?;
    let levels = spec.dimensions.iter().enumerate().flat_map(|(position, &idx)| {
        let hierarchies = world.universe.dimensions[idx].hierarchies.iter();
        hierarchies
            .flat_map(move |hierarchy| hierarchy.levels.iter().map(move |level| (position, *level)))
    });
    let levels: Vec<(usize, &'static str)> = levels.collect();
    let at_or_above = pick(&levels, level / 4).filter(|_| is_ratio && level.is_multiple_of(4));
    Some(Action::SetFormula { cube, measure, formula: Formula { expression, at_or_above } })
}

fn expression(
    world: &World,
    cube: usize,
    target: usize,
    is_ratio: bool,
    raw: &Raw,
) -> Option<Expression> {
    let spec = &world.universe.cubes[cube];
    let inner = |raw: &Raw| expression(world, cube, target, is_ratio, raw).map(Box::new);
    let attributes: Vec<(usize, &'static str)> = spec
        .dimensions
        .iter()
        .enumerate()
        .flat_map(|(position, &idx)| {
            let numbers = world.universe.dimensions[idx]
                .attributes
                .iter()
                .filter(|(_, kind)| *kind != Kind::Text);
            numbers.map(move |(name, _)| (position, *name))
        })
        .collect();
    Some(match raw {
        Raw::Number(mantissa, scale) => Expression::Number(*mantissa, *scale),
        Raw::Attribute(at) if !is_ratio && !attributes.is_empty() => {
            let (position, name) = pick(&attributes, *at)?;
            Expression::Attribute(position, name)
        }
        Raw::Sum(at) if !is_ratio && cube == PLAN => {
            let sums: Vec<usize> = (0..world.universe.cubes[SALES].measures.len() - 1).collect();
            Expression::Sum(pick(&sums, *at)?)
        }
        // mostly what stands before the target, so that cycles are rare
        Raw::Measure(at) | Raw::Attribute(at) | Raw::Sum(at) => {
            let count = if at.is_multiple_of(16) { spec.measures.len() } else { target };
            Expression::Measure(usize::from(*at) / 16 % count)
        }
        Raw::Negate(raw) => Expression::Negate(inner(raw)?),
        Raw::Binary(operator, a, b) => Expression::Binary(*operator, inner(a)?, inner(b)?),
    })
}

impl RawQuestion {
    /// The query in a world.
    pub fn question(&self, world: &World) -> Question {
        let cube = usize::from(self.cube);
        let dimensions = &world.universe.cubes[cube].dimensions;
        let position = |at: u8| usize::from(at) % dimensions.len();
        let axes = self
            .axes
            .iter()
            .map(|&(at, kind)| (position(at), grouping(world, dimensions[position(at)], kind)));
        let filters = self.filters.iter().map(|&(at, kind, mask)| {
            wanted(world, position(at), dimensions[position(at)], kind, mask)
        });
        let rights = self.rights.map(|(at, mask)| {
            let dimension = dimension_of(world, at);
            (dimension, masked(world, dimension, mask))
        });
        Question {
            cube,
            axes: axes.collect(),
            filters: filters.collect(),
            rights: rights.into_iter().collect::<BTreeMap<_, _>>(),
            asked: asked(world, cube, u32::from(self.scale)),
        }
    }
}

fn grouping(world: &World, dimension: usize, kind: u8) -> Grouping {
    let spec = &world.universe.dimensions[dimension];
    let mut all = vec![Grouping::Leaf];
    for (hierarchy, def) in spec.hierarchies.iter().enumerate() {
        let depth = if def.levels.is_empty() {
            depth(world, dimension, hierarchy)
        } else {
            def.levels.len()
        };
        all.extend((0..depth).map(|level| Grouping::Level(hierarchy, level)));
    }
    let texts = spec.attributes.iter().filter(|(_, kind)| *kind == Kind::Text);
    all.extend(texts.map(|(name, _)| Grouping::Attribute(name)));
    pick(&all, kind).expect("there is one")
}

/// Number of levels of a parent-child hierarchy.
fn depth(world: &World, dimension: usize, hierarchy: usize) -> usize {
    let steps = |key: &String| {
        std::iter::successors(Some(key), |key| world.parent(dimension, hierarchy, key)).count()
    };
    world.members[dimension].keys().map(steps).max().unwrap_or(1)
}

fn masked(world: &World, dimension: usize, mask: u64) -> BTreeSet<String> {
    let leaves = world.leaves(dimension).into_iter().enumerate();
    leaves.filter(|(idx, _)| mask >> (idx % 61) & 1 == 1).map(|(_, key)| key.clone()).collect()
}

fn wanted(world: &World, position: usize, dimension: usize, kind: u8, mask: u64) -> Wanted {
    let leaves = masked(world, dimension, mask);
    match (kind % 4, grouping(world, dimension, kind / 4)) {
        (0, _) => Wanted { position, leaves, fineness: Fineness::Free },
        (1, _) => Wanted {
            position,
            leaves: leaves.into_iter().take(1).collect(),
            fineness: Fineness::Leaf,
        },
        (_, Grouping::Level(hierarchy, level)) => {
            let group = Grouping::Level(hierarchy, level);
            let of = |key: &&String| label(world, dimension, &group, key);
            let first = leaves.first().map(|key| of(&key)).unwrap_or_default();
            let leaves = world
                .leaves(dimension)
                .into_iter()
                .filter(|key| of(key) == first)
                .cloned()
                .collect();
            Wanted { position, leaves, fineness: Fineness::Level(hierarchy, level) }
        }
        _ => Wanted { position, leaves, fineness: Fineness::Leaf },
    }
}

/// Every measure by its own rule, and plain aggregates of each. A measure that is a formula of
/// consolidated operands is asked for once it has one.
fn asked(world: &World, cube: usize, scale: u32) -> Vec<Asked> {
    let mut asked = vec![Asked::CountRows];
    for (measure, spec) in world.universe.cubes[cube].measures.iter().enumerate() {
        let is_ratio = spec.rule == cube::model::Consolidation::Formula;
        if !is_ratio || is_complete(world, cube, measure) {
            asked.push(Asked::Consolidated(measure));
        }
        asked.extend([
            Asked::Sum(measure),
            Asked::Count(measure),
            Asked::Min(measure),
            Asked::Max(measure),
        ]);
        asked.push(Asked::Average(measure, scale));
    }
    asked
}

fn is_complete(world: &World, cube: usize, measure: usize) -> bool {
    let is_ratio =
        world.universe.cubes[cube].measures[measure].rule == cube::model::Consolidation::Formula;
    match world.formulas.get(&(cube, measure)) {
        None => !is_ratio,
        Some(_) if !is_ratio => true,
        Some(formula) => formula
            .expression
            .measures()
            .into_iter()
            .all(|operand| is_complete(world, cube, operand)),
    }
}
