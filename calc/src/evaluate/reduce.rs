//! Aggregations: inner points that lead to the same point become one value.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use cube::{MemberId, Number};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::apply::compare;
use super::faults::adds_in_any_order;
use super::support::Filters;
use super::{PARALLEL_POINTS, Session, Unique, members_of};
use crate::column::{Column, Fault, Faults, Fixed, Mantissas};
use crate::error::Result;
use crate::node::{Aggregator, Reduce, Type, Value};
use crate::points::{Block, Numbering};
use crate::tables::Under;

/// Up to so many different points the inner ones are looked for by their members.
const FILTERED_POINTS_MAX: usize = 100_000;
/// Members of points are marked in a list of all where these are no more for a point.
const MEMBERS_PER_POINT: usize = 16;

/// The inner points of an aggregation with their values.
pub struct Contributions {
    /// The points.
    pub blocks: Vec<Block>,
    /// Their values, weights of what they are under included.
    pub values: Vec<Column>,
    /// Per point the result it leads to, or past the end.
    pub groups: Vec<Vec<u32>>,
    weights: Vec<Column>,
}

impl Session<'_> {
    /// The values of an aggregation at the points of some blocks of its result's frame.
    pub(super) fn reduce(&self, reduce: &Reduce, blocks: &[Block]) -> Result<Vec<Column>> {
        let mut unique = Unique::new(self, &reduce.result, blocks);
        for block in blocks {
            let axes: Vec<Cow<'_, [MemberId]>> =
                (0..reduce.result.axes.len()).map(|axis| block.axis(axis)).collect();
            unique.add(&axes, block.len);
        }
        let totals = match self.summed(reduce, &unique)? {
            Some(totals) => totals,
            None => {
                let inner = self.contributions(reduce, &unique)?;
                self.totals(reduce, &inner, unique.points.len)?
            }
        };
        Ok(unique.places.iter().map(|places| totals.taken(places)).collect())
    }

    /// What an aggregation reads for one result.
    pub fn contributions_at(&self, reduce: &Reduce, block: &Block) -> Result<Contributions> {
        let mut unique = Unique::new(self, &reduce.result, std::slice::from_ref(block));
        let axes: Vec<Cow<'_, [MemberId]>> =
            (0..reduce.result.axes.len()).map(|axis| block.axis(axis)).collect();
        unique.add(&axes, block.len);
        self.contributions(reduce, &unique)
    }

    /// The members of the results wanted, by axis, by which inner points are looked for; none where all
    /// of an axis are wanted.
    pub(super) fn wanted_members(&self, reduce: &Reduce, wanted: &Unique) -> Filters {
        let points = &wanted.points;
        if points.len > FILTERED_POINTS_MAX {
            return vec![None; points.columns.len()];
        }
        let axes = points.columns.iter().zip(&reduce.result.axes);
        axes.map(|(column, axis)| {
            let column = column.as_ref()?;
            let count = self.version.dimension(axis.dimension).member_count();
            let members = member_set(column, count);
            let all = || self.tables.order(self.version, *axis).members.len() as u64;
            (column.len() < count / MEMBERS_PER_POINT || members.len() < all()).then_some(members)
        })
        .collect()
    }

    /// What an aggregation reads for some results.
    pub(super) fn contributions(&self, reduce: &Reduce, wanted: &Unique) -> Result<Contributions> {
        let mut blocks = self.inner_blocks(reduce, &self.wanted_members(reduce, wanted))?;
        let groups = self.groups(reduce, &blocks, wanted)?;
        // few of many: only those that lead somewhere are evaluated
        let found: usize = groups.iter().flatten().filter(|group| **group != u32::MAX).count();
        let all: usize = blocks.iter().map(|block| block.len).sum();
        let groups = if found * 2 < all {
            let mut kept = Vec::new();
            for (block, groups) in blocks.iter_mut().zip(groups) {
                let places: Vec<u32> =
                    (0..block.len as u32).filter(|&at| groups[at as usize] != u32::MAX).collect();
                kept.push(places.iter().map(|&at| groups[at as usize]).collect());
                *block = block.taken(&places);
            }
            kept
        } else {
            groups
        };
        let frame = &reduce.inner.frame;
        let values = self.inner_values(reduce, &blocks)?;
        let weights = match &reduce.weight {
            Some(weight) => self.evaluate_all(weight, frame, &blocks)?,
            None => Vec::new(),
        };
        Ok(Contributions { blocks, values, groups, weights })
    }

    /// The values of inner points, with the weights of what they are under.
    fn inner_values(&self, reduce: &Reduce, blocks: &[Block]) -> Result<Vec<Column>> {
        let frame = &reduce.inner.frame;
        let mut values = self.evaluate_all(&reduce.inner.node, frame, blocks)?;
        for (axis, text) in &reduce.under {
            if let Some(under) = self.tables.under(self.version, frame.axes[*axis], text) {
                for (block, column) in blocks.iter().zip(&mut values) {
                    *column = weighted(column, &block.axis(*axis), &under);
                }
            }
        }
        Ok(values)
    }

    /// The result to which each inner point leads.
    fn groups(&self, reduce: &Reduce, blocks: &[Block], wanted: &Unique) -> Result<Vec<Vec<u32>>> {
        let mut by: Vec<Vec<Column>> = Vec::with_capacity(reduce.by.len());
        for node in &reduce.by {
            by.push(self.evaluate_all(node, &reduce.inner.frame, blocks)?);
        }
        let numbering: &Numbering = &wanted.numbering;
        let group = |(position, block): (usize, &Block)| -> Vec<u32> {
            let axes: Vec<Cow<'_, [MemberId]>> =
                by.iter().map(|columns| members_of(&columns[position])).collect();
            wanted.coder.places(numbering, &axes, block.len)
        };
        let points: usize = blocks.iter().map(|block| block.len).sum();
        if points < PARALLEL_POINTS {
            return Ok(blocks.iter().enumerate().map(group).collect());
        }
        Ok(blocks.par_iter().enumerate().map(group).collect())
    }

    fn totals(&self, reduce: &Reduce, inner: &Contributions, count: usize) -> Result<Column> {
        let all = || inner.values.iter().chain(&inner.weights);
        let has_faults = all().any(|column| column.faults().is_some());
        if !has_faults && let Some(totals) = self.ordered_totals(reduce, inner, count) {
            return Ok(totals);
        }
        // cells are there where they have a value: the first of them has one
        let aggregator = match (reduce.aggregator, reduce.inner.frame.rows) {
            (Aggregator::First, None) => Aggregator::FirstNonBlank,
            (Aggregator::Last, None) => Aggregator::LastNonBlank,
            (other, _) => other,
        };
        let value_type = match reduce.aggregator {
            Aggregator::Count | Aggregator::CountUnique => Type::Number,
            _ => reduce.inner.node.value_type,
        };
        let mut groups: Vec<Vec<(usize, usize)>> = vec![Vec::new(); count];
        for (block, places) in inner.groups.iter().enumerate() {
            for (at, &group) in places.iter().enumerate() {
                if let Some(group) = groups.get_mut(group as usize) {
                    group.push((block, at));
                }
            }
        }
        let mut totals = Vec::with_capacity(count);
        let mut faults = Faults::default();
        for (idx, mut group) in groups.into_iter().enumerate() {
            let order = |&(block, at): &(usize, usize)| {
                self.order_key(&reduce.inner.frame, &inner.blocks[block], at)
            };
            if reduce.aggregator.is_ordered() {
                group.sort_by_cached_key(order);
            }
            if has_faults && let Some(point) = needed_fault(aggregator, inner, &group, order) {
                let fault = (count == 1).then(|| self.inner_fault(reduce, inner, point));
                faults.add(idx, fault.transpose()?);
                totals.push(None);
                continue;
            }
            let adds_up =
                matches!(aggregator, Aggregator::Sum | Aggregator::Avg | Aggregator::Wavg);
            if adds_up && !inner.adds_in_any_order(&group) {
                // whether all sums on the way fit depends on the order: it is the declared one
                group.sort_by_cached_key(order);
            }
            totals.push(inner.aggregated(reduce, aggregator, &group).unwrap_or_else(|source| {
                faults.add(idx, Some(Arc::new(source.into())));
                None
            }));
        }
        Ok(Column::of_values(totals, value_type).with_faults_there(faults))
    }

    /// What went wrong at an inner point.
    fn inner_fault(
        &self,
        reduce: &Reduce,
        inner: &Contributions,
        (block, at): (usize, usize),
    ) -> Result<Arc<Fault>> {
        let frame = &reduce.inner.frame;
        let point = inner.blocks[block].taken(&[at as u32]);
        if let (Some(weight), false) = (&reduce.weight, inner.values[block].is_fault(at)) {
            return self.fault_at(weight, frame, &point);
        }
        let points = std::slice::from_ref(&point);
        let values = self.inner_values(reduce, points)?;
        let value = values.into_iter().next().unwrap_or(Column::Blank(0));
        let (_, faults) = self.with_origin(value, frame, points).split();
        match faults.first() {
            Some(fault) => Ok(Arc::clone(fault)),
            None => self.fault_at(&reduce.inner.node, frame, &point),
        }
    }
}

/// The different members of a column, of a dimension of so many.
fn member_set(column: &[MemberId], member_count: usize) -> RoaringBitmap {
    if column.len() < member_count / MEMBERS_PER_POINT {
        return column.iter().map(|member| member.0).collect();
    }
    let mut is_in = vec![false; member_count];
    for member in column {
        if let Some(is_in) = is_in.get_mut(member.idx()) {
            *is_in = true;
        }
    }
    let members = is_in.iter().zip(0u32..).filter(|(is_in, _)| **is_in);
    members.map(|(_, member)| member).collect()
}

impl Contributions {
    /// Whether a group's sum fits whatever the order in which it is made.
    fn adds_in_any_order(&self, group: &[(usize, usize)]) -> bool {
        let weight = |block: usize, at: usize| self.weights.get(block)?.number(at);
        let value = |&(block, at): &(usize, usize)| {
            let value = self.values[block].number(at)?;
            match self.weights.is_empty() {
                true => Some(value),
                false => value.times(weight(block, at)?).ok(),
            }
        };
        adds_in_any_order(group.iter().filter_map(value))
            && adds_in_any_order(group.iter().filter_map(|&(block, at)| weight(block, at)))
    }

    /// One value of a group.
    fn aggregated(
        &self,
        reduce: &Reduce,
        aggregator: Aggregator,
        group: &[(usize, usize)],
    ) -> cube::Result<Option<Value>> {
        let inner_type = reduce.inner.node.value_type;
        let values = group
            .iter()
            .map(|&(block, at)| self.values[block].supported_value(at, inner_type))
            .collect::<Vec<_>>();
        let weights = group
            .iter()
            .filter_map(|&(block, at)| Some(self.weights.get(block)?.number(at)))
            .collect::<Vec<_>>();
        aggregate(aggregator, &values, &weights)
    }
}

/// The inner point whose error is that of its group: of those that count the first in declared order.
fn needed_fault<K: Ord>(
    aggregator: Aggregator,
    inner: &Contributions,
    group: &[(usize, usize)],
    order: impl Fn(&(usize, usize)) -> K,
) -> Option<(usize, usize)> {
    let is_there = |&&(block, at): &&(usize, usize)| inner.values[block].is_there(at);
    let fails = |&(block, at): &(usize, usize)| {
        let of_weight = inner.weights.get(block).is_some_and(|weight| weight.is_fault(at));
        inner.values[block].is_fault(at) || (of_weight && inner.values[block].is_present(at))
    };
    // these take one value and need no other
    let taken = match aggregator {
        Aggregator::First => group.first(),
        Aggregator::Last => group.last(),
        Aggregator::FirstNonBlank => group.iter().find(is_there),
        Aggregator::LastNonBlank => group.iter().rev().find(is_there),
        _ => return group.iter().copied().filter(fails).min_by_key(order),
    };
    taken.copied().filter(fails)
}

/// Values times the weights that their members have.
pub(super) fn weighted(column: &Column, members: &[MemberId], under: &Under) -> Column {
    let Some((weights, scale)) = &under.weights else { return column.clone() };
    let weight = |member: &MemberId| weights[member.idx()];
    if let Column::Fixed(fixed) = column {
        let factors = Mantissas::Narrow(members.iter().map(weight).collect());
        let products = fixed.values.with(&factors, i64::overflowing_mul, i128::overflowing_mul);
        if let Some(values) = products {
            let counts = |(at, member)| fixed.is_present(at) && weight(member) != 0;
            let present = members.iter().enumerate().map(counts).collect();
            return Column::Fixed(Fixed::blanked(values, present, fixed.scale + scale));
        }
    }
    let product = |at: usize| -> cube::Result<Option<Number>> {
        let weight = weights[members[at].idx()];
        let weight = Number::new(i128::from(weight), *scale);
        column.number(at).filter(|_| weight != Number::ZERO).map(|v| v.times(weight)).transpose()
    };
    let (mut products, mut faults) = (Vec::with_capacity(column.len()), Faults::default());
    for at in 0..column.len() {
        if column.is_fault(at) && weights[members[at].idx()] != 0 {
            faults.add(at, column.faults().and_then(Faults::first).cloned());
        }
        products.push(product(at).unwrap_or_else(|source| {
            faults.add(at, Some(Arc::new(source.into())));
            None
        }));
    }
    Column::Numbers(products).with_faults(faults)
}

/// One value of several, blanks among them, in order.
pub(super) fn aggregate(
    aggregator: Aggregator,
    values: &[Option<Value>],
    weights: &[Option<Number>],
) -> cube::Result<Option<Value>> {
    let filled = || values.iter().flatten();
    let numbers = || {
        filled().filter_map(|value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    };
    let sum = |mut numbers: Box<dyn Iterator<Item = Number> + '_>| -> cube::Result<Option<Number>> {
        let Some(first) = numbers.next() else { return Ok(None) };
        Ok(Some(numbers.try_fold(first, |sum, next| sum.plus(next))?))
    };
    let counted = |count: usize| (count > 0).then(|| Value::Number(Number::new(count as i128, 0)));
    Ok(match aggregator {
        Aggregator::Sum => sum(Box::new(numbers()))?.map(Value::Number),
        Aggregator::Avg => {
            let count = Number::new(numbers().count() as i128, 0);
            let total = sum(Box::new(numbers()))?;
            let average = total.map(|total| total.divided_by(count)).transpose()?.flatten();
            average.map(Value::Number)
        }
        Aggregator::Wavg => weighted_average(values, weights)?.map(Value::Number),
        Aggregator::Min => least(filled(), false),
        Aggregator::Max => least(filled(), true),
        Aggregator::Count => counted(filled().count()),
        Aggregator::CountUnique => {
            let texts: BTreeSet<String> = filled()
                .map(|value| match value {
                    Value::Number(number) => format!("{}", number.normalized()),
                    other => format!("{other:?}"),
                })
                .collect();
            counted(texts.len())
        }
        Aggregator::First => values.first().cloned().flatten(),
        Aggregator::Last => values.last().cloned().flatten(),
        Aggregator::FirstNonBlank => filled().next().cloned(),
        Aggregator::LastNonBlank => filled().next_back().cloned(),
        Aggregator::TextList => {
            let texts = filled().filter_map(|value| match value {
                Value::Text(text) => Some(text.as_ref()),
                _ => None,
            });
            let texts: Vec<&str> = texts.collect();
            (!texts.is_empty()).then(|| Value::Text(texts.join(", ").into()))
        }
        Aggregator::Any | Aggregator::All => {
            let mut flags = filled().filter_map(|value| match value {
                Value::Boolean(flag) => Some(*flag),
                _ => None,
            });
            match (flags.clone().next(), aggregator) {
                (None, _) => None,
                (_, Aggregator::Any) => Some(Value::Boolean(flags.any(|flag| flag))),
                _ => Some(Value::Boolean(flags.all(|flag| flag))),
            }
        }
    })
}

fn least<'a>(values: impl Iterator<Item = &'a Value>, largest: bool) -> Option<Value> {
    let order = |a: &Value, b: &Value| match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(*a, *b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    };
    let found =
        if largest { values.max_by(|a, b| order(a, b)) } else { values.min_by(|a, b| order(a, b)) };
    found.cloned()
}

/// The sum of values times weights by the sum of weights, where both are there.
fn weighted_average(
    values: &[Option<Value>],
    weights: &[Option<Number>],
) -> cube::Result<Option<Number>> {
    let (mut total, mut weight_total) = (Number::ZERO, Number::ZERO);
    let mut found = false;
    for (value, weight) in values.iter().zip(weights) {
        if let (Some(Value::Number(value)), Some(weight)) = (value, weight) {
            total = total.plus(value.times(*weight)?)?;
            weight_total = weight_total.plus(*weight)?;
            found = true;
        }
    }
    Ok(if found { total.divided_by(weight_total)? } else { None })
}
