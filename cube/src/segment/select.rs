//! Selection: the rows of a segment whose members are all wanted, found the cheapest way.
//!
//! Zones skip a segment as a whole. Where one dimension wants few members, the rows of these
//! members are read from its postings and only they are checked further; else all rows are scanned,
//! the narrowest dimension first.

use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::column::{Codes, Presence};
use super::{CubeRows, RowSet, Segment, SegmentView};
use crate::limits::{POSTED_MEMBERS_MAX, SMALL_SEGMENT_ROWS};

/// Postings are read where they leave fewer than one row of so many.
const POSTED_ROWS_SHARE: usize = 8;
/// A bit a member is kept for this many words more than there are members wanted.
const FLAG_WORDS_FREE: u64 = 1_024;

/// The members wanted of each dimension, by its position in the cube.
#[derive(Debug)]
pub struct Selector<'a> {
    wanted: Vec<Option<Wanted<'a>>>,
}

impl<'a> Selector<'a> {
    /// The members in the filters; no filter wants all members.
    pub fn new(filters: &'a [Option<RoaringBitmap>]) -> Self {
        let wanted = |filter: &'a Option<RoaringBitmap>| filter.as_ref().map(Wanted::new);
        Self { wanted: filters.iter().map(wanted).collect() }
    }

    /// What must be checked of a segment's rows, the narrowest first; none where the zones show that
    /// no row is wanted.
    fn checks(&self, segment: &Segment) -> Option<Vec<Check<'_>>> {
        let mut checks = Vec::new();
        for (position, wanted) in self.wanted.iter().enumerate() {
            let Some(wanted) = wanted else { continue };
            let (min, max) = segment.zones[position];
            let check = Check {
                position,
                wanted,
                members: wanted.members.range_cardinality(min.0..=max.0),
                span: u64::from(max.0 - min.0) + 1,
            };
            if check.members == 0 {
                return None;
            }
            if check.members < check.span {
                checks.push(check);
            }
        }
        checks.sort_by_key(Check::share);
        Some(checks)
    }
}

/// The members wanted of one dimension.
#[derive(Debug)]
struct Wanted<'a> {
    members: &'a RoaringBitmap,
    form: OnceLock<Form>,
}

/// How members are looked up.
#[derive(Debug)]
enum Form {
    One(u32),
    /// A bit a member, from the first one on.
    Flags {
        first: u32,
        words: Vec<u64>,
    },
    /// Few members far apart: in the bitmap itself.
    Bitmap,
}

impl<'a> Wanted<'a> {
    fn new(members: &'a RoaringBitmap) -> Self {
        Self { members, form: OnceLock::new() }
    }

    fn form(&self) -> &Form {
        self.form.get_or_init(|| {
            let (Some(first), Some(last)) = (self.members.min(), self.members.max()) else {
                return Form::Bitmap;
            };
            let word_count = u64::from(last - first) / 64 + 1;
            if first == last {
                Form::One(first)
            } else if word_count <= self.members.len() + FLAG_WORDS_FREE {
                let mut words = vec![0u64; word_count as usize];
                for member in self.members {
                    words[(member - first) as usize / 64] |= 1 << ((member - first) % 64);
                }
                Form::Flags { first, words }
            } else {
                Form::Bitmap
            }
        })
    }

    /// Takes the rows out of a set whose member is not wanted.
    fn retain(&self, codes: &Codes, rows: &mut Presence) {
        match self.form() {
            Form::One(member) => codes.retain(rows, |code| code == *member),
            Form::Flags { first, words } => {
                codes.retain(rows, |code| is_flagged(*first, words, code))
            }
            Form::Bitmap => codes.retain(rows, |code| self.members.contains(code)),
        }
    }

    /// Takes the rows out of a list whose member is not wanted.
    fn retain_listed(&self, codes: &Codes, rows: &mut Vec<u32>) {
        let member = |row: &u32| codes.get(*row as usize).0;
        match self.form() {
            Form::One(wanted) => rows.retain(|row| member(row) == *wanted),
            Form::Flags { first, words } => {
                rows.retain(|row| is_flagged(*first, words, member(row)))
            }
            Form::Bitmap => rows.retain(|row| self.members.contains(member(row))),
        }
    }
}

fn is_flagged(first: u32, words: &[u64], code: u32) -> bool {
    // a code below the first wraps around and lies past the words
    let place = code.wrapping_sub(first);
    words.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
}

/// One dimension of one segment whose rows are not all wanted.
struct Check<'a> {
    position: usize,
    wanted: &'a Wanted<'a>,
    /// Members wanted between the segment's smallest and largest.
    members: u64,
    /// Members between the segment's smallest and largest.
    span: u64,
}

impl Check<'_> {
    /// How many members are wanted of all there may be, in parts of 2^32.
    fn share(&self) -> u64 {
        (self.members << 32) / self.span
    }

    /// Whether postings promise few rows.
    fn is_selective(&self) -> bool {
        self.members <= POSTED_MEMBERS_MAX
            && self.members.saturating_mul(POSTED_ROWS_SHARE as u64) <= self.span
    }

    /// The rows of the wanted members by the postings; none where they are many.
    fn posted(&self, segment: &Segment) -> Option<Vec<u32>> {
        let (min, max) = segment.zones[self.position];
        let members = self.wanted.members.range(min.0..=max.0);
        let limit = segment.row_count() / POSTED_ROWS_SHARE;
        segment.postings(self.position).rows_of_all(members, limit)
    }
}

impl SegmentView {
    /// The rows that are alive and whose members are all wanted, in order.
    pub fn rows_with(&self, selector: &Selector<'_>) -> Vec<u32> {
        let Some(checks) = selector.checks(&self.segment) else { return Vec::new() };
        self.posted(&checks).unwrap_or_else(|| self.scanned(&checks))
    }

    /// The rows by the postings of the narrowest dimension; none where a scan is as cheap.
    fn posted(&self, checks: &[Check<'_>]) -> Option<Vec<u32>> {
        let segment = &self.segment;
        if segment.row_count() <= SMALL_SEGMENT_ROWS {
            return None;
        }
        let mut selective = checks.iter().filter(|check| check.is_selective());
        let (position, mut rows) =
            selective.find_map(|check| Some((check.position, check.posted(segment)?)))?;
        for check in checks.iter().filter(|check| check.position != position) {
            check.wanted.retain_listed(&segment.coordinates[check.position], &mut rows);
        }
        // a bitmap is slower to ask than codes: it is asked of what is left
        if !self.dead.is_empty() {
            rows.retain(|&row| !self.dead.contains(row));
        }
        Some(rows)
    }

    /// The same in sets of up to `limit` rows, runs where rows follow each other.
    fn row_sets_with(&self, selector: &Selector<'_>, limit: usize) -> Vec<RowSet> {
        let Some(checks) = selector.checks(&self.segment) else { return Vec::new() };
        if !checks.is_empty() {
            if let Some(rows) = self.posted(&checks) {
                return rows.chunks(limit).map(|rows| RowSet::of_list(rows.to_vec())).collect();
            }
            return self.marked(&checks).row_sets(limit);
        }
        let row_count = self.segment.row_count();
        let set = |start: usize| {
            let run = start as u32..row_count.min(start + limit) as u32;
            if self.dead.range_cardinality(run.clone()) == 0 {
                return RowSet::Run(run);
            }
            RowSet::of_list(run.filter(|&row| !self.dead.contains(row)).collect())
        };
        (0..row_count).step_by(limit).map(set).filter(|rows| !rows.is_empty()).collect()
    }

    fn scanned(&self, checks: &[Check<'_>]) -> Vec<u32> {
        self.marked(checks).rows()
    }

    /// The rows as a set of all rows.
    fn marked(&self, checks: &[Check<'_>]) -> Presence {
        let mut rows = Presence::all(self.segment.row_count());
        self.dead.iter().for_each(|row| rows.remove(row as usize));
        for check in checks {
            check.wanted.retain(&self.segment.coordinates[check.position], &mut rows);
        }
        rows
    }
}

impl CubeRows {
    /// The rows whose members are all in the filters, of which there is one a dimension; no filter
    /// wants all members. By place of the segment, segments without such rows left out, in the order
    /// of rows.
    pub fn rows_with(&self, filters: &[Option<RoaringBitmap>]) -> Vec<(usize, Vec<u32>)> {
        let selector = Selector::new(filters);
        let views = self.segments().iter().enumerate();
        views
            .map(|(place, view)| (place, view.rows_with(&selector)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect()
    }

    /// The same in sets of up to `limit` rows of one segment each, runs where rows follow each other.
    pub fn row_sets_with(
        &self,
        filters: &[Option<RoaringBitmap>],
        limit: usize,
    ) -> Vec<(usize, RowSet)> {
        let selector = Selector::new(filters);
        let views = self.segments().iter().enumerate();
        views
            .flat_map(|(place, view)| {
                view.row_sets_with(&selector, limit).into_iter().map(move |rows| (place, rows))
            })
            .collect()
    }
}
