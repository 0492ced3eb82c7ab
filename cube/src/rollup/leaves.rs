//! Measures of which along time one date counts: of each leaf, a coordinate without its date, the value at the last
//! date (or the first) among those of a group.
//!
//! Leaves have slots of an array wherever these are few for the rows: by the codes of their members where few
//! combinations are possible, else by the numbers that the cube gives its leaves. What is left is hashed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use foldhash::fast::FixedState;
use roaring::RoaringBitmap;

use super::accumulate::{Accumulator, RowCodes, overflow};
use super::group::{AxisTable, Code, GroupTables};
use super::{Parts, Request};
use crate::dimension::Dimension;
use crate::error::{CubeError, Result};
use crate::id::MemberId;
use crate::model::TimeSummary;
use crate::segment::{CubeRows, LeafNumbering, RowSet, Segment};
use crate::view::{Interrupt, View};

/// Slots are worth their room up to so many, and so many more for each row that is expected.
const SLOTS_FREE: u128 = 16_384;
const SLOTS_A_ROW: u128 = 2;
/// So many slots that may stay empty, as no leaf has these members, are worth their room.
const SLOTS_OF_MEMBERS_MAX: u128 = 1 << 22;
/// Leaves are numbered in cubes of so many rows, where at least one row of so many is expected.
const NUMBERED_ROWS_MIN: usize = 16_384;
const NUMBERED_SHARE: u128 = 8;

/// The rank of what is not kept: a blank, or a value that adds up along time. Those of others are above it.
pub(super) const NOT_KEPT: u32 = 0;
/// Ranks of last values are above, those of first ones below; dates are fewer.
const MIDDLE: u32 = 1 << 30;

const _: () = assert!(crate::limits::DIMENSION_MEMBERS_MAX < MIDDLE as usize);

/// The rank of a value among those of its leaf: the largest counts.
pub(super) fn rank(summary: TimeSummary, order: u32) -> u32 {
    match summary {
        TimeSummary::Sum => NOT_KEPT,
        TimeSummary::Last => MIDDLE + order,
        TimeSummary::First => MIDDLE - order,
    }
}

/// How rows of a request are told apart by leaf, and by the groups that a leaf's dates are in.
pub(super) struct LeafTable {
    /// Position of the dimension of dates.
    pub position: usize,
    /// Per member of it.
    dates: Vec<Date>,
    /// Parts of time are below it.
    part_count: u128,
    /// Leaves are below it, in whichever way they are coded.
    leaf_count: u128,
    by: By,
}

/// What is known of a date.
struct Date {
    /// Its place in time.
    order: u32,
    /// Which of the parts of time it is in that groups tell apart.
    part: u32,
}

/// How leaves are coded.
enum By {
    /// Members, a slot for each combination.
    Members(Vec<Span>, usize),
    /// Numbers, a slot for each.
    Numbers(Arc<LeafNumbering>, usize),
    /// Members, slots for those seen.
    Hash(Vec<Span>),
}

/// The members of a dimension that wanted rows may have.
struct Span {
    position: usize,
    low: u32,
    count: u32,
    /// What a member is multiplied by in the combined code.
    stride: u128,
}

/// The leaves of some rows.
pub(super) struct LeafRows {
    codes: RowCodes,
    /// Per row, the place of its date in time.
    pub orders: Vec<u32>,
}

impl LeafTable {
    /// The table of a request for measures whose dates are at a position.
    pub fn new(
        view: &View,
        request: &Request<'_>,
        parts: &Parts<'_>,
        groups: &GroupTables,
        position: usize,
    ) -> Result<Self> {
        let rows = view.version.rows(request.cube);
        let levels = &view.version.model.cube_def(request.cube).levels;
        let (mut spans, mut expected) = (Vec::new(), rows.row_count() as u128);
        for (at, (dimension, filter)) in parts.dimensions.iter().zip(&parts.filters).enumerate() {
            let zone = zone(rows, at);
            let span = Span::new(at, &zone, filter.as_ref());
            if let Some(wanted) = filter {
                let possible = dimension.facts_at(levels[at]).range_cardinality(zone);
                let wanted = wanted.range_cardinality(span.members());
                expected = expected * u128::from(wanted) / u128::from(possible.max(1));
            }
            spans.push(span);
        }
        // rights name members that hold no facts too
        let expected = expected.min(rows.row_count() as u128);
        let time = spans.remove(position);
        let filter = parts.filters[position].as_ref();
        let (dates, part_count) = dates(parts.dimensions[position], groups, &time, filter);
        let leaf_count = set_strides(&mut spans)?;
        let by = By::Hash(spans);
        let mut table = Self { position, dates, part_count, leaf_count, by };
        table.give_slots(rows, expected, &view.interrupt)?;
        Ok(table)
    }

    /// Codes leaves so that each may have a slot, where these are few for the rows that are expected.
    fn give_slots(&mut self, rows: &CubeRows, expected: u128, interrupt: &Interrupt) -> Result<()> {
        let slots_max = (SLOTS_A_ROW * expected + SLOTS_FREE).min(u32::MAX.into());
        let all = self.leaf_count.checked_mul(self.part_count).ok_or_else(too_many)?;
        if let By::Hash(spans) = &mut self.by
            && all <= slots_max.min(SLOTS_OF_MEMBERS_MAX)
        {
            self.by = By::Members(std::mem::take(spans), all as usize);
            return Ok(());
        }
        let is_numbered = rows.row_count() >= NUMBERED_ROWS_MIN
            && expected * NUMBERED_SHARE >= rows.row_count() as u128;
        if !is_numbered {
            return Ok(());
        }
        let Some((numbering, count)) = rows.leaf_numbers(self.position, interrupt)? else {
            return Ok(());
        };
        let slots = count as u128 * self.part_count;
        if slots <= slots_max {
            self.leaf_count = count as u128;
            self.by = By::Numbers(numbering, slots as usize);
        }
        Ok(())
    }

    /// Slots that there are from the start.
    fn slot_count(&self) -> usize {
        match &self.by {
            By::Members(_, slots) | By::Numbers(_, slots) => *slots,
            By::Hash(_) => 0,
        }
    }

    /// Memory that one output's leaves take from the start.
    pub fn size_bytes(&self) -> u64 {
        self.slot_count() as u64 * size_of::<Slot>() as u64
    }

    /// The leaves of some rows of a segment.
    pub fn of_rows(&self, segment: &Segment, rows: &RowSet) -> LeafRows {
        let codes = match &self.by {
            By::Members(spans, _) => RowCodes::Narrow(self.coded(spans, segment, rows)),
            By::Hash(spans) => RowCodes::Wide(self.coded(spans, segment, rows)),
            By::Numbers(numbering, _) => {
                let column = segment.leaf_column(numbering);
                let numbers = column.gathered(rows, |number| number as u32);
                RowCodes::Narrow(self.in_parts(numbers, segment, rows))
            }
        };
        let dates = &segment.coordinates[self.position];
        LeafRows { codes, orders: dates.gathered(rows, |date| self.dates[date.idx()].order) }
    }

    /// The combined code of each row's members.
    fn coded<C: Code>(&self, spans: &[Span], segment: &Segment, rows: &RowSet) -> Vec<C> {
        let mut codes = vec![C::default(); rows.len()];
        for span in spans.iter().filter(|span| span.count > 1) {
            let stride = C::of(span.stride);
            let column = &segment.coordinates[span.position];
            column.visit(rows, |at, member| codes[at].add(stride, member.0 - span.low));
        }
        self.in_parts(codes, segment, rows)
    }

    /// Codes of leaves with the part of time of each row.
    fn in_parts<C: Code>(&self, mut codes: Vec<C>, segment: &Segment, rows: &RowSet) -> Vec<C> {
        if self.part_count > 1 {
            let stride = C::of(self.leaf_count);
            let column = &segment.coordinates[self.position];
            column.visit(rows, |at, date| codes[at].add(stride, self.dates[date.idx()].part));
        }
        codes
    }
}

impl Span {
    fn new(position: usize, zone: &RangeInclusive<u32>, filter: Option<&RoaringBitmap>) -> Self {
        let (mut low, mut high) = (*zone.start(), *zone.end());
        if let Some(wanted) = filter {
            low = wanted.range(low..=high).next().unwrap_or(low);
            // no row has any of them where there is none
            high = wanted.range(low..=high).next_back().unwrap_or(low);
        }
        Self { position, low, count: (high - low).saturating_add(1), stride: 1 }
    }

    fn members(&self) -> RangeInclusive<u32> {
        self.low..=self.low + (self.count - 1)
    }
}

/// The smallest and the largest member that rows have of a dimension.
fn zone(rows: &CubeRows, position: usize) -> RangeInclusive<u32> {
    let zones = rows.segments().iter().map(|view| view.segment.zones[position]);
    let ends = zones.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    ends.map_or(0..=0, |(min, max)| min.0..=max.0)
}

/// Gives each dimension its stride; says how many combinations there may be.
fn set_strides(spans: &mut [Span]) -> Result<u128> {
    let mut count = 1u128;
    for span in spans.iter_mut().rev() {
        span.stride = count;
        count = count.checked_mul(span.count.into()).ok_or_else(too_many)?;
    }
    Ok(count)
}

fn too_many() -> CubeError {
    CubeError::Memory("the dimensions beside time have more combinations than 2^128".into())
}

/// What is known of each date, and the number of parts.
fn dates(
    time: &Dimension,
    groups: &GroupTables,
    span: &Span,
    filter: Option<&RoaringBitmap>,
) -> (Vec<Date>, u128) {
    let axes = groups.axes.iter().filter(|axis| axis.is_of(span.position));
    let axes: Vec<&AxisTable> = axes.collect();
    let members = span.members();
    let is_wanted = |member: MemberId| {
        members.contains(&member.0) && filter.is_none_or(|wanted| wanted.contains(member.0))
    };
    let mut parts: HashMap<u128, u32, FixedState> = HashMap::default();
    let mut part = |member: MemberId| {
        if axes.is_empty() || !is_wanted(member) {
            return 0;
        }
        let next = parts.len() as u32;
        *parts.entry(axes.iter().map(|axis| axis.combined(member)).sum()).or_insert(next)
    };
    let date = |member: MemberId| Date { order: time.order(member), part: part(member) };
    let dates = time.members().map(date).collect();
    (dates, parts.len().max(1) as u128)
}

/// The values of leaves that count so far.
#[derive(Debug)]
pub(super) struct Leaves {
    slots: Vec<Slot>,
    /// Per slot what its value counts for, the same for all dates; empty where each counts as it is.
    weights: Vec<i128>,
    /// The slots of the codes seen; none where each code has its own.
    places: Option<HashMap<u128, u32, FixedState>>,
}

/// The value of one leaf at the date that counts, among those of one group.
#[derive(Debug, Clone, Copy)]
struct Slot {
    value: i64,
    /// [`NOT_KEPT`] where there is none yet.
    rank: u32,
    group: u32,
}

const EMPTY: Slot = Slot { value: 0, rank: NOT_KEPT, group: 0 };

impl Slot {
    /// Keeps the value that counts; says whether there was none.
    #[inline(always)]
    fn replace(&mut self, new: Self) -> bool {
        let is_first = self.rank == NOT_KEPT;
        let counts = new.rank > self.rank;
        if counts {
            *self = new;
        }
        counts && is_first
    }
}

impl Leaves {
    /// None seen yet.
    pub fn new(table: &LeafTable) -> Self {
        let places = matches!(table.by, By::Hash(_)).then(HashMap::default);
        Self { slots: vec![EMPTY; table.slot_count()], weights: Vec::new(), places }
    }

    /// Takes in values of rows, each with its rank and group. Returns the slots that were empty with the place of the
    /// row that each was filled with first.
    pub fn take(
        &mut self,
        leaves: &LeafRows,
        values: &[i64],
        ranks: &[u32],
        groups: &[u32],
    ) -> Vec<(u32, u32)> {
        let mut filled = Vec::new();
        let rows = ranks.iter().zip(groups).zip(values).enumerate();
        let rows = rows.map(|(at, ((&rank, &group), &value))| (at, Slot { value, rank, group }));
        let slots = &mut self.slots;
        match (&leaves.codes, &mut self.places) {
            (RowCodes::Narrow(codes), None) => rows.zip(codes).for_each(|((at, new), &place)| {
                if slots[place as usize].replace(new) {
                    filled.push((place, at as u32));
                }
            }),
            (RowCodes::Wide(codes), Some(places)) => {
                let mut last = None;
                let rows = rows.zip(codes).filter(|((_, new), _)| new.rank != NOT_KEPT);
                rows.for_each(|((at, new), &code)| {
                    let place = match last {
                        Some((same, place)) if same == code => place,
                        _ => place_of(places, slots, code),
                    };
                    last = Some((code, place));
                    if slots[place as usize].replace(new) {
                        filled.push((place, at as u32));
                    }
                });
            }
            _ => unreachable!("rows are coded as the leaves are kept"),
        }
        filled
    }

    /// Sets what the values of some slots count for.
    pub fn weigh(&mut self, weights: impl Iterator<Item = (u32, i128)>) {
        self.weights.resize(self.slots.len(), 0);
        weights.for_each(|(place, weight)| self.weights[place as usize] = weight);
    }

    /// Takes in what another partial result has, whose groups are other ones here.
    pub fn merge(&mut self, other: Self, group_of: impl Fn(u32) -> u32) {
        if !other.weights.is_empty() {
            self.weights.resize(self.slots.len(), 0);
        }
        let Self { slots, weights, places } = self;
        let mut keep = |from: usize, to: usize, slots: &mut Vec<Slot>| {
            let slot = other.slots[from];
            if slot.rank > slots[to].rank {
                slots[to] = Slot { group: group_of(slot.group), ..slot };
                if let Some(weight) = other.weights.get(from) {
                    weights.resize(slots.len(), 0);
                    weights[to] = *weight;
                }
            }
        };
        match (places, &other.places) {
            (Some(places), Some(others)) => others.iter().for_each(|(&code, &from)| {
                let to = place_of(places, slots, code) as usize;
                keep(from as usize, to, slots);
            }),
            _ => (0..other.slots.len()).for_each(|place| keep(place, place, slots)),
        }
    }

    /// Adds the values to the sums of their groups; what counts for nothing is not there.
    pub fn add_to(&self, sums: &mut [i128], counts: &mut [u64]) -> Result<()> {
        for (place, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.rank != NOT_KEPT)
        {
            let weight = self.weights.get(place).copied().unwrap_or(1);
            if weight != 0 {
                let value = weight.checked_mul(slot.value.into()).ok_or_else(overflow)?;
                Accumulator::add(sums, counts, slot.group as usize, value)?;
            }
        }
        Ok(())
    }

    /// Memory in use, roughly.
    pub fn size_bytes(&self) -> usize {
        let places = self.places.as_ref().map_or(0, |places| places.len() * 40);
        size_of_val(&*self.slots) + size_of_val(&*self.weights) + places
    }
}

/// The slot of a code, a new one where it is seen first.
fn place_of(places: &mut HashMap<u128, u32, FixedState>, slots: &mut Vec<Slot>, code: u128) -> u32 {
    *places.entry(code).or_insert_with(|| {
        slots.push(EMPTY);
        (slots.len() - 1) as u32
    })
}
