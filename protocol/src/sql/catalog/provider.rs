//! The schemas `pg_catalog` and `information_schema` as DataFusion sees them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::catalog::SchemaProvider;
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::error::Result;

use super::definitions::{self, SystemRelation};
use super::index::{OWNER_OID, PG_CATALOG_OID};
use super::rows::{self, Row};
use super::value::{Value, to_array};
use super::{Catalog, types};

/// One of the two schemas. A table is built when it is first asked for and kept after that.
pub(super) struct CatalogSchema {
    catalog: Arc<Catalog>,
    schema: &'static str,
    built: Mutex<HashMap<&'static str, Arc<dyn TableProvider>>>,
}

impl CatalogSchema {
    pub(super) fn new(catalog: Arc<Catalog>, schema: &'static str) -> Self {
        Self { catalog, schema, built: Mutex::new(HashMap::new()) }
    }
}

impl fmt::Debug for CatalogSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogSchema").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for CatalogSchema {
    fn table_names(&self) -> Vec<String> {
        definitions::system_relations()
            .iter()
            .filter(|relation| relation.schema == self.schema)
            .map(|relation| relation.name.to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(relation) = definitions::system_relation(self.schema, name) else {
            return Ok(None);
        };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = built.get(relation.name) {
            return Ok(Some(Arc::clone(table)));
        }
        let batch = build(&self.catalog, relation)?;
        let table: Arc<dyn TableProvider> =
            Arc::new(MemTable::try_new(Arc::clone(&relation.arrow), vec![vec![batch]])?);
        built.insert(relation.name, Arc::clone(&table));
        Ok(Some(table))
    }

    fn table_exist(&self, name: &str) -> bool {
        definitions::is_system_relation(self.schema, name)
    }
}

/// All rows of a catalog: PostgreSQL's fixed rows, then those of this database.
fn build(catalog: &Catalog, relation: &SystemRelation) -> Result<RecordBatch> {
    let fixed = definitions::static_table(relation.name);
    let own: Vec<Row> = rows::builder(relation.schema, relation.name)
        .map_or_else(Vec::new, |builder| builder(catalog));
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(relation.columns.len());
    for (column, field) in relation.columns.iter().zip(relation.arrow.fields()) {
        let default = if column.not_null { default_of(column.pg_type) } else { Value::Null };
        let system = system_default(column.name);
        let mut values: Vec<&Value> = Vec::new();
        if let Some(fixed) = fixed {
            let position = fixed.position(column.name);
            let system = system.as_ref().unwrap_or(&default);
            for row in &fixed.rows {
                values.push(position.and_then(|at| row.get(at)).unwrap_or(system));
            }
        }
        for row in &own {
            values.push(row.get(column.name).unwrap_or(&default));
        }
        columns.push(to_array(field.data_type(), &values));
    }
    #[cfg(debug_assertions)]
    for row in own.iter().take(1) {
        for name in row.names() {
            debug_assert!(
                relation.columns.iter().any(|column| column.name == name),
                "{} has no column {name}",
                relation.name
            );
        }
    }
    Ok(RecordBatch::try_new(Arc::clone(&relation.arrow), columns)?)
}

/// What PostgreSQL's own objects have alike.
fn system_default(column: &str) -> Option<Value> {
    match column {
        "pronamespace" | "typnamespace" => Some(PG_CATALOG_OID.into()),
        "proowner" | "typowner" => Some(OWNER_OID.into()),
        "typisdefined" => Some(true.into()),
        _ => None,
    }
}

/// What a NOT NULL column holds where nothing else is said.
fn default_of(pg_type: &str) -> Value {
    use datafusion::arrow::datatypes::DataType;
    match types::arrow_type(pg_type) {
        DataType::Boolean => Value::Bool(false),
        DataType::Utf8 => Value::text(""),
        DataType::List(_) => Value::List(Vec::new()),
        DataType::Float32 | DataType::Float64 => Value::Float(0.0),
        _ => Value::Int(0),
    }
}
