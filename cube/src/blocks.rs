//! Rows worked on block by block, side by side.

use std::ops::Range;

use rayon::prelude::*;

/// Rows of a block: few enough to stay near the processor.
pub(crate) const BLOCK_ROWS: usize = 8_192;

/// What a function makes of each block of rows, in order.
pub(crate) fn map<T: Send>(rows: usize, of: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let block = |first: usize| of(first..rows.min(first + BLOCK_ROWS));
    if rows <= BLOCK_ROWS {
        return (0..rows.min(1)).map(block).collect();
    }
    (0..rows.div_ceil(BLOCK_ROWS)).into_par_iter().map(|at| block(at * BLOCK_ROWS)).collect()
}

/// Whether a function says so of every block of rows.
pub(crate) fn all(rows: usize, holds: impl Fn(Range<usize>) -> bool + Sync) -> bool {
    if rows <= BLOCK_ROWS {
        return holds(0..rows);
    }
    let firsts = (0..rows.div_ceil(BLOCK_ROWS)).into_par_iter().map(|at| at * BLOCK_ROWS);
    firsts.all(|first| holds(first..rows.min(first + BLOCK_ROWS)))
}
