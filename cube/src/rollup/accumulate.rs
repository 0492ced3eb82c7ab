//! Partial results: groups and their accumulators, merged without loss.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use roaring::RoaringBitmap;

use super::leaves::Leaves;
use crate::error::{CubeError, Result};
use crate::limits::ROLLUP_GROUPS_MAX;

/// Sums overflow at 38 digits, which is an error and never a wrap.
pub(super) fn overflow() -> CubeError {
    CubeError::Overflow("a total has more than 38 digits".into())
}

/// Groups by their combined code.
#[derive(Debug)]
pub(super) enum Groups {
    /// One for each of the codes that there may be: its number is its code.
    Dense {
        /// Rows of each.
        rows: Vec<u64>,
    },
    /// Those seen.
    Sparse {
        /// The combined code of each group, in the order of first sight.
        codes: Vec<u128>,
        idx: HashMap<u128, u32, FixedState>,
    },
}

impl Groups {
    /// No group seen, of so many that there may be.
    pub fn new(space: u128, is_dense: bool) -> Self {
        match is_dense {
            true => Self::Dense { rows: vec![0; space as usize] },
            false => Self::Sparse { codes: Vec::new(), idx: HashMap::default() },
        }
    }

    /// Groups in use.
    pub fn count(&self) -> usize {
        match self {
            Self::Dense { rows } => rows.len(),
            Self::Sparse { codes, .. } => codes.len(),
        }
    }

    /// The groups that were seen with their codes, in the order of codes.
    pub fn seen(&self) -> Vec<(u128, usize)> {
        match self {
            Self::Dense { rows } => {
                let seen = rows.iter().enumerate().filter(|(_, rows)| **rows > 0);
                seen.map(|(group, _)| (group as u128, group)).collect()
            }
            Self::Sparse { codes, .. } => {
                let mut seen: Vec<(u128, usize)> = codes.iter().copied().zip(0..).collect();
                seen.sort_unstable();
                seen
            }
        }
    }

    /// The group of a combined code, where groups are numbered as they are seen.
    pub fn get_or_add(
        codes: &mut Vec<u128>,
        idx: &mut HashMap<u128, u32, FixedState>,
        code: u128,
    ) -> Result<u32> {
        if let Some(&group) = idx.get(&code) {
            return Ok(group);
        }
        if codes.len() >= ROLLUP_GROUPS_MAX {
            return Err(CubeError::Memory(format!(
                "the result has more than {ROLLUP_GROUPS_MAX} groups"
            )));
        }
        let group = codes.len() as u32;
        codes.push(code);
        idx.insert(code, group);
        Ok(group)
    }

    /// Takes in the groups of others; says which of these each of them is, where they are others.
    fn merge(&mut self, other: Self) -> Result<Option<Vec<u32>>> {
        match (self, other) {
            (Self::Dense { rows }, Self::Dense { rows: more }) => {
                rows.iter_mut().zip(more).for_each(|(rows, more)| *rows += more);
                Ok(None)
            }
            (Self::Sparse { codes, idx }, Self::Sparse { codes: more, .. }) => {
                let group = |code| Self::get_or_add(codes, idx, code);
                Ok(Some(more.into_iter().map(group).collect::<Result<_>>()?))
            }
            _ => unreachable!("partial results of one request have the same groups"),
        }
    }

    /// Counts rows, given by the combined code of each; says which group each is of.
    pub fn add_rows(&mut self, codes_of_rows: RowCodes) -> Result<Vec<u32>> {
        match (self, codes_of_rows) {
            (Self::Dense { rows }, RowCodes::Narrow(groups)) => {
                groups.iter().for_each(|&group| rows[group as usize] += 1);
                Ok(groups)
            }
            (Self::Sparse { codes, idx }, RowCodes::Wide(of_rows)) => {
                of_rows.into_iter().map(|code| Self::get_or_add(codes, idx, code)).collect()
            }
            _ => unreachable!("rows are coded as the groups are kept"),
        }
    }

    /// Whether there is a group for each code.
    pub fn is_dense(&self) -> bool {
        matches!(self, Self::Dense { .. })
    }

    /// Makes one group seen, though it may have no rows.
    pub fn see_first(&mut self) {
        match self {
            Self::Dense { rows } => rows[0] = rows[0].max(1),
            Self::Sparse { codes, idx } => {
                let _ = Self::get_or_add(codes, idx, 0);
            }
        }
    }

    fn size_bytes(&self) -> u64 {
        match self {
            Self::Dense { rows } => rows.len() as u64 * 8,
            Self::Sparse { codes, .. } => codes.len() as u64 * 48,
        }
    }
}

/// Combined codes of rows.
pub(super) enum RowCodes {
    /// Of dense groups.
    Narrow(Vec<u32>),
    /// Of any others.
    Wide(Vec<u128>),
}

/// One output's state over all groups.
#[derive(Debug)]
pub(super) enum Accumulator {
    /// Exact sum and number of values.
    Sum { sums: Vec<i128>, counts: Vec<u64> },
    /// Smallest (or largest) value.
    Extreme { values: Vec<Option<i64>>, keep: Keep },
    /// Number of values or rows.
    Count(Vec<u64>),
    /// The codes of different values.
    Distinct(Vec<RoaringBitmap>),
    /// Flows add at once; stocks keep one value a leaf until the end.
    SemiAdditive { sums: Vec<i128>, counts: Vec<u64>, leaves: Leaves },
    /// Nothing is ever seen.
    Blank(usize),
}

/// Which of two extremes stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Smallest,
    Largest,
}

impl Accumulator {
    /// Room for groups up to `count`.
    pub fn grow(&mut self, count: usize) {
        match self {
            Self::Sum { sums, counts } | Self::SemiAdditive { sums, counts, .. } => {
                sums.resize(count, 0);
                counts.resize(count, 0);
            }
            Self::Extreme { values, .. } => values.resize(count, None),
            Self::Count(counts) => counts.resize(count, 0),
            Self::Distinct(sets) => sets.resize(count, RoaringBitmap::new()),
            Self::Blank(groups) => *groups = count,
        }
    }

    /// Leaves some groups, in this order.
    pub fn keep(&mut self, groups: &[usize]) {
        fn kept<T: Clone>(values: &mut Vec<T>, groups: &[usize]) {
            *values = groups.iter().map(|&group| values[group].clone()).collect();
        }
        match self {
            Self::Sum { sums, counts } | Self::SemiAdditive { sums, counts, .. } => {
                kept(sums, groups);
                kept(counts, groups);
            }
            Self::Extreme { values, .. } => kept(values, groups),
            Self::Count(counts) => kept(counts, groups),
            Self::Distinct(sets) => kept(sets, groups),
            Self::Blank(count) => *count = groups.len(),
        }
    }

    /// Adds a value to a sum.
    pub fn add(sums: &mut [i128], counts: &mut [u64], group: usize, value: i128) -> Result<()> {
        sums[group] = sums[group].checked_add(value).ok_or_else(overflow)?;
        counts[group] += 1;
        Ok(())
    }

    /// Keeps the smaller or larger of two values.
    pub fn keep_extreme(slot: &mut Option<i64>, value: i64, keep: Keep) {
        *slot = Some(match (*slot, keep) {
            (None, _) => value,
            (Some(old), Keep::Smallest) => old.min(value),
            (Some(old), Keep::Largest) => old.max(value),
        });
    }

    fn merge(&mut self, other: Self, group_of: &GroupOf) -> Result<()> {
        match (self, other) {
            (Self::Sum { sums, counts }, Self::Sum { sums: more, counts: more_counts }) => {
                merge_sums(sums, counts, &more, &more_counts, group_of)
            }
            (
                Self::SemiAdditive { sums, counts, leaves },
                Self::SemiAdditive { sums: more, counts: more_counts, leaves: more_leaves },
            ) => {
                merge_sums(sums, counts, &more, &more_counts, group_of)?;
                leaves.merge(more_leaves, |group| group_of.get(group as usize) as u32);
                Ok(())
            }
            (Self::Extreme { values, keep }, Self::Extreme { values: more, .. }) => {
                for (group, value) in more.into_iter().enumerate() {
                    if let Some(value) = value {
                        Self::keep_extreme(&mut values[group_of.get(group)], value, *keep);
                    }
                }
                Ok(())
            }
            (Self::Count(counts), Self::Count(more)) => {
                more.iter()
                    .enumerate()
                    .for_each(|(group, count)| counts[group_of.get(group)] += count);
                Ok(())
            }
            (Self::Distinct(sets), Self::Distinct(more)) => {
                let more = more.into_iter().enumerate();
                more.for_each(|(group, set)| sets[group_of.get(group)] |= set);
                Ok(())
            }
            (Self::Blank(_), Self::Blank(_)) => Ok(()),
            _ => unreachable!("partial results of one request have the same outputs"),
        }
    }

    fn size_bytes(&self) -> u64 {
        let (per_group, leaves) = match self {
            Self::Distinct(sets) => {
                return sets.iter().map(|set| 32 + set.serialized_size() as u64).sum();
            }
            Self::Sum { .. } => (24, 0),
            Self::SemiAdditive { leaves, .. } => (24, leaves.size_bytes()),
            Self::Extreme { .. } => (16, 0),
            Self::Count(_) => (8, 0),
            Self::Blank(_) => (0, 0),
        };
        let groups = match self {
            Self::Sum { counts, .. } | Self::SemiAdditive { counts, .. } | Self::Count(counts) => {
                counts.len()
            }
            Self::Extreme { values, .. } => values.len(),
            Self::Distinct(sets) => sets.len(),
            Self::Blank(count) => *count,
        };
        (groups * per_group + leaves) as u64
    }
}

fn merge_sums(
    sums: &mut [i128],
    counts: &mut [u64],
    more: &[i128],
    more_counts: &[u64],
    group_of: &GroupOf,
) -> Result<()> {
    for (group, (&value, &count)) in more.iter().zip(more_counts).enumerate() {
        let into = group_of.get(group);
        sums[into] = sums[into].checked_add(value).ok_or_else(overflow)?;
        counts[into] += count;
    }
    Ok(())
}

/// Which group each group of another partial result is.
struct GroupOf(Option<Vec<u32>>);

impl GroupOf {
    fn get(&self, group: usize) -> usize {
        self.0.as_ref().map_or(group, |groups| groups[group] as usize)
    }
}

/// What one or several segments give.
#[derive(Debug)]
pub(super) struct Partial {
    /// The groups seen.
    pub groups: Groups,
    /// One accumulator an output.
    pub accumulators: Vec<Accumulator>,
}

impl Partial {
    /// Takes another partial result in.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        let group_of = GroupOf(self.groups.merge(other.groups)?);
        for (into, from) in self.accumulators.iter_mut().zip(other.accumulators) {
            into.grow(self.groups.count());
            into.merge(from, &group_of)?;
        }
        Ok(())
    }

    /// Memory in use, roughly.
    pub fn size_bytes(&self) -> u64 {
        let accumulators = self.accumulators.iter().map(Accumulator::size_bytes).sum::<u64>();
        self.groups.size_bytes() + accumulators
    }
}
