//! The schemas and tables of a tenant: cubes, dimensions and closures of a branch, and `perfos`.
//!
//! A statement sees one [`Scope`]; tables are made when it names them.

use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};

use async_trait::async_trait;
use cube::DimensionId;
use datafusion::arrow::array::{BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};

use super::catalog::Catalog;
use super::columns::CubeColumns;
use super::members::{
    MemberCache, closure_schema, closure_table, dimension_schema, dimension_table, listed_members,
};
use super::relation::{
    CatalogContents, ForeignKey, Nullability, Relation, RelationColumn, RelationKind,
};
use super::table::CubeTable;
use crate::tenant::{Snapshot, Tenant};

/// The schema that holds the system tables of this product.
pub const SYSTEM_SCHEMA: &str = "perfos";
/// Entries that `perfos.ledger` shows.
const LEDGER_ENTRIES_MAX: usize = 10_000;

/// What one statement sees.
pub struct Scope {
    /// The data.
    pub snapshot: Snapshot,
    /// The tenant.
    pub tenant: Arc<dyn Tenant>,
    /// Member columns already built.
    pub members: MemberCache,
    user: String,
    settings: Vec<(String, String, String)>,
    catalog: OnceLock<Arc<Catalog>>,
}

impl Scope {
    /// What a statement of a user sees of a snapshot.
    pub fn new(
        snapshot: Snapshot,
        tenant: Arc<dyn Tenant>,
        members: MemberCache,
        user: String,
        settings: Vec<(String, String, String)>,
    ) -> Self {
        Self { snapshot, tenant, members, user, settings, catalog: OnceLock::new() }
    }

    /// The system catalogs.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(self.catalog.get_or_init(|| Catalog::new(Arc::new(self.contents()))))
    }

    fn contents(&self) -> CatalogContents {
        CatalogContents {
            database: self.tenant.name().to_string(),
            databases: vec![self.tenant.name().to_string()],
            user: self.user.clone(),
            schemas: vec!["public".into(), SYSTEM_SCHEMA.into()],
            roles: vec![self.user.clone()],
            relations: self.relations(),
            settings: self.settings.clone(),
        }
    }

    fn relations(&self) -> Vec<Relation> {
        let version = &self.snapshot.view.version;
        let mut relations = Vec::new();
        for idx in 0..version.cubes.len() {
            relations.push(self.cube_relation(cube::CubeId::from_idx(idx)));
        }
        for (idx, dimension) in version.dimensions.iter().enumerate() {
            let id = DimensionId::from_idx(idx);
            let count =
                dimension.members().filter(|&member| dimension.holds_facts(member)).count() as u64;
            let name = dimension.def.name.clone();
            let comment = Some(dimension.def.description.clone()).filter(|text| !text.is_empty());
            relations.push(Relation {
                primary_key: vec![0],
                row_count: count,
                ..relation(
                    "public",
                    &name,
                    RelationKind::Table,
                    &dimension_schema(dimension),
                    comment,
                )
            });
            if !dimension.def.hierarchies.is_empty() {
                let closure = format!("{name}_closure");
                let comment = Some(format!("Every member of {name} with all its ancestors"));
                let schema = closure_schema(version.dimension(id));
                relations.push(relation("public", &closure, RelationKind::View, &schema, comment));
            }
        }
        for (name, schema, comment) in system_tables() {
            relations.push(relation(
                SYSTEM_SCHEMA,
                name,
                RelationKind::View,
                &schema,
                Some(comment.into()),
            ));
        }
        relations
    }

    fn cube_relation(&self, id: cube::CubeId) -> Relation {
        let version = &self.snapshot.view.version;
        let cube = version.model.cube_def(id);
        let columns = CubeColumns::new(version, id);
        let comment = Some(cube.def.description.clone()).filter(|text| !text.is_empty());
        let mut found =
            relation("public", &cube.def.name, RelationKind::Table, &columns.schema, comment);
        let key_width = cube.def.key.len();
        found.primary_key = if key_width > 0 {
            (0..key_width).collect()
        } else {
            (0..cube.dimensions.len()).collect()
        };
        found.foreign_keys = (cube.dimensions.iter().enumerate())
            .map(|(position, &dimension)| ForeignKey {
                column: key_width + position,
                table: version.model.dimension_def(dimension).name.clone(),
                referenced_column: "key".into(),
            })
            .collect();
        for (column, measure) in
            found.columns.iter_mut().skip(key_width + cube.dimensions.len()).zip(&cube.def.measures)
        {
            column.comment = Some(measure.description.clone()).filter(|text| !text.is_empty());
        }
        found.row_count = version.rows(id).row_count() as u64;
        found
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let version = &self.snapshot.view.version;
        if let Ok(id) = version.model.cube(name) {
            let table = CubeTable::new(self.snapshot.clone(), id, self.members.clone());
            return Ok(Some(Arc::new(table)));
        }
        let listed = |id: DimensionId| listed_members(version, id, self.snapshot.view.allowed(id));
        if let Ok(id) = version.model.dimension(name) {
            return one_batch(dimension_table(version, id, &listed(id))?).map(Some);
        }
        let closure_of =
            name.strip_suffix("_closure").and_then(|base| version.model.dimension(base).ok());
        match closure_of {
            Some(id) if !version.dimension(id).def.hierarchies.is_empty() => {
                one_batch(closure_table(version, id, &listed(id))?).map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn system_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match name {
            "ledger" => one_batch(self.ledger().await?).map(Some),
            "branches" => {
                let position = &self.snapshot.view.position;
                let columns: Vec<Arc<dyn datafusion::arrow::array::Array>> = vec![
                    Arc::new(StringArray::from(vec![position.branch.to_string()])),
                    Arc::new(Int64Array::from(vec![
                        i64::try_from(position.sequence).unwrap_or(i64::MAX),
                    ])),
                    Arc::new(BooleanArray::from(vec![true])),
                ];
                one_batch(RecordBatch::try_new(branches_schema(), columns)?).map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn ledger(&self) -> Result<RecordBatch> {
        let entries =
            self.tenant.ledger(LEDGER_ENTRIES_MAX).await.map_err(DataFusionError::from)?;
        let sequence = |entry: &crate::tenant::LedgerEntry| i64::try_from(entry.sequence).ok();
        let times: TimestampMicrosecondArray =
            entries.iter().map(|entry| Some(entry.time_us)).collect();
        let text = |of: fn(&crate::tenant::LedgerEntry) -> &str| {
            Arc::new(entries.iter().map(|entry| Some(of(entry))).collect::<StringArray>())
        };
        let columns: Vec<Arc<dyn datafusion::arrow::array::Array>> = vec![
            Arc::new(entries.iter().map(sequence).collect::<Int64Array>()),
            Arc::new(times.with_timezone("+00:00")),
            text(|entry| &entry.branch),
            text(|entry| &entry.author),
            text(|entry| &entry.origin),
            text(|entry| &entry.summary),
            text(|entry| &entry.recomputed),
        ];
        Ok(RecordBatch::try_new(ledger_schema(), columns)?)
    }
}

fn one_batch(batch: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}

fn ledger_schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    Arc::new(Schema::new(vec![
        Field::new("sequence", DataType::Int64, false),
        Field::new("time", time, false),
        Field::new("branch", DataType::Utf8, false),
        Field::new("author", DataType::Utf8, false),
        Field::new("origin", DataType::Utf8, false),
        Field::new("summary", DataType::Utf8, false),
        Field::new("recomputed", DataType::Utf8, false),
    ]))
}

fn branches_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("sequence", DataType::Int64, false),
        Field::new("is_main", DataType::Boolean, false),
    ]))
}

fn system_tables() -> [(&'static str, SchemaRef, &'static str); 2] {
    [
        ("branches", branches_schema(), "Branches and the last ledger entry each includes"),
        (
            "ledger",
            ledger_schema(),
            "The newest ledger entries: who did what, and what was computed again",
        ),
    ]
}

fn relation(
    schema: &str,
    name: &str,
    kind: RelationKind,
    columns: &Schema,
    comment: Option<String>,
) -> Relation {
    let column = |field: &Arc<Field>| RelationColumn {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullability: if field.is_nullable() {
            Nullability::Nullable
        } else {
            Nullability::Required
        },
        comment: None,
    };
    Relation {
        schema: schema.into(),
        name: name.into(),
        kind,
        comment,
        columns: columns.fields().iter().map(column).collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        row_count: 0,
    }
}

/// The scope of the statement that a session is at; shared with what the SQL engine calls back.
#[derive(Clone, Default)]
pub struct CurrentScope(Arc<RwLock<Option<Arc<Scope>>>>);

impl CurrentScope {
    /// Sees another scope from now on.
    pub fn set(&self, scope: Arc<Scope>) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(scope);
    }

    /// What is seen now.
    pub fn get(&self) -> Option<Arc<Scope>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for CurrentScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentScope")
    }
}

/// The tenant as a database.
#[derive(Debug)]
pub struct TenantCatalog {
    scope: CurrentScope,
}

impl TenantCatalog {
    /// The database of a session.
    pub fn new(scope: CurrentScope) -> Self {
        Self { scope }
    }
}

impl CatalogProvider for TenantCatalog {
    fn schema_names(&self) -> Vec<String> {
        ["public", "main", SYSTEM_SCHEMA, "pg_catalog", "information_schema"]
            .map(String::from)
            .to_vec()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            "public" | "main" => {
                Some(Arc::new(TenantSchema { scope: self.scope.clone(), kind: SchemaKind::Branch }))
            }
            SYSTEM_SCHEMA => {
                Some(Arc::new(TenantSchema { scope: self.scope.clone(), kind: SchemaKind::System }))
            }
            "pg_catalog" => Some(self.scope.get()?.catalog().schema_providers().0),
            "information_schema" => Some(self.scope.get()?.catalog().schema_providers().1),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SchemaKind {
    Branch,
    System,
}

#[derive(Debug)]
struct TenantSchema {
    scope: CurrentScope,
    kind: SchemaKind,
}

#[async_trait]
impl SchemaProvider for TenantSchema {
    fn table_names(&self) -> Vec<String> {
        let Some(scope) = self.scope.get() else { return Vec::new() };
        let wanted = if self.kind == SchemaKind::System { SYSTEM_SCHEMA } else { "public" };
        let relations = scope.relations().into_iter().filter(|relation| relation.schema == wanted);
        relations.map(|relation| relation.name).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(scope) = self.scope.get() else { return Ok(None) };
        match self.kind {
            SchemaKind::Branch => scope.table(name).await,
            SchemaKind::System => scope.system_table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|table| table == name)
    }
}
