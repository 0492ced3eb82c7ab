//! The PostgreSQL system catalogs of one session's database.
//!
//! `pg_catalog` and `information_schema` are made of [`CatalogContents`] and of PostgreSQL's own
//! fixed rows (`data/`): plain tables, built when a statement first reads them. Everything that
//! has an oid has the same one in every table and function, and keeps it when other objects come
//! and go. This module reads contents and makes tables; it neither plans nor writes.

mod decorrelate;
mod definitions;
mod describe;
mod functions;
mod index;
mod provider;
mod rows;
mod types;
mod value;

use std::sync::{Arc, OnceLock};

use datafusion::catalog::SchemaProvider;
use datafusion::optimizer::AnalyzerRule;

pub use definitions::{
    is_always_empty, is_boolean_column, is_system_relation, system_columns, system_oid,
};
pub use functions::{SessionValues, SettingScope, functions};

use crate::sql::relation::CatalogContents;
use index::Index;

/// The contents of a database with the oids of everything in it.
///
/// Cheap to make: the oids are given out when the first table or function asks for one.
#[derive(Debug)]
pub struct Catalog {
    contents: Arc<CatalogContents>,
    index: OnceLock<Index>,
}

impl Catalog {
    /// The catalog of these contents.
    pub fn new(contents: Arc<CatalogContents>) -> Arc<Self> {
        Arc::new(Self { contents, index: OnceLock::new() })
    }

    /// What the catalog describes.
    pub fn contents(&self) -> &CatalogContents {
        &self.contents
    }

    /// The `pg_catalog` and the `information_schema` of this database.
    pub fn schema_providers(
        self: &Arc<Self>,
    ) -> (Arc<dyn SchemaProvider>, Arc<dyn SchemaProvider>) {
        (
            Arc::new(provider::CatalogSchema::new(Arc::clone(self), definitions::PG_CATALOG)),
            Arc::new(provider::CatalogSchema::new(
                Arc::clone(self),
                definitions::INFORMATION_SCHEMA,
            )),
        )
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.contents))
    }
}

/// The `pg_catalog` and the `information_schema` of these contents.
pub fn schema_providers(
    contents: Arc<CatalogContents>,
) -> (Arc<dyn SchemaProvider>, Arc<dyn SchemaProvider>) {
    Catalog::new(contents).schema_providers()
}

/// Joins in place of correlated subqueries over the system catalogs, which clients write freely
/// and DataFusion refuses where they are not aggregated or compare by more than equality.
pub fn subquery_rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(decorrelate::CatalogSubqueries)
}

/// The name behind an oid that PostgreSQL prints as a name (`regproc`, `regclass`, `regtype`,
/// `regnamespace`, `regrole`), for a door that writes such a column as text.
pub fn registered_name(catalog: &Catalog, pg_type: &str, oid: u32) -> String {
    functions::registered_name(catalog, pg_type, oid)
}
