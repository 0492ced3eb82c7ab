//! All formulas of a model, checked and in an order in which each comes after what it reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use cube::{AttributeId, CubeId, DimensionId, MeasureId, Model};

use crate::check::{Formula, check};
use crate::error::{CalcError, Result};
use crate::syntax::Span;

/// The formulas of a model.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of evaluation.
    pub formulas: Vec<Arc<Formula>>,
}

impl Plan {
    /// Checks all formulas of a model. A cycle is an error.
    pub fn compile(model: &Model) -> Result<Self> {
        let mut waiting: Vec<Arc<Formula>> = Vec::new();
        for def in &model.formulas {
            waiting.push(Arc::new(check(model, def)?));
        }
        let targets: BTreeSet<(CubeId, MeasureId)> =
            waiting.iter().map(|formula| (formula.cube, formula.measure)).collect();
        let mut done: BTreeSet<(CubeId, MeasureId)> = BTreeSet::new();
        let mut formulas = Vec::new();
        while !waiting.is_empty() {
            let is_ready = |formula: &Arc<Formula>| {
                formula
                    .reads()
                    .all(|operand| !targets.contains(&operand) || done.contains(&operand))
            };
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
            if ready.is_empty() {
                return Err(cycle(model, &rest));
            }
            done.extend(ready.iter().map(|formula| (formula.cube, formula.measure)));
            formulas.extend(ready);
            waiting = rest;
        }
        Ok(Self { formulas })
    }

    /// The place of a measure's formula in the order of evaluation.
    pub fn place(&self, cube: CubeId, measure: MeasureId) -> Option<usize> {
        self.formulas.iter().position(|formula| (formula.cube, formula.measure) == (cube, measure))
    }

    /// The formula of a measure.
    pub fn formula(&self, cube: CubeId, measure: MeasureId) -> Option<&Arc<Formula>> {
        self.place(cube, measure).map(|place| &self.formulas[place])
    }

    /// The formulas of a cube, in the order of evaluation.
    pub fn of_cube(&self, cube: CubeId) -> impl Iterator<Item = &Arc<Formula>> {
        self.formulas.iter().filter(move |formula| formula.cube == cube)
    }

    /// The formulas that read an attribute.
    pub fn reading_attribute(
        &self,
        model: &Model,
        dimension: DimensionId,
        attribute: AttributeId,
    ) -> impl Iterator<Item = &Arc<Formula>> {
        self.formulas.iter().filter(move |formula| {
            let cube = model.cube_def(formula.cube);
            let mut reads = formula.attributes.iter();
            reads.any(|&(position, id)| cube.dimensions[position] == dimension && id == attribute)
        })
    }
}

impl Formula {
    /// Every measure it reads, of its own cube and of others.
    pub fn reads(&self) -> impl Iterator<Item = (CubeId, MeasureId)> + '_ {
        let own = self.operands.iter().map(|&measure| (self.cube, measure));
        own.chain(self.aggregates.iter().map(|aggregate| (aggregate.cube, aggregate.measure)))
    }
}

fn cycle(model: &Model, formulas: &[Arc<Formula>]) -> CalcError {
    let targets: Vec<&str> = formulas.iter().map(|formula| formula.target.as_str()).collect();
    let def = model.formulas.iter().find(|def| def.target == formulas[0].target);
    let text = def.map(|def| def.text.clone()).unwrap_or_default();
    CalcError::Formula {
        target: formulas[0].target.clone(),
        span: Span { start: 0, end: text.len() },
        text,
        message: format!("formulas need each other: {}", targets.join(", ")),
        hint: Some("break the cycle: one of them must not read the others".into()),
    }
}
