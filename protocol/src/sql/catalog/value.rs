//! One value of a catalog table or function, between Rust and Arrow.
//!
//! Catalogs are small: rows are built as values and turned into arrays column by column, so each
//! table is written once and never sees an Arrow builder.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::Result;

/// A value of any type the catalogs use.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// NULL
    Null,
    /// `bool`
    Bool(bool),
    /// Every integer and every oid.
    Int(i64),
    /// `float4`, `float8`
    Float(f64),
    /// Everything that prints as itself.
    Text(String),
    /// Microseconds since 1970 in UTC.
    Timestamp(i64),
    /// An array.
    List(Vec<Value>),
    /// A composite value.
    Row(Vec<Value>),
}

impl Value {
    /// Text of something.
    pub(super) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    /// The integer, where it is one or prints as one.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Float(value) => Some(*value as i64),
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Text(value) => {
                let value = value.trim();
                value.parse().ok().or_else(|| value.parse::<f64>().ok().map(|v| v as i64))
            }
            _ => None,
        }
    }

    /// The oid, where it is one or prints as one.
    pub(super) fn as_oid(&self) -> Option<u32> {
        self.as_int().and_then(|value| u32::try_from(value).ok())
    }

    /// The text, where it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// What `bool` this means.
    pub(super) fn as_bool(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Text(value) => matches!(value.as_str(), "t" | "true" | "on" | "yes" | "1"),
            _ => false,
        }
    }

    /// How it prints; nothing for NULL.
    pub(super) fn print(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(if *value { "t" } else { "f" }.to_owned()),
            Self::Int(value) | Self::Timestamp(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
            Self::List(values) => {
                let items: Vec<String> =
                    values.iter().map(|v| v.print().unwrap_or_else(|| "NULL".into())).collect();
                Some(format!("{{{}}}", items.join(",")))
            }
            Self::Row(values) => {
                let items: Vec<String> =
                    values.iter().map(|v| v.print().unwrap_or_default()).collect();
                Some(format!("({})", items.join(",")))
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

/// An array of `data_type` with these values; a value of another kind becomes NULL.
pub(super) fn to_array(data_type: &DataType, values: &[&Value]) -> ArrayRef {
    let ints = || values.iter().map(|value| value.as_int());
    match data_type {
        DataType::Boolean => {
            Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
                Value::Null => None,
                value => Some(value.as_bool()),
            })))
        }
        DataType::Int16 => Arc::new(Int16Array::from_iter(
            ints().map(|value| value.and_then(|v| i16::try_from(v).ok())),
        )),
        DataType::Int32 => Arc::new(Int32Array::from_iter(
            ints().map(|value| value.and_then(|v| i32::try_from(v).ok())),
        )),
        DataType::Int64 => Arc::new(Int64Array::from_iter(ints())),
        DataType::UInt32 => {
            Arc::new(UInt32Array::from_iter(values.iter().map(|value| value.as_oid())))
        }
        DataType::Float32 => {
            Arc::new(Float32Array::from_iter(values.iter().map(|v| as_float(v).map(|v| v as f32))))
        }
        DataType::Float64 => {
            Arc::new(Float64Array::from_iter(values.iter().map(|value| as_float(value))))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
            TimestampMicrosecondArray::from_iter(values.iter().map(|value| match value {
                Value::Timestamp(value) | Value::Int(value) => Some(*value),
                _ => None,
            }))
            .with_timezone_opt(zone.clone()),
        ),
        DataType::List(field) => {
            let mut children: Vec<&Value> = Vec::new();
            let mut lengths = Vec::with_capacity(values.len());
            for value in values {
                let items: &[Value] = match value {
                    Value::List(items) => items,
                    _ => &[],
                };
                children.extend(items);
                lengths.push(items.len());
            }
            let nulls: NullBuffer =
                values.iter().map(|value| matches!(value, Value::List(_))).collect();
            let offsets = OffsetBuffer::from_lengths(lengths);
            let items = to_array(field.data_type(), &children);
            Arc::new(ListArray::new(Arc::clone(field), offsets, items, Some(nulls)))
        }
        DataType::Struct(fields) => {
            let columns: Vec<ArrayRef> = fields
                .iter()
                .enumerate()
                .map(|(position, field)| {
                    let column: Vec<&Value> = values
                        .iter()
                        .map(|value| match value {
                            Value::Row(items) => items.get(position).unwrap_or(&Value::Null),
                            _ => &Value::Null,
                        })
                        .collect();
                    to_array(field.data_type(), &column)
                })
                .collect();
            let nulls: NullBuffer =
                values.iter().map(|value| matches!(value, Value::Row(_))).collect();
            Arc::new(StructArray::new(fields.clone(), columns, Some(nulls)))
        }
        DataType::Utf8 => {
            Arc::new(StringArray::from_iter(values.iter().map(|value| value.print())))
        }
        other => new_null_array(other, values.len()),
    }
}

fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Int(value) => Some(*value as f64),
        Value::Text(value) => value.parse().ok(),
        _ => None,
    }
}

/// The values of an array of any type.
pub(super) fn from_array(array: &ArrayRef) -> Result<Vec<Value>> {
    let each = |read: &dyn Fn(usize) -> Value| {
        (0..array.len())
            .map(|row| if array.is_null(row) { Value::Null } else { read(row) })
            .collect()
    };
    Ok(match array.data_type() {
        DataType::Null => vec![Value::Null; array.len()],
        DataType::Boolean => {
            let array = array.as_boolean();
            each(&|row| Value::Bool(array.value(row)))
        }
        DataType::UInt64
        | DataType::UInt32
        | DataType::UInt16
        | DataType::UInt8
        | DataType::Int32
        | DataType::Int16
        | DataType::Int8
        | DataType::Int64 => {
            let array = cast(array, &DataType::Int64)?;
            let array = array.as_primitive::<Int64Type>();
            each(&|row| Value::Int(array.value(row)))
        }
        DataType::Float32 | DataType::Float64 => {
            let array = cast(array, &DataType::Float64)?;
            let array = array.as_primitive::<Float64Type>();
            each(&|row| Value::Float(array.value(row)))
        }
        DataType::Timestamp(_, _) => {
            let array = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            let array = array.as_primitive::<TimestampMicrosecondType>();
            each(&|row| Value::Timestamp(array.value(row)))
        }
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            let mut values = Vec::with_capacity(array.len());
            for row in 0..array.len() {
                values.push(if array.is_null(row) {
                    Value::Null
                } else {
                    Value::List(from_array(&array.value(row))?)
                });
            }
            values
        }
        _ => {
            let array = cast(array, &DataType::Utf8)?;
            let array = array.as_string::<i32>();
            each(&|row| Value::text(array.value(row)))
        }
    })
}
