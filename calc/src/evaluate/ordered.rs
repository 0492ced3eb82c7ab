//! The first and the last of several values: by date, then by the declared order of the other members,
//! then by key. One pass keeps the best of each group; nothing is sorted.

use std::cmp::Ordering;

use cube::KeyType;
use cube::dimension::Dimension;

use super::Session;
use super::reduce::Contributions;
use crate::column::Column;
use crate::node::{Aggregator, Reduce};
use crate::points::Block;

/// Which of the points of a group is wanted.
struct Wanted {
    /// How a better point compares with the one before it.
    better: Ordering,
    /// Only points with a value count.
    skips_blanks: bool,
}

impl Wanted {
    /// Cells are there where they have a value: the first of them has one.
    fn new(reduce: &Reduce) -> Option<Self> {
        let is_cells = reduce.inner.frame.rows.is_none();
        let (better, skips_blanks) = match reduce.aggregator {
            Aggregator::First => (Ordering::Less, is_cells),
            Aggregator::Last => (Ordering::Greater, is_cells),
            Aggregator::FirstNonBlank => (Ordering::Less, true),
            Aggregator::LastNonBlank => (Ordering::Greater, true),
            _ => return None,
        };
        Some(Self { better, skips_blanks })
    }
}

/// A point by its block and its place there.
type Point = (usize, usize);

impl Session<'_> {
    /// The first or last value of each of so many groups; none where the aggregation is another.
    pub(super) fn ordered_totals(
        &self,
        reduce: &Reduce,
        inner: &Contributions,
        count: usize,
    ) -> Option<Column> {
        let wanted = Wanted::new(reduce)?;
        let inner_type = reduce.inner.node.value_type;
        let is_there = |column: &Column, at| column.supported_value(at, inner_type).is_some();
        let places = self.order_places(reduce, inner);
        let mut best: Vec<Option<Point>> = vec![None; count];
        for (block, groups) in inner.groups.iter().enumerate() {
            let column = &inner.values[block];
            for (at, &group) in groups.iter().enumerate() {
                let Some(best) = best.get_mut(group as usize) else { continue };
                if wanted.skips_blanks && !is_there(column, at) {
                    continue;
                }
                let is_better = best.is_none_or(|best| {
                    compare(reduce, inner, &places, (block, at), best) == wanted.better
                });
                if is_better {
                    *best = Some((block, at));
                }
            }
        }
        let value = |best: Option<Point>| {
            best.and_then(|(block, at)| inner.values[block].supported_value(at, inner_type))
        };
        Some(Column::of_values(best.into_iter().map(value).collect(), inner_type))
    }

    fn dimension_of(&self, reduce: &Reduce, axis: usize) -> &Dimension {
        self.version.dimension(reduce.inner.frame.axes[axis].dimension)
    }

    /// The axes of what is aggregated, dates before all others.
    fn axes_in_order(&self, reduce: &Reduce) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..reduce.inner.frame.axes.len()).collect();
        axes.sort_by_key(|&axis| {
            let def = &self.dimension_of(reduce, axis).def;
            def.calendar.is_none() && def.key_type != KeyType::Date
        });
        axes
    }

    /// Per block and axis, dates before all others, the places of the points' members in their order.
    fn order_places(&self, reduce: &Reduce, inner: &Contributions) -> Vec<Vec<Vec<u32>>> {
        let dimension = |axis: usize| self.dimension_of(reduce, axis);
        let axes = self.axes_in_order(reduce);
        let places = |block: &Block| {
            let of_axis = |&axis: &usize| {
                let members = block.axis(axis);
                members.iter().map(|&member| dimension(axis).order(member)).collect()
            };
            axes.iter().map(of_axis).collect()
        };
        inner.blocks.iter().map(places).collect()
    }
}

/// How two points stand to each other.
fn compare(
    reduce: &Reduce,
    inner: &Contributions,
    places: &[Vec<Vec<u32>>],
    a: Point,
    b: Point,
) -> Ordering {
    let axes = places[a.0].iter().zip(&places[b.0]);
    let by_members = axes.map(|(of_a, of_b)| of_a[a.1].cmp(&of_b[b.1])).find(|order| order.is_ne());
    if let Some(order) = by_members {
        return order;
    }
    let origin = |point: Point| {
        let origin = inner.blocks[point.0].origin.as_ref();
        origin.filter(|_| reduce.inner.frame.rows.is_some())
    };
    let (Some(of_a), Some(of_b)) = (origin(a), origin(b)) else { return Ordering::Equal };
    let (row_a, row_b) = (of_a.rows.get(a.1), of_b.rows.get(b.1));
    let keys = of_a.segment.keys.iter().zip(&of_b.segment.keys);
    let mut orders = keys.map(|(a, b)| a.compare(row_a, &b.get(row_b)));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}
