//! What is worth knowing of units that are set: totals that would mix currencies.

use cube::Model;
use cube::model::{Consolidation, ModelChange, UnitFactor};

/// Of each measure that gets a unit which differs by member, that its totals over those members mix
/// units. Formulas that would add them are refused; a query that does is the reader's affair, since
/// totals over all other dimensions are right.
pub fn unit_warnings(before: &Model, changes: &[ModelChange]) -> Vec<String> {
    let mut model = before.clone();
    for change in changes {
        // changes that do not apply are reported where they are tried
        model = model.with(change).unwrap_or(model);
    }
    let mut mixing: Vec<Mixing> = Vec::new();
    for change in changes {
        let ModelChange::SetUnit { cube, measure, .. } = change else { continue };
        let Some(found) = Mixing::of(&model, cube, measure) else { continue };
        let same = |known: &&mut Mixing| (&known.unit, &known.over) == (&found.unit, &found.over);
        match mixing.iter_mut().find(same) {
            Some(known) => known.measures.extend(found.measures),
            None => mixing.push(found),
        }
    }
    mixing.iter().map(Mixing::warning).collect()
}

/// Measures of one unit that differs by the members of a dimension.
struct Mixing {
    measures: Vec<String>,
    unit: String,
    over: String,
}

impl Mixing {
    /// A measure whose totals mix units; none where they do not.
    fn of(model: &Model, cube: &str, measure: &str) -> Option<Self> {
        let cube = model.cube_def(model.cube(cube).ok()?);
        let id = cube.measure(measure).ok()?;
        let unit = cube.unit(id)?;
        let adds = match cube.measure_def(id).consolidation {
            Consolidation::None | Consolidation::Count | Consolidation::Formula => false,
            Consolidation::Sum
            | Consolidation::Average
            | Consolidation::Min
            | Consolidation::Max => true,
        };
        let over = unit.factors.iter().find_map(|(factor, _)| match factor {
            UnitFactor::Name(_) => None,
            UnitFactor::Member(dimension) | UnitFactor::Attribute(dimension, _) => Some(*dimension),
        })?;
        adds.then(|| Self {
            measures: vec![format!("{}.{measure}", cube.def.name)],
            unit: unit.text.clone(),
            over: model.dimension_def(over).name.clone(),
        })
    }

    fn warning(&self) -> String {
        let Self { measures, unit, over } = self;
        let verb = if measures.len() == 1 { "is" } else { "are" };
        format!(
            "{} {verb} in {unit}: totals over {over} mix units; look at one {over} at a time, or at a measure that is converted",
            measures.join(", ")
        )
    }
}
