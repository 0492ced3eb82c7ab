//! Which question the ledger answers about a node: who wrote this cell, row, attribute or formula.

use cube::Version;
use cube::value::{KeyPart, parse_date};
use cube::{CubeId, DimensionId};

use super::ExplainNode;
use crate::provenance::{Asked, MemberPart, RowPart};

/// The question about a node; none for what nobody writes, such as a sum.
pub(super) fn asked_of(version: &Version, node: &ExplainNode) -> Option<Asked> {
    match node.kind.as_str() {
        "formula" => formula(version, node),
        "attribute" => attribute(version, node),
        "parent" => parent(version, node),
        "member" => row_member(version, node),
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

/// An attribute is labelled `dimension.attribute` and stands at a member of that dimension; of a
/// dated value the day is known from which it holds.
fn attribute(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let (dimension, attribute, key) = of_member(version, node)?;
    let attribute = version.model.dimension_def(dimension).attribute(attribute).ok()?;
    let part = match &node.valid_from {
        Some(day) => MemberPart::Dated(attribute, parse_date(day)?),
        None => MemberPart::Undated(attribute),
    };
    Some(Asked::Member { dimension, key, part })
}

/// A parent is labelled `dimension.hierarchy` and stands at the member below.
fn parent(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let (dimension, hierarchy, key) = of_member(version, node)?;
    let hierarchy = version.model.dimension_def(dimension).hierarchy(hierarchy).ok()?;
    Some(Asked::Member { dimension, key, part: MemberPart::Parent(hierarchy) })
}

/// The dimension, what stands behind it in the label, and the member's key.
fn of_member<'a>(
    version: &Version,
    node: &'a ExplainNode,
) -> Option<(DimensionId, &'a str, String)> {
    let (dimension, part) = node.label.split_once('.')?;
    let (_, key) = node.place.iter().find(|(name, _)| name == dimension)?;
    Some((version.model.dimension(dimension).ok()?, part, key.clone()))
}

/// A member of a row is labelled `cube.dimension`.
fn row_member(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let (cube, dimension) = node.label.split_once('.')?;
    let cube = version.model.cube(cube).ok()?;
    let dimension = version.model.dimension(dimension).ok()?;
    let mut dimensions = version.model.cube_def(cube).dimensions.iter();
    let position = dimensions.position(|&id| id == dimension)?;
    let key = row_key(version, cube, node.key.as_deref()?)?;
    Some(Asked::Row { cube, key, part: RowPart::Member(position) })
}

/// The key of a row from its columns.
fn row_key(version: &Version, cube: CubeId, parts: &[(String, String)]) -> Option<Vec<KeyPart>> {
    let part = |key: &cube::model::KeyDef| {
        let (_, text) = parts.iter().find(|(name, _)| *name == key.name)?;
        KeyPart::parse(key.key_type, text).ok()
    };
    let key: Vec<KeyPart> =
        version.model.cube_def(cube).def.key.iter().map(part).collect::<Option<_>>()?;
    (!key.is_empty()).then_some(key)
}

/// A stored value: of a row with its key, of a cell with a member in every dimension.
fn input(version: &Version, node: &ExplainNode) -> Option<Asked> {
    let (cube, measure) = node.label.split_once('.')?;
    let cube = version.model.cube(cube).ok()?;
    let measure = version.model.cube_def(cube).measure(measure).ok()?;
    if let Some(parts) = &node.key {
        let key = row_key(version, cube, parts)?;
        return Some(Asked::Row { cube, key, part: RowPart::Measure(measure) });
    }
    let member = |id: &DimensionId| {
        let dimension = version.dimension(*id);
        let (_, key) = node.place.iter().find(|(name, _)| *name == dimension.def.name)?;
        dimension.find(key)
    };
    let dimensions = version.model.cube_def(cube).dimensions.iter();
    let coordinate = dimensions.map(member).collect::<Option<Vec<_>>>()?;
    Some(Asked::Cell { cube, coordinate, measure })
}
