//! From the rows of a write's query to the change of the cube.

use calc::Plan;
use cube::change::{RowsAction, RowsWrite};
use cube::dictionary::TextTable;
use cube::model::CubeKind;
use cube::number::Number;
use cube::segment::{CubeRows, Location, Rows};
use cube::value::KeyPart;
use cube::{Change, MeasureId, MemberId, ValueList, ValueType, Version, order};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;

use super::columns::{Column, columns_of};
use super::{OnExisting, WriteKind, WritePlan, column_name};
use crate::error::SqlError;
use crate::sql::columns::ColumnSource;
use crate::tenant::Snapshot;

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
        builder.add_batch(batch)?;
    }
    builder.finish()
}

/// The same of the rows that a statement gives itself; none where its query is to tell.
pub fn given_changes(
    plan: &WritePlan,
    snapshot: &Snapshot,
    parameters: &[ScalarValue],
) -> Option<Result<(Vec<Change>, usize), SqlError>> {
    let rows = plan.given.as_ref()?.rows(plan, snapshot, parameters)?;
    let mut builder = Builder::new(plan, snapshot);
    builder.add_columns(&rows).then(|| builder.finish())
}

struct Builder<'a> {
    plan: &'a WritePlan,
    version: &'a Version,
    formulas: &'a Plan,
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
            write,
            rows: version.empty_rows(plan.cube),
            texts: TextTable::default(),
        }
    }

    /// Takes in a batch by its columns where these are the cube's own, else row by row.
    fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        match self.add_columns(batch) {
            true => Ok(()),
            false => (0..batch.num_rows()).try_for_each(|row| self.add(batch, row)),
        }
    }

    /// Takes in a batch by its columns, if these are the cube's own.
    fn add_columns(&mut self, batch: &RecordBatch) -> bool {
        let (version, plan) = (self.version, self.plan);
        let columns = columns_of(version, plan.cube, &plan.columns, batch, &mut self.texts);
        let Some(columns) = columns else { return false };
        let count = self.rows.len() + batch.num_rows();
        for column in columns {
            match column {
                Column::Key(at, mut parts) => self.rows.keys[at].append(&mut parts),
                Column::Members(at, mut members) => self.rows.coordinates[at].append(&mut members),
                Column::Values(at, values) => self.rows.values[at].append(&values),
            }
        }
        // what the query does not give
        let Rows { keys, coordinates, values } = &mut self.rows;
        keys.iter_mut().for_each(|column| column.resize(count, KeyPart::Integer(0)));
        coordinates.iter_mut().for_each(|column| column.resize(count, MemberId(0)));
        values.iter_mut().for_each(|column| column.fill_up(count));
        true
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
            let name = column_name(self.version, self.plan.cube, source);
            SqlError::new(
                "23502",
                format!("null value in column \"{name}\" violates not-null constraint"),
            )
        })
    }

    fn finish(mut self) -> Result<(Vec<Change>, usize), SqlError> {
        let current = self.version.rows(self.plan.cube);
        let order = order::positions(&self.rows);
        let locations = self.locations(current, &order);
        self.take_members(current, &locations);
        let is_insert = matches!(self.plan.kind, WriteKind::Insert(_));
        let (mut kept, mut replaced): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (row, location) in locations.into_iter().enumerate() {
            let taken = location.is_some_and(|at| is_insert && self.is_taken(current, row, at));
            match self.plan.kind {
                WriteKind::Insert(OnExisting::Fail) if taken => return Err(self.duplicate(row)),
                WriteKind::Insert(OnExisting::Skip) if taken => {}
                WriteKind::Insert(OnExisting::Replace) if taken => replaced.push(row),
                // a row that was named and not found by a query
                WriteKind::Update if location.is_none() => {}
                _ => kept.push(row),
            }
        }
        self.refuse_repeats(&order, &[kept.as_slice(), &replaced].concat())?;
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

    /// Where each row is now; not looked for where rows are removed by their key.
    fn locations(&self, current: &CubeRows, order: &[usize]) -> Vec<Option<Location>> {
        let mut locations = vec![None; self.rows.len()];
        if self.write.action == RowsAction::Set {
            let found = current.find_sorted(&self.rows.taken(order));
            order.iter().zip(found).for_each(|(&row, location)| locations[row] = location);
        }
        locations
    }

    /// Where the query gave the keys of records alone, their coordinates are those that they have.
    fn take_members(&mut self, current: &CubeRows, locations: &[Option<Location>]) {
        let keeps_members = match self.plan.kind {
            WriteKind::Insert(on_existing) => on_existing == OnExisting::Replace,
            WriteKind::Update | WriteKind::Delete => true,
        };
        if self.rows.keys.is_empty() || !keeps_members {
            return;
        }
        for (row, location) in locations.iter().enumerate() {
            let Some(location) = location else { continue };
            let segment = &current.segments()[location.segment].segment;
            for (column, from) in self.rows.coordinates.iter_mut().zip(&segment.coordinates) {
                column[row] = from.get(location.row);
            }
        }
    }

    /// Whether what an INSERT brings has its place taken.
    fn is_taken(&self, current: &CubeRows, row: usize, location: Location) -> bool {
        let is_records = !self.rows.keys.is_empty();
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
    }

    /// The write of some rows and measures. Its texts are named anew: some rows were passed over.
    fn part(
        &self,
        measures: Vec<MeasureId>,
        places: &[usize],
        texts: &mut TextTable,
    ) -> Result<RowsWrite, SqlError> {
        let def = self.version.model.cube_def(self.plan.cube);
        let Rows { keys, coordinates, values } = &self.rows;
        let sets = self.write.action == RowsAction::Set;
        let mut write = RowsWrite { measures, ..self.write.clone() };
        for &row in places {
            write.keys.extend(keys.iter().map(|column| column[row].clone()));
            if sets || keys.is_empty() {
                write.coordinates.extend(coordinates.iter().map(|column| column[row]));
            }
            if !sets {
                continue;
            }
            for &measure in &write.measures {
                let mut value = values[measure.idx()].get(row);
                if let (ValueType::Text, Some(position)) =
                    (def.measure_def(measure).value_type, &mut value)
                {
                    let text =
                        usize::try_from(*position).ok().and_then(|at| self.texts.texts().get(at));
                    *position = texts.position(text.map_or("", |text| text.as_ref()))?;
                }
                write.values.push(value);
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

    /// Of rows that are written, none may be there twice; `order` is that of their keys.
    fn refuse_repeats(&self, order: &[usize], written: &[usize]) -> Result<(), SqlError> {
        let mut is_written = vec![false; self.rows.len()];
        written.iter().for_each(|&row| is_written[row] = true);
        let in_order: Vec<usize> = order.iter().copied().filter(|&row| is_written[row]).collect();
        let mut pairs = in_order.windows(2);
        let same = pairs.find(|pair| self.rows.compare(pair[0], &self.rows, pair[1]).is_eq());
        let Some(same) = same else { return Ok(()) };
        let place = self.version.describe_row(self.plan.cube, &self.rows, same[0]);
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
        ScalarValue::Decimal128(Some(mantissa), _, scale) => match u32::try_from(*scale) {
            Ok(scale) => Number::new(*mantissa, scale).to_string(),
            // as 1e3 is
            Err(_) => format!("{mantissa}{}", "0".repeat(scale.unsigned_abs().into())),
        },
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
