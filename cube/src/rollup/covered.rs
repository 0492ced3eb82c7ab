//! Rollups that an aggregate answers: its groups are added up in place of rows.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::FixedState;
use roaring::RoaringBitmap;

use super::accumulate::{Accumulator, Groups, Partial, overflow};
use super::collect::Collection;
use super::group::GroupTables;
use super::{Arithmetic, Axis, DimensionWeights, Grain, Output, OutputKind, OutputPlan, Request};
use crate::aggregate::{
    Aggregate, CELL_ROWS, CHUNK_CELLS, Cells, Chunk, Delta, Key, Layout, LayoutAxis, Places,
    ROWS_MIN, Shape,
};
use crate::dimension::{Dimension, LevelGroups};
use crate::error::Result;
use crate::id::MemberId;
use crate::model::Cube;
use crate::segment::{Ints, RowSet};
use crate::value::ValueType;
use crate::view::View;

/// The part of a measure's values that a range is taken to want.
const RANGE_PART: f32 = 0.3;

/// A rollup as aggregates see it.
pub(super) struct Question<'a> {
    pub view: &'a View,
    pub request: &'a Request<'a>,
    pub dimensions: &'a [&'a Dimension],
    /// Per dimension, the members that filters and rights leave.
    pub filters: &'a [Option<RoaringBitmap>],
    pub weights: &'a [DimensionWeights<'a>],
    shape: Shape,
    /// The groups that are wanted of levels, once they were looked for; none where a level does not
    /// tell them apart.
    wanted_groups: RefCell<BTreeMap<Key, Option<Rc<Vec<u32>>>>>,
}

/// An aggregate that answers a question, in the version that is read.
pub(super) struct Answer {
    pub aggregate: Arc<Aggregate>,
    layout: Layout,
    delta: Arc<Delta>,
    /// Cells of the aggregate that are read.
    wanted: u64,
}

impl<'a> Question<'a> {
    /// The question of a request; none where no aggregate can answer it.
    pub fn new(
        view: &'a View,
        request: &'a Request<'a>,
        dimensions: &'a [&'a Dimension],
        filters: &'a [Option<RoaringBitmap>],
        weights: &'a [DimensionWeights<'a>],
        kinds: impl Iterator<Item = &'a OutputKind>,
    ) -> Option<Self> {
        if !view.uses_aggregates || request.selection.is_some() {
            return None;
        }
        let rows = view.version.rows(request.cube);
        if rows.aggregates().is_empty() && rows.row_count() < ROWS_MIN {
            return None;
        }
        let shape = Shape::default();
        let wanted_groups = RefCell::default();
        let mut question =
            Self { view, request, dimensions, filters, weights, shape, wanted_groups };
        let mut is_weighted = false;
        for (output, kind) in request.outputs.iter().zip(kinds) {
            is_weighted |= matches!(kind, OutputKind::WeightedSum);
            let term = question.term(output, kind)?;
            question.shape.terms.extend(term);
        }
        question.shape.terms.sort_unstable();
        question.shape.terms.dedup();
        for key in question.keys(is_weighted) {
            question.shape = question.shape.union(&Shape { keys: vec![key], terms: Vec::new() });
        }
        Some(question)
    }

    fn cube(&self) -> &Cube {
        self.view.version.model.cube_def(self.request.cube)
    }

    /// What an output adds up, beside rows; none where an aggregate cannot.
    fn term(&self, output: &Output, kind: &OutputKind) -> Option<Option<Arithmetic>> {
        let measure = match (kind, output) {
            (OutputKind::CountRows, _) => return Some(None),
            (OutputKind::Computed(_), Output::SumOf(at)) => {
                return Some(Some(self.request.computed[*at].clone()));
            }
            (
                OutputKind::Sum | OutputKind::WeightedSum | OutputKind::Average | OutputKind::Count,
                Output::Consolidated(measure) | Output::Sum(measure) | Output::Count(measure),
            ) => *measure,
            _ => return None,
        };
        let is_text = self.cube().measure_def(measure).value_type == ValueType::Text;
        (!is_text).then_some(Some(Arithmetic::Measure(measure)))
    }

    /// By what rows must be told apart.
    fn keys(&self, is_weighted: bool) -> Vec<Key> {
        let at_level = |position, level: Option<_>| match level {
            Some((hierarchy, level)) => Key::Level(position, hierarchy, level),
            None => Key::Members(position),
        };
        let axes = self.request.axes.iter().map(|axis| match axis.grain {
            Grain::Level(hierarchy, level) => Key::Level(axis.position, hierarchy, level),
            Grain::Free | Grain::Leaf => Key::Members(axis.position),
        });
        let filters = self.request.filters.iter();
        let filters = filters.map(|filter| at_level(filter.position, filter.level));
        let weighted = self.weights.iter().filter(|_| is_weighted);
        let weighted = weighted.map(|weights| Key::Members(weights.position));
        let rights = (0..self.dimensions.len()).filter_map(|position| self.rights_key(position));
        let ranges = self.request.ranges.iter().map(|range| Key::Values(range.measure));
        axes.chain(filters).chain(weighted).chain(rights).chain(ranges).collect()
    }

    /// The highest level of the default hierarchy at which the reader's rights can be told.
    fn rights_key(&self, position: usize) -> Option<Key> {
        let (cube, dimension) = (self.cube(), self.dimensions[position]);
        let allowed = self.view.allowed(cube.dimensions[position])?;
        let facts = cube.levels[position];
        let hierarchy = dimension.def.default_hierarchy(facts);
        let at_level = hierarchy.and_then(|hierarchy| {
            let mut levels = 0..dimension.shape(hierarchy).ancestors.len();
            let groups = |level: &usize| dimension.groups(facts, hierarchy, *level);
            let level = levels.find(|level| is_of_whole_groups(allowed, &groups(level)))?;
            Some(Key::Level(position, hierarchy, level))
        });
        Some(at_level.unwrap_or(Key::Members(position)))
    }

    /// The aggregate that answers with the least work; none where a scan is as good. The question is
    /// remembered.
    pub fn answer(&self) -> Option<Answer> {
        let rows = self.view.version.rows(self.request.cube);
        let answer = self.best();
        let scanned = answer.is_none().then(|| rows.row_count());
        rows.aggregates().see(&self.shape, &self.parts(), scanned);
        answer
    }

    /// The same without remembering it.
    pub fn best(&self) -> Option<Answer> {
        let rows = self.view.version.rows(self.request.cube);
        let (aggregates, row_count) = (rows.aggregates(), rows.row_count());
        let (version, cube) = (&self.view.version, self.request.cube);
        let mut candidates = Vec::new();
        for aggregate in aggregates.covering(&self.shape) {
            // which groups are wanted is a matter of this version's members, not of the base's
            let Some(layout) = aggregate.layout.at(version, cube) else {
                aggregates.fall_due();
                continue;
            };
            let Some(wanted) = self.cell_count(&aggregate.shape, &layout) else { continue };
            if wanted * CELL_ROWS <= row_count as u64 || row_count < ROWS_MIN {
                candidates.push((wanted, aggregate, layout));
            }
        }
        candidates.sort_by_key(|(wanted, ..)| *wanted);
        candidates.into_iter().find_map(|(wanted, aggregate, layout)| {
            let delta = aggregate.delta(&layout, &version.cubes[cube.idx()]);
            if delta.as_ref().is_none_or(|delta| delta.is_large(&layout)) {
                aggregates.fall_due();
            }
            Some(Answer { aggregate, layout, delta: delta?, wanted })
        })
    }

    /// Per key, the part of its groups that is wanted.
    fn parts(&self) -> Vec<f32> {
        let cube = self.cube();
        let part = |key: &Key| match *key {
            Key::Values(_) => RANGE_PART,
            Key::Members(position) => self.filters[position].as_ref().map_or(1.0, |filter| {
                filter.len() as f32 / self.facts(position).len().max(1) as f32
            }),
            Key::Level(position, hierarchy, level) => {
                let groups =
                    self.dimensions[position].groups(cube.levels[position], hierarchy, level);
                let wanted = self.groups(*key, position, &groups);
                wanted.map_or(1.0, |wanted| wanted.len() as f32 / groups.len().max(1) as f32)
            }
        };
        self.shape.keys.iter().map(part).collect()
    }

    /// How many cells have to be read.
    fn cell_count(&self, shape: &Shape, layout: &Layout) -> Option<u64> {
        let counts = shape.keys.iter().zip(&layout.axes).map(|(key, axis)| match &axis.places {
            Places::Members(position) => Some(match &self.filters[*position] {
                Some(filter) => filter.len(),
                None => self.facts(*position).len(),
            }),
            _ => Some(self.places(*key, axis)?.len() as u64),
        });
        counts.collect::<Option<Vec<u64>>>().map(|counts| counts.into_iter().product())
    }

    /// The wanted ones of the groups of a level.
    fn groups(&self, key: Key, position: usize, groups: &LevelGroups) -> Option<Rc<Vec<u32>>> {
        let mut known = self.wanted_groups.borrow_mut();
        let find = || {
            let named = (0..).zip(&groups.first).filter(|(_, first)| **first != MemberId::NONE);
            let Some(filter) = &self.filters[position] else {
                return Some(Rc::new(named.map(|(group, _)| group).collect()));
            };
            let wanted = named.filter(|(_, first)| filter.contains(first.0));
            let is_told_apart = self.is_told_apart(position, filter, groups);
            is_told_apart.then(|| Rc::new(wanted.map(|(group, _)| group).collect()))
        };
        known.entry(key).or_insert_with(find).clone()
    }

    fn facts(&self, position: usize) -> &RoaringBitmap {
        self.dimensions[position].facts_at(self.cube().levels[position])
    }

    /// The places that are wanted of an axis, ascending; none where it does not tell them apart.
    fn places(&self, key: Key, axis: &LayoutAxis) -> Option<Rc<Vec<u32>>> {
        match &axis.places {
            Places::Groups(position, groups) => self.groups(key, *position, groups),
            Places::Members(position) => {
                let facts = self.facts(*position);
                let below = |member: &u32| *member < axis.count;
                Some(Rc::new(match &self.filters[*position] {
                    Some(filter) => (filter & facts).iter().take_while(below).collect(),
                    None => facts.iter().take_while(below).collect(),
                }))
            }
            Places::Values(measure, below) => {
                let ranges = self.request.ranges.iter().filter(|range| range.measure == *measure);
                let ranges: Vec<(i64, i64)> = ranges.map(|range| (range.low, range.high)).collect();
                let is_wanted = |place: &u32| {
                    let value = below + i64::from(*place);
                    let is_blank = *place == 0;
                    ranges.iter().all(|(low, high)| !is_blank && (*low..=*high).contains(&value))
                };
                Some(Rc::new((0..axis.count).filter(is_wanted).collect()))
            }
        }
    }

    /// Whether of each group all members are wanted or none: known of what was chosen by names of
    /// levels that make up the groups, looked at otherwise.
    fn is_told_apart(&self, position: usize, filter: &RoaringBitmap, groups: &LevelGroups) -> bool {
        let mut asked = self.request.filters.iter().filter(|asked| asked.position == position);
        let is_restricted = self.view.allowed(self.cube().dimensions[position]).is_some();
        let by_names = asked.all(|asked| {
            asked.level.is_some_and(|(hierarchy, level)| groups.are_within(hierarchy, level))
        });
        by_names && !is_restricted || is_of_whole_groups(filter, groups)
    }
}

/// Whether of each group all members are in a set or none.
fn is_of_whole_groups(members: &RoaringBitmap, groups: &LevelGroups) -> bool {
    groups.sets().iter().all(|set| {
        let within = set.intersection_len(members);
        within == 0 || within == set.len()
    })
}

/// What an output adds up of a cell.
enum Source {
    Rows,
    /// The sum of a term of the aggregate, by position; weighted or not.
    Sum(usize, bool),
    /// The values of a term.
    Count(usize),
}

/// The wanted places of an axis, and what they mean.
struct WantedAxis {
    places: Rc<Vec<u32>>,
    stride: u32,
    /// One by the stride, rounded up, in units of 2^-64.
    reciprocal: u64,
    /// Per place, its part of the combined code of a group.
    codes: Vec<u128>,
    /// Per place, what a value counts for; none where for itself.
    weights: Option<Vec<i128>>,
}

impl WantedAxis {
    fn new(
        (key, axis): (&Key, &LayoutAxis),
        question: &Question<'_>,
        groups_asked: &GroupTables,
    ) -> Result<Self> {
        let places = question.places(*key, axis).unwrap_or_default();
        let (position, groups) = match &axis.places {
            Places::Members(position) => (Some(*position), None),
            Places::Groups(position, groups) => (Some(*position), Some(groups)),
            Places::Values(..) => (None, None),
        };
        let tables = groups_asked.axes.iter();
        let tables = tables.filter(|table| position.is_some_and(|own| table.is_of(own)));
        let tables: Vec<_> = tables.collect();
        let member = |place: &u32| axis.places.member(*place);
        let code = |place: &u32| tables.iter().map(|table| table.combined(member(place))).sum();
        let codes = places.iter().map(code).collect();
        let weights = question.weights.iter().find(|weights| Some(weights.position) == position);
        let weight = |weights: &DimensionWeights<'_>, place: u32| {
            let mut factors = weights.factors.iter().map(|factor| factor[place as usize].into());
            factors.try_fold(1i128, |product, factor: i128| product.checked_mul(factor))
        };
        let weights = weights.filter(|_| groups.is_none()).map(|weights| {
            let each = places.iter().map(|&place| weight(weights, place));
            each.collect::<Option<Vec<i128>>>().ok_or_else(overflow)
        });
        let (stride, weights) = (axis.stride, weights.transpose()?);
        let reciprocal = (u64::MAX / u64::from(stride)).wrapping_add(1);
        Ok(Self { places, stride, reciprocal, codes, weights })
    }

    /// Which of the wanted places one is.
    fn find(&self, place: u32) -> Option<usize> {
        let guess = place.checked_sub(*self.places.first()?)? as usize;
        match self.places.get(guess) == Some(&place) {
            true => Some(guess),
            false => self.places.binary_search(&place).ok(),
        }
    }

    /// The wanted place of a cell, by what is left of it after the axes before; takes it away.
    #[inline]
    fn take(&self, rest: &mut u32) -> Option<usize> {
        // a multiplication in place of a division, exact for all cells
        let place = match self.stride {
            1 => *rest,
            _ => ((u128::from(*rest) * u128::from(self.reciprocal)) >> u64::BITS) as u32,
        };
        *rest -= place * self.stride;
        self.find(place)
    }

    /// A weight by the axes before with that of one of the wanted places.
    fn weighted(&self, weight: i128, at: usize) -> i128 {
        match &self.weights {
            Some(weights) => weight.saturating_mul(weights[at]),
            None => weight,
        }
    }
}

impl Answer {
    /// Cells and differences that are looked at.
    pub fn cells(&self) -> u64 {
        self.wanted + self.delta.len() as u64
    }

    /// The codes of an axis that wanted cells have.
    pub fn codes(&self, question: &Question<'_>, axis: &Axis) -> Vec<u32> {
        let mut keys = self.aggregate.shape.keys.iter().zip(&self.layout.axes);
        let own = keys.find(|(key, _)| key.position() == Some(axis.position));
        let Some((key, layout)) = own else { return Vec::new() };
        let places = question.places(*key, layout).unwrap_or_default();
        let code = |&place: &u32| axis.codes[layout.places.member(place).idx()];
        places.iter().map(code).collect()
    }

    /// The partial result of a question.
    pub fn partial(&self, question: &Question<'_>, collection: &Collection<'_>) -> Result<Partial> {
        let axes = self.aggregate.shape.keys.iter().zip(&self.layout.axes);
        let axes = axes.map(|axis| WantedAxis::new(axis, question, &collection.groups));
        let mut axes = axes.collect::<Result<Vec<WantedAxis>>>()?;
        let mut adder = Adder::new(self, question, collection);
        // cells in the order of their places
        axes.sort_by_key(|axis| std::cmp::Reverse(axis.stride));
        for (cells, totals) in self.delta.blocks() {
            for (at, &cell) in (0..).zip(cells) {
                let mut rest = cell;
                let found = axes.iter().try_fold((0, 1i128), |(code, weight), axis| {
                    let at = axis.take(&mut rest)?;
                    Some((code + axis.codes[at], axis.weighted(weight, at)))
                });
                if let Some((code, weight)) = found {
                    adder.push(at, code, weight)?;
                }
            }
            adder.add(totals)?;
        }
        question.view.interrupt.check()?;
        adder.add_all(&self.aggregate.cells, &axes, (0, 0, 1))?;
        adder.add_waiting(&self.aggregate.cells)?;
        self.aggregate.hit();
        Ok(adder.partial())
    }
}

/// Adds cells up.
struct Adder {
    sources: Vec<Source>,
    /// The group of each code where groups are numbered as they are seen.
    seen: Option<HashMap<u128, u32, FixedState>>,
    is_weighted: bool,
    /// Per group.
    codes: Vec<u128>,
    rows: Vec<u64>,
    accumulators: Vec<Accumulator>,
    /// Cells that wait to be added, all of one chunk that begins at `start`; the group and the weight
    /// of each.
    start: u32,
    cells: Vec<u32>,
    groups: Vec<u32>,
    weights: Vec<i128>,
}

impl Adder {
    fn new(answer: &Answer, question: &Question<'_>, collection: &Collection<'_>) -> Self {
        let Partial { groups, accumulators } = collection.empty();
        let terms = &answer.aggregate.shape.terms;
        let place = |term: &Arithmetic| terms.iter().position(|own| own == term).unwrap_or(0);
        let source = |(output, plan): (&Output, &OutputPlan)| match (
            question.term(output, &plan.kind).flatten(),
            &plan.kind,
        ) {
            (None, _) => Source::Rows,
            (Some(term), OutputKind::Count) => Source::Count(place(&term)),
            (Some(term), OutputKind::WeightedSum) => {
                Source::Sum(place(&term), !question.weights.is_empty())
            }
            (Some(term), _) => Source::Sum(place(&term), false),
        };
        let outputs = question.request.outputs.iter().zip(collection.plans);
        let sources: Vec<Source> = outputs.map(source).collect();
        Self {
            seen: (!groups.is_dense()).then(HashMap::default),
            is_weighted: sources.iter().any(|source| matches!(source, Source::Sum(_, true))),
            sources,
            codes: Vec::new(),
            rows: vec![0; groups.count()],
            accumulators,
            start: 0,
            cells: Vec::new(),
            groups: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// The group of a combined code.
    #[inline]
    fn group(&mut self, code: u128) -> Result<u32> {
        let Some(seen) = &mut self.seen else { return Ok(code as u32) };
        Groups::get_or_add(&mut self.codes, seen, code)
    }

    /// Adds the cells of all combinations of wanted places, from a cell on with the code and the weight
    /// that it has by the axes before.
    fn add_all(
        &mut self,
        cells: &Cells,
        axes: &[WantedAxis],
        (cell, code, weight): (u32, u128, i128),
    ) -> Result<()> {
        let Some((axis, rest)) = axes.split_first() else {
            self.turn_to(cells, cell)?;
            return self.push(cell - self.start, code, weight);
        };
        if rest.is_empty() && self.seen.is_none() && !self.is_weighted {
            // most cells come here
            for (&place, &own) in axis.places.iter().zip(&axis.codes) {
                let cell = cell + place * axis.stride;
                self.turn_to(cells, cell)?;
                self.cells.push(cell - self.start);
                self.groups.push((code + own) as u32);
            }
            return Ok(());
        }
        for (at, place) in axis.places.iter().enumerate() {
            let (cell, code) = (cell + place * axis.stride, code + axis.codes[at]);
            let weight = axis.weighted(weight, at);
            self.add_all(cells, rest, (cell, code, weight))?;
        }
        Ok(())
    }

    /// Lets cells of the chunk of a cell wait, and adds those of another one.
    #[inline(always)]
    fn turn_to(&mut self, cells: &Cells, cell: u32) -> Result<()> {
        if cell.wrapping_sub(self.start) >= CHUNK_CELLS as u32 {
            self.add_waiting(cells)?;
            self.start = cell - cell % CHUNK_CELLS as u32;
        }
        Ok(())
    }

    /// Adds the cells that wait.
    fn add_waiting(&mut self, cells: &Cells) -> Result<()> {
        match cells.chunk(self.start) {
            Some(chunk) => self.add(chunk),
            None => {
                self.clear();
                Ok(())
            }
        }
    }

    /// Lets a cell wait, by its place in what will be added.
    #[inline]
    fn push(&mut self, at: u32, code: u128, weight: i128) -> Result<()> {
        let group = self.group(code)?;
        self.cells.push(at);
        self.groups.push(group);
        if self.is_weighted {
            self.weights.push(weight);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.groups.clear();
        self.weights.clear();
    }

    /// Adds the waiting cells of some totals. What went counts below zero until all is added, so sums
    /// of counts wrap around.
    fn add(&mut self, totals: &Chunk) -> Result<()> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let cells = RowSet::of_list(std::mem::take(&mut self.cells));
        let groups = self.groups.as_slice();
        if self.seen.is_some() {
            self.rows.resize(self.codes.len(), 0);
        }
        let add_counts = |counts: &Ints, into: &mut [u64]| {
            counts.visit(&cells, |at, count| {
                let into = &mut into[groups[at] as usize];
                *into = into.wrapping_add(count as u64);
            });
        };
        add_counts(&totals.rows, &mut self.rows);
        let count = self.rows.len();
        let mut overflows = false;
        for (source, accumulator) in self.sources.iter().zip(&mut self.accumulators) {
            accumulator.grow(count);
            match (source, accumulator) {
                (Source::Rows, Accumulator::Count(counts)) => add_counts(&totals.rows, counts),
                (Source::Count(term), Accumulator::Count(counts)) => {
                    add_counts(totals.counts(*term), counts);
                }
                (Source::Sum(term, false), Accumulator::Sum { sums, counts }) => {
                    totals.terms[*term].sums.visit(&cells, |at, sum| {
                        // fewer than 2^64 of 64 bits
                        sums[groups[at] as usize] += i128::from(sum);
                    });
                    add_counts(totals.counts(*term), counts);
                }
                (Source::Sum(term, true), Accumulator::Sum { sums, counts }) => {
                    let weights = self.weights.as_slice();
                    totals.terms[*term].sums.visit(&cells, |at, sum| {
                        let into = &mut sums[groups[at] as usize];
                        let more = weights[at].checked_mul(sum.into());
                        let sum = more.and_then(|more| into.checked_add(more));
                        overflows |= sum.is_none();
                        *into = sum.unwrap_or(0);
                    });
                    totals.counts(*term).visit(&cells, |at, count| {
                        // what counts for nothing is not there
                        let count = if weights[at] == 0 { 0 } else { count as u64 };
                        let into = &mut counts[groups[at] as usize];
                        *into = into.wrapping_add(count);
                    });
                }
                _ => unreachable!("sources are those of outputs"),
            }
        }
        if let RowSet::List(list) = cells {
            self.cells = list;
        }
        self.clear();
        if overflows { Err(overflow()) } else { Ok(()) }
    }

    /// The groups that have rows.
    fn partial(mut self) -> Partial {
        let Some(_) = self.seen else {
            return Partial {
                groups: Groups::Dense { rows: self.rows },
                accumulators: self.accumulators,
            };
        };
        let with_rows: Vec<usize> =
            (0..self.rows.len()).filter(|&group| self.rows[group] > 0).collect();
        let codes = with_rows.iter().map(|&group| self.codes[group]).collect();
        self.accumulators.iter_mut().for_each(|accumulator| accumulator.keep(&with_rows));
        let groups = Groups::Sparse { codes, idx: HashMap::default() };
        Partial { groups, accumulators: self.accumulators }
    }
}
