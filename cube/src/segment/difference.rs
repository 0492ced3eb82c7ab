//! What two states of a cube do not share: found by the pieces that only one of them has.
//!
//! A segment that both hold has the same rows in both; only those that one of them marks as dead
//! can differ.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{CubeRows, Segment, SegmentView};
use crate::id::{MeasureId, MemberId};
use crate::value::KeyPart;

/// A row's key and members.
type Identity = (Vec<KeyPart>, Vec<MemberId>);

/// The columns whose values matter.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Dimensions, by position.
    pub positions: Vec<usize>,
    pub measures: Vec<MeasureId>,
}

/// Rows that only one of two states has: by place of the segment in that state.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub gone: Vec<(usize, Vec<u32>)>,
    pub come: Vec<(usize, Vec<u32>)>,
}

impl CubeRows {
    /// What was in an earlier state and what is there now, as far as it can be seen in some columns;
    /// none where it is more than so many rows. The same rows may be among both.
    pub(crate) fn difference(
        &self,
        before: &Self,
        reads: &Reads,
        limit: usize,
    ) -> Option<Difference> {
        let mut difference = Difference::default();
        let mut count = 0;
        let both = |old: usize, new: usize, difference: &mut Difference| {
            let (dead_before, dead_now) = (&before.segments[old].dead, &self.segments[new].dead);
            if Arc::ptr_eq(dead_before, dead_now) {
                return 0;
            }
            let gone: Vec<u32> = minus(dead_now, dead_before);
            let come: Vec<u32> = minus(dead_before, dead_now);
            let rows = gone.len() + come.len();
            difference.gone.extend(Some((old, gone)).filter(|(_, gone)| !gone.is_empty()));
            difference.come.extend(Some((new, come)).filter(|(_, come)| !come.is_empty()));
            rows
        };
        // most states begin with the same segments
        let pairs = self.segments.iter().zip(&before.segments);
        let same = pairs.take_while(|(a, b)| a.segment.shares(&b.segment, reads)).count();
        for position in 0..same {
            count += both(position, position, &mut difference);
        }
        let place = |view: &SegmentView| view.segment.coordinates.first().map(Arc::as_ptr);
        let mut old: HashMap<_, usize> =
            (same..before.segments.len()).map(|at| (place(&before.segments[at]), at)).collect();
        let mut new: Vec<usize> = Vec::new();
        for (at, view) in self.segments.iter().enumerate().skip(same) {
            match old.get(&place(view)) {
                Some(&twin) if view.segment.shares(&before.segments[twin].segment, reads) => {
                    old.remove(&place(view));
                    count += both(twin, at, &mut difference);
                }
                _ => new.push(at),
            }
        }
        let mut old: Vec<usize> = old.into_values().collect();
        old.sort_unstable();
        count += old.iter().map(|&at| before.segments[at].live_count()).sum::<usize>();
        count += new.iter().map(|&at| self.segments[at].live_count()).sum::<usize>();
        if count > limit {
            return None;
        }
        let live = |rows: &Self, at: usize| {
            let live = rows.segments[at].live_rows();
            (at, live.map(|row| row as u32).collect::<Vec<u32>>())
        };
        difference.gone.extend(old.into_iter().map(|at| live(before, at)));
        difference.come.extend(new.into_iter().map(|at| live(self, at)));
        Some(difference)
    }

    /// Per segment of its own, the live rows that `other` does not have from the same segment.
    pub fn unshared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (usize, Vec<u32>)> + 'a {
        let by_segment: HashMap<*const Segment, &SegmentView> =
            other.segments.iter().map(|view| (Arc::as_ptr(&view.segment), view)).collect();
        self.segments.iter().enumerate().filter_map(move |(position, view)| {
            let rows = match by_segment.get(&Arc::as_ptr(&view.segment)) {
                Some(other) if Arc::ptr_eq(&other.dead, &view.dead) => return None,
                Some(other) => (&*other.dead - &*view.dead).iter().collect(),
                None => view.live_rows().map(|row| row as u32).collect(),
            };
            Some((position, rows))
        })
    }

    /// The coordinates at which a measure has other values than in `before`, a column a dimension;
    /// with ids of members that mean the same in both. A coordinate may be there more than once.
    pub fn changed_at(&self, before: &Self, measure: MeasureId, axes: usize) -> Vec<Vec<MemberId>> {
        let mut changed: Vec<Vec<MemberId>> = vec![Vec::new(); axes];
        let mut push = |members: &[MemberId]| {
            changed.iter_mut().zip(members).for_each(|(column, member)| column.push(*member));
        };
        let mut old: Vec<(usize, Vec<u32>)> = before.unshared(self).collect();
        let mut new: Vec<(usize, Vec<u32>)> = Vec::new();
        for (position, rows) in self.unshared(before) {
            let view = &self.segments[position];
            // a column that was replaced leaves the rest of its segment as it was
            let is_twin = |(other, _): &(usize, _)| before.segments[*other].has_rows_of(view);
            let Some(twin) = old.iter().position(is_twin) else {
                new.push((position, rows));
                continue;
            };
            let other = &before.segments[old.swap_remove(twin).0].segment;
            if view.segment.shares_values(other, measure) {
                continue;
            }
            let differs =
                |row: &u32| view.segment.value(*row, measure) != other.value(*row, measure);
            rows.into_iter().filter(differs).for_each(|row| push(&view.segment.members(row)));
        }
        let old = before.valued(&old, measure);
        let new = self.valued(&new, measure);
        for (identity, value) in &new {
            if old.get(identity) != Some(value) {
                push(&identity.1);
            }
        }
        for (identity, _) in old.iter().filter(|(identity, _)| !new.contains_key(*identity)) {
            push(&identity.1);
        }
        changed
    }

    /// Rows with a value of a measure, by what tells them apart.
    fn valued(&self, rows: &[(usize, Vec<u32>)], measure: MeasureId) -> HashMap<Identity, i64> {
        let each = rows.iter().flat_map(|(position, rows)| {
            let segment = &self.segments[*position].segment;
            rows.iter().filter_map(move |&row| {
                let value = segment.value(row, measure)?;
                let keys = segment.keys.iter().map(|column| column.get(row as usize));
                Some(((keys.collect(), segment.members(row)), value))
            })
        });
        each.collect()
    }
}

fn minus(rows: &RoaringBitmap, others: &RoaringBitmap) -> Vec<u32> {
    match others.is_empty() {
        true => rows.iter().collect(),
        false => (rows - others).iter().collect(),
    }
}

impl SegmentView {
    /// Whether another segment has the same rows, with values of its own perhaps.
    fn has_rows_of(&self, other: &Self) -> bool {
        let shares = |a: &Segment, b: &Segment| {
            let coordinates = a.coordinates.iter().zip(&b.coordinates);
            let keys = a.keys.iter().zip(&b.keys);
            a.coordinates.len() == b.coordinates.len()
                && !a.coordinates.is_empty()
                && { coordinates }.all(|(a, b)| Arc::ptr_eq(a, b))
                && { keys }.all(|(a, b)| Arc::ptr_eq(a, b))
        };
        Arc::ptr_eq(&self.dead, &other.dead) && shares(&self.segment, &other.segment)
    }
}

impl Segment {
    fn value(&self, row: u32, measure: MeasureId) -> Option<i64> {
        // a measure declared later is blank in older segments
        self.values.get(measure.idx())?.get(row as usize)
    }

    /// Whether another segment has the same columns, as far as they matter.
    fn shares(&self, other: &Self, reads: &Reads) -> bool {
        let same_codes = |&position: &usize| {
            Arc::ptr_eq(&self.coordinates[position], &other.coordinates[position])
        };
        let same_values = |&measure: &MeasureId| self.shares_values(other, measure);
        std::ptr::eq(self, other)
            || (self.row_count == other.row_count
                && self.coordinates.len() == other.coordinates.len()
                && { self.coordinates.first().zip(other.coordinates.first()) }
                    .is_some_and(|(a, b)| Arc::ptr_eq(a, b))
                && reads.positions.iter().all(same_codes)
                && reads.measures.iter().all(same_values))
    }

    fn members(&self, row: u32) -> Vec<MemberId> {
        self.coordinates.iter().map(|codes| codes.get(row as usize)).collect()
    }

    fn shares_values(&self, other: &Self, measure: MeasureId) -> bool {
        match (self.values.get(measure.idx()), other.values.get(measure.idx())) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }
}
