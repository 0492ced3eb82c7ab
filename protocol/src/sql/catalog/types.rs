//! PostgreSQL's types: their Arrow form, their oids, and how `format_type` prints them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

use super::definitions::{self, StaticTable};
use super::value::Value;
use crate::sql::session::PG_TYPE_METADATA;

/// A row of `pg_type`, as far as functions need it.
#[derive(Debug)]
pub(super) struct PgType {
    pub(super) oid: u32,
    pub(super) name: String,
    /// Its element, where it is an array or a vector.
    pub(super) element: u32,
    pub(super) array: u32,
    pub(super) length: i32,
    pub(super) by_value: bool,
    pub(super) align: String,
    pub(super) storage: String,
    pub(super) collation: u32,
    /// Whether it is a true array; `oidvector` and `int2vector` have elements and are none.
    pub(super) is_array: bool,
}

/// All base types.
pub(super) struct PgTypes {
    types: Vec<PgType>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
}

impl PgTypes {
    pub(super) fn by_oid(&self, oid: u32) -> Option<&PgType> {
        self.by_oid.get(&oid).and_then(|position| self.types.get(*position))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&PgType> {
        self.by_name.get(name).and_then(|position| self.types.get(*position))
    }
}

/// The base types, read once.
pub(super) static PG_TYPES: LazyLock<PgTypes> = LazyLock::new(|| {
    let table = definitions::static_table("pg_type");
    let types: Vec<PgType> = table.map_or_else(Vec::new, read_types);
    let by_oid = types.iter().enumerate().map(|(at, t)| (t.oid, at)).collect();
    let by_name = types.iter().enumerate().map(|(at, t)| (t.name.clone(), at)).collect();
    PgTypes { types, by_oid, by_name }
});

fn read_types(table: &StaticTable) -> Vec<PgType> {
    let text = |row: &[Value], name| table.get(row, name).print().unwrap_or_default();
    let oid = |row: &[Value], name| table.get(row, name).as_oid().unwrap_or_default();
    let arrays: HashSet<u32> = table.rows.iter().map(|row| oid(row, "typarray")).collect();
    table
        .rows
        .iter()
        .map(|row| PgType {
            oid: oid(row, "oid"),
            name: text(row, "typname"),
            element: oid(row, "typelem"),
            array: oid(row, "typarray"),
            length: table.get(row, "typlen").as_int().unwrap_or(-1) as i32,
            by_value: table.get(row, "typbyval").as_bool(),
            align: text(row, "typalign"),
            storage: text(row, "typstorage"),
            collation: oid(row, "typcollation"),
            is_array: arrays.contains(&oid(row, "oid")),
        })
        .collect()
}

/// The base type behind a domain of the information schema.
pub(super) fn base_type(name: &str) -> &str {
    match name {
        "sql_identifier" => "name",
        "cardinal_number" => "int4",
        "character_data" | "yes_or_no" => "varchar",
        "time_stamp" => "timestamptz",
        other => other,
    }
}

/// The Arrow type that carries a PostgreSQL type in catalog tables.
pub(super) fn arrow_type(name: &str) -> DataType {
    match base_type(name) {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "oid" | "xid" | "regproc" | "regprocedure" | "regclass" | "regtype" | "regnamespace"
        | "regrole" => DataType::UInt32,
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        "int2vector" => list_of(DataType::Int16),
        "oidvector" => list_of(DataType::UInt32),
        // What `_pg_expandarray` gives: the values and their positions.
        "_expanded" => list_of(DataType::Struct(
            vec![Field::new("x", DataType::Int64, true), Field::new("n", DataType::Int32, true)]
                .into(),
        )),
        "_acl" => list_of(DataType::Struct(
            vec![
                Field::new("grantor", DataType::UInt32, true),
                Field::new("grantee", DataType::UInt32, true),
                Field::new("privilege_type", DataType::Utf8, true),
                Field::new("is_grantable", DataType::Boolean, true),
            ]
            .into(),
        )),
        "_keywords" => list_of(DataType::Struct(
            vec![
                Field::new("word", DataType::Utf8, true),
                Field::new("catcode", DataType::Utf8, true),
                Field::new("barelabel", DataType::Boolean, true),
                Field::new("catdesc", DataType::Utf8, true),
                Field::new("baredesc", DataType::Utf8, true),
            ]
            .into(),
        )),
        other => match other.strip_prefix('_') {
            Some(element) => list_of(arrow_type(element)),
            None => DataType::Utf8,
        },
    }
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

/// A column or a result of a PostgreSQL type, which its metadata names where Arrow does not tell.
pub(super) fn field(name: &str, pg_type: &str, nullable: bool) -> Field {
    let data_type = arrow_type(pg_type);
    let base = base_type(pg_type);
    let told = describe(&data_type).0;
    let field = Field::new(name, data_type, nullable);
    match PG_TYPES.by_name(base) {
        Some(known) if known.oid != told => {
            field.with_metadata(HashMap::from([(PG_TYPE_METADATA.to_owned(), base.to_owned())]))
        }
        _ => field,
    }
}

/// The oid and the type modifier of a column's Arrow type.
pub(super) fn describe(data_type: &DataType) -> (u32, i32) {
    let oid = match data_type {
        DataType::Boolean => 16,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => 17,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 21,
        DataType::UInt16 | DataType::Int32 => 23,
        DataType::UInt32 | DataType::Int64 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::UInt64 => 1700,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let modifier = (i32::from(*precision) << 16 | (i32::from(*scale) & 0x7ff)) + 4;
            return (1700, modifier);
        }
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        DataType::Dictionary(_, values) => return describe(values),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let element = describe(field.data_type()).0;
            PG_TYPES.by_oid(element).map_or(1009, |element| element.array)
        }
        _ => 25,
    };
    (oid, -1)
}

/// What `format_type` prints; `None` modifier prints the plain type.
pub(super) fn format_type(oid: u32, modifier: Option<i32>) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    let Some(pg_type) = PG_TYPES.by_oid(oid) else { return "???".to_owned() };
    if pg_type.is_array && pg_type.element != 0 {
        return format!("{}[]", format_type(pg_type.element, modifier));
    }
    let known = modifier.filter(|modifier| *modifier >= 0);
    let length = |name: &str, known: Option<i32>| match known {
        Some(modifier) => format!("{name}({})", modifier - 4),
        None => name.to_owned(),
    };
    let seconds = |name: &str, zone: &str| match known {
        Some(digits) => format!("{name}({digits}) {zone} time zone"),
        None => format!("{name} {zone} time zone"),
    };
    match pg_type.name.as_str() {
        "bool" => "boolean".to_owned(),
        "int2" => "smallint".to_owned(),
        "int4" => "integer".to_owned(),
        "int8" => "bigint".to_owned(),
        "float4" => "real".to_owned(),
        "float8" => "double precision".to_owned(),
        "char" => "\"char\"".to_owned(),
        "any" => "\"any\"".to_owned(),
        // Without a length `bpchar` has no other spelling in SQL; asked plainly it is `character`.
        "bpchar" => match (modifier, known) {
            (Some(_), None) => "bpchar".to_owned(),
            _ => length("character", known),
        },
        "varchar" => length("character varying", known),
        "bit" => known.map_or("bit".to_owned(), |n| format!("bit({n})")),
        "varbit" => known.map_or("bit varying".to_owned(), |n| format!("bit varying({n})")),
        "numeric" => match known {
            Some(modifier) => {
                let modifier = modifier - 4;
                // The scale is eleven bits, signed.
                let scale = ((modifier & 0x7ff) ^ 1024) - 1024;
                format!("numeric({},{scale})", (modifier >> 16) & 0xffff)
            }
            None => "numeric".to_owned(),
        },
        "time" => seconds("time", "without"),
        "timetz" => seconds("time", "with"),
        "timestamp" => seconds("timestamp", "without"),
        "timestamptz" => seconds("timestamp", "with"),
        other => other.to_owned(),
    }
}

/// The oid of a type as SQL writes it: `integer`, `int4`, `character varying(20)`, `text[]`.
pub(super) fn parse_type(text: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    if let Some(element) = text.strip_suffix("[]") {
        let element = PG_TYPES.by_oid(parse_type(element)?)?;
        return (element.array != 0).then_some(element.array);
    }
    let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(name) = unquoted {
        return PG_TYPES.by_name(name).map(|known| known.oid);
    }
    let plain = match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", text[..open].trim_end(), &text[close + 1..])
        }
        _ => text.to_owned(),
    };
    let name = match plain.as_str() {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" | "dec" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "bit varying" => "varbit",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        other => other,
    };
    PG_TYPES.by_name(name).map(|known| known.oid)
}
