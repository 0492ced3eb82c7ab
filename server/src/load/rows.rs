//! Cells and rows from a file, with the certificate that nothing was lost on the way.

use std::borrow::Cow;
use std::collections::HashMap;

use calc::Plan;
use cube::change::{RowsAction, RowsWrite};
use cube::dictionary::TextTable;
use cube::model::{CubeKind, KeyDef, MeasureDef};
use cube::number::{Number, Rounding, format_scaled};
use cube::value::KeyPart;
use cube::{Change, CubeError, CubeId, MeasureId, MemberId, ValueType, Version};

use super::axis::Axis;
use super::columns::{Columns, Row};
use super::expression::Expression;
use super::map::{MapFile, Source, Sources};
use super::members::{evaluate, rejected};
use super::report::{Certificate, LoadError, LoadReport, RejectedRow, Rejects};
use super::suggest::Suggestions;
use super::table::Table;
use super::totals::DigitSum;
use super::{LoadPlan, LoadRequest, with_source};
use crate::model_files::FileProblem;
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

/// What is read so far.
struct Reading<'a> {
    layout: Layout<'a>,
    write: RowsWrite,
    /// The texts that values of the write name by position.
    texts: TextTable,
    /// Per row of the write, its number in the file.
    numbers: Vec<usize>,
    /// Per dimension, texts to members.
    members: Vec<HashMap<String, MemberId>>,
    suggestions: Suggestions,
    totals: Vec<Totals>,
}

/// One measure's sums of texts.
struct Totals {
    rounded: DigitSum,
    raw: Option<DigitSum>,
}

/// One row, read.
struct Parsed {
    key: Vec<KeyPart>,
    coordinate: Vec<MemberId>,
    values: Vec<Option<i64>>,
}

/// The changes that load cells or rows.
pub(super) fn plan<'a>(load: &Rows<'a>, mut table: Table<'a>) -> Result<LoadPlan, LoadError> {
    let file = load.request.file.name.as_str();
    let layout = load.layout().map_err(|problem| LoadError::of_problem(file, problem))?;
    let mut reading = Reading::new(load, layout);
    let mut rejects = Rejects::default();
    let (mut rows_read, mut rows_blank) = (0, 0);
    let mut fields = Vec::new();
    loop {
        let row = table.read(&mut fields);
        let row = row.map_err(|error| LoadError::new(file, error.message).with_hint(error.hint))?;
        let Some(number) = row else { break };
        rows_read += 1;
        match reading.row(load, number, &fields) {
            Ok(is_blank) => rows_blank += usize::from(is_blank),
            Err(rejected) => rejects.add(rejected),
        }
    }
    reading.check_keys(load, &mut rejects);
    rejects.into_result(file, rows_read)?;
    let certificates = reading.certificates(file, rows_read)?;
    let report = LoadReport {
        file: file.into(),
        target: load.request.target.clone(),
        rows_read,
        rows_loaded: reading.numbers.len() - rows_blank,
        members_added: 0,
        members_changed: 0,
        members_unchanged: 0,
        values_dated: 0,
        rows_repeated: 0,
        rows_blank,
        certificates,
        unresolved: Vec::new(),
    };
    let is_empty = reading.numbers.len() == rows_blank;
    let Reading { write, numbers, texts, .. } = reading;
    let changes = if is_empty {
        Vec::new()
    } else {
        let texts = texts.into_change().map(|texts| (texts, Vec::new()));
        let writes = load.formulas.redirected(load.version, write).map_err(|twice| {
            let name = &load.version.model.cube_def(load.cube).measure_def(twice).name;
            let message =
                format!("{name} is loaded twice: by itself and as the inputs of another measure");
            LoadError::new(file, message)
        })?;
        let rows = writes.into_iter().map(|(write, rows)| {
            (Change::Rows(write), rows.into_iter().map(|row| numbers[row]).collect())
        });
        with_source(texts.into_iter().chain(rows).collect(), &load.request.file)
    };
    Ok(LoadPlan { changes, report })
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
            measures.push((id, def, self.expression(source)?));
        }
        Ok(measures)
    }
}

impl<'a> Reading<'a> {
    fn new(load: &Rows<'a>, layout: Layout<'a>) -> Self {
        let totals = layout.measures.iter().map(|(_, _, source)| Totals {
            rounded: DigitSum::new(),
            raw: source.round.map(|_| DigitSum::new()),
        });
        Self {
            write: RowsWrite {
                cube: load.cube,
                action: RowsAction::Set,
                measures: layout.measures.iter().map(|(id, ..)| *id).collect(),
                keys: Vec::new(),
                coordinates: Vec::new(),
                values: Vec::new(),
            },
            texts: TextTable::default(),
            numbers: Vec::new(),
            members: layout.dimensions.iter().map(|_| HashMap::new()).collect(),
            suggestions: Suggestions::default(),
            totals: totals.collect(),
            layout,
        }
    }

    /// Reads one row; whether it is a cell without any value.
    fn row(
        &mut self,
        load: &Rows<'a>,
        number: usize,
        fields: &[Cow<'a, str>],
    ) -> Result<bool, RejectedRow> {
        ragged(number, fields.len(), load.columns.own_count())?;
        let row = load.columns.row(number, fields).map_err(|(value, reason)| {
            let column = String::new();
            RejectedRow { row: number, column, value, reason }
        })?;
        let Parsed { key, coordinate, values } = self.parse(&row)?;
        let is_blank = key.is_empty() && values.iter().all(Option::is_none);
        self.numbers.push(number);
        self.write.keys.extend(key);
        self.write.coordinates.extend(coordinate);
        self.write.values.extend(values);
        let measures = self.layout.measures.iter().zip(&mut self.totals);
        for ((_, def, source), totals) in
            measures.filter(|((_, def, _), _)| def.value_type.is_number())
        {
            let raw = source.raw(&row);
            if let Ok(text) = source.finish(&raw).as_deref() {
                totals.add(text, source.round, def.rounding);
            }
        }
        Ok(is_blank)
    }

    fn parse(&mut self, row: &Row<'_, '_>) -> Result<Parsed, RejectedRow> {
        let mut key = Vec::with_capacity(self.layout.key.len());
        for (def, source) in &self.layout.key {
            let part = evaluate(source, row, |text| {
                KeyPart::parse(def.key_type, text).map_err(|error| error.to_string())
            });
            key.push(part?);
        }
        let mut coordinate = Vec::with_capacity(self.layout.dimensions.len());
        for (position, axis) in self.layout.dimensions.iter().enumerate() {
            let source = &axis.source;
            let raw = source.raw(row);
            if let Some(&member) = self.members[position].get(raw.as_ref()) {
                coordinate.push(member);
                continue;
            }
            let text = source.finish(&raw);
            let member = text.and_then(|text| axis.member(&text, &mut self.suggestions));
            let member = member.map_err(|reason| rejected(row.number, source, &raw, reason))?;
            self.members[position].insert(raw.into_owned(), member);
            coordinate.push(member);
        }
        let mut values = Vec::with_capacity(self.layout.measures.len());
        for (_, def, source) in &self.layout.measures {
            let texts = &mut self.texts;
            values.push(evaluate(source, row, |text| stored(def, source.round, text, texts))?);
        }
        Ok(Parsed { key, coordinate, values })
    }

    /// A rejection of a row of the write for its primary key.
    fn refused(&self, row: usize, reason: String) -> RejectedRow {
        let (key_width, dimension_count) = (self.layout.key.len(), self.layout.dimensions.len());
        let (names, values): (Vec<&str>, Vec<String>) = if key_width > 0 {
            let parts = &self.write.keys[row * key_width..(row + 1) * key_width];
            let pairs = self.layout.key.iter().zip(parts);
            pairs.map(|((def, _), part)| (def.name.as_str(), part.format(def.key_type))).unzip()
        } else {
            let range = row * dimension_count..(row + 1) * dimension_count;
            let pairs = self.layout.dimensions.iter().zip(&self.write.coordinates[range]);
            let words = pairs.map(|(axis, &member)| {
                (axis.dimension.def.name.as_str(), axis.dimension.key(member).to_string())
            });
            words.unzip()
        };
        let (row, column, value) = (self.numbers[row], names.join(", "), values.join(", "));
        RejectedRow { row, column, value, reason }
    }

    /// Rejects rows whose primary key stands in the file twice, or in the cube already.
    fn check_keys(&self, load: &Rows<'a>, rejects: &mut Rejects) {
        let (key_width, dimension_count) = (self.layout.key.len(), self.layout.dimensions.len());
        let mut rows = load.version.empty_rows(load.cube);
        for (position, part) in self.write.keys.iter().enumerate() {
            rows.keys[position % key_width].push(part.clone());
        }
        for (position, member) in self.write.coordinates.iter().enumerate() {
            rows.coordinates[position % dimension_count].push(*member);
        }
        let mut order: Vec<usize> = (0..self.numbers.len()).collect();
        order.sort_by(|&a, &b| rows.compare(a, &rows, b));
        let mut first = 0;
        for position in 1..order.len() {
            if rows.compare(order[first], &rows, order[position]).is_ne() {
                first = position;
                continue;
            }
            let what = if key_width > 0 { "row key" } else { "coordinate" };
            let earlier = self.numbers[order[first]];
            let reason = format!("the {what} stands in row {earlier} already");
            rejects.add(self.refused(order[position], reason));
        }
        if load.version.rows(load.cube).row_count() > 0 {
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
        for row in 0..self.numbers.len() {
            let coordinate = &self.write.coordinates[row * axes..(row + 1) * axes];
            let values = &self.write.values[row * width..(row + 1) * width];
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
        for row in 0..self.numbers.len() {
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

    /// Compares, for every numeric measure, the sum of texts with the sum of stored values.
    fn certificates(&self, file: &str, rows_read: usize) -> Result<Vec<Certificate>, LoadError> {
        let mut certificates = Vec::new();
        let width = self.layout.measures.len();
        for (position, (_, def, _)) in self.layout.measures.iter().enumerate() {
            if !def.value_type.is_number() {
                continue;
            }
            let values = self.write.values.iter().skip(position).step_by(width);
            let (mut loaded, mut values_loaded) = (0i128, 0);
            for value in values.flatten() {
                loaded += i128::from(*value);
                values_loaded += 1;
            }
            let totals = &self.totals[position];
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

/// Rejects a row that has more or fewer fields than there are columns.
pub(super) fn ragged(row: usize, fields: usize, columns: usize) -> Result<(), RejectedRow> {
    if fields == columns {
        return Ok(());
    }
    let reason = format!("the row has {fields} fields where the header has {columns}");
    Err(RejectedRow { row, column: String::new(), value: String::new(), reason })
}
