//! The members of a dimension as Arrow columns, one row a member: what scans look values up in and
//! what predicates and groupings over one dimension are evaluated on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cube::dimension::{Dimension, LevelColumn};
use cube::rollup::Grain;
use cube::value::parse_date;
use cube::{
    AttributeId, DimensionId, HierarchyId, KeyType, LevelId, MemberId, Scalar, ValueType, Version,
};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int16Array, Int32Array, Int64Array,
    StringArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::columns::{key_data_type, value_data_type};

/// Texts as a column of a key type; what does not parse is NULL (keys of members on upper levels).
pub fn key_array<'a>(key_type: KeyType, texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    match key_type {
        KeyType::Text => Arc::new(texts.collect::<StringArray>()),
        KeyType::Smallint => {
            Arc::new(texts.map(|text| text.and_then(|t| t.parse().ok())).collect::<Int16Array>())
        }
        KeyType::Integer => {
            Arc::new(texts.map(|text| text.and_then(|t| t.parse().ok())).collect::<Int32Array>())
        }
        KeyType::Bigint => {
            Arc::new(texts.map(|text| text.and_then(|t| t.parse().ok())).collect::<Int64Array>())
        }
        KeyType::Date => {
            Arc::new(texts.map(|text| text.and_then(parse_date)).collect::<Date32Array>())
        }
    }
}

/// Stored integers as a column of a value type.
pub fn value_array(
    value_type: ValueType,
    values: impl Iterator<Item = Option<i64>>,
) -> Result<ArrayRef> {
    Ok(match value_type {
        ValueType::Decimal { .. } => {
            let array: Decimal128Array = values.map(|value| value.map(i128::from)).collect();
            Arc::new(array.with_data_type(value_data_type(value_type)))
        }
        ValueType::Integer => Arc::new(values.collect::<Int64Array>()),
        ValueType::Date => {
            let day = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
            Arc::new(values.map(day).collect::<Date32Array>())
        }
        ValueType::Boolean => {
            Arc::new(values.map(|value| value.map(|v| v != 0)).collect::<BooleanArray>())
        }
        ValueType::Text => Arc::new(values.map(|_| None::<&str>).collect::<StringArray>()),
    })
}

/// Names of the ancestors at a level, one row a member.
fn level_array(dimension: &Dimension, column: &LevelColumn) -> ArrayRef {
    let ancestors = &dimension.shape(column.hierarchy).ancestors[column.position];
    let name = |&member: &MemberId| (member != MemberId::NONE).then(|| dimension.name(member));
    key_array(column.key_type, ancestors.iter().map(name))
}

/// The columns by which a cube shows a dimension that it uses at a level (none: at its leaves): key
/// and levels, one row a member.
fn cube_columns(dimension: &Dimension, level: Option<LevelId>) -> Result<RecordBatch> {
    let name = &dimension.def.name;
    let key_type = dimension.key_type_at(level);
    let mut fields = vec![Field::new(name, key_data_type(key_type), true)];
    let keys = dimension
        .members()
        .map(|member| dimension.holds_facts_at(level, member).then(|| dimension.key(member)));
    let mut arrays = vec![key_array(key_type, keys)];
    for level in dimension.level_columns_at(level) {
        fields.push(Field::new(
            format!("{name}_{}", level.name),
            key_data_type(level.key_type),
            true,
        ));
        arrays.push(level_array(dimension, level));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// States of one dimension whose columns are kept: a statement may read it on several branches.
const CACHED_STATES_MAX: usize = 4;
/// Groupings of one state that are kept.
const CACHED_GROUPINGS_MAX: usize = 64;

/// Member columns already built, by dimension and level, for as long as the dimension stays the same.
#[derive(Debug, Clone, Default)]
pub struct MemberCache(Arc<Mutex<Cache>>);

type Cache = HashMap<DimensionAt, Vec<CachedMembers>>;

/// A dimension and the level at which it is used; none: its leaves.
type DimensionAt = (DimensionId, Option<LevelId>);

/// What was made of one state of a dimension.
#[derive(Debug)]
struct CachedMembers {
    of: Arc<Dimension>,
    columns: RecordBatch,
    groupings: HashMap<Expr, Grouping>,
}

/// The members of a dimension grouped by the values of an expression.
#[derive(Debug, Clone)]
pub struct Grouping {
    /// Per member, the number of its group.
    pub codes: Arc<Vec<u32>>,
    /// Per group, the value.
    pub values: ArrayRef,
    /// How fine the groups are.
    pub grain: Grain,
}

impl MemberCache {
    /// The columns by which cubes show a dimension that they use at a level (none: at its leaves):
    /// key and levels, one row a member.
    pub fn get(
        &self,
        version: &Version,
        id: DimensionId,
        level: Option<LevelId>,
    ) -> Result<RecordBatch> {
        let mut cache = self.lock();
        Ok(state(&mut cache, version, id, level)?.columns.clone())
    }

    /// The members of a dimension by the values of an expression over these columns, as `make` makes
    /// it where it is not known.
    pub fn grouping(
        &self,
        version: &Version,
        id: DimensionId,
        level: Option<LevelId>,
        expression: &Expr,
        make: impl FnOnce() -> Result<Grouping>,
    ) -> Result<Grouping> {
        let known = |cache: &mut Cache| -> Result<Option<Grouping>> {
            Ok(state(cache, version, id, level)?.groupings.get(expression).cloned())
        };
        if let Some(grouping) = known(&mut self.lock())? {
            return Ok(grouping);
        }
        let made = make()?;
        let mut cache = self.lock();
        let groupings = &mut state(&mut cache, version, id, level)?.groupings;
        if groupings.len() >= CACHED_GROUPINGS_MAX {
            groupings.clear();
        }
        groupings.insert(expression.clone(), made.clone());
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a version's state of a dimension.
fn state<'a>(
    cache: &'a mut Cache,
    version: &Version,
    id: DimensionId,
    level: Option<LevelId>,
) -> Result<&'a mut CachedMembers> {
    let dimension = &version.dimensions[id.idx()];
    let states = cache.entry((id, level)).or_default();
    let known = states.iter().position(|cached| Arc::ptr_eq(&cached.of, dimension));
    let at = match known {
        Some(at) => at,
        None => {
            let columns = cube_columns(dimension, level)?;
            if states.len() >= CACHED_STATES_MAX {
                states.remove(0);
            }
            let of = Arc::clone(dimension);
            states.push(CachedMembers { of, columns, groupings: HashMap::new() });
            states.len() - 1
        }
    };
    Ok(&mut states[at])
}

/// Which members of a dimension its own table lists: those that hold facts, so that its key is what
/// cubes refer to.
pub fn listed_members(
    version: &Version,
    id: DimensionId,
    allowed: Option<&roaring::RoaringBitmap>,
) -> Vec<MemberId> {
    let dimension = version.dimension(id);
    let mut members: Vec<MemberId> = dimension
        .members()
        .filter(|&member| dimension.holds_facts(member))
        .filter(|member| allowed.is_none_or(|allowed| allowed.contains(member.0)))
        .collect();
    members.sort_by_key(|&member| dimension.order(member));
    members
}

/// The schema of a dimension's own table.
pub fn dimension_schema(dimension: &Dimension) -> SchemaRef {
    let def = &dimension.def;
    let mut fields = vec![
        Field::new("key", key_data_type(def.key_type), false),
        Field::new("name", DataType::Utf8, false),
        Field::new("parent", parent_type(dimension), true),
        Field::new("depth", DataType::Int32, false),
        Field::new("weight", weight_type(dimension), false),
    ];
    for level in dimension.level_columns() {
        fields.push(Field::new(
            format!("{}_{}", def.name, level.name),
            key_data_type(level.key_type),
            true,
        ));
    }
    for attribute in &def.attributes {
        fields.push(Field::new(&attribute.name, value_data_type(attribute.value_type), true));
    }
    Arc::new(Schema::new(fields))
}

/// Parents of a levelled dimension are on upper levels, whose keys are text.
fn parent_type(dimension: &Dimension) -> DataType {
    match dimension.def.leaf_level() {
        Some(_) => DataType::Utf8,
        None => key_data_type(dimension.def.key_type),
    }
}

fn weight_type(dimension: &Dimension) -> DataType {
    let scale = match dimension.def.hierarchies.first() {
        Some(_) => {
            dimension.shape(HierarchyId(0)).weights.as_ref().map_or(0, |weights| weights.scale)
        }
        None => 0,
    };
    DataType::Decimal128(38, i8::try_from(scale).unwrap_or(i8::MAX))
}

/// A dimension's own table.
pub fn dimension_table(
    version: &Version,
    id: DimensionId,
    members: &[MemberId],
) -> Result<RecordBatch> {
    let dimension = version.dimension(id);
    let def = &dimension.def;
    let default = (!def.hierarchies.is_empty()).then_some(HierarchyId(0));
    let parent_keys = members.iter().map(|&member| {
        let parent = default.and_then(|hierarchy| dimension.parent(hierarchy, member));
        parent.map(|parent| dimension.key(parent))
    });
    let parent_key_type = if def.leaf_level().is_some() { KeyType::Text } else { def.key_type };
    let depth = members.iter().map(|member| {
        default.map_or(1, |hierarchy| i32::from(dimension.shape(hierarchy).depth[member.idx()]) + 1)
    });
    let weights = default.and_then(|hierarchy| dimension.shape(hierarchy).weights.as_ref());
    let weight = members
        .iter()
        .map(|member| weights.map_or(1, |weights| i128::from(weights.own[member.idx()])));
    let weight: Decimal128Array = weight.map(Some).collect();
    let mut arrays: Vec<ArrayRef> = vec![
        key_array(def.key_type, members.iter().map(|&member| Some(dimension.key(member)))),
        Arc::new(
            members.iter().map(|&member| Some(dimension.name(member))).collect::<StringArray>(),
        ),
        key_array(parent_key_type, parent_keys),
        Arc::new(depth.map(Some).collect::<Int32Array>()),
        Arc::new(weight.with_data_type(weight_type(dimension))),
    ];
    for column in dimension.level_columns() {
        let ancestors = &dimension.shape(column.hierarchy).ancestors[column.position];
        let names = members.iter().map(|member| {
            let ancestor = ancestors[member.idx()];
            (ancestor != MemberId::NONE).then(|| dimension.name(ancestor))
        });
        arrays.push(key_array(column.key_type, names));
    }
    for (idx, attribute) in def.attributes.iter().enumerate() {
        let values =
            members.iter().map(|&member| dimension.attribute(AttributeId::from_idx(idx), member));
        arrays.push(attribute_array(attribute.value_type, values)?);
    }
    Ok(RecordBatch::try_new(dimension_schema(dimension), arrays)?)
}

fn attribute_array<'a>(
    value_type: ValueType,
    values: impl Iterator<Item = Option<&'a Scalar>>,
) -> Result<ArrayRef> {
    if value_type == ValueType::Text {
        let texts = values.map(|value| match value {
            Some(Scalar::Text(text)) => Some(text.as_ref()),
            _ => None,
        });
        return Ok(Arc::new(texts.collect::<StringArray>()));
    }
    let stored = values.map(|value| match value {
        Some(Scalar::Stored(value)) => Some(*value),
        _ => None,
    });
    value_array(value_type, stored)
}

/// The schema of `<dimension>_closure`.
pub fn closure_schema(dimension: &Dimension) -> SchemaRef {
    let key_type = key_data_type(dimension.def.key_type);
    Arc::new(Schema::new(vec![
        Field::new("hierarchy", DataType::Utf8, false),
        Field::new("ancestor", parent_type(dimension), false),
        Field::new("descendant", key_type, false),
        Field::new("distance", DataType::Int32, false),
        Field::new("weight", closure_weight_type(dimension), false),
    ]))
}

fn closure_weight_type(dimension: &Dimension) -> DataType {
    DataType::Decimal128(38, i8::try_from(closure_weight_scale(dimension)).unwrap_or(i8::MAX))
}

fn closure_weight_scale(dimension: &Dimension) -> u32 {
    let hierarchies = (0..dimension.def.hierarchies.len()).map(HierarchyId::from_idx);
    let scales = hierarchies.filter_map(|id| dimension.shape(id).weights.as_ref()).map(|w| w.scale);
    scales.max().unwrap_or(0)
}

/// `<dimension>_closure`: for each member that holds facts, itself and all its ancestors.
pub fn closure_table(
    version: &Version,
    id: DimensionId,
    members: &[MemberId],
) -> Result<RecordBatch> {
    let dimension = version.dimension(id);
    let scale = closure_weight_scale(dimension);
    let mut hierarchies: Vec<&str> = Vec::new();
    let (mut ancestors, mut descendants) = (Vec::new(), Vec::new());
    let (mut distances, mut weights) = (Vec::new(), Vec::new());
    for (idx, hierarchy) in dimension.def.hierarchies.iter().enumerate() {
        let hierarchy_id = HierarchyId::from_idx(idx);
        let shape = dimension.shape(hierarchy_id);
        for &member in members {
            let (mut at, mut distance) = (Some(member), 0);
            while let Some(ancestor) = at {
                hierarchies.push(&hierarchy.name);
                ancestors.push(Some(dimension.key(ancestor)));
                descendants.push(Some(dimension.key(member)));
                distances.push(Some(distance));
                let level = usize::from(shape.depth[ancestor.idx()]);
                weights.push(Some(match &shape.weights {
                    Some(path) => {
                        let widen = 10i128.pow(scale - path.scale);
                        let one = 10i64.pow(path.scale);
                        i128::from(path.to_level.get(level).map_or(one, |to| to[member.idx()]))
                            * widen
                    }
                    None => 10i128.pow(scale),
                }));
                at = dimension.parent(hierarchy_id, ancestor);
                distance += 1;
            }
        }
    }
    let ancestor_type =
        if dimension.def.leaf_level().is_some() { KeyType::Text } else { dimension.def.key_type };
    let weights: Decimal128Array = weights.into_iter().collect();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(hierarchies.into_iter().map(Some).collect::<StringArray>()),
        key_array(ancestor_type, ancestors.into_iter()),
        key_array(dimension.def.key_type, descendants.into_iter()),
        Arc::new(distances.into_iter().collect::<Int32Array>()),
        Arc::new(weights.with_data_type(closure_weight_type(dimension))),
    ];
    Ok(RecordBatch::try_new(closure_schema(dimension), arrays)?)
}
