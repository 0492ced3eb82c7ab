//! OVERRIDE: a formula over whose values inputs are written. They lie in a measure of their own.

use cube::MeasureId;
use cube::model::Consolidation;

use super::{Checker, apply};
use crate::error::Result;
use crate::functions::{Function, Shape, Special, find};
use crate::node::{Frame, Kind, Node};
use crate::syntax::Span;
use crate::syntax::ast::{Argument, Expression, ExpressionKind};

impl Checker<'_> {
    /// The whole formula, and the measure in which its inputs are where it takes some.
    pub(super) fn whole(
        &mut self,
        tree: &Expression,
        frame: &Frame,
        region: &[(usize, String)],
    ) -> Result<(Node, Option<MeasureId>)> {
        if let ExpressionKind::Call(name, arguments) = &tree.kind
            && let Some(entry) = find(&name.text)
            && matches!(entry.shape, Shape::Special(Special::Override))
        {
            return self.overridden(arguments, frame, region, tree.span);
        }
        Ok((self.node(tree, frame)?, None))
    }

    fn overridden(
        &mut self,
        arguments: &[Argument],
        frame: &Frame,
        region: &[(usize, String)],
        span: Span,
    ) -> Result<(Node, Option<MeasureId>)> {
        if self.target.consolidation == Consolidation::Formula {
            // a total that is computed from totals is nobody's to write
            let message = "a measure whose consolidation is formula takes no inputs".into();
            let hint = "let inputs override one of the measures that it reads";
            return Err(self.error(span, message, Some(hint.into())));
        }
        let [Argument { name: None, value: input }, Argument { name: None, value: computed }] =
            arguments
        else {
            let message = "OVERRIDE has not these arguments".into();
            return Err(self.error(span, message, Some("it is written OVERRIDE(input, x)".into())));
        };
        let node = self.node(input, frame)?;
        let measure = self.takes_inputs(&node)?;
        let tree = computed;
        let computed = self.node(tree, frame)?;
        self.check_support(&computed, region, tree)?;
        let (node, mut computed) = self.unified(node, computed)?;
        // it has a value wherever it would have one as the whole formula
        computed.mask = frame.full();
        let value_type = node.value_type;
        let node = apply(Function::Coalesce, vec![node, computed], value_type, span);
        Ok((node, Some(measure)))
    }

    /// The measure for the target's inputs: another one of the same cube and type that no formula
    /// computes.
    fn takes_inputs(&self, node: &Node) -> Result<MeasureId> {
        let refused = |message: String, hint: &str| {
            Err(self.error(node.span, message, Some(hint.to_string())))
        };
        let (cube, measure) = match node.kind {
            Kind::Stored(cube, measure)
                if Some(cube) == self.home && Some(measure) != self.measure =>
            {
                (cube, measure)
            }
            _ => {
                return refused(
                    format!("expected another measure of cube {}", self.cube.def.name),
                    "the first argument is the measure that holds the inputs",
                );
            }
        };
        let def = self.model.cube_def(cube).measure_def(measure);
        if !self.model.is_input(cube, measure) {
            return refused(
                format!("{} is computed by a formula and takes no inputs", def.name),
                "add a measure for the inputs",
            );
        }
        if def.value_type != self.target.value_type {
            return refused(
                format!(
                    "{} is {} and the target is {}",
                    def.name, def.value_type, self.target.value_type
                ),
                "the inputs of a measure are of its own type",
            );
        }
        Ok(measure)
    }
}
