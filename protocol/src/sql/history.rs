//! `<dimension>_history`: from when to when each value of an attribute holds.
//!
//! The table is there for dimensions with dated values, where nothing else has its name.

use std::sync::Arc;

use cube::dimension::Dimension;
use cube::{AttributeId, DimensionId, MemberId, Model, Scalar, Version};
use datafusion::arrow::array::{Date32Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;

use super::columns::key_data_type;
use super::members::key_array;

const SUFFIX: &str = "_history";

/// The name of a dimension's table, if it has one.
pub fn history_name(model: &Model, dimension: &Dimension) -> Option<String> {
    let name = format!("{}{SUFFIX}", dimension.def.name);
    let is_free = model.cube(&name).is_err() && model.dimension(&name).is_err();
    (is_free && dated_attributes(dimension).next().is_some()).then_some(name)
}

/// The dimension whose table has a name.
pub fn history_of(version: &Version, name: &str) -> Option<DimensionId> {
    let id = version.model.dimension(name.strip_suffix(SUFFIX)?).ok()?;
    history_name(&version.model, version.dimension(id)).map(|_| id)
}

fn dated_attributes(dimension: &Dimension) -> impl Iterator<Item = AttributeId> {
    let attributes = (0..dimension.def.attributes.len()).map(AttributeId::from_idx);
    attributes.filter(|&attribute| dimension.is_dated(attribute))
}

/// The table's schema.
pub fn history_schema(dimension: &Dimension) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", key_data_type(dimension.def.key_type), false),
        Field::new("attribute", DataType::Utf8, false),
        Field::new("valid_from", DataType::Date32, true),
        Field::new("valid_to", DataType::Date32, true),
        Field::new("value", DataType::Utf8, true),
    ]))
}

/// One value and the days of its validity: from the first, to before the last.
type Period<'a> = (Option<i32>, Option<i32>, Option<&'a Scalar>);

/// The periods of a member's attribute; the first begins at no day.
fn periods(dimension: &Dimension, attribute: AttributeId, member: MemberId) -> Vec<Period<'_>> {
    let undated = dimension.undated(attribute, member);
    let dated = dimension.dated(attribute, member);
    let ends = dated.iter().map(|(from, _)| Some(*from)).chain([None]);
    let first = std::iter::once((None, undated));
    let starts = first.chain(dated.iter().map(|(from, value)| (Some(*from), value.as_ref())));
    let all = starts.zip(ends).map(|((from, value), to)| (from, to, value));
    all.filter(|(from, _, value)| from.is_some() || value.is_some()).collect()
}

/// The table: the periods of the attributes with dated values, of some members.
pub fn history_table(dimension: &Dimension, members: &[MemberId]) -> Result<RecordBatch> {
    let mut rows = Vec::new();
    for attribute in dated_attributes(dimension) {
        for &member in members {
            let periods = periods(dimension, attribute, member);
            rows.extend(periods.into_iter().map(|period| (member, attribute, period)));
        }
    }
    let def = |attribute: AttributeId| &dimension.def.attributes[attribute.idx()];
    let keys = rows.iter().map(|&(member, ..)| Some(dimension.key(member)));
    let names = rows.iter().map(|&(_, attribute, _)| Some(def(attribute).name.as_str()));
    let from: Date32Array = rows.iter().map(|&(.., (from, _, _))| from).collect();
    let to: Date32Array = rows.iter().map(|&(.., (_, to, _))| to).collect();
    let values = rows.iter().map(|&(_, attribute, (_, _, value))| {
        value.map(|value| value.format(def(attribute).value_type))
    });
    let columns = vec![
        key_array(dimension.def.key_type, keys),
        Arc::new(names.collect::<StringArray>()),
        Arc::new(from),
        Arc::new(to),
        Arc::new(values.collect::<StringArray>()),
    ];
    Ok(RecordBatch::try_new(history_schema(dimension), columns)?)
}
