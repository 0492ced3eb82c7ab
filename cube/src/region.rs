//! Regions: the part of a measure that a formula computes, by members of some dimensions.
//!
//! The target of a formula is `cube.measure`, or `cube.measure[dimension: "member", ...]`: the cells
//! whose members are the named ones or below them.

use roaring::RoaringBitmap;

use crate::dimension::Dimension;
use crate::error::{CubeError, Result};
use crate::id::{CubeId, HierarchyId, MeasureId, MemberId};
use crate::model::Model;

/// The text of a formula's target, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetText {
    /// The cube's name.
    pub cube: String,
    /// The measure's name.
    pub measure: String,
    /// Dimensions and members; none: the whole measure.
    pub region: Vec<(String, String)>,
}

impl TargetText {
    /// Reads `cube.measure[dimension: "member", ...]`.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || {
            CubeError::Definition(format!(
                "formula target {text:?} is not of the form cube.measure or cube.measure[dimension: \"member\"]"
            ))
        };
        let (path, rest) = match text.split_once('[') {
            Some((path, rest)) => (path, Some(rest)),
            None => (text, None),
        };
        let (cube, measure) = path.trim().split_once('.').ok_or_else(malformed)?;
        let mut region = Vec::new();
        if let Some(rest) = rest {
            let inside = rest.trim_end().strip_suffix(']').ok_or_else(malformed)?;
            let mut rest = inside.trim();
            while !rest.is_empty() {
                let (dimension, after) = rest.split_once(':').ok_or_else(malformed)?;
                let after = after.trim_start();
                let (member, after) = match after.strip_prefix('"') {
                    Some(quoted) => quoted.split_once('"').ok_or_else(malformed)?,
                    None => after.split_at(after.find(',').unwrap_or(after.len())),
                };
                region.push((dimension.trim().to_lowercase(), member.trim().to_string()));
                let after = after.trim_start();
                rest = match after.strip_prefix(',') {
                    Some(next) => next.trim_start(),
                    None if after.is_empty() => after,
                    None => return Err(malformed()),
                };
            }
            if region.is_empty() {
                return Err(malformed());
            }
        }
        Ok(Self { cube: cube.trim().into(), measure: measure.trim().into(), region })
    }
}

/// The cells of a measure that a formula with a region computes.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The formula's target.
    pub target: String,
    /// The cube.
    pub cube: CubeId,
    /// The measure.
    pub measure: MeasureId,
    /// Per dimension that is named, by position, the members inside.
    pub members: Vec<(usize, RoaringBitmap)>,
}

impl Region {
    /// The regions of a model's formulas. A member that is not there yet has nothing below it.
    pub fn all(model: &Model, dimensions: &[std::sync::Arc<Dimension>]) -> Result<Vec<Self>> {
        let mut regions = Vec::new();
        for formula in &model.formulas {
            let text = TargetText::parse(&formula.target)?;
            if text.region.is_empty() {
                continue;
            }
            let (cube, measure) = model.target(&formula.target)?;
            let def = model.cube_def(cube);
            let mut members = Vec::new();
            for (name, member) in &text.region {
                let id = model.dimension(name)?;
                let position = def.position(id).ok_or_else(|| {
                    CubeError::Definition(format!(
                        "{}: the cube has no dimension {name:?}",
                        formula.target
                    ))
                })?;
                let inside = dimensions.get(id.idx()).map(|dimension| inside(dimension, member));
                members.push((position, inside.unwrap_or_default()));
            }
            let target = formula.target.clone();
            regions.push(Self { target, cube, measure, members });
        }
        Ok(regions)
    }

    /// Whether a coordinate is inside.
    pub fn contains(&self, member: impl Fn(usize) -> MemberId) -> bool {
        self.members.iter().all(|(position, members)| members.contains(member(*position).0))
    }

    /// Whether two regions share cells, and neither is inside the other: which formula computes those
    /// cannot be said.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let of = |region: &'_ Self, at: usize| {
            region
                .members
                .iter()
                .find(|(position, _)| *position == at)
                .map(|(_, members)| members.clone())
        };
        let is_empty = |region: &Self| region.members.iter().any(|(_, members)| members.is_empty());
        let is_apart = self.members.iter().any(|(position, members)| {
            of(other, *position).is_some_and(|others| others.is_disjoint(members))
        });
        let is_measure = (self.cube, self.measure) == (other.cube, other.measure);
        is_measure
            && !is_apart
            && !is_empty(self)
            && !is_empty(other)
            && self.contains_region(other) == other.contains_region(self)
    }

    /// Whether another region is inside this one, and not the same.
    pub fn contains_region(&self, other: &Self) -> bool {
        let within = self.members.iter().all(|(position, members)| {
            let of_other = other.members.iter().find(|(at, _)| at == position);
            of_other.is_some_and(|(_, others)| others.is_subset(members))
        });
        within && self.members != other.members
    }
}

/// A member and all below it, in any hierarchy.
fn inside(dimension: &Dimension, text: &str) -> RoaringBitmap {
    let member = dimension.resolve(text).ok().or_else(|| {
        let mut named = dimension.members().filter(|&member| dimension.name(member) == text);
        let first = named.next();
        first.filter(|_| named.next().is_none())
    });
    let Some(member) = member else { return RoaringBitmap::new() };
    let mut members: RoaringBitmap = std::iter::once(member.0).collect();
    for idx in 0..dimension.def.hierarchies.len() {
        let shape = dimension.shape(HierarchyId::from_idx(idx));
        let depth = usize::from(shape.depth[member.idx()]);
        if let Some(ancestors) = shape.ancestors.get(depth) {
            let below = dimension.members().filter(|below| ancestors[below.idx()] == member);
            members.extend(below.map(|below| below.0));
        }
    }
    members
}
