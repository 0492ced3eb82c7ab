//! A cube's columns in SQL: key, dimensions, measures, levels.

use std::collections::HashMap;
use std::sync::Arc;

use cube::model::Consolidation;
use cube::{CubeId, KeyType, MeasureId, ValueType, Version};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::session::DISPLAY_SCALE_METADATA;

/// Metadata of a measure's column: digits after the point that consolidating it may need, where
/// weights add some to the measure's own.
pub const CONSOLIDATED_SCALE: &str = "perfos_consolidated_scale";

/// What a column of a cube's table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnSource {
    /// A column of the row key.
    Key(usize),
    /// The key of the member that holds the fact, by position of the dimension in the cube.
    Dimension(usize),
    /// A measure.
    Measure(MeasureId),
    /// The name of the ancestor at a level: position of the dimension, index of the column in its
    /// `level_columns_at` the cube's level.
    Level(usize, usize),
}

/// The columns of a cube's table.
#[derive(Debug, Clone)]
pub struct CubeColumns {
    /// Their names and types.
    pub schema: SchemaRef,
    /// What each holds.
    pub sources: Vec<ColumnSource>,
}

/// The Arrow type of keys.
pub fn key_data_type(key_type: KeyType) -> DataType {
    match key_type {
        KeyType::Text => DataType::Utf8,
        KeyType::Smallint => DataType::Int16,
        KeyType::Integer => DataType::Int32,
        KeyType::Bigint => DataType::Int64,
        KeyType::Date => DataType::Date32,
    }
}

/// The Arrow type of values.
pub fn value_data_type(value_type: ValueType) -> DataType {
    match value_type {
        ValueType::Decimal { precision, scale } => {
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        ValueType::Integer => DataType::Int64,
        ValueType::Date => DataType::Date32,
        ValueType::Boolean => DataType::Boolean,
        ValueType::Text => DataType::Utf8,
    }
}

impl CubeColumns {
    /// The columns of a cube in a version.
    pub fn new(version: &Version, cube_id: CubeId) -> Self {
        let cube = version.model.cube_def(cube_id);
        let mut fields = Vec::new();
        let mut sources = Vec::new();
        for (idx, key) in cube.def.key.iter().enumerate() {
            fields.push(Field::new(&key.name, key_data_type(key.key_type), false));
            sources.push(ColumnSource::Key(idx));
        }
        for (position, &id) in cube.dimensions.iter().enumerate() {
            let dimension = version.dimension(id);
            let key_type = dimension.key_type_at(cube.levels[position]);
            fields.push(Field::new(&dimension.def.name, key_data_type(key_type), false));
            sources.push(ColumnSource::Dimension(position));
        }
        let weight_scale = weight_scale(version, cube_id);
        for (idx, measure) in cube.def.measures.iter().enumerate() {
            let scale = measure.value_type.scale();
            let weighted = match measure.consolidation {
                Consolidation::Sum => scale + weight_scale,
                _ => scale,
            };
            let metadata = HashMap::from([
                (CONSOLIDATED_SCALE.to_string(), weighted.to_string()),
                (DISPLAY_SCALE_METADATA.to_string(), scale.to_string()),
            ]);
            let field = Field::new(&measure.name, value_data_type(measure.value_type), true);
            fields.push(field.with_metadata(metadata));
            sources.push(ColumnSource::Measure(MeasureId::from_idx(idx)));
        }
        for (position, &id) in cube.dimensions.iter().enumerate() {
            let dimension = version.dimension(id);
            let levels = dimension.level_columns_at(cube.levels[position]);
            for (idx, level) in levels.iter().enumerate() {
                let name = format!("{}_{}", dimension.def.name, level.name);
                fields.push(Field::new(name, key_data_type(level.key_type), true));
                sources.push(ColumnSource::Level(position, idx));
            }
        }
        Self { schema: Arc::new(Schema::new(fields)), sources }
    }

    /// The column of a name.
    pub fn source(&self, name: &str) -> Option<ColumnSource> {
        let idx = self.schema.index_of(name).ok()?;
        Some(self.sources[idx])
    }

    /// The type of a column.
    pub fn data_type(&self, source: ColumnSource) -> Option<&DataType> {
        let idx = self.sources.iter().position(|&own| own == source)?;
        Some(self.schema.field(idx).data_type())
    }

    /// The dimension that a column belongs to.
    pub fn position(&self, name: &str) -> Option<usize> {
        match self.source(name)? {
            ColumnSource::Dimension(position) | ColumnSource::Level(position, _) => Some(position),
            _ => None,
        }
    }
}

/// Digits after the point that path weights of a cube's dimensions can add, all in play at once.
fn weight_scale(version: &Version, cube: CubeId) -> u32 {
    let dimensions =
        version.model.cube_def(cube).dimensions.iter().map(|&id| version.dimension(id));
    let scale_of = |dimension: &cube::dimension::Dimension| -> u32 {
        let hierarchies = 0..dimension.def.hierarchies.len();
        let shapes = hierarchies.map(|idx| dimension.shape(cube::HierarchyId::from_idx(idx)));
        shapes.filter_map(|shape| shape.weights.as_ref()).map(|weights| weights.scale).sum()
    };
    dimensions.map(scale_of).sum()
}
