//! Rate tables: thresholds in order, the lower bound of a slice inclusive.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use cube::number::power_of_ten;
use cube::{CubeId, MemberId, Number};

use super::Session;
use super::apply::compare;
use crate::column::{Column, Faults, Fixed, Mantissas};
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
struct FixedSteps<T> {
    steps: Vec<FixedStep<T>>,
}

struct FixedStep<T> {
    from: T,
    rate: T,
    /// What all slices below pay together.
    below: T,
}

/// Whole numbers that say where they overflow.
trait Whole: Copy + Ord + Default + TryFrom<i128> {
    fn plus(self, other: Self) -> Option<Self>;
    fn minus(self, other: Self) -> Option<Self>;
    fn times(self, other: Self) -> Option<Self>;
}

macro_rules! whole {
    ($type:ty) => {
        impl Whole for $type {
            fn plus(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
            fn minus(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }
            fn times(self, other: Self) -> Option<Self> {
                self.checked_mul(other)
            }
        }
    };
}

whole!(i64);
whole!(i128);

impl<T: Whole> FixedSteps<T> {
    fn new(steps: &Steps, scale: u32, rate_scale: u32) -> Option<Self> {
        let exact = |number: Number, scale: u32| {
            let exact = number.rescaled(scale, cube::number::Rounding::HalfEven).ok()?;
            T::try_from(exact).ok()
        };
        let mut fixed: Vec<FixedStep<T>> = Vec::with_capacity(steps.len());
        for &(from, rate) in steps {
            let (from, rate) = (exact(from, scale)?, exact(rate, rate_scale)?);
            let below = match fixed.last() {
                Some(last) => last.below.plus(from.minus(last.from)?.times(last.rate)?)?,
                None => T::default(),
            };
            fixed.push(FixedStep { from, rate, below });
        }
        Some(Self { steps: fixed })
    }

    /// The amount of a value, at the scale of values plus that of rates; none where it overflows.
    fn amount(&self, mode: TierMode, value: T) -> Option<T> {
        let reached = self.steps.iter().take_while(|step| step.from <= value).count();
        let Some(last) = reached.checked_sub(1) else { return Some(T::default()) };
        let step = &self.steps[last];
        match mode {
            TierMode::Whole => value.times(step.rate),
            _ => step.below.plus(value.minus(step.from)?.times(step.rate)?),
        }
    }
}

/// All amounts in fixed point; none where the mode divides or something does not fit.
fn fixed_amounts(
    mode: TierMode,
    value: &Column,
    shared: &[(usize, Column)],
    tables: &HashMap<Vec<MemberId>, Steps>,
) -> Option<Fixed> {
    let value = value.fixed()?;
    if mode == TierMode::Interpolated {
        return None;
    }
    let all = || tables.values().flatten();
    let scale = all().map(|(from, _)| from.scale).fold(value.scale, u32::max);
    let rate_scale = all().map(|(_, rate)| rate.scale).max().unwrap_or(0);
    let scales = Scales { unit: power_of_ten(scale - value.scale)?, scale, rate_scale };
    let narrow = match &value.values {
        Mantissas::Narrow(values) => amounts(mode, (value, values), shared, tables, &scales),
        Mantissas::Wide(_) => None,
    };
    let (values, present) = match narrow {
        Some((values, present)) => (Mantissas::Narrow(values), present),
        None => {
            let wide = value.values.wide();
            let (values, present) = amounts(mode, (value, &wide), shared, tables, &scales)?;
            (Mantissas::Wide(values), present)
        }
    };
    let present = present.contains(&false).then_some(present);
    Some(Fixed { values, present, scale: scale + rate_scale })
}

/// Digits of thresholds and of rates, and what brings a value to those of thresholds.
struct Scales {
    unit: i128,
    scale: u32,
    rate_scale: u32,
}

/// The amounts of values of one width, and where there are any; none where something does not fit.
fn amounts<T: Whole>(
    mode: TierMode,
    (value, values): (&Fixed, &[T]),
    shared: &[(usize, Column)],
    tables: &HashMap<Vec<MemberId>, Steps>,
    scales: &Scales,
) -> Option<(Vec<T>, Vec<bool>)> {
    let mut known: HashMap<Vec<MemberId>, FixedSteps<T>> = HashMap::new();
    for (chosen, steps) in tables {
        known.insert(chosen.clone(), FixedSteps::new(steps, scales.scale, scales.rate_scale)?);
    }
    let unit = T::try_from(scales.unit).ok()?;
    let (mut amounts, mut present) = (vec![T::default(); values.len()], vec![false; values.len()]);
    let mut chosen = vec![MemberId::NONE; shared.len()];
    let mut table = known.get(&chosen);
    for (at, mantissa) in values.iter().enumerate() {
        let is_other = shared.iter().zip(&chosen).any(|((_, c), known)| c.member(at) != *known);
        if is_other {
            chosen = shared.iter().map(|(_, column)| column.member(at)).collect();
            table = known.get(&chosen);
        }
        if let (true, Some(table)) = (value.is_present(at), table) {
            amounts[at] = table.amount(mode, mantissa.times(unit)?)?;
            present[at] = true;
        }
    }
    Some((amounts, present))
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
