//! Leaving out texts that no cell holds any more: formulas make new ones as their operands change.

use std::sync::Arc;

use super::Version;
use crate::id::{CubeId, MeasureId};
use crate::limits::UNSWEPT_TEXTS;
use crate::value::ValueType;

impl Version {
    /// The version with the texts that its cells hold, where so many came since the last time that
    /// looking through the cells costs less than they did. No value is another one.
    #[must_use]
    pub fn swept(mut self) -> Self {
        if !self.texts.is_due(UNSWEPT_TEXTS) {
            return self;
        }
        let is_used = self.used_texts();
        if self.texts.is_mostly(&is_used) {
            self.texts = Arc::new(self.texts.looked_through());
            return self;
        }
        self.keeping(&is_used)
    }

    /// The version with no text but those that its cells hold, whatever it costs. No value is another
    /// one.
    #[must_use]
    pub fn with_used_texts(self) -> Self {
        let is_used = self.used_texts();
        self.keeping(&is_used)
    }

    /// Per code, whether a cell has it.
    fn used_texts(&self) -> Vec<bool> {
        let mut is_used = vec![false; self.texts.len()];
        for (cube, measure) in self.text_measures() {
            for view in self.rows(cube).segments() {
                let Some(values) = view.segment.values.get(measure.idx()) else { continue };
                for code in view.live_rows().filter_map(|row| values.get(row)) {
                    is_used[code as usize] = true;
                }
            }
        }
        is_used
    }

    fn keeping(mut self, is_used: &[bool]) -> Self {
        let (texts, codes) = self.texts.keeping(is_used);
        for (cube, measure) in self.text_measures() {
            let rows = self.rows(cube).recoded(measure.idx(), |old| codes[old as usize].into());
            self.cubes[cube.idx()] = Arc::new(rows);
        }
        self.texts = Arc::new(texts);
        self
    }

    fn text_measures(&self) -> Vec<(CubeId, MeasureId)> {
        let cubes = self.model.cubes.iter().enumerate();
        cubes
            .flat_map(|(cube, def)| {
                let measures = def.def.measures.iter().enumerate();
                let texts = measures.filter(|(_, measure)| measure.value_type == ValueType::Text);
                texts.map(move |(idx, _)| (CubeId::from_idx(cube), MeasureId::from_idx(idx)))
            })
            .collect()
    }
}
