//! Rate tables: thresholds in order, the lower bound of a slice inclusive.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use cube::number::power_of_ten;
use cube::{CubeId, MemberId, Number};

use super::Session;
use super::apply::compare;
use crate::column::{Column, Faults, Fixed};
use crate::node::{Tier, TierMode};

/// Steps of a table: threshold and rate.
pub type Steps = Vec<(Number, Number)>;

/// Per rate table and its axes that choose, the steps by the members chosen.
pub type TierTables = HashMap<(CubeId, Vec<usize>), Arc<HashMap<Vec<MemberId>, Steps>>>;

/// What one slice pays.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Lower bound.
    pub from: Number,
    /// Upper bound; none: without end.
    pub to: Option<Number>,
    /// The rate.
    pub rate: Number,
    /// The part of the value inside.
    pub part: Number,
    /// Part times rate.
    pub amount: Number,
}

impl Session<'_> {
    /// The values of a rate table.
    pub(super) fn tier(&self, tier: &Tier, value: &Column, shared: &[(usize, Column)]) -> Column {
        let tables = self.tier_tables(tier);
        if let Some(amounts) = fixed_amounts(tier.mode, value, shared, &tables) {
            return Column::Fixed(amounts);
        }
        let mut amounts = Vec::with_capacity(value.len());
        let mut faults = Faults::default();
        for at in 0..value.len() {
            let chosen: Vec<MemberId> =
                shared.iter().map(|(_, column)| column.member(at)).collect();
            let Some(steps) = tables.get(&chosen) else {
                amounts.push(None);
                continue;
            };
            if value.is_fault(at) {
                faults.add(at, value.faults().and_then(Faults::first).cloned());
            }
            let amount = value
                .number(at)
                .map(|value| slices(tier.mode, value, steps).and_then(|slices| total(&slices)));
            amounts.push(amount.transpose().unwrap_or_else(|source| {
                faults.add(at, Some(Arc::new(source.into())));
                None
            }));
        }
        Column::Numbers(amounts).with_faults(faults)
    }

    /// The tables of a cube by the members that choose one.
    pub fn tier_tables(&self, tier: &Tier) -> Arc<HashMap<Vec<MemberId>, Steps>> {
        let axes: Vec<usize> = tier.shared.iter().map(|(axis, _)| *axis).collect();
        let mut known = self.tiers.lock().unwrap_or_else(PoisonError::into_inner);
        let made = known.entry((tier.cube, axes.clone())).or_insert_with(|| {
            let mut tables: HashMap<Vec<MemberId>, Steps> = HashMap::new();
            let def = self.version.model.cube_def(tier.cube);
            let scale = |measure| def.measure_def(measure).value_type.scale();
            for view in self.version.rows(tier.cube).segments() {
                let column = |measure: cube::MeasureId| view.segment.values.get(measure.idx());
                let (Some(thresholds), Some(rates)) = (column(tier.threshold), column(tier.rate))
                else {
                    continue;
                };
                for row in view.live_rows() {
                    let (Some(threshold), Some(rate)) = (thresholds.get(row), rates.get(row))
                    else {
                        continue;
                    };
                    let members = axes.iter().map(|&axis| view.segment.coordinates[axis].get(row));
                    let step = (
                        Number::new(i128::from(threshold), scale(tier.threshold)),
                        Number::new(i128::from(rate), scale(tier.rate)),
                    );
                    tables.entry(members.collect()).or_default().push(step);
                }
            }
            for steps in tables.values_mut() {
                steps.sort_by(|a, b| compare(a.0, b.0));
            }
            Arc::new(tables)
        });
        Arc::clone(made)
    }
}

/// A table in fixed point: thresholds at the scale of the values, rates at their own.
struct FixedSteps {
    steps: Vec<(i128, i128)>,
}

impl FixedSteps {
    fn new(steps: &Steps, scale: u32, rate_scale: u32) -> Option<Self> {
        let exact = |number: Number, scale: u32| {
            number.rescaled(scale, cube::number::Rounding::HalfEven).ok()
        };
        let steps = steps
            .iter()
            .map(|(from, rate)| Some((exact(*from, scale)?, exact(*rate, rate_scale)?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { steps })
    }

    /// The amount of a value, at the scale of values plus that of rates; none where it overflows.
    fn amount(&self, mode: TierMode, value: i128) -> Option<i128> {
        let reached = self.steps.iter().take_while(|(from, _)| *from <= value).count();
        let Some(last) = reached.checked_sub(1) else { return Some(0) };
        if mode == TierMode::Whole {
            return value.checked_mul(self.steps[last].1);
        }
        let mut amount = 0i128;
        for (step, &(from, rate)) in self.steps[..reached].iter().enumerate() {
            let top = if step == last { value } else { self.steps[step + 1].0 };
            amount = amount.checked_add(top.checked_sub(from)?.checked_mul(rate)?)?;
        }
        Some(amount)
    }
}

/// All amounts in fixed point; none where the mode divides or something does not fit.
fn fixed_amounts(
    mode: TierMode,
    value: &Column,
    shared: &[(usize, Column)],
    tables: &HashMap<Vec<MemberId>, Steps>,
) -> Option<Fixed> {
    let Column::Fixed(value) = value else { return None };
    if mode == TierMode::Interpolated {
        return None;
    }
    let all = || tables.values().flatten();
    let scale = all().map(|(from, _)| from.scale).fold(value.scale, u32::max);
    let rate_scale = all().map(|(_, rate)| rate.scale).max().unwrap_or(0);
    let unit = power_of_ten(scale - value.scale)?;
    let mut known: HashMap<Vec<MemberId>, FixedSteps> = HashMap::new();
    for (chosen, steps) in tables {
        known.insert(chosen.clone(), FixedSteps::new(steps, scale, rate_scale)?);
    }
    let mut amounts = Fixed {
        values: vec![0; value.values.len()],
        present: vec![false; value.values.len()],
        scale: scale + rate_scale,
    };
    let mut chosen = vec![MemberId::NONE; shared.len()];
    let mut table = known.get(&chosen);
    for at in 0..value.values.len() {
        let is_other = shared.iter().zip(&chosen).any(|((_, c), known)| c.member(at) != *known);
        if is_other {
            chosen = shared.iter().map(|(_, column)| column.member(at)).collect();
            table = known.get(&chosen);
        }
        if let (true, Some(table)) = (value.present[at], table) {
            amounts.values[at] = table.amount(mode, value.values[at].checked_mul(unit)?)?;
            amounts.present[at] = true;
        }
    }
    Some(amounts)
}

/// The slices that a value runs through.
pub fn slices(mode: TierMode, value: Number, steps: &Steps) -> cube::Result<Vec<Slice>> {
    let reached = steps.iter().take_while(|(from, _)| !compare(*from, value).is_gt()).count();
    let Some(last) = reached.checked_sub(1) else { return Ok(Vec::new()) };
    let end = |step: usize| steps.get(step + 1).map(|(to, _)| *to);
    let slice = |from: Number, to: Option<Number>, rate: Number, part: Number| {
        Ok(Slice { from, to, rate, part, amount: part.times(rate)? })
    };
    match mode {
        TierMode::Whole => {
            let (from, rate) = steps[last];
            Ok(vec![slice(from, end(last), rate, value)?])
        }
        TierMode::Marginal => steps[..reached]
            .iter()
            .enumerate()
            .map(|(step, &(from, rate))| {
                let top = if step == last { value } else { end(step).unwrap_or(value) };
                slice(from, end(step), rate, top.minus(from)?)
            })
            .collect(),
        TierMode::Interpolated => {
            let (from, low) = steps[last];
            let rate = match steps.get(last + 1) {
                Some(&(to, high)) => {
                    let run = value.minus(from)?.times(high.minus(low)?)?;
                    let rise = run.divided_by(to.minus(from)?)?.unwrap_or(Number::ZERO);
                    low.plus(rise)?
                }
                None => low,
            };
            Ok(vec![slice(from, end(last), rate, value)?])
        }
    }
}

fn total(slices: &[Slice]) -> cube::Result<Number> {
    slices.iter().try_fold(Number::ZERO, |total, slice| total.plus(slice.amount))
}
