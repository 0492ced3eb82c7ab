//! A change of the model on one line, for people who look before they apply.

use cube::model::{CubeKind, ModelChange};

/// What a change does, in one line: `+` adds, `~` sets, `-` removes.
pub fn describe(change: &ModelChange) -> String {
    match change {
        ModelChange::Describe { name, description } if description.is_empty() => {
            format!("~ model {name}")
        }
        ModelChange::Describe { name, description } => format!("~ model {name}: {description}"),
        ModelChange::AddDimension(dimension) => {
            let mut parts = Vec::new();
            if let Some(calendar) = &dimension.calendar {
                parts.push(format!("calendar {} to {}", calendar.start, calendar.end));
            }
            let hierarchies: Vec<&str> =
                dimension.hierarchies.iter().map(|hierarchy| hierarchy.name.as_str()).collect();
            match hierarchies.as_slice() {
                [] => {}
                [one] => parts.push(format!("hierarchy {one}")),
                many => parts.push(format!("hierarchies {}", many.join(", "))),
            }
            if !dimension.attributes.is_empty() {
                parts.push(counted(dimension.attributes.len(), "attribute"));
            }
            let parts = if parts.is_empty() { "flat".into() } else { parts.join("; ") };
            format!("+ dimension {} ({parts})", dimension.name)
        }
        ModelChange::AddAttribute { dimension, attribute } => {
            format!("+ attribute {dimension}.{} ({})", attribute.name, attribute.type_text())
        }
        ModelChange::SetHierarchies { dimension, hierarchies, .. } => {
            let named = hierarchies.iter().map(|hierarchy| match hierarchy.levels.as_slice() {
                [] => hierarchy.name.clone(),
                levels => format!("{}: {}", hierarchy.name, levels.join(", ")),
            });
            let named: Vec<String> = named.collect();
            format!("~ hierarchies of {dimension} ({})", named.join("; "))
        }
        ModelChange::AddCube(cube) => {
            let kind = match cube.kind {
                CubeKind::Cells => "cells",
                CubeKind::Records => "records",
            };
            let dimensions = cube.dimensions.join(", ");
            let measures = counted(cube.measures.len(), "measure");
            format!("+ cube {} ({kind} by {dimensions}; {measures})", cube.name)
        }
        ModelChange::AddMeasure { cube, measure } => {
            format!("+ measure {cube}.{} ({})", measure.name, measure.value_type)
        }
        ModelChange::AddCubeDimension { cube, dimension, member } => {
            let member = member.as_ref().map(|member| format!(" (earlier rows: {member})"));
            format!("+ dimension {dimension} of {cube}{}", member.unwrap_or_default())
        }
        ModelChange::SetFormula(formula) => {
            let text: Vec<&str> = formula.text.split_whitespace().collect();
            let grain: Vec<String> = formula
                .at_or_above
                .iter()
                .map(|(dimension, level)| format!(", {dimension} at or above {level}"))
                .collect();
            format!("~ formula {} = {}{}", formula.target, text.join(" "), grain.concat())
        }
        ModelChange::RemoveFormula { target } => format!("- formula {target}"),
        ModelChange::SetAssertion { assertion, .. } => {
            let sql: Vec<&str> = assertion.sql.split_whitespace().collect();
            let expected = assertion.equals.as_deref().unwrap_or("blank");
            let within = assertion.tolerance.iter().map(|by| format!(" within {by}"));
            let within: String = within.collect();
            format!("~ assertion {:?}: {} = {expected}{within}", assertion.name, sql.join(" "))
        }
        ModelChange::RemoveAssertion { name } => format!("- assertion {name:?}"),
        ModelChange::SetUnit { cube, measure, unit } if unit.is_empty() => {
            format!("- unit {cube}.{measure}")
        }
        ModelChange::SetUnit { cube, measure, unit } => format!("~ unit {cube}.{measure} = {unit}"),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
