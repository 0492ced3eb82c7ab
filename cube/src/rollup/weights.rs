//! Path weights of rows: what a value counts for, the product over all weighted dimensions.

use super::DimensionWeights;
use super::accumulate::overflow;
use crate::error::Result;
use crate::segment::{RowSet, Segment, Values};

/// Products of weights and values up to here are multiplied in 64 bits.
const SMALL_MAX: i64 = 1 << 31;

/// The weights of a request's dimensions.
pub(super) struct WeightTables<'a> {
    dimensions: &'a [DimensionWeights<'a>],
    /// Whether the product of any row's weights is small.
    is_small: bool,
}

/// The weight of each row.
pub(super) enum RowWeights {
    /// None is larger than [`SMALL_MAX`].
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

/// Whether all values are small enough to be multiplied with small weights.
pub(super) fn is_small(values: &Values) -> bool {
    let (min, max) = values.ints().bounds();
    -SMALL_MAX <= min && max <= SMALL_MAX
}

impl<'a> WeightTables<'a> {
    pub fn new(dimensions: &'a [DimensionWeights<'a>]) -> Self {
        let factors = dimensions.iter().flat_map(|weights| &weights.factors);
        let mut largest = factors.map(|factor| {
            let sizes = factor.iter().map(|weight| i128::from(*weight).abs());
            sizes.max().unwrap_or(0).max(1)
        });
        let product = largest.try_fold(1i128, |product, size| product.checked_mul(size));
        let is_small = product.is_some_and(|product| product <= i128::from(SMALL_MAX));
        Self { dimensions, is_small }
    }

    /// Whether each value counts as it is.
    pub fn is_empty(&self) -> bool {
        self.dimensions.is_empty()
    }

    /// What the value of each row counts for; zero where it does not count at all.
    pub fn of_rows(&self, segment: &Segment, rows: &RowSet) -> Result<RowWeights> {
        let factors = self.dimensions.iter().flat_map(|weights| {
            let position = weights.position;
            weights.factors.iter().map(move |factor| (&segment.coordinates[position], factor))
        });
        if self.is_small {
            let mut products = vec![1i64; rows.len()];
            for (codes, factor) in factors {
                codes.visit(rows, |at, member| products[at] *= factor[member.idx()]);
            }
            return Ok(RowWeights::Narrow(products));
        }
        let mut products = vec![1i128; rows.len()];
        let mut overflows = false;
        for (codes, factor) in factors {
            codes.visit(rows, |at, member| {
                let product = products[at].overflowing_mul(i128::from(factor[member.idx()]));
                overflows |= product.1;
                products[at] = product.0;
            });
        }
        if overflows { Err(overflow()) } else { Ok(RowWeights::Wide(products)) }
    }
}

impl RowWeights {
    /// The weight of the row at a place.
    pub fn get(&self, at: usize) -> i128 {
        match self {
            Self::Narrow(weights) => weights[at].into(),
            Self::Wide(weights) => weights[at],
        }
    }
}
