//! Sums of sums are one sum: `x[REMOVE SUM: a][BY SUM: b.level]` goes through the points of `x` once, and
//! never has the totals in between, of which there may be as many.

use crate::node::{Aggregator, Kind, Node, Reduce, Scope};

/// What an aggregation of `scope` by `by` is an aggregation of: where `scope` aggregates in the same way,
/// its own operand, and where the points of that lead.
pub(super) fn fused(scope: Scope, by: Vec<Node>, aggregator: Aggregator) -> (Scope, Vec<Node>) {
    let is_plain = |inner: &Reduce| {
        inner.aggregator == aggregator && inner.weight.is_none() && inner.under.is_empty()
    };
    let is_associative = matches!(
        aggregator,
        Aggregator::Sum | Aggregator::Min | Aggregator::Max | Aggregator::Any | Aggregator::All
    );
    match &scope.node.kind {
        Kind::Reduce(inner) if is_associative && is_plain(inner) => {
            let led: Option<Vec<Node>> = by.iter().map(|node| led_from(node, &inner.by)).collect();
            match led {
                Some(led) => (inner.inner.clone(), led),
                None => (scope, by),
            }
        }
        _ => (scope, by),
    }
}

/// A member that follows from a point's axes, where `axes` say what these are at another point; none
/// where more than the path from an axis is in it.
fn led_from(node: &Node, axes: &[Node]) -> Option<Node> {
    let kind = match &node.kind {
        Kind::Axis(axis) => return axes.get(*axis).cloned(),
        Kind::Map(from, dimension, map) => {
            Kind::Map(Box::new(led_from(from, axes)?), *dimension, map.clone())
        }
        Kind::Attribute(of, dimension, attribute, None) => {
            Kind::Attribute(Box::new(led_from(of, axes)?), *dimension, *attribute, None)
        }
        _ => return None,
    };
    Some(Node { kind, ..node.clone() })
}
