//! What a tenant offers to SQL, as plain data: the catalog tables and `\d` are made of it.

use datafusion::arrow::datatypes::DataType;

/// A table, as the system catalogs describe it.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The schema (branch) it is in: `public`, `perfos`.
    pub schema: String,
    /// Its name: a cube or a dimension, or a system table.
    pub name: String,
    /// Whether it takes writes (`r`) or is read only (`v`).
    pub kind: RelationKind,
    /// One line for `\d+` and tools.
    pub comment: Option<String>,
    /// Its columns in order.
    pub columns: Vec<RelationColumn>,
    /// Positions of the primary key's columns; empty where there is none.
    pub primary_key: Vec<usize>,
    /// From a column of this table to the one-column key of another table of the same schema.
    pub foreign_keys: Vec<ForeignKey>,
    /// How many rows it has, for planners' estimates.
    pub row_count: u64,
}

/// The two kinds of relation, as PostgreSQL's `relkind` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// `r`
    Table,
    /// `v`
    View,
}

/// One column of a [`Relation`].
#[derive(Debug, Clone)]
pub struct RelationColumn {
    /// The column's name.
    pub name: String,
    /// Its Arrow type; `Decimal128(p, s)` is `numeric(p,s)`.
    pub data_type: DataType,
    /// Whether it refuses NULL.
    pub nullability: Nullability,
    /// One line for `\d+` and tools.
    pub comment: Option<String>,
}

/// Whether a column may be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nullability {
    /// May be NULL.
    Nullable,
    /// NOT NULL.
    Required,
}

/// A reference from one column to another table's key.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    /// Position of the referencing column.
    pub column: usize,
    /// The referenced table.
    pub table: String,
    /// The referenced column.
    pub referenced_column: String,
}

/// Everything the system catalogs show of one session's database.
#[derive(Debug, Clone)]
pub struct CatalogContents {
    /// The database (tenant) the session is in.
    pub database: String,
    /// Every database the session's user may see.
    pub databases: Vec<String>,
    /// The session's user.
    pub user: String,
    /// Schema names besides `pg_catalog` and `information_schema`, `public` first.
    pub schemas: Vec<String>,
    /// Role names of this tenant.
    pub roles: Vec<String>,
    /// All tables of all those schemas.
    pub relations: Vec<Relation>,
    /// Settings in force: name, value, one-line description.
    pub settings: Vec<(String, String, String)>,
}
