//! Collects one segment: which rows, which group each belongs to, what each output adds.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::accumulate::{Accumulator, Groups, Keep, LeafValue, Partial, overflow};
use super::{DimensionWeights, OutputKind, OutputPlan, Request, Rollup, RollupColumn, Selection};
use crate::dimension::Dimension;
use crate::error::{CubeError, Result};
use crate::limits::DENSE_GROUPS_MAX;
use crate::model::TimeSummary;
use crate::number::{Rounding, divide_rounded};
use crate::segment::{Segment, SegmentView, Selector, Values};

pub(super) struct Collector<'a> {
    request: &'a Request<'a>,
    selector: Selector<'a>,
    weights: &'a [DimensionWeights<'a>],
    plans: &'a [OutputPlan],
    /// Per axis, what its code is multiplied by in the combined code.
    strides: Vec<u128>,
    group_space: u128,
    /// Per dimension, what its member is multiplied by in a leaf's combined code.
    leaf_strides: Vec<u128>,
}

impl<'a> Collector<'a> {
    pub fn new(
        request: &'a Request<'a>,
        dimensions: &[&Dimension],
        filters: &'a [Option<RoaringBitmap>],
        weights: &'a [DimensionWeights<'a>],
        plans: &'a [OutputPlan],
    ) -> Result<Self> {
        let (strides, group_space) =
            strides(request.axes.iter().map(|axis| axis.cardinality as usize))?;
        let (leaf_strides, _) = strides_of(dimensions)?;
        Ok(Self {
            request,
            selector: Selector::new(filters),
            weights,
            plans,
            strides,
            group_space,
            leaf_strides,
        })
    }

    /// A partial result that has seen nothing. Without axes there is one group from the start.
    pub fn empty(&self) -> Partial {
        let mut groups = Groups::default();
        if self.request.axes.is_empty() {
            groups.get_or_add(0).expect("one group is within the limit");
        }
        let count = groups.codes.len();
        let accumulators = self.plans.iter().map(|plan| {
            let mut accumulator = accumulator(&plan.kind);
            accumulator.grow(count);
            accumulator
        });
        Partial { accumulators: accumulators.collect(), groups }
    }

    pub fn collect(
        &self,
        view: &SegmentView,
        selection: Option<&Selection<'_>>,
    ) -> Result<Partial> {
        let mut partial = self.empty();
        let rows = self.select(view, selection)?;
        if rows.is_empty() {
            return Ok(partial);
        }
        let groups = self.group(&view.segment, &rows, &mut partial.groups)?;
        let count = partial.groups.codes.len();
        for (plan, accumulator) in self.plans.iter().zip(&mut partial.accumulators) {
            accumulator.grow(count);
            self.accumulate(plan, &view.segment, &rows, &groups, accumulator)?;
        }
        Ok(partial)
    }

    fn select(&self, view: &SegmentView, selection: Option<&Selection<'_>>) -> Result<Vec<u32>> {
        let mut rows = view.rows_with(&self.selector);
        if let Some(selection) = selection
            && !rows.is_empty()
        {
            let selected = selection(view)?;
            rows.retain(|&row| selected.contains(row));
        }
        Ok(rows)
    }

    /// The group of every selected row.
    fn group(&self, segment: &Segment, rows: &[u32], groups: &mut Groups) -> Result<Vec<u32>> {
        let mut codes = vec![0u128; rows.len()];
        for (axis, stride) in self.request.axes.iter().zip(&self.strides) {
            let column = &segment.coordinates[axis.position];
            for (code, &row) in codes.iter_mut().zip(rows) {
                *code += stride * u128::from(axis.codes[column.get(row as usize).idx()]);
            }
        }
        if self.group_space > DENSE_GROUPS_MAX as u128 {
            return codes.into_iter().map(|code| groups.get_or_add(code)).collect();
        }
        let mut known = vec![u32::MAX; self.group_space as usize];
        let lookup = |code: u128| {
            let known = &mut known[code as usize];
            if *known == u32::MAX {
                *known = groups.get_or_add(code)?;
            }
            Ok(*known)
        };
        codes.into_iter().map(lookup).collect()
    }

    fn accumulate(
        &self,
        plan: &OutputPlan,
        segment: &Segment,
        rows: &[u32],
        groups: &[u32],
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let pairs =
            || rows.iter().map(|&row| row as usize).zip(groups.iter().map(|&group| group as usize));
        if let (OutputKind::CountRows, Accumulator::Count(counts)) = (&plan.kind, &mut *accumulator)
        {
            pairs().for_each(|(_, group)| counts[group] += 1);
            return Ok(());
        }
        // a measure declared later is blank in older segments
        let Some(values) = segment.values.get(plan.measure) else { return Ok(()) };
        let filled =
            || pairs().filter_map(|(row, group)| values.get(row).map(|value| (row, group, value)));
        match (&plan.kind, accumulator) {
            (OutputKind::WeightedSum, Accumulator::Sum { sums, counts })
                if !self.weights.is_empty() =>
            {
                for (row, group, value) in filled() {
                    if let Some(value) = self.weighted(segment, row, value)? {
                        Accumulator::add(sums, counts, group, value)?;
                    }
                }
            }
            (
                OutputKind::WeightedSum | OutputKind::Sum | OutputKind::Average,
                Accumulator::Sum { sums, counts },
            ) => {
                for (_, group, value) in filled() {
                    Accumulator::add(sums, counts, group, i128::from(value))?;
                }
            }
            (OutputKind::SemiAdditive { .. }, accumulator) => {
                self.accumulate_leaves(&plan.kind, segment, values, pairs(), accumulator)?;
            }
            (_, Accumulator::Extreme { values, keep }) => {
                for (_, group, value) in filled() {
                    Accumulator::keep_extreme(&mut values[group], value, *keep);
                }
            }
            (_, Accumulator::Count(counts)) => {
                filled().for_each(|(_, group, _)| counts[group] += 1)
            }
            _ => {}
        }
        Ok(())
    }

    fn accumulate_leaves(
        &self,
        kind: &OutputKind,
        segment: &Segment,
        values: &Values,
        pairs: impl Iterator<Item = (usize, usize)>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let (
            OutputKind::SemiAdditive { position, chooser, summaries, order },
            Accumulator::SemiAdditive { sums, counts, leaves },
        ) = (kind, accumulator)
        else {
            return Ok(());
        };
        for (row, group) in pairs {
            let Some(value) = values.get(row) else { continue };
            let Some(value) = self.weighted(segment, row, value)? else { continue };
            let chosen = chooser.map_or(0, |position| segment.coordinates[position].get(row).idx());
            let date = i64::from(order[segment.coordinates[*position].get(row).idx()]);
            let date = match summaries[chosen] {
                TimeSummary::Sum => {
                    Accumulator::add(sums, counts, group, value)?;
                    continue;
                }
                TimeSummary::Last => date,
                TimeSummary::First => -date,
            };
            let leaf = self.leaf_code(segment, row, *position);
            Accumulator::keep_later(leaves, (group as u32, leaf), LeafValue { order: date, value });
        }
        Ok(())
    }

    /// The combined code of a row's coordinate without one dimension.
    fn leaf_code(&self, segment: &Segment, row: usize, without: usize) -> u128 {
        let columns = segment.coordinates.iter().zip(&self.leaf_strides).enumerate();
        let parts = columns.filter(|(position, _)| *position != without);
        parts.map(|(_, (column, stride))| stride * u128::from(column.get(row).0)).sum()
    }

    /// The value as it counts in its group; none where it does not count.
    fn weighted(&self, segment: &Segment, row: usize, value: i64) -> Result<Option<i128>> {
        let mut product = i128::from(value);
        for weights in self.weights {
            let member = segment.coordinates[weights.position].get(row);
            for factor in &weights.factors {
                match factor[member.idx()] {
                    0 => return Ok(None),
                    weight => {
                        product = product.checked_mul(i128::from(weight)).ok_or_else(overflow)?
                    }
                }
            }
        }
        Ok(Some(product))
    }

    pub fn finish(&self, partial: Partial) -> Result<Rollup> {
        let count = partial.groups.codes.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&group| partial.groups.codes[group]);
        let mut columns = Vec::new();
        for (plan, accumulator) in self.plans.iter().zip(partial.accumulators) {
            let values = finish_values(plan, accumulator)?;
            columns.push(RollupColumn {
                scale: plan.scale,
                values: order.iter().map(|&g| values[g]).collect(),
            });
        }
        let axes = self.request.axes.iter().zip(&self.strides);
        let codes = axes.map(|(axis, stride)| {
            let code = |&group: &usize| {
                (partial.groups.codes[group] / stride) % u128::from(axis.cardinality.max(1))
            };
            order.iter().map(|group| code(group) as u32).collect()
        });
        Ok(Rollup { group_count: count, codes: codes.collect(), columns })
    }
}

fn accumulator(kind: &OutputKind) -> Accumulator {
    match kind {
        OutputKind::WeightedSum | OutputKind::Sum | OutputKind::Average => {
            Accumulator::Sum { sums: Vec::new(), counts: Vec::new() }
        }
        OutputKind::SemiAdditive { .. } => Accumulator::SemiAdditive {
            sums: Vec::new(),
            counts: Vec::new(),
            leaves: HashMap::new(),
        },
        OutputKind::Min => Accumulator::Extreme { values: Vec::new(), keep: Keep::Smallest },
        OutputKind::Max => Accumulator::Extreme { values: Vec::new(), keep: Keep::Largest },
        OutputKind::Count | OutputKind::CountRows => Accumulator::Count(Vec::new()),
        OutputKind::Blank => Accumulator::Blank(0),
    }
}

fn finish_values(plan: &OutputPlan, accumulator: Accumulator) -> Result<Vec<Option<i128>>> {
    Ok(match accumulator {
        Accumulator::Sum { sums, counts } => {
            let average = matches!(plan.kind, OutputKind::Average);
            let finish = |(sum, count): (i128, u64)| match (count, average) {
                (0, _) => None,
                (_, false) => Some(sum),
                (count, true) => divide_rounded(sum, i128::from(count), Rounding::HalfEven),
            };
            sums.into_iter().zip(counts).map(finish).collect()
        }
        Accumulator::SemiAdditive { mut sums, mut counts, leaves } => {
            for ((group, _), leaf) in leaves {
                Accumulator::add(&mut sums, &mut counts, group as usize, leaf.value)?;
            }
            sums.into_iter().zip(counts).map(|(sum, count)| (count > 0).then_some(sum)).collect()
        }
        Accumulator::Extreme { values, .. } => {
            values.into_iter().map(|v| v.map(i128::from)).collect()
        }
        Accumulator::Count(counts) => {
            counts.into_iter().map(|count| Some(i128::from(count))).collect()
        }
        Accumulator::Blank(count) => vec![None; count],
    })
}

/// The first axis weighs most, so that combined codes sort like the axes' codes in order.
fn strides(cardinalities: impl DoubleEndedIterator<Item = usize>) -> Result<(Vec<u128>, u128)> {
    let mut space = 1u128;
    let mut strides = Vec::new();
    for cardinality in cardinalities.rev() {
        strides.push(space);
        space = space.checked_mul(cardinality.max(1) as u128).ok_or_else(|| {
            CubeError::Memory("the columns grouped by have more combinations than 2^128".into())
        })?;
    }
    strides.reverse();
    Ok((strides, space))
}

fn strides_of(dimensions: &[&Dimension]) -> Result<(Vec<u128>, u128)> {
    strides(dimensions.iter().map(|dimension| dimension.member_count()))
}
