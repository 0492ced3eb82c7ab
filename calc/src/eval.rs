//! Evaluation of a checked formula at one cell, exact until the one rounding on assignment.

use cube::{MeasureId, Number};

use crate::check::Node;
use crate::syntax::ast::BinaryOperator;

/// What a formula reads at a cell; blank is none.
pub trait Operands {
    /// A measure of the same cell.
    fn measure(&self, measure: MeasureId) -> Option<Number>;
    /// An attribute, by its position in the formula's list.
    fn attribute(&self, idx: usize) -> Option<Number>;
    /// An aggregation, by its position in the formula's list.
    fn aggregate(&self, idx: usize) -> Option<Number>;
}

/// The value of a formula at a cell; blank is none.
pub fn evaluate(node: &Node, operands: &impl Operands) -> cube::Result<Option<Number>> {
    match node {
        Node::Constant(number) => Ok(Some(*number)),
        Node::Measure(measure) => Ok(operands.measure(*measure)),
        Node::Attribute(idx) => Ok(operands.attribute(*idx)),
        Node::Aggregate(idx) => Ok(operands.aggregate(*idx)),
        Node::Negate(inner) => evaluate(inner, operands)?.map(Number::negate).transpose(),
        Node::Binary(operator, a, b) => {
            let values = (evaluate(a, operands)?, evaluate(b, operands)?);
            match operator {
                BinaryOperator::Add => sum(values, (a, b), Number::plus),
                BinaryOperator::Subtract => sum(values, (a, b), Number::minus),
                BinaryOperator::Multiply => match values {
                    (Some(a), Some(b)) => a.times(b).map(Some),
                    _ => Ok(None),
                },
                BinaryOperator::Divide => match values {
                    (Some(a), Some(b)) => a.divided_by(b),
                    _ => Ok(None),
                },
            }
        }
    }
}

/// A blank operand counts as nothing, but what is broadcast adds no support of its own.
fn sum(
    (a, b): (Option<Number>, Option<Number>),
    nodes: (&Node, &Node),
    combine: impl Fn(Number, Number) -> cube::Result<Number>,
) -> cube::Result<Option<Number>> {
    let supported = match (nodes.0.is_broadcast(), nodes.1.is_broadcast()) {
        (true, false) => b.is_some(),
        (false, true) => a.is_some(),
        _ => a.is_some() || b.is_some(),
    };
    if !supported {
        return Ok(None);
    }
    combine(a.unwrap_or(Number::ZERO), b.unwrap_or(Number::ZERO)).map(Some)
}
