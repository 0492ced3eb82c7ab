//! Cells and rows from a file, with the certificate that nothing was lost on the way.

mod by_column;
mod known;

use calc::Plan;
use cube::change::{RowsAction, RowsWrite};
use cube::dictionary::TextTable;
use cube::model::{CubeKind, KeyDef, MeasureDef};
use cube::number::{Number, Rounding, format_scaled};
use cube::value::KeyPart;
use cube::{Change, CubeError, CubeId, MeasureId, MemberId, ValueList, ValueType, Version};

use super::axis::Axis;
use super::block::Block;
use super::columns::{Column, Columns, Row};
use super::expression::Expression;
use super::map::{MapFile, Source, Sources};
use super::members::{evaluate, rejected};
use super::pool::Pool;
use super::progress::Stage;
use super::report::{Certificate, LoadError, LoadReport, RejectedRow, Rejects};
use super::suggest::Suggestions;
use super::table::{Table, TableError};
use super::totals::DigitSum;
use super::{LoadPlan, LoadRequest, with_source};
use crate::limits::ENTRY_PAYLOAD_BYTES_MAX;
use crate::model_files::FileProblem;
use known::Known;
use rayon::prelude::*;
use toml::Spanned;

/// A load of cells or rows.
pub(super) struct Rows<'a> {
    pub version: &'a Version,
    pub formulas: &'a Plan,
    pub cube: CubeId,
    pub map: &'a MapFile<'a>,
    pub columns: &'a Columns<'a>,
    pub request: &'a LoadRequest,
}

/// What the map says, resolved against the cube.
struct Layout<'a> {
    key: Vec<(&'a KeyDef, Expression)>,
    dimensions: Vec<Axis<'a>>,
    measures: Vec<(MeasureId, &'a MeasureDef, Expression)>,
}

/// What is read so far, of a block or of the file.
struct Reading {
    write: RowsWrite,
    /// The texts that values of the write name by position.
    texts: TextTable,
    /// Per row of the write, its number in the file.
    numbers: Vec<usize>,
    /// Rows that are cells without any value.
    blank_count: usize,
    totals: Vec<Totals>,
}

/// What came of one block.
struct Piece {
    reading: Reading,
    /// Rows of the block that cannot be placed.
    rejected: Vec<usize>,
}

/// One measure's sums of texts.
#[derive(Clone)]
struct Totals {
    rounded: DigitSum,
    raw: Option<DigitSum>,
}

/// The changes that load cells or rows.
pub(super) fn plan(load: &Rows<'_>, mut table: Table) -> Result<LoadPlan, LoadError> {
    let file = load.request.file.name.as_str();
    let layout = load.layout().map_err(|problem| LoadError::of_problem(file, problem))?;
    let mut rejects = Rejects::default();
    let mut rows_read = 0;
    let mut reading = Reading::new(load.cube, &layout);
    let mut suggestions = Suggestions::default();
    let known = Pool::default();
    let read = || {
        table.select(load.columns.used(layout.columns()))?;
        table.read(
            load.request.progress.as_ref(),
            |block| known.with(|known| layout.piece(load, block, known)),
            |block, Piece { reading: piece, rejected }, expected| {
                reading.reserve(expected.min(ENTRY_PAYLOAD_BYTES_MAX / layout.width()), &layout);
                rows_read += block.row_count() + block.ragged.len();
                let ragged = block.ragged.iter().map(|&row| (row.0, Err(row)));
                let rejected = rejected.into_iter().map(|row| (block.number(row), Ok(row)));
                let mut refused: Vec<_> = ragged.chain(rejected).collect();
                refused.sort_unstable_by_key(|(number, _)| *number);
                for (number, row) in refused {
                    rejects.add_with(number, || match row {
                        Ok(row) => layout.rejection(load, &block, row, &mut suggestions),
                        Err(ragged) => Some(load.columns.ragged(ragged)),
                    });
                }
                reading.append(piece, &layout)
            },
        )
    };
    // the digest is wanted soon, and is kept; whether there is one is said then
    let (_, read) = rayon::join(|| load.request.file.digest().is_ok(), read);
    read.map_err(|error| LoadError::of_table(file, error))?;
    let placed = Placed { layout, reading };
    load.request.progress.begins(Stage::Checking);
    placed.check_keys(load, &mut rejects);
    rejects.into_result(file, rows_read)?;
    placed.into_plan(load, rows_read)
}

impl Layout<'_> {
    /// The columns that it needs.
    fn columns(&self) -> impl Iterator<Item = Column> {
        let key = self.key.iter().map(|(_, source)| source);
        let dimensions = self.dimensions.iter().map(|axis| &axis.source);
        let measures = self.measures.iter().map(|(.., source)| source);
        key.chain(dimensions).chain(measures).flat_map(Expression::columns)
    }

    /// Fields of a row that are stored; a row has one at least.
    fn width(&self) -> usize {
        (self.key.len() + self.dimensions.len() + self.measures.len()).max(1)
    }

    /// What a block brings. Why rows cannot be placed is said later, of those that are listed.
    fn piece(&self, load: &Rows<'_>, block: &Block, known: &mut Vec<Known>) -> Piece {
        known.resize_with(self.dimensions.len(), Known::default);
        if let Some(reading) = self.by_column(load, block, known) {
            return Piece { reading, rejected: Vec::new() };
        }
        let mut reading = Reading::new(load.cube, self);
        reading.reserve(block.row_count(), self);
        let mut rejected = Vec::new();
        let mut member = |position: usize, raw: &str| {
            let axis = &self.dimensions[position];
            known[position]
                .of_text(raw, || axis.find(&axis.source.finish(raw)?).ok_or_else(String::new))
        };
        for row in 0..block.row_count() {
            let read = load.columns.row(block, row);
            if read.and_then(|row| reading.row(self, &row, &mut member)).is_err() {
                rejected.push(row);
            }
        }
        Piece { reading, rejected }
    }

    /// Why a row of a block cannot be placed.
    fn rejection(
        &self,
        load: &Rows<'_>,
        block: &Block,
        row: usize,
        suggestions: &mut Suggestions,
    ) -> Option<RejectedRow> {
        let mut member = |position: usize, raw: &str| {
            let axis: &Axis<'_> = &self.dimensions[position];
            axis.member(&axis.source.finish(raw)?, suggestions)
        };
        let read = load.columns.row(block, row);
        read.and_then(|row| Reading::new(load.cube, self).row(self, &row, &mut member)).err()
    }
}

impl<'a> Rows<'a> {
    fn layout(&self) -> Result<Layout<'a>, FileProblem> {
        let map = &self.map.map;
        let cube = self.version.model.cube_def(self.cube);
        if let Some(members) = &map.members {
            let message = "the file holds cells or rows: [members] goes with a dimension";
            return Err(self.map.problem(members, message));
        }
        if let Some((name, _)) = map.attributes.first() {
            let message = "the file holds cells or rows: [attributes] goes with a dimension";
            return Err(self.map.problem(name, message));
        }
        let keys: Vec<&str> = cube.def.key.iter().map(|key| key.name.as_str()).collect();
        let dimensions: Vec<&str> = cube.def.dimension_names().collect();
        let key = self.all("key", &map.key, &keys)?;
        let coordinates = self.all("dimensions", &map.dimensions, &dimensions)?;
        let key = key.into_iter().map(|source| self.expression(source));
        let key = key.collect::<Result<Vec<_>, _>>()?;
        let axis = |(position, source)| {
            let place = (self.cube, position);
            Axis::new(self.version, place, self.columns, self.map, source)
        };
        let dimensions = coordinates.into_iter().enumerate().map(axis);
        let dimensions = dimensions.collect::<Result<Vec<_>, _>>()?;
        let measures = self.measures()?;
        if measures.is_empty() && cube.def.kind == CubeKind::Cells {
            let message = "the map loads no measure";
            return Err(FileProblem::of_file(self.map.name, message));
        }
        Ok(Layout { key: cube.def.key.iter().zip(key).collect(), dimensions, measures })
    }

    fn expression(&self, source: &Spanned<Source>) -> Result<Expression, FileProblem> {
        Expression::new(self.columns, self.map, source)
    }

    /// The sources of names that all must be mapped, and nothing else.
    fn all(
        &self,
        section: &str,
        sources: &'a Sources,
        names: &[&str],
    ) -> Result<Vec<&'a Spanned<Source>>, FileProblem> {
        let cube = &self.version.model.cube_def(self.cube).def.name;
        let list = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        let hint = format!("[{section}] of cube {cube} has {list}");
        if let Some((name, _)) =
            sources.iter().find(|(name, _)| !names.contains(&name.get_ref().as_str()))
        {
            let message = format!("[{section}] of cube {cube} has no {:?}", name.get_ref());
            return Err(self.map.problem(name, message).with_hint(Some(hint)));
        }
        let mut found = Vec::new();
        for &name in names {
            let source = sources.iter().find(|(mapped, _)| mapped.get_ref() == name);
            let Some((_, source)) = source else {
                let message = format!("the map does not say where {name} of [{section}] is");
                return Err(FileProblem::of_file(self.map.name, message).with_hint(Some(hint)));
            };
            found.push(source);
        }
        Ok(found)
    }

    fn measures(&self) -> Result<Vec<(MeasureId, &'a MeasureDef, Expression)>, FileProblem> {
        let version: &'a Version = self.version;
        let cube = version.model.cube_def(self.cube);
        let mut measures = Vec::new();
        for (name, source) in &self.map.map.measures {
            let id = cube.measure(name.get_ref()).map_err(|error| {
                let message = format!("cube {}: {error}", cube.def.name);
                self.map.problem(name, message).with_hint(error.hint())
            })?;
            if let Some(formula) = version.model.formula_of(self.cube, id)
                && !self.formulas.takes_input(version, self.cube, id)
            {
                let message = format!("{} is a formula and is not loaded", formula.target);
                let hint = format!("it is {}", formula.text);
                return Err(self.map.problem(name, message).with_hint(Some(hint)));
            }
            let def = cube.measure_def(id);
            if source.get_ref().round.is_some() && !def.value_type.is_number() {
                let message = format!("{} is a {}, which is not rounded", def.name, def.value_type);
                return Err(self.map.problem(source, message));
            }
            let source = match def.value_type.is_number() {
                true => Expression::of_number(self.columns, self.map, source)?,
                false => self.expression(source)?,
            };
            measures.push((id, def, source));
        }
        Ok(measures)
    }
}

impl Reading {
    fn new(cube: CubeId, layout: &Layout<'_>) -> Self {
        let totals = layout.measures.iter().map(|(_, _, source)| Totals {
            rounded: DigitSum::new(),
            raw: source.round.map(|_| DigitSum::new()),
        });
        Self {
            write: RowsWrite {
                cube,
                action: RowsAction::Set,
                measures: layout.measures.iter().map(|(id, ..)| *id).collect(),
                keys: Vec::new(),
                coordinates: Vec::new(),
                values: ValueList::new(),
            },
            texts: TextTable::default(),
            numbers: Vec::new(),
            blank_count: 0,
            totals: totals.collect(),
        }
    }

    /// Makes room for so many rows in all, so that what is there is not moved again and again.
    fn reserve(&mut self, rows: usize, layout: &Layout<'_>) {
        let more = rows.saturating_sub(self.numbers.len());
        self.numbers.reserve(more);
        self.write.keys.reserve(more * layout.key.len());
        self.write.coordinates.reserve(more * layout.dimensions.len());
        self.write.values.reserve(more * layout.measures.len());
    }

    /// Reads one row. What was read of one that is rejected is left out again; its part of the totals
    /// stays, and nobody looks at them then.
    fn row(
        &mut self,
        layout: &Layout<'_>,
        row: &Row<'_>,
        member: &mut impl FnMut(usize, &str) -> Result<MemberId, String>,
    ) -> Result<(), RejectedRow> {
        let write = &self.write;
        let (keys, places, values) =
            (write.keys.len(), write.coordinates.len(), write.values.len());
        if let Err(rejected) = self.fields(layout, row, member) {
            self.write.keys.truncate(keys);
            self.write.coordinates.truncate(places);
            self.write.values.truncate(values);
            return Err(rejected);
        }
        self.numbers.push(row.number);
        let written = &self.write.values;
        let is_blank = layout.key.is_empty()
            && (values..written.len()).all(|value| written.get(value).is_none());
        self.blank_count += usize::from(is_blank);
        Ok(())
    }

    fn fields(
        &mut self,
        layout: &Layout<'_>,
        row: &Row<'_>,
        member: &mut impl FnMut(usize, &str) -> Result<MemberId, String>,
    ) -> Result<(), RejectedRow> {
        for (def, source) in &layout.key {
            self.write.keys.push(evaluate(source, row, |text| {
                KeyPart::parse(def.key_type, text).map_err(|error| error.to_string())
            })?);
        }
        for (position, axis) in layout.dimensions.iter().enumerate() {
            let raw = axis.source.raw(row);
            let member = member(position, &raw);
            let member =
                member.map_err(|reason| rejected(row.number, &axis.source, &raw, reason))?;
            self.write.coordinates.push(member);
        }
        for ((_, def, source), totals) in layout.measures.iter().zip(&mut self.totals) {
            let texts = &mut self.texts;
            self.write.values.push(evaluate(source, row, |text| {
                let value = stored(def, source.round, text, texts)?;
                if def.value_type.is_number() {
                    totals.add(text, source.round, def.rounding);
                }
                Ok(value)
            })?);
        }
        Ok(())
    }

    /// Appends what came of the next block.
    fn append(&mut self, mut piece: Self, layout: &Layout<'_>) -> Result<(), TableError> {
        piece.move_texts(&mut self.texts, layout)?;
        self.write.keys.append(&mut piece.write.keys);
        self.write.coordinates.append(&mut piece.write.coordinates);
        self.write.values.append(&piece.write.values);
        self.numbers.append(&mut piece.numbers);
        self.blank_count += piece.blank_count;
        self.totals.iter_mut().zip(&piece.totals).for_each(|(sum, part)| sum.append(part));
        let write = &self.write;
        let fields = write.keys.len() + write.coordinates.len() + write.values.len();
        if fields > ENTRY_PAYLOAD_BYTES_MAX {
            // each takes a byte at least
            return Err(TableError::new(format!(
                "up to row {} it has more than fits into one ledger entry, which has up to \
                 {ENTRY_PAYLOAD_BYTES_MAX} bytes",
                self.numbers.last().unwrap_or(&0)
            ))
            .with_hint("split the file; each part is an entry of its own"));
        }
        Ok(())
    }

    /// Makes the values of text measures positions in the texts of all blocks.
    fn move_texts(&mut self, texts: &mut TextTable, layout: &Layout<'_>) -> Result<(), TableError> {
        if self.texts.texts().is_empty() {
            return Ok(());
        }
        let positions = self.texts.texts().iter().map(|text| texts.position(text));
        let positions = positions.collect::<Result<Vec<i64>, _>>();
        let positions = positions.map_err(|error| TableError::new(error.to_string()))?;
        let width = layout.measures.len();
        for (place, (_, def, _)) in layout.measures.iter().enumerate() {
            if def.value_type == ValueType::Text {
                let values = &mut self.write.values;
                for at in (place..values.len()).step_by(width) {
                    values.set(at, values.get(at).map(|value| positions[value as usize]));
                }
            }
        }
        Ok(())
    }
}

/// A file of which every row was read, with what the map says.
struct Placed<'a> {
    layout: Layout<'a>,
    reading: Reading,
}

impl<'a> Placed<'a> {
    /// A rejection of a row of the write for its primary key.
    fn refused(&self, row: usize, reason: String) -> RejectedRow {
        let (key_width, dimension_count) = (self.layout.key.len(), self.layout.dimensions.len());
        let (names, values): (Vec<&str>, Vec<String>) = if key_width > 0 {
            let parts = &self.reading.write.keys[row * key_width..(row + 1) * key_width];
            let pairs = self.layout.key.iter().zip(parts);
            pairs.map(|((def, _), part)| (def.name.as_str(), part.format(def.key_type))).unzip()
        } else {
            let range = row * dimension_count..(row + 1) * dimension_count;
            let pairs = self.layout.dimensions.iter().zip(&self.reading.write.coordinates[range]);
            let words = pairs.map(|(axis, &member)| {
                (axis.dimension.def.name.as_str(), axis.dimension.key(member).to_string())
            });
            words.unzip()
        };
        let (row, column, value) = (self.reading.numbers[row], names.join(", "), values.join(", "));
        RejectedRow { row, column, value, reason }
    }

    /// Rejects rows whose primary key stands in the file twice, or in the cube already.
    fn check_keys(&self, load: &Rows<'a>, rejects: &mut Rejects) {
        let is_new = load.version.rows(load.cube).row_count() == 0;
        if is_new
            && self.reading.write.is_in_order(self.layout.key.len(), self.layout.dimensions.len())
        {
            self.check_computed(load, rejects);
            return;
        }
        let (key_width, dimension_count) = (self.layout.key.len(), self.layout.dimensions.len());
        let mut rows = load.version.empty_rows(load.cube);
        let write = &self.reading.write;
        rows.keys.par_iter_mut().enumerate().for_each(|(position, column)| {
            column.extend(write.keys.iter().skip(position).step_by(key_width).cloned());
        });
        rows.coordinates.par_iter_mut().enumerate().for_each(|(position, column)| {
            column.extend(write.coordinates.iter().skip(position).step_by(dimension_count));
        });
        let order = cube::order::positions(&rows);
        let mut first = 0;
        for position in 1..order.len() {
            if rows.compare(order[first], &rows, order[position]).is_ne() {
                first = position;
                continue;
            }
            let what = if key_width > 0 { "row key" } else { "coordinate" };
            let earlier = self.reading.numbers[order[first]];
            let reason = format!("the {what} stands in row {earlier} already");
            rejects.add(self.refused(order[position], reason));
        }
        if !is_new {
            self.check_existing(load, &rows, rejects);
        }
        self.check_computed(load, rejects);
    }

    /// Rejects rows with values where a formula computes them and takes no inputs.
    fn check_computed(&self, load: &Rows<'a>, rejects: &mut Rejects) {
        let (version, cube) = (load.version, load.cube);
        if !version.regions.iter().any(|region| region.cube == cube) {
            return;
        }
        let (axes, width) = (self.layout.dimensions.len(), self.layout.measures.len());
        for row in 0..self.reading.numbers.len() {
            let coordinate = &self.reading.write.coordinates[row * axes..(row + 1) * axes];
            let values = (row * width..).map(|at| self.reading.write.values.get(at));
            let mut loaded = self.layout.measures.iter().zip(values);
            let refused = loaded.find(|((id, ..), value)| {
                value.is_some()
                    && version.is_computed(cube, *id, |axis| coordinate[axis])
                    && load.formulas.taker(version, cube, *id, coordinate) == *id
            });
            if let Some(((_, def, _), _)) = refused {
                let reason = format!("{} is computed by a formula there", def.name);
                rejects.add(self.refused(row, reason));
            }
        }
    }

    /// Rejects rows that would write over a value, or move a row that exists.
    fn check_existing(&self, load: &Rows<'a>, rows: &cube::segment::Rows, rejects: &mut Rejects) {
        let current = load.version.rows(load.cube);
        let mut old = load.version.empty_rows(load.cube);
        for row in 0..self.reading.numbers.len() {
            let Some(location) = current.find(rows, row) else { continue };
            let coordinate = rows.coordinate(row);
            let mut measures = self.layout.measures.iter();
            let taken = measures.find(|(id, ..)| {
                let taker = load.formulas.taker(load.version, load.cube, *id, &coordinate);
                current.value(location, taker.idx()).is_some()
            });
            current.copy_row(location, &mut old);
            let last = old.len() - 1;
            let mut pairs = old.coordinates.iter().zip(&rows.coordinates);
            let reason = match taken {
                Some((_, def, _)) => format!("{} holds a value there already", def.name),
                None if pairs.any(|(old, new)| old[last] != new[row]) => {
                    "the row exists with other members".to_string()
                }
                None => continue,
            };
            rejects.add(self.refused(row, reason));
        }
    }

    /// The changes, once nothing is wrong with any row.
    fn into_plan(self, load: &Rows<'a>, rows_read: usize) -> Result<LoadPlan, LoadError> {
        let file = &load.request.file;
        let certificates = self.certificates(&file.name, rows_read)?;
        let Reading { write, numbers, texts, blank_count, .. } = self.reading;
        let report = LoadReport {
            file: file.name.clone(),
            target: load.request.target.clone(),
            rows_read,
            rows_loaded: numbers.len() - blank_count,
            members_added: 0,
            members_changed: 0,
            members_unchanged: 0,
            values_dated: 0,
            rows_repeated: 0,
            rows_blank: blank_count,
            certificates,
            unresolved: Vec::new(),
        };
        if report.rows_loaded == 0 {
            return Ok(LoadPlan { changes: Vec::new(), report });
        }
        let texts = texts.into_change().map(|texts| (texts, Vec::new()));
        let writes = load.formulas.redirected(load.version, write).map_err(|twice| {
            let name = &load.version.model.cube_def(load.cube).measure_def(twice).name;
            let message =
                format!("{name} is loaded twice: by itself and as the inputs of another measure");
            LoadError::new(&file.name, message)
        })?;
        let rows = writes.into_iter().map(|(write, rows)| {
            (Change::Rows(write), rows.into_iter().map(|row| numbers[row]).collect())
        });
        let changes = with_source(texts.into_iter().chain(rows).collect(), file)?;
        Ok(LoadPlan { changes, report })
    }

    /// Compares, for every numeric measure, the sum of texts with the sum of stored values.
    fn certificates(&self, file: &str, rows_read: usize) -> Result<Vec<Certificate>, LoadError> {
        let mut certificates = Vec::new();
        let (values, width) = (&self.reading.write.values, self.layout.measures.len());
        let sum = |position: usize| {
            let values = (position..values.len()).step_by(width).filter_map(|at| values.get(at));
            values.fold((0, 0), |(sum, count), value| (sum + i128::from(value), count + 1))
        };
        let sums: Vec<(i128, usize)> = (0..width).into_par_iter().map(sum).collect();
        for (position, (_, def, _)) in self.layout.measures.iter().enumerate() {
            if !def.value_type.is_number() {
                continue;
            }
            let (loaded, values_loaded) = sums[position];
            let totals = &self.reading.totals[position];
            let source_total = totals.rounded.total();
            let loaded = Number::new(loaded, def.value_type.scale());
            let loaded_total = loaded.normalized().to_string();
            if source_total != loaded_total {
                return Err(LoadError::new(
                    file,
                    format!(
                        "{}: the source total {source_total} is not the loaded total {loaded_total}; nothing was loaded",
                        def.name
                    ),
                ));
            }
            let raw_total = totals.raw.as_ref().map(DigitSum::total);
            certificates.push(Certificate {
                measure: def.name.clone(),
                raw_total: raw_total.filter(|raw| *raw != source_total),
                source_total: padded(source_total, def.value_type.scale()),
                loaded_total: loaded.to_string(),
                rows_read,
                values_loaded,
            });
        }
        Ok(certificates)
    }
}

impl Totals {
    /// Adds a text that was read as a number. What cannot be added makes the totals differ.
    fn add(&mut self, text: &str, round: Option<u32>, rounding: Rounding) {
        let _ = self.rounded.add(text, round.map(|digits| (digits, rounding)));
        if self.raw.as_mut().is_some_and(|raw| raw.add(text, None).is_none()) {
            self.raw = None;
        }
    }

    /// Adds the sums of further texts.
    fn append(&mut self, other: &Self) {
        self.rounded.append(&other.rounded);
        self.raw = self.raw.take().zip(other.raw.as_ref()).map(|(mut sum, raw)| {
            sum.append(raw);
            sum
        });
    }
}

/// A total with all the digits after the point that its measure has.
fn padded(mut total: String, scale: u32) -> String {
    let digits = total.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let missing = (scale as usize).saturating_sub(digits);
    if digits == 0 && missing > 0 {
        total.push('.');
    }
    total.push_str(&"0".repeat(missing));
    total
}

/// The stored value of a text; none of an empty one. The text of a text measure goes into the table.
fn stored(
    def: &MeasureDef,
    round: Option<u32>,
    text: &str,
    texts: &mut TextTable,
) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if def.value_type == ValueType::Text {
        return texts.position(text).map(Some).map_err(|error| error.to_string());
    }
    let rounded = round.and_then(|digits| Some((digits, Number::parse(text)?)));
    let value = match rounded {
        Some((digits, number)) if number.scale > digits => number
            .rescaled(digits, def.rounding)
            .and_then(|mantissa| def.value_type.parse(&format_scaled(mantissa, digits))),
        _ => def.value_type.parse(text),
    };
    value.map(Some).map_err(|error| match (&error, def.value_type) {
        (CubeError::InvalidValue { reason, .. }, ValueType::Decimal { scale, .. })
            if reason.starts_with("more than") =>
        {
            format!("{error}; round = {scale} in the map rounds it")
        }
        _ => error.to_string(),
    })
}
