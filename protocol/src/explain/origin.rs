//! Which question the ledger answers about a node: who wrote this cell, row, attribute or formula.

use cube::Version;
use cube::value::KeyPart;

use super::ExplainNode;
use crate::provenance::Asked;

/// The question about a node; none for what nobody writes, such as a sum.
pub(super) fn asked_of(version: &Version, node: &ExplainNode) -> Option<Asked> {
    match node.kind.as_str() {
        "formula" => formula(version, node),
        "attribute" => attribute(version, node),
        "input" => input(version, node),
        _ => None,
    }
}

/// A formula's target is the measure, or the measure in a region.
fn formula(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let formula = version.model.formulas.iter().find(|formula| {
        let region = formula.target.strip_prefix(&node.label);
        let is_target = region.is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
        is_target && node.formula.as_ref() == Some(&formula.text)
    });
    formula.map(|formula| Asked::Formula { target: formula.target.clone() })
}

/// An attribute is labelled `dimension.attribute` and stands at a member of that dimension.
fn attribute(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let (dimension, attribute) = node.label.split_once('.')?;
    let (_, key) = node.place.iter().find(|(name, _)| name == dimension)?;
    let dimension = version.model.dimension(dimension).ok()?;
    let attribute = version.model.dimension_def(dimension).attribute(attribute).ok()?;
    Some(Asked::Member { dimension, key: key.clone(), attribute: Some(attribute) })
}

/// A stored value: of a row with its key, of a cell with a member in every dimension.
fn input(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let (cube, measure) = node.label.split_once('.')?;
    let cube = version.model.cube(cube).ok()?;
    let measure = version.model.cube_def(cube).measure(measure).ok()?;
    let def = version.model.cube_def(cube);
    if let Some(parts) = &node.key {
        let part = |key: &cube::model::KeyDef| {
            let (_, text) = parts.iter().find(|(name, _)| *name == key.name)?;
            KeyPart::parse(key.key_type, text).ok()
        };
        let key = def.def.key.iter().map(part).collect::<Option<Vec<_>>>()?;
        return (!key.is_empty()).then_some(Asked::Row { cube, key, measure: Some(measure) });
    }
    let member = |id: &cube::DimensionId| {
        let dimension = version.dimension(*id);
        let (_, key) = node.place.iter().find(|(name, _)| *name == dimension.def.name)?;
        dimension.find(key)
    };
    let coordinate = def.dimensions.iter().map(member).collect::<Option<Vec<_>>>()?;
    Some(Asked::Cell { cube, coordinate, measure })
}
