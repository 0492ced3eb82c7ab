//! Stored values at given coordinates.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use cube::{CubeId, MeasureId, MemberId, ValueType};

use super::Session;
use crate::column::{Column, Fixed};
use crate::node::Frame;
use crate::points::{Coder, Numbering, Origin};

/// A cube is read as a whole where more than one lookup is made for so many rows.
const ROWS_PER_LOOKUP: usize = 4;
/// Below this many lookups a cube is searched.
const SEARCHED_MAX: usize = 64;

/// All values of one measure by coordinate.
#[derive(Debug)]
pub struct Source {
    coder: Coder,
    places: Numbering,
    values: Vec<i64>,
}

impl Source {
    fn new(session: &Session<'_>, cube: CubeId, measure: MeasureId) -> Self {
        let version = session.version;
        let frame = Frame::of_cube(&version.model, cube);
        let coder = Coder::new(version, session.tables, &frame);
        let rows = version.rows(cube);
        let mut places = coder.numbering(rows.row_count().max(1024) * 16);
        let mut values = Vec::new();
        for view in rows.segments() {
            let Some(column) = view.segment.values.get(measure.idx()) else { continue };
            let mut coordinate = vec![MemberId::NONE; frame.axes.len()];
            for row in view.live_rows() {
                let Some(value) = column.get(row) else { continue };
                for (member, codes) in coordinate.iter_mut().zip(&view.segment.coordinates) {
                    *member = codes.get(row);
                }
                if coder.code(&coordinate).is_some_and(|code| places.add(code).1) {
                    values.push(value);
                }
            }
        }
        Self { coder, places, values }
    }
}

impl Session<'_> {
    fn type_of(&self, cube: CubeId, measure: MeasureId) -> ValueType {
        self.version.model.cube_def(cube).measure_def(measure).value_type
    }

    /// Stored values of rows.
    pub(super) fn stored(&self, origin: &Origin, measure: MeasureId) -> Column {
        let len = origin.rows.len();
        let Some(values) = origin.segment.values.get(measure.idx()) else {
            return Column::Blank(len);
        };
        let value_type = self.type_of(origin.cube, measure);
        let scale = value_type.scale();
        let raw = values.raw();
        let gathered = origin.rows.iter().map(|&row| i128::from(raw[row as usize])).collect();
        let present = match values.presence() {
            None => vec![true; len],
            Some(presence) => {
                origin.rows.iter().map(|&row| presence.contains(row as usize)).collect()
            }
        };
        self.typed(Fixed { values: gathered, present, scale }, value_type)
    }

    /// Stored values at coordinates.
    pub(super) fn lookup(
        &self,
        cube: CubeId,
        measure: MeasureId,
        axes: &[Cow<'_, [MemberId]>],
        len: usize,
    ) -> Column {
        let value_type = self.type_of(cube, measure);
        let scale = value_type.scale();
        let mut found = Fixed { values: vec![0; len], present: vec![false; len], scale };
        let mut put = |at: usize, value: i64| {
            found.values[at] = i128::from(value);
            found.present[at] = true;
        };
        if let Some(source) = self.source(cube, measure) {
            let places = source.coder.places(&source.places, axes, len);
            for (at, place) in places.into_iter().enumerate() {
                if let Some(value) = source.values.get(place as usize) {
                    put(at, *value);
                }
            }
        } else {
            let rows = self.version.rows(cube);
            let mut coordinate = vec![MemberId::NONE; axes.len()];
            for at in 0..len {
                for (member, members) in coordinate.iter_mut().zip(axes) {
                    *member = members[at];
                }
                if coordinate.contains(&MemberId::NONE) {
                    continue;
                }
                let location = rows.find_at(&coordinate);
                if let Some(value) = location.and_then(|at| rows.value(at, measure.idx())) {
                    put(at, value);
                }
            }
        }
        self.typed(found, value_type)
    }

    /// Stored integers as values of their type.
    fn typed(&self, fixed: Fixed, value_type: ValueType) -> Column {
        let stored = || {
            let pairs = fixed.values.iter().zip(&fixed.present);
            pairs.map(|(value, present)| present.then_some(*value))
        };
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
