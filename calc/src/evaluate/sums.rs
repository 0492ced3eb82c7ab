//! Sums, averages, counts, least and largest numbers: inner points are grouped and added up block by
//! block, each piece of the blocks on its own, so that nothing is kept but a total a group. Totals are
//! whole numbers, so pieces and threads cannot change them.

use std::ops::ControlFlow;

use cube::Number;
use rayon::prelude::*;

use super::leads::{Leads, paths};
use super::reduce::weighted;
use super::{Given, PARALLEL_POINTS, Session, Unique, members_of};
use crate::column::{Column, Fixed, Mantissas};
use crate::error::Result;
use crate::node::{Aggregator, Reduce, Type};
use crate::points::{Block, CodeSet, Coder, Numbering, Points};

/// Results so far: the total of each group and how many values it is of.
#[derive(Debug)]
struct Totals {
    /// In 64 bits as long as these hold all totals.
    sums: Sums,
    counts: Vec<u32>,
    /// Digits after the point of all values so far.
    scale: Option<u32>,
}

#[derive(Debug)]
enum Sums {
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

/// Blocks are not added up this way: their values are not of one scale, one has an error, or a total has
/// more than 128 bits.
struct Stop;

/// How inner points find their group.
enum Grouping {
    /// By the codes of their paths.
    Led(Leads),
    /// By the members to which each of them leads.
    Evaluated,
}

impl Session<'_> {
    /// The totals of an aggregation; none where they need more than a number a group.
    pub(super) fn summed(&self, reduce: &Reduce, wanted: &Unique) -> Result<Option<Column>> {
        use Aggregator as A;
        let is_total = matches!(reduce.aggregator, A::Sum | A::Avg | A::Count | A::Min | A::Max);
        let is_number = matches!(reduce.inner.node.value_type, Type::Number | Type::Date)
            || reduce.aggregator == A::Count;
        let is_heavy = reduce.inner.node.is_heavy || reduce.by.iter().any(|by| by.is_heavy);
        if !is_total || !is_number || is_heavy || reduce.weight.is_some() {
            return Ok(None);
        }
        let blocks = self.inner_blocks(reduce, &self.wanted_members(reduce, wanted))?;
        let points: usize = blocks.iter().map(|block| block.len).sum();
        self.see(points);
        let grouping = self.grouping(reduce, wanted, points);
        let group_count = wanted.points.len;
        let pieces = self.pieces(&blocks, points, group_count);
        let piece = |blocks: &[Block]| -> ControlFlow<Stop, Totals> {
            let mut totals = Totals::new(group_count);
            for block in blocks {
                self.add_block(reduce, wanted, &grouping, block, &mut totals)?;
            }
            ControlFlow::Continue(totals)
        };
        let found: Vec<ControlFlow<Stop, Totals>> = match pieces.as_slice() {
            [blocks] => vec![piece(blocks)],
            pieces => pieces.par_iter().map(|blocks| piece(blocks)).collect(),
        };
        let mut all = Totals::new(group_count);
        for found in found {
            let merged = match found {
                ControlFlow::Continue(totals) => all.merge(reduce.aggregator, totals),
                ControlFlow::Break(Stop) => ControlFlow::Break(Stop),
            };
            if merged.is_break() {
                return Ok(None);
            }
        }
        Ok(Some(all.column(reduce.aggregator)))
    }

    /// The blocks in as many runs as are worth a thread each.
    fn pieces<'b>(&self, blocks: &'b [Block], points: usize, groups: usize) -> Vec<&'b [Block]> {
        let count = rayon::current_num_threads().min(points / PARALLEL_POINTS.max(groups)).max(1);
        match blocks.len().div_ceil(count) {
            0 => vec![blocks],
            size => blocks.chunks(size).collect(),
        }
    }

    fn grouping(&self, reduce: &Reduce, wanted: &Unique, points: usize) -> Grouping {
        let led = || {
            let Numbering::Dense { .. } = wanted.numbering else { return None };
            let paths = paths(self, reduce.by.iter(), &reduce.inner.frame)?;
            Leads::new(self, &paths, &wanted.coder, points)
        };
        led().map_or(Grouping::Evaluated, Grouping::Led)
    }

    /// Per point of a block its group, or past the end.
    fn groups_of(
        &self,
        reduce: &Reduce,
        wanted: &Unique,
        grouping: &Grouping,
        block: &Block,
    ) -> ControlFlow<Stop, Vec<u32>> {
        if let (Grouping::Led(leads), Numbering::Dense { numbers, .. }) =
            (grouping, &wanted.numbering)
        {
            let number = |code: u32| numbers.get(code as usize).copied().unwrap_or(u32::MAX);
            let codes = leads.codes(block).into_iter();
            return ControlFlow::Continue(codes.map(number).collect());
        }
        let mut columns = Vec::with_capacity(reduce.by.len());
        for by in &reduce.by {
            columns.push(self.value(reduce, by, block));
        }
        let axes: Vec<_> = columns.iter().map(members_of).collect();
        ControlFlow::Continue(wanted.coder.places(&wanted.numbering, &axes, block.len))
    }

    /// The values of a node without sites in the inner frame.
    fn value(&self, reduce: &Reduce, node: &crate::node::Node, block: &Block) -> Column {
        self.evaluate(node, &reduce.inner.frame, block, 0, &Given::new())
    }

    fn add_block(
        &self,
        reduce: &Reduce,
        wanted: &Unique,
        grouping: &Grouping,
        block: &Block,
        totals: &mut Totals,
    ) -> ControlFlow<Stop> {
        let mut groups = self.groups_of(reduce, wanted, grouping, block)?;
        let found = groups.iter().filter(|&&group| group != u32::MAX).count();
        if found == 0 {
            return ControlFlow::Continue(());
        }
        // few of many: only those that lead somewhere are evaluated
        let few;
        let mut block = block;
        if found * 2 < block.len {
            let is_wanted = |at: &u32| groups[*at as usize] != u32::MAX;
            let places: Vec<u32> = (0..block.len as u32).filter(is_wanted).collect();
            few = block.taken(&places);
            block = &few;
            groups.retain(|&group| group != u32::MAX);
        }
        let mut column = self.value(reduce, &reduce.inner.node, block);
        for (axis, text) in &reduce.under {
            let of = reduce.inner.frame.axes[*axis];
            if let Some(under) = self.tables.under(self.version, of, text) {
                column = weighted(&column, &block.axis(*axis), &under);
            }
        }
        match &column {
            Column::Blank(_) => ControlFlow::Continue(()),
            Column::Faulty(_) => ControlFlow::Break(Stop),
            column if reduce.aggregator == Aggregator::Count => {
                for (at, &group) in groups.iter().enumerate() {
                    if group != u32::MAX && column.is_present(at) {
                        totals.counts[group as usize] += 1;
                    }
                }
                ControlFlow::Continue(())
            }
            Column::Fixed(fixed) => totals.add(reduce.aggregator, &groups, fixed),
            _ => ControlFlow::Break(Stop),
        }
    }

    /// The different results to which inner points lead; none where these are not paths, or too many.
    pub(crate) fn led_points(&self, reduce: &Reduce, blocks: &[Block]) -> Option<Points> {
        let points: usize = blocks.iter().map(|block| block.len).sum();
        let coder = Coder::new(self.version, self.tables, &reduce.result);
        let space = coder.space_for(points)?;
        let paths = paths(self, reduce.by.iter(), &reduce.inner.frame)?;
        let leads = Leads::new(self, &paths, &coder, points)?;
        let seen = |blocks: &&[Block]| {
            let mut seen = CodeSet::none(space);
            for code in blocks.iter().flat_map(|block| leads.codes(block)) {
                seen.insert(code);
            }
            seen
        };
        let pieces = self.pieces(blocks, points, space / 64);
        let mut found: Vec<CodeSet> = match pieces.as_slice() {
            [blocks] => vec![seen(blocks)],
            pieces => pieces.par_iter().map(seen).collect(),
        };
        let mut all = found.pop()?;
        found.iter().for_each(|more| all.extend(more));
        Some(all.points(&coder))
    }
}

impl Totals {
    fn new(group_count: usize) -> Self {
        Self { sums: Sums::Narrow(vec![0; group_count]), counts: vec![0; group_count], scale: None }
    }

    fn widen(&mut self) -> &mut Vec<i128> {
        if let Sums::Narrow(sums) = &self.sums {
            self.sums = Sums::Wide(sums.iter().map(|&sum| sum.into()).collect());
        }
        match &mut self.sums {
            Sums::Wide(sums) => sums,
            Sums::Narrow(_) => unreachable!("they have just been widened"),
        }
    }

    /// All values are of one scale.
    fn meet(&mut self, scale: Option<u32>) -> ControlFlow<Stop> {
        match (self.scale, scale) {
            (Some(own), Some(other)) if own != other => return ControlFlow::Break(Stop),
            (None, Some(_)) => self.scale = scale,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Adds the values of a block to those of their groups.
    fn add(&mut self, how: Aggregator, groups: &[u32], fixed: &Fixed) -> ControlFlow<Stop> {
        self.meet(Some(fixed.scale))?;
        let mut start = 0;
        if let (Sums::Narrow(sums), Mantissas::Narrow(values)) = (&mut self.sums, &fixed.values) {
            let combine = combine(how, i64::checked_add);
            match fold(sums, &mut self.counts, (groups, values, fixed), 0, combine) {
                None => return ControlFlow::Continue(()),
                Some(overflow) => start = overflow,
            }
        }
        self.widen();
        let Sums::Wide(sums) = &mut self.sums else { return ControlFlow::Break(Stop) };
        let values = fixed.values.wide();
        let combine = combine(how, i128::checked_add);
        match fold(sums, &mut self.counts, (groups, &values, fixed), start, combine) {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(Stop),
        }
    }

    /// Adds the totals of other blocks.
    fn merge(&mut self, how: Aggregator, other: Self) -> ControlFlow<Stop> {
        if self.counts.iter().all(|&count| count == 0) {
            *self = other;
            return ControlFlow::Continue(());
        }
        self.meet(other.scale)?;
        if how != Aggregator::Count {
            let groups: Vec<u32> = (0..self.counts.len() as u32).collect();
            let values = match other.sums {
                Sums::Narrow(sums) => Mantissas::Narrow(sums),
                Sums::Wide(sums) => Mantissas::Wide(sums),
            };
            let present = Some(other.counts.iter().map(|&count| count > 0).collect());
            let before = self.counts.clone();
            let scale = self.scale.unwrap_or(0);
            self.add(how, &groups, &Fixed { values, present, scale })?;
            self.counts = before;
        }
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        ControlFlow::Continue(())
    }

    fn column(self, how: Aggregator) -> Column {
        let scale = self.scale.unwrap_or(0);
        let present: Vec<bool> = self.counts.iter().map(|&count| count > 0).collect();
        if how == Aggregator::Avg {
            let sums = match self.sums {
                Sums::Narrow(sums) => sums.into_iter().map(i128::from).collect(),
                Sums::Wide(sums) => sums,
            };
            let averages = sums.into_iter().zip(self.counts).map(|(sum, count)| {
                let count = Number::new(i128::from(count), 0);
                Number::new(sum, scale).divided_by(count).ok().flatten()
            });
            return Column::Numbers(averages.collect());
        }
        let (values, scale) = match (how, self.sums) {
            (Aggregator::Count, _) => {
                (Mantissas::Narrow(self.counts.into_iter().map(i64::from).collect()), 0)
            }
            (_, Sums::Narrow(sums)) => (Mantissas::Narrow(sums), scale),
            (_, Sums::Wide(sums)) => (Mantissas::Wide(sums), scale),
        };
        Column::Fixed(Fixed { values, present: present.contains(&false).then_some(present), scale })
    }
}

/// How a value and the total of so many values before it become a total; none where it overflows.
fn combine<T: Copy + Ord>(
    how: Aggregator,
    plus: impl Fn(T, T) -> Option<T>,
) -> impl Fn(T, u32, T) -> Option<T> {
    move |total, count, value| match how {
        Aggregator::Min if count > 0 => Some(total.min(value)),
        Aggregator::Max if count > 0 => Some(total.max(value)),
        Aggregator::Min | Aggregator::Max => Some(value),
        _ => plus(total, value),
    }
}

/// Adds values to the totals of their groups, from a place on; the place where one overflows.
fn fold<T: Copy>(
    totals: &mut [T],
    counts: &mut [u32],
    (groups, values, fixed): (&[u32], &[T], &Fixed),
    start: usize,
    combine: impl Fn(T, u32, T) -> Option<T>,
) -> Option<usize> {
    for at in start..values.len() {
        let group = groups[at] as usize;
        if group < totals.len() && fixed.is_present(at) {
            match combine(totals[group], counts[group], values[at]) {
                Some(total) => totals[group] = total,
                None => return Some(at),
            }
            counts[group] += 1;
        }
    }
    None
}
