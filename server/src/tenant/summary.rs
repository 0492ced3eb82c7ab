//! What a command did, in one line: for the ledger's readers.

use std::sync::Arc;

use calc::Recomputed;
use cube::change::RowsAction;
use cube::model::ModelChange;
use cube::{Change, Version};

use crate::limits::SUMMARY_CHANGES_MAX;

/// Changes in one line, with the names that `after` has for them.
pub fn summarize(changes: &[Change], after: &Version) -> String {
    // texts are those of the rows behind them
    let changes = changes.iter().filter(|change| !matches!(change, Change::Texts(_)));
    let changes: Vec<&Change> = changes.collect();
    let named = changes.iter().take(SUMMARY_CHANGES_MAX).map(|change| describe(change, after));
    let mut parts: Vec<String> = named.collect();
    if changes.len() > SUMMARY_CHANGES_MAX {
        parts.push(format!("{} more", changes.len() - SUMMARY_CHANGES_MAX));
    }
    parts.join("; ")
}

/// A branch that was made.
pub fn branch_created(name: &str, base: &str) -> String {
    format!("branch {name} made from {base}")
}

/// A branch that was dropped.
pub fn branch_dropped(name: &str) -> String {
    format!("branch {name} dropped")
}

/// What was computed again on each branch, in one line: `main: sales.delta 1, sales.band 1; plan: ...`.
pub fn describe_recomputed(recomputed: &[(Arc<str>, Recomputed)]) -> String {
    let of_branch = |(branch, ran): &(Arc<str>, Recomputed)| {
        let formulas = ran.0.iter().map(|(formula, cells)| format!("{formula} {cells}"));
        let formulas = formulas.collect::<Vec<_>>().join(", ");
        (!formulas.is_empty()).then(|| format!("{branch}: {formulas}"))
    };
    recomputed.iter().filter_map(of_branch).collect::<Vec<_>>().join("; ")
}

fn describe(change: &Change, after: &Version) -> String {
    match change {
        Change::Rows(write) => {
            let Some(cube) = after.model.cubes.get(write.cube.idx()) else {
                return "rows".to_owned();
            };
            let count = write.row_count(cube.def.key.len(), cube.dimensions.len());
            let verb = match write.action {
                RowsAction::Set => "set",
                RowsAction::Remove => "removed",
            };
            format!("{}: {count} {verb}", cube.def.name)
        }
        Change::Members(write) => {
            let dimension = after.dimensions.get(write.dimension.idx());
            let name = dimension.map_or("members", |dimension| &dimension.def.name);
            format!("{name}: {} members", write.members.len())
        }
        Change::Dated(write) => {
            let dimension = after.dimensions.get(write.dimension.idx());
            let name = dimension.and_then(|dimension| {
                let attribute = dimension.def.attributes.get(write.attribute.idx())?;
                Some(format!("{}.{}", dimension.def.name, attribute.name))
            });
            let name = name.unwrap_or_else(|| "attribute".to_owned());
            format!("{name}: {} dated values", write.values.len())
        }
        Change::Model(change) => describe_model(change),
        Change::Source(note) => format!("from {}", note.file),
        Change::Texts(texts) => format!("{} texts", texts.len()),
    }
}

fn describe_model(change: &ModelChange) -> String {
    match change {
        ModelChange::Describe { name, .. } => format!("model {name}"),
        ModelChange::AddDimension(def) => format!("dimension {} added", def.name),
        ModelChange::AddAttribute { dimension, attribute } => {
            format!("attribute {dimension}.{} added", attribute.name)
        }
        ModelChange::SetHierarchies { dimension, .. } => {
            format!("levels and hierarchies of {dimension} added")
        }
        ModelChange::AddCube(def) => format!("cube {} added", def.name),
        ModelChange::AddMeasure { cube, measure } => {
            format!("measure {cube}.{} added", measure.name)
        }
        ModelChange::AddCubeDimension { cube, dimension, .. } => {
            format!("dimension {dimension} of {cube} added")
        }
        ModelChange::SetFormula(formula) => format!("formula {} set", formula.target),
        ModelChange::RemoveFormula { target } => format!("formula {target} removed"),
        ModelChange::SetAssertion { assertion, .. } => {
            format!("assertion {:?} set", assertion.name)
        }
        ModelChange::RemoveAssertion { name } => format!("assertion {name:?} removed"),
        ModelChange::SetUnit { cube, measure, unit } if unit.is_empty() => {
            format!("unit of {cube}.{measure} removed")
        }
        ModelChange::SetUnit { cube, measure, unit } => {
            format!("unit of {cube}.{measure} is {unit}")
        }
    }
}
