//! The schemas and tables of a tenant: cubes, dimensions and closures of each branch, and `perfos`.
//!
//! A statement sees one [`Scope`]; tables are made when it names them. All schemas of a scope are
//! of one moment, so a statement may compare branches by joining their tables.

mod system;

use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};

use async_trait::async_trait;
use calc::Revision;
use cube::dimension::Dimension;
use cube::view::Interrupt;
use cube::{DimensionId, Model, Version};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;

use super::catalog::Catalog;
use super::columns::CubeColumns;
use super::history::{history_name, history_of, history_schema, history_table};
use super::members::{
    MemberCache, closure_schema, closure_table, dimension_schema, dimension_table, listed_members,
};
use super::relation::{
    CatalogContents, ForeignKey, Nullability, Relation, RelationColumn, RelationKind,
};
use super::settings::Settings;
use super::table::CubeTable;
use crate::branches::{Branch, PUBLIC, ReadPoint};
use crate::tenant::{Snapshot, Tenant};

/// The schema that holds the system tables of this product.
pub const SYSTEM_SCHEMA: &str = "perfos";

/// What one statement sees.
pub struct Scope {
    /// All branches at one moment.
    pub point: ReadPoint,
    /// The branch that tables without a schema are of.
    pub current: Arc<Branch>,
    /// What the session's transaction wrote.
    pub private: Option<Private>,
    /// The tenant.
    pub tenant: Arc<dyn Tenant>,
    /// Member columns already built.
    pub members: MemberCache,
    /// The session.
    pub session: ScopeSession,
    catalog: OnceLock<Arc<Catalog>>,
}

/// What a scope knows of its session.
pub struct ScopeSession {
    /// The user.
    pub user: String,
    /// Its settings.
    pub settings: Settings,
    /// Set when the statement is to stop.
    pub interrupt: Interrupt,
    /// Whether maintained aggregates may answer.
    pub uses_aggregates: bool,
}

/// A branch's next revision, which one transaction sees.
#[derive(Clone)]
pub struct Private {
    /// The branch as it was when the transaction began.
    pub branch: Arc<Branch>,
    /// The revision.
    pub revision: Revision,
}

impl Scope {
    /// What a statement of a session sees of a moment.
    pub fn new(
        point: ReadPoint,
        current: Arc<Branch>,
        private: Option<Private>,
        tenant: Arc<dyn Tenant>,
        members: MemberCache,
        session: ScopeSession,
    ) -> Self {
        Self { point, current, private, tenant, members, session, catalog: OnceLock::new() }
    }

    /// What is read of a branch: its head, or what the transaction made of it.
    pub fn snapshot_of(&self, branch: &Branch) -> Snapshot {
        let mut snapshot = self.point.snapshot_of(branch);
        if let Some(private) = &self.private
            && private.branch.number == branch.number
        {
            snapshot.view.version = Arc::clone(&private.revision.version);
            snapshot.plan = Arc::clone(&private.revision.plan);
        }
        snapshot.view.interrupt = self.session.interrupt.clone();
        snapshot.view.uses_aggregates = self.session.uses_aggregates;
        snapshot
    }

    /// Whether nobody else reads this state, as it seems, and it takes time to take it apart.
    fn frees_much(&self) -> bool {
        let mut branches = self.point.branches.iter();
        Arc::strong_count(&self.point.branches) == 1
            && branches.any(|branch| {
                let version = &branch.revision.version;
                Arc::strong_count(branch) == 1
                    && Arc::strong_count(version) == 1
                    && version.frees_much()
            })
    }

    /// The system catalogs.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(self.catalog.get_or_init(|| Catalog::new(Arc::new(self.contents()))))
    }

    fn contents(&self) -> CatalogContents {
        let mut schemas: Vec<String> = vec![PUBLIC.into(), SYSTEM_SCHEMA.into()];
        let others = self.point.branches.iter().map(|branch| branch.schema().to_owned());
        schemas.extend(others.filter(|schema| schema != PUBLIC));
        CatalogContents {
            database: self.tenant.name().to_string(),
            databases: vec![self.tenant.name().to_string()],
            user: self.session.user.clone(),
            schemas,
            roles: vec![self.session.user.clone()],
            relations: self.relations(),
            settings: self.session.settings.all(),
        }
    }

    fn relations(&self) -> Vec<Relation> {
        let branches = self.point.branches.iter();
        let mut relations: Vec<Relation> =
            branches.flat_map(|branch| self.relations_of(branch)).collect();
        relations.extend(system::relations());
        relations
    }

    /// The tables of a branch.
    fn relations_of(&self, branch: &Branch) -> Vec<Relation> {
        let snapshot = self.snapshot_of(branch);
        let (version, schema) = (&snapshot.view.version, branch.schema());
        let cubes = (0..version.cubes.len()).map(cube::CubeId::from_idx);
        let mut relations: Vec<Relation> =
            cubes.map(|id| cube_relation(version, schema, id)).collect();
        for dimension in &version.dimensions {
            relations.extend(dimension_relations(&version.model, dimension, schema));
        }
        relations
    }

    /// A table of a branch.
    fn table(&self, branch: &Branch, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let snapshot = self.snapshot_of(branch);
        let version = &snapshot.view.version;
        if let Ok(id) = version.model.cube(name) {
            let table = CubeTable::new(snapshot, id, self.members.clone());
            return Ok(Some(Arc::new(table)));
        }
        let listed = |id: DimensionId| listed_members(version, id, snapshot.view.allowed(id));
        if let Ok(id) = version.model.dimension(name) {
            return one_batch(dimension_table(version, id, &listed(id))?).map(Some);
        }
        let closure_of =
            name.strip_suffix("_closure").and_then(|base| version.model.dimension(base).ok());
        match closure_of {
            Some(id) if !version.dimension(id).def.hierarchies.is_empty() => {
                one_batch(closure_table(version, id, &listed(id))?).map(Some)
            }
            _ => match history_of(version, name) {
                Some(id) => one_batch(history_table(version.dimension(id), &listed(id))?).map(Some),
                None => Ok(None),
            },
        }
    }
}

fn cube_relation(version: &Version, schema: &str, id: cube::CubeId) -> Relation {
    let cube = version.model.cube_def(id);
    let columns = CubeColumns::new(version, id);
    let comment = Some(cube.def.description.clone()).filter(|text| !text.is_empty());
    let mut found = relation(schema, &cube.def.name, RelationKind::Table, &columns.schema, comment);
    let key_width = cube.def.key.len();
    found.primary_key =
        if key_width > 0 { (0..key_width).collect() } else { (0..cube.dimensions.len()).collect() };
    // a dimension's table lists its leaves: what is at a level above refers to none of them
    let at_leaves = (0..cube.dimensions.len()).filter(|&position| cube.levels[position].is_none());
    found.foreign_keys = at_leaves
        .map(|position| ForeignKey {
            column: key_width + position,
            table: version.model.dimension_def(cube.dimensions[position]).name.clone(),
            referenced_column: "key".into(),
        })
        .collect();
    let columns = found.columns.iter_mut().skip(key_width + cube.dimensions.len());
    for (column, (measure, unit)) in columns.zip(cube.def.measures.iter().zip(&cube.units)) {
        let unit = unit.as_ref().map(|unit| format!("in {}", unit.text));
        let said = [Some(measure.description.clone()).filter(|text| !text.is_empty()), unit];
        let said: Vec<String> = said.into_iter().flatten().collect();
        column.comment = Some(said.join("; ")).filter(|text| !text.is_empty());
    }
    found.row_count = version.rows(id).row_count() as u64;
    found
}

/// A dimension's own table, and its closure where it has a hierarchy.
fn dimension_relations(model: &Model, dimension: &Dimension, schema: &str) -> Vec<Relation> {
    let name = &dimension.def.name;
    let comment = Some(dimension.def.description.clone()).filter(|text| !text.is_empty());
    let columns = dimension_schema(dimension);
    let mut own = relation(schema, name, RelationKind::Table, &columns, comment);
    own.primary_key = vec![0];
    own.row_count =
        dimension.members().filter(|&member| dimension.holds_facts(member)).count() as u64;
    let mut relations = vec![own];
    if !dimension.def.hierarchies.is_empty() {
        let comment = Some(format!("Every member of {name} with all its ancestors"));
        let (closure, columns) = (format!("{name}_closure"), closure_schema(dimension));
        relations.push(relation(schema, &closure, RelationKind::View, &columns, comment));
    }
    if let Some(history) = history_name(model, dimension) {
        let comment = Some(format!("Values of {name}'s attributes and when they hold"));
        let columns = history_schema(dimension);
        relations.push(relation(schema, &history, RelationKind::View, &columns, comment));
    }
    relations
}

fn one_batch(batch: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
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
        let mut current = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = current.replace(scope);
        if let Some(last) = last.filter(|last| last.frees_much()) {
            rayon::spawn(move || drop(last));
        }
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
        let mut names =
            ["main", SYSTEM_SCHEMA, "pg_catalog", "information_schema"].map(String::from).to_vec();
        if let Some(scope) = self.scope.get() {
            names.extend(scope.point.branches.iter().map(|branch| branch.schema().to_owned()));
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let scope = self.scope.get()?;
        let kind = match name {
            "pg_catalog" => return Some(scope.catalog().schema_providers().0),
            "information_schema" => return Some(scope.catalog().schema_providers().1),
            SYSTEM_SCHEMA => SchemaKind::System,
            name => match scope.point.branches.find(name) {
                Some(branch) => SchemaKind::Branch(Arc::clone(branch)),
                None => SchemaKind::Unknown(name.to_owned()),
            },
        };
        Some(Arc::new(TenantSchema { scope, kind }))
    }
}

#[derive(Debug)]
enum SchemaKind {
    Branch(Arc<Branch>),
    System,
    /// There is none; asking for its tables says so.
    Unknown(String),
}

struct TenantSchema {
    scope: Arc<Scope>,
    kind: SchemaKind,
}

impl fmt::Debug for TenantSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantSchema").field(&self.kind).finish()
    }
}

#[async_trait]
impl SchemaProvider for TenantSchema {
    fn table_names(&self) -> Vec<String> {
        let relations = match &self.kind {
            SchemaKind::Branch(branch) => self.scope.relations_of(branch),
            SchemaKind::System => system::relations(),
            SchemaKind::Unknown(_) => Vec::new(),
        };
        relations.into_iter().map(|relation| relation.name).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match &self.kind {
            SchemaKind::Branch(branch) => self.scope.table(branch, name),
            SchemaKind::System => system::table(&self.scope, name).await,
            SchemaKind::Unknown(schema) => Err(self.scope.point.branches.unknown(schema).into()),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|table| table == name)
    }
}
