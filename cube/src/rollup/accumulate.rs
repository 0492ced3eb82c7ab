//! Partial results: groups and their accumulators, merged without loss.

use std::collections::HashMap;

use crate::error::{CubeError, Result};
use crate::limits::ROLLUP_GROUPS_MAX;

/// Sums overflow at 38 digits, which is an error and never a wrap.
pub(super) fn overflow() -> CubeError {
    CubeError::Overflow("a total has more than 38 digits".into())
}

/// Groups by their combined code.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The combined code of each group, in the order of first sight.
    pub codes: Vec<u128>,
    idx: HashMap<u128, u32>,
}

impl Groups {
    /// The group of a combined code.
    pub fn get_or_add(&mut self, code: u128) -> Result<u32> {
        if let Some(&group) = self.idx.get(&code) {
            return Ok(group);
        }
        if self.codes.len() >= ROLLUP_GROUPS_MAX {
            return Err(CubeError::Memory(format!(
                "the result has more than {ROLLUP_GROUPS_MAX} groups"
            )));
        }
        let group = self.codes.len() as u32;
        self.codes.push(code);
        self.idx.insert(code, group);
        Ok(group)
    }
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
    /// Flows add at once; stocks keep one value a leaf until the end.
    SemiAdditive { sums: Vec<i128>, counts: Vec<u64>, leaves: HashMap<(u32, u128), LeafValue> },
    /// Nothing is ever seen.
    Blank(usize),
}

/// Which of two extremes stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Smallest,
    Largest,
}

/// The value of one leaf at the date that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeafValue {
    /// The date's position; for an opening balance counted backwards.
    pub order: i64,
    /// The weighted value.
    pub value: i128,
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
            Self::Blank(groups) => *groups = count,
        }
    }

    /// Adds a value to a sum.
    pub fn add(sums: &mut [i128], counts: &mut [u64], group: usize, value: i128) -> Result<()> {
        sums[group] = sums[group].checked_add(value).ok_or_else(overflow)?;
        counts[group] += 1;
        Ok(())
    }

    /// Keeps the later of two values of a leaf.
    pub fn keep_later(
        leaves: &mut HashMap<(u32, u128), LeafValue>,
        key: (u32, u128),
        new: LeafValue,
    ) {
        leaves
            .entry(key)
            .and_modify(|old| {
                if new.order > old.order {
                    *old = new
                }
            })
            .or_insert(new);
    }

    /// Keeps the smaller or larger of two values.
    pub fn keep_extreme(slot: &mut Option<i64>, value: i64, keep: Keep) {
        *slot = Some(match (*slot, keep) {
            (None, _) => value,
            (Some(old), Keep::Smallest) => old.min(value),
            (Some(old), Keep::Largest) => old.max(value),
        });
    }

    fn merge(&mut self, other: Self, group_of: &[u32]) -> Result<()> {
        match (self, other) {
            (Self::Sum { sums, counts }, Self::Sum { sums: more, counts: more_counts }) => {
                merge_sums(sums, counts, &more, &more_counts, group_of)
            }
            (
                Self::SemiAdditive { sums, counts, leaves },
                Self::SemiAdditive { sums: more, counts: more_counts, leaves: more_leaves },
            ) => {
                merge_sums(sums, counts, &more, &more_counts, group_of)?;
                for ((group, leaf), value) in more_leaves {
                    Self::keep_later(leaves, (group_of[group as usize], leaf), value);
                }
                Ok(())
            }
            (Self::Extreme { values, keep }, Self::Extreme { values: more, .. }) => {
                for (group, value) in more.into_iter().enumerate() {
                    if let Some(value) = value {
                        Self::keep_extreme(&mut values[group_of[group] as usize], value, *keep);
                    }
                }
                Ok(())
            }
            (Self::Count(counts), Self::Count(more)) => {
                more.iter()
                    .enumerate()
                    .for_each(|(group, count)| counts[group_of[group] as usize] += count);
                Ok(())
            }
            (Self::Blank(_), Self::Blank(_)) => Ok(()),
            _ => unreachable!("partial results of one request have the same outputs"),
        }
    }

    fn size_bytes(&self) -> u64 {
        let (per_group, leaves) = match self {
            Self::Sum { .. } => (24, 0),
            Self::SemiAdditive { leaves, .. } => (24, leaves.len()),
            Self::Extreme { .. } => (16, 0),
            Self::Count(_) => (8, 0),
            Self::Blank(_) => (0, 0),
        };
        let groups = match self {
            Self::Sum { counts, .. } | Self::SemiAdditive { counts, .. } | Self::Count(counts) => {
                counts.len()
            }
            Self::Extreme { values, .. } => values.len(),
            Self::Blank(count) => *count,
        };
        (groups * per_group + leaves * 80) as u64
    }
}

fn merge_sums(
    sums: &mut [i128],
    counts: &mut [u64],
    more: &[i128],
    more_counts: &[u64],
    group_of: &[u32],
) -> Result<()> {
    for (group, (&value, &count)) in more.iter().zip(more_counts).enumerate() {
        let into = group_of[group] as usize;
        sums[into] = sums[into].checked_add(value).ok_or_else(overflow)?;
        counts[into] += count;
    }
    Ok(())
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
        let codes = other.groups.codes.iter();
        let group_of =
            codes.map(|&code| self.groups.get_or_add(code)).collect::<Result<Vec<u32>>>()?;
        for (into, from) in self.accumulators.iter_mut().zip(other.accumulators) {
            into.grow(self.groups.codes.len());
            into.merge(from, &group_of)?;
        }
        Ok(())
    }

    /// Memory in use, roughly.
    pub fn size_bytes(&self) -> u64 {
        let groups = self.groups.codes.len() as u64 * 48;
        groups + self.accumulators.iter().map(Accumulator::size_bytes).sum::<u64>()
    }
}
