//! The readable views over the catalogs: `pg_tables`, `pg_views`, `pg_indexes`, statistics.

use super::cluster::owner;
use super::{Row, row};
use crate::sql::catalog::describe::{self, relation_of};
use crate::sql::catalog::index::{IndexedRelation, PrimaryKey};
use crate::sql::catalog::{Catalog, definitions};
use crate::sql::relation::{Relation, RelationKind};

fn relations(
    catalog: &Catalog,
    kind: RelationKind,
) -> impl Iterator<Item = (&IndexedRelation, &Relation)> {
    catalog
        .index()
        .relations
        .iter()
        .map(|entry| (entry, relation_of(catalog, entry)))
        .filter(move |(_, relation)| relation.kind == kind)
}

fn keys(catalog: &Catalog) -> impl Iterator<Item = (&IndexedRelation, &Relation, &PrimaryKey)> {
    catalog.index().relations.iter().filter_map(|entry| {
        entry.primary_key.as_ref().map(|key| (entry, relation_of(catalog, entry), key))
    })
}

pub(super) fn pg_tables(catalog: &Catalog) -> Vec<Row> {
    let table = |schema: &str, name: &str, indexed: bool| {
        row! {
            schemaname: schema,
            tablename: name,
            tableowner: owner(),
            hasindexes: indexed,
            hasrules: false,
            hastriggers: false,
            rowsecurity: false,
        }
    };
    definitions::system_relations()
        .iter()
        .filter(|system| system.kind == "r")
        .map(|system| table(system.schema, system.name, false))
        .chain(relations(catalog, RelationKind::Table).map(|(entry, relation)| {
            table(&relation.schema, &relation.name, entry.primary_key.is_some())
        }))
        .collect()
}

pub(super) fn pg_views(catalog: &Catalog) -> Vec<Row> {
    let view = |schema: &str, name: &str, definition: Option<String>| {
        row! {
            schemaname: schema,
            viewname: name,
            viewowner: owner(),
            definition: definition,
        }
    };
    definitions::system_relations()
        .iter()
        .filter(|system| system.kind == "v")
        .map(|system| view(system.schema, system.name, None))
        .chain(relations(catalog, RelationKind::View).map(|(entry, relation)| {
            view(&relation.schema, &relation.name, describe::view(catalog, entry.oid))
        }))
        .collect()
}

pub(super) fn pg_indexes(catalog: &Catalog) -> Vec<Row> {
    keys(catalog)
        .map(|(_, relation, key)| {
            row! {
                schemaname: relation.schema.as_str(),
                tablename: relation.name.as_str(),
                indexname: key.name.as_str(),
                indexdef: describe::index(catalog, None, key.index, 0),
            }
        })
        .collect()
}

fn table_names(entry: &IndexedRelation, relation: &Relation) -> Row {
    row! {
        relid: entry.oid,
        schemaname: relation.schema.as_str(),
        relname: relation.name.as_str(),
    }
}

pub(super) fn pg_stat_user_tables(catalog: &Catalog) -> Vec<Row> {
    relations(catalog, RelationKind::Table)
        .map(|(entry, relation)| {
            let rows = i64::try_from(relation.row_count).unwrap_or(i64::MAX);
            table_names(entry, relation).with("n_live_tup", rows).with("n_dead_tup", 0)
        })
        .collect()
}

pub(super) fn pg_statio_user_tables(catalog: &Catalog) -> Vec<Row> {
    relations(catalog, RelationKind::Table).map(|(e, r)| table_names(e, r)).collect()
}

pub(super) fn pg_stat_user_indexes(catalog: &Catalog) -> Vec<Row> {
    keys(catalog)
        .map(|(entry, relation, key)| {
            table_names(entry, relation)
                .with("indexrelid", key.index)
                .with("indexrelname", key.name.as_str())
        })
        .collect()
}

pub(super) fn pg_statio_user_indexes(catalog: &Catalog) -> Vec<Row> {
    pg_stat_user_indexes(catalog)
}
