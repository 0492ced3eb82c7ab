//! Assignment: the one rounding of a formula, from the values of its expression to a measure's stored
//! integers.

use std::cmp::Ordering;
use std::sync::Arc;

use cube::dictionary::Interner;
use cube::number::{Rounding, divide_rounded, power_of_ten};
use cube::{CubeError, ValueType};

use super::{Given, Session};
use crate::column::{Column, Faults, Fixed, Mantissas};
use crate::functions::Function;
use crate::node::{Frame, Kind, Node};
use crate::points::Block;

/// A value as a measure's stored integer, rounded once.
pub fn assigned(
    column: &Column,
    at: usize,
    value_type: ValueType,
    rounding: Rounding,
) -> cube::Result<Option<i64>> {
    match value_type {
        ValueType::Boolean => Ok(column.flag(at).filter(|_| column.is_present(at)).map(i64::from)),
        ValueType::Date => Ok(column.day(at).map(i64::from)),
        // they become codes of a dictionary, one after the other
        ValueType::Text => Ok(None),
        _ => column.number(at).map(|number| value_type.assign(number, rounding)).transpose(),
    }
}

/// A measure's stored integers at some points.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// Zero where blank.
    pub values: Vec<i64>,
    /// Whether there is a value; absent where every point has one.
    pub present: Option<Vec<bool>>,
    /// What cannot be computed or stored; there is no value there.
    pub faults: Faults,
}

impl Assigned {
    /// No value at any of some points.
    pub fn blank(len: usize) -> Self {
        Self { values: vec![0; len], present: Some(vec![false; len]), faults: Faults::default() }
    }

    /// Whether a point has a value.
    pub fn is_present(&self, at: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present[at])
    }

    /// The value of a point.
    pub fn get(&self, at: usize) -> Option<i64> {
        self.is_present(at).then(|| self.values[at])
    }

    /// The values of all points.
    pub fn options(&self) -> Vec<Option<i64>> {
        (0..self.values.len()).map(|at| self.get(at)).collect()
    }
}

impl FromIterator<Option<i64>> for Assigned {
    fn from_iter<I: IntoIterator<Item = Option<i64>>>(values: I) -> Self {
        let values: Vec<Option<i64>> = values.into_iter().collect();
        let present: Vec<bool> = values.iter().map(Option::is_some).collect();
        Self {
            values: values.into_iter().map(|value| value.unwrap_or(0)).collect(),
            present: present.contains(&false).then_some(present),
            faults: Faults::default(),
        }
    }
}

impl Session<'_> {
    /// The values of an expression at the points of a block as a measure's stored integers.
    pub(crate) fn assigned(
        &self,
        (node, frame): (&Node, &Frame),
        (position, block): (usize, &Block),
        given: &Given,
        (value_type, rounding): (ValueType, Rounding),
    ) -> Assigned {
        let inner = |node| self.evaluate(node, frame, block, position, given);
        let Kind::Apply(Function::Divide, arguments) = &node.kind else {
            return assigned_column(&inner(node), value_type, rounding);
        };
        let (a, b) = (inner(&arguments[0]), inner(&arguments[1]));
        let rounded = a.fixed().zip(b.fixed()).filter(|_| value_type.is_number());
        let rounded = rounded.and_then(|(a, b)| quotients(a, b, value_type.scale(), rounding));
        let column = match rounded {
            Some(rounded) => Column::Fixed(rounded),
            None => self.apply(Function::Divide, arguments, vec![a, b], block.len),
        };
        assigned_column(&column, value_type, rounding)
    }
}

/// Quotients rounded to a scale at once. That is the same as to carry 28 digits and to round these
/// while the numerator has fewer than 28 digits: what lies `1 / (2 * denominator)` or more away
/// from the middle between two results then stays on its side. None where a numerator has more, or a
/// result more than 64 bits.
fn quotients(a: &Fixed, b: &Fixed, scale: u32, rounding: Rounding) -> Option<Fixed> {
    const NUMERATOR_MAX: u128 = 10u128.pow(27);
    let (Mantissas::Narrow(x), Mantissas::Narrow(y)) = (&a.values, &b.values) else { return None };
    let unit = |digits: u32| u64::try_from(power_of_ten(digits)?).ok().map(u128::from);
    let (to, from) = (scale + b.scale, a.scale);
    let (widens, narrows) = (unit(to.saturating_sub(from))?, unit(from.saturating_sub(to))?);
    let mut present = Vec::with_capacity(x.len());
    let mut values = Vec::with_capacity(x.len());
    for (at, (&x, &y)) in x.iter().zip(y).enumerate() {
        let is_present = y != 0 && a.is_present(at) && b.is_present(at);
        present.push(is_present);
        if !is_present {
            values.push(0);
            continue;
        }
        let numerator = u128::from(x.unsigned_abs()) * widens;
        let denominator = u128::from(y.unsigned_abs()) * narrows;
        if numerator >= NUMERATOR_MAX {
            return None;
        }
        let (quotient, rest) = match (u64::try_from(numerator), u64::try_from(denominator)) {
            (Ok(n), Ok(d)) => (u128::from(n / d), u128::from(n % d)),
            _ => (numerator / denominator, numerator % denominator),
        };
        let away = match rest.cmp(&(denominator - rest)) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => rounding == Rounding::HalfUp || quotient % 2 == 1,
        };
        let magnitude = i64::try_from(quotient + u128::from(away)).ok()?;
        values.push(if (x < 0) == (y < 0) { magnitude } else { -magnitude });
    }
    let present = present.contains(&false).then_some(present);
    Some(Fixed { values: Mantissas::Narrow(values), present, scale })
}

/// Rounds all values.
type RoundAll = fn(&[i64], Rounding) -> Vec<i64>;

/// By the number of digits that go away, `value / 10^digits` rounded for all values.
static ROUNDED: [RoundAll; 19] = [
    rounded_by::<1>,
    rounded_by::<10>,
    rounded_by::<100>,
    rounded_by::<1_000>,
    rounded_by::<10_000>,
    rounded_by::<100_000>,
    rounded_by::<1_000_000>,
    rounded_by::<10_000_000>,
    rounded_by::<100_000_000>,
    rounded_by::<1_000_000_000>,
    rounded_by::<10_000_000_000>,
    rounded_by::<100_000_000_000>,
    rounded_by::<1_000_000_000_000>,
    rounded_by::<10_000_000_000_000>,
    rounded_by::<100_000_000_000_000>,
    rounded_by::<1_000_000_000_000_000>,
    rounded_by::<10_000_000_000_000_000>,
    rounded_by::<100_000_000_000_000_000>,
    rounded_by::<1_000_000_000_000_000_000>,
];

/// `value / UNIT` rounded, in 64 bits: a division by a constant is a multiplication.
fn rounded_by<const UNIT: i64>(values: &[i64], rounding: Rounding) -> Vec<i64> {
    let half_up = i64::from(rounding == Rounding::HalfUp);
    let one = |&value: &i64| {
        let (quotient, rest) = (value / UNIT, (value % UNIT).abs());
        // at a tie the even one, or the one away from zero
        let tie = i64::from(rest * 2 == UNIT) & (half_up | (quotient & 1));
        let away = i64::from(rest * 2 > UNIT) | tie;
        quotient + if value < 0 { -away } else { away }
    };
    values.iter().map(one).collect()
}

/// A whole column as a measure's stored integers.
pub fn assigned_column(column: &Column, value_type: ValueType, rounding: Rounding) -> Assigned {
    if let Column::Blank(len) = column {
        return Assigned::blank(*len);
    }
    if let Column::Faulty(faulty) = column {
        let assigned = assigned_column(&faulty.column, value_type, rounding);
        let faults = faulty.faults.clone().merged(assigned.faults);
        return Assigned { faults, ..assigned };
    }
    if let Column::Fixed(fixed) = column
        && value_type.is_number()
        && let Some(drop) = fixed.scale.checked_sub(value_type.scale())
        && let Some(values) = narrowed(&fixed.values, drop, value_type, rounding)
    {
        return Assigned { values, present: fixed.present.clone(), faults: Faults::default() };
    }
    let mut faults = Faults::default();
    let one = |at| {
        assigned(column, at, value_type, rounding).unwrap_or_else(|source| {
            faults.add(at, Some(Arc::new(source.into())));
            None
        })
    };
    let assigned: Assigned = (0..column.len()).map(one).collect();
    Assigned { faults, ..assigned }
}

/// Mantissas with so many digits less; none where one is not within the type, or no power of ten has
/// so many.
fn narrowed(
    values: &Mantissas,
    drop: u32,
    value_type: ValueType,
    rounding: Rounding,
) -> Option<Vec<i64>> {
    if let (Mantissas::Narrow(values), Some(rounded)) = (values, ROUNDED.get(drop as usize)) {
        let values = rounded(values, rounding);
        let limit = value_type.limit();
        return values.iter().all(|value| value.unsigned_abs() <= limit).then_some(values);
    }
    let unit = power_of_ten(drop)?;
    let one = |&value: &i128| {
        let rounded = divide_rounded(value, unit, rounding)?;
        value_type.check_range(rounded).ok()
    };
    values.wide().iter().map(one).collect()
}

/// A whole column of texts as codes of a dictionary; an error where one cannot be kept, and at which
/// point.
pub fn interned_all(
    column: &Column,
    interner: &mut Interner,
) -> Result<Assigned, (usize, CubeError)> {
    let (column, faults) = column.clone().split();
    let one = |at| column.text(at).map(|text| interner.code(text)).transpose();
    let codes = (0..column.len()).map(one).enumerate();
    let codes = codes.map(|(at, code)| code.map_err(|error| (at, error)));
    let codes: Vec<Option<i64>> = codes.collect::<Result<_, _>>()?;
    Ok(Assigned { faults, ..codes.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cube::Number;

    /// Quotients rounded at once are those that carry 28 digits and are rounded then.
    #[test]
    fn a_quotient_is_rounded_once_or_twice_alike() {
        let mut state = 11u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state.rotate_left(29) as i64) >> (state >> 58)
        };
        let mut checked = 0;
        for scale in [0, 2, 6, 9] {
            for _ in 0..4_000 {
                // every third numerator is in the middle between two results, or next to it
                let divisor = draw() >> 20;
                let middle = divisor.checked_mul(draw() >> 44 | 1).map(|middle| middle / 2);
                let numerator = if draw() % 3 == 0 { middle.unwrap_or(1) } else { draw() };
                let column = |value: i64, scale: u32| Fixed {
                    values: Mantissas::Narrow(vec![value]),
                    present: None,
                    scale,
                };
                let (a, b) = (column(numerator, 2), column(divisor, 3));
                for rounding in [Rounding::HalfEven, Rounding::HalfUp] {
                    let Some(found) = quotients(&a, &b, scale, rounding) else { continue };
                    let (a, b) = (Number::new(numerator.into(), 2), Number::new(divisor.into(), 3));
                    let carried = a.divided_by(b).expect("it fits");
                    let expected = carried.map(|q| q.rescaled(scale, rounding).expect("it fits"));
                    assert_eq!(found.get(0), expected, "{a} / {b} at {scale}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 10_000, "{checked} quotients have few enough digits");
    }

    #[test]
    fn digits_go_away_as_by_a_division() {
        let edges = [0, 1, 4, 5, 6, 15, 25, 49, 50, 51, 149, 150, i64::MAX, i64::MAX - 1];
        for (digits, rounded) in ROUNDED.iter().enumerate() {
            let unit = power_of_ten(digits as u32).expect("it is a power");
            for value in edges.into_iter().flat_map(|value| [value, -value, i64::MIN]) {
                for rounding in [Rounding::HalfEven, Rounding::HalfUp] {
                    let expected = divide_rounded(value.into(), unit, rounding);
                    let found = rounded(&[value], rounding)[0];
                    assert_eq!(Some(i128::from(found)), expected, "{value} by {unit}");
                }
            }
        }
    }
}
