//! The rows of this database in each catalog.

mod cluster;
mod information;
mod objects;
mod views;

use super::Catalog;
use super::definitions::{INFORMATION_SCHEMA, PG_CATALOG};
use super::value::Value;

/// A row: the columns that differ from their default.
#[derive(Debug)]
pub(super) struct Row(Vec<(&'static str, Value)>);

impl Row {
    pub(super) fn get(&self, column: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| *name == column).map(|(_, value)| value)
    }

    /// The columns it names.
    #[cfg(debug_assertions)]
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The same row with one more column.
    fn with(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((column, value.into()));
        self
    }
}

/// A [`Row`] of `column: value` pairs.
macro_rules! row {
    ($($name:ident: $value:expr),* $(,)?) => {
        $crate::sql::catalog::rows::Row(vec![$((stringify!($name), $value.into())),*])
    };
}
pub(super) use objects::estimated_bytes;
use row;

/// Makes the rows of one catalog.
pub(super) type Builder = fn(&Catalog) -> Vec<Row>;

/// What makes the rows of a catalog; none where it has only fixed rows, or none at all.
pub(super) fn builder(schema: &str, name: &str) -> Option<Builder> {
    let builder: Builder = match (schema, name) {
        (PG_CATALOG, name) => match name {
            "pg_class" => objects::pg_class,
            "pg_attribute" => objects::pg_attribute,
            "pg_namespace" => objects::pg_namespace,
            "pg_index" => objects::pg_index,
            "pg_constraint" => objects::pg_constraint,
            "pg_description" => objects::pg_description,
            "pg_type" => objects::pg_type,
            "pg_proc" => objects::pg_proc,
            "pg_aggregate" => objects::pg_aggregate,
            "pg_rewrite" => objects::pg_rewrite,
            "pg_depend" => objects::pg_depend,
            "pg_database" => cluster::pg_database,
            "pg_roles" => cluster::pg_roles,
            "pg_user" => cluster::pg_user,
            "pg_authid" => cluster::pg_authid,
            "pg_group" => cluster::pg_group,
            "pg_shadow" => cluster::pg_shadow,
            "pg_tablespace" => cluster::pg_tablespace,
            "pg_settings" => cluster::pg_settings,
            "pg_stat_activity" => cluster::pg_stat_activity,
            "pg_stat_gssapi" => cluster::pg_stat_gssapi,
            "pg_stat_ssl" => cluster::pg_stat_ssl,
            "pg_stat_database" => cluster::pg_stat_database,
            "pg_timezone_names" => cluster::pg_timezone_names,
            "pg_timezone_abbrevs" => cluster::pg_timezone_abbrevs,
            "pg_tables" => views::pg_tables,
            "pg_views" => views::pg_views,
            "pg_indexes" => views::pg_indexes,
            "pg_stat_user_tables" | "pg_stat_all_tables" => views::pg_stat_user_tables,
            "pg_statio_user_tables" | "pg_statio_all_tables" => views::pg_statio_user_tables,
            "pg_stat_user_indexes" | "pg_stat_all_indexes" => views::pg_stat_user_indexes,
            "pg_statio_user_indexes" | "pg_statio_all_indexes" => views::pg_statio_user_indexes,
            _ => return None,
        },
        (INFORMATION_SCHEMA, name) => return information::builder(name),
        _ => return None,
    };
    Some(builder)
}
