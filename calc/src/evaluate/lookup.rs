//! Stored values at given coordinates.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use cube::{CubeId, MeasureId, MemberId, ValueType};

use super::leads::Path;
use super::{Session, row_blocks};
use crate::column::{Column, Fixed, Mantissas};
use crate::node::Frame;
use crate::points::{Block, Coder, Numbering, Origin};

/// A cube is read as a whole where more than one lookup is made for so many rows.
const ROWS_PER_LOOKUP: usize = 4;
/// Below this many lookups a cube is searched.
const SEARCHED_MAX: usize = 64;

/// Values are kept by code where there are up to so many codes for one.
const CODES_PER_VALUE: usize = 4;

/// All values of one measure by coordinate.
#[derive(Debug)]
pub struct Source {
    coder: Coder,
    places: Numbering,
    values: Vec<Option<i64>>,
    /// The values by code, where codes are not many more.
    by_code: Option<Vec<Option<i64>>>,
}

impl Source {
    /// The value of a cell, by its number.
    fn value(&self, number: u32) -> Option<i64> {
        self.values.get(number as usize).copied().flatten()
    }
}

impl Source {
    fn new(session: &Session<'_>, cube: CubeId, measure: MeasureId) -> Self {
        let version = session.version;
        let frame = Frame::of_cube(&version.model, cube);
        let coder = Coder::new(version, session.tables, &frame);
        let rows = version.rows(cube);
        let mut places = coder.numbering(rows.row_count().max(1024) * 16);
        let mut values = Vec::new();
        for block in row_blocks(version, cube, &vec![None; frame.axes.len()]) {
            let Some(origin) = &block.origin else { continue };
            let Some(column) = origin.segment.values.get(measure.idx()) else { continue };
            let axes: Vec<_> = (0..frame.axes.len()).map(|axis| block.axis(axis)).collect();
            // a coordinate is alive once, so each is new
            let numbers = coder.numbered(&mut places, &axes, block.len, |_| {});
            values.resize(places.len(), None);
            for (row, number) in origin.rows.iter().zip(numbers) {
                if let Some(value) = values.get_mut(number as usize) {
                    *value = column.get(row);
                }
            }
        }
        let by_code = match &places {
            Numbering::Dense { numbers, .. } if numbers.len() <= CODES_PER_VALUE * values.len() => {
                let value = |&number: &u32| values.get(number as usize).copied().flatten();
                Some(numbers.iter().map(value).collect())
            }
            _ => None,
        };
        Self { coder, places, values, by_code }
    }
}

impl Session<'_> {
    fn type_of(&self, cube: CubeId, measure: MeasureId) -> ValueType {
        self.version.model.cube_def(cube).measure_def(measure).value_type
    }

    /// Stored values of rows.
    pub(super) fn stored(&self, origin: &Origin, measure: MeasureId) -> Column {
        let Some(values) = origin.segment.values.get(measure.idx()) else {
            return Column::Blank(origin.rows.len());
        };
        let value_type = self.type_of(origin.cube, measure);
        let present = values.presence().map(|presence| {
            origin.rows.iter().map(|row| presence.contains(row)).collect::<Vec<bool>>()
        });
        let fixed = Fixed {
            values: Mantissas::Narrow(values.ints().gathered(&origin.rows, |value| value)),
            present: present.filter(|present| present.contains(&false)),
            scale: value_type.scale(),
        };
        self.typed(fixed, value_type)
    }

    /// Stored values at the cells of a cube to which the points of a block lead by paths; none where
    /// these are looked up one by one.
    pub(super) fn led_values(
        &self,
        cube: CubeId,
        measure: MeasureId,
        paths: impl FnOnce() -> Option<Vec<Path>>,
        block: &Block,
    ) -> Option<Column> {
        let source = self.source(cube, measure)?;
        let Numbering::Dense { numbers, .. } = &source.places else { return None };
        let leads = self.leads_to_cube(cube, paths()?, &source.coder)?;
        let codes = leads.codes(block).into_iter();
        if let Some(by_code) = &source.by_code {
            let value = |code: u32| by_code.get(code as usize).copied().flatten();
            return Some(self.found(cube, measure, codes.map(value)));
        }
        let number = |code: u32| numbers.get(code as usize).copied().unwrap_or(u32::MAX);
        Some(self.found(cube, measure, codes.map(|code| source.value(number(code)))))
    }

    /// Stored values at coordinates.
    pub(super) fn lookup(
        &self,
        cube: CubeId,
        measure: MeasureId,
        axes: &[Cow<'_, [MemberId]>],
        len: usize,
    ) -> Column {
        if let Some(source) = self.source(cube, measure) {
            let places = source.coder.places(&source.places, axes, len).into_iter();
            return self.found(cube, measure, places.map(|place| source.value(place)));
        }
        let rows = self.version.rows(cube);
        let mut coordinate = vec![MemberId::NONE; axes.len()];
        let value = |at: usize| {
            for (member, members) in coordinate.iter_mut().zip(axes) {
                *member = members[at];
            }
            if coordinate.contains(&MemberId::NONE) {
                return None;
            }
            rows.value(rows.find_at(&coordinate)?, measure.idx())
        };
        self.found(cube, measure, (0..len).map(value))
    }

    fn found(
        &self,
        cube: CubeId,
        measure: MeasureId,
        values: impl ExactSizeIterator<Item = Option<i64>>,
    ) -> Column {
        let value_type = self.type_of(cube, measure);
        let (mut mantissas, mut present) = (vec![0; values.len()], vec![false; values.len()]);
        for ((mantissa, present), value) in mantissas.iter_mut().zip(&mut present).zip(values) {
            *mantissa = value.unwrap_or(0);
            *present = value.is_some();
        }
        let values = Mantissas::Narrow(mantissas);
        let present = present.contains(&false).then_some(present);
        self.typed(Fixed { values, present, scale: value_type.scale() }, value_type)
    }

    /// Stored integers as values of their type.
    fn typed(&self, fixed: Fixed, value_type: ValueType) -> Column {
        let stored = || (0..fixed.values.len()).map(|at| fixed.get(at));
        match value_type {
            ValueType::Boolean => {
                Column::of_flags(stored().map(|value| value.map(|value| value != 0)).collect())
            }
            ValueType::Text => {
                let texts = &self.version.texts;
                let text = |code: i128| Arc::clone(texts.text(code as i64));
                Column::Texts(stored().map(|code| code.map(text)).collect())
            }
            _ => Column::Fixed(fixed),
        }
    }

    /// The whole of a measure, where enough of it is looked up to be worth it.
    fn source(&self, cube: CubeId, measure: MeasureId) -> Option<Arc<Source>> {
        let rows = self.version.rows(cube).row_count();
        let lookups = self.volume();
        if lookups <= SEARCHED_MAX || lookups.saturating_mul(ROWS_PER_LOOKUP) < rows {
            return None;
        }
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let source = sources
            .entry((cube, measure))
            .or_insert_with(|| Arc::new(Source::new(self, cube, measure)));
        Some(Arc::clone(source))
    }
}
