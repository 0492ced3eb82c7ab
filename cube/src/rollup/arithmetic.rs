//! Sums of what is computed of each row: `sum(amount * (1 - discount))`.

use crate::error::{CubeError, Result};
use crate::id::MeasureId;
use crate::model::Cube;
use crate::segment::{RowSet, Segment};

/// Exact arithmetic over the measures of one row; blank where one of them is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arithmetic {
    /// A measure.
    Measure(MeasureId),
    /// A number: an integer and its digits after the point.
    Constant(i64, u32),
    /// Two operands.
    Binary(Operator, Box<Self>, Box<Self>),
}

/// What is done with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
}

/// Values of some rows, zero where blank.
pub(crate) struct Computed {
    pub integers: Integers,
    /// Whether a row has a value; absent where all have.
    pub present: Option<Vec<bool>>,
}

/// Integers as narrow as they are known to be.
pub(crate) enum Integers {
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

fn overflow() -> CubeError {
    CubeError::Overflow("a product or sum of a row has more than 38 digits".into())
}

impl Arithmetic {
    /// Digits after the point of its values.
    pub fn scale(&self, cube: &Cube) -> u32 {
        match self {
            Self::Measure(measure) => cube.measure_def(*measure).value_type.scale(),
            Self::Constant(_, scale) => *scale,
            Self::Binary(Operator::Times, a, b) => a.scale(cube) + b.scale(cube),
            Self::Binary(_, a, b) => a.scale(cube).max(b.scale(cube)),
        }
    }

    /// The measures that it reads.
    pub fn measures(&self) -> Vec<MeasureId> {
        match self {
            Self::Measure(measure) => vec![*measure],
            Self::Constant(..) => Vec::new(),
            Self::Binary(_, a, b) => [a.measures(), b.measures()].concat(),
        }
    }

    /// Ready to be computed for a cube's rows.
    pub(crate) fn prepared(&self, cube: &Cube) -> Result<Prepared> {
        Ok(match self {
            Self::Measure(measure) => Prepared::Measure(measure.idx()),
            Self::Constant(value, _) => Prepared::Constant((*value).into()),
            Self::Binary(operator, a, b) => {
                let (scale_a, scale_b) = (a.scale(cube), b.scale(cube));
                let (mut a, mut b) = (a.prepared(cube)?, b.prepared(cube)?);
                if *operator != Operator::Times {
                    let scale = scale_a.max(scale_b);
                    a = a.widened(scale - scale_a)?;
                    b = b.widened(scale - scale_b)?;
                }
                Prepared::Binary(*operator, Box::new((a, b)))
            }
        })
    }
}

/// Arithmetic over stored integers.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// By its position.
    Measure(usize),
    Constant(i128),
    Binary(Operator, Box<(Self, Self)>),
}

impl Prepared {
    /// With more digits after the point.
    fn widened(self, digits: u32) -> Result<Self> {
        if digits == 0 {
            return Ok(self);
        }
        let unit = 10i128.checked_pow(digits).ok_or_else(overflow)?;
        Ok(Self::Binary(Operator::Times, Box::new((self, Self::Constant(unit)))))
    }

    /// Values of rows of a segment; none where all are blank.
    pub fn values(&self, segment: &Segment, rows: &RowSet) -> Result<Option<Computed>> {
        let mut measures = Vec::new();
        self.add_measures(&mut measures);
        let mut present: Option<Vec<bool>> = None;
        for measure in measures {
            // a measure declared later is blank in older segments
            let Some(values) = segment.values.get(measure) else { return Ok(None) };
            let Some(presence) = values.presence() else { continue };
            let present = present.get_or_insert_with(|| vec![true; rows.len()]);
            for (present, row) in present.iter_mut().zip(rows.iter()) {
                *present &= presence.contains(row);
            }
        }
        let integers = match self.bounds(segment) {
            Some(_) => Integers::Narrow(self.computed::<i64>(segment, rows, None)?.all(rows.len())),
            None => {
                let computed = self.computed::<i128>(segment, rows, present.as_deref())?;
                Integers::Wide(computed.all(rows.len()))
            }
        };
        Ok(Some(Computed { integers, present }))
    }

    /// The value of one row, blank perhaps; none where it needs more than 64 bits.
    pub fn value(&self, segment: &Segment, row: usize) -> Option<Option<i64>> {
        match self {
            // a measure declared later is blank in older segments
            Self::Measure(measure) => {
                Some(segment.values.get(*measure).and_then(|values| values.get(row)))
            }
            Self::Constant(value) => Some(Some(i64::try_from(*value).ok()?)),
            Self::Binary(operator, operands) => {
                let a = operands.0.value(segment, row)?;
                let (Some(a), Some(b)) = (a, operands.1.value(segment, row)?) else {
                    return Some(None);
                };
                let result = match operator {
                    Operator::Plus => a.checked_add(b),
                    Operator::Minus => a.checked_sub(b),
                    Operator::Times => a.checked_mul(b),
                };
                Some(Some(result?))
            }
        }
    }

    /// Lets the CPU fetch what the value of a row is made of, which is read soon.
    pub fn fetch(&self, segment: &Segment, row: usize) {
        match self {
            Self::Measure(measure) => {
                if let Some(values) = segment.values.get(*measure) {
                    values.ints().fetch(row);
                }
            }
            Self::Constant(_) => {}
            Self::Binary(_, operands) => {
                operands.0.fetch(segment, row);
                operands.1.fetch(segment, row);
            }
        }
    }

    fn add_measures(&self, measures: &mut Vec<usize>) {
        match self {
            Self::Measure(measure) => measures.push(*measure),
            Self::Constant(_) => {}
            Self::Binary(_, operands) => {
                operands.0.add_measures(measures);
                operands.1.add_measures(measures);
            }
        }
    }

    /// Between which integers all values of a segment are, those on the way included; none where they
    /// may need more than 64 bits.
    fn bounds(&self, segment: &Segment) -> Option<(i64, i64)> {
        let (low, high) = match self {
            Self::Measure(measure) => return Some(segment.values.get(*measure)?.ints().bounds()),
            Self::Constant(value) => (*value, *value),
            Self::Binary(operator, operands) => {
                let (a, b) = (operands.0.bounds(segment)?, operands.1.bounds(segment)?);
                let [a, b] = [a, b].map(|(low, high)| (i128::from(low), i128::from(high)));
                match operator {
                    Operator::Plus => (a.0 + b.0, a.1 + b.1),
                    Operator::Minus => (a.0 - b.1, a.1 - b.0),
                    Operator::Times => {
                        let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
                        let low = corners.iter().copied().min()?;
                        (low, corners.iter().copied().max()?)
                    }
                }
            }
        };
        Some((i64::try_from(low).ok()?, i64::try_from(high).ok()?))
    }

    /// Values of rows. In those said to have none all measures are zero, so that none overflows.
    fn computed<T: Integer>(
        &self,
        segment: &Segment,
        rows: &RowSet,
        present: Option<&[bool]>,
    ) -> Result<Term<T>> {
        Ok(match self {
            Self::Measure(measure) => {
                let mut each = segment.values[*measure].ints().gathered(rows, T::from_stored);
                let absent = each.iter_mut().zip(present.unwrap_or_default());
                absent.filter(|(_, is_present)| !**is_present).for_each(|(value, _)| {
                    *value = T::from_stored(0);
                });
                Term::Each(each)
            }
            Self::Constant(value) => Term::One(T::from_constant(*value)),
            Self::Binary(operator, operands) => {
                let a = operands.0.computed::<T>(segment, rows, present)?;
                let b = operands.1.computed::<T>(segment, rows, present)?;
                let operation = match operator {
                    Operator::Plus => T::plus,
                    Operator::Minus => T::minus,
                    Operator::Times => T::times,
                };
                a.with(b, operation)?
            }
        })
    }
}

/// One number for all rows, or each row's own.
enum Term<T> {
    One(T),
    Each(Vec<T>),
}

impl<T: Integer> Term<T> {
    fn with(self, other: Self, operation: fn(T, T) -> (T, bool)) -> Result<Self> {
        let mut overflows = false;
        let mut apply = |a, b| {
            let (value, over) = operation(a, b);
            overflows |= over;
            value
        };
        let result = match (self, other) {
            (Self::One(a), Self::One(b)) => Self::One(apply(a, b)),
            (Self::Each(mut a), Self::One(b)) => {
                a.iter_mut().for_each(|a| *a = apply(*a, b));
                Self::Each(a)
            }
            (Self::One(a), Self::Each(mut b)) => {
                b.iter_mut().for_each(|b| *b = apply(a, *b));
                Self::Each(b)
            }
            (Self::Each(mut a), Self::Each(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = apply(*a, b));
                Self::Each(a)
            }
        };
        if overflows { Err(overflow()) } else { Ok(result) }
    }

    fn all(self, count: usize) -> Vec<T> {
        match self {
            Self::One(value) => vec![value; count],
            Self::Each(values) => values,
        }
    }
}

/// Integers of a width, and whether an operation left it.
trait Integer: Copy {
    fn from_stored(stored: i64) -> Self;
    fn from_constant(constant: i128) -> Self;
    fn plus(a: Self, b: Self) -> (Self, bool);
    fn minus(a: Self, b: Self) -> (Self, bool);
    fn times(a: Self, b: Self) -> (Self, bool);
}

/// Where bounds say that nothing leaves it.
impl Integer for i64 {
    fn from_stored(stored: i64) -> Self {
        stored
    }

    fn from_constant(constant: i128) -> Self {
        constant as i64
    }

    fn plus(a: Self, b: Self) -> (Self, bool) {
        (a.wrapping_add(b), false)
    }

    fn minus(a: Self, b: Self) -> (Self, bool) {
        (a.wrapping_sub(b), false)
    }

    fn times(a: Self, b: Self) -> (Self, bool) {
        (a.wrapping_mul(b), false)
    }
}

impl Integer for i128 {
    fn from_stored(stored: i64) -> Self {
        stored.into()
    }

    fn from_constant(constant: i128) -> Self {
        constant
    }

    fn plus(a: Self, b: Self) -> (Self, bool) {
        a.overflowing_add(b)
    }

    fn minus(a: Self, b: Self) -> (Self, bool) {
        a.overflowing_sub(b)
    }

    fn times(a: Self, b: Self) -> (Self, bool) {
        a.overflowing_mul(b)
    }
}
