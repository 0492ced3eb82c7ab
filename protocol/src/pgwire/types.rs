//! How Arrow types and PostgreSQL types correspond: oid, size and modifier of a column, and the
//! Arrow type of a parameter the client declared.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, SchemaRef, TimeUnit};
use postgres_types::{Kind, Type};

use crate::error::SqlError;
use crate::sql::session::{DISPLAY_SCALE_METADATA, PG_TYPE_METADATA};

/// The time zone of every `timestamp with time zone` here.
pub(super) const UTC: &str = "+00:00";

/// A column as RowDescription tells it.
#[derive(Debug, Clone)]
pub(super) struct PgColumn {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) pg_type: Type,
    /// Bytes of a value, negative when they vary.
    pub(super) size: i16,
    /// The type's modifier (`numeric(10,2)`), -1 for none.
    pub(super) modifier: i32,
    /// Digits after the point up to which a numeric shows zeros at the end, where its type has more.
    pub(super) shown_scale: Option<u16>,
}

/// The columns of a schema.
pub(super) fn columns_of(schema: &SchemaRef) -> Vec<PgColumn> {
    schema.fields().iter().map(|field| column_of(field)).collect()
}

/// The column of a field: what its metadata says, else what its Arrow type means.
pub(super) fn column_of(field: &Field) -> PgColumn {
    let named = field.metadata().get(PG_TYPE_METADATA).and_then(|name| type_named(name));
    let (pg_type, modifier) =
        named.unwrap_or_else(|| (type_of(field.data_type()), modifier_of(field.data_type())));
    let size = size_of(&pg_type);
    let shown_scale = shown_scale(field);
    // a numeric with values of several scales has none of its own
    let modifier = if shown_scale.is_some() { -1 } else { modifier };
    PgColumn { name: field.name().clone(), pg_type, size, modifier, shown_scale }
}

fn shown_scale(field: &Field) -> Option<u16> {
    let shown: u16 = field.metadata().get(DISPLAY_SCALE_METADATA)?.parse().ok()?;
    let DataType::Decimal128(_, scale) = field.data_type() else { return None };
    u16::try_from(*scale).is_ok_and(|scale| shown < scale).then_some(shown)
}

/// The PostgreSQL type an Arrow type means.
pub(super) fn type_of(data_type: &DataType) -> Type {
    match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => Type::INT2,
        DataType::Int32 | DataType::UInt16 => Type::INT4,
        DataType::Int64 | DataType::UInt32 => Type::INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Float16 | DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Type::BYTEA,
        DataType::Date32 | DataType::Date64 => Type::DATE,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Time32(_) | DataType::Time64(_) => Type::TIME,
        DataType::Interval(_) | DataType::Duration(_) => Type::INTERVAL,
        DataType::Dictionary(_, values) => type_of(values),
        DataType::RunEndEncoded(_, values) => type_of(values.data_type()),
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => array_of(&element_type(data_type)),
        _ => Type::TEXT,
    }
}

/// The type of the values at the bottom of a list, however deep: PostgreSQL's arrays of every
/// number of dimensions have one type.
fn element_type(data_type: &DataType) -> Type {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => {
            let named = field.metadata().get(PG_TYPE_METADATA).and_then(|name| type_named(name));
            named.map_or_else(|| element_type(field.data_type()), |(pg_type, _)| pg_type)
        }
        other => type_of(other),
    }
}

/// The types this door knows by name, each beside its array.
const TYPES: &[(Type, Type)] = &[
    (Type::BOOL, Type::BOOL_ARRAY),
    (Type::BYTEA, Type::BYTEA_ARRAY),
    (Type::CHAR, Type::CHAR_ARRAY),
    (Type::NAME, Type::NAME_ARRAY),
    (Type::INT2, Type::INT2_ARRAY),
    (Type::INT4, Type::INT4_ARRAY),
    (Type::INT8, Type::INT8_ARRAY),
    (Type::TEXT, Type::TEXT_ARRAY),
    (Type::OID, Type::OID_ARRAY),
    (Type::XID, Type::XID_ARRAY),
    (Type::CID, Type::CID_ARRAY),
    (Type::TID, Type::TID_ARRAY),
    (Type::REGCLASS, Type::REGCLASS_ARRAY),
    (Type::REGTYPE, Type::REGTYPE_ARRAY),
    (Type::REGPROC, Type::REGPROC_ARRAY),
    (Type::REGPROCEDURE, Type::REGPROCEDURE_ARRAY),
    (Type::REGOPER, Type::REGOPER_ARRAY),
    (Type::REGNAMESPACE, Type::REGNAMESPACE_ARRAY),
    (Type::REGROLE, Type::REGROLE_ARRAY),
    (Type::INT2_VECTOR, Type::INT2_VECTOR_ARRAY),
    (Type::OID_VECTOR, Type::OID_VECTOR_ARRAY),
    (Type::FLOAT4, Type::FLOAT4_ARRAY),
    (Type::FLOAT8, Type::FLOAT8_ARRAY),
    (Type::BPCHAR, Type::BPCHAR_ARRAY),
    (Type::VARCHAR, Type::VARCHAR_ARRAY),
    (Type::DATE, Type::DATE_ARRAY),
    (Type::TIME, Type::TIME_ARRAY),
    (Type::TIMESTAMP, Type::TIMESTAMP_ARRAY),
    (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
    (Type::INTERVAL, Type::INTERVAL_ARRAY),
    (Type::NUMERIC, Type::NUMERIC_ARRAY),
    (Type::UUID, Type::UUID_ARRAY),
    (Type::JSON, Type::JSON_ARRAY),
    (Type::JSONB, Type::JSONB_ARRAY),
    (Type::XML, Type::XML_ARRAY),
    (Type::ACLITEM, Type::ACLITEM_ARRAY),
];

/// Types that have no array here.
const SINGLE_TYPES: &[Type] =
    &[Type::UNKNOWN, Type::PG_NODE_TREE, Type::VOID, Type::CSTRING, Type::RECORD, Type::ANYARRAY];

/// Names people and the information schema use for the same types. A domain is told as its base
/// type, as PostgreSQL does.
const ALIASES: &[(&str, Type)] = &[
    ("boolean", Type::BOOL),
    ("smallint", Type::INT2),
    ("integer", Type::INT4),
    ("int", Type::INT4),
    ("bigint", Type::INT8),
    ("real", Type::FLOAT4),
    ("double precision", Type::FLOAT8),
    ("decimal", Type::NUMERIC),
    ("character varying", Type::VARCHAR),
    ("character", Type::BPCHAR),
    ("\"char\"", Type::CHAR),
    ("timestamp without time zone", Type::TIMESTAMP),
    ("timestamp with time zone", Type::TIMESTAMPTZ),
    ("time without time zone", Type::TIME),
    ("cardinal_number", Type::INT4),
    ("character_data", Type::VARCHAR),
    ("sql_identifier", Type::NAME),
    ("yes_or_no", Type::VARCHAR),
    ("time_stamp", Type::TIMESTAMPTZ),
];

/// The array type of a type.
fn array_of(element: &Type) -> Type {
    TYPES
        .iter()
        .find(|(candidate, _)| candidate == element)
        .map_or(Type::TEXT_ARRAY, |(_, array)| array.clone())
}

/// The element type of an array type, and of the two vector types.
pub(super) fn element_of(array: &Type) -> Option<Type> {
    match array.kind() {
        Kind::Array(element) => Some(element.clone()),
        _ => None,
    }
}

/// A type by the name the metadata gives it, with its modifier: `oid`, `_text`, `text[]`,
/// `numeric(10,2)`, `bpchar(3)`.
fn type_named(name: &str) -> Option<(Type, i32)> {
    let name = name.trim();
    if let Some(element) = name.strip_suffix("[]").or_else(|| name.strip_prefix('_')) {
        return type_named(element).map(|(element, _)| (array_of(&element), -1));
    }
    let (base, arguments) = match name.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.trim_end_matches(')')),
        None => (name, ""),
    };
    let pg_type = TYPES
        .iter()
        .map(|(pg_type, _)| pg_type)
        .chain(SINGLE_TYPES)
        .find(|pg_type| pg_type.name() == base)
        .or_else(|| ALIASES.iter().find(|(alias, _)| *alias == base).map(|(_, found)| found))?
        .clone();
    let mut arguments = arguments.split(',').map(|text| text.trim().parse::<i32>().ok());
    let modifier = match (&pg_type, arguments.next().flatten(), arguments.next().flatten()) {
        (&Type::NUMERIC, Some(precision), scale) => numeric_modifier(precision, scale.unwrap_or(0)),
        (&Type::VARCHAR | &Type::BPCHAR, Some(length), _) => length.saturating_add(4),
        _ => -1,
    };
    Some((pg_type, modifier))
}

/// The modifier of `numeric(precision,scale)`; PostgreSQL keeps the scale in 11 bits.
fn numeric_modifier(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

fn modifier_of(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            numeric_modifier(i32::from(*precision), i32::from(*scale))
        }
        DataType::Dictionary(_, values) => modifier_of(values),
        DataType::RunEndEncoded(_, values) => modifier_of(values.data_type()),
        _ => -1,
    }
}

/// `pg_type.typlen`.
fn size_of(pg_type: &Type) -> i16 {
    match *pg_type {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4
        | Type::FLOAT4
        | Type::DATE
        | Type::OID
        | Type::XID
        | Type::CID
        | Type::REGCLASS
        | Type::REGTYPE
        | Type::REGPROC
        | Type::REGPROCEDURE
        | Type::REGOPER
        | Type::REGNAMESPACE
        | Type::REGROLE
        | Type::VOID => 4,
        Type::TID => 6,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL | Type::UUID => 16,
        Type::ACLITEM => 12,
        Type::NAME => 64,
        Type::UNKNOWN | Type::CSTRING => -2,
        _ => -1,
    }
}

/// The type of a parameter the client gave no type: what its planned type means.
pub(super) fn parameter_type(data_type: &DataType) -> Type {
    match data_type {
        DataType::Null => Type::TEXT,
        other => type_of(other),
    }
}

/// The type behind an oid a client declared; `None` when it left the choice to the server.
pub(super) fn declared_type(oid: u32) -> Result<Option<Type>, SqlError> {
    match oid {
        0 => Ok(None),
        oid if oid == Type::UNKNOWN.oid() => Ok(None),
        oid => Type::from_oid(oid)
            .map(Some)
            .ok_or_else(|| SqlError::new("42704", format!("type with OID {oid} does not exist"))),
    }
}

/// The Arrow type the session is told for a declared type. `numeric` says neither precision nor
/// scale, so it is left to the statement, as are types that are only known as text.
pub(super) fn planned_type(declared: &Type) -> Option<DataType> {
    if let Kind::Array(element) = declared.kind() {
        let element = planned_type(element)?;
        return Some(DataType::List(Arc::new(Field::new_list_field(element, true))));
    }
    match *declared {
        Type::BOOL => Some(DataType::Boolean),
        Type::INT2 => Some(DataType::Int16),
        Type::INT4 => Some(DataType::Int32),
        Type::INT8 => Some(DataType::Int64),
        Type::OID | Type::XID | Type::CID => Some(DataType::UInt32),
        Type::FLOAT4 => Some(DataType::Float32),
        Type::FLOAT8 => Some(DataType::Float64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::UUID => {
            Some(DataType::Utf8)
        }
        Type::BYTEA => Some(DataType::Binary),
        Type::DATE => Some(DataType::Date32),
        Type::TIME => Some(DataType::Time64(TimeUnit::Microsecond)),
        Type::TIMESTAMP => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        Type::TIMESTAMPTZ => Some(DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))),
        Type::INTERVAL => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(data_type: DataType, name: &str) -> PgColumn {
        let metadata = [(PG_TYPE_METADATA.to_owned(), name.to_owned())].into();
        column_of(&Field::new("x", data_type, true).with_metadata(metadata))
    }

    #[test]
    fn arrow_types_are_told_as_postgresql_types() {
        let told = |data_type: DataType| {
            let column = column_of(&Field::new("x", data_type, true));
            (column.pg_type.oid(), column.size, column.modifier)
        };
        assert_eq!(told(DataType::Boolean), (16, 1, -1));
        assert_eq!(told(DataType::Int64), (20, 8, -1));
        assert_eq!(told(DataType::UInt32), (20, 8, -1));
        assert_eq!(told(DataType::Decimal128(10, 2)), (1700, -1, 655_366));
        assert_eq!(told(DataType::Decimal128(5, -2)), (1700, -1, (5 << 16 | 2046) + 4));
        assert_eq!(told(DataType::Null), (25, -1, -1));
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        assert_eq!(told(dictionary), (25, -1, -1));
        let list = |inner| DataType::List(Arc::new(Field::new_list_field(inner, true)));
        assert_eq!(told(list(DataType::Int32)), (1007, -1, -1));
        assert_eq!(told(list(list(DataType::Decimal128(9, 1)))), (1231, -1, -1));
    }

    #[test]
    fn metadata_names_a_type() {
        let oid_of = |name| named(DataType::Utf8, name).pg_type.oid();
        assert_eq!(oid_of("name"), 19);
        assert_eq!(oid_of("char"), 18);
        assert_eq!(oid_of("oid"), 26);
        assert_eq!(oid_of("regclass"), 2205);
        assert_eq!(oid_of("regtype"), 2206);
        assert_eq!(oid_of("regproc"), 24);
        assert_eq!(oid_of("int2vector"), 22);
        assert_eq!(oid_of("oidvector"), 30);
        assert_eq!(oid_of("bpchar"), 1042);
        assert_eq!(oid_of("unknown"), 705);
        assert_eq!(oid_of("aclitem[]"), 1034);
        assert_eq!(oid_of("_aclitem"), 1034);
        assert_eq!(oid_of("text[]"), 1009);
        assert_eq!(oid_of("sql_identifier"), 19);
        assert_eq!(oid_of("no such type"), 25);
        assert_eq!(named(DataType::Utf8, "varchar(20)").modifier, 24);
        assert_eq!(named(DataType::Utf8, "numeric(10,2)").modifier, 655_366);
        assert_eq!(named(DataType::Decimal128(10, 2), "numeric").modifier, -1);
    }
}
