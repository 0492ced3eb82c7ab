//! Selection: the rows of a segment whose members are all wanted, found the cheapest way.
//!
//! Zones skip a segment as a whole. Members that follow each other are a range of codes; others that
//! are whole groups of a level are looked for in its level column. Where one dimension wants few
//! single members, the rows of these are read from its postings and only they are checked further.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use roaring::RoaringBitmap;

use super::column::{Codes, Presence};
use super::ints::Ints;
use super::{CubeRows, RowSet, Segment, SegmentView, Values};
use crate::dimension::LevelGroups;
use crate::id::{MeasureId, MemberId};
use crate::limits::{POSTED_MEMBERS_MAX, SMALL_SEGMENT_ROWS};

/// Postings are read where they leave fewer than one row of so many.
const POSTED_ROWS_SHARE: usize = 8;
/// Up to so many runs of groups are compared, each by itself; more are looked up.
const COMPARED_RUNS_MAX: usize = 4;
/// A bit a member is kept for this many words more than there are members wanted.
const FLAG_WORDS_FREE: u64 = 1_024;

/// Which rows are wanted: those that meet all of it.
#[derive(Debug, Default)]
pub struct Selector<'a> {
    wanted: Vec<Wanted<'a>>,
    ranges: Vec<ValueRange>,
}

/// Values of a measure that are wanted; blank is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRange {
    /// The measure.
    pub measure: MeasureId,
    /// The smallest wanted.
    pub low: i64,
    /// The largest wanted.
    pub high: i64,
}

impl<'a> Selector<'a> {
    /// The members in the filters, one a dimension; no filter wants all members.
    pub fn new(filters: &'a [Option<RoaringBitmap>]) -> Self {
        let filters = filters.iter().enumerate();
        let wanted = filters
            .filter_map(|(at, members)| Some(Wanted::new(at, Cow::Borrowed(members.as_ref()?))));
        Self { wanted: wanted.collect(), ranges: Vec::new() }
    }

    /// What members and values have to meet.
    pub(crate) fn of(wanted: Vec<Wanted<'a>>, ranges: Vec<ValueRange>) -> Self {
        Self { wanted, ranges }
    }

    /// What must be checked of a segment's rows, the cheapest first; none where it shows at once that
    /// no row is wanted.
    fn checks<'s>(&'s self, segment: &'s Segment) -> Option<Vec<Check<'s>>> {
        let mut checks = Vec::new();
        for wanted in &self.wanted {
            match wanted.check(segment) {
                Found::Nothing => return None,
                Found::All => {}
                Found::Some(check) => checks.push(check),
            }
        }
        for range in &self.ranges {
            let values = segment.values.get(range.measure.idx())?;
            let (min, max) = values.ints().bounds();
            let is_all = range.low <= min && max <= range.high;
            if range.low > max || range.high < min || range.low > range.high {
                return None;
            }
            if !is_all || values.presence().is_some() {
                let (low, high) = (range.low, range.high);
                checks.push(Check::Values { values, low, high });
            }
        }
        checks.sort_by_key(Check::cost);
        Some(checks)
    }
}

/// The members wanted of one dimension.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// Position of the dimension in the cube.
    position: usize,
    members: Cow<'a, RoaringBitmap>,
    /// The members that rows may name, where that is known.
    facts: Option<Arc<RoaringBitmap>>,
    /// Groups whose members are wanted all or none.
    groups: Option<Arc<LevelGroups>>,
    wanted_groups: OnceLock<WantedGroups>,
    form: OnceLock<Form>,
}

/// Which groups are wanted.
#[derive(Debug)]
struct WantedGroups {
    /// Per group, 1 where it is wanted.
    flags: Vec<u8>,
    /// The first and the last of those that follow each other.
    runs: Vec<(i64, i64)>,
}

/// How members are looked up.
#[derive(Debug)]
enum Form {
    /// A bit a member, from the first one on.
    Flags { first: u32, words: Vec<u64> },
    /// Few members far apart: in the bitmap itself.
    Bitmap,
}

/// What is to be checked of one dimension of a segment.
enum Found<'a> {
    Nothing,
    All,
    Some(Check<'a>),
}

impl<'a> Wanted<'a> {
    /// Members of the dimension at a position.
    pub fn new(position: usize, members: Cow<'a, RoaringBitmap>) -> Self {
        Self {
            position,
            members,
            facts: None,
            groups: None,
            wanted_groups: OnceLock::new(),
            form: OnceLock::new(),
        }
    }

    /// Members of a dimension of whose members rows name some, told apart by groups perhaps.
    pub fn of_dimension(
        position: usize,
        members: Cow<'a, RoaringBitmap>,
        facts: Arc<RoaringBitmap>,
        groups: Option<Arc<LevelGroups>>,
    ) -> Self {
        Self { facts: Some(facts), groups, ..Self::new(position, members) }
    }

    fn check<'s>(&'s self, segment: &'s Segment) -> Found<'s> {
        let (min, max) = segment.zones[self.position];
        let within = self.members.range_cardinality(min.0..=max.0);
        let codes = &segment.coordinates[self.position];
        let (Some(first), Some(last)) = (
            self.members.range(min.0..=max.0).next(),
            self.members.range(min.0..=max.0).next_back(),
        ) else {
            return Found::Nothing;
        };
        let possible = |first: u32, last: u32| match &self.facts {
            Some(facts) => facts.range_cardinality(first..=last),
            None => u64::from(last - first) + 1,
        };
        if within == possible(first, last) {
            if within == possible(min.0, max.0) {
                return Found::All;
            }
            let (low, high) = (first.into(), last.into());
            return Found::Some(match self.is_selective(within, possible(min.0, max.0)) {
                true => Check::Members { wanted: self, codes, within, range: Some((low, high)) },
                false => Check::Range { ints: codes.ints(), low, high },
            });
        }
        if let Some(groups) = &self.groups
            && segment.row_count() > SMALL_SEGMENT_ROWS
        {
            let column = segment.level_column(self.position, groups);
            return Found::Some(Check::Groups { wanted: self.wanted_groups(groups), column });
        }
        Found::Some(Check::Members { wanted: self, codes, within, range: None })
    }

    /// Whether postings promise few rows: so many members wanted of so many that there may be.
    fn is_selective(&self, within: u64, possible: u64) -> bool {
        within <= POSTED_MEMBERS_MAX && within.saturating_mul(POSTED_ROWS_SHARE as u64) <= possible
    }

    fn wanted_groups(&self, groups: &LevelGroups) -> &WantedGroups {
        self.wanted_groups.get_or_init(|| {
            let is_wanted = |first: &MemberId| u8::from(self.members.contains(first.0));
            let flags: Vec<u8> = groups.first.iter().map(is_wanted).collect();
            let mut runs: Vec<(i64, i64)> = Vec::new();
            for (group, _) in (0..).zip(&flags).filter(|(_, wanted)| **wanted == 1) {
                match runs.last_mut() {
                    Some((_, last)) if *last + 1 == group => *last = group,
                    _ => runs.push((group, group)),
                }
            }
            WantedGroups { flags, runs }
        })
    }

    fn form(&self) -> &Form {
        self.form.get_or_init(|| {
            let (Some(first), Some(last)) = (self.members.min(), self.members.max()) else {
                return Form::Bitmap;
            };
            let word_count = u64::from(last - first) / 64 + 1;
            if word_count <= self.members.len() + FLAG_WORDS_FREE {
                let mut words = vec![0u64; word_count as usize];
                for member in self.members.as_ref() {
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
            Form::Flags { first, words } => {
                codes.ints().keep(rows, |code| is_flagged(*first, words, code as u32));
            }
            Form::Bitmap => codes.ints().keep(rows, |code| self.members.contains(code as u32)),
        }
    }
}

fn is_flagged(first: u32, words: &[u64], code: u32) -> bool {
    // a code below the first wraps around and lies past the words
    let place = code.wrapping_sub(first);
    words.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
}

/// What not all rows of a segment meet.
enum Check<'a> {
    /// A code from `low` to `high`.
    Range { ints: &'a Ints, low: i64, high: i64 },
    /// A value from `low` to `high`.
    Values { values: &'a Values, low: i64, high: i64 },
    /// A group that is wanted.
    Groups { wanted: &'a WantedGroups, column: Arc<Ints> },
    /// A member that is wanted, of which there are `within` among the segment's; those from the
    /// first to the last of a range where there is one.
    Members { wanted: &'a Wanted<'a>, codes: &'a Codes, within: u64, range: Option<(i64, i64)> },
}

impl Check<'_> {
    /// Its place among others: what compares many rows at a time comes first.
    fn cost(&self) -> u64 {
        match self {
            Self::Range { ints, .. } => ints.row_bytes(),
            Self::Values { values, .. } => values.ints().row_bytes(),
            Self::Groups { wanted, column } if wanted.runs.len() <= COMPARED_RUNS_MAX => {
                column.row_bytes() * wanted.runs.len() as u64
            }
            Self::Groups { column, .. } => column.row_bytes() * COMPARED_RUNS_MAX as u64,
            Self::Members { range: Some(_), codes, .. } => codes.ints().row_bytes(),
            Self::Members { within, .. } => 16 + within,
        }
    }

    /// Takes the rows out of a set that do not meet it.
    fn retain(&self, rows: &mut Presence) {
        match self {
            Self::Range { ints, low, high } => ints.keep_range(rows, *low, *high),
            Self::Values { values, low, high } => {
                values.ints().keep_range(rows, *low, *high);
                if let Some(presence) = values.presence() {
                    rows.keep(presence);
                }
            }
            Self::Groups { wanted, column } => match wanted.runs.len() {
                ..=COMPARED_RUNS_MAX => column.keep_ranges(rows, &wanted.runs),
                _ => column.keep_table(rows, &wanted.flags),
            },
            Self::Members { codes, range: Some((low, high)), .. } => {
                codes.ints().keep_range(rows, *low, *high);
            }
            Self::Members { wanted, codes, .. } => wanted.retain(codes, rows),
        }
    }

    /// Takes the rows out of a list that do not meet it.
    fn retain_listed(&self, rows: &mut Vec<u32>) {
        match self {
            Self::Range { ints, low, high } => {
                ints.retain_listed(rows, |code| (*low..=*high).contains(&code));
            }
            Self::Values { values, low, high } => {
                values.ints().retain_listed(rows, |value| (*low..=*high).contains(&value));
                if let Some(presence) = values.presence() {
                    rows.retain(|&row| presence.contains(row as usize));
                }
            }
            Self::Groups { wanted, column } => {
                column.retain_listed(rows, |group| wanted.flags[group as usize] == 1);
            }
            Self::Members { codes, range: Some((low, high)), .. } => {
                codes.ints().retain_listed(rows, |code| (*low..=*high).contains(&code));
            }
            Self::Members { wanted, codes, .. } => match wanted.form() {
                Form::Flags { first, words } => {
                    codes.ints().retain_listed(rows, |code| is_flagged(*first, words, code as u32))
                }
                Form::Bitmap => {
                    codes.ints().retain_listed(rows, |code| wanted.members.contains(code as u32))
                }
            },
        }
    }

    /// The rows of the wanted members by the postings; none where they are many or no members are
    /// checked.
    fn posted(&self, segment: &Segment) -> Option<Vec<u32>> {
        let Self::Members { wanted, within, .. } = self else { return None };
        let (min, max) = segment.zones[wanted.position];
        if !wanted.is_selective(*within, u64::from(max.0 - min.0) + 1) {
            return None;
        }
        let members = wanted.members.range(min.0..=max.0);
        let limit = segment.row_count() / POSTED_ROWS_SHARE;
        segment.postings(wanted.position).rows_of_all(members, limit)
    }
}

impl SegmentView {
    /// The rows that are alive and whose members are all wanted, in order.
    pub fn rows_with(&self, selector: &Selector<'_>) -> Vec<u32> {
        let Some(checks) = selector.checks(&self.segment) else { return Vec::new() };
        self.posted(&checks).unwrap_or_else(|| self.marked(&checks).rows())
    }

    /// The rows by postings; none where a scan is as cheap.
    fn posted(&self, checks: &[Check<'_>]) -> Option<Vec<u32>> {
        let segment = &self.segment;
        if segment.row_count() <= SMALL_SEGMENT_ROWS {
            return None;
        }
        let mut each = checks.iter().enumerate();
        let (posted, mut rows) = each.find_map(|(at, check)| Some((at, check.posted(segment)?)))?;
        for (_, check) in checks.iter().enumerate().filter(|(at, _)| *at != posted) {
            check.retain_listed(&mut rows);
        }
        // a bitmap is slower to ask than codes: it is asked of what is left
        if !self.dead.is_empty() {
            rows.retain(|&row| !self.dead.contains(row));
        }
        Some(rows)
    }

    /// The same in sets of up to `limit` rows, runs where rows follow each other.
    pub(crate) fn row_sets_with(&self, selector: &Selector<'_>, limit: usize) -> Vec<RowSet> {
        let Some(checks) = selector.checks(&self.segment) else { return Vec::new() };
        let row_count = self.segment.row_count();
        if checks.is_empty() && self.dead.is_empty() {
            let run = |start: usize| RowSet::Run(start as u32..row_count.min(start + limit) as u32);
            return (0..row_count).step_by(limit).map(run).collect();
        }
        match self.posted(&checks) {
            Some(rows) => rows.chunks(limit).map(|rows| RowSet::of_list(rows.to_vec())).collect(),
            None => self.marked(&checks).row_sets(limit),
        }
    }

    /// The rows as a set of all rows.
    fn marked(&self, checks: &[Check<'_>]) -> Presence {
        let mut rows = Presence::all(self.segment.row_count());
        self.dead.iter().for_each(|row| rows.remove(row as usize));
        checks.iter().for_each(|check| check.retain(&mut rows));
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
