//! Collects one segment: which rows, which group each belongs to, what each output adds.

use super::accumulate::{Accumulator, Groups, Keep, Partial, RowCodes, overflow};
use super::arithmetic::Integers;
use super::group::GroupTables;
use super::leaves::{LeafRows, LeafTable, Leaves, NOT_KEPT, rank};
use super::weights::{RowWeights, WeightTables, is_small};
use super::{OutputKind, OutputPlan, Rollup, RollupColumn, Selection};
use crate::error::Result;
use crate::number::{Rounding, divide_rounded};
use crate::segment::{RowSet, Segment, SegmentView, Selector, Values};

/// Rows that are grouped and added up at a time: what they take stays in the nearest caches.
const BLOCK_ROWS: usize = 4_096;

/// What a request collects.
pub(super) struct Collection<'a> {
    pub plans: &'a [OutputPlan],
    pub groups: GroupTables,
    /// One for each dimension along which one date counts.
    pub leaves: Vec<LeafTable>,
}

/// Rows of a segment that are collected together.
struct Block<'a> {
    segment: &'a Segment,
    rows: RowSet,
    /// Per row.
    groups: Vec<u32>,
    /// Those of each of [`Collection::leaves`].
    leaves: Vec<LeafRows>,
}

/// How it is collected from rows.
pub(super) struct Collector<'a> {
    pub collection: &'a Collection<'a>,
    pub selector: Selector<'a>,
    pub selection: Option<&'a Selection<'a>>,
    pub weights: WeightTables<'a>,
}

impl Collection<'_> {
    /// A partial result that has seen nothing.
    pub fn empty(&self) -> Partial {
        let groups = Groups::new(self.groups.space, self.groups.is_dense);
        let accumulators = self.plans.iter().map(|plan| {
            let mut accumulator = self.accumulator(&plan.kind);
            accumulator.grow(groups.count());
            accumulator
        });
        Partial { accumulators: accumulators.collect(), groups }
    }

    /// Memory that a partial result's leaves take from the start, to be asked for before it is made.
    pub fn slots_bytes(&self) -> u64 {
        let bytes = |plan: &OutputPlan| match plan.kind {
            OutputKind::SemiAdditive { position, .. } => {
                self.leaves[self.leaf_table(position)].size_bytes()
            }
            _ => 0,
        };
        self.plans.iter().map(bytes).sum()
    }

    fn accumulator(&self, kind: &OutputKind) -> Accumulator {
        match kind {
            OutputKind::WeightedSum
            | OutputKind::Sum
            | OutputKind::Average
            | OutputKind::Computed(_) => Accumulator::Sum { sums: Vec::new(), counts: Vec::new() },
            OutputKind::SemiAdditive { position, .. } => Accumulator::SemiAdditive {
                sums: Vec::new(),
                counts: Vec::new(),
                leaves: Leaves::new(&self.leaves[self.leaf_table(*position)]),
            },
            OutputKind::Min => Accumulator::Extreme { values: Vec::new(), keep: Keep::Smallest },
            OutputKind::Max => Accumulator::Extreme { values: Vec::new(), keep: Keep::Largest },
            OutputKind::Count | OutputKind::CountRows => Accumulator::Count(Vec::new()),
            OutputKind::CountDistinct(..) => Accumulator::Distinct(Vec::new()),
            OutputKind::Blank => Accumulator::Blank(0),
        }
    }

    /// The place of the table for dates at a position.
    fn leaf_table(&self, position: usize) -> usize {
        let found = self.leaves.iter().position(|table| table.position == position);
        found.expect("there is a table for each output along time")
    }

    /// The answer that a partial result makes.
    pub fn finish(&self, mut partial: Partial) -> Result<Rollup> {
        // without axes there is one group, even over no rows
        if self.groups.axes.is_empty() {
            partial.groups.see_first();
            let count = partial.groups.count();
            partial.accumulators.iter_mut().for_each(|accumulator| accumulator.grow(count));
        }
        let seen = partial.groups.seen();
        let mut columns = Vec::new();
        for (plan, accumulator) in self.plans.iter().zip(partial.accumulators) {
            let values = finish_values(plan, accumulator)?;
            let values = seen.iter().map(|&(_, group)| values[group]).collect();
            columns.push(RollupColumn { scale: plan.scale, values });
        }
        let codes = self.groups.axes.iter();
        let codes = codes.map(|axis| seen.iter().map(|&(code, _)| axis.code(code)).collect());
        Ok(Rollup { group_count: seen.len(), codes: codes.collect(), columns, cells: None })
    }
}

impl Collector<'_> {
    /// Adds the rows of a segment to a partial result.
    pub fn collect(&self, view: &SegmentView, partial: &mut Partial) -> Result<()> {
        for mut rows in view.row_sets_with(&self.selector, BLOCK_ROWS) {
            if let Some(selection) = self.selection {
                rows = selection(view, rows)?;
            }
            if rows.is_empty() {
                continue;
            }
            let codes = match partial.groups.is_dense() {
                true => RowCodes::Narrow(self.collection.groups.codes(&view.segment, &rows)),
                false => RowCodes::Wide(self.collection.groups.codes(&view.segment, &rows)),
            };
            let groups = partial.groups.add_rows(codes)?;
            let count = partial.groups.count();
            let tables = self.collection.leaves.iter();
            let leaves = tables.map(|table| table.of_rows(&view.segment, &rows)).collect();
            let block = Block { segment: &view.segment, rows, groups, leaves };
            for (plan, accumulator) in self.collection.plans.iter().zip(&mut partial.accumulators) {
                accumulator.grow(count);
                self.accumulate(plan, &block, accumulator)?;
            }
        }
        Ok(())
    }

    fn accumulate(
        &self,
        plan: &OutputPlan,
        block: &Block<'_>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let Block { segment, rows, groups, .. } = block;
        if let (OutputKind::CountRows, Accumulator::Count(counts)) = (&plan.kind, &mut *accumulator)
        {
            groups.iter().for_each(|&group| counts[group as usize] += 1);
            return Ok(());
        }
        if let (OutputKind::Computed(arithmetic), Accumulator::Sum { sums, counts }) =
            (&plan.kind, &mut *accumulator)
        {
            let Some(computed) = arithmetic.values(segment, rows)? else { return Ok(()) };
            let present = |at: usize| computed.present.as_ref().is_none_or(|present| present[at]);
            match &computed.integers {
                Integers::Narrow(values) => add_all(sums, counts, groups, values, present)?,
                Integers::Wide(values) => add_all(sums, counts, groups, values, present)?,
            }
            return Ok(());
        }
        if let (OutputKind::CountDistinct(table, blank), Accumulator::Distinct(sets)) =
            (&plan.kind, &mut *accumulator)
        {
            table.visit(segment, rows, |at, value| {
                if Some(value) != *blank {
                    sets[groups[at] as usize].insert(value);
                }
            });
            return Ok(());
        }
        // a measure declared later is blank in older segments
        let Some(values) = segment.values.get(plan.measure) else { return Ok(()) };
        match (&plan.kind, accumulator) {
            (OutputKind::WeightedSum, Accumulator::Sum { sums, counts })
                if !self.weights.is_empty() =>
            {
                let mut result = Ok(());
                match self.weights.of_rows(segment, rows)? {
                    // a product of two integers of 64 bits, fewer than 2^64 of them
                    RowWeights::Narrow(weights) if is_small(values) => {
                        visit_filled(values, rows, |at, value| {
                            let (group, weight) = (groups[at] as usize, weights[at]);
                            sums[group] += i128::from(weight * value);
                            // what counts for nothing is not there
                            counts[group] += u64::from(weight != 0);
                        });
                    }
                    weights => visit_filled(values, rows, |at, value| {
                        let (group, weight) = (groups[at] as usize, weights.get(at));
                        if weight != 0 && result.is_ok() {
                            let product = weight.checked_mul(value.into()).ok_or_else(overflow);
                            result = product.and_then(|p| Accumulator::add(sums, counts, group, p));
                        }
                    }),
                }
                result?;
            }
            (
                OutputKind::WeightedSum | OutputKind::Sum | OutputKind::Average,
                Accumulator::Sum { sums, counts },
            ) => visit_filled(values, rows, |at, value| {
                let group = groups[at] as usize;
                // fewer than 2^64 values of 64 bits
                sums[group] += i128::from(value);
                counts[group] += 1;
            }),
            (OutputKind::SemiAdditive { .. }, accumulator) => {
                self.accumulate_leaves(&plan.kind, block, values, accumulator)?;
            }
            (_, Accumulator::Extreme { values: extremes, keep }) => {
                visit_filled(values, rows, |at, value| {
                    Accumulator::keep_extreme(&mut extremes[groups[at] as usize], value, *keep);
                })
            }
            (_, Accumulator::Count(counts)) => {
                visit_filled(values, rows, |at, _| counts[groups[at] as usize] += 1);
            }
            _ => {}
        }
        Ok(())
    }

    fn accumulate_leaves(
        &self,
        kind: &OutputKind,
        block: &Block<'_>,
        values: &Values,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let (
            OutputKind::SemiAdditive { position, chooser, summaries },
            Accumulator::SemiAdditive { sums, counts, leaves },
        ) = (kind, accumulator)
        else {
            return Ok(());
        };
        let Block { segment, rows, groups, .. } = block;
        let of_rows = &block.leaves[self.collection.leaf_table(*position)];
        let mut ranks = of_rows.orders.clone();
        match chooser {
            None => ranks.iter_mut().for_each(|order| *order = rank(summaries[0], *order)),
            Some(position) => segment.coordinates[*position].visit(rows, |at, member| {
                ranks[at] = rank(summaries[member.idx()], ranks[at]);
            }),
        }
        if ranks.contains(&NOT_KEPT) {
            self.add_flows(block, values, &ranks, sums, counts)?;
        }
        if let Some(presence) = values.presence() {
            let each = rows.iter().zip(&mut ranks);
            each.filter(|(row, _)| !presence.contains(*row)).for_each(|(_, rank)| *rank = NOT_KEPT);
        }
        let integers = values.ints().gathered(rows, |value| value);
        let filled = leaves.take(of_rows, &integers, &ranks, groups);
        if !self.weights.is_empty() && !filled.is_empty() {
            // the weights of a leaf are those of any of its rows, as those of dates have none
            let (places, at): (Vec<u32>, Vec<u32>) = filled.into_iter().unzip();
            let weights = self.weights.of_rows(segment, &rows.taken(&at))?;
            leaves
                .weigh(places.into_iter().enumerate().map(|(at, place)| (place, weights.get(at))));
        }
        Ok(())
    }

    /// Adds the values up that do so along time.
    fn add_flows(
        &self,
        block: &Block<'_>,
        values: &Values,
        ranks: &[u32],
        sums: &mut [i128],
        counts: &mut [u64],
    ) -> Result<()> {
        let weights = self.weights.of_rows(block.segment, &block.rows)?;
        let mut result = Ok(());
        visit_filled(values, &block.rows, |at, value| {
            let (group, weight) = (block.groups[at] as usize, weights.get(at));
            if ranks[at] == NOT_KEPT && weight != 0 && result.is_ok() {
                let product = weight.checked_mul(value.into()).ok_or_else(overflow);
                result = product.and_then(|p| Accumulator::add(sums, counts, group, p));
            }
        });
        result
    }
}

/// Calls a function with the place of each row that has a value, and the value.
fn visit_filled(values: &Values, rows: &RowSet, mut visit: impl FnMut(usize, i64)) {
    match values.presence() {
        None => values.ints().visit(rows, visit),
        Some(presence) => values.ints().visit(rows, |at, value| {
            if presence.contains(rows.get(at)) {
                visit(at, value);
            }
        }),
    }
}

/// Adds integers to the sums of their groups, where they are present.
fn add_all<T: Copy + Into<i128>>(
    sums: &mut [i128],
    counts: &mut [u64],
    groups: &[u32],
    values: &[T],
    is_present: impl Fn(usize) -> bool,
) -> Result<()> {
    for (at, (&value, &group)) in values.iter().zip(groups).enumerate() {
        if is_present(at) {
            Accumulator::add(sums, counts, group as usize, value.into())?;
        }
    }
    Ok(())
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
            leaves.add_to(&mut sums, &mut counts)?;
            sums.into_iter().zip(counts).map(|(sum, count)| (count > 0).then_some(sum)).collect()
        }
        Accumulator::Extreme { values, .. } => {
            values.into_iter().map(|v| v.map(i128::from)).collect()
        }
        Accumulator::Count(counts) => {
            counts.into_iter().map(|count| Some(i128::from(count))).collect()
        }
        Accumulator::Distinct(sets) => sets.iter().map(|set| Some(set.len().into())).collect(),
        Accumulator::Blank(count) => vec![None; count],
    })
}
