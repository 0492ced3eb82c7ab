//! INSERT, UPDATE and DELETE: a query that finds or makes the rows, then a change of the cube.
//!
//! The query keeps the types of what the statement wrote, so that a number with too many digits is
//! refused and never rounded on the way in.

use calc::Plan;
use cube::change::{RowsAction, RowsWrite};
use cube::dictionary::TextTable;
use cube::model::CubeKind;
use cube::number::Number;
use cube::segment::Rows;
use cube::value::KeyPart;
use cube::{Change, MeasureId, MemberId, ValueList, ValueType, Version};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectName, OnConflictAction,
    OnInsert, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, Update,
    UpdateTableFromKind,
};

use super::columns::{ColumnSource, CubeColumns};
use super::history::history_of;
use crate::error::SqlError;
use crate::tenant::Snapshot;

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
    let parts = name.0.iter().filter_map(|part| part.as_ident());
    parts
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        })
        .collect()
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
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map_or_else(String::new, |ident| {
        if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
    })
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
    Ok(WritePlan { cube, kind, query: source.to_string(), columns, replaced, parameter_types })
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
    let kind = WriteKind::Update;
    Ok(WritePlan { cube, kind, query, columns, replaced: Vec::new(), parameter_types })
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
    Ok(WritePlan { cube, kind, query, columns, replaced, parameter_types })
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

/// The changes that the query's rows ask for, and how many rows they touch.
pub fn changes(
    plan: &WritePlan,
    snapshot: &Snapshot,
    batches: &[RecordBatch],
) -> Result<(Vec<Change>, usize), SqlError> {
    let mut builder = Builder::new(plan, snapshot);
    for batch in batches {
        if batch.num_columns() != plan.columns.len() {
            return Err(SqlError::new(
                "42601",
                format!(
                    "INSERT has {} target columns but {} expressions",
                    plan.columns.len(),
                    batch.num_columns()
                ),
            ));
        }
        for row in 0..batch.num_rows() {
            builder.add(batch, row)?;
        }
    }
    builder.finish()
}

struct Builder<'a> {
    plan: &'a WritePlan,
    version: &'a Version,
    formulas: &'a Plan,
    columns: CubeColumns,
    write: RowsWrite,
    /// The rows again, as a table, to find those that are there.
    rows: Rows,
    /// The texts that values of the rows name by position.
    texts: TextTable,
}

impl<'a> Builder<'a> {
    fn new(plan: &'a WritePlan, snapshot: &'a Snapshot) -> Self {
        let version: &Version = &snapshot.view.version;
        let def = version.model.cube_def(plan.cube);
        let named = plan.columns.iter().filter_map(|column| match column {
            ColumnSource::Measure(measure) => Some(*measure),
            _ => None,
        });
        let inputs = (0..def.def.measures.len()).map(MeasureId::from_idx);
        let measures = match (plan.kind, def.def.kind) {
            // a cell is deleted by blanking its inputs; what formulas put there stays
            (WriteKind::Delete, CubeKind::Cells) => {
                inputs.filter(|&m| version.model.is_input(plan.cube, m)).collect()
            }
            _ => named.collect(),
        };
        let action = match (plan.kind, def.def.kind) {
            (WriteKind::Delete, CubeKind::Records) => RowsAction::Remove,
            _ => RowsAction::Set,
        };
        let write = RowsWrite {
            cube: plan.cube,
            action,
            measures,
            keys: Vec::new(),
            coordinates: Vec::new(),
            values: ValueList::new(),
        };
        Self {
            plan,
            version,
            formulas: &snapshot.plan,
            columns: CubeColumns::new(version, plan.cube),
            write,
            rows: version.empty_rows(plan.cube),
            texts: TextTable::default(),
        }
    }

    fn add(&mut self, batch: &RecordBatch, row: usize) -> Result<(), SqlError> {
        let def = self.version.model.cube_def(self.plan.cube);
        let mut keys: Vec<Option<KeyPart>> = vec![None; def.def.key.len()];
        let mut members: Vec<Option<MemberId>> = vec![None; def.dimensions.len()];
        let mut values: Vec<Option<i64>> = vec![None; def.def.measures.len()];
        for (array, &source) in batch.columns().iter().zip(&self.plan.columns) {
            let value = ScalarValue::try_from_array(array, row)
                .map_err(|error| SqlError::new("XX000", error.to_string()))?;
            match source {
                ColumnSource::Key(idx) => {
                    let text = self.required_text(&value, source)?;
                    keys[idx] = Some(KeyPart::parse(def.def.key[idx].key_type, &text)?);
                }
                ColumnSource::Dimension(position) => {
                    let text = self.required_text(&value, source)?;
                    let dimension = self.version.dimension(def.dimensions[position]);
                    let member = self.version.resolve_fact(self.plan.cube, position, &text);
                    let member = member.map_err(|error| {
                        let detail = format!(
                            "column \"{}\" names a member of dimension {}",
                            dimension.def.name, dimension.def.name
                        );
                        SqlError::from(error).with_detail(detail)
                    })?;
                    members[position] = Some(member);
                }
                ColumnSource::Measure(measure) => {
                    let measure_def = def.measure_def(measure);
                    let stored = stored(&value, measure_def.value_type, &mut self.texts);
                    values[measure.idx()] = stored.map_err(|error| {
                        let at = self.describe(&keys, &members);
                        SqlError {
                            detail: Some(format!("column \"{}\"{at}", measure_def.name)),
                            ..error
                        }
                    })?;
                }
                ColumnSource::Level(..) => {}
            }
        }
        self.push(keys, members, values);
        Ok(())
    }

    fn push(
        &mut self,
        keys: Vec<Option<KeyPart>>,
        members: Vec<Option<MemberId>>,
        values: Vec<Option<i64>>,
    ) {
        for (column, key) in self.rows.keys.iter_mut().zip(keys) {
            column.push(key.unwrap_or(KeyPart::Integer(0)));
        }
        for (column, member) in self.rows.coordinates.iter_mut().zip(members) {
            column.push(member.unwrap_or(MemberId(0)));
        }
        for (column, value) in self.rows.values.iter_mut().zip(values) {
            column.push(value);
        }
    }

    fn describe(&self, keys: &[Option<KeyPart>], members: &[Option<MemberId>]) -> String {
        let def = self.version.model.cube_def(self.plan.cube);
        let keys = keys.iter().zip(&def.def.key).filter_map(|(part, key)| {
            part.as_ref().map(|part| format!("{}={}", key.name, part.format(key.key_type)))
        });
        let members = members.iter().zip(&def.dimensions).filter_map(|(member, &id)| {
            let dimension = self.version.dimension(id);
            member.map(|member| format!("{}={}", dimension.def.name, dimension.key(member)))
        });
        let parts: Vec<String> = keys.chain(members).collect();
        if parts.is_empty() { String::new() } else { format!(" at ({})", parts.join(", ")) }
    }

    fn required_text(&self, value: &ScalarValue, source: ColumnSource) -> Result<String, SqlError> {
        scalar_text(value).ok_or_else(|| {
            let idx =
                self.columns.sources.iter().position(|&other| other == source).unwrap_or_default();
            let name = self.columns.schema.field(idx).name();
            SqlError::new(
                "23502",
                format!("null value in column \"{name}\" violates not-null constraint"),
            )
        })
    }

    fn finish(mut self) -> Result<(Vec<Change>, usize), SqlError> {
        let current = self.version.rows(self.plan.cube);
        let is_records = !self.rows.keys.is_empty();
        let (mut kept, mut replaced): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for row in 0..self.rows.len() {
            let location = current.find(&self.rows, row);
            let keeps_members = match self.plan.kind {
                WriteKind::Insert(on_existing) => on_existing == OnExisting::Replace,
                WriteKind::Update | WriteKind::Delete => true,
            };
            if is_records
                && keeps_members
                && let Some(location) = location
            {
                // the query gave the key alone: the coordinate is that of the row
                let mut old = self.version.empty_rows(self.plan.cube);
                current.copy_row(location, &mut old);
                for (column, from) in self.rows.coordinates.iter_mut().zip(&old.coordinates) {
                    column[row] = from[0];
                }
            }
            let taken = location.is_some_and(|location| {
                let coordinate = self.rows.coordinate(row);
                // an input over a computed value takes nobody's place
                let taker = |measure: MeasureId| {
                    self.formulas.taker(self.version, self.plan.cube, measure, &coordinate)
                };
                let filled = |measure: &MeasureId| {
                    self.rows.values[measure.idx()].get(row).is_some()
                        && current.value(location, taker(*measure).idx()).is_some()
                };
                is_records || self.write.measures.iter().any(filled)
            });
            match self.plan.kind {
                WriteKind::Insert(OnExisting::Fail) if taken => return Err(self.duplicate(row)),
                WriteKind::Insert(OnExisting::Skip) if taken => {}
                WriteKind::Insert(OnExisting::Replace) if taken => replaced.push(row),
                _ => kept.push(row),
            }
        }
        self.refuse_repeats(&self.rows.taken(&[kept.as_slice(), &replaced].concat()))?;
        let count = kept.len() + replaced.len();
        let parts = [(self.write.measures.clone(), kept), (self.plan.replaced.clone(), replaced)];
        let mut texts = TextTable::default();
        let mut writes = Vec::new();
        for (measures, rows) in parts.into_iter().filter(|(_, rows)| !rows.is_empty()) {
            let write = self.part(measures, &rows, &mut texts)?;
            if self.plan.kind == WriteKind::Delete {
                // all inputs are blanked, each by itself
                writes.push(write);
                continue;
            }
            let parts = self.formulas.redirected(self.version, write).map_err(|twice| {
                let name = column_name(self.version, self.plan.cube, ColumnSource::Measure(twice));
                let message = format!("multiple assignments to same column \"{name}\"");
                let detail = "another column that the statement writes takes its inputs there";
                SqlError::new("42601", message).with_detail(detail)
            })?;
            writes.extend(parts.into_iter().map(|(write, _)| write));
        }
        let texts = texts.into_change().into_iter();
        Ok((texts.chain(writes.into_iter().map(Change::Rows)).collect(), count))
    }

    /// The write of some rows and measures. Its texts are named anew: some rows were passed over.
    fn part(
        &self,
        measures: Vec<MeasureId>,
        places: &[usize],
        texts: &mut TextTable,
    ) -> Result<RowsWrite, SqlError> {
        let def = self.version.model.cube_def(self.plan.cube);
        let rows = self.rows.taken(places);
        let is_records = !rows.keys.is_empty();
        let mut write = RowsWrite { measures, ..self.write.clone() };
        for row in 0..places.len() {
            write.keys.extend(rows.keys.iter().map(|column| column[row].clone()));
            if write.action == RowsAction::Set || !is_records {
                write.coordinates.extend(rows.coordinates.iter().map(|column| column[row]));
            }
            if write.action == RowsAction::Set {
                let measures = write.measures.iter();
                write.values.extend(measures.map(|measure| rows.values[measure.idx()].get(row)));
            }
        }
        let width = write.measures.len().max(1);
        for at in 0..write.values.len() {
            let measure = def.measure_def(write.measures[at % width]);
            if let (ValueType::Text, Some(position)) = (measure.value_type, write.values.get(at)) {
                let text = usize::try_from(position).ok().and_then(|at| self.texts.texts().get(at));
                let position = texts.position(text.map_or("", |text| text.as_ref()))?;
                write.values.set(at, Some(position));
            }
        }
        Ok(write)
    }

    fn duplicate(&self, row: usize) -> SqlError {
        let name = &self.version.model.cube_def(self.plan.cube).def.name;
        let place = self.version.describe_row(self.plan.cube, &self.rows, row);
        SqlError::new(
            "23505",
            format!("duplicate key value violates unique constraint \"{name}_pkey\""),
        )
        .with_detail(format!("{place} holds a value already"))
        .with_hint("UPDATE it, or say ON CONFLICT")
    }

    fn refuse_repeats(&self, rows: &Rows) -> Result<(), SqlError> {
        let sorted = rows.clone().sorted();
        let Some(row) = sorted.first_duplicate() else { return Ok(()) };
        let place = self.version.describe_row(self.plan.cube, &sorted, row);
        let state = if matches!(self.plan.kind, WriteKind::Insert(_)) { "23505" } else { "21000" };
        Err(SqlError::new(state, "a row is written twice in one statement").with_detail(place))
    }
}

/// A value as text, exact; `None` for NULL.
fn scalar_text(value: &ScalarValue) -> Option<String> {
    if value.is_null() {
        return None;
    }
    Some(match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => text.clone(),
        ScalarValue::Decimal128(Some(mantissa), _, scale) => {
            Number::new(*mantissa, u32::try_from(*scale).unwrap_or(0)).to_string()
        }
        ScalarValue::Date32(Some(days)) => cube::value::format_date(*days),
        // the shortest digits that give the same float: what was typed
        ScalarValue::Float64(Some(number)) => number.to_string(),
        ScalarValue::Float32(Some(number)) => number.to_string(),
        other => other.to_string(),
    })
}

/// A value as a measure's stored integer, exact or refused; of a text its position in the table.
fn stored(
    value: &ScalarValue,
    value_type: ValueType,
    texts: &mut TextTable,
) -> Result<Option<i64>, SqlError> {
    let Some(text) = scalar_text(value) else { return Ok(None) };
    if value_type == ValueType::Text {
        return Ok(Some(texts.position(&text)?));
    }
    let result = value_type.parse(&text).map(Some);
    result.map_err(|error| match &error {
        cube::CubeError::InvalidValue { reason, .. } if reason.starts_with("more than") => {
            SqlError {
                sqlstate: "22003",
                hint: Some("round the value first, for example with round(value, digits)".into()),
                ..SqlError::from(error)
            }
        }
        _ => SqlError::from(error),
    })
}
