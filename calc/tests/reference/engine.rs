//! The engine under test, spoken to in changes and read back into the reference's own maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use calc::{CalcError, Measured, Query, Recomputed, Revision, run};
use cube::change::{MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{
    AttributeDef, CalendarDef, CubeDef, CubeKind, DimensionDef, FormulaDef, HierarchyDef,
    HierarchyKind, KeyDef, LevelDef, MeasureDef, ModelChange, TimeDef,
};
use cube::number::Rounding;
use cube::rollup::{Axis, Filter, Grain, Output, Request, RollupColumn, misleading_sum};
use cube::value::{KeyPart, KeyType};
use cube::view::Rights;
use cube::{
    AttributeId, Change, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, MemberId, Scalar,
    ValueType, View,
};

use crate::calendar;
use crate::exact::Exact;
use crate::naive::{Action, MemberEdit, Property, RowEdit, Tables, World};
use crate::question::{Answer, Asked, Fineness, Grouping, Question, label};
use crate::universe::{CubeSpec, DimensionSpec, Kind, MeasureSpec, SALES, Universe};

/// The definitions of a universe.
pub fn definitions(universe: &Universe) -> Vec<Change> {
    let dimensions =
        universe.dimensions.iter().map(|spec| ModelChange::AddDimension(dimension_def(spec)));
    let cubes = universe.cubes.iter().map(|spec| ModelChange::AddCube(cube_def(universe, spec)));
    dimensions.chain(cubes).map(Change::Model).collect()
}

fn value_type(kind: Kind) -> ValueType {
    match kind {
        Kind::Decimal(precision, scale) => ValueType::Decimal { precision, scale },
        Kind::Integer => ValueType::Integer,
        Kind::Text => ValueType::Text,
    }
}

fn dimension_def(spec: &DimensionSpec) -> DimensionDef {
    let attribute = |&(name, kind): &(&str, Kind)| AttributeDef::new(name, value_type(kind));
    let mut def = DimensionDef {
        name: spec.name.into(),
        description: String::new(),
        key_type: spec.key_type,
        attributes: spec.attributes.iter().map(attribute).collect(),
        levels: Vec::new(),
        hierarchies: Vec::new(),
        calendar: None,
    };
    if spec.fiscal_month.is_some() {
        let (start, end) = calendar::range();
        def.calendar = Some(CalendarDef { start, end, fiscal_start_month: spec.fiscal_month });
        return def;
    }
    let levels: Vec<&str> = level_names(spec);
    def.levels = levels
        .into_iter()
        .map(|name| LevelDef { name: name.into(), key_type: KeyType::Text })
        .collect();
    def.hierarchies = spec
        .hierarchies
        .iter()
        .map(|hierarchy| HierarchyDef {
            name: hierarchy.name.into(),
            kind: if hierarchy.levels.is_empty() {
                HierarchyKind::ParentChild
            } else {
                HierarchyKind::Levels
            },
            levels: hierarchy.levels.iter().map(|name| String::from(*name)).collect(),
            weight: hierarchy.weight.map(String::from),
            same_as: hierarchy.shares.map(|idx| spec.hierarchies[idx].name.into()),
        })
        .collect();
    def
}

/// The levels of a dimension, each once, in the order in which hierarchies name them.
fn level_names(spec: &DimensionSpec) -> Vec<&'static str> {
    let mut names = Vec::new();
    for level in spec.hierarchies.iter().flat_map(|hierarchy| hierarchy.levels) {
        if !names.contains(level) {
            names.push(*level);
        }
    }
    names
}

fn cube_def(universe: &Universe, spec: &CubeSpec) -> CubeDef {
    let key = |name: &str, key_type| KeyDef { name: name.into(), key_type };
    let name = |&idx: &usize| String::from(universe.dimensions[idx].name);
    CubeDef {
        name: spec.name.into(),
        kind: if spec.is_records { CubeKind::Records } else { CubeKind::Cells },
        description: String::new(),
        dimensions: spec.dimensions.iter().map(name).collect(),
        key: if spec.is_records {
            vec![key("order", KeyType::Text), key("line", KeyType::Integer)]
        } else {
            Vec::new()
        },
        measures: spec
            .measures
            .iter()
            .map(|measure| measure_def(universe, spec, measure))
            .collect(),
    }
}

fn measure_def(universe: &Universe, cube: &CubeSpec, spec: &MeasureSpec) -> MeasureDef {
    let name = |position: usize| universe.dimensions[cube.dimensions[position]].name;
    let time = spec.time.as_ref().map(|rule| TimeDef {
        dimension: name(rule.position).into(),
        by: rule.by.map(|(position, attribute)| format!("{}.{attribute}", name(position))),
        default: rule.default,
        rules: rule.rules.iter().map(|(value, summary)| (String::from(*value), *summary)).collect(),
    });
    MeasureDef {
        name: spec.name.into(),
        value_type: value_type(spec.kind),
        consolidation: spec.rule,
        rounding: if spec.half_up { Rounding::HalfUp } else { Rounding::HalfEven },
        description: String::new(),
        time,
    }
}

/// A revision, and how it is spoken to.
#[derive(Clone, Default)]
pub struct Engine {
    pub revision: Revision,
}

impl Engine {
    /// The model of a world without members, cells and formulas of its own.
    pub fn new(universe: &Universe) -> Self {
        let (revision, _) =
            Revision::default().apply(&definitions(universe)).expect("the universe is valid");
        Self { revision }
    }

    /// The state after an action.
    pub fn after(&self, world: &World, action: &Action) -> Result<(Self, Recomputed), CalcError> {
        let (revision, recomputed) = self.revision.apply(&[self.change(world, action)])?;
        Ok((Self { revision }, recomputed))
    }

    fn change(&self, world: &World, action: &Action) -> Change {
        let target = |cube: usize, measure: usize| {
            let spec = &world.universe.cubes[cube];
            format!("{}.{}", spec.name, spec.measures[measure].name)
        };
        match action {
            Action::Members { dimension, edits } => self.members(world, *dimension, edits),
            Action::Set { cube, measures, rows } => {
                self.rows(*cube, RowsAction::Set, measures, rows)
            }
            Action::Remove { cube, rows } => self.rows(*cube, RowsAction::Remove, &[], rows),
            Action::SetFormula { cube, measure, formula } => {
                let level = formula.at_or_above.map(|(position, level)| {
                    (world.universe.dimension(*cube, position).name.to_string(), level.to_string())
                });
                Change::Model(ModelChange::SetFormula(FormulaDef {
                    target: target(*cube, *measure),
                    text: formula.expression.text(&world.universe, *cube),
                    description: String::new(),
                    at_or_above: level.into_iter().collect(),
                }))
            }
            Action::RemoveFormula { cube, measure } => {
                Change::Model(ModelChange::RemoveFormula { target: target(*cube, *measure) })
            }
        }
    }

    fn members(&self, world: &World, dimension: usize, edits: &[MemberEdit]) -> Change {
        let spec = &world.universe.dimensions[dimension];
        let known = &self.revision.version.dimensions[dimension];
        let level = |name: &String| {
            let idx = known.def.levels.iter().position(|level| level.name == *name);
            LevelId::from_idx(idx.expect("the level exists"))
        };
        let property = |(name, value): &(String, Option<Property>)| {
            let value = value.as_ref().map(|value| match value {
                Property::Number(stored) => Scalar::Stored(*stored),
                Property::Text(text) => Scalar::Text(text.as_str().into()),
            });
            (AttributeId::from_idx(spec.attribute(name).0), value)
        };
        let member = |edit: &MemberEdit| MemberWrite {
            key: edit.key.clone(),
            name: edit.name.clone(),
            level: edit.level.as_ref().map(level),
            parents: edit
                .parents
                .iter()
                .map(|(h, parent)| (HierarchyId::from_idx(*h), parent.clone()))
                .collect(),
            attributes: edit.properties.iter().map(property).collect(),
        };
        Change::Members(MembersWrite {
            dimension: DimensionId::from_idx(dimension),
            first_new: MemberId::from_idx(known.member_count()),
            members: edits.iter().map(member).collect(),
        })
    }

    fn rows(
        &self,
        cube: usize,
        action: RowsAction,
        measures: &[usize],
        rows: &[RowEdit],
    ) -> Change {
        let dimensions = &self.revision.version.model.cubes[cube].dimensions;
        let member = |(position, key): (usize, &String)| {
            let dimension = self.revision.version.dimension(dimensions[position]);
            dimension.find(key).expect("the member exists")
        };
        let is_records = cube == SALES;
        let key =
            |row: &RowEdit| [KeyPart::Text(row.key.0.as_str().into()), KeyPart::Integer(row.key.1)];
        let names_coordinates = action == RowsAction::Set || !is_records;
        Change::Rows(RowsWrite {
            cube: CubeId::from_idx(cube),
            action,
            measures: measures.iter().map(|&measure| MeasureId::from_idx(measure)).collect(),
            keys: rows.iter().filter(|_| is_records).flat_map(key).collect(),
            coordinates: rows
                .iter()
                .filter(|_| names_coordinates)
                .flat_map(|row| row.coordinate.iter().enumerate().map(member))
                .collect(),
            values: if measures.is_empty() {
                cube::ValueList::new()
            } else {
                rows.iter().flat_map(|row| row.values.clone()).collect()
            },
        })
    }

    /// All values, read back.
    pub fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        let version = &self.revision.version;
        for idx in 0..version.cubes.len() {
            let id = CubeId::from_idx(idx);
            let dimensions = &version.model.cube_def(id).dimensions;
            let rows = version.rows(id).all(version.empty_rows(id));
            for row in 0..rows.len() {
                let pairs = dimensions.iter().zip(&rows.coordinates);
                let coordinate = pairs
                    .map(|(&id, column)| version.dimension(id).key(column[row]).to_string())
                    .collect();
                let values = rows.values.iter().map(|column| column.get(row)).collect();
                let before = match rows.keys.as_slice() {
                    [order, line] => {
                        let key = row_key(&order[row], &line[row]);
                        tables.rows.insert(key, (coordinate, values)).map(drop)
                    }
                    _ => tables.cells.insert(coordinate, values).map(drop),
                };
                assert!(before.is_none(), "a key is alive in two segments");
            }
        }
        tables
    }

    /// The state hash as text.
    pub fn hash(&self) -> String {
        self.revision.version.state_hash().to_string()
    }

    /// A question's answer.
    pub fn answer(&self, world: &World, question: &Question) -> Result<Answer, CalcError> {
        let (query, names) = self.query(world, question);
        let rollup = run(&self.view(question), &self.revision.plan, &query)?;
        let mut answer = Answer::new();
        for group in 0..rollup.group_count {
            let labels = rollup
                .codes
                .iter()
                .zip(&names)
                .map(|(codes, names)| names[codes[group] as usize].clone());
            let value =
                |column: &RollupColumn| Some(Exact::new(column.values[group]?, column.scale));
            let values = rollup.columns.iter().map(value).collect();
            assert_eq!(answer.insert(labels.collect(), values), None, "a group comes once");
        }
        Ok(answer)
    }

    /// Whether the engine calls a plain sum of a measure misleading in a question.
    pub fn is_misleading(&self, world: &World, question: &Question, measure: usize) -> bool {
        let (query, _) = self.query(world, question);
        let Query { cube, axes, filters, .. } = query;
        let request = Request { axes, filters, ..Request::of(cube) };
        misleading_sum(&self.view(question), &request, MeasureId::from_idx(measure)).is_some()
    }

    fn view(&self, question: &Question) -> View {
        let mut view = View::unrestricted(Arc::clone(&self.revision.version));
        let allowed = question.rights.iter();
        let allowed = allowed
            .map(|(&idx, leaves)| (DimensionId::from_idx(idx), self.ids(idx, leaves).collect()));
        view.rights = Arc::new(Rights { allowed: allowed.collect() });
        view
    }

    /// The query, and per axis the labels of its codes.
    fn query(&self, world: &World, question: &Question) -> (Query<'static>, Vec<Vec<String>>) {
        let mut names = Vec::new();
        let axes = question.axes.iter().map(|(position, grouping)| {
            let (axis, labels) = self.axis(world, question.cube, *position, grouping);
            names.push(labels);
            axis
        });
        let dimensions = &world.universe.cubes[question.cube].dimensions;
        let query = Query {
            axes: axes.collect(),
            filters: question
                .filters
                .iter()
                .map(|wanted| Filter {
                    position: wanted.position,
                    members: self.ids(dimensions[wanted.position], &wanted.leaves).collect(),
                    grain: grain(wanted.fineness),
                    level: None,
                })
                .collect(),
            outputs: question.asked.iter().map(|&asked| measured(asked)).collect(),
            ..Query::of(CubeId::from_idx(question.cube))
        };
        (query, names)
    }

    fn ids<'a>(
        &'a self,
        dimension: usize,
        keys: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = u32> + 'a {
        let dimension = self.revision.version.dimension(DimensionId::from_idx(dimension));
        keys.iter().filter_map(|key| dimension.find(key)).map(|member| member.0)
    }

    /// Codes by label, from the reference's own hierarchies.
    fn axis(
        &self,
        world: &World,
        cube: usize,
        position: usize,
        grouping: &Grouping,
    ) -> (Axis, Vec<String>) {
        let idx = world.universe.cubes[cube].dimensions[position];
        let dimension = self.revision.version.dimension(DimensionId::from_idx(idx));
        let labels: Vec<String> = dimension
            .members()
            .map(|member| label(world, idx, grouping, dimension.key(member)))
            .collect();
        let names: BTreeSet<String> = labels.iter().cloned().collect();
        let codes: BTreeMap<&String, u32> = names.iter().zip(0..).collect();
        let grain = match *grouping {
            Grouping::Leaf => Grain::Leaf,
            Grouping::Level(hierarchy, level) => {
                Grain::Level(HierarchyId::from_idx(hierarchy), level)
            }
            Grouping::Attribute(_) => Grain::Free,
        };
        let axis = Axis {
            position,
            codes: Arc::new(labels.iter().map(|label| codes[label]).collect()),
            cardinality: names.len() as u32,
            grain,
        };
        (axis, names.into_iter().collect())
    }
}

fn row_key(order: &KeyPart, line: &KeyPart) -> (String, i64) {
    match (order, line) {
        (KeyPart::Text(order), KeyPart::Integer(line)) => (order.to_string(), *line),
        other => panic!("a key of other types: {other:?}"),
    }
}

fn grain(fineness: Fineness) -> Grain {
    match fineness {
        Fineness::Free => Grain::Free,
        Fineness::Leaf => Grain::Leaf,
        Fineness::Level(hierarchy, level) => Grain::Level(HierarchyId::from_idx(hierarchy), level),
    }
}

fn measured(asked: Asked) -> Measured {
    let id = MeasureId::from_idx;
    match asked {
        Asked::Consolidated(measure) => Measured::Consolidated(id(measure)),
        Asked::Sum(measure) => Measured::Plain(Output::Sum(id(measure))),
        Asked::Count(measure) => Measured::Plain(Output::Count(id(measure))),
        Asked::Min(measure) => Measured::Plain(Output::Min(id(measure))),
        Asked::Max(measure) => Measured::Plain(Output::Max(id(measure))),
        Asked::CountRows => Measured::Plain(Output::CountRows),
        Asked::Average(measure, scale) => Measured::Average(id(measure), scale),
    }
}
