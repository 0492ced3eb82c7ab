//! Sums of a measure follow its changes: a cell that is a plain sum of stored values becomes what it was
//! and what they are more, without reading the others, of which there may be any number.

use std::borrow::Cow;
use std::collections::HashMap;

use cube::model::Model;
use cube::number::power_of_ten;
use cube::{MemberId, ValueType};
use foldhash::fast::FixedState;

use super::difference::{Difference, difference};
use super::{Due, Recompute};
use crate::check::Formula;
use crate::error::Result;
use crate::evaluate::{Session, members_of};
use crate::node::{Aggregator, Kind, Node, Reduce};
use crate::points::{Block, Coder, Points};

/// By how much a value is more than it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    by: i128,
    /// How many values there are more.
    count: i64,
}

impl Step {
    /// From a value to another; a blank is no value.
    pub fn new(before: Option<i64>, after: Option<i64>) -> Self {
        let number = |value: Option<i64>| i128::from(value.unwrap_or(0));
        let count = |value: Option<i64>| i64::from(value.is_some());
        Self { by: number(after) - number(before), count: count(after) - count(before) }
    }

    /// What a sum becomes, in units of `factor`; none where that takes reading all values: when one
    /// of them went away it is not known whether any is left.
    fn added_to(self, before: Option<i64>, factor: i128, to: ValueType) -> Option<Option<i64>> {
        match (before, self.count) {
            (None, 0) if self.by == 0 => Some(None),
            (None, ..=0) | (_, ..0) => None,
            (before, _) => {
                let more = self.by.checked_mul(factor)?;
                let after = i128::from(before.unwrap_or(0)).checked_add(more)?;
                Some(Some(to.check_range(after).ok()?))
            }
        }
    }
}

/// Cells of a formula, some of them several times, and what each gets.
#[derive(Debug, Default)]
pub(super) struct Additions {
    pub points: Points,
    steps: Vec<Step>,
}

/// A formula that is the sum of a measure, and of which only that measure's values are read.
struct PlainSum<'f> {
    reduce: &'f Reduce,
    /// Per axis of the formula, that of the result of `reduce`.
    axes: Vec<usize>,
    /// What one unit of the measure is in the formula's.
    factor: i128,
    value_type: ValueType,
}

impl<'f> PlainSum<'f> {
    fn new(formula: &'f Formula, model: &Model) -> Option<Self> {
        let is_whole = formula.region.is_empty() && formula.grain.is_empty();
        if !is_whole || formula.is_ratio || formula.frame.rows.is_some() {
            return None;
        }
        let count = formula.frame.axes.len();
        let (reduce, axes) = match &formula.node.kind {
            Kind::Reduce(reduce) => (reduce, (0..count).collect()),
            Kind::At(scope, members) => match &scope.node.kind {
                Kind::Reduce(reduce) => (reduce, positions(members, count)?),
                _ => return None,
            },
            _ => return None,
        };
        let follows_members =
            |by: &Node| !by.is_heavy && by.reads().is_empty() && by.on_branches().is_empty();
        let is_plain = reduce.aggregator == Aggregator::Sum
            && reduce.weight.is_none()
            && reduce.under.is_empty()
            && reduce.by.iter().all(follows_members);
        let Kind::Stored(cube, measure) = reduce.inner.node.kind else { return None };
        let of = model.cube_def(cube).measure_def(measure).value_type;
        let value_type = model.cube_def(formula.cube).measure_def(formula.measure).value_type;
        if !is_plain || !of.is_number() || !value_type.is_number() {
            return None;
        }
        // a sum that is rounded cannot be added to
        let factor = power_of_ten(value_type.scale().checked_sub(of.scale())?)?;
        Some(Self { reduce, axes, factor, value_type })
    }
}

/// Per axis of a frame the one place of `members` where its own member stands.
fn positions(members: &[Node], count: usize) -> Option<Vec<usize>> {
    let place = |axis: usize| {
        members.iter().position(|member| matches!(member.kind, Kind::Axis(own) if own == axis))
    };
    let places: Option<Vec<usize>> = (0..count).map(place).collect();
    places.filter(|_| members.len() == count)
}

impl Due {
    /// Whether sums are due that follow from what they were.
    pub(super) fn is_of_additions(&self) -> bool {
        !self.additions.is_empty()
            && self.points.is_empty()
            && self.regions.is_empty()
            && self.rows.is_empty()
    }
}

impl Recompute {
    /// Notes by how much the cells of a formula change where the measure that it sums up does; whether it
    /// is such a formula.
    pub(super) fn add(&mut self, place: usize, changed: &Points, steps: &[Step]) -> Result<bool> {
        let formula = &self.plan.formulas[place];
        let Some(sum) = PlainSum::new(formula, &self.version.model) else { return Ok(false) };
        let session = Session::new(&self.version, &self.plan.tables, &formula.target);
        let blocks = changed.clone().into_blocks();
        let mut led = Vec::with_capacity(sum.axes.len());
        for &axis in &sum.axes {
            let by = &sum.reduce.by[axis];
            let columns = session.evaluate_all(by, &sum.reduce.inner.frame, &blocks)?;
            let members = columns.iter().flat_map(|column| members_of(column).into_owned());
            led.push(members.collect::<Vec<MemberId>>());
        }
        let coder = Coder::new(&self.version, &self.plan.tables, &formula.frame);
        let axes: Vec<Cow<'_, [MemberId]>> = led.iter().map(|column| column.into()).collect();
        let codes = coder.codes(&axes, changed.len).into_iter().zip(steps);
        // per cell, a point that leads there, and all steps of those that do
        let mut steps_of: HashMap<u128, (u32, Step), FixedState> = HashMap::default();
        for (at, (code, step)) in codes.enumerate() {
            // what leads nowhere is in no sum
            let Some(code) = code else { continue };
            let (_, sum) = steps_of.entry(code).or_insert((at as u32, Step::default()));
            sum.by += step.by;
            sum.count += step.count;
        }
        let mut cells: Vec<(u32, Step)> = steps_of.into_values().collect();
        cells.sort_unstable_by_key(|(at, _)| *at);
        let (places, steps): (Vec<u32>, Vec<Step>) = cells.into_iter().unzip();
        let points = Points { len: changed.len, columns: led.into_iter().map(Some).collect() };
        let points = points.taken(&places);
        if points.len > 0 {
            self.pending.entry(place).or_default().additions.push(Additions { points, steps });
        }
        Ok(true)
    }

    /// The sums of blocks with what is added to them; none where they are to be computed anew.
    pub(super) fn added(
        &self,
        formula: &Formula,
        blocks: &[Block],
        additions: &[Additions],
    ) -> Option<Vec<Difference>> {
        // what failed is stored as a blank
        if !self.failed.is_empty() {
            return None;
        }
        let sum = PlainSum::new(formula, &self.version.model)?;
        let coder = Coder::new(&self.version, &self.plan.tables, &formula.frame);
        let mut steps_of: HashMap<u128, Step, FixedState> = HashMap::default();
        for Additions { points, steps } in additions {
            let columns = points.columns.iter().flatten();
            let axes: Vec<Cow<'_, [MemberId]>> = columns.map(|column| column.into()).collect();
            for (code, step) in coder.codes(&axes, points.len).into_iter().zip(steps) {
                let sum = steps_of.entry(code?).or_default();
                sum.by += step.by;
                sum.count += step.count;
            }
        }
        let axes = 0..formula.frame.axes.len();
        let differences = blocks.iter().map(|block| {
            let members: Vec<_> = axes.clone().map(|axis| block.axis(axis)).collect();
            let codes = coder.codes(&members, block.len);
            let stored = block.origin.as_ref().and_then(|origin| {
                Some((&origin.rows, origin.segment.values.get(formula.measure.idx())?))
            });
            let values = codes.into_iter().enumerate().map(|(at, code)| {
                let before = stored.and_then(|(rows, values)| values.get(rows.get(at)));
                steps_of.get(&code?)?.added_to(before, sum.factor, sum.value_type)
            });
            let values: Vec<Option<i64>> = values.collect::<Option<_>>()?;
            Some(difference(formula, block, values.into_iter().collect()))
        });
        differences.collect()
    }
}

#[cfg(test)]
mod tests {
    use cube::ValueType;

    use super::Step;

    const CENTS: ValueType = ValueType::Decimal { precision: 4, scale: 2 };

    #[test]
    fn a_sum_follows_the_steps_of_its_values() {
        let step = |before, after| Step::new(before, after);
        assert_eq!(step(Some(3), Some(5)).added_to(Some(10), 1, CENTS), Some(Some(12)));
        assert_eq!(step(None, Some(5)).added_to(None, 10, CENTS), Some(Some(50)));
        assert_eq!(step(None, Some(0)).added_to(None, 1, CENTS), Some(Some(0)));
        assert_eq!(step(None, None).added_to(None, 1, CENTS), Some(None));
        assert_eq!(step(None, None).added_to(Some(7), 1, CENTS), Some(Some(7)));
    }

    #[test]
    fn a_sum_is_computed_anew_where_a_value_went_away_or_it_does_not_fit() {
        assert_eq!(Step::new(Some(3), None).added_to(Some(3), 1, CENTS), None);
        assert_eq!(Step::new(Some(1), Some(9_999)).added_to(Some(5), 1, CENTS), None);
        assert_eq!(Step::new(Some(1), Some(2)).added_to(None, 1, CENTS), None);
    }
}
