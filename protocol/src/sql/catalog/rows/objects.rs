//! `pg_class` and the catalogs that hang on it.

use super::{Row, row};
use crate::sql::catalog::Catalog;
use crate::sql::catalog::definitions::{self, INFORMATION_SCHEMA};
use crate::sql::catalog::describe::relation_of;
use crate::sql::catalog::index::{
    INFORMATION_SCHEMA_OID, IndexedRelation, MDX_OID, MEASURE_OID, OWNER_OID, PG_CATALOG_OID,
    PUBLIC_OID,
};
use crate::sql::catalog::types::{self, PG_TYPES};
use crate::sql::catalog::value::Value;
use crate::sql::relation::{Nullability, Relation, RelationKind};

/// The oids of the catalogs that other catalogs point to.
pub(in crate::sql::catalog) const PG_CLASS_OID: u32 = 1259;
pub(in crate::sql::catalog) const PG_NAMESPACE_OID: u32 = 2615;
const PG_REWRITE_OID: u32 = 2618;
const HEAP: u32 = 2;
const BTREE: u32 = 403;
const COLLATION_C: u32 = 950;

fn entries(catalog: &Catalog) -> impl Iterator<Item = (&IndexedRelation, &Relation)> {
    catalog.index().relations.iter().map(|entry| (entry, relation_of(catalog, entry)))
}

/// The oid of a system schema.
fn system_namespace(schema: &str) -> u32 {
    if schema == INFORMATION_SCHEMA { INFORMATION_SCHEMA_OID } else { PG_CATALOG_OID }
}

/// `r` or `v`.
pub(super) fn kind(relation: &Relation) -> &'static str {
    match relation.kind {
        RelationKind::Table => "r",
        RelationKind::View => "v",
    }
}

pub(super) fn pg_class(catalog: &Catalog) -> Vec<Row> {
    let class = |oid: u32, name: &str, namespace: u32, kind: &str, columns: usize| {
        row! {
            oid: oid,
            relname: name,
            relnamespace: namespace,
            relowner: OWNER_OID,
            relam: match kind { "r" => HEAP, "i" => BTREE, _ => 0 },
            relfilenode: if kind == "v" { 0 } else { oid },
            relpersistence: "p",
            relkind: kind,
            relnatts: columns as i64,
            relispopulated: true,
            relreplident: if matches!(kind, "r") { "d" } else { "n" },
        }
    };
    let mut rows: Vec<Row> = definitions::system_relations()
        .iter()
        .map(|system| {
            let namespace = system_namespace(system.schema);
            class(system.oid, system.name, namespace, system.kind, system.columns.len())
                .with("relhasrules", system.kind == "v")
                .with("reltuples", Value::Float(-1.0))
        })
        .collect();
    for (entry, relation) in entries(catalog) {
        let table = class(
            entry.oid,
            &relation.name,
            entry.namespace,
            kind(relation),
            relation.columns.len(),
        );
        let referenced = catalog.index().relations.iter().any(|other| {
            other.foreign_keys.iter().any(|key| {
                catalog.index().relations.get(key.target).is_some_and(|t| t.oid == entry.oid)
            })
        });
        let table = table
            .with("reltype", entry.row_type)
            .with("relpages", pages(relation))
            .with("relhasindex", entry.primary_key.is_some())
            .with("relhasrules", relation.kind == RelationKind::View)
            .with("relhastriggers", referenced || !entry.foreign_keys.is_empty());
        let tuples = Value::Float(relation.row_count as f64);
        rows.push(table.with("reltuples", tuples.clone()));
        if let Some(key) = &entry.primary_key {
            rows.push(
                class(key.index, &key.name, entry.namespace, "i", relation.primary_key.len())
                    .with("reltuples", tuples),
            );
        }
    }
    rows
}

/// Pages of 8 kB a heap table of these rows would take, for planners' estimates.
fn pages(relation: &Relation) -> i64 {
    (estimated_bytes(relation) / 8192).min(i64::from(i32::MAX))
}

/// About how many bytes a relation's rows take: eight a column.
pub(in crate::sql::catalog) fn estimated_bytes(relation: &Relation) -> i64 {
    let row = relation.columns.len().max(1) as u64 * 8;
    i64::try_from(relation.row_count.saturating_mul(row)).unwrap_or(i64::MAX)
}

pub(super) fn pg_attribute(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for system in definitions::system_relations() {
        for (position, column) in system.columns.iter().enumerate() {
            let base = types::base_type(column.pg_type);
            let oid = PG_TYPES.by_name(base).map_or(25, |known| known.oid);
            let nullability =
                if column.not_null { Nullability::Required } else { Nullability::Nullable };
            let mut row = attribute(system.oid, column.name, position, (oid, -1), nullability);
            // Text in the catalogs is compared byte by byte.
            for (name, value) in &mut row.0 {
                if *name == "attcollation" && value.as_oid() != Some(0) {
                    *value = COLLATION_C.into();
                }
            }
            rows.push(row);
        }
    }
    for (entry, relation) in entries(catalog) {
        for (position, column) in relation.columns.iter().enumerate() {
            let described = types::describe(&column.data_type);
            let name = &column.name;
            rows.push(attribute(entry.oid, name, position, described, column.nullability));
        }
        if let Some(key) = &entry.primary_key {
            let columns = relation.primary_key.iter().filter_map(|at| relation.columns.get(*at));
            for (position, column) in columns.enumerate() {
                let described = types::describe(&column.data_type);
                let nullability = Nullability::Nullable;
                rows.push(attribute(key.index, &column.name, position, described, nullability));
            }
        }
    }
    rows
}

fn attribute(
    relation: u32,
    name: &str,
    position: usize,
    (type_oid, modifier): (u32, i32),
    nullability: Nullability,
) -> Row {
    let known = PG_TYPES.by_oid(type_oid);
    row! {
        attrelid: relation,
        attname: name,
        atttypid: type_oid,
        attstattarget: -1,
        attlen: known.map_or(-1, |known| known.length),
        attnum: position as i64 + 1,
        attcacheoff: -1,
        atttypmod: modifier,
        attbyval: known.is_some_and(|known| known.by_value),
        attalign: known.map_or("i", |known| known.align.as_str()),
        attstorage: known.map_or("x", |known| known.storage.as_str()),
        attnotnull: nullability == Nullability::Required,
        attislocal: true,
        attcollation: known.map_or(0, |known| known.collation),
    }
}

pub(super) fn pg_namespace(catalog: &Catalog) -> Vec<Row> {
    let row = |(oid, name): &(u32, String)| {
        row! { oid: *oid, nspname: name.as_str(), nspowner: OWNER_OID }
    };
    catalog.index().namespaces.iter().map(row).collect()
}

/// The default operator class of a B-tree on a type.
fn operator_class(type_oid: u32) -> u32 {
    let Some(table) = definitions::static_table("pg_opclass") else { return 0 };
    table
        .rows
        .iter()
        .find(|row| {
            table.get(row, "opcmethod").as_oid() == Some(BTREE)
                && table.get(row, "opcintype").as_oid() == Some(type_oid)
                && table.get(row, "opcdefault").as_bool()
        })
        .and_then(|row| table.get(row, "oid").as_oid())
        .unwrap_or_default()
}

pub(super) fn pg_index(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for (entry, relation) in entries(catalog) {
        let Some(key) = &entry.primary_key else { continue };
        let column_types: Vec<u32> = relation
            .primary_key
            .iter()
            .filter_map(|at| relation.columns.get(*at))
            .map(|column| types::describe(&column.data_type).0)
            .collect();
        let collation = |oid: &u32| PG_TYPES.by_oid(*oid).map_or(0, |known| known.collation);
        rows.push(row! {
            indexrelid: key.index,
            indrelid: entry.oid,
            indnatts: column_types.len() as i64,
            indnkeyatts: column_types.len() as i64,
            indisunique: true,
            indisprimary: true,
            indimmediate: true,
            indisvalid: true,
            indisready: true,
            indislive: true,
            indkey: attribute_numbers(&relation.primary_key),
            indcollation: column_types.iter().map(collation).collect::<Vec<_>>(),
            indclass: column_types.iter().map(|oid| operator_class(*oid)).collect::<Vec<_>>(),
            indoption: vec![0; column_types.len()],
        });
    }
    rows
}

/// Positions from 0 as `attnum`s.
fn attribute_numbers(positions: &[usize]) -> Vec<i64> {
    positions.iter().map(|at| *at as i64 + 1).collect()
}

pub(super) fn pg_constraint(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    let constraint = |oid: u32, name: &str, kind: &str, entry: &IndexedRelation, key: &[usize]| {
        row! {
            oid: oid,
            conname: name,
            connamespace: entry.namespace,
            contype: kind,
            convalidated: true,
            conrelid: entry.oid,
            conislocal: true,
            connoinherit: true,
            conkey: attribute_numbers(key),
        }
    };
    for (entry, relation) in entries(catalog) {
        if let Some(key) = &entry.primary_key {
            rows.push(
                constraint(key.constraint, &key.name, "p", entry, &relation.primary_key)
                    .with("conindid", key.index)
                    .with("confupdtype", " ")
                    .with("confdeltype", " ")
                    .with("confmatchtype", " "),
            );
        }
        for key in &entry.foreign_keys {
            let Some(target) = catalog.index().relations.get(key.target) else { continue };
            let target_column = relation_of(catalog, target).columns.get(key.target_column);
            let equality = target_column.map_or(0, |column| equality_operator(&column.data_type));
            rows.push(
                constraint(key.constraint, &key.name, "f", entry, &[key.column])
                    .with("conindid", target.primary_key.as_ref().map_or(0, |key| key.index))
                    .with("confrelid", target.oid)
                    .with("confupdtype", "a")
                    .with("confdeltype", "a")
                    .with("confmatchtype", "s")
                    .with("confkey", attribute_numbers(&[key.target_column]))
                    .with("conpfeqop", vec![equality])
                    .with("conppeqop", vec![equality])
                    .with("conffeqop", vec![equality]),
            );
        }
    }
    rows
}

/// The `=` of a type.
fn equality_operator(data_type: &datafusion::arrow::datatypes::DataType) -> u32 {
    let type_oid = types::describe(data_type).0;
    let Some(table) = definitions::static_table("pg_operator") else { return 0 };
    table
        .rows
        .iter()
        .find(|row| {
            table.get(row, "oprname").as_text() == Some("=")
                && table.get(row, "oprleft").as_oid() == Some(type_oid)
                && table.get(row, "oprright").as_oid() == Some(type_oid)
        })
        .and_then(|row| table.get(row, "oid").as_oid())
        .unwrap_or_default()
}

pub(super) fn pg_description(catalog: &Catalog) -> Vec<Row> {
    let mut rows = vec![
        row! {
            objoid: PUBLIC_OID,
            classoid: PG_NAMESPACE_OID,
            objsubid: 0,
            description: "the main branch",
        },
        row! {
            objoid: PG_CATALOG_OID,
            classoid: PG_NAMESPACE_OID,
            objsubid: 0,
            description: "system catalog schema",
        },
    ];
    for (entry, relation) in entries(catalog) {
        let comment = |number: i64, text: &str| {
            row! {
                objoid: entry.oid,
                classoid: PG_CLASS_OID,
                objsubid: number,
                description: text,
            }
        };
        rows.extend(relation.comment.as_deref().map(|text| comment(0, text)));
        for (position, column) in relation.columns.iter().enumerate() {
            rows.extend(column.comment.as_deref().map(|text| comment(position as i64 + 1, text)));
        }
    }
    rows
}

/// The row types of tables; base types are fixed rows.
pub(super) fn pg_type(catalog: &Catalog) -> Vec<Row> {
    let composite = |(entry, relation): (&IndexedRelation, &Relation)| {
        row! {
            oid: entry.row_type,
            typname: relation.name.as_str(),
            typnamespace: entry.namespace,
            typowner: OWNER_OID,
            typlen: -1,
            typtype: "c",
            typcategory: "C",
            typisdefined: true,
            typdelim: ",",
            typrelid: entry.oid,
            typinput: 2290,
            typoutput: 2291,
            typreceive: 2402,
            typsend: 2403,
            typalign: "d",
            typstorage: "x",
            typtypmod: -1,
        }
    };
    entries(catalog).map(composite).collect()
}

/// What this server adds to PostgreSQL's functions.
pub(super) fn pg_proc(_: &Catalog) -> Vec<Row> {
    let function = |oid: u32, name: &str, kind: &str, result: u32, argument: u32, source: &str| {
        row! {
            oid: oid,
            proname: name,
            pronamespace: PUBLIC_OID,
            proowner: OWNER_OID,
            prolang: 12,
            procost: Value::Float(1.0),
            prokind: kind,
            provolatile: "s",
            proparallel: "s",
            pronargs: 1,
            prorettype: result,
            proargtypes: vec![argument],
            prosrc: source,
        }
    };
    let any_element = 2283;
    vec![
        function(MEASURE_OID, "measure", "a", any_element, any_element, "measure"),
        function(MDX_OID, "mdx", "f", 2249, 25, "mdx").with("proretset", true),
    ]
}

pub(super) fn pg_aggregate(_: &Catalog) -> Vec<Row> {
    vec![row! { aggfnoid: MEASURE_OID, aggkind: "n", aggtranstype: 2281 }]
}

fn views(catalog: &Catalog) -> impl Iterator<Item = &IndexedRelation> {
    entries(catalog)
        .filter(|(_, relation)| relation.kind == RelationKind::View)
        .map(|(entry, _)| entry)
}

/// The `_RETURN` rule of each view. It has the oid of the view's row type: oids are unique within
/// a catalog only.
pub(super) fn pg_rewrite(catalog: &Catalog) -> Vec<Row> {
    let rule = |entry: &IndexedRelation| {
        row! {
            oid: entry.row_type,
            rulename: "_RETURN",
            ev_class: entry.oid,
            ev_type: "1",
            ev_enabled: "O",
            is_instead: true,
        }
    };
    views(catalog).map(rule).collect()
}

pub(super) fn pg_depend(catalog: &Catalog) -> Vec<Row> {
    let rule = |entry: &IndexedRelation| {
        row! {
            classid: PG_REWRITE_OID,
            objid: entry.row_type,
            refclassid: PG_CLASS_OID,
            refobjid: entry.oid,
            deptype: "i",
        }
    };
    views(catalog).map(rule).collect()
}
