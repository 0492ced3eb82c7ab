//! What a ratio may read. It is computed at every level from operands consolidated there, so each must be
//! a measure whose totals are at the same members: of its own cube, or of one with the same dimensions.

use cube::CubeId;
use cube::model::Consolidation;

use super::Checker;
use crate::error::{CalcError, Result};
use crate::functions::Function;
use crate::node::{Kind, MemberMap, Node, Scope, Type};
use crate::syntax::Span;

impl Checker<'_> {
    /// Checks what a ratio is made of.
    pub(super) fn check_ratio(&self, node: &Node) -> Result<()> {
        match &node.kind {
            Kind::Literal(_) | Kind::Blank => Ok(()),
            Kind::Apply(Function::Filter | Function::Exclude, _) => {
                let message = "FILTER and EXCLUDE look at single cells, and a measure whose consolidation is formula at totals";
                Err(self.of_no_ratio(node.span, message.into()))
            }
            Kind::Apply(_, arguments) => {
                arguments.iter().try_for_each(|node| self.check_ratio(node))
            }
            Kind::Stored(..) | Kind::At(..) if node.value_type == Type::Text => {
                let message =
                    "a measure whose consolidation is formula reads numbers, and no texts";
                Err(self.of_no_ratio(node.span, message.into()))
            }
            Kind::Stored(..) => Ok(()),
            Kind::At(scope, members) => match &scope.node.kind {
                Kind::Stored(cube, _) => self.check_other(*cube, scope, members, node.span),
                _ => Err(self.is_elsewhere(node.span)),
            },
            _ => Err(self.is_elsewhere(node.span)),
        }
    }

    /// Another cube's measure is read at the same members: each of its axes is one of the ratio's own, at
    /// the same level, and it has them all.
    fn check_other(&self, cube: CubeId, scope: &Scope, members: &[Node], span: Span) -> Result<()> {
        let name = &self.model.cube_def(cube).def.name;
        let frame = &scope.frame;
        let wanted = "a measure whose consolidation is formula reads cubes with exactly its own dimensions and levels";
        if let Some(axis) = self.frame.axes.iter().find(|a| frame.position(a.dimension).is_none()) {
            let dimension = &self.model.dimension_def(axis.dimension).name;
            return Err(
                self.of_no_ratio(span, format!("{name} has no dimension {dimension}: {wanted}"))
            );
        }
        for (axis, member) in frame.axes.iter().zip(members) {
            match &member.kind {
                Kind::Axis(at) if self.frame.axes.get(*at) == Some(axis) => {}
                Kind::Map(_, _, MemberMap::Ancestor(..)) => {
                    let axis = self.axis_text(*axis);
                    return Err(self.of_no_ratio(span, format!("{name} is by {axis}: {wanted}")));
                }
                _ => return Err(self.is_elsewhere(span)),
            }
        }
        Ok(())
    }

    fn is_elsewhere(&self, span: Span) -> CalcError {
        let message = "a measure whose consolidation is formula reads measures at its own members, and numbers, only";
        self.of_no_ratio(span, message.into())
    }

    fn of_no_ratio(&self, span: Span, message: String) -> CalcError {
        let hint =
            format!("put this into a measure of {}, and read that one here", self.cube.def.name);
        self.error(span, message, Some(hint))
    }

    /// What does not fit a ratio is aggregated in a measure of its own, which has a consolidation too.
    pub(super) fn brought_in(&self, error: CalcError) -> CalcError {
        match error {
            CalcError::Formula { target, text, span, message, .. }
                if self.target.consolidation == Consolidation::Formula =>
            {
                let hint = format!(
                    "a ratio reads cells: aggregate this with BY in a measure of {}, and read that one here",
                    self.cube.def.name
                );
                CalcError::Formula { target, text, span, message, hint: Some(hint) }
            }
            other => other,
        }
    }
}
