//! What is worth knowing of units that are set: totals that would mix currencies.

use cube::Model;
use cube::model::{Consolidation, CubeKind, ModelChange, UnitFactor};

/// Of each measure that gets a unit which differs by member, that its totals over those members mix
/// units. Formulas that would add them are refused; a query that does is the reader's affair, since
/// totals over all other dimensions are right.
pub fn unit_warnings(before: &Model, changes: &[ModelChange]) -> Vec<String> {
    let mut model = before.clone();
    for change in changes {
        // changes that do not apply are reported where they are tried
        model = model.with(change).unwrap_or(model);
    }
    let warning = |change: &ModelChange| match change {
        ModelChange::SetUnit { cube, measure, .. } => mixing(&model, cube, measure),
        _ => None,
    };
    changes.iter().filter_map(warning).collect()
}

fn mixing(model: &Model, cube: &str, measure: &str) -> Option<String> {
    let cube = model.cube_def(model.cube(cube).ok()?);
    let id = cube.measure(measure).ok()?;
    let unit = cube.unit(id)?;
    let adds = match cube.measure_def(id).consolidation {
        Consolidation::None | Consolidation::Count | Consolidation::Formula => false,
        Consolidation::Sum | Consolidation::Average | Consolidation::Min | Consolidation::Max => {
            true
        }
    };
    let over = unit.factors.iter().find_map(|(factor, _)| match factor {
        UnitFactor::Name(_) => None,
        UnitFactor::Member(dimension) | UnitFactor::Attribute(dimension, _) => Some(*dimension),
    })?;
    let dimension = &model.dimension_def(over).name;
    let of_what = match cube.def.kind {
        CubeKind::Cells => "cells",
        CubeKind::Records => "rows",
    };
    adds.then(|| {
        format!(
            "{}.{measure} is in {}: a total of {of_what} over {dimension} mixes units; look at one {dimension} at a time, or at a measure that is converted",
            cube.def.name, unit.text
        )
    })
}
