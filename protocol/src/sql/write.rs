//! INSERT, UPDATE and DELETE: a query that finds or makes the rows, then a change of the cube.
//!
//! The query keeps the types of what the statement wrote, so that a number with too many digits is
//! refused and never rounded on the way in.

mod columns;
mod given;
mod rows;

use cube::model::CubeKind;
use cube::{MeasureId, Version};
use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName,
    OnConflictAction, OnInsert, SetExpr, Statement, TableFactor, TableObject, TableWithJoins,
    Update, UpdateTableFromKind,
};

use super::columns::{ColumnSource, CubeColumns};
use super::history::history_of;
use crate::error::SqlError;
use crate::tenant::Snapshot;

pub use given::Given;
pub use rows::{changes, given_changes};

/// A write, planned: the query that gives its rows, and what becomes of them.
#[derive(Debug, Clone)]
pub struct WritePlan {
    /// The cube that is written.
    pub cube: cube::CubeId,
    /// What is done.
    pub kind: WriteKind,
    /// The query: primary key columns (all dimensions for records too, on INSERT), then values.
    pub query: String,
    /// What the query's columns are.
    pub columns: Vec<ColumnSource>,
    /// The measures that an INSERT sets of what is there already.
    pub replaced: Vec<MeasureId>,
    /// Types of parameters that stand alone as a value: position in the parameter list, type.
    pub parameter_types: Vec<(usize, DataType)>,
    /// What the query would give, where the statement says it.
    pub given: Option<Given>,
}

/// The kinds of write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// INSERT; what happens where a value is there already.
    Insert(OnExisting),
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

/// What an INSERT does where a value is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExisting {
    /// 23505.
    Fail,
    /// The row is passed over.
    Skip,
    /// The row's values take the place of those that are there.
    Replace,
}

impl WriteKind {
    /// The statement's first word.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Insert(_) => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    /// The command tag for a number of rows.
    pub fn tag(self, rows: usize) -> String {
        match self {
            Self::Insert(_) => format!("INSERT 0 {rows}"),
            Self::Update => format!("UPDATE {rows}"),
            Self::Delete => format!("DELETE {rows}"),
        }
    }
}

fn unsupported(what: &str) -> SqlError {
    SqlError::new("0A000", format!("{what} is not supported yet"))
}

/// Plans a write; `None` for any other statement.
pub fn plan(statement: &Statement, snapshot: &Snapshot) -> Result<Option<WritePlan>, SqlError> {
    match statement {
        Statement::Insert(insert) => plan_insert(insert, snapshot).map(Some),
        Statement::Update(update) => plan_update(update, snapshot).map(Some),
        Statement::Delete(delete) => plan_delete(delete, &snapshot.view.version).map(Some),
        _ => Ok(None),
    }
}

/// The table that a statement writes, if it writes one.
pub fn target_name(statement: &Statement) -> Option<&ObjectName> {
    match statement {
        Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => Some(name),
        Statement::Update(update) => name_of(&update.table.relation),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) =
                &delete.from;
            tables.first().and_then(|table| name_of(&table.relation))
        }
        _ => None,
    }
}

fn name_of(table: &TableFactor) -> Option<&ObjectName> {
    match table {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// The parts of a name, in lower case where they are not quoted.
pub fn parts_of(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(text_of).collect()
}

/// A name in lower case where it is not quoted.
fn text_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The cube that a statement names as its target, in the version of the branch it names.
fn target_cube(name: &ObjectName, version: &Version) -> Result<cube::CubeId, SqlError> {
    let parts = parts_of(name);
    let table = parts.last().map_or("", String::as_str);
    if let Ok(cube) = version.model.cube(table) {
        return Ok(cube);
    }
    let base = table.strip_suffix("_closure").unwrap_or(table);
    if version.model.dimension(base).is_ok() || history_of(version, table).is_some() {
        let error =
            SqlError::new("0A000", format!("dimension table \"{table}\" is not written by SQL"));
        return Err(error.with_hint("members are loaded: perfos load FILE --dimension NAME"));
    }
    Err(SqlError::new("42P01", format!("relation \"{table}\" does not exist")))
}

fn primary_key(version: &Version, cube: cube::CubeId) -> Vec<ColumnSource> {
    let def = version.model.cube_def(cube);
    match def.def.kind {
        CubeKind::Records => (0..def.def.key.len()).map(ColumnSource::Key).collect(),
        CubeKind::Cells => (0..def.dimensions.len()).map(ColumnSource::Dimension).collect(),
    }
}

fn column_name(version: &Version, cube: cube::CubeId, source: ColumnSource) -> String {
    let columns = CubeColumns::new(version, cube);
    let idx = columns.sources.iter().position(|&other| other == source).unwrap_or_default();
    columns.schema.field(idx).name().clone()
}

/// A column that a statement assigns: a key, a dimension or an input measure.
fn assigned_column(
    name: &str,
    snapshot: &Snapshot,
    cube: cube::CubeId,
) -> Result<ColumnSource, SqlError> {
    let version = &snapshot.view.version;
    let columns = CubeColumns::new(version, cube);
    let def = version.model.cube_def(cube);
    let source = columns.source(name).ok_or_else(|| {
        let existing = columns.schema.fields().iter().map(|field| field.name().as_str());
        let near = cube::error::nearest(name, existing);
        let error = SqlError::new(
            "42703",
            format!("column \"{name}\" of relation \"{}\" does not exist", def.def.name),
        );
        if near.is_empty() {
            error
        } else {
            error.with_hint(format!("did you mean {}?", near.join(", ")))
        }
    })?;
    match source {
        ColumnSource::Measure(measure) if !snapshot.plan.takes_input(version, cube, measure) => {
            let formula =
                version.model.formula_of(cube, measure).map(|formula| formula.text.clone());
            let error = SqlError::new(
                "428C9",
                format!("column \"{name}\" is computed by a formula and cannot be written"),
            );
            Err(error.with_detail(format!("{name} = {}", formula.unwrap_or_default())).with_hint(
                "write the measures that it reads, or let inputs override it: OVERRIDE(input, x)",
            ))
        }
        ColumnSource::Level(..) => {
            let error = SqlError::new(
                "428C9",
                format!("column \"{name}\" is a level and follows from the member"),
            );
            Err(error.with_hint("write the dimension's own column, a member's key"))
        }
        _ => Ok(source),
    }
}

fn column_text(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map_or_else(String::new, text_of)
}

/// The type that a parameter standing alone for a column has.
fn parameter_type(
    version: &Version,
    cube: cube::CubeId,
    source: ColumnSource,
    value: &Expr,
) -> Option<(usize, DataType)> {
    let Expr::Value(value) = value else { return None };
    let datafusion::sql::sqlparser::ast::Value::Placeholder(name) = &value.value else {
        return None;
    };
    let idx = name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)?;
    let columns = CubeColumns::new(version, cube);
    let at = columns.sources.iter().position(|&other| other == source)?;
    Some((idx, columns.schema.field(at).data_type().clone()))
}

fn plan_insert(insert: &Insert, snapshot: &Snapshot) -> Result<WritePlan, SqlError> {
    let version = &snapshot.view.version;
    let TableObject::TableName(name) = &insert.table else {
        return Err(unsupported("INSERT INTO a function"));
    };
    if insert.returning.is_some() {
        return Err(unsupported("RETURNING"));
    }
    let cube = target_cube(name, version)?;
    let source = insert.source.as_ref().ok_or_else(|| unsupported("INSERT DEFAULT VALUES"))?;
    let all = CubeColumns::new(version, cube);
    let columns: Vec<ColumnSource> = if insert.columns.is_empty() {
        let width = match source.body.as_ref() {
            SetExpr::Values(values) => values.rows.first().map_or(0, |row| row.len()),
            _ => all.sources.len(),
        };
        all.sources
            .iter()
            .copied()
            .filter(|s| !matches!(s, ColumnSource::Level(..)))
            .take(width)
            .collect()
    } else {
        let names = insert.columns.iter().map(column_text);
        names.map(|name| assigned_column(&name, snapshot, cube)).collect::<Result<_, _>>()?
    };
    for required in all
        .sources
        .iter()
        .filter(|s| matches!(s, ColumnSource::Key(_) | ColumnSource::Dimension(_)))
    {
        if !columns.contains(required) {
            let name = column_name(version, cube, *required);
            return Err(SqlError::new(
                "23502",
                format!("null value in column \"{name}\" violates not-null constraint"),
            )
            .with_hint("an INSERT names every key and dimension of the cube"));
        }
    }
    let mut parameter_types = Vec::new();
    if let SetExpr::Values(values) = source.body.as_ref() {
        for row in &values.rows {
            if row.len() != columns.len() {
                return Err(SqlError::new(
                    "42601",
                    format!(
                        "INSERT has {} target columns but {} expressions",
                        columns.len(),
                        row.len()
                    ),
                ));
            }
            let pairs = columns.iter().zip(row.iter());
            parameter_types.extend(
                pairs.filter_map(|(&column, value)| parameter_type(version, cube, column, value)),
            );
        }
    }
    refuse_repeated(version, cube, &columns, "42701")?;
    let kind = WriteKind::Insert(on_existing(insert.on.as_ref())?);
    let replaced = replaced(insert.on.as_ref(), &columns, snapshot, cube)?;
    let (query, given) = (source.to_string(), Given::of_insert(source, &all, &columns));
    Ok(WritePlan { cube, kind, query, columns, replaced, parameter_types, given })
}

/// The measures that ON CONFLICT DO UPDATE sets.
fn replaced(
    on: Option<&OnInsert>,
    columns: &[ColumnSource],
    snapshot: &Snapshot,
    cube: cube::CubeId,
) -> Result<Vec<MeasureId>, SqlError> {
    let Some(OnInsert::OnConflict(conflict)) = on else { return Ok(Vec::new()) };
    let OnConflictAction::DoUpdate(update) = &conflict.action else { return Ok(Vec::new()) };
    let measure = |assignment: &Assignment| {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unsupported("ON CONFLICT DO UPDATE of several columns at once"));
        };
        match assigned_column(&column_text(name), snapshot, cube)? {
            ColumnSource::Measure(measure) if columns.contains(&ColumnSource::Measure(measure)) => {
                Ok(measure)
            }
            ColumnSource::Measure(_) => {
                Err(unsupported("EXCLUDED of a column that is not inserted"))
            }
            _ => Err(unsupported("ON CONFLICT DO UPDATE of a key or a dimension")),
        }
    };
    update.assignments.iter().map(measure).collect()
}

fn refuse_repeated(
    version: &Version,
    cube: cube::CubeId,
    columns: &[ColumnSource],
    sqlstate: &'static str,
) -> Result<(), SqlError> {
    let repeated =
        columns.iter().enumerate().find(|(idx, column)| columns[..*idx].contains(column));
    repeated.map_or(Ok(()), |(_, &column)| {
        let name = column_name(version, cube, column);
        Err(SqlError::new(sqlstate, format!("column \"{name}\" specified more than once")))
    })
}

fn on_existing(on: Option<&OnInsert>) -> Result<OnExisting, SqlError> {
    let Some(on) = on else { return Ok(OnExisting::Fail) };
    let OnInsert::OnConflict(conflict) = on else { return Err(unsupported("ON DUPLICATE KEY")) };
    match &conflict.action {
        OnConflictAction::DoNothing => Ok(OnExisting::Skip),
        OnConflictAction::DoUpdate(update) => {
            let takes_excluded = |assignment: &Assignment| {
                let target = assignment.target.to_string().to_lowercase();
                assignment.value.to_string().to_lowercase() == format!("excluded.{target}")
            };
            if update.selection.is_none() && update.assignments.iter().all(takes_excluded) {
                Ok(OnExisting::Replace)
            } else {
                Err(unsupported("ON CONFLICT DO UPDATE other than SET column = EXCLUDED.column"))
            }
        }
    }
}

fn plan_update(update: &Update, snapshot: &Snapshot) -> Result<WritePlan, SqlError> {
    let version = &snapshot.view.version;
    if update.returning.is_some() {
        return Err(unsupported("RETURNING"));
    }
    let TableFactor::Table { name, alias, .. } = &update.table.relation else {
        return Err(unsupported("UPDATE of something else than a table"));
    };
    let cube = target_cube(name, version)?;
    let shown = alias.as_ref().map_or_else(|| name.to_string(), |alias| alias.name.to_string());
    let mut columns = primary_key(version, cube);
    let mut items: Vec<String> =
        columns.iter().map(|&key| format!("{shown}.{}", column_name(version, cube, key))).collect();
    let mut parameter_types = Vec::new();
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(target) = &assignment.target else {
            return Err(unsupported("UPDATE of several columns at once"));
        };
        let source = assigned_column(&column_text(target), snapshot, cube)?;
        if !matches!(source, ColumnSource::Measure(_)) {
            return Err(unsupported("UPDATE of a key or a dimension"));
        }
        parameter_types.extend(parameter_type(version, cube, source, &assignment.value));
        items.push(format!("{} AS \"v{}\"", assignment.value, items.len()));
        columns.push(source);
    }
    refuse_repeated(version, cube, &columns, "42601")?;
    let from = match &update.from {
        None => String::new(),
        Some(UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables)) => {
            tables.iter().map(|table| format!(", {table}")).collect()
        }
    };
    let query = select(&items, &update.table, &from, update.selection.as_ref());
    let given = Given::of_update(update, &CubeColumns::new(version, cube), &columns);
    let (kind, replaced) = (WriteKind::Update, Vec::new());
    Ok(WritePlan { cube, kind, query, columns, replaced, parameter_types, given })
}

fn plan_delete(delete: &Delete, version: &Version) -> Result<WritePlan, SqlError> {
    if delete.returning.is_some() || delete.using.is_some() {
        return Err(unsupported("DELETE with RETURNING or USING"));
    }
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else { return Err(unsupported("DELETE from several tables")) };
    let TableFactor::Table { name, alias, .. } = &table.relation else {
        return Err(unsupported("DELETE from something else than a table"));
    };
    let cube = target_cube(name, version)?;
    let shown = alias.as_ref().map_or_else(|| name.to_string(), |alias| alias.name.to_string());
    let columns = primary_key(version, cube);
    let items: Vec<String> =
        columns.iter().map(|&key| format!("{shown}.{}", column_name(version, cube, key))).collect();
    let query = select(&items, table, "", delete.selection.as_ref());
    let (kind, replaced, parameter_types) = (WriteKind::Delete, Vec::new(), Vec::new());
    Ok(WritePlan { cube, kind, query, columns, replaced, parameter_types, given: None })
}

fn select(
    items: &[String],
    table: &TableWithJoins,
    from: &str,
    selection: Option<&Expr>,
) -> String {
    let condition = selection.map_or_else(String::new, |selection| format!(" WHERE {selection}"));
    format!("SELECT {} FROM {table}{from}{condition}", items.join(", "))
}
